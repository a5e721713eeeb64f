"""Pool: many pictures on several processes, each with an `Analyzer` of its own.

    for report in analyze_many(paths, jobs=2): ...        reports in the order of their sources

    with Pool(jobs=2) as pool:
        future = pool.submit("photo.jpg")                 a concurrent.futures.Future of what `then` makes of it
        pool.call(function, *args)                        a Future of function(analyzer, *args), before what waits
        pool.stop(future)                                 whether it waits or is worked on

A process that dies, or takes longer over a picture than it may, leaves a failed report on that picture; another process
takes its place and the other pictures go on. (`concurrent.futures` gives up its whole pool when one process dies.)
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from types import NoneType
from typing import Any, Generic, TypeVar, cast

from facewitness.errors import FacewitnessError, InputError, came, expect
from facewitness.pipeline import Analyzer, Source, Tell, portable, source_name
from facewitness.processes import not_from_here
from facewitness.types import Analysis, Hear, Problem, Report

T = TypeVar("T")
_OFTEN = 0.2  # seconds between two words about one step
_GOODBYE = 2  # seconds in which processes may end by themselves
_PATIENCE = 10  # times the seconds that something may take, where its process waits for a core all the while


def report_of(analysis: Analysis) -> Report:
    """The report alone; pixels do not travel between processes.

    Args:
        analysis: With its pixels.
    """
    return analysis.report


def analyze_many(
    sources: Iterable[Source],
    *,
    jobs: int = 1,
    then: Callable[[Analysis], T] = report_of,  # type: ignore[assignment]
    seconds: float | Callable[[Source], float | None] | None = None,
    **options: Any,
) -> Generator[T, None, None]:
    """What `then` makes of the analysis of each source, in their order; by default its report.

    Memory is bounded: sources are taken as they are needed, a few for each job ahead of the one that is yielded.

    Args:
        sources: what `Analyzer.analyze` takes.
        jobs: processes. With one and no limit of time, the work is done in this process. Others are started by "spawn":
            a script needs `if __name__ == "__main__":`.
        then: runs where the picture was analysed; with several jobs it and its results have to be picklable.
        seconds: how long one picture may take, or a function that says it of a source; None for as long as it likes.
            What takes longer is ended with its process, and gets a failed report. Time that the process waits for a
            core is not counted, where the system tells it (Linux), until ten times the seconds are over.
        **options: those of `Analyzer`.

    Raises:
        InputError: fewer than one job, or one source instead of several.
        Whatever `Analyzer` and `then` raise.
    """
    _check("analyze_many", jobs, then, None if callable(seconds) else seconds)
    expect("analyze_many", sources, Iterable, "several sources", "Put them into a list.")
    if isinstance(sources, str | bytes | PathLike):  # a text is many letters to Python
        raise InputError(f"analyze_many: expected several sources, got one, {sources!r:.80}; put it into a list")
    if jobs == 1 and seconds is None:
        analyzer = Analyzer(**options)
        for source in sources:
            yield then(analyzer.analysis(source))
        return
    with Pool(jobs, then=then, **options) as pool:
        coming: deque[Future[T]] = deque()
        for source in sources:
            coming.append(pool.submit(source, seconds(source) if callable(seconds) else seconds))
            while len(coming) >= 4 * jobs or (coming and coming[0].done()):
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _check(where: str, jobs: Any, function: Any, seconds: Any) -> None:
    """Raises InputError for what is no number of jobs, no function or no number of seconds."""
    expect(f"{where}: jobs", jobs, Integral, "a whole number")
    if jobs < 1:
        raise InputError(f"{where}: expected at least one job, got {came(jobs)}.")
    if not callable(function):
        raise InputError(f"{where}: expected a function, got {came(function)}.")
    expect(f"{where}: seconds", seconds, (Real, NoneType), "a number of seconds or None")


_GUARD = 'In a script, call analyze_many under `if __name__ == "__main__":`; or try with one job.'


class Pool(Generic[T]):
    """Processes that analyse what is submitted. Use it in a `with` statement, or call `close`.

    Args:
        jobs: processes; each is started when there is work for it, and holds an Analyzer.
        then: what is made of each analysis, in the process that made it; it and its results have to be picklable.
        seconds: how long one picture may take, loading of the models not counted; None for as long as it likes.
        **options: those of `Analyzer`.
    """

    def __init__(
        self,
        jobs: int = 1,
        *,
        then: Callable[[Analysis], T] = report_of,  # type: ignore[assignment]
        seconds: float | None = None,
        **options: Any,
    ):
        _check("Pool", jobs, then, seconds)
        self._jobs, self._then, self._seconds, self._options = jobs, then, seconds, options
        self._waiting: deque[_Task] = deque()
        self._urgent: deque[_Task] = deque()  # comes before, and each in its turn
        self._stopping: list[Future[Any]] = []
        self._workers: list[_Worker[T]] = []
        self._closed = False
        self._lock = threading.Lock()
        self._woken, self._wake = multiprocessing.Pipe(duplex=False)
        if hasattr(signal, "pthread_sigmask"):
            with not_from_here():
                resource_tracker.ensure_running()  # now: started while Ctrl-C is held back, it would let it through
        self._thread = threading.Thread(target=self._run, name="facewitness.pool", daemon=True)
        self._thread.start()

    def submit(
        self,
        source: Source,
        seconds: float | None = None,
        *,
        tell: Tell | None = None,
        **asked: Any,
    ) -> Future[T]:
        """The future of what `then` makes of the analysis of one source. A future that has not begun can be cancelled.

        Args:
            source: what `Analyzer.analyze` takes.
            seconds: how long it may take; None for what the pool was told.
            tell: as for `Analyzer.analysis`; it is called in the pool's own thread, and has to be quick.
            **asked: the other keyword arguments of `Analyzer.analysis`: `name`, `reading`.

        Raises:
            InputError: the pool is closed. That of a source that cannot travel to another process is the future's.
        """
        _check("Pool.submit", 1, report_of if tell is None else tell, seconds)
        task = _Task(Future(), self._seconds if seconds is None else seconds, tell, portable(source), asked)
        self._take(task, urgent=False)
        return task.future

    def call(
        self, function: Callable[..., Any], *args: Any, seconds: float | None = None, hear: Hear | None = None
    ) -> Future[Any]:
        """The future of `function(analyzer, *args)`, run in one of the processes before what waits there.

        For what needs the loaded parts, or should not run in this process. What it raises is the future's exception.

        Args:
            function: found by its module and name, as pickle does; it and its arguments have to be picklable.
            *args: the arguments.
            seconds: how long it may take; a process that takes longer is ended.
            hear: if given, the function gets a keyword argument `hear`, and each text that it says by it comes to this
                function, in the pool's own thread.

        Raises:
            InputError: the pool is closed.
        """
        for each in (function, report_of if hear is None else hear):
            _check("Pool.call", 1, each, seconds)
        task = _Task(Future(), seconds, hear, None, {}, function, args)
        self._take(task, urgent=True)
        return task.future

    def stop(self, future: Future[Any]) -> None:
        """End what a future stands for: it is cancelled, or its process ended and its exception a CancelledError.

        Args:
            future: That `submit` gave.
        """
        expect("Pool.stop", future, Future, "the future that submit or call gave")
        if not future.cancel():
            with self._lock:
                if not self._closed:
                    self._stopping.append(future)
                    self._wake.send_bytes(b".")

    def _take(self, task: _Task, urgent: bool) -> None:
        with self._lock:
            if self._closed:
                raise InputError("Pool: expected an open pool, got one that was closed")
            (self._urgent if urgent else self._waiting).append(task)
            self._wake.send_bytes(b".")

    def close(self) -> None:
        """End the processes. What was not begun is cancelled, what was begun gets a CancelledError."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._wake.send_bytes(b".")
        self._thread.join()
        for worker in self._workers:
            worker.pipe.close()  # its next read or write fails, and it ends
        until = time.monotonic() + _GOODBYE  # for all together: many may be in the midst of a picture
        for worker in self._workers:
            worker.end(until)
        for future in [task.future for task in (*self._urgent, *self._waiting)] + [
            w.task.future for w in self._workers if w.task
        ]:
            future.cancel()
            if not future.done():
                future.set_exception(FacewitnessError("The pool was closed before this picture was analysed."))
        self._woken.close()
        self._wake.close()

    def __enter__(self) -> Pool[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------------------------- in the pool's own thread

    def _run(self) -> None:
        with _interrupts_held():  # processes that are started here inherit it
            while not self._closed:
                self._hand_out()
                busy = {worker.pipe: worker for worker in self._workers if worker.task is not None}
                deadlines = [worker.deadline for worker in busy.values() if worker.deadline is not None]
                patience = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
                for ready in wait([self._woken, *busy], patience):
                    if ready is self._woken:
                        self._woken.recv_bytes()
                    else:
                        self._collect(busy[cast("Connection", ready)])
                self._end_stopped()
                for worker in busy.values():
                    if worker.task is not None and worker.is_late() and not worker.pipe.poll():
                        self._lose(worker, f"The analysis took longer than {worker.task.seconds:g} seconds.", kill=True)

    def _hand_out(self) -> None:
        """Give waiting sources to idle processes, and start processes for them."""
        while True:
            idle = next((worker for worker in self._workers if worker.task is None), None)
            if idle is None and len(self._workers) >= self._jobs:
                return
            with self._lock:
                if not (self._urgent or self._waiting) or self._closed:
                    return
                task = (self._urgent or self._waiting).popleft()
            if not task.future.set_running_or_notify_cancel():
                continue
            if idle is None:
                try:
                    idle = _Worker(self._then, self._options)
                except (OSError, RuntimeError) as error:  # no memory or processes left; or a script without its guard
                    why = f"{error}".strip().partition("\n")[0]
                    task.future.set_exception(FacewitnessError(f"No process could be started ({why}). {_GUARD}"))
                    continue
                self._workers.append(idle)
            try:
                idle.give(task)
            except Exception as error:  # a stranger's object, and whatever pickling it raises
                asked = f"Pool: expected what can travel to another process, got what cannot ({error})."
                task.future.set_exception(InputError(asked))

    def _end_stopped(self) -> None:
        """End the processes of what is to be stopped."""
        with self._lock:
            stopping, self._stopping = self._stopping, []
        for worker in [w for w in self._workers if w.task is not None and w.task.future in stopping]:
            task = self._end(worker, kill=True)
            task.future.set_exception(CancelledError())

    def _collect(self, worker: _Worker[T]) -> None:
        """Take what a process has to say: that it has loaded, a piece of what it is asked, a result, or an error."""
        assert worker.task is not None
        try:
            content = worker.pipe.recv_bytes()
        except (EOFError, OSError):
            self._lose(worker, "")
            return
        try:
            kind, value = pickle.loads(content)
        except Exception as error:  # a result's own code
            kind, value = "broken", FacewitnessError(f"Pool: expected a result that can travel, got {error}.")
        if kind == "loaded":
            worker.loaded(value)
        elif kind == "piece":
            with suppress(Exception):  # whoever listens may have gone
                assert worker.task.hear is not None
                worker.task.hear(*value)
        elif kind == "broken":  # it could not load, or `then` raised: whoever set this up has to know
            task = self._end(worker, kill=False)
            task.future.set_exception(value)
        else:
            task, worker.task, worker.deadline = worker.task, None, None
            if kind == "result":
                task.future.set_result(value)
            else:
                task.future.set_exception(value)

    def _end(self, worker: _Worker[T], kill: bool) -> _Task:
        """Take a process out, and return what it worked on."""
        assert worker.task is not None
        task, worker.task = worker.task, None
        self._workers.remove(worker)
        if kill:
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()
        worker.end(time.monotonic() + _GOODBYE)
        return task

    def _lose(self, worker: _Worker[T], why: str, kill: bool = False) -> None:
        """A process died or is too slow: its picture gets a failed report."""
        assert worker.task is not None
        task, worker.task = worker.task, None
        self._workers.remove(worker)
        if kill:
            worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        status = worker.process.exitcode
        if worker.made_by is None:
            task.future.set_exception(
                FacewitnessError(
                    f"A process for the analysis ended with status {status} while it was loading. {_GUARD}"
                )
            )
            return
        if task.function is not None:
            task.future.set_exception(FacewitnessError(why or f"The process ended with status {status}."))
            return
        message = why or (
            f"The process that analysed this file ended with status {status}. Was there enough "
            "memory? Analyse the file alone to see whether it ends again."
        )
        problems = (Problem("examine", message),)
        name = task.asked.get("name") or source_name(task.source)
        report = Report(name, "failed", problems=problems, made_by=worker.made_by)
        try:
            task.future.set_result(self._then(Analysis(report, None)))
        except Exception as error:
            task.future.set_exception(error)


@dataclass(slots=True, eq=False)
class _Task:
    """One thing to be done by a process: a source to analyse, or a function to call."""

    future: Future[Any]
    seconds: float | None
    hear: Callable[..., None] | None  # is given what comes before the result
    source: Source = None
    asked: Mapping[str, Any] = field(default_factory=dict)
    function: Callable[..., Any] | None = None
    args: tuple[Any, ...] = ()


class _Worker(Generic[T]):
    """A process with an Analyzer, and the one thing it was given."""

    def __init__(self, then: Callable[[Analysis], T], options: Mapping[str, Any]):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, then, dict(options)), daemon=True)
        with not_from_here():
            self.process.start()
        theirs.close()  # so that reading meets the end of the pipe when the process dies
        self.task: _Task | None = None
        self.made_by: Mapping[str, Any] | None = None  # known once it has loaded
        self.deadline: float | None = None  # by the monotonic clock
        self._latest = self._waited = 0.0

    def give(self, task: _Task) -> None:
        asked = (task.function, task.source, task.asked, task.args, task.hear is not None)
        content = ForkingPickler.dumps(asked)
        self.task = task
        if self.made_by is not None:
            self._start_clock()
        with suppress(OSError):  # dead already: reading the result will tell
            self.pipe.send_bytes(content)

    def loaded(self, made_by: Mapping[str, Any]) -> None:
        self.made_by = made_by
        self._start_clock()

    def _start_clock(self) -> None:
        seconds = None if self.task is None else self.task.seconds
        if seconds is None:
            self.deadline = None
            return
        now = time.monotonic()
        self.deadline, self._latest, self._waited = now + seconds, now + _PATIENCE * seconds, _waited(self.process.pid)

    def is_late(self) -> bool:
        """Whether its time is over; the time that it stood ready and others had the cores is not its own."""
        now = time.monotonic()
        if self.deadline is None or self.deadline > now:
            return False
        before, self._waited = self._waited, _waited(self.process.pid)
        if (later := self.deadline + self._waited - before) > now:
            self.deadline = min(max(later, now + _OFTEN), self._latest)
        return self.deadline <= now

    def end(self, until: float) -> None:
        """Wait until this moment of the monotonic clock for the process to end by itself, then kill it."""
        self.process.join(max(0.0, until - time.monotonic()))
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _waited(pid: int | None) -> float:
    """Seconds that a process has been ready to run and had no core, as Linux counts them; 0 where nobody does."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    return 0.0


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold back Ctrl-C in this thread; a process started in it inherits that for its whole life."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Connection, then: Callable[[Analysis], Any], options: Mapping[str, Any]) -> None:
    """A process's whole life: load, then do what comes until the pipe closes."""
    # Ctrl-C reaches all processes of a terminal, and SIGTERM those of a job; the first one decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def say(kind: str, value: Any) -> None:
        pipe.send_bytes(pickle.dumps((kind, value)))

    with suppress(EOFError, OSError):
        try:
            analyzer = Analyzer(**options)
            say("loaded", analyzer.made_by)
            while True:
                function, source, asked, args, streaming = pipe.recv()
                if function is None:
                    tell = _Teller(say) if streaming else None
                    say("result", then(analyzer.analysis(source, tell=tell, **asked)))
                else:
                    _call(say, analyzer, function, args, streaming)
        except (EOFError, BrokenPipeError):
            raise
        except Exception as error:
            say("broken", _picklable(error))


def _call(
    say: Callable[[str, Any], None], analyzer: Analyzer, function: Callable[..., Any], args: Any, streaming: bool
) -> None:
    """Call a function and say its result, or what it raises."""
    hear = {"hear": lambda piece: say("piece", (piece,))} if streaming else {}
    try:
        result = function(analyzer, *args, **hear)
    except Exception as error:
        say("raised", _picklable(error))
    else:
        say("result", result)


def _picklable(error: Exception) -> Exception:
    """An error that can be told to another process: itself, or its words where it cannot be made again there."""
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:  # an __init__ that takes more than the message
        return FacewitnessError(f"{type(error).__name__}: {error}")


class _Teller:
    """Says how far an analysis is: each step, and within a step now and then."""

    def __init__(self, say: Callable[[str, Any], None]):
        self._say, self._step, self._last = say, "", 0.0

    def __call__(self, step: str, done: float | None) -> None:
        now = time.monotonic()
        if step != self._step or now - self._last >= _OFTEN:
            self._step, self._last = step, now
            self._say("piece", (step, done))
