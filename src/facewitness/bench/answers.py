"""Whether a language model's answers follow the evidence: verdicts and regions in words, against truth and detector.

    facewitness bench answers MODEL sbi_qa.parquet --out answers.json [--detector kfd.safetensors]

MODEL is what `train/sft` or models/prompted_vlm saved, or a plain model's folder or hub name. The questions are those
of `builders/sbi_qa`: half of all verdicts are fake and half of all regions asked about are forged, so 0.5 is chance.

    verdict      accuracy of yes and no to "is this fake?"; an answer that says neither is wrong
    agreement    share of those answers that say what the detector's score says (fake above 0.5)
    regions      accuracy of yes and no to "is the nose fake?", and for each way such a question comes about
    named        Jaccard index of the regions a verdict on a forgery names and those that were forged
    detector     accuracy of the score itself, which words cannot be expected to pass

Beside each stands what two systems get that have not looked (`controls`): "blind" gives each question its best constant
answer, "shuffled" gives the model's own answers to pictures of other people. The mean over yes and no of the accuracy,
`balanced`, is what KFD's Table 4 calls AUC of an answer in words. All values are Σ right / Σ asked with a 95 % interval
from a bootstrap over groups.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from facewitness import regions
from facewitness.bench import controls, measures, wording
from facewitness.builders.sbi_qa import CHOICES, Row, prompt, read_parquet
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.grammars import yes_no
from facewitness.models import prompted_vlm as pv
from facewitness.models.kfd import KFD

_FAKE = 0.5  # a score above it says fake


def ask(model: Any, processor: Any, rows: Sequence[Row], *, quoted: bool, batch: int = 32, most: int = 64) -> list[str]:
    """The model's answer to each row's question about the row's picture; `quoted` tells it the row's score in words.

    Raises InputError where a score should be quoted and a row has none.
    """
    if quoted and any(row["score"] is None for row in rows):
        raise InputError("answers: expected a detector's score in every row to quote. Name one with --detector.")
    said: list[str] = []
    for begin in track(range(0, len(rows), batch), "asking"):
        part = rows[begin : begin + batch]
        texts = [prompt(r["description"], r["score"] if quoted else None, r["question"]) for r in part]
        said += pv.answers(model, processor, [_picture(r["image"]) for r in part], texts, most)
    return said


def scores(detector: KFD, rows: Sequence[Row], batch: int = 32) -> list[float]:
    """The detector's score of each row's picture, 1 means fake; a picture of many questions is looked at once."""
    pictures = {row["file"]: row["image"] for row in rows}
    names, size = list(pictures), detector.encoders.size
    found: dict[str, float] = {}
    device = next(detector.parameters()).device
    for begin in range(0, len(names), batch):
        part = names[begin : begin + batch]
        pixels = [np.asarray(_picture(pictures[name]).resize((size, size), Image.Resampling.BILINEAR)) for name in part]
        with torch.inference_mode():
            score = detector(torch.from_numpy(np.stack(pixels).transpose(0, 3, 1, 2).copy()).float().to(device)).score
        found |= dict(zip(part, score.tolist(), strict=True))
    return [found[row["file"]] for row in rows]


def _picture(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def measure(rows: Sequence[Row], texts: Sequence[str | None], seed: int = 0) -> dict[str, Any]:
    """All numbers of `texts`, the answers to `rows`, as JSON. Raises InputError where the lengths differ."""
    if len(rows) != len(texts):
        raise InputError(f"answers: expected an answer for each row, got {len(texts)} for {len(rows)}")
    table = pa.table(
        {
            "question": [row["question"] for row in rows],
            "references": [[row["answer"]] for row in rows],
            "group": [row["group"] for row in rows],
            "text": list(texts),
        }
    )
    systems = {
        "model": list(texts),
        "blind": controls.blind(table, seed=seed),
        "shuffled": controls.shuffled(table, seed=seed),
    }
    words = wording.measure(texts, table["references"].to_pylist(), meteor=False)
    return {
        "questions": len(rows),
        "pictures": len({row["file"] for row in rows}),
        "groups": len({row["group"] for row in rows}),
        **{name: _numbers(rows, said, seed) for name, said in systems.items()},
        "wording": {k: getattr(words, k) for k in ("bleu4", "rouge_l", "cider", "tokenizer")},
    }


def _numbers(rows: Sequence[Row], texts: Sequence[str | None], seed: int) -> dict[str, Any]:
    """One system's numbers; a text that is None has no answer to be judged and counts nowhere."""
    said = [None if text is None else yes_no.parse(text).label for text in texts]
    answered = np.array([text is not None for text in texts])
    verdict = np.array([row["asked"] is None for row in rows])
    fake = np.array([_truth(row) for row in rows])
    right = np.array([label == ("fake" if truth else "real") for label, truth in zip(said, fake, strict=True)])
    score = np.array([np.nan if row["score"] is None else row["score"] for row in rows], np.float64)
    follows = np.array([label == ("fake" if s > _FAKE else "real") for label, s in zip(said, score, strict=True)])
    forged = np.array([row["label"] == "fake" for row in rows])
    told = np.array([label is not None for label in said])
    jaccard = np.array([_jaccard(row, text) for row, text in zip(rows, texts, strict=True)])
    scored = ~np.isnan(score)

    def share(part: NDArray[Any], of: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        whole = of & answered
        return np.where(whole, part, 0).astype(np.float64), whole.astype(np.float64)

    parts = {
        "verdict": share(right, verdict),
        "verdict, real": share(right, verdict & ~fake),
        "verdict, fake": share(right, verdict & fake),
        "untold": share(~told, verdict | ~verdict),
        "agreement": share(follows, verdict & scored),
        "detector": share((score > _FAKE) == fake, verdict & scored),
        "regions": share(right, ~verdict),
        "regions, forged": share(right, ~verdict & fake),
        "regions, another is forged": share(right, ~verdict & ~fake & forged),
        "regions, nothing is forged": share(right, ~verdict & ~forged),
        "named": share(jaccard, verdict & fake),
    }
    values = measures.ratios(parts, np.array([row["group"] for row in rows]), seed=seed)
    out: dict[str, Any] = {name: asdict(value) for name, value in values.items()}
    real, forged_ones = (values[f"verdict, {label}"].value for label in ("real", "fake"))
    out["balanced"] = None if real is None or forged_ones is None else (real + forged_ones) / 2
    return out


def _truth(row: Row) -> bool:
    """Whether "yes" is the right answer to a row's question."""
    return bool(row["label"] == "fake") if row["asked"] is None else row["asked"] in (row["regions"] or ())


def _jaccard(row: Row, text: str | None) -> float:
    """Of the regions named and those forged, by the names that the answers of `builders/sbi_qa` use."""
    forged = set(row["regions"] or ())
    said = (text or "").lower()
    named = {n for n in forged | set(CHOICES) if re.search(rf"\b{re.escape(regions.title(n))}\b", said)}
    return len(forged & named) / len(forged | named) if forged | named else 0.0


def run(
    name: str, table: Path, out: Path, *, detector: Path | None = None, quoted: bool = False, batch_size: int = 32,
    limit: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Asks a model every question of a table and writes what its answers are worth, beside controls, as JSON.

    Args:
        name: A folder of `train/sft`'s model, or a plain model's folder or hub name.
        table: sbi_qa.parquet of faces that the model has not seen.
        out: The JSON file; the answers go beside it, .answers.jsonl.
        detector: Weights of KFD whose scores replace the table's; None takes the model's own expert, if it has one.
        quoted: Whether the model is told the detector's score in words.
        batch_size: Questions at once.
        limit: The first so many questions alone.

    Returns:
        What the JSON file holds.
    """
    rows = read_parquet(table)[:limit]
    model, processor = pv.loaded(name, dtype="auto")
    if torch.cuda.is_available():
        model = model.to("cuda")
    facts = _score(rows, model, detector, batch_size)
    texts = ask(model, processor, rows, quoted=quoted, batch=batch_size)
    numbers: dict[str, Any] = {"model_name": Path(name).name, "quoted": quoted, **facts}
    numbers |= {"table_sha256": hashlib.sha256(table.read_bytes()).hexdigest(), **measure(rows, texts)}
    write_whole(out, (json.dumps(numbers, indent=1) + "\n").encode())
    kept = ("file", "question", "asked", "label", "regions", "score", "answer")
    lines = [
        json.dumps({name: value for name, value in row.items() if name in kept} | {"text": text})
        for row, text in zip(rows, texts, strict=True)
    ]
    write_whole(out.with_suffix(".answers.jsonl"), "".join(f"{line}\n" for line in lines).encode())
    return numbers


def _score(rows: list[Row], model: Any, path: Path | None, batch: int) -> dict[str, Any]:
    """Put the scores of the detector named, or of the model's own, into the rows; else the table's own stay."""
    expert = pv.expert_of(model)
    detector = getattr(expert, "detector", None) if path is None else KFD.load(path)
    if detector is not None:
        for row, score in zip(rows, scores(detector, rows, batch), strict=True):
            row["score"] = score
    return {"score": "the table's" if detector is None else "the model's own" if path is None else path.name}


def summary(numbers: Mapping[str, Any]) -> str:
    """The numbers as a small table for people."""
    columns = ("model", "blind", "shuffled")
    show: Callable[[Any], str] = lambda v: "—" if v is None or v["value"] is None else f"{v['value']:.3f}"  # noqa: E731
    lines = [f"{'':28}" + "".join(f"{name:>10}" for name in columns)]
    for name in ("verdict", "agreement", "detector", "regions", "named", "untold"):
        lines.append(f"{name:28}" + "".join(f"{show(numbers[column][name]):>10}" for column in columns))
    return "\n".join(lines)
