"""Perturbations: named, of five strengths, the same for a fake and its pristine counterpart."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2", reason="perturbing needs OpenCV: pip install '.[forge]'")

from facewitness.bench import perturb
from facewitness.errors import InputError, UnknownName


def _picture(seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(40, 220, (9, 11, 3)).astype(np.float32)
    ys, xs = np.mgrid[0:90, 0:110] / 10
    return (small[ys.astype(int), xs.astype(int)] + 8 * np.sin(xs * 9 + ys)[..., None]).clip(0, 255).astype(np.uint8)


def test_words_name_one_strength_all_five_or_all_routine_edits():
    assert perturb.parse(["jpeg:3"]) == (("none", 0), ("jpeg", 3))
    assert perturb.parse(["sepia"]) == (("none", 0), *(("sepia", s) for s in perturb.STRENGTHS))
    assert [name for name, _ in perturb.parse(["routine:2"])[1:]] == list(perturb.ROUTINE)
    assert {name for name, _ in perturb.parse(["all"])} == {"none", *perturb.NAMES}
    with pytest.raises(UnknownName, match="sepia"):
        perturb.parse(["sepai"])
    with pytest.raises(InputError, match="1 to 5"):
        perturb.parse(["sepia:6"])


@pytest.mark.parametrize("name", sorted(perturb.ROUTINE))
def test_a_routine_edit_repeats_for_a_group_and_grows_with_its_strength(name):
    pixels = _picture()
    change = []
    for strength in perturb.STRENGTHS:
        edited = perturb.apply(pixels, (name, strength), seed=1, group="a")
        assert edited.shape == pixels.shape and edited.dtype == np.uint8
        assert np.array_equal(edited, perturb.apply(pixels, (name, strength), seed=1, group="a"))
        change.append(np.abs(edited.astype(int) - pixels).mean())
    assert min(change) > 0
    if name not in (
        "monochrome",
        "local_contrast",
        "screenshot",
        "text",
        "sticker",
    ):  # kinds, not strengths, or drawn places
        assert change[-1] > change[0]
