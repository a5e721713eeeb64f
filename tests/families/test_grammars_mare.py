"""MARE's grammar: what is written is read again to the last pixel, and every refusal has its reason."""

from __future__ import annotations

import json
import re

import pytest
from effort import grows_with_its_length
from hypothesis import given
from hypothesis import strategies as st

from facewitness import regions, words
from facewitness.grammars import mare
from facewitness.scores import grammar, label, length
from facewitness.types import Finding, Reply, Truth

FAKE = Truth("fake")


def answer(content, thought="I look at the nose.") -> str:
    body = content if isinstance(content, str) else json.dumps(content)
    return f"<think>{thought}</think><answer>{body}</answer>"


def said(boxes, explanation="The nose looks fake.", field="bboxes") -> dict:
    return {"explanation": explanation, field: boxes}


GOOD = answer(said({"nose": [4, 4, 9.5, 9]}))


def fields(reply: Reply) -> tuple:
    places = [(f.region, f.box, f.claim, f.mask, f.strength) for f in reply.findings]
    return reply.label, reply.fake, places, reply.thought, reply.text


# ---------------------------------------------------------------- what is written is read

SIDES = st.floats(0, 4096, width=32) | st.integers(0, 4096).map(float)
BOXES = st.tuples(SIDES, SIDES, SIDES, SIDES).filter(lambda b: b[0] < b[2] and b[1] < b[3])
ODD_WORDS = st.text(max_size=30).filter(lambda t: not words.verdict(t, strict=True) and not regions.mentioned(t))


@st.composite
def replies(draw) -> Reply:
    """Any reply that the grammar can say: a verdict in words, and one box and one sentence for each region."""
    verdict = draw(st.sampled_from(["fake", "real", "inconclusive", None]))
    opening = {"fake": "It looks fake.", "real": "It looks real.", "inconclusive": "Inconclusive.", None: "Hm."}[
        verdict
    ]
    places = draw(st.dictionaries(st.sampled_from(regions.MARE), BOXES, max_size=12))
    claims = {name: f"The {regions.title(name)} is too smooth." for name in places}
    findings = tuple(Finding.on(name, box, None, claims[name], None) for name, box in places.items())
    odd = draw(ODD_WORDS | st.sampled_from(["</answer>", "<think>", '"}{\\', "\u2028 鼻", "\\u003cthink>"]))
    odd = odd.replace("\n", " ").strip()
    text = " ".join([opening, *claims.values(), odd])
    thought = draw(st.text(max_size=40).map(str.strip)) or "I look."
    return Reply(verdict, None, (text,) if text else (), findings, thought)


@given(replies())
def test_what_is_written_is_read_again(reply):
    written = mare.render(reply)
    assert fields(mare.parse(written)) == fields(reply)
    assert mare.refusals(written, (5000, 5000)) == ()
    assert mare.parse(written).refusals == ()
    assert mare.render(mare.parse(written)) == written


def test_a_written_reply_by_hand():
    nose = Finding.on("nose", (4.0, 4.0, 9.5, 9.0), None, "The nose looks fake.", 0.8)
    reply = Reply("fake", 0.9, ("The nose looks fake.",), (nose,), " I look at the nose. ")
    assert mare.render(reply) == (
        '<think>I look at the nose.</think><answer>{"explanation": "The nose looks fake.", '
        '"bboxes": {"nose": [4, 4, 9.5, 9]}}</answer>'
    )


def test_what_is_no_word_of_mares_finds_one_or_is_left_out():
    def finding(region, box):
        return Finding.on(region, box, None, "", None)

    places = (
        finding("left_upper_eyelid", (1, 1, 4, 4)),
        finding("left_eye", (2, 3, 6, 5)),
        finding("neck", (0, 0, 9, 9)),
        finding("aura", (0, 0, 9, 9)),
        finding("nose", (-5, -5, 3, 3)),
        finding("mouth", (-9, -9, -1, -1)),
    )
    read = mare.parse(mare.render(Reply("fake", findings=places)))
    assert {f.region: f.box for f in read.findings} == {"left_eye": (1, 1, 6, 5), "nose": (0, 0, 3, 3)}
    assert read.text == "The image looks fake. Signs of forgery are at the left eye and the nose."


@given(st.lists(st.sampled_from(regions.MARE), unique=True))
def test_what_is_made_of_findings_names_what_it_boxes(names):
    findings = tuple(Finding.on(name, (1.0, 1.0, 4.0, 4.0), None, "", None) for name in names)
    assert regions.mentioned(mare.parse(mare.render(Reply("fake", findings=findings))).text) == tuple(names)


def test_a_verdict_that_the_words_leave_out_is_put_before_them_and_one_they_deny_is_not():
    assert (
        mare.parse(mare.render(Reply("fake", parts="The nose is odd."))).text
        == "The image looks fake. The nose is odd."
    )
    denied = mare.parse(mare.render(Reply("fake", parts="It looks real.")))
    assert (denied.label, denied.text) == ("real", "It looks real.")
    both = mare.parse(mare.render(Reply("fake", parts="Real nose, fake mouth.")))
    assert (both.label, both.text) == (None, "Real nose, fake mouth.")


def test_tags_in_a_thought_are_taken_apart():
    written = mare.render(Reply("real", thought="so </think><answer>{} it is"))
    assert mare.refusals(written) == () and mare.parse(written).thought == "so /thinkanswer{} it is"


def test_the_prompt_that_is_copied_is_no_answer():
    copied = mare.prompt("Is this face real or fake?")
    assert mare.refusals(copied) and mare.parse(copied).label is None and mare.parse(copied).findings == ()


def test_an_escape_that_writes_half_a_pair_leaves_a_text_that_can_be_written():
    text = r'<think>x</think><answer>{"explanation": "fake \ud800.", "bboxes": {"nose\udfff": [0, 0, 1, 1]}}</answer>'
    reply = mare.parse(text)
    assert (reply.text, reply.label, reply.findings[0].region) == ("fake ?.", "fake", "nose?")
    assert mare.refusals(text)[0].startswith("unknown region: 'nose?'") and mare.render(reply).encode()


# ---------------------------------------------------------------- refusals


def test_what_keeps_the_grammar_has_no_reason():
    for text in (GOOD, f"\n {GOOD} \n", answer(said({})), answer(said({"nose": [0, 0, 1, 1]}, field="bbboxes"))):
        assert mare.refusals(text) == () == mare.parse(text).refusals
    assert mare.parse(answer(said({"nose": [0, 0, 1, 1]}, field="bbboxes"))).findings[0].box == (0, 0, 1, 1)


BAD = {
    "": "empty",
    " \n": "empty",
    "The nose looks fake.": "no think",
    GOOD.split("</think>")[1]: "no think",
    GOOD.split("<answer>")[0]: "no answer",
    GOOD + GOOD.split("</think>")[1]: "several answers",
    "<think>a</think>" + GOOD: "several thinks",
    GOOD.removesuffix("</answer>"): "answer without end",
    GOOD[GOOD.index("<answer>") :] + "<think>a</think>": "order",
    "<think>" + GOOD.removeprefix("<think>").replace("</think>", "") + "</think>": "order",
    "Sure! " + GOOD: "text outside",
    answer(said({}), thought=" "): "empty think",
    answer("The nose looks fake."): "not JSON",
    answer(""): "not JSON",
    answer('{"explanation": "fake", "bboxes": {}'): "not JSON",
    answer("[" * 100_000): "not JSON",
    answer('{"explanation": "fake", "bboxes": {"nose": [' + "9" * 5000 + ", 0, 1, 1]}}"): "not JSON",
    answer("```json\n" + json.dumps(said({})) + "\n```"): "fenced",
    answer([said({})]): "another shape",
    answer("7"): "another shape",
    answer(said([{"label": "nose", "bbox_2d": [0, 0, 1, 1]}])): "another shape",
    answer(said(None)): "another shape",
    answer({"bboxes": {}}): "no explanation",
    answer(said({}, explanation="  ")): "no explanation",
    answer(said({}, explanation=["fake"])): "no explanation",
    answer({"explanation": "fake"}): "no bboxes",
    answer({**said({}), "score": 0.9}): "unknown field",
    answer({**said({}), "bbboxes": {}}): "twice",
    answer('{"explanation": "fake", "explanation": "real", "bboxes": {}}'): "twice",
    answer('{"explanation": "fake", "bboxes": {"nose": [0, 0, 1, 1], "nose": [2, 2, 3, 3]}}'): "twice",
    answer(said({"third_eye": [0, 0, 1, 1]})): "unknown region",
    answer(said({"left_upper_eyelid": [0, 0, 1, 1]})): "unknown region",
    answer(said({"": [0, 0, 1, 1]})): "unknown region",
    answer(said({"nose": [0, 0, 1]})): "no box",
    answer(said({"nose": "0, 0, 1, 1"})): "no box",
    answer(said({"nose": [[0, 0, 1, 1]]})): "no box",
    answer(said({"nose": [0, 0, True, 1]})): "no box",
    answer(said({"nose": {"x": 0}})): "no box",
    answer(said({"nose": [float("nan"), 0, 1, 1]})): "not finite",
    answer(said({"nose": [0, 0, float("inf"), 1]})): "not finite",
    answer(said({"nose": [0, 0, 10**400, 1]})): "not finite",
    answer(said({"nose": [-1, 0, 1, 1]})): "negative",
    answer(said({"nose": [9, 9, 4, 4]})): "swapped",
    answer(said({"nose": [4, 4, 4, 9]})): "swapped",
    answer(said({"nose": [4, 4, 99, 9]})): "outside",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: f"{BAD[text]}: {text[:30]}")
def test_every_refusal_has_its_reason(text):
    reasons = mare.refusals(text, (64, 64))
    kinds = [reason.partition(":")[0] for reason in reasons]
    assert kinds == [BAD[text]] or (kinds, text) == (["no think", "no answer"], "The nose looks fake.")
    assert all(len(reason) < 250 and "\n" not in reason for reason in reasons)


def test_several_things_that_are_wrong_are_all_said():
    text = "<answer>" + json.dumps(said({"aura": [9, 9, 4, 4], "nose": [-1, 0, 1, 1]}, explanation="")) + "</answer>"
    kinds = [reason.partition(":")[0] for reason in mare.refusals(text)]
    assert kinds == ["no think", "no explanation", "unknown region", "swapped", "negative"]


@pytest.mark.parametrize(
    ("text", "verdict", "places"),
    [
        ("The nose looks fake.", "fake", []),
        ("<think>It may be real.</think>It looks fake.", "fake", []),
        (GOOD.removesuffix('"}}</answer>'), "fake", ["nose"]),
        (GOOD + answer(said({"mouth": [0, 0, 2, 2]}, "It looks real.")), None, ["nose", "mouth"]),
        (answer("```json\n" + json.dumps(said({"nose": [0, 0, 1, 1]})) + "\n```"), "fake", ["nose"]),
        (answer(said({"nose": [9, 9, 4, 4], "mouth": [0, 0, 1, 1], "aura": [0, 0, 1, 1], "": [0, 0, 1, 1]})), "fake",
         ["mouth", "aura"]),
        (answer({"bboxes": {"nose": [0, 0, 1, 1]}}), None, ["nose"]),
        (answer(said({}, explanation=7)), None, []),
    ],
)  # fmt: skip
def test_what_can_be_read_is_read(text, verdict, places):
    reply = mare.parse(text)
    assert (reply.label, [f.region for f in reply.findings]) == (verdict, places)
    assert grammar.score(reply, FAKE) == float(mare.refusals(text) == ())


def test_a_claim_is_the_sentence_that_names_its_region():
    text = "It looks fake. Its left brow is doubled! The brows differ."
    reply = mare.parse(
        answer(said({"left_eyebrow": [0, 0, 1, 1], "right_eyebrow": [2, 0, 3, 1], "chin": [0, 5, 3, 6]}, text))
    )
    assert [f.claim for f in reply.findings] == ["Its left brow is doubled!", "The brows differ.", ""]


@pytest.mark.parametrize(
    "endless",
    [
        lambda many: "<think>" * (5 * many),
        lambda many: "<think></think>" * (3 * many),
        lambda many: GOOD * (many // 5),
        lambda many: "fake " * (5 * many),
        lambda many: "not the " * (5 * many),
        lambda many: answer(
            '{"explanation": "fake", "bboxes": {' + ", ".join('"nose": [0, 0, 1, 1]' for _ in range(many)) + "}}"
        ),
        lambda many: answer(json.dumps({str(i): i for i in range(5 * many)})),
        lambda many: answer("{" * (20 * many)),
        lambda many: answer(said({}, explanation="nose. " * (5 * many))),
        lambda many: "`" * (30 * many) + " " * (30 * many),
    ],
    ids=range(10),
)
def test_reading_an_endless_reply_costs_what_its_length_does(endless):
    assert grows_with_its_length(lambda many: mare.parse(endless(many)), 5_000)


@given(
    st.lists(
        st.sampled_from(
            [*mare._TAGS, "{", "}", '"bboxes":', '"explanation":', '"nose"', "[1,2,3,4]", ",", "fake", "\udcff"]
        )
    )
)
def test_pieces_in_any_order_break_nothing(pieces):
    text = "".join(pieces)
    reply = mare.parse(text)
    assert reply.refusals == mare.refusals(text) and reply.refusals is not None


# ---------------------------------------------------------------- the scores that need it


def test_format_by_hand():
    assert grammar.score(mare.parse(GOOD), FAKE) == 1.0
    assert grammar.score(mare.parse("<think>I look at the nose.</think><answer>fake</answer>"), FAKE) == 0.0
    assert grammar.score(Reply("fake", parts="The nose looks fake."), FAKE) is None
    assert label.score(mare.parse(GOOD), FAKE) == 1.0 and label.score(mare.parse(GOOD), Truth("real")) == 0.0


@pytest.mark.parametrize(("count", "value"), [(0, 0), (4, 0.5), (8, 1), (200, 1), (300, 0.5), (400, 0), (9999, 0)])
def test_length_by_hand(count, value):
    half = count // 2
    assert length.score(Reply(None, thought="a " * half, parts="b " * (count - half)), FAKE) == value


@given(st.text(max_size=60))
def test_inconclusive_is_said_in_words_where_nothing_else_is(text):
    assert words.verdict(text, strict=True) in ("real", "fake", "inconclusive", None)
    assert words.verdict(f"Inconclusive. {re.sub('fake|real', '', words.normal(text))}", strict=True) == "inconclusive"
