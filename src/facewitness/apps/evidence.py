"""`facewitness case`, `bundle` and `verify`: what an examiner adds, evidence that travels, whether it still holds."""

from __future__ import annotations

import argparse
import getpass
import itertools
import os
import sys
from pathlib import Path
from typing import Any

from facewitness.apps._words import ALL, NONE, SOME, add_system, complain, shown, size, system, writes
from facewitness.errors import InputError, MissingExtra, ReportError
from facewitness.files import is_there, read_bounded, write_whole

_CASE = """Print a case file to fill in: the exhibit, who asked, what was asked. Reports with --case carry it.

examples:
  facewitness case > case.toml
  facewitness analyze photo.jpg --case case.toml --format pdf --out reports"""

_BUNDLE = """Put a report and all that belongs to it into one ZIP that others can check: pages, crops, masks, hashes
of the weights and of every file. The original is named by its hash, and goes along only with --with-original.

examples:
  facewitness analyze photo.jpg --lines report.jsonl
  facewitness bundle report.jsonl --out evidence.zip
  facewitness bundle report.jsonl --case case.toml --with-original --sign minisign.key
  facewitness verify evidence.zip --file photo.jpg --key minisign.pub"""

_VERIFY = """Check a bundle: whole, signed by whom, pages that say what the report says, and the same when the original
is analysed again. Nothing in it is run or unpacked; of what it was made with, only parts on a closed list are used.

examples:
  facewitness verify evidence.zip --file photo.jpg
  facewitness verify evidence.zip --key minisign.pub
  facewitness verify evidence.zip --witness compact --option compact.model=mine.onnx --profile mine.json"""

_EXIT = """exit status:
  0  everything holds
  1  something does not, or it is no bundle
  2  the command was wrong
  3  nothing contradicts it, and not everything could be checked"""

_MOST_KEY = 100_000  # bytes of a key, a signature
PASSWORD = "FACEWITNESS_KEY_PASSWORD"


def add_to(commands: Any) -> None:
    """Add the three commands to the top parser's sub-commands."""
    case = commands.add_parser("case", help="print a case file to fill in", description=_CASE)
    case.set_defaults(run=_case)

    bundle = commands.add_parser("bundle", help="pack a report so that others can check it", description=_BUNDLE)
    bundle.set_defaults(run=_bundle)
    bundle.add_argument("report", type=Path, metavar="REPORT", help="one JSON report, as analyze writes it")
    writes(bundle, "--out", metavar="ZIP", help="the bundle (REPORT with the ending .zip)")
    bundle.add_argument(
        "--file", type=Path, metavar="FILE", help="the file that was analysed (the report's own source)"
    )
    bundle.add_argument("--with-original", action="store_true", help="put that file in, too")
    bundle.add_argument("--case", type=Path, metavar="TOML", help="a case file, in place of the report's own")
    bundle.add_argument("--sign", type=Path, metavar="KEY", help="sign with this minisign secret key")
    bundle.add_argument("--comment", default="", metavar="TEXT", help="who signs what, inside the signature")

    verify = commands.add_parser("verify", help="check a bundle", description=_VERIFY, epilog=_EXIT)
    verify.set_defaults(run=_verify)
    verify.add_argument("bundle", type=Path, metavar="ZIP")
    verify.add_argument("--file", type=Path, metavar="FILE", help="the file that was analysed")
    verify.add_argument("--key", metavar="KEY", help="a trusted minisign public key: its file, or its line")
    verify.add_argument(
        "--sigstore", type=Path, metavar="JSON", help="a sigstore bundle about the ZIP, checked offline"
    )
    verify.add_argument("--identity", metavar="WHO", help="who has to have signed by sigstore")
    verify.add_argument("--issuer", metavar="URL", help="who has to vouch for that identity")
    verify.add_argument(
        "--sigstore-root", type=Path, metavar="JSON", help="what a sigstore of your own trusts (the public one)"
    )
    verify.add_argument("--max-seconds", type=size, default=600.0, metavar="N", help="for the second analysis (600)")
    add_system(verify.add_argument_group("analyse again with other parts than the report names"), ())
    verify.set_defaults(finder=None)


def _case(arguments: argparse.Namespace) -> int:
    from facewitness.case import TEMPLATE

    print(TEMPLATE, end="")
    return ALL


def _read(path: Path, limit: int, what: str) -> bytes:
    try:
        return read_bounded(path, limit)
    except OSError as error:
        raise InputError(f"'{path}': expected {what}, and it cannot be read ({error.strerror or error}).") from error


def _bundle(arguments: argparse.Namespace) -> int:
    from facewitness import case as cases
    from facewitness import media
    from facewitness.formats import bundle as leaf
    from facewitness.formats import json as wire

    lines = [line for line in _read(arguments.report, leaf.MOST_BYTES, "a JSON report").split(b"\n") if line.strip()]
    if len(lines) != 1:
        raise InputError(
            f"'{arguments.report}': expected one report, got {len(lines)} lines. Take the line of one file: "
            "sed -n 3p reports.jsonl > one.json"
        )
    try:
        report = wire.parse(lines[0])
    except ReportError as error:
        raise ReportError(f"'{arguments.report}': {error}") from error
    if report.sha256 is None:
        raise InputError(f"'{arguments.report}': expected a report of a file, with its SHA-256, got one without.")
    if set(report.made_by) == {"fingerprint"}:
        raise InputError(
            f"'{arguments.report}': the line names how it was made by a fingerprint of an earlier line, and that line "
            "is not here. Write the report by itself: facewitness analyze --format json FILE"
        )
    if arguments.case is not None:
        report = cases.attached(cases.read(arguments.case), report)
    source, clip = arguments.file or Path(report.source), None
    if arguments.file is not None or media.file_of(source).is_file():
        from facewitness.verify import reading_of

        clip = media.read(source, name=report.source, **reading_of(report))
        if clip.sha256 != report.sha256:
            if arguments.file is not None:
                raise InputError(f"'{source}' is not the file of the report: expected the SHA-256 {report.sha256}.")
            clip = None
    if clip is None:
        complain("facewitness: the file itself is not here, so the bundle has no crops. Name it with --file FILE.")
    data = leaf.render(report, _with_content(clip, source), original=arguments.with_original)
    if arguments.sign is not None:
        data = _signed(data, arguments.sign, arguments.comment or f"facewitness bundle of {shown(source.name)}")
    out = arguments.out or arguments.report.with_suffix(".zip")
    if is_there(out) and is_there(source) and out.samefile(source):
        raise InputError(
            f"'{out}': expected a bundle's name to write to, got the file of the report. Name another one."
        )
    write_whole(out, data)
    kinds = ", ".join(sorted({name.partition("/")[0] for name in leaf.read(data).files}))
    print(f"{shown(out)}: {len(data) / 1e6:.1f} MB: {kinds}")
    return ALL


def _with_content(clip: Any, source: Path) -> Any:
    """The clip with its file's bytes: a film does not hold them."""
    import dataclasses

    from facewitness.formats import bundle as leaf

    if clip is None or clip.content is not None:
        return clip
    return dataclasses.replace(clip, content=_read(source, leaf.MOST_BYTES, "the original"))


def _signed(data: bytes, key: Path, comment: str) -> bytes:
    from facewitness.formats import bundle as leaf

    try:
        import minisign
    except ImportError as error:
        raise MissingExtra("Signing needs: pip install '.[sign]', from a clone of the repository") from error
    content = _read(key, _MOST_KEY, "a minisign secret key")
    try:
        with minisign.SecretKey.from_bytes(content) as secret:
            if secret.is_encrypted():
                secret.decrypt(_password(key))
            return leaf.signed(data, secret, " ".join(comment.split()))
    except (minisign.Error, ValueError) as error:
        raise InputError(f"'{key}': expected a minisign secret key and its password ({error}).") from error


def _password(key: Path) -> str:
    given = os.environ.get(PASSWORD)
    if given is not None:
        return given
    if not sys.stdin or not sys.stdin.isatty():
        raise InputError(f"'{key}' has a password: expected it in the variable {PASSWORD}, got none.")
    return getpass.getpass(f"Password of {shown(key)}: ")


def _verify(arguments: argparse.Namespace) -> int:
    from facewitness.formats import bundle as leaf
    from facewitness.verify import verify

    chosen = arguments.finder or arguments.witness or arguments.option or arguments.profile
    if chosen:
        arguments.asked = ("compact", "provenance")
        arguments.finder = arguments.finder or "facemesh"
    checks = verify(
        _read(arguments.bundle, leaf.MOST_BYTES, "a bundle"),
        original=None if arguments.file is None else _read(arguments.file, leaf.MOST_BYTES, "the original"),
        key=_key(arguments.key),
        sigstore=None if arguments.sigstore is None else _read(arguments.sigstore, 10_000_000, "a sigstore bundle"),
        identity=arguments.identity,
        issuer=arguments.issuer,
        sigstore_root=None
        if arguments.sigstore_root is None
        else _read(arguments.sigstore_root, 10_000_000, "a trusted root"),
        options=system(arguments) if chosen else None,
        seconds=arguments.max_seconds,
    )
    try:
        first = next(checks)
    except InputError as error:  # it is no bundle, or a damaged one: the command was right
        complain(f"facewitness: '{arguments.bundle}': {error}")
        return NONE
    holds: list[bool | None] = []
    for check in itertools.chain([first], checks):
        if check.name != "signature" or arguments.key is not None:  # nobody asked who signed
            holds.append(check.holds)
        word = {True: "holds", False: "DOES NOT HOLD", None: "not checked"}[check.holds]
        print(shown(f"{check.name:<16} {word:<14} {check.words}"), flush=True)
    if False in holds:
        print("This bundle does not hold.")
        return NONE
    if None in holds:
        print("Nothing contradicts this bundle, and not everything could be checked.")
        return SOME
    print("This bundle holds.")
    return ALL


def _key(text: str | None) -> bytes | None:
    if text is None:
        return None
    path = Path(text)
    return _read(path, _MOST_KEY, "a minisign public key") if len(text) < 1000 and path.is_file() else text.encode()
