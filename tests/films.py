"""Makes the films that tests read: short, small, and wrong in ways of their own."""

import io
import tempfile
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

# container → codec, options, FFmpeg's name of the muxer
CONTAINERS = {
    "mp4": ("libx264", {}, "mp4"),
    "mp4-hevc": ("libx265", {"x265-params": "log-level=none"}, "mp4"),
    "mov": ("libx264", {}, "mov"),
    "mkv": ("libx264", {}, "matroska"),
    "mkv-hevc": ("libx265", {"x265-params": "log-level=none"}, "matroska"),
    "webm": ("libvpx-vp9", {"cpu-used": "8", "deadline": "realtime"}, "webm"),
    "avi": ("mpeg4", {}, "avi"),
    "avi-h264": ("libx264", {}, "avi"),
}


_MADE: dict[str, bytes] = {}


def pictures(count: int, width: int = 128, height: int = 96) -> Iterable[np.ndarray]:
    """Pictures whose brightness counts: picture i is about 2 · i grey, with a square that wanders."""
    for i in range(count):
        pixels = np.full((height, width, 3), (2 * i) % 250, np.uint8)
        pixels[8:24, (3 * i) % (width - 16) : (3 * i) % (width - 16) + 16] = (255, 60, 0)
        yield pixels


def film(frames: Iterable[np.ndarray] | int, kind: str = "mp4", **how: Any) -> bytes:
    """An encoded film, by the options of `encoded`; one of numbered pictures is encoded once a process."""
    if not isinstance(frames, int):
        return encoded(frames, kind, **how)
    key = repr((frames, kind, sorted(how.items())))
    if key not in _MADE:
        _MADE[key] = encoded(frames, kind, **how)
    return _MADE[key]


def encoded(
    frames: Iterable[np.ndarray] | int,
    kind: str = "mp4",
    *,
    fps: int | Fraction = 25,
    times: Sequence[int] | None = None,  # in units of 1 / fps
    rotation: int = 0,
    pixels: str = "yuv420p",
    codec: str | None = None,
    options: dict[str, str] | None = None,
    mux: dict[str, str] | None = None,
    tags: dict[str, int] | None = None,
    shape: Fraction | None = None,  # of a pixel
    says: dict[str, str] | None = None,  # what the container says of itself
) -> bytes:
    """An encoded film."""
    name, given, container = CONTAINERS[kind]
    with tempfile.TemporaryDirectory() as folder:  # a muxer may go back in its file
        path = Path(folder, "film")
        with av.open(str(path), "w", format=container, options=mux or {}) as out:
            out.metadata.update(says or {})
            stream = None
            for i, picture in enumerate(pictures(frames) if isinstance(frames, int) else frames):
                if stream is None:
                    stream = out.add_stream(codec or name, rate=fps, options=given | (options or {}))
                    stream.height, stream.width = picture.shape[:2]
                    stream.pix_fmt = pixels
                    stream.codec_context.time_base = 1 / Fraction(fps)
                    if shape is not None:
                        stream.codec_context.sample_aspect_ratio = shape
                    for tag, value in (tags or {}).items():
                        setattr(stream.codec_context, tag, value)
                    if rotation:
                        stream.set_display_rotation(rotation)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts = i if times is None else times[i]
                out.mux(stream.encode(frame))
            out.mux(stream.encode())
        return path.read_bytes()


def sound() -> bytes:
    """A file with sound alone."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as opened:
        stream = opened.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        opened.mux(stream.encode(frame))
        opened.mux(stream.encode())
    return out.getvalue()


def cover() -> bytes:
    """A film's container with sound and a still picture, as music is sold."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as opened:
        stream = opened.add_stream("aac", rate=44100)
        picture = opened.add_stream("mjpeg", rate=1)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
        picture.disposition = av.stream.Disposition.attached_pic
        still = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        opened.mux(picture.encode(still))
        opened.mux(picture.encode())
        opened.mux(stream.encode(frame))
        opened.mux(stream.encode())
    return out.getvalue()


def of_two_sizes() -> bytes:
    """Twenty frames of 128 × 96 and twenty of 64 × 48."""
    out = io.BytesIO()
    with av.open(out, "w", format="webm") as opened:
        stream = opened.add_stream("libvpx-vp9", rate=25, options={"cpu-used": "8"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        second = av.CodecContext.create("libvpx-vp9", "w")
        second.width, second.height, second.pix_fmt = 64, 48, "yuv420p"
        second.time_base, second.framerate, second.options = Fraction(1, 25), 25, {"cpu-used": "8"}
        for first, encoder, size in ((0, stream, (96, 128)), (20, second, (48, 64))):
            for i in [*range(20), None]:
                frame = None
                if i is not None:
                    frame = av.VideoFrame.from_ndarray(np.full((*size, 3), 5 * i, np.uint8), format="rgb24")
                    frame.pts = first + i
                for packet in encoder.encode(frame):
                    packet.stream, packet.time_base = stream, Fraction(1, 25)
                    opened.mux(packet)
    return out.getvalue()


def that_claims_to_be(width: int, height: int) -> bytes:
    """A film of one broken frame whose header names a size."""
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as opened:
        stream = opened.add_mux_stream("vp8", rate=25, width=width, height=height)
        packet = av.Packet(bytes(100))
        packet.stream, packet.pts, packet.dts = stream, 0, 0
        opened.mux(packet)
    return out.getvalue()


def decoded(content: bytes) -> list[np.ndarray]:
    """Every frame of a film as a plain sequential decode gives it."""
    with av.open(io.BytesIO(content)) as opened:
        return [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]
