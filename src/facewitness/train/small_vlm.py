"""A vision-language model made from nothing, small enough to be trained on two CPU cores.

    facewitness build small_vlm DATA.parquet --out small [--layers 6] [--width 256]

It has Qwen2.5-VL's architecture and no knowledge: random weights, and a byte-level BPE tokenizer learned from the very
questions and answers it will be taught (`builders/sbi_qa`, `builders/dma`, or any chat JSON). What comes out is a
plain transformers folder, for `train/sft` to teach. Its own eyes are two layers over 64 patches; the forgery prompt
carries the evidence.

Such eyes learn next to nothing from replies: the traces tell the label, as on pictures that a module was trained on,
and the digits of boxes come one by one (runs/mare/sft.md). `see` teaches them first where a face's regions lie, by
the boxes of `builders/dma`, as the towers of published models have learned from boxes before anybody fine-tunes them.

Every digit is a token of its own, as Qwen2.5 has it. Left alone, BPE makes a token of each number that the data's boxes
have often enough and cuts the others anywhere, so that 178 and 179 have nothing in common and a rare number is never
learned; digit by digit, the first says roughly where an edge lies and the next ones where exactly. MARE's replies grow
by a tenth only (91 tokens instead of 84 on DD-VQA), as the comma between two numbers stays one token with its space.

The sizes are ours: the paper's smallest language model is Llama-3.2-1B (Table 6).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

from facewitness.models import _torchvision  # noqa: F401  (transformers' image processors import torchvision)
from facewitness.models._reader import byte_pairs

from transformers import (  # isort: skip
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from facewitness import regions
from facewitness.errors import InputError
from facewitness.train.plan import count
from facewitness.train.recipe import MOST_STEPS
from facewitness.types import Box

MOST = 20_000_000  # parameters of what may be called small
_PAD, _END, _IMAGE, _VIDEO = "<|pad|>", "<|end|>", "<|image_pad|>", "<|video_pad|>"
_SPECIAL = (_PAD, _END, "<|system|>", "<|user|>", "<|assistant|>", "<|vision_start|>", "<|vision_end|>", _IMAGE, _VIDEO)
_PIECE = r"\d|, (?=\d)|'(?:s|t|re|ve|m|ll|d)\b| ?\p{L}+| ?[^\s\p{L}\d]+|\s+"  # what no token reaches out of
_TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for c in m.content %}{% if c.type == 'image' %}<|vision_start|>" + _IMAGE + "<|vision_end|>"
    "{% else %}{{ c.text }}{% endif %}{% endfor %}{% endif %}" + _END + "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tokenizer(sentences: Iterable[str], rows: int = 2048) -> Any:
    """A byte-level BPE tokenizer of at most `rows` tokens, learned from the sentences; it can write any text.

    Args:
        sentences: What the tokenizer learns from.
        rows: Of the vocabulary, at most.
    """
    raw = byte_pairs(sentences, rows, _SPECIAL, _PIECE)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token=_PAD, eos_token=_END, padding_side="left", chat_template=_TEMPLATE
    )


def _small(width: int, layers: int, rows: int, vision_width: int, vision_layers: int) -> None:
    """Refuse what would have more parameters than `MOST` whatever its words, before memory is taken for any of them."""
    least = 13 * layers * width**2 + 10 * vision_layers * vision_width**2  # attention and the two or three after it
    if least > MOST:
        raise InputError(
            f"small_vlm: expected at most {MOST:,} parameters, got at least {least:,} in {layers:,} layers of width "
            f"{width:,}; take fewer layers or width"
        )
    if not 1 <= rows <= MOST // 64:  # of the narrowest model they would be all that it has
        raise InputError(f"small_vlm: expected from 1 to {MOST // 64:,} rows of the vocabulary, got {rows:,}")


def make(
    sentences: Iterable[str],
    *,
    width: int = 256,
    layers: int = 6,
    rows: int = 2048,
    vision_width: int = 128,
    vision_layers: int = 2,
    size: int = 224,
    patch: int = 28,
    seed: int = 0,
) -> tuple[Any, Any]:
    """A model with random weights, in evaluation mode, and its processor.

    Args:
        sentences: What the tokenizer learns from.
        width: Of the language model, a multiple of 64 (a head has 64).
        layers: Of the language model.
        rows: Of the vocabulary, at most.
        vision_width: Of the vision tower.
        vision_layers: Of the vision tower.
        size: Side of the pictures as the model and its expert see them, pixels, a multiple of 2 · patch.
        patch: Pixels of a patch; four patches make a token, so a picture is (size / 2 patch)² tokens.
        seed: Of the weights.

    Returns:
        The model, and its processor.

    Raises:
        InputError: For sizes that do not fit, and for a model of more than 20 million parameters.
    """
    _small(width, layers, rows, vision_width, vision_layers)
    if width % 64 or width < 64:
        raise InputError(f"small_vlm: expected a width that is a multiple of 64, got {width}")
    if size % (2 * patch):
        raise InputError(f"small_vlm: expected a size that is a multiple of {2 * patch}, two patches, got {size}")
    words = tokenizer(sentences, rows)
    ids = dict(zip(_SPECIAL, words.convert_tokens_to_ids(list(_SPECIAL)), strict=True))
    torch.manual_seed(seed)
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": width,
            "intermediate_size": 3 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": width // 64,
            "num_key_value_heads": width // 64,
            "max_position_embeddings": 1024,
            "vocab_size": (len(words) // 8 + 1) * 8,  # with a spare row, which the placeholder of an expert takes
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [16, 8, 8]},
            "bos_token_id": None,
            "eos_token_id": ids[_END],
            "pad_token_id": ids[_PAD],
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": vision_layers,
            "hidden_size": vision_width,
            "intermediate_size": 2 * vision_width,
            "num_heads": 4,
            "patch_size": patch,
            "spatial_merge_size": 2,
            "window_size": size,
            "fullatt_block_indexes": list(range(vision_layers)),
            "out_hidden_size": width,
        },
        image_token_id=ids[_IMAGE],
        video_token_id=ids[_VIDEO],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    model = Qwen2_5_VLForConditionalGeneration(config).eval()
    if (parameters := count(model)) > MOST:
        raise InputError(
            f"small_vlm: expected at most {MOST:,} parameters, got {parameters:,}; take fewer layers or width"
        )
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = ids[_END], ids[_PAD]
    seen = Qwen2VLImageProcessor(
        size={"shortest_edge": size * size, "longest_edge": size * size}, patch_size=patch, merge_size=2
    )
    videos = Qwen2VLVideoProcessor(patch_size=patch, merge_size=2)
    return model, Qwen2_5_VLProcessor(seen, words, videos, chat_template=_TEMPLATE)


def places(rows: Iterable[Mapping[str, Any]]) -> tuple[list[NDArray[np.uint8]], list[dict[str, Box]]]:
    """What `see` takes, of the rows of a table of `builders/dma`: each picture once, with the boxes of all its rows.

    Args:
        rows: As `builders/chats.read_dma` gives them.

    Returns:
        The pictures, RGB uint8, and the boxes that are known of each.
    """
    pictures: dict[str, NDArray[np.uint8]] = {}
    boxes: dict[str, dict[str, Box]] = {}
    for row in rows:
        if row["file"] not in pictures:
            pictures[row["file"]] = np.asarray(Image.open(io.BytesIO(row["image"])).convert("RGB"))
        known = boxes.setdefault(row["file"], {})
        known |= {name: tuple(box) for name, box in zip(row["regions"], row["boxes"], strict=True) if box is not None}
    return list(pictures.values()), list(boxes.values())


def see(
    model: Any,
    processor: Any,
    pictures: Sequence[NDArray[np.uint8]],
    boxes: Sequence[Mapping[str, Box]],
    steps: int = 600,
    *,
    batch: int = 32,
    lr: float = 1e-3,
    seed: int = 0,
) -> list[float]:
    """Teach the image tower where regions lie, in place: a linear reading of its tokens is to tell their boxes.

    The reading is thrown away. Pictures are shifted by up to a sixteenth of their side, scaled by up to 8 %, mirrored
    and made lighter or darker, their boxes with them; coordinates are in standard deviations over the pictures.

    Args:
        model: Of `make`.
        processor: Its own.
        pictures: RGB uint8 (S, S, 3), all of one size.
        boxes: Of each picture, by MARE's names of regions, pixels; those that are not known are left out.
        steps: Of the learning.
        batch: Pictures a step.
        lr: At most; it falls to nothing.
        seed: Of the draws.

    Returns:
        The loss of each step: the mean absolute error, smooth at the bottom, in standard deviations.

    Raises:
        InputError: No picture, too many steps, several sizes, or no region with boxes on at least ten pictures.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise InputError(f"see: expected from 1 to {MOST_STEPS:,} steps, got {steps:,}")
    shapes = {picture.shape for picture in pictures}
    if len(shapes) != 1 or len(pictures) != len(boxes):
        raise InputError(f"see: expected pictures of one size, and boxes of each, got sizes {sorted(shapes)}")
    side = next(iter(shapes))[0]
    names = [name for name in regions.MARE if sum(name in each for each in boxes) >= 10]
    if not names:
        raise InputError("see: expected a region with boxes on at least ten pictures, got none")
    truth = torch.full((len(pictures), len(names), 4), float("nan"))
    for row, each in zip(truth, boxes, strict=True):
        for i, name in enumerate(names):
            if name in each:
                row[i] = torch.tensor(each[name]) / side
    mirrored = [names.index(other) if (other := regions.mirrored(name)) in names else i for i, name in enumerate(names)]
    mean = truth.nanmean(0)
    spread = (truth - mean).square().nanmean(0).sqrt().clamp(min=0.01)
    stack = torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy())
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    tower = model.base_model.visual
    tokens = (side // (2 * tower.patch_size)) ** 2
    reading = torch.nn.Linear(tokens * model.config.get_text_config().hidden_size, truth[0].numel())
    learner = torch.optim.AdamW([*tower.parameters(), *reading.parameters()], lr=lr, weight_decay=0.01)
    rate = torch.optim.lr_scheduler.OneCycleLR(learner, lr, total_steps=steps, pct_start=0.1)
    losses = []
    tower.train()
    for _ in range(steps):
        at = torch.from_numpy(rng.integers(0, len(pictures), batch))
        shown, where = _moved(stack[at].float(), truth[at], rng, mirrored)
        inputs = processor.image_processor(images=list(shown), return_tensors="pt")
        seen = tower(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"])
        predicted = reading(getattr(seen, "pooler_output", seen).reshape(batch, -1)).reshape(where.shape)
        known = ~where.isnan()
        loss = F.smooth_l1_loss(predicted[known], ((where - mean) / spread)[known])
        learner.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        learner.step()
        rate.step()
        losses.append(float(loss.detach()))
    tower.eval()
    return losses


def _moved(
    shown: torch.Tensor, where: torch.Tensor, rng: np.random.Generator, mirrored: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (B, 3, S, S) shifted, scaled, half of them mirrored, lit otherwise, as uint8; and their boxes."""
    count = len(shown)
    scale = torch.from_numpy(rng.uniform(0.92, 1.08, count)).float()
    shift = torch.from_numpy(rng.uniform(-1 / 16, 1 / 16, (count, 2))).float()
    flip = torch.from_numpy(rng.random(count) < 0.5)
    light = torch.from_numpy(rng.uniform(0.8, 1.2, (count, 1, 1, 1))).float()
    # a place p of [0, 1]² comes to (p − ½) · scale + ½ + shift; grid_sample wants the way back, on [−1, 1]²
    way = torch.zeros(count, 2, 3)
    way[:, 0, 0] = way[:, 1, 1] = 1 / scale
    way[:, :, 2] = -2 * shift / scale[:, None]
    grid = F.affine_grid(way, list(shown.shape), align_corners=False)
    moved = F.grid_sample(shown, grid, padding_mode="border", align_corners=False) * light
    box = (where - 0.5) * scale[:, None, None] + 0.5 + shift.repeat(1, 2)[:, None]
    moved = torch.where(flip[:, None, None, None], moved.flip(-1), moved)
    other = torch.stack([1 - box[..., 2], box[..., 1], 1 - box[..., 0], box[..., 3]], -1)[:, list(mirrored)]
    box = torch.where(flip[:, None, None], other, box)
    return moved.clamp(0, 255).round().to(torch.uint8), box
