"""Text measures equal COCO's, say what they were computed with, and drop nothing silently."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facewitness.bench import wording
from facewitness.bench.wording import Corpus, measure, tokenize, verdicts
from facewitness.errors import InputError, MissingExtra, UnknownName

needs_java = pytest.mark.skipif(wording._lacking_java() is not None, reason="needs Java and pycocoevalcap")

WORDS = ["the", "a", "face", "nose", "looks", "is", "real", "fake", "blurred"]
SENTENCES = st.lists(st.sampled_from(WORDS), max_size=12)
TEXT = SENTENCES.map(" ".join)
ITEM = st.tuples(TEXT, st.lists(TEXT.filter(bool), min_size=1, max_size=4))


def coco(texts: list[str], references: list[list[str]]) -> tuple[list[float], np.ndarray, np.ndarray]:
    bleu = pytest.importorskip("pycocoevalcap.bleu.bleu").Bleu(4)
    rouge = pytest.importorskip("pycocoevalcap.rouge.rouge").Rouge()
    cider = pytest.importorskip("pycocoevalcap.cider.cider").Cider()
    said, wanted = {i: [text] for i, text in enumerate(texts)}, dict(enumerate(references))
    return (
        bleu.compute_score(wanted, said, verbose=0)[0],
        rouge.compute_score(wanted, said)[1],
        cider.compute_score(wanted, said)[1],
    )


def same_as_coco(texts: list[str], references: list[list[str]]) -> None:
    corpus = Corpus(texts, references)
    for ours, theirs in zip((corpus.bleu(), corpus.rouge_l(), corpus.cider()), coco(texts, references), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def made_up(items: int, seed: int) -> tuple[list[str], list[list[str]]]:
    chance = random.Random(seed)
    words = [f"w{i}" for i in range(300)]

    def sentence(least: int) -> str:
        return " ".join(chance.choices(words, [1 / (i + 1) for i in range(300)], k=chance.randint(least, 25)))

    return [sentence(0) for _ in range(items)], [
        [sentence(1) for _ in range(chance.randint(1, 5))] for _ in range(items)
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(ITEM, min_size=1, max_size=8))
def test_equals_coco(items: list[tuple[str, list[str]]]) -> None:
    same_as_coco([text for text, _ in items], [references for _, references in items])


def test_equals_coco_on_many_items_and_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, references = made_up(300, seed=1)
    same_as_coco(texts, references)
    monkeypatch.setattr(wording, "_AT_ONCE", 7)
    same_as_coco(texts, references)


def test_texts_of_more_than_64_words_equal_coco() -> None:
    texts, _ = made_up(60, seed=2)
    long = [" ".join(" ".join(texts[i : i + 10]).split()) for i in range(40)]
    assert max(len(text.split()) for text in long) > 128
    same_as_coco(long[:20], [[text] for text in long[20:]])


def test_one_item_equals_coco() -> None:
    same_as_coco(["a face"], [["a real face", "one face"]])


def test_bleu_clips_repeated_words() -> None:
    # Papineni et al., example 2: two of seven "the" are in a reference
    corpus = Corpus(["the the the the the the the"], [["the cat is on the mat", "there is a cat on the mat"]])
    assert corpus.bleu()[0] == pytest.approx(2 / 7)


def test_bleu_pays_for_brevity_and_takes_the_closest_reference() -> None:
    assert Corpus(["a b"], [["a b c d"]]).bleu()[1] == pytest.approx(math.exp(1 - 4 / 2))
    assert Corpus(["a b c"], [["a b c d", "a b"]]).bleu()[0] == pytest.approx(1.0)  # as near: the shorter


def test_an_item_weighs_in_bleu_as_often_as_its_weight_says() -> None:
    texts, references = made_up(40, seed=3)
    kept = [(t, r) for t, r in zip(texts, references, strict=True) if r]
    corpus = Corpus(*zip(*kept, strict=True))
    twice = [pair for i, pair in enumerate(kept) for _ in range(i % 3)]
    weight = np.arange(len(kept)) % 3
    assert corpus.bleu(weight.astype(float)) == pytest.approx(Corpus(*zip(*twice, strict=True)).bleu())
    assert corpus.bleu(np.ones(len(kept))) == corpus.bleu()


@pytest.mark.parametrize(
    ("text", "value"),
    [("police kill the gunman", 0.75), ("the gunman kill police", 0.5), ("the gunman police killed", 0.5)],
)
def test_rouge_l_of_lins_examples(text: str, value: float) -> None:
    assert Corpus([text], [["police killed the gunman"]]).rouge_l()[0] == pytest.approx(value)


def test_rouge_l_weighs_recall_more() -> None:
    precision, recall = 1.0, 0.5
    value = Corpus(["a b"], [["a b c d"]]).rouge_l()[0]
    assert value == pytest.approx((1 + 1.44) * precision * recall / (recall + 1.44 * precision))


def test_cider_by_hand() -> None:
    # every n-gram is in one of two items: all weigh log 2, so cosines are of counts; lengths differ by one
    corpus = Corpus(["a b c", "d e"], [["a b"], ["d e"]])
    first = 10 / 4 * (2 / math.sqrt(6) + 1 / math.sqrt(2)) * math.exp(-1 / 72)
    np.testing.assert_allclose(corpus.cider(), [first, 5.0])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=4, max_size=9).map(" ".join), min_size=1, max_size=6))
def test_texts_equal_to_a_reference_are_perfect(texts: list[str]) -> None:
    corpus = Corpus(texts, [[t] for t in texts])
    np.testing.assert_allclose(corpus.bleu(), 1.0, atol=1e-6)
    np.testing.assert_allclose(corpus.rouge_l(), 1.0)


def test_a_corpus_without_references_is_refused() -> None:
    with pytest.raises(InputError, match="one or more references"):
        Corpus(["a"], [[]])


def test_measure_counts_what_is_missing() -> None:
    texts = ["The nose is blurred.", "", None, "No one wrote about this.", "The mouth is real!"]
    references = [
        ["the nose is blurred"],
        ["the eyes are real"],
        ["the skin is smooth"],
        None,
        ["the mouth is real", " . "],
    ]
    got = measure(texts, references, tokenizer="plain", meteor=False)
    assert (got.items, got.scored, got.without_text, got.without_references) == (5, 4, 2, 1)
    np.testing.assert_allclose(got.per_item["rouge_l"], [1, 0, 0, np.nan, 1])
    assert got.rouge_l == pytest.approx(0.5)
    assert np.isnan(got.per_item["cider"]).tolist() == [False, False, False, True, False]
    assert got.cider == pytest.approx(np.nanmean(got.per_item["cider"]))
    assert got.bleu1 is not None and got.bleu1 < 1  # silence is paid for by the brevity penalty
    assert got.tokenizer == "plain" and got.meteor is None and got.notes["meteor"] == "not asked for"


def test_silence_never_helps() -> None:
    texts, references = made_up(40, seed=3)
    whole = measure(texts, references, tokenizer="plain", meteor=False)
    silent = measure([None] * 20 + texts[20:], references, tokenizer="plain", meteor=False)
    assert silent.cider < whole.cider and silent.rouge_l < whole.rouge_l and silent.bleu4 < whole.bleu4


@pytest.mark.parametrize(("texts", "references"), [([], []), (["a face"], [None]), (["a face"], [["..."]])])
def test_nothing_to_compare_with_is_none_with_a_reason(texts: list[str], references: list) -> None:
    got = measure(texts, references, tokenizer="plain")
    assert got.bleu1 is got.bleu4 is got.rouge_l is got.cider is got.meteor is None
    assert {got.notes[name] for name in ("bleu1", "rouge_l", "cider", "meteor")} == {"no item has references"}


def test_cider_of_one_item_is_none_with_a_reason() -> None:
    got = measure(["a real face"], [["a real face"]], tokenizer="plain", meteor=False)
    assert got.cider is None and "one item" in got.notes["cider"] and np.isnan(got.per_item["cider"]).all()
    assert got.bleu3 == pytest.approx(1) and got.rouge_l == 1


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="2 texts and 1 lists"):
        measure(["a", "b"], [["a"]])


def test_without_java_plain_words_are_taken_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    got = measure(["a face", "a nose"], [["a face"], ["the nose"]])
    assert got.tokenizer == "plain" and got.notes["tokenizer"].startswith("plain, because ptb needs")
    assert got.meteor is None and got.notes["meteor"].startswith("METEOR needs")
    with pytest.raises(MissingExtra, match="take tokenizer 'plain'"):
        measure(["a face"], [["a face"]], tokenizer="ptb")


@needs_java
def test_a_java_that_fails_is_no_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "java").write_text("#!/bin/sh\necho 'no memory' >&2\nexit 1\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    got = measure(["a face", "a nose"], [["a face"], ["the nose"]], tokenizer="plain")
    assert got.meteor is None and "METEOR's program stopped" in got.notes["meteor"]
    with pytest.raises(InputError, match=r"exit status 1 \(no memory\)"):
        tokenize(["a face", "two faces"], "ptb")


@needs_java
def test_ptb_equals_pycocoevalcap() -> None:
    theirs = pytest.importorskip("pycocoevalcap.tokenizer.ptbtokenizer").PTBTokenizer()
    texts = [
        "The person's face isn't real; it's a FAKE (deepfake), \"99.5%\" sure!",
        "can't cannot don't they're - and/or well-lit...",
        "x | y ||| z, the end",
        "A real face.",
    ]
    wanted = theirs.tokenize({i: [{"caption": text}] for i, text in enumerate(texts)})
    assert tokenize(texts, "ptb") == [wanted[i][0] for i in range(len(texts))]


@needs_java
def test_ptb_keeps_the_order_of_odd_texts() -> None:
    texts = [
        "",
        "one\ntwo\u2028three\r\nfour",
        "\U0001f600",
        "...",
        "café",
        " ",
        "one\ntwo\u2028three\r\nfour",
        "\U0001f600\U0001f600",
    ]
    cut = tokenize(texts, "ptb")
    assert cut[0] == cut[3] == cut[5] == ""
    assert cut[1] == cut[6] == "one two three four" and cut[4] == "café"


@needs_java
@pytest.mark.slow
def test_meteor_equals_pycocoevalcap() -> None:
    theirs = pytest.importorskip("pycocoevalcap.meteor.meteor").Meteor()
    texts = ["the face is fake because the nose is blurred", "", "a real picture of a man"]
    references = [
        ["the face is a fake since the nose is blurry", "fake face"],
        ["a reference"],
        ["a real photo of a man"],
    ]
    value, _ = theirs.compute_score(dict(enumerate(references)), {i: [text] for i, text in enumerate(texts)})
    for pipe in (theirs.meteor_p.stdout, theirs.meteor_p.stderr):
        pipe.close()
    assert measure(texts, references, tokenizer="plain").meteor == pytest.approx(value, abs=1e-6)


def test_plain_words() -> None:
    assert tokenize(["The person's face isn't REAL (99.5%) - it’s well-lit, “fake”!"], "plain") == [
        "the person 's face is n't real 99.5 % it 's well-lit fake"
    ]
    assert tokenize(["cannot", "", "...", "a  b\nc"], "plain") == ["can not", "", "", "a b c"]


def test_an_unknown_tokenizer_is_refused() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'plain'"):
        tokenize(["a"], "plane")


def test_verdicts_counts_those_that_do_not_tell() -> None:
    got = verdicts(
        ["It is fake.", "It is real.", "It is fake.", "Blurred.", None], ["fake", "fake", "real", "fake", "real"]
    )
    assert got.accuracy == pytest.approx(1 / 3) and got.accuracy_of_all == pytest.approx(1 / 5)
    assert got.f1 == pytest.approx(2 * 1 / (2 * 1 + 1 + 1))
    assert (got.items, got.untold, got.share_untold) == (5, 2, pytest.approx(2 / 5))


def test_verdicts_of_nothing_are_none() -> None:
    assert verdicts([], []) == wording.Verdicts(None, None, None, 0, 0, None)
    only_real = verdicts(["real"], ["real"])
    assert only_real.accuracy == 1 and only_real.f1 is None
    with pytest.raises(InputError, match="label real or fake"):
        verdicts(["fake"], ["pristine"])
