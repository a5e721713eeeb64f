from __future__ import annotations

import hashlib
import io
import os
import re
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from files import chunk, with_chunk
from hostile import corpus
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import GifImagePlugin, Image, ImageCms

from facewitness import files, media, upright
from facewitness.calibration import Profile
from facewitness.errors import InputError, TooLarge, UnreadableMedia
from facewitness.tiff import pages as pages_of


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def painted(width: int = 40, height: int = 30) -> Image.Image:
    """Red to the right, green downwards, one blue corner: no two turns of it look alike."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), np.zeros_like(x)], axis=-1)
    pixels[: height // 3, : width // 3, 2] = 200
    return Image.fromarray(pixels.astype(np.uint8))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


# -------------------------------------------------------------------------------------------------------- what is read


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("BMP", {}), ("TIFF", {})])
def test_lossless_formats_give_the_very_pixels(kind: str, options: dict[str, object]):
    picture = media.read(encoded(painted(), kind, **options))
    np.testing.assert_array_equal(picture.frame.pixels, np.asarray(painted()))
    assert picture.notes == ()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF", "JPEG2000", "GIF"])
def test_lossy_formats_give_nearly_the_same_pixels(kind: str):
    pixels = media.read(encoded(painted(), kind)).frame.pixels.astype(int)
    assert np.abs(pixels - np.asarray(painted())).mean() < 12


def test_the_hash_is_of_the_file_and_the_source_is_the_path(tmp_path: Path):
    path = tmp_path / "a name with spaces, 🙂 and\na newline.png"
    path.write_bytes(encoded(painted(), "PNG"))
    picture = media.read(path)
    assert picture.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert picture.source == str(path)
    assert media.read(path.read_bytes(), name="standard input").source == "standard input"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_exif_turns_the_picture_upright(orientation: int, kind: str):
    upright = painted()
    # how a camera stores the picture that this orientation turns upright: the inverse of what a viewer does
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = media.read(encoded(stored, kind, exif=exif))
    assert (picture.frame.width, picture.frame.height) == upright.size
    assert np.abs(picture.frame.pixels.astype(int) - np.asarray(upright)).mean() < 12
    assert any("turned or mirrored" in note for note in picture.notes) == (orientation > 1)


def test_grey_palette_and_two_levels_become_rgb():
    for mode in ("L", "P", "1", "LA"):
        pixels = media.read(encoded(painted().convert(mode), "PNG")).frame.pixels
        assert pixels.shape == (30, 40, 3)
        np.testing.assert_array_equal(pixels, np.asarray(painted().convert(mode).convert("RGB")))


def test_transparency_is_put_on_white_and_told():
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[:, 2:, 3] = 255
    rgba[0, 0, 3] = 51  # a fifth of black on white
    picture = media.read(encoded(Image.fromarray(rgba), "PNG"))
    assert picture.frame.pixels[1, 0].tolist() == [255, 255, 255]
    assert picture.frame.pixels[0, 0].tolist() == [204, 204, 204]
    assert picture.frame.pixels[1, 3].tolist() == [0, 0, 0]
    assert "white" in picture.notes[0]
    opaque = rgba.copy()
    opaque[..., 3] = 255
    assert media.read(encoded(Image.fromarray(opaque), "PNG")).notes == ()


def test_sixteen_bits_are_scaled_not_clipped():
    grey = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    picture = media.read(encoded(Image.fromarray(grey), "PNG"))
    expected = np.rint(grey / 257).astype(np.uint8)
    np.testing.assert_array_equal(picture.frame.pixels[..., 1], expected)
    assert picture.notes == ()


def test_floating_point_tiff_is_stretched_and_told():
    grey = np.linspace(-1.0, 3.0, 64, dtype=np.float32).reshape(8, 8)
    picture = media.read(encoded(Image.fromarray(grey), "TIFF"))
    assert (picture.frame.pixels.min(), picture.frame.pixels.max()) == (0, 255)
    assert "from -1 to 3" in picture.notes[0]


def test_cmyk_jpeg_becomes_rgb_and_says_that_colours_are_approximate():
    picture = media.read(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"))
    red, green, blue = picture.frame.pixels[4, 4]
    assert red > 200
    assert green < 60
    assert blue < 60
    assert "CMYK" in picture.notes[0]


def test_a_broken_colour_profile_does_not_refuse_the_picture():
    picture = media.read(encoded(Image.new("CMYK", (8, 8)), "JPEG", icc_profile=b"not a profile"))
    assert "CMYK" in picture.notes[0]
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()  # a profile, but not for CMYK
    assert "CMYK" in media.read(encoded(Image.new("CMYK", (8, 8)), "JPEG", icc_profile=profile)).notes[0]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("GIF", "--film looks at it as a film."),
        ("WEBP", "--film looks at it as a film."),
        ("PNG", "To have it looked at as a film, save it as WebP and say --film."),
    ],
)
def test_of_an_animation_the_first_picture_is_taken_and_told(kind: str, more: str):
    pictures = [Image.new("RGB", (16, 12), colour) for colour in ("red", "lime", "blue")]
    animation = encoded(pictures[0], kind, save_all=True, append_images=pictures[1:], duration=100)
    picture = media.read(animation)
    assert picture.frame.pixels[6, 8, 0] > 200
    assert picture.notes == (f"Only the first of 3 pictures in the file was analysed. {more}",)


@pytest.mark.parametrize("claimed", [3, 1000, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_png_that_claims_more_pictures_than_it_holds_is_said_to_hold_what_it_holds(claimed: int):
    pictures = [Image.new("RGB", (16, 12), colour) for colour in ("red", "lime")]
    animation = encoded(pictures[0], "PNG", save_all=True, append_images=pictures[1:], duration=100)
    at = animation.index(b"acTL")
    lying = animation[: at - 4] + chunk(b"acTL", struct.pack(">II", claimed, 0)) + animation[at + 16 :]
    assert " ".join(media.read(lying).notes) in (
        "",
        "Only the first of 2 pictures in the file was analysed. To have it looked at as a film, save it as WebP and "
        "say --film.",
    )
    alone = with_chunk(encoded(pictures[0], "PNG"), b"acTL", struct.pack(">II", claimed, 0))
    assert media.read(alone).notes == ()


# linear RGB of a space → XYZ under D50, and its gamma: what a profile of two matrices and a curve says
_SPACES = {
    "Display P3": ([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]], None),
    "Adobe RGB": ([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]], 2.19921875),
    "ProPhoto": ([[0.79767, 0.13519, 0.03135], [0.28804, 0.71188, 0.00009], [0.0, 0.0, 0.82510]], 1.8),
    "sRGB again": ([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]], None),
}


def _linear(values: np.ndarray, gamma: float | None) -> np.ndarray:
    if gamma is not None:
        return values**gamma
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def profile(name: str) -> bytes:
    """A display profile of version 2: a matrix, three curves, a white point and a name."""
    matrix, gamma = _SPACES[name]

    def fixed(*numbers: float) -> bytes:
        return struct.pack(f">{len(numbers)}i", *(round(n * 65536) for n in numbers))

    curve = np.rint(_linear(np.linspace(0, 1, 1024), gamma) * 65535).astype(">u2").tobytes()
    said = name.encode() + b"\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(said)) + said + bytes(79),
        b"cprt": b"text\0\0\0\0nobody's\0",
        b"wtpt": b"XYZ \0\0\0\0" + fixed(0.9642, 1.0, 0.82491),
    }
    for i, colour in enumerate("rgb"):
        tags[f"{colour}XYZ".encode()] = b"XYZ \0\0\0\0" + fixed(*(row[i] for row in matrix))
        tags[f"{colour}TRC".encode()] = b"curv\0\0\0\0" + struct.pack(">I", 1024) + curve
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        content += bytes(-len(content) % 4)
        table += tag + struct.pack(">II", at + len(body), len(content))
        body += content
    header = struct.pack(">I4sI4s4s4s", at + len(body), b"", 0x02100000, b"mntr", b"RGB ", b"XYZ ") + bytes(12)
    header += b"acsp" + bytes(28) + fixed(0.9642, 1.0, 0.82491)
    return header + bytes(128 - len(header)) + struct.pack(">I", len(tags)) + table + body


def colours() -> np.ndarray:
    """Colours that all of these spaces hold, RGB uint8 of sRGB."""
    return np.stack(np.meshgrid(*[np.arange(40, 230, 12)] * 3), -1).reshape(64, -1, 3).astype(np.uint8)


def stored_in(name: str, srgb: np.ndarray) -> np.ndarray:
    """The same colours as a file with that profile holds them."""
    ours, theirs = np.array(_SPACES["sRGB again"][0]), np.array(_SPACES[name][0])
    linear = np.clip(_linear(srgb / 255, None) @ (np.linalg.inv(theirs) @ ours).T, 0, 1)
    gamma = _SPACES[name][1]
    coded = (
        np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
        if gamma is None
        else linear ** (1 / gamma)
    )
    return np.rint(coded * 255).astype(np.uint8)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("name", ["Display P3", "Adobe RGB", "ProPhoto"])
def test_the_same_colours_in_another_profile_are_the_same_picture(name: str, mode: str):
    image = Image.fromarray(stored_in(name, colours()))
    if mode == "P":
        image = image.crop((0, 0, 15, 15)).quantize(256)
    picture = media.read(encoded(image.convert(mode), "PNG", icc_profile=profile(name)))
    assert picture.notes == (f"Colours were converted from the profile '{name}' to sRGB.",)
    expected = colours()[:15, :15] if mode == "P" else colours()
    assert np.abs(picture.frame.pixels.astype(int) - expected).max() <= (8 if mode == "P" or name == "ProPhoto" else 3)


def jp2_with(icc: bytes, image: Image.Image) -> bytes:
    """A JPEG 2000 whose colours are said by a profile, as scanners of archives write it."""
    plain = encoded(image, "JPEG2000")
    at, header = plain.index(b"colr") - 4, plain.index(b"jp2h") - 4
    whole = int.from_bytes(plain[at : at + 4], "big")
    box = struct.pack(">I4sBBB", len(icc) + 11, b"colr", 2, 0, 0) + icc
    size = int.from_bytes(plain[header : header + 4], "big") + len(box) - whole
    return plain[:header] + struct.pack(">I", size) + plain[header + 4 : at] + box + plain[at + whole :]


def test_the_profile_of_a_jpeg_2000_is_not_passed_over():
    stored = Image.fromarray(stored_in("Adobe RGB", colours()))
    picture = media.read(jp2_with(profile("Adobe RGB"), stored))
    assert picture.notes == ("Colours were converted from the profile 'Adobe RGB' to sRGB.",)
    assert np.abs(picture.frame.pixels.astype(int) - colours()).max() <= 3
    broken = media.read(jp2_with(b"not a profile", stored))
    assert "cannot be used" in broken.notes[0]
    assert upright.profile_of_jp2(b"\0\0\0\x08free" * 100_000) is None, "and not all of them are looked at"
    assert upright.profile_of_jp2(encoded(stored, "JPEG2000")[:30]) is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_profile_that_is_srgb_changes_nothing_and_is_not_told(kind: str):
    plain = media.read(encoded(painted(), kind)).frame.pixels
    for srgb in (profile("sRGB again"), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()):
        picture = media.read(encoded(painted(), kind, icc_profile=srgb))
        assert picture.notes == ()
        np.testing.assert_array_equal(picture.frame.pixels, plain)


def test_a_profile_that_cannot_be_used_is_told():
    for mode in ("RGB", "L", "RGBA"):
        picture = media.read(encoded(painted().convert(mode), "PNG", icc_profile=b"not a profile"))
        assert picture.notes == (
            "The colour profile in the file cannot be used; colours are shown as they are stored.",
        )


def test_a_large_or_broken_profile_of_a_png_does_not_refuse_it():
    """Pillow refuses a PNG for a profile of a megabyte, one that is packed in another way, and one without a body."""
    large = profile("Display P3") + bytes(2_000_000)
    picture = media.read(encoded(painted(), "PNG", icc_profile=large))
    assert picture.notes == ("Colours were converted from the profile 'Display P3' to sRGB.",)
    plain = encoded(painted(), "PNG")
    bodies = (b"x\0\0" + zlib.compress(bytes(60_000_000)), b"x\0\7abc", b"x", b"x\0\0" + bytes(50), b"x\0\0")
    for body in bodies:
        picture = media.read(with_chunk(plain, b"iCCP", body))
        assert "profile in the file cannot be used" in picture.notes[0]
        np.testing.assert_array_equal(picture.frame.pixels, np.asarray(painted()))
    assert media.read(with_chunk(plain, b"iCCP", b"")).notes == ()


def test_a_profile_of_many_megabytes_is_not_used_nor_kept():
    upright._transform.cache_clear()
    picture = media.read(encoded(painted(), "TIFF", icc_profile=profile("Display P3") + bytes(5_000_000)))
    assert "cannot be used" in picture.notes[0] and upright._transform.cache_info().currsize == 0


def test_a_profile_s_name_cannot_write_on_the_terminal():
    evil = profile("Display P3").replace(b"Display P3", b"D\x1b]0;x\x07\x1b")
    (note,) = media.read(encoded(painted(), "PNG", icc_profile=evil)).notes
    assert note.isprintable()


def test_notes_of_all_kinds_stand_together():
    exif = Image.Exif()
    exif[0x0112] = 6
    rgba = Image.new("RGBA", (20, 10), (200, 30, 30, 100))
    content = encoded(
        rgba, "PNG", exif=exif, icc_profile=profile("Display P3"), save_all=True, append_images=[rgba.rotate(180)]
    )
    notes = " ".join(media.read(content + b"more").notes)
    for part in ("first of", "orientation", "Display P3", "transparent", "4 bytes behind"):
        assert part in notes


@pytest.mark.parametrize("kind", ["RGB", "L", "RGBA", "P", "CMYK", "1", "LA", "I;16", "F", "P3"])
def test_strips_give_the_very_same_picture(kind: str, monkeypatch: pytest.MonkeyPatch):
    options: dict[str, object] = {}
    image = painted()
    if kind == "I;16":
        image = Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50)
    elif kind == "P3":
        options = {"icc_profile": profile("Display P3")}
    else:
        image = image.convert(kind)
    if kind == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    content = encoded(image, "TIFF" if kind in ("F", "CMYK") else "PNG", **options)
    whole = media.read(content)
    monkeypatch.setattr(upright, "_STRIP", 3 * 40 + 7)
    strips = media.read(content)
    np.testing.assert_array_equal(strips.frame.pixels, whole.frame.pixels)
    assert strips.notes == whole.notes


def test_one_pixel_is_a_picture():
    assert media.read(encoded(Image.new("RGB", (1, 1), "red"), "PNG")).frame.pixels.tolist() == [[[255, 0, 0]]]


# ----------------------------------------------------------------------------------------------------- what is refused


def refusal(source: object, error: type[Exception] = UnreadableMedia, **limits: int) -> str:
    with pytest.raises(error) as caught:
        media.read(source, **limits)  # type: ignore[arg-type]
    return str(caught.value)


def test_text_named_jpg_is_named_for_what_it_is(tmp_path: Path):
    path = tmp_path / "photo.jpg"
    path.write_text("This is not a picture.\n" * 100)
    message = refusal(path)
    assert "photo.jpg" in message
    assert "text" in message


def test_other_kinds_are_told_with_what_to_do():
    assert "HEIC" in refusal(b"\0\0\0\x18ftypheic" + bytes(100))
    film = refusal(b"\0\0\0\x18ftypisom" + bytes(100))
    assert "index or header cannot be read" in film or "pip install '.[video]'" in film
    assert "PDF" in refusal(b"%PDF-1.7" + bytes(100))
    assert "of another kind" in refusal(bytes(range(256)) * 4)


def test_postscript_is_never_given_to_an_interpreter():
    assert "expected a picture" in refusal(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")


def test_empty_file(tmp_path: Path):
    (tmp_path / "empty.jpg").touch()
    assert "is empty" in refusal(tmp_path / "empty.jpg")
    assert "is empty" in refusal(b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF"])
def test_a_picture_without_its_end_is_refused(kind: str):
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    content = encoded(noise, kind)
    message = refusal(content[: len(content) // 2])
    assert "damaged" in message


def test_a_jpeg_lacks_its_end_mark_or_more():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    content = encoded(noise, "JPEG")
    assert media.read(content[:-2]).notes == ("The file lacks its end mark; the picture in it is whole.",)
    assert "its end is missing" in refusal(content[:-14]), "its last blocks are not of one colour"
    strays = media.read(content[:20] + b"\0\0" + content[20:])
    assert not strays.damage and not strays.notes, "decoders pass over what stands between segments"


def test_a_jpeg_that_was_sent_as_a_text_is_told_to_be_damaged():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8))
    content = encoded(noise, "JPEG", quality=95)
    assert not media.read(content).damage
    assert media.read(content.replace(b"\n", b"\r\n")).damage


def tiff(*directories: list[tuple[int, int, int, int]], big: bool = False, order: str = "<") -> bytes:
    """A TIFF's directories, one after the other, each of (tag, type, count, value)."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    body = head + (struct.pack(order + "HHQ", 8, 0, 16) if big else struct.pack(order + "I", 8))
    for number, entries in enumerate(directories):
        entries_ = b""
        for tag, kind, count, value in entries:
            width = {3: "H", 1: "B"}.get(kind, "I")
            packed = struct.pack(order + width, value)
            entries_ += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, count)
            entries_ += packed + bytes((8 if big else 4) - len(packed))
        following = len(body) + (16 if big else 6) + len(entries_)
        after = following if number + 1 < len(directories) else 0
        body += struct.pack(order + ("Q" if big else "H"), len(entries)) + entries_
        body += struct.pack(order + ("Q" if big else "I"), after)
    return body + bytes(64)


_SMALL_COPY = [(254, 4, 1, 1), (256, 3, 1, 16), (257, 3, 1, 16)]
_FULL = [(254, 4, 1, 0), (256, 3, 1, 16), (257, 3, 1, 16)]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("directories", "camera"),
    [
        ([[*_SMALL_COPY, (50706, 1, 4, 1)]], "DNG|small copy"),
        ([[*_FULL, (50706, 1, 4, 1)]], "DNG"),
        ([_SMALL_COPY, _FULL], "small copy"),
        ([[*_FULL, (259, 3, 1, 34713)]], "NEF"),
        ([_FULL, [*_FULL, (259, 3, 1, 32767)]], "ARW"),
        ([_FULL, [*_FULL, (262, 3, 1, 32803)]], "colour filter array"),
        ([_FULL, _FULL, [*_FULL, (262, 3, 1, 34892)]], "linear raw"),
        ([[*_FULL, (259, 3, 1, 65535)]], "PEF"),
    ],
)
def test_a_raw_photo_is_not_judged_by_its_thumbnail(directories, camera: str, big: bool, order: str):
    message = refusal(tiff(*directories, big=big, order=order))
    assert re.search(rf"a camera's raw file \(.*({camera})", message)
    assert "Develop it" in message


def test_a_raw_photo_in_a_directory_below_is_refused_too():
    content = tiff([*_FULL, (330, 4, 1, 0)])
    at = content.index(struct.pack("<HHI", 330, 4, 1)) + 8
    below = tiff([*_FULL, (262, 3, 1, 32803)])[8:]
    joined = content[:at] + struct.pack("<I", len(content)) + content[at + 4 :] + below
    assert "colour filter array" in refusal(joined)
    assert "CR2" in refusal(b"II*\0\x10\0\0\0CR\x02\0" + bytes(100))
    assert "loop" not in refusal(tiff([*_FULL, (330, 4, 1, 8)]))  # a directory that names itself ends


def test_an_ordinary_tiff_is_a_picture():
    for options in ({}, {"compression": "tiff_lzw"}, {"compression": "jpeg"}, {"big_tiff": True}):
        assert media.read(encoded(painted(), "TIFF", **options)).frame.width == 40
    pages = encoded(painted(), "TIFF", save_all=True, append_images=[painted(), painted()])
    assert "first of 3" in media.read(pages).notes[0]


@pytest.mark.parametrize("options", [{}, {"big_tiff": True}, {"save_all": True}])
def test_a_tiff_of_some_megabytes_is_a_picture(options):
    noise = Image.effect_noise((900, 800), 90).convert("RGB")  # 2.2 MB, of which any bytes come up
    more = {"append_images": [noise.rotate(180)]} if options.get("save_all") else {}
    assert media.read(encoded(noise, "TIFF", **options, **more)).frame.width == 900


def pages(count: int = 2, after: int | None = None) -> bytes:
    """A TIFF of several pages; `after`: where the last one's directory says that the next lies."""
    content = encoded(painted(), "TIFF", save_all=True, append_images=[painted()] * (count - 1))
    if after is None:
        return content
    last, _ = pages_of(content)[0][-1]
    at = last + 12 * struct.unpack_from("<H", content, last - 2)[0]
    return content[:at] + struct.pack("<I", after) + content[at + 4 :]


def test_the_pictures_of_a_very_long_animation_are_counted_and_not_walked_through(monkeypatch: pytest.MonkeyPatch):
    content = encoded(painted().convert("P"), "GIF")
    one = b"!\xf9\x04\0\x05\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0"
    assert "first of 51 pictures" in media.read(content[:-1] + one * 50 + b";").notes[0]
    walked, step = [], GifImagePlugin.GifImageFile._seek
    monkeypatch.setattr(
        GifImagePlugin.GifImageFile, "_seek", lambda *given, **more: (walked.append(given), step(*given, **more))[1]
    )
    assert "first of 300000 pictures" in media.read(content[:-1] + one * 300_000 + b";").notes[0]
    assert 1 <= len(walked) < 10


@pytest.mark.parametrize("after", [2, 8, 0xFFFFFFF0])
def test_a_chain_of_pages_that_leads_nowhere_loses_no_page(after: int, tmp_path: Path):
    (tmp_path / "scan.tif").write_bytes(pages(3, after))
    names = media.parts(tmp_path / "scan.tif")
    assert len(names) == 3
    for name in names:
        clip = media.read(name)
        assert clip.frame.width == 40
        broken = any("further pages behind this one is damaged" in note for note in clip.notes)
        assert broken == (after != 8)  # 8 is the first page: a circle ends where it began


def test_more_pages_than_can_be_read_are_refused_and_as_many_as_scans_have_are_not():
    assert "first of 300" in media.read(pages(300)).notes[0]
    content = bytearray(pages(1))
    # directories that lie in each other, each of 65,535 entries: 1.5 MB for hours of reading
    start, many = -(-len(content) // 4) * 4, 65_535
    content = content.ljust(start, b"\0") + b"\xff\xff\0\0" * ((12 * many + 4 * 50_000) // 4)
    first, entries = pages_of(bytes(content))[0][0]
    struct.pack_into("<I", content, first + 12 * entries, start)
    for at in range(start, start + 4 * 49_000, 4):
        struct.pack_into("<I", content, at + 2 + 12 * many, at + 4)
    assert "1,000,000 entries" in refusal(bytes(content))
    assert len(pages_of(bytes(content))[0]) == 1 + 16  # where it has seen enough


def test_a_tiff_whose_tiles_are_far_larger_than_its_picture_is_refused():
    tiles = [(322, 4, 1, 20_000), (323, 4, 1, 20_000), (324, 4, 1, 8), (325, 4, 1, 8)]
    whole = [(256, 3, 1, 16), (257, 3, 1, 16), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1), *tiles]
    assert "tiles of 20,000 × 20,000" in refusal(tiff(whole))


@pytest.mark.parametrize(
    "content", [tiff([]), tiff([(256, 3, 1, 9)]), b"II+\0\x08\0\0\0" + struct.pack("<Q", 1 << 63) + bytes(99)]
)
def test_a_tiff_that_is_none_is_still_called_one(content: bytes):
    assert re.search("got a TIFF that is damaged|is damaged or incomplete", refusal(content))


def box(brand: bytes, *more: bytes) -> bytes:
    body = b"ftyp" + brand + bytes(4) + b"".join(more)
    return struct.pack(">I", len(body) + 4) + body + bytes(64)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"II\xbc\x01" + bytes(70), "JPEG XR"),
        (box(b"crx "), "a camera's raw file; export it"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(70), "a camera's raw file; export it"),
        (b"IIRO\x08\0\0\0" + bytes(70), "a camera's raw file; export it"),
        (b"IIU\0\x18\0\0\0" + bytes(70), "a camera's raw file; export it"),
        (b"RIFF\0\1\0\0WAVEfmt " + bytes(70), "sound"),
        (b"FLV\x01" + bytes(70), "a film of a kind that is not read"),
        (b"8BPS\0\1" + bytes(70), "a Photoshop file; export it"),
        (b"\0\0\x01\0\x01\0" + bytes(70), "an icon"),
        (b"%!PS-Adobe-3.0" + bytes(70), "PostScript"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", r"a drawing \(SVG\)"),
        (b"<!DOCTYPE html><html><body>403</body></html>", "a web page"),
        (b"\x1f\x8b\x08" + bytes(70), "an archive"),
        (b"SQLite format 3\0" + bytes(70), "a database"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n", "what Git LFS keeps"),
        (b"\x7fELF" + bytes(70), "a program"),
    ],
)
def test_kinds_are_called_by_their_names(content: bytes, kind: str):
    assert re.search(f"got {kind}", refusal(content)), refusal(content)


def test_a_picture_that_would_take_too_much_memory_is_refused_before_it_is_decoded():
    content = encoded(painted(), "PNG")
    assert "GB of memory; expected at most" in refusal(content, TooLarge, max_memory=1200 * 7 - 1)
    assert media.read(content, max_memory=1200 * 7).frame.width == 40
    for kind, least in (("WEBP", 40), ("AVIF", 15), ("JPEG2000", 19), ("GIF", 4)):  # WebP gets half of it
        content = encoded(painted(), kind)
        refusal(content, TooLarge, max_memory=1200 * least - 1)
        assert media.read(content, max_memory=1200 * least).frame.width == 40


def test_a_large_webp_is_refused_by_its_header():
    for lossless in (True, False):
        content = encoded(painted(), "WEBP", lossless=lossless)
        header = media._opened(content)
        header._size = (9_990, 9_990)
        with pytest.raises(TooLarge, match=r"take 4\.0 GB of memory; expected at most 2\.0 GB"):
            media._check_size(header, "photo", media.MAX_PIXELS, media.MAX_MEMORY)
        header._size = (8_000, 6_000)
        media._check_size(header, "photo", media.MAX_PIXELS, media.MAX_MEMORY)


def test_what_libtiff_says_of_a_damaged_file_does_not_reach_standard_error(capfd, tmp_path: Path):
    noisy = [made for made in corpus._broken(6) if made.name in ("lzw flipped 2.tiff", "lzw spliced 2.tiff")]
    assert len(noisy) == 2
    for made in noisy:
        made.put(tmp_path / made.name)
        assert "its data cannot be decoded" in refusal(tmp_path / made.name)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_exif_of_millions_of_numbers_is_left_alone(kind: str, tmp_path: Path):
    made = next(made for made in corpus._metadata() if made.name.startswith(f"{kind} exif of 20 million numbers"))
    made.put(tmp_path / "photo")
    peak, clip = _traced(lambda: media.read(tmp_path / "photo"))
    assert clip.frame.pixels.shape == (320, 320, 3)
    assert clip.notes == ("The EXIF orientation could not be read; the picture is shown as it is stored.",)
    assert peak < 250e6  # the file is 40 MB, and a copy or three of it; as Python's numbers it is a gigabyte


@pytest.mark.parametrize("tag", [258, 274, 277])
def test_an_entry_of_millions_of_numbers_refuses_a_tiff(tag: int, tmp_path: Path):
    made = next(made for made in corpus._metadata() if made.name.startswith(f"tiff whose entry {tag} "))
    made.put(tmp_path / "photo.tif")
    assert "1,000,000 entries, or one of these more numbers" in refusal(tmp_path / "photo.tif")
    assert media.read(corpus._long_entry(274, 3)).frame.width == 10


def _traced(read):
    tracemalloc.start()
    try:
        made = read()
        return tracemalloc.get_traced_memory()[1], made
    finally:
        tracemalloc.stop()


def test_a_phone_s_photo_of_108_and_200_megapixels_is_within_the_limits():
    for size in ((12_000, 9_000), (16_320, 12_240)):
        content = encoded(Image.new("L", size, 120), "PNG", compress_level=1)
        header = media._opened(content)
        media._check_size(header, "photo", media.MAX_PIXELS, media.MAX_MEMORY)
        header._mode = "RGB"  # as a phone writes it
        media._check_size(header, "photo", media.MAX_PIXELS, media.MAX_MEMORY)


def test_a_picture_in_very_many_pieces_is_refused_before_a_decoder_goes_over_them():
    jpeg, png, jp2 = (encoded(painted(), kind) for kind in ("JPEG", "PNG", "JPEG2000"))
    for content in (
        jpeg[:20] + bytes(1_100_000) + jpeg[20:],
        jpeg[:2] + b"\xff" * 1_100_000 + jpeg[2:],
        jpeg[:2] + b"\xff\xd0" * 110_000 + jpeg[2:],
        jpeg[:2] + b"\xff\xfe\0\2" * 110_000 + jpeg[2:],
        png[:33] + chunk(b"prIv", b"") * 110_000 + png[33:],
        jp2[:12] + b"\0\0\0\x08free" * 110_000 + jp2[12:],
    ):
        with pytest.raises(UnreadableMedia, match="in more than 100,000 pieces"):
            media.read(content)
    for content in (
        jpeg[:20] + bytes(9_000) + jpeg[20:],
        jpeg + bytes(1_100_000),
        png[:33] + chunk(b"prIv", b"") * 9_000 + png[33:],
        png + bytes(1_100_000),
        jp2 + b"\0\0\0\x08free" * 110_000,
    ):
        assert media.read(content).frame.width == 40


@pytest.mark.parametrize("brand", [b"avif", b"mif1", b"msf1"])
def test_an_avif_is_read_whatever_its_first_brand_is(brand: bytes):
    content = encoded(painted(), "AVIF", quality=100)
    content = content[:8] + brand + content[12:]
    assert media.read(content).frame.width == 40
    media.check(content, "mask")
    with pytest.raises(UnreadableMedia, match="AVIF"):
        media.read(content[:120])


def test_a_bomb_is_refused_before_it_is_decoded():
    message = refusal(png_header(60_000, 60_000), TooLarge)
    assert "60000 × 60000" in message
    assert "3,600 million" in message
    assert "max_pixels" in message


@pytest.mark.parametrize("kind", ["tEXt", "zTXt"])
def test_a_png_is_not_refused_for_its_texts(kind: str):
    plain = encoded(painted(), "PNG")
    text = b"words " * 12_000_000
    text = zlib.compress(text[:20_000_000]) if kind == "zTXt" else text
    body = kind.encode() + b"parameters\0" + (b"\0" if kind == "zTXt" else b"") + text
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    for at in (33, len(plain) - 12):  # before the pixels, and after them
        clip = media.read(plain[:at] + chunk + plain[at:])
        np.testing.assert_array_equal(clip.frame.pixels, np.asarray(painted()))


def test_limits_on_bytes_and_pixels(tmp_path: Path):
    path = tmp_path / "p.png"
    path.write_bytes(encoded(painted(), "PNG"))
    assert "MB" in refusal(path, TooLarge, max_bytes=10)
    assert "MB" in refusal(path.read_bytes(), TooLarge, max_bytes=10)
    refusal(path, TooLarge, max_pixels=1199)
    assert media.read(path, max_pixels=1200).frame.width == 40
    refusal(np.zeros((10, 10, 3), np.uint8), TooLarge, max_pixels=99)


def test_pillows_own_limit_is_left_as_it_was():
    before = Image.MAX_IMAGE_PIXELS
    media.read(encoded(painted(), "PNG"))
    refusal(b"no picture")
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("PNG", {}),
        ("JPEG", {}),
        ("GIF", {}),
        ("WEBP", {}),
        ("BMP", {}),
    ],
)
def test_what_is_larger_than_pillows_own_limit_and_not_than_ours_is_read(kind, options, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)  # of 89 million: phones' photos of 200 are under our limit
    oriented = Image.Exif()
    oriented[274] = 6
    picture = painted().convert("L" if kind == "TIFF" else "RGB")
    more = {"exif": oriented} if kind in ("TIFF", "PNG", "JPEG", "WEBP") else {}
    assert media.read(encoded(picture, kind, **options, **more)).frame.width in (30, 40)
    assert Image.MAX_IMAGE_PIXELS == 300


def test_missing_path_broken_link_folder_and_pipe(tmp_path: Path):
    assert "does not exist" in refusal(tmp_path / "none.jpg")
    link = tmp_path / "link.jpg"
    link.symlink_to(tmp_path / "gone.jpg")
    assert "is a link to" in refusal(link)
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(loop)
    assert "cannot be read" in refusal(loop)
    assert "is a folder" in refusal(tmp_path)
    assert "cannot be read" in refusal("nul\0.jpg")
    assert "cannot be read" in refusal("x" * 5000)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
        assert "not a file" in refusal(tmp_path / "pipe.jpg")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
def test_special_and_endless_files_are_refused_before_they_are_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo.jpg")
    special = [tmp_path / "fifo.jpg"]
    for number, target in enumerate(("/dev/zero", "/dev/stdin", "/proc/kmsg", "/proc/self/mem", "/dev/full")):
        if Path(target).exists() and (Path(target).stat().st_size == 0 or not Path(target).is_file()):
            special.append(tmp_path / f"{number}.jpg")
            special[-1].symlink_to(target)
    opened = []
    real = os.open
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", lambda path, *rest, **more: opened.append(str(path)) or real(path, *rest, **more))
        for path in special:
            with pytest.raises(UnreadableMedia, match=r"is not a file|is empty"):
                media.read(path)
            with pytest.raises(InputError, match="expected a profile"):
                Profile.read(path)
    assert not opened


def test_a_file_that_grows_while_it_is_read_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "growing.jpg"
    path.write_bytes(b"x" * 100)
    real = os.fstat

    def grown(handle: int) -> os.stat_result:
        with path.open("ab") as file:
            file.write(b"x" * 100)
        return real(handle)

    monkeypatch.setattr(files.os, "fstat", grown)
    with pytest.raises(OSError, match="more than"):
        files.read_bounded(path, 100)
    monkeypatch.undo()
    assert files.read_bounded(path, 200) == b"x" * 200
    with pytest.raises(TooLarge, match="MB"):
        media.read(path, max_bytes=199)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path):
    path = tmp_path / "closed.png"
    path.write_bytes(encoded(painted(), "PNG"))
    path.chmod(0)
    assert "may not be read" in refusal(path)


@given(st.binary(max_size=400), st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"]), st.data())
def test_damaged_files_never_raise_anything_else(junk: bytes, kind: str, data: st.DataObject):
    content = encoded(painted(), kind)
    at = data.draw(st.integers(0, len(content)))
    try:
        picture = media.read(content[:at] + junk + content[at + len(junk) :])
    except InputError:
        return
    assert picture.frame.pixels.dtype == np.uint8


# -------------------------------------------------------------------------------------------------------------- arrays


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_rgb_arrays_pass_unchanged(array: np.ndarray):
    picture = media.read(array)
    np.testing.assert_array_equal(picture.frame.pixels, array)
    assert picture.sha256 is None


def test_other_arrays_of_uint8():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert media.read(grey).frame.pixels.shape == (3, 4, 3)
    np.testing.assert_array_equal(media.read(grey[:, :, None]).frame.pixels, media.read(grey).frame.pixels)
    clear = np.zeros((2, 2, 4), np.uint8)
    assert media.read(clear).frame.pixels.min() == 255


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.zeros((4, 4, 3)), "float64"),
        (np.full((4, 4, 3), np.nan, np.float32), "NaN"),
        (np.zeros((4, 4, 3), np.int64), "int64"),
        (np.zeros((4, 4, 3), bool), "bool"),
        (np.zeros((4, 4, 2), np.uint8), "(4, 4, 2)"),
        (np.zeros((1, 4, 4, 3), np.uint8), "(1, 4, 4, 3)"),
        (np.zeros((0, 4, 3), np.uint8), "(0, 4, 3)"),
        (np.array(["a"]), "<U1"),
    ],
)
def test_wrong_arrays_are_told_what_was_expected(array: np.ndarray, word: str):
    message = refusal(array, InputError)
    assert word in message
    assert "uint8" in message


def test_other_objects_are_told_what_was_expected():
    assert "got list" in refusal([painted()], InputError)
    assert "NoneType" in refusal(None, InputError)
    closed, ended = io.BytesIO(b"x"), io.BytesIO(encoded(painted(), "PNG"))
    closed.close()
    assert "expected a file that can be read" in refusal(closed, InputError)
    ended.read()
    assert "was read to its end: seek(0)" in refusal(ended, InputError)
    assert "3,600 million pixels" in refusal(np.broadcast_to(np.uint8(7), (60_000, 60_000, 3)), TooLarge)


# ------------------------------------------------------------------------------------------------------------- collect


def test_collect_folders_globs_and_files(tmp_path: Path):
    for name in ("b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "below/c.webp", ".secret/d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "gone.jpg")

    def names(*paths: Path | str) -> list[str]:
        return [os.path.relpath(path, tmp_path).replace(os.sep, "/") for path in media.collect(paths)]

    everything = ["a.PNG", "b.jpg", "dangling.jpg", "below/c.webp"]
    assert names(tmp_path) == everything
    assert names(tmp_path, tmp_path / "b.jpg") == everything  # each once
    assert names(tmp_path / "*.jpg") == ["b.jpg", "dangling.jpg"]
    assert names(tmp_path / "**" / "*.webp") == ["below/c.webp"]
    assert names(tmp_path / "notes.txt") == ["notes.txt"]  # named by hand: `read` decides


def test_collect_passes_on_what_is_not_there(tmp_path: Path):
    (tmp_path / "bare").mkdir()
    given_paths = [tmp_path / "none.jpg", tmp_path / "*.none", tmp_path / "bare"]
    assert list(media.collect(given_paths)) == given_paths
    for path in given_paths:
        refusal(path)


def test_a_file_whose_name_is_a_pattern_is_that_file(tmp_path: Path):
    path = tmp_path / "a[1].jpg"
    path.touch()
    assert list(media.collect([path])) == [path]


def test_a_decoder_s_own_log_is_not_printed(tmp_path):
    """Pillow logs a TIFF of 200 samples a pixel as an error, which Python prints where nobody set a log up."""
    file = tmp_path / "odd.tif"
    file.write_bytes(corpus.tiff({277: 200}, bytes(999)))
    code = "import sys\nfrom facewitness import media\ntry: media.read(sys.argv[1])\nexcept ValueError as e: print(e)"
    ran = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert ran.stdout and ran.stderr == ""


@pytest.mark.parametrize(
    "begin", [b"#EXTM3U\n", b"\xef\xbb\xbf#EXTM3U\n", b"ffconcat version 1.0\n", b'<?xml version="1.0"?><MPD>']
)
def test_a_playlist_is_called_one(begin):
    with pytest.raises(UnreadableMedia, match="a playlist, which names other files"):
        media.read(begin + b"http://127.0.0.1:9/x.ts\n")


@pytest.mark.parametrize(
    ("amount", "limit", "words"),
    [(3221.2, 200, ("3,221", "200")), (0.262, 0.1, ("0.3", "0.1")), (200.04, 200, ("200.04", "200.00")),
     (5, 0.4, ("5.0", "0.4")), (3, 0, ("3", "0"))],
)  # fmt: skip
def test_what_is_over_a_limit_is_over_it_in_words_too(amount, limit, words):
    assert files.beyond(amount, limit) == words


def test_a_small_limit_is_not_said_to_be_none(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (512, 512)).save(path)
    with pytest.raises(TooLarge, match=r"= 0\.3 million pixels; expected at most 0\.1 million"):
        media.read(path, max_pixels=100_000)


def test_of_two_pictures_in_a_jpeg_that_are_as_large_the_second_is_told(tmp_path):
    whole, small = Image.new("RGB", (64, 48), "red"), Image.new("RGB", (16, 12), "blue")
    for name, other, noted in (("pair.mpo", whole, True), ("gain map.jpg", small, False)):
        whole.save(tmp_path / name, "MPO", save_all=True, append_images=[other])
        notes = media.read(tmp_path / name).notes
        assert any(map(media.leaves_out, notes)) is noted, notes
    assert "This is picture 2 of 2 in the file." in media.read(f"{tmp_path / 'pair.mpo'}#2").notes
