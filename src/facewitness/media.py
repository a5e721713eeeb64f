"""A file, bytes or an array goes in; one upright RGB picture or a film comes out, or a sentence that says why not.

Nothing is decoded before its size in bytes and, from its header, in pixels is known to be within the limits. What had
to be decided on the way (the first picture of an animation was taken, transparency was put on white …) is in the notes.

A picture whose end is missing is refused, not shown in part: decoders fill the rest with grey, and a verdict on grey
blocks would be a verdict on the decoder. Where the file ends properly and yet holds only a part, the clip says so
(`damage`), and no verdict on it is to be sure. A whole picture without its end mark is a picture.

What Pillow has decoded is turned upright and brought to sRGB by `upright`. Films, told by their first bytes, are read
by `film`; HEIC, JPEG XL and the pictures inside a PDF by `stills`, in a process of its own. What is none of these is
named by `kinds`.

A part of a file has a name: scan.tif#2 is its second page, letter.pdf#3 its third picture, shot.png#120,340,980,1500
what lies in that box (x1, y1, x2, y2). `parts` gives the names of all pages or pictures of a file.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import glob
import hashlib
import importlib
import importlib.util
import inspect
import io
import json
import logging
import os
import re
import shlex
import stat
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from facewitness import damage, kinds, screenshot, stills, tiff, upright
from facewitness.errors import InputError, MissingExtra, TooLarge, UnknownName, UnreadableMedia
from facewitness.files import beyond, open_bounded, read_bounded
from facewitness.types import Clip, Frame, Pixels

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES = 200_000_000
MAX_PIXELS = 200_000_000  # phones take 12,000 × 9,000 and 16,320 × 12,240
MAX_MEMORY = 2_000_000_000  # bytes while a picture is read
MOST_SCANS = 100  # of a JPEG; encoders write ten, and each takes as long to read as a picture

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
# Kinds that take a package besides: kind → (its name, the package's module, the extra, endings)
_EXTRAS = {
    "heif": ("HEIC", "pillow_heif", "heic", (".heic", ".heif", ".hif", ".heics", ".heifs")),
    "jxl": ("JPEG XL", "pillow_jxl", "jxl", (".jxl",)),
    "pdf": ("PDF", "pypdfium2", "documents", (".pdf",)),
}
SUFFIXES = frozenset(
    (  # noqa: SIM905
        ".jpg .jpeg .jpe .jif .jfif .jfi .mpo .png .apng .webp .avif .avifs .gif .bmp .dib .tif .tiff "
        ".ppm .pgm .pbm .pnm .jp2 .j2k .j2c .jpf .jpx"
    ).split()
).union(
    *(
        endings
        for kind, (_, module, _, endings) in _EXTRAS.items()
        if kind != "pdf" and importlib.util.find_spec(module)
    )
)
FILMS = frozenset(".mp4 .m4v .mov .webm .mkv .avi".split())  # noqa: SIM905
_WANTED = "a picture (JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF, PPM or JPEG 2000) or a film (MP4, MOV, WebM, MKV or AVI)"
_opening = threading.Lock()


def read(
    source: str | os.PathLike[str] | bytes | NDArray[Any] | IO[bytes] | Image.Image,
    *,
    name: str | None = None,
    max_pixels: int | None = None,
    max_bytes: int | None = None,
    max_memory: int = MAX_MEMORY,
    max_seconds: float | None = None,
    as_film: bool = False,
    sampling: Mapping[str, Any] | None = None,
) -> Clip:
    """A picture as a clip of one frame, or a film: upright, sRGB uint8, transparency on white, 16 bits scaled to 8.

    Args:
        source: a path, a file's bytes, a file object open for reading bytes, a PIL image, or an array of uint8 with the
            shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).
        name: stands for the source in reports and messages.
        max_pixels: a picture of more, or a film's frame, is refused before it is decoded; None is MAX_PIXELS for a
            picture and `film.MAX_PIXELS` for a film.
        max_bytes: a file of more is refused before it is read; None is MAX_BYTES or `film.MAX_BYTES`.
        max_memory: a picture that would take more bytes while it is read, by its format and size, is refused before.
        max_seconds: a film that lasts longer is refused before it is decoded; None is `film.MAX_SECONDS`.
        as_film: an animated GIF or WebP, and the film inside a motion photo, are read as films; otherwise the first
            picture of the one and the photo of the other are taken.
        sampling: keyword arguments of `film.Sampling`: which frames of a film are judged.

    Raises:
        UnreadableMedia, TooLarge: the file is no picture and no film, is damaged, or is over a limit.
        InputError: an array or an object of another kind, or moments that a film does not have.
    """
    part: tuple[int, ...] = ()
    if isinstance(source, str | os.PathLike):
        name, (source, part) = name or os.fspath(source), _part_of(source)
    given = (("max_pixels", max_pixels), ("max_bytes", max_bytes), ("max_seconds", max_seconds))
    limits: dict[str, Any] = {name: value for name, value in given if value is not None}
    max_pixels = limits.get("max_pixels", MAX_PIXELS)
    max_bytes = limits.get("max_bytes", MAX_BYTES)
    if isinstance(source, np.ndarray):
        return _from_array(source, name or "array", max_pixels)
    if hasattr(source, "read"):
        source = _read_up_to(cast("IO[bytes]", source), max_bytes, name)
        limits["max_bytes"] = max_bytes  # of a film, too: no more of it was read
    elif hasattr(source, "getbands") and hasattr(source, "convert"):
        return _from_image(cast("Image.Image", source), name or "image", max_pixels)
    if not isinstance(source, str | os.PathLike | bytes | bytearray | memoryview):
        raise InputError(
            "Expected a path, the bytes of a file, a file object, a PIL image or a numpy array of uint8, got "
            f"{type(source).__name__}. Turn it into one of these first."
        )
    if as_film or _is_film(source):
        if part:
            raise UnreadableMedia(f"'{name}' names a part of a film. Say from when to when instead: --from, --to.")
        return _film(source, name, sampling, limits)
    if isinstance(source, str | os.PathLike):
        label = name or os.fspath(source)
        content = _content(Path(source), label, max_bytes)
    else:
        label, content = name or "bytes", bytes(source)
        if len(content) > max_bytes:
            raise _too_many_bytes(label, None if len(content) == max_bytes + 1 else len(content), max_bytes)
    if not content:
        raise UnreadableMedia(f"'{label}' is empty: expected {_WANTED}, got 0 bytes. Fetch or export it again.")
    page = part[0] if len(part) == 1 else None
    pixels, notes, missing = _decode(content, label, max_pixels, max_memory, page)
    if len(part) == 4:
        pixels, notes = _cropped(pixels, notes, part, label)
    else:
        notes = (*notes, *_proposed(pixels, label, isinstance(source, str | os.PathLike)))
    digest = hashlib.sha256(content).hexdigest()
    return Clip(label, (Frame(pixels),), digest, notes=notes, damage=missing, content=content)


def _read_up_to(file: IO[bytes], max_bytes: int, name: str | None) -> bytes:
    """A file object's bytes, one more than the limit at most: that is enough to be refused."""
    try:
        begins = file.tell() if hasattr(file, "seekable") and file.seekable() else 0
        content = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{name or 'file'}: expected a file that can be read, got one that cannot ({error})"
        ) from error
    if content == b"" and begins:
        raise InputError(
            f"{name or 'file'}: expected a file at its beginning, got one that was read to its end: seek(0)"
        )
    if not isinstance(content, bytes):
        raise InputError(f"{name or 'file'}: expected a file open for reading bytes ('rb'), got one for text")
    return content


def _is_film(source: str | os.PathLike[str] | bytes | bytearray | memoryview) -> bool:
    """Whether a file begins as films do; False where that cannot be seen, for then it is `read` that says why."""
    from facewitness import film  # only where there is something to read: it starts processes

    if isinstance(source, bytes | bytearray | memoryview):
        return film.is_film(bytes(source[:64]))
    try:
        with open_bounded(Path(source), sys.maxsize) as file:
            return film.is_film(file.read(64))
    except (OSError, ValueError):
        return False


# What stands behind the # of a name: a page or picture from 1, or a box
_PART = re.compile(r"(.+)#(?:(\d{1,6})|(\d{1,7}),(\d{1,7}),(\d{1,7}),(\d{1,7}))", re.DOTALL)


def _part_of(path: str | os.PathLike[str]) -> tuple[str | os.PathLike[str], tuple[int, ...]]:
    """The file that a name stands for, and which part of it: (), (page,) or (x1, y1, x2, y2)."""
    match = _PART.fullmatch(os.fspath(path))
    if match is None or os.path.lexists(path) or not os.path.lexists(match[1]):
        return path, ()
    return match[1], tuple(int(number) for number in match.groups()[1:] if number is not None)


def file_of(path: str | os.PathLike[str]) -> Path:
    """The file that a name stands for: of scan.tif#2 it is scan.tif, unless there is a file of that name.

    Args:
        path: A file's name, with #n behind it for a page or picture of it.
    """
    return Path(_part_of(path)[0])


def parts(path: str | os.PathLike[str]) -> list[str]:
    """The names of a file's pages or pictures: those of a TIFF of several pages and of a PDF; else the name itself.

    What cannot be read goes by its own name, so that `read` can say why. No more than `stills.MOST_PARTS` are named.

    Args:
        path: A file's name, with #n behind it for a page or picture of it.
    """
    name = os.fspath(path)
    try:
        with open_bounded(file_of(path), limit_of(path)) as file:  # a pipe would be waited for
            head = file.read(stills.KNOWN_BY)
        is_tiff, is_pdf = head[:4] in tiff.MAGIC, stills.kind_of(head) == "pdf"
        if not (is_tiff or is_pdf) or _part_of(path)[1]:
            return [name]
        content = _content(Path(path), name, MAX_BYTES)
        if is_pdf:
            limits = {"max_pixels": MAX_PIXELS, "max_memory": MAX_MEMORY, "counting": True}
            count = _ask_stills(content, "pdf", name, limits, MAX_PIXELS)[0]["parts"]
        elif tiff.raw_kind(content) is not None:
            count = 1
        else:
            _load_decoders()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                count = _count(_opened(content), content, damage.extent(content))[0]
    except Exception:  # whatever it is, `read` meets it again and says so
        return [name]
    return [name] if count < 2 else [f"{name}#{number}" for number in range(1, min(count, stills.MOST_PARTS) + 1)]


def _cropped(
    pixels: Pixels, notes: tuple[str, ...], box: tuple[int, ...], label: str
) -> tuple[Pixels, tuple[str, ...]]:
    """What lies in a box of a picture, with a note that says so."""
    x1, y1, x2, y2 = box
    height, width = pixels.shape[:2]
    if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
        raise UnreadableMedia(
            f"'{label}': expected a box (x1,y1,x2,y2) inside the picture of {width} × {height} pixels, got {box}."
        )
    note = (
        f"Only the part from {x1}, {y1} to {x2}, {y2} of the picture of {width} × {height} pixels was analysed; places "
        "are counted from that part's corner."
    )
    return np.ascontiguousarray(pixels[y1:y2, x1:x2]), (*notes, note)


SCREEN = "This looks like a picture of a screen or a page"  # how the note on photographs inside a picture begins


def _proposed(pixels: Pixels, label: str, is_file: bool) -> tuple[str, ...]:
    """A note where photographs seem to stand inside a picture: where they are, and how to analyse each by itself."""
    boxes = screenshot.photographs_in(pixels)
    if not boxes:
        return ()
    names = [shlex.quote(f"{label if is_file else 'FILE'}#{','.join(map(str, box))}") for box in boxes]
    places = [f"{x2 - x1} × {y2 - y1} pixels from {x1}, {y1} to {x2}, {y2}" for x1, y1, x2, y2 in boxes]
    if len(boxes) == 1:
        stands, itself = f"a photograph seems to stand in it, {places[0]}", "By itself it is"
    else:
        listed = f"{'; '.join(places[:-1])}; and {places[-1]}"
        stands, itself = f"{len(boxes)} photographs seem to stand in it, {listed}", "One by one they are"
    return (f"{SCREEN}: {stands}. {itself} analysed with: facewitness analyze {' '.join(names)}",)


def limit_of(path: str | os.PathLike[str]) -> int:
    """How many bytes `read` takes of a file unless told otherwise: many more of a film than of a picture.

    Args:
        path: A file's name, with #n behind it for a page or picture of it.
    """
    if not _is_film(path):
        return MAX_BYTES
    from facewitness import film

    return film.MAX_BYTES


def _film(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview,
    name: str | None,
    sampling: Mapping[str, Any] | None,
    limits: Mapping[str, Any],
) -> Clip:
    from facewitness import film

    options = dict(sampling or {})
    known = inspect.signature(film.Sampling).parameters
    for option in options:
        if option not in known:
            raise UnknownName("option of sampling", option, known)
    content = source if isinstance(source, str | os.PathLike) else bytes(source)
    try:
        return film.read(content, film.Sampling(**options), name=name, **limits)
    except MissingExtra as error:  # the next file may be a photo
        raise UnreadableMedia(f"'{name or 'bytes'}' is a film. {error}") from error


@functools.cache
def _load_decoders() -> None:
    """Pillow's modules for the formats that are read; what it logs is not printed where nobody set a log up."""
    for module in _DECODERS.values():
        importlib.import_module(f"PIL.{module}")
    logging.getLogger("PIL").addHandler(
        logging.NullHandler()
    )  # what it logs of a file is in the sentence that is raised
    with contextlib.suppress(OSError, AttributeError):  # a Pillow with libtiff inside, as on Windows, shows no handlers
        pillow = ctypes.CDLL(importlib.import_module("PIL._imaging").__file__)
        pillow.TIFFSetErrorHandler(None)  # else it writes to standard error; Pillow raises all the same
        pillow.TIFFSetWarningHandler(None)


def check(content: bytes | Path, label: str, max_pixels: int = MAX_PIXELS, max_memory: int = MAX_MEMORY) -> None:
    """Whether an encoded picture, its bytes or its file, is one and within the limits, from its header alone.

    For those who decode it themselves, such as masks, or later.

    Args:
        content: Bytes of the file, or its path.
        label: What it is called in messages.
        max_pixels: More are refused.
        max_memory: Bytes; a picture that takes more to decode is refused.

    Raises:
        UnreadableMedia: As `read` does.
        TooLarge: As `read` does.
    """
    from PIL import UnidentifiedImageError

    _load_decoders()
    with content.open("rb") if isinstance(content, Path) else io.BytesIO(content) as file:
        kind = stills.kind_of(file.read(stills.KNOWN_BY))
    if kind is not None and importlib.util.find_spec(_EXTRAS[kind][1]) is not None:
        return  # the process that decodes it sees to the limits
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _opened(content) as image:
                _check_size(image, label, max_pixels, max_memory)
        except InputError:
            raise
        except UnidentifiedImageError as error:
            with content.open("rb") if isinstance(content, Path) else io.BytesIO(content) as file:
                came = kinds.no_picture(file.read(kinds.KNOWN_BY))
            raise UnreadableMedia(f"'{label}': expected {_WANTED}, got {came}.") from error
        except Exception as error:  # a broken file makes decoders raise almost anything
            raise UnreadableMedia(f"'{label}' is damaged or incomplete ({_in_our_words(error)}). {_AGAIN}") from error


def collect(paths: Iterable[str | os.PathLike[str]], left_out: set[Path] | None = None) -> Iterator[Path]:
    """The files that paths, folders and glob patterns stand for, each once, in a stable order.

    A folder gives the pictures and films in it and below it, by suffix, hidden ones left out; links to folders are not
    followed. What does not exist or holds no picture is passed on as it is, so that `read` can say so in its place and
    the others are still analysed.

    Args:
        paths: files, folders, patterns.
        left_out: gets the folders' other files, which have no ending of a picture or a film, hidden pictures and films,
            and links to folders.
    """
    seen: set[str] = set()
    others = set[Path]() if left_out is None else left_out
    for given in paths:
        for path in _expand(Path(given), others):
            if str(path) not in seen:
                seen.add(str(path))
                yield path


# -------------------------------------------------------------------------------------------------------------- paths


def _expand(path: Path, others: set[Path]) -> Iterator[Path]:
    if _is_folder(path):
        files = list(_pictures_below(path, others))
        yield from files or [path]
    elif glob.has_magic(str(path)) and not os.path.lexists(path):
        matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 -- takes absolute patterns
        files = []
        for match in matches:
            files += list(_pictures_below(match, others)) if _is_folder(match) else [match]
        yield from files or [path]
    else:
        yield path


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _pictures_below(folder: Path, others: set[Path]) -> Iterator[Path]:
    closed: list[Path] = []
    for where, folders, files in os.walk(folder, onerror=lambda error: closed.append(Path(error.filename))):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        others |= {Path(where, name) for name in folders if Path(where, name).is_symlink()}
        for file in sorted(files):
            is_shown, is_hidden = Path(file).suffix.lower() in SUFFIXES | FILMS, file.startswith(".")
            if file.startswith("._") or file.lower() in ("thumbs.db", "desktop.ini"):  # what file managers leave
                continue
            if is_shown and not is_hidden:
                yield Path(where, file)
            elif is_shown or not is_hidden:
                others.add(Path(where, file))
    yield from closed  # folders that may not be listed: `read` will say so


_ADDRESS = re.compile(r"(?i)((?:https?|ftps?|s3|gs|az|sftp|ipfs):)/+")


def without_secrets(name: str) -> str:
    """The name of a source; of a web address without what may be a secret: a user's name and password, and the query.

    Args:
        name: As it was given.
    """
    match = _ADDRESS.match(name)
    if not match:
        return name
    before, mark, _ = name[match.end() :].partition("?")
    host, slash, path = before.partition("/")
    _, at, server = host.rpartition("@")
    return f"{match[1]}//{'…@' if at else ''}{server}{slash}{path}{mark}{'…' if mark else ''}"


def _content(path: Path, label: str, max_bytes: int) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            if not os.access(path, os.R_OK | os.X_OK):
                raise UnreadableMedia(f"The folder '{label}' may not be listed. Give yourself the right to read it.")
            if next(_pictures_below(path, set()), None) is not None:
                raise UnreadableMedia(
                    f"'{label}' is a folder: expected a file. A list names each file of a folder; a folder by itself "
                    "is given to the command analyze."
                )
            raise UnreadableMedia(
                f"'{label}' is a folder without pictures and films: expected files that end in "
                f"{', '.join(sorted(SUFFIXES | FILMS))}. "
                "Name the files themselves if theirs are other endings."
            )
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableMedia(f"'{label}' is not a file: expected {_WANTED}. To read a pipe, use '-'.")
        if status.st_size > max_bytes:
            raise _too_many_bytes(label, status.st_size, max_bytes)
        return read_bounded(path, max_bytes)
    except FileNotFoundError as error:
        if path.is_symlink():
            raise UnreadableMedia(
                f"'{label}' is a link to '{path.readlink()}', which does not exist. Mend or remove the link."
            ) from error
        if match := _ADDRESS.match(str(path)):
            whole = f"{match[1]}//{str(path)[match.end() :]}"  # a path keeps one slash of two
            label = without_secrets(whole)
            address = shlex.quote(whole) if label == whole else "ADDRESS"
            web = match[1].lower().startswith("http")
            how = f"curl -L -o picture.jpg {address} && " if web else "its own tool, and then: "
            raise UnreadableMedia(
                f"'{label}': expected a file, got a web address. Nothing is fetched: whoever serves it would see who "
                "looks at it and when, and could send you another file than others get. Fetch it yourself"
                f"{':' if web else ' with'} {how}facewitness analyze picture.jpg"
            ) from error
        if str(path).lower().startswith("file:/"):
            raise UnreadableMedia(f"'{label}': expected a path, got an address. Leave 'file://' out.") from error
        whole, sign, part = str(path).rpartition("#")
        if sign and Path(whole).is_file():
            raise UnreadableMedia(
                f"'{label}': expected a page, such as #2, or a box, #x1,y1,x2,y2 in whole pixels, behind the file's "
                f"name, got '#{part}'. Quote the name, or leave the part out."
            ) from error
        raise UnreadableMedia(f"'{label}' does not exist. Check the path.") from error
    except PermissionError as error:
        raise UnreadableMedia(f"'{label}' may not be read. Give yourself the right to read it.") from error
    except (OSError, ValueError) as error:  # a loop of links, a name that is too long, a NUL in it, a failing disk
        if isinstance(error, InputError):
            raise
        why = getattr(error, "strerror", None) or "there is a character in it that no file's name has"
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            raise TooLarge(f"'{label}': {why}. Make it smaller, or raise max_bytes (--max-megabytes).") from error
        raise UnreadableMedia(f"'{label}' cannot be read: {why}. Check the path.") from error


# ----------------------------------------------------------------------------------------------------------- decoding


def _decode(
    content: bytes, label: str, max_pixels: int, max_memory: int, page: int | None = None
) -> tuple[Pixels, tuple[str, ...], str]:
    """The pixels, what was decided on the way, and a sentence where a part of the picture is missing.

    `page` counts from 1 the pages of a TIFF, the pictures of an animation, a HEIC or a PDF; None is the main one.
    """
    from PIL import Image, UnidentifiedImageError

    _load_decoders()
    if (kind := stills.kind_of(content[: stills.KNOWN_BY])) is not None:
        return _decode_elsewhere(content, kind, label, max_pixels, max_memory, page)
    _check_layout(content, label)
    notes: list[str] = []
    content = upright.without_long_exif(content, notes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd metadata, and about sizes that are checked here
        try:
            image = _opened(content)
            _check_size(image, label, max_pixels, max_memory)
            extent = damage.extent(content)
            if extent is not None and extent.scans > MOST_SCANS:
                raise TooLarge(
                    f"'{label}' is a JPEG of {extent.scans:,} scans; expected at most {MOST_SCANS}. Save it again."
                )
            notes += _turned_to(page, image, content, extent, label)
            _check_size(image, label, max_pixels, max_memory)  # a page has a size of its own
            mark = _end_mark(content, image.format, extent)
            if mark:
                content += mark
                image = _opened(content)
            turned = image.format == "TIFF" and image.tag_v2.get(0x0112) in upright.TURNS  # type: ignore[attr-defined]
            _load(image)
            if turned:  # Pillow has done it
                notes.append(upright.TURNED)
            with _limit_of(image):  # it is decoded again, in part
                incomplete = (
                    damage.is_short_elsewhere(content, image)
                    if extent is None
                    else damage.is_short(extent, content, image)
                )
            if mark:
                if incomplete:
                    raise UnreadableMedia(f"'{label}' is damaged or incomplete (its end is missing). {_AGAIN}")
                notes.append("The file lacks its end mark; the picture in it is whole.")
            elif _carries_film(content):
                notes.append("A film follows the photo in the file (a motion photo); --film analyses it instead.")
            elif extent is not None and extent.trailing and image.format != "MPO":
                notes.append(f"{extent.trailing:,} bytes behind the picture's end in the file were not looked at.")
            if image.format == "JPEG2000":
                image.info["icc_profile"] = upright.profile_of_jp2(content)
            elif image.format == "PNG":
                image.info["icc_profile"] = upright.profile_of_png(content)
            return upright.pixels(image, notes), tuple(notes), _MISSING if incomplete else ""
        except InputError:
            raise
        except UnidentifiedImageError as error:
            raise UnreadableMedia(f"'{label}': expected {_WANTED}, got {kinds.no_picture(content)}.") from error
        except (MemoryError, Image.DecompressionBombError) as error:
            raise TooLarge(f"'{label}' does not fit into memory. Make it smaller.") from error
        except Exception as error:  # a broken file makes decoders raise almost anything
            raise UnreadableMedia(f"'{label}' is damaged or incomplete ({_in_our_words(error)}). {_AGAIN}") from error


def _check_layout(content: bytes, label: str) -> None:
    """Raises UnreadableMedia for what a decoder would take long over, or show a preview of: told before it is asked."""
    if camera := tiff.raw_kind(content):
        raise UnreadableMedia(
            f"'{label}' is a camera's raw file ({camera}): expected {_WANTED}. Develop it, and export it as JPEG or "
            "TIFF; the small picture inside was not looked at."
        )
    if tiff.is_overlong(content):
        raise UnreadableMedia(
            f"'{label}' is damaged: its directories hold more than {tiff.MOST_VALUES:,} entries, or one of these more "
            f"numbers. {_AGAIN}"
        )
    if damage.is_scattered(content):
        raise UnreadableMedia(
            f"'{label}' is damaged: it is in more than {damage.MOST_PIECES:,} pieces, or has a megabyte of nothing "
            f"between them. {_AGAIN}"
        )


def _turned_to(
    page: int | None, image: Image.Image, content: bytes, extent: damage.Extent | None, label: str
) -> list[str]:
    """Goes to the page that is asked for, and returns notes on which of the file's pictures it is.

    Raises UnreadableMedia where there is no such page.
    """
    count, broken = _count(image, content, extent)
    notes = ["What the file says of further pages behind this one is damaged."] if broken else []
    if page is not None and not 1 <= page <= count:
        holds = (
            "1 picture; expected the number 1" if count == 1 else f"{count} pictures; expected a number from 1 to that"
        )
        raise UnreadableMedia(f"'{label}': the file holds {holds}.")
    if count > 1 and (page is not None or image.format != "MPO" or _is_one_of_several(content)):
        notes += _which(page, count, label, "page" if image.format == "TIFF" else "picture")
        if page is None and image.format in _MOVING:
            notes[-1] += _MOVING[image.format]
    if page is not None and page > 1:
        image.seek(page - 1)
    return notes


_FRAME_OF_GIF = b"!\xf9\x04"  # begins the extension that each picture of an animation has
_MOST_COUNTED = 10_000


def _count(image: Image.Image, content: bytes, extent: damage.Extent | None) -> tuple[int, bool]:
    """How many pictures are in a file, and whether a TIFF's chain of pages leads to nowhere behind the last."""
    if image.format == "GIF" and (many := content.count(_FRAME_OF_GIF)) > _MOST_COUNTED:
        return many, False  # Pillow walks through all of it
    if image.format != "TIFF":
        count = getattr(image, "n_frames", 1)
        if image.format == "PNG" and extent is not None:  # Pillow believes what it says
            count = min(count, max(1, extent.pictures))
        return count, False
    pages, broken = tiff.pages(content)
    return max(1, len(pages)), broken  # Pillow would load each to count them, and raise where the chain breaks


_MOVING = {  # what may hold an animation: how all of it is analysed
    "GIF": " --film looks at it as a film.",
    "WEBP": " --film looks at it as a film.",
    "PNG": " To have it looked at as a film, save it as WebP and say --film.",
}
_SPARES = 16  # pictures of a photo that are looked at for being as large as it


def _is_one_of_several(content: bytes) -> bool:
    """Whether an MPO holds another picture as large as its first; most hold a photo and a preview or a map."""
    with contextlib.suppress(Exception), _opened(content) as image:  # what is damaged there is no picture
        whole = image.size
        for number in range(1, min(getattr(image, "n_frames", 1), _SPARES)):
            image.seek(number)
            if image.size == whole:
                return True
    return False


_LEFT_OUT = "Only the first of"


def leaves_out(note: str) -> bool:
    """Whether a note says that pictures of a file were not read, or faces of a picture not examined.

    Args:
        note: Of a clip or a report.
    """
    return note.startswith((_LEFT_OUT, "Only the largest"))


def _which(page: int | None, count: int, label: str, what: str) -> list[str]:
    """Which of several pictures of a file this is, and how the others are called."""
    if page is not None:
        return [f"This is {what} {page} of {count} in the file."]
    if what == "picture":
        return [f"{_LEFT_OUT} {count} pictures in the file was analysed."]
    name = label.rpartition("/")[2]
    return [f"{_LEFT_OUT} {count} {what}s in the file was analysed; the second is named {name}#2."]


def _decode_elsewhere(
    content: bytes, kind: str, label: str, max_pixels: int, max_memory: int, page: int | None
) -> tuple[Pixels, tuple[str, ...], str]:
    """As `_decode`, by `stills` in a process of its own."""
    from PIL import Image

    limits = {"max_pixels": max_pixels, "max_memory": max_memory, "part": page}
    header, icc, payload = _ask_stills(content, kind, label, limits, max_pixels)
    notes: list[str] = list(header["notes"])
    if kind == "pdf" and page is None and header["parts"] > 1:
        notes.append(f"The others are named {label.rpartition('/')[2]}#2 and so on.")
    elif kind == "heif" and header["parts"] > 1:
        notes += _which(page, header["parts"], label, "picture")
    if header.get("encoded"):  # a JPEG or JPEG 2000, as it lies inside
        pixels, more, missing = _decode(payload, label, max_pixels, max_memory)
        return pixels, (*notes, *more), missing
    try:
        image = Image.frombytes(header["mode"], tuple(header["size"]), payload)
        image.info["icc_profile"] = icc or None
        return upright.pixels(image, notes), tuple(notes), ""
    except (ValueError, OSError) as error:
        raise UnreadableMedia(f"'{label}' is damaged or incomplete ({error}). {_AGAIN}") from error
    except MemoryError as error:
        raise TooLarge(f"'{label}' does not fit into memory. Make it smaller.") from error


def _ask_stills(
    content: bytes, kind: str, label: str, asked: Mapping[str, Any], max_pixels: int
) -> tuple[dict[str, Any], bytes, bytes]:
    """What the process says of a file: its answer, a colour profile and the payload. Raises as `read` does."""
    name, module, extra, _ = _EXTRAS[kind]
    if importlib.util.find_spec(module) is None:
        raise UnreadableMedia(
            f"'{label}': expected {_WANTED}, got {name}, which takes pip install '.[{extra}]', from a clone of the "
            f"repository. Install that, or "
            f"{'take the picture out of it' if kind == 'pdf' else 'convert it to JPEG'} first."
        )
    code = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from facewitness.stills import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", code, json.dumps(sys.path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
    )  # fmt: skip
    silent = threading.Event()

    def give_up() -> None:
        silent.set()
        process.kill()

    watchdog = threading.Timer(_PATIENCE, give_up)
    watchdog.daemon = True
    watchdog.start()
    assert process.stdin is not None and process.stdout is not None
    question = json.dumps({**asked, "kind": kind, "bytes": len(content)}).encode() + b"\n"
    feeding = threading.Thread(target=_feed, args=(process.stdin, question, content), daemon=True)
    feeding.start()
    try:
        line = process.stdout.readline(1_000_000)
        header = json.loads(line) if line.endswith(b"\n") else {}
        sizes = header.get("icc", 0), header.get("bytes", 0)
        if sizes[0] > 10_000_000 or sizes[1] > 4 * max_pixels + MAX_BYTES:
            header, sizes = {}, (0, 0)  # no answer that it could give to this question
        icc, payload = (process.stdout.read(size) for size in sizes)
        if not header or len(icc) + len(payload) < sum(sizes):
            why = f"gave no answer for {_PATIENCE:g} seconds" if silent.is_set() else _end_of(process)
            raise UnreadableMedia(f"'{label}' could not be read: the {name} decoder {why}. {_AGAIN}")
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        feeding.join()
        process.stdout.close()
    if header.get("lacking"):
        raise UnreadableMedia(
            f"'{label}' is {name}, and its decoder cannot be loaded: pip install '.[{extra}]', from a clone of the "
            "repository."
        )
    if refused := str(header.get("refused") or ""):
        end = "" if refused.endswith(".") else f". {_AGAIN}"
        raise (TooLarge if header["large"] else UnreadableMedia)(f"'{label}' {refused}{end}")
    return header, icc, payload


def _feed(stream: IO[bytes], question: bytes, content: bytes) -> None:
    try:
        with stream:
            stream.write(question)
            stream.write(content)
    except OSError:  # it has ended before it read everything: its answer says why
        pass


def _end_of(process: subprocess.Popen[bytes]) -> str:
    status = process.wait()
    if status == -9:
        return "was ended by the system, perhaps for want of memory"
    return f"ended by signal {-status}" if status < 0 else "gave no answer"


_PATIENCE = 120.0  # seconds for one picture elsewhere


def _in_our_words(error: Exception) -> str:
    """What is wrong with a file that a decoder cannot read; its own words speak of how the decoder is made."""
    words = str(error).lower()
    return "its end is missing" if "truncat" in words or isinstance(error, EOFError) else "its data cannot be decoded"


_AGAIN = "Fetch or export it again."
_MISSING = "A part of the picture is missing or damaged in the file; what is shown there is the decoder's."


def _carries_film(content: bytes) -> bool:
    """Whether it is a photo with a film behind it, as phones write them."""
    from facewitness import film

    return film.film_at(content) is not None


def _opened(content: bytes | Path) -> Image.Image:
    """The picture with its header read and nothing decoded."""
    from PIL import Image

    with _our_limit():
        file = content if isinstance(content, Path) else io.BytesIO(_pixels_alone(content))
        return Image.open(file, formats=tuple(_DECODERS))


def _load(image: Image.Image) -> None:
    """Decode it. Of what is larger than Pillow's own limit, and not than ours, one at a time."""
    with _limit_of(image):
        image.load()


def _limit_of(image: Image.Image) -> AbstractContextManager[None]:
    """Our limit in the place of Pillow's, where the picture is larger than that."""
    import PIL.Image

    with _opening:  # nobody has lifted it now
        limit = PIL.Image.MAX_IMAGE_PIXELS
    return _our_limit() if limit is not None and image.width * image.height > 2 * limit else nullcontext()


@contextmanager
def _our_limit() -> Iterator[None]:
    """Pillow's own limit is a global; ours, which knows width and height, takes its place for one at a time."""
    import PIL.Image

    with _opening:
        limit, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = limit


_PNG = b"\x89PNG\r\n\x1a\n"
_ASIDE = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")


def _pixels_alone(content: bytes) -> bytes:
    """A PNG without what Pillow reads into memory and refuses a picture for, where it is broken or there is much of it.

    `provenance` reads the texts, `upright` the colour profile.
    """
    if not content.startswith(_PNG):
        return content
    parts, at, kept = [], len(_PNG), 0  # `kept`: from where on nothing was cut out yet
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] in _ASIDE and end <= len(content):
            parts.append(content[kept:at])
            kept = end
        at = end
    return content if not parts else b"".join([*parts, content[kept:]])


# Bytes that a pixel takes at the peak of decoding, the decoder's own and Pillow's; measured at 32 million pixels, where
# the result took 3 more and strips another. AVIF: with 10 or 12 bits, half as much again as measured with 8
_TAKES = {"WEBP": 17, "AVIF": 12, "JPEG2000": 16}
_A_TILE = 1 << 20  # pixels; programs write up to 1024², also of smaller pictures, and the decoder takes a whole one
_A_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "LA": 4, "PA": 4}  # else 4


def _check_size(image: Image.Image, label: str, max_pixels: int, max_memory: int) -> None:
    """Raises TooLarge for more pixels, or more memory while it is read, than there may be."""
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise _too_many_pixels(label, image.width, image.height, max_pixels)
    if image.format == "TIFF":
        sides = [image.tag_v2.get(tag, 0) for tag in (322, 323)]  # type: ignore[attr-defined]
        if all(isinstance(side, int) for side in sides) and sides[0] * sides[1] > 4 * max(pixels, _A_TILE):
            raise UnreadableMedia(
                f"'{label}' is damaged: of {image.width} × {image.height} pixels, it has tiles of {sides[0]:,} × "
                f"{sides[1]:,}. {_AGAIN}"
            )
    stored = _A_PIXEL.get(image.mode, 4)
    taken = _TAKES.get(image.format or "", stored + (6 if image.info.get("progressive") else 0)) + 3
    if image.format == "WEBP":  # its decoder holds four copies until the last is taken: 50 million pixels at most
        taken *= 2
    if pixels * taken > max_memory:
        takes, limit = beyond(pixels * taken / 1e9, max_memory / 1e9, 1)
        raise TooLarge(
            f"'{label}' is {image.width} × {image.height} pixels as {image.format}, and reading it would take "
            f"{takes} GB of memory; expected at most {limit} GB. Make it smaller, or raise max_memory (--max-memory)."
        )


def _end_mark(content: bytes, kind: str | None, extent: damage.Extent | None) -> bytes:
    """The end mark that a file lacks and its decoder insists on."""
    if kind == "JPEG" and extent is not None and not extent.ended:
        return b"\xff\xd9" if content[-1:] != b"\xff" else b"\xd9"
    if kind == "JPEG2000" and content[-2:] != b"\xff\xd9":
        return b"\xff\xd9"
    return b""


def _from_image(image: Image.Image, label: str, max_pixels: int) -> Clip:
    """An image that somebody opened with PIL; theirs stays as it is."""
    if image.width * image.height > max_pixels:
        raise _too_many_pixels(label, image.width, image.height, max_pixels)
    if not image.width or not image.height:
        raise InputError(f"{label}: expected a PIL image with pixels, got {image.width} × {image.height}")
    notes: list[str] = []
    try:
        pixels = upright.pixels(image.copy(), notes)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{label}: expected a PIL image that can be decoded, got one that cannot ({error})") from error
    return Clip(label, (Frame(pixels),), notes=tuple(notes))


def _from_array(array: NDArray[Any], label: str, max_pixels: int) -> Clip:
    wanted = "an array of uint8 with the shape (height, width, 3) in RGB, (height, width, 4) or (height, width)"
    array = np.asarray(array)  # np.matrix is never of three dimensions
    if array.dtype != np.uint8:
        if array.dtype.kind == "f":
            holes = "" if np.isfinite(array).all() else ", and it holds NaN or infinite values"
            advice = "Values from 0 to 1 become uint8 with (array * 255).round().astype('uint8')"
            raise InputError(f"{label}: expected {wanted}, got {array.dtype}{holes}. {advice}.")
        raise InputError(f"{label}: expected {wanted}, got {array.dtype}. Scale the values to 0..255 yourself.")
    shape = array.shape
    if array.size == 0 or array.ndim not in (2, 3) or (array.ndim == 3 and shape[2] not in (1, 3, 4)):
        raise InputError(f"{label}: expected {wanted}, got the shape {shape}.")
    if shape[0] * shape[1] > max_pixels:  # a view may stand for more than there is memory
        raise _too_many_pixels(label, shape[1], shape[0], max_pixels)
    notes: list[str] = []
    if array.ndim == 2 or shape[2] == 1:
        pixels = np.repeat(array.reshape(shape[0], shape[1], 1), 3, axis=2)
    elif shape[2] == 4:
        pixels = upright.on_white(array, notes)
    else:
        pixels = np.ascontiguousarray(array)
    return Clip(label, (Frame(pixels),), notes=tuple(notes))


def _too_many_pixels(label: str, width: int, height: int, limit: int) -> TooLarge:
    has, most = beyond(width * height / 1e6, limit / 1e6)
    return TooLarge(
        f"'{label}' is {width} × {height} = {has} million pixels; expected at most {most} million. Make it smaller, "
        "or raise max_pixels (--max-megapixels)."
    )


def _too_many_bytes(label: str, size: int | None, limit: int) -> TooLarge:
    """Of a stream nobody knows the size: it was read one byte further than the limit."""
    if size is None:
        has, most = f"more than {limit / 1e6:,.12g}", f"{limit / 1e6:,.12g}"
    else:
        has, most = beyond(size / 1e6, limit / 1e6)
    return TooLarge(
        f"'{label}' is {has} MB; expected at most {most} MB. Make it smaller, or raise max_bytes (--max-megabytes)."
    )
