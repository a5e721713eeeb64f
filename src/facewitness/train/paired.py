"""What a model gained by training: the replies of two models to the same held-out prompts, each reward of both, paired.

    facewitness bench replies BEFORE AFTER dma.parquet --out DIR [--samples 4] [--recipe RECIPE.toml]
    facewitness bench ablation RUN … --out ablation.md        runs of train/grpo, each without a reward

BEFORE and AFTER are folders of models (or hub names), predictions that hold a model's own texts (such as those of
runs/mare/evaluate.py), or the replies that an earlier comparison wrote, DIR/before.jsonl and DIR/after.jsonl. Both are
asked what `builders/dma` asks, in the same words as in training, and judged by the rewards of `train/rewards`. A row of
the table is an annotation; annotations of one picture that ask the same share one reply. Without `--samples` it is the
likeliest reply, which is what a user reads; with it, so many are drawn at the training's temperature, which is what
GRPO raises, and a row counts by their mean.

The difference is after − before over the rows that both have a value for, its 95 % interval from a bootstrap over
groups (people, videos), both models drawn together. In DIR: before_after.json and .md with the replies on ten
pictures, and replies.png, those with their boxes drawn. It shows faces: it is for the eyes of whoever may see them.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from rich.progress import track

from facewitness import geometry, regions
from facewitness.bench import measures, predictions
from facewitness.bench.measures import Value
from facewitness.builders import chats, dma
from facewitness.errors import InputError
from facewitness.files import read_json, read_json_lines, write_whole
from facewitness.grammars import mare
from facewitness.models import prompted_vlm as pv
from facewitness.phrases import utf8
from facewitness.train.recipe import parsed
from facewitness.train.rewards import Rewards, refused

Row = dict[str, Any]
Replies = list[list[str]]  # of each row: one, or as many as were drawn
TEN = 10  # pictures that are shown


def read(path: Path) -> list[Row]:
    """The rows of a table of `builders/dma`, with masks and the prompt; those of one picture share its bytes.

    Args:
        path: A table of `builders/dma`.

    Raises:
        InputError: For a file that is no such table, or is empty.
    """
    rows = chats.read_dma(path)
    if not rows:
        raise InputError(f"'{path}': expected at least one annotation, got an empty table")
    there = pq.read_schema(path).names
    masks = pq.read_table(path, columns=["mask"]).column(0).to_pylist() if "mask" in there else [None] * len(rows)
    return [row | {"mask": mask, "prompt": mare.prompt(row["question"])} for row, mask in zip(rows, masks, strict=True)]


def columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """What rewards are told of the truth, as TRL gives it to them.

    Args:
        rows: Of `read`.

    Returns:
        Name → one value a row.
    """
    return {name: [row[name] for row in rows] for name in ("label", "texts", "regions", "boxes", "mask", "size")}


@dataclass(frozen=True, slots=True)
class Asking:
    """How replies are got.

    Attributes:
        max_tokens: Of a reply, at most.
        samples: Drawn to each prompt; 0 takes the likeliest reply.
        temperature: Of what is drawn, as `top_p`.
        batch_size: Prompts at once.
        seed: Of what is drawn.

    Raises:
        InputError: A value that cannot be.
    """

    max_tokens: int = 256
    samples: int = 0
    temperature: float = 1.0
    top_p: float = 1.0
    batch_size: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if (
            self.max_tokens < 1
            or self.samples < 0
            or self.batch_size < 1
            or self.temperature <= 0
            or not 0 < self.top_p <= 1
        ):
            raise InputError(
                "asking: expected max_tokens and batch_size from 1, samples from 0, a temperature above 0 and "
                f"top_p in (0, 1], got {asdict(self)}"
            )


def ask(model: Any, processor: Any, rows: Sequence[Row], asking: Asking) -> Replies:
    """The model's replies to each row's prompt about its picture; rows that ask the same have the same.

    Args:
        model: With its expert, where it has one.
        processor: Of the model.
        rows: Of `read`.
        asking: How replies are got.

    Returns:
        For each row its replies: one, or as many as are drawn.
    """
    prompts = [(row["image"], row["prompt"]) for row in rows]
    different = dict(zip(prompts, rows, strict=True))
    unique, answers = list(different.values()), Replies()
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        torch.manual_seed(asking.seed)
        for begin in track(range(0, len(unique), asking.batch_size), "asking"):
            part = unique[begin : begin + asking.batch_size]
            shown, texts = [picture(row) for row in part], [row["prompt"] for row in part]
            if asking.samples:
                answers += _drawn(model, processor, shown, texts, asking)
            else:
                answers += [[text] for text in pv.answers(model, processor, shown, texts, asking.max_tokens)]
    replies = dict(zip(different, answers, strict=True))
    return [replies[prompt] for prompt in prompts]


def picture(row: Row) -> Image.Image:
    """A row's picture, RGB.

    Args:
        row: Of `read`.
    """
    return Image.open(io.BytesIO(row["image"])).convert("RGB")


def _drawn(model: Any, processor: Any, shown: list[Image.Image], texts: list[str], asking: Asking) -> Replies:
    prompts = [
        processor.apply_chat_template([pv.turn(model, text)], add_generation_prompt=True, tokenize=False)
        for text in texts
    ]
    inputs = processor(
        images=shown, text=prompts, padding=True, padding_side="left", return_tensors="pt", add_special_tokens=False
    ).to(model.device)
    drawn = pv.written(
        model, processor, inputs, max_new_tokens=asking.max_tokens, do_sample=True, num_return_sequences=asking.samples,
        temperature=asking.temperature, top_p=asking.top_p, top_k=0,
    )  # fmt: skip
    return [drawn[i : i + asking.samples] for i in range(0, len(drawn), asking.samples)]


def replies_of(source: str | Path, rows: Sequence[Row], asking: Asking) -> Replies:
    """The replies of a model by folder or hub name, of predictions, or those in a .jsonl that `compare` wrote.

    Args:
        source: A folder or hub name of a model, predictions, or a .jsonl that `compare` wrote.
        rows: Of `read`.
        asking: How it is asked.

    Raises:
        InputError: Where such a file is about other rows.
        WeightsError: Where there is no model.
        UnknownName: Where there is no model.
    """
    if (Path(source) / "predictions.parquet").exists():
        return _predicted(Path(source), rows)
    if Path(source).suffix != ".jsonl":
        model, processor = pv.loaded(str(source), dtype="auto")
        return ask(model.to("cuda") if torch.cuda.is_available() else model, processor, rows, asking)
    expected = f"'{source}': expected lines {{file, prompt, replies: [text, …]}}, as a comparison writes them"
    try:
        lines = read_json_lines(Path(source))
    except (OSError, ValueError) as error:
        raise InputError(f"{expected} ({getattr(error, 'strerror', None) or error})") from error
    for number, line in enumerate(lines, 1):
        texts = line.get("replies") if isinstance(line, dict) else None
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise InputError(f"{expected}, got another in entry {number}. Name the model instead, and it is asked.")
    keys = [(line.get("file"), line.get("prompt")) for line in lines]
    replies = [[utf8(text) for text in line["replies"]] for line in lines]
    if keys != [(row["file"], row["prompt"]) for row in rows] or not all(replies):
        raise InputError(
            f"'{source}': expected replies to the {len(rows)} prompts of the table, got {len(lines)} to others. Name "
            "the model instead, and it is asked."
        )
    return replies


def _predicted(source: Path, rows: Sequence[Row]) -> Replies:
    """The replies to the rows' questions among predictions, as the model wrote them.

    Raises:
        InputError: a question of the table was not answered there, or who answered did not keep what a model wrote.
    """
    table, _ = predictions.read(source, ["file", "question", "raw"])
    texts_of: dict[tuple[str, str], list[str]] = {}
    for row in table.to_pylist():
        if row["question"] is not None and row["raw"] is not None:
            texts_of.setdefault((row["file"], row["question"]), []).append(row["raw"])
    lacking = [row for row in rows if (row["file"], row["question"]) not in texts_of]
    if lacking:
        raise InputError(
            f"'{source}': expected a model's own text to each of the table's questions, got none to {len(lacking)} of "
            f"{len(rows)}, such as {lacking[0]['question']!r} about {lacking[0]['file']}. Name the model instead, and "
            "it is asked."
        )
    return [texts_of[row["file"], row["question"]] for row in rows]


# ----------------------------------------------------------------------------------------------------- the comparison


def judged(rows: Sequence[Row], replies: Replies, rewards: Rewards) -> dict[str, list[float]]:
    """What each row's replies are worth: the terms of equation 11, and their weighted sum.

    Args:
        rows: Of `read`.
        replies: To each.
        rewards: Which, and their weights.

    Returns:
        Reward, or "reward" for the sum → a number each, the mean over the row's replies; NaN for none.
    """
    many = [(row, text) for row, texts in zip(rows, replies, strict=True) for text in texts]
    values = rewards.judge([text for _, text in many], **columns([row for row, _ in many]))
    ends = np.cumsum([len(texts) for texts in replies])[:-1]
    out = {}
    for name, each in values.items():
        parts = np.split(np.array([np.nan if v is None else v for v in each], np.float64), ends)
        out[name] = [float(np.nanmean(part)) if (~np.isnan(part)).any() else float("nan") for part in parts]
    return out


def compare(
    before: str | Path,
    after: str | Path,
    table: Path,
    out: Path,
    *,
    rewards: Rewards | None = None,
    asking: Asking | None = None,
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Ask both, judge both, write what the file's head says.

    Args:
        before: As `replies_of` takes it, as `after`.
        after: The model that learned.
        table: dma.parquet.
        out: Folder of what is written.
        rewards: By default MARE's five and ours, as `train/rewards` weighs them.
        asking: How replies are got.
        facts: Stand in the JSON besides, such as the reward that training was without.

    Returns:
        What before_after.json holds.
    """
    rewards, asking, rows = rewards or Rewards(), asking or Asking(), read(table)
    groups = [row["group"] for row in rows]
    replies_by_model = {
        name: replies_of(source, rows, asking) for name, source in (("before", before), ("after", after))
    }
    values = {name: judged(rows, replies, rewards) for name, replies in replies_by_model.items()}
    numbers = {}
    for name in values["before"]:
        b, a = (np.array(values[when][name]) for when in ("before", "after"))
        both = np.where(np.isnan(a - b), np.nan, 1.0)  # a pair counts where both have a value
        parts = {"before": (b, both), "after": (a, both), "difference": (a - b, both)}
        numbers[name] = {k: asdict(v) for k, v in measures.ratios(parts, groups, seed=asking.seed).items()}
    flat = {name: [text for texts in replies for text in texts] for name, replies in replies_by_model.items()}
    sizes = {
        name: [row["size"] for row, texts in zip(rows, replies, strict=True) for _ in texts]
        for name, replies in replies_by_model.items()
    }
    report: dict[str, Any] = {
        **(facts or {}),
        "table_sha256": hashlib.sha256(table.read_bytes()).hexdigest(),
        "annotations": len(rows),
        "prompts": len({(row["file"], row["question"]) for row in rows}),
        "groups": len(set(groups)),
        "asking": asdict(asking),
        "weights": dict(rewards.weights),
        "rewards": numbers,
        "refused": {
            name: dict(refused(texts, rewards.grammar, sizes[name]).most_common()) for name, texts in flat.items()
        },
        "shown": _shown(rows, replies_by_model, values),
    }
    for name, replies in replies_by_model.items():
        lines = [
            json.dumps({"file": row["file"], "prompt": row["prompt"], "replies": texts}, ensure_ascii=False)
            for row, texts in zip(rows, replies, strict=True)
        ]
        write_whole(out / f"{name}.jsonl", "".join(f"{line}\n" for line in lines).encode())
    write_whole(out / "replies.png", _sheet(rows, report["shown"]))
    write_whole(out / "before_after.json", (json.dumps(report, ensure_ascii=False, indent=1) + "\n").encode())
    write_whole(out / "before_after.md", render(report).encode())
    return report


def _shown(rows: Sequence[Row], replies: Mapping[str, Replies], values: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """Ten pictures, evenly taken, with both models' first reply."""
    first: dict[bytes, int] = {}
    for i, row in enumerate(rows):
        first.setdefault(row["image"], i)
    places = list(first.values())
    chosen = [places[int((k + 0.5) * len(places) / TEN)] for k in range(TEN)] if len(places) > TEN else places
    return [
        {
            "row": i, "file": rows[i]["file"], "label": rows[i]["label"], "question": rows[i]["question"],
            "people": rows[i]["reply"], "before": replies["before"][i][0], "after": replies["after"][i][0],
            "reward": {when: _number(values[when]["reward"][i]) for when in ("before", "after")},
        }
        for i in chosen
    ]  # fmt: skip


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value


def _sheet(rows: Sequence[Row], shown: Sequence[Mapping[str, Any]]) -> bytes:
    """The ten with what people, the first and the second model boxed, as a PNG."""
    items = []
    for each in shown:
        row = rows[each["row"]]
        for who in ("people", "before", "after"):
            reply = mare.parse(each[who])
            placed = {f.region: geometry.clip(f.box, *row["size"]) for f in reply.findings if f.region in regions.MARE}
            fields = {name: row.get(name, "") for name in dma.SCHEMA.names}
            fields |= {"text": f"{who.upper()} {reply.text}", "regions": (*placed,), "boxes": (*placed.values(),)}
            items.append(dma.Item(**fields))
    return dma.contact_sheet(items, limit=len(items), columns=6)


# -------------------------------------------------------------------------------------------------------- for people


def render(report: Mapping[str, Any]) -> str:
    """A comparison as Markdown: the numbers, what of them is shown, and the ten replies.

    Args:
        report: What `compare` gave.
    """
    samples, weights = report["asking"]["samples"], report["weights"]
    how = f"{samples} replies drawn for each" if samples else "the likeliest reply to each"
    lines = [
        "# Before and after", "",
        f"{report['annotations']} annotations of {report['prompts']} prompts, {report['groups']} groups; {how}.", "",
        "| reward | weight | before | after | difference | 95 % interval | rows |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name in ("reward", *weights):
        value = {k: Value(**v) for k, v in report["rewards"][name].items()}
        weight = "their sum" if name == "reward" else f"{weights[name]:g}"
        change = value["difference"]
        if change.value is None or change.low is None or change.high is None:
            lines.append(f"| {name} | {weight} | — | — | — | {change.why or 'too few rows'} | {change.n} |")
            continue
        change_text = "rises" if change.low > 0 else "falls" if change.high < 0 else "no difference is shown"
        lines.append(
            f"| {name} | {weight} | {value['before'].value:.4f} | {value['after'].value:.4f} | {change.value:+.4f} | "
            f"{change.low:+.4f} … {change.high:+.4f}, {change_text} | {change.n} |"
        )
    lines += ["", "Replies that break the grammar, by the way they do:", ""]
    for when, kinds in report["refused"].items():
        lines.append(f"- {when}: " + (", ".join(f"{kind} {count}" for kind, count in kinds.items()) or "none"))
    lines += ["", "## Ten pictures", ""]
    for each in report["shown"]:
        lines += [f"**{_plain(each['file'])}** ({each['label']}). {_plain(each['question'])}", ""]
        for who in ("people", "before", "after"):
            paid = each["reward"].get(who)
            lines.append(f"- {who}{'' if paid is None else f' ({paid:.2f})'}: {_plain(each[who])}")
        lines.append("")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """A model's words, which may be anything, so that Markdown leaves them as they are."""
    fence = "`" * (1 + max((len(run) for run in "".join(c if c == "`" else " " for c in text).split()), default=0))
    return f"{fence} {' '.join(text.split()) or '(nothing)'} {fence}"


def ablation(runs: Sequence[Path]) -> str:
    """Runs of train/grpo as a Markdown table, one line each: every reward after training, and what it gained.

    Args:
        runs: Folders of runs.

    Raises:
        InputError: For a folder without before_after.json, and for runs that were not measured alike.
    """
    reports = []
    for run in runs:
        try:
            reports.append(read_json(run / "before_after.json"))
        except (OSError, ValueError) as error:
            raise InputError(f"'{run}': expected a run that was measured, with --val ({error})") from error
        _measured(reports[-1], run)
    alike = [{k: one.get(k) for k in ("table_sha256", "weights", "asking")} for one in reports]
    if differing := [str(run) for run, one in zip(runs, alike, strict=True) if one != alike[0]]:
        raise InputError(
            f"ablation: expected runs measured on the same prompts with the same weights and sampling as '{runs[0]}', "
            f"got others in {', '.join(differing)}"
        )
    names = ["reward", *reports[0]["weights"]] if reports else []
    lines = [
        "After training, and in brackets the gain over the start with its 95 % interval. The weighted sum counts every "
        "reward, also the one that training was without.", "",
        f"| without | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|",
    ]  # fmt: skip
    for one in reports:
        cells = [_cell(one["rewards"][name]) for name in names]
        lines.append(f"| {', '.join(one.get('without') or ()) or '(nothing)'} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _measured(report: Any, run: Path) -> None:
    """Refuse a before_after.json without what a line of the table is made of."""
    try:
        for name in ("reward", *report["weights"]):
            _cell(report["rewards"][name])
        ", ".join(report.get("without") or ())
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise InputError(
            f"'{run / 'before_after.json'}': expected what train grpo measured with --val, got something else "
            f"({error!r:.100}). Measure the run again."
        ) from error


def _cell(value: Mapping[str, Any]) -> str:
    after, change = value["after"]["value"], value["difference"]
    if after is None:
        return "—"
    bounds = "" if change["low"] is None else f", {change['low']:+.3f} … {change['high']:+.3f}"
    return f"{after:.3f} ({change['value']:+.3f}{bounds})"


def read_settings(path: Path | None) -> dict[str, Any]:
    """A recipe of `train/grpo` as its TOML says it; empty for none.

    Args:
        path: The TOML file; None for none.

    Returns:
        As the file has them.

    Raises:
        InputError: The file cannot be read, or is no TOML.
    """
    settings = {} if path is None else parsed(path)
    if path is not None and not isinstance(settings.get("rewards"), dict):
        raise InputError(f"'{path}': expected a recipe of train grpo, with a table [rewards], got one without")
    return settings
