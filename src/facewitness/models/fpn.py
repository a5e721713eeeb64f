"""ForgeryTalker's forgery prompter network (FPN): which of 21 areas were manipulated, and features to find where.

Lian et al., "Generating Attribution Reports for Manipulated Facial Images: A Dataset and Baseline", section 3.2 and
appendix E. A vision transformer whose first m blocks get a convolution branch's features added, element by element:

    F_g^i = MHA_{i−1}(F_g^{i−1}),  F_l^i = Conv_{i−1}(F_l^{i−1})                                             (6)
    F_g^i = MHA_i(F_g^i + F_l^i),  i = 1 … m,        Conv_0 = CoordConv (Liu et al. 2018)                    (7)
    L_BCE  = −1/21 Σ_i Y_i log Ŷ_i + ω (1 − Y_i) log(1 − Ŷ_i)                                                (8, 13)
    L_Dice = 1 − 2 Σ Y_i Ŷ_i / (Σ Y_i + Σ Ŷ_i)                                                               (9)
    L      = ½ (L_BCE + L_Dice)
    PLM    = |predicted ∩ true labels| / |predicted ∪ true labels|                                           (12)

Where the paper is silent the authors' public code speaks (NattyLianJc/Generating-Attribution-Reports, read and not
copied): m = 2; CoordConv 3×3 and a convolution 5×5, each of stride 2, with batch normalisation and 2×2 maximum pooling
behind it; ViT-H/14; Dice with one added above and below the line, which an empty set of labels needs; a label is named
from a probability of ½ on. Three things differ there and are switches or remarks here
    pooling    their branch is pooled to the transformer's tokens in one dimension, row after row, so a token's local
               feature is of another place; ours is pooled on the picture. "sequence" is theirs, for their checkpoint
    losses     their card adds a focal and a Jaccard loss, which the paper has not; neither have we
    input      pixels in [−1, 1]. Their ForgeryTalker hands it the image encoder's, normalised as CLIP's are; how it saw
               them while it was trained is not published
A small FPN may read a shared encoder's grid instead of patches of pixels (`stem`), as their code's hybrid ViT does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewitness.errors import InputError
from facewitness.models import _pixels

THRESHOLD = 0.5  # a label is named from this probability on
OMEGA = 0.2  # ω: "discount factor set to ω < 1", "the BCE loss weight ω set to 0.2"


class Prompt(NamedTuple):
    """What the FPN says of N pictures."""

    logits: Tensor  # (N, 21): Ŷ before the sigmoid
    features: Tensor  # (N, 1 + h·w, width): F_g^m, global and local context, [CLS] first
    final: Tensor  # (N, 1 + h·w, width): after the last block


class FPN(nn.Module):
    """The network. `forward` takes RGB (N, 3, size, size) in 0..255 and, with a stem, the shared encoder's grid.

    Args:
        labels: How many areas there are.
        size: Side of the pictures, pixels.
        patch: Side of a patch, pixels; with a stem, how many pixels a token stands for.
        width, layers, heads, mlp: Of the transformer; the defaults are ViT-H/14's.
        convolved: m, how many of the first blocks get local features; 0 leaves the plain ViT (Table 7's "ViT").
        kernel: Of the convolutions after the first.
        local: Channels between the convolutions; the transformer's width by default, as in the authors' code.
        stem: Channels of a shared encoder's grid that is read in the place of patches; None reads pixels.
        pooling: "grid" or "sequence", see above.
        dropout: Before each block's output, as the authors' ViT has it.
    """

    def __init__(
        self,
        labels: int = 21,
        size: int = 224,
        patch: int = 14,
        width: int = 1280,
        layers: int = 32,
        heads: int = 16,
        mlp: int = 5120,
        convolved: int = 2,
        kernel: int = 5,
        local: int | None = None,
        stem: int | None = None,
        pooling: str = "grid",
        dropout: float = 0.1,
    ):
        super().__init__()
        if size % patch:
            raise InputError(f"FPN: expected a size that is a multiple of the patch {patch}, got {size}")
        if not 0 <= convolved <= layers:
            raise InputError(f"FPN: expected convolved from 0 to {layers}, the number of blocks, got {convolved}")
        if pooling not in ("grid", "sequence"):
            raise InputError(f'FPN: expected pooling "grid" or "sequence", got {pooling!r}')
        self.size, self.side, self.convolved, self.pooling, self.stem = size, size // patch, convolved, pooling, stem
        self.width = width
        self.embed = nn.Conv2d(3, width, patch, stride=patch) if stem is None else nn.Conv2d(stem, width, 1)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, 1 + self.side**2, width) * 0.02)
        self.blocks = nn.ModuleList(_Block(width, heads, mlp, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, labels)
        channels = width if local is None else local
        self.local = nn.ModuleList(
            _coordinates(channels) if i == 0 else _convolution(channels, kernel) for i in range(convolved)
        )
        self.join = nn.ModuleList(
            nn.Identity() if channels == width else nn.Conv2d(channels, width, 1) for _ in range(convolved)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, pixels: Tensor, grid: Tensor | None = None) -> Prompt:
        """RGB (N, 3, size, size) in 0..255 → labels and features.

        Args:
            pixels: RGB (N, 3, size, size) in 0..255.
            grid: Features that are known already; None to compute them.

        Raises:
            InputError: For other shapes.
        """
        _pixels.check(pixels, self.size)
        if (grid is None) != (self.stem is None):
            raise InputError("FPN: expected the shared encoder's grid with a stem, and none without one")
        x = pixels / 127.5 - 1.0
        tokens = self.embed(x if grid is None else F.adaptive_avg_pool2d(grid, self.side))
        tokens = torch.cat([self.cls.expand(len(x), -1, -1), tokens.flatten(2).transpose(1, 2)], dim=1)
        g = self.drop(tokens + self.position)
        local, features = x, g
        for i, block in enumerate(self.blocks):
            if i < self.convolved:
                local = self.local[i](local)
                added = self._pooled(self.join[i](local))
                g = torch.cat([g[:, :1], g[:, 1:] + added], dim=1)  # the [CLS] token has no place, and nothing local
            g = block(g)
            if i + 1 == self.convolved:
                features = g
        final = self.norm(g)
        return Prompt(self.head(final[:, 0]), features, final)

    def _pooled(self, local: Tensor) -> Tensor:
        if self.pooling == "sequence":
            return F.adaptive_avg_pool1d(local.flatten(2), self.side**2).transpose(1, 2)
        return F.adaptive_avg_pool2d(local, self.side).flatten(2).transpose(1, 2)


def bce_loss(logits: Tensor, labels: Tensor, omega: float = OMEGA) -> Tensor:
    """Equation 8, logits and labels (N, K), the mean over pictures; ω weighs the areas that are not manipulated.

    Args:
        logits: Raw outputs, before the sigmoid or softmax.
        labels: (N, K), 1 where an area is manipulated.
        omega: Weight of the areas that are not manipulated.

    Returns:
        A scalar, in nats.
    """
    weight = torch.where(labels > 0.5, 1.0, omega)
    return F.binary_cross_entropy_with_logits(logits, labels, weight=weight)


def dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Equation 9 of each picture's labels (N, K), averaged; one is added above and below the line.

    Args:
        logits: Raw outputs, before the sigmoid or softmax.
        labels: (N, K), 1 where an area is manipulated.

    Returns:
        A scalar in [0, 1].
    """
    p = logits.sigmoid()
    return (1 - (2 * (p * labels).sum(1) + 1) / (labels.sum(1) + p.sum(1) + 1)).mean()


def loss(logits: Tensor, labels: Tensor, omega: float = OMEGA, dice: bool = True) -> Tensor:
    """½ (L_BCE + L_Dice); without `dice` L_BCE alone, an ablation of Table 7.

    Args:
        logits: Raw outputs, before the sigmoid or softmax.
        labels: (N, K), 1 where an area is manipulated.
        omega: Weight of the areas that are not manipulated.
        dice: Whether the Dice loss counts too.

    Returns:
        A scalar.
    """
    bce = bce_loss(logits, labels, omega)
    return 0.5 * (bce + dice_loss(logits, labels)) if dice else bce


def plm(predicted: Sequence[Sequence[Any]], true: Sequence[Sequence[Any]]) -> float | None:
    """Equation 12, the mean over pictures; two empty sets agree (1). None without pictures.

    Args:
        predicted: Labels, for each picture.
        true: Labels, for each picture.
    """
    shares = []
    for ours, theirs in zip(predicted, true, strict=True):
        union = set(ours) | set(theirs)
        shares.append(len(set(ours) & set(theirs)) / len(union) if union else 1.0)
    return sum(shares) / len(shares) if shares else None


# ------------------------------------------------------------------------------------------------------- its parts


class _Coordinates(nn.Module):
    """A convolution that also sees where it is: x and y in [−1, 1] as two more channels (Liu et al. 2018)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(5, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        ys = torch.linspace(-1, 1, height, device=x.device, dtype=x.dtype).view(1, 1, height, 1)
        xs = torch.linspace(-1, 1, width, device=x.device, dtype=x.dtype).view(1, 1, 1, width)
        place = (xs.expand(len(x), 1, height, width), ys.expand(len(x), 1, height, width))
        return self.conv(torch.cat([x, *place], dim=1))


def _coordinates(channels: int) -> nn.Sequential:
    """Conv_0: CoordConv, to a quarter of the resolution."""
    return nn.Sequential(_Coordinates(channels), nn.BatchNorm2d(channels), nn.LeakyReLU(), nn.MaxPool2d(2))


def _convolution(channels: int, kernel: int) -> nn.Sequential:
    """Conv_i: to a quarter of the resolution again."""
    conv = nn.Conv2d(channels, channels, kernel, stride=2, padding=kernel // 2)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True))


class _Block(nn.Module):
    """A pre-norm transformer block. Its attention has the query, key and value apart, as the authors' ViT has them."""

    def __init__(self, width: int, heads: int, mlp: int, dropout: float):
        super().__init__()
        if width % heads:
            raise InputError(f"FPN: expected a width that is a multiple of the {heads} heads, got {width}")
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.fc1, self.fc2 = nn.Linear(width, mlp), nn.Linear(mlp, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm1(x)
        q, k, v = (
            part(h).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.drop(self.fc2(self.drop(F.gelu(self.fc1(self.norm2(x))))))
