"""Every forger keeps the family's promise, those not written yet included; `degrade` keeps its own."""

from __future__ import annotations

import inspect
import json
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facewitness import forge as family
from facewitness import geometry, plugins, regions
from facewitness.errors import InputError, UnknownName
from facewitness.forge import Forged
from facewitness.types import KINDS, Landmarks, Pixels

cv2 = pytest.importorskip("cv2", reason="forging needs OpenCV: pip install '.[forge]'")

# These change no label, so they have `degrade` and `edit` instead of `forge`: the exceptions of the family.
# `diffusers` forges with a model that somebody names: tests/test_forge_diffusers.py makes one.
FORGERS = [name for name in plugins.names("forge") if name not in ("degrade", "routine", "diffusers")]
SIZES = st.integers(40, 300)
SEEDS = st.integers(0, 2**32 - 1)


def mesh(width: float, height: float, *, turn: float = 0.0, scale: float = 0.75, shift: Any = (0, 0)) -> Landmarks:
    """The average face, upright or turned by degrees, in the middle of a frame or shifted by shares of it."""
    points = regions.average_landmarks()[:, :2] - (0.5, 0.5)
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    points = points @ np.array([[cos, sin], [-sin, cos]]) * min(width, height) * scale
    centre = np.array([width * (0.5 + shift[0]), height * (0.5 + shift[1])])
    return (points + centre).astype(np.float32)


def painted(width: int, height: int, points: Landmarks, seed: int = 0) -> Pixels:
    """A face painted on its mesh, with light from one side and grain, so that every region has something to change."""
    rng = np.random.default_rng(seed)
    ys, xs = np.mgrid[0:height, 0:width]
    picture = np.dstack([90 + 60 * xs / width, 100 + 40 * ys / height, 120 - 30 * xs / width]).astype(np.float32)
    tints = {"hair": (70, 45, 30), "face": (214, 168, 140), "nose": (204, 150, 122), "beard": (170, 130, 110)}
    tints |= {"ear": (206, 150, 130), "chin": (210, 160, 136), "eyebrows": (80, 52, 36), "eyes": (244, 240, 236)}
    tints |= {"mouth": (178, 80, 84), "teeth": (236, 228, 214)}
    for name, tint in tints.items():
        rings = [np.rint(np.clip(p, -2000, 2000)).astype(np.int32) for p in regions.polygons(name, points)]
        cv2.fillPoly(picture, rings, tint)
    picture *= (0.75 + 0.4 * xs / width)[..., None]
    picture += cv2.GaussianBlur(rng.normal(0, 14, picture.shape).astype(np.float32), (0, 0), 0.8)
    return np.clip(picture, 0, 255).astype(np.uint8)


def face(width: int, height: int, seed: int = 0, **pose: Any) -> tuple[Pixels, Landmarks]:
    points = mesh(width, height, **pose)
    return painted(width, height, points, seed), points


def run(leaf: ModuleType, pixels: Pixels, points: Landmarks, seed: int, **options: Any) -> Forged:
    if "donor" in inspect.signature(leaf.forge).parameters:
        options.setdefault("donor", face(180, 150, 99, turn=6))
    return leaf.forge(pixels, points, np.random.default_rng(seed), **options)


@pytest.fixture(scope="module", params=FORGERS)
def leaf(request: pytest.FixtureRequest) -> ModuleType:
    return plugins.get("forge", request.param)


# ------------------------------------------------------------------------------------------------- every forger


def test_the_forgers_of_the_issue_are_there() -> None:
    assert {"self_blend", "region_edit", "swap", "inpaint", "resynthesise"} <= set(FORGERS)
    assert "degrade" in plugins.names("forge")


@settings(max_examples=12)
@given(seed=SEEDS, width=SIZES, height=SIZES, turn=st.floats(-180, 180))
def test_promise(leaf: ModuleType, seed: int, width: int, height: int, turn: float) -> None:
    pixels, points = face(width, height, seed, turn=turn)
    before, points_before = pixels.copy(), points.copy()
    made = run(leaf, pixels, points, seed)

    assert made.pixels.dtype == np.uint8
    assert made.pixels.shape == pixels.shape
    assert made.mask.dtype == np.float32
    assert made.mask.shape == pixels.shape[:2]
    assert 0 <= made.mask.min() <= made.mask.max() <= 1
    np.testing.assert_array_equal(made.pixels[made.mask == 0], pixels[made.mask == 0])
    assert (made.pixels != pixels).any(axis=2)[made.mask > 0.5 * made.mask.max()].mean() > 0.1
    assert made.regions <= set(regions.MARE)
    assert made.kind in KINDS
    assert made.kind != "pristine"
    assert json.loads(json.dumps(made.record)) == [dict(entry) for entry in made.record]
    assert all("operation" in entry for entry in made.record)

    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(points, points_before)
    again = run(leaf, pixels, points, seed)
    assert again.pixels.tobytes() == made.pixels.tobytes()
    assert again.mask.tobytes() == made.mask.tobytes()
    assert (again.record, again.regions, again.kind) == (made.record, made.regions, made.kind)


def test_another_seed_forges_otherwise_and_says_so(leaf: ModuleType) -> None:
    pixels, points = face(160, 180)
    made = [run(leaf, pixels, points, seed) for seed in range(4)]
    assert len({m.pixels.tobytes() for m in made}) == 4
    assert len({json.dumps(m.record) for m in made}) == 4


@settings(max_examples=12)
@given(seed=SEEDS, x=st.floats(-0.55, 0.55), y=st.floats(-0.55, 0.55), scale=st.floats(0.3, 3))
def test_a_face_cut_by_the_frame_is_forged_or_refused_in_words(
    leaf: ModuleType, seed: int, x: float, y: float, scale: float
) -> None:
    pixels, points = face(120, 90, shift=(x, y), scale=scale)
    try:
        made = run(leaf, pixels, points, seed)
    except InputError as error:
        refusal = str(error)
    else:
        np.testing.assert_array_equal(made.pixels[made.mask == 0], pixels[made.mask == 0])
        assert (made.pixels != pixels).any()
        return
    assert "expected" in refusal
    assert "got" in refusal


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda p: p * 0 + 20, "degenerate or lies outside the frame"),
        (lambda p: p * np.float32([1, 0]) + 5, "degenerate or lies outside the frame"),
        (lambda p: p + 5000, "degenerate or lies outside the frame"),
        (lambda p: p * np.nan, "expected finite numbers"),
        (lambda p: p[:100], r"expected \(468, 2\)"),
    ],
)
def test_a_bad_mesh_is_refused(leaf: ModuleType, spoil: Any, words: str) -> None:
    pixels, points = face(100, 100)
    with pytest.raises(InputError, match=words):
        run(leaf, pixels, spoil(points), 0)


def test_bad_pixels_are_refused(leaf: ModuleType) -> None:
    pixels, points = face(100, 100)
    for bad in (pixels[..., 0], pixels.astype(np.float32), None):
        with pytest.raises(InputError, match="expected RGB uint8"):
            run(leaf, bad, points, 0)


def test_depth_is_ignored(leaf: ModuleType) -> None:
    pixels, points = face(120, 120)
    deep = np.hstack([points, np.full((468, 1), 7, np.float32)])
    assert run(leaf, pixels, deep, 3).pixels.tobytes() == run(leaf, pixels, points, 3).pixels.tobytes()


def test_a_photograph_is_forged_visibly_and_not_destroyed(leaf: ModuleType, astronaut: Pixels) -> None:
    """The average mesh laid on the portrait's face: enough to cut along."""
    pixels = np.ascontiguousarray(astronaut[0:256, 80:336])
    points = mesh(256, 256, scale=0.43, shift=(0.07, -0.02))
    for seed in range(4):
        made = run(leaf, pixels, points, seed)
        inside = made.mask >= 0.5 * made.mask.max()
        change = np.abs(made.pixels.astype(int) - pixels)[inside].mean()
        assert 0.5 < change < 90
        assert made.regions


# -------------------------------------------------------------------------------------- what each one says it does


def test_self_blend_weighs_by_its_ratio_and_changes_the_target_only_when_told() -> None:
    leaf = plugins.get("forge", "self_blend")
    pixels, points = face(150, 150)
    for seed in range(6):
        made = run(leaf, pixels, points, seed, change="target")
        assert made.record[0]["copy"] == "target"
        assert (made.pixels[made.mask == 0] != pixels[made.mask == 0]).any()
        ratio = made.record[1]["ratio"]
        assert made.mask.max() == pytest.approx(ratio, abs=0.02)
    with pytest.raises(UnknownName, match="source"):
        run(leaf, pixels, points, 0, change="sauce")


@pytest.mark.parametrize("region", ["nose", "mouth", "left_eye", "right_eyebrow", "chin", "hairline", "left_ear"])
@pytest.mark.parametrize("blend", ["poisson", "alpha"])
def test_region_edit_replaces_the_region_it_names(region: str, blend: str) -> None:
    leaf = plugins.get("forge", "region_edit")
    pixels, points = face(224, 224, scale=0.6)
    made = run(leaf, pixels, points, 4, choices=[region], blends=[blend])
    inside = geometry.fill(regions.polygons(region, points), 224, 224)
    assert set(regions.REGIONS[region].mare) <= made.regions
    assert made.mask[inside].mean() > 0.8
    assert made.mask[~inside].mean() < 0.1
    edits = [entry for entry in made.record if entry["operation"] == "replace"]
    assert [entry["region"] for entry in edits] == [region]


def test_region_edit_takes_one_to_three_regions() -> None:
    leaf = plugins.get("forge", "region_edit")
    pixels, points = face(160, 160)
    counts = {
        sum(entry["operation"] == "replace" for entry in run(leaf, pixels, points, seed).record) for seed in range(25)
    }
    assert counts == {1, 2, 3}


def test_swap_carries_the_donors_features_onto_the_targets() -> None:
    """A donor that is the target in other colours, turned and enlarged, comes back to where it was."""
    leaf = plugins.get("forge", "swap")
    pixels, points = face(200, 200, scale=0.8)
    turned = mesh(320, 300, scale=0.8, turn=20)
    affine = np.linalg.lstsq(np.hstack([points, np.ones((468, 1))]), turned, rcond=None)[0].T
    donor = cv2.warpAffine(255 - pixels, affine.astype(np.float32), (320, 300), flags=cv2.INTER_CUBIC)
    made = run(leaf, pixels, points, 0, donor=(donor, turned), colours=["none"], blends=["alpha"], hulls=["face"])
    core = made.mask == made.mask.max()
    weight = made.mask.max()
    expected = weight * (255.0 - pixels) + (1 - weight) * pixels
    difference = np.abs(cv2.blur(made.pixels, (5, 5)).astype(float) - cv2.blur(expected, (5, 5)))
    assert np.median(difference[core]) < 3


def test_swap_uses_no_pixel_the_donor_does_not_have() -> None:
    leaf = plugins.get("forge", "swap")
    pixels, points = face(200, 200)
    donor, donor_points = face(200, 200, seed=5)
    half = np.ascontiguousarray(donor[:, :100])  # the donor's face, cut in the middle
    made = run(leaf, pixels, points, 0, donor=(half, donor_points), hulls=["face"])
    assert made.mask[:, 106:].max() == 0
    assert made.mask[:, :90].max() > 0.7
    with pytest.raises(InputError, match="donor"):
        run(leaf, pixels, points, 0, donor=(donor, donor_points + np.float32([190, 0])), hulls=["inner"])


def test_swap_gives_up_poisson_blending_that_would_burn_the_face_out() -> None:
    leaf = plugins.get("forge", "swap")
    pixels, points = face(160, 160)
    calm = run(leaf, pixels, points, 0, blends=["poisson"], colours=["moments"], hulls=["inner"])
    assert "gave_up" not in calm.record[0]
    burnt = run(leaf, pixels // 60, points, 0, blends=["poisson"], colours=["none"])
    assert burnt.record[0]["gave_up"] == "poisson"
    assert burnt.pixels[burnt.mask > 0.9].mean() > 60, "the donor as it is"


@pytest.mark.parametrize("fill", ["telea", "navier_stokes", "exemplar"])
def test_inpaint_takes_away_what_was_there(fill: str) -> None:
    """A mole is gone after the hole around it was filled."""
    leaf = plugins.get("forge", "inpaint")
    pixels, points = face(224, 224, scale=0.9)
    spot = regions.polygons("glabella", points)[0].mean(axis=0)
    cv2.circle(pixels, np.rint(spot).astype(int).tolist(), 3, (255, 0, 255), -1)
    near = np.hypot(*(np.mgrid[0:224, 0:224][::-1] + 0.5 - spot[:, None, None])) < 3
    for seed in range(3):
        made = run(leaf, pixels, points, seed, choices=["glabella"], fills=[fill])
        assert [entry["fill"] for entry in made.record] == [fill]
        assert made.mask[near].min() > 0.99
        assert np.abs(made.pixels[near].astype(int) - (255, 0, 255)).mean() > 40
        assert "skin" in made.regions


def test_resynthesise_draws_a_whole_picture_or_a_face() -> None:
    leaf = plugins.get("forge", "resynthesise")
    pixels, points = face(160, 200)
    whole, part = (run(leaf, pixels, points, 2, whole=share) for share in (1, 0))
    assert whole.kind == "entire_synthesis"
    assert whole.mask.min() == 1
    assert part.kind == "identity_exchange"
    assert 0 == part.mask.min() < part.mask.max()


def test_resynthesise_draws_a_few_regions_as_an_inpainting_does() -> None:
    leaf = plugins.get("forge", "resynthesise")
    pixels, points = face(160, 200)
    made = run(leaf, pixels, points, 3, whole=0, parts=1, traces=["decode"], max_traces=1)
    names = made.record[0]["parts"]
    assert made.kind == "attribute_manipulation" and 1 <= len(names) <= 3
    assert 0.02 < (made.mask > 0.5).mean() < 0.3
    other = run(leaf, pixels, points, 3, whole=0, traces=["decode"], max_traces=1)
    assert other.kind == "identity_exchange", "no regions where nobody asked for them"


@pytest.mark.parametrize("seed", range(4))
def test_resynthesise_decodes_what_is_nearly_the_picture(seed: int) -> None:
    leaf = plugins.get("forge", "resynthesise")
    pixels, points = face(150, 133)  # sides that no grid divides
    made = run(leaf, pixels, points, seed, whole=1, traces=["decode"], max_traces=1)
    assert made.record[-1]["operation"] == "decode" and made.record[-1]["factor"] in (2, 4)
    error = made.pixels.astype(float) - pixels
    spread = pixels.astype(float).std()
    assert 0.1 < np.sqrt((error**2).mean()) < 0.4 * spread


def test_resynthesise_grid_shows_as_peaks_in_the_spectrum() -> None:
    leaf = plugins.get("forge", "resynthesise")
    pixels, points = face(256, 256)
    made = run(leaf, pixels, points, 5, whole=1, traces=["grid"])
    change = made.pixels.astype(float).mean(axis=2) - pixels.astype(float).mean(axis=2)
    spectrum = np.abs(np.fft.fft2(change))
    waves = {
        (0, 128),
        (128, 0),
        (128, 128),
        (0, 64),
        (64, 0),
        (64, 64),
        (0, 32),
        (32, 0),
        (32, 32),
        (32, 224),
        (64, 192),
    }
    peak = np.unravel_index(np.argmax(spectrum), spectrum.shape)
    assert (int(min(peak[0], 256 - peak[0])), int(min(peak[1], 256 - peak[1]))) in waves


# ------------------------------------------------------------------------------------------ the ground they stand on


def test_regions_touched_needs_a_third_of_a_region_or_takes_the_heaviest() -> None:
    points = mesh(200, 200)
    nose = geometry.fill(regions.polygons("nose", points), 200, 200).astype(np.float32)
    assert "nose" in family.regions_touched(nose, points)
    assert "nose" in family.regions_touched(0.2 * nose, points), "a faint paste is in the same place"
    assert "mouth" not in family.regions_touched(nose, points)
    speck = np.zeros((200, 200), np.float32)
    x, y = np.rint(points[50]).astype(int)
    speck[y - 1 : y + 2, x - 1 : x + 2] = 1
    assert family.regions_touched(speck, points) == {"skin"}
    assert family.regions_touched(np.zeros((200, 200), np.float32), points) == frozenset()
    assert family.regions_touched(np.ones((200, 200), np.float32), points) == set(regions.MARE)


def test_poisson_solves_laplaces_equation() -> None:
    """A gap that is itself harmonic, here a plane, is continued exactly: the paste becomes the pristine picture."""
    from facewitness.forge import _face

    ys, xs = np.mgrid[0:90, 0:110].astype(np.float32)
    texture = np.random.default_rng(0).uniform(60, 120, (90, 110, 3))
    foreign = np.rint(texture).astype(np.uint8)
    pristine = np.clip(np.rint(foreign + (0.4 * xs - 0.3 * ys + 20)[..., None]), 0, 255).astype(np.uint8)
    mask = np.zeros((90, 110), np.float32)
    cv2.ellipse(mask, (60, 40), (35, 25), 20, 0, 360, 1, -1)
    assert np.abs(_face.poisson(foreign, pristine, mask).astype(int) - pristine).max() <= 2

    # and it stands against the sparse linear system it approximates, with a boundary that is not smooth
    gap = np.random.default_rng(1).normal(0, 20, (24, 30, 3)).astype(np.float32)
    inside = np.zeros((24, 30), np.uint8)
    inside[6:18, 7:24] = 1
    unknown = {tuple(at): i for i, at in enumerate(np.argwhere(inside))}
    matrix, right = np.zeros((len(unknown), len(unknown))), np.zeros((len(unknown), 3))
    for (y, x), i in unknown.items():
        matrix[i, i] = 4
        for at in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if at in unknown:
                matrix[i, unknown[at]] = -1
            else:
                right[i] += gap[at]
    exact = np.linalg.solve(matrix, right)
    assert np.abs(_face._membrane(gap, inside)[inside > 0] - exact).mean() < 2  # a tenth of the gap


def test_block_cosines_are_orthonormal_and_invertible() -> None:
    from facewitness.forge import _blocks

    plane = np.random.default_rng(0).normal(0, 50, (37, 53)).astype(np.float32)
    for n, offset in ((4, (0, 0)), (8, (3, 5)), (16, (9, 1))):
        coefficients = _blocks.to_cosines(plane, n, offset)
        np.testing.assert_allclose(_blocks.to_plane(coefficients, 37, 53, offset), plane, atol=1e-3)
    whole = plane[:32, :48].copy()
    assert np.square(_blocks.to_cosines(whole, 8)).sum() == pytest.approx(np.square(whole).sum(), rel=1e-4)
    np.testing.assert_allclose(
        _blocks.to_cosines(whole, 8)[:, 0, :, 0], whole.reshape(4, 8, 6, 8).mean((1, 3)) * 8, atol=1e-3
    )


# ------------------------------------------------------------------------------------------------------- degrade


@settings(max_examples=30)
@given(seed=SEEDS, width=SIZES, height=SIZES, strength=st.floats(0, 1))
def test_degrade_keeps_size_seed_and_input(seed: int, width: int, height: int, strength: float) -> None:
    degrade = plugins.get("forge", "degrade").degrade
    pixels = painted(width, height, mesh(width, height), seed)
    before = pixels.copy()
    worse, record = degrade(pixels, np.random.default_rng(seed), strength=strength)
    assert worse.shape == pixels.shape
    assert worse.dtype == np.uint8
    assert json.loads(json.dumps(record)) == [dict(entry) for entry in record]
    np.testing.assert_array_equal(pixels, before)
    again, same = degrade(pixels, np.random.default_rng(seed), strength=strength)
    assert again.tobytes() == worse.tobytes()
    assert same == record


def test_degrade_goes_the_same_way_for_two_pictures_of_one_seed() -> None:
    degrade = plugins.get("forge", "degrade").degrade
    one, other = (painted(120, 120, mesh(120, 120), seed) for seed in (0, 1))
    for seed in range(40):
        records = [degrade(p, np.random.default_rng(seed))[1] for p in (one, other)]
        assert records[0] == records[1]


def test_degrade_draws_every_operation_and_only_those_asked_for() -> None:
    leaf = plugins.get("forge", "degrade")
    pixels = painted(64, 64, mesh(64, 64))
    drawn = {
        entry["operation"] for seed in range(300) for entry in leaf.degrade(pixels, np.random.default_rng(seed))[1]
    }
    assert drawn == set(leaf.OPERATIONS)
    only = [leaf.degrade(pixels, np.random.default_rng(s), operations=["jpeg", "blur"])[1] for s in range(40)]
    assert {entry["operation"] for record in only for entry in record} == {"jpeg", "blur"}
    with pytest.raises(UnknownName, match="jpeg"):
        leaf.degrade(pixels, np.random.default_rng(0), operations=["jpg"])
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        leaf.degrade(pixels, np.random.default_rng(0), strength=2)


@pytest.mark.parametrize(
    ("name", "gentle", "harsh"),
    [
        ("jpeg", {"quality": 95}, {"quality": 30}),
        ("webp", {"quality": 95}, {"quality": 20}),
        ("h264_like", {"crf": 18}, {"crf": 40}),
        ("h264_like", {"crf": 18, "block": 4, "offset": (3, 1)}, {"crf": 40, "block": 4, "offset": (3, 1)}),
        ("resize", {"factor": 0.9}, {"factor": 0.3}),
        ("blur", {"sigma": 0.4}, {"sigma": 3}),
        ("motion", {"length": 1.5, "degrees": 30}, {"length": 9, "degrees": 30}),
        ("noise", {"sigma": 1}, {"sigma": 10}),
        ("shot", {"photons": 10000}, {"photons": 100}),
        ("tone", {"gamma": 1.02}, {"gamma": 1.5}),
        ("saturate", {"factor": 1.02}, {"factor": 0.3}),
    ],
)
def test_named_operations_hurt_more_when_stronger_and_keep_the_tone(
    name: str, gentle: dict[str, Any], harsh: dict[str, Any], astronaut: Pixels
) -> None:
    operation = getattr(plugins.get("forge", "degrade"), name)
    pixels = np.ascontiguousarray(astronaut[30:201, 130:301])  # odd sizes: blocks and chroma must be completed
    noisy = "rng" in inspect.signature(operation).parameters
    results = [
        operation(pixels, **how, **({"rng": np.random.default_rng(0)} if noisy else {})) for how in (gentle, harsh)
    ]
    losses = [np.abs(r.astype(float) - pixels).mean() for r in results]
    assert results[0].shape == pixels.shape
    assert 0 < losses[0] < losses[1] < 40
    if name not in ("tone", "saturate"):
        for result in results:
            np.testing.assert_allclose(result.mean((0, 1)), pixels.mean((0, 1)), atol=2.5)


# ------------------------------------------------------------------------------------------------------- routine


@settings(max_examples=20)
@given(seed=SEEDS, width=SIZES, height=SIZES)
def test_routine_edits_keep_size_seed_and_input(seed: int, width: int, height: int) -> None:
    leaf = plugins.get("forge", "routine")
    pixels, points = face(width, height, seed)
    before, place = pixels.copy(), geometry.bounds(points)
    made = leaf.edit(pixels, np.random.default_rng(seed), place=place)
    assert made.pixels.dtype == np.uint8
    assert made.pixels.shape == pixels.shape
    assert 1 <= len(made.record) <= 3
    json.dumps(made.record)
    np.testing.assert_array_equal(pixels, before)
    again = leaf.edit(pixels, np.random.default_rng(seed), place=place)
    assert again.pixels.tobytes() == made.pixels.tobytes()


def test_routine_edits_go_the_same_way_for_two_pictures_of_one_seed_whatever_their_sizes() -> None:
    leaf = plugins.get("forge", "routine")
    (one, _), (other, _) = face(120, 140), face(90, 60, 3)
    for seed in range(60):
        records = [leaf.edit(p, np.random.default_rng(seed)).record for p in (one, other)]
        assert records[0] == records[1]


@pytest.mark.parametrize("name", sorted(plugins.get("forge", "routine").OPERATIONS))
def test_every_routine_edit_changes_something_and_says_what_it_covers(name: str) -> None:
    leaf = plugins.get("forge", "routine")
    pixels, points = face(160, 160)
    for seed in range(6):
        made = leaf.edit(
            pixels, np.random.default_rng(seed), place=geometry.bounds(points), operations=[name], counts=(0, 1)
        )
        assert made.record[0]["operation"] == name
        assert (made.pixels != pixels).any()
        assert (made.cover is not None) == (name in ("text", "sticker"))
        if made.cover is not None:
            np.testing.assert_array_equal(made.pixels[made.cover == 0], pixels[made.cover == 0])
            forged = np.ones(pixels.shape[:2], np.float32)
            np.testing.assert_allclose(made.uncovered(forged), 1 - made.cover)


def test_routine_edits_are_drawn_so_many_times_as_often() -> None:
    leaf = plugins.get("forge", "routine")
    pixels, _ = face(60, 60)

    def text_and_median(operations: dict[str, float] | None) -> tuple[int, int]:
        made = [leaf.edit(pixels, np.random.default_rng(s), operations=operations).record for s in range(150)]
        drawn = [step["operation"] for record in made for step in record]
        return drawn.count("text"), drawn.count("median")

    text, median = text_and_median({"text": 8, "median": 0})
    assert text > 3 * text_and_median(None)[0] and median == 0 < text_and_median({})[1]


def test_a_routine_edit_that_does_not_exist_is_named() -> None:
    leaf = plugins.get("forge", "routine")
    pixels, _ = face(60, 60)
    with pytest.raises(UnknownName, match="monochrome"):
        leaf.edit(pixels, np.random.default_rng(0), operations=["monochrom"])
    assert leaf.monochrome(pixels).std(axis=2).max() == 0
    assert leaf.toned(pixels, "sepia")[..., 0].mean() > leaf.toned(pixels, "sepia")[..., 2].mean()
    np.testing.assert_array_equal(leaf.white_balance(pixels), pixels)


def test_a_swap_of_parts_leaves_the_rest_of_the_face() -> None:
    leaf = plugins.get("forge", "swap")
    pixels, points = face(180, 180)
    for seed in range(8):
        made = run(leaf, pixels, points, seed, hulls=["parts"])
        assert made.kind == "attribute_manipulation"
        assert 1 <= len(made.record[0]["parts"]) <= 3
        assert (made.mask > 0).mean() < 0.5
