"""The report as text: Markdown that reads well as it stands, in a terminal, an e-mail or an issue.

Everything from outside is escaped, so a file name can neither draw a table nor a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from facewitness.formats import LIMITS, again, band, mark, measured, provenance
from facewitness.phrases import KIND_WORDS, chance, headline, percent, strength_in_words, title, visible, word
from facewitness.types import KINDS, FaceReport, Finding, Report, Verdict

extension = "md"


def render(report: Report) -> bytes:
    """The report as Markdown (CommonMark with tables), UTF-8."""
    _, large, meaning = headline(report)
    blocks = [f"# {large}: {escaped(report.source) or 'picture without a name'}", *_problems(report)]
    if report.verdict is not None:
        incomplete = " The report is incomplete: see the failed steps above." if report.problems else ""
        blocks.append(f"**{_chance(report.verdict)}.** {meaning}{incomplete}")
        if thresholds := band(report.made_by, report.verdict):
            low, high = map(percent, thresholds)
            blocks.append(
                f"A face of good quality is real below {low}, fake from {high} on, and inconclusive between them."
            )
        blocks += _list(report.verdict.reasons)
    else:
        blocks.append(meaning)
    if report.faces:
        blocks.append(_overview(report.faces))
    for number, said in enumerate(report.faces, start=1):
        blocks += _face(number, said)
    blocks += ["## How to read this report", "\n".join(f"- {escaped(limit)}" for limit in LIMITS), *_making(report)]
    return ("\n\n".join(blocks) + "\n").encode("utf-8", "replace")


def escaped(text: str) -> str:
    """Text from outside, with every character escaped that Markdown or the HTML inside it would read as markup."""
    text = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", text)
    return re.sub(r"(?i)\b(https?|ftp|www|mailto)(?=[.:])", r"\1&#8203;", text)  # no link that nobody meant to make


def _code(text: str) -> str:
    """A code span that holds any text, backticks included."""
    text = visible(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}"


def _list(items: Iterable[str]) -> list[str]:
    text = "\n".join(f"- {escaped(item)}" for item in items)
    return [text] if text else []


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _chance(verdict: Verdict) -> str:
    return escaped(chance(verdict.fake, verdict.interval))


def _problems(report: Report) -> Iterator[str]:
    if report.problems:
        count = len(report.problems)
        yield "**One step failed:**" if count == 1 else f"**{count} steps failed:**"
        yield "\n".join(f"- **{escaped(problem.step)}**: {escaped(problem.message)}" for problem in report.problems)


def _overview(faces: Sequence[FaceReport]) -> str:
    rows = [
        [
            str(number),
            word(said.verdict.label).lower(),
            _chance(said.verdict),
            _box(said.face.box),
            KIND_WORDS[max(KINDS, key=said.kind.__getitem__)] if said.kind else "not measured",
            str(len(said.findings)),
        ]
        for number, said in enumerate(faces, start=1)
    ]
    return _table(["face", "verdict", "probability", "box (x1, y1, x2, y2)", "likeliest kind", "findings"], rows)


def _box(box: Sequence[float]) -> str:
    return ", ".join(str(round(value)) for value in box)


def _face(number: int, said: FaceReport) -> Iterator[str]:
    yield f"## Face {number}: {word(said.verdict.label).lower()}, {_chance(said.verdict)}"
    yield from _list(said.verdict.reasons)
    if said.explanation:
        yield "\n".join(
            f"- {escaped(sentence.text)}" + ("" if sentence.finding is None else f" ({number}{mark(sentence.finding)})")
            for sentence in said.explanation
        )
    if said.findings:
        rows = [_finding(f"{number}{mark(index)}", finding) for index, finding in enumerate(said.findings)]
        yield _table(["finding", "region", "strength", "box (x1, y1, x2, y2)", "claim"], rows)
    elif not said.explanation:
        yield "No place on this face gave anything away."
    if said.kind is not None:
        kinds = ", ".join(f"{KIND_WORDS[kind]} {escaped(percent(said.kind[kind]))}" for kind in KINDS)
        yield f"Kind of picture: {kinds}."
    facts = [f"{name} {value}" for name, value in measured(said.face.quality)]
    if facts:
        yield f"How well it can be judged: {escaped(', '.join(facts))}."
    yield from _list(said.face.quality.reasons)
    if said.verdict.testimonies:
        said_by = (
            f"{escaped(testimony.witness)} "
            + ("would not say" if testimony.fake is None else f"{testimony.fake:.3f} before calibration")
            for testimony in said.verdict.testimonies
        )
        yield f"Witnesses: {', '.join(said_by)}."


def _finding(name: str, finding: Finding) -> list[str]:
    strength = escaped(strength_in_words(finding.strength))
    return [name, escaped(title(finding.region)), strength, _box(finding.box), escaped(finding.claim)]


def _making(report: Report) -> Iterator[str]:
    yield "## Where this report comes from"
    rows = [["file", escaped(report.source)], ["SHA-256", report.sha256 or "not known"]]
    if report.size is not None:
        rows.append(["size", f"{report.size[0]} × {report.size[1]} pixels"])
    rows += [[escaped(name), escaped(value)] for name, value in provenance(report.made_by)]
    yield _table(["what", "value"], rows)
    yield "How to run it again:"
    yield "\n".join(
        f"{step}. {escaped(what)}: {_code(command)}" for step, (what, command) in enumerate(again(report), 1)
    )
