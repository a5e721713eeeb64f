"""The mean of several weights of one network, large kernels in half precision, for `facewitness build onnx`.

    python runs/compact/mean.py out/last.safetensors A.safetensors B.onnx …
    python runs/compact/mean.py second.safetensors compact.onnx --second     # of two networks that answer together

Weights that one start led to may be averaged (Wortsman et al. 2022, "Model soups"); `compare.py` says whether the mean
ranks better than each. Small kernels stay in float32: with all in half precision a score of the eighth run's weights
moved by 0.008.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from facewitness.apps.script import script
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.models.compact import read_weights

HALVED = 16_384  # numbers from which on a tensor is stored in half precision, as in runs/halve.py


def mean(files: Sequence[Path], second: bool = False) -> dict[str, Tensor]:
    """Name → the mean over files; float16 from HALVED numbers on, else as the files have it.

    Args:
        files: Weights with the same names and shapes.
        second: Whether the second network of exported files is meant.

    Raises:
        InputError: Where they have not.
    """
    states = [read_weights(file, second) for file in files]
    for file, state in zip(files[1:], states[1:], strict=True):
        odd = set(states[0].keys() ^ state.keys())
        odd |= {name for name in states[0].keys() & state.keys() if states[0][name].shape != state[name].shape}
        if odd:
            raise InputError(
                f"'{file}': expected the tensors of '{files[0]}', got others: {', '.join(sorted(odd)[:5])}"
            )
    found = {}
    for name, first in states[0].items():
        if not first.is_floating_point():  # how many batches a normalisation has seen
            found[name] = first
            continue
        value = torch.stack([state[name].double() for state in states]).mean(0)
        found[name] = value.to(torch.float16 if first.numel() >= HALVED else torch.float32).contiguous()
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Read, average, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--second", action="store_true", help="the second network of exported files")
    given = parser.parse_args(arguments)
    write_whole(given.out, save(mean(given.weights, given.second)))


if __name__ == "__main__":
    script(main)
