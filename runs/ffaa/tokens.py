"""How long the analyses are: words, tokens and fields of a table of `facewitness build ffa_vqa`, by kind.

    python runs/ffaa/tokens.py OUT/analyses/ffa_vqa.parquet [--tokenizer OUT/small/tokenizer.json …]

FFA-VQA's answers have 203 tokens on average ("Data Source Composition for FFA-VQA"), by a tokenizer that is not named.
Counted here by MiniLM's WordPiece, which reads them in MIDS, and by each tokenizer that is named.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from facewitness.apps.script import script
from facewitness.builders import ffa_vqa
from facewitness.grammars import ffa_cot
from facewitness.models import minilm


def main() -> None:
    """Counts and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--tokenizer", type=Path, nargs="*", default=[], metavar="tokenizer.json")
    given = parser.parse_args()
    tokenizers = {"WordPiece": minilm._model()[0]}
    tokenizers |= {str(path.parent.name): Tokenizer.from_file(str(path)) for path in given.tokenizer}
    for tokenizer in tokenizers.values():
        tokenizer.no_truncation()
    lengths: dict[str, list[list[int]]] = defaultdict(list)
    for row in ffa_vqa.read(given.table):
        parts = ffa_cot.read(row["answer"])
        counted = [len(one.encode(row["answer"], add_special_tokens=False).ids) for one in tokenizers.values()]
        counted += [len(row["answer"].split()), len(parts.description.split()), len(parts.reasoning.split())]
        for kind in (row["kind"], "all"):
            lengths[kind].append(counted)
    print(
        "| kind | answers | tokens, " + " | tokens, ".join(tokenizers) + " | words | of the description | reasoning |"
    )
    print("|---|" + "---|" * (len(tokenizers) + 4))
    for kind, found in sorted(lengths.items(), key=lambda item: item[0] == "all"):
        means = np.mean(found, axis=0)
        print(f"| {kind} | {len(found)} | " + " | ".join(f"{value:.0f}" for value in means) + " |")


if __name__ == "__main__":
    script(main)
