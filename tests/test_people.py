"""People are numbered as one reads, and a question's words choose the face that they say, or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facewitness import people

TWO = [(10, 50, 60, 110), (150, 20, 260, 150)]  # a small one left, a big one right
THREE = [(10, 50, 60, 110), (150, 50, 210, 110), (300, 50, 350, 110)]
GRID = [(i * 100 + 10, j * 100 + 10, i * 100 + 60, j * 100 + 70) for j in range(2) for i in range(3)]
ONE = [(300, 20, 360, 80)]  # on the right
UNCLEAR = ()


def meant(question, boxes, **more):
    return people.meant(question, boxes, 400, 300, **more)


@pytest.mark.parametrize(
    ("question", "two", "three", "grid"),
    [
        ("Is the face on the right fake?", (1,), (2,), UNCLEAR),
        ("Is the person on the right real?", (1,), (2,), UNCLEAR),
        ("Is the second face from the left fake?", (1,), (1,), UNCLEAR),
        ("Is the big face fake?", (1,), (1,), UNCLEAR),
        ("What about the largest one?", (1,), (1,), UNCLEAR),
        ("And the smaller face?", (0,), UNCLEAR, UNCLEAR),
        ("Is the woman in the middle fake?", UNCLEAR, (1,), UNCLEAR),
        ("Is the left one fake?", (0,), (0,), UNCLEAR),
        ("Is left fake?", (0,), (0,), UNCLEAR),
        ("How sure are you about the second?", (1,), (1,), (1,)),
        ("Is the left eye of the person on the right fake?", (1,), (2,), UNCLEAR),
        ("Is the person on the left real and the one on the right fake?", (0, 1), (0, 2), UNCLEAR),
        ("And the third from the right?", UNCLEAR, (0,), UNCLEAR),
        ("Is the second person in the bottom row fake?", UNCLEAR, UNCLEAR, (4,)),
        ("Is the top left face fake?", UNCLEAR, UNCLEAR, (0,)),
        ("Is the bottom right one fake?", UNCLEAR, UNCLEAR, (5,)),
        ("Is the person top left fake?", UNCLEAR, UNCLEAR, (0,)),
        ("Is bottom right fake?", UNCLEAR, UNCLEAR, (5,)),
        ("Is the big face on the left fake?", UNCLEAR, UNCLEAR, UNCLEAR),  # two things of which one is not true
        ("Is the big face on the right fake?", (1,), UNCLEAR, UNCLEAR),
        ("What of face 2?", (1,), (1,), (1,)),
        ("What of face two?", (1,), (1,), (1,)),
        ("And person no. 1?", (0,), (0,), (0,)),
        ("Is the second face fake?", (1,), (1,), (1,)),
        ("The last one?", (1,), (2,), (5,)),
        ("face #12", (11,), (11,), (11,)),
        ("face 0", (0,), (0,), (0,)),
        ("Is the man fake?", UNCLEAR, UNCLEAR, UNCLEAR),
        ("Is the person with the beard fake?", UNCLEAR, UNCLEAR, UNCLEAR),
        ("Is the person next to the one on the left fake?", UNCLEAR, UNCLEAR, UNCLEAR),
        ("Is the man in the background fake?", UNCLEAR, UNCLEAR, UNCLEAR),
        ("Is the person looking to the left fake?", UNCLEAR, UNCLEAR, UNCLEAR),
        ("Is the front row fake?", UNCLEAR, UNCLEAR, UNCLEAR),
        ("Is this face fake?", None, None, None),
        ("Is he real?", None, None, None),
        ("Is the left eye fake?", None, None, None),
        ("Is the left side of the face fake?", None, None, None),
        ("Is the middle of the face blurred?", None, None, None),
        ("Is the background fake?", None, None, None),
        ("Which faces are fake?", None, None, None),
        ("Is that right?", None, None, None),
        ("A face?", None, None, None),
    ],
)
def test_who_is_meant(question, two, three, grid):
    assert (meant(question, TWO), meant(question, THREE), meant(question, GRID)) == (two, three, grid)


@pytest.mark.parametrize(
    ("question", "person"),
    [
        ("Is the face on the right fake?", (0,)),
        ("Is the person on the left fake?", UNCLEAR),  # nobody was found there
        ("Is the man fake?", None),
        ("Is the big face fake?", (0,)),
        ("Is the other face fake?", UNCLEAR),
        ("Is the second face fake?", (1,)),  # whoever answers says that there is none
    ],
)
def test_a_single_face_may_be_another_than_the_one_asked_about(question, person):
    assert meant(question, ONE) == person


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    ("ordinal", "number"),
    [
        *zip(people._ORDINALS, range(1, 21), strict=True),
        ("1st", 1),
        ("4th", 4),
        ("11th", 11),
        ("22nd", 22),
        ("103rd", 103),
    ],
)
def test_whoever_is_counted_to_is_there_or_told_not_to_be(ordinal, number, side):
    for question in (f"Is the {ordinal} from the {side} fake?", f"And the {ordinal} face on the {side}?"):
        if number <= 3:
            assert people.not_there(question, THREE) is None
            assert meant(question, THREE) == ((number - 1 if side == "left" else 3 - number),)
        else:
            assert people.not_there(question, THREE) == f"{ordinal} from the {side}"
            assert meant(question, THREE) == UNCLEAR


@pytest.mark.parametrize(
    ("question", "person", "absent"),
    [
        ("Is the second to last face fake?", (1,), None),
        ("Is the second-to-last one fake?", (1,), None),
        ("Is the next to last person real?", (1,), None),
        ("And the penultimate one?", (1,), None),
        ("And the last but one?", (1,), None),
        ("Is the third from the last face fake?", (0,), None),
        ("Is the second to last from the left fake?", (1,), None),
        ("Is the third to last from the right fake?", (2,), None),
        ("Is the fourth to last person fake?", (3,), "fourth to last"),
        ("Is the last but four fake?", (4,), "fifth to last"),
        ("And the third?", (2,), None),
        ("What about the fourth?", (3,), "fourth"),
        ("Is the 12th face fake?", (11,), "12th"),
        ("Is face thirteen fake?", (12,), None),  # a number is not counted to: whoever answers says that there is none
        ("Is number five fake?", (4,), None),
        ("Is the fourth one along from the left real?", UNCLEAR, "fourth from the left"),
        ("Is the first from the left fake and the sixth from the right?", UNCLEAR, "sixth from the right"),
        ("Is the third row fake?", UNCLEAR, "third row"),
        ("Is the fourth person in the first row fake?", UNCLEAR, "fourth in the first row"),
    ],
)
def test_counting_from_the_end_and_past_it(question, person, absent):
    assert (meant(question, THREE), people.not_there(question, THREE)) == (person, absent)


def test_a_row_is_counted_by_itself():
    assert people.not_there("Is the third one in the bottom row fake?", GRID) is None
    assert people.not_there("Is the fourth one in the top row fake?", GRID) == "fourth in the top row"
    assert meant("Is the fourth one in the top row fake?", GRID) == UNCLEAR  # not the first of the other row
    assert people.not_there("Is the fourth from the left in the bottom row fake?", GRID) == (
        "fourth from the left in the bottom row"
    )
    assert people.not_there("Is the seventh from the right fake?", GRID) == "seventh from the right"
    assert people.not_there("Is the third row fake?", GRID) == "third row"
    assert people.not_there("Is the third row fake?", GRID, together=False) is None


def test_the_other_one_is_whoever_was_not_spoken_of():
    assert meant("And the other one?", TWO, spoken_of=1) == (0,)
    assert meant("And the other one?", TWO) == UNCLEAR
    assert meant("And the other one?", THREE, spoken_of=1) == UNCLEAR
    assert meant("Is this man fake?", TWO, spoken_of=1) is None  # the one spoken of


def test_the_others_are_all_that_were_not_spoken_of():
    assert meant("Are the others real?", THREE, spoken_of=1) == (0, 2)
    assert meant("And the other two?", THREE, spoken_of=0) == (1, 2)
    assert meant("Are the others real?", THREE) == UNCLEAR
    assert meant("Is the rest of the face real?", THREE, spoken_of=1) is None


def test_so_many_from_one_end_are_counted():
    assert meant("Are the first two real?", GRID) == (0, 1)
    assert meant("Are the last three people fake?", GRID) == (3, 4, 5)
    assert meant("Are the two on the right fake?", THREE) == (1, 2)
    assert meant("Are the two on the right fake?", GRID) == (2, 5)
    assert meant("Are the three on the right fake?", GRID) == UNCLEAR  # two stand above each other
    assert meant("Are the first nine real?", THREE) == UNCLEAR
    assert meant("Is it fake in the first two seconds?", THREE) is None


def test_a_face_may_be_pointed_at_by_its_pixels():
    assert meant("Is the face at (180, 60) fake?", THREE) == (1,)
    assert meant("Is the person at x=310, y=60 real?", THREE) == (2,)
    assert meant("Is the face at 5, 5 fake?", THREE) == UNCLEAR
    assert meant("Is the face at 0:04 fake?", THREE) is None


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        ("2", "face 2"), ("Number two!", "face two"), ("#3", "face 3"), ("left", "the left one"),
        ("I mean the right one.", "i mean the right one"), ("second", "the second one"),
        ("on the left", "the one on the left"),
        ("face 2", "face 2"), ("the biggest", "the biggest one"), ("left eye", None), ("no", None), ("the one", None),
        ("is it fake", None), ("", None),
    ],
)  # fmt: skip
def test_a_reply_may_name_somebody_and_nothing_else(reply, named):
    assert people.alone(reply) == named


def test_a_side_without_a_noun_is_a_person_where_no_region_is_named():
    assert meant("And on the right?", TWO, bare=True) == (1,)
    assert meant("And on the right?", TWO) is None


def test_faces_above_each_other_are_not_told_by_left_and_right():
    above = [(100, 10, 160, 80), (104, 120, 164, 190)]
    assert meant("Is the face on the right fake?", above) == UNCLEAR
    assert meant("Is the top face fake?", above) == (0,)
    assert meant("Is the face at the bottom fake?", above) == (1,)


def test_reading_order():
    assert people.reading_order([TWO[1], TWO[0]]) == (1, 0)
    assert people.reading_order(list(reversed(GRID))) == (5, 4, 3, 2, 1, 0)
    slanted = [(300, 60, 360, 120), (10, 20, 70, 80), (150, 40, 210, 100), (20, 200, 60, 240)]
    assert people.rows(slanted) == ((1, 2, 0), (3,))
    assert people.reading_order([]) == ()


_SIDES = st.floats(0, 1000, width=32)
_BOXES = st.lists(
    st.tuples(_SIDES, _SIDES, st.floats(1, 300), st.floats(1, 300)).map(
        lambda v: (v[0], v[1], v[0] + v[2], v[1] + v[3])
    )
)


@given(_BOXES)
def test_everybody_has_one_number(boxes):
    assert sorted(people.reading_order(boxes)) == list(range(len(boxes)))


@given(_BOXES, st.text(max_size=60), st.booleans())
def test_no_words_break_it(boxes, question, bare):
    named = meant(question, boxes, bare=bare)
    assert named is None or all(person >= 0 for person in named)
    assert people.not_there(question, boxes) != ""


@pytest.mark.parametrize(
    ("question", "absent"),
    [
        ("Is the twenty-first face fake?", "21st"),
        ("Is the twenty-fifth from the right fake?", "25th from the right"),
        ("Is the ten-thousandth from the left fake?", "10000th from the left"),
        ("Is the 10000th from the left fake?", "10000th from the left"),
        ("Is the one hundred and first face fake?", "101st"),
        ("Is the thirtieth from the left fake?", "30th from the left"),
        ("Is the last but ten thousand fake?", "10001st to last"),
    ],
)
def test_large_numbers_in_words_are_nobody_else(question, absent):
    boxes = [(100.0 * i, 0.0, 100.0 * i + 80, 80.0) for i in range(3)]
    assert people.not_there(question, boxes, True) == absent
    assert not set(people.meant(question, boxes, 400, 100) or ()) & {0, 1, 2}


def test_a_number_in_words_is_the_one_it_says_and_a_fraction_is_none():
    boxes = [(100.0 * i, 0.0, 100.0 * i + 80, 80.0) for i in range(3)]
    assert people.meant("Is face twenty-one fake?", boxes, 400, 100) == (20,)
    assert people.meant("Is person one hundred fake?", boxes, 400, 100) == (99,)
    assert people.meant("Is face 1.5 fake?", boxes, 400, 100) is None
    assert people.rows([(0.0, 5.0, 9.0, 5.0), (20.0, 5.0, 29.0, 5.0)])
