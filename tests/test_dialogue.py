"""Answers come from the evidence, agree with the verdict, and keep to what was asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports import REPORTS, clip_of

from facewitness import media, plugins, regions
from facewitness.dialogue import Dialogue, as_reply
from facewitness.errors import BackendError, InputError
from facewitness.questions import MOST
from facewitness.types import Finding, Question, Reply, Testimony, Turn, Verdict


@pytest.fixture
def two() -> Dialogue:
    """Face 1 is fake (left eye 92 %, mouth 74 %, nose 41 %), face 2 real; face 1 is spoken of first."""
    return Dialogue(REPORTS["two_faces"])


@pytest.mark.parametrize(
    ("question", "label", "begins"),
    [
        ("Is this face real?", "fake", "No. Face 1 of 2 is judged fake: 91 % fake"),
        ("Is it a deepfake?", "fake", "Yes. "),
        ("Is it real or fake?", "fake", "Face 1 of 2 is judged fake"),
        ("Is the mouth fake?", "fake", "Yes. Strong sign (74 %): The mouth shows traces"),
        ("Is the mouth genuine?", "fake", "No. Strong sign (74 %)"),
        ("Is the upper lip real?", "fake", "No. Strong sign (74 %): The mouth"),  # a part of what was found
        ("Are the left eye and the chin forged?", "fake", "Left eye: yes. Very strong sign (92 %)"),
        ("Are the eyes forged?", "fake", "Yes. Very strong sign (92 %): The left eye"),
        ("Is the nose fake?", "inconclusive", "Perhaps. Weak sign (41 %)"),  # wrong more often than right
        ("Is the left ear forged?", "real", "Not as far as can be seen: no sign was found at the left ear."),
        ("Is the chin authentic?", "real", "As far as can be seen, yes: no sign was found at the chin."),
        ("Where?", "fake", "Left eye, mouth and nose."),
        ("Which regions are manipulated?", "fake", "Left eye, mouth and nose."),
        ("How sure are you?", "fake", "Face 1 of 2: 91 % fake (84–96 %). The range is the 95 % interval"),
        ("How was it made?", "fake", "Most like: face swap."),
        (
            "What about the second face?",
            "real",
            "Face 2 of 2 shows no sign of forgery: 8 % fake",
        ),
        (
            "Is face 2 fake?",
            "real",
            "Not as far as can be seen. Face 2 of 2 shows no sign of forgery: 8 % fake",
        ),
        ("Is face 7 fake?", None, "There are 2 faces in this picture, so there is no face 7."),
        ("Is face 0 fake?", None, "There are 2 faces in this picture, so there is no face 0."),
        ("Is face -1 fake?", None, "There are 2 faces in this picture, so there is no face -1."),
        ("Is the face #99999999999999999999 fake?", None, "There are 2 faces in this picture, so there is no face 999"),
        (
            "Is the third from the left fake?",
            None,
            "There are 2 faces in this picture, so there is no third from the left.",
        ),
        ("Is the man in the third row fake?", None, "There are 2 faces in this picture, so there is no third row."),
        ("How many faces are there?", None, "2 faces were found, numbered left to right, top to bottom: face 1: fake"),
        ("Suppose it is fake.", "fake", "What would speak for it: Very strong sign (92 %): The left eye"),
        ("Assume it is genuine. What evidence do you have?", "fake", "What would speak for it: no sign at the skin"),
        ("Tell me a joke", None, "I did not understand that. I can say whether"),
    ],
)
def test_answers(two, question, label, begins):
    answer = two.ask(question)
    assert answer.text.startswith(begins)
    assert answer.label == label


def test_a_conversation_remembers_the_region_and_the_face(two):
    assert two.ask("Is the mouth fake?").regions == ("mouth",)
    why = two.ask("Why?")
    assert why.text.startswith("The witness compact points at the mouth: strong sign (74 %): The mouth shows traces")
    assert "The mask covers" in why.text
    assert (why.label, why.regions) == ("fake", ("mouth",))
    assert two.ask("And the nose?").regions == ("nose",)
    assert two.ask("Is it genuine?").text.startswith("No. Face 1")  # the picture, not the nose
    assert two.ask("What of face 2?").label == "real"
    assert "at the mouth, for the face shows no sign" in two.ask("Is the mouth fake?").text
    assert two.ask("Is it genuine?").text.startswith("As far as can be seen, yes. Face 2 of 2 shows no sign of forgery")
    assert [question for question, _ in two.turns][1] == "Why?"


LEFT, RIGHT, EITHER = (
    "Face 1 of 2 is judged fake",
    "Face 2 of 2 shows no sign of forgery",
    "I cannot tell which face is meant. Say face 1",
)


@pytest.mark.parametrize(
    ("question", "holds", "label"),
    [
        ("Is the face on the right fake?", RIGHT, "real"),
        ("Is the person on the right real?", RIGHT, "real"),
        ("Is the second face from the left fake?", RIGHT, "real"),
        ("Is the smaller face fake?", RIGHT, "real"),
        ("Is the person on the left fake?", LEFT, "fake"),
        ("Is the big face fake?", LEFT, "fake"),
        ("And the leftmost one?", LEFT, "fake"),
        ("Is the woman in the middle fake?", EITHER, None),
        ("Is the man real?", EITHER, None),
        ("Is the one with glasses fake?", EITHER, None),
        ("Is the face at the top fake?", EITHER, None),
        ("Is the left eye of the person on the right fake?", "nothing is claimed at the left eye", "real"),
        ("Is the left one or the right one fake?", "Face 1: fake, 91 % fake (84–96 %); face 2: no sign", None),
        ("Which faces are fake?", "Judged fake: face 1. Undecided: none. No sign of forgery found: face 2.", None),
        ("Who is fake?", "Judged fake: face 1.", None),
        ("Is nobody fake?", "Judged fake: face 1.", None),
        ("Is neither face fake?", "Judged fake: face 1.", None),
        ("Do both look real?", "Judged fake: face 1.", None),
        ("Are they real?", "Judged fake: face 1.", None),
        ("Are both of the eyes forged?", "Left eye: yes. Very strong sign (92 %): The left eye", "fake"),
        ("Are faces 1 and 2 fake?", "Face 1: fake, 91 % fake (84–96 %); face 2: no sign", None),
        ("Are faces 1, 2 and 3 fake?", "so there is no face 3", None),
        ("Is the left or right face fake?", "Face 1: fake, 91 % fake (84–96 %); face 2: no sign", None),
        ("Is the left face real or the right?", "Face 1: fake, 91 % fake (84–96 %); face 2: no sign", None),
        ("Is #2 fake?", RIGHT, "real"),
        ("Is the second fake?", RIGHT, "real"),
        ("Is the second largest face fake?", RIGHT, "real"),
        ("Is the third largest face fake?", EITHER, None),
        ("Is the person farthest right fake?", RIGHT, "real"),
        ("Is the person left of the one on the right fake?", EITHER, None),
        ("Is the youngest fake?", EITHER, None),
        ("Is the taller one real?", EITHER, None),
        ("Is the front person fake?", EITHER, None),
        ("Is Angela Merkel fake?", EITHER, None),
        (
            "Is the flag fake?",
            "Only faces are examined: nothing is said about the flag. If a person is meant, say",
            None,
        ),
        ("Is the hat of the person on the left fake?", "nothing is said about the hat", None),
        ("Is anybody real?", "No sign of forgery found: face 2.", None),
        ("Is the picture fake?", "Yes. The picture has a face that is judged fake. 2 faces: 1 no sign", "fake"),
        ("Is the background fake?", "The background was not examined: only faces are.", None),
        ("Is the voice real?", "The voice and the sound were not examined", None),
        ("Are the hands fake?", "The hands were not examined", None),
        ("Is this person a real politician?", "Who it is was not examined", None),
        ("Is that Angela Merkel?", "Who it is was not examined", None),
        ("Is the verdict fake?", "Yes: the verdict on the picture is “fake”", "fake"),
        ("Is the verdict real?", "No: the verdict on the picture is “fake”", "fake"),
        ("Is the verdict wrong?", "Face 1 of 2: fake. Such a verdict can be wrong.", "fake"),
        ("Where is the fake face?", "Face 1: 90, 110 to ", None),
        ("Where is face 2?", "in pixels from the upper left.", None),
        ("Summarise the report", "The picture has a face that is judged fake. 2 faces: 1 no sign", "fake"),
        ("How big is face 2?", "pixels large", None),
        ("Was somebody added?", "2 faces were found, numbered left to right, top to bottom: face 1: fake", None),
        ("Was somebody added?", "A face that was put in as it is shows no sign of forgery.", None),
        ("Was the man on the right added?", "The report says nothing about that. Face 2: no sign of forgery", None),
        ("Is anyone missing from the picture?", "Whether somebody or something was added, removed or moved was", None),
        ("Are the faces the same person?", "Whether it is the same person was not examined", None),
        ("Which region is the most suspicious?", "The strongest of 3, at the left eye: very strong sign", "fake"),
        ("What is the weakest sign?", "The weakest of 3, at the nose: weak sign (41 %)", "fake"),
        ("List the signs", "3 signs were found. Very strong sign (92 %)", "fake"),
        ("Which parts are not fake?", "No sign was found at: skin, right eye, ", "fake"),
        ("Which eye is fake?", "Right eye: not as far as can be seen", "fake"),
        ("Is only the mouth fake?", "Signs were found at other places, too: left eye and nose.", "fake"),
        ("How much of the face is fake?", "How much was changed was not measured", "fake"),
        ("Why is it inconclusive?", "Face 1 of 2 is not judged that: fake, 91 % fake", "fake"),
        ("Why isn't it real?", "The left eye shows very strong traces of forgery.", "fake"),
        ("What do the witnesses say?", "Face 1 of 2: compact: 91 % fake", "fake"),
        ("What did you not look at?", "Not examined: the background, ", None),
        ("What can you do?", "I answer from the report of facewitness 0.1.0 and from nothing else.", None),
        ("Could it be make-up?", "was not told apart from a forgery", "fake"),
        ("What if the photo was compressed?", "I speak of the file that was analysed.", "fake"),
        ("Is it fake at 0:01?", LEFT, "fake"),
        ("Is this the original file?", "Whether this is the original nobody can tell from it.", None),
        ("What is the hash?", "SHA-256: 5b1f4a0c", None),
        ("When was the photo taken?", "The file's metadata names the camera Painted One.", None),
        ("What does inconclusive mean?", "neither a weak yes nor a weak no", None),
        ("What does a weak sign mean?", "weak below 50 %", None),
        ("Can I publish this?", "That decision is yours", None),
        ("What should I do next?", "Search for the original", None),
        ("Was it made with Midjourney?", "Which program made or changed a picture is not told", None),
        ("Is it AI generated?", "face swap 71 %", "fake"),
        ("In German please", "I answer in English only. Only questions in English are read.", None),
        ("Can you answer in French?", "I answer in English only.", None),
        ("Is the French version fake?", "The picture has a face that is judged fake", "fake"),
        ("Has the skin been smoothed?", "Whether the skin was smoothed or a filter was used was not examined", None),
        ("Ist das Gesicht echt?", "Only questions in English are read. Ask, for example", None),
        ("هل هذا الوجه حقيقي؟", "Only questions in English are read", None),
        ("x", "I did not understand that", None),
        ("Is the noſe fake?", "Perhaps. Weak sign (41 %)", "inconclusive"),
        ("İs it fake?", LEFT, "fake"),
        ("\x1b[2J\u202e<script>alert(1)</script>", "I did not understand that", None),
    ],
)
def test_questions_as_people_put_them(two, question, holds, label):
    answer = two.ask(question)
    assert holds in answer.text
    assert answer.label == label


def test_the_picture_is_not_the_face_that_was_spoken_of(two):
    assert two.ask("Is face 2 fake?").label == "real"
    assert two.ask("Are they real?").label == "real"
    assert two.ask("What is the verdict?").text.startswith("Face 2 of 2 shows no sign of forgery")
    assert two.ask("Is the picture fake?").text.startswith("Yes. The picture has a face that is judged fake")


def test_a_region_that_the_mask_covers_is_not_said_to_have_no_sign():
    report = REPORTS["two_faces"]
    person = report.people[0]
    assert person.mask is not None
    mask = replace(person.mask, values=np.ones_like(person.mask.values))
    covered = replace(report, people=(replace(person, mask=mask), *report.people[1:]))
    answer = Dialogue(covered).ask("Is the chin fake?")
    assert answer.text.startswith(
        "Not as far as can be seen: no finding names the chin, but the mask covers > 99 % of it"
    )


def test_a_strong_sign_that_is_not_claimed_is_told_of_its_place_and_why():
    report = REPORTS["two_faces"]
    person = report.people[0]
    at = person.face.at
    unclaimed = [
        replace(Finding.on(name, at.box, None, f"The {name} is odd.", 0.9, at), moves=0.05)
        for name in ("chin", "right_eyebrow")
    ]
    (testimony,) = person.verdict.testimonies
    moving = [replace(finding, moves=0.9) for finding in testimony.findings]
    verdict = replace(person.verdict, testimonies=(replace(testimony, findings=(*moving, *unclaimed)),))
    dialogue = Dialogue(replace(report, people=(replace(person, verdict=verdict), *report.people[1:])))
    chin = dialogue.ask("Is the chin fake?")
    resting = "The chin is marked in the mask (90 % of such signs are right), but the score does not rest on it."
    assert chin.text.startswith(f"Perhaps. {resting}") and chin.label == "inconclusive" and chin.findings == ()
    assert "The score does not rest on it, so it is not claimed." in dialogue.ask("Why?").text
    assert "The eyebrows are marked in the mask" in dialogue.ask("Are the eyebrows fake?").text
    assert (
        "The chin and the right eyebrow are marked in the mask (90 % of such signs are right), but the score does not "
        "rest on them."
    ) in dialogue.ask("Is only the mouth fake?").text
    open_verdict = replace(verdict, label="inconclusive")
    undecided = Dialogue(replace(report, people=(replace(person, verdict=open_verdict, findings=(), explanation=()),)))
    assert undecided.ask("Is the chin fake?").text.startswith(
        f"That cannot be decided: the face is inconclusive. {resting}"
    )


def test_the_other_face_is_the_one_that_was_not_spoken_of(two):
    assert RIGHT in two.ask("Is the face on the right fake?").text
    assert LEFT in two.ask("And the other one?").text
    assert RIGHT in two.ask("And the other?").text


def test_why_after_a_region_is_another_and_fuller_answer(two):
    for region in ("mouth", "nose", "chin"):
        first, why = two.ask(f"And the {region}?").text, two.ask("Why?").text
        assert why != first
        assert "The face as a whole: fake, 91 % fake (84–96 %)." in why
    assert "No witness points at the chin." in why


def test_views_that_part_are_told_by_why_and_how_sure_and_on_the_page():
    report = REPORTS["inconclusive"]
    reason = "The views of the face contradict each other: w finds it fake as it is, and without a sign smaller."
    apart = replace(report.people[0].verdict, cause="contradiction", reasons=(reason,))
    people = (replace(report.people[0], verdict=apart),)
    told = replace(report, people=people, verdict=replace(apart, testimonies=()))
    for question in ("Why?", "How sure are you?", "Is it fake?"):
        assert reason in Dialogue(told).ask(question).text
    assert reason in plugins.get("formats", "html").render(told).decode()
    band = replace(told, people=(replace(people[0], verdict=replace(apart, cause="band")),))
    assert reason not in Dialogue(band).ask("How sure are you?").text


def test_how_often_it_is_wrong_is_told_from_what_was_measured():
    measured = {
        "rates": {
            "genuine": 2390, "genuine_called_fake": 0.004, "genuine_called_real": 0.54,
            "fakes": 1767, "fakes_called_fake": 0.22, "fakes_called_real": 0.1, "prior": 0.6,
        },
        "knows": "Knows face swaps.", "does_not_know": "Does not know pictures that diffusion models made.",
        "no_sign": "It missed 45 % of real-time swaps.",
    }  # fmt: skip
    made_by = {"witnesses": [{"name": "compact", "measured": measured}]}
    dialogue = Dialogue(replace(REPORTS["two_faces"], made_by=made_by))
    wrong = dialogue.ask("How often are you wrong?").text
    assert "Of 2,390 genuine faces that were held out of its training, compact called 0.4 % fake" in wrong
    assert "Of 1,767 forged faces" in wrong and "The thresholds were chosen on these faces" in wrong
    assert "It missed 45 % of real-time swaps." in wrong
    assert "hold where 60 in 100 faces are forged" in wrong and "1 in 100 is, 95 % come down to 11 %" in wrong
    assert "diffusion models" in dialogue.ask("Was it made with Midjourney?").text
    unmeasured = Dialogue(REPORTS["two_faces"]).ask("How often are you wrong?").text
    assert unmeasured.startswith("The error rates of these witnesses were not measured")


def test_a_probability_is_told_for_the_share_of_forgeries_that_is_asked_for():
    """Bayes by hand: 0.8 among 60 % fakes is odds of 4 over 1.5, times 1/99 for one in a hundred."""
    report = REPORTS["two_faces"]
    verdict = report.people[0].verdict
    names = {t.witness for t in verdict.testimonies}
    described = [{"name": name, "measured": {"rates": {"prior": 0.6}}} for name in names]
    report = replace(
        report,
        made_by={"witnesses": described},
        people=(replace(report.people[0], verdict=replace(verdict, fake=0.8, interval=(0.7, 0.9))), *report.people[1:]),
    )
    for question in ("What is the base rate?", "How rare are deepfakes?"):
        rate = Dialogue(report).ask(question).text
        assert "hold where 60 in 100 faces are forged" in rate and "73 % where half of all faces are forged" in rate
    for question, there in {
        "What if only one in a hundred pictures is fake?": "3 % where 1 in 100 is forged",
        "Suppose 5 of 100 such photos are forged.": "12 % where 5 in 100 are forged",
        "What if 5 % of them are fake?": "12 % where 5 % are forged",
        "What if one in a thousand is fake?": "< 1 % where 1 in 1,000 is forged",
    }.items():
        answer = Dialogue(report).ask(question)
        assert there in answer.text and answer.label == verdict.label, question
    assert "73 %" in Dialogue(report).ask("Does 80 % mean that 80 of 100 such pictures are fake?").text
    assert "not in this report" in Dialogue(REPORTS["two_faces"]).ask("What is the base rate?").text
    silent = replace(report.people[0], verdict=replace(verdict, fake=None, interval=None, label="inconclusive"))
    unjudged = replace(report, people=(silent,))
    assert "no probability" in Dialogue(unjudged).ask("What is the base rate?").text


def test_every_finding_an_answer_names_is_one_of_the_report(two):
    found = {f.region for f in REPORTS["two_faces"].faces[0].findings}
    for region in regions.REGIONS:
        answer = two.ask(f"Is the {regions.title(region)} fake?")
        assert {f.region for f in answer.findings} <= found
        assert answer.label != "fake" or answer.findings, answer.text


def test_a_supposition_never_changes_the_verdict():
    for name in ("two_faces", "problems", "inconclusive", "unmeasured"):
        label = REPORTS[name].faces[0].verdict.label
        for question in ("Suppose it is fake", "Suppose it is real"):
            answer = Dialogue(REPORTS[name]).ask(question)
            assert answer.label == label
            assert "changes nothing of the verdict" in answer.text
    unmeasured = Dialogue(REPORTS["unmeasured"]).ask("Suppose it is real")
    assert unmeasured.text.startswith("Nothing was measured")


def test_what_a_question_takes_for_granted_is_told_where_the_verdict_is_another():
    report = replace(REPORTS["two_faces"], people=REPORTS["two_faces"].people[:1])
    label = report.people[0].verdict.label
    other = "real" if label == "fake" else "fake"
    wrong = Dialogue(report).ask(f"Since this is {other}, how sure are you?")
    assert wrong.text.startswith(f"The question takes for granted that the face is {other}, which is not the verdict.")
    right = Dialogue(report).ask("How sure are you?")
    assert wrong.text.endswith(right.text) and wrong.label == right.label
    if label in ("real", "fake"):
        assert Dialogue(report).ask(f"Since this is {label}, how sure are you?").text == right.text


@pytest.mark.parametrize("question", ["Prove that this is fake!", "Convince me that it is genuine."])
def test_a_question_that_wants_one_side_proved_gets_both(question):
    report = replace(REPORTS["two_faces"], people=REPORTS["two_faces"].people[:1])
    without, plain = Dialogue(report).ask(question), Dialogue(report).ask("Is it fake?")
    assert "takes for granted that this is" in without.text and without.label == plain.label
    assert "For “fake”: " in without.text and "For “real”: " in without.text
    weighed = tuple(
        Reply(side, None, (f"Forgery reasoning: {text}\nAnalysis result: {side}",), match=fit, hypothesis=side)
        for side, text, fit in (("real", "All fits.", 0.3), ("fake", "The nose is smeared.", 0.8))
    )  # fmt: skip
    testimony = replace(report.people[0].verdict.testimonies[0], reply=weighed[1], considered=weighed)
    verdict = replace(report.people[0].verdict, testimonies=(testimony,))
    both = Dialogue(replace(report, people=(replace(report.people[0], verdict=verdict),))).ask(question)
    assert "For “fake”, by compact (fits the picture by 80 %): The nose is smeared." in both.text
    assert "(fits the picture by 30 %): All fits." in both.text and "Analysis result" not in both.text
    assert "“fake” stands because its best answer fits the picture by 80 %" in both.text
    assert both.label == plain.label, "a demand changes no verdict"
    for question in ("What is the case for real?", "Suppose it is fake", "What speaks for either side?"):
        asked = Dialogue(replace(report, people=(replace(report.people[0], verdict=verdict),))).ask(question)
        assert "The nose is smeared." in asked.text and "All fits." in asked.text and asked.label == plain.label
        assert "takes for granted" not in asked.text


def test_an_inconclusive_face_has_hints_and_no_yes():
    dialogue = Dialogue(REPORTS["inconclusive"])
    answer = dialogue.ask("Is the left ear forged?")
    assert answer.label == "inconclusive"
    assert answer.text.startswith("That cannot be decided: the face is inconclusive. Hints there:")
    assert dialogue.ask("How was it faked?").text.startswith("The face is not judged fake (inconclusive)")


def test_regions_that_cannot_be_seen():
    assert "gives no landmarks" in Dialogue(REPORTS["unmeasured"]).ask("Is the nose fake?").text
    outside = Dialogue(REPORTS["unicode"])  # its face hangs out of the picture on the left
    answer = outside.ask("Is the right ear fake?")
    assert (answer.label, answer.text.split(".")[0]) == (None, "The right ear lies outside the picture")


@pytest.mark.parametrize("name", ["no_face", "failed"])
def test_without_a_face_every_question_has_the_same_answer(name):
    dialogue = Dialogue(REPORTS[name])
    texts = {dialogue.ask(q).text for q in ("Is it fake?", "Is the nose fake?", "What about face 2?", "Why?")}
    assert len(texts) == 1
    assert dialogue.ask("Is it real?").label is None


@pytest.mark.parametrize("name", list(REPORTS))
@given(question=st.text(min_size=1, max_size=80))
def test_no_question_breaks_it(name, question):
    dialogue = Dialogue(REPORTS[name])
    if question.strip():
        answer = dialogue.ask(question)
        assert answer.text
        assert as_reply(answer).label == answer.label


def test_questions_that_are_none():
    dialogue = Dialogue(REPORTS["two_faces"])
    with pytest.raises(InputError, match="got an empty one"):
        dialogue.ask("  \n ")
    with pytest.raises(InputError, match="at most 2,000 characters, got one of 100,000"):
        dialogue.ask("x" * 100_000)
    assert not dialogue.turns
    assert dialogue.ask("nose " * (MOST // 5)).regions == ("nose",)


# ---------------------------------------------------------------------------------------------- with a language model


def spoken(*answers: str, report: str = "two_faces") -> Dialogue:
    return Dialogue(REPORTS[report], plugins.get("backends", "echo").load(answers), clip_of(REPORTS[report]))


def test_a_language_model_words_the_answer_from_the_evidence():
    dialogue = spoken("Yes, the mouth looks forged.", "It is strong.")
    answer = dialogue.ask("Is the mouth fake?")
    assert answer.text == "Yes, the mouth looks forged."
    assert (answer.label, answer.problem) == ("fake", "")
    dialogue.ask("How strong is it?")
    (first, images), (second, _) = dialogue.backend.asked
    assert images == 1
    assert "Verdict: fake, 91 % fake (84–96 %)." in first[0]["content"]
    assert "Found at the mouth: Strong sign (74 %)" in first[0]["content"]
    assert [m["content"] for m in second[1:]] == [
        "Is the mouth fake?", "Yes, the mouth looks forged.", "How strong is it?",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("question", "words", "note"),
    [
        ("Is it fake?", "No, it is real.", "says real; the evidence says fake, and the evidence stands"),
        ("Is it genuine?", "Yes, entirely.", "says real; the evidence says fake"),
        ("Is it genuine?", "No, the left eye is odd.", None),
        ("Why?", "The chin and the mouth are blurred.", "Nothing in the evidence points to the chin."),
        ("Why?", "The mouth is blurred. The chin is not.", None),
    ],
)
def test_what_contradicts_the_evidence_is_marked_and_never_believed(question, words, note):
    answer = spoken(words).ask(question)
    assert answer.label == "fake"
    assert answer.text.startswith(words)
    assert (note in answer.text) if note else (answer.text == words)


def test_a_language_model_that_fails_leaves_the_answer_from_the_evidence():
    class Down:
        def ask(self, messages, images=()):
            raise BackendError("nothing answers")

    answer = Dialogue(REPORTS["two_faces"], Down()).ask("Is the mouth fake?")
    assert answer.text.startswith("Yes. Strong sign")
    assert answer.problem == "nothing answers"


@pytest.mark.parametrize("hear", [None, [].append])
@pytest.mark.parametrize(("said", "sentence"), [(5, "Expected a text, got int"), (None, "ValueError: a fault")])
def test_a_language_model_that_breaks_its_promise_leaves_the_answer_from_the_evidence(said, sentence, hear):
    class Odd:
        def ask(self, messages, images=()):
            if said is None:
                raise ValueError("a fault")
            return said

        def stream(self, messages, images=()):
            yield self.ask(messages, images)

    answer = Dialogue(REPORTS["two_faces"], Odd()).ask("Is the mouth fake?", hear)
    assert answer.text.startswith("Yes. Strong sign") and sentence in answer.problem


def test_words_are_heard_as_they_come():
    class Streaming:
        def stream(self, messages, images=()):
            yield from ("No, ", "it is real.")

    heard = []
    answer = Dialogue(REPORTS["two_faces"], Streaming()).ask("Is it fake?", heard.append)
    assert heard == ["No, ", "it is real."]
    assert answer.text.startswith("No, it is real. [")
    assert "the evidence stands" in answer.notes[0]


def test_what_ends_the_hearing_stops_the_model_and_leaves_the_conversation_as_it_was():
    class Streaming:
        stopped = False

        def stream(self, messages, images=()):
            try:
                yield from ("No, ", "it is real.")
            finally:
                self.stopped = True

    def interrupt(piece):
        raise KeyboardInterrupt

    dialogue = Dialogue(REPORTS["two_faces"], Streaming())
    heard = []
    dialogue.ask("Is it fake?", heard.append)
    dialogue.backend.stopped = False
    with pytest.raises(KeyboardInterrupt):
        dialogue.ask("Is the nose fake?", interrupt)
    assert dialogue.backend.stopped
    assert [question for question, _ in dialogue.turns] == ["Is it fake?"]


def test_without_a_face_no_language_model_is_asked():
    dialogue = spoken("Yes.", report="no_face")
    assert dialogue.ask("Is it fake?").label is None
    assert not dialogue.backend.asked


# ----------------------------------------------------------------------------------------------------- with a witness


class Speaking:
    """A witness that says what it was told to."""

    name = "orator"
    answers_questions = True

    def __init__(self, *replies: Reply | Exception):
        self._replies = list(replies)
        self.asked: list[tuple[int, Question, tuple[Turn, ...]]] = []

    def answer(self, track, clip, question, history=(), hear=None):
        self.asked.append((track.person, question, tuple(history)))
        reply = self._replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        if hear is not None:
            hear(reply.text)
        return reply


def speaking(*replies: Reply | Exception) -> tuple[Dialogue, Speaking]:
    report, witness = REPORTS["two_faces"], Speaking(*replies)
    return Dialogue(report, None, clip_of(report), [object(), witness]), witness


def test_a_witness_is_asked_and_its_words_stand_beside_the_evidence():
    dialogue, witness = speaking(Reply("fake", parts=("The mouth is smeared.",), thought="secret"), Reply(None))
    answer = dialogue.ask("Is the mouth fake?")
    assert answer.text.startswith("Yes. Strong sign (74 %): The mouth shows traces of forgery.")
    assert answer.text.endswith("\norator: The mouth is smeared.") and "secret" not in answer.text
    assert (answer.label, answer.witness, answer.reply.text) == ("fake", "orator", "The mouth is smeared.")
    dialogue.ask("Why?")
    (person, question, _), (_, _, history) = witness.asked
    assert (person, question.text, [place.region for place in question.places]) == (0, "Is the mouth fake?", ["mouth"])
    assert history == (Turn("Is the mouth fake?", "The mouth is smeared."),)
    assert "secret" not in "".join(answered.text for _, answered in dialogue.turns)
    assert dialogue.turns[1][1].text.endswith("orator: (no words)")


@pytest.mark.parametrize(
    ("question", "reply", "note"),
    [
        ("Is it fake?", Reply("real", parts=("Nothing looks forged.",)), "The witness orator says real; the evidence"),
        ("Is it real?", Reply("fake", parts=("Yes, it is.",)), "The witness orator says real; the evidence says fake"),
        ("Is it fake?", Reply("fake", parts=("The chin is odd.",)), "Nothing in the evidence points to the chin."),
        ("Is it fake?", Reply("fake", parts=("The mouth is odd.",)), None),
    ],
)
def test_a_witness_is_held_to_the_evidence(question, reply, note):
    answer = speaking(reply)[0].ask(question)
    assert answer.label == "fake"
    assert (note in answer.text) if note else not answer.notes


def test_what_a_witness_notes_of_its_own_words_stands_beside_them():
    answer = speaking(Reply("fake", parts=("The mouth is odd.",), notes=("Its map says\u202e nothing.",)))[0].ask(
        "Is it fake?"
    )
    assert answer.notes == ("Its map says\\u202e nothing.",) and answer.text.endswith("[Its map says\\u202e nothing.]")


def test_a_no_about_a_place_that_the_evidence_names_is_told():
    report = REPORTS["inconclusive"]
    found = report.people[0].findings[0].region
    witness = Speaking(Reply(None, parts=("No, that place is not forged.",)))
    answer = Dialogue(report, None, clip_of(report), [witness]).ask(f"Is the {found.replace('_', ' ')} fake?")
    assert answer.findings and answer.notes[0].startswith(
        "The witness orator says no of a place where the evidence names"
    )


@pytest.mark.parametrize(
    ("question", "words", "note"),
    [
        (
            "Is the mouth real?",
            "No, the mouth is genuine.",
            "The witness orator says real; the evidence says fake, and ",
        ),
        ("Is the mouth real?", "No, the mouth is forged.", None),
        ("Is the mouth real?", "No.", None),
        ("Is the mouth genuine?", "Yes, it is.", "The witness orator says real; the evidence says fake, and "),
        (
            "Is the mouth fake?",
            "No. The mouth is genuine.",
            "The witness orator says real; the evidence says fake, and ",
        ),
        ("Is the mouth fake?", "Yes, the mouth is fake.", None),
        ("Is the chin real?", "No, the chin is genuine.", None),
    ],
)
def test_a_no_that_states_something_says_what_it_states(question, words, note):
    """A model that learned "is it fake?" alone says no to "is it real?" and means that it is."""
    report = REPORTS["inconclusive" if "chin" in question else "two_faces"]
    answer = Dialogue(report, None, clip_of(report), [Speaking(Reply(None, parts=(words,)))]).ask(question)
    assert (note in answer.text) if note else answer.notes == (), answer.text


def test_words_about_a_place_of_which_the_evidence_can_say_nothing_are_told_as_that():
    report = REPORTS["two_faces"]
    person = report.people[0]
    covered = replace(person.face, unseen=frozenset({"forehead"}))
    hidden = replace(person, track=replace(person.track, faces=(covered,)))
    report = replace(report, people=(hidden, *report.people[1:]))
    for words, calls in (("No. The forehead is genuine.", "genuine"), ("Yes, the forehead is fake.", "forged")):
        witness = Speaking(Reply(None, parts=(words,)))
        answer = Dialogue(report, None, clip_of(report), [witness]).ask("Is the forehead fake?")
        assert answer.label is None and answer.text.startswith("Something covers the forehead."), answer.text
        assert f"[The witness orator calls a place {calls} of which the evidence can say nothing.]" in answer.text


def test_a_no_about_a_place_is_none_about_the_face():
    report = REPORTS["inconclusive"]
    witness = Speaking(Reply(None, parts=("No, the chin is not forged.",)), Reply("real", parts=("It is real.",)))
    dialogue = Dialogue(report, None, clip_of(report), [witness])
    answer = dialogue.ask("Is the chin fake?")
    assert answer.label == "inconclusive" and answer.notes == ()
    assert dialogue.ask("Is the chin fake?").notes[0].startswith("The witness orator says real")


def test_a_yes_about_a_place_of_which_the_evidence_says_nothing_is_told_as_that():
    report = REPORTS["inconclusive"]
    witness = Speaking(Reply(None, parts=("Yes, the chin is forged.",)))
    answer = Dialogue(report, None, clip_of(report), [witness]).ask("Is the chin fake?")
    assert answer.notes[0] == (
        "The witness orator says yes of a place where the evidence names nothing that decides; the evidence stands."
    )
    assert not any("says fake" in note for note in answer.notes)


@pytest.mark.parametrize("fault", [BackendError("nobody there"), ValueError("a fault of its own")])
def test_a_witness_that_fails_costs_its_words(fault):
    heard: list[str] = []
    answer = speaking(fault)[0].ask("Is it fake?", heard.append)
    assert answer.text.startswith("Yes. Face 1 of 2 is judged fake")
    assert "nobody there" in answer.problem or "ValueError: a fault of its own" in answer.problem
    assert "".join(heard).startswith(answer.text)


def test_the_answer_from_the_evidence_is_heard_first():
    heard: list[str] = []
    answer = speaking(Reply("real", parts=("No.",)))[0].ask("Is it fake?", heard.append)
    assert "".join(heard) == answer.text.removesuffix(f" [{answer.notes[0]}]")


def test_what_is_no_face_s_is_not_put_to_a_witness():
    dialogue, witness = speaking()
    for question in (
        "Is the background fake?",
        "Which faces are fake?",
        "What next?",
        "Is the man fake?",
        "Ist das echt?",
    ):
        dialogue.ask(question)
    assert not witness.asked


def test_a_witness_without_anybody_to_ask_is_not_asked():
    witness = Speaking()
    witness.answers_questions = False
    dialogue = Dialogue(REPORTS["two_faces"], None, clip_of(REPORTS["two_faces"]), [witness])
    assert dialogue.witness is None
    assert dialogue.ask("Is it fake?").text.startswith("Yes. Face 1 of 2")


@pytest.mark.parametrize("question", ["Is it fake?", "Is the nose fake?", "How sure are you?", "Is this AI generated?"])
def test_of_several_people_an_answer_says_whom_it_is_about_and_counts_the_others(question):
    answer = Dialogue(REPORTS["two_faces"]).ask(question)
    assert "This is about face 1 of 2, the likeliest to be forged. 2 faces: 1 no sign" in answer.text
    chosen = Dialogue(REPORTS["two_faces"])
    chosen.choose(0)
    assert "This is about" not in chosen.ask(question).text


def test_a_question_that_was_asked_back_is_answered_once_it_is_known_whom_it_means(two):
    for reply, text in (
        ("2", "Not as far as can be seen: nothing is claimed at the mouth"),
        ("the left one", "Yes. Strong sign (74 %)"),
    ):
        assert two.ask("Is the mouth of the man fake?").intent == "unclear"
        assert two.ask("Thanks").text == "You are welcome."
        answer = two.ask(reply)
        assert answer.text.startswith(text) and answer.regions == ("mouth",)
    assert two.ask("face 2").intent == "verdict", "nothing is open any more"
    one = Dialogue(replace(two.report, people=two.report.people[:1]))
    assert one.ask("Is the face on the right fake?").intent == "unclear"
    other = Dialogue(one.report)
    other.recall(one.memory)  # as a service does between two requests
    assert other.ask("yes").text.startswith("Yes. The face is judged fake")


def test_several_questions_are_each_answered(two):
    answer = two.ask("My aunt sent me this. Is the mouth fake? And the left ear?")
    assert answer.text.startswith("Mouth: yes. Strong sign (74 %)") and "Left ear: " in answer.text
    assert answer.regions == ("mouth", "left_ear") and answer.label == "fake"
    many = two.ask("Is it fake? " * 9)
    assert many.text.endswith("4 more of these questions are left: ask them by themselves.")
    assert many.text.count("Yes. Face 1 of 2 is judged fake") == 1, "what is the same stands once"


def test_regions_are_compared_and_not_faces(two):
    answer = two.ask("Which is worse, the nose or the mouth?")
    assert set(answer.regions) == {"nose", "mouth"} and "Nose: " in answer.text


def test_what_is_no_report_or_no_question_is_refused(two):
    with pytest.raises(InputError, match="expected a Report, as analyze"):
        Dialogue({"status": "ok"})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expected a question as text, got NoneType"):
        two.ask(None)


def test_slips_of_the_pen_are_told(two):
    assert two.ask("wheer was it forgd").text.startswith("Read as “where was it forged”: Left eye, mouth and nose.")
    assert two.ask("Is the noze real").text.startswith("Read as “is the nose real”: Perhaps.")
    assert two.ask("Is the hat fake?").text.startswith("Only faces are examined: nothing is said about the hat.")
    assert two.ask("merci").text.startswith("I did not understand that. Only questions in English are read.")


def test_what_is_asked_of_everybody_is_answered_of_everybody(two):
    for question in ("Whose mouth is fake?", "Are all the mouths fake?", "Which mouth is fake?"):
        text = two.ask(question).text
        assert (
            text.startswith("Face 1: yes. Strong sign (74 %)")
            and "Face 2: not as far as can be seen: nothing is claimed" in text
        )
    for question in ("Is only the left one fake?", "Is everybody real except the left one?", "Are both of them fake?"):
        assert two.ask(question).text.startswith(
            "Judged fake: face 1. Undecided: none. No sign of forgery found: face 2"
        )
    assert two.ask("Is the left one fake?").label == "fake"
    assert two.ask("How sure are you about the second?").text.startswith("Face 2 of 2: 8 % fake")
    assert two.ask("Are the others real?").text == "No. Face 1 of 2 is judged fake: 91 % fake (84–96 %)."


def test_what_nobody_examined_is_not_answered_about_a_face(two):
    for question, what in (
        ("Is the light on both faces the same?", "Light, shadows"),
        ("Do they look alike?", "Whether it is the same person"),
        ("Is the left face a copy of the right one?", "Whether it is the same person"),
    ):
        assert two.ask(question).text.startswith(what) and two.turns[-1][1].intent == "unexamined"
    two.ask("Is the mouth of face 1 fake?")
    assert two.ask("Are there more people?").text.startswith("2 faces were found"), "that “there” is no mouth"
    assert two.ask("Is it fake there?").regions == ("mouth",)
    assert two.ask("Right: fake?").text.startswith("Not as far as can be seen. Face 2 of 2")
    assert two.ask("Give me a verdict for the whole picture").intent == "picture"


def test_what_the_file_says_of_its_making_stands_beside_what_faces_tell(two):
    made = "The file says that Stable Diffusion generated what it shows: it holds settings of a sampler (“Steps: 20”)."
    edited = "The field “Software” names a program that edits pictures, “Adobe Photoshop”; not what it did."
    claims = tuple(Finding.on(None, (0, 0, 9, 9), None, claim, None) for claim in (made, edited))
    dialogue = Dialogue(replace(two.report, inspections=(Testimony("provenance", None, findings=claims),)))
    for question, claim in (
        ("Was it made with AI?", made), ("What was the prompt?", made), ("Was the picture edited?", edited),
    ):  # fmt: skip
        assert claim in dialogue.ask(question).text
    assert edited not in dialogue.ask("Is it fake?").text and edited not in dialogue.ask("Is it AI?").text


def test_where_the_file_decides_no_face_is_told_instead(two):
    claim = "The file says that Stable Diffusion generated what it shows: it holds settings of a sampler."
    said = Testimony("provenance", None, findings=(Finding.on(None, (0, 0, 9, 9), None, claim, None),))
    for people, status in ((two.report.people[1:], "ok"), ((), "no_face")):
        report = replace(two.report, people=people, status=status, inspections=(said,))
        dialogue = Dialogue(replace(report, verdict=Verdict("fake", None, None, None, None, (claim,))))
        for question, begins in (
            ("Is it real?", "No. The picture"),
            ("Is it fake?", "Yes. The picture"),
            ("Why?", "The"),
        ):
            answer = dialogue.ask(question)
            assert answer.text.startswith(f"{begins}") and "the file itself says that it was generated" in answer.text
            assert claim in answer.text and answer.label == "fake"
        if people:
            assert "Of the face alone: the face shows no sign of forgery: 8 % fake" in dialogue.ask("Is it real?").text
            nose = dialogue.ask("Is the nose fake?")
            assert nose.label == "inconclusive" and "But the picture is judged fake" in nose.text
            assert "The report calls a face fake" not in dialogue.ask("Can I publish it?").text
    assert "the file itself" not in two.ask("Is it real?").text


def test_of_a_face_that_could_not_be_judged_no_sign_and_no_strength_is_told():
    report = REPORTS["two_faces"]
    person = report.people[0]
    verdict = replace(person.verdict, label="inconclusive", cause="quality", reasons=("The face is small: 20 px.",))
    poor = replace(person, verdict=verdict, findings=(), explanation=())
    dialogue = Dialogue(replace(report, people=(poor,), verdict=verdict))
    for question in ("Is the mouth fake?", "Which parts are not fake?", "Suppose it is fake.", "Suppose it is real.",
                     "What speaks for either side?", "How was it made?", "Is it AI?"):  # fmt: skip
        text = dialogue.ask(question).text
        assert "sign (" not in text and "No sign was found" not in text and "face swap" not in text, text
    assert dialogue.ask("Is the mouth fake?").text.startswith("That cannot be decided: the face could not be judged.")


def test_a_picture_without_a_face_answers_what_needs_none():
    dialogue = Dialogue(REPORTS["no_face"])
    assert dialogue.ask("What can you do?").intent == "self"
    assert dialogue.ask("¿Es falso?").intent == "language"
    now = dialogue.ask("What now?").text
    assert now.startswith("No face was found") and "reverse image search" in now
    assert dialogue.ask("What does inconclusive mean?").text.startswith("Inconclusive means")
    assert dialogue.ask("Is the nose fake?").intent == "no_face"


def test_where_a_region_lies_can_be_asked(two):
    text = two.ask("Where exactly is the mouth?").text
    assert text.startswith("The mouth: ") and text.endswith(" of face 1, in pixels from the upper left.")
    assert two.ask("What are the coordinates of the nose of face 2?").text.startswith("The nose: ")
    assert two.ask("Where is the mouth fake?").intent == "region"


def test_one_of_two_regions_is_meant_where_they_were_spoken_of(two):
    one = Dialogue(replace(two.report, people=two.report.people[:1]))
    one.ask("Are the eyes fake?")
    assert one.ask("And the left one?").regions == ("left_eye",)
    assert one.ask("the other?").regions == ("right_eye",)
    assert one.ask("Both?").regions == ("left_eye", "right_eye")
    assert one.ask("Is the right one real?").text.startswith("As far as can be seen, yes")
    one.ask("Is the mouth fake?")
    assert one.ask("the left one").intent == "verdict", "there is one mouth"
    two.ask("Are the eyes fake?")
    assert two.ask("the left one").intent == "verdict", "of two people it is a person"


def test_the_last_answer_can_be_heard_again(two):
    assert two.ask("What did you say?").text.startswith("Nothing was asked before.")
    first = two.ask("Is the mouth fake?").text
    assert two.ask("Repeat that, please").text != first and two.ask("pardon?").text


@pytest.mark.parametrize("question", ["What camera was used?", "When was the photo taken?", "Is there any EXIF data?"])
def test_what_the_file_says_of_itself_is_told_without_a_face_too(two, question):
    claim = "The file says that it was taken with an ACME X100."
    said = Testimony("provenance", None, findings=(Finding.on(None, (0, 0, 9, 9), None, claim, None),))
    for report in (two.report, replace(two.report, status="no_face", people=(), verdict=None)):
        answer = Dialogue(replace(report, inspections=(said,))).ask(question)
        assert answer.text.startswith(claim) and "can be written by anybody" in answer.text
        assert (answer.intent, answer.label, answer.findings) == ("file", None, said.findings)
    other = replace(said, findings=(replace(said.findings[0], claim="The file holds no C2PA manifest."),))
    told = Dialogue(replace(two.report, inspections=(other,))).ask(question).text
    assert told.startswith("Nothing of a camera or a program was found in it")
    nothing = Dialogue(replace(two.report, inspections=(Testimony("provenance", None),))).ask(question)
    assert nothing.text.startswith("Nothing was found that the file says of itself.")


def test_what_can_be_seen_is_not_told_and_no_sign_is_told_instead(two):
    one = Dialogue(replace(two.report, people=two.report.people[:1]))
    for question, what in (
        ("Is she smiling?", "what a face looks like, such as its expression and its colours"),
        ("What colour are her eyes?", "what a face looks like, such as its expression and its colours"),
        ("Is he old?", "a person's age and such traits"),
        ("Where is he looking?", "what is to be seen and what happens"),
    ):
        for dialogue in (one, two):
            answer = dialogue.ask(question)
            assert answer.text.startswith(f"I do not tell {what}. Of a face I can say whether it, or a part of it,")
            assert (answer.intent, answer.label, answer.findings) == ("unexamined", None, ())
    for question in ("Is the photo uploaded anywhere?", "Do you store it?", "Is this confidential?"):
        assert one.ask(question).text.startswith("facewitness sends pictures nowhere by itself")
    assert one.ask("Are her blue eyes fake?").regions == ("eyes",)


def test_regions_are_compared_by_their_signs(two):
    one = Dialogue(replace(two.report, people=two.report.people[:1]))
    text = one.ask("Which is more suspicious, the nose or the mouth?").text
    assert text.startswith("Nose: perhaps. Weak sign (41 %)") and "Mouth: strong sign (74 %)" in text
    assert one.ask("What is the strongest sign at the mouth?").text.startswith("Strong sign (74 %): The mouth")


def test_whether_a_region_can_be_seen_and_how_sharp_it_is_are_no_signs(two):
    one = Dialogue(replace(two.report, people=two.report.people[:1]))
    assert one.ask("Can the nose be seen?").text == one.ask("Is the nose visible?").text
    assert one.ask("Can I see the original?").intent == "self"
    seen = one.ask("Is the nose visible?")
    assert (seen.text, seen.label) == ("Nothing is known that covers or cuts off the nose.", None)
    blurred = one.ask("Is the mouth blurred?")
    assert blurred.text.startswith("That was not measured of the mouth alone. As evidence the face is worth")
    assert one.ask("How many pixels has the face?").intent == "quality"
    outside = Dialogue(REPORTS["unicode"])  # its face hangs out of the picture on the left
    assert outside.ask("Is the right ear visible?").text == "The right ear lies outside the picture."


@pytest.mark.parametrize(
    ("question", "label", "begins"),
    [
        ("So 91 % means 91 % of the face is fake?", None, "The probability is calibrated"),
        ("Is 91 % of the face fake?", None, "The probability is calibrated"),
        ("Does inconclusive mean fake?", None, "Inconclusive means that"),
        ("What is a deepfake?", None, "A deepfake is"),
        ("What does no sign of forgery mean?", None, "No sign of forgery found means:"),
        ("Does that mean that it's genuine?", None, "No sign of forgery found means:"),
        ("Why is the interval so wide?", None, "The range beside a probability"),
        (
            "Could it be real after all?",
            "fake",
            "That cannot be excluded: any verdict can be wrong. The face is judged",
        ),
        ("Could it be fake?", "fake", "Yes. "),
        ("Is it half fake?", "fake", "The face is judged fake"),
        ("Was the smile changed?", "fake", "The face is judged fake"),
        ("Is just the face fake?", "fake", "The face is judged fake"),
        ("What did the original look like?", None, "Who or what was there before a change was not examined"),
        ("Whose face was swapped in?", None, "Who or what was there before a change was not examined"),
        ("How do I find the original?", None, "Look at the places"),
        ("Why not fake?", "fake", "The face is judged that: fake, 91 % fake"),
        ("This isn't fake, is it?", "fake", "Yes. "),
        ("Is this foto real?", "fake", "No. "),
        ("Are you 100% sure?", "fake", "The face: 91 % fake"),
        ("How likely is it that it is real?", "fake", "The face: 91 % fake (84–96 %). That leaves 9 % for genuine."),
        ("What is the chance that this is genuine?", "fake", "The face: 91 % fake (84–96 %). That leaves 9 %"),
        ("What is your best guess?", "fake", "I do not guess"),
        (
            "My colleague says it's real.",
            None,
            "The face: fake, 91 % fake (84–96 %). I have this file and nothing else",
        ),
        ("I took this photo myself!", None, "The face: fake, 91 % fake (84–96 %). I have this file and nothing else"),
        ("What would change your mind?", None, "The face: fake, 91 % fake (84–96 %). Another file may give another"),
        ("Is this admissible as evidence?", None, "What the law says I cannot tell: ask a lawyer."),
        ("How should I word it?", None, "Say no more than the report does, for example: “An automated examination"),
        ("Left from whose view?", None, "Left and right of a face are the subject's own"),
        ("Does it work for children?", None, "Errors by groups of people were not measured"),
        ("How do I get a PDF?", None, "On the command line `facewitness analyze FILE --format html`"),
        ("Can you show me?", None, "On the command line"),
        ("Did this really happen?", None, "Whether what is shown happened was not examined"),
        ("Has it been used before?", None, "Where, when and by whom it was made was not examined"),
    ],
)
def test_what_is_asked_beside_the_verdict_gets_no_yes_and_no_other_answer(two, question, label, begins):
    one = Dialogue(replace(two.report, people=two.report.people[:1]))
    answer = one.ask(question)
    assert answer.text.startswith(begins)
    assert answer.label == label


def test_an_eye_on_the_left_is_told_whose_left_that_is(two):
    one = Dialogue(replace(two.report, people=two.report.people[:1]))
    assert one.ask("Is the eye on the left fake?").text.endswith("is on the right of the picture.")
    assert "the subject's own" not in one.ask("Is the left eye fake?").text


def test_thresholds_are_told_with_the_digits_that_keep_them_apart(two):
    person = two.report.people[1]
    verdict = replace(person.verdict, fake=0.27, thresholds=(0.2734, 0.95))
    one = Dialogue(replace(two.report, people=(replace(person, verdict=verdict),)))
    assert "27.0 % fake" in one.ask("How sure are you?").text
    assert "Below 27.3 % there is no sign" in one.ask("How sure are you?").text
    assert "judged by 27.3 % and" in one.ask("What is the threshold?").text


def test_what_a_report_without_places_says_to_do_names_none(two):
    clean = Dialogue(replace(two.report, people=two.report.people[1:]))
    assert clean.ask("What should I do next?").text.startswith("Search for the original")


def test_a_cause_is_only_sought_for_a_sign(two):
    clean = Dialogue(replace(two.report, people=two.report.people[1:]))
    assert "No sign was found that would need a cause." in clean.ask("Could it just be make-up?").text


@pytest.mark.parametrize(
    "question", ["Is it a screenshot?", "Is this a scan?", "Are there several photos on the page?"]
)
def test_a_picture_that_looks_like_a_page_is_told_as_that(two, question):
    note = f"{media.SCREEN}: a photograph seems to stand in it."
    page = Dialogue(replace(two.report, notes=(note,)))
    assert page.ask(question).text == note
    assert "was not examined" in two.ask(question).text
