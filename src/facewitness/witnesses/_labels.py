"""What a classifier's labels and numbers mean: which label is fake, and from logits to its share.

The names are read by a closed table. Where they do not tell, nobody guesses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facewitness.errors import InputError

_FAKE = "fake fakes deepfake deepfakes ai aigc artificial generated synthetic synthesized manipulated forged forgery"
_REAL = "real realism genuine authentic human hum original pristine natural nature bonafide photo photograph live"
FAKE = frozenset(f"{_FAKE} tampered altered gan diffusion spoof machine".split())
REAL = frozenset(_REAL.split())
_NOT = frozenset(("not", "non", "no"))


def meaning(label: str) -> bool | None:
    """Whether a label's name means fake: "AI-generated", "not_real"; None where it does not tell."""
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", label).lower())
    fake, real = any(word in FAKE for word in words), any(word in REAL for word in words)
    if fake == real:
        return None
    return fake != any(word in _NOT for word in words)


def fake_index(labels: Sequence[str], given: int | None, name: str) -> int:
    """Which of a classifier's outputs means fake; of a single output, 1 where a high one does and 0 where a low one.

    Args:
        labels: in the order of the outputs.
        given: what the caller says; None to read it from the names.
        name: of the model, for messages.

    Raises:
        InputError: another number of labels than one or two, or names that do not tell.
    """
    listed = ", ".join(repr(label[:40]) for label in labels[:6]) or "none"
    if len(labels) not in (1, 2):
        raise InputError(f"'{name}' has {len(labels)} labels ({listed}); expected real and fake. Name another model.")
    if given not in (None, 0, 1):
        raise InputError(f"hub.fake: expected 0 or 1, the number of the output that means fake, got {given}")
    if given is not None:
        return given
    means = [meaning(label) for label in labels]
    if len(means) == 1 and means[0] is not None:
        return int(means[0])
    if len(means) == 2 and None not in means and means[0] != means[1]:
        return means.index(True)
    raise InputError(
        f"'{name}': the labels {listed} do not tell which means fake. Say so with --option hub.fake=1 (or 0); "
        "facewitness calibrate, on pictures of your own, finds out whether it is true."
    )


def probability(logits: NDArray[np.float64], fake: int) -> float:
    """σ of one logit, or softmax of two, as the share of fake.

    Args:
        logits: (1,) or (2,).
        fake: as `fake_index` gives it.

    Raises:
        InputError: NaN or infinity.
    """
    if not np.isfinite(logits).all():
        raise InputError("The model answered with NaN or infinity; expected finite numbers. Name another model.")
    high = float(logits[0] if logits.size == 1 else logits[1] - logits[0])
    p = float(1.0 / (1.0 + np.exp(-np.clip(high, -60.0, 60.0))))
    return p if fake == 1 else 1.0 - p
