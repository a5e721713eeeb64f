"""MIDS, FFAA's judge of answers: an image and an answer go in, and how real or fake each of both is comes out.

Huang et al., "FFAA: Multimodal Large Language Model based Explainable Open-World Face Forgery Analysis Assistant",
section "Multi-answer Intelligent Decision System". With T the text's features, V₁ and V₂ those of the image at the
encoder's last two layers, projected to the text's width,

    for each layer l    T→V_l and V_l→T by cross-attention of 8 heads                                            (4)
                        each pooled by a learnable query, cross-attention again                                  (5)
    six tokens          the two pooled ones and the projected [CLS] of each layer
    3 iterations        of self-attention with residual connections, then flattened to four classes          (3), (6)

The classes and what becomes of the logits are `models/deciding`. Formulas that the text at hand lost are by the
authors' public code: layer norms after each attention, none of them with a residual but the self-attention; the order
[CLS]₁ T→V₁ V₁→T [CLS]₂ T→V₂ V₂→T.

Where we differ from their code
    padding      of a batch's texts is masked; there every answer attends to its neighbours' padding
    [CLS]        an encoder without one gives the mean over its places
    the start    the two layers of CLIP that learn begin as CLIP has them. There every linear layer that learns begins
                 anew, and so theirs do: the learned image features of those two layers are lost. Output projections of
                 the attentions begin as torch has them
    colours      red first, in training as in use; their training reads pictures blue first, their inference red first

Encoders
    PublishedEncoders   T5-base, frozen; CLIP ViT-L/14-336, its last two layers trained
    SmallEncoders       a MobileNetV2 that was trained on forgeries (`models/compact`), its last two stages trained, and
                        token states of MiniLM, which come from outside: for a CPU
    none                `Fusion` alone: features of any kind, as the evidence-only form of the witness makes them
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from facewitness.errors import InputError, MissingExtra, UnknownName, WeightsError
from facewitness.files import write_whole
from facewitness.models import _hub, _norm, _pixels, _saved
from facewitness.models.compact import SHIPPED, Compact

HEADS = 8  # "M heads" is not given; the authors' code has 8
ITERATIONS = 3  # "The number of self-attention iterations" of appendix B, by the authors' code
CLASSES = 4
IMAGE_MODEL, TEXT_MODEL = "openai/clip-vit-large-patch14-336", "google-t5/t5-base"
_LONGEST = 512  # tokens of an answer that T5 reads


class _Attention(nn.Module):
    """Multi-head attention and a layer norm; with `residual` its queries are added before it."""

    def __init__(self, width: int, heads: int, residual: bool):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.residual = residual

    def forward(self, query: Tensor, key: Tensor, hidden: Tensor | None = None) -> Tensor:
        """(B, n, D) queries, (B, m, D) keys and values, `hidden` (B, m) where a key is padding → (B, n, D)."""
        mixed, _ = self.attention(query, key, key, key_padding_mask=hidden, need_weights=False)
        return self.norm(mixed + query if self.residual else mixed)


class Fusion(nn.Module):
    """Cross fusion of an image's features with an answer's, and the four classes (Eq. 3 to 6).

    Args:
        images: Widths of the image's features at the two layers.
        text: Width of the text's features.
        width: Of everything inside; where it is the text's, the text is not projected, as published.
        heads: Of each attention.
        iterations: Of self-attention.
    """

    def __init__(
        self, images: Sequence[int], text: int, width: int = 768, heads: int = HEADS, iterations: int = ITERATIONS
    ):
        super().__init__()
        if len(images) != 2 or width % heads:
            raise InputError(
                f"Fusion: expected features of two layers and a width that {heads} heads divide, got {tuple(images)} "
                f"and {width}"
            )
        self.config = {
            "images": list(images), "text": text, "width": width, "heads": heads, "iterations": iterations,
        }  # fmt: skip
        self.project = nn.ModuleList(nn.Linear(channels, width) for channels in images)
        self.project_text = nn.Identity() if text == width else nn.Linear(text, width)
        self.project_cls = nn.ModuleList(nn.Linear(width, width) for _ in images)
        self.to_text = nn.ModuleList(_Attention(width, heads, False) for _ in images)  # V → T: queries of the image
        self.to_image = nn.ModuleList(_Attention(width, heads, False) for _ in images)  # T → V: queries of the text
        self.queries = nn.Parameter(torch.randn(len(images), 2, 1, width))
        self.pool: Any = nn.ModuleList(nn.ModuleList(_Attention(width, heads, False) for _ in range(2)) for _ in images)
        self.iterations = nn.ModuleList(_Attention(width, heads, True) for _ in range(iterations))
        self.classify = nn.Linear(6 * width, CLASSES)
        for module in (*self.project, self.project_text, *self.project_cls, self.classify):
            if isinstance(module, nn.Linear):  # as the authors' training begins
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, image1: Tensor, image2: Tensor, text: Tensor, seen: Tensor) -> Tensor:
        """The logits of n answers to one image each.

        Args:
            image1: (n, m₁, C₁), the last layer's features, [CLS] first.
            image2: (n, m₂, C₂), of the layer before.
            text: (n, T, D) of the answers.
            seen: (n, T), False on padding.

        Returns:
            (n, 4).
        """
        words, hidden = self.project_text(text), ~seen
        tokens = []
        for layer, image in enumerate((image1, image2)):
            places = self.project[layer](image)
            from_text = self.to_image[layer](words, places)  # (n, T, D): visual features that fit the answer
            from_image = self.to_text[layer](places, words, hidden)  # (n, m, D): textual features that fit the image
            query = self.queries[layer].expand(-1, image.shape[0], -1).unsqueeze(2)  # (2, n, 1, D)
            tokens += [
                self.project_cls[layer](places[:, :1]),
                self.pool[layer][0](query[0], from_text, hidden),
                self.pool[layer][1](query[1], from_image),
            ]
        fused = torch.cat(tokens, dim=1)
        for iteration in self.iterations:
            fused = iteration(fused, fused)
        return self.classify(fused.flatten(1))


def with_mean(features: Tensor) -> Tensor:
    """(B, C, h, w) → tokens (B, 1 + h·w, C), their mean in the place of a [CLS].

    Args:
        features: (B, C, h, w).

    Returns:
        (B, 1 + h·w, C).
    """
    places = features.flatten(2).transpose(1, 2)
    return torch.cat([places.mean(dim=1, keepdim=True), places], dim=1)


# ------------------------------------------------------------------------------------------------------- the encoders


class SmallEncoders(nn.Module):
    """A MobileNetV2 that knows forgeries, seen at its last two stages; texts are read from outside.

    Args:
        size: Side of the pictures, a multiple of 32; the weights of `runs/compact` know 192.
        text: Width of the states that texts are read to (MiniLM's 384).
        unfreeze: How many of the last two stages learn.
    """

    kind = "small"

    def __init__(self, size: int = 192, text: int = 384, unfreeze: int = 2):
        super().__init__()
        if size % 32 or size < 32 or unfreeze not in (0, 1, 2):
            raise InputError(
                f"SmallEncoders: expected a size that 32 divides and 0 to 2 stages, got {size} and {unfreeze}"
            )
        self.config = {"size": size, "text": text, "unfreeze": unfreeze}
        whole: Any = Compact(noise=True)
        self.conv_stem: Any = whole.backbone.conv_stem
        self.bn1: Any = whole.backbone.bn1
        self.noise: Any = whole.noise
        self.blocks: Any = whole.backbone.blocks
        self.images, self.text, self.size, self.unfreeze = (320, 160), text, size, unfreeze
        self.requires_grad_(False)
        for stage in self.blocks[len(self.blocks) - unfreeze :] if unfreeze else ():
            stage.requires_grad_(True)

    def start_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over the eyes of a trained compact network (`compact.read_weights`).

        Args:
            tensors: Of a trained compact network, by `compact.read_weights`.

        Raises:
            WeightsError: They are of another network.
        """
        own = self.state_dict()
        given = {name.removeprefix("backbone."): value for name, value in tensors.items()}
        lacking = [name for name, value in own.items() if name not in given or given[name].shape != value.shape]
        if lacking:
            raise WeightsError(
                f"expected the weights of a compact network with a noise branch; {len(lacking)} tensors are missing or "
                f"of another shape, among them {lacking[0]}. Name {SHIPPED}."
            )
        self.load_state_dict({name: given[name].to(value.dtype) for name, value in own.items()})

    def train(self, mode: bool = True) -> SmallEncoders:
        """As torch's; normalisation keeps its statistics.

        Args:
            mode: True to train, False to evaluate.
        """
        super().train(mode)
        _norm.keep_statistics(self)
        return self

    def frozen(self, pixels: Tensor) -> Tensor:
        """What never learns: RGB (B, 3, S, S) in 0..255 → (B, 96, S/16, S/16), to be computed once a picture.

        Args:
            pixels: RGB (B, 3, S, S) in 0..255.

        Returns:
            (B, 96, S/16, S/16).
        """
        _pixels.check(pixels, self.size)
        x = pixels / 128.0 - 1.0
        y = self.bn1(self.conv_stem(x)) + self.noise(x)
        for stage in self.blocks[:5]:
            y = stage(y)
        return y

    def seen(self, frozen: Tensor) -> tuple[Tensor, Tensor]:
        """The rest: (B, 96, h, w) → tokens of the last stage (B, 1 + m, 320) and of the one before (B, 1 + m, 160).

        Args:
            frozen: What `frozen` gave.

        Returns:
            The tokens of the last stage, and of the one before.
        """
        before = self.blocks[5](frozen)
        return with_mean(self.blocks[6](before)), with_mean(before)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels to the tokens of both stages.

        Args:
            pixels: RGB (B, 3, S, S) in 0..255.

        Returns:
            The tokens of the last stage, and of the one before.
        """
        return self.seen(self.frozen(pixels))

    def read(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Refused: texts are read from outside (`models/minilm.states`).

        Args:
            texts: The answers.

        Returns:
            Nothing: it always raises.
        """
        raise InputError("SmallEncoders: expected texts as states of an encoder; read them with models/minilm.states")


class PublishedEncoders(nn.Module):
    """The paper's: T5-base's encoder, frozen, and CLIP ViT-L/14-336, of which the last two layers learn.

    Args:
        image, text, tokenizer: transformers' CLIPVisionModel, T5EncoderModel and a tokenizer of it.
        unfreeze: How many of CLIP's last layers learn.
        names: Hub names or folders, where `of_hub` loaded them.
    """

    kind = "published"

    def __init__(self, image: Any, text: Any, tokenizer: Any, unfreeze: int = 2, names: tuple[str, str] = ("", "")):
        super().__init__()
        self.image_encoder, self.text_encoder, self.tokenizer = image, text, tokenizer
        self.size = int(image.config.image_size)
        self.images, self.text = (int(image.config.hidden_size),) * 2, int(text.config.d_model)
        self.config = {"image_model": names[0], "text_model": names[1], "unfreeze": unfreeze}
        self.unfreeze = unfreeze
        self.requires_grad_(False)
        layers = image.vision_model.encoder.layers if hasattr(image, "vision_model") else image.encoder.layers
        if not 0 <= unfreeze <= len(layers):
            raise InputError(f"PublishedEncoders: expected 0 to {len(layers)} layers that learn, got {unfreeze}")
        for layer in layers[len(layers) - unfreeze :] if unfreeze else ():
            layer.requires_grad_(True)
        mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's own
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    @classmethod
    def of_hub(
        cls, image_model: str = IMAGE_MODEL, text_model: str = TEXT_MODEL, unfreeze: int = 2, *, fetch: bool = True
    ) -> PublishedEncoders:
        """From the hub, or folders; safetensors only.

        Args:
            image_model: Hub name or folder of a CLIP.
            text_model: Hub name or folder of a T5.
            unfreeze: So many last layers of the image's encoder learn.
            fetch: Whether the hub may be asked; False where a file named the models and no user did.

        Raises:
            WeightsError: They cannot be had.
            MissingExtra: transformers is not installed.
        """
        try:
            from transformers import AutoTokenizer, CLIPVisionModel, T5EncoderModel
        except ImportError as error:
            raise MissingExtra(
                "MIDS's published encoders need: pip install '.[vlm]', from a clone of the repository"
            ) from error
        seeing, reading = (_hub.whole(name, None, fetch) for name in (image_model, text_model))
        mend = f"Name a CLIP and a T5, such as {IMAGE_MODEL} and {TEXT_MODEL}, or folders of safetensors."
        image = _hub.loaded(CLIPVisionModel, seeing, f"The CLIP '{image_model}'", mend, dtype=torch.float32)
        text = _hub.loaded(T5EncoderModel, reading, f"The T5 '{text_model}'", mend, dtype=torch.float32)
        tokenizer = _hub.part(AutoTokenizer, reading, f"The T5 '{text_model}'", mend)
        return cls(image, text, tokenizer, unfreeze, (image_model, text_model))

    @classmethod
    def blank(cls, image: Any, text: Any, unfreeze: int = 2) -> PublishedEncoders:
        """Their shapes alone, by the settings of a whole CLIP and a whole T5; make it on torch's meta device.

        Args:
            image: Settings of the image's encoder, as transformers has them.
            text: Settings of the text's encoder.
            unfreeze: So many last layers of the image's encoder learn.

        Raises:
            MissingExtra: transformers is not installed.
        """
        try:
            from transformers import CLIPVisionModel, T5EncoderModel
        except ImportError as error:
            raise MissingExtra(
                "MIDS's published encoders need: pip install '.[vlm]', from a clone of the repository"
            ) from error
        return cls(CLIPVisionModel(image.vision_config), T5EncoderModel(text), None, unfreeze)

    def train(self, mode: bool = True) -> PublishedEncoders:
        """As torch's; the encoder of texts stays in evaluation mode.

        Args:
            mode: True to train, False to evaluate.
        """
        super().train(mode)
        self.text_encoder.eval()
        return self

    def frozen(self, pixels: Tensor) -> Tensor:
        """Normalised pixels: nothing before the last layers is kept, for 577 × 1,024 numbers a picture are many.

        Args:
            pixels: RGB (B, 3, S, S) in 0..255.

        Returns:
            (B, 3, S, S), normalised as CLIP's are.
        """
        _pixels.check(pixels, self.size)
        return (pixels / 255 - self.mean) / self.std

    def seen(self, frozen: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states of the last layer and of the one before, (B, 1 + m, C), [CLS] first.

        Args:
            frozen: What `frozen` gave.

        Returns:
            The states of the last layer, and of the one before.
        """
        states = self.image_encoder(pixel_values=frozen, output_hidden_states=True).hidden_states
        return states[-1], states[-2]

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels to the tokens of both layers.

        Args:
            pixels: RGB (B, 3, S, S) in 0..255.

        Returns:
            The states of the last layer, and of the one before.
        """
        return self.seen(self.frozen(pixels))

    def read(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """States of answers (n, T, D), and which are no padding.

        Args:
            texts: The answers.

        Returns:
            States (n, T, D), and (n, T), False on padding.
        """
        tokens = self.tokenizer(
            list(texts), return_tensors="pt", padding="longest", max_length=_LONGEST, truncation=True
        ).to(self.mean.device)
        with torch.no_grad():
            states = self.text_encoder(**tokens).last_hidden_state
        return states, tokens["attention_mask"].bool()


# ------------------------------------------------------------------------------------------------------------ the whole


class MIDS(nn.Module):
    """Encoders and fusion.

    Args:
        encoders: SmallEncoders, PublishedEncoders, or anything with their attributes.
        width: Of the fusion; published is the text's, 768.
        heads: Of its attentions.
        iterations: Of self-attention.
        masked: Whether results are masked before it reads an answer: what uses it has to know.
    """

    def __init__(
        self,
        encoders: nn.Module,
        width: int | None = None,
        heads: int = HEADS,
        iterations: int = ITERATIONS,
        masked: bool = True,
    ):
        super().__init__()
        self.encoders, self.masked = encoders, masked
        self.fusion = Fusion(encoders.images, encoders.text, width or encoders.text, heads, iterations)

    def forward(self, pixels: Tensor, text: Tensor, seen: Tensor, frozen: bool = False) -> Tensor:
        """Logits of N answers to each of B pictures.

        Args:
            pixels: RGB (B, 3, S, S) in 0..255; with `frozen`, what `encoders.frozen` gave.
            text: (B, N, T, D) states of the answers.
            seen: (B, N, T), False on padding.
            frozen: See pixels.

        Returns:
            (B, N, 4).
        """
        count = text.shape[1]
        image1, image2 = self.encoders.seen(pixels) if frozen else self.encoders(pixels)
        each = [image.repeat_interleave(count, dim=0) for image in (image1, image2)]
        return self.fusion(*each, text.flatten(0, 1), seen.flatten(0, 1)).unflatten(0, (-1, count))

    def save(self, path: Path, half: bool = False, **facts: Any) -> str:
        """Write the weights that are not a published encoder's frozen ones, and their card; returns the SHA-256.

        Args:
            path: Ends in .safetensors.
            half: Keep numbers in half precision, for the disk.
            **facts: Further keys of the card, as JSON has them.
        """
        kept = {name: value for name, value in self.state_dict().items() if self._travels(name)}
        if half:
            kept = {name: value.half() if value.is_floating_point() else value for name, value in kept.items()}
        card = {
            "encoders": {"kind": self.encoders.kind, **self.encoders.config}, "fusion": self.fusion.config,
            "masked": self.masked, **facts,
        }  # fmt: skip
        return _saved.write(path, "mids", kept, card)

    def _travels(self, name: str) -> bool:
        if self.encoders.kind != "published" or not name.startswith("encoders."):
            return True
        parameter = dict(self.named_parameters()).get(name)
        return parameter is not None and parameter.requires_grad

    @classmethod
    def load(cls, path: Path) -> tuple[MIDS, dict[str, Any]]:
        """A saved MIDS in evaluation mode, and its card.

        Args:
            path: Of the .safetensors; its card lies beside it.

        Returns:
            The network, and its card.

        Raises:
            WeightsError: A file is missing, damaged or of another kind.
        """
        card, tensors = _saved.read(path, "mids", ("encoders", "fusion", "masked"))
        options = dict(card["encoders"])
        kind = options.pop("kind", None)
        with _saved.settings_of(path):
            if kind == "small":
                encoders: nn.Module = SmallEncoders(**options)
            elif kind == "published":
                encoders = PublishedEncoders.of_hub(**options, fetch=False)
            else:
                raise UnknownName("encoders of MIDS", str(kind), ("small", "published"))
            fusion = card["fusion"]
            model = cls(encoders, fusion["width"], fusion["heads"], fusion["iterations"], bool(card["masked"]))
        own = {name: value for name, value in model.state_dict().items() if model._travels(name)}
        _saved.fits(own, tensors, path)
        model.load_state_dict({name: value.to(own[name].dtype) for name, value in tensors.items()}, strict=False)
        return model.eval(), card


def sized(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A crop at the size of the published image encoder, as CLIP's own processor makes it: bicubic.

    Args:
        picture: RGB uint8 (H, W, 3); the published one is of 224 px.
        size: Of the encoder, pixels.

    Returns:
        RGB uint8 (size, size, 3).
    """
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC))


class Judge:
    """A saved MIDS with published encoders, which reads answers by its own T5; else as `models/deciding.Decider`.

    Args:
        path: Of the .safetensors; its card lies beside it.
        device: As torch names it.

    Attributes:
        name: Of the file.
        sha256: Of the file.
        facts: Its card.

    Raises:
        WeightsError: A file is missing, damaged, or of small encoders, whose texts are read from outside.
    """

    def __init__(self, path: Path, device: str = "cpu"):
        self.model, card = MIDS.load(path)
        if card["encoders"]["kind"] != "published":
            raise WeightsError(
                f"'{path}' is a judge with small encoders, which does not read by itself: expected what train mids "
                "exported with --onnx, or a judge with published encoders."
            )
        self.model.to(device)
        self.device = torch.device(device)
        self.facts: Mapping[str, Any] = card
        self.name, self.sha256 = path.name, str(card["sha256"])

    @torch.inference_mode()
    def logits(self, crop: NDArray[np.uint8], texts: Sequence[str]) -> NDArray[np.float64]:
        """(n, 4) for n answers about one crop.

        Args:
            crop: RGB uint8 (S, S, 3), as the language model sees it.
            texts: The answers, masked where `facts` says so.

        Returns:
            (n, 4).
        """
        states, seen = self.model.encoders.read(texts)
        shown = sized(crop, int(self.model.encoders.size))
        pixels = torch.from_numpy(shown.copy()).permute(2, 0, 1)[None].to(self.device).float()
        return self.model(pixels, states[None], seen[None])[0].double().cpu().numpy()


# ---------------------------------------------------------------------------------------------------------- to ONNX


class _Whole(nn.Module):
    """Crops and texts in, logits out: one picture, n answers."""

    def __init__(self, model: MIDS):
        super().__init__()
        self.model = model

    def forward(self, crop: Tensor, text: Tensor, seen: Tensor) -> Tensor:
        image1, image2 = self.model.encoders(crop.permute(0, 3, 1, 2).float())
        n = text.shape[0]
        images = [image.expand(n, -1, -1) for image in (image1, image2)]
        return self.model.fusion(*images, text, seen)


def export(module: MIDS | Fusion, onnx: Path, facts: Mapping[str, Any], places: tuple[int, int] = (37, 37)) -> float:
    """Write MIDS, or its fusion alone, as ONNX for `models/deciding.Decider`.

    Args:
        module: MIDS takes `crop` uint8 (1, S, S, 3), `text` float32 (n, T, D) and `seen` bool (n, T). Fusion takes
            `image1` and `image2` float32 (n, m, C) instead of the crop.
        onnx: The file.
        facts: What stands in its metadata: how features are made, what was measured.
        places: m of the two images, for Fusion.

    Returns:
        The largest difference to torch on random inputs.
    """
    import onnxruntime

    module = module.eval()
    fusion = module.fusion if isinstance(module, MIDS) else module
    texts, tokens = 3, 9
    text, seen = torch.randn(texts, tokens, fusion.config["text"]), torch.ones(texts, tokens, dtype=torch.bool)
    seen[1, 5:] = False
    n, length = torch.export.Dim("n", min=1, max=64), torch.export.Dim("length", min=2, max=2048)
    if isinstance(module, MIDS):
        size = module.encoders.size
        deployed: nn.Module = _Whole(module).eval()
        inputs: tuple[Tensor, ...] = (torch.randint(0, 256, (1, size, size, 3), dtype=torch.uint8), text, seen)
        names = ["crop", "text", "seen"]
        shapes: dict[str, Any] = {"crop": None}
    else:
        deployed = module
        images = [torch.randn(texts, m, c) for m, c in zip(places, fusion.config["images"], strict=True)]
        inputs, names = (*images, text, seen), ["image1", "image2", "text", "seen"]
        shapes = {"image1": {0: n}, "image2": {0: n}}
    with torch.no_grad():  # a fifth sooner
        program = torch.onnx.export(
            deployed, inputs, dynamo=True, input_names=names, output_names=["logits"], verbose=False,
            dynamic_shapes=shapes | {"text": {0: n, 1: length}, "seen": {0: n, 1: length}},
        )  # fmt: skip
    graph = program.model_proto
    for node in (*graph.graph.node, *graph.graph.value_info):  # the exporter notes where this code lay on disk
        del node.metadata_props[:]
        node.doc_string = ""
    graph.metadata_props.add(key="facts", value=json.dumps(dict(facts)))
    content = graph.SerializeToString()
    write_whole(onnx, content)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    again = session.run(["logits"], {name: value.numpy() for name, value in zip(names, inputs, strict=True)})[0]
    with torch.no_grad():
        first = deployed(*inputs)
    return float(np.abs(first.numpy() - again).max())
