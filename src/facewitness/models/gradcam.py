"""Grad-CAM: which places of a picture moved a network's answer.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017. With
A^k the k-th of a layer's maps, of Z places, and y the number that is to be explained, before any sigmoid or softmax,

    α_k = 1/Z Σ_i Σ_j ∂y / ∂A^k_ij                                                                             (1)
    L   = ReLU(Σ_k α_k A^k)                                                                                    (2)

The map is enlarged to the picture's size, as there, and divided by its highest value. So it says which places counted
most, never how much: the face that a network finds most genuine has a place of value 1 too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from facewitness.errors import InputError


def heatmap(
    network: nn.Module, layer: nn.Module, pixels: Tensor, target: int | Callable[[Any], Tensor] = 0
) -> NDArray[np.float32]:
    """The heat map of one picture, float32 (H, W) in [0, 1]; all 0 where nothing speaks for the target.

    Args:
        network: Any module; it is called as `network(pixels)`, in evaluation mode, and left as it was.
        layer: A module inside it whose output is (1, C, h, w), or tokens (1, n, C) of a square grid, with or without
            one class token before them.
        pixels: (1, 3, H, W), whatever the network reads.
        target: What y is: the number of a class where the network's output is (1, n), or a function from the network's
            output to one number.

    Returns:
        float32 (H, W) in [0, 1].

    Raises:
        InputError: Where the network does not use the layer, or a shape is another one.
    """
    if pixels.ndim != 4 or len(pixels) != 1:
        raise InputError(f"heatmap: expected one picture (1, 3, H, W), got {tuple(pixels.shape)}")
    seen: list[Tensor] = []

    def keep(module: nn.Module, given: Any, output: Any) -> Tensor:
        if not isinstance(output, Tensor):
            raise InputError(f"heatmap: expected a layer that gives a tensor, got {type(output).__name__}")
        # below a frozen part there is no gradient to follow: it begins here
        seen.append(output if output.requires_grad else output.detach().requires_grad_())
        return seen[-1]

    training, hook = network.training, layer.register_forward_hook(keep)
    try:
        network.eval()
        with torch.inference_mode(False), torch.enable_grad():
            output = network(pixels.clone())  # a tensor made in inference mode has no gradient; its copy has
            y = target(output) if callable(target) else _class(output, target)
            if not seen:
                raise InputError("heatmap: expected a layer that the network uses, got one that it never called")
            if y.numel() != 1:
                raise InputError(f"heatmap: expected a target of one number, got shape {tuple(y.shape)}")
            gradient = torch.autograd.grad(y.sum(), seen[-1], allow_unused=True)[0] if y.requires_grad else None
    finally:
        hook.remove()
        network.train(training)
    if gradient is None:
        raise InputError("heatmap: expected a layer on the way to the target, got one that it does not depend on")
    with torch.no_grad():
        maps, slopes = _maps(seen[-1].detach()), _maps(gradient)
        weights = slopes.mean(dim=(2, 3), keepdim=True)  # equation 1
        heat = F.relu((weights * maps).sum(dim=1, keepdim=True))  # equation 2
        heat = F.interpolate(heat.float(), size=pixels.shape[-2:], mode="bilinear", align_corners=False)[0, 0]
        peak = heat.max()
        return (heat / peak if peak > 0 else heat).clamp(0, 1).cpu().numpy().astype(np.float32)


def _class(output: Any, number: int) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim != 2 or not 0 <= number < output.shape[1]:
        came = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise InputError(f"heatmap: expected an output (1, n) that has a class {number}, got {came}; pass a function")
    return output[0, number]


def _maps(output: Tensor) -> Tensor:
    """(1, C, h, w) as it is; tokens (1, n, C) on their square grid, without the class token."""
    if output.ndim == 4:
        return output
    if output.ndim == 3:
        tokens = output.shape[1]
        for first in (0, 1):
            side = math.isqrt(tokens - first)
            if side and side * side == tokens - first:
                return output[:, first:].transpose(1, 2).unflatten(2, (side, side))
    raise InputError(
        f"heatmap: expected a layer that gives (1, C, h, w) or tokens (1, n, C) of a square, got {tuple(output.shape)}"
    )
