"""Files written whole or not at all, read only where they are files, and folders with one writer at a time."""

from __future__ import annotations

import codecs
import errno
import hashlib
import io
import json
import os
import platform
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from facewitness.errors import InputError

MOST_WEIGHTS = 1 << 37  # bytes of a file of weights; so that what never ends, as a device, is not read on and on
A_FOLDER = "is a folder, no file"  # of `absence`
MOST_TEXT = 100_000_000  # bytes of a card, a recipe or a list of certificates


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A passing name beside a path, to write to as one goes; it becomes the path itself at the end.

    Makes the folder if need be. Where anything raises, nothing is left of the file. Of several writers at once, the
    last one wins.

    Args:
        path: Of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".facewitness-", dir=path.parent)
    os.close(handle)
    passing = Path(name)
    try:
        yield passing
        with passing.open("rb") as written:  # else a power cut may leave a name with nothing behind it
            os.fsync(written.fileno())
        passing.chmod(0o644)
        passing.replace(path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:  # as of a full disk
            error.filename = str(path)
        passing.unlink(missing_ok=True)
        raise


def read_bounded(path: Path, limit: int) -> bytes:
    """The bytes of an ordinary file, without waiting for anything and never more than `limit` of them.

    A pipe, a socket or a device is refused before it is opened, and what calls itself a file of no bytes, as those of
    /proc do, is not opened either: reading some of them waits for ever, others never end.

    Args:
        path: Of the file.
        limit: So many bytes.

    Raises:
        OSError: Where it cannot be read; with ENOTSUP for what is no ordinary file and EFBIG for more than `limit`
            bytes, and a `strerror` that says so.
    """
    with open_bounded(path, limit) as file:
        content = file.read(min(limit, path.stat().st_size) + 1)  # room is made for as many bytes as are asked for
        while (more := file.read(min(limit + 1 - len(content), 1 << 20))) != b"":  # it has grown
            content += more
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it holds more than {limit / 1e6:,.0f} MB", str(path))
    return content


def read_text(path: Path, limit: int = MOST_TEXT) -> str:
    """As `read_bounded`, of a text in UTF-8.

    Args:
        path: Of the file.
        limit: So many bytes.

    Raises:
        OSError: As `read_bounded`.
        UnicodeDecodeError: It is no UTF-8.
    """
    return read_bounded(path, limit).decode("utf-8")


def read_json(path: Path, limit: int = MOST_TEXT) -> Any:
    """As `read_text`, of JSON in which no object has a key twice.

    Args:
        path: Of the file.
        limit: So many bytes.

    Raises:
        OSError: As `read_bounded`.
        ValueError: It is no such JSON, or nested too deep.
    """
    try:
        return json.loads(read_text(path, limit), object_pairs_hook=each_once)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def read_json_lines(path: Path, limit: int = MOST_TEXT) -> list[Any]:
    """As `read_json`, of a value a line; a mark of UTF-8 before the first and lines without a letter are passed over.

    Lines end with \\n alone: `str.splitlines` would cut at U+2028 within a text, too.

    Args:
        path: Of the file.
        limit: So many bytes.

    Raises:
        OSError: As `read_bounded`.
        ValueError: A line is no such JSON, or nested too deep; the message has its number.
    """
    values = []
    for number, line in enumerate(read_bounded(path, limit).removeprefix(codecs.BOM_UTF8).split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            values.append(json.loads(line.decode("utf-8"), object_pairs_hook=each_once))
        except UnicodeDecodeError:
            raise ValueError(f"line {number} is no UTF-8") from None
        except RecursionError:
            raise ValueError(f"line {number} is nested too deep") from None
        except ValueError as error:
            raise ValueError(f"line {number} is no JSON: {error}") from None
    return values


def sha256(path: Path, limit: int) -> str:
    """Of the bytes that `read_bounded` gives, a piece at a time.

    Args:
        path: Of the file.
        limit: So many bytes.

    Raises:
        OSError: As it does.
    """
    digest, room = hashlib.sha256(), limit
    with open_bounded(path, limit) as file:
        while piece := file.read(1 << 20):
            room -= len(piece)
            if room < 0:
                raise OSError(errno.EFBIG, f"it holds more than {limit / 1e6:,.0f} MB", str(path))
            digest.update(piece)
    return digest.hexdigest()


def is_there(path: Path) -> bool:
    """Whether an ordinary file lies at a path; at a name that is too long for the system none does.

    Args:
        path: Of the file.
    """
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def at_home(path: str) -> Path:
    """A path whose ~ is somebody's home; where nobody has that home, it is a name as any other.

    Args:
        path: As a user wrote it.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def absence(path: Path) -> str:
    """Why there is no ordinary file at a path, as a sentence's end: "does not exist", "is a folder, no file".

    Args:
        path: Where none is, by `is_file`.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "is a link to what does not exist" if path.is_symlink() else "does not exist"
    except (OSError, ValueError) as error:
        return f"cannot be looked at ({getattr(error, 'strerror', None) or error})"
    return A_FOLDER if stat.S_ISDIR(mode) else "is a device, a pipe or a socket, no file"


def ordinary(path: Path, limit: int = sys.maxsize) -> Path:
    """The path, where an ordinary file lies that holds something: for readers that open a path by themselves.

    Args:
        path: Of the file.
        limit: So many bytes.

    Raises:
        OSError: As `read_bounded` does; with ENODATA for a file of no bytes.
    """
    open_bounded(path, limit).close()
    if path.stat().st_size == 0:  # as /proc has them: some are never read to their end
        raise OSError(errno.ENODATA, "it holds nothing", str(path))
    return path


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, for `json.loads(…, object_pairs_hook=each_once)`: Python keeps the last of a doubled key.

    Args:
        pairs: Its keys and values, in their order.

    Returns:
        Key → value.

    Raises:
        ValueError: A key stands twice; the message says which.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in values if names.count(name) > 1)
        raise ValueError(f"the key {twice[:80]!r} stands twice in one object")
    return values


def beyond(amount: float, limit: float, digits: int = 0) -> tuple[str, str]:
    """A number and the limit that it is over in words, with so many digits that it shows: 201 and 200, 0.3 and 0.1.

    Args:
        amount: More than the limit.
        limit: In the same unit.
        digits: At least so many after the point.

    Returns:
        The number's words, and the limit's.
    """
    words = ("", "")
    for more in range(digits, 10):
        words = f"{amount:,.{more}f}", f"{limit:,.{more}f}"
        if words[0] != words[1] and (limit == 0 or float(words[1].replace(",", "")) > 0):
            break
    return words


def open_bounded(path: Path, limit: int) -> BinaryIO:
    """An ordinary file, open for reading; see `read_bounded`. How much is read is the caller's to bound.

    Args:
        path: Of the file.
        limit: So many bytes.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.ENOTSUP, "it is a device, a pipe or a socket, no file", str(path))
    if status.st_size > limit:
        holds, most = beyond(status.st_size / 1e6, limit / 1e6)
        raise OSError(errno.EFBIG, f"it holds {holds} MB, more than {most}", str(path))
    if status.st_size == 0:
        return io.BytesIO()
    # It may have been replaced since, and may grow while it is read: neither is waited for.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    file = open(handle, "rb")  # noqa: SIM115  (the caller's to close)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        file.close()
        raise OSError(errno.ENOTSUP, "it is a device, a pipe or a socket, no file", str(path))
    return file


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file as `whole` does, and return its path.

    Args:
        path: Of the file.
        content: What is written.

    Raises:
        OSError: Where it cannot be written.
    """
    with whole(path) as passing:
        passing.write_bytes(content)
    return path


def unable(error: OSError, path: Path | str | None = None) -> str:
    """That something could not be read or written, and what to do where a disk is full.

    Args:
        error: What the system says.
        path: Of what, where the error does not name it.

    Returns:
        A sentence, or two.
    """
    where = f" '{name}'" if (name := error.filename or path) else ""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    room = " Make room there, or name another place." if full else ""
    return f"expected to read or write{where}, and could not ({error.strerror or error}).{room}"


def folder_of_ours(chosen: str, mac: str, variable: str, linux: str) -> Path:
    """A folder of facewitness in one's home, as the platform has them; it may not exist yet.

    Args:
        chosen: Environment variable that names another one.
        mac: Where programs keep such things on a Mac; on Windows it is always the local application data.
        variable: Environment variable that says where elsewhere.
        linux: And where without it.
    """
    if named := os.environ.get(chosen):
        return at_home(named)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = mac
    else:
        base = os.environ.get(variable) or linux
    return at_home(base) / "facewitness"


def writable(path: Path, what: str = "file") -> None:
    """Sees that something can be written at a path, before any work is done for it. Nothing is left there.

    Args:
        path: Of the file or folder to be written; the folders above it need not be there.
        what: "file" or "folder".

    Raises:
        InputError: Nothing can.
    """
    place = path if what == "folder" else path.parent
    if str(path) == "-":  # other programs write to standard output then
        raise InputError(
            f"'-': expected the name of a {what} to write to, got what stands for standard output. Name one."
        )
    if what == "file" and path.is_dir():
        raise InputError(f"'{path}': expected a file's name to write to, got a folder. Name a file in it.")
    if path.is_symlink() and not path.exists():
        raise InputError(f"'{path}': expected a {what} to write to, got a link to what does not exist. Mend the link.")
    if what == "file" and path.exists() and not path.is_file():
        return  # a device, as /dev/stdout is
    try:
        while not os.path.lexists(place):
            place = place.parent
        if not place.is_dir():
            raise InputError(f"'{path}': expected a folder to write to, got the file '{place}'. Name another one.")
        tempfile.TemporaryFile(dir=place).close()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"'{path}': expected a {what} that can be written, got one that cannot ({why}). Name another one."
        ) from error


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keeps other processes out while one writes, by the system's lock on a file that says who holds it.

    The lock ends with its holder, however that ended, and what a killed one left is taken over, from another machine or
    container as well. A file system that knows no locks keeps nobody out.

    Args:
        path: Of the file: x.jsonl.lock holds the file x.jsonl, any other name the folder it lies in.

    Raises:
        InputError: Somebody else holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _locked(handle):
                raise InputError(_taken(path, handle))
            if _still(path, handle):
                break
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    try:
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps({"pid": os.getpid(), "host": platform.node()}).encode())
        yield
    finally:
        with suppress(OSError):  # Windows lets nobody delete what is open
            path.unlink()
        os.close(handle)


def _locked(handle: int) -> bool:
    """Whether an open file is ours alone now."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(handle, 1 << 30, os.SEEK_SET)  # who holds it stands before, for others to read
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            os.lseek(handle, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL):
            raise
    return True


def _still(path: Path, handle: int) -> bool:
    """Whether a file has its name still: its last holder may have deleted it after we had opened it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _taken(path: Path, handle: int) -> str:
    """The sentence about who holds a file."""
    who = "another process"
    for _ in range(20):  # its holder may be about to write into it
        try:
            os.lseek(handle, 0, os.SEEK_SET)
            there = json.loads(os.read(handle, 1000))
            who = f"process {int(there['pid'])}" + f" on {there['host']}" * (there["host"] != platform.node())
            break
        except (OSError, ValueError, TypeError, KeyError):
            time.sleep(0.05)
    beside = path.with_suffix("")
    what, kind = (beside, "file") if path.suffix == ".lock" and beside.is_file() else (path.parent, "folder")
    return (
        f"'{what}': expected a {kind} that nobody else writes to, got one that is being written to by {who}. Wait for "
        "it, or name another."
    )
