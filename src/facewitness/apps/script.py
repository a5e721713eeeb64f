"""Ends a script of runs/ as the commands end: in a sentence where its input is bad, quietly where nobody reads on.

if __name__ == "__main__":
    script(main)
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from facewitness.apps._words import INTERRUPTED, NONE, complain, nobody_reads, status_of
from facewitness.errors import FacewitnessError, ended
from facewitness.files import unable


def script(main: Callable[..., int | None], *given: Any) -> NoReturn:
    """Run a script's main function and leave with its status.

    Args:
        main: The function; its status, or None for 0.
        *given: What it is called with.

    Raises:
        SystemExit: Always: 2 for bad input (1 where a file is at fault), 141 where whoever read the output has gone, as
            `head` does, and 130 for Ctrl-C.
    """
    name = Path(sys.argv[0]).name
    try:
        status = main(*given) or 0
        if sys.stdout is not None:  # closed by whoever started us
            sys.stdout.flush()
    except FacewitnessError as error:
        complain(ended(f"{name}: {error}"))
        status = status_of(error)
    except KeyboardInterrupt:
        complain(f"{name}: interrupted.")
        status = INTERRUPTED
    except BrokenPipeError:
        status = nobody_reads()
    except OSError as error:
        complain(f"{name}: {unable(error)}")
        status = NONE
    sys.exit(status)
