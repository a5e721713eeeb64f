"""The one visual encoder that several networks of a system share: pixels in, a global feature and a grid of them out.

    compact   the features of the first of the two networks that ship: it has seen forgeries, which ImageNet's have not
    two       two of them, one for words and one for masks: an ablation
    blip      the vision tower of an InstructBLIP or of a CLIP (FaRL is one by its architecture), by hub name
An encoder is frozen, so what it says of a picture may be kept and used again in every epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewitness.errors import InputError, UnknownName
from facewitness.models import _pixels
from facewitness.models._answers import exactly
from facewitness.models.compact import SHIPPED, Compact, high_pass

# isort: split
from transformers import CLIPVisionConfig, CLIPVisionModel, InstructBlipVisionConfig, InstructBlipVisionModel

_HELD = "encoder.network."  # before the compact network's names in a file of FiFa or ForgeryTalker
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class Features(NamedTuple):
    """What an encoder says of N pictures."""

    whole: Tensor  # (N, G): of the picture as a whole, the [CLS] token where there is one
    grid: Tensor  # (N, C, h, w): the other tokens, as they lie on the picture


class CompactEncoder(nn.Module):
    """The compact network without its heads, at stride 8: `width` = 320 channels, 344 with `traces`.

    They are the backbone's features at stride 8 (32), at stride 16 (96, enlarged) and the decoder's at stride 4 (48 at
    each of four places), where the mask head reads. The global feature is the last layer's mean (1280). `traces` are
    no network's: at each of the four places the logarithm of what three high-pass filters leave there, which tells a
    pasted or interpolated part from its surroundings, and the mean colour. `maps` gives 4 channels more: what its own
    mask head says at each of the four places (`map` puts them together again).
    """

    def __init__(self, size: int = 224, noise: bool = True, traces: bool = True, maps: bool = False):
        super().__init__()
        if size % 32 or size < 64:
            raise InputError(f"size: expected a multiple of 32 of at least 64, got {size}")
        self.size, self.grid, self.whole, self.traces = size, size // 8, 1280, traces
        self.width = 32 + 96 + 4 * 48 + (24 if traces else 0) + (4 if maps else 0)
        self.maps = maps
        self.network = Compact(noise=noise)
        for head in (*(() if maps else ("to_mask",)), "to_region_map", "to_fake", "to_kind", "to_regions"):
            delattr(self.network, head)
        self.register_buffer("kernels", high_pass(), persistent=False)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> CompactEncoder:
        """It has no training mode: its statistics are those it came with."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Features:
        """RGB (N, 3, size, size) in 0..255 → features."""
        _pixels.check(pixels, self.size)
        net = self.network
        with exactly(pixels):
            x = pixels / 128.0 - 1.0
            y = net.backbone.bn1(net.backbone.conv_stem(x))
            if net.noise is not None:
                y = y + net.noise(x)
        stages = []
        for stage in net.backbone.blocks:
            y = stage(y)
            stages.append(y)
        f4, f8, f16, f32 = stages[1], stages[2], stages[4], stages[6]
        top = net.backbone.bn2(net.backbone.conv_head(f32))
        d = net.lateral[3](f32)
        for lateral, smooth, f in zip(net.lateral[2::-1], net.smooth[2::-1], (f16, f8, f4), strict=True):
            d = smooth(lateral(f) + F.interpolate(d, scale_factor=2.0, mode="bilinear", align_corners=False))
        coarse = F.interpolate(f16, scale_factor=2.0, mode="bilinear", align_corners=False)
        grid = [f8, coarse, F.pixel_unshuffle(d, 2)]
        if self.traces:
            grid.append(self._traces(x))
        if self.maps:
            grid.append(F.pixel_unshuffle(self.network.to_mask(d), 2))
        return Features(top.mean((2, 3)), torch.cat(grid, dim=1))

    def map(self, features: Features) -> Tensor | None:
        """What its own head says of where something is forged: logits (N, 1, size/4, size/4); None without `maps`."""
        return F.pixel_shuffle(features.grid[:, -4:], 2) if self.maps else None

    def _traces(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) in [−1, 1] → (N, 24, S/8, S/8)."""
        residual = F.conv2d(F.pad(x.mean(1, keepdim=True), (2, 2, 2, 2), mode="reflect"), self.kernels)
        left = torch.log(F.avg_pool2d(residual.abs(), 4) + 1e-3) + 4.0
        return torch.cat([F.pixel_unshuffle(left, 2), F.pixel_unshuffle(F.avg_pool2d(x, 4), 2)], dim=1)

    def start_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over the compact network's weights, in its own names or in a grounding system's that holds them.

        Heads among them are left, and so is what else such a system holds.
        """
        if any(k.startswith(_HELD) for k in tensors):
            tensors = {k.removeprefix(_HELD): v for k, v in tensors.items() if k.startswith(_HELD)}
        own = self.network.state_dict()
        lacking = [k for k in own if k not in tensors or tensors[k].shape != own[k].shape]
        if lacking:
            raise InputError(
                f"init_from: expected the compact network's weights, {len(lacking)} tensors are missing or of another "
                f"shape, such as {lacking[0]}. Name {SHIPPED} of the repository, or "
                "runs/fifa/fifa.safetensors for the encoder that it holds."
            )
        self.network.load_state_dict({k: tensors[k].float() if tensors[k].is_floating_point() else tensors[k]
                                      for k in own})  # fmt: skip


class TowerEncoder(nn.Module):
    """A vision transformer of transformers: InstructBLIP's EVA-ViT-g, or a CLIP tower such as FaRL's.

    The global feature is the [CLS] token after the last layer norm, the grid the other tokens after it.
    """

    def __init__(self, tower: str = "blip", **config: Any):
        super().__init__()
        self.config = (InstructBlipVisionConfig if tower == "blip" else CLIPVisionConfig)(**config)
        self.size, self.width = int(self.config.image_size), int(self.config.hidden_size)
        self.grid, self.whole = self.size // int(self.config.patch_size), self.width
        self.tower = (InstructBlipVisionModel if tower == "blip" else CLIPVisionModel)(self.config)
        self.register_buffer("mean", torch.tensor(CLIP_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(CLIP_STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> TowerEncoder:
        """It has no training mode: dropout in it would make its features other ones in every epoch."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Features:
        """RGB (N, 3, size, size) in 0..255 → features."""
        _pixels.check(pixels, self.size)
        dtype = next(self.tower.parameters()).dtype
        tokens = self.tower(pixel_values=((pixels / 255 - self.mean) / self.std).to(dtype)).last_hidden_state
        tokens = tokens.to(pixels.dtype)
        return Features(tokens[:, 0], tokens[:, 1:].transpose(1, 2).unflatten(2, (self.grid, self.grid)))

    def map(self, features: Features) -> None:
        """None: a tower has no head that says where something is forged."""


class TwoEncoders(nn.Module):
    """An encoder for words beside one for masks, as GLaMM and LISA have: what a system with one is measured beside.

    Both are the compact network's. The first `apart` channels of the grid, and the global feature, are those that words
    are made of; the other channels are the masks' alone.
    """

    def __init__(self, size: int = 224, maps: bool = True):
        super().__init__()
        self.words, self.masks = CompactEncoder(size), CompactEncoder(size, maps=maps)
        self.size, self.grid, self.whole = size, self.masks.grid, self.words.whole
        self.apart = self.words.width
        self.width = self.apart + self.masks.width
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> TwoEncoders:
        """It has no training mode."""
        return super().train(False)

    def forward(self, pixels: Tensor) -> Features:
        """RGB (N, 3, size, size) in 0..255 → features."""
        words, masks = self.words(pixels), self.masks(pixels)
        return Features(words.whole, torch.cat([words.grid, masks.grid], dim=1))

    def map(self, features: Features) -> Tensor | None:
        """What the masks' encoder says of where something is forged."""
        return self.masks.map(features)

    def start_from(self, tensors: Mapping[str, Tensor], words: Mapping[str, Tensor] | None = None) -> None:
        """Takes over weights for the masks' encoder, and others for the words' where they are given."""
        self.masks.start_from(tensors)
        self.words.start_from(tensors if words is None else words)


KINDS: Mapping[str, type[nn.Module]] = {
    "compact": CompactEncoder,
    "two": TwoEncoders,
    "blip": TowerEncoder,
    "clip": TowerEncoder,
}


def made(config: Mapping[str, Any]) -> Any:
    """An encoder with random weights, by its description: `kind`, and the arguments of its class.

    Raises:
        UnknownName: For another kind.
    """
    arguments = dict(config)
    kind = str(arguments.pop("kind", ""))
    if kind not in KINDS:
        raise UnknownName("kind of encoder", kind, KINDS)
    if kind in ("blip", "clip"):
        arguments["tower"] = kind
    return KINDS[kind](**arguments)
