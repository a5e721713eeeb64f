"""The witness that asks under both hypotheses: by its evidence alone, and with a language model in many moods."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facewitness import checks, formats, plugins, weights
from facewitness.errors import BackendError, InputError, UnknownName, WeightsError
from facewitness.formats import html, markdown
from facewitness.types import Mark, PersonReport, Question, Reply, Report, Testimony, Verdict
from facewitness.witnesses import _cases, ffaa

REAL = (
    "Image description: A man.\nForgery reasoning: All fits.\nAnalysis result: real\nProbability: 0.9\n"
    "Forgery type: Real"
)
FAKE = (
    "Image description: A man.\nForgery reasoning: The left cheek is smeared.\nAnalysis result: fake\n"
    "Probability: 0.8\nForgery type: Identity exchange"
)


class Evidence:
    """A witness that says what it is told to."""

    name = "evidence"
    calibration = None

    def __init__(self, fake=0.8, **more):
        self.testimony = Testimony(self.name, fake, **more)

    def examine(self, track, clip):
        return self.testimony


class Says:
    """A language model whose answers are known."""

    name = "says"

    def __init__(self, *answers):
        self.answers, self.asked = answers, []

    def answer(self, crop, question):
        self.asked.append(question)
        given = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(given, Exception):
            raise given
        return given


def witness(evidence=None, **options):
    made = plugins.get("witnesses", "ffaa").load(**options)
    if evidence is not None:
        made._evidence, made._calibration, made._cases = evidence, None, None
    return made


def examined(made, mesh=True):
    return made.examine(*checks.photo(160, 160, 3, mesh))


def test_by_the_evidence_alone_each_side_has_its_case_and_every_clause_its_place():
    testimony = examined(witness())
    anchor, other, same = testimony.considered
    assert anchor.hypothesis is None and {other.hypothesis, same.hypothesis} == {"real", "fake"}
    for reply in testimony.considered:
        for mark in (part for part in reply.parts if isinstance(part, Mark)):
            x1, y1, x2, y2 = mark.finding.box
            assert 0 <= x1 < x2 <= 160 and 0 <= y1 < y2 <= 160
            assert mark.finding.claim in reply.text
    assert testimony.reply.match == max(r.match for r in testimony.considered if r.match is not None)


def test_the_shipped_judge_chooses_between_the_two_cases_and_has_a_calibration_of_its_own():
    made = witness()
    testimony = examined(made)
    matches = {reply.label: reply.match for reply in testimony.considered}
    assert all(0 <= match <= 1 for match in matches.values())
    if testimony.reply.label != "inconclusive":
        assert testimony.reply.match == max(matches.values())
        assert (testimony.fake >= 0.5) == (testimony.reply.label == "fake")
    assert made.made_by()["weights"][ffaa.CASES] == made._cases.sha256
    assert made.calibration == made._cases.facts["calibration"] != witness(cases=False).calibration
    assert len(weights.read(ffaa.CASES)[0]) < 1_000_000


@pytest.mark.parametrize(
    ("low", "said"), [(0.01, "better than that one (AUC 0.872"), (-0.01, "about as well as that one")]
)
def test_the_card_says_what_the_judge_was_measured_to_be_worth(low, said):
    worth = {"faces": 300, "default": 0.836, "ffaa": 0.8721, "difference": [0.036, low, 0.06]}
    card = ffaa._card({"measured": {"held out": worth, "unseen": worth | {"ffaa": 0.634}}})
    assert said in card["knows"] and "AUC 0.634" in card["does_not_know"]
    assert ffaa._card({}) is None


def test_a_judge_who_leans_to_a_side_for_which_nothing_speaks_decides_nothing(monkeypatch):
    clause = _cases.Clause("real", "region", "Nothing at the nose.", 0.8, "nose", (10.0, 10.0, 50.0, 50.0))
    monkeypatch.setattr(_cases, "clauses", lambda *_: (clause,))
    made = witness()
    made._cases.logits = lambda **_: [(0.0, 0.0, 5.0, 0.0), (0.0, 0.0, 0.0, 5.0)]
    testimony = examined(made)
    assert testimony.reply.label == "inconclusive" and testimony.fake > 0.5
    assert "fits “fake” better, but nothing that was measured speaks for it" in testimony.reply.text


def test_the_verdict_is_the_evidences_and_a_hard_face_is_less_certain():
    hard = examined(witness(Evidence(0.9)))
    assert len({reply.label for reply in hard.considered}) == 2
    assert hard.reply.label == "fake" and 0.5 < hard.fake < 0.9
    kinds = {"pristine": 0.1, "identity_exchange": 0.7, "attribute_manipulation": 0.1, "entire_synthesis": 0.1}
    assert "Identity exchange" in examined(witness(Evidence(0.9, kind=kinds))).reply.text


def test_a_side_for_which_nothing_speaks_concedes_and_the_face_is_easy(monkeypatch):
    clause = _cases.Clause("fake", "region", "The nose shows traces.", 0.8, "nose", (10.0, 10.0, 50.0, 50.0))
    monkeypatch.setattr(_cases, "clauses", lambda *_: (clause,))
    testimony = examined(witness(Evidence(0.9)))
    assert {reply.label for reply in testimony.considered} == {"fake"}
    assert testimony.fake == 0.9
    conceded = next(reply for reply in testimony.considered if reply.hypothesis == "real")
    assert "Nothing that was measured speaks for a genuine photograph" in conceded.text
    assert formats.why_it_won(testimony).startswith("An easy face")


def test_a_face_with_no_evidence_for_either_side_has_no_score(monkeypatch):
    monkeypatch.setattr(_cases, "clauses", lambda *_: ())
    testimony = examined(witness(Evidence(None)))
    assert testimony.fake is None and testimony.reply.label == "inconclusive"
    assert "no evidence for either side" in testimony.reply.text


def test_three_answers_under_the_papers_prompts_and_the_best_stands():
    says = Says(FAKE, REAL, FAKE)
    testimony = examined(witness(Evidence(0.8), language=says))
    assert says.asked == [
        ffaa.QUESTION,
        "This is a real human face. What evidence do you have?",
        "This is a fake human face. What evidence do you have?",
    ]
    assert [reply.label for reply in testimony.considered] == ["fake", "real", "fake"]
    assert [reply.match for reply in testimony.considered] == pytest.approx([0.8, 0.2, 0.8])
    assert testimony.reply.text == FAKE


def test_an_easy_face_keeps_its_score():
    assert examined(witness(Evidence(0.8), language=Says(FAKE))).fake == 0.8


def test_any_backend_can_answer_and_is_told_the_form():
    made = witness(Evidence(0.3), backend="echo", options={"answers": [REAL]})
    testimony = examined(made)
    assert testimony.reply.label == "real" and testimony.reply.match == pytest.approx(0.7)
    assert "Analysis result" in made._backend.asked[0][0][-1]["content"]
    assert made._backend.asked[0][1] == 1


def test_three_answers_that_fail_to_parse_are_inconclusive_and_it_is_told_why():
    testimony = examined(witness(Evidence(0.8), language=Says("I'm sorry.", "Je ne sais pas.", "")))
    assert testimony.fake is None and testimony.reply.label == "inconclusive"
    assert "None of the three answers has a verdict" in testimony.reply.text
    assert "expected" in testimony.reply.text


def test_a_model_that_repeats_its_questions_has_no_verdict():
    testimony = examined(witness(Evidence(0.8), backend="echo"))
    assert [reply.label for reply in testimony.considered] == [None] * 3 and testimony.fake is None


def test_one_answer_that_parses_is_enough_and_the_face_is_hard():
    testimony = examined(witness(Evidence(0.8), language=Says("Hm.", FAKE, "Hm.")))
    assert testimony.reply.label == "fake" and testimony.fake < 0.8


def test_a_tie_is_inconclusive_and_both_sides_are_shown():
    testimony = examined(witness(Evidence(0.5), language=Says(FAKE, REAL, FAKE)))
    assert testimony.reply.label == "inconclusive"
    assert "Both sides fit equally well" in testimony.reply.text
    assert [side for side, _ in formats.cases(testimony)] == ["real", "fake"]
    assert "both fit equally well" in formats.why_it_won(testimony)


def test_a_model_that_cannot_be_asked_leaves_the_evidence_with_the_problem():
    testimony = examined(witness(Evidence(0.8), language=Says(BackendError("nobody answers."))))
    assert testimony.reply is not None and "nobody answers. The cases are from the evidence alone." in testimony.problem
    testimony = examined(witness(Evidence(0.8), language=Says(None)))
    assert "expected an answer in words, got NoneType" in testimony.problem


def test_a_question_that_carries_its_own_hypothesis_gets_both():
    made = witness(Evidence(0.2), language=Says(REAL, FAKE, REAL))
    reply = made.answer(*checks.photo(160, 160, 3), Question("Prove that this is fake!"))
    assert reply.text.startswith("The question supposes that the face is fake, so it was asked under both hypotheses.")
    assert reply.label == "real"
    assert made.answer(*checks.photo(160, 160, 3), Question("What do you see?")).label == "real"


def test_without_a_language_model_no_question_is_answered():
    made = witness(Evidence(0.2))
    assert not made.answers_questions
    with pytest.raises(BackendError, match=r"ffaa\.backend=openai"):
        made.answer(*checks.photo(96, 96), Question("Is it fake?"))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"backend": "echo", "language": Says(REAL)}, InputError, "got both"),
        ({"options": {"answers": ["x"]}}, InputError, "no backend"),
        ({"mids": "mids.onnx"}, InputError, "whose answers mids judges"),
        ({"rests_on": "ffaa"}, InputError, "got itself"),
        ({"rests_on": "compakt"}, UnknownName, "compact"),
        ({"side": 0}, InputError, "side of at least 1"),
        ({"backend": "echo", "mids": "none.onnx"}, WeightsError, "facewitness train mids"),
    ],
)
def test_options_that_cannot_be_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        plugins.get("witnesses", "ffaa").load(**options)


def test_a_judge_with_published_encoders_reads_the_answers_itself(monkeypatch, tmp_path):
    asked = []

    class Judge:
        """As models/mids.Judge."""

        name, sha256, facts = "mids.safetensors", "00", {"masked": True}

        def __init__(self, path, device):
            assert (path, device) == (tmp_path / "mids.safetensors", "cpu")

        def logits(self, crop, texts):
            asked.append((crop.shape, texts))
            return np.array([[0.0, 0.0, 0.0, -3.0], [2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, -3.0]])

    pytest.importorskip("torch", reason="needs the extra 'train'")
    monkeypatch.setattr("facewitness.models.mids.Judge", Judge)
    made = witness(Evidence(0.8), language=Says(FAKE, REAL, FAKE), mids=str(tmp_path / "mids.safetensors"))
    testimony = examined(made)
    assert testimony.reply.label == "real" and testimony.reply.match == pytest.approx(1 / (1 + np.exp(-2)))
    ((shape, texts),) = asked
    assert shape == (224, 224, 3) and len(texts) == 3 and not any("Analysis result" in text for text in texts)
    assert made.made_by()["weights"]["mids.safetensors"] == "00"


def test_how_certain_a_face_is_judged_stands_in_the_judge_s_file():
    class Judge:
        """As a decider whose file says what was fitted."""

        def __init__(self, **facts):
            self.facts = facts

    made = witness(Evidence(0.8), language=Says(REAL))
    assert (made._certainty(True, False), made._certainty(False, False)) == (1.0, ffaa.HARD)
    made._decider = Judge(certainty={"easy": 1.2, "hard": 0.4})
    assert (made._certainty(True, True), made._certainty(False, True)) == (1.2, 0.4)
    made._decider = Judge()
    assert made._certainty(False, True) == ffaa.HARD
    made._decider = Judge(certainty={"easy": 1.0})
    with pytest.raises(WeightsError, match="expected a number for easy and for hard faces"):
        made._certainty(False, True)


def test_without_a_mesh_there_is_still_a_case():
    testimony = examined(witness(), mesh=False)
    assert testimony.considered[0].label in ("real", "fake")


def test_clauses_as_numbers_know_their_side_and_an_empty_case_is_a_blank():
    clause = _cases.Clause("fake", "region", "…", 0.8, "nose", (0.0, 0.0, 1.0, 1.0))
    states, seen = _cases.states([clause], "fake")
    assert states.shape == (12, _cases.WIDTH) and seen.tolist() == [True] + [False] * 11
    assert not (states == _cases.states([replace(clause, side="real")], "fake")[0]).all()
    assert _cases.states([], "real")[1].tolist() == [True] + [False] * 11


# --------------------------------------------------------------------------------------------------------- in reports


def report(testimony: Testimony) -> Report:
    track, clip = checks.photo(160, 160, 3)
    verdict = Verdict("fake", 0.8, (0.6, 0.9), (0.3, 0.7), testimonies=(testimony,))
    return Report("photo.png", "ok", medium=clip.medium, verdict=verdict, people=(PersonReport(track, verdict),))


def test_reports_lay_both_cases_side_by_side_and_say_why_one_won():
    made = report(examined(witness(Evidence(0.8), language=Says(FAKE, REAL, FAKE))))
    page, text = html.render(made).decode(), markdown.render(made).decode()
    for written in (page, text):
        assert "The case for “real”" in written and "The case for “fake”" in written
        assert "A hard face: what is supposed changes the answer." in written
        assert "fits the picture by 80" in written and "fits the picture by 20" in written
    assert page.count('class="case won"') == 1


def test_the_answer_that_stands_is_shown_whatever_it_was_asked_under():
    weighed = (
        Reply("fake", 0.2, ("The nose is smeared.",), match=0.19),
        Reply("fake", 0.2, ("The nose is smeared.",), match=0.15, hypothesis="real"),
        Reply("real", 0.8, ("Nothing is smeared.",), match=0.81, hypothesis="fake"),
    )
    made = Testimony("ffaa", 0.19, reply=weighed[2], considered=weighed)
    assert formats.cases(made) == (("real", weighed[2]), ("fake", weighed[0]))
    conceding = replace(made, considered=weighed[:2])
    assert formats.cases(conceding) == (("real", weighed[1]), ("fake", weighed[0]))
    assert formats.fits("real", weighed[1]) == "concedes"


def test_a_stranger_s_markup_in_an_answer_stays_text():
    evil = REAL.replace("All fits.", "<script>alert(1)</script> All fits.")
    made = report(examined(witness(Evidence(0.2), language=Says(evil))))
    assert "<script>alert" not in html.render(made).decode()


def test_a_testimony_without_both_sides_shows_its_words_as_before():
    reply = Reply("fake", 0.8, ("It is smeared.",))
    assert formats.cases(Testimony("mare", 0.8, reply=reply)) == ()
    assert "says, in its own words" in html.render(report(Testimony("mare", 0.8, reply=reply))).decode()
