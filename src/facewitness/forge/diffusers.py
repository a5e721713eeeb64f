"""Two to five regions of a face painted anew by a diffusion model of the hub.

The second inpainting of MMTT (Lian et al., "Where AND Why in Image Forgery", section 2.1): masks are "created by
programmatically selecting and merging facial component segments", and

    I_f = (1 − M) · I + M · I_g^model

with I_g the whole picture as the model (SDXL in the paper) painted it inside M. Outside M the picture stays as it is to
the last bit, though a diffusion model's autoencoder changes all of it. The paper's segments are a face parser's; ours
are polygons of the mesh (`regions.polygons`), widened by a little and softened at their border.

The model is named by whoever forges, as a name of the hub or a folder: "diffusers/stable-diffusion-xl-1.0-inpainting-
0.1" is the paper's kind. It is loaded once in a process, from safetensors only, and no code of its repository is run.
Needs the extra `diffusers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facewitness import regions
from facewitness.errors import InputError, MissingExtra, WeightsError
from facewitness.forge import Forged, _face
from facewitness.types import Landmarks, Pixels

# Components as a face parser has them, which MMTT merges; sides apart, so that one eye can be changed alone.
COMPONENTS = (
    "left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "nose", "upper_lip", "lower_lip", "mouth", "left_cheek",
    "right_cheek", "forehead", "chin", "left_jaw", "right_jaw", "left_ear", "right_ear", "hairline",
)  # fmt: skip
PROMPTS = (
    "a photo of a person, natural {parts}",
    "a portrait photograph, detailed {parts}, sharp focus",
    "close-up of a face with different {parts}",
)
_STEP = 8  # pixels: what the autoencoders of latent diffusion shrink by
_VISIBLE = 1.0  # grey levels inside the mask: less, and the model gave back what it got
_TRIES = 3


def forge(
    pixels: Pixels,
    landmarks: Landmarks,
    rng: np.random.Generator,
    *,
    model: str,
    choices: Sequence[str] = COMPONENTS,
    min_regions: int = 2,
    max_regions: int = 5,
    steps: int = 30,
    strength: float = 1.0,
    guidance: float = 7.5,
    prompts: Sequence[str] = PROMPTS,
    device: str = "cpu",
) -> Forged:
    """Paint `min_regions` to `max_regions` merged regions of a face anew.

    Args:
        pixels: RGB uint8 (H, W, 3), at least 64 pixels a side; the model paints it at multiples of 8.
        landmarks: (468, 2+), pixels.
        rng: What regions, words and the model's noise are drawn from.
        model: A pipeline for inpainting: its name on the hub, or a folder.
        choices: Regions of the tree to draw from.
        min_regions: Regions that are merged at least, as far as the picture shows so many.
        max_regions: At most.
        steps: Of denoising.
        strength: How much noise the masked part begins with, in (0, 1].
        guidance: How closely the model keeps to the words.
        prompts: The words, drawn evenly; {parts} are the regions.
        device: Where it runs, as torch names it.

    Raises:
        MissingExtra: diffusers is not installed.
        WeightsError: the model cannot be loaded, or does not inpaint.
        InputError: a degenerate mesh, numbers that make no sense, or no region inside the frame.
    """
    if not 1 <= min_regions <= max_regions or steps < 1 or not 0 < strength <= 1:
        raise InputError(
            "diffusers: expected 1 <= min_regions <= max_regions, at least one step and a strength in (0, 1], "
            f"got {min_regions}, {max_regions}, {steps} and {strength}"
        )
    points = _face.mesh(pixels, landmarks)
    height, width = pixels.shape[:2]
    if min(height, width) < 64:
        raise InputError(f"diffusers: expected a picture of at least 64 pixels a side, got {width} × {height}")
    shown = _shown(points, choices, height, width)
    if not shown:
        raise InputError(f"diffusers: expected at least one of {', '.join(choices)} inside the frame, got none")
    pipeline = _pipeline(model, device)

    for attempt in range(1, _TRIES + 1):  # noqa: B007 (the last one goes into the record)
        count = min(len(shown), int(rng.integers(min_regions, max_regions + 1)))
        names = [list(shown)[i] for i in sorted(rng.permutation(len(shown))[:count])]
        mask, how = _merged([shown[name] for name in names], _face.size(points), height, width, rng)
        words = str(rng.choice(list(prompts))).format(parts=", ".join(map(regions.title, names)))
        seed = int(rng.integers(2**31))
        painted = _painted(pipeline, pixels, mask, words, seed, steps, strength, guidance)
        forged = _face.blend(painted, pixels, mask)
        if _face.visible(forged, pixels, mask) >= _VISIBLE:
            break
    named = {mare for name in names for mare in regions.REGIONS[name].mare}
    record = {
        "operation": "diffusion", "model": model, "parts": names, "prompt": words, "seed": seed, "steps": steps,
        "strength": strength, "guidance": guidance, **how, "attempt": attempt,
    }  # fmt: skip
    return Forged(forged, mask, _face.covered(mask, points) | named, "attribute_manipulation", (record,))


def _shown(points: Landmarks, choices: Sequence[str], height: int, width: int) -> dict[str, Any]:
    """The outlines of those choices that the pose does not hide and of which at least half lies in the frame."""
    hidden, outlines = regions.hidden(points), {}
    for name in choices:
        rings = list(regions.polygons(name, points))
        area = sum(cv2.contourArea(ring) for ring in rings)
        inside = _face.fill(rings, height, width).sum()
        if name not in hidden and area >= 9 and inside >= area / 2:
            outlines[name] = rings
    return outlines


def _merged(
    outlines: Sequence[Any], size: float, height: int, width: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], dict[str, float]]:
    """The union of outlines, widened and softened a little, and by how much."""
    grow = _face.number(rng.uniform(0.01, 0.03) * size, 2)
    soften = _face.number(max(0.6, rng.uniform(0.003, 0.01) * size), 2)
    union = np.maximum.reduce([_face.fill(rings, height, width) for rings in outlines])
    reach = 2 * round(grow) + 1
    union = cv2.dilate(union, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    soft = cv2.GaussianBlur(union, (0, 0), soften, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(_face.settle(soft), np.float32), {"grow": grow, "soften": soften}


@lru_cache(maxsize=1)
def _pipeline(model: str, device: str) -> Any:
    """The model's pipeline, loaded once."""
    try:
        import diffusers

        import facewitness.models._torchvision  # noqa: F401 (transformers looks for it beside a CPU-only torch)
    except ImportError as error:
        raise MissingExtra(
            "Inpainting by a diffusion model needs the package 'diffusers', which is not installed. Try: "
            "pip install '.[diffusers]', from a clone of the repository"
        ) from error
    diffusers.utils.logging.disable_progress_bar()
    try:
        kind: Any = diffusers.AutoPipelineForInpainting
        loaded = kind.from_pretrained(model, use_safetensors=True, trust_remote_code=False)
    except (OSError, ValueError, ImportError, KeyError) as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise WeightsError(
            f"diffusers: expected '{model}' to be a pipeline for inpainting with safetensors, a name of the hub or a "
            f"folder ({reason})"
        ) from error
    loaded.set_progress_bar_config(disable=True)
    return loaded.to(device)


def _painted(
    pipeline: Any, pixels: Pixels, mask: NDArray[np.float32], words: str, seed: int, steps: int, strength: float,
    guidance: float,
) -> Pixels:  # fmt: skip
    """The picture as the model paints it inside the mask, RGB uint8 of the picture's size."""
    import torch
    from PIL import Image

    height, width = pixels.shape[:2]
    tall, wide = (max(_STEP, round(side / _STEP) * _STEP) for side in (height, width))
    picture = Image.fromarray(pixels).resize((wide, tall), Image.Resampling.LANCZOS)
    hole = Image.fromarray(np.where(mask > 0, 255, 0).astype(np.uint8)).resize((wide, tall), Image.Resampling.NEAREST)
    with torch.inference_mode():
        images = pipeline(
            prompt=words, image=picture, mask_image=hole, height=tall, width=wide, num_inference_steps=steps,
            strength=strength, guidance_scale=guidance, output_type="np",
            generator=torch.Generator("cpu").manual_seed(seed),
        ).images  # fmt: skip
    values = np.nan_to_num(np.asarray(images[0], np.float32))
    drawn = Image.fromarray(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8))
    return np.asarray(drawn.resize((width, height), Image.Resampling.LANCZOS), np.uint8)
