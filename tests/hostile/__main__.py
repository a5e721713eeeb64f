"""Try everything, print the figures, and write them into docs/reliability.md."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

from facewitness.phrases import visible
from hostile import Figure

ATTACKS = ("reading", "kills", "strings", "texts", "payloads", "servers")
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def main() -> int:
    """Each attack in turn; the status is 1 where anything failed."""
    parser = argparse.ArgumentParser(prog="python -m hostile", description=__doc__)
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=f"only these of: {', '.join(ATTACKS)}")
    parser.add_argument("--long", action="store_true", help="a night's length: five times the seeds, kills and texts")
    given = parser.parse_args()
    for name in given.attacks:
        if name not in ATTACKS:
            parser.error(f"unknown attack {name}. Known: {', '.join(ATTACKS)}.")
    figures: list[Figure] = []
    began = time.monotonic()
    for name in given.attacks or ATTACKS:
        for figure in importlib.import_module(f"hostile.{name}").attack(5 if given.long else 1):
            figures.append(figure)
            print(
                f"{figure.kind}: {figure.tried} tried, {len(figure.failures)} failed; worst {figure.worst}", flush=True
            )
            for failure in figure.failures[:20]:
                print(f"  {ascii(failure)[1:-1][:600]}", flush=True)
    if not given.attacks:
        PAGE.write_text(filled(PAGE.read_text(), figures, time.monotonic() - began))
    return int(any(figure.failures for figure in figures))


def filled(page: str, figures: list[Figure], seconds: float) -> str:
    """The page with these figures in the place of those it had."""
    lines = ["| class | tried | failed | worst |", "|---|---|---|---|"]
    lines += [f"| {f.kind} | {f.tried:,} | {len(f.failures)} | {_cell(f.worst)} |" for f in figures]
    lines.append(f"| **all** | **{sum(f.tried for f in figures):,}** | **{sum(len(f.failures) for f in figures)}** | |")
    words = ["git", "log", "-1", "--format=%h, %cs"]
    commit = (
        subprocess.run(words, cwd=PAGE.parent, capture_output=True, text=True, check=False).stdout.strip()
        or "no commit"
    )
    made = (
        f"Commit {commit}; Python {platform.python_version()} on {platform.system()}, {os.cpu_count()} cores; "
        f"{seconds / 60:.0f} minutes."
    )
    table = "\n".join(lines)
    return re.sub(r"(?s)(<!-- figures -->\n).*?(\n<!-- /figures -->)", lambda m: f"{m[1]}{made}\n\n{table}{m[2]}", page)


def _cell(text: str) -> str:
    return visible(text).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
