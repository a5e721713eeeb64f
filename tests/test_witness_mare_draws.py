"""Which of MARE's drawn replies is given: the verdict of words and score together, the words most draws agree in."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from facewitness.witnesses import _drawn
from facewitness.witnesses._drawn import Drawing

EVEN = Drawing(4, 0.8, 1.0, 1.0, 0.0)


def text(explanation: str, boxes: str = "{}") -> str:
    return f'<think>I look.</think><answer>{{"explanation": "{explanation}", "bboxes": {boxes}}}</answer>'


FAKE = [
    text("The image looks fake. The nose is curved.", '{"nose": [1, 2, 3, 4]}'),
    text("The image looks fake. The nose is curved and dark.", '{"nose": [1, 2, 3, 4]}'),
    text("The image looks fake. Stains on one cheek."),
]
REAL = text("The image looks real.")


def test_words_and_score_give_the_verdict_together():
    assert EVEN.verdict(["fake", "fake", "real"], 0.5) == "fake"
    assert EVEN.verdict(["fake", "fake", "real"], 0.1) == "real", "the score weighs more than two of three"
    assert EVEN.verdict([None, None], 0.9) is None
    assert Drawing(4, 0.8, 0.0, 1.0, 0.0).verdict(["real"] * 4, 0.6) == "fake", "the score alone"
    assert Drawing(4, 0.8, 1.0, 0.0, -3.0).verdict(["fake"] * 2, 0.9) == "real", "an offset"


def test_of_the_draws_with_that_verdict_the_one_nearest_to_the_others_is_given():
    assert _drawn.chosen([FAKE[2], FAKE[0], REAL, FAKE[1]], 0.9, EVEN) == FAKE[0]
    assert _drawn.chosen([FAKE[2], FAKE[0], REAL, FAKE[1]], 0.001, EVEN) == REAL
    assert _drawn.chosen([FAKE[2]], 0.9, EVEN) == FAKE[2]


def test_a_draw_that_breaks_the_grammar_is_given_only_where_all_do():
    broken = [text("The image looks fake. The nose is curved.", '{"nose": [4, 2, 3, 4]}')] * 3
    assert _drawn.chosen([*broken, FAKE[2]], 0.9, EVEN) == FAKE[2]
    assert _drawn.chosen(broken, 0.9, EVEN) == broken[0]
    outside = text("The image looks fake. The chin.", '{"chin": [1, 2, 30, 40]}')
    assert _drawn.chosen([outside, outside, FAKE[0]], 0.9, EVEN, size=(20, 20)) == FAKE[0]
    assert _drawn.chosen(["", "Hm."], 0.9, EVEN) in ("", "Hm.")
    with pytest.raises(ValueError, match="at least one"):
        _drawn.chosen([], 0.9, EVEN)


def test_a_draw_whose_words_and_boxes_speak_of_the_same_regions_is_given_before_others():
    unboxed = text("The image looks fake. The nose is curved. The mouth is dark.", '{"nose": [1, 2, 3, 4]}')
    assert _drawn.chosen([unboxed, unboxed, FAKE[1]], 0.9, EVEN) == FAKE[1]
    assert _drawn.chosen([unboxed, unboxed, FAKE[2]], 0.9, EVEN) == unboxed, "one of two regions is more than none"
    boxed = text("The image looks real.", '{"nose": [1, 2, 3, 4]}')
    assert _drawn.chosen([boxed, boxed, REAL], 0.001, EVEN) == REAL, "nothing of a real face is boxed"
    nothing = text("The image looks fake.")
    told = [_drawn.agreement(_drawn.mare.parse(each)) for each in (unboxed, FAKE[1], FAKE[2], boxed, REAL, nothing)]
    assert told == [0.5, 1.0, 0.0, 0.0, 1.0, 0.0]


def test_where_no_draw_has_the_verdict_the_models_own_stays():
    assert _drawn.chosen([REAL, REAL], 0.9999, Drawing(2, 0.8, 0.0, 1.0, 0.0)) == REAL


def test_overlap_is_f1_of_words_by_hand():
    assert _drawn.overlap(Counter("abcd"), Counter("abe")) == pytest.approx(4 / 7)
    assert _drawn.overlap(Counter(), Counter()) == 1.0 and _drawn.overlap(Counter("a"), Counter("b")) == 0.0
    assert _drawn.voted(0, 0) == 0.0 and _drawn.voted(3, 0) == pytest.approx(np.log(7)) == -_drawn.voted(0, 3)


def test_a_seed_is_the_pictures_and_the_questions():
    crop = np.zeros((4, 4, 3), np.uint8)
    other = crop.copy()
    other[0, 0, 0] = 1
    seeds = {_drawn.seed(crop, "a"), _drawn.seed(crop.copy(), "a"), _drawn.seed(crop, "b"), _drawn.seed(other, "a")}
    assert len(seeds) == 3 and all(0 <= each < 2**32 for each in seeds)
