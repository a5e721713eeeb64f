"""`python -m facewitness` is the command `facewitness`."""

from __future__ import annotations

import sys

from facewitness.apps.cli import main

if __name__ == "__main__":
    sys.exit(main())
