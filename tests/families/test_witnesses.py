"""What every witness keeps: a testimony about any face, inside the convention; and what the compact one adds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import doubles
import numpy as np
import pytest

from facewitness import plugins, regions, weights
from facewitness.errors import InputError, MissingExtra, WeightsError
from facewitness.types import KINDS, Frame
from facewitness.witnesses import _places


def _face(pixels: np.ndarray, landmarks: bool = True) -> doubles.Seen:
    frame = Frame(pixels)
    if not landmarks:
        return doubles.Seen.of(pixels)
    mesh = regions.average_landmarks() * (frame.height * 0.6)
    mesh[:, :2] += (frame.width / 2 - mesh[:, 0].mean(), frame.height * 0.2)
    (x1, y1), (x2, y2) = mesh[:, :2].min(0).tolist(), mesh[:, :2].max(0).tolist()
    return doubles.Seen.of(pixels, (x1, y1, x2, y2), mesh.astype(np.float32))


@pytest.fixture(scope="module", params=plugins.names("witnesses"))
def witness(request, tmp_path_factory):
    try:
        leaf = plugins.get("witnesses", request.param)
        # no weights of these travel with the package
        made = {"kfd": doubles.tiny_kfd, "mare": doubles.tiny_fdm}.get(request.param)
        return leaf.load() if made is None else leaf.load(weights=str(made(tmp_path_factory.mktemp(request.param))))
    except MissingExtra as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("landmarks", [True, False])
@pytest.mark.parametrize(("height", "width"), [(200, 200), (90, 160), (41, 33)])
def test_a_testimony_keeps_the_convention(witness, height, width, landmarks):
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    face = _face(pixels, landmarks)
    said = witness.examine(*face)
    assert said.witness == witness.name and said.fake is not None
    if said.kind is not None:  # not every witness can tell how a face was forged
        assert set(said.kind) == set(KINDS) and sum(said.kind.values()) == pytest.approx(1, abs=1e-3)
    boxes = [finding.box for finding in said.findings] + ([said.mask.box] if said.mask else [])
    for x1, y1, x2, y2 in boxes:
        assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
    for finding in said.findings:
        assert finding.region in regions.REGIONS and finding.claim.endswith(".") and finding.mask is not None
    assert np.array_equal(face.pixels, pixels), "a witness does not touch the picture"


def test_the_same_face_gets_the_same_testimony(witness):
    face = _face(np.random.default_rng(0).integers(0, 256, (120, 120, 3), dtype=np.uint8))
    first, second = witness.examine(*face), witness.examine(*face)
    assert first.fake == second.fake and np.array_equal(first.mask.values, second.mask.values)


def test_made_by_is_enough_to_run_it_again(witness):
    made = json.loads(json.dumps(witness.made_by()))
    assert made["options"] is not None and all(len(digest) == 64 for digest in made["weights"].values())


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


def test_strength_rises_with_the_score_and_decides_what_is_found(compact):
    strengths = compact.strength(np.linspace(0, 1, 50))
    assert (np.diff(strengths) > 0).all() and strengths.min() >= 0 and strengths.max() <= 1


def test_claims_name_the_subjects_side():
    claim = _places.claim
    assert claim("left_eye") == "The subject's left eye shows traces of forgery."
    assert claim("teeth") == "The teeth show traces of forgery."
    assert claim("nose") == "The nose shows traces of forgery."


def test_without_a_mesh_no_region_is_claimed(compact, astronaut):
    assert compact.examine(*_face(astronaut).moved(None)).findings == ()


def test_weights_that_do_not_belong_to_their_fits_are_refused(tmp_path):
    load = plugins.get("witnesses", "compact").load
    with pytest.raises(WeightsError, match=r"fit\.py"):
        load(model=str(tmp_path / "absent.onnx"))
    shutil.copy(weights.find("compact.onnx").path, tmp_path / "mine.onnx")
    facts = json.loads(Path(weights.find("compact.json").path).read_text())
    (tmp_path / "mine.json").write_text(json.dumps(facts | {"sha256": "0" * 64}))
    with pytest.raises(WeightsError, match="does not belong"):
        load(model=str(tmp_path / "mine.onnx"))
    (tmp_path / "mine.json").write_text(json.dumps(facts))
    assert load(model=str(tmp_path / "mine.onnx")).facts["sha256"] == facts["sha256"]


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
