"""A process that is started from here does not import from the folder that somebody happens to stand in.

"spawn" starts `python -c …`, which puts the current folder first among the places for modules: a pickle.py beside
strangers' photographs would be run before a line of ours.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_BIRTH = threading.RLock()
_BORN_WITH = {"PYTHONSAFEPATH": "1", "OPENBLAS_NUM_THREADS": "1"}


@contextmanager
def not_from_here() -> Iterator[None]:
    """While it lasts, a process that starts does not import from the current folder.

    Its linear algebra keeps to one thread, unless the user has said otherwise: the matrices are small, and threads that
    wait for them by spinning cost as much as the work.
    """
    with _BIRTH:
        before = {name: os.environ.get(name) for name in _BORN_WITH}
        os.environ |= {
            name: value for name, value in _BORN_WITH.items() if name == "PYTHONSAFEPATH" or not before[name]
        }
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
