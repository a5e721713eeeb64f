"""Every grammar reads what it writes, and never raises on anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facewitness import plugins
from facewitness.types import LABELS

NAMES = plugins.names("grammars")


@pytest.mark.parametrize("name", NAMES)
@given(text=st.text(max_size=300))
def test_no_text_breaks_it(name, text):
    assert plugins.get("grammars", name).parse(text).label in (*LABELS, None)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Yes, this is a deepfake image.", "fake"),
        ("**No**, nothing was altered.", "real"),
        ("The image is real.", "real"),
        ("It does not look genuine to me.", "fake"),
        ("There is no sign of manipulation.", "real"),
        ("This isn't a fake.", "real"),
        ("It may be real or fake.", None),
        ("I cannot tell.", "inconclusive"),
        ("Nice hat!", None),
        ("", None),
    ],
)
def test_yes_no(text, label):
    reply = plugins.get("grammars", "yes_no").parse(text)
    assert (reply.label, reply.text) == (label, text)
