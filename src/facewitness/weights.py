"""Where weights come from, and the check that they are the right ones.

A file is looked for in this order, and its SHA-256 is compared before anybody loads it:

    1. a local folder         the environment variable FACEWITNESS_MODELS
    2. the installed package  `facewitness/weights/`, which travels in the wheel
    3. the cache              the environment variable FACEWITNESS_CACHE, or the platform's folder for caches
    4. the source             for MediaPipe's face models: one pinned wheel, fetched by pip from the user's own index

The right hash of a file of 3 and 4 stands below in `SOURCES`. A folder of 1 or 2 vouches for other files with a list
`SHA256SUMS` beside them, in the format of the command `sha256sum`. Only formats that cannot run code when they are
read are accepted.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from facewitness.errors import WeightsError
from facewitness.files import MOST_WEIGHTS, at_home, each_once, folder_of_ours, read_bounded, read_text, write_whole

T = TypeVar("T")
_MOST_FITTED = 1_000_000  # bytes of numbers that were fitted for a network

FORMATS = (".onnx", ".safetensors", ".tflite", ".json")  # .json: cards and calibrations that belong to weights
LISTING = "SHA256SUMS"
MOST_THREADS = 256  # that a network may be given; libraries start as many as they are told, and more only wait

_WHEEL = "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"
_WHEEL_SHA256 = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"
# We take data files out of the wheel and never install it, so any platform and any Python can use this one.
_PIP_DOWNLOAD = [
    *("download", "--no-deps", "--only-binary=:all:", "--python-version", "3.11"),
    *("--platform", "manylinux_2_28_x86_64", "mediapipe==0.10.21"),
]
_PIP_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Source:
    """A file that does not travel with us: where it stands inside the pinned wheel, and its hash."""

    member: str
    sha256: str


SOURCES: dict[str, Source] = {
    # MediaPipe (Apache-2.0): BlazeFace, arXiv 1907.05047; Face Mesh, arXiv 1907.06724
    "face_detection_short_range.tflite": Source(
        "mediapipe/modules/face_detection/face_detection_short_range.tflite",
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    ),
    "face_landmark.tflite": Source(
        "mediapipe/modules/face_landmark/face_landmark.tflite",
        "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
    ),
}


@dataclass(frozen=True, slots=True)
class Weights:
    """A file whose hash has been checked."""

    path: Path
    sha256: str


def find(name: str) -> Weights:
    """The checked file of that name, fetched into the cache if it has to be.

    Args:
        name: Of the file.

    Raises:
        WeightsError: Where it cannot be had or is not what it should be; the message says how to mend it.
    """
    if Path(name).name != name or Path(name).suffix not in FORMATS:
        raise WeightsError(
            f"Weights '{name}': expected the bare name of a file in one of the formats {', '.join(FORMATS)}. "
            "Other formats may run code when they are read and are refused."
        )
    for folder in _folders():
        path = folder / name
        if path.is_file():
            mend = "Delete it" if name in SOURCES else f"Copy it again, or mend its line in '{folder / LISTING}',"
            return _checked(path, _expected(name, folder), f"{mend} and try again.")
    cached = cache() / name
    source = SOURCES.get(name)
    if source is None:
        places = " and ".join(str(folder) for folder in _folders())
        raise WeightsError(
            f"The weights '{name}' are not in {places}. Reinstall facewitness, or put the file and a list {LISTING} "
            "into a folder and name that folder in the environment variable FACEWITNESS_MODELS."
        )
    # A damaged file in the cache is ours to mend: fetch it again instead of complaining.
    if not cached.is_file() or _sha256(cached) != source.sha256:
        _fill_cache()
    return _checked(cached, source.sha256)


def read(name: str) -> tuple[bytes, str]:
    """The bytes of that file, and their SHA-256: what is loaded is what was hashed.

    Args:
        name: Of the file.

    Returns:
        The bytes, and their SHA-256.

    Raises:
        WeightsError: It is missing, cannot be fetched, or is another file.
    """
    file = find(name)
    try:
        content = read_bounded(file.path, MOST_WEIGHTS)
    except OSError as error:
        raise WeightsError(f"'{file.path}' cannot be read ({error.strerror}).") from error
    if hashlib.sha256(content).hexdigest() != file.sha256:  # replaced since it was found
        raise WeightsError(f"'{file.path}' changed while it was being read. Try again.")
    return content, file.sha256


def bytes_of(path: Path) -> bytes:
    """The bytes of a file that somebody names: weights, a card, certificates.

    Args:
        path: Of the file.

    Raises:
        OSError: It cannot be read, or is no ordinary file; what never ends is not read.
    """
    return read_bounded(path, MOST_WEIGHTS)


def whole_onnx(content: bytes, path: Path) -> bytes:
    """The same bytes of an ONNX file, after the check that all of the network is in them.

    An ONNX file may name other files that hold its tensors; no hash covers those, and whoever changes one changes the
    verdicts. What is loaded must be loaded from these bytes, so that there is nothing else to read.

    Args:
        content: Of the file.
        path: Where they lie, for messages.

    Raises:
        WeightsError: For tensors that lie in another file, and for what is no ONNX.
    """
    try:
        external = content[4:8] == b"ORTM" or _is_external(memoryview(content), "model", 0)
    except (IndexError, ValueError) as error:
        raise WeightsError(f"'{path}' is no ONNX file ({error}). Copy it again from where it came.") from error
    if external:
        raise WeightsError(
            f"'{path}' keeps tensors in another file, which its SHA-256 does not cover. Save it as one ONNX file: "
            "onnx.save_model(onnx.load(FILE), FILE)."
        )
    return content


# Where tensors can stand in ONNX's protocol buffers: message → field number → message (onnx.proto3)
_ONNX: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_DEEPEST = 64  # graphs in graphs


def _is_external(message: memoryview, kind: str, depth: int) -> bool:
    """Whether a tensor in this message lies in another file. Raises IndexError or ValueError for a broken message."""
    if depth > _DEEPEST:
        raise ValueError("its graphs are nested too deep")
    inside = _ONNX.get(kind, {})
    for field, value in _fields(message):
        if isinstance(value, int):
            if kind == "tensor" and field == 14 and value != 0:  # data_location: EXTERNAL
                return True
        elif (kind == "tensor" and field == 13) or (  # external_data
            field in inside and _is_external(value, inside[field], depth + 1)
        ):
            return True
    return False


def producers(content: bytes) -> tuple[str, dict[str, tuple[str, tuple[str, ...]]]]:
    """How an ONNX file's network is put together, as far as its operators go; no tensor is read.

    Args:
        content: Of a file that `whole_onnx` has passed.

    Returns:
        Name of the first output; name of each value → the operator that makes it, and the values that it takes.
    """
    made: dict[str, tuple[str, tuple[str, ...]]] = {}
    output = ""
    graph = _texts_of(memoryview(content), 7)
    for field, value in _fields(graph[0]) if graph else ():
        if isinstance(value, int):
            continue
        if field == 1:  # a node: what it takes, what it makes, its operator
            takes, makes, operator = (_names(value, number) for number in (1, 2, 4))
            made |= dict.fromkeys(makes, ("".join(operator), takes))
        elif field == 12 and not output:
            output = "".join(_names(value, 1))
    return output, made


def _names(message: memoryview, field: int) -> tuple[str, ...]:
    return tuple(str(text, "utf-8", "replace") for text in _texts_of(message, field))


def _texts_of(message: memoryview, number: int) -> tuple[memoryview, ...]:
    """The fields of one number that hold bytes."""
    return tuple(value for field, value in _fields(message) if field == number and isinstance(value, memoryview))


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message of protocol buffers: number, and value; fixed numbers are left out.

    Raises:
        IndexError, ValueError: The message is broken.
    """
    place, end = 0, len(message)
    while place < end:
        tag, place = _varint(message, place)
        field, wire = tag >> 3, tag & 7
        if wire == 0:
            value, place = _varint(message, place)
            yield field, value
            continue
        if wire == 2:
            length, place = _varint(message, place)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if place + length > end:
            raise IndexError("it ends too early")
        if wire == 2:
            yield field, message[place : place + length]
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """A number of 7 bits a byte, and where the next field begins."""
    value = shift = 0
    while shift < 70:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    raise ValueError("a number of more than 10 bytes")


def with_card(name: str, how: str) -> Path:
    """The path of a network's weights whose card (.json) lies beside them; `how` ends the sentence where they do not.

    Args:
        name: Of the file.
        how: Ends the sentence where they are missing.

    Raises:
        WeightsError: As `find` does, for either file.
    """
    try:
        path = find(name).path
        find(Path(name).with_suffix(".json").name)
    except WeightsError as error:
        raise WeightsError(f"{error} {how}") from error
    return path


def fitted(file: Path, make: Callable[[Any], T], what: str, without: str) -> T | None:
    """What was fitted for a network and stands beside it as JSON; None where there is no file.

    Args:
        file: In the network's folder.
        make: The values → what they mean; raises ValueError, LookupError or TypeError where they mean nothing.
        what: Is expected there, and which command fits it.
        without: What is so where the file is deleted.

    Returns:
        What `make` makes of it.

    Raises:
        WeightsError: The file is something else.
    """
    if not file.is_file():
        return None
    try:
        return make(json.loads(read_bounded(file, _MOST_FITTED), object_pairs_hook=each_once))
    except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise WeightsError(
            f"'{file}': expected {what}, got something else ({type(error).__name__}: {error}). Copy it again, or "
            f"delete it and {without}."
        ) from error


def cache() -> Path:
    """The folder fetched files are kept in; it may not exist yet."""
    return folder_of_ours("FACEWITNESS_CACHE", "~/Library/Caches", "XDG_CACHE_HOME", "~/.cache")


def _folders() -> Iterator[Path]:
    if chosen := os.environ.get("FACEWITNESS_MODELS"):
        yield at_home(chosen)
    yield Path(__file__).with_name("weights")


def _expected(name: str, folder: Path) -> str:
    if name in SOURCES:
        return SOURCES[name].sha256
    listing = folder / LISTING
    try:
        text = read_text(listing, _MOST_FITTED) if listing.is_file() else ""
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise WeightsError(
            f"'{listing}': expected a list that sha256sum wrote, got what is none ({why}). Write it again."
        ) from error
    listed = (line.partition(" ") for line in text.removeprefix("\ufeff").splitlines())
    digests = {digest.lower() for digest, _, file in listed if file.strip().lstrip("*") == name}
    if len(digests) > 1:
        raise WeightsError(
            f"'{listing}': expected one line for {name}, got {len(digests)} with other hashes. Take out those that are "
            "old."
        )
    if digests:
        return digests.pop()
    raise WeightsError(
        f"Nothing vouches for '{folder / name}': expected a line for it in '{listing}'. If you trust the file, write "
        f"the line with: cd '{folder}' && sha256sum {name} >> {LISTING}"
    )


def _checked(path: Path, expected: str, mend: str = "Delete it and try again.") -> Weights:
    came = _sha256(path)
    if came != expected:
        raise WeightsError(
            f"'{path}' is not the file it should be: expected SHA-256 {expected:.80}, got {came}. {mend}"
        )
    return Weights(path, came)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(
            f"'{path}' cannot be read ({error.strerror}). Give yourself the right to read it."
        ) from error


def _fill_cache() -> None:
    """Put every file of `SOURCES` into the cache, out of the pinned wheel."""
    for folder in (*_folders(), cache()):
        if (folder / _WHEEL).is_file():  # got by hand
            return _unpack(folder / _WHEEL)
    with tempfile.TemporaryDirectory(prefix="facewitness-") as temporary:
        _download(Path(temporary))
        _unpack(Path(temporary) / _WHEEL)


def _download(folder: Path) -> None:
    # Isolated and in an empty folder: Python would else import a pip.py that lies in the folder of the photographs.
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-I", "-m", "pip"]
    elif (located := shutil.which("pip") or shutil.which("pip3")) and Path(located).parent.resolve() != Path.cwd():
        pip = [located]
    else:
        raise WeightsError(f"MediaPipe's face models are not cached and there is no pip to fetch them. {_BY_HAND}")
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--retries", "2", "--dest", str(folder)]
    try:
        done = subprocess.run(
            [*pip, *_PIP_DOWNLOAD, *quiet], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=_PIP_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WeightsError(f"MediaPipe's face models could not be fetched with pip ({error}). {_BY_HAND}") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        why = lines[-1].strip() if lines else f"exit status {done.returncode}"
        raise WeightsError(f"MediaPipe's face models could not be fetched with pip ({why}). {_BY_HAND}")


def _unpack(wheel: Path) -> None:
    _checked(wheel, _WHEEL_SHA256)
    folder = cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            for name, source in SOURCES.items():
                content = archive.read(source.member)
                came = hashlib.sha256(content).hexdigest()
                if came != source.sha256:
                    raise WeightsError(f"{name} in '{wheel}': expected SHA-256 {source.sha256}, got {came}.")
                write_whole(folder / name, content)
    except OSError as error:
        raise WeightsError(
            f"The cache '{folder}' cannot be written ({error.strerror}). Name a folder that can in FACEWITNESS_CACHE."
        ) from error


_BY_HAND = (
    "Where there is a network, run `pip " + " ".join(_PIP_DOWNLOAD) + f"`, then put {_WHEEL} into a folder and name "
    "that folder in the environment variable FACEWITNESS_MODELS."
)
