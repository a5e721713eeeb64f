"""The verdict in a text: denials turn it round, and what a face is compared with is no verdict on it."""

from __future__ import annotations

import pytest

from facewitness import words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The image looks fake.", "fake"),
        ("REAL", "real"),
        ("It looks a bit fake because the nose is blurred.", "fake"),
        ("This isn't a fake.", "real"),
        ("The image isn’t real.", "fake"),
        ("It isn't a real face.", "fake"),
        ("The face does not appear real.", "fake"),
        ("It does not appear to be real.", "fake"),
        ("It cannot be real.", "fake"),
        ("The skin is no longer real.", "fake"),
        ("It is not very real.", "fake"),
        ("It does not look like a real face.", "fake"),
        ("This is unlikely to be real.", "fake"),
        ("The eyes are far from real.", "fake"),
        ("It is nothing like the real person.", "fake"),
        ("It does not appear fake.", "real"),
        ("The mouth never looks fake.", "real"),
        ("It looks like a real photograph.", "real"),
        ("The image looks more fake than real.", "fake"),
        ("A fake, not real.", "fake"),
        ("A fake: the face has no real chin line.", "fake"),
        ("It lacks what is found in real photographs.", None),
        ("Neither real nor fake.", None),
        ("The eyes look real and the mouth looks fake.", None),
        ("Whether it is real or fake I cannot say.", None),
        ("The nose is blurred.", None),
        ("a deepfake, unreal", None),
        ("", None),
        ("Inconclusive: it may be real or fake.", "inconclusive"),
        ("It looks fake, though it was inconclusive before.", "fake"),
        ("It does not look right, so the image looks fake.", "fake"),
        ("The light is not the same; the skin looks real.", "real"),
    ],
)
def test_the_verdict_of_a_text(text, said):
    assert words.verdict(text) == said


@pytest.mark.parametrize(
    "text",
    [  # after the replies in figure 6 of the paper
        "The nose looks fake because it lacks the shading found in real photographs.",
        "The mouth looks fake. The lips have not the curvature expected in a real mouth.",
        "The mouth looks fake because it lacks the detail of a real human mouth.",
    ],
)
def test_what_a_face_is_compared_with_is_no_verdict(text):
    assert words.verdict(text) == "fake"


def test_a_long_text_is_read_in_time():
    assert words.verdict("not like to be a " * 20_000) is None
    assert words.verdict("in the of a " * 20_000 + "fake") == "fake"
