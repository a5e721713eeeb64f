"""Reads a picture of a kind that Pillow does not, in a process of its own: HEIC, JPEG XL, the pictures inside a PDF.

Their decoders are large libraries that strangers' files have broken before. A crash, a loop or a glutton takes down
this process alone: it may write no file, and has bounded memory and time. `media` starts it, writes a question (a line
of JSON) and the file's bytes to its standard input, and reads a line of JSON and a payload from its standard output:

    heif, jxl   the picture's pixels with its mode and colour profile, or the JPEG that a JPEG XL was made from
    pdf         picture number N as it lies in the document, encoded as JPEG or JPEG 2000 where it is, else its pixels

Sizes are known before anything is decoded. Nothing in a PDF is run: no scripts, no forms, no links, no other file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

HEIF_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1")
)
_OF_ANY = frozenset((b"mif1", b"msf1"))  # of HEIC, AVIF and others: what follows says of which
KNOWN_BY = 128  # bytes by which a file is told
SMALLEST = 64  # pixels: a smaller picture of a PDF is an ornament
MOST_PAGES = 2_000  # of a PDF that are looked at
MOST_PARTS = 500  # pictures of one file
_LIBRARIES = 1_500_000_000  # bytes of address space that the libraries take by themselves
_SECONDS = 120  # of processor time


class Refused(Exception):
    """The picture cannot be read: a sentence's end that says why, and whether it was too large."""

    def __init__(self, why: str, large: bool = False):
        super().__init__(why)
        self.large = large


def kind_of(head: bytes) -> str | None:
    """heif, jxl or pdf by a file's first bytes, at least 16; None for what is none of them.

    Args:
        head: The first bytes of a file; of `KNOWN_BY` of them it tells an AVIF whose first brand leaves that open.
    """
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS:
        further = {head[at : at + 4] for at in range(16, min(len(head), int.from_bytes(head[:4])), 4)}
        is_avif = further & {b"avif", b"avis"} and not further & (HEIF_BRANDS - _OF_ANY - {b"mif2"})
        return None if is_avif and head[8:12] in _OF_ANY else "heif"
    if head[:2] == b"\xff\x0a" or head[:12] == b"\x00\x00\x00\x0cJXL \r\n\x87\n":
        return "jxl"
    return "pdf" if head[:5] == b"%PDF-" else None


def main() -> None:
    """The process's whole life: one question, one answer."""
    out = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # whatever a library prints is no part of the answer
    os.dup2(null, 2)
    request = json.loads(sys.stdin.buffer.readline())
    content = sys.stdin.buffer.read(request["bytes"])
    read = {"heif": _heif, "jxl": _jxl, "pdf": _pdf}[request["kind"]]
    payload, icc = b"", b""
    try:
        confine = _imported(request["kind"])
        confine(request["max_memory"])
        header, payload, icc = read(content, request)
    except Refused as error:
        header = {"refused": str(error), "large": error.large}
    except ImportError:
        header = {"lacking": True}
    except MemoryError:
        header = {"refused": "does not fit into memory. Make it smaller.", "large": True}
    except Exception as error:  # a broken file makes decoders raise almost anything
        name = {"heif": "HEIC", "jxl": "JPEG XL", "pdf": "PDF"}[request["kind"]]
        why = " ".join(str(error).split())[:200] or type(error).__name__
        header = {"refused": f"is a damaged or incomplete {name} ({why})", "large": False}
    out.write(json.dumps({**header, "bytes": len(payload), "icc": len(icc)}).encode() + b"\n")
    out.write(icc)
    out.write(payload)
    out.flush()


def _imported(kind: str) -> Any:
    """What confines the process, once the library is there: loading one takes files and memory."""
    __import__({"heif": "pillow_heif", "jxl": "pillow_jxl", "pdf": "pypdfium2"}[kind])
    return _confine


def _confine(max_memory: int) -> None:
    """No files, bounded memory and time, where the system can do so."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for what, limit in (
        (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_AS, max_memory + _LIBRARIES), (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, _SECONDS),
    ):  # fmt: skip
        with contextlib.suppress(OSError, ValueError):  # a limit that is lower already
            resource.setrlimit(what, (limit, limit))


def _check_size(width: int, height: int, asked: dict[str, Any], taken: int) -> None:
    """Raises Refused for more pixels, or more memory at `taken` bytes a pixel, than there may be."""
    if width * height > asked["max_pixels"]:
        raise Refused(
            f"is {width} × {height} = {width * height / 1e6:,.12g} million pixels; expected at most "
            f"{asked['max_pixels'] / 1e6:,.12g} million. Make it smaller, or raise max_pixels (--max-megapixels).",
            large=True,
        )
    if width * height * taken > asked["max_memory"]:
        raise Refused(
            f"is {width} × {height} pixels, and reading it would take {width * height * taken / 1e9:.1f} GB of memory; "
            f"expected at most {asked['max_memory'] / 1e9:.1f} GB. Make it smaller, or raise max_memory "
            "(--max-memory).",
            large=True,
        )


# --------------------------------------------------------------------------------------------------------------- HEIC


def _heif(content: bytes, asked: dict[str, Any]) -> tuple[dict[str, Any], bytes, bytes]:
    import pillow_heif

    pillow_heif.options.THUMBNAILS = pillow_heif.options.DEPTH_IMAGES = pillow_heif.options.AUX_IMAGES = False
    pillow_heif.options.DECODE_THREADS = 1
    if pillow_heif.get_file_mimetype(content) in ("image/avif", "image/avif-sequence"):
        raise Refused("is an AVIF by its contents and a HEIC by its name. Export it as JPEG.")
    file = pillow_heif.open_heif(content)
    part = asked.get("part")
    if part is not None and not 1 <= part <= len(file):
        raise Refused(f"holds {len(file)} pictures; expected a number from 1 to that, got {part}.")
    image = file[file.primary_index if part is None else part - 1]
    _check_size(*image.size, asked, 9)
    pixels = bytes(image.to_pillow().tobytes())  # upright: libheif turns it as the file says
    header = {"mode": image.mode, "size": image.size, "parts": len(file), "notes": []}
    info: dict[str, Any] = image.info
    return header, pixels, bytes(info.get("icc_profile") or b"")


# ------------------------------------------------------------------------------------------------------------ JPEG XL


def _jxl(content: bytes, asked: dict[str, Any]) -> tuple[dict[str, Any], bytes, bytes]:
    import pillow_jxl

    _check_size(*jxl_size(content), asked, 16)
    try:
        is_jpeg, info, data, icc, _ = pillow_jxl.Decoder(num_threads=1)(content)
    except RuntimeError as error:  # whose words are how to build the decoder
        raise Refused("is a damaged or incomplete JPEG XL, or of a kind that is not read") from error
    if is_jpeg:  # it was a JPEG before, and is one again, byte by byte
        return {"encoded": True, "parts": 1, "notes": []}, bytes(data), b""
    mode = "F" if info.mode == "F;16" else info.mode
    return {"mode": mode, "size": (info.width, info.height), "parts": 1, "notes": []}, bytes(data), bytes(icc or b"")


def jxl_size(content: bytes) -> tuple[int, int]:
    """Width and height of a JPEG XL from its header (ISO/IEC 18181-1, SizeHeader).

    Args:
        content: The file's bytes.

    Returns:
        Width and height, pixels.

    Raises:
        Refused: There is no header.
    """
    at = 0
    if content[:2] != b"\xff\x0a":
        at = next((start for kind, start in _boxes(content) if kind in (b"jxlc", b"jxlp")), -1)
        at += 4 if content[at - 4 : at] == b"jxlp" else 0  # a number comes first
        if at < 4 or content[at : at + 2] != b"\xff\x0a":
            raise Refused("is a damaged or incomplete JPEG XL (no codestream in it)")
    bits = int.from_bytes(content[at + 2 : at + 18], "little")
    place = 0

    def take(count: int) -> int:
        nonlocal place
        value = (bits >> place) & ((1 << count) - 1)
        place += count
        return value

    def length(small: bool) -> int:
        return 8 * (take(5) + 1) if small else take((9, 13, 18, 30)[take(2)]) + 1

    small = bool(take(1))
    height = length(small)
    ratio = take(3)
    width = length(small) if ratio == 0 else height * _RATIOS[ratio][0] // _RATIOS[ratio][1]
    return width, height


_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def _boxes(content: bytes) -> Iterator[tuple[bytes, int]]:
    """The boxes of a container: their kinds, and where their contents begin."""
    at = 0
    while at + 8 <= len(content):
        size, kind, head = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(content[at + 8 : at + 16]), 16
        yield kind, at + head
        if size < head:  # to the end of the file
            return
        at += size


# ---------------------------------------------------------------------------------------------------------------- PDF


def _pdf(content: bytes, asked: dict[str, Any]) -> tuple[dict[str, Any], bytes, bytes]:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise Refused("is a PDF with a password. Open it, and save it without one.") from error
        raise
    part = asked.get("part")
    counting = asked.get("counting", False)
    wanted, number, chosen = 1 if part is None else part, 0, None
    last = None
    for page, picture in _pictures(document):
        number += 1
        last = page
        if number == wanted and not counting:
            chosen = _picture(picture, asked), page
    if counting:
        return {"parts": number, "notes": []}, b"", b""
    if chosen is None:
        if number:
            raise Refused(f"holds {number} pictures; expected a number from 1 to that, got {wanted}.")
        raise Refused(
            f"is a PDF without pictures of at least {SMALLEST} × {SMALLEST} pixels: what it shows is drawn. Export the "
            "page as PNG."
        )
    (header, payload), page = chosen
    notes = [f"This is picture {wanted} of {number} in the PDF, on page {page} of {len(document)}."]
    if last is not None and len(document) > MOST_PAGES:
        notes.append(f"Pages after the first {MOST_PAGES:,} were not looked at.")
    return {**header, "parts": number, "notes": notes}, payload, b""


def _pictures(document: Any) -> Iterator[tuple[int, Any]]:
    """The pictures of a document in the order of its pages, each once however often it is shown: (page, picture)."""
    import pypdfium2.raw as raw

    seen: set[bytes] = set()
    for number in range(min(len(document), MOST_PAGES)):
        page = document[number]
        for picture in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=6):
            width, height = picture.get_px_size()
            if min(width, height) < SMALLEST:
                continue
            mark = hashlib.sha256(picture.get_data(decode_simple=False)).digest()
            if mark in seen:
                continue
            seen.add(mark)
            if len(seen) > MOST_PARTS:
                return
            yield number + 1, picture


def _picture(picture: Any, asked: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    width, height = picture.get_px_size()
    filters = picture.get_filters(skip_simple=True)
    if filters in (["DCTDecode"], ["JPXDecode"]):
        return {"encoded": True}, bytes(picture.get_data(decode_simple=True))
    _check_size(width, height, asked, 12)
    image = picture.get_bitmap(render=False).to_pil()
    if image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert("RGB")
    return {"mode": image.mode, "size": image.size}, image.tobytes()
