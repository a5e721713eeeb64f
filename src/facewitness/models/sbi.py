"""The rival that KFD is held against: a plain classifier of the same size that learns from self-blended images.

Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images" (CVPR 2022): an ImageNet network with one output,
trained with binary cross-entropy on genuine pictures and on self-blends of them. Theirs is EfficientNet-B4; here it is
the backbone of `models/kfd.SmallEncoders`, so that beside a KFD of the same recipe nothing differs but KFD itself: no
text, no consistency maps, no locator, no reference. `train/kfd` trains it with `baseline = "sbi"`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewitness.models import _saved
from facewitness.models.kfd import Detection, Losses, SmallEncoders, encoders_of


class SBI(nn.Module):
    """A backbone, the mean over its last stage, and one fully connected layer.

    Args:
        encoders: Whose visual part is the network; its text is not used.
    """

    kind = "sbi"

    def __init__(self, encoders: SmallEncoders):
        super().__init__()
        self.encoders = encoders
        self.encoders.context.requires_grad_(False)
        self.full = nn.Linear(encoders.embedding_width, 1)

    def forward(self, pixels: Tensor, reference: Tensor | None = None) -> Detection:
        """RGB (B, 3, S, S) in 0..255 → a detection with logits (B,), and a map (B, 1, S, S) of zeros: it has none.

        Args:
            pixels: RGB (B, 3, S, S) in 0..255.
            reference: Not looked at.
        """
        _, embedding = self.encoders.visual(pixels)
        empty = pixels.new_zeros(len(pixels), 1, *pixels.shape[-2:])
        return Detection(self.full(embedding)[:, 0], empty, empty[:, :0], embedding)

    def loss(self, detection: Detection, label: Tensor, mask: Tensor) -> Losses:
        """Binary cross-entropy of `label` (B,), 0 for real and 1 for fake; nothing is localised.

        Args:
            detection: What `forward` gave.
            label: (B,), 0 real and 1 fake.
            mask: Not looked at.
        """
        classification = F.binary_cross_entropy_with_logits(detection.logit, label.to(detection.logit.dtype))
        return Losses(torch.zeros_like(classification), classification)

    def save(self, path: Path, facts: Mapping[str, Any] | None = None) -> str:
        """Write `path` (.safetensors) and its card beside it; returns the SHA-256 of the weights.

        Args:
            path: Of the .safetensors; its card lies beside it.
            facts: Further keys of the card beside the weights.
        """
        card = {"encoders": {"kind": "SmallEncoders", **self.encoders.config}}
        return _saved.write(path, self.kind, self.state_dict(), {**(facts or {}), **card})

    @classmethod
    def load(cls, path: Path) -> SBI:
        """A saved one, in evaluation mode.

        Args:
            path: Of the .safetensors; its card lies beside it.

        Raises:
            WeightsError: A file is missing, damaged, or not what its card says.
        """
        card, tensors = _saved.read(path, cls.kind, ["encoders"])
        with _saved.settings_of(path):
            model = cls(encoders_of(card["encoders"]))
        _saved.fill(model, tensors, path)
        return model.eval()
