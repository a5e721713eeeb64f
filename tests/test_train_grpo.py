"""GRPO at tiny sizes on noise: rewards are logged one by one, a killed run goes on, and one that collapses stops."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
for package in ("peft", "transformers", "trl"):
    if find_spec(package) is None:
        pytest.skip(f"needs {package}, of the extra 'vlm'", allow_module_level=True)

from doubles import a_minute_a_step  # noqa: E402

from facewitness.apps.cli import main  # noqa: E402

from facewitness.models import prompted_vlm as pv  # noqa: E402  isort: skip  (it mends torchvision)
from facewitness import plugins  # noqa: E402
from facewitness.bench import predictions  # noqa: E402
from facewitness.builders import dma  # noqa: E402
from facewitness.errors import Collapse, InputError, MissingExtra, UnknownName, WeightsError  # noqa: E402
from facewitness.train import grpo, paired, small_vlm  # noqa: E402
from facewitness.train.checkpoint import last_checkpoint  # noqa: E402
from facewitness.train.grpo import Recipe, Stop, train  # noqa: E402
from facewitness.train.rewards import Rewards  # noqa: E402
from facewitness.train.tuning import Watch  # noqa: E402

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings(r"ignore:`(is_)?gradient_checkpointing\w*` is deprecated:FutureWarning"),
]

RUNS = Path(__file__).parents[1] / "runs" / "mare"
SIZE = 112
REWARDS = {"grammar": 1.0, "label": 1.0, "boxes": 1.0, "alignment": 1.0, "regions": 1.0, "length": 1.0, "side": 0.0}
TINY = Recipe(
    language="full", rewards=REWARDS, group_size=2, prompts=2, micro_batch_size=2, max_tokens=6, beta=0.1, steps=2,
    lr=1e-3, seed=3,
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What the eye below says of pictures."""

    colour: Any  # (B, 3)
    nothing: Any = None


class Eye(torch.nn.Module):
    """A frozen detector that counts how many pictures it looked at."""

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(3), requires_grad=False)
        self.looked = 0

    def forward(self, pixels: Any) -> Seen:
        self.looked += len(pixels)
        return Seen(pixels.mean((2, 3)) * self.gain)


class Colour(torch.nn.Module):
    """An expert of one token: the picture's mean colour, through a layer that learns."""

    def __init__(self, embedding: int = 64):
        super().__init__()
        self.n_tokens, self.options = 1, {"embedding": embedding}
        self.eye, self.project = Eye(), torch.nn.Linear(3, embedding)

    def forward(self, pixel_values: Any, **grid: Any) -> Any:
        with torch.no_grad():
            seen = self.eye(pv.pictures(pixel_values, 8, **grid))
        return self.project(seen.colour)[:, None]


def noise(seed: int) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def items(first: int, count: int) -> list[dma.Item]:
    """Two annotations of each of `count` noise pictures, genuine and forged by turns."""
    out = []
    for n in range(first, first + count):
        fake = bool(n % 2)
        said = (
            ("The image looks fake. The nose is blurred.", "A fake nose.")
            if fake
            else ("It looks real.", "A real one.")
        )
        boxes = '{"nose": [40, 40, 70, 80]}' if fake else "{}"
        for text in said:
            reply = f'<think>I look.</think><answer>{{"explanation": "{text}", "bboxes": {boxes}}}</answer>'
            out.append(
                dma.Item(
                    f"{n}.png", noise(n), None, (SIZE, SIZE), "fake" if fake else "real", f"person {n // 2}", "train",
                    "noise", dma.QUESTION, text, said, ("nose",) if fake else (),
                    ((40.0, 40.0, 70.0, 80.0),) if fake else (), reply,
                )
            )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Two tables, a tiny plain model, and the same with an expert, whole and as an adapter."""
    folder = tmp_path_factory.mktemp("grpo")
    dma.write_parquet(items(0, 8), folder / "train.parquet")
    dma.write_parquet(items(1000, 24), folder / "val.parquet")
    sentences = [text for item in items(0, 2) for text in (item.prompt, item.reply)]
    model, processor = small_vlm.make(
        sentences, width=64, layers=1, rows=500, size=SIZE, vision_width=32, vision_layers=1
    )
    model.save_pretrained(folder / "plain")
    processor.save_pretrained(folder / "plain")
    pv.attach(model, Colour(), processor)
    pv.save(model, processor, folder / "whole")
    import peft

    adapted = peft.get_peft_model(model, pv.language_lora(model, rank=2))
    pv.save(adapted, processor, folder / "adapted", str(folder / "plain"))
    return folder


@pytest.fixture(autouse=True)
def _own_expert(monkeypatch):
    """Folders are opened with the expert of this file."""
    load = pv.load
    monkeypatch.setattr(pv, "load", lambda folder, **options: load(folder, expert_class=Colour, **options))


def run(made: Path, out: Path, recipe: Recipe = TINY, start: str = "whole", **options: Any) -> Path | None:
    options = {"save_every": 1, "show_every": 2} | options
    return train(replace(recipe, model=str(made / start)), made / "train.parquet", out, **options)


def _pack(folder: Path, splits: dict[str, str]) -> Path:
    """A pack that holds nothing but names."""
    folder.mkdir()
    rows = [{"file": file, "source": "painted", "group": file, "label": "real", "method": None, "split": split}
            for file, split in splits.items()]  # fmt: skip
    rows = [row | {"at": 0, "bytes": 1} for row in rows]
    (folder / "rows.json").write_text(json.dumps(rows))
    (folder / "pictures.bin").write_bytes(b"0")
    np.save(folder / "landmarks.npy", np.zeros((len(rows), 468, 2), np.float32))
    return folder


def logged(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "log.csv").read_text().splitlines()))


# -- training ---------------------------------------------------------------------------------------------------------


def test_prompts_can_be_kept_to_what_the_module_has_not_learnt_from(made, tmp_path):
    files = [row["file"] for row in paired.read(made / "train.parquet")]
    held = {Path(file).with_suffix(".jpg").name for file in files[2:4]}  # other endings
    splits = {f: "calibrate" if f in held else "train" for f in (Path(file).with_suffix(".jpg").name for file in files)}
    pack = _pack(tmp_path / "pack", splits)
    kept = grpo._unseen(paired.read(made / "train.parquet"), pack)
    assert {Path(row["file"]).with_suffix(".jpg").name for row in kept} == held and len(kept) < len(files)
    run(made, tmp_path / "out", unseen=pack, stop_at_step=1)
    resolved = json.loads((tmp_path / "out" / "resolved.json").read_text())
    assert [data["file"] for data in resolved["data"]] == ["train.parquet", "rows.json"]
    none = _pack(tmp_path / "none", dict.fromkeys(splits, "train"))
    with pytest.raises(InputError, match="expected a pack that holds out some of the 16"):
        run(made, tmp_path / "other", unseen=none)


def learnt(made: Path, start: str, folder: Path) -> set[str]:
    """Names of what is other than at the start."""
    before, after = (
        {grpo._plain_name(n): t for n, t in pv.loaded(str(f))[0].state_dict().items() if "original_module" not in n}
        for f in (made / start, folder)
    )
    return {n for n, t in after.items() if not torch.allclose(t, before.get(n, torch.zeros_like(t)), atol=1e-6)}


@pytest.mark.parametrize(("start", "language"), [("whole", "full"), ("adapted", "lora"), ("plain", "full")])
def test_a_killed_run_goes_on_and_ends_the_same(made, tmp_path, start, language):
    recipe = replace(TINY, language=language, lr=1e-2)
    straight = run(made, tmp_path / "straight", recipe, start, val=made / "val.parquet")
    assert run(made, tmp_path / "killed", recipe, start, stop_at_step=1, val=made / "val.parquet") is None
    assert last_checkpoint(tmp_path / "killed").name == "checkpoint-1"
    assert pv.loaded(str(tmp_path / "killed" / "model-1"))[0] is not None  # to be measured where it stopped
    killed = run(made, tmp_path / "killed", recipe, start, val=made / "val.parquet")
    ours, theirs = (dict(pv.loaded(str(folder))[0].state_dict()) for folder in (straight, killed))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)

    logs = [logged(tmp_path / name) for name in ("straight", "killed")]
    for row, other in zip(*logs, strict=True):
        assert all(row[name] == other[name] for name in ("reward", "loss", "kl", "completions/mean_length"))
        for name in REWARDS:
            assert {f"rewards/{name}/mean", f"rewards/{name}/std"} <= row.keys()
    assert float(logs[0][0]["kl"]) == pytest.approx(0, abs=1e-6)  # the reference is where training began
    assert float(logs[0][1]["kl"]) > 0
    assert logs[0][0]["rewards/side/mean"] == "" and 0 < float(logs[0][0]["rewards/length/mean"]) <= 1
    samples = [json.loads(line) for line in (tmp_path / "killed" / "samples.jsonl").read_text().splitlines()]
    assert [row["step"] for row in samples] == [0] * 4 + [2] * 4
    assert {row["label"] for row in samples} == {"fake", "real"} and samples[0]["rewards"].keys() >= REWARDS.keys()
    drawn = (tmp_path / "killed" / "curve.svg").read_text()
    assert all(f">{title}<" in drawn for title in ("KL", "reward", "alignment, weight 1"))
    with pytest.raises(InputError, match="another recipe"):
        run(made, tmp_path / "killed", replace(recipe, beta=0.2), start)


def test_by_the_clock_the_rate_falls_to_nothing_and_the_run_ends_whole(made, tmp_path, monkeypatch):
    begun = a_minute_a_step(monkeypatch)
    recipe, until = replace(TINY, steps=40, cosine=True), begun + timedelta(minutes=3)
    assert run(made, tmp_path, recipe, until=until, stop_at_step=1) is None
    assert (tmp_path / "model-1").exists()
    assert run(made, tmp_path, recipe, until=until) == tmp_path / "model"
    assert last_checkpoint(tmp_path).name == "checkpoint-3" and (tmp_path / "curve.svg").exists()
    log = logged(tmp_path)
    assert [float(row["share"]) for row in log] == pytest.approx([1 / 3, 2 / 3, 1], abs=1e-4)
    assert [float(row["learning_rate"]) / recipe.lr for row in log] == pytest.approx([1, 0.75, 0.25], abs=1e-4)
    samples = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert [row["step"] for row in samples] == [0] * 4 + [2] * 4 + [3] * 4

    later = until + timedelta(minutes=2)
    run(made, tmp_path, recipe, until=later)
    expected = [0.5 * (1 + math.cos(math.pi * share)) for share in (3 / 40, 3 / 40 + 37 / 80)]
    assert [float(row["learning_rate"]) / recipe.lr for row in logged(tmp_path)[3:]] == pytest.approx(expected)
    assert float(logged(tmp_path)[-1]["share"]) == 1


@pytest.mark.parametrize("language", ["full", "lora"])
@pytest.mark.parametrize("start", ["whole", "adapted", "plain"])
def test_language_model_and_projector_learn_and_the_detector_does_not(made, tmp_path, start, language):
    """Wherever training starts from, and what it makes can be opened."""
    recipe = replace(TINY, language=language, steps=1, lr=1e-2, lora={"rank": 2, "dropout": 0.5})
    moved = learnt(made, start, run(made, tmp_path, recipe, start))
    assert any("language_model.layers" in name for name in moved)
    assert not any(".eye." in name for name in moved)
    assert any(".project." in name for name in moved) == (start != "plain")
    assert any("lora_" in name for name in moved) == (language == "lora" and start != "plain")


def test_a_detector_looks_once_at_each_picture_whatever_the_group(made, tmp_path):
    model, _ = grpo.make(replace(TINY, model=str(made / "whole")))
    eye = pv.expert_of(model).eye
    with torch.no_grad():
        eye(torch.rand(1, 3, 8, 8).expand(4, 3, 8, 8))
    assert eye.looked == 1


def test_what_is_paid_is_said_more_often(made, tmp_path, monkeypatch):
    """Random weights, paid for the share of small vowels in what they say."""

    def vowels(reply: Any, truth: Any) -> float:
        return sum(c in "aeiou" for c in reply.text) / max(1, len(reply.text))

    monkeypatch.setattr(plugins.get("scores", "length"), "score", vowels)
    recipe = replace(
        TINY, rewards={"grammar": 0.0, "length": 1.0}, group_size=8, micro_batch_size=16, max_tokens=8, beta=0.0,
        steps=12, lr=1e-2,
        stop=Stop(cut=1.0),
    )  # fmt: skip
    run(made, tmp_path, recipe, "plain", save_every=100, show_every=100)
    mean = [float(row["rewards/length/mean"]) for row in logged(tmp_path)]
    assert np.mean(mean[-4:]) > 1.5 * np.mean(mean[:4])


def test_a_reward_left_out_is_logged_and_pays_nothing(made, tmp_path):
    recipe = replace(TINY, without=("label", "boxes"), steps=1)
    assert recipe.paid.weights == REWARDS | {"label": 0.0, "boxes": 0.0} and recipe.judged.weights == REWARDS
    run(made, tmp_path, recipe, "plain")
    (row,) = logged(tmp_path)
    paid = sum(float(row[f"rewards/{name}/mean"] or 0) for name in ("grammar", "alignment", "regions", "length"))
    assert float(row["reward"]) <= paid + 1e-5
    assert json.loads((tmp_path / "resolved.json").read_text())["recipe"]["without"] == ["label", "boxes"]


def test_people_of_both_tables_are_refused(made, tmp_path):
    with pytest.raises(InputError, match=r"got 4 groups that are in both tables, such as person 0"):
        run(made, tmp_path, val=made / "train.parquet")
    with pytest.raises(InputError, match="multiple of micro_batch_size times the processes"):
        run(made, tmp_path, replace(TINY, micro_batch_size=3))


# -- when to stop -----------------------------------------------------------------------------------------------------


def rows(count: int, **values: Any) -> list[dict[str, Any]]:
    """A log; a value may be a function of the step."""
    fine = {"loss": 0.1, "grad_norm": 1.0, "kl": 0.0, "frac_reward_zero_std": 0.2, "completions/clipped_ratio": 0.1}
    return [
        fine | {"step": i, **{k: v(i) if callable(v) else v for k, v in values.items()}} for i in range(1, count + 1)
    ]  # fmt: skip


FALLING = {"rewards/boxes/mean": lambda i: 0.6 if i <= 10 else 0.2}


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        (rows(20, **FALLING), r"'boxes' collapsed: its mean over 5 steps fell from 0\.600 to 0\.200"),
        (rows(5, frac_reward_zero_std=1.0), "for 5 steps all replies of every group had the same reward"),
        (rows(5, **{"completions/clipped_ratio": 0.95}), "95% of replies did not end"),
        (rows(1, loss=math.nan), "loss is nan"),
        (rows(1, grad_norm=math.inf), "grad_norm is inf"),
    ],
)
def test_a_run_that_is_lost_is_given_up(log, sentence):
    import re

    assert re.search(sentence, Stop(window=5).reason(log, ["label", "boxes"]))


@pytest.mark.parametrize(
    "log",
    [
        [],
        rows(14, **FALLING),  # not yet below half over five steps
        rows(4, frac_reward_zero_std=1.0),
        rows(9, frac_reward_zero_std=lambda i: 0.9 if i == 7 else 1.0),
        rows(30, **{"rewards/boxes/mean": lambda i: 0.04 / i}),  # began with almost nothing
        rows(30, **{"rewards/boxes/mean": None, "kl": None}),  # never judged
        rows(30, **{"rewards/side/mean": lambda i: 0.9 if i < 9 else 0.0}),  # pays nothing
    ],
)
def test_a_run_that_may_yet_come_to_something_goes_on(log):
    assert Stop(window=5).reason(log[:12] if log[:1] == rows(1, **FALLING) else log, ["label", "boxes"]) is None


@given(st.lists(st.floats(0, 1), min_size=0, max_size=30), st.integers(1, 8), st.floats(0, 1))
def test_a_reward_that_stays_above_its_share_never_stops_a_run(means, window, share):
    """By definition of the rule, recomputed here step by step."""
    log = [row | {"rewards/boxes/mean": mean} for row, mean in zip(rows(len(means)), means, strict=True)]
    why = Stop(window=window, share=share).reason(log, ["boxes"])
    n = min(window, len(means) // 2)
    lost = False
    if n >= max(1, window // 2):
        best = max(np.mean(means[i : i + n]) for i in range(len(means) - 2 * n + 1))
        lost = best >= 0.05 and np.mean(means[-n:]) < share * best
    assert (why is not None) == lost


@pytest.mark.parametrize(
    ("means", "step"),
    [
        ([0.95] * 20 + [0.0] * 19, 27),  # a run of 39 steps
        ([1.0] * 28 + [0.0] * 11, 38),
        ([0.1] * 20 + [0.95] * 80 + [0.06] * 100, 111),  # better than it began, and lost
    ],
)
def test_a_reward_that_falls_is_seen_before_the_run_is_over(means, step):
    log = rows(len(means), **{"rewards/grammar/mean": lambda i: means[i - 1]})
    assert next(n for n in range(1, len(log) + 1) if Stop().reason(log[:n], ["grammar"])) == step


def test_a_run_that_collapses_stops_with_its_reason(made, tmp_path, monkeypatch):
    recipe = replace(
        TINY, rewards={"grammar": 1.0, "label": 1.0}, steps=9, stop=Stop(window=2)
    )  # random weights: all 0
    with pytest.raises(
        Collapse,
        match=r"at step 2: for 2 steps all replies of .* in another folder; the last checkpoint",
    ):
        run(made, tmp_path, recipe, "plain", save_every=1)
    assert len(logged(tmp_path)) == 2 and not (tmp_path / "model").exists()
    assert (tmp_path / "curve.svg").exists()


# -- the recipe -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "grpo-small",
        "grpo-1/recipe",
        "grpo-2/recipe",
        "grpo-3/recipe",
        "grpo-ablation",
        "published-qwen3b",
        "published-qwen7b",
        "published-internvl4b",
    ],
)
def test_the_recipes_that_are_given_can_be_read(name):
    recipe = Recipe.read(RUNS / f"{name}.toml")
    assert recipe.group_size * recipe.prompts % recipe.micro_batch_size == 0 and recipe.judged.weights.keys() >= {
        "boxes",
        "alignment",
    }
    assert recipe.model.startswith("Qwen/") == ("qwen" in name)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("langage = 'lora'", "Did you mean 'language'"),
        ("language = 'frozen'", "Unknown way to train the language model 'frozen'"),
        ("loss = 'grop'", "Did you mean 'grpo'"),
        ("scale = 'non'", "Did you mean 'none'"),
        ("[rewards]\ngramar = 1.0", "Did you mean 'grammar'"),
        ("without = ['boxs']", "Did you mean 'boxes'"),
        ("[stop]\nwindw = 3", "Did you mean 'window'"),
        ("[lora]\nrnk = 3", "Did you mean 'rank'"),
        ("vllm = 'colocated'", "Did you mean 'colocate'"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(tmp_path, line, sentence):
    (tmp_path / "r.toml").write_text(f"steps = 3\n{line}\n")
    with pytest.raises(UnknownName, match=sentence):
        Recipe.read(tmp_path / "r.toml")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("epochs = 1.0", "either steps or epochs"),
        ("group_size = 1", "group_size of at least 2"),
        ("top_p = 0.0", r"top_p in \(0, 1\]"),
        ("lr = 'much'", "expected lr of type float, got 'much'"),
        ("[rewards]\nlabel = -1.0", "expected a weight from 0"),
        ("without = ['label']\n[rewards]\nlabel = 1.0", "at least one weight above 0"),
        ("[stop]\nshare = 2.0", "share and cut from 0 to 1"),
        ("[rewards]\nlabel = 1e300", "expected a weight from 0 to 1,000,000"),
        (f"temperature = {10**400}", "expected numbers of at most 64 bits, got one of 1329"),
        (f"group_size = {2**40}", "group_size of at most 1,048,576"),
        ("vllm_memory = 1.5", "vllm_memory as a share above 0 and up to 1"),
        ("= 3", "expected a recipe in TOML"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(tmp_path, line, sentence):
    (tmp_path / "r.toml").write_text(f"steps = 3\n{line}\n")
    with pytest.raises(InputError, match=sentence):
        Recipe.read(tmp_path / "r.toml")


@pytest.mark.parametrize("epochs", [1e300, 10_000_001])
def test_a_run_without_end_is_refused(epochs, tmp_path):
    (tmp_path / "r.toml").write_text(f"epochs = {epochs}\n")
    with pytest.raises(InputError, match="expected epochs of at most 10,000,000"):
        Recipe.read(tmp_path / "r.toml")
    with pytest.raises(InputError, match="expected at most 100,000,000 examples in all steps, got 800,000,000"):
        grpo.dataset([], replace(TINY, prompts=80), 10_000_000, "")


_SETTINGS = {entry.name: get_type_hints(Recipe)[entry.name] for entry in fields(Recipe)}
_NUMBERS = (
    st.integers(-3, 40) | st.sampled_from([2**31, 2**63 - 1, 2**63, -(2**64), 10**400]) | st.floats()
    | st.floats(0, 1) | st.sampled_from([1e-300, 1e300, -0.0])
)  # fmt: skip
_WORDS = st.text(max_size=12) | st.sampled_from(
    ["lora", "full", "float32", "bfloat16", "grpo", "dapo", "batch", "colocate", "server", "label", "~nobody/x", "a\0b"]
)
_KEYS = st.text(max_size=6) | st.sampled_from(
    ["rank", "alpha", "dropout", "window", "share", "floor", "cut", "same", *REWARDS, "width", "tokens", "size"]
)
_LEAVES = _NUMBERS | st.booleans() | _WORDS
_TABLES = st.dictionaries(_KEYS, _LEAVES | st.lists(_LEAVES, max_size=2), max_size=3)
_VALUES = _LEAVES | st.lists(_LEAVES, max_size=3) | _TABLES


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=True)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(each)}" for name, each in value.items()) + "}"
    return f"[{', '.join(map(_toml, value))}]" if isinstance(value, list) else repr(value)


@pytest.mark.parametrize(
    "line", ['"\\n" = 0', '"\\n" = 1e999', '"\\u202e" = 9223372036854775808', '[paid]\n"a\\nb" = inf']
)
def test_a_key_that_breaks_lines_is_told_in_one(tmp_path, line):
    (tmp_path / "odd.toml").write_text(line + "\n")
    with pytest.raises((InputError, UnknownName)) as refused:
        Recipe.read(tmp_path / "odd.toml")
    assert str(refused.value).isprintable()


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from([*_SETTINGS]) | _KEYS, _VALUES, max_size=4), st.data())
def test_whatever_a_recipe_says_it_is_read_or_refused_in_a_sentence(tmp_path_factory, given, data):
    for name in data.draw(st.sets(st.sampled_from([*_SETTINGS]), max_size=5)):  # of the right type, more often than not
        kind = _SETTINGS[name]
        given[name] = data.draw({int: _NUMBERS, float: _NUMBERS, str: _WORDS, bool: st.booleans()}.get(kind, _VALUES))
    if data.draw(st.booleans()):
        given |= {"steps": 3}
        given.pop("epochs", None)
    file = tmp_path_factory.getbasetemp() / "drawn.toml"
    file.write_text("".join(f"{json.dumps(name)} = {_toml(value)}\n" for name, value in given.items()))
    try:
        recipe = Recipe.read(file)
    except (InputError, UnknownName) as error:
        refused = str(error)
        assert 20 < len(refused) < 1200 and "\n" not in refused
        return
    asked = replace(recipe, steps=recipe.steps or 1, epochs=None)
    if recipe.group_size * recipe.prompts % recipe.micro_batch_size == 0:
        assert grpo._arguments(asked, file.parent, asked.steps, 1, 1, []).max_steps == asked.steps
    asked.paid.judge(["no"], label=["real"])
    with pytest.raises((InputError, UnknownName, WeightsError)):  # there is no such model
        grpo.plan(asked)


def test_vllm_is_asked_for_by_name_and_never_with_an_expert(made, monkeypatch):
    wanted = replace(TINY, vllm="colocate", model=str(made / "whole"))
    if find_spec("vllm") is None:
        with pytest.raises(MissingExtra, match="pip install vllm"):
            grpo.make(wanted)
    monkeypatch.setattr(grpo.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(InputError, match="has an expert, whose embeddings vLLM cannot be given"):
        grpo.make(wanted)


def test_the_command_says_what_is_wrong(made, tmp_path, capsys):
    (tmp_path / "r.toml").write_text("steps = 1\n")
    words = [str(tmp_path / "r.toml"), "--data", str(made / "train.parquet"), "--out", str(tmp_path / "out")]
    assert main(["train", "grpo", *words]) == 2
    assert "--model" in capsys.readouterr().err
    assert main(["train", "grpo", *words, "--model", str(made / "nowhere")]) == 2
    assert "There is no folder" in capsys.readouterr().err
    for name in ("~nobody/x", "a\0b", "x" * 5000, "~", "..", "/dev/zero"):
        for more in ((), ("--plan",)):
            assert main(["train", "grpo", *words, "--model", name, *more]) == 2
            assert "Traceback" not in capsys.readouterr().err
    (tmp_path / "none.parquet").write_bytes(b"none")
    assert main(["train", "grpo", *words[:2], str(tmp_path / "none.parquet"), *words[3:]]) == 2
    assert "expected a Parquet table that builders/dma wrote" in capsys.readouterr().err


def test_by_command_a_run_is_trained_and_measured(made, tmp_path, capsys):
    (tmp_path / "r.toml").write_text(
        'language = "full"\ngroup_size = 2\nprompts = 1\nmicro_batch_size = 2\nmax_tokens = 4\nsteps = 1\nbeta = 0.0\n'
        "[rewards]\ngrammar = 1.0\nlength = 1.0\n"
    )
    words = ["--data", str(made / "train.parquet"), "--model", str(made / "plain"), "--val", str(made / "val.parquet")]
    one, other = tmp_path / "one", tmp_path / "other"
    assert main(["train", "grpo", str(tmp_path / "r.toml"), *words, "--out", str(one)]) == 0
    assert "before_after.md" in capsys.readouterr().out
    drawn = json.loads((one / "drawn" / "before.jsonl").read_text().splitlines()[0])["replies"]
    assert len(drawn) == 4 and not (one / "drawn" / "drawn").exists()
    again = ["--before", str(one), "--without", "grammar", "--samples", "0", "--out", str(other)]
    assert main(["train", "grpo", str(tmp_path / "r.toml"), *words, *again]) == 0
    assert (one / "before.jsonl").read_bytes() == (other / "before.jsonl").read_bytes()
    assert not (other / "drawn").exists()
    third = ["--before", str(one), "--no-likeliest", "--samples", "4", "--out", str(tmp_path / "third")]
    assert main(["train", "grpo", str(tmp_path / "r.toml"), *words, *third]) == 0
    assert not (tmp_path / "third" / "before_after.json").exists()
    assert (tmp_path / "third" / "drawn" / "before.jsonl").read_bytes() == (one / "drawn" / "before.jsonl").read_bytes()
    assert main(["bench", "ablation", str(one), str(other), "--out", str(tmp_path / "ablation.md")]) == 0
    table = (tmp_path / "ablation.md").read_text()
    assert "| (nothing) |" in table and "| grammar |" in table
    assert main(["bench", "ablation", str(one), str(made), "--out", str(tmp_path / "no.md")]) == 2
    assert "expected a run that was measured, with --val" in capsys.readouterr().err
    for edited in ("null", "[]", "{}", '{"weights": {"label": 1}, "rewards": {"reward": 3}}'):
        (other / "before_after.json").write_text(edited)
        assert main(["bench", "ablation", str(one), str(other), "--out", str(tmp_path / "no.md")]) == 2
        assert "expected what train grpo measured with --val, got something else" in capsys.readouterr().err


# -- before and after -------------------------------------------------------------------------------------------------


def written(path: Path, table: Path, reply: Any) -> Path:
    """Replies of a model that says what `reply` makes of each row."""
    lines = [{"file": r["file"], "prompt": r["prompt"], "replies": reply(r)} for r in paired.read(table)]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def test_of_a_rigged_pair_the_better_one_is_better_and_the_interval_excludes_zero(made, tmp_path):
    table = made / "val.parquet"
    better = written(tmp_path / "people.jsonl", table, lambda r: [r["reply"]])
    worse = written(tmp_path / "worse.jsonl", table, lambda r: [r["reply"].replace("40, 40", "20, 20")])
    rewards = Rewards({k: v for k, v in REWARDS.items() if k != "length"})
    found = paired.compare(worse, better, table, tmp_path / "up", rewards=rewards)
    overlap = 30 * 40 / (50 * 60)
    assert found["annotations"] == 48 and found["prompts"] == 24 and found["groups"] == 12
    assert found["rewards"]["boxes"]["before"]["value"] == pytest.approx(overlap)
    assert found["rewards"]["boxes"]["difference"] == pytest.approx(
        {"value": 1 - overlap, "low": 1 - overlap, "high": 1 - overlap, "n": 24, "why": ""}
    )
    sums = found["rewards"]["reward"]["difference"]
    assert 0 < sums["low"] <= sums["value"] == pytest.approx((1 - overlap) / 2) and sums["n"] == 48
    assert found["rewards"]["label"]["difference"]["value"] == 0.0
    assert found["rewards"]["side"]["difference"]["value"] is None
    page = (tmp_path / "up" / "before_after.md").read_text()
    assert "| boxes | 1 | 0.4000 | 1.0000 | +0.6000 | +0.6000 … +0.6000, rises | 24 |" in page
    assert "| label | 1 | 1.0000 | 1.0000 | +0.0000 | +0.0000 … +0.0000, no difference is shown |" in page
    assert len(found["shown"]) == 10 and page.count("- before (") == 10
    with Image.open(tmp_path / "up" / "replies.png") as sheet:
        assert sheet.width == 6 * 240

    down = paired.compare(better, worse, table, tmp_path / "down", rewards=rewards)
    assert down["rewards"]["reward"]["difference"]["high"] < 0
    assert "falls" in (tmp_path / "down" / "before_after.md").read_text()


def test_replies_that_are_predictions_are_read(made, tmp_path):
    """Those of another measuring: the model is not asked again, and a question it was not asked is told."""
    table = paired.read(made / "val.parquet")
    rows = [
        {"dataset": "dma", "file": r["file"], "frame": None, "group": r["group"], "split": "val", "label": r["label"],
         "perturbation": "none", "strength": 0, "status": "ok", "speaker": "dialogue", "witness": "model",
         "question": r["question"], "raw": f"{r['reply']} ", "text": "x"}
        for r in {(r["file"], r["question"]): r for r in table}.values()
    ]  # fmt: skip
    predictions.write(tmp_path / "run", {"name": "m"}, rows)
    said = paired.replies_of(tmp_path / "run", table, paired.Asking())
    assert len(said) == len(table) and all(texts[0].endswith(" ") for texts in said)
    found = paired.compare(tmp_path / "run", tmp_path / "run", made / "val.parquet", tmp_path / "out")
    assert found["rewards"]["reward"]["difference"]["value"] == 0.0
    predictions.write(tmp_path / "run", {"name": "m"}, rows[1:])
    with pytest.raises(InputError, match="a model's own text to each of the table's questions, got none to"):
        paired.replies_of(tmp_path / "run", table, paired.Asking())


@pytest.mark.parametrize("replies", [None, "abc", [None], [5, {}]])
def test_replies_that_are_no_texts_are_not_read_as_texts(made, tmp_path, replies):
    file = written(tmp_path / "r.jsonl", made / "val.parquet", lambda r: replies)
    with pytest.raises(InputError, match=r"r\.jsonl': expected lines .* got another in entry 1\. Name the model"):
        paired.replies_of(file, paired.read(made / "val.parquet"), paired.Asking())


def test_replies_of_any_letters_are_read_as_they_were_written(made, tmp_path):
    """A line separator within a text ends no line; a mark of UTF-8 and an empty line are no reply."""
    rows = paired.read(made / "val.parquet")
    text = "so \u2028\x85 far \x1b[2J"
    lines = [{"file": r["file"], "prompt": r["prompt"], "replies": [text]} for r in rows]
    content = "".join(f"{json.dumps(line, ensure_ascii=False)}\r\n" for line in lines)
    (tmp_path / "r.jsonl").write_bytes(b"\xef\xbb\xbf" + content.encode() + b"\n")
    assert paired.replies_of(tmp_path / "r.jsonl", rows, paired.Asking()) == [[text]] * len(rows)
    half = written(tmp_path / "half.jsonl", made / "val.parquet", lambda r: ["fake \ud800"])
    paired.compare(tmp_path / "r.jsonl", half, made / "val.parquet", tmp_path / "out")
    (tmp_path / "r.jsonl").write_bytes(content.encode()[:-40])
    with pytest.raises(InputError, match=rf"line {len(rows)} is no JSON"):
        paired.replies_of(tmp_path / "r.jsonl", rows, paired.Asking())


def test_a_recipe_without_rewards_is_none_of_grpo(tmp_path):
    (tmp_path / "kfd.toml").write_text("seed = 1")
    with pytest.raises(InputError, match=r"kfd\.toml': expected a recipe of train grpo, with a table \[rewards\]"):
        paired.read_settings(tmp_path / "kfd.toml")


def test_a_sample_that_holds_a_line_separator_is_kept_when_a_run_goes_on(tmp_path):
    lines = [json.dumps({"step": n, "reply": "a\u2028b"}, ensure_ascii=False) for n in (1, 2, 3)]
    (tmp_path / "samples.jsonl").write_text("\n".join(lines) + '\n{"step": 1, "re', encoding="utf-8")
    Watch(tmp_path, 1, None)._keep_samples(2)
    assert (tmp_path / "samples.jsonl").read_text(encoding="utf-8") == f"{lines[0]}\n{lines[1]}\n"


ODD = [
    "", "```", "[/red] [bold]", "<think></think><answer>[]</answer>", "{" * 5000, "NaN", "|" * 40, "`a` ``b``",
    '<answer>{"explanation": "fake", "bboxes": {"nose": [1e400, -3, NaN, 5], "tail": [1, 2, 3, 4]}}</answer>',
    '<think>x</think><answer>{"explanation": 3, "bboxes": {"nose": [9e300, 9e300, 9.5e300, 9.5e300]}}</answer>',
]  # fmt: skip


def test_odd_replies_are_judged_and_shown(made, tmp_path):
    table = made / "val.parquet"
    odd = written(tmp_path / "odd.jsonl", table, lambda r: [ODD[(int(r["file"][:-4]) + len(r["text"])) % len(ODD)]])
    found = paired.compare(odd, odd, table, tmp_path, rewards=Rewards(REWARDS))
    assert found["rewards"]["reward"]["difference"]["value"] == 0.0
    assert sum(found["refused"]["before"].values()) >= 48


def test_odd_replies_are_printed_while_it_learns(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(grpo.pv, "answers", lambda model, processor, shown, texts, most: ODD[2 : 2 + len(shown)])
    recipe = replace(TINY, steps=1)
    run(made, tmp_path, recipe, "plain")
    samples = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert [row["reply"] for row in samples[:4]] == ODD[2:6]
    assert "it says     [/red] [bold]" in capsys.readouterr().err


def test_several_replies_count_by_their_mean_and_drawing_leaves_no_trace(made, tmp_path):
    table = made / "val.parquet"
    both = written(tmp_path / "both.jsonl", table, lambda r: [r["reply"], "nothing"])
    none = written(tmp_path / "none.jsonl", table, lambda r: ["nothing", "nothing"])
    found = paired.compare(none, both, table, tmp_path, rewards=Rewards({"grammar": 1.0}))
    assert found["rewards"]["grammar"]["after"]["value"] == 0.5
    state = torch.random.get_rng_state()
    lines = paired.read(table)[:4]
    said = paired.replies_of(made / "plain", lines, paired.Asking(4, samples=2))
    assert [len(texts) for texts in said] == [2] * 4 and said[0] == said[1]  # one picture, one question
    assert torch.equal(state, torch.random.get_rng_state())
    assert said == paired.replies_of(made / "plain", lines, paired.Asking(4, samples=2))


def test_replies_to_other_prompts_are_refused(made, tmp_path):
    other = written(tmp_path / "other.jsonl", made / "train.parquet", lambda r: ["x"])
    (tmp_path / "broken.jsonl").write_text("{}\n")
    for source, sentence in (
        (other, "48 prompts of the table, got 16"),
        (tmp_path / "broken.jsonl", "expected lines {file, prompt,"),
    ):
        with pytest.raises(InputError, match=sentence):
            paired.compare(source, source, made / "val.parquet", tmp_path)
