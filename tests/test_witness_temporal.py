"""The witness of what changes over time: its measurements see what they name, and it knows when to be silent."""

import io
import weakref

import numpy as np
import pytest
from PIL import Image, ImageFilter

from facewitness.datasets import painted
from facewitness.errors import FacewitnessError, WeightsError
from facewitness.finders import facemesh
from facewitness.types import Clip, Face, Frame, Track
from facewitness.witnesses import temporal


@pytest.fixture(scope="module")
def portrait():
    """A painted portrait, its face, and the forged one of the same pose."""
    pristine, forged = (
        next(
            np.asarray(Image.open(io.BytesIO(sample.image)).convert("RGB"))
            for sample in painted.samples()
            if sample.truth.method == method
        )
        for method in ("pristine", "swap")
    )
    try:
        face = facemesh.load().find(Frame(pristine))[0]
    except FacewitnessError as error:
        pytest.skip(f"MediaPipe's models cannot be had: {error}")
    return pristine, forged, face


def film_of(pictures, face, move=0.0):
    """A track and clip of pictures in which the face stands still, or each landmark shakes by `move` pixels."""
    rng = np.random.default_rng(0)
    frames = tuple(Frame(pixels, i, i / 25) for i, pixels in enumerate(pictures))
    faces = tuple(
        Face(frame.at, face.box, (face.landmarks + rng.normal(0, move, (468, 3)) * (move > 0)).astype(np.float32))
        for frame in frames
    )
    return Track(0, faces, (faces,)), Clip("film", frames, fps=25.0, count=len(frames))


def values_of(track, clip):
    return temporal.measured([(face, clip.at(face.at)) for face in track.faces])[0]


def test_one_frame_of_a_film_is_in_memory_at_a_time(portrait):
    pristine, _, face = portrait
    track, _ = film_of([pristine] * 8, face)
    held: list[weakref.ref] = []

    class Passing:
        def at(self, at):
            pixels = pristine.copy()
            held.append(weakref.ref(pixels))
            assert sum(each() is not None for each in held) <= 2
            return Frame(pixels, at.index, at.seconds)

    assert temporal.load().examine(track, Passing()).fake is not None and len(held) >= 8


def test_a_pasted_face_has_less_grain_than_its_surround(portrait):
    pristine, forged, face = portrait
    genuine, swapped = (values_of(*film_of([picture] * 4, face)) for picture in (pristine, forged))
    assert swapped["grain_mean"] < genuine["grain_mean"] - 0.1
    assert swapped["noise_mean"] < genuine["noise_mean"]
    assert genuine["grain_spread"] == pytest.approx(0, abs=1e-6) and genuine["shape"] == pytest.approx(0, abs=1e-3)


def test_flicker_and_blur_that_come_and_go_are_spread(portrait):
    pristine, _, face = portrait
    soft = np.asarray(Image.fromarray(pristine).filter(ImageFilter.GaussianBlur(2)))
    still, flickering = (values_of(*film_of(pictures, face)) for pictures in ([pristine] * 6, [pristine, soft] * 3))
    assert flickering["grain_spread"] > still["grain_spread"] + 0.2


def test_landmarks_that_shake_show_as_jitter_and_a_moving_head_does_not(portrait):
    pristine, _, face = portrait
    still = temporal.moved(*film_of([pristine] * 6, face))
    shaken = temporal.moved(*film_of([pristine] * 6, face, move=1.0))
    assert still["jitter"] == pytest.approx(0, abs=1e-6) and shaken["jitter"] > 0.005 and shaken["jerk"] > 0.005
    points = face.landmarks[:, :2].astype(np.float64)
    turn = np.deg2rad(7)
    moved = 1.1 * points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + (20, -5)
    assert np.abs(temporal._without_motion(moved, points) - points).max() < 1e-6
    assert temporal.moved(Track(0, (face,)), Clip("photo", (Frame(pristine),))) == {}


def model(**changes):
    n = len(temporal.FEATURES)
    weights = [-1.0 if name == "grain_mean" else 0.0 for name in temporal.FEATURES]
    given = {
        "schema": temporal.SCHEMA, "features": list(temporal.FEATURES), "mean": [0.0] * n, "scale": [1.0] * n,
        "weights": weights, "offset": 1.0, "calibration": None,
    }  # fmt: skip
    return given | changes


def test_it_testifies_about_films_and_says_nothing_of_photos(portrait):
    pristine, forged, face = portrait
    witness = temporal.Temporal(model())
    genuine, swapped = (witness.examine(*film_of([picture] * 5, face)) for picture in (pristine, forged))
    assert genuine.fake < swapped.fake
    (finding,) = swapped.findings or (None,) if swapped.fake >= 0.5 else (None,)
    assert finding is None or ("grain" in finding.claim and finding.strength is None and finding.places)
    photo = witness.examine(Track(0, (face,)), Clip("photo", (Frame(pristine),)))
    assert photo.fake is None and photo.findings == ()


def test_it_is_heard_only_where_it_was_measured_to_help():
    witness = temporal.load()
    assert witness.model["measured"]["heard"] == (witness.calibration is not None)
    assert set(witness.made_by()["weights"]) == {"temporal.json"}


@pytest.mark.parametrize(
    "changes", [{"schema": "x"}, {"features": []}, {"weights": [1.0]}, {"offset": None}, {"mean": [float("nan")] * 15}]
)
def test_a_model_of_another_kind_is_refused(changes):
    with pytest.raises(WeightsError, match=r"expected schema facewitness\.temporal/1"):
        temporal.Temporal(model(**changes))
