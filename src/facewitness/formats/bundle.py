"""Evidence that travels: one ZIP with the report, its pages, crops, masks and hashes, which anyone can check elsewhere.

    report.json  report.html  report.pdf      the last where the extra `pdf` is there
    crops/face-1.png                          each face's pixels as they were examined, lossless, a quarter around it
    masks/face-1.png  masks/1a.png            grey, 255 is 1; crops.json says where crops and masks lie on the picture
    weights.json  environment.json            by what it was made
    original/…                                the file itself, only where that was asked for
    manifest.json                             every file with its size and SHA-256, and the original's hash
    manifest.json.minisig                     a minisign signature of the manifest, where somebody signed

The same report and picture give the same bytes on the same machine. `read` takes a bundle from a stranger: nothing is
unpacked to disk, and what is no plain, bounded archive of these files is refused. Checking is `facewitness.verify`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import io
import json
import platform
import re
import stat
import struct
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from PIL import Image

from facewitness import plugins
from facewitness.errors import InputError, MissingExtra, ReportError
from facewitness.files import each_once
from facewitness.formats import _outline, mark
from facewitness.phrases import json_line, visible
from facewitness.types import Clip, Mask, Report
from facewitness.version import __version__

extension = "zip"
SCHEMA = "facewitness.bundle/1"
MANIFEST, SIGNATURE = "manifest.json", "manifest.json.minisig"
# How far a second analysis may be from the first: scores and probabilities, box in pixels, mask as the mean difference,
# what painting a place over did (`Finding.moves`) in log-odds.
# A choice that leaves room for processors that round otherwise; on one machine the differences are 0.
TOLERANCE: dict[str, float] = {"score": 0.005, "box": 1.0, "mask": 0.02, "moves": 0.05}
MOST_BYTES = 1_000_000_000  # of a bundle, and of all its files together
MOST_FILES = 5_000
_END_SIZE = 22  # of the record that ends a ZIP without a comment
_MOST_RATIO = 200  # a file larger than a megabyte is packed to no less than this part of its size
_NAME = re.compile(
    r"(report\.(json|html|pdf)|(weights|environment|crops|manifest)\.json|manifest\.json\.minisig"
    r"|crops/face-\d{1,4}\.png|masks/(face-\d{1,4}|\d{1,4}[a-z]{1,3})\.png|original/[^/\\\x00-\x1f:]{1,200})"
)
_PACKAGES = ("numpy", "pillow", "onnxruntime", "ai-edge-litert", "av", "reportlab", "c2pa-python", "pillow-heif")


def render(report: Report, clip: Clip | None = None, *, original: bool = False) -> bytes:
    """The bundle.

    Args:
        report: what it is about. Of a file: without its hash nobody can tell later which one it was.
        clip: the picture; without it there are no crops, and the page has no picture.
        original: put the file itself in, too.

    Raises:
        ReportError: `original` is asked for, and the clip does not hold the file's bytes.
    """
    wire = importlib.import_module("facewitness.formats.json")
    line: bytes = wire.render(report)
    report = wire.parse(line)  # as whoever opens the bundle will have it
    files: dict[str, bytes] = {"report.json": line}
    for name in ("html", "pdf"):
        try:
            files[f"report.{name}"] = plugins.get("formats", name).render(report, clip)
        except MissingExtra:
            continue
    files |= _pictures(report, clip)
    files["weights.json"] = _json(weights(report.made_by))
    files["environment.json"] = _json(environment())
    name = _basename(report.source)
    if original:
        if clip is None or clip.content is None:
            raise ReportError("bundle: expected the original's bytes, got none. Name the file with --file FILE.")
        files[f"original/{name}"] = clip.content
    manifest = {
        "schema": SCHEMA,
        "made_by": f"facewitness {__version__}",
        "original": {"name": name, "sha256": report.sha256, "path": f"original/{name}" if original else None},
        "tolerance": TOLERANCE,
        "files": [
            {"path": path, "size": len(files[path]), "sha256": hashlib.sha256(files[path]).hexdigest()}
            for path in sorted(files)
        ],
    }
    return _zipped({**dict(sorted(files.items())), MANIFEST: _json(manifest)})


def signed(data: bytes, sign: Any, comment: str) -> bytes:
    """The bundle with a signature of its manifest. `sign` is a minisign `SecretKey`, open; a signature is replaced.

    Args:
        data: The bundle, a ZIP.
        sign: Signs the bundle.
        comment: Stands in the signature.
    """
    bundle = read(data)
    made = sign.sign(bundle.files[MANIFEST], trusted_comment=comment)
    return _zipped(
        {name: content for name, content in bundle.files.items() if name != SIGNATURE} | {SIGNATURE: bytes(made)}
    )


def weights(made_by: Mapping[str, Any]) -> dict[str, str]:
    """The weights that a report was made with: part › file → SHA-256.

    Args:
        made_by: What stands in a report of how it was made.

    Returns:
        Name of the file → its SHA-256.
    """
    witnesses = made_by.get("witnesses")
    parts = [made_by.get("finder"), *(witnesses if isinstance(witnesses, list | tuple) else ())]
    return {
        f"{part.get('name')} › {file}": str(digest)
        for part in parts
        if isinstance(part, Mapping) and isinstance(part.get("weights"), Mapping)
        for file, digest in part["weights"].items()
    }


def environment() -> dict[str, Any]:
    """What this machine runs: Python, its system, and the packages that can change a number.

    Returns:
        JSON-ready.
    """
    versions: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "facewitness": __version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "packages": versions,
    }


def _json(value: Any) -> bytes:
    return (json_line(value, indent=1) + "\n").encode("utf-8", "replace")


def _basename(source: str) -> str:
    name = visible(source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1])
    return re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", name).lstrip(".")[:150] or "picture"


def _pictures(report: Report, clip: Clip | None) -> dict[str, bytes]:
    """Crops and masks as PNG, and where each lies on the picture."""
    files: dict[str, bytes] = {}
    where: dict[str, Any] = {}

    def add(name: str, array: Any, box: Any, at: Any) -> None:
        file = io.BytesIO()
        Image.fromarray(array).save(file, "PNG")
        files[name] = file.getvalue()
        where[name] = {"box": list(box), "frame": at.index, "seconds": at.seconds}

    def add_mask(name: str, mask: Mask | None, at: Any) -> None:
        if mask is not None:
            add(name, np.rint(mask.values * 255).astype(np.uint8), mask.box, at)

    for number, person in enumerate(report.people, start=1):
        at = person.face.at
        if clip is not None and (cut := _outline.close_up(person, clip)) is not None:
            add(f"crops/face-{number}.png", *cut, at)
        add_mask(f"masks/face-{number}.png", person.mask, at)
        for index, finding in enumerate(person.findings):
            add_mask(f"masks/{number}{mark(index)}.png", finding.mask, finding.here[0].at or at)
    files["crops.json"] = _json(where)
    return files


def _zipped(files: Mapping[str, bytes]) -> bytes:
    """A plain archive: no dates, no folders, no comments; pictures are stored as they are."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            info.create_system = 3
            packed = name.endswith((".json", ".html", ".minisig"))
            info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
            archive.writestr(info, content)
    return out.getvalue()


# ----------------------------------------------------------------------------------------------------------- reading


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """What stands in an archive that is one; nothing in it has been compared with its manifest yet."""

    files: Mapping[str, bytes]
    manifest: Mapping[str, Any]
    listed: Mapping[str, tuple[int, str]]  # path → size and SHA-256, as the manifest has them


def read(data: bytes) -> Bundle:
    """A stranger's bundle, in memory.

    Args:
        data: The bundle, a ZIP that anybody may have made.

    Raises:
        InputError: it is no archive of the kind that `render` writes: names that lead elsewhere, links, encryption,
            entries that overlap, bytes between them, more than the limits, no manifest.
    """
    if len(data) > MOST_BYTES:
        raise InputError(f"The bundle is {len(data) / 1e6:,.0f} MB; expected at most {MOST_BYTES / 1e6:,.0f} MB.")
    if data[:1] in (b"{", b"["):
        raise InputError(
            "Expected a bundle (a ZIP), got JSON. If it is a report, make a bundle of it first: facewitness bundle "
            "REPORT --out evidence.zip."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _check_entries(archive, entries, data)
            files = dict(_contents(archive, entries))
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, struct.error, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"Expected a bundle (a ZIP made by facewitness bundle), got something else or a damaged one ({error})."
        ) from error
    if MANIFEST not in files:
        raise InputError(f"The bundle has no {MANIFEST}: expected a ZIP made by facewitness bundle.")
    return Bundle(files, *_manifest(files[MANIFEST]))


def _check_entries(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], data: bytes) -> None:
    if len(entries) > MOST_FILES:
        raise InputError(f"The bundle holds {len(entries):,} files; expected at most {MOST_FILES:,}.")
    total = sum(entry.file_size for entry in entries)
    if total > MOST_BYTES:
        raise InputError(f"The bundle unpacks to {total / 1e6:,.0f} MB; expected at most {MOST_BYTES / 1e6:,.0f} MB.")
    seen: set[str] = set()
    for entry in entries:
        name = entry.orig_filename
        shown = visible(name)[:100]
        if not _NAME.fullmatch(name) or ".." in name.split("/"):
            raise InputError(f"The bundle holds '{shown}', which no bundle has: nothing of it was unpacked.")
        if name.casefold() in seen:
            raise InputError(f"The bundle holds '{shown}' twice.")
        seen.add(name.casefold())
        mode = entry.external_attr >> 16
        if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
            raise InputError(f"The bundle holds '{shown}' as a link or a device; expected a file.")
        if entry.flag_bits & 0x1:
            raise InputError(f"The bundle holds '{shown}' encrypted; expected plain files.")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"The bundle holds '{shown}' packed in an unknown way.")
        if entry.file_size > 1_000_000 and entry.file_size > _MOST_RATIO * entry.compress_size:
            raise InputError(f"The bundle holds '{shown}', which unpacks to {_MOST_RATIO} times its size or more.")
    if archive.comment:
        raise InputError("The bundle has a comment behind its files; expected none.")
    at = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset != at:
            raise InputError("The bundle's files overlap, or there are bytes between them that belong to none.")
        name_size, extra_size = struct.unpack_from("<HH", data, at + 26)
        at += 30 + name_size + extra_size + entry.compress_size
    if at != archive.start_dir:
        raise InputError("The bundle has bytes between its files and its table that belong to none.")
    if data[-_END_SIZE:][:4] != b"PK\5\6":
        raise InputError("The bundle has bytes behind its table that belong to none.")


def _contents(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> Iterator[tuple[str, bytes]]:
    for entry in entries:
        with archive.open(entry) as file:
            content = file.read(entry.file_size + 1)  # never more than the table says: a lie ends in a wrong checksum
        if len(content) != entry.file_size:
            raise InputError(f"The bundle's '{visible(entry.filename)}' is not as long as its table says.")
        yield entry.filename, content


def _manifest(content: bytes) -> tuple[Mapping[str, Any], Mapping[str, tuple[int, str]]]:
    try:
        manifest = json.loads(content, object_pairs_hook=each_once)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The bundle's {MANIFEST} cannot be read ({visible(str(error))}).") from error
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        came = manifest.get("schema") if isinstance(manifest, dict) else manifest
        raise InputError(f"The bundle's {MANIFEST}: expected the schema {SCHEMA}, got {visible(str(came))[:80]!r}.")
    original, listed = manifest.get("original"), manifest.get("files")
    if not isinstance(original, dict) or not (original.get("sha256") is None or _is_digest(original["sha256"])):
        raise InputError(f"The bundle's {MANIFEST}: expected the original with its SHA-256 or null, got neither.")
    if not isinstance(listed, list):
        raise InputError(f"The bundle's {MANIFEST}: expected a list of files, got none.")
    table: dict[str, tuple[int, str]] = {}
    for each in listed:
        if not isinstance(each, dict) or not isinstance(each.get("path"), str) or not _is_digest(each.get("sha256")):
            raise InputError(f"The bundle's {MANIFEST}: expected files with path, size and SHA-256.")
        size = each.get("size")
        if not isinstance(size, int) or each["path"] in table:
            raise InputError(f"The bundle's {MANIFEST}: expected each file once, with its size.")
        table[each["path"]] = (size, each["sha256"])
    return manifest, table


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None
