"""C2PA content credentials: whether a manifest is signed by whom we trust and fits the picture, in five outcomes.

    valid       the signature holds, the picture is the one that was signed, and the signer is on a trust list
    unknown     the same, but nobody here knows the signer: anyone can make such a signature
    invalid     the signature does not hold, or the manifest is about another picture
    absent      there is none. This proves nothing: most files have none, and every upload may take it away
    unchecked   there is one, or an address of one, and it could not be checked here, such as one that is too large

Whether a manifest is about this very picture can be told without a signature, by the hash that it holds (C2PA 2.1,
18.5). So a manifest that was taken from another picture is invalid on a plain install, too. A film's hash, which is
over its boxes, and all else is checked by the Content Authenticity Initiative's library (the extra `c2pa`), beside
whose own trust list ours stands: `c2pa_trust.pem`, dated `TRUSTED_AS_OF`. Nothing is fetched from the network: neither
manifests that lie elsewhere nor the state of certificates.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Literal

from facewitness.metadata import generators, jumbf, shown

TRUSTED_AS_OF = "2026-09-24"  # of c2pa_trust.pem
Outcome = Literal["valid", "unknown", "invalid", "absent", "unchecked"]
_OTHER = "the picture is not the one that was signed, or was changed since"
_OTHER_FILM = "the film is not the one that was signed, or was changed since"
_EXTRA = "Try: pip install '.[c2pa]', from a clone of the repository"
_MEDIA = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif", "tiff": "image/tiff"}
_FILMS = {"mov": "video/mp4", "avi": "video/x-msvideo", "matroska": "video/x-matroska"}


@dataclass(frozen=True, slots=True)
class Claim:
    """What one manifest claims. Texts are data of a stranger."""

    generator: str = ""  # the program that wrote it
    assertions: tuple[tuple[str, Any], ...] = ()
    parents: tuple[str, ...] = ()  # labels of manifests of pictures that this one was made from
    components: tuple[str, ...] = ()  # of pictures that were put into it


@dataclass(frozen=True, slots=True)
class Credentials:
    """The outcome and what the manifests claim."""

    outcome: Outcome
    why: str = ""  # a sentence
    signer: str = ""
    fits: bool | None = None  # whether the manifest is about this very picture; None where that could not be told
    active: str = ""  # label of the manifest that speaks for the file
    claims: Mapping[str, Claim] = field(default_factory=dict)
    film: bool = False


def installed() -> bool:
    """Whether the extra `c2pa` is there."""
    try:
        import_module("c2pa")
    except (ImportError, OSError):  # a library for another machine
        return False
    return True


def check(content: bytes | BinaryIO, kind: str, manifest: bytes, anchors: str = "", unread: str = "") -> Credentials:
    """The outcome for a file.

    Args:
        content: the file's bytes; of a film the file, open for reading.
        kind: its format, as `container.split` names it.
        manifest: the JUMBF boxes that were found in it; empty for none.
        anchors: certificates (PEM) that are trusted besides the two lists.
        unread: why a manifest that is there was not read, as `container.split` says it; empty where none was left out.
    """
    film = kind in _FILMS or not isinstance(content, bytes)  # a GIF or WebP is read as one on request
    if unread:
        return Credentials("unchecked", unread)
    if not manifest:
        limit = "films" if film else "pictures"
        return Credentials("absent", f"The file holds no C2PA manifest. That proves nothing: most {limit} have none.")
    store = jumbf.read(manifest)
    claims = {one.label: _claim(one) for one in store.manifests}
    active = store.manifests[-1].label if store.manifests else ""
    if not store.manifests:
        why = " ".join(store.left_out) or "The boxes for a C2PA manifest hold none."
        return Credentials("invalid", f"The file's C2PA manifest cannot be read. {why}")
    if not installed():
        fits = jumbf.fits(content, manifest, store.manifests[-1]) if isinstance(content, bytes) else None
        if fits is False:
            why = f"The file holds a C2PA manifest that does not hold: {_OTHER}. What it claims does not count."
            return Credentials("invalid", why, "", False, active, claims)
        why = f"The file holds a C2PA manifest; its signature is not checked without the extra c2pa. {_EXTRA}"
        return Credentials("unchecked", why, "", fits, active, claims, film)
    return _checked(content, kind, anchors, active, claims)


def _checked(
    content: bytes | BinaryIO, kind: str, anchors: str, active: str, claims: Mapping[str, Claim]
) -> Credentials:
    c2pa, film = import_module("c2pa"), kind in _FILMS
    context = c2pa.Context.from_dict(
        {
            "trust": {"user_anchors": trusted() + anchors},
            "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
        }
    )
    try:
        stream = io.BytesIO(content) if isinstance(content, bytes) else content
        stream.seek(0)
        reader = c2pa.Reader({**_MEDIA, **_FILMS}.get(kind), stream, context=context)
        with reader:
            state, value, failures = reader.get_validation_state(), json.loads(reader.json()), _failures(reader, film)
    except c2pa.C2paError.ManifestNotFound:
        # what our walk found and the library does not is no manifest of this file
        return Credentials("invalid", "The boxes for a C2PA manifest hold none that belongs to this file.")
    except c2pa.C2paError as error:
        why = f"The file holds a C2PA manifest that the library cannot read: {shown(str(error), 160)}."
        return Credentials("invalid", why, "", None, active, claims)
    active = str(value.get("active_manifest", ""))
    claims = {label: _claim_of_json(one) for label, one in value.get("manifests", {}).items()}
    signature = value.get("manifests", {}).get(active, {}).get("signature_info", {})
    names = [signature.get(key) for key in ("common_name", "issuer")]
    signer = shown(", ".join(name for name in names if isinstance(name, str) and name))
    if state == "Trusted":
        why = f"The file holds a valid C2PA manifest, signed by {signer}, who is on a trust list (of {TRUSTED_AS_OF})."
        return Credentials("valid", why, signer, True, active, claims, film)
    if state == "Valid":
        why = (
            f"The file holds a C2PA manifest that fits it, signed by {signer}. The signer is on no trust list here "
            f"(of {TRUSTED_AS_OF}): anyone can make such a signature."
        )
        return Credentials("unknown", why, signer, True, active, claims, film)
    why = f"The file holds a C2PA manifest that does not hold: {failures}. What it claims does not count."
    return Credentials("invalid", why, signer, None, active, claims)


# C2PA 2.1, 15.2.2: code → words
_FAILURES = {
    "assertion.dataHash.mismatch": _OTHER,
    "assertion.bmffHash.mismatch": _OTHER,
    "assertion.boxesHash.mismatch": _OTHER,
    "assertion.hashedURI.mismatch": "one of its statements was changed",
    "claimSignature.mismatch": "the signature is wrong",
    "claimSignature.outsideValidity": "it was signed when the certificate was not valid",
    "signingCredential.invalid": "the signer's certificate is not fit for this",
    "signingCredential.expired": "the signer's certificate had expired",
    "signingCredential.revoked": "the signer's certificate was taken back",
    "signingCredential.ocsp.revoked": "the signer's certificate was taken back",
}


def _failures(reader: Any, film: bool) -> str:
    results = reader.get_validation_results() or {}
    codes = [entry.get("code", "") for entry in results.get("activeManifest", {}).get("failure", [])]
    codes += [
        entry.get("code", "")
        for delta in results.get("ingredientDeltas", [])
        for entry in delta.get("validationDeltas", {}).get("failure", [])
    ]
    words = dict.fromkeys(
        _FAILURES.get(code, f"check {shown(code)} failed") for code in codes if "untrusted" not in code
    )
    outcome = "; ".join(list(words)[:3]) or "it is damaged"
    return outcome.replace(_OTHER, _OTHER_FILM) if film else outcome


@cache
def trusted() -> str:
    """Our trust list: PEM certificates."""
    return Path(__file__).with_name("c2pa_trust.pem").read_text(encoding="utf-8") + "\n"


# ----------------------------------------------------------------------------------------------------------- claims


def _claim(manifest: jumbf.Manifest) -> Claim:
    """As our own reader found it."""
    info = manifest.claim.get("claim_generator_info")
    parents: list[str] = []
    components: list[str] = []
    for label, value in manifest.assertions:
        if label.startswith("c2pa.ingredient") and isinstance(value, dict):
            reference = value.get("activeManifest") or value.get("c2pa_manifest")
            url = reference.get("url") if isinstance(reference, dict) else None
            if isinstance(url, str):
                target = url.rpartition("/c2pa/")[2].strip("/")
                (parents if value.get("relationship") == "parentOf" else components).append(target)
    generator = _generator(info) or str(manifest.claim.get("claim_generator", ""))
    return Claim(generator, tuple(manifest.assertions), tuple(parents), tuple(components))


def _claim_of_json(value: Mapping[str, Any]) -> Claim:
    """As the library gives it."""
    assertions = tuple((str(one.get("label", "")), one.get("data")) for one in value.get("assertions", []))
    parents: list[str] = []
    components: list[str] = []
    for ingredient in value.get("ingredients", []):
        if label := ingredient.get("active_manifest"):
            (parents if ingredient.get("relationship") == "parentOf" else components).append(str(label))
    generator = _generator(value.get("claim_generator_info")) or str(value.get("claim_generator") or "")
    return Claim(generator, assertions, tuple(parents), tuple(components))


def _generator(info: Any) -> str:
    first = info[0] if isinstance(info, list) and info else info
    if not isinstance(first, dict):
        return ""
    return " ".join(str(first[key]) for key in ("name", "version") if first.get(key))


def traces(credentials: Credentials) -> list[generators.Trace]:
    """What the manifests say of generators.

    Those of an invalid manifest are not told; those of one that may be about another picture decide nothing.

    Args:
        credentials: Of the file.
    """
    traces_so_far: list[generators.Trace] = []
    signed = {
        "valid": f"It is signed by {credentials.signer}.",
        "unknown": f"Nobody known here signed it. {generators.WRITABLE}",
        "unchecked": f"The signature was not checked. {generators.WRITABLE}",
    }.get(credentials.outcome)
    if signed is None:
        return traces_so_far
    for label, whole in _reached(credentials):
        for trace in _of_claim(credentials.claims[label], signed, whole, credentials):
            if trace not in traces_so_far and len(traces_so_far) < 16:
                traces_so_far.append(trace)
    return traces_so_far


def _reached(credentials: Credentials) -> list[tuple[str, bool]]:
    """(label, whether what it says is true of the whole picture) of the active manifest and those it rests on."""
    reached: dict[str, bool] = {}
    open_ = [(credentials.active, True)]
    while open_ and len(reached) < 64:
        label, whole = open_.pop(0)
        claim = credentials.claims.get(label)
        if claim is None or label in reached:
            continue
        reached[label] = whole
        open_ += [(parent, whole) for parent in claim.parents] + [(part, False) for part in claim.components]
    return list(reached.items())


def _of_claim(claim: Claim, signed: str, whole: bool, of: Credentials) -> list[generators.Trace]:
    traces_of_claim = []
    this, another = ("this film", "a film or picture") if of.film else ("this picture", "a picture")
    for action in _actions(claim):
        kind = action.get("digitalSourceType")
        known = generators.source_type(kind) if isinstance(kind, str) else None
        if known is None:
            continue
        name, meaning, generated = known
        agent = action.get("softwareAgent")
        agent = agent.get("name") if isinstance(agent, dict) else agent
        by = f" with {shown(str(agent))}" if agent else f" with {shown(claim.generator)}" if claim.generator else ""
        # made by a model as its first act; an edit that adds something generated is a part
        first = action.get("action") == "c2pa.created"
        about = this if whole else f"{another} that was put into this one"
        text = f"The C2PA manifest says of {about}{by}: {meaning} (“{name}”). {signed}"
        decides = generated is True and first and whole and of.fits is True
        traces_of_claim.append(generators.Trace(f"C2PA {name}", text, decides))
    for label, value in claim.assertions:
        if label.startswith("c2pa.soft-binding") and isinstance(value, dict):
            name = shown(str(value.get("alg", "")))
            text = (
                f"The C2PA manifest names a soft binding, {name}: a mark in the pixels by which it can be found again."
            )
            traces_of_claim.append(
                generators.Trace("soft binding", text + " The mark itself was not looked for.", False)
            )
    return traces_of_claim


def _actions(claim: Claim) -> list[dict[str, Any]]:
    actions: list[dict[str, Any]] = []
    for label, value in claim.assertions:
        if label.startswith("c2pa.actions") and isinstance(value, dict):
            listed = value.get("actions")
            actions += [one for one in (listed if isinstance(listed, list) else [])[:64] if isinstance(one, dict)]
    return actions
