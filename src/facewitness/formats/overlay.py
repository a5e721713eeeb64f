"""The picture itself with everything drawn on it: masks as colour, faces boxed and numbered, findings named.

Heat is viridis (dark blue low, yellow high), which differs from skin and stays ordered in every colour blindness. The
line of a face's box says its label without colour: solid is fake, dashed is inconclusive, dotted is real.
"""

from __future__ import annotations

import io
import itertools
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from facewitness import regions
from facewitness.errors import ReportError
from facewitness.formats import chance, headline, heat, mark, word
from facewitness.types import Box, FaceReport, Mask, Report

extension = "png"
OPACITY = 0.65  # of the highest mask value
INK, PAPER, YELLOW = (16, 18, 20), (255, 255, 255), (255, 214, 10)
DASHES = {"fake": (1, 0), "inconclusive": (6, 4), "real": (1, 2)}  # on, off in line widths

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def render(report: Report) -> bytes:
    """A PNG of the picture's own size. Raises ReportError where the report has no picture."""
    if report.frame is None:
        why = "the file could not be read" if report.status == "failed" else "a report read from JSON carries none"
        raise ReportError(
            f"overlay: expected a report with its picture (Report.frame), got none: {why}. "
            "Analyse the file itself: facewitness analyze --format overlay FILE"
        )
    picture = Image.fromarray(report.frame.pixels).convert("RGB")
    for said in report.faces:
        masks = [said.mask] if said.mask is not None else [f.mask for f in said.findings if f.mask is not None]
        for mask in masks:
            _glow(picture, mask)
    draw = ImageDraw.Draw(picture)
    line = max(2, round(min(picture.size) / 320))
    size = max(11, round(min(picture.size) / 42))
    font, small = ImageFont.load_default(size), ImageFont.load_default(max(10, round(0.8 * size)))
    for number, said in enumerate(report.faces, start=1):
        _draw_face(draw, number, said, line, font, small)
    verdict = report.verdict
    banner = headline(report)[1] + (f": {chance(verdict.fake, verdict.interval)}" if verdict is not None else "")
    if report.problems:
        banner += " (incomplete: a step failed)"
    _label(draw, (0, picture.height), banner, font, PAPER, above=True)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


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


def _draw_face(draw: ImageDraw.ImageDraw, number: int, said: FaceReport, line: int, font: Font, small: Font) -> None:
    for index, finding in enumerate(said.findings):
        _rectangle(draw, finding.box, max(1, line // 2), (1, 0), YELLOW)
    _rectangle(draw, said.face.box, line, DASHES[said.verdict.label], PAPER)
    for index, finding in enumerate(said.findings):
        text = f"{mark(index)} {regions.title(finding.region)}"
        _label(draw, (finding.box[0], finding.box[1]), text, small, YELLOW, above=False)
    text = f"{number} {word(said.verdict.label)}: {chance(said.verdict.fake)}"
    _label(draw, (said.face.box[0], said.face.box[1]), text, font, PAPER, above=True)


def _rectangle(
    draw: ImageDraw.ImageDraw, box: Box, line: int, dash: tuple[int, int], colour: tuple[int, int, int]
) -> None:
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


def _label(
    draw: ImageDraw.ImageDraw,
    corner: tuple[float, float],
    text: str,
    font: Font,
    colour: tuple[int, int, int],
    above: bool,
) -> None:
    """A line of text on a plate, above a point or below it, moved where the picture's border would cut it."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    margin = max(2, round((bottom - top) / 4))
    width, height = right - left + 2 * margin, bottom - top + 2 * margin
    picture_width, picture_height = draw.im.size
    x = min(max(0, round(corner[0])), max(0, picture_width - round(width)))
    y = min(max(0, round(corner[1] - (height if above else 0))), max(0, picture_height - round(height)))
    draw.rectangle((x, y, x + width, y + height), fill=INK)
    draw.text((x + margin - left, y + margin - top), text, fill=colour, font=font)
