"""Trains FiFa-MLLM on eleven tasks at once: words, masks between the words, and questions that point.

    facewitness train fifa runs/fifa/small.toml --pack PACK --init-from COMPACT.safetensors --out RUN
    facewitness train fifa runs/fifa/published.toml --plan --processes 4
    torchrun --nproc-per-node 4 -m facewitness train fifa runs/fifa/published.toml --pack PACK --out RUN

Of the paper (arXiv 2510.20531) only the abstract was at hand: the eleven tasks' wordings and shares are ours. Each
picture of a step is asked a few questions of tasks drawn by share; the auxiliary losses of `models/fifa` go along. What
is answered comes from the known mask of a self-made edit (`train/edits`) and the operation that made it
(`train/reports`); a mention's mask is that mask within the concept's polygon.

    detection · kind · region detection           what, in words             region question · box question   yes or no
    image explanation · text-only explanation     why, in words              region parsing · localisation    a mask
    region explanation                            why there                  artefact-grounding explanation   both

What is asked about a picture is drawn from (seed, step, picture) alone, so neither parts nor processes change it. Each
part's losses are divided by its own words and masks. Around a frozen language model LoRA learns and, as in GLaMM's code
(mbzuai-oryx/groundingLMM, train.py), its two tables of words, for [SEG] and <p> are new in them; what never changes is
kept in half precision with bf16. When a run is over LoRA is added to the weights it went beside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.models import fifa
from facewitness.models._encoder import Features
from facewitness.models._reader import Reader, learned
from facewitness.models.compact import read_weights
from facewitness.models.fifa import (
    CLOSE,
    FAKE,
    KIND_ANSWERS,
    NO,
    NOTHING,
    OPEN,
    POINTS,
    QUESTIONS,
    REAL,
    SEG,
    YES,
    Example,
    FiFa,
    Query,
    Truth,
    box_map,
    click_map,
    title,
)
from facewitness.phrases import capital
from facewitness.train import checkpoint, edits, reports, several
from facewitness.train.loop import Batch, Loop, halved, only, precision
from facewitness.train.plan import Language, Plan
from facewitness.train.recipe import above_zero, at_least, buildable, digest, known, of_shares, read_recipe
from facewitness.train.schedule import Schedule, last_step
from facewitness.types import KINDS

TASKS: Mapping[str, float] = {  # share of questions
    "detection": 0.05, "kind": 0.05, "image_explanation": 0.06, "text_explanation": 0.06, "region_explanation": 0.1,
    "grounded_explanation": 0.26, "region_question": 0.14, "box_question": 0.08, "region_parsing": 0.06,
    "localisation": 0.04, "region_detection": 0.1,
}  # fmt: skip
PARSING = 56  # side of the maps of concepts
_FEWEST = 2  # samples of the maps that a concept fills on a crop; below, it is off it
_UNTOUCHED = 0.1  # of a region in the mask, up to which "no" is the truth


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights.

    Attributes:
        kind: "small", from nothing on the compact network's features, or "hub", around the language model `model`.
        draws: What is drawn; a family of FAMILIES left out stays unseen.
        model, revision, encoder: By hub name or folder. A recipe of kind "hub" needs an encoder, which never learns.
        network: Changes to the configuration, such as region_prediction = false.
        steps, batch_size, lr, warmup, weight_decay: Of the run; `asked` questions a picture.
        given: Share of steps in which the mesh says where each concept is, in the place of the network's own parsing.
        loss_weights: Changes to `models/fifa.WEIGHTS`; tasks: changes to TASKS' shares.
        vocabulary: Rows of the small one's tokenizer at most.
        lora: Rank of LoRA around a frozen language model's query and value; 0 for none.
        bf16: Forward and backward in bfloat16, and what never learns kept in it.
        micro_batch_size: Pictures of a process at once: the rest of its share of the batch accumulates. None: all.
        gradient_checkpointing: Compute the language model's activations again in the backward pass, to save memory.
        seed: Of everything drawn.
    """

    kind: str
    steps: int
    batch_size: int
    lr: float
    draws: edits.Draws | None = None
    model: str = fifa.LANGUAGE
    revision: str = "main"
    encoder: str | None = None
    network: dict[str, Any] = field(default_factory=dict)
    asked: int = 3
    given: float = 0.0
    warmup: int = 0
    weight_decay: float = 0.01
    loss_weights: dict[str, float] = field(default_factory=dict)
    tasks: dict[str, float] = field(default_factory=dict)
    vocabulary: int = 768
    lora: int = 0
    bf16: bool = False
    micro_batch_size: int | None = None
    gradient_checkpointing: bool = False
    max_tokens: int = 160
    seed: int = 0

    def __post_init__(self) -> None:
        known("kind of FiFa", [self.kind], ("small", "hub"))
        known("loss", self.loss_weights, fifa.WEIGHTS)
        known("task", self.tasks, TASKS)
        of_shares("shares of tasks", {**TASKS, **self.tasks}.values())
        if self.kind == "small" and self.draws is None:
            raise InputError("recipe: expected [draws] in a small one, which makes its own edits")
        at_least(self, steps=1, batch_size=1, micro_batch_size=1, asked=1, vocabulary=1, max_tokens=1)
        at_least(self, warmup=0, weight_decay=0, lora=0)
        above_zero(self, "lr")

    def shared(self, processes: int) -> tuple[int, int]:
        """Pictures of each process in a step, and in how many parts it passes them.

        Args:
            processes: That share a batch.

        Returns:
            Pictures of each process, and parts.

        Raises:
            InputError: The batch cannot be shared so evenly.
        """
        return several.shared(self.batch_size, processes, self.micro_batch_size)

    @classmethod
    def read(cls, path: Path, changes: Sequence[str] = ()) -> Recipe:
        """From TOML.

        Args:
            path: The TOML file.
            changes: As `read_recipe` takes them.

        Raises:
            UnknownName: With the nearest known key, for a key that nothing has.
            InputError: Else.
        """
        return read_recipe(cls, path, changes)

    def config(self, words: int) -> dict[str, Any]:
        """Of the network.

        Args:
            words: Size of the vocabulary.

        Returns:
            The configuration.
        """
        make = fifa.small(reports.SPOKEN, words) if self.kind == "small" else fifa.published(reports.SPOKEN)
        return make | self.network


# ------------------------------------------------------------------------------------------------------ the material


class Asked:
    """Self-made edits with everything that is asked about them.

    Args:
        made: The edits.
        seed: Of the words and of what is asked.
    """

    def __init__(self, made: edits.Edits, seed: int):
        self.edits, self.seed, self.size = made, seed, int(made.pixels.shape[1])
        self.kept: edits.Kept | None = None
        n, self.concepts = len(made), reports.SPOKEN
        self.parsing = reports.parsed(made, PARSING)
        self.shares = np.full((n, len(self.concepts)), np.nan, np.float32)  # of a concept in the mask; NaN: not there
        self.sentences = []
        for i, row in enumerate(made.rows):
            mesh, mask = made.meshes[i], np.asarray(made.masks[i])
            on = cv2.resize(mask, (PARSING, PARSING), interpolation=cv2.INTER_AREA) >= 128
            there = np.asarray(self.parsing[i], np.float32).reshape(len(self.concepts), -1)
            area = there.sum(1)
            some = area >= 255 * _FEWEST
            self.shares[i, some] = (there[some] @ on.ravel()) / area[some]
            self.sentences.append(reports.sentences(row, mesh, mask, self.size, np.random.default_rng([seed, i])))

    def __len__(self) -> int:
        return len(self.edits)

    def polygon(self, i: int, name: str, grid: int) -> NDArray[np.bool_]:
        """A concept on picture i, sampled by grid × grid.

        Args:
            i: Number of the picture.
            name: Of a concept.
            grid: Cells a side.

        Returns:
            bool (grid, grid).
        """
        return np.asarray(reports.covered(name, self.edits.meshes[i], self.size, grid) >= 0.5)

    def given(self, rows: Any) -> Tensor:
        """Where every concept is by the mesh, (n, K, g, g) in [0, 1].

        Args:
            rows: Which rows: numbers or a slice.

        Returns:
            (n, K, g, g) in [0, 1].
        """
        return torch.from_numpy(np.array(self.parsing[np.arange(len(self))[rows]])).float() / 255

    def masked(self, i: int, name: str) -> NDArray[np.float32]:
        """The known mask within a concept, (h, w) in [0, 1]: the truth about a mention.

        Args:
            i: Number of the picture.
            name: Of a concept.

        Returns:
            float32 (h, w) in [0, 1].
        """
        mask = np.asarray(self.edits.masks[i], np.float32) / 255
        return np.asarray(mask * self.polygon(i, name, mask.shape[0]), np.float32)

    def truth(self, rows: Any) -> Truth:
        """Of the auxiliary tasks.

        Args:
            rows: Which rows: numbers or a slice.
        """
        indices = np.arange(len(self))[rows]
        forged = np.zeros((len(indices), len(self.concepts)), np.float32)
        for at, i in enumerate(indices):
            forged[at] = [name in {place for place, _ in self.sentences[i]} or (self.shares[i, k] >= reports.COVERED)
                          for k, name in enumerate(self.concepts)]  # fmt: skip
        facts = [self.edits.rows[i] for i in indices]
        kinds = [KINDS.index(row["kind"]) if row["fake"] else 0 for row in facts]
        return Truth(
            self.edits.truth(rows), torch.from_numpy(self.parsing[indices]).float() / 255, torch.from_numpy(forged),
            torch.tensor([float(row["fake"]) for row in facts]), torch.tensor(kinds),
        )  # fmt: skip

    def query(self, i: int, name: str, how: str, rng: np.random.Generator | None = None) -> Query | None:
        """A concept pointed at in one of four ways; None where it is not on the crop.

        Args:
            i: Number of the picture.
            name: Of a concept.
            how: "name", "mask", "box" or "click".
            rng: Moves box and click a little; None leaves them exact.
        """
        there = self.polygon(i, name, 112)
        return None if there.sum() < 8 else pointed(there, how, rng)

    def example(self, task: str, row: int, i: int, rng: np.random.Generator) -> Example | None:
        """A question of a task about picture i, which is `row` of a batch; None where nothing fits.

        Args:
            task: Name of the task.
            row: Of the batch.
            i: Number of the picture.
            rng: What everything is drawn from; the same state gives the same result.
        """
        sentences, fake = self.sentences[i], bool(self.edits.rows[i]["fake"])
        question = QUESTIONS[task]
        names = ", ".join(title(name) for name, _ in sentences)
        match task:
            case "detection":
                return Example(row, question, FAKE if fake else REAL)
            case "kind":
                return Example(row, question, KIND_ANSWERS[self.edits.rows[i]["kind"] if fake else "pristine"])
            case "image_explanation":
                return Example(row, question, f"It is forged at the {names}." if sentences else reports.NOTHING)
            case "text_explanation":
                return Example(row, question, f"{FAKE if fake else REAL} {reports.text(sentences)}")
            case "region_detection":
                return Example(row, question, f"{capital(names)}." if sentences else "None.")
            case "grounded_explanation":
                return Example(
                    row, question, grounded(sentences), masks=tuple(self.masked(i, name) for name, _ in sentences),
                    places=tuple((self.concepts.index(name), True) for name, _ in sentences),
                )  # fmt: skip
            case "localisation":
                if not fake:
                    return Example(row, question, "There is nothing to show.")
                whole = np.asarray(self.edits.masks[i], np.float32) / 255
                return Example(row, question, f"It was forged here: {SEG}.", masks=(whole,), places=((-1, True),))
        visible = [name for k, name in enumerate(self.concepts) if np.isfinite(self.shares[i, k])]
        if task == "region_parsing":
            if not visible:
                return None
            name = str(rng.choice(visible))
            there = self.polygon(i, name, 112).astype(np.float32)
            words = title(name)
            return Example(
                row, question.format(name=words), f"{OPEN}{words}{CLOSE} {SEG}", masks=(there,),
                places=((self.concepts.index(name), False),),
            )  # fmt: skip
        # what points: as many yes as no, where both can be
        forged = [name for name, _ in sentences]
        whole_again = [n for k, n in enumerate(self.concepts) if self.shares[i, k] <= _UNTOUCHED]
        pool = forged if forged and (rng.random() < 0.5 or not whole_again) else whole_again
        if not pool:
            return None
        name = str(rng.choice(pool))
        how = {"region_question": "name", "box_question": "box"}.get(task) or str(rng.choice(POINTS))
        if task == "box_question" and rng.random() < 0.5:
            how = str(rng.choice(("mask", "click")))
        query = self.query(i, name, how, rng)
        if query is None:
            return None
        if task == "region_explanation":
            answer = next((sentence for other, sentence in sentences if other == name), NOTHING)
        else:
            answer = YES if name in forged else NO
        return Example(row, question.format(name=title(name)), answer, (query,))

    def examples(
        self, rows: NDArray[np.intp], asked: int, shares: Mapping[str, float], seed: Sequence[int]
    ) -> list[Example]:
        """`asked` questions about each picture.

        Args:
            rows: Which rows: numbers or a slice.
            asked: Questions about each picture.
            shares: Task → its share.
            seed: Of the order and of whatever is drawn.
        """
        names, weights = list(shares), np.array(list(shares.values()), np.float64)
        examples = []
        for row, i in enumerate(rows.tolist()):
            rng = np.random.default_rng([*seed, i])
            for _ in range(asked):
                example = self.example(str(rng.choice(names, p=weights / weights.sum())), row, i, rng)
                if example is not None:
                    examples.append(example)
        return examples


def grounded(sentences: Sequence[tuple[str, str]]) -> str:
    """A report with every region between <p> and </p>, and a [SEG] behind it.

    Args:
        sentences: (region, sentence) of each edited region.
    """
    parts = []
    for name, sentence in sentences:
        words = title(name)
        parts.append(sentence.replace(words, f"{OPEN}{words}{CLOSE} {SEG}", 1))
    return " ".join(parts) or reports.NOTHING


def pointed(there: NDArray[np.bool_], how: str, rng: np.random.Generator | None = None) -> Query:
    """A place (g, g) pointed at: by its name or mask as it is, by the box around it, by a click into it.

    With an rng the box's sides move by up to a tenth and the click is anywhere inside; without one the box is tight and
    the click is the inside's centre.

    Args:
        there: (g, g), the place.
        how: "name", "mask", "box" or "click".
        rng: Moves box and click a little; None leaves them exact.
    """
    g = there.shape[0]
    if how in ("name", "mask"):
        return Query(how, there.astype(np.float32))
    ys, xs = there.nonzero()
    if how == "box":
        sides = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], np.float64)
        if rng is not None:
            sides += rng.uniform(-0.1, 0.1, 4) * np.tile(sides[2:] - sides[:2], 2)
        return Query("box", box_map((sides[0] / g, sides[1] / g, sides[2] / g, sides[3] / g), g))
    middle = (
        int(np.argmin((xs - xs.mean()) ** 2 + (ys - ys.mean()) ** 2)) if rng is None else int(rng.integers(len(xs)))
    )
    return Query("click", click_map((xs[middle] + 0.5) / g, (ys[middle] + 0.5) / g, g))


# ------------------------------------------------------------------------------------------------------ the training


def texts(material: Asked) -> list[str]:
    """What a small one's tokenizer learns from.

    Args:
        material: What is asked about.
    """
    answers = [grounded(t) for t in material.sentences]
    words = [*QUESTIONS.values(), *KIND_ANSWERS.values(), YES, NO, REAL, FAKE, NOTHING, reports.NOTHING]
    plain = [reports.text(t) for t in material.sentences]
    return [*answers, *plain, *(title(name) for name in reports.SPOKEN), *words * 20]


def make(
    recipe: Recipe, sentences: Sequence[str], init_from: Path | None = None, words_from: Path | None = None
) -> FiFa:
    """The network as training begins.

    Args:
        recipe: The settings.
        sentences: What the tokenizer learns from.
        init_from: The compact network's weights; None for random ones.
        words_from: Other weights for the words' encoder, of a network with two.

    Raises:
        WeightsError: A model of the hub cannot be had.
        InputError: The weights do not fit.
    """
    torch.manual_seed(recipe.seed)
    if recipe.kind == "hub":
        network = fifa.from_hub(reports.SPOKEN, recipe.model, recipe.encoder, recipe.revision, **recipe.network)
        if recipe.lora:
            from peft import LoraConfig, inject_adapter_in_model

            inject_adapter_in_model(
                LoraConfig(r=recipe.lora, lora_alpha=2 * recipe.lora, target_modules=["q_proj", "v_proj"]),
                network.language,
            )
        if recipe.gradient_checkpointing:
            network.language.activation_checkpointing_enable({"use_reentrant": False})
        if recipe.bf16:
            halved(network, network.learned())
        return network
    words = learned(sentences, recipe.vocabulary, fifa.TOKENS)
    with buildable():
        network = FiFa(recipe.config(len(words)), Reader(words))
    if init_from is not None and words_from is not None:
        network.encoder.start_from(read_weights(init_from), read_weights(words_from))
    elif init_from is not None:
        network.encoder.start_from(read_weights(init_from))
    return network


def merged(language: torch.nn.Module) -> None:
    """Adds LoRA's products to the weights they go beside and takes LoRA out, so that the network is one of its card.

    Args:
        language: A language model that `make` put LoRA around.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(language.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.get_base_layer().float()  # bfloat16 takes no change below 1/512 of a weight
            module.merge()
            above, _, last = name.rpartition(".")
            setattr(language.get_submodule(above), last, module.get_base_layer())


@checkpoint.alone
def train(
    recipe: Recipe,
    out: Path,
    *,
    pack: Path | None = None,
    init_from: Path | None = None,
    words_from: Path | None = None,
    draws: Path | None = None,
    save_every: int = 50,
    stop_at_step: int | None = None,
    until: datetime | None = None,
) -> FiFa:
    """Runs the recipe; goes on where `out` stopped.

    Args:
        recipe: Of a small network or of the published-like one.
        out: Folder of the run.
        pack: Of `builders/pack`.
        init_from: The compact network's weights, for a small one.
        words_from: Other weights for the words' encoder, of a network with two.
        draws: Where the edits are kept; in `out` by default.
        save_every: Steps between two states.
        stop_at_step: Ends it after so many.
        until: When to be done: the rate falls with the clock.

    Returns:
        The network in evaluation mode, saved as `fifa.safetensors`.

    Raises:
        InputError: There is nothing to learn from, or `out` holds a run of another recipe.
    """
    if pack is None or recipe.draws is None or (recipe.kind == "small" and init_from is None):
        raise InputError(
            "fifa: expected --pack (facewitness build pack), [draws] in the recipe and, for a small one, --init-from, "
            "the compact network's weights"
        )
    if recipe.kind == "hub" and recipe.encoder is None:  # it is frozen: everything would rest on random features
        raise InputError(
            'recipe: expected encoder = "…", a CLIP vision tower by its folder or hub name, got none. FaRL\'s is made '
            "with facewitness import farl FaRL-Base.pth --out farl/model.safetensors; its folder is the name."
        )
    rank, world = several.rank_and_world()
    own_batch, in_parts = recipe.shared(world)
    kept_draws, of = draws or out / "edits", recipe.draws
    made = several.first(lambda: edits.drawn(of, pack, kept_draws, "train"))
    if len(made) < recipe.batch_size and (world > 1 or in_parts > 1):
        raise InputError(f"recipe: expected at least a batch of pictures ({recipe.batch_size}), got {len(made)}")
    material = several.first(lambda: Asked(made, recipe.seed))  # keeps the parsing in the edits' folder
    network = make(recipe, texts(material), init_from, words_from)
    if init_from is not None:
        files = [file for file in (init_from, words_from) if file is not None]
        name = "-".join(["compact", *(checkpoint.sha256(file)[:8] for file in files), str(network.encoder.width)])
        material.kept = several.first(lambda: made.features(network.encoder, name))
    device = several.device()
    network.to(device)
    parameters = network.learned()
    kept = only(network, parameters)
    kept |= {k: v for k, v in network.named_buffers() if k.startswith("decoder.")}
    optimizer = torch.optim.AdamW(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay)
    weights = {**fifa.WEIGHTS, **recipe.loss_weights}
    shares = {**TASKS, **recipe.tasks}

    def loss(batch: Batch, step: int) -> dict[str, Tensor]:
        rows = batch["rows"].numpy()
        network.train()
        examples = material.examples(rows, recipe.asked, shares, (recipe.seed, step))
        truth = Truth(*(x.to(device) for x in material.truth(rows)))
        by_mesh = np.random.default_rng([recipe.seed, step, 1]).random() < recipe.given
        with precision(device, recipe.bf16, recipe.gradient_checkpointing):
            features = material.kept.of(rows) if material.kept is not None else network.encoder(
                made.images(rows).to(device)
            )  # fmt: skip
            features = Features(*(x.to(device) for x in features))
            losses = network.losses(features, examples, truth, truth.parsing if by_mesh else None)
        return {"loss": network.total(losses, weights), **{k: v.detach() for k, v in losses.items()}}

    loop = Loop(
        out, network, optimizer, Schedule(recipe.lr, recipe.steps, recipe.warmup, until=until), loss,
        seed=str(recipe.seed), batch_size=recipe.batch_size, own=lambda: {k: v.detach() for k, v in kept.items()},
        about={"recipe": digest(recipe), "init_from": checkpoint.begun_with(init_from, words_from)},
        save_every=save_every, workers=0, main=rank == 0, parts=in_parts, shared=world > 1,
    )  # fmt: skip
    done = loop.resume()
    if rank == 0:
        facts = {
            "recipe": asdict(recipe), "pictures": len(material), "processes": world, "commit": checkpoint.commit(),
            "init_from_sha256": None if init_from is None else checkpoint.sha256(init_from),
            "versions": {"torch": torch.__version__, "numpy": np.__version__},
        }  # fmt: skip
        write_whole(out / "resolved.json", json.dumps(facts, indent=1).encode())
    last = last_step(recipe.steps, stop_at_step, done)
    if done < last:
        whole = edits.Rows(len(material), recipe.batch_size, recipe.seed)
        loop.run(several.Share(whole, own_batch), done, last)
    network.eval()
    if recipe.kind == "hub" and recipe.lora:
        merged(network.language)
    if rank == 0:
        facts = {"crop": {"margin": recipe.draws.margin}, "trained": {"steps": max(done, last)}}
        network.save(out / "fifa.safetensors", facts)
    return network


def plan(recipe: Recipe, processes: int = 1) -> Plan:
    """What a run would take: names, shapes, memory and work, without loading or fetching anything.

    Args:
        recipe: The settings.
        processes: That share the run.

    Raises:
        InputError: They cannot share a batch evenly.
    """
    config = recipe.config(recipe.vocabulary)
    page = Plan("FiFa-MLLM: words with masks between them, and questions that point", processes)
    own, in_parts = recipe.shared(processes)
    with torch.device("meta"), buildable():
        network = FiFa(config, Reader.none())
    only(network, network.learned())
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    if recipe.kind == "hub" and recipe.bf16:
        halved(network, network.learned())
    for name, part in network.named_children():
        page.holds(name, part)
    language = Language.of(network.language)
    batch = own // in_parts * recipe.asked
    tokens = 1 + network.grid**2 + len(network.concepts) * network.predicted + 120  # 120: of a question and its answer
    again = recipe.gradient_checkpointing
    page.takes("activations of the language model", language.activations(batch, tokens, again),
               f"{batch} questions of {tokens} tokens" + ", checkpointed" * again)  # fmt: skip
    page.takes("scores of words", language.logits(batch, 60), f"{language.vocabulary:,} words")
    if recipe.lora:
        width = network.language.config.hidden_size
        count = 4 * recipe.lora * width * network.language.config.num_hidden_layers
        page.takes("LoRA", 16.0 * count, f"rank {recipe.lora} around queries and values, with Adam")
    page.steps(recipe.steps, recipe.batch_size, None, None)
    if processes > 1 or in_parts > 1:
        page.facts.append(f"of them {own} in each process, {own // in_parts} at once")
    pictures = recipe.steps * recipe.batch_size
    page.facts.append(f"{pictures * recipe.asked:,} questions, lr {recipe.lr:g}")
    image = network.encoder.grid**2
    each = 2.0 * parts["encoder"] * image + 6.0 * parts["decoder"] * image * (1 + recipe.asked)
    each += recipe.asked * language.flops(tokens, not (recipe.lora or config.get("frozen_language")), again)
    page.works("learning", each * pictures, f"{each / 1e9:.1f}e9 operations a picture")
    return page


__all__ = ["QUESTIONS", "TASKS", "Asked", "Recipe", "grounded", "make", "plan", "pointed", "train"]
