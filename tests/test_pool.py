"""A batch of pictures: its order, its processes, and what becomes of the files that end one."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from doubles import DEADLY, Brightness
from pictures import BROKEN, jpeg, painted, write_broken
from waiting import eventually

from facewitness import pool as pool_module
from facewitness.errors import FacewitnessError, InputError, UnknownName, WeightsError
from facewitness.formats import json as wire
from facewitness.pipeline import Analyzer
from facewitness.pool import Pool, analyze_many
from facewitness.types import Face, Frame, Report

HERE = Path(__file__).parent


class Unequipped:
    """A finder whose weights are missing."""

    name = "unequipped"

    def find(self, frame: Frame) -> tuple[Face, ...]:
        raise WeightsError("The weights are not there. Fetch them.")


def analyzer() -> Analyzer:
    return Analyzer(finder="whole", witnesses=(Brightness(),))


def test_a_report_has_no_pixels_and_travels():
    analysis = analyzer().analysis(np.asarray(painted(220, 500)))
    packed = pickle.dumps(analysis.report)
    assert len(packed) < 30_000 and wire.render(pickle.loads(packed)) == wire.render(analysis.report)
    assert analysis.clip.frame.pixels.shape == (500, 500, 3)


def test_a_pool_answers_what_is_submitted_in_any_order():
    with Pool(2, finder="whole", witnesses=(Brightness(),)) as pool:
        futures = [pool.submit(jpeg(painted(60 + number))) for number in range(5)]
        reports = [future.result(60) for future in reversed(futures)]
    assert [report.status for report in reports] == ["ok"] * 5
    with pytest.raises(InputError, match="an open pool"):
        pool.submit(b"")


def noted(_: Analyzer, file: Path, number: int) -> None:
    with file.open("a") as out:
        out.write(f"{number} ")


def slept(_: Analyzer, seconds: float) -> None:
    time.sleep(seconds)


class Particular(Exception):
    """An error that pickle writes, and cannot make again."""

    def __init__(self, message: str, *, status: int):
        super().__init__(message)


class Unreadable:
    """A result that pickle writes, and cannot make again."""

    def __reduce__(self):
        return Particular, ("a result",)


def particular(_: Analyzer) -> None:
    raise Particular("the server is down", status=503)


def unreadable(_: Analyzer) -> Unreadable:
    return Unreadable()


def test_what_cannot_travel_between_processes_is_told_and_the_pool_goes_on():
    with Pool(1, finder="whole", witnesses=(Brightness(),)) as pool:
        for future, sentence in (
            (pool.call(particular), "Particular: the server is down"),
            (pool.call(unreadable), "expected a result that can travel"),
            (pool.call(lambda _: None), "expected what can travel to another process"),
        ):
            with pytest.raises(FacewitnessError, match=sentence):
                future.result(60)
        assert pool.submit(memoryview(jpeg(painted(60)))).result(60).status == "ok"
        with pytest.raises(InputError, match="expected a number of seconds"):
            pool.submit(b"", lambda source: 1.0)


def test_calls_come_before_pictures_and_each_in_its_turn(tmp_path):
    with Pool(1, finder="whole", witnesses=(Brightness(),)) as pool:
        pool.call(slept, 0.5)
        picture = pool.submit(jpeg(painted(60)))
        for future in [pool.call(noted, tmp_path / "order", number) for number in range(4)]:
            future.result(60)
        assert (tmp_path / "order").read_text() == "0 1 2 3 "
        assert picture.result(60).status == "ok"


def test_a_picture_that_takes_too_long_fails_alone(tmp_path):
    slow = tmp_path / "slow"
    sources = [jpeg(painted(60)), jpeg(painted(61))]
    witness = Brightness(seconds=30.0, started=str(slow))
    reports = list(analyze_many(sources, jobs=2, seconds=0.5, finder="whole", witnesses=(witness,)))
    assert [report.status for report in reports] == ["failed", "failed"]
    assert "took longer than 0.5 seconds" in reports[0].problems[0].message and reports[0].made_by


def test_time_that_a_process_waits_for_a_core_is_not_its_own(monkeypatch):
    start = time.monotonic()
    monkeypatch.setattr(pool_module, "_PATIENCE", 120)
    monkeypatch.setattr(pool_module, "_waited", lambda pid: 0.99 * (time.monotonic() - start))
    witness = Brightness(seconds=1.0)
    (report,) = analyze_many([jpeg(painted(60))], seconds=0.5, finder="whole", witnesses=(witness,))
    assert report.status == "ok"
    monkeypatch.setattr(pool_module, "_waited", lambda pid: time.monotonic() - start)  # for ever: ten times, then
    monkeypatch.setattr(pool_module, "_PATIENCE", 2)
    witness = Brightness(seconds=3600.0)
    (report,) = analyze_many([jpeg(painted(60))], seconds=0.5, finder="whole", witnesses=(witness,))
    assert "took longer than 0.5 seconds" in report.problems[0].message


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="Linux counts it")
def test_the_wait_for_a_core_is_read_from_the_system():
    assert pool_module._waited(os.getpid()) > 0 and pool_module._waited(None) == 0


def test_each_source_may_have_a_time_of_its_own_with_one_job_too():
    sources = [jpeg(painted(60)), jpeg(painted(61))]
    witness = Brightness(seconds=1.0)
    reports = list(
        analyze_many(
            sources, seconds=lambda source: 0.3 if source == sources[0] else None, finder="whole", witnesses=(witness,)
        )
    )
    assert [report.status for report in reports] == ["failed", "ok"]
    assert "took longer than 0.3 seconds" in reports[0].problems[0].message


def test_a_closed_pool_leaves_nobody_waiting():
    pool = Pool(1, finder="whole", witnesses=(Brightness(seconds=0.2),))
    futures = [pool.submit(jpeg(painted(60))) for _ in range(4)]
    futures[0].result(60)
    pool.close()
    assert all(future.done() for future in futures)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_batch_keeps_its_order_and_goes_on_past_broken_files(tmp_path, jobs):
    broken = [write_broken(tmp_path, name) for name in BROKEN]
    good = []
    for number in range(12):
        good.append(tmp_path / f"good {number}.png")
        painted(40 + 15 * number).save(good[-1])
    sources = [path for pair in zip(good, broken, strict=False) for path in pair] + good[len(broken) :]
    reports = list(analyze_many(iter(sources), jobs=jobs, finder="whole", witnesses=(Brightness(),)))
    assert [report.source for report in reports] == [str(source) for source in sources]
    assert [report.status for report in reports] == ["failed" if source in broken else "ok" for source in sources]
    assert [wire.render(report) for report in reports] == [
        wire.render(analyzer().analyze(source)) for source in sources
    ]


def deadly(path: Path) -> Path:
    image = painted(60)
    image.putpixel((0, 0), DEADLY)
    image.save(path)
    return path


def test_a_process_that_dies_fails_its_picture_alone(tmp_path):
    sources = [jpeg(painted(60)), deadly(tmp_path / "deadly.png"), jpeg(painted(61)), jpeg(painted(62))]
    reports = list(analyze_many(sources, jobs=2, finder="whole", witnesses=(Brightness(),)))
    assert [report.status for report in reports] == ["ok", "failed", "ok", "ok"]
    assert "ended with status 9" in reports[1].problems[0].message


def test_sources_are_taken_as_they_are_needed():
    taken = []

    def endless():
        while True:
            taken.append(len(taken))
            yield jpeg(painted(60))

    reports = analyze_many(endless(), jobs=2, finder="whole", witnesses=(Brightness(),))
    assert isinstance(next(reports), Report)
    reports.close()
    assert len(taken) <= 10


def test_processes_tell_what_they_could_not_load():
    with pytest.raises(UnknownName, match="Did you mean 'whole'"):
        list(analyze_many([b""], jobs=2, finder="wole", witnesses=(Brightness(),)))
    with pytest.raises(FacewitnessError, match="at least one job"):
        list(analyze_many([b""], jobs=0))
    with pytest.raises(FacewitnessError, match=r"expected several sources, got one, 'a\.jpg'"):
        list(analyze_many("a.jpg"))  # a text is many letters
    with pytest.raises(WeightsError, match="Fetch them"):
        list(analyze_many([jpeg(painted(60))], jobs=2, finder=Unequipped(), witnesses=(Brightness(),)))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see which processes are left")
def test_an_interrupted_batch_leaves_no_process_behind(tmp_path):
    painted(60).save(tmp_path / "a.png")
    started = tmp_path / "started"
    code = (
        "import sys; from facewitness.pool import analyze_many; from doubles import Brightness\n"
        "if __name__ == '__main__':\n"
        f"    many = analyze_many([{str(tmp_path / 'a.png')!r}] * 50, jobs=2, finder='whole',\n"
        f"                        witnesses=(Brightness(seconds=0.2, started={str(started)!r}),))\n"
        "    for report in many: pass\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    with subprocess.Popen(
        [sys.executable, str(script)], env=environment, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert eventually(started.exists, process=process)
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: all processes of the terminal
        _, told = process.communicate(timeout=240)
    assert told.decode().count("Traceback") == 1  # the interrupt itself, from the process that was asked to stop
    assert "KeyboardInterrupt" in told.decode()
    assert eventually(lambda: alive(process.pid) == [])


def alive(group: int) -> list[str]:
    """Command lines of a process group's members, zombies left out."""
    members = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, of_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(of_group) == group and state != "Z":
                members.append((folder / "cmdline").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
    return members
