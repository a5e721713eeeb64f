"""Reads one film in a process of its own, so that a decoder that crashes or eats memory takes down that process alone.

`film` starts this, writes questions to its standard input, one line of JSON each, and reads messages from its standard
output: four bytes that give the length of a header, the header (JSON), and as many bytes as that says. Two things can
be asked:

    survey   what the file holds (size, rate, codec, what it claims) and the time of every picture; nothing is decoded
    decode   the pictures at given times, those between for following people, and whether there was a cut before each

Pictures come in the order of their presentation, from the first on: nothing is sought, so nothing is off by a few
frames. Of H.264 and HEVC, pictures that nobody asked for and no other picture refers to are passed over undecoded; the
others are what a plain decode of the whole gives.

The container is told from its first bytes and opened by a closed table of names, one open file and no other: a
playlist, a reference to a network or to another file inside it has nobody who would follow it.
"""

from __future__ import annotations

import bisect
import functools
import gc
import json
import os
import struct
import sys
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

# FFmpeg's decoders that a stranger's film may use.
CODECS = frozenset(
    [
        "h264",
        "hevc",
        "vp8",
        "vp9",
        "libvpx-vp9",
        "av1",
        "libdav1d",
        "mpeg4",
        "msmpeg4v2",
        "msmpeg4v3",
        "h263",
        "mpeg1video",
        "mpeg2video",
        "mjpeg",
        "prores",
        "dnxhd",
        "ffv1",
        "huffyuv",
        "rawvideo",
        "png",
        "qtrle",
        "dvvideo",
        "cinepak",
    ]
)
MOST_PACKETS = 5_000_000  # pictures in a film: 46 hours at 30 a second
MOST_STREAMS = 64
_MOST_TAGS, _MOST_TAG = 200, 200_000  # what a container says of itself; characters of one text, and of all together
_DAMAGES = 50  # places where a film may break before the rest is given up
_GRID = (36, 64)  # rows and columns of the small picture that cuts are seen on
_THREADS = 2
_PQ, _HLG = 16, 18  # FFmpeg's numbers of the transfer curves SMPTE ST 2084 and ARIB STD-B67
_REFERENCE_WHITE = 203.0  # cd/m², what a white sheet has in HDR (ITU-R BT.2408)

Array = NDArray[Any]
# PyAV's own types allow None wherever an open film has a number.
InputContainer: TypeAlias = Any
VideoStream: TypeAlias = Any
VideoFrame: TypeAlias = Any
Packet: TypeAlias = Any


class Refused(Exception):
    """The film cannot be read: a sentence that says why, and whether it was too large (`large`) or unreadable."""

    def __init__(self, sentence: str, large: bool = False):
        super().__init__(sentence)
        self.large = large


@dataclass(slots=True)
class Shot:
    """One picture on its way out."""

    ticks: int
    pixels: Callable[[], Array]  # RGB uint8 (H, W, 3), upright; made when it is wanted
    small: Array  # float32 _GRID, for cuts
    corrupt: bool = False


@dataclass(slots=True)
class Notes:
    """What a pass learns of the film: sentences, each once; where it was damaged, in seconds; how it is turned."""

    sentences: dict[str, None] = field(default_factory=dict)
    sent: int = 0  # so many of the sentences
    turn: tuple[int, int, int, int] | None = None  # the film's display matrix, once it is known
    broken: list[list[float]] = field(default_factory=list)  # from, to (None at the end)

    def __call__(self, sentence: str) -> None:
        self.sentences[sentence] = None

    def new(self) -> list[str]:
        """The sentences that nobody has been told yet."""
        new = list(self.sentences)[self.sent :]
        self.sent = len(self.sentences)
        return new


# ------------------------------------------------------------------------------------------- containers by their bytes


# Brands of pictures in a film's boxes: HEIC with its bursts, AVIF, and Canon's raw photos
_STILL = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1", b"avif",
     b"avis", b"crx ")
)  # fmt: skip


def container_of(head: bytes) -> str | None:
    """The name of a film's container by its first bytes, at least 16: mov, matroska, avi, gif, webp; else None.

    Pictures in the same boxes (HEIC, AVIF) are none; a GIF or WebP may be a film or not.

    Args:
        head: The first bytes of a file.
    """
    if head[4:8] == b"ftyp":
        return None if head[8:12] in _STILL else "mov"
    if head[4:8] in (b"moov", b"mdat", b"wide", b"pnot"):
        return "mov"
    if head[:4] == b"\x1aE\xdf\xa3":
        return "matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    return None


_NAMES = {"mov": "MP4 or MOV", "matroska": "WebM or MKV", "avi": "AVI", "gif": "GIF", "webp": "WebP"}


# --------------------------------------------------------------------------------------------------------- with FFmpeg


def _opened(file: BinaryIO, container: str) -> tuple[InputContainer, VideoStream]:
    """The container and its first video stream. Raises Refused."""
    import av

    try:
        opened = av.open(
            file,
            "r",
            format=container,
            options={"protocol_whitelist": "none", "enable_drefs": "0", "export_xmp": "1"},
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, ValueError, OverflowError) as error:
        kind = _NAMES.get(container, container)
        raise Refused(
            f"it is a film ({kind}) whose index or header cannot be read: it is damaged, or its end is missing. "
            "Fetch or export it again."
        ) from error
    if len(opened.streams) > MOST_STREAMS:
        raise Refused(f"it holds {len(opened.streams)} streams; expected at most {MOST_STREAMS}.", large=True)
    streams = [stream for stream in opened.streams.video if not _is_cover(stream)]
    if not streams:
        kinds = sorted({stream.type for stream in opened.streams})
        what = "only sound" if kinds == ["audio"] else "a still picture" if opened.streams.video else "no video"
        raise Refused(f"expected a film, got a file with {what}. Name a file that shows something.")
    stream = streams[0]
    if "enc_key_id" in stream.metadata or _tag(stream) in ("encv", "drmi"):
        raise Refused("it is encrypted (DRM). Expected a film that plays without a key.")
    if stream.codec_context is None or stream.codec_context.name not in CODECS:
        name = "an unknown codec" if stream.codec_context is None else f"the codec {stream.codec_context.name}"
        raise Refused(f"its pictures are in {name}, which is not read. Convert it to H.264 in MP4.")
    return opened, stream


def _is_cover(stream: VideoStream) -> bool:
    """Whether a stream is a picture that stands beside sound."""
    return bool(stream.disposition & stream.disposition.attached_pic)


def _tag(stream: VideoStream) -> str:
    try:
        return str(stream.codec_context.codec_tag)
    except (AttributeError, ValueError):
        return ""


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise Refused(
            f"its pictures have {width} × {height} = {width * height / 1e6:,.12g} million pixels; expected at most "
            f"{max_pixels / 1e6:,.12g} million. Make it smaller.",
            large=True,
        )


def _zero(opened: InputContainer, stream: VideoStream, first: int | None) -> int:
    """The tick that is 0:00: where the file begins to play, which may be before its first picture."""
    start = None if opened.start_time is None else round(Fraction(opened.start_time, 1_000_000) / stream.time_base)
    known = [tick for tick in (start, stream.start_time, first) if tick is not None]
    return min(known, default=0)


def _survey(file: BinaryIO, container: str, max_pixels: int) -> dict[str, Any]:
    opened, stream = _opened(file, container)
    context = stream.codec_context
    _check_size(context.width, context.height, max_pixels)
    ticks = array("q")  # eight bytes each: a long film has hundreds of thousands
    without = 0
    notes = Notes()
    for packet in _packets(opened, stream, notes):
        if packet.size and not packet.is_discard:
            if packet.has_sidedata("encryption_init_info") or packet.has_sidedata("encryption_info"):
                raise Refused("it is encrypted (DRM). Expected a film that plays without a key.")
            when = packet.pts if packet.pts is not None else packet.dts
            if when is None:
                without += 1
            else:
                ticks.append(int(when))
            if len(ticks) + without > MOST_PACKETS:
                raise Refused(f"it holds more than {MOST_PACKETS:,} pictures. Cut it into pieces.", large=True)
    base = stream.time_base
    rate = stream.average_rate or stream.guessed_rate
    if without > len(ticks):  # a stream without times: its rate is all there is
        step = max(1, round(1 / (rate * base))) if rate else 1
        ticks = array("q", (index * step for index in range(len(ticks) + without)))
    if not ticks:
        raise Refused("it holds no picture: expected at least one. Export it again.")
    times = np.frombuffer(ticks, np.int64)  # sorted in its place
    times.sort()
    if (times[1:] == times[:-1]).any():
        times = np.unique(times)
    zero = _zero(opened, stream, int(times[0]))
    claimed = stream.duration * base if stream.duration else Fraction(opened.duration or 0, 1_000_000)
    return {
        "codec": context.codec.canonical_name if hasattr(context.codec, "canonical_name") else context.codec.name,
        "base": [base.numerator, base.denominator],
        "zero": zero,
        "rate": None if not rate else float(rate),
        "claimed_frames": stream.frames or None,
        "claimed_seconds": float(claimed) or None,
        "packets": len(ticks),
        "notes": list(notes.sentences),
        "tags": _tags(opened),
        "times": times,
    }


def _tags(opened: InputContainer) -> dict[str, str]:
    """What the container says of itself and of its streams, by names in small letters; the first of a name counts."""
    tags: dict[str, str] = {}
    room = _MOST_TAG
    named = [("", opened.metadata), *((f"{stream.type}.", stream.metadata) for stream in opened.streams)]
    for where, metadata in named:
        for key, value in metadata.items():
            name, text = f"{where}{key.lower()}"[:100], str(value)[:room]
            if text and name not in tags and len(tags) < _MOST_TAGS:
                tags[name], room = text, room - len(text)
    return tags


def _packets(opened: InputContainer, stream: VideoStream, notes: Notes) -> Iterator[Packet]:
    """The packets of a stream; those that can be had where the file breaks."""
    import av

    coming = opened.demux(stream)
    while True:
        try:
            yield next(coming)
        except StopIteration:
            return
        except av.error.FFmpegError:  # the container breaks here; what came before holds
            notes.broken.append([-1.0])
            return


@dataclass(slots=True)
class Wanted:
    """Which pictures have to be decoded: those in spans of ticks, and the first of each step. Without spans, all."""

    spans: list[list[int]] | None = None
    step: int | None = None
    origin: int = 0  # where the steps begin

    def __call__(self, ticks: int | None, duration: int | None) -> bool:
        """Whether one that begins at a tick and is so long has to be; where that is not known, it has."""
        if self.spans is None or ticks is None:
            return True
        if self.step is not None and (not duration or (ticks - self.origin) % self.step < duration):
            return True
        at = bisect.bisect_right(self.spans, ticks, key=lambda span: span[0]) - 1
        return at >= 0 and ticks <= self.spans[at][1]


# Decoders that can leave out what no other picture refers to. Where fields are coded one by one, half a picture may be
# what others refer to: interlaced films are decoded whole.
_SKIM = frozenset(["h264", "hevc"])


def _shots(
    file: BinaryIO,
    container: str,
    max_pixels: int,
    times: Array | None,
    notes: Notes,
    wanted: Wanted | None = None,
) -> Iterator[Shot]:
    """The pictures of a film in the order of their presentation.

    Args:
        file: open for reading.
        container: as `container_of` names it.
        max_pixels: of one picture.
        times: ticks of the pictures, for a container that knows none.
        notes: is told what is seen on the way.
        wanted: those that have to be there; others are missing where no other picture refers to them. None for all.
    """
    import av

    opened, stream = _opened(file, container)
    context = stream.codec_context
    _check_size(context.width, context.height, max_pixels)
    context.thread_type = "AUTO"
    context.thread_count = _THREADS
    context.options = {"err_detect": "explode"}  # damage is to be seen, not painted over
    by_order = container == "avi" and times is not None  # AVI counts pictures and knows no times of its own
    if wanted is None or by_order or context.name not in _SKIM:
        wanted = Wanted()
    skimming = False
    last: int | None = None
    number = 0
    resync = False

    def taken(frames: list[VideoFrame]) -> Iterator[Shot]:
        nonlocal last, number
        for frame in frames:
            when = frame.pts if frame.pts is not None else frame.dts
            if by_order and times is not None and number < len(times):
                when = int(times[number])
            if when is None or (last is not None and when <= last):
                when = 0 if last is None else last + 1
            last = int(when)
            number += 1
            _check_size(frame.width, frame.height, max_pixels)
            if frame.interlaced_frame:
                wanted.spans = None
            yield Shot(last, _Picture(frame, stream, max_pixels, notes), _small(frame), frame.is_corrupt)

    def seconds(tick: int | None) -> float:
        return 0.0 if tick is None else float(tick * stream.time_base)

    for packet in _packets(opened, stream, notes):
        if resync:
            if packet.size and not packet.is_keyframe:
                continue
            if packet.size:
                resync = False
                notes.broken[-1].append(seconds(packet.pts if packet.pts is not None else packet.dts))
        if (skim := not wanted(packet.pts, packet.duration)) != skimming:
            context.skip_frame, skimming = "NONREF" if skim else "DEFAULT", skim
        try:
            frames = context.decode(packet if packet.size else None)
        except (av.error.FFmpegError, ValueError) as error:
            if isinstance(error, av.error.EOFError):
                return
            notes.broken.append([seconds(last)])
            if not packet.size or len(notes.broken) > _DAMAGES:
                return
            context.flush_buffers()
            resync = True
            continue
        yield from taken(frames)


def _small(frame: VideoFrame) -> Array:
    """The brightness of a picture on a small grid, float32 in 0 … 255; sampled, since every picture has one."""
    plane = frame.planes[0]
    kind = frame.format
    if kind.name.startswith(("yuv", "gray", "nv12", "nv21", "p010", "p016")) and not kind.name.startswith("yuyv"):
        bits = kind.components[0].bits
        deep = bits > 8
        raw = np.frombuffer(plane, np.uint16 if deep else np.uint8)
        rows = raw.reshape(plane.height, -1)[:, : frame.width]
        high = 65535.0 if kind.name.startswith("p01") else float(2**bits - 1)
    else:
        rows, high = frame.reformat(width=_GRID[1], height=_GRID[0], format="gray").to_ndarray(), 255.0
    chosen = np.ix_(_middles(rows.shape[0], _GRID[0]), _middles(rows.shape[1], _GRID[1]))
    return np.asarray(rows[chosen].astype(np.float32) * (255.0 / high))


@functools.cache
def _middles(length: int, count: int) -> Array:
    """The middles of so many equal parts of a line of pixels."""
    return ((np.arange(count) + 0.5) * length / count).astype(int)


class _Picture:
    """A decoded picture that becomes RGB when it is called: most of a film's never are."""

    def __init__(self, frame: VideoFrame, stream: VideoStream, max_pixels: int, notes: Notes):
        self.frame, self.stream, self.max_pixels, self.notes = frame, stream, max_pixels, notes

    def __call__(self) -> Array:
        frame, notes = self.frame, self.notes
        pixels = _rgb(frame, notes)
        if frame.interlaced_frame:
            notes("The film is interlaced: of each picture one half's lines were kept and the others put between them.")
            pixels = _deinterlaced(pixels)
        ratio = self.stream.sample_aspect_ratio
        if ratio and ratio > 0 and abs(ratio - 1) > 0.01:
            wide = min(max(1, round(frame.width * ratio)), max(1, self.max_pixels // frame.height))
            notes(
                f"The film's pixels are not square; its pictures were brought from {frame.width} to {wide} pixels in "
                "width."
            )
            from PIL import Image

            pixels = np.asarray(Image.fromarray(pixels).resize((wide, frame.height), Image.Resampling.BICUBIC))
        if notes.turn is None:  # once a film: asking a frame for it makes a circle of references that holds the frame
            notes.turn = _display_matrix(frame)
        return _upright(pixels, notes.turn)


def _rgb(frame: VideoFrame, notes: Notes) -> Array:
    if frame.color_trc in (_PQ, _HLG):
        notes("The film is HDR; its brightness was brought down to that of an ordinary picture (tone-mapped).")
        return tone_mapped(frame.to_ndarray(format="rgb48le"), "pq" if frame.color_trc == _PQ else "hlg")
    if "a" in frame.format.name[:5] and len(frame.format.components) == 4:  # yuva…, rgba, bgra, argb, gbrap
        rgba = frame.to_ndarray(format="rgba")
        if int(rgba[:, :, 3].min()) < 255:
            notes("The film is transparent in places; it was put on white.")
            return on_white(rgba)
        return np.ascontiguousarray(rgba[:, :, :3])
    return frame.to_ndarray(format="rgb24")


def on_white(rgba: Array) -> Array:
    """RGBA uint8 (H, W, 4) over white, uint8 (H, W, 3).

    Args:
        rgba: uint8 (H, W, 4).
    """
    alpha = rgba[:, :, 3:].astype(np.uint16)
    mixed = rgba[:, :, :3].astype(np.uint16) * alpha + 255 * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


def _deinterlaced(pixels: Array) -> Array:
    out = pixels.copy()
    lines = len(out[1:-1:2])
    if lines:
        above, below = pixels[0:-2:2][:lines].astype(np.uint16), pixels[2::2][:lines]
        out[1:-1:2] = (above + below + 1) // 2
    return out


def _upright(pixels: Array, matrix: tuple[int, int, int, int]) -> Array:
    """Turned and mirrored as a film's display matrix has it, in quarter turns."""
    a, b, c, d = matrix  # x' = a x + c y, y' = b x + d y
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels = pixels.swapaxes(0, 1)
        a, d = c, b
    if a < 0:
        pixels = pixels[:, ::-1]
    if d < 0:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    for index in range(len(frame.side_data)):
        data = frame.side_data[index]
        if data.type.name == "DISPLAYMATRIX":
            numbers = struct.unpack("=9i", bytes(data)[:36])
            return (numbers[0], numbers[1], numbers[3], numbers[4])
    return (1, 0, 0, 1)


def tone_mapped(deep: Array, curve: str) -> Array:
    """HDR in BT.2020, uint16 (H, W, 3), as an ordinary picture in sRGB, uint8.

    The transfer curves are ITU-R BT.2100's: PQ (table 4), or HLG with the system gamma 1.2 of a screen of 1,000 cd/m²
    (table 5). Up to 3/4 of reference white light stays as it is; what is brighter is rolled off so that 1,000 cd/m²
    are white. The matrix to BT.709's primaries is ITU-R BT.2087's.

    Args:
        deep: uint16 (H, W, 3), as the file codes it.
        curve: "pq" or "hlg".
    """
    code = np.arange(4096, dtype=np.float64) / 4095
    if curve == "pq":
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
        power = code ** (1 / m2)
        table = 10_000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        table = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    light = np.take(table.astype(np.float32), deep >> 4)
    if curve == "hlg":
        bright = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
        light *= 1000 * np.maximum(bright, 1e-6)[:, :, None] ** np.float32(0.2)
    light /= np.float32(_REFERENCE_WHITE)
    to_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
    light = np.maximum(light @ to_709.T, 0)
    knee, top = 0.75, 1000 / _REFERENCE_WHITE
    peak = light.max(axis=2, keepdims=True)
    over = np.clip((peak - knee) / (top - knee), 0, 1)
    rolled = np.where(peak > knee, knee + (1 - knee) * np.sin(over ** np.float32(0.5) * np.float32(np.pi / 2)), peak)
    light *= rolled / np.maximum(peak, 1e-6)
    light = np.clip(light, 0, 1)
    curve_out = np.arange(4096, dtype=np.float64) / 4095
    srgb = np.where(curve_out <= 0.0031308, 12.92 * curve_out, 1.055 * curve_out ** (1 / 2.4) - 0.055)
    return np.rint(255 * srgb).astype(np.uint8)[np.rint(light * 4095).astype(np.uint16)]


# --------------------------------------------------------------------------------------------------------- with Pillow


def _animation(file: BinaryIO, container: str, max_pixels: int) -> Any:
    import importlib
    import warnings

    from PIL import Image

    importlib.import_module({"gif": "PIL.GifImagePlugin", "webp": "PIL.WebPImagePlugin"}[container])
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # ours, checked next, takes its place; this process reads one file
    try:
        image = Image.open(file, formats=(container.upper(),))
    except Exception as error:  # a broken file makes decoders raise almost anything
        why = "its end is missing" if isinstance(error, EOFError) else "its data cannot be decoded"
        raise Refused(f"it is damaged or incomplete ({why}). Fetch or export it again.") from error
    _check_size(image.width, image.height, max_pixels)
    return image


def _stills(file: BinaryIO, container: str, max_pixels: int, notes: Notes) -> Iterator[Shot]:
    """The pictures of an animation; a tick is a millisecond. Pauses of up to 10 ms last 100, as browsers have it."""
    image = _animation(file, container, max_pixels)
    now = index = 0
    while True:
        try:
            image.seek(index)
            image.load()
            if image.has_transparency_data:
                rgba = np.asarray(image.convert("RGBA"))
                if int(rgba[:, :, 3].min()) < 255:
                    notes("The film is transparent in places; it was put on white.")
                pixels = on_white(rgba)
            else:
                pixels = np.asarray(image.convert("RGB"))
            pause = round(float(image.info.get("duration", 0) or 0))
            grey = np.asarray(image.convert("L").resize(_GRID[::-1]), np.float32)
        except EOFError:
            return
        except Exception:  # a broken file makes decoders raise almost anything
            notes.broken.append([now / 1000])
            return
        yield Shot(now, lambda picture=pixels: picture, grey)  # type: ignore[misc]
        now += pause if pause > 10 else 100
        index += 1
        if index > MOST_PACKETS:
            return


def _survey_animation(file: BinaryIO, container: str, max_pixels: int) -> dict[str, Any]:
    notes = Notes()
    times = [shot.ticks for shot in _stills(file, container, max_pixels, notes)]
    if not times:
        raise Refused("it holds no whole picture: expected at least one. Fetch or export it again.")
    claimed = getattr(_animation(file, container, max_pixels), "n_frames", len(times))
    rate = (len(times) - 1) * 1000 / times[-1] if len(times) > 1 else None
    return {
        "codec": container, "base": [1, 1000], "zero": 0, "rate": rate, "claimed_frames": claimed,
        "claimed_seconds": None, "packets": len(times), "notes": [], "tags": {}, "times": np.array(times, np.int64),
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------------- what is asked for


class Cuts:
    """Tells from small pictures, one after another, where one shot ends and another begins.

    A cut is a step that is large in itself and against the steps before it, both where brightness stands and in how
    much of it there is: a hand before the camera moves the first, a cloud the second. `perf/tracks.py` measures what
    the numbers do on composed films.
    """

    step, ratio, spread = 10.0, 3.0, 0.25  # grey levels; times the usual step; share of pixels that change their level

    def __init__(self) -> None:
        self.before: Array | None = None
        self.steps: list[float] = []

    def __call__(self, small: Array) -> bool:
        before, self.before = self.before, small
        if before is None or before.shape != small.shape:
            return before is not None
        change = float(np.abs(small - before).mean())
        cut = change > self.step  # nearly every picture of a film stops here
        if cut:
            usual = float(np.median(self.steps)) if self.steps else 2.0
            levels = [np.histogram(picture, bins=16, range=(0, 256))[0] / picture.size for picture in (small, before)]
            moved = float(np.abs(levels[0] - levels[1]).sum() / 2)
            cut = change > self.ratio * max(usual, 1.0) and (moved > self.spread or change > 40)
        self.steps = [] if cut else [*self.steps[-11:], change]
        return cut


def _decode(file: BinaryIO, request: dict[str, Any], send: Callable[[dict[str, Any], Any], None]) -> None:
    """Send what was asked for: the picture at or after each target, `burst` from there on, one every `step` ticks.

    `spans`, where they are given, hold all targets with their bursts: what lies in none of them and at no step may be
    passed over undecoded.
    """
    container, max_pixels = request["container"], int(request["max_pixels"])
    targets, burst = list(request["targets"]), int(request["burst"])
    every, step, start, end = bool(request["every"]), request["step"], request["start"], request["end"]
    notes = Notes()
    if container in ("gif", "webp"):
        shots = _stills(file, container, max_pixels, notes)
    else:
        times = None if request["times"] is None else np.array(request["times"], np.int64)
        shots = _shots(file, container, max_pixels, times, notes, Wanted(request.get("spans"), step, start or 0))
    cuts, waiting, sizes = Cuts(), False, None
    following, left, next_step, number = 0, 0, None, -1
    for number, shot in enumerate(shots):
        if end is not None and shot.ticks > end:
            break
        waiting = cuts(shot.small) or waiting
        if shot.corrupt:
            notes("Some pictures of the film are damaged; they were left out.")
            continue
        if start is not None and shot.ticks < start:
            continue
        judged = every
        while following < len(targets) and shot.ticks >= targets[following]:
            judged, following = True, following + 1
        left = burst if judged else left - 1
        watched = step is not None and (next_step is None or shot.ticks >= next_step)
        if watched:
            next_step = shot.ticks + step - (shot.ticks - (start or 0)) % step
        if judged or left > 0 or watched:
            pixels = shot.pixels()
            if sizes is not None and sizes != pixels.shape:
                notes("The film's pictures change their size on the way.")
            sizes = pixels.shape
            send(
                {
                    "kind": "frame", "index": number, "ticks": shot.ticks, "height": pixels.shape[0],
                    "width": pixels.shape[1], "judged": judged, "burst": left > 0, "cut": waiting,
                    "notes": notes.new(),
                },
                np.ascontiguousarray(pixels),
            )  # fmt: skip
            waiting = False
        if request["stop"] and following == len(targets) and left <= 1 and not every:
            break
    send({"kind": "end", "decoded": number + 1, "notes": notes.new(), "broken": notes.broken}, None)


def answer(file: BinaryIO, request: dict[str, Any], send: Callable[[dict[str, Any], Any], None]) -> None:
    """Do what was asked with an open film.

    Args:
        file: An open film.
        request: What is asked, by name.
        send: Is called with each answer and its pixels.
    """
    try:
        if request["do"] == "survey":
            still = request["container"] in ("gif", "webp")
            facts = (_survey_animation if still else _survey)(file, request["container"], int(request["max_pixels"]))
            times = facts.pop("times")
            send({"kind": "survey", **facts}, times.astype("<i8", copy=False))
        else:
            _decode(file, request, send)
    except Refused as error:
        send({"kind": "refused", "why": str(error), "large": error.large}, None)
    except ModuleNotFoundError as error:
        send({"kind": "missing", "package": error.name}, None)
    except MemoryError:
        send({"kind": "refused", "why": "it does not fit into memory. Make it smaller.", "large": True}, None)
    except OSError:  # the pipe, or the disk that the film lies on
        raise
    except Exception as error:  # a broken file makes decoders raise almost anything; what came before it holds
        send({"kind": "failed", "why": f"{type(error).__name__}: {error}"}, None)


def main() -> None:
    """The process's whole life: questions from standard input, one a line, their answers to standard output."""
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # whatever a library prints is no part of the answer
    os.dup2(null, 2)

    def send(header: dict[str, Any], payload: Any) -> None:
        body = b"" if payload is None else memoryview(payload).cast("B")
        text = json.dumps({**header, "bytes": len(body)}).encode()
        out.write(struct.pack("<I", len(text)) + text)
        sent = 0
        while sent < len(body):
            sent += out.write(body[sent:])

    confined = False
    try:
        for line in sys.stdin.buffer:
            request = json.loads(line)
            try:
                file = open(request["path"], "rb")  # noqa: SIM115 -- closed below; its own errors are told apart
            except OSError as error:
                send({"kind": "refused", "why": f"it cannot be opened: {error.strerror}.", "large": False}, None)
                continue
            with file:
                status = os.fstat(file.fileno())
                if [status.st_ino, status.st_size, status.st_mtime_ns] != request["identity"]:
                    send(
                        {"kind": "refused", "why": "it was changed while it was read. Try again.", "large": False}, None
                    )
                    continue
                if not confined:
                    _confined(int(request["max_memory"]))
                    confined = True
                answer(file, request, send)
            gc.collect()  # PyAV's containers and streams name each other; the index of a long film is large
    except BrokenPipeError:  # nobody reads on
        os._exit(0)


def _confined(max_memory: int) -> None:
    """From here on this process may write no file and take so many bytes of memory, where the system can see to it."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for what, limit in ((resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_AS, max_memory), (resource.RLIMIT_CORE, 0)):
        try:
            resource.setrlimit(what, (limit, limit))
        except (OSError, ValueError):  # a limit that is lower already
            continue
