"""Measures what a language model replies about held-out faces, in MARE's grammar, beside controls that have not looked.

    python runs/mare/evaluate.py MODEL_FOLDER dma.parquet --out DIR [--split val] [--whole] [--keep]
    python runs/mare/evaluate.py … --drawn            as a user hears it: drawn and chosen by the model's draws.json
    python runs/mare/evaluate.py DIR/predictions --out DIR                     again, without asking the model

Each picture is asked each question once; all that people answered are its references, and the boxes are those of the
regions they name. The replies are predictions as `bench run --questions` writes them, whose runs are read likewise.
Beside the model stand the controls of `bench/speakers`: image-blind, also told the label (their boxes are the medians
of other groups'), shuffled, the score alone, the map alone, always fake and always real. The map is the module's: its
regions are those that it covers by `COVERED` on average (`maps.py` tries others), of those a question is about where it
names some, each with its box by the face's mesh; a picture without a mesh has no such row. Predictions of an older run
get it when the model and the table are given again: replies that DIR keeps are not asked for.

Rows of the table (Σ part / Σ whole, with a 95 % interval from a bootstrap over groups)
    verdict, f1      right verdicts of all replies (no verdict is wrong), F1 of "fake"; "whole": of questions about the
                     whole image, which is the paper's table 3
    told             replies with a verdict
    cider, bleu4, rouge_l                            of the explanation; the tokenizer stands in results.json
    cider, without descriptions                      of both sides less what describes a real face's features, which
                     `builders/dma` leaves out of what is taught
    score/…          every score of `scores/`, as it is rewarded: the form (grammar), boxes (equation 5), alignment
                     (equation 6), regions, side and the others
    claims           right claims of all, by mutual validation: "agreed" (named and boxed), "boxed" alone, "named" alone
    agreement        verdicts that are the score's of the forgery traces; "score": how often that one is right

Below it the paired differences that say whether the model looked: verdict less "always fake", CIDEr and boxes less the
shuffled replies (of one swap, and of the mean over twenty: which pictures swap their replies moves a difference by a
hundredth), regions and boxes less the map's, each with its interval, and how many different explanations and whole
replies there are.

In DIR: results.json, results.md, predictions/. With --keep the shares of right claims go into the model's folder (or
that which is named) as claims.json, where `witnesses/mare` takes the strength of its findings from. They are those of
one half of the groups, drawn by name; what they are in the other half stands in results.md beside them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import time
import warnings
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from PIL import Image

from facewitness import geometry, plugins, regions
from facewitness.apps.script import script
from facewitness.bench import measures, predictions, speakers, wording
from facewitness.bench.measures import Value
from facewitness.builders import chats, dma
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.grammars import mare
from facewitness.models import prompted_vlm as pv
from facewitness.train import paired
from facewitness.types import Box, Finding, Frame, Landmarks, Reply, Truth
from facewitness.witnesses.mare import CLAIMS, Prompted

KINDS = ("agreed", "boxed", "named")
COVERED = 1 / 3  # of a region, on average, from which on the map alone names it, as KFD's does; others: maps.py
ENOUGH = 30  # claims of a kind, for their share to be a strength


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """A question about a picture, and all that people answered to it."""

    row: dict[str, Any]  # of the table, with `prompt`: file, image, size, label, group, question
    truth: Truth

    @property
    def whole(self) -> bool:
        """Whether the question is about the whole image."""
        return is_whole(self.row["question"])


def is_whole(question: str) -> bool:
    """Whether a question is about the whole image."""
    return not regions.mentioned(re.sub(r"\bfaces?\b", " ", question, flags=re.IGNORECASE))


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


# ----------------------------------------------------------------------------------------------------- the predictions


def rows_of(
    asked: Sequence[Item],
    texts: Sequence[str | None],
    traces: Sequence[float | None],
    maps: Mapping[str, Map] | None = None,
) -> list[predictions.Row]:
    """The model's replies as predictions, each with every score; a text that is None is no row.

    Args:
        asked: the questions.
        texts: what the model wrote.
        traces: the score of the forgery traces for each item's picture.
        maps: file → what the module's map covers, of pictures where it is known.
    """
    maps = maps or {}
    names = speakers.available()[0]
    rows: list[predictions.Row] = []
    for item, text, score in zip(asked, texts, traces, strict=True):
        if text is None:
            continue
        width, height = item.row["size"]
        refused = mare.refusals(text, (width, height))
        reply = replace(mare.parse(text), refusals=refused)
        boxes = {name: [float(v) for v in box] for name, box in (item.truth.boxes or {}).items()}
        rows.append(
            {
                "dataset": "dma", "file": item.row["file"], "frame": None, "group": item.row["group"],
                "split": item.row.get("split") or "all", "label": item.truth.label, "perturbation": "none",
                "strength": 0, "status": "ok", "score": score, "mapped": mapped(maps.get(item.row["file"])),
                "regions_true": sorted(item.truth.regions or ()),
                "boxes_true": json.dumps(boxes), "speaker": "dialogue", "witness": "model", "grammar": "mare",
                "question": item.row["question"], "says": reply.label, "text": reply.text, "thought": reply.thought,
                "refusals": list(refused), "raw": text, "findings": speakers.findings_json(reply.findings),
                "references": list(item.truth.texts), "scores": speakers.scored(reply, item.truth, names),
            }
        )  # fmt: skip
    return rows


# --------------------------------------------------------------------------------------------------------- the numbers


def systems(table: pa.Table) -> dict[str, list[Reply | None]]:
    """What is measured: the model's replies, and the controls', None where there is none."""
    own = {"model": speakers.replies(table)}
    return own | {name: control(table, 0.5) for name, control in speakers.CONTROLS.items()}


def measured(
    table: pa.Table, said: Sequence[Reply | None], seed: int = 0, tokenizer: wording.Tokenizer | None = None
) -> tuple[dict[str, Value], str]:
    """One speaker's numbers and the tokenizer's name; a reply that is None counts nowhere.

    Args:
        table: the predictions.
        said: the speaker's reply to each row's question.
        seed: of the bootstrap.
        tokenizer: as `wording.measure` takes it.
    """
    truths, group = speakers.truths(table), measures.groups(table)
    parts, name = counted(table, said, tokenizer)
    found = measures.ratios(parts, group, seed=seed)
    texts = ["" if reply is None else reply.text for reply in said]
    kept = [i for i, (truth, reply) in enumerate(zip(truths, said, strict=True)) if truth.texts and reply is not None]
    found["bleu4"] = speakers.bleu4(
        [texts[i] for i in kept], [truths[i].texts for i in kept], [group[i] for i in kept], name, seed
    )
    order = list(parts)
    order.insert(order.index("cider") + 1, "bleu4")
    return {key: found[key] for key in order}, name


SWAPS = 20  # one swap of the replies moves a difference by a hundredth: so many are averaged beside it
# what a model that looks is above, and in what
ABOVE = (
    ("verdict", "always fake"), ("verdict", "score alone"), ("cider", "shuffled"), ("score/boxes", "shuffled"),
    ("verdict", "map alone"), ("score/regions", "map alone"), ("score/boxes", "map alone"),
)  # fmt: skip


def above(
    table: pa.Table, said: Mapping[str, Sequence[Reply | None]], seed: int = 0,
    tokenizer: wording.Tokenizer | None = None,
) -> dict[str, Value]:  # fmt: skip
    """The model's numbers less a control's, over the questions that both have a value for, paired.

    Args:
        table: the predictions.
        said: replies of "model" and of the controls that `ABOVE` names.
        seed: of the bootstrap over groups.
        tokenizer: as `wording.measure` takes it.
    """
    speaking = ("model", *dict.fromkeys(control for _, control in ABOVE))
    of = {name: counted(table, said[name], tokenizer)[0] for name in speaking}
    swapped = _swapped(table, tokenizer)
    parts = {}
    for number, control in ABOVE:
        (mine, whole), (theirs, other) = (
            [np.asarray(column, np.float64) for column in of[name][number]] for name in ("model", control)
        )
        less = {"": theirs} | ({", mean of swaps": swapped[number]} if control == "shuffled" else {})
        for how, them in less.items():
            both = np.where(np.isnan(mine - them) | (whole * other == 0), 0.0, 1.0)
            parts[f"{number} − {control}{how}"] = (np.nan_to_num(mine - them) * both, both)
    return measures.ratios(parts, measures.groups(table), seed=seed)


def _swapped(table: pa.Table, tokenizer: wording.Tokenizer | None) -> dict[str, NDArray[np.float64]]:
    """What the shuffled replies have on average over SWAPS ways to swap them, in the numbers that `ABOVE` names."""
    truths = speakers.truths(table)
    swaps = [speakers.shuffled(table, seed) for seed in range(SWAPS)]
    said, true = [reply for swap in swaps for reply in swap], truths * SWAPS
    references = [truth.texts if reply is not None else () for truth, reply in zip(true, said, strict=True)]
    texts = ["" if reply is None else reply.text for reply in said]
    words = wording.measure(texts, references, tokenizer=tokenizer, meteor=False)
    each = {"cider": words.per_item["cider"], "score/boxes": speakers.all_scored(said, true, ["boxes"])["boxes"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a question that no swap has a value for
        return {k: np.nanmean(np.reshape(np.asarray(v, np.float64), (SWAPS, -1)), 0) for k, v in each.items()}


def counted(
    table: pa.Table, said: Sequence[Reply | None], tokenizer: wording.Tokenizer | None = None
) -> tuple[dict[str, tuple[Any, Any]], str]:
    """Part and whole of each number, a pair for each question, and the tokenizer's name."""
    truths = speakers.truths(table)
    ones = np.ones(table.num_rows)
    has = np.array([reply is not None for reply in said], np.float64)
    fake = np.array([truth.label == "fake" for truth in truths])
    verdict = np.array([("" if reply is None else reply.label) or "" for reply in said])
    right, says = verdict == np.where(fake, "fake", "real"), verdict == "fake"
    both, either = 2.0 * (says & fake), says * 1.0 + fake
    told = np.isin(verdict, ("real", "fake"))
    traces = table.column("score").to_numpy(zero_copy_only=False).astype(np.float64)
    score_says = np.where(traces >= 0.5, "fake", "real")
    known = np.where(np.isnan(traces), 0.0, 1.0) * has
    parts: dict[str, tuple[Any, Any]] = {"verdict": (right * has, has), "f1": (both * has, either * has)}
    whole = np.array([is_whole(question) for question in table.column("question").to_pylist()]) * has
    parts |= {"verdict, whole": (right * whole, whole), "f1, whole": (both * whole, either * whole)}
    parts |= {"told": (told * has, has)}
    references = [truth.texts if reply is not None else () for truth, reply in zip(truths, said, strict=True)]
    texts = ["" if reply is None else reply.text for reply in said]
    words = wording.measure(texts, references, tokenizer=tokenizer, meteor=False)
    parts |= {name: (words.per_item[name], ones) for name in ("cider", "rouge_l")}
    bare = [tuple(map(mare.without_descriptions, each)) if truth.label == "real" else each
            for each, truth in zip(references, truths, strict=True)]  # fmt: skip
    short = wording.measure(list(map(mare.without_descriptions, texts)), bare, tokenizer=tokenizer, meteor=False)
    parts["cider, without descriptions"] = (short.per_item["cider"], ones)
    names = [name for name in speakers.available()[0] if name != "mask"]  # whose pixels are not kept
    parts |= {f"score/{name}": (each, ones) for name, each in speakers.all_scored(said, truths, names).items()}
    claims = [_claims(reply, truth) for reply, truth in zip(said, truths, strict=True)]
    for kind in KINDS:
        parts[f"claims, {kind}"] = ([each[kind][0] for each in claims], [each[kind][1] for each in claims])
    parts["agreement"] = ((verdict == score_says) * known * told, known * told)
    parts["score"] = ((score_says == np.where(fake, "fake", "real")) * known, known)
    return parts, words.tokenizer


def _claims(reply: Reply | None, truth: Truth) -> dict[str, tuple[int, int]]:
    """Right claims and all claims of each of KINDS; "the eyes look natural" claims nothing."""
    if reply is None or reply.label == "real":
        return dict.fromkeys(KINDS, (0, 0))
    named = set(regions.mentioned(reply.text))
    boxed = {finding.region for finding in reply.findings} & set(regions.MARE)
    true = truth.regions or frozenset()
    claimed = {"agreed": named & boxed, "boxed": boxed - named, "named": named - boxed}
    return {kind: (len(claimed[kind] & true), len(claimed[kind])) for kind in KINDS}


# ----------------------------------------------------------------------------------------------------------- the model


def traces_of(model: Any, asked: Sequence[Item], batch: int = 32) -> list[float | None]:
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
        with torch.inference_mode():  # with the mirror image, as the witness looks
            both = [module(views.float().to(device)).logit.double() for views in (pixels, pixels.flip(-1))]
        found |= dict(zip(part, torch.stack(both).mean(0).sigmoid().tolist(), strict=True))
    return [found[item.row["file"]] for item in asked]


Map = Mapping[str, tuple[float, Box]]  # region → how far a map covers it on average, and its box


def covered(values: NDArray[np.floating], height: int, width: int, points: Landmarks) -> dict[str, float]:
    """How far a picture's map covers each region: its mean inside; a region outside the picture is left out.

    Args:
        values: the map, (h, w) in [0, 1], over the whole picture.
        height: of the picture, pixels.
        width: of the picture.
        points: landmarks in its pixels.
    """
    large = cv2.resize(np.asarray(values, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    out = {}
    for name in regions.MARE:
        inside = geometry.fill(list(regions.polygons(name, points)), height, width)
        if inside.any():
            out[name] = float(large[inside].mean())
    return out


def maps_of(model: Any, asked: Sequence[Item]) -> dict[str, Map]:
    """What the map of the model's own module covers of each picture: regions with their boxes.

    Args:
        model: with a module; another has no map.
        asked: the questions, whose pictures are looked at as the module learned them. One without a mesh is left out.
    """
    module = getattr(pv.expert_of(model), "fdm", None)
    if module is None:
        return {}
    size, device = pv.expert_of(model).size, next(module.parameters()).device
    finder, out = plugins.get("finders", "facemesh").load(), dict[str, Map]()
    for file, row in {item.row["file"]: item.row for item in asked}.items():
        picture = paired.picture(row)
        points = next((f.landmarks for f in finder.find(Frame(np.array(picture))) if f.landmarks is not None), None)
        if points is None:
            continue
        seen = np.array(picture.resize((size, size), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
        views = torch.from_numpy(np.stack([seen, seen[..., ::-1]])).to(device).float()
        with torch.inference_mode():  # with the mirror image, as the witness looks
            own, mirrored = module(views).evidence.sigmoid().cpu().numpy()
        width, height = picture.size
        shares = covered((own + mirrored[:, ::-1]) / 2, height, width, np.asarray(points)[:, :2])
        boxes = {name: dma.box_of(name, np.asarray(points), width, height) for name in shares}
        out[file] = {name: (shares[name], box) for name, box in boxes.items() if box is not None}
    return out


def mapped(seen: Map | None, least: float = COVERED) -> str | None:
    """The regions that a map covers, the most covered first, as predictions hold findings; None for no map.

    Args:
        seen: what it covers.
        least: from which coverage on a region is named.
    """
    if seen is None:
        return None
    ranked = sorted(seen.items(), key=lambda each: -each[1][0])
    return speakers.findings_json(Finding.on(n, box, None, "", share) for n, (share, box) in ranked if share >= least)


def replied(
    name: str, asked: Sequence[Item], most: int, batch: int, kept: Path, until: float = np.inf, drawn: bool = False
) -> list[predictions.Row]:
    """The model's replies to all items, and its module's scores, as predictions.

    Args:
        name: folder or hub name of the model.
        asked: the questions, in the order they are asked in.
        most: tokens of a reply.
        batch: questions asked together.
        kept: a file of replies, a line each; those in it are not asked for again, and each batch is added to it.
        until: of `time.monotonic`; no batch begins after it.
        drawn: replies as the witness gives them, drawn and chosen by the model's draws.json, not its likeliest.

    Raises:
        WeightsError: The model cannot be read.
        InputError: It is `until`, and questions are left; or replies are to be drawn, and the model has no draws.json.
    """
    said = _kept_replies(kept)
    left = [item for item in asked if _key(item) not in said]
    talker = Prompted(name, "cuda" if torch.cuda.is_available() else "cpu", most)
    if drawn and talker.drawing is None:
        raise InputError(f"'{name}': expected draws.json in it, got none. Fit it: python runs/mare/draws.py …")
    scores = traces_of(talker.model, asked)
    score = {item.row["file"]: value for item, value in zip(asked, scores, strict=True)}

    def replies(part: Sequence[Item]) -> Iterable[str]:
        if not drawn:
            asking = paired.Asking(max_tokens=most, batch_size=batch)
            rows = [item.row for item in part]
            return [first for first, *_ in paired.ask(talker.model, talker.processor, rows, asking)]
        pictures = [np.array(paired.picture(item.row)) for item in part]
        return [
            talker.reply(crop, item.row["prompt"], score[item.row["file"]] or 0.0)
            for crop, item in zip(pictures, part, strict=True)
        ]

    for begin in range(0, len(left), batch):
        if time.monotonic() > until:
            raise InputError(
                f"Asked {len(asked) - len(left) + begin} of {len(asked)} questions, and the time of --minutes is over. "
                f"The replies are kept in '{kept}': run the same again for the rest."
            )
        part = left[begin : begin + batch]
        new = [(*_key(item), text) for item, text in zip(part, replies(part), strict=True)]
        kept.parent.mkdir(parents=True, exist_ok=True)
        with kept.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in new))
        said |= {(file_name, question): text for file_name, question, text in new}
    return rows_of(asked, [said[_key(item)] for item in asked], scores, maps_of(talker.model, asked))


def _key(item: Item) -> tuple[str, str]:
    return item.row["file"], item.row["question"]


def _kept_replies(file: Path) -> dict[tuple[str, str], str]:
    """Replies that an earlier run kept, by picture and question; a line that was cut off is no reply."""
    out = {}
    for line in file.read_text(encoding="utf-8").split("\n") if file.is_file() else ():
        try:
            name, question, text = json.loads(line)
        except ValueError:
            continue
        out[str(name), str(question)] = str(text)
    return out


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask a model, or read what it replied, and measure it beside the controls."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", help="folder of train/sft's or train/grpo's model, a plain one, or DIR/predictions")
    parser.add_argument("table", type=Path, nargs="?", help="dma.parquet of faces the model has not seen")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", help="only rows of this split")
    parser.add_argument("--whole", action="store_true", help="only questions about the whole image")
    parser.add_argument("--most", type=int, metavar="N", help="the first N items")
    parser.add_argument(
        "--sample", type=int, metavar="N", help="N items, drawn with --seed; a smaller N is a part of it"
    )
    parser.add_argument("--drawn", action="store_true", help="reply as the witness does, by the model's draws.json")
    parser.add_argument("--tokens", type=int, default=384, help="of a reply, at most")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=np.inf, help="stop asking then; the same again goes on")
    parser.add_argument("--tokenizer", choices=("ptb", "plain"), help="of the text measures; ptb needs Java")
    parser.add_argument(
        "--keep", nargs="?", const="", metavar="FOLDER", help="write claims.json there, or into the model's folder"
    )
    given = parser.parse_args(arguments)
    if given.keep is not None and not Path(given.keep or given.model).is_dir():
        raise InputError(f"--keep: expected a folder to write {CLAIMS} into, got '{given.keep or given.model}'")
    print(_written(*_predicted(given), given))


def _predicted(given: argparse.Namespace) -> tuple[pa.Table, dict[str, Any]]:
    """The predictions that are named, or those of the model that is, which are kept in DIR/predictions."""
    if (Path(given.model) / "predictions.parquet").exists():
        table, meta = predictions.read(given.model)
        table = table.filter(pc.is_valid(table.column("question")))
        if not table.num_rows:
            raise InputError(f"'{given.model}': expected replies to questions, got none. Ask with --questions.")
        return table, {k: meta.get(k) for k in ("model", "table_sha256", "split", "tokens", "drawn", "sample")}
    if given.table is None:
        raise InputError(f"'{given.model}': expected predictions in it, or a table of questions beside a model")
    asked = [item for item in items(chats.read_dma(given.table, given.split)) if item.whole or not given.whole]
    if given.sample is not None:
        order = np.random.default_rng(given.seed).permutation(len(asked))
        asked = [asked[i] for i in order[: given.sample]]
    asked = asked[: given.most]
    if not asked:
        raise InputError(f"'{given.table}': expected at least one question that can be asked, got none")
    facts = {
        "model": Path(given.model).name,
        "table_sha256": hashlib.sha256(given.table.read_bytes()).hexdigest(),
        "split": given.split,
        "tokens": given.tokens,
        "drawn": given.drawn,
        "sample": given.sample,
    }
    until = time.monotonic() + 60 * given.minutes
    rows = replied(given.model, asked, given.tokens, given.batch, given.out / "replies.jsonl", until, given.drawn)
    meta = {"name": facts["model"], "dataset": "dma", "questions": True, **facts}
    return predictions.write(given.out / "predictions", meta, rows), facts


def _written(said: pa.Table, facts: Mapping[str, Any], given: argparse.Namespace) -> str:
    """Measure and write all files; what results.md says."""
    found: dict[str, dict[str, Value]] = {}
    tokenizer = ""
    for name, replies in systems(said).items():
        found[name], tokenizer = measured(said, replies, given.seed, given.tokenizer)
    less = above(said, systems(said), given.seed, given.tokenizer)
    different, whole = (len(set(said.column(name).to_pylist())) for name in ("text", "raw"))
    refused = Counter(
        reason.partition(":")[0] for reasons in said.column("refusals").to_pylist() for reason in reasons or ()
    )
    numbers: dict[str, Any] = {
        **facts,
        "seed": given.seed,
        "items": said.num_rows,
        "pictures": pc.count_distinct(said.column("file")).as_py(),
        "groups": pc.count_distinct(said.column("group")).as_py(),
        "tokenizer": tokenizer,
        "explanations": different,
        "replies": whole,
        "above": {k: asdict(v) for k, v in less.items()},
        "refused": dict(refused.most_common()),
        **{name: {k: asdict(v) for k, v in values.items()} for name, values in found.items()},
    }
    kinds = ", ".join(f"{count} {kind}" for kind, count in refused.most_common()) or "none"
    text = (
        f"{table(found)}\n{numbers['items']} questions about {numbers['pictures']} pictures of {numbers['groups']} "
        f"groups; words cut by the tokenizer {tokenizer}. What breaks the grammar, by kind: {kinds}.\n"
        f"\n{different} different explanations, {whole} whole replies. Less the control, paired: "
        f"{', '.join(f'{name} {_cell(v)}' for name, v in less.items())}.\n"
    )
    if given.keep is not None:
        text += kept(said, Path(given.keep or given.model), given.seed)
    write_whole(given.out / "results.json", (json.dumps(numbers, indent=1) + "\n").encode())
    write_whole(given.out / "results.md", text.encode())
    return text


def half(table: pa.Table, which: int) -> pa.Table:
    """The rows of one half of the groups, 0 or 1, by the groups' names."""
    return table.filter(pa.array([zlib.crc32(str(g).encode()) % 2 == which for g in measures.groups(table)]))


def kept(table: pa.Table, folder: Path, seed: int = 0) -> str:
    """Writes claims.json of one half of the groups, and says what the other half has."""
    shares: list[dict[str, Value]] = []
    for which in (0, 1):
        part = half(table, which)
        claims = [_claims(r, t) for r, t in zip(speakers.replies(part), speakers.truths(part), strict=True)]
        columns = {kind: ([each[kind][0] for each in claims], [each[kind][1] for each in claims]) for kind in KINDS}
        shares.append(measures.ratios(columns, measures.groups(part), seed=seed) if part.num_rows else {})
    fitted = {kind: v.value for kind, v in shares[0].items() if v.value is not None and v.n >= ENOUGH}
    groups = len(set(map(str, measures.groups(half(table, 0)))))
    about = {"claims": {kind: v.n for kind, v in shares[0].items()}, "groups": groups}
    if fitted:  # a model that claims hardly anything has no share of claims that are right
        write_whole(folder / CLAIMS, json.dumps(fitted | about, indent=1).encode())
    beside = ", ".join(f"{kind} {_cell(shares[0][kind])} and {_cell(shares[1][kind])}" for kind in fitted if shares[1])
    return f"\nRight claims in the half of the groups that {CLAIMS} holds, and in the other: {beside or 'too few'}.\n"


if __name__ == "__main__":
    script(main)
