"""Tells what a recipe of published size needs before a byte of it is fetched: names, shapes, memory, steps and hours.

    facewitness train grpo runs/mare/published-qwen3b.toml --plan --detector runs/fdm/recipe.toml

    plan = Plan("what it is")                              what the `plan` of each recipe file fills
    model = plan.blank("Qwen/Qwen2.5-VL-3B-Instruct", "bfloat16")    its shapes alone, on torch's meta device
    plan.holds("language model", model)                    weights, and what those that learn need besides
    plan.takes("activations", count, "how it was counted") further memory, bytes
    plan.passed("the answer's logits are (8, 512, 151936)")          a check, in words
    plan.works(steps, flops, "how it was counted")         arithmetic of the whole run
    print(plan)

Names are checked against `published.json` beside this file: what each model is on the hub, as settings that give its
tensors' shapes, and how many numbers it has there; a model whose settings give another count is refused. Tensors on the
meta device have shapes and no content, so what does not fit together fails here as it would at the first step, and a
machine without a GPU is enough. A folder stands for a name: its config.json is read and its weights are not.

All memory and all hours are by count, not measured: what is stored is counted tensor by tensor, activations by the
formulas below, hours by a card's published peak and the share of it that training reaches (`UTILISATION`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from facewitness.errors import InputError, UnknownName, WeightsError
from facewitness.files import at_home

# transformers is imported where a language model or a CLIP is planned: the small networks are trained without it
GIB = 1 << 30
UTILISATION = 0.35  # of a card's peak, in training with checkpointing; what is commonly reported for such sizes
CONVOLUTIONS = 0.05  # the same of networks of thin and depthwise convolutions, which wait for memory
CARDS: Mapping[str, tuple[float, float, float]] = {  # GiB of memory, 10^12 bfloat16 operations a second, 10^12 bytes/s
    "24 GB card (RTX 4090)": (24, 165, 1.0),
    "80 GB card (A100)": (80, 312, 2.0),
    "80 GB card (H100)": (80, 989, 3.35),
}
_OVERHEAD = 1.5 * GIB  # CUDA's context, kernels' workspaces, fragments
_CLASSES = {  # kinds of the list → what makes them of settings
    "image-text-to-text": "AutoModelForImageTextToText",
    "text": "AutoModelForCausalLM",
    "text-to-text": "AutoModelForSeq2SeqLM",
    "encoder": "AutoModel",
    "clip": "AutoModel",
}


# ---------------------------------------------------------------------------------------------------------- the list


@lru_cache(1)
def published() -> dict[str, dict[str, Any]]:
    """The committed list: hub name → kind, model_type, parameters, config, and `instead` where it cannot be loaded.

    Returns:
        Hub name → what the list says of it.
    """
    listed: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("published.json").read_text("utf-8"))
    return listed


def loadable(name: str) -> None:
    """Refuse a model that the list knows and that cannot be loaded by its name.

    Args:
        name: A hub name of the list, or a folder.

    Raises:
        WeightsError: The list says that it cannot be loaded by its name.
    """
    why = published().get(name, {}).get("instead")
    if why is not None and not at_home(name).is_dir():
        raise WeightsError(f"'{name}' cannot be loaded. {why}")


def settings(name: str) -> tuple[Any, str, int | None]:
    """transformers' settings of a listed hub name or of a folder, its kind, and how many parameters it must have.

    Args:
        name: A hub name of the list, or a folder; of one that `train sft` made, the language model in it counts, or
            the one that its adapter belongs to.

    Returns:
        The settings, the kind, and how many parameters it must have, None where nobody says.

    Raises:
        InputError: No name at all.
        UnknownName: A name that is neither; the nearest one of the list is told.
        WeightsError: A folder whose settings cannot be read, or would run code.
    """
    from facewitness.models import _hub, prompted_vlm

    import transformers  # isort: skip

    if not name:
        raise InputError("expected the name of a language model, got none. Name one: --model FOLDER-OR-NAME.")
    folder = at_home(name)
    if folder.is_dir():
        base = prompted_vlm.base_of(folder)
        for each in dict.fromkeys((folder, base)):
            _hub.harmless(each, str(each))
        if base != folder and not base.is_dir():  # an adapter: its card names the language model
            named = prompted_vlm.taught_on(folder)
            if named is not None:
                prompted_vlm.needs_language(at_home(named))
                return settings(named)
        try:
            config = transformers.AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # transformers raises anything over broken settings, or over code it may not run
            raise WeightsError(
                f"The settings of '{name}' cannot be used ({_hub.first(error)}). Expected a folder with config.json of "
                "a model that transformers itself knows; code of a model's own is never run."
            ) from error
        kind = "image-text-to-text" if hasattr(config, "vision_config") else "text"
        return config, "clip" if config.model_type == "clip" else kind, None
    entry = published().get(name)
    if entry is None:
        raise UnknownName("published model", name, published())
    if entry["model_type"] == "panda_gpt":
        from facewitness.models import panda  # noqa: F401  (transformers learns of it)
    return transformers.CONFIG_MAPPING[entry["model_type"]](**entry["config"]), entry["kind"], entry["parameters"]


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".:") or type(error).__name__


def count(module: nn.Module) -> int:
    """How many numbers a module has, those that two places share once.

    Args:
        module: Any module.
    """
    return sum(p.numel() for p in {id(p): p for p in module.parameters()}.values())


# ---------------------------------------------------------------------------------------------------------- the plan


@dataclass
class Plan:
    """What one process needs, and what the whole run is; filled by a recipe, printed as a page.

    Attributes:
        title: What is planned.
        processes: How many share the run: memory is of one, work of all.
        shareable: Whether several processes can; otherwise a run that fits no card is not told to take more of them.
        memory: (what, bytes, how it was counted).
        checks: What was checked and fits.
        work: (what, operations, bytes read from memory, seconds that no card shortens, share of the peak, how counted).
        facts: Further lines, such as the number of steps.
    """

    title: str
    processes: int = 1
    shareable: bool = True
    memory: list[tuple[str, float, str]] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    work: list[tuple[str, float, float, float, float, str]] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)

    def blank(self, name: str, dtype: str = "float32") -> Any:
        """A model's shapes without its weights, on the meta device.

        Args:
            name: A hub name of the list, or a folder.
            dtype: Of the weights, as torch names it.

        Raises:
            UnknownName: A name that is not in the list and no folder.
            WeightsError: A folder that cannot be used, and settings that give another number of parameters than listed.
        """
        config, kind, expected = settings(name)
        import transformers

        try:
            with torch.device("meta"):
                model = getattr(transformers, _CLASSES[kind]).from_config(config, dtype=getattr(torch, dtype))
        except Exception as error:  # transformers raises anything over settings that cannot be
            raise WeightsError(f"'{name}': no model can be made of its settings ({_first(error)}).") from error
        came = count(model)
        if expected is not None and came != expected:
            raise WeightsError(
                f"'{name}': its settings give {came:,} parameters in this version of transformers "
                f"({transformers.__version__}), expected {expected:,} as on the hub. Take the pinned version."
            )
        known = "a published name" if name in published() else "a folder"
        self.passed(f"{name} is {known}: {model.config.model_type}, {came:,} parameters")
        if why := published().get(name, {}).get("instead"):
            self.facts.append(f"note: {why}")
        return model.eval()

    def holds(self, name: str, module: nn.Module, learned_bytes: int | None = None) -> None:
        """Count a module's weights, and for those that learn a gradient and Adam's two moments of the same precision.

        Args:
            name: Of the line.
            module: On any device; `requires_grad` says what learns.
            learned_bytes: Of each number that learns, where it is not kept in the module's precision.
        """
        stored = learns = extra = 0
        for p in {id(p): p for p in (*module.parameters(), *module.buffers())}.values():
            size = learned_bytes if learned_bytes and p.requires_grad else p.element_size()
            stored += p.numel() * size
            if p.requires_grad:
                learns, extra = learns + p.numel(), extra + 3 * p.numel() * size
        self.takes(f"{name}: weights", stored, f"{count(module):,} numbers")
        if extra:
            self.takes(f"{name}: gradients and Adam", extra, f"of the {learns:,} that learn")

    def takes(self, what: str, bytes_: float, how: str) -> None:
        """Further memory of one process.

        Args:
            what: What it is, for people.
            bytes_: How many.
            how: How it was counted.
        """
        self.memory.append((what, bytes_, how))

    def passed(self, what: str) -> None:
        """Something that was checked and fits.

        Args:
            what: What it is, for people.
        """
        self.checks.append(what)

    def steps(self, steps: int | None, batch: int, examples: int | None, epochs: float | None) -> int | None:
        """How many steps the run has, told; None where a recipe counts epochs and no data was named.

        Args:
            steps: Of the recipe; None where it counts epochs.
            batch: Examples at once.
            examples: How many there are to learn from; None where no data was named.
            epochs: Of the recipe; None where it counts steps.
        """
        if steps is None and epochs is not None and examples is not None:
            steps = max(1, round(epochs * examples / batch))
        if steps is None:
            counted = f"{epochs:g} epoch{'' if epochs == 1 else 's'}"
            self.facts.append(f"steps: {counted}; name the data, and steps and hours are counted")
        else:
            self.facts.append(f"steps: {steps:,} of {batch} examples, {steps * batch:,} examples in all")
        return steps

    def works(
        self, what: str, flops: float, how: str, read: float = 0.0, seconds: float = 0.0, share: float = UTILISATION
    ) -> None:
        """Operations of the whole run at a share of the peak; bytes read, and seconds, where that takes longer.

        Args:
            what: What it is, for people.
            flops: How many.
            how: How it was counted.
            read: Bytes that are read.
            seconds: That it takes besides.
            share: Of the peak that is reached, in [0, 1].
        """
        self.work.append((what, flops, read, seconds, share, how))

    @property
    def bytes(self) -> float:
        """Memory of one process."""
        return sum(size for _, size, _ in self.memory) + _OVERHEAD

    def hours(self, card: str) -> float:
        """Of the whole run on `processes` such cards.

        Args:
            card: Name of a GPU.
        """
        _, peak, bandwidth = CARDS[card]
        seconds = sum(
            max(flops / (peak * 1e12 * share), read / (bandwidth * 1e12), least)
            for _, flops, read, least, share, _ in self.work
        )
        return seconds / 3600 / self.processes

    def __str__(self) -> str:
        lines = [self.title, "", *(f"  fits   {check}" for check in self.checks), *(f"  {fact}" for fact in self.facts)]
        lines += ["", f"memory of {'the' if self.processes == 1 else 'each'} process, by count:"]
        lines += [f"  {size / GIB:8.2f} GiB  {what} ({how})" for what, size, how in self.memory]
        lines += [f"  {_OVERHEAD / GIB:8.2f} GiB  the device's own", f"  {self.bytes / GIB:8.2f} GiB  in all"]
        if self.work:
            lines += ["", "work of the run, by count:"]
            lines += [
                f"  {flops:8.2e} operations  {what} ({how}), at {share:.0%} of a card's peak"
                for what, flops, _, _, share, how in self.work
            ]
        for card, (memory, _, _) in CARDS.items():
            fits = "fits" if self.bytes < memory * 0.95 * GIB else "does not fit"
            after = f", {_time(self.hours(card))}" if self.work and fits == "fits" else ""
            lines.append(f"  {fits} {'an' if card.startswith('8') else 'a'} {card}{after}")
        if all(self.bytes >= memory * 0.95 * GIB for memory, _, _ in CARDS.values()):
            lines.append(
                "  A larger --processes shares the batch among cards, and a smaller batch_size needs less."
                if self.shareable
                else "  A smaller batch_size needs less: this recipe runs in one process, on one card."
            )
        return "\n".join(lines)


def _time(hours: float) -> str:
    """Hours in words; what is less than a tenth of one is told in minutes or seconds."""
    if hours >= 0.1:
        return f"{hours:,.1f} hours"
    seconds = 3600 * hours
    return f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{max(1, round(seconds))} s"


# ------------------------------------------------------------------------------------------------- other networks


def passed_through(module: nn.Module, *given: Any, frozen: nn.Module | None = None) -> tuple[Any, float, float]:
    """What a module gives for meta tensors, the bytes of what its layers put out, and the operations of one pass.

    What the layers of `frozen` put out is not counted: without a gradient nothing of it is kept.

    Args:
        module: Any module.
        *given: Arguments of the module.
        frozen: The part that keeps nothing for a gradient; None for none.

    Returns:
        The output, bytes, and operations.
    """
    kept = 0

    def note(_: nn.Module, __: Any, out: Any) -> None:
        nonlocal kept
        kept += out.numel() * out.element_size() if isinstance(out, Tensor) else 0

    passed_over = set() if frozen is None else set(frozen.modules())
    leaves = [part for part in module.modules() if not list(part.children()) and part not in passed_over]
    hooks = [part.register_forward_hook(note) for part in leaves]
    try:
        with FlopCounterMode(display=False) as counter:
            out = module(*given)
    finally:
        for hook in hooks:
            hook.remove()
    return out, kept, counter.get_total_flops()


# --------------------------------------------------------------------------------------------- language models


@dataclass(frozen=True)
class Language:
    """The sizes of a language model that memory and work depend on."""

    layers: int
    width: int
    inner: int
    kv: int  # heads of keys · their width
    vocabulary: int
    parameters: int  # without the embeddings of words
    itemsize: int

    @classmethod
    def of(cls, model: Any) -> Language:
        """Of a model of transformers, on any device.

        Args:
            model: Of transformers.
        """
        config = model.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        words = model.get_input_embeddings().weight
        return cls(
            config.num_hidden_layers, config.hidden_size, config.intermediate_size, heads * head, config.vocab_size,
            count(model) - words.numel(), words.element_size(),
        )  # fmt: skip

    def activations(self, batch: int, tokens: int, checkpointing: bool) -> float:
        """Bytes that a training step keeps for its gradient, attention without a matrix of all pairs.

        A layer keeps about 10 vectors of the model's width and 3 of its inner one for each token; with checkpointing
        only each layer's input is kept, and one layer's vectors at a time.

        Args:
            batch: Examples at once.
            tokens: How many.
            checkpointing: Whether activations are computed again.
        """
        layer = batch * tokens * (10 * self.width + 3 * self.inner) * 2
        return self.layers * batch * tokens * self.width * 2 + layer if checkpointing else self.layers * layer

    def logits(self, batch: int, tokens: int) -> float:
        """Bytes of the words' scores: in half precision, in single for the loss, and their gradient.

        Args:
            batch: Examples at once.
            tokens: How many.
        """
        return batch * tokens * self.vocabulary * (2 + 4 + 4)

    def cache(self, batch: int, tokens: int) -> float:
        """Bytes of keys and values while replies are drawn.

        Args:
            batch: Examples at once.
            tokens: How many.
        """
        return 2 * self.layers * self.kv * batch * tokens * self.itemsize

    def flops(self, tokens: float, learns: bool = True, checkpointing: bool = False) -> float:
        """Operations of so many tokens: 2 a weight forward, 4 backward, 2 more to compute activations again.

        Frozen weights (LoRA) need no gradient of their own, which saves 2 of the 4.

        Args:
            tokens: How many.
            learns: Whether a gradient is computed.
            checkpointing: Whether activations are computed again.
        """
        return 2 * self.parameters * tokens * (1 + (2 if learns else 1) + (1 if checkpointing else 0))


def picture_tokens(model: Any, size: int = 224) -> int:
    """How many tokens a square picture of `size` pixels is to a model of the families of models/prompted_vlm.

    Args:
        model: Of transformers.
        size: Side of the picture, pixels.
    """
    config = model.config
    kind, vision = config.model_type, config.vision_config
    if kind in ("qwen2_5_vl", "qwen3_vl"):
        return int(max(1, round(size / (vision.patch_size * vision.spatial_merge_size))) ** 2)
    if kind == "internvl":
        return int(config.image_seq_length)
    if kind == "smolvlm":  # one picture, not cut into tiles (`prompted_vlm.attach`)
        return int((vision.image_size // vision.patch_size // config.scale_factor) ** 2)
    if kind == "panda_gpt":
        return 1
    if kind == "llava":
        return int((vision.image_size // vision.patch_size) ** 2)
    if kind == "llava_next":  # the whole picture, and the tiles of the smallest grid that it is laid on
        side = vision.image_size // vision.patch_size
        return int(2 * side * side + side)
    raise UnknownName(
        "family of vision-language models",
        kind,
        ("qwen2_5_vl", "qwen3_vl", "llava", "llava_next", "internvl", "smolvlm", "panda_gpt"),
    )


def picture(model: Any, size: int = 224) -> tuple[Tensor, dict[str, Any]]:
    """The `pixel_values` of one square picture as a family's processor gives it, on meta, and what goes with it.

    Args:
        model: Of transformers.
        size: Side of the picture, pixels.

    Returns:
        `pixel_values`, and what else the model needs.
    """
    config = model.config
    kind, vision = config.model_type, config.vision_config
    if kind in ("qwen2_5_vl", "qwen3_vl"):
        side = round(picture_tokens(model, size) ** 0.5) * vision.spatial_merge_size
        patch = 3 * vision.temporal_patch_size * vision.patch_size**2
        return torch.empty(side * side, patch, device="meta"), {"image_grid_thw": torch.tensor([[1, side, side]])}
    side = vision.image_size if isinstance(vision.image_size, int) else vision.image_size[0]
    if kind in ("internvl", "smolvlm", "llava", "panda_gpt"):
        return torch.empty(1, 3, side, side, device="meta"), {"tiles": torch.tensor([1])}
    return torch.empty(1, 3, 3, side, side, device="meta"), {"image_sizes": torch.tensor([[size, size]])}


def speaks(plan: Plan, model: Any, tokens: int, batch: int = 1) -> None:
    """Pass embeddings of so many tokens through the language model on meta, to the scores of words.

    Args:
        plan: Is filled.
        model: Of transformers.
        tokens: How many.
        batch: Examples at once.
    """
    inner = getattr(model.base_model, "language_model", model.base_model)
    width, device = model.get_input_embeddings().weight.shape[1], "meta"
    dtype = model.get_input_embeddings().weight.dtype
    places = torch.zeros(batch, tokens, dtype=torch.long, device=device)
    if str(model.config.model_type).startswith("qwen"):
        places = places.expand(3, batch, tokens)
    mask = torch.zeros(batch, 1, tokens, tokens, dtype=dtype, device=device)
    given = torch.empty(batch, tokens, width, dtype=dtype, device=device)
    try:
        with torch.no_grad():
            seen = inner(inputs_embeds=given, position_ids=places, attention_mask=mask, use_cache=False)
            words = model.get_output_embeddings()(seen.last_hidden_state)
    except RuntimeError as error:
        raise InputError(f"The language model's parts do not fit together ({_first(error)}).") from error
    plan.passed(f"{tokens} tokens go through the language model to the scores of {words.shape[-1]:,} words")


def sees(plan: Plan, model: Any, expert: Any, size: int = 224) -> None:
    """Pass a picture through an expert on meta, to embeddings as wide as the language model.

    Args:
        plan: Is filled.
        model: Of transformers.
        expert: Gives the embeddings.
        size: Side of the picture, pixels.

    Raises:
        InputError: The embeddings are not as wide as the language model's.
    """
    pixels, grid = picture(model, size)
    parameter = next(expert.parameters(), pixels)
    try:
        with torch.no_grad():
            out = expert(pixels.to(parameter.dtype), image_mean=(0.5,) * 3, image_std=(0.5,) * 3, **grid)
    except RuntimeError as error:
        raise InputError(
            f"The detector cannot read a picture of this language model ({_first(error)}). Take the size of the "
            "pictures that it was trained on."
        ) from error
    width = model.get_input_embeddings().weight.shape[1]
    if tuple(out.shape) != (1, expert.n_tokens, width):
        raise InputError(
            f"The detector and the language model do not fit: expected embeddings (1, {expert.n_tokens}, {width}) for "
            f"a picture, got {tuple(out.shape)}. Make the expert anew for this language model, with --detector."
        )
    plan.passed(f"a picture of {size} px becomes {expert.n_tokens} tokens of the detector, {width} wide")
