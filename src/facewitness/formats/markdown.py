"""The report as text: Markdown that reads well as it stands, in a terminal, an e-mail or an issue.

Everything from outside is escaped, so a file name can neither draw a table nor a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from facewitness.formats import (
    LIMITS,
    _record,
    again,
    band,
    cases,
    fits,
    mark,
    measured,
    provenance,
    quoted,
    why_it_won,
    worth,
)
from facewitness.overtime import seen
from facewitness.phrases import (
    KIND_WORDS,
    headline,
    is_film,
    limits_of,
    measured_in_words,
    odds,
    percent,
    places_of,
    someone,
    visible,
    word,
)
from facewitness.types import KINDS, Clip, Finding, PersonReport, Reply, Report, Testimony, Verdict

extension = "md"


def render(report: Report, clip: Clip | None = None, *, date: str | None = None) -> bytes:
    """The report as Markdown (CommonMark with tables), UTF-8.

    Args:
        report: what is written.
        clip: not needed; every format takes it.
        date: when it was analysed, in words; without it the same report gives the same bytes.
    """
    _, large, meaning = headline(report)
    blocks = [f"# {large}: {escaped(report.source) or 'picture without a name'}", *_problems(report)]
    if report.verdict is not None:
        incomplete = " The report is incomplete: see the failed steps above." if report.problems else ""
        chance = "" if report.verdict.fake is None else f"**{_chance(report.verdict)}.** "
        blocks.append(f"{chance}{meaning}{incomplete}")
        if band(report.verdict) and (words := limits_of(report.verdict)):
            low, high = map(escaped, words)
            blocks.append(
                f"Below {low} there is no sign of forgery, from {high} on this face is fake, and between them the "
                "answer is inconclusive."
            )
        blocks += _list(report.verdict.reasons)
    else:
        blocks.append(meaning)
    blocks += _list(report.notes)
    for testimony in report.inspections:
        blocks += _inspection(testimony)
    if report.people:
        blocks.append(_overview(report.people, is_film(report)))
    for number, person in enumerate(report.people, start=1):
        blocks += _face(number, person)
    blocks += _record_of(report)
    blocks += ["## How to read this report", "\n".join(f"- {escaped(limit)}" for limit in LIMITS)]
    if sentences := worth(report.made_by):
        blocks += ["## What the witnesses know", *_list(sentences)]
    blocks += _making(report, date)
    return ("\n\n".join(blocks) + "\n").encode("utf-8", "replace")


def escaped(text: str) -> str:
    """Text from outside, with every character escaped that Markdown or the HTML inside it would read as markup.

    Args:
        text: The text.
    """
    text = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", text.strip())
    text = re.sub(r"^([-+=]|\d{1,9}(?=[.)](?:\s|$)))", _first, text)  # no list and no heading in a list
    # No link, address or name that nobody meant to make: renderers find them in plain text, too.
    return re.sub(r"(?i)(https?|ftp|www|mailto|xmpp)(?=[.:])|@", r"\g<0>&#8203;", text)


def _first(sign: re.Match[str]) -> str:
    return f"{sign[0]}&#8203;" if sign[0].isdigit() else f"\\{sign[0]}"


def _code(text: str) -> str:
    """A code span that holds any text, backticks included."""
    text = visible(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}"


def _list(items: Iterable[str]) -> list[str]:
    text = "\n".join(f"- {_with_its_command(item)}" for item in items)
    return [text] if text else []


def _with_its_command(note: str) -> str:
    """A note, and the command that it ends with as it is to be typed."""
    words, begins, command = note.partition("facewitness analyze ")
    return escaped(words) + (f" {_code(begins + command)}" if begins else "")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _chance(verdict: Verdict) -> str:
    return escaped(odds(verdict))


def _problems(report: Report) -> Iterator[str]:
    if report.problems:
        count = len(report.problems)
        yield "**One step failed:**" if count == 1 else f"**{count} steps failed:**"
        yield "\n".join(f"- **{escaped(problem.step)}**: {escaped(problem.message)}" for problem in report.problems)


def _inspection(testimony: Testimony) -> Iterator[str]:
    """What a witness says of the whole file."""
    if testimony.findings or testimony.reply is not None:
        yield f"## The file itself, by {escaped(testimony.witness)}"
    yield from _list(finding.claim for finding in testimony.findings)
    yield from _words(testimony)


def _cases(testimony: Testimony) -> Iterator[str]:
    """The answers that a witness weighed, of each side, and why one won; its own words where it weighed none."""
    sides = cases(testimony)
    if not sides:
        yield from _words(testimony)
        return
    yield f"Both hypotheses, by {escaped(testimony.witness)}: {escaped(why_it_won(testimony))}"
    for side, reply in sides:
        yield f"The case for “{side}” ({fits(side, reply)}):\n\n{_quotation(reply)}"


def _words(testimony: Testimony) -> Iterator[str]:
    """A witness's own words, as a quotation with its name."""
    if testimony.reply is not None and testimony.reply.text.strip():
        yield f"{escaped(testimony.witness)} says, in its own words:\n\n{_quotation(testimony.reply)}"
        if testimony.reply.notes:
            yield escaped(" ".join(testimony.reply.notes))
        if testimony.reply.refusals:
            yield "What does not fit in this text:"
            yield from _list(testimony.reply.refusals)


def _quotation(reply: Reply) -> str:
    return "\n>\n".join(f"> {escaped(line)}" for line in quoted(reply.text).splitlines() if line.strip())


def _overview(faces: Sequence[PersonReport], film: bool) -> str:
    rows = [
        [
            str(number),
            word(person.verdict.label).lower(),
            _chance(person.verdict),
            _box(person.face.box),
            KIND_WORDS[max(KINDS, key=person.kind.__getitem__)] if person.kind else "not measured",
            str(len(person.findings)),
        ]
        for number, person in enumerate(faces, start=1)
    ]
    return _table([someone(film), "verdict", "probability", "box (x1, y1, x2, y2)", "likeliest kind", "findings"], rows)


def _box(box: Sequence[float]) -> str:
    return ", ".join(str(round(value)) for value in box)


def _face(number: int, person: PersonReport) -> Iterator[str]:
    when = seen(person.track)
    judged = f"{word(person.verdict.label).lower()}, {_chance(person.verdict)}"
    yield f"## {someone(bool(when)).capitalize()} {number}: {judged}{f' ({when})' if when else ''}"
    yield from _list(person.verdict.reasons)
    if person.explanation:
        yield "\n".join(
            f"- {escaped(sentence.text)}" + "".join(f" ({number}{mark(index)})" for index in sentence.findings)
            for sentence in person.explanation
        )
    if person.findings:
        rows = [_finding(f"{number}{mark(index)}", finding) for index, finding in enumerate(person.findings)]
        yield _table(["finding", "region", "strength", "box (x1, y1, x2, y2)", "claim"], rows)
    elif not person.explanation:
        yield "No place on this face gave anything away."
    if person.kind is not None:
        kinds = ", ".join(f"{KIND_WORDS[kind]} {escaped(percent(person.kind[kind]))}" for kind in KINDS)
        yield f"Kind of picture: {kinds}."
    facts = [f"{name} {value}" for name, value in measured(person.face.quality)]
    if facts:
        yield f"How well it can be judged: {escaped(', '.join(facts))}."
    yield from _list(person.face.quality.reasons)
    if person.verdict.testimonies:
        scores = (
            f"{escaped(testimony.witness)} " + ("would not say" if testimony.fake is None else f"{testimony.fake:.3f}")
            for testimony in person.verdict.testimonies
        )
        yield f"Scores of the witnesses, as they are (no probabilities): {', '.join(scores)}."
        for testimony in person.verdict.testimonies:
            yield from _cases(testimony)


def _finding(name: str, finding: Finding) -> list[str]:
    strength = escaped(measured_in_words(finding))
    return [name, escaped(places_of(finding)), strength, _box(finding.box), escaped(finding.claim)]


def _record_of(report: Report) -> Iterator[str]:
    """What forensic guidance asks for, where the report stands in a file of a case."""
    for section in _record.sections(report):
        yield f"## {section.title}"
        if section.facts:
            yield _table(["what", "value"], [[escaped(name), escaped(value)] for name, value in section.facts])
        yield from _list(section.items)
        if section.rows:
            yield _table(_record.METHOD_HEAD, [[escaped(text) for text in row] for row in section.rows])


def _making(report: Report, date: str | None) -> Iterator[str]:
    yield "## Where this report comes from"
    rows = [["file", escaped(report.source)], ["SHA-256", report.sha256 or "not known"]]
    if report.size is not None:
        rows.append(["size", f"{report.size[0]} × {report.size[1]} pixels"])
    if date is not None:
        rows.append(["analysed", escaped(date)])
    rows += [[escaped(name), escaped(value)] for name, value in provenance(report.made_by)]
    yield _table(["what", "value"], rows)
    yield "How to run it again:"
    yield "\n".join(
        f"{step}. {escaped(what)}: {_code(command)}" for step, (what, command) in enumerate(again(report), 1)
    )
