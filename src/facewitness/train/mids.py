"""Teaches MIDS, FFAA's judge of answers, on what a fine-tuned model answered under different hypotheses.

    facewitness train mids RECIPE --mined mined.parquet --init-from src/facewitness/weights/compact.onnx --out OUT

Huang et al., "FFAA: …", sections "Multi-answer Intelligent Decision System" and appendix B. `mine` asks a fine-tuned
model about each picture without a hypothesis (the anchor), and supposing the opposite and the same (the negative and
the positive answer). "We first employ the fine-tuned MLLM to mine historical answer data from the remaining available
images […], excluding the 'Easy' images": pictures whose three answers agree are left out unless `easy` keeps a share of
them. `disjoint` proves that no person or video is in two of: what the model was tuned on, what was mined, what tests.

The loss is the cross-entropy of the four classes of (picture, answer) (Eq. 6); an answer without a verdict is no
example. Published: 30K answers, AdamW at 1e-4, 48 pictures a step, weight decay 1e-5, 2 epochs, warm-up 3 % (the
authors' script). Augmentations are theirs: JPEG 60–100, noise, motion and Gaussian blur, FancyPCA or hue and
saturation, with the chances of their code. Where we differ from it: the rate rises in a line and not as a logarithm
(DeepSpeed's WarmupLR), and stays afterwards, as theirs; what the last step made is kept, and not the epoch that was
best on `val`, which thus chooses nothing; gradients are clipped (`train/loop`).

With small encoders everything before the last two stages is computed once: `copies` augmented pictures of each, and the
plain one. With the published ones each picture is augmented anew and each answer read by T5 in the step that learns
from it, on a GPU where there is one. The `masked` of the recipe is Table 3's "Mask Result", `unfreeze` its "Unfreeze".
"""

from __future__ import annotations

import io
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from facewitness.builders import _disk
from facewitness.builders.dma import png
from facewitness.builders.ffa_vqa import Picture, hypothetical_prompts
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.grammars import ffa_cot
from facewitness.models import deciding
from facewitness.models.compact import read_weights
from facewitness.models.mids import IMAGE_MODEL, MIDS, TEXT_MODEL, PublishedEncoders, SmallEncoders, sized
from facewitness.train import checkpoint, several
from facewitness.train.loop import Loop
from facewitness.train.plan import Plan, passed_through
from facewitness.train.recipe import above_zero, known, read_recipe
from facewitness.train.schedule import Schedule
from facewitness.types import Pixels

SCHEMA = pa.schema(
    [
        ("file", pa.string()), ("image", pa.binary()), ("label", pa.string()), ("kind", pa.string()),
        ("group", pa.string()), ("split", pa.string()), ("dataset", pa.string()), ("easy", pa.bool_()),
        ("answers", pa.list_(pa.string())), ("said", pa.list_(pa.string())), ("hypotheses", pa.list_(pa.string())),
    ]
)  # fmt: skip
_READ = 260  # tokens of an answer that a plan counts with: FFA-VQA's have 203 on average, by another tokenizer
Ask = Callable[[Sequence[Pixels], Sequence[str]], Sequence[str]]  # pictures and their prompts → answers


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights, but for the data and what training starts from.

    Attributes:
        encoders: "small" or "published".
        image_model, text_model: A CLIP and a T5 by hub name or folder ("published").
        unfreeze: How many of the image encoder's last stages or layers learn.
        masked: Whether results are hidden from MIDS.
        size: Side of the pictures ("small"); width: of the fusion (published is the text's).
        easy: Share of the easy pictures that are learned from; published is 0.
        copies: Augmented pictures of each ("small"); "published" augments anew each time.
        read_tokens: Tokens of an answer that are read ("small"); "published" reads what T5 does, 512.
        warmup: Share of the steps in which the rate rises, as the authors have it; other recipes count steps.
        ema: Decay a step of the average of the weights that is saved; 0 saves the weights themselves.
    """

    encoders: str = "published"
    image_model: str = IMAGE_MODEL
    text_model: str = TEXT_MODEL
    unfreeze: int = 2
    masked: bool = True
    size: int = 192
    width: int | None = None
    easy: float = 0.0
    copies: int = 4
    read_tokens: int = 160
    epochs: float = 2.0
    batch_size: int = 48
    lr: float = 1e-4
    weight_decay: float = 1e-5
    warmup: float = 0.03  # share of the steps
    ema: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        known("encoders of MIDS", [self.encoders], ("small", "published"))
        if self.epochs <= 0 or self.batch_size < 1 or not 0 <= self.easy <= 1 or self.copies < 1:
            raise InputError(
                "recipe: expected epochs above 0, a batch and copies of at least 1, and easy as a share, got "
                f"{self.epochs}, {self.batch_size}, {self.copies} and {self.easy}"
            )
        above_zero(self, "lr")
        if not (0 <= self.warmup <= 1 and 0 <= self.ema < 1):
            raise InputError(
                "recipe: expected warmup as a share of the steps, from 0 to 1, and ema from 0 to below 1, got "
                f"{self.warmup} and {self.ema}"
            )

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


# ---------------------------------------------------------------------------------------------------------- mining


@dataclass(frozen=True, slots=True)
class Mined:
    """One picture and what a model answered about it: a row of the table."""

    file: str
    image: bytes
    label: str
    kind: str | None
    group: str
    split: str
    dataset: str
    easy: bool
    answers: tuple[str, ...]  # anchor, then under the opposite and under the same hypothesis
    said: tuple[str | None, ...]
    hypotheses: tuple[str | None, ...]


def mine(
    pictures: Iterable[Picture],
    ask: Ask,
    question: str | Sequence[str],
    batch: int = 16,
    tell: Callable[[int, int], Any] = lambda done, easy: None,
) -> Iterator[Mined]:
    """What a model answers about each picture, without a hypothesis and under both.

    Args:
        pictures: None of them such as the model was tuned on; see `disjoint`.
        ask: The model.
        question: The plain question, or several, of which one is drawn for each picture by its name: "a
            non-hypothetical prompt is randomly selected".
        batch: Pictures at once.
        tell: Is told how many are done, and how many of them were easy.
    """
    wordings = (question,) if isinstance(question, str) else tuple(question)
    waiting: list[Picture] = []
    done = easy = 0
    for picture in (*pictures, None):
        if picture is not None:
            waiting.append(picture)
        if not waiting or (picture is not None and len(waiting) < batch):
            continue
        pixels = [one.pixels for one in waiting]
        plain = [wordings[zlib.crc32(f"wording {one.key}".encode()) % len(wordings)] for one in waiting]
        anchors = list(ask(pixels, plain))
        verdicts = [_verdict(text) for text in anchors]
        # an anchor without a verdict is asked as the authors' code asks after one that says fake
        prompts = [hypothetical_prompts(verdict or "fake") for verdict in verdicts]
        further = [list(ask(pixels, [prompt[k][0] for prompt in prompts])) for k in (0, 1)]
        for i, one in enumerate(waiting):
            answers = (anchors[i], further[0][i], further[1][i])
            labels = tuple(_verdict(text) for text in answers)
            agree = deciding.is_easy(labels)
            done, easy = done + 1, easy + agree
            yield Mined(
                one.key, png(one.pixels), one.label, one.kind, one.group, one.split, one.dataset, agree, answers,
                labels, (None, prompts[i][0][1], prompts[i][1][1]),
            )  # fmt: skip
        tell(done, easy)
        waiting.clear()


def _verdict(text: str) -> str | None:
    label = ffa_cot.parse(text).label
    return label if label in ("real", "fake") else None


def write_mined(rows: Iterable[Mined], path: Path) -> Path:
    """A table of what was mined, as it comes.

    Args:
        rows: What was mined.
        path: Of the table.

    Raises:
        InputError: For no rows.
    """
    return _disk.write_table(rows, SCHEMA, path, "mids: expected at least one picture that was asked about, got none")


def read_mined(path: Path) -> list[Mined]:
    """The rows of such a table.

    Args:
        path: Of the table.

    Raises:
        InputError: The file is no such table.
    """
    rows = _disk.read_table(path, SCHEMA.names, "ffa_vqa")
    return [
        Mined(**{**row, "answers": tuple(row["answers"]), "said": tuple(row["said"]),
                 "hypotheses": tuple(row["hypotheses"])})
        for row in rows
    ]  # fmt: skip


def disjoint(**groups: Iterable[tuple[str, str]]) -> None:
    """Proves that no (dataset, group) is in two of the sets given by name, such as tuned=…, mined=…, tested=….

    Args:
        **groups: Name of a set → its (dataset, group).

    Raises:
        InputError: One is; the sentence names it.
    """
    where: dict[tuple[str, str], str] = {}
    for name, members in groups.items():
        for group in set(members):
            before = where.setdefault(group, name)
            if before != name:
                raise InputError(
                    f"mids: expected no person or video in two of {', '.join(groups)}; {group[0]}/{group[1]} is in "
                    f"{before} and {name}. Take it out of one of them."
                )


# ------------------------------------------------------------------------------------------------- the augmentations


def augmented(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A picture as the authors' training draws it: RGB uint8 (H, W, 3) in and out.

    Args:
        pixels: RGB uint8 (H, W, 3).
        rng: What everything is drawn from; the same state gives the same result.

    Returns:
        RGB uint8 (H, W, 3).
    """
    picture = np.ascontiguousarray(pixels)
    if rng.random() < 0.5:  # ImageCompression(60, 100)
        picture = _jpeg(picture, int(rng.integers(60, 101)))
    if rng.random() < 0.2:  # GaussNoise: variance 10 to 50
        noise = rng.normal(0, np.sqrt(rng.uniform(10, 50)), picture.shape)
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:  # MotionBlur: a line of 3, 5 or 7 pixels
        picture = _moved(picture, int(rng.choice((3, 5, 7))), float(rng.uniform(0, 180)))
    if rng.random() < 0.2:  # GaussianBlur(3)
        picture = np.asarray(cv2.GaussianBlur(picture, (3, 3), 0), np.uint8)
    if rng.random() < 0.7:  # one of FancyPCA and HueSaturationValue
        picture = _fancy(picture, rng) if rng.random() < 0.5 else _coloured(picture, rng)
    return picture


def _jpeg(picture: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def _moved(picture: Pixels, length: int, angle: float) -> Pixels:
    kernel = np.zeros((length, length), np.float32)
    middle = (length - 1) / 2
    along = np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))]) * middle
    ends = [tuple(round(middle + sign * value) for value in along) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.uint8)


def _fancy(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """Colours moved along their own principal axes (Krizhevsky et al. 2012), by a tenth of a deviation."""
    flat = picture.reshape(-1, 3).astype(np.float64) / 255
    values, axes = np.linalg.eigh(np.cov(flat - flat.mean(axis=0), rowvar=False))
    shift = axes @ (rng.normal(0, 0.1, 3) * np.maximum(values, 0))
    return np.clip((flat + shift) * 255, 0, 255).round().astype(np.uint8).reshape(picture.shape)


def _coloured(picture: Pixels, rng: np.random.Generator) -> Pixels:
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV).astype(np.int32)
    shifts = (rng.integers(-20, 21), rng.integers(-30, 31), rng.integers(-20, 21))  # hue in OpenCV's, two degrees each
    hsv[..., 0] = (hsv[..., 0] + shifts[0]) % 180
    hsv[..., 1:] = np.clip(hsv[..., 1:] + np.array(shifts[1:]), 0, 255)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)


# -------------------------------------------------------------------------------------------------------- the batches


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What MIDS learns from, in memory: the frozen part of each picture, the states of each text, the classes."""

    frozen: Tensor  # (rows, 1 + copies, C, h, w), float16; the plain picture first
    text: Tensor  # (rows, N, T, D), float16
    seen: Tensor  # (rows, N, T)
    classes: Tensor  # (rows, N), −1 where an answer has no verdict


def features(recipe: Recipe, model: MIDS, rows: Sequence[Mined], read: Any, copies: int) -> Features:
    """The features of rows; `read` turns texts into states, as `models/minilm.states`.

    Args:
        recipe: The settings.
        model: The judge.
        rows: What was mined.
        read: Texts → states, as `models/minilm.states`.
        copies: Of each picture, each drawn anew.
    """
    frozen = []
    model.eval()
    for row in rows:
        pixels = _picture(row)
        seed = (recipe.seed, zlib.crc32(row.file.encode()))
        shown = [pixels] + [augmented(pixels, np.random.default_rng((*seed, k))) for k in range(copies)]
        batch = np.stack([_sized(one, model.encoders.size) for one in shown]).transpose(0, 3, 1, 2)
        with torch.no_grad():
            frozen.append(model.encoders.frozen(torch.from_numpy(np.ascontiguousarray(batch)).float()).half())
    text, seen = texts(recipe, rows, read)
    return Features(torch.stack(frozen), text, seen, _classes(rows))


def texts(recipe: Recipe, rows: Sequence[Mined], read: Any) -> tuple[Tensor, Tensor]:
    """States (rows, N, T, D) and padding of the rows' answers, masked where the recipe says so.

    Args:
        recipe: The settings.
        rows: What was mined.
        read: Texts → states, as `models/minilm.states`.

    Returns:
        States (rows, N, T, D), and padding (rows, N, T).
    """
    written = [text for row in rows for text in _written(recipe, row)]
    unique = list(dict.fromkeys(written))
    states, seen = (torch.as_tensor(np.asarray(one)) for one in read(unique))
    states, seen = states[:, : recipe.read_tokens].half(), seen[:, : recipe.read_tokens]
    places = torch.tensor([unique.index(text) for text in written]) if len(unique) < 64 else _places(written, unique)
    count = len(rows[0].answers) if rows else 0
    return states[places].unflatten(0, (-1, count)), seen[places].unflatten(0, (-1, count))


def _written(recipe: Recipe, row: Mined) -> list[str]:
    """A row's answers as they are read."""
    return [ffa_cot.masked(text) if recipe.masked else text for text in row.answers]


def _classes(rows: Sequence[Mined]) -> Tensor:
    """(rows, N): the classes of equation 3, −1 where an answer has no verdict."""
    return torch.tensor(
        [
            [-1 if each is None else deciding.label(row.label == "fake", each == "fake") for each in row.said]
            for row in rows
        ]
    )


def _places(written: Sequence[str], unique: Sequence[str]) -> Tensor:
    at = {text: i for i, text in enumerate(unique)}
    return torch.tensor([at[text] for text in written])


def _picture(row: Mined) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(row.image)).convert("RGB"))


def _sized(pixels: Pixels, size: int) -> Pixels:
    how = cv2.INTER_AREA if pixels.shape[0] > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (size, size), interpolation=how), np.uint8)


class _Batches(Dataset):
    """Batch i is drawn from (seed, i) alone; an epoch shows every picture once."""

    def __init__(self, given: Features, batch_size: int, seed: int):
        self.given, self.size, self.seed = given, batch_size, seed

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        rows = _shown(self.seed, step, self.size, len(self.given.frozen))
        copies = self.given.frozen.shape[1]
        rng = np.random.default_rng((self.seed, step))
        which = [int(rng.integers(1, copies)) if copies > 1 else 0 for _ in rows]
        return {
            "frozen": torch.stack([self.given.frozen[i, k] for i, k in zip(rows, which, strict=True)]).float(),
            "text": self.given.text[rows].float(), "seen": self.given.seen[rows], "classes": self.given.classes[rows],
        }  # fmt: skip


class _Anew(Dataset):
    """The same for published encoders: pictures augmented anew, and the numbers of the rows whose answers are read."""

    def __init__(self, rows: Sequence[Mined], recipe: Recipe, size: int):
        self.rows, self.recipe, self.size = rows, recipe, size
        self.classes = _classes(rows)

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        drawn = _shown(self.recipe.seed, step, self.recipe.batch_size, len(self.rows))
        pictures = []
        for k, i in enumerate(drawn):
            shown = augmented(_picture(self.rows[i]), np.random.default_rng((self.recipe.seed, step, k)))
            pictures.append(sized(shown, self.size).transpose(2, 0, 1))
        pixels = torch.from_numpy(np.stack(pictures))
        return {"pixels": pixels, "rows": torch.tensor(drawn), "classes": self.classes[drawn]}


def _shown(seed: int, step: int, size: int, count: int) -> list[int]:
    """The rows of a batch."""
    orders: dict[int, NDArray[np.intp]] = {}
    rows = []
    for k in range(step * size, (step + 1) * size):
        epoch = k // count
        if epoch not in orders:
            orders[epoch] = np.random.default_rng((seed, 7, epoch)).permutation(count)
        rows.append(int(orders[epoch][k % count]))
    return rows


# -------------------------------------------------------------------------------------------------------- the training


def plan(recipe: Recipe, rows: int | None = None) -> Plan:
    """What a run would take, on the meta device: names, shapes, memory and work, without loading or fetching anything.

    Args:
        recipe: Of either encoders.
        rows: The pictures it learns from; None where no table was named.

    Raises:
        WeightsError: A published encoder's settings give another number of parameters than the hub has.
    """
    page = Plan(f"the judge of answers with {recipe.encoders} encoders", shareable=False)
    hidden = "masked" if recipe.masked else "in sight"
    page.facts.append(f"the image encoder's {recipe.unfreeze} last layers learn; results are {hidden}")
    batch = recipe.batch_size
    tokens = _READ if recipe.encoders == "published" else recipe.read_tokens
    with torch.device("meta"):
        if recipe.encoders == "published":
            encoders: Any = PublishedEncoders.blank(
                page.blank(recipe.image_model).config, page.blank(recipe.text_model).config, recipe.unfreeze
            )
        else:
            encoders = SmallEncoders(recipe.size, unfreeze=recipe.unfreeze)
        model = MIDS(encoders, recipe.width, masked=recipe.masked)
        pixels = torch.empty(batch, 3, encoders.size, encoders.size)
        text = torch.empty(batch, 3, tokens, encoders.text)
        seen = torch.empty(batch, 3, tokens, dtype=torch.bool)
    frozen = torch.nn.ModuleList(
        part for part in model.modules() if not any(p.requires_grad for p in part.parameters())
    )
    out, kept, flops = passed_through(model, pixels, text, seen, frozen=frozen)
    page.passed(
        f"{batch} pictures of {encoders.size} px with three answers of {tokens} tokens become logits {tuple(out.shape)}"
    )
    page.holds("the judge", model)
    page.takes("activations", kept, f"what the layers that learn put out for {batch} pictures")
    steps = page.steps(None, recipe.batch_size, rows, recipe.epochs)
    if steps is not None:
        page.works("learning", 3 * flops * steps, "three times a step's forward pass")
    return page


def make(recipe: Recipe, init_from: Path | None) -> MIDS:
    """The model as training begins.

    Args:
        recipe: The settings.
        init_from: Weights of a compact network, for small encoders; None for random ones.
    """
    torch.manual_seed(recipe.seed)
    if recipe.encoders == "published":
        encoders: Any = PublishedEncoders.of_hub(recipe.image_model, recipe.text_model, recipe.unfreeze)
    else:
        encoders = SmallEncoders(recipe.size, unfreeze=recipe.unfreeze)
        if init_from is not None:
            encoders.start_from(read_weights(init_from))
    return MIDS(encoders, recipe.width, masked=recipe.masked)


def kept(recipe: Recipe, rows: Sequence[Mined]) -> list[Mined]:
    """The rows that are learned from: all hard ones, and the recipe's share of the easy ones.

    Args:
        recipe: The settings.
        rows: What was mined.

    Raises:
        InputError: None is left.
    """
    kept = [
        row
        for row in rows
        if any(label is not None for label in row.said)
        and (not row.easy or zlib.crc32(f"easy {row.file}".encode()) % 1000 < 1000 * recipe.easy)
    ]
    if not kept:
        raise InputError(
            f"mids: expected hard pictures to learn from, got none of {len(rows)}: on all of them the model's answers "
            "agree. Mine more, or keep a share of the easy ones (easy in the recipe)."
        )
    return kept


@checkpoint.alone
def train(
    recipe: Recipe,
    mined: Path,
    out: Path,
    *,
    init_from: Path | None = None,
    read: Any = None,
    prepared: Features | None = None,
    save_every: int = 200,
) -> MIDS:
    """Run the recipe; the same command goes on where `out` stopped.

    Args:
        recipe: Settings.
        mined: The table of `write_mined`.
        out: Folder of the run: mids.safetensors with its card, resolved.json, log.csv.
        init_from: Weights of a compact network, for small encoders.
        read: Texts → states, for small encoders; None: MiniLM. The published ones read by their T5.
        prepared: `features` of the kept rows, for small encoders where several runs share them.
        save_every: Steps between two states.
    """
    rows = kept(recipe, read_mined(mined))
    model = make(recipe, init_from)
    whole = recipe.encoders == "published"
    if whole:
        model.to(several.device())
        batches: Dataset[Any] = _Anew(rows, recipe, model.encoders.size)
        answers = [_written(recipe, row) for row in rows]
    else:
        given = prepared or features(recipe, model, rows, read or _minilm(), recipe.copies)
        batches = _Batches(given, recipe.batch_size, recipe.seed)
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    steps = max(1, round(recipe.epochs * len(rows) / recipe.batch_size))
    facts = {
        "recipe": asdict(recipe), "steps": steps, "mined_sha256": checkpoint.sha256(mined),
        "pictures": dict(Counter(row.label for row in rows)), "commit": checkpoint.commit(),
    }  # fmt: skip

    def loss(batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:
        if whole:
            written = [text for i in batch["rows"].tolist() for text in answers[i]]
            states, seen = (each.unflatten(0, (len(batch["rows"]), -1)) for each in model.encoders.read(written))
            logits = model(batch["pixels"].to(states.device).float(), states, seen)
        else:
            logits = model(batch["frozen"], batch["text"], batch["seen"], frozen=True)
        classes = batch["classes"].flatten().to(logits.device)
        return {"loss": F.cross_entropy(logits.flatten(0, 1), classes, ignore_index=-1)}

    model.train()
    loop = Loop(
        out, model, torch.optim.AdamW(learned, recipe.lr, weight_decay=recipe.weight_decay),
        Schedule(recipe.lr, steps, warmup=round(recipe.warmup * steps), cosine=False), loss, seed=str(recipe.seed),
        batch_size=recipe.batch_size, ema=recipe.ema,
        about={"recipe": json.dumps(asdict(recipe), sort_keys=True), "table": facts["mined_sha256"],
               "init_from": checkpoint.begun_with(init_from)},
        own=lambda: {name: value for name, value in model.named_parameters() if value.requires_grad},
        save_every=save_every, workers=0,
    )  # fmt: skip
    loop.run(batches, loop.resume(), steps)
    if recipe.ema:
        model.load_state_dict(loop.average, strict=False)
    write_whole(out / "resolved.json", json.dumps(facts, indent=1).encode())
    reads = {} if whole else {"read_tokens": recipe.read_tokens}
    model.eval().save(out / "mids.safetensors", half=True, trained=facts, **reads)
    return model


def _minilm() -> Any:
    from facewitness.models import minilm

    return minilm.states


def logits(model: MIDS, given: Features, batch: int = 32) -> NDArray[np.float64]:
    """(rows, N, 4) of the plain pictures.

    Args:
        model: The judge.
        given: What `features` gave.
        batch: Pictures at once.

    Returns:
        (rows, N, 4).
    """
    parts = []
    model.eval()
    with torch.no_grad():
        for start in range(0, len(given.frozen), batch):
            part = slice(start, start + batch)
            parts.append(
                model(given.frozen[part, 0].float(), given.text[part].float(), given.seen[part], frozen=True).double()
            )
    return torch.cat(parts).numpy()


def decisions(rows: Sequence[Mined], outputs: NDArray[np.float64]) -> list[deciding.Decision | None]:
    """What is decided about each row by its logits (rows, N, 4).

    Args:
        rows: What was mined.
        outputs: Logits, (rows, N, 4).
    """
    return [deciding.decide(one, row.said) for row, one in zip(rows, outputs, strict=True)]
