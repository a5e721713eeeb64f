"""Every format keeps the family's promise on every report; the wire comes back as it went; pages stay closed to markup.

The files in `tests/golden/` say what the formats wrote when somebody last looked at it. After a wanted change, write
them anew with `RENEW_GOLDEN=1 pytest tests/families/test_formats.py`, read the difference, and commit it.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import numpy as np
import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from reports import HOSTILE, NOTE, REPORTS, SHA256, THOUGHT, clip_of, landmarks, painted

from facewitness import formats, plugins
from facewitness.apps import analyze
from facewitness.errors import ReportError, UnknownName
from facewitness.formats import figure, html, markdown, overlay
from facewitness.formats import json as wire
from facewitness.types import (
    CAUSES,
    KINDS,
    LABELS,
    LONGEST,
    Clip,
    Face,
    Finding,
    Frame,
    FrameRef,
    Mark,
    Mask,
    Medium,
    Moment,
    PersonReport,
    Place,
    Problem,
    Quality,
    Reply,
    Report,
    Sentence,
    Testimony,
    Track,
    Verdict,
)

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def words_of(leaf, data: bytes) -> str:
    """What a format says in words, on one line; of a PDF what a reader finds in it."""
    if leaf.extension == "zip":
        data = leaf.read(data).files["report.html"]
    if leaf.extension != "pdf":
        return data.decode()
    pages = pypdfium2.PdfDocument(data)
    return " ".join(" ".join(page.get_textpage().get_text_range() for page in pages).split())


every_report = pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS.keys())


# ---------------------------------------------------------------- the family's promise


@pytest.mark.parametrize("name", plugins.names("formats"))
@every_report
def test_leaf_gives_bytes_or_says_what_it_lacks(name, report):
    leaf = plugins.get("formats", name)
    assert re.fullmatch(r"[a-z0-9]+", leaf.extension)
    try:
        data, told = leaf.render(report, clip_of(report)), ""
    except ReportError as error:
        data, told = None, str(error)
    if data is None:
        assert clip_of(report) is None and "facewitness analyze" in told
    else:
        assert isinstance(data, bytes) and data
        assert leaf.render(report, clip_of(report)) == data  # the same report gives the same bytes


@pytest.mark.parametrize("name", plugins.names("formats"))
def test_no_format_shows_a_report_with_problems_as_clean(name):
    leaf = plugins.get("formats", name)
    half = REPORTS["problems"]
    whole = dataclasses.replace(half, problems=())
    assert leaf.render(whole, clip_of(half)) != leaf.render(half, clip_of(half))
    if leaf.extension not in ("png", "mp4", "webp"):
        text = words_of(leaf, leaf.render(half))
        assert "expected its weights" in text and "examine" in text


@pytest.mark.parametrize("name", plugins.names("formats"))
def test_what_was_written_before_an_answer_is_shown_nowhere_and_what_its_witness_notes_is(name):
    leaf, report = plugins.get("formats", name), REPORTS["inconclusive"]
    assert report.people[0].verdict.testimonies[0].reply.thought == THOUGHT
    if leaf.extension in ("png", "mp4", "webp"):
        bare = dataclasses.replace(report.people[0].verdict.testimonies[0].reply, thought="")
        person = report.people[0]
        heard = dataclasses.replace(person.verdict.testimonies[0], reply=bare)
        verdict = dataclasses.replace(person.verdict, testimonies=(heard, *person.verdict.testimonies[1:]))
        without = dataclasses.replace(report, people=(dataclasses.replace(person, verdict=verdict),))
        assert leaf.render(report, clip_of(report)) == leaf.render(without, clip_of(report))
        return
    data = leaf.render(report, clip_of(report))
    text = words_of(leaf, data)
    assert "seams, blur" not in text and b"seams, blur" not in data
    assert "The words contradict the score" in text


def test_a_report_of_before_that_holds_a_thought_is_read_without_it():
    held = json.loads(wire.render(REPORTS["inconclusive"]).splitlines()[0])
    reply = held["people"][0]["verdict"]["testimonies"][0]["reply"]
    assert "thought" not in reply and reply.pop("notes") == [NOTE]
    reply["thought"] = THOUGHT
    read = wire.parse(json.dumps(held).encode()).people[0].verdict.testimonies[0].reply
    assert read.thought == "" and read.notes == () and read.text == "The ear looks fake."


@pytest.mark.parametrize("name", plugins.names("formats"))
def test_a_report_from_the_wire_is_rendered_or_the_lack_is_told(name):
    leaf = plugins.get("formats", name)
    report = wire.parse(wire.render(REPORTS["two_faces"]))
    if name in ("overlay", "film", "figure"):
        with pytest.raises(ReportError, match=rf"expected the picture.*JSON.*--format {name}"):
            leaf.render(report)
    else:
        assert "left eye" in words_of(leaf, leaf.render(report))


# ---------------------------------------------------------------- golden files


def without_pixels(line: bytes) -> str:
    """The wire for people: indented, and each PNG as the hash of its pixels (compression differs between versions)."""

    def replace(value):
        if isinstance(value, dict):
            return {key: pixels(inner) if key == "png" else replace(inner) for key, inner in value.items()}
        return [replace(inner) for inner in value] if isinstance(value, list) else value

    def pixels(png: str) -> str:
        image = Image.open(io.BytesIO(base64.b64decode(png)))
        return f"sha256 of {image.mode} {image.size}: {hashlib.sha256(image.tobytes()).hexdigest()[:16]}"

    return json.dumps(replace(json.loads(line)), ensure_ascii=False, indent=1) + "\n"


class Reader(HTMLParser):
    """What a page shows as text, a block a line, and every tag and attribute it has."""

    def __init__(self, page: bytes):
        super().__init__()
        self.lines, self.tags, self.attributes, self.raw, self._inside = [""], [], [], {}, ""
        self.feed(page.decode("utf-8"))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self._inside = tag
        if tag in ("p", "li", "tr", "dt", "h1", "h2", "h3", "summary", "article", "section", "figcaption", "label"):
            self.lines.append("")

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside in ("style", "script"):
            self.raw[self._inside] = self.raw.get(self._inside, "") + data
        else:
            self.lines[-1] += f" {data}"

    @property
    def text(self) -> str:
        lines = (" ".join(line.split()) for line in self.lines)
        return "\n".join(line for line in lines if line) + "\n"


@pytest.mark.parametrize("name", ["two_faces", "inconclusive", "no_face", "failed", "problems", "unicode"])
@pytest.mark.parametrize(
    ("leaf", "ending", "readable"),
    [
        (wire, "json", without_pixels),
        (markdown, "md", bytes.decode),
        (html, "html.txt", lambda page: Reader(page).text),
    ],
    ids=["json", "markdown", "html"],
)
def test_golden(name, leaf, ending, readable):
    path = GOLDEN / f"{name}.{ending}"
    text = readable(leaf.render(REPORTS[name], clip_of(REPORTS[name])))
    if os.environ.get("RENEW_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


# ---------------------------------------------------------------- the wire


def same(one, other, where="report"):
    """Two values are equal, objects and arrays by what they hold; masks within half a step of 8 bits."""
    if dataclasses.is_dataclass(one):
        assert type(one) is type(other), where
        for field in dataclasses.fields(one):
            if isinstance(one, Face) and field.name == "landmarks":  # they stay behind
                assert other.landmarks is None
            elif isinstance(one, Reply) and field.name == "thought":  # it does not travel
                assert other.thought == ""
            else:
                same(getattr(one, field.name), getattr(other, field.name), f"{where}.{field.name}")
    elif isinstance(one, np.ndarray):
        assert one.shape == other.shape and np.abs(one - other).max() <= 0.5 / 255 + 1e-6, where
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            same(a, b, f"{where}[{index}]")
    elif isinstance(one, dict):
        assert set(one) == set(other), where
        for key in one:
            same(one[key], other[key], f"{where}[{key!r}]")
    else:
        assert one == other, where


@every_report
def test_wire_is_one_line_that_keeps_to_the_schema(report):
    line = wire.render(report)
    assert len(line.decode("utf-8").splitlines()) == 1 and line.endswith(b"\n")
    value = json.loads(line, parse_constant=lambda name: pytest.fail(f"not strict JSON: {name}"))
    VALIDATOR.validate(value)
    assert value["schema"] == "facewitness.report/2"
    assert (value["verdict"] is None) == (value["status"] != "ok")
    slim = json.loads(wire.render(report, slim=True))
    VALIDATOR.validate(slim)
    assert slim["masks"] == [] and slim["people"] is not None


@every_report
def test_wire_comes_back_as_it_went(report):
    line = wire.render(report)
    back = wire.parse(line)
    same(report, back)
    assert wire.render(back) == line
    assert wire.render(wire.parse(line.decode())) == line  # text as well as bytes


scores = st.floats(0, 1)
maybe_scores = st.none() | scores
numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec=None), max_size=12)  # lone surrogates too: file names may hold them
sides = st.floats(0.01, 500)
corners = st.floats(-100, 5000)
boxes = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), corners, corners, sides, sides)
masks = st.builds(
    Mask,
    boxes,
    arrays.arrays(np.float32, arrays.array_shapes(min_dims=2, max_dims=2), elements=st.floats(0, 1, width=32)),
)
moments_in_time = st.none() | st.floats(-1e9, 1e9)
refs = st.builds(FrameRef, st.integers(1, 9999), st.integers(1, 9999), st.integers(0, 10**9), moments_in_time)
places = st.builds(Place, st.none() | refs, st.none() | texts.filter(bool), boxes, st.none() | masks)
findings = st.builds(Finding, st.lists(places, min_size=1, max_size=2).map(tuple), texts, maybe_scores)
many_findings = st.lists(findings, max_size=2).map(tuple)
kinds = st.none() | st.fixed_dictionaries(dict.fromkeys(KINDS, scores))
refusals = st.none() | st.lists(texts, max_size=2).map(tuple)
parts = st.lists(texts | st.builds(Mark, findings), max_size=2).map(tuple)
replies = st.builds(
    Reply,
    st.none() | st.sampled_from(LABELS),
    maybe_scores,
    parts,
    many_findings,
    texts,
    refusals,
    st.sampled_from([None, "real", "fake"]),
    maybe_scores,
    st.lists(texts, max_size=2).map(tuple),
)
moments = st.builds(Moment, refs, maybe_scores, st.none() | masks)
testimonies = st.builds(
    Testimony,
    texts,
    maybe_scores,
    st.none() | masks,
    many_findings,
    kinds,
    st.none() | replies,
    st.lists(replies, max_size=1).map(tuple),
    st.none() | st.lists(moments, max_size=2).map(tuple),
    texts,
)
pairs = st.none() | st.tuples(scores, scores).map(sorted).map(tuple)


@st.composite
def verdicts(draw):
    label = draw(st.sampled_from(LABELS))
    cause = draw(st.none() | st.sampled_from(CAUSES)) if label == "inconclusive" else None
    reasons, heard = st.lists(texts, max_size=2), st.lists(testimonies, max_size=1)
    return Verdict(label, draw(maybe_scores), draw(pairs), draw(pairs), cause, tuple(draw(reasons)), tuple(draw(heard)))


qualities = st.builds(
    Quality, maybe_scores, st.none() | numbers, maybe_scores, st.none() | numbers, st.none() | numbers,
    st.none() | numbers, maybe_scores, st.lists(texts, max_size=2).map(tuple),
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def person_reports(draw):
    found = draw(many_findings)
    indices = st.lists(st.integers(0, len(found) - 1), max_size=2).map(tuple) if found else st.just(())
    sentences = tuple(draw(st.lists(st.builds(Sentence, texts, indices), max_size=2)))
    faces = draw(st.lists(st.builds(Face, refs, boxes, st.none(), qualities), min_size=1, max_size=2))
    timeline = tuple(draw(st.lists(moments, max_size=2)))
    track = Track(draw(st.integers(0, 99)), tuple(faces))
    mask = draw(st.none() | masks)
    return PersonReport(track, draw(verdicts()), timeline, draw(kinds), found, mask, sentences)


@st.composite
def any_reports(draw):
    status = draw(st.sampled_from(["ok", "no_face", "failed"]))
    problems = st.lists(st.builds(Problem, texts, texts), min_size=int(status == "failed"), max_size=2)
    sides = st.integers(1, 9999)
    medium = st.builds(Medium, sides, sides, st.integers(1, 10**6), st.none() | numbers)
    verdict = {"ok": verdicts(), "no_face": st.none() | verdicts(), "failed": st.none()}[status]
    return Report(
        draw(texts),
        status,
        draw(st.none() | st.just(SHA256)),
        draw(medium if status == "ok" else st.none() | medium),
        tuple(draw(st.lists(texts, max_size=2))),
        draw(verdict),
        tuple(draw(st.lists(person_reports(), min_size=1, max_size=2))) if status == "ok" else (),
        tuple(draw(st.lists(testimonies, max_size=1))),
        tuple(draw(problems)),
        draw(st.dictionaries(texts, json_values, max_size=2)),
    )


@settings(max_examples=50)
@given(any_reports())
def test_wire_comes_back_as_it_went_for_any_report(report):
    line = wire.render(report)
    assert len(line.decode("utf-8").splitlines()) == 1
    same(report, wire.parse(line))


@pytest.mark.parametrize(("fps", "seconds"), [(5e-324, LONGEST), (25.0, 0.4), (0.0, None), (-1.0, None), (None, None)])
def test_a_film_of_any_frame_rate_has_a_length_or_none(fps, seconds):
    medium = Medium(4, 4, 10, fps)
    assert medium.seconds == seconds
    report = Report("film.mp4", "no_face", None, medium)
    assert b"277777:46:40" in html.render(report) if seconds == LONGEST else html.render(report)


@settings(max_examples=40)
@given(any_reports())
def test_pages_hold_any_report(report):
    page = Reader(html.render(report))
    assert page.tags.count("script") == page.tags.count("style") == 1
    assert set(page.tags).isdisjoint({"img", "a", "iframe", "link", "form", "object", "embed"})
    markdown.render(report).decode("utf-8")


def edited(change, name="two_faces") -> bytes:
    value = json.loads(wire.render(REPORTS[name]))
    change(value)
    return json.dumps(value).encode()


WRONG = {
    "unknown field": (lambda v: v.update(verdit=1), r"no field 'verdit' \(did you mean 'verdict'\?\)"),
    "unknown field deep inside": (
        lambda v: v["people"][0]["findings"][0].update(colour=1),
        r"people\[0\]\.findings\[0\]",
    ),
    "missing field": (lambda v: v["people"][1].pop("kind"), r"people\[1\]: expected .* the field 'kind'"),
    "unknown label": (lambda v: v["verdict"].update(label="maybe"), r"verdict: .*real, fake, inconclusive.*'maybe'"),
    "unknown status": (
        lambda v: v.update(status="fine"),
        r"Report\.status: expected ok, .*, got 'fine'",
    ),
    "score above 1": (lambda v: v["verdict"].update(fake=87), r"verdict: Verdict\.fake.*\[0, 1\].*87"),
    "score as a word": (lambda v: v["verdict"].update(fake="0.9"), r"verdict\.fake: expected a number, got '0\.9'"),
    "truth as a score": (lambda v: v["verdict"].update(fake=True), r"verdict\.fake: expected a number, got True"),
    "ok without a verdict": (lambda v: v.update(verdict=None), r"verdict: expected one where the status is 'ok'"),
    "ok without a medium": (lambda v: v.update(medium=None), r"medium: expected one"),
    "size of nothing": (lambda v: v["medium"].update(width=0), r"medium\.width: expected a number of pixels from 1"),
    "people without ok": (lambda v: v.update(status="no_face", verdict=None), r"'no_face' with 2 people"),
    "box of three": (
        lambda v: v["people"][0]["faces"][0].update(box=[1, 2, 3]),
        r"faces\[0\]\.box: expected a list of 4",
    ),
    "sentence without its finding": (
        lambda v: v["people"][0]["explanation"][0].update(findings=[7]),
        r"people\[0\]: .*finding 7.*3 findings",
    ),
    "kind without a name": (lambda v: v["people"][0]["kind"].pop("pristine"), r"people\[0\]\.kind.*'pristine'"),
    "views without scores": (
        lambda v: v["people"][0]["verdict"]["testimonies"][0].update(views=[0.3]),
        r"testimonies\[0\]\.views: expected an object of scores",
    ),
    "view without a score": (
        lambda v: v["people"][0]["verdict"]["testimonies"][0].update(views={"smaller": None}),
        r"testimonies\[0\]\.views\.smaller: expected a number, got None",
    ),
    "view beyond 1": (
        lambda v: v["people"][0]["verdict"]["testimonies"][0].update(views={"smaller": 1.5}),
        r"testimonies\[0\]: Testimony\.views\[smaller\]: expected a score in \[0, 1\]",
    ),
    "mask that is no picture": (
        lambda v: v["masks"][0].update(png="AAAA"),
        r"masks\[0\]\.png: expected a greyscale PNG",
    ),
    "mask of another size": (lambda v: v["masks"][0].update(size=[1, 1]), r"masks\[0\]\.png: .*1 × 1"),
    "mask beyond the limit": (lambda v: v["masks"][0].update(size=[90000, 90000]), r"masks\[0\]\.size: .*at most"),
    "mask that is not there": (lambda v: v["people"][0].update(mask=9), r"people\[0\]\.mask: expected a number of the"),
    "verdict of a failed file": (
        lambda v: v.update(status="failed", people=[]),
        r"verdict: expected null where the status is 'failed'",
    ),
    "cause of a decided verdict": (
        lambda v: v["verdict"].update(cause="band"),
        r"verdict: Verdict\.cause: .*'band' for 'fake'",
    ),
    "failed without a reason": (
        lambda v: v.update(status="failed", verdict=None, people=[]),
        r"'failed' needs a Problem",
    ),
    "made_by as a list": (lambda v: v.update(made_by=[]), r"made_by: expected an object"),
    "another version": (
        lambda v: v.update(schema="facewitness.report/3"),
        r"reads 'facewitness\.report/2' and .*/1', got .*/3'.*Install",
    ),
    "another format": (lambda v: v.update(schema="x"), r"expected 'facewitness\.report/2', got 'x'"),
    "no schema": (lambda v: v.pop("schema"), r"expected 'facewitness\.report/2', got None"),
}
NOT_IN_THE_SCHEMA = {  # what a JSON Schema cannot say
    "mask that is not there",
    "sentence without its finding",
    "mask that is no picture",
    "mask of another size",
    "mask beyond the limit",
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_report_is_refused_with_the_place_and_the_reason(case):
    change, told = WRONG[case]
    line = edited(change)
    with pytest.raises(ReportError, match=told) as caught:
        wire.parse(line)
    assert caught.value.__cause__ is None or "Error" in type(caught.value.__cause__).__name__
    assert VALIDATOR.is_valid(json.loads(line)) == (case in NOT_IN_THE_SCHEMA)


def test_lines_of_version_1_are_read():
    reports = list(wire.parse_lines((GOLDEN / "report-1.jsonl").read_bytes().splitlines()))
    assert [report.status for report in reports] == ["ok", "ok", "ok", "no_face", "failed", "ok"]
    two, doubtful, unmeasured, landscape, *_ = reports
    assert two.size == (640, 480) and [person.track.person for person in two.people] == [0, 1]
    eye, mouth, nose = two.faces[0].findings
    assert (eye.region, eye.places[0].at) == ("left_eye", FrameRef(640, 480)) and eye.mask is not None
    assert nose.mask is None and mouth.strength == 0.74
    assert [sentence.findings for sentence in two.faces[0].explanation] == [(0,), (1,), (2,), ()]
    (testimony,) = doubtful.faces[0].verdict.testimonies
    assert testimony.reply.text == "The ear looks fake." and testimony.reply.refusals == ("no box",)
    assert testimony.considered == () and doubtful.verdict.cause is None and doubtful.verdict.thresholds is None
    assert unmeasured.sha256 is None and landscape.medium == Medium(320, 200)
    for report in reports:
        same(report, wire.parse(wire.render(report)))


def test_a_line_of_version_1_that_is_wrong_is_refused_with_the_place():
    value = json.loads((GOLDEN / "report-1.jsonl").read_bytes().splitlines()[0])
    value["faces"][0]["explanation"][0]["finding"] = 7
    with pytest.raises(ReportError, match=r"faces\[0\]: .*finding 7"):
        wire.parse(json.dumps(value))


def test_made_by_stands_once_in_a_file_of_lines():
    writer = wire.Lines()
    lines = [writer.render(REPORTS[name]) for name in ("two_faces", "problems", "no_face", "unmeasured")]
    values = [json.loads(line) for line in lines]
    assert values[0]["made_by"] == REPORTS["two_faces"].made_by and values[3]["made_by"] == {}
    assert values[1]["made_by"] == values[2]["made_by"] == wire.fingerprint(REPORTS["two_faces"].made_by)
    assert all(VALIDATOR.is_valid(value) for value in values)
    assert [report.made_by for report in wire.parse_lines(lines)] == [
        REPORTS[name].made_by for name in ("two_faces", "problems", "no_face", "unmeasured")
    ]
    with pytest.raises(ReportError, match=r"Line 1: made_by: expected a fingerprint that an earlier line holds"):
        list(wire.parse_lines(lines[1:]))


def test_each_mask_stands_once():
    value = json.loads(wire.render(REPORTS["two_faces"]))
    first = value["people"][0]
    assert first["mask"] == first["verdict"]["testimonies"][0]["mask"]
    assert len(value["masks"]) == len({mask["png"] for mask in value["masks"]})


def test_a_report_can_be_kept_in_other_ways(tmp_path, astronaut):
    report = REPORTS["two_faces"]
    assert report.to_dict() == json.loads(report.to_json())
    report.save(tmp_path / "two.html")
    assert b"not part of this report" in (tmp_path / "two.html").read_bytes(), "its file is not there"
    report.save(tmp_path / "two.json")
    assert (tmp_path / "two.json").read_bytes() == wire.render(report)
    with pytest.raises(UnknownName, match="ending"):
        report.save(tmp_path / "two.docx")
    photo = tmp_path / "a.png"
    Image.fromarray(astronaut).save(photo)
    again = dataclasses.replace(
        REPORTS["no_face"], source=str(photo), sha256=hashlib.sha256(photo.read_bytes()).hexdigest()
    )
    again.save(tmp_path / "a.html")
    assert b"data:image/jpeg" in (tmp_path / "a.html").read_bytes()


def test_a_report_of_which_the_end_is_missing_is_told_to_break_off():
    whole = wire.render(REPORTS["two_faces"]).decode().rstrip()
    for end in (*range(1, len(whole), 29), len(whole) - 1):
        told = rf"got {end:,} characters that break off in the midst of it\. Copy it again"
        with pytest.raises(ReportError, match=told):
            wire.parse(whole[:end])
    with pytest.raises(ReportError, match="got something else at line 1"):
        wire.parse(whole[:-1] + ",}")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "Expected one report as JSON, got nothing"),
        (b"{}", "expected 'facewitness.report/2', got None"),
        (b"[1]", "expected 'facewitness.report/2', got None"),
        (b"\xff\xfe", "UTF-8"),
        (b'{"a": NaN}', "strict JSON, got NaN"),
        (b"{}\n{}", "one line at a time"),
        (b"1" * 5000, "number"),
        (b"[" * 100_000, "nesting"),
        (b'{"schema": "facewitness.report/2", "verdict": {"label": "fake", "label": "real"}}', "'label' stands twice"),
        (edited(lambda v: v["made_by"].update(x=0)).replace(b'"x": 0', b'"x": 1e999'), "finite"),
    ],
)
def test_what_is_no_report_is_refused(data, told):
    with pytest.raises(ReportError, match=told):
        wire.parse(data)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"made_by": {"path": Path("x")}}, r"report\.made_by\.path: .*PosixPath|WindowsPath"),
        ({"made_by": {"rate": float("nan")}}, r"report\.made_by\.rate: .*finite.*nan"),
        ({"made_by": {3: 1}}, r"report\.made_by: .*keys, got 3"),
        ({"verdict": None}, r"verdict: a report with status 'ok' needs one"),
        ({"medium": None}, r"medium: a report with status 'ok' needs one"),
    ],
)
def test_report_that_json_cannot_hold_is_refused(change, told):
    with pytest.raises(ReportError, match=told):
        wire.render(dataclasses.replace(REPORTS["two_faces"], **change))


def test_numbers_of_numpy_are_written_as_numbers():
    report = dataclasses.replace(REPORTS["no_face"], made_by={"a": np.float32(0.5), "b": np.int64(3), "c": (1, 2)})
    assert json.loads(wire.render(report))["made_by"] == {"a": 0.5, "b": 3, "c": [1, 2]}


@pytest.mark.parametrize("key", [0, None, False, 7])
def test_json_refuses_keys_that_are_no_names(key):
    with pytest.raises(ReportError, match="expected names as keys"):
        wire.render(dataclasses.replace(REPORTS["no_face"], made_by={key: "value"}))


def test_schema_is_a_schema_with_words_for_every_field_at_the_top():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["schema"]["const"] == wire.SCHEMA
    assert all("description" in field for field in SCHEMA["properties"].values())
    assert SCHEMA["$defs"]["label"]["enum"] == list(LABELS)
    assert list(SCHEMA["$defs"]["kind"]["properties"]) == list(KINDS)


# ---------------------------------------------------------------- the page


@every_report
def test_page_is_closed_and_nothing_from_outside_becomes_markup(report):
    page = Reader(html.render(report, clip_of(report)))
    assert page.tags.count("script") == page.tags.count("style") == 1
    assert set(page.tags).isdisjoint({"img", "a", "iframe", "link", "form", "object", "embed"})
    for tag, name, value in page.attributes:
        assert not name.startswith("on") and name != "style", (tag, name)
        if name in ("href", "src"):
            assert value.startswith(("#", "data:image/jpeg;base64,", "data:image/png;base64,")), value[:40]
    (policy,) = (value for _, name, value in page.attributes if name == "content" and "default-src" in value)
    assert policy.startswith("default-src 'none'; img-src data:;")
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.raw[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
        assert "</" not in page.raw[kind] and "url(" not in page.raw[kind]


def test_hostile_names_are_shown_as_they_are():
    text = html.render(REPORTS["hostile"]).decode("utf-8")
    assert "<script>alert" not in text and "&lt;script&gt;alert(" in text
    assert "\u202e" not in text and "\\u202egnp.exe\\udcff\\u2028" in text
    assert "sha256sum FILE" in text  # the name cannot be typed
    assert "Install version 0.1.0; rm -rf /, from a clone" in Reader(text.encode()).text


def test_page_ties_sentences_places_and_rows():
    page = Reader(html.render(REPORTS["two_faces"], clip_of(REPORTS["two_faces"])))
    tied = [(tag, value) for tag, name, value in page.attributes if name == "data-finding"]
    for finding in ("1a", "1b", "1c"):
        assert sorted(tag for tag, value in tied if value == finding) == ["button", "g", "g", "tr"]
    labels = [value for tag, name, value in page.attributes if tag == "g" and name == "aria-label"]
    assert labels[0] == "Face 1, finding a: left eye, very strong, 92 %"
    focusable = [tag for tag, name, value in page.attributes if name == "tabindex" and value == "0"]
    assert len(focusable) == 3


def test_outline_follows_the_mask():
    values = np.zeros((40, 60), np.float32)
    values[10:30, 15:45] = 0.8
    values[16:24, 24:36] = 0.0  # a hole
    drawn = html._trace(Mask((100.0, 200.0, 160.0, 240.0), values))
    rings = [
        np.array([[float(v) for v in point.split()] for point in ring.rstrip("Z").split("L")])
        for ring in drawn.split("M")[1:]
    ]
    outer, hole = sorted(rings, key=np.ptp, reverse=True)
    np.testing.assert_allclose([*outer.min(axis=0), *outer.max(axis=0)], [115, 210, 145, 230], atol=1)
    np.testing.assert_allclose([*hole.min(axis=0), *hole.max(axis=0)], [124, 216, 136, 224], atol=1)
    assert html._trace(Mask((0.0, 0.0, 9.0, 9.0), np.zeros((5, 5), np.float32))) == ""


@given(masks)
def test_outline_stays_inside_its_box(mask):
    found = re.findall(r"(-?[\d.]+) (-?[\d.]+)", html._trace(mask))
    if found:
        points = np.array(found, float)
        assert (points >= np.subtract(mask.box[:2], 0.1)).all() and (points <= np.add(mask.box[2:], 0.1)).all()


def test_large_picture_is_scaled_and_the_page_says_so():
    mesh = landmarks(400, 300, 900)
    large = painted(2400, 1500, mesh)
    track = Track(0, (Face(large.at, (400.0, 300.0, 1160.0, 1200.0)),))
    person = dataclasses.replace(REPORTS["problems"].people[0], track=track)
    report = dataclasses.replace(REPORTS["problems"], medium=Medium(2400, 1500), people=(person,))
    page = Reader(html.render(report, Clip("large", (large,))))
    assert "scaled from 2400 × 1500 to 1600 × 1000 pixels for this page" in page.text
    source = next(value for _, name, value in page.attributes if name == "href" and value.startswith("data:image/jpeg"))
    image = Image.open(io.BytesIO(base64.b64decode(source.split(",")[1])))
    assert image.size == (1600, 1000)
    assert "scaled" not in Reader(html.render(REPORTS["problems"], clip_of(REPORTS["problems"]))).text


@pytest.mark.parametrize(
    ("name", "says", "hides"),
    [
        ("no_face", "This is not a verdict of real", "% fake"),
        ("failed", "expected a picture, got a text file", "% fake"),
        ("unmeasured", "probability not measured", "% fake"),
    ],
)
@pytest.mark.parametrize("leaf", [html, markdown], ids=["html", "markdown"])
def test_every_answer_has_its_own_words(leaf, name, says, hides):
    data = leaf.render(REPORTS[name])
    text = Reader(data).text if leaf is html else data.decode()
    assert says in text and hides not in text


# ---------------------------------------------------------------- text


def test_markdown_keeps_the_table_whatever_a_name_holds():
    text = markdown.render(REPORTS["hostile"]).decode("utf-8")
    columns = {"face": 6, "finding": 5, "what": 2}
    for line in text.splitlines():
        if line.startswith("| ") and (head := line[2:].split(" ")[0]) in columns:
            width = columns[head]
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) == width + 1, line
    assert "<" not in text.replace("`", "") and "](" not in text.replace("\\](", "")
    assert HOSTILE.splitlines()[0] not in text


def test_code_span_holds_backticks():
    assert markdown._code("a ``b`` `") == "``` a ``b`` ` ```"


# ---------------------------------------------------------------- the picture


def test_overlay_draws_on_the_picture_and_leaves_the_rest_alone():
    report = REPORTS["two_faces"]
    pixels = clip_of(report).frame.pixels
    image = np.asarray(Image.open(io.BytesIO(overlay.render(report, clip_of(report)))))
    height, width = pixels.shape[:2]
    assert image.shape[1] == width and image.shape[0] > height  # a legend below
    changed = (image[:height] != pixels).any(axis=-1)
    assert changed[185:195, 230:260].mean() > 0.9  # the left eye, under its mask
    assert not changed[400:, 450:].any() and not changed[:40].any()
    x1, y1, x2, y2 = (round(v) for v in report.faces[0].face.box)
    assert changed[y1 : y2 - 1, x1].all() and changed[y2 - 2, x1 : x2 - 1].all()


def test_a_figure_has_the_face_its_map_and_the_words_a_row_a_person():
    report = REPORTS["two_faces"]
    image = np.asarray(Image.open(io.BytesIO(figure.render(report, clip_of(report)))).convert("RGB")).astype(int)
    assert image.shape[1] == 2 * figure.SIDE + 10 and image.shape[0] > 2 * figure.SIDE, "two people, two rows"
    square = figure._around(report.people[0].face.box)
    face = Image.fromarray(clip_of(report).frame.pixels).crop(square)
    face = np.asarray(face.resize((figure.SIDE, figure.SIDE), Image.Resampling.BICUBIC)).astype(int)
    tops = range(image.shape[0] - figure.SIDE)
    assert any((image[top : top + figure.SIDE, : figure.SIDE] == face).all() for top in tops), "the face as it is"
    mask = Mask((100.0, 100.0, 200.0, 200.0), np.ones((10, 10), np.float32))
    placed = figure._placed(mask, (100, 100, 300, 300))
    assert (
        placed[: figure.SIDE // 2 - 8, : figure.SIDE // 2 - 8].min() > 0.99
        and placed[figure.SIDE // 2 + 8 :].max() == 0
    )


def test_a_figure_says_what_a_witness_said_and_without_a_map_that_there_is_none():
    report = REPORTS["two_faces"]
    person = report.people[0]
    said = dataclasses.replace(person.verdict.testimonies[0], reply=Reply("fake", parts=("Yes. The nose is fake.",)))
    told = dataclasses.replace(said.reply, notes=("The words contradict the score.",))
    said = dataclasses.replace(said, reply=told)
    spoken = dataclasses.replace(person, verdict=dataclasses.replace(person.verdict, testimonies=(said,)))
    lines = list(figure._lines(spoken))
    at = lines.index(f"{said.witness}: Yes. The nose is fake.")
    assert lines[at + 1] == "The words contradict the score."
    silent = dataclasses.replace(person, findings=(), mask=None, explanation=())
    assert figure._located(silent, (0, 0, 10, 10), Image.new("RGB", (figure.SIDE, figure.SIDE))) is None


@pytest.mark.parametrize("text", ["The nose is odd. " * 1250, "x" * 20_000, "A nose.\n" * 2600])
def test_of_endless_words_pages_show_the_beginning_and_say_how_much_more_there_is(text):
    report = REPORTS["two_faces"]
    person = report.people[0]
    said = Testimony("mare", 0.9, reply=Reply("fake", parts=(text,)))
    spoken = dataclasses.replace(person, verdict=dataclasses.replace(person.verdict, testimonies=(said,)))
    report = dataclasses.replace(report, people=(spoken,))
    shown = formats.quoted(text)
    assert 1900 < len(shown) < 2100 and re.search(r"… \(1[89],\d{3} more letters stand in the JSON report\)$", shown)
    for render in (html.render, markdown.render):
        page = render(report, clip_of(report)).decode()
        assert "more letters stand in the JSON report" in page and text.strip() not in page
    assert wire.parse(wire.render(report, clip_of(report))).people[0].verdict.testimonies[0].reply.text == text
    with Image.open(io.BytesIO(figure.render(report, clip_of(report)))) as picture:
        assert picture.height < figure.SIDE + 20 * 300
    words = next(analyze._words_of(said))[0]
    assert words.startswith("    mare says: “") and len(words) < 2200


def test_words_of_a_readable_length_are_whole_and_keep_their_lines():
    assert formats.quoted(" A nose.\n" * 200) == ("A nose.\n " * 200).strip()
    report = REPORTS["two_faces"]
    person = report.people[0]
    said = Testimony("mare", 0.9, reply=Reply("fake", parts=("One.\nTwo. \n\n\x1b[1mThree.",)))
    spoken = dataclasses.replace(person, verdict=dataclasses.replace(person.verdict, testimonies=(said,)))
    report = dataclasses.replace(report, people=(spoken,))
    assert "<p>One.\nTwo.\n\\x1b[1mThree.</p>" in html.render(report).decode(), "the style keeps the lines"
    assert "> One.\n>\n> Two.\n>\n> " in markdown.render(report).decode()
    assert "mare: One. Two. \\x1b[1mThree." in list(figure._lines(spoken))
    assert next(analyze._words_of(said))[0] == "    mare says: “One. Two. \\x1b[1mThree.”"


def test_overlay_stretches_a_mask_to_its_box():
    frame = Frame(np.full((60, 80, 3), 128, np.uint8))
    mask = Mask((20.0, 10.0, 60.0, 50.0), np.ones((2, 2), np.float32))
    picture = Image.fromarray(frame.pixels)
    overlay._glow(picture, mask)
    changed = (np.asarray(picture) != 128).any(axis=-1)
    expected = np.zeros((60, 80), bool)
    expected[10:50, 20:60] = True
    np.testing.assert_array_equal(changed, expected)
    overlay._glow(picture, Mask((100.0, 100.0, 120.0, 120.0), mask.values))  # beside the picture: nothing to draw
    overlay._glow(picture, Mask((-10.5, -3.2, 200.7, 90.1), mask.values))


# ---------------------------------------------------------------- what all formats say alike


def test_marks_are_letters_that_never_repeat():
    marks = [formats.mark(index) for index in range(800)]
    assert marks[:3] == ["a", "b", "c"] and marks[25:28] == ["z", "aa", "ab"] and len(set(marks)) == 800


def test_band_is_shown_only_where_it_decided():
    bounds = (0.35, 0.7)
    assert formats.band(Verdict("fake", 0.8, None, bounds)) == bounds
    assert formats.band(Verdict("inconclusive", 0.5, None, bounds, "band")) == bounds
    assert formats.band(Verdict("inconclusive", 0.8, None, bounds, "contradiction")) is None  # something else decided
    assert formats.band(Verdict("inconclusive", None, None, bounds)) is None
    assert formats.band(Verdict("fake", 0.8)) is None


def test_again_names_only_what_can_be_typed():
    report = dataclasses.replace(REPORTS["no_face"], source="it's -f.png")
    commands = [command for _, command in formats.again(report)]
    assert commands[-1] == """facewitness analyze --json 'it'"'"'s -f.png'"""
    assert formats.again(dataclasses.replace(report, source="-x.png"))[-1][1].endswith("--json ./-x.png")
    assert formats.again(dataclasses.replace(report, source="a\nb.png"))[-1][1].endswith("--json FILE")
