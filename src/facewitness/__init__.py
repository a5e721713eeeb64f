"""facewitness: where and why a face was forged, a verdict you can check.

    import facewitness
    report = facewitness.analyze("photo.jpg")
    report.verdict.label, report.verdict.fake     # "fake", 0.93

The names below are loaded when they are first used, so that importing this package costs nothing.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from facewitness.version import __version__

if TYPE_CHECKING:
    from facewitness.answers import Answer as Answer
    from facewitness.calibration import Calibration as Calibration
    from facewitness.calibration import Profile as Profile
    from facewitness.dialogue import Dialogue as Dialogue
    from facewitness.errors import BackendError as BackendError
    from facewitness.errors import FacewitnessError as FacewitnessError
    from facewitness.errors import InputError as InputError
    from facewitness.errors import MissingExtra as MissingExtra
    from facewitness.errors import ReportError as ReportError
    from facewitness.errors import TooLarge as TooLarge
    from facewitness.errors import UnknownName as UnknownName
    from facewitness.errors import UnreadableMedia as UnreadableMedia
    from facewitness.errors import WeightsError as WeightsError
    from facewitness.judge import Limits as Limits
    from facewitness.others import Backend as Backend
    from facewitness.pipeline import Analyzer as Analyzer
    from facewitness.pipeline import Finder as Finder
    from facewitness.pipeline import Witness as Witness
    from facewitness.pipeline import analyze as analyze
    from facewitness.pool import Pool as Pool
    from facewitness.pool import analyze_many as analyze_many
    from facewitness.types import Analysis as Analysis
    from facewitness.types import Clip as Clip
    from facewitness.types import Face as Face
    from facewitness.types import Finding as Finding
    from facewitness.types import Frame as Frame
    from facewitness.types import FrameRef as FrameRef
    from facewitness.types import Mark as Mark
    from facewitness.types import Mask as Mask
    from facewitness.types import Medium as Medium
    from facewitness.types import Moment as Moment
    from facewitness.types import PersonReport as PersonReport
    from facewitness.types import Place as Place
    from facewitness.types import Problem as Problem
    from facewitness.types import Quality as Quality
    from facewitness.types import Question as Question
    from facewitness.types import Reply as Reply
    from facewitness.types import Report as Report
    from facewitness.types import Sample as Sample
    from facewitness.types import Sentence as Sentence
    from facewitness.types import Testimony as Testimony
    from facewitness.types import Track as Track
    from facewitness.types import Truth as Truth
    from facewitness.types import Turn as Turn
    from facewitness.types import Verdict as Verdict

# ONNX Runtime's builds (seen in 1.31) report their use to their makers unless this is set before they are loaded. What
# is examined here is nobody else's business, so it stays off unless the user has said otherwise.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# `python -m facewitness…` puts the current folder first among the places that modules are imported from. Photographs of
# strangers lie there, and a numpy.py beside them would be run; so it is taken out, unless this package lies in it.
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path and sys.path:
    _asked_for = any(word.removeprefix("-m").split(".")[0] == __name__ for word in sys.orig_argv[1:])
    if _asked_for and sys.path[0] != __file__.rpartition(f"{os.sep}{__name__}{os.sep}")[0]:
        del sys.path[0]

_WHERE = {
    "answers": ("Answer",),
    "calibration": ("Calibration", "Profile"),
    "dialogue": ("Dialogue",),
    "errors": (
        "BackendError",
        "FacewitnessError",
        "InputError",
        "MissingExtra",
        "ReportError",
        "TooLarge",
        "UnknownName",
        "UnreadableMedia",
        "WeightsError",
    ),
    "judge": ("Limits",),
    "others": ("Backend",),
    "pipeline": ("Analyzer", "Finder", "Witness", "analyze"),
    "pool": ("Pool", "analyze_many"),
    "types": (
        "Analysis",
        "Clip",
        "Face",
        "Finding",
        "Frame",
        "FrameRef",
        "Mark",
        "Mask",
        "Medium",
        "Moment",
        "PersonReport",
        "Place",
        "Problem",
        "Quality",
        "Question",
        "Reply",
        "Report",
        "Sample",
        "Sentence",
        "Testimony",
        "Track",
        "Truth",
        "Turn",
        "Verdict",
    ),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}

__all__ = ["__version__", *sorted(_MODULE_OF)]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'facewitness' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"facewitness.{_MODULE_OF[name]}"), name)
    globals()[name] = value  # the next access is a plain one
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
