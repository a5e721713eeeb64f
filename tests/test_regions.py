"""Where regions lie, what texts call them, and what the dialects call them."""

import functools
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from effort import grows_with_its_length
from hypothesis import given, settings
from hypothesis import strategies as st

from facewitness import regions
from facewitness.errors import InputError, UnknownName
from facewitness.geometry import fill
from facewitness.questions import asked_regions
from facewitness.regions import (
    CELEBAMASK,
    DDVQA,
    DIALECTS,
    FORGERYTALKER,
    KEYWORDS,
    MARE,
    MMTT,
    REGIONS,
    SYNONYMS,
    mentioned,
    polygons,
)

SIDE = 512
DOCS = Path(__file__).parent.parent / "docs"
every_region = pytest.mark.parametrize("name", REGIONS)


def mesh(size: float = 256.0) -> np.ndarray:
    """The average face, `size` pixels high in the middle of a picture of SIDE pixels."""
    return ((regions.average_landmarks() - [0.5, 0.5, 0.0]) * size + [SIDE / 2, SIDE / 2, 0]).astype(np.float32)


@functools.cache
def area(name: str) -> np.ndarray:
    return fill(polygons(name, mesh()), SIDE, SIDE)


def share_inside(inner: str, outer: str) -> float:
    """How much of one region lies in another."""
    return float((area(inner) & area(outer)).sum() / area(inner).sum())


# --------------------------------------------------------------------------------------------------------- the tree


def test_the_tree_is_one_tree_and_parents_come_first():
    seen: set[str] = set()
    for name, region in REGIONS.items():
        assert region.name == name
        assert region.parent in seen if seen else region.parent is None and name == "face"
        assert set(region.mare) <= set(MARE)
        assert region.rings or regions.parts(name), f"{name} has neither an outline nor parts"
        seen.add(name)


def test_every_side_has_its_other_side():
    for name, region in REGIONS.items():
        if name.startswith("left_"):
            twin = REGIONS[name.replace("left_", "right_")]
            assert twin.mare == tuple(mare.replace("left_", "right_") for mare in region.mare)
        if name.startswith("right_"):
            assert name.replace("right_", "left_") in REGIONS


def test_parts_titles_and_the_drawn_tree():
    assert regions.parts("mouth") == ("upper_lip", "lower_lip", "teeth", "left_mouth_corner", "right_mouth_corner")
    assert regions.parts("teeth") == ("upper_teeth", "lower_teeth", "tongue")
    assert regions.title("left_nasolabial_fold") == "left nasolabial fold"
    lines = regions.draw_tree().splitlines()
    assert len(lines) == len(REGIONS)
    assert lines[0] == "face  (skin)"
    assert "│   ├── left eye" in lines
    assert "├── neck  (not in MARE)" in lines


def test_the_tree_has_112_atomic_concepts_and_each_lies_in_its_area():
    assert len(regions.ATOMIC) == 112
    elsewhere = {name: regions.covering(name) for name in regions.ATOMIC}
    elsewhere = {name: area for name, area in elsewhere.items() if area != REGIONS[name].parent}
    assert {name.removeprefix("left_").removeprefix("right_") for name in elsewhere} == {
        "nasolabial_fold", "under_eye", "inner_eye_corner", "outer_eye_corner", "mouth_corner",
    }  # fmt: skip
    assert regions.covering("left_under_eye") == "skin"
    assert regions.covering("face") is None


def turned(degrees: float) -> np.ndarray:
    """The average face turned to the subject's left, in the picture's plane."""
    face, turn = regions.average_landmarks(), np.deg2rad(degrees)
    face[:, 0] = (face[:, 0] - 0.5) * np.cos(turn) + face[:, 2] * np.sin(turn)
    return face


def test_a_pose_hides_the_far_side_and_closed_lips_hide_the_teeth():
    assert regions.hidden(mesh()) == frozenset()
    assert regions.hidden(turned(10)) == frozenset()
    far = regions.hidden(turned(40))
    assert {"right_ear", "right_ear_lobe", "right_temple", "right_cheek"} <= far
    assert not any(name.startswith("left_") for name in far)
    assert far < regions.hidden(turned(60))
    assert {name.replace("right_", "left_") for name in far} == set(regions.hidden(turned(-40)))
    assert regions.hidden(mesh() * [-1, 1, 1]) == frozenset()  # a mirror hides nothing
    closed = mesh()
    for above, below in ((13, 14), (82, 87), (81, 178), (80, 88), (191, 95), (312, 317), (311, 402), (310, 318)):
        closed[below] = closed[above]
    closed[324] = closed[415]
    assert regions.hidden(closed) == {"teeth", "upper_teeth", "lower_teeth", "tongue"}
    with pytest.raises(InputError, match="expected landmarks"):
        regions.hidden(np.zeros((5, 2), np.float32))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The left iris and the eyebrow", (("left_iris",), ("left_eyebrow", "right_eyebrow"))),
        ("his upper lip", (("upper_lip",),)),
        ("Cupid's bow is odd", (("upper_lip_centre",),)),
        ("the tip of the nose", (("nose_tip",),)),
        ("left and right cheekbones", (("left_cheekbone", "right_cheekbone"),)),
        ("crow's feet", (("left_crows_feet", "right_crows_feet"),)),
        ("the eyes", (("eyes",),)),
        ("a hat", ()),
    ],
)
def test_what_a_text_names_on_all_levels(text, found):
    assert regions.named(text) == found


@every_region
def test_every_title_names_its_region(name):
    assert name in regions.named(f"There is something at the {regions.title(name)} here.")[0]
    assert regions.called(f"the {regions.title(name)}") == name


# --------------------------------------------------------------------------------------------------- the average face


def test_average_face_is_upright_symmetric_and_in_the_unit_box():
    face, twin = regions.average_landmarks(), regions.mirrored_indices()
    assert face.shape == (468, 3)
    assert face.dtype == np.float32
    assert face[:, :2].min() >= 0
    assert face[:, :2].max() <= 1
    assert (twin[twin] == np.arange(468)).all()
    np.testing.assert_allclose(face[twin] * [-1, 1, 1] + [1, 0, 0], face, atol=1e-6)
    assert face[10, 1] < face[168, 1] < face[4, 1] < face[13, 1] < face[152, 1]  # forehead, eyes, nose, mouth, chin
    assert face[263, 0] > 0.5 > face[33, 0]  # the subject's left is on the picture's right
    assert twin[263] == 33
    assert face[4, 2] < face[234, 2]  # the nose is nearer than the ears


def test_the_average_face_is_a_copy_each_time():
    regions.average_landmarks()[:] = 0
    regions.mirrored_indices()[:] = 0
    assert regions.average_landmarks().max() == 1
    assert regions.mirrored_indices()[33] == 263


# --------------------------------------------------------------------------------------------------------- polygons


@every_region
def test_a_region_has_an_area_and_stays_near_the_face(name):
    rings = polygons(name, mesh())
    assert all(ring.dtype == np.float32 and ring.ndim == 2 and ring.shape[1] == 2 and len(ring) > 2 for ring in rings)
    points = np.concatenate(rings)
    assert area(name).sum() >= 28
    assert points.min() >= 0.05 * SIDE
    assert points.max() <= 0.95 * SIDE


@every_region
def test_a_region_is_symmetric_or_mirrored_by_its_other_side(name):
    side, _, rest = name.partition("_")
    other = {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, name)
    difference = area(name)[:, ::-1] ^ area(other)
    assert difference.sum() <= 0.03 * area(name).sum() + 2  # pixel centres on an edge may fall either way


@every_region
def test_no_ring_crosses_itself(name):
    def turns(a, b, c):
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    for ring in polygons(name, mesh()):
        p = ring.astype(np.float64)
        n = len(p)
        for i in range(n):
            for j in range(i + 2, n - (i == 0)):
                a, b, c, d = p[i], p[(i + 1) % n], p[j], p[(j + 1) % n]
                assert not (turns(a, b, c) * turns(a, b, d) < 0 and turns(c, d, a) * turns(c, d, b) < 0), (i, j)


@settings(deadline=None)  # the first call in a process warms up
@given(
    name=st.sampled_from(list(REGIONS)),
    angle=st.floats(-np.pi, np.pi),
    scale=st.floats(0.05, 20),
    shift=st.tuples(st.floats(-5000, 5000), st.floats(-5000, 5000)),
    flip=st.booleans(),
    noise=st.integers(0, 9),
)
def test_regions_follow_the_landmarks_through_every_similarity(name, angle, scale, shift, flip, noise):
    """Also for the extrapolated ones, and for faces other than the average one."""
    face = mesh()[:, :2] + np.random.default_rng(noise).normal(0, 3, (468, 2))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = turn @ np.diag([-1 if flip else 1, 1])
    moved = polygons(name, (face @ turn.T + shift).astype(np.float32))
    expected = [ring @ turn.T + shift for ring in polygons(name, face.astype(np.float32))]
    assert len(moved) == len(expected)
    for got, want in zip(moved, expected, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6 * (5000 + SIDE * scale) * 4)


def test_depth_is_not_used():
    flat, deep = mesh()[:, :2].copy(), mesh()
    for name in MARE:
        for a, b in zip(polygons(name, flat), polygons(name, deep), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("inner", "outer"),
    [(name, "face") for name in ("skin", "nose", "mouth", "teeth", "left_eye", "right_eye", "eyebrows", "lower_face")]
    + [("teeth", "mouth"), ("upper_lip", "mouth"), ("lower_lip", "mouth"), ("glabella", "forehead")]
    + [("nose_bridge", "nose"), ("nose_tip", "nose"), ("nostrils", "nose"), ("mustache", "beard"), ("cheeks", "skin")],
)
def test_what_should_lie_inside_does(inner, outer):
    assert share_inside(inner, outer) > 0.93


@pytest.mark.parametrize(
    ("one", "other"),
    [("skin", name) for name in ("left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "mouth", "teeth")]
    + [("beard", "mouth"), ("upper_lip", "lower_lip"), ("teeth", "upper_lip"), ("left_cheek", "nose"), ("ear", "face")]
    + [("left_upper_eyelid", "left_eye"), ("left_lower_eyelid", "left_eye"), ("chin", "jaw"), ("neck", "face")]
    + [("hair", "face"), ("left_eye", "left_eyebrow"), ("hairline", "eyebrows"), ("philtrum", "nose")],
)
def test_what_should_lie_apart_does(one, other):
    assert share_inside(one, other) < 0.04


def test_holes_are_cut_out_of_skin_and_beard():
    face, eye, lips = area("face"), area("eyes"), area("mouth")
    assert area("skin").sum() == pytest.approx(face.sum() - eye.sum() - area("eyebrows").sum() - lips.sum(), rel=0.01)
    assert len(polygons("skin", mesh())) == 6
    assert len(polygons("beard", mesh())) == 2


def test_the_hairline_is_an_arch():
    """Not convex: the forehead lies under it and is mostly free of it."""
    band = area("hairline")
    x = SIDE // 2
    assert band[:, x].any()
    rows = np.flatnonzero(band.any(axis=1))
    assert not band[rows[-1], x]  # open below
    assert band[rows[-1], :x].any()
    assert band[rows[-1], x:].any()
    assert (band & area("forehead")).sum() < 0.25 * area("forehead").sum()
    assert rows[0] < np.flatnonzero(area("face").any(axis=1))[0]  # it reaches above the mesh


def test_extrapolated_regions_lie_where_such_things_are():
    middle = SIDE / 2
    face = mesh()

    def centre(name):
        return np.argwhere(area(name)).mean(axis=0)[::-1]

    assert centre("left_ear")[0] > face[:, 0].max() - 2
    assert centre("right_ear")[0] < face[:, 0].min() + 2
    assert face[168, 1] - 30 < centre("ear")[1] < face[13, 1]
    assert centre("hair")[1] < face[10, 1] + 40
    assert centre("neck")[1] > face[152, 1] - 5
    assert centre("neck")[0] == pytest.approx(middle, abs=1)
    assert centre("beard")[1] > face[13, 1]


def test_left_is_the_subjects_left():
    for name in ("left_eye", "left_eyebrow", "left_cheek", "left_ear", "left_jaw", "left_nostril"):
        assert np.concatenate(polygons(name, mesh()))[:, 0].mean() > SIDE / 2
    indices = {ring for ring in REGIONS["left_eye"].rings[0] if isinstance(ring, int)}
    assert {263, 362} <= indices


@pytest.mark.parametrize("shape", [(468,), (468, 1), (468, 4), (478, 3), (5, 2), (1, 468, 2)])
def test_landmarks_of_another_shape_are_refused(shape):
    with pytest.raises(InputError, match=r"expected landmarks \(468, 2\) or \(468, 3\), got"):
        polygons("nose", np.zeros(shape, np.float32))


def test_landmarks_that_are_not_finite_are_refused():
    broken = mesh()
    broken[7, 1] = np.nan
    with pytest.raises(InputError, match="finite"):
        polygons("nose", broken)


@pytest.mark.parametrize("call", [lambda n: polygons(n, mesh()), regions.title, regions.parts])
def test_an_unknown_region_is_told_the_nearest(call):
    with pytest.raises(UnknownName, match="Did you mean 'left_eyebrow'"):
        call("left_eyebrw")


# --------------------------------------------------------------------------------------------------------- dialects


def test_the_dialects_are_complete():
    assert len(MARE) == 12
    assert len(set(FORGERYTALKER)) == len(FORGERYTALKER) == 21
    assert set(MARE) < set(FORGERYTALKER)
    assert len(CELEBAMASK) == 19
    assert (CELEBAMASK[0], CELEBAMASK[4], CELEBAMASK[13], CELEBAMASK[18]) == ("background", "l_eye", "hair", "cloth")
    assert DDVQA == ("image", "skin", "eyebrows", "eyes", "nose", "mouth")
    for names, dialect in (
        (MARE, "mare"),
        (FORGERYTALKER, "forgerytalker"),
        (CELEBAMASK, "celebamask"),
        (DDVQA, "ddvqa"),
        (MMTT, "mmtt"),
    ):
        assert tuple(DIALECTS[dialect]) == names
        for name in names:
            assert set(regions.regions_of(dialect, name)) <= set(REGIONS)
            assert set(regions.to_mare(dialect, name)) <= set(MARE)


@pytest.mark.parametrize("name", MARE)
def test_mare_translates_to_itself_and_has_a_place(name):
    assert regions.to_mare("mare", name) == (name,)
    assert REGIONS[name].mare == (name,)


@pytest.mark.parametrize(
    ("dialect", "name", "mare"),
    [
        ("forgerytalker", "nose_bridge", ("nose",)),
        ("forgerytalker", "jaw", ("chin",)),
        ("forgerytalker", "left_cheek", ("skin",)),
        ("celebamask", "l_brow", ("left_eyebrow",)),
        ("celebamask", "r_eye", ("right_eye",)),
        ("celebamask", "u_lip", ("mouth",)),
        ("celebamask", "hair", ("hairline",)),
        ("celebamask", "r_ear", ("ear",)),
        ("celebamask", "background", ()),
        ("celebamask", "neck", ()),
        ("ddvqa", "eyes", ("left_eye", "right_eye")),
        ("ddvqa", "image", ()),
    ],
)
def test_translations(dialect, name, mare):
    assert regions.to_mare(dialect, name) == mare


def test_unknown_names_of_dialects_are_told_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'celebamask'"):
        regions.to_mare("celebmask", "hair")
    with pytest.raises(UnknownName, match=r"name in the dialect celebamask 'l_brows'.*Did you mean 'l_brow'"):
        regions.to_mare("celebamask", "l_brows")


@pytest.mark.parametrize(("label", "word"), [(label, word) for label, words in SYNONYMS.items() for word in words])
def test_a_caption_has_the_label_of_every_synonym(label, word):
    assert label in regions.captioned(f"An odd {word.upper()} here.")
    assert label not in regions.captioned(f"An odd {word}ish{word} here.") or " " in word


def test_labels_of_a_caption():
    assert len(MMTT) == 21
    assert MMTT[:2] == ("eye", "pupil")
    assert MMTT[-1] == "dimple"
    assert regions.captioned("") == ()
    assert regions.captioned("The year of the noseless eyelid") == ()
    assert regions.captioned("His brows, the Left eyebrow and facial hair") == ("forehead", "eyebrow", "beard", "hair")
    assert regions.captioned("nose " * 100_000) == ("nose",)


@pytest.mark.parametrize(
    ("phrase", "region"),
    [
        ("left eyebrow", "left_eyebrow"), ("The Eyes", "eyes"), ("left-eye", "left_eye"),
        ("nose bridge", "nose_bridge"),
        ("the nostril of the nose", "nose"), ("hat", None), ("nose and mouth", None), ("", None), ("eye", None),
    ],
)  # fmt: skip
def test_what_a_phrase_calls(phrase, region):
    assert regions.called(phrase) == region


# ------------------------------------------------------------------------------------------------------------ words

EYES, BROWS = ("left_eye", "right_eye"), ("left_eyebrow", "right_eyebrow")


@pytest.mark.parametrize(
    ("region", "keyword"), [(region, word) for region, words in KEYWORDS.items() for word in words]
)
def test_every_keyword_of_table_6_names_its_region(region, keyword):
    found = mentioned(f"The {keyword} looks odd.")
    sided = {r for r, words in KEYWORDS.items() if keyword in words}
    assert set(found) == sided
    assert region in found
    assert mentioned(keyword.upper()) == found


@pytest.mark.parametrize("word", regions.MORE_KEYWORDS)
def test_our_own_keywords_name_theirs(word):
    assert mentioned(f"an odd {word} here") == regions.MORE_KEYWORDS[word]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # one side, both sides, and the order of mention
        ("left eye", EYES[:1]),
        ("The right eye is blurred", EYES[1:]),
        ("eye", EYES),
        ("The eyes", EYES),
        ("both eyes", EYES),
        ("left and right eyebrows", BROWS),
        ("right and left eyebrows", BROWS[::-1]),
        ("the left and the right eyebrow", BROWS),
        ("left/right eye", EYES),
        ("left- and right-eye", EYES),
        ("neither the left nor the right eye", EYES),
        ("left eye, right eyebrow, ears", ("left_eye", "right_eyebrow", "ear")),
        ("nose, mouth and nose again", ("nose", "mouth")),
        # a side does not leak
        ("left eye and nose", ("left_eye", "nose")),
        ("left eye and eyebrows", ("left_eye", *BROWS)),
        ("left eyebrow above the eyes", ("left_eyebrow", *EYES)),
        ("the nose is bent to the left, the eyes are not", ("nose", *EYES)),
        ("left of the eyes", EYES),
        ("right above his eyes", EYES),
        ("the left is fine but the eyes are not", EYES),
        ("She left her eyes open", EYES),
        ("a stain, top right over the eyebrow", BROWS),
        ("Left. Eyes", EYES),
        ("eyebrow", BROWS),
        # a side over adjectives, or after
        ("Left overlapped eyebrows.", BROWS[:1]),
        ("left upper eyelid", EYES[:1]),
        ("the left-hand eye", EYES[:1]),
        ("the eye on the left is larger", EYES[:1]),
        ("the eye on the right side of the face", ("right_eye", "skin")),
        ("eye (left)", EYES[:1]),
        ("eyes on the left cheek", (*EYES, "skin")),
        ("eyes to the left of the nose", (*EYES, "nose")),
        ("the eye on the viewer's left", EYES),
        ("the viewer's left eye", EYES),
        ("the image’s left eye and the image-left eye", EYES),
        ("the eye on the left side of the picture", EYES),
        ("the left-most eye", EYES),
        ("the eye on the left side of the face", ("left_eye", "skin")),
        ("in this picture the left eye", ("left_eye",)),
        # sides of what has none in MARE
        ("left cheek", ("skin",)),
        ("the left ear and the right nostril", ("ear", "nose")),
        # spelling
        ("LEFT_EYE", EYES[:1]),
        ("lefteye", EYES[:1]),
        ("r-eye, l eyebrow", ("right_eye", "left_eyebrow")),
        ("the left\neye", EYES[:1]),
        ("left\u2011eye", EYES[:1]),
        ("eye brows", BROWS),
        ("eye-brow", BROWS),
        ("The person's nose's tip", ("nose",)),
        ('{"left_eye": [1, 2, 3, 4], "chin": []}', ("left_eye", "chin")),
        ("irises and eyelashes", EYES),
        # phrases before their words
        ("the lower face", ("chin",)),
        ("left lower face", ("chin",)),
        ("facial hair", ("beard",)),
        ("hair line", ("hairline",)),
        ("jaw line", ("chin",)),
        # whole words only
        ("a year of hearing, earrings and pears", ()),
        ("a noseless surface, a slip, a china eyed interface", ()),
        ("left and right", ()),
        ("", ()),
    ],
)
def test_mentions(text, found):
    assert mentioned(text) == found


@settings(deadline=None)  # the first call in a process warms up
@given(st.text(alphabet="leftrigh ayndbow_-,/()sonthe.", max_size=80))
def test_any_text_gives_names_of_mare_each_once(text):
    found = mentioned(text)
    assert set(found) <= set(MARE)
    assert len(set(found)) == len(found)


@settings(deadline=None)  # the first call in a process warms up
@given(st.lists(st.sampled_from(MARE), max_size=6, unique=True))
def test_titles_are_found_again_in_their_order(names):
    assert mentioned("; ".join(regions.title(name) for name in names)) == tuple(names)


@pytest.mark.parametrize("text", ["left ", "left and the ", "left odd new ", "eye on the left, ", "eye (", "_", " "])
def test_reading_a_text_costs_what_its_length_does(text):
    assert grows_with_its_length(lambda count: mentioned(text * count), 5_000)  # a quadratic search would take minutes


# ------------------------------------------------------------------------------------------------------------- docs


def drawing():
    spec = importlib.util.spec_from_file_location("draw_regions", DOCS / "draw_regions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_says_what_the_code_says():
    page = (DOCS / "regions.md").read_text(encoding="utf-8")
    assert page == drawing().markdown(), "run: python docs/draw_regions.py"


def test_the_picture_shows_what_the_code_draws():
    picture = (DOCS / "regions.svg").read_text(encoding="utf-8")
    assert picture == drawing().svg(), "run: python docs/draw_regions.py"
    for name in MARE:
        assert f"<title>{regions.title(name)}</title>" in picture


def test_mirroring_a_name_twice_gives_it_back_and_exchanges_sides():
    assert regions.mirrored("left_upper_eyelid") == "right_upper_eyelid" and regions.mirrored("nose") == "nose"
    assert all(regions.mirrored(regions.mirrored(name)) == name for name in regions.REGIONS)
    assert all(regions.mirrored(name) in regions.REGIONS for name in regions.REGIONS)


@given(st.data(), st.sampled_from(["the hairline and his lips", "left eyelids", "right and left eyebrows", "cheeks"]))
def test_letters_that_only_look_alike_name_the_same_regions(data, text):
    for written in (text.upper(), text.replace("i", "İ"), text.replace("s", "ſ"), text.replace("k", "\u212a")):
        assert regions.mentioned(written) == regions.mentioned(text) != ()
        assert regions.sided(written) == regions.sided(text)
    odd = "".join(data.draw(st.sampled_from([c, c.upper(), chr(ord(c) + 0xFEE0)])) if c.isalpha() else c for c in text)
    assert regions.mentioned(odd) == regions.mentioned(text)


def _alike() -> list[tuple[str, str]]:
    """ASCII letters and the characters that ignoring case takes for them: ſ for s, K for k, ı and İ for i."""
    found = []
    for code in range(0x80, 0x110000):
        if not 0xD800 <= code < 0xE000:
            other = chr(code)
            for letter in {other.lower(), other.upper().lower(), other.casefold()[:1], other.lower()[:1]}:
                if len(letter) == 1 and letter.isascii() and letter.isalpha():
                    found.append((letter, other))
    return [*found, ("i", "ı"), ("i", "İ")]


def test_letters_that_only_look_alike_end_no_search():
    for letter, other in _alike():
        for word in ("noses", "left eye", "lips", "skin", "cheeks", "left and right eyebrows"):
            for text in (word.replace(letter, other), word + other, other + word, f"{word} {other}"):
                regions.mentioned(text)
                regions.sided(f"Are the {text} fake?")


def test_the_area_under_an_eye_is_no_eye():
    assert regions.named("The area under the left eye is blurred, the right eye is not.") == (
        ("left_under_eye",), ("right_eye",),
    )  # fmt: skip
    assert regions.named("Skin below her right eye") == (("right_under_eye",),)
    for name in ("left_under_eye", "right_under_eye", "nose"):
        assert regions.called(regions.spoken(name)) == name
        assert asked_regions(f"What is wrong with the {regions.spoken(name)}?") == (name,)
