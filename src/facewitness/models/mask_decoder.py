"""From tokens that ask for a place to the place: SAM's two-way transformer and mask decoder on any encoder's grid.

Kirillov et al., "Segment Anything", 2023, as transformers has it. ForgeryTalker asks with the Q-Former's tokens for the
one forged area (section 3.4), FiFa with one token for every [SEG] in a text; both share this decoder. The encoder's
grid is projected to the decoder's width; positions are SAM's random Fourier features of a place on the grid.

    masks, quality = MaskDecoder(width=1408, prompt=768)(grid, prompts)

SAM proposes three masks beside the one when a click may mean several things. A token of a language model means one, so
one mask is read; the further three are made only where SAM's own weights are to fit (`further=3`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewitness.errors import InputError
from facewitness.models import _torchvision  # noqa: F401  (transformers' SAM imports torchvision)

# isort: split
from transformers import SamMaskDecoderConfig
from transformers.models.sam.modeling_sam import SamMaskDecoder


class Masks(NamedTuple):
    """The masks of N pictures, P asked for in each."""

    logits: Tensor  # (N, P, 4h, 4w)
    quality: Tensor  # (N, P): SAM's own estimate of each mask's IoU, learned only where a loss says so


class MaskDecoder(nn.Module):
    """SAM's decoder behind two projections.

    Args:
        width: Channels of the encoder's grid.
        prompt: Width of the tokens that ask.
        hidden, layers, heads, mlp: Of SAM's decoder; the defaults are SAM's own.
        further: How many masks it makes beside the one that is read.
    """

    def __init__(
        self,
        width: int,
        prompt: int,
        hidden: int = 256,
        layers: int = 2,
        heads: int = 8,
        mlp: int = 2048,
        further: int = 3,
    ):
        super().__init__()
        if hidden % (2 * heads) or hidden % 8:
            raise InputError(
                f"MaskDecoder: expected hidden to be a multiple of 8 and of twice the {heads} heads, got {hidden}"
            )
        config = SamMaskDecoderConfig(
            hidden_size=hidden, mlp_dim=mlp, num_hidden_layers=layers, num_attention_heads=heads,
            num_multimask_outputs=further, iou_head_hidden_dim=hidden,
        )  # fmt: skip
        config._attn_implementation = "sdpa"
        self.hidden = hidden
        self.from_grid, self.norm = nn.Conv2d(width, hidden, 1), nn.GroupNorm(1, hidden)
        self.from_prompt = nn.Linear(prompt, hidden)
        self.nothing = nn.Parameter(torch.zeros(1, hidden, 1, 1))  # SAM's "no mask was given"
        self.register_buffer("gaussian", torch.randn(2, hidden // 2))  # of the positions; kept with the weights
        self.decoder = SamMaskDecoder(config)

    def forward(self, grid: Tensor, prompts: Tensor) -> Masks:
        """Grid (N, C, h, w), prompts (N, P, n, D): P masks, each asked for by n tokens."""
        return self.masks(self.image(grid), prompts)

    def masks(self, image: Tensor, prompts: Tensor) -> Masks:
        """As `forward`, of what `image` gave."""
        if prompts.ndim != 4 or len(prompts) != len(image):
            raise InputError(f"MaskDecoder: expected prompts ({len(image)}, P, n, D), got {tuple(prompts.shape)}")
        logits, quality = self.decoder(
            image_embeddings=image,
            image_positional_embeddings=self.positions(*image.shape[-2:])
            .to(image.dtype)
            .expand(len(image), -1, -1, -1),
            sparse_prompt_embeddings=self.from_prompt(prompts),
            dense_prompt_embeddings=self.nothing.expand_as(image),
            multimask_output=False,
        )
        return Masks(logits[:, :, 0], quality[:, :, 0])

    def image(self, grid: Tensor) -> Tensor:
        """The grid as the decoder looks at it, (N, hidden, h, w)."""
        return self.norm(self.from_grid(grid))

    def positions(self, height: int, width: int) -> Tensor:
        """SAM's positions of a grid, (1, hidden, height, width)."""
        device = self.gaussian.device
        y = (torch.arange(height, device=device) + 0.5) / height
        x = (torch.arange(width, device=device) + 0.5) / width
        at = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)  # (h, w, 2)
        return self.fourier(at).permute(2, 0, 1)[None]

    def fourier(self, at: Tensor) -> Tensor:
        """Points (…, 2), x and y in [0, 1] → (…, hidden), as positions are."""
        turned = 2 * torch.pi * ((2 * at - 1) @ self.gaussian)
        return torch.cat([turned.sin(), turned.cos()], dim=-1)


def enlarged(logits: Tensor, size: int) -> Tensor:
    """Logits (N, P, h, w) at another resolution, bilinear: (N, P, size, size)."""
    return F.interpolate(logits, (size, size), mode="bilinear", align_corners=False)


def bce_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """ForgeryTalker's equations 3 and 11: the pixels' mean cross-entropy, mask (N, P, H, W) in [0, 1]."""
    return F.binary_cross_entropy_with_logits(logits, mask)


def dice_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """1 − 2 Σ pg / (Σ p + Σ g) of each mask (N, P, H, W), averaged; one is added above and below the line."""
    p, g = logits.sigmoid().flatten(2), mask.flatten(2)
    return (1 - (2 * (p * g).sum(2) + 1) / (p.sum(2) + g.sum(2) + 1)).mean()
