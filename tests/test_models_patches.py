"""The small vision transformer with the compact network's answers, and how it learns."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
from safetensors.torch import load_file, save_file  # noqa: E402
from test_train_compact import TINY, packed  # noqa: E402, F401

from facewitness.errors import InputError, UnknownName  # noqa: E402
from facewitness.models.patches import Patches, of_dinov2  # noqa: E402
from facewitness.train import compact as recipe_file  # noqa: E402

SMALL = "vit_tiny_patch16_224"
VIT = replace(TINY, stage=(recipe_file.Stage(64, 2, 4, 1e-3),), backbone=SMALL, layer_decay=0.5, bared=0.5)


def test_answers_have_the_compact_networks_shapes():
    torch.manual_seed(0)
    answers = Patches(SMALL, 64, depth=2, parsing=True).eval()(torch.rand(2, 3, 64, 64) * 255)
    assert answers.fake.shape == (2,) and answers.kind.shape == (2, 4) and answers.regions.shape == (2, 12)
    assert answers.mask.shape == (2, 16, 16) and answers.parsing.shape == (2, 19, 16, 16)


def test_a_network_that_is_no_vision_transformer_or_a_strangers_is_refused():
    for name in ("mobilenetv2_100", "hf-hub:attacker/model", "vit_smal_patch14_dinov2"):
        with pytest.raises(UnknownName, match="timm vision transformer"):
            Patches(name, 64)


def test_a_pretrained_encoder_begins_it_with_its_late_blocks_left_out():
    import timm

    torch.manual_seed(0)
    whole = timm.create_model(SMALL, num_classes=0, img_size=96, patch_size=8, depth=4)
    model = Patches(SMALL, 64, depth=2)
    model.start_from(whole.state_dict())
    assert torch.equal(model.backbone.blocks[1].mlp.fc1.weight, whole.blocks[1].mlp.fc1.weight)
    assert model.backbone.patch_embed.proj.weight.shape[-1] == 16 and model.backbone.pos_embed.shape[1] == 17
    flat = torch.full((1, 3, 64, 64), 0.3)  # what FlexiViT's resizing keeps: the answer to a picture without detail
    ours = model.backbone.patch_embed(flat)[0, 0] - model.backbone.patch_embed.proj.bias
    theirs = whole.patch_embed(torch.full((1, 3, 96, 96), 0.3))[0, 0] - whole.patch_embed.proj.bias
    assert torch.allclose(ours, theirs, rtol=0.02, atol=1e-3)


def test_dinov2s_names_become_timms(tmp_path):
    import timm
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    about = Dinov2Config(hidden_size=192, num_hidden_layers=2, num_attention_heads=3, image_size=56)
    theirs = Dinov2Model(about).eval()
    theirs.save_pretrained(tmp_path)  # under the names that the hub has
    shape = {"img_size": 56, "depth": 2, "embed_dim": 192, "num_heads": 3}
    ours = timm.create_model("vit_small_patch14_dinov2", num_classes=0, **shape).eval()
    ours.load_state_dict(of_dinov2(load_file(tmp_path / "model.safetensors")))
    x = torch.rand(1, 3, 56, 56)
    with torch.no_grad():
        assert torch.allclose(ours.forward_features(x), theirs(x).last_hidden_state, atol=1e-4)


def test_early_blocks_learn_slower_and_places_do_not_decay():
    model = Patches(SMALL, 64, depth=2)
    groups = recipe_file.optimizer_of(model, VIT).param_groups
    at = {id(p): group for group in groups for p in group["params"]}
    assert at[id(model.to_fake.weight)]["scale"] == 1.0 and at[id(model.to_fake.weight)]["weight_decay"] > 0
    scales = [at[id(model.backbone.blocks[k].attn.qkv.weight)]["scale"] for k in (0, 1)]
    assert scales == [0.25, 0.5] and at[id(model.backbone.patch_embed.proj.weight)]["scale"] == 0.125
    assert at[id(model.backbone.pos_embed)]["weight_decay"] == 0
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


def test_what_stands_around_a_face_is_painted_over_in_whole_pairs_alike():
    torch.manual_seed(1)
    x = torch.randint(0, 256, (64, 3, 8, 8), dtype=torch.uint8)
    face = torch.zeros(64, 2, 2, dtype=torch.uint8)
    face[:, 0, 0] = 1
    out = recipe_file.bared({"x": x, "face": face}, 0.5)["x"]
    assert torch.equal(out[:, :, :4, :4], x[:, :, :4, :4].float()), "the face itself stays"
    around = (out[:, :, 4:] - x[:, :, 4:]).abs().flatten(1).amax(1) > 0
    assert torch.equal(around[::2], around[1::2]) and 8 < around[::2].sum() < 24
    k = int(around.nonzero()[0])
    assert out[k, :, 7, 7].tolist() == out[k + 1, :, 5, 6].tolist() == out[k, :, 4, 0].tolist()


def test_it_learns_goes_on_and_holds_one_size(packed, tmp_path):  # noqa: F811
    recipe_file.train(VIT, packed, None, tmp_path / "run", workers=0)
    weights = load_file(tmp_path / "run" / "last.safetensors")
    save_file(weights, tmp_path / "start.safetensors")
    recipe_file.train(VIT, packed, tmp_path / "start.safetensors", tmp_path / "on", workers=0)
    on = load_file(tmp_path / "on" / "last.safetensors")
    assert weights.keys() == on.keys() and any(not torch.equal(weights[k], on[k]) for k in on)
    with pytest.raises(InputError, match="one size of crops in all stages"):
        recipe_file.train(replace(VIT, stage=TINY.stage), packed, None, tmp_path / "two", workers=0)


def test_pairs_of_sources_left_out_are_stood_in_for_by_other_pairs():
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parents[1] / "runs/compact"))
    try:
        import together
    finally:
        sys.path.pop(0)
    batch = {"source": torch.tensor([0, 0, 2, 2, 1, 1, 2, 2]), "x": torch.arange(8)}
    torch.manual_seed(0)
    part = together.stood_in(batch, (2,))
    assert part["source"].tolist()[:2] == [0, 0] and part["source"].tolist()[4:6] == [1, 1]
    assert len(part["x"]) == 8 and 2 not in part["source"]
    assert (part["x"][1::2] - part["x"][::2] == 1).all() and (part["x"][::2] % 2 == 0).all(), "pairs stay together"
    assert together.stood_in(batch, ()) is batch
    seen = {"x": torch.rand(2, 3, 8, 8), "mask": torch.rand(2, 2, 2), "face": torch.rand(2, 2, 2)}
    seen["regions"] = torch.rand(2, 12)
    twice = together.mirrored(together.mirrored(seen))
    assert all(torch.equal(twice[name], value) for name, value in seen.items())
