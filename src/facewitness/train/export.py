"""Writes the default witness's networks as ONNX, which runs without torch.

    facewitness build onnx   RECIPE RUN compact.onnx       what `train/compact` made: the score, and where
    facewitness build places kfd.safetensors places.onnx   the map of KFD's detector alone: where, and better

Normalisations stay nodes of their own, which the runtime folds into the kernels when it loads the network: so
compact.onnx holds the weights as training has them, and training can go on from it (`models/compact.read_weights`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facewitness.errors import InputError, WeightsError
from facewitness.files import write_whole
from facewitness.models.compact import HALF, read_weights
from facewitness.models.kfd import KFD
from facewitness.train.compact import Recipe, network

HALVED = 16_384  # numbers from which on a kernel is stored in half precision; smaller ones' rounding is enlarged more


class _Deployed(torch.nn.Module):
    """The network as it ships: uint8 crops in, probabilities out; of two networks the mean of their log-odds."""

    def __init__(self, model: torch.nn.Module, beside: torch.nn.Module | None = None, share: float = 0.5):
        super().__init__()
        self.model, self.beside, self.share = model, beside, share

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """crops uint8 (N, S, S, 3) -> fake (N,) logit, kind (N, 4), mask (N, S/4, S/4), regions (N, 12)."""
        x = crops.permute(0, 3, 1, 2).float()
        fake, kind, mask, regions, _ = self.model(x)
        if self.beside is not None:
            other = self.beside(x)
            fake, kind, mask, regions = (
                torch.lerp(a, b, self.share)
                for a, b in zip((fake, kind, mask, regions), other[:4], strict=True)
            )  # fmt: skip
        return fake, kind.softmax(1), mask.sigmoid(), regions.sigmoid()


class _Map(torch.nn.Module):
    """A detector's map alone: uint8 crops in, a quarter of their resolution out."""

    def __init__(self, detector: KFD):
        super().__init__()
        self.detector = detector
        with torch.no_grad():  # what is learned is learned: the descriptions are two vectors from now on
            detector.instead_of_text = torch.nn.Parameter(detector.text())

    def forward(self, crops: Tensor) -> Tensor:
        """crops uint8 (N, S, S, 3) -> map (N, S/4, S/4) in [0, 1]."""
        return F.avg_pool2d(self.detector(crops.permute(0, 3, 1, 2).float()).map, 4)[:, 0]


def export(
    recipe: Recipe,
    weights: Path,
    onnx: Path,
    size: int | None = None,
    margin: float | None = None,
    beside: Path | None = None,
    share: float = 0.5,
    beside_recipe: Recipe | None = None,
) -> float:
    """Write the averaged weights as ONNX, its largest kernels in half precision.

    A network may rank faces better through a larger crop than it learned from (Touvron et al. 2019, "Fixing the
    train-test resolution discrepancy"); which is measured by `runs/compact/compare.py`.

    Args:
        recipe: The settings.
        weights: Path of the averaged weights.
        onnx: Path of the file to write.
        size: Side of the crops in pixels, a multiple of 32; None as in training.
        margin: That side over the face's longer one; None as in training.
        beside: Weights of a second network, to answer with the first: two networks that began apart rank faces better
            than either (Lakshminarayanan et al. 2017, "Deep ensembles").
        share: Of the second in the mean of log-odds, between 0 and 1.
        beside_recipe: The second's settings, where its shape is another than the first's.

    Returns:
        The largest difference to torch on random crops.

    Raises:
        InputError: Weights are of another network.
    """
    model = _learned(recipe, weights)
    second = None if beside is None else _learned(beside_recipe or recipe, beside)
    size = recipe.stage[-1].size if size is None else size
    margin = recipe.margin if margin is None else margin
    return _written(_Deployed(model, second, share), size, margin, ["fake", "kind", "mask", "regions"], onnx)


def _learned(recipe: Recipe, weights: Path) -> torch.nn.Module:
    model = network(recipe)
    try:
        model.load_state_dict(read_weights(weights))
    except RuntimeError as error:
        first = str(error).strip().splitlines()[-1].strip()
        raise InputError(
            f"expected weights of the recipe's network; '{weights}' does not fit: {first}. Name its own recipe."
        ) from error
    return model


def export_map(detector: Path, onnx: Path) -> float:
    """Write the map of KFD's detector as ONNX, for the default witness to show places by.

    Args:
        detector: kfd.safetensors, its card beside it.
        onnx: Path of the file to write.

    Returns:
        The largest difference to torch on random crops.

    Raises:
        WeightsError: The card names no margin, or its crops have no side that four divides.
    """
    model, card = KFD.load(detector).eval(), detector.with_suffix(".json")
    crop = json.loads(card.read_text(encoding="utf-8")).get("crop")
    margin = crop.get("margin") if isinstance(crop, dict) else None
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0.5 <= margin <= 4:
        raise WeightsError(f"'{card}': expected crop.margin from 0.5 to 4, as train kfd writes it, got {margin!r}")
    size = int(model.encoders.size)
    if size % 4:
        raise WeightsError(f"'{card}': expected crops with a side of a multiple of 4 pixels, got {size}")
    return _written(_Map(model), size, float(margin), ["map"], onnx)


def _written(model: torch.nn.Module, size: int, margin: float, names: Sequence[str], onnx: Path) -> float:
    """Write a network of uint8 crops (N, size, size, 3); returns the largest difference to torch on random crops."""
    import onnxruntime
    from onnxscript import optimizer

    model = model.eval()
    crops = torch.randint(0, 256, (2, size, size, 3), dtype=torch.uint8)
    with torch.no_grad():  # a fifth sooner
        program = torch.onnx.export(
            model, (crops,), dynamo=True, input_names=["crops"], output_names=names,
            dynamic_shapes={"crops": {0: torch.export.Dim("n")}}, verbose=False, optimize=False,
        )  # fmt: skip
    optimizer.fold_constants(program.model)  # all of torch's own step but that it folds normalisations, too
    optimizer.remove_unused_nodes(program.model)
    graph = program.model_proto
    del graph.graph.value_info[:]
    for node in graph.graph.node:  # the exporter notes where this code lay on disk
        del node.metadata_props[:]
        node.doc_string = ""
    graph.metadata_props.add(key="margin", value=str(margin))  # how the witness is to crop
    _halve(graph)
    write_whole(onnx, graph.SerializeToString())
    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    again = session.run(list(names), {"crops": crops.numpy()})
    with torch.no_grad():
        answers = model(crops)
    first = (answers,) if isinstance(answers, Tensor) else answers
    return max(float(np.abs(a.numpy() - b).max()) for a, b in zip(first, again, strict=True))


def _halve(model: Any) -> None:
    """Store large kernels of an ONNX model as float16, each with a node that widens it when the model is loaded.

    The runtime does that once, so that an answer takes as long as before. Of the weights of 2026-11-26 scores of
    painted faces moved by 0.0002 at most; with all kernels of 4,096 numbers and more it was 0.0005.
    """
    from onnx import TensorProto, helper, numpy_helper

    widened = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < HALVED:
            continue
        widened.append(helper.make_node("Cast", [tensor.name + HALF], [tensor.name], to=TensorProto.FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), tensor.name + HALF))
    for place, node in enumerate(widened):
        model.graph.node.insert(place, node)
