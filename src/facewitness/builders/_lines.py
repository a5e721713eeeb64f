"""Files of JSON lines that only grow: what is written is on the disk, and a line that a kill cut off is passed over."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

LONGEST = 1_000_000  # characters of a line that is read


def read(file: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines; what is no object, for instance a line cut off, is passed over."""
    try:
        opened = file.open("r", encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    with opened:
        for line in opened:
            if len(line) > LONGEST:
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                yield value


def append(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add lines, each in one write, and see that they are on the disk."""
    content = "".join(json.dumps(row, ensure_ascii=True) + "\n" for row in rows).encode()
    if not content:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            content = b"\n" + content  # after a line that a kill cut off
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
