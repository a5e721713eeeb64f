"""A case file is read or refused with a sentence, and what an examiner adds stands in every format."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jsonschema
import pypdfium2
import pytest
from reports import REPORTS, SHA256, clip_of

from facewitness import case as cases
from facewitness.errors import InputError
from facewitness.formats import _record, html, markdown, pdf
from facewitness.formats import json as wire
from facewitness.types import Verdict

SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "report.schema.json").read_text(encoding="utf-8"))
FULL = (
    cases.TEMPLATE.replace('# sha256 = "…" ', f'sha256 = "{SHA256}" ')
    .replace('reviewer = ""', 'reviewer = "R. Viewer"')
    .replace("# [[methods]]", "[[methods]]")
    .replace("# name =", "name =")
    .replace("# finding =", "finding =")
    .replace("# [conclusion]", "[conclusion]")
    .replace("# level =", "level =")
    .replace("# favours =", "favours =")
    .replace('# grounds = "…"', 'grounds = "The left eye and the mouth, see 1a and 1b."')
)
RATES = {
    "genuine": 1000, "genuine_called_fake": 0.01, "genuine_called_real": 0.6,
    "fakes": 500, "fakes_called_fake": 0.6, "fakes_called_real": 0.1,
}  # fmt: skip


def examined(**more):
    case = cases.parse(FULL)
    return cases.attached(dataclasses.replace(case, **more), REPORTS["two_faces"])


def pages(data: bytes) -> str:
    document = pypdfium2.PdfDocument(data)
    return " ".join(" ".join(page.get_textpage().get_text_range() for page in document).split())


def test_the_template_is_a_case_without_a_conclusion(tmp_path):
    path = tmp_path / "case.toml"
    path.write_text(cases.TEMPLATE, encoding="utf-8")
    case = cases.read(path)
    assert case.conclusion is None and case.exhibit.sha256 is None and len(case.propositions) == 2
    assert case.exhibit.received == "2026-01-05, by e-mail"


def test_all_fields_of_a_case_are_read():
    case = cases.parse(FULL)
    assert case.exhibit.sha256 == SHA256 and case.reviewer == "R. Viewer"
    assert case.methods[0].finding == "Nothing was found."
    assert case.conclusion.level == "moderate support" and case.conclusion.favours == 1
    assert case.conclusion.scale == cases.SCALE


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("reference =", "refernce =", "unknown key refernce. Did you mean 'reference'?"),
        ("[exhibit]", "[exhibits]", "Did you mean 'exhibit'?"),
        ('label = "AB/1"', 'label = ""', "exhibit.label: expected a text, got 'nothing'"),
        ('level = "moderate support"', 'level = "moderate suport"', "Did you mean 'moderate support'?"),
        ('level = "moderate support"', 'level = "91 %"', "one of the verbal scale"),
        ("favours = 2", "favours = 3", "conclusion.favours: expected 1 or 2"),
        ("favours = 2", "", "the proposition that is supported, got 'None'"),
        ('"The face was altered or made by a program.",', "", "expected two different ones"),
        (f'"{SHA256}"', '"abc"', "exhibit.sha256: expected 64 hexadecimal digits, got 'abc'"),
        ('custody = [', 'custody = [3, ', "exhibit.custody: expected a list of texts, got '3'"),
        ("notes = []", "notes = [", "expected TOML"),
        ('examiner = "', 'examiner = 3 # "', "examiner: expected a text, got '3'"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_case_file_is_told(old, new, told):
    assert old in FULL
    with pytest.raises(InputError) as error:
        cases.parse(FULL.replace(old, new, 1), "case.toml")
    assert told in str(error.value) and "case.toml" in str(error.value)


def test_what_is_no_case_file_is_told(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        cases.read(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'reference = "\xe9"')
    with pytest.raises(InputError, match="UTF-8"):
        cases.read(tmp_path / "latin.toml")


def test_dates_of_toml_are_texts():
    assert cases.parse(FULL.replace('"2026-01-05, by e-mail"', "2026-01-05")).exhibit.received == "2026-01-05"


def test_a_case_comes_back_from_the_wire_as_it_went():
    report = examined()
    line = wire.render(report)
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(line))
    assert wire.parse(line).case == report.case
    assert "case" not in json.loads(wire.render(REPORTS["two_faces"]))


def test_every_format_for_people_says_what_guidance_asks_for():
    report = examined()
    asked = (
        "LAB-2026-0001", "AB/1", "Who handed it in", "2026-01-05 received by", "Was the face in the photograph altered",
        "The face is as the camera recorded it.", "R. Viewer", "Visual examination at 400", "Nothing was found.",
        "Faces that it does not find are not examined.", "moderate support", "moderately strong support",
        "The left eye and the mouth, see 1a and 1b.", "SHA-256 at receipt", "no likelihood ratio follows",
    )  # fmt: skip
    for text in (html.render(report).decode(), markdown.render(report).decode(), pages(pdf.render(report))):
        for words in asked:
            assert words.replace("-", "") in text.replace("\\", "").replace("-", "").replace("\ufffe", ""), words


def test_another_file_than_the_exhibit_is_a_problem_and_never_clean():
    case = cases.parse(FULL.replace(SHA256, "ab" * 32))
    report = cases.attached(case, REPORTS["two_faces"])
    assert "not the exhibit as received" in report.problems[-1].message
    assert cases.attached(cases.parse(FULL), REPORTS["two_faces"]).problems == ()


def test_null_findings_are_told_for_each_step():
    made = {"finder": {"name": "facemesh"}, "witnesses": [{"name": "compact"}, {"name": "papers"}]}
    report = dataclasses.replace(examined(), made_by=made, inspections=())
    (methods,) = (section for section in _record.sections(report) if section.rows)
    by_name = {row[0].partition(":")[2].strip() or row[0]: row for row in methods.rows}
    assert by_name["papers"][3] == "Nothing was found."
    assert "Face 2: score 0.080, no place named." in by_name["compact"][3]
    assert all(all(cell for cell in row) and len(row) == len(_record.METHOD_HEAD) for row in methods.rows)


def test_a_likelihood_ratio_is_the_ratio_of_the_measured_shares():
    made = {"witnesses": [{"name": "compact", "measured": {"rates": RATES}}, {"name": "provenance"}]}
    low, middle, high = _record.likelihood_ratio(Verdict("fake", 0.9), made)
    assert middle == pytest.approx((300.5 / 501) / (10.5 / 1001), rel=1e-9) and low < middle < high
    low, middle, high = _record.likelihood_ratio(Verdict("real", 0.1), made)
    assert middle == pytest.approx((600.5 / 1001) / (50.5 / 501), rel=1e-9)
    assert _record.likelihood_ratio(Verdict("inconclusive", 0.5, cause="band"), made) is None
    assert _record.likelihood_ratio(Verdict("fake", 0.9), made | {"profile": {"name": "mine"}}) is None
    assert _record.likelihood_ratio(Verdict("fake", 0.9), {"witnesses": made["witnesses"][:1] * 2}) is None


@pytest.mark.parametrize(("ratio", "level"), [(1, 0), (1.9, 0), (2, 1), (10, 2), (99, 2), (100, 3), (1e4, 5), (2e6, 6)])
def test_levels_begin_at_the_guidelines_ratios(ratio, level):
    assert cases.level_for(ratio) == cases.SCALE[level]


def test_the_support_that_error_rates_give_is_said_with_its_condition():
    made = {"witnesses": [{"name": "compact", "measured": {"rates": RATES}}]}
    report = dataclasses.replace(examined(), made_by=made)
    (end,) = (section for section in _record.sections(report) if section.title == "Conclusion")
    assert "moderate support for a forged face over a genuine one" in end.items[0]
    assert "Were the exhibit like those faces" in end.items[0] and "the conclusion is the examiner's" in end.items[-1]


def test_hostile_words_of_a_case_file_are_no_markup():
    nasty = "<script>alert(1)</script> | `x` \u202e"
    report = examined(reference=nasty, question=nasty, comparable=nasty)
    assert "<script>alert" not in html.render(report).decode()
    assert "\u202e" not in markdown.render(report).decode()
    assert "alert(1)" in pages(pdf.render(report, clip_of(report)))
