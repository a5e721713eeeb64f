"""A bundle goes in, and what of it holds comes out: whole, signed by whom, and the same when it is analysed again.

    for check in verify(Path("two.zip").read_bytes()): print(check.holds, check.name, check.words)

Each check holds, does not, or could not be made (None) and says why. A bundle's own words are not obeyed: what it was
made with is run again only with parts and options from a closed table, within limits that are ours, and its tolerance
counts only where it is stricter. A valid signature says who vouches for a bundle, not that the analysis is right.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from facewitness import film, media, plugins
from facewitness.errors import FacewitnessError, InputError, MissingExtra, UnknownName
from facewitness.judge import Limits
from facewitness.phrases import is_film, listed, someone, visible
from facewitness.pool import Pool
from facewitness.types import Analysis, Clip, Finding, Mask, PersonReport, Report, Testimony, Verdict

SECONDS = 600.0  # for the second analysis
_FINDERS = ("facemesh", "whole")
_WITNESSES = ("compact", "provenance", "temporal")  # that neither load a stranger's model nor ask a server
_TEXTS = {("compact", "views")}  # options that may be texts; all others are numbers, yes or no
_LIMITS = {
    "max_pixels": max(media.MAX_PIXELS, film.MAX_PIXELS),
    "max_bytes": max(media.MAX_BYTES, film.MAX_BYTES),
    "max_memory": media.MAX_MEMORY,
    "max_seconds": film.MAX_SECONDS,
}
_MOST_WORDED = 10_000  # names and texts of a report whose pages are made again: a thousand take up to half a second
_DRAWN = ("masks", "faces", "timeline", "series")  # of a report: what pages draw, and no text of theirs is
_SAMPLING = ("frames", "fps", "scenes", "every", "start", "end")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    holds: bool | None  # None where it could not be looked at
    words: str


def verify(
    data: bytes,
    *,
    original: bytes | None = None,
    key: bytes | None = None,
    sigstore: bytes | None = None,
    identity: str | None = None,
    issuer: str | None = None,
    sigstore_root: bytes | None = None,
    options: Mapping[str, Any] | None = None,
    seconds: float = SECONDS,
) -> Iterator[Check]:
    """Checks of a bundle, as they are made.

    Args:
        data: the bundle's bytes.
        original: the file that was analysed, where the bundle does not hold it.
        key: a minisign public key that is trusted: its file's bytes, or its line.
        sigstore: a sigstore bundle (JSON) about these bytes; it is verified without the network.
        identity: who has to have signed by sigstore, such as an e-mail address.
        issuer: who has to have vouched for that identity.
        sigstore_root: the trusted root (JSON) of another sigstore than the public one.
        options: keyword arguments of `Analyzer` to analyse again with, in place of what the report names.
        seconds: how long that may take.

    Raises:
        InputError: it is no bundle, or a key is none.
        MissingExtra: a signature has to be checked, and its library is not installed.
    """
    leaf = plugins.get("formats", "bundle")
    bundle = leaf.read(data)
    yield _whole(bundle, leaf)
    yield _signature(bundle, leaf, key)
    if sigstore is not None:
        yield _by_sigstore(data, sigstore, identity, issuer, sigstore_root)
    try:
        report: Report = plugins.get("formats", "json").parse(bundle.files["report.json"])
    except KeyError:
        yield Check("report", False, "report.json is missing.")
        return
    except FacewitnessError as error:
        yield Check("report", False, f"report.json cannot be read. {error}")
        return
    named = bundle.manifest["original"].get("sha256")
    if named != report.sha256:
        yield Check("report", False, f"The manifest names the original {named}, the report {report.sha256}.")
    else:
        yield Check("report", True, "The report follows its format and names the same original as the manifest.")
    content, check = _original(bundle, report, original)
    yield check
    clip = _clip(content, report)
    yield _pages(bundle, leaf, report, clip)
    yield from _again(report, content, _tolerance(bundle, leaf), options, seconds)


# ------------------------------------------------------------------------------------------- the bytes, and who signed


def _whole(bundle: Any, leaf: Any) -> Check:
    wrong = []
    beside = (leaf.MANIFEST, leaf.SIGNATURE)
    for path, (size, digest) in bundle.listed.items():
        content = bundle.files.get(path)
        if content is None:
            wrong.append(f"{visible(path)[:100]} is missing")
        elif len(content) != size or hashlib.sha256(content).hexdigest() != digest:
            wrong.append(f"{path} has other bytes")
    wrong += [
        f"{path} is not in the manifest" for path in bundle.files if path not in bundle.listed and path not in beside
    ]
    if wrong:
        return Check("files", False, f"Against the manifest: {listed(wrong[:10])}{' …' if len(wrong) > 10 else ''}.")
    return Check("files", True, f"All {len(bundle.listed)} files have the sizes and hashes of the manifest.")


def _signature(bundle: Any, leaf: Any, key: bytes | None) -> Check:
    signature = bundle.files.get(leaf.SIGNATURE)
    if signature is None:
        words = "The bundle is not signed: the hashes show damage, not whether somebody made another bundle."
        return Check("signature", None if key is None else False, words if key is None else "The bundle is not signed.")
    try:
        import minisign
    except ImportError as error:
        if key is None:
            return Check(
                "signature",
                None,
                "It is signed. To check by whom: pip install '.[sign]', from a clone of the repository.",
            )
        raise MissingExtra("minisign signatures need: pip install '.[sign]', from a clone of the repository") from error
    try:
        read = minisign.Signature.from_bytes(signature)
    except (minisign.Error, ValueError) as error:
        return Check("signature", False, f"{leaf.SIGNATURE} is no minisign signature ({error}).")
    if key is None:
        who = visible(read.trusted_comment)[:200]
        return Check("signature", None, f"It is signed, and says '{who}'; whether that is so, --key PUBLIC-KEY tells.")
    try:
        trusted = _public_key(key)
        trusted.verify(bundle.files[leaf.MANIFEST], read)
    except minisign.VerifyError as error:
        return Check("signature", False, f"The manifest was not signed with this key ({error}).")
    return Check("signature", True, f"The manifest was signed with this key: '{visible(read.trusted_comment)[:200]}'.")


def _public_key(key: bytes) -> Any:
    import minisign

    try:
        return (
            minisign.PublicKey.from_bytes(key) if b"\n" in key.strip() else minisign.PublicKey.from_base64(key.strip())
        )
    except (minisign.Error, ValueError) as error:
        raise InputError(f"Expected a minisign public key (minisign.pub, or its line), got none ({error}).") from error


def _by_sigstore(data: bytes, made: bytes, identity: str | None, issuer: str | None, root: bytes | None) -> Check:
    if not identity or not issuer:
        raise InputError("A sigstore bundle says who signed only by name: give --identity and --issuer, too.")
    try:
        from sigstore.errors import Error
        from sigstore.models import Bundle, TrustedRoot
        from sigstore.verify import Verifier, policy
    except ImportError as error:
        raise MissingExtra(
            "sigstore bundles need: pip install '.[sigstore]', from a clone of the repository"
        ) from error
    try:
        if root is None:
            verifier = Verifier.production(offline=True)
        else:
            with tempfile.TemporaryDirectory() as folder:  # the library reads it from a file alone
                path = Path(folder, "root.json")
                path.write_bytes(root)
                verifier = Verifier(trusted_root=TrustedRoot.from_file(str(path)))
    except (Error, ValueError) as error:
        why = visible(" ".join(str(error).split()))[:200]
        raise InputError(f"--sigstore-root: expected a trusted root as sigstore has them ({why}).") from error
    try:
        who = policy.Identity(identity=identity, issuer=issuer)
        verifier.verify_artifact(data, Bundle.from_json(made), who)
    except (Error, ValueError) as error:
        why = visible(" ".join(str(error).split()))[:200]
        return Check("sigstore", False, f"These bytes were not signed by {visible(identity)} ({why}).")
    return Check(
        "sigstore", True, f"Signed by {visible(identity)}, for whom {visible(issuer)} vouches; checked offline."
    )


# ----------------------------------------------------------------------------------------------- original and pages


def _original(bundle: Any, report: Report, given: bytes | None) -> tuple[bytes | None, Check]:
    inside = next((content for path, content in bundle.files.items() if path.startswith("original/")), None)
    content = given if given is not None else inside
    if report.sha256 is None:
        return None, Check("original", None, "The report is of an array: no hash says which picture it was.")
    if content is None:
        return None, Check(
            "original", None, "The original is not in the bundle: give it with --file to go on from here."
        )
    if hashlib.sha256(content).hexdigest() != report.sha256:
        return None, Check("original", False, f"The original has another SHA-256 than the report, {report.sha256}.")
    return content, Check("original", True, "The original has the SHA-256 of the report.")


def _clip(content: bytes | None, report: Report) -> Clip | None:
    try:
        reading = _reading(report.made_by.get("reading"))
        return None if content is None else media.read(content, name=report.source, **reading)
    except FacewitnessError:
        return None  # the second analysis will say so


def _pages(bundle: Any, leaf: Any, report: Report, clip: Clip | None) -> Check:
    """Whether pages, crops and masks say what the report says: they are made again and compared."""
    worded = _texts(json.loads(bundle.files["report.json"]))
    if worded > _MOST_WORDED:
        words = f"The report has {worded:,} names and texts; pages are made again of {_MOST_WORDED:,} at most."
        return Check("pages", None, words)
    had = any(path.startswith("crops/") for path in bundle.files)
    if had and clip is None:
        return Check(
            "pages", None, "Pages and crops were not compared with the report: that takes the original, read as it was."
        )
    try:
        again = leaf.read(leaf.render(report, clip if had else None)).files
    except FacewitnessError as error:
        return Check("pages", None, f"Pages could not be made again. {error}")
    same, other, unlike = 0, [], []
    for path, content in bundle.files.items():
        if not path.startswith(("report.h", "report.p", "crops", "masks", "weights")):
            continue
        mine = again.get(path)
        if mine is not None and _alike(path, mine, content):
            same += 1
        elif (mine is None or path.endswith(".pdf")) and not _same_machine(bundle, leaf):
            unlike.append(path)
        else:
            other.append(path)
    other += [path for path in again if path.startswith(("crops/", "masks/")) and path not in bundle.files]
    if other:
        return Check("pages", False, f"Another report than this one gives {listed(sorted(other)[:10])}.")
    if unlike:
        words = f"{same} pages and pictures are those of the report; other versions here make another {listed(unlike)}."
        return Check("pages", None, words)
    return Check("pages", True, f"All {same} pages and pictures are those of the report.")


def _texts(value: Any) -> int:
    """How many names and texts a report holds that its pages write out."""
    if isinstance(value, dict):
        return sum(1 + _texts(each) for name, each in value.items() if name not in _DRAWN)
    return sum(map(_texts, value)) if isinstance(value, list) else int(isinstance(value, str))


def _alike(path: str, mine: bytes, theirs: bytes) -> bool:
    """Whether two files say the same: other versions of libraries pack the same pixels otherwise."""
    if mine == theirs:
        return True
    if path.endswith(".png"):
        return _same_pixels(mine, theirs)
    return path == "report.html" and _words(mine) == _words(theirs)


def _same_machine(bundle: Any, leaf: Any) -> bool:
    return bundle.files.get("environment.json") == leaf._json(leaf.environment())


def _same_pixels(one: bytes, other: bytes) -> bool:
    """Whether two PNGs show the same; the second is a stranger's."""
    try:
        media.check(other, "a picture of the bundle")
        mine, theirs = (media.read(each).frame.pixels for each in (one, other))
    except InputError:
        return False
    return mine.shape == theirs.shape and bool((mine == theirs).all())


def _words(page: bytes) -> bytes:
    """A page without its pictures and without what says the hash of its style and script."""
    return re.sub(rb'data:image/[a-z]+;base64,[^"]*', b"", page)


# ------------------------------------------------------------------------------------------------- the second analysis


def _tolerance(bundle: Any, leaf: Any) -> dict[str, float]:
    """The bundle's tolerance where it is stricter than ours."""
    given = bundle.manifest.get("tolerance")
    given = given if isinstance(given, Mapping) else {}
    return {
        name: min(limit, float(value)) if isinstance(value := given.get(name), int | float) and value >= 0 else limit
        for name, limit in leaf.TOLERANCE.items()
    }


def _again(
    report: Report,
    content: bytes | None,
    tolerance: Mapping[str, float],
    options: Mapping[str, Any] | None,
    seconds: float,
) -> Iterator[Check]:
    name = "second analysis"
    if content is None:
        yield Check(name, None, "Not made: it takes the original.")
        return
    try:
        made = dict(options) if options else settings_of(report.made_by)
    except InputError as error:
        yield Check(name, None, f"Not made: {error}")
        return
    try:
        with Pool(1, then=_as_it_travels, seconds=seconds, **made) as pool:
            second = pool.submit(content).result()
    except (MissingExtra, UnknownName, FacewitnessError, TypeError) as error:
        yield Check(name, None, f"It could not be made here. {error}")
        return
    leaf = plugins.get("formats", "bundle")
    mine, theirs = leaf.weights(second.made_by), leaf.weights(report.made_by)
    other = sorted(part for part in mine.keys() | theirs.keys() if mine.get(part) != theirs.get(part))
    words = f"Other weights are installed here: {visible(listed(other))}." if other else "The same weights are here."
    yield Check("weights", not other, words)
    differing = list(differences(report, second, tolerance))
    within = f"score ± {tolerance['score']:g}, box ± {tolerance['box']:g} px, mask ± {tolerance['mask']:g}"
    within += f", log-odds of places painted over ± {tolerance['moves']:g}"
    if differing:
        more = f" and {len(differing) - 8} more" if len(differing) > 8 else ""
        yield Check(name, False, f"It differs: {'; '.join(differing[:8])}{more}. Tolerance: {within}.")
    else:
        yield Check(name, True, f"It says the same, within the tolerance ({within}).")


def _as_it_travels(analysis: Analysis) -> Report:
    """The report as it comes from the wire, with masks rounded as the first one's were."""
    wire = plugins.get("formats", "json")
    parsed: Report = wire.parse(wire.render(analysis.report))
    return parsed


def settings_of(made_by: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of `Analyzer` that a report names, as far as they come from the closed table.

    Args:
        made_by: Of a report.

    Returns:
        Name → value.

    Raises:
        InputError: a part or an option is none that a stranger's report may choose; says how to choose it yourself.
    """
    finder, witnesses = made_by.get("finder"), made_by.get("witnesses")
    if not isinstance(finder, Mapping) or not isinstance(witnesses, list | tuple) or not witnesses:
        raise InputError("the report does not say what it was made with.")
    if made_by.get("profile") is not None:
        raise InputError("it was judged by a profile of somebody's own; give that with --profile.")
    options: dict[str, dict[str, Any]] = {}
    names = []
    for part, known in ((finder, _FINDERS), *((each, _WITNESSES) for each in witnesses)):
        name = part.get("name") if isinstance(part, Mapping) else None
        if name not in known or part.get("package") is not None:
            shown = visible(str(name))[:60]
            raise InputError(
                f"'{shown}' is not among the parts that a bundle may choose ({listed(known)}); name the parts yourself "
                "with --finder, --witness and --option."
            )
        names.append(name)
        given = part.get("options")
        for key, value in (given if isinstance(given, Mapping) else {}).items():
            text = isinstance(value, str) and (name, key) in _TEXTS and value.isidentifier()
            if not (value is None or isinstance(value, bool | int | float) or text):
                raise InputError(f"the option {name}.{visible(str(key))[:40]} is one that you have to give yourself.")
            if value is not None:
                options.setdefault(name, {})[str(key)] = value
    limits = made_by.get("limits")
    numbers = {
        field.name: limits[field.name]
        for field in fields(Limits)
        if isinstance(limits, Mapping) and field.name in limits
    }
    if not all(value is None or isinstance(value, int | float) for value in numbers.values()):
        raise InputError("the report's limits are no numbers.")
    if "steepness" in numbers:  # a report of when one number stood for both thresholds
        numbers.setdefault("steepness_fake", numbers["steepness"])
    return {
        "finder": names[0],
        "witnesses": tuple(names[1:]),
        "options": options,
        "limits": Limits(**numbers),
        "reading": _reading(made_by.get("reading")),
    }


def reading_of(report: Report) -> dict[str, Any]:
    """The keyword arguments of `media.read` that a report was made with, within our own limits.

    Args:
        report: A report that somebody else made.

    Returns:
        Name → value.

    Raises:
        InputError: It names a setting that is none of ours.
    """
    return _reading(report.made_by.get("reading"))


def _reading(given: Any) -> dict[str, Any]:
    """What a report says of how the file was read, never beyond our own limits."""
    reading: dict[str, Any] = {}
    for key, value in (given if isinstance(given, Mapping) else {}).items():
        if key in _LIMITS and isinstance(value, int | float) and value > 0:
            bound = min(value, _LIMITS[key])
            reading[key] = bound if key == "max_seconds" else int(bound)
        elif key == "as_film" and isinstance(value, bool):
            reading[key] = value
        elif key == "sampling" and isinstance(value, Mapping):
            reading[key] = {k: v for k, v in value.items() if k in _SAMPLING and isinstance(v, bool | int | float)}
        else:
            raise InputError(f"the report was made with {visible(str(key))[:40]}, which is not known here.")
    return reading


# ---------------------------------------------------------------------------------------------------- what differs


def differences(first: Report, second: Report, tolerance: Mapping[str, float]) -> Iterator[str]:
    """Sentences on what two reports of one file do not say alike, without full stops; none where they agree.

    What depends on the machine (names of files, versions) is not compared.

    Args:
        first: One report.
        second: Another one of the same file.
        tolerance: Name of a measure → by how much it may differ.
    """
    if first.status != second.status:
        yield f"the first was {first.status}, the second {second.status}"
        return
    if first.size != second.size:
        yield f"the picture had {first.size}, now {second.size}"
    film, before = is_film(first), len(first.people)
    if before != len(second.people):
        yield f"there were {before} {someone(film, before)}, now {len(second.people)}"
        return
    yield from _verdicts("the picture", first.verdict, second.verdict, tolerance)
    one, other = ([f.claim for f in report.findings] for report in (first, second))
    if one != other:
        yield "the file itself says something else"
    for number, (mine, theirs) in enumerate(zip(first.people, second.people, strict=True), start=1):
        yield from _people(f"{someone(film)} {number}", mine, theirs, tolerance)


def _people(name: str, one: PersonReport, other: PersonReport, tolerance: Mapping[str, float]) -> Iterator[str]:
    yield from _verdicts(name, one.verdict, other.verdict, tolerance)
    if len(one.track.faces) != len(other.track.faces):
        yield f"{name} is seen in {len(one.track.faces)} frames, now in {len(other.track.faces)}"
    elif _far(one.face.box, other.face.box, tolerance["box"]):
        yield f"{name} lies elsewhere"
    if [moment.at.index for moment in one.timeline] != [moment.at.index for moment in other.timeline]:
        yield f"{name} was judged at other moments"
    elif any(_apart(a.fake, b.fake, tolerance) for a, b in zip(one.timeline, other.timeline, strict=True)):
        yield f"{name} has other probabilities over time"
    if one.face.unseen != other.face.unseen:
        yield f"{name} is covered elsewhere"
    if _masks(one.mask, other.mask, tolerance):
        yield f"{name} has another mask"
    mine, theirs = ([_finding(f) for f in person.findings] for person in (one, other))
    if mine != theirs:
        yield f"{name} has other findings"
    elif any(
        _far(a.box, b.box, tolerance["box"])
        or _apart(a.strength, b.strength, tolerance)
        or _masks(a.mask, b.mask, tolerance)
        for a, b in zip(one.findings, other.findings, strict=True)
    ):
        yield f"{name} has findings of another strength or place"
    elif _moved(one.findings, other.findings, tolerance):
        yield f"{name} has findings on which the score rests otherwise"
    if [s.findings for s in one.explanation] != [s.findings for s in other.explanation]:
        yield f"{name} is explained by other findings"
    if one.kind is not None and other.kind is not None:
        if any(_apart(one.kind[kind], other.kind[kind], tolerance) for kind in one.kind):
            yield f"{name} has another kind of picture"
    elif one.kind is not other.kind:
        yield f"{name} has another kind of picture"


def _verdicts(name: str, one: Verdict | None, other: Verdict | None, tolerance: Mapping[str, float]) -> Iterator[str]:
    if one is None or other is None:
        if one is not other:
            yield f"{name} has a verdict in one of the two"
        return
    if one.label != other.label or one.cause != other.cause:
        yield f"{name} was {one.label}, now {other.label}"
    for what, mine, theirs in (
        ("probability", (one.fake,), (other.fake,)),
        ("interval", one.interval or (None,), other.interval or (None,)),
        ("threshold", one.thresholds or (None,), other.thresholds or (None,)),
    ):
        if len(mine) != len(theirs) or any(_apart(a, b, tolerance) for a, b in zip(mine, theirs, strict=True)):
            yield f"{name}: {what} {_shown(mine)}, now {_shown(theirs)}"
    first, second = ({t.witness: t for t in verdict.testimonies} for verdict in (one, other))
    if first.keys() != second.keys():
        yield f"{name} was judged by {visible(listed(first))}, now by {visible(listed(second))}"
        return
    for witness in first:
        yield from _testimonies(f"{name}, {visible(witness)}", first[witness], second[witness], tolerance)


def _testimonies(name: str, one: Testimony, other: Testimony, tolerance: Mapping[str, float]) -> Iterator[str]:
    if _apart(one.fake, other.fake, tolerance):
        yield f"{name}: score {_shown((one.fake,))}, now {_shown((other.fake,))}"
    if _viewed(one.views, other.views, tolerance):
        yield f"{name}: single views say something else"
    if _masks(one.mask, other.mask, tolerance):
        yield f"{name}: another mask"
    if _moved(one.findings, other.findings, tolerance):
        yield f"{name}: painted over, its places move the score otherwise"
    if (one.reply and one.reply.text) != (other.reply and other.reply.text):
        yield f"{name}: other words"


def _finding(finding: Finding) -> tuple[object, ...]:
    return finding.claim, tuple(place.region for place in finding.places)


def _moved(one: Sequence[Finding], other: Sequence[Finding], tolerance: Mapping[str, float]) -> bool:
    """Whether painting places over did something else; findings that are others are told elsewhere."""
    return any(
        a.moves is not b.moves if a.moves is None or b.moves is None else abs(a.moves - b.moves) > tolerance["moves"]
        for a, b in zip(one, other, strict=False)
    )


def _viewed(one: Mapping[str, float] | None, other: Mapping[str, float] | None, tolerance: Mapping[str, float]) -> bool:
    """Whether single views had other scores, or others were looked at."""
    mine, theirs = one or {}, other or {}
    return mine.keys() != theirs.keys() or any(_apart(mine[view], theirs[view], tolerance) for view in mine)


def _apart(one: float | None, other: float | None, tolerance: Mapping[str, float]) -> bool:
    if one is None or other is None:
        return one is not other
    return abs(one - other) > tolerance["score"]


def _far(one: tuple[float, ...], other: tuple[float, ...], limit: float) -> bool:
    return any(abs(a - b) > limit for a, b in zip(one, other, strict=True))


def _masks(one: Mask | None, other: Mask | None, tolerance: Mapping[str, float]) -> bool:
    if one is None or other is None:
        return one is not other
    if one.values.shape != other.values.shape or _far(one.box, other.box, tolerance["box"]):
        return True
    return float(np.abs(one.values - other.values).mean()) > tolerance["mask"]


def _shown(values: tuple[float | None, ...]) -> str:
    return " to ".join("not measured" if value is None else f"{value:.4f}" for value in values)
