"""A file, or the bytes of it that a header Range asks for.

A Range that is none, of other units or of too many parts is passed over and the whole file comes (RFC 9110, 14.2); one
behind the file's end is a problem as every other.
"""

from __future__ import annotations

import os
import re

from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

from facewitness.apps.api.problems import problem

_PARTS = 8
_PART = r"(?:\d{1,18}-\d{0,18}|-\d{1,18})"
_RANGE = re.compile(rf"bytes=\s*{_PART}(?:\s*,\s*{_PART}){{0,{_PARTS - 1}}}")


class Whole(FileResponse):
    """A file from the disk; parts of it where they are asked for."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        asked = dict(scope["headers"]).get(b"range", b"").decode("latin-1").strip()
        parts = [part.strip().partition("-") for part in asked.partition("=")[2].split(",")] if asked else []
        sane = bool(_RANGE.fullmatch(asked)) and all(
            not end or not start or int(start) <= int(end) for start, _, end in parts
        )
        if asked and not sane:
            scope = {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"range"]}
        elif asked:
            size = (await run_in_threadpool(os.stat, self.path)).st_size
            if not any(int(start) < size if start else int(end) > 0 for start, _, end in parts):
                detail = (
                    f"Range: expected some of the file's {size:,} bytes, got {asked[:60]}. Ask for some before its end."
                )
                refused = problem("range", detail, scope["state"]["request_id"], {"Content-Range": f"bytes */{size}"})
                await refused(scope, receive, send)
                return
        await super().__call__(scope, receive, send)
