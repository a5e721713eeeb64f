"""A picture that Pillow has opened becomes upright RGB pixels in sRGB: turned, on white, 16 bits scaled to 8.

Colours are brought from the picture's own profile (Display P3, Adobe RGB …) to sRGB, which the witnesses learned from.
Large pictures are converted in strips: at its peak, this takes little more than the decoder and the result do.
"""

from __future__ import annotations

import contextlib
import functools
import io
import re
import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facewitness.errors import UnreadableMedia
from facewitness.types import Pixels

if TYPE_CHECKING:
    from PIL import Image

TURNED = "The picture was turned or mirrored as its EXIF orientation says."

_NO_EXIF = "The EXIF orientation could not be read; the picture is shown as it is stored."
_MOST_EXIF = 2_000_000  # bytes; cameras write up to 64,000, and Pillow makes a Python number of each two
_STRIP = 1 << 22  # pixels that are converted at a time


def pixels(image: Image.Image, notes: list[str]) -> Pixels:
    """The pixels as they are to be seen. The image is closed: its memory is needed for what follows.

    Args:
        image: Opened by Pillow; it is decoded here at the latest.
        notes: Get a sentence for each thing that had to be decided.

    Returns:
        RGB uint8 (H, W, 3) in sRGB.

    Raises:
        UnreadableMedia: It holds no finite values.
    """
    turn = _turn(image, notes)
    convert = _conversion(image, notes)
    width, height = image.size
    rows = max(1, _STRIP // width)
    if rows >= height:
        made = convert(image)
    else:
        made = np.empty((height, width, 3), np.uint8)
        for top in range(0, height, rows):
            bottom = min(height, top + rows)
            made[top:bottom] = convert(image.crop((0, top, width, bottom)))
    # What one strip tells others may tell too; each stands once, in the order of the first.
    notes[:] = dict.fromkeys(notes)
    image.close()
    return made if turn is None else np.ascontiguousarray(turn(made))


# -------------------------------------------------------------------------------------------------------- orientation

TURNS: dict[int, Callable[[Pixels], Pixels]] = {  # EXIF's orientations
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: np.rot90(p),
}


def without_long_exif(content: bytes, notes: list[str]) -> bytes:
    """A JPEG with far more EXIF than cameras write, under another name, so that Pillow leaves it alone; or as it is.

    Args:
        content: Bytes of a file.
        notes: Get a sentence where it was so.
    """
    if content[:2] != b"\xff\xd8" or content.count(b"Exif\0\0") * 65_535 <= _MOST_EXIF:
        return content
    segments = list(re.finditer(rb"\xff\xe1(..)Exif\0\0", content, re.DOTALL))
    if sum(int.from_bytes(segment[1]) for segment in segments) <= _MOST_EXIF:
        return content
    notes.append(_NO_EXIF)
    hidden = bytearray(content)
    for segment in segments:
        hidden[segment.end() - 6 : segment.end() - 2] = b"Long"
    return bytes(hidden)


def _turn(image: Image.Image, notes: list[str]) -> Callable[[Pixels], Pixels] | None:
    """What makes the picture upright; None where it is."""
    try:
        if len(image.info.get("exif") or image.info.get("Raw profile type exif") or b"") > _MOST_EXIF:
            raise ValueError
        turn = TURNS.get(image.getexif().get(0x0112, 1))
    except Exception:  # EXIF is written by thousands of programs; a photo is not refused for it
        notes.append(_NO_EXIF)
        return None
    if turn is not None:
        notes.append(TURNED)
    return turn


# ------------------------------------------------------------------------------------------------------------ colours


def _conversion(image: Image.Image, notes: list[str]) -> Callable[[Image.Image], Pixels]:
    """What turns a strip of the picture into RGB uint8, and tells of it in the notes."""
    mode = image.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        return _from_deep_grey(image, notes)
    to_srgb = _to_srgb(image, notes)
    if mode == "CMYK":
        if to_srgb is not None:
            return lambda strip: np.asarray(to_srgb(strip))
        notes.append("Printing colours (CMYK) without a usable profile: the colours are approximate.")
        return lambda strip: np.asarray(strip.convert("RGB"))
    if image.has_transparency_data:
        return lambda strip: on_white(_coloured(strip.convert("RGBA"), to_srgb), notes)
    if to_srgb is not None:
        return lambda strip: np.asarray(to_srgb(strip))
    return lambda strip: np.asarray(strip if mode == "RGB" else strip.convert("RGB"))


def _coloured(rgba: Image.Image, to_srgb: Callable[[Image.Image], Image.Image] | None) -> NDArray[np.uint8]:
    """RGBA with its colours in sRGB."""
    pixels = np.array(rgba)
    if to_srgb is not None:
        pixels[:, :, :3] = np.asarray(to_srgb(rgba))
    return pixels


_MOST_BOXES = 1_000  # of a JPEG 2000, before its colours are said


def profile_of_jp2(content: bytes) -> bytes | None:
    """The colour profile in a JPEG 2000's header (its box `colr`), which Pillow passes over; None where there is none.

    Args:
        content: The file's bytes.
    """
    header = next((content[a:b] for kind, a, b in _boxes(content) if kind == b"jp2h"), b"")
    for kind, start, end in _boxes(header):
        if kind == b"colr" and header[start : start + 1] in (b"\x02", b"\x03"):  # a profile, restricted or any
            return header[start + 3 : end] or None
    return None


_MOST_PROFILE = 4_000_000  # bytes; of scanners and presses some have 3 million, and 16 are kept


def profile_of_png(content: bytes) -> bytes | None:
    """The colour profile of a PNG, unpacked as far as one is used; None where there is none.

    One that cannot be unpacked is given as it lies there, so that it is said to be of no use.

    Args:
        content: The file's bytes.
    """
    at = 8
    while at + 12 <= len(content) and (kind := content[at + 4 : at + 8]) != b"IDAT":
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        if kind == b"iCCP":
            chunk = content[at + 8 : end - 4]
            with contextlib.suppress(zlib.error):
                packed = chunk[chunk.find(b"\0") + 2 :]  # behind a name, a zero, and how it is packed
                return zlib.decompressobj().decompress(packed, _MOST_PROFILE + 1) or chunk
            return chunk or None
        at = end
    return None


def _boxes(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The boxes of a file or of a box: kind, where what is in it begins, and where it ends."""
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(content):
            return
        size, start = int.from_bytes(content[at : at + 4], "big"), at + 8
        if size == 1:
            size, start = int.from_bytes(content[start : start + 8], "big"), start + 8
        end = len(content) if size == 0 else min(len(content), at + size)
        if end < start:
            return
        yield content[at + 4 : at + 8], start, end
        at = end


def _to_srgb(image: Image.Image, notes: list[str]) -> Callable[[Image.Image], Image.Image] | None:
    """What brings the picture's colours to sRGB; None where they are sRGB, or no profile says otherwise."""
    profile = image.info.get("icc_profile")
    if not profile:
        return None
    mode = {"CMYK": "CMYK", "L": "L", "1": "L", "LA": "L"}.get(image.mode, "RGB")
    conversion = None if len(profile) > _MOST_PROFILE else _transform(bytes(profile), mode)
    if conversion is None:
        if mode != "CMYK":
            notes.append("The colour profile in the file cannot be used; colours are shown as they are stored.")
        return None
    transform, name = conversion
    if transform is None:
        return None
    if mode != "CMYK":
        notes.append(f"Colours were converted from the profile {name} to sRGB.")
    from PIL import ImageCms

    def convert(strip: Image.Image) -> Image.Image:
        made = ImageCms.applyTransform(strip if strip.mode == mode else strip.convert(mode), transform)
        assert made is not None  # it is None only for a conversion in place
        return made

    return convert


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> tuple[Any, str] | None:
    """A profile's transform to sRGB and its name; the transform is None where it changes next to nothing."""
    from PIL import Image, ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.PERCEPTUAL
            if mode == "CMYK" else ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )  # fmt: skip
        description = "".join(c for c in ImageCms.getProfileDescription(source) if c.isprintable()).strip()
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    name = f"'{description[:60]}'" if description else "in the file"
    if mode != "CMYK":
        steps = np.arange(0, 256, 17, dtype=np.uint8)
        shape = (16, 1) if mode == "L" else (256, 16, 3)
        grid = steps.reshape(shape) if mode == "L" else np.stack(np.meshgrid(steps, steps, steps), -1).reshape(shape)
        came = np.asarray(ImageCms.applyTransform(Image.fromarray(grid), transform)).astype(int)
        if np.abs(came - grid.reshape(*grid.shape[:2], -1)).max() <= _SAME_COLOUR:
            return None, name
    return transform, name


_SAME_COLOUR = 3  # levels of 255: as much as two makers' tables of sRGB differ


def _from_deep_grey(image: Image.Image, notes: list[str]) -> Callable[[Image.Image], Pixels]:
    """16 or 32 bits of grey, or floats: scaled to 8 bits, never clipped."""
    low, high, kind = 0.0, 65535.0, "u"
    lowest, highest, holes = np.inf, -np.inf, False
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        values = np.asarray(image.crop((0, top, image.width, min(image.height, top + rows))))
        kind = values.dtype.kind
        finite = values[np.isfinite(values)] if kind == "f" else values
        holes = holes or finite.size < values.size
        if finite.size:
            lowest, highest = min(lowest, float(finite.min())), max(highest, float(finite.max()))
    if holes or lowest < low or highest > high or kind == "f":
        if lowest > highest:
            raise UnreadableMedia("The picture holds no finite values: expected grey values.")
        low, high = lowest, highest
        notes.append(f"Grey values from {low:g} to {high:g} were stretched to black and white.")

    def convert(strip: Image.Image) -> Pixels:
        values = np.nan_to_num(np.asarray(strip).astype(np.float64), nan=low, posinf=high, neginf=low)
        eight = np.rint((values - low) * (255.0 / max(high - low, 1e-12))).astype(np.uint8)
        return np.repeat(eight[:, :, None], 3, axis=2)

    return convert


def on_white(rgba: NDArray[np.uint8], notes: list[str]) -> Pixels:
    """A picture without its transparency.

    Args:
        rgba: uint8 (H, W, 4).
        notes: Get a sentence where it was transparent.

    Returns:
        RGB uint8 (H, W, 3).
    """
    alpha = rgba[:, :, 3:]
    if int(alpha.min()) == 255:
        return np.ascontiguousarray(rgba[:, :, :3])
    notes.append("The picture is transparent in places; it was put on white.")
    mixed = rgba[:, :, :3].astype(np.uint16) * alpha + 255 * (255 - alpha.astype(np.uint16))
    return ((mixed + 127) // 255).astype(np.uint8)
