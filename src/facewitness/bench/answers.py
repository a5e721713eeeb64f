"""Whether a language model's answers follow the evidence: verdicts and regions in words, against truth and detector.

    facewitness bench answers MODEL sbi_qa.parquet --out answers.json [--detector kfd.safetensors]
    facewitness bench answers PREDICTIONS --out answers.json                         again, without asking the model

MODEL is what `train/sft` or models/prompted_vlm saved, or a plain model's folder or hub name. The questions are those
of `builders/sbi_qa`: half of all verdicts are fake and half of all regions asked about are forged, so 0.5 is chance.

    verdict      accuracy of yes and no to "is this fake?"; an answer that says neither is wrong
    agreement    share of those answers that say what the detector's score says (fake above 0.5)
    regions      accuracy of yes and no to "is the nose fake?", and for each way such a question comes about
    named        Jaccard index of the regions a verdict on a forgery names and those that were forged
    detector     accuracy of the score itself, which words cannot be expected to pass

Beside each stands what speakers get that have not looked, or add nothing (`speakers.CONTROLS`): the best constant
answer to each question, the model's own answers to pictures of other people, the score alone, the map alone where it is
known, always fake and always real. The mean over yes and no of the accuracy,
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
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from facewitness import questions, regions
from facewitness.bench import measures, predictions, speakers, wording
from facewitness.builders.sbi_qa import CHOICES, Row, read_parquet
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.grammars import yes_no
from facewitness.models import prompted_vlm as pv
from facewitness.models.kfd import KFD
from facewitness.types import Reply

_FAKE = 0.5  # a score from it on says fake


def ask(
    model: Any, processor: Any, rows: Sequence[Row], *, quoted: bool, batch: int = 32, max_tokens: int = 64
) -> list[str]:
    """The model's answer to each row's question about the row's picture; `quoted` tells it the row's score in words.

    Args:
        model: A language model, with or without an expert.
        processor: The model's own.
        rows: What is asked: a picture, a question and what is true of each.
        quoted: Whether each prompt tells the row's score in words.
        batch: How many at once.
        max_tokens: Of an answer, at most.

    Raises:
        InputError: Where a score should be quoted and a row has none.
    """
    if quoted and any(row["score"] is None for row in rows):
        raise InputError("answers: expected a detector's score in every row to quote. Name one with --detector.")
    replies: list[str] = []
    for begin in track(range(0, len(rows), batch), "asking"):
        part = rows[begin : begin + batch]
        texts = [yes_no.prompt(r["description"], r["score"] if quoted else None, r["question"]) for r in part]
        replies += pv.answers(model, processor, [_picture(r["image"]) for r in part], texts, max_tokens)
    return replies


def scores(detector: KFD, rows: Sequence[Row], batch: int = 32) -> list[float]:
    """The detector's score of each row's picture, 1 means fake; a picture of many questions is looked at once.

    Args:
        detector: The detector whose score the answers are held to.
        rows: What is asked: a picture, a question and what is true of each.
        batch: How many at once.

    Returns:
        One a row, in [0, 1], 1 means fake.
    """
    pictures = {row["file"]: row["image"] for row in rows}
    names, size = list(pictures), detector.encoders.size
    results: dict[str, float] = {}
    device = next(detector.parameters()).device
    for begin in range(0, len(names), batch):
        part = names[begin : begin + batch]
        pixels = [np.asarray(_picture(pictures[name]).resize((size, size), Image.Resampling.BILINEAR)) for name in part]
        with torch.inference_mode():
            score = detector(torch.from_numpy(np.stack(pixels).transpose(0, 3, 1, 2).copy()).float().to(device)).score
        results |= dict(zip(part, score.tolist(), strict=True))
    return [results[row["file"]] for row in rows]


def _picture(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def rows_of(rows: Sequence[Row], texts: Sequence[str], dataset: str = "sbi_qa") -> list[predictions.Row]:
    """The model's answers as predictions, in the order of the questions.

    Args:
        rows: What is asked: a picture, a question and what is true of each.
        texts: The answers, one a row.
        dataset: Its name in the predictions.

    Raises:
        InputError: Where the lengths differ.
    """
    if len(rows) != len(texts):
        raise InputError(f"answers: expected an answer for each row, got {len(texts)} for {len(rows)}")
    return [
        {
            "dataset": dataset, "file": row["file"], "frame": None, "group": row["group"], "split": "all",
            "label": row["label"], "perturbation": "none", "strength": 0, "status": "ok", "score": row["score"],
            "regions_true": sorted(row["regions"] or ()), "speaker": "dialogue", "witness": "model",
            "grammar": "yes_no", "question": row["question"], "says": yes_no.parse(text).label, "text": text,
            "raw": text, "references": [row["answer"]],
        }
        for row, text in zip(rows, texts, strict=True)
    ]  # fmt: skip


def measure(table: pa.Table, seed: int = 0) -> dict[str, Any]:
    """All numbers of answers in a table of predictions, and of the controls beside them, as JSON.

    Args:
        table: Predictions with answers to questions.
        seed: Of the bootstrap and of the controls.

    Returns:
        Name of a part → its numbers.

    Raises:
        InputError: the table has no answer to a question.
    """
    table = table.filter(pc.is_valid(table.column("question")))
    if not table.num_rows:
        raise InputError("answers: expected predictions with answers to questions, got none. Run with --questions.")
    own = speakers.replies(table)
    systems = {"model": own} | {name: control(table, _FAKE) for name, control in speakers.CONTROLS.items()}
    texts = [None if reply is None else reply.text for reply in own]
    words = wording.measure(texts, table.column("references").to_pylist(), meteor=False)
    return {
        "questions": table.num_rows,
        "pictures": pc.count_distinct(table.column("file")).as_py(),
        "groups": pc.count_distinct(table.column("group")).as_py(),
        **{name: _numbers(table, replies, seed) for name, replies in systems.items()},
        "wording": {k: getattr(words, k) for k in ("bleu4", "rouge_l", "cider", "tokenizer")},
    }


def _numbers(table: pa.Table, replies: Sequence[Reply | None], seed: int) -> dict[str, Any]:
    """One speaker's numbers; a reply that is None has no answer to be judged and counts nowhere."""
    regions_asked = [questions.asked_regions(question) for question in table.column("question").to_pylist()]
    true = [frozenset(regions_true or ()) for regions_true in table.column("regions_true").to_pylist()]
    forged = np.array([label == "fake" for label in table.column("label").to_pylist()])
    answered = np.array([reply is not None for reply in replies])
    verdict = np.array([not about for about in regions_asked])
    fake = np.array(
        [bool(true[i].intersection(about)) if about else bool(forged[i]) for i, about in enumerate(regions_asked)]
    )
    label = np.array(["" if reply is None else reply.label or "" for reply in replies])
    right = label == np.where(fake, "fake", "real")
    score = table.column("score").to_numpy(zero_copy_only=False).astype(np.float64)
    scored = ~np.isnan(score)
    follows = label == np.where(score >= _FAKE, "fake", "real")
    jaccard = np.array([_jaccard(at, reply) for at, reply in zip(true, replies, strict=True)])

    def share(part: NDArray[Any], of: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        whole = of & answered
        return np.where(whole, part, 0).astype(np.float64), whole.astype(np.float64)

    parts = {
        "verdict": share(right, verdict),
        "verdict, real": share(right, verdict & ~fake),
        "verdict, fake": share(right, verdict & fake),
        "untold": share(label == "", verdict | ~verdict),
        "agreement": share(follows, verdict & scored),
        "detector": share((score >= _FAKE) == fake, verdict & scored),
        "regions": share(right, ~verdict),
        "regions, forged": share(right, ~verdict & fake),
        "regions, another is forged": share(right, ~verdict & ~fake & forged),
        "regions, nothing is forged": share(right, ~verdict & ~forged),
        "named": share(jaccard, verdict & fake),
    }
    values = measures.ratios(parts, measures.groups(table), seed=seed)
    out: dict[str, Any] = {name: asdict(value) for name, value in values.items()}
    real, forged_ones = (values[f"verdict, {label}"].value for label in ("real", "fake"))
    out["balanced"] = None if real is None or forged_ones is None else (real + forged_ones) / 2
    return out


def _jaccard(forged: frozenset[str], reply: Reply | None) -> float:
    """Of the regions named and those forged, by the names that the answers of `builders/sbi_qa` use."""
    text = ("" if reply is None else reply.text).lower()
    named = {n for n in forged | set(CHOICES) if re.search(rf"\b{re.escape(regions.title(n))}\b", text)}
    return len(forged & named) / len(forged | named) if forged | named else 0.0


def run(
    name: str,
    table: Path | None,
    out: Path,
    *,
    detector: Path | None = None,
    quoted: bool = False,
    batch_size: int = 32,
    limit: int | None = None,
) -> dict[str, Any]:
    """Asks a model every question of a table and writes what its answers are worth, beside controls, as JSON.

    Args:
        name: A folder of `train/sft`'s model, a plain model's folder or hub name, or predictions that hold answers:
            those of this command, or a run of `bench run --questions`.
        table: sbi_qa.parquet of faces that the model has not seen.
        out: The JSON file; the answers are the predictions in the folder beside it that is called like it.
        detector: Weights of KFD whose scores replace the table's; None takes the model's own expert, if it has one.
        quoted: Whether the model is told the detector's score in words.
        batch_size: Questions at once.
        limit: The first so many questions alone.

    Returns:
        What the JSON file holds.
    """
    kept = out.with_suffix("")
    facts: dict[str, Any]
    if (Path(name) / "predictions.parquet").exists():
        reply_table, facts = predictions.read(name)
        facts = {key: facts[key] for key in ("model_name", "quoted", "score", "table_sha256") if key in facts}
    elif table is None:
        raise InputError(
            f"answers: expected predictions in {name}, or beside a model a table of questions, got neither"
        )
    else:
        rows = read_parquet(table)[:limit]
        model, processor = pv.loaded(name, dtype="auto")
        if torch.cuda.is_available():
            model = model.to("cuda")
        facts = {"model_name": Path(name).name, "quoted": quoted, **_score(rows, model, detector, batch_size)}
        facts["table_sha256"] = hashlib.sha256(table.read_bytes()).hexdigest()
        texts = ask(model, processor, rows, quoted=quoted, batch=batch_size)
        meta = {"name": Path(name).name, "dataset": "sbi_qa", "questions": True, **facts}
        reply_table = predictions.write(kept, meta, rows_of(rows, texts))
    numbers = {**facts, **measure(reply_table)}
    write_whole(out, (json.dumps(numbers, indent=1) + "\n").encode())
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
    """The numbers as a small table for people.

    Args:
        numbers: As the function above gives them.
    """
    columns = ("model", *speakers.CONTROLS)
    show: Callable[[Any], str] = lambda v: "—" if v is None or v["value"] is None else f"{v['value']:.3f}"  # noqa: E731
    lines = [f"{'':28}" + "".join(f"{name:>16.16}" for name in columns)]
    for name in ("verdict", "agreement", "detector", "regions", "named", "untold"):
        lines.append(f"{name:28}" + "".join(f"{show(numbers[column][name]):>16}" for column in columns))
    return "\n".join(lines)
