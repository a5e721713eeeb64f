"""`facewitness import`: published names and shapes under ours, and pickles that hold more than tensors."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
from dataclasses import replace
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
pytest.importorskip("transformers", reason="needs the extra 'train'")
from safetensors.torch import load_file, save_file  # noqa: E402

from facewitness.apps.cli import main  # noqa: E402
from facewitness.apps.importing import _config  # noqa: E402
from facewitness.errors import InputError, UnknownName, WeightsError  # noqa: E402
from facewitness.models import _torchvision  # noqa: E402, F401  (transformers needs it first)
from facewitness.models.fpn import FPN  # noqa: E402
from facewitness.train import published  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
WIDTH, MLP, LABELS = 8, 12, 21


@pytest.fixture
def forked(monkeypatch):
    """The process that reads a pickle is forked from this one, which has imported torch: 1.5 s of a processor less.

    One test below starts it as it is.
    """

    def run(command, timeout, **_):
        assert command[:3] == [sys.executable, "-I", "-c"]
        reading, writing = os.pipe()
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # Python 3.12: there are threads
            child = os.fork()
        if not child:
            os.close(reading)
            os.dup2(writing, 2)
            sys.argv = ["-c", *command[4:]]
            code = 0
            try:
                exec(compile(command[3], "<child>", "exec"), {"__name__": "__main__"})
            except SystemExit as end:
                os.write(2, str(end).encode())
                code = 1
            except BaseException as error:
                os.write(2, repr(error).encode())
                code = 2
            finally:
                os._exit(code)
        os.close(writing)
        with open(reading, "rb") as file:
            told = file.read().decode()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return subprocess.CompletedProcess(command, status, "", told)

    monkeypatch.setattr(published, "subprocess", SimpleNamespace(run=run, TimeoutExpired=subprocess.TimeoutExpired))


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
    with pytest.raises(WeightsError, match=r"without query_tokens"):
        published.translated("forgerytalker", theirs)
    with pytest.raises(UnknownName, match="Did you mean 'fpn'"):
        published.translated("fnp", theirs)


RECIPE = """kind = "hub"
[fpn]
steps = 1
batch_size = 1
lr = 1e-3
[report]
steps = 1
batch_size = 1
lr = 1e-3
[network]
queries = 4
fuse = 8
[network.encoder]
kind = "blip"
hidden_size = 16
intermediate_size = 24
num_hidden_layers = 2
num_attention_heads = 2
image_size = 28
patch_size = 14
[network.fpn]
size = 28
patch = 14
width = 8
layers = 2
heads = 2
mlp = 12
convolved = 2
pooling = "sequence"
[network.qformer]
vocab_size = 31
hidden_size = 8
num_hidden_layers = 2
num_attention_heads = 2
intermediate_size = 12
max_position_embeddings = 16
[network.language]
vocab_size = 40
d_model = 8
d_kv = 4
d_ff = 12
num_layers = 1
num_decoder_layers = 1
num_heads = 2
feed_forward_proj = "gated-gelu"
tie_word_embeddings = false
pad_token_id = 0
eos_token_id = 1
decoder_start_token_id = 0
[network.decoder]
hidden = 16
heads = 2
mlp = 24
further = 0
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


def talker(recipe) -> dict[str, torch.Tensor]:
    """A whole checkpoint of the authors' names at the recipe's sizes, with what it has besides."""
    torch.manual_seed(0)
    shapes = published.expected("forgerytalker", _config("forgerytalker", recipe))
    tensors = {published.theirs("forgerytalker", k): torch.rand(shape) for k, shape in shapes.items()}
    for i in (0, 1):  # EVA keeps two biases of three
        third = tensors.pop(f"visual_encoder.blocks.{i}.attn.q_bias")[:16]
        tensors |= {f"visual_encoder.blocks.{i}.attn.{n}_bias": third.clone() for n in "qv"}
    tensors["mlm_head.weight"], tensors["mlm_head.bias"] = torch.rand(30, 8), torch.rand(30)  # a word less
    return tensors | {"fc_layer.bias": torch.rand(1), "mask_decoder.output_mlp.layers.0.weight": torch.rand(3),
                      "Qformer.bert.embeddings.position_ids": torch.arange(16)[None]}  # fmt: skip


def test_the_authors_names_and_ours_lead_to_each_other(recipe):
    shapes = published.expected("forgerytalker", _config("forgerytalker", recipe))
    names = {published.theirs("forgerytalker", k) for k in shapes}
    assert len(names) == len(shapes) > 150 and not names & set(shapes)
    assert {
        "query_tokens", "visual_encoder.patch_embed.proj.weight", "visual_encoder.blocks.1.attn.proj.bias",
        "Qformer.bert.encoder.layer.0.crossattention.self.key.weight", "t5_model.lm_head.weight", "t5_proj.bias",
        "mask_decoder.transformer.layers.1.norm4.bias", "mask_decoder.transformer.norm_final_attn.weight",
        "multi_label_classifier.transformer.encoder.layer.1.attn.query.bias", "mlm_head.weight",
        "multi_label_classifier.coord_conv_branch.0.conv.weight", "ln_vision.weight",
    } <= names  # fmt: skip
    found = published.translated("forgerytalker", talker(recipe))
    fit = published.fitted("forgerytalker", found, shapes)
    assert fit.whole and set(fit.tensors) == set(shapes) and len(fit.aside) == 3
    assert fit.tensors["to_word.weight"].shape == (31, 8) and fit.tensors["to_word.bias"].argmin() in range(31)


def test_the_published_sizes_are_what_is_expected_without_a_recipe():
    shapes = published.expected("forgerytalker")
    assert shapes["queries"] == (1, 32, 768) and shapes["language.shared.weight"] == (32128, 2048)
    assert shapes["encoder.tower.encoder.layers.38.self_attn.qkv.weight"] == (4224, 1408)
    assert published.expected("fpn")["blocks.31.query.weight"] == (1280, 1280)
    assert published.expected("farl")["encoder.layers.11.mlp.fc1.weight"] == (3072, 768)


def imported(tmp_path, kind, tensors, recipe, *more):
    save_file(tensors, tmp_path / "theirs.pth")  # safetensors by its content: pickles take a process each
    return main(["import", kind, str(tmp_path / "theirs.pth"), "--out", str(tmp_path / "ours.safetensors"),
                 "--recipe", str(recipe), *more])  # fmt: skip


def test_missing_parts_and_layers_are_told_and_taken_only_where_that_is_said(tmp_path, recipe, capsys):
    theirs = {k: v for k, v in talker(recipe).items() if not k.startswith(("t5_model.", "visual_encoder."))}
    del theirs["Qformer.bert.encoder.layer.1.output.dense.weight"]
    theirs["visual_encoder.blocks.0.Adapter.weight"] = torch.rand(2)
    assert imported(tmp_path, "forgerytalker", theirs, recipe) == 2
    told = capsys.readouterr().err
    assert "missing: 60, such as visual_encoder." in told and "(nothing is there of: T5)" in told, told
    assert "left over: 1, such as visual_encoder.blocks.0.Adapter.weight" in told and "--partial" in told
    assert not (tmp_path / "ours.safetensors").exists() and "Traceback" not in told
    assert imported(tmp_path, "forgerytalker", theirs, recipe, "--partial") == 0
    told = capsys.readouterr().out
    assert "missing: 60" in told and "left over: 1" in told and "as is known of such files: 3" in told
    assert "queries" in load_file(tmp_path / "ours.safetensors")


def test_the_system_and_its_prompter_begin_one_network(tmp_path, recipe, monkeypatch, capsys):
    from facewitness.models._reader import Reader
    from facewitness.train import forgerytalker

    whole, files = (
        talker(recipe),
        {"forgerytalker": tmp_path / "talker.safetensors", "fpn": tmp_path / "fpn.safetensors"},
    )
    theirs = {
        "forgerytalker": {k: v for k, v in whole.items() if not k.startswith(("t5_model.", "multi_label_classifier."))},
        "fpn": {k.removeprefix("multi_label_classifier."): v for k, v in whole.items() if k.startswith("multi_label_")},
    }
    for kind, file in files.items():
        save_file(theirs[kind], tmp_path / "theirs.pth")
        words = ["import", kind, str(tmp_path / "theirs.pth"), "--recipe", str(recipe), "--partial", "--out", str(file)]
        assert main(words) == 0
    read = forgerytalker.Recipe.read(recipe)

    def fresh(*_, **__):
        return forgerytalker.ft.ForgeryTalker(read.config(read.vocabulary), Reader.none())

    monkeypatch.setattr(forgerytalker.ft, "from_hub", fresh)
    network = forgerytalker.make(read, (), list(files.values()))
    own = network.state_dict()
    assert torch.equal(own["queries"], whole["query_tokens"])
    assert torch.equal(own["fpn.head.weight"], whole["multi_label_classifier.head.weight"])
    half = forgerytalker.make(replace(read, bf16=True), (), list(files.values()))
    assert next(half.encoder.parameters()).dtype == torch.bfloat16, "it never learns"
    assert half.queries.dtype == half.fpn.head.weight.dtype == torch.float32, "a step of three trains it"
    assert torch.isfinite(half.encoder(torch.zeros(1, 3, 28, 28)).grid).all()
    alone = forgerytalker.make(read, (), files["forgerytalker"]).state_dict()
    assert torch.equal(alone["queries"], own["queries"])
    assert not torch.equal(alone["fpn.head.weight"], own["fpn.head.weight"])
    save_file({"nothing.weight": torch.zeros(1)}, files["fpn"])
    with pytest.raises(InputError, match=r"1 tensors of '.*fpn.safetensors' do not fit, such as nothing.weight"):
        forgerytalker.make(read, (), list(files.values()))
    capsys.readouterr()
    missing = str(tmp_path / "gone.safetensors")
    command = ["train", "forgerytalker", str(recipe), "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    assert main([*command, "--init-from", str(files["forgerytalker"]), missing]) == 2
    assert "gone.safetensors" in capsys.readouterr().err


@pytest.mark.parametrize(("change", "told"), [
    ({"transformer.encoder.layer.0.attn.query.weight": torch.zeros(4, 4)},
     "transformer.encoder.layer.0.attn.query.weight: expected the shape (8, 8), got (4, 4)"),
    ({"head.weight": torch.zeros(21, 8, dtype=torch.int8)}, "head.weight: expected floating-point numbers, got int8"),
    ({"head.bias": torch.full((21,), torch.nan)}, "head.bias: expected numbers, got some that are none"),
    ({"transformer.encoder.layer.1.attn.query.weight": None},
     "missing: 1, such as transformer.encoder.layer.1.attn.query.weight"),
    ({"transformer.encoder.layer.2.attn.query.weight": torch.zeros(8, 8)},
     "left over: 1, such as transformer.encoder.layer.2.attn.query.weight"),
    ({"transformer.embeddings.position_embeddings": None},
     "got one without transformer.embeddings.position_embeddings"),
], ids=["shape", "dtype", "nan", "missing", "too many", "another kind"])  # fmt: skip
def test_what_does_not_fit_is_told_in_the_files_own_names(tmp_path, recipe, capsys, change, told):
    theirs = {k: v for k, v in (face_vit() | change).items() if v is not None}
    assert imported(tmp_path, "fpn", theirs, recipe) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and told in lines[0] and "theirs.pth" in lines[0], lines
    assert sorted(p.name for p in tmp_path.iterdir()) == ["theirs.pth", "tiny.toml"]


def test_a_decoder_of_another_width_begins_anew(tmp_path, recipe, capsys):
    theirs = talker(recipe)
    recipe.write_text(RECIPE.replace("hidden = 16\nheads", "hidden = 32\nheads"))
    assert imported(tmp_path, "forgerytalker", theirs, recipe) == 0
    assert "mask_decoder." in capsys.readouterr().out
    assert not [k for k in load_file(tmp_path / "ours.safetensors") if k.startswith("decoder.")]


def test_farls_folder_is_an_encoder_for_fifa(tmp_path, capsys):
    from transformers import CLIPVisionModel

    config = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 16, "patch_size": 8}  # fmt: skip
    toml = tmp_path / "fifa.toml"
    toml.write_text('kind = "hub"\nsteps = 1\nbatch_size = 1\nlr = 1e-3\n[network.encoder]\nkind = "clip"\n'
                    + "\n".join(f"{k} = {v}" for k, v in config.items()))  # fmt: skip
    shapes = published.expected("farl", _config("farl", toml))
    theirs = {published.theirs("farl", k): torch.rand(s) for k, s in shapes.items()}
    for name in [n for n in theirs if "in_proj" in n]:
        theirs[name] = torch.cat([theirs[name]] * 3)
    save_file(theirs | {"visual.proj": torch.rand(2), "logit_scale": torch.ones(())}, tmp_path / "f.pt")
    out = tmp_path / "farl" / "model.safetensors"
    assert main(["import", "farl", str(tmp_path / "f.pt"), "--recipe", str(toml), "--out", str(out)]) == 0
    assert "as is known of such files: 2" in capsys.readouterr().out
    tower, facts = CLIPVisionModel.from_pretrained(out.parent, output_loading_info=True)
    assert not facts["missing_keys"] and not facts["unexpected_keys"] and tower.config.patch_size == 8


def test_a_pickle_is_read_in_another_process_and_written_as_safetensors(tmp_path, recipe, capsys):
    torch.save({"model": {"module." + k: v for k, v in face_vit().items()}, "epoch": 3}, tmp_path / "vit.pth")
    out = tmp_path / "fpn.safetensors"
    assert main(["import", "fpn", str(tmp_path / "vit.pth"), "--out", str(out), "--recipe", str(recipe)]) == 0
    assert "fpn.safetensors" in capsys.readouterr().out
    _fpn().load_state_dict(load_file(out))


def test_a_pickle_of_the_older_form_and_a_file_under_another_suffix_are_read(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    assert published.read(tmp_path / "old.bin")["a"].tolist() == [1, 1]
    save_file({"a": torch.ones(3)}, tmp_path / "it.pth")
    assert published.read(tmp_path / "it.pth")["a"].tolist() == [1, 1, 1]


class _Evil:
    def __reduce__(self):
        return os.system, ("touch touched",)


def _twice(path):
    torch.save({"a": torch.zeros(2), "module.a": torch.zeros(2)}, path)


def _cut(path, bytes_=2):
    path.write_bytes(path.read_bytes()[:-bytes_])


BROKEN = {
    "code": (lambda p: torch.save({"model": _Evil()}, p, pickle_module=pickle), "pickle that makes posix.system"),
    "rubbish": (lambda p: p.write_bytes(b"\x80\x04no tensors"), "damaged or cut short"),
    "text": (lambda p: p.write_bytes(b"weights"), "got neither"),
    "list": (lambda p: torch.save([torch.zeros(2)], p), "expected a table of tensors, got one list"),
    "no tensor": (lambda p: torch.save({"epoch": 3}, p), "got one without any"),
    "twice": (_twice, "expected each tensor once, got a and module.a"),
    "empty": (lambda p: p.write_bytes(b""), "got an empty file"),
    "cut": (lambda p: (torch.save({"a": torch.zeros(2000)}, p), _cut(p, 900)), "archive with its table at the end"),
    "cut safetensors": (lambda p: (save_file({"a": torch.zeros(9)}, p), _cut(p)), "is cut short: expected 1"),
    "safetensors": (lambda p: p.write_bytes((90).to_bytes(8, "little") + b"{" + b"x" * 99), "cannot be read"),
    "folder": (lambda p: (p.mkdir(), (p / "a.bin").write_bytes(b"")), "got a folder. Name the file in it: a.bin"),
    "page": (lambda p: p.write_bytes(b"<!doctype html>"), "got a web page"),
    "pointer": (lambda p: p.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
    "pipe": (lambda p: os.mkfifo(p), "got a device, a pipe or a socket"),
    "absent": (lambda p: None, "does not exist"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_file_that_holds_something_else_is_refused_in_one_sentence(forked, tmp_path, monkeypatch, capsys, what):
    monkeypatch.chdir(tmp_path)
    make, told = BROKEN[what]
    path = tmp_path / "x.pth"
    make(path)
    assert main(["import", "fpn", str(path), "--out", str(tmp_path / "o.safetensors")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and told in lines[0] and str(path) in lines[0], lines
    assert not (tmp_path / "touched").exists() and not (tmp_path / "o.safetensors").exists()


def test_where_it_goes_is_told_too(tmp_path, capsys):
    save_file({"a": torch.zeros(2)}, tmp_path / "x.safetensors")
    for out, told in (("x.safetensors", "another file"), (".", "Name a file in it"),
                      ("o.bin", "ends in .safetensors")):  # fmt: skip
        assert main(["import", "fpn", str(tmp_path / "x.safetensors"), "--out", str(tmp_path / out)]) == 2
        assert told in capsys.readouterr().err
    (tmp_path / "d.safetensors").mkdir()
    assert main(["import", "fpn", "x", "--out", str(tmp_path / "d.safetensors")]) == 2
    assert "got a folder" in capsys.readouterr().err


def test_no_option_of_a_witness_reads_a_pickle(tmp_path):
    from facewitness import plugins

    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pth")
    (tmp_path / "w.json").write_text("{}")
    for name in ("forgerytalker", "fifa"):
        with pytest.raises(WeightsError):
            plugins.get("witnesses", name).load(weights=str(tmp_path / "w.pth"))


def _table(path, header: bytes, content: bytes = b"") -> None:
    path.write_bytes(len(header).to_bytes(8, "little") + header + content)


def _tower(**further: torch.Tensor) -> dict[str, torch.Tensor]:
    """What every CLIP tower has, and more."""
    return {"visual.conv1.weight": torch.zeros(768, 3, 16, 16), "visual.ln_post.weight": torch.zeros(768)} | further


def test_a_table_that_ends_nowhere_is_damaged(tmp_path):
    file = tmp_path / "a.safetensors"
    for end in (b"1e999", b"-1e999", b"NaN", b"9" * 5000):
        _table(file, b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,' + end + b"]}}", bytes(16))
        with pytest.raises(WeightsError, match="is damaged"):
            published.read(file)


def test_a_length_that_looks_like_markup_is_no_web_page(tmp_path):
    file = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(2)}, file)
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    _table(file, content[8 : 8 + length].ljust(0x3C20), content[8 + length :])  # its first bytes are " <"
    assert file.read_bytes()[:2] == b" <"
    assert published.read(file)["a"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("held", "why"),
    [
        ({"a": torch.zeros(1).expand(10**10)}, "repeat few bytes"),
        ({"a": torch.zeros(3, device="meta")}, "the tensor a, which is sparse, quantised or without values"),
        ({"a": torch.eye(3).to_sparse()}, "sparse, quantised"),
        ({"\n\x1b[31m": torch.zeros(3), "module.\n\x1b[31m": torch.zeros(3)}, r"got \\n\\x1b\[31m and module"),
    ],
)
def test_tensors_that_are_more_or_less_than_numbers_are_told(forked, tmp_path, held, why):
    file = tmp_path / "a.pth"
    torch.save(held, file)
    with pytest.raises(WeightsError, match=why):
        published.read(file)


@pytest.mark.skipif(sys.platform != "linux", reason="where memory is bounded")
def test_a_pickle_that_asks_for_memory_gets_none(forked, tmp_path):
    file = tmp_path / "a.pth"
    file.write_bytes(b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.")  # bytearray(2**31 - 1)
    with pytest.raises(WeightsError, match="repeat few bytes"):
        published.read(file)


def test_too_many_tensors_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(published, "MOST_TENSORS", 2)
    save_file({str(i): torch.zeros(1) for i in range(3)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="at most 2 tensors, got 3"):
        published.read(tmp_path / "a.safetensors")


_ODD = {
    "bias": {"visual_encoder.blocks.0.attn.q_bias": (2, 2), "visual_encoder.blocks.0.attn.v_bias": (3,)},
    "no length": {"visual_encoder.blocks.0.attn.q_bias": (), "visual_encoder.blocks.0.attn.v_bias": ()},
    "words": {
        "Qformer.bert.embeddings.word_embeddings.weight": (), "mlm_head.weight": (2, 2), "mlm_head.bias": (2,),
    },
    "no word": {
        "Qformer.bert.embeddings.word_embeddings.weight": (1, 2), "mlm_head.weight": (0, 2), "mlm_head.bias": (0,),
    },
}  # fmt: skip


@pytest.mark.parametrize("shapes", _ODD.values(), ids=_ODD)
def test_pieces_that_do_not_go_together_are_left_as_they_are(shapes):
    held = {"query_tokens": (1, 32, 768), "t5_proj.weight": (8, 8)} | shapes
    found = published.translated("forgerytalker", {name: torch.zeros(shape) for name, shape in held.items()})
    assert set(found.left) | set(found.names.values()) == set(held)
    for name, shape in shapes.items():
        ours = {theirs: ours for ours, theirs in found.names.items()}.get(name)
        assert name in found.left if ours is None else tuple(found.tensors[ours].shape) == shape


def test_names_of_a_file_are_short_and_give_a_terminal_no_orders(tmp_path, capsys):
    file, out = tmp_path / "a.safetensors", tmp_path / "out.safetensors"
    long = f"visual.transformer.resblocks.{'9' * 100_000}.ln_1.weight"
    odd = {"visual.\x1b[2J\u202e\nall is well": torch.zeros(1), "b\x07": torch.zeros(1), long: torch.zeros(1)}
    save_file(_tower(**odd), file)
    assert main(["import", "farl", str(file), "--partial", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert len(said) < 1000 and "\nall is well" not in said and not set(said) & set("\x1b\x07\u202e")
    assert r"visual.\x1b[2J\u202e\nall is well" in said and "resblocks.9999" in said and r"b\x07" in said
    save_file(_tower(**{long: torch.tensor([float("nan")])}), file)
    assert main(["import", "farl", str(file), "--partial", "--out", str(out)]) == 2
    assert len(capsys.readouterr().err) < 600
    save_file(_tower(**{"visual.ln_post.weight": torch.zeros(768, dtype=torch.float8_e4m3fn)}), file)
    assert main(["import", "farl", str(file), "--partial", "--out", str(out)]) == 2
    assert "expected numbers of 16, 32 or 64 bits, got float8_e4m3fn" in capsys.readouterr().err
