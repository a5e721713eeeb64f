"""The recipes of ForgeryTalker and FiFa at tiny sizes on painted faces: what is drawn, said, learned and kept."""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from doubles import AverageFace
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
pytest.importorskip("transformers", reason="needs the extra 'train'")
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from facewitness import regions  # noqa: E402
from facewitness.apps.cli import main  # noqa: E402
from facewitness.builders.pack import held_out, pack  # noqa: E402
from facewitness.errors import InputError, UnknownName, WeightsError  # noqa: E402
from facewitness.models import _saved  # noqa: E402
from facewitness.models import fifa as fm  # noqa: E402
from facewitness.models.compact import Compact  # noqa: E402
from facewitness.models.fifa import FiFa  # noqa: E402
from facewitness.models.forgerytalker import ForgeryTalker  # noqa: E402
from facewitness.train import edits, encoder, fifa, forgerytalker, reports, schedule  # noqa: E402
from facewitness.train.forgerytalker import Recipe, Stage  # noqa: E402
from facewitness.train.loop import Loop  # noqa: E402
from facewitness.train.schedule import Schedule  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
RUNS = Path(__file__).parents[1] / "runs"
SIZE = 64
DRAWS = edits.Draws({"painted": 1.0}, images=6, measured=4, genuine=0.2, size=SIZE, degradation=(1.0,), seed=2)
DECODER = {"hidden": 16, "heads": 2, "mlp": 16, "layers": 1, "further": 0}
STAGE = Stage(batch_size=3, lr=1e-3, steps=2)
TINY = Recipe(
    kind="small", fpn=STAGE, report=STAGE, pretrain=STAGE, draws=DRAWS, vocabulary=330,
    network={
        "encoder": {"kind": "compact", "size": SIZE, "maps": True}, "decoder": DECODER, "queries": 3, "fuse": 8,
        "fpn": {"size": SIZE, "patch": 16, "width": 16, "layers": 2, "heads": 2, "mlp": 16, "convolved": 2, "kernel": 3,
                "local": 4, "stem": 348, "dropout": 0.0},
        "qformer": {"vocab_size": 330, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                    "intermediate_size": 16, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
        "language": {"vocab_size": 330, "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2,
                     "dropout_rate": 0.0, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0},
    },
)  # fmt: skip
FIFA = fifa.Recipe(
    kind="small", steps=2, batch_size=3, lr=1e-3, draws=DRAWS, vocabulary=360, asked=2, given=0.5,
    network={
        "encoder": {"kind": "compact", "size": SIZE, "maps": True}, "decoder": DECODER, "grid": 2,
        "language": {"vocab_size": 360, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
                     "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 512,
                     "tie_word_embeddings": True, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1},
    },
)  # fmt: skip


def _picture(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    small = rng.integers(60, 200, (12, 12, 3), dtype=np.uint8)
    soft = np.asarray(Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC)).astype(int)
    out = io.BytesIO()
    Image.fromarray(np.clip(soft + rng.normal(0, 25, (96, 96, 1)), 0, 255).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for i in range(9):
        group = f"person {i}"
        while held_out(group):
            group += "'"
        rows.append({"file": f"{i}.png", "image": _picture(i), "label": "real", "source": "painted", "group": group,
                     "original": None, "method": "pristine", "split": "val" if i >= 7 else "train"})  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "table.parquet")
    pack(folder, folder / "pack", AverageFace())
    return folder / "pack"


@pytest.fixture(scope="module")
def compact(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("compact") / "compact.safetensors"
    save_file(Compact(noise=True).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def drawn(packed, tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("edits")


def test_edits_are_drawn_once_and_repeat(packed, drawn, tmp_path):
    one = edits.drawn(DRAWS, packed, drawn, "train")
    again = edits.drawn(DRAWS, packed, tmp_path, "train")
    assert len(one) == 6 and np.array_equal(one.pixels, again.pixels) and one.rows == again.rows
    for row, mask in zip(one.rows, one.masks, strict=True):
        assert bool(mask.max()) == row["fake"]
        assert not row["fake"] or row["record"]
    unseen = edits.drawn(DRAWS, packed, drawn, "val", {"self_blend": 1.0})
    assert {row.get("family", "self_blend") for row in unseen.rows} == {"self_blend"}
    with pytest.raises(UnknownName, match="Did you mean 'swap'"):
        replace(DRAWS, families={"swop": 1.0})
    with pytest.raises(InputError, match="nobody: expected genuine pictures"):
        edits.drawn(replace(DRAWS, sources={"nobody": 1.0}), packed, tmp_path / "n", "train")


def test_edits_of_another_pack_are_not_taken_for_this_ones(packed, drawn, tmp_path):
    edits.drawn(DRAWS, packed, drawn, "train")
    other = Path(shutil.copytree(packed, tmp_path / "pack"))
    (other / "rows.json").write_text((other / "rows.json").read_text().replace("person 1", "person 11"))
    with pytest.raises(InputError, match=r"holds edits of another pack than .* Name another folder with --draws"):
        edits.drawn(DRAWS, other, drawn, "train")
    assert len(edits.drawn(DRAWS, tmp_path / "gone", drawn, "train")) == 6  # the pack has done its work


def test_a_report_names_only_what_was_edited(packed, drawn):
    data = edits.drawn(DRAWS, packed, drawn, "train")
    for i, row in enumerate(data.rows):
        told = reports.sentences(row, data.meshes[i], data.masks[i], SIZE, np.random.default_rng(i))
        text = reports.text(told)
        assert len(told) <= reports.MOST and len(text.split()) <= 120
        assert (text == reports.NOTHING) == (not told)
        if not row["fake"]:
            assert not told and not reports.areas(text)
        for name, _ in told:
            there = reports.inside(name, data.meshes[i], SIZE, SIZE // 2)
            assert data.masks[i][there].mean() > 255 * 0.04


def test_words_for_artefacts_name_no_area():
    assert not [words for each in reports.ARTEFACTS.values() for words in each if reports.areas(words)]
    assert reports.areas("The left eyebrow and both lips.") == ("lip", "eyebrow")
    text = "The nose and an EYEBROW."
    assert [text[a:b] for a, b in reports.spans(text)] == ["nose", "EYEBROW"]
    assert all(name in regions.REGIONS for name in reports.SPOKEN)


def test_three_stages_learn_their_own_parts_and_a_killed_run_ends_as_another(packed, compact, drawn, tmp_path):
    options = {"pack": packed, "init_from": compact, "draws": drawn, "save_every": 1}
    forgerytalker.train(TINY, tmp_path / "a", **options)
    forgerytalker.train(TINY, tmp_path / "b", stages=("pretrain",), stop_at_step=1, **options)
    forgerytalker.train(TINY, tmp_path / "b", **options)
    a, b = (load_file(tmp_path / n / "forgerytalker.safetensors") for n in "ab")
    assert a.keys() == b.keys() and all(torch.allclose(a[k], b[k], atol=1e-6) for k in a)
    logged = json.loads((tmp_path / "a" / "pretrain" / "log.jsonl").read_text().splitlines()[0])
    assert {"mlm", "lm", "seg", "con"} <= logged.keys()
    stem = load_file(compact)["backbone.conv_stem.weight"]
    assert torch.equal(a["encoder.network.backbone.conv_stem.weight"], stem), "the encoder is frozen"
    assert ForgeryTalker.load(tmp_path / "a" / "forgerytalker.safetensors").labels == regions.MMTT
    resolved = (tmp_path / "a" / "resolved.json").read_text()
    with pytest.raises(InputError, match="another recipe"):
        forgerytalker.train(replace(TINY, omega=0.5), tmp_path / "a", **options)
    assert (tmp_path / "a" / "resolved.json").read_text() == resolved


def test_the_prompter_learns_by_sgd_and_goes_on_after_a_kill(packed, compact, drawn, tmp_path):
    recipe = replace(TINY, pretrain=None, fpn=replace(STAGE, optimizer="sgd", lr=0.1, steps=3))
    options = {"pack": packed, "init_from": compact, "draws": drawn, "save_every": 1, "stages": ["fpn"]}
    forgerytalker.train(recipe, tmp_path / "a", **options)
    forgerytalker.train(recipe, tmp_path / "b", stop_at_step=2, **options)
    forgerytalker.train(recipe, tmp_path / "b", **options)
    a, b = (load_file(tmp_path / n / "fpn" / "resume.safetensors") for n in "ab")
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    assert any(k.endswith(".momentum_buffer") for k in a) and not any(k.endswith(".exp_avg") for k in a)
    with pytest.raises(UnknownName, match="adamw"):
        replace(TINY, fpn=replace(STAGE, optimizer="adam"))


def test_what_learned_from_whole_portraits_says_so_on_its_card(packed, compact, drawn, tmp_path, monkeypatch):
    """It was taught by whole pictures, and the witness showed it an upright crop of nothing but the mesh."""
    from facewitness.builders import mmtt

    portraits = [mmtt.Portrait(f"{n}.png", *_portrait(n), f"person-{n}") for n in range(12)]
    mmtt.write(list(mmtt.build(portraits, copies=1, size=96, families=("attribute",))), tmp_path / "mmtt")
    whole = forgerytalker.Published("mmtt", tmp_path / "mmtt", "train", SIZE)  # 96 px become 64: edges lie between
    assert set(whole.truth(slice(None)).unique().tolist()) == {0.0, 1.0}
    network = forgerytalker.make(TINY, network_texts(packed, drawn), compact)
    monkeypatch.setattr(forgerytalker, "make", lambda recipe, texts, init_from: network)
    recipe = replace(TINY, kind="hub", pretrain=None, fpn=replace(STAGE, steps=0), report=replace(STAGE, steps=1))
    forgerytalker.train(recipe, tmp_path / "out", data=tmp_path / "mmtt")
    card = json.loads((tmp_path / "out" / "forgerytalker.json").read_text())
    assert card["crop"] == {"margin": forgerytalker.PORTRAIT, "whole": True}


def _portrait(seed: int):
    from facewitness import checks

    track, clip = checks.photo(160, 160, seed)
    return clip.frame.pixels, track.face.landmarks[:, :2]


def network_texts(packed, drawn) -> list[str]:
    return forgerytalker.Drawn(edits.drawn(DRAWS, packed, drawn, "train"), TINY.seed).reports(slice(None))


def test_masks_may_be_learned_alone(packed, compact, drawn, tmp_path):
    options = {"pack": packed, "init_from": compact, "draws": drawn}
    recipe = forgerytalker.changed(TINY, pretrain=None, words=False, network={"enrich": False, "fpn_prompt": False})
    network = forgerytalker.train(recipe, tmp_path, **options)
    begun = forgerytalker.make(recipe, network_texts(packed, drawn), compact)
    old, new = begun.state_dict(), network.state_dict()
    still = [k for k in new if k.startswith("language.")]
    assert still and not any(k.startswith("decoder.") and torch.equal(new[k], old[k]) for k in ("decoder.skip",))
    assert all(torch.allclose(new[k], old[k], rtol=1e-2, atol=1e-3) for k in still), "no gradient, only decay"


def test_every_task_of_fifa_has_questions_and_true_answers(packed, drawn):
    asked = fifa.Asked(edits.drawn(DRAWS, packed, drawn, "train"), 1)
    seen = set()
    for i in range(len(asked)):
        for task in fifa.TASKS:
            example = asked.example(task, 0, i, np.random.default_rng([i, len(task)]))
            if example is None:
                continue
            seen.add(task)
            assert example.question.count(fm.REG) == len(example.queries)
            assert example.answer.count(fm.SEG) == len(example.masks)
            fake = asked.edits.rows[i]["fake"]
            if task == "detection":
                assert example.answer == (fm.FAKE if fake else fm.REAL)
            if task in ("region_question", "box_question") and not fake:
                assert example.answer == fm.NO
    assert seen == set(fifa.TASKS)


def test_fifa_learns_and_a_killed_run_ends_as_another(packed, compact, drawn, tmp_path):
    options = {"pack": packed, "init_from": compact, "draws": drawn, "save_every": 1}
    fifa.train(FIFA, tmp_path / "a", **options)
    fifa.train(FIFA, tmp_path / "b", stop_at_step=1, **options)
    fifa.train(FIFA, tmp_path / "b", **options)
    a, b = (load_file(tmp_path / n / "fifa.safetensors") for n in "ab")
    assert all(torch.allclose(a[k], b[k], atol=1e-6) for k in a)
    assert FiFa.load(tmp_path / "a" / "fifa.safetensors").concepts == reports.SPOKEN
    other, resolved = tmp_path / "other.safetensors", (tmp_path / "b" / "resolved.json").read_text()
    save_file({name: value + 1 for name, value in load_file(compact).items()}, other)
    with pytest.raises(InputError, match=r"holds a run of another init_from\. Name another folder"):
        fifa.train(FIFA, tmp_path / "b", **{**options, "init_from": other})
    assert (tmp_path / "b" / "resolved.json").read_text() == resolved


def test_the_shared_encoder_learns_and_both_systems_begin_at_its_map(packed, compact, drawn, tmp_path):
    recipe = encoder.Recipe(DRAWS, steps=2, batch_size=3, lr=1e-3, seed=3)
    options = {"pack": packed, "init_from": compact, "draws": drawn, "save_every": 1}
    whole = encoder.train(recipe, tmp_path / "a", **options)
    encoder.train(recipe, tmp_path / "b", stop_at_step=1, **options)
    again = encoder.train(recipe, tmp_path / "b", **options)
    a, b = load_file(whole), load_file(again)
    assert a.keys() == b.keys() and all(torch.allclose(a[k], b[k], atol=1e-6) for k in a)
    assert not torch.equal(a["to_mask.weight"], load_file(compact)["to_mask.weight"])
    network = fifa.make(FIFA, ["The nose is smeared."], whole)
    made = edits.drawn(DRAWS, packed, drawn, "train")
    features = network.encoder(made.images(slice(0, 2)))
    seeing = encoder.Seeing().eval()
    seeing.network.load_state_dict({k: v for k, v in a.items() if not k.startswith("to_spoken.")})
    with torch.no_grad():
        alone, _ = seeing(made.images(slice(0, 2)))
    assert torch.allclose(network.encoder.map(features), alone, atol=1e-4)
    where = network.eval().seen(features).where[:, None]
    assert where.shape[-1] == SIZE // 2  # it begins at that map and is nearer to it than to none
    with pytest.raises(InputError, match="compact"):
        encoder.train(recipe, tmp_path / "c", **{**options, "init_from": tmp_path / "a" / "resume.safetensors"})


def test_an_encoder_that_two_networks_share_is_kept_once(packed, compact, drawn, tmp_path):
    options = {"pack": packed, "init_from": compact, "draws": drawn}
    fifa.train(FIFA, tmp_path, **options)
    talker = forgerytalker.train(TINY, tmp_path, **options)
    path, lender = tmp_path / "forgerytalker.safetensors", tmp_path / "fifa.safetensors"
    card = json.loads(path.with_suffix(".json").read_text())
    digest = json.loads(lender.with_suffix(".json").read_text())["sha256"]
    own = {k: v for k, v in load_file(path).items() if not k.startswith("encoder.")}
    _saved.write(path, "forgerytalker", own, {**card, "encoder_of": digest})
    again = ForgeryTalker.load(path).state_dict()
    assert all(torch.equal(v, again[k]) for k, v in talker.state_dict().items())
    lender.write_bytes(lender.read_bytes() + b" ")
    with pytest.raises(WeightsError, match="shares its encoder"):
        ForgeryTalker.load(path)


def test_a_mask_begins_at_what_the_words_and_the_map_say(packed, compact, drawn):
    network = fifa.make(FIFA, ["The nose is smeared."], compact).eval()
    made = edits.drawn(DRAWS, packed, drawn, "train")
    asked = fifa.Asked(made, 1)
    seen = network.seen(network.encoder(made.images(slice(0, 2))), asked.given(slice(0, 2)))
    nose = network.concepts.index("nose")
    with torch.no_grad():
        for p in network.to_place.parameters():
            p.zero_()
        network.to_place.bias[nose], network.to_place.bias[-1] = 30.0, -30.0  # the nose, forged or not
        begin, _ = network._begun(seen, torch.tensor([0]), torch.zeros(1, 16))
        there = seen.regions[0, nose]
        assert ((begin[0] > 0) == (there > 0.5)).all() and there.amax() > 0.9
        network.to_place.bias[-1] = 30.0  # only what is forged of it
        only, _ = network._begun(seen, torch.tensor([0]), torch.zeros(1, 16))
    assert (only <= begin + 1e-4).all()


def test_the_mesh_is_parsed_as_its_polygons_lie(packed, drawn):
    made = edits.drawn(DRAWS, packed, drawn, "train")
    parsed = reports.parsed(made, SIZE // 4)
    for k, name in enumerate(reports.SPOKEN):
        fine = reports.inside(name, made.meshes[0], SIZE, SIZE)
        assert abs(parsed[0, k].mean() / 255 - fine.mean()) < 0.02, name


def test_recipes_in_the_repository_are_read_and_planned(capsys):
    published = Recipe.read(RUNS / "forgerytalker" / "published.toml")
    assert (published.fpn.steps, published.fpn.batch_size, published.fpn.lr) == (125_000, 16, 7.5e-3)
    assert (published.report.epochs, published.report.lr, published.omega) == (60, 4e-6, 0.2)
    assert published.weights == (2, 1, 1, 1)
    small = [kind.read(RUNS / name / "small.toml") for kind, name in ((Recipe, "forgerytalker"), (fifa.Recipe, "fifa"))]
    shared = encoder.Recipe.read(RUNS / "grounding" / "encoder.toml").draws
    assert small[0].draws == small[1].draws == shared, "they are drawn once for both"
    for name in ("forgerytalker", "fifa"):
        assert main(["train", name, str(RUNS / name / "published.toml"), "--plan"]) == 0
        page = capsys.readouterr().out
        assert "memory of the process, by count" in page and "work of the run, by count" in page
        assert "  fits a 24 GB card" in page
        assert main(["train", name, str(RUNS / name / "published.toml"), "--plan", "--processes", "4"]) == 0
        assert "of them 4 in each process, 4 at once" in (page := capsys.readouterr().out) or name == "fifa"
        assert "memory of each process" in page and "encoder: weights" in page
        assert main(["train", name, str(RUNS / name / "published.toml"), "--plan", "--processes", "3"]) == 2
        assert "3 processes share evenly" in capsys.readouterr().err
        assert main(["train", name, str(RUNS / name / "small.toml")]) == 2
        assert "--plan" in capsys.readouterr().err


# ------------------------------------------------------------------------------ parts of a batch, several processes


def test_a_batch_in_parts_has_the_mean_of_their_gradients(tmp_path):
    values = torch.tensor([1.0, 2.0, 5.0, 9.0])

    def learned(parts: int) -> torch.Tensor:
        torch.manual_seed(0)
        model = torch.nn.Linear(1, 1)
        seen = []

        def loss(batch, step):
            seen.append(len(batch["x"]))
            return {"loss": (model(batch["x"][:, None]) ** 2).mean()}

        run = Loop(
            tmp_path / str(parts), model, torch.optim.SGD(model.parameters(), 0.1), Schedule(0.1, 2), loss, seed="1",
            batch_size=4, workers=0, parts=parts,
        )  # fmt: skip
        run.run([{"x": values}] * 2, 0, 2)
        assert seen == [4 // parts] * 2 * parts
        return model.weight.detach().clone()

    assert torch.allclose(learned(1), learned(2), atol=1e-6) and torch.allclose(learned(1), learned(4), atol=1e-6)


def test_a_run_by_the_clock_goes_on_where_its_rate_stood_and_to_a_later_moment(tmp_path, monkeypatch):
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    begun = now[0]

    class Clock:
        @staticmethod
        def now(_):
            return now[-1]

    def a_minute(_):
        now.append(now[-1] + timedelta(minutes=1))

    def shares(minutes: int, end: int = 40) -> list[float]:
        """What is behind of the cosine at each step that is logged, as the rates say it."""
        model = torch.nn.Linear(1, 1)
        schedule = Schedule(1.0, 40, until=begun + timedelta(minutes=minutes))
        run = Loop(
            tmp_path, model, torch.optim.Adam(model.parameters()), schedule,
            lambda batch, step: {"loss": model(batch["x"]).mean()}, seed="1", batch_size=1, workers=0, save_every=1,
            each=a_minute,
        )  # fmt: skip
        run.run([{"x": torch.ones(1, 1)}] * 40, run.resume(), end)
        rates = [json.loads(line)["lr"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
        return [math.acos(2 * (rate - 0.02) / 0.98 - 1) / math.pi for rate in rates]

    monkeypatch.setattr(schedule, "datetime", Clock)
    assert shares(5, end=3) == pytest.approx([0, 0.2, 0.4], abs=1e-3)
    assert shares(5)[3:] == pytest.approx([0.4, 0.7, 1], abs=1e-3)  # the state has the rate of the last step
    assert shares(8)[6:] == pytest.approx([6 / 40, 6 / 40 + 34 / 80, 1], abs=1e-3)
    assert shares(8)[9:] == pytest.approx([1], abs=1e-3)  # the moment is past


@pytest.mark.parametrize(
    ("batch", "micro", "processes", "shared"), [(16, 1, 4, (4, 4)), (16, None, 2, (8, 1)), (16, 8, 1, (16, 2))]
)
def test_a_batch_is_shared_evenly(batch, micro, processes, shared):
    assert replace(FIFA, batch_size=batch, micro_batch_size=micro).shared(processes) == shared


@pytest.mark.parametrize(("batch", "micro", "processes"), [(16, 1, 3), (16, 3, 1), (2, None, 4), (16, 8, 4)])
def test_a_batch_that_cannot_be_shared_is_told(batch, micro, processes):
    recipe = replace(FIFA, batch_size=batch, micro_batch_size=micro)
    with pytest.raises(InputError, match=f"{processes} processes share evenly"):
        recipe.shared(processes)
    with pytest.raises(InputError, match="at least 1, got 0"):
        replace(FIFA, micro_batch_size=0)


def test_a_report_is_set_against_the_whole_batch_whatever_its_parts(packed, compact, drawn, tmp_path):
    seen = {}
    for micro in (None, 2, 1):
        stage = replace(STAGE, batch_size=4, steps=1, micro_batch_size=micro)
        recipe = replace(TINY, pretrain=stage)
        forgerytalker.train(recipe, tmp_path / str(micro), pack=packed, init_from=compact, draws=drawn,
                            stages=["pretrain"])  # fmt: skip
        log = tmp_path / str(micro) / "pretrain" / "log.jsonl"
        seen[micro] = json.loads(log.read_text().splitlines()[-1])
    assert seen[None]["con"] > 0.5
    for micro in (2, 1):
        assert seen[micro]["con"] == pytest.approx(seen[None]["con"], abs=2e-3), micro
        assert seen[micro]["seg"] == pytest.approx(seen[None]["seg"], abs=2e-3), micro
        assert seen[micro]["loss"] == pytest.approx(seen[None]["loss"], rel=0.2), micro
    wrong = (
        ("micro_batch_size", 0, "micro_batch_size of at least 1, got 0"), ("lr", -1.0, "lr above 0"),
        ("batch_size", -16, "batch_size of at least 1"), ("warmup", -1, "warmup of at least 0"),
        ("steps", -2, "steps of at least 0"), ("epochs", 3.0, "either steps or epochs"),
    )  # fmt: skip
    for name, value, told in wrong:
        with pytest.raises(InputError, match=rf"recipe, \[fpn\]: expected {told}"):
            replace(TINY, fpn=replace(STAGE, **{name: value}))
    for name, value in (("lr", 0.0), ("asked", 0), ("batch_size", -3), ("steps", 0), ("lora", -1)):
        with pytest.raises(InputError, match=rf"recipe: expected {name} "):
            replace(FIFA, **{name: value})
    with pytest.raises(InputError, match="share evenly"):
        forgerytalker.train(replace(TINY, fpn=replace(STAGE, micro_batch_size=2)), tmp_path / "odd", pack=packed)


def test_a_recipe_of_the_encoder_that_makes_no_sense_is_refused():
    path = RUNS / "grounding" / "encoder.toml"
    for change, told in {"lr=0": "lr above 0", "steps=0": "steps of at least 1", "ema=1": "ema from 0"}.items():
        with pytest.raises(InputError, match=told):
            encoder.Recipe.read(path, [change])


@pytest.mark.parametrize(
    ("name", "network", "told"),
    [
        ("forgerytalker", "language = 3", "of which a network can be made"),
        ("forgerytalker", "fuse = -3", "of which a network can be made"),
        ("forgerytalker", "queries = 0", "queries: expected at least 1"),
        ("fifa", "language = 3", "of which a network can be made"),
    ],
)
def test_settings_of_which_no_network_can_be_made_are_told(tmp_path, capsys, name, network, told):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text((RUNS / name / "small.toml").read_text() + f"\n[network]\n{network}\n")
    assert main(["train", name, str(recipe), "--plan"]) == 2
    assert told in (said := capsys.readouterr().err) and len(said.splitlines()) == 1


def test_activations_that_are_computed_again_change_no_weight(packed, compact, drawn, tmp_path):
    ends = []
    for again in (False, True):
        recipe = replace(TINY, pretrain=None, bf16=False, gradient_checkpointing=again)
        network = forgerytalker.train(recipe, tmp_path / str(again), pack=packed, init_from=compact, draws=drawn,
                                      stages=["report"])  # fmt: skip
        assert any(getattr(m, "gradient_checkpointing", False) for m in network.language.modules()) == again
        ends.append(load_file(tmp_path / str(again) / "forgerytalker.safetensors"))
    assert all(torch.allclose(ends[0][k], ends[1][k], atol=1e-6) for k in ends[0])


@pytest.fixture(scope="module")
def vicuna(tmp_path_factory) -> Path:
    """A LLaMA of two thin layers and a tokenizer of a few words, saved as any other of the hub."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from facewitness.models._reader import learned

    folder = tmp_path_factory.mktemp("vicuna")
    words = learned(["The nose is smeared.", *fm.QUESTIONS.values()] * 9, 300)
    words.save_pretrained(folder)
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=False, eos_token_id=1,
    )).save_pretrained(folder)  # fmt: skip
    return folder


def test_the_published_shape_learns_in_parts_beside_a_frozen_language_model(packed, drawn, vicuna, tmp_path):
    from transformers import CLIPVisionConfig, CLIPVisionModel

    CLIPVisionModel(CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=SIZE,
        patch_size=16,
    )).save_pretrained(tmp_path / "farl")  # fmt: skip
    recipe = fifa.Recipe(
        kind="hub", model=str(vicuna), steps=2, batch_size=4, micro_batch_size=2, lr=1e-2, draws=DRAWS, asked=2, lora=2,
        bf16=True, gradient_checkpointing=True, encoder=str(tmp_path / "farl"),
        network={"decoder": DECODER, "grid": 2},
    )  # fmt: skip
    start = fifa.make(recipe, ()).state_dict()
    frozen = "language.model.layers.0.mlp.up_proj.weight"
    query = "language.model.layers.0.self_attn.q_proj"
    assert start[frozen].dtype == torch.bfloat16 and start["language.lm_head.weight"].dtype == torch.float32
    fifa.train(recipe, tmp_path, pack=packed, draws=drawn)
    again = FiFa.load(tmp_path / "fifa.safetensors").state_dict()
    assert torch.equal(again[frozen], start[frozen].float())
    assert not torch.equal(again[f"{query}.weight"], start[f"{query}.base_layer.weight"].float())  # LoRA is in it
    for name in ("language.model.embed_tokens.weight", "language.lm_head.weight", "to_fake.weight"):
        assert not torch.equal(again[name], start[name]), name
    assert not any("lora" in name for name in again)
    page = str(fifa.plan(recipe, processes=2))
    assert "of them 2 in each process, 2 at once" in page and "4 questions of" in page and "checkpointed" in page


def test_what_lora_has_learned_beside_halved_weights_is_added_to_them_whole(vicuna):
    recipe = fifa.Recipe(kind="hub", model=str(vicuna), steps=1, batch_size=1, lr=1e-2, draws=DRAWS, lora=2, bf16=True,
                         network={"decoder": DECODER})  # fmt: skip
    language = fifa.make(recipe, ()).language
    query = language.model.layers[0].self_attn.q_proj
    query.lora_B["default"].weight.data.fill_(1e-5)
    before, learned = query.base_layer.weight.clone(), query.get_delta_weight("default")
    assert before.dtype == torch.bfloat16 and learned.abs().max() > 0
    fifa.merged(language)
    after = language.model.layers[0].self_attn.q_proj.weight
    assert torch.allclose(after - before.float(), learned.float(), atol=1e-7)


def test_a_frozen_encoder_without_weights_is_refused_before_anything_is_drawn(packed, vicuna, tmp_path):
    """The published recipe once named none, and its language model would have learnt from random features."""
    recipe = fifa.Recipe(kind="hub", model=str(vicuna), steps=1, batch_size=2, lr=1e-2, draws=DRAWS)
    with pytest.raises(InputError, match=r"expected encoder = .*import farl"):
        fifa.train(recipe, tmp_path / "out", pack=packed)
    assert not (tmp_path / "out").exists()
    assert fifa.Recipe.read(RUNS / "fifa" / "published.toml").encoder == "farl"


def test_the_language_model_is_taken_out_of_a_llava(vicuna, tmp_path):
    """Vicuna by itself is published as pickles, which are never read."""
    from transformers import AutoTokenizer, CLIPVisionConfig, LlamaConfig, LlavaNextConfig
    from transformers import LlavaNextForConditionalGeneration as Llava

    eyes = CLIPVisionConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
                            image_size=32, patch_size=16)  # fmt: skip
    words = AutoTokenizer.from_pretrained(vicuna)
    language = LlamaConfig.from_pretrained(vicuna, vocab_size=len(words) + 64)  # spare rows, as LLaVA's has
    torch.manual_seed(0)
    whole = Llava(LlavaNextConfig(vision_config=eyes, text_config=language, image_token_index=3))
    whole.save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    network = fm.from_hub(reports.SPOKEN, str(tmp_path), decoder=DECODER, grid=2)
    theirs = whole.model.language_model.layers[1].mlp.up_proj.weight
    assert torch.equal(network.language.model.layers[1].mlp.up_proj.weight, theirs)
    assert torch.equal(network.language.lm_head.weight[: len(words)], whole.lm_head.weight[: len(words)])
    assert network.language.lm_head.out_features == len(words) + len(fm.TOKENS)


TOGETHER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_train_grounding as here
from facewitness.train import fifa, forgerytalker, several
pack, compact, out = map(Path, sys.argv[1:])
with several.processes():
    fifa.train(here.SHARED, out, pack=pack, init_from=compact, save_every=1, stop_at_step=1)
    fifa.train(here.SHARED, out, pack=pack, init_from=compact, save_every=1)
    forgerytalker.train(here.BOTH, out, pack=pack, init_from=compact, stages=here.BEFORE, save_every=1, stop_at_step=1)
    forgerytalker.train(here.BOTH, out, pack=pack, init_from=compact, stages=here.BEFORE, save_every=1)
"""
SHARED = replace(FIFA, batch_size=4, bf16=False)
FOUR = replace(STAGE, batch_size=4)
BOTH = replace(TINY, bf16=False, pretrain=FOUR, fpn=FOUR)
BEFORE = ["pretrain", "fpn"]  # the last one looks through the FPN's running means, which parts and processes make apart


@pytest.mark.slow
def test_two_processes_learn_what_one_does_in_two_parts(packed, compact, tmp_path):
    script = tmp_path / "two.py"
    script.write_text(TOGETHER.format(tests=str(Path(__file__).parent)))
    meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *meeting, str(script), str(packed),
         str(compact), str(tmp_path / "two")],
        env=os.environ | {"PYTHONPATH": str(Path(fifa.__file__).parents[2])}, capture_output=True, text=True,
        timeout=480,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    fifa.train(replace(SHARED, micro_batch_size=2), tmp_path / "one", pack=packed, init_from=compact)
    one, two = (load_file(tmp_path / name / "fifa.safetensors") for name in ("one", "two"))
    assert all(torch.allclose(one[k], two[k], atol=2e-4) for k in one)
    halves = replace(FOUR, micro_batch_size=2)
    forgerytalker.train(replace(BOTH, pretrain=halves, fpn=halves), tmp_path / "one", pack=packed, init_from=compact,
                        stages=BEFORE)  # fmt: skip
    a, b = (load_file(tmp_path / name / "forgerytalker.safetensors") for name in ("one", "two"))
    assert all(torch.allclose(a[k], b[k], atol=2e-4) for k in a if "running" not in k and "tracked" not in k)
    lines = [(tmp_path / name / "pretrain" / "log.jsonl").read_text().splitlines()[0] for name in ("one", "two")]
    assert json.loads(lines[0])["con"] > 0.5
    made = edits.drawn(DRAWS, packed, tmp_path / "one" / "edits", "train")
    start = fifa.make(SHARED, fifa.texts(fifa.Asked(made, 0)), compact).state_dict()
    assert any((one[k] - v).abs().amax() > 1e-3 for k, v in start.items())
    assert json.loads((tmp_path / "two" / "resolved.json").read_text())["processes"] == 2
