"""Files written whole or not at all, and read only where they are files: whoever sees the name sees all of it."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A passing name beside a path, to write to as one goes; it becomes the path itself at the end.

    Makes the folder if need be. Where anything raises, nothing is left of the file. Of several writers at once, the
    last one wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".facewitness-", dir=path.parent)
    os.close(handle)
    passing = Path(name)
    try:
        yield passing
        with passing.open("rb") as written:  # else a power cut may leave a name with nothing behind it
            os.fsync(written.fileno())
        passing.chmod(0o644)
        passing.replace(path)
    except BaseException:
        passing.unlink(missing_ok=True)
        raise


def read_bounded(path: Path, most: int) -> bytes:
    """The bytes of an ordinary file, without waiting for anything and never more than `most` of them.

    A pipe, a socket or a device is refused before it is opened, and what calls itself a file of no bytes, as those of
    /proc do, is not opened either: reading some of them waits for ever, others never end.

    Raises:
        OSError: Where it cannot be read; with ENOTSUP for what is no ordinary file and EFBIG for more than `most`
            bytes, and a `strerror` that says so.
    """
    with open_bounded(path, most) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it holds more than {most / 1e6:,.0f} MB", str(path))
    return content


def sha256(path: Path, most: int) -> str:
    """Of the bytes that `read_bounded` gives, a piece at a time. Raises OSError as it does."""
    digest, room = hashlib.sha256(), most
    with open_bounded(path, most) as file:
        while piece := file.read(1 << 20):
            room -= len(piece)
            if room < 0:
                raise OSError(errno.EFBIG, f"it holds more than {most / 1e6:,.0f} MB", str(path))
            digest.update(piece)
    return digest.hexdigest()


def open_bounded(path: Path, most: int) -> BinaryIO:
    """An ordinary file, open for reading; see `read_bounded`. How much is read is the caller's to bound."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.ENOTSUP, "it is a device, a pipe or a socket, no file", str(path))
    if status.st_size > most:
        raise OSError(errno.EFBIG, f"it holds {status.st_size / 1e6:,.0f} MB, more than {most / 1e6:,.0f}", str(path))
    if status.st_size == 0:
        return io.BytesIO()
    # It may have been replaced since, and may grow while it is read: neither is waited for.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    file = open(handle, "rb")  # noqa: SIM115  (the caller's to close)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        file.close()
        raise OSError(errno.ENOTSUP, "it is a device, a pipe or a socket, no file", str(path))
    return file


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file as `whole` does, and return its path. Raises OSError where it cannot be written."""
    with whole(path) as passing:
        passing.write_bytes(content)
    return path
