"""KFD's recipe at tiny sizes on painted faces: what is drawn, what is learned, and that a killed run goes on."""

from __future__ import annotations

import csv
import errno
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from doubles import AverageFace, embed
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from facewitness import plugins  # noqa: E402
from facewitness.apps.cli import main  # noqa: E402
from facewitness.bench import conditions, predictions  # noqa: E402
from facewitness.builders.pack import Pack, held_out, pack  # noqa: E402
from facewitness.calibration import decided  # noqa: E402
from facewitness.errors import InputError, UnknownName, WeightsError  # noqa: E402
from facewitness.models.kfd import KFD  # noqa: E402
from facewitness.models.sbi import SBI  # noqa: E402
from facewitness.train import compact, loop  # noqa: E402
from facewitness.train import kfd as recipe_file  # noqa: E402
from facewitness.train.kfd import Batches, Recipe, genuine, make, train  # noqa: E402
from facewitness.train.schedule import last_step  # noqa: E402
from facewitness.types import Face, FrameRef, Mask, Testimony  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
RUNS = Path(__file__).parents[1] / "runs" / "kfd"
SIZE = 64
TINY = Recipe(
    encoders={"kind": "small", "backbone": "mobilenetv2_035", "strides": [4, 8, 16], "size": SIZE, "text_width": 24},
    sources={"painted": 0.8, "drawn": 0.2},
    forgers={"self_blend": 0.5, "region_edit": {"share": 0.5, "max_regions": 2, "blends": ["alpha"]}},
    detector={"width": 4, "pool": 2, "hidden": 8},
    steps=4,
    batch_size=4,
    lr=3e-3,
    ema=0.5,
    seed=3,
)


def _picture(seed: int) -> bytes:
    """Soft colours under a grain, which a pasted, resampled part has lost: a trace even a tiny network finds."""
    rng = np.random.default_rng(seed)
    small = rng.integers(60, 200, (12, 12, 3), dtype=np.uint8)
    soft = np.asarray(Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC)).astype(int)
    out = io.BytesIO()
    Image.fromarray(np.clip(soft + rng.normal(0, 25, (96, 96, 1)), 0, 255).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    """20 genuine faces of two sources to train on, two fakes that nobody may draw, and two faces of `val`."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for i in range(24):
        fake, group = i in (3, 7), f"person {i}"
        while held_out(group):
            group += "'"
        rows.append({"file": f"{i}.png", "image": _picture(i), "label": "fake" if fake else "real",
                     "source": "drawn" if i % 5 == 4 else "painted", "group": group, "original": None,
                     "method": "Deepfakes" if fake else "pristine", "split": "val" if i >= 22 else "train"
                     })  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "table.parquet")
    pack(folder, folder / "pack", AverageFace())
    return folder / "pack"


# ---------------------------------------------------------------------------------------------------------- the draws


def test_only_genuine_training_faces_are_drawn_and_fewer_images_are_part_of_more(packed):
    data = Pack(packed)
    every = genuine(data, TINY)
    assert sum(map(len, every.values())) == 20
    assert all(data.rows[i]["label"] == "real" and data.rows[i]["split"] == "train" for r in every.values() for i in r)
    ten, five = (genuine(data, replace(TINY, images=n)) for n in (10, 5))
    assert sum(map(len, ten.values())) == 10 and len(ten["painted"]) == 8
    assert sum(map(len, five.values())) == 5
    assert all(set(five[name]) <= set(ten[name]) <= set(every[name]) for name in five)
    with pytest.raises(InputError, match="images = 500"):
        genuine(data, replace(TINY, images=500))
    with pytest.raises(UnknownName, match="Did you mean 'painted'"):
        genuine(data, replace(TINY, sources={"painter": 1.0}))


def test_a_batch_holds_pairs_and_repeats(packed):
    one, again = Batches(packed, TINY, SIZE)[1], Batches(packed, TINY, SIZE)[1]
    assert all(torch.equal(one[k], again[k]) for k in one)
    assert one["pixels"].shape == (4, 3, SIZE, SIZE) and one["pixels"].dtype == torch.uint8
    assert one["mask"].shape == (4, 1, SIZE, SIZE) and one["mask"].dtype == torch.float32
    assert one["label"].tolist() == [0, 1, 0, 1] and one["reference"].tolist() == [0, 0, 2, 2]
    assert one["mask"][0::2].max() == 0 and one["mask"].max() <= 1
    assert all(m.max() > 0.9 for m in one["mask"][1::2]), "a mask tells where, not how much"
    assert not torch.equal(one["pixels"], Batches(packed, TINY, SIZE)[0]["pixels"])


def test_nothing_but_the_forgery_tells_a_pair_apart(packed):
    plain = replace(TINY, degradation=(1.0,), batch_size=12)
    batch = Batches(packed, plain, SIZE)[0]
    pixels, mask = batch["pixels"].float(), batch["mask"]
    change = (pixels[1::2] - pixels[0::2]).abs().mean(1, keepdim=True)
    # bilinear cropping spreads a mask's edge over a pixel
    outside = torch.nn.functional.max_pool2d(mask[1::2], 5, 1, 2) == 0
    assert change[outside].max() <= 1 and change[mask[1::2] > 0.5].mean() > 2


def test_both_of_a_pair_go_through_the_same_routine_edits_and_others_are_as_before(packed):
    plain = replace(TINY, degradation=(1.0,), batch_size=24)
    before, after = (Batches(packed, replace(plain, edited=share), SIZE)[0] for share in (0.0, 1.0))
    assert not torch.equal(before["pixels"], after["pixels"])
    pixels, mask = after["pixels"].float(), after["mask"]
    change = (pixels[1::2] - pixels[0::2]).abs().mean((1, 2, 3))
    apart = (pixels[1::2] - before["pixels"].float()[1::2]).abs().mean((1, 2, 3))
    assert change.median() < apart.median(), "an edit moves a picture more than a forgery does, so both had the same"
    assert mask[0::2].max() == 0 and mask[1::2].max() > 0.9
    with pytest.raises(InputError, match="edited from 0 to 1"):
        replace(TINY, edited=1.5)


def test_processes_share_the_draws_of_one(packed):
    whole = Batches(packed, replace(TINY, batch_size=8), SIZE)[0]["pixels"]
    parts = [Batches(packed, replace(TINY, batch_size=8), SIZE, rank, 2)[0]["pixels"] for rank in (0, 1)]
    pairs = [parts[0][:2], parts[1][:2], parts[0][2:], parts[1][2:]]
    assert torch.equal(torch.cat(pairs), whole)


# ------------------------------------------------------------------------------------------------------- the training


def run(packed: Path, out: Path, recipe: Recipe = TINY, **options) -> KFD:
    return train(recipe, packed, out, embed=embed, workers=0, **({"save_every": 1} | options))


def test_a_second_stage_goes_on_from_the_first_at_another_size(packed, tmp_path):
    run(packed, tmp_path / "first", replace(TINY, steps=1))
    larger = replace(TINY, encoders=TINY.encoders | {"size": 2 * SIZE})
    first = tmp_path / "first" / "kfd.safetensors"
    begun = make(larger, go_on=first)  # which holds the descriptions' embeddings
    kept = load_file(first)
    assert begun.encoders.size == 2 * SIZE
    assert all(torch.equal(value, kept[name]) for name, value in begun.state_dict().items())
    run(packed, tmp_path / "second", replace(larger, steps=1), go_on=first)
    assert KFD.load(tmp_path / "second" / "kfd.safetensors").encoders.size == 2 * SIZE
    with pytest.raises(WeightsError, match="is not a detector of this recipe"):
        make(replace(TINY, detector=TINY.detector | {"hidden": 16}), embed=embed, go_on=first)


def test_a_killed_run_goes_on_with_the_same_result(packed, tmp_path):
    run(packed, tmp_path / "whole")
    run(packed, tmp_path / "parts", stop_at_step=2)
    # what a kill after the log's line and before the file of step 3 leaves
    with (tmp_path / "parts" / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": 3, "classification": 99.0}) + "\n")
    run(packed, tmp_path / "parts")
    whole, parts = (load_file(tmp_path / n / "kfd.safetensors") for n in ("whole", "parts"))
    assert all(torch.equal(whole[k], parts[k]) for k in whole)
    first, second = (
        [json.loads(line) for line in (tmp_path / n / "log.jsonl").read_text().splitlines()] for n in ("whole", "parts")
    )
    assert [row["step"] for row in second] == [1, 2, 3, 4]
    for a, b in zip(first, second, strict=True):
        assert {k: v for k, v in a.items() if k != "images_per_second"} == {
            k: v for k, v in b.items() if k != "images_per_second"
        }
    with (tmp_path / "whole" / "log.csv").open() as table:
        assert [int(row["step"]) for row in csv.DictReader(table)] == [1, 2, 3, 4]
    resolved = json.loads((tmp_path / "whole" / "resolved.json").read_text())
    assert resolved["recipe"]["sources"] == TINY.sources and resolved["steps"] == 4
    boards = list((tmp_path / "whole").glob("tensorboard/events*"))
    assert bool(boards) == (importlib.util.find_spec("tensorboard") is not None)


def test_a_stop_before_what_is_done_is_refused_and_an_ended_run_has_nothing_left():
    assert last_step(100, None, 0) == 100 and last_step(100, 60, 0) == 60 and last_step(100, 60, 60) == 60
    assert last_step(100, 60, 100) == 100, "it is done: no bar of 100/60"
    with pytest.raises(InputError, match="--stop-at-step: expected at least 80, the step where the run stands, got 60"):
        last_step(100, 60, 80)


def test_a_pack_without_meshes_and_faces_that_no_forger_takes_are_told(packed, monkeypatch):
    data = Pack(packed)
    monkeypatch.setattr(plugins.get("forge", "self_blend"), "forge", refuse)
    batches = Batches(packed, replace(TINY, forgers={"self_blend": {"share": 1.0}}), SIZE)
    with pytest.raises(InputError, match=r"none in 8 draws \(the last one: it is too small\)\. Their meshes .* leave"):
        batches[0]
    monkeypatch.setattr(data, "landmarks", lambda i: None)
    with pytest.raises(InputError, match=r"expected a pack with genuine faces .* 0 of them with a mesh.*build pack"):
        genuine(data, TINY)


def refuse(*_: object, **__: object) -> None:
    raise InputError("it is too small.")


def test_a_run_goes_on_with_the_pack_that_it_began_with(packed, tmp_path):
    run(packed, tmp_path / "run", stop_at_step=2)
    with pytest.raises(InputError, match="--stop-at-step: expected at least 2, the step where the run stands, got 1"):
        run(packed, tmp_path / "run", stop_at_step=1)
    other = Path(shutil.copytree(packed, tmp_path / "pack"))
    rows = json.loads((other / "rows.json").read_text())
    (other / "rows.json").write_text(json.dumps(rows[:-1]))
    with pytest.raises(InputError, match=r"holds a run of another pack\. Name another folder"):
        run(other, tmp_path / "run")
    state, about = load_file(tmp_path / "run" / "resume.safetensors"), {"step": "2", "share": "0.5"}
    save_file(state, tmp_path / "run" / "resume.safetensors", {**about, "recipe": "another", "pack": "another"})
    with pytest.raises(InputError, match="holds a run of another recipe and another pack"):
        run(packed, tmp_path / "run")
    save_file(state, tmp_path / "run" / "resume.safetensors")
    with pytest.raises(WeightsError, match=r"is no state of a run\. Delete it to begin again"):
        run(packed, tmp_path / "run")


def test_a_run_goes_on_from_the_weights_that_it_began_with(packed, tmp_path):
    run(packed, tmp_path / "first", replace(TINY, steps=1))
    first, out = tmp_path / "first" / "kfd.safetensors", tmp_path / "run"
    run(packed, out, go_on=first, stop_at_step=2)
    resolved = (out / "resolved.json").read_text()
    for other in (None, tmp_path / "first" / "resume.safetensors"):
        with pytest.raises(InputError, match=r"holds a run of another init_from\. Name another folder"):
            loop.resume(out, {}, {}, None, recipe_file._about(TINY, packed, other))
    with pytest.raises(InputError, match="another init_from"):
        run(packed, out)
    assert (out / "resolved.json").read_text() == resolved
    run(packed, out, go_on=first)


def test_a_full_disk_is_told_with_the_file(packed, tmp_path, monkeypatch):
    def full(self, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left") as told:
        run(packed, tmp_path / "run")
    assert told.value.filename == str(tmp_path / "run" / "resolved.json")


@pytest.mark.parametrize("second", ["kfd", "compact"])
def test_a_second_run_in_a_folder_is_refused_while_the_first_one_trains(second, packed, tmp_path, monkeypatch):
    run(packed, tmp_path / "whole")
    out, draw, refused = tmp_path / "run", Batches.__getitem__, []
    small = compact.Recipe((compact.Stage(64, 1, 4, 1e-3),), {"painted": 1.0}, {"self_blend": 1.0})

    def meanwhile(self, step):
        if step == 2:
            with pytest.raises(InputError) as other:
                run(packed, out) if second == "kfd" else compact.train(small, packed, None, out)
            refused.append(str(other.value))
        return draw(self, step)

    monkeypatch.setattr(Batches, "__getitem__", meanwhile)
    run(packed, out)
    assert refused == [
        f"'{out}': expected a folder that nobody else writes to, got one that is being written to by process "
        f"{os.getpid()}. Wait for it, or name another."
    ]
    assert not (out / ".lock").exists()
    whole, through = (load_file(tmp_path / name / "kfd.safetensors") for name in ("whole", "run"))
    assert all(torch.equal(whole[k], through[k]) for k in whole)


def test_a_refused_run_leaves_no_folder(packed, tmp_path):
    with pytest.raises(InputError, match="go_on: expected none"):
        run(packed, tmp_path / "run", replace(TINY, baseline="sbi", detector={}), go_on=tmp_path / "kfd.safetensors")
    assert not (tmp_path / "run").exists()


def test_a_kill_leaves_the_detector_of_the_last_state(packed, tmp_path, monkeypatch):
    draw = Batches.__getitem__

    def mortal(self, step):
        if step == 3:
            raise KeyboardInterrupt
        return draw(self, step)

    monkeypatch.setattr(Batches, "__getitem__", mortal)
    with pytest.raises(KeyboardInterrupt):
        run(packed, tmp_path, save_every=2)
    card = json.loads((tmp_path / "kfd.json").read_text())
    assert KFD.load(tmp_path / "kfd.safetensors") and card["trained"] == {"steps": 2}
    state, saved = load_file(tmp_path / "resume.safetensors"), load_file(tmp_path / "kfd.safetensors")
    assert all(torch.equal(value, state[f"average.{name}"]) for name, value in saved.items())
    assert not torch.equal(saved["linear.0.weight"], state["model.linear.0.weight"])


def test_what_is_saved_is_the_average_and_loads_as_a_detector(packed, tmp_path):
    model = run(packed, tmp_path / "run", replace(TINY, steps=2))
    again = KFD.load(tmp_path / "run" / "kfd.safetensors")
    pixels = torch.rand(1, 3, SIZE, SIZE) * 255
    model = model.to(memory_format=torch.contiguous_format)  # as training lays them out, sums round otherwise
    with torch.inference_mode():
        assert torch.equal(model(pixels).score, again(pixels).score)
    card = json.loads((tmp_path / "run" / "kfd.json").read_text())
    assert card["crop"] == {"margin": TINY.margin} and card["trained"] == {"steps": 2}
    state = load_file(tmp_path / "run" / "resume.safetensors")
    assert not torch.equal(state["model.linear.0.weight"], state["average.linear.0.weight"])
    assert torch.equal(state["average.linear.0.weight"], load_file(tmp_path / "run/kfd.safetensors")["linear.0.weight"])


def test_another_recipe_in_the_same_folder_and_a_damaged_file_are_refused(packed, tmp_path):
    run(packed, tmp_path, replace(TINY, steps=1))
    with pytest.raises(InputError, match="another recipe"):
        run(packed, tmp_path, replace(TINY, steps=2))
    (tmp_path / "resume.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(WeightsError, match="Delete it"):
        run(packed, tmp_path, replace(TINY, steps=1))


def test_both_losses_fall_on_20_painted_faces(packed):
    recipe = replace(TINY, batch_size=40, degradation=(1.0,), detector={})
    batch, model = Batches(packed, recipe, SIZE)[0], make(recipe, embed=embed).train()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], recipe.lr)
    seen = []
    for _ in range(30):
        losses = model.loss(model(batch["pixels"].float(), batch["reference"]), batch["label"], batch["mask"])
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        seen.append((losses.localisation.item(), losses.classification.item()))
    assert seen[-1][0] < seen[0][0] / 2 and seen[-1][1] < seen[0][1] / 2


def test_a_run_on_draws_that_never_repeat_learns_where_forgeries_are(packed, tmp_path):
    recipe = replace(TINY, steps=24, batch_size=8, degradation=(1.0,), forgers={"self_blend": {"ratios": [1.0]}})
    run(packed, tmp_path, recipe, save_every=6)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["localisation"] < rows[0]["localisation"] - 0.1


@pytest.mark.parametrize("ablation", [{"text": False}, {"reference": False}, {"images": 5}, {"epochs": 0.2}])
def test_ablations_train(packed, tmp_path, ablation):
    recipe = replace(TINY, steps=None if "epochs" in ablation else 1, **ablation)
    model = run(packed, tmp_path, recipe)
    assert (model.instead_of_text is not None) == (not recipe.text) and model.reference == recipe.reference
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["of"] == (2 if "epochs" in ablation else 1), "0.2 of 20 pictures are two batches of two pairs"


def test_bfloat16_learns_the_same_and_leaves_the_first_layer_in_float(packed, tmp_path):
    recipe = replace(TINY, steps=2)
    first = []
    for bf16 in (False, True):
        model = run(packed, tmp_path / str(bf16), replace(recipe, bf16=bf16))
        assert all(value.dtype != torch.bfloat16 for value in model.state_dict().values())
        rows = [json.loads(line) for line in (tmp_path / str(bf16) / "log.jsonl").read_text().splitlines()]
        first.append(rows[-1]["loss"])
    assert first[0] != first[1] and first[0] == pytest.approx(first[1], rel=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        conv = next(part for part in model.modules() if isinstance(part, torch.nn.Conv2d))
        assert conv(torch.zeros(1, 3, SIZE, SIZE)).dtype == torch.float32


def test_the_rival_of_the_same_size_trains_and_stops_by_the_clock(packed, tmp_path):
    recipe = replace(
        TINY, steps=50, baseline="sbi", text=False, detector={}, forgers={"self_blend": {"change": "either"}}
    )
    before = datetime.now(UTC)  # it is over a second later, in one of the steps
    model = run(packed, tmp_path, recipe, until=before)
    assert isinstance(model, SBI)
    card = json.loads((tmp_path / "sbi.json").read_text())
    assert card["model"] == "sbi" and card["trained"]["steps"] < 50
    assert SBI.load(tmp_path / "sbi.safetensors").full.weight.shape == model.full.weight.shape


def test_an_ablation_is_a_setting_on_the_command_line(tmp_path):
    recipe = Recipe.read(RUNS / "ffpp.toml", ["detector.unit_scale=100", "lr=2e-3", "encoders.size = 64"])
    assert recipe.detector == {"unit_scale": 100} and recipe.lr == 2e-3 and recipe.encoders["size"] == 64
    assert Recipe.read(RUNS / "ffpp.toml", ["parallel=fsdp"]).parallel == "fsdp"
    for change, sentence in (("lr", "KEY=VALUE"), ("lr.x=1", "table"), ("=1", "KEY=VALUE"), ("lrr=1", "lr")):
        with pytest.raises((InputError, UnknownName), match=sentence):
            Recipe.read(RUNS / "ffpp.toml", [change])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"baseline": "sbj", "detector": {}}, "sbi"),
        ({"baseline": "sbi", "detector": {"focal": 1.0}}, "no .detector. table"),
    ],
)
def test_a_rival_that_does_not_fit_is_refused(change, sentence):
    with pytest.raises((InputError, UnknownName), match=sentence):
        replace(TINY, **change)


def test_the_recipe_after_the_authors_code_has_each_switch_and_is_else_the_papers():
    ours, theirs = Recipe.read(RUNS / "published.toml"), Recipe.read(RUNS / "authors.toml")
    assert theirs.detector == {"unit_scale": 100.0, "focal": 1.0, "locator_width": 128}
    assert theirs.encoders["lora"] == 32 and theirs.encoders["shared_context"] and theirs.encoders["real"] == ["real"]
    same = ("epochs", "lr", "weight_decay", "batch_size", "sources", "forgers", "degradation", "margin")
    assert all(getattr(ours, name) == getattr(theirs, name) for name in same)
    assert ours.forgers["region_edit"]["changed"] == 0.0, "equation 6 changes no colours"
    sbi = Recipe.read(RUNS / "ffpp-sbi.toml")
    ffpp = Recipe.read(RUNS / "ffpp.toml")
    alike = ("steps", "batch_size", "lr", "encoders", "sources", "degradation", "seed", "ema", "warmup")
    assert all(getattr(sbi, name) == getattr(ffpp, name) for name in alike)


def test_rows_as_references_equal_pictures_as_references():
    model = make(TINY, embed=embed).eval()
    pixels = torch.rand(4, 3, SIZE, SIZE) * 255
    rows = torch.tensor([0, 0, 2, 2])
    by_row, by_picture = model(pixels, rows).reference_map, model(pixels, pixels[rows]).reference_map
    assert torch.allclose(by_row, by_picture, atol=1e-5)


def test_the_rate_rises_and_falls():
    steady, cosine = replace(TINY, warmup=2), replace(TINY, cosine=True)
    assert [steady.schedule(10).rate(i) for i in range(4)] == pytest.approx([1.5e-3, 3e-3, 3e-3, 3e-3])
    assert cosine.schedule(10).rate(0) == pytest.approx(3e-3) and cosine.schedule(10).rate(10) == pytest.approx(
        0.02 * 3e-3
    )


# --------------------------------------------------------------------------------------------------------- the recipe


def test_the_published_recipe_is_the_papers():
    recipe = Recipe.read(RUNS / "published.toml")
    assert recipe.encoders["name"] == "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
    assert recipe.encoders["layers"] == [16, 24, 32] and recipe.encoders["size"] == 224
    assert (recipe.epochs, recipe.lr, recipe.weight_decay) == (50, 1e-4, 1e-5)
    assert recipe.text and recipe.reference and recipe.images is None
    assert Recipe.read(RUNS / "small.toml").encoders["backbone"] == "mobilenetv2_100"


@pytest.mark.parametrize(
    ("line", "near"),
    [
        ("stepss = 1", "steps"),
        ("[encoders]\nkind = 'small'\nbackbones = 'x'", "backbone"),
        ("[detector]\nwidht = 1", "width"),
        ("[forgers.region_edit]\nblend = ['alpha']", "blends"),
        ("[forgers]\nself_blends = 1.0", "self_blend"),
        ("parallel = 'dpp'", "ddp"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(tmp_path, line, near):
    whole = {"encoders": "[encoders]\nkind = 'small'", "forgers": "[forgers]\nself_blend = 1.0"}
    rest = [text for name, text in whole.items() if f"[{name}" not in line]
    parts = [line, *rest] if line.startswith("[") else [f"{line}\n", *rest]
    steps = "" if line.startswith("stepss") else "steps = 1\n"
    (tmp_path / "recipe.toml").write_text(steps + "\n".join(parts) + "\n[sources]\npainted = 1.0\n")
    with pytest.raises(UnknownName, match=f"Did you mean '{near}'"):
        Recipe.read(tmp_path / "recipe.toml")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"steps": None}, "either steps or epochs"),
        ({"batch_size": 3}, "even batch"),
        ({"images": 0}, "images of at least 1"),
        ({"forgers": {}}, "at least one source and one forger"),
        ({"steps": 0}, "steps of at least 1"),
        ({"lr": -1.0}, "lr above 0"),
        ({"sources": {"painted": -1.0}}, "shares of sources of 0 or more"),
        ({"forgers": {"self_blend": 0.0}}, "shares of forgers of 0 or more, and one above 0"),
        ({"forgers": {"self_blend": "all"}}, "shares of forgers as numbers"),
        ({"degradation": ()}, "shares of degradation"),
        ({"margin": 0.0}, "a margin from 0.5 to 10"),
        ({"ema": 2.0}, "ema from 0 to below 1"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(change, sentence):
    with pytest.raises(InputError, match=sentence):
        replace(TINY, **change)


@pytest.mark.parametrize("change", ["lr=nan", "margin=inf", "sources.ffpp_c23=nan", "degradation=[nan]"])
def test_a_setting_that_is_no_number_is_refused(change):
    with pytest.raises(InputError, match="expected finite numbers, got"):
        Recipe.read(RUNS / "ffpp.toml", [change])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("seed=-1", "expected seed from 0 to 4,294,967,295, got -1"),
        ("seed=4294967296", "expected seed from 0 to"),
        ("warmup=-5", "expected warmup from 0 to"),  # a rate below 0 would unlearn
        ("weight_decay=-0.1", "expected weight_decay from 0 to"),
        ("encoders.size=1000000", "expected size as numbers from 1 to 4,096"),
        ("encoders.strides=[8, 8]", "strides: expected some of .*, rising"),
        ("forgers.region_edit={max_regions = 0}", r"\[forgers.region_edit\]: expected max_regions as numbers from 1"),
        ("forgers.region_edit={max_regions = 'two'}", "expected max_regions of type int, got 'two'"),
        ("forgers.region_edit={blends = []}", "expected blends as something in the list"),
        ("forgers.self_blend={ratios = ['all']}", "expected ratios of type list of float"),
    ],
)
def test_numbers_that_a_recipe_cannot_have_are_told_before_a_step(change, sentence):
    with pytest.raises(InputError, match=sentence):
        make(Recipe.read(RUNS / "ffpp.toml", [change]), embed=embed)


def test_bad_input_at_the_command_line_is_a_sentence(tmp_path, capsys):
    for option, value in (("--seed", "-1"), ("--seed", "99999999999"), ("--workers", "-1"), ("--workers", "two")):
        with pytest.raises(SystemExit):
            main(["train", "kfd", str(RUNS / "small.toml"), option, value])
        assert f"argument {option}: expected a " in capsys.readouterr().err
    recipe = str(RUNS / "small.toml")
    assert main(["train", "kfd", recipe, "--pack", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "No pack in" in capsys.readouterr().err
    broken = tmp_path / "broken.toml"
    broken.write_text("steps = [")
    assert main(["train", "kfd", str(broken), "--pack", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "expected a recipe in TOML" in capsys.readouterr().err
    (tmp_path / "old.pt").write_bytes(b"\x80\x04.")
    with pytest.raises(WeightsError, match=r"old\.pt"):
        make(TINY, tmp_path / "old.pt", embed)


# ------------------------------------------------------------------------------------------------------ the measuring


@pytest.fixture(scope="module")
def evaluate():
    spec = importlib.util.spec_from_file_location("kfd_evaluate", RUNS / "evaluate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Knows:
    """A witness that has been told the truth of some pictures: `fakes` scores and a mask over the whole picture."""

    name = "knows"

    def __init__(self):
        self.calls = 0

    def examine(self, track, clip):
        self.calls += 1
        whole = Mask((0.0, 0.0, float(clip.frame.width), float(clip.frame.height)), np.ones((4, 4), np.float32))
        return Testimony("knows", 0.1 if self.calls % 2 else 0.9, whole)  # genuine and forged come in turn


def test_evaluation_meets_each_genuine_face_and_a_forgery_of_it(packed, evaluate):
    rows = evaluate.examined([Knows()], Pack(packed), "train")
    real, made = [r for r in rows if r["label"] == "real"], [r for r in rows if r["made"]]
    assert len(real) == len(made) == 20 and len(rows) == 42 and {r["made"] for r in made} == set(evaluate.FORGERS)
    assert all(0 < r["iou"] < 1 for r in made) and all(r["iou"] is None for r in real)
    again = evaluate.examined([Knows()], Pack(packed), "train")
    assert again == rows


def test_numbers_are_of_their_rows(evaluate, tmp_path):
    def row(source, group, label, score, made="", iou=None):
        about = {"source": source, "group": group, "label": label, "score": score, "made": made, "iou": iou}
        return about | {"file": f"{source}{group}{label}", "condition": "plain", "touched": None, "strengths": {}}

    rows = []
    for i in range(12):  # forgeries made of "a" are told apart, its own are not; "b" the other way round
        rows += [row("a", str(i), "real", 0.4), row("a", str(i), "fake", 0.6, "self_blend", 0.5)]
        rows += [row("a", str(i), "fake", 0.4), row("b", str(i), "real", 0.4)]
        rows += [row("b", str(i), "fake", 0.4, "region_edit", 0.7), row("b", str(i), "fake", 0.9)]
    rows.append(row("b", "x", "real", None))
    tables = {"w": predictions.write(tmp_path, {"name": "w"}, conditions.rows_of(rows, "val"))}
    found = evaluate.measured(tables)["w, plain"]
    assert found["made/a"].value == found["auc/b"].value == 1
    assert found["auc/a"].value == found["made/b"].value == 0.5
    assert found["made"].value == pytest.approx(0.75) and found["made"].low < 0.75 < found["made"].high
    assert found["mask_iou"].value == pytest.approx(0.6) and found["mask_iou"].n == 24
    assert found["mask_iou/self_blend"].value == pytest.approx(0.5) and found["made/region_edit"].value < 0.7
    text = evaluate.table(evaluate.measured(tables))
    assert "| made/a | 1.000 [1.000, 1.000], n = 24 |" in text


def test_a_run_is_measured_by_its_command(packed, evaluate, tmp_path):
    run(packed, tmp_path, replace(TINY, steps=1))
    weights = str(tmp_path / "kfd.safetensors")
    evaluate.main(["--cache", str(packed), "--weights", weights, "--out", str(tmp_path), "--beside"])
    results = json.loads((tmp_path / "results.json").read_text())
    assert 0 <= results["numbers"]["kfd, plain"]["made"][0] <= 1 and results["without_a_face"] == 0
    assert "| made |" in (tmp_path / "results.md").read_text()
    table, meta = predictions.read(tmp_path / "predictions" / "kfd")
    assert table.num_rows == 4 and meta["name"] == "kfd" and set(table.column("speaker").to_pylist()) == {"explanation"}
    evaluate.main(["--read", str(tmp_path), "--out", str(tmp_path / "again")])
    assert json.loads((tmp_path / "again" / "results.json").read_text()) == results
    with pytest.raises(InputError, match="expected predictions/WITNESS in it"):
        evaluate.main(["--read", str(tmp_path / "again"), "--out", str(tmp_path)])


def test_what_is_fitted_makes_the_witness_decide(packed, tmp_path, monkeypatch):
    """Scores that tell and findings of which those that cover more are right more often, beside saved weights."""
    monkeypatch.syspath_prepend(str(RUNS))
    monkeypatch.delitem(sys.modules, "evaluate", raising=False)
    spec = importlib.util.spec_from_file_location("kfd_fit", RUNS / "fit.py")
    fit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fit)
    rng = np.random.default_rng(0)
    rows = []
    for i in range(200):
        for made, label, at in (("", "real", 0.2), ("self_blend", "fake", 0.8), ("", "fake", 0.2)):
            covered = float(rng.uniform(0.34, 0.99))
            touched = None if label == "fake" and not made else ("nose",) if covered > 0.7 and made else ()
            score = float(np.clip(rng.normal(at, 0.15), 0.01, 0.99))
            rows.append({"source": "dfdc", "group": str(i), "label": label, "made": made, "score": score,
                         "touched": touched, "strengths": {"nose": covered}})  # fmt: skip
    monkeypatch.setattr(fit, "examined", lambda *_, **__: rows)
    run(packed, tmp_path, replace(TINY, steps=1))
    fit.main(["--cache", str(packed), "--weights", str(tmp_path / "kfd.safetensors")])
    witness = plugins.get("witnesses", "kfd").load(weights=str(tmp_path / "kfd.safetensors"))
    assert (decided(0.95, witness.calibration), decided(0.05, witness.calibration)) == ("fake", "real")
    assert witness._strength(0.95) > witness._strength(0.4) and witness.facts["strength"]["findings"] == 400
    assert witness.made_by()["options"]["around"] is False
    fit.main(["--cache", str(packed), "--weights", str(tmp_path / "kfd.safetensors"), "--around"])
    witness = plugins.get("witnesses", "kfd").load(weights=str(tmp_path / "kfd.safetensors"))
    assert witness.made_by()["options"]["around"] is True, "what was fitted to looks from around is used with them"
    face, pixels = Face(FrameRef(64, 64), (8, 8, 56, 56)), np.zeros((64, 64, 3), np.uint8)
    assert witness._look(face, pixels).notes == ()
    otherwise = plugins.get("witnesses", "kfd").load(weights=str(tmp_path / "kfd.safetensors"), around=False)
    assert "its calibration was fitted with that" in "".join(otherwise._look(face, pixels).notes)


def test_forgeries_of_the_sources_are_not_examined_for_the_fit(monkeypatch):
    monkeypatch.syspath_prepend(str(RUNS))
    spec = importlib.util.spec_from_file_location("kfd_fit", RUNS / "fit.py")
    fit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fit)
    rows = [{"label": label, "split": "calibrate", "file": label} for label in ("real", "fake")]
    data = SimpleNamespace(rows=rows, pixels=None, landmarks=None)
    assert [row["split"] for row in fit.Genuine(data).rows] == ["calibrate", "left_out"]


# -------------------------------------------------------------------------------------------------- several processes

TORCHRUN = """
import sys
from pathlib import Path
import torch
sys.path.insert(0, {tests!r})
import test_train_kfd as here
from facewitness.train.kfd import train
from facewitness.train.several import processes
torch.set_num_threads(1)
with processes():
    recipe = {recipe}
    train(recipe, Path(sys.argv[1]), Path(sys.argv[2]), embed={embed}, workers=0, save_every=1,
          stop_at_step=None if sys.argv[3] == "all" else int(sys.argv[3]))
"""


_MEETING = ("--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1")


def torchrun(script: Path, *arguments: object) -> None:
    source = Path(recipe_file.__file__).parents[2]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *_MEETING]
    done = subprocess.run(
        [*command, str(script), *map(str, arguments)], env=os.environ | {"PYTHONPATH": str(source)},
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.slow
def test_two_processes_train_and_go_on_after_a_kill(packed, tmp_path):
    script = tmp_path / "two.py"
    script.write_text(TORCHRUN.format(tests=str(Path(__file__).parent), recipe="here.TINY", embed="here.embed"))
    torchrun(script, packed, tmp_path / "whole", "all")
    torchrun(script, packed, tmp_path / "parts", 2)
    torchrun(script, packed, tmp_path / "parts", "all")
    whole, parts = (load_file(tmp_path / n / "kfd.safetensors") for n in ("whole", "parts"))
    assert all(torch.equal(whole[k], parts[k]) for k in whole)
    start = make(TINY, embed=embed).state_dict()
    assert any(not torch.equal(whole[k], start[k]) for k in whole)
    assert json.loads((tmp_path / "whole" / "resolved.json").read_text())["processes"] == 2
    assert len((tmp_path / "whole" / "log.jsonl").read_text().splitlines()) == 4


@pytest.mark.slow
def test_a_frozen_clip_spread_over_two_processes_learns_what_a_whole_one_does(packed, tmp_path, clip_folder):
    results = {}
    for parallel in ("ddp", "fsdp"):
        recipe = (
            f"here.replace(here.TINY, parallel={parallel!r}, encoders={{'kind': 'clip', 'name': {str(clip_folder)!r}, "
            f"'layers': [1, 2, 3], 'size': {SIZE}, 'context': 5}})"
        )
        script = tmp_path / f"{parallel}.py"
        script.write_text(TORCHRUN.format(tests=str(Path(__file__).parent), recipe=recipe, embed="None"))
        torchrun(script, packed, tmp_path / parallel, "all")
        results[parallel] = load_file(tmp_path / parallel / "kfd.safetensors")
    assert not any(k.startswith("encoders.clip.") for k in results["fsdp"])
    for name, value in results["ddp"].items():
        assert torch.allclose(value, results["fsdp"][name], atol=1e-5), name


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    """A CLIP of two small towers and a tokenizer of its own words, saved as any other."""
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    from facewitness.models import kfd

    folder = tmp_path_factory.mktemp("clip")
    words = sorted({word for sentence in kfd.REAL + kfd.FAKE for word in sentence.replace(",", " ,").split()})
    vocabulary = {word: i for i, word in enumerate(["[unk]", *words, "<begin>", "<end>"])}
    raw = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[unk]"))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<begin>", eos_token="<end>", unk_token="[unk]"
    ).save_pretrained(folder)
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "projection_dim": 12}
    torch.manual_seed(0)
    ends = {"vocab_size": len(vocabulary), "bos_token_id": vocabulary["<begin>"], "eos_token_id": vocabulary["<end>"]}
    config = transformers.CLIPConfig(
        text_config=tower | ends | {"max_position_embeddings": 40, "num_hidden_layers": 2, "pad_token_id": 0},
        vision_config=tower | {"image_size": SIZE, "patch_size": 8, "num_hidden_layers": 3},
        projection_dim=12,
    )
    transformers.CLIPModel(config).save_pretrained(folder)
    return folder
