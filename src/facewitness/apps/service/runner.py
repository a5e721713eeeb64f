"""The queue: claims jobs from the database, hands them to worker processes, and writes down what came of each.

One thread does all of it, woken by events, so that results are written one after another. A job that was accepted is in
the database before its caller hears of it; one that a dying server left behind is put back into the queue, by the next
server at once or by another server once the dead one's lease has run out.
"""

from __future__ import annotations

import json
import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from facewitness.apps.service.settings import Settings
from facewitness.apps.service.store import LEASE, AnalysisRow, Store, Unavailable
from facewitness.apps.service.uploads import Uploads
from facewitness.apps.service.work import Outcome
from facewitness.errors import FacewitnessError, InputError
from facewitness.pool import Pool

_log = logging.getLogger("facewitness.serve")
_POLL = 1.0  # seconds after which other servers' doings are seen
_SWEEP = 600.0  # seconds between two looks for what has expired
_FRESH = 3600.0  # seconds for which a file may be there without an analysis that needs it


@dataclass(slots=True)
class Counted:
    """What the runner has done since it began, for whoever measures."""

    finished: dict[str, int]
    seconds: list[tuple[float, float]]  # of jobs that ended: waiting, working

    def take(self) -> list[tuple[float, float]]:
        """The times since the last call."""
        taken, self.seconds = self.seconds, []
        return taken


class Runner:
    """A thread that keeps the pool busy. `start` it once; `close` puts back what was not finished."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        uploads: Uploads,
        pool: Pool[Outcome],
        loaded: Callable[[], bool] = lambda: True,
    ):
        self.settings, self.store, self.uploads, self.pool = settings, store, uploads, pool
        self._loaded = loaded  # before that no job is begun: what cannot be loaded is no job's fault
        self.name = secrets.token_hex(8)
        self.counted = Counted({"done": 0, "failed": 0, "cancelled": 0}, [])
        self._events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._running: dict[str, tuple[AnalysisRow, Future[Outcome]]] = {}
        self._ahead: dict[str, tuple[AnalysisRow, Future[Outcome]]] = {}  # begun, and not in the database yet
        self._claiming = 0  # jobs on their way from the database to a process
        self._ended: list[tuple[AnalysisRow, Future[Outcome]]] = []  # not written down yet
        self._steps: dict[str, tuple[str, float | None]] = {}
        self._listeners: dict[str, list[tuple[Callable[[], None], bool]]] = {}
        self._lock = threading.Lock()
        self._closing = False
        self._last_sign = self._swept = 0.0
        self._thread = threading.Thread(target=self._run, name="facewitness.runner", daemon=True)

    def start(self, alone: bool) -> None:
        """Begin; `alone` says that no other server shares the database."""
        lost = self.store.recover(self.settings.attempts, everything=alone)
        if lost:
            _log.info("jobs recovered", extra={"fields": {"jobs": lost}})
        self._thread.start()

    def close(self) -> None:
        """End, and put what was not finished back into the queue. The pool is the caller's to close."""
        self._closing = True
        self._events.put(("end", None))
        if self._thread.is_alive():
            self._thread.join()
        with suppress(Unavailable):
            while not self._events.empty():
                self._handle(*self._events.get_nowait())
            self._write_down()
            self.store.release(self.name)

    def wake(self) -> None:
        """There is a job."""
        self._events.put(("job", None))

    def stop(self, number: str) -> None:
        """A job was cancelled or deleted: end its process."""
        self._events.put(("stop", number))

    def step(self, number: str) -> tuple[str, float | None] | None:
        """How far a job of this server is: the step, and the share of it that is done."""
        return self._steps.get(number)

    def is_idle(self) -> bool:
        """Whether a process is without a job."""
        with self._lock:
            return self._free()

    def _free(self) -> bool:
        """The same, for who has the lock: a job that is being claimed has its process already."""
        return len(self._running) + len(self._ahead) + self._claiming < self.settings.jobs

    def begin_ahead(self, row: AnalysisRow) -> AnalysisRow | None:
        """Begin a job while its file and its row are still on their way to the disk, where a process is idle.

        Returns:
            The row as one that this server has claimed: add it to the database and call `added`, or `forget` it. None
            where it has to wait for its turn.
        """
        with self._lock:
            if self._closing or not self._free() or not self._loaded():
                return None
            now = time.time()
            claim: dict[str, Any] = {"state": "running", "runner": self.name, "lease": now + LEASE, "started": now}
            row = replace(row, **claim, attempts=1)
            try:
                self._ahead[row.id] = row, self._submitted(row)
            except InputError:  # the pool was closed
                return None
            return row

    def added(self, row: AnalysisRow) -> None:
        """A job that was begun ahead stands in the database: its result may, too."""
        with self._lock:
            self._running[row.id] = row, future = self._ahead.pop(row.id)
        self._watch(row, future)

    def forget(self, row: AnalysisRow) -> None:
        """A job that was begun ahead did not come into the database."""
        with self._lock:
            _, future = self._ahead.pop(row.id)
        self.pool.stop(future)
        self._steps.pop(row.id, None)
        self.wake()

    def listen(self, number: str, changed: Callable[[], None], steps: bool = True) -> Callable[[], None]:
        """Call `changed` whenever something happens to an analysis, from another thread; returns what ends that.

        Args:
            number: the analysis.
            changed: has to be quick.
            steps: also when a job goes on, not only when it begins and ends.
        """
        listener = changed, steps
        with self._lock:
            self._listeners.setdefault(number, []).append(listener)

        def end() -> None:
            with self._lock, suppress(KeyError, ValueError):
                self._listeners[number].remove(listener)
                if not self._listeners[number]:
                    del self._listeners[number]

        return end

    def changed(self, number: str, step: bool = False) -> None:
        """Tell those who listen; `step` says that a job only goes on."""
        with self._lock:
            listeners = list(self._listeners.get(number, ()))
        for listener, steps in listeners:
            if steps or not step:
                with suppress(Exception):  # whoever listened has gone
                    listener()

    # ---------------------------------------------------------------------------------------- in the runner's thread

    def _run(self) -> None:
        away = ""  # why the database cannot be used; told once
        while not self._closing:
            try:
                self._write_down()
                self._fill()
                self._say_alive()
                if time.monotonic() - self._swept > _SWEEP or not self._swept:
                    self._swept = time.monotonic()
                    self.sweep()
                if away:
                    _log.info("database is back")
                    away = ""
            except Unavailable as error:
                if str(error) != away:
                    away = str(error)
                    _log.error("database unavailable", extra={"fields": {"why": away}})
                time.sleep(0.2)
            except Exception:
                _log.exception("the queue met what it does not know")
                time.sleep(1.0)
            with suppress(queue.Empty):
                self._handle(*self._events.get(timeout=0.1 if self._ended else _POLL))

    def _handle(self, event: str, value: Any) -> None:
        if event == "ended":
            self._ended.append(value)
        elif event == "stop" and (running := self._running.get(value)) is not None:
            self.pool.stop(running[1])

    def _fill(self) -> None:
        """Give each idle process a job."""
        job: AnalysisRow | None
        while not self._closing and self._loaded():
            with self._lock:
                if not self._free():
                    return
                self._claiming += 1  # else a job that comes now would be begun in its place
            try:
                job = self.store.claim(self.name)
                if job is not None:
                    self._begin(job)
            finally:
                with self._lock:
                    self._claiming -= 1
            if job is None:
                return

    def _begin(self, job: AnalysisRow) -> None:
        try:
            future = self._submitted(job)
        except InputError:  # the pool was closed
            self._closing = True
            return
        with self._lock:
            self._running[job.id] = (job, future)
        self._watch(job, future)

    def _submitted(self, job: AnalysisRow) -> Future[Outcome]:
        """A job in the pool. Raises InputError where that was closed."""
        s, number = self.settings, job.id

        def tell(step: str, done: float | None) -> None:
            self._steps[number] = (step, done)
            self.changed(number, step=True)

        return self.pool.submit(
            str(self.uploads.path(job.sha256)),
            s.film_time if job.kind == "film" else s.picture_time,
            tell=tell,
            name=job.name,
            reading=json.loads(job.reading),
        )

    def _watch(self, job: AnalysisRow, future: Future[Outcome]) -> None:
        future.add_done_callback(lambda future: self._events.put(("ended", (job, future))))
        self.changed(job.id)

    def _write_down(self) -> None:
        while self._ended:
            job, future = self._ended[0]
            self._finish(job, future)
            self._ended.pop(0)
            with self._lock:
                self._running.pop(job.id, None)
            self._steps.pop(job.id, None)
            self.changed(job.id)

    def _finish(self, job: AnalysisRow, future: Future[Outcome]) -> None:
        try:
            made = future.result()
        except CancelledError:
            written = self.store.finish(job, "cancelled")
            self._count(job, "cancelled")
            return
        except FacewitnessError as error:
            written, state, label = self.store.finish(job, "failed", error=str(error)), "failed", None
        except Exception as error:
            what = f"Unexpected {type(error).__name__}: {error}. This is a fault in the code; please report it."
            written, state, label = self.store.finish(job, "failed", error=what), "failed", None
        else:
            state, label = "failed" if made.status == "failed" else "done", made.label
            written = self.store.finish(
                job,
                "failed" if made.status == "failed" else "done",
                label=label,
                fake=made.fake,
                error=made.problem,
                report=made.report,
                landmarks=made.landmarks,
            )
        if written:
            self._count(job, state)
            fields: dict[str, Any] = {"analysis": job.id, "state": state, "label": label, "attempt": job.attempts}
            fields["seconds"] = round(time.time() - (job.started or job.created), 3)
            _log.info("analysis ended", extra={"fields": fields})

    def _count(self, job: AnalysisRow, state: str) -> None:
        self.counted.finished[state] += 1
        started = job.started or job.created
        self.counted.seconds.append((started - job.created, time.time() - started))
        del self.counted.seconds[:-10_000]

    def _say_alive(self) -> None:
        now = time.monotonic()
        if now - self._last_sign < LEASE / 10:
            return
        self._last_sign = now
        if self._running:
            self.store.alive(self.name, dict(self._steps))
        self.store.recover(self.settings.attempts)
        with self._lock:
            running = list(self._running.items())
        for number, (_, future) in running:
            if self._is_gone(number):
                self.pool.stop(future)  # cancelled by another server

    def _is_gone(self, number: str) -> bool:
        row = self.store.get(number)
        return row is None or row.ended

    def sweep(self) -> None:
        """Delete what has expired: reports, files, and what is left of uploads that broke off."""
        now, s = time.time(), self.settings
        self.uploads.sweep(_FRESH)
        if s.keep_reports is not None:
            for number in self.store.ended_before(now - s.keep_reports):
                self.store.delete(number)
        since = None if s.keep_uploads is None else now - s.keep_uploads
        fresh = now - min(_FRESH, s.keep_uploads if s.keep_uploads is not None else _FRESH)
        for sha256, received in list(self.uploads.hashes()):
            with self.uploads.naming:
                if received < fresh and not self.store.file_in_use(sha256, since):
                    self.delete_files([sha256])

    def delete_files(self, hashes: Iterable[str]) -> None:
        """Delete stored files."""
        for sha256 in hashes:
            self.uploads.delete(sha256)
            _log.info("file deleted", extra={"fields": {"sha256": sha256}})


def with_step(row: AnalysisRow, step: tuple[str, float | None] | None) -> AnalysisRow:
    """A row with how far its job is by this server's own knowledge, newer than the database's."""
    return row if step is None or row.state != "running" else replace(row, step=step[0], done=step[1])
