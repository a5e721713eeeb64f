"""FFAA's data: whom an annotator is told what, which of its answers stand, and text that is true without one."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from facewitness import checks, plugins, portrait, regions
from facewitness.apps import cli
from facewitness.builders import _disk, annotate, chats, dma, ffa_vqa, review
from facewitness.errors import InputError, UnknownName
from facewitness.grammars import ffa_cot

KINDS = ("identity_exchange", "attribute_manipulation", "entire_synthesis")


def picture(name="a.png", label="fake", kind="identity_exchange", changed=True, seed=0, **more) -> ffa_vqa.Picture:
    rng = np.random.default_rng(seed)
    points = checks.landmarks(224, 224)
    pixels = np.clip(rng.normal(128, 30, (224, 224, 3)), 0, 255).astype(np.uint8)
    reference = mask = None
    if label == "fake" and changed:
        reference = np.clip(pixels.astype(int) + 20, 0, 255).astype(np.uint8)
        mask = np.zeros((224, 224), np.float32)
        mask[60:180, 60:160] = 1.0
    return ffa_vqa.Picture(
        name, label, "pristine" if label == "real" else kind, "swap" if label == "fake" else "pristine", f"g{name}",
        "train", "painted", pixels, points, pixels, points, reference, mask, more.get("known", {}),
    )  # fmt: skip


ALL = [("real", "pristine"), *(("fake", kind) for kind in KINDS)]


@pytest.mark.parametrize(("label", "kind"), ALL)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_without_a_server_what_is_written_keeps_the_form_and_the_truth(label, kind, seed):
    text = ffa_vqa.Evidence(seed).write(picture(f"{seed}.png", label, kind, seed=seed))
    assert ffa_vqa.refused(text, label, kind) == ""
    assert text == ffa_vqa.Evidence(seed).write(picture(f"{seed}.png", label, kind, seed=seed))


def test_it_names_the_regions_that_were_changed_and_what_was_done_there():
    made = picture()
    named = ffa_vqa.changed_regions(made)
    assert "nose" in named and "hairline" not in named
    text = ffa_vqa.Evidence().write(made)
    assert all(name in regions.mentioned(text) for name in named)
    assert "darker than it should be" in text  # the reference is 20 grey levels lighter
    assert ffa_vqa.changed_regions(picture(changed=False)) == ()


def test_it_says_what_the_dataset_knows_of_the_person():
    assert ffa_vqa._known("utkface", "63_1_0_2017.jpg", None) == {"age": "an elderly person"}
    assert ffa_vqa._known("dfdc", "63_1.jpg", None) == {}
    parsing = np.zeros((64, 64), np.uint8)
    parsing[:8] = regions.CELEBAMASK.index("eye_g")
    assert ffa_vqa._known("celebamask_hq", "a.jpg", parsing) == {"wears": "glasses"}
    text = ffa_vqa.Evidence().write(picture(known={"age": "a child", "wears": "a hat"}))
    assert "The face of a child" in text and "wearing a hat" in text


def test_measured_words_follow_the_picture():
    face = plugins.get("finders", "facemesh").load().find
    pixels = astronaut()
    from facewitness.types import Frame

    mesh = np.asarray(face(Frame(pixels))[0].landmarks)[:, :2]
    seen = portrait.measure(pixels, mesh)
    dark = portrait.measure((pixels * 0.3).astype(np.uint8), mesh)
    assert "darkly lit" in " ".join(portrait.described(dark)) or abs(dark.side) > portrait.SIDE
    assert dark.light < seen.light
    grey = np.repeat(pixels.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    assert "without colour" in portrait.described(portrait.measure(grey, mesh))
    mirrored = portrait.measure(np.ascontiguousarray(pixels[:, ::-1]), _mirror(mesh, pixels.shape[1]))
    assert mirrored.side == pytest.approx(-seen.side, abs=0.01)
    assert mirrored.turn == pytest.approx(-seen.turn, abs=0.02)


def _mirror(mesh, width):
    turned = mesh.copy()
    turned[:, 0] = width - turned[:, 0]
    return turned[regions.mirrored_indices()]


# ------------------------------------------------------------------------------------------------------ the annotator


def test_an_annotator_is_told_the_truth_and_shown_the_original():
    task = ffa_vqa.task(picture())
    assert len(task.pictures) == 2 and "exchanged for another person's (swap)" in task.prompt
    assert "the original, before the forgery" in task.prompt
    for part in ("You are an expert", "Forgery types.", "Work in this order.", "Requirements."):
        assert part in task.system
    real = ffa_vqa.task(picture(label="real"))
    assert len(real.pictures) == 1 and "genuine" in real.prompt


GOOD = ffa_cot.write(
    "The face of a man, evenly lit.", "The skin of the nose is smeared and does not fit.", "fake", 0.9,
    "identity_exchange",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD, ""),
        ("The face is fake because of the nose.", "format"),
        (GOOD.replace("Analysis result: fake", "Analysis result: real"), "wrong result"),
        (GOOD.replace("Identity exchange", "Entire face synthesis"), "wrong result"),
        ("I'm sorry, but I can't help with identifying people.", "refused"),
        (GOOD.replace("0.90", "0.51"), "low probability"),
        (
            "Image description: Das Gesicht ist gleichmässig beleuchtet und sehr scharf.\nForgery reasoning: Die Haut "
            "der Nase ist verschmiert und passt nicht zu der Umgebung.\nAnalysis result: fake\nProbability: 0.9\n"
            "Forgery type: Identity exchange",
            "another language",
        ),
    ],
)
def test_which_answers_stand(text, reason):
    found = ffa_vqa.check(ffa_vqa.task(picture()), text)
    assert found.partition(":")[0] == reason
    assert reason == "" or reason in annotate.REASONS


# ------------------------------------------------------------------------------------------------------- the questions


def written(n=300, label="fake"):
    one = picture(changed=False)
    return [
        (ffa_vqa.Picture(**{**_fields(one), "file": f"{k}.png", "label": label}), GOOD, "evidence/1") for k in range(n)
    ]


def _fields(made):
    return {name: getattr(made, name) for name in ffa_vqa.Picture.__slots__}


def test_a_third_of_the_questions_supposes_the_truth(monkeypatch):
    monkeypatch.setattr(dma, "png", lambda pixels: b"png")
    items = list(ffa_vqa.questions(written()))
    supposed = [item for item in items if item.hypothesis is not None]
    assert len(supposed) / len(items) == pytest.approx(1 / 3, abs=0.08)
    assert {item.hypothesis for item in supposed} == {"fake"}
    assert {item.question for item in supposed} == {"This is a fake human face. What evidence do you have?"}
    plain = {item.question for item in items if item.hypothesis is None}
    assert plain == set(ffa_vqa.QUESTIONS) and len(plain) == 10


def test_some_may_suppose_the_opposite_and_shares_are_shares(monkeypatch):
    monkeypatch.setattr(dma, "png", lambda pixels: b"png")
    items = list(ffa_vqa.questions(written(), hypothetical=1.0, misleading=0.3))
    assert sum(item.hypothesis == "real" for item in items) / len(items) == pytest.approx(0.3, abs=0.08)
    assert all(item.answer == GOOD for item in items)
    with pytest.raises(InputError, match="shares from 0 to 1"):
        list(ffa_vqa.questions(written(1), misleading=1.3))


@pytest.mark.parametrize(("parts", "lines"), [("R", 3), ("DR", 4), ("FR", 4), ("all", 5)])
def test_what_of_an_answer_is_taught(parts, lines):
    text = ffa_vqa.reduced(GOOD, parts)
    assert len(text.split("\n")) == lines and "Analysis result: fake" in text
    assert ("Image description" in text) == (parts in ("DR", "all"))
    with pytest.raises(UnknownName, match="parts of an answer"):
        ffa_vqa.reduced(GOOD, "RD")


def test_the_published_shares():
    assert sum(ffa_vqa.FFA_VQA.values()) == 20_142
    assert ffa_vqa._counts(None, ffa_vqa.FFA_VQA) == ffa_vqa.FFA_VQA
    small = ffa_vqa._counts(100, ffa_vqa.FFA_VQA)
    assert sum(small.values()) == 100 and small["pristine"] == 40


def test_pictures_are_chosen_by_kind_and_a_larger_choice_holds_the_smaller():
    heads = [(f"d/{k}", ("pristine", *KINDS)[k % 4]) for k in range(80)]
    told = []
    pictures = ffa_vqa.Pictures(heads, lambda k: picture(heads[k][0]), told.append)
    names = [made.file for made in pictures.chosen(20, ffa_vqa.MULTI_ATTACK)]
    more = [made.file for made in pictures.chosen(40, ffa_vqa.MULTI_ATTACK)]
    assert len(names) == 20 and set(names) <= set(more) and told == []
    assert len(list(pictures.chosen(None, None))) == 80
    list(pictures.chosen(200, {"pristine": 1}))
    assert told == ["pristine: 200 pictures were asked for, and there are 20"]


# ------------------------------------------------------------------------------------------------------------ on disk


def test_the_table_is_what_training_reads_and_llavas_form_what_the_dataset_reads(tmp_path):
    items = list(ffa_vqa.questions([(picture(f"{k}.png", seed=k), GOOD, "evidence/1") for k in range(4)]))
    table, facts = ffa_vqa.write(items, tmp_path)
    assert facts["items"] == 4 and facts["kind identity_exchange"] == 4
    examples = chats.read(table)
    assert [example.answer for example in examples] == [GOOD] * 4
    assert examples[0].before[0] == ("user", items[0].question)
    assert examples[0].pictures()[0].size == (224, 224)
    ffa_vqa.write_llava(items, tmp_path / "train")
    read = list(plugins.get("datasets", "ffa_vqa").samples(tmp_path / "train", "train"))
    assert len(read) == 4
    assert {(sample.truth.label, sample.truth.kind) for sample in read} == {("fake", "identity_exchange")}
    with pytest.raises(InputError, match="at least one answer"):
        ffa_vqa.write([], tmp_path / "none")


# --------------------------------------------------------------------------------------------------------- the command


@pytest.fixture
def folder(tmp_path):
    """A genuine photograph, three times with other light."""
    for k in range(3):
        file = tmp_path / "photos" / "real" / f"{k}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.clip(astronaut().astype(int) - 10 * k, 0, 255).astype(np.uint8)[:256, 100:356]
        Image.fromarray(pixels).save(file)
    return tmp_path / "photos"


def run(folder, out, *more):
    return cli.main(["build", "ffa_vqa", "folder", str(folder), "--shares", "none", "--out", str(out), *more])


def test_from_a_folder_of_photographs_to_a_table_without_a_server(folder, tmp_path, capsys):
    assert run(folder, tmp_path / "out") == 0
    rows = ffa_vqa.read(tmp_path / "out" / "ffa_vqa.parquet")
    assert len(rows) == 3 and {row["annotator"] for row in rows} == {"evidence/1"}
    assert all(ffa_vqa.refused(row["answer"], "real", "pristine") == "" for row in rows)


def test_the_cost_is_asked_about_before_a_server_is(folder, tmp_path, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr("builtins.input", lambda prompt: asked.append(prompt) or "n")
    answer = ffa_cot.write("The face of a woman.", "The skin and the eyes fit together.", "real", 0.9)
    options = ["--annotator", "echo", "--option", f"echo.answers={json.dumps([answer])}", "--prices", "2.5", "10"]
    assert run(folder, tmp_path / "out", *options) == 0
    assert asked and not (tmp_path / "out" / "asked.jsonl").exists()
    assert "3 to ask" in capsys.readouterr().err
    assert run(folder, tmp_path / "out", *options, "--yes") == 0
    assert len(ffa_vqa.read(tmp_path / "out" / "ffa_vqa.parquet")) == 3
    assert run(folder, tmp_path / "out", *options) == 0  # nothing left to pay for, so nothing is asked
    assert "3 answered before" in capsys.readouterr().err and len(asked) == 1


def test_people_decide_what_is_kept_and_the_same_command_goes_on(folder, tmp_path, capsys):
    queue = tmp_path / "queue"
    assert run(folder, tmp_path / "out", "--review", str(queue)) == 0
    assert not (tmp_path / "out" / "ffa_vqa.parquet").exists()
    there = review.Queue(queue, least_seconds=0, check=ffa_vqa.edit_refused)
    first, second, third = there.items()
    there.decide(first, "anna", "accept", 20)
    there.decide(second, "anna", "reject", 20, reason="vague")
    edited = there.items()[third].content["text"].replace("Forgery reasoning: ", "Forgery reasoning: Looked at twice. ")
    there.decide(third, "anna", "edit", 20, {"text": edited})
    with pytest.raises(InputError, match="this edit cannot stand: format: no type"):
        there.decide(third, "ben", "edit", 20, {"text": edited.replace("result: real", "result: fake")})
    assert run(folder, tmp_path / "out", "--review", str(queue)) == 0
    answers = [row["answer"] for row in ffa_vqa.read(tmp_path / "out" / "ffa_vqa.parquet")]
    assert len(answers) == 2 and sum("Looked at twice." in answer for answer in answers) == 1
    assert there.picture(there.items()[first].pictures[0]).read_bytes().startswith(b"\x89PNG")


def test_unknown_shares_and_backends_are_sentences(folder, tmp_path, capsys):
    assert run(folder, tmp_path / "out", "--shares", "ffavqa") == 2
    assert "Did you mean 'ffa_vqa'" in capsys.readouterr().err
    assert run(folder, tmp_path / "out", "--annotator", "openay") == 2
    assert "openai" in capsys.readouterr().err


@pytest.mark.parametrize("encode", [dma.png, _disk.png])
@pytest.mark.parametrize("shape", [(5, 4, 3), (5, 4)])
def test_a_picture_is_written_without_loss(encode, shape):
    picture = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    assert np.array_equal(Image.open(io.BytesIO(encode(picture))), picture)
