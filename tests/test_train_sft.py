"""Stage 2 at tiny sizes on noise and painted faces: what is drawn, what is learned, and that a killed run goes on."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
for package in ("peft", "transformers", "trl"):
    if find_spec(package) is None:
        pytest.skip(f"needs {package}, of the extra 'vlm'", allow_module_level=True)

from doubles import a_minute_a_step, tiny_fdm  # noqa: E402
from safetensors import SafetensorError  # noqa: E402

from facewitness.apps.cli import main  # noqa: E402

from facewitness.models import prompted_vlm as pv  # noqa: E402  isort: skip  (it mends torchvision)
from facewitness import geometry  # noqa: E402
from facewitness.bench import answers as bench  # noqa: E402
from facewitness.builders import (  # noqa: E402
    chats,
    dma,
    sbi_qa,
)
from facewitness.builders.chats import Example  # noqa: E402
from facewitness.errors import InputError, UnknownName, WeightsError  # noqa: E402
from facewitness.grammars import mare  # noqa: E402
from facewitness.models.fdm import FDM  # noqa: E402
from facewitness.models.forgery_expert import ForgeryExpert  # noqa: E402
from facewitness.models.kfd import KFD, Detection, SmallEncoders  # noqa: E402
from facewitness.train import sft, small_vlm  # noqa: E402
from facewitness.train.checkpoint import last_checkpoint  # noqa: E402
from facewitness.train.plan import count  # noqa: E402
from facewitness.train.sft import Recipe, train  # noqa: E402
from facewitness.train.tuning import Draws, finite  # noqa: E402
from facewitness.types import Finding, Reply  # noqa: E402

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings(r"ignore:`(is_)?gradient_checkpointing\w*` is deprecated:FutureWarning"),
]

RUNS = Path(__file__).parents[1] / "runs"
SIZE = 112
TINY = Recipe(
    language="full",
    quoted=False,
    learner={"base": 2, "grid": 2, "tokens": 4, "width": 4, "scale": 0.1},
    general=0.0,
    steps=4,
    batch_size=4,
    micro_batch_size=4,
    lr=3e-3,
    seed=3,
)
CONFIG = {"width": 4, "pool": 2, "hidden": 8}


def encoders() -> SmallEncoders:
    def embed(sentences):
        return np.stack([np.random.default_rng(sum(map(ord, s))).normal(size=24) for s in sentences])

    return SmallEncoders("mobilenetv2_035", (4, 8, 16), SIZE, 24, embed=embed)


class Parity(KFD):
    """A detector by hand: a picture is fake if the red of its first pixel is odd, which no other eye here can see."""

    def forward(self, pixels: Any, reference: Any = None) -> Detection:
        odd = pixels[:, 0, 0, 0].round() % 2
        empty = pixels.new_zeros(len(pixels), 6, 4, 4)
        shown = odd.view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
        return Detection(odd * 6 - 3, shown, empty + odd.view(-1, 1, 1, 1), empty[:, :, 0, 0])


def noise(seed: int, fake: bool) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    pixels[0, 0, 0] = pixels[0, 0, 0] // 2 * 2 + fake
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def items(first: int, count: int) -> list[sbi_qa.Item]:
    """A verdict and a region question about each of `count` noise pictures; every second one is fake."""
    out = []
    for n in range(first, first + count):
        fake = bool(n % 2)
        picture = noise(n, fake)
        for asked in (None, "nose"):
            question = sbi_qa.VERDICT_QUESTIONS[n // 2 % 2] if asked is None else "Is the nose fake?"
            answer = "Yes. The forged part is the nose." if fake else "No. Nothing on the face was altered."
            out.append(
                sbi_qa.Item(
                    f"{n}.png", picture, None, "fake" if fake else "real", f"person {n // 2}",
                    ("nose",) if fake else (), question, answer, sbi_qa.DESCRIPTIONS[n // 2 % 2], asked,
                    0.95 if fake else 0.05, f"{n}.png",
                )
            )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a table, a validation table, general dialogue, a saved detector and a tiny model."""
    folder = tmp_path_factory.mktemp("sft")
    sbi_qa.write_parquet(items(0, 24), folder / "train.parquet")
    sbi_qa.write_parquet(items(1000, 16), folder / "val.parquet")
    Image.new("RGB", (60, 40), (200, 30, 30)).save(folder / "red.png")
    talk = [
        {
            "image": "red.png",
            "conversations": [
                {"from": "human", "value": "<image>\nWhat colour is it?"},
                {"from": "gpt", "value": "It is red."},
                {"from": "human", "value": "And the rest?"},
                {"from": "gpt", "value": "All of it is red."},
            ],
        },
        {"messages": [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Good day."}]},
    ]
    (folder / "talk.json").write_text(json.dumps(talk))
    torch.manual_seed(0)
    KFD(encoders(), **CONFIG).save(folder / "kfd.safetensors", {"crop": {"margin": 1.3}})
    sentences = [t for name in ("train.parquet", "talk.json") for e in chats.read(folder / name) for t in e.texts()]
    model, processor = small_vlm.make(sentences, width=64, layers=2, rows=600, size=SIZE, vision_width=32)
    model.save_pretrained(folder / "small")
    processor.save_pretrained(folder / "small")
    return folder


def run(made: Path, out: Path, recipe: Recipe = TINY, **options: Any) -> Path | None:
    recipe = replace(recipe, model=str(made / "small"))
    options = {"detector": made / "kfd.safetensors", "save_every": 2, "show_every": 4, "log_every": 1} | options
    return train(recipe, [made / "train.parquet"], out, **options)


def logged(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "log.csv").read_text().splitlines()))


def weights(folder: Path) -> dict[str, Any]:
    model, _ = pv.load(folder)
    return dict(model.state_dict())


# -- what is drawn ----------------------------------------------------------------------------------------------------


def spoken(name: str, count: int) -> list[Example]:
    return [Example((("user", f"{name} {n}"),), "Yes.", ()) for n in range(count)]


def test_forensic_and_general_batches_alternate_and_each_round_shows_all():
    draws = Draws(spoken("forensic", 6), spoken("general", 5), Fraction(1, 2), 3, seed=0)
    kinds = [[draws[step * 3 + k][1] for k in range(3)] for step in range(20)]
    assert kinds == [[step % 2 == 0] * 3 for step in range(20)]
    forensic = [draws[i][0].before[0][1] for i in range(60) if draws[i][1]]
    assert all(Counter(forensic[a : a + 6]) == {f"forensic {n}": 1 for n in range(6)} for a in range(0, 30, 6))
    assert forensic[:6] != forensic[6:12]
    assert {draws[i][0].before[0][1] for i in range(60) if not draws[i][1]} == {f"general {n}" for n in range(5)}


@pytest.mark.parametrize("share", [0.1, 0.3, 0.75])
def test_the_share_of_general_batches_is_the_recipes(share):
    recipe = replace(TINY, general=share)
    draws = Draws(spoken("forensic", 6), spoken("general", 5), recipe.share, 1, seed=0)
    steps = [draws.general(step) for step in range(200)]
    assert sum(steps) == round(200 * share) and not steps[0]
    assert all(abs(sum(steps[:n]) - n * share) <= 1 for n in range(200))


def test_general_dialogue_is_needed_where_it_is_asked_for(made, tmp_path):
    with pytest.raises(InputError, match=r"expected general dialogue, got none\. Name chat JSON with --general"):
        run(made, tmp_path, replace(TINY, general=0.5))


def test_a_forensic_prompt_is_picture_evidence_and_words_in_the_papers_order(made):
    example = chats.read(made / "train.parquet", quoted=True)[0]
    (message,) = example.messages("<forgery><forgery>")
    assert [part["type"] for part in message["content"]] == ["image", "text"]
    text = message["content"][1]["text"]
    assert text.startswith("<forgery><forgery> This is a picture") and "forgery score of 0.05. Is this" in text
    assert "score" not in chats.read(made / "train.parquet", quoted=False)[0].before[0][1]
    assert np.array_equal(np.asarray(example.pictures()[0])[0, 0, 0] % 2, 0)


def test_every_answer_of_a_conversation_is_an_example_with_all_before_it(made):
    red, rest, hello = chats.read(made / "talk.json")
    assert (red.answer, rest.answer, hello.answer) == ("It is red.", "All of it is red.", "Good day.")
    assert rest.before == (("user", "What colour is it?"), ("assistant", "It is red."), ("user", "And the rest?"))
    assert [len(e.pictures()) for e in (red, rest, hello)] == [1, 1, 0]
    kinds = [[part["type"] for part in m["content"]] for m in rest.messages()]
    assert kinds == [["image", "text"], ["text"], ["text"]]


def test_chat_json_of_the_builder_says_what_its_table_says(made, tmp_path):
    written = items(0, 4)
    sbi_qa.write_chat(written, tmp_path)
    sbi_qa.write_parquet(written, tmp_path / "t.parquet")
    chat, table = chats.read(tmp_path / "chat.json"), chats.read(tmp_path / "t.parquet")
    assert [(e.before, e.answer) for e in chat] == [(e.before, e.answer) for e in table]
    assert all(np.array_equal(a.pictures()[0], b.pictures()[0]) for a, b in zip(chat, table, strict=True))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{}", "expected a list of conversations, got dict"),
        ("not JSON", "expected chat JSON or a Parquet table"),
        ("[]", "expected at least one question"),
        ('[{"messages": [{"role": "judge", "content": "x"}]}]', "conversation 0: expected messages"),
        ('[{"text": "x"}]', "conversation 0: expected messages"),
        (
            '[{"conversation": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "image": "n.png"}]',
            "its picture 'n.png' is not beside the file",
        ),
        ("[" * 99_999, "expected chat JSON or a Parquet table"),
        ('[{"messages": [{"role": "user", "content": "x"}], "images": ["../../n.png"]}]', "leads out of its folder"),
        ('[{"messages": [{"role": "user", "content": "x"}], "images": ["/etc/hostname"]}]', "leads out of its folder"),
        ('[{"messages": [{"role": "user", "content": "x"}], "images": [[1]]}]', "the name of a picture is no text"),
        ('[{"messages": [{"role": "user", "content": "x"}], "images": [3]}]', "the name of a picture is no text"),
    ],
)
def test_other_files_are_refused_with_a_sentence(tmp_path, content, sentence):
    (tmp_path / "chat.json").write_text(content)
    with pytest.raises(InputError, match=sentence):
        chats.read(tmp_path / "chat.json")


def test_a_table_without_scores_cannot_be_quoted_and_a_broken_one_says_so(tmp_path):
    sbi_qa.write_parquet([replace(i, score=None) for i in items(0, 2)], tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"Build the table with --detector, or set quoted = false"):
        chats.read(tmp_path / "t.parquet", quoted=True)
    (tmp_path / "t.parquet").write_bytes((tmp_path / "t.parquet").read_bytes()[:200])
    with pytest.raises(InputError, match="expected a Parquet table that builders/sbi_qa wrote"):
        chats.read(tmp_path / "t.parquet")


# -- the recipe -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["kfd/sft.toml", "kfd/sft-authors.toml", "kfd/sft-small.toml", "mare/sft-small.toml", "mare/sft-edits.toml"]
)
def test_the_recipes_that_are_given_can_be_read(name):
    assert Recipe.read(RUNS / name).forgery_prompt


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("langage = 'lora'", "Did you mean 'language'"),
        ("language = 'loar'", "Did you mean 'lora'"),
        ("[learner]\ntoken = 3", "Did you mean 'tokens'"),
        ("[lora]\nrnk = 3", "Did you mean 'rank'"),
        ("dtype = 'float3'", "Did you mean 'float32'"),
    ],
)
def test_unknown_keys_are_refused_with_the_nearest(tmp_path, line, sentence):
    (tmp_path / "r.toml").write_text(f"steps = 3\n{line}\n")
    with pytest.raises(UnknownName, match=sentence):
        Recipe.read(tmp_path / "r.toml")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"epochs": 1.0}, "either steps or epochs"),
        ({"general": 1.0}, "share from 0 to below 1"),
        ({"batch_size": 0}, "batch_size of at least 1"),
        ({"lr": -1.0}, "lr of at least 0"),
        ({"learner": {"tokens": -1}}, "tokens of at least 1"),
        ({"lora": {"rank": 0}}, "rank of at least 1"),
        ({"language": "frozen", "forgery_prompt": False}, "leaves nothing to train"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        replace(TINY, **changes)


def test_the_command_says_what_is_wrong(made, tmp_path, capsys):
    (tmp_path / "r.toml").write_text("steps = 2\nquoted = false\ngeneral = 0.0\n")
    arguments = [str(tmp_path / "r.toml"), "--forensic", str(made / "train.parquet"), "--out", str(tmp_path / "out")]
    assert main(["train", "sft", *arguments]) == 2
    assert "--model" in capsys.readouterr().err
    assert main(["train", "sft", *arguments, "--model", str(made / "small")]) == 2
    assert "expected --detector" in capsys.readouterr().err
    assert main(["train", "sft", *arguments, "--model", str(made / "nowhere"), "--no-forgery-prompt"]) == 2
    assert "There is no folder" in capsys.readouterr().err


# -- the small model --------------------------------------------------------------------------------------------------


def test_the_small_model_is_small_and_its_tokenizer_writes_any_text():
    sentences = [*sbi_qa.DESCRIPTIONS, *sbi_qa.VERDICT_QUESTIONS, *["[12, 34, 178, 179]"] * 3]
    model, processor = small_vlm.make(sentences)
    assert 3_000_000 < count(model) <= small_vlm.MOST
    text = "Ist das Gesicht gefälscht? 顔 <3"
    assert processor.tokenizer.decode(processor.tokenizer(text)["input_ids"]) == text
    assert processor.tokenizer.tokenize("[7, 178]") == ["[", "7", ",\u0120", "1", "7", "8", "]"]
    taught = len(processor.tokenizer(sentences[0])["input_ids"])
    assert taught < len(sentences[0].split()) * 1.5
    prompt = processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Hi."}]}],
        add_generation_prompt=True,
        tokenize=False,
    )
    assert prompt == "<|user|><|vision_start|><|image_pad|><|vision_end|>Hi.<|end|><|assistant|>"
    seen = processor(images=[Image.new("RGB", (224, 224))], text=[prompt], return_tensors="pt")
    assert (seen["input_ids"] == model.config.image_token_id).sum() == 16
    with pytest.raises(InputError, match="at most 20,000,000 parameters"):
        small_vlm.make(sentences, width=640, layers=12)
    with pytest.raises(InputError, match="multiple of 64"):
        small_vlm.make(sentences, width=100)


@pytest.mark.parametrize("slip", [{"width": 64_000_000}, {"layers": 10**9}, {"vision_width": 10**7}, {"rows": 10**12}])
def test_a_small_model_of_absurd_sizes_is_refused_before_anything_is_made(slip, monkeypatch):
    monkeypatch.setattr(small_vlm, "tokenizer", lambda *_: pytest.fail("the words are learned after the sizes"))
    with pytest.raises(InputError, match=r"small_vlm: expected (at most 20,000,000 parameters|from 1 to 312,500 rows)"):
        small_vlm.make(["Where?"], **slip)
    with pytest.raises(InputError, match="see: expected from 1 to 10,000,000 steps, got 1,000,000,000,000"):
        small_vlm.see(None, None, [], [], 10**12)


def spotted(count: int, side: int = 112) -> list[dict[str, Any]]:
    """Rows of a DMA table: a grey picture each, with a white nose and a black left eye somewhere."""
    rng, rows = np.random.default_rng(3), []
    for n in range(count):
        pixels = np.full((side, side, 3), 128, np.uint8)
        boxes = []
        for light in (255, 0):
            x, y = rng.integers(10, 70, 2).tolist()
            pixels[y : y + 28, x : x + 28] = light
            boxes.append([float(x), float(y), x + 28.0, y + 28.0])
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        rows.append({"file": f"{n // 2 * 2}", "image": file.getvalue(), "regions": ["nose"], "boxes": [boxes[0]]})
        rows.append(
            {"file": f"{n}", "image": file.getvalue(), "regions": ["left_eye", "ear"], "boxes": [boxes[1], None]}
        )
    return rows


def test_a_tower_is_taught_where_regions_lie():
    pictures, boxes = small_vlm.places(spotted(24))
    assert len(pictures) == 24 and set(boxes[0]) == {"nose", "left_eye"} and set(boxes[1]) == {"left_eye"}

    stack = torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy()).float()
    where = torch.tensor([each["left_eye"] for each in boxes])[:, None] / 112
    moved, told = small_vlm._moved(stack, where.repeat(1, 2, 1), np.random.default_rng(0), [1, 0])
    for picture, box in zip(moved, told[:, 0] * 112, strict=True):
        y, x = np.nonzero(picture.numpy().max(0) < 50)
        if x.min() > 1 and y.min() > 1 and x.max() < 110 and y.max() < 110:  # as a whole on the picture
            found = torch.tensor([x.min(), y.min(), x.max() + 1, y.max() + 1])
            assert (found - box).abs().max() < 2.5

    model, processor = small_vlm.make(["Where?"], width=64, layers=1, rows=300, size=112, vision_width=32, seed=1)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    losses = small_vlm.see(model, processor, pictures, boxes, 120, batch=12, lr=3e-3)
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])
    learned = {name.split(".")[1] for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}
    assert learned == {"visual"} and not model.training
    with pytest.raises(InputError, match="on at least ten pictures"):
        small_vlm.see(model, processor, pictures[:9], boxes[:9])
    with pytest.raises(InputError, match="pictures of one size"):
        small_vlm.see(model, processor, [pictures[0], pictures[0][:50]], boxes[:2])


# -- the expert -------------------------------------------------------------------------------------------------------


def test_the_experts_tokens_are_those_of_its_detectors_own_look_at_the_picture(made):
    model, processor = pv.plain(str(made / "small"))
    detector = KFD.load(made / "kfd.safetensors")
    expert = ForgeryExpert.of(detector, pv.width_of(model), tokens=4, base=2, grid=2, width=4)
    pv.attach(model, expert, processor)
    picture = Image.open(io.BytesIO(noise(5, True)))
    seen: dict[str, Any] = {}
    hook = expert.register_forward_hook(lambda _m, _a, out: seen.update(tokens=out))
    pv.answers(model, processor, [picture], ["Is this face fake?"], max_tokens=1)
    hook.remove()
    with torch.no_grad():
        pixels = torch.from_numpy(np.asarray(picture).transpose(2, 0, 1)[None].copy()).float()
        found = detector(pixels)
        expected = expert.learner(found.map, found.consistency, found.score)
    assert seen["tokens"].shape == (1, 4, 64)
    assert torch.allclose(seen["tokens"], expected, atol=1e-5)


def test_only_the_prompt_learner_learns_and_the_detector_keeps_its_statistics(made):
    expert = ForgeryExpert.of(KFD.load(made / "kfd.safetensors"), 64).train()
    assert not any(module.training for module in expert.detector.modules()) and expert.learner.training
    assert {name.split(".")[0] for name, p in expert.named_parameters() if p.requires_grad} == {"learner"}
    again = ForgeryExpert(**json.loads(json.dumps(expert.options)))
    again.load_state_dict(expert.state_dict())
    assert not any(name.startswith("detector.") for name in expert.state_dict()), "it is stored once, in its own file"
    with pytest.raises(WeightsError, match=r"kfd\.safetensors with SHA-256"):
        again.complete([made / "elsewhere"])
    again.complete([made / "elsewhere", made])
    grid = {"image_mean": (0.5,) * 3, "image_std": (0.5,) * 3, "image_sizes": torch.tensor([[SIZE, SIZE]])}
    pixel_values = torch.rand(1, 1, 3, SIZE, SIZE)
    assert torch.equal(again(pixel_values, **grid), expert(pixel_values, **grid))
    with pytest.raises(UnknownName, match="SmallEncoders"):
        ForgeryExpert(expert.options["encoders"] | {"kind": "SmalEncoders"}, {}, {})


# -- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["full", "lora", "frozen"])
def test_a_killed_run_goes_on_and_ends_the_same(made, tmp_path, language):
    general = 0.0 if language == "frozen" else 0.5
    recipe = replace(TINY, language=language, general=general, micro_batch_size=2, lora={"rank": 2, "dropout": 0.1})
    options = {"general": [made / "talk.json"]} if general else {}
    straight = run(made, tmp_path / "straight", recipe, **options)
    assert run(made, tmp_path / "killed", recipe, stop_at_step=3, **options) is None
    assert last_checkpoint(tmp_path / "killed").name == "checkpoint-3"
    (tmp_path / "killed" / "checkpoints" / "checkpoint-3" / "trainer_state.json").write_text("{")  # half written
    assert last_checkpoint(tmp_path / "killed").name == "checkpoint-2"
    killed = run(made, tmp_path / "killed", recipe, **options)
    ours, theirs = weights(straight), weights(killed)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    logs = [logged(tmp_path / run) for run in ("straight", "killed")]
    assert [row["step"] for row in logs[0]] == [row["step"] for row in logs[1]] == ["1", "2", "3", "4"]
    assert [row["loss"] for row in logs[0]] == [row["loss"] for row in logs[1]]
    samples = [json.loads(line) for line in (tmp_path / "killed" / "samples.jsonl").read_text().splitlines()]
    assert {row["step"] for row in samples} == {4} and all(row["question"] and row["answer"] for row in samples)

    before, after = pv.plain(str(made / "small"))[0].state_dict(), ours
    language_moved = any(
        not torch.equal(after[name], tensor)
        for name, tensor in before.items()
        if "language_model.layers" in name and name in after
    )
    assert language_moved == (language == "full")
    assert any("lora_B" in name and tensor.any() for name, tensor in after.items()) == (language == "lora")
    kept = tmp_path / "straight" / "model" / "kfd.safetensors"  # the detector is as it was, and stored once
    assert kept.read_bytes() == (made / "kfd.safetensors").read_bytes()
    assert not any("expert.detector" in name for name in after)
    assert (tmp_path / "straight" / "model" / "base").exists() == (language == "full")
    with pytest.raises(InputError, match="another recipe"):
        run(made, tmp_path / "killed", replace(recipe, lr=1.0), **options)


def test_a_line_of_the_log_is_a_mean_of_the_same_steps_whether_a_run_was_killed_or_not(made, tmp_path):
    logs = []
    for name, stop in (("straight", None), ("killed", 3)):
        options = {"save_every": 3, "log_every": 2}
        if stop:
            run(made, tmp_path / name, stop_at_step=stop, **options)
        run(made, tmp_path / name, **options)
        logs.append([{k: v for k, v in row.items() if k != "epoch"} for row in logged(tmp_path / name)])
    assert [row["step"] for row in logs[0]] == ["2", "3", "4"] and logs[0] == logs[1]


def test_a_loss_that_is_no_number_ends_a_run_before_it_leaves_a_model(made, tmp_path):
    with pytest.raises(InputError, match=r"The loss is no number any more at step \d\. Lower lr"):
        run(made, tmp_path, replace(TINY, lr=1e30))
    assert not (tmp_path / "model").exists()
    lost = torch.nn.Linear(2, 2)
    finite(lost)
    lost.bias.data[1] = torch.inf
    with pytest.raises(InputError, match=r"The last step left no numbers in 1 tensors, among them bias\. Lower lr"):
        finite(lost)


@pytest.fixture(scope="module")
def killed(made, tmp_path_factory) -> Path:
    """A run that was killed after its third step, with a checkpoint a step."""
    folder = tmp_path_factory.mktemp("killed")
    run(made, folder, stop_at_step=3, save_every=1)
    return folder


def spoilt(folder: Path, what: str) -> None:
    if what == "another step":
        state = json.loads((folder / "trainer_state.json").read_text())
        (folder / "trainer_state.json").write_text(json.dumps(state | {"global_step": 400}))
    elif what == "a list":
        (folder / "trainer_state.json").write_text("[]")
    elif what.startswith("no "):
        (folder / what.removeprefix("no ")).unlink()
    else:
        (folder / what).write_bytes((folder / what).read_bytes()[:1000])


@pytest.mark.parametrize(
    "what",
    ["model.safetensors", "optimizer.pt", "rng_state.pth", "no optimizer.pt", "no scheduler.pt", "no rng_state.pth",
     "another step", "a list"],
)  # fmt: skip
def test_a_damaged_checkpoint_is_told_by_its_name_or_passed_over(made, killed, tmp_path, what):
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True)
    spoilt(tmp_path / "checkpoints" / "checkpoint-3", what)
    if "." in what:
        why = f"it holds {what.partition('.')[0]}" if what.startswith("no ") else ".*"
        with pytest.raises(WeightsError, match=rf"checkpoint-3' cannot be gone on from \({why}\)\. Delete that folder"):
            run(made, tmp_path, save_every=1)
        shutil.rmtree(tmp_path / "checkpoints" / "checkpoint-3")
    assert last_checkpoint(tmp_path).name == "checkpoint-2"
    assert run(made, tmp_path, save_every=1) == tmp_path / "model"


def test_a_full_disk_is_one_sentence(made, tmp_path, monkeypatch, capsys):
    errors = iter(
        [
            SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
            RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 2423936 vs 2423824"),
            RuntimeError("a bug of ours"),
        ]
    )
    (tmp_path / "r.toml").write_text("steps = 2\n")
    command = ["train", "sft", str(tmp_path / "r.toml"), "--forensic", str(made / "train.parquet"), "--out"]

    def full(*_, **__):
        raise next(errors)

    monkeypatch.setattr(sft, "train", full)
    for why in (r"No space left on device \(os error 28\)", "torch's archive was cut off"):
        assert main([*command, str(tmp_path / "out")]) == 2
        said = capsys.readouterr().err
        assert re.search(rf"expected to write in '.*out', and could not \({why}\)\. Make room", said)
    with pytest.raises(RuntimeError, match="a bug of ours"):
        main([*command, str(tmp_path / "out")])


@pytest.mark.parametrize("decoupled", [False, True])
def test_a_weight_that_the_loss_hardly_touches_is_lost_to_adams_own_decay(decoupled):
    weight = torch.nn.Parameter(torch.full((4,), 0.02))
    kind, settings = sft.optimizer(sft.Recipe(steps=1, lr=1e-3, weight_decay=1e-5, decoupled=decoupled))
    learner = kind([weight], **settings)
    for _ in range(60):
        weight.grad = torch.tensor([1e-12, -1e-12, 1e-12, -1e-12])
        learner.step()

    assert torch.allclose(weight, torch.tensor(0.02), rtol=1e-3) if decoupled else weight.abs().max() < 0.005


def test_a_run_may_end_before_its_rate_has_fallen(made, tmp_path):
    recipe = replace(TINY, steps=4, stop_at_step=2, cosine=True, general=0.0)
    folder = run(made, tmp_path / "a", recipe)
    assert folder is not None and [row["step"] for row in logged(tmp_path / "a")] == ["1", "2"]
    first = weights(folder)
    shutil.rmtree(folder)  # as if killed before it was saved
    again = weights(run(made, tmp_path / "a", recipe))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert run(made, tmp_path / "b", recipe, stop_at_step=1) is None
    on = weights(run(made, tmp_path / "b", recipe))
    assert all(torch.equal(first[name], on[name]) for name in first)


BY_CLOCK = replace(TINY, steps=40, cosine=True, warmup=2)


def rates(out: Path) -> dict[int, float]:
    """In shares of the highest."""
    return {int(row["step"]): float(row["learning_rate"]) / BY_CLOCK.lr for row in logged(out)}


def fallen(step: float, steps: float = 40.0) -> float:
    """The cosine behind BY_CLOCK's warmup."""
    return 0.5 * (1 + math.cos(math.pi * (step - 2) / (steps - 2)))


def test_by_the_clock_the_rate_falls_to_nothing_and_the_run_ends_whole(made, tmp_path, monkeypatch, capsys):
    begun = a_minute_a_step(monkeypatch)
    folder = run(made, tmp_path, BY_CLOCK, until=begun + timedelta(minutes=4))
    assert "the clock ended the run at step 4 of 40" in capsys.readouterr().err
    assert folder == tmp_path / "model" and last_checkpoint(tmp_path).name == "checkpoint-4"
    ended = weights(folder)
    assert rates(tmp_path) == pytest.approx({1: 0.0, 2: 0.5 * fallen(10), 3: fallen(20), 4: fallen(30)})
    assert [float(row["share"]) for row in logged(tmp_path)] == [0.25, 0.5, 0.75, 1.0]
    samples = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert {row["step"] for row in samples} == {4}

    run(made, tmp_path, BY_CLOCK, until=begun)  # the moment is past: a step that changes nothing
    assert rates(tmp_path)[5] == 0.0 and len(logged(tmp_path)) == 5
    again = weights(folder)
    assert all(torch.equal(ended[name], again[name]) for name in ended)

    run(made, tmp_path, BY_CLOCK, until=begun + timedelta(minutes=10))  # five minutes more, from where its steps stand
    assert rates(tmp_path)[6] == pytest.approx(fallen(5)) and rates(tmp_path)[7] == pytest.approx(fallen(5 + 35 / 5))
    assert len(logged(tmp_path)) == 10 and float(logged(tmp_path)[-1]["share"]) == 1

    assert run(made, tmp_path, BY_CLOCK, stop_at_step=12) is None  # and by steps alone
    assert rates(tmp_path)[11] == pytest.approx(fallen(10)) and rates(tmp_path)[12] == pytest.approx(fallen(11))
    assert logged(tmp_path)[-1]["share"] == ""


def test_a_run_by_the_clock_that_is_killed_goes_on_from_where_its_rate_stood(made, tmp_path, monkeypatch):
    begun = a_minute_a_step(monkeypatch)
    until = begun + timedelta(minutes=5)
    assert run(made, tmp_path, BY_CLOCK, until=until, stop_at_step=3) is None
    assert run(made, tmp_path, BY_CLOCK, until=until) == tmp_path / "model"
    assert rates(tmp_path) == pytest.approx({1: 0, 2: 0.5 * fallen(8), 3: fallen(16), 4: fallen(24), 5: fallen(32)})


def test_a_moment_that_the_steps_do_not_need_changes_nothing(made, tmp_path, monkeypatch):
    begun = a_minute_a_step(monkeypatch)
    recipe = replace(TINY, cosine=True, warmup=1)
    one = run(made, tmp_path / "steps", recipe)
    two = run(made, tmp_path / "clock", recipe, until=begun + timedelta(days=1))
    ours, theirs = weights(one), weights(two)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert [float(row["share"]) for row in logged(tmp_path / "clock")] == [0.25, 0.5, 0.75, 1.0]


def test_by_command_a_moment_is_read_and_a_past_one_is_refused_before_a_run_begins(made, tmp_path, capsys):
    (tmp_path / "r.toml").write_text("steps = 9\nquoted = false\ngeneral = 0.0\nbatch_size = 2\nmicro_batch_size = 2\n")
    words = ["train", "sft", str(tmp_path / "r.toml"), "--forensic", str(made / "train.parquet"), "--model"]
    words += [str(made / "small"), "--no-forgery-prompt", "--out", str(tmp_path / "out"), "--until"]
    with pytest.raises(SystemExit):
        main([*words, "tomorrow"])
    assert "expected a moment such as 2026-11-26T02:00Z, got 'tomorrow'" in capsys.readouterr().err
    assert main([*words, "2025-12-31T23:00Z"]) == 2
    assert "expected a moment to come for a run that has not begun" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_the_prompt_learner_a_plain_model_comes_out(made, tmp_path):
    recipe = replace(TINY, forgery_prompt=False, language="lora", steps=2, lora={"rank": 2})
    folder = run(made, tmp_path, recipe, detector=None)
    model, processor = pv.plain(str(folder))
    assert pv.expert_of(model) is None and "<forgery>" not in processor.tokenizer.get_vocab()
    before = pv.plain(str(made / "small"))[0].state_dict()
    moved = {name for name, t in model.state_dict().items() if not torch.allclose(t, before[name], atol=1e-7)}
    assert moved and all("language_model.layers" in name for name in moved)


def test_the_loss_is_of_the_answer_alone(made):
    """Equation 5: of a batch, only the answer's tokens and its end are labels."""
    import trl

    recipe = replace(TINY, model=str(made / "small"))
    model, processor = sft.make(recipe, KFD.load(made / "kfd.safetensors"))
    examples = chats.read(made / "train.parquet", quoted=False)
    data = sft.dataset(Draws(examples, [], Fraction(0), 4, 0), 8, pv.placeholders(model))
    collate = trl.trainer.sft_trainer.DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
    batch = collate([data[i] for i in range(4)])
    for i in range(4):
        taught = batch["labels"][i][batch["labels"][i] != -100]
        text = processor.tokenizer.decode(taught)
        assert text == data[i]["completion"][0]["content"][0]["text"] + "<|end|>"
    assert ((batch["input_ids"] == model.model.prompt.token_id).sum(1) == 4).all()


@pytest.mark.slow
def test_with_the_prompt_learner_the_verdict_follows_the_detector_and_without_it_is_chance(
    made, tmp_path, monkeypatch
):  # fmt: skip
    monkeypatch.setattr(sft.KFD, "load", lambda path: Parity(encoders(), **CONFIG).eval())
    sbi_qa.write_parquet(items(0, 200), tmp_path / "train.parquet")
    sbi_qa.write_parquet(items(1000, 60), tmp_path / "val.parquet")
    rows = sbi_qa.read_parquet(tmp_path / "val.parquet")
    recipe = replace(
        TINY, model=str(made / "small"), steps=150, batch_size=16, micro_batch_size=16, cosine=True, warmup=10
    )
    numbers = {}
    for learner in (True, False):
        taught = []
        plain_make = sft.make
        monkeypatch.setattr(sft, "make", lambda *a, make=plain_make, kept=taught: kept.extend(make(*a)) or kept)
        out = tmp_path / str(learner)
        train(
            replace(recipe, forgery_prompt=learner), [tmp_path / "train.parquet"], out,
            detector=made / "kfd.safetensors", show_every=1000, save_every=1000, log_every=5,
        )  # fmt: skip
        monkeypatch.setattr(sft, "make", plain_make)
        model, processor = taught
        numbers[learner] = bench.measure(rows, bench.ask(model.eval(), processor, rows, quoted=False))
        loss = [float(row["loss"]) for row in logged(out)]
        assert loss[-1] < loss[0] / 3
    for name in ("verdict", "agreement", "regions"):
        assert numbers[True]["model"][name]["value"] >= 0.97
        assert 0.3 <= numbers[False]["model"][name]["value"] <= 0.7


@pytest.mark.slow
def test_two_processes_learn_what_one_does(made, tmp_path):
    """The same batches and, but for rounding, the same weights."""
    (tmp_path / "r.toml").write_text(
        'language = "full"\nquoted = false\ngeneral = 0.0\nsteps = 3\nbatch_size = 4\nmicro_batch_size = 2\nlr = 1e-3\n'
        "[learner]\nbase = 2\ngrid = 2\ntokens = 4\nwidth = 4\n"
    )
    folders = []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        port = ["--master-port", str(29_500 + os.getpid() % 1000)]
        subprocess.run(
            [
                sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), *port, "-m",
                "facewitness", "train", "sft", str(tmp_path / "r.toml"), "--forensic", str(made / "train.parquet"),
                "--model", str(made / "small"), "--detector", str(made / "kfd.safetensors"), "--out", str(out),
            ],
            check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, timeout=300,
        )  # fmt: skip
        folders.append(out / "model")
    one, two = map(weights, folders)
    assert all(torch.allclose(one[name], two[name], atol=2e-4) for name in one)


# -- MARE's replies ---------------------------------------------------------------------------------------------------


def annotated(first: int, count: int) -> list[dma.Item]:
    """Two annotations of each of `count` noise pictures; every second one is fake, with a box on its nose."""
    out = []
    for n in range(first, first + count):
        fake = bool(n % 2)
        text = "The image looks fake. The nose is blurred." if fake else "The image looks real."
        for question in ("Does the image looks real/fake?", dma.QUESTION):
            findings = (Finding.on("nose", (40.0, 50.0, 72.0, 80.0), None, "", None),) if fake else ()
            reply = Reply("fake" if fake else "real", None, (text,), findings, "I look for seams.")
            out.append(
                dma.Item(
                    f"{n}.png", noise(n, fake), None, (SIZE, SIZE), "fake" if fake else "real", f"person {n // 2}",
                    "train", "noise", question, text, (text,), ("nose",) if fake else (),
                    ((40.0, 50.0, 72.0, 80.0),) if fake else (), mare.render(reply),
                )
            )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def taught(made, tmp_path_factory) -> Path:
    """A folder with MARE's data as a table and as chat JSON, a module and a tiny model made for them."""
    folder = tmp_path_factory.mktemp("mare")
    dma.write_parquet(annotated(0, 12), folder / "dma.parquet")
    dma.write_chat(annotated(0, 12), folder)
    tiny_fdm(folder)
    sentences = [text for example in chats.read(folder / "dma.parquet") for text in example.texts()]
    model, processor = small_vlm.make(sentences, width=64, layers=2, rows=400, size=SIZE, vision_width=32)
    model.save_pretrained(folder / "small")
    processor.save_pretrained(folder / "small")
    return folder


MARES = replace(TINY, learner={"grid": 2}, grammar="mare", max_tokens=96)


def test_a_table_of_dma_is_told_by_its_columns_and_says_what_its_chat_json_says(taught):
    assert chats.is_dma(taught / "dma.parquet") and not chats.is_dma(taught / "chat.json")
    table, chat = chats.read(taught / "dma.parquet"), chats.read(taught / "chat.json")
    assert [(e.before, e.answer) for e in table] == [(e.before, e.answer) for e in chat]
    assert all(np.array_equal(a.pictures()[0], b.pictures()[0]) for a, b in zip(table, chat, strict=True))
    (message,) = table[2].messages("<forgery>")
    assert message["content"][1]["text"].startswith("<forgery> Does the image looks real/fake? Reply as <think>")
    assert mare.parse(table[2].answer).findings[0].box == (40, 50, 72, 80)


def test_rows_of_a_table_of_dma_are_taken_by_split_and_another_table_is_refused(taught, made):
    assert len(chats.read_dma(taught / "dma.parquet", "train")) == 24
    with pytest.raises(InputError, match="expected rows of the split val, got train"):
        chats.read_dma(taught / "dma.parquet", "val")
    with pytest.raises(InputError, match=r"builders/dma wrote, got no column size"):
        chats.read_dma(made / "train.parquet")


def test_mares_replies_are_taught_with_its_traces(taught, tmp_path):
    recipe = replace(MARES, model=str(taught / "small"), steps=2)
    folder = train(recipe, [taught / "dma.parquet"], tmp_path, detector=taught / "fdm.safetensors", log_every=1)
    model, _ = pv.load(folder)
    expert = pv.expert_of(model)
    assert type(expert).__name__ == "TraceExpert" and expert.size == 64 and expert.n_tokens == 5
    module = FDM.load(taught / "fdm.safetensors").state_dict()
    assert all(torch.equal(tensor, module[name]) for name, tensor in expert.fdm.state_dict().items())
    (row, *_) = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert row["answer"].startswith("<think>") and row["question"].startswith("Does the image looks real/fake?")


def test_a_fine_tuned_model_goes_on_with_its_own_expert_or_begins_with_another(taught, tmp_path):
    recipe = replace(MARES, model=str(taught / "small"), steps=2, language="full")
    first = train(recipe, [taught / "dma.parquet"], tmp_path / "1", detector=taught / "fdm.safetensors")
    on = replace(recipe, model=str(first), learner={}, lr=0.0, weight_decay=0.0)
    second, _ = pv.load(train(on, [taught / "dma.parquet"], tmp_path / "2"))
    before, _ = pv.load(first)
    ours, theirs = before.state_dict(), second.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    module, _ = sft.detector_of(taught / "fdm.safetensors")
    other, _ = sft.make(replace(recipe, model=str(first)), module, 64)
    words = {name: tensor for name, tensor in other.state_dict().items() if ".expert." not in name}
    assert words and all(torch.equal(tensor, ours[name]) for name, tensor in words.items())
    assert any(not torch.equal(t, ours[n]) for n, t in other.state_dict().items() if ".expert.learner." in n)
    adapted = train(replace(recipe, language="lora"), [taught / "dma.parquet"], tmp_path / "3",
                    detector=taught / "fdm.safetensors")  # fmt: skip
    with pytest.raises(InputError, match="holds an adapter: expected whole weights"):
        sft.make(replace(on, model=str(adapted)), None)


def test_several_tables_are_learnt_from_together(taught, tmp_path):
    few = chats.read_dma(taught / "dma.parquet")[:4]
    table = pq.read_table(taught / "dma.parquet")
    pq.write_table(table.filter(pa.array([i < len(few) for i in range(len(table))])), tmp_path / "few.parquet")
    recipe = replace(MARES, model=str(taught / "small"), steps=None, epochs=1, batch_size=4, micro_batch_size=4)
    tables = [taught / "dma.parquet", tmp_path / "few.parquet"]
    train(recipe, tables, tmp_path / "out", detector=taught / "fdm.safetensors", stop_at_step=1, save_every=1)
    resolved = json.loads((tmp_path / "out" / "resolved.json").read_text())
    assert resolved["steps"] == (24 + 4) / 4, "an epoch shows each question of both once"
    assert [data["file"] for data in resolved["data"]] == ["dma.parquet", "few.parquet"]


def test_what_learns_beside_mares_module_is_its_own_projector(taught, made, tmp_path):
    module, _ = sft.detector_of(taught / "fdm.safetensors")
    detector, _ = sft.detector_of(made / "kfd.safetensors")
    recipe = replace(MARES, model=str(taught / "small"))
    model, _ = sft.make(replace(recipe, language="frozen", learner={"size": 48}), module, 64)
    assert pv.expert_of(model).size == 48
    moving = {name for name, p in model.named_parameters() if p.requires_grad}
    assert moving and all(".expert.learner." in name for name in moving)
    with pytest.raises(InputError, match=r"do not fit: the recipe's \[learner\] has tokens, .* is MARE's module"):
        sft.make(replace(recipe, learner={"tokens": 3}), module, 64)
    with pytest.raises(InputError, match=r"do not fit: the recipe's \[learner\] has size, .* is KFD's detector"):
        sft.make(replace(recipe, learner={"size": 3}), detector)
    with pytest.raises(InputError, match=r"expected crop\.size there, or size under \[learner\]"):
        sft.make(recipe, module)
    (tmp_path / "x.json").write_text('{"model": "eye"}')
    with pytest.raises(WeightsError, match="expected the card of a detector, kfd or fdm, got 'eye'"):
        sft.detector_of(tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match="A detector is two files"):
        sft.detector_of(tmp_path / "absent.safetensors")


@pytest.mark.slow
def test_a_tiny_model_learns_mares_form_and_boxes(taught, tmp_path):
    recipe = replace(
        MARES, model=str(taught / "small"), steps=250, batch_size=8, micro_batch_size=8, cosine=True, warmup=10
    )
    folder = train(
        recipe, [taught / "dma.parquet"], tmp_path, detector=taught / "fdm.safetensors", save_every=1000,
        show_every=1000,
    )  # fmt: skip
    model, processor = pv.load(folder)
    examples = chats.read(taught / "dma.parquet")
    texts = [example.before[0][1] for example in examples]
    said = pv.answers(model, processor, [example.pictures()[0] for example in examples], texts, 96)
    assert not any(mare.refusals(reply, (SIZE, SIZE)) for reply in said)
    boxes = [finding.box for reply in said for finding in mare.parse(reply).findings]
    assert boxes and all(geometry.iou(box, (40, 50, 72, 80)) > 0.9 for box in boxes)
