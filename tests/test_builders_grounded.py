"""Forged faces with region masks and words (builders/grounded), in MMTT's form (mmtt) and in FiFa's tasks (fifa)."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("cv2", reason="forging needs OpenCV: pip install '.[forge]'")
pytest.importorskip("pyarrow", reason="tables need pyarrow: pip install '.[bench]'")

from facewitness import checks, plugins, regions
from facewitness.apps import build
from facewitness.apps.cli import main
from facewitness.builders import annotate, fifa, grounded, mmtt, review
from facewitness.datasets import mmtt as dataset
from facewitness.errors import InputError, UnknownName
from facewitness.grammars import interleaved


def face(width, height, seed):
    track, clip = checks.photo(width, height, seed)
    return clip.frame.pixels, track.face.landmarks[:, :2]


PIXELS, POINTS = face(200, 200, 3)
DONOR = face(180, 190, 5)
EASY = [name for name in grounded.EVERY if name != "diffusion"]


def drawn(family: str = "attribute", seed: int = 0, **options):
    return grounded.draw(PIXELS, POINTS, np.random.default_rng(seed), family=family, donor=DONOR, **options)


@pytest.mark.parametrize("side", [56, 112])
def test_a_region_is_as_large_at_a_masks_resolution_as_its_polygon(side):
    small = POINTS.copy()
    small[:, :2] *= side / 200
    for name in ("left_eyebrow", "left_eye", "nose", "mouth"):
        fine, coarse = grounded.outline(name, POINTS * 8, 1600, 1600), grounded.outline(name, small, side, side)
        assert coarse.mean() == pytest.approx(fine.mean(), rel=0.12), name


@pytest.mark.parametrize("family", EASY)
def test_every_family_knows_what_it_changed(family):
    made = drawn(family)
    assert made.label == "fake"
    assert made.family == family
    untouched = made.mask == 0
    if family != "self_blend":  # its background may be the changed copy
        assert (made.pixels[untouched] == made.original[untouched]).all()  # I_f = (1 − M) I + M I_g
    union = made.mask >= 0.5 * made.mask.max()
    for name in made.named:
        place = made.places[name]
        assert place.any()
        assert not (place & ~union).any()
        assert not (place & ~grounded.outline(name, POINTS, 200, 200)).any()
    assert 1 <= len(made.named) <= grounded.MOST_PLACES
    assert grounded.faults(made.text, made.mask, POINTS) == ()


def test_the_text_points_at_every_region_that_it_names():
    made = drawn("inpainting", 2)
    mentions = interleaved.mentions(made.interleaved)
    assert tuple(mention.region for mention in mentions) == made.named
    assert [mention.seg for mention in mentions] == list(range(len(made.named)))
    read = interleaved.parse(made.interleaved, [grounded.boxed(made.places[name]) for name in made.named])
    assert read.refusals == ()
    assert read.label == "fake"
    assert read.text == made.text
    assert set(made.labels) == set(regions.captioned(made.text))


def test_the_same_seed_draws_the_same_and_another_another():
    one, two, other = drawn(seed=4), drawn(seed=4), drawn(seed=5)
    assert one.text == two.text
    assert (one.pixels == two.pixels).all()
    assert (one.pixels != other.pixels).any()


def test_words_are_tied_to_what_was_done():
    made = drawn("smooth_inpainting", 1)
    said = {cue for cues in made.artefacts.values() for cue in cues}
    assert said <= {"smeared", *grounded.CAUSES["change"], "halo"}
    assert "smeared" in said
    assert all(cue in grounded.ARTEFACTS for cues in grounded.CAUSES.values() for cue in cues)
    assert grounded.worded("blurred", "left_eye", np.random.default_rng(0)).startswith("is ")
    assert grounded.worded("blurred", "eyes", np.random.default_rng(0)).startswith("are ")
    with pytest.raises(UnknownName, match="Did you mean 'blurred'"):
        grounded.worded("blured", "nose", np.random.default_rng(0))


def test_a_genuine_face_names_nothing():
    made = grounded.genuine(PIXELS, POINTS, np.random.default_rng(0))
    assert (made.label, made.places, made.mask.max(), made.reply.label) == ("real", {}, 0, "real")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        ("word " * 2_000, "too long"),
        ("The nose is blurred. " * 500, "too long"),
        ("The left eye is blurred.", "outside"),
        ("Something is odd.", "no region"),
        ("Unlike the original image, the nose is blurred.", "not self-contained"),
        ("The <p>left eye</p> [SEG] is odd.", "outside"),
    ],
)
def test_what_is_wrong_with_a_report_is_told(text, fault):
    mask = grounded.outline("nose", POINTS, 200, 200)
    assert any(reason.startswith(fault) for reason in grounded.faults(text, mask, POINTS))


def test_a_report_about_the_mask_may_stand():
    mask = grounded.outline("nose", POINTS, 200, 200)
    for text in ("The nose is blurred.", "The nose tip and the left nostril are odd.", "The bridge of the nose."):
        assert grounded.faults(text, mask, POINTS) == ()


def test_a_region_that_the_pose_hides_is_told_and_never_drawn():
    points = regions.average_landmarks().astype(np.float64)
    turn = np.deg2rad(45)
    points[:, 0] = (points[:, 0] - 0.5) * np.cos(turn) + points[:, 2] * np.sin(turn)
    points = (points[:, :2] * 150 + [100, 25]).astype(np.float32)
    everything = np.ones((200, 200), bool)
    assert any(r.startswith("hidden") for r in grounded.faults("The right ear is odd.", everything, points))
    assert "right_ear" not in grounded.manipulated(everything, points)
    assert "left_ear" in grounded.manipulated(everything, points)


def test_bad_arguments_are_told():
    with pytest.raises(UnknownName, match="Did you mean 'swap'"):
        drawn("swop")
    with pytest.raises(UnknownName, match="left_eye"):
        drawn(names=("left_eys",))
    with pytest.raises(InputError, match="expected a donor"):
        grounded.draw(PIXELS, POINTS, np.random.default_rng(0), family="swap")
    with pytest.raises(InputError, match="empty"):
        grounded.boxed(np.zeros((4, 4), bool))
    with pytest.raises(InputError, match="finite"):
        grounded.cropped(PIXELS, np.full((468, 2), np.nan, np.float32), 64)


# --------------------------------------------------------------------------------------------------------------- MMTT


@pytest.fixture(scope="module")
def portraits():
    made = [face(200, 200, seed) for seed in range(3)]
    return [mmtt.Portrait(f"{n}.png", *each, f"person-{n}") for n, each in enumerate(made)]


def test_mmtt_writes_what_its_reader_reads(portraits, tmp_path):
    statistics = mmtt.Statistics()
    items = list(mmtt.build(portraits, copies=4, size=128, statistics=statistics))
    assert set(statistics.items) == set(grounded.FAMILIES)
    count = mmtt.write(items, tmp_path)
    assert sum(count.values()) == len(items) == sum(statistics.items.values())
    samples = list(dataset.samples(tmp_path))
    assert len(samples) == len(items)
    by_text = {(sample.truth.method, sample.truth.texts): sample for sample in samples}
    for item in items:
        sample = by_text[item.drawn.family.replace("_", " "), (item.drawn.text,)]
        assert sample.split == item.split
        mask = sample.truth.mask()
        assert (mask > 0.5).sum() == (item.drawn.mask >= 0.5 * item.drawn.mask.max()).sum()
    lists = [json.loads((tmp_path / f"{name}-mutilabel-simple.json").read_text()) for name in mmtt.LISTS.values()]
    for entry in itertools.chain(*lists):
        assert len(entry["caption"].split()) <= grounded.MOST_WORDS
        assert entry["multilabel"] == [int(label in regions.captioned(entry["caption"])) for label in regions.MMTT]
    lines = [json.loads(line) for line in (tmp_path / "grounded.jsonl").read_text().splitlines()]
    assert {line["family"] for line in lines} == set(grounded.FAMILIES)
    assert all("[SEG]" in line["text"] for line in lines)


def test_splits_are_by_person_and_about_8_1_1():
    splits = [mmtt.split_of(f"person-{n}") for n in range(2_000)]
    assert 0.76 < splits.count("train") / 2_000 < 0.84
    assert 0.07 < splits.count("test") / 2_000 < 0.13


def test_reports_of_a_model_are_held_to_the_guideline_and_reviewed(portraits, tmp_path, capsys):
    items = list(mmtt.build(portraits[:1], copies=2, size=128, families=("attribute",)))
    good = {item.id: f"The {regions.title(item.drawn.named[0])} looks odd." for item in items}

    class Model:
        def ask(self, messages, images=()):
            assert len(images) == 2
            text = " ".join(message["content"] for message in messages)
            assert "120 words" in text
            first = next(item for item in items if f"the {regions.title(item.drawn.named[0])}" in text)
            return good[first.id]

    told = annotate.annotate(mmtt.tasks(items), Model(), tmp_path / "asked", model="double", check=mmtt.check)
    texts = {task.id: text for task, text in told}
    assert set(texts) <= set(good)
    assert texts
    bad = next(iter(mmtt.tasks(items)))
    assert mmtt.check(bad, "The original image was sharper.") == "not self-contained"
    assert mmtt.check(bad, "") == "empty"
    queue = review.Queue(tmp_path / "queue")
    assert mmtt.queue(queue, items, texts, "double") == len(items)
    assert mmtt.queue(queue, items, texts, "double") == 0
    shown = next(iter(queue.items().values()))
    assert shown.builder == "mmtt"
    assert all(queue.picture(name).is_file() for name in shown.pictures)
    # an edit is held to the mask, too
    first = items[0].drawn
    outside = next(n for n in regions.DIALECTS["mare"] if n not in shown.about["may_name"])
    assert mmtt.edit_refused(shown, {"text": f"The {regions.title(first.named[0])} is blurred."}) == ""
    assert mmtt.edit_refused(shown, {"text": f"The {regions.title(outside)} is blurred."}).startswith("outside: the ")
    assert mmtt.edit_refused(shown, {"text": "It is odd."}).startswith("no region")
    assert mmtt.edit_refused(shown, {"text": "It is odd. " * 70}).startswith("too long")
    assert mmtt.edit_refused(shown, {"text": 5}) == "expected text as a text, got int"
    for text in ("The nose is odd.", "The chin and the left eye have a seam.", *texts.values()):
        assert bool(grounded.faults(text, first.mask, first.landmarks)) == bool(
            mmtt.edit_refused(shown, {"text": text})
        )
    edit = tmp_path / "edit.json"
    edit.write_text(json.dumps({"text": f"The {regions.title(outside)} is blurred."}))
    words = ["review", str(queue.folder), "--decide", shown.id, "edit", "--who", "anna", "--seconds", "9"]
    assert main([*words, "--content", str(edit)]) == 2
    assert "this edit cannot stand: outside: the " in capsys.readouterr().err


def test_what_people_decided_goes_back_into_the_lists(portraits, tmp_path, capsys):
    items = list(mmtt.build(portraits[:2], copies=2, size=128, families=("attribute",)))
    assert len(items) >= 4
    folder = tmp_path / "forged"
    mmtt.write(items, folder)
    queue = review.Queue(tmp_path / "queue")
    mmtt.queue(queue, items)
    kept, edited, rejected, *open_ = (item.id for item in items)
    named = next(item.drawn.named[0] for item in items if item.id == edited)
    new = f"The {regions.title(named)} is smooth as wax."
    queue.decide(kept, "anna", "accept", 9)
    queue.decide(edited, "anna", "edit", 9, {"text": new})
    queue.decide(rejected, "anna", "reject", 9)
    command = ["review", str(queue.folder), "--into", str(folder)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "1 kept, 1 edited, 1 rejected" in printed and f"{len(open_)} undecided, 0 decided before" in printed
    rows = {row["image_id"]: row for name in mmtt.LISTS.values()
            for row in json.loads((folder / f"{name}-mutilabel-simple.json").read_text())}  # fmt: skip
    assert rows.keys() == {kept, edited, *open_}
    assert rows[edited]["caption"] == new and rows[edited]["multilabel"] == mmtt.multilabel(new)
    assert rows[kept]["caption"] == next(item.drawn.text for item in items if item.id == kept)
    split = next(item.split for item in items if item.id == edited)
    read = plugins.get("datasets", "mmtt").samples(folder, split)
    assert new in {text for sample in read for text in sample.truth.texts}
    queue.decide(rejected, "anna", "accept", 9)  # a mind that was changed
    assert main(command) == 0
    assert "2 kept, 1 edited, 0 rejected" in capsys.readouterr().out
    again = tmp_path / "again"
    assert main(["review", str(again), "--from", str(folder), "--limit", "3"]) == 0
    assert "3 reports to look at" in capsys.readouterr().out
    filled = review.Queue(again)
    assert all(filled.picture(name).is_file() for item in filled.items().values() for name in item.pictures)
    first = next(iter(filled.items().values()))
    filled.decide(first.id, "eva", "reject", 9)
    for words in ("<p>The nose</p> [SEG] is odd.", "The nose\u202e is odd.", "The nose is odd.\nIt is."):
        with pytest.raises(InputError, match="cannot stand: expected"):
            review.Queue(again, check=lambda item, content: mmtt.edit_refused(item, content)).decide(
                first.id, "eva", "edit", 9, {"text": words}
            )
    with (queue.folder / "decisions.jsonl").open("a") as decisions:
        decisions.write('{"half": ')
    assert main(["review", str(queue.folder), "--list"]) == 0
    assert "1 lines of" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command, "--from", str(folder)])
    assert "not allowed with argument" in capsys.readouterr().err
    before = int(first.id != edited)  # the other queue's edit stays
    assert mmtt.put_back(filled.judged(), folder) == {
        "kept": 0, "edited": 0, "rejected": 1, "undecided": len(items) - 1 - before, "decided before": before,
        "elsewhere": 0,
    }  # fmt: skip
    rows = {row["image_id"]: row["caption"] for name in mmtt.LISTS.values()
            for row in json.loads((folder / f"{name}-mutilabel-simple.json").read_text())}  # fmt: skip
    assert first.id not in rows and (not before or rows[edited] == new)
    train = folder / "train-mutilabel-simple.json"
    held = train.read_text()
    for broken, told in (("[3]", "expected a list that"), ("[" * 60_000, "nested too deep"), (
        json.dumps([{"image_id": "other", "caption": "x"}]), "it was made anew since")):  # fmt: skip
        train.write_text(broken)
        assert main(command) == 2 and told in capsys.readouterr().err and train.read_text() == broken
    train.write_text(held)
    untold = [(first, {"text": 5})]
    with pytest.raises(InputError, match="expected a text in what people decided"):
        mmtt.put_back(untold, folder)
    mmtt.write(items, tmp_path / "anew")
    for file in (tmp_path / "anew").glob("*.json"):
        file.with_suffix(".built.json").write_text("[]")
    mmtt.write(items, tmp_path / "anew")
    assert not list((tmp_path / "anew").glob("*.built.json")), "decisions on other lists"
    assert main([*command[:-1], str(tmp_path / "nothing")]) == 2
    assert "expected lists of facewitness build mmtt" in capsys.readouterr().err
    (folder / "train-mutilabel-simple.built.json").write_text("[3]")
    assert main(command) == 2
    assert "expected a list that facewitness build mmtt wrote" in capsys.readouterr().err


def test_rows_that_only_their_order_tells_apart_go_back_each_with_its_own_decision(tmp_path):
    file = tmp_path / "train-mutilabel-simple.json"
    rows = [{"image_id": "7", "img_path": "7.png", "caption": words} for words in ("The nose.", "The chin.")]
    file.write_text(json.dumps(rows))
    items = [review.Item(f"7 {n}", "mmtt", {"text": row["caption"]}, (), {}, "the list") for n, row in enumerate(rows)]
    judged = [(item, {"text": f"{item.content['text']} It is."}) for item in items]
    assert mmtt.put_back(judged, tmp_path)["edited"] == 2
    assert [row["caption"] for row in json.loads(file.read_text())] == ["The nose. It is.", "The chin. It is."]
    assert mmtt.put_back([(items[0], None)], tmp_path)["rejected"] == 1
    assert [row["caption"] for row in json.loads(file.read_text())] == ["The chin. It is."]
    with pytest.raises(InputError, match="that image_id, instance_id and img_path tell apart"):
        mmtt.put_back(judged, tmp_path)  # whose caption is left can no longer be told


def test_reports_of_which_none_may_stand_are_told_as_that(portraits, tmp_path, capsys, monkeypatch):
    faces = [(str(n), p.pixels, p.landmarks, p.group) for n, p in enumerate(portraits)]
    monkeypatch.setattr(build, "_portraits", lambda given: (mmtt.Portrait(*face) for face in faces))
    words = ["build", "mmtt", "folder", str(tmp_path), "--size", "128", "--families", "attribute", "--copies", "1"]
    asked = ["--annotator", "m", "--out", str(tmp_path / "out")]
    get = plugins.get
    silent = SimpleNamespace(load=lambda **_: get("backends", "echo").load("It looks odd."))
    monkeypatch.setattr(plugins, "get", lambda family, name: silent if family == "backends" else get(family, name))
    assert main([*words, *asked]) == 2
    told = capsys.readouterr().err
    assert "expected at least one report of m that may stand, got none of" in told and "portrait" not in told
    assert json.loads((tmp_path / "out" / "annotation" / "quality.json").read_text())["kept"] == 0


def test_mmtt_tells_what_cannot_be(portraits, tmp_path):
    with pytest.raises(UnknownName, match="Did you mean"):
        list(mmtt.build(portraits, families=("atribute",)))
    with pytest.raises(InputError, match="at least one copy"):
        list(mmtt.build(portraits, copies=0))
    with pytest.raises(InputError, match="at least one portrait"):
        mmtt.write([], tmp_path)
    broken = mmtt.Portrait("x.png", PIXELS, np.full((468, 2), np.nan, np.float32), "x")
    statistics = mmtt.Statistics()
    assert list(mmtt.build([broken], size=64, statistics=statistics)) == []
    assert sum(statistics.left_out.values()) == 1


# --------------------------------------------------------------------------------------------------------------- FiFa


def test_the_difference_mask_is_the_largest_5_percent():
    made = drawn("attribute", 3)
    found = fifa.difference_mask(made.pixels, made.original)
    assert 0.03 <= found.mean() <= 0.06
    assert (found & (made.mask > 0)).sum() > 0.8 * found.sum()
    assert not fifa.difference_mask(PIXELS, PIXELS).any()
    with pytest.raises(InputError, match="one size"):
        fifa.difference_mask(PIXELS, PIXELS[:50])
    with pytest.raises(InputError, match="share"):
        fifa.difference_mask(PIXELS, PIXELS, 0.0)


def test_annotation_by_difference_is_measured_against_what_was_done():
    agreement = fifa.Agreement()
    assert agreement.as_dict()["precision"] is None
    for seed in range(3):
        agreement.add(drawn("attribute", seed))
    numbers = agreement.as_dict()
    assert numbers["precision"] > 0.5
    assert 0 < numbers["recall"] <= 1
    assert 0 < numbers["mask_iou"] < 1


def test_all_eleven_tasks_about_every_face(portraits, tmp_path):
    assert len(fifa.TASKS) == 11
    statistics = fifa.Statistics()
    items = list(fifa.build(portraits[:2], copies=2, size=128, statistics=statistics))
    assert {item.task for item in items} == set(fifa.TASKS)
    assert not statistics.faults
    for item in items:
        mentions = [mention for mention in interleaved.mentions(item.answer) if mention.seg is not None]
        assert len(mentions) == len(item.masks)
        assert all(fifa.as_array(mask).any() for mask in item.masks)
        if item.task == "grounding" and item.label == "fake":
            assert tuple(mention.region for mention in mentions) == item.regions
        if item.task == "text_explanation":
            assert "[SEG]" not in item.answer
        if item.task in ("region_question", "box_question"):
            assert item.answer.startswith("Yes" if item.masks else "No")
            assert item.region is not None
        if item.pointer == "click":
            x, y = item.click
            assert grounded.outline(item.region, _mesh_of(item, portraits), 128, 128)[int(y), int(x)]
    table = fifa.write(items, tmp_path)
    rows = fifa.read(table)
    assert len(rows) == len(items)
    assert rows[0]["task"] == items[0].task
    assert statistics.as_dict()["annotation_by_difference"]["precision"] is not None


def _mesh_of(item, portraits):
    portrait = next(p for p in portraits if item.file.startswith(p.file))
    return grounded.cropped(portrait.pixels, portrait.landmarks, 128, 1.6)[1]


def test_an_answer_whose_masks_do_not_match_is_left_out():
    made = drawn("attribute", 1)
    about = {"file": "a", "group": "a", "split": "train"}
    item = next(iter(fifa.items(made, np.random.default_rng(0), tasks=("grounding",), **about)))
    assert fifa.faults(item, made) == ()
    assert fifa.faults(replace(item, masks=item.masks[1:]), made)[0].startswith("masks")
    lied = replace(item, answer=item.answer + " The <p>left ear lobe</p> is odd.")
    assert any(reason.startswith("outside") for reason in fifa.faults(lied, made))
    with pytest.raises(UnknownName, match="task of FiFa"):
        list(fifa.items(made, np.random.default_rng(0), tasks=("parse",), **about))
