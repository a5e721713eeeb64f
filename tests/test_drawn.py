"""What tells drawings and pictures of few colours: levels that are missing, and shades that are."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from facewitness import drawn
from facewitness.types import Pixels


def shaded(size: int = 160) -> Pixels:
    """Soft shades with a little grain, as skin has them."""
    y, x = np.mgrid[0:size, 0:size] / size
    light = 110 + 110 * np.sin(3 * x + 1) * np.cos(2 * y) + 25 * x
    grain = np.random.default_rng(0).normal(0, 2, (size, size))
    return np.repeat(np.clip(light + grain, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


def inked(size: int = 160) -> Pixels:
    """Flat areas between black lines."""
    y, x = np.mgrid[0:size, 0:size]
    paint = np.where((x // 20 + y // 20) % 2, 215, 180).astype(np.uint8)
    paint[(x % 20 < 2) | (y % 20 < 2)] = 10
    return np.repeat(paint[..., None], 3, axis=-1)


WHOLE = (20.0, 20.0, 140.0, 140.0)


def test_soft_shades_are_a_photograph_s_and_flat_areas_between_lines_are_not():
    assert drawn.doubt(WHOLE, shaded()) == ""
    assert drawn.doubt(WHOLE, inked()) in drawn.SENTENCES
    assert drawn.drawn(inked(), drawn.UPPER) > drawn.DRAWN_ABOVE


def test_noise_and_lost_shades_are_no_drawing_s():
    dice = np.random.default_rng(2)
    night = np.clip(dice.poisson(shaded() * 0.1) * 9.0, 0, 255).astype(np.uint8)
    assert drawn.drawn(night) > drawn.DRAWN and drawn.doubt(WHOLE, night) == drawn.NOISE
    hard = (shaded()[..., :1] - 110.0) * 4 + dice.normal(0, 6, (160, 160, 1))  # so that no level is left out
    glaring = np.clip(hard, 0, 255).astype(np.uint8).repeat(3, axis=2)
    assert drawn.doubt(WHOLE, glaring) == drawn.LOST
    assert drawn.lost(glaring) > drawn.MUCH_LOST > drawn.lost(inked())
    dots = np.where(dice.random((160, 160, 1)) < shaded()[..., :1] / 255, 255, 0).astype(np.uint8).repeat(3, axis=2)
    assert drawn.doubt(WHOLE, dots) == drawn.FEW_COLOURS  # black and white, and nothing between


def saved(pixels: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


@pytest.mark.parametrize("quality", [5, 10, 15])
def test_squares_of_strong_compression_are_no_drawing_s(quality):
    blocks = saved(shaded(), quality)
    assert drawn.drawn(blocks) > drawn.DRAWN and drawn.doubt(WHOLE, blocks) == drawn.BLOCKS
    shifted = np.ascontiguousarray(blocks[3:, 5:])  # a cut-out does not begin where a square does
    assert drawn.squared(shifted) > drawn.SQUARED > drawn.squared(saved(shaded(), 90)) > drawn.squared(inked())
    assert drawn.doubt(WHOLE, saved(inked(), 80)) in drawn.SENTENCES


@pytest.mark.parametrize("colour", [(70, 150, 160), (20, 20, 20), (235, 235, 240)])
def test_a_face_under_a_mask_of_one_colour_is_a_photograph_s(colour):
    masked = shaded()
    masked[80:140, 20:140] = colour
    crop = drawn.around(WHOLE, masked)
    assert drawn.covered(crop) and drawn.doubt(WHOLE, masked) == ""
    assert not drawn.covered(shaded()) and not drawn.covered(inked())
    few = masked // 64 * 64  # under the mask it is shown in a few colours nevertheless
    assert drawn.doubt(WHOLE, few) == drawn.FEW_COLOURS


def test_a_face_with_a_beard_of_hard_outlines_is_a_photograph_s():
    bearded = shaded()
    curls = np.random.default_rng(1).integers(0, 2, (21, 40)).repeat(4, axis=0).repeat(4, axis=1)
    bearded[78:] = (curls[:82] * 200 + 20)[..., None]
    crop = drawn.around(WHOLE, bearded)
    assert drawn.drawn(crop) > drawn.DRAWN and drawn.doubt(WHOLE, bearded) == ""


@pytest.mark.parametrize("levels", [4, 6, 8])
def test_few_levels_are_posterised_at_any_size(levels):
    step = 256 // levels
    for size in (160, 700):
        few = shaded(size) // step * step
        box = tuple(size * side / 160 for side in WHOLE)
        assert drawn.doubt(box, few) == drawn.FEW_COLOURS  # type: ignore[arg-type]
        assert drawn.posterised(shaded(size)) < 0.6 < drawn.posterised(few)


def test_a_face_without_contrast_or_too_small_is_not_measured():
    assert drawn.doubt(WHOLE, np.full((160, 160, 3), 130, np.uint8)) == ""
    assert drawn.posterised(shaded() // 8) == 0.0
    assert drawn.doubt((0, 0, 30, 30), inked()[:30, :30]) == ""


def test_the_measured_square_ends_at_the_picture():
    assert drawn.around((0, 0, 100, 100), shaded()).shape == (110, 110, 3)
    assert drawn.around(WHOLE, shaded()).shape == (144, 144, 3)


@given(arrays(np.uint8, st.tuples(st.integers(48, 70), st.integers(48, 70), st.just(3))))
def test_any_pixels_are_measured(pixels):
    assert 0.0 <= drawn.posterised(pixels) <= 1.0 + 1e-9
    assert np.isfinite(drawn.outlines(pixels)).all() and not np.isnan(drawn.drawn(pixels))
    assert np.isfinite(drawn.squared(pixels)) and drawn.covered(pixels) in (True, False)
    assert drawn.doubt_of(pixels) in ("", *drawn.SENTENCES, *drawn.POOR)
