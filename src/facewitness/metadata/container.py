"""Where a file keeps its metadata: the pieces of JPEG, PNG, WebP, GIF, TIFF and of files made of boxes (AVIF, HEIC).

Each piece is at most `MOST_PIECE` bytes, all of them at most `MOST_TOGETHER`; larger ones are left out and said. Only
headers are walked over, so that a file of 200 MB costs no more than a small one. Films may be far larger than memory:
of theirs (MP4, MOV, AVI) no more is read than those headers and pieces; what their tags say is read by `decoder`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

MOST_PIECE = 8_000_000  # bytes; a C2PA manifest with its thumbnails is seldom more than one million
MOST_TOGETHER = 24_000_000
MOST_TEXT = 2_000_000  # characters of one text; a large ComfyUI graph has about 500,000
MOST_PIECES = 4_000  # headers that are walked over: segments, chunks, boxes
C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # C2PA 2.1, A.5.1: the box of ISO base media files
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # XMP part 3, 1.1.4
_MANIFEST = "A C2PA manifest"


@dataclass(slots=True)
class Parts:
    """The pieces of one file's metadata, as bytes, and what was left out."""

    format: str = ""  # jpeg, png, webp, gif, tiff, boxes; empty for what is none of these
    exif: bytes = b""  # from the TIFF header on
    xmp: bytes = b""
    manifest: bytes = b""  # JUMBF boxes of C2PA
    unread: str = ""  # of a manifest that is there and too large: the sentence that says so
    texts: list[tuple[str, str]] = field(default_factory=list)  # (keyword, text): of PNG chunks and of comments
    tables: dict[int, tuple[int, ...]] = field(default_factory=dict)  # JPEG: number → 64 steps, row by row
    components: int = 0  # JPEG: 1 grey, 3 colour
    progressive: bool = False  # JPEG
    left_out: list[str] = field(default_factory=list)  # whole sentences
    taken: int = 0  # bytes so far

    def keep(self, name: str, content: bytes | memoryview) -> bytes:
        """The piece's bytes, or none and a sentence where it is too large.

        Args:
            name: Of the piece.
            content: The piece's bytes.
        """
        if len(content) > MOST_PIECE or self.taken + len(content) > MOST_TOGETHER:
            self.too_large(name, len(content))
            return b""
        self.taken += len(content)
        return bytes(content)

    def too_large(self, name: str, length: int) -> None:
        """Note that a piece was not read for its size.

        Args:
            name: Of the piece.
            length: In bytes.
        """
        sentence = f"{name} of {length / 1e6:,.1f} MB was not read: at most {MOST_PIECE / 1e6:.0f} MB are."
        if name == _MANIFEST:
            self.unread = self.unread or sentence
        self.leave(sentence)

    def leave(self, sentence: str) -> None:
        """Note once that something was not read.

        Args:
            sentence: What was not read, and why.
        """
        if sentence not in self.left_out and len(self.left_out) < 8:
            self.left_out.append(sentence)


def split(content: bytes) -> Parts:
    """The pieces of metadata in a file's bytes. Damage ends the walk with a sentence; it never raises.

    Args:
        content: The file's bytes.
    """
    parts = Parts()
    view = memoryview(content)
    walk = next((walk for magic, walk in _WALKS if magic(content)), None)
    if walk is None:
        return parts
    try:
        walk(view, parts)
    except (struct.error, IndexError, ValueError, zlib.error):
        parts.leave("The file's structure is damaged; its metadata was read up to there.")
    return parts


def split_film(file: BinaryIO) -> Parts:
    """The same of a film, which is read in pieces: C2PA manifest and XMP where they stand at the file's first level.

    Args:
        file: open for reading, and able to seek.
    """
    file.seek(0)
    head = file.read(16)
    file.seek(0)
    if head[:4] == b"GIF8" or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        content = file.read(MOST_ANIMATION + 1)
        return split(content[:MOST_ANIMATION])
    parts = Parts()
    try:
        if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            _film_chunks(file, parts)
        elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
            _film_boxes(file, parts)
        elif head[:4] == b"\x1aE\xdf\xa3":
            parts.format = "matroska"
    except (struct.error, ValueError, OSError):
        parts.leave("The file's structure is damaged; its metadata was read up to there.")
    return parts


MOST_ANIMATION = 200_000_000  # bytes of a GIF or WebP


def _film_boxes(file: BinaryIO, parts: Parts) -> None:
    parts.format = "mov"
    end, at = file.seek(0, 2), 0
    for _ in range(MOST_PIECES):
        if at + 8 > end:
            return
        file.seek(at)
        head = file.read(32)
        length, kind = struct.unpack_from(">I4s", head)
        body = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", head, 8)
            body = 16
        elif length == 0:
            length = end - at
        if length < body or at + length > end:
            raise ValueError("a box longer than the file")
        if kind in (b"uuid", b"jumb") and (kind == b"jumb" or head[body : body + 16] in (C2PA_UUID, XMP_UUID)):
            is_xmp = kind == b"uuid" and head[body : body + 16] == XMP_UUID
            piece = _piece(file, at, length, "XMP" if is_xmp else _MANIFEST, parts)
            _boxes(memoryview(piece), parts)
            parts.format = "mov"
        at += length


def _film_chunks(file: BinaryIO, parts: Parts) -> None:
    parts.format = "avi"
    end, at = file.seek(0, 2), 12
    for _ in range(MOST_PIECES):
        if at + 8 > end:
            return
        file.seek(at)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind == b"C2PA":
            parts.manifest = parts.manifest or _piece(file, at + 8, min(length, end - at - 8), _MANIFEST, parts)
        elif kind == b"_PMX":
            parts.xmp = parts.xmp or _piece(file, at + 8, min(length, end - at - 8), "XMP", parts)
        at += 8 + length + length % 2


def _piece(file: BinaryIO, at: int, length: int, name: str, parts: Parts) -> bytes:
    if length > MOST_PIECE:
        parts.too_large(name, length)
        return b""
    file.seek(at)
    return file.read(length)


# --------------------------------------------------------------------------------------------------------------- JPEG


def _jpeg(view: memoryview, parts: Parts) -> None:
    parts.format = "jpeg"
    extended: dict[bytes, dict[int, bytes]] = {}
    boxes: dict[tuple[int, bytes], dict[int, memoryview]] = {}
    for marker, body in _segments(view):
        head = bytes(body[:40])
        if marker == 0xE1 and head.startswith(b"Exif\0"):
            parts.exif = parts.exif or parts.keep("EXIF", body[6:])
        elif marker == 0xE1 and head.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            parts.xmp = parts.xmp or parts.keep("XMP", body[29:])
        elif marker == 0xE1 and head.startswith(b"http://ns.adobe.com/xmp/extension/\0"):
            _extend(body, extended, parts)
        elif marker == 0xEB and head.startswith(b"JP"):
            # JPEG XT (ISO 18477-3): "JP", instance, number in the sequence; each piece repeats the box's header
            instance, number = struct.unpack(">HI", body[2:8])
            boxes.setdefault((instance, bytes(body[8:16])), {})[number] = body[8:]
        elif marker == 0xFE:
            _comment(body, parts)
        elif marker == 0xDB:
            _tables(body, parts)
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            parts.progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
            parts.components = body[5] if len(body) > 5 else 0
    whole = []
    for pieces in boxes.values():
        ordered = [pieces[number] for number in sorted(pieces)]
        whole += [ordered[0], *(piece[8:] for piece in ordered[1:])]
    length = sum(map(len, whole))
    if length > MOST_PIECE:
        parts.too_large(_MANIFEST, length)
    else:
        parts.manifest = parts.keep(_MANIFEST, b"".join(whole))
    more = max(extended.values(), key=len, default={})
    if more:
        parts.texts.append(("XMP extension", _text(b"".join(more[at] for at in sorted(more)), parts)))


def _segments(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Markers and their bodies up to the first scan."""
    at = 2
    for _ in range(MOST_PIECES):
        while at < len(view) and view[at] != 0xFF:
            at += 1  # stray bytes between segments, which decoders pass over
        while at < len(view) and view[at] == 0xFF:
            at += 1
        if at + 3 > len(view):
            return
        marker = view[at]
        if marker in (0xD9, 0xDA):
            return
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 1
            continue
        length = int.from_bytes(view[at + 1 : at + 3])
        if length < 2:
            raise ValueError("a segment shorter than its own length")
        yield marker, view[at + 3 : at + 1 + length]
        at += 1 + length


def _extend(body: memoryview, extended: dict[bytes, dict[int, bytes]], parts: Parts) -> None:
    """XMP part 3, 1.1.3.1: a GUID of 32 characters, the full length, this piece's offset."""
    guid, (_, offset) = bytes(body[35:67]), struct.unpack(">II", body[67:75])
    if len(extended) < 4 or guid in extended:
        extended.setdefault(guid, {})[offset] = parts.keep("XMP", body[75:])


def _comment(body: memoryview, parts: Parts) -> None:
    if len(parts.texts) < 64:
        parts.texts.append(("Comment", _text(bytes(body), parts)))


ZIGZAG = tuple(
    sorted(range(64), key=lambda i: (i // 8 + i % 8, i // 8 if (i // 8 + i % 8) % 2 else i % 8))
)  # place in the file → row · 8 + column


def _tables(body: memoryview, parts: Parts) -> None:
    at = 0
    while at < len(body) and len(parts.tables) < 4:
        wide, number = body[at] >> 4, body[at] & 15
        steps = struct.unpack_from(">64H" if wide else ">64B", body, at + 1)
        table = [0] * 64
        for i, step in zip(ZIGZAG, steps, strict=True):
            table[i] = step
        parts.tables[number] = tuple(table)
        at += 129 if wide else 65


# ---------------------------------------------------------------------------------------------------------------- PNG


def _png(view: memoryview, parts: Parts) -> None:
    parts.format = "png"
    at = 8
    for _ in range(MOST_PIECES):
        if at + 12 > len(view):
            return
        length, kind = struct.unpack_from(">I4s", view, at)
        body = view[at + 8 : at + 8 + length]
        if len(body) < length:
            raise ValueError("a chunk longer than the file")
        if kind == b"IEND":
            return
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            if len(parts.texts) < 64:
                _png_text(kind, body, parts)
            else:
                parts.leave("More than 64 texts; the others were not read.")
        elif kind == b"eXIf":
            parts.exif = parts.exif or _without_header(parts.keep("EXIF", body))
        elif kind == b"caBX":
            parts.manifest = parts.manifest or parts.keep(_MANIFEST, body)
        at += 12 + length


def _png_text(kind: bytes, body: memoryview, parts: Parts) -> None:
    end = bytes(body[:80]).find(b"\0")  # a keyword has at most 79 bytes
    if end < 1:
        return
    keyword, rest = bytes(body[:end]).decode("latin-1"), body[end + 1 :]
    if kind == b"tEXt":
        text = _text(_bounded(rest), parts, keyword, len(rest))
    elif kind == b"zTXt":
        text = _text(_inflated(rest[1:]), parts, keyword)
    else:
        packed = rest[0] == 1
        head = bytes(rest[2:400]).split(b"\0", 2)  # language and translated keyword, each closed by a zero
        if len(head) < 3:
            return
        value = rest[2 + len(head[0]) + len(head[1]) + 2 :]
        text = _text(_inflated(value) if packed else _bounded(value), parts, keyword, 0 if packed else len(value))
    if keyword == "XML:com.adobe.xmp":
        parts.xmp = parts.xmp or parts.keep("XMP", text.encode("utf-8", "surrogateescape"))
    elif keyword in ("Raw profile type exif", "Raw profile type APP1"):
        parts.exif = parts.exif or _without_header(parts.keep("EXIF", _raw_profile(text)))
    else:
        parts.texts.append((keyword, text))


def _bounded(piece: memoryview) -> bytes:
    return bytes(piece[: MOST_TEXT + 1])


def _inflated(packed: memoryview) -> bytes:
    """At most MOST_TEXT + 1 bytes, however much is packed."""
    return zlib.decompressobj().decompress(packed, MOST_TEXT + 1)


def _text(raw: bytes, parts: Parts, keyword: str = "", full: int = 0) -> str:
    """A text as it is; nothing of one that is too large, for half of it is another statement."""
    if len(raw) > MOST_TEXT:
        size = f"{full / 1e6:,.0f} MB" if full else f"more than {MOST_TEXT / 1e6:.0f} MB"
        parts.leave(f"A text of {size} was not read: at most {MOST_TEXT / 1e6:.0f} MB are.")
        return ""
    if parts.taken + len(raw) > MOST_TOGETHER:
        parts.leave(f"The file holds more than {MOST_TOGETHER / 1e6:.0f} MB of texts; the others were not read.")
        return ""
    parts.taken += len(raw)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _raw_profile(text: str) -> bytes:
    """ImageMagick's way: a name, a length, and the bytes as hexadecimal digits on lines."""
    digits = "".join(text.split()[2:])
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""


def _without_header(exif: bytes) -> bytes:
    return exif[6:] if exif.startswith(b"Exif\0\0") else exif


# ---------------------------------------------------------------------------------------------------- WebP, GIF, TIFF


def _webp(view: memoryview, parts: Parts) -> None:
    parts.format = "webp"
    at = 12
    for _ in range(MOST_PIECES):
        if at + 8 > len(view):
            return
        kind, length = struct.unpack_from("<4sI", view, at)
        body = view[at + 8 : at + 8 + length]
        if kind == b"EXIF":
            parts.exif = parts.exif or _without_header(parts.keep("EXIF", body))
        elif kind == b"XMP ":
            parts.xmp = parts.xmp or parts.keep("XMP", body)
        elif kind == b"C2PA":
            parts.manifest = parts.manifest or parts.keep(_MANIFEST, body)
        at += 8 + length + length % 2


def _gif(view: memoryview, parts: Parts) -> None:
    parts.format = "gif"
    at = 13 + (3 << ((view[10] & 7) + 1) if view[10] & 0x80 else 0)
    for _ in range(MOST_PIECES):
        if at + 2 > len(view) or view[at] != 0x21:
            return  # extensions after the first picture are about later ones
        label, at = view[at + 1], at + 2
        application = bytes(view[at + 1 : at + 12]) if label == 0xFF else b""
        start, at = at + 12, _past_blocks(view, at)
        if application == b"C2PA_GIF\1\0\0":  # C2PA 2.1, appendix A
            parts.manifest = parts.manifest or parts.keep(_MANIFEST, _joined_blocks(view, start, at))
        elif application == b"XMP DataXMP":
            packet = bytes(view[start : min(at, start + MOST_PIECE)])
            parts.xmp = parts.keep("XMP", packet[: packet.rfind(b">") + 1])  # then a trailer of counting bytes
        elif label == 0xFE:
            _comment(view[start - 11 : at - 1], parts)


def _past_blocks(view: memoryview, at: int) -> int:
    while view[at]:
        at += 1 + view[at]
    return at + 1


def _joined_blocks(view: memoryview, at: int, end: int) -> bytes:
    """What blocks hold that each begin with their length, without those lengths."""
    joined = bytearray()
    while at < end and view[at]:
        joined += view[at + 1 : at + 1 + view[at]]
        at += 1 + view[at]
    return bytes(joined)


_TIFF_C2PA = 0xCD41  # C2PA 2.1, appendix A: the tag of a manifest


def _tiff(view: memoryview, parts: Parts) -> None:
    parts.format = "tiff"
    # its tags may lie anywhere; those of a large file that lie beyond are said to be outside
    parts.exif = parts.keep("TIFF", view[:MOST_PIECE])
    order = "<" if bytes(view[:2]) == b"II" else ">"
    at = struct.unpack_from(order + "I", view, 4)[0] if len(view) >= 8 else len(view)
    if at + 2 > len(view):
        return
    for entry in range(at + 2, len(view) - 11, 12)[: struct.unpack_from(order + "H", view, at)[0]]:
        tag, _, count, place = struct.unpack_from(order + "HHII", view, entry)
        if tag == _TIFF_C2PA:
            parts.manifest = parts.keep(_MANIFEST, view[place : place + count])
            return


# --------------------------------------------------------------------------------------------------------------- boxes


def _boxes(view: memoryview, parts: Parts) -> None:
    parts.format = "boxes"
    for kind, start, body, end in _box_walk(view, 0, len(view)):
        identity = bytes(view[body : body + 16])
        if kind == b"uuid" and identity == C2PA_UUID:
            # version and flags, a purpose closed by a zero, an offset
            purpose = bytes(view[body + 20 : body + 40]).split(b"\0")[0]
            if purpose in (b"manifest", b"original", b"update"):
                parts.manifest += parts.keep(_MANIFEST, view[body + 20 + len(purpose) + 9 : end])
        elif kind == b"uuid" and identity == XMP_UUID:
            parts.xmp = parts.xmp or parts.keep("XMP", view[body + 16 : end])
        elif kind == b"jumb":
            parts.manifest += parts.keep(_MANIFEST, view[start:end])
        elif kind == b"meta":
            _items(view, body + 4, end, parts)


def _box_walk(view: memoryview, at: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """(kind, where it starts, where its body starts, where it ends) of the boxes from `at` to `end`."""
    for _ in range(MOST_PIECES):
        if at + 8 > end:
            return
        length, kind = struct.unpack_from(">I4s", view, at)
        body = at + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", view, body)
            body += 8
        elif length == 0:
            length = end - at
        if length < body - at or at + length > end:
            raise ValueError("a box longer than what holds it")
        yield kind, at, body, at + length
        at += length


def _items(view: memoryview, at: int, end: int, parts: Parts) -> None:
    """EXIF and XMP of HEIF and AVIF: items (ISO/IEC 23008-12, annex A; 14496-12, 8.11)."""
    kinds: dict[int, bytes] = {}
    places: dict[int, list[tuple[int, int]]] = {}
    for kind, _, body, stop in _box_walk(view, at, end):
        if kind == b"iinf":
            first = body + (6 if view[body] == 0 else 8)
            for entry, _, inside, _ in _box_walk(view, first, stop):
                if entry == b"infe" and view[inside] >= 2:
                    wide = view[inside] > 2
                    number = int.from_bytes(view[inside + 4 : inside + (8 if wide else 6)])
                    kinds[number] = bytes(view[inside + (10 if wide else 8) :][:4])
        elif kind == b"iloc":
            places = _locations(view, body)
    for number, kind in kinds.items():
        extents = places.get(number, [])
        if kind not in (b"Exif", b"mime") or len(extents) != 1:
            continue
        offset, length = extents[0]
        piece = view[offset : offset + length]
        if kind == b"Exif" and len(piece) > 4:
            skip = 4 + int.from_bytes(piece[:4])
            parts.exif = parts.exif or _without_header(parts.keep("EXIF", piece[skip:]))
        elif kind == b"mime" and b"<x:xmpmeta" in bytes(piece[:400]):
            parts.xmp = parts.xmp or parts.keep("XMP", piece)


def _locations(view: memoryview, at: int) -> dict[int, list[tuple[int, int]]]:
    version, sizes, more = view[at], view[at + 4], view[at + 5]
    wide = 4 if version == 2 else 2
    place, size, base, index = sizes >> 4, sizes & 15, more >> 4, (more & 15) if version else 0
    at += 6

    def number(width: int) -> int:
        nonlocal at
        if at + width > len(view):
            raise ValueError("a number beyond the end")
        at += width
        return int.from_bytes(view[at - width : at])

    extents_of: dict[int, list[tuple[int, int]]] = {}
    room = MOST_PIECES  # of all items together: an extent whose numbers have no bytes costs the file nothing
    for _ in range(min(number(wide), MOST_PIECES)):
        item = number(wide)
        method = number(2) & 15 if version else 0
        number(2)
        start = number(base)
        extents = []
        room -= (count := number(2))
        if room < 0:
            raise ValueError("more extents than pictures have")
        for _ in range(count):
            number(index)
            extents.append((start + number(place), number(size)))
        if method == 0:  # offsets into the file
            extents_of[item] = extents
    return extents_of


_WALKS = (
    (lambda b: b[:2] == b"\xff\xd8", _jpeg),
    (lambda b: b[:8] == b"\x89PNG\r\n\x1a\n", _png),
    (lambda b: b[:4] == b"RIFF" and b[8:12] == b"WEBP", _webp),
    (lambda b: b[:4] == b"GIF8", _gif),
    (lambda b: b[:4] in (b"II*\0", b"MM\0*"), _tiff),
    (lambda b: b[4:8] in (b"ftyp", b"jP  "), _boxes),
)
