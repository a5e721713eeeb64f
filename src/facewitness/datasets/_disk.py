"""What datasets on disk share: finding the root, natural order, evenly spaced frames, telling what is absent.

A leaf that reads videos has `samples(root, split=None, *, frames=32, tell=silent)`; one that reads pictures leaves out
`frames`. `tell` is called with a sentence for everything that the dataset lists and the disk lacks: what it is called,
where it was expected, and what mends it. A root that does not look like the dataset at all is an InputError.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from facewitness import media
from facewitness.errors import FacewitnessError, InputError, UnreadableMedia
from facewitness.files import each_once, is_there, ordinary, read_bounded
from facewitness.film import Frames
from facewitness.types import Sample, Truth

# what its decoders say of a damaged file is for whoever makes decoders; the sentence that is raised says it to users
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

Tell = Callable[[str], None]
PICTURES = tuple(sorted(media.SUFFIXES))  # what `analyze` reads, datasets read
VIDEOS = tuple(sorted(media.FILMS))
MAX_LIST = 1_000_000_000  # bytes of a list of what a dataset holds
PRISTINE = Truth("real", "pristine", "pristine", regions=frozenset())  # of a picture nobody changed


def table_of(table: Path) -> pq.ParquetFile:
    """A table's file. Raises InputError where it is none, or not whole."""
    try:
        return pq.ParquetFile(ordinary(table))
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{table.name}: expected a Parquet table ({error}); copy it again") from error


def holds(kind: pa.DataType, wanted: str) -> bool:
    """Whether a column of this type holds "bytes" or "text", as far as it holds anything."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if wanted == "bytes":
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_null(kind))
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind))


@contextmanager
def as_built(table: Path, builder: str) -> Iterator[None]:
    """Tells a row that somebody edited in a sentence. Raises InputError for what is no row of the builder's."""
    try:
        yield
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        if isinstance(error, FacewitnessError):
            raise
        raise InputError(
            f"{table.name}: expected rows as builders/{builder} writes them, got one that is none ({error!r:.100}); "
            "build it again"
        ) from error


def silent(sentence: str) -> None:
    """Tells nobody."""


def folder(root: str | Path, dataset: str, needed: Iterable[str], any_of: bool = False) -> Path:
    """The root as a Path, once it holds what the dataset needs (all of `needed`, or any).

    `needed` are paths below the root, globs included. Raises InputError that says what was expected and what is there.
    """
    if root is None:
        raise InputError(f"{dataset}: expected the folder where it lies, got none. Name it: --root DIR")
    root, needed = Path(root), tuple(needed)
    if not root.is_dir():
        if root.exists():
            raise InputError(f"{dataset}: expected a folder at {root}, got something else. Name the folder.")
        near = difflib.get_close_matches(root.name, [p.name for p in root.parent.glob("*")], n=1)
        hint = f" Did you mean {root.parent / near[0]}?" if near else ""
        raise InputError(f"{dataset}: expected a folder at {root}, found none.{hint or ' Check the path.'}")
    there = [bool(next(root.glob(pattern), None)) for pattern in needed]
    if needed and not (any(there) if any_of else all(there)):
        absent = [pattern for pattern, content in zip(needed, there, strict=True) if not content]
        content = ", ".join(sorted(p.name for p in root.iterdir())[:8]) or "nothing"
        what = f"at least one of {', '.join(needed)}" if any_of else ", ".join(absent)
        raise InputError(
            f"{dataset}: expected {what} in {root}, which holds {content}. Give the folder as it is unpacked."
        )
    return root


def natural(path: Path | str) -> list[Any]:
    """A sorting key under which frame 2 comes before frame 10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", str(path))]


def pictures(below: Path, deep: bool = True) -> list[Path]:
    """The pictures of a folder, in natural order; `deep` looks into its folders too. An absent folder has none."""
    return sorted((p for p in _seen(below, deep) if p.suffix.lower() in PICTURES), key=natural)


def _seen(below: Path, deep: bool) -> Iterator[Path]:
    """What a folder holds, but what is hidden or lies in a hidden folder, as the copies of notebooks and of NAS do."""
    for path in below.rglob("*") if deep else below.glob("*"):
        if not any(part.startswith(".") or part == "@eaDir" for part in path.relative_to(below).parts):
            yield path


def links(below: Path) -> list[str]:
    """The links to folders in a folder: they are not followed, for they may lead back, or to the same picture twice."""
    return sorted(str(path.relative_to(below)) for path in _seen(below, True) if path.is_symlink() and path.is_dir())


def left_out(below: Path, deep: bool = True) -> str:
    """The other files of a folder by their endings, such as "2 .heic, 1 .txt"; empty where there are none.

    Hidden files and what file managers leave are not counted.
    """
    kinds: Counter[str] = Counter()
    for path in _seen(below, deep):
        read = path.suffix.lower() in (*PICTURES, *VIDEOS)
        if path.name.lower() in _CLUTTER or read or not path.is_file():
            continue
        kinds[path.suffix.lower() or "without an ending"] += 1
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


_CLUTTER = ("thumbs.db", "desktop.ini")


def videos(below: Path, deep: bool = False) -> list[Path]:
    """The videos of a folder, in natural order."""
    return sorted((p for p in _seen(below, deep) if p.suffix.lower() in VIDEOS), key=natural)


def sources(below: Path) -> dict[str, Path]:
    """The videos of a folder by name without ending, in natural order.

    A video is a file in the folder or its `videos`, else a folder of extracted frames in its `frames` or `images`.
    """
    clips: dict[str, Path] = {}
    for place in (below / "images", below / "frames"):
        if place.is_dir():
            clips |= {p.name: p for p in place.iterdir() if p.is_dir() and not p.name.startswith(".")}
    for place in (below / "videos", below):
        clips |= {p.stem: p for p in videos(place)}
    return {name: clips[name] for name in sorted(clips, key=natural)}


def evenly(total: int, wanted: int) -> tuple[int, ...]:
    """Indices of `wanted` frames of `total`, the middles of as many equal stretches; all of them where there are fewer.

    The first N frames, which many loaders take, show one moment of a video, often before anything has moved.
    """
    if total <= wanted:
        return tuple(range(total))
    return tuple(int((i + 0.5) * total / wanted) for i in range(wanted))


def of_video(
    root: Path,
    video: Path,
    truth: Truth,
    *,
    dataset: str,
    split: str,
    group: str,
    frames: int,
    tell: Tell = silent,
    compression: str | None = None,
    original: str | None = None,
    name: str | None = None,
) -> Iterator[Sample]:
    """The samples of one video: a file, or a folder of extracted frames.

    Evenly spaced frames; with `frames` 0 one sample for the whole video, which is not opened (to count). A video that
    cannot be opened is told, and is one sample without a frame: a runner records that it failed. `original` is the
    pristine video, or the folder of its frames: then every still has the one of its name, if there is one.
    """
    key = "/".join(
        (dataset, truth.method or truth.label, compression or "-", name or video.relative_to(root).as_posix())
    )
    common: dict[str, Any] = {
        "truth": truth, "split": split, "group": group, "dataset": dataset, "video": key,
        "compression": compression, "original": original,
    }  # fmt: skip
    relative = video.relative_to(root).as_posix()
    if not video.is_dir() and original is not None and (root / original).is_dir():
        common["original"] = None  # a folder of stills says nothing of a frame's number
    if video.is_dir():
        stills = pictures(video, deep=False)
        if not stills:
            tell(f"{dataset}: expected frames in {video}, found no picture; extract them again")
        chosen = stills[:1] if frames == 0 else [stills[i] for i in evenly(len(stills), frames)]
        for still in chosen:
            if original is not None and (root / original).is_dir():  # the counterpart of a still is a still
                pristine = root / original / still.name
                common["original"] = pristine.relative_to(root).as_posix() if pristine.is_file() else None
            yield Sample(file=still.relative_to(root).as_posix(), **common)
        return
    if frames == 0:
        yield Sample(file=relative, **common)
        return
    total = _frames.count(video)
    if total == 0:
        tell(f"{dataset}: {video} cannot be opened as a video; copy or download it again")
        yield Sample(file=relative, **common)
        return
    for index in evenly(total, frames):
        yield Sample(file=relative, frame=index, **common)


def not_empty(samples: Iterator[Sample], dataset: str, split: str | None, root: Path) -> Iterator[Sample]:
    """The samples; raises InputError at the end where there was none, since a table of nothing looks like a result."""
    any_came = False
    for sample in samples:
        any_came = True
        yield sample
    if not any_came:
        what = f"the split '{split}'" if split is not None else "the dataset"
        raise InputError(f"{dataset}: expected pictures for {what} in {root}, found none; is it unpacked completely?")


def mask_in(content: bytes, name: str = "a mask") -> NDArray[np.float32]:
    """An encoded grey picture as a mask, float32 (H, W) in [0, 1], upright as its EXIF says.

    Raises UnreadableMedia where it is not a picture, TooLarge beyond the limits of `media`.

    White is forged; a picture of nothing but 0 and 1 is taken as 0 and 255, as some tools write masks so.
    """
    try:
        # OpenCV's own limit is a thousand million pixels, eight gigabytes of a mask, and it fills what is missing
        clip = media.read(content, name=name)
        damage = clip.damage
        if content[4:8] == b"ftyp":  # AVIF and HEIC, which OpenCV does not turn upright, or not read
            grey = cv2.cvtColor(np.ascontiguousarray(clip.frame.pixels), cv2.COLOR_RGB2GRAY)
        else:
            grey = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    except UnreadableMedia:
        grey = None
    if grey is None:
        raise UnreadableMedia(f"{name}: expected a picture of the forged pixels, could not decode it; copy it again")
    if damage:
        raise UnreadableMedia(f"{name}: expected a whole mask, got one of which a part is missing; copy it again")
    mask = grey.astype(np.float32)
    mask /= np.float32(1.0 if grey.max() <= 1 else 255.0)
    return mask


def mask_of(path: Path) -> NDArray[np.float32]:
    """The mask in a picture file, as `mask_in`."""
    try:
        return mask_in(read_bounded(path, media.MAX_BYTES), str(path))
    except OSError as error:
        raise UnreadableMedia(f"{path}: expected a picture of the forged pixels ({error.strerror})") from error


_frames = Frames()  # counts
_masks = Frames()  # one for all: the masks of a video are asked for in their order


def mask_in_video(path: Path, frame: int, threshold: int = 25) -> NDArray[np.float32]:
    """One frame of a video of masks, float32 (H, W) of 0 and 1: forged where any channel is above the threshold.

    Such videos are compressed, and some colour what they mark: black is 0 only nearly, white seldom 255. Raises
    UnreadableMedia where the video has no such frame.
    """
    try:
        pixels = _masks.frame(path, frame)
    except UnreadableMedia as error:
        raise UnreadableMedia(
            f"{path}: expected a mask in frame {frame}, found none; copy or download the video again"
        ) from error
    return np.asarray(pixels.max(axis=-1) > threshold, np.float32)


def with_masks(made: Iterable[Sample], places: Sequence[Path | None]) -> Iterator[Sample]:
    """The samples of one video, each with the mask of its own frame, loaded when it is called.

    `places`, some of them None or absent, are videos of masks, for frames of a video, and folders of pictures, for
    stills of the same name.
    """
    films = [p for p in places if p is not None and is_there(p)]
    stills = {p.stem: p for place in places if place is not None for p in pictures(place, deep=False)}
    for sample in made:
        mask: Any = None
        if sample.frame is not None and films:
            mask = partial(mask_in_video, films[0], sample.frame)
        elif sample.frame is None and Path(sample.file).stem in stills:
            mask = partial(mask_of, stills[Path(sample.file).stem])
        yield sample if mask is None else replace(sample, truth=replace(sample.truth, mask=mask))


def below(root: Path, listed: str) -> Path | None:
    """The file that a list names, wherever the list was written; None where it is absent.

    Either slash parts the names. What stands before the part that is in `root` (another machine's folders, a drive) is
    cut away, but never the last folder: of `C:\\sets\\FF\\000\\1.png` at least 000/1.png is looked for.
    """
    parts = [part for part in re.split(r"[\\/]+", listed) if part not in ("", ".")]
    if not parts or ".." in parts:
        return None
    places = (root.joinpath(*parts[first:]) for first in range(max(1, len(parts) - 1)))
    return next((place for place in places if is_there(place)), None)


def read_json(path: Path, dataset: str) -> Any:
    """The content of a JSON file. Raises InputError that names the file and the place where it breaks."""
    try:
        return json.loads(read_bounded(path, MAX_LIST).decode("utf-8-sig"), object_pairs_hook=each_once)
    except FileNotFoundError:
        raise InputError(f"{dataset}: expected {path}, which does not exist") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{dataset}: {path} is not JSON ({error}); download it again") from error
    except RecursionError:
        raise InputError(f"{dataset}: {path} is nested too deep to be a list of pictures; download it again") from None
    except ValueError as error:
        raise InputError(f"{dataset}: {path} cannot be read ({error}); download it again") from error
    except OSError as error:
        raise InputError(f"{dataset}: {path} cannot be read ({error.strerror}); download it again") from error


def read_lines(path: Path, dataset: str) -> list[str]:
    """The lines of a text file. Raises InputError that names the file where it cannot be read as UTF-8."""
    try:
        return read_bounded(path, MAX_LIST).decode("utf-8-sig").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{dataset}: {path} could not be read as text ({error}); download it again") from error


def encoded(cell: Any) -> bytes | None:
    """The encoded picture in a cell of a table: bytes, or a struct {bytes, path} as `datasets` stores it, or None."""
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    return content if isinstance(content, bytes) and content else None


def wanted(split: str | None, known: Iterable[str], dataset: str) -> None:
    """Raises InputError with the nearest name for a split that the dataset does not have."""
    known = tuple(known)
    if split is not None and split not in known:
        near = difflib.get_close_matches(split, known, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise InputError(f"{dataset}: expected one of the splits {', '.join(known)}, got {split!r}.{hint}")


def apart(listed: Iterable[tuple[str, str]], dataset: str, tell: Tell) -> Mapping[tuple[str, str], str]:
    """(group, split) → a group that no other split has: a group that the official split divides is named by split too.

    `listed` are the (group, split) of all items. What is divided leaks from one split to the other, and is told.
    """
    splits: dict[str, set[str]] = {}
    for group, split in listed:
        splits.setdefault(group, set()).add(split)
    divided = sorted((g for g, among in splits.items() if len(among) > 1), key=natural)
    if divided:
        tell(
            f"{dataset}: {len(divided)} of {len(splits)} source videos or identities are in two official splits "
            f"({', '.join(divided[:3])}…): a system that trained on this dataset has seen them; mind that in the table"
        )
    return {(g, s): f"{s}/{g}" if len(among) > 1 else g for g, among in splits.items() for s in among}


def joined(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Groups from pairs of identities that share a video: every identity → one name for all it is connected to.

    A face swap shows two people; splits share nobody only if both of them, and all they were ever swapped with, are in
    one group.
    """
    parent: dict[str, str] = {}

    def root(x: str) -> str:
        parent.setdefault(x, x)
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x

    for a, b in pairs:
        first, second = sorted((root(a), root(b)))
        parent[second] = first
    return {x: root(x) for x in parent}
