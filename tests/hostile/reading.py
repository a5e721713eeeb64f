"""Every file of the corpus through the Python API, in a process whose CPU time, memory and standard error are watched.

A file that takes more than a minute of CPU time, or a quarter of an hour, is stopped, and its process with it. Memory
is what the process takes at its peak beyond what it held before, or what a decoder that it started takes.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hostile import Figure, corpus

CPU = 20.0  # seconds that a file may take
MEMORY = 1_000  # megabytes that it may take beyond the loaded models
PATIENCE = 900.0  # seconds until it is stopped


def attack(scale: int = 1, jobs: int = 2, share: int = 1, first: int = 0) -> Iterator[Figure]:
    """All files of the corpus, or every `share`-th class of them; `scale` times the seeds of what is broken by dice."""
    inputs = list(corpus.inputs(6 * scale))
    chosen = list(dict.fromkeys(made.kind for made in inputs))[first::share]
    inputs = [made for made in inputs if made.kind in chosen]
    shares = [inputs[start::jobs] for start in range(jobs)]
    with ThreadPoolExecutor(jobs) as several:
        answers = [pair for share in several.map(_share, shares) for pair in share]
    for kind in chosen:
        yield judged(kind, [(made, answer) for made, answer in answers if made.kind == kind])


def judged(kind: str, answers: Sequence[tuple[corpus.Input, dict[str, Any]]]) -> Figure:
    """What became of one class of files."""
    figure = Figure(f"files, {kind}")
    for made, answer in answers:
        said = f"{made.name[:60]!r}: {answer}"
        fine = (
            "error" not in answer
            and not answer["stderr"]
            and answer["seconds"] <= CPU
            and answer["megabytes"] <= MEMORY
        )
        told = (
            fine and answer["status"] in ("ok", "no_face", "failed") and (answer["status"] != "failed" or answer["why"])
        )
        figure.expect(bool(told and (not made.good or answer["status"] == "ok")), said)
    slowest, largest = (
        max((pair for pair in answers if key in pair[1]), key=lambda pair: pair[1][key], default=None)
        for key in ("seconds", "megabytes")
    )
    if slowest and largest:
        figure.worst = (
            f"{slowest[1]['seconds']:.1f} s of CPU ({slowest[0].name[:40]!r}), "
            f"{largest[1]['megabytes']:.0f} MB ({largest[0].name[:40]!r})"
        )
    return figure


def _share(inputs: Sequence[corpus.Input]) -> list[tuple[corpus.Input, dict[str, Any]]]:
    """The answers on some files, by one process, and another where it died."""
    answers, process = [], None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        for number, made in enumerate(inputs):
            folder = Path(scratch, str(number))
            folder.mkdir()
            path = folder / made.name
            with contextlib.suppress(
                OSError, ValueError
            ):  # a name that the system does not take is asked for all the same
                made.put(path)
            process = process or _Process(Path(scratch))
            answer = process.ask(str(path))
            if "error" in answer:
                process.end()
                process = None
            answers.append((made, answer))
            shutil.rmtree(folder, ignore_errors=True)
        if process is not None:
            process.end()
    return answers


class _Process:
    """The process that analyses."""

    def __init__(self, scratch: Path):
        self.noise = scratch / "stderr"
        self.file = self.noise.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hostile.reading"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.file,
            text=True,
            errors="surrogateescape",
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()  # it has loaded
        self.before = self.noise.stat().st_size

    def ask(self, path: str) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        began = time.monotonic()
        answered = threading.Event()
        threading.Thread(target=self._watch, args=(answered, self._cpu()), daemon=True).start()
        try:
            self.process.stdin.write(json.dumps(path) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            line = ""
        finally:
            answered.set()
        noise = self.noise.stat().st_size
        said, self.before = noise - self.before, noise
        if not line:
            took = time.monotonic() - began
            return {"error": f"the process ended or was stopped after {took:.0f} s", "stderr": said}
        answer: dict[str, Any] = json.loads(line)
        return answer | {"stderr": said}

    def _cpu(self) -> float:
        """Seconds of CPU that the process has taken, with decoders that it has waited for."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def _watch(self, answered: threading.Event, before: float) -> None:
        """Stop the process where one file takes too much, by CPU time, for a busy machine is slow by the clock."""
        until = time.monotonic() + PATIENCE
        while not answered.wait(1):
            with contextlib.suppress(OSError):
                if self._cpu() - before > 3 * CPU or time.monotonic() > until:
                    self.process.kill()
                    return

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.file):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _answer(analyzer: Any, path: str) -> dict[str, Any]:
    """One file's report in short, with what it cost."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before, resident = _spent(), _memory("VmRSS")
    try:
        report = analyzer.analyze(path)
        answer: dict[str, Any] = {
            "status": report.status,
            "verdict": None if report.verdict is None else report.verdict.label,
            "why": "; ".join(problem.message for problem in report.problems)[:300],
        }
    except Exception:
        answer = {"error": traceback.format_exc()[-500:]}
    taken = _memory("VmHWM") - resident
    decoders = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    return {"seconds": round(_spent() - before, 2), "megabytes": round(max(taken, decoders))} | answer


def _memory(field: str) -> float:
    """Megabytes, by the system's account of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(field))


def _spent() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def main() -> None:
    """Load, then answer paths from standard input, one a line in JSON."""
    from facewitness.pipeline import Analyzer

    resource.setrlimit(resource.RLIMIT_AS, (12_000_000_000, 12_000_000_000))  # a bomb must not take the machine with it
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    analyzer = Analyzer()
    analyzer.analyze(corpus.whole()["baseline.jpg"])
    print("ready", file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(_answer(analyzer, json.loads(line))), file=out, flush=True)


if __name__ == "__main__":
    main()
