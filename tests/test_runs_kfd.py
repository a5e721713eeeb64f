"""The commands of runs/kfd: video-level numbers, the paper's tables with what is not run, and how words are fitted."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")
pytest.importorskip("transformers", reason="needs the extra 'vlm'")

from facewitness.errors import InputError

RUNS = Path(__file__).parents[1] / "runs" / "kfd"


def script(name: str):
    spec = importlib.util.spec_from_file_location(f"runs_kfd_{name}", RUNS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # where dataclasses look for their annotations
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def videos():
    return script("videos")


@pytest.fixture(scope="module")
def words():
    return script("words")


def rows(*frames: tuple[str, str, str, float]):
    """(group, method, label, score) of frames of one source."""
    data = SimpleNamespace(
        rows=[{"source": "ffpp_c23", "group": g, "method": m, "label": label} for g, m, label, _ in frames]
    )
    return data, range(len(frames)), [score for *_, score in frames]


def test_a_videos_score_is_the_mean_over_its_frames(videos):
    """One bad frame of each kind costs frames their order, and videos not."""
    found = videos.in_videos(
        *rows(
            ("1", "pristine", "real", 0.9), ("1", "pristine", "real", 0.1), ("1", "pristine", "real", 0.1),
            ("1", "Deepfakes", "fake", 0.2), ("1", "Deepfakes", "fake", 0.9), ("1", "Deepfakes", "fake", 0.9),
            ("2", "pristine", "real", 0.3), ("2", "Deepfakes", "fake", 0.8),
        )
    )["ffpp_c23"]  # fmt: skip
    assert found["videos"]["auc"]["value"] == 1.0 and found["videos"]["auc"]["n"] == 4
    assert found["frames"]["auc"]["value"] < 1.0 and found["frames"]["auc"]["n"] == 8
    assert found["videos"]["ap"]["value"] == 1.0


def test_yes_and_no_over_the_frames_of_a_video_are_an_auc_of_words(videos):
    """Table 2's way: a video of which more frames are called fake ranks higher."""
    said = [("1", "real", v) for v in (0.0, 0.0, 1.0)] + [("1", "fake", v) for v in (1.0, 1.0, 0.0)]
    frames = [(g, "Deepfakes" if label == "fake" else "pristine", label, v) for g, label, v in said]
    found = videos.in_videos(*rows(*frames))["ffpp_c23"]
    assert found["videos"]["auc"]["value"] == 1.0 and found["frames"]["auc"]["value"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("which", ["1", "2", "3", "5", "6"])
def test_tables_say_what_is_not_run_and_what_the_paper_has(videos, tmp_path, which):
    data, order, scores = rows(("1", "pristine", "real", 0.1), ("1", "Deepfakes", "fake", 0.8))
    run = videos.in_videos(data, order, scores)
    if which not in videos.WORDS:
        run["steps"] = 1  # as a detector's run has it
    (tmp_path / "kfd.json").write_text(json.dumps(run))
    text = videos.table(which, tmp_path)
    assert "not run" in text and "1.000" in text and "ffpp_c23, video AUC / AP" in text
    width = {line.count("|") for line in text.strip().splitlines()}
    assert len(width) == 1, "every row has every column"
    assert "(paper)" in text
    if which == "1":
        assert "99.53 / 99.54 %" in text and "SBI (paper)" in text
    if which == "2":
        assert "| FAK-Owl | not run" in text and "47.99" not in text


def test_a_table_of_words_takes_no_detectors_score_for_words(videos, tmp_path):
    data, order, scores = rows(("1", "pristine", "real", 0.1), ("1", "Deepfakes", "fake", 0.8))
    run = videos.in_videos(data, order, scores)
    (tmp_path / "kfd.json").write_text(json.dumps({"steps": 1, **run}))
    assert "| KFD in words | not run" in videos.table("2", tmp_path)
    (tmp_path / "kfd.json").write_text(json.dumps(run))
    assert "| KFD in words (kfd) | 1.000 / 1.000, 2 videos |" in videos.table("2", tmp_path), "no interval of two"
    assert "| KFD | not run" in videos.table("1", tmp_path)


def test_a_row_that_is_not_run_names_the_command_that_makes_it(videos, tmp_path):
    data, order, scores = rows(("1", "pristine", "real", 0.1), ("1", "Deepfakes", "fake", 0.8))
    (tmp_path / "200.json").write_text(json.dumps({"steps": 1, **videos.in_videos(data, order, scores)}))
    text = videos.table("3", tmp_path)
    assert "train kfd runs/kfd/tables.toml --images 50 " in text and "--images 200 " not in text
    assert "| 200 pictures (200) | 1.000" in text and "1.000, 2 videos |" in text
    stems = {stem for row in videos.ROWS.values() for stem in row.values()}
    assert stems <= videos.NOT_RUN.keys()


def test_a_language_models_run_is_called_as_the_folder_that_training_was_given(videos):
    assert videos.named("out/small-64/model") == "small-64"
    assert videos.named("Qwen/Qwen2-VL-7B-Instruct") == "Qwen2-VL-7B-Instruct"
    assert videos.named("model") == "model"


@pytest.mark.parametrize("content", ["{", "[1]", "{}", '{"dfdc": 1}', '{"dfdc": {"videos": null}}'])
def test_a_file_beside_the_runs_that_is_none_is_told(videos, tmp_path, content):
    (tmp_path / "50.json").write_text(content)
    with pytest.raises(InputError, match="expected a run that `measure` wrote"):
        videos.main(["table", "3", str(tmp_path)])


def test_a_pack_that_is_none_is_told_in_a_sentence(videos, tmp_path):
    with pytest.raises(InputError, match="facewitness build pack"):
        videos.main(["measure", "x.safetensors", "--pack", str(tmp_path), "--out", str(tmp_path / "out")])


def test_a_table_without_runs_and_one_that_does_not_exist_are_told(videos, tmp_path):
    with pytest.raises(InputError, match="expected runs"):
        videos.table("1", tmp_path)
    with pytest.raises(InputError, match="expected one of"):
        videos.table("4", tmp_path)


def test_odds_are_fitted_so_that_the_better_of_words_and_evidence_counts_more(words):
    rng = np.random.default_rng(0)
    truth = rng.random(400) < 0.5
    sign = np.where(truth, 1.0, -1.0)
    cases = list(zip(sign * 0.2 + rng.normal(0, 1, 400), sign * 2 + rng.normal(0, 1, 400), truth, strict=True))
    odds = words._odds(cases)
    assert odds.evidence > 3 * odds.words > 0


def test_questions_about_regions_are_answered_by_what_was_right_elsewhere(words):
    """Evidence that knows more than the model is heard where it was right on groups that it was not fitted to."""
    rng = np.random.default_rng(0)
    truth = rng.random(400) < 0.5
    sign = np.where(truth, 1.0, -1.0)
    columns = np.stack([sign * 0.3, sign, sign * 0.0, sign * 0.0], 1) + rng.normal(0, 1, (400, 4))
    rows_ = [(f"group {i // 4}", tuple(x), bool(t)) for i, (x, t) in enumerate(zip(columns, truth, strict=True))]
    loud = words._chosen.Odds(0.0, 0.0, 9.0)  # a face that is surely forged
    right, floor = words.elsewhere(rows_, loud)
    assert 0.5 < right["model"] < 0.7 < right["map"] < right["together"] + 0.1 < 1.0 and floor == -2.0
    fitted = words.of_region(rows_, 0.0)
    assert fitted.own > 2 * fitted.words > 0 and abs(fitted.rivals) < 0.5
    noise = [(group, (x[0], *rng.normal(0, 1, 3)), t) for group, x, t in rows_[:40]]
    none = words.elsewhere(rows_, words._chosen.Odds(0.0, 0.0, -9.0))[0]["together"]
    assert none == np.mean(~truth), "no region of a real face"
    assert words.elsewhere(noise, loud)[0]["together"] < 0.85, "noise by which the fit is right on its own rows alone"


def test_the_map_alone_calls_a_region_forged_from_a_third_of_it_on_whatever_the_score(words):
    choice = words._chosen.Choice(words._chosen.Odds(1.0, 1.0), words.BY_MAP, 1.0, {})
    for covered, yes in ((0.32, False), (0.35, True)):
        for said, face in ((9.0, 9.0), (-9.0, -9.0)):
            known = words._chosen.known("nose", 1 / (1 + np.exp(-face)), {"nose": covered, "chin": 0.9})
            assert (choice.accused(said, known) > 0) is yes


def test_a_map_that_covers_a_region_makes_it_likelier_that_it_is_forged(words):
    rng, cases = np.random.default_rng(1), []
    for i in range(60):
        name = words._chosen.NAMED[i % 10]
        covered = {n: float(rng.uniform(0.0, 0.2)) for n in words._chosen.NAMED} | {name: float(rng.uniform(0.5, 1.0))}
        item = SimpleNamespace(file=str(i), regions=(name,))
        cases.append((item, SimpleNamespace(covered=covered)))
    forged = words._forged_by_coverage(cases)
    choice = words._chosen.Choice(words._chosen.Odds(1, 1), None, 1.0, forged)
    chance = choice.chance(dict.fromkeys(words._chosen.NAMED, 0.05) | {"nose": 0.9})
    assert chance["nose"] > 0.6 > 0.2 > chance["chin"]


def test_the_map_counts_as_much_as_names_agree(words):
    """One of two groups names by the map what the model would not; the other is told apart by the model alone."""
    by_map = ("a", ("nose",), [(("chin",), -4.0, -3.0), (("nose",), -5.0, -0.1)])
    by_words = ("b", ("chin",), [(("nose",), -6.0, -0.1), (("chin",), -1.0, -2.0)])
    weight = words.weight_of_places([by_map])
    assert weight >= 0.5 and words._agreements([by_map], weight) == [1.0], "the model would say chin, the map says nose"
    assert words.weight_of_places([by_words]) == 0.0, "of the best the lowest"
    weight = words.weight_of_places([by_map, by_words])
    assert words._agreements([by_map, by_words], weight) == [1.0, 1.0]
    found = words.named_elsewhere([(str(i), *case[1:]) for i in range(16) for case in (by_map, by_words)])
    assert found == {"model": 0.5, "map": 0.5, "together": 1.0}


def test_who_was_right_is_counted_where_two_decide_in_opposite_directions():
    disagree = script("disagree")
    fit = disagree.Calibration(1.0, 0.0, (0.0,), (0.4,), (0.6,), 0.2, 0.8, 0.05, 0.05, 0.5, 100, 50, {})

    def row(witness: str, file: str, label: str, score: float, source: str = "x"):
        return {
            "witness": witness, "condition": "plain", "source": source, "file": file, "made": "", "label": label,
            "score": str(score),
        }  # fmt: skip

    rows_ = [
        row("kfd", "1", "fake", 0.9), row("compact", "1", "fake", 0.1), row("kfd", "2", "fake", 0.1),
        row("compact", "2", "fake", 0.9), row("kfd", "3", "real", 0.5), row("compact", "3", "real", 0.9),
        row("kfd", "4", "real", 0.1), row("compact", "4", "real", 0.1), row("kfd", "5", "real", 0.1),
    ]  # fmt: skip
    counts, by_kind = disagree.contradictions(rows_, {"kfd": fit, "compact": fit})
    assert counts == {"cases": 2, "right": 1} and sum(by_kind.values()) == 2
    with pytest.raises(InputError, match="examined"):
        disagree.contradictions(rows_[:1], {"kfd": fit, "compact": fit})
    whole = [row("kfd", str(i), "fake", 0.1 + i / 100, "gan") for i in range(20)]
    genuine = [row("kfd", str(i), "real", 0.5 + i / 100) for i in range(20)]
    assert disagree.of_kind(whole + genuine, "kfd", ["gan"])["slope"] == 0.0, "worse than chance tells nothing"
    turned = [r | {"score": str(1 - float(r["score"]))} for r in whole + genuine]
    assert disagree.of_kind(turned, "kfd", ["gan"])["slope"] > 1.0
    with pytest.raises(InputError, match="one of them alone"):
        disagree.of_kind(genuine, "kfd", ["gan"])


def test_cards_and_docstrings_are_told_the_new_counts():
    disagree, counts = script("disagree"), {"cases": 40, "right": 3}
    text = "kfd knows blends. Where kfd and compact decided in opposite directions, on 35 faces, kfd was right 3 times."
    mended = disagree.told(text, "kfd", "compact", counts)
    assert mended.startswith("kfd knows blends. Where kfd") and mended.endswith("3 times and compact 37 times.")
    assert "35" not in mended and disagree.told(mended, "kfd", "compact", counts) == mended
    assert disagree.told("Nothing.", "mare", "compact", counts).startswith("Nothing. Where mare and compact")
    code = f'"""A witness.\n\nMeasured: {text[:60]}\n{text[60:]}\n"""\n\nX = 1\n'
    changed = disagree.documented(code, "kfd", "compact", counts)
    assert changed.endswith(('37\ntimes.\n"""\n\nX = 1\n', '37 times.\n"""\n\nX = 1\n'))
    assert max(map(len, changed.splitlines())) <= 120


def test_the_verdict_in_words_keeps_as_much_of_the_fit_as_agrees_with_the_score(words):
    fitted = words._chosen.Odds(1.0, 0.2, 0.1)
    rows_ = [(3.0, -1.0, True), *[(2.0, 2.0, True)] * 4, *[(-2.0, -2.0, False)] * 5]  # the first contradicts the score
    assert words.agreeing(fitted, rows_, 0.9) == fitted, "nine of ten agree"
    strict = words.agreeing(fitted, rows_, 0.95)
    assert 0 < strict.words < 1 and strict.together(3.0, -1.0) < 0, "less of the words, and the score prevails"
    loud = [(50.0, -1.0, True), (-50.0, 1.0, False)]
    assert words.agreeing(fitted, loud, 1.0) == words._chosen.Odds(0.0, 1.0, 0.0), "the score alone"


def test_a_card_says_what_results_of_these_weights_say(tmp_path):
    card = script("card")
    numbers = {f"made/{kind}": [0.9, 0.85, 0.95] for kind in card.MADE}
    numbers |= {f"auc/{source}": [0.6, 0.5, 0.7] for source in (*card.FILMS, *card.WHOLE)}
    numbers |= {"made/region_edit": [0.7, 0.6, 0.8], "auc/stylegan2_photos": [0.3, 0.2, 0.4]}
    file, code = tmp_path / "kfd.safetensors", tmp_path / "witness.py"
    file.write_bytes(b"weights")
    against = "Where kfd and compact decided in opposite directions, on 9 faces, kfd was right 1 times and it 8 times."
    old = {"knows": "kfd knows all.", "does_not_know": f"kfd does not know much. {against}", "deletion": "None."}
    file.with_suffix(".json").write_text(json.dumps({"crop": {}, "card": old}))
    code.write_text('"""A witness.\n\nMeasured: kfd knows all.\n"""\nX = 1\n')
    results = tmp_path / "results.json"
    sha = hashlib.sha256(b"weights").hexdigest()
    made = [{"weights": {"kfd.safetensors": sha}}, {"weights": {"compact.onnx": "other"}}]
    results.write_text(json.dumps({"made_by": made, "numbers": {"kfd, plain": numbers}}))
    given = ["--results", str(results), "--weights", str(file), "--code", str(code)]
    card.main(given)
    new = json.loads(file.with_suffix(".json").read_text())
    assert new["crop"] == {} and new["card"]["deletion"] == "None."
    assert new["card"]["knows"] == "kfd knows where a face was blended: self-blends (AUC 0.90 on held-out faces)."
    unknown = new["card"]["does_not_know"]
    assert "DFDC: 0.60" in unknown and "StyleGAN2: 0.30, worse than chance" in unknown and unknown.endswith(against)
    text = " ".join(code.read_text().split())
    assert new["card"]["knows"] in text and against in text and text.endswith('""" X = 1')
    results.write_text(json.dumps({"made_by": [{"weights": {"kfd.safetensors": "0" * 64}}], "numbers": {}}))
    with pytest.raises(InputError, match="expected results of"):
        card.main(given)
    with pytest.raises(InputError, match="expected results of auc/dfdc"):
        card.sentences({name: value for name, value in numbers.items() if name != "auc/dfdc"})


def test_kfds_card_is_what_its_results_say():
    said = script("card").sentences(json.loads((RUNS / "results-pool.json").read_text())["numbers"]["kfd, plain"])
    held = json.loads((RUNS / "kfd.json").read_text())["card"]
    assert held["knows"] == said["knows"] and held["does_not_know"].startswith(said["does_not_know"])


@pytest.fixture(scope="module")
def beside():
    return script("beside")


def test_a_mean_of_detectors_lies_between_them_and_other_tensors_are_told(beside):
    import torch

    class Small(torch.nn.Module):
        def __init__(self, value: float, width: int = 2):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.full((width,), value))
            self.register_buffer("seen", torch.tensor(3))

    with torch.no_grad():
        mixed = beside.mean(Small(1.0), Small(5.0), 0.25)
    assert mixed.weight.tolist() == [2.0, 2.0] and mixed.seen.item() == 3
    with pytest.raises(InputError, match="weight"):
        beside.mean(Small(1.0), Small(5.0, 3), 0.25)


def test_detectors_are_told_apart_on_the_same_faces(beside):
    """The second finds a third more of each edit, and marks genuine faces as the first does."""

    def row(i: int, by: str, value: float, score: float):
        numbers = {str(t): value for t in beside.half.TRIED}
        return {"file": f"{i}", "group": f"g{i}", "source": "dfdc", "by": by, "score": score, **numbers}

    kinds = ("", "self_blend", "region_edit", "own")
    first = [row(i, by, 0.3, 0.1 if not by else 0.9) for i in range(4) for by in kinds]
    second = [row(i, by, 0.3 if not by else 0.4, 0.9 if i and by == "own" else 0.5) for i in range(4) for by in kinds]
    numbers = beside.told(second, 0.5)
    assert beside.told(first, 0.5)["region_edit, AUC"][0] == 1.0 and numbers["region_edit, AUC"][0] == 0.5
    assert numbers["dfdc's own, AUC"][0] == pytest.approx(0.875) and "ffpp_c40's own, AUC" not in numbers
    more = beside.less(second, first, 0.5, 0.35)
    assert more["region_edit, mask IoU"] == pytest.approx([0.1, 0.1, 0.1])
    assert more["genuine, share of the crop marked"][0] == 0.0
    assert more["region_edit, AUC"] == pytest.approx([-0.5, -0.5, -0.5])
    found, truth = np.array([[0.4, 0.6], [0.9, 0.1]]), np.array([[0.0, 1.0], [0.6, 1.0]])
    assert beside.overlap(found, truth, 0.5) == pytest.approx(2 / 3) and beside.overlap(found, truth, 0.95) == 0.0


def test_a_detector_is_also_told_from_where_it_marks_no_more_of_genuine_faces(beside):
    """The second's best value marks more than the first's, and only its highest ones mark as little."""

    def rows(iou: float, marks: float):
        falls = {str(t): marks if t < 0.5 else 0.1 for t in beside.half.TRIED}
        return [
            {"by": by, **({str(t): iou for t in beside.half.TRIED} if by else falls)}
            for by in ("", "self_blend", "region_edit")
        ]

    found = beside.thresholds({"old": rows(0.3, 0.1), "same": rows(0.4, 0.1), "loud": rows(0.5, 0.2)})
    assert found["old"] == [0.6] and found["same"] == [0.6, 0.2] and found["loud"] == [0.6, 0.5]


def test_a_small_clip_takes_the_switches_of_its_encoders(tmp_path):
    transformers = pytest.importorskip("transformers")
    from facewitness.models.kfd import ClipEncoders
    from facewitness.train.kfd import Recipe

    script("small_clip").main([str(tmp_path / "clip")])
    assert transformers.CLIPConfig.from_pretrained(tmp_path / "clip").vision_config.num_hidden_layers == 6
    recipe = Recipe.read(RUNS / "ablation-clip.toml", [f"encoders.name={tmp_path / 'clip'}"])
    given = {name: value for name, value in recipe.encoders.items() if name != "kind"}
    for switch, learns in (({}, 1), ({"lora": 4}, 2 * 6 * 5 * 2 + 1), ({"shared_context": True}, 1)):
        made = ClipEncoders(**given, **switch)
        assert made.text().shape == (2, 96)
        assert sum(p.requires_grad for p in made.parameters()) == learns


def test_further_looks_stand_beside_the_witness_own_and_blends_are_told_apart(tmp_path, capsys):
    """Two noisy looks are better than one, which the table says; a blend that JPEG hides is counted by itself."""
    views, rng, lines = script("views"), np.random.default_rng(0), []
    for i in range(120):
        for by, mean in (("", -1.0), ("self_blend", 1.0)):
            line = {"source": "dfdc", "file": str(i), "by": by, "group": f"dfdc/{i}"}
            line["logits"] = {name: float(mean + rng.normal(0, 2)) for name in views.LOOKS}
            if by:
                line |= {"ratio": views.RATIOS[i % 4], "share": i / 240, "changed": 0.5 if i % 10 == 0 else 5.0 + i}
                line["noise"] = 1.0
            lines.append(json.dumps(line))
    (tmp_path / "val.jsonl").write_text("\n".join(lines) + '\n{"cut off')
    views.main(["table", "--split", "val", "--out", str(tmp_path)])
    rows = dict(line.strip("| ").split(" | ", 1) for line in capsys.readouterr().out.splitlines() if " | " in line)
    value = {name: float(cells.split()[0]) for name, cells in rows.items() if cells[0].isdigit()}
    assert value["one look"] < value["and mirrored, as it ships"] < value["all eight"]
    assert rows["no more changed than by saving"].startswith("0.100") and rows["ratio 0.25"].startswith("0.250")
    rows_ = views.kept(tmp_path / "val.jsonl")
    better = views.more(rows_, views.SETS["all eight"], views.SHIPPED)
    assert 0 < better[1] < better[0] < better[2]


def test_a_look_is_the_witness_crop_and_its_mirror_image():
    views = script("views")
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    points = np.random.default_rng(1).uniform(16, 48, (468, 2)).astype(np.float32)
    seen = views.looks(picture, points, 32, [*views.SHIPPED, "farther"])
    own = views.geometry.crop(picture, views.geometry.align(points, 32, 1.3), 32)
    assert (seen[0] == own).all() and (seen[1] == own[:, ::-1]).all() and not (seen[2] == own).all()
