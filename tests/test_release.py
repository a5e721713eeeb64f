"""What a release carries besides its wheel: the lock of the plain install, and the word on security."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCKS = {name: (ROOT / name).read_text() for name in ("requirements.lock", "requirements-extras.lock")}
EXTRAS = ("c2pa", "documents", "heic", "jxl", "pdf", "postgres", "ray", "serve", "sign", "sigstore", "video")
WHERE = {"python_version": "3.11", "python_full_version": "3.11.9", "sys_platform": "linux", "platform_system": "Linux"}


def _asked_for(extras: tuple[str, ...]) -> dict[str, Requirement]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return {each.name: each for each in map(Requirement, lines) if each.name != "facewitness"}


def _locked(name: str) -> list[tuple[Requirement, list[str]]]:
    """Each package with its hashes."""
    joined = LOCKS[name].replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [(Requirement(line.split("--hash")[0]), re.findall(r"--hash=sha256:([0-9a-f]{64})", line)) for line in lines]


@pytest.mark.parametrize(("lock", "extras"), [("requirements.lock", ()), ("requirements-extras.lock", EXTRAS)])
def test_the_lock_holds_what_pyproject_asks_for_and_within_its_ranges(lock, extras):
    locked = [each for each, _ in _locked(lock) if each.marker is None or each.marker.evaluate(WHERE)]
    versions = {each.name: next(iter(each.specifier)).version for each in locked}
    assert len(versions) == len(locked)
    for name, asked in _asked_for(extras).items():
        assert name in versions, f"{name} is not locked: make lock"
        assert asked.specifier.contains(versions[name]), f"{name} {versions[name]} is not {asked.specifier}: make lock"


@pytest.mark.parametrize("locked", [pair for name in LOCKS for pair in _locked(name)], ids=lambda pair: pair[0].name)
def test_every_locked_package_has_one_version_and_hashes(locked):
    package, hashes = locked
    assert re.fullmatch(r"==[^*,]+", str(package.specifier))
    assert package.url is None and hashes


def test_the_lock_names_no_place_to_fetch_from():
    for lock in LOCKS.values():
        assert not re.search(r"://|--index|--find-links|--trusted|@ ", lock)


def test_tools_of_a_release_are_pinned():
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    for line in (*extras["release"], *extras["fuzz"]):
        assert re.fullmatch(r"[a-z-]+==[\d.]+", line)


def test_security_says_where_to_report_and_names_what_is_there():
    said = (ROOT / "SECURITY.md").read_text()
    assert "security advisories" in said
    for named in re.findall(r"`((?:tests|docs)/[\w./]+|requirements\.lock)`|\]\(([\w./]+)\)", said):
        assert (ROOT / (named[0] or named[1])).exists(), named
    targets = re.findall(r"`make (\w+)", said)
    makefile = (ROOT / "Makefile").read_text()
    assert targets and all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
