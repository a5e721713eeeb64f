"""The compact network and its recipe, with the same classes at tiny sizes."""

from __future__ import annotations

import errno
import io
import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from doubles import AverageFace, load_dying
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from facewitness import weights as shipped  # noqa: E402
from facewitness.builders import pack as pack_module  # noqa: E402
from facewitness.builders.pack import Pack, held_out, pack  # noqa: E402
from facewitness.errors import FacewitnessError, InputError, UnknownName, WeightsError  # noqa: E402
from facewitness.forge import routine  # noqa: E402
from facewitness.models.compact import Compact, read_weights  # noqa: E402
from facewitness.models.mids import SmallEncoders  # noqa: E402
from facewitness.train import compact as recipe_file  # noqa: E402
from facewitness.train import export, loop  # noqa: E402

TINY = recipe_file.Recipe(
    stage=(recipe_file.Stage(64, 2, 4, 1e-3), recipe_file.Stage(96, 2, 4, 1e-3)),
    sources={"painted": 1.0},
    forgers={"self_blend": 0.5, "region_edit": 0.3, "resynthesise": 0.2},
    seed=3,
    backbone="mobilenetv2_035",
    noise=True,
    parsing=True,
)


def _picture(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    small = rng.integers(60, 200, (12, 12, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize((120, 120), Image.Resampling.BICUBIC).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    ids = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 19, (120, 120), dtype=np.uint8)).save(ids, "PNG")
    rows = []
    for i in range(24):
        fake = i % 3 == 2
        rows.append({"file": f"{i}.png", "image": _picture(i), "label": "fake" if fake else "real", "source": "painted",
                     "group": f"person {i // 3}", "original": f"{i - 1}.png" if fake else None,
                     "method": "Deepfakes" if fake else "pristine", "split": "val" if i >= 21 else "train",
                     "parsing": None if fake else ids.getvalue()})  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "painted.parquet")
    pack(folder, folder / "pack", AverageFace())
    return folder / "pack"


def test_the_pack_gives_back_what_went_in(packed):
    data = Pack(packed)
    assert len(data.rows) == 24
    assert np.array_equal(data.pixels(5), np.asarray(Image.open(io.BytesIO(_picture(5)))))
    assert data.landmarks(5).shape == (468, 2) and data.parsing(4).shape == (120, 120) and data.parsing(5) is None
    splits = {r["group"]: r["split"] for r in data.rows}
    assert all(r["split"] == splits[r["group"]] for r in data.rows), "a group stands in one split"


def test_a_missing_pack_says_how_to_make_one(tmp_path):
    with pytest.raises(InputError, match="facewitness build pack TABLES"):
        Pack(tmp_path)


def test_of_a_pack_that_cannot_be_written_nothing_is_left_and_the_file_is_named(packed, tmp_path, monkeypatch):
    full = OSError(errno.ENOSPC, "No space left on device")

    def crowded(*given):
        raise full

    monkeypatch.setattr("facewitness.builders.pack.np.save", crowded)
    with pytest.raises(OSError, match=r"No space left on device: .*landmarks\.npy\.part"):
        pack(packed.parent, tmp_path, AverageFace())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rows", ['[{"at": 0', "{}", "[1]", '[{"at": 0, "at": 1}]', "[]", "[" * 100_000])
def test_a_broken_pack_is_told_in_a_sentence(rows: str, tmp_path):
    (tmp_path / "rows.json").write_text(rows)  # and nothing beside it
    with pytest.raises(InputError, match=r"holds no whole pack \(.*\)\. Pack again\."):
        Pack(tmp_path)


def test_batches_hold_a_genuine_and_a_forged_face_in_turn_and_repeat(packed):
    batches = recipe_file.Batches(packed, TINY, 0)
    one, again = batches[1], recipe_file.Batches(packed, TINY, 0)[1]
    assert one["x"].shape == (4, 3, 64, 64) and one["x"].dtype == torch.uint8
    assert one["fake"].tolist() == [0, 1, 0, 1]
    assert all(torch.equal(one[k], again[k]) for k in one)
    assert not torch.equal(one["x"], batches[0]["x"])
    genuine = one["fake"] == 0
    assert one["mask"][genuine].sum() == 0 and one["regions"][genuine].sum() == 0
    assert (one["has_mask"] == 1).all()


def test_both_halves_of_a_pair_come_at_one_size_of_face(packed):
    recipe = replace(TINY, native=(30.0, 60.0), own_share=0.5, edited=1.0)
    batches = recipe_file.Batches(packed, recipe, 0)
    data = batches._open()
    for seed in range(12):
        pair = batches._pair(data, np.random.default_rng(seed))
        sides = [recipe_file.side_of(item) for item in pair]
        assert abs(sides[0] - sides[1]) < 1.5 and 29 < sides[0] < 61
        for item in pair:
            assert item.mask.shape == item.pixels.shape[:2]
            edited = recipe_file.routinely_edited(item, np.random.default_rng(seed))
            assert edited.pixels.shape == item.pixels.shape and edited.mask.max() <= item.mask.max() + 1e-6


def test_small_faces_are_enlarged_no_further_than_the_recipe_says(packed):
    batches = recipe_file.Batches(packed, replace(TINY, native=(400.0, 500.0), enlarged=(1.0, 1.6)), 0)
    data = batches._open()
    came = recipe_file.side_of(recipe_file.item_of_row(data, 0, batches.index))
    sides = [recipe_file.side_of(batches._pair(data, np.random.default_rng(s))[0]) for s in range(6)]
    assert max(sides) < came * 1.6 + 1.5 and min(sides) > came * 1.6 - 1.5


def test_a_picture_drawn_anew_is_laid_on_its_genuine_one_in_part(packed):
    whole = recipe_file.Batches(packed, replace(TINY, own_share=0.0), 0)
    part = recipe_file.Batches(packed, replace(TINY, own_share=0.0, in_part={"painted": 1.0}), 0)
    data = whole._open()
    for seed in range(6):
        row, drawn = whole._pair(data, np.random.default_rng(seed))
        genuine, forged = part._pair(part._open(), np.random.default_rng(seed))
        assert np.array_equal(genuine.pixels, row.pixels) and forged.fake and forged.regions
        assert 0 < (forged.mask > 0).mean() < 1
        share = forged.mask[..., None]
        laid = share * drawn.pixels + (1 - share) * genuine.pixels
        assert np.abs(forged.pixels - laid).max() <= 1
        assert forged.kind in ("identity_exchange", "attribute_manipulation")


def test_hard_pictures_come_back_more_often_and_sources_borrow_genuine_ones(packed):
    recipe = replace(TINY, sources={"made": 1.0}, genuine={"made": "painted"})
    batches = recipe_file.Batches(packed, recipe, 0, {"painted/0.png": 50.0})
    data = batches._open()
    rng = np.random.default_rng(0)
    drawn = [data.rows[batches._genuine("made", rng)]["file"] for _ in range(60)]
    assert drawn.count("0.png") > 30 and len(set(drawn)) > 1
    for hard, told in (
        ([1], "an object of pictures"),
        ({"painted/0.png": -1}, "numbers of 0 or more"),
        ({"elsewhere/0.png": 2.0}, "expected pictures of the pack, got 'elsewhere/0.png'"),
    ):
        with pytest.raises(InputError, match=told):
            recipe_file.Batches(packed, recipe, 0, hard).check()
    with pytest.raises(UnknownName, match=r"genuine pictures in the pack 'made'"):
        recipe_file.Batches(packed, replace(recipe, genuine={}), 0)[0]


def test_val_rows_of_a_trained_person_are_left_out_and_a_second_pack_searches_nothing(packed, tmp_path):
    class Blind:
        def find(self, frame):
            raise AssertionError("the earlier pack knows every picture")

    groups = {f"painted/{i}.png": "person 0" for i in (21, 22, 23)}  # person 7 of `val` is person 0 of `train`
    pack(packed.parent / "painted.parquet", packed, Blind(), groups)
    again = {r["file"]: r["split"] for r in Pack(packed).rows}
    pack(packed.parent / "painted.parquet", packed, Blind())
    assert again["21.png"] == "left_out" and again["0.png"] != "left_out"
    assert Pack(packed).rows[21]["split"] == "val"


def test_a_process_that_dies_ends_the_packing_in_a_sentence(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(pack_module, "_load", load_dying)
    with pytest.raises(FacewitnessError, match="a process that looked for faces ended"):
        pack(packed.parent / "painted.parquet", tmp_path / "pack", jobs=1)


def test_a_training_picture_that_shows_a_face_of_val_or_a_held_out_one_is_left_out(packed, tmp_path):
    before = {r["file"]: (r["split"], r["group"]) for r in Pack(packed).rows}
    splits = {split: file for file, (split, _) in before.items()}
    shown = {f"painted/{splits['train']}": before[splits["val"]][1], f"painted/{splits['val']}": "nobody"}
    others = {file: split for file, (split, _) in before.items() if file != splits["train"]}
    pack(packed.parent / "painted.parquet", packed, shows=shown)
    after = {r["file"]: r["split"] for r in Pack(packed).rows}
    assert after.pop(splits["train"]) == "left_out" and after == others
    pack(packed.parent / "painted.parquet", packed)
    assert {r["file"]: (r["split"], r["group"]) for r in Pack(packed).rows} == before


def test_genuine_pictures_that_look_forged_are_mined(packed, tmp_path):
    torch.manual_seed(0)
    model = Compact("mobilenetv2_035", noise=True, parsing=True)
    for bias, some in ((9.0, True), (-9.0, False)):
        model.to_fake.bias.data.fill_(bias)
        save_file(model.state_dict(), tmp_path / "w.safetensors")
        found = recipe_file.mined(TINY, packed, tmp_path / "w.safetensors")
        assert bool(found) == some
        assert all(key.startswith("painted/") and 3.5 < weight <= 4 for key, weight in found.items())


def test_training_ends_at_a_moment_with_the_rate_gone(packed, tmp_path):
    recipe = replace(TINY, stage=(recipe_file.Stage(64, 100000, 4, 1e-3),))
    recipe_file.train(recipe, packed, None, tmp_path, workers=0, until=datetime.now(UTC) + timedelta(seconds=3))
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] < 1000 and last["lr"] < 3e-5


def test_held_out_groups_are_never_drawn(packed):
    batches = recipe_file.Batches(packed, TINY, 0)
    data = batches._open()
    drawn = {i for rows in batches.real.values() for i in rows}
    assert drawn and all(data.rows[i]["split"] == "train" for i in drawn)
    share = np.mean([held_out(f"group {i}") for i in range(4000)])
    assert 0.04 < share < 0.09


def test_answers_have_their_shapes_and_the_noise_branch_starts_silent():
    torch.manual_seed(0)
    model = Compact("mobilenetv2_035", noise=True, parsing=True).eval()
    x = torch.rand(2, 3, 64, 64) * 255
    answers = model(x)
    assert answers.fake.shape == (2,) and answers.kind.shape == (2, 4) and answers.regions.shape == (2, 12)
    assert answers.mask.shape == (2, 16, 16) and answers.parsing.shape == (2, 19, 16, 16)
    noise, model.noise = model.noise, None
    assert torch.equal(model(x).fake, answers.fake)
    flat = torch.full((1, 3, 64, 64), 100.0)
    residual = torch.nn.functional.conv2d(flat.mean(1, keepdim=True), noise.kernels)
    assert residual.abs().max() < 1e-4, "a flat picture leaves no residual"


def test_a_loss_hears_only_what_is_known():
    torch.manual_seed(0)
    model = Compact("mobilenetv2_035").eval()
    answers = model(torch.rand(2, 3, 64, 64) * 255)
    batch = {"fake": torch.tensor([0.0, 1.0]), "kind": torch.tensor([0, -1]), "mask": torch.zeros(2, 16, 16),
             "has_mask": torch.tensor([1.0, 0.0]), "regions": torch.zeros(2, 12),
             "has_regions": torch.tensor([1.0, 0.0]), "parsing": torch.full((2, 16, 16), 255)}  # fmt: skip
    first = recipe_file.losses(answers, batch)
    batch["mask"][1], batch["regions"][1] = 1.0, 1.0
    second = recipe_file.losses(answers, batch)
    assert all(torch.equal(first[k], second[k]) for k in first) and set(first) == {"fake", "kind", "mask", "regions"}


def test_bfloat16_leaves_the_first_and_the_strided_depthwise_convolutions_in_float():
    network = Compact(noise=True).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    loop.some_in_float(network)
    assert before.keys() == network.state_dict().keys()
    kinds: dict[str, set[torch.dtype]] = {"first": set(), "strided": set(), "others": set()}
    for part in network.backbone.modules():
        if isinstance(part, torch.nn.Conv2d):
            strided = part.groups > 1 and part.stride[0] > 1
            kind = "first" if part is network.backbone.conv_stem else "strided" if strided else "others"
            part.register_forward_hook(lambda _, given, out, kind=kind: kinds[kind].add(out.dtype))
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        network(torch.rand(1, 3, 64, 64) * 255)
    assert kinds == {"first": {torch.float32}, "strided": {torch.float32}, "others": {torch.bfloat16}}


def test_training_goes_on_where_it_was_stopped(packed, tmp_path):
    recipe_file.train(TINY, packed, None, tmp_path / "whole", workers=0, save_every=1)
    stopped = replace(TINY, stage=(TINY.stage[0],))
    recipe_file.train(stopped, packed, None, tmp_path / "parts", workers=0, save_every=1)
    recipe_file.train(TINY, packed, None, tmp_path / "parts", workers=0, save_every=1)
    from safetensors.torch import load_file

    whole, parts = (load_file(tmp_path / n / "last.safetensors") for n in ("whole", "parts"))
    start = Compact(TINY.backbone, noise=True, parsing=True).state_dict()
    assert any(not torch.equal(whole[k], start[k]) for k in whole)
    log = [json.loads(line) for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert [(entry["stage"], entry["step"]) for entry in log] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert all(torch.equal(whole[k], parts[k]) for k in whole)
    with pytest.raises(InputError, match="holds a run of another recipe"):
        recipe_file.train(replace(TINY, weight_decay=0.5), packed, None, tmp_path / "parts", workers=0)


def test_features_are_brought_together_by_label_and_spread_over_all():
    fake = torch.tensor([0.0, 1.0, 0.0, 1.0])
    apart = torch.tensor([[3.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 7.0]])  # each label on one point, of any length
    found = recipe_file.apart(apart, fake)
    assert found["alignment"] == pytest.approx(0, abs=1e-6)
    # by hand: two pairs at distance² 0, four at 2
    assert found["uniformity"] == pytest.approx(math.log((2 + 4 * math.exp(-4)) / 6), abs=1e-5)
    mixed = recipe_file.apart(apart[[0, 2, 1, 3]], fake)
    assert mixed["alignment"] == pytest.approx(2) and mixed["uniformity"] == pytest.approx(float(found["uniformity"]))


@pytest.mark.filterwarnings("ignore:.*treespec.*:FutureWarning")  # torch 2.13's exporter warns of itself
@pytest.mark.slow
def test_unit_features_go_on_from_weights_without_them_and_are_exported(packed, tmp_path):
    recipe_file.train(TINY, packed, None, tmp_path / "before", workers=0)
    start = tmp_path / "before" / "last.safetensors"
    recipe = replace(TINY, unit=True)
    recipe_file.train(recipe, packed, start, tmp_path / "unit", workers=0)
    from safetensors.torch import load_file

    weights = load_file(tmp_path / "unit" / "last.safetensors")
    assert weights["length"] > 0
    model = Compact(TINY.backbone, noise=True, parsing=True, unit=True).eval()
    model.load_state_dict(weights)
    features, decoded, mask = model.pooled(torch.rand(2, 3, 64, 64) * 255)
    longer = model.answers(3 * features, decoded, mask)
    assert torch.allclose(model.answers(features, decoded, mask).fake, longer.fake, atol=1e-5), "length says nothing"
    log = [json.loads(line) for line in (tmp_path / "unit" / "log.jsonl").read_text().splitlines()]
    assert all(-4 <= entry["uniformity"] <= 0 <= entry["alignment"] <= 4 for entry in log)
    onnx = tmp_path / "unit.onnx"
    assert export.export(recipe, tmp_path / "unit" / "last.safetensors", onnx) < 1e-3
    assert onnx.stat().st_size < 3_000_000
    held = read_weights(onnx)  # training can go on from what was exported
    assert weights.keys() - held.keys() == {"to_parsing.weight", "to_parsing.bias"} and held.keys() <= weights.keys()
    for name, value in held.items():
        exact = value.numel() < export.HALVED and "num_batches" not in name
        assert not exact or torch.equal(value, weights[name]), name
        assert "num_batches" in name or torch.allclose(value, weights[name], rtol=1e-3, atol=1e-5), name


@pytest.mark.filterwarnings("ignore:.*treespec.*:FutureWarning")  # torch 2.13's exporter warns of itself
@pytest.mark.slow
def test_two_networks_answer_together_by_the_mean_of_their_log_odds(packed, tmp_path):
    import onnxruntime

    recipe = replace(TINY, parsing=False)
    other = replace(recipe, backbone="efficientnet_lite0")  # of another kind
    files = []
    for number, backbone in ((1, recipe.backbone), (2, other.backbone)):
        torch.manual_seed(number)
        files.append(tmp_path / f"{number}.safetensors")
        save_file(Compact(backbone, noise=True).state_dict(), files[-1])
    crops = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), np.uint8)
    fakes = []
    together = {"beside": files[1], "share": 0.25, "beside_recipe": other}
    for onnx, of, weights, more in (
        ("1", recipe, files[0], {}), ("2", other, files[1], {}), ("both", recipe, files[0], together)
    ):  # fmt: skip
        file = tmp_path / f"{onnx}.onnx"
        assert export.export(of, weights, file, **more) < 1e-3
        fakes.append(onnxruntime.InferenceSession(file).run(["fake"], {"crops": crops})[0])
    assert np.ptp(fakes[0] - fakes[1]) > 0 and fakes[2] == pytest.approx(0.75 * fakes[0] + 0.25 * fakes[1], abs=1e-5)
    first, second = read_weights(tmp_path / "both.onnx"), read_weights(tmp_path / "both.onnx", second=True)
    assert torch.equal(first["to_fake.weight"], read_weights(files[0])["to_fake.weight"]), "training goes on from it"
    assert torch.equal(second["to_fake.weight"], read_weights(files[1])["to_fake.weight"])
    begun = recipe_file.begin(replace(other, parsing=False), tmp_path / "both.onnx").state_dict()
    assert torch.equal(begun["to_fake.weight"], second["to_fake.weight"]), "or from the other, where that fits"
    with pytest.raises(WeightsError, match="expected two networks that answer together, got one"):
        read_weights(tmp_path / "1.onnx", second=True)
    with pytest.raises(InputError, match="does not fit"):
        export.export(recipe, files[0], tmp_path / "no.onnx", beside=shipped.find("compact.onnx").path)


def test_weights_that_are_another_networks_are_refused_in_a_sentence(packed, tmp_path):
    with pytest.raises(InputError, match="does not fit"):  # what ships has a wider backbone
        recipe_file.train(TINY, packed, shipped.find("compact.onnx").path, tmp_path / "run", workers=0)
    for name, content in (("a.onnx", b"nothing"), ("a.safetensors", b"nothing")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match=name):
            read_weights(tmp_path / name)


def test_the_network_that_ships_is_one_to_go_on_from():
    tensors = read_weights(shipped.find("compact.onnx").path)
    Compact(noise=True).load_state_dict(tensors)
    SmallEncoders(size=64, text=24).start_from(tensors)


def test_a_recipe_refuses_an_unknown_key_with_the_nearest_one(tmp_path):
    text = (Path(__file__).parents[1] / "runs/compact/recipe.toml").read_text()
    (tmp_path / "good.toml").write_text(text)
    assert recipe_file.Recipe.read(tmp_path / "good.toml").stage
    for setting, told in {"lr = -1e-3": "lr above 0", "steps = 0": "steps of at least 1"}.items():
        name = setting.partition(" ")[0]
        (tmp_path / "bad.toml").write_text(re.sub(rf"(?m)^{name} = \S+", setting, text))
        with pytest.raises(InputError, match=told):
            recipe_file.Recipe.read(tmp_path / "bad.toml")
    for edits, told in {"txt = 2": "Did you mean 'text'", "text = -1": "at least 0, got -1 for text"}.items():
        (tmp_path / "bad.toml").write_text(f"{text}\n[edits]\n{edits}\n")
        with pytest.raises((UnknownName, InputError), match=told):
            recipe_file.Recipe.read(tmp_path / "bad.toml")
    never = "\n".join(f"{name} = 0" for name in routine.OPERATIONS)
    (tmp_path / "bad.toml").write_text(f"{text}\n[edits]\n{never}\n")
    with pytest.raises(InputError, match="one of them above 0"):
        recipe_file.Recipe.read(tmp_path / "bad.toml")
    shares = re.sub(r"(?m)^own_share = \S+", "own_share = 0.5", text)
    for table, told in {
        "sources]\ndfdc = -1": "shares of sources of 0 or more",
        "forgers]": "shares of forgers of 0 or more, and one above 0",
        "forgers]\nroutine = 1": "got routine, which edits any picture",
        "options.swap]\nx = 1": "Unknown option of swap 'x'",
        "options]\nswap = 1": "expected a table for swap, got 1",
        "in_part]\ndfdc = 2": "in_part as shares from 0 to 1",
        "loss_weights]\nmask = -1": "loss_weights of at least 0",
    }.items():
        name = re.escape(table.partition("]")[0])
        without = re.sub(rf"(?ms)^\[{name}(\.\w+)?\].*?(?=^\[|\Z)", "", shares)
        (tmp_path / "bad.toml").write_text(f"{without}\n[{table}\n")
        with pytest.raises((UnknownName, InputError), match=told):
            recipe_file.Recipe.read(tmp_path / "bad.toml")
    (tmp_path / "bad.toml").write_text("bakbone = 'x'\n" + text.replace("backbone", "# backbone"))
    with pytest.raises(UnknownName, match="Did you mean 'backbone'"):
        recipe_file.Recipe.read(tmp_path / "bad.toml")
