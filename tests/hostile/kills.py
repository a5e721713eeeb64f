"""Work that is killed at any moment and taken up again: nothing may be lost, doubled or half.

A folder of pictures is analysed, a dataset measured, a network trained; each time the process gets SIGKILL, SIGTERM or
SIGINT after a time drawn by dice, until the work has been killed often enough. Then it is finished, and what lies in
its folder is compared with what an undisturbed run wrote. A file that is half is seen at once, after each kill.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from pictures import painted

import facewitness
from hostile import Figure

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_HERE = Path(__file__).parents[1]
_PARTS = ("--finder", "whole", "--witness", "brightness", "--option", "brightness.seconds=0.03")


def attack(scale: int = 1, analyze: int = 60, bench: int = 25, train: int = 15) -> Iterator[Figure]:
    """So many kills of each kind of work."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        photos = _photos(folder / "photos")
        site = _site(folder / "site")
        training = _to_train(folder / "training") if train else folder
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join((str(site), str(Path(facewitness.__file__).parents[1]), str(_HERE))),
            "OMP_NUM_THREADS": "1",
        }
        command = (sys.executable, "-m", "facewitness")
        works: dict[str, tuple[int, Callable[[Path], Sequence[str]], Callable[[Path], Any]]] = {
            "analyze --out --resume": (
                analyze,
                lambda out: (
                    *command,
                    "analyze",
                    str(photos),
                    "--out",
                    str(out),
                    "--format",
                    "json,html",
                    "--resume",
                    "--no-date",
                    *_PARTS,
                ),
                _files,
            ),
            "bench run": (
                bench,
                lambda out: (
                    *command,
                    "bench",
                    "run",
                    "folder",
                    "--root",
                    str(photos),
                    "--out",
                    str(out),
                    "--thumbnails",
                    "0",
                    *_PARTS,
                ),
                _rows,
            ),
            "train": (
                train,
                lambda out: (
                    *command,
                    "train",
                    "compact",
                    str(training / "tiny.toml"),
                    "--pack",
                    str(training / "data" / "pack"),
                    "--out",
                    str(out),
                    "--workers",
                    "0",
                    "--save-every",
                    "1",
                ),
                _trained,
            ),
        }
        with ThreadPoolExecutor(len(works)) as several:  # most of the time each waits
            coming = [
                several.submit(
                    killed, f"kills of {name}", count * scale, words, read, folder / name.split()[0], environment
                )
                for name, (count, words, read) in works.items()
                if count
            ]
            for each in coming:
                yield each.result()


def killed(
    kind: str,
    count: int,
    words: Callable[[Path], Sequence[str]],
    read: Callable[[Path], Any],
    folder: Path,
    environment: dict[str, str],
) -> Figure:
    """Kill a work `count` times in all, and compare each folder that is finished with that of an undisturbed run."""
    figure, dice, done = Figure(kind), random.Random(kind), 0
    began = time.monotonic()
    undisturbed = _run(words(folder / "whole"), environment, None, 0.0)
    usual = time.monotonic() - began
    expected = read(folder / "whole")
    assert expected, undisturbed[1][-500:]
    rounds, most = 0, 0
    while done < count:
        out, rounds, kills = folder / f"round {rounds}", rounds + 1, 0
        while done < count and kills < 8:
            ended, said = _run(words(out), environment, SIGNALS[done % 3], dice.uniform(0.2, 1.1) * usual)
            if not ended:
                done, kills = done + 1, kills + 1
                figure.expect("Traceback" not in said, f"kill {done}: {said[-300:]}")
            elif kills:
                break
            amiss = _half(out)
            if amiss:
                figure.failures.append(f"after kill {done}: {amiss}")
        _, said = _run(words(out), environment, None, 0.0)
        most = max(most, kills)
        found = read(out)
        if found != expected:
            figure.failures.append(f"round {rounds}, {kills} kills: {_difference(expected, found)} {said[-300:]}")
        left = [path.name for path in out.rglob(".facewitness-*")]
        if len(left) > kills:  # one that SIGKILL left behind is a kill's, and no more than one each
            figure.failures.append(f"round {rounds}: temporary files left: {left[:3]}")
    figure.worst = f"{most} kills of one run; an undisturbed one takes {usual:.1f} s"
    return figure


def _difference(expected: Any, found: Any) -> str:
    """The first place where two results differ, in short."""
    if isinstance(expected, dict) and isinstance(found, dict):
        absent, new = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
        both = [key for key in expected if key in found and found[key] != expected[key]]
        other = [(key, *_apart(expected[key], found[key])) for key in both]
        return f"absent {absent[:3]}, new {new[:3]}, different {other[:1]}"
    unequal = [pair for pair in zip(expected, found, strict=False) if pair[0] != pair[1]]
    return f"{len(expected)} rows expected, {len(found)} are there; different {unequal[:1]}"


def _apart(one: Any, other: Any) -> tuple[Any, Any]:
    """Two values from a little before they differ."""
    if not isinstance(one, bytes | list) or not isinstance(other, bytes | list):
        return one, other
    at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[max(0, at - 60) : at + 60], other[max(0, at - 60) : at + 60]


def _run(
    words: Sequence[str], environment: dict[str, str], sign: signal.Signals | None, after: float
) -> tuple[bool, str]:
    """Run a command, to its end or until it is killed; (whether it came to its end, what it said on standard error)."""
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        _, said = process.communicate(timeout=after if sign else 600)
        return True, said
    except subprocess.TimeoutExpired:
        assert sign is not None
        process.send_signal(sign)
        try:
            _, said = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            return False, f"Traceback: did not end within two minutes of {sign.name}"
        return False, said


def _photos(folder: Path) -> Path:
    for label, brightness in (("real", 60), ("fake", 200)):
        (folder / label).mkdir(parents=True)
        for number in range(8):
            painted(brightness + number, 48).save(folder / label / f"{number}.png")
    return folder


def _site(folder: Path) -> Path:
    """A folder that brings the witness `brightness` as an installed package would."""
    about = folder / "doubles-0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: doubles\nVersion: 0\n")
    (about / "entry_points.txt").write_text("[facewitness.witnesses]\nbrightness = doubles\n")
    return folder


def _half(out: Path) -> str:
    """The first file in a folder that is not whole."""
    for path in out.rglob("*"):
        if not path.is_file() or path.name.startswith("."):
            continue
        content = path.read_bytes()
        whole = {
            ".json": lambda c: bool(json.loads(c) or True),
            ".html": lambda c: c.rstrip().endswith(b"</html>"),
            ".parquet": lambda c: len(c) > 8 and c[:4] == c[-4:] == b"PAR1",
            ".jsonl": lambda c: not c or (c.endswith(b"\n") and all(json.loads(line) for line in c.splitlines())),
        }.get(path.suffix)
        try:
            if whole is not None and not whole(content):
                return path.name
        except ValueError:
            return path.name
    return ""


def _files(out: Path) -> dict[str, bytes]:
    return (
        {
            path.relative_to(out).as_posix(): path.read_bytes()
            for path in out.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }
        if out.is_dir()
        else {}
    )


def _rows(out: Path) -> list[Any]:
    """The rows of a finished run, without how long each took."""
    from facewitness.bench import predictions

    table, _ = predictions.read(out)
    rows = table.drop_columns([name for name in ("seconds",) if name in table.column_names]).to_pylist()
    return sorted(rows, key=str)


def _trained(out: Path) -> dict[str, Any]:
    """The weights at the end, to a hash, and which steps are in the log."""
    import hashlib

    last = out / "last.safetensors"
    if not last.exists():
        return {}
    from safetensors.numpy import load_file

    digest = hashlib.sha256()
    for name, values in sorted(load_file(last).items()):
        digest.update(name.encode() + np.round(values.astype(np.float64), 4).tobytes())
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return {"weights": digest.hexdigest(), "steps": [(entry["stage"], entry["step"]) for entry in log]}


def _to_train(folder: Path) -> Path:
    """A folder with what `facewitness train compact` takes: a recipe of a tiny network, and a pack of 24 pictures."""
    from test_train_compact import packed

    class Folders:
        @staticmethod
        def mktemp(name: str) -> Path:
            (folder / name).mkdir(parents=True)
            return folder / name

    packed.__wrapped__(Folders)
    (folder / "tiny.toml").write_text(_TINY)
    return folder


_TINY = """\
seed = 3
backbone = "mobilenetv2_035"
noise = true
parsing = true

[[stage]]
size = 64
steps = 2
batch_size = 4
lr = 1e-3

[[stage]]
size = 96
steps = 2
batch_size = 4
lr = 1e-3

[sources]
painted = 1.0

[forgers]
self_blend = 0.5
region_edit = 0.3
resynthesise = 0.2
"""
