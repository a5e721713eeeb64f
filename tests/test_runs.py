"""What `runs/` ships: weights that load and can decide, and the scripts that put measured runs into tables."""

from __future__ import annotations

import csv
import functools
import importlib.util
import json
import os
import pickle
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from facewitness import plugins
from facewitness.calibration import Calibration
from facewitness.errors import InputError
from facewitness.types import Clip, Frame, Track

RUNS = Path(__file__).parents[1] / "runs"


def script(name: str) -> ModuleType:
    """A script of runs/, as a module."""
    spec = importlib.util.spec_from_file_location(name.replace("/", "_"), RUNS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    for neighbour in ("evaluate", "paired"):  # names in several folders: each script imports its own
        sys.modules.pop(neighbour, None)
    sys.path.insert(0, str(RUNS / name.partition("/")[0]))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


SCRIPTS = sorted(path for path in RUNS.rglob("*.py") if "__main__" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(RUNS).as_posix())
def test_every_script_ends_as_the_commands_do(path):
    text = path.read_text(encoding="utf-8")
    block = text.rpartition('if __name__ == "__main__":')[2]
    assert block.splitlines()[-1].startswith("    script(main"), "else a closed pipe is a traceback"
    assert "parser.exit(" not in text and 'print(f"error: ' not in text, "script tells what was wrong with the input"


def test_a_script_whose_output_nobody_reads_ends_quietly_and_bad_input_in_a_sentence(tmp_path):
    code = "import sys; from facewitness.apps.script import script; from facewitness.errors import InputError\n"
    ends = {
        "print('|\\n' * 100_000)": (141, ""),
        "print('|')": (141, ""),  # told when the interpreter empties its buffer
        "raise InputError('expected a run, got none')": (2, "table.py: expected a run, got none.\n"),
        "open('gone')": (1, "table.py: expected to read or write 'gone', and could not (No such file or directory).\n"),
    }
    for line, ended in ends.items():
        (tmp_path / "table.py").write_text(f"{code}def main():\n    {line}\nscript(main)\n")
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "table.py"], cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
        os.close(writing)
        assert (done.returncode, done.stderr) == ended


@functools.cache
def portrait() -> tuple[Track, Clip]:
    """A face in a photograph of a public package, as a witness is shown it."""
    data = pytest.importorskip("skimage.data")
    photo = np.asarray(Image.fromarray(data.astronaut()).crop((150, 0, 300, 200)).resize((300, 400)))
    frame = Frame(photo)
    (face,) = plugins.get("finders", "facemesh").load().find(frame)
    return Track(0, (face,)), Clip("astronaut", (frame,))


@pytest.mark.parametrize(
    ("witness", "weights"), [("kfd", "kfd/kfd.safetensors"), ("mare", "mare/model/fdm.safetensors")]
)
def test_committed_weights_are_whole_and_can_decide(witness, weights):
    pytest.importorskip("torch", reason="needs the extra 'train'")
    seen, loaded = portrait(), plugins.get("witnesses", witness).load(weights=str(RUNS / weights))
    Calibration.from_json(loaded.calibration)
    said, again = loaded.examine(*seen), loaded.examine(*seen)
    assert 0 < said.fake < 1 and said.fake == again.fake
    assert said.mask is not None and said.mask.values.min() >= 0 and said.mask.values.max() <= 1


@pytest.mark.parametrize(
    ("witness", "weights", "model"),
    [("kfd", "kfd/kfd.safetensors", "kfd/model"), ("mare", "mare/model/fdm.safetensors", "mare/model")],
)
def test_the_committed_language_models_answer_in_their_grammar(witness, weights, model):
    for package in ("torch", "peft", "transformers"):
        if find_spec(package) is None:
            pytest.skip(f"needs {package}, of the extra 'vlm'")
    loaded = plugins.get("witnesses", witness).load(weights=str(RUNS / weights), language=str(RUNS / model))
    said = loaded.examine(*portrait())
    reply = said.reply
    assert not said.problem and reply.label in ("real", "fake") and not reply.refusals


def test_consistency_maps_are_drawn_layer_by_layer(tmp_path):
    pytest.importorskip("torch", reason="needs the extra 'train'")
    from doubles import tiny_kfd

    from facewitness.models.kfd import KFD

    weights = tiny_kfd(tmp_path)
    maps, detector = script("kfd/maps"), KFD.load(weights)
    size, layers = detector.encoders.size, len(detector.encoders.channels)
    crops = [np.full((size, size, 3), level, np.uint8) for level in (40, 200)]
    figure = maps.drawn(detector, crops, ["dark", "bright"])
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 2 * (2 + 2 * layers) and titles[0].startswith("dark, score 0.") and "layer 1, fake" in titles
    alone = [axes.get_title() for axes in maps.drawn(detector, crops, ["dark", "bright"], picture=False).axes]
    assert len(alone) == 2 * (1 + 2 * layers) and alone[0] == titles[0]  # no picture of anybody stands in it
    Image.fromarray(crops[0]).save(tmp_path / "nobody.png")
    with pytest.raises(InputError, match="expected a face with landmarks, found none"):
        maps.main([str(weights), str(tmp_path / "nobody.png"), "--out", str(tmp_path / "m.png")])


def test_gradcam_of_kfd_and_sbi_stands_beside_the_same_faces(tmp_path, monkeypatch):
    """Figure 5: a row for each face, the picture and each detector's own attention; SBI's is not KFD's."""
    torch = pytest.importorskip("torch", reason="needs the extra 'train'")
    from doubles import tiny_kfd

    from facewitness.models.kfd import KFD, SmallEncoders
    from facewitness.models.sbi import SBI

    weights, rival = tiny_kfd(tmp_path), tmp_path / "sbi.safetensors"
    torch.manual_seed(1)
    SBI(SmallEncoders("mobilenetv2_035", (4, 8, 16), 64, 24)).save(rival, {"crop": {"margin": 1.2}})
    maps, (track, clip) = script("kfd/maps"), portrait()
    rows = [
        {"source": "ffpp_c23", "split": "val", "label": label, "method": method}
        for label, method in (("fake", "Deepfakes"), ("real", None), ("fake", "NeuralTextures"), ("fake", "Face2Face"))
    ]
    frame, points = clip.frame.pixels, track.faces[0].landmarks[:, :2]
    data = SimpleNamespace(rows=rows, landmarks=lambda i: None if i == 2 else points, pixels=lambda i: frame)
    both = maps.detectors([f"KFD={weights}", f"SBI={rival}"])
    assert [type(each.model) for each in both] == [KFD, SBI] and [each.margin for each in both] == [1.3, 1.2]
    chosen = maps.faces(data, ["ffpp_c23"], "val", "fake", 2)
    assert chosen == [0, 3], "one without a mesh cannot be cropped"
    titles = [axes.get_title() for axes in maps.beside(both, data, chosen).axes]
    assert len(titles) == 6 and titles[0] == "ffpp_c23, Deepfakes" and titles[3] == "ffpp_c23, Face2Face"
    assert titles[1].startswith("KFD, score 0.") and titles[2].startswith("SBI, score 0.")
    seen = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    score, heat = maps.attention(both[1].model, seen)
    assert 0 < score < 1 and heat.shape == (64, 64) and heat.min() >= 0 and heat.max() in (0, 1)
    monkeypatch.setattr(maps, "Pack", lambda folder: data)
    out = tmp_path / "gradcam.png"
    maps.main(["gradcam", f"KFD={weights}", f"SBI={rival}", "--pack", "pack", "--most", "1", "--out", str(out)])
    assert out.read_bytes().startswith(b"\x89PNG")
    for given, sentence in (
        ([f"KFD={weights}"], "expected two or more detectors .* got 1"),
        ([str(weights), f"SBI={rival}"], "expected NAME=FILE"),
        ([f"KFD={weights}", f"KFD={rival}"], "each name once"),
    ):
        with pytest.raises(InputError, match=sentence):
            maps.detectors(given)
    with pytest.raises(InputError, match="expected fake faces of the split val of celebdf in the pack, got none; name"):
        maps.faces(data, ["celebdf"], "val", "fake", 2)


# --------------------------------------------------------------------------------------------------- table 5's shape


def _run(folder: Path, scores: dict[str, float], trace: float) -> None:
    """A run of train/fdm that has ended: forged are the files whose names begin with f, groups are pairs."""
    folder.mkdir(parents=True)
    with open(folder / "predictions.csv", "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["source", "file", "group", "label", "score"])
        out.writerows(["dfdc", k, k[1:], "fake" if k[0] == "f" else "real", v] for k, v in scores.items())
        out.writerow(["dfdc", "torn", "9", "real", ""])
    probe = {"trace": {"value": trace}, "identity": {"value": 0.9}}
    (folder / "results.json").write_text(json.dumps({"probe": {"before": probe, "after": probe}}))


def test_the_ablation_is_the_mean_over_seeds_with_the_gain_on_the_same_faces(tmp_path, capsys):
    files = [f"{kind}{n}" for n in range(20) for kind in "rf"]
    right = {k: 0.8 if k[0] == "f" else 0.2 for k in files}
    _run(tmp_path / "f-0", dict.fromkeys(files, 0.5), 0.4)
    _run(tmp_path / "f-1", right, 0.2)
    _run(tmp_path / "fira-0", right, 0.1)
    _run(tmp_path / "fira-1", right, 0.1)
    script("fdm/table").main([str(tmp_path), "--out", str(tmp_path / "t.md")])
    found = json.loads((tmp_path / "t.json").read_text())
    plain, whole = found["f"]["dfdc AUC"], found["fira"]["dfdc AUC"]
    assert plain["value"] == 0.75 and plain["seeds"] == [0.5, 1.0] and plain["n"] == 40, "a torn picture has no score"
    assert whole["value"] == 1.0 and whole["against L_f"] == {"value": 0.25, "low": 0.25, "high": 0.25}
    assert found["f"]["identity from trace"]["after"] == [0.4, 0.2]
    assert "| L_f | 2 | 0.750 [0.750, 0.750] | 0.500 – 1.000 |" in capsys.readouterr().out


def test_what_it_takes_to_tell_a_point_is_seeds_by_their_spread_and_faces_by_the_interval(tmp_path, capsys):
    table = script("fdm/table")
    gain = {"value": 0.01, "low": -0.02, "high": 0.04}  # half of it is three times a point: nine times the faces
    rows = {
        "f": {"dfdc AUC": {"seeds": [0.70, 0.72, 0.71], "against L_f": None}, "dfdc F1": {"against L_f": None}},
        "fi": {"dfdc AUC": {"seeds": [0.72, 0.72, 0.73], "against L_f": gain}, "dfdc F1": {"against L_f": gain}},
    }
    (tmp_path / "a.json").write_text(json.dumps(rows))
    table.main(["--needed", str(tmp_path / "a.json")])
    printed = capsys.readouterr().out
    spread = np.std([0.02, 0.0, 0.02], ddof=1)
    assert f"| L_f + L_I | dfdc | +0.010 [-0.020, +0.040] | {int(np.ceil((196 * spread) ** 2))} | 9.0 |" in printed
    assert len(printed.splitlines()) == 3
    with pytest.raises(SystemExit):
        table.main([])


def test_runs_on_other_faces_or_that_have_not_ended_are_refused(tmp_path):
    table = script("fdm/table")

    def refused(runs: Path) -> str:
        with pytest.raises(InputError) as error:
            table.main([str(runs), "--out", str(tmp_path / "t.md")])
        return str(error.value)

    _run(tmp_path / "f-0", {"r1": 0.2, "f1": 0.8}, 0.4)
    _run(tmp_path / "fira-0", {"r1": 0.2, "f2": 0.8}, 0.4)
    assert "dfdc: expected the same faces in all runs" in refused(tmp_path)
    (tmp_path / "fira-0" / "results.json").unlink()
    assert "expected a run that has ended" in refused(tmp_path)
    assert "expected folders such as f-0" in refused(tmp_path / "f-0")


# ------------------------------------------------------------------------------------------- KFD's runs side by side


def test_detectors_and_answers_stand_side_by_side(tmp_path, capsys):
    table = script("kfd/table")
    for name, auc in (("whole", 0.9), ("no-text", 0.8)):
        (tmp_path / name).mkdir()
        numbers = {
            "kfd, plain": {"made/self_blend": [auc, auc - 0.1, auc + 0.05, 40], "auc/dfdc": [None, None, None, 0]}
        }
        (tmp_path / name / "results.json").write_text(json.dumps({"numbers": numbers}))
    table.main(["detectors", str(tmp_path / "whole"), str(tmp_path / "no-text"), "--out", str(tmp_path / "d.md")])
    lines = (tmp_path / "d.md").read_text().splitlines()
    assert lines[2].startswith("| whole | 0.900 [0.800, 0.950] | –") and lines[3].startswith("| no-text | 0.800")
    value = {"value": 0.7, "low": 0.6, "high": 0.8}
    whose = ("model", "image-blind", "shuffled")
    said = {name: dict.fromkeys(("verdict", "agreement", "regions"), value) for name in whose}
    (tmp_path / "whole" / "answers.json").write_text(json.dumps(said))
    table.main(["answers", str(tmp_path / "whole"), "--out", str(tmp_path / "a.md")])
    assert "| whole | 0.700 [0.600, 0.800]; blind 0.700, shuffled 0.700 |" in capsys.readouterr().out
    with pytest.raises(InputError, match="Measure that run first"):
        table.main(["answers", str(tmp_path / "no-text"), "--out", str(tmp_path / "a.md")])


def _judged(source: str, file: str, condition: str, fake: float, verdict: str) -> dict:
    label = "fake" if source.startswith("sg") else "real"
    row = {"source": source, "file": file, "group": file, "label": label, "method": label, "self_made": False}
    return row | {"condition": condition, "score": fake, "fake": fake, "low": 0.1, "high": 0.4, "verdict": verdict}


def test_saving_again_is_counted_by_picture_and_fakes_alone_borrow_genuine_pictures():
    evaluate = script("compact/evaluate")
    rows = [
        _judged("a", "1", "plain", 0.2, "real"),
        _judged("a", "1", "saved:jpeg 60", 0.3, "real"),
        _judged("a", "1", "saved:jpeg 90", 0.9, "fake"),
        _judged("a", "2", "saved:jpeg 90", 0.9, "fake"),  # nothing to compare it with
    ]
    assert evaluate.saved_again(rows) == {"pictures": 1, "saved": 2, "turned": 0.5, "outside": 0.5}
    rows = [_judged("ffhq_140k", "1", "plain", 0.2, "real"), _judged("sg2_omi", "2", "plain", 0.8, "fake")]
    measured = evaluate.measures(rows, draws=5)
    assert measured["auc"]["sg2_omi"]["auc"] == 1.0 and measured["auc"]["whole synthesis"]["rows"] == 2
    assert measured["genuine"]["ffhq_140k"] == {"rows": 1, "fake": 0.0, "real": 1.0, "inconclusive": 0.0}
    assert measured["edit_iou"] is None, "there is no region edit"


def test_signs_of_a_strength_are_counted_by_whether_their_place_was_touched(monkeypatch, tmp_path, capsys):
    monkeypatch.delitem(sys.modules, "fit", raising=False)
    places = script("compact/places")
    row = _judged("sg2_omi", "1", "plain", 0.9, "fake") | {"section": "seen", "touched": ["nose"]}
    rows = [
        row | {"findings": {"nose": 0.95, "mouth": 0.92, "chin": 0.6}},
        row | {"findings": {"nose": 0.4}, "verdict": "real"},  # cleared: nothing is claimed of it
        row | {"findings": {"nose": 0.4}, "method": "resynthesise"},
        row | {"findings": {"nose": 0.4}, "touched": None},
        row | {"findings": None, "condition": "blur"},
    ]
    nothing = [(None, 0)] * 5
    assert places.right(rows) == {"plain": [(None, 0), (0.0, 1), (None, 0), (0.5, 2), (None, 0)], "blur": nothing}
    lines = [{"about": {}}, *rows, rows[0] | {"section": "unseen"}]
    (tmp_path / "predictions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    places.main(["signs", str(tmp_path)])
    assert "| plain | – (0) | 0.00 (1) | – (0) | 0.50 (2) | – (0) |" in capsys.readouterr().out


def test_what_is_told_of_missed_forgeries_is_what_was_measured():
    card = script("compact/card")
    results = json.loads((RUNS / "compact" / "results.json").read_text(encoding="utf-8"))
    told = card.no_sign(results)
    dfdc, strange = results["seen"]["plain"]["fakes"]["dfdc"], results["unseen"]["plain"]["fakes"]["gpt_image"]
    assert f"{100 * dfdc['real']:.0f} % of {dfdc['rows']} swaps like DFDC's" in told
    assert f"not trained on in {100 * strange['real']:.0f} % of {strange['rows']} faces by GPT-Image" in told
    kinds = [source for sources in (*card._KINDS.values(), *card._UNSEEN.values()) for source in sources]
    assert sorted(kinds) == sorted({*results["seen"]["plain"]["fakes"], *results["unseen"]["plain"]["fakes"]})
    assert plugins.get("witnesses", "compact").load().card["no_sign"] == told


def test_the_table_of_floors_is_of_what_was_measured():
    floors = script("compact/floors")
    results = json.loads((RUNS / "compact" / "results.json").read_text(encoding="utf-8"))
    test = json.loads((RUNS / "shared" / "deletion.json").read_text(encoding="utf-8"))
    written = (RUNS / "compact" / "floors.md").read_text(encoding="utf-8")
    times = json.loads((RUNS / "compact" / "times.json").read_text(encoding="utf-8"))
    assert written == floors.page(results, test, times), "python runs/compact/floors.py"
    results["unseen"]["plain"]["fakes"] = {
        s: m | {"real": 0.19} for s, m in results["unseen"]["plain"]["fakes"].items()
    }
    results["edits"]["edit:text"]["auc"] = results["edits"]["plain"]["auc"] - 0.049
    told = {n.name: n for n in floors.numbers(results, test)}
    assert told["unseen fakes told to show no sign, mean"].met
    assert "text" not in told["routine edits: AUC falls"].measured
    assert told["sizes of face: AUC falls"].met
    auc = results["edits"]["face:64"]["auc"] + 0.0701
    results["edits"]["face:64"]["plain"] = {"auc": auc, "fakes": {"real": 0.1}}  # of those with a face as large
    told = {n.name: n for n in floors.numbers(results, test)}
    assert told["sizes of face: AUC falls"].measured.startswith("2 of 3; not 64 0.07")


def test_times_stand_in_the_table_of_floors_where_they_are_of_its_weights():
    floors = script("compact/floors")
    results = json.loads((RUNS / "compact" / "results.json").read_text(encoding="utf-8"))
    test = json.loads((RUNS / "shared" / "deletion.json").read_text(encoding="utf-8"))
    photos = [("real", 1, 1024, 79.6), ("real", 4, 1024, 170.2), ("fake", 1, 1024, 395.0), ("real", 1, 2048, 180.0)]
    times = {
        "weights": results["weights"], "processor": "one", "cores": 2, "load": 0.1,
        "photos": [{"label": label, "views": n, "px": px, "ms": ms, "least": ms - 1} for label, n, px, ms in photos],
    }  # fmt: skip

    def told(given):
        return list(floors.numbers(results, test, given))[-2:]

    once, near = told(times)
    assert once.measured.startswith("80 ms, least 79 (one, 2 cores, load 0.1); an accused one, with ") and once.met
    assert "395 ms" in once.measured and near.measured.startswith("170 ms, least 169 (") and near.met is False
    assert f"| {near.name} | 160 ms | {near.measured} | **missed** | one network" in floors.page(results, test, times)
    for other in (None, times | {"weights": "0" * 64}, times | {"photos": times["photos"][3:]}):
        assert [(n.measured, n.met) for n in told(other)] == [("not measured", None)] * 2
    assert f"| {near.name} | 160 ms | not measured |  |  |" in floors.page(results, test)


def test_a_photos_time_is_kept_with_whose_it_is(astronaut, monkeypatch, tmp_path):
    pytest.importorskip("torch", reason="needs the extra 'train'")
    spec = importlib.util.spec_from_file_location("perf_beside_b4", RUNS.parent / "perf" / "beside_b4.py")
    beside = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(beside)
    out = tmp_path / "times.json"
    monkeypatch.setattr(beside, "portraits", lambda: {"astronaut": Image.fromarray(astronaut)})
    monkeypatch.setattr(sys, "argv", ["beside_b4.py", "--ours", "--rounds=1", "--sizes=256", f"--json={out}"])
    beside.main()
    kept = json.loads(out.read_text(encoding="utf-8"))
    assert kept["weights"] == plugins.get("witnesses", "compact").load().facts["sha256"] and kept["cores"] >= 1
    (photo,) = kept["photos"]
    assert (photo["photo"], photo["px"]) == ("astronaut", 256) and photo["views"] in (1, 4) and photo["label"]
    assert 0 < photo["least"] <= photo["ms"]
    committed = json.loads((RUNS / "compact" / "times.json").read_text(encoding="utf-8"))
    assert kept.keys() == committed.keys() and photo.keys() == committed["photos"][0].keys()


def test_faces_of_a_size_stand_beside_the_same_faces_as_they_are():
    evaluate = script("compact/evaluate")
    rows = [_judged(source, "1", "plain", fake, "real") for source, fake in (("sg1_140k", 0.1), ("ffhq_140k", 0.2))]
    rows += [_judged("sg1_140k", "2", "plain", 0.9, "fake"), _judged("ffhq_140k", "2", "plain", 0.05, "real")]
    rows += [row | {"condition": "face:64"} for row in rows[2:]]
    measured = evaluate.numbers_of("edits", ["plain", "face:64"], rows)
    assert (measured["plain"]["auc"], measured["face:64"]["auc"]) == (0.75, 1.0)
    assert measured["face:64"]["plain"]["auc"] == 1.0 and "plain" not in measured["plain"]
    assert measured["face:64"]["fall"]["auc"] == 0.0 and "fall" not in measured["plain"]


def test_an_edits_fall_is_from_the_same_faces_with_an_interval():
    evaluate = script("compact/evaluate")
    rng = np.random.default_rng(0)
    genuine = [
        _judged("ffhq_140k", f"g{n}", "plain", float(p), "real") for n, p in enumerate(rng.uniform(0.1, 0.6, 40))
    ]
    rows = genuine + [
        _judged("sg1_140k", f"f{n}", "plain", float(p), "fake") for n, p in enumerate(rng.uniform(0.4, 0.9, 40))
    ]
    same = evaluate.fall(rows, rows)
    assert same == {"auc": 0.0, "interval": [0.0, 0.0]}
    worse = evaluate.fall(rows, [row | {"score": 0.5 + (row["score"] - 0.5) * (-1) ** n} for n, row in enumerate(rows)])
    assert worse["interval"][0] < worse["auc"] < worse["interval"][1] and worse["auc"] > 0.1
    assert evaluate.fall(genuine, genuine) is None, "genuine faces alone have no AUC"


def test_a_calibration_error_is_also_of_the_share_of_fakes_that_the_probabilities_stand_on():
    evaluate = script("compact/evaluate")
    rng = np.random.default_rng(1)
    fakes, genuine = ([{"fake": float(p), "label": label} for p in rng.beta(*shape, 4000)] for label, shape in
                      (("fake", (2, 1)), ("real", (1, 2))))  # fmt: skip
    errors = evaluate.calibration_errors(fakes + genuine[:1000], 0.5)  # right at even odds, and four of five are fakes
    assert errors["ece_at_prior"] < 0.03 < 0.15 < errors["ece"] and errors["ece_chance"] < 0.02
    assert evaluate.calibration_errors([{"fake": None, "label": "real"}], 0.5)["ece"] is None


def test_few_rows_have_a_calibration_error_by_chance():
    evaluate = script("compact/evaluate")
    few, many = (evaluate.ece_by_chance(np.linspace(0, 1, count)) for count in (50, 5000))
    assert many < 0.02 < 0.05 < few
    assert evaluate.ece_by_chance([0.0, 1.0]) == 0, "what is certain is right each time"


def test_pictures_of_one_take_are_what_pairs_connect():
    people = script("compact/people")
    angles = np.deg2rad([0, 20, 40, 180, 190, 90])
    values = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    first, second, third, other, near, alone = people.connected(values, 0.9)
    assert first == second == third and other == near, "the first and the third are alike by the second alone"
    assert len({first, other, alone}) == 3


def test_errors_by_group_count_people_where_rows_are_more():
    groups = script("compact/groups")
    low, high = groups.wilson(5, 100)
    assert (round(low, 3), round(high, 3)) == (0.022, 0.112)  # Wilson's interval for 5 of 100
    rows = [_judged("a", str(n // 5), "file", 0.9, "fake" if n < 5 else "real") for n in range(20)]
    counted = groups.share(rows, "fake")
    assert counted == {"share": 0.25, "interval": list(groups.wilson(1, 4))}, "four people, one of them accused"
    found = groups.table([(row, {"domain": "a", "age": "0 to 9"}) for row in rows])
    assert [(e["by"], e["genuine"], e["fakes"]) for e in found] == [("age", 20, 0), ("domain", 20, 0)]
    assert found[0]["fakes_no_sign"] is None


def test_numbers_come_from_what_was_kept_and_again_from_the_same(tmp_path, monkeypatch, capsys):
    evaluate = script("compact/evaluate")
    rows = [_judged("a", "1", "plain", 0.2, "real"), _judged("a", "1", "saved:jpeg 60", 0.3, "real")]
    head = {"about": {"weights": "0" * 64, "limit": 1}, "sections": [["saved", ["plain"]], ["collages", []]]}
    lines = [
        head,
        *({"section": "saved", **row} for row in rows),
        {"section": "collages", "verdicts": ["real", "fake"]},
    ]
    (tmp_path / "predictions.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    for out in (tmp_path, tmp_path / "again"):
        monkeypatch.setattr(sys, "argv", ["evaluate.py", "--read", str(tmp_path), "--out", str(out)])
        evaluate.main()
    results = json.loads((tmp_path / "results.json").read_text())
    assert results == json.loads((tmp_path / "again" / "results.json").read_text())
    assert results["saved"] == {"pictures": 1, "saved": 1, "turned": 0.0, "outside": 0.0}
    assert results["collages"]["accused"] == 1 and results["collages"]["faces"] == 2
    monkeypatch.setattr(sys, "argv", ["evaluate.py"])
    with pytest.raises(SystemExit, match="2"):
        evaluate.main()
    assert "expected --data, or --read" in capsys.readouterr().err


def test_a_picture_travels_and_is_saved_in_every_condition(astronaut):
    evaluate = script("compact/evaluate")
    conditions = ["plain", "edit:sepia", "edited:", "travel:512", *(f"saved:{how}" for how in evaluate.SAVED)]
    sizes = {c: len(evaluate.in_condition(astronaut, c, "a")) for c in conditions}
    assert sizes["saved:jpeg 60"] < sizes["saved:jpeg 95"] and sizes["travel:512"] < sizes["plain"]


def test_weights_are_compared_on_faces_that_were_not_trained_on(tmp_path):
    pytest.importorskip("torch", reason="needs the extra 'train'")
    compare = script("compact/compare")
    rows = [{"source": s, "label": label} for s in ("film", "gan", "web") for label in ("fake", "real")]
    del rows[3], rows[3]  # gan has no genuine pictures of its own, web no forgeries
    found = compare.aucs(np.array([2.0, 1.0, 0.0, 1.0]), rows, {"gan": "web"})
    assert found == {"film": 1.0, "gan": 0.0}

    class Rows:
        rows = tuple({"source": "film", "label": "real", "split": s} for s in ("train", "val", "val", "calibrate"))
        landmarks = staticmethod(lambda i: None if i == 1 else np.zeros((468, 2)))

    assert compare.rows_of(Rows, 25) == [2]


def test_learners_of_one_stream_leave_a_folds_sources_out_and_are_kept_in_parts(tmp_path):
    torch = pytest.importorskip("torch", reason="needs the extra 'train'")
    from safetensors.torch import load_file

    together = script("compact/together")
    batch = {"source": torch.tensor([0, 0, 1, 1, 2, 2]), "x": torch.arange(6)}
    seen = together.stood_in(batch, (0, 2))
    assert seen["source"].tolist() == [1] * 6 and seen["x"].tolist() == [2, 3] * 3, "pairs stay pairs"
    assert together.stood_in(batch, ()) is batch

    one = together.Learner("large", None, None, {"a": torch.ones(4_000_000), "b": torch.ones(4_000_000)}, None, None,
                           (), None, 1.0, 1, None)  # fmt: skip
    together.kept(one, tmp_path)
    parts = sorted(path.name for path in tmp_path.iterdir())
    assert parts == ["large-0.safetensors", "large-1.safetensors"]
    assert [list(load_file(tmp_path / part)) for part in parts] == [["a"], ["b"]]


def test_rows_that_are_judged_travel_to_workers_without_their_pictures(monkeypatch, tmp_path):
    pytest.importorskip("torch", reason="needs the extra 'train'")
    together = script("compact/together")

    class Opened:
        rows = tuple({"source": "film", "file": f"{i}", "label": "real", "group": "a"} for i in range(3))

        def __init__(self, folder):
            self.pictures = bytes(1_000_000)

    monkeypatch.setattr(together, "Pack", Opened)
    rows = together.Rows(tmp_path, lambda pack: [2, 0])
    assert [row["file"] for row in rows.about] == ["2", "0"] and len(rows) == 2
    assert len(pickle.dumps(rows.__dict__)) < 2_000
    assert rows.pack is rows.pack, "opened once, where it is looked at"


def test_what_ends_the_drawing_is_told_where_the_next_batch_is_waited_for():
    torch = pytest.importorskip("torch", reason="needs the extra 'train'")
    together = script("compact/together")

    def drawn():
        yield {"x": torch.zeros(2)}
        raise InputError("no such picture")

    fed = together.Fed(drawn(), torch.device("cpu"))
    assert fed.next()["x"].shape == (2,)
    with pytest.raises(InputError, match="no such picture"):
        fed.next()


def test_the_mean_of_weights_is_stored_with_small_kernels_whole_and_refuses_other_networks(tmp_path):
    torch = pytest.importorskip("torch", reason="needs the extra 'train'")
    from safetensors.torch import load_file, save_file

    from facewitness.errors import InputError

    first = {"large": torch.randn(128, 128), "small": torch.randn(3), "seen": torch.tensor(7)}
    second = {"large": torch.zeros(128, 128), "small": torch.zeros(3), "seen": torch.tensor(9)}
    for name, state in (("a", first), ("b", second), ("c", {"large": torch.zeros(2, 2)})):
        save_file(state, tmp_path / f"{name}.safetensors")
    run = script("compact/mean")
    run.main([str(tmp_path / f"{name}.safetensors") for name in ("out", "a", "b")])
    found = load_file(tmp_path / "out.safetensors")
    assert found["large"].dtype == torch.float16 and torch.allclose(
        found["large"].float(), first["large"] / 2, atol=1e-3
    )
    assert torch.equal(found["small"], first["small"] / 2) and found["seen"] == 7
    with pytest.raises(InputError, match=r"c\.safetensors': expected the tensors of .*: large, seen, small"):
        run.main([str(tmp_path / f"{name}.safetensors") for name in ("out", "a", "c")])


def test_forgerytalkers_card_says_how_its_sentences_end():
    pytest.importorskip("torch", reason="needs the extra 'train'")
    from facewitness.train import reports

    card = json.loads((RUNS / "forgerytalker" / "forgerytalker.json").read_text(encoding="utf-8"))
    assert card["artefacts"] == sorted({words for ends in reports.ARTEFACTS.values() for words in ends})


def test_the_mask_of_the_largest_expected_iou_takes_what_is_likely_enough():
    pytest.importorskip("torch", reason="needs the extra 'train'")
    pytest.importorskip("scipy")
    levers = script("forgerytalker/levers")
    sure = np.array([[0.9] * 8 + [0.05] * 92])
    assert levers.likeliest(sure) == pytest.approx(0.9)
    doubtful = np.array([[0.45] * 8 + [0.05] * 4])  # half of a mask is likelier than none
    assert levers.likeliest(doubtful) == pytest.approx(0.45)
    shown = levers.own_thresholds(np.log(doubtful / (1 - doubtful))[None].astype(np.float32), (1.0, 0.0))
    assert (shown[0] >= 0).sum() == 8


def test_the_report_that_agrees_with_most_drawn_ones_is_given():
    pytest.importorskip("torch", reason="needs the extra 'train'")
    pytest.importorskip("pycocoevalcap")
    consensus = script("forgerytalker/consensus")
    others = ["The nose is smeared.", "The chin is blurred.", "The left eye repeats a piece from elsewhere."]
    drawn = ["The nose is smeared."] * 3 + ["The nose is odd.", "The chin is blurred."]
    assert consensus.agreed(["The nose is odd.", *drawn], others) == "The nose is smeared."
    assert consensus.agreed(["The chin is blurred.", *drawn], others, kept=True) == "The chin is blurred."
