"""An option that was called otherwise before is still read, and what it is called now is told."""

from __future__ import annotations

import warnings

import pytest

from facewitness import plugins
from facewitness.errors import UnknownName, ended, renamed


def test_an_option_of_the_new_name_is_taken_in_silence():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert renamed("mare", "most", None, "max_tokens", 384) == 384


def test_an_option_of_the_old_name_is_taken_and_the_new_name_told():
    with pytest.warns(FutureWarning, match=r"mare: the option most is called max_tokens now.*say mare\.max_tokens=7"):
        assert renamed("mare", "most", 7, "max_tokens", 384) == 7


def test_a_backend_takes_its_option_under_both_names():
    backend = plugins.get("backends", "openai")
    with pytest.warns(FutureWarning, match=r"openai: the option most_tokens is called max_tokens now") as told:
        old = backend.load(base_url="http://127.0.0.1:9/v1", model="m", most_tokens=12)
    assert [warning.filename for warning in told] == [__file__]  # whoever says the old name is pointed at
    new = backend.load(base_url="http://127.0.0.1:9/v1", model="m", max_tokens=12)
    assert vars(old) == vars(new)


@pytest.mark.parametrize(
    ("old", "new"), [("most", "max_regions"), ("fewest", "min_regions"), ("max_region", "max_regions")]
)
def test_the_name_an_option_had_before_leads_to_the_one_it_has(old, new):
    assert f"Did you mean '{new}'?" in str(
        UnknownName("option of diffusers", old, ["choices", "max_regions", "min_regions"])
    )


@pytest.mark.parametrize(
    ("message", "whole"),
    [
        ("Testimony.fake: expected a score, got nan", "Testimony.fake: expected a score, got nan."),
        ("the list is not CSV (line 3); save it again", "the list is not CSV (line 3); save it again."),
        ("Fetch or export it again.", "Fetch or export it again."),
        ("Is this a report?", "Is this a report?"),
        ("it takes the package c2pa: pip install c2pa", "it takes the package c2pa: pip install c2pa"),
        ("Take one line: sed -n 3p reports.jsonl > one.json", "Take one line: sed -n 3p reports.jsonl > one.json"),
        ("Copy it to runs/compact/last", "Copy it to runs/compact/last"),
        ("expected one of:\n  a\n  b", "expected one of:\n  a\n  b"),
        ("", ""),
    ],
)
def test_a_message_ends_as_a_sentence_does_unless_its_end_is_to_be_copied(message: str, whole: str):
    assert ended(message) == whole and ended(whole) == whole
