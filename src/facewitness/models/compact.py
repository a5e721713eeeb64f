"""The small networks behind the default witness: one aligned crop in, five answers out.

A MobileNetV2 (Sandler et al. 2018; timm `mobilenetv2_100`) or an EfficientNet-Lite0 (timm `efficientnet_lite0`) with a
top-down decoder in the manner of feature pyramid networks (Lin et al. 2017); what ships is one of each. The heads
    fake      is the face forged?
    kind      pristine, identity exchange, attribute manipulation, entire synthesis
    mask      where, at a quarter of the crop's resolution
    regions   which of MARE's 12 regions
    parsing   CelebAMask-HQ's 19 classes, an auxiliary task; the runs in `runs/compact` say whether it helps
The head that says fake or real sees texture at stride 8 and 16 as well as the last layer, and the strongest point of
the mask: blending and upsampling leave traces in texture that a network trained to name objects throws away on its way
up.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from facewitness.models import _torchvision  # noqa: F401  (timm cannot be imported before it)

import timm  # isort: skip

from facewitness import weights
from facewitness.errors import InputError, UnknownName, WeightsError
from facewitness.models._answers import Answering, Answers, exactly

_STRIDES = {2: 0, 4: 1, 8: 2, 16: 4, 32: 6}  # stride -> index of the last stage at that stride


class Compact(Answering):
    """The network. `forward` takes RGB (N, 3, S, S) in 0..255, S a multiple of 32.

    Args:
        backbone: timm's name of a MobileNetV2 or EfficientNet-Lite.
        width: Channels of the decoder.
        noise: Add a branch that sees only the high-pass residual of the crop, joined to the stem's output.
        parsing: Add the face parsing head.
        dropout: Before the linear heads.
        unit: The head that says fake or real sees features of length one, times a constant (Yermakov et al. 2025,
            arXiv:2508.06248).
    """

    def __init__(
        self,
        backbone: str = "mobilenetv2_100",
        width: int = 48,
        noise: bool = False,
        parsing: bool = False,
        dropout: float = 0.2,
        unit: bool = False,
    ):
        super().__init__()
        if not timm.is_model(backbone):  # timm would take "hf-hub:…" for something to fetch
            raise UnknownName("timm backbone", backbone, timm.list_models(), "timm.list_models()")
        # EfficientNet-Lite's ImageNet weights were made with another constant in their normalisations than timm's
        options = {"bn_eps": 1e-3} if backbone.startswith("efficientnet_lite") else {}
        self.backbone = timm.create_model(backbone, pretrained=False, num_classes=0, pad_type="same", **options)
        last = [stage[-1] for stage in self.backbone.blocks]
        channels = [(b.conv_pwl if hasattr(b, "conv_pwl") else b.conv_pw).out_channels for b in last]
        stem = self.backbone.conv_stem.out_channels
        self.noise = _Residual(stem) if noise else None
        used = [channels[_STRIDES[s]] for s in (4, 8, 16, 32)]
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in used)
        self.smooth = nn.ModuleList(_separable(width) for _ in used[:-1])
        self.add_heads(width, self.backbone.num_features + used[1] + used[2] + 1, parsing, dropout)
        self.unit = unit
        if unit:
            self.register_buffer("length", torch.tensor(0.0))  # of features before they are made one long; 0: not known

    def answers(self, pooled: Tensor, d: Tensor, mask: Tensor) -> Answers:
        """The answers from what `pooled` gives; with `unit` fake or real from features of length one.

        Args:
            pooled: What the linear heads see (N, F).
            d: The decoder's output (N, W, S/4, S/4).
            mask: Logits (N, S/4, S/4).
        """
        answers = super().answers(pooled, d, mask)
        if not self.unit:
            return answers
        return answers._replace(fake=self.to_fake(self.dropout(F.normalize(pooled.float(), dim=1) * self.length))[:, 0])

    def pooled(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the linear heads see: features (N, F), the decoder (N, W, S/4, S/4), mask logits (N, S/4, S/4).

        Args:
            x: RGB crops (B, 3, S, S) in 0..255.

        Returns:
            Features, the decoder's output, and the mask's logits.
        """
        f4, f8, f16, f32 = self._stages(x)
        top = self.backbone.bn2(self.backbone.conv_head(f32))

        d = self._top_down([f4, f8, f16, f32])
        mask = self.to_mask(d)[:, 0]

        strongest = F.avg_pool2d(mask[:, None], 4).amax(dim=(2, 3))
        return torch.cat([top.mean((2, 3)), f16.mean((2, 3)), f8.mean((2, 3)), strongest], dim=1), d, mask

    def decoded(self, x: Tensor) -> Tensor:
        """What the mask's head reads, (N, width, S/4, S/4); the heads and what only they need are not run.

        Args:
            x: RGB crops (B, 3, S, S) in 0..255.

        Returns:
            (N, width, S/4, S/4).
        """
        return self._top_down(self._stages(x))

    def _stages(self, x: Tensor) -> list[Tensor]:
        """The backbone's features at stride 4, 8, 16 and 32, of RGB crops (B, 3, S, S) in 0..255."""
        b = self.backbone
        with exactly(x):
            x = x / 128.0 - 1.0
            y = b.bn1(b.conv_stem(x))
            if self.noise is not None:
                y = y + self.noise(x)
        features = []
        for stage in b.blocks:
            y = stage(y)
            features.append(y)
        return [features[_STRIDES[s]] for s in (4, 8, 16, 32)]

    def _top_down(self, features: list[Tensor]) -> Tensor:
        """From features at stride 32 up to stride 4."""
        d = self.lateral[3](features[3])
        for lateral, smooth, f in zip(self.lateral[2::-1], self.smooth[2::-1], features[2::-1], strict=True):
            d = smooth(lateral(f) + F.interpolate(d, scale_factor=2.0, mode="bilinear", align_corners=False))
        return torch.as_tensor(d)

    def start_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Load ImageNet weights of the backbone (timm's names).

        Args:
            tensors: Weights by timm's names.

        Raises:
            RuntimeError: If they do not fit.
        """
        self.backbone.load_state_dict(dict(tensors), strict=True)


SHIPPED = "src/facewitness/weights/compact.onnx"  # in the repository: what sentences name to begin training with
EXPORTED, HALF = "model.", "_half"  # before a tensor's name in an ONNX file, and behind it where it is float16 there
BESIDE = "beside."  # before a tensor's name of the second network, where two answer together


def read_weights(file: Path, second: bool = False) -> dict[str, Tensor]:
    """Weights by name, in float32: of safetensors, or of a network that `facewitness build onnx` wrote.

    An exported network keeps every tensor but those of the parsing head, so that one file is both what is run and what
    training goes on from. Of two networks that answer together in one file the first is read, or the second if asked.

    Args:
        file: `last.safetensors` of a run, or an ONNX file such as the one that ships.
        second: Whether the second network of an ONNX file is meant.

    Returns:
        Name → tensor, each in the shape that the network has it.

    Raises:
        InputError: The file cannot be read.
        WeightsError: It holds no such tensors, or is damaged.
    """
    prefix = BESIDE if second else EXPORTED
    if file.suffix == ".onnx":
        import onnx
        from onnx import numpy_helper

        try:
            graph = onnx.load_from_string(weights.whole_onnx(file.read_bytes(), file)).graph
        except OSError as error:
            raise InputError(f"'{file}' cannot be read ({error.strerror}). Name another file.") from error
        tensors = {
            one.name.removeprefix(prefix).removesuffix(HALF): torch.from_numpy(numpy_helper.to_array(one).copy())
            for one in graph.initializer
            if one.name.startswith(prefix)
        }
        if second and not tensors:
            raise WeightsError(f"'{file}': expected two networks that answer together, got one.")
        for name in [name for name in tensors if name.endswith(".running_mean")]:
            tensors[name.replace("running_mean", "num_batches_tracked")] = torch.tensor(0)
        if any(name.endswith("weight_bias") for name in tensors):  # an older export's: folded into the kernels
            raise WeightsError(
                f"'{file}': expected a network with its normalisations, as facewitness build onnx writes it, got one "
                "in which they are folded into the kernels. Name the run's last.safetensors."
            )
    else:
        try:
            tensors = load_file(file)
        except (OSError, SafetensorError) as error:
            raise WeightsError(
                f"'{file}': expected safetensors or an exported ONNX network, got what is neither ({error}). Name a "
                f"run's last.safetensors, or {SHIPPED} of the repository."
            ) from error
    return {name: value.float() if value.dtype == torch.float16 else value for name, value in tensors.items()}


def high_pass() -> Tensor:
    """The first-, second- and fourth-order residuals of rich models for steganalysis (Fridrich and Kodovsky 2012).

    Returns:
        Kernels (3, 1, 5, 5).
    """
    kernels = torch.zeros(3, 1, 5, 5)
    kernels[0, 0, 2, 1:4] = torch.tensor([1.0, -2.0, 1.0]) / 2
    kernels[1, 0, 1:4, 1:4] = torch.tensor([[-1.0, 2, -1], [2, -4, 2], [-1, 2, -1]]) / 4
    rows = [[-1.0, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]]
    kernels[2, 0] = torch.tensor(rows) / 12
    return kernels


class _Residual(nn.Module):
    """What a high-pass filter leaves of the crop, to the stem's resolution.

    The three kernels are fixed; a strided convolution after them is learned and starts at zero, so that training begins
    from the ImageNet network unchanged.
    """

    def __init__(self, out: int):
        super().__init__()
        self.register_buffer("kernels", high_pass())
        self.join = nn.Conv2d(3, out, 3, stride=2, padding=1, bias=False)
        nn.init.zeros_(self.join.weight)

    def forward(self, x: Tensor) -> Tensor:
        grey = x.mean(1, keepdim=True)
        residual = F.conv2d(grey, self.kernels, padding=2) * 8.0
        return self.join(residual.clamp(-1.0, 1.0))


def _separable(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU6(),
    )
