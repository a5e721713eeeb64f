"""A state comes back as it was written, and what cannot be gone on from is refused."""

from __future__ import annotations

import json
import os

import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from facewitness.errors import InputError, WeightsError  # noqa: E402
from facewitness.train import checkpoint  # noqa: E402


def _trained() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    _step(model, optimizer)
    return model, optimizer


def _step(model, optimizer) -> None:
    optimizer.zero_grad()
    model(torch.arange(12.0).reshape(4, 3)).square().sum().backward()
    optimizer.step()


def test_a_state_comes_back_and_training_goes_on_the_same(tmp_path):
    model, optimizer = _trained()
    file = tmp_path / "resume.safetensors"
    assert checkpoint.read_state(file) is None
    checkpoint.write_state(file, model.state_dict(), optimizer, {"step": "1"}, average={"w": torch.ones(2)})
    _step(model, optimizer)

    about, state = checkpoint.read_state(file)
    assert about == {"step": "1"} and torch.equal(state["average"]["w"], torch.ones(2))
    again, other = _trained()
    _step(again, other)  # somewhere else
    again.load_state_dict(state["model"])
    checkpoint.restore(other, state["optimizer"])
    _step(again, other)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))


def test_a_damaged_state_is_refused(tmp_path):
    (tmp_path / "resume.safetensors").write_bytes(b"half")
    with pytest.raises(WeightsError, match="Delete it to begin again"):
        checkpoint.read_state(tmp_path / "resume.safetensors")


def test_a_run_goes_on_only_from_the_weights_it_began_with(tmp_path):
    base, model, out = (tmp_path / name for name in ("base", "model", "out"))
    for folder in (base, model / "adapter", out / "checkpoints" / "checkpoint-1"):
        folder.mkdir(parents=True)
    (base / "model.safetensors").write_bytes(b"words")
    (base / "config.json").write_text("{}")
    (model / "adapter" / "a.safetensors").write_bytes(b"a")
    (model / "prompted.json").write_text(json.dumps({"base": str(base)}))
    (out / "checkpoints" / "checkpoint-1" / "trainer_state.json").write_text('{"global_step": 1}')

    def facts():
        return {"recipe": {"model": str(model)}, "steps": 2, "model_sha256": checkpoint.weights_of(str(model))}

    (out / "resolved.json").write_text(json.dumps(facts()))
    checkpoint.same_run(out, facts())
    for file in (base / "model.safetensors", model / "adapter" / "a.safetensors"):
        kept = file.read_bytes()
        file.write_bytes(b"others")
        with pytest.raises(InputError, match="holds a run with another model_sha256"):
            checkpoint.same_run(out, facts())
        file.write_bytes(kept)
    (out / "resolved.json").write_text(json.dumps({"recipe": {"model": str(model)}, "steps": 2}))
    checkpoint.same_run(out, facts())  # an earlier version did not write it down
    assert checkpoint.weights_of("nobody/a-model-on-the-hub") is None and checkpoint.weights_of("") is None
    os.mkfifo(tmp_path / "pipe.safetensors")  # in a folder that is no model nothing is opened
    assert checkpoint.weights_of(str(tmp_path)) is None
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="a device, a pipe or a socket"):
        checkpoint.weights_of(str(tmp_path))


def test_a_hash_of_what_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        checkpoint.sha256(tmp_path / "nothing")
