"""Every finder keeps the family's promise; the default one finds faces of every size, turn and encoding.

The tests of the default finder need MediaPipe's files. Where they are neither cached nor to be had, those tests skip.
"""

from __future__ import annotations

import functools
import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from facewitness import finders, media, plugins, weights
from facewitness.errors import InputError, WeightsError
from facewitness.finders import facemesh
from facewitness.geometry import invert, iou
from facewitness.types import Face, Frame, Pixels

FACE = (178.0, 68.0, 274.0, 178.0)  # where the astronaut's face is, brow to chin, seen by eye
RIGHT_EYE, LEFT_EYE, NOSE, CHIN, RIGHT_OF_MOUTH, LEFT_OF_MOUTH = 33, 263, 4, 152, 61, 291
SEEN = {  # read off the photograph at seven times its size: outer corners of the eyes, tips, corners of the mouth
    RIGHT_EYE: (194, 101),
    LEFT_EYE: (257.5, 105.5),
    NOSE: (223, 125),
    CHIN: (224, 178),
    RIGHT_OF_MOUTH: (202, 140),
    LEFT_OF_MOUTH: (246, 141),
}


@functools.cache
def unavailable() -> str | None:
    """Why MediaPipe's files cannot be had; None where they can."""
    try:
        for file in (facemesh.DETECTOR, facemesh.MESH):
            weights.find(file)
    except WeightsError as error:
        return str(error)
    return None


@functools.cache
def load(name: str):
    if name == "facemesh" and (why := unavailable()):
        pytest.skip(why)
    return plugins.get("finders", name).load()


@pytest.fixture
def finder():
    return load("facemesh")


def find(finder, picture: Image.Image | Pixels) -> tuple[Face, ...]:
    return finder.find(Frame(np.ascontiguousarray(np.asarray(picture))))


@pytest.fixture
def photo(astronaut: Pixels) -> Image.Image:
    return Image.fromarray(astronaut)


def textures() -> list[Image.Image]:
    """Pictures without a face: noise, flat colour, checks, text-like strokes."""
    rng = np.random.default_rng(1)
    strokes = Image.new("RGB", (500, 400), "white")
    pen = ImageDraw.Draw(strokes)
    for _ in range(300):
        x, y = rng.integers(0, 480), rng.integers(0, 390)
        pen.line([(x, y), (x + rng.integers(2, 20), y + rng.integers(-3, 9))], fill="black", width=2)
    checks = (np.indices((300, 300)) // 20).sum(axis=0) % 2 * np.uint8(255)
    return [
        Image.fromarray(rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)),
        Image.new("RGB", (640, 360), (120, 90, 70)),
        Image.fromarray(checks.astype(np.uint8)).convert("RGB"),
        strokes,
    ]


# ---------------------------------------------------------------------------------------------- what every finder does


@pytest.mark.parametrize("name", plugins.names("finders"))
def test_faces_keep_the_family_s_promise(name: str, astronaut: Pixels):
    finder = load(name)
    frame = Frame(astronaut)
    faces = finder.find(frame)
    assert isinstance(faces, tuple)
    assert faces
    areas = [(face.box[2] - face.box[0]) * (face.box[3] - face.box[1]) for face in faces]
    assert areas == sorted(areas, reverse=True)
    for face in faces:
        x1, y1, x2, y2 = face.box
        assert face.at == frame.at
        assert 0 <= x1 < x2 <= frame.width
        assert 0 <= y1 < y2 <= frame.height
        assert face.quality.size == pytest.approx(min(x2 - x1, y2 - y1))
        assert face.quality.score is not None


@pytest.mark.parametrize("name", plugins.names("finders"))
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (7, 5)])
def test_tiny_and_thin_pictures_are_no_trouble(name: str, shape: tuple[int, int]):
    for face in load(name).find(Frame(np.full((*shape, 3), 128, np.uint8))):
        assert (face.quality.score or 0) < 0.1


# --------------------------------------------------------------------------------------------------------- the default


def assert_is_the_astronaut(face: Face, box: tuple[float, float, float, float] = FACE, overlap: float = 0.7) -> None:
    assert iou(face.box, box) > overlap
    assert face.landmarks is not None
    assert face.landmarks.shape == (468, 3)
    assert face.quality.mesh > 0.6


def test_landmarks_lie_where_the_eye_sees_them(finder, photo: Image.Image):
    (face,) = find(finder, photo)
    assert_is_the_astronaut(face)
    for point, place in SEEN.items():
        assert np.hypot(*(face.landmarks[point, :2] - place)) < 5
    assert face.quality.score > 0.8
    assert face.quality.reasons == ()
    assert abs(face.quality.roll) < 8
    assert abs(face.quality.yaw) < 15
    assert abs(face.quality.pitch) < 15


def test_sides_are_the_subject_s(finder, photo: Image.Image):
    (face,) = find(finder, photo)
    assert face.landmarks[RIGHT_EYE, 0] < face.landmarks[LEFT_EYE, 0]  # the subject's right is the picture's left


def test_a_mirrored_photo_has_the_mirrored_mesh_and_pose(finder, photo: Image.Image):
    from facewitness.regions import mirrored_indices

    (face,) = find(finder, photo)
    (mirrored,) = find(finder, photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    back = mirrored.landmarks[mirrored_indices()]
    back[:, 0] = 512 - back[:, 0]
    assert np.hypot(*(back - face.landmarks)[:, :2].T).mean() < 0.03 * face.quality.size
    assert mirrored.quality.yaw == pytest.approx(-face.quality.yaw, abs=5)
    assert mirrored.quality.roll == pytest.approx(-face.quality.roll, abs=4)


@pytest.mark.parametrize("degrees", [20, -45, 60, 90, -90, 135, 180])
def test_turned_faces_are_the_same_faces(finder, photo: Image.Image, degrees: int):
    (upright,) = find(finder, photo)
    faces = find(finder, photo.rotate(-degrees, expand=True, fillcolor=(90, 90, 90)))  # clockwise, as roll is
    (face,) = faces
    assert face.quality.mesh > 0.5
    difference = (face.quality.roll - upright.quality.roll - degrees + 180) % 360 - 180
    assert abs(difference) < 6
    # the mesh turned back about the picture's middle
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    centred = face.landmarks[:, :2] - np.array([face.at.width, face.at.height]) / 2
    back = centred @ np.array([[cos, -sin], [sin, cos]]) + 256
    assert np.hypot(*(back - upright.landmarks[:, :2]).T).mean() < 0.05 * upright.quality.size


@pytest.mark.parametrize("width", [40, 60, 120, 300, 900])
def test_faces_of_every_size(finder, photo: Image.Image, width: int):
    scale = width / (FACE[2] - FACE[0])
    side = round(512 * scale)
    small = photo.resize((side, side), Image.Resampling.LANCZOS)
    box = tuple(v * scale for v in FACE)
    if width > 120:
        part = tuple(int(v) for v in (box[0] - width, 0, box[2] + width, box[3] + width))
        small, box = small.crop(part), (box[0] - part[0], box[1], box[2] - part[0], box[3])
    (face,) = find(finder, small)
    assert_is_the_astronaut(face, box)
    assert face.quality.size == pytest.approx(width, rel=0.1)


def test_a_small_face_in_a_large_photo(finder, photo: Image.Image):
    large = Image.new("RGB", (1024, 768), (96, 110, 104))
    small = photo.resize((220, 220), Image.Resampling.LANCZOS)
    large.paste(small, (700, 100))
    (face,) = find(finder, large)
    box = tuple(v * 220 / 512 + shift for v, shift in zip(FACE, (700, 100, 700, 100), strict=True))
    assert_is_the_astronaut(face, box, 0.6)
    assert any("px wide" in reason for reason in face.quality.reasons)
    assert face.quality.score < 0.5


@pytest.mark.parametrize("margin", [-8, 0, 10])
def test_faces_that_fill_the_frame(finder, photo: Image.Image, margin: int):
    part = (FACE[0] - margin, FACE[1] - margin, FACE[2] + margin, FACE[3] + margin)
    crop = photo.crop(tuple(int(v) for v in part)).resize((1000, 1150), Image.Resampling.BICUBIC)
    (face,) = find(finder, crop)
    assert face.landmarks is not None
    assert face.quality.size > 750
    assert face.quality.mesh > 0.6


def test_thirty_faces_each_once(finder, photo: Image.Image):
    tile = photo.crop((126, 10, 326, 210)).resize((150, 150), Image.Resampling.LANCZOS)
    crowd = Image.new("RGB", (6 * 150, 5 * 150))
    for i in range(30):
        crowd.paste(tile, (i % 6 * 150, i // 6 * 150))
    faces = find(finder, crowd)
    assert len(faces) == 30
    cells = {(int((f.box[0] + f.box[2]) / 2) // 150, int((f.box[1] + f.box[3]) / 2) // 150) for f in faces}
    assert len(cells) == 30


def test_two_faces_of_different_sizes(finder, photo: Image.Image):
    picture = Image.new("RGB", (1000, 700), (80, 90, 100))
    picture.paste(photo.resize((700, 700)), (0, 0))
    picture.paste(photo.crop((100, 0, 350, 250)).resize((160, 160)), (800, 300))
    first, second = find(finder, picture)
    assert first.quality.size > 1.8 * second.quality.size
    (only,) = find(facemesh.load(max_faces=1), picture)
    assert only.box == first.box


def scene(size: tuple[int, int], *faces: tuple[Image.Image, int, tuple[int, int]]) -> Image.Image:
    """Grey of a size with photos of faces in it: each with the width of its face and where its corner goes."""
    picture = Image.new("RGB", size, (120, 120, 120))
    for photo, width, corner in faces:
        scale = width / (FACE[2] - FACE[0])
        picture.paste(photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.LANCZOS), corner)
    return picture


@pytest.mark.parametrize(
    ("size", "large", "small"),
    [((1600, 1200), 220, 64), ((2600, 1800), 330, 96), ((4000, 3000), 560, 110), ((4000, 3000), 560, 188)],
)
def test_a_small_face_beside_a_large_one_is_found(finder, photo: Image.Image, size, large: int, small: int):
    """Once the search ended at the first level that brought nothing new, and the small one was out of its reach."""
    head = photo.crop((130, 20, 330, 230))
    corner = (size[0] - 3 * small - 40, size[1] - 4 * small - 60)
    faces = find(finder, scene(size, (photo, large, (20, 20)), (head, small, corner)))
    assert len(faces) == 2
    assert faces[1].box[0] > corner[0] and faces[1].box[1] > corner[1]
    assert faces[1].box[2] - faces[1].box[0] == pytest.approx(small, rel=0.15)


def test_a_group_of_all_sizes_is_found(finder, photo: Image.Image):
    head = photo.crop((130, 20, 330, 230))
    widths = (60, 75, 90, 110, 140, 190, 260, 340)
    places = [(40 + 720 * (i % 4), 40 + 900 * (i // 4)) for i in range(8)]
    faces = find(finder, scene((3000, 1800), *((head, w, place) for w, place in zip(widths, places, strict=True))))
    assert len(faces) == 8


def test_a_panorama_is_searched_from_end_to_end(finder, photo: Image.Image):
    head = photo.crop((130, 20, 330, 230))
    places = [(200, 300, 240), (2500, 500, 96), (5200, 250, 110), (7500, 560, 90)]
    faces = find(finder, scene((8000, 1000), *((head, w, (x, y)) for x, y, w in places)))
    assert len(faces) == 4


@pytest.mark.parametrize("shape", [(9_000_000, 1), (1, 1_000_000), (39, 50_000)])
def test_where_no_face_has_room_none_is_looked_for(finder, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(facemesh, "_levels", lambda *_: pytest.fail("it was looked for"))
    assert finder.find(Frame(np.zeros((*shape, 3), np.uint8))) == ()


@pytest.mark.parametrize("side", [256, 512, 700])
def test_a_view_that_is_a_piece_of_a_level_is_what_interpolating_shows(side: int, monkeypatch: pytest.MonkeyPatch):
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    cut = []
    monkeypatch.setattr(Image.Image, "crop", lambda *given, crop=Image.Image.crop: cut.append(1) or crop(*given))
    for _, squares in facemesh._levels(side, side, 64):
        for square in squares:
            pyramid, to_view = facemesh._Pyramid(Frame(pixels)), facemesh._square(*square, 128, 0.0)
            view = pyramid.view(to_view, 128)
            back = invert(to_view) / 2.0 ** (len(pyramid._levels) - 1)
            way = Image.Transform.AFFINE, tuple(back.ravel()), Image.Resampling.BILINEAR
            assert np.array_equal(view, np.asarray(pyramid._levels[-1].transform((128, 128), *way)))
    assert bool(cut) == (side != 700)


def test_the_squares_of_a_picture_are_bounded():
    for width, height in ((2_000_000, 50), (16_320, 12_240), (1_000_000, 200), (50, 4_000_000)):
        squares = [square for _, level in facemesh._levels(width, height, 213.0) for square in level]
        assert 2 <= len(squares) <= facemesh._MOST_VIEWS + 2


def test_finders_that_load_at_once_leave_standard_error_as_it_was(capfd: pytest.CaptureFixture[str]):
    if why := unavailable():
        pytest.skip(why)
    picture = Frame(np.full((64, 64, 3), 90, np.uint8))
    for number in range(5):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: facemesh.load().find(picture), range(4)))
        os.write(2, b"still here\n")
        assert capfd.readouterr().err.count("still here") == 1, number


@pytest.mark.parametrize("threads", [0, -5, 257, 10**20])
def test_threads_beyond_reason_are_refused(threads: int):
    for family, name in (("finders", "facemesh"), ("witnesses", "compact")):
        with pytest.raises(InputError, match="threads from 1 to 256"):
            plugins.load(family, name, {"threads": threads})


@pytest.mark.parametrize("kind", ["grey", "RGBA", "16 bit", "WebP", "AVIF", "EXIF"])
def test_encodings_do_not_matter(finder, photo: Image.Image, kind: str):
    buffer = io.BytesIO()
    match kind:
        case "grey":
            photo.convert("L").save(buffer, "PNG")
        case "RGBA":
            photo.convert("RGBA").save(buffer, "PNG")
        case "16 bit":
            Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257).save(buffer, "PNG")
        case "EXIF":
            exif = Image.Exif()
            exif[0x0112] = 6
            photo.transpose(Image.Transpose.ROTATE_90).save(buffer, "JPEG", exif=exif)
        case _:
            photo.save(buffer, kind)
    (face,) = finder.find(media.read(buffer.getvalue()).frame)
    assert_is_the_astronaut(face, overlap=0.75)


def test_no_face_is_an_answer(finder):
    for picture in textures():
        assert find(finder, picture) == ()


def test_a_photo_without_its_face_has_none(finder, astronaut: Pixels):
    astronaut[:240, 120:340] = (180, 175, 170)
    assert find(finder, astronaut) == ()


@pytest.mark.parametrize("part", [np.s_[:, 226:], np.s_[:, :226], np.s_[122:], np.s_[:122]])
def test_a_half_covered_face_is_not_passed_on_as_certain(finder, astronaut: Pixels, part):
    astronaut[part] = 0
    for face in find(finder, astronaut):
        assert face.quality.score < 0.5
        assert face.quality.reasons


def test_a_blurred_face_is_told(finder, photo: Image.Image):
    (sharp,) = find(finder, photo)
    (blurred,) = find(finder, photo.filter(ImageFilter.GaussianBlur(4)))
    assert blurred.quality.sharpness < sharp.quality.sharpness - 0.15
    assert "strong blur" in blurred.quality.reasons
    assert blurred.quality.score < 0.5


def test_options_are_checked(finder):
    for wrong in ({"max_faces": 0}, {"smallest": 0}, {"threads": 0}, {"confidence": 1.0}):
        with pytest.raises(InputError, match="expected max_faces"):
            facemesh.load(**wrong)


def test_a_network_that_is_not_the_right_one_is_never_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("FACEWITNESS_MODELS", str(tmp_path))
    (tmp_path / facemesh.DETECTOR).write_bytes(b"another network")
    with pytest.raises(WeightsError, match="is not the file it should be"):
        facemesh.load().find(Frame(np.zeros((64, 64, 3), np.uint8)))


def test_nothing_is_written_to_the_terminal(finder, astronaut: Pixels, capfd: pytest.CaptureFixture[str]):
    facemesh.load().find(Frame(astronaut))  # a fresh one: the networks are made now
    assert capfd.readouterr() == ("", "")


# ------------------------------------------------------------------------------------------------------------- quality


def test_sharpness_falls_with_blur_and_ignores_contrast(photo: Image.Image):
    grey = photo.convert("L").crop((170, 60, 298, 188))
    measured = [
        finders.sharpness(np.asarray(grey.filter(ImageFilter.GaussianBlur(sigma)))) for sigma in (0, 0.7, 1.5, 3, 6)
    ]
    assert measured == sorted(measured, reverse=True)
    assert measured[0] > measured[-1] + 0.3
    full = finders.sharpness(np.asarray(grey))
    assert finders.sharpness(np.asarray(grey) * 0.5 + 30) == pytest.approx(full, abs=0.01)


def test_sharpness_of_nothing_is_not_measured():
    assert finders.sharpness(np.full((64, 64), 7)) is None
    assert finders.sharpness(np.arange(64).reshape(8, 8)) is None


def test_blank_is_the_covered_share():
    noise = np.random.default_rng(0).integers(0, 256, (128, 128)).astype(np.float64)
    assert finders.blank(noise) == 0
    noise[:64] = 0
    assert finders.blank(noise) == pytest.approx(0.5)
    assert finders.blank(np.zeros((60, 60))) is None


finite = st.floats(-180, 180)
share = st.none() | st.floats(0, 1)


@given(st.floats(1, 5000), share, finite, finite, share, share, share)
def test_every_low_score_has_its_reason(size, sharpness, yaw, pitch, mesh, inside, blank):
    quality = finders.rate(size=size, sharpness=sharpness, yaw=yaw, pitch=pitch, mesh=mesh, inside=inside, blank=blank)
    assert 0 <= quality.score <= 1
    if quality.reasons:
        assert quality.score < finders.NOTED
    if quality.score < finders.NOTED**7:
        assert quality.reasons
    assert finders.rate(size=max(size, 80)).score == 1


def test_reasons_are_words():
    quality = finders.rate(size=34, sharpness=0.1, yaw=-70, pitch=60, mesh=0.0, inside=0.6, blank=0.4)
    text = "; ".join(quality.reasons)
    for words in (
        "only 34 px wide",
        "strong blur",
        "side pose (70°",
        "tilted 60°",
        "not have the features of a face",
        "60 %",
        "40 %",
    ):
        assert words in text
    assert quality.score == 0
