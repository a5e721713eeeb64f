"""How fast BLEU, ROUGE-L and CIDEr are, beside COCO's own, on the same texts and in the same run.

    python perf/caption.py [--items 10000] [--repeats 3]

The texts are made up: words drawn with the frequencies of a language (Zipf), 1 to 5 references an item, of which the
text shares a part. Prints the least time of each, the ratio and the largest difference between the numbers. Fails where
ours is slower or a number differs by more than 1e-6.
"""

from __future__ import annotations

import argparse
import sys
import time
from importlib.util import find_spec

import numpy as np

from facewitness.bench.wording import Corpus

Numbers = tuple[float, ...]


def made_up(items: int, seed: int = 0) -> tuple[list[str], list[list[str]]]:
    """Texts and the references of each."""
    rng = np.random.default_rng(seed)
    frequency = 1 / np.arange(1, 2001)
    words = np.array([f"w{i}" for i in range(2000)])
    texts, references = [], []
    for _ in range(items):
        about = rng.choice(words, 14, p=frequency / frequency.sum())
        own = [
            np.where(rng.random(14) < 0.6, about, rng.choice(words, 14, p=frequency / frequency.sum()))[
                : rng.integers(7, 15)
            ]
            for _ in range(1 + rng.integers(1, 6))
        ]
        texts.append(" ".join(own[0]))
        references.append([" ".join(r) for r in own[1:]])
    return texts, references


def ours(texts: list[str], references: list[list[str]]) -> Numbers:
    """BLEU-1..4, ROUGE-L, CIDEr."""
    corpus = Corpus(texts, references)
    return (*corpus.bleu(), float(corpus.rouge_l().mean()), float(corpus.cider().mean()))


def theirs(texts: list[str], references: list[list[str]]) -> Numbers:
    """The same from pycocoevalcap."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    said, wanted = {i: [t] for i, t in enumerate(texts)}, dict(enumerate(references))
    bleu = Bleu(4).compute_score(wanted, said, verbose=0)[0]
    return (*bleu, float(Rouge().compute_score(wanted, said)[0]), float(Cider().compute_score(wanted, said)[0]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    if find_spec("pycocoevalcap") is None:
        sys.exit(
            "perf/caption.py compares with pycocoevalcap, which is missing. "
            "Try: pip install '.[caption]', from a clone of the repository"
        )
    texts, references = made_up(given.items)
    seconds: dict[str, list[float]] = {"ours": [], "pycocoevalcap": []}
    numbers: dict[str, Numbers] = {}
    for _ in range(given.repeats):  # in turns: what else the machine does slows both
        for name, work in (("ours", ours), ("pycocoevalcap", theirs)):
            started = time.perf_counter()
            numbers[name] = work(texts, references)
            seconds[name].append(time.perf_counter() - started)
    least = {name: min(times) for name, times in seconds.items()}
    ratio = least["pycocoevalcap"] / least["ours"]
    apart = max(abs(a - b) for a, b in zip(numbers["ours"], numbers["pycocoevalcap"], strict=True))
    print(f"BLEU, ROUGE-L and CIDEr of {given.items:,} texts with {sum(map(len, references)):,} references")
    for name in seconds:
        print(f"  {name:20} {least[name]:7.2f} s")
    print(f"  times as fast        {ratio:7.2f}        goal ≥ 1")
    print(f"  largest difference   {apart:7.0e}        goal ≤ 1e-6")
    sys.exit(ratio < 1 or apart > 1e-6)


if __name__ == "__main__":
    main()
