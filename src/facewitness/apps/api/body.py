"""Uploads as they stream in: the file goes from the socket to the disk, hashed on its way, and is never held in memory.

A raw body is the file itself; of a multipart form the part `file` is, and the other parts are short words about it.
"""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any
from urllib.parse import unquote

from fastapi import Request
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from facewitness.apps.api.problems import Refused, slow
from facewitness.apps.service.service import NOTE
from facewitness.apps.service.settings import Settings
from facewitness.apps.service.uploads import Incoming

_MOST_FIELD = 4 * NOTE  # bytes
_MOST_FIELDS = 20
_OPAQUE = ("", "application/octet-stream", "binary/octet-stream")


async def receive(request: Request, incoming: Incoming, settings: Settings) -> tuple[str | None, dict[str, str]]:
    """Write a request's file as it comes.

    Returns:
        The file's name where the form gives one, and the form's other fields.

    Raises:
        Refused: the upload is no file, stands still, breaks off, or is no form where it says so.
        TooLarge, NoRoom: as `Incoming.write`.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    declared = kind.decode("latin-1").lower()
    if declared == "multipart/form-data":
        form = _Form(incoming, options.get(b"boundary", b""))
        async for piece in _pieces(request, settings):
            form.feed(piece)
        return form.done()
    if declared not in _OPAQUE and not declared.startswith(("image/", "video/")):
        raise Refused(
            "wrong-type",
            "Expected multipart/form-data, or a picture or film as the body (image/…, video/…, "
            f"application/octet-stream), got {declared[:80]}.",
        )
    async for piece in _pieces(request, settings):
        incoming.write(piece)
    return None, {}


async def _pieces(
    request: Request, settings: Settings, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[bytes]:
    """The body's pieces. Raises Refused where they stop coming, come too slowly, or take too long in all."""
    began, came = clock(), 0
    body = request.stream().__aiter__()
    while True:
        try:
            piece = await asyncio.wait_for(anext(body), settings.upload_time)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise slow(f"Nothing came for {settings.upload_time:g} seconds.") from None
        except ClientDisconnect:
            raise Refused("bad-request", "The upload broke off. Send it again.") from None
        came += len(piece)
        lasted = clock() - began
        if lasted > settings.upload_longest:
            raise slow(f"The upload was not done after {settings.upload_longest / 60:g} minutes.")
        late = lasted - settings.upload_time
        if late > 0 and came < late * settings.upload_rate:
            raise slow(f"Less than {settings.upload_rate:,} bytes a second came.")
        if piece:
            yield piece


class _Form:
    """Takes a multipart form apart as it comes."""

    def __init__(self, incoming: Incoming, boundary: bytes):
        if not 0 < len(boundary) <= 200:
            raise Refused("bad-request", "Expected multipart/form-data with a boundary, got none.")
        self._incoming, self._fields = incoming, dict[str, str]()
        self._name: str | None = None
        self._seen = self._whole = False
        self._header, self._value, self._field = b"", b"", b""
        self._disposition = b""
        self._into = ""  # the field that comes now; "file" goes to the disk
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._on_field,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header,
                "on_headers_finished": self._on_headers,
                "on_part_data": self._on_data,
                "on_part_end": self._end,
                "on_end": self._on_end,
            },
        )

    def feed(self, piece: bytes) -> None:
        """Take the next bytes. Raises Refused where they are no form."""
        try:
            self._parser.write(piece)
        except ValueError as error:  # what the parser raises of its own
            if isinstance(error, Refused) or type(error).__module__.startswith("facewitness"):
                raise
            raise Refused("bad-request", f"Expected multipart/form-data, got something else ({error}).") from error

    def done(self) -> tuple[str | None, dict[str, str]]:
        """The form has come. Raises Refused where it breaks off or has no file."""
        if not self._whole:
            raise Refused("bad-request", "The form breaks off before its end. Send it again.")
        if not self._seen:
            raise Refused("invalid", f"Expected a form with a part 'file', got {self._got()}. Name the file's part so.")
        return self._name, self._fields

    def _got(self) -> str:
        names = ", ".join(f"'{name[:40]}'" for name in self._fields)
        return f"one with {names}" if names else "one without parts"

    def _begin(self) -> None:
        self._field = self._value = self._disposition = b""

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._into = options.get(b"name", b"").decode("utf-8", "replace")
        if self._into == "file":
            if self._seen:
                raise Refused("invalid", "Expected one part 'file', got several. Send each file by itself.")
            self._seen = True
            name = options.get(b"filename", b"").decode("utf-8", "replace")
            self._name = unquote(name) if b"filename*=" in self._disposition else _as_browsers_write(name)
        elif options.get(b"filename"):
            raise Refused("invalid", f"Expected the file as the part 'file', got it as '{self._into[:40]}'.")
        elif len(self._fields) >= _MOST_FIELDS:
            raise Refused("invalid", f"Expected at most {_MOST_FIELDS} fields in the form, got more.")
        elif self._into in self._fields:
            raise Refused("invalid", f"{self._into[:40]}: expected it once in the form, got it twice.")
        else:
            self._fields[self._into] = ""
        self._value = b""

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._into == "file":
            self._incoming.write(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > _MOST_FIELD:
            raise Refused("invalid", f"{self._into[:40]}: expected at most {NOTE:,} characters, got more.")

    def _end(self) -> None:
        if self._into != "file":
            try:
                self._fields[self._into] = self._value.decode("utf-8")
            except UnicodeDecodeError:
                raise Refused(
                    "invalid",
                    f"{self._into[:40]}: expected text in UTF-8, got other bytes. The part with the file is 'file'.",
                ) from None
        self._into = ""

    def _on_end(self) -> None:
        self._whole = True


def _as_browsers_write(name: str) -> str:
    """A file's name without the escapes that browsers put for quotation marks and line ends, and for nothing else."""
    return name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def near(name: str, known: Collection[str]) -> str:
    """Which of the known words was probably meant, as a sentence with a space before it; empty where none is near."""
    meant = difflib.get_close_matches(name.lower(), known, 1)
    return f" Did you mean '{meant[0]}'?" if meant else ""


def words_of(fields: dict[str, str], query: Any, known: Collection[str]) -> dict[str, str]:
    """What was said about a file, in the form or, where the form does not say it, in the address.

    Raises:
        Refused: for a word that is not `known`: what was meant by it would be lost.
    """
    given = {name: str(value) for name, value in query.items()}
    for name, value in (*query.multi_items(), *fields.items()):
        if given.setdefault(name, str(value)) != str(value):
            raise Refused(
                "invalid", f"{name[:40]}: expected one value, got two of them. Say it in the form or in the address."
            )
    for name in given:
        if name not in known:
            words = f"expected one of {', '.join(known)} beside the file"
            raise Refused("invalid", f"{words}, got '{name[:40]}'.{near(name, known)}")
    return given
