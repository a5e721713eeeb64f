"""How work grows with what it is done on. How long it takes is the machine's business, and no test asks for that."""

from __future__ import annotations

import time
from collections.abc import Callable


def grows_with_its_length(read: Callable[[int], object], size: int, times: int = 16, slack: float = 4.0) -> bool:
    """Whether `read(size)` costs at most `times * slack` of what `read(size // times)` costs.

    Work that grows with the square of its length costs 256 times as much with the defaults, of which 64 are allowed;
    what grows as the length does costs 16 times. Counted is the processor time of this thread: a busy machine slows
    both sizes. The small one is read three times (one longer each time, for what was read is remembered), the large
    one once more where the first time was too long; work of less than half a millisecond counts as that.
    """
    few = max(0.0005, min(_cost(read, size // times + more) for more in range(3)))
    return any(_cost(read, size + more) < few * times * slack for more in range(3))


def _cost(read: Callable[[int], object], size: int) -> float:
    began = time.thread_time()
    read(size)
    return time.thread_time() - began
