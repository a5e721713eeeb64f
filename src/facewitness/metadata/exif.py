"""EXIF, read with bounds: which camera or program a file names, and the small picture it carries.

EXIF is a TIFF file inside a file (CIPA DC-008, 4.6): directories of entries that point anywhere, also at each other. A
general reader copies what each entry points at, and 64 kB can so become gigabytes. Here only the tags of a closed table
are followed, each once, and none is copied beyond `MOST_VALUE` bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

MOST_VALUE = 200_000  # bytes of one value; texts of generators stand in UserComment
MOST_ENTRIES = 512  # of a directory; cameras write below 100
MOST_THUMBNAIL = 2_000_000

# tag → name, of texts
TEXTS = {
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x0132: "DateTime",
    0x013B: "Artist",
    0x013C: "HostComputer",
    0x8298: "Copyright",
    0x9003: "DateTimeOriginal",
    0x9286: "UserComment",
    0x9C9C: "XPComment",
    0xA430: "CameraOwnerName",
    0xA433: "LensMake",
    0xA434: "LensModel",
}
# tag → name, of numbers
NUMBERS = {
    0x0112: "Orientation",
    0x829A: "ExposureTime",
    0x829D: "FNumber",
    0x8827: "ISOSpeed",
    0x920A: "FocalLength",
    0xA002: "PixelXDimension",
    0xA003: "PixelYDimension",
}
_EXIF, _GPS, _MAKER, _XMP = 0x8769, 0x8825, 0x927C, 0x02BC
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}


@dataclass(slots=True)
class Exif:
    """What was read. Texts are data of a stranger."""

    texts: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    gps: bool = False
    maker_note: int = 0  # bytes that the camera's maker keeps to itself
    xmp: bytes = b""  # of a TIFF file
    thumbnail: bytes = b""  # a JPEG
    left_out: list[str] = field(default_factory=list)


def read(data: bytes) -> Exif:
    """EXIF from its TIFF header on. What is damaged or too large is left out with a sentence; never raises.

    Args:
        data: The bytes.
    """
    exif = Exif()
    if not data:
        return exif
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8 or struct.unpack_from(order + "H", data, 2)[0] != 42:
        exif.left_out.append("The EXIF has no TIFF header and was not read.")
        return exif
    first = struct.unpack_from(order + "I", data, 4)[0]
    after = _directory(data, order, first, exif, main=True)
    if after:
        _thumbnail(data, order, after, exif)
    return exif


def _entries(data: bytes, order: str, at: int, exif: Exif) -> tuple[list[tuple[int, int, int, int]], int]:
    """(tag, type, count, place of the value) of a directory, and the place of the next one; 0 where there is none."""
    if at + 2 > len(data) or at < 8:
        exif.left_out.append("A directory of the EXIF lies outside it.")
        return [], 0
    count = struct.unpack_from(order + "H", data, at)[0]
    if count > MOST_ENTRIES:
        exif.left_out.append(f"A directory of the EXIF claims {count:,} entries and was not read.")
        return [], 0
    entries: list[tuple[int, int, int, int]] = []
    for i in range(count):
        here = at + 2 + 12 * i
        if here + 12 > len(data):
            exif.left_out.append("The EXIF ends inside a directory.")
            return entries, 0
        tag, kind, many = struct.unpack_from(order + "HHI", data, here)
        size = _SIZES.get(kind, 0) * many
        place = here + 8 if size <= 4 else struct.unpack_from(order + "I", data, here + 8)[0]
        entries.append((tag, kind, many, place))
    end = at + 2 + 12 * count
    return entries, struct.unpack_from(order + "I", data, end)[0] if end + 4 <= len(data) else 0


def _directory(data: bytes, order: str, at: int, exif: Exif, main: bool = False) -> int:
    entries, after = _entries(data, order, at, exif)
    for tag, kind, many, place in entries:
        size = _SIZES.get(kind, 0) * many
        if tag in TEXTS and kind in (1, 2, 7):
            name = TEXTS[tag]
            if size > MOST_VALUE:
                exif.left_out.append(f"{name} in the EXIF claims {size / 1e6:,.1f} MB and was cut.")
            exif.texts.setdefault(name, _decoded(tag, order, data[place : place + min(size, MOST_VALUE)]))
        elif tag in NUMBERS and many >= 1 and (value := _number(data, order, kind, place)) is not None:
            exif.numbers.setdefault(NUMBERS[tag], value)
        elif tag == _MAKER:
            exif.maker_note = min(size, len(data))
        elif tag == _XMP and main and size <= MOST_THUMBNAIL:
            exif.xmp = data[place : place + size]
        elif tag == _GPS:
            exif.gps = True
        elif tag == _EXIF and main and (value := _number(data, order, kind, place)) is not None:
            _directory(data, order, int(value), exif)
    return after


def _number(data: bytes, order: str, kind: int, place: int) -> float | None:
    code = {1: "B", 3: "H", 4: "I", 5: "II", 9: "i", 10: "ii", 11: "f", 12: "d"}.get(kind)
    if code is None or place + struct.calcsize(order + code) > len(data):
        return None
    values = struct.unpack_from(order + code, data, place)
    if len(values) == 1:
        return float(values[0]) if abs(values[0]) < 1e15 else None  # neither NaN nor infinity is
    return values[0] / values[1] if values[1] else None


def _decoded(tag: int, order: str, raw: bytes) -> str:
    if tag == 0x9286:  # eight bytes name the code
        code, raw = raw[:8], raw[8:]
        if code.startswith(b"UNICODE"):
            # the standard leaves the order of bytes open; programs write either, whatever the header's is
            zeros = (raw[0:200:2].count(0), raw[1:200:2].count(0))
            wide = "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be" if zeros[0] > zeros[1] else None
            return raw.decode(wide or ("utf-16-le" if order == "<" else "utf-16-be"), "replace").strip("\0 ")
    elif tag == 0x9C9C:
        return raw.decode("utf-16-le", "replace").strip("\0 ")
    try:
        return raw.decode("utf-8").strip("\0 ")
    except UnicodeDecodeError:
        return raw.decode("latin-1").strip("\0 ")


def _thumbnail(data: bytes, order: str, at: int, exif: Exif) -> None:
    entries, _ = _entries(data, order, at, exif)
    values = {tag: _number(data, order, kind, place) for tag, kind, many, place in entries if many == 1}
    start, length = values.get(0x0201), values.get(0x0202)
    if start is None or length is None:
        return
    piece = data[int(start) : int(start) + min(int(length), MOST_THUMBNAIL)]
    if piece[:2] == b"\xff\xd8":
        exif.thumbnail = piece
