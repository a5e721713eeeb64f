"""Photograph, map and answer in one picture, a row a person: for a paper, a slide or a message.

KFD shows its results so (Yu et al., figure 6): the face as it is, where it is called forged, and the words. On the left
is the face, in the middle its map in viridis (dark blue low, yellow high) on the grey face, and below them every
witness's own words, attributed, with what they were held against, else the sentences of the report; "no map" stands
where nothing was located.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from facewitness.errors import ReportError
from facewitness.formats import face_at, film_frame, heat, lines
from facewitness.phrases import headline, odds, visible, word
from facewitness.types import Box, Clip, Mask, PersonReport, Pixels, Report

extension = "webp"
SIDE = 320  # pixels of a face
ROWS = 6  # people at most
_WIDER = 0.25  # of the face's longer side, around it
_INK, _PAPER = (16, 18, 20), (255, 255, 255)
_GAP = 10
_LETTERS = 60  # of a word: what is longer is broken, for it would not fit into a line


def render(report: Report, clip: Clip | None = None) -> bytes:
    """A WebP without loss.

    Args:
        report: A finished analysis.
        clip: The file's pixels, for pictures in the report; None leaves them out.

    Raises:
        ReportError: Without the picture.
    """
    if clip is None:
        why = "the file could not be read" if report.status == "failed" else "a report read from JSON comes without"
        raise ReportError(
            f"figure: expected the picture beside its report, got none: {why}. "
            "Analyse the file itself: facewitness analyze --format figure FILE"
        )
    film = film_frame(report)
    pixels = (clip.frame if film is None else clip.at(film)).pixels
    font = ImageFont.load_default(14)
    rows = []
    for number, person in enumerate(report.people[:ROWS], start=1):
        face = face_at(person, film)
        if face is not None:
            rows.append(_row(person, face.box, pixels, number, font))
    above = [headline(report)[1]]
    if report.problems:
        above.append(f"Incomplete: failed at {', '.join(dict.fromkeys(problem.step for problem in report.problems))}")
    if len(report.people) > ROWS:
        above.append(f"{ROWS} of {len(report.people)} people are shown.")
    if not rows:
        rows.append(_shrunk(Image.fromarray(pixels)))
    file = io.BytesIO()
    _stacked([_words(above, font), *rows]).save(file, "WEBP", lossless=True, quality=40, method=0)
    return file.getvalue()


def _row(
    person: PersonReport, box: Box, pixels: Pixels, number: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> Image.Image:
    """The face, its map and the words about it."""
    square = _around(box)
    face = Image.fromarray(pixels).crop(square).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    shown = _located(person, square, face)
    pair = Image.new("RGB", (2 * SIDE + _GAP, SIDE), _INK)
    pair.paste(face)
    if shown is None:
        ImageDraw.Draw(pair).text((SIDE + _GAP + 8, 8), "no map", fill=_PAPER, font=font)
    else:
        pair.paste(shown, (SIDE + _GAP, 0))
    return _stacked(
        [pair, _words([f"{number}  {line}" if i == 0 else line for i, line in enumerate(_lines(person))], font)]
    )


def _lines(person: PersonReport) -> Iterator[str]:
    yield f"{word(person.verdict.label)}: {odds(person.verdict)}"
    replies = [t for t in person.verdict.testimonies if t.reply is not None and t.reply.text.strip()]
    for testimony in replies:
        if testimony.reply is not None:
            yield f"{testimony.witness}: {' '.join(lines(testimony.reply.text))}"
            if testimony.reply.notes:  # what they were held against travels with the words
                yield " ".join(testimony.reply.notes)
    if not replies:
        yield " ".join(sentence.text for sentence in person.explanation)


def _located(person: PersonReport, square: tuple[int, int, int, int], face: Image.Image) -> Image.Image | None:
    """The map of a person over the grey face; None where nothing was located."""
    masks = [person.mask] if person.mask is not None else [f.mask for f in person.findings if f.mask is not None]
    if not masks:
        return None
    values = np.zeros((SIDE, SIDE), np.float32)
    for mask in masks:
        values = np.maximum(values, _placed(mask, square))
    colours = heat(np.clip(values, 0.0, 1.0))
    grey = face.convert("L").convert("RGB")
    grey.paste(Image.fromarray(colours[..., :3].copy()), (0, 0), Image.fromarray(colours[..., 3].copy()))
    return grey


def _placed(mask: Mask, square: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """A mask's values on the face's square, (SIDE, SIDE); 0 outside its box."""
    x1, y1, x2, y2 = mask.box
    left, top, right, bottom = square
    height, width = mask.values.shape
    # output pixel → sample of the mask
    a, b = (right - left) / SIDE * width / (x2 - x1), (bottom - top) / SIDE * height / (y2 - y1)
    way = (a, 0.0, (left - x1) * width / (x2 - x1), 0.0, b, (top - y1) * height / (y2 - y1))
    placed = Image.fromarray(mask.values.astype(np.float32)).transform(
        (SIDE, SIDE), Image.Transform.AFFINE, way, Image.Resampling.BILINEAR
    )
    return np.asarray(placed, np.float32)


def _around(box: Box) -> tuple[int, int, int, int]:
    """A square around a face, which may reach beyond the picture."""
    x1, y1, x2, y2 = box
    side = max(x2 - x1, y2 - y1, 1.0) * (1 + 2 * _WIDER)
    left, top = round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2)
    return left, top, left + max(1, round(side)), top + max(1, round(side))


def _shrunk(picture: Image.Image) -> Image.Image:
    picture.thumbnail((2 * SIDE + _GAP, SIDE))
    return picture


def _words(lines: list[str], font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Image.Image:
    """Lines on a dark strip, broken to its width."""
    width, step = 2 * SIDE + _GAP, 20
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    broken: list[str] = []
    for line in lines:
        current = ""
        for part in visible(line).replace("–", "-").encode("ascii", "replace").decode("ascii").split():
            for piece in textwrap.wrap(part, _LETTERS):
                longer = f"{current} {piece}" if current else piece
                if current and ruler.textlength(longer, font=font) > width - 2 * _GAP:
                    broken.append(current)
                    longer = piece
                current = longer
        broken.append(current)
    strip = Image.new("RGB", (width, step * len(broken) + _GAP), _INK)
    draw = ImageDraw.Draw(strip)
    for i, text in enumerate(broken):
        draw.text((_GAP, _GAP // 2 + i * step), text, fill=_PAPER, font=font)
    return strip


def _stacked(parts: list[Image.Image]) -> Image.Image:
    whole = Image.new("RGB", (max(p.width for p in parts), sum(p.height for p in parts)), _INK)
    top = 0
    for part in parts:
        whole.paste(part, (0, top))
        top += part.height
    return whole
