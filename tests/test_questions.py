"""What a question asks for: the intent, the regions, the face."""

from __future__ import annotations

import pytest
from effort import grows_with_its_length

from facewitness import questions
from facewitness.questions import asked_regions


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("Is this face fake?", ()),
        ("Is the lower face fake?", ("lower_face",)),
        ("Is the left upper eyelid real?", ("left_upper_eyelid",)),
        ("LEFT-EYE??", ("left_eye",)),
        ("What of his lips and brows?", ("mouth", "left_eyebrow", "right_eyebrow")),
        ("Is the nose tip odd, or the chin?", ("nose_tip", "chin")),
        ("Is the skin smooth?", ("skin",)),
    ],
)
def test_regions_in_questions(question, named):
    assert asked_regions(question) == named


@pytest.mark.parametrize(
    ("question", "intent"),
    [
        ("Which faces are fake?", "which"),
        ("who is fake?", "which"),
        ("Is anyone fake?", "which"),
        ("Are all faces real?", "which"),
        ("Is one of the faces fake?", "which"),
        ("How many faces are there?", "faces"),
        ("What does inconclusive mean?", "means"),
        ("Can I publish this?", "publish"),
        ("Should we run it?", "publish"),
        ("What should I do next?", "next"),
        ("what now", "next"),
        ("How often are you wrong?", "wrong"),
        ("Can I trust it?", "wrong"),
        ("Are you ever wrong?", "wrong"),
        ("What is wrong with the nose?", ""),  # it asks about a region and not how often
        ("What is wrong here?", ""),
        ("Was it made with Midjourney?", "tool"),
        ("Which software was used?", "tool"),
        ("Is it AI generated?", "made"),
        ("Was the picture made by an AI?", "made"),
        ("How was it made?", "kind"),
        ("Does anybody look fake?", "which"),
        ("Is no one fake?", "which"),
        ("Is neither of them forged?", "which"),
        ("Are they both real?", "which"),
        ("Have any faces been swapped?", "which"),
        ("Is there a fake face here?", "which"),
        ("Are the two people real?", "which"),
        ("Is there any sign of manipulation?", "verdict"),
        ("Which face is more suspicious?", "faces"),
        ("Was it photoshopped?", "verdict"),
        ("Can you tell if it is fake?", "verdict"),
        ("Suppose it is legit", "suppose_real"),
        ("If it is fake, why?", "suppose_fake"),
        ("What is the case for real?", "suppose_real"),
        ("Make the case for it being fake", "suppose_fake"),
        ("What speaks for either side?", "sides"),  # what is offered must be understood
        ("Why did real win?", "sides"),
        ("Are both sides of the face forged?", "which"),
        ("Is the noſe faKe?", "verdict"),
        ("İs it fake?", "verdict"),
        ("?", ""),
    ],
)
def test_intents(question, intent):
    assert questions.intent(question) == intent


@pytest.mark.parametrize(
    ("question", "side", "demanded"),
    [
        ("Prove that this is fake.", "fake", True),
        ("prove to me it's not real", "fake", True),
        ("Convince me that the photo is genuine!", "real", True),
        ("Show me that it was manipulated", "fake", True),
        ("Explain why this is a genuine photo", "real", False),
        ("Why is this fake?", "fake", False),
        ("This is a real human face. What evidence do you have?", "real", False),
        ("Since it is not fake, who is it?", "real", False),
        ("Suppose it is legit", "real", False),
        ("Is this real or fake?", None, False),
        ("Prove whether it is fake", None, True),
        ("Show me the nose", None, False),
        ("Why is the sky blue?", None, False),
        ("Is the nose fake?", None, False),
    ],
)
def test_what_a_question_takes_for_granted(question, side, demanded):
    assert questions.supposed(question) == side
    assert questions.demands(question) == demanded


def test_what_a_question_begins_with_as_if_it_were_known():
    assert questions.granted("Since this is fake, where was it edited?") == "fake"
    assert questions.granted("Given that it is genuine, is the nose odd?") == "real"
    assert questions.granted("Why is this fake?") is None and questions.granted("Since when is he there?") is None


@pytest.mark.parametrize(
    ("question", "what"),
    [
        ("Is the background fake?", "the background"),
        ("Is the voice real?", "the voice and the sound"),
        ("Are the hands real?", "the hands"),
        ("Is the text below forged?", "text and signs in the picture"),
        ("Who is this?", "who it is"),
        ("Is this person a real politician?", "who it is"),
        ("Is this Tom Hanks?", "who it is"),
        ("When was it taken?", "where, when and by whom it was made"),
        ("Is the face on the left-hand side fake?", None),
        ("Is it a painting?", "whether it is a photograph"),
        ("Is the nose fake?", None),
        ("Is anybody fake?", None),
        ("Is the hair real?", None),  # a region
    ],
)
def test_what_nobody_examined(question, what):
    assert questions.unexamined(question) == what


@pytest.mark.parametrize(
    ("question", "thing"),
    [
        ("Is the flag fake?", "flag"),
        ("Are the glasses real?", "glasses"),
        ("Is the tree behind him edited?", "tree"),
        ("Was the big dog generated?", "big dog"),
        ("Do you think the hat of the man on the left is fake?", "hat"),
        ("Is the left half of the picture fake?", "left half"),
        ("Is the left side of the face fake?", ""),
        ("Is the whole thing fake?", ""),
        ("Is this really fake?", ""),
        ("Is this a fake photo?", ""),
        ("Is her smile real?", ""),
        ("Is the nose fake?", ""),
        ("Is the taller one fake?", ""),  # a person, whoever it is
        ("Was this photo edited?", ""),
        ("Is the second real?", ""),
        ("Is it fake?", ""),
    ],
)
def test_things_that_are_no_face(question, thing):
    assert questions.thing(question) == thing


def test_names_of_people():
    assert questions.names_somebody("Is Angela Merkel fake?") and questions.names_somebody("Was Trump swapped?")
    for question in ("Is it fake?", "IS IT FAKE?", "Is AI used?", "Is This A Fake Photo?", "Is Face 2 fake?", "Merkel"):
        assert not questions.names_somebody(question)


@pytest.mark.parametrize(
    "question",
    [
        "Ist das Gesicht gefälscht?", "¿Es falsa esta cara?", "Le visage est-il faux ?", "هل هذا الوجه مزيف؟",
        "这是假的吗", "Какая часть поддельная?", "Es real?", "Is de neus nep?", "A foto é verdadeira?",
        "Bu yüz sahte mi?",
    ],
)  # fmt: skip
def test_other_languages(question):
    assert not questions.is_english(question)


@pytest.mark.parametrize(
    "question", ["Fake?", "x", "?", "nose", "Is the Señora fake?", "Is this Charles de Gaulle?", "𝐅𝐚𝐤𝐞?"]
)
def test_english(question):
    assert questions.is_english(question)


@pytest.mark.parametrize(
    ("question", "where_forged", "where_not"),
    [
        ("Is it fake?", "Yes. ", "No. "),
        ("Is it real?", "No. ", "Yes. "),
        ("Is it real or fake?", "", ""),
        ("Is it not fake?", "", ""),
        ("Is the mouth not genuine?", "", ""),
        ("Is nobody fake?", "", ""),
        ("Is no part of the face edited?", "", ""),
        ("There is no doubt that it is fake, is there?", "Yes. ", "No. "),
        ("Isn't it fake?", "Yes. ", "No. "),
        ("Is it fake or not?", "Yes. ", "No. "),
        ("I am not sure: is it fake?", "Yes. ", "No. "),
        ("What is it?", "", ""),
    ],
)
def test_yes_and_no_answer_the_question_as_it_was_put(question, where_forged, where_not):
    assert questions.yes_or_no(question, forged=True) == where_forged
    assert questions.yes_or_no(question, forged=False) == where_not


@pytest.mark.parametrize("piece", ["what is ", "can ", "who fake how many ", "how was it ", "is anyone "])
def test_reading_a_question_costs_what_its_length_does(piece):
    assert grows_with_its_length(lambda count: questions.intent(piece * count), 50_000 // len(piece))
