"""What a benchmark's run keeps of an analysis: the report, and one small picture.

It is made where the picture was analysed, which may be another process; so this file imports nothing that measures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facewitness import geometry
from facewitness.types import Analysis, Clip, PersonReport, Pixels, Report

THUMBNAIL = 96  # pixels


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A report without pictures, the most suspicious face's thumbnail, and the seconds it all took."""

    report: Report
    picture: Pixels | None
    seconds: float | None
    clip: Clip | None = None  # where a witness is to be asked more


def kept(analysis: Analysis) -> Kept:
    """Runs where the picture was analysed. The thumbnail is cut by striding: it costs nothing, and is made small.

    Args:
        analysis: The report, with the pixels.
    """
    picture, report = None, analysis.report
    if analysis.clip is not None and report.people:
        face = max(report.people, key=suspicion)
        frame = analysis.clip.at(face.face.at)
        box = geometry.clip(face.face.box, frame.width, frame.height)
        if box is not None:
            x1, y1, x2, y2 = (round(v) for v in box)
            step = max(1, round(max(x2 - x1, y2 - y1) / THUMBNAIL))
            picture = np.ascontiguousarray(frame.pixels[y1:y2:step, x1:x2:step])
            if picture.size == 0:
                picture = None
    return Kept(report, picture, None)


def suspicion(face: PersonReport) -> float:
    """A face's probability of forgery; below all others where nobody could tell.

    Args:
        face: Of a report.
    """
    return -1.0 if face.verdict.fake is None else face.verdict.fake
