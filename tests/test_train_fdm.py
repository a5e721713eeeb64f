"""The recipe of the forgery disentanglement module, with its own classes on a tiny painted table."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from doubles import AverageFace  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from facewitness import geometry  # noqa: E402
from facewitness.apps.cli import main  # noqa: E402
from facewitness.builders.pack import Pack, held_out, pack  # noqa: E402
from facewitness.errors import InputError, UnknownName  # noqa: E402
from facewitness.models.fdm import FDM  # noqa: E402
from facewitness.train import fdm as recipe_file  # noqa: E402
from facewitness.train.fdm import Batches, Recipe, train  # noqa: E402

RUNS = Path(__file__).parents[1] / "runs" / "fdm"
TINY = Recipe(
    sources={"painted": 1.0},
    model={"backbone": "test_efficientnet", "width": 8, "dropout": 0.2},
    seed=3,
    size=32,
    steps=5,
    batch_size=4,
    lr=1e-2,
    warmup=1,
    validate_every=3,
)


def _picture(group: int, fake: bool) -> Image.Image:
    """A face's place in colours that tell the group; a forgery has stripes."""
    rng = np.random.default_rng(group)
    small = Image.fromarray(rng.integers(60, 200, (4, 4, 3), dtype=np.uint8))
    picture = np.asarray(small.resize((48, 40), Image.Resampling.BICUBIC)).copy()
    if fake:
        picture[::2] //= 2
    return Image.fromarray(picture)


def _row(group: int, fake: bool, source: str = "painted") -> dict:
    out = io.BytesIO()
    _picture(group, fake).save(out, "PNG")
    name = f"{group}-{'fake' if fake else 'real'}.png"
    return {"file": name, "image": out.getvalue(), "label": "fake" if fake else "real", "source": source,
            "group": f"person {group}", "original": f"{group}-real.png" if fake else None,
            "method": "Deepfakes" if fake else "pristine", "split": "val" if group >= 6 else "train"}  # fmt: skip


class Blind:
    """Finds no face: the module looks at whole pictures."""

    def find(self, frame):
        return ()


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    rows = [_row(group, fake) for group in range(28) for fake in (False, True)]
    for group in (0, 7):
        rows.append({**_row(group, True), "file": f"torn {group}.png", "image": b"\x89PNG torn"})
    pq.write_table(pa.Table.from_pylist(rows), folder / "painted.parquet")
    alone = [_row(group, False, "portraits") for group in (0, 7)]
    pq.write_table(pa.Table.from_pylist(alone), folder / "portraits.parquet")
    return folder


@pytest.fixture(scope="module")
def packed(tables, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pack")
    pack(tables, folder, Blind())
    return folder


@pytest.fixture(scope="module")
def whole(packed, tmp_path_factory) -> Path:
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("run") / "whole"
    train(TINY, packed, None, out, workers=0, save_every=2, device="cpu")
    return out


# ------------------------------------------------------------------------------------------------- packs and batches


def test_a_pack_gives_squares_of_any_size_and_counts_what_cannot_be_read(packed):
    data = Pack(packed)
    assert len(data.rows) == 58 and {row["source"] for row in data.rows} == {"painted", "portraits"}
    assert [p["file"] for p in data.problems] == ["torn 0.png", "torn 7.png"]
    assert "torn 0.png" in data.problems[0]["message"]
    assert data.square(0, 32).shape == (32, 32, 3) and data.landmarks(0) is None
    middle = np.asarray(_picture(2, False))[:, 4:44].astype(float)
    assert abs(data.square(4, 32).mean((0, 1)) - middle.mean((0, 1))).max() < 1.0


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_mesh_with_a_point_that_is_nowhere_is_none(packed, tmp_path, number):
    shutil.copytree(packed, tmp_path / "pack")
    points = np.zeros_like(np.load(tmp_path / "pack" / "landmarks.npy"))
    points[1, 99] = number
    np.save(tmp_path / "pack" / "landmarks.npy", points)
    data = Pack(tmp_path / "pack")
    assert data.landmarks(0) is not None and data.landmarks(1) is None


def test_a_pack_that_is_missing_or_lacks_a_source_says_what_to_do(tmp_path, packed):
    with pytest.raises(InputError, match="facewitness build pack"):
        Pack(tmp_path)
    with pytest.raises(UnknownName, match="Did you mean 'painted'"):
        Batches(packed, replace(TINY, sources={"paintd": 1.0}))


def test_edits_are_packed_beside_real_forgeries_with_the_identity_they_were_made_of(tables, tmp_path):
    def edit(group: int, fake: bool, made: str) -> dict:
        row = _row(group, fake)
        return {"file": f"{group}-real.png/{made}.png", "image": row["image"], "label": row["label"],
                "group": row["group"], "split": row["split"], "dataset": "sbi_qa", "question": "Is it?",
                "size": [48, 40], "text": "", "texts": [""], "regions": ["nose"], "boxes": [None],
                "reply": ""}  # fmt: skip

    rows = [edit(g, made != "real", made) for g in (0, 1, 7) for made in ("real", "forged-0")]
    stray = {**edit(2, True, "forged-0"), "file": "elsewhere.png/forged-0.png"}
    pq.write_table(pa.Table.from_pylist([*rows, {**rows[0], "question": "Where?"}, stray]), tmp_path / "dma.parquet")
    recipe = replace(TINY, sources={"painted": 0.5, "sbi_qa": 0.5})
    data = pack(tables, tmp_path / "pack", Blind(), edits=[tmp_path / "dma.parquet"])
    edits = [row for row in data.rows if row["source"] == "sbi_qa"]
    assert [row["file"] for row in edits] == [*(row["file"] for row in rows), stray["file"]]  # a picture once
    assert edits[0]["identity"] == "painted/person 0" and edits[-1]["identity"] == "sbi_qa/person 2"
    assert {row["split"] for row in edits} >= {"train", "val"}
    known = recipe_file.identity_names(data, replace(recipe, sources={"painted": 1.0}))
    assert set(recipe_file.identity_names(data, recipe)) - set(known) == {"sbi_qa/person 2"}
    assert len(Batches(tmp_path / "pack", recipe)) == recipe.steps
    pq.write_table(pa.table({"file": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="builders/dma"):
        pack(tables, tmp_path / "pack", Blind(), edits=[tmp_path / "other.parquet"])


def test_some_training_groups_are_held_out_for_calibration(packed):
    data = Pack(packed)
    kept = {row["group"] for row in data.rows if row["split"] == "calibrate"}
    assert kept == {f"person {n}" for n in range(6) if held_out(f"person {n}")}
    assert kept.isdisjoint(row["group"] for row in data.rows if row["split"] != "calibrate")


def test_batches_are_balanced_repeat_and_know_identities_of_training_alone(packed):
    batches = Batches(packed, TINY)
    assert batches.identities == 5, "neither the groups of val nor person 5, who is held out, are among them"
    one, again, next_one = batches[1], Batches(packed, TINY)[1], batches[2]
    assert one["pixels"].shape == (4, 3, 32, 32) and one["pixels"].dtype == torch.uint8
    assert one["fake"].tolist() == [0, 1, 0, 1]
    assert all(torch.equal(one[k], again[k]) for k in one) and not torch.equal(one["pixels"], next_one["pixels"])
    data = Pack(packed)
    for i, k in batches.identity.items():
        assert data.rows[i]["split"] == "train" and data.rows[i]["group"] == f"person {k}"
    plain = Batches(packed, replace(TINY, degraded=0.0))[0]
    stored = [data.square(i, 32) for i in batches.identity]
    for picture in plain["pixels"].permute(0, 2, 3, 1).numpy():
        assert any(np.array_equal(picture, s) or np.array_equal(picture, s[:, ::-1]) for s in stored)


def test_a_source_of_one_label_is_refused(packed):
    recipe = replace(TINY, sources={"painted": 1.0, "portraits": 1.0})
    with pytest.raises(InputError, match="portraits: expected real and fake training rows"):
        Batches(packed, recipe)


# ---------------------------------------------------------------------------------------------------------- training


class Killed(BaseException):
    """Ends a run without asking."""


def test_a_killed_run_ends_as_an_uninterrupted_one(packed, whole, tmp_path, monkeypatch):
    class Mortal(Batches):
        def __getitem__(self, step):
            if step == 3:  # the last state was saved after two steps; the third and its validation are lost
                raise Killed
            return super().__getitem__(step)

    with monkeypatch.context() as patch:
        patch.setattr(recipe_file, "Batches", Mortal)
        with pytest.raises(Killed):
            train(TINY, packed, None, tmp_path / "parts", workers=0, save_every=2, device="cpu")
    with open(tmp_path / "parts" / "log.jsonl", "a") as log:
        log.write('{"step": 3}\n{"st')  # what a kill may leave behind
    train(TINY, packed, None, tmp_path / "parts", workers=0, save_every=2, device="cpu")

    one, other = (load_file(folder / "fdm.safetensors") for folder in (whole, tmp_path / "parts"))
    assert all(torch.equal(one[k], other[k]) for k in one)
    for name in ("results.json", "predictions.csv", "validation.csv", "probe_before.json"):
        assert (whole / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    logs = [
        [json.loads(line) for line in (f / "log.jsonl").read_text().splitlines()] for f in (whole, tmp_path / "parts")
    ]
    assert [line["step"] for line in logs[0]] == [2, 4, 5]
    assert all(a["loss"] == b["loss"] and a["step"] == b["step"] for a, b in zip(*logs, strict=True))


def test_a_run_trains_and_leaves_everything_beside_its_weights(whole, packed):
    results = json.loads((whole / "results.json").read_text())
    assert results["unread"] == {"train": 1, "validated": 1} and results["identities"] == 5
    auc = results["validation"]["painted"]["auc"]
    assert 0 <= auc["low"] <= auc["value"] <= auc["high"] <= 1 and auc["n"] == 44
    assert set(results["probe"]) == {"before", "after"}
    assert results["probe"]["after"]["chance"]["value"] == pytest.approx(1 / 22)
    assert 0 <= results["probe"]["before"]["trace"]["value"] <= 1
    table = list(csv.DictReader((whole / "validation.csv").read_text().splitlines()))
    assert [row["step"] for row in table] == ["3"] * 3 + ["5"] * 3
    assert {row["measure"] for row in table} == {"auc", "f1", "acc"} and float(table[-3]["value"]) == auc["value"]
    *predictions, torn = csv.DictReader((whole / "predictions.csv").read_text().splitlines())
    assert torn["file"] == "torn 7.png" and torn["score"] == "", "a picture nobody could read is a row without a score"
    model, data = FDM.load(whole / "fdm.safetensors"), Pack(packed)
    assert len(predictions) == 44 and {row["group"] for row in predictions} == {f"person {k}" for k in range(6, 28)}
    row = next(i for i, r in enumerate(data.rows) if r["file"] == predictions[5]["file"])
    score = model(torch.from_numpy(data.square(row, 32).transpose(2, 0, 1)[None].copy())).score.item()
    assert score == pytest.approx(float(predictions[5]["score"]), abs=1e-5)
    torch.manual_seed(TINY.seed)
    start = FDM(5, **TINY.model).state_dict()
    learned = [k for k, v in model.state_dict().items() if not torch.equal(v, start[k])]
    assert any(k.startswith("to_structure") for k in learned), "which has no loss but that of reconstruction"
    assert not any("identit" in k and "to_identity" not in k for k in learned), "its people stay in the run"
    resolved = json.loads((whole / "resolved.json").read_text())
    assert resolved["recipe"]["seed"] == 3 and resolved["made_by"]["torch"] == torch.__version__


def test_the_module_that_is_saved_is_the_average(packed, tmp_path):
    train(replace(TINY, ema=0.9), packed, None, tmp_path, workers=0, save_every=2, device="cpu")
    state, saved = load_file(tmp_path / "resume.safetensors"), load_file(tmp_path / "fdm.safetensors")
    name = "forgery_classifier.weight"
    assert torch.equal(saved[name], state[f"average.{name}"])
    assert not torch.equal(saved[name], state[f"model.{name}"])


def test_faces_are_cropped_as_the_witness_crops_them_where_the_recipe_has_a_margin(tables, tmp_path):
    """Of whole frames the module learned the middle squares, and the witness showed it upright crops."""
    pack(tables, tmp_path / "pack", AverageFace())
    recipe = replace(TINY, margin=1.5, degraded=0.0)
    data = Pack(tmp_path / "pack")
    i = next(i for i in data.indices("train", recipe.sources) if data.landmarks(i) is not None)
    upright = geometry.crop(data.pixels(i), geometry.align(data.landmarks(i), recipe.size, 1.5), recipe.size)
    assert np.array_equal(recipe_file._shown(data, i, recipe.size, 1.5), upright)
    assert np.array_equal(recipe_file._shown(data, i, recipe.size, None), data.square(i, recipe.size))
    rows = [recipe_file._shown(data, k, recipe.size, 1.5) for k in data.indices("train", recipe.sources)]
    first = Batches(tmp_path / "pack", recipe)[0]["pixels"][0].numpy().transpose(1, 2, 0)
    assert any(np.array_equal(first, one) or np.array_equal(first, one[:, ::-1]) for one in rows)
    train(replace(recipe, steps=1, probe_groups=0), tmp_path / "pack", None, tmp_path / "out", workers=0, device="cpu")
    card = json.loads((tmp_path / "out" / "fdm.json").read_text())
    assert card["crop"] == {"size": recipe.size, "margin": 1.5}  # which the witness takes
    with pytest.raises(InputError, match="margin from 1 to 10"):
        replace(TINY, margin=0.3)


def test_pictures_are_cut_at_random_and_a_pair_alike(packed):
    plain = replace(TINY, paired=True, degraded=0.0)
    whole, cut = (Batches(packed, replace(plain, cropped=most))[0]["pixels"] for most in (0.0, 0.4))
    assert whole.shape == cut.shape and not torch.equal(whole, cut)
    real, fake = cut[0].float(), cut[1].float()  # a forgery is its frame with every second line darkened, times ½
    assert torch.corrcoef(torch.stack([real.mean(1).ravel(), fake.mean(1).ravel()]))[0, 1] > 0.8
    with pytest.raises(InputError, match=r"expected cropped in \[0, 0.5\]"):
        replace(TINY, cropped=0.6)


def test_a_folder_that_holds_another_run_is_refused(whole, packed):
    with pytest.raises(InputError, match=r"other model, seed.*another --out"):
        train(replace(TINY, seed=4).without(["identity"]), packed, None, whole, workers=0)


def test_an_ablation_starts_from_a_file_and_logs_only_its_losses(packed, tmp_path):
    backbone = FDM(1, **TINY.model).backbone
    save_file({k: v.contiguous() for k, v in backbone.state_dict().items()}, tmp_path / "start.safetensors")
    recipe = replace(TINY, steps=1, probe_groups=0).without(["identity", "reconstruction", "adversarial"])
    results = train(recipe, packed, tmp_path / "start.safetensors", tmp_path / "f", workers=0, device="cpu")
    (line,) = [json.loads(line) for line in (tmp_path / "f" / "log.jsonl").read_text().splitlines()]
    assert line["loss"] == line["forgery"] and not {"identity", "reconstruction", "adversarial"} & set(line)
    assert "probe" not in results and not any("decoder" in k for k in load_file(tmp_path / "f" / "fdm.safetensors"))
    with pytest.raises(InputError, match=r"other init_from\. Give another"):
        train(recipe, packed, None, tmp_path / "f", workers=0)
    with pytest.raises(InputError, match="cannot be read"):
        train(recipe, packed, tmp_path / "nowhere.safetensors", tmp_path / "g", workers=0)


def test_a_loss_that_is_no_number_stops_the_run_in_words(packed, tmp_path):
    tensors = {k: v.contiguous() for k, v in FDM(1, **TINY.model).backbone.state_dict().items()}
    tensors["conv_stem.weight"].fill_(torch.nan)
    save_file(tensors, tmp_path / "nan.safetensors")
    recipe = replace(TINY, probe_groups=0)
    with pytest.raises(InputError, match="no number any more at step 1"):
        train(recipe, packed, tmp_path / "nan.safetensors", tmp_path / "out", workers=0)
    assert not (tmp_path / "out" / "resume.safetensors").exists()


class Transparent(torch.nn.Module):
    """Features that are the picture's mean colours: they tell the painted group, or, blinded, nothing."""

    def __init__(self, blind: bool):
        super().__init__()
        self.blind = blind

    def forward(self, pixels):
        from types import SimpleNamespace

        colours = torch.nn.functional.adaptive_avg_pool2d(pixels.float(), 4).flatten(1)[:, :, None, None]
        brightness_free = colours / colours.mean(1, keepdim=True)
        trace = torch.zeros_like(colours) if self.blind else brightness_free
        return SimpleNamespace(score=torch.zeros(len(pixels)), trace=trace, identity=brightness_free)


def test_the_probe_finds_identity_where_it_is_and_not_where_it_is_not(packed):
    data, cpu = Pack(packed), torch.device("cpu")
    seeing = recipe_file.probe(Transparent(blind=False), data, TINY, cpu)
    blinded = recipe_file.probe(Transparent(blind=True), data, TINY, cpu)
    assert seeing["trace"].value == 1.0 and seeing["trace"].n == 22
    assert blinded["trace"].value == pytest.approx(1 / 22) and blinded["identity"].value == 1.0
    fewer = recipe_file.probe(Transparent(blind=False), data, replace(TINY, probe_groups=3), cpu)
    assert fewer["chance"].value == pytest.approx(1 / 3)
    none = recipe_file.probe(Transparent(blind=False), data, replace(TINY, probe_groups=1), cpu)
    assert none["trace"].value is None and "fewer than two groups" in none["trace"].why


# ----------------------------------------------------------------------------------------------- recipes and commands


@pytest.mark.parametrize("name", ["recipe.toml", "small.toml", "edits.toml"])
def test_the_runs_in_the_repository_are_read_and_make_a_network(name):
    recipe = Recipe.read(RUNS / name)
    model = FDM(3, **recipe.model)
    assert all(weight > 0 for weight in model.weights.values())
    with torch.no_grad():
        grid = model.eval()(torch.zeros(1, 3, recipe.size, recipe.size)).evidence.shape[-2:]
    assert grid == {"recipe.toml": (10, 10), "small.toml": (8, 8), "edits.toml": (8, 8)}[name]
    plain = recipe.without(["identity", "reconstruction", "adversarial"])
    assert sum(w > 0 for w in FDM(3, **plain.model).weights.values()) == 1
    assert recipe.only("dfdc").validated == ("dfdc",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lerning_rate = 1\n[sources]\na = 1", "Unknown key in r.toml 'lerning_rate'"),
        ("step = 1\n[sources]\na = 1", "Did you mean 'steps'"),
        ("[sources]\na = 1\n[model]\nbakbone = 'x'", r"key in \[model\] 'bakbone'. Did you mean 'backbone'"),
        ("[sources]\na = 1\n[model]\nidentities = 3", "Unknown key in .model. 'identities'"),
        ("steps = 1", "expected sources, which is missing"),
        ("steps = 'many'\n[sources]\na = 1", "expected steps of type int, got 'many'"),
        ("[sources]\na = 1\n[model]\nwidth = 'x'", r"\[model\]: expected width of type int, got 'x'"),
        ("batch_size = 3\n[sources]\na = 1", "an even batch_size"),
        ("steps = 0\n[sources]\na = 1", "steps of at least 1"),
        ("degraded = 2\n[sources]\na = 1", r"degraded in \[0, 1\]"),
        ("[sources]\na = -1", "shares above 0"),
        ("steps = ", "expected a recipe in TOML"),
        ("seed = -1\n[sources]\na = 1", "expected seed from 0"),
        ("lr = 1e300\n[sources]\na = 1", "expected lr from -1,000,000 to 1,000,000"),
        ("warmup = -5\n[sources]\na = 1", "expected warmup from 0"),
        ("size = 100000\n[sources]\na = 1", "at most 4,096"),
        ("probe_groups = -1\n[sources]\na = 1", "probe_groups of at least 0"),
        ("[sources]\na = 1\n[model]\nwidth = 100000000", "width as numbers from 1 to 1,048,576"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_in_words(tmp_path, text, says):
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises((InputError, UnknownName), match=says):
        Recipe.read(tmp_path / "r.toml")


def test_the_commands_run_and_end_bad_input_with_a_sentence(tables, tmp_path, capsys):
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        "size = 32\nsteps = 1\nbatch_size = 2\n[sources]\npainted = 1\n"
        "[model]\nbackbone = 'test_efficientnet'\nwidth = 8\n"
    )
    assert main(["build", "pack", str(tables), str(tmp_path / "pack"), "--finder", "whole"]) == 0
    shown = capsys.readouterr()
    assert "58 pictures, 0 with a face; 2 could not be read" in shown.out and "torn 0.png" in shown.err
    arguments = ["train", "fdm", str(recipe), "--pack", str(tmp_path / "pack"), "--workers", "0", "--device", "cpu"]
    out = ["--out", str(tmp_path / "out"), "--without", "adversarial"]
    assert main([*arguments, *out]) == 0
    said = capsys.readouterr().out
    assert "painted  auc" in said and "identity by a linear probe, after: chance 0.045" in said
    for bad, sentence in (
        (["--without", "forgery"], "Known: adversarial, identity, reconstruction"),
        (["--only", "paintd"], "Did you mean 'painted'"),
        (["--seed", "9"], "other seed"),
        (["--pack", str(tmp_path / "nowhere")], "expected a pack"),
    ):
        assert main([*arguments, *out, *bad]) == 2
        assert sentence in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2 and "--out" in capsys.readouterr().err
