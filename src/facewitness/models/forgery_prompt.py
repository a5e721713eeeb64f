"""What a detector saw, as a few tokens that a language model reads beside its words: the forgery prompt.

Yu et al., "Unlocking the Capabilities of Vision-Language Models for Generalizable and Explainable Deepfake Detection",
section 3.2 and figure 4: a convolutional network turns the localisation map into E_loc (n_2 × C_emb), another one the
consistency maps into E_cons (n_3 × C_emb), a fully connected layer expands the score to E_cls (1 × C_emb); with
learnable base prompts E_base (n_1 × C_emb) they are concatenated, and a convolution gives E_forgery (n_f × C_emb).

Where the paper is silent
    n_1, n_2, n_3, n_f   8, 16, 16 and 16: the two networks end in a grid of 4 × 4 places, fine enough to tell an eye
                         from a mouth, and the tokens are as many as one of them. The authors' code (botianzhe/LVLM-DFD)
                         has 9, 9, 9 and 9: base = 9, grid = 3, tokens = 9
    the two networks     three and two convolutions of stride 2, then the mean over each place of the grid: a map at
                         the picture's resolution needs more steps than consistency maps at a tenth of it
    the last convolution runs over tokens as channels with kernel 1: neighbours along C_emb mean nothing to each other.
                         The authors' has kernel 3 along C_emb: kernel = 3. Where the tokens are as many as the
                         places of the grid, each begins as one place: mixed at random, a small language model learned
                         whether a face is forged and not where (LOG.md)
    the scale            a layer norm whose gain begins at `scale`, because a language model's word embeddings are
                         small (0.02 is what most begin training with) and tokens much larger than they are drown them
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facewitness.errors import InputError


class ForgeryPromptLearner(nn.Module):
    """Map, consistency maps and score of a batch → tokens for a language model.

    Args:
        embedding: C_emb, the width of the language model's embeddings.
        levels: Layers of the detector; each has two consistency maps.
        base: n_1, how many learnable prompts.
        grid: Side of the grid that each of the two networks ends in: n_2 = n_3 = grid².
        tokens: n_f, how many come out.
        width: Channels of the two networks.
        scale: Root mean square of the tokens at first.
        kernel: Of the last convolution along C_emb, an odd number.

    Raises:
        InputError: A size that is not positive, or an even kernel.
    """

    def __init__(
        self,
        embedding: int,
        levels: int = 3,
        base: int = 8,
        grid: int = 4,
        tokens: int = 16,
        width: int = 64,
        scale: float = 0.02,
        kernel: int = 1,
    ):
        super().__init__()
        self.config = {
            "embedding": embedding, "levels": levels, "base": base, "grid": grid, "tokens": tokens, "width": width,
            "scale": scale, "kernel": kernel,
        }  # fmt: skip
        for name, value in self.config.items():
            if value <= 0:
                raise InputError(f"ForgeryPromptLearner: expected {name} above 0, got {value}")
        if kernel < 1 or kernel % 2 == 0:
            raise InputError(f"ForgeryPromptLearner: expected an odd kernel, such as 1 or 3, got {kernel}")
        self.levels, self.tokens = levels, tokens
        self.base = nn.Parameter(torch.randn(base, embedding) * 0.02)
        self.from_map = _network(1, width, embedding, steps=3, grid=grid)
        self.from_consistency = _network(2 * levels, width, embedding, steps=2, grid=grid)
        self.from_score = nn.Linear(1, embedding)
        self.mix = nn.Conv1d(base + 2 * grid * grid + 1, tokens, kernel, padding=kernel // 2)
        if tokens == grid * grid:
            with torch.no_grad():
                for first in (base, base + grid * grid):  # the map's places, and those of the consistency maps
                    self.mix.weight[:, first : first + tokens, kernel // 2] += torch.eye(tokens)
        self.norm = nn.LayerNorm(embedding)
        nn.init.constant_(self.norm.weight, scale)

    def forward(self, forgery_map: Tensor, consistency: Tensor, score: Tensor) -> Tensor:
        """Map (B, 1, H, W) in [0, 1], C_text (B, 2L, h, w), score (B,) in [0, 1] → E_forgery (B, n_f, C_emb).

        Heights and widths are free.

        Args:
            forgery_map: (B, 1, H, W), in [0, 1].
            consistency: C_text, the maps of all layers, (B, 2L, h, w).
            score: (B,), in [0, 1].

        Returns:
            (B, n_f, C_emb).

        Raises:
            InputError: For other shapes.
        """
        batch = len(score)
        for name, came, channels in (("map", forgery_map, 1), ("consistency", consistency, 2 * self.levels)):
            if came.ndim != 4 or came.shape[:2] != (batch, channels):
                raise InputError(f"{name}: expected ({batch}, {channels}, height, width), got {tuple(came.shape)}")
        if score.ndim != 1:
            raise InputError(f"score: expected one number a picture, (B,), got {tuple(score.shape)}")
        # FSDP's mixed precision hands this module narrower weights than the detector's
        forgery_map, consistency, score = (seen.to(self.base.dtype) for seen in (forgery_map, consistency, score))
        parts = (
            self.base.expand(batch, -1, -1),
            self.from_map(forgery_map).flatten(2).transpose(1, 2),
            self.from_consistency(consistency).flatten(2).transpose(1, 2),
            self.from_score(score[:, None])[:, None],
        )
        return self.norm(self.mix(torch.cat(parts, dim=1)))


def _network(channels: int, width: int, embedding: int, steps: int, grid: int) -> nn.Sequential:
    """(B, channels, H, W) → (B, embedding, grid, grid): `steps` convolutions of stride 2, then means over a grid."""
    layers: list[nn.Module] = []
    for step in range(steps):
        layers += [nn.Conv2d(width if step else channels, width, 3, stride=2, padding=1), nn.GELU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(grid), nn.Conv2d(width, embedding, 1))
