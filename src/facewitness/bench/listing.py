"""Whether the copy of a dataset on your disk is whole, and its splits apart: every sample counted, every file opened.

Of a picture the header is read; a bounded number of them is decoded, and their masks are loaded (`openable`).

The same file knows data by content (`listed`): each item with a digest of its bytes and of its truth, which a run keeps
to see that its data are still the same. A file is known by its size and the SHA-256 of its first and last megabyte:
that is all of a picture, and enough of a film. Its time of change and the folder it lies in say nothing: a copy is the
same data. The same bytes under two labels or in two splits are told (`amiss`), for no threshold is right on them.
"""

from __future__ import annotations

import hashlib
import inspect
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facewitness import media, plugins
from facewitness.bench.openable import DECODED, Broken, Openable
from facewitness.errors import FacewitnessError, InputError, UnknownName
from facewitness.types import Sample

if TYPE_CHECKING:
    import pyarrow as pa

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
    masks: int = 0  # samples that have one
    texts: int = 0  # samples that people wrote about
    regions: int = 0  # samples of which it is known where they are forged; pristine ones count, for that is nowhere

    def add(self, sample: Sample) -> None:
        """Count one sample.

        Args:
            sample: The sample.
        """
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
        """As JSON has it.

        Returns:
            JSON-ready.
        """
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
    notes: tuple[str, ...] = ()  # what is amiss with the data as a whole: one class only, one picture under two labels
    broken: tuple[Broken, ...] = ()  # pictures that cannot be read, by kind
    opened: int = 0  # files, and pictures inside tables, whose header was read
    decoded: int = 0  # those of them that were decoded to the end

    @property
    def samples(self) -> int:
        """How many there are in all splits together."""
        return sum(tally.real + tally.fake for tally in self.splits.values())

    @property
    def amiss(self) -> bool:
        """Whether something is missing, there twice, in two splits, or could not be read."""
        return bool(self.missing or self.divided or self.duplicates or self.problem or self.notes or self.broken)


def check(
    name: str, root: str | Path | None, split: str | None = None, *, frames: int = 0, decode: int = DECODED
) -> Found:
    """Read a dataset's samples to the end, count them, and open their pictures.

    `frames` of each video; 0 leaves videos closed. What stops the reading (a broken list, an absent folder) is in
    `Found.problem`, with what was counted up to there.

    Args:
        name: Of the dataset.
        root: Where the samples' files lie.
        split: Which split; None for all.
        frames: Of each video; 0 leaves videos closed.
        decode: So many pictures are decoded to the end; of the others only the header is read.

    Raises:
        UnknownName: For a dataset.
        MissingExtra: The dataset needs a package that is not installed.
    """
    leaf = plugins.get("datasets", name)
    splits: dict[str, Tally] = {}
    seen: set[int] = set()  # hashes: a million samples' names would take ten times the memory
    homes: dict[tuple[str, str], set[str]] = {}
    examples: list[str] = []
    twice: list[str] = []
    missing, duplicates, problem = 0, 0, None
    seen_as = _Contents(root)
    opening = Openable(None if root is None else _below(root), decode)

    def tell(sentence: str) -> None:
        nonlocal missing
        missing += 1
        if len(examples) < SHOWN:
            examples.append(sentence)

    try:
        for sample in _samples(leaf, name, root, split, frames, tell):
            splits.setdefault(sample.split, Tally()).add(sample)
            homes.setdefault((sample.dataset, sample.group), set()).add(sample.split)
            seen_as.add(sample)
            opening.add(sample)
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
    notes = (*one_class(sum(t.real for t in splits.values()), sum(t.fake for t in splits.values())), *seen_as.notes())
    return Found(
        splits, missing, tuple(examples), divided, duplicates, tuple(twice), problem, notes, opening.broken(),
        opening.opened, opening.decoded,
    )  # fmt: skip


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


# ----------------------------------------------------------------------------------------------- data by its content

_PIECE = 1_000_000  # bytes at either end of a file


def listed(samples: Iterable[Sample], root: Path | None) -> pa.Table:
    """Each item by content: its name, label and split, a digest of its bytes, and one of its bytes and its truth.

    An item whose file cannot be read has the digest "unreadable": that it can be read later is a change.

    Args:
        samples: Of a dataset.
        root: Where the samples' files lie.
    """
    import pyarrow as pa  # here, so that to check a dataset needs no more than to read it

    known: dict[Path, str] = {}
    rows = []
    for sample in samples:
        truth = sample.truth
        content = _content(sample, root, known)
        regions = None if truth.regions is None else sorted(truth.regions)
        boxes = None if truth.boxes is None else sorted(truth.boxes.items())
        questions = None if truth.questions is None else sorted(truth.questions.items())
        about = (content, truth.label, truth.method, truth.kind, sample.split, sample.group, regions, boxes,
                 truth.texts, questions)  # fmt: skip
        rows.append(
            {
                "item": "\0".join((_utf8(sample.file), str(sample.frame), str(sample.box), sample.dataset)),
                "label": truth.label,
                "split": sample.split,
                "content": content,
                "digest": hashlib.sha256(repr(about).encode("utf-8", "backslashreplace")).hexdigest()[:32],
            }
        )
    return pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in _LISTED]))


_LISTED = ("item", "label", "split", "content", "digest")


def amiss(data: pa.Table) -> list[str]:
    """What is amiss with the data as a whole, in sentences: one class only, the same picture twice with two truths.

    Args:
        data: The listing.
    """
    labels = Counter(data.column("label").to_pylist())
    twins = _Twins()
    for row in data.to_pylist():
        if row["content"] != UNREADABLE:
            twins.add(row["content"], row["item"].split("\0")[0], row["label"], row["split"])
    return [*one_class(labels["real"], labels["fake"]), *twins.notes()]


UNREADABLE = "unreadable"


def one_class(real: int, fake: int) -> list[str]:
    """A sentence where there are pictures of one label only.

    Args:
        real: How many genuine pictures there are.
        fake: How many fakes there are.
    """
    if bool(real) == bool(fake):
        return []
    only, lacking = ("genuine", "fake") if real else ("fake", "genuine")
    return [f"one class only: all {real + fake} items are {only}. Without a {lacking} one there is no AUC."]


class _Twins:
    """Which items are the same bytes, and whether these have two labels or are in two splits."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, str, str]] = {}
        self._labels: list[tuple[str, str]] = []
        self._splits: list[tuple[str, str]] = []

    def add(self, content: str, file: str, label: str, split: str) -> None:
        other, other_label, other_split = self._first.setdefault(content, (file, label, split))
        if other_label != label:
            self._labels.append((other, file))
        elif other_split != split:
            self._splits.append((other, file))

    def notes(self) -> list[str]:
        sentences = []
        for pairs, what in (
            (self._labels, "the same bytes under two labels: no threshold is right on both. Take one out"),
            (self._splits, "the same bytes in two splits: one is learnt from, the other tested on. Take one out"),
        ):
            if pairs:
                shown = "; ".join(f"{a} and {b}" for a, b in pairs[:DIVIDED_SHOWN])
                more = "; …" if len(pairs) > DIVIDED_SHOWN else ""
                pictures = "picture" if len(pairs) == 1 else "pictures"
                sentences.append(f"{len(pairs)} {pictures} with {what} ({shown}{more}).")
        return sentences


class _Contents:
    """Finds twins without reading what has a size of its own: only files of one size are compared."""

    def __init__(self, root: str | Path | None):
        self._root = None if root is None else _below(root)
        self._by_size: dict[int, list[tuple[Path, str, str, str]]] = {}
        self._twins = _Twins()

    def add(self, sample: Sample) -> None:
        label, split = sample.truth.label, sample.split
        if sample.frame is not None or sample.video is not None or sample.box is not None:
            return  # frames of one file, and faces of one picture, are told apart by more than its bytes
        if sample.image is not None:
            self._twins.add(hashlib.sha256(sample.image).hexdigest(), sample.file, label, split)
        elif self._root is not None:
            path = media.file_of(self._root / sample.file)
            if path.name != Path(sample.file).name:
                return  # pages of one file are told apart by more than its bytes
            try:
                size = path.stat().st_size
            except (OSError, ValueError):
                return
            self._by_size.setdefault(size, []).append((path, sample.file, label, split))

    def notes(self) -> list[str]:
        for same in self._by_size.values():
            if len(same) > 1:
                for path, file, label, split in same:
                    content = _of_file(path)
                    if content != UNREADABLE:
                        self._twins.add(content, file, label, split)
        return self._twins.notes()


def _below(root: str | Path) -> Path:
    """The folder that an item's file is below: of a list that is named as a file, the folder it lies in."""
    root = Path(root)
    return root.parent if root.is_file() else root


def _content(sample: Sample, root: Path | None, known: dict[Path, str]) -> str:
    if sample.image is not None:
        of = hashlib.sha256(sample.image).hexdigest()[:32]
    else:
        path = media.file_of((root or Path()) / sample.file)
        page = sample.file.rpartition("#")[2] if path.name != Path(sample.file).name else None
        if path not in known:
            if len(known) > 4096:
                known.clear()
            known[path] = _of_file(path)
        of = known[path] if page is None or known[path] == UNREADABLE else f"{known[path]} #{page}"
    if of == UNREADABLE or (sample.frame is None and sample.box is None):
        return of
    return f"{of} {sample.frame} {sample.box}"


def _of_file(path: Path) -> str:
    try:
        if not path.is_file():  # a pipe would be waited for
            return UNREADABLE
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256(str(size).encode())
            digest.update(file.read(_PIECE))
            if size > _PIECE:
                file.seek(max(_PIECE, size - _PIECE))
                digest.update(file.read(_PIECE))
    except (OSError, ValueError):
        return UNREADABLE
    return digest.hexdigest()[:32]


def _utf8(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
