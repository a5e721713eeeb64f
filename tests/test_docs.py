"""What the pages say is true: links lead somewhere, commands parse, the examples of new leaves work."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facewitness import checks, plugins
from facewitness.types import Clip, Frame, Reply, Report, Testimony, Track, Truth

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.md")])
RUNS = sorted((ROOT / "runs").rglob("*.md"))  # their commands are held to, too
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    broken = []
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue  # another site's
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


def commands() -> list[tuple[str, str]]:
    found = []
    for page in [*PAGES, *RUNS]:
        for block in blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                for part in [] if "…" in line or "${" in line else re.split(r"\||&&", line):
                    words = shlex.split(part.split(">")[0], comments=True)
                    if words[:1] == ["facewitness"]:
                        found.append((page.relative_to(ROOT).as_posix(), shlex.join(words[1:])))
    return sorted(set(found))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_block_of_commands_can_be_copied_into_a_shell(page):
    for language, block in re.findall(r"(?ms)^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8")):
        if re.search(r"(?m)^(?:facewitness|pip) ", block):
            assert language == "sh", f"what stands behind a command is told with # in a block of sh:\n{block}"


@pytest.mark.parametrize(("page", "command"), commands())
def test_files_of_the_tree_that_a_command_names_are_there(page, command):
    words = [word.rpartition("=")[2] for word in shlex.split(command)]
    named = [word for word in words if re.match(r"(runs|tests|docs|perf)/.+\.(toml|safetensors|json|onnx|py)$", word)]
    assert all((ROOT / word).is_file() for word in named), named
    if words[0] != "train" and {"mare", "kfd"} & set(words):  # whose weights do not travel with the package
        beside = (ROOT / words[-1] / "fdm.safetensors").is_file()  # MARE's language model has its module with it
        assert beside or any(word.endswith(".safetensors") or word.startswith("$") for word in words), (
            "the weights of that witness are not named"
        )


@pytest.fixture(scope="module")
def parser():
    from facewitness.apps.cli import parser

    return parser()  # made once: it knows eighty commands


@pytest.mark.parametrize(("page", "command"), commands())
def test_commands_in_the_pages_parse(parser, page, command):
    words = shlex.split(command)
    if words == ["--version"]:
        with pytest.raises(SystemExit, match="0"):
            parser.parse_args(words)
    else:
        parser.parse_args(words)


PYTHON = re.compile(r"^(?:<!-- not run: (.+) -->\n+)?```(?:python|py|pycon)\n(.*?)^```", re.M | re.S)
MODULES = {  # blocks that are a file, by the page and the file's name; who runs them
    "docs/add-one-file.md": "`photobooth`, below",
    "docs/datasets.md": "tests/families/test_datasets.py",
}


def scripts() -> list[object]:
    """Every block of Python that is no file of its own, with the reason where the page says that it is not run."""
    found = []
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        for number, match in enumerate(PYTHON.finditer(page.read_text(encoding="utf-8")), start=1):
            if re.match(r"# \w+\.py\n", match[2]):
                assert name in MODULES, f"{name}: who runs the file in block {number}?"
            else:
                marks = [pytest.mark.skip(reason=match[1])] if match[1] else []
                found.append(pytest.param(match[2], id=f"{name}-{number}", marks=marks))
    return found


@pytest.mark.parametrize("code", scripts())
def test_python_in_the_pages_runs(code, astronaut_path, tmp_path, monkeypatch, capsys):
    Image.open(astronaut_path).save(tmp_path / "photo.jpg", quality=95)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "page", "exec"), {"__name__": "__main__"})
    assert "real" in capsys.readouterr().out
    for name in re.findall(r'\.save\("([^"]+)"\)', code):
        assert (tmp_path / name).stat().st_size > 1_000


def test_the_walks_through_the_code_meet_what_they_name():
    text = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8").partition("## Five walks")[2]
    walks = [line.split(" | ") for line in text.splitlines() if line.startswith("| a ")]
    assert len(walks) == 5
    for walk, files, steps in walks:
        code = "".join((ROOT / "docs" / file).read_text(encoding="utf-8") for file in LINK.findall(files))
        named = [name for name in re.findall(r"`([\w/]+)`", steps) if "/" not in name]
        assert [name for name in named if not re.search(rf"\b{name}\b", code)] == [] and len(named) > 4, walk


def test_make_targets_in_the_pages_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M))
    named = {
        name
        for page in PAGES
        for block in blocks(page, "sh")
        for name in re.findall(r"^make ([a-z]+)", block, flags=re.M)
    }
    assert named
    assert named <= targets


def test_decisions_are_numbered_without_gaps():
    numbers = [int(path.name[:3]) for path in sorted((ROOT / "docs" / "decisions").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def forget() -> None:
    """What is installed: a process otherwise looks once."""
    plugins.names.cache_clear()
    plugins._outside.cache_clear()
    plugins._installed.cache_clear()


@pytest.fixture
def photobooth(tmp_path, monkeypatch):
    """The outside package of docs/add-one-file.md, installed: its modules and its entry points."""
    page = ROOT / "docs" / "add-one-file.md"
    package = tmp_path / "photobooth"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for block in blocks(page, "python"):
        name = re.match(r"# (\w+\.py)\n", block).group(1)
        (package / name).write_text(block, encoding="utf-8")
    info = tmp_path / "photobooth-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: photobooth\nVersion: 1.0\n")
    (toml,) = blocks(page, "toml")
    ini = re.sub(r'project\.entry-points\."([\w.]+)"', r"\1", toml).replace('"', "")
    (info / "entry_points.txt").write_text(ini)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    forget()
    yield tmp_path
    forget()
    for module in [m for m in sys.modules if m.split(".")[0] == "photobooth"]:
        del sys.modules[module]


@pytest.mark.parametrize(
    ("family", "name"),
    [("witnesses", "grain"), ("finders", "middle"), ("formats", "csv"), ("scores", "brevity"), ("backends", "parrot")],
)
def test_every_example_keeps_its_familys_promises(photobooth, family, name):
    checks.run(family, name)


def test_example_finder_and_witness_work(photobooth):
    noise = np.random.default_rng(5).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    noise[20:60, 30:90] = 128  # a smooth patch where the finder looks
    (face,) = plugins.get("finders", "middle").load().find(Frame(noise))
    assert face.box == (30, 20, 90, 60)
    track = Track(0, (face,))
    witness = plugins.get("witnesses", "grain").load(least=1.0)
    testimony = witness.examine(track, Clip("noise", (Frame(noise),)))
    assert isinstance(testimony, Testimony)
    assert testimony.fake > 0.9
    flat = Frame(np.full((80, 120, 3), 7, np.uint8))
    assert witness.examine(track, Clip("flat", (flat,))).fake is None
    json.dumps(witness.made_by())


def test_example_format_works(photobooth):
    leaf = plugins.get("formats", "csv")
    assert leaf.extension == "csv"
    assert leaf.render(Report(source="a.jpg", status="no_face")).splitlines()[1] == b"a.jpg,no_face,,,"


def test_example_score_and_backend_work(photobooth):
    score = plugins.get("scores", "brevity").score
    assert score(Reply("fake", parts="It is forged."), Truth("fake")) == 1
    assert score(Reply("fake", parts="forged " * 80), Truth("fake")) == 0.5
    assert score(Reply("fake"), Truth("fake")) is None
    backend = plugins.get("backends", "parrot").load()
    assert backend.ask([{"role": "user", "content": "Polly?"}]) == "Polly?"


def test_outside_leaves_are_listed_and_checked(photobooth):
    outside = ("witnesses", "grain"), ("finders", "middle"), ("formats", "csv"), ("scores", "brevity")
    for family, name in (*outside, ("backends", "parrot")):
        assert name in plugins.names(family)
        assert plugins.about(family, name).endswith(".")
