"""GRPO on a plain model that gets MARE's module by --detector: one step at tiny size, and what is saved of it."""

from __future__ import annotations

import io
import warnings
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
for package in ("peft", "transformers", "trl"):
    if find_spec(package) is None:
        pytest.skip(f"needs {package}, of the extra 'vlm'", allow_module_level=True)

from doubles import tiny_fdm  # noqa: E402

from facewitness.models import prompted_vlm as pv  # noqa: E402  isort: skip  (it mends torchvision)
from facewitness.builders import dma  # noqa: E402
from facewitness.errors import InputError, WeightsError  # noqa: E402
from facewitness.models.trace_expert import TraceExpert  # noqa: E402
from facewitness.train import grpo, sft, small_vlm  # noqa: E402

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings(r"ignore:`(is_)?gradient_checkpointing\w*` is deprecated:FutureWarning"),
]
SIZE = 112


def items(count: int) -> list[dma.Item]:
    """An annotation of each of `count` noise pictures, genuine and forged by turns."""
    out = []
    for n in range(count):
        picture, fake = io.BytesIO(), bool(n % 2)
        noise = np.random.default_rng(n).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(noise).save(picture, "PNG")
        text = "It looks fake. The nose is blurred." if fake else "It looks real."
        boxes = '{"nose": [40, 40, 70, 80]}' if fake else "{}"
        reply = f'<think>I look.</think><answer>{{"explanation": "{text}", "bboxes": {boxes}}}</answer>'
        out.append(
            dma.Item(
                f"{n}.png", picture.getvalue(), None, (SIZE, SIZE), "fake" if fake else "real", f"person {n}", "train",
                "noise", dma.QUESTION, text, (text,), ("nose",) if fake else (),
                ((40.0, 40.0, 70.0, 80.0),) if fake else (), reply,
            )
        )  # fmt: skip
    return out


def test_a_plain_model_learns_by_rewards_with_the_module_that_it_was_given(tmp_path):
    made = items(4)
    data, module = dma.write_parquet(made, tmp_path / "dma.parquet"), tiny_fdm(tmp_path)
    sentences = [text for item in made for text in (item.prompt, item.reply)]
    model, processor = small_vlm.make(
        sentences, width=64, layers=1, rows=400, size=SIZE, vision_width=32, vision_layers=1
    )
    model.save_pretrained(tmp_path / "plain")
    processor.save_pretrained(tmp_path / "plain")
    recipe = grpo.Recipe(
        model=str(tmp_path / "plain"), forgery_prompt=True, learner={"grid": 2}, lora={"rank": 2},
        rewards={"grammar": 1.0, "label": 1.0, "length": 1.0}, group_size=2, prompts=2, micro_batch_size=2,
        max_tokens=4, beta=0.1, steps=1, lr=1e-2,
    )  # fmt: skip
    folder = grpo.train(recipe, data, tmp_path / "out", detector=module)
    assert folder is not None and (folder / "fdm.safetensors").read_bytes() == module.read_bytes()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*is_gradient_checkpointing")  # it stood above every report
        again, _ = pv.load(folder)
    expert = pv.expert_of(again)
    assert isinstance(getattr(expert, "original_module", expert), TraceExpert) and expert.n_tokens == 5
    assert (folder / "expert.safetensors").stat().st_size < module.stat().st_size, "the module is stored once"
    page = str(grpo.plan(grpo.Recipe(model=str(folder), forgery_prompt=True, learner={"grid": 2}, steps=1)))
    assert "model is a folder" in page and "5 tokens of the detector" in page and "a copy of what learns" in page
    with pytest.raises(WeightsError, match="not the language model they belong to"):  # as the run itself
        sft.plan(sft.Recipe(model=str(folder), steps=1))
    further, _ = grpo.make(grpo.Recipe(model=str(folder), forgery_prompt=True, steps=1))
    copied = dict(grpo.reference(further).named_parameters())
    for name, weights in further.named_parameters():  # of an adapter that goes on only what learns is there twice
        assert (copied[name] is weights) != weights.requires_grad and not copied[name].requires_grad, name
    with pytest.raises(InputError, match="has an expert already"):
        grpo.make(grpo.Recipe(model=str(folder), steps=1), module)
