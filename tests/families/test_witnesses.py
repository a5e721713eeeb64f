"""What the compact witness adds to its family's promises (tests/test_checks.py)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import doubles
import numpy as np
import pytest

from facewitness import plugins, regions, weights
from facewitness.calibration import Calibration, logit, sigmoid
from facewitness.errors import InputError, UnknownName, WeightsError
from facewitness.types import Frame
from facewitness.witnesses import _places


def _face(pixels: np.ndarray, landmarks: bool = True) -> doubles.Seen:
    frame = Frame(pixels)
    if not landmarks:
        return doubles.Seen.of(pixels)
    mesh = regions.average_landmarks() * (frame.height * 0.6)
    mesh[:, :2] += (frame.width / 2 - mesh[:, 0].mean(), frame.height * 0.2)
    (x1, y1), (x2, y2) = mesh[:, :2].min(0).tolist(), mesh[:, :2].max(0).tolist()
    return doubles.Seen.of(pixels, (x1, y1, x2, y2), mesh.astype(np.float32))


# ------------------------------------------------------------------------------------------------------- compact


@pytest.fixture(scope="module")
def compact():
    return plugins.get("witnesses", "compact").load()


def test_a_mirrored_face_is_judged_alike_and_its_sides_are_exchanged(compact, astronaut):
    size = compact.facts["size"]
    picture = np.ascontiguousarray(astronaut[20 : 20 + size, 130 : 130 + size])
    one, other = compact.answers(picture), compact.answers(np.ascontiguousarray(picture[:, ::-1]))
    assert one.fake == pytest.approx(other.fake, abs=1e-5)
    mirrored = [regions.MARE.index(regions.mirrored(name)) for name in regions.MARE]
    assert np.allclose(one.regions, other.regions[mirrored], atol=1e-5)
    assert np.allclose(one.mask, other.mask[:, ::-1], atol=1e-5)


def test_a_face_near_a_threshold_is_looked_at_in_further_views(compact, astronaut, monkeypatch):
    one, every = (plugins.get("witnesses", "compact").load(views=v) for v in ("one", "all"))
    person, clip = _face(astronaut)
    first, mean = one.examine(person, clip).fake, every.examine(person, clip).fake
    assert first != mean and abs(first - mean) < 0.5
    monkeypatch.setattr(compact, "_near", lambda score: True)
    assert compact.examine(person, clip).fake == mean
    monkeypatch.setattr(compact, "_near", lambda score: False)
    assert compact.examine(person, clip).fake == first


def test_near_is_told_by_the_thresholds(compact):
    fit = Calibration.from_json(compact.calibration)
    at = (logit(np.array([fit.fake_above])) - fit.offset) / fit.slope
    scores = sigmoid(at + np.array([0.0, 0.3, 3.0]) / fit.slope)
    assert [compact._near(float(s)) for s in scores] == [True, True, False]


def test_unknown_views_are_named():
    with pytest.raises(UnknownName, match="near"):
        plugins.get("witnesses", "compact").load(views="nea")


def test_strength_rises_with_the_score_and_decides_what_is_found(compact):
    for region in range(len(regions.MARE)):
        scores = np.full((50, len(regions.MARE)), 0.3)
        scores[:, region] = np.linspace(0, 1, 50)
        strengths = np.stack([compact.strength(row, 0.6) for row in scores])
        assert (np.diff(strengths[:, region]) > 0).all() and strengths.min() >= 0 and strengths.max() <= 1


def test_strength_of_fits_without_the_faces_own_numbers_is_a_logistic_over_the_score(compact, monkeypatch):
    monkeypatch.setitem(compact.facts, "strength", {"slope": 2.0, "offset": -1.0, "threshold": 0.5})
    scores = np.linspace(0.1, 0.9, len(regions.MARE))
    expected = sigmoid(2.0 * logit(scores) - 1.0)
    np.testing.assert_allclose(compact.strength(scores, 0.99), expected)


def test_claims_name_the_subjects_side():
    claim = _places.claim
    assert claim("left_eye") == "The subject's left eye shows traces of forgery."
    assert claim("teeth") == "The teeth show traces of forgery."
    assert claim("nose") == "The nose shows traces of forgery."


def test_without_a_mesh_no_region_is_claimed(compact, astronaut):
    assert compact.examine(*_face(astronaut).moved(None)).findings == ()


def test_weights_that_do_not_belong_to_their_fits_are_refused(tmp_path):
    load = plugins.get("witnesses", "compact").load
    with pytest.raises(WeightsError, match=r"absent\.onnx' cannot be read"):
        load(model=str(tmp_path / "absent.onnx"))
    shutil.copy(weights.find("compact.onnx").path, tmp_path / "mine.onnx")
    facts = json.loads(Path(weights.find("compact.json").path).read_text())
    (tmp_path / "mine.json").write_text(json.dumps(facts | {"sha256": "0" * 64}))
    with pytest.raises(WeightsError, match="does not belong"):
        load(model=str(tmp_path / "mine.onnx"))
    (tmp_path / "mine.json").write_text(json.dumps(facts))
    assert load(model=str(tmp_path / "mine.onnx")).facts["sha256"] == facts["sha256"]
    (tmp_path / "mine.json").write_text(json.dumps(facts | {"size": 96}))
    with pytest.raises(WeightsError, match="expected size 192, the side of the crops"):
        load(model=str(tmp_path / "mine.onnx"))


def test_a_network_without_fits_is_used_at_its_own_size_and_counts_for_nothing(tmp_path, astronaut):
    shutil.copy(weights.find("compact.onnx").path, tmp_path / "mine.onnx")
    mine = plugins.get("witnesses", "compact").load(model=str(tmp_path / "mine.onnx"), views="one")
    assert mine.calibration is None and mine.facts["size"] == 192 and mine.facts["margin"] == 1.25
    shipped = plugins.get("witnesses", "compact").load(views="one")
    track, clip = _face(astronaut)
    assert mine.examine(track, clip).fake == shipped.examine(track, clip).fake


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"flip": "False"}, r"compact\.flip: expected true or false, got 'False'"),
        ({"flip": 3}, r"compact\.flip: expected true or false, got 3"),
        ({"threads": "abc"}, r"compact\.threads: expected a whole number.*, got 'abc'"),
    ],
)
def test_an_option_of_another_type_is_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        plugins.load("witnesses", "compact", options)
