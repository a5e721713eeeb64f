"""What stands in the database, as rows that are values, and every statement that reads or changes it.

Each method is one transaction. A job's states change by statements that name the state they change from, so that of
several servers one changes it: that is what makes a job run once.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Engine, create_engine, delete, event, func, insert, or_, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from facewitness import plugins
from facewitness.apps.service import tables
from facewitness.errors import FacewitnessError, InputError, MissingExtra

State = Literal["queued", "running", "done", "failed", "cancelled"]
STATES: tuple[State, ...] = ("queued", "running", "done", "failed", "cancelled")
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")
LEASE = 30.0  # seconds that a server is believed to live after its last word

T = TypeVar("T")


class Unavailable(FacewitnessError):
    """The database is locked, full or away; the same may work in a while."""


class Full(Unavailable):
    """The disk under the database is full: nothing works before there is room, not even deleting."""


_FULL = re.compile(r"disk is full|no space left|could not extend file", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AnalysisRow:
    """One analysis, from its file's arrival on."""

    id: str
    owner: str | None
    repeat: str | None
    name: str
    sha256: str
    size: int
    kind: str
    reading: str
    case_name: str
    note: str
    state: State
    label: str | None
    fake: float | None
    error: str | None
    step: str | None
    done: float | None
    attempts: int
    runner: str | None
    lease: float | None
    created: float
    started: float | None
    finished: float | None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class TurnRow:
    """A question that was asked, and its answer."""

    number: int
    asked: Mapping[str, Any]
    answered: Mapping[str, Any]
    memory: Mapping[str, Any]
    created: float


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An API key, without its secret."""

    id: str
    name: str
    sha256: str
    created: float
    expires: float | None
    revoked: float | None
    used: float | None


class Store:
    """A server's database: SQLite, or PostgreSQL by its URL.

    Raises:
        InputError: the URL is none, or of a database that is not known.
        MissingExtra: its driver is not installed.
        Unavailable: it cannot be reached; every method may raise this.
    """

    def __init__(self, url: str, patience: float = 10.0):
        """`patience` is how many seconds a statement waits for a locked database."""
        self.engine = _engine(url, patience)
        self._guarded(lambda: tables.upgraded(self.engine))

    def close(self) -> None:
        """Let go of its connections."""
        self.engine.dispose()

    # ------------------------------------------------------------------------------------------------- analyses

    def add(self, row: AnalysisRow) -> AnalysisRow:
        """Take a job into the queue; the one that is there already where its owner repeats a request."""
        try:
            self._write(lambda c: c.execute(insert(tables.analyses).values(**_values(row))))
        except IntegrityError:
            known = self.repeated(row.owner, row.repeat)
            if known is None:
                raise
            return known
        return row

    def repeated(self, owner: str | None, repeat: str | None) -> AnalysisRow | None:
        """The analysis that a request with this key made before."""
        if repeat is None:
            return None
        a = tables.analyses.c
        return self._one(select(tables.analyses).where(_same(a.owner, owner), a.repeat == repeat))

    def get(self, number: str) -> AnalysisRow | None:
        """An analysis by its id."""
        return self._one(select(tables.analyses).where(tables.analyses.c.id == number))

    def history(
        self,
        owner: str | None,
        *,
        words: str = "",
        case_name: str | None = None,
        states: Sequence[str] = (),
        labels: Sequence[str] = (),
        before: tuple[float, str] | None = None,
        limit: int = 50,
    ) -> list[AnalysisRow]:
        """Analyses, newest first.

        Args:
            owner: those of this name and those of nobody; None for all.
            words: each of them has to stand in the file's name, the case's name, the note or the hash.
            case_name: exactly this one.
            states: of these.
            labels: of these.
            before: (created, id) of the last one of the page before.
            limit: so many at most.
        """
        a = tables.analyses.c
        query = select(tables.analyses).order_by(a.created.desc(), a.id.desc()).limit(limit)
        if owner is not None:
            query = query.where(or_(a.owner == owner, a.owner.is_(None)))
        for word in words.split():
            like = f"%{_plain(word)}%"
            query = query.where(or_(*(column.ilike(like, escape="\\") for column in _SEARCHED)))
        if case_name is not None:
            query = query.where(a.case_name == case_name)
        if states:
            query = query.where(a.state.in_(states))
        if labels:
            query = query.where(a.label.in_(labels))
        if before is not None:
            created, number = before
            query = query.where(or_(a.created < created, (a.created == created) & (a.id < number)))
        return self._guarded(lambda: self._rows(query))

    def annotate(self, number: str, case_name: str | None, note: str | None) -> bool:
        """Change an analysis's case or note; None leaves it. False where there is no such analysis."""
        values = {key: value for key, value in (("case_name", case_name), ("note", note)) if value is not None}
        if not values:
            return self.get(number) is not None
        return self._changed(update(tables.analyses).where(tables.analyses.c.id == number).values(**values))

    def delete(self, number: str) -> str | None:
        """Delete an analysis with all that hangs on it; the hash of its file, if nobody else's analysis has it."""
        a = tables.analyses.c

        def run(c: Connection) -> str | None:
            sha256 = c.execute(delete(tables.analyses).where(a.id == number).returning(a.sha256)).scalar()
            if sha256 is None or c.execute(select(a.id).where(a.sha256 == sha256).limit(1)).first():
                return None
            return str(sha256)

        return self._write(run)

    def file_in_use(self, sha256: str, since: float | None) -> bool:
        """Whether an analysis needs a file: one that has not ended, or ended at `since` or later (None: ever)."""
        a = tables.analyses.c
        needs = a.finished.is_(None) if since is None else or_(a.finished.is_(None), a.finished >= since)
        query = select(a.id).where(a.sha256 == sha256)
        return self._one_value(query.where(needs) if since is not None else query) is not None

    def ended_before(self, moment: float) -> Sequence[str]:
        """Ids of analyses that ended before a moment."""
        a = tables.analyses.c
        query = select(a.id).where(a.finished < moment).limit(1000)
        return self._read(lambda c: [str(number) for (number,) in c.execute(query)])

    def counts(self) -> dict[str, int]:
        """How many analyses there are in each state."""
        a = tables.analyses.c
        query = select(a.state, func.count()).group_by(a.state)
        counted = self._read(lambda c: {str(state): int(n) for state, n in c.execute(query)})
        return {state: counted.get(state, 0) for state in STATES}

    def queued(self) -> int:
        """How many jobs wait."""
        a = tables.analyses.c
        return int(self._one_value(select(func.count()).where(a.state == "queued")) or 0)

    def waiting_before(self, row: AnalysisRow) -> int:
        """How many jobs are to be done before one that waits."""
        a = tables.analyses.c
        query = select(func.count()).where(a.state == "queued", a.created < row.created)
        return int(self._one_value(query) or 0)

    # ----------------------------------------------------------------------------------------------------- jobs

    def claim(self, runner: str) -> AnalysisRow | None:
        """Take the job that has waited longest, for this server alone; None where none waits."""
        a = tables.analyses.c
        while True:
            query = select(a.id).where(a.state == "queued").order_by(a.created, a.id).limit(1)
            if self.engine.dialect.name == "postgresql":
                query = query.with_for_update(skip_locked=True)

            def run(c: Connection, query: Any = query) -> tuple[str | None, AnalysisRow | None]:
                number = c.execute(query).scalar()
                if number is None:
                    return None, None
                now = time.time()
                values = {"state": "running", "runner": runner, "lease": now + LEASE, "started": now, "step": None}
                claim = update(tables.analyses).where(a.id == number, a.state == "queued")
                claim = claim.values(**values, done=None, attempts=a.attempts + 1).returning(*tables.analyses.c)
                row = c.execute(claim).mappings().first()
                return number, None if row is None else AnalysisRow(**row)

            number, row = self._write(run, lasting=False)
            if number is None or row is not None:
                return row

    def finish(
        self,
        job: AnalysisRow,
        state: State,
        *,
        label: str | None = None,
        fake: float | None = None,
        error: str | None = None,
        report: bytes | None = None,
        landmarks: bytes | None = None,
    ) -> bool:
        """Write down what came of a job that this server claimed, all or nothing.

        Returns:
            False where the job is no longer this server's: cancelled, deleted, or given to another one meanwhile.
        """
        a = tables.analyses.c
        mine = update(tables.analyses).where(
            a.id == job.id, a.state == "running", a.runner == job.runner, a.attempts == job.attempts
        )
        values = {"state": state, "label": label, "fake": fake, "error": error, "finished": time.time()}

        def run(c: Connection) -> bool:
            if c.execute(mine.values(**values, lease=None, step=None, done=None)).rowcount != 1:
                return False
            if report is not None:
                c.execute(insert(tables.reports).values(id=job.id, report=report, landmarks=landmarks))
            return True

        return self._write(run, lasting=False)

    def cancel(self, number: str) -> bool:
        """A job that waits or is worked on is to be done no more. False where it has ended, or is not there."""
        a = tables.analyses.c
        waiting = update(tables.analyses).where(a.id == number, a.state.in_(("queued", "running")))
        return self._changed(waiting.values(state="cancelled", finished=time.time(), lease=None, step=None, done=None))

    def alive(self, runner: str, steps: Mapping[str, tuple[str, float | None]]) -> None:
        """This server lives; how far its jobs are."""
        a = tables.analyses.c
        mine = update(tables.analyses).where(a.state == "running", a.runner == runner)

        def run(c: Connection) -> None:
            c.execute(mine.values(lease=time.time() + LEASE))
            for number, (step, done) in steps.items():
                c.execute(mine.where(a.id == number).values(step=step, done=done))

        self._write(run, lasting=False)

    def release(self, runner: str) -> None:
        """This server ends: its jobs go back into the queue, as if it had not begun them."""
        a = tables.analyses.c
        mine = update(tables.analyses).where(a.state == "running", a.runner == runner)
        again = {"state": "queued", "runner": None, "lease": None, "step": None, "done": None}
        self._changed(mine.values(**again, attempts=a.attempts - 1))

    def recover(self, attempts: int, everything: bool = False) -> int:
        """Put jobs of servers that are gone back into the queue; those begun too often have failed.

        Args:
            attempts: so often a job is begun.
            everything: no other server shares this database, so every running job is one of a server that is gone.

        Returns:
            How many were put back.
        """
        a = tables.analyses.c
        lost = [a.state == "running"] if everything else [a.state == "running", a.lease < time.time()]
        why = f"The server ended {attempts} times while it worked on this file. Analyse it elsewhere, alone."
        failed = update(tables.analyses).where(*lost, a.attempts >= attempts)
        again = update(tables.analyses).where(*lost, a.attempts < attempts)

        def run(c: Connection) -> int:
            c.execute(failed.values(state="failed", error=why, finished=time.time(), lease=None))
            return c.execute(again.values(state="queued", runner=None, lease=None, step=None, done=None)).rowcount

        return self._write(run)

    # -------------------------------------------------------------------------------------- reports, conversations

    def report(self, number: str) -> tuple[bytes, bytes | None] | None:
        """An analysis's report as a line of JSON, and its landmarks."""
        r = tables.reports.c
        row = self._read(lambda c: c.execute(select(r.report, r.landmarks).where(r.id == number)).first())
        return None if row is None else (bytes(row[0]), None if row[1] is None else bytes(row[1]))

    def turns(self, number: str) -> list[TurnRow]:
        """The conversation about an analysis so far."""
        t = tables.turns.c
        query = select(t.number, t.asked, t.answered, t.memory, t.created).where(t.analysis == number)
        rows = self._read(lambda c: c.execute(query.order_by(t.number)).all())
        return [TurnRow(n, json.loads(q), json.loads(w), json.loads(m), created) for n, q, w, m, created in rows]

    def add_turn(self, number: str, turn: TurnRow) -> bool:
        """Add to the conversation; False where the analysis is gone, or somebody else's question came first."""
        values = {
            "analysis": number,
            "number": turn.number,
            "created": turn.created,
            "asked": json.dumps(turn.asked),
            "answered": json.dumps(turn.answered),
            "memory": json.dumps(turn.memory),
        }
        try:
            self._write(lambda c: c.execute(insert(tables.turns).values(**values)))
        except IntegrityError:
            return False
        return True

    # ----------------------------------------------------------------------------------------------------- keys

    def add_key(self, row: KeyRow) -> None:
        """Add a key."""
        self._write(lambda c: c.execute(insert(tables.keys).values(**_values(row))))

    def keys(self) -> list[KeyRow]:
        """All keys, in the order in which they were made."""
        query = select(tables.keys).order_by(tables.keys.c.created, tables.keys.c.id)
        return self._read(lambda c: [KeyRow(**row) for row in c.execute(query).mappings()])

    def key(self, number: str) -> KeyRow | None:
        """A key by its id."""
        query = select(tables.keys).where(tables.keys.c.id == number)
        row = self._read(lambda c: c.execute(query).mappings().first())
        return None if row is None else KeyRow(**row)

    def revoke_key(self, number: str, now: float) -> bool:
        """Refuse a key; False where there is none, or it was refused before."""
        k = tables.keys.c
        return self._changed(update(tables.keys).where(k.id == number, k.revoked.is_(None)).values(revoked=now))

    def used_key(self, number: str, now: float) -> None:
        """Remember when a key was used last, to the minute."""
        k = tables.keys.c
        stale = or_(k.used.is_(None), k.used < now - 60)
        if self._one_value(select(k.id).where(k.id == number, stale)) is not None:
            self._changed(update(tables.keys).where(k.id == number).values(used=now))

    def check(self) -> None:
        """Raises Unavailable where the database cannot be read."""
        self._one_value(select(func.count()).select_from(tables.keys))

    # ------------------------------------------------------------------------------------------------------ inside

    def _rows(self, query: Any) -> list[AnalysisRow]:
        return self._read(lambda c: [AnalysisRow(**row) for row in c.execute(query).mappings()])

    def _one(self, query: Any) -> AnalysisRow | None:
        rows = self._rows(query)
        return rows[0] if rows else None

    def _one_value(self, query: Any) -> Any:
        return self._read(lambda c: c.execute(query).scalar())

    def _changed(self, statement: Any) -> bool:
        return self._write(lambda c: c.execute(statement).rowcount > 0)

    def _read(self, run: Callable[[Connection], T]) -> T:
        def reading() -> T:
            with self.engine.connect() as connection:
                return run(connection)

        return self._guarded(reading)

    def _write(self, run: Callable[[Connection], T], lasting: bool = True) -> T:
        """One transaction; `lasting` on the disk when it returns. A job's progress need not: lost, it is done again."""

        def writing() -> T:
            options = {"writes": True, "lasting": lasting}
            with self.engine.connect().execution_options(**options) as connection, connection.begin():
                return run(connection)

        return self._guarded(writing)

    def _guarded(self, run: Callable[[], T]) -> T:
        """Raises Unavailable in the place of what drivers raise."""
        try:
            return run()
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            why = error.orig if isinstance(error, DBAPIError) else error
            reason = (str(why).strip().splitlines() or [type(why).__name__])[0][:200]
            if _FULL.search(reason):
                raise Full(
                    f"The database's disk is full ({reason}). Make room there; before, nothing is written or deleted."
                ) from error
            raise Unavailable(f"The database cannot be used now: {reason}. Try again in a while.") from error


_SEARCHED = (
    tables.analyses.c.name,
    tables.analyses.c.case_name,
    tables.analyses.c.note,
    tables.analyses.c.sha256,
    tables.analyses.c.label,
)


def _values(row: Any) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(row)}


def _same(column: Any, value: Any) -> Any:
    return column.is_(None) if value is None else column == value


def _plain(word: str) -> str:
    """A word in which % and _ stand for themselves."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _engine(url: str, patience: float) -> Engine:
    try:
        parsed = make_url(url)
    except SQLAlchemyError as error:
        raise InputError(
            "--database: expected a URL such as postgresql://user@host/name or sqlite:///file.sqlite, got something "
            "else."
        ) from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    kind = parsed.get_backend_name()
    if kind not in ("sqlite", "postgresql"):
        raise InputError(f"--database: expected one of sqlite and postgresql, got {kind}.")
    try:
        if kind == "postgresql":
            waiting = f"-c lock_timeout={round(1000 * patience)} -c statement_timeout={round(6000 * patience)}"
            options = {"options": waiting, "connect_timeout": max(2, round(patience))}
            return create_engine(
                parsed, pool_pre_ping=True, pool_size=10, max_overflow=20, pool_timeout=10, connect_args=options
            )
        if not parsed.database or parsed.database == ":memory:":
            raise InputError("--database: expected a file for SQLite, such as sqlite:///facewitness.sqlite, got none.")
        file = Path(parsed.database).absolute()
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600)  # in a folder that others may read, too; SQLite gives its log the same rights
        engine = create_engine(
            parsed,
            poolclass=QueuePool,
            pool_size=10,
            max_overflow=20,
            pool_timeout=10,
            connect_args={"timeout": patience},
        )
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"A database of {kind} needs the package '{error.name}', which is not installed. Try: "
            f"{plugins.install('postgres')}"
        ) from error
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    """A log of writes, so that readers don't wait; a commit is on the disk before it counts, unless told otherwise."""
    connection.isolation_level = None  # the driver's own BEGIN comes too late for what is read before it is written
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("writes"):
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options['lasting'] else 'NORMAL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
