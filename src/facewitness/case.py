"""An examiner's case file goes in, and a `Case` comes out, or a sentence that says what is missing or misspelt.

A case file is TOML that a person writes: what no program can know of an exhibit. `TEMPLATE` is one to begin with.

    report = case.attached(case.read(Path("case.toml")), analyze("mk1.jpg"))

A conclusion is a level of a verbal scale. Unless the file brings its own, it is that of the ENFSI Guideline for
Evaluative Reporting in Forensic Science (2015), whose levels stand for likelihood ratios: see `level_for`.
"""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facewitness.errors import InputError
from facewitness.files import read_bounded
from facewitness.types import Case, Conclusion, Exhibit, Method, Problem, Report

NEITHER = "no support for either proposition"
# (likelihood ratio from which on a level holds, the level); below 2, neither
LEVELS: tuple[tuple[float, str], ...] = (
    (2, "weak support"),
    (10, "moderate support"),
    (100, "moderately strong support"),
    (1_000, "strong support"),
    (10_000, "very strong support"),
    (1_000_000, "extremely strong support"),
)
SCALE = (NEITHER, *(level for _, level in LEVELS))
_MOST = 1_000_000  # bytes of a case file

TEMPLATE = """# A case file of facewitness: what an examiner knows and no picture shows.
reference = "LAB-2026-0001"
examiner = "Name, institution, qualification"
reviewer = ""                          # who checked the examination; leave empty until somebody has
question = "Was the face in the photograph altered after it was taken?"
propositions = [
  "The face is as the camera recorded it.",
  "The face was altered or made by a program.",
]
# How far the pictures that the error rates were measured on compare with this one.
comparable = "Of the same kind: portraits of about this size, saved as JPEG."
notes = []

[exhibit]
label = "AB/1"
source = "Who handed it in, or where it was taken from"
received = "2026-01-05, by e-mail"
# sha256 = "…"                         # at receipt; the file that is analysed has to have it
dates = ["Said to have been taken on 2026-01-02"]
custody = ["2026-01-05 received by …", "2026-01-06 copied to …, hash compared"]

# One for each thing that was done besides.
# [[methods]]
# name = "Visual examination at 400 %"
# version = ""
# settings = ""
# scope = ""
# finding = "Nothing was found."
# limits = ""

# Once there is one:
# [conclusion]
# level = "moderate support"           # one of the scale; `scale = [...]` brings another than ENFSI's
# favours = 2                          # which proposition, 1 or 2; leave out for neither
# grounds = "…"
"""


def level_for(ratio: float) -> str:
    """The level of `SCALE` that a likelihood ratio of at least 1 stands for.

    Args:
        ratio: At least 1.
    """
    return next((level for bound, level in reversed(LEVELS) if ratio >= bound), NEITHER)


def read(path: Path) -> Case:
    """The case that a file describes.

    Args:
        path: Of the case file, TOML.

    Raises:
        InputError: it cannot be read, lacks something, or has a word that no case has; says the nearest one.
    """
    try:
        content = read_bounded(path, _MOST).decode("utf-8-sig")
    except OSError as error:
        raise InputError(
            f"'{path}': expected a case file, and it cannot be read ({error.strerror or error})."
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}': expected a case file in UTF-8, got other bytes. Save it as UTF-8.") from error
    return parse(content, str(path))


def parse(content: str, name: str = "the case") -> Case:
    """The case that a text in TOML describes; `name` stands for it in messages.

    Args:
        content: The text.
        name: Stands for the text in messages.

    Raises:
        InputError: As `read` does.
    """
    try:
        values = tomllib.loads(content)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"'{name}': expected TOML, got something else ({error}). See docs/evidence.md.") from error
    table = _Table(name, "", values)
    table.check(Case)
    exhibit = table.table("exhibit")
    exhibit.check(Exhibit)
    methods = [_Table(name, f"methods[{number}].", each) for number, each in enumerate(table.tables("methods"), 1)]
    for method in methods:
        method.check(Method)
    sha256 = exhibit.text("sha256", "").lower() or None
    if sha256 is not None and not re.fullmatch("[0-9a-f]{64}", sha256):
        raise InputError(f"'{name}': exhibit.sha256: expected 64 hexadecimal digits, got {sha256[:70]!r}.")
    propositions = table.texts("propositions", None)
    if len(propositions) != 2 or propositions[0] == propositions[1]:
        raise InputError(
            f"'{name}': propositions: expected two different ones, for the evidence is weighed under both, got "
            f"{len(propositions)}."
        )
    return Case(
        reference=table.text("reference"),
        exhibit=Exhibit(
            exhibit.text("label"),
            exhibit.text("source"),
            exhibit.text("received"),
            sha256,
            exhibit.texts("dates"),
            exhibit.texts("custody"),
        ),
        question=table.text("question"),
        propositions=(propositions[0], propositions[1]),
        examiner=table.text("examiner"),
        reviewer=table.text("reviewer", ""),
        methods=tuple(
            Method(
                name=method.text("name"),
                version=method.text("version", ""),
                settings=method.text("settings", ""),
                scope=method.text("scope", ""),
                finding=method.text("finding"),
                limits=method.text("limits", ""),
            )
            for method in methods
        ),
        comparable=table.text("comparable", ""),
        conclusion=_conclusion(table) if "conclusion" in values else None,
        notes=table.texts("notes"),
    )


def _conclusion(table: _Table) -> Conclusion:
    inside = table.table("conclusion")
    inside.check(Conclusion)
    scale = inside.texts("scale", SCALE)
    level, favours = inside.text("level"), inside.values.get("favours")
    if level not in scale:
        near = difflib.get_close_matches(level, scale, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise inside.wrong("level", f"one of the verbal scale ({', '.join(scale)})", level, hint)
    if favours not in (None, 1, 2) or isinstance(favours, bool):
        raise inside.wrong("favours", "1 or 2, the proposition that the evidence favours", favours)
    if scale == SCALE and (level == NEITHER) != (favours is None):
        need = "none where neither is supported" if level == NEITHER else "1 or 2, the proposition that is supported"
        raise inside.wrong("favours", need, favours)
    return Conclusion(level, scale, inside.text("grounds"), None if favours is None else favours - 1)


def attached(case: Case, report: Report) -> Report:
    """The report with the case in it; with a problem, too, where the file is not the exhibit that was received.

    Args:
        case: The case.
        report: A finished analysis.
    """
    differs = mismatch(case, report.sha256)
    problems = (*report.problems, Problem("read", differs)) if differs else report.problems
    return dataclasses.replace(report, case=case, problems=problems)


def mismatch(case: Case, sha256: str | None) -> str:
    """A sentence where the file that was analysed is not the exhibit that was received; "" where nothing says so.

    Args:
        case: The case.
        sha256: Of the file that was analysed; None where it could not be read.
    """
    expected = case.exhibit.sha256
    if expected is None or sha256 is None or expected == sha256:
        return ""
    return (
        f"The file that was analysed is not the exhibit as received: expected the SHA-256 {expected}, got {sha256}. "
        "Analyse the exhibit itself, or take the hash out of the case file and say in the custody how this copy came "
        "about."
    )


class _Table:
    """A table of the file, and where it stands, so that every complaint can say so."""

    def __init__(self, name: str, where: str, values: Any):
        self.name, self.where, self.values = name, where, values
        if not isinstance(values, Mapping):
            raise InputError(f"'{name}': {where.rstrip('.')}: expected a table, got {values!r}. See docs/evidence.md.")

    def wrong(self, key: str, expected: str, came: object, hint: str = "") -> InputError:
        return InputError(f"'{self.name}': {self.where}{key}: expected {expected}, got {str(came)[:80]!r}.{hint}")

    def check(self, noun: type) -> None:
        """Raises InputError for a key that the noun has not."""
        known = [field.name for field in dataclasses.fields(noun)]
        for key in self.values:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f" Did you mean '{near[0]}'?" if near else ""
                raise InputError(f"'{self.name}': unknown key {self.where}{key}.{hint} Known: {', '.join(known)}.")

    def table(self, key: str) -> _Table:
        if key not in self.values:
            raise InputError(f"'{self.name}': expected a table [{self.where}{key}], got none. See docs/evidence.md.")
        return _Table(self.name, f"{self.where}{key}.", self.values[key])

    def tables(self, key: str) -> list[Any]:
        came = self.values.get(key, [])
        if not isinstance(came, list):
            raise self.wrong(key, f"tables [[{key}]]", came)
        return came

    def text(self, key: str, otherwise: str | None = None) -> str:
        """A text of at least one letter; `otherwise` where there is none, unless it is None."""
        came = _plain(self.values.get(key, otherwise))
        if not isinstance(came, str) or (otherwise is None and not came.strip()):
            raise self.wrong(key, "a text", "nothing" if came is None or came == "" else came)
        return came.strip()

    def texts(self, key: str, otherwise: tuple[str, ...] | None = ()) -> tuple[str, ...]:
        came = self.values.get(key, otherwise)
        if not isinstance(came, list | tuple):
            raise self.wrong(key, "a list of texts", "nothing" if came is None else came)
        plain = [_plain(each) for each in came]
        for each in plain:
            if not isinstance(each, str) or not each.strip():
                raise self.wrong(key, "a list of texts", each)
        return tuple(each.strip() for each in plain)


def _plain(value: Any) -> Any:
    """TOML's own dates as they are written."""
    return (
        value.isoformat(*([" "] if isinstance(value, datetime.datetime) else []))
        if isinstance(value, datetime.date | datetime.datetime | datetime.time)
        else value
    )
