"""How near a system's words come to what people wrote: BLEU, ROUGE-L, CIDEr and METEOR as COCO computes them.

    BLEU-n    p_k = Σ clipped n-grams / Σ n-grams;  BP · (p_1 ⋯ p_n)^(1/n),  BP = min(1, e^(1 - r/c))
              Papineni et al., "BLEU", ACL 2002, §2.3; r sums the reference lengths closest to each text's
    ROUGE-L   (1 + β²) P R / (R + β² P),  P and R the longest common subsequence by either length,  β = 1.2
              Lin, "ROUGE", 2004, eq. 2-4; as in COCO, P and R are each the best over the references
    CIDEr     10 · mean over n = 1..4 and references of e^(-δ²/2σ²) · min(g(c), g(s))·g(s) / |g(c)||g(s)|,  σ = 6
              Vedantam et al., "CIDEr", CVPR 2015, eq. 1-4; g is tf·idf, idf from this corpus's references
    METEOR    Denkowski and Lavie, WMT 2014; the authors' Java program, which comes with pycocoevalcap

The first three are written here, over all n-grams at once, and equal pycocoevalcap 1.2 (tests hold them to 1e-6). All
four depend on how text is cut into words, so the tokenizer's name stands in every result: never compare two.

    ptb     Stanford's Penn Treebank tokenizer, COCO's convention; Java, comes with pycocoevalcap
    plain   a stand-in without Java; close to it, not equal

What a text says of the picture, real or fake, is read from its words by `words.verdict`.
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facewitness import words as reader
from facewitness.errors import InputError, MissingExtra, UnknownName

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Tokenizer = Literal["ptb", "plain"]

ORDERS = 4  # n-grams of 1 to 4 words, in BLEU and in CIDEr
BETA = 1.2  # ROUGE-L: how much more recall weighs than precision (COCO's value)
SIGMA = 6.0  # CIDEr's length penalty
_AT_ONCE = 50_000  # items whose n-grams are in memory together


@dataclass(frozen=True, eq=False)
class Wording:
    """Measures of a corpus of texts. None is "not measured"; `notes` says why, by the measure's name."""

    bleu1: float | None
    bleu2: float | None
    bleu3: float | None
    bleu4: float | None
    rouge_l: float | None
    meteor: float | None
    cider: float | None  # on CIDEr's own scale, 0 to 10
    tokenizer: Tokenizer
    items: int
    scored: int  # items with references: what every measure is over
    without_text: int  # of those, items with an empty text: they count as the worst text
    without_references: int  # items left out: nothing to compare with
    notes: Mapping[str, str]
    per_item: Mapping[str, Floats] = field(repr=False)  # "rouge_l", "cider": (items,), NaN without references


@dataclass(frozen=True)
class Verdicts:
    """Verdicts read from texts, against the labels."""

    accuracy: float | None  # over the texts that tell; None where none does
    f1: float | None  # of "fake", over the same; None where neither words nor labels have a fake among them
    accuracy_of_all: float | None  # a text that does not tell counts as wrong
    items: int
    untold: int
    share_untold: float | None


def measure(
    texts: Sequence[str | None],
    references: Sequence[Sequence[str] | None],
    *,
    tokenizer: Tokenizer | None = None,
    meteor: bool = True,
) -> Wording:
    """All measures of `texts` against `references` (one list of reference texts an item).

    `tokenizer` None takes "ptb" where Java and pycocoevalcap are found and "plain" otherwise, and `notes` says so.

    Args:
        texts: What the system said, one an item; None for silence.
        references: What people wrote, a list of texts an item.
        tokenizer: "ptb" or "plain"; None takes "ptb" where Java and pycocoevalcap are found and "plain" otherwise.
        meteor: Whether METEOR is measured, which takes Java.

    Raises:
        MissingExtra: Where "ptb" is asked for and cannot be had.
        InputError: Where the lengths differ.
    """
    if len(texts) != len(references):
        raise InputError(f"expected one list of references a text, got {len(texts)} texts and {len(references)} lists")
    notes: dict[str, str] = {}
    if tokenizer is None:
        lacking = _lacking_java()
        tokenizer = "plain" if lacking else "ptb"
        if lacking:
            notes["tokenizer"] = f"plain, because ptb {lacking}"
    flat = tokenize([text or "" for text in texts] + [r for refs in references for r in refs or ()], tokenizer)
    words, rest = flat[: len(texts)], iter(flat[len(texts) :])
    kept = [[r for r in (next(rest) for _ in refs or ()) if r] for refs in references]
    scored = [i for i, refs in enumerate(kept) if refs]
    corpus = Corpus([words[i] for i in scored], [kept[i] for i in scored])
    bleu: Sequence[float | None] = corpus.bleu() if scored else (None, None, None, None)
    rouge, cider = corpus.rouge_l(), corpus.cider()
    if not scored:
        notes |= dict.fromkeys(("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider"), _NOTHING)
    elif len(scored) == 1:
        notes["cider"] = "one item: every n-gram is in all references, so that all weigh nothing"
        cider = np.full(1, np.nan)
    meteor_value = None
    if meteor:
        meteor_value, why = _meteor(corpus) if scored else (None, _NOTHING)
        if why:
            notes["meteor"] = why
    else:
        notes["meteor"] = "not asked for"
    return Wording(
        bleu1=bleu[0],
        bleu2=bleu[1],
        bleu3=bleu[2],
        bleu4=bleu[3],
        rouge_l=float(rouge.mean()) if scored else None,
        meteor=meteor_value,
        cider=float(cider.mean()) if len(scored) > 1 else None,
        tokenizer=tokenizer,
        items=len(texts),
        scored=len(scored),
        without_text=sum(not words[i] for i in scored),
        without_references=len(texts) - len(scored),
        notes=notes,
        per_item={"rouge_l": _spread(rouge, scored, len(texts)), "cider": _spread(cider, scored, len(texts))},
    )


_NOTHING = "no item has references"


def _spread(values: Floats, at: list[int], count: int) -> Floats:
    out = np.full(count, np.nan)
    out[at] = values
    return out


class _Grams(NamedTuple):
    """The n-grams of one order in each distinct sentence: sentence, gram and how often, sorted by the first two."""

    start: Ints  # (sentences + 1,): where each sentence's entries begin
    sentence: Ints
    gram: Ints
    often: Ints
    kinds: int  # gram < kinds

    def of(self, sentences: Ints) -> tuple[Ints, Ints]:
        """Entries of a list of sentences, in order: which of the list, and the entry's index."""
        lengths = self.start[sentences + 1] - self.start[sentences]
        which = np.repeat(np.arange(len(sentences)), lengths)
        before = np.repeat(self.start[sentences] - (np.cumsum(lengths) - lengths), lengths)
        return which, np.arange(len(which)) + before


class Corpus:
    """Tokenized texts (words with spaces between) and their references, of which each text needs at least one.

    Each distinct sentence is cut into n-grams once, however often it stands in the corpus.
    """

    def __init__(self, texts: Sequence[str], references: Sequence[Sequence[str]]):
        if len(texts) != len(references) or not all(references):
            raise InputError(f"expected one or more references for each of {len(texts)} texts; some have none")
        numbers: dict[str, int] = {}
        self.texts, self.references = texts, references
        self._text = np.array([numbers.setdefault(t, len(numbers)) for t in texts], np.int64)
        self._reference = np.array([numbers.setdefault(r, len(numbers)) for rs in references for r in rs], np.int64)
        self._per_item = np.array([len(rs) for rs in references], np.int64)
        self._first = np.concatenate([[0], np.cumsum(self._per_item)])  # an item's first reference
        self._item = np.repeat(np.arange(len(texts)), self._per_item)
        vocabulary: dict[str, int] = {}
        self._sentences = [[vocabulary.setdefault(w, len(vocabulary)) for w in s.split()] for s in numbers]
        self._lengths = np.array([len(s) for s in self._sentences], np.int64)
        self._words = len(vocabulary)

    def bleu(self, weight: Floats | None = None) -> tuple[float, float, float, float]:
        """BLEU-1 to BLEU-4 of the whole corpus, each item counted as often as `weight` (items,) says; None is once.

        Args:
            weight: (items,), how often each item counts; None for once.

        Returns:
            BLEU-1, BLEU-2, BLEU-3 and BLEU-4, each in [0, 1].
        """
        tiny, small = 1e-15, 1e-9  # COCO's: no n-gram at all gives nearly 0 instead of an error
        times = np.ones(len(self._text)) if weight is None else weight
        lengths, closest, right = (times @ part for part in self._bleu_parts)
        ratio = (lengths[0] + tiny) / (closest[0] + small)
        brevity = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
        product, out = 1.0, []
        for n in range(ORDERS):
            product *= (right[n] + tiny) / (lengths[n] + small)
            out.append(float(product ** (1 / (n + 1)) * brevity))
        return out[0], out[1], out[2], out[3]

    @cached_property
    def _bleu_parts(self) -> tuple[Floats, Floats, Floats]:
        """What BLEU sums of each item: n-grams said (items, 4), the closest reference's length (items, 1), n-grams said
        that a reference has (items, 4).
        """
        lengths = self._lengths[self._text]
        of_references = self._lengths[self._reference]
        longest = of_references.max(initial=0) + 1
        # the nearest length, the shorter of two as near
        nearest = np.abs(of_references - lengths[self._item]) * longest + of_references
        closest = np.minimum.reduceat(nearest, self._first[:-1]) % longest
        right = np.zeros((len(lengths), ORDERS))
        for n, grams in enumerate(self._grams):
            for part, entry, _, _, match, other in self._matches(grams):
                best = np.zeros(len(entry), np.int64)  # the most often any one reference has it
                np.maximum.at(best, match, grams.often[other])
                item, _ = grams.of(self._text[part.items])
                kept = np.minimum(best, grams.often[entry])
                right[part.items, n] = np.bincount(item, kept, minlength=part.items.stop - part.items.start)
        of_text = np.maximum(lengths[:, None] - np.arange(ORDERS), 0).astype(np.float64)
        return of_text, closest[:, None].astype(np.float64), right

    def rouge_l(self) -> Floats:
        """ROUGE-L of each item, (items,).

        Returns:
            (items,) in [0, 1].
        """
        sentences, out = self._sentences, np.zeros(len(self._text))
        references = self._reference.tolist()
        first = self._first.tolist()
        for i, text in enumerate(self._text.tolist()):
            words = sentences[text]
            if not words:
                continue
            common = [_common(words, sentences[r]) for r in references[first[i] : first[i + 1]]]
            lengths = self._lengths[self._reference[first[i] : first[i + 1]]].tolist()
            precision = max(common) / len(words)
            recall = max((c / n for c, n in zip(common, lengths, strict=True) if n), default=0.0)
            if precision and recall:
                out[i] = (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)
        return out

    def cider(self) -> Floats:
        """CIDEr of each item, (items,). All zero for a corpus of one item, where no n-gram is rarer than another.

        Returns:
            (items,) from 0 to 10.
        """
        if not len(self._text):
            return np.zeros(0)
        total = np.zeros(len(self._reference))
        for grams in self._grams:
            with_it = np.zeros(grams.kinds)  # in how many items' references each n-gram is
            for part in self._parts():
                which, entry = grams.of(self._reference[part.references])
                seen = np.sort(self._item[part.references][which] * grams.kinds + grams.gram[entry])
                first = seen[np.diff(seen, prepend=-1) > 0]  # quicker than np.unique, which hashes
                with_it += np.bincount(first % grams.kinds, minlength=grams.kinds)
            rarity = math.log(len(self._text)) - np.log(np.maximum(with_it, 1))
            weight = grams.often * rarity[grams.gram]
            norm = np.sqrt(np.bincount(grams.sentence, weight**2, minlength=len(self._lengths)))
            dot = np.zeros(len(self._reference))
            for part, own, reference, _, match, other in self._matches(grams):
                product = np.minimum(weight[own[match]], weight[other]) * weight[other]
                count = part.references.stop - part.references.start
                dot[part.references] += np.bincount(reference, product, minlength=count)
            norms = norm[self._text][self._item] * norm[self._reference]
            total += np.divide(dot, norms, out=np.zeros_like(dot), where=norms > 0)
        length = np.maximum(self._lengths - 1, 0)  # COCO counts pairs of words, not words
        apart = length[self._text][self._item] - length[self._reference]
        total *= np.exp(-(apart**2) / (2 * SIGMA**2))
        return 10 * np.add.reduceat(total, self._first[:-1]) / (ORDERS * self._per_item)

    def _parts(self) -> Iterator[_Part]:
        for begin in range(0, len(self._text), _AT_ONCE):
            end = min(begin + _AT_ONCE, len(self._text))
            yield _Part(slice(begin, end), slice(int(self._first[begin]), int(self._first[end])))

    def _matches(self, grams: _Grams) -> Iterator[tuple[_Part, Ints, Ints, Ints, Ints, Ints]]:
        """Where references have an n-gram of their text, a part of the corpus at a time.

        Gives the part, the texts' entries, and for each match: which of the part's references, which of its items,
        which of the texts' entries, and the reference's entry.
        """
        for part in self._parts():
            text, entries = grams.of(self._text[part.items])
            keys = text * grams.kinds + grams.gram[entries]  # sorted, because the entries of a sentence are
            reference, entry = grams.of(self._reference[part.references])
            item = self._item[part.references][reference] - part.items.start
            wanted = item * grams.kinds + grams.gram[entry]
            at = np.searchsorted(keys, wanted)
            hit = np.zeros(len(at), bool)
            inside = at < len(keys)
            hit[inside] = keys[at[inside]] == wanted[inside]
            yield part, entries, reference[hit], item[hit], at[hit], entry[hit]

    @cached_property
    def _grams(self) -> list[_Grams]:
        """For n = 1..4. An n-gram's number is made of the number of its first n - 1 words and the last word's."""
        count = len(self._sentences)
        words = np.fromiter((w for s in self._sentences for w in s), np.int64, int(self._lengths.sum()))
        sentence = np.repeat(np.arange(count), self._lengths)
        end = np.cumsum(self._lengths)
        position, gram, kinds = np.arange(len(words)), words, max(self._words, 1)
        out = []
        for n in range(1, ORDERS + 1):
            entry, often = np.unique(sentence[position] * kinds + gram, return_counts=True)
            of = entry // kinds
            out.append(_Grams(np.searchsorted(of, np.arange(count + 1)), of, entry % kinds, often, kinds))
            longer = position + n < end[sentence[position]]
            position = position[longer]
            known, gram = np.unique(gram[longer] * max(self._words, 1) + words[position + n], return_inverse=True)
            kinds = max(len(known), 1)
        return out


class _Part(NamedTuple):
    items: slice
    references: slice


def _common(a: list[int], b: list[int]) -> int:
    """Length of the longest common subsequence, a row of the table in one integer.

    Hyyrö, "Bit-parallel LCS-length computation revisited", AWOCA 2004.
    """
    where: dict[int, int] = {}
    for i, word in enumerate(a):
        where[word] = where.get(word, 0) | 1 << i
    whole = (1 << len(a)) - 1
    row = whole
    for word in b:
        if mask := where.get(word):
            both = row & mask
            row = (row + both | row - both) & whole
    return len(a) - row.bit_count()


# --- words ---------------------------------------------------------------------------------------------------------


def tokenize(texts: Sequence[str], tokenizer: Tokenizer) -> list[str]:
    """Each text in lower case, its words with one space between, without punctuation.

    Args:
        texts: What the system said, one an item.
        tokenizer: "ptb", which takes Java and pycocoevalcap, or "plain".

    Raises:
        UnknownName: For another tokenizer.
        MissingExtra: Where "ptb" lacks Java or pycocoevalcap.
    """
    if tokenizer not in ("ptb", "plain"):
        raise UnknownName("tokenizer", tokenizer, ("ptb", "plain"))
    lines = [" ".join(text.split()) for text in texts]  # all that ends a line for Java is white space for Python
    distinct = list(dict.fromkeys(line for line in lines if line))
    cut = (_ptb if tokenizer == "ptb" else _plain)(distinct)
    known = dict(zip(distinct, cut, strict=True)) | {"": ""}
    return [known[line] for line in lines]


_CLITIC = re.compile(r"(?<=\w)(n't|'(?:s|re|ve|ll|d|m))\b|(?<=\bcan)(?=not\b)")
_TOKEN = re.compile(r"n't\b|'(?:s|re|ve|ll|d|m)\b|\w+(?:[-/&]\w+|(?<=\d)[.,:]\d+)*|[^\w\s]")
_PUNCTUATION = frozenset("""'"`“”‘’«»()[]{}.?!,:;-–—…""")


def _plain(lines: list[str]) -> list[str]:
    out = []
    for line in lines:
        apart = _CLITIC.sub(r" \1", line.lower().replace("’", "'"))
        out.append(" ".join(token for token in _TOKEN.findall(apart) if token not in _PUNCTUATION))
    return out


# A run of seconds: threads that collect and compile for one of hours would take most of its processor time.
_JAVA = (
    "java", "-XX:+IgnoreUnrecognizedVMOptions", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
    "-Dfile.encoding=UTF-8",
)  # fmt: skip


def _ptb(lines: list[str]) -> list[str]:
    lacking = _lacking_java()
    if lacking:
        raise MissingExtra(f"the tokenizer ptb {lacking}, or take tokenizer 'plain' and compare with nothing else.")
    if not lines:
        return []
    from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS

    # the program itself, not its Python class: that writes into the installed package, and fails where it may not
    jar = str(_package() / "tokenizer" / "stanford-corenlp-3.4.1.jar")
    command = [*_JAVA, "-cp", jar, "edu.stanford.nlp.process.PTBTokenizer"]
    ran = subprocess.run(
        [*command, "-preserveLines", "-lowerCase"],
        input="\n".join([*lines, "end"]).encode(errors="replace"),  # a last line without words would get no line
        capture_output=True,
        check=False,
    )
    cut = ran.stdout.decode(errors="replace").rstrip("\n").split("\n")[:-1]
    if ran.returncode or len(cut) != len(lines):
        raise InputError(
            f"the tokenizer ptb: expected {len(lines)} lines, got {len(cut)} and exit status {ran.returncode} "
            f"({ran.stderr.decode(errors='replace').strip()[-200:]}). Take tokenizer 'plain'."
        )
    removed = frozenset(PUNCTUATIONS)
    return [" ".join(token for token in line.split() if token not in removed) for line in cut]


def _package() -> Path:
    spec = find_spec("pycocoevalcap")
    assert spec is not None and spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations)))


def _lacking_java() -> str | None:
    """What Java's tokenizer and METEOR lack here, as the end of a sentence; None where they can run."""
    if find_spec("pycocoevalcap") is None:
        return (
            "needs pycocoevalcap, which is not installed. Try: pip install '.[caption]', from a clone of the repository"
        )
    if shutil.which("java") is None:
        return "needs Java, and there is no `java` on the path. Install a Java runtime, 8 or later"
    return None


def _meteor(corpus: Corpus) -> tuple[float | None, str | None]:
    """METEOR of the corpus, or None and why not."""
    lacking = _lacking_java()
    if lacking:
        return None, f"METEOR {lacking}"
    folder = _package() / "meteor"
    command = [*_JAVA, "-Xmx2G", "-jar", "meteor-1.5.jar", "-", "-", "-stdio", "-l", "en"]
    bar = re.compile(r"\|{3,}")  # what parts the fields
    try:
        with subprocess.Popen(
            [*command, "-norm"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as java:
            to_java, from_java = java.stdin, java.stdout
            assert to_java is not None and from_java is not None

            def ask(*fields: str, answers: int = 1) -> str:
                to_java.write(f"{' ||| '.join(fields)}\n".encode(errors="replace"))
                to_java.flush()
                return [from_java.readline() for _ in range(answers)][-1].decode().strip()

            try:
                statistics = [
                    ask("SCORE", *(bar.sub("", r) for r in references), bar.sub("", text))
                    for text, references in zip(corpus.texts, corpus.references, strict=True)
                ]
                # the items' own values come first, the corpus's last
                return float(ask("EVAL", *statistics, answers=len(statistics) + 1)), None
            finally:
                java.kill()
    except (OSError, ValueError) as error:
        return None, f"METEOR's program stopped ({error}). See that 2 GB of memory are free and `java -version` works"


# --- verdicts ------------------------------------------------------------------------------------------------------


def verdicts(texts: Sequence[str | None], labels: Sequence[str]) -> Verdicts:
    """How often the verdicts that `words.verdict` reads are right. `labels` are "real" or "fake", one a text.

    Args:
        texts: What the system said, one an item; None for silence.
        labels: "real" or "fake", one a text.
    """
    if len(texts) != len(labels) or not set(labels) <= {"real", "fake"}:
        odd = sorted(set(labels) - {"real", "fake"})[:3]
        raise InputError(f"expected a label real or fake a text, got {len(texts)} texts, {len(labels)} labels, {odd}")
    pairs = [(reader.verdict(text), label) for text, label in zip(texts, labels, strict=True)]
    clear = [(verdict, label) for verdict, label in pairs if verdict in ("real", "fake")]
    right = sum(verdict == label for verdict, label in clear)
    both = sum(verdict == label == "fake" for verdict, label in clear)
    either = sum((verdict == "fake") + (label == "fake") for verdict, label in clear)
    return Verdicts(
        accuracy=right / len(clear) if clear else None,
        f1=2 * both / either if either else None,
        accuracy_of_all=right / len(pairs) if pairs else None,
        items=len(pairs),
        untold=len(pairs) - len(clear),
        share_untold=1 - len(clear) / len(pairs) if pairs else None,
    )
