"""Measures what a language model replies about held-out faces, in MARE's grammar, beside controls that have not looked.

    python runs/mare/evaluate.py MODEL_FOLDER dma.parquet --out DIR [--split val] [--whole] [--keep]
    python runs/mare/evaluate.py DIR/predictions.jsonl dma.parquet --out DIR           again, without asking the model

Each picture is asked each question once; all that people answered are its references, and the boxes are those of the
regions they name. Beside the model stand

    blind            one constant answer a question, chosen on other groups; boxes are the medians of other groups'
    blind, told      the same, a question and label: what is left to say once the label is known
    shuffled         the model's own replies, swapped between pictures of other groups

Rows of the table (Σ part / Σ whole, with a 95 % interval from a bootstrap over groups)
    verdict, f1      right verdicts of all replies (no verdict is wrong), F1 of "fake"; "whole": of questions about the
                     whole image, which is the paper's table 3
    told             replies with a verdict          format   replies that keep the grammar
    cider, bleu4, rouge_l                            of the explanation; the tokenizer stands in results.json
    side error       eyes and brows named on a side where nothing is forged, of those named with a side
    box iou          equation 5: the mean over regions that reply and truth both box; 0 where there is none
    regions          Jaccard index of regions said and true       alignment   equation 6, of regions named and boxed
    claims           right claims of all, by mutual validation: "agreed" (named and boxed), "boxed" alone, "named" alone
    agreement        verdicts that are the score's of the forgery traces; "score": how often that one is right

In DIR: results.json, results.md, predictions.jsonl. With --keep the shares of right claims go into the model's folder
as claims.json, where `witnesses/mare` takes the strength of its findings from.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image

from facewitness import plugins, regions
from facewitness.bench import controls, measures, wording
from facewitness.bench.measures import Value
from facewitness.builders import chats
from facewitness.errors import FacewitnessError, InputError
from facewitness.files import write_whole
from facewitness.grammars import mare
from facewitness.models import prompted_vlm as pv
from facewitness.train import paired
from facewitness.types import Box, Finding, Reply, Truth
from facewitness.witnesses.mare import CLAIMS

KINDS = ("agreed", "boxed", "named")
ENOUGH = 30  # claims of a kind, for their share to be a strength
SCORES = {"box iou": "boxes", "regions": "regions", "alignment": "alignment"}
NAN = float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """A question about a picture, and all that people answered to it."""

    row: dict[str, Any]  # of the table, with `prompt`: file, image, size, label, group, question
    truth: Truth

    @property
    def whole(self) -> bool:
        """Whether the question is about the whole image."""
        return not regions.mentioned(re.sub(r"\bfaces?\b", " ", self.row["question"], flags=re.IGNORECASE))


def items(rows: Sequence[Mapping[str, Any]]) -> list[Item]:
    """Annotations, one for each picture and question."""
    asked: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        asked[row["file"], row["question"]].append(row)
    out = []
    for same in asked.values():
        boxes = {
            name: tuple(box)
            for row in same
            for name, box in zip(row["regions"], row["boxes"], strict=True)
            if box is not None
        }
        texts = tuple(dict.fromkeys(text for row in same for text in row["texts"]))
        named = frozenset(name for row in same for name in row["regions"])
        first = dict(same[0]) | {"prompt": mare.prompt(same[0]["question"])}
        out.append(Item(first, Truth(same[0]["label"], regions=named, boxes=boxes, texts=texts)))
    return out


# -------------------------------------------------------------------------------------------------------- the controls


def systems(asked: Sequence[Item], replies: Sequence[str], seed: int = 0) -> dict[str, list[str | None]]:
    """What is measured: the model's replies, and the controls', None where there is none."""
    table = pa.table(
        {
            "question": [item.row["question"] for item in asked],
            "references": [list(item.truth.texts) for item in asked],
            "label": [item.row["label"] for item in asked],
            "group": [item.row["group"] for item in asked],
            "text": list(replies),
        }
    )
    median = _median_boxes(asked)
    return {
        "model": list(replies),
        "blind": _worded(asked, controls.blind(table, seed=seed), median),
        "blind, told": _worded(asked, controls.blind(table, by_label=True, seed=seed), median),
        "shuffled": controls.shuffled(table, seed=seed),
    }


def _worded(
    asked: Sequence[Item], texts: Sequence[str | None], median: Mapping[tuple[str, str], Box | None]
) -> list[str | None]:
    """Constant texts as replies: every region that a text accuses gets its median box."""
    out: list[str | None] = []
    for item, text in zip(asked, texts, strict=True):
        label = None if text is None else mare.parse(text).label
        accused = regions.mentioned(text) if text is not None and label != "real" else ()
        boxes = {name: median.get((item.row["group"], name)) for name in accused}
        findings = tuple(Finding.on(name, box, None, "", None) for name, box in boxes.items() if box is not None)
        out.append(None if text is None else mare.render(Reply(label, None, (text,), findings, "I do not look.")))
    return out


def _median_boxes(asked: Sequence[Item]) -> dict[tuple[str, str], Box | None]:
    """(group, region) → the median of the region's boxes in all other groups."""
    found: dict[str, list[tuple[str, Box]]] = defaultdict(list)
    for item in asked:
        for name, box in (item.truth.boxes or {}).items():
            found[name].append((item.row["group"], box))
    out: dict[tuple[str, str], Box | None] = {}
    for name, boxes in found.items():
        groups, values = np.array([group for group, _ in boxes]), np.array([box for _, box in boxes])
        for group in {item.row["group"] for item in asked}:
            others = values[groups != group]
            x1, y1, x2, y2 = np.median(others, axis=0).round().tolist() if len(others) else (0, 0, 0, 0)
            out[group, name] = (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None
    return out


# --------------------------------------------------------------------------------------------------------- the numbers


def measured(
    asked: Sequence[Item],
    texts: Sequence[str | None],
    scores: Sequence[float | None],
    seed: int = 0,
    tokenizer: wording.Tokenizer | None = None,
) -> tuple[dict[str, Value], list[dict[str, Any]], str]:
    """One system's numbers, what was made of each reply, and the tokenizer's name; a text that is None counts nowhere.

    scores   of the forgery traces, one an item; tokenizer   as `wording.measure` takes it
    """
    read = [None if text is None else mare.parse(text) for text in texts]
    lines = [_line(item, text, reply) for item, text, reply in zip(asked, texts, read, strict=True)]
    group = [item.row["group"] for item in asked]
    ones = np.ones(len(asked))
    has = np.array([reply is not None for reply in read], np.float64)
    fake = np.array([item.row["label"] == "fake" for item in asked])
    verdict = np.array([line["verdict"] or "" for line in lines])
    right, says = verdict == np.where(fake, "fake", "real"), verdict == "fake"
    both, either = 2.0 * (says & fake), says * 1.0 + fake
    told = np.isin(verdict, ("real", "fake"))
    scored = np.array([NAN if score is None else score for score in scores])
    score_says = np.where(scored >= 0.5, "fake", "real")
    known = np.where(np.isnan(scored), 0.0, 1.0) * has
    parts: dict[str, tuple[Any, Any]] = {"verdict": (right * has, has), "f1": (both * has, either * has)}
    whole = np.array([item.whole for item in asked]) * has
    parts |= {"verdict, whole": (right * whole, whole), "f1, whole": (both * whole, either * whole)}
    parts |= {"told": (told * has, has), "format": ([line["format"] for line in lines], ones)}
    references = [item.truth.texts if reply is not None else () for item, reply in zip(asked, read, strict=True)]
    said = ["" if reply is None else reply.text for reply in read]
    words = wording.measure(said, references, tokenizer=tokenizer, meteor=False)
    parts |= {name: (words.per_item[name], ones) for name in ("cider", "rouge_l")}
    parts["side error"] = ([line["side error"] for line in lines], ones)
    parts |= {name: ([line[name] for line in lines], ones) for name in SCORES}
    for kind in KINDS:
        claims = [line["claims"][kind] for line in lines]
        parts[f"claims, {kind}"] = ([c[0] for c in claims], [c[1] for c in claims])
    parts["agreement"] = ((verdict == score_says) * known * told, known * told)
    parts["score"] = ((score_says == np.where(fake, "fake", "real")) * known, known)
    found = measures.ratios(parts, group, seed=seed)
    found["bleu4"] = _bleu(said, references, group, words.tokenizer, seed)
    order = list(parts)
    order.insert(order.index("cider") + 1, "bleu4")
    return {name: found[name] for name in order}, lines, words.tokenizer


def _line(item: Item, text: str | None, reply: Reply | None) -> dict[str, Any]:
    """One reply's numbers; NaN is "not measured"."""
    out: dict[str, Any] = {"verdict": None, "refusals": (), "format": NAN, "side error": NAN}
    out |= dict.fromkeys(SCORES, NAN) | {"claims": dict.fromkeys(KINDS, (0, 0))}
    if reply is None or text is None:
        return out
    width, height = item.row["size"]
    out["verdict"] = reply.label
    out["refusals"] = mare.refusals(text, (width, height))
    out["format"] = float(not out["refusals"])
    for name, score in SCORES.items():
        value = plugins.get("scores", score).score(reply, item.truth)
        out[name] = NAN if value is None else value
    side = plugins.get("scores", "side").score(reply, item.truth)
    out["side error"] = NAN if side is None else 1 - side
    if reply.label != "real":  # "the eyes look natural" claims nothing
        named = set(regions.mentioned(reply.text))
        boxed = {finding.region for finding in reply.findings} & set(regions.MARE)
        true = item.truth.regions or frozenset()
        claimed = {"agreed": named & boxed, "boxed": boxed - named, "named": named - boxed}
        out["claims"] = {kind: (len(claimed[kind] & true), len(claimed[kind])) for kind in KINDS}
    return out


def _bleu(
    said: Sequence[str], references: Sequence[Sequence[str]], group: Sequence[str], tokenizer: Any, seed: int
) -> Value:
    """BLEU-4 of the corpus, and its interval by drawing groups."""
    kept = [i for i, refs in enumerate(references) if refs]
    flat = wording.tokenize([said[i] for i in kept] + [r for i in kept for r in references[i]], tokenizer)
    rest = iter(flat[len(kept) :])
    words = [[r for r in (next(rest) for _ in references[i]) if r] for i in kept]
    usable = [k for k, refs in enumerate(words) if refs]
    if not usable:
        return Value(None, why="no item has references")
    corpus = wording.Corpus([flat[k] for k in usable], [words[k] for k in usable])
    groups = [group[kept[k]] for k in usable]
    draws = [corpus.bleu(w)[3] for w in measures.drawn(groups, measures.draws_for(len(usable)), seed)]
    low, high = measures.interval(draws) or (None, None)
    return Value(corpus.bleu()[3], low, high, len(usable))


# ----------------------------------------------------------------------------------------------------------- the model


def scores_of(model: Any, asked: Sequence[Item], batch: int = 32) -> list[float | None]:
    """ĝ of the model's own forgery disentanglement module for each item's picture; None without one."""
    module = getattr(pv.expert_of(model), "fdm", None)
    if module is None:
        return [None] * len(asked)
    size, device = pv.expert_of(model).size, next(module.parameters()).device
    pictures = {item.row["file"]: item.row for item in asked}
    names, found = list(pictures), dict[str, float]()
    for begin in range(0, len(names), batch):
        part = names[begin : begin + batch]
        shown = [paired.picture(pictures[name]).resize((size, size), Image.Resampling.BILINEAR) for name in part]
        pixels = torch.from_numpy(np.stack([np.asarray(p) for p in shown]).transpose(0, 3, 1, 2).copy())
        with torch.inference_mode():
            found |= dict(zip(part, module(pixels.float().to(device)).score.tolist(), strict=True))
    return [found[item.row["file"]] for item in asked]


def replied(name: str, asked: Sequence[Item], most: int, batch: int) -> tuple[list[str], list[float | None]]:
    """The model's replies to all items and its module's scores; both from a predictions.jsonl where that is named.

    Raises InputError for predictions that lack an item, WeightsError for a model that cannot be had.
    """
    if not name.endswith(".jsonl"):
        model, processor = pv.loaded(name, dtype="auto")
        if torch.cuda.is_available():
            model = model.to("cuda")
        said = paired.ask(
            model, processor, [item.row for item in asked], paired.Asking(max_tokens=most, batch_size=batch)
        )
        return [first for first, *_ in said], scores_of(model, asked)
    try:
        before = [json.loads(line) for line in Path(name).read_text(encoding="utf-8").splitlines()]
        known = {(line["file"], line["question"]): (line["reply"], line["score"]) for line in before}
        kept = [known[item.row["file"], item.row["question"]] for item in asked]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"'{name}': expected predictions that this command wrote ({error})") from error
    except KeyError as error:
        raise InputError(f"'{name}': expected a reply to every item of the table, got none for {error}") from error
    return [reply for reply, _ in kept], [score for _, score in kept]


# ------------------------------------------------------------------------------------------------------ what is written


def table(found: Mapping[str, Mapping[str, Value]]) -> str:
    """The numbers as Markdown, a column for each system."""
    lines = [f"| | {' | '.join(found)} |", f"|---|{'---|' * len(found)}"]
    for name in found["model"]:
        lines.append(f"| {name} | {' | '.join(_cell(values[name]) for values in found.values())} |")
    return "\n".join(lines) + "\n"


def _cell(value: Value) -> str:
    if value.value is None:
        return "–"
    between = "" if value.low is None or value.high is None else f" ({value.low:.3f}–{value.high:.3f})"
    return f"{value.value:.3f}{between}"


def _plain(value: Any) -> Any:
    """NaN as None, for JSON."""
    return None if isinstance(value, float) and np.isnan(value) else value


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask a model, or read what it replied, and measure it beside the controls."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", help="folder of train/sft's or train/grpo's model, a plain one, or predictions.jsonl")
    parser.add_argument("table", type=Path, help="dma.parquet of faces the model has not seen")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", help="only rows of this split")
    parser.add_argument("--whole", action="store_true", help="only questions about the whole image")
    parser.add_argument("--most", type=int, metavar="N", help="the first N items")
    parser.add_argument("--tokens", type=int, default=384, help="of a reply, at most")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokenizer", choices=("ptb", "plain"), help="of the text measures; ptb needs Java")
    parser.add_argument("--keep", action="store_true", help="write claims.json into the model's folder")
    given = parser.parse_args(arguments)
    try:
        if given.keep and not Path(given.model).is_dir():
            raise InputError(f"--keep: expected a model's folder to write {CLAIMS} into, got '{given.model}'")
        asked = [item for item in items(chats.read_dma(given.table, given.split)) if item.whole or not given.whole]
        asked = asked[: given.most]
        if not asked:
            raise InputError(f"'{given.table}': expected at least one question that can be asked, got none")
        replies, scores = replied(given.model, asked, given.tokens, given.batch)
        print(_written(asked, replies, scores, given))
    except (FacewitnessError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _written(
    asked: Sequence[Item], replies: Sequence[str], scores: Sequence[float | None], given: argparse.Namespace
) -> str:
    """Measure and write all files; what results.md says."""
    found: dict[str, dict[str, Value]] = {}
    lines: list[dict[str, Any]] = []
    tokenizer = ""
    for name, texts in systems(asked, replies, given.seed).items():
        found[name], made, tokenizer = measured(asked, texts, scores, given.seed, given.tokenizer)
        lines = made if name == "model" else lines
    refused = Counter(reason.partition(":")[0] for line in lines for reason in line["refusals"])
    numbers: dict[str, Any] = {
        "model": Path(given.model).name,
        "table_sha256": hashlib.sha256(given.table.read_bytes()).hexdigest(),
        "split": given.split,
        "seed": given.seed,
        "tokens": given.tokens,
        "items": len(asked),
        "pictures": len({item.row["file"] for item in asked}),
        "groups": len({item.row["group"] for item in asked}),
        "tokenizer": tokenizer,
        "refused": dict(refused.most_common()),
        **{name: {k: asdict(v) for k, v in values.items()} for name, values in found.items()},
    }
    predictions = []
    for item, reply, score, line in zip(asked, replies, scores, lines, strict=True):
        kept = {k: item.row[k] for k in ("file", "question", "label", "group")}
        rest = {k: _plain(v) for k, v in line.items()}
        texts = list(item.truth.texts)
        predictions.append(json.dumps(kept | {"score": score, "reply": reply, "texts": texts} | rest))
    counted = ", ".join(f"{count} {kind}" for kind, count in refused.most_common()) or "none"
    text = (
        f"{table(found)}\n{numbers['items']} questions about {numbers['pictures']} pictures of {numbers['groups']} "
        f"groups; words cut by the tokenizer {tokenizer}. What breaks the grammar, by kind: {counted}.\n"
    )
    write_whole(given.out / "predictions.jsonl", "".join(f"{line}\n" for line in predictions).encode())
    write_whole(given.out / "results.json", (json.dumps(numbers, indent=1) + "\n").encode())
    write_whole(given.out / "results.md", text.encode())
    if given.keep:
        shares = {kind: found["model"][f"claims, {kind}"] for kind in KINDS}
        claims = {kind: v.value for kind, v in shares.items() if v.value is not None and v.n >= ENOUGH}
        about = {"claims": {kind: v.n for kind, v in shares.items()}, "groups": numbers["groups"]}
        if claims:  # a model that claims hardly anything has no share of claims that are right
            write_whole(Path(given.model) / CLAIMS, json.dumps(claims | about, indent=1).encode())
    return text


if __name__ == "__main__":
    sys.exit(main())
