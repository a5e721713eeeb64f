"""Pool: many pictures on several processes, each with an `Analyzer` of its own, their reports in order."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar, cast

import numpy as np

from facewitness.errors import FacewitnessError, InputError
from facewitness.pipeline import Analyzer, Source, source_name
from facewitness.types import Frame, Problem, Report

T = TypeVar("T")


def without_pictures(report: Report) -> Report:
    """The same report with its frame gone and its faces' frames black, as one read from JSON: small, and it travels."""
    return cast(Report, pickle.loads(_packed(replace(report, frame=None))))


def analyze_many(
    sources: Iterable[Source],
    *,
    jobs: int = 1,
    then: Callable[[Report], T] = without_pictures,  # type: ignore[assignment]
    **options: Any,
) -> Generator[T, None, None]:
    """What `then` makes of the report on each source, in their order. `options` are those of `Analyzer`.

    With several jobs each is a process of its own (started by "spawn": a script needs `if __name__ == "__main__":`),
    holds its own Analyzer, and runs `then` too, which has to be picklable; pictures do not travel between processes.
    Memory is bounded: sources are taken as they are needed, a few for each job ahead of the one that is yielded. A
    process that dies leaves a failed report on the picture it held, and another one goes on.
    Raises what `Analyzer` raises, and what `then` raises.
    """
    if jobs < 1:
        raise InputError(f"analyze_many: expected at least one job, got {jobs}")
    if jobs == 1:
        analyzer = Analyzer(**options)
        for source in sources:
            yield then(analyzer.analyze(source))
    else:
        yield from _on_processes(sources, jobs, then, options)


def _on_processes(
    sources: Iterable[Source], jobs: int, then: Callable[[Report], T], options: Mapping[str, Any]
) -> Generator[T, None, None]:
    coming = enumerate(sources)
    workers: list[_Worker] = []
    results: dict[int, T] = {}
    following, exhausted = 0, False
    try:
        while True:
            idle = [worker for worker in workers if worker.task is None]
            while not exhausted and (idle or len(workers) < jobs):
                if len(results) + sum(worker.task is not None for worker in workers) >= 4 * jobs:
                    break  # far enough ahead of the one that is waited for
                task = next(coming, None)
                if task is None:
                    exhausted = True
                    break
                if not idle:
                    idle.append(_Worker(then, options))
                    workers.append(idle[-1])
                idle.pop().give(task)
            if not (busy := {worker.pipe: worker for worker in workers if worker.task is not None}):
                return
            for pipe in wait(list(busy)):
                worker = busy[cast(Connection, pipe)]
                index, result = worker.result(then)
                results[index] = result
                if worker.dead:
                    workers.remove(worker)
            while following in results:
                yield results.pop(following)
                following += 1
    finally:
        for worker in workers:
            worker.pipe.close()  # its next read or write fails, and it ends
        for worker in workers:
            worker.end()


class _Worker:
    """A process with an Analyzer, and the one task (index, source) it was given."""

    def __init__(self, then: Callable[[Report], Any], options: Mapping[str, Any]):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, then, dict(options)), daemon=True)
        with _not_from_here(), _interrupts_held():  # born deaf to Ctrl-C; `_work` keeps it so
            self.process.start()
        theirs.close()  # so that reading meets the end of the pipe when the process dies
        self.task: tuple[int, Source] | None = None
        self.made_by: Mapping[str, Any] | None = None  # known once it has loaded
        self.dead = False

    def give(self, task: tuple[int, Source]) -> None:
        self.task = task
        with suppress(OSError):  # dead already: reading the result will tell
            self.pipe.send(task[1])

    def result(self, then: Callable[[Report], T]) -> tuple[int, T]:
        """The task's index and result; waits for it. Raises what the process raised while it loaded or ran `then`."""
        assert self.task is not None
        index, source = self.task
        try:
            if self.made_by is None:
                self.made_by = self._received()
            result = self._received()
        except (EOFError, OSError):
            self.process.join()
            self.dead = True
            if self.made_by is None:
                raise FacewitnessError(
                    f"A process for the analysis ended with status {self.process.exitcode} while it was loading. In a "
                    'script, call analyze_many under `if __name__ == "__main__":`; or try with one job.'
                ) from None
            why = (
                f"The process that analysed this file ended with status {self.process.exitcode}. Was there enough "
                "memory? Analyse the file alone to see whether it ends again."
            )
            problem = Problem("examine", why)
            failed = Report(source_name(source), "failed", problems=(problem,), made_by=self.made_by)
            result = then(failed)
        self.task = None
        return index, result

    def _received(self) -> Any:
        worked, value = pickle.loads(self.pipe.recv_bytes())
        if not worked:
            raise value
        return value

    def end(self) -> None:
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


_BIRTH = threading.Lock()


@contextmanager
def _not_from_here() -> Iterator[None]:
    """While it lasts, a process that starts does not import from the current folder.

    "spawn" starts `python -c …`, which puts the current folder first among the places for modules: a pickle.py beside
    strangers' photographs would be run before a line of ours.
    """
    with _BIRTH:
        before = os.environ.get("PYTHONSAFEPATH")
        os.environ["PYTHONSAFEPATH"] = "1"
        try:
            yield
        finally:
            if before is None:
                del os.environ["PYTHONSAFEPATH"]
            else:
                os.environ["PYTHONSAFEPATH"] = before


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold back Ctrl-C for a moment; a process started in it inherits that for its whole life."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # now: started in here, it would let Ctrl-C through again when it is done
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Connection, then: Callable[[Report], Any], options: Mapping[str, Any]) -> None:
    """A process's whole life: load, then answer sources until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the first one decides
    with suppress(EOFError, OSError):
        try:
            analyzer = Analyzer(**options)
            pipe.send_bytes(_packed((True, analyzer.made_by)))
            while True:
                pipe.send_bytes(_packed((True, then(analyzer.analyze(pipe.recv())))))
        except (EOFError, BrokenPipeError):
            raise
        except Exception as error:
            pipe.send_bytes(_packed((False, error)))


class _Packer(pickle.Pickler):
    """Pickles frames without their pixels: a black frame of the same size takes no room."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Frame):
            return _black, (obj.height, obj.width, obj.index, obj.seconds)
        return NotImplemented


def _black(height: int, width: int, index: int, seconds: float | None) -> Frame:
    return Frame(np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (height, width, 3)), index, seconds)


def _packed(value: Any) -> bytes:
    file = io.BytesIO()
    _Packer(file).dump(value)
    return file.getvalue()
