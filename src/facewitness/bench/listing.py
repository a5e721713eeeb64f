"""Whether the copy of a dataset on your disk is whole, and its splits apart: every sample counted, none decoded.

No picture is decoded and no mask loaded, so that a million samples take a minute or two.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facewitness import plugins
from facewitness.errors import FacewitnessError, InputError, UnknownName
from facewitness.types import Sample

SHOWN = 20  # sentences about what is missing
DIVIDED_SHOWN = 5  # groups that are in two splits, and samples that are there twice


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
    def amiss(self) -> bool:
        """Whether something is missing, there twice, in two splits, or could not be read."""
        return bool(self.missing or self.divided or self.duplicates or self.problem)


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
