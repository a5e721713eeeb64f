"""What reading a film costs beyond decoding it, whether its frames are exact, and whether memory grows with its length.

    python perf/film.py [--seconds 60] [--rounds 3] [--long 7200]

    time     1080p H.264 with 32 judged frames a minute, against a plain sequential decode of the same file with PyAV on
             as many threads, in turns in one run, by the clock and by processor time (which a busy machine does not
             change); "followed" reads five more frames a second, as an analysis does that follows people. OpenCV's
             plain decode stands beside it. The goal: at most 1.3 times.
    exact    in each container: frames that equal those of a full sequential decode, of all that are judged
    memory   peak of both processes for a film of two minutes and for the same one looped to two hours (by copying
             packets): of 320 × 180 and 32 frames of the whole, and of 1080p, of which only the first two minutes are
             decoded, since the index of all frames is there from the start; the goal: within 10 %

The film is made here: scikit-image's photographs, panned and with grain, so that it is as hard to decode as a real one.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
from PIL import Image

from facewitness import film
from facewitness.types import Pixels

_CONTAINERS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("mp4", "libx264", {}), ("mov", "libx264", {}), ("matroska", "libx265", {"x265-params": "log-level=none"}),
    ("webm", "libvpx-vp9", {"cpu-used": "8", "deadline": "realtime"}), ("avi", "mpeg4", {}), ("avi", "libx264", {}),
)  # fmt: skip


def pictures(count: int, width: int, height: int) -> Iterator[Pixels]:
    """A photograph that is panned over, with a camera's grain."""
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        sys.exit("perf/film.py needs a photograph that comes with scikit-image. Try: pip install scikit-image")
    photograph = Image.open(Path(package.origin).parent / "data" / "astronaut.png").convert("RGB")
    wall = np.asarray(photograph.resize((width * 5 // 4, height * 5 // 4)), np.int16)
    grain = np.random.default_rng(0).normal(0, 4, (height + 64, width + 64, 1)).astype(np.int16)
    for i in range(count):
        x, y = (width // 8 + round(width / 8 * np.sin(i / 40))), (height // 8 + round(height / 8 * np.cos(i / 55)))
        dx, dy = (37 * i) % 64, (23 * i) % 64
        yield np.clip(wall[y : y + height, x : x + width] + grain[dy : dy + height, dx : dx + width], 0, 255).astype(
            np.uint8
        )


def made(path: Path, count: int, width: int, height: int, container: str, codec: str, options: dict[str, str]) -> None:
    """Write a film of so many frames at 25 a second."""
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if not options or "crf" not in options:
            stream.bit_rate = 2_000_000
        for i, picture in enumerate(pictures(count, width, height)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = i
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def looped(source: Path, target: Path, times: int) -> None:
    """The same film so many times over, without coding it again."""
    with av.open(str(source)) as opened, av.open(str(target), "w", format="mp4") as out:
        stream = opened.streams.video[0]
        new = out.add_stream_from_template(stream)
        length = stream.duration
        assert length is not None
        for turn in range(times):
            opened.seek(0)
            for packet in opened.demux(stream):
                if packet.dts is None or packet.pts is None:
                    continue
                packet.pts += turn * length
                packet.dts += turn * length
                packet.stream = new
                out.mux(packet)


def plainly(path: Path) -> int:
    """A plain sequential decode; the number of frames."""
    with av.open(str(path)) as opened:
        stream = opened.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = 2
        return sum(1 for _ in opened.decode(stream))


def with_opencv(path: Path) -> int:
    """The same with OpenCV, which always makes BGR of what it decodes unless a frame is skipped by `grab`."""
    import cv2

    opened, count = cv2.VideoCapture(str(path)), 0
    while opened.grab():
        count += 1
    return count


def peak(path: Path, frames: int, end: float | None = None) -> float:
    """Megabytes at most of a process that reads the film, and of the one that decodes it for that, together."""
    code = (
        "import sys; from facewitness import film\n"
        f"read = film.read(sys.argv[1], film.Sampling(frames={frames}, end={end}))\n"
        "for _ in read.frames(): pass\n"
        "peaks = [line.split()[1] for who in ('self', read.passes.decoder.process.pid)\n"
        "         for line in open(f'/proc/{who}/status') if line.startswith('VmHWM')]\n"
        "print(sum(map(int, peaks)) / 1024)"
    )
    return float(subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True).stdout)


def processor() -> float:
    """Seconds of processor time so far, of this process and of those that it started and that have ended."""
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, _WHOSE))


_WHOSE = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def read_through(path: Path, frames: int, step: float | None = None) -> int:
    """Frames that are judged, all of them brought here; with `step` one every so many seconds besides."""
    clip = film.read(path, film.Sampling(frames=frames))
    if step is not None:
        for _ in clip.watch(step):
            pass
    count = sum(1 for _ in clip.frames())
    clip.passes.decoder.close()  # so that its processor time counts
    return count


def main() -> None:
    """Time, exactness and memory."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="of the 1080p film")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long", type=int, default=7200, help="seconds of the long film; 0 leaves memory out")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for container, codec, options in _CONTAINERS:
            path = folder / f"small.{container}"
            made(path, 100, 320, 180, container, codec, dict(options))
            with av.open(str(path)) as opened:
                plain = [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]
            frames = list(film.read(path, film.Sampling(every=True)).frames())
            same = sum(np.array_equal(frame.pixels, plain[frame.index]) for frame in frames)
            print(f"exact    {container:9}{codec:11}{same} of {len(plain)} frames")
        path = folder / "large.mp4"
        short = folder / "short.mp4"
        made(short, min(250, 25 * given.seconds), 1920, 1080, "mp4", "libx264", {"preset": "veryfast", "crf": "20"})
        looped(short, path, max(1, given.seconds // 10))
        judged = max(1, round(32 * given.seconds / 60))
        ways: dict[str, Callable[[], object]] = {
            "plain": lambda: plainly(path),
            "film": lambda: read_through(path, judged),
            "followed": lambda: read_through(path, judged, 0.2),
            "OpenCV": lambda: with_opencv(path),
        }
        clock: dict[str, list[float]] = {way: [] for way in ways}
        used: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(given.rounds):
            for way, run in ways.items():
                start, before = time.perf_counter(), processor()
                run()
                clock[way].append(time.perf_counter() - start)
                used[way].append(processor() - before)
        print(f"time     {25 * given.seconds} frames of 1080p, {path.stat().st_size / 1e6:.0f} MB, {judged} judged")
        for way in ways:
            ratios = [
                statistics.median(a / b for a, b in zip(spent[way], spent["plain"], strict=True))
                for spent in (clock, used)
            ]
            print(
                f"         {way:9} {min(clock[way]):6.2f} s, {min(used[way]):6.2f} s of processor: "
                f"{ratios[0]:.2f} and {ratios[1]:.2f} times the plain decode"
            )
        if given.long:
            minutes, times = given.long / 60, given.long // 120
            for width, height, crf, end in ((320, 180, "28", None), (1920, 1080, "40", 120.0)):
                made(short, 250, width, height, "mp4", "libx264", {"preset": "veryfast", "crf": crf})
                looped(short, path, 12)
                few = peak(path, 32, end)
                looped(short, path, 12 * times)
                many = peak(path, 32, end)
                print(
                    f"memory   {width} × {height}: 2 minutes {few:.0f} MB, {minutes:.0f} minutes {many:.0f} MB: "
                    f"{many / few - 1:+.1%}"
                )


if __name__ == "__main__":
    main()
