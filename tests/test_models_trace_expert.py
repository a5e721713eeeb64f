"""MARE's traces as tokens: what they are made of, what learns, and the way into a tiny language model and to disk."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
for package in ("peft", "transformers"):
    if find_spec(package) is None:
        pytest.skip(f"needs {package}, of the extra 'vlm'", allow_module_level=True)

from doubles import tiny_fdm  # noqa: E402

from facewitness.models import prompted_vlm as pv  # noqa: E402  isort: skip  (it mends torchvision)
from facewitness.errors import InputError, WeightsError  # noqa: E402
from facewitness.grammars import mare  # noqa: E402
from facewitness.models.fdm import FDM  # noqa: E402
from facewitness.models.trace_expert import TraceExpert, TraceProjector  # noqa: E402
from facewitness.train import small_vlm  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = 112  # of the language model's pictures
GRID = {"image_mean": (0.5,) * 3, "image_std": (0.5,) * 3, "image_sizes": torch.tensor([[64, 64]])}


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    return tiny_fdm(tmp_path_factory.mktemp("fdm"))


def expert_of(saved: Path, width: int = 32, **options: Any) -> TraceExpert:
    torch.manual_seed(1)
    return TraceExpert.of(FDM.load(saved), width, 64, **options)


# ---------------------------------------------------------------------------------------------------------- the tokens


def test_a_token_stands_for_a_place_and_the_first_for_the_score():
    torch.manual_seed(0)
    projector = TraceProjector(16, 4, grid=2)
    trace, score = torch.rand(1, 4, 4, 4), torch.tensor([0.3])
    tokens = projector(trace, score)
    assert tokens.shape == (1, 5, 16)
    moved = trace.clone()
    moved[:, :, :2, 2:] += 1  # the upper right quarter
    changed = (projector(moved, score) != tokens).any(-1)[0].tolist()
    assert changed == [False, False, True, False, False], "places in reading order"
    changed = (projector(trace, torch.tensor([0.9])) != tokens).any(-1)[0].tolist()
    assert changed == [True, False, False, False, False]


def test_two_places_with_the_same_trace_differ_by_where_they_are():
    projector = TraceProjector(16, 4, grid=2)
    tokens = projector(torch.ones(1, 4, 6, 6), torch.tensor([0.5]))[0, 1:]
    assert all(not torch.allclose(tokens[i], tokens[j]) for i in range(4) for j in range(i))


def test_tokens_begin_as_small_as_word_embeddings():
    torch.manual_seed(0)
    tokens = TraceProjector(64, 8, scale=0.02)(torch.rand(3, 8, 8, 8) * 5, torch.rand(3))
    assert tokens.square().mean(-1).sqrt().mean().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize(
    ("trace", "score", "sentence"),
    [
        ((2, 3, 4, 4), (2,), r"expected \(B, 4, height, width\), got \(2, 3, 4, 4\)"),
        ((2, 4, 4, 4), (1,), "one number a picture"),
    ],
)
def test_other_shapes_are_refused(trace, score, sentence):
    with pytest.raises(InputError, match=sentence):
        TraceProjector(16, 4)(torch.zeros(trace), torch.zeros(score))


def test_numbers_that_cannot_be_are_refused(saved):
    with pytest.raises(InputError, match="expected grid above 0, got 0"):
        TraceProjector(16, 4, grid=0)
    with pytest.raises(InputError, match="size in pixels of at least 1, got 0"):
        TraceExpert.of(FDM.load(saved), 16, 0)


# ---------------------------------------------------------------------------------------------------------- the expert


def test_only_the_projector_learns_and_the_module_keeps_its_statistics(saved):
    expert = expert_of(saved).train()
    assert isinstance(expert, pv.Expert) and expert.n_tokens == 17
    assert not any(module.training for module in expert.fdm.modules()) and expert.learner.training
    before = {name: tensor.clone() for name, tensor in expert.fdm.state_dict().items()}
    expert(torch.rand(2, 1, 3, 64, 64), **{**GRID, "image_sizes": torch.tensor([[64, 64]] * 2)}).sum().backward()
    assert {name.split(".")[0] for name, p in expert.named_parameters() if p.grad is not None} == {"learner"}
    assert all(p.grad is not None for p in expert.learner.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in expert.fdm.state_dict().items())


def test_its_options_make_it_again(saved):
    expert = expert_of(saved, grid=2)
    again = TraceExpert(**json.loads(json.dumps(expert.options)))
    again.load_state_dict(expert.state_dict())  # without the module, which is stored by itself
    assert not any(name.startswith("fdm") for name in expert.state_dict())
    again.complete([saved.parent])
    with pytest.raises(WeightsError, match=r"is in none of .*expected fdm\.safetensors with SHA-256"):
        again.complete([saved.parent / "elsewhere"])
    pixel_values = torch.rand(1, 1, 3, 64, 64)
    assert torch.equal(again.eval()(pixel_values, **GRID), expert.eval()(pixel_values, **GRID))


def test_the_language_model_reads_the_modules_own_look_at_the_picture_and_is_saved_with_it(saved, tmp_path):
    prompt = mare.prompt("Does this face look real or fake, and why?")
    model, processor = small_vlm.make([prompt] * 2, width=64, layers=1, rows=500, size=SIZE, vision_width=32)
    pv.attach(model, expert_of(saved, pv.width_of(model), grid=2), processor)
    picture = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    seen: dict[str, Any] = {}
    expert = pv.expert_of(model)
    hook = expert.register_forward_hook(lambda _m, _a, out: seen.update(tokens=out))
    (said,) = pv.answers(model, processor, [picture], [prompt], max_tokens=4)
    hook.remove()
    with torch.no_grad():
        pixels = torch.from_numpy(picture.transpose(2, 0, 1)[None].copy()).float()
        shown = torch.nn.functional.interpolate(pixels, (64, 64), mode="bilinear", align_corners=False, antialias=True)
        found = expert.fdm(shown)
        expected = expert.learner(found.trace, found.score)
    assert seen["tokens"].shape == (1, 5, 64)
    assert torch.allclose(seen["tokens"], expected, atol=1e-4)

    pv.save(model, processor, tmp_path / "model")
    again, same = pv.loaded(str(tmp_path / "model"))
    assert isinstance(pv.expert_of(again), TraceExpert) and pv.placeholders(again).count("<forgery>") == 5
    assert pv.answers(again, same, [picture], [prompt], max_tokens=4) == [said]
