"""People in films: followed, joined across cuts, kept apart, counted."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

pytest.importorskip("av", reason="needs the extra 'video'")
import films

from facewitness import film, media
from facewitness.bench.composed import Portrait, compose
from facewitness.datasets import painted
from facewitness.errors import FacewitnessError, InputError
from facewitness.film import Sampling
from facewitness.finders import facemesh, tracks
from facewitness.geometry import iou
from facewitness.types import Face, Frame


@pytest.fixture(scope="module")
def finder():
    made = facemesh.load()
    try:
        made.find(Frame(np.zeros((64, 64, 3), np.uint8)))
    except FacewitnessError as error:
        pytest.skip(f"MediaPipe's models cannot be had: {error}")
    return made


@pytest.fixture(scope="module")
def people(finder):
    """The first eight painted people, with two portraits each."""
    found: dict[str, list[Portrait]] = {}
    for sample in painted.samples():
        if sample.group not in found and len(found) == 8:
            break
        if sample.truth.label == "real" and sample.image is not None:
            pixels = np.asarray(Image.open(io.BytesIO(sample.image)).convert("RGB"))
            face = finder.find(Frame(pixels))[0]
            if face.landmarks is not None:
                found.setdefault(sample.group, []).append(Portrait(pixels, face.landmarks))
    return [portraits for portraits in found.values() if len(portraits) == 2]


def test_people_who_cross_and_a_cut(people):
    frames, truth = [], []
    for pixels, places, _ in compose(people[:2], np.random.default_rng(1), seconds=4, width=640, height=360, shots=2):
        frames.append(pixels)
        truth.append(places)
    clip = film.read(films.film(frames, options={"preset": "veryfast"}), Sampling(fps=4))
    found = list(tracks.load().track(clip))
    assert [track.person for track in found] == [0, 1]
    whose = {}
    for track in found:
        near = [max(truth[face.at.index], key=lambda place: iou(place.box, face.box)).person for face in track.faces]
        assert len(set(near)) == 1 and len(near) >= 12
        whose[track.person] = near[0]
        assert [face.at.index for face in track.faces] == sorted({face.at.index for face in track.faces})
        assert {frame.index for frame in clip.frames()} >= {face.at.index for face in track.faces}
    assert set(whose.values()) == {0, 1}


def test_bursts_hold_consecutive_faces(people):
    frames = [pixels for pixels, _, _ in compose(people[:1], np.random.default_rng(2), seconds=2, shots=1, width=480)]
    clip = film.read(films.film(frames, options={"preset": "veryfast"}), Sampling(frames=3), burst=4)
    (track,) = tracks.load().track(clip)
    assert len(track.faces) == 3 and len(track.bursts) == 3
    for face, burst in zip(track.faces, track.bursts, strict=True):
        assert [other.at.index for other in burst] == [face.at.index + i for i in range(4)]
        assert all(other.landmarks is not None for other in burst)
        assert clip.at(burst[2].at).pixels.shape == (540, 480, 3)


def grid(people, count: int, side: int, width: int, height: int) -> np.ndarray:
    canvas = np.full((height, width, 3), 128, np.uint8)
    columns = width // side
    for i in range(count):
        pixels = people[i % len(people)][0].pixels
        y, x = i // columns * side, i % columns * side
        canvas[y : y + side, x : x + side] = np.asarray(Image.fromarray(pixels).resize((side, side)))
    return canvas


def test_forty_people(people):
    clip = film.read(films.film([grid(people, 40, 120, 960, 600)] * 2))
    found = list(tracks.load(people=5).track(clip))
    assert len(found) == 5
    (note,) = [note for note in clip.remarks if "people" in note]
    number = int(note.split()[3])
    assert 30 <= number <= 40 and "the 5 who are longest on screen were judged" in note


def test_tiny_faces_are_counted_and_not_judged(people):
    picture = np.full((480, 640, 3), 128, np.uint8)
    picture[:256, :256] = people[0][0].pixels
    picture[300:372, 400:472] = np.asarray(Image.fromarray(people[1][0].pixels).resize((72, 72)))
    clip = film.read(films.film([picture] * 60), Sampling(frames=3))
    (track,) = tracks.load(finder="facemesh").track(clip)
    assert track.face.box[0] < 256
    assert any("too small, or seen too briefly" in note for note in clip.remarks) or len(facemesh.load().find(
        Frame(picture))) == 1  # fmt: skip


def test_a_film_without_faces_and_a_photo(people):
    assert list(tracks.load().track(film.read(films.film(8)))) == []
    clip = media.read(people[0][0].pixels)
    (track,) = tracks.load().track(clip)
    assert track.faces[0].landmarks is not None and track.bursts == ()


def test_a_finder_without_follow_is_followed_by_its_boxes():
    clip = film.read(films.film(20), Sampling(frames=4))
    (track,) = tracks.load(finder="whole").track(clip)
    assert len(track.faces) == 4


def test_likeness_knows_the_same_face_and_strangers(people):
    looks = [[tracks.Looks.of(Frame(p.pixels), _face(p)) for p in portraits] for portraits in people]
    same = [one.like(other) for one, other in looks]
    strangers = [a.like(b) for i, (a, _) in enumerate(looks) for _, b in looks[:i]]
    assert looks[0][0].like(looks[0][0]) == pytest.approx(1, abs=1e-3)
    assert np.median(same) > np.median(strangers) + 0.2


def _face(portrait: Portrait) -> Face:
    low, high = portrait.landmarks[:, :2].min(axis=0), portrait.landmarks[:, :2].max(axis=0)
    at = Frame(portrait.pixels).at
    return Face(at, (float(low[0]), float(low[1]), float(high[0]), float(high[1])), portrait.landmarks)


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.floats(0, 10)))
def test_assignment_is_the_cheapest(costs):
    optimize = pytest.importorskip("scipy.optimize", reason="needs the extra 'bench'")
    pairs = tracks.assigned(costs)
    assert len(pairs) == min(costs.shape)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    best = costs[optimize.linear_sum_assignment(costs)].sum()
    assert sum(costs[i, j] for i, j in pairs) == pytest.approx(best)


def test_options_are_checked():
    with pytest.raises(InputError, match="people of at least 1"):
        tracks.load(people=0)
    with pytest.raises(InputError, match="0 < step <= look"):
        tracks.load(step=2.0)
