"""A small vision transformer that gives the compact network's answers: it looks at all of a crop at once.

The first blocks of DINOv2's ViT-S (Oquab et al. 2023; timm `vit_small_patch14_dinov2`), on patches of 16 pixels, whose
embedding is resized from 14 as Beyer et al. 2023 do (FlexiViT). What tells a forgery from a photograph stands in middle
blocks, before the encoder sums up what is shown; so the last ones are left out, and the heads see the class token, the
mean and the spread of the patches after two blocks. The mask comes from the patches of both and from a convolution on
the crop itself, which knows edges that a patch of 16 pixels does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewitness.models import _torchvision  # noqa: F401  (timm cannot be imported before it)

import timm  # isort: skip
from timm.layers.patch_embed import resample_patch_embed
from timm.layers.pos_embed import resample_abs_pos_embed

from facewitness.errors import UnknownName
from facewitness.models._answers import Answering, exactly

PATCH = 16
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as DINOv2 was trained


class Patches(Answering):
    """The network. `forward` takes RGB (N, 3, S, S) in 0..255; S is `size`.

    Args:
        backbone: A timm vision transformer's name.
        size: Side of the crops, a multiple of 16.
        depth: How many of its blocks are kept; seven fit beside the compact network in 20 MB, in eight bits a weight.
        width: Channels of what the mask's head reads.
        parsing: Add the face parsing head.
        dropout: Before the linear heads.
        drop_path: Of the last block in training; earlier ones less, evenly.
    """

    def __init__(
        self,
        backbone: str = "vit_small_patch14_dinov2",
        size: int = 192,
        depth: int = 7,
        width: int = 48,
        parsing: bool = False,
        dropout: float = 0.2,
        drop_path: float = 0.1,
    ):
        super().__init__()
        if not timm.is_model(backbone) or not backbone.startswith("vit_"):
            known = timm.list_models("vit_*")
            raise UnknownName("timm vision transformer", backbone, known, "timm.list_models('vit_*')")
        self.backbone = timm.create_model(
            backbone, pretrained=False, num_classes=0, img_size=size, patch_size=PATCH, depth=depth,
            drop_path_rate=drop_path,
        )  # fmt: skip
        self.middle, features = (depth + 1) // 2, self.backbone.embed_dim
        self.norm = nn.LayerNorm(features)  # of the middle block; the last has the backbone's
        self.grid = size // PATCH
        self.lateral = nn.Conv2d(2 * features, PATCH * width, 1)
        self.detail = nn.Conv2d(3, width, 7, stride=4, padding=3)
        self.smooth = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width), nn.Conv2d(width, width, 1), nn.GELU()
        )
        self.add_heads(width, 5 * features + 1, parsing, dropout)
        for head in (self.to_fake, self.to_kind, self.to_regions):
            nn.init.normal_(head.weight, std=0.01)
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1) * 255, persistent=False)

    def pooled(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the linear heads see: features (N, F), what the mask's head reads, mask logits (N, S/4, S/4).

        Args:
            x: RGB crops (N, 3, S, S) in 0..255.

        Returns:
            Features, what the mask's head reads, and the mask's logits.
        """
        b = self.backbone
        with exactly(x):
            x = (x - self.mean) / self.std
            tokens, detail = b.patch_embed(x), self.detail(x)
        middle = tokens = b.norm_pre(b.patch_drop(b._pos_embed(tokens)))
        for number, block in enumerate(b.blocks):
            tokens = block(tokens)
            if number + 1 == self.middle:
                middle = tokens
        first, last = self.norm(middle), b.norm(tokens)
        places = torch.cat([first[:, 1:], last[:, 1:]], 2).transpose(1, 2).unflatten(2, (self.grid, self.grid))
        d = self.smooth(F.pixel_shuffle(self.lateral(places), PATCH // 4) + detail)
        mask = self.to_mask(d)[:, 0]
        strongest = F.avg_pool2d(mask[:, None], 4).amax(dim=(2, 3))
        seen = [last[:, 0], last[:, 1:].mean(1), _spread(last[:, 1:]), first[:, 1:].mean(1), _spread(first[:, 1:])]
        return torch.cat([*seen, strongest], 1), d, mask

    def start_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Load a pretrained encoder (timm's names), of which patches and places are resized and late blocks left out.

        Args:
            tensors: Weights by timm's names.

        Raises:
            RuntimeError: If they do not fit.
        """
        own = self.backbone.state_dict()
        taken = {name: value.float() for name, value in tensors.items() if name in own}
        taken["patch_embed.proj.weight"] = resample_patch_embed(taken["patch_embed.proj.weight"], [PATCH, PATCH])
        taken["pos_embed"] = resample_abs_pos_embed(taken["pos_embed"], [self.grid, self.grid])
        self.backbone.load_state_dict(taken, strict=True)

    def blocks_behind(self, name: str) -> int:
        """How many blocks of the encoder come after a tensor: what a learning rate that falls with depth goes by.

        Args:
            name: Of a tensor of this network.

        Returns:
            0 for the heads, 1 for the last block, up to one more than there are blocks.
        """
        if not name.startswith("backbone.") or name.startswith("backbone.norm"):
            return 0
        depth = len(self.backbone.blocks)
        if name.startswith("backbone.blocks."):
            return depth - int(name.split(".")[2])
        return depth + 1


def _spread(tokens: Tensor) -> Tensor:
    return (tokens.float().var(1, unbiased=False) + 1e-6).sqrt().to(tokens.dtype)


def of_dinov2(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    """DINOv2's tensors by transformers' names → by timm's.

    Args:
        tensors: As transformers' `Dinov2Model` names them.

    Returns:
        Name → tensor, each in the shape that timm's network has it.
    """
    out: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if not name.startswith("encoder.layer."):
            continue
        number, rest = name.removeprefix("encoder.layer.").split(".", 1)
        for theirs, ours in (
            ("attention.output.dense.", "attn.proj."), ("layer_scale1.lambda1", "ls1.gamma"),
            ("layer_scale2.lambda1", "ls2.gamma"), ("mlp.", "mlp."), ("norm1.", "norm1."), ("norm2.", "norm2."),
        ):  # fmt: skip
            if rest.startswith(theirs):
                out[f"blocks.{number}.{ours}{rest.removeprefix(theirs)}"] = value
        for kind in ("weight", "bias"):
            if rest == f"attention.attention.query.{kind}":
                parts = [
                    tensors[f"encoder.layer.{number}.attention.attention.{q}.{kind}"] for q in ("query", "key", "value")
                ]
                out[f"blocks.{number}.attn.qkv.{kind}"] = torch.cat(parts)
    out["patch_embed.proj.weight"] = tensors["embeddings.patch_embeddings.projection.weight"]
    out["patch_embed.proj.bias"] = tensors["embeddings.patch_embeddings.projection.bias"]
    out["cls_token"], out["pos_embed"] = tensors["embeddings.cls_token"], tensors["embeddings.position_embeddings"]
    out["norm.weight"], out["norm.bias"] = tensors["layernorm.weight"], tensors["layernorm.bias"]
    return out
