"""A part of a picture that is missing in its file is noticed, and a whole picture is never suspected."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from doubles import Brightness
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facewitness import damage, media
from facewitness.errors import InputError, TooLarge, UnreadableMedia
from facewitness.pipeline import Analyzer
from facewitness.types import Pixels

END = b"\xff\xd9"
PIECES = "missing or damaged"


def photo(width: int = 203, height: int = 155, seed: int = 1) -> Image.Image:
    """Waves with a little noise: detail in every block, as in a photograph."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    rng = np.random.default_rng(seed)
    waves = [128 + 60 * np.sin(x / (5 + k) + k) + 50 * np.cos(y / (4 + k)) for k in range(3)]
    return Image.fromarray(np.clip(np.stack(waves, -1) + rng.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def jpeg(image: Image.Image | None = None, **options: object) -> bytes:
    return encoded(photo() if image is None else image, "JPEG", **({"quality": 88} | options))


def data_of(content: bytes) -> tuple[int, int]:
    """Where the data of a baseline JPEG's only scan begin and end."""
    header = content.index(b"\xff\xda")
    return header + 2 + int.from_bytes(content[header + 2 : header + 4]), len(content) - 2


def zeroed(content: bytes, share: float, length: int) -> bytes:
    start, end = data_of(content)
    at = start + int((end - start) * share)
    return content[:at] + bytes(length) + content[at + length :]


# ------------------------------------------------------------------------------------------------------ a part is gone


@pytest.mark.parametrize("kept", [0.03, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"quality": 40},
        {"subsampling": 0},
        {"optimize": True},
        {"progressive": True},
        {"progressive": True, "subsampling": 0},
        {"restart_marker_rows": 1},
    ],
    ids=str,
)
def test_a_jpeg_that_ends_too_early_but_properly_is_incomplete(options: dict[str, object], kept: float):
    content = jpeg(**options)
    start = content.index(b"\xff\xda") + 16
    cut = content[: start + int((len(content) - start) * kept)].removesuffix(b"\xff")
    picture = media.read(cut + END)
    assert picture.damage
    assert PIECES in picture.damage
    with pytest.raises(UnreadableMedia, match="damaged or incomplete"):
        media.read(cut)  # without the end mark it is refused, as ever


def test_grey_and_printing_colours_are_noticed_too():
    for mode in ("L", "CMYK"):
        content = jpeg(photo().convert(mode))
        assert not media.read(content).damage
        start, end = data_of(content)
        assert media.read(content[: (start + end) // 2].removesuffix(b"\xff") + END).damage


def test_a_lost_piece_in_the_middle_is_noticed():
    whole = jpeg(photo(640, 480))
    for share in (0.1, 0.3, 0.6, 0.8):
        picture = media.read(zeroed(whole, share, 4000))
        assert picture.damage, share


def test_restart_marks_in_place_of_data_are_noticed():
    plain, marked = jpeg(photo(640, 480)), jpeg(photo(640, 480), restart_marker_rows=1)
    start, end = data_of(plain)
    marks = b"\xff\xd0\xff\xd1" * 5000
    for lying in (plain[:start] + marks + plain[end:], plain[: (start + end) // 2] + marks + plain[end:]):
        assert media.read(lying).damage
    start, end = data_of(marked)
    assert not media.read(marked).damage
    assert media.read(marked[:start] + marks + marked[end:]).damage
    assert media.read(marked[: (start + end) // 2] + marks + marked[end:]).damage


def test_another_jpeg_behind_a_part_of_one_is_no_whole_picture():
    content = jpeg()
    joined = content[: len(content) // 4].removesuffix(b"\xff") + content[2:]
    try:
        picture = media.read(joined)
    except UnreadableMedia:
        return
    assert picture.damage


def test_a_header_that_promises_more_than_there_is():
    content = bytearray(jpeg(photo(256, 256)))
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", 1999, 1999)
    assert media.read(bytes(content)).damage


def png(image: Image.Image, rows: int, laced: bool = False, level: int = 6) -> bytes:
    """A PNG whose zlib stream is closed after so many bytes' worth of rows."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    pixels = np.asarray(image)
    height, width = pixels.shape[:2]
    colour = {2: 0, 3: {3: 2, 4: 6}.get(pixels.shape[-1], 0)}[pixels.ndim]
    if laced:
        parts = [pixels[top::down, left::right] for left, top, right, down in damage._ADAM7]
        raw = b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)
        raw = raw[: len(raw) * rows // height]
    else:
        raw = b"".join(b"\0" + row.tobytes() for row in pixels[:rows])
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, int(laced))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, level)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("laced", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_rows_that_a_png_lacks_are_noticed(mode: str, laced: bool):
    image = photo(60, 41).convert(mode)
    assert not media.read(png(image, 41, laced)).damage
    for rows in (1, 20, 40):
        try:
            picture = media.read(png(image, rows, laced))
        except UnreadableMedia:  # of an interlaced one, Pillow says so itself
            assert laced
            continue
        assert picture.damage, rows
        assert PIECES in picture.damage


def pieces(content: bytes, share: float = 0.0, lost: bytes | None = None, missing: int = 0) -> bytes:
    """A TIFF whose strips lost a share of their data (cut, or filled with `lost`), or whose last ones lie at 0."""
    page = Image.open(io.BytesIO(content))
    places, counts = page.tag_v2[273], page.tag_v2[279]
    made = bytearray(content)
    for at, count in zip(places, counts, strict=True):
        if lost is not None and share:
            gone = int(count * share)
            made[at + count - gone : at + count] = lost * gone
    start = struct.unpack_from("<I", content, 4)[0]
    for entry in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", content, start)[0], 12):
        tag, kind, many = struct.unpack_from("<HHI", content, entry)
        if (tag != 279 or lost is not None or not share) and (tag != 273 or not missing):
            continue
        form = {3: "<H", 4: "<I"}[kind]
        size = struct.calcsize(form)
        place = entry + 8 if many * size <= 4 else struct.unpack_from("<I", content, entry + 8)[0]
        for number in range(many if tag == 279 else 0):
            struct.pack_into(form, made, place + number * size, int(counts[number] * (1 - share)))
        for number in range(many - missing, many) if tag == 273 else ():
            struct.pack_into(form, made, place + number * size, 0)
    return bytes(made)


def told(content: bytes) -> bool:
    """Whether a file is refused as damaged, or read with the damage told."""
    try:
        return PIECES in media.read(content).damage
    except UnreadableMedia as error:
        return "damaged" in str(error)


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("lost", [None, b"\0"], ids=["cut", "zeroed"])
@pytest.mark.parametrize(
    ("mode", "compression"), [("RGB", "jpeg"), ("L", "jpeg"), ("1", "group4"), ("1", "group3"), ("1", "tiff_ccitt")]
)
def test_a_tiff_whose_strips_lost_data_is_incomplete_or_refused(mode, compression, lost, share):
    whole = encoded(photo().convert(mode), "TIFF", compression=compression)
    assert not media.read(whole).damage
    assert told(pieces(whole, share, lost))


def test_a_fax_that_lies_on_its_side_is_whole():
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = encoded(photo().convert("1"), "TIFF", compression="group4", exif=exif)
    assert not media.read(whole).damage
    assert media.read(whole).frame.width == 155
    assert told(pieces(whole, 0.5))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "packbits"])
def test_a_tiff_with_strips_that_lie_nowhere_is_incomplete_or_refused(compression: str | None):
    whole = encoded(photo(400, 500), "TIFF", compression=compression, strip_size=16_384)
    assert not media.read(whole).damage
    assert told(pieces(whole, missing=3))


@pytest.mark.parametrize(("kind", "options"), [("WEBP", {"quality": 80}), ("AVIF", {}), ("JPEG2000", {})])
def test_zeros_in_the_data_of_other_kinds_are_noticed(kind: str, options: dict[str, object]):
    whole = encoded(photo(400, 300), kind, **options)
    assert not media.read(whole).damage
    at = len(whole) // 2
    assert PIECES in media.read(whole[:at] + bytes(len(whole) // 4) + whole[at + len(whole) // 4 :]).damage
    plain = Image.new("RGB", (700, 700), "white")
    plain.paste(photo(90, 90), (300, 300))
    assert not media.read(encoded(plain, kind, **options)).damage


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"progressive": True}),
        ("JPEG", {}),
        ("TIFF", {"compression": "group4"}),
        ("TIFF", {"compression": "jpeg"}),
    ],
)
def test_a_whole_picture_larger_than_pillows_own_limit_is_not_suspected(kind, options, monkeypatch):
    plain = Image.new("1" if options.get("compression") == "group4" else "RGB", (203, 155), 1)  # its last block is flat
    content = encoded(plain, kind, **options)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    assert not media.read(content).damage


def test_a_jpeg_2000_that_lacks_tiles_is_incomplete():
    whole = encoded(photo(300, 300), "JPEG2000", tile_size=(64, 64))
    assert not media.read(whole).damage
    starts = [at for at in range(len(whole)) if whole[at : at + 4] == b"\xff\x90\0\x0a"]
    for kept in (1, len(starts) // 2, len(starts) - 1):
        assert PIECES in media.read(whole[: starts[kept]] + END).damage


@pytest.mark.parametrize("laced", [False, True])
def test_a_png_that_ends_in_black_is_whole(laced: bool):
    for mode in ("RGB", "RGBA", "L"):
        assert not media.read(png(Image.new(mode, (60, 41)), 41, laced)).damage
    for mode in ("1", "P"):
        assert not media.read(encoded(Image.new(mode, (61, 41)), "PNG")).damage


# ------------------------------------------------------------------------------------------------- the picture is whole


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (9, 16), (16, 17), (203, 155), (640, 64)])
@pytest.mark.parametrize(
    "options",
    [
        {}, {"quality": 5}, {"quality": 100, "subsampling": 0}, {"optimize": True}, {"progressive": True},
        {"progressive": True, "quality": 20}, {"restart_marker_rows": 1}, {"restart_marker_blocks": 3},
    ],
    ids=str,
)  # fmt: skip
def test_whole_jpegs_are_not_suspected(size: tuple[int, int], options: dict[str, object]):
    for picture in (photo(*size), Image.new("RGB", size, (128, 128, 128)), Image.new("RGB", size, "white")):
        for mode in ("RGB", "L", "CMYK"):
            read = media.read(jpeg(picture.convert(mode), **options))
            assert not read.damage


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 100), st.booleans(), st.integers(0, 2), st.integers(0, 9))
def test_no_whole_jpeg_is_suspected(width: int, height: int, quality: int, progressive: bool, sub: int, seed: int):
    image = photo(width, height, seed)
    if seed % 3 == 0:  # plain from somewhere on, as a sky or a border
        image.paste((seed * 20, 128, 128), (0, height // 2, width, height))
    content = jpeg(image, quality=quality, progressive=progressive, subsampling=sub, optimize=seed % 2 == 0)
    assert not media.read(content).damage


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "optimize": True}], ids=str)
@pytest.mark.parametrize("lost", [1, 2])
def test_a_whole_jpeg_without_its_end_mark_is_analysed_and_told(options: dict[str, object], lost: int):
    content = jpeg(**options)
    picture = media.read(content[:-lost])
    assert not picture.damage
    assert picture.notes == ("The file lacks its end mark; the picture in it is whole.",)
    np.testing.assert_array_equal(picture.frame.pixels, media.read(content).frame.pixels)


def test_a_whole_jpeg_2000_without_its_end_mark_is_analysed_and_told():
    content = encoded(photo(), "JPEG2000")
    assert content.endswith(END)
    picture = media.read(content[:-2])
    assert picture.notes == ("The file lacks its end mark; the picture in it is whole.",)
    with pytest.raises(UnreadableMedia):
        media.read(content[: len(content) // 2])


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_follows_the_end_is_told_and_not_looked_at(kind: str):
    content = encoded(photo(), kind)
    picture = media.read(content + b"a motion photo's video" * 1000)
    assert picture.notes == ("22,000 bytes behind the picture's end in the file were not looked at.",)
    assert not picture.damage
    np.testing.assert_array_equal(picture.frame.pixels, media.read(content).frame.pixels)


def test_a_photo_with_a_spare_has_nothing_behind_it():
    content = encoded(photo(), "MPO", save_all=True, append_images=[photo(40, 30)])
    assert media.read(content).notes == ()


# --------------------------------------------------------------------------------------------------------------- bounds


def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch):
    content = jpeg(photo(300, 200), progressive=True)
    last = content.rindex(b"\xff\xda")
    bomb = content[:-2] + content[last:-2] * 2000 + END
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: pytest.fail("it was decoded"))
    with pytest.raises(TooLarge, match=r"a JPEG of 2,01\d scans; expected at most 100"):
        media.read(bomb)


@given(st.binary(max_size=300), st.sampled_from(["JPEG", "PNG"]), st.booleans(), st.data())
def test_headers_of_all_kinds_of_nonsense_end(junk: bytes, kind: str, put: bool, data: st.DataObject):
    content = encoded(photo(40, 30), kind)
    at = data.draw(st.integers(0, len(content)))
    spoilt = content[:at] + junk + content[at if put else at + len(junk) :]
    damage.extent(spoilt)
    try:
        media.read(spoilt)
    except InputError:
        return


@pytest.mark.parametrize("make", [lambda p: p, np.ascontiguousarray], ids=["bytes", "array"])
def test_an_array_is_never_incomplete(make: Callable[[Pixels], Pixels]):
    assert not media.read(make(np.zeros((8, 8, 3), np.uint8))).damage


def test_no_verdict_on_a_part_of_a_picture_is_sure():
    """A progressive JPEG whose last scans are cut away has lost the traces of forgery, and was called genuine."""
    witness = Brightness()
    dark = photo(200, 160).point(lambda v: v // 8)  # as clearly genuine as this witness says
    content = jpeg(dark, progressive=True)
    analyzer = Analyzer(finder="whole", witnesses=(witness,))
    whole = analyzer.analyze(content)
    assert whole.verdict is not None and whole.verdict.label != "inconclusive"
    cut = analyzer.analyze(content[: content.rindex(b"\xff\xda")] + END)
    assert cut.verdict is not None and cut.verdict.label == cut.people[0].verdict.label == "inconclusive"
    assert PIECES in " ".join(cut.people[0].verdict.reasons)
    assert cut.verdict.interval is None
