"""FFAA's decision between answers: match scores, the best one, easy or hard; and MIDS from ONNX, without torch.

Huang et al., "FFAA: Multimodal Large Language Model based Explainable Open-World Face Forgery Analysis Assistant",
section "Face Forgery Analysis Assistant". The multi-answer intelligent decision system (MIDS, `models/mids`) gives four
logits for an image and an answer, over (Eq. 3, lost in the text at hand; by the authors' public code)

    0  a real image and an answer that says real       1  a real image and an answer that says fake
    2  a fake image and an answer that says real       3  a fake image and an answer that says fake

With p their softmax, the match score of an answer is (Eq. 1, likewise)

    p₀ / (p₀ + p₂)   where it says real                 p₃ / (p₃ + p₁)   where it says fake

The answer with the highest score is chosen. Its forgery score is the match score where it says fake, else one minus it.
A face is *easy* where all answers agree, else *hard*; no threshold is set.

Where the paper is silent: of equal scores the first answer counts (the authors' argmax), and the decision says that it
was a tie. An answer without a verdict has no score and cannot be chosen; where none has one there is no decision.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness import weights
from facewitness.errors import InputError, WeightsError
from facewitness.files import each_once

CLASSES = ("real, said real", "real, said fake", "fake, said real", "fake, said fake")
_TIE = 1e-9


@dataclass(frozen=True, slots=True)
class Decision:
    """What was chosen of several answers.

    Attributes:
        chosen: The number of the best answer.
        match: Its match score.
        fake: The forgery score.
        matches: All match scores; None of an answer without a verdict.
        easy: Whether all answers with a verdict agree, and all have one.
        tie: Whether an answer of the opposite verdict has the same score.
    """

    chosen: int
    match: float
    fake: float
    matches: tuple[float | None, ...]
    easy: bool
    tie: bool


def label(fake: bool, reply_fake: bool) -> int:
    """The class of an image and an answer (Eq. 3).

    Args:
        fake: Whether the image is fake.
        reply_fake: Whether the answer says so.
    """
    return 2 * fake + reply_fake


def match_score(logits: Sequence[float] | NDArray[np.floating], label: str | None) -> float | None:
    """The match score of one answer (Eq. 1).

    Args:
        logits: Four, in the order of CLASSES.
        label: What the answer says: "real" or "fake"; anything else has no score.

    Raises:
        InputError: Not four finite numbers.
    """
    values = np.asarray(logits, np.float64)
    if values.shape != (4,) or not np.isfinite(values).all():
        raise InputError(f"match score: expected four finite logits, got {values.tolist()!r}")
    if label not in ("real", "fake"):
        return None
    # softmax over four, of which two count: the others and the sum cancel
    with_image, against = (values[0], values[2]) if label == "real" else (values[3], values[1])
    return float(1.0 / (1.0 + math.exp(min(700.0, max(-700.0, against - with_image)))))


def decide(logits: Sequence[Sequence[float]] | NDArray[np.floating], labels: Sequence[str | None]) -> Decision | None:
    """The decision between answers; None where none has a verdict.

    Args:
        logits: (n, 4), of each answer with the same image.
        labels: What each answer says: "real", "fake", or None for no verdict.

    Raises:
        InputError: Other numbers of logits than of answers.
    """
    if len(logits) != len(labels) or not len(labels):
        raise InputError(f"decide: expected logits for each of {len(labels)} answers, got {len(logits)}")
    matches = tuple(match_score(row, verdict) for row, verdict in zip(logits, labels, strict=True))
    known = [i for i, value in enumerate(matches) if value is not None]
    if not known:
        return None
    chosen = max(known, key=lambda i: (matches[i], -i))
    best = matches[chosen]
    assert best is not None
    rivals = (matches[i] for i in known if labels[i] != labels[chosen])
    return Decision(
        chosen, best, best if labels[chosen] == "fake" else 1.0 - best, matches, is_easy(labels),
        any(value is not None and abs(value - best) <= _TIE for value in rivals),
    )  # fmt: skip


def is_easy(labels: Sequence[str | None]) -> bool:
    """Whether all answers have a verdict, and the same one.

    Args:
        labels: What each answer says: "real", "fake", or None for no verdict.
    """
    return len(set(labels)) == 1 and labels[0] in ("real", "fake")


class Decider:
    """MIDS as `models/mids.export` wrote it: image and text features in, four logits an answer out.

    Attributes:
        facts: What stands in the file's metadata under "facts": how features are made, and what was measured.
        sha256: Of the file.
    """

    def __init__(self, content: bytes, name: str, threads: int = 1):
        """Load the bytes of a file.

        Args:
            content: Of the ONNX file.
            name: Of the file, for messages.
            threads: Of ONNX Runtime.

        Raises:
            WeightsError: They are no exported MIDS.
        """
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
        settings.log_severity_level = 4
        self.name, self.sha256 = name, hashlib.sha256(content).hexdigest()
        try:
            self._session = onnxruntime.InferenceSession(
                weights.whole_onnx(content, name), settings, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's errors have no class in common
            why = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise WeightsError(f"'{name}' cannot be loaded by ONNX Runtime ({why}). Export it again.") from error
        self.inputs = tuple(one.name for one in self._session.get_inputs())
        outputs = [one.name for one in self._session.get_outputs()]
        if outputs != ["logits"]:
            raise WeightsError(f"'{name}': expected one output 'logits', got {', '.join(outputs)}. Export it again.")
        written = self._session.get_modelmeta().custom_metadata_map.get("facts", "{}")
        try:
            facts = json.loads(written, object_pairs_hook=each_once)
        except (ValueError, RecursionError) as error:
            raise WeightsError(f"'{name}': expected its facts as JSON ({error}). Export it again.") from error
        if not isinstance(facts, dict):
            raise WeightsError(
                f"'{name}': expected its facts as a JSON object, got {type(facts).__name__}. Export it again."
            )
        self.facts: Mapping[str, Any] = facts

    def logits(self, **inputs: NDArray[Any]) -> NDArray[np.float64]:
        """(n, 4) for n answers.

        Args:
            **inputs: By the names that the file gives them.

        Returns:
            (n, 4).

        Raises:
            WeightsError: Where the file does not take these inputs.
        """
        try:
            (values,) = self._session.run(["logits"], {name: inputs[name] for name in self.inputs})
        except Exception as error:
            raise WeightsError(
                f"'{self.name}' fails on {', '.join(f'{k} {v.shape}' for k, v in inputs.items())} "
                f"({(str(error) or type(error).__name__).splitlines()[0][:200]}). Export it again."
            ) from error
        return np.asarray(values, np.float64)
