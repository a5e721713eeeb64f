"""FFAA's answers: what is read, what is refused, and what stays when the result is masked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facewitness.grammars import ffa_cot

ANSWER = ffa_cot.write("A man, evenly lit.", "The left cheek is smeared.", "fake", 0.85, "identity_exchange")


def test_five_fields_one_a_line():
    assert ANSWER.split("\n") == [
        "Image description: A man, evenly lit.",
        "Forgery reasoning: The left cheek is smeared.",
        "Analysis result: fake",
        "Probability: 0.85",
        "Forgery type: Identity exchange",
    ]
    found = ffa_cot.read(ANSWER)
    assert (found.result, found.probability, found.kind, found.refusals) == ("fake", 0.85, "identity_exchange", ())


@pytest.mark.parametrize(
    ("label", "probability", "fake"), [("fake", 0.85, 0.85), ("real", 0.9, 0.1), ("real", None, None)]
)
def test_the_probability_is_of_the_result(label, probability, fake):
    reply = ffa_cot.parse(ffa_cot.write("A man.", "So.", label, probability, None))
    assert reply.label == label
    assert reply.fake == (None if fake is None else pytest.approx(fake))


@pytest.mark.parametrize(
    "text",
    [
        "**Image description**: A man\nwith a hat.\n**Forgery reasoning:** odd.\n**Analysis result:** Fake\n"
        "**Probability**: 85%\n**Forgery type**: face swap",
        "Image description: A man. \nForgery reasoning: odd.\nAnalysis result: fake, Probability: 0.85, "
        "Forgery type: Identity exchange",
        "1. Image description: A man.\n2. Forgery reasoning: odd.\n3. Analysis result: The face is fake.\n"
        "4. Probability: 85 %\n5. Forgery type: identity exchange",
    ],
)
def test_how_models_write_it(text):
    found = ffa_cot.read(text)
    assert (found.result, found.probability, found.kind) == ("fake", 0.85, "identity_exchange")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("The face is fake.", "no Image description"),
        (ANSWER.replace("Analysis result: fake", "Analysis result: maybe"), "no result"),
        (ANSWER.replace("Analysis result: fake", "Analysis result: real or fake"), "no result"),
        (ANSWER.replace("Analysis result: fake", "Analysis result: Fake/Real"), "no result"),
        (ANSWER.replace("0.85", "very"), "no probability"),
        (ANSWER.replace("Identity exchange", "swapped lighting"), "no type"),
        (ANSWER + "\nAnalysis result: real", "twice"),
        ("\n".join(reversed(ANSWER.split("\n"))), "order"),
        (ANSWER.replace("The left cheek is smeared.", ""), "empty Forgery reasoning"),
    ],
)
def test_what_breaks_the_form_is_told(text, reason):
    if reason == "no type":
        text = ANSWER.replace("Identity exchange", "unknown")
    assert any(refusal.startswith(reason) for refusal in ffa_cot.refusals(text))


def test_masking_leaves_description_and_reasoning_alone():
    assert ffa_cot.masked(ANSWER) == "\n".join(ANSWER.split("\n")[:2])
    assert ffa_cot.masked("Just words. \nAnalysis result: fake") == "Just words."
    assert ffa_cot.masked("Just words.") == "Just words."


words = st.text(st.characters(blacklist_categories=("Cs",)), max_size=60)


@given(words, words, st.sampled_from(["real", "fake"]), st.sampled_from([None, 0.5, 0.75, 1.0]))
def test_what_is_written_is_read_again_and_masked_without_its_result(description, reasoning, label, probability):
    text = ffa_cot.write(description or "A.", reasoning or "B.", label, probability, "entire_synthesis")
    found = ffa_cot.read(text)
    assert found.result == label and found.probability == probability
    assert "Analysis result:" not in ffa_cot.masked(text)
