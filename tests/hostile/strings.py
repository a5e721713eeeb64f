"""Names and words of strangers in every output: no markup, no link, no formula, no order to a terminal.

Each string stands wherever text from outside can stand in a report, a conversation and a benchmark's rows; what comes
out is compared with what a harmless word gives, and read as its readers do (an HTML parser, a Markdown parser, a
spreadsheet's rule, JSON, a terminal that obeys).
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import re
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest import mock

from markdown_it import MarkdownIt
from reports import MADE_BY, REPORTS, clip_of

from facewitness import plugins
from facewitness.apps import cli
from facewitness.phrases import visible
from facewitness.pipeline import Analyzer
from facewitness.types import Analysis, Problem, Reply, Report, Sentence, Testimony
from hostile import Figure

_PLAIN = "plain"
_MARKUP = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover=alert(1) x='",
    "</style><script>1</script>",
    "</title><script>1</script>",
    "<svg/onload=alert(1)>",
    "<!--",
    "-->",
    "]]>",
    "<![CDATA[",
    "&#x3c;b&#x3e;",
    "&lt;script&gt;",
    "<a href=javascript:alert(1)>x</a>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0>",
    "</bdi></td></table>",
    "<iframe srcdoc='<b>'>",
    "{{7*7}}",
    "${7*7}",
    "<?php ?>",
    "<% x %>",
)
_LINKS = (
    "[x](javascript:alert(1))",
    "![x](http://evil.example/x.png)",
    "http://evil.example",
    "https://evil.example/a?b=c",
    "HTTPS://EVIL.EXAMPLE",
    "www.evil.example",
    "_www.evil.example",
    "ftp://evil.example",
    "mailto:a@evil.example",
    "a@evil.example",
    "xmpp:a@evil.example",
    "<https://evil.example>",
    "<a@evil.example>",
    "[x]: http://evil.example",
    "[x][y]",
    "[^1]",
    "javascript:alert(1)",
    "data:text/html,<script>1</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "@user",
    "(http://evil.example)",
    "éhttp://evil.example",
)
_MARKDOWN = (
    "# heading",
    "heading\n===",
    "heading\n---",
    "---",
    "***",
    "___",
    "- item",
    "* item",
    "+ item",
    "1. item",
    "1) item",
    "> quote",
    "| a | b |",
    "|---|",
    "`code`",
    "``` \ncode",
    "~~~",
    "**bold**",
    "_em_",
    "~~struck~~",
    "    code",
    "\tcode",
    "\\",
    "\\<b>",
    "$x$",
    "a\n\n# heading",
    "a\r\n\r\n- item",
    "<details>",
    "- [ ] task",
    "a  \nb",
    ":::note",
    "=",
    "&amp;",
)
_FORMULAS = (
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "=cmd|' /C calc'!A0",
    " =1+1",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "＝1+1",
    "＋1",
    "@",
    '=HYPERLINK("x")',
    "\u200b=1+1",
    "\ufeff=1",
    '",=1+1',
    "';=1+1",
    "%0A=1",
)
_HIDDEN = tuple(
    f"a{c}b"
    for c in (
        *map(
            chr,
            (
                0,
                1,
                7,
                8,
                9,
                10,
                11,
                12,
                13,
                27,
                28,
                31,
                127,
                128,
                133,
                144,
                155,
                159,
                0xAD,
                0x34F,
                0x61C,
                0x115F,
                0x180E,
            ),
        ),
        *map(
            chr,
            (
                0x200B,
                0x200C,
                0x200D,
                0x200E,
                0x200F,
                0x2028,
                0x2029,
                0x202A,
                0x202B,
                0x202C,
                0x202D,
                0x202E,
                0x2060,
                0x2066,
            ),
        ),
        *map(
            chr,
            (0x2067, 0x2068, 0x2069, 0x206A, 0x3164, 0xFE00, 0xFEFF, 0xFFA0, 0xFFF9, 0xD800, 0xDC80, 0xDCFF, 0xDFFF),
        ),
        *map(chr, (0xE0001, 0xE0041, 0xE007F, 0xE0100, 0xE01EF)),
        "\x1b]0;pwned\x07",
        "\x1b[2J\x1b[H",
        "\x1b]8;;http://evil.example\x07x\x1b]8;;\x07",
        "\x1b[31m",
        "\x9b31m",
        "\x1bP+q\x1b\\",
        "\x1b]52;c;AAAA\x07",
        "\r\n",
        "\b\b\b",
        "\x0e",
        "\udced\udca0\udc80",
    )
)
_PATHS = (
    "../../etc/passwd",
    "/",
    "C:\\x\\y",
    "..",
    "~",
    "-rf",
    "--json",
    "%s%n",
    "{0}",
    "a" * 250,
    "a" * 5_000,
    "写真 é ü",
    "\U0001f469\u200d\U0001f467",
    "$(id)",
    "`id`",
    "[red]x[/red]",
    "[/]",
    ":smile:",
    "%PDF",
    "CON",
)


def payloads() -> list[str]:
    """At least 250 strings: each kind, and pairs of a kind that hides with one that means."""
    meant = (*_MARKUP, *_LINKS, *_MARKDOWN, *_FORMULAS)
    pairs = [
        f"{a}{b}"
        for a, b in zip(itertools.cycle(("\u200b", "\x1b[31m", "\n", "\u202e", "\ufeff", "x ")), meant, strict=False)
    ]
    return list(dict.fromkeys((*meant, *_HIDDEN, *_PATHS, *pairs)))


def report_of(text: str) -> Report:
    """A report in which a text stands wherever one from outside can."""
    usual = REPORTS["two_faces"]
    person = usual.people[0]
    told = tuple(
        replace(finding, claim=text, places=(replace(finding.places[0], region=text), *finding.places[1:]))
        for finding in person.findings
    )
    spoken = Reply("fake", 0.9, (text,), told, text, (text,))
    testimony = Testimony(text or "w", 0.9, None, told, reply=spoken, considered=(spoken,), problem=text)
    face = replace(person.track.faces[0], quality=replace(person.track.faces[0].quality, reasons=(text,)))
    mine = replace(
        person,
        track=replace(person.track, faces=(face,)),
        findings=told,
        explanation=(Sentence(text, (0,)), Sentence(text)),
        verdict=replace(person.verdict, reasons=(text,), testimonies=(testimony,)),
    )
    made_by: dict[str, Any] = {**MADE_BY, "version": text, text or "k": [text, {text: text}]}
    assert usual.verdict is not None
    return replace(
        usual,
        source=text,
        notes=(text,),
        verdict=replace(usual.verdict, reasons=(text,)),
        people=(mine,),
        made_by=made_by,
        inspections=(Testimony(text or "w", None, findings=told, reply=spoken),),
        problems=(Problem(text, text),),
    )


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.evil: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attributes:
            leads = name in ("href", "src", "action", "formaction", "srcdoc", "xlink:href")
            if name.startswith("on") or (leads and not (value or "").startswith(("#", "data:image/"))):
                self.evil.append(f"{tag} {name}={value!r}")


def _html(content: str, usual: str | None) -> str:
    page, plain = _Tags(), _Tags()
    page.feed(content)
    plain.feed(usual or content)
    strange = set(page.tags) - set(plain.tags)
    if page.evil or strange or page.tags["script"] != plain.tags["script"]:
        return f"{page.evil} {strange}"
    return _hidden(content)


def _hidden(content: str) -> str:
    """What a text, its line ends apart, hides."""
    return next((f"hides in {line[:80]!r}" for line in content.split("\n") if visible(line) != line), "")


def _markdown(content: str, usual: str | None) -> str:
    def kinds(text: str) -> Counter[str]:
        reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
        return Counter(inner.type for token in reader.parse(text) for inner in (token, *(token.children or ())))

    here, plain = kinds(content), kinds(usual or content)
    evil = {"html_block", "html_inline", "link_open", "image", "em_open", "s_open"} & (set(here) - set(plain))
    built = [
        k
        for k in (
            "heading_open",
            "bullet_list_open",
            "ordered_list_open",
            "blockquote_open",
            "hr",
            "fence",
            "code_block",
            "tr_open",
        )
        if here[k] != plain[k]
    ]
    if evil or built:
        return f"{evil} {built}"
    bare = re.search(r"(?i)(https?|ftp)://|(?<![\w])www\.\w|mailto:\w|xmpp:\w|\w@\w", re.sub(r"`+[^`]*`+", "", content))
    return f"links itself: {bare[0]}" if bare else _hidden(content)


def _json(content: str, usual: str | None) -> str:
    json.loads(content, parse_constant=lambda name: 1 / 0)
    return _hidden(content.rstrip("\n"))


def _csv(content: str, usual: str | None) -> str:
    for row in csv.reader(io.StringIO(content)):
        for value in row:
            number = re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", value)
            if value.lstrip()[:1] in tuple("=+-@＝＋－＠") and not number:
                return f"formula {value!r}"
            if visible(value) != value:
                return f"hides in {value!r}"
    return ""


def _hidden_in(content: str, usual: str | None) -> str:
    return _hidden(content)


def _commanded(report: Report, *words: str, typed: str = "") -> str:
    """What a command prints, on both streams, where the analysis gives this report."""
    out, photo = io.StringIO(), clip_of(REPORTS["two_faces"])
    given = Analysis(report, photo)
    with (
        mock.patch.object(Analyzer, "analysis", return_value=given),
        mock.patch("sys.stdin", io.StringIO(typed)),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out),
    ):
        cli.main([*words, "--finder", "whole", "--witness", "compact"])
    return out.getvalue()


def _talked(report: Report, text: str) -> dict[str, str]:
    """What `chat` prints and what /save writes, where the text is among what is asked."""
    with tempfile.TemporaryDirectory() as folder:
        saves = [Path(folder, "talk.md"), Path(folder, "talk.json")]
        lines = [
            text.replace("\n", " ")[:1_900],
            "Why?",
            "Where?",
            "How good is the picture?",
            *(f"/save {f}" for f in saves),
        ]
        made = {"chat": _commanded(report, "chat", "photo.jpg", typed="\n".join([*lines, "/quit"]))}
        return made | {f"/save {path.name}": path.read_text("utf-8") for path in saves}


_OUTPUTS: dict[str, Callable[[str, str | None], str]] = {
    "html": _html,
    "markdown": _markdown,
    "json": _json,
    "overlay": _hidden_in,
    "analyze": _hidden_in,
    "ask": _hidden_in,
    "ask --json": _json,
    "chat": _hidden_in,
    "/save talk.md": _markdown,
    "/save talk.json": _json,
}


def outputs(text: str) -> dict[str, str]:
    """Every output of a report in which a text stands everywhere."""
    from facewitness.formats import overlay

    report = report_of(text)
    clip = clip_of(REPORTS["two_faces"])
    made = {
        name: plugins.get("formats", name).render(report, clip).decode("utf-8") for name in ("html", "markdown", "json")
    }
    overlay.render(report, clip)
    said = _commanded(report, "ask", "photo.jpg", "Why?", "--json").split("\n")
    return {
        **made,
        "overlay": overlay._typed(text),  # the letters that are drawn
        "analyze": _commanded(report, "analyze", "photo.jpg"),
        "ask": _commanded(report, "ask", "photo.jpg", "Where?"),
        "ask --json": next(line for line in said if line.startswith("{")),
        **_talked(report, text),
    }


def attack(scale: int = 1, share: int = 1) -> Iterator[Figure]:
    """Every string in every output; one of `share` of them for a test."""
    usual = outputs(_PLAIN)
    texts = payloads()[::share]
    figures = {name: Figure(f"strings in {name}", worst="–") for name in _OUTPUTS}
    for text in texts:
        try:
            made: dict[str, str] | None = outputs(text)
            why = ""
        except Exception:
            made, why = None, traceback.format_exc()[-400:]
        for name, reads in _OUTPUTS.items():
            amiss = why or reads((made or {})[name], usual[name])
            figures[name].expect(not amiss, f"{text[:60]!a}: {amiss}")
    yield from figures.values()
