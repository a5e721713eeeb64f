"""Controls have not looked at the picture, and were not chosen on what they are scored on."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facewitness.bench import controls
from facewitness.bench.wording import measure
from facewitness.errors import InputError

SCHEMA = pa.schema(
    [
        ("question", pa.string()), ("text", pa.string()), ("references", pa.list_(pa.string())),
        ("label", pa.string()), ("group", pa.string()),
    ]
)  # fmt: skip


def table(rows: list[tuple]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA)


def asked(groups: int = 40, seed: int = 0) -> pa.Table:
    """Two questions on each of many pictures; six in ten answers to a question are the same."""
    rng = np.random.default_rng(seed)
    rows = []
    for group in range(groups):
        label = ("real", "fake")[int(rng.integers(2))]
        for part in ("nose", "mouth"):
            usual = "looks natural" if label == "real" else "is blurred at the edge"
            odd = f"has color {rng.integers(1000)} today"
            said = f"The {part} {usual if rng.random() < 0.6 else odd}."
            rows.append((f"What of the {part}?", f"Answer {group} on the {part}.", [said], label, str(group)))
    return table(rows)


def test_blind_gives_the_usual_answer_to_each_question_and_label() -> None:
    rows = asked()
    answers = controls.blind(rows, by_label=True)
    for row, answer in zip(rows.to_pylist(), answers, strict=True):
        part = "nose" if "nose" in row["question"] else "mouth"
        assert answer == f"The {part} {'looks natural' if row['label'] == 'real' else 'is blurred at the edge'}."


def test_blind_without_labels_is_one_answer_a_question_and_fold() -> None:
    rows = asked()
    answers = controls.blind(rows)
    for question in set(rows["question"].to_pylist()):
        same = {a for a, q in zip(answers, rows["question"].to_pylist(), strict=True) if q == question}
        assert 1 <= len(same) <= controls.FOLDS and all(question[12:-1] in a for a in same)


def test_blind_beats_a_reference_of_another_picture() -> None:
    rows = asked(60)
    references = rows["references"].to_pylist()
    other = [r[0] for r in references[2:] + references[:2]]
    constant = measure(controls.blind(rows, by_label=True), references, tokenizer="plain", meteor=False)
    assert constant.cider > measure(other, references, tokenizer="plain", meteor=False).cider


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 11), st.booleans())
def test_blind_does_not_know_the_references_it_is_scored_on(group: int, by_label: bool) -> None:
    rows = asked(12).to_pylist()
    before = controls.blind(pa.Table.from_pylist(rows, SCHEMA), by_label=by_label)
    for row in rows:
        if row["group"] == str(group):
            row["references"] = ["Something else altogether."] * 30
    after = controls.blind(pa.Table.from_pylist(rows, SCHEMA), by_label=by_label)
    own = [i for i, row in enumerate(rows) if row["group"] == str(group)]
    assert [before[i] for i in own] == [after[i] for i in own] and "Something else altogether." not in [
        after[i] for i in own
    ]


def test_blind_has_no_answer_where_no_other_group_was_asked() -> None:
    rows = table(
        [
            ("q", "x", ["The nose."], "real", "a"),
            ("q", "x", ["The mouth."], "real", "a"),
            ("p", "x", ["Yes."], "real", "a"),
            ("p", "x", ["No."], "fake", "b"),
            ("p", "x", None, "fake", None),
        ]
    )
    answers = controls.blind(rows)
    assert (
        answers[:2] == [None, None] and answers[3] == "Yes." and answers[2] == "No." and answers[4] in ("Yes.", "No.")
    )


@pytest.mark.parametrize("references", [None, [], ["", " "], ["..."]])
def test_blind_without_references_is_none(references: list[str] | None) -> None:
    assert controls.blind(table([("q", "x", references, "real", g) for g in "abc"])) == [None] * 3
    assert controls.blind(SCHEMA.empty_table()) == []


QUESTIONS = st.sampled_from(["nose", "mouth", None])
ROWS = st.lists(st.tuples(QUESTIONS, st.sampled_from("abcdefg")), max_size=40)


@given(ROWS, st.integers(0, 5))
def test_shuffled_answers_come_from_other_groups_and_the_same_question(rows: list[tuple], seed: int) -> None:
    told = table([(q, f"{q}|{g}|{i}", [], "real", g) for i, (q, g) in enumerate(rows)])
    given_to = controls.shuffled(told, seed)
    for (question, group), answer in zip(rows, given_to, strict=True):
        if answer is not None:
            of, by, _ = answer.split("|")
            assert of == str(question) and by != group
    assert all(times == 1 for times in Counter(a for a in given_to if a is not None).values())
    for question in {q for q, _ in rows}:
        sizes = Counter(g for q, g in rows if q == question)
        alone = max(
            0, 2 * max(sizes.values()) - sum(sizes.values())
        )  # more of one group than all others can answer for
        assert sum(a is None for (q, _), a in zip(rows, given_to, strict=True) if q == question) == alone


def test_shuffled_is_the_same_for_a_seed_and_keeps_silence() -> None:
    rows = asked(30)
    assert controls.shuffled(rows, 1) == controls.shuffled(rows, 1) != controls.shuffled(rows, 2)
    silent = table([("q", None if g < 5 else f"answer {g}", [], "real", str(g)) for g in range(20)])
    assert controls.shuffled(silent).count("") == 5


def test_constant_is_the_share_of_fakes() -> None:
    rows = table([("q", "x", [], label, "a") for label in ("real", "fake", "fake", None)])
    np.testing.assert_allclose(controls.constant(rows), [2 / 3] * 4)
    assert np.isnan(controls.constant(table([("q", "x", [], None, "a")]))).all()


def test_random_scores_are_seeded_and_even() -> None:
    rows = table([("q", "x", [], "real", "a")] * 4000)
    scores = controls.at_random(rows, 3)
    np.testing.assert_array_equal(scores, controls.at_random(rows, 3))
    assert scores.shape == (4000,) and scores.min() >= 0 and scores.max() < 1 and abs(scores.mean() - 0.5) < 0.03


def test_missing_columns_and_one_fold_are_refused() -> None:
    with pytest.raises(InputError, match="references, group missing"):
        controls.blind(asked().select(["question"]))
    with pytest.raises(InputError, match="text missing"):
        controls.shuffled(asked().drop_columns(["text"]))
    with pytest.raises(InputError, match="2 folds or more"):
        controls.blind(asked(), folds=1)
