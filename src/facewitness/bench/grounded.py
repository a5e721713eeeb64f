"""What MMTT's protocol and Fake-in-Facext's tasks measure alike: a mask on a picture, and words beside their controls.

Text scores stand beside two speakers that did not look: the best constant answer (image-blind) and the system's own
answers about other pictures (shuffled).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from facewitness.bench import controls, measures, wording
from facewitness.bench.measures import Value
from facewitness.errors import InputError

Bools = NDArray[np.bool_]
MOST = 1_000_000_000  # bytes of a list
TEXT = ("CIDEr", "METEOR", "BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L")


def overlap(claimed: Bools | None, changed: Bools) -> tuple[float, float, float]:
    """(IoU, precision, recall) of a mask on one picture, by the authors' rules for empty ones; None claims nothing.

    Args:
        claimed: Pixels that the answer claims, bool (H, W); None claims nothing.
        changed: Pixels that were changed, bool (H, W).

    Returns:
        IoU, precision and recall, each in [0, 1].

    Raises:
        InputError: For masks of two sizes: stretched, one would mark other places.
    """
    claim = np.zeros_like(changed) if claimed is None else claimed
    if claim.shape != changed.shape:
        raise InputError(f"mask of another size: expected {changed.shape}, got {claim.shape}")
    both, either = int((claim & changed).sum()), int((claim | changed).sum())
    claims, true = int(claim.sum()), int(changed.sum())
    iou = 1.0 if either == 0 else both / either
    precision = both / claims if claims else float(true == 0)
    recall = both / true if true else float(claims == 0)
    return iou, precision, recall


def controlled(
    texts: Sequence[str | None],
    references: Sequence[Sequence[str]],
    groups: Sequence[str],
    questions: Sequence[str] | None = None,
    *,
    seed: int = 0,
    meteor: bool = True,
) -> dict[str, Any]:
    """Text scores of a system ("words"), and of the two speakers that did not look, with the margin over each.

    Args:
        texts: What the system said.
        references: What people, or the builder, said.
        groups: Who is shown: a control answers from other groups.
        questions: What was asked, where it was not the same for all.
        seed: What the controls draw from.
        meteor: Whether METEOR is measured, which takes Java.

    Returns:
        Speaker → its scores, and the margins.
    """
    asked_for = list(questions) if questions is not None else ["report"] * len(texts)
    table = pa.table(
        {
            "question": asked_for, "text": [text or "" for text in texts], "group": list(groups),
            "references": [list(each) for each in references],
        }
    )  # fmt: skip
    numbers: dict[str, Any] = {"words": worded(wording.measure(texts, references, meteor=meteor))}
    for name, theirs in (
        ("image-blind", controls.blind(table, seed=seed)),
        ("shuffled", controls.shuffled(table, seed)),
    ):
        kept = [index for index, text in enumerate(theirs) if text is not None]
        if not kept:
            numbers[name] = {"why": "one group only: nobody else was asked"}
            continue
        of_control = wording.measure([theirs[i] for i in kept], [references[i] for i in kept], meteor=meteor)
        of_system = wording.measure([texts[i] for i in kept], [references[i] for i in kept], meteor=False)
        difference = of_system.per_item["cider"] - of_control.per_item["cider"]
        margin = measures.ratios({"m": (difference, np.ones(len(kept)))}, [groups[i] for i in kept], seed=seed)["m"]
        numbers[name] = worded(of_control) | {"CIDEr margin": in_percent(margin)}
    return numbers


def worded(measured: wording.Wording) -> dict[str, Any]:
    """Measures of words in per cent, as the papers print them: CIDEr times 100, too.

    Args:
        measured: Of a speaker's words.

    Returns:
        Name → per cent, the tokenizer, and why something was not measured.
    """
    values = (
        measured.cider, measured.meteor, measured.bleu1, measured.bleu2, measured.bleu3, measured.bleu4,
        measured.rouge_l,
    )  # fmt: skip
    made: dict[str, Any] = {
        name: None if value is None else round(100 * value, 2) for name, value in zip(TEXT, values, strict=True)
    }
    return made | {"tokenizer": measured.tokenizer, "notes": dict(measured.notes)}


def in_percent(value: Value) -> dict[str, Any]:
    """A measure in per cent with its interval, JSON-ready.

    Args:
        value: As `measures` gives it.

    Returns:
        `value`, `low`, `high`, and `why` there is none.
    """
    return {
        "value": None if value.value is None else round(100 * value.value, 2),
        "low": None if value.low is None else round(100 * value.low, 2),
        "high": None if value.high is None else round(100 * value.high, 2),
        "why": value.why if value.value is None else "",
    }


def why_no_meteor(about: Mapping[str, Any]) -> list[str]:
    """A line that says why METEOR was not measured; none where it was, or was not asked for.

    Args:
        about: As `controlled` gives it.
    """
    own = about.get("words", {})
    why = own.get("notes", {}).get("meteor")
    if own.get("METEOR") is not None or why is None:
        return []
    return ["", f"{why}." if why.startswith("METEOR") else f"METEOR: {why}."]
