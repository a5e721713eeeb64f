"""A diffusion model paints regions anew: on a tiny pipeline with random weights, made here and loaded from a folder."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("cv2", reason="forging needs OpenCV: pip install '.[forge]'")
pytest.importorskip("facewitness.models._torchvision", reason="needs torch")  # before anything of transformers
diffusers = pytest.importorskip("diffusers", reason="needs the extra diffusers")

import torch  # noqa: E402
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer  # noqa: E402

from facewitness import checks, regions  # noqa: E402
from facewitness.builders import grounded  # noqa: E402
from facewitness.errors import InputError, WeightsError  # noqa: E402
from facewitness.forge import diffusers as leaf  # noqa: E402


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A Stable Diffusion pipeline for inpainting, a thousand times smaller."""
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    letters = [chr(c) for c in range(33, 127)]
    vocabulary = {word: n for n, word in enumerate([*letters, *(f"{c}</w>" for c in letters)])}
    vocabulary |= {"<|startoftext|>": len(vocabulary), "<|endoftext|>": len(vocabulary) + 1}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(vocabulary), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
            num_attention_heads=2, bos_token_id=len(vocabulary) - 2, eos_token_id=len(vocabulary) - 1,
        )
    )  # fmt: skip
    unet = diffusers.UNet2DConditionModel(
        sample_size=16, in_channels=9, out_channels=4, layers_per_block=1, block_out_channels=(8, 16),
        norm_num_groups=4, cross_attention_dim=16, attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), norm_num_groups=4, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    pipeline = diffusers.StableDiffusionInpaintPipeline(
        vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet,
        scheduler=diffusers.DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.save_pretrained(folder / "pipeline", safe_serialization=True)
    return str(folder / "pipeline")


def face():
    track, clip = checks.photo(100, 90, 3)
    return clip.frame.pixels, track.face.landmarks


def test_merged_regions_are_painted_and_nothing_else_changes(model):
    pixels, points = face()
    made = leaf.forge(pixels, points, np.random.default_rng(1), model=model, steps=2)
    assert made.pixels.shape == pixels.shape
    assert (made.pixels[made.mask == 0] == pixels[made.mask == 0]).all()
    assert (made.pixels[made.mask > 0.5] != pixels[made.mask > 0.5]).any()
    step = made.record[0]
    assert 2 <= len(step["parts"]) <= 5
    assert step["model"] == model
    for name in step["parts"]:
        inside = grounded.outline(name, points, *pixels.shape[:2])
        assert made.mask[inside].mean() > 0.6
        assert set(regions.REGIONS[name].mare) <= made.regions
    again = leaf.forge(pixels, points, np.random.default_rng(1), model=model, steps=2)
    assert (again.pixels == made.pixels).all()


def test_it_is_a_family_of_grounded_forgeries(model):
    pixels, points = face()
    options = {"model": model, "steps": 1}
    made = grounded.draw(pixels, points, np.random.default_rng(2), family="diffusion", options=options)
    assert made.family == "diffusion"
    assert set(made.record[0]["parts"]) & set(made.named)
    assert grounded.faults(made.text, made.mask, points) == ()


def test_what_is_wrong_is_told(model, tmp_path):
    pixels, points = face()
    rng = np.random.default_rng(0)
    with pytest.raises(WeightsError, match="pipeline for inpainting"):
        leaf.forge(pixels, points, rng, model=str(tmp_path))
    with pytest.raises(InputError, match="min_regions <= max_regions"):
        leaf.forge(pixels, points, rng, model=model, min_regions=3, max_regions=2)
    with pytest.raises(InputError, match="64 pixels"):
        leaf.forge(pixels[:40, :40], points * 0.4, rng, model=model)
