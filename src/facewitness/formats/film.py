"""The film itself with each person's box, probability and mask drawn over it, as H.264 in MP4, for players and reviews.

Between the moments that were judged a box moves evenly from one to the next, and the probability shown is that of the
moment before. The film is coded again and brought to at most 1,280 pixels: judge fine traces on the file itself. Sound
is left out. Needs the extra `video`.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from facewitness.errors import ReportError
from facewitness.formats import heat
from facewitness.overtime import clock
from facewitness.phrases import percent, word
from facewitness.types import Box, Clip, Frame, Mask, PersonReport, Report

extension = "mp4"
LONGEST = 1280  # pixels
_COLOURS = {"fake": (213, 94, 0), "real": (0, 114, 178), "inconclusive": (140, 140, 150)}  # told apart without hue, too
_HELD = 1.5  # times the usual distance of judged moments: a person not judged for longer is not drawn


def render(report: Report, clip: Clip | None = None) -> bytes:
    """The overlay film, MP4; a photo is a film of one frame.

    Args:
        report: A finished analysis.
        clip: The file's pixels, for pictures in the report; None leaves them out.

    Raises:
        ReportError: Without the pixels.
    """
    if clip is None:
        raise ReportError(
            "The overlay film needs the film: expected the picture beside the report, got a report from JSON, which "
            "has none. Make it again: facewitness analyze FILE --format film"
        )
    still = not hasattr(clip, "watch")
    frames: Iterable[Frame] = clip.frames() if still else (seen.frame for seen in cast(Any, clip).watch(1e-6))
    shown = [_Shown.of(number, someone) for number, someone in enumerate(report.people, start=1)]
    lack = ": incomplete, a step failed" if report.problems else ""
    out = io.BytesIO()
    rate = Fraction(clip.fps or 25).limit_denominator(1001)
    font = ImageFont.load_default(size=18)
    with av.open(out, "w", format="mp4") as opened:
        stream: Any = None
        first = 0.0
        last = -1
        for frame in frames:
            second = frame.seconds or 0.0
            if stream is None:
                scale = min(1.0, LONGEST / max(frame.width, frame.height))
                size = (max(2, int(frame.width * scale) // 2 * 2), max(2, int(frame.height * scale) // 2 * 2))
                stream = opened.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast"})
                stream.width, stream.height, stream.pix_fmt = (*size, "yuv420p")
                stream.codec_context.time_base = Fraction(1, 90_000)
                first = second
            picture = Image.fromarray(frame.pixels).resize(size, Image.Resampling.BILINEAR)
            ratio = (size[0] / frame.width, size[1] / frame.height)
            for person in shown:
                person.draw(picture, second, ratio, font)
            drawn = ImageDraw.Draw(picture)
            _label(drawn, (8, size[1] - 30), f"{clock(second, 1)} · facewitness{lack}", (30, 30, 30), font)
            image = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
            last = max(last + 1, round((second - first) * 90_000))  # two frames at one time would be refused
            image.pts, image.time_base = last, Fraction(1, 90_000)
            opened.mux(stream.encode(image))
        if stream is not None:
            opened.mux(stream.encode())
    return out.getvalue()


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """One person, ready to be drawn at any moment."""

    number: int
    label: str
    words: str
    seconds: tuple[float, ...]  # of the judged moments; 0 for a photo's
    boxes: tuple[Box, ...]
    chances: tuple[float | None, ...]
    masks: tuple[Mask | None, ...]
    held: float

    @classmethod
    def of(cls, number: int, person: PersonReport) -> _Shown:
        at = {moment.at.index: moment for moment in person.timeline}
        faces = person.track.faces
        seconds = tuple(face.at.seconds or 0.0 for face in faces)
        moments = [at.get(face.at.index) for face in faces]
        gap = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1.0
        return cls(
            number,
            person.verdict.label,
            word(person.verdict.label),
            seconds,
            tuple(face.box for face in faces),
            tuple(None if moment is None else moment.fake for moment in moments),
            tuple(None if moment is None else moment.mask for moment in moments),
            _HELD * gap,
        )

    def draw(
        self, picture: Image.Image, second: float, ratio: tuple[float, float], font: ImageFont.FreeTypeFont | Any
    ) -> None:
        """Onto a picture that is scaled by `ratio` in width and height."""
        after = bisect_right(self.seconds, second + 1e-9)
        before = max(0, after - 1)
        if not self.seconds or abs(second - self.seconds[before]) > self.held:
            return
        box = np.array(self.boxes[before])
        if 0 < after < len(self.seconds) and self.seconds[after] - self.seconds[before] <= self.held:
            part = (second - self.seconds[before]) / (self.seconds[after] - self.seconds[before])
            box = (1 - part) * box + part * np.array(self.boxes[after])
        mask = self.masks[before]
        if mask is not None:
            self._mask(picture, mask, box, np.array(self.boxes[before]), ratio)
        x1, y1, x2, y2 = (float(v) for v in box * np.array([*ratio, *ratio]))
        colour = _COLOURS[self.label]
        drawn = ImageDraw.Draw(picture)
        drawn.rectangle((x1, y1, x2, y2), outline=(0, 0, 0), width=5)
        drawn.rectangle((x1 + 1, y1 + 1, x2 - 1, y2 - 1), outline=colour, width=3)
        chance = self.chances[before]
        text = f"{self.number}: {self.words}" + ("" if chance is None else f", now {percent(chance)}")
        _label(drawn, (x1, max(0.0, y1 - 28)), text, colour, font)

    def _mask(self, picture: Image.Image, mask: Mask, box: Any, then: Any, ratio: tuple[float, float]) -> None:
        """A mask where the face has moved to since it was measured."""
        scale = (box[2:] - box[:2]) / np.maximum(then[2:] - then[:2], 1e-6)
        corners = (np.array(mask.box).reshape(2, 2) - then[:2]) * scale + box[:2]
        (x1, y1), (x2, y2) = corners * np.array(ratio)
        size = max(1, round(x2 - x1)), max(1, round(y2 - y1))
        if max(size) > 4 * max(picture.size):
            return
        over = Image.fromarray(heat((mask.values * 0.7).astype(np.float32))).resize(size, Image.Resampling.BILINEAR)
        picture.paste(over.convert("RGB"), (round(x1), round(y1)), over.getchannel("A"))


def _label(
    drawn: ImageDraw.ImageDraw, at: tuple[float, float], text: str, colour: tuple[int, int, int], font: Any
) -> None:
    left, top, right, bottom = drawn.textbbox(at, text, font=font)
    over = max(0.0, min(right + 5 - drawn.im.size[0], left - 5))  # back into the picture, as far as it has room
    at, left, right = (at[0] - over, at[1]), left - over, right - over
    drawn.rectangle((left - 4, top - 3, right + 4, bottom + 3), fill=colour)
    drawn.text(at, text, fill=(255, 255, 255), font=font)
