"""What a witness's words are held against: its own score, and what that score decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from facewitness.types import Label


def decided(score: float, calibration: Mapping[str, Any] | None) -> Label:
    """What a score in [0, 1] alone says: as the calibration decides (`judge.Calibration` as JSON), else by its half."""
    if calibration is None:
        return "fake" if score >= 0.5 else "real"
    kept = np.clip(score, 1e-6, 1 - 1e-6)
    logit = np.log(kept) - np.log1p(-kept)
    p = float(1 / (1 + np.exp(-(calibration["slope"] * logit + calibration["offset"]))))
    if p >= calibration["fake_above"]:
        return "fake"
    return "real" if p < calibration["real_below"] else "inconclusive"


def beside(words: Label | None, evidence: Label, source: str) -> str:
    """Whether the words agree with the evidence, as a sentence; empty where one of them does not decide."""
    if words not in ("real", "fake") or evidence not in ("real", "fake"):
        return ""
    how = "agree with" if words == evidence else "contradict"
    return f"The words {how} {source}, which says {evidence}."
