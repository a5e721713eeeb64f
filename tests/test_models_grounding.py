"""ForgeryTalker's and FiFa's networks at tiny sizes: the papers' equations, what learns, what answers, what is kept."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
pytest.importorskip("transformers", reason="needs the extra 'train'")
import torch.nn.functional as F  # noqa: E402

from facewitness.errors import InputError, UnknownName, WeightsError  # noqa: E402
from facewitness.models import fifa, fpn, mask_decoder  # noqa: E402
from facewitness.models import forgerytalker as ft  # noqa: E402
from facewitness.models._encoder import CompactEncoder, Features, made  # noqa: E402
from facewitness.models._reader import Reader, learned  # noqa: E402
from facewitness.models.compact import Compact  # noqa: E402
from facewitness.models.fifa import Example, FiFa, Query, Truth  # noqa: E402
from facewitness.models.forgerytalker import ForgeryTalker  # noqa: E402
from facewitness.models.fpn import FPN  # noqa: E402
from facewitness.models.mask_decoder import MaskDecoder  # noqa: E402
from facewitness.train.loop import halved  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
LABELS, CONCEPTS, SIZE = ("eye", "nose", "mouth"), ("left_eye", "nose", "mouth"), 32
REPORTS = ("The nose is smeared.", "The left eye has a seam. The mouth is pasted.", "Nothing.")
TOWER = {"kind": "clip", "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
         "image_size": SIZE, "patch_size": 8}  # fmt: skip
DECODER = {"hidden": 16, "heads": 2, "mlp": 16, "layers": 1, "further": 0}


def _spans(text):
    return [m.span() for m in re.finditer(r"\b(eye|nose|mouth)\b", text)]


@pytest.fixture(scope="module")
def words():
    return learned([*REPORTS, ft.INSTRUCTION, ", ".join(LABELS)] * 2, 330)


@pytest.fixture
def talker(words) -> ForgeryTalker:
    torch.manual_seed(0)
    config = ft.small(
        LABELS, len(words), encoder=TOWER, prior=False, decoder=DECODER, queries=3, fuse=8,
        fpn={"size": SIZE, "patch": 8, "width": 16, "layers": 2, "heads": 2, "mlp": 16, "convolved": 1, "stem": 24},
        qformer={"vocab_size": len(words), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
                 "intermediate_size": 16, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
        language={"vocab_size": len(words), "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2,
                  "dropout_rate": 0.0, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0},
    )  # fmt: skip
    return ForgeryTalker(config, Reader(words, spans=_spans))


@pytest.fixture
def mllm() -> FiFa:
    torch.manual_seed(0)
    texts = [*REPORTS, *fifa.QUESTIONS.values(), fifa.YES, fifa.NO, "<p>nose</p> [SEG]"] * 2
    words = learned(texts, 360, fifa.TOKENS)
    language = {"vocab_size": len(words), "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
                "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 256,
                "tie_word_embeddings": True, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1}  # fmt: skip
    config = fifa.small(CONCEPTS, len(words), encoder=TOWER, prior=False, decoder=DECODER, language=language, grid=2)
    return FiFa(config, Reader(words))


def _pixels(n=3):
    return torch.rand(n, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) * 255


# ---------------------------------------------------------------------------------------------------------------- FPN


def test_equations_8_9_and_12_by_hand():
    labels = torch.tensor([[1.0, 0.0, 1.0]])
    p = torch.tensor([[0.8, 0.4, 0.1]])
    bce = -(math.log(0.8) + 0.2 * math.log(0.6) + math.log(0.1)) / 3
    dice = 1 - (2 * 0.9 + 1) / (2 + 1.3 + 1)
    assert float(fpn.bce_loss(p.logit(), labels)) == pytest.approx(bce, rel=1e-5)
    assert float(fpn.dice_loss(p.logit(), labels)) == pytest.approx(dice, rel=1e-5)
    assert float(fpn.loss(p.logit(), labels)) == pytest.approx((bce + dice) / 2, rel=1e-5)
    assert float(fpn.loss(p.logit(), labels, omega=1.0, dice=False)) == pytest.approx(
        -(math.log(0.8) + math.log(0.6) + math.log(0.1)) / 3, rel=1e-5
    )
    assert fpn.plm([("a", "b"), (), ("a",)], [("b", "c"), (), ()]) == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert fpn.plm([], []) is None
    assert torch.isfinite(fpn.dice_loss(torch.full((1, 3), -80.0), torch.zeros(1, 3)))  # a genuine face has no area


def test_local_features_are_added_to_the_first_m_blocks_alone():
    torch.manual_seed(0)
    net = FPN(3, SIZE, 8, 16, layers=3, heads=2, mlp=16, convolved=2, kernel=3, local=4, dropout=0.0).eval()
    out = net(_pixels(2))
    assert out.logits.shape == (2, 3) and out.features.shape == (2, 17, 16) and out.final.shape == (2, 17, 16)
    with torch.no_grad():  # by hand, equations 6 and 7
        x = _pixels(2) / 127.5 - 1
        g = torch.cat([net.cls.expand(2, -1, -1), net.embed(x).flatten(2).transpose(1, 2)], 1) + net.position
        local = x
        for i in range(2):
            local = net.local[i](local)
            added = F.adaptive_avg_pool2d(net.join[i](local), 4).flatten(2).transpose(1, 2)
            g = net.blocks[i](torch.cat([g[:, :1], g[:, 1:] + added], 1))
        assert torch.allclose(out.features, g, atol=1e-5)
        final = net.norm(net.blocks[2](g))
    assert torch.allclose(out.final, final, atol=1e-5)
    plain = FPN(3, SIZE, 8, 16, layers=1, heads=2, mlp=16, convolved=0)
    assert not list(plain.local), "Table 7's ViT has no convolution"


def test_the_first_convolution_knows_where_it_is():
    net = FPN(3, SIZE, 8, 16, layers=1, heads=2, mlp=16, convolved=1, local=4).eval()
    flat = torch.full((1, 3, SIZE, SIZE), 100.0)
    inside = net.local[0][0](flat / 127.5 - 1)[0, :, 2:-2, 2:-2]
    assert inside.std((1, 2)).max() > 1e-3, "on a flat picture a plain convolution says the same everywhere"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"size": 30}, "multiple of the patch"),
        ({"convolved": 9}, "convolved from 0 to 1"),
        ({"pooling": "columns"}, "grid"),
        ({"heads": 3}, "multiple of the 3 heads"),
    ],
)
def test_sizes_that_do_not_fit_are_told(wrong, sentence):
    options = {"size": SIZE, "patch": 8, "width": 16, "layers": 1, "heads": 2, "mlp": 8, "convolved": 1} | wrong
    with pytest.raises(InputError, match=sentence):
        FPN(3, **options)
    net = FPN(3, SIZE, 8, 16, 1, 2, 8, 1)
    with pytest.raises(InputError, match=r"expected RGB \(B, 3, 32, 32\)"):
        net(torch.zeros(1, 3, 16, 16))
    with pytest.raises(InputError, match="shared encoder's grid"):
        net(torch.zeros(1, 3, SIZE, SIZE), torch.zeros(1, 24, 4, 4))


# ------------------------------------------------------------------------------------------------------- mask decoder


def test_every_prompt_asks_for_a_mask_of_its_own():
    torch.manual_seed(0)
    decoder = MaskDecoder(24, 12, **DECODER)
    grid, prompts = torch.randn(2, 24, 4, 4), torch.randn(2, 3, 2, 12)
    masks, quality = decoder(grid, prompts)
    assert masks.shape == (2, 3, 16, 16) and quality.shape == (2, 3)
    alone = decoder(grid, prompts[:, 1:2]).logits
    assert torch.allclose(masks[:, 1:2], alone, atol=1e-5), "one prompt's mask does not hang on another's"
    assert not torch.allclose(masks[:, 0], masks[:, 1])
    with pytest.raises(InputError, match="expected prompts"):
        decoder(grid, prompts[0])
    with pytest.raises(InputError, match="twice the 3 heads"):
        MaskDecoder(24, 12, hidden=16, heads=3)


def test_losses_of_masks_by_hand():
    logits, mask = torch.tensor([[[[0.0, 2.0]]]]), torch.tensor([[[[0.0, 1.0]]]])
    p = 1 / (1 + math.exp(-2))
    assert float(mask_decoder.bce_loss(logits, mask)) == pytest.approx(-(math.log(0.5) + math.log(p)) / 2, rel=1e-5)
    assert float(mask_decoder.dice_loss(logits, mask)) == pytest.approx(1 - (2 * p + 1) / (0.5 + p + 1 + 1), rel=1e-5)


# ------------------------------------------------------------------------------------------------------------ encoder


def test_the_small_encoder_is_the_compact_network_and_stays_as_it_is():
    torch.manual_seed(0)
    compact = Compact(noise=True)
    encoder = CompactEncoder(64)
    encoder.start_from(compact.state_dict())
    seen = encoder(torch.rand(2, 3, 64, 64) * 255)
    assert seen.grid.shape == (2, encoder.width, 8, 8) and seen.whole.shape == (2, 1280)
    assert not any(p.requires_grad for p in encoder.parameters())
    assert not encoder.train().training
    other = CompactEncoder(64)
    other.start_from({f"encoder.network.{k}": v.half() for k, v in compact.state_dict().items()} | {
        "language.lm_head": torch.zeros(1)
    })  # fmt: skip
    held = zip(other.parameters(), encoder.parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-2) for a, b in held), "a grounding system's file holds one, too"
    with pytest.raises(InputError, match="multiple of 32"):
        CompactEncoder(50)
    with pytest.raises(InputError, match="init_from"):
        encoder.start_from({"nothing": torch.zeros(1)})
    with pytest.raises(UnknownName, match="Did you mean 'compact'"):
        made({"kind": "compakt"})


# ------------------------------------------------------------------------------------------------------ ForgeryTalker


def test_pretraining_masks_region_words_only(words):
    ids, seen, targets = Reader(words, spans=_spans).masked(REPORTS)
    hidden = [words.decode(t[t >= 0]).split() for t in targets]
    assert hidden == [["nose"], ["eye", "mouth"], []]
    assert (ids[targets >= 0] == words.mask_token_id).all() and seen[0].sum() < seen[1].sum()


def test_pretraining_has_four_losses_that_reach_what_they_are_to_teach(talker):
    features = talker.encoder(_pixels())
    losses = talker.pretraining(features, REPORTS, torch.zeros(3, 16, 16))
    assert all(torch.isfinite(x) for x in losses)
    by_hand = 2 * losses.mlm + losses.lm + losses.seg + losses.con
    assert losses.total((2, 1, 1, 1)).item() == pytest.approx(by_hand.item(), rel=1e-5)
    losses.total().backward()
    for part in (talker.qformer, talker.language, talker.to_word, talker.align_text, talker.decoder.from_prompt):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
    assert all(p.grad is None for p in talker.encoder.parameters()), "the image encoder is frozen"
    assert all(p.grad is None for p in talker.fpn.parameters()), "the FPN has no part in it"
    silent = talker.pretraining(features, ["Nothing."] * 3, torch.zeros(3, 16, 16))
    assert silent.mlm.item() == 0.0, "a text without a region word has nothing to guess"


def test_reports_learn_with_the_fpn_fixed_and_the_fpn_alone(talker):
    def ids(stage):
        return {id(p) for p in talker.learned(stage)}

    encoder, prompter = ({id(p) for p in part.parameters()} for part in (talker.encoder, talker.fpn))
    assert ids("fpn") == prompter
    assert not ids("report") & (prompter | encoder) and not ids("pretrain") & (prompter | encoder)
    assert {id(p) for p in talker.enrich.parameters()} <= ids("report")
    with pytest.raises(InputError, match="expected one of pretrain, fpn, report"):
        talker.learned("all")
    pixels = _pixels()
    features = talker.encoder(pixels)
    prompt = talker.prompt(pixels, features)
    losses = talker.reporting(features, prompt, [("nose",), (), ("eye", "mouth")], REPORTS, torch.ones(3, 16, 16))
    assert losses.total.item() == pytest.approx((losses.text + losses.mask).item(), rel=1e-6)


def test_every_stage_learns_beside_parts_in_half_precision(talker):
    talker.config["frozen_language"] = True
    changed = [p for stage in ("pretrain", "fpn", "report") for p in talker.learned(stage)]
    halved(talker, changed)
    assert next(talker.language.parameters()).dtype == torch.bfloat16
    pixels = _pixels()
    with torch.autocast("cpu", torch.bfloat16):
        features = talker.encoder(pixels)
        prompt = talker.prompt(pixels, features)
        pretrained = talker.pretraining(features, REPORTS, torch.ones(3, 16, 16)).total(ft.WEIGHTS)
        losses = talker.reporting(features, prompt, [("nose",), (), ("eye", "mouth")], REPORTS, torch.ones(3, 16, 16))
    (pretrained + losses.total).backward()
    grads = [p.grad for stage in ("pretrain", "report") for p in talker.learned(stage) if p.grad is not None]
    assert grads and all(torch.isfinite(g).all() for g in grads) and all(p.dtype == torch.float32 for p in changed)


def test_the_instruction_is_the_papers():
    net = ForgeryTalker.instruction
    told = net(type("N", (), {"prompted": True})(), ("left eye", "nose"))
    assert told == (
        "These facial areas may be manipulated by AI: left eye, nose. "
        "Please describe the specific issues in these areas."
    )


def test_enriching_changes_the_mask_and_can_be_switched_off(talker, words):
    torch.nn.init.normal_(talker.enrich.out.weight)  # it starts at zero, as if it were not there
    pixels = _pixels(1)
    features = talker.encoder(pixels)
    prompt = talker.prompt(pixels, features)
    losses = [talker.reporting(features, p, [()], ["The nose."], torch.ones(1, 16, 16)).mask for p in (prompt, None)]
    assert not torch.isclose(*losses)
    without = ForgeryTalker({**talker.config, "enrich": False, "fpn_prompt": False}, talker.reader)
    assert without.enrich is None and without.instruction(("nose",)) == ft.WITHOUT


def test_published_masks_are_compared_pixel_by_pixel_as_equation_11_says(talker):
    pixels, mask = _pixels(1), torch.zeros(1, 40, 40)
    mask[:, 3:9, 5:30] = 1.0
    features = talker.encoder(pixels)
    prompt = talker.prompt(pixels, features)
    coarse = talker.one_view(pixels, [()])
    assert coarse.shape[-1] < 40
    averaged = torch.nn.functional.adaptive_avg_pool2d(mask[:, None], coarse.shape[-2:])
    whole = torch.nn.functional.interpolate(coarse, (40, 40), mode="bilinear", align_corners=False)
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    for fine, by_hand in ((False, bce(coarse, averaged)), (True, bce(whole, mask[:, None]))):
        talker.fine = fine
        told = talker.reporting(features, prompt, [()], ["The nose."], mask).mask
        assert told.item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert ft.published(("nose",))["fine"] and not ft.small(("nose",), 9).get("fine")


def test_reports_are_written_with_as_many_beams_as_asked(talker, monkeypatch):
    asked, generate = [], talker.language.generate
    monkeypatch.setattr(talker.language, "generate", lambda **more: asked.append(more["num_beams"]) or generate(**more))
    talker.eval().speak(_pixels(1), max_tokens=4)
    assert isinstance(talker.speak(_pixels(1), max_tokens=4, beams=3)[0].text, str)
    assert asked == [1, 3]


def test_it_speaks_and_is_kept_whole(talker, tmp_path):
    talker.eval()
    pixels = _pixels(2)
    spoken = talker.speak(pixels, max_tokens=8)
    assert [set(s.areas) for s in spoken] == [set(LABELS)] * 2 and spoken[0].mask.shape == (SIZE, SIZE)
    assert 0 <= spoken[0].mask.min() <= spoken[0].mask.max() <= 1 and isinstance(spoken[0].text, str)
    path = tmp_path / "t.safetensors"
    talker.save(path, {"crop": {"margin": 1.2}})
    again = ForgeryTalker.load(path).speak(pixels, max_tokens=8)
    assert again[1].text == spoken[1].text and np.allclose(again[1].mask, spoken[1].mask, atol=1e-6)
    assert talker.speak(pixels, 8, named=[("nose",), ()])[0].named == ("nose",)


@pytest.mark.parametrize("spoiled", ["tensor", "key", "code", "words", "other"])
def test_a_file_that_is_not_whole_is_told(talker, tmp_path, spoiled):
    path = tmp_path / "t.safetensors"
    talker.save(path)
    card = json.loads(path.with_suffix(".json").read_text())
    match spoiled:
        case "tensor":
            path.write_bytes(path.read_bytes()[:-4])
        case "key":
            card["network"]["surprise"] = 1
        case "code":
            card["network"]["language"]["name_or_path"] = "somebody/else"
        case "words":
            path.with_suffix(".queries.json").write_text("{}")
        case "other":
            card["network"]["queries"] = 5
    path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(WeightsError):
        ForgeryTalker.load(path)


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("language", "d_ff"), 10**9, "expected d_ff of at most 65,536"),
        (("language", "num_layers"), 10**6, "expected num_layers of at most"),
        (("language", "d_ff"), 60_000, "does not fit its configuration"),
        (("queries",), -5, "expected queries of at most"),
        ((), "[" * 60_000, "nested too deep"),
    ],
)
def test_a_card_asks_for_no_memory_that_its_tensors_do_not_have(talker, tmp_path, place, value, told):
    path = tmp_path / "t.safetensors"
    talker.save(path)
    card = json.loads(path.with_suffix(".json").read_text())
    at = card["network"]
    for key in place[:-1]:
        at = at[key]
    if place:
        at[place[-1]] = value
    path.with_suffix(".json").write_text(json.dumps(card) if place else value)
    with pytest.raises(WeightsError, match=told):
        ForgeryTalker.load(path)


def test_published_sizes_are_the_papers():
    count = ft.parts(ft.published([f"area {i}" for i in range(21)]))
    assert 0.98e9 < count["encoder"] < 1.0e9  # EVA-ViT-g
    assert 2.7e9 < count["language"] < 2.9e9  # Flan-T5 XL
    assert 0.63e9 < count["fpn"] < 0.7e9  # ViT-H/14 and its convolution branch
    assert sum(ft.parts(ft.small(LABELS, 768)).values()) < 12e6


# --------------------------------------------------------------------------------------------------------------- FiFa


def _map(x1, y1, x2, y2, g=16):
    m = np.zeros((g, g), np.float32)
    m[y1:y2, x1:x2] = 1
    return m


def _truth():
    parsing = torch.zeros(2, 3, 4, 4)
    parsing[:, 0, 0, 3] = parsing[:, 1, 2, 1] = 1
    mask = torch.zeros(2, 16, 16)
    mask[0, 8:12, 4:8] = 1
    return Truth(mask, parsing, torch.tensor([[0.0, 1, 0], [0, 0, 0]]), torch.tensor([1.0, 0]), torch.tensor([2, 0]))


def _examples():
    nose = _map(4, 8, 8, 12)
    return [
        Example(0, fifa.QUESTIONS["grounded_explanation"], "The <p>nose</p> [SEG] is smeared.", (), (nose,)),
        Example(0, "Is the place [REG] forged?", fifa.YES, (Query("box", nose),)),
        Example(1, "Is the nose [REG] forged?", fifa.NO, (Query("name", nose),)),
    ]


def test_every_loss_is_there_and_reaches_its_part(mllm):
    features = mllm.encoder(_pixels(2))
    losses = mllm.losses(features, _examples(), _truth())
    assert set(losses) == set(fifa.WEIGHTS) - {"place"}  # that is of networks whose masks have where to begin
    mllm.total(losses).backward()
    for part in (mllm.language, mllm.decoder, mllm.to_parsing, mllm.to_forged, mllm.from_region, mllm.to_prompt):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
    assert all(p.grad is None for p in mllm.encoder.parameters())
    assert set(mllm.losses(features, [], _truth())) == set(fifa.WEIGHTS) - {"text", "bce", "dice", "place"}


def test_a_seg_without_a_mask_and_a_mask_without_a_seg_do_not_end_training(mllm):
    features = mllm.encoder(_pixels(2))
    more = Example(0, "Show the nose.", "<p>nose</p> [SEG] [SEG] <p>mouth [SEG]", (), (_map(4, 8, 8, 12),))
    fewer = Example(1, "Show the nose.", "nothing", (), (_map(0, 0, 4, 4), _map(4, 4, 8, 8)))
    long = Example(1, "Show the nose.", "the nose " * 1000)
    losses = mllm.losses(features, [more, fewer, long], _truth())
    assert all(torch.isfinite(x) for x in losses.values())
    with pytest.raises(InputError, match="as many"):
        mllm.losses(
            features, [Example(0, "Is [REG] or [REG] forged?", "No.", (Query("box", _map(0, 0, 4, 4)),))], _truth()
        )


def test_a_place_that_is_none_is_told():
    for wrong in (np.zeros((4, 4), np.float32), np.full((4, 4), np.nan, np.float32), np.zeros(4, np.float32)):
        with pytest.raises(InputError, match=r"Query\.map"):
            Query("box", wrong)
    with pytest.raises(InputError, match="name, box, mask, click"):
        Query("smell", _map(0, 0, 4, 4))
    assert fifa.box_map((0.999, 0.999, 1.0, 1.0)).sum() == 1, "a box thinner than a sample is one sample"
    assert fifa.click_map(0.5, 0.25).argmax() == 28 * 112 + 56 or fifa.click_map(0.5, 0.25).max() > 0.9


def test_both_views_of_a_place_count_alike(mllm):
    seen = mllm.seen(mllm.encoder(_pixels(1)))
    other = mllm.seen(mllm.encoder(_pixels(1).flip(3)))
    there = _map(0, 4, 6, 12)
    ask = fifa.QUESTIONS["box_question"]
    questions = [(0, ask, (Query("box", there),))]
    mirror = [(0, ask, (Query("box", np.ascontiguousarray(there[:, ::-1])),))]
    alone, apart = mllm.odds(seen, questions)[0], mllm.odds(other, mirror)[0]
    both = mllm.odds(seen, questions, other)[0]
    assert both.words == alone.words
    assert both.map == pytest.approx((alone.map + apart.map) / 2, abs=1e-4) and alone.map != apart.map
    assert both.face == pytest.approx((alone.face + apart.face) / 2, abs=1e-4)


def test_it_answers_with_a_mask_for_every_seg(mllm, tmp_path):
    mllm.eval()
    features = mllm.encoder(_pixels(2))
    seen = mllm.seen(features)
    seg = mllm._id(fifa.SEG)
    with torch.no_grad():  # a head that says [SEG] first, whatever it is asked
        mllm.language.lm_head.weight[seg] = 40 * torch.nn.functional.normalize(
            mllm.language.lm_head.weight.sum(0), dim=0
        )
    questions = [
        (0, "Show the nose.", ()),
        (1, "Is the place [REG] forged?", (Query("click", fifa.click_map(0.4, 0.6)),)),
    ]
    answers = mllm.answer(seen, questions, 5)
    for answer in answers:
        assert len(answer.masks) == answer.text.count(fifa.SEG)
        assert all(m.shape == (SIZE, SIZE) and 0 <= m.min() <= m.max() <= 1 for m in answer.masks)
    path = tmp_path / "f.safetensors"
    mllm.save(path)
    again = FiFa.load(path)
    same = again.answer(again.seen(again.encoder(_pixels(2))), questions, 5)
    assert [a.text for a in same] == [a.text for a in answers]


def test_questions_of_another_length_do_not_change_an_answer(mllm):
    mllm.eval()
    seen = mllm.seen(mllm.encoder(_pixels(2)))
    short, long = (0, "Show the nose.", ()), (1, fifa.QUESTIONS["text_explanation"], ())
    alone, together = mllm.answer(seen, [short], 6)[0], mllm.answer(seen, [short, long], 6)[0]
    assert alone.text == together.text


def test_concepts_can_be_left_out_of_what_the_words_see(mllm):
    without = FiFa({**mllm.config, "region_prediction": False}, mllm.reader)
    features = Features(*mllm.encoder(_pixels(2)))
    assert mllm.seen(features).tokens.shape[1] - without.seen(features).tokens.shape[1] == len(CONCEPTS)


def test_a_published_like_fifa_has_one_encoder_and_seven_billion_parameters():
    count = fifa.parts(fifa.published(CONCEPTS))
    assert 85e6 < count["encoder"] < 88e6 and 6.7e9 < count["language"] < 6.8e9
    assert sum(fifa.parts(fifa.small(CONCEPTS, 768)).values()) < 12e6


# ------------------------------------------------------------------------------------------------- where masks begin


@pytest.fixture
def beginning() -> FiFa:
    """A FiFa whose masks begin at its encoder's map."""
    torch.manual_seed(0)
    texts = [*REPORTS, *fifa.QUESTIONS.values(), fifa.YES, fifa.NO_FORGERY, "<p>nose</p> [SEG]"] * 2
    texts += [f"The <p>{fifa.title(name)}</p> [SEG] is smeared." for name in CONCEPTS]
    words = learned(texts, 380, fifa.TOKENS)
    language = {"vocab_size": len(words), "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
                "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 256,
                "tie_word_embeddings": True, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1}  # fmt: skip
    config = fifa.small(CONCEPTS, len(words), encoder={"kind": "compact", "size": 64, "maps": True}, decoder=DECODER,
                        language=language, grid=2)  # fmt: skip
    return FiFa(config, Reader(words)).eval()


def _large(n=2):
    return torch.rand(n, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 255


def test_a_decoder_with_a_prior_begins_there(beginning):
    decoder = MaskDecoder(8, 6, hidden=16, heads=2, mlp=16, layers=1, further=0, prior=True).eval()
    grid, prompts = torch.randn(2, 8, 4, 4), torch.randn(2, 3, 1, 6)
    prior = torch.randn(2, 3, 16, 16) * 4
    with torch.no_grad():
        masks, quality = decoder.masks(decoder.image(grid), prompts, prior)
        one = decoder.masks(decoder.image(grid), prompts[:, 1:2], prior[:, 1:2])
        flat = decoder.masks(decoder.image(grid), prompts, torch.zeros_like(prior)).logits
    assert masks.shape == (2, 3, 16, 16) and quality.shape == (2, 3)
    assert torch.allclose(masks[:, 1], one.logits[:, 0], atol=1e-5), "masks do not mix"
    assert torch.allclose(masks - flat, prior, atol=1e-4), "its embedding begins at zero, what is added at one"
    with pytest.raises(InputError, match="prior"):
        decoder.masks(decoder.image(grid), prompts)
    with pytest.raises(InputError, match="prior"):
        MaskDecoder(8, 6, hidden=16, heads=2, mlp=16, layers=1).masks(torch.randn(2, 16, 4, 4), prompts, prior)


def test_every_loss_of_a_network_whose_masks_begin_somewhere(beginning):
    features = beginning.encoder(_large())
    nose = _map(4, 8, 8, 12)
    example = Example(0, fifa.QUESTIONS["grounded_explanation"], "The <p>nose</p> [SEG] is smeared.", (), (nose,),
                      ((1, True),))  # fmt: skip
    losses = beginning.losses(features, [example, *_examples()[1:]], _truth(), torch.rand(2, 3, 16, 16))
    assert set(losses) == set(fifa.WEIGHTS)
    beginning.total(losses).backward()
    for part in (beginning.to_place, beginning.decoder.embed, beginning.from_region):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
    assert all(p.grad is None for p in beginning.encoder.parameters())


def test_an_explanation_names_only_what_may_be_named(beginning):
    seen = beginning.seen(beginning.encoder(_large()))
    ask = [(0, fifa.QUESTIONS["grounded_explanation"], ()), (1, fifa.QUESTIONS["grounded_explanation"], ())]
    forged = torch.full_like(seen.forged, -9.0)
    forged[0, CONCEPTS.index("mouth")] = 9.0
    first, second = beginning.answer(seen._replace(forged=forged), ask, 60, least=0.5)
    assert set(re.findall(r"<p>(.*?)</p>", first.text)) <= {"mouth"} and first.text.startswith("The")
    assert second.text == fifa.NO_FORGERY and not second.masks
    other = beginning.answer(seen._replace(forged=forged), [(0, fifa.QUESTIONS["detection"], ())], 4, least=0.5)
    assert other == beginning.answer(seen, [(0, fifa.QUESTIONS["detection"], ())], 4) or other[0].text


def test_words_may_have_an_encoder_of_their_own(beginning):
    config = beginning.config | {"encoder": {"kind": "two", "size": 64, "maps": True}}
    network = FiFa(config, beginning.reader).eval()
    masks, words = CompactEncoder(64, maps=True).network.state_dict(), Compact(noise=True).state_dict()
    network.encoder.start_from(masks, words)
    features = network.encoder(_large())
    other = features._replace(grid=features.grid.index_fill(1, torch.arange(network.apart), 0.0))
    with torch.inference_mode():
        a, b = network.seen(features), network.seen(other)
    assert torch.equal(a.where, b.where) and torch.equal(a.parsing, b.parsing), "masks are not made of the words' part"
    assert not torch.equal(a.tokens, b.tokens)


def test_an_encoder_without_a_map_cannot_be_begun_at(beginning, words):
    config = beginning.config | {"encoder": TOWER}
    network = FiFa(config, beginning.reader)
    with pytest.raises(InputError, match="maps = true"):
        network.seen(network.encoder(_pixels(2)))
