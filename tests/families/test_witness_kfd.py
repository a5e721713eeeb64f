"""The witness kfd with a tiny detector: what it says, where, and what it does with words that contradict it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
from doubles import Seen, tiny_fdm, tiny_kfd  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from facewitness import geometry, plugins, regions  # noqa: E402
from facewitness.errors import BackendError, InputError, WeightsError  # noqa: E402
from facewitness.judge import judge  # noqa: E402
from facewitness.models.kfd import KFD, Detection  # noqa: E402
from facewitness.pipeline import Analyzer  # noqa: E402
from facewitness.types import Question  # noqa: E402
from facewitness.witnesses import kfd  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
SIZE = 64
load = plugins.get("witnesses", "kfd").load
CALIBRATION = {
    "slope": 1.0, "offset": 0.0, "knots": [0.0], "low": [0.4], "high": [0.6], "real_below": 0.2, "fake_above": 0.8,
    "genuine_called_fake": 0.05, "fakes_called_real": 0.05, "fakes": 0.5, "rows": 100, "groups": 50, "rates": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    return tiny_kfd(tmp_path_factory.mktemp("kfd"))


@pytest.fixture
def calibrated(saved, tmp_path) -> Path:
    facts = json.loads(saved.with_suffix(".json").read_text())
    facts |= {"calibration": CALIBRATION, "strength": {"slope": 1.0, "offset": 0.0, "threshold": 0.0}}
    (tmp_path / "kfd.safetensors").write_bytes(saved.read_bytes())
    (tmp_path / "kfd.json").write_text(json.dumps(facts))
    return tmp_path / "kfd.safetensors"


def face(size: int = 160, landmarks: bool = True) -> Seen:
    pixels = np.random.default_rng(size).integers(0, 256, (size, size, 3), dtype=np.uint8)
    if not landmarks:
        return Seen.of(pixels)
    mesh = regions.average_landmarks() * (size * 0.6)
    mesh[:, :2] += (size / 2 - mesh[:, 0].mean(), size * 0.2)
    (x1, y1), (x2, y2) = mesh[:, :2].min(0).tolist(), mesh[:, :2].max(0).tolist()
    return Seen.of(pixels, (x1, y1, x2, y2), mesh.astype(np.float32))


class Answers:
    """A detector that says what it is told, in the place of the network: `where` is the part of its crop it marks."""

    def __init__(self, witness, score: float, where: tuple[slice, slice] = (slice(0), slice(0))):
        self.encoders, self.linear = witness.detector.encoders, witness.detector.linear
        self.logit, self.where = float(np.log(score / (1 - score))), where

    def __call__(self, pixels):
        marked = torch.zeros(len(pixels), 1, SIZE, SIZE)
        marked[:, :, *self.where] = 1
        return Detection(torch.full((len(pixels),), self.logit), marked, marked, marked)


def told(path: Path, score: float, where=(slice(0), slice(0)), **options):
    witness = load(weights=str(path), flip=False, **options)
    witness.detector = Answers(witness, score, where)
    return witness


class Words:
    """A language model that has one answer, and keeps what it was asked."""

    name = "words"

    def __init__(self, text: str):
        self.text, self.asked = text, []

    def answer(self, face, pixels, testimony, question):
        self.asked.append((testimony.fake, question))
        return self.text


# --------------------------------------------------------------------------------------------------------- what it says


def test_score_and_mask_are_the_networks_on_the_aligned_crop(saved):
    witness, seen = load(weights=str(saved), flip=False), face(SIZE, landmarks=False)
    said = witness.examine(*seen)
    with torch.inference_mode():
        pixels = torch.from_numpy(seen.pixels.copy()).permute(2, 0, 1)[None].float()
        found = KFD.load(saved)(pixels)
    assert said.fake == pytest.approx(found.score.item(), abs=1e-6) and said.kind is None and said.reply is None
    assert said.mask.box == seen.face.box
    assert said.mask.values.mean() == pytest.approx(found.map.mean().item(), abs=1e-3)


def test_a_mirrored_face_is_judged_alike(saved):
    witness = load(weights=str(saved))
    crop = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    score, mask = witness.scored(crop)
    mirrored_score, mirrored = witness.scored(np.ascontiguousarray(crop[:, ::-1]))
    assert score == pytest.approx(mirrored_score, abs=1e-6) and np.allclose(mask, mirrored[:, ::-1], atol=1e-6)


def test_looks_from_around_are_averaged_on_the_own_crop(saved, calibrated):
    """A network whose map is how bright the crop is: from nearer, farther and mirrored looks it comes back in place."""
    witness, seen = load(weights=str(saved), around=True), face()
    rows, columns = np.mgrid[:480, :640]
    pixels = np.stack([(rows + columns) * 255 / 1120] * 3, -1).astype(np.uint8)
    asked = []

    class Bright(Answers):
        def __call__(self, views):
            asked.append(len(views))
            bright = views.mean(1, keepdim=True) / 255
            return Detection(torch.arange(len(views)).float(), bright, bright, bright)

    witness.detector = Bright(witness, 0.5)
    affine = kfd._places.crop_map(seen.face, SIZE, 1.3)
    score, located = witness._from_around(pixels, affine)
    own = geometry.crop(pixels, affine, SIZE).mean(-1) / 255
    assert asked == [len(kfd.AROUND)] and score == pytest.approx(1 / (1 + np.exp(-1.5)))
    assert np.abs(located - own).max() < 0.01 and np.ptp(own) > 0.05
    card = calibrated.with_suffix(".json")
    facts = json.loads(card.read_text())
    card.write_text(json.dumps(facts | {"around": True}))
    assert load(weights=str(calibrated)).made_by()["options"]["around"] is True
    assert load(weights=str(calibrated), around=False).made_by()["options"]["around"] is False
    card.write_text(json.dumps(facts | {"around": "yes"}))
    with pytest.raises(WeightsError, match="expected around as true or false"):
        load(weights=str(calibrated))


def test_regions_under_the_mask_are_found_where_they_are_without_a_strength(saved):
    upper = (slice(0, SIZE // 2), slice(None))
    said = told(saved, 0.9, upper).examine(*face())
    names = {finding.region for finding in said.findings}
    assert {"left_eye", "right_eye", "left_eyebrow", "right_eyebrow"} <= names and not names & {"mouth", "teeth"}
    for finding in said.findings:
        x1, y1, x2, y2 = finding.box
        assert finding.strength is None and finding.claim.endswith(".") and 0 <= x1 < x2 and 0 <= y1 < y2
        assert 0 < finding.mask.values.sum() < said.mask.values.sum()
    assert told(saved, 0.1).examine(*face()).findings == ()
    assert told(saved, 0.9, upper).examine(*face(landmarks=False)).findings == (), "no mesh, no places"


def test_what_of_the_map_is_one_half_stands_on_the_card(saved, calibrated):
    plain, shown = load(weights=str(saved), flip=False), load(weights=str(saved), flip=False)
    shown.half = 0.25
    before, after = (w.examine(*face()).mask.values for w in (plain, shown))
    assert ((before >= 0.25) == (after >= 0.5)).all() and not np.array_equal(before, after)
    assert kfd.halved(np.float32([0, 0.3, 0.65, 1]), 0.3).tolist() == pytest.approx([0, 0.5, 0.75, 1])
    card = calibrated.with_suffix(".json")
    facts = json.loads(card.read_text())
    card.write_text(json.dumps(facts | {"half": 0.3}))
    assert load(weights=str(calibrated)).half == 0.3
    for wrong in (0, 1, "a half"):
        card.write_text(json.dumps(facts | {"half": wrong}))
        with pytest.raises(WeightsError, match="expected half between 0 and 1"):
            load(weights=str(calibrated))


def test_strength_and_calibration_travel_with_the_weights(saved, calibrated):
    assert load(weights=str(saved)).calibration is None
    witness = told(calibrated, 0.9, (slice(None), slice(None)))
    said = witness.examine(*face())
    assert witness.calibration == CALIBRATION
    assert said.findings and all(f.strength == pytest.approx(1, abs=1e-3) for f in said.findings)
    report = Analyzer(finder="whole", witnesses=[witness]).analyze(face(96).pixels)
    assert report.verdict.label == "fake" and report.verdict.fake == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"crop": {"margin": 0}}, "expected crop.margin from 0.5 to 10"),
        ({"crop": {"margin": float("nan")}}, "expected crop.margin from 0.5 to 10"),
        ({"crop": {"margin": True}}, "expected crop.margin from 0.5 to 10"),
        ({"strength": [1]}, "expected strength with a finite slope and offset"),
        ({"strength": {"slope": float("nan"), "offset": 0.0}}, "expected strength with a finite slope and offset"),
    ],
)
def test_a_card_that_cannot_be_is_refused(calibrated, change, sentence):
    card = calibrated.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | change))
    with pytest.raises(WeightsError, match=sentence):
        load(weights=str(calibrated))


@pytest.mark.parametrize("card", [["x"], {"knows": 3}])
def test_a_card_of_no_sentences_is_refused(calibrated, card):
    file = calibrated.with_suffix(".json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"card": card}))
    with pytest.raises(InputError, match="expected a card of sentences"):
        Analyzer(finder="whole", witnesses=[load(weights=str(calibrated))])


def test_made_by_tells_options_and_weights(saved):
    made = json.loads(json.dumps(load(weights=str(saved), flip=False).made_by()))
    assert made["options"]["flip"] is False and made["options"]["weights"] == "kfd.safetensors"
    assert made["weights"]["kfd.safetensors"] == json.loads(saved.with_suffix(".json").read_text())["sha256"]


def test_a_gradcam_that_shows_nothing_leaves_the_detectors_map_and_says_so(saved, monkeypatch):
    plain, heat = load(weights=str(saved), flip=False), load(weights=str(saved), flip=False, gradcam=True)
    monkeypatch.setattr(heat, "attention", lambda crop: np.zeros(crop.shape[:2], np.float32))
    seen = face()
    own, shown = plain.examine(*seen), heat.examine(*seen)
    assert np.array_equal(own.mask.values, shown.mask.values) and own.problem == "" == shown.problem
    assert shown.notes == ("Grad-CAM: no place raises the score; the mask is the detector's own map.",)
    assert own.notes == ()


def test_gradcam_takes_the_masks_place_and_fades_with_the_score(saved):
    plain, seen = load(weights=str(saved), flip=False), face()
    heat = load(weights=str(saved), flip=False, gradcam=True)
    said, shown = plain.examine(*seen), heat.examine(*seen)
    assert shown.fake == said.fake and shown.mask.box == said.mask.box
    assert [f.region for f in shown.findings] == [f.region for f in said.findings]
    assert not np.allclose(shown.mask.values, said.mask.values)
    assert 0 < shown.mask.values.max() <= shown.fake + 1e-6


# ------------------------------------------------------------------------------------------------------------ in words


def test_words_that_agree_leave_the_verdict_as_it_is(calibrated):
    words = Words("Yes, this face is fake.")
    said = told(calibrated, 0.9, language=words).examine(*face())
    reply = said.reply
    assert reply.label == "fake" and reply.text == words.text
    assert [note[:20] for note in reply.notes] == ["The words agree with"]
    assert words.asked == [(said.fake, "Is this a deepfake image?")] and said.fake == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("score", "text", "says"), [(0.9, "No, this face is real.", "fake"), (0.1, "Yes. It is a deepfake.", "real")]
)
def test_words_that_contradict_the_score_say_so_and_the_verdict_stays_open(calibrated, score, text, says):
    witness = told(calibrated, score, language=Words(text))
    said = witness.examine(*face())
    assert "contradict the detector's score" in " ".join(said.reply.notes) and says in " ".join(said.reply.notes)
    assert said.fake == pytest.approx(score), "the words do not move the score"
    report = Analyzer(finder="whole", witnesses=[witness]).analyze(face(96).pixels)
    assert report.verdict.label == "inconclusive" and "contradicts itself" in report.verdict.reasons[0]
    silent = Analyzer(finder="whole", witnesses=[told(calibrated, score)]).analyze(face(96).pixels)
    assert silent.verdict.label == says


def test_an_answer_about_a_region_is_no_verdict_but_is_held_against_the_map(calibrated):
    upper = (slice(0, SIZE // 2), slice(None))
    witness = told(calibrated, 0.9, upper, language=Words("No. The mouth is genuine."))
    reply = witness.answer(*face(), Question("Is the mouth fake?"))
    assert reply.label is None and reply.notes == ("The words agree with the detector's map, which says real.",)
    eye = witness.answer(*face(), Question("Is the left eye fake?"))
    assert "contradict the detector's map" in " ".join(eye.notes)
    said = replace(witness.examine(*face()), reply=reply)
    verdict = judge(face().track, [said], Analyzer(finder="whole", witnesses=[witness]).calibrations)
    assert verdict.label == "fake", "no, not the mouth: the face may be fake all the same"


@pytest.mark.parametrize(("score", "says"), [(0.05, "real"), (0.5, "inconclusive"), (0.95, None)])
def test_a_region_accused_of_a_face_that_is_not_called_fake_is_told(calibrated, score, says):
    everywhere = (slice(None), slice(None))
    witness = told(calibrated, score, everywhere, language=Words("Yes, the left eye is fake."))
    notes = " ".join(witness.answer(*face(), Question("Is the left eye fake?")).notes)
    quarrel = f"accuse the left eye, but the detector's score, {score:.2f}, says {says} of the face"
    assert (quarrel in notes) if says else ("accuse" not in notes)
    cleared = told(calibrated, score, language=Words("No. The left eye is genuine."))
    assert "accuse" not in " ".join(cleared.answer(*face(), Question("Is the left eye fake?")).notes)


def test_words_that_decide_nothing_contradict_nothing(calibrated):
    said = told(calibrated, 0.9, language=Words("It is hard to say.")).examine(*face())
    assert said.reply.label == "inconclusive" and said.reply.notes == ()


@pytest.mark.parametrize(("text", "label"), [("No.", "real"), ("Yes, this face is fake.", "fake")])
def test_words_that_decide_where_the_score_does_not_are_told(calibrated, text, label):
    reply = told(calibrated, 0.5, language=Words(text)).examine(*face()).reply
    (note,) = reply.notes
    assert reply.label == label and note.startswith(f"The words say {label}, but the detector's score, 0.50, does not")


def test_named_regions_are_held_against_the_map(calibrated):
    upper = (slice(0, SIZE // 2), slice(None))

    def notes(text, where):
        witness = told(calibrated, 0.9, where, language=Words(text))
        return " ".join(witness.examine(*face()).reply.notes)

    accused = notes("Yes, this face is fake. The forged part is the left eye and the mouth.", upper)
    assert "accuse the mouth, where the detector's map marks nothing" in accused
    assert "accuse" not in notes("Yes, this face is fake. The forged part is the left eye.", upper)
    cleared = notes("No, this face is real. Nothing on the face was altered.", upper)
    assert "clear the whole face, but the detector's map marks" in cleared and "the left eye" in cleared


@pytest.mark.parametrize("text", [None, b"No.", 3, ["No."]])
def test_what_is_no_text_is_a_problem(calibrated, text):
    said = told(calibrated, 0.9, language=Words(text)).examine(*face())
    assert said.reply is None and "expected a reply in words, got" in said.problem


@pytest.mark.parametrize("language", [3, SimpleNamespace(reply="a text")])
@pytest.mark.parametrize("witness", ["kfd", "mare"])
def test_what_cannot_be_asked_is_refused(witness, language, calibrated, tmp_path):
    weights = calibrated if witness == "kfd" else tiny_fdm(tmp_path)
    with pytest.raises(InputError, match="expected language as a folder"):
        plugins.get("witnesses", witness).load(weights=str(weights), language=language)


def test_a_language_model_that_is_down_is_a_problem_of_the_report(calibrated):
    class Down:
        def answer(self, face, pixels, testimony, question):
            raise BackendError("The server does not answer. Start it and try again.")

    witness = told(calibrated, 0.9, language=Down())
    report = Analyzer(finder="whole", witnesses=[witness]).analyze(face(96).pixels)
    assert report.status == "ok" and "The server does not answer" in report.problems[0].message
    (said,) = report.faces[0].verdict.testimonies
    assert said.fake == pytest.approx(0.9) and said.reply is None  # what the detector says still counts


# ----------------------------------------------------------------------------------------------------------- bad input


def test_missing_weights_say_how_to_make_them(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEWITNESS_MODELS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"facewitness train kfd"):
        load()
    with pytest.raises(WeightsError, match=r"absent\.safetensors.*facewitness train kfd"):
        load(weights=str(tmp_path / "absent.safetensors"))


def test_weights_are_found_in_the_folder_of_models(saved, tmp_path, monkeypatch):
    import hashlib

    lines = []
    for suffix in (".safetensors", ".json"):
        content = saved.with_suffix(suffix).read_bytes()
        (tmp_path / f"kfd{suffix}").write_bytes(content)
        lines.append(f"{hashlib.sha256(content).hexdigest()}  kfd{suffix}\n")
    (tmp_path / "SHA256SUMS").write_text("".join(lines))
    monkeypatch.setenv("FACEWITNESS_MODELS", str(tmp_path))
    assert load(flip=False).examine(*face()).fake is not None


def test_half_a_checkpoint_a_pickle_and_another_file_are_refused(saved, tmp_path):
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(saved.read_bytes())
    with pytest.raises(WeightsError, match="two files"):
        load(weights=str(alone))
    facts = json.loads(saved.with_suffix(".json").read_text())
    alone.with_suffix(".json").write_text(json.dumps({k: v for k, v in facts.items() if k != "crop"}))
    with pytest.raises(WeightsError, match=r"crop\.margin"):
        load(weights=str(alone))
    alone.with_suffix(".json").write_text(json.dumps(facts))
    alone.write_bytes(saved.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="is not the file it should be"):
        load(weights=str(alone))
    save_file({"x": torch.zeros(1)}, alone)
    with pytest.raises(WeightsError, match="is not the file it should be"):
        load(weights=str(alone))


def test_weights_that_are_not_finite_are_refused(saved, tmp_path):
    detector = KFD.load(saved)
    with torch.no_grad():
        detector.linear[0].bias[0] = torch.inf
    detector.save(tmp_path / "kfd.safetensors", json.loads(saved.with_suffix(".json").read_text()))
    with pytest.raises(WeightsError, match=r"holds NaN or infinity in 1 of .* linear\.0\.bias"):
        load(weights=str(tmp_path / "kfd.safetensors"))


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_an_unknown_device_is_refused(saved, device):
    with pytest.raises(InputError, match="device: expected one that torch has here"):
        load(weights=str(saved), device=device)


def test_a_face_outside_its_picture_is_testified_about_without_a_region(saved):
    seen = face()
    outside = seen.moved(seen.face.landmarks + np.float32(5000))
    said = load(weights=str(saved), flip=False).examine(*outside)
    assert said.findings == () and said.fake is not None


def test_a_language_model_is_asked_as_it_was_taught():
    sbi_qa = pytest.importorskip("facewitness.builders.sbi_qa", reason="needs the extra 'forge'")
    assert kfd.TASK in sbi_qa.DESCRIPTIONS
