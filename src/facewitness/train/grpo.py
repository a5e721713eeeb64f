"""Teaches a language model by rewards to put its boxes where its words are: MARE's second stage, GRPO by TRL.

    facewitness train grpo RECIPE --data dma.parquet --model SFT_FOLDER --out DIR
    facewitness train grpo RECIPE --data dma.parquet --detector fdm.safetensors --out DIR    a plain model, by name
    facewitness train grpo RECIPE --plan --detector runs/fdm/recipe.toml                     what it needs, by count
        [--val dma.parquet] [--unseen PACK] [--steps N] [--until TIME] [--seed N] [--without REWARD …]
    torchrun --nproc-per-node 8 -m facewitness train grpo RECIPE …             the same on several GPUs, or processes

Xu et al., "MARE: Multimodal Alignment and Reinforcement for Explainable Deepfake Detection", sections 3.3 and 3.5. To
each prompt the model draws a group of replies; `train/rewards` judges them, Eq. 2 to 6 and their weighted sum Eq. 11;
what a reply got above its group's mean, in standard deviations of the group, is its advantage (Shao et al.,
"DeepSeekMath", 2024, section 4.1), and a KL term holds the model near the one that training began with. SFT_FOLDER is
what `train/sft` made of a model, with whatever expert it carries. A plain model, by its folder or hub name, gets the
expert of figure 2 with `--detector`: the module is trained first and stays as it is, its projector learns by rewards
with the adapter. The prompt is the one of `builders/dma`, put together as in `train/sft`.

Where the paper is silent, which is everywhere but for "VLM-R1", "GRPO" and three models' names
    rewards   weights β of Eq. 11, and what stands beside them against naming every region: see `train/rewards`
    loss      GRPO's own: the mean over a reply's tokens, then over replies. `loss` names TRL's others
    dropout   none: the policy that learns is the one that spoke
    expert    its detector stays as it is, what turns its evidence into tokens learns. A frozen detector looks once at
              each picture, not once for every reply to it
    reference a copy of the whole model, expert included, but for a new LoRA adapter, where it is the model without it.
              Of an adapter that is trained further the copy shares what never learns, which is nearly all

Each step's rewards stand by themselves, with mean and standard deviation, in log.csv, TensorBoard and curve.svg. A run
stops with a sentence where a reward collapses (`Stop`). In OUT besides: model/, checkpoints/, resolved.json,
samples.jsonl (the likeliest replies to four prompts while it learned) and, with `--val`, what `train/paired` writes of
the likeliest replies and, in drawn/, of drawn ones.

A killed run goes on from its last whole checkpoint. Prompt k of step i is drawn from (seed, i, k) alone, and the state
of every generator is in the checkpoint: on a CPU the rest comes out bit for bit as without the kill
(tests/test_train_grpo.py). On a GPU, and with vLLM, sums are not always added in the same order; one token drawn
otherwise, and replies differ from there on: the same prompts, another run in the details. So it is where the learning
rate falls with the clock (--until).
"""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from facewitness.models import prompted_vlm as pv  # first: it mends torchvision for what follows

import transformers  # isort: skip
import trl  # isort: skip
from datasets import Dataset  # isort: skip
from peft import PeftModel  # isort: skip
from transformers import PrinterCallback  # isort: skip
from trl.trainer.utils import add_fused_lm_head  # isort: skip

from facewitness.builders.chats import Example
from facewitness.builders.pack import Pack
from facewitness.errors import Collapse, InputError, MissingExtra
from facewitness.files import at_home, write_whole
from facewitness.models._remembered import look_once
from facewitness.models.forgery_expert import DETECTOR
from facewitness.models.trace_expert import MODULE
from facewitness.processes import not_from_here
from facewitness.train import checkpoint, paired
from facewitness.train.checkpoint import last_checkpoint, same_run
from facewitness.train.plan import GIB, Language, Plan, loadable, speaks
from facewitness.train.recipe import MOST, at_least, at_most, known, of_lora, of_steps_or_epochs, read_recipe
from facewitness.train.rewards import WEIGHTS, Rewards
from facewitness.train.schedule import last_step
from facewitness.train.sft import LEARNER, detector_of, expert_for, fitting, with_expert
from facewitness.train.tuning import Draws, Watch, finite, going_on, numbered

_SAMPLES = 4  # prompts whose replies are shown while it learns


# -------------------------------------------------------------------------------------------------------- the recipe


@dataclass(frozen=True)
class Stop:
    """When a run is given up. All are about `window` steps in a row, so that one bad draw stops nothing.

    Attributes:
        window: Steps.
        share: A paid reward's mean fell below this share of its best mean over as many steps before. A run younger than
            two windows is judged by its halves, down to half a window each.
        floor: Which must have been at least so much: of almost nothing, little can be lost.
        cut: More than this share of replies was cut off at `max_tokens`.
        same: In no group did replies differ in reward: there is nothing to learn from. False lets that pass.

    Raises:
        InputError: A value that cannot be.
    """

    window: int = 20
    share: float = 0.5
    floor: float = 0.05
    cut: float = 0.9
    same: bool = True

    def __post_init__(self) -> None:
        if self.window < 1 or not 0 <= self.share <= 1 or not 0 <= self.cut <= 1 or self.floor < 0:
            raise InputError(
                "recipe, stop: expected a window from 1, share and cut from 0 to 1 and a floor from 0, got "
                f"{dataclasses.asdict(self)}"
            )

    def reason(self, log: Sequence[Mapping[str, Any]], paid: Sequence[str]) -> str | None:
        """Why to stop after these steps, None to go on.

        Args:
            log: TRL's lines, one a step.
            paid: Rewards with a weight above 0.
        """
        if not log:
            return None
        for name in ("loss", "grad_norm", "kl"):
            if not math.isfinite(log[-1].get(name) or 0.0):
                return f"{name} is {log[-1][name]}: the weights are lost. Take a smaller lr, or bf16 = false."
        n = self.window
        for name in paid:
            means = [_mean([row], f"rewards/{name}/mean") for row in log]
            if fallen := self._fallen([value for value in means if value is not None]):
                best, now, count = fallen
                return (
                    f"the reward '{name}' collapsed: its mean over {count} steps fell from {best:.3f} to {now:.3f}, "
                    f"below {self.share:g} of what it was. The model is paid by other means, samples.jsonl shows "
                    f"which. Take a smaller lr, a larger beta, or a larger weight for {name}."
                )
        recent = log[-n:]
        if len(recent) < n:
            return None
        if self.same and all(row["frac_reward_zero_std"] == 1 for row in recent):
            return (
                f"for {n} steps all replies of every group had the same reward, so nothing can be learnt. Raise the "
                "temperature or group_size, choose other rewards, or, where all are 0, fine-tune longer before."
            )
        if (share := _mean(recent, "completions/clipped_ratio")) is not None and share > self.cut:
            return (
                f"over {n} steps {share:.0%} of replies did not end before they were cut off. Raise max_tokens, "
                "fine-tune longer before so that the model learns to end, or look in samples.jsonl at what it repeats."
            )
        return None

    def _fallen(self, means: Sequence[float]) -> tuple[float, float, int] | None:
        """(best mean of so many steps, mean of the last so many, how many) where that is too little; else None."""
        count = min(self.window, len(means) // 2)
        if count < max(1, self.window // 2):
            return None
        rolling = np.convolve(means, np.full(count, 1 / count), "valid")
        best, now = float(rolling[:-count].max()), float(rolling[-1])
        return (best, now, count) if best >= self.floor and now < self.share * best else None


def _mean(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    known = [row[name] for row in rows if row.get(name) is not None]
    return float(np.mean(known)) if known else None


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights, but for the data and what training starts from.

    Attributes:
        model: Folder of `train/sft`, or a plain model's folder or hub name.
        revision: Of a hub name.
        forgery_prompt: True demands an expert: the model's own, or one of --detector; False takes the model as it is.
        learner: Arguments of the expert's part that learns, as in `train/sft`, where --detector makes a new one.
        language: "lora", "full": how it learns. An adapter that the folder has is trained further (its rank stays),
            with "full" it is merged first.
        lora: rank, alpha, dropout of a new adapter.
        rewards: Name → weight; `train/rewards` says what there is. Weight 0 pays nothing and is logged.
        without: Rewards that pay nothing all the same, for ablations.
        group_size: Replies drawn to each prompt.
        prompts: A step, of all processes together.
        micro_batch_size: Replies a process computes the gradient of at once: the rest is accumulated.
        temperature: Of drawing, as `top_p`.
        max_tokens: Of a reply, longer ones are cut off.
        beta: Weight of the KL term; 0 needs no reference model.
        epsilon: ε of the clipped ratio; it never binds while each draw of replies is used for one step, as here.
        loss: "grpo", or another of TRL's: "dapo", "dr_grpo", "bnpo".
        scale: What an advantage is divided by: the standard deviation of rewards in its "group", in the "batch", or
            "none". In a group whose replies got nearly the same, the first makes much of next to nothing.
        steps: Or `epochs`, one of the two; an epoch shows each annotation once.
        warmup: Steps in which the learning rate rises.
        cosine: Whether it falls to 0 after them, or stays.
        dtype: Precision of the model's weights.
        bf16: Compute in bfloat16 (autocast).
        gradient_checkpointing: Compute activations again in the backward pass, to save memory.
        vllm: "": transformers draws the replies. "colocate": vLLM does, on the GPUs that train, in `vllm_memory` of
            their memory. "server": a vLLM server on this machine, started with `trl vllm-serve`. Only for models
            without an expert, which vLLM does not know.
        stop: When to give up, see `Stop`.
    """

    model: str = ""
    revision: str | None = None
    forgery_prompt: bool = False
    learner: dict[str, Any] = field(default_factory=dict)
    language: str = "lora"
    lora: dict[str, Any] = field(default_factory=dict)
    rewards: dict[str, float] = field(default_factory=lambda: dict(WEIGHTS))
    without: tuple[str, ...] = ()
    group_size: int = 8
    prompts: int = 8
    micro_batch_size: int = 8
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 256
    beta: float = 0.04
    epsilon: float = 0.2
    loss: str = "grpo"
    scale: str = "group"
    steps: int | None = None
    epochs: float | None = None
    lr: float = 1e-6
    weight_decay: float = 0.0
    warmup: int = 0
    cosine: bool = False
    dtype: str = "float32"
    bf16: bool = False
    gradient_checkpointing: bool = False
    vllm: str = ""
    vllm_memory: float = 0.3
    stop: Stop = field(default_factory=Stop)
    seed: int = 0

    def __post_init__(self) -> None:
        of_steps_or_epochs(self)
        at_least(self, group_size=2, prompts=1, micro_batch_size=1, max_tokens=1, steps=1)
        at_most(self, MOST, "group_size", "prompts", "micro_batch_size", "max_tokens")
        at_most(self, 1e6, "temperature", "beta", "epsilon")
        if not (self.temperature > 0 and 0 < self.top_p <= 1 and self.beta >= 0 and self.epsilon > 0 and self.lr > 0):
            raise InputError(
                "recipe: expected temperature, epsilon and lr above 0, top_p in (0, 1] and beta from 0, got "
                f"{self.temperature}, {self.epsilon}, {self.lr}, {self.top_p} and {self.beta}"
            )
        known("way to train the language model", [self.language], ("lora", "full"))
        known("precision of weights", [self.dtype], ("float32", "bfloat16", "float16"))
        known("loss", [self.loss], ("grpo", "dapo", "dr_grpo", "bnpo"))
        known("scale of advantages", [self.scale], ("group", "batch", "none"))
        known("way of vLLM", [self.vllm], ("", "colocate", "server"))
        if not 0 < self.vllm_memory <= 1:
            raise InputError(f"recipe: expected vllm_memory as a share above 0 and up to 1, got {self.vllm_memory}")
        of_lora(self.lora)
        known("argument of the prompt learner", self.learner, set().union(*LEARNER.values()))
        if self.vllm and self.forgery_prompt:
            raise InputError(
                f'recipe: vllm = "{self.vllm}" with a forgery prompt: vLLM cannot be given an expert\'s embeddings '
                'beside a picture\'s (docs/training.md says why). Set vllm = "", or forgery_prompt = false.'
            )
        self.judged, self.paid  # noqa: B018  (they raise for names and weights that are none)
        known("reward of the recipe", self.without, self.rewards)

    @property
    def judged(self) -> Rewards:
        """All rewards with the weights that replies are measured by."""
        return Rewards(self.rewards)

    @property
    def paid(self) -> Rewards:
        """The same with the weights that are paid in training: 0 for what the run is without."""
        return Rewards({name: 0.0 if name in self.without else weight for name, weight in self.rewards.items()})

    @classmethod
    def read(cls, path: Path, changes: Sequence[str] = ()) -> Recipe:
        """From TOML.

        Args:
            path: The TOML file.
            changes: Settings "key=value" or "table.key=value" that take the place of the file's.

        Raises:
            UnknownName: With the nearest known key, for a key that nothing has.
            InputError: Else.
        """
        return read_recipe(cls, path, changes)


# ---------------------------------------------------------------------------------------------------------- the data


def dataset(rows: Sequence[paired.Row], recipe: Recipe, steps: int, evidence: str) -> Any:
    """What TRL draws replies to: prompt, picture and what is true, put together when they are asked for.

    Args:
        rows: Of `train/paired.read`.
        recipe: How many prompts a step.
        steps: How many steps.
        evidence: The placeholders of an expert, "" without one.
    """
    draws: Any = Draws(rows, [], Fraction(0), recipe.prompts, recipe.seed)

    def shown(asked: Mapping[str, Sequence[int]]) -> dict[str, list[Any]]:
        drawn = [draws[i][0] for i in asked["index"]]
        examples = [Example((("user", row["prompt"]),), row["reply"], (row["image"],)) for row in drawn]
        return {
            "prompt": [example.messages(evidence) for example in examples],
            "images": [example.pictures() for example in examples],
            **paired.columns(drawn),
        }

    return Dataset.from_dict({"index": numbered(steps * recipe.prompts)}).with_transform(shown)


# --------------------------------------------------------------------------------------------------------- the model


def make(recipe: Recipe, detector: Path | None = None) -> tuple[Any, Any]:
    """The model as training begins, before a new adapter, and its processor.

    Args:
        recipe: Names the model.
        detector: Weights of MARE's module, or of KFD's detector, for a model without an expert.

    Returns:
        The model, and its processor.

    Raises:
        InputError: There is no model's name; the recipe demands an expert and there is none, or the model has one
            besides the detector; vLLM would have to know an expert.
        MissingExtra: vLLM is asked for and not installed.
        WeightsError, UnknownName: As models/prompted_vlm.
    """
    if not recipe.model:
        raise InputError(
            "Expected what `train/sft` made, or a model's hub name or folder: --model, or model = in TOML."
        )
    if recipe.vllm and importlib.util.find_spec("vllm") is None:
        raise MissingExtra(
            f"vllm = \"{recipe.vllm}\" needs the package 'vllm', which is not installed. Try: pip install vllm, on a "
            'machine with a GPU that it knows, or set vllm = "" and transformers draws the replies.'
        )
    loadable(recipe.model)
    precision = getattr(torch, recipe.dtype)
    saved = pv.is_saved(recipe.model)
    if saved and detector is not None:
        raise InputError(
            f"'{recipe.model}' has an expert already: expected it without --detector, or a plain model with it."
        )
    if recipe.forgery_prompt and not saved and detector is None:
        raise InputError(
            f"The recipe demands a forgery prompt and '{recipe.model}' is a plain model: expected --detector with the "
            "weights of MARE's module (facewitness train fdm), or --model with what `train sft` made."
        )
    if saved:
        model, processor = pv.load(recipe.model, trainable=True, dtype=precision)
    else:
        seeing, card = (None, {}) if detector is None else detector_of(detector)  # before gigabytes are read
        fitting(seeing, recipe.learner)
        model, processor = pv.plain(recipe.model, recipe.revision, dtype=precision)
        if seeing is not None:
            torch.manual_seed(recipe.seed)
            size = card.get("crop", {}).get("size")
            pv.attach(model, expert_for(seeing, recipe.learner, pv.width_of(model), size), processor)
    if recipe.vllm and pv.expert_of(model) is not None:
        raise InputError(
            f"vllm = \"{recipe.vllm}\": '{recipe.model}' has an expert, whose embeddings vLLM cannot be given. "
            'Set vllm = "", or train a model without an expert.'
        )
    if isinstance(model, PeftModel) and recipe.language == "full":
        learning = {_plain_name(name) for name, p in model.named_parameters() if p.requires_grad}
        model = model.merge_and_unload()
        for name, parameter in model.named_parameters():  # of the expert, what the adapter trained; all else
            parameter.requires_grad_(".expert." not in name or name in learning)
    if (expert := pv.expert_of(model)) is not None:
        look_once(expert)
    return model, processor


def _plain_name(name: str) -> str:
    return name.removeprefix("base_model.model.").replace(".modules_to_save.default", "")


def reference(model: Any) -> Any:
    """A copy of a model as it is now, which does not learn. What never learns in the model itself is shared with it.

    Not where FSDP or DeepSpeed puts each model's weights into parts, in place.

    Args:
        model: As training begins.
    """
    in_parts = any(os.environ.get(f"ACCELERATE_USE_{name}") == "true" for name in ("FSDP", "DEEPSPEED"))
    frozen = {} if in_parts else {id(p): p for p in model.parameters() if not p.requires_grad}
    return copy.deepcopy(model, frozen).requires_grad_(False)


class _Trainer(trl.GRPOTrainer):
    """TRL's, with a reference of ours where there is one.

    TRL would load it anew by its name, without the expert; and where a folder's adapter is trained further, TRL keeps a
    copy as a second adapter, which its checkpoints then take for the first.
    """

    def __init__(self, model: Any, args: Any, reference: Any, **options: Any):
        beta = args.beta
        args.beta = beta if reference is None else 0.0
        super().__init__(model, args=args, **options)
        args.beta = self.beta = beta
        if reference is not None:
            base = reference.get_base_model() if isinstance(reference, PeftModel) else reference
            add_fused_lm_head(base, temperature=self.temperature)
            self.ref_model = self.accelerator.prepare_model(reference.eval(), evaluation_mode=True)


# ------------------------------------------------------------------------------------------------------ the training


@checkpoint.alone
def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    detector: Path | None = None,
    val: Path | None = None,
    unseen: Path | None = None,
    save_every: int = 20,
    show_every: int = 20,
    stop_at_step: int | None = None,
    until: datetime | None = None,
) -> Path | None:
    """Run the recipe; go on where `out` stopped. It maximises equation 11 over groups of replies.

    Args:
        recipe: All that decides the weights.
        data: dma.parquet.
        out: Folder of the run.
        detector: Weights of MARE's module for a plain model, see `make`.
        val: Whose first prompts are answered while it learns; None takes the first of those it learns from.
        unseen: The pack that MARE's module learnt from: prompts are of pictures alone that were held out. On those that
            it learnt from, its score is nearly always right, and no reward teaches what to say when it is not.
        save_every: Steps between two checkpoints.
        show_every: Steps between two looks at sample replies.
        stop_at_step: Stops after so many steps, with a checkpoint and the model as it is then, in model-STEP/.
        until: When training has to be over: a cosine then falls with the clock where the steps alone would be slower.

    Returns:
        The folder of the finished model; None where `stop_at_step` came first.

    Raises:
        Collapse: `Stop` says so.
        InputError: Data that does not fit, people in `val` that are in `data` too, or `out` holds a run of another
            recipe or other data.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if recipe.group_size * recipe.prompts % (recipe.micro_batch_size * world):
        raise InputError(
            f"{recipe.prompts} prompts with {recipe.group_size} replies each: expected a multiple of "
            f"micro_batch_size times the processes, {recipe.micro_batch_size} · {world}"
        )
    rows = paired.read(data) if unseen is None else _unseen(paired.read(data), unseen)
    val_rows = rows if val is None else _apart(paired.read(val), rows, val)
    steps = recipe.steps or max(1, round((recipe.epochs or 0) * len(rows) / recipe.prompts))
    expert = Path(recipe.model) / "expert.safetensors" if detector is None else detector
    facts = {
        "recipe": dataclasses.asdict(recipe),
        "steps": steps,
        "data": [
            {"file": path.name, "sha256": checkpoint.sha256(path)}
            for path in (data, *(() if unseen is None else (unseen / "rows.json",)))
        ],
        "detector_sha256": checkpoint.sha256(expert) if expert.exists() else None,
        "model_sha256": checkpoint.weights_of(recipe.model),
        "versions": {module.__name__: module.__version__ for module in (torch, transformers, trl, np)},
        "commit": checkpoint.commit(),
    }
    same_run(out, facts)
    last_step(steps, stop_at_step, checkpoint.steps_done(out))
    model, processor = make(recipe, detector)
    rewards = recipe.paid
    rewards.judge([rows[0]["reply"]], **paired.columns(rows[:1]))  # raises here, not after a step, what a reward lacks
    adapter = recipe.language == "lora" and not isinstance(model, PeftModel)
    watch = _Watch(out, processor, _several(val_rows), recipe, show_every, stop_at_step, until)
    trainer = _Trainer(
        model,
        _arguments(recipe, out, steps, world, save_every, pv.unspoken(model)),
        reference(model) if recipe.beta and not adapter else None,
        reward_funcs=rewards.functions,
        train_dataset=dataset(rows, recipe, steps, "" if pv.expert_of(model) is None else pv.placeholders(model)),
        processing_class=processor,
        peft_config=pv.language_lora(model, **recipe.lora) if adapter else None,
        callbacks=[watch],
    )
    trainer.remove_callback(PrinterCallback)
    if trainer.is_world_process_zero():
        write_whole(out / "resolved.json", json.dumps(facts, indent=1).encode())
    last = last_checkpoint(out)
    with pv.own_names(model), going_on(last, watch), not_from_here():  # it starts processes of its own
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
    if watch.why is not None:
        kept = last_checkpoint(out)
        raise Collapse(
            f"GRPO stopped at step {trainer.state.global_step}: {watch.why} Begin again in another folder; "
            f"{'no checkpoint was written yet' if kept is None else f'the last checkpoint is {kept}'}."
        )
    step = trainer.state.global_step
    done = step >= steps or watch.over
    model_folder = out / ("model" if done else f"model-{step}")
    if trainer.is_world_process_zero():
        finite(trainer.model)
        _save(trainer.accelerator.unwrap_model(trainer.model), processor, recipe, model_folder)
    return model_folder if done else None


@checkpoint.alone
def measure(
    recipe: Recipe, model: Path, val: Path, out: Path, *, before: Path | None = None, samples: int = 4,
    likeliest: bool = True,
) -> list[Path]:  # fmt: skip
    """What the run gained on a table of other people, by `train/paired`.

    Args:
        recipe: Its rewards and sampling.
        model: The trained model; the recipe's is what training began with.
        val: dma.parquet.
        out: Folder of the run; drawn replies go to drawn/.
        before: An earlier run whose replies before training are taken.
        samples: Replies drawn to each prompt; 0 draws none.
        likeliest: Whether the likeliest reply is measured, too.

    Returns:
        The pages written.
    """
    pages = []
    for place, count in [("", 0)] * likeliest + [("drawn", samples)] * (samples > 0):
        start = recipe.model if before is None else before / place / "before.jsonl"
        asking = paired.Asking(recipe.max_tokens, count, recipe.temperature, recipe.top_p, seed=recipe.seed)
        facts = {"without": list(recipe.without)}
        paired.compare(start, model, val, out / place, rewards=recipe.judged, asking=asking, facts=facts)
        pages.append(out / place / "before_after.md")
    return pages


def _unseen(rows: Sequence[paired.Row], pack: Path) -> list[paired.Row]:
    """The rows about pictures that the pack holds out; a table may name them with another ending."""
    held_out = {Path(row["file"]).stem for row in Pack(pack).rows if row["split"] == "calibrate"}
    kept = [row for row in rows if Path(row["file"]).stem in held_out]
    if not kept:
        raise InputError(
            f"'{pack}': expected a pack that holds out some of the {len(rows)} annotated pictures, got none"
        )
    return kept


def _apart(val: list[paired.Row], rows: Sequence[paired.Row], path: Path) -> list[paired.Row]:
    shared = {row["group"] for row in val} & {row["group"] for row in rows}
    if shared:
        raise InputError(
            f"'{path}': expected people that training does not see, got {len(shared)} groups that are in both tables, "
            f"such as {min(shared)}. Build the two with --split train and --split val."
        )
    return val


def _several(rows: Sequence[paired.Row]) -> list[paired.Row]:
    """A few rows of different pictures, genuine and forged by turns as far as there are both."""
    first = {row["image"]: row for row in reversed(rows)}
    kinds = [[row for row in first.values() if row["label"] == label] for label in ("fake", "real")]
    turns = [row for k in range(_SAMPLES) for kind in kinds for row in kind[k : k + 1]]
    return turns[:_SAMPLES]


def _arguments(recipe: Recipe, out: Path, steps: int, world: int, save_every: int, unspoken: list[int]) -> Any:
    schedule = "cosine" if recipe.cosine else "constant_with_warmup" if recipe.warmup else "constant"
    vllm: dict[str, Any] = {}
    if recipe.vllm:
        vllm = {"use_vllm": True, "vllm_mode": recipe.vllm, "vllm_gpu_memory_utilization": recipe.vllm_memory}
    else:
        vllm = {"generation_kwargs": {"suppress_tokens": unspoken}}
    return trl.GRPOConfig(
        output_dir=str(out / "checkpoints"),
        max_steps=steps,
        num_generations=recipe.group_size,
        per_device_train_batch_size=recipe.micro_batch_size,
        gradient_accumulation_steps=recipe.group_size * recipe.prompts // (recipe.micro_batch_size * world),
        temperature=recipe.temperature,
        top_p=recipe.top_p,
        max_completion_length=recipe.max_tokens,
        beta=recipe.beta,
        epsilon=recipe.epsilon,
        loss_type=recipe.loss,
        scale_rewards=recipe.scale,
        reward_weights=recipe.paid.values,
        learning_rate=recipe.lr,
        weight_decay=recipe.weight_decay,
        lr_scheduler_type=schedule,
        warmup_steps=recipe.warmup,
        disable_dropout=True,
        bf16=recipe.bf16,
        gradient_checkpointing=recipe.gradient_checkpointing,
        shuffle_dataset=False,  # `Draws` has shuffled
        remove_unused_columns=False,
        seed=recipe.seed,
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
        logging_steps=1,  # `Stop` counts them
        logging_nan_inf_filter=False,  # it would show a lost run as a loss of 0
        log_multimodal=False,
        save_steps=save_every,
        save_total_limit=2,  # a kill may leave the last one half written
        report_to=[],
        disable_tqdm=True,  # `_Watch` has the bar
        **vllm,
    )


def _save(model: Any, processor: Any, recipe: Recipe, folder: Path) -> None:
    """As models/prompted_vlm.load takes it, the base's weights left out beside an adapter; without an expert plain."""
    model.eval()
    if pv.expert_of(model) is None:
        whole = model.merge_and_unload() if isinstance(model, PeftModel) else model
        whole.save_pretrained(folder)
        processor.save_pretrained(folder)
        return
    base, revision = None, None
    if isinstance(model, PeftModel) and not pv.is_saved(recipe.model):  # a plain model that --detector gave an expert
        local = Path(recipe.model)
        base, revision = str(local.resolve() if local.is_dir() else recipe.model), recipe.revision
    elif isinstance(model, PeftModel):
        start = Path(recipe.model)
        card = json.loads((start / "prompted.json").read_text(encoding="utf-8"))
        base, revision = card["base"] or str((start / "base").resolve()), card["revision"]
    pv.save(model, processor, folder, base, revision)


# ---------------------------------------------------------------------------------------------------------- the plan

_DRAWN = 1.6e-3  # seconds a layer for each token that transformers draws: its own cost in Python, whatever the card


def plan(recipe: Recipe, detector: Path | None = None, examples: int | None = None, processes: int = 1) -> Plan:
    """What the run needs, without a byte of weights; as `train/sft.plan`, with the replies that are drawn.

    Args:
        recipe: With a model that `train/published.json` lists, or the folder of one.
        detector: Its weights, or the recipe that trains it.
        examples: How many prompts there are; None where no data was named.
        processes: That share the run.

    Raises:
        UnknownName: A name that is not listed.
        InputError: Module and language model do not fit.
        WeightsError: A folder that cannot be read, or would run code.
    """
    page = Plan(f"rewards (GRPO) for {recipe.model}" + (f" on {processes} processes" * (processes > 1)), processes)
    if recipe.group_size * recipe.prompts % (recipe.micro_batch_size * processes):
        raise InputError(
            f"{recipe.prompts} prompts with {recipe.group_size} replies each: expected a multiple of micro_batch_size "
            f"times the processes, {recipe.micro_batch_size} · {processes}"
        )
    folder = at_home(recipe.model)
    goes_on = recipe.language == "lora" and pv.is_saved(folder)
    if detector is None and goes_on:  # what `train sft` put beside its adapter
        detector = next((file for name in (MODULE, DETECTOR) if (file := folder / name).is_file()), None)
    model, asked = with_expert(page, recipe, detector, recipe.learner, needed=recipe.forgery_prompt)
    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    words, tokens = Language.of(inner), asked + recipe.max_tokens
    speaks(page, inner, tokens)
    paid = {name: weight for name, weight in recipe.paid.weights.items() if weight}
    page.passed("rewards: " + ", ".join(f"{name} × {weight:g}" for name, weight in paid.items()))
    page.holds("the model", model)
    if recipe.beta and recipe.language == "full":
        page.takes("the reference", sum(p.numel() * p.element_size() for p in inner.parameters()), "a copy, for KL")
    elif recipe.beta and goes_on:
        learns = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
        page.takes("the reference", learns, "for KL, a copy of what learns")
    replies, micro = recipe.group_size * recipe.prompts, recipe.micro_batch_size
    drawing = words.cache(replies // processes, tokens) + words.logits(replies // processes, 1)
    learning = words.activations(micro, tokens, recipe.gradient_checkpointing)
    learning += words.logits(micro, recipe.max_tokens)
    page.takes(
        "drawing replies, or learning from them, whichever is more", max(drawing, learning),
        f"keys and values of {replies // processes} replies {drawing / GIB:.2f} GiB; activations and scores of "
        f"{micro} {learning / GIB:.2f} GiB",
    )  # fmt: skip
    steps = page.steps(recipe.steps, recipe.prompts, examples, recipe.epochs)
    if steps is not None:
        once = 2 * words.parameters * tokens * replies * steps
        every = steps * recipe.max_tokens  # tokens drawn one after another; a batch of replies at once
        weights = sum(p.numel() * p.element_size() for p in inner.parameters())
        page.works(
            "drawing", once, f"{replies} replies a step, by {'vLLM' if recipe.vllm else 'transformers'}",
            read=every * weights * processes,
            seconds=0.0 if recipe.vllm else every * words.layers * _DRAWN * processes,
        )  # fmt: skip
        flops = words.flops(tokens * replies, recipe.language == "full", recipe.gradient_checkpointing)
        page.works("learning", (flops + (once / steps if recipe.beta else 0)) * steps, "with the reference's pass")
    return page


# ----------------------------------------------------------------------------------------------- what a run leaves


class _Watch(Watch):
    """A progress bar, log.csv, curve.svg and TensorBoard, and replies of the model as it is.

    `why` says why it gave the run up, where it did.
    """

    def __init__(
        self, out: Path, processor: Any, asked: list[paired.Row], recipe: Recipe, every: int,
        stop_at_step: int | None, until: datetime | None,
    ):  # fmt: skip
        super().__init__(out, every, stop_at_step, until)
        self.processor, self.asked, self.recipe = processor, asked, recipe
        self.why: str | None = None

    def on_train_begin(
        self, args: Any, state: Any, control: Any, lr_scheduler: Any = None, model: Any = None, **_: Any
    ) -> None:
        super().on_train_begin(args, state, control, lr_scheduler)
        if state.is_world_process_zero and state.global_step == 0:
            self.show(model, 0)

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        rows = self.rows(state)
        if not rows:
            return
        paid = [name for name, weight in self.recipe.paid.weights.items() if weight]
        if (why := self.recipe.stop.reason(rows, paid)) is not None:  # the same in every process
            self.why, control.should_training_stop = why, True
        if not state.is_world_process_zero:
            return
        last = rows[-1]
        if last["step"] % self.every == 0 or last["step"] == state.max_steps or self.over or why is not None:
            write_whole(self.out / "curve.svg", curve(rows, self.recipe.paid.weights))
        self.bar.update(self.task, description=f"reward {last['reward'] or 0.0:.3f}")
        self.write(rows)

    def show(self, model: Any, step: int) -> None:
        """The likeliest replies, with what each reward gives them."""
        shown, texts = [paired.picture(row) for row in self.asked], [row["prompt"] for row in self.asked]
        replies = pv.answers(model, self.processor, shown, texts, self.recipe.max_tokens)
        values = self.recipe.judged.judge(replies, **paired.columns(self.asked))
        with open(self.out / "samples.jsonl", "a", encoding="utf-8") as file:
            for i, (row, reply) in enumerate(zip(self.asked, replies, strict=True)):
                line = {
                    "step": step, "file": row["file"], "question": row["question"], "label": row["label"],
                    "reply": reply, "people": row["reply"], "rewards": {name: each[i] for name, each in values.items()},
                }  # fmt: skip
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                got = "".join(f"  {name} {each[i]:.2f}" for name, each in values.items() if each[i] is not None)
                self.bar.console.print(
                    f"step {step}: {row['question']}\n  it says     {reply}\n  is to say   {row['reply']}\n{got}",
                    markup=False, highlight=False,  # a reply may hold what rich takes for its own
                )  # fmt: skip


def curve(log: Sequence[Mapping[str, Any]], weights: Mapping[str, float]) -> bytes:
    """The run as a picture: each reward's mean and standard deviation by step, KL, and how long replies were.

    Thin: a step; thick: the mean over ten. The band is one standard deviation over the replies of a step.

    Args:
        log: TRL's lines, one a step.
        weights: β of equation 11, by reward.

    Returns:
        An SVG.
    """
    panels = [("reward", "reward", "reward_std"), *((n, f"rewards/{n}/mean", f"rewards/{n}/std") for n in weights)]
    panels += [("KL", "kl", ""), ("tokens of a reply", "completions/mean_length", "")]
    panels += [("cut off, share", "completions/clipped_ratio", ""), ("groups all alike, share", _ALIKE, "")]
    shown = [panel for panel in panels if any(row.get(panel[1]) is not None for row in log)]
    wide = 3
    tall = -(-len(shown) // wide)
    out = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "facewitness", "font.size": 8.0}):
        figure = Figure(figsize=(3.2 * wide, 1.9 * tall))
        figure.subplots_adjust(0.05, 0.35 / tall / 1.9, 0.99, 1 - 0.25 / tall / 1.9, 0.2, 0.5)
        for place, (title, mean, std) in enumerate(shown):
            axes = figure.add_subplot(tall, wide, place + 1)
            steps = np.array([row["step"] for row in log], np.float64)
            y, spread = (_series(log, name) for name in (mean, std))
            axes.fill_between(steps, y - spread, y + spread, color="tab:blue", alpha=0.12, linewidth=0)
            axes.plot(steps, y, color="tab:blue", alpha=0.4, linewidth=0.7)
            axes.plot(steps, _smooth(y), color="tab:blue", linewidth=1.6)
            paid = f", weight {weights[title]:g}" if title in weights else ""
            axes.set_title(f"{title}{paid}", fontsize=8)
            axes.spines[["top", "right"]].set_visible(False)
            axes.locator_params(nbins=4)
        FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None, "Creator": None})
    return out.getvalue()


_ALIKE = "frac_reward_zero_std"


def _series(log: Sequence[Mapping[str, Any]], name: str) -> Any:
    return np.array([np.nan if row.get(name) is None else row[name] for row in log], np.float64)


def _smooth(y: Any, over: int = 10) -> Any:
    """The mean of each value and up to nine before it, of those that are known."""
    parts = (y[max(0, i + 1 - over) : i + 1] for i in range(len(y)))
    return np.array([np.nan if np.isnan(part).all() else np.nanmean(part) for part in parts])


# --------------------------------------------------------------------------------------------------------- by command
