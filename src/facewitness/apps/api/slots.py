"""So many uploads are received at one time; one caller has a share of them, and whoever waits is answered in time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from facewitness.apps.api.problems import Refused
from facewitness.apps.service.settings import Settings


class Slots:
    """The places in which uploads are received.

    Args:
        settings: how many there are, how many of them one caller may have, and how long an upload waits for one.
    """

    def __init__(self, settings: Settings):
        self._settings = settings
        self._all = asyncio.Semaphore(settings.max_uploads)
        self._shares: dict[str, asyncio.Semaphore] = {}
        self._here: Counter[str] = Counter()  # caller → uploads that wait or are received

    @asynccontextmanager
    async def one(self, caller: str) -> AsyncIterator[None]:
        """A place, as long as the file comes. Whoever waits for a place of the own share takes none of the others'.

        Raises:
            Refused: none became free in time.
        """
        s = self._settings
        share = self._shares.setdefault(caller, asyncio.Semaphore(s.share_of_uploads))
        began = asyncio.get_running_loop().time()
        self._here[caller] += 1
        try:
            own = (
                f"Expected at most {s.share_of_uploads:,} uploads of one caller at one time, got more for {{}} seconds"
            )
            await _wait(share, s.slot_time, Refused("too-often", _ended(own, s), _CLOSE))
            try:
                left = began + s.slot_time - asyncio.get_running_loop().time()
                every = "Other uploads kept all places of the server for {} seconds"
                await _wait(self._all, left, Refused("busy", _ended(every, s), _CLOSE))
                try:
                    yield
                finally:
                    self._all.release()
            finally:
                share.release()
        finally:
            self._here[caller] -= 1
            if not self._here[caller]:
                del self._here[caller], self._shares[caller]


_CLOSE = {"Connection": "close", "Retry-After": "5"}  # what was not read of the body stands in the connection


def _ended(sentence: str, settings: Settings) -> str:
    return f"{sentence.format(f'{settings.slot_time:g}')}. Send it again after 5 seconds."


async def _wait(places: asyncio.Semaphore, seconds: float, refusal: Refused) -> None:
    if not places.locked():
        await places.acquire()  # at once: a place that is free is no matter of time
        return
    try:
        await asyncio.wait_for(places.acquire(), seconds)
    except TimeoutError:
        raise refusal from None
