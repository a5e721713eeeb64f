"""Words and masks in one text: what is written is read again, and what is wrong with a text is told."""

from __future__ import annotations

import numpy as np
import pytest
from effort import grows_with_its_length
from hypothesis import given
from hypothesis import strategies as st

from facewitness.grammars import interleaved
from facewitness.regions import REGIONS, title
from facewitness.types import Finding, Mark, Mask, Reply


def mask(number: int = 0) -> Mask:
    return Mask((float(number), 0.0, number + 2.0, 2.0), np.ones((2, 2), np.float32))


TEXT = "This face is fake. The <p>left eyebrow</p> [SEG] is blurred, and <p>the mouth</p> [SEG] has a seam."


def test_a_text_becomes_parts_with_marks_where_it_points():
    reply = interleaved.parse(TEXT, [mask(0), mask(1)])
    assert reply.label == "fake"
    assert reply.refusals == ()
    assert reply.text == "This face is fake. The left eyebrow is blurred, and the mouth has a seam."
    assert [part for part in reply.parts if isinstance(part, str)] == [
        "This face is fake. The ", "left eyebrow", " is blurred, and ", "the mouth", " has a seam.",
    ]  # fmt: skip
    assert [finding.region for finding in reply.findings] == ["left_eyebrow", "mouth"]
    assert [finding.box[0] for finding in reply.findings] == [0.0, 1.0]
    assert reply.findings[0].claim == "The left eyebrow is blurred, and the mouth has a seam."
    assert interleaved.render(reply) == TEXT


@pytest.mark.parametrize(
    ("text", "refusal", "kept"),
    [
        ("The <p>nose is blurred", "unclosed <p>", "The nose is blurred"),
        ("<p>the <p>nose</p> [SEG]", "nested <p>", "the nose"),
        ("The nose</p> is odd", "</p> without <p>", "The nose is odd"),
        ("<p> </p> [SEG] odd", "empty <p>", " odd"),
        ("It is [SEG] odd", "[SEG] without a place", "It is  odd"),
        ("<p>nose</p> is odd [SEG]", "[SEG] without a place", "nose is odd "),
        ("<p>nose [SEG]</p>", "[SEG] inside <p>", "nose"),
        ("The <p>nose</p> is odd", "place without [SEG]", "The nose is odd"),
        ("The <p>hat</p> [SEG] is odd", "unknown place", "The hat is odd"),
        ("<p>nose</p> [SEG], <p>mouth</p> [SEG]", "more [SEG] than masks", "nose, mouth"),
        ("no place at all", "more masks than [SEG]", "no place at all"),
    ],
)
def test_what_is_wrong_is_told_and_the_words_stay(text, refusal, kept):
    reply = interleaved.parse(text, [mask()])
    assert any(reason.startswith(refusal) for reason in reply.refusals), reply.refusals
    assert " ".join(reply.text.split()) == " ".join(kept.split())


def test_a_mask_that_the_decoder_left_empty_is_no_mark():
    reply = interleaved.parse("The <p>nose</p> [SEG] is odd.", [None])
    assert [reason.split(":")[0] for reason in reply.refusals] == ["empty mask"]
    assert reply.findings == ()
    assert reply.text == "The nose is odd."


def test_mentions_know_their_seg():
    found = interleaved.mentions("<p>nose</p> and <p>left eye</p> [SEG]. [SEG] <p>Mouth</p> [SEG]")
    assert [(m.region, m.seg) for m in found] == [("nose", None), ("left_eye", 0), ("mouth", 2)]


def test_a_reply_made_elsewhere_is_written():
    mark = Mark(Finding.on("left_eye", (0.0, 0.0, 1.0, 1.0), mask(), "It is odd.", None))
    long = Reply("fake", parts=("This face is fake because of something at the left eye", mark, ", I think."))
    assert interleaved.render(long) == ("This face is fake because of something at the <p>left eye</p> [SEG], I think.")
    bare = Reply("fake", parts=("Fake: ", mark))
    assert interleaved.parse(interleaved.render(bare), [mask()]).findings[0].region is not None
    tags = Reply("real", parts=("This face is real. <p>[SEG]",))
    assert interleaved.parse(interleaved.render(tags)).refusals == ()


@pytest.mark.parametrize("piece", ["<p>", "[SEG]", "<p>nose</p> [SEG] a. ", "</p><p>"])
def test_reading_tags_costs_what_their_number_does(piece):
    assert grows_with_its_length(lambda count: interleaved.parse(piece * count), 10_000)


words = st.lists(st.sampled_from(["odd", "blurred.", "It", "is", "too sharp"]), min_size=1, max_size=4).map(" ".join)
pieces = st.lists(st.tuples(words, st.sampled_from(sorted(REGIONS))), max_size=5)


@given(pieces, words)
def test_what_is_written_is_read_again(places, last):
    parts: list[str | Mark] = []
    for number, (text, region) in enumerate(places):
        finding = Finding.on(region, mask(number).box, mask(number), text, None)
        parts += [f"{text} the ", title(region), Mark(finding)]
    reply = Reply(None, parts=(*parts, f" {last}"))
    written = interleaved.render(reply)
    read = interleaved.parse(written, [mask(number) for number in range(len(places))])
    assert read.refusals == ()
    assert read.text == reply.text
    assert [finding.region for finding in read.findings] == [region for _, region in places]
    assert interleaved.render(read) == written
