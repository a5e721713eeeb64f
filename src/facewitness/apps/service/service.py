"""All that a server does, in one object: submit, progress, cancel, report, ask, list, annotate, delete.

Methods block and may be called from any thread. `owner` is whose analyses are spoken of: the name of the caller's key,
or None for everybody's.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any

from facewitness import files, plugins, questions, regions
from facewitness.answers import Answer
from facewitness.apps.service import pointing, work
from facewitness.apps.service.keys import Keys
from facewitness.apps.service.runner import Runner, with_step
from facewitness.apps.service.settings import Settings
from facewitness.apps.service.store import AnalysisRow, Store, TurnRow
from facewitness.apps.service.uploads import Incoming, Uploads
from facewitness.errors import FacewitnessError, InputError, MissingExtra, UnreadableMedia
from facewitness.film import Sampling, is_film
from facewitness.formats import json as wire
from facewitness.phrases import title
from facewitness.pool import Pool
from facewitness.types import Finding, Hear, Place, Question, grade

NAME, CASE, NOTE, REPEAT = 255, 200, 10_000, 200  # characters at most
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # letters that show nothing
POINTED = "Is this place forged?"  # where places are pointed at without a word


class NotThere(FacewitnessError):
    """No analysis of the caller's has that id, or it has no such part."""


class NotYet(FacewitnessError):
    """The analysis has no report yet, or never will."""


class Gone(FacewitnessError):
    """The file itself is not kept any more."""


class Busy(FacewitnessError):
    """The queue is full."""


class Service:
    """A server without HTTP. `start` before anything is submitted, `close` at the end.

    Args:
        settings: what it may do.

    Raises:
        InputError: another server uses the folder, or the settings are none.
        MissingExtra: a database's driver is not installed.
        Unavailable: the database cannot be reached.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.store = Store(settings.url, settings.database_time)
        self.keys = Keys(self.store, settings.data)
        self.uploads = Uploads(settings.data / "uploads", settings.reserve, settings.max_stored)
        self.pool: Pool[work.Outcome] = Pool(settings.jobs, then=work.outcome, **settings.analyzer())
        # draws and reads what is there already, beside what takes long; it needs no model. A long film's report makes
        # nobody wait: a second process is started where one is at work
        self.desk: Pool[work.Outcome] = Pool(2, then=work.outcome, finder="whole", witnesses=("provenance",))
        self.runner = Runner(settings, self.store, self.uploads, self.pool, self._is_loaded)
        self._closing, self._held = ExitStack(), False
        self._described: Future[Mapping[str, Any]] | None = None
        self._talks: weakref.WeakValueDictionary[str, _Talk] = weakref.WeakValueDictionary()
        self._talking = threading.Lock()

    @property
    def _alone(self) -> bool:
        return self.store.engine.dialect.name == "sqlite"

    def hold(self) -> None:
        """Take the folder, before others are told of a server; `start` does, too.

        Raises:
            InputError: another server has it.
        """
        if self._alone and not self._held:
            self._closing.enter_context(files.held(self.settings.data / "serve.lock"))
            self._held = True

    def start(self) -> None:
        """Load the models, and take up jobs that were left. Raises InputError where another server has the folder."""
        self.hold()
        self._described = self.pool.call(work.described)
        self._described.add_done_callback(lambda _: self.runner.wake())
        self.runner.start(self._alone)

    def warm(self) -> None:
        """Start what draws, so that the first page need not wait for it."""
        self.desk.call(work.described)

    def close(self) -> None:
        """End; what was not finished is done by the next server."""
        self.runner.close()
        self.pool.close()
        self.desk.close()
        self._closing.close()
        self.store.close()

    # --------------------------------------------------------------------------------------------------- analyses

    def receive(self) -> Incoming:
        """A file that is about to come, to be used in a `with`: `write` its pieces, then `submit` it.

        Raises:
            NoRoom: the disk is full.
            Busy: the queue is full, or the models cannot be loaded.
        """
        described = self._described
        if described is not None and described.done() and (error := described.exception()) is not None:
            raise Busy(f"The server's models cannot be loaded. {error}")
        if self.store.queued() >= self.settings.max_queued:
            raise Busy(f"{self.settings.max_queued:,} analyses wait already. Send it again in a while.")
        s = self.settings
        return self.uploads.receive(s.max_body, lambda head: s.max_body if is_film(head) else s.max_picture)

    def submit(
        self,
        incoming: Incoming,
        name: str,
        *,
        owner: str | None = None,
        case_name: str = "",
        note: str = "",
        sampling: Mapping[str, Any] | None = None,
        repeat: str | None = None,
    ) -> AnalysisRow:
        """Take a file that has come whole into the queue; from its return on the job survives the server.

        Args:
            incoming: of `receive`.
            name: what the file is called in the report; of a path the last part.
            owner: whose it is.
            case_name: what it belongs to.
            note: what somebody says of it.
            sampling: of a film: which frames are judged, as `film.Sampling` has them.
            repeat: a word of the caller's choice; a second submission with it gives the first one's analysis.

        Raises:
            UnreadableMedia: neither picture nor film.
            TooLarge: beyond a limit that its first bytes show.
            InputError: what was said of it cannot be.
            NoRoom, Unavailable: not now.
        """
        _short("case_name", case_name, CASE)
        _short("note", note, NOTE)
        _short("Idempotency-Key", repeat or "", REPEAT)
        known = self.store.repeated(owner, repeat)
        if known is not None:
            if known.sha256 != incoming.sha256:
                raise InputError("Idempotency-Key: it was used for another file before. Use a new one for each file.")
            return known
        incoming.finish()
        name = _bare(name)
        if incoming.size == 0:
            raise UnreadableMedia(f"'{name}' is empty: expected a picture or a film, got 0 bytes. Send it again.")
        kind = work.file_kind(incoming.path, name, {"max_pixels": self.settings.max_pixels})
        reading: dict[str, Any] = {}
        if kind == "film":
            _films_can_be_read()
            if sampling:
                Sampling(**sampling)  # says what is wrong with it
                reading["sampling"] = dict(sampling)
        else:
            reading["max_pixels"] = self.settings.max_pixels
        row = AnalysisRow(
            id=secrets.token_hex(16),
            owner=owner,
            repeat=repeat,
            name=name,
            sha256=incoming.sha256,
            size=incoming.size,
            kind=kind,
            reading=json.dumps(reading),
            case_name=case_name,
            note=note,
            state="queued",
            label=None,
            fake=None,
            error=None,
            step=None,
            done=None,
            attempts=0,
            runner=None,
            lease=None,
            created=time.time(),
            started=None,
            finished=None,
        )
        if not self.runner.is_idle():  # else that happens while it is analysed
            incoming.make_last()
        with self.uploads.naming:
            known = self.store.repeated(owner, repeat)
            if known is not None:
                return known
            self.uploads.take(incoming)
            row = self._added(row, incoming)
        self.runner.wake()
        return row

    def _added(self, row: AnalysisRow, incoming: Incoming) -> AnalysisRow:
        """A job whose file has its name, in the database. An idle process works on it while both are made to last."""
        begun = self.runner.begin_ahead(row) if self.store.queued() == 0 else None
        added = False
        try:
            self.uploads.make_last(incoming)
            there = self.store.add(begun or row)
            added = there.id == row.id
            return there
        finally:
            if begun is not None:
                (self.runner.added if added else self.runner.forget)(begun)

    def get(self, number: str, owner: str | None = None) -> AnalysisRow:
        """An analysis and how far it is. Raises NotThere."""
        row = self.store.get(number) if len(number) <= 32 else None
        if row is None or (owner is not None and row.owner not in (None, owner)):
            raise NotThere(f"There is no analysis '{_bare(number)[:40]}'. It may have been deleted.")
        return with_step(row, self.runner.step(number))

    def before(self, row: AnalysisRow) -> int | None:
        """How many jobs are to be done before one that waits; None for one that does not wait."""
        return self.store.waiting_before(row) if row.state == "queued" else None

    def wait(self, number: str, seconds: float, owner: str | None = None) -> AnalysisRow:
        """The analysis once it has ended, or as it is after so many seconds. Raises NotThere."""
        changed = threading.Event()
        end = self.runner.listen(number, changed.set, steps=False)
        until = time.monotonic() + seconds
        try:
            while not (row := self.get(number, owner)).ended and (left := until - time.monotonic()) > 0:
                changed.wait(min(left, 1.0))
                changed.clear()
            return row
        finally:
            end()

    def listen(self, number: str, changed: Callable[[], None], steps: bool = True) -> Callable[[], None]:
        """Call `changed`, from another thread, whenever something happens to an analysis; see `Runner.listen`."""
        return self.runner.listen(number, changed, steps)

    def history(self, owner: str | None = None, **wanted: Any) -> Sequence[AnalysisRow]:
        """Analyses, newest first; `wanted` as `Store.history` has it."""
        return [with_step(row, self.runner.step(row.id)) for row in self.store.history(owner, **wanted)]

    def annotate(
        self, number: str, case_name: str | None = None, note: str | None = None, owner: str | None = None
    ) -> AnalysisRow:
        """Change the case or the note; None leaves it. Raises NotThere, InputError."""
        _short("case_name", case_name or "", CASE)
        _short("note", note or "", NOTE)
        self.get(number, owner)
        self.store.annotate(number, case_name, note)
        return self.get(number, owner)

    def cancel(self, number: str, owner: str | None = None) -> AnalysisRow:
        """A job that waits or is worked on is done no more; one that has ended stays as it is. Raises NotThere."""
        self.get(number, owner)
        if self.store.cancel(number):
            self.runner.stop(number)
            self.runner.changed(number)
        return self.get(number, owner)

    def delete(self, number: str, owner: str | None = None) -> None:
        """Delete an analysis with all that hangs on it, and its file if no other analysis has it. Raises NotThere."""
        self.get(number, owner)
        with self.uploads.naming:
            sha256 = self.store.delete(number)
            if sha256 is not None:
                self.runner.delete_files([sha256])
        self.runner.stop(number)
        self.runner.changed(number)

    # ---------------------------------------------------------------------------------------------------- reports

    def report(self, number: str, owner: str | None = None, slim: bool = False) -> bytes:
        """The report as one line of `facewitness.report/2`; `slim` is without masks. Raises NotThere, NotYet."""
        line = self.kept(number, owner).report
        return wire.render(wire.parse(line), slim=True) if slim else line

    def kept(self, number: str, owner: str | None = None) -> work.Kept:
        """What is kept of an analysis. Raises NotThere, NotYet."""
        row = self.get(number, owner)
        stored = self.store.report(number)
        if stored is None:
            words = {
                "queued": "It waits. Ask again in a while.",
                "running": "It is worked on. Ask again in a while.",
                "cancelled": "It was cancelled. Send the file again.",
            }
            raise NotYet(f"This analysis has no report. {words.get(row.state) or row.error or 'It failed.'}")
        path = self.uploads.path(row.sha256)
        return work.Kept(*stored, str(path) if path.is_file() else None, json.loads(row.reading))

    def drawn(self, number: str, leaf: str, owner: str | None = None, date: bool = True) -> bytes:
        """The report in a format of `formats/`. Raises NotThere, NotYet, Gone, UnknownName, what the format raises."""
        if leaf not in plugins.names("formats"):
            plugins.get("formats", leaf)
        kept = self.kept(number, owner)
        if kept.file is None and leaf in ("overlay", "film"):
            raise Gone("The file itself is not kept any more, so nothing can be drawn on it. Send it again.")
        row = self.get(number, owner)
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(row.finished)) if date and row.finished else None
        return bytes(self._at_the_desk(work.drawn, kept, leaf, when))

    def bundle(self, number: str, original: bool = False, owner: str | None = None) -> bytes:
        """The report as evidence that travels; `original` puts the file in.

        Raises:
            NotThere, NotYet, Gone, InputError: the last where the file is too large for it.
        """
        kept = self.kept(number, owner)
        if original and kept.file is None:
            raise Gone("The file itself is not kept any more, so it cannot go along. Take the bundle without it.")
        return bytes(self._at_the_desk(work.bundled, kept, original))

    def frame(self, number: str, index: int | None = None, longest: int = 2048, owner: str | None = None) -> bytes:
        """One frame as JPEG, upright; see `work.frame`. Raises NotThere, NotYet, Gone, InputError."""
        kept = self.kept(number, owner)
        if kept.file is None:
            raise Gone("The file itself is not kept any more. Send it again.")
        return bytes(self._at_the_desk(work.frame, kept, index, longest))

    def mask(self, number: str, mask: int, whole: int | None = None, owner: str | None = None) -> bytes:
        """A mask of the report as grey PNG: on its box, or on the whole frame with at most so many pixels a side.

        Raises:
            NotThere, NotYet: also where there is no such mask.
        """
        kept = self.kept(number, owner)
        masks = json.loads(kept.report)["masks"]
        if not 0 <= mask < len(masks):
            raise NotThere(f"The report has {len(masks)} masks, counted from 0; there is no mask {mask}.")
        if whole is None:
            return base64.b64decode(masks[mask]["png"])
        return bytes(self._at_the_desk(work.mask_on_frame, kept, mask, whole))

    def original(self, number: str, owner: str | None = None) -> tuple[AnalysisRow, str]:
        """The analysis and the path of its file as it was received. Raises NotThere, Gone."""
        row = self.get(number, owner)
        path = self.uploads.path(row.sha256)
        if not path.is_file():
            raise Gone("The file itself is not kept any more. Send it again.")
        return row, str(path)

    # -------------------------------------------------------------------------------------------------- questions

    def ask(
        self,
        number: str,
        question: str,
        *,
        places: Sequence[Mapping[str, Any]] = (),
        face: int | None = None,
        owner: str | None = None,
        hear: Hear | None = None,
    ) -> TurnRow:
        """The answer to one question, as the next turn of the analysis's one conversation.

        Args:
            number: the analysis.
            question: of at most 2,000 characters; with places it may be empty.
            places: what it points at, as `pointing.placed` has them.
            face: whom it is about, from 0; None for whom the conversation spoke of.
            owner: whose analysis it is.
            hear: is given the words as they come, where somebody speaks who can be heard.

        Raises:
            NotThere, NotYet, InputError, UnknownName.
        """
        text = questions.asked(question if question.strip() or not places else POINTED)
        _short("question", text, questions.MOST)
        with self._talk(number):
            kept = self.kept(number, owner)
            report = work.restored(kept.report, kept.landmarks)
            before = self.store.turns(number)
            earlier = [work.Said(t.asked["question"], t.answered["answer"], t.answered["label"]) for t in before]
            memory = before[-1].memory if before else None
            whom = face if face is not None or memory is None else int(memory["face"])  # of whom was spoken
            asked = Question(text, pointing.placed(report, whom, places) if places else ())
            if (self.settings.backend is not None or self.answering) and kept.file is not None:
                name = self.settings.backend
                backend = None if name is None else (name, json.dumps(self.settings.options.get(name, {})))
                answer, memory = self.pool.call(
                    work.spoken,
                    kept,
                    backend,
                    asked,
                    face,
                    earlier,
                    memory,
                    seconds=self.settings.answer_time,
                    hear=hear or _hear_nothing,
                ).result()
            else:
                answer, memory = work.answered(report, None, asked, face, earlier, memory)
            turn = TurnRow(
                len(before) + 1,
                {"question": text, "places": list(places), "face": face},
                answer_as_json(answer, memory["face"]),
                memory,
                time.time(),
            )
            if not self.store.add_turn(number, turn):
                raise NotThere("The analysis was deleted, or another server answered at the same time. Ask again.")
            return turn

    def turns(self, number: str, owner: str | None = None) -> Sequence[TurnRow]:
        """The conversation so far. Raises NotThere."""
        self.get(number, owner)
        return self.store.turns(number)

    # --------------------------------------------------------------------------------------------------- the server

    @property
    def answering(self) -> Sequence[str]:
        """Names of the witnesses here that can be asked for their own words."""
        described = self._described
        if described is None or not described.done() or described.exception() is not None:
            return ()
        return list(described.result()["answering"])

    def witnesses(self) -> dict[str, Any]:
        """Who testifies here, with what was measured of them, and who could.

        Raises:
            FacewitnessError: they cannot be loaded; says why.
        """
        assert self._described is not None
        made_by = self._described.result(self.settings.answer_time)["made_by"]
        asked = {witness["name"]: witness for witness in made_by["witnesses"]}
        others = [{"name": name, "about": _about(name), "asked": name in asked} for name in plugins.names("witnesses")]
        return {
            "version": made_by["version"],
            "finder": made_by["finder"],
            "thresholds": made_by["thresholds"],
            "witnesses": [
                {"about": _about(name), "answers": name in self.answering, **witness} for name, witness in asked.items()
            ],
            "known": others,
            "libraries": made_by["libraries"],
        }

    def faults(self) -> list[str]:
        """Why the server cannot take jobs now; empty where it can."""
        faults = []
        if self._described is None or not self._described.done():
            faults.append("The models are being loaded.")
        elif (error := self._described.exception()) is not None:
            faults.append(f"The models cannot be loaded. {error}")
        for check in (self.store.check, lambda: self.uploads.check_room(0)):
            try:
                check()
            except FacewitnessError as error:
                faults.append(str(error))
        if not os.access(self.uploads.folder, os.W_OK):
            faults.append("The folder of uploads cannot be written to.")
        return faults

    def counts(self) -> dict[str, int]:
        """How many analyses there are in each state."""
        return self.store.counts()

    # --------------------------------------------------------------------------------------------------------- inside

    def _is_loaded(self) -> bool:
        described = self._described
        return described is not None and described.done() and described.exception() is None

    def _at_the_desk(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.desk.call(function, *args, seconds=self.settings.answer_time).result()

    def _talk(self, number: str) -> Any:
        """One question of a conversation at a time."""
        with self._talking:
            talk = self._talks.get(number)
            if talk is None:
                talk = self._talks[number] = _Talk()
            return talk


class _Talk:
    """A lock that is forgotten when nobody holds it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def answer_as_json(answer: Answer, face: int) -> dict[str, Any]:
    """An answer as what JSON can hold; `face` is whom it is about."""
    return {
        "answer": answer.text,
        "label": answer.label,
        "intent": answer.intent,
        "face": face,
        "regions": [{"region": name, "title": title(name)} for name in answer.regions],
        "findings": [_finding(finding) for finding in answer.findings],
        "witness": answer.witness or None,
        "words": None if answer.reply is None else answer.reply.text,
        "notes": list(answer.notes),
        "problem": answer.problem or None,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    places = [_place(place) for place in finding.places]
    return {"claim": finding.claim, "strength": finding.strength, "grade": grade(finding.strength), "places": places}


def _place(place: Place) -> dict[str, Any]:
    at = None if place.at is None else {"index": place.at.index, "seconds": place.at.seconds}
    name = None if place.region is None or place.region not in regions.REGIONS else title(place.region)
    return {"at": at, "region": place.region, "title": name, "box": [float(value) for value in place.box]}


def _about(name: str) -> str:
    return plugins.headline("witnesses", name) if name in plugins.names("witnesses") else ""


def _hear_nothing(_: str) -> None:
    """Where nobody listens."""


def _short(what: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise InputError(f"{what}: expected at most {limit:,} characters, got {len(text):,}; say it in fewer")
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text):
        raise InputError(f"{what}: expected text, got a character in it that is none; leave it out")


def _bare(name: str) -> str:
    """A file's name without folders, as a line of text; it is shown, and never a path on the disk."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2].strip().strip(_BLANK)
    plain = "".join(c if c.isprintable() else "_" for c in last.encode("utf-8", "replace").decode("utf-8"))
    return plain[:NAME] or "upload"


def _films_can_be_read() -> None:
    """Raises UnreadableMedia where what decodes films is not installed."""
    try:
        import av  # noqa: F401
    except ModuleNotFoundError as error:
        lacking: MissingExtra = plugins.lacking("a film", error, "video")
        raise UnreadableMedia(f"Films cannot be read here. {lacking}") from error
