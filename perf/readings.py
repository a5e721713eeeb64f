"""How often the two readings of `words.verdict` find what a text was written about.

    python perf/readings.py [--ddvqa FOLDER]        DD-VQA's folder of JSON files adds what people wrote

Without it only the replies printed in runs/mare are read: of people, and of the small model before and after training.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from facewitness import words
from facewitness.grammars import mare

RUNS = Path(__file__).parents[1] / "runs" / "mare"
_PICTURE = re.compile(r"\*\*`+ .*? `+\*\* \((real|fake)\)")
_REPLY = re.compile(r"- (people|before|after)\b[^`]*`+ ?(.*?) ?`+\s*$")


def printed() -> Iterator[tuple[str, str]]:
    """(label, text) of what people wrote about the pictures in runs/mare; a model's replies have no right label."""
    for page in sorted(RUNS.glob("grpo-*/*.md")):
        label = ""
        for line in page.read_text(encoding="utf-8").splitlines():
            if picture := _PICTURE.match(line):
                label = picture[1]
            elif reply := _REPLY.match(line):
                yield (label if reply[1] == "people" else ""), mare.parse(reply[2]).text


def people(folder: Path) -> Iterator[tuple[str, str]]:
    """(label, text) of DD-VQA's answers of at least four words."""

    def texts(value: object) -> Iterator[str]:
        if isinstance(value, str) and len(value.split()) > 3 and "?" not in value:
            yield value
        elif isinstance(value, dict | list):
            for inner in value.values() if isinstance(value, dict) else value:
                yield from texts(inner)

    for file in sorted(folder.glob("*.json")):
        label = "real" if file.stem == "Original" else "fake"
        for text in texts(json.loads(file.read_text(encoding="utf-8"))):
            yield label, text


def main() -> None:
    """Print a row for each source of texts and each reading."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ddvqa", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    sources = {"runs/mare": list(printed())}
    if given.ddvqa is not None:
        sources["DD-VQA"] = list(people(given.ddvqa))
    print("| texts | reading | number | right | wrong | inconclusive | no verdict | a second |")
    print("|---|---|---|---|---|---|---|---|")
    for name, texts in sources.items():
        labelled = [(label, text) for label, text in texts if label]
        for reading, strict in (("plain", False), ("strict", True)):
            started = time.perf_counter()
            read = Counter(_compared(words.verdict(text, strict), label) for label, text in labelled)
            rate = len(labelled) / (time.perf_counter() - started)
            cells = [f"{read[what]:,}" for what in ("right", "wrong", "inconclusive", "none")]
            print(f"| {name} | {reading} | {len(labelled):,} | {' | '.join(cells)} | {rate:,.0f} |")
        distinct = {text for _, text in texts}
        apart = sum(words.verdict(text) != words.verdict(text, strict=True) for text in distinct)
        print(f"\n{name}: of {len(distinct):,} distinct texts the two readings read {apart:,} differently.\n")


def _compared(verdict: str | None, label: str) -> str:
    if verdict in ("real", "fake"):
        return "right" if verdict == label else "wrong"
    return verdict or "none"


if __name__ == "__main__":
    main()
