"""Has a vision-language model write about pictures, through any backend: resumable, with the cost known before.

    tasks = [Task(id, system, prompt, (picture, reference), about), …]
    plan = estimate(tasks, folder, model="gpt-4o", prices=Prices(2.5, 10.0))      what it will cost, before it starts
    statistics = annotate(tasks, backend, folder, model="gpt-4o", check=check, per_minute=60)

What is asked and what comes back is written into `folder/asked.jsonl` as it happens: a line before a request leaves,
another when its answer is here. So a run that was killed goes on where it was, and a request that may have been billed
is not sent again: one whose answer never arrived is *in doubt*, is counted, and is asked again only where the caller
says so (`again`). What makes two requests the same is the model, the words and the pictures, not the name of a run:
with other words it is another question.

FFAA's "Quality Verification" filters what comes back: "responses with incorrect formats, erroneous results or low
probability are first filtered out". `check` decides that, with a reason of `REASONS` or of its own, and every reason is
counted in `Statistics` with examples. A refused answer stays in the ledger: it was paid for, and may be looked at.

The tokens of a request are estimated (four characters to a token; `image_tokens` a picture) unless the backend tells
them. Prices are the caller's: nothing here knows what a server charges.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from facewitness import media
from facewitness.builders import _lines
from facewitness.errors import BackendError, FacewitnessError, InputError
from facewitness.files import held, write_whole

CHARACTERS = 4  # to a token of English, by the rule of thumb of tokenizers' makers
IMAGE_TOKENS = 1_100  # a picture of 1,024 px in tiles of 512, as several servers count; say your own
ANSWER_TOKENS = 260  # of an answer: FFA-VQA's have 203 on average ("Data Source Composition for FFA-VQA")
_EXAMPLES = 3

REASONS: Mapping[str, str] = {
    "refused": "the model would not answer",
    "another language": "too few of the words that tell languages apart are English",
    "format": "a field is missing, empty or cannot be read",
    "wrong result": "the answer contradicts what is known of the picture",
    "low probability": "the model itself is not sure enough",
    "empty": "there is nothing in the answer",
}


class Backend(Protocol):
    """What a leaf of backends/ loads."""

    def ask(self, messages: Sequence[Mapping[str, str]], images: Sequence[NDArray[np.uint8]] = ()) -> str:
        """The model's answer, in words.

        Args:
            messages: The conversation, each message with `role` and `content`.
            images: Pictures that belong to the last message, RGB uint8 (H, W, 3).
        """


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One question to the annotator.

    Attributes:
        id: The item's name, unique among the tasks.
        system: The system prompt.
        prompt: The user's words.
        pictures: Encoded pictures (JPEG, PNG), shown in this order.
        about: What the check and later steps need: label, kind, file, …
    """

    id: str
    system: str
    prompt: str
    pictures: tuple[bytes, ...]
    about: Mapping[str, Any] = field(default_factory=dict)

    def key(self, model: str) -> str:
        """The SHA-256 of all that decides the answer.

        Args:
            model: Name of the model.
        """
        digest = hashlib.sha256()
        for part in (model.encode(), self.system.encode(), self.prompt.encode(), *self.pictures):
            digest.update(len(part).to_bytes(8, "little") + part)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Prices:
    """What a server charges for a million tokens that go in and that come out, in any currency."""

    input: float
    output: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(price) and price >= 0 for price in (self.input, self.output)):
            raise InputError(f"annotate: expected prices of at least 0, got {self.input} and {self.output}")


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will ask for."""

    tasks: int
    answered: int  # before, by the same model to the same words and pictures
    in_doubt: int  # sent before, without an answer: perhaps billed, and not sent again
    input_tokens: int  # of those that will be sent
    output_tokens: int
    cost: float | None  # in the currency of the prices; None where none were given
    minutes: float | None  # at the least, by the rate

    @property
    def to_ask(self) -> int:
        """How many requests will leave."""
        return self.tasks - self.answered - self.in_doubt

    def sentence(self) -> str:
        """The estimate in words."""
        cost = "no prices were given" if self.cost is None else f"about {self.cost:,.2f} in the currency of the prices"
        least = "" if self.minutes is None else f", at least {self.minutes:,.0f} minutes at this rate"
        doubt = f", {self.in_doubt} in doubt (sent before, never answered: not sent again)" if self.in_doubt else ""
        return (
            f"{self.tasks} pictures, {self.answered} answered before{doubt}; {self.to_ask} to ask: about "
            f"{self.input_tokens:,} tokens in and {self.output_tokens:,} out, {cost}{least}"
        )


@dataclass(slots=True)
class Statistics:
    """What was asked and what came of it."""

    asked: int = 0
    reused: int = 0  # answers of an earlier run
    kept: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # reason → answers
    failed: int = 0  # the backend gave no answer
    in_doubt: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0

    def refuse(self, reason: str, task: str, detail: str) -> None:
        """Count one answer under a reason; the part before a colon names it.

        Args:
            reason: Such as "another verdict: it says real".
            task: Name of the task.
            detail: What was refused, for people.
        """
        name = reason.partition(":")[0]
        self.refused[name] += 1
        examples = self.examples.setdefault(name, [])
        if len(examples) < _EXAMPLES:
            examples.append(f"{task}: {reason}: {detail[:200]}".encode(errors="replace").decode())

    def as_dict(self) -> dict[str, Any]:
        """For JSON.

        Returns:
            Counts and sums by name.
        """
        return {
            "asked": self.asked, "reused": self.reused, "kept": self.kept, "failed": self.failed,
            "in_doubt": self.in_doubt, "refused": dict(self.refused.most_common()),
            "why": {name: REASONS[name] for name in self.refused if name in REASONS}, "examples": self.examples,
        }  # fmt: skip


Check = Callable[[Task, str], str]  # why an answer cannot stand, "reason: detail"; empty where it can


class Ledger:
    """What was sent and what came back, a line each, in `folder/asked.jsonl`."""

    def __init__(self, folder: Path):
        self.file = folder / "asked.jsonl"
        self.answers: dict[str, str] = {}  # key → text
        self.sent: set[str] = set()
        self.failures: dict[str, str] = {}  # key → message: refused before it could be billed
        for row in _lines.read(self.file):
            key = row.get("key")
            if not isinstance(key, str):
                continue
            if row.get("state") == "answered" and isinstance(row.get("text"), str):
                self.answers[key] = row["text"]
            elif row.get("state") == "failed":
                self.failures[key] = str(row.get("message", ""))
                if row.get("billed") is False:
                    self.sent.discard(key)
            elif row.get("state") == "sent":
                self.sent.add(key)
                self.failures.pop(key, None)
        self._lock = threading.Lock()

    def in_doubt(self, key: str) -> bool:
        """Whether a request left and no answer is here.

        Args:
            key: Of the request, as `Task.key` gives it.
        """
        return key in self.sent and key not in self.answers

    def send(self, key: str, task: str) -> None:
        """Write down that a request is about to leave.

        Args:
            key: Of the request, as `Task.key` gives it.
            task: Name of the task.
        """
        self._write({"state": "sent", "key": key, "task": task, "at": time.time()})
        self.sent.add(key)

    def answer(self, key: str, task: str, text: str, seconds: float) -> None:
        """Write down what came back.

        Args:
            key: Of the request, as `Task.key` gives it.
            task: Name of the task.
            text: The answer.
            seconds: That it took.
        """
        self._write({"state": "answered", "key": key, "task": task, "text": text, "seconds": round(seconds, 3)})
        self.answers[key] = text

    def fail(self, key: str, task: str, message: str, billed: bool) -> None:
        """Write down that nothing came back; `billed`, whether it may have been charged.

        Args:
            key: Of the request, as `Task.key` gives it.
            task: Name of the task.
            message: What the error says.
            billed: Whether it may have been charged.
        """
        self._write({"state": "failed", "key": key, "task": task, "message": message, "billed": billed})
        self.failures[key] = message
        if not billed:
            self.sent.discard(key)

    def _write(self, row: Mapping[str, Any]) -> None:
        with self._lock:
            _lines.append(self.file, [row])


def estimate(
    tasks: Iterable[Task],
    folder: Path,
    model: str,
    prices: Prices | None = None,
    *,
    image_tokens: int = IMAGE_TOKENS,
    answer_tokens: int = ANSWER_TOKENS,
    per_minute: float | None = None,
    again: bool = False,
) -> Estimate:
    """What `annotate` will ask for and what it may cost, without asking anything.

    Args:
        tasks: What is to be asked.
        folder: Of the ledger, with what was asked before.
        model: Name of the model.
        prices: Of a million tokens in and out; None where unknown.
        image_tokens: That a picture costs.
        answer_tokens: That an answer has, about.
        per_minute: Requests a minute; None where unknown.
        again: Whether refused answers are asked for again.
    """
    ledger = Ledger(folder)
    count = answered = doubt = tokens = 0
    for task in tasks:
        count += 1
        key = task.key(model)
        if key in ledger.answers:
            answered += 1
        elif ledger.in_doubt(key) and not again:
            doubt += 1
        else:
            tokens += (len(task.system) + len(task.prompt)) // CHARACTERS + image_tokens * len(task.pictures)
    left = count - answered - doubt
    cost = None if prices is None else (tokens * prices.input + left * answer_tokens * prices.output) / 1e6
    minutes = None if per_minute is None else left / per_minute
    return Estimate(count, answered, doubt, tokens, left * answer_tokens, cost, minutes)


def annotate(
    tasks: Iterable[Task],
    backend: Backend,
    folder: Path,
    *,
    model: str,
    check: Check,
    per_minute: float | None = None,
    jobs: int = 1,
    limit: int | None = None,
    max_failures: int = 10,
    again: bool = False,
    statistics: Statistics | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Any] = time.sleep,
) -> Iterator[tuple[Task, str]]:
    """Ask about every task that was not asked before; gives each task with an answer that passes the check.

    Args:
        tasks: What to ask, each id once.
        backend: Whom. Its own retries are for errors that a server gives before it charges.
        folder: Where the ledger is; the same folder goes on.
        model: Its name and version: answers of another model are other answers.
        check: Why an answer cannot stand.
        per_minute: Requests a minute at most; None for no limit.
        jobs: Requests under way at once.
        limit: So many requests at most; None for no limit.
        max_failures: In a row, after which the run ends: the server is gone, or the account is empty.
        again: Ask once more where a request left and no answer came. It may be billed twice.
        statistics: Is filled.
        clock: Gives the time, seconds.
        sleep: Waits so many seconds.

    Yields:
        (task, answer), in the order in which answers are at hand.

    Raises:
        BackendError: So many requests in a row failed; what came is in the ledger.
        InputError: Numbers that make no sense, or somebody else asks into this folder.
    """
    if jobs < 1 or (per_minute is not None and not per_minute > 0) or max_failures < 1:
        raise InputError(
            f"annotate: expected at least one job, a rate above 0 and at least one failure, got {jobs}, {per_minute} "
            f"and {max_failures}"
        )
    counts = Statistics() if statistics is None else statistics
    pace = _Pace(per_minute, clock, sleep)
    with held(folder / ".asking"):
        ledger = Ledger(folder)
        began, in_a_row = time.monotonic(), 0

        def judged(task: Task, text: str) -> bool:
            reason = "empty" if not text.strip() else check(task, text)
            if reason:
                counts.refuse(reason, task.id, text)
            else:
                counts.kept += 1
            return not reason

        try:
            with ThreadPoolExecutor(jobs) as pool:
                waiting: dict[Future[str | FacewitnessError], Task] = {}

                def finish(done: Iterable[Future[str | FacewitnessError]]) -> Iterator[tuple[Task, str]]:
                    nonlocal in_a_row
                    for future in done:
                        task, came = waiting.pop(future), future.result()
                        if isinstance(came, str):
                            in_a_row = 0
                            if judged(task, came):
                                yield task, came
                            continue
                        counts.failed += 1
                        in_a_row += 1
                        if in_a_row >= max_failures:
                            raise BackendError(
                                f"annotate: {in_a_row} requests in a row failed, the last with: {came} What came is in "
                                f"'{ledger.file}'; the same command goes on."
                            )

                for task in tasks:
                    key = task.key(model)
                    if key in ledger.answers:
                        counts.reused += 1
                        if judged(task, ledger.answers[key]):
                            yield task, ledger.answers[key]
                        continue
                    if ledger.in_doubt(key) and not again:
                        counts.in_doubt += 1
                        continue
                    if limit is not None and counts.asked >= limit:
                        continue  # what is answered already is still given
                    counts.asked += 1
                    pace.wait()
                    waiting[pool.submit(_ask, backend, ledger, task, key)] = task
                    if len(waiting) >= jobs:
                        yield from finish(wait(waiting, return_when=FIRST_COMPLETED).done)
                while waiting:
                    yield from finish(wait(waiting, return_when=FIRST_COMPLETED).done)
        finally:  # also where the run ends early: what was counted until then
            counts.seconds = time.monotonic() - began
            write_whole(folder / "quality.json", json.dumps(counts.as_dict(), indent=1).encode())


def _ask(backend: Backend, ledger: Ledger, task: Task, key: str) -> str | FacewitnessError:
    """The answer, or why there is none; both are in the ledger before this returns."""
    try:
        images = [np.asarray(media.read(picture).frame.pixels) for picture in task.pictures]
    except InputError as error:  # nothing left this machine
        return error
    ledger.send(key, task.id)
    since = time.monotonic()
    messages = [{"role": "system", "content": task.system}, {"role": "user", "content": task.prompt}]
    try:
        text = backend.ask(messages, images)
    except BackendError as error:
        # whether a request that timed out or broke off was charged, only the server knows
        ledger.fail(key, task.id, str(error), billed=_may_be_billed(error))
        return error
    ledger.answer(key, task.id, text, time.monotonic() - since)
    return text


# what a client raises where a server was not reached, or turned the request away before it read it
_FREE = frozenset(("ConnectError", "RateLimitError", "AuthenticationError", "PermissionDeniedError", "NotFoundError"))


def _may_be_billed(error: BaseException) -> bool:
    """Whether a server may have charged for what failed: a time-out or a broken line says nothing of that."""
    while error.__cause__ is not None:
        error = error.__cause__
        if type(error).__name__ in _FREE:
            return False
    return True


class _Pace:
    """Lets so many through a minute, evenly."""

    def __init__(self, per_minute: float | None, clock: Callable[[], float], sleep: Callable[[float], Any]):
        self.every = None if per_minute is None else 60.0 / per_minute
        self.clock, self.sleep, self.next = clock, sleep, -math.inf

    def wait(self) -> None:
        if self.every is None:
            return
        now = self.clock()
        if now < self.next:
            self.sleep(self.next - now)
        self.next = max(now, self.next) + self.every
