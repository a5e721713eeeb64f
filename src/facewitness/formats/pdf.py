"""The report on paper: A4 pages that can be printed, filed and sent, with the picture, each face and how it was judged.

What the HTML page shows on request is drawn here: masks as colour, places as outlines with the letters of their
sentences. Labels have a word and a shape, so nothing is lost on a grey printer. Fonts are inside the file (DejaVu Sans:
Latin, Greek, Cyrillic); a letter that they lack is written by its number, as \\u5199. Needs the extra `pdf`.
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib.resources import as_file, files
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from facewitness.formats import (
    LIMITS,
    _outline,
    _record,
    again,
    band,
    called,
    dimensions,
    examined,
    face_at,
    film_frame,
    heat,
    lines,
    mark,
    mask_at,
    measured,
    provenance,
    quoted,
    seen_at,
    worth,
)
from facewitness.overtime import clock, share, stretches
from facewitness.phrases import (
    KIND_WORDS,
    headline,
    is_film,
    limits_of,
    listed,
    measured_in_words,
    odds,
    percent,
    places_of,
    someone,
    visible,
    word,
)
from facewitness.types import KINDS, Box, Clip, Finding, FrameRef, Mask, PersonReport, Report, Testimony, Verdict

extension = "pdf"
LONGEST = 1600  # pixels of the longer side of the picture, and of a face; larger ones are scaled down
CLOSE_UP = 480
JPEG_QUALITY = 90
FAINT = 0.05  # a mask that nowhere reaches this shows nothing
OPACITY = 0.6  # of the highest value of a mask
_SHORT = 22  # letters of a value that shares a line with another
LONGEST_TEXT = 20_000  # letters of one text from outside; what is longer is cut, and says so
SMALL_CARD = 1_600  # letters; a face of which more is said gets the page's whole width

MARGIN = 16 * mm
WIDTH, HEIGHT = A4[0] - 2 * MARGIN, A4[1] - 2 * MARGIN - 8 * mm
GUTTER = 6 * mm

INK, MUTED, LINE, TRACK = (HexColor(value) for value in (0x1B1F24, 0x5A626C, 0xD5D2CA, 0xE4E1D9))
WARN, WARN_PAPER, WHITE = HexColor(0x7A4D00), HexColor(0xFFF4DC), HexColor(0xFFFFFF)
TONES = {"fake": HexColor(0xAD3F06), "real": HexColor(0x0A5C9E)}  # as in the HTML page; all else is grey
GREY = HexColor(0x565C68)
DASHES = {"fake": None, "inconclusive": (4, 2.5), "real": (1, 2)}


def render(report: Report, clip: Clip | None = None, *, date: str | None = None) -> bytes:
    """A PDF. Without a date the same report gives the same bytes.

    Args:
        report: what is shown.
        clip: the picture; without it (a report parsed from JSON) only places are drawn.
        date: when it was analysed, in words.
    """
    _load_fonts()
    file = io.BytesIO()
    _, large, _ = headline(report)
    title = _typed(f"{large}: {called(report)}")
    document = BaseDocTemplate(
        file, pagesize=A4, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=MARGIN + 8 * mm,
        title=title, author="facewitness", lang="en", invariant=1, pageCompression=1,
    )  # fmt: skip
    frame = Frame(MARGIN, MARGIN + 8 * mm, WIDTH, HEIGHT, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)
    name = _typed(f"{called(report)}   {report.sha256[:16] if report.sha256 else ''}")

    def foot(canvas: Any, _: object) -> None:
        canvas.setFont("Sans", 7)
        canvas.setFillColor(MUTED)
        canvas.drawString(MARGIN, MARGIN, f"facewitness   {_cut(name, WIDTH - 40 * mm, 7)}")

    document.addPageTemplates(PageTemplate("page", [frame], onPage=foot))
    document.build([*_story(report, clip, date)], canvasmaker=_Numbered)
    return file.getvalue()


class _Numbered(Canvas):
    """A canvas whose pages know how many there are: each is finished when all have been laid out."""

    def __init__(self, *given: Any, **settings: Any):
        super().__init__(*given, **settings)
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802 -- reportlab's name
        """Keep a page for the end."""
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        """Number the pages, and write them."""
        for page in self._pages:
            self.__dict__.update(page)
            self.setFont("Sans", 7)
            self.setFillColor(MUTED)
            self.drawRightString(MARGIN + WIDTH, MARGIN, f"page {self._pageNumber} of {len(self._pages)}")
            super().showPage()
        super().save()


def _story(report: Report, clip: Clip | None, date: str | None) -> Iterator[Flowable]:
    yield from _ruling(report)
    yield from _problems(report)
    yield from _picture(report, clip)
    yield from _overview(report)
    for testimony in report.inspections:
        yield from _inspection(testimony)
    yield from _faces(report, clip)
    for section in _record.sections(report):
        yield from _section(section)
    yield from _reading(report)
    yield from _making(report, date)


# ------------------------------------------------------------------------------------------------------------- words


@functools.cache
def _load_fonts() -> None:
    fonts = files(__package__) / "fonts"
    for name, file in (("Sans", "DejaVuSans.ttf"), ("SansBold", "DejaVuSans-Bold.ttf")):
        with as_file(fonts / file) as path:
            pdfmetrics.registerFont(TTFont(name, str(path)))
    pdfmetrics.registerFontFamily("Sans", normal="Sans", bold="SansBold", italic="Sans", boldItalic="SansBold")


def _style(size: float, **more: Any) -> ParagraphStyle:
    settings = {
        "fontName": "Sans", "fontSize": size, "leading": size * 1.36, "textColor": INK, "splitLongWords": 1,
        "bulletFontName": "Sans", "bulletFontSize": size,
    }  # fmt: skip
    return ParagraphStyle("text", **(settings | more))


BODY, SMALL, TINY = _style(8.5), _style(7.6), _style(6.8, textColor=MUTED)
HEADING = _style(11.5, fontName="SansBold", spaceBefore=5 * mm, spaceAfter=1.6 * mm, keepWithNext=1)
ITEM = _style(8.5, leftIndent=4 * mm, bulletIndent=1 * mm, spaceAfter=0.5 * mm)
QUOTE = _style(7.6, leftIndent=3 * mm, textColor=MUTED, borderPadding=1)


@functools.cache
def _letters() -> frozenset[int]:
    _load_fonts()
    return frozenset(pdfmetrics.getFont("Sans").face.charToGlyph) - frozenset(range(0x200B, 0x2010))


def _typed(text: str) -> str:
    """Text in letters that the page's font has; of another letter the number, and no more than fits a page or two."""
    text = visible(text)
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]} … ({len(text) - LONGEST_TEXT:,} more letters stand in the JSON report)"
    text, known = text.replace(" %", "\u00a0%"), _letters()
    return "".join(c if ord(c) in known else c.encode("unicode_escape").decode("ascii") for c in text)


def _text(text: str, style: ParagraphStyle = BODY, **more: Any) -> Paragraph:
    """A paragraph of text from anywhere: nothing in it is markup."""
    return Paragraph(escape(_typed(text)), style, **more)


def _items(texts: Iterable[str], style: ParagraphStyle = ITEM) -> list[Flowable]:
    return [_text(text, style, bulletText="–") for text in texts]


def _cut(text: str, width: float, size: float) -> str:
    """A line of text that is not wider than it may be."""
    if pdfmetrics.stringWidth(text, "Sans", size) <= width:
        return text
    while text and pdfmetrics.stringWidth(f"{text}…", "Sans", size) > width:
        text = text[: -max(1, len(text) // 20)]
    return f"{text}…"


def _tone(label: str) -> Color:
    return TONES.get(label, GREY)


# --------------------------------------------------------------------------------------- the top: what was decided


class _Headline(Flowable):
    """The shape of a label and its large word."""

    def __init__(self, label: str, text: str, size: float):
        super().__init__()
        self.label, self.text, self.size = label, _typed(text), size

    def wrap(self, width: float, _: float) -> tuple[float, float]:
        while self.size > 8 and pdfmetrics.stringWidth(self.text, "SansBold", self.size) > width - self.size:
            self.size -= 1
        self.width, self.height = width, self.size * 1.25
        return self.width, self.height

    def draw(self) -> None:
        self.canv.setFillColor(_tone(self.label))
        _shape(self.canv, self.label, 0, self.size * 0.22, self.size * 0.72)
        self.canv.setFillColor(_tone(self.label))
        self.canv.setFont("SansBold", self.size)
        self.canv.drawString(self.size * 0.95, self.size * 0.25, self.text)


def _shape(canvas: Any, label: str, x: float, y: float, side: float) -> None:
    """What says a label without colour, in a square: a triangle, a ring, a half diamond, a broken circle, a cross."""
    canvas.saveState()
    canvas.setStrokeColor(_tone(label))
    canvas.setFillColor(_tone(label))
    canvas.setLineWidth(side * 0.1)
    middle, half = (x + side / 2, y + side / 2), side / 2
    path = canvas.beginPath()
    if label == "fake":
        for step, point in enumerate(((x + half, y + side), (x + side, y), (x, y))):
            (path.lineTo if step else path.moveTo)(*point)
        path.close()
        canvas.drawPath(path, stroke=0, fill=1)
        canvas.setFillColor(WHITE)
        canvas.rect(x + half - side * 0.045, y + side * 0.3, side * 0.09, side * 0.3, stroke=0, fill=1)
        canvas.circle(x + half, y + side * 0.16, side * 0.06, stroke=0, fill=1)
    elif label == "real":
        canvas.setLineWidth(side * 0.28)
        canvas.circle(*middle, half * 0.7, stroke=1, fill=0)
    elif label == "inconclusive":
        for step, (dx, dy) in enumerate(((0, half), (half, 0), (0, -half), (-half, 0))):
            (path.lineTo if step else path.moveTo)(middle[0] + dx, middle[1] + dy)
        path.close()
        canvas.drawPath(path, stroke=1, fill=0)
        left = canvas.beginPath()
        left.moveTo(middle[0], middle[1] + half)
        left.lineTo(middle[0], middle[1] - half)
        left.lineTo(middle[0] - half, middle[1])
        left.close()
        canvas.drawPath(left, stroke=0, fill=1)
    elif label == "no_face":
        canvas.setDash(side * 0.16, side * 0.14)
        canvas.circle(*middle, half * 0.85, stroke=1, fill=0)
    else:
        canvas.line(x + side * 0.1, y + side * 0.1, x + side * 0.9, y + side * 0.9)
        canvas.line(x + side * 0.1, y + side * 0.9, x + side * 0.9, y + side * 0.1)
    canvas.restoreState()


class _Bar(Flowable):
    """A probability on a line from 0 to 100 %, with its interval and the inconclusive band."""

    def __init__(self, verdict: Verdict, width: float, words: bool = True):
        super().__init__()
        self.verdict, self.wanted, self.words = verdict, width, words

    def wrap(self, width: float, _: float) -> tuple[float, float]:
        self.width, self.height = min(width, self.wanted), 27.0 if self.words else 11.0
        return self.width, self.height

    def draw(self) -> None:
        canvas, verdict, width = self.canv, self.verdict, self.width
        middle, thick = (13.0, 4.5) if self.words else (5.5, 3.4)
        canvas.setFillColor(TRACK)
        canvas.roundRect(0, middle - thick / 2, width, thick, thick / 2, stroke=0, fill=1)
        thresholds = band(verdict)
        if thresholds is not None:
            low, high = (bound * width for bound in thresholds)
            canvas.setStrokeColor(MUTED)
            canvas.setFillColor(WHITE)
            canvas.setLineWidth(0.5)
            canvas.rect(low, middle - thick, high - low, 2 * thick, stroke=1, fill=1)
            canvas.saveState()
            clip = canvas.beginPath()
            clip.rect(low, middle - thick, high - low, 2 * thick)
            canvas.clipPath(clip, stroke=0, fill=0)
            canvas.setLineWidth(0.4)
            for x in np.arange(low - 2 * thick, high, 2.6):
                canvas.line(x, middle - thick, x + 2 * thick, middle + thick)
            canvas.restoreState()
        canvas.setFillColor(_tone(verdict.label))
        if verdict.interval is not None:
            low, high = (end * width for end in verdict.interval)
            canvas.saveState()
            canvas.setFillAlpha(0.6)
            canvas.roundRect(low, middle - thick / 2, max(high - low, 1), thick, min(thick, high - low) / 2, 0, 1)
            canvas.restoreState()
        canvas.setStrokeColor(WHITE)
        canvas.setLineWidth(1)
        canvas.circle((verdict.fake or 0.0) * width, middle, thick * 0.82, stroke=1, fill=1)
        if not self.words:
            return
        canvas.setFillColor(MUTED)
        canvas.setFont("Sans", 6.5)
        canvas.drawString(0, 0, "0 %")
        canvas.drawRightString(width, 0, "100 %")
        if thresholds is not None:
            low, high = thresholds
            below, above = limits_of(verdict) or ("", "")
            text = f"inconclusive {below[:-2]}–{above}"
            at, half = (low + high) / 2 * width, pdfmetrics.stringWidth(text, "Sans", 6.5) / 2
            canvas.drawCentredString(min(max(at, half), width - half), 22, text)


def _ruling(report: Report) -> Iterator[Flowable]:
    key, large, meaning = headline(report)
    verdict = report.verdict
    facts = dimensions(report)
    if report.case is not None:
        facts.append(f"{report.case.reference}, {report.case.exhibit.label}")
    yield _text("facewitness examination report", _style(8.5, textColor=MUTED))
    yield Paragraph(
        f'<font name="SansBold">{escape(_typed(called(report)))}</font>'
        + "".join(f'<font color="#5a626c"> · {escape(_typed(fact))}</font>' for fact in facts),
        _style(9),
    )
    yield Spacer(0, 1.5 * mm)
    incomplete = " (incomplete)" if report.problems and report.status != "failed" else ""
    yield _Headline(key, f"{large}{incomplete}", 26)
    if verdict is not None:
        if verdict.fake is not None or verdict.is_unjudged:
            yield _text(odds(verdict), _style(11.5, fontName="SansBold", spaceBefore=1 * mm, spaceAfter=1 * mm))
        if verdict.fake is not None and not verdict.is_unjudged:
            yield _Bar(verdict, 120 * mm)
            interval = ", with its 95 % interval" if verdict.interval else ""
            hatched = "; hatched: inconclusive" if band(verdict) else ""
            yield _text(f"Probability of forgery{interval}{hatched}.", _style(6.8, textColor=MUTED, spaceBefore=1 * mm))
    yield _text(meaning, _style(9, textColor=MUTED, spaceBefore=1 * mm, spaceAfter=1 * mm))
    yield from _items(verdict.reasons if verdict else ())
    yield from _items(report.notes, _style(7.6, leftIndent=4 * mm, bulletIndent=1 * mm, textColor=MUTED))


def _problems(report: Report) -> Iterator[Flowable]:
    if not report.problems:
        return
    count = len(report.problems)
    rest = "" if report.status == "failed" else ". What follows is incomplete"
    yield Spacer(0, 2 * mm)
    rows = [[_text(f"{'One step' if count == 1 else f'{count} steps'} failed{rest}.", _style(9, fontName="SansBold"))]]
    rows += [[_text(f"{problem.step}: {problem.message}", BODY)] for problem in report.problems]
    style = [("BACKGROUND", (0, 0), (-1, -1), WARN_PAPER), ("BOX", (0, 0), (-1, -1), 1, WARN)]
    yield Table(rows, [WIDTH], style=TableStyle(style), splitInRow=1)
    yield Spacer(0, 2 * mm)


# ----------------------------------------------------------------------------------------- pictures with their places


class _Drawing(Flowable):
    """A part of a frame with masks, boxes and outlines over it, in the coordinates of the frame."""

    def __init__(self, part: Box, limit: tuple[float, float], pixels: Any | None, longest: int):
        super().__init__()
        self.part = part
        wide, high = part[2] - part[0], part[3] - part[1]
        self.scale = min(limit[0] / wide, limit[1] / high)
        self.width, self.height = wide * self.scale, high * self.scale
        self.hAlign = "LEFT"
        self.ground: io.BytesIO | None = None
        if pixels is not None:
            image = Image.fromarray(pixels)
            image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
            self.shown = image.size
            self.ground = io.BytesIO()
            image.save(self.ground, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
        self.masks: list[Mask] = []
        self.boxes: list[tuple[Box, str, str]] = []  # box, number, label
        self.places: list[tuple[str, Finding]] = []

    def wrap(self, *_: float) -> tuple[float, float]:
        return self.width, self.height

    def _x(self, x: float) -> float:
        return (x - self.part[0]) * self.scale

    def _y(self, y: float) -> float:  # upwards
        return self.height - (y - self.part[1]) * self.scale

    def draw(self) -> None:
        canvas = self.canv
        canvas.saveState()
        edge = canvas.beginPath()
        edge.roundRect(0, 0, self.width, self.height, 3)
        canvas.clipPath(edge, stroke=0, fill=0)
        if self.ground is None:
            canvas.setFillColor(HexColor(0x2B3037))
            canvas.rect(0, 0, self.width, self.height, stroke=0, fill=1)
        else:
            canvas.drawImage(ImageReader(self.ground), 0, 0, self.width, self.height)
        for mask in self.masks:
            colours = heat(mask.values)
            colours[..., 3] = np.rint(colours[..., 3] * OPACITY).astype(np.uint8)
            x1, y1, x2, y2 = mask.box
            canvas.drawImage(
                ImageReader(Image.fromarray(_smooth(colours))), self._x(x1), self._y(y2), (x2 - x1) * self.scale,
                (y2 - y1) * self.scale, mask="auto",
            )  # fmt: skip
        for letter, finding in self.places:
            self._place(letter, finding)
        for box, number, label in self.boxes:
            self._box(box, number, label)
        canvas.restoreState()

    def _lines(self, finding: Finding) -> list[list[tuple[float, float]]]:
        lines = []
        for place in finding.here:
            rings = _outline.rings(place.mask) if place.mask is not None else []
            x1, y1, x2, y2 = place.box
            lines += rings or [[(x1, y1), (x2, y1), (x2, y2), (x1, y2)]]
        return lines

    def _place(self, letter: str, finding: Finding) -> None:
        canvas = self.canv
        path = canvas.beginPath()
        for ring in self._lines(finding):
            for step, (x, y) in enumerate(ring):
                (path.lineTo if step else path.moveTo)(self._x(x), self._y(y))
            path.close()
        for width, colour, dash in ((1.8, INK, None), (0.7, WHITE, (2.2, 1.4))):
            canvas.setLineWidth(width)
            canvas.setStrokeColor(colour)
            canvas.setDash(*dash) if dash else canvas.setDash()
            canvas.drawPath(path, stroke=1, fill=0)
        canvas.setDash()
        x1, y1, x2, y2 = finding.box
        self._badge(self._x((x1 + x2) / 2), self._y((y1 + y2) / 2), letter)

    def _badge(self, x: float, y: float, letter: str) -> None:
        canvas = self.canv
        side = 4.2 + 1.6 * max(0, len(letter) - 1)
        x, y = min(max(x, side), self.width - side), min(max(y, side), self.height - side)
        canvas.setFillColor(INK)
        canvas.setStrokeColor(WHITE)
        canvas.setLineWidth(0.5)
        canvas.circle(x, y, side, stroke=1, fill=1)
        canvas.setFillColor(WHITE)
        canvas.setFont("SansBold", 5.6)
        canvas.drawCentredString(x, y - 2, letter)

    def _box(self, box: Box, number: str, label: str) -> None:
        canvas = self.canv
        left, bottom, right, top = self._x(box[0]), self._y(box[3]), self._x(box[2]), self._y(box[1])
        for width, colour, dash in ((2.2, INK, None), (1.1, WHITE, DASHES[label])):
            canvas.setLineWidth(width)
            canvas.setStrokeColor(colour)
            canvas.setDash(*dash) if dash else canvas.setDash()
            canvas.rect(left, bottom, right - left, top - bottom, stroke=1, fill=0)
        canvas.setDash()
        wide = 5 + 4.6 * len(number)
        x, y = min(max(left, 0), self.width - wide), min(max(top, 0), self.height - 9)
        canvas.setFillColor(WHITE)
        canvas.setStrokeColor(INK)
        canvas.setLineWidth(0.5)
        canvas.rect(x, y, wide, 9, stroke=1, fill=1)
        canvas.setFillColor(INK)
        canvas.setFont("SansBold", 7)
        canvas.drawCentredString(x + wide / 2, y + 2, number)


def _smooth(colours: Any) -> Any:
    """A mask's colours with more samples: readers of PDF draw each sample as a block."""
    image = Image.fromarray(colours)
    grow = max(1, math.ceil(160 / max(image.size)))
    return np.asarray(image.resize((image.width * grow, image.height * grow), Image.Resampling.BICUBIC))


def _picture(report: Report, clip: Clip | None) -> Iterator[Flowable]:
    film: FrameRef | None = film_frame(report)
    if clip is not None:
        frame = clip.frame if film is None else clip.at(film)
        whole, pixels = frame.at.box, frame.pixels
    elif report.size is not None and report.people:
        wide, high = report.size if film is None else (film.width, film.height)
        whole = (0.0, 0.0, float(wide), float(high))
        pixels = None
    else:
        return
    drawing = _Drawing(whole, (WIDTH, 92 * mm if len(report.people) < 2 else 82 * mm), pixels, LONGEST)
    for number, person in enumerate(report.people, start=1):
        face = face_at(person, film)
        mask = mask_at(person, film)
        if mask is not None and mask.values.max() >= FAINT and len(report.people) > 1:
            drawing.masks.append(mask)
        if face is not None:
            drawing.boxes.append((face.box, str(number), person.verdict.label))
    note = "The picture itself is not part of this report; only the places are drawn."
    if pixels is not None:
        note = examined(report, film)
        if drawing.shown != (pixels.shape[1], pixels.shape[0]):
            note += f", scaled to {drawing.shown[0]} × {drawing.shown[1]} pixels"
        note += f"; shown as JPEG, quality {JPEG_QUALITY}. Judge fine traces on the file itself."
    if report.people:
        note += " Box: solid is fake, dashed inconclusive, dotted without a sign."
        note += " Colour: suspected alteration, blue low to yellow high." if drawing.masks else ""
    yield KeepTogether([Spacer(0, 2 * mm), drawing, Spacer(0, 1 * mm), _text(note, TINY)])


def _overview(report: Report) -> Iterator[Flowable]:
    if len(report.people) < 2:
        return
    heads = (someone(is_film(report)).capitalize(), "Answer", "Probability", "Places")
    rows: list[list[Any]] = [[_text(name, TINY) for name in heads]]
    for number, person in enumerate(report.people, start=1):
        places = ", ".join(map(places_of, person.findings)) or "no place named"
        label = _style(7.6, fontName="SansBold", textColor=_tone(person.verdict.label))
        rows.append(
            [_text(str(number), SMALL), _text(word(person.verdict.label), label), _text(odds(person.verdict), SMALL),
             _text(places, SMALL)]
        )  # fmt: skip
    table = Table(rows, [11 * mm, 40 * mm, 44 * mm, WIDTH - 95 * mm], style=_ruled(), repeatRows=1, splitInRow=1)
    yield Spacer(0, 2 * mm)
    yield table


def _ruled() -> TableStyle:
    return TableStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 5),
            ("TOPPADDING", (0, 0), (-1, -1), 1.6),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.2),
        ]
    )


# ------------------------------------------------------------------------------------------------------------- faces


def _inspection(testimony: Testimony) -> Iterator[Flowable]:
    if testimony.findings or testimony.reply is not None:
        yield _text(f"The file itself, by {testimony.witness}", HEADING)
        yield from _items(finding.claim for finding in testimony.findings)
        yield from _words(testimony)


def _words(testimony: Testimony) -> Iterator[Flowable]:
    """The words that a witness stands by, as a quotation with its name."""
    reply = testimony.reply
    if reply is not None and reply.text.strip():
        yield _text(f"{testimony.witness} says, in its own words:", SMALL)
        yield from (_text(line, QUOTE) for line in lines(reply.text))
        if reply.notes:
            yield _text(" ".join(reply.notes), SMALL)
        if reply.refusals:
            yield _text("What does not fit in this text:", SMALL)
            yield from _items(reply.refusals, _item(7.6))


def _item(size: float) -> ParagraphStyle:
    return _style(size, leftIndent=3.4 * mm, bulletIndent=0.6 * mm, spaceAfter=0.3 * mm)


def _faces(report: Report, clip: Clip | None) -> Iterator[Flowable]:
    """A card a face: two beside each other where there are several and little is said of them."""
    if not report.people:
        return
    film = is_film(report)
    several = someone(film, 2)
    if len(report.people) > 1:
        yield CondPageBreak(62 * mm)
        yield _text(several.capitalize(), HEADING)
    shared = _shared(report)
    for text, numbers in shared.items():
        every = len(numbers) == len(report.people)
        who = f"every {someone(film)}" if every else f"{several} {listed(map(str, numbers))}"
        yield _text(f"Of {who}: {text}", _style(7.6, textColor=MUTED, spaceAfter=0.8 * mm))
    narrow = (WIDTH - GUTTER) / 2
    waiting: list[list[Flowable]] = []
    for number, person in enumerate(report.people, start=1):
        small = len(report.people) > 1 and not person.timeline and _length(person) <= SMALL_CARD
        if not small:
            yield from _row(waiting, narrow)
            waiting = []
            yield from _wide(number, person, report, clip, shared)
            continue
        waiting.append(_narrow(number, person, report, clip, narrow, shared))
        if len(waiting) == 2:
            yield from _row(waiting, narrow)
            waiting = []
    yield from _row(waiting, narrow)


def _length(person: PersonReport) -> int:
    texts = [*person.verdict.reasons, *(s.text for s in person.explanation), *person.face.quality.reasons]
    texts += [finding.claim for finding in person.findings]
    texts += [quoted(t.reply.text) for t in person.verdict.testimonies if t.reply is not None]
    return sum(map(len, texts)) + 40 * len(texts)


def _row(cards: Sequence[list[Flowable]], width: float) -> Iterator[Flowable]:
    if cards:
        cells = [[*cards, *[[] for _ in range(2 - len(cards))]]]
        padding = [(side, (0, 0), (-1, -1), 0) for side in ("LEFTPADDING", "RIGHTPADDING", "TOPPADDING")]
        style = TableStyle(
            [("VALIGN", (0, 0), (-1, -1), "TOP"), *padding, ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5 * mm),
             ("RIGHTPADDING", (0, 0), (0, -1), GUTTER)]
        )  # fmt: skip
        yield Table(cells, [width + GUTTER, width], style=style)


def _title(number: int, person: PersonReport, report: Report) -> list[Flowable]:
    verdict = person.verdict
    label = _Headline(verdict.label, f"{someone(is_film(report)).capitalize()} {number}: {word(verdict.label)}", 10.5)
    parts: list[Flowable] = [label, _text(odds(verdict), _style(8.5, fontName="SansBold"))]
    alone = len(report.people) == 1 and report.verdict is not None and report.verdict.reasons == verdict.reasons
    if not alone:
        if verdict.fake is not None and not verdict.is_unjudged:
            parts.append(_Bar(verdict, WIDTH, words=False))
        parts += _items(verdict.reasons, _item(7.6))
    return parts


class _Rule(Flowable):
    """A thin line over a card."""

    def wrap(self, width: float, _: float) -> tuple[float, float]:
        self.width, self.height = width, 2.4
        return width, 2.4

    def draw(self) -> None:
        self.canv.setStrokeColor(LINE)
        self.canv.setLineWidth(0.6)
        self.canv.line(0, 1.6, self.width, 1.6)


def _shared(report: Report) -> dict[str, list[int]]:
    """Caveats that stand under several faces, and under which: they are said once, above the cards."""
    faces: dict[str, list[int]] = {}
    for number, person in enumerate(report.people, start=1):
        for sentence in person.explanation:
            if not sentence.findings:
                faces.setdefault(sentence.text, []).append(number)
    return {text: numbers for text, numbers in faces.items() if len(numbers) > 1}


def _sentences(number: int, person: PersonReport, size: float, shared: Collection[str] = ()) -> list[Flowable]:
    """The explanation with letters, each finding with its strength and box; what is `said` elsewhere is left out."""
    parts: list[Flowable] = []
    hanging = _style(size, leftIndent=4.4 * mm, firstLineIndent=-4.4 * mm, spaceAfter=0.5 * mm)
    alone = {sentence.findings[0] for sentence in person.explanation if len(sentence.findings) == 1}
    for sentence in person.explanation:
        if not sentence.findings and sentence.text in shared:
            continue
        letters = "".join(f"<b>{number}{mark(index)}</b> " for index in sentence.findings)
        text = letters + escape(_typed(sentence.text))
        if len(sentence.findings) == 1:
            finding = person.findings[sentence.findings[0]]
            new = set(finding.claim.split()) - set(sentence.text.split())  # a claim that the sentence holds is said
            measure = escape(_typed(f"{finding.claim} {_measure(finding)}" if new else _measure(finding)))
            text += f' <font size="{size - 0.8:.1f}" color="#5a626c">{measure}</font>'
        style = hanging if sentence.findings else _style(size, textColor=MUTED, spaceAfter=0.5 * mm)
        parts.append(Paragraph(text, style))
    worded = {index for sentence in person.explanation for index in sentence.findings}
    for index, finding in enumerate(person.findings):
        if index not in alone:
            claim = "" if index in worded else f"{finding.claim} "
            text = f"<b>{number}{mark(index)}</b> {escape(_typed(f'{claim}{_measure(finding)}'))}"
            parts.append(Paragraph(text, _style(size - 0.8, textColor=MUTED)))
    if not person.findings and not person.explanation:
        parts.append(_text("No place on this face gave anything away.", _style(size, textColor=MUTED)))
    return parts


def _measure(finding: Finding) -> str:
    x1, y1, x2, y2 = (round(value) for value in finding.box)
    return f"({places_of(finding)}, {measured_in_words(finding)}; box {x1}, {y1}, {x2}, {y2})"


def _facts(person: PersonReport) -> list[Flowable]:
    lines = []
    if person.kind is not None:
        kinds = ", ".join(f"{KIND_WORDS[kind]} {percent(person.kind[kind])}" for kind in KINDS)
        lines.append(f"Kind of picture: {kinds}.")
    facts = [f"{name} {value}" for name, value in measured(person.face.quality)]
    if facts:
        lines.append(f"How well it can be judged: {', '.join(facts)}.")
    reasons = " ".join(person.verdict.reasons)
    lines += [reason for reason in person.face.quality.reasons if reason not in reasons]
    if person.verdict.testimonies:
        scores = ", ".join(
            f"{t.witness} {'would not say' if t.fake is None else f'{t.fake:.3f}'}" for t in person.verdict.testimonies
        )
        lines.append(f"Scores of the witnesses as they are (no probabilities): {scores}.")
    return [_text(line, TINY) for line in lines]


def _close_up(person: PersonReport, clip: Clip | None, limit: tuple[float, float]) -> _Drawing | None:
    """The face cut from the original pixels, its mask and its findings with their letters."""
    cut = None if clip is None else _outline.close_up(person, clip)
    if cut is None:
        return None
    pixels, box = cut
    drawing = _Drawing(box, limit, pixels, CLOSE_UP)
    if person.mask is not None and person.mask.values.max() >= FAINT:
        drawing.masks.append(person.mask)
    for index, finding in seen_at(person, person.face.at if person.timeline else None):
        drawing.places.append((mark(index), finding))
    return drawing


def _narrow(
    number: int, person: PersonReport, report: Report, clip: Clip | None, width: float, shared: Collection[str]
) -> list[Flowable]:
    """A card of half the page's width: the face beside what was found on it."""
    side = 23 * mm
    drawing = _close_up(person, clip, (side, 32 * mm))
    words = [*_title(number, person, report), *_sentences(number, person, 7.2, shared)]
    quoted = [part for testimony in person.verdict.testimonies for part in _words(testimony)]
    if drawing is None:
        return [_Rule(), *words, *quoted, *_facts(person)]
    bare = [(edge, (0, 0), (-1, -1), 0) for edge in ("LEFTPADDING", "RIGHTPADDING", "TOPPADDING", "BOTTOMPADDING")]
    style = TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), *bare])
    body = Table([[drawing, words]], [side + 3 * mm, width - side - 3 * mm], style=style)
    return [_Rule(), body, Spacer(0, 0.6 * mm), *quoted, *_facts(person)]


def _wide(
    number: int, person: PersonReport, report: Report, clip: Clip | None, shared: Collection[str]
) -> Iterator[Flowable]:
    """A card of the page's whole width, which may run over several pages."""
    yield CondPageBreak(55 * mm)
    yield Spacer(0, 3 * mm)
    yield _Rule()
    yield from _title(number, person, report)
    yield from _timeline(person)
    drawing = _close_up(person, clip, (64 * mm, 72 * mm))
    words = _sentences(number, person, 8.2, shared)
    if drawing is not None and _length(person) <= 2 * SMALL_CARD:
        style = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)]
        yield Table([[drawing, words]], [68 * mm, WIDTH - 68 * mm], style=TableStyle(style))
    else:
        if drawing is not None:
            yield Spacer(0, 1.5 * mm)
            yield drawing
        yield from words
    for testimony in person.verdict.testimonies:
        yield from _words(testimony)
    yield Spacer(0, 1 * mm)
    yield from _facts(person)


class _Series(Flowable):
    """A person's probabilities over time, with the thresholds and what lies above them."""

    def __init__(self, person: PersonReport):
        super().__init__()
        self.person = person
        self.width, self.height = WIDTH, 30 * mm

    def wrap(self, *_: float) -> tuple[float, float]:
        return self.width, self.height

    def draw(self) -> None:
        canvas, person = self.canv, self.person
        scored = [m for m in person.timeline if m.fake is not None and m.at.seconds is not None]
        seconds = [m.at.seconds or 0.0 for m in scored]
        start, length = seconds[0], max(seconds[-1] - seconds[0], 1e-6)
        low, high = 9.0, self.height - 3

        def x(second: float) -> float:
            return 3 + (self.width - 6) * (second - start) / length

        def y(score: float) -> float:
            return low + (high - low) * score

        canvas.setFillColor(HexColor(0xF3F1EC))
        canvas.rect(0, low, self.width, high - low, stroke=0, fill=1)
        if person.verdict.thresholds is not None:
            canvas.setFillColor(HexColor(0xF0D3C2))
            for part in stretches(person.timeline, person.verdict.thresholds[1]):
                canvas.rect(x(part.start) - 1, low, x(part.end) - x(part.start) + 2, high - low, stroke=0, fill=1)
            canvas.setStrokeColor(MUTED)
            canvas.setLineWidth(0.5)
            canvas.setDash(3, 3)
            for bound in person.verdict.thresholds:
                canvas.line(0, y(bound), self.width, y(bound))
            canvas.setDash()
        path = canvas.beginPath()
        gap = 3 * float(np.median(np.diff(seconds)))
        for i, moment in enumerate(scored):
            joined = i and seconds[i] - seconds[i - 1] <= gap
            (path.lineTo if joined else path.moveTo)(x(seconds[i]), y(moment.fake or 0.0))
        canvas.setStrokeColor(INK)
        canvas.setLineWidth(0.8)
        canvas.drawPath(path, stroke=1, fill=0)
        canvas.setFillColor(WHITE)
        for second, moment in zip(seconds, scored, strict=True):
            canvas.circle(x(second), y(moment.fake or 0.0), 1.5, stroke=1, fill=1)
        canvas.setFillColor(MUTED)
        canvas.setFont("Sans", 6.5)
        canvas.drawString(0, 0, clock(seconds[0]))
        canvas.drawCentredString(self.width / 2, 0, clock(start + length / 2))
        canvas.drawRightString(self.width, 0, clock(seconds[-1]))


def _timeline(person: PersonReport) -> Iterator[Flowable]:
    scored = [m for m in person.timeline if m.fake is not None and m.at.seconds is not None]
    if len(scored) < 2:
        return
    yield Spacer(0, 1.5 * mm)
    yield _Series(person)
    words = "Probability of forgery at each judged moment, from 0 to 100 %."
    if (limits := limits_of(person.verdict)) and person.verdict.thresholds:
        words += f" Dashed: the thresholds, {limits[0]} and {limits[1]}."
        if parts := stretches(person.timeline, person.verdict.thresholds[1]):
            when = ", ".join(part.words for part in parts)
            words += f" Shaded: it looks forged, {percent(share(person.timeline, parts))} of the time judged: {when}."
    yield _text(words, TINY)


# ------------------------------------------------------------------------------------- the examiner's part, the bottom


def _section(section: _record.Section) -> Iterator[Flowable]:
    yield _text(section.title, HEADING)
    if section.facts:
        rows = [[_text(name, _style(7.6, textColor=MUTED)), _text(value, BODY)] for name, value in section.facts]
        yield Table(rows, [34 * mm, WIDTH - 34 * mm], style=_ruled(), splitInRow=1)
    yield from _items(section.items)
    if section.rows:
        head = [_text(name, TINY) for name in _record.METHOD_HEAD]
        cells = [head, *([_text(text, _style(6.8)) for text in row] for row in section.rows)]
        yield Table(
            cells, [WIDTH * part for part in (0.17, 0.2, 0.2, 0.24, 0.19)], style=_ruled(), repeatRows=1, splitInRow=1
        )


def _reading(report: Report) -> Iterator[Flowable]:
    small = _style(7.4, leftIndent=4 * mm, bulletIndent=1 * mm, textColor=MUTED, spaceAfter=0.3 * mm)
    yield _text("How to read this report", HEADING)
    yield from _items(LIMITS, small)
    if sentences := worth(report.made_by):
        yield _text("What the witnesses know", HEADING)
        yield from _items(sentences, small)


def _making(report: Report, date: str | None) -> Iterator[Flowable]:
    yield _text("Where this report comes from", HEADING)
    rows = [("file", report.source), ("SHA-256", report.sha256 or "not known")]
    if report.size is not None:
        rows.append(("size", f"{report.size[0]} × {report.size[1]} pixels"))
    if date is not None:
        rows.append(("analysed", date))
    rows += provenance(report.made_by)
    long = [row for row in rows if len(row[1]) > _SHORT]
    short = [row for row in rows if len(row[1]) <= _SHORT]
    table = [[_text(name, TINY), _text(value, _style(6.8))] for name, value in long]
    if table:
        yield Table(table, [58 * mm, WIDTH - 58 * mm], style=_ruled(), splitInRow=1)
    if len(short) % 2:
        short.append(("", ""))
    half = len(short) // 2
    columns = [WIDTH * part for part in (0.31, 0.17, 0.35, 0.17)]
    pairs = [
        [cell for name, value in pair for cell in (_text(name, TINY), _text(value, _style(6.8)))]
        for pair in zip(short[:half], short[half:], strict=True)
    ]
    if pairs:
        yield Table(pairs, columns, style=_ruled(), splitInRow=1)
    yield _text("How to run it again", HEADING)
    for step, (what, command) in enumerate(again(report), start=1):
        yield _text(f"{what}: {command}", _style(7.4, leftIndent=5 * mm, bulletIndent=1 * mm), bulletText=f"{step}.")
