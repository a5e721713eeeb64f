"""A file, bytes or an array goes in; one upright RGB picture or a film comes out, or a sentence that says why not.

Nothing is decoded before its size in bytes and, from its header, in pixels is known to be within the limits. What had
to be decided on the way (the first picture of an animation was taken, transparency was put on white …) is in the notes.

A picture whose end is missing is refused, not shown in part: decoders fill the rest with grey, and a verdict on grey
blocks would be a verdict on the decoder. Films are read by `film`, which is told by their first bytes.
"""

from __future__ import annotations

import glob
import hashlib
import importlib
import inspect
import io
import os
import stat
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from facewitness.errors import InputError, MissingExtra, TooLarge, UnknownName, UnreadableMedia
from facewitness.types import Clip, Frame, Pixels

if TYPE_CHECKING:
    from PIL import Image

MOST_BYTES = 200_000_000
MOST_PIXELS = 100_000_000

# Pillow's decoders we let near a stranger's file, format → module: pictures of pixels, none that runs another program
# (EPS does). Pillow does not load modules by itself when it is given a choice of formats.
_DECODERS = {
    "JPEG": "JpegImagePlugin",  # which also reads MPO, a photo with a spare
    "PNG": "PngImagePlugin",
    "WEBP": "WebPImagePlugin",
    "AVIF": "AvifImagePlugin",
    "GIF": "GifImagePlugin",
    "BMP": "BmpImagePlugin",
    "TIFF": "TiffImagePlugin",
    "PPM": "PpmImagePlugin",
    "JPEG2000": "Jpeg2KImagePlugin",
}
SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .mpo .png .webp .avif .gif .bmp .tif .tiff .ppm .pgm .pbm .jp2 .j2k".split()  # noqa: SIM905
)
FILMS = frozenset(".mp4 .m4v .mov .webm .mkv .avi".split())  # noqa: SIM905
_WANTED = "a picture (JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF, PPM or JPEG 2000) or a film (MP4, MOV, WebM, MKV or AVI)"
_opening = threading.Lock()


def read(
    source: str | os.PathLike[str] | bytes | NDArray[Any] | IO[bytes] | Image.Image,
    *,
    name: str | None = None,
    most_pixels: int | None = None,
    most_bytes: int | None = None,
    as_film: bool = False,
    sampling: Mapping[str, Any] | None = None,
) -> Clip:
    """A picture as a clip of one frame, or a film: upright, RGB uint8, transparency on white, 16 bits scaled to 8.

    Args:
        source: a path, a file's bytes, a file object open for reading bytes, a PIL image, or an array of uint8 with the
            shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).
        name: stands for the source in reports and messages.
        most_pixels: a picture of more, or a film's frame, is refused before it is decoded; None is MOST_PIXELS for a
            picture and `film.MOST_PIXELS` for a film.
        most_bytes: a file of more is refused before it is read; None is MOST_BYTES or `film.MOST_BYTES`.
        as_film: an animated GIF or WebP, and the film inside a motion photo, are read as films; otherwise the first
            picture of the one and the photo of the other are taken.
        sampling: keyword arguments of `film.Sampling`: which frames of a film are judged.

    Raises:
        UnreadableMedia, TooLarge: the file is no picture and no film, is damaged, or is over a limit.
        InputError: an array or an object of another kind, or moments that a film does not have.
    """
    limits = {
        name: most for name, most in (("most_pixels", most_pixels), ("most_bytes", most_bytes)) if most is not None
    }
    if isinstance(source, str | os.PathLike | bytes | bytearray | memoryview) and (as_film or _is_film(source)):
        return _film(source, name, sampling, limits)
    most_pixels = MOST_PIXELS if most_pixels is None else most_pixels
    most_bytes = MOST_BYTES if most_bytes is None else most_bytes
    if hasattr(source, "read"):
        source = cast("IO[bytes]", source).read(most_bytes + 1)  # one more than the limit is enough to be refused
        if isinstance(source, bytes) and (as_film or _is_film(source)):
            return _film(source, name, sampling, {"most_bytes": most_bytes, **limits})
        if not isinstance(source, bytes):
            raise InputError(f"{name or 'file'}: expected a file open for reading bytes ('rb'), got one for text")
    if isinstance(source, np.ndarray):
        label = name or "array"
        frame, notes = _from_array(source, label)
        if frame.width * frame.height > most_pixels:
            raise _too_many_pixels(label, frame.width, frame.height, most_pixels)
        return Clip(label, (frame,), notes=notes)
    if isinstance(source, bytes | bytearray | memoryview):
        label, content = name or "bytes", bytes(source)
        if len(content) > most_bytes:
            raise _too_many_bytes(label, len(content), most_bytes)
    elif isinstance(source, str | os.PathLike):
        label = name or os.fspath(source)
        content = _content(Path(source), label, most_bytes)
    elif hasattr(source, "getbands") and hasattr(source, "convert"):
        return _from_image(source, name or "image", most_pixels)
    else:
        raise InputError(
            "Expected a path, the bytes of a file, a file object, a PIL image or a numpy array of uint8, got "
            f"{type(source).__name__}. Turn it into one of these first."
        )
    if not content:
        raise UnreadableMedia(f"'{label}' is empty: expected {_WANTED}, got 0 bytes. Fetch or export it again.")
    pixels, notes = _decode(content, label, most_pixels)
    return Clip(label, (Frame(pixels),), hashlib.sha256(content).hexdigest(), notes=notes, content=content)


def _is_film(source: str | os.PathLike[str] | bytes | bytearray | memoryview) -> bool:
    """Whether a file begins as films do; False where that cannot be seen, for then it is `read` that says why."""
    from facewitness import film  # only where there is something to read: it starts processes

    if isinstance(source, bytes | bytearray | memoryview):
        return film.is_film(bytes(source[:64]))
    try:
        path = Path(source)
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            return film.is_film(file.read(64))
    except (OSError, ValueError):
        return False


def _film(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview,
    name: str | None,
    sampling: Mapping[str, Any] | None,
    limits: Mapping[str, int],
) -> Clip:
    from facewitness import film

    asked = dict(sampling or {})
    known = inspect.signature(film.Sampling).parameters
    for option in asked:
        if option not in known:
            raise UnknownName("option of sampling", option, known)
    content = source if isinstance(source, str | os.PathLike) else bytes(source)
    try:
        return film.read(content, film.Sampling(**asked), name=name, burst=film.BURST, **limits)
    except MissingExtra as error:  # the next file may be a photo
        raise UnreadableMedia(f"'{name or 'bytes'}' is a film. {error}") from error


def collect(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
    """The files that paths, folders and glob patterns stand for, each once, in a stable order.

    A folder gives the pictures and films in it and below it, by suffix, hidden ones left out; links to folders are not
    followed. What does not exist or holds no picture is passed on as it is, so that `read` can say so in its place and
    the others are still analysed.
    """
    seen: set[str] = set()
    for given in paths:
        for path in _expand(Path(given)):
            if str(path) not in seen:
                seen.add(str(path))
                yield path


# -------------------------------------------------------------------------------------------------------------- paths


def _expand(path: Path) -> Iterator[Path]:
    if _is_folder(path):
        files = list(_pictures_below(path))
        yield from files or [path]
    elif glob.has_magic(str(path)) and not os.path.lexists(path):
        matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 -- takes absolute patterns
        files = []
        for match in matches:
            files += list(_pictures_below(match)) if _is_folder(match) else [match]
        yield from files or [path]
    else:
        yield path


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _pictures_below(folder: Path) -> Iterator[Path]:
    closed: list[Path] = []
    for where, folders, files in os.walk(folder, onerror=lambda error: closed.append(Path(error.filename))):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in sorted(files):
            if not file.startswith(".") and Path(file).suffix.lower() in SUFFIXES | FILMS:
                yield Path(where, file)
    yield from closed  # folders that may not be listed: `read` will say so


def _content(path: Path, label: str, most_bytes: int) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            if not os.access(path, os.R_OK | os.X_OK):
                raise UnreadableMedia(f"The folder '{label}' may not be listed. Give yourself the right to read it.")
            raise UnreadableMedia(
                f"'{label}' is a folder without pictures and films: expected files that end in "
                f"{', '.join(sorted(SUFFIXES | FILMS))}. "
                "Name the files themselves if theirs are other endings."
            )
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableMedia(f"'{label}' is not a file: expected {_WANTED}. To read a pipe, use '-'.")
        if status.st_size > most_bytes:
            raise _too_many_bytes(label, status.st_size, most_bytes)
        return path.read_bytes()
    except FileNotFoundError as error:
        if path.is_symlink():
            raise UnreadableMedia(
                f"'{label}' is a link to '{path.readlink()}', which does not exist. Mend or remove the link."
            ) from error
        raise UnreadableMedia(f"'{label}' does not exist. Check the path.") from error
    except PermissionError as error:
        raise UnreadableMedia(f"'{label}' may not be read. Give yourself the right to read it.") from error
    except (OSError, ValueError) as error:  # a loop of links, a name that is too long, a NUL in it, a failing disk
        why = getattr(error, "strerror", None) or error
        if isinstance(error, InputError):
            raise
        raise UnreadableMedia(f"'{label}' cannot be read: {why}. Check the path.") from error


# ----------------------------------------------------------------------------------------------------------- decoding


def _decode(content: bytes, label: str, most_pixels: int) -> tuple[Pixels, tuple[str, ...]]:
    from PIL import Image, UnidentifiedImageError

    for module in _DECODERS.values():
        importlib.import_module(f"PIL.{module}")
    notes: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd metadata, and about sizes that are checked here
        try:
            with _opening:  # Pillow's own limit is a global; ours, which knows width and height, takes its place
                limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
                try:
                    image: Image.Image = Image.open(io.BytesIO(content), formats=tuple(_DECODERS))
                finally:
                    Image.MAX_IMAGE_PIXELS = limit
            if image.width * image.height > most_pixels:
                raise _too_many_pixels(label, image.width, image.height, most_pixels)
            if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # an MPO is a photo with a spare
                notes.append(f"Only the first of {image.n_frames} pictures in the file was analysed.")  # type: ignore[attr-defined]
            image.load()
            return _upright_rgb(image, notes), tuple(notes)
        except InputError:
            raise
        except UnidentifiedImageError as error:
            raise UnreadableMedia(f"'{label}': expected {_WANTED}, got {_kind(content)}.") from error
        except (MemoryError, Image.DecompressionBombError) as error:
            raise TooLarge(f"'{label}' does not fit into memory. Make it smaller.") from error
        except Exception as error:  # a broken file makes decoders raise almost anything
            raise UnreadableMedia(
                f"'{label}' is damaged or incomplete ({str(error).rstrip('.') or type(error).__name__}). "
                "Fetch or export it again."
            ) from error


def _from_image(image: Image.Image, label: str, most_pixels: int) -> Clip:
    """An image that somebody opened with PIL; theirs stays as it is."""
    if image.width * image.height > most_pixels:
        raise _too_many_pixels(label, image.width, image.height, most_pixels)
    if not image.width or not image.height:
        raise InputError(f"{label}: expected a PIL image with pixels, got {image.width} × {image.height}")
    notes: list[str] = []
    try:
        pixels = _upright_rgb(image.copy(), notes)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{label}: expected a PIL image that can be decoded, got one that cannot ({error})") from error
    return Clip(label, (Frame(pixels),), notes=tuple(notes))


def _upright_rgb(image: Image.Image, notes: list[str]) -> Pixels:
    from PIL import ImageOps

    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception:  # EXIF is written by thousands of programs; a photo is not refused for it
        notes.append("The EXIF orientation could not be read; the picture is shown as it is stored.")
    mode = image.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        return _from_deep_grey(np.asarray(image), notes)
    if mode == "CMYK":
        return np.asarray(_cmyk_to_rgb(image, notes))
    if image.has_transparency_data:
        return _on_white(np.asarray(image.convert("RGBA")), notes)
    return np.asarray(image if mode == "RGB" else image.convert("RGB"))


def _cmyk_to_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    profile = image.info.get("icc_profile")
    if profile:
        from PIL import ImageCms

        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            rgb = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if rgb is not None:
                return rgb
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    notes.append("Printing colours (CMYK) without a usable profile: the colours are approximate.")
    return image.convert("RGB")


def _from_deep_grey(grey: NDArray[Any], notes: list[str]) -> Pixels:
    """16 or 32 bits of grey, or floats: scaled to 8 bits, never clipped."""
    values = grey.astype(np.float64)
    low, high = 0.0, 65535.0
    if not np.isfinite(values).all() or values.min() < low or values.max() > high or grey.dtype.kind == "f":
        finite = values[np.isfinite(values)]
        if finite.size == 0:
            raise UnreadableMedia("The picture holds no finite values: expected grey values.")
        low, high = float(finite.min()), float(finite.max())
        notes.append(f"Grey values from {low:g} to {high:g} were stretched to black and white.")
        values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    eight = np.rint((values - low) * (255.0 / max(high - low, 1e-12))).astype(np.uint8)
    return np.repeat(eight[:, :, None], 3, axis=2)


def _on_white(rgba: NDArray[np.uint8], notes: list[str]) -> Pixels:
    alpha = rgba[:, :, 3:]
    if int(alpha.min()) == 255:
        return np.ascontiguousarray(rgba[:, :, :3])
    notes.append("The picture is transparent in places; it was put on white.")
    mixed = rgba[:, :, :3].astype(np.uint16) * alpha + 255 * (255 - alpha.astype(np.uint16))
    return ((mixed + 127) // 255).astype(np.uint8)


def _from_array(array: NDArray[Any], label: str) -> tuple[Frame, tuple[str, ...]]:
    wanted = "an array of uint8 with the shape (height, width, 3) in RGB, (height, width, 4) or (height, width)"
    if array.dtype != np.uint8:
        if array.dtype.kind == "f":
            holes = "" if np.isfinite(array).all() else ", and it holds NaN or infinite values"
            advice = "Values from 0 to 1 become uint8 with (array * 255).round().astype('uint8')"
            raise InputError(f"{label}: expected {wanted}, got {array.dtype}{holes}. {advice}.")
        raise InputError(f"{label}: expected {wanted}, got {array.dtype}. Scale the values to 0..255 yourself.")
    shape = array.shape
    if array.size == 0 or array.ndim not in (2, 3) or (array.ndim == 3 and shape[2] not in (1, 3, 4)):
        raise InputError(f"{label}: expected {wanted}, got the shape {shape}.")
    notes: list[str] = []
    if array.ndim == 2 or shape[2] == 1:
        pixels = np.repeat(array.reshape(shape[0], shape[1], 1), 3, axis=2)
    elif shape[2] == 4:
        pixels = _on_white(array, notes)
    else:
        pixels = np.ascontiguousarray(array)
    return Frame(pixels), tuple(notes)


# ----------------------------------------------------------------------------------------------------------- messages


def _kind(content: bytes) -> str:
    """What bytes that are no picture seem to be, for a message."""
    box = content[4:12]
    if box[:4] == b"ftyp":
        if box[4:] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
            return "HEIC; convert it to JPEG first"
        if box[4:] in (b"avif", b"avis"):
            return "a damaged or incomplete AVIF; fetch or export it again"
        return "a damaged or incomplete film; fetch or export it again"
    if content[:4] in (b"%PDF", b"PK\x03\x04"):
        return "a document or an archive; take the picture out of it first"
    head = content[:512]
    try:
        text = head.decode("utf-8", errors="strict" if len(content) <= 512 else "ignore")
    except UnicodeDecodeError:
        text = "\0"
    if all(c.isprintable() or c.isspace() for c in text):
        return "text; look into the file"
    return "bytes of another kind, or a damaged picture; fetch or export it again"


def _too_many_pixels(label: str, width: int, height: int, most: int) -> TooLarge:
    return TooLarge(
        f"'{label}' is {width} × {height} = {width * height / 1e6:,.0f} million pixels; expected at most "
        f"{most / 1e6:,.0f} million. Make it smaller, or raise most_pixels (--most-megapixels)."
    )


def _too_many_bytes(label: str, size: int, most: int) -> TooLarge:
    return TooLarge(
        f"'{label}' is {size / 1e6:,.0f} MB; expected at most {most / 1e6:,.0f} MB. "
        "Make it smaller, or raise most_bytes (--most-megabytes)."
    )


class Video:
    """Frames of the video file that was asked for last, read forwards: seeking in H.264 is neither quick nor exact."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._opened: Any = None
        self._next = 0

    def frame(self, path: Path, index: int) -> Pixels:
        """Frame `index` of a file, from 0: RGB uint8 (H, W, 3). Quick where it lies after the last one asked for.

        Raises UnreadableMedia where the video ends or breaks before it, MissingExtra without OpenCV.
        """
        if path != self._path or index < self._next:
            self.close()
            self._path, self._opened = path, _opencv().VideoCapture(str(path))
        while self._next < index and self._opened.grab():
            self._next += 1
        worked, picture = self._opened.read() if self._next == index else (False, None)
        if not worked or picture is None:
            raise UnreadableMedia(
                f"{path.name}: expected a frame {index}, but the video breaks off at {self._next}; copy it again"
            )
        self._next += 1
        return np.ascontiguousarray(picture[..., ::-1])

    def close(self) -> None:
        """Let go of the file."""
        if self._opened is not None:
            self._opened.release()
        self._path, self._opened, self._next = None, None, 0


def frames_in(video: Path) -> int:
    """How many frames a video file says it has; 0 where it cannot be opened. Raises MissingExtra without OpenCV."""
    cv2 = _opencv()
    opened = cv2.VideoCapture(str(video))
    try:
        return max(0, int(opened.get(cv2.CAP_PROP_FRAME_COUNT))) if opened.isOpened() else 0
    finally:
        opened.release()


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise MissingExtra("Videos are read with OpenCV. Install it with: pip install 'facewitness[forge]'") from error
    return cv2
