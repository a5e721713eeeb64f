"""From tokens that ask for a place to the place: SAM's two-way transformer and mask decoder on any encoder's grid.

Kirillov et al., "Segment Anything", 2023, as transformers has it. ForgeryTalker asks with the Q-Former's tokens for the
one forged area (section 3.4), FiFa with one token for every [SEG] in a text; both share this decoder. The encoder's
grid is projected to the decoder's width; positions are SAM's random Fourier features of a place on the grid.

    masks, quality = MaskDecoder(width=1408, prompt=768)(grid, prompts)

SAM proposes three masks beside the one when a click may mean several things. A token of a language model means one, so
one mask is read; the further three are made only where SAM's own weights are to fit (`further=3`).

With `prior` it begins at a mask that is given, as SAM does at a mask prompt: the given logits are embedded by SAM's
three convolutions and added to the grid, and here are added to what comes out, too, times a learned number, so that the
decoder says only what is to be mended. Small networks have it, as they see too few masks to draw every one anew.
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
        prior: Whether it begins at masks that are given.
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
        prior: bool = False,
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
        self.embed = _embedding(hidden) if prior else None
        self.skip = nn.Parameter(torch.ones(1)) if prior else None

    def forward(self, grid: Tensor, prompts: Tensor) -> Masks:
        """Grid (N, C, h, w), prompts (N, P, n, D): P masks, each asked for by n tokens.

        Args:
            grid: (N, C, h, w).
            prompts: (N, P, n, D): P masks, each asked for by n tokens.
        """
        return self.masks(self.image(grid), prompts)

    def masks(self, image: Tensor, prompts: Tensor, prior: Tensor | None = None) -> Masks:
        """As `forward`, of what `image` gave; `prior` (N, P, H, W), logits of any size, is where each mask begins.

        Args:
            image: What `image` gave.
            prompts: (N, P, n, D): P masks, each asked for by n tokens.
            prior: (N, P, H, W), logits of any size: where each mask begins.

        Raises:
            InputError: A prior is given to a decoder without one, or none to one with it.
        """
        if (prior is None) != (self.embed is None):
            raise InputError("MaskDecoder: expected masks to begin at where it was made with prior=True, and none else")
        if prior is not None and prompts.shape[1] > 1:  # SAM embeds one mask a picture
            count = prompts.shape[1]
            placed = self.masks(image.repeat_interleave(count, 0), prompts.flatten(0, 1)[:, None],
                               prior.flatten(0, 1)[:, None])  # fmt: skip
            return Masks(
                placed.logits.unflatten(0, (-1, count))[:, :, 0], placed.quality.unflatten(0, (-1, count))[..., 0]
            )
        if prompts.ndim != 4 or len(prompts) != len(image):
            raise InputError(f"MaskDecoder: expected prompts ({len(image)}, P, n, D), got {tuple(prompts.shape)}")
        dense: Tensor | float = 0.0
        if prior is not None and self.embed is not None:
            size = (4 * image.shape[2], 4 * image.shape[3])
            prior = F.interpolate(prior, size, mode="bilinear", align_corners=False)
            dense = self.embed(prior)
        logits, quality = self.decoder(
            image_embeddings=image,
            image_positional_embeddings=self.positions(*image.shape[-2:])
            .to(image.dtype)
            .expand(len(image), -1, -1, -1),
            sparse_prompt_embeddings=self.from_prompt(prompts),
            dense_prompt_embeddings=self.nothing.expand_as(image) + dense,
            multimask_output=False,
        )
        masks = logits[:, :, 0]
        return Masks(masks if prior is None else masks + self.skip * prior, quality[:, :, 0])

    def image(self, grid: Tensor) -> Tensor:
        """The grid as the decoder looks at it, (N, hidden, h, w).

        Args:
            grid: (N, C, h, w).

        Returns:
            (N, hidden, h, w).
        """
        return self.norm(self.from_grid(grid))

    def positions(self, height: int, width: int) -> Tensor:
        """SAM's positions of a grid, (1, hidden, height, width).

        Args:
            height: Of the grid.
            width: Of the grid.

        Returns:
            (1, hidden, height, width).
        """
        device = self.gaussian.device
        y = (torch.arange(height, device=device) + 0.5) / height
        x = (torch.arange(width, device=device) + 0.5) / width
        at = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)  # (h, w, 2)
        return self.fourier(at).permute(2, 0, 1)[None]

    def fourier(self, at: Tensor) -> Tensor:
        """Points (…, 2), x and y in [0, 1] → (…, hidden), as positions are.

        Args:
            at: (…, 2), x and y in [0, 1].

        Returns:
            (…, hidden).
        """
        turned = 2 * torch.pi * ((2 * at - 1) @ self.gaussian)
        return torch.cat([turned.sin(), turned.cos()], dim=-1)


def _embedding(hidden: int) -> nn.Sequential:
    """SAM's embedding of a mask, to a quarter of its resolution; its last layer begins at zero."""
    last = nn.Conv2d(16, hidden, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Conv2d(1, 4, 2, stride=2), nn.GroupNorm(1, 4), nn.GELU(),
        nn.Conv2d(4, 16, 2, stride=2), nn.GroupNorm(1, 16), nn.GELU(), last,
    )  # fmt: skip


def enlarged(logits: Tensor, size: int) -> Tensor:
    """Logits (N, P, h, w) at another resolution, bilinear: (N, P, size, size).

    Args:
        logits: (N, P, h, w).
        size: Side of the result.

    Returns:
        (N, P, size, size).
    """
    return F.interpolate(logits, (size, size), mode="bilinear", align_corners=False)


def bce_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """ForgeryTalker's equations 3 and 11: the pixels' mean cross-entropy, mask (N, P, H, W) in [0, 1].

    Args:
        logits: (N, P, h, w).
        mask: (N, P, H, W), in [0, 1].

    Returns:
        A scalar, in nats.
    """
    return F.binary_cross_entropy_with_logits(logits, mask)


def dice_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """1 − 2 Σ pg / (Σ p + Σ g) of each mask (N, P, H, W), averaged; one is added above and below the line.

    Args:
        logits: (N, P, h, w).
        mask: (N, P, H, W), in [0, 1].

    Returns:
        A scalar in [0, 1].
    """
    p, g = logits.sigmoid().flatten(2), mask.flatten(2)
    return (1 - (2 * (p * g).sum(2) + 1) / (p.sum(2) + g.sum(2) + 1)).mean()
