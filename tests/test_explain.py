"""No claim without a place, and no word beyond the verdict."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facewitness import regions
from facewitness.explain import HINTS, NO_PROOF, NOTHING_FOUND, SIDES, UNJUDGED, UNMEASURED, explain
from facewitness.types import KINDS, LABELS, Face, Finding, FrameRef, Mask, PersonReport, Testimony, Track, Verdict

FACE = Track(0, (Face(FrameRef(64, 64), (8.0, 8.0, 56.0, 56.0)),))
MASK = Mask((8.0, 8.0, 56.0, 56.0), np.full((4, 4), 0.5, np.float32))


def finding(region: str, strength: float | None) -> Finding:
    return Finding.on(region, (10.0, 10.0, 20.0, 20.0), MASK, f"The {region} is odd.", strength)


def kind(name: str) -> dict[str, float]:
    return {each: 0.7 if each == name else 0.1 for each in KINDS}


def verdict(label: str, *testimonies: Testimony, fake: float | None = 0.6) -> Verdict:
    cause = "band" if label == "inconclusive" else None
    interval = None if fake is None else (fake, fake)
    return Verdict(label, fake, interval, None, cause, ("because",), testimonies)


def heard(*findings: Finding, mask: Mask | None = MASK, kinds: str | None = None) -> Testimony:
    return Testimony("w", 0.6, mask, findings, kind(kinds) if kinds else None)


def texts(told) -> list[str]:
    return [sentence.text for sentence in told.sentences]


@pytest.mark.parametrize(
    ("strength", "start"),
    [
        (0.5, "Moderate sign (50 %)"),
        (0.7, "Strong sign (70 %)"),
        (0.9, "Very strong sign (90 %)"),
        (1.0, "Very strong sign (> 99 %)"),
        (None, "A sign of unmeasured strength"),
    ],
)
def test_claims_are_graded_by_their_strength(strength, start):
    told = explain(FACE, verdict("fake", heard(finding("nose", strength))))
    assert texts(told) == [f"{start}: The nose is odd."]


@pytest.mark.parametrize("strength", [0.0, 0.3, 0.4999])
def test_a_sign_that_is_wrong_more_often_than_right_is_not_claimed(strength):
    told = explain(FACE, verdict("fake", heard(finding("nose", strength), finding("mouth", 0.6))))
    assert [f.region for f in told.findings] == ["mouth"]


def test_nearly_the_whole_face_is_one_finding_with_all_its_places():
    named = [finding(name, 0.5 + i / 30) for i, name in enumerate(regions.MARE[:10])]
    told = explain(FACE, verdict("fake", heard(*named)))
    (only,) = told.findings
    assert {place.region for place in only.places} == set(regions.MARE[:10]) and only.region is None
    assert texts(told)[0] == "Strong sign (80 %): Nearly the whole face shows traces of forgery."


def test_the_mask_is_that_of_the_witness_whose_findings_are_claimed():
    other = Mask((0.0, 0.0, 9.0, 9.0), np.ones((2, 2), np.float32))
    silent = Testimony("v", 0.6, other)
    told = explain(FACE, verdict("fake", silent, heard(finding("nose", 0.6))))
    assert told.mask is MASK
    assert explain(FACE, verdict("fake", silent, heard())).mask is other


def test_a_witness_nobody_has_calibrated_is_heard_and_the_sentence_is_true():
    judged = Verdict("inconclusive", None, None, None, "uncalibrated", (), (heard(finding("nose", None)),))
    told = explain(FACE, judged)
    assert texts(told) == [UNMEASURED, "A sign of unmeasured strength: The nose is odd."]


def test_a_fake_face_names_its_regions_strongest_first_each_with_its_own_finding():
    told = explain(FACE, verdict("fake", heard(finding("nose", 0.6), finding("left_eye", 0.95), finding("skin", None))))
    assert [f.region for f in told.findings] == ["left_eye", "nose", "skin"]
    assert [s.findings for s in told.sentences] == [(0,), (1,), (2,), ()]
    assert texts(told)[-1] == SIDES
    assert told.mask is MASK


def test_a_region_two_witnesses_name_is_claimed_once_by_the_stronger():
    told = explain(FACE, verdict("fake", heard(finding("nose", 0.6)), heard(finding("nose", 0.8))))
    assert [f.strength for f in told.findings] == [0.8]


def test_entire_synthesis_is_one_finding_over_the_whole_face():
    said = heard(finding("nose", 0.6), finding("skin", 0.7), kinds="entire_synthesis")
    told = explain(FACE, verdict("fake", said, fake=0.93))
    (only,) = told.findings
    assert (only.region, only.box, only.strength) == ("face", FACE.face.box, 0.93)
    assert texts(told) == [f"Very strong sign (93 %): {only.claim}"]
    assert "entirely synthesised" in only.claim
    assert told.kind["entire_synthesis"] == pytest.approx(0.7)


def test_fake_without_a_region_says_so_about_the_whole_face():
    told = explain(FACE, verdict("fake", heard(kinds="identity_exchange"), fake=0.8))
    (only,) = told.findings
    assert only.region == "face"
    assert "no single region stands out" in texts(told)[0]


def test_pristine_is_no_kind_of_forgery():
    told = explain(FACE, verdict("fake", heard(finding("nose", 0.6), kinds="pristine")))
    assert [f.region for f in told.findings] == ["nose"]


def test_a_real_face_has_no_claim_and_says_what_that_does_not_prove():
    told = explain(FACE, verdict("real", heard(finding("nose", 0.6), finding("chin", 0.3)), fake=0.1))
    assert (told.findings, told.mask) == ((), None)
    assert "2 places were too weak" in texts(told)[0]
    assert texts(told)[1] == NO_PROOF
    assert texts(explain(FACE, verdict("real", heard(), fake=0.1))) == [NOTHING_FOUND, NO_PROOF]


def test_an_undecided_face_gives_hints():
    told = explain(FACE, verdict("inconclusive", heard(finding("nose", 0.6))))
    assert texts(told) == [HINTS, "Moderate sign (60 %): The nose is odd."]
    assert texts(explain(FACE, verdict("inconclusive", heard()))) == [NOTHING_FOUND, NO_PROOF]


def test_strong_signs_on_which_the_score_does_not_rest_are_told_and_not_claimed():
    still = [replace(finding(name, strength), moves=0.05) for name, strength in (("nose", 0.9), ("mouth", 0.62))]
    weak, moving = replace(finding("chin", 0.3), moves=0.1), replace(finding("left_eye", 0.8), moves=0.7)
    left = (
        "The nose and the mouth are marked in the mask (62 % to 90 % of such signs are right), but the score does not "
        "rest on them."
    )
    told = explain(FACE, verdict("inconclusive", heard(*still, weak)))
    assert told.findings == () and texts(told) == [left, NO_PROOF]
    told = explain(FACE, verdict("inconclusive", heard(*still, weak, moving)))
    assert [f.region for f in told.findings] == ["left_eye"] and left in texts(told)
    told = explain(FACE, verdict("fake", heard(still[0], moving)))
    nose = "The nose is marked in the mask (90 % of such signs are right), but the score does not rest on it."
    assert nose in texts(told)
    assert all(not s.findings for s in told.sentences if "is marked" in s.text), "what is not claimed has no finding"
    every = [replace(finding(name, 0.7), moves=0.0) for name in regions.MARE]
    (first, *_) = texts(explain(FACE, verdict("inconclusive", heard(*every))))
    assert first.startswith("Nearly the whole face is marked in the mask (70 % of such signs are right)")
    (bare, *_) = texts(explain(FACE, verdict("inconclusive", heard(still[0], mask=None))))
    assert bare.startswith("The nose is marked (90 %"), "nothing is said to be in a mask that nobody is shown"
    assert NOTHING_FOUND in texts(explain(FACE, verdict("inconclusive", heard(weak))))


def test_a_face_that_cannot_be_judged_has_no_places():
    said = heard(finding("nose", 0.9), kinds="entire_synthesis")
    useless = Verdict("inconclusive", 0.9, None, None, "quality", ("too small",), (said,))
    told = explain(FACE, useless)
    assert (told.findings, told.mask, told.kind, texts(told)) == ((), None, None, [UNJUDGED])
    assert (useless.fake, useless.probability) == (0.9, None)


REGION = st.sampled_from(["nose", "left_eye", "skin", "mouth", "face"])
FINDINGS = st.lists(st.builds(finding, REGION, st.none() | st.floats(0, 1)), max_size=5)


@given(
    label=st.sampled_from(LABELS),
    said=st.lists(st.tuples(FINDINGS, st.none() | st.sampled_from(KINDS)), max_size=3),
    fake=st.none() | st.floats(0, 1),
)
def test_every_claim_has_one_place_and_every_place_its_claim(label, said, fake):
    judged = verdict(label, *(heard(*findings, kinds=kinds) for findings, kinds in said), fake=fake)
    told = explain(FACE, judged)
    report = PersonReport(FACE, judged, (), told.kind, told.findings, told.mask, told.sentences)  # its check passes
    named = [index for sentence in report.explanation for index in sentence.findings]
    assert named == list(range(len(told.findings)))
    assert len({f.region for f in told.findings}) == len(told.findings)
    for sentence, index in zip((s for s in told.sentences if s.findings), itertools.count(), strict=False):
        assert told.findings[index].claim in sentence.text
    strengths = [-1.0 if f.strength is None else f.strength for f in told.findings]
    assert strengths == sorted(strengths, reverse=True)
    assert told.sentences
    assert (label == "real") <= (not told.findings)
    assert (label == "fake") <= bool(told.findings)
