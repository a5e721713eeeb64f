"""Places for uploads: one caller has a share of them, who waits is answered in time, no upload lasts for ever."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra serve")

from facewitness.apps.api import body
from facewitness.apps.api.problems import Refused, of
from facewitness.apps.api.slots import Slots
from facewitness.apps.service.settings import Settings
from facewitness.errors import InputError


class Leaping(asyncio.SelectorEventLoop):
    """A loop whose clock is set forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def run(what: Coroutine[Any, Any, None]) -> None:
    loop = Leaping(selectors.DefaultSelector())
    try:
        loop.run_until_complete(what)
    finally:
        loop.close()


async def later(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Leaping)
    for _ in range(5):
        await asyncio.sleep(0)
    loop.ahead += seconds
    for _ in range(5):
        await asyncio.sleep(0)


async def once(slots: Slots, caller: str) -> str:
    async with slots.one(caller):
        return caller


def settings(folder: Path, **given: Any) -> Settings:
    return Settings(data=folder, **given)


def test_one_caller_has_a_quarter_of_the_places_and_the_others_need_not_wait(tmp_path):
    async def uploads() -> None:
        slots = Slots(settings(tmp_path, max_uploads=8))
        async with AsyncExitStack() as held:
            for _ in range(2):
                await held.enter_async_context(slots.one("slow"))
            third = asyncio.create_task(once(slots, "slow"))
            await later(29)
            assert not third.done()
            assert await once(slots, "other") == "other"
            await later(2)
            with pytest.raises(Refused, match="at most 2 uploads of one caller") as refused:
                await third
            answer = of(refused.value, "id")
            assert answer.status_code == 429 and answer.headers["retry-after"] == "5"
        assert await once(slots, "slow") == "slow"
        assert not slots._shares and not slots._here

    run(uploads())


def test_when_all_places_are_held_a_wait_ends_with_503_and_a_free_place_goes_to_who_waits(tmp_path):
    async def uploads() -> None:
        slots = Slots(settings(tmp_path, max_uploads=2, max_uploads_each=1))
        async with slots.one("a"):
            async with slots.one("b"):
                waits = asyncio.create_task(once(slots, "c"))
                await later(31)
                with pytest.raises(Refused, match="kept all places") as refused:
                    await waits
                answer = of(refused.value, "id")
                assert answer.status_code == 503 and answer.headers["retry-after"] == "5"
                waits = asyncio.create_task(once(slots, "c"))
                await later(1)
            assert await waits == "c"
        assert not slots._shares

    run(uploads())


class Dripping:
    """A request whose body comes in pieces, each of them after some seconds."""

    def __init__(self, piece: bytes, seconds: float):
        self.now, self._piece, self._seconds = 0.0, piece, seconds

    def clock(self) -> float:
        return self.now

    async def stream(self) -> AsyncIterator[bytes]:
        while True:
            self.now += self._seconds
            yield self._piece


@pytest.mark.parametrize(
    ("piece", "words", "least", "most"),
    [(bytes(100), "Less than 2,000 bytes a second", 20, 31), (bytes(100_000), "not done after 60 minutes", 3600, 3611)],
)
def test_an_upload_that_drips_or_takes_too_long_is_408(tmp_path, piece, words, least, most):
    request: Any = Dripping(piece, 10.0)

    async def receive() -> None:
        async for _ in body._pieces(request, settings(tmp_path), request.clock):
            pass

    with pytest.raises(Refused, match=words) as refused:
        asyncio.run(receive())
    assert of(refused.value, "id").status_code == 408
    assert least < request.now < most


def test_a_share_is_a_number_above_nothing_and_at_most_all(tmp_path):
    assert settings(tmp_path).share_of_uploads == 8
    assert settings(tmp_path, max_uploads=1).share_of_uploads == 1
    assert settings(tmp_path, max_uploads=4, max_uploads_each=9).share_of_uploads == 4
    with pytest.raises(InputError, match="max_uploads_each"):
        settings(tmp_path, max_uploads_each=0)
