"""Laws of boxes, affine maps and masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facewitness import geometry
from facewitness.errors import InputError
from facewitness.types import Mask

coordinate = st.floats(-500, 500, allow_nan=False)
extent = st.floats(1, 500)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    x, y = draw(coordinate), draw(coordinate)
    return (x, y, x + draw(extent), y + draw(extent))


@given(boxes(), boxes())
def test_iou_is_symmetric_bounded_and_one_for_itself(a, b):
    assert geometry.iou(a, b) == geometry.iou(b, a)
    assert 0.0 <= geometry.iou(a, b) <= 1.0
    assert geometry.iou(a, a) == pytest.approx(1.0)


@given(boxes())
def test_clip_stays_on_the_frame_and_changes_nothing_twice(box):
    clipped = geometry.clip(box, 100, 80)
    if clipped is None:
        assert box[2] <= 0 or box[3] <= 0 or box[0] >= 100 or box[1] >= 80
    else:
        assert 0 <= clipped[0] < clipped[2] <= 100 and 0 <= clipped[1] < clipped[3] <= 80
        assert geometry.clip(clipped, 100, 80) == clipped


@given(boxes(), st.integers(8, 256), st.floats(0.5, 3))
def test_align_centres_the_box_and_inverts(box, size, margin):
    affine = geometry.align(box, size, margin)
    centre = np.array([[(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]])
    assert np.allclose(geometry.transform(affine, centre), size / 2, atol=1e-2)
    points = np.random.default_rng(0).uniform(-100, 100, (5, 2))
    there_and_back = geometry.transform(geometry.invert(affine), geometry.transform(affine, points))
    assert np.allclose(there_and_back, points, atol=0.05)
    once = geometry.compose(geometry.invert(affine), affine)
    assert np.allclose(once, [[1, 0, 0], [0, 1, 0]], atol=1e-6)


@given(st.floats(-180, 180), st.floats(0.2, 5))
def test_align_turns_the_eye_line_level(degrees, scale):
    rng = np.random.default_rng(1)
    mesh = rng.uniform(0, 100, (468, 2))
    mesh[[33, 133]], mesh[[362, 263]] = [[30, 40], [40, 40]], [[60, 40], [70, 40]]
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = (mesh @ turn.T * scale).astype(np.float32)
    aligned = geometry.transform(geometry.align(turned, 128, 1.4), turned)
    right, left = aligned[[33, 133]].mean(axis=0), aligned[[362, 263]].mean(axis=0)
    assert right[0] < left[0] and abs(right[1] - left[1]) < 0.05
    spread = aligned.max(axis=0) - aligned.min(axis=0)
    assert max(spread) == pytest.approx(128 / 1.4, rel=1e-3)


def test_align_refuses_a_point():
    with pytest.raises(InputError, match="extent"):
        geometry.align(np.zeros((468, 2), np.float32), 128, 1.4)


def test_crop_of_the_identity_is_the_picture():
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    same = geometry.crop(picture, np.array([[1.0, 0, 0], [0, 1, 0]]), (40, 50))
    assert np.array_equal(same, picture)


def test_crop_shrinks_without_aliasing_and_goes_on_beyond_the_border():
    stripes = np.zeros((200, 200), np.uint8)
    stripes[:, ::2] = 255
    small = geometry.crop(stripes, np.array([[0.1, 0, 0], [0, 0.1, 0]]), 20)
    assert small.std() < 2 and abs(small.mean() - 127.5) < 2
    white = np.full((10, 10, 3), 255, np.uint8)
    assert (geometry.crop(white, np.array([[1.0, 0, 50], [0, 1, 50]]), 100) == 255).all()


def test_crop_agrees_with_opencv():
    cv2 = pytest.importorskip("cv2")
    picture = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    picture = cv2.GaussianBlur(picture, (0, 0), 2)
    angle = np.deg2rad(20)
    affine = np.array([[np.cos(angle), np.sin(angle), -3.0], [-np.sin(angle), np.cos(angle), 20.0]])
    ours = geometry.crop(picture, affine, 80).astype(int)
    # OpenCV counts from pixel centres, we from pixel edges
    half = affine.copy()
    half[:, 2] += affine[:, :2] @ [0.5, 0.5] - 0.5
    theirs = cv2.warpAffine(picture, half, (80, 80), borderMode=cv2.BORDER_REPLICATE).astype(int)
    assert np.abs(ours - theirs).max() <= 3 and np.abs(ours - theirs).mean() < 0.5


@given(st.integers(0, 2**32 - 1))
def test_fill_is_even_odd_like_a_point_test(seed):
    rng = np.random.default_rng(seed)
    polygons = [rng.uniform(-5, 35, (rng.integers(3, 9), 2)) for _ in range(rng.integers(1, 4))]
    mask = geometry.fill(polygons, 24, 30)
    for y, x in zip(rng.integers(0, 24, 20), rng.integers(0, 30, 20), strict=True):
        crossings = 0
        for polygon in polygons:
            for (xa, ya), (xb, yb) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
                if (ya <= y + 0.5) != (yb <= y + 0.5):
                    crossings += xa + (y + 0.5 - ya) * (xb - xa) / (yb - ya) <= x + 0.5
        assert mask[y, x] == bool(crossings % 2)


def test_a_ring_in_a_ring_is_a_hole():
    outer = np.array([[0, 0], [20, 0], [20, 20], [0, 20]])
    inner = np.array([[5, 5], [15, 5], [15, 15], [5, 15]])
    mask = geometry.fill([outer, inner], 20, 20)
    assert mask.sum() == 400 - 100 and not mask[10, 10] and mask[2, 2]


@pytest.mark.parametrize("seed", range(5))
def test_several_shapes_are_filled_as_each_by_itself(seed):
    rng = np.random.default_rng(seed)
    shapes = [[rng.uniform(-9, 40, (rng.integers(3, 8), 2)).round(seed % 3) for _ in range(n)] for n in (1, 2, 0, 3)]
    together = geometry.fills(shapes, 24, 30)
    assert together.shape == (4, 24, 30) and together.any()
    for polygons, filled in zip(shapes, together, strict=True):
        assert np.array_equal(geometry.fill(polygons, 24, 30), filled)
    assert geometry.fills([], 24, 30).shape == (0, 24, 30)


def test_place_puts_values_where_the_box_is():
    mask = Mask((10.0, 20.0, 30.0, 40.0), np.ones((4, 4), np.float32))
    full = geometry.place(mask, 60, 50)
    assert full.shape == (60, 50) and full.sum() == pytest.approx(400)
    assert full[20:40, 10:30].min() == 1.0
    beyond = geometry.place(Mask((-10.0, -10.0, 5.0, 5.0), np.ones((2, 2), np.float32)), 60, 50)
    assert beyond.sum() == pytest.approx(25)
