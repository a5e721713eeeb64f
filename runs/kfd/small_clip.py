"""Makes a CLIP of two small towers with random weights, on which the switches of CLIP's encoders can be run on a CPU.

    python runs/kfd/small_clip.py OUT [--seed 0]

OUT is a folder as `encoders.name` of a recipe takes it (ablation-clip.toml). Nobody taught the towers anything: frozen,
their features are random functions of patches of 16 px, which the detector around them reads. What a switch does to a
taught CLIP this cannot tell; whether what it adds learns, and what that gains where towers know nothing, it can.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from facewitness.apps.script import script
from facewitness.models import kfd  # first: it mends torchvision for what follows

import tokenizers  # isort: skip
import transformers  # isort: skip

WIDTH, HEADS, BLOCKS, PATCH, SIZE = 96, 4, 6, 16, 128
WORDS = 40  # tokens of a description with its context, at most


def make(folder: Path, seed: int = 0) -> None:
    """Both towers and a tokenizer that knows the words of KFD's descriptions."""
    words = sorted({word for text in (*kfd.REAL, *kfd.FAKE, "real fake") for word in text.replace(",", " ,").split()})
    vocabulary = {word: i for i, word in enumerate(["[unk]", *words, "<begin>", "<end>"])}
    raw = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[unk]"))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    marks = {"bos_token": "<begin>", "eos_token": "<end>", "unk_token": "[unk]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=raw, **marks).save_pretrained(folder)
    tower = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_attention_heads": HEADS,
             "num_hidden_layers": BLOCKS, "projection_dim": WIDTH}  # fmt: skip
    ids = {"bos_token_id": vocabulary["<begin>"], "eos_token_id": vocabulary["<end>"], "pad_token_id": 0}
    text = tower | ids | {"vocab_size": len(vocabulary), "max_position_embeddings": WORDS}
    vision = tower | {"image_size": SIZE, "patch_size": PATCH}
    torch.manual_seed(seed)
    transformers.CLIPModel(
        transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH)
    ).save_pretrained(folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make, and say where."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    make(given.out, given.seed)
    print(given.out)


if __name__ == "__main__":
    script(main)
