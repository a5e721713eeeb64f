"""Files as they were received, under their SHA-256: the same file twice is stored once.

A file is written under a passing name and hashed on its way. It gets its name, is made to last (fsync), and only then
stands in the database; what has a name and no analysis is swept. Nothing of a name that a caller gave reaches the disk.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from facewitness.errors import FacewitnessError, TooLarge

_NAME = re.compile(r"[0-9a-f]{64}")
_PASSING = "incoming-"


class NoRoom(FacewitnessError):
    """The disk is full, or as full as the uploads may make it."""


class Uploads:
    """The folder of received files.

    Args:
        folder: made if need be, readable by this user alone.
        reserve: bytes of the disk that stay free.
        max_stored: bytes of all files together; None for as many as there is room for.
    """

    def __init__(self, folder: Path, reserve: int = 0, max_stored: int | None = None):
        self.folder, self.reserve, self.max_stored = folder, reserve, max_stored
        self.naming = threading.Lock()  # a file gets its name and its analysis at once, or loses both
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._total = self.stored() if max_stored is not None else 0

    def path(self, sha256: str) -> Path:
        """Where the file of that hash is, if it is there. Raises ValueError for what is no hash."""
        if not _NAME.fullmatch(sha256):
            raise ValueError(f"expected a SHA-256 of 64 digits, got {sha256!r}")
        return self.folder / sha256[:2] / sha256

    def receive(self, limit: int, limit_for: Callable[[bytes], int] | None = None) -> Incoming:
        """A file that is about to come. Raises NoRoom where there is no room.

        Args:
            limit: bytes at most.
            limit_for: bytes at most by the file's first 64 bytes.
        """
        self.check_room(0)
        return Incoming(self, limit, limit_for)

    def check_room(self, size: int) -> None:
        """Raises NoRoom where so many bytes more would go beyond what may be stored."""
        free = shutil.disk_usage(self.folder).free
        if free - size < self.reserve:
            raise NoRoom(
                f"The server's disk is full: {free / 1e6:,.0f} MB are free and {self.reserve / 1e6:,.0f} MB have to "
                "stay so. Delete analyses, or make room there."
            )
        if self.max_stored is not None and self._total + size > self.max_stored:
            raise NoRoom(
                f"The server stores at most {self.max_stored / 1e6:,.0f} MB of uploads, and has no room for "
                f"{size / 1e6:,.1f} MB more. Delete analyses, or raise --max-stored."
            )

    def stored(self) -> int:
        """Bytes of all files together."""
        total = 0
        for path in self._files():
            with suppress(OSError):
                total += path.stat().st_size
        return total

    def take(self, incoming: Incoming) -> None:
        """Give a file that has come whole its name. Raises NoRoom where it would be one too many."""
        path = self.path(incoming.sha256)
        known = path.exists()
        self.check_room(0 if known else incoming.size)
        try:
            path.parent.mkdir(exist_ok=True, mode=0o700)
            incoming.path.replace(path)
        except OSError as error:
            raise _no_room(error) from error
        self._total += 0 if known else incoming.size

    def make_last(self, incoming: Incoming) -> None:
        """See that a file that has its name is on the disk, and its name too. Raises NoRoom as `take`."""
        incoming.make_last()
        try:
            _fsync_folder(self.path(incoming.sha256).parent)
        except OSError as error:
            raise _no_room(error) from error

    def delete(self, sha256: str) -> None:
        """Delete a file; nothing happens where it is not there."""
        path = self.path(sha256)
        with suppress(FileNotFoundError):
            size = path.stat().st_size
            path.unlink()
            self._total -= size

    def hashes(self) -> Iterator[tuple[str, float]]:
        """The hash of each stored file, and when it was received."""
        for path in self._files():
            with suppress(OSError):
                yield path.name, path.stat().st_mtime

    def sweep(self, older: float) -> None:
        """Delete what was left of uploads that broke off so many seconds ago."""
        for path in self.folder.glob(f"{_PASSING}*"):
            with suppress(OSError):
                if path.stat().st_mtime < time.time() - older:
                    path.unlink()

    def _files(self) -> Iterator[Path]:
        for path in self.folder.glob("??/*"):
            if _NAME.fullmatch(path.name):
                yield path


class Incoming:
    """A file on its way in; `with` deletes what is left of one that was not taken."""

    def __init__(self, uploads: Uploads, limit: int, limit_for: Callable[[bytes], int] | None = None):
        self.limit, self._limit_for = limit, limit_for
        self.path = uploads.folder / f"{_PASSING}{secrets.token_hex(16)}"
        try:
            self._file = os.fdopen(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
        except OSError as error:
            raise _no_room(error) from error
        self._digest, self.size, self.head = hashlib.sha256(), 0, b""

    @property
    def sha256(self) -> str:
        """Of all that has come."""
        return self._digest.hexdigest()

    def write(self, piece: bytes) -> None:
        """Take the next bytes. Raises TooLarge beyond what was agreed, NoRoom where the disk is full."""
        self.size += len(piece)
        if len(self.head) < 64:
            self.head = (self.head + piece[:64])[:64]
            if len(self.head) == 64 and self._limit_for is not None:
                self.limit = min(self.limit, self._limit_for(self.head))
        if self.size > self.limit:
            raise TooLarge(
                f"Expected a file of at most {self.limit / 1e6:,.6g} MB, got more. Make it smaller, or have the "
                "server's limit raised."
            )
        self._digest.update(piece)
        try:
            self._file.write(piece)
        except OSError as error:
            raise _no_room(error) from error

    def finish(self) -> None:
        """All has come: others may read it. Raises NoRoom as `write`."""
        try:
            self._file.flush()
        except OSError as error:
            raise _no_room(error) from error

    def make_last(self) -> None:
        """See that it is on the disk. Raises NoRoom as `write`."""
        if self._file.closed:
            return
        try:
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise _no_room(error) from error

    def __enter__(self) -> Incoming:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)


def _no_room(error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return NoRoom(f"The server's disk is full ({error.strerror}). Delete analyses, or make room there.")
    return error


def _fsync_folder(folder: Path) -> None:
    """So that a name survives a power cut, too."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
