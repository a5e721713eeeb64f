"""Which of the replies that evidence allows is given: by words and evidence together, a prior and no ban."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facewitness import regions
from facewitness.errors import WeightsError
from facewitness.grammars import yes_no
from facewitness.witnesses import _chosen
from facewitness.witnesses._chosen import NAMED, Choice, Odds, OfRegion

FORGED = dict.fromkeys(NAMED, (1.0, 0.0))
BOTH = Choice(Odds(1.0, 1.0), OfRegion(1.0, 1.0, 0.0, 0.0, 0.0, 0.0), 1.0, FORGED)
COVERED = dict.fromkeys(NAMED, 0.02) | {"left_eyebrow": 0.9, "chin": 0.4}


def indifferent(replies, ended=True):
    return [0.0] * len(replies)


def test_a_model_that_does_not_care_says_what_the_evidence_says():
    accused = _chosen.reply("Is this a deepfake image?", 0.95, COVERED, indifferent, BOTH)
    assert accused == yes_no.forged(("left_eyebrow",)), "of all sets the map's likeliest"
    cleared = _chosen.reply("Is this a deepfake image?", 0.01, COVERED, indifferent, BOTH)
    assert cleared == yes_no.genuine()
    assert _chosen.reply("Is the left eyebrow fake?", 0.95, COVERED, indifferent, BOTH) == yes_no.region_forged(
        "left_eyebrow"
    )
    other = _chosen.reply("Is the nose fake?", 0.95, COVERED, indifferent, BOTH)
    assert other == yes_no.region_untouched("nose", ("left_eyebrow",))
    assert _chosen.reply("Is the nose fake?", 0.01, COVERED, indifferent, BOTH) == yes_no.region_genuine("nose")


def test_a_region_less_covered_than_another_one_may_be_cleared_by_that():
    """The chin, covered by 0.4, is accused by itself, and not beside a brow that is covered by 0.9."""
    strict = Choice(Odds(1.0, 1.0), OfRegion(1.0, 1.0, -1.0, 0.0, 1.0, 0.0), 1.0, FORGED)
    alone = COVERED | {"left_eyebrow": 0.1}
    assert _chosen.reply("Is the chin fake?", 0.9, alone, indifferent, strict) == yes_no.region_forged("chin")
    assert _chosen.reply("Is the chin fake?", 0.9, COVERED, indifferent, strict).startswith("No")


def test_a_no_accuses_no_other_place_of_a_face_that_the_score_clears():
    """Also where the yes or no is the model's own, which likes to go on: "… The artifacts are at the left eyebrow."."""

    def talkative(replies, ended=True):
        return [(0.1 * len(text) if ended else -len(text)) for text in replies]  # "No", and more of it

    for region in (None, OfRegion(1.0, 1.0, 0.0, 0.0, 0.0, 0.0)):
        strict = Choice(Odds(0.1, 1.0), region, 0.0, FORGED)
        cleared = _chosen.reply("Is the nose fake?", 0.05, COVERED, talkative, strict)
        assert cleared == yes_no.region_genuine("nose")
        accused = _chosen.reply("Is the nose fake?", 0.95, COVERED, talkative, strict)
        assert accused.startswith(yes_no.region_genuine("nose").rstrip(".")[:3]) and "eyebrow" in accused


def test_a_region_is_accused_no_sooner_than_the_face():
    """Words and map together accuse the eyebrow; the score clears the face, of which the same model says so."""
    accused = _chosen.reply("Is the left eyebrow fake?", 0.3, COVERED, indifferent, BOTH)
    assert accused == yes_no.region_genuine("left_eyebrow")
    assert _chosen.reply("Is this face fake?", 0.3, COVERED, indifferent, BOTH) == yes_no.genuine()
    yes = yes_no.region_forged("left_eyebrow")
    assert _chosen.reply("Is the left eyebrow fake?", 0.6, COVERED, indifferent, BOTH) == yes
    lower = Choice(Odds(1.0, 1.0), OfRegion(1.0, 1.0, 0.0, 0.0, 0.0, -1.0), 1.0, FORGED)
    assert _chosen.reply("Is the left eyebrow fake?", 0.3, COVERED, indifferent, lower) == yes


def test_the_set_that_agrees_with_most_is_named():
    """The likeliest set by itself is the chin; what most of the chance is near to is nose and mouth."""
    sets = [("chin",), ("nose",), ("mouth",), ("nose", "mouth")]
    assert _chosen.medoid(sets, np.log([0.3, 0.25, 0.2, 0.25])) == 3
    assert _chosen.medoid(sets, np.log([0.9, 0.05, 0.02, 0.03])) == 0
    assert _chosen.medoid(sets, [-1000.0, -1001.0, -1002.0, -1002.0]) == _chosen.medoid(sets, [0.0, -1.0, -2.0, -2.0])


def test_a_region_that_the_model_is_sure_of_is_named_though_three_others_are_covered_more():
    covered = dict.fromkeys(NAMED, 0.05) | {"nose": 0.5, "chin": 0.45, "forehead": 0.4, "mouth": 0.38}

    def sure(replies, ended=True):
        return [0.0 if text in ("Yes", yes_no.forged(("mouth",))) else -20.0 for text in replies]

    assert _chosen.reply("Is this face fake?", 0.9, covered, sure, BOTH) == yes_no.forged(("mouth",))


def test_a_model_that_knows_less_of_places_than_the_map_is_silent_about_them():
    def sure(replies, ended=True):
        assert not ended, "it is not asked which places"
        return [0.0 if text == "Yes" else -20.0 for text in replies]

    silent = replace(BOTH, named=0.0)
    assert _chosen.reply("Is this face fake?", 0.9, COVERED, sure, silent) == yes_no.forged(("left_eyebrow",))
    older = {name: value for name, value in BOTH.to_json().items() if name != "named"}
    assert _chosen._choice(older) == BOTH, "a file of before says nothing of it"


def test_it_is_a_prior_and_no_ban():
    def sure(replies, ended=True):
        return [0.0 if text == "Yes" else -30.0 for text in replies]

    assert _chosen.reply("Is the nose fake?", 0.01, COVERED, sure, BOTH) == yes_no.region_forged("nose")


def test_evidence_that_counts_nothing_leaves_the_models_likeliest():
    alone = Choice(Odds(1.0, 0.0), OfRegion(1.0, 0.0, 0.0, 0.0, 0.0, 0.0), 0.0, FORGED)

    def drawn(replies, ended=True):
        return [-float(len(text)) for text in replies]  # "No" is shorter than "Yes"

    assert _chosen.reply("Is this face fake?", 0.99, COVERED, drawn, alone) == yes_no.genuine()

    def yes(replies, ended=True):
        return [-5.0 * len(text) if ended else float(len(text)) for text in replies]

    named = _chosen.reply("Is this face fake?", 0.01, COVERED, yes, alone)
    likeliest = [yes_no.forged(s) for s in _chosen._sets(alone.chance(COVERED))]
    assert named == min(likeliest, key=len)


@pytest.mark.parametrize(
    ("question", "about"),
    [
        ("Is this a deepfake image?", ()),
        ("Was the left eye replaced or altered?", ("left_eye",)),
        ("Does the forgery include the chin?", ("chin",)),
        ("Is this face real?", None),
        ("Why is it fake?", ()),
        ("Why?", ()),
        ("What was altered?", ()),
        ("Where is it forged?", ()),
        ("Why is it real?", None),
        ("Why isn't it fake?", None),
        ("Why is the nose fake?", None),
        ("How was it made?", None),
        ("Are the teeth fake?", None),
        ("Are the nose and the mouth fake?", None),
        ("Isn't it fake?", None),
        ("Hello", None),
        ("What is the verdict?", ()),
        ("Is it real or fake?", ()),
        ("Is the nose real or fake?", None),
    ],
)
def test_questions_that_evidence_can_answer(question, about):
    assert _chosen.asked(question) == about
    if about is None:
        assert _chosen.reply(question, 0.9, COVERED, indifferent, BOTH) is None


def test_every_question_and_reply_is_one_that_the_model_was_taught():
    sbi_qa = pytest.importorskip("facewitness.builders.sbi_qa", reason="needs the extra 'forge'")
    assert NAMED == sbi_qa.CHOICES
    taught = {f"{a} {b}" for a in sbi_qa._REAL_OPENINGS for b in sbi_qa._REAL_BODIES}
    assert yes_no.genuine() in taught
    places = ("nose", "left_eye")
    said = {
        f"{a} {b.format(places='the nose and the left eye')}"
        for a in sbi_qa._FAKE_OPENINGS
        for b in sbi_qa._FAKE_BODIES
    }
    assert yes_no.forged(places) in said
    assert yes_no.region_forged("chin") in {sbi_qa._about(t, "chin") for t in sbi_qa._REGION_YES}
    assert yes_no.region_genuine("chin") in {sbi_qa._about(t, "chin") for t in sbi_qa._REGION_NO_REAL}
    assert yes_no.region_untouched("chin", places) in {sbi_qa._about(t, "chin", places) for t in sbi_qa._REGION_NO}
    questions = [sbi_qa._about(t, "left_eyebrow") for t in sbi_qa.REGION_QUESTIONS]
    assert all(_chosen.asked(q) == ("left_eyebrow",) for q in questions)
    assert sum(_chosen.asked(q) == () for q in sbi_qa.VERDICT_QUESTIONS) >= 7, "one asks where besides"


@given(st.lists(st.floats(0, 1), min_size=len(NAMED), max_size=len(NAMED)))
def test_priors_of_sets_are_at_most_one_together(values):
    chance = dict(zip(NAMED, values, strict=True))
    total = sum(np.exp(_chosen._log_prior(s, chance)) for s in _chosen._sets(chance, limit=len(NAMED)))
    assert total <= 1 + 1e-6


def test_coverage_is_the_mean_inside_a_region():
    mesh = regions.average_landmarks()[:, :2] * 150 + 40
    located = np.zeros((224, 224), np.float32)
    inside = _chosen.geometry.fill(regions.polygons("mouth", mesh), 224, 224)
    located[inside] = 0.75
    covered = _chosen.coverage(located, mesh)
    assert covered["mouth"] == pytest.approx(0.75) and covered["forehead"] == 0.0
    assert set(covered) == set(NAMED)
    assert _chosen.coverage(located, mesh + 5000) == {}


def test_a_choice_comes_back_from_its_file_and_a_damaged_one_is_told(tmp_path):
    assert _chosen.read(tmp_path) is None
    file = tmp_path / "choice.json"
    file.write_text(json.dumps(BOTH.to_json()))
    assert _chosen.read(tmp_path) == BOTH
    alone = Choice(BOTH.verdict, None, 1.0, FORGED)
    file.write_text(json.dumps(alone.to_json()))
    assert _chosen.read(tmp_path) == alone
    sure = _chosen.reply("Is the nose fake?", 0.1, COVERED, lambda r, ended=True: [-float(len(t)) for t in r], alone)
    assert sure == yes_no.region_genuine("nose"), "the model's own no, which is likelier than its yes"
    assert _chosen.reply("Is this face fake?", 0.9, COVERED, indifferent, alone) is not None
    for spoilt in ("{", "[]", json.dumps({"verdict": {}}), json.dumps(BOTH.to_json() | {"places": float("nan")})):
        file.write_text(spoilt)
        with pytest.raises(WeightsError, match=r"choice\.json"):
            _chosen.read(tmp_path)
