"""What a question asks for: the intent, the regions, the face."""

from __future__ import annotations

import pytest

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
    ("question", "face"),
    [("What about face 2?", 1), ("Is the second face fake?", 1), ("face #12", 11), ("face 0", 0), ("A face?", None)],
)
def test_the_face_in_questions(question, face):
    assert questions.face_asked_for(question) == face


@pytest.mark.parametrize(
    ("question", "where_forged", "where_not"),
    [
        ("Is it fake?", "Yes. ", "No. "),
        ("Is it real?", "No. ", "Yes. "),
        ("Is it real or fake?", "", ""),
        ("What is it?", "", ""),
    ],
)
def test_yes_and_no_answer_the_question_as_it_was_put(question, where_forged, where_not):
    assert questions.yes_or_no(question, forged=True) == where_forged
    assert questions.yes_or_no(question, forged=False) == where_not
