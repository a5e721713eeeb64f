"""Files with code in them, of every format that is loaded: `tests/test_no_strangers_code.py`, counted."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from hostile import Figure


def attack(scale: int = 1) -> Iterator[Figure]:
    """Every way that the tests know; none may run."""
    tests = Path(__file__).parents[1] / "test_no_strangers_code.py"
    figure = Figure("payloads in files")
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.xml")
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests), f"--junitxml={result}"]
        ended = subprocess.run(words, capture_output=True, text=True, check=False)
        if not result.exists():
            figure.expect(False, ended.stdout[-500:] + ended.stderr[-500:])
            yield figure
            return
        for case in ElementTree.parse(result).iter("testcase"):
            if case.find("skipped") is None:
                broken = case.find("failure") is not None or case.find("error") is not None
                figure.expect(not broken, str(case.get("name")))
    yield figure
