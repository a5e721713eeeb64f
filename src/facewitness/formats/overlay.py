"""The picture itself with everything drawn on it: masks as colour, faces numbered, findings lettered, a legend below.

Heat is viridis (dark blue low, yellow high), which differs from skin and stays ordered in every colour blindness. The
line of a face's box says its label without colour: solid is fake, dashed is inconclusive, dotted is real.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from facewitness.errors import ReportError
from facewitness.formats import face_at, film_frame, heat, mark, seen_at
from facewitness.phrases import headline, odds, places_of, strength_in_words, visible, word
from facewitness.types import Box, Clip, Mask, PersonReport, Report

extension = "png"
OPACITY = 0.65  # of the highest mask value
INK, PAPER, YELLOW = (16, 18, 20), (255, 255, 255), (255, 214, 10)
DASHES = {"fake": (1, 0), "inconclusive": (6, 4), "real": (1, 2)}  # on, off in line widths

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def render(report: Report, clip: Clip | None = None) -> bytes:
    """A PNG: the picture at its own size and a legend below it.

    Args:
        report: A finished analysis.
        clip: The file's pixels, for pictures in the report; None leaves them out.

    Raises:
        ReportError: Without the picture.
    """
    if clip is None:
        why = "the file could not be read" if report.status == "failed" else "a report read from JSON comes without"
        mend = "Analyse the file itself: facewitness analyze --format overlay FILE"
        if report.source.startswith("<") and report.sha256 is None:
            why = "it came as an array or an image, which nobody has kept"
            mend = "Keep it: analysis = Analyzer().analysis(picture); analysis.report.save(path, analysis.clip)"
        raise ReportError(f"overlay: expected the picture beside its report, got none: {why}. {mend}")
    film = film_frame(report)  # of a film one frame is drawn, with those who are in it
    picture = Image.fromarray((clip.frame if film is None else clip.at(film)).pixels)
    for person in report.people:
        if film is not None and person.face.at.index != film.index:
            continue  # the mask is that of another frame
        masks = [person.mask] if person.mask is not None else [f.mask for f in person.findings if f.mask is not None]
        for mask in masks:
            _glow(picture, mask)
    draw = ImageDraw.Draw(picture)
    line = max(2, round(min(picture.size) / 320))
    font = ImageFont.load_default(max(11, round(min(picture.size) / 40)))
    for number, person in enumerate(report.people, start=1):
        face = face_at(person, film)
        if face is None:
            continue
        for index, finding in seen_at(person, film):
            _draw_box(draw, finding.box, max(1, line // 2), (1, 0), YELLOW)
            _draw_tag(draw, finding.box, mark(index), font, YELLOW)
        _draw_box(draw, face.box, line, DASHES[person.verdict.label], PAPER)
        _draw_tag(draw, face.box, str(number), font, PAPER)
    file = io.BytesIO()
    _with_legend(picture, list(_legend(report)), font).save(
        file, "PNG", compress_level=2
    )  # higher: slow, hardly smaller
    return file.getvalue()


def _legend(report: Report) -> Iterator[str]:
    verdict = report.verdict
    yield headline(report)[1] + (f": {odds(verdict)}" if verdict is not None and verdict.fake is not None else "")
    if report.problems:
        yield f"Incomplete: failed at {', '.join(dict.fromkeys(problem.step for problem in report.problems))}"
    for number, person in enumerate(report.people, start=1):
        yield f"{number}  {word(person.verdict.label)}: {_face(person)}"


def _face(person: PersonReport) -> str:
    places = (f"{mark(i)} {places_of(f)} ({strength_in_words(f.strength)})" for i, f in enumerate(person.findings))
    return "; ".join([odds(person.verdict), *places])


def _with_legend(picture: Image.Image, lines: list[str], font: Font) -> Image.Image:
    """The picture with lines of text on a dark strip below it, broken to its width."""
    ruler = ImageDraw.Draw(picture)
    _, top, _, bottom = ruler.textbbox((0, 0), "Ag", font=font)
    margin, step = round((bottom - top) * 0.7), round((bottom - top) * 1.5)
    broken: list[str] = []
    for line in lines:
        current = ""
        for part in _typed(line).split(" "):
            longer = f"{current} {part}" if current else part
            if current and ruler.textlength(longer, font=font) > picture.width - 2 * margin:
                broken.append(current)
                longer = f"   {part}"
            current = longer
        broken.append(current)
    whole = Image.new("RGB", (picture.width, picture.height + 2 * margin + step * len(broken)), INK)
    whole.paste(picture)
    draw = ImageDraw.Draw(whole)
    for row, text in enumerate(broken):
        draw.text((margin, picture.height + margin + row * step), text, fill=PAPER, font=font)
    return whole


def _typed(text: str) -> str:
    """Text in the letters that Pillow's own font has."""
    return visible(text).replace("–", "-").encode("ascii", "replace").decode("ascii")


def _glow(picture: Image.Image, mask: Mask) -> None:
    """Lay a mask's colours over the picture, stretched to its box, in place."""
    left, top = math.floor(mask.box[0]), math.floor(mask.box[1])
    right, bottom = math.ceil(mask.box[2]), math.ceil(mask.box[3])
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, picture.width), min(bottom, picture.height)
    if left >= right or top >= bottom:
        return
    # The part of the mask under these whole pixels, in the mask's own samples: its box need not lie on whole pixels.
    height, width = mask.values.shape
    x = width / (mask.box[2] - mask.box[0])
    y = height / (mask.box[3] - mask.box[1])
    part = (
        max(0.0, (left - mask.box[0]) * x),
        max(0.0, (top - mask.box[1]) * y),
        min(float(width), (right - mask.box[0]) * x),
        min(float(height), (bottom - mask.box[1]) * y),
    )
    values = Image.fromarray(mask.values).resize((right - left, bottom - top), Image.Resampling.BILINEAR, box=part)
    colours = heat(np.clip(np.asarray(values), 0.0, 1.0))
    opacity = Image.fromarray(np.rint(colours[..., 3] * OPACITY).astype(np.uint8))
    picture.paste(Image.fromarray(colours[..., :3].copy()), (left, top), opacity)


def _draw_box(draw: ImageDraw.ImageDraw, box: Box, line: int, dash: tuple[int, int], colour: Colour) -> None:
    """A box on a dark halo, so that it shows on light and dark; x2 and y2 are excluded."""
    x1, y1, x2, y2 = (round(value) for value in box)
    x2, y2 = max(x1 + 1, x2 - 1), max(y1 + 1, y2 - 1)
    draw.rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline=INK, width=line + 2)
    corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)]
    if dash[1] == 0:
        draw.rectangle((x1, y1, x2, y2), outline=colour, width=line)
        return
    on, off = (step * line for step in dash)
    for (ax, ay), (bx, by) in itertools.pairwise(corners):
        length = math.hypot(bx - ax, by - ay)
        for start in np.arange(0.0, length, on + off):
            near, far = start / length, min(start + on, length) / length
            draw.line(
                (ax + (bx - ax) * near, ay + (by - ay) * near, ax + (bx - ax) * far, ay + (by - ay) * far), colour, line
            )


def _draw_tag(draw: ImageDraw.ImageDraw, box: Box, text: str, font: Font, colour: Colour) -> None:
    """A number or letter on a plate at the outer side of a box's upper left corner, moved in where the picture ends."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    margin = max(2, round((bottom - top) / 4))
    width, height = right - left + 2 * margin, bottom - top + 2 * margin
    x, y = max(0, round(box[0] - width)), max(0, round(box[1] - height / 2))
    draw.rectangle((x, y, x + width, y + height), fill=colour, outline=INK)
    draw.text((x + margin - left, y + margin - top), text, fill=INK, font=font)
