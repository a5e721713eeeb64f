"""What a system scores that has not looked: the numbers every result is printed beside.

    blind       one constant answer a question, or a question and label, chosen on other groups: what the wording of
                the references gives away
    shuffled    the system's own answers, swapped between pictures of other groups: what its style is worth
    constant    one score for every picture
    at_random   scores drawn at random

All are aligned with the rows of a predictions table. A text that is None has no control: nobody else was asked that
question. Leave such a row out of the system's number and the control's alike.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from facewitness.bench.wording import Corpus, tokenize
from facewitness.errors import InputError

FOLDS = 5
_CANDIDATES = 10  # answers that are tried
_HEARD = 200  # rows of a question, at most, that they come from and are tried on

Key = tuple[Hashable, ...]


def blind(table: pa.Table, *, by_label: bool = False, folds: int = FOLDS, seed: int = 0) -> list[str | None]:
    """For each row the one answer that suits its question best (and its label, with `by_label`), without the picture.

    Reads the columns question, references and group, and label with `by_label`. Groups are dealt into `folds`; a row's
    answer is chosen on the references of the other folds, so that it is not scored on what it was chosen from. The
    choice: of the 10 reference answers most like the others (tf·idf cosine) the one with the highest mean CIDEr. Rows
    without a group count as one group. None where the other folds have no references to the question.

    Args:
        table: Predictions with the columns that are named above.
        by_label: Whether the control knows each row's label.
        folds: Parts into which groups are dealt, at least 2.
        seed: Of what is drawn.

    Raises:
        InputError: Where a column is missing or `folds` is below 2.
    """
    if folds < 2:
        raise InputError(f"expected 2 folds or more, got {folds}: an answer must be chosen on other groups")
    columns = _columns(table, "question", "references", "group", *(["label"] if by_label else []))
    fold = _deal(columns["group"], folds, seed)
    labels = columns["label"] if by_label else [None] * table.num_rows
    rows: dict[Key, list[int]] = defaultdict(list)
    at: Key
    for i, at in enumerate(zip(columns["question"], labels, strict=True)):
        rows[at].append(i)
    references = [[r for r in row or () if r and r.strip()] for row in columns["references"]]
    rng = np.random.default_rng(seed)
    out: list[str | None] = [None] * table.num_rows
    for one in range(folds):
        # the rarity of words comes from all questions of the other folds, so that one question alone can be judged
        others = {at: [i for i in same if fold[i] != one and references[i]] for at, same in rows.items()}
        others = {at: _some(same, rng) for at, same in others.items() if same}
        chosen = _choose({at: [references[i] for i in same] for at, same in others.items()})
        for at, same in rows.items():
            for i in same:
                if fold[i] == one:
                    out[i] = chosen.get(at)
    return out


def shuffled(table: pa.Table, seed: int = 0) -> list[str | None]:
    """For each row the system's own answer to the same question about a picture of another group.

    Reads the columns question, text and group. Each answer is given once, so that style, length and share of silence
    stay what they are; a missing text moves as "". Where one group has more than half of a question's rows, the rows
    that nobody else can answer for get None.

    Args:
        table: Predictions with the columns that are named above.
        seed: Of what is drawn.

    Raises:
        InputError: Where a column is missing.
    """
    columns = _columns(table, "question", "text", "group")
    rng = np.random.default_rng(seed)
    questions: dict[Hashable, dict[Hashable, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, (question, group) in enumerate(zip(columns["question"], columns["group"], strict=True)):
        questions[question][group].append(i)
    out: list[str | None] = [None] * table.num_rows
    for groups in questions.values():
        blocks = list(groups.values())
        blocks = [blocks[i] for i in rng.permutation(len(blocks))]
        blocks.sort(key=len, reverse=True)  # stable: chance decides among groups of a size
        order = [(b, int(i)) for b, block in enumerate(blocks) for i in rng.permutation(block)]
        step = len(blocks[0])  # no block is longer: a step leads out of each
        for place, (b, i) in enumerate(order):
            other, j = order[(place + step) % len(order)]
            if other != b:
                out[i] = columns["text"][j] or ""
    return out


def constant(table: pa.Table) -> NDArray[np.float64]:
    """(rows,) the share of fakes, for every row: the best that one score can do in accuracy, Brier score and ECE.

    It is read from the very labels it is scored on, which flatters it. AUC is one half. NaN without labelled rows.

    Args:
        table: Predictions with the columns that are named above.

    Returns:
        (rows,) in [0, 1].

    Raises:
        InputError: Where the column label is missing.
    """
    labels = Counter(_columns(table, "label")["label"])
    known = labels["real"] + labels["fake"]
    return np.full(table.num_rows, labels["fake"] / known if known else np.nan)


def at_random(table: pa.Table, seed: int = 0) -> NDArray[np.float64]:
    """(rows,) scores drawn evenly from [0, 1).

    Args:
        table: Predictions.
        seed: Of what is drawn.

    Returns:
        (rows,) in [0, 1).
    """
    return np.random.default_rng(seed).random(table.num_rows)


def _columns(table: pa.Table, *names: str) -> dict[str, list[Any]]:
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise InputError(
            f"controls: expected the columns {', '.join(names)}; {', '.join(missing)} missing in the table"
        )
    return {name: table.column(name).to_pylist() for name in names}


def _deal(groups: Sequence[Hashable], folds: int, seed: int) -> list[int]:
    """A fold for each row; the rows of a group share one, and folds have as many groups as each other, or one more."""
    names = sorted(set(groups), key=lambda g: (g is None, str(g)))
    dealt = np.random.default_rng(seed).permutation(len(names)) % folds
    fold = dict(zip(names, dealt.tolist(), strict=True))
    return [fold[group] for group in groups]


def _some(rows: list[int], rng: np.random.Generator) -> list[int]:
    return rows if len(rows) <= _HEARD else [rows[i] for i in sorted(rng.choice(len(rows), _HEARD, replace=False))]


def _choose(replies: dict[Key, list[list[str]]]) -> dict[Key, str]:
    """The best constant answer to each question, from some rows' references to it."""
    written = list(dict.fromkeys(r for rows in replies.values() for row in rows for r in row))
    words = dict(zip(written, tokenize(written, "plain"), strict=True))
    sentences = {sentence: i for i, sentence in enumerate(dict.fromkeys(w for w in words.values() if w))}
    if not sentences:
        return {}
    from sklearn.feature_extraction.text import TfidfVectorizer  # a second, which a run has no use for

    vectors = TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 4)).fit_transform(sentences)
    tried, texts, references = [], [], []
    for at, rows in replies.items():
        cut = [kept for row in rows if (kept := [words[r] for r in row if words[r]])]
        if not cut:
            continue
        weight: dict[str, float] = defaultdict(float)
        for row in cut:
            for sentence in row:
                weight[sentence] += 1 / len(row)  # every row weighs the same
        own = vectors[[sentences[s] for s in weight]]
        typical = own @ (own.T @ np.array(list(weight.values())))
        best = [s for _, s in sorted(zip(-typical, weight, strict=True))[:_CANDIDATES]]
        best += best[-1:] * (_CANDIDATES - len(best))  # the same number each: idf stays what it is with every row once
        tried.append((at, best, len(cut)))
        texts += [candidate for candidate in best for _ in cut]
        references += cut * _CANDIDATES
    values, out = Corpus(texts, references).cider(), {}
    counts = Counter(r for rows in replies.values() for row in rows for r in row)
    spelling = {words[r]: r for r in sorted(written, key=lambda r: (counts[r], r))}  # the commonest of the same words
    for at, best, count in tried:
        means = values[: _CANDIDATES * count].reshape(_CANDIDATES, count).mean(axis=1)
        values = values[_CANDIDATES * count :]
        out[at] = spelling[best[int(means.argmax())]]
    return out
