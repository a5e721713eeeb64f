"""What the REST service costs beyond the analysis itself, and what it loses when it is killed: nothing.

    python perf/serve.py latency [--photos 60]               p50 of a request over p50 in-process; the goal: ≤ 1.3
    python perf/serve.py load [--clients 8] [--seconds 300]  errors, growth of memory; the goals: 0, ≤ 5 %
    python perf/serve.py kills [--jobs 1000] [--kills 3]     results of jobs that were accepted: each once

A server in a process of its own on this machine, the default witnesses, photographs of 1,024 px. `kills` analyses
pictures of 256 px, for it measures no time. Without a word: all three, at a tenth of their length.
"""

from __future__ import annotations

import argparse
import collections
import importlib.util
import io
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image

from facewitness.pipeline import Analyzer

RAW = {"Content-Type": "image/jpeg"}
WAIT = {**RAW, "Prefer": "wait=60"}


def photos(count: int, side: int) -> list[bytes]:
    """So many JPEGs of one photograph, no two alike."""
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise SystemExit("This needs scikit-image's photograph: pip install '.[dev]', from a clone of the repository")
    photo = Image.open(Path(package.origin).parent / "data" / "astronaut.png").convert("RGB").resize((side, side))
    made = []
    for i in range(count):
        photo.putpixel((i % side, i // side), (i % 256, 0, 0))
        file = io.BytesIO()
        photo.save(file, "JPEG", quality=90)
        made.append(file.getvalue() + i.to_bytes(4, "big"))  # what follows a JPEG's end is read by nobody
    return made


class Server:
    """`facewitness serve` in a process of its own."""

    def __init__(self, data: Path, jobs: int = 1, parts: Sequence[str] = ()):
        command = [
            sys.executable,
            "-m",
            "facewitness",
            "serve",
            "--port",
            "0",
            "--data",
            str(data),
            "--jobs",
            str(jobs),
        ]
        limits = ["--rate", "1000000", "--burst", "100000", "--reserve", "1", "--log-format", "json"]
        self.process = subprocess.Popen([*command, *limits, *parts], stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.lines: list[str] = []
        for line in self.process.stderr:
            self.lines.append(line)
            if found := re.search(r"serving at (http://\S+)", line):
                self.url = found[1]
                break
        else:
            raise SystemExit("".join(self.lines))
        self._reader = threading.Thread(target=lambda: self.lines.extend(self.process.stderr or ()), daemon=True)
        self._reader.start()
        self.client = httpx2.Client(base_url=self.url, timeout=120, trust_env=False)
        while self.client.get("/readyz").status_code != 200:
            time.sleep(0.1)

    def megabytes(self) -> float:
        """Resident memory of the server and its processes."""
        of = {int(line.split()[0]): line.split() for line in _ps("pid=,ppid=,rss=").splitlines()}
        family, total = {self.process.pid}, 0.0
        for _ in range(4):
            family |= {pid for pid, words in of.items() if int(words[1]) in family}
        for pid in family & of.keys():
            total += int(of[pid][2]) / 1024
        return total

    def kill(self) -> None:
        """As the system does."""
        self.process.kill()
        self._end()

    def stop(self) -> None:
        """As whoever runs it does."""
        self.process.send_signal(signal.SIGTERM)
        self._end()

    def _end(self) -> None:
        self.client.close()
        self.process.wait(120)
        self._reader.join(10)


def _ps(columns: str) -> str:
    return subprocess.run(["ps", "-eo", columns], capture_output=True, text=True, check=True).stdout


@contextmanager
def served(jobs: int = 1) -> Iterator[Server]:
    """A server with an empty folder."""
    with tempfile.TemporaryDirectory() as name:
        server = Server(Path(name) / "data", jobs)
        try:
            yield server
        finally:
            server.stop()


def latency(count: int) -> dict[str, Any]:
    """Median seconds of a request and of the same in this process, in turns."""
    analyzer = Analyzer()
    pictures = photos(count + 5, 1024)
    with served() as server:
        here: list[float] = []
        there: list[float] = []
        for i, content in enumerate(pictures):
            times = []
            for way in (0, 1) if i % 2 else (1, 0):
                began = time.perf_counter()
                if way:
                    answer = server.client.post("/v1/analyses", content=content, headers=WAIT)
                    assert answer.status_code == 200 and answer.json()["state"] == "done", answer.text
                else:
                    assert analyzer.analyze(content).status == "ok"
                times.append((way, time.perf_counter() - began))
            if i >= 5:  # the first ones warm both up
                for way, seconds in times:
                    (there if way else here).append(seconds)
    ratio = statistics.median(there) / statistics.median(here)
    return {
        "photos": count,
        "p50_in_process": round(statistics.median(here), 4),
        "p50_service": round(statistics.median(there), 4),
        "ratio": round(ratio, 3),
    }


def load(clients: int, seconds: float) -> dict[str, Any]:
    """So many clients, one request after another each, and the memory from the first fifth on."""
    pictures = photos(64, 1024)
    statuses: collections.Counter[str] = collections.Counter()
    with served(jobs=2) as server:
        until = time.monotonic() + seconds

        def work(number: int) -> None:
            with httpx2.Client(base_url=server.url, timeout=120, trust_env=False) as client:
                i = number
                while time.monotonic() < until:
                    try:
                        content = pictures[i % len(pictures)] + i.to_bytes(6, "big")
                        shown = client.post("/v1/analyses", content=content, headers=WAIT)
                        statuses[f"{shown.status_code} {shown.json().get('state', '')}"] += 1
                    except httpx2.HTTPError as error:
                        statuses[type(error).__name__] += 1
                    i += clients

        threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        memory = []
        while time.monotonic() < until:
            time.sleep(max(0.2, seconds / 60))
            memory.append(server.megabytes())
        for thread in threads:
            thread.join()
    fifth = max(1, len(memory) // 5)
    early, late = statistics.median(memory[fifth : 2 * fifth]), statistics.median(memory[-fifth:])
    return {
        "clients": clients,
        "seconds": seconds,
        "answers": dict(statuses),
        "megabytes_early": round(early),
        "megabytes_late": round(late),
        "growth": round(late / early - 1, 4),
    }


def kills(jobs: int, times: int, light: bool = False) -> dict[str, Any]:
    """How many results accepted jobs have, when the server was killed so many times on the way.

    `light` examines the file's own data alone, which takes no model: what is tried is the queue.
    """
    parts = ("--finder", "whole", "--witness", "provenance") if light else ()
    pictures = photos(jobs, 256)
    accepted: list[str] = []
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        server = Server(data, 2, parts)
        at = {round(jobs * (k + 1) / (times + 1)) for k in range(times)}
        for i, content in enumerate(pictures):
            answer = server.client.post("/v1/analyses", content=content, headers=RAW)
            assert answer.status_code == 202, answer.text
            accepted.append(answer.json()["id"])
            if i + 1 in at:
                server.kill()
                lines += server.lines
                server = Server(data, 2, parts)
        while (left := _count(server, "queued") + _count(server, "running")) > 0:
            time.sleep(min(5.0, 0.05 * left))
        states = collections.Counter(
            server.client.get(f"/v1/analyses/{number}", params={"slim": "true"}).json()["state"] for number in accepted
        )
        there = int(_count(server, "done") + _count(server, "failed") + _count(server, "cancelled"))
        server.stop()
        lines += server.lines
    ended = collections.Counter(
        json.loads(line)["analysis"] for line in lines if line.startswith("{") and '"analysis ended"' in line
    )
    return {
        "accepted": len(accepted),
        "kills": times,
        "states": dict(states),
        "analyses": there,
        "written_twice": sum(n > 1 for n in ended.values()),
    }


def _count(server: Server, state: str) -> float:
    found = re.search(rf'facewitness_analyses{{state="{state}"}} ([\d.e+]+)', server.client.get("/metrics").text)
    assert found is not None
    return float(found[1])


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", nargs="?", choices=("latency", "load", "kills"))
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--light", action="store_true", help="kills: without the models")
    given = parser.parse_args()
    share = 1 if given.what else 10
    if given.what in (None, "latency"):
        print("latency", json.dumps(latency(max(10, given.photos // share))), flush=True)
    if given.what in (None, "load"):
        print("load", json.dumps(load(given.clients, given.seconds / share)), flush=True)
    if given.what in (None, "kills"):
        print("kills", json.dumps(kills(given.jobs // share, given.kills, given.light)), flush=True)


if __name__ == "__main__":
    main()
