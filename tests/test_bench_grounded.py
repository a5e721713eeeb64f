"""Whether words and masks agree (bench/mmtt, bench/fifa), what texts speak of (bench/stats), and DFA-Bench's reader."""

from __future__ import annotations

import importlib.util
import io
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2", reason="forging needs OpenCV: pip install '.[forge]'")
if importlib.util.find_spec("sklearn") is None:
    pytest.skip("measures need the extra bench", allow_module_level=True)

from PIL import Image

from facewitness import checks, plugins, regions
from facewitness.apps.cli import main
from facewitness.bench import fifa as fifa_bench
from facewitness.bench import mmtt as mmtt_bench
from facewitness.bench import protocol, sheets, stats, wording
from facewitness.bench.grounded import overlap
from facewitness.builders import fifa, grounded, mmtt
from facewitness.datasets import dfa_bench, painted
from facewitness.errors import InputError

RUNS = Path(__file__).parents[1] / "runs"
JAVA = wording._lacking_java()  # before it is taken away below


@pytest.fixture(autouse=True)
def _without_java(request, monkeypatch):
    """Every measure of words would start a Java machine: one test does."""
    if "java" not in request.keywords:
        monkeypatch.setattr(wording, "_lacking_java", lambda: "needs Java, and there is no `java` on the path")


def face(seed=3, side=160):
    track, clip = checks.photo(side, side, seed)
    return clip.frame.pixels, track.face.landmarks[:, :2]


def square(x1, y1, x2, y2, side=20):
    mask = np.zeros((side, side), bool)
    mask[y1:y2, x1:x2] = True
    return mask


def test_overlap_keeps_to_the_authors_rules():
    a, b = square(0, 0, 10, 10), square(5, 0, 15, 10)
    assert overlap(a, b) == (pytest.approx(50 / 150), 0.5, 0.5)
    nothing = square(0, 0, 0, 0)
    assert overlap(nothing, nothing) == (1.0, 1.0, 1.0)
    assert overlap(None, a) == (0.0, 0.0, 0.0)
    assert overlap(a, nothing) == (0.0, 0.0, 0.0)
    with pytest.raises(InputError, match="another size"):
        overlap(square(0, 0, 1, 1, 8), a)


def test_plm_is_equation_12():
    assert mmtt_bench.plm(("nose", "eye"), ("eye", "lip")) == pytest.approx(1 / 3)
    assert mmtt_bench.plm((), ("eye",)) == 0
    assert mmtt_bench.plm((), ()) is None


def truth(names=("nose", "left_eye")):
    _, points = face()
    changed = np.zeros((160, 160), bool)
    for name in names:
        changed |= grounded.outline(name, points, 160, 160)
    return fifa_bench.Known(changed, points, "a"), {n: grounded.outline(n, points, 160, 160) for n in (*names, "mouth")}


def test_grounding_is_judged_mention_by_mention():
    known, areas = truth()
    text = "The <p>nose</p> [SEG] is odd, the <p>left eye</p> too, the <p>mouth</p> [SEG], a <p>hat</p> [SEG]."
    values = fifa_bench.age([fifa_bench.Answer(text, (areas["nose"], areas["mouth"], areas["nose"]))], [known])
    assert values["mask_iou"].value == pytest.approx(0.5, abs=0.05)  # the nose is right, the eye has no mask
    assert values["right"].value == 0.5
    assert values["invented"].value == 0.5  # the mouth was not changed, a hat is no region
    assert values["unmasked"].value == 0.25
    assert values["unmentioned"].value == 0


def test_masks_without_words_and_of_another_size_are_counted():
    known, areas = truth()
    small = np.ones((8, 8), bool)
    mentions, counts = fifa_bench.judged([fifa_bench.Answer("It is odd. [SEG]", (areas["nose"], small))], [known])
    assert mentions == []
    assert (counts.masks, counts.unmentioned, counts.wrong_size) == (1, 1, 1)
    values = fifa_bench.age([fifa_bench.Answer("", ())], [known])
    assert values["mask_iou"].value is None
    assert values["unmentioned"].value is None
    with pytest.raises(InputError, match="an answer for each"):
        fifa_bench.age([], [known])
    for text in ("<p>nose", "<p><p>nose</p>", "[SEG]" * 500, "word " * 2_000):
        fifa_bench.age([fifa_bench.Answer(text, (areas["nose"],))], [known])


def test_the_truth_answers_itself_perfectly():
    pixels, points = face()
    made = grounded.draw(pixels, points, np.random.default_rng(1), family="attribute")
    known = fifa_bench.Known(
        made.mask >= 0.5 * made.mask.max(), points, "a", fifa.difference_mask(made.pixels, made.original)
    )
    values = fifa_bench.age([fifa_bench.Answer(made.interleaved, tuple(made.places[n] for n in made.named))], [known])
    assert values["mask_iou"].value > 0.9
    assert values["right"].value == 1
    assert values["invented"].value == 0
    assert values["mask_iou_by_difference"].value < values["mask_iou"].value


def test_questions_about_regions():
    values = fifa_bench.asked(["Yes. It is.", "no", "Perhaps", "No!"], [True, False, True, True], list("abcd"))
    assert values["accuracy"].value == 0.5
    assert values["balanced"].value == pytest.approx((1 / 3 + 1) / 2)
    assert fifa_bench.asked(["yes"], [True], ["a"])["balanced"].value is None
    tagged = ["<p>Yes, that place</p> [SEG] is forged.", "<p>No</p>."]
    assert fifa_bench.asked(tagged, [True, False], ["a", "b"])["balanced"].value == 1


def test_mmtt_by_the_command(tmp_path, capsys):
    portraits = [mmtt.Portrait(f"{n}.png", *face(n), f"person-{n}") for n in range(4)]
    items = list(mmtt.build(portraits, copies=2, size=96, families=("attribute", "inpainting")))
    mmtt.write(items, tmp_path)
    split = items[0].split
    these = [item for item in items if item.split == split]
    captions = [{"image_id": item.id, "caption": item.drawn.text} for item in these]
    (tmp_path / "captions.json").write_text(json.dumps(captions[1:]))
    out = tmp_path / "numbers.json"
    masks = tmp_path / "dataset" / "own"
    assert main(["bench", "mmtt", str(tmp_path), "--captions", str(tmp_path / "captions.json"), "--split", split,
                 "--no-meteor", "--out", str(out)]) == 0  # fmt: skip
    numbers = json.loads(out.read_text())
    assert numbers["reports"] == len(these)
    assert numbers["words"]["ROUGE-L"] == pytest.approx(100 * (len(these) - 1) / len(these), abs=0.1)
    assert "not run" in capsys.readouterr().out
    assert any("no report" in note for note in numbers["notes"])
    for item in these:  # the truth's masks, named as a system names its own
        name = f"{item.id.removeprefix(f'own_{item.drawn.family}_')}.png"
        where = tmp_path / "masks" / "own" / item.drawn.family
        where.mkdir(parents=True, exist_ok=True)
        (where / name).write_bytes((masks / item.drawn.family / name.replace(".png", "_mask.png")).read_bytes())
    reports, _ = mmtt_bench.read(tmp_path, split, tmp_path / "captions.json", tmp_path / "masks")
    numbers = mmtt_bench.measure(reports, meteor=False)
    assert numbers["masks"]["IoU"]["value"] == 100
    halves = tmp_path / "halves"  # as the authors' script writes them: of the network's size, brought to the picture's
    for file in (tmp_path / "masks").rglob("*.png"):
        where = halves / file.relative_to(tmp_path / "masks")
        where.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(file) as mask:
            mask.resize((48, 48), Image.Resampling.NEAREST).save(where)
    smaller, notes = mmtt_bench.read(tmp_path, split, tmp_path / "captions.json", halves)
    for ours, whole in zip(smaller, reports, strict=True):
        few = Image.fromarray(whole.changed).resize((48, 48), Image.Resampling.NEAREST)
        assert np.array_equal(ours.claimed, np.asarray(few.resize((96, 96), Image.Resampling.NEAREST)))
    assert mmtt_bench.measure(smaller, meteor=False)["masks"]["IoU"]["value"] > 75
    with Image.open(file) as mask:
        mask.crop((0, 0, 48, 96)).save(where)  # of other proportions: it would mark other places
    _, notes = mmtt_bench.read(tmp_path, split, tmp_path / "captions.json", halves)
    assert any("96 × 96, got 48 × 96" in note and "counts as an empty one" in note for note in notes)
    words = [str(tmp_path), "--captions", str(tmp_path / "captions.json"), "--split", split, "--no-meteor"]
    shown = ["--masks", str(tmp_path / "masks"), "--sheet", str(tmp_path / "sheet.png")]
    assert main(["bench", "mmtt", *words, *shown]) == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 256 * min(3, len(these))
    (tmp_path / "captions.json").write_text("{")
    assert main(["bench", "mmtt", str(tmp_path), "--captions", str(tmp_path / "captions.json")]) == 2
    assert main(["bench", "mmtt", *words, "--sheet", str(tmp_path / "sheet.xyz")]) == 2
    assert "expected a name that ends in .png or .jpg" in capsys.readouterr().err
    about = [{"image_id": item.id, "caption": None} for item in these]
    for bad, said in (
        ({"a": 1}, "got dict"), ([], "got none of them"), ([{"image_id": "else", "caption": "x"}], "got none of them"),
        ([each | {"labels": 5} for each in about], "labels as a list"),
        ([each | {"caption": 5} for each in about], "got int"), ([5], "got int as entry 0"),
    ):  # fmt: skip
        (tmp_path / "captions.json").write_text(json.dumps(bad))
        with pytest.raises(InputError, match=said):
            mmtt_bench.read(tmp_path, split, tmp_path / "captions.json", None)
    (tmp_path / "captions.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="expected a list"):
        mmtt_bench.read(tmp_path, split, tmp_path / "captions.json", None)
    (tmp_path / "captions.json").write_text(json.dumps([*about[1:], about[0] | {"caption": "a \ud800 b"}]))
    with pytest.raises(InputError, match="expected the folder of the masks"):
        mmtt_bench.read(tmp_path, split, tmp_path / "captions.json", tmp_path / "nowhere")
    reports, _ = mmtt_bench.read(tmp_path, split, tmp_path / "captions.json", None)
    assert {report.text for report in reports} == {"", "a ? b"}
    lists = tmp_path / f"{mmtt.LISTS[split]}-mutilabel-simple.json"
    for bad in ('{"a": 1}', "[1]", '[{"image_id": "x"}]', "[" * 100_000):
        lists.write_text(bad)
        with pytest.raises(InputError, match="Download it again"):
            mmtt_bench.read(tmp_path, split, tmp_path / "captions.json", None)


def test_fifa_tasks_by_the_table(tmp_path, monkeypatch):
    portraits = [mmtt.Portrait(f"{n}.png", *face(n), f"person-{n}") for n in range(2)]
    rows = fifa.read(fifa.write(fifa.build(portraits, copies=1, size=96, families=("attribute",)), tmp_path))
    perfect = {
        (row["file"], row["task"], row["question"]): fifa_bench.Answer(
            row["answer"], tuple(fifa.as_array(mask) for mask in row["masks"])
        )
        for row in rows
    }
    numbers = fifa_bench.measure(rows, perfect, meteor=False)
    monkeypatch.setattr(
        wording, "_lacking_java", lambda: "is not needed for what follows"
    )  # twenty starts of Java less
    assert fifa_bench.measure(rows, {("a", "detection", "b"): fifa_bench.Answer("fake")}, meteor=False)["unasked"] == 1
    assert numbers["grounding"]["shuffled"]
    assert fifa_bench.sheet(rows, perfect, tmp_path / "sheet.png") >= 1
    with pytest.raises(InputError, match="at least one"):
        fifa_bench.sheet([row for row in rows if row["label"] == "real"], perfect, tmp_path / "none.png")
    there = list(plugins.get("datasets", "fifa").samples(tmp_path))
    assert {sample.file for sample in there} == {row["file"] for row in rows}
    assert {sample.truth.label for sample in there} == {"real", "fake"}
    forged = next(sample for sample in there if sample.truth.label == "fake")
    assert forged.truth.mask().max() == 1
    assert forged.truth.texts[0].startswith("This face is fake")
    assert numbers["detection"]["accuracy"]["value"] == 100
    assert numbers["localisation"]["mask_iou"]["value"] == 100
    assert numbers["grounding"]["mask_iou"]["value"] > 90
    assert numbers["grounding"]["invented"]["value"] == 0
    assert numbers["published"]["AGE mIoU"] == 30.4
    silent = fifa_bench.measure(rows, {}, meteor=False)
    assert silent["detection"]["accuracy"]["value"] == 0
    assert silent["localisation"]["mask_iou"]["value"] == 0


def test_answers_are_read_and_bad_lines_told(tmp_path):
    Image.fromarray(np.full((4, 4), 255, np.uint8)).save(tmp_path / "m.png")
    line = {"file": "a", "task": "grounding", "question": "q", "answer": "x", "masks": ["m.png", None, "gone.png"]}
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n")
    answer = fifa_bench.read_answers(tmp_path / "a.jsonl")["a", "grounding", "q"]
    assert answer.masks[0].all()
    assert answer.masks[1:] == (None, None)
    odd = line | {"answer": "a\u2028b\x85c", "masks": None}  # one line, whatever Unicode thinks of it
    (tmp_path / "a.jsonl").write_text(json.dumps(odd, ensure_ascii=False) + "\r\n", encoding="utf-8")
    assert fifa_bench.read_answers(tmp_path / "a.jsonl")["a", "grounding", "q"].text == odd["answer"]
    for bad in (
        "{", "[]", json.dumps(line | {"masks": ["../m.png"]}), '{"file": "a"}', "[" * 100_000,
        json.dumps(line | {"masks": "m.png"}), b"\xff\xfe",
    ):  # fmt: skip
        (tmp_path / "a.jsonl").write_bytes(bad if isinstance(bad, bytes) else bad.encode())
        with pytest.raises(InputError):
            fifa_bench.read_answers(tmp_path / "a.jsonl")


@pytest.fixture(scope="module")
def asked_table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fifa")
    portraits = [mmtt.Portrait(f"{n}.png", *face(n), f"person-{n}") for n in range(3)]
    return fifa.write(fifa.build(portraits, copies=1, size=96, families=("attribute",)), folder)


def _answered(table, folder, change=lambda n, line: line):
    """Perfect answers to a table as a file, each mask a PNG beside it."""
    lines = []
    for n, row in enumerate(fifa.read(table)):
        names = [f"{n}-{k}.png" for k in range(len(row["masks"]))]
        for name, mask in zip(names, row["masks"], strict=True):
            (folder / name).write_bytes(mask)
        lines.append({key: row[key] for key in ("file", "task", "question", "answer")} | {"masks": names})
        lines[-1] = change(n, lines[-1])
    (folder / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "answers.jsonl"


def test_fifas_table_has_the_papers_three_numbers_and_says_what_lacks(asked_table, tmp_path, capsys):
    out = tmp_path / "numbers.json"
    answers = _answered(asked_table, tmp_path)
    assert main(["bench", "fifa", str(asked_table), str(answers), "--system", "mine", "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert (
        "| FiFa-Bench | AGE mIoU | Loc mIoU | TOE METEOR |" in told.out and "| mine | 100 (100–100) | 100" in told.out
    )
    assert "| Fake-in-Facext (quoted; not run) | 30.4 | 30.9 | 21.3 |" in told.out
    assert "\nMETEOR needs Java" in told.out and not told.err
    numbers = json.loads(out.read_text())
    assert numbers["text_explanation"]["words"]["METEOR"] is None
    assert numbers["misfits"] == {"unread": 0, "wrong_size": 0, "segs_without_mask": 0, "broken": 0}


@pytest.mark.java
@pytest.mark.skipif(JAVA is not None, reason="needs Java and pycocoevalcap")
def test_meteor_stands_where_the_papers_print_it(asked_table, tmp_path, monkeypatch):
    real, asked = wording._meteor, []

    def once(corpus):  # its program takes ten seconds to begin: the controls' values are made up
        asked.append(corpus)
        return real(corpus) if len(asked) == 1 else (0.25, None)

    monkeypatch.setattr(wording, "_meteor", once)
    monkeypatch.setattr(wording, "measure", partial(wording.measure, tokenizer="plain"))
    rows = fifa.read(asked_table)
    perfect = fifa_bench.read_answers(_answered(asked_table, tmp_path))
    numbers = fifa_bench.measure([row for row in rows if row["task"] in ("text_explanation", "localisation")], perfect)
    words = numbers["text_explanation"]
    assert words["words"]["METEOR"] > 99 > words["shuffled"]["METEOR"] == 25
    assert f"| – | 100 (100–100) | {words['words']['METEOR']:g} |" in fifa_bench.markdown(numbers)
    reports = [
        mmtt_bench.Report(t, (t,), g) for t, g in (("The nose is blurred.", "a"), ("The mouth has a seam.", "b"))
    ]
    of_mmtt = mmtt_bench.measure(reports, meteor=False)
    of_mmtt["words"]["METEOR"] = 50.5
    lines = mmtt_bench.markdown(of_mmtt, "mine").splitlines()
    assert lines[2].split(" | ")[2] == "50.5" and lines[0].split(" | ")[2] == "METEOR"  # Table 2's second column


def test_masks_that_cannot_be_read_or_do_not_fit_are_told_and_counted(asked_table, tmp_path, capsys):
    first = next(n for n, row in enumerate(fifa.read(asked_table)) if row["task"] == "grounding" and row["masks"])

    def change(n, line):
        if n != first:
            return line
        Image.new("L", (4, 4), 255).save(tmp_path / "small.png")
        (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
        return line | {"masks": ["small.png", "broken.png", "gone.png"],
                       "answer": "<p>nose and <p>mouth</p> [SEG] [SEG] [SEG] [SEG] [SEG]."}  # fmt: skip

    answers = _answered(asked_table, tmp_path, change)
    out = tmp_path / "numbers.json"
    assert main(["bench", "fifa", str(asked_table), str(answers), "--no-meteor", "--out", str(out)]) == 0
    told = capsys.readouterr().err
    assert f"line {first + 1}: expected a mask in 'broken.png', and it is no picture; counts as none" in told
    assert "'gone.png', and there is none" in told and "1 masks of another size" in told
    assert "2 [SEG] without a mask; 1 answers that break the form" in told
    found = json.loads(out.read_text())["misfits"]
    assert found == {"unread": 2, "wrong_size": 1, "segs_without_mask": 2, "broken": 1}


def test_the_witness_answers_a_table_of_questions(tmp_path, capsys):
    pytest.importorskip("torch", reason="needs the extra 'train'")
    pytest.importorskip("transformers", reason="needs the extra 'train'")
    from doubles import tiny_fifa

    spec = importlib.util.spec_from_file_location("answers", RUNS / "grounding" / "answers.py")
    answers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(answers)
    portraits = [mmtt.Portrait("real/1.png", *face(3), "1")]
    table = fifa.write(fifa.build(portraits, copies=1, size=96, families=("attribute",)), tmp_path)
    out = tmp_path / "answers" / "answers.jsonl"
    command = [str(tiny_fifa(tmp_path)), str(table), "--tokens", "4", "--out", str(out)]
    answers.main([*command, "--limit", "6"])
    first = out.read_text().splitlines()
    answers.main(command)  # goes on
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert out.read_text().splitlines()[: len(first)] == first and len(first) < len(lines)
    rows = {(r["file"], r["task"], r["question"]): r for r in fifa.read(table)}
    assert {line["task"] for line in lines} == {*answers.WORDS, *answers.POINTING}
    for line in lines:
        row = rows[line["file"], line["task"], line["question"]]
        assert line["answer"]
        for name in line["masks"]:
            with Image.open(out.parent / name) as mask:
                assert mask.size == Image.open(io.BytesIO(row["image"])).size
    assert main(["bench", "fifa", str(table), str(out), "--no-meteor"]) == 0
    assert "| localisation |" in capsys.readouterr().out


def test_a_sheet_shows_claims_in_green_and_truth_in_red(tmp_path):
    pixels = np.full((20, 20, 3), 128, np.uint8)
    path = sheets.sheet(
        [(pixels, square(0, 0, 10, 20), square(10, 0, 20, 20), "said " * 50, "true")], tmp_path / "s.png"
    )
    shown = np.asarray(Image.open(path))
    left, right = shown[128, 40], shown[128, 220]
    assert left[1] > left[0]
    assert right[0] > right[1]
    with pytest.raises(InputError, match="at least one"):
        sheets.sheet([], path)


def test_neither_mask_hides_the_other_on_a_sheet(tmp_path):
    pixels = np.full((64, 64, 3), 128, np.uint8)
    for claimed, changed in (((0, 0, 64, 64), (16, 16, 48, 48)), ((16, 16, 48, 48), (16, 16, 48, 48))):
        items = [(pixels, square(*claimed, side=64), square(*changed, side=64), "said", "true")]
        shown = np.asarray(Image.open(sheets.sheet(items, tmp_path / "s.png"))).astype(int)[:256]
        red = (shown == sheets.RED).all(2)
        green = (shown == sheets.GREEN).all(2)
        both = shown[128, 128]
        assert red.sum() >= 4 * 128 and green.sum() >= 4 * 128, "both outlines are there"
        assert both[0] > both[2] + 10 and both[1] > both[2] + 10, "where both are it is yellow"


# -------------------------------------------------------------------------------------------------------------- stats


def test_terms_are_adjectives_with_their_nouns():
    texts = ["The left eye is blurred. The smooth skin around the nose bridge has a visible seam."] * 4
    found = stats.terms(texts)
    assert found["left eye"] == 4
    assert found["nose bridge"] == 4
    assert found["smooth skin"] == 4
    assert found["visible seam"] == 4
    assert not any("the" in term.split() for term in found)


def test_statistics_of_a_dataset_and_their_figure(tmp_path, capsys):
    numbers = stats.of(painted.samples(split="test")).as_dict()
    assert numbers["samples"] == 18
    assert sum(each["share"] for each in numbers["kinds"].values()) == pytest.approx(1)
    assert main(["datasets", "stats", "painted", "--split", "test"]) == 0
    assert "kinds" in capsys.readouterr().out
    counted = stats.Statistics(words=[3, 4], terms=stats.Counter({"left eye": 3}))
    assert stats.figure({"a": counted, "b": counted}, tmp_path / "terms.svg").read_text().startswith("<?xml")
    with pytest.raises(InputError, match="with texts"):
        stats.figure({"a": stats.Statistics()}, tmp_path / "x.svg")


# ---------------------------------------------------------------------------------------------------------- DFA-Bench


def test_dfa_bench_is_read(tmp_path):
    for name in ("fake/1_0.png", "real/2.png", "3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    entries = [
        {"image": "fake/1_0.png", "conversations": [
            {"from": "human", "value": "<image>\nIs it real or fake?"}, {"from": "gpt", "value": "It is fake."},
            {"from": "human", "value": "Why?"},
            {"from": "gpt", "value": "The nose is blurred and the mouth has a seam."}]},
        {"image": "real/2.png", "conversations": [
            {"from": "human", "value": "Describe."}, {"from": "gpt", "value": "A face."}]},
        {"image": "3.png", "conversations": []},
        {"image": "gone.png", "conversations": []},
    ]  # fmt: skip
    (tmp_path / "test.json").write_text(json.dumps(entries))
    told = []
    found = list(dfa_bench.samples(tmp_path, "test", tell=told.append))
    assert [(s.file, s.truth.label) for s in found] == [("fake/1_0.png", "fake"), ("real/2.png", "real")]
    assert found[0].truth.regions == {"nose", "mouth"}
    assert found[0].truth.questions["Is it real or fake?"] == ("It is fake.",)
    assert found[0].group == "fake/1"
    assert len(told) == 2
    captions = tmp_path / "captions" / "own.json"
    captions.parent.mkdir()
    captions.write_text(json.dumps([{"image_id": "fake/1_0.png", "caption": "The nose is blurred."}]))
    with pytest.raises(InputError, match="captions"):  # below the data set's folder it is taken for one of its lists
        mmtt_bench.read(tmp_path, "test", captions, None, "dfa_bench")
    captions = captions.rename(tmp_path.parent / "captions-of-dfa-bench.json")
    reports, notes = mmtt_bench.read(tmp_path, "test", captions, None, "dfa_bench", limit=1)
    assert [r.text for r in reports] == ["The nose is blurred."] and len(notes) <= 1
    assert reports[0].references == ("The nose is blurred and the mouth has a seam.",)
    (tmp_path / "test.json").write_text('[{"image": "3.png"}]')
    with pytest.raises(InputError, match="entry 0"):
        list(dfa_bench.samples(tmp_path))


def test_the_protocols_know_both():
    assert [test.split for test in protocol.read("mmtt").tests] == ["test", "val"]
    assert protocol.read("fifa-bench").tests[0].dataset == "dfa_bench"
    assert "dfa_bench" in plugins.names("datasets")
    assert set(mmtt_bench.PUBLISHED) >= {"MMTT, Table 2", "MMTT, Table 6", "DQ_F++, Table 3"}
    assert regions.MMTT
