"""Server-sent events, and waiting for what happens in other threads."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from facewitness.apps.service.service import Service
from facewitness.apps.service.store import AnalysisRow

MEDIA = "text/event-stream"
_HEARTBEAT = 15.0  # seconds after which a comment is sent, so that nobody between gives the connection up


def event(name: str, data: Any) -> bytes:
    """One event with JSON in it."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def stream(events: AsyncIterator[bytes]) -> StreamingResponse:
    """An answer of events as they come."""
    return StreamingResponse(events, media_type=MEDIA, headers={"X-Accel-Buffering": "no"})


async def until_ended(service: Service, number: str, owner: str | None, seconds: float) -> AnalysisRow:
    """The analysis once it has ended, or as it is after so many seconds; no thread is held meanwhile."""
    row = None
    async for row in changes(service, number, owner, seconds, steps=False):
        if row.ended:
            break
    assert row is not None
    return row


async def changes(
    service: Service, number: str, owner: str | None, seconds: float, steps: bool = True
) -> AsyncIterator[AnalysisRow]:
    """The analysis as it is, and again whenever something has happened to it, for so many seconds at most.

    `steps` says whether a job's going on is something, too.
    """
    changed, loop = asyncio.Event(), asyncio.get_running_loop()

    def tell() -> None:
        loop.call_soon_threadsafe(changed.set)

    end = service.listen(number, tell, steps)
    until = time.monotonic() + seconds
    try:
        while True:
            row = await run_in_threadpool(service.get, number, owner)
            yield row
            left = until - time.monotonic()
            if row.ended or left <= 0:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), min(left, 1.0))  # another server may have done it
            changed.clear()
    finally:
        end()


async def pieces(ask: Callable[[Callable[[str], None]], Any]) -> AsyncIterator[tuple[str, Any]]:
    """What a call in another thread says by its `hear`, as ("piece", text), and in the end ("result", what it returns).

    Raises what the call raises.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def hear(piece: str) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, ("piece", piece))

    task = asyncio.ensure_future(run_in_threadpool(ask, hear))
    task.add_done_callback(lambda _: queue.put_nowait(("end", None)))
    while True:
        try:
            kind, value = await asyncio.wait_for(queue.get(), _HEARTBEAT)
        except TimeoutError:
            yield "wait", None
            continue
        if kind == "end":
            yield "result", await task
            return
        yield kind, value
