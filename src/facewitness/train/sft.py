"""Teaches a language model to say what a detector saw: supervised fine-tuning by TRL, KFD's stage 2 or MARE's start.

    facewitness train sft RECIPE --forensic sbi_qa.parquet --detector kfd.safetensors --out DIR
        [--model NAME] [--general dialogue.json …] [--val sbi_qa.parquet] [--language full] [--no-forgery-prompt]
    facewitness train sft RECIPE --forensic dma.parquet --detector fdm.safetensors --out DIR   MARE's replies
        [--crossfit DIR]           with traces of modules that have not seen the pictures (runs/mare/crossfit.py)
    torchrun --nproc-per-node 2 -m facewitness train sft RECIPE …              the same on several GPUs, or processes

What the weights file is, as the JSON beside it says, decides what is put into the prompt: of KFD's detector
`models/forgery_expert`, of MARE's forgery disentanglement module `models/trace_expert`. What is taught is what the
table holds: answers of `builders/sbi_qa`, replies of `builders/dma`, or chat JSON of either.

KFD is Yu et al., "Unlocking the Capabilities of Vision-Language Models for Generalizable and Explainable Deepfake
Detection", sections 3.2 and 3.3. The loss is equation 5, the cross-entropy of an answer's tokens (their mean, for a
sum) and of no others. "We alternate training between the deepfake dataset and the PandaGPT dataset": a step's batch is
forensic (questions of `builders/sbi_qa`, with the forgery prompt) or general dialogue (any chat JSON, without it),
never both. Detector and prompt learner are one expert of the language model; the detector stays as stage 1 left it.

MARE is Xu et al., "MARE: Multimodal Alignment and Reinforcement for Explainable Deepfake Detection". Its reinforcement
learning begins with a language model that can already speak. One made from nothing cannot, and is first taught the
replies of the DMA data as they are (`runs/mare/sft-small.toml`), with the same loss.

Picture k of step i is drawn from (seed, i, k) alone: neither accumulation nor the number of processes changes what is
drawn, and a killed run goes on from its last whole checkpoint, with the same result; but for the learning rate where
that falls with the clock (--until).

Where the paper is silent
    general dialogue  has no forgery prompt: a detector of faces has nothing to say of a picture of a dog
    what learns       the prompt learner and LoRA on the language model's linear layers. `language = "frozen"` leaves
                      the latter out (Table 4, third row), "full" trains everything but the detector
    KFD's result      "the forgery score is 0.93" stands in the prompt besides the tokens. `quoted = false` leaves it
                      out: Table 4's rows without prompt learner stand at chance, so they cannot have been told it. (The
                      authors' code writes it in per cent, in front of the forgery tokens and not in the question.)
    a conversation    is one example for each of its answers, with all that was said before

In OUT: model/ (as models/prompted_vlm.load takes it; without a forgery prompt a plain transformers folder),
checkpoints/, resolved.json (recipe, data, versions, commit), log.csv, samples.jsonl (replies while it learned), and
tensorboard/ where TensorBoard is installed.
"""

from __future__ import annotations

import inspect
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facewitness.models import prompted_vlm as pv  # first: it mends torchvision for what follows

import transformers  # isort: skip
import trl  # isort: skip
from datasets import Dataset  # isort: skip
from peft import PeftModel, get_peft_model  # isort: skip
from transformers import PrinterCallback  # isort: skip

from facewitness import plugins
from facewitness.builders import chats
from facewitness.builders.chats import Example
from facewitness.errors import InputError, UnknownName, WeightsError
from facewitness.files import at_home, read_json, write_whole
from facewitness.models._remembered import look_once
from facewitness.models.fdm import FDM
from facewitness.models.forgery_expert import ForgeryExpert
from facewitness.models.forgery_prompt import ForgeryPromptLearner
from facewitness.models.kfd import KFD
from facewitness.models.trace_expert import TraceExpert, TraceProjector
from facewitness.processes import not_from_here
from facewitness.train import checkpoint
from facewitness.train.checkpoint import last_checkpoint, same_run
from facewitness.train.crossfit import CARD, Crossfit, tell
from facewitness.train.plan import Language, Plan, loadable, picture_tokens, sees, speaks
from facewitness.train.recipe import (
    MOST,
    arguments,
    at_least,
    at_most,
    buildable,
    known,
    of_lora,
    of_steps_or_epochs,
    parsed,
    read_recipe,
)
from facewitness.train.schedule import last_step
from facewitness.train.tuning import Draws, Watch, finite, going_on, numbered

_SAMPLES = 4
_WORDS = 160  # tokens of a question with the grammar's instructions and the template, about
LEARNER = {  # arguments of the part of an expert that learns, by the detector it belongs to
    KFD: inspect.signature(ForgeryPromptLearner).parameters.keys() - {"embedding", "levels"},
    FDM: inspect.signature(TraceProjector).parameters.keys() - {"embedding", "width"} | {"size"},
}


# -------------------------------------------------------------------------------------------------------- the recipe


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights, but for the data and what training starts from.

    Attributes:
        model: Hub name, or folder, of a model of one of the families of models/prompted_vlm.
        revision: Of a hub name.
        language: "lora", "full" or "frozen": how the language model learns (see the file's head).
        forgery_prompt: False leaves the expert out: the ablation without FPL.
        quoted: Whether the prompt says the detector's score in words (KFD's tables only; chat JSON is as it is).
        learner: Arguments of ForgeryPromptLearner, or for MARE's module of TraceProjector and `size`, the side of the
            pictures it sees, where the JSON beside its weights has none.
        lora: rank, alpha, dropout.
        grammar: In which sample replies are read.
        max_tokens: Of a reply.
        general: Share of steps whose batch is general dialogue; 0.5 alternates. A frozen language model learns nothing
            from them and skips them.
        steps: Or `epochs`, one of the two; an epoch is as many steps as show each forensic question once.
        stop_at_step: Ends the run at this step of them, before the rate has fallen all the way.
        batch_size: Examples a step, of all processes together.
        micro_batch_size: Of a process at once: the rest accumulates.
        decoupled: Whether weights decay apart from the gradient (AdamW). Adam's own decay, which KFD has, is a part of
            the gradient, and divided by its size: a weight that the loss hardly touches goes to 0 by a whole step of
            `lr` each time. So did the image towers of the small models in runs/kfd and runs/mare (LOG).
        warmup: Steps in which the learning rate rises.
        cosine: Whether it falls to 0 after them, or stays.
        dtype: Precision of the base model's weights.
        bf16: Compute in bfloat16 (autocast).
        gradient_checkpointing: Compute activations again in the backward pass, to save memory.
    """

    model: str = ""
    revision: str | None = None
    language: str = "lora"
    forgery_prompt: bool = True
    quoted: bool = True
    learner: dict[str, Any] = field(default_factory=dict)
    lora: dict[str, Any] = field(default_factory=dict)
    grammar: str = "yes_no"
    max_tokens: int = 64
    general: float = 0.5
    steps: int | None = None
    epochs: float | None = None
    stop_at_step: int | None = None
    batch_size: int = 16
    micro_batch_size: int = 16
    lr: float = 1e-4
    weight_decay: float = 1e-5
    decoupled: bool = False
    warmup: int = 0
    cosine: bool = False
    dtype: str = "float32"
    bf16: bool = False
    gradient_checkpointing: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        of_steps_or_epochs(self)
        at_least(self, batch_size=1, micro_batch_size=1, steps=1, stop_at_step=1, max_tokens=1)
        at_most(self, MOST, "batch_size", "micro_batch_size", "max_tokens")
        if not 0 <= self.general < 1:
            raise InputError(f"recipe: expected general as a share from 0 to below 1, got {self.general}")
        known("way to train the language model", [self.language], ("lora", "full", "frozen"))
        known("precision of weights", [self.dtype], ("float32", "bfloat16", "float16"))
        known("argument of the prompt learner", self.learner, set().union(*LEARNER.values()))
        plugins.get("grammars", self.grammar)
        of_lora(self.lora)
        at_least(self, lr=0)
        for name, value in self.learner.items():
            if isinstance(value, int) and value < 1:
                raise InputError(f"recipe: expected {name} of at least 1, got {value}")
        if self.language == "frozen" and not self.forgery_prompt:
            raise InputError(
                'recipe: language = "frozen" without a forgery prompt leaves nothing to train. '
                "Measure the model as it is, with facewitness.bench.answers."
            )

    @property
    def share(self) -> Fraction:
        """Of steps with general dialogue."""
        return Fraction(0) if self.language == "frozen" else Fraction(self.general).limit_denominator(1000)

    @classmethod
    def read(cls, path: Path, changes: Sequence[str] = ()) -> Recipe:
        """From TOML, with `changes` as `read_recipe` takes them.

        Args:
            path: The TOML file.
            changes: Settings "key=value" or "table.key=value" that take the place of the file's.

        Raises:
            UnknownName: A key is nothing's; the message names the nearest.
            InputError: There is no TOML, or a value is of another type.
        """
        return read_recipe(cls, path, changes)


# --------------------------------------------------------------------------------------------------------- the draws


def dataset(draws: Draws, length: int, evidence: str) -> Any:
    """What TRL trains on: prompt, completion and images, put together when they are asked for.

    Args:
        draws: Which example stands where.
        length: Examples in all.
        evidence: The placeholders of forensic prompts, "" without an expert.
    """

    def shown(rows: Mapping[str, Sequence[int]]) -> dict[str, list[Any]]:
        drawn = [draws[i] for i in rows["index"]]
        answers = [[{"type": "text", "text": example.answer}] for example, _ in drawn]
        return {
            "prompt": [example.messages(evidence if forensic else "") for example, forensic in drawn],
            "completion": [[{"role": "assistant", "content": content}] for content in answers],
            "images": [example.pictures() for example, _ in drawn],
        }

    return Dataset.from_dict({"index": numbered(length)}).with_transform(shown)


# ------------------------------------------------------------------------------------------------------ the training


def detector_of(path: Path) -> tuple[KFD | FDM, dict[str, Any]]:
    """A saved detector, KFD's or MARE's as the JSON beside it says, and that JSON.

    Args:
        path: Weights of a detector, its card beside them.

    Returns:
        The detector, and its card.

    Raises:
        WeightsError: A file is missing, damaged, or of neither kind.
    """
    beside = path.with_suffix(".json")
    try:
        card = read_json(beside)
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"'{beside}' cannot be read ({error}). A detector is two files, .safetensors and .json, as train/kfd and "
            "train/fdm write them."
        ) from error
    kind = card.get("model") if isinstance(card, dict) else None
    if kind not in ("kfd", "fdm"):
        raise WeightsError(f"'{beside}': expected the card of a detector, kfd or fdm, got {kind!r}")
    return (KFD if kind == "kfd" else FDM).load(path), card


def make(recipe: Recipe, detector: KFD | FDM | None, size: int | None = None) -> tuple[Any, Any]:
    """The model as training begins, with its expert unless the recipe leaves it out, and its processor.

    What an earlier run of this file saved with whole weights goes on with its own expert where no detector is given,
    and gets a new expert where one is.

    Args:
        recipe: Names the model, and says what learns.
        detector: KFD's, or MARE's module.
        size: Of the pictures that MARE's module sees, pixels; the recipe's comes first.

    Returns:
        The model, and its processor.

    Raises:
        InputError: There is no model's name, detector or size.
        WeightsError, UnknownName: As models/prompted_vlm.
    """
    if not recipe.model:
        raise InputError("Expected the language model's hub name or folder: --model, or model = in the recipe.")
    loadable(recipe.model)
    fitting(detector, recipe.learner)
    dtype = getattr(torch, recipe.dtype)
    if recipe.forgery_prompt and detector is None and pv.is_saved(recipe.model):
        model, processor = pv.load(recipe.model, dtype=dtype)
        if isinstance(model, PeftModel):
            raise InputError(
                f"'{recipe.model}' holds an adapter: expected whole weights to go on from (language = \"full\"). Begin "
                "from the language model, with --detector, or go on by rewards (train/grpo)."
            )
        look_once(pv.expert_of(model))
    else:
        model, processor = pv.plain(recipe.model, recipe.revision, dtype=dtype)
    if recipe.forgery_prompt and pv.expert_of(model) is None:
        if detector is None:
            raise InputError(
                "A forgery prompt needs a detector: expected --detector kfd.safetensors or fdm.safetensors, got none."
            )
        torch.manual_seed(recipe.seed)
        expert = expert_for(detector, recipe.learner, pv.width_of(model), size)
        pv.attach(model, expert, processor)
        look_once(expert)
    if recipe.language == "frozen":
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(".expert.learner." in name)
    return model, processor


_SYSTEMS = {KFD: ("KFD's detector", "train kfd", "runs/kfd"), FDM: ("MARE's module", "train fdm", "runs/mare")}


def fitting(detector: KFD | FDM | None, learner: Mapping[str, Any]) -> None:
    """Refuse a recipe's [learner] that is not of the detector it is given, before a language model is read.

    Args:
        detector: KFD's or MARE's; None fits everything.
        learner: Arguments of the part that learns, as a recipe's [learner] has them.

    Raises:
        InputError: They are those of the other system, or cannot be.
        UnknownName: They are nobody's.
    """
    if detector is None:
        return
    kind, other = (FDM, KFD) if isinstance(detector, FDM) else (KFD, FDM)
    strange = [name for name in learner if name not in LEARNER[kind] and name in LEARNER[other]]
    if strange:
        (is_, _, folder), (for_, command, _) = _SYSTEMS[kind], _SYSTEMS[other]
        raise InputError(
            f"The recipe and the detector do not fit: the recipe's [learner] has {', '.join(strange)}, which is for "
            f"{for_}, and the detector is {is_}. Take a recipe of {folder}, or give --detector what {command} makes."
        )
    known(f"argument of the prompt learner of {kind.__name__}", learner, LEARNER[kind])
    arguments(learner, TraceProjector if kind is FDM else ForgeryPromptLearner, "recipe, [learner]")


def expert_for(
    detector: KFD | FDM, learner: Mapping[str, Any], width: int, size: int | None
) -> ForgeryExpert | TraceExpert:
    """A new expert of a trained detector for a language model.

    Args:
        detector: KFD's or MARE's.
        learner: Arguments of the part that learns, as a recipe's [learner] has them.
        width: Of the language model's embeddings.
        size: Of the pictures that MARE's module sees, pixels; the learner's comes first.

    Raises:
        UnknownName: An argument that the learner of this detector does not have.
        InputError: The arguments are those of the other system, or nobody says the size.
    """
    fitting(detector, learner)
    if not isinstance(detector, FDM):
        with buildable("[learner]"):
            return ForgeryExpert.of(detector, width, **learner)
    options = {"size": size} | dict(learner)
    if options["size"] is None:
        raise InputError(
            "The JSON beside MARE's module does not say how large its pictures are: expected crop.size there, or size "
            "under [learner] in the recipe, the size of the module's own recipe."
        )
    with buildable("[learner]"):
        return TraceExpert.of(detector, width, **options)


@checkpoint.alone
def train(
    recipe: Recipe,
    forensic: Sequence[Path],
    out: Path,
    *,
    general: Sequence[Path] = (),
    detector: Path | None = None,
    crossfit: Path | None = None,
    val: Path | None = None,
    workers: int = 0,
    save_every: int = 200,
    show_every: int = 200,
    log_every: int = 10,
    stop_at_step: int | None = None,
    until: datetime | None = None,
) -> Path | None:
    """Run the recipe; go on where `out` stopped. The loss is KFD's equation 5, of the answers' tokens alone.

    Args:
        recipe: All that decides the weights.
        forensic: Tables and chat JSON that are learnt from together.
        out: Folder of the run.
        general: Chat JSON of other dialogue, for the recipe's share of steps.
        detector: Weights of KFD's detector or of MARE's module.
        crossfit: Folder of modules that have not seen what is learnt from (`train/crossfit`), whose traces take the
            place of those of MARE's module while it learns.
        val: Whose questions are asked while it learns; None asks the first of those it learns from.
        workers: Processes that put batches together.
        save_every: Steps between two checkpoints.
        show_every: Steps between two looks at sample replies.
        log_every: Steps between two lines of the log.
        stop_at_step: Stops after so many steps, with a checkpoint.
        until: When training has to be over: a cosine then falls with the clock where the steps alone would be slower.

    Returns:
        The folder of the finished model; None where `stop_at_step` came first.

    Raises:
        InputError: Data that does not fit, or `out` holds a run of another recipe or other data.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if recipe.batch_size % (recipe.micro_batch_size * world):
        raise InputError(
            f"batch_size = {recipe.batch_size}: expected a multiple of micro_batch_size times the processes, "
            f"{recipe.micro_batch_size} · {world}"
        )
    examples = [example for path in forensic for example in chats.read(path, recipe.quoted)]
    dialogue = [example for path in general for example in chats.read(path)] if recipe.share else []
    draws = Draws(examples, dialogue, recipe.share, recipe.batch_size, recipe.seed)
    steps = recipe.steps or max(1, round((recipe.epochs or 0) * len(examples) / recipe.batch_size / (1 - recipe.share)))
    end = min(steps, recipe.stop_at_step or steps)
    held_out = (examples if val is None else chats.read(val, recipe.quoted))[:_SAMPLES]
    facts = _facts(recipe, steps, [*forensic, *general], detector if recipe.forgery_prompt else None)
    apart = None if crossfit is None else Crossfit.read(crossfit)
    facts |= {} if apart is None else {"crossfit_sha256": checkpoint.sha256(apart.folder / CARD)}
    same_run(out, facts)
    last_step(end, stop_at_step, checkpoint.steps_done(out))
    seeing, card = (None, {}) if detector is None or not recipe.forgery_prompt else detector_of(detector)
    model, processor = make(recipe, seeing, card.get("crop", {}).get("size"))
    evidence = pv.placeholders(model) if recipe.forgery_prompt else ""
    if apart is not None:
        tell(model, processor, examples, apart)
    watch = _Watch(out, processor, held_out, recipe, show_every, min(end, stop_at_step or end), until)
    trainer = trl.SFTTrainer(
        model,
        args=_arguments(recipe, out, steps, world, workers, save_every, log_every),
        train_dataset=dataset(draws, steps * recipe.batch_size, evidence),
        processing_class=processor,
        peft_config=pv.language_lora(model, **recipe.lora) if recipe.language == "lora" else None,
        optimizer_cls_and_kwargs=optimizer(recipe),
        callbacks=[watch],
    )
    trainer.remove_callback(PrinterCallback)
    watch.alone = not trainer.is_fsdp_enabled
    if trainer.is_world_process_zero():
        write_whole(out / "resolved.json", json.dumps(facts, indent=1).encode())
    last = last_checkpoint(out)
    if last is not None:  # TRL would count from nothing
        trainer._total_train_tokens = checkpoint.tokens(last)
    with pv.own_names(model), going_on(last, watch):
        if last is not None and end < steps and int(last.name.rpartition("-")[2]) >= end:
            trainer._load_from_checkpoint(str(last))  # killed between its last step and saving the model
        else:
            with not_from_here():  # it starts processes of its own
                trainer.train(resume_from_checkpoint=None if last is None else str(last))
            if trainer.state.global_step < end and not watch.over:
                return None
    whole = trainer.accelerator.unwrap_model(trainer.model)
    if trainer.is_fsdp_enabled:  # every process gives its part, and the first one puts them into a model of its own
        state = trainer.accelerator.get_state_dict(trainer.model)
        if trainer.is_world_process_zero():
            whole, _ = make(recipe, seeing, card.get("crop", {}).get("size"))
            if recipe.language == "lora":
                whole = _adapted(whole, recipe)
            whole.load_state_dict(state)
    if trainer.is_world_process_zero():
        finite(whole)
        turns = max(sum(role == "user" for role, _ in example.before) for example in examples)
        _save(whole, processor, recipe, out / "model", turns)
    return out / "model"


def _adapted(model: Any, recipe: Any, **options: Any) -> PeftModel:
    """A model with the adapter of LoRA. What peft asks transformers on the way is told there to be out of date."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        return get_peft_model(model, pv.language_lora(model, **recipe.lora), **options)


def detector_planned(path: Path, page: Plan) -> tuple[Any, dict[str, Any]]:
    """A detector's shapes on meta, and its card.

    Args:
        path: Its saved weights, or the recipe (.toml) that would train it.
        page: Takes what is checked.

    Returns:
        The detector, and its card.

    Raises:
        WeightsError: Weights that cannot be read.
        InputError: A recipe that cannot be.
    """
    if path.suffix != ".toml":
        detector, card = detector_of(path)
        return detector.to("meta"), card
    from facewitness.train import fdm, kfd  # what trains detectors is of another extra than what trains language models

    if "encoders" in parsed(path):
        recipe = kfd.Recipe.read(path)
        return kfd.blank(recipe, page), {"crop": {"margin": recipe.margin}}
    module = fdm.Recipe.read(path)
    return fdm.blank(module), {"crop": {"size": module.size}}


def with_expert(
    page: Plan, recipe: Any, detector: Path | None, learner: Mapping[str, Any], *, needed: bool
) -> tuple[Any, int]:
    """The language model of a recipe on meta, with the expert of a detector and the adapter of LoRA.

    Args:
        page: Takes what is checked.
        recipe: Of this file or of `train/grpo`.
        detector: Its weights, or the recipe that trains it; None for a model without an expert.
        learner: Arguments of the part that learns.
        needed: Whether the lack of a detector is an error.

    Returns:
        The model, and how many tokens a question has.

    Raises:
        UnknownName: A family or an argument that is not known.
        InputError: What does not fit, as at the first step.
    """
    model = page.blank(recipe.model, recipe.dtype)
    if model.config.model_type not in pv.FAMILIES:
        raise UnknownName("family of vision-language models", model.config.model_type, pv.FAMILIES)
    folder = at_home(recipe.model)
    if any((folder / file).is_file() for file in ("tokenizer.json", "tokenizer_config.json")):
        pv.processor_of(folder, recipe.model, model.config)
        page.passed("its tokenizer and its template write the picture's placeholder")
    shown = picture_tokens(model)
    tokens = shown + _WORDS
    if detector is not None:
        seeing, card = detector_planned(detector, page)
        with torch.device("meta"):
            expert = expert_for(seeing, learner, pv.width_of(model), card.get("crop", {}).get("size"))
        sees(page, model, expert)
        pv.mount(model, expert, pv.Prompt("<forgery>", model.config.get_text_config().vocab_size - 1, expert.n_tokens,
                                          (0.5,) * 3, (0.5,) * 3))  # fmt: skip
        tokens += expert.n_tokens
    elif needed:
        named = "runs/kfd/published.toml" if learner.keys() - LEARNER[FDM] else "runs/fdm/recipe.toml"
        raise InputError(
            "A forgery prompt needs a detector: expected --detector with its weights, or with the recipe that trains "
            f"it ({named}), got none."
        )
    if recipe.language == "lora":
        model = _adapted(model, recipe, low_cpu_mem_usage=True)
    elif recipe.language == "frozen":
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(".expert.learner." in name)
    page.facts.append(f"tokens of a question: {tokens}, of them {shown} of a 224 px picture and about {_WORDS} words")
    return model, tokens


def plan(recipe: Recipe, detector: Path | None = None, examples: int | None = None, processes: int = 1) -> Plan:
    """What the run needs, without a byte of weights.

    Args:
        recipe: With a model that `train/published.json` lists, or the folder of one.
        detector: Its weights, or the recipe that trains it.
        examples: How many answers there are to learn; None where no data was named.
        processes: That share the run.

    Raises:
        UnknownName: A name that is not listed.
        InputError: Detector and language model do not fit.
        WeightsError: A folder that cannot be read, or would run code.
    """
    pv.needs_language(at_home(recipe.model))
    page = Plan(f"fine-tuning of {recipe.model}" + (f" on {processes} processes" * (processes > 1)), processes)
    model, learning = with_expert(
        page, recipe, detector if recipe.forgery_prompt else None, recipe.learner, needed=recipe.forgery_prompt
    )
    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    words = Language.of(inner)
    tokens = learning + recipe.max_tokens
    speaks(page, inner, tokens)
    page.holds("the model", model)
    micro = recipe.micro_batch_size
    page.takes(
        "activations", words.activations(micro, tokens, recipe.gradient_checkpointing),
        f"{micro} examples of {tokens} tokens" + ", checkpointed" * recipe.gradient_checkpointing,
    )  # fmt: skip
    page.takes("scores of words", words.logits(micro, tokens), f"{words.vocabulary:,} words")
    steps = page.steps(recipe.steps, recipe.batch_size, examples, recipe.epochs)
    if steps is not None:
        flops = words.flops(tokens, recipe.language == "full", recipe.gradient_checkpointing)
        page.works("learning", flops * steps * recipe.batch_size, f"{tokens} tokens an example")
    return page


def optimizer(recipe: Recipe) -> tuple[type[torch.optim.Optimizer], dict[str, float]]:
    """Adam, as KFD states it, or with a decay of its own, and its settings.

    Args:
        recipe: Rate and decay.

    Returns:
        The class and its arguments, as transformers takes them.
    """
    kind = torch.optim.AdamW if recipe.decoupled else torch.optim.Adam
    return kind, {"lr": recipe.lr, "weight_decay": recipe.weight_decay}


def _arguments(
    recipe: Recipe, out: Path, steps: int, world: int, workers: int, save_every: int, log_every: int
) -> Any:  # fmt: skip
    schedule = "cosine" if recipe.cosine else "constant_with_warmup" if recipe.warmup else "constant"
    return trl.SFTConfig(
        output_dir=str(out / "checkpoints"),
        max_steps=steps,
        per_device_train_batch_size=recipe.micro_batch_size,
        gradient_accumulation_steps=recipe.batch_size // (recipe.micro_batch_size * world),
        learning_rate=recipe.lr,
        weight_decay=recipe.weight_decay,
        lr_scheduler_type=schedule,
        warmup_steps=recipe.warmup,
        completion_only_loss=True,  # equation 5
        max_length=None,  # a cut prompt would lose its placeholders
        bf16=recipe.bf16,
        gradient_checkpointing=recipe.gradient_checkpointing,
        train_sampling_strategy="sequential",  # `Draws` has shuffled
        remove_unused_columns=False,
        seed=recipe.seed,
        dataloader_num_workers=workers,
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
        logging_steps=log_every,
        logging_nan_inf_filter=False,  # it would show a lost run as a loss of 0
        save_steps=save_every,
        save_total_limit=2,  # a kill may leave the last one half written
        report_to=[],
        disable_tqdm=True,  # `Watch` has the bar
    )


def _save(model: Any, processor: Any, recipe: Recipe, folder: Path, turns: int) -> None:
    """Where the language model is the hub's or another folder's, but for an adapter, its weights are not written."""
    model.eval()
    if not recipe.forgery_prompt:
        plain = model.merge_and_unload() if isinstance(model, PeftModel) else model
        plain.save_pretrained(folder)
        processor.save_pretrained(folder)
    else:
        local = pv.base_of(recipe.model)
        base = None if recipe.language == "full" else str(local.resolve() if local.is_dir() else recipe.model)
        pv.save(model, processor, folder, base, recipe.revision, pv.Taught(recipe.quoted, turns))


# ----------------------------------------------------------------------------------------------- what a run leaves


class _Watch(Watch):
    """With the answers to the first questions, as they are and as they should be, in samples.jsonl too."""

    def __init__(
        self, out: Path, processor: Any, asked: Sequence[Example], recipe: Recipe, every: int,
        stop_at_step: int | None, until: datetime | None,
    ):  # fmt: skip
        super().__init__(out, every, stop_at_step, until)
        self.processor, self.asked, self.max_tokens = processor, asked, recipe.max_tokens
        self.parse = plugins.get("grammars", recipe.grammar).parse

    def show(self, model: Any, step: int) -> None:
        """The likeliest answers."""
        texts = [example.before[-1][1] for example in self.asked]
        shown = [example.pictures()[0] for example in self.asked]
        replies = pv.answers(model, self.processor, shown, texts, self.max_tokens)
        with open(self.out / "samples.jsonl", "a", encoding="utf-8") as file:
            for example, text, reply in zip(self.asked, texts, replies, strict=True):
                row = {
                    "step": step, "question": text, "reply": reply, "label": self.parse(reply).label,
                    "answer": example.answer,
                }  # fmt: skip
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                shown_text = f"step {step}: {text}\n  it says     {reply}\n  is to say   {example.answer}"
                self.bar.console.print(shown_text, markup=False)  # a reply may hold anything, "[/b]" too


def _facts(recipe: Recipe, steps: int, data: Sequence[Path], detector: Path | None) -> dict[str, Any]:
    """What it takes to run it again."""
    return {
        "recipe": asdict(recipe),
        "steps": steps,
        "data": [{"file": path.name, "sha256": checkpoint.sha256(path)} for path in data],
        "detector_sha256": None if detector is None else checkpoint.sha256(detector),
        "model_sha256": checkpoint.weights_of(recipe.model),
        "versions": {module.__name__: module.__version__ for module in (torch, transformers, trl, np)},
        "commit": checkpoint.commit(),
    }


# --------------------------------------------------------------------------------------------------------- by command
