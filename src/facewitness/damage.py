"""What of a picture is missing in its file, where decoders fill the rest and say nothing.

A decoder that runs out of data paints the rest grey, black or coarse, and libjpeg and Pillow pass over it. A verdict
on such a picture would be a verdict on the decoder. Of other formats decoders refuse what is short (tried with GIF,
BMP, also run-length coded, PPM, WebP, AVIF, JPEG 2000, and TIFF in LZW, deflate, PackBits, Zstandard and LZMA), save:

    JPEG   scans that are missing (progressive), restart markers that are not counted to the end, and data that does not
           reach to the last block or goes beyond it. The last is found by decoding: bytes put in before the end of a
           whole picture change nothing, and a few taken away change its last blocks. A baseline picture is tried only
           where it looks like it (its end mark is missing, its last block is one colour, or its data holds a run of
           zeros). A file that was sent as a text, so that each of its line feeds got a carriage return, is damaged
           throughout
    PNG    rows that are missing: the decompressed data is counted where one of the last two rows is all zero
    TIFF   fewer strips or tiles than the picture has, or one that lies nowhere; a piece that is a JPEG is tried as one,
           fax data by putting bytes in behind it
    JPEG 2000    fewer tiles than the picture has
    WebP, AVIF, JPEG 2000    a long run of zeros within the coded data, as what was lost on the way is filled: an
           arithmetic coder takes it for codes. Of a picture that is all white an eighteenth of a WebP's data are zeros
           in a row, of other kinds and pictures fewer (measured up to 9 million pixels)
"""

from __future__ import annotations

import io
import itertools
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

_ZEROS = bytes(64)  # such a run in a JPEG's data is a lost piece, or a plain area whose codes are zeros
_FILLING = bytes(range(170, 250)) * 6  # no 0xFF in it, so no marker, and nothing like the zeros that decoders put in
_PIECE = 1 << 20
_LINES = 16


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
    pictures: int = 1  # of an animated PNG, as many as begin in it, whatever it says
    zlib_pieces: list[tuple[int, int]] = field(default_factory=list)  # of a PNG: (start, end)
    expected: int = 0  # bytes of a PNG's rows


def extent(content: bytes) -> Extent | None:
    """How far the picture of a JPEG or PNG reaches, from its headers; None for other kinds and for broken ones.

    Args:
        content: The file's bytes.
    """
    if content[:3] == b"\xff\xd8\xff":
        return _Jpeg(content).walk()
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        return _png(content)
    return None


MOST_PIECES = 100_000  # segments, chunks or boxes; a PNG of 200 MB in chunks of 8 kB has 25,000
_MOST_STRAY = 1_000_000  # bytes between a JPEG's segments
_TO_SEGMENT = re.compile(rb"[^\xff]*\xff+")


def is_scattered(content: bytes) -> bool:
    """Whether a JPEG, PNG or JPEG 2000 is in so many pieces, or has so much between them, that a decoder takes minutes.

    Pillow goes over segments, chunks and boxes, and over each byte between a JPEG's segments, one by one.

    Args:
        content: Bytes of a file; of another kind it is not.
    """
    if content[:3] == b"\xff\xd8\xff":
        return _segments_are_scattered(content)
    is_png = content[:8] == b"\x89PNG\r\n\x1a\n"
    if not is_png and content[4:8] != b"jP  ":
        return False
    place = 8 if is_png else 0
    for _ in range(MOST_PIECES):
        if place + 8 > len(content):
            return False
        length, kind = struct.unpack_from(">I4s", content, place)
        if kind in (b"IEND", b"jp2c") or (not is_png and length < 8):  # to the end of the file, or longer than 4 GB
            return False
        place += length + 12 if is_png else length
    return True


def _segments_are_scattered(content: bytes) -> bool:
    place, stray = 2, 0
    for _ in range(MOST_PIECES):
        segment = _TO_SEGMENT.match(content, place)
        if segment is None or segment.end() + 3 > len(content):
            return len(content) - place + stray > _MOST_STRAY
        stray += segment.end() - place - 1
        marker, place = content[segment.end()], segment.end() + 1
        if stray > _MOST_STRAY or marker in (0xD9, 0xDA):  # behind a scan it is C that reads
            return stray > _MOST_STRAY
        if marker not in _ALONE and marker != 0:
            place += int.from_bytes(content[place : place + 2])
    return True


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
    if not (extent.progressive or extent.suspicious or not extent.ended or _ends_flat(image)):
        return False
    # A block's mean tells; of a progressive picture finer detail comes last, and where the end mark is missing, too, a
    # few bytes may be all that is
    scale = 1 if not extent.ended else 2 if extent.progressive else 8
    before, end = content[: extent.data_end], content[extent.data_end :]
    shown = _small(content, scale)
    if shown is None or _small(before + _FILLING + end, scale) != shown:
        return True
    fewer = before.rstrip(b"\0\xff")[:-4]  # zeros before the end are padding
    return extent.suspicious and not extent.progressive and _small(fewer + end, scale) == shown


def is_short_elsewhere(content: bytes, image: Image.Image) -> bool:
    """As `is_short`, of a TIFF (the page that is decoded), a WebP, an AVIF or a JPEG 2000; False for others.

    Args:
        content: The file's bytes.
        image: The decoded picture.
    """
    if image.format == "TIFF":
        return _tiff_is_short(content, image)
    if image.format == "JPEG2000":
        at = max(0, content.find(b"\xff\x4f\xff\x51"))
        return _tiles_are_missing(content[at:]) or _holds_zeros(content[at:])
    kinds = {"WEBP": (b"VP8 ", b"VP8L"), "AVIF": (b"mdat",)}.get(image.format or "", ())
    return any(_holds_zeros(data) for data in _chunks(content, kinds))


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


_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers that begin a frame
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a body
# Behind a scan's data: those that may stand between scans. One that can only stand before all scans, or none at all:
# the data were cut or overwritten there
_BETWEEN = frozenset((0xC4, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)))


class _Jpeg:
    """Walks from marker to marker; a scan's data end at the next marker that is no restart."""

    def __init__(self, content: bytes):
        self.content, self.extent = content, Extent(scans=0, ended=False)
        data = np.frombuffer(content, np.uint8)
        places = np.flatnonzero(data[:-1] == 0xFF)
        after = data[places + 1]
        self.markers = places[(after != 0) & (after != 0xFF) & ((after < 0xD0) | (after > 0xD7))]
        self.restarts = places[(after >= 0xD0) & (after <= 0xD7)]
        self.frames = self.width = self.height = self.interval = 0
        self.components: dict[int, tuple[int, int]] = {}
        self.depth: dict[int, np.ndarray] = {}  # component → bits of each coefficient still missing; -1: all

    def walk(self) -> Extent:
        content, extent, size, place = self.content, self.extent, len(self.content), 2
        while place + 1 < size:
            if content[place] != 0xFF:  # decoders pass over what stands between segments
                extent.missing = extent.missing or extent.scans > 0
                index = int(np.searchsorted(self.markers, place))
                if extent.scans or index == len(self.markers):
                    return extent
                place = int(self.markers[index])
                continue
            marker = content[place + 1]
            if marker == 0xFF:
                place += 1
                continue
            if marker == 0xD9:
                extent.ended, extent.trailing = True, size - place - 2
                break
            if marker in _ALONE:
                place += 2
                continue
            if place + 4 > size:
                break
            length = struct.unpack_from(">H", content, place + 2)[0]
            body = content[place + 4 : place + 2 + length]
            if length < 2 or len(body) < length - 2:
                break
            try:
                place = self._segment(marker, body, place + 2 + length)
            except (IndexError, struct.error):
                return extent
        lines = content.count(b"\n")  # some hundreds, of which one or two follow a carriage return by chance
        if self.frames > 1 or (lines >= _LINES and content.count(b"\r\n") == lines):
            extent.missing = True
        if extent.progressive and extent.scans:
            extent.missing = extent.missing or any((bits != 0).any() for bits in self.depth.values())
        return extent

    def _segment(self, marker: int, body: bytes, after: int) -> int:
        """Takes in a segment; where the next marker is: right behind it, or behind its scan's data."""
        if marker in _FRAMES:
            self._frame(marker, body)
        elif marker == 0xDD:
            self.interval = struct.unpack_from(">H", body)[0]
        elif marker == 0xDA:
            return self._scan(body, after)
        return after

    def _frame(self, marker: int, body: bytes) -> None:
        self.frames += 1
        self.height, self.width = struct.unpack_from(">HH", body, 1)
        self.components = {body[6 + 3 * i]: (body[7 + 3 * i] >> 4, body[7 + 3 * i] & 15) for i in range(body[5])}
        self.extent.progressive = marker == 0xC2
        self.extent.exact = marker in (0xC0, 0xC1, 0xC2)
        self.depth = {component: np.full(64, -1, np.int8) for component in self.components}

    def _scan(self, body: bytes, start: int) -> int:
        """Looks at a scan whose data begin at `start`; where they end."""
        content, extent = self.content, self.extent
        extent.scans += 1
        index = int(np.searchsorted(self.markers, start))
        last = index == len(self.markers)
        end = len(content) - (content[-1:] == b"\xff") if last else int(self.markers[index])
        chosen = [body[1 + 2 * i] for i in range(body[0])]
        first, final, bits = body[1 + 2 * body[0]], body[2 + 2 * body[0]], body[3 + 2 * body[0]] & 15
        for component in chosen:
            if component in self.depth:
                self.depth[component][first : final + 1] = bits
        inside = self.restarts[(self.restarts >= start) & (self.restarts < end)]
        # where none may be, or nothing lies between two of them, decoders give up without a word
        lost = not self.interval or bool((np.diff(inside, prepend=start - 2) == 2).any())
        extent.missing = extent.missing or (len(inside) > 0 and lost)
        if self.interval and extent.exact and not extent.progressive and len(chosen) == len(self.components):
            units = _units(self.width, self.height, list(self.components.values()))
            extent.missing = extent.missing or (units > 0 and len(inside) < (units - 1) // self.interval)
        odd = not last and content[end + 1] not in _BETWEEN
        extent.suspicious = extent.suspicious or odd or content.find(_ZEROS, start, end) >= 0
        extent.data_end = end
        return end


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
    controls, apart = 0, True  # apart: no control stands before the first picture, which is no part of the animation
    while place + 8 <= size:
        length, kind = struct.unpack_from(">I4s", content, place)
        if kind == b"IHDR" and length >= 13:
            width, height, bits, colour, _, _, laced = struct.unpack_from(">IIBBBBB", content, place + 8)
            a_pixel = bits * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
            passes = _ADAM7 if laced else ((0, 0, 1, 1),)
            for left, top, right, down in passes:
                columns, rows = -(-max(0, width - left) // right), -(-max(0, height - top) // down)
                extent.expected += rows * (1 + -(-columns * a_pixel // 8)) if columns and rows else 0
        elif kind == b"fcTL":
            controls += 1
        elif kind == b"IDAT":
            apart = apart and controls == 0
            extent.zlib_pieces.append((place + 8, min(size, place + 8 + length)))
        elif kind == b"IEND":
            extent.ended, extent.trailing = True, max(0, size - place - 12)
            break
        place += 12 + length
    extent.pictures = controls + apart
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


# --------------------------------------------------------------------------------------------------------------- TIFF

_MOST_PIECES = 20_000  # strips and tiles that are looked into
_JPEG_TABLES = 347


def _tiff_is_short(content: bytes, image: Image.Image) -> bool:
    """By the tags of the page that was decoded: every strip or tile has its place, and holds what it must."""
    tags: Any = getattr(image, "tag_v2", {})
    places, counts = (tags.get(324) or tags.get(273) or (), tags.get(325) or tags.get(279) or ())
    compression, planar = tags.get(259, 1), tags.get(284, 1)
    width, height, samples = tags.get(256, 0), tags.get(257, 0), tags.get(277, 1)
    if not all(isinstance(number, int) and number > 0 for number in (width, height, samples)):
        return False  # a picture that was decoded has them; what is written beside them is nobody's concern
    across, down = (tags.get(322) or width, tags.get(323) or tags.get(278) or height)
    if not all(isinstance(number, int) and number > 0 for number in (across, down)):
        return False
    expected = -(-width // min(across, width)) * -(-height // min(down, height)) * (samples if planar == 2 else 1)
    if len(places) < expected or any(not 0 < place < len(content) for place in places[:expected]):
        return True
    if compression != 1 and (len(counts) < expected or not all(counts[:expected])):
        return True
    pieces = list(zip(places[:expected], counts[:expected], strict=False))[:_MOST_PIECES]
    if compression == 7:
        return any(_jpeg_is_short(content[at : at + count], tags.get(_JPEG_TABLES)) for at, count in pieces)
    if compression in (2, 3, 4) and len(pieces) == expected:
        return any(count > 64 and _ZEROS in content[at : at + count] for at, count in pieces) or _fax_is_short(
            content, image, pieces
        )
    return False


def _jpeg_is_short(piece: bytes, tables: object) -> bool:
    """Of a strip or tile that is a JPEG, whose tables may stand apart."""
    if isinstance(tables, bytes) and tables[:2] == piece[:2] == b"\xff\xd8":
        piece = tables.removesuffix(b"\xff\xd9") + piece[2:]
    reach = extent(piece)
    if reach is None or not reach.ended:
        return True
    shown = _opened(piece)
    return shown is not None and is_short(reach, piece, shown)


def _opened(content: bytes) -> Image.Image | None:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            image.load()
            return image
    except Exception:  # a broken file makes decoders raise almost anything
        return None


def _fax_is_short(content: bytes, image: Image.Image, pieces: list[tuple[int, int]]) -> bool:
    """Whether other bytes behind the last strip's data change the picture: then its rows are not all there."""
    data = [content[at : at + count] for at, count in pieces]
    data[-1] = data[-1].rstrip(b"\0")
    tags = image.tag_v2  # type: ignore[attr-defined]
    shown = _fax(tags, data)
    data[-1] += b"\xff" * 4096  # codes for "as above", or short runs
    return shown is None or _fax(tags, data) != shown


def _fax(tags: Any, data: list[bytes]) -> bytes | None:
    """The pixels of a TIFF of these strips, as they are stored; None where they cannot be decoded."""
    from PIL import Image

    ends = list(itertools.accumulate(map(len, data), initial=8))
    starts = ends[:-1]
    known = {tag: tags[tag] for tag in (256, 257, 259, 262, 266, 277, 278, 292, 293) if isinstance(tags.get(tag), int)}
    values = {tag: (value,) for tag, value in known.items()} | {258: (1,), 273: (*starts,), 279: (*map(len, data),)}
    directory = ends[-1]
    entries, arrays, behind = b"", b"", directory + 2 + 12 * len(values) + 4
    for tag in sorted(values):
        packed = struct.pack(f"<{len(values[tag])}I", *values[tag])
        place = packed if len(packed) == 4 else struct.pack("<I", behind + len(arrays))
        arrays += b"" if len(packed) == 4 else packed
        entries += struct.pack("<HHI", tag, 4, len(values[tag])) + place
    head = b"II*\0" + struct.pack("<I", directory)
    made = b"".join([head, *data, struct.pack("<H", len(values)), entries, bytes(4), arrays])
    try:
        with Image.open(io.BytesIO(made), formats=("TIFF",)) as image:
            return image.tobytes()
    except Exception:  # a broken file makes decoders raise almost anything
        return None


# ------------------------------------------------------------------------------------------------ WebP, AVIF, JPEG 2000

_LONG = 64  # zeros in a row, and at least an eighth of the data, or so many:
_A_PIECE = 4096


def _holds_zeros(data: bytes) -> bool:
    return bytes(max(_LONG, min(_A_PIECE, len(data) // 8))) in data


def _chunks(content: bytes, kinds: tuple[bytes, ...]) -> Iterator[bytes]:
    """The bodies of a RIFF file's chunks or an ISO file's boxes of these kinds, of the first level."""
    if content[:4] == b"RIFF":
        at, size = 12, len(content)
        while at + 8 <= size:
            length = int.from_bytes(content[at + 4 : at + 8], "little")
            if content[at : at + 4] in kinds:
                yield content[at + 8 : at + 8 + length]
            at += 8 + length + length % 2
        return
    at = 0
    while kinds and at + 8 <= len(content):
        length, head = int.from_bytes(content[at : at + 4]), 8
        if length == 1:
            length, head = int.from_bytes(content[at + 8 : at + 16]), 16
        length = length or len(content) - at
        if content[at + 4 : at + 8] in kinds:
            yield content[at + head : at + length]
        at += max(length, 8)


def _tiles_are_missing(stream: bytes) -> bool:
    """Whether a JPEG 2000 codestream ends before each of its tiles has come."""
    try:
        width, height, _, _, across, down, x, y = struct.unpack_from(">8I", stream, 8)
        expected = -(-(width - x) // across) * -(-(height - y) // down)
    except (struct.error, ZeroDivisionError):
        return False
    at, seen = 4 + int.from_bytes(stream[4:6]), set[int]()
    while at + 12 <= len(stream):
        marker = stream[at : at + 2]
        if marker == b"\xff\x90":
            seen.add(int.from_bytes(stream[at + 4 : at + 6]))
            length = int.from_bytes(stream[at + 6 : at + 10])
            if not length:  # the last one reaches to the end
                break
            at += max(length, 12)
        elif marker == b"\xff\xd9":
            break
        else:
            at += 2 + int.from_bytes(stream[at + 2 : at + 4])
    return len(seen) < expected
