"""Whether a dataset's pictures open: of each its header is read, and a bounded number is decoded to the end.

A copy that broke off leaves files that exist, have the right name and cannot be read; a run finds out after hours. Each
picture's header is checked; whether its end is there only decoding tells, so as many are decoded as were asked for,
chosen by a hash of their names: the same ones next time, from all splits and folders. What is amiss is counted by
kind, and each kind is told once, with its first example.
"""

from __future__ import annotations

import hashlib
import heapq
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facewitness import geometry, media
from facewitness.errors import FacewitnessError, TooLarge
from facewitness.types import Box, Sample

DECODED = 1_000  # pictures that are decoded to the end where nobody says how many
_KEPT = 200_000_000  # bytes of pictures inside tables that wait for being decoded
KINDS = {  # of one picture, and of several
    "missing": ("is not there", "are not there"),
    "closed": ("cannot be opened", "cannot be opened"),
    "empty": ("is an empty file", "are empty files"),
    "other": ("is no picture", "are no pictures"),
    "broken": ("is damaged or incomplete", "are damaged or incomplete"),
    "short": ("lacks a part of what it shows", "lack a part of what they show"),
    "large": ("is over the limits of a picture", "are over the limits of a picture"),
    "mask": ("has a mask that cannot be used", "have masks that cannot be used"),
    "box": ("has a box that lies beyond it", "have boxes that lie beyond them"),
}


@dataclass(frozen=True, slots=True)
class Broken:
    """One kind of what is amiss: how many pictures have it, and what is said of the first."""

    kind: str  # of KINDS
    count: int
    first: str

    def sentence(self) -> str:
        """ "3 pictures are damaged or incomplete, the first: 'a.jpg' is …"."""
        one, several = KINDS[self.kind]
        if self.count == 1:
            return f"1 picture {one}: {self.first}"
        return f"{self.count} pictures {several}, the first: {self.first}"


class Openable:
    """Looks into each picture as samples are counted; `broken` says what is amiss with them.

    Args:
        root: The folder that the samples' files are below; None where they hold their pictures themselves.
        decode: So many pictures are decoded to the end, of as many as there are.
    """

    def __init__(self, root: Path | None, decode: int = DECODED):
        self.opened = self.decoded = 0
        self._root, self._decode = root, decode
        self._seen: set[int] = set()  # hashes of names: a million take a tenth of the memory
        self._chosen: list[tuple[int, int, str, bytes | None, Any]] = []  # a heap, the last to be decoded first
        self._boxes: dict[int, list[Box]] = {}  # of those, and of what else is said of the same file
        self._kept = 0
        self._counts: dict[str, list[Any]] = {}

    def add(self, sample: Sample) -> None:
        """Open one sample's picture, once a file; films are left closed, but have to be there.

        Args:
            sample: Of a dataset.
        """
        number = int.from_bytes(hashlib.sha256(sample.file.encode("utf-8", "surrogatepass")).digest()[:8], "big")
        boxes = [*([] if sample.box is None else [sample.box]), *(sample.truth.boxes or {}).values()]
        if number in self._boxes:
            self._boxes[number] += boxes
        if number in self._seen or (sample.image is None and self._root is None):
            return
        self._seen.add(number)
        is_film = sample.frame is not None or Path(sample.file).suffix.lower() in media.FILMS
        if not self._holds(sample, is_film):
            return
        mask = sample.truth.mask
        chosen = (-number, len(self._seen), sample.file, sample.image, mask if callable(mask) else None)
        if is_film:
            return
        heapq.heappush(self._chosen, chosen)
        self._boxes[number] = boxes
        self._kept += len(sample.image or b"")
        while len(self._chosen) > self._decode or self._kept > _KEPT:
            last = heapq.heappop(self._chosen)
            self._kept -= len(last[3] or b"")
            del self._boxes[-last[0]]

    def broken(self) -> tuple[Broken, ...]:
        """Decode those that were chosen; what is amiss, by kind, in the order of `KINDS`."""
        for number, _, name, image, mask in sorted(self._chosen, reverse=True):
            sizes: list[tuple[int, int]] = []
            self._tries(name, lambda name=name, image=image, to=sizes: to.append(self._read(name, image)))  # type: ignore[misc]
            if mask is not None:
                self._tries(name, lambda mask=mask, sizes=sizes: _fits(mask(), sizes), kind="mask")  # type: ignore[misc]
            if sizes and (beyond := _beyond(self._boxes[-number], *sizes[0])):
                self._count("box", f"{name}: {beyond}")
        self._chosen.clear()
        counted = ((kind, self._counts[kind]) for kind in KINDS if kind in self._counts)
        return tuple(Broken(kind, count, first) for kind, (count, first) in counted)

    def _holds(self, sample: Sample, is_film: bool) -> bool:
        """Whether a sample's file is there and its header that of a picture."""
        content: bytes | Path
        if sample.image is not None:
            content, size = sample.image, len(sample.image)
        else:
            assert self._root is not None
            content = self._root / sample.file
            try:
                status = media.file_of(content).stat()
            except FileNotFoundError:
                return self._count("missing", f"{sample.file}: copy it, or take it out of the list.")
            except (OSError, ValueError) as error:
                return self._count("closed", f"{sample.file}: {getattr(error, 'strerror', None) or error}.")
            if stat.S_ISDIR(status.st_mode) and is_film:
                return True  # a film as a folder of frames
            if not stat.S_ISREG(status.st_mode) or not os.access(media.file_of(content), os.R_OK):
                return self._count("closed", f"{sample.file}: expected a file that may be read.")
            size = status.st_size
        self.opened += 1
        if size == 0:
            return self._count("empty", f"{sample.file}: copy it again.")
        header = content if isinstance(content, bytes) else media.file_of(content)
        return is_film or self._tries(sample.file, lambda: media.check(header, sample.file))

    def _read(self, name: str, image: bytes | None) -> tuple[int, int]:
        self.decoded += 1
        clip = media.read(image if image is not None else (self._root or Path()) / name, name=name)
        if clip.damage:
            self._count("short", f"{name}: {clip.damage}")
        return clip.frame.height, clip.frame.width

    def _tries(self, name: str, does: Callable[[], Any], kind: str = "") -> bool:
        try:
            does()
        except TooLarge as error:
            return self._count(kind or "large", str(error))
        except FacewitnessError as error:
            sentence = str(error)
            return self._count(kind or ("other" if "expected a picture" in sentence else "broken"), sentence)
        except (OSError, ValueError) as error:
            return self._count(kind or "closed", f"{name}: {getattr(error, 'strerror', None) or error}.")
        return True

    def _count(self, kind: str, first: str) -> bool:
        self._counts.setdefault(kind, [0, first])[0] += 1
        return False


def _fits(mask: Any, sizes: list[tuple[int, int]]) -> None:
    """Refuses a mask of other proportions than its picture, where that could be read."""
    for height, width in sizes:
        if hasattr(mask, "ndim"):
            geometry.check_fits(mask, height, width)


def _beyond(boxes: list[Box], height: int, width: int) -> str:
    """A sentence about the first box of which more than half is beyond its picture; nothing where none is.

    A face that is cut off has a box a little beyond.
    """
    for box in boxes:
        x1, y1, x2, y2 = box
        if min(x2, width) - max(x1, 0) < (x2 - x1) / 2 or min(y2, height) - max(y1, 0) < (y2 - y1) / 2:
            got = ", ".join(f"{x:.6g}" for x in box)
            return f"expected boxes in {width} × {height} pixels, got {got}. Name them in this picture's own pixels."
    return ""
