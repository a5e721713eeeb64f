"""To wait for what another thread or process does, which follows an answer and does not come with it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LONG = 240.0  # seconds: a machine on which much else runs gets there, too


def eventually(true: Callable[[], T], seconds: float = LONG, process: subprocess.Popen | None = None) -> T:
    """What `true()` says once it says something; what it says last where the time runs out.

    `process`, where it is given, is to go on meanwhile.
    """
    until = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < until:
        assert process is None or process.poll() is None, "the process ended early"
        time.sleep(0.02)
    return found
