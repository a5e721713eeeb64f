"""A vision-language model made from nothing, small enough to be trained on two CPU cores.

    facewitness build small_vlm DATA.parquet --out small [--layers 6] [--width 256]

It has Qwen2.5-VL's architecture and no knowledge: random weights, and a byte-level BPE tokenizer learned from the very
questions and answers it will be taught (`builders/sbi_qa`, `builders/dma`, or any chat JSON). What comes out is a
plain transformers folder, for `train/sft` to teach. Its own eyes are two layers over 64 patches; the forgery prompt
carries the evidence.

Every digit is a token of its own, as Qwen2.5 has it. Left alone, BPE makes a token of each number that the data's boxes
have often enough and cuts the others anywhere, so that 178 and 179 have nothing in common and a rare number is never
learned; digit by digit, the first says roughly where an edge lies and the next ones where exactly. MARE's replies grow
by a tenth only (91 tokens instead of 84 on DD-VQA), as the comma between two numbers stays one token with its space.

The sizes are ours: the paper's smallest language model is Llama-3.2-1B (Table 6).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

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

from facewitness.errors import InputError

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
    if (count := parameters(model)) > MOST:
        raise InputError(f"small_vlm: expected at most {MOST:,} parameters, got {count:,}; take fewer layers or width")
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = ids[_END], ids[_PAD]
    seen = Qwen2VLImageProcessor(
        size={"shortest_edge": size * size, "longest_edge": size * size}, patch_size=patch, merge_size=2
    )
    videos = Qwen2VLVideoProcessor(patch_size=patch, merge_size=2)
    return model, Qwen2_5_VLProcessor(seen, words, videos, chat_template=_TEMPLATE)


def parameters(model: Any) -> int:
    """How many numbers a model has, those that two places share once.

    Args:
        model: Of torch.
    """
    return sum(p.numel() for p in {id(p): p for p in model.parameters()}.values())
