"""A vision-language model that is shown what an expert saw: embeddings of ours in the place of placeholder tokens.

The prompt says "<image> <forgery><forgery>… Is this face real?". Wherever the placeholder `<forgery>` stands, the
language model receives not the token's own embedding but one that an *expert* computed from the same picture. This is
KFD's forgery prompt E_forgery beside E_visual (section 3.2 of its paper); region prompts and MARE's forgery traces take
the same road. It works for Qwen2.5-VL, Qwen3-VL, LLaVA, LLaVA-NeXT, InternVL and SmolVLM of transformers, and for a
language model of text alone behind an image encoder (`models/panda`):

    model, processor = plain("Qwen/Qwen2.5-VL-3B-Instruct")     a model without an expert
    attach(model, MyExpert(…), processor)                       from here on it has one, in place
    text = f"{placeholders(model)} Is this face real?"          the n tokens to write into a prompt
    answers(model, processor, [picture], ["Is it real?"])       prompts written, replies read
    save(model, processor, "out", base="Qwen/Qwen2.5-VL-3B-Instruct");  model, processor = load("out")

The replacement happens inside the backbone, because TRL's trainers skip the outer forward, and from the backbone's own
`pixel_values`, because they drop tensors they do not know. It happens once per prompt, when the keys and values of the
prompt are computed. A prompt without placeholders takes the wrapped model's own path, untouched.

Three limits. One thread at a time may use a model (Qwen's backbones keep state between steps too). GRPO with a KL term
(beta > 0) under TRL alone needs LoRA: for a fully trained policy TRL loads the reference anew, and that one has no
expert; `train/grpo` keeps a copy. Training on several devices with batches that may lack placeholders needs
`ddp_find_unused_parameters`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import json
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from facewitness.models import _hub, _saved, _torchvision  # noqa: F401  (transformers' image processors import torchvision)

from peft import LoraConfig, PeftModel  # isort: skip
from safetensors import SafetensorError  # isort: skip
from safetensors.torch import load_file, save_file  # isort: skip
from tokenizers import AddedToken  # isort: skip
from transformers import (  # isort: skip
    AutoConfig, AutoModelForImageTextToText, AutoProcessor, LogitsProcessor, LogitsProcessorList,
)  # fmt: skip
from transformers.models.internvl.modeling_internvl import InternVLModel  # isort: skip
from transformers.models.llava.modeling_llava import LlavaModel  # isort: skip
from transformers.models.llava_next.modeling_llava_next import LlavaNextModel  # isort: skip
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLModel  # isort: skip
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLModel  # isort: skip
from transformers.models.smolvlm.modeling_smolvlm import SmolVLMModel  # isort: skip
from facewitness.models.panda import PandaModel  # isort: skip

from facewitness.errors import FacewitnessError, InputError, UnknownName, WeightsError
from facewitness.files import read_json, write_whole

_CARD = "prompted.json"
_EXPERT = "expert.safetensors"
_BASE = "base"
_ADAPTER = "adapter"
_GRID = ("image_grid_thw", "image_sizes")  # what tells a family's pictures apart, beside the prompt


@runtime_checkable
class Expert(Protocol):
    """What `attach` takes: an nn.Module with these three.

    `n_tokens` embeddings come out for each picture, as wide as the language model; `options` are the keyword arguments
    of the constructor, of types JSON has, from which `load` makes the expert again. `forward` gets the family's
    `pixel_values` in the dtype of the expert's parameters, and what `pictures` needs to turn them back into pictures:

        def forward(self, pixel_values, **grid):             -> (number of pictures, n_tokens, hidden size)
            return self.project(self.network(pictures(pixel_values, 224, **grid)))

    PEFT may wrap any submodule: call them, never index into them.
    """

    n_tokens: int
    options: dict[str, Any]

    def forward(self, pixel_values: Tensor, **grid: Any) -> Tensor:
        """What the expert sees in pictures, as embeddings of the language model.

        Args:
            pixel_values: Pictures as the family's processor gives them.
            **grid: What places the patches of `pixel_values`, where the family needs it.

        Returns:
            (pictures, n_tokens, hidden size).
        """


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a backbone knows about its placeholder, and how its processor normalised the pictures."""

    token: str
    token_id: int
    n_tokens: int
    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]


def _prompted(base: Any) -> Any:
    """The backbone class `base`, with an expert's embeddings in the place of placeholder tokens."""
    forward_names = tuple(inspect.signature(base.forward).parameters)[1:]
    feature_names = tuple(inspect.signature(base.get_image_features).parameters)[1:]

    class Prompted(base):
        prompt: Prompt

        @functools.wraps(base.get_image_features)  # generate reads the signature
        def get_image_features(self, *args: Any, **kwargs: Any) -> Any:
            outputs: Any = super().get_image_features(*args, **kwargs)
            if hasattr(outputs, "pooler_output"):
                # `generate` encodes the pictures first and hands only the features on, repeated for each beam;
                # the expert will want the pixels, and how often they were repeated.
                outputs.pixels = dict(zip(feature_names, args, strict=False)) | kwargs
                outputs.encoded = len(outputs.pooler_output)
            return outputs

        @functools.wraps(base.forward)  # every argument keeps its name
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            given = dict(zip(forward_names, args, strict=False)) | kwargs
            ids = given.get("input_ids")
            mask = None if ids is None else ids == self.prompt.token_id
            if mask is None or not mask.any():
                return super().forward(**given)
            features = (given.get("mm_encoder_outputs") or {}).get("image")
            if hasattr(features, "pixels"):
                pixels, copies = features.pixels, len(features.pooler_output) // features.encoded
            elif given.get("pixel_values") is not None:
                pixels, copies = given, 1
            elif given.get("past_key_values") is not None and ids.shape[1] == 1:
                return super().forward(**given)  # the model itself said the token, which only `unspoken` prevents
            else:
                raise InputError(
                    f"The prompt has the placeholder {self.prompt.token} but no picture came with it. "
                    "Give the picture, or leave the placeholder out."
                )
            values = _evidence(self, ids, mask, pixels, copies)

            def place(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
                embeds = kwargs["inputs_embeds"]
                put = embeds.masked_scatter(mask[..., None].to(embeds.device), values.to(embeds))
                return args, {**kwargs, "inputs_embeds": put}

            # A hook on the language model, not embeddings handed to the backbone: the backbones need the ids to find
            # their images and positions, and refuse ids and embeddings together.
            hook = self.language_model.register_forward_pre_hook(place, with_kwargs=True)
            try:
                return super().forward(**given)
            finally:
                hook.remove()

    Prompted.__name__ = Prompted.__qualname__ = f"Prompted{base.__name__}"
    Prompted.__doc__ = f"{base.__name__} with an expert's embeddings in the place of placeholder tokens."
    return Prompted


# By name in this module, so that models can be pickled to other processes.
PromptedQwen2_5_VLModel = _prompted(Qwen2_5_VLModel)
PromptedQwen3VLModel = _prompted(Qwen3VLModel)
PromptedLlavaModel = _prompted(LlavaModel)
PromptedLlavaNextModel = _prompted(LlavaNextModel)
PromptedInternVLModel = _prompted(InternVLModel)
PromptedSmolVLMModel = _prompted(SmolVLMModel)
PromptedSmolVLMModel.language_model = property(lambda self: self.text_model)  # as the others call it
PromptedPandaModel = _prompted(PandaModel)

_BACKBONES: dict[type, type] = {
    Qwen2_5_VLModel: PromptedQwen2_5_VLModel,
    Qwen3VLModel: PromptedQwen3VLModel,
    LlavaModel: PromptedLlavaModel,
    LlavaNextModel: PromptedLlavaNextModel,
    InternVLModel: PromptedInternVLModel,
    SmolVLMModel: PromptedSmolVLMModel,
    PandaModel: PromptedPandaModel,
}
# transformers' model types, and that of models/panda: a language model of text alone behind an image encoder
FAMILIES: tuple[str, ...] = (
    "qwen2_5_vl", "qwen3_vl", "llava", "llava_next", "internvl", "smolvlm", "panda_gpt",
)  # fmt: skip


def _evidence(backbone: Any, ids: Tensor, mask: Tensor, pixels: dict[str, Any], copies: int) -> Tensor:
    """The expert's embeddings for every placeholder of the batch, (M, hidden), in reading order.

    ids, mask   (B, L) tokens, and where the placeholders are
    copies      how many rows in sequence share their pictures (beams)
    A block of placeholders belongs to the picture before it, or to the row's first where none is before it.
    """
    prompt = backbone.prompt
    n, hidden = prompt.n_tokens, backbone.config.get_text_config().hidden_size
    image = ids == backbone.config.image_token_id
    begins = image & ~torch.cat([torch.zeros_like(image[:, :1]), image[:, :-1]], dim=1)
    begun = begins.cumsum(1)
    per_row = begun[::copies, -1]
    before = (per_row.cumsum(0) - per_row).repeat_interleave(copies)
    owner = before[:, None] + begun.clamp(min=1) - 1  # (B, L) index of the picture a token belongs to

    counts = mask.sum(1)
    if (counts % n).any() or (_spans(mask, n) != n).any():
        raise InputError(
            f"Expected blocks of {n} placeholders {prompt.token} in a row, got {counts.tolist()} in the prompts of the "
            "batch. Write them with placeholders(model), and see that no limit on length cuts the prompt."
        )
    if ((counts > 0) & (begun[:, -1] == 0)).any():
        raise InputError(
            f"A prompt of the batch has the placeholder {prompt.token} but no picture. "
            "Give it one, or leave the placeholder out."
        )
    pixel_values = pixels["pixel_values"]
    grid = {name: pixels[name] for name in _GRID if pixels.get(name) is not None}
    total = int(per_row.sum())
    if not grid and pixel_values.ndim == 5:  # SmolVLM pads rows of fewer pictures with empty ones
        every = pixel_values.flatten(0, 1)
        pixel_values = every[every.flatten(1).any(1)]
        grid["tiles"] = torch.ones(len(pixel_values), dtype=torch.long, device=pixel_values.device)
    elif not grid:  # InternVL says nowhere how many tiles a picture has; its tokens do
        tokens = torch.bincount(owner[::copies][image[::copies]], minlength=total)
        grid["tiles"] = tokens // backbone.config.image_seq_length
    came = len(grid["tiles"]) if "tiles" in grid else len(next(iter(grid.values())))
    if came != total:
        raise InputError(
            f"Expected as many pictures in the prompts as were given, got {total} and {came}. "
            "Pictures that follow each other directly look like one: put a word between them."
        )
    parameter = next(backbone.expert.parameters(), pixel_values)
    embeds = backbone.expert(
        pixel_values.to(parameter), image_mean=prompt.image_mean, image_std=prompt.image_std, **grid
    )
    if embeds.shape != (total, n, hidden):
        raise InputError(
            f"The expert's embeddings: expected {(total, n, hidden)} for pictures, tokens and the language model's "
            f"width, got {tuple(embeds.shape)}."
        )
    slot = (mask.cumsum(1) - 1) % n
    return embeds[owner[mask].to(embeds.device), slot[mask].to(embeds.device)]


def _spans(mask: Tensor, n: int) -> Tensor:
    """How far each block of n placeholders reaches; n where they stand in a row. The counts must be multiples of n."""
    places = mask.nonzero()[:, 1].view(-1, n)
    return places[:, -1] - places[:, 0] + 1


def exactly(x: Tensor) -> contextlib.AbstractContextManager[Any]:
    """No autocast around what is computed of x: evidence is not to be rounded.

    Args:
        x: Any tensor on the device in question.
    """
    return contextlib.nullcontext() if x.device.type == "meta" else torch.autocast(x.device.type, enabled=False)


def pictures(
    pixel_values: Tensor,
    size: int,
    *,
    image_mean: tuple[float, ...],
    image_std: tuple[float, ...],
    image_grid_thw: Tensor | None = None,
    image_sizes: Tensor | None = None,
    tiles: Tensor | None = None,
    merge: int = 2,
) -> Tensor:
    """The whole pictures behind a family's `pixel_values`: RGB (N, 3, size, size) in [0, 1], differentiable.

    Qwen      (all patches, 3 · 2 · P²) in groups of merge × merge; put together again by image_grid_thw
    LLaVA     (N, parts, 3, S, S) with image_sizes; the first part is the whole picture
    InternVL  (all tiles, 3, S, S); of each picture's tiles the last is the whole picture
    Proportions are lost: the picture is stretched to a square, as most encoders want it.

    Args:
        pixel_values: Pictures as the family's processor gives them.
        size: Side of the pictures that are wanted.
        image_mean: By which the family normalised, a channel.
        image_std: By which the family normalised, a channel.
        image_grid_thw: Of Qwen: (pictures, 3), patches in time, height and width.
        image_sizes: Of LLaVA: (N, 2), heights and widths.
        tiles: Of InternVL: how many tiles each picture has.
        merge: Side of a group of patches.

    Returns:
        (N, 3, size, size) in [0, 1].
    """
    if image_grid_thw is not None:
        whole = list(_unpatched(pixel_values, image_grid_thw, merge))
    elif image_sizes is not None:
        whole = list(pixel_values[:, :1] if pixel_values.ndim == 5 else pixel_values[:, None])
    elif tiles is not None:
        whole = list(pixel_values[tiles.cumsum(0).to(pixel_values.device) - 1][:, None])
    else:
        raise InputError("Expected image_grid_thw (Qwen), image_sizes (LLaVA) or tiles (InternVL), got none of them.")
    stretch = functools.partial(F.interpolate, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
    square = torch.cat([stretch(x.float()) for x in whole])  # in single precision: half has no antialiasing on a CPU
    mean, std = (square.new_tensor(v).view(1, 3, 1, 1) for v in (image_mean, image_std))
    return (square * std + mean).clamp(0.0, 1.0).to(pixel_values.dtype)


def _unpatched(pixel_values: Tensor, image_grid_thw: Tensor, merge: int) -> Iterator[Tensor]:
    """Each picture as (1, 3, H, W), from Qwen's patches."""
    side = round((pixel_values.shape[1] / 6) ** 0.5)  # 3 colours, and a photo is two equal frames
    grids = image_grid_thw.tolist()
    for patches, (t, h, w) in zip(pixel_values.split([t * h * w for t, h, w in grids]), grids, strict=True):
        x = patches.view(t, h // merge, w // merge, merge, merge, 3, 2, side, side)[:1, ..., 0, :, :]
        yield x.permute(0, 5, 1, 3, 6, 2, 4, 7).reshape(1, 3, h * side, w * side)


def attach(model: Any, expert: Expert, processor: Any, token: str = "<forgery>") -> None:
    """Give a model of one of the families an expert, in place.

    The tokenizer of `processor` learns the placeholder `token`; the embeddings grow where they have no spare row for it
    (a row of zeros, which is never read). Generation will not produce the placeholder, nor the tokens of images. Do
    this before PEFT wraps the model.

    Args:
        model: Of one of the families, with or without an expert.
        expert: Gives the embeddings.
        processor: The model's own.
        token: The placeholder.

    Raises:
        UnknownName: For another family.
        InputError: For what does not fit.
    """
    backbone = getattr(model, "base_model", None)
    if isinstance(model, PeftModel) or type(backbone) in _BACKBONES.values():
        raise InputError(
            "Expected a plain model, got one that has an expert or is wrapped by PEFT. Attach first, then wrap."
        )
    if type(backbone) not in _BACKBONES:
        kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
        raise UnknownName("family of vision-language models", kind, FAMILIES)
    if not isinstance(expert, nn.Module) or not isinstance(expert, Expert) or expert.n_tokens < 1:
        raise InputError(
            "The expert: expected an nn.Module with `n_tokens` of at least 1 and its `options`, got "
            f"{type(expert).__name__}. See models.prompted_vlm.Expert."
        )
    if "forward" in vars(backbone):  # accelerate's hook holds the old forward, and the expert would never be asked
        raise InputError(
            f"The backbone {type(backbone).__name__} has a forward of its own. Expected a model whose device_map, if "
            "any, does not name the backbone as a whole: use device_map='auto' or a single device."
        )
    image_processor = getattr(processor, "image_processor", None)
    if image_processor is None:
        raise InputError(
            f"The processor: expected one for text and images, got {type(processor).__name__}. Where AutoProcessor "
            "returns a tokenizer, torchvision is missing."
        )
    if getattr(image_processor, "do_image_splitting", False):
        image_processor.do_image_splitting = False  # a crop of a face is one picture, not a page of tiles
    tokenizer = processor.tokenizer
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False)], special_tokens=True)
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        with torch.no_grad():  # zeros, so that a saved model finds the same rows again when it is attached anew
            for embeddings in (model.get_input_embeddings(), model.get_output_embeddings()):
                embeddings.weight[rows:] = 0.0
    number = tokenizer.convert_tokens_to_ids(token)
    written = tokenizer(token * expert.n_tokens, add_special_tokens=False)["input_ids"]
    if written != [number] * expert.n_tokens:
        raise InputError(
            f"The tokenizer does not keep the placeholder {token} as one token: expected {expert.n_tokens} times its "
            f"number {number}, got {written[:8]}. Take the tokenizer that was published with the language model."
        )
    mean, std = tuple(image_processor.image_mean), tuple(image_processor.image_std)
    mount(model, expert.to(model.device), Prompt(token, number, expert.n_tokens, mean, std))


def mount(model: Any, expert: Any, prompt: Prompt) -> None:
    """The part of `attach` that needs no processor: put the expert into the backbone.

    Args:
        model: Of one of the families, with or without an expert.
        expert: Gives the embeddings.
        prompt: What stands where in the prompt.

    Raises:
        InputError: The expert's embeddings are not as wide as the language model's.
    """
    backbone = model.base_model
    embedding, width = getattr(expert, "embedding", None), width_of(model)
    if embedding is not None and embedding != width:
        raise InputError(
            f"The detector and the language model do not fit: the expert speaks in embeddings of {embedding} numbers, "
            f"the language model reads {width}. Make the expert anew for this language model, with --detector."
        )
    backbone.__class__ = _BACKBONES[type(backbone)]
    backbone.expert = expert.train(model.training)
    backbone.prompt = prompt
    model.generation_config.suppress_tokens = unspoken(model)
    model._weight_conversions = []  # what `save` writes has the names the model has; see `own_names`


@contextlib.contextmanager
def own_names(model: Any) -> Iterator[None]:
    """While it lasts, what is written of the model has the names that it has itself; for checkpoints of a training.

    transformers 5 writes some families under the names of older checkpoints, from which its Trainer then cannot resume:
    it warns of missing keys and goes on with other weights. An empty list of conversions prevents that.

    Args:
        model: Of one of the families, with or without an expert.
    """
    inner = _inner(model)
    before = getattr(inner, "_weight_conversions", None)
    inner._weight_conversions = []
    try:
        yield
    finally:
        inner._weight_conversions = before


def expert_of(model: Any) -> Any:
    """The expert of a model, wrapped by PEFT or not; None if it has none.

    Args:
        model: Of one of the families, with or without an expert.
    """
    return getattr(_inner(model).base_model, "expert", None)


def width_of(model: Any) -> int:
    """The width of a model's word embeddings, C_emb.

    Args:
        model: Of one of the families, with or without an expert.
    """
    return int(model.config.get_text_config().hidden_size)


def placeholders(model: Any) -> str:
    """The text to write into a prompt where the expert's embeddings belong: after the picture they are about.

    Args:
        model: Of one of the families, with or without an expert.
    """
    prompt = _inner(model).base_model.prompt
    return str(prompt.token * prompt.n_tokens)


def unspoken(model: Any) -> list[int]:
    """Token ids a reply must never contain: the placeholder and the tokens of images and videos.

    For TRL: `GRPOConfig(generation_kwargs={"suppress_tokens": unspoken(model)})`. `generate` needs no telling.

    Args:
        model: Of one of the families, with or without an expert.
    """
    inner = _inner(model)
    ids = {getattr(inner.config, name, None) for name in ("image_token_id", "video_token_id")}
    if (prompt := getattr(inner.base_model, "prompt", None)) is not None:
        ids.add(prompt.token_id)
    return sorted(ids - {None})


def language_lora(model: Any, rank: int = 16, alpha: int = 32, dropout: float = 0.05, **options: Any) -> LoraConfig:
    """LoRA on the language model's linear layers only, with the expert's trainable part trained and saved in full.

    Give it to a TRL trainer as `peft_config` or to `peft.get_peft_model`. Where the adapter is disabled the expert is
    the one that was attached, so a reference policy is the model before training.

    Args:
        model: Of one of the families, with or without an expert.
        rank: Of the adapters.
        alpha: Of the adapters, which are scaled by alpha / rank.
        dropout: Of the adapters.
        **options: For `LoraConfig`.
    """
    expert = expert_of(model)
    learned = [] if expert is None else list(_trainable("expert", expert))
    projector = _inner(model).config.model_type == "panda_gpt"  # it begins at random, and has to be learned too
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=r".*(language_model|text_model)\.layers\..*\.(q|k|v|o|gate|up|down)_proj",
        modules_to_save=[*learned, *(["multi_modal_projector"] if projector else [])] or None,
        task_type="CAUSAL_LM",
        **options,
    )


def _trainable(name: str, module: nn.Module) -> Iterator[str]:
    """Names of the largest submodules that are trained as a whole; PEFT would unfreeze all of what it is given."""
    flags = {p.requires_grad for p in module.parameters()}
    if flags == {True}:
        yield name
    elif True in flags:
        if any(p.requires_grad for p in module.parameters(recurse=False)):
            raise InputError(
                f"{name} has parameters of its own that are trained beside submodules that are frozen. "
                "Put them into a submodule, so that PEFT can save them."
            )
        for child, submodule in module.named_children():
            yield from _trainable(f"{name}.{child}", submodule)


def save(
    model: Any,
    processor: Any,
    folder: str | Path,
    base: str | None = None,
    revision: str | None = None,
    taught: Taught | None = None,
) -> None:
    """Write a model with its expert into `folder`, as safetensors and JSON, with the processor.

    prompted.json is written last: a folder without it is half a checkpoint.

    Args:
        model: Of one of the families, with or without an expert.
        processor: The model's own.
        folder: The folder.
        base: The hub name (or a folder) of the unchanged base model; without it, the full weights are written too. A
            model wrapped by PEFT needs it: its adapter is written, not the base. To write full weights of such a model,
            call its `merge_and_unload` first.
        revision: Of `base`.
        taught: How the model was taught to be asked, so that it is asked so.

    Raises:
        InputError: There is a model wrapped by PEFT and no `base`.
    """
    inner, folder = _inner(model), Path(folder)
    expert, prompt = expert_of(model), getattr(inner.base_model, "prompt", None)
    if expert is None or prompt is None:
        raise InputError("Expected a model with an expert, got a plain one. Save that with its own save_pretrained.")
    adapter = isinstance(model, PeftModel)
    if adapter and base is None:
        raise InputError(
            "Expected the hub name of the base model beside a LoRA adapter, got none. "
            "Name it with base=…, or merge the adapter first with model.merge_and_unload()."
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _CARD).unlink(missing_ok=True)
    # Under PEFT the adapter holds what training made of the expert; here stands the one it began with.
    state = {
        name.replace("original_module.", ""): tensor.detach().cpu().clone().contiguous()
        for name, tensor in expert.state_dict().items()
        if "modules_to_save." not in name
    }
    save_file(state, folder / _EXPERT)
    whole = getattr(expert, "original_module", expert)
    if hasattr(whole, "keep"):
        whole.keep(folder)
    if adapter:
        model.save_pretrained(folder / _ADAPTER, save_embedding_layers=False)
    elif base is None:
        weights = {k: v for k, v in inner.state_dict().items() if not k.startswith("model.expert.")}
        inner.save_pretrained(folder / _BASE, state_dict=weights)
    processor.save_pretrained(folder)
    maker = type(getattr(expert, "original_module", expert))
    card = {
        "format": 1,
        "base": base,
        "revision": revision,
        "adapter": adapter,
        "token": prompt.token,
        "quoted": taught is not None and taught.quoted,
        "turns": 1 if taught is None else taught.turns,
        "expert": {"class": f"{maker.__module__}:{maker.__qualname__}", "options": expert.options},
    }
    write_whole(folder / _CARD, json.dumps(card, indent=2).encode())


def load(
    folder: str | Path, *, expert_class: type | None = None, trainable: bool = False, **options: Any
) -> tuple[Any, Any]:
    """The model that `save` wrote, in evaluation mode, and its processor.

    Args:
        folder: The folder.
        expert_class: Needed where the expert is not one of facewitness: no other code is imported because a file says
            so.
        trainable: Go on training a LoRA adapter.
        **options: For the base's `from_pretrained`: dtype, device_map, attn_implementation …

    Returns:
        The model, and its processor.

    Raises:
        WeightsError: Where files are missing, broken or do not fit.
    """
    folder = Path(folder)
    try:
        card = read_json(folder / _CARD)
        base, revision, token = card["base"], card["revision"], card["token"]
        made_by, made_with, adapter = card["expert"]["class"], card["expert"]["options"], card["adapter"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"'{folder}': expected a folder that models.prompted_vlm.save wrote, with {_CARD} as its last file; it is "
            f"missing or not readable ({error}). Copy the whole folder again, or save it again."
        ) from error
    maker = expert_class or _expert_class(made_by)  # before anything else that the card names is looked for
    if not isinstance(made_with, dict):
        raise WeightsError(f"'{folder / _CARD}': expected the expert's options as a table, got {made_with!r}")
    _hub.harmless(folder, str(folder))
    model = _base_model(base or str((folder / _BASE).resolve()), revision, options, fetch=False)
    processor = processor_of(folder, str(folder), model.config)
    if token not in getattr(processor, "tokenizer", processor).get_vocab():
        raise WeightsError(
            f"'{folder}': its tokenizer does not know the placeholder {token} that {_CARD} names. Copy tokenizer.json "
            "from where the folder came, or save the model again."
        )
    try:
        tensors = load_file(folder / _EXPERT)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"'{folder / _EXPERT}': expected the weights of {made_by}, got a file that is missing, broken or of "
            f"another shape ({error}). Save the model again."
        ) from error
    _saved.sized(made_with, tensors, folder / _CARD)
    with _saved.settings_of(folder / _CARD):
        expert = maker(**made_with)
    try:
        # assign: the expert keeps the precision it was saved in, the widest where large kernels were stored in half
        widest = max((t.dtype for t in tensors.values() if t.is_floating_point()), key=lambda kind: kind.itemsize)
        tensors = {k: v.to(widest) if v.is_floating_point() else v for k, v in tensors.items()}
        expert.load_state_dict(tensors, assign=True)
    except (RuntimeError, ValueError) as error:
        raise WeightsError(
            f"'{folder / _EXPERT}': expected the weights of {made_by}, got none or those of another shape "
            f"({_hub.first(error)}). Save the model again."
        ) from error
    _hub.finite(expert, f"'{folder / _EXPERT}'")
    if hasattr(expert, "complete"):  # what is stored once, beside it
        expert.complete([folder, folder.resolve().parent])
    attach(model, expert, processor, token)
    if adapter:
        if not (folder / _ADAPTER / "adapter_model.safetensors").is_file():
            raise WeightsError(f"'{folder / _ADAPTER}' has no adapter_model.safetensors. Copy the whole folder again.")
        lora = _lora(folder / _ADAPTER / "adapter_config.json")
        with warnings.catch_warnings():  # what peft asks transformers on the way is told there to be out of date
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
            model = PeftModel.from_pretrained(model, folder / _ADAPTER, is_trainable=trainable, config=lora)
    return model.train(trainable), processor


# What an adapter's settings may say. The rest of PEFT's reads files (corda_config), imports modules (megatron_core) or
# changes the model in ways that `save` never writes.
_LORA = (
    "r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "modules_to_save", "bias", "task_type",
    "fan_in_fan_out", "use_rslora", "use_dora", "layers_to_transform", "layers_pattern", "rank_pattern",
    "alpha_pattern", "lora_bias", "target_parameters", "trainable_token_indices", "ensure_weight_tying",
)  # fmt: skip
_SAYS_NOTHING = (  # about what is loaded: notes of PEFT's, and how the adapter began
    "base_model_name_or_path", "revision", "auto_mapping", "inference_mode", "peft_type", "peft_version",
    "init_lora_weights", "loftq_config", "megatron_core", "qalora_group_size", "runtime_config",
)  # fmt: skip


def _lora(file: Path) -> LoraConfig:
    """An adapter's settings, of which only those that describe a plain LoRA are taken."""
    try:
        written = read_json(file)
        if written.get("peft_type") != "LORA":
            raise WeightsError(f"'{file}': expected an adapter of the kind LORA, got {written.get('peft_type')!r}")
        if odd := sorted(k for k, v in written.items() if v and k not in _LORA and k not in _SAYS_NOTHING):
            raise WeightsError(
                f"'{file}': expected the settings of a plain LoRA, got {odd[0]} besides. Merge it first."
            )
        return LoraConfig(**{name: written[name] for name in _LORA if name in written})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"'{file}' cannot be read ({error}). Copy the whole folder again.") from error


@dataclass(frozen=True, slots=True)
class Taught:
    """How a model was taught to be asked.

    Attributes:
        quoted: whether its prompts told the detector's score in words.
        turns: the most questions that a conversation had.
    """

    quoted: bool = False
    turns: int = 1


def taught(name: str | Path) -> Taught:
    """What the card of a folder says that `save` wrote; a plain model can converse and is told no score.

    Args:
        name: A folder that `save` wrote, or a hub name or folder of a plain model.

    Raises:
        WeightsError: The card cannot be read.
    """
    if not is_saved(name):
        return Taught(turns=sys.maxsize)
    try:
        card = read_json(Path(name) / _CARD)
        return Taught(card.get("quoted", False) is True, int(card.get("turns", 1)))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise WeightsError(f"'{Path(name) / _CARD}' cannot be read ({error}). Copy the whole folder again.") from error


def needs_language(name: str | Path) -> None:
    """Refuse a folder that `save` wrote without the language model.

    Args:
        name: A folder that `save` wrote, or a hub name or folder of a plain model.

    Raises:
        WeightsError: It holds an adapter.
    """
    if is_saved(name) and not base_of(name).is_dir():
        raise WeightsError(
            f"'{name}' holds an expert and an adapter, but not the language model they belong to; {_CARD} in it names "
            "that. Name the language model itself, or save with whole weights."
        )


def taught_on(folder: str | Path) -> str | None:
    """The hub name or folder of the language model that lies beside none of these files; None where it lies there.

    Args:
        folder: That `save` wrote.

    Raises:
        WeightsError: The card cannot be read.
    """
    try:
        base = read_json(Path(folder) / _CARD)["base"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"'{Path(folder) / _CARD}' cannot be read ({error}). Copy the whole folder again."
        ) from error
    return base if isinstance(base, str) else None


def is_saved(name: str | Path) -> bool:
    """Whether a name is a folder that `save` wrote.

    Args:
        name: A folder that `save` wrote, or a hub name or folder of a plain model.
    """
    return (Path(name) / _CARD).is_file()


def base_of(name: str | Path) -> Path:
    """Where the language model alone lies: in a folder that `save` wrote, or the folder itself.

    Args:
        name: A folder that `save` wrote, or a hub name or folder of a plain model.
    """
    return Path(name) / _BASE if is_saved(name) else Path(name)


def plain(name: str, revision: str | None = None, **options: Any) -> tuple[Any, Any]:
    """A model of one of the families without an expert, in evaluation mode, and its processor.

    Args:
        name: A hub name or a local folder; only safetensors are read. Of a folder that `save` wrote with whole weights,
            the language model is taken and its expert left, so that another one can be attached.
        revision: Of `base`.
        **options: For `from_pretrained`, such as dtype.

    Returns:
        The model, and its processor.
    """
    needs_language(name)
    model = _base_model(str(base_of(name)) if is_saved(name) else name, revision, options)
    return model, processor_of(_hub.located(name, revision)[0], name, model.config)


# Phi-3's turns, with LLaVA's picture before the words, as the card of xtuner/llava-phi-3-mini-hf writes them
_PHI_TURNS = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>\n{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for c in m.content %}{% if c.type == 'image' %}<image>\n{% else %}{{ c.text }}{% endif %}{% endfor %}"
    "{% endif %}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def completed(processor: Any, config: Any) -> Any:
    """A LLaVA's processor with what early conversions left out, in place: picture tokens, and how turns are written.

    Those files say neither how many tokens a picture is nor how a conversation is written; the model's settings know
    the first, and of the second a language model's own tokens do (`<|end|>` are Phi-3's).

    Args:
        processor: The model's own.
        config: Settings of the model, as transformers has them.
    """
    if config.model_type not in ("llava", "llava_next"):
        return processor
    if getattr(processor, "patch_size", None) is None:
        processor.patch_size = config.vision_config.patch_size
        processor.num_additional_image_tokens = 1  # CLIP's [CLS], which the strategy below takes away again
    if getattr(processor, "vision_feature_select_strategy", None) is None:
        processor.vision_feature_select_strategy = config.vision_feature_select_strategy
    if processor.chat_template is None and {"<|user|>", "<|end|>"} <= set(processor.tokenizer.get_vocab()):
        processor.chat_template = _PHI_TURNS
    return processor


def processor_of(folder: Path, name: str, config: Any) -> Any:
    """The processor in a folder, which writes what the model of these settings reads.

    Args:
        folder: Of the model, or of the one that `save` wrote around it.
        name: Of the model, for messages.
        config: Settings of the model, as transformers has them.

    Raises:
        WeightsError: It cannot be read, reads no pictures, or its tokenizer or template lacks the picture's token.
    """
    mend = "Copy the tokenizer's and the processor's files again from where the model came."
    processor = completed(_hub.part(AutoProcessor, folder, f"The processor of '{name}'", mend), config)
    if getattr(processor, "image_processor", None) is None:  # else AutoProcessor gives only the tokenizer, and no word
        raise WeightsError(f"'{name}': expected a processor for text and pictures, got one for text. {mend}")
    number = getattr(config, "image_token_id", None)
    _hub.reads_pictures(processor, number, name)
    asked = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]}]
    try:
        text = processor.apply_chat_template(asked, tokenize=False)
    except Exception as error:  # a template may raise anything, and there may be none
        raise WeightsError(
            f"'{name}': its chat template cannot write a question about a picture ({_hub.first(error)}). {mend}"
        ) from error
    if number not in processor.tokenizer(text, add_special_tokens=False)["input_ids"]:
        raise WeightsError(
            f"'{name}': its chat template leaves out the picture: expected {processor.image_token} in {text[:200]!r}. "
            f"{mend}"
        )
    return processor


def loaded(name: str, **options: Any) -> tuple[Any, Any]:
    """What `save` wrote, or a plain model by folder or hub name, and its processor; see `load` and `plain`.

    Args:
        name: A folder that `save` wrote, or a hub name or folder of a plain model.
        **options: For `from_pretrained`, such as dtype.

    Returns:
        The model, and its processor.
    """
    return load(name, **options) if is_saved(name) else plain(name, **options)


def _base_model(name: str, revision: str | None, options: dict[str, Any], fetch: bool = True) -> Any:
    folder, commit = _hub.located(name, revision, fetch)
    what = f"The language model '{name}'"
    mend = (
        "Expected a name on the hub, with a network or a copy in the hub's cache, or a folder with config.json and "
        "safetensors."
    )
    kind = _hub.part(AutoConfig, folder, what, mend).model_type
    if kind not in FAMILIES:  # before gigabytes are fetched
        raise UnknownName("family of vision-language models", kind, FAMILIES)
    if commit is not None:
        _hub.fetched(name, commit, _hub.WEIGHTS, fetch)
    model = _hub.loaded(AutoModelForImageTextToText, folder, what, mend, **options)
    return model.eval()


_EXPERTS = (  # what a card may name, and nothing besides: a file never chooses what is imported
    "facewitness.models.forgery_expert:ForgeryExpert",
    "facewitness.models.trace_expert:TraceExpert",
)


def _expert_class(path: object) -> Any:
    if path in _EXPERTS:
        module, _, name = str(path).partition(":")
        return getattr(importlib.import_module(module), name)
    if not str(path).startswith("facewitness."):
        raise WeightsError(
            f"The expert is of the class '{path}', which is not one of facewitness and is not imported because a file "
            "says so. Give the class: load(folder, expert_class=…)."
        )
    raise WeightsError(
        f"The expert is of the class '{path}', which this version of facewitness does not have: expected "
        f"{' or '.join(_EXPERTS)}. Install the version that saved it."
    )


def _inner(model: Any) -> Any:
    """The transformers model, without PEFT's wrapping."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


# ------------------------------------------------------------------------------------------------ how a model is asked


def turn(model: Any, text: str) -> dict[str, Any]:
    """A user's message about one picture: E_visual, then E_forgery where the model has an expert, then the text.

    Args:
        model: Of one of the families, with or without an expert.
        text: The user's.

    Returns:
        A message as chat templates want it.
    """
    evidence = "" if expert_of(model) is None else placeholders(model) + " "
    return {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": evidence + text}]}


def conversation(model: Any, text: str, before: Sequence[tuple[str, str]] = ()) -> list[dict[str, Any]]:
    """A question about one picture after earlier ones and their answers, the picture in the first of them.

    Args:
        model: Of one of the families, with or without an expert.
        text: The user's.
        before: Earlier questions about the picture with their answers.

    Returns:
        Messages as chat templates want them.
    """
    questions = [*(question for question, _ in before), text]
    messages = [turn(model, questions[0])]
    for (_, answered), question in zip(before, questions[1:], strict=True):
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answered}]})
        messages.append({"role": "user", "content": [{"type": "text", "text": question}]})
    return messages


def likelihoods(
    model: Any,
    processor: Any,
    shown: NDArray[Any] | Any,
    text: str,
    replies: Sequence[str],
    before: Sequence[tuple[str, str]] = (),
    ended: bool = True,
) -> list[float]:
    """The log-likelihood of each reply to one text about one picture, in nats, with the end of the turn.

    Args:
        model: With or without an expert.
        processor: Its own.
        shown: RGB uint8 (H, W, 3) or a PIL image.
        text: The user's.
        replies: At least one, each of at least one token.
        before: Earlier questions with their answers.
        ended: False for how a reply begins, such as "Yes": without the end of the turn.

    Returns:
        One a reply, nats.
    """
    messages = conversation(model, text, before)
    prompt = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    whole = [] if ended else [f"{prompt}{reply}" for reply in replies]
    for reply in replies if ended else ():
        answer = {"role": "assistant", "content": [{"type": "text", "text": reply}]}
        turns = processor.apply_chat_template([*messages, answer], tokenize=False)
        whole.append(turns if turns.startswith(prompt) else f"{prompt}{reply}{processor.tokenizer.eos_token or ''}")
    inputs = processor(
        images=[shown], text=[prompt], return_tensors="pt",
        add_special_tokens=False,  # the template has them
    ).to(model.device)  # fmt: skip
    following = processor.tokenizer(
        [each[len(prompt) :] for each in whole], padding=True, padding_side="right", return_tensors="pt",
        add_special_tokens=False,
    ).to(model.device)  # fmt: skip
    ids, there = following["input_ids"], following["attention_mask"]
    training = model.training
    model.eval()
    try:
        with torch.no_grad():  # the prompt once, and every reply after it
            begun = model(**inputs, use_cache=True, logits_to_keep=1)
            begun.past_key_values.batch_repeat_interleave(len(whole))
            attention = inputs["attention_mask"].expand(len(whole), -1)
            followed = model(
                input_ids=ids, attention_mask=torch.cat([attention, there], 1), past_key_values=begun.past_key_values,
                use_cache=True, **_positions(model, inputs["input_ids"].shape[1], ids),
            )  # fmt: skip
    finally:
        model.train(training)
    first = begun.logits[:, -1:].expand(len(whole), -1, -1)
    logits = torch.cat([first, followed.logits[:, :-1]], 1).float()
    each = logits.log_softmax(-1).gather(-1, ids[..., None])[..., 0]
    return [float(value) for value in (each * there).sum(1)]


def _positions(model: Any, begin: int, ids: Tensor) -> dict[str, Tensor]:
    """Where tokens (n, L) stand after a prompt of `begin`: of Qwen's, where a picture takes fewer than its tokens."""
    deltas = getattr(_inner(model).base_model, "rope_deltas", None)
    if deltas is None:
        return {}
    places = torch.arange(begin, begin + ids.shape[1], device=ids.device) + deltas.flatten()[0].to(ids.device)
    return {"position_ids": places.expand(3, len(ids), -1)}


def answers(
    model: Any,
    processor: Any,
    shown: Sequence[NDArray[Any] | Any],
    texts: Sequence[str],
    max_tokens: int = 64,
    before: Sequence[Sequence[tuple[str, str]]] | None = None,
) -> list[str]:
    """The likeliest answer to each text about its own picture (RGB uint8 (H, W, 3) or a PIL image), in one batch.

    Args:
        model: Of one of the families, with or without an expert.
        processor: The model's own.
        shown: A picture for each text, RGB uint8 (H, W, 3) or a PIL image.
        texts: The users' questions.
        max_tokens: Of an answer, at most.
        before: For each text, earlier questions about the same picture with their answers.

    Raises:
        InputError: Where there are not as many pictures as texts.
    """
    if len(shown) != len(texts):
        raise InputError(f"answers: expected a picture for each text, got {len(shown)} and {len(texts)}")
    if not texts:
        return []
    earlier = before or [()] * len(texts)
    prompts = [
        processor.apply_chat_template(conversation(model, text, turns), add_generation_prompt=True, tokenize=False)
        for text, turns in zip(texts, earlier, strict=True)
    ]
    inputs = processor(
        images=list(shown), text=prompts, padding=True, padding_side="left", return_tensors="pt",
        add_special_tokens=False,  # the template has them
    ).to(model.device)  # fmt: skip
    training = model.training
    model.eval()
    try:
        return written(model, processor, inputs, max_new_tokens=max_tokens, do_sample=False)
    finally:
        model.train(training)


def drawn(
    model: Any, processor: Any, shown: NDArray[Any] | Any, text: str, draws: int, temperature: float, seed: int,
    max_tokens: int = 64, between: tuple[str, str] | None = None,
) -> list[str]:  # fmt: skip
    """Replies drawn to one text about one picture, the same for the same seed.

    Args:
        model: Of one of the families, with or without an expert.
        processor: The model's own.
        shown: RGB uint8 (H, W, 3) or a PIL image.
        text: The user's question.
        draws: How many replies.
        temperature: Of what is drawn, above 0.
        seed: Of the draws; torch's own state stays as it was.
        max_tokens: Of a reply, at most.
        between: What stands in a reply before and behind that part of it which is drawn; the rest is the likeliest.
            None draws all.
    """
    prompt = processor.apply_chat_template([turn(model, text)], add_generation_prompt=True, tokenize=False)
    inputs = processor(
        images=[shown], text=[prompt], return_tensors="pt",
        add_special_tokens=False,  # the template has them
    ).to(model.device)  # fmt: skip
    begin = inputs["input_ids"].shape[1]
    rule = [] if between is None else [_Between(processor.tokenizer, begin, between, temperature, seed)]
    training = model.training
    model.eval()
    try:
        with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
            torch.manual_seed(seed)
            return written(
                model, processor, inputs, max_new_tokens=max_tokens, do_sample=True, num_return_sequences=draws,
                temperature=temperature, top_k=0, logits_processor=LogitsProcessorList(rule),
            )  # fmt: skip
    finally:
        model.train(training)


class _Between(LogitsProcessor):
    """Leaves one token alone to each row: a drawn one between two markers in its reply, the likeliest elsewhere."""

    def __init__(self, tokenizer: Any, begin: int, markers: tuple[str, str], temperature: float, seed: int):
        self._tokenizer, self._begin, self._markers, self._temperature = tokenizer, begin, markers, temperature
        self._chance = torch.Generator().manual_seed(seed)
        self._passed: list[int] = []  # markers that stand in each row's reply

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self._passed = self._passed or [0] * len(input_ids)
        # a marker takes no more tokens than it has characters
        tail = input_ids[:, self._begin :][:, -max(map(len, self._markers)) - 1 :]
        for row, text in enumerate(self._tokenizer.batch_decode(tail)):
            passed = self._passed[row]
            self._passed[row] += passed < len(self._markers) and self._markers[passed] in text
        free = torch.tensor([passed == 1 for passed in self._passed], device=scores.device)
        if free.any():  # the largest of logits and Gumbel noise is a draw by their softmax
            waiting = torch.empty(scores.shape).exponential_(generator=self._chance).to(scores.device)
            scores = torch.where(free[:, None], scores / self._temperature - waiting.log(), scores)
        return torch.full_like(scores, -torch.inf).scatter(1, scores.argmax(1, keepdim=True), 0.0)


def written(model: Any, processor: Any, inputs: Mapping[str, Any], **options: Any) -> list[str]:
    """What a model writes behind its prompts, which are padded on the left.

    Args:
        model: A vision-language model.
        processor: Its processor.
        inputs: What the processor made of pictures and prompts.
        **options: For `generate`; several samples of a prompt come behind each other.
    """
    try:
        with torch.no_grad():
            out = model.generate(**inputs, **options)
    except (FacewitnessError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # settings that cannot be lived with are met here
        raise WeightsError(
            f"The language model cannot answer ({_hub.first(error)}). Its settings and its weights may not belong "
            "together: copy its folder again."
        ) from error
    texts = processor.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return [text.strip() for text in texts]
