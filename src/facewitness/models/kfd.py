"""KFD's detector: it compares a face, place by place, with what words say about real faces and about forged ones.

Yu et al., "Unlocking the Capabilities of Vision-Language Models for Generalizable and Explainable Deepfake Detection",
section 3.1. An image encoder gives features of l layers, a linear layer each takes them to the text's width, and

    C_text = { F_vis^i  F_text^T }                     text consistency maps, real and fake for each layer i   (1)
    C_ref  = { Cos(F_vref^i, F_vis^i) }                against the pristine picture, in training only          (2)
    L_loc  = Dice(φ(C_text), gt) + λ Dice(φ(C_ref), gt)                                                        (3)
    L_cls  = −(c log ĉ + (1 − c) log(1 − ĉ))                                                                   (4)

with F_text (2 × C_text) the descriptions of real and fake faces amid learnable context, φ the locator and ĉ the score.

The defaults follow the paper's text. Where the authors' public code (botianzhe/LVLM-DFD: inference, and the forward
pass of stage 2) says otherwise or says more, a switch takes its way, and runs/kfd/authors.toml takes all of them:

    | | by default | the authors' code | switch |
    |---|---|---|---|
    | F_vis of equation 1 | as it is: the equation is no cosine | unit length, times 100 | `unit_scale = 100` |
    | image encoder | frozen | LoRA of rank 32 in every block | `ClipEncoders(lora=32)` |
    | descriptions | two sentences a class (`REAL`, `FAKE`) | the words "real" and "fake" | `real`, `fake` |
    | context | 16 token embeddings for each class | 16 vectors for both, in the output | `shared_context` |
    | L_loc | Dice | focal + Dice | `focal = 1` |
    | width of the locator | 32 | 128 | `locator_width = 128` |

Without a switch: there the maps of equation 1 are brought to 224 × 224 before anything reads them.
Their stage 1 is not published, so that equations 2 and 3 and what learned there cannot be compared.
Where both are silent
    several sentences   of a class are averaged as unit vectors; F_text has unit length, as both text encoders were
                        trained to be compared
    φ of C_ref          has one channel a layer where φ reads two: Cos stands for real, 1 − Cos for fake
    λ, and the sum      1, and L_loc + L_cls: no weight is mentioned between the two losses
    Dice                2 Σ pg / (Σ p² + Σ g²), which a soft mask itself optimises, summed over the batch: a pristine
                        face has an empty mask, and on one alone Dice is all but flat. `dice = "picture"` is the mean
                        over forged pictures instead: an edited eye then weighs as much as a swapped face. It
                        leaves genuine faces out, of which more is marked then: `genuine` weighs `marked_loss` beside it
    sizes of the branches, and where they are joined: see `KFD`, `_Locator` and `_Classifier`
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from facewitness.models import _hub, _norm, _pixels, _saved, _torchvision  # noqa: F401  (timm cannot be imported before it)

import timm  # isort: skip
from timm.data.constants import (  # isort: skip
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
)

from facewitness.errors import InputError, MissingExtra, UnknownName, WeightsError

REAL: tuple[str, ...] = (
    "a photograph of a real human face",
    "a genuine face whose colours, lighting and texture agree everywhere",
)
FAKE: tuple[str, ...] = (
    "a manipulated photograph of a human face",
    "a deepfake face with seams, smudges and colours that do not match around them",
)

Embed = Callable[[Sequence[str]], NDArray[np.float32]]  # sentences -> one vector each, (n, width)


# --------------------------------------------------------------------------------------------------------- encoders


class Encoders(Protocol):
    """What the detector needs of an image encoder and a text encoder; an `nn.Module` that has all of this."""

    size: int  # side of the square pictures, pixels
    channels: tuple[int, ...]  # of each layer's features, in the order of `visual`
    text_width: int  # D, the width of `text`
    embedding_width: int  # E, the width of the pooled embedding
    context: nn.Parameter  # what is learned around the descriptions
    elsewhere: str  # prefix of those of its tensors that a detector's file leaves out; "" where there are none
    fingerprint: str  # SHA-256 that tells whether tensors from elsewhere are the same ones; "" where there are none
    config: dict[str, Any]  # JSON-ready arguments that make it again

    def visual(self, pixels: Tensor) -> tuple[list[Tensor], Tensor]:
        """RGB (B, 3, size, size) in 0..255 → features (B, C_l, H_l, W_l) of each layer, pooled embedding (B, E).

        Args:
            pixels: RGB (B, 3, S, S) in 0..255.

        Returns:
            The features of each layer, and the embedding.
        """

    def text(self) -> Tensor:
        """F_text, (2, D): the real descriptions and the fake ones amid their context, each of unit length.

        Returns:
            (2, D), each row of unit length.
        """


class ClipEncoders(nn.Module):
    """Both towers of a CLIP of transformers, frozen; only the context around the descriptions is learned.

    The default is the pair of ViT-H/14 towers that ImageBind took over from OpenCLIP and kept frozen, so no code of
    ImageBind's is needed.

    The context is `context` vectors for each of the two classes at the level of token embeddings, as in CoOp (Zhou et
    al. 2022), half before and half after each description. The paper leaves their number and place open: 16 is CoOp's,
    "around" is both sides, and each class has its own because the two are opposites. Hidden states differ much in scale
    from layer to layer, so each is normalised over its channels (layer norm without parameters) before the detector's
    linear layer; the paper does not speak of it.

    Args:
        name: Hub name, or a folder that holds config, tokenizer and safetensors.
        layers: Of the image tower, whose states are compared; 1 is the first.
        size: Side of the pictures, a multiple of the patch.
        context: How many learned vectors there are.
        real, fake: The descriptions; the authors' code has ("real",) and ("fake",).
        revision: Branch, tag or commit on the hub.
        shared_context: One context for both classes, `context` vectors of the embedding's width whose mean is averaged
            with the pooled embedding of a description, as in the authors' code. By default a class has its own.
        lora: Rank of an adapter on query, value, output and both layers of the MLP in every block of both towers, with
            alpha = rank and a dropout of 0.1, as the authors' code has it with 32; 0 keeps both frozen. A detector's
            file holds the adapter, and the towers still come by their name.
        fetch: Whether the hub may be asked, and not its cache alone.

    Raises:
        WeightsError: The model cannot be had or is not whole.
        InputError: A layer, size or description that does not fit it.
        MissingExtra: transformers is not installed.
    """

    def __init__(
        self,
        name: str = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        layers: Sequence[int] = (16, 24, 32),  # "the 16th, 24th, and 32nd layers of the encoder"
        size: int = 224,  # "All the images are cropped to 224×224"
        context: int = 16,
        real: Sequence[str] = REAL,
        fake: Sequence[str] = FAKE,
        revision: str = "main",
        *,
        shared_context: bool = False,
        lora: int = 0,
        fetch: bool = True,
    ):
        super().__init__()
        if lora < 0:
            raise InputError(f"lora: expected a rank of 0 (none) or more, got {lora}")
        self.config = {
            "name": str(name), "layers": list(layers), "size": size, "context": context, "real": list(real),
            "fake": list(fake), "revision": revision,
        }  # fmt: skip
        self.config |= {"shared_context": True} if shared_context else {}
        self.config |= {"lora": lora} if lora else {}
        self.clip, tokenizer = _pretrained(str(name), revision, fetch)
        self.clip.requires_grad_(False).eval()
        vision, words = self.clip.config.vision_config, self.clip.config.text_config
        if not layers or min(layers) < 1 or max(layers) > vision.num_hidden_layers:
            raise InputError(f"layers: expected numbers from 1 to {vision.num_hidden_layers}, got {tuple(layers)}")
        if size % vision.patch_size:
            raise InputError(f"size: expected a multiple of the patch size {vision.patch_size}, got {size}")
        self.layers, self.size, self._patches = tuple(layers), size, size // vision.patch_size
        self._interpolate = size != vision.image_size
        self.channels = (vision.hidden_size,) * len(self.layers)
        self.text_width = self.embedding_width = self.clip.config.projection_dim
        self.elsewhere = "clip."
        self.fingerprint = _fingerprint(self.clip.visual_projection.weight, self.clip.text_projection.weight)
        self.lora, self.shared_context = lora, shared_context
        if lora:
            adapt(self.clip, lora)

        self.register_buffer("mean", torch.tensor(OPENAI_CLIP_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(OPENAI_CLIP_STD).view(1, 3, 1, 1), persistent=False)
        among = 0 if shared_context else context
        ids, mask, places = _around(tokenizer, real, fake, among, words.max_position_embeddings)
        self.register_buffer("ids", ids, persistent=False)  # (n, T), real descriptions first
        self.register_buffer("mask", mask, persistent=False)  # (n, T), 1 where a token is
        self.register_buffer("places", places, persistent=False)  # (n, context): where the context stands
        # (n,): which of the two contexts
        self.register_buffer("classes", torch.tensor([0] * len(real) + [1] * len(fake)), persistent=False)
        shape = (context, self.text_width) if shared_context else (2, context, words.hidden_size)
        self.context = nn.Parameter(torch.randn(*shape) * 0.02)

    def train(self, mode: bool = True) -> ClipEncoders:
        """As torch's; towers without LoRA stay in evaluation mode.

        Args:
            mode: True to train, False to evaluate.
        """
        super().train(mode)
        if not self.lora:
            self.clip.eval()  # frozen: it has no training mode
        return self

    def visual(self, pixels: Tensor) -> tuple[list[Tensor], Tensor]:
        """As `Encoders.visual`; features are (B, C, size / patch, size / patch), the embedding is CLIP's own.

        Args:
            pixels: RGB (B, 3, S, S) in 0..255.

        Returns:
            The features of each layer, and the embedding.
        """
        _pixels.check(pixels, self.size)
        with torch.set_grad_enabled(torch.is_grad_enabled() and bool(self.lora)):
            out = self.clip.vision_model(
                pixel_values=(pixels / 255 - self.mean) / self.std,
                output_hidden_states=True,
                interpolate_pos_encoding=self._interpolate,
            )
            features = []
            for layer in self.layers:
                hidden = out.hidden_states[layer][:, 1:]  # without the class token
                hidden = F.layer_norm(hidden, hidden.shape[-1:])
                features.append(hidden.transpose(1, 2).unflatten(2, (self._patches, self._patches)))
            return features, self.clip.visual_projection(out.pooler_output)

    def text(self) -> Tensor:
        """As `Encoders.text`; the gradient runs through the frozen tower to the context.

        Returns:
            (2, D), each row of unit length.
        """
        if self.shared_context:
            pooled = self.clip.text_model(input_ids=self.ids, attention_mask=self.mask).pooler_output
            embedded = (F.normalize(self.clip.text_projection(pooled), dim=1) + self.context.mean(0)) / 2
            return _by_class(embedded, self.classes)
        rows = torch.arange(len(self.ids), device=self.ids.device)[:, None]

        def put_context(module: nn.Module, _: Any, embedded: Tensor) -> Tensor:
            learned = torch.index_select(self.context, 0, self.classes).to(embedded.dtype)
            return embedded.index_put((rows, self.places), learned)

        hook = self.clip.text_model.embeddings.token_embedding.register_forward_hook(put_context)
        try:
            pooled = self.clip.text_model(input_ids=self.ids, attention_mask=self.mask).pooler_output
        finally:
            hook.remove()
        return _by_class(self.clip.text_projection(pooled), self.classes)


ADAPTER = ".adapter."  # in the names of what LoRA learns


class _Adapted(nn.Linear):
    """A linear layer with LoRA beside it, whose own tensors keep their names.

    Not PEFT's: a language model that has this detector as its expert gets an adapter of PEFT's itself, which would take
    these layers for a part of its own, switch them off with it, and leave all of the language model to be trained.
    """

    def __init__(self, linear: nn.Linear, rank: int):
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        where = {"device": linear.weight.device, "dtype": linear.weight.dtype, "bias": False}
        down, up = nn.Linear(self.in_features, rank, **where), nn.Linear(rank, self.out_features, **where)
        nn.init.zeros_(up.weight)
        self.adapter = nn.Sequential(nn.Dropout(0.1), down, up)

    def forward(self, x: Tensor) -> Tensor:
        """x (…, in) → (…, out).

        Args:
            x: (…, in).
        """
        return super().forward(x) + cast("Tensor", self.adapter(x))


def adapt(clip: nn.Module, rank: int) -> None:
    """LoRA in every block of both towers of a CLIP, in place; scaled by alpha / rank = 1.

    Args:
        clip: Of transformers.
        rank: Of the adapters.
    """
    for name, module in list(clip.named_modules()):
        if isinstance(module, nn.Linear) and _ADAPTED.fullmatch(name):
            above, _, last = name.rpartition(".")
            setattr(clip.get_submodule(above), last, _Adapted(module, rank))


_ADAPTED = re.compile(r".*\.layers\.\d+\..*(q_proj|v_proj|out_proj|fc1|fc2)")


def _pretrained(name: str, revision: str, fetch: bool) -> tuple[Any, Any]:
    """The CLIP model and its tokenizer; never from a pickle, never with tensors that the files do not hold."""
    try:
        from transformers import AutoTokenizer, CLIPModel  # only here: the small pair runs without transformers
    except ImportError as error:
        advice = "pip install '.[vlm]', from a clone of the repository"
        raise MissingExtra(f"A CLIP encoder needs the package 'transformers'. Try: {advice}") from error
    mend = "Check the name and the network, or name a folder that holds the model (config, tokenizer, safetensors)."
    folder = _hub.whole(name, None if Path(name).is_dir() else revision, fetch)
    what = f"The CLIP model '{name}'"
    model = _hub.loaded(CLIPModel, folder, what, mend, dtype=torch.float32)
    tokenizer = _hub.part(AutoTokenizer, folder, what, mend)
    return model, tokenizer


def _around(
    tokenizer: Any, real: Sequence[str], fake: Sequence[str], context: int, max_tokens: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids with room for the context: [begin] context/2 [description] context/2 [end], padded."""
    if not real or not fake:
        raise InputError("descriptions: expected at least one of a real face and one of a fake face")
    before, rows, places = context // 2, [], []
    for sentence in (*real, *fake):
        words = tokenizer(sentence, add_special_tokens=False)["input_ids"]
        after = 1 + before + len(words)
        rows.append([tokenizer.bos_token_id, *[0] * before, *words, *[0] * (context - before), tokenizer.eos_token_id])
        places.append([*range(1, 1 + before), *range(after, after + context - before)])
        if len(rows[-1]) > max_tokens:
            raise InputError(
                f"description {sentence!r}: {len(rows[-1])} tokens with begin, end and {context} of context, but this "
                f"encoder reads {max_tokens}; shorten it"
            )
    longest = max(map(len, rows))
    mask = [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
    # CLIP reads the embedding at the first end token, so what pads behind it is never seen
    padded = [row + [0] * (longest - len(row)) for row in rows]
    return torch.tensor(padded), torch.tensor(mask), torch.tensor(places, dtype=torch.long).view(len(rows), context)


class SmallEncoders(nn.Module):
    """A MobileNetV2's features of three stages, and sentence embeddings of the descriptions: KFD on a CPU.

    The context is one additive vector for each class, zero at first: sentence embeddings have no tokens to stand among.
    The embedding is the mean of the last stage.

    Args:
        backbone: A timm name.
        strides: Of the stages that are used, rising.
        size: Side of the pictures, a multiple of the largest stride.
        text_width: Width of the sentence embeddings.
        real, fake: The descriptions.
        weights: Safetensors of the backbone in timm's names; None leaves it random.
        frozen: Keep the backbone as it came. By default it learns too: unlike a ViT-H's, the features of so small a
            network do not suffice by themselves.
        embed: Gives the sentence embeddings, (n, text_width), e.g. of all-MiniLM-L6-v2; kept as fixed buffers, so a
            saved detector needs it no more. Without it `text` raises until a saved detector is loaded.

    Raises:
        UnknownName: A backbone that timm does not have.
        WeightsError: Weights that do not fit.
        InputError: A stride or size that the backbone does not have, or embeddings of another shape.
    """

    def __init__(
        self,
        backbone: str = "mobilenetv2_100",
        strides: Sequence[int] = (8, 16, 32),
        size: int = 224,
        text_width: int = 384,
        real: Sequence[str] = REAL,
        fake: Sequence[str] = FAKE,
        frozen: bool = False,
        weights: str | Path | None = None,
        embed: Embed | None = None,
    ):
        super().__init__()
        self.config = {
            "backbone": backbone, "strides": list(strides), "size": size, "text_width": text_width,
            "real": list(real), "fake": list(fake), "frozen": frozen,
        }  # fmt: skip
        if not timm.is_model(backbone):
            raise UnknownName("timm backbone", backbone, timm.list_models(), "timm.list_models()")
        has = timm.create_model(backbone, pretrained=False, features_only=True).feature_info.reduction()
        if not strides or any(s not in has for s in strides) or list(strides) != sorted(set(strides)):
            raise InputError(f"strides: expected some of {has}, rising, for {backbone}, got {tuple(strides)}")
        if size % max(strides):
            raise InputError(f"size: expected a multiple of the largest stride {max(strides)}, got {size}")
        self.backbone = timm.create_model(
            backbone, pretrained=False, features_only=True, out_indices=[has.index(s) for s in sorted(strides)]
        )
        if weights is not None:
            _saved.fill_backbone(self.backbone, Path(weights), backbone)
        self.frozen, self.size, self.text_width = frozen, size, text_width
        self.channels = tuple(self.backbone.feature_info.channels())
        self.embedding_width = self.channels[-1]
        self.elsewhere = self.fingerprint = ""
        self.backbone.requires_grad_(not frozen)
        self.register_buffer("mean", torch.tensor(IMAGENET_DEFAULT_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_DEFAULT_STD).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("classes", torch.tensor([0] * len(real) + [1] * len(fake)), persistent=False)
        sentences = torch.full((len(real) + len(fake), text_width), torch.nan)  # NaN: nobody has embedded them yet
        if embed is not None:
            came = torch.as_tensor(np.asarray(embed([*real, *fake]), np.float32))
            if came.shape != sentences.shape or not torch.isfinite(came).all():
                raise InputError(
                    f"embed: expected finite vectors {tuple(sentences.shape)}, got {tuple(came.shape)}. Set text_width "
                    f"= {came.shape[-1]} in [encoders] for them."
                )
            sentences = came.clone()
        self.register_buffer("sentences", sentences)  # (n, D), real descriptions first
        self.context = nn.Parameter(torch.zeros(2, text_width))
        self.train()

    def train(self, mode: bool = True) -> SmallEncoders:
        """As torch's; a frozen backbone stays in evaluation mode, and normalisation keeps its statistics.

        Args:
            mode: True to train, False to evaluate.
        """
        super().train(mode)
        self.backbone.train(mode and not self.frozen)
        _norm.keep_statistics(self.backbone)
        return self

    def visual(self, pixels: Tensor) -> tuple[list[Tensor], Tensor]:
        """As `Encoders.visual`; features are (B, C_l, size / stride, size / stride), the finest first.

        Args:
            pixels: RGB (B, 3, S, S) in 0..255.

        Returns:
            The features of each layer, and the embedding.
        """
        _pixels.check(pixels, self.size)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features = self.backbone((pixels / 255 - self.mean) / self.std)
        return features, features[-1].mean((2, 3))

    def text(self) -> Tensor:
        """As `Encoders.text`.

        Returns:
            (2, D), each row of unit length.

        Raises:
            InputError: While there are no sentence embeddings.
        """
        # on the meta device (a plan) there are shapes and no numbers to look at
        if not self.sentences.is_meta and not torch.isfinite(self.sentences).all():
            raise InputError(
                "The descriptions have no sentence embeddings: expected `embed`, or a saved detector that holds them. "
                "Pass embed=…, or make the detector with text=False."
            )
        return F.normalize(_by_class(self.sentences, self.classes) + self.context, dim=1)


def _by_class(embedded: Tensor, classes: Tensor) -> Tensor:
    """The mean of each class's sentences as unit vectors, of unit length again: (n, D) → (2, D)."""
    unit = F.normalize(embedded, dim=1)
    if unit.is_meta:  # a plan: which rows are whose cannot be read there, and the shape does not depend on it
        return torch.empty(2, unit.shape[1], device="meta")
    return F.normalize(torch.stack([unit[classes == c].mean(0) for c in (0, 1)]), dim=1)


def _fingerprint(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


# --------------------------------------------------------------------------------------------------------- the maps


def text_maps(features: Sequence[Tensor], text: Tensor) -> list[Tensor]:
    """Equation 1: features F_vis^i (B, D, H_i, W_i) and F_text (2, D) → (B, 2, H_i, W_i) each, (real, fake).

    Args:
        features: F_vis^i of each layer, (B, D, H_i, W_i).
        text: F_text, (2, D).

    Returns:
        For each stage (B, 2, H_i, W_i): real, then fake.
    """
    return [torch.einsum("bdhw,cd->bchw", f, text) for f in features]


def reference_maps(features: Sequence[Tensor], reference: Sequence[Tensor]) -> list[Tensor]:
    """Equation 2: two lists of (B, D, H_i, W_i) → their cosine at each place, (B, 1, H_i, W_i) each, in [-1, 1].

    Args:
        features: F_vis^i of each layer, (B, D, H_i, W_i).
        reference: The same of the pristine pictures.

    Returns:
        For each stage (B, 1, H_i, W_i) in [-1, 1].
    """
    return [F.cosine_similarity(r, f, dim=1)[:, None] for r, f in zip(reference, features, strict=True)]


def dice_loss(predicted: Tensor, mask: Tensor) -> Tensor:
    """1 − 2 Σ pg / (Σ p² + Σ g²) over the whole batch (Milletari et al. 2016), both (B, 1, H, W) in [0, 1].

    One is added above and below the line, so that a batch without any forgery is defined.

    Args:
        predicted: (B, 1, H, W), in [0, 1].
        mask: (B, 1, H, W), in [0, 1], 1 forged.

    Returns:
        A scalar in [0, 1].
    """
    return 1 - (2 * (predicted * mask).sum() + 1) / (predicted.square().sum() + mask.square().sum() + 1)


def dice_loss_of_pictures(predicted: Tensor, mask: Tensor) -> Tensor:
    """The mean of `dice_loss` over the pictures whose mask is not empty, each by itself; 0 where all are empty.

    Args:
        predicted: (B, 1, H, W), in [0, 1].
        mask: (B, 1, H, W), in [0, 1], 1 forged.

    Returns:
        A scalar in [0, 1].
    """
    forged = mask.flatten(1).amax(1) > 0
    if not forged.any():
        return predicted.sum() * 0
    p, g = predicted[forged].flatten(1), mask[forged].flatten(1)
    return (1 - (2 * (p * g).sum(1) + 1) / (p.square().sum(1) + g.square().sum(1) + 1)).mean()


def marked_loss(predicted: Tensor, mask: Tensor) -> Tensor:
    """The mean of p² over the pictures whose mask is empty: what a map marks of genuine faces; 0 where none is.

    Ours: neither the paper nor its authors' code has it.

    Args:
        predicted: (B, 1, H, W), in [0, 1].
        mask: (B, 1, H, W), in [0, 1], 1 forged.

    Returns:
        A scalar in [0, 1].
    """
    genuine = mask.flatten(1).amax(1) == 0
    return predicted[genuine].square().mean() if genuine.any() else predicted.sum() * 0


def focal_loss(predicted: Tensor, mask: Tensor, gamma: float = 2.0) -> Tensor:
    """Mean over places of |g − p|^γ · BCE(p, g) (Lin et al. 2017, for soft masks as Li et al. 2020 have it).

    Args:
        predicted: (B, 1, H, W) in [0, 1].
        mask: Of the same shape, in [0, 1].
        gamma: 2 is Lin et al.'s; with 0 it is the plain cross-entropy.

    Returns:
        A scalar, in nats.
    """
    with torch.autocast(predicted.device.type, enabled=False):
        p, g = predicted.float().clamp(1e-6, 1 - 1e-6), mask.float()
        return ((g - p).abs().pow(gamma) * F.binary_cross_entropy(p, g, reduction="none")).mean()


# ----------------------------------------------------------------------------------------------------- the detector


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """What the detector says of B pictures of S × S pixels."""

    logit: Tensor  # (B,) of the score
    map: Tensor  # (B, 1, S, S) in [0, 1]: where it is forged
    consistency: Tensor  # (B, 2L, h, w): C_text, (real, fake) layer by layer, at the finest layer's resolution
    embedding: Tensor  # (B, E): the image encoder's own
    reference_map: Tensor | None = None  # (B, 1, S, S): φ(C_ref), where references were given

    @property
    def score(self) -> Tensor:
        """ĉ, (B,) in [0, 1]; 1 means fake."""
        return self.logit.sigmoid()

    def float(self) -> Detection:
        """The same in float32: losses are not computed in fewer bits."""
        reference_map = None if self.reference_map is None else self.reference_map.float()
        return Detection(
            self.logit.float(), self.map.float(), self.consistency.float(), self.embedding.float(), reference_map
        )


def is_elsewhere(name: str, left_out: str) -> bool:
    """Whether a tensor comes with the encoders' own name: it begins with `left_out` and is no adapter's.

    Args:
        name: Of the tensor.
        left_out: Begin of the names that are not stored; "" for none.
    """
    return bool(left_out) and name.startswith(left_out) and ADAPTER not in name


class Losses(NamedTuple):
    """Equations 3 and 4."""

    localisation: Tensor
    classification: Tensor

    @property
    def total(self) -> Tensor:
        return self.localisation + self.classification


_DICE = ("batch", "picture")
_PAPER: Mapping[str, Any] = {
    "unit_scale": None, "focal": 0.0, "dice": "batch", "genuine": 0.0, "locator_width": None,
}  # fmt: skip


class KFD(nn.Module):
    """The knowledge-guided forgery detector. Made without arguments it has the paper's encoders and sizes.

    The paper gives none of the last four.

    Args:
        encoders: An `Encoders`; None makes `ClipEncoders()`, which fetches 4 GB where they are not cached.
        text: False puts two learned vectors in the place of F_text, so that nothing of language is left and all else
            stays as it is: the ablation "visual features alone".
        reference: False leaves equation 2 and the second part of equation 3 out.
        reference_weight: λ of equation 3.
        unit_scale: None leaves F_vis of equation 1 as it is; a number makes each place's features a unit vector times
            it.
        focal: Weight of the focal loss beside Dice in equation 3.
        dice: "batch" or "picture", see the file's head.
        genuine: Weight of `marked_loss` beside Dice, 0 for none.
        width: Channels of the locator's and classifier's branches.
        locator_width: Of the locator's; None for the same.
        pool: The side that each branch of the classifier ends with.
        hidden: Width between the two fully connected layers.

    Raises:
        UnknownName: Another kind of Dice.
        InputError: A scale that is not above 0, or a weight below 0.
    """

    kind = "kfd"

    def __init__(
        self,
        encoders: Encoders | None = None,
        *,
        text: bool = True,
        reference: bool = True,
        reference_weight: float = 1.0,
        unit_scale: float | None = None,
        focal: float = 0.0,
        dice: str = "batch",
        genuine: float = 0.0,
        width: int = 32,
        locator_width: int | None = None,
        pool: int = 4,
        hidden: int = 128,
    ):
        super().__init__()
        if unit_scale is not None and unit_scale <= 0:
            raise InputError(f"unit_scale: expected a number above 0, such as 100, got {unit_scale}; leave it out")
        if focal < 0:
            raise InputError(f"focal: expected a weight of 0 or more, got {focal}")
        if genuine < 0:
            raise InputError(f"genuine: expected a weight of 0 or more, got {genuine}")
        if dice not in _DICE:
            raise UnknownName("kind of Dice", str(dice), _DICE)
        self.config = {
            "text": text, "reference": reference, "reference_weight": reference_weight, "width": width, "pool": pool,
            "hidden": hidden,
        }  # fmt: skip
        switched: dict[str, Any] = {
            "unit_scale": unit_scale,
            "focal": focal,
            "dice": dice,
            "genuine": genuine,
            "locator_width": locator_width,
        }
        self.config |= {name: value for name, value in switched.items() if value != _PAPER[name]}
        self.unit_scale, self.focal, self.dice, self.genuine = unit_scale, focal, dice, genuine
        self.encoders: Any = ClipEncoders() if encoders is None else encoders
        self.reference, self.reference_weight = reference, reference_weight
        levels, d = len(self.encoders.channels), self.encoders.text_width
        self.linear = nn.ModuleList(nn.Conv2d(c, d, 1) for c in self.encoders.channels)  # the paper's linear layer
        self.instead_of_text = None if text else nn.Parameter(torch.randn(2, d))
        self.encoders.context.requires_grad_(text)
        self.locator = _Locator(levels, locator_width or width)
        self.classifier = _Classifier(levels, width, pool, hidden)

    def features(self, pixels: Tensor) -> tuple[list[Tensor], Tensor]:
        """RGB (B, 3, S, S) in 0..255 → F_vis^i (B, D, H_i, W_i) of each layer, and the embedding (B, E).

        Args:
            pixels: RGB (B, 3, S, S) in 0..255.

        Returns:
            The features of each layer, and the embedding.
        """
        raw, embedding = self.encoders.visual(pixels)
        return [linear(f) for linear, f in zip(self.linear, raw, strict=True)], embedding

    def text(self) -> Tensor:
        """F_text, (2, D), each row of unit length; without text, the two learned vectors.

        Returns:
            (2, D), each row of unit length.
        """
        return self.encoders.text() if self.instead_of_text is None else F.normalize(self.instead_of_text, dim=1)

    def forward(self, pixels: Tensor, reference: Tensor | None = None) -> Detection:
        """RGB (B, 3, S, S) in 0..255, and in training the pristine pictures they were made from, of the same shape.

        A pristine picture is its own reference. Where all of them are in the batch, `reference` may be their rows
        instead, int64 (B,): each picture then passes the encoder once.

        Args:
            pixels: RGB (B, 3, S, S) in 0..255.
            reference: In training the pristine pictures they were made from, of the same shape, or their rows in the
                batch, int64 (B,).

        Raises:
            InputError: For another shape.
        """
        features, embedding = self.features(pixels)
        aligned = features
        if self.unit_scale is not None:
            aligned = [self.unit_scale * F.normalize(f, dim=1) for f in features]
        maps = text_maps(aligned, self.text())
        reference_map = None
        if reference is not None and self.reference:
            pristine = [f[reference] for f in features] if reference.ndim == 1 else self.features(reference)[0]
            similar = reference_maps(features, pristine)
            reference_map = self.locator([torch.cat([s, 1 - s], dim=1) for s in similar], self.encoders.size)
        finest = max((m.shape[-2:] for m in maps), key=lambda shape: shape[0])
        return Detection(
            logit=self.classifier(maps),
            map=self.locator(maps, self.encoders.size),
            consistency=torch.cat([_resized(m, *finest) for m in maps], dim=1),
            embedding=embedding,
            reference_map=reference_map,
        )

    def loss(self, detection: Detection, label: Tensor, mask: Tensor) -> Losses:
        """Equations 3 and 4. `label` (B,) is 0 for real and 1 for fake; `mask` (B, 1, S, S) in [0, 1], 1 forged.

        Args:
            detection: What `forward` gave.
            label: (B,), 0 real and 1 fake.
            mask: (B, 1, H, W), in [0, 1], 1 forged.
        """
        localisation = self._map_loss(detection.map, mask)
        if detection.reference_map is not None:
            localisation = localisation + self.reference_weight * self._map_loss(detection.reference_map, mask)
        classification = F.binary_cross_entropy_with_logits(detection.logit, label.to(detection.logit.dtype))
        return Losses(localisation, classification)

    def _map_loss(self, predicted: Tensor, mask: Tensor) -> Tensor:
        """Dice, and what has a weight beside it."""
        loss = dice_loss(predicted, mask) if self.dice == "batch" else dice_loss_of_pictures(predicted, mask)
        if self.genuine:
            loss = loss + self.genuine * marked_loss(predicted, mask)
        return loss + self.focal * focal_loss(predicted, mask) if self.focal else loss

    # ------------------------------------------------------------------------------------------------ on the disk

    def save(self, path: Path, facts: Mapping[str, Any] | None = None) -> str:
        """Write `path` (.safetensors) and its configuration beside it (.json); returns the SHA-256 of the weights.

        A frozen CLIP is left out: it comes from its own name again, and a fingerprint tells whether it is the same.
        `facts` are further keys of the JSON file: what else belongs to these weights, such as how faces are cropped.

        Args:
            path: Of the .safetensors; its card lies beside it.
            facts: Further keys of the card beside the weights.

        Returns:
            The SHA-256 of the weights, hexadecimal.
        """
        left_out = self._left_out()
        tensors = {k: v for k, v in self.state_dict().items() if not is_elsewhere(k, left_out)}
        card: dict[str, Any] = {
            "elsewhere": self.encoders.fingerprint,
            "encoders": {"kind": type(self.encoders).__name__, **self.encoders.config},
            "detector": self.config,
        }
        return _saved.write(path, "kfd", tensors, {**(facts or {}), **card})

    @classmethod
    def load(cls, path: Path, encoders: Encoders | None = None) -> KFD:
        """A saved detector, in evaluation mode. Encoders of other classes than this file's two are passed in.

        Args:
            path: Of the .safetensors; its card lies beside it.
            encoders: Of a class of one's own; None for the two of this file.

        Raises:
            WeightsError: Where a file is missing, damaged, or not what its configuration says.
        """
        card, tensors = _saved.read(path, "kfd", ["elsewhere", "encoders", "detector"])
        with _saved.settings_of(path):
            detector = cls(encoders_of(card["encoders"]) if encoders is None else encoders, **card["detector"])
        if card["elsewhere"] != detector.encoders.fingerprint:
            raise WeightsError(
                f"'{path}' was trained on other encoder weights than '{card['encoders'].get('name', '')}' has now: "
                f"expected the fingerprint {card['elsewhere']}, got {detector.encoders.fingerprint}."
            )
        _saved.fill(detector, tensors, path, detector._left_out())
        detector.sha256 = card["sha256"]  # of the bytes that these tensors came from
        detector.file = path
        return detector.eval()

    def _left_out(self) -> str:
        """How the names of tensors begin that the detector's file leaves out; "" where there are none."""
        return f"encoders.{self.encoders.elsewhere}" if self.encoders.elsewhere else ""


_KINDS: Mapping[str, Callable[..., Any]] = {"ClipEncoders": ClipEncoders, "SmallEncoders": SmallEncoders}
# what a card may say of each: the keys of `config`, and nothing that names a file to be read
_SAYS: Mapping[str, tuple[str, ...]] = {
    "ClipEncoders": (
        "name",
        "layers",
        "size",
        "context",
        "real",
        "fake",
        "revision",
        "shared_context",
        "lora",
    ),
    "SmallEncoders": ("backbone", "strides", "size", "text_width", "real", "fake", "frozen"),
}


def encoders_of(config: Any) -> Encoders:
    """Encoders as a card describes them: their `config`, and `kind`, one of the two classes of this file.

    A CLIP that the card names by its hub name is taken from the hub's cache: a card does not make us fetch anything.

    Args:
        config: Of the card.

    Raises:
        UnknownName: For another kind or another key.
        InputError: For what is no description.
        WeightsError: Where the CLIP cannot be had.
    """
    if not isinstance(config, Mapping):
        raise InputError(f"encoders: expected a table with a kind, got {config!r}")
    arguments = dict(config)
    kind = arguments.pop("kind", "")
    if kind not in _KINDS:
        raise UnknownName("kind of encoders", str(kind), _KINDS)
    for key in arguments:
        if key not in _SAYS[kind]:
            raise UnknownName(f"key of {kind}", str(key), _SAYS[kind])
    return _KINDS[kind](**arguments, **({"fetch": False} if kind == "ClipEncoders" else {}))


# ----------------------------------------------------------------------------------------------- the two that decide


class _Locator(nn.Module):
    """φ: one branch a layer, down and up again, joined and convolved to one map.

    The paper names these steps and no sizes. A branch halves its map once, because a ViT-H/14 gives 16 × 16 of them,
    and keeps the full one beside it, so that a seam stays where it is. Branches meet at a quarter of the picture's
    side. There is no batch normalisation: C_text and C_ref differ in scale, and one set of statistics fits neither.
    """

    def __init__(self, levels: int, width: int):
        super().__init__()
        self.first = nn.ModuleList(nn.Conv2d(2, width, 3, padding=1) for _ in range(levels))
        self.down = nn.ModuleList(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1) for _ in range(levels))
        self.up = nn.ModuleList(nn.Conv2d(3 * width, width, 3, padding=1) for _ in range(levels))
        self.join = nn.Sequential(
            nn.Conv2d(levels * width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 3, padding=1)
        )

    def forward(self, maps: Sequence[Tensor], size: int) -> Tensor:
        """(B, 2, H_i, W_i) of each layer → (B, 1, size, size) in [0, 1]."""
        grid = max(size // 4, *(m.shape[-1] for m in maps))
        branches = []
        for first, down, up, m in zip(self.first, self.down, self.up, maps, strict=True):
            fine = F.relu(first(m))
            coarse = _resized(F.relu(down(fine)), *fine.shape[-2:])
            branches.append(_resized(F.relu(up(torch.cat([fine, coarse], dim=1))), grid, grid))
        return _resized(self.join(torch.cat(branches, dim=1)), size, size).sigmoid()


class _Classifier(nn.Module):
    """One branch a layer, convolved and down-sampled, joined into two fully connected layers.

    Down-sampled by the maximum to `pool` × `pool`, which the paper leaves open: a forged eye is a few places of many,
    and a mean would dilute it.
    """

    def __init__(self, levels: int, width: int, pool: int, hidden: int):
        super().__init__()
        self.pool = pool
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(2, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU()
            )
            for _ in range(levels)
        )
        self.full = nn.Sequential(nn.Linear(levels * width * pool * pool, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """(B, 2, H_i, W_i) of each layer → logits (B,)."""
        most = _most if torch.compiler.is_exporting() else F.adaptive_max_pool2d
        pooled = [most(b(m), self.pool).flatten(1) for b, m in zip(self.branches, maps, strict=True)]
        return self.full(torch.cat(pooled, dim=1))[:, 0]


def _most(maps: Tensor, side: int) -> Tensor:
    """As adaptive_max_pool2d, which ONNX does not know: (B, C, H, W) → (B, C, side, side), the windows may overlap."""
    for axis in (2, 3):
        length = maps.shape[axis]
        windows = [(i * length // side, -(-(i + 1) * length // side)) for i in range(side)]
        maps = torch.cat([maps.narrow(axis, a, b - a).amax(axis, keepdim=True) for a, b in windows], dim=axis)
    return maps


def _resized(maps: Tensor, height: int, width: int) -> Tensor:
    if maps.shape[-2:] == (height, width):
        return maps
    return F.interpolate(maps, (height, width), mode="bilinear", align_corners=False)
