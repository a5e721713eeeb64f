"""Community Forensics: a small ViT that tells generated photographs, trained on 4,803 generators (arXiv 2411.04125).

    p = σ(w · ViT-S/16(x) + b)     1 means generated

`OwensLab/commfor-model-384` (MIT) looks at the whole photograph: its shorter side made 440 px, the middle 384 px cut
out (256 and 224 for `commfor-model-224`), as the authors' public code has it (JeongsooP/Community-Forensics on GitHub).
Tensors are timm's of `vit_small_patch16`, behind `vit.`.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from facewitness.errors import WeightsError
from facewitness.models import _torchvision  # noqa: F401  (timm cannot be imported before it)

import timm  # isort: skip

RESIZED = {384: 440, 224: 256}  # side of the crop → shorter side of the photograph before
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def known(tensors: Mapping[str, Tensor]) -> bool:
    """Whether tensors are named as this family's are.

    Args:
        tensors: By name.
    """
    return "vit.patch_embed.proj.weight" in tensors and "vit.head.weight" in tensors


def build(tensors: Mapping[str, Tensor], name: str) -> tuple[nn.Module, int]:
    """The network, pictures (n, 3, S, S) → logits (n, 1), and its S; sizes are read from the tensors.

    Args:
        tensors: By name.
        name: Of the file, for messages.

    Returns:
        The network, and the side S of its pictures, pixels.

    Raises:
        WeightsError: the tensors are of another make.
    """
    own = {key.removeprefix("vit."): value for key, value in tensors.items() if key.startswith("vit.")}
    places, patches = own["pos_embed"], own["patch_embed.proj.weight"]
    width, patch = patches.shape[0], patches.shape[-1]
    side = round((places.shape[1] - 1) ** 0.5) * patch
    depth = len({key.split(".")[1] for key in own if key.startswith("blocks.")})
    network = timm.create_model(
        "vit_small_patch16_384",
        pretrained=False,
        img_size=side,
        patch_size=patch,
        embed_dim=width,
        depth=depth,
        num_heads=max(1, width // 64),
        num_classes=1,
    )
    expected = network.state_dict()
    unfit = sorted(expected.keys() ^ own.keys())
    unfit += sorted(k for k in expected.keys() & own.keys() if expected[k].shape != own[k].shape)
    if unfit:
        raise WeightsError(
            f"'{name}' is no network of Community Forensics: {len(unfit)} tensors do not fit, among them {unfit[0]}. "
            "Fetch or copy it again."
        )
    network.load_state_dict(own)
    return network.eval(), side
