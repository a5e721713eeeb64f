"""Try everything, print the figures, and write them into docs/reliability.md."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from facewitness.phrases import visible
from hostile import Figure

# Name → its module and the arguments of `attack`; the parts of another attack are for machines with little time.
ATTACKS: dict[str, tuple[str, dict[str, int]]] = {
    "reading": ("reading", {}),
    "kills": ("kills", {}),
    "strings": ("strings", {}),
    "tables": ("tables", {}),
    "texts": ("texts", {}),
    "payloads": ("payloads", {}),
    "servers": ("servers", {}),
}
PARTS: dict[str, tuple[str, dict[str, int]]] = {
    **{f"reading-{n + 1}": ("reading", {"share": 4, "first": n}) for n in range(4)},
    "kills-analyze": ("kills", {"bench": 0, "train": 0}),
    "kills-bench": ("kills", {"analyze": 0, "train": 0}),
    "kills-train": ("kills", {"analyze": 0, "bench": 0}),
}
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_HEAD = ("| class | tried | failed | worst | commit |", "|---|---|---|---|---|")


def main() -> int:
    """Each attack in turn; the status is 1 where anything failed."""
    known = {**ATTACKS, **PARTS}
    parser = argparse.ArgumentParser(prog="python -m hostile", description=__doc__)
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=f"only these of: {', '.join(known)}")
    parser.add_argument("--long", action="store_true", help="a night's length: five times the seeds, kills and texts")
    given = parser.parse_args()
    for name in given.attacks:
        if name not in known:
            parser.error(f"unknown attack {name}. Known: {', '.join(known)}.")
    commit, failed = _commit() + (", long" if given.long else ""), False
    figures: list[Figure] = []
    for name in given.attacks or ATTACKS:
        module, options = known[name]
        for figure in importlib.import_module(f"hostile.{module}").attack(5 if given.long else 1, **options):
            figures.append(figure)
            failed |= bool(figure.failures)
            print(
                f"{figure.kind}: {figure.tried} tried, {len(figure.failures)} failed; worst {figure.worst}", flush=True
            )
            for failure in figure.failures[:20]:
                print(f"  {ascii(failure)[1:-1][:600]}", flush=True)
            # after each class: what takes hours may be ended
            PAGE.write_text(filled(PAGE.read_text(), figures, commit, keep=bool(given.attacks) or name != "servers"))
    return int(failed)


def filled(page: str, figures: list[Figure], commit: str, keep: bool = False) -> str:
    """The page with these figures; with `keep` the lines of classes that were not tried now stay as they are.

    Args:
        page: docs/reliability.md.
        figures: Of the classes that were tried.
        commit: What was tried, and when.
        keep: Whether other classes stay.
    """
    match = re.search(r"(?s)(<!-- figures -->\n).*?(\n<!-- /figures -->)", page)
    assert match, "expected the marks of the figures in the page"
    rows = _rows(match[0]) if keep else {}
    for figure in figures:
        cells = (figure.kind, f"{figure.tried:,}", str(len(figure.failures)), figure.worst, commit)
        rows[_cell(figure.kind)] = tuple(map(_cell, cells))
    tried, failures = (sum(int(row[i].replace(",", "")) for row in rows.values()) for i in (1, 2))
    lines = [*_HEAD, *(f"| {' | '.join(row)} |" for row in rows.values())]
    lines.append(f"| **all** | **{tried:,}** | **{failures}** | | |")
    made = f"Python {platform.python_version()} on {platform.system()}, {os.cpu_count()} cores."
    table = "\n".join(lines)
    return f"{page[: match.start()]}{match[1]}{made}\n\n{table}{match[2]}{page[match.end() :]}"


def _rows(table: str) -> dict[str, tuple[str, ...]]:
    """The lines of the page's table by class, without its head and its sum."""
    rows = (tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]) for line in table.splitlines())
    return {row[0]: row for row in rows if len(row) == 5 and row[0] != "class" and row[1].replace(",", "").isdecimal()}


def _commit() -> str:
    """The commit that is tried, with a + where files differ from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=PAGE.parent, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = "+" if git("status", "--porcelain", "--untracked-files=no", ":/src", ":/tests") else ""
    named = git("log", "-1", "--format=%h, %cs")
    return named.replace(",", f"{changed},", 1) or "no commit"


def _cell(text: str) -> str:
    return visible(text).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
