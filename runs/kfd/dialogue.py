"""How often KFD's language model is right in the first, second and third turn, with and without general dialogue.

    python runs/kfd/dialogue.py talks   --pack DIR --split train --pictures 300 --out talks
    python runs/kfd/dialogue.py talks   --pack DIR --split val   --pictures 60  --out talks-val
    facewitness build scenes --out scenes --count 400
    facewitness build scenes --out scenes-val --count 60 --seed 1
    facewitness train sft runs/kfd/dialogue.toml …                              see that file
    python runs/kfd/dialogue.py measure MODEL … --talks talks-val/chat.json --general scenes-val/chat.json --out FILE.md

Conversations are `builders/sbi_qa`'s: the verdict first, then two questions about regions. In `measure` a model hears
its own earlier answers, as in `chat`, not the true ones. An answer is right where its yes or no is; one of general
dialogue where it is the true sentence. The controls answer every question of a turn with yes, or with no.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from facewitness.apps.script import script
from facewitness.bench import measures
from facewitness.builders import chats, sbi_qa
from facewitness.builders.pack import Pack
from facewitness.files import write_whole
from facewitness.grammars import yes_no
from facewitness.models import prompted_vlm as pv

TURNS = 3
MARGIN = 1.3
_TOKENS = 40  # of an answer


def items(
    data: Pack, split: str, pictures: int, seed: int, detector: Path | None = None, turns: int = TURNS,
    elsewhere: float = 0.5,
) -> Iterator[sbi_qa.Item]:  # fmt: skip
    """The questions about genuine rows of a split, and about forgeries of them; a detector's score stands in them."""
    score, size = (None, 224) if detector is None else sbi_qa.scorer(detector)
    rows = [
        i
        for i, row in enumerate(data.rows)
        if row["split"] == split and row["label"] == "real" and data.landmarks(i) is not None
    ]
    chosen = np.random.default_rng(seed).permutation(len(rows))[:pictures]
    for i in sorted(rows[k] for k in chosen):
        row, points = data.rows[i], data.landmarks(i)
        if points is not None:
            name, group = f"{row['source']}/{row['file']}", f"{row['source']}/{row['group']}"
            yield from sbi_qa.build(
                [sbi_qa.Pristine(name, data.pixels(i), points, group)], seed=seed, margin=MARGIN, pairs=turns + 1,
                detector=score, size=size, elsewhere=elsewhere,
            )  # fmt: skip


def talks(examples: Sequence[chats.Example]) -> list[list[tuple[str, str]]]:
    """The whole conversations of a chat file, as (question, answer) in turn: the longest that each example grows to."""
    out: list[list[tuple[str, str]]] = []
    for example in examples:
        asked = [text for role, text in example.before if role == "user"]
        if len(asked) == 1:
            out.append([])
        out[-1].append((asked[-1], example.answer))
    return out


def replies(model: Any, processor: Any, pictures: Sequence[Any], asked: Sequence[list[tuple[str, str]]],
            batch: int = 16) -> list[list[str]]:  # fmt: skip
    """What the model says in each turn, having heard its own answers before."""
    answers: list[list[str]] = [[] for _ in asked]
    for turn in range(max(map(len, asked))):
        those = [i for i, talk in enumerate(asked) if len(talk) > turn]
        for begin in track(range(0, len(those), batch), f"turn {turn + 1}"):
            part = those[begin : begin + batch]
            before = [list(zip([q for q, _ in asked[i][:turn]], answers[i], strict=True)) for i in part]
            texts = [asked[i][turn][0] for i in part]
            new = pv.answers(model, processor, [pictures[i] for i in part], texts, _TOKENS, before)
            for i, text in zip(part, new, strict=True):
                answers[i].append(text)
    return answers


def right(
    asked: Sequence[list[tuple[str, str]]], answers: Sequence[list[str]], groups: Sequence[str], general: bool
) -> dict[str, measures.Value]:
    """The share of answers that are right in each turn, "1" and so on, with 95 % of a bootstrap over conversations."""
    out: dict[str, measures.Value] = {}
    for turn in range(max(map(len, asked))):
        those = [i for i, talk in enumerate(asked) if len(talk) > turn]
        good = [_good(answers[i][turn], asked[i][turn][1], general) for i in those]
        columns = {"right": (np.array(good, float), np.ones(len(good)))}
        out[str(turn + 1)] = measures.ratios(columns, [groups[i] for i in those])["right"]
    return out


def _good(answer: str, truth: str, general: bool) -> bool:
    if general:
        return answer.strip() == truth
    return yes_no.parse(answer).label == yes_no.parse(truth).label


def measure(given: argparse.Namespace) -> None:
    """Ask, measure, write."""
    files = {"talks": given.talks} | ({"general": given.general} if given.general else {})
    rows: dict[str, dict[str, measures.Value]] = {}
    for kind, path in files.items():
        examples = chats.read(path)
        asked = talks(examples)
        first = [example for example in examples if sum(role == "user" for role, _ in example.before) == 1]
        pictures = [example.pictures()[0] for example in first]
        groups = [str(i // 2) for i in range(len(asked))] if kind == "talks" else [str(i) for i in range(len(asked))]
        for name in given.models:
            model, processor = pv.loaded(name, dtype="auto")
            answers = replies(model, processor, pictures, asked)
            for turn, value in right(asked, answers, groups, kind == "general").items():
                rows.setdefault(Path(name).parent.name if Path(name).name == "model" else name, {})[
                    f"{kind}, turn {turn}"
                ] = value
        if kind == "talks":
            for control, text in (("always yes", "Yes."), ("always no", "No.")):
                alone = [[text] * len(talk) for talk in asked]
                rows[control] = {
                    f"{kind}, turn {turn}": value for turn, value in right(asked, alone, groups, False).items()
                }
    columns = list(dict.fromkeys(column for values in rows.values() for column in values))
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for name, values in rows.items():
        lines.append(f"| {name} | {' | '.join(_cell(values.get(column)) for column in columns)} |")
    text = "\n".join(lines) + "\n"
    write_whole(given.out, text.encode())
    numbers = {name: {c: [v.value, v.low, v.high, v.n] for c, v in values.items()} for name, values in rows.items()}
    write_whole(given.out.with_suffix(".json"), (json.dumps(numbers, indent=1) + "\n").encode())
    print(text)


def _cell(value: measures.Value | None) -> str:
    if value is None or value.value is None:
        return "–"
    return f"{value.value:.3f}" + ("" if value.low is None else f" ({value.low:.3f}–{value.high:.3f})")


def main(arguments: Sequence[str] | None = None) -> None:
    """Build conversations, or measure models on them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parts = parser.add_subparsers(dest="what", required=True)
    made = parts.add_parser("talks")
    made.add_argument("--pack", type=Path, required=True)
    made.add_argument("--split", default="train")
    made.add_argument("--pictures", type=int, default=300, help="genuine ones, each with a forgery of it")
    made.add_argument("--detector", type=Path, help="kfd.safetensors, whose score the first question then tells")
    made.add_argument("--turns", type=int, default=TURNS, help="questions a conversation has; 1 for single ones (3)")
    made.add_argument("--elsewhere", type=float, default=0.5, help="share of no about a forged face's other regions")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--out", type=Path, required=True)
    asked = parts.add_parser("measure")
    asked.add_argument("models", nargs="+", help="folders of train sft")
    asked.add_argument("--talks", type=Path, required=True)
    asked.add_argument("--general", type=Path)
    asked.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    if given.what == "talks":
        examples = items(
            Pack(given.pack), given.split, given.pictures, given.seed, given.detector, given.turns, given.elsewhere
        )
        print(sbi_qa.write_chat(examples, given.out, given.turns))
    else:
        measure(given)


if __name__ == "__main__":
    script(main)
