"""What strangers may send, in bulk: files, names, words, servers and kills, each tried and counted (`make hostile`).

    python -m hostile                everything, in minutes; its figures go to docs/reliability.md
    python -m hostile reading texts  only these; the page keeps the others' lines, each with its own commit
    python -m hostile --long         a night's length: more seeds, kills and texts

Each attack is a module with one function `attack(scale)`, which gives a `Figure` for each class it tried. Files are
made by code, the same for the same seed; nothing is fetched.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Figure:
    """One line of the table: how many of a class were tried, what failed, and the worst that was seen."""

    kind: str
    tried: int = 0
    failures: list[str] = field(default_factory=list)
    worst: str = "–"

    def expect(self, holds: bool, what: str) -> None:
        """Count one try; `what` says which, should it not hold."""
        self.tried += 1
        if not holds:
            self.failures.append(what)
