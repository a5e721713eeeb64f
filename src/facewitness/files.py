"""Files written whole or not at all: whoever sees the name sees all of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
        passing.chmod(0o644)
        passing.replace(path)
    except BaseException:
        passing.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file as `whole` does, and return its path. Raises OSError where it cannot be written."""
    with whole(path) as passing:
        passing.write_bytes(content)
    return path
