"""What of a picture is missing in its file, where decoders fill the rest and say nothing.

A decoder that runs out of data paints the rest grey, black or coarse, and libjpeg and Pillow pass over it. A verdict
on such a picture would be a verdict on the decoder. Formats other than JPEG and PNG need nothing here: their decoders
refuse what is short (tried with TIFF in five compressions, WebP, JPEG 2000, BMP, PPM).

    JPEG   scans that are missing (progressive), restart markers that are not counted to the end, and data that does not
           reach to the last block or goes beyond it. The last is found by decoding: bytes put in before the end of a
           whole picture change nothing, and a few taken away change its last blocks. A baseline picture is tried only
           where it looks like it (its last block is one colour, or its data holds a run of zeros)
    PNG    rows that are missing: the decompressed data is counted where one of the last two rows is all zero
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

_ZEROS = bytes(64)  # such a run in a JPEG's data is a lost piece, or a plain area whose codes are zeros
_FILLING = bytes(range(1, 250)) * 2  # no 0xFF in it, so no marker
_PIECE = 1 << 20


@dataclass(slots=True)
class Extent:
    """How far the picture in a file reaches.

    Attributes:
        scans: Of a JPEG.
        ended: Whether there is an end mark.
        trailing: Bytes behind it.
    """

    scans: int = 1
    ended: bool = True
    trailing: int = 0
    suspicious: bool = False  # worth decoding once more
    missing: bool = False  # known to be incomplete from the headers alone
    data_end: int = 0  # where the last scan's data end
    progressive: bool = False
    exact: bool = True  # a kind of JPEG whose data can be tried by decoding
    zlib_pieces: list[tuple[int, int]] = field(default_factory=list)  # of a PNG: (start, end)
    expected: int = 0  # bytes of a PNG's rows


def extent(content: bytes) -> Extent | None:
    """How far the picture of a JPEG or PNG reaches, from its headers; None for other kinds and for broken ones.

    Args:
        content: The file's bytes.
    """
    if content[:3] == b"\xff\xd8\xff":
        return _jpeg(content)
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        return _png(content)
    return None


def is_short(extent: Extent, content: bytes, image: Image.Image) -> bool:
    """Whether a part of the picture is missing or damaged in the file.

    Args:
        extent: Of the same content.
        content: The file's bytes, with an end mark.
        image: The decoded picture, in the mode and orientation in which it is stored.
    """
    if extent.missing:
        return True
    if extent.zlib_pieces:
        last = np.asarray(image.crop((0, max(0, image.height - 2), image.width, image.height)))  # two: interlaced
        return not all(row.any() for row in last) and _inflated(extent, content) < extent.expected
    if not extent.exact or not extent.data_end:
        return False
    if not (extent.progressive or extent.suspicious or _ends_flat(image)):
        return False
    scale = 2 if extent.progressive else 8  # a block's mean tells; of a progressive picture finer detail comes last
    before, end = content[: extent.data_end], content[extent.data_end :]
    shown = _small(content, scale)
    if shown is None or _small(before + _FILLING + end, scale) != shown:
        return True
    fewer = before.rstrip(b"\0\xff")[:-4]  # zeros before the end are padding
    return extent.suspicious and not extent.progressive and _small(fewer + end, scale) == shown


def _ends_flat(image: Image.Image) -> bool:
    """Whether the last block is one colour, as libjpeg paints blocks that are missing."""
    left, top = (image.width - 1) // 8 * 8, (image.height - 1) // 8 * 8
    block = np.asarray(image.crop((left, top, image.width, image.height)))
    return bool((block == block[0, 0]).all())


def _small(content: bytes, scale: int) -> bytes | None:
    """The pixels of a JPEG decoded at a part of its size; None where it cannot be."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            image.draft(None, (max(1, image.width // scale), max(1, image.height // scale)))
            return image.tobytes()
    except Exception:  # a broken file makes decoders raise almost anything
        return None


# --------------------------------------------------------------------------------------------------------------- JPEG


def _jpeg(content: bytes) -> Extent | None:
    """Walks from marker to marker; a scan's data end at the next marker that is no restart."""
    extent = Extent(scans=0, ended=False)
    data = np.frombuffer(content, np.uint8)
    places = np.flatnonzero(data[:-1] == 0xFF)
    after = data[places + 1]
    markers = places[(after != 0) & (after != 0xFF) & ((after < 0xD0) | (after > 0xD7))]
    restarts = places[(after >= 0xD0) & (after <= 0xD7)]
    components: dict[int, tuple[int, int]] = {}
    width = height = interval = frames = 0
    depth: dict[int, np.ndarray] = {}  # component → bits of each coefficient that are still missing; -1: all
    place, size = 2, len(content)
    while place + 1 < size:
        if content[place] != 0xFF:
            extent.missing = extent.missing or extent.scans > 0
            return extent
        marker = content[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if marker == 0xD9:
            extent.ended, extent.trailing = True, size - place - 2
            break
        if marker in (0x01, *range(0xD0, 0xD9)):
            place += 2
            continue
        if place + 4 > size:
            break
        length = struct.unpack_from(">H", content, place + 2)[0]
        body = content[place + 4 : place + 2 + length]
        if length < 2 or len(body) < length - 2:
            break
        try:
            if marker in (0xC0, 0xC1, 0xC2, 0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)):
                frames += 1
                height, width = struct.unpack_from(">HH", body, 1)
                components = {body[6 + 3 * i]: (body[7 + 3 * i] >> 4, body[7 + 3 * i] & 15) for i in range(body[5])}
                extent.progressive = marker == 0xC2
                extent.exact = marker in (0xC0, 0xC1, 0xC2)
                depth = {component: np.full(64, -1, np.int8) for component in components}
            elif marker == 0xDD:
                interval = struct.unpack_from(">H", body)[0]
            elif marker == 0xDA:
                extent.scans += 1
                start = place + 2 + length
                index = int(np.searchsorted(markers, start))
                end = int(markers[index]) if index < len(markers) else size - (content[-1:] == b"\xff")
                chosen = [body[1 + 2 * i] for i in range(body[0])]
                first, last, bits = body[1 + 2 * body[0]], body[2 + 2 * body[0]], body[3 + 2 * body[0]] & 15
                for component in chosen:
                    if component in depth:
                        depth[component][first : last + 1] = bits
                if interval and extent.exact and not extent.progressive and len(chosen) == len(components):
                    units = _units(width, height, list(components.values()))
                    came = int(np.count_nonzero((restarts >= start) & (restarts < end)))
                    extent.missing = extent.missing or (units > 0 and came < (units - 1) // interval)
                extent.suspicious = extent.suspicious or content.find(_ZEROS, start, end) >= 0
                # a marker that can only stand before all scans, or none at all: the data were cut or overwritten here
                odd = index < len(markers) and content[end + 1] not in (0xC4, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE)
                extent.suspicious = extent.suspicious or (odd and not 0xE0 <= content[end + 1] <= 0xEF)
                extent.data_end = end
                place = end
                continue
        except (IndexError, struct.error):
            return extent
        place += 2 + length
    if frames > 1:
        extent.missing = True
    if extent.progressive and extent.scans:
        extent.missing = extent.missing or any((bits != 0).any() for bits in depth.values())
    return extent


def _units(width: int, height: int, samplings: list[tuple[int, int]]) -> int:
    """How many minimum coded units a scan of all components has; 0 where the header is nonsense."""
    if not samplings or any(not h or not v for h, v in samplings) or not height:
        return 0
    if len(samplings) == 1:
        return -(-width // 8) * -(-height // 8)
    across, down = (8 * max(s[i] for s in samplings) for i in range(2))
    return int(-(-width // across) * -(-height // down))


# ---------------------------------------------------------------------------------------------------------------- PNG

_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def _png(content: bytes) -> Extent | None:
    extent = Extent(ended=False)
    place, size = 8, len(content)
    while place + 8 <= size:
        length, kind = struct.unpack_from(">I4s", content, place)
        if kind == b"IHDR" and length >= 13:
            width, height, bits, colour, _, _, laced = struct.unpack_from(">IIBBBBB", content, place + 8)
            a_pixel = bits * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
            passes = _ADAM7 if laced else ((0, 0, 1, 1),)
            for left, top, right, down in passes:
                columns, rows = -(-max(0, width - left) // right), -(-max(0, height - top) // down)
                extent.expected += rows * (1 + -(-columns * a_pixel // 8)) if columns and rows else 0
        elif kind == b"IDAT":
            extent.zlib_pieces.append((place + 8, min(size, place + 8 + length)))
        elif kind == b"IEND":
            extent.ended, extent.trailing = True, max(0, size - place - 12)
            break
        place += 12 + length
    return extent


def _inflated(extent: Extent, content: bytes) -> int:
    """How many bytes of rows there are, up to the number expected."""
    inflater, came = zlib.decompressobj(), 0
    for start, end in extent.zlib_pieces:
        piece = content[start:end]
        while piece and came < extent.expected and not inflater.eof:
            try:
                came += len(inflater.decompress(piece, _PIECE))
            except zlib.error:
                return came
            piece = inflater.unconsumed_tail
    return came
