"""GenD: a foundation model's encoder, its pooled feature made one unit long, a line through it (arXiv 2508.06248).

    z = f(x) / ‖f(x)‖₂        (section 3.2: features on a hypersphere)
    p = softmax(W z + b)[1]    the second class is fake

f is the vision encoder of CLIP ViT-L/14, Perception Encoder ViT-L or DINOv3 ViT-L, of which the authors trained the
layer normalisations alone. Published are `yermandy/GenD_CLIP_L_14`, `GenD_PE_L` and `GenD_DINOv3_L` (MIT). The paper is
silent about the names of tensors and about sizes of pictures; the authors' public code (github.com/yermandy/GenD)
speaks: names begin with `feature_extractor.` and `model.linear.`, crops are 224 px, and the head's name says whether
features are made one long. An encoder's sizes are read from its tensors, so that smaller ones load too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from facewitness.errors import WeightsError
from facewitness.models import _torchvision  # noqa: F401 -- before transformers and timm, which import torchvision

SIZE = 224
HEADS = {"linear": False, "LinearNorm": True}  # name in the settings → whether features are made one unit long
_HEAD_WIDTH = 64  # of one attention head, in every ViT of the three makes
_ROOT = "feature_extractor."


class GenD(nn.Module):
    """Pictures (n, 3, 224, 224), normalised with `mean` and `std` → logits (n, 2); index 1 is fake.

    Args:
        encoder: Of pictures.
        pooled: What the encoder gives → the pooled feature f(x), (n, features).
        features: Their width.
        unit: Whether features are made one unit long.
        mean: Of the encoder's input, RGB in [0, 1].
        std: Likewise.
        resample: How crops come to 224 px, as the encoder's own processor has it.
    """

    def __init__(
        self,
        encoder: nn.Module,
        pooled: Callable[[Any], Tensor],
        features: int,
        unit: bool,
        mean: Sequence[float],
        std: Sequence[float],
        resample: Image.Resampling = Image.Resampling.BICUBIC,
    ):
        super().__init__()
        self.encoder, self.linear = encoder, nn.Linear(features, 2)
        self.mean, self.std, self.resample = mean, std, resample
        self._pooled, self._unit = pooled, unit

    def forward(self, pictures: Tensor) -> Tensor:
        """The logits of B pictures.

        Args:
            pictures: (B, 3, S, S), normalised as its encoder wants.

        Returns:
            Logits, (B, 2).
        """
        features = self._pooled(self.encoder(pictures))
        return self.linear(functional.normalize(features, p=2, dim=1) if self._unit else features)


def build(settings: Mapping[str, Any], tensors: Mapping[str, Tensor], name: str) -> GenD:
    """The network of a published checkpoint.

    Args:
        settings: its `config.json`: `backbone` and `head`.
        tensors: its tensors, named as published.
        name: of the model, for messages.

    Raises:
        WeightsError: a backbone, head or tensor that is not of this family.
    """
    backbone, head = str(settings.get("backbone", "")), str(settings.get("head", "linear"))
    if head not in HEADS:
        raise WeightsError(f"'{name}': expected a head of GenD ({', '.join(HEADS)}), got {head!r}.")
    lowered = backbone.lower()
    try:
        if "clip" in lowered:
            network, own = _clip(tensors, HEADS[head]), "vision_model."
        elif "vit_pe" in lowered:
            network, own = _perception(backbone, HEADS[head], name), "backbone."
        elif "dinov3" in lowered:
            network, own = _dino(tensors, HEADS[head]), "backbone."
        else:
            raise WeightsError(f"'{name}': expected a backbone of GenD (CLIP, vit_pe_core, DINOv3), got {backbone!r}.")
    except KeyError as error:
        raise WeightsError(f"'{name}' lacks the tensor {error}. Fetch or copy it again.") from error
    _fill(network.encoder, {k[len(_ROOT + own) :]: v for k, v in tensors.items() if k.startswith(_ROOT + own)}, name)
    _fill(
        network.linear,
        {k[len("model.linear.") :]: v for k, v in tensors.items() if k.startswith("model.linear.")},
        name,
    )
    return network.eval()


def _clip(tensors: Mapping[str, Tensor], unit: bool) -> GenD:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    root = _ROOT + "vision_model."
    patches = tensors[root + "embeddings.patch_embedding.weight"]
    places = tensors[root + "embeddings.position_embedding.weight"].shape[0] - 1
    width = patches.shape[0]
    config = CLIPVisionConfig(
        hidden_size=width,
        patch_size=patches.shape[-1],
        image_size=round(places**0.5) * patches.shape[-1],
        num_hidden_layers=_layers(tensors, root + r"encoder\.layers\.(\d+)\."),
        num_attention_heads=max(1, width // _HEAD_WIDTH),
        intermediate_size=tensors[root + "encoder.layers.0.mlp.fc1.weight"].shape[0],
        hidden_act="quick_gelu",
    )
    # OpenAI's CLIP, "Learning Transferable Visual Models": mean and deviation of its pictures
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    # its class token after a layer normalisation
    return GenD(CLIPVisionModel(config), lambda output: output.pooler_output, width, unit, mean, std)


def _dino(tensors: Mapping[str, Tensor], unit: bool) -> GenD:
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    root = _ROOT + "backbone."
    patches = tensors[root + "embeddings.patch_embeddings.weight"]
    width = patches.shape[0]
    inner = next((k for k in tensors if re.search(r"layer\.0\.mlp\.up_proj\.weight$", k)), "layer.0.mlp.up_proj.weight")
    config = DINOv3ViTConfig(
        hidden_size=width,
        patch_size=patches.shape[-1],
        image_size=SIZE,
        num_hidden_layers=_layers(tensors, root + r"(?:model\.)?layer\.(\d+)\."),
        num_attention_heads=max(1, width // _HEAD_WIDTH),
        intermediate_size=tensors[inner].shape[0],
        num_register_tokens=tensors[root + "embeddings.register_tokens"].shape[1],
        use_gated_mlp=any(".mlp.gate_proj." in k for k in tensors),
    )
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    first = DINOv3ViTModel(config), lambda output: output.last_hidden_state[:, 0]  # its class token
    return GenD(*first, width, unit, mean, std, Image.Resampling.BILINEAR)


def _perception(backbone: str, unit: bool, name: str) -> GenD:
    import timm  # isort: skip

    if not re.fullmatch(r"vit_pe_core_\w+", backbone) or backbone not in timm.list_models("vit_pe_core_*"):
        raise WeightsError(f"'{name}': expected one of timm's vit_pe_core networks, got {backbone!r}.")
    encoder = timm.create_model(backbone, pretrained=False, dynamic_img_size=True)
    encoder.head = nn.Identity()
    return GenD(encoder, lambda output: output, encoder.num_features, unit, [0.5] * 3, [0.5] * 3)


def _layers(tensors: Mapping[str, Tensor], pattern: str) -> int:
    numbers = {int(match[1]) for key in tensors if (match := re.match(pattern, key))}
    return len(numbers)


def _fill(network: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Every tensor of the network from the checkpoint. Names differ by a prefix between releases of transformers."""
    own = network.state_dict()
    given = {_as_here(key, own): value for key, value in tensors.items() if not key.endswith("position_ids")}
    unfit = sorted(own.keys() ^ given.keys())
    unfit += sorted(k for k in own.keys() & given.keys() if own[k].shape != given[k].shape)
    if unfit:
        raise WeightsError(
            f"'{name}' does not fit its settings: {len(unfit)} tensors, among them {unfit[0]}. Fetch or copy it again."
        )
    network.load_state_dict(given)


def _as_here(key: str, own: Mapping[str, Tensor]) -> str:
    return next((name for name in (key, f"model.{key}", f"vision_model.{key}") if name in own), key)
