"""`facewitness datasets`: which datasets can be read, and whether the copy on your disk is whole and its splits apart.

    facewitness datasets                                      every dataset and its first sentence
    facewitness datasets check faceforensics FaceForensics++  what is there, what is not, and who is in two splits

Only samples are listed: no picture is decoded and no mask loaded, so that a million of them take a minute or two and
little memory. Nothing that reads datasets is imported before a command runs, for a plain install has neither OpenCV
nor pyarrow.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facewitness import plugins
from facewitness.errors import FacewitnessError, InputError, UnknownName
from facewitness.types import Sample

ALL, NONE, SOME = 0, 1, 3  # exit statuses: whole, nothing there, something amiss
SHOWN = 20  # sentences about what is missing
DIVIDED_SHOWN = 5  # groups that are in two splits, and samples that are there twice

_ABOUT = """List the datasets that can be read; with check, count what of one is on your disk.

examples:
  facewitness datasets
  facewitness datasets --json
  facewitness datasets check faceforensics FaceForensics++
  facewitness datasets check celebdf Celeb-DF-v2 --split test --frames 32"""

_ABOUT_CHECK = """Count what is there and what is not, and prove that no group (a source video or a person) is in two
splits. Nothing is decoded; with --frames videos are opened, so that broken ones are found.

exit status:
  0  all that the dataset lists is there, once, and its splits share no group
  1  nothing is there
  2  the command was wrong
  3  something is missing, there twice, or in two splits"""


# ------------------------------------------------------------------------------------------------------ the words


def add_to(commands: Any) -> None:
    """Add `datasets` and `datasets check` to the top parser's sub-commands."""
    datasets = commands.add_parser("datasets", help="list datasets, or check the copy of one", description=_ABOUT)
    datasets.set_defaults(run=_list)
    datasets.add_argument("--json", action="store_true", help="print a JSON object: name -> first sentence")
    words = datasets.add_subparsers(title="commands", metavar="COMMAND")
    check = words.add_parser("check", help="count what is on the disk", description=_ABOUT_CHECK)
    check.set_defaults(run=_check)
    check.add_argument("name", metavar="NAME", help="of the dataset, as facewitness datasets lists it")
    check.add_argument("root", metavar="ROOT", nargs="?", type=Path, help="the dataset's folder, as it is unpacked")
    check.add_argument("--split", metavar="NAME", help="one split only")
    check.add_argument(
        "--frames", type=_count, default=0, metavar="N", help="open videos and count N frames of each (0: do not open)"
    )
    check.add_argument("--json", action="store_true", help="print a JSON object instead of a table")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


# --------------------------------------------------------------------------------------------------- the counting


@dataclass(slots=True, eq=False)
class Tally:
    """What one split holds: samples by label and method, and how many of them have which truth."""

    real: int = 0
    fake: int = 0
    methods: Counter[str] = field(default_factory=Counter)
    videos: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    masks: int = 0  # samples that have one; masks are not loaded
    texts: int = 0  # samples that people wrote about
    regions: int = 0  # samples of which it is known where they are forged; pristine ones count, for that is nowhere

    def add(self, sample: Sample) -> None:
        """Count one sample."""
        truth = sample.truth
        if truth.label == "real":
            self.real += 1
        else:
            self.fake += 1
        self.methods[truth.method or "unknown"] += 1
        if sample.video is not None:
            self.videos.add(sample.video)
        self.groups.add(sample.group)
        self.masks += truth.mask is not None
        self.texts += bool(truth.texts)
        self.regions += truth.regions is not None

    def numbers(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "real": self.real, "fake": self.fake, "methods": dict(sorted(self.methods.items())),
            "videos": len(self.videos), "groups": len(self.groups), "masks": self.masks, "texts": self.texts,
            "regions": self.regions,
        }  # fmt: skip


@dataclass(slots=True, eq=False)
class Found:
    """What `check` found. `divided` are groups with the splits they are in; `twice` names samples listed again."""

    splits: dict[str, Tally]
    missing: int  # sentences the dataset told
    examples: tuple[str, ...]  # the first of them
    divided: Mapping[str, tuple[str, ...]]
    duplicates: int
    twice: tuple[str, ...]  # the first of them
    problem: str | None  # why reading ended before the end

    @property
    def samples(self) -> int:
        """How many there are in all splits together."""
        return sum(tally.real + tally.fake for tally in self.splits.values())

    @property
    def status(self) -> int:
        """Exit status: ALL, NONE or SOME."""
        if not self.samples:
            return NONE
        return SOME if self.missing or self.divided or self.duplicates or self.problem else ALL


def check(name: str, root: str | Path | None, split: str | None = None, *, frames: int = 0) -> Found:
    """Read a dataset's samples to the end and count them.

    `frames` of each video; 0 leaves videos closed. What stops the reading (a broken list, an absent folder) is in
    `Found.problem`, with what was counted up to there. Raises UnknownName for a dataset or MissingExtra.
    """
    leaf = plugins.get("datasets", name)
    splits: dict[str, Tally] = {}
    seen: set[int] = set()  # hashes: a million samples' names would take ten times the memory
    homes: dict[tuple[str, str], set[str]] = {}
    examples: list[str] = []
    twice: list[str] = []
    missing, duplicates, problem = 0, 0, None

    def tell(sentence: str) -> None:
        nonlocal missing
        missing += 1
        if len(examples) < SHOWN:
            examples.append(sentence)

    try:
        for sample in _samples(leaf, name, root, split, frames, tell):
            splits.setdefault(sample.split, Tally()).add(sample)
            homes.setdefault((sample.dataset, sample.group), set()).add(sample.split)
            item = hash((sample.dataset, sample.file, sample.frame, sample.box))
            if item in seen:
                duplicates += 1
                if len(twice) < DIVIDED_SHOWN:
                    twice.append(sample.file)
            seen.add(item)
    except UnknownName:
        raise  # the command was wrong, not the disk
    except FacewitnessError as error:
        problem = str(error)
    divided = {group: tuple(sorted(homes[dataset, group])) for dataset, group in sorted(homes)
               if len(homes[dataset, group]) > 1}  # fmt: skip
    order = {each: number for number, each in enumerate(getattr(leaf, "SPLITS", ()))}
    splits = dict(sorted(splits.items(), key=lambda pair: (order.get(pair[0], len(order)), pair[0])))
    return Found(splits, missing, tuple(examples), divided, duplicates, tuple(twice), problem)


def _samples(
    leaf: Any, name: str, root: str | Path | None, split: str | None, frames: int, tell: Any
) -> Iterable[Sample]:  # fmt: skip
    known = inspect.signature(leaf.samples).parameters
    if root is None and known["root"].default is inspect.Parameter.empty:
        raise InputError(f"{name}: expected the folder it is in: facewitness datasets check {name} ROOT")
    options: dict[str, Any] = {"tell": tell} if "tell" in known else {}
    if "frames" in known:
        options["frames"] = frames
    samples: Iterable[Sample] = leaf.samples(root, split, **options)
    return samples


# ---------------------------------------------------------------------------------------------------- what is shown


def _list(given: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    about = {name: plugins.about("datasets", name) for name in plugins.names("datasets")}
    screen = Console(highlight=False)
    if given.json:
        print(json.dumps(about, ensure_ascii=False, indent=1))
    elif screen.is_terminal:
        table = Table("dataset", "what it is", box=None, header_style="bold")
        for name, sentence in about.items():
            table.add_row(_escaped(name), _escaped(sentence))
        screen.print(table)
    else:
        wide = max(map(len, about))
        for name, sentence in about.items():
            print(f"{name:<{wide}}  {sentence}")
    return ALL


def _check(given: argparse.Namespace) -> int:
    from rich.console import Console

    errors = Console(stderr=True)
    if errors.is_terminal:
        with errors.status(f"counting {given.name}"):
            found = check(given.name, given.root, given.split, frames=given.frames)
    else:
        found = check(given.name, given.root, given.split, frames=given.frames)
    if given.json:
        print(json.dumps(_object(given, found), ensure_ascii=False, indent=1))
        return found.status
    screen = Console(highlight=False, soft_wrap=True)
    rows = [_row(split, tally) for split, tally in found.splits.items()]
    if rows and screen.is_terminal:
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, title=_escaped(f"{given.name}, {given.root or 'painted here'}"))
        for column in _COLUMNS:
            table.add_column(column, justify="left" if column == "split" else "right")
        for row in rows:
            table.add_row(*map(_escaped, row))
        screen.print(table, soft_wrap=False)
    elif rows:
        print("\n".join(_aligned([_COLUMNS, *rows])))
    for line in _said(found, given.split):
        screen.print(line, markup=False, emoji=False)
    if found.problem:
        print(f"facewitness: {found.problem}", file=sys.stderr)
    return found.status


_COLUMNS = ("split", "real", "fake", "methods", "videos", "groups", "masks", "texts", "regions")


def _row(split: str, tally: Tally) -> tuple[str, ...]:
    numbers = (
        tally.real, tally.fake, len(tally.methods), len(tally.videos), len(tally.groups), tally.masks, tally.texts,
        tally.regions,
    )  # fmt: skip
    return (split, *map(str, numbers))


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Lines of columns: the first to the left, numbers to the right."""
    wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for first, *numbers in rows:
        yield "  ".join((f"{first:<{wide[0]}}", *(f"{n:>{w}}" for n, w in zip(numbers, wide[1:], strict=True))))


def _said(found: Found, split: str | None) -> Iterator[str]:
    """In sentences: what is amiss, and what was proved."""
    from facewitness.formats import visible

    for name, tally in found.splits.items():
        yield visible(f"{name}: " + ", ".join(f"{count} {method}" for method, count in sorted(tally.methods.items())))
    if found.missing:
        yield f"missing or noted: {found.missing}"
        for sentence in found.examples:
            yield f"  {visible(sentence)}"
        if found.missing > len(found.examples):
            yield f"  … and {found.missing - len(found.examples)} more"
    if found.duplicates:
        shown = ", ".join(map(visible, found.twice))
        yield f"there twice: {found.duplicates} samples ({shown}{_more(found.duplicates, found.twice)})"
    if found.divided:
        shown = ", ".join(
            f"{visible(group)} in {' and '.join(splits)}"
            for group, splits in list(found.divided.items())[:DIVIDED_SHOWN]
        )
        more = "…" if len(found.divided) > DIVIDED_SHOWN else ""
        yield f"in two splits: {len(found.divided)} groups ({shown}{more}); a score on such splits is too high"
    elif split is None and len(found.splits) > 1:
        yield "no group is in two splits"
    elif found.splits:
        yield "one split only: whether it shares groups with others was not looked at"


def _more(count: int, shown: tuple[str, ...]) -> str:
    return "…" if count > len(shown) else ""


def _object(given: argparse.Namespace, found: Found) -> dict[str, Any]:
    return {
        "dataset": given.name,
        "root": None if given.root is None else str(given.root),
        "split": given.split,
        "splits": {split: tally.numbers() for split, tally in found.splits.items()},
        "missing": {"count": found.missing, "first": list(found.examples)},
        "divided": {
            "count": len(found.divided),
            "first": {group: list(splits) for group, splits in list(found.divided.items())[:DIVIDED_SHOWN]},
        },
        "duplicates": {"count": found.duplicates, "first": list(found.twice)},
        "problem": found.problem,
    }


def _escaped(text: str) -> str:
    from rich.markup import escape

    from facewitness.formats import visible

    return escape(visible(text))
