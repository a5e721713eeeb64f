"""What every test may ask for: a real photograph, and hypothesis without a clock."""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from facewitness.types import Pixels

# A shared machine is slow at times, so no example is timed; CI draws the same examples every time.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# A shell that starts the tests in the background lets them ignore Ctrl-C, and every process they start would, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def _only_what_is_new_is_swept() -> None:
    """What stands before a module's tests is not looked through again: a million objects of torch and transformers.

    Trainers ask for a sweep of everything at each end and checkpoint, which took a tenth of their tests' time.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def astronaut_path() -> Path:
    """A portrait of 512 × 512 px, one face of about 110 px, that comes inside scikit-image (NASA, public domain)."""
    package = importlib.util.find_spec("skimage")  # finds the files without importing all of scikit-image
    if package is None or package.origin is None:
        pytest.skip("scikit-image is not installed; it holds the photograph. Try: pip install '.[dev]'")
    return Path(package.origin).parent / "data" / "astronaut.png"


@pytest.fixture(scope="session")
def _astronaut(astronaut_path: Path) -> Pixels:
    with Image.open(astronaut_path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture
def astronaut(_astronaut: Pixels) -> Pixels:
    """That portrait as RGB uint8 (512, 512, 3), a copy for each test."""
    return _astronaut.copy()


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Tiny networks are slower on several threads, and very slow on a busy machine. Ask for it by `pytestmark`."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
