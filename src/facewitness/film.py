"""A film goes in; its frames come out by the time they are shown at, as many as are to be judged and no more in memory.

    film = read("film.mp4")                             32 frames, spread evenly over its time
    film = read("film.mp4", Sampling(fps=2, start=10))  two a second from 0:10 on
    for frame in film.frames(): ...                     frame.pixels, frame.index, frame.seconds

A process of its own decodes (`decoder`): one that crashes, or that a strange file makes eat memory, is a film that ends
there. Every pass reads from the first frame on; nothing is sought. The frames that are judged are kept in a temporary
file, so that memory does not grow with a film's length; what does not fit there is decoded again when it is asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from facewitness import kinds
from facewitness.decoder import container_of
from facewitness.errors import InputError, MissingExtra, TooLarge, UnreadableMedia
from facewitness.files import open_bounded
from facewitness.overtime import clock, digits, span
from facewitness.types import Clip, Frame, FrameRef, Pixels

MAX_BYTES = 20_000_000_000
MAX_PIXELS = 40_000_000  # of one frame: 8K has 33 million
MAX_SECONDS = 12 * 3600.0
MAX_MEMORY = 6_000_000_000  # bytes of address space for the process that decodes
MOST_KEPT = 2_000_000_000  # bytes of frames in the temporary file
PATIENCE = 120.0  # seconds without a word from the process that decodes

_SKIM = 0.15  # seconds between frames to follow people by; where they are fewer, which frame exactly matters
_MANY = 1000  # frames from whose distances the usual one is told

WANTED = "a film (MP4, MOV, WebM, MKV, AVI, or as a film on request: GIF, animated WebP)"


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which frames of a film are judged. At most one of `fps`, `scenes` and `every` replaces `frames`.

    Attributes:
        frames: So many, each the one on screen in the middle of one of as many equal stretches of time.
        fps: So many a second.
        scenes: One of each scene, from its middle; the film is then decoded once more, to see where its cuts are.
        every: All of them.
        start: Seconds; nothing before this moment is judged.
        end: Seconds; nothing after it.
    """

    frames: int = 32
    fps: float | None = None
    scenes: bool = False
    every: bool = False
    start: float | None = None
    end: float | None = None

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise InputError(f"Sampling.frames: expected at least 1, got {self.frames}")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise InputError(f"Sampling.fps: expected more than 0 and at most 1000 frames a second, got {self.fps}")
        if (self.fps is not None) + self.scenes + self.every > 1:
            raise InputError("Sampling: expected at most one of fps, scenes and every")
        for name in ("start", "end"):
            value = getattr(self, name)
            if value is not None and not (value >= 0 and np.isfinite(value)):
                raise InputError(f"Sampling.{name}: expected seconds from 0 on, got {value}")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise InputError(f"Sampling: expected start before end, got {self.start:g} and {self.end:g} seconds")


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A frame on its way past: to be judged, or shown only to follow people by."""

    frame: Frame
    judged: bool
    cut: bool  # since the one before there was a cut
    burst: bool = False  # one of several consecutive frames that begin with a judged one


def is_film(head: bytes) -> bool:
    """Whether the first bytes of a file, at least 16, are those of a film. A GIF or WebP is a picture until asked.

    Args:
        head: The first bytes of a file.
    """
    return container_of(head) not in (None, "gif", "webp")


def read(
    source: str | os.PathLike[str] | bytes,
    sampling: Sampling | None = None,
    *,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
    max_seconds: float = MAX_SECONDS,
    burst: int = 1,
) -> Film:
    """A film, looked through once without decoding: its size, its length and the time of every frame are known.

    Args:
        source: a path, or the bytes of a file; also a GIF or animated WebP, and a photo that carries a film.
        sampling: which frames are judged; 32, spread evenly, unless said otherwise.
        name: stands for the source in reports and messages.
        max_pixels: of one frame.
        max_bytes: of the file.
        max_seconds: from the first frame to the last.
        burst: from each judged frame on so many consecutive ones are shown in `watch`, for evidence that moves.

    Raises:
        UnreadableMedia: no film, or one that cannot be read at all.
        TooLarge: beyond a limit.
        UnreadableMedia: the moments asked for lie outside the film, too.
        MissingExtra: the package that decodes films is not installed.
    """
    sampling = sampling or Sampling()
    if isinstance(source, bytes | bytearray | memoryview):
        label = name or "bytes"
        file = _File.of_bytes(_film_inside(bytes(source)), label, max_bytes)
    else:
        label = name or os.fspath(source)
        file = _File.of_path(Path(source), label, max_bytes)
    decoder = _Decoder(file, label, max_pixels)
    survey = _survey(decoder, label, max_seconds)
    window = _window(survey, sampling, label)
    targets = _targets(survey, sampling, window)
    if sampling.scenes:
        targets = _middles(decoder, survey, window)
    passes = _Passes(decoder, survey, targets, window, sampling.every, burst)
    first = passes.first()
    return Film(
        label,
        (first,),
        file.sha256,
        fps=survey.rate,
        count=len(survey.ticks),
        notes=(*survey.notes, *passes.notes),
        passes=passes,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Film(Clip):
    """A film. `kept` holds its first judged frame only; `frames()` and `at()` bring the others as they are needed."""

    passes: Any = None

    @property
    def still(self) -> bool:
        """No."""
        return False

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return float(self.passes.survey.seconds[-1])

    @property
    def tags(self) -> Mapping[str, str]:
        """What its container says of itself, name → a stranger's text."""
        return dict(self.passes.survey.tags)

    def file(self) -> BinaryIO | None:
        """The file, open for reading; None where it is gone, or is another one by now."""
        return self.passes.decoder.file.opened()

    @property
    def remarks(self) -> tuple[str, ...]:
        """Its notes, with what was seen while it was decoded; whole only after a pass."""
        return tuple(dict.fromkeys((*self.notes, *self.passes.notes)))

    def remark(self, sentence: str) -> None:
        """Add to `remarks` what was seen while people were followed.

        Args:
            sentence: What the user should read.
        """
        self.passes.notes[sentence] = None

    def refs(self) -> tuple[FrameRef, ...]:
        """The frames that are judged, without pixels; decodes the film where that has not been done."""
        return tuple(self.passes.refs())

    def frames(self) -> Iterator[Frame]:
        """The frames that are judged, in the order of time."""
        return self.passes.judged()

    def watch(self, seconds: float | None = None) -> Iterator[Seen]:
        """One pass over the film: the judged frames and, between them, one every so many seconds.

        Args:
            seconds: Between two frames that are looked at besides; None for none.
        """
        for seen in self.passes.watch(seconds):
            if self.passes.tell is not None and self.seconds > 0:
                self.passes.tell(min(1.0, (seen.frame.seconds or 0.0) / self.seconds))
            yield seen

    def bursts(self, count: int) -> None:
        """From now on `watch` shows so many consecutive frames from each judged one on.

        Args:
            count: How many frames a burst has.
        """
        self.passes.burst = max(1, count)

    def report_progress(self, tell: Callable[[float], None]) -> None:
        """From now on `tell` is given the share of the film that a pass of `watch` has gone through.

        Args:
            tell: Is called with a share in [0, 1].
        """
        self.passes.tell = tell

    def at(self, at: FrameRef) -> Frame:
        """The frame that something speaks of, with its pixels.

        Args:
            at: The frame that is spoken of.

        Raises:
            InputError: the film has no such frame.
        """
        return self.passes.at(at)


# ---------------------------------------------------------------------------------------------------------- the file


class _File:
    """A file that is opened again for every pass, and has to be the same each time."""

    def __init__(self, path: Path, label: str, max_bytes: int, hashed: bool = True):
        self.path, self.label = path, label
        try:
            with open_bounded(path, sys.maxsize) as file:
                status = path.stat() if isinstance(file, io.BytesIO) else os.fstat(file.fileno())
                if status.st_size > max_bytes:
                    raise TooLarge(
                        f"'{label}' is {status.st_size / 1e6:,.12g} MB; expected at most {max_bytes / 1e6:,.12g} MB. "
                        "Make it smaller, or raise max_bytes (--max-megabytes)."
                    )
                head = file.read(64)
                file.seek(0)
                self.sha256 = (
                    hashlib.file_digest(cast("io.BufferedReader", file), "sha256").hexdigest() if hashed else ""
                )
        except FileNotFoundError as error:
            raise UnreadableMedia(f"'{label}' does not exist. Check the path.") from error
        except IsADirectoryError as error:
            raise UnreadableMedia(f"'{label}' is a folder: expected {WANTED}. Name the files in it.") from error
        except PermissionError as error:
            raise UnreadableMedia(f"'{label}' may not be read. Give yourself the right to read it.") from error
        except InputError:
            raise
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise UnreadableMedia(f"'{label}' cannot be read: {why}. Check the path.") from error
        self.identity = [status.st_ino, status.st_size, status.st_mtime_ns]
        if status.st_size == 0:
            raise UnreadableMedia(f"'{label}' is empty: expected {WANTED}, got 0 bytes. Fetch or export it again.")
        container = container_of(head)
        if container is None:
            raise UnreadableMedia(f"'{label}': expected {WANTED}, got {kinds.no_film(head)}.")
        self.container = container

    def opened(self) -> BinaryIO | None:
        """The file again; None where it is gone, or is another one by now."""
        with contextlib.suppress(OSError):
            file = self.path.open("rb")
            status = os.fstat(file.fileno())
            if [status.st_ino, status.st_size, status.st_mtime_ns] == self.identity:
                return file
            file.close()
        return None

    @classmethod
    def of_path(cls, path: Path, label: str, max_bytes: int) -> _File:
        with contextlib.suppress(OSError, ValueError):
            if path.is_file() and path.stat().st_size <= 200_000_000:
                with path.open("rb") as file:
                    picture = file.read(3) == b"\xff\xd8\xff"
                if picture:
                    return cls.of_bytes(_film_inside(path.read_bytes()), label, max_bytes)
        return cls(path, label, max_bytes)

    @classmethod
    def of_bytes(cls, content: bytes, label: str, max_bytes: int) -> _File:
        file, path = _temporary()
        try:
            file.write(content)
            file.flush()
            made = cls(path, label, max_bytes)
        except BaseException:
            file.close()
            raise
        weakref.finalize(made, file.close)
        return made


def _temporary() -> tuple[IO[bytes], Path]:
    """A file that lives until it is closed, and where the decoder finds it.

    It has no name where the system lets it be found without one: a process that is killed would leave it behind.
    """
    file: IO[bytes] = tempfile.TemporaryFile(prefix="facewitness-")  # noqa: SIM115 -- lives as long as the film
    path = Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")
    if not path.exists():
        file.close()
        file = tempfile.NamedTemporaryFile(prefix="facewitness-", suffix=".film")  # noqa: SIM115 -- the same
        path = Path(file.name)
    return file, path


def _film_inside(content: bytes) -> bytes:
    """The film of a motion photo; any other content as it is."""
    at = film_at(content)
    return content if at is None else content[at:]


def film_at(content: bytes) -> int | None:
    """Where the film of a motion photo (a JPEG with an MP4 behind it) begins; None where there is none.

    Google's and Samsung's phones write it behind the picture; its first box, `ftyp`, is looked for there.

    Args:
        content: The file's bytes.
    """
    end = content.find(b"\xff\xd9") if content[:3] == b"\xff\xd8\xff" else -1
    at = content.find(b"ftyp", end) if end > 0 else -1
    while at != -1:
        if 8 <= int.from_bytes(content[at - 4 : at], "big") <= 64:
            return at - 4
        at = content.find(b"ftyp", at + 4)
    return None


# ------------------------------------------------------------------------------------------- the process that decodes


class _Decoder:
    """A process that runs `decoder`: it is started when it is first asked, and again where it has ended."""

    def __init__(self, file: _File, label: str, max_pixels: int):
        self.file, self.label, self.max_pixels = file, label, max_pixels
        self.process: subprocess.Popen[bytes] | None = None
        self.idle = True  # it has said all that it was asked for
        self.silent, self.fault = False, ""

    def ask(self, **asked: Any) -> Iterator[tuple[dict[str, Any], bytearray]]:
        """Headers and payloads until all is said. Raises EOFError where the process ends before that."""
        if self.process is None or not self.idle or self.process.poll() is not None:
            self._start()
        assert self.process is not None and self.process.stdin is not None
        question = {
            "path": str(self.file.path), "identity": self.file.identity, "container": self.file.container,
            "max_pixels": self.max_pixels, "max_memory": MAX_MEMORY, **asked,
        }  # fmt: skip
        self.idle, self.silent, self.fault = False, False, ""
        with contextlib.suppress(OSError):  # it has died: reading will tell
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
            self.process.stdin.flush()
        process = self.process
        while process is self.process:  # else another question has been asked since
            head = self._taken(4)
            header: dict[str, Any] = json.loads(bytes(self._taken(struct.unpack("<I", head)[0])))
            payload = self._taken(header["bytes"])
            if header["kind"] == "frame":
                yield header, payload
                continue
            self.idle = True
            if header["kind"] == "failed":
                self.fault = header["why"]
                raise EOFError
            yield header, payload
            return

    def _start(self) -> None:
        self.close()
        code = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from facewitness.decoder import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", code, json.dumps(sys.path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pipesize=1 << 20,
            env={**os.environ, **_HEAP},
        )  # fmt: skip
        self.finalizer = weakref.finalize(self, _ended, self.process)

    def _taken(self, size: int) -> bytearray:
        """So many bytes; a watchdog ends the process where none come for long."""
        room = bytearray(size)
        view, got = memoryview(room), 0
        if size == 0:
            return room
        assert self.process is not None and self.process.stdout is not None
        watchdog = threading.Timer(PATIENCE, self._end_of_patience, (self.process,))
        watchdog.daemon = True
        watchdog.start()
        try:
            while got < size:
                count = self.process.stdout.readinto(view[got:])  # type: ignore[attr-defined]
                if not count:
                    raise EOFError
                got += count
        finally:
            watchdog.cancel()
        return room

    def _end_of_patience(self, process: subprocess.Popen[bytes]) -> None:
        self.silent = True
        process.kill()

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.finalizer()
            self.process = None
        self.idle = True

    @property
    def how_it_ended(self) -> str:
        if self.silent:
            return f"gave no answer for {PATIENCE:g} seconds"
        if self.fault:
            return f"failed ({self.fault})"
        status = 0 if self.process is None else self.process.wait()
        if status == -9:
            return "was ended by the system, perhaps for want of memory"
        return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"


# glibc's heaps grow with a film's length where each thread has its own and what was freed is kept.
_HEAP = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "1000000", "MALLOC_TRIM_THRESHOLD_": "1000000"}


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    process.wait()


def _checked(header: Mapping[str, Any], label: str) -> None:
    """Raises what a message says went wrong."""
    if header["kind"] == "refused":
        kind = TooLarge if header["large"] else UnreadableMedia
        raise kind(f"'{label}': {header['why']}")
    if header["kind"] == "missing":
        what = "PyAV" if header["package"] == "av" else header["package"]
        raise MissingExtra(
            f"Films are decoded with {what}, which is not installed. Try: pip install '.[video]', from a clone of the "
            "repository"
        )


# ------------------------------------------------------------------------------------------- frames by their number


class Frames:
    """Frames of video files by their number, one file after another, for datasets and masks: nothing is judged.

    One process decodes them all. Quick where a file's frames are asked for in their order, quicker where `expect` says
    which: the others are decoded and not brought here.
    """

    def __init__(self) -> None:
        self.decoder: _Decoder | None = None
        self.path: Path | None = None
        self.survey: _Survey | None = None
        self.coming: Iterator[tuple[int, Pixels]] | None = None
        self.at = -1
        self.expected: tuple[int, ...] = ()

    def count(self, path: Path) -> int:
        """How many frames a video has; 0 where it cannot be read.

        Args:
            path: Of the file.

        Raises:
            MissingExtra: Without PyAV.
        """
        try:
            self._open(path)
        except UnreadableMedia:
            return 0
        return 0 if self.survey is None else len(self.survey.ticks)

    def expect(self, path: Path, indices: Sequence[int]) -> None:
        """Which frames of a file will be asked for next.

        Args:
            path: Of the file.
            indices: Numbers of frames, from 0.
        """
        self.close()
        self.expected, self.path = tuple(sorted(set(indices))), path

    def frame(self, path: Path, index: int) -> Pixels:
        """Frame `index` of a file, from 0: RGB uint8 (H, W, 3).

        Args:
            path: Of the file.
            index: Number of the frame, from 0.

        Returns:
            RGB uint8 (H, W, 3).

        Raises:
            UnreadableMedia: the video ends or breaks before it.
            MissingExtra: without PyAV.
        """
        if path != self.path:
            self.close()
        try:
            self._open(path)
            pixels = self._next(index) if index > self.at else None
            if pixels is None:
                self.coming = self._from(index)
                pixels = self._next(index)
        except UnreadableMedia as error:
            raise UnreadableMedia(f"{path.name}: expected a frame {index}, got none. {error}") from error
        if pixels is None:
            there = 0 if self.survey is None else len(self.survey.ticks)
            raise UnreadableMedia(
                f"{path.name}: expected a frame {index}, but the video has {there} and ends there, or is damaged; "
                "copy it again"
            )
        return pixels

    def _next(self, index: int) -> Pixels | None:
        """A frame among those that are on their way; None where it is not, and then nothing is any more."""
        for number, pixels in self.coming or ():
            self.at = number
            if number == index:
                return pixels
            if number > index:
                break
        self.coming = None
        return None

    def close(self) -> None:
        """Let go of the file; the process stays."""
        self.path, self.survey, self.coming, self.at, self.expected = None, None, None, -1, ()

    def _open(self, path: Path) -> None:
        if self.survey is not None and path == self.path:
            return
        expected = self.expected if path == self.path else ()
        self.close()
        file = _File(path, str(path), MAX_BYTES, hashed=False)
        if self.decoder is None:
            self.decoder = _Decoder(file, str(path), MAX_PIXELS)
        self.decoder.file, self.decoder.label = file, str(path)
        self.survey = _survey(self.decoder, str(path), MAX_SECONDS)
        self.path, self.expected = path, expected

    def _from(self, index: int) -> Iterator[tuple[int, Pixels]]:
        """The frames that are expected from one on, or all from there on."""
        assert self.survey is not None and self.decoder is not None
        if not 0 <= index < len(self.survey.ticks):
            return
        wanted = [i for i in self.expected if index <= i < len(self.survey.ticks)]
        if index not in wanted:
            wanted = []
        passes = _Passes(self.decoder, self.survey, [], (0, len(self.survey.ticks)), False, 1)
        targets = [int(self.survey.ticks[i]) for i in wanted]
        run = passes.run(
            targets=targets,
            stop=bool(targets),
            step=None if targets else 1,
            start=int(self.survey.ticks[index]),
            keep=False,
        )
        for seen in run:
            yield seen.frame.index, seen.frame.pixels


# -------------------------------------------------------------------------------------------------------- what is in it


@dataclass(frozen=True, slots=True, eq=False)
class _Survey:
    ticks: NDArray[np.int64]  # time of every frame, in the film's own unit, ascending
    seconds: NDArray[np.float64]  # the same from where the film begins to play
    base: float  # seconds a tick
    zero: int  # the tick of 0:00
    rate: float | None
    notes: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)  # what the container says of itself


def _survey(decoder: _Decoder, label: str, max_seconds: float) -> _Survey:
    try:
        header, payload = next(decoder.ask(do="survey"))
    except (EOFError, StopIteration):
        raise UnreadableMedia(
            f"'{label}': the process that read this film {decoder.how_it_ended}. It is damaged; fetch or export it "
            "again."
        ) from None
    _checked(header, label)
    ticks = np.frombuffer(payload, "<i8").astype(np.int64, copy=False)  # a long film has hundreds of thousands
    base = header["base"][0] / header["base"][1]
    seconds = ticks - np.float64(header["zero"])
    seconds *= header["base"][0]
    seconds /= header["base"][1]
    length = float(seconds[-1] - seconds[0])
    if length > max_seconds:
        raise TooLarge(
            f"'{label}' lasts {clock(round(length))}; expected at most {clock(round(max_seconds))}. "
            "Cut it, or raise max_seconds (--max-minutes)."
        )
    notes = list(header["notes"])
    rate, measured = header["rate"], (len(ticks) - 1) / length if length > 0 else None
    if measured is not None and not (rate and 0.9 < measured / rate < 1.1):
        rate = measured
    claimed_frames, claimed = header["claimed_frames"], header["claimed_seconds"]
    frame, end = 1 / rate if rate else 0.04, clock(round(seconds[-1]))
    if claimed_frames and len(ticks) < 0.98 * claimed_frames - 1:
        notes.append(
            f"The film is incomplete: it should have {claimed_frames:,} frames and breaks off after {len(ticks):,}, "
            f"at {end}; it was analysed up to there."
        )
    elif claimed and claimed > 1.1 * (seconds[-1] + frame) + 1:
        notes.append(
            f"The film says that it lasts {clock(round(claimed))}, and its pictures end at {end}; "
            "it was analysed up to there."
        )
    elif claimed and claimed < 0.9 * seconds[-1] - 1:
        notes.append(f"The film says that it lasts {clock(round(claimed))}, and its pictures go on until {end}.")
    if len(ticks) == 1:
        notes.append("The film has one frame only.")
    return _Survey(ticks, seconds, base, int(header["zero"]), rate, tuple(notes), header["tags"])


def _window(survey: _Survey, sampling: Sampling, label: str) -> tuple[int, int]:
    """Ranks of the first frame that may be judged and of the one after the last. Raises UnreadableMedia for none."""
    seconds = survey.seconds
    first = 0 if sampling.start is None else int(np.searchsorted(seconds, sampling.start - 1e-9))
    last = len(seconds) if sampling.end is None else int(np.searchsorted(seconds, sampling.end + 1e-9, "right"))
    if first >= last:
        begin, end = sampling.start or 0.0, seconds[-1] if sampling.end is None else sampling.end
        moments = {float(begin), float(end), float(seconds[-1])}  # with as many digits as tell them apart
        digits = next((n for n in range(1, 4) if len({clock(t, n) for t in moments}) == len(moments)), 3)
        asked = f"{clock(begin, digits)} to {'its end' if sampling.end is None else clock(end, digits)}"
        raise UnreadableMedia(  # this film's: others of the folder may last longer
            f"'{label}': expected moments inside the film that show a picture, and it ends at "
            f"{clock(seconds[-1], digits)}; got {asked}. Say others: --from, --to."
        )
    return first, last


def _targets(survey: _Survey, sampling: Sampling, window: tuple[int, int]) -> list[int]:
    """The ticks of the frames that are judged; none for `every` and `scenes`, which find theirs in other ways."""
    if sampling.every or sampling.scenes:
        return []
    ticks, seconds = survey.ticks[slice(*window)], survey.seconds[slice(*window)]
    # a frame is on screen until the next one; the last for as long as frames usually are
    end = float(seconds[-1]) + (float(np.median(np.diff(seconds[-_MANY:]))) if len(seconds) > 1 else 0.04)
    start = float(seconds[0])
    if sampling.fps is not None:
        moments = np.arange(start + 0.5 / sampling.fps, end, 1 / sampling.fps)
        moments = moments if len(moments) else np.array([start])
    elif len(ticks) <= sampling.frames:
        return [int(tick) for tick in ticks]
    else:
        moments = start + (np.arange(sampling.frames) + 0.5) * (end - start) / sampling.frames
    shown = np.searchsorted(seconds, moments + 1e-9, "right") - 1
    return [int(tick) for tick in ticks[np.unique(np.clip(shown, 0, len(ticks) - 1))]]


def _middles(decoder: _Decoder, survey: _Survey, window: tuple[int, int]) -> list[int]:
    """The middle frame of each scene in a window."""
    passes = _Passes(decoder, survey, [], window, False, 1)
    starts = [window[0]]
    for seen in passes.run(step=1, keep=False):
        if seen.cut and seen.frame.index > starts[-1]:
            starts.append(seen.frame.index)
    return [int(survey.ticks[(begin + end) // 2]) for begin, end in zip(starts, [*starts[1:], window[1]], strict=True)]


# -------------------------------------------------------------------------------------------------------------- passes


@dataclass(slots=True)
class _Kept:
    """Where a frame lies in the temporary file."""

    ref: FrameRef
    judged: bool
    offset: int | None  # None where there was no room


_SQUARE = 16  # pixels
_SAME = 2.5  # levels of 255: codecs move a square's mean by up to 2.1 where nothing moves; lips by more
_CONTRAST = 25.0  # levels between squares: in a darker film movement would not be seen by them


def _squares(pixels: Pixels) -> NDArray[np.float64]:
    """The mean green of each square of a frame (H // 16, W // 16): what tells whether anything in it moves."""
    height, width = (side // _SQUARE for side in pixels.shape[:2])
    green = pixels[: height * _SQUARE, : width * _SQUARE, 1]
    return green.reshape(height, _SQUARE, width, _SQUARE).mean((1, 3))


class _Passes:
    """Passes over a film, and the frames that were judged on the way."""

    def __init__(
        self,
        decoder: _Decoder,
        survey: _Survey,
        targets: list[int],
        window: tuple[int, int],
        every: bool,
        burst: int,
    ):
        self.decoder, self.survey, self.label = decoder, survey, decoder.label
        self.targets, self.every, self.burst = targets, every, burst
        self.start = int(survey.ticks[window[0]])
        self.end = None if window[1] == len(survey.ticks) else int(survey.ticks[window[1] - 1])
        self.notes: dict[str, None] = {}
        self.kept: dict[int, _Kept] = {}  # by index
        self.whole = False  # all judged frames have been seen
        self.tell: Callable[[float], None] | None = None
        self.room: IO[bytes] | None = None
        self.used = 0
        self.ahead: Iterator[Seen] | None = None  # a pass that `at` may go on with
        self.ahead_at = -1

    def first(self) -> Frame:
        """The first frame that is judged. Raises UnreadableMedia where none can be decoded."""
        frame = None
        for seen in self.run(targets=self.targets[:1], every=self.every, stop=True, keep=False):
            frame = seen.frame if frame is None else frame
            if self.every:
                break
        if frame is not None:
            return frame
        raise UnreadableMedia(
            f"'{self.label}': no frame can be decoded. {' '.join(self.notes) or 'It is damaged.'} Fetch or export it "
            "again."
        )

    def watch(self, seconds: float | None) -> Iterator[Seen]:
        self.close()  # one process decodes for one pass at a time
        step = None if seconds is None else max(1, round(seconds / self.survey.base))
        first: NDArray[np.float64] | None = None
        still, judged = True, list[float]()  # the seconds of the frames that are judged
        for seen in self.run(targets=self.targets, step=step, every=self.every, burst=self.burst):
            if still:  # until the first that is another picture: most films cost one comparison
                squares = _squares(seen.frame.pixels)
                first = squares if first is None else first
                still = squares.shape == first.shape and float(np.abs(squares - first).max(initial=0)) < _SAME
                judged += [seen.frame.seconds or 0.0] if seen.judged else []
            yield seen
        if still and first is not None and np.ptp(first) > _CONTRAST and len(judged) > 1:
            when = span(judged[0], judged[-1], digits(judged))
            self.notes[
                f"The film shows one still picture all the time that was looked at ({when}): nothing of time, such as "
                "movement, was to be seen in it."
            ] = None
        self.whole = True

    def refs(self) -> list[FrameRef]:
        if not self.whole:
            for _ in self.watch(None):
                pass
        return [kept.ref for _, kept in sorted(self.kept.items()) if kept.judged]

    def judged(self) -> Iterator[Frame]:
        if not self.whole or any(kept.offset is None for kept in self.kept.values() if kept.judged):
            for seen in self.watch(None):
                if seen.judged:
                    yield seen.frame
        else:
            for _, kept in sorted(self.kept.items()):
                if kept.judged:
                    yield self._from_room(kept)

    def at(self, at: FrameRef) -> Frame:
        kept = self.kept.get(at.index)
        if kept is not None and kept.offset is not None:
            return self._from_room(kept)
        if not 0 <= at.index < len(self.survey.ticks):
            raise InputError(f"'{self.label}': expected one of its {len(self.survey.ticks):,} frames, got {at.index}")
        if self.ahead is None or at.index <= self.ahead_at:
            self.close()
            self.ahead = self.run(step=1, start=int(self.survey.ticks[at.index]), keep=False)
        for seen in self.ahead:
            self.ahead_at = seen.frame.index
            if seen.frame.index == at.index:
                return seen.frame
            if seen.frame.index > at.index:
                break
        self.close()
        raise InputError(f"'{self.label}': expected frame {at.index}, which cannot be decoded")

    def close(self) -> None:
        if self.ahead is not None:
            self.ahead.close()  # type: ignore[attr-defined]
        self.ahead, self.ahead_at = None, -1

    def _from_room(self, kept: _Kept) -> Frame:
        assert self.room is not None and kept.offset is not None
        at = kept.ref
        pixels = np.empty((at.height, at.width, 3), np.uint8)
        self.room.seek(kept.offset)
        view = memoryview(pixels.data).cast("B")
        if self.room.readinto(view) != len(view):  # type: ignore[attr-defined]
            raise UnreadableMedia(f"'{self.label}': the temporary file with its frames was cut off. Analyse it again.")
        return Frame(pixels, at.index, at.seconds)

    def _keep(self, frame: Frame, judged: bool) -> None:
        if frame.index in self.kept:
            return
        offset: int | None = None
        if self.used + frame.pixels.nbytes <= MOST_KEPT:
            if self.room is None:
                self.room = tempfile.TemporaryFile(prefix="facewitness-", buffering=0)  # noqa: SIM115 -- as long as this
                weakref.finalize(self, self.room.close)
            try:
                self.room.seek(self.used)
                self.room.write(memoryview(frame.pixels.data).cast("B"))
                offset, self.used = self.used, self.used + frame.pixels.nbytes
            except OSError:  # the disk is full: what does not fit is decoded again
                offset = None
        self.kept[frame.index] = _Kept(frame.at, judged, offset)

    def run(
        self,
        *,
        targets: list[int] | None = None,
        step: int | None = None,
        every: bool = False,
        burst: int = 1,
        start: int | None = None,
        stop: bool = False,
        keep: bool = True,
    ) -> Iterator[Seen]:
        """One run of the decoder inside the window. What it says at its end is added to the notes.

        Args:
            targets: ticks of frames to be judged; `every` judges all.
            step: ticks between frames that are shown besides.
            burst: from a judged frame on so many in a row are shown.
            start: a tick; nothing before it is shown, unless said otherwise nothing before the window.
            stop: end after the last target; without it the film is decoded to its end, so that damage is seen.
            keep: judged frames are kept for `at`.
        """
        last = 0.0
        try:
            for header, payload in self.decoder.ask(
                do="decode", targets=targets or [], burst=burst, every=every, step=step,
                start=self.start if start is None else start, end=self.end, stop=stop,
                spans=None if every or (step is not None and step * self.survey.base < _SKIM) else
                self._spans(targets or [], burst),
                times=self.survey.ticks.tolist() if self.decoder.file.container == "avi" else None,
            ):  # fmt: skip
                _checked(header, self.label)
                for sentence in header["notes"]:
                    self.notes[sentence] = None
                if header["kind"] == "end":
                    self._remember(header["broken"])
                    return
                rank = min(int(np.searchsorted(self.survey.ticks, header["ticks"])), len(self.survey.ticks) - 1)
                last = float(self.survey.seconds[rank])
                pixels: Pixels = np.frombuffer(payload, np.uint8).reshape(header["height"], header["width"], 3)
                frame = Frame(pixels, rank, last)
                if keep and (header["judged"] or header["burst"]):
                    self._keep(frame, header["judged"])
                yield Seen(frame, header["judged"], header["cut"], header["burst"])
            raise InputError(
                f"'{self.label}': expected one pass over the film at a time, got another before this one was over. Ask "
                "for frames behind the loop over them."
            )
        except EOFError:
            how = self.decoder.how_it_ended
            self.notes[f"The process that decoded this film {how} at {clock(last)}; it was analysed up to there."] = (
                None
            )

    def _spans(self, targets: list[int], burst: int) -> list[list[int]]:
        """First and last ticks of each target with its burst."""
        ticks = self.survey.ticks
        ranks = np.searchsorted(ticks, targets)
        ends = ticks[np.minimum(ranks + burst - 1, len(ticks) - 1)]
        return [[target, int(end)] for target, end in zip(targets, ends, strict=True)]

    def _remember(self, broken: list[list[float]]) -> None:
        for stretch in broken:
            begin = self.survey.seconds[-1] if stretch[0] < 0 else stretch[0] - self.survey.zero * self.survey.base
            if len(stretch) > 1:
                until = stretch[1] - self.survey.zero * self.survey.base
                self.notes[f"The film is damaged from {clock(begin)} to {clock(until)}; that part was left out."] = None
            else:
                there = f"from {clock(begin)} on; it was analysed up to there" if begin > 0 else "from its beginning on"
                self.notes[f"The film is damaged {there}."] = None
