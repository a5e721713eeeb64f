"""The witness mare with a tiny module: its score and map, replies held against boxes and score, bad replies."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
from doubles import Seen, tiny_fdm, tiny_kfd  # noqa: E402

from facewitness import geometry, plugins, regions  # noqa: E402
from facewitness.errors import BackendError, InputError, WeightsError  # noqa: E402
from facewitness.models.fdm import FDM  # noqa: E402
from facewitness.pipeline import Analyzer  # noqa: E402
from facewitness.types import Question  # noqa: E402
from facewitness.witnesses import _drawn  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE = 112  # of the crop that the language model sees
load = plugins.get("witnesses", "mare").load
CALIBRATION = {
    "slope": 1.0, "offset": 0.0, "knots": [0.0], "low": [0.4], "high": [0.6], "real_below": 0.2, "fake_above": 0.8,
    "genuine_called_fake": 0.05, "fakes_called_real": 0.05, "fakes": 0.5, "rows": 100, "groups": 50, "rates": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    path = tiny_fdm(tmp_path_factory.mktemp("fdm"))
    facts = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(facts | {"calibration": CALIBRATION}))
    return path


def face(size: int = 160, landmarks: bool = True, turned: float = 0.0) -> Seen:
    pixels = np.random.default_rng(size).integers(0, 256, (size, size, 3), dtype=np.uint8)
    if not landmarks:
        return Seen.of(pixels)
    mesh = regions.average_landmarks() * (size * 0.6)
    mesh[:, :2] += (size / 2 - mesh[:, 0].mean(), size / 2 - mesh[:, 1].mean())
    cos, sin = np.cos(turned), np.sin(turned)
    mesh[:, :2] = (mesh[:, :2] - size / 2) @ np.array([[cos, sin], [-sin, cos]]) + size / 2
    (x1, y1), (x2, y2) = mesh[:, :2].min(0).tolist(), mesh[:, :2].max(0).tolist()
    return Seen.of(pixels, (x1, y1, x2, y2), mesh.astype(np.float32))


class Words:
    """A language model that has one reply, and keeps what it was shown and asked."""

    name = "words"

    def __init__(self, text, shares=None):
        self.text, self.shares, self.asked = text, shares, []

    def answer(self, crop, question):
        self.asked.append((crop, question))
        return self.text


class Says(torch.nn.Module):
    """A module that says what it is told, in the place of the network."""

    def __init__(self, score: float):
        super().__init__()
        self.logit = float(np.log(score / (1 - score)))

    def forward(self, pixels):
        flat = torch.full((len(pixels), 4, 4), self.logit)
        return SimpleNamespace(logit=flat[:, 0, 0], evidence=flat)


def told(path: Path, score: float, text=None, **options):
    language = text if text is None or hasattr(text, "answer") else Words(text)
    witness = load(weights=str(path), language=language, side=SIDE, **options)
    witness.module = Says(score)
    return witness


def reply(explanation: str, **boxes) -> str:
    answer = json.dumps({"explanation": explanation, "bboxes": boxes})
    return f"<think>I look at the face.</think><answer>{answer}</answer>"


def on_crop(witness, seen: Seen, name: str) -> list[float]:
    """A region's box on the crop that the language model sees, by the landmarks."""
    to_crop = geometry.align(seen.face.landmarks, SIDE, witness.made_by()["options"]["margin"])
    outline = geometry.transform(to_crop, np.concatenate(regions.polygons(name, seen.face.landmarks)))
    return [float(v) for v in geometry.bounds(outline)]


# --------------------------------------------------------------------------------------------------------- what it says


def test_score_and_mask_are_the_modules_on_the_crop(saved):
    seen = face(64, landmarks=False)
    said = load(weights=str(saved), flip=False).examine(*seen)
    pixels = torch.from_numpy(seen.pixels.copy()).permute(2, 0, 1)[None].float()
    module = FDM.load(saved)
    with torch.inference_mode():
        found = module(pixels)
    assert said.fake == pytest.approx(found.score.item(), abs=1e-6) and said.kind is None
    assert said.findings == () and said.reply is None and said.problem == ""
    assert said.mask.box == seen.face.box
    assert said.mask.values.mean() == pytest.approx(module.attention(pixels).mean(), abs=0.02)


def test_a_mirrored_face_is_judged_alike(saved):
    witness = load(weights=str(saved))
    crop = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    score, attention = witness.scored(crop)
    mirrored_score, mirrored = witness.scored(np.ascontiguousarray(crop[:, ::-1]))
    assert score == pytest.approx(mirrored_score, abs=1e-6) and np.allclose(attention, mirrored[:, ::-1], atol=1e-6)


@pytest.mark.parametrize("turned", [0.0, 0.4])
def test_a_box_on_the_crop_is_a_finding_on_the_frame(saved, turned):
    seen = face(300, turned=turned)
    plain = told(saved, 0.9)
    words = Words(reply("The face looks fake. The nose is blurred.", nose=on_crop(plain, seen, "nose")))
    said = told(saved, 0.9, words).examine(*seen)
    (finding,) = [f for f in said.findings if f.region == "nose"]
    expected = geometry.bounds(np.concatenate(regions.polygons("nose", seen.face.landmarks)))
    corners = np.array([[finding.box[i], finding.box[j]] for i in (0, 2) for j in (1, 3)])
    assert finding.claim == "The nose is blurred." and finding.strength is None and finding.mask is None
    if turned:  # the box around a turned box holds the region and is wider
        assert finding.box[0] <= expected[0] + 0.5 and finding.box[3] >= expected[3] - 0.5
        assert np.abs(corners.mean(0) - seen.face.landmarks[1, :2]).max() < 40
    else:
        assert np.allclose(finding.box, expected, atol=0.5)
    ((crop, question),) = words.asked
    assert crop.shape == (SIDE, SIDE, 3) and question.startswith("Does this face look real or fake, and why? Reply as")


# ---------------------------------------------------------------------------------------------------- mutual validation


SHARES = {"agreed": 0.8, "boxed": 0.9, "named": 0.3}


def test_words_and_boxes_that_agree_are_a_claim_as_strong_as_measured(saved):
    text = reply("The image looks fake. The nose is blurred.", nose=[40, 40, 60, 70])
    said = told(saved, 0.9, Words(text, SHARES)).examine(*face())
    assert [(f.region, f.strength) for f in said.findings] == [("nose", 0.8)]
    assert said.problem == "" and said.reply.refusals == ()
    assert said.reply.thought == "I look at the face."
    assert said.reply.notes == ("The words agree with the score of the forgery traces, 0.90, which says fake.",)


def test_a_region_without_its_box_or_its_words_is_told_and_weaker(saved):
    text = reply(
        "The image looks fake. The nose is blurred. The chin is too dark.",
        nose=[40, 40, 60, 70],
        mouth=[40, 75, 70, 90],
    )
    seen = face()
    said = told(saved, 0.9, Words(text, SHARES)).examine(*seen)
    assert [(f.region, f.strength) for f in said.findings] == [("nose", 0.8), ("mouth", 0.4), ("chin", 0.3)]
    _, mouth, chin = said.findings
    assert mouth.claim == "The mouth shows traces of forgery (boxed, but not named)."
    assert chin.claim == "The chin is too dark (named, but not boxed)."
    expected = geometry.bounds(np.concatenate(regions.polygons("chin", seen.face.landmarks)))
    assert chin.box == geometry.clip(expected, 160, 160)
    assert "The reply boxes the mouth without naming it in words." in " ".join(said.reply.notes)
    assert "The reply names the chin without a box." in " ".join(said.reply.notes)
    unmeasured = told(saved, 0.9, text).examine(*seen)
    assert [f.strength for f in unmeasured.findings] == [None] * 3


def test_what_is_not_agreed_is_weaker_even_where_nobody_measured_it(saved):
    text = reply("It looks fake. The nose is blurred. The chin is dark.", nose=[40, 40, 60, 70])
    said = told(saved, 0.9, Words(text, {"agreed": 0.8})).examine(*face())
    assert [(f.region, f.strength) for f in said.findings] == [("nose", 0.8), ("chin", 0.4)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The image looks fake. The nose is blurred, but the eyes look natural.", ["nose"]),
        ("It looks fake. The eyes are normal. The nose lacks natural pores.", ["nose"]),
        ("It looks fake. The nose is blurred; the mouth looks real.", []),  # both verdicts: no verdict
        ("The eyes look natural.", []),
        ("The image looks fake. It has manipulated face regions.", []),  # no place
        ("The nose is blurred.", []),  # no verdict and no box
    ],
)
def test_only_what_is_accused_is_claimed(saved, text, found):
    said = told(saved, 0.9, reply(text)).examine(*face())
    assert [f.region for f in said.findings] == found


def test_without_a_verdict_a_box_accuses_and_a_name_alone_does_not(saved):
    text = reply("The nose is blurred. The chin is dark.", nose=[40, 40, 60, 70], mouth=[40, 75, 70, 90])
    said = told(saved, 0.9, Words(text, SHARES)).examine(*face())
    assert [(f.region, f.strength) for f in said.findings] == [("nose", 0.8), ("mouth", 0.4)]


def test_a_box_elsewhere_than_its_region_is_told_and_is_no_box(saved):
    text = reply("The image looks fake. The nose is blurred.", nose=[0, 0, 6, 6], chin=[0, 0, 6, 6])
    seen = face()
    said = told(saved, 0.9, Words(text, SHARES)).examine(*seen)
    (nose,) = said.findings
    assert nose.claim == "The nose is blurred (named, but not boxed)." and nose.strength == 0.3
    assert "The box of the nose and the chin lies elsewhere on the face." in " ".join(said.reply.notes)
    bare = told(saved, 0.9, Words(text, SHARES)).examine(*face(160, landmarks=False))
    assert [f.region for f in bare.findings] == ["nose", "chin"], "without a mesh nobody knows better"


def test_a_face_without_a_mesh_has_no_place_for_a_region_that_is_only_named(saved):
    text = reply("The image looks fake. The nose is blurred. The chin is dark.", nose=[40, 40, 60, 70])
    seen = face(160, landmarks=False)
    said = told(saved, 0.9, text).examine(*seen)
    assert [f.region for f in said.findings] == ["nose"]
    assert said.findings[0].box == pytest.approx([v * 160 / SIDE for v in (40, 40, 60, 70)], abs=0.01)
    assert "It is not known where the chin would be" in " ".join(said.reply.notes)


def test_a_reply_that_says_real_accuses_no_place(saved):
    said = told(saved, 0.1, reply("The image looks real. The eyes are natural.")).examine(*face())
    assert said.findings == () and "without a box" not in " ".join(said.reply.notes)
    boxed = told(saved, 0.1, reply("The image looks real.", nose=[40, 40, 60, 70])).examine(*face())
    assert boxed.findings == () and "The reply says real, but boxes the nose." in " ".join(boxed.reply.notes)


def test_a_description_of_a_genuine_persons_features_is_not_shown(saved):
    text = "The image looks real. The person has a straight nose and a full mouth."
    said = told(saved, 0.1, reply(text)).examine(*face()).reply
    assert (
        said.text == "The image looks real." and "A description of the person's features was left out" in said.notes[1]
    )
    fake = told(saved, 0.9, reply("The image looks fake. The person has a bent nose.")).examine(*face()).reply
    assert "bent nose" in fake.text, "there it is a sign"


def test_a_way_of_forging_that_nobody_measured_is_told(saved):
    said = told(saved, 0.9, reply("The image looks fake. It looks like an AI-generated image.")).examine(*face()).reply
    assert "was never measured to tell" in said.notes[1]
    plain = told(saved, 0.9, reply("The image looks fake. The nose is blurred.")).examine(*face()).reply
    assert "never measured" not in " ".join(plain.notes)


# -------------------------------------------------------------------------------------------------- words against score


@pytest.mark.parametrize(
    ("score", "explanation", "says"), [(0.9, "The image looks real.", "fake"), (0.1, "The image looks fake.", "real")]
)
def test_words_that_contradict_the_score_say_so_and_the_verdict_stays_open(saved, score, explanation, says):
    witness = told(saved, score, reply(explanation))
    said = witness.examine(*face())
    assert f"contradict the score of the forgery traces, {score:.2f}, which says {says}" in " ".join(said.reply.notes)
    assert said.fake == pytest.approx(score), "the words do not move the score"
    report = Analyzer(finder="whole", witnesses=[witness]).analyze(face(96).pixels)
    assert report.verdict.label == "inconclusive" and "contradicts itself" in report.verdict.reasons[0]
    silent = Analyzer(finder="whole", witnesses=[told(saved, score)]).analyze(face(96).pixels)
    assert silent.verdict.label == says


def test_an_answer_about_a_region_is_no_verdict_on_the_face(saved):
    witness = told(saved, 0.9, reply("The nose looks real."))
    heard = []
    about_nose = witness.answer(*face(), Question("Does the person's nose look real/fake?"), hear=heard.append)
    assert about_nose.label is None and "about the nose, not about the face" in " ".join(about_nose.notes)
    assert heard == ["The nose looks real."]
    assert witness.answer(*face(), Question("Is this face fake?")).label == "real", "the face is no region here"


@pytest.mark.parametrize(("score", "says"), [(0.05, "real"), (0.5, "inconclusive"), (0.95, None)])
def test_a_region_accused_of_a_face_that_is_not_called_fake_is_told(saved, score, says):
    witness = told(saved, score, reply("The nose looks fake."))
    notes = " ".join(witness.answer(*face(), Question("Does the person's nose look real/fake?")).notes)
    quarrel = f"accuse the nose, but the score of the forgery traces, {score:.2f}, says {says} of the face"
    assert (quarrel in notes) if says else ("accuse" not in notes)


def test_the_report_shows_what_the_reply_says_and_where(saved):
    text = reply("The image looks fake. The nose is blurred.", nose=[40, 40, 60, 70], mouth=[40, 75, 70, 90])
    report = Analyzer(finder="whole", witnesses=[told(saved, 0.95, text)]).analyze(face(96).pixels)
    assert report.verdict.label == "fake" and not report.problems
    sentences = [sentence.text for sentence in report.faces[0].explanation]
    assert any("The nose is blurred." in s for s in sentences)
    assert any("The mouth shows traces of forgery (boxed, but not named)." in s for s in sentences)


# --------------------------------------------------------------------------------------------------------- bad replies


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "in one way: empty: expected <think>"),
        ("The image looks fake.", "no think: expected"),
        ("<think>x</think><answer>{not JSON</answer>", "not JSON: "),
        ("<think>x</think><answer>[1, 2]</answer>", "another shape: expected an object"),
        (reply("The image looks fake.", tail=[1, 2, 3, 4]), "unknown region: 'tail'"),
        (reply("The image looks fake.", nose=[1, 2, 3]), "no box: expected four numbers"),
        (reply("The image looks fake.", nose=[60, 40, 40, 70]), "swapped"),
        (reply("Fake: the nose.", nose=[100, 40, 140, 70]), "outside: expected a box on a picture of 112"),
        (reply("fake " * 10_000), r"endless: expected at most 20,000 characters, got 50,\d+"),
        ("<think>" * 2_000, "several thinks"),
        ("[" * 100_000, "endless"),
    ],
)  # fmt: skip
def test_a_reply_that_breaks_the_grammar_is_a_problem_with_its_reasons(saved, text, sentence):
    witness = told(saved, 0.9, text)
    said = witness.examine(*face())
    assert re.search(sentence, said.problem) and said.problem.startswith("The language model's reply breaks")
    assert said.fake == pytest.approx(0.9) and said.reply.refusals
    report = Analyzer(finder="whole", witnesses=[witness]).analyze(face(96).pixels)
    assert report.status == "ok" and "breaks MARE's grammar" in report.problems[0].message


def test_many_reasons_are_counted_and_the_first_are_told(saved):
    text = '<think></think><answer>{"explanation": 3, "boxes": {}, "bboxes": {"tail": [1], "wing": 2}}</answer> bye'
    said = told(saved, 0.9, text).examine(*face())
    count = len(said.reply.refusals)
    assert count > 3 and f"in {count} ways: " in said.problem and f"; and {count - 3} more." in said.problem


def test_a_box_half_off_the_crop_is_cut_and_one_off_the_picture_is_told(saved):
    text = reply("Fake: the nose and the chin.", nose=[100, 40, 140, 70], chin=[200, 200, 220, 220])
    said = told(saved, 0.9, text).examine(*face(160, landmarks=False))
    assert [f.region for f in said.findings] == ["nose"] and said.findings[0].box[2] == 160
    assert "The box of the chin lies outside the picture." in " ".join(said.reply.notes)


@pytest.mark.parametrize("text", [None, 3, b"fake"])
def test_what_is_no_text_is_a_problem(saved, text):
    said = told(saved, 0.9, Words(text)).examine(*face())
    assert "expected a reply in words" in said.problem and said.reply is None and said.fake == pytest.approx(0.9)


def test_a_language_model_that_is_down_costs_its_words_only(saved):
    class Down:
        def answer(self, crop, question):
            raise BackendError("The server does not answer. Start it and try again.")

    report = Analyzer(finder="whole", witnesses=[told(saved, 0.9, Down())]).analyze(face(96).pixels)
    assert report.status == "ok" and "The server does not answer" in report.problems[0].message
    assert report.faces[0].verdict.testimonies[0].fake == pytest.approx(0.9)


# ------------------------------------------------------------------------------------------- a language model's folder


@pytest.fixture(scope="module")
def folder(saved, tmp_path_factory) -> Path:
    for package in ("peft", "transformers"):
        if find_spec(package) is None:
            pytest.skip(f"needs {package}, of the extra 'vlm'")
    from facewitness.grammars import mare
    from facewitness.models import prompted_vlm as pv
    from facewitness.models.trace_expert import TraceExpert
    from facewitness.train import small_vlm

    sentences = [mare.prompt("Does this face look real or fake, and why?")] * 2
    model, processor = small_vlm.make(sentences, width=64, layers=1, rows=400, size=SIDE, vision_width=32)
    pv.attach(model, TraceExpert.of(FDM.load(saved), 64, 64, grid=2), processor)
    made = tmp_path_factory.mktemp("language")
    pv.save(model, processor, made)
    return made


def test_a_folder_speaks_and_stands_in_made_by_with_its_hashes(saved, folder):
    witness = load(weights=str(saved), language=str(folder), side=SIDE, max_tokens=5)
    said = witness.examine(*face())
    assert said.reply is not None and said.problem, "an untrained model keeps no grammar"
    made = json.loads(json.dumps(witness.made_by()))
    assert made["options"]["language"] == folder.name and made["options"]["max_tokens"] == 5
    assert set(made["weights"]) >= {"fdm.safetensors", f"{folder.name}/expert.safetensors"}
    assert all(len(digest) == 64 for digest in made["weights"].values())


def test_replies_are_drawn_alike_for_the_same_face_where_it_was_measured_how(saved, folder, monkeypatch):
    drawing = {"draws": 3, "temperature": 5.0, "words": 1.0, "evidence": 1.0, "offset": 0.0}
    plain = load(weights=str(saved), language=str(folder), side=SIDE, max_tokens=6)
    likeliest = plain.answer(*face(), Question("Is it fake?")).text
    (folder / "draws.json").write_text(json.dumps(drawing))
    try:
        witness = load(weights=str(saved), language=str(folder), side=SIDE, max_tokens=6)
        settled = witness.answer(*face(), Question("Is it fake?")).text
        assert settled == likeliest, "before the words of an explanation nothing is drawn"
        monkeypatch.setattr(_drawn, "WORDS", ("", "behind"))  # an untrained model writes no explanation
        state = torch.random.get_rng_state()
        said = [witness.answer(*face(size), Question("Is it fake?")).text for size in (160, 160, 161)]
        assert said[0] == said[1] and len({likeliest, *said}) == 3, "drawn, by the face"
        assert torch.equal(state, torch.random.get_rng_state()), "nobody else's draws are touched"
        for content in ("{", "[]", json.dumps(drawing | {"draws": 0}), json.dumps(drawing | {"words": float("nan")})):
            (folder / "draws.json").write_text(content)
            with pytest.raises(WeightsError, match="expected how replies are drawn"):
                load(weights=str(saved), language=str(folder))
    finally:
        (folder / "draws.json").unlink()


def test_measured_shares_lie_beside_the_language_model(saved, folder):
    (folder / "claims.json").write_text(json.dumps({**SHARES, "groups": 12}))
    try:
        witness = load(weights=str(saved), language=str(folder), side=SIDE, max_tokens=1)
        assert [witness._strength(kind) for kind in ("agreed", "boxed", "named")] == [0.8, 0.4, 0.3]
        for content in ("{", "[" * 99_999, "[]", '{"agreed": true}', '{"agreed": 7}', '{"agreed": 1, "agreed": 1}'):
            (folder / "claims.json").write_text(content)
            with pytest.raises(WeightsError, match=r"expected shares in \[0, 1\]"):
                load(weights=str(saved), language=str(folder))
    finally:
        (folder / "claims.json").unlink()


def test_score_and_words_rest_on_one_module(saved, folder, tmp_path):
    other = FDM.load(saved)
    with torch.no_grad():
        next(other.parameters()).add_(0.5)
    other.save(tmp_path / "fdm.safetensors", {"crop": {"size": 64}})
    with pytest.raises(WeightsError, match="learned from the traces of another module"):
        load(weights=str(tmp_path / "fdm.safetensors"), language=str(folder))


def test_a_language_model_of_another_witness_is_refused(saved, folder):
    speaks = load(weights=str(saved), language=str(folder), side=SIDE)._language
    speaks.expert = torch.nn.Linear(1, 1)
    with pytest.raises(WeightsError, match="fine-tuned for another witness than mare"):
        speaks.rests_on("mare", "fdm", FDM.load(saved), saved)


def test_a_folder_that_is_no_model_is_refused(saved, tmp_path):
    pytest.importorskip("peft")
    with pytest.raises(WeightsError, match="cannot be loaded"):
        load(weights=str(saved), language=str(tmp_path))


# ----------------------------------------------------------------------------------------------------------- bad input


def test_missing_weights_say_how_to_make_them(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEWITNESS_MODELS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"facewitness train fdm"):
        load()
    with pytest.raises(WeightsError, match=r"absent\.safetensors.*facewitness train fdm"):
        load(weights=str(tmp_path / "absent.safetensors"))


def test_a_card_that_does_not_say_the_size_needs_the_option(saved, tmp_path):
    facts = json.loads(saved.with_suffix(".json").read_text())
    (tmp_path / "fdm.safetensors").write_bytes(saved.read_bytes())
    (tmp_path / "fdm.json").write_text(json.dumps({k: v for k, v in facts.items() if k != "crop"}))
    with pytest.raises(WeightsError, match=r"expected crop\.size there, or the option size"):
        load(weights=str(tmp_path / "fdm.safetensors"))
    assert load(weights=str(tmp_path / "fdm.safetensors"), size=64).examine(*face()).fake is not None


def test_weights_of_another_kind_and_options_that_cannot_be_are_refused(saved, tmp_path):
    with pytest.raises(WeightsError):
        load(weights=str(tiny_kfd(tmp_path)))
    for options in ({"margin": 0.2}, {"side": 0}, {"max_tokens": 0}):
        with pytest.raises(InputError, match=f"expected {next(iter(options))} from 1 to"):
            load(weights=str(saved), **options)
    with pytest.raises(InputError, match="device: expected one that torch has here"):
        load(weights=str(saved), device="gpu")


def test_a_face_outside_its_picture_is_testified_about(saved):
    seen = face()
    outside = seen.moved(seen.face.landmarks + np.float32(5000))
    said = told(saved, 0.9, reply("Fake: the nose and the chin.", nose=[40, 40, 60, 70])).examine(*outside)
    assert said.findings == () and "outside the picture" in " ".join(said.reply.notes)
