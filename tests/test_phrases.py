"""The words that every text of ours shares: chances, grades, names from outside, lists."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facewitness import phrases
from facewitness.types import grade

scores = st.floats(0.0, 1.0)


@pytest.mark.parametrize(
    ("fake", "interval", "words"),
    [
        (0.87, (0.80, 0.92), "87 % fake (80–92 %)"),
        (0.07, (0.07, 0.07), "7 % fake (7–7 %)"),
        (0.001, (0.0, 0.0101), "< 1 % fake (0–2 %)"),
        (0.999, None, "> 99 % fake"),
        (None, None, "probability not measured"),
    ],
)
def test_probability_in_words(fake, interval, words):
    assert phrases.chance(fake, interval) == words


@given(scores, scores)
def test_grades_and_percents_grow_with_the_score(a, b):
    low, high = sorted((a, b))
    order = ["weak", "moderate", "strong", "very strong"]
    assert order.index(grade(low)) <= order.index(grade(high))


@pytest.mark.parametrize(
    ("strength", "words"),
    [
        *[(None, None), (0.0, "weak"), (0.494, "weak"), (0.4999, "moderate"), (0.694, "moderate")],
        *[(0.6999, "strong"), (0.894, "strong"), (0.9, "very strong"), (1.0, "very strong")],
    ],
)
def test_grades_agree_with_the_percent_that_is_printed(strength, words):
    assert grade(strength) == words


@given(st.text(st.characters(codec=None)))
def test_visible_text_is_one_printable_line(text):
    shown = phrases.visible(text)
    assert len(shown.splitlines()) <= 1 and "\u202e" not in shown
    shown.encode("utf-8")


@pytest.mark.parametrize(
    "hidden",
    ["\x1b]0;x\x07", "\x7f", "\x9b2J", "\u200b", "\u200e", "\u2060", "\u202e", "\u2066", "\ufeff", "\xad", "\u034f",
     "\u3164", "\u2800", "\ufe01", "\U000e0041", "\U000e0101", "\u2028", "\udcff", "\u200d", "\u200c"],
)  # fmt: skip
def test_what_cannot_be_seen_is_written_out(hidden):
    shown = phrases.visible(f"in{hidden}put")
    assert hidden not in shown and shown.startswith("in\\")
    line = phrases.json_line({hidden: hidden})
    assert line.isascii() and line.isprintable()
    assert json.loads(line) == {hidden: hidden}


@pytest.mark.parametrize("text", ["नमस्ते क्‍ष", "نمی‌خواهم", "👩‍👧 ❤️‍🔥 🏴", "Müller–Œuvre 写真", "a  b"])
def test_people_may_write_as_they_do(text):
    assert phrases.visible(text) == text
    assert text in phrases.json_line(text)


@given(st.text(st.characters(codec=None)))
def test_a_line_of_json_says_all_and_hides_nothing(text):
    line = phrases.json_line(["é", text])
    assert json.loads(line) == json.loads(json.dumps(["é", text]))
    assert phrases.visible(line) == line


@given(st.text(st.characters(codec=None)) | st.from_regex(r"\s*[=+@-].*"))
def test_no_cell_is_a_formula(text):
    shown = phrases.cell(text)
    assert shown.isprintable() or phrases.visible(shown) == shown
    assert not shown.strip().startswith(("=", "+", "-", "@"))
    assert phrases.cell(-1.5) == -1.5 and phrases.cell(None) is None


@pytest.mark.parametrize(
    ("words", "listed"),
    [((), ""), (("a",), "a"), (("a", "b"), "a and b"), (("a", "b", "c"), "a, b and c")],
)
def test_a_list_reads_as_in_a_sentence(words, listed):
    assert phrases.listed(words) == listed
    assert phrases.listed(iter(words)) == listed


def test_regions_are_listed_with_their_article():
    assert phrases.the_regions(["nose", "left_eye", "chin"]) == "the nose, the left eye and the chin"
    assert phrases.the_regions(()) == ""
