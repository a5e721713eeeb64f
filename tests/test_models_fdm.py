"""The forgery disentanglement module: equations 7 to 10 by hand, what each loss moves, and the way to disk and back."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
from safetensors.torch import save_file  # noqa: E402

from facewitness.errors import InputError, UnknownName, WeightsError  # noqa: E402
from facewitness.models.fdm import (  # noqa: E402
    FDM,
    forgery_loss,
    identity_loss,
    reconstruction_loss,
    reverse_gradient,
)
from facewitness.types import Mask  # noqa: E402

TINY = {"backbone": "test_efficientnet", "width": 8}


def made(**options) -> FDM:
    torch.manual_seed(0)
    return FDM(5, **{**TINY, **options})


@pytest.fixture(scope="module")
def pixels():
    return torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 255


FAKE, IDENTITY = torch.tensor([0.0, 1.0, 0.0, 1.0]), torch.tensor([0, 0, 3, 4])


# ---------------------------------------------------------------------------------------------------------- equations


def test_equation_7_by_hand():
    logits = torch.tensor([[0.0, math.log(3.0)], [math.log(4.0), 0.0]])  # ŷ of the truth: 3/4 and 1/5
    truth, alpha = torch.tensor([1, 1]), torch.tensor([9.0, 0.5])
    a, b = 0.25**2 * math.log(3 / 4), 0.8**2 * math.log(1 / 5)
    assert identity_loss(logits, truth).item() == pytest.approx(-(a + b) / 2, rel=1e-5)
    assert identity_loss(logits, truth, alpha).item() == pytest.approx(-0.5 * (a + b) / 2, rel=1e-5)
    plain = torch.nn.functional.cross_entropy(logits, truth)
    assert identity_loss(logits, truth, gamma=0.0).item() == pytest.approx(plain.item(), rel=1e-6)


def test_equation_8_by_hand():
    logit, fake = torch.tensor([math.log(3.0), math.log(3.0)]), torch.tensor([1.0, 0.0])  # ĝ = 3/4 both times
    a, b = 0.3 * 0.25**2 * math.log(3 / 4), 0.7 * 0.75**2 * math.log(1 / 4)
    assert forgery_loss(logit, fake, alpha=0.3).item() == pytest.approx(-(a + b) / 2, rel=1e-5)
    extreme = forgery_loss(torch.tensor([200.0, -200.0]), torch.tensor([0.0, 1.0]))
    assert torch.isfinite(extreme), "a face that is wrong for certain has a loss, not an infinity"


def test_equation_9_by_hand_and_its_target_stands_still():
    shared = torch.tensor([[[[1.0]], [[2.0]]]], requires_grad=True)
    again = torch.tensor([[[[2.0]], [[0.0]]]], requires_grad=True)
    loss = reconstruction_loss(shared, again)
    assert loss.item() == pytest.approx((1 + 4) / 2)
    loss.backward()
    assert shared.grad is None and again.grad.flatten().tolist() == [1.0, -2.0]


def test_equation_10_weighs_and_sums(pixels):
    model = made(identity_weight=2.0, forgery_weight=3.0, reconstruction_weight=0.5, adversarial_weight=0.25)
    said = model(pixels)
    losses = model.loss(said, FAKE, IDENTITY)
    adversarial = torch.nn.functional.cross_entropy(said.identities_from_trace, IDENTITY)
    p = said.logit_from_identity.sigmoid()
    adversarial = adversarial - (FAKE * p.log() + (1 - FAKE) * (1 - p).log()).mean()
    by_hand = (
        2.0 * identity_loss(said.identities, IDENTITY)
        + 3.0 * forgery_loss(said.logit, FAKE)
        + 0.5 * ((said.shared - said.reconstruction) ** 2).mean()
        + 0.25 * adversarial
    )
    assert losses.total.item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_the_gradient_is_reversed_and_scaled_and_the_value_is_not():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reverse_gradient(x, 0.5)
    assert torch.equal(y, x)
    (y * torch.tensor([3.0, 4.0])).sum().backward()
    assert x.grad.tolist() == [-1.5, -2.0]


# ------------------------------------------------------------------------------------------------------- the network


def test_shapes_are_those_of_the_docstring(pixels):
    model = made().eval()
    said = model(pixels)
    grid = (2, 2)
    assert said.logit.shape == said.score.shape == said.logit_from_identity.shape == (4,)
    assert said.shared.shape == said.reconstruction.shape == (4, 256, *grid)
    assert said.identity.shape == said.structure.shape == said.trace.shape == (4, 8, *grid)
    assert said.identities.shape == said.identities_from_trace.shape == (4, 5)
    assert torch.allclose(said.evidence.mean((1, 2)), said.logit, atol=1e-6), "places say what the face says"
    with pytest.raises(InputError, match=r"expected RGB \(B, 3, H, W\)"):
        model(pixels[0])


@pytest.mark.parametrize(
    ("backbone", "stage", "channels", "side"),
    [
        ("test_efficientnet", -2, 48, 4),  # an earlier stage: a finer grid
        ("test_vit", None, 64, 4),  # tokens, the first of which is no place
        ("test_vit", -1, 64, 4),
        ("test_resnet", None, 96, 2),
    ],
)
def test_any_backbone_gives_maps(backbone, stage, channels, side):
    options = {"img_size": 64} if backbone == "test_vit" else {}
    model = made(backbone=backbone, stage=stage, options=options).eval()
    assert model(torch.zeros(1, 3, 64, 64)).shared.shape == (1, channels, side, side)


def test_xception_is_the_default_and_reads_its_own_scale():
    import inspect

    assert inspect.signature(FDM).parameters["backbone"].default == "legacy_xception"
    model = made(backbone="legacy_xception").eval()
    with torch.no_grad():
        said = model(torch.full((1, 3, 64, 64), 127.5))
    assert said.shared.shape == (1, 2048, 2, 2)
    assert model.mean.flatten().tolist() == model.std.flatten().tolist() == [0.5] * 3


_ALL = {"backbone", "to_trace", "to_identity", "to_structure", "forgery_classifier", "identity_classifier", "decoder",
        "identity_from_trace", "forgery_from_identity"}  # fmt: skip
_MOVES = {
    "identity": {"backbone", "to_identity", "identity_classifier"},
    "forgery": {"backbone", "to_trace", "forgery_classifier"},
    "reconstruction": {"backbone", "to_trace", "to_identity", "to_structure", "decoder"},
    "adversarial": {"backbone", "to_trace", "to_identity", "identity_from_trace", "forgery_from_identity"},
}


@pytest.mark.parametrize("name", _MOVES)
def test_a_loss_moves_what_it_should_and_nothing_else(name, pixels):
    model = made()
    before = {k: v.detach().clone() for k, v in model.named_parameters()}
    assert {k.split(".")[0] for k in before} == _ALL
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model.loss(model(pixels), FAKE, IDENTITY).parts[name].backward()
    optimizer.step()
    moved = {k.split(".")[0] for k, v in model.named_parameters() if not torch.equal(v, before[k])}
    assert moved == _MOVES[name]


def test_an_adversarial_head_learns_to_read_while_the_features_learn_to_hide(pixels):
    model = made().eval()

    def loss() -> torch.Tensor:
        return torch.nn.functional.cross_entropy(model(pixels).identities_from_trace, IDENTITY)

    first = loss()
    first.backward()
    for part, better in ((model.identity_from_trace, True), (model.to_trace, False)):
        kept = [p.detach().clone() for p in part.parameters()]
        length = math.sqrt(sum(float(p.grad.square().sum()) for p in part.parameters()))
        with torch.no_grad():
            for p in part.parameters():
                p -= 1e-2 / length * p.grad
            after = loss()
            for p, value in zip(part.parameters(), kept, strict=True):
                p.copy_(value)
        assert (after < first) == better


@pytest.mark.parametrize(
    ("off", "gone"),
    [
        ("identity", ["identity_classifier", "identities"]),
        ("reconstruction", ["decoder", "reconstruction"]),
        ("adversarial", ["identity_from_trace", "forgery_from_identity"]),
    ],
)
def test_a_weight_of_zero_leaves_the_loss_and_its_parts_out(off, gone, pixels):
    model = made(**{f"{off}_weight": 0.0})
    said = model(pixels)
    losses = model.loss(said, FAKE, IDENTITY)
    assert set(losses.parts) == {"identity", "forgery", "reconstruction", "adversarial"} - {off}
    assert all(getattr(model, name, None) is None for name in gone[:1])
    assert getattr(said, "logit_from_identity" if off == "adversarial" else gone[1]) is None
    whole = made()
    assert torch.equal(whole.to_trace[0].weight, model.to_trace[0].weight), "ablations begin with the same values"
    assert torch.equal(whole.forgery_classifier.weight, model.forgery_classifier.weight)


def test_attention_is_a_mask_of_the_picture(pixels):
    model = made().train()
    with torch.no_grad():
        model.forgery_classifier.weight.mul_(20)
    maps = model.attention(pixels)
    assert model.training, "it leaves the mode as it was"
    assert maps.dtype == np.float32 and maps.shape == (4, 64, 64)
    for values in (*maps, *model.attention(pixels, relative=True)):
        assert Mask((0, 0, 64, 64), values).values is values  # the type checks itself
    stretched = model.attention(pixels, relative=True)
    assert stretched.min((1, 2)) == pytest.approx(0) and stretched.max((1, 2)) == pytest.approx(1)
    assert np.corrcoef(maps[0].ravel(), stretched[0].ravel())[0, 1] > 0.9
    with torch.no_grad():
        model.forgery_classifier.weight.zero_()
        model.forgery_classifier.bias.fill_(-9.0)
    assert model.attention(pixels).max() < 1e-3, "a face held for real stays dark"
    assert np.isfinite(model.attention(pixels, relative=True)).all(), "no evidence anywhere is no division by zero"


# ---------------------------------------------------------------------------------------------------- disk and errors


def test_what_is_saved_comes_back(tmp_path, pixels):
    model = made(stage=-2, adversarial_weight=0.0, dropout=0.1, mean=(0.5, 0.5, 0.5))
    model(pixels)  # batch statistics are weights too
    digest = model.eval().save(tmp_path / "a.safetensors")
    again = FDM.load(tmp_path / "a.safetensors")
    assert again.config == model.config and not again.training
    assert torch.equal(again(pixels).logit, model(pixels).logit)
    assert again.save(tmp_path / "b.safetensors", {"crop": {"size": 64}}) == digest
    assert json.loads((tmp_path / "b.json").read_text())["crop"] == {"size": 64}


@pytest.mark.parametrize("weights", [{}, {"forgery_weight": 0.0}, {"identity_weight": 0.0, "adversarial_weight": 0.0}])
def test_the_lean_module_answers_the_same_without_what_only_training_needs(pixels, weights):
    whole = made(**weights)
    whole(pixels)
    lean, whole = whole.lean(), whole.eval()
    assert not lean.training and lean.config["identities"] == 1 and lean.config["width"] == whole.config["width"]
    said, same = whole(pixels), lean(pixels)
    assert all(torch.equal(getattr(said, k), getattr(same, k)) for k in ("logit", "evidence", "trace", "identity"))
    assert same.identities is same.reconstruction is same.identities_from_trace is same.logit_from_identity is None
    assert sum(p.numel() for p in lean.parameters()) < sum(p.numel() for p in whole.parameters())


def test_damaged_files_are_refused_in_words(tmp_path):
    file = tmp_path / "a.safetensors"
    with pytest.raises(WeightsError, match="two files"):
        FDM.load(file)
    made().save(file)
    card = json.loads(file.with_suffix(".json").read_text())
    file.with_suffix(".json").write_text(json.dumps({**card, "config": {**card["config"], "width": 16}}))
    with pytest.raises(WeightsError, match="does not fit its configuration"):
        FDM.load(file)
    file.with_suffix(".json").write_text(json.dumps({**card, "config": {**card["config"], "depth": 16}}))
    with pytest.raises(WeightsError, match="depth"):
        FDM.load(file)
    file.with_suffix(".json").write_text("{")
    with pytest.raises(WeightsError, match="no JSON"):
        FDM.load(file)
    file.with_suffix(".json").write_text(json.dumps(card))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match="expected SHA-256"):
        FDM.load(file)
    with pytest.raises(WeightsError, match=r"\.safetensors"):
        made().save(tmp_path / "a.bin")


def test_the_backbone_starts_from_a_file_that_fits(tmp_path, pixels):
    other = FDM(2, **TINY)
    tensors = {k: v.contiguous() for k, v in other.backbone.state_dict().items()}
    save_file({**tensors, "classifier.weight": torch.zeros(3, 256)}, tmp_path / "good.safetensors")
    model = made()
    assert not torch.equal(model.backbone.conv_stem.weight, other.backbone.conv_stem.weight)
    model.start_from(tmp_path / "good.safetensors")
    assert all(torch.equal(v, tensors[k]) for k, v in model.backbone.state_dict().items())
    made(stage=-2).start_from(tmp_path / "good.safetensors")  # an earlier stage needs less of the same file
    save_file({"conv_stem.weight": torch.zeros(1)}, tmp_path / "bad.safetensors")
    with pytest.raises(WeightsError, match="no weights of test_efficientnet"):
        model.start_from(tmp_path / "bad.safetensors")
    with pytest.raises(WeightsError, match="cannot be read"):
        model.start_from(tmp_path / "nowhere.safetensors")


def test_training_goes_on_from_a_saved_module(tmp_path, pixels):
    other = FDM(2, **TINY)
    other.lean().save(tmp_path / "other.safetensors")
    model = made()
    model.start_from(tmp_path / "other.safetensors")
    assert torch.equal(model.eval()(pixels).score, other.eval()(pixels).score)
    FDM(2, **{**TINY, "width": TINY["width"] * 2}).lean().save(tmp_path / "wide.safetensors")
    with pytest.raises(WeightsError, match="module of another make"):
        model.start_from(tmp_path / "wide.safetensors")


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(UnknownName, match=r"Did you mean 'legacy_xception'\?.* are in timm\.list_models\(\)") as told:
        made(backbone="legacy_xeption")
    assert len(str(told.value)) < 400, "not the names of a thousand"
    with pytest.raises(InputError, match="timm cannot make"):
        made(options={"no_such_option": 1})
    with pytest.raises(InputError, match="stage 99"):
        made(stage=99)
    with pytest.raises(InputError, match="identity_weight"):
        made(identity_weight=-1.0)
    with pytest.raises(InputError, match="at least one loss"):
        made(**{f"{name}_weight": 0.0 for name in _MOVES})
    with pytest.raises(InputError, match="identities"):
        FDM(0, **TINY)
    with pytest.raises(InputError, match="forgery_alpha"):
        made(forgery_alpha=2.0)
    with pytest.raises(InputError, match="three channels"):
        made(mean=(0.5,))
