"""MARE's forgery disentanglement module: what a face is, how it stands, and what a forger left on it, kept apart.

"MARE: multimodal alignment and reinforcement for explainable deepfake detection", section 3.4. A backbone gives shared
features F; three branches take identity F_I, structure F_s and forgery traces F_f out of it, and

    L_I = −1/N Σ_i Σ_j y_ij α_j (1 − ŷ_ij)^γ log ŷ_ij                                identity, read from F_I     (7)
    L_f = −1/N Σ_i [ g α (1 − ĝ)^γ̂ log ĝ + (1 − g) (1 − α) ĝ^γ̂ log(1 − ĝ) ]          forgery, read from F_f      (8)
    L_r = 1/N Σ_i (F_i − F_i^(r))²,   F^(r) = decoder(F_s, F_I, F_f)                  nothing may get lost        (9)
    L   = λ_1 L_I + λ_2 L_f + λ_3 L_r                                                                            (10)

The only published setting is the backbone, Xception. Where the paper is silent
    F                     the backbone's last maps, before they are pooled
    the branches          1 × 1 to `width` and 3 × 3, each with batch norm and ReLU
    the classifiers       linear, on a branch's mean over places, so that the logit of a face is the mean of what its
                          places say: `Disentangled.evidence` (class activation maps, Zhou et al. 2016)
    γ, γ̂                  2, focal loss's own (Lin et al. 2017); α is 1/2, because batches hold as many real faces as
                          forged ones; α_j is 1, because identities have a few pictures each
    λ                     1, 1, 1, for want of better: untrained, L_f is 0.09, L_I near log M, and L_r has the scale
                          of the backbone's features, so a recipe should weigh them (runs/fdm/small.toml does)
    (F − F^(r))²          the mean over channels and places, not their sum, so that λ_3 does not depend on F's size;
                          F is a fixed target there: a backbone could otherwise please L_r by shrinking F
    the decoder           3 × 3 to twice `width`, batch norm, ReLU, and 1 × 1
    "adversarial
    classifier"           is drawn in figure 4 and not described. Here: two heads of one hidden layer, one that reads
                          identity from F_f and one that reads forgery from F_I, behind gradient reversal (Ganin and
                          Lempitsky 2015), with plain cross-entropy; their sum enters L with a fourth weight, 0.1
    attention maps        figure 7 does not say how they were made: see `attention`
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from facewitness.models import _saved, _torchvision  # noqa: F401  (timm and torchvision cannot be imported before it)

import timm  # isort: skip
from torchvision.ops import sigmoid_focal_loss  # isort: skip

from facewitness.errors import InputError, UnknownName, WeightsError


@dataclass(frozen=True, slots=True, eq=False)
class Disentangled:
    """What the module says of B pictures. F has C channels on a grid of h × w places, a branch has D = `width`.

    The last four are None where the loss that needs them has the weight 0.
    """

    logit: Tensor  # (B,) of forgery, read from F_f
    evidence: Tensor  # (B, h, w): the logit place by place; out of training its mean over places is `logit`
    shared: Tensor  # (B, C, h, w): F
    identity: Tensor  # (B, D, h, w): F_I
    structure: Tensor  # (B, D, h, w): F_s
    trace: Tensor  # (B, D, h, w): F_f
    identities: Tensor | None  # (B, M) logits, read from F_I
    reconstruction: Tensor | None  # (B, C, h, w): F^(r)
    identities_from_trace: Tensor | None  # (B, M) logits of an adversarial head
    logit_from_identity: Tensor | None  # (B,) of the other adversarial head

    @property
    def score(self) -> Tensor:
        """ĝ, (B,) in [0, 1]; 1 means fake."""
        return self.logit.sigmoid()

    def float(self) -> Disentangled:
        """The same in single precision."""
        return replace(self, **{f.name: v.float() for f in fields(self) if (v := getattr(self, f.name)) is not None})


class FDM(nn.Module):
    """The module. `forward` takes RGB (B, 3, H, W) in 0..255; the backbone says which sizes it reads.

    Args:
        identities: M, how many the identity classifier tells apart; it is of use in training alone.
        backbone: A timm name, made without weights (see `start_from`).
        options: More arguments for timm.
        stage: Which of the backbone's stages is F, as timm counts them (-2 is often stride 16); None is the end of the
            whole backbone. Earlier stages have a finer grid and know more of texture.
        width: D, channels of a branch.
        dropout: On the means that classifiers and heads read.
        mean: Of the backbone's input, RGB in [0, 1]; None is what timm notes for it.
        std: Likewise.
        identity_weight: λ_1 of equation 10; 0 leaves the loss and what serves it alone out. Without identity,
            reconstruction and adversarial there is a plain classifier, the first row of the paper's table 5.
        forgery_weight: λ_2.
        reconstruction_weight: λ_3.
        adversarial_weight: Of the two heads of figure 4.
        identity_gamma: γ of equation 7.
        forgery_gamma: γ̂ of equation 8.
        forgery_alpha: α of equation 8.

    Raises:
        UnknownName: A backbone that timm does not have.
        InputError: Options or numbers that cannot be.
    """

    def __init__(
        self,
        identities: int,
        backbone: str = "legacy_xception",  # "The backbone encoder of FDM is Xception"
        *,
        options: Mapping[str, Any] | None = None,
        stage: int | None = None,
        width: int = 256,
        dropout: float = 0.0,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        identity_weight: float = 1.0,
        forgery_weight: float = 1.0,
        reconstruction_weight: float = 1.0,
        adversarial_weight: float = 0.1,
        identity_gamma: float = 2.0,
        forgery_gamma: float = 2.0,
        forgery_alpha: float = 0.5,
    ):
        super().__init__()
        self.weights = {
            "identity": identity_weight, "forgery": forgery_weight, "reconstruction": reconstruction_weight,
            "adversarial": adversarial_weight,
        }  # fmt: skip
        for name, least, value in (
            ("identities", 1, identities),
            ("width", 1, width),
            ("identity_gamma", 0, identity_gamma),
            ("forgery_gamma", 0, forgery_gamma),
            *((f"{name}_weight", 0, value) for name, value in self.weights.items()),
        ):
            if not value >= least:
                raise InputError(f"FDM: expected {name} of at least {least}, got {value!r}")
        if not (0 <= forgery_alpha <= 1 and 0 <= dropout < 1):
            raise InputError(f"FDM: expected forgery_alpha and dropout in [0, 1], got {forgery_alpha} and {dropout}")
        if not any(self.weights.values()):
            raise InputError("FDM: expected at least one loss with a weight above 0")
        self.file: Path | None = None
        self.facts: dict[str, Any] = {}  # what else its card says: the pictures' size, a calibration
        self.identity_gamma, self.forgery_gamma, self.forgery_alpha = identity_gamma, forgery_gamma, forgery_alpha

        # What every ablation has is made first: with one seed, all of them begin with the same values there.
        self.stage = stage
        self.backbone, channels = _backbone(backbone, stage, dict(options or {}))
        noted = timm.get_pretrained_cfg(backbone)
        mean, std = tuple(noted.mean if mean is None else mean), tuple(noted.std if std is None else std)
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise InputError(f"FDM: expected mean and std of three channels, std above 0, got {mean} and {std}")
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.to_trace, self.to_identity, self.to_structure = (_branch(channels, width) for _ in range(3))
        self.dropout = nn.Dropout(dropout)
        self.forgery_classifier = nn.Linear(width, 1)
        self.identity_classifier = nn.Linear(width, identities) if identity_weight else None
        self.decoder = _decoder(width, channels) if reconstruction_weight else None
        self.identity_from_trace = _adversary(width, identities) if adversarial_weight else None
        self.forgery_from_identity = _adversary(width, 1) if adversarial_weight else None
        self.config = {
            "identities": identities, "backbone": backbone, "options": dict(options or {}), "stage": stage,
            "width": width, "dropout": dropout, "mean": list(mean), "std": list(std),
            "identity_weight": identity_weight, "forgery_weight": forgery_weight,
            "reconstruction_weight": reconstruction_weight, "adversarial_weight": adversarial_weight,
            "identity_gamma": identity_gamma, "forgery_gamma": forgery_gamma, "forgery_alpha": forgery_alpha,
        }  # fmt: skip

    def forward(self, pixels: Tensor, reversal: float = 1.0) -> Disentangled:
        """What the module sees in pictures.

        Args:
            pixels: RGB (B, 3, H, W) in 0..255.
            reversal: Scales the gradient that is reversed.

        Raises:
            InputError: Another shape.
        """
        if pixels.ndim != 4 or pixels.shape[1] != 3:
            raise InputError(f"pixels: expected RGB (B, 3, H, W) in 0..255, got {tuple(pixels.shape)}")
        shared = self._shared((pixels.float() / 255 - self.mean) / self.std)
        identity, structure, trace = self.to_identity(shared), self.to_structure(shared), self.to_trace(shared)
        of_identity, of_trace = (self.dropout(maps.mean((2, 3))) for maps in (identity, trace))
        line = self.forgery_classifier
        return Disentangled(
            logit=line(of_trace)[:, 0],
            evidence=torch.einsum("bdhw,d->bhw", trace, line.weight[0]) + line.bias,
            shared=shared,
            identity=identity,
            structure=structure,
            trace=trace,
            identities=None if self.identity_classifier is None else self.identity_classifier(of_identity),
            reconstruction=None
            if self.decoder is None
            else self.decoder(torch.cat([structure, identity, trace], dim=1)),
            identities_from_trace=None
            if self.identity_from_trace is None
            else self.identity_from_trace(reverse_gradient(of_trace, reversal)),
            logit_from_identity=None
            if self.forgery_from_identity is None
            else self.forgery_from_identity(reverse_gradient(of_identity, reversal))[:, 0],
        )

    def _shared(self, x: Tensor) -> Tensor:
        if self.stage is not None:
            y = self.backbone(x)[0]
            return y.permute(0, 3, 1, 2) if str(getattr(self.backbone, "output_fmt", "")).endswith("NHWC") else y
        y = self.backbone.forward_features(x)
        if y.ndim == 3:  # tokens of a transformer, some of which stand for no place
            y = y[:, getattr(self.backbone, "num_prefix_tokens", 0) :]
            side = round(y.shape[1] ** 0.5)
            if side * side != y.shape[1]:
                raise InputError(f"pixels: expected a square picture for this backbone, got {tuple(x.shape)}")
            return y.transpose(1, 2).unflatten(2, (side, side))
        if str(getattr(self.backbone, "output_fmt", "")).endswith("NHWC"):
            return y.permute(0, 3, 1, 2)
        return y

    def loss(self, seen: Disentangled, fake: Tensor, identity: Tensor) -> Losses:
        """Equations 7 to 10 and the adversarial heads.

        Args:
            seen: What `forward` gave for the B pictures.
            fake: (B,), 0 or 1.
            identity: (B,) from 0 to M − 1, or −1 where the person is not known: such a picture counts in no loss about
                identities.
        """
        adversarial, person = None, identity >= 0
        if seen.identities_from_trace is not None and seen.logit_from_identity is not None:
            adversarial = _over_known(F.cross_entropy, seen.identities_from_trace, identity, person)
            adversarial = adversarial + F.binary_cross_entropy_with_logits(
                seen.logit_from_identity, fake.to(seen.logit.dtype)
            )
        return Losses(
            identity=None
            if seen.identities is None
            else _over_known(
                functools.partial(identity_loss, gamma=self.identity_gamma), seen.identities, identity, person
            ),
            forgery=forgery_loss(seen.logit, fake, alpha=self.forgery_alpha, gamma=self.forgery_gamma)
            if self.weights["forgery"]
            else None,
            reconstruction=None
            if seen.reconstruction is None
            else reconstruction_loss(seen.shared, seen.reconstruction),
            adversarial=adversarial,
            weights=self.weights,
        )

    @torch.no_grad()
    def attention(self, pixels: Tensor, relative: bool = False) -> NDArray[np.float32]:
        """Where the trace branch sees forgery (figure 7): RGB (B, 3, H, W) in 0..255 → float32 (B, H, W) in [0, 1].

        One of them is the `values` of a `types.Mask` over the picture, which `formats/overlay` draws. It is the
        probability that a place by itself would give, so a face held for real stays dark. With `relative` it is the
        evidence stretched from each picture's lowest to its highest place, as such maps are often printed: it shows
        where a picture's evidence lies, even where there is next to none, and cannot be compared between pictures.

        Args:
            pixels: RGB (B, 3, H, W) in 0..255.
            relative: Whether each picture's lowest and highest place are stretched to 0 and 1.

        Returns:
            float32 (B, H, W) in [0, 1].
        """
        training = self.training
        evidence = self.eval()(pixels).evidence[:, None]
        self.train(training)
        evidence = F.interpolate(evidence, pixels.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
        if not relative:
            return evidence.sigmoid().cpu().numpy()
        low, high = evidence.amin((1, 2), keepdim=True), evidence.amax((1, 2), keepdim=True)
        stretched = (evidence - low) / (high - low).clamp(min=1e-12)
        return stretched.clamp(0, 1).cpu().numpy()

    # ------------------------------------------------------------------------------------------------ on the disk

    def start_from(self, path: Path) -> None:
        """Load the backbone's weights alone, a safetensors file in timm's names; a classifier in it is passed over.

        Of a saved module, which has its JSON beside it, the branches and the classifier of `lean` are taken too.

        Args:
            path: Of the .safetensors; its card lies beside it.

        Raises:
            WeightsError: The file cannot be read or does not fit.
        """
        if _saved.kind_of(path) == "fdm":
            theirs, mine = type(self).load(path).lean().state_dict(), self.state_dict()
            unfit = [k for k, v in theirs.items() if k not in mine or mine[k].shape != v.shape]
            if unfit:
                raise WeightsError(
                    f"'{path}' is a module of another make: {len(unfit)} of its {len(theirs)} tensors do not fit, "
                    f"among them {unfit[0]}. Give its [model] in the recipe, or start from the backbone's weights."
                )
            self.load_state_dict(theirs, strict=False)
            return
        _saved.fill_backbone(self.backbone, path, self.config["backbone"])

    def lean(self) -> FDM:
        """The same branches and the same answers without what only training needs, such as the people it learnt from.

        Identity classifier, decoder and adversarial heads are left out, half of the weights of runs/fdm/small.toml.
        In evaluation mode, on the CPU.
        """
        unused = {"identities": 1, "identity_weight": 0.0, "reconstruction_weight": 0.0, "adversarial_weight": 0.0}
        weight = self.config["forgery_weight"] or 1.0  # a module needs one loss, and the classifier stands in any case
        module = FDM(**{**self.config, **unused, "forgery_weight": weight})
        mine = self.state_dict()
        module.load_state_dict({name: mine[name] for name in module.state_dict()})
        return module.eval()

    def save(self, path: Path, facts: Mapping[str, Any] | None = None) -> str:
        """Write the weights, and beside them the configuration (.json).

        Args:
            path: Ends in .safetensors.
            facts: Further keys of the JSON file: what else belongs to these weights, such as the pictures' size.

        Returns:
            The SHA-256 of the weights.
        """
        return _saved.write(path, "fdm", self.state_dict(), {**self.facts, **(facts or {}), "config": self.config})

    @classmethod
    def load(cls, path: Path) -> FDM:
        """A saved module, in evaluation mode.

        Args:
            path: Of the .safetensors; its card lies beside it.

        Raises:
            WeightsError: A file is missing, damaged or does not fit.
        """
        card, tensors = _saved.read(path, "fdm", ["config"])
        with _saved.settings_of(path):
            module = cls(**card["config"])
        _saved.fill(module, tensors, path)
        module.sha256 = card["sha256"]  # of the bytes that these tensors came from
        module.file = path
        module.facts = {k: v for k, v in card.items() if k not in ("config", "model", "sha256")}
        return module.eval()


# --------------------------------------------------------------------------------------------------------- the losses


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """Each loss of a batch, a scalar, before its weight; None where its weight is 0."""

    identity: Tensor | None  # equation 7
    forgery: Tensor | None  # equation 8
    reconstruction: Tensor | None  # equation 9
    adversarial: Tensor | None  # the two heads together
    weights: Mapping[str, float]

    @property
    def parts(self) -> dict[str, Tensor]:
        """Those that count, by name."""
        named = {name: getattr(self, name) for name in ("identity", "forgery", "reconstruction", "adversarial")}
        return {name: value for name, value in named.items() if value is not None}

    @property
    def total(self) -> Tensor:
        """Equation 10, with the adversarial heads as a fourth part."""
        return torch.stack([self.weights[name] * value for name, value in self.parts.items()]).sum()


def _over_known(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, identity: Tensor, person: Tensor) -> Tensor:
    """The mean loss over the pictures whose person is known; 0, with a gradient of 0, where none is."""
    return loss(logits[person], identity[person]) if bool(person.any()) else logits.sum() * 0.0


def identity_loss(logits: Tensor, identity: Tensor, alpha: Tensor | None = None, gamma: float = 2.0) -> Tensor:
    """Equation 7: logits (N, M), identity (N,) from 0 to M − 1, α (M,) or None for ones → a scalar.

    Args:
        logits: (N, M), of M people.
        identity: (N,), from 0 to M − 1.
        alpha: (M,), weights of the people; None for ones.
        gamma: How much sure answers count less.

    Returns:
        A scalar, in nats.
    """
    log_p = F.log_softmax(logits, dim=1).gather(1, identity[:, None])[:, 0]
    each = -((1 - log_p.exp()) ** gamma) * log_p
    return (each if alpha is None else alpha[identity] * each).mean()


def forgery_loss(logit: Tensor, fake: Tensor, alpha: float = 0.5, gamma: float = 2.0) -> Tensor:
    """Equation 8: logit (N,), fake (N,) in {0, 1}, α the weight of forged faces → a scalar.

    Args:
        logit: (N,).
        fake: (N,), 0 or 1.
        alpha: Weight of forged faces, in [0, 1].
        gamma: How much sure answers count less.

    Returns:
        A scalar, in nats.
    """
    return sigmoid_focal_loss(logit, fake.to(logit.dtype), alpha=alpha, gamma=gamma, reduction="mean")


def reconstruction_loss(shared: Tensor, reconstruction: Tensor) -> Tensor:
    """Equation 9, as the mean over channels and places: two (N, C, h, w) → a scalar. No gradient runs into F itself.

    Args:
        shared: The features F, (N, C, h, w).
        reconstruction: Of the same shape.

    Returns:
        A scalar.
    """
    return F.mse_loss(reconstruction, shared.detach())


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.scale * gradients[0], None


def reverse_gradient(x: Tensor, scale: float = 1.0) -> Tensor:
    """The same values forward; −`scale` times the gradient backward (Ganin and Lempitsky 2015).

    Args:
        x: Any tensor.
        scale: Of the gradient.

    Returns:
        Of the same shape.
    """
    return _Reversal.apply(x, scale)


# ---------------------------------------------------------------------------------------------------------- the parts


# What timm.create_model takes besides the network's shape: files to read (a pickle would run code), and the hub
_NOT_OPTIONS = frozenset(
    ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "pretrained_strict", "pretrained_model_args",
     "pretrained_filter_fn", "checkpoint_path", "cache_dir", "features_only", "out_indices", "num_classes", "device",
     "model_name", "scriptable", "exportable", "no_jit")
)  # fmt: skip


def _plain(value: Any) -> bool:
    """Whether a value is a number, a bare name, true, false or null, or a list or table of such."""
    if isinstance(value, dict):
        return all(_plain(part) for part in (*value, *value.values()))
    if isinstance(value, list | tuple):
        return all(_plain(part) for part in value)
    return value is None or isinstance(value, bool | int | float) or bool(re.fullmatch(r"\w{1,64}", str(value)))


def _backbone(name: str, stage: int | None, options: dict[str, Any]) -> tuple[nn.Module, int]:
    """The backbone without weights, and how many channels F has."""
    for key, value in options.items():
        if key in _NOT_OPTIONS or not _plain(value):
            raise InputError(
                f"FDM: the option {key} of the backbone is none that a description may have: expected numbers, names "
                f"and true or false about the network's shape, got {value!r}. Weights are given by their own file."
            )
    if not timm.is_model(name):
        raise UnknownName("timm backbone", name, timm.list_models(), "timm.list_models()")
    try:
        if stage is None:
            model = timm.create_model(name, pretrained=False, num_classes=0, **options)
            return model, int(model.num_features)
        model = timm.create_model(name, pretrained=False, features_only=True, out_indices=[stage], **options)
        return model, int(model.feature_info.channels()[0])
    except (TypeError, ValueError, RuntimeError, AssertionError, AttributeError, IndexError) as error:
        settings = f"stage {stage}, options {options}"
        raise InputError(
            f"timm cannot make the backbone {name} ({settings}): {error}. Leave out or mend one."
        ) from error


def _branch(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
    )  # fmt: skip


def _decoder(width: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3 * width, 2 * width, 3, padding=1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(),
        nn.Conv2d(2 * width, channels, 1),
    )  # fmt: skip


def _adversary(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out))
