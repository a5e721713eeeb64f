"""What the compact witness adds to its family's promises (tests/test_checks.py)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import doubles
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facewitness import explain, geometry, plugins, regions, weights
from facewitness.calibration import Calibration, logit, sigmoid
from facewitness.errors import InputError, UnknownName, WeightsError
from facewitness.forge import self_blend
from facewitness.types import Frame
from facewitness.witnesses import _places, _pointing
from facewitness.witnesses import compact as witness_file
from facewitness.witnesses.compact import covered


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
    seen = every.examine(person, clip)
    first, mean = one.examine(person, clip).fake, seen.fake
    assert first != mean and abs(first - mean) < 0.5
    assert one.examine(person, clip).views is None
    assert tuple(seen.views) == ("as it is", *witness_file.FURTHER) and seen.views["as it is"] == first
    odds = logit(np.array(list(seen.views.values())))
    assert mean == pytest.approx(float(sigmoid((2 * odds[:1] + odds[1:].sum()) / 5)[0]), abs=1e-6)
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
    monkeypatch.setattr(compact, "pointer", None)
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


# ------------------------------------------------------------------------------------------- its second network


def test_only_a_suspected_face_is_shown_to_the_second_network_and_its_score_is_the_firsts(compact, astronaut):
    alone = plugins.get("witnesses", "compact").load(views="one", places=False)
    both = plugins.get("witnesses", "compact").load(views="one")
    looked = []
    seen = both.pointer.seen
    both.pointer.seen = lambda *given: looked.append(1) or seen(*given)
    person, clip = _face(astronaut)
    for suspected in (False, True):
        for witness in (alone, both):
            witness._suspected = lambda score, is_so=suspected: is_so
        first, joined = alone.examine(person, clip), both.examine(person, clip)
        assert joined.fake == first.fake and joined.kind == first.kind and bool(looked) == suspected
        assert (joined.mask.values.shape == first.mask.values.shape) or suspected
        if not suspected:
            np.testing.assert_array_equal(joined.mask.values, first.mask.values)
        else:
            assert joined.mask.box != first.mask.box, "the second one's crop shows more around the face"
    assert both.made_by()["weights"].keys() == {"compact.onnx", "places.onnx"}
    assert alone.made_by()["weights"].keys() == {"compact.onnx"} and alone.made_by()["options"]["places"] is False


@pytest.mark.parametrize("place", [(20, 24), (40, 10), (24, 36)])
def test_both_networks_masks_lie_on_the_same_places_of_the_picture(compact, astronaut, place):
    person, clip = _face(astronaut)
    pixels, size = clip.frame.pixels, compact.facts["size"]
    affine = geometry.align(person.face.landmarks, size, compact.facts["margin"])
    own = np.zeros((size // 4, size // 4), np.float32)
    own[place[0] : place[0] + 6, place[1] : place[1] + 6] = 1
    moved, found, way = compact.pointer.seen(own, person.face, pixels, affine, size)
    assert moved.shape == found.shape == (compact.pointer.size // 4,) * 2 and 0 <= found.min() <= found.max() <= 1

    def middle(mask, to_crop):
        rows, columns = np.nonzero(mask > 0.5)
        return geometry.transform(geometry.invert(to_crop), np.array([[columns.mean() + 0.5, rows.mean() + 0.5]]) * 4)

    assert np.abs(middle(own, affine) - middle(moved, way)).max() < 4, "pixels of a frame of 512"


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_place_that_either_network_marks_more_is_marked_more(first, second, more):
    pointer = _pointing.Pointer(
        None, 224, 1.3, {"sha256": "", "own": 0.4, "other": 0.5, "offset": 0.1, "least": 0.2, "strength": {}}, True
    )
    at = [np.full((2, 2), value, np.float32) for value in (first, second, max(first, more), max(second, more))]
    assert (pointer.mask(at[0], at[1]) <= pointer.mask(at[2], at[1]) + 1e-6).all()
    assert (pointer.mask(at[0], at[1]) <= pointer.mask(at[0], at[3]) + 1e-6).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=40))
def test_no_other_value_for_a_face_marks_places_with_a_larger_expected_iou(chances):
    held = np.array(chances)
    start = _pointing.marked_from(held.reshape(1, -1))
    assert 0 < start <= 0.5

    def expected(marked):
        return held[marked].sum() / (marked.sum() + held[~marked].sum())

    best = max(expected(held >= value) for value in chances)
    assert expected(held >= start - 1e-12) == pytest.approx(best, rel=1e-9)


def test_where_little_is_sure_less_than_one_half_is_marked_and_never_less_than_the_least():
    numbers = {"sha256": "", "own": 0.0, "other": 1.0, "offset": 0.0, "strength": {}}
    vague = np.full((4, 4), 0.02, np.float32)
    vague[0] = 0.3
    marked = _pointing.Pointer(None, 224, 1.3, {**numbers, "least": 0.05}, True).mask(vague, vague) >= 0.5
    assert marked[0].all() and not marked[1:].any()
    assert (_pointing.Pointer(None, 224, 1.3, {**numbers, "least": 0.35}, True).mask(vague, vague) < 0.5).all()


NUMBERS = {"sha256": "", "own": 1, "other": 1, "offset": 0, "least": 0.2}


@pytest.mark.parametrize(
    "fit",
    [None, 3, {}, {"sha256": "0" * 64}, {"own": 1, "other": 1, "offset": 0}, NUMBERS, NUMBERS | {"own": True},
     NUMBERS | {"own": float("inf")}, NUMBERS | {"least": 0}, NUMBERS | {"strength": {"slope": 1}}],
)  # fmt: skip
def test_a_second_network_without_its_numbers_is_refused(tmp_path, fit):
    shutil.copy(weights.find("compact.onnx").path, tmp_path / "mine.onnx")
    facts = json.loads(Path(weights.find("compact.json").path).read_text())
    (tmp_path / "mine.json").write_text(json.dumps(facts | {"places": fit}))
    with pytest.raises(WeightsError, match=r"mine\.json': expected sha256, own, other, offset, least and strength"):
        plugins.get("witnesses", "compact").load(model=str(tmp_path / "mine.onnx"))


def test_a_second_network_that_is_another_is_refused(tmp_path):
    load = plugins.get("witnesses", "compact").load
    for name in ("compact.onnx", "compact.json"):
        shutil.copy(weights.find(name).path, tmp_path / name.replace("compact", "mine"))
    assert load(model=str(tmp_path / "mine.onnx")).pointer is not None, "the one that ships, by its hash"
    shutil.copy(weights.find("compact.onnx").path, tmp_path / "places.onnx")
    with pytest.raises(WeightsError, match=r"places\.onnx' does not belong"):
        load(model=str(tmp_path / "mine.onnx"))
    facts = json.loads((tmp_path / "mine.json").read_text())
    facts["places"]["sha256"] = facts["sha256"]
    (tmp_path / "mine.json").write_text(json.dumps(facts))
    with pytest.raises(WeightsError, match=r"places\.onnx': expected the outputs map"):
        load(model=str(tmp_path / "mine.onnx"))


def test_only_what_may_be_claimed_is_painted_over(compact, astronaut, monkeypatch):
    assert witness_file._CLAIMED == explain.WEAK
    person, clip = _face(astronaut)
    painted = []
    monkeypatch.setattr(witness_file._causal, "falls", lambda crop, places, *_: painted.append(len(places)) or [1.0])
    monkeypatch.setattr(compact, "_suspected", lambda score: True)
    for strength, expected in ((0.49, []), (0.5, [1])):
        monkeypatch.setattr(compact, "strength", lambda *_, s=strength: np.array([s, *[0.3] * 11]))
        painted.clear()
        (first, *others) = compact.examine(person, clip).findings
        assert painted == expected and first.moves == (1.0 if expected else None)
        assert all(finding.moves is None for finding in others)


def test_what_a_mask_covers_of_a_region_is_its_mean_there(astronaut):
    person, _ = _face(astronaut)
    affine = geometry.align(person.face.landmarks, 192, 1.25)
    mask = np.zeros((48, 48), np.float32)
    mask[:24] = 1  # the upper half
    inside = dict(zip(regions.MARE, covered(mask, person.face, affine, 192), strict=True))
    assert inside["left_eye"] > 0.9 and inside["mouth"] < 0.1
    nobody, _ = _face(astronaut).moved(None)
    assert covered(mask, nobody.face, affine, 192) is None


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


def test_the_signs_of_a_network_without_fits_are_of_unmeasured_strength(tmp_path, astronaut):
    track, clip = _face(astronaut)
    forged = self_blend.forge(clip.frame.pixels, track.face.landmarks, np.random.default_rng(0)).pixels
    shutil.copy(weights.find("compact.onnx").path, tmp_path / "mine.onnx")
    load = plugins.get("witnesses", "compact").load
    mine, shipped = (load(**o).examine(*_face(forged)) for o in ({"model": str(tmp_path / "mine.onnx")}, {}))
    assert {finding.strength for finding in mine.findings} == {None}
    assert None not in {finding.strength for finding in shipped.findings} and shipped.findings


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
