"""C2PA manifests as they lie in a file: boxes (JUMBF, ISO 19566-5) that hold CBOR and JSON, read with bounds.

This says what a manifest claims, without checking its signature: `credentials` does, with the extra `c2pa`. The tree is
a manifest store (C2PA 2.1, 11.1) of manifests, each with an assertion store, a claim and a signature; the last manifest
is the active one.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MOST_DEPTH = 12
MOST_BOXES = 2_000
MOST_ITEMS = 50_000  # of one CBOR value
MOST_ASSERTION = 1_000_000  # bytes
_DESCRIPTION, _BOX, _CBOR, _JSON = b"jumd", b"jumb", b"cbor", b"json"


@dataclass(slots=True)
class Manifest:
    """What one manifest claims, unchecked. Texts are data of a stranger."""

    label: str
    claim: dict[str, Any] = field(default_factory=dict)
    assertions: list[tuple[str, Any]] = field(default_factory=list)  # (label, value), thumbnails left out


@dataclass(slots=True)
class Store:
    """The manifests of a file, the active one last, and what was left out."""

    manifests: list[Manifest] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def read(data: bytes) -> Store:
    """The manifest store in JUMBF boxes. Damage and what breaks a bound is said; never raises.

    Args:
        data: The bytes.
    """
    store = Store()
    if not data:
        return store
    walk = _Walk()
    try:
        for label, body in walk.named(data, 0):
            if label == "c2pa":
                for name, inside in walk.named(body, 1):
                    store.manifests.append(_manifest(walk, name, inside))
    except (struct.error, ValueError, RecursionError) as error:
        store.left_out.append(f"The C2PA manifest is damaged ({error}).")
    return store


def _manifest(walk: _Walk, label: str, body: bytes) -> Manifest:
    manifest = Manifest(label)
    for name, inside in walk.named(body, 2):
        if name.startswith("c2pa.claim"):
            value = walk.value(inside)
            manifest.claim = value if isinstance(value, dict) else {}
        elif name == "c2pa.assertions":
            for assertion, content in walk.named(inside, 3):
                if not assertion.startswith("c2pa.thumbnail"):
                    manifest.assertions.append((assertion, walk.value(content)))
    return manifest


class _Walk:
    """Counts the boxes of one store, however they are nested."""

    def __init__(self) -> None:
        self._boxes = 0

    def boxes(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(kind, body) of the boxes that stand side by side."""
        at = 0
        while at + 8 <= len(data):
            self._boxes += 1
            if self._boxes > MOST_BOXES:
                raise ValueError(f"more than {MOST_BOXES:,} boxes")
            length, kind = struct.unpack_from(">I4s", data, at)
            head = 8
            if length == 1:
                (length,) = struct.unpack_from(">Q", data, at + 8)
                head = 16
            elif length == 0:
                length = len(data) - at
            if length < head or at + length > len(data):
                raise ValueError("a box longer than what holds it")
            yield kind, data[at + head : at + length]
            at += length

    def named(self, data: bytes, depth: int) -> Iterator[tuple[str, bytes]]:
        """(label, what follows the description) of the superboxes that stand side by side."""
        if depth > MOST_DEPTH:
            raise ValueError("nested too deep")
        for kind, body in self.boxes(data):
            if kind != _BOX or body[4:8] != _DESCRIPTION:
                continue
            length = struct.unpack_from(">I", body)[0]
            description = body[8:length]
            label = description[17:].split(b"\0")[0] if len(description) > 17 and description[16] & 2 else b""
            yield label.decode("utf-8", "replace")[:200], body[length:]

    def value(self, data: bytes) -> Any:
        """The first CBOR or JSON value among the boxes; None where there is none that can be read."""
        for kind, body in self.boxes(data):
            if kind in (_CBOR, _JSON) and len(body) <= MOST_ASSERTION:
                try:
                    return decoded(body) if kind == _CBOR else json.loads(body)
                except (ValueError, RecursionError, struct.error):
                    return None
        return None


def fits(content: bytes, manifest: bytes, active: Manifest) -> bool | None:
    """Whether a file is the one that its manifest was made for, by the hash that the manifest holds (C2PA 2.1, 18.5).

    Args:
        content: the file's bytes.
        manifest: the JUMBF boxes found in it.
        active: its active manifest.

    Returns:
        None where the manifest holds no hash of this kind, or leaves out more of the file than itself.
    """
    value = next((value for label, value in active.assertions if label.startswith("c2pa.hash.data")), None)
    algorithm = value.get("alg") or active.claim.get("alg") if isinstance(value, dict) else None
    if not isinstance(value, dict) or algorithm not in ("sha256", "sha384", "sha512"):
        return None
    ranges = value.get("exclusions") or []
    try:
        ranges = sorted((int(one["start"]), int(one["length"])) for one in ranges)
    except (TypeError, KeyError, ValueError, OverflowError):  # the last: of an infinite number
        return None
    if sum(length for _, length in ranges) > len(manifest) * 1.1 + 4096 or any(min(pair) < 0 for pair in ranges):
        return None
    digest, at = hashlib.new(algorithm), 0
    for start, length in ranges:
        digest.update(content[at:start])
        at = max(at, start + length)
    digest.update(content[at:])
    return digest.digest() == value.get("hash")


# ---------------------------------------------------------------------------------------------------------------- CBOR


def decoded(data: bytes) -> Any:
    """One CBOR value (RFC 8949): numbers, texts, bytes, lists, maps, tags (left off) and the simple values.

    Args:
        data: The bytes.

    Raises:
        ValueError: it is damaged, nested deeper than 32, or has more than `MOST_ITEMS` items.
    """
    return _Cbor(data).item(0)


class _Cbor:
    def __init__(self, data: bytes):
        self._data, self._at, self._items = data, 0, 0

    def item(self, depth: int) -> Any:
        self._items += 1
        if depth > 32 or self._items > MOST_ITEMS:
            raise ValueError("CBOR that is too deep or too long")
        first = self._take(1)[0]
        major, small = first >> 5, first & 31
        if major == 7:
            return self._simple(small)
        if small == 31:
            return self._open(major, depth)
        value = small if small < 24 else int.from_bytes(self._take(1 << (small - 24))) if small < 28 else None
        if value is None:
            raise ValueError("a length that CBOR does not have")
        match major:
            case 0:
                return value
            case 1:
                return -1 - value
            case 2:
                return self._take(value)
            case 3:
                return self._take(value).decode("utf-8", "replace")
            case 4:
                return [self.item(depth + 1) for _ in range(self._some(value))]
            case 5:
                return {_key(self.item(depth + 1)): self.item(depth + 1) for _ in range(self._some(value))}
            case _:
                return self.item(depth + 1)  # a tag says how a value is meant; the value is enough here

    def _take(self, count: int) -> bytes:
        if self._at + count > len(self._data):
            raise ValueError("CBOR that ends early")
        self._at += count
        return self._data[self._at - count : self._at]

    def _some(self, count: int) -> int:
        if count > len(self._data) - self._at:  # each item takes a byte at least
            raise ValueError("CBOR that ends early")
        return count

    def _simple(self, small: int) -> Any:
        if small in (20, 21, 22, 23):
            return {20: False, 21: True}.get(small)
        if small in (25, 26, 27):
            width = 1 << (small - 24)
            return struct.unpack({2: ">e", 4: ">f", 8: ">d"}[width], self._take(width))[0]
        if small == 24:
            self._take(1)
        elif small > 27:
            raise ValueError("a break without a beginning")
        return None

    def _open(self, major: int, depth: int) -> Any:
        items = []
        while self._data[self._at : self._at + 1] != b"\xff":
            items.append(self.item(depth + 1))
        self._take(1)
        if major in (2, 3):
            kind = bytes if major == 2 else str
            if not all(isinstance(item, kind) for item in items):
                raise ValueError("pieces of another kind")
            return b"".join(items) if major == 2 else "".join(items)
        if major == 4:
            return items
        if major == 5 and len(items) % 2 == 0:
            return {_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}
        raise ValueError("an open item of a kind that has none")


def _key(key: Any) -> Any:
    return key if isinstance(key, str | int | bytes) else repr(key)[:200]
