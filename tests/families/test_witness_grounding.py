"""The witnesses forgerytalker and fifa: words with masks, quarrels that are told, and questions that point."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
pytest.importorskip("transformers", reason="needs the extra 'train'")
from doubles import Seen, tiny_fifa, tiny_forgerytalker  # noqa: E402
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from facewitness import geometry, plugins, regions  # noqa: E402
from facewitness.errors import BackendError, InputError, WeightsError  # noqa: E402
from facewitness.models.fifa import Answered  # noqa: E402
from facewitness.models.forgerytalker import Spoken  # noqa: E402
from facewitness.types import Face, Frame, FrameRef, Mark, Mask, Place, Question, Truth  # noqa: E402
from facewitness.witnesses import _grounded  # noqa: E402
from facewitness.witnesses import fifa as fifa_witness  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def talker_file(tmp_path_factory):
    return tiny_forgerytalker(tmp_path_factory.mktemp("talker"))


@pytest.fixture(scope="module")
def fifa_file(tmp_path_factory):
    return tiny_fifa(tmp_path_factory.mktemp("fifa"))


def _seen(pixels: np.ndarray) -> Seen:
    frame = Frame(pixels)
    mesh = regions.average_landmarks() * (frame.height * 0.6)
    mesh[:, :2] += (frame.width / 2 - mesh[:, 0].mean(), frame.height * 0.2)
    (x1, y1), (x2, y2) = mesh[:, :2].min(0).tolist(), mesh[:, :2].max(0).tolist()
    return Seen.of(pixels, (x1, y1, x2, y2), mesh.astype(np.float32))


@pytest.fixture
def seen() -> Seen:
    return _seen(np.random.default_rng(0).integers(0, 255, (160, 160, 3), dtype=np.uint8))


def _over(witness, face: Face, *names: str) -> np.ndarray:
    """A map on the witness's crop that is 1 in these regions."""
    affine = geometry.align(face.landmarks, 32, 1.25)
    rings = [geometry.transform(affine, ring) for name in names for ring in regions.polygons(name, face.landmarks)]
    return np.maximum.reduce([geometry.fill([ring], 32, 32) for ring in rings]).astype(np.float32)


def _nose(face: Face, how: str) -> Place:
    """The nose, pointed at by its name, a box, a click or a mask."""
    box = geometry.bounds(np.concatenate(regions.polygons("nose", face.landmarks)))
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return {
        "name": Place(face.at, "nose", box),
        "box": Place(face.at, None, box),
        "click": Place(face.at, None, (x - 0.5, y - 0.5, x + 0.5, y + 0.5)),
        "mask": Place(face.at, None, box, Mask(box, np.ones((6, 6), np.float32))),
    }[how]


class Says:
    """A network that says what a test wants it to."""

    size, sha256 = 32, "0" * 64

    def __init__(self, text: str, areas: dict[str, float], mask: np.ndarray):
        self.text, self.areas, self.mask = text, areas, mask
        self.told: list = []

    def look(self, pixels):
        return self.areas, self.mask

    def speak(self, pixels, most, named, beams=1):
        self.told = named
        return [Spoken(self.text, self.areas, tuple(named[0]), self.mask)]


# ---------------------------------------------------------------------------------------------------- words that point


def test_every_mention_that_the_mask_shows_has_its_part_of_it():
    face = Face(FrameRef(100, 100), (10, 10, 90, 90))
    mask = Mask((20.0, 20.0, 40.0, 40.0), np.ones((4, 4), np.float32))
    parts, findings, without = _grounded.marked(
        "The left eyebrow is blurred, and the nose is not. The left eyebrow again.",
        face, lambda name: mask if name == "left_eyebrow" else None, 0.8,
    )  # fmt: skip
    assert "".join(p for p in parts if isinstance(p, str)).startswith("The left eyebrow is blurred, and the nose")
    assert [p.finding.region for p in parts if isinstance(p, Mark)] == ["left_eyebrow"] * 2
    assert len(findings) == 1 and findings[0].strength == 0.8 and without == ("nose",)
    assert findings[0].claim == "The left eyebrow is blurred, and the nose is not."
    assert isinstance(parts[1], Mark) and parts[0] == "The left eyebrow"


@given(st.text(max_size=300))
def test_words_stay_as_they_are_whatever_they_are(text):
    mask = Mask((0.0, 0.0, 4.0, 4.0), np.ones((2, 2), np.float32))
    parts, _, _ = _grounded.marked(text, Face(FrameRef(9, 9), (0, 0, 9, 9)), lambda name: mask)
    assert "".join(p for p in parts if isinstance(p, str)) == text


def test_a_report_of_two_thousand_words_is_read():
    mask = Mask((0.0, 0.0, 4.0, 4.0), np.ones((2, 2), np.float32))
    text = "The left eye is odd and the noseless year is not. " * 200
    parts, findings, _ = _grounded.marked(text, Face(FrameRef(9, 9), (0, 0, 9, 9)), lambda name: mask)
    assert len(findings) == 1 and sum(isinstance(p, Mark) for p in parts) == 200


def test_a_mask_is_cut_to_what_is_in_it():
    values = np.zeros((8, 8), np.float32)
    values[2:4, 6] = 0.9
    cut = _grounded.tight(Mask((0.0, 0.0, 80.0, 80.0), values))
    assert cut is not None and cut.box == (60.0, 20.0, 70.0, 40.0) and cut.values.shape == (2, 1)
    assert _grounded.tight(Mask((0.0, 0.0, 8.0, 8.0), np.full((2, 2), 0.4, np.float32))) is None


# -------------------------------------------------------------------------------------------------------- forgerytalker


def test_a_portrait_is_looked_at_whole_by_what_learned_from_whole_ones(talker_file, tmp_path, seen, monkeypatch):
    copy = Path(shutil.copytree(talker_file.parent, tmp_path / "copy")) / talker_file.name
    card = json.loads(copy.with_suffix(".json").read_text())
    copy.with_suffix(".json").write_text(json.dumps(card | {"crop": {"margin": 1.6, "whole": True}}))
    witness = plugins.get("witnesses", "forgerytalker").load(weights=str(copy), words=False)
    shown = []
    look = witness.network.look
    monkeypatch.setattr(witness.network, "look", lambda crop: shown.append(crop) or look(crop))
    testimony = witness.examine(seen.track, seen.clip)
    stretched = geometry.crop(seen.pixels, np.array([[32 / 160, 0, 0], [0, 32 / 160, 0]]), 32)
    assert np.array_equal(shown[0][0].numpy().transpose(1, 2, 0), stretched)
    assert testimony.mask.box == (0, 0, 160, 160)
    wide = np.pad(seen.pixels, ((0, 0), (0, 400), (0, 0)), mode="edge")  # no portrait: a face in a larger photo
    other = Seen.of(wide, seen.track.face.box, seen.track.face.landmarks)
    witness.examine(other.track, other.clip)
    affine = geometry.align(other.track.face.landmarks, 32, 1.6)
    assert np.array_equal(shown[1][0].numpy().transpose(1, 2, 0), geometry.crop(wide, affine, 32))
    with pytest.raises(InputError, match=r"forgerytalker\.beams: expected a number from 1"):
        plugins.get("witnesses", "forgerytalker").load(weights=str(copy), beams=0)


def test_the_report_points_and_what_it_points_at_lies_in_the_region(talker_file, seen):
    witness = plugins.get("witnesses", "forgerytalker").load(weights=str(talker_file))
    face = seen.track.face
    witness.network = Says("The nose is smeared.", {"nose": 0.9, "eye": 0.2}, _over(witness, face, "nose"))
    testimony = witness.examine(*seen)
    assert testimony.fake == 0.9 and testimony.reply.label == "fake" and testimony.reply.refusals is None
    (finding,) = testimony.findings
    assert finding.region == "nose" and finding.strength is None, "nobody measured how often it is right"
    nose = geometry.bounds(np.concatenate(regions.polygons("nose", face.landmarks)))
    assert geometry.iou(finding.box, nose) > 0.5
    assert testimony.reply.text == "The nose is smeared."


@pytest.mark.parametrize(("score", "fit"), [(0.5, None), (0.9, {"slope": 1.0, "offset": -float(np.log(9))})])
def test_a_named_region_counts_as_far_as_the_face_is_likely_forged(talker_file, seen, monkeypatch, score, fit):
    monkeypatch.setattr("facewitness.witnesses.forgerytalker.decided", lambda score, fit: "inconclusive")
    witness = plugins.get("witnesses", "forgerytalker").load(weights=str(talker_file))
    witness._strength, witness.calibration = 0.8, fit
    witness.network = Says("The nose is forged.", {"nose": score}, _over(witness, seen.track.face, "nose"))
    (finding,) = witness.examine(*seen).findings
    assert finding.strength == pytest.approx(0.4)


def test_a_quarrel_between_text_and_mask_is_told(talker_file, seen):
    witness = plugins.get("witnesses", "forgerytalker").load(weights=str(talker_file))
    face = seen.track.face
    witness.network = Says("The mouth is pasted.", {"mouth": 0.9, "nose": 0.8}, _over(witness, face, "nose"))
    reply = witness.examine(*seen).reply
    assert witness.network.told == [("nose",)], "the report is asked for what the mask touches"
    assert not reply.findings and reply.text == "The mouth is pasted."
    assert any("does not show: the mouth" in said for said in reply.notes)
    assert any("does not name: the nose" in said for said in reply.notes)
    witness.network = Says("No facial area shows a manipulation.", {"nose": 0.1}, _over(witness, face, "nose"))
    reply = witness.examine(*seen).reply
    assert reply.label == "real" and any("contradict the mask" in said for said in reply.notes)


@pytest.mark.parametrize("label", ["real", "fake", None])
def test_a_report_is_asked_of_no_area_where_the_score_is_no_sign(talker_file, seen, monkeypatch, label):
    witness = plugins.get("witnesses", "forgerytalker").load(weights=str(talker_file))
    monkeypatch.setattr("facewitness.witnesses.forgerytalker.decided", lambda score, fit: label)
    witness.calibration, witness._strength = None if label is None else {"slope": 1.0, "offset": 0.0}, None
    words = "No facial area shows a manipulation."
    witness.network = Says(words, {"mouth": 0.6}, _over(witness, seen.track.face, "mouth"))
    reply = witness.examine(*seen).reply
    assert witness.network.told == [() if label == "real" else ("mouth",)]
    assert ("by a score that counts as no sign" in reply.notes[0]) == (label == "real") and "mouth" in reply.notes[0]


@pytest.mark.parametrize("how", ["name", "box", "click", "mask"])
@pytest.mark.parametrize("forged", [True, False])
def test_forgerytalker_answers_about_a_place_from_its_mask(talker_file, seen, how, forged):
    witness = plugins.get("witnesses", "forgerytalker").load(weights=str(talker_file))
    face = seen.track.face
    place = _nose(face, how)
    mask = _over(witness, face, "nose" if forged else "left_eye")
    witness.network = Says("The nose is smeared.", {"nose": 0.9, "eye": 0.2}, mask)
    heard = []
    reply = witness.answer(*seen, Question("Is this forged?", (place,)), (), heard.append)
    there = "the nose" if how == "name" else "that place"
    assert reply.text.startswith(f"Yes, {there} is forged" if forged else f"No, {there} is not forged")
    assert heard == [reply.text] and ("prompter" in reply.text) == (how == "name")
    assert [finding.region for finding in reply.findings] == ([place.region] if forged else [])
    outside = Place(face.at, None, (-50.0, -50.0, -40.0, -40.0))
    assert "outside what was looked at" in witness.answer(*seen, Question("And this?", (outside,))).text


def test_a_sentence_that_no_report_ends_in_is_left_out_and_told(talker_file, seen):
    witness = plugins.get("witnesses", "forgerytalker").load(weights=str(talker_file))
    face = seen.track.face
    witness._artefacts = ("is smeared", "has a faint doubled edge")
    text = "The nose is around it. The area under the left eye is smeared."
    witness.network = Says(text, {"nose": 0.9}, _over(witness, face, "nose"))
    reply = witness.examine(*seen).reply
    assert "around it" not in reply.text and reply.text.endswith("The area under the left eye is smeared.")
    assert reply.findings[0].claim == "The nose shows traces of forgery."
    assert "What it said of the nose is no sentence that it learned, and is left out." in reply.notes
    assert any("the area under the left eye" in note for note in reply.notes)  # as the report calls it


def test_forgerytalker_gives_its_report_to_what_points_nowhere(talker_file, seen):
    load = plugins.get("witnesses", "forgerytalker").load
    witness = load(weights=str(talker_file))
    witness.network = Says("The nose is smeared.", {"nose": 0.9}, _over(witness, seen.track.face, "nose"))
    assert witness.answer(*seen, Question("What is wrong?")).text == "The nose is smeared."
    with pytest.raises(BackendError, match="loaded without words"):
        load(weights=str(talker_file), words=False).answer(*seen, Question("What is wrong?"))


def test_the_network_itself_examines_and_is_described(talker_file, seen):
    witness = plugins.get("witnesses", "forgerytalker").load(weights=str(talker_file), max_tokens=6)
    testimony = witness.examine(*seen)
    assert 0 <= testimony.fake <= 1 and testimony.mask is not None and testimony.reply is not None
    card = json.loads(talker_file.with_suffix(".json").read_text())
    assert witness.made_by()["weights"] == {"forgerytalker.safetensors": card["sha256"]}
    silent = plugins.get("witnesses", "forgerytalker").load(weights=str(talker_file), words=False)
    assert silent.examine(*seen).reply is None


@pytest.mark.parametrize("name", ["forgerytalker", "fifa"])
def test_weights_that_are_not_there_or_another_kind_are_told(name, talker_file, fifa_file, tmp_path):
    load = plugins.get("witnesses", name).load
    with pytest.raises(WeightsError, match=f"facewitness train {name}"):
        load(weights=str(tmp_path / "none.safetensors"))
    with pytest.raises(WeightsError, match=f"saved {name}"):
        load(weights=str(fifa_file if name == "forgerytalker" else talker_file))
    with pytest.raises(InputError, match="max_tokens"):
        load(weights=str(talker_file if name == "forgerytalker" else fifa_file), max_tokens=0)
    with pytest.raises(InputError, match="device"):
        load(weights=str(talker_file if name == "forgerytalker" else fifa_file), device="abacus")


@pytest.mark.parametrize(
    ("text", "left", "less"),
    [
        ("The nose is odd. The chin is odd. The chin is odd. The chin is", "The nose is odd. The chin is odd.", True),
        ("The nose is odd. The chin is odd.", "The nose is odd. The chin is odd.", False),
        ("The nose", "The nose", False),
        ("", "", False),
    ],
)
def test_a_sentence_is_said_once(text, left, less):
    from facewitness.witnesses.forgerytalker import _once

    assert _once(text) == (left, less)


# ---------------------------------------------------------------------------------------------------------------- fifa


@pytest.fixture
def facext(fifa_file):
    return plugins.get("witnesses", "fifa").load(weights=str(fifa_file), max_tokens=8)


def _answers(witness, monkeypatch, *answers: Answered):
    asked = []

    def answer(seen, questions, most, least=0.0):
        asked.extend(questions)
        return [answers[min(i, len(answers) - 1)] for i in range(len(questions))]

    monkeypatch.setattr(witness.network, "answer", answer)
    return asked


def test_the_explanation_has_a_mask_behind_every_region(facext, seen, monkeypatch):
    face = seen.track.face
    masks = (_over(facext, face, "left_eye"), _over(facext, face, "nose"))
    text = "The <p>left eye</p> [SEG] has a seam. The <p>nose</p> [SEG] is smeared."
    _answers(facext, monkeypatch, Answered(text, masks))
    testimony = facext.examine(*seen)
    assert [f.region for f in testimony.findings] == ["left_eye", "nose"]
    assert testimony.reply.text == "The left eye has a seam. The nose is smeared." and testimony.reply.label == "fake"
    assert set(testimony.kind) and sum(testimony.kind.values()) == pytest.approx(1)
    box = geometry.bounds(np.concatenate(regions.polygons("left_eye", face.landmarks)))
    assert geometry.iou(testimony.findings[0].box, box) > 0.3


def test_a_mask_is_kept_to_the_region_that_its_words_name(facext, seen, monkeypatch):
    face = seen.track.face
    monkeypatch.setattr(facext.network, "concepts", ("right_eye", "right_under_eye", "mouth"))
    both = _over(facext, face, "right_under_eye", "left_under_eye")
    _answers(facext, monkeypatch, Answered("The <p>area under the right eye</p> [SEG] has a seam.", (both,)))
    (finding,) = facext.examine(*seen).findings
    assert finding.region == "right_under_eye", "not the eye, whose name is a part of this one's"
    outline = geometry.bounds(np.concatenate(regions.polygons("right_under_eye", face.landmarks)))
    assert geometry.iou(finding.box, outline) > 0.3


def test_a_mask_that_comes_out_empty_is_cut_from_the_map_and_told(facext, seen, monkeypatch):
    face = seen.track.face
    monkeypatch.setattr(facext, "_map", lambda logits: _over(facext, face, "nose", "mouth"))
    empty = np.full((32, 32), 0.2, np.float32)
    _answers(facext, monkeypatch, Answered("The <p>nose</p> [SEG] is smeared.", (empty,)))
    reply = facext.examine(*seen).reply
    nose = geometry.bounds(np.concatenate(regions.polygons("nose", face.landmarks)))
    assert geometry.iou(reply.findings[0].box, nose) > 0.5
    assert any("cut from its map" in told for told in reply.notes)
    assert plugins.get("scores", "grammar").score(reply, Truth("fake")) == 1.0, "a quarrel breaks no form"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("The <p>nose [SEG] is smeared.", 1),
        ("The <p>left <p>eye</p></p> [SEG] is odd.", 1),
        ("The <p>nose</p> [SEG] [SEG] is odd.", 1),
        ("The <p>nose</p> is odd.", 0),
        ("The <p>nose</p> [SEG] is odd.", 0),
    ],
)
def test_text_that_breaks_its_form_is_told_and_never_ends_an_examination(facext, seen, monkeypatch, text, count):
    _answers(facext, monkeypatch, Answered(text, tuple(np.ones((32, 32), np.float32) for _ in range(count))))
    reply = facext.examine(*seen).reply
    assert reply.refusals and any(word in reply.text for word in ("odd", "smeared"))


@pytest.mark.parametrize("how", ["name", "box", "click", "mask"])
def test_a_question_may_point_in_four_ways(facext, seen, monkeypatch, how):
    face = seen.track.face
    place = _nose(face, how)
    x, y = (place.box[0] + place.box[2]) / 2, (place.box[1] + place.box[3]) / 2
    asked = _answers(facext, monkeypatch, Answered("Yes.", ()), Answered("The nose is smeared.", ()))
    reply = facext.answer(*seen, Question("Is this forged?", (place,)))
    assert reply.text.startswith("Yes, the nose is forged" if how == "name" else "Yes, that place is forged")
    (query,) = asked[0][2]
    assert query.how == how
    ys, xs = (query.map > 0.5).nonzero()
    there = geometry.transform(geometry.align(face.landmarks, 112, 1.25), np.array([[x, y]]))[0]
    assert np.hypot(xs.mean() + 0.5 - there[0], ys.mean() + 0.5 - there[1]) < 6
    assert reply.findings and reply.findings[0].claim == "The nose is smeared."


@pytest.mark.parametrize("how", ["name", "box"])
def test_words_about_another_place_than_the_one_asked_about_are_not_said(facext, seen, monkeypatch, how):
    face = seen.track.face
    box = geometry.bounds(np.concatenate(regions.polygons("nose", face.landmarks)))
    place = Place(face.at, "nose" if how == "name" else None, box)
    _answers(facext, monkeypatch, Answered("Yes.", ()), Answered("The mouth is smeared.", ()))
    reply = facext.answer(*seen, Question("What is wrong here?", (place,)))
    assert "mouth" not in reply.text and reply.text.endswith("It has nothing to say of what is wrong there.")
    assert reply.findings[0].claim == ("The nose is forged." if how == "name" else "That place is forged.")
    rendered = plugins.get("grammars", "interleaved").render(reply)
    there = "<p>the nose</p>" if how == "name" else "<p>that place</p>"
    assert rendered.startswith(f"Yes, {there} [SEG] is forged. ")


def test_an_answer_that_is_neither_yes_nor_no_says_nothing_of_the_place(facext, seen, monkeypatch):
    face = seen.track.face
    box = geometry.bounds(np.concatenate(regions.polygons("nose", face.landmarks)))
    _answers(facext, monkeypatch, Answered("The", ()), Answered("The nose is smeared.", ()))
    reply = facext.answer(*seen, Question("Is this forged?", (Place(face.at, "nose", box),)))
    assert reply.text == "It has nothing to say of the nose." and not reply.findings and reply.refusals


@pytest.mark.parametrize(("score", "says"), [(0.1, "real"), (0.95, None)])
def test_a_place_accused_of_a_face_that_is_not_called_fake_is_told(facext, seen, monkeypatch, score, says):
    face = seen.track.face
    box = geometry.bounds(np.concatenate(regions.polygons("nose", face.landmarks)))
    monkeypatch.setattr(facext, "_score", lambda _: score)
    monkeypatch.setattr(fifa_witness, "decided", lambda value, _: "fake" if value > 0.5 else "real")
    _answers(facext, monkeypatch, Answered("Yes.", ()), Answered("The nose is smeared.", ()))
    notes = " ".join(facext.answer(*seen, Question("Is this forged?", (Place(face.at, "nose", box),))).notes)
    assert (f"accuse the nose, but the score, {score:.2f}, says {says}" in notes) if says else not notes


@pytest.mark.parametrize("how", ["name", "box", "click"])
@pytest.mark.parametrize(("offset", "says"), [(0.0, "Yes, "), (9.0, "Yes, "), (-9.0, "No, ")])
def test_words_count_beside_map_and_score_where_a_place_is_pointed_at(
    fifa_file, tmp_path, seen, monkeypatch, how, offset, says
):
    for file in (fifa_file, *fifa_file.parent.glob("*.json")):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    card = tmp_path / f"{fifa_file.stem}.json"
    facts = json.loads(card.read_text())
    if offset:
        facts["yes"] = {"words": 0.0, "map": 0.5, "face": 0.1, "offset": offset}
    card.write_text(json.dumps(facts))
    witness = plugins.get("witnesses", "fifa").load(weights=str(tmp_path / fifa_file.name), max_tokens=8)
    _answers(witness, monkeypatch, Answered("Yes.", ()), Answered("Nothing is wrong there.", ()))
    reply = witness.answer(*seen, Question("Is this forged?", (_nose(seen.track.face, how),)))
    assert reply.text.startswith(says) and bool(reply.findings) == (says == "Yes, ")


@pytest.mark.parametrize("wrong", [3, {"words": 1.0}, {"words": 1.0, "map": "a", "face": 0.0, "offset": 0.0},
                                   {"words": float("nan"), "map": 1.0, "face": 0.0, "offset": 0.0},
                                   {"words": True, "map": 1.0, "face": 0.0, "offset": 0.0},
                                   {"words": 10**400, "map": 1.0, "face": 0.0, "offset": 0.0}])  # fmt: skip
def test_weights_of_a_yes_that_are_none_are_told(fifa_file, tmp_path, wrong):
    for file in (fifa_file, *fifa_file.parent.glob("*.json")):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    card = tmp_path / f"{fifa_file.stem}.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"yes": wrong}))
    with pytest.raises(WeightsError, match="words, map, face, offset as yes"):
        plugins.get("witnesses", "fifa").load(weights=str(tmp_path / fifa_file.name))


@pytest.mark.parametrize("wrong", [{"crop": {"margin": -1}}, {"crop": {"margin": 1e30}}, {"crop": {"margin": True}},
                                   {"crop": {}}, {"strength": 7}, {"strength": "x"}, {"least": 2}])  # fmt: skip
def test_a_card_of_which_a_number_cannot_be_is_told(fifa_file, tmp_path, wrong):
    for file in (fifa_file, *fifa_file.parent.glob("*.json")):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    card = tmp_path / f"{fifa_file.stem}.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | wrong))
    with pytest.raises(WeightsError, match=rf"expected (crop\.)?{'margin' if 'crop' in wrong else next(iter(wrong))}"):
        plugins.get("witnesses", "fifa").load(weights=str(tmp_path / fifa_file.name))


def test_a_no_of_what_the_map_marks_is_told(facext, seen, monkeypatch):
    examined = facext.network.seen
    monkeypatch.setattr(
        facext.network, "seen", lambda *g, **m: (s := examined(*g, **m))._replace(where=torch.full_like(s.where, 9.0))
    )
    _answers(facext, monkeypatch, Answered("No.", ()), Answered("Nothing is wrong there.", ()))
    face = seen.track.face
    reply = facext.answer(*seen, Question("Is this forged?", (Place(face.at, "nose", face.box),)))
    assert reply.text == "No, the nose is not forged."
    assert reply.notes[-1].startswith("Its map marks") and reply.notes[-1].endswith("of the nose all the same.")


def test_no_to_a_place_points_nowhere(facext, seen, monkeypatch):
    face = seen.track.face
    box = geometry.bounds(np.concatenate(regions.polygons("nose", face.landmarks)))
    _answers(facext, monkeypatch, Answered("No.", ()), Answered("Nothing is wrong there.", ()))
    reply = facext.answer(*seen, Question("Is this forged?", (Place(face.at, "nose", box),)))
    assert reply.text == "No, the nose is not forged." and not reply.findings


def test_a_region_that_the_pose_hides_is_told_and_not_answered(facext, seen, monkeypatch):
    face = seen.track.face
    mesh = np.array(face.landmarks, np.float64)
    centre = mesh.mean(axis=0)
    turn = np.deg2rad(55)
    flat = mesh[:, :3] - centre[:3]
    mesh[:, 0] = flat[:, 0] * np.cos(turn) + flat[:, 2] * np.sin(turn) + centre[0]
    turned = replace(face, landmarks=mesh.astype(np.float32))
    gone = sorted(regions.hidden(turned.landmarks) & set(regions.REGIONS) - {"teeth", "upper_teeth", "lower_teeth"})
    name = next(n for n in gone if n.endswith("_ear"))
    asked = _answers(facext, monkeypatch, Answered("Yes.", ()), Answered("The nose is smeared.", ()))
    places = (Place(face.at, name, face.box), Place(face.at, "nose", face.box))
    affine, looked = facext._seen(turned, seen.clip.at(face.at).pixels)
    reply = facext._about(turned, affine, looked, places)
    assert "cannot be seen in this pose" in reply.text and not reply.refusals and len(asked) == 2, (
        "only the nose was asked"
    )
    assert [f.region for f in reply.findings] == ["nose"]


def test_a_place_off_the_face_is_told(facext, seen):
    at = seen.track.face.at
    off = Place(at, None, (-50.0, -50.0, -40.0, -40.0))
    reply = facext.answer(*seen, Question("Is this forged?", (off, Place(at, "nose", seen.track.face.box))))
    assert reply.text.startswith("That place lies outside what was looked at; nothing is said of it. ")
    assert "the nose" in reply.text, "what else is pointed at gets its answer"


def test_questions_without_a_place_are_answered(facext, seen):
    for words in ("Is this face real?", "What kind of forgery is it?", "Which regions are forged?", "Why?"):
        assert facext.answer(*seen, Question(words)) is not None


@pytest.mark.parametrize(("strength", "says"), [(9.0, "It was forged here."), (-9.0, "There is nothing to show: ")])
def test_where_the_whole_forgery_is_comes_from_the_map(facext, seen, monkeypatch, strength, says):
    examined = facext.network.seen

    def looked(*given, **more):
        found_there = examined(*given, **more)
        return found_there._replace(where=torch.full_like(found_there.where, strength))

    monkeypatch.setattr(facext.network, "seen", looked)
    reply = facext.answer(*seen, Question("Show where it was forged."))
    assert reply.text.startswith(says) and bool(reply.findings) == (strength > 0)
    marks = [part for part in reply.parts if isinstance(part, Mark)]
    assert len(marks) == len(reply.findings) and reply.label == ("fake" if strength > 0 else None)
