"""Who may call: API keys, of which the database holds hashes only, and the sessions of browsers.

A key is "fw_ID_SECRET"; the secret has 256 random bits, which nobody guesses however quick the hash, so it is stored as
a plain SHA-256. Keys of one name share what they see: a new one can be handed out before the old one is revoked.

A session is what a browser's cookie holds instead of the key: the key's id and an end, signed with a secret of the
server's folder. It ends with its time, and with the key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from facewitness.apps.service.store import KeyRow, Store
from facewitness.errors import InputError, UnknownName

SESSION = 12 * 3600.0
_KEY = re.compile(r"fw_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[\w][\w .@+-]{0,99}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the key's name and id; None for both where no key is needed."""

    name: str | None = None
    key: str | None = None


class Keys:
    """The keys of one server."""

    def __init__(self, store: Store, folder: Path):
        self._store = store
        self._secret_file = folder / "session.secret"
        self._known: dict[str, tuple[float, KeyRow | None]] = {}

    def add(self, name: str, expires: float | None = None) -> str:
        """A new key for a name; this is the only time that it can be read.

        Args:
            name: whose it is; keys of one name see the same analyses.
            expires: seconds since 1970 from when on it is refused; None for never.

        Raises:
            InputError: no such name is allowed.
        """
        if not _NAME.fullmatch(name):
            raise InputError(f"expected a name of at most 100 letters, digits and . @ + - _, got {name[:120]!r}")
        number, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        self._store.add_key(KeyRow(number, name, _hash(secret), time.time(), expires, None, None))
        return f"fw_{number}_{secret}"

    def all(self) -> list[KeyRow]:
        """All keys, the revoked ones too."""
        return self._store.keys()

    def revoke(self, number: str) -> None:
        """Refuse a key from now on. Raises UnknownName for one that is not there."""
        if not self._store.revoke_key(number, time.time()):
            raise UnknownName("key", number, [row.id for row in self.all()])
        self._known.pop(number, None)

    def any(self) -> bool:
        """Whether there is a key that is good."""
        now = time.time()
        return any(_good(row, now) for row in self.all())

    def caller(self, key: str) -> Caller | None:
        """Whose key this is; None for one that is no good."""
        match = _KEY.fullmatch(key)
        if match is None:
            return None
        row = self._row(match[1])
        # Compared whether or not there is such a key, so that the time does not tell.
        same = hmac.compare_digest(_hash(match[2]), row.sha256 if row is not None else "0" * 64)
        if row is None or not same or not _good(row, time.time()):
            return None
        self._store.used_key(row.id, time.time())
        return Caller(row.name, row.id)

    def session(self, caller: Caller) -> str:
        """What a browser's cookie holds."""
        text = f"{caller.key}.{int(time.time() + SESSION)}"
        return f"{text}.{self._sign(text)}"

    def of_session(self, cookie: str) -> Caller | None:
        """Whose session a cookie is; None for one that is forged, too old, or of a key that was revoked."""
        text, _, signature = cookie.rpartition(".")
        number, _, until = text.partition(".")
        if not text or not hmac.compare_digest(self._sign(text).encode(), signature.encode()):
            return None
        row = self._row(number)
        if not until.isdecimal() or float(until) < time.time() or row is None or not _good(row, time.time()):
            return None
        return Caller(row.name, row.id)

    def _row(self, number: str) -> KeyRow | None:
        """A key from the database, remembered for a few seconds: another process may revoke it."""
        read, row = self._known.get(number, (0.0, None))
        if time.monotonic() - read > 5 or row is None:
            row = self._store.key(number)
            if row is not None:
                self._known[number] = (time.monotonic(), row)
        return row

    def _sign(self, text: str) -> str:
        return hmac.new(self._secret(), text.encode(), hashlib.sha256).hexdigest()

    def _secret(self) -> bytes:
        with suppress(FileExistsError):
            handle = os.open(self._secret_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
        return self._secret_file.read_bytes()


def _good(row: KeyRow, now: float) -> bool:
    return row.revoked is None and (row.expires is None or row.expires > now)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
