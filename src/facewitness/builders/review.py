"""The queue in which people look at what a builder wrote: accept, edit or reject, by name, and how far they agree.

    facewitness review QUEUE --who anna            on the terminal, one item after another
    facewitness review QUEUE --list                what is there, and what has been decided
    facewitness review QUEUE --agreement           how far reviewers agree

A queue is a folder: `items.jsonl`, what is to be looked at, and `decisions.jsonl`, what people said of it. Both only
grow, a line at a time, and a line that a kill cut off is passed over, so that a queue outlives whoever writes into it.
A person decides about an item once; who decides again changes the own decision, and the line before stays in the file.

FFAA (section "Quality Verification") has experts scrutinise each answer with its picture and references; how is left
open. Ours: an item needs `reviewers` decisions, is kept where more accept or edit it than reject it, and what an edit
says is used, the newest one. A decision sooner than `least_seconds` after the item was shown is refused: nobody has
read it. Agreement is Krippendorff's alpha over accept, edit and reject (nominal), which knows any number of reviewers
and items that not everybody saw; 1 is agreement, 0 what chance alone gives.

Any builder fills a queue, and any front end (terminal, page) works with the four functions of `Queue`: `add`,
`pending`, `decide`, `accepted`; `judged` has what was rejected, too.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from facewitness.builders import _lines
from facewitness.errors import InputError, UnknownName
from facewitness.files import held, write_whole

SCHEMA = "facewitness.review/1"
CHOICES = ("accept", "edit", "reject")
LEAST_SECONDS = 5.0  # to look at a picture and read some two hundred words is more; less is a key held down

Choice = Literal["accept", "edit", "reject"]
Check = Callable[["Item", Mapping[str, Any]], str]  # why a content cannot stand; empty where it can


@dataclass(frozen=True, slots=True)
class Item:
    """What a person is shown.

    Attributes:
        id: The item's name in this queue.
        builder: Who made it, a leaf of `builders/`: what an edit must keep to is that builder's business.
        content: What is judged, as JSON has it: {"text": …}, {"text": …, "boxes": {…}}, …
        pictures: Files below the queue's folder, shown in this order: the face, then references and masks.
        about: What the reviewer may know: label, kind, source, the prompt. Nothing in it is edited.
        annotator: Who wrote the content: a model's name and version, or "evidence".
    """

    id: str
    builder: str
    content: Mapping[str, Any]
    pictures: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    annotator: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one person said of one item."""

    item: str
    who: str
    choice: Choice
    seconds: float  # from when the item was shown to the decision
    at: str  # when, ISO 8601 in UTC
    content: Mapping[str, Any] | None = None  # of an edit, the whole content as it shall be
    reason: str = ""

    def __post_init__(self) -> None:
        if self.choice not in CHOICES:
            raise UnknownName("decision", str(self.choice), CHOICES)
        if not self.who.strip():
            raise InputError("review: expected the name of who decides (--who), got none")
        if not (isinstance(self.seconds, int | float) and math.isfinite(self.seconds) and self.seconds >= 0):
            raise InputError(f"review: expected the seconds an item was looked at, got {self.seconds!r}")
        if (self.choice == "edit") != (self.content is not None):
            raise InputError("review: expected the edited content with an edit, and with nothing else")


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far people agree over the items that at least two of them decided."""

    items: int
    alpha: float | None  # Krippendorff's, nominal; None where fewer than two items, or only one choice, can be compared
    same: float | None  # share of pairs of decisions on one item that are the same
    choices: Mapping[str, int]  # of all decisions that count


class Queue:
    """A folder of items and decisions.

    Args:
        folder: Where; it is made where it is not there.
        reviewers: Decisions that an item needs.
        least_seconds: To look at an item before a decision counts.
        check: Refuses an edit that cannot stand, with a sentence; None takes any.
    """

    def __init__(
        self, folder: Path, reviewers: int = 1, least_seconds: float = LEAST_SECONDS, check: Check | None = None
    ):
        if reviewers < 1 or not least_seconds >= 0:
            raise InputError(
                f"review: expected at least one reviewer and a time of at least 0 seconds, got {reviewers} and "
                f"{least_seconds}"
            )
        self.folder, self.reviewers, self.least_seconds, self.check = folder, reviewers, least_seconds, check

    # ---------------------------------------------------------------------------------------------------- the items

    def items(self) -> dict[str, Item]:
        """All items by their names, in the order in which they came.

        Returns:
            Name → item.
        """
        items: dict[str, Item] = {}
        for line in _lines.read(self.folder / "items.jsonl"):
            try:
                item = Item(
                    str(line["id"]), str(line["builder"]), dict(line["content"]), tuple(map(str, line["pictures"])),
                    dict(line["about"]), str(line["annotator"]),
                )  # fmt: skip
            except (KeyError, TypeError, ValueError):
                continue
            items.setdefault(item.id, item)
        return items

    def add(self, items: Iterable[Item], pictures: Mapping[str, bytes] | None = None) -> int:
        """Put items into the queue, and the pictures that they name; items that are there already stay as they are.

        Args:
            items: What is to be looked at.
            pictures: Their bytes by name.

        Returns:
            How many are new.

        Raises:
            InputError: A picture's name leads out of the folder, or somebody else is adding.
        """
        for name, content in (pictures or {}).items():
            file = self.picture(name)
            if not file.exists():
                write_whole(file, content)
        with held(self.folder / ".adding"):
            there = self.items()
            new = [item for item in items if item.id not in there]
            new = list({item.id: item for item in reversed(new)}.values())[::-1]
            _lines.append(self.folder / "items.jsonl", [{"schema": SCHEMA, **asdict(item)} for item in new])
        return len(new)

    def picture(self, name: str) -> Path:
        """The file of an item's picture.

        Args:
            name: Of the picture.

        Raises:
            InputError: For a name that leads out of the folder.
        """
        parts = Path(name).parts
        if not parts or Path(name).is_absolute() or ".." in parts:
            raise InputError(f"review: expected a picture's name below the queue's folder, got {name!r}")
        return self.folder / name

    # ------------------------------------------------------------------------------------------------ the decisions

    def decisions(self) -> dict[str, dict[str, Decision]]:
        """Item → who → the newest decision.

        Returns:
            Item → who → decision.
        """
        decisions: dict[str, dict[str, Decision]] = defaultdict(dict)
        for decision in self._written():
            decisions[decision.item].pop(decision.who, None)
            decisions[decision.item][decision.who] = decision  # the newest last
        return dict(decisions)

    def _written(self) -> Iterator[Decision]:
        """The decisions in the order in which they were made; lines that are none are passed over."""
        for line in _lines.read(self.folder / "decisions.jsonl"):
            try:
                yield Decision(
                    str(line["item"]), str(line["who"]), line["choice"], float(line["seconds"]), str(line["at"]),
                    None if line["content"] is None else dict(line["content"]), str(line["reason"]),
                )  # fmt: skip
            except (KeyError, TypeError, ValueError, OverflowError, UnknownName):
                continue

    def passed_over(self) -> int:
        """How many lines of the decisions are none: cut off by a kill, or written by another hand."""
        try:
            content = (self.folder / "decisions.jsonl").read_bytes()
        except FileNotFoundError:
            return 0
        return sum(bool(line.strip()) for line in content.splitlines()) - sum(1 for _ in self._written())

    def pending(self, who: str | None = None) -> list[Item]:
        """What still needs decisions, fewest first; with a name, what this person has not decided.

        Args:
            who: A person's name; None for anybody.
        """
        decided = self.decisions()
        waiting = [
            item
            for item in self.items().values()
            if len(decided.get(item.id, {})) < self.reviewers and (who is None or who not in decided.get(item.id, {}))
        ]
        return sorted(waiting, key=lambda item: len(decided.get(item.id, {})))

    def decide(
        self,
        item: str,
        who: str,
        choice: str,
        seconds: float,
        content: Mapping[str, Any] | None = None,
        reason: str = "",
    ) -> Decision:
        """Write down a decision.

        Args:
            item: Its name.
            who: Whose decision it is.
            choice: "accept", "edit" or "reject".
            seconds: How long the item was looked at.
            content: The whole content as edited; an edit that changes nothing is an acceptance.
            reason: Why, in words; rejections should have one.

        Raises:
            UnknownName: There is no such item, or choice.
            InputError: The item was looked at for less than the least time, or the edit cannot stand.
        """
        items = self.items()
        if item not in items:
            raise UnknownName("item", item, items)
        there = items[item]
        if choice == "edit" and content is not None and dict(content) == dict(there.content):
            choice, content = "accept", None
        now = datetime.now(UTC).isoformat(timespec="seconds")
        decision = Decision(item, who.strip(), choice, seconds, now, content, reason.strip())  # type: ignore[arg-type]
        if seconds < self.least_seconds:
            raise InputError(
                f"review: expected at least {self.least_seconds:g} seconds with an item before a decision, got "
                f"{seconds:.1f}. Look at the picture, read the text, and decide again."
            )
        if content is not None and self.check is not None and (why := self.check(there, content)):
            raise InputError(f"review: this edit cannot stand: {why}. Mend it, or reject the item.")
        _lines.append(self.folder / "decisions.jsonl", [{"schema": SCHEMA, **asdict(decision)}])
        return decision

    def accepted(self) -> Iterator[tuple[Item, Mapping[str, Any]]]:
        """What people kept: each item with its content, edited where somebody edited it."""
        return ((item, content) for item, content in self.judged() if content is not None)

    def judged(self) -> Iterator[tuple[Item, Mapping[str, Any] | None]]:
        """What as many people decided as an item needs: each item with its content, None where it was rejected."""
        decided = self.decisions()
        for item in self.items().values():
            decisions = list(decided.get(item.id, {}).values())
            if len(decisions) < self.reviewers:
                continue
            against = sum(decision.choice == "reject" for decision in decisions)
            edits = [decision.content for decision in decisions if decision.content is not None]
            yield item, None if 2 * against >= len(decisions) else edits[-1] if edits else item.content

    def agreement(self) -> Agreement:
        """How far the reviewers agree."""
        decided = self.decisions()
        choices = [[decision.choice for decision in decisions.values()] for decisions in decided.values()]
        several = [row for row in choices if len(row) > 1]
        pairs = [(a == b) for row in several for i, a in enumerate(row) for b in row[:i]]
        return Agreement(
            items=len(several),
            alpha=alpha(several),
            same=sum(pairs) / len(pairs) if pairs else None,
            choices=dict(sorted(Counter(choice for row in choices for choice in row).items())),
        )


def alpha(rows: Iterable[Iterable[str]]) -> float | None:
    """Krippendorff's alpha for nominal values: 1 − observed over expected disagreement.

    Krippendorff, "Content Analysis", third edition, chapter 11: each item with m values adds, for each ordered pair of
    its values, 1 / (m − 1) to the coincidences. None where there is nothing to compare, or nothing that could differ.

    Args:
        rows: For each item the values it was given; items with fewer than two say nothing.
    """
    units = [list(row) for row in rows]
    units = [row for row in units if len(row) > 1]
    weights: dict[tuple[str, str], float] = defaultdict(float)
    for row in units:
        counts = Counter(row)
        for a, many in counts.items():
            for b, others in counts.items():
                weights[a, b] += many * (others - (a == b)) / (len(row) - 1)
    totals: Counter[str] = Counter()
    for row in units:
        totals.update(row)
    n = sum(totals.values())
    if len(units) < 2 or len(totals) < 2:
        return None
    observed = sum(weight for (a, b), weight in weights.items() if a != b)
    expected = sum(totals[a] * totals[b] for a in totals for b in totals if a != b) / (n - 1)
    return 1.0 - observed / expected


def identity(*parts: bytes | str) -> str:
    """A name for an item: of the SHA-256 of what it is made of, so that the same thing comes once.

    Args:
        *parts: What the item is made of.
    """
    digest = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else part.encode("utf-8", "replace")
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()[:16]
