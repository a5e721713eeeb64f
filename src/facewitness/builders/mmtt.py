"""Data in MMTT's form: forged portraits with a mask and a report each, in four families, in the published layout.

    facewitness build mmtt DATASET ROOT --out FOLDER        from any dataset's genuine faces

    FOLDER/dataset/own/<family>/<portrait>_<copy>.png          a forged picture
    FOLDER/dataset/own/<family>/<portrait>_<copy>_mask.png     what was changed, white
    FOLDER/{train,eval,test}-mutilabel-simple.json             [{image_id, instance_id, img_path, mask_path, caption,
                                                                 multilabel}, …], the authors' spelling
    FOLDER/grounded.jsonl                                      of each: <p>…</p> [SEG] text, regions, family, record

`datasets/mmtt` reads the folder. Lian et al., "Where AND Why in Image Forgery" (MMTT, ForgeryTalker), section 2:

    I_f = (1 − M) I + M I_g          every family keeps to it: outside M a forgery equals its portrait
    T                                "exclusively within the manipulated regions", self-contained, at most 120 words

Their forgers are E4S, StyleCLIP and HFGI, MAT and SDXL; ours are the house's (`grounded.FAMILIES`), and any diffusion
model of the hub by name ("diffusion", the extra `diffusers`). Where they cut masks by a face parser, ours come from
the mesh. Reports are written by grammar from what was done, or by a vision model under the same guideline (`tasks`,
`annotate`); `grounded.faults` is the automatic flag of section 2.2, and `queue` puts what it lets pass before people.

The paper says that MMTT is split 8:1:1; its published lists are not (their test list has 21,679 of 152,217 pictures,
one in seven). Ours are 8:1:1 by portrait, and no portrait is in two.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from facewitness import regions
from facewitness.builders import _disk, annotate, grounded, review
from facewitness.builders.grounded import Drawn
from facewitness.errors import FacewitnessError, InputError, UnknownName
from facewitness.files import write_whole
from facewitness.types import Landmarks, Pixels

SIZE = 512  # "All images are resized to 512×512 pixels"
SHARES = (8, 1, 1)  # train, val, test: "an 8:1:1 train/validation/test split"
LISTS = {"train": "train", "val": "eval", "test": "test"}
NAMES = tuple(name for name in grounded.NAMES if name not in regions.ATOMS)  # what reports of this kind name
GUIDELINE = (
    "You see a face that was manipulated, and a second picture in which the manipulated regions are white. Describe in "
    "at most 120 words what looks unnatural or badly integrated, and only inside these regions. Name each region. Say "
    "nothing about regions that are black there. Do not mention the second picture, a mask, or an original picture: "
    "your description has to stand alone."
)
_TRIES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A genuine face to forge."""

    file: str
    pixels: Pixels  # RGB uint8 (H, W, 3)
    landmarks: Landmarks  # (468, 2+), pixels
    group: str  # who it is: portraits of one person are in one split


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One forged portrait with its report."""

    id: str
    portrait: Portrait
    split: str
    drawn: Drawn


@dataclass(slots=True)
class Statistics:
    """What became of the portraits, and what was wrong with reports."""

    portraits: int = 0
    items: Counter[str] = field(default_factory=Counter)  # by family
    left_out: Counter[str] = field(default_factory=Counter)  # by reason
    faults: Counter[str] = field(default_factory=Counter)  # of reports, by kind
    places: Counter[int] = field(default_factory=Counter)  # regions that a report names
    words: Counter[int] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready.

        Returns:
            Numbers by name.
        """
        return {
            "portraits": self.portraits, "items": dict(self.items), "left_out": dict(self.left_out),
            "faults": dict(self.faults), "places": {str(k): v for k, v in sorted(self.places.items())},
            "words": {str(k): v for k, v in sorted(self.words.items())},
        }  # fmt: skip


def split_of(group: str, seed: int = 0) -> str:
    """The split of a person's portraits: 8:1:1, decided by the name alone.

    Args:
        group: Who is shown.
        seed: What everything is drawn from.
    """
    at = zlib.crc32(f"{seed}:{group}".encode()) % sum(SHARES)
    return ("train", "val", "test")[0 if at < SHARES[0] else 1 if at < SHARES[0] + SHARES[1] else 2]


def build(
    portraits: Sequence[Portrait] | Iterable[Portrait],
    *,
    seed: int = 0,
    copies: int = 1,
    size: int | None = SIZE,
    margin: float = 1.6,
    families: Sequence[str] = tuple(grounded.FAMILIES),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    statistics: Statistics | None = None,
) -> Iterator[Item]:
    """Forge every portrait `copies` times, the families in turn.

    The donor of a swap is the portrait before of another group. The same seed and portraits give the same items. A
    draw whose report breaks a rule, or that changed nothing, is drawn again; what fails `_TRIES` times is left out.

    Args:
        portraits: Genuine faces.
        seed: What everything is drawn from.
        copies: Forgeries of each portrait.
        size: Pixels of the square around the face; None leaves pictures as they are.
        margin: Its side over the mesh's longer side.
        families: Of `grounded.EVERY`.
        options: For a family's forger: {"diffusion": {"model": NAME}}.
        statistics: Is filled.

    Raises:
        UnknownName: a family that does not exist.
        InputError: no copies or no families.
    """
    if copies < 1 or not families:
        raise InputError(f"mmtt: expected at least one copy and one family, got {copies} and {len(families)}")
    for name in families:
        if name not in grounded.EVERY:
            raise UnknownName("family of forgeries", name, grounded.EVERY)
    counts = Statistics() if statistics is None else statistics
    donor: Portrait | None = None
    number = 0
    for portrait in portraits:
        counts.portraits += 1
        try:
            pixels, points = _cut(portrait, size, margin)
        except FacewitnessError as error:
            counts.left_out[str(error).split(":")[0][:60]] += 1
            continue
        for copy in range(copies):
            family = families[number % len(families)]
            number += 1
            other = None if donor is None or donor.group == portrait.group else (donor.pixels, donor.landmarks)
            drawn = _drawn(portrait, copy, seed, family, pixels, points, other, (options or {}).get(family), counts)
            if drawn is not None:
                counts.items[family] += 1
                counts.places[len(drawn.named)] += 1
                counts.words[len(drawn.text.split())] += 1
                name = f"own_{family}_{zlib.crc32(portrait.file.encode()):010}_{copy}"
                yield Item(name, portrait, split_of(portrait.group, seed), drawn)
        donor = portrait


def _cut(portrait: Portrait, size: int | None, margin: float) -> tuple[Pixels, Landmarks]:
    if size is None:
        return portrait.pixels, portrait.landmarks
    return grounded.cropped(portrait.pixels, portrait.landmarks, size, margin)


def _drawn(
    portrait: Portrait, copy: int, seed: int, family: str, pixels: Pixels, points: Landmarks,
    donor: tuple[Pixels, Landmarks] | None, options: Mapping[str, Any] | None, counts: Statistics,
) -> Drawn | None:  # fmt: skip
    why = "nothing"
    for attempt in range(_TRIES):
        rng = np.random.default_rng((seed, zlib.crc32(portrait.file.encode()), copy, attempt))
        try:
            drawn = grounded.draw(
                pixels, points, rng, family=family, donor=donor, names=NAMES, verdict=False, options=options
            )
        except InputError as error:
            why = str(error).split(": ", 1)[-1][:60]
            continue
        wrong = grounded.faults(drawn.text, drawn.mask, points)
        if not wrong:
            return drawn
        counts.faults.update(reason.split(":")[0] for reason in wrong)
        why = wrong[0].split(":")[0]
    counts.left_out[f"{family}: {why}"] += 1
    return None


# -------------------------------------------------------------------------------------------------- reports by a model


def tasks(items: Iterable[Item]) -> Iterator[annotate.Task]:
    """A request for a report on each item, under the paper's guideline; the answer is to be held to `check`.

    Args:
        items: What was built.
    """
    for item in items:
        mask = np.rint(item.drawn.mask * 255).astype(np.uint8)
        places = ", ".join(f"the {regions.spoken(name)}" for name in item.drawn.named)
        yield annotate.Task(
            item.id, GUIDELINE, f"The manipulated regions are: {places}. Describe what looks unnatural in them.",
            (_disk.png(item.drawn.pixels), _disk.png(mask)),
            {"label": "fake", "file": item.portrait.file, "family": item.drawn.family, "item": item},
        )  # fmt: skip


def check(task: annotate.Task, text: str) -> str:
    """Why a model's report cannot stand, by `grounded.faults`; empty where it can. For `annotate.annotate`.

    Args:
        task: The request.
        text: A model's report.
    """
    item: Item = task.about["item"]
    wrong = grounded.faults(text, item.drawn.mask, item.drawn.landmarks)
    return wrong[0].split(":")[0] if wrong else ""


def edit_refused(item: review.Item, content: Mapping[str, Any]) -> str:
    """Why an edited report cannot stand, by `grounded.faults`; empty where it can. For a `review.Queue`.

    Args:
        item: As `queue` made it; of one from before masks were held to, only words and length are looked at.
        content: As it shall be.
    """
    text = content.get("text")
    if not isinstance(text, str):
        return f"expected text as a text, got {type(text).__name__}"
    if re.search(r"<[^>]*>|\[SEG\]", text):
        return "expected words alone, as captions are, got <p> or [SEG]"
    if not text.isprintable():
        return f"expected one line of letters that can be seen, got {text!r}"[:300]
    names: Any = item.about.get("may_name")
    wrong = grounded.faults_by(text, frozenset(map(str, names)) if isinstance(names, list | tuple) else regions.REGIONS)
    if not wrong:
        return ""
    where = ", ".join(map(str, item.about.get("regions", ())))
    return wrong[0] + (f" (changed were: {where})" if where and wrong[0].startswith(("outside", "no region")) else "")


def queue(folder: review.Queue, items: Iterable[Item], texts: Mapping[str, str] | None = None, who: str = "") -> int:
    """Put reports before people: the model's `texts` by item id, else those by grammar. Gives how many are new.

    Args:
        folder: The queue that people look at.
        items: What was built.
        texts: A model's reports, by item id; None for those by grammar.
        who: Wrote them.
    """
    new = 0
    for item in items:
        pictures = {f"{item.id}.png": _disk.png(item.drawn.pixels)}
        pictures[f"{item.id}_mask.png"] = _disk.png(np.rint(item.drawn.mask * 255).astype(np.uint8))
        text = (texts or {}).get(item.id, item.drawn.text)
        new += folder.add(
            [
                review.Item(
                    item.id,
                    "mmtt",
                    {"text": text},
                    tuple(pictures),
                    {
                        "label": "fake",
                        "family": item.drawn.family,
                        "regions": list(item.drawn.named),
                        "may_name": list(grounded.nameable(item.drawn.mask, item.drawn.landmarks)),
                    },
                    who if texts and item.id in texts else "evidence",
                )
            ],
            pictures,
        )
    return new


# -------------------------------------------------------------------------------------------------------- on the disk


def write(
    items: Iterable[Item], folder: Path, texts: Mapping[str, str] | None = None,
    tell: Callable[[Item], None] = lambda item: None,
) -> dict[str, int]:  # fmt: skip
    """The published layout, below `folder`; a report in `texts`, by item id, stands in place of the grammar's.

    Args:
        items: What was built.
        folder: The folder to write into.
        texts: A model's reports, by item id; None for those by grammar.
        tell: Is called with each item before it is written.

    Returns:
        Split → items. Lists of splits without one are written too, empty.

    Raises:
        InputError: there are no items.
    """
    entries: dict[str, list[dict[str, Any]]] = {split: [] for split in LISTS}
    lines: list[str] = []
    for number, item in enumerate(items):
        tell(item)
        drawn = item.drawn
        stem = f"{item.id.removeprefix(f'own_{drawn.family}_')}"
        path = f"dataset/own/{drawn.family}/{stem}"
        write_whole(folder / f"{path}.png", _disk.png(drawn.pixels))
        write_whole(folder / f"{path}_mask.png", _disk.png(np.where(drawn.mask >= 0.5 * drawn.mask.max(), 255, 0)))
        caption = (texts or {}).get(item.id, drawn.text)
        entries[item.split].append(
            {
                "image_id": item.id,
                "instance_id": number,
                "img_path": f"{path}.png",
                "mask_path": f"{path}_mask.png",
                "caption": caption,
                "multilabel": multilabel(caption),
            }
        )
        about: dict[str, Any] = {
            "image_id": item.id,
            "family": drawn.family,
            "regions": list(drawn.named),
            "text": drawn.interleaved,
        }
        about |= {"portrait": item.portrait.file, "group": item.portrait.group, "record": list(drawn.record)}
        lines.append(json.dumps(about, default=str))
    if not lines:
        raise InputError(
            "mmtt: expected at least one portrait that can be forged, got none. One copy of a portrait is a swap, "
            "for which there is no donor: give more portraits, or --copies 4."
        )
    for split, rows in entries.items():
        content = json.dumps(rows, indent=1, ensure_ascii=False)
        file = folder / f"{LISTS[split]}-mutilabel-simple.json"
        write_whole(file, content.encode())
        file.with_suffix(".built.json").unlink(missing_ok=True)  # of an earlier one, on which people decided
    write_whole(folder / "grounded.jsonl", ("\n".join(lines) + "\n").encode())
    return {split: len(rows) for split, rows in entries.items()}


@dataclass(frozen=True, slots=True)
class _List:
    """One of a folder's lists: as it was built or published, and as earlier decisions left it."""

    file: Path
    content: bytes  # as it was built
    rows: list[dict[str, Any]]
    ids: list[str]  # of each row: its image_id, with the instance where several texts are about one picture
    now: dict[str, dict[str, Any]]  # the rows that stand in it now, by id; what was rejected does not

    @property
    def built(self) -> Path:
        """Where it is kept once decisions stand in its place."""
        return self.file.with_suffix(".built.json")


def _lists(folder: Path) -> list[_List]:
    """The lists of a folder. Raises InputError where there are none, one cannot be read, or was made anew since."""
    lists = []
    for name in LISTS.values():
        file = folder / f"{name}-mutilabel-simple.json"
        built = file.with_suffix(".built.json")
        if not file.is_file():
            continue
        content = (built if built.is_file() else file).read_bytes()
        rows = _rows(built if built.is_file() else file, content)
        often = Counter(str(row["image_id"]) for row in rows)
        names = [f"{row['image_id']} {row.get('instance_id', n)}" if often[str(row["image_id"])] > 1 else (
            str(row["image_id"])) for n, row in enumerate(rows)]  # fmt: skip
        ids = dict(zip(_keys(rows), names, strict=True))
        now = _rows(file, file.read_bytes()) if built.is_file() else rows
        keys = _keys(now)
        if stray := [row for row, key in zip(now, keys, strict=True) if key not in ids]:
            raise InputError(
                f"'{file}': expected rows of '{built.name}', which keeps it as people first saw it, got others, such "
                f"as {stray[0]['image_id']!r}: it was made anew since. Delete '{built.name}' to begin with it as it is."
            )
        if len(now) < len(rows) and (twice := next((key[0] for key in ids if key[-1] > 1), None)) is not None:
            raise InputError(
                f"'{file}': expected rows that image_id, instance_id and img_path tell apart, for some were left out "
                f"since people saw it, got several of {twice!r}. Delete '{built.name}' to begin with it as it is."
            )
        by_id = {ids[key]: row for key, row in zip(keys, now, strict=True)}
        lists.append(_List(file, content, rows, names, by_id))
    if not lists:
        raise InputError(f"'{folder}': expected lists of facewitness build mmtt, such as train-mutilabel-simple.json")
    return lists


def _rows(file: Path, content: bytes) -> list[dict[str, Any]]:
    """A list's rows, each with an image_id and a caption. Raises InputError."""
    try:
        rows = [dict(row) for row in json.loads(content)]
        if not all(isinstance(row["image_id"], str | int) for row in rows):
            raise TypeError("an image_id is neither text nor number")
        if not all(isinstance(row["caption"], str) for row in rows):
            raise TypeError("a caption is no text")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        why = "it is nested too deep" if isinstance(error, RecursionError) else repr(error)
        raise InputError(f"'{file}': expected a list that facewitness build mmtt wrote ({why})") from None
    return rows


def _keys(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str, int]]:
    """What tells rows of a list apart, whatever was decided; the last one counts those that nothing else does."""
    keys: list[tuple[str, str, str, int]] = []
    seen: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        key = str(row["image_id"]), str(row.get("instance_id")), str(row.get("img_path"))
        seen[key] += 1
        keys.append((*key, seen[key]))
    return keys


def queue_lists(queue: review.Queue, folder: Path, limit: int | None = None) -> int:
    """Put the reports of a folder's lists before people, MMTT's own as it is distributed among them.

    Which regions a mask touches is not known without a mesh: an edit is held to words and length alone.

    Args:
        queue: The queue that people look at.
        folder: With the lists, and the pictures that they name.
        limit: Reports at most; those that the queue has already count, too.

    Returns:
        How many are new.

    Raises:
        InputError: There are no lists, or a picture that one names is missing or lies elsewhere.
    """
    new = 0
    rows = [(item, row) for each in _lists(folder) for item, row in each.now.items()]
    for item, row in rows[:limit]:
        pictures = {}
        for number, key in enumerate(("img_path", "mask_path")):
            file = (folder / str(row.get(key, ""))).resolve()
            if not file.is_relative_to(folder.resolve()) or not file.is_file():
                raise InputError(f"'{folder}': expected the picture {row.get(key)!r} below it, found none")
            pictures[f"{review.identity(item)}_{number}{file.suffix.lower()}"] = file.read_bytes()
        about = {"label": "fake", "image_id": row["image_id"]}
        new += queue.add(
            [review.Item(item, "mmtt", {"text": row["caption"]}, tuple(pictures), about, "the list")], pictures
        )
    return new


def put_back(judged: Iterable[tuple[review.Item, Mapping[str, Any] | None]], folder: Path) -> dict[str, int]:
    """What people decided, in the lists of the folder that their queue was filled from.

    A caption is what people left of it, its 21 labels read anew; what they rejected stands in no list any more, and
    what they have not decided stays as it is, another queue's decisions among it. The lists as built are kept beside
    (`…-mutilabel-simple.built.json`), and a decision begins with what stands there, so that it can be changed.
    Pictures and grounded.jsonl stay as they are.

    Args:
        judged: As `review.Queue.judged` gives it.
        folder: As `write` left it.

    Returns:
        How many were "kept" as they were, "edited", "rejected" and "undecided", how many stay as they were "decided
        before", and how many of the queue's items stand "elsewhere", in no list of the folder.

    Raises:
        InputError: There are no lists in the folder, one cannot be read, or was made anew since.
    """
    decided = {item.id: content for item, content in judged if item.builder == "mmtt"}
    counts = dict.fromkeys(("kept", "edited", "rejected", "undecided", "decided before"), 0)
    changed: dict[Path, bytes] = {}
    for each in _lists(folder):
        kept = []
        for row, item in zip(each.rows, each.ids, strict=True):
            if item not in decided:
                stands = each.now.get(item)  # another queue's people may have edited it, or rejected it
                counts["undecided" if stands == row else "decided before"] += 1
                kept += [] if stands is None else [stands]
                continue
            text = decided.pop(item)
            if text is None:
                counts["rejected"] += 1
                continue
            if not isinstance(text.get("text"), str):
                raise InputError(
                    f"review: expected a text in what people decided about {item!r}, got "
                    f"{type(text.get('text')).__name__}. Decide it again."
                )
            counts["kept" if text["text"] == row["caption"] else "edited"] += 1
            kept.append(row | {"caption": text["text"], "multilabel": multilabel(text["text"])})
        changed[each.built] = each.content
        changed[each.file] = json.dumps(kept, indent=1, ensure_ascii=False).encode()
    for file, content in changed.items():  # the lists as built first: a kill between the two loses nothing
        write_whole(file, content)
    return counts | {"elsewhere": len(decided)}


def multilabel(caption: str) -> list[int]:
    """The 21 labels of a caption as the published lists have them.

    Args:
        caption: The report.
    """
    there = regions.captioned(caption)
    return [int(label in there) for label in regions.MMTT]
