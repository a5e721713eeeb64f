"""Bad and odd pictures, painted on the spot, for the tests of everything that reads files."""

from __future__ import annotations

import functools
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

# file name → a part of the sentence that says why it cannot be analysed
BROKEN = {
    "text.jpg": "text",
    "empty.png": "empty",
    "truncated.jpg": "damaged or incomplete",
    "bomb.png": "million pixels",
    "missing.jpg": "does not exist",
    "broken link.png": "a link to",
    "folder.jpg": "folder without pictures",
    "pipe.png": "not a file",
}


def painted(brightness: int, size: int = 96) -> Image.Image:
    """A picture of one brightness with a little texture, the same every time."""
    noise = np.random.default_rng(brightness).integers(-4, 5, (size, size, 3))
    return Image.fromarray(np.clip(noise + brightness, 0, 255).astype(np.uint8))


def jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95)
    return file.getvalue()


@functools.cache
def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A PNG that is true to its header: so many black pixels, 1 bit each, under a megabyte."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(1)
    row = bytes(1 + width // 8)
    body = b"".join(packer.compress(row * 500) for _ in range(height // 500)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def write_broken(folder: Path, name: str) -> Path:
    """One of BROKEN, by its name, in a folder."""
    path = folder / name
    match name:
        case "text.jpg":
            path.write_text("This is no picture.\n")
        case "empty.png":
            path.write_bytes(b"")
        case "truncated.jpg":
            whole = jpeg(painted(80, 400))
            path.write_bytes(whole[: len(whole) // 2])
        case "bomb.png":
            path.write_bytes(bomb())
        case "missing.jpg":
            pass
        case "broken link.png":
            path.symlink_to(folder / "nowhere.png")
        case "folder.jpg":
            path.mkdir()
        case "pipe.png":
            os.mkfifo(path)  # reading it would wait for ever: as unreadable as a file can be, even for root
        case _:
            raise KeyError(name)
    return path


def write_odd(folder: Path) -> list[Path]:
    """Pictures that are unusual and can be analysed."""
    painted(60).save(folder / "grey.png")
    painted(60).convert("CMYK").save(folder / "cmyk.jpg")
    frames = [painted(60), painted(200), painted(120)]
    frames[0].save(folder / "animated.gif", save_all=True, append_images=frames[1:], duration=100)
    painted(60, 1).save(folder / "one pixel.png")
    painted(60).save(folder / "🙂 smile.png")
    painted(60).save(folder / "line\nbreak.png")
    painted(60).convert("RGBA").save(folder / "alpha.webp")
    return sorted(path for path in folder.iterdir() if path.suffix != ".txt")
