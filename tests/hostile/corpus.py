"""Files as a stranger may send them: whole ones that must be analysed, broken ones, bombs, lies and odd names."""

from __future__ import annotations

import functools
import gzip
import importlib.util
import io
import os
import pickle
import random
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from files import chunk, with_chunk, with_segment, xmp
from PIL import Image, ImageCms

BIG = 9_990  # just under a hundred million pixels in a square


class Input(NamedTuple):
    """One file: its class, its name, and how it is put under that name. `good` ones have to be analysed."""

    kind: str
    name: str
    put: Callable[[Path], None]
    good: bool = False


@functools.cache
def photo(side: int = 320) -> Image.Image:
    """A portrait with one face that is found (scikit-image's, by NASA)."""
    package = importlib.util.find_spec("skimage")
    assert package is not None and package.origin is not None, (
        "needs scikit-image: pip install '.[dev]', from a clone of the repository"
    )
    with Image.open(Path(package.origin).parent / "data" / "astronaut.png") as image:
        return image.convert("RGB").crop((60, 0, 380, 320)).resize((side, side))


def saved(kind: str, image: Image.Image | None = None, **options: Any) -> bytes:
    """An image, the portrait by default, as a file."""
    out = io.BytesIO()
    (photo() if image is None else image).save(out, kind, **options)
    return out.getvalue()


@functools.cache
def whole() -> dict[str, bytes]:
    """The portrait in every format and variant that is read, by a name whose end is the suffix."""
    image = photo()
    turned = [image.rotate(20 * n) for n in range(1, 4)]
    return {
        "baseline.jpg": saved("JPEG", quality=88),
        "progressive.jpg": saved("JPEG", quality=88, progressive=True),
        "full-chroma.jpg": saved("JPEG", quality=95, subsampling=0),
        "grey.jpg": saved("JPEG", image.convert("L")),
        "cmyk.jpg": saved("JPEG", image.convert("CMYK")),
        "restarts.jpg": saved("JPEG", restart_marker_rows=1),
        "two.mpo": saved("MPO", save_all=True, append_images=turned[:1]),
        "plain.png": saved("PNG"),
        "alpha.png": saved("PNG", image.convert("RGBA")),
        "grey-alpha.png": saved("PNG", image.convert("LA")),
        "palette.png": saved("PNG", image.convert("P", palette=Image.Palette.ADAPTIVE)),
        "deep-grey.png": saved("PNG", Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)),
        "moving.png": saved("PNG", save_all=True, append_images=turned, duration=100),
        "lossy.webp": saved("WEBP", quality=85),
        "lossless.webp": saved("WEBP", lossless=True),
        "moving.webp": saved("WEBP", save_all=True, append_images=turned, duration=100),
        "plain.avif": saved("AVIF", quality=80),
        "moving.gif": saved("GIF", save_all=True, append_images=turned, duration=100),
        "plain.bmp": saved("BMP"),
        "plain.tif": saved("TIFF"),
        "lzw.tiff": saved("TIFF", compression="tiff_lzw"),
        "deflate.tif": saved("TIFF", compression="tiff_adobe_deflate"),
        "jpeg-in.tif": saved("TIFF", compression="jpeg"),
        "float.tif": saved("TIFF", Image.fromarray(np.asarray(image.convert("L"), np.float32) / 255)),
        "lab.tif": saved("TIFF", _lab(image)),
        "plain.ppm": saved("PPM"),
        "plain.pgm": saved("PPM", image.convert("L")),
        "plain.jp2": saved("JPEG2000"),
    }


def _lab(image: Image.Image) -> Image.Image:
    made = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert made is not None
    return made


_BROKEN = (
    "baseline.jpg",
    "progressive.jpg",
    "plain.png",
    "moving.png",
    "lossy.webp",
    "lossless.webp",
    "plain.avif",
    "moving.gif",
    "plain.bmp",
    "plain.tif",
    "lzw.tiff",
    "plain.jp2",
)


def inputs(seeds: int = 6) -> Iterator[Input]:
    """Every input, at least 321. More seeds give more broken files."""
    yield from _good()
    yield from _good_names()
    yield from _broken(seeds)
    yield from _junk()
    yield from _bombs()
    yield from _lies()
    yield from _metadata()
    yield from _special()


def _put(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None  # type: ignore[func-returns-value]


def _later(make: Callable[[], bytes]) -> Callable[[Path], None]:
    """For what is large: made only when it is written."""
    return lambda path: path.write_bytes(make()) and None  # type: ignore[func-returns-value]


# ----------------------------------------------------------------------------------------------------- whole pictures


def _good() -> Iterator[Input]:
    for name, content in whole().items():
        yield Input("whole", f"whole {name}", _put(content), good=True)
    jpeg, png = whole()["baseline.jpg"], whole()["plain.png"]
    for turn in (0, 1, 2, 4, 5, 7, 9, 65535):
        yield Input("whole", f"exif orientation {turn}.jpg", _put(with_segment(jpeg, 0xE1, _exif(turn))), turn < 9)
    for ends in (b"\0" * 40, b"PK\5\6" + b"\0" * 18, b"<script>alert(1)</script>" * 20):
        yield Input("whole", f"trailer of {len(ends)}.jpg", _put(jpeg + ends), good=True)
    yield Input("whole", "jpeg called png.png", _put(jpeg), good=True)
    yield Input("whole", "png called jpg.jpg", _put(png), good=True)
    yield Input("whole", "108 megapixels.jpg", _later(lambda: _phone(12_000, 9_000)), good=True)
    yield Input("whole", "64 megapixels progressive.jpg", _later(lambda: _phone(9_248, 6_936, progressive=True)), True)


def _phone(width: int, height: int, **options: Any) -> bytes:
    canvas = Image.new("RGB", (width, height), (90, 110, 120))
    face = photo().resize((2_400, 2_400))
    canvas.paste(face, (width // 2 - 1_200, height // 2 - 1_200))
    return saved("JPEG", canvas, quality=85, **options)


def _exif(turn: int) -> bytes:
    return b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x112, 3, 1, turn, 0) + bytes(4)


def _good_names() -> Iterator[Input]:
    names = [
        "line\nbreak",
        "tab\there",
        "bell\a",
        "esc\x1b]0;title\x07",
        "esc\x1b[2J\x1b[31m",
        "c1 \x9b31m",
        "delete\x7f",
        "right\u202egpj.exe",
        "isolate\u2066x",
        "mark\u200e",
        "zero\u200bwidth",
        "bom\ufeff",
        "tag\U000e0041\U000e0042",
        "soft\xadhyphen",
        "separator\u2028line",
        "nbsp\xa0",
        "ｗｉｄｅ",
        "é",
        "e\u0301",
        "İıſ",
        "写真",
        "صورة",
        "👩‍👧",
        "-dash",
        "--option",
        "@file",
        "=cmd|x",
        "$(id)",
        "`id`",
        "; rm x",
        "& echo",
        "| cat",
        "%s%n%x",
        "{0}{x}",
        "~",
        "~root",
        "..dots",
        "C:\\x",
        "a\\b",
        "quote'\"",
        "<b>bold",
        "[x](javascript:1)",
        "*star?",
        "[a-z]",
        "#hash",
        "a" * 250,
        "CON",
        "NUL",
        " space ",
        "&amp;",
    ]
    jpeg = whole()["baseline.jpg"]
    for number, name in enumerate(names):
        yield Input("names", f"{name}.jpg" if len(name) < 200 else f"{name[:246]}.jpg", _put(jpeg), good=True)
        assert number < 100
    for raw in (b"\xff\xfe.jpg", b"lone \xed\xa0\x80.jpg", b"latin \xe9.jpg"):
        yield Input("names", os.fsdecode(raw), _put(jpeg), good=True)


# ---------------------------------------------------------------------------------------------------- broken pictures


def _broken(seeds: int) -> Iterator[Input]:
    for name in _BROKEN:
        content, (stem, _, suffix) = whole()[name], name.rpartition(".")
        for share in (0.001, 0.02, 0.2, 0.5, 0.9, 0.995):
            cut = content[: max(4, int(len(content) * share))]
            yield Input("cut off", f"{stem} cut at {share}.{suffix}", _put(cut))
        for seed in range(seeds):
            dice = random.Random(f"{name}/{seed}")
            spoilt = bytearray(content)
            reach = len(spoilt) if seed % 2 else min(len(spoilt), 400)  # headers are small and matter most
            for _ in range(1 + 5 * seed):
                spoilt[dice.randrange(reach)] ^= 1 << dice.randrange(8)
            yield Input("bits turned", f"{stem} flipped {seed}.{suffix}", _put(bytes(spoilt)))
            at, length = dice.randrange(8, len(content)), dice.randrange(1, 3_000)
            cases = (
                content[:at] + content[at + length :],
                content[:at] + content[at : at + length] * 3 + content[at + length :],
                content[:at] + dice.randbytes(length) + content[at + length :],
            )
            yield Input("spliced", f"{stem} spliced {seed}.{suffix}", _put(cases[seed % 3]))
    jpeg, png = whole()["progressive.jpg"], whole()["plain.png"]
    for share in (0.2, 0.5, 0.8):
        yield Input(
            "ends early", f"jpeg of {share} with an end.jpg", _put(jpeg[: int(len(jpeg) * share)] + b"\xff\xd9")
        )
        rows = int(320 * share)
        body = zlib.compress(b"".join(b"\0" + bytes([n % 255] * 960) for n in range(rows)))
        yield Input("ends early", f"png of {share} rows.png", _put(_png(320, 320, body)))
    zeroed = bytearray(whole()["baseline.jpg"])
    zeroed[len(zeroed) // 2 : len(zeroed) // 2 + 3_000] = bytes(3_000)
    yield Input("ends early", "a hole of zeros.jpg", _put(bytes(zeroed)))
    yield Input("ends early", "png without its end.png", _put(png[:-12]))


def _junk() -> Iterator[Input]:
    dice = random.Random(1)
    heads = {
        "jpg": b"\xff\xd8\xff\xe0",
        "png": b"\x89PNG\r\n\x1a\n",
        "gif": b"GIF89a",
        "webp": b"RIFF\xff\xff\0\0WEBPVP8 ",
        "avif": b"\0\0\0\x1cftypavif\0\0\0\0",
        "tif": b"II*\0\x08\0\0\0",
        "bmp": b"BM",
        "ppm": b"P6\n",
        "pgm": b"P5 9 9 255\n",
        "jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
        "jfif": b"\xff\xd8\xff",
        "mpo": b"\xff\xd8\xff\xe2",
        "mp4": b"\0\0\0\x18ftypisom\0\0\2\0isommp42",
        "mov": b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
        "mkv": b"\x1a\x45\xdf\xa3",
        "webm": b"\x1a\x45\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1",
        "avi": b"RIFF\xff\xff\0\0AVI LIST",
    }
    for suffix, head in heads.items():
        yield Input("junk", f"only its first bytes.{suffix}", _put(head))
        yield Input("junk", f"random after its first bytes.{suffix}", _put(head + dice.randbytes(9_000)))
        yield Input("junk", f"zeros after its first bytes.{suffix}", _put(head + bytes(9_000)))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("photo.jpg", whole()["baseline.jpg"])
    others = {
        "empty": b"",
        "one byte": b"\xff",
        "zeros": bytes(100_000),
        "words": b"This is no picture.",
        "escape": b"\x1b]0;x\x07" * 9,
        "page": b"<!DOCTYPE html><body onload=alert(1)>",
        "xml": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM '
        b'"file:///etc/passwd">]><svg xmlns="http://www.w3.org/2000/svg">&b;<script>1</script></svg>',
        "laughs": b'<!DOCTYPE a [<!ENTITY b "ha">'
        + b"".join(b'<!ENTITY b%d "&b%d;&b%d;">' % (n, n - 1, n - 1) for n in range(1, 40))
        + b"]><svg>&b39;</svg>",
        "document": b"%PDF-1.7\n1 0 obj<<>>endobj trailer<<>> %%EOF",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run showpage",
        "archive": archive.getvalue(),
        "packed": gzip.compress(whole()["plain.png"]),
        "program": b"\x7fELF" + dice.randbytes(2_000),
        "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + dice.randbytes(900),
        "raw": b"II*\0\x10\0\0\0CR\2\0" + dice.randbytes(2_000),
        "photoshop": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 90, 90, 8, 3) + bytes(90),
        "icon": b"\0\0\1\0\1\0\x10\x10" + dice.randbytes(300),
        "pickled": pickle.dumps(print),
        "jxl": b"\xff\x0a" + dice.randbytes(400),
        "script": b"#!/bin/sh\nid\n",
        "git-lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    }
    for name, content in others.items():
        yield Input("junk", f"{name}.jpg", _put(content))
    yield Input("junk", "picture and archive.jpg", _put(whole()["baseline.jpg"] + archive.getvalue()), good=True)


# --------------------------------------------------------------------------------------------------- bombs and lies


def _png(
    width: int, height: int, body: bytes, depth: int = 8, colour: int = 2, extra: bytes = b"", laced: int = 0
) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, laced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _rows(line: int, count: int, value: int = 0) -> bytes:
    """So many rows of one value, packed."""
    packer = zlib.compressobj(9)
    row = b"\0" + bytes([value]) * line
    block = max(1, 1_000_000 // len(row))
    parts = [packer.compress(row * min(block, count - at)) for at in range(0, count, block)]
    return b"".join(parts) + packer.flush()


def _bombs() -> Iterator[Input]:
    for width, height in (
        (0, 0),
        (0, 90),
        (1, 1),
        (2, 2),
        (3, 900),
        (900, 3),
        (65_535, 1),
        (1, 65_535),
        (2_000_000, 1),
    ):
        made = functools.partial(lambda w, h: _png(w, h, _rows(3 * w, h)), width, height)
        yield Input("narrow", f"png {width} by {height}.png", _later(made))
    yield Input("narrow", "png 1 by 9 million.png", _later(lambda: _png(1, 9_000_000, _rows(3, 9_000_000))))
    yield Input("narrow", "jpeg 16 by 65500.jpg", _later(lambda: saved("JPEG", Image.new("RGB", (16, 65_500), "red"))))
    yield Input("narrow", "jpeg 65500 by 40.jpg", _later(lambda: saved("JPEG", Image.new("RGB", (65_500, 40), "red"))))
    for width, height in (
        (2**31 - 1, 2**31 - 1),
        (2**32 - 1, 2**32 - 1),
        (2**31 - 1, 1),
        (60_000, 60_000),
        (20_000, 20_000),
    ):
        yield Input("bombs", f"png says {width} by {height}.png", _put(_png(width, height, zlib.compress(b""))))
    large = {
        "rgb": (8, 2, 3 * BIG),
        "rgba": (8, 6, 4 * BIG),
        "1 bit": (1, 0, (BIG + 7) // 8),
        "grey 16": (16, 0, 2 * BIG),
        "grey alpha": (8, 4, 2 * BIG),
        "rgb 16": (16, 2, 6 * BIG),
    }
    for name, (depth, colour, line) in large.items():
        made = functools.partial(lambda d, c, n: _png(BIG, BIG, _rows(n, BIG, 7), d, c), depth, colour, line)
        yield Input("bombs", f"png {BIG} squared {name}.png", _later(made))
    noise = np.random.default_rng(3)
    yield Input(
        "bombs",
        f"noise {BIG} squared.jpg",
        _later(
            lambda: saved(
                "JPEG",
                Image.fromarray(np.tile(noise.integers(0, 255, (BIG // 9, BIG // 9, 3), dtype=np.uint8), (9, 9, 1))),
                quality=60,
            )
        ),
    )
    yield Input(
        "bombs",
        "png with too many bytes of pixels.png",
        _later(lambda: _png(9, 9, zlib.compress(bytes(200_000_000), 9))),
    )
    yield Input(
        "bombs", "webp large.webp", _later(lambda: saved("WEBP", Image.new("RGB", (BIG, BIG)), lossless=True, method=0))
    )
    yield Input("bombs", "avif large.avif", _later(lambda: saved("AVIF", Image.new("RGB", (8_000, 8_000)), speed=10)))
    yield Input(
        "bombs",
        "tiff of floats.tif",
        _later(lambda: saved("TIFF", Image.fromarray(np.zeros((BIG, BIG), np.float32)), compression="tiff_deflate")),
    )
    yield Input("bombs", "tiff of nothing.tif", _put(tiff({256: 9_000, 257: 9_000}, bytes(200))))
    packed = functools.partial(zlib.compress, bytes(81_000_000), 9)
    yield Input("bombs", "tiff deflated.tif", _later(lambda: tiff({256: 9_000, 257: 9_000, 259: 8}, packed())))
    yield Input(
        "bombs",
        "tiff of 3000 pages.tif",
        _later(
            lambda: saved("TIFF", Image.new("L", (2, 2)), save_all=True, append_images=[Image.new("L", (2, 2))] * 2_999)
        ),
    )
    yield Input("bombs", "gif large.gif", _put(_gif(BIG, BIG, 2)))
    yield Input("bombs", "gif 65535 squared.gif", _put(_gif(65_535, 65_535, 1)))
    yield Input("bombs", "gif of a million pictures.gif", _later(lambda: _gif(10, 10, 1_000_000)))
    yield Input("bombs", "gif of 200000 on a large canvas.gif", _later(lambda: _gif(9_000, 9_000, 200_000)))
    yield Input(
        "bombs",
        "apng that says two thousand million.png",
        _put(_png(64, 64, _rows(192, 64), extra=chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)))),
    )
    moving = [Image.new("RGB", (1_500, 1_500), (n, 0, 0)) for n in range(40)]
    yield Input(
        "bombs",
        "webp of 40 pictures.webp",
        _later(lambda: saved("WEBP", moving[0], save_all=True, append_images=moving[1:], lossless=True, method=0)),
    )
    jpeg = whole()["progressive.jpg"]
    for count in (200, 5_000):
        yield Input("bombs", f"jpeg of {count} scans.jpg", _later(functools.partial(_scans, jpeg, count)))
    yield Input(
        "bombs",
        "jpeg large of 900 scans.jpg",
        _later(lambda: _scans(saved("JPEG", Image.new("RGB", (6_000, 6_000)), progressive=True), 900)),
    )
    yield Input("bombs", "jp2 large.jp2", _later(lambda: saved("JPEG2000", Image.new("L", (6_000, 6_000)))))


def _scans(jpeg: bytes, count: int) -> bytes:
    """A progressive JPEG whose last scan is there again and again."""
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:-2] + jpeg[last:-2] * count + jpeg[-2:]


def _gif(width: int, height: int, count: int, size: tuple[int, int] = (1, 1)) -> bytes:
    frame = b"\x21\xf9\x04\0\1\0\0\0\x2c" + struct.pack("<HHHHB", 0, 0, *size, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + frame * count + b";"


def tiff(tags: dict[int, int], data: bytes, following: int = 0) -> bytes:
    """A grey TIFF of one strip; tags beside the usual, or in their place."""
    entries = {256: 10, 257: 10, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: 2**31 - 1, 279: len(data)} | tags
    start = 8 + 2 + 12 * len(entries) + 4
    entries[273] = tags.get(273, start)
    listed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries.items()))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + listed + struct.pack("<I", following) + data


def _lies() -> Iterator[Input]:
    for name, made in {
        "depth 7": _png(5, 5, _rows(15, 5), depth=7),
        "colour 9": _png(5, 5, _rows(15, 5), colour=9),
        "laced": _png(8, 8, _rows(24, 20), laced=1),
        "no palette": _png(5, 5, _rows(5, 5, 200), colour=3),
        "short": _png(500, 500, _rows(1_500, 9)),
        "not packed": _png(50, 50, b"\0" * 999),
        "wrong sum": _png(5, 5, _rows(15, 5)).replace(b"IHDR", b"IHDQ"),
        "transparency": _png(5, 5, _rows(15, 5), extra=chunk(b"tRNS", b"\xff")),
        "two heads": _png(5, 5, _rows(15, 5), extra=chunk(b"IHDR", bytes(13))),
        "huge chunk": b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**32 - 16) + b"IHDR" + bytes(50),
    }.items():
        yield Input("lies", f"png {name}.png", _put(made))
    tiffs = {
        "circle": tiff({}, bytes(100), following=8),
        "of nothing": tiff({256: 0, 257: 0}, b""),
        "60000 squared": tiff({256: 60_000, 257: 60_000}, bytes(99)),
        "strip outside": tiff({273: 2**31}, bytes(100)),
        "64 bits a sample": tiff({258: 64}, bytes(800)),
        "kind 34712": tiff({259: 34_712}, bytes(100)),
        "200 samples": tiff({277: 200}, bytes(999)),
        "rows 0": tiff({278: 0}, bytes(100)),
        "tiles": tiff({322: 1, 323: 1, 324: 300, 325: 1}, bytes(100)),
        "ends at once": b"II*\0\xff\xff\xff\x7f",
        "65535 tags": b"MM\0*\0\0\0\x08\xff\xff" + bytes(3_000),
    }
    for name, made in tiffs.items():
        yield Input("lies", f"tiff {name}.tif", _put(made))
    for name, (width, height, bits, start, kind) in {
        "huge": (2**31 - 1, 2**31 - 1, 24, 54, 0),
        "negative": (-90, -90, 24, 54, 0),
        "nothing": (0, 0, 24, 54, 0),
        "large": (9_000, 9_000, 24, 54, 0),
        "runs": (9_000, 9_000, 8, 54, 1),
        "far": (9, 9, 24, 2**32 - 1, 0),
        "77 bits": (9, 9, 77, 54, 0),
    }.items():
        head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, kind, 0, 0, 0, 0, 0)
        yield Input("lies", f"bmp {name}.bmp", _put(b"BM" + struct.pack("<IHHI", 900, 0, 0, start) + head + bytes(300)))
    for number, text in enumerate(
        (
            b"P6 99999999999999999999 1 255\n",
            b"P6 -9 9 255\n",
            b"P3 9999 9999 255\n1 2 3",
            b"P6 5 5 0\n" + b"a" * 75,
            b"P6 0 0 255\n",
            b"Pf\n5 5\nnan\n" + bytes(100),
            b"P6 #" + b"x" * 3_000_000 + b"\n5 5 255\n" + b"a" * 75,
            b"P1 9000 9000\n" + b"1 " * 900,
            b"P5 9 9 65535\n" + bytes(40),
        )
    ):
        yield Input("lies", f"ppm {number}.ppm", _put(text))
    for size in ((1 << 24, 1 << 8), (16_384, 16_384)):
        body = (
            b"WEBPVP8X"
            + struct.pack("<II", 10, 2)
            + struct.pack("<I", size[0] - 1)[:3]
            + struct.pack("<I", size[1] - 1)[:3]
        )
        yield Input("lies", f"webp says {size[0]}.webp", _put(b"RIFF" + struct.pack("<I", len(body)) + body))
    lossy = whole()["lossy.webp"]
    yield Input("lies", "webp says 4 GB.webp", _put(b"RIFF\xff\xff\xff\xff" + lossy[8:]))
    avif = bytearray(whole()["plain.avif"])
    at = avif.find(b"ispe") + 8
    for size in ((60_000, 60_000), (0, 0), (9_000, 9_000)):
        avif[at : at + 8] = struct.pack(">II", *size)
        yield Input("lies", f"avif says {size[0]}.avif", _put(bytes(avif)))
    for offset, size in ((6, (60_000, 60_000)), (22, (1, 1)), (14, (2**31, 2**31))):
        jp2 = bytearray(whole()["plain.jp2"])
        at = jp2.find(b"\xff\x51") + offset
        jp2[at : at + 8] = struct.pack(">II", *size)
        yield Input("lies", f"jp2 lies at {offset}.jp2", _put(bytes(jp2)))
    jpeg = bytearray(whole()["baseline.jpg"])
    at = jpeg.find(b"\xff\xc0") + 5
    for size in ((9_990, 9_990), (65_500, 65_500), (0, 320), (320, 0), (1, 1)):
        jpeg[at : at + 4] = struct.pack(">HH", *size)
        yield Input("lies", f"jpeg says {size[0]} by {size[1]}.jpg", _put(bytes(jpeg)))
    plain = whole()["baseline.jpg"]
    for name, marker in (("arithmetic", 0xC9), ("lossless", 0xC3), ("hierarchic", 0xC5)):
        yield Input("lies", f"jpeg says {name}.jpg", _put(plain.replace(b"\xff\xc0", bytes([0xFF, marker]))))
    yield Input("lies", "jpeg 12 bits.jpg", _put(plain.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c")))
    yield Input("lies", "jpeg of 255 parts.jpg", _put(plain.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\xff\x08")))
    yield Input("lies", "gif outside its canvas.gif", _put(_gif(10, 10, 2, (60_000, 60_000))))
    yield Input("lies", "gif of nothing.gif", _put(_gif(0, 0, 1)))
    for name, value in (("nan", np.nan), ("inf", np.inf), ("-inf", -np.inf), ("1e38", 1e38)):
        spoilt = np.asarray(photo().convert("L"), np.float32).copy()
        spoilt[5:40, 5] = value
        yield Input("lies", f"tiff with {name}.tif", _put(saved("TIFF", Image.fromarray(spoilt))))
    yield Input(
        "lies", "tiff of nan.tif", _put(saved("TIFF", Image.fromarray(np.full((400, 400), np.nan, np.float32))))
    )


# ----------------------------------------------------------------------------------------------- metadata and no files


def _metadata() -> Iterator[Input]:
    jpeg, png = whole()["baseline.jpg"], whole()["plain.png"]
    exif = b"Exif\0\0MM\0*\0\0\0\x08"
    segments = {
        "exif in a circle": (
            0xE1,
            exif + b"\0\2" + struct.pack(">HHIIHHII", 0x8769, 4, 1, 8, 0x8825, 4, 1, 8) + b"\0\0\0\x08",
        ),
        "exif of 65535 tags": (0xE1, exif + b"\xff\xff" + bytes(60_000)),
        "exif far away": (0xE1, exif[:-4] + b"\x7f\xff\xff\xff"),
        "exif of 4 GB": (0xE1, exif + b"\0\1" + struct.pack(">HHII", 0x10E, 2, 2**32 - 1, 8)),
        "exif with orders": (
            0xE1,
            exif + b"\0\1" + struct.pack(">HHII", 0x10E, 2, 30, 26) + bytes(4) + b"\x1b]0;x\x07\x1b[2J" * 3,
        ),
        "exif of ff": (0xE1, b"Exif\0\0" + b"\xff" * 900),
        "exif of nothing": (0xE1, b"Exif\0\0"),
        "xmp of entities": (
            0xE1,
            b"http://ns.adobe.com/xap/1.0/\0<!DOCTYPE a ["
            + b"".join(b'<!ENTITY b%d "&b%d;&b%d;">' % (n + 1, n, n) for n in range(50))
            + b"]><x:xmpmeta>&b50;</x:xmpmeta>",
        ),
        "xmp 9000 deep": (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"<a>" * 9_000),
        "xmp of a stranger": (
            0xE1,
            b"http://ns.adobe.com/xap/1.0/\0" + xmp('d:creator="&#x202e;&#27;[2J&lt;script&gt;"'),
        ),
        "icc of nothing": (0xE2, b"ICC_PROFILE\0\1\1"),
        "icc of ff": (0xE2, b"ICC_PROFILE\0\1\1" + b"\xff" * 900),
        "icc part 9 of 3": (0xE2, b"ICC_PROFILE\0\x09\x03" + bytes(200)),
        "mpf of ff": (0xE2, b"MPF\0II*\0" + b"\xff" * 200),
        "adobe 7": (0xEE, b"Adobe\0d\0\0\0\0\7"),
        "photoshop": (0xED, b"Photoshop 3.0\x008BIM" + b"\xff" * 400),
        "jumbf of ff": (0xEB, b"JP\0\1\0\0\0\1" + b"\xff\xff\xff\xffjumb" + b"\xff" * 300),
        "jumbf 2000 deep": (
            0xEB,
            b"JP\0\1\0\0\0\1" + b"".join(struct.pack(">I", 16_000 - 8 * n) + b"jumb" for n in range(2_000)),
        ),
    }
    for name, (marker, body) in segments.items():
        yield Input("metadata", f"jpeg {name}.jpg", _put(with_segment(jpeg, marker, body)), good="adobe" not in name)
    comment = functools.reduce(lambda made, _: with_segment(made, 0xFE, b"x" * 65_000), range(60), jpeg)
    yield Input("metadata", "jpeg of 60 comments.jpg", _put(comment), good=True)
    parts = [b"ICC_PROFILE\0" + bytes([n + 1, 255]) + b"A" * 65_000 for n in range(255)]
    whole_profile = b"".join(struct.pack(">BBH", 0xFF, 0xE2, len(p) + 2) + p for p in parts)
    yield Input("metadata", "jpeg with 16 MB of icc.jpg", _put(jpeg[:2] + whole_profile + jpeg[2:]), good=True)
    bomb = functools.partial(zlib.compress, bytes(150_000_000), 9)
    for name, kind, head in (
        ("iccp bomb", b"iCCP", b"x\0\0"),
        ("ztxt bomb", b"zTXt", b"parameters\0\0"),
        ("itxt bomb", b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0"),
    ):
        made = functools.partial(lambda k, h: with_chunk(png, k, h + bomb()), kind, head)
        yield Input("metadata", f"png {name}.png", _later(made))
    for name, kind, body in (
        ("exif of ff", b"eXIf", b"MM\0*" + b"\xff" * 500),
        ("iccp of nothing", b"iCCP", b""),
        ("iccp of noise", b"iCCP", b"x\0\0" + zlib.compress(random.Random(4).randbytes(5_000))),
        ("gamma 0", b"gAMA", bytes(4)),
        ("caBX of ff", b"caBX", b"\xff" * 99),
        ("chroma of ff", b"cHRM", b"\xff" * 32),
        ("times", b"tIME", b"\xff" * 7),
        ("size", b"pHYs", b"\xff" * 9),
    ):
        yield Input("metadata", f"png {name}.png", _put(with_chunk(png, kind, body)))
    for name, put in {
        "png": lambda exif: with_chunk(png, b"eXIf", exif),
        "jpeg": lambda exif: _many_segments(jpeg, exif),
        "webp": lambda exif: saved("WEBP", exif=b"Exif\0\0" + exif),
    }.items():
        made = functools.partial(lambda put: put(_numbers(20_000_000)), put)
        yield Input("metadata", f"{name} exif of 20 million numbers.{name[:4]}", _later(made), good=True)
    for tag in (258, 274, 277):
        made = functools.partial(_long_entry, tag, 20_000_000)
        yield Input("metadata", f"tiff whose entry {tag} holds 20 million numbers.tif", _later(made))
    texts = b"".join(chunk(b"tEXt", b"parameters%d\0<script>\x1b[2J" % n) for n in range(20_000))
    yield Input("metadata", "png of 20000 texts.png", _put(png[:33] + texts + png[33:]), good=True)
    long = png[:33] + chunk(b"tEXt", b"parameters\0" + b"a" * 5_000_000) + png[33:]
    yield Input("metadata", "png of a long text.png", _put(long))
    yield Input(
        "metadata",
        "gif of 25 MB of comment.gif",
        _later(
            lambda: _gif(10, 10, 1).replace(
                b"\x21\xf9", b"\x21\xfe" + (b"\xff" + b"A" * 255) * 100_000 + b"\0\x21\xf9", 1
            )
        ),
    )


def _numbers(count: int) -> bytes:
    """EXIF whose orientation, or resolution, is so many numbers of two bytes."""
    entries = b"".join(struct.pack(">HHII", tag, 3, count, 38) for tag in (0x112, 0x128))
    return b"MM\0*\0\0\0\x08\0\x02" + entries + bytes(4) + b"\1\x2c" * count


def _many_segments(jpeg: bytes, exif: bytes) -> bytes:
    pieces = (exif[at : at + 65_000] for at in range(0, len(exif), 65_000))
    segments = b"".join(struct.pack(">BBH", 0xFF, 0xE1, len(p) + 8) + b"Exif\0\0" + p for p in pieces)
    return jpeg[:2] + segments + jpeg[2:]


def _long_entry(tag: int, count: int) -> bytes:
    """A grey TIFF of 10 by 10 in which one tag is so many numbers of two bytes."""
    whole_ = tiff({tag: 0}, bytes(100))
    at = whole_.index(struct.pack("<HHII", tag, 4, 1, 0))
    return whole_[:at] + struct.pack("<HHII", tag, 3, count, len(whole_)) + whole_[at + 12 :] + b"\1\0" * count


def _special() -> Iterator[Input]:
    def sparse(size: int) -> Callable[[Path], None]:
        def put(path: Path) -> None:
            with path.open("wb") as file:
                file.write(whole()["baseline.jpg"])
                file.truncate(size)

        return put

    def bound(path: Path) -> None:
        before = Path.cwd()
        os.chdir(path.parent)  # a socket's path may have 108 bytes only
        try:
            with socket.socket(socket.AF_UNIX) as door:
                door.bind(path.name)
        finally:
            os.chdir(before)

    yield Input("no files", "fifo.jpg", os.mkfifo)
    yield Input("no files", "socket.jpg", bound)
    yield Input("no files", "folder.jpg", lambda path: path.mkdir())
    yield Input("no files", "not there.jpg", lambda path: None)
    yield Input("no files", "nul \0 in it.jpg", lambda path: None)
    yield Input("no files", "x" * 300 + ".jpg", lambda path: None)
    yield Input("no files", "x/" * 3_000 + "y.jpg", lambda path: None)
    for target in (
        "/dev/zero",
        "/dev/full",
        "/dev/null",
        "/dev/stdin",
        "/proc/self/mem",
        "/proc/self/environ",
        "/etc/passwd",
    ):
        yield Input("no files", f"link to {target.replace('/', '_')}.jpg", functools.partial(_link, target))
    yield Input("no files", "link to nothing.jpg", functools.partial(_link, "nowhere"))
    yield Input("no files", "link to itself.jpg", functools.partial(_link, "link to itself.jpg"))
    yield Input("no files", "3 GB.jpg", sparse(3_000_000_000))
    yield Input("no files", "190 MB.jpg", sparse(190_000_000), good=True)


def _link(target: str, path: Path) -> None:
    path.symlink_to(target)
