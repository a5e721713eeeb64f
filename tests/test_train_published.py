"""`facewitness import`: published names and shapes under ours, and pickles that hold more than tensors."""

from __future__ import annotations

import os
import pickle

import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
pytest.importorskip("transformers", reason="needs the extra 'train'")
from safetensors.torch import load_file, save_file  # noqa: E402

from facewitness.apps.cli import main  # noqa: E402
from facewitness.errors import InputError, UnknownName, WeightsError  # noqa: E402
from facewitness.models import _torchvision  # noqa: E402, F401  (transformers needs it first)
from facewitness.models.fpn import FPN  # noqa: E402
from facewitness.train import published  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
WIDTH, MLP, LABELS = 8, 12, 21


def face_vit(channels: int = 5) -> dict[str, torch.Tensor]:
    """Names and shapes of Face-ViT-MultiLabel as its public code makes them, of two blocks and 28 px."""
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.embeddings.position_embeddings": (1, 5, WIDTH), "transformer.embeddings.cls_token": (1, 1, WIDTH),
        "transformer.embeddings.patch_embeddings.weight": (WIDTH, 3, 14, 14),
        "transformer.embeddings.patch_embeddings.bias": (WIDTH,),
        "head.weight": (LABELS, WIDTH), "head.bias": (LABELS,),
        "transformer.encoder.encoder_norm.weight": (WIDTH,), "transformer.encoder.encoder_norm.bias": (WIDTH,),
        "coord_conv_branch.0.conv.weight": (WIDTH, channels, 3, 3), "coord_conv_branch.0.conv.bias": (WIDTH,),
        "conv_branch2.0.weight": (WIDTH, WIDTH, 5, 5), "conv_branch2.0.bias": (WIDTH,),
    }  # fmt: skip
    for norm in ("coord_conv_branch.1", "conv_branch2.1"):
        shapes |= {f"{norm}.{n}": (WIDTH,) for n in ("weight", "bias", "running_mean", "running_var")}
    for i in (0, 1):
        layer = f"transformer.encoder.layer.{i}"
        for norm in ("attention_norm", "ffn_norm"):
            shapes |= {f"{layer}.{norm}.weight": (WIDTH,), f"{layer}.{norm}.bias": (WIDTH,)}
        for part in ("query", "key", "value", "out"):
            shapes |= {f"{layer}.attn.{part}.weight": (WIDTH, WIDTH), f"{layer}.attn.{part}.bias": (WIDTH,)}
        shapes |= {f"{layer}.ffn.fc1.weight": (MLP, WIDTH), f"{layer}.ffn.fc1.bias": (MLP,)}
        shapes |= {f"{layer}.ffn.fc2.weight": (WIDTH, MLP), f"{layer}.ffn.fc2.bias": (WIDTH,)}
    torch.manual_seed(0)
    tensors = {name: torch.rand(shape) for name, shape in shapes.items()}
    return tensors | {f"{n}.num_batches_tracked": torch.tensor(3) for n in ("coord_conv_branch.1", "conv_branch2.1")}


def _fpn() -> FPN:
    return FPN(LABELS, 28, 14, WIDTH, layers=2, heads=2, mlp=MLP, convolved=2, kernel=5, pooling="sequence")


@pytest.mark.parametrize("channels", [5, 7])
def test_the_published_prompter_fits_ours_tensor_by_tensor(channels):
    theirs = face_vit(channels)
    found = published.translated("fpn", theirs)
    net = _fpn()
    lacking, wrong = published.unfit({k: tuple(v.shape) for k, v in net.state_dict().items()}, found.tensors)
    assert not lacking and not wrong and not found.left
    net.load_state_dict(found.tensors)
    assert torch.equal(net.blocks[1].value.weight, theirs["transformer.encoder.layer.1.attn.value.weight"])
    assert torch.isfinite(net.eval()(torch.zeros(1, 3, 28, 28)).logits).all()
    if channels == 7:
        weight = theirs["coord_conv_branch.0.conv.weight"]
        assert torch.allclose(net.local[0][0].conv.weight[:, 3], weight[:, 3] + weight[:, 5])


def test_the_published_talker_is_translated_and_its_own_heads_are_left():
    theirs = {
        "query_tokens": torch.zeros(1, 4, 8), "visual_encoder.patch_embed.proj.weight": torch.zeros(6, 3, 14, 14),
        "visual_encoder.blocks.3.attn.q_bias": torch.ones(6), "visual_encoder.blocks.3.attn.v_bias": 2 * torch.ones(6),
        "visual_encoder.blocks.3.norm2.weight": torch.zeros(6), "ln_vision.bias": torch.zeros(6),
        "Qformer.bert.encoder.layer.0.crossattention.self.key.weight": torch.zeros(8, 6),
        "Qformer.bert.encoder.layer.0.attention.output.LayerNorm.bias": torch.zeros(8),
        "Qformer.bert.encoder.layer.0.intermediate_query.dense.bias": torch.zeros(8),
        "Qformer.bert.embeddings.word_embeddings.weight": torch.zeros(9, 8),
        "t5_model.shared.weight": torch.zeros(5, 4), "t5_proj.weight": torch.zeros(4, 8),
        "mask_decoder.transformer.layers.0.norm3.weight": torch.zeros(16),
        "mask_decoder.transformer.layers.1.self_attn.q_proj.bias": torch.zeros(16),
        "multi_label_classifier.head.weight": torch.zeros(21, 8),
        "mask_decoder.output_upscaling_mlp.layers.0.weight": torch.zeros(3), "fc_layer.bias": torch.zeros(1),
    }  # fmt: skip
    found = published.translated("forgerytalker", theirs)
    assert set(found.left) == {"mask_decoder.output_upscaling_mlp.layers.0.weight", "fc_layer.bias"}
    assert found.tensors["encoder.tower.encoder.layers.3.self_attn.qkv.bias"].tolist() == [1] * 6 + [0] * 6 + [2] * 6
    assert {
        "qformer.encoder.layer.0.crossattention.attention.key.weight",
        "qformer.encoder.layer.0.attention.output.LayerNorm.bias",
        "qformer.encoder.layer.0.intermediate_query.dense.bias",
        "decoder.decoder.transformer.layers.0.layer_norm3.weight",
        "decoder.decoder.transformer.layers.1.self_attn.q_proj.bias",
        "encoder.tower.encoder.layers.3.layer_norm2.weight",
        "language.shared.weight",
        "fpn.head.weight",
    } <= set(found.tensors)


def test_farl_fits_a_clip_tower():
    from transformers import CLIPVisionConfig, CLIPVisionModel  # after models, which mend torchvision for it

    tower = CLIPVisionModel(CLIPVisionConfig(hidden_size=8, intermediate_size=12, num_hidden_layers=1,
                                             num_attention_heads=2, image_size=16, patch_size=8))  # fmt: skip
    block = "visual.transformer.resblocks.0"
    shapes = {
        "visual.class_embedding": (8,), "visual.positional_embedding": (5, 8), "visual.conv1.weight": (8, 3, 8, 8),
        f"{block}.attn.in_proj_weight": (24, 8), f"{block}.attn.in_proj_bias": (24,),
        f"{block}.attn.out_proj.weight": (8, 8), f"{block}.attn.out_proj.bias": (8,),
        f"{block}.mlp.c_fc.weight": (12, 8), f"{block}.mlp.c_fc.bias": (12,),
        f"{block}.mlp.c_proj.weight": (8, 12), f"{block}.mlp.c_proj.bias": (8,),
        **{f"visual.{n}.{w}": (8,) for n in ("ln_pre", "ln_post") for w in ("weight", "bias")},
        **{f"{block}.ln_{n}.{w}": (8,) for n in (1, 2) for w in ("weight", "bias")}, "visual.proj": (8, 4),
    }  # fmt: skip
    found = published.translated("farl", {k: torch.randn(s) for k, s in shapes.items()})
    lacking, wrong = published.unfit({k: tuple(v.shape) for k, v in tower.state_dict().items()}, found.tensors)
    assert not lacking and not wrong and found.left == ("visual.proj",)


def test_a_checkpoint_with_missing_keys_or_of_another_kind_is_told():
    theirs = face_vit()
    del theirs["transformer.encoder.layer.1.attn.key.weight"]
    found = published.translated("fpn", theirs)
    lacking, _ = published.unfit({k: tuple(v.shape) for k, v in _fpn().state_dict().items()}, found.tensors)
    assert lacking == ["blocks.1.key.weight"]
    with pytest.raises(WeightsError, match=r"without queries"):
        published.translated("forgerytalker", theirs)
    with pytest.raises(UnknownName, match="Did you mean 'fpn'"):
        published.translated("fnp", theirs)


def test_a_pickle_is_read_in_another_process_and_written_as_safetensors(tmp_path, capsys):
    torch.save({"model": {"module." + k: v for k, v in face_vit().items()}, "epoch": 3}, tmp_path / "vit.pth")
    assert main(["import", "fpn", str(tmp_path / "vit.pth"), "--out", str(tmp_path / "fpn.safetensors")]) == 0
    assert "fpn.safetensors" in capsys.readouterr().out
    _fpn().load_state_dict(load_file(tmp_path / "fpn.safetensors"))


class _Evil:
    def __reduce__(self):
        return os.system, ("touch touched",)


@pytest.mark.parametrize("what", ["code", "rubbish", "list", "safetensors"])
def test_a_file_that_holds_something_else_is_refused(tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ("x.safetensors" if what == "safetensors" else "x.pth")
    match what:
        case "code":
            torch.save({"model": _Evil()}, path, pickle_module=pickle)
        case "rubbish":
            path.write_bytes(b"\x80\x04no tensors")
        case "list":
            torch.save([torch.zeros(2)], path)
        case "safetensors":
            save_file({"a": torch.zeros(2)}, path)
            path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(WeightsError):
        published.read(path)
    assert not (tmp_path / "touched").exists()
    with pytest.raises(InputError, match="does not exist"):
        published.read(tmp_path / "absent.pth")


def test_no_option_of_a_witness_reads_a_pickle(tmp_path):
    from facewitness import plugins

    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pth")
    (tmp_path / "w.json").write_text("{}")
    for name in ("forgerytalker", "fifa"):
        with pytest.raises(WeightsError):
            plugins.get("witnesses", name).load(weights=str(tmp_path / "w.pth"))
