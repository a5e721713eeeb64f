"""FFAA's judge of answers: its sums by hand, its structure, its files, and the same numbers without torch."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facewitness.errors import InputError, WeightsError
from facewitness.models import deciding

logits = st.lists(st.floats(-30, 30), min_size=4, max_size=4)


# (logits, said, match by hand): p0 / (p0 + p2) where it says real, p3 / (p3 + p1) where it says fake
BY_HAND = [
    ((0.0, 0.0, 0.0, 0.0), "real", 0.5),
    ((0.0, 0.0, 0.0, 0.0), "fake", 0.5),
    ((math.log(3), 5.0, 0.0, -5.0), "real", 0.75),
    ((7.0, 0.0, -7.0, math.log(4)), "fake", 0.8),
    ((0.0, math.log(9), 0.0, 0.0), "fake", 0.1),
    ((0.0, 0.0, math.log(19), 0.0), "real", 0.05),
    ((1e6, 0.0, 0.0, 0.0), "real", 1.0),
    ((0.0, 0.0, 1e6, 0.0), "real", 0.0),
]


@pytest.mark.parametrize(("values", "said", "expected"), BY_HAND)
def test_match_scores_by_hand(values, said, expected):
    assert deciding.match_score(values, said) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("fake", "said_fake", "expected"), [(False, False, 0), (False, True, 1), (True, False, 2), (True, True, 3)]
)
def test_classes_of_image_and_answer(fake, said_fake, expected):
    assert deciding.label(fake, said_fake) == expected


@given(logits)
def test_a_match_score_is_the_softmax_of_two(values):
    p = np.exp(np.array(values) - max(values))
    p = p / p.sum()
    assert deciding.match_score(values, "real") == pytest.approx(p[0] / (p[0] + p[2]), abs=1e-9)
    assert deciding.match_score(values, "fake") == pytest.approx(p[3] / (p[3] + p[1]), abs=1e-9)


REAL = (2.0, 0.0, 0.0, 0.0)  # match of an answer that says real: σ(2)
FAKE = (0.0, 0.0, 0.0, 1.0)  # of one that says fake: σ(1)


def test_the_best_answer_is_chosen_and_its_score_is_of_what_it_says():
    decision = deciding.decide([FAKE, REAL, FAKE], ["fake", "real", "fake"])
    assert (decision.chosen, decision.easy, decision.tie) == (1, False, False)
    assert decision.match == pytest.approx(1 / (1 + math.exp(-2)))
    assert decision.fake == pytest.approx(1 - decision.match)
    decision = deciding.decide([FAKE], ["fake"])
    assert decision.fake == pytest.approx(decision.match) == pytest.approx(1 / (1 + math.exp(-1)))


def test_easy_is_where_all_answers_agree():
    assert deciding.is_easy(["real", "real", "real"])
    assert not deciding.is_easy(["real", "fake", "real"])
    assert not deciding.is_easy(["real", None, "real"])
    assert not deciding.is_easy([None, None, None])
    assert not deciding.is_easy(["inconclusive"] * 3)


def test_of_equal_scores_the_first_counts_and_the_tie_is_told():
    zero = (0.0, 0.0, 0.0, 0.0)
    decision = deciding.decide([zero, zero, zero], ["fake", "real", "fake"])
    assert (decision.chosen, decision.match, decision.tie) == (0, 0.5, True)
    assert not deciding.decide([zero, zero], ["fake", "fake"]).tie  # they say the same


def test_an_answer_without_a_verdict_cannot_be_chosen_and_without_any_there_is_no_decision():
    decision = deciding.decide([(9.0, 0, 0, 9.0), REAL], [None, "real"])
    assert (decision.chosen, decision.matches[0]) == (1, None)
    assert deciding.decide([REAL, REAL, REAL], [None, None, "inconclusive"]) is None


@pytest.mark.parametrize(
    ("values", "said"), [([(1, 2, 3)], ["real"]), ([REAL], ["real", "fake"]), ([], []), ([(math.nan,) * 4], ["real"])]
)
def test_logits_that_make_no_sense_are_refused(values, said):
    with pytest.raises(InputError):
        deciding.decide(values, said)


@given(st.lists(st.tuples(logits, st.sampled_from(["real", "fake"])), min_size=1, max_size=5))
def test_the_decision_is_the_highest_match_whatever_the_order(rows):
    decision = deciding.decide([row for row, _ in rows], [said for _, said in rows])
    assert decision.match == max(value for value in decision.matches if value is not None)
    turned = deciding.decide([row for row, _ in rows][::-1], [said for _, said in rows][::-1])
    assert turned.match == decision.match
    assert 0 <= decision.fake <= 1


def test_no_decider_of_bytes_that_are_none():
    with pytest.raises(WeightsError, match="ONNX"):
        deciding.Decider(b"no model", "none.onnx")


# --------------------------------------------------------------------------------------------------------- the network

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
from facewitness.models import mids  # noqa: E402


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return mids.MIDS(mids.SmallEncoders(size=64, text=24), width=16).eval()


def inputs(n=2, answers=3, tokens=6, text=24, size=64):
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (n, 3, size, size), generator=generator).float()
    return (
        pixels,
        torch.randn(n, answers, tokens, text, generator=generator),
        torch.ones(n, answers, tokens, dtype=torch.bool),
    )


def test_four_logits_for_every_answer(small):
    assert small(*inputs()).shape == (2, 3, 4)


def test_the_published_sizes():
    fusion = mids.Fusion((1024, 1024), 768)
    assert isinstance(fusion.project_text, torch.nn.Identity)
    assert fusion.classify.in_features == 6 * 768
    assert len(fusion.iterations) == 3
    assert {module.attention.num_heads for module in fusion.modules() if hasattr(module, "attention")} == {8}
    found = fusion(
        torch.randn(1, 577, 1024), torch.randn(1, 577, 1024), torch.randn(1, 5, 768), torch.ones(1, 5).bool()
    )
    assert found.shape == (1, 4)


def test_an_answer_is_judged_by_itself_whatever_stands_beside_it(small):
    pixels, text, seen = inputs()
    with torch.no_grad():
        together = small(pixels, text, seen)
        alone = small(pixels[1:], text[1:, 2:], seen[1:, 2:])
    assert torch.allclose(together[1, 2], alone[0, 0], atol=1e-5)


def test_padding_changes_nothing(small):
    pixels, text, seen = inputs()
    padded = torch.cat([text, torch.randn(2, 3, 4, 24)], dim=2)
    hidden = torch.cat([seen, torch.zeros(2, 3, 4, dtype=torch.bool)], dim=2)
    with torch.no_grad():
        assert torch.allclose(small(pixels, text, seen), small(pixels, padded, hidden), atol=1e-5)


def test_text_and_picture_both_count(small):
    pixels, text, seen = inputs()
    with torch.no_grad():
        found = small(pixels, text, seen)
        assert not torch.allclose(found, small(255 - pixels, text, seen), atol=1e-4)
        assert not torch.allclose(found, small(pixels, -text, seen), atol=1e-4)


@pytest.mark.parametrize(("unfreeze", "learn"), [(0, set()), (1, {"6"}), (2, {"5", "6"})])
def test_only_the_last_stages_learn(unfreeze, learn):
    encoders = mids.SmallEncoders(size=64, unfreeze=unfreeze)
    assert {name.split(".")[1] for name, p in encoders.named_parameters() if p.requires_grad} == learn


def test_the_frozen_part_can_be_computed_once(small):
    pixels, text, seen = inputs()
    with torch.no_grad():
        once = small(small.encoders.frozen(pixels), text, seen, frozen=True)
        assert torch.allclose(once, small(pixels, text, seen), atol=1e-6)


def test_published_encoders_of_tiny_random_models():
    transformers = pytest.importorskip("transformers", reason="needs the extra 'vlm'")
    from tokenizers import Tokenizer, models, pre_tokenizers

    image = transformers.CLIPVisionModel(
        transformers.CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=3,
            num_attention_heads=2,
            image_size=32,
            patch_size=16,
        )
    )
    text = transformers.T5EncoderModel(
        transformers.T5Config(vocab_size=32, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    )
    raw = Tokenizer(models.WordLevel({"<pad>": 0, "<unk>": 1, "fake": 2, "face": 3}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    words = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", unk_token="<unk>")
    encoders = mids.PublishedEncoders(image, text, words, unfreeze=2)
    model = mids.MIDS(encoders).train()
    layers = {
        name.split("layers.")[1].split(".")[0]
        for name, parameter in encoders.named_parameters()
        if parameter.requires_grad
    }
    assert layers == {"1", "2"}
    assert not any(parameter.requires_grad for parameter in text.parameters())
    states, seen = encoders.read(["fake face", "face"])
    assert seen.tolist() == [[True, True], [True, False]]
    found = model(torch.rand(1, 3, 32, 32) * 255, states[None], seen[None])
    found.sum().backward()
    assert found.shape == (1, 2, 4)
    saved = [name for name in model.state_dict() if model._travels(name)]
    assert not any("text_encoder" in name or "layers.0" in name for name in saved)


def test_eyes_that_know_forgeries_are_taken_over(small):
    from facewitness.models.compact import Compact

    torch.manual_seed(3)
    network = Compact(noise=True)
    encoders = mids.SmallEncoders(size=64, text=24)
    encoders.start_from(network.state_dict())
    assert torch.equal(encoders.blocks[6][0].conv_pw.weight, network.backbone.blocks[6][0].conv_pw.weight)
    with pytest.raises(WeightsError, match="noise branch"):
        encoders.start_from({"other": torch.zeros(1)})


def test_saved_and_loaded_it_says_the_same(small, tmp_path):
    small.save(tmp_path / "mids.safetensors", note="ours")
    again, card = mids.MIDS.load(tmp_path / "mids.safetensors")
    with torch.no_grad():
        assert torch.equal(small(*inputs()), again(*inputs()))
    assert card["note"] == "ours" and again.masked
    (tmp_path / "mids.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="SHA-256"):
        mids.MIDS.load(tmp_path / "mids.safetensors")


@pytest.mark.filterwarnings("ignore:.*treespec.*:FutureWarning")  # torch 2.13's exporter warns of itself
@pytest.mark.filterwarnings("ignore:.*axis name.*:UserWarning")
@pytest.mark.slow  # an export takes ten seconds; by default one is made, KFD's
@pytest.mark.parametrize("whole", [True, False])
def test_without_torch_the_numbers_are_the_same(tmp_path, whole):
    torch.manual_seed(0)
    small = mids.MIDS(mids.SmallEncoders(size=64, text=24), width=16, heads=2, iterations=1).eval()  # exports soonest
    pixels, text, seen = inputs(n=1, answers=2, tokens=11)
    worst = mids.export(small if whole else small.fusion, tmp_path / "mids.onnx", {"masked": True}, (5, 5))
    assert worst < 1e-4
    decider = deciding.Decider(Path(tmp_path / "mids.onnx").read_bytes(), "mids.onnx")
    assert decider.facts == {"masked": True}
    if whole:
        given = {"crop": pixels.permute(0, 2, 3, 1).to(torch.uint8).numpy()}
    else:
        with torch.no_grad():
            images = [image.repeat_interleave(2, 0).numpy() for image in small.encoders(pixels)]
        given = {"image1": images[0], "image2": images[1]}
    found = decider.logits(**given, text=text[0].numpy(), seen=seen[0].numpy())
    with torch.no_grad():
        assert np.allclose(found, small(pixels, text, seen)[0].numpy(), atol=1e-4)
    with pytest.raises(WeightsError, match="fails on"):
        decider.logits(**given, text=text[0, :, :, :3].numpy(), seen=seen[0].numpy())
