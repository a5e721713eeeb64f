"""Recipes of published size, planned on the meta device without a weight, and what does not fit before a step."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
for package in ("peft", "transformers", "trl"):
    if find_spec(package) is None:
        pytest.skip(f"needs {package}, of the extra 'vlm'", allow_module_level=True)

from safetensors.torch import load_file, save_file  # noqa: E402

from facewitness.apps.cli import main  # noqa: E402
from facewitness.models._hub import located  # noqa: E402

from facewitness.models import prompted_vlm as pv  # noqa: E402  isort: skip  (it mends torchvision)
from facewitness.backends import transformers as backend  # noqa: E402
from facewitness.errors import InputError, UnknownName, WeightsError  # noqa: E402
from facewitness.models.fdm import FDM  # noqa: E402
from facewitness.models.trace_expert import TraceExpert  # noqa: E402
from facewitness.train import fdm, grpo, kfd, mids, plan, sft, small_vlm  # noqa: E402

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings(r"ignore:`(is_)?gradient_checkpointing\w*` is deprecated:FutureWarning"),
]

RUNS = Path(__file__).parents[1] / "runs"
MODULE, KFDS = RUNS / "fdm" / "recipe.toml", RUNS / "kfd" / "published.toml"
TINY = {"backbone": "test_efficientnet", "width": 8, "identity_weight": 0.0, "adversarial_weight": 0.0}


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A language model of 64 numbers a word, as a folder."""
    folder = tmp_path_factory.mktemp("small") / "plain"
    model, processor = small_vlm.make(
        ["Is it fake?"], width=64, layers=1, rows=300, size=112, vision_width=32, vision_layers=1
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


# ------------------------------------------------------------------------------------------------- published sizes


@pytest.mark.parametrize("name", plan.published())
def test_the_settings_of_every_listed_name_give_the_parameters_that_the_hub_has(name):
    page = plan.Plan("a test")
    model = page.blank(name, "bfloat16")
    assert plan.count(model) == plan.published()[name]["parameters"]
    assert {p.device.type for p in model.parameters()} == {"meta"}
    assert name in page.checks[0]


@pytest.mark.parametrize("name", ["qwen3b", "qwen7b", "internvl4b"])
def test_rewards_at_published_size_are_planned_with_the_module(name):
    page = grpo.plan(grpo.Recipe.read(RUNS / "mare" / f"published-{name}.toml"), MODULE, examples=8000)
    text = str(page)
    assert "a picture of 224 px becomes 26 tokens of the detector" in text  # 5 × 5 places and the score
    assert "grammar × 1, label × 1, wording × 1, boxes × 1, alignment × 1" in text and "regions" not in text
    assert "steps: 1,000 of 8 examples" in text
    weights = {"qwen3b": 3.75e9, "qwen7b": 8.29e9, "internvl4b": 3.71e9}[name] * 2
    assert weights < page.bytes < weights + 16 * plan.GIB  # bfloat16, an adapter, and 64 replies
    assert 1 < page.hours("80 GB card (H100)") < 100
    assert ("has published a conversion" in text) == (name == "internvl4b")


def test_fine_tuning_at_published_size_is_planned():
    recipes = [sft.Recipe.read(RUNS / "mare" / f"published-sft-{n}.toml") for n in ("qwen3b", "qwen7b", "internvl4b")]
    assert {recipe.lora["rank"] for recipe in recipes} == {64}
    page = sft.plan(recipes[0], MODULE)
    assert "epochs; name the data" in str(page) and "26 tokens of the detector" in str(page)
    assert not page.work, "without data nobody knows how many steps there are"


@pytest.mark.parametrize(
    ("name", "numbers", "learn", "picture"),
    [("mistral", "7,566,747,648", "83,886,080", 1176), ("phi", "4,137,176,064", "59,768,832", 576)],
)
def test_ffaas_language_models_are_planned_with_rank_32_and_alpha_48(name, numbers, learn, picture):
    recipe = sft.Recipe.read(RUNS / "ffaa" / f"sft-{name}.toml")
    assert (recipe.lora["rank"], recipe.lora["alpha"]) == (32, 48)
    text = str(sft.plan(recipe, examples=20_142))
    assert f"{numbers} parameters" in text and f"of the {learn} that learn" in text
    assert f"{picture} of a 224 px picture" in text and "fits a 24 GB card" in text
    assert "steps: 3,777 of 16 examples" in text  # three epochs of FFA-VQA


def test_ffaas_judge_is_planned_as_published_and_small():
    page = mids.plan(mids.Recipe.read(RUNS / "ffaa" / "mids.toml"), rows=10_000)
    text = str(page)
    assert "427,944,193" in text and "222,903,552" in text and "of the 53,972,484 that learn" in text
    assert "48 pictures of 336 px with three answers of 260 tokens become logits (48, 3, 4)" in text
    assert "steps: 417 of 48 examples" in text and page.bytes < 24 * plan.GIB and page.hours("80 GB card (A100)") > 0.01
    small = str(mids.plan(mids.Recipe.read(RUNS / "ffaa" / "mids-small.toml")))
    assert "24 pictures of 192 px" in small and "name the data" in small


def test_kfds_two_stages_are_planned_with_its_encoders():
    one = kfd.plan(kfd.Recipe.read(KFDS), pictures=1000, processes=2)
    assert "986,109,441 parameters" in str(one) and "a map of (1, 224, 224)" in str(one) and one.processes == 2
    assert "steps: 3,125 of 32 examples" in str(one)
    two = sft.plan(sft.Recipe.read(RUNS / "kfd" / "sft.toml"), KFDS, processes=2)
    assert "16 tokens of the detector, 4096 wide" in str(two) and two.bytes < 24 * plan.GIB


@pytest.mark.parametrize(
    ("command", "recipe", "more", "says"),
    [
        ("kfd", "kfd/published.toml", [], "laion/CLIP-ViT-H-14"),
        ("kfd", "kfd/authors.toml", [], "laion/CLIP-ViT-H-14"),
        ("sft", "kfd/sft.toml", ["--detector", str(RUNS / "kfd" / "published.toml")], "llava-hf/llava-v1.6-vicuna-7b"),
        (
            "sft",
            "kfd/sft-authors.toml",
            ["--model", "panda", "--detector", str(RUNS / "kfd" / "authors.toml")],
            "of them 1 of a 224 px picture",
        ),
    ],
)
def test_kfds_published_recipes_are_planned_by_command(capsys, command, recipe, more, says):
    assert main(["train", command, str(RUNS / recipe), "--plan", "--processes", "2", *more]) == 0
    printed = capsys.readouterr().out
    assert says in printed and "GiB  in all" in printed and "fits an 80 GB card (H100)" in printed


def test_kfd_after_its_authors_code_learns_in_the_towers_too():
    paper, code = (
        kfd.plan(kfd.Recipe.read(RUNS / "kfd" / f"{name}.toml"), processes=2) for name in ("published", "authors")
    )
    learned = "of the 40,396,418 that learn"  # LoRA of rank 32 in every block, and the rest of the detector
    assert learned in str(code) and learned not in str(paper) and code.bytes > 2 * paper.bytes


def test_the_module_is_planned_on_xception():
    page = fdm.plan(fdm.Recipe.read(MODULE))
    assert "traces of (256, 10, 10) out of features of (2048, 10, 10)" in str(page)
    assert 10 * plan.GIB < page.bytes < 40 * plan.GIB and page.hours("80 GB card (A100)") > 0.1


def test_memory_is_counted_tensor_by_tensor():
    layer = torch.nn.Linear(1000, 1000, bias=False)
    page = plan.Plan("a test")
    page.holds("layer", layer)
    page.holds("frozen", layer.requires_grad_(False))
    assert [size for _, size, _ in page.memory] == [4e6, 12e6, 4e6]  # weights, a gradient and two moments, weights
    _, kept, flops = plan.passed_through(layer.to("meta"), torch.empty(3, 1000, device="meta"))
    assert (kept, flops) == (3 * 1000 * 4, 2 * 3 * 1000 * 1000)


def test_a_plan_is_printed_by_command_and_needs_no_data(capsys, small):
    recipe = str(RUNS / "mare" / "published-qwen3b.toml")
    assert main(["train", "grpo", recipe, "--plan", "--model", str(small), "--detector", str(MODULE)]) == 0
    printed = capsys.readouterr().out
    assert "is a folder: qwen2_5_vl" in printed and "26 tokens of the detector, 64 wide" in printed
    assert "fits a 24 GB card" in printed
    assert main(["train", "grpo", recipe, "--plan"]) == 2
    assert "the recipe that trains it (runs/fdm/recipe.toml), got none" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["train", "grpo", recipe])
    assert ended.value.code == 2 and "required: --data, --out" in capsys.readouterr().err


def test_a_detector_that_is_missing_is_asked_for_with_the_recipe_of_its_own_system(capsys, small):
    recipe = str(RUNS / "kfd" / "sft.toml")
    assert main(["train", "sft", recipe, "--plan", "--model", str(small)]) == 2
    assert "the recipe that trains it (runs/kfd/published.toml), got none" in capsys.readouterr().err


def test_what_fine_tuning_left_is_planned_to_go_on_from(tmp_path, capsys, small):
    model, processor = pv.plain(str(small))
    pv.attach(model, TraceExpert.of(FDM(1, **TINY), embedding=64, size=32), processor)
    pv.save(model, processor, tmp_path / "saved")
    recipe = [str(RUNS / "mare" / "sft-edits.toml"), "--plan", "--detector", str(RUNS / "fdm" / "small.toml")]
    assert main(["train", "sft", *recipe, "--model", str(tmp_path / "saved")]) == 0
    printed = capsys.readouterr().out
    assert "saved is a folder: qwen2_5_vl" in printed and "17 tokens of the detector, 64 wide" in printed
    assert "800 of 16 examples" in printed


# ------------------------------------------------------------------------------ what does not fit, before a first step


def test_a_recipe_without_a_language_model_says_how_to_name_one(capsys):
    recipe, detector = RUNS / "kfd" / "sft-authors.toml", RUNS / "kfd" / "authors.toml"
    assert main(["train", "sft", str(recipe), "--detector", str(detector), "--plan"]) != 0
    assert "got none. Name one: --model FOLDER-OR-NAME" in capsys.readouterr().err


def test_a_name_that_nobody_lists_is_told_with_the_nearest():
    with pytest.raises(UnknownName, match=r"Did you mean 'Qwen/Qwen2\.5-VL-3B-Instruct'"):
        plan.Plan("a test").blank("Qwen/Qwen2.5-VL-3B-Instrukt")


def test_settings_that_give_another_model_than_listed_are_refused(monkeypatch):
    listed = json.loads(json.dumps(plan.published()))
    listed["Qwen/Qwen2.5-VL-3B-Instruct"]["config"]["text_config"]["num_hidden_layers"] = 35
    monkeypatch.setattr(plan, "published", lambda: listed)
    with pytest.raises(WeightsError, match=r"expected 3,754,622,976 as on the hub"):
        plan.Plan("a test").blank("Qwen/Qwen2.5-VL-3B-Instruct")


def test_a_model_with_code_of_its_own_is_told_by_name_and_by_folder(tmp_path):
    recipe = sft.Recipe.read(RUNS / "mare" / "published-sft-internvl4b.toml")
    with pytest.raises(WeightsError, match=r"code of its own, which is never run.*InternVL2_5-2B-MPO-hf"):
        sft.make(recipe, None)
    with pytest.raises(WeightsError, match="code of its own"):
        grpo.make(grpo.Recipe.read(RUNS / "mare" / "published-internvl4b.toml"))
    settings = {"model_type": "internvl_chat", "auto_map": {"AutoConfig": "configuration_chat.ChatConfig"}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    (tmp_path / "configuration_chat.py").write_text("raise SystemExit('ran')")
    with pytest.raises(WeightsError, match="code of a model's own is never run"):
        plan.Plan("a test").blank(str(tmp_path))


def test_a_detector_for_another_language_model_is_told_before_a_step(small):
    model, processor = pv.plain(str(small))
    expert = TraceExpert.of(FDM(1, **TINY), embedding=48, size=32)
    with pytest.raises(InputError, match="embeddings of 48 numbers, the language model reads 64"):
        pv.attach(model, expert, processor)


def test_a_module_of_another_kind_is_no_detector(tmp_path, small):
    (tmp_path / "net.safetensors").write_bytes(b"")
    (tmp_path / "net.json").write_text(json.dumps({"model": "compact"}))
    recipe = replace(grpo.Recipe.read(RUNS / "mare" / "published-qwen3b.toml"), model=str(small), dtype="float32")
    with pytest.raises(WeightsError, match="the card of a detector, kfd or fdm, got 'compact'"):
        grpo.make(recipe, tmp_path / "net.safetensors")


@pytest.mark.parametrize(
    ("recipe", "detector", "sentence"),
    [
        ("kfd/sft-small.toml", "fdm/small.toml", "has tokens, width, which is for KFD's detector, and the detector is"),
        ("mare/sft-small.toml", "kfd/small-224.toml", "has size, which is for MARE's module, and the detector is"),
        ("mare/grpo-small.toml", "fdm/small.toml", None),
    ],
)
def test_a_recipe_and_the_other_systems_detector_are_told_with_what_would_fit(
    capsys, small, recipe, detector, sentence
):
    command = recipe.partition("/")[2][:4].rstrip("-.")
    given = ["train", command, str(RUNS / recipe), "--plan", "--model", str(small), "--detector", str(RUNS / detector)]
    if sentence is None:  # a learner's size of KFD's, where the recipe is of rewards
        assert main(given) == 0
        sentence = "which is for KFD's detector, and the detector is MARE's module. Take a recipe of runs/mare"
        given += ["--set", "learner.tokens=4"]
    assert main(given) == 2
    said = capsys.readouterr().err
    assert sentence in said and "The recipe and the detector do not fit" in said
    assert "or give --detector what train " in said and "\n" not in said.strip()


def test_the_other_systems_detector_is_told_before_a_language_model_is_read(tmp_path, small):
    FDM(1, **TINY).save(tmp_path / "fdm.safetensors", {"crop": {"size": 32}})
    missing = str(tmp_path / "gone")
    for kind, made in ((sft, sft.detector_of(tmp_path / "fdm.safetensors")[0]), (grpo, tmp_path / "fdm.safetensors")):
        recipe = kind.Recipe(model=missing, learner={"tokens": 4}, steps=1)
        with pytest.raises(InputError, match=r"has tokens, which is for KFD's detector.*Take a recipe of runs/mare"):
            kind.make(recipe, made)


def test_rewards_that_demand_a_forgery_prompt_take_no_plain_model(small):
    recipe = replace(grpo.Recipe.read(RUNS / "mare" / "published-qwen3b.toml"), model=str(small))
    with pytest.raises(InputError, match="is a plain model: expected --detector"):
        grpo.make(recipe)
    with pytest.raises(InputError, match="vLLM cannot be given an expert's embeddings"):
        replace(recipe, vllm="colocate")


def test_a_tokenizer_that_lost_the_placeholder_is_told(tmp_path, small):
    model, processor = pv.plain(str(small))
    pv.attach(model, TraceExpert.of(FDM(1, **TINY), embedding=64, size=32), processor)
    pv.save(model, processor, tmp_path / "saved")
    pv.load(tmp_path / "saved")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "saved" / name).write_bytes((small / name).read_bytes())
    with pytest.raises(WeightsError, match="does not know the placeholder <forgery>"):
        pv.load(tmp_path / "saved")


@pytest.mark.parametrize("kind", ["no token", "no template", "a template without the picture", "no pictures"])
def test_a_model_whose_words_have_no_place_for_a_picture_is_told_before_a_step(tmp_path, small, capsys, kind):
    folder = Path(shutil.copytree(small, tmp_path / "model"))
    template = folder / "chat_template.jinja"
    if kind == "no token":
        for file in folder.glob("tokenizer*.json"):
            file.write_text(file.read_text().replace("<|image_pad|>", "<|was_image_pad|>"))
    elif kind == "no template":
        template.unlink()
        for file in ("tokenizer_config.json", "processor_config.json"):
            written = json.loads((folder / file).read_text())
            written.pop("chat_template", None)
            (folder / file).write_text(json.dumps(written))
    elif kind == "no pictures":
        (folder / "processor_config.json").unlink()
    else:
        template.write_text(template.read_text().replace("<|image_pad|>", ""))
    sentence = {
        "no token": r"does not know the picture's placeholder <\|image_pad\|>: expected one token, number 7 in config",
        "no template": "its chat template cannot write a question about a picture",
        "a template without the picture": r"its chat template leaves out the picture: expected <\|image_pad\|> in",
        "no pictures": "cannot be loaded .Can't load image processor",
    }[kind]
    with pytest.raises(WeightsError, match=sentence):
        pv.plain(str(folder))
    for command, recipe in (("sft", "mare/sft-small.toml"), ("grpo", "mare/grpo-small.toml")):
        given = ["train", command, str(RUNS / recipe), "--plan", "--model", str(folder)]
        assert main([*given, "--detector", str(RUNS / "fdm" / "small.toml")]) == 2
        assert re.search(sentence, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda tensor: tensor * float("nan"), "holds NaN or infinity in model.language_model.layers.0"),
        (lambda tensor: tensor + float("inf"), "holds NaN or infinity in model.language_model.layers.0"),
        (lambda tensor: tensor[:32].contiguous(), "its tensors have other sizes than its config.json says"),
    ],
)
def test_weights_that_no_words_can_be_made_of_are_told(tmp_path, small, spoil, sentence):
    folder = Path(shutil.copytree(small, tmp_path / "model"))
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith("layers.0.self_attn.q_proj.weight") and "visual" not in name)
    save_file(tensors | {name: spoil(tensors[name])}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match=re.escape(sentence)):
        pv.plain(str(folder))


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        (1500, r"config.json says depth = 1,500, and its weights have layers up to number \d+\. They do not belong"),
        (10**9, r"expected depth of at most 2,000, got 1000000000 in config\.json"),
    ],
)
def test_more_layers_than_the_weights_have_take_no_memory(tmp_path, small, layers, sentence):
    folder = Path(shutil.copytree(small, tmp_path / "model"))
    written = json.loads((folder / "config.json").read_text())
    written["vision_config"]["depth"] = layers
    (folder / "config.json").write_text(json.dumps(written))
    with pytest.raises(WeightsError, match=sentence):
        pv.plain(str(folder))
    with pytest.raises(WeightsError, match=sentence.split(" = ")[0].split(", got")[0]):
        backend.load(str(folder))


def test_more_labels_than_there_are_names_for_take_no_memory(tmp_path):
    (tmp_path / "config.json").write_text('{"num_labels": 1000000000}')
    with pytest.raises(WeightsError, match=r"expected num_labels of at most 1,000,000, got 1000000000 in config\.json"):
        located(str(tmp_path), None, fetch=False)


def test_settings_that_no_model_can_be_made_of_are_told(tmp_path, small, capsys):
    folder = Path(shutil.copytree(small, tmp_path / "model"))
    written = json.loads((folder / "config.json").read_text())
    for part, key, value in (("text_config", "num_attention_heads", 0), ("text_config", "hidden_act", "nobody")):
        (folder / "config.json").write_text(json.dumps(written | {part: written[part] | {key: value}}))
        with pytest.raises(WeightsError, match="no model can be made of its settings"):
            plan.Plan("a test").blank(str(folder))
    part = {"vision_config": written["vision_config"] | {"window_size": 0}}
    (folder / "config.json").write_text(json.dumps(written | part))
    model, processor = pv.plain(str(folder))
    with pytest.raises(WeightsError, match=r"The language model cannot answer .*copy its folder again"):
        pv.answers(model, processor, [np.zeros((112, 112, 3), np.uint8)], ["Is it real?"], 2)


def test_a_card_of_an_expert_that_lies_takes_no_memory(tmp_path, small):
    model, processor = pv.plain(str(small))
    pv.attach(model, TraceExpert.of(FDM(1, stage=-2, **TINY), embedding=64, size=32), processor)
    pv.save(model, processor, tmp_path / "saved")
    pv.load(tmp_path / "saved")
    card = json.loads((tmp_path / "saved" / "prompted.json").read_text())
    for part, key in (("learner", "embedding"), ("learner", "width"), ("fdm", "width"), ("fdm", "identities")):
        spoilt = json.loads(json.dumps(card))
        spoilt["expert"]["options"][part][key] = 10**9
        (tmp_path / "saved" / "prompted.json").write_text(json.dumps(spoilt))
        with pytest.raises(WeightsError, match=f"expected {key} of at most 65,536 for the tensors beside it"):
            pv.load(tmp_path / "saved")


def test_code_beside_a_model_that_transformers_knows_is_told_and_not_run(tmp_path, small, capsys):
    folder = Path(shutil.copytree(small, tmp_path / "model"))
    written = json.loads((folder / "config.json").read_text())
    written["auto_map"] = {"AutoModelForImageTextToText": "modeling_other.Other"}
    (folder / "config.json").write_text(json.dumps(written))
    (folder / "modeling_other.py").write_text("raise SystemExit('ran')")
    recipe = ["train", "sft", str(RUNS / "mare" / "sft-small.toml"), "--plan", "--model", str(folder)]
    assert main([*recipe, "--detector", str(RUNS / "fdm" / "small.toml")]) == 0
    said = capsys.readouterr().err
    assert said.count("names code of its own (auto_map in config.json), which is never run") == 1
    pv.plain(str(folder))
    assert "auto_map" not in capsys.readouterr().err, "said once"


def test_short_runs_are_told_in_minutes_or_seconds_and_what_fits_nowhere_with_a_way_out():
    page = plan.Plan("a plan")
    page.works("learning", 1e14, "by count")
    assert "fits an 80 GB card (H100), 1 s" in str(page) and "0.0 hours" not in str(page)
    page.works("more", 5e16, "by count")
    assert "minutes" in str(page) and "--processes" not in str(page)
    page.takes("activations", 100 * plan.GIB, "by count")
    assert "does not fit an 80 GB card (H100)" in str(page) and "A larger --processes shares the batch" in str(page)


@pytest.mark.parametrize("recipe", ["fdm/recipe.toml"])
def test_a_run_that_one_process_makes_is_not_planned_with_several(capsys, recipe):
    name = recipe.split("/")[0]
    with pytest.raises(SystemExit) as stopped:
        main(["train", name, str(RUNS / recipe), "--plan", "--processes", "4"])
    assert stopped.value.code == 2 and "--processes" in capsys.readouterr().err
    assert main(["train", name, str(RUNS / recipe), "--plan"]) == 0
    printed = capsys.readouterr().out
    assert "GiB  in all" in printed and "--processes" not in printed


def test_fifas_published_recipe_fits_a_common_card_and_is_shared_by_several(capsys, tmp_path):
    recipe = RUNS / "fifa" / "published.toml"
    assert main(["train", "fifa", str(recipe), "--plan"]) == 0
    alone = capsys.readouterr().out
    assert "  fits a 24 GB card" in alone and "16 in each process, 1 at once" in alone
    assert main(["train", "fifa", str(recipe), "--plan", "--processes", "4"]) == 0
    assert "4 in each process, 1 at once" in capsys.readouterr().out
    assert main(["train", "fifa", str(recipe), "--plan", "--processes", "3"]) == 2
    assert "3 processes share evenly" in capsys.readouterr().err
    whole = tmp_path / "whole.toml"  # all at once fits none
    kept = [line for line in recipe.read_text().splitlines() if not line.startswith(("micro", "gradient"))]
    whole.write_text("\n".join(kept))
    assert main(["train", "fifa", str(whole), "--plan"]) == 0
    assert "does not fit an 80 GB card (H100)" in capsys.readouterr().out


KFDS_OWN = sorted(  # but for the one whose CLIP is a folder that `small_clip.py` makes
    file.name
    for file in (RUNS / "kfd").glob("*.toml")
    if "[encoders]" in file.read_text(encoding="utf-8") and file.name != "ablation-clip.toml"
)


@pytest.mark.parametrize("name", KFDS_OWN)
def test_every_recipe_of_kfds_detector_is_planned(name):
    text = str(kfd.plan(kfd.Recipe.read(RUNS / "kfd" / name)))
    assert "becomes a map of" in text or "SBI" in text
    assert "GiB  in all" in text


@pytest.mark.parametrize("command", ["kfd", "sft", "grpo"])
def test_recipes_that_are_no_files_or_nested_too_deep_are_refused_and_not_waited_for(capsys, tmp_path, command):
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 50_000, encoding="utf-8")
    mare = RUNS / "mare"
    sound = {"kfd": [], "sft": [str(mare / "published-sft-qwen3b.toml"), "--detector"],
             "grpo": [str(mare / "published-qwen3b.toml"), "--detector", str(MODULE), "--rewards"]}  # fmt: skip
    for name in ("pipe.toml", "deep.toml"):
        assert main(["train", command, *sound[command], str(tmp_path / name), "--plan"]) == 2
        said = capsys.readouterr().err
        no_file = name == "pipe.toml" and "a pipe or a socket, no file" in said
        assert ("expected a recipe in TOML" in said or no_file) and "Traceback" not in said


def test_adapters_that_name_each_other_have_no_language_model_to_plan(tmp_path):
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "prompted.json").write_text(json.dumps({"base": str(tmp_path / other)}))
    with pytest.raises(WeightsError, match="not the language model they belong to"):
        plan.settings(str(tmp_path / "a"))


def test_cards_and_starting_weights_that_are_pipes_are_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "kfd.json")
    os.mkfifo(tmp_path / "imagenet.safetensors")
    with pytest.raises(WeightsError, match="cannot be read"):
        sft.detector_of(tmp_path / "kfd.safetensors")
    (tmp_path / "fdm.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(WeightsError, match="nested too deep"):
        sft.detector_of(tmp_path / "fdm.safetensors")
    recipe = kfd.Recipe.read(RUNS / "kfd" / "small.toml")
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        kfd.make(recipe, tmp_path / "imagenet.safetensors", lambda sentences: [[0.1] * 384] * len(sentences))


@pytest.mark.parametrize(
    "change",
    [
        "detector.locator_width=100000000000", "detector.locator_width=-5", "detector.locator_width=0",
        "detector.locator_width=wide", "detector.focal=much", "detector.text=1", "encoders.backbone=5",
        "encoders.size=0", "encoders.size=-32", "encoders.size=1000000000", "encoders.size=large", "encoders.real=[]",
        "encoders.real=[1]", "encoders.strides=[]", "encoders.frozen=1",
    ],
)  # fmt: skip
def test_what_no_detector_can_be_made_of_is_said_before_the_first_step(capsys, change):
    assert main(["train", "kfd", str(RUNS / "kfd" / "small.toml"), "--plan", "--set", change]) == 2
    said = capsys.readouterr().err
    assert said.startswith("facewitness: ") and said.count("\n") == 1
    assert "xpected" in said or "Unknown argument" in said


@pytest.mark.parametrize(
    "change", ["lora.rank=0", "lora.rank=1000000000000", "lora.rank=many", "lora.dropout=2", "lora.alpha=-1"]
)
def test_what_no_adapter_can_be_made_of_is_said_before_the_first_step(change):
    with pytest.raises(InputError, match="expected"):
        sft.Recipe.read(RUNS / "mare" / "published-sft-qwen3b.toml", [change])
    with pytest.raises(InputError, match="expected"):
        grpo.Recipe.read(RUNS / "mare" / "published-qwen3b.toml", [change])
