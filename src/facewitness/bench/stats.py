"""What a dataset's texts speak of: shares of kinds, parts touched, parts a picture, words a text, and its terms.

    facewitness datasets stats mmtt=MMTT ddvqa=DD-VQA ffa_vqa=FFA-VQA --figure terms.svg

The numbers of MMTT's Figure 3 and, as bars with counts, what MARE, MMTT and FFAA show as word clouds. Sizes of words in
a cloud cannot be compared by eye; the same figure for all three can.

Terms are nouns and adjectives, found without a tagger, by three rules that the corpus itself feeds:

    noun        a word of a region's names, or one that ends a phrase after a determiner, with or without a word of an
                adjective's suffix between, at least `OFTEN` times in the texts
    adjective   a word with a suffix of adjectives, or that stands before a noun at least as often as anywhere else
    term        an adjective with the noun right after it, or a noun alone, lower case, in the singular as written

A tagger is right more often; this one needs none, is the same everywhere, and its rules are all here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any

from facewitness import regions
from facewitness.errors import InputError
from facewitness.types import Sample

SHOWN = 25  # terms of a figure
OFTEN = 3
_WORD = re.compile(r"[a-z]+(?:['’-][a-z]+)*")


def _listed(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text))


_DETERMINERS = _listed("the a an his her its their this that these those both each some no any")
_OTHER = _listed(
    """the a an his her its their this that these those both each some no any of in on at to from with without by for as
    and or but nor so than then is are was were be been being has have had do does did not it he she they there here who
    which what when where while because if very too more most less least also only just quite rather like such can could
    may might will would should must look looks looked looking seem seems seemed appear appears appearing make makes
    made making give gives given show shows shown showing see seen around over under above below between into onto
    against near next through across one two other another same all own up down out off i we you me my your our
    him them itself himself herself yes real fake"""
)
_SUFFIXES = ("al", "ous", "ful", "ive", "less", "ish", "able", "ible", "ic", "ed", "ing", "y", "ent", "ant")
_NO_ADJECTIVES = _listed("eye eyebrow body boundary jaw lip lighting shading blending editing swapping symmetry")


@dataclass(slots=True)
class Statistics:
    """Counts of one dataset."""

    samples: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)
    parts: Counter[str] = field(default_factory=Counter)  # MARE's names, of the truth's regions
    labels_of_21: Counter[str] = field(default_factory=Counter)  # MMTT's, of the texts
    parts_a_picture: Counter[int] = field(default_factory=Counter)  # of the 21, of pictures with a text
    words: list[int] = field(default_factory=list)  # a text
    terms: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; shares are of samples, None where nothing was counted.

        Returns:
            Name → numbers.
        """
        pictures = sum(self.parts_a_picture.values())

        def shares(counts: Mapping[str, int], whole: int) -> dict[str, dict[str, float | int]]:
            ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
            return {name: {"count": n, "share": n / whole} for name, n in ordered}

        many = sum(n for parts, n in self.parts_a_picture.items() if 2 <= parts <= 5)
        return {
            "samples": self.samples,
            "labels": shares(self.labels, self.samples),
            "kinds": shares(self.kinds, self.samples),
            "methods": shares(self.methods, self.samples),
            "parts": shares(self.parts, self.samples),
            "labels_of_21": shares(self.labels_of_21, max(1, pictures)),
            "parts_a_picture": {str(k): v for k, v in sorted(self.parts_a_picture.items())},
            "share_with_2_to_5_parts": many / pictures if pictures else None,
            "texts": len(self.words),
            "words": sum(self.words),
            "words_a_text": {
                "mean": mean(self.words), "median": median(self.words), "most": max(self.words),
            } if self.words else None,
            "terms": dict(self.terms.most_common(100)),
        }  # fmt: skip


def of(samples: Iterable[Sample]) -> Statistics:
    """Counts over samples. Nothing is decoded: regions come from the truth, parts and terms from texts.

    Args:
        samples: Of a dataset.
    """
    counts = Statistics()
    texts: list[str] = []
    for sample in samples:
        truth = sample.truth
        counts.samples += 1
        counts.labels[truth.label] += 1
        counts.kinds[truth.kind or "not known"] += 1
        counts.methods[truth.method or "not known"] += 1
        counts.parts.update(truth.regions or ())
        if truth.texts:
            named = regions.captioned(" ".join(truth.texts))
            counts.labels_of_21.update(named)
            counts.parts_a_picture[len(named)] += 1
        for text in truth.texts:
            counts.words.append(len(text.split()))
            texts.append(text)
    counts.terms = terms(texts)
    return counts


def terms(texts: Sequence[str]) -> Counter[str]:
    """How often each term occurs; see the top of this file for what a term is.

    Args:
        texts: What people wrote.
    """
    sentences = [_WORD.findall(sentence) for text in texts for sentence in re.split(r"[.!?;:,\n]", text.lower())]
    nouns, adjectives = _nouns_and_adjectives(sentences)
    counts: Counter[str] = Counter()
    for sentence in sentences:
        for index, word in enumerate(sentence):
            if word not in nouns:
                continue
            before = sentence[index - 1] if index else ""
            after = sentence[index + 1] if index + 1 < len(sentence) else ""
            if after in nouns and f"{word} {after}" in _COMPOUNDS:
                continue  # counted with the word after it
            lead = f"{before} " if before in adjectives or before in _SIDES or f"{before} {word}" in _COMPOUNDS else ""
            counts[lead + word] += 1
    return counts


_SIDES = ("left", "right", "upper", "lower")
_NO_PARTS = _listed("middle inner outer side white top tail head apple smile laugh")  # of titles, but no parts
_PARTS = (
    frozenset(
        word
        for name in (*regions.REGIONS, *(w for words in regions.CONCEPT_KEYWORDS.values() for w in words))
        for word in re.split(r"[_ ]", name)
    )
    - _NO_PARTS
    - _OTHER
    - frozenset(_SIDES)
)
_COMPOUNDS = frozenset(
    name.removeprefix("left_").removeprefix("right_").replace("_", " ") for name in regions.REGIONS if "_" in name
) | {"skin tone", "skin texture", "facial skin", "nose bridge"}


def _nouns_and_adjectives(sentences: Sequence[Sequence[str]]) -> tuple[set[str], set[str]]:
    after_determiner: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for sentence in sentences:
        total.update(sentence)
        for index, word in enumerate(sentence[1:], 1):
            last = index + 1 == len(sentence) or sentence[index + 1] in _OTHER
            before = sentence[index - 1]
            if index > 1 and before.endswith(_SUFFIXES) and before not in _OTHER:
                before = sentence[index - 2]  # "a visible seam"
            if before in _DETERMINERS and last:
                after_determiner[word] += 1
    nouns = {word for word, n in after_determiner.items() if n >= OFTEN and word not in _OTHER}
    nouns |= {word for word in total if word.removesuffix("s") in _PARTS or word in _PARTS}
    before_noun: Counter[str] = Counter()
    for sentence in sentences:
        for word, following in pairwise(sentence):
            if following in nouns and word not in _OTHER and word not in nouns:
                before_noun[word] += 1
    adjectives = {
        word
        for word, n in before_noun.items()
        if word not in _NO_ADJECTIVES and (word.endswith(_SUFFIXES) or 2 * n >= total[word])
    }
    return nouns - adjectives - set(_SIDES), adjectives


def figure(statistics: Mapping[str, Statistics], path: Path) -> Path:
    """Bars of the most frequent terms, one panel a dataset, as SVG, PNG or PDF.

    Args:
        statistics: Name of each dataset → its counts.
        path: Ends in .svg, .png or .pdf.

    Raises:
        InputError: Without texts.
    """
    from matplotlib.figure import Figure

    shown = {name: each for name, each in statistics.items() if each.terms}
    if not shown:
        raise InputError("stats: expected a dataset with texts for a figure of terms, got none")
    figure = Figure(figsize=(4.2 * len(shown), 6.5), layout="constrained")
    for axes, (name, each) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True):
        top = each.terms.most_common(SHOWN)[::-1]
        axes.barh([term for term, _ in top], [1000 * n / max(1, len(each.words)) for _, n in top], color="#3b6ea5")
        axes.set_title(f"{name}: {len(each.words):,} texts", fontsize=10)
        axes.set_xlabel("occurrences in 1,000 texts")
        axes.tick_params(labelsize=8)
    figure.savefig(path)
    return path
