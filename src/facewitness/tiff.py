"""Looks through a TIFF's directories before a decoder does: its pages, entries without end, a camera's raw data.

Pillow loads each page to count them, makes a Python number of each value, and takes the thumbnail of a raw file for the
picture.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # TIFF and BigTIFF, in either order of bytes
MOST_VALUES = 1_000_000  # numbers in one entry: as many as 200 million pixels have small tiles

# Kinds of raw data by compression (tag 259), and by how the values are to be read (262)
_RAW_COMPRESSIONS = {34713: "NEF", 32767: "ARW", 32769: "SRW", 32770: "SRW", 32772: "SRW", 65000: "DCR", 65535: "PEF"}
_RAW_READINGS = {32803: "colour filter array", 34892: "linear raw"}
_MOST_DIRECTORIES = 64


def pages(content: bytes) -> tuple[list[tuple[int, int]], bool]:
    """A TIFF's pages, where each one's entries begin and how many there are, and whether their chain breaks off.

    A chain that leads back ends there. It ends, too, where there are more entries than pictures have.

    Args:
        content: Bytes of a TIFF.

    Returns:
        (place, number) of the entries of each page, and whether the chain leads to nowhere.
    """
    order, big = ("<" if content[:2] == b"II" else ">"), b"+" in content[:4]
    wide, count = struct.Struct(order + ("Q" if big else "I")), struct.Struct(order + ("Q" if big else "H"))
    read: list[tuple[int, int]] = []
    seen, entries = {0}, 0  # 0 ends the chain
    at = 8 if big else 4
    try:
        while (here := wide.unpack_from(content, at)[0]) not in seen:
            seen.add(here)
            if not 8 <= here < len(content):
                return read, True
            many = count.unpack_from(content, here)[0]
            at = here + count.size + many * (20 if big else 12)
            if not many or at > len(content):
                return read, True
            read.append((here + count.size, many))
            entries += many
            if entries > MOST_VALUES:
                break
    except struct.error:
        return read, True
    return read, False


def is_overlong(content: bytes) -> bool:
    """Whether a TIFF's directories have so many entries, or one of these so many numbers, that reading takes ages.

    Args:
        content: Bytes of a file; of another kind it is not.
    """
    if content[:4] not in MAGIC:
        return False
    directories, _ = pages(content)
    if sum(many for _, many in directories) > MOST_VALUES:
        return True
    if len(content) < 2 * MOST_VALUES:
        return False
    order, big = ("<" if content[:2] == b"II" else ">"), b"+" in content[:4]
    entry = struct.Struct(order + ("HHQQ" if big else "HHII"))
    return any(
        values > MOST_VALUES and kind not in (1, 2, 6, 7)  # of bytes Pillow makes no numbers
        for begin, many in directories
        for _, kind, values, _ in entry.iter_unpack(content[begin : begin + many * entry.size])
    )


def raw_kind(content: bytes) -> str | None:
    """What kind of raw file a TIFF is; None for pictures.

    The first directory of a raw file is often a thumbnail, which decoders take for the picture.

    Args:
        content: Bytes of a file; of another kind it is none.
    """
    head = content[:4]
    if head not in MAGIC:
        return None
    if content[8:10] == b"CR" and head == b"II*\0":
        return "CR2"
    order, big = ("little" if head[:2] == b"II" else "big"), b"+" in head
    number: Callable[[int, int], int] = lambda at, size: int.from_bytes(content[at : at + size], order)  # type: ignore[arg-type]  # noqa: E731
    wide = 8 if big else 4
    open_, seen = [number(8 if big else 4, wide)], set[int]()
    first = True
    while open_ and len(seen) < _MOST_DIRECTORIES:
        at = open_.pop(0)
        if at in seen or not 8 <= at < len(content):
            continue
        seen.add(at)
        count = number(at, 8 if big else 2)
        entry, place = (20, at + 8) if big else (12, at + 2)
        for each in range(place, min(place + min(count, 1000) * entry, len(content) - entry + 1), entry):
            tag, kind, many = number(each, 2), number(each + 2, 2), number(each + 4, wide)
            value = each + 4 + wide
            single = number(value, {1: 1, 3: 2}.get(kind, 4))
            if tag == 50706:
                return "DNG"
            if tag == 254 and first and single & 1:
                return "its first picture is a small copy"
            if tag == 259 and single in _RAW_COMPRESSIONS:
                return _RAW_COMPRESSIONS[single]
            if tag == 262 and single in _RAW_READINGS:
                return _RAW_READINGS[single]
            if tag == 330:
                many = min(many, 16)
                inline = many * wide <= wide
                base = value if inline else number(value, wide)
                open_ += [number(base + i * wide, wide) for i in range(many)]
        after = place + count * entry
        open_.append(number(after, wide))
        first = False
    return None
