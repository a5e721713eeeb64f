"""Leaves that other packages bring: what they raise is a sentence, whose they are is told, and none takes our name."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from facewitness import plugins
from facewitness.apps.cli import main
from facewitness.errors import InputError, MissingExtra, ReportError, UnknownName
from facewitness.pipeline import Analyzer, rendered
from facewitness.witnesses import compact

GOOD = '''"""A witness that always says the same."""
from facewitness.types import Testimony
class Same:
    name, calibration = "same", None
    def examine(self, face, question=None): return Testimony("same", 0.5)
def load(least: float = 0.0): return Same()
'''
BAD = {
    "raises": ("raise RuntimeError('no \\x1b[31mway\\nsecond line')", "RuntimeError: no"),
    "broken": ("def load(:", "SyntaxError"),
    "leaves": ("raise SystemExit(3)", "SystemExit"),
    "silent": ("raise ZeroDivisionError", "ZeroDivisionError"),
    "empty": ("", "expected a module with load"),
    "base": ("class Odd(BaseException): pass\nraise Odd('own')", "Odd: own"),
    "mute": ("class Mute(Exception):\n    def __str__(self): raise KeyError\nraise Mute", r"cannot be loaded \(Mute\)"),
    "touchy": ("def __getattr__(name): raise RuntimeError('off')", "RuntimeError: off"),
    "lacking": (
        "import nobody_has_this",
        r"needs the module 'nobody_has_this'.*documentation of elsewhere 1\.5 names it",
    ),
    "named": ("import nobody_has", r"'nobody_has', which is not installed\. Try: pip install python-Nobody\.has\b"),
    "yaml": (
        "import sys; sys.modules['yaml'] = None\nimport yaml",
        r"'yaml', which is not installed\. Try: pip install PyYAML\b",
    ),
    "ours": (
        "import sys; sys.modules['reportlab'] = None\nimport reportlab",
        r"Try: pip install '\.\[pdf\]', from a clone",
    ),
}


def forget() -> None:
    """What is installed: a process otherwise looks once."""
    plugins.names.cache_clear()
    plugins._outside.cache_clear()
    plugins._installed.cache_clear()


class Site:
    """A folder that packages are installed into."""

    def __init__(self, folder: Path):
        self.folder = folder

    def install(self, package: str, entries: str, **modules: str) -> None:
        for name, code in modules.items():
            (self.folder / f"{name}.py").write_text(code)
        info = self.folder / f"{package}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.5\n"
            "Requires-Dist: python-Nobody.has>=2 ; python_version > '3'\n"
        )
        (info / "entry_points.txt").write_text(entries)
        importlib.invalidate_caches()
        forget()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield Site(tmp_path)
    for name in set(sys.modules) - before:
        if sys.modules[name] is None or str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    monkeypatch.undo()
    forget()


def test_a_good_one_is_listed_with_its_package_and_named_in_reports(site: Site, capsys: pytest.CaptureFixture[str]):
    site.install("elsewhere", "[facewitness.witnesses]\nsame = elsewhere_same\n", elsewhere_same=GOOD)
    assert plugins.origin("witnesses", "same") == "elsewhere 1.5"
    assert plugins.about("witnesses", "same") == "A witness that always says the same. From elsewhere 1.5."
    assert main(["list"]) == 0
    assert "From elsewhere 1.5." in capsys.readouterr().out
    report = Analyzer(finder="whole", witnesses=("same", "compact")).analyze(np.zeros((64, 64, 3), np.uint8))
    same, ours = report.made_by["witnesses"]
    assert same["package"] == "elsewhere 1.5"
    assert "package" not in ours and "package" not in report.made_by["finder"]


@pytest.mark.parametrize("kind", BAD)
def test_one_that_cannot_be_loaded_is_one_line(kind: str, site: Site, capsys: pytest.CaptureFixture[str]):
    code, sentence = BAD[kind]
    site.install("elsewhere", f"[facewitness.witnesses]\nodd = elsewhere_{kind}\n", **{f"elsewhere_{kind}": code})
    with pytest.raises((InputError, MissingExtra), match=sentence) as caught:
        plugins.get("witnesses", "odd")
    assert "elsewhere 1.5" in str(caught.value) and str(caught.value).isprintable()
    assert main(["list"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  odd ")]
    assert re.search(sentence, line) and line.isprintable()
    assert main(["analyze", "photo.jpg", "--witness", "odd"]) != 0
    assert "elsewhere 1.5" in capsys.readouterr().err


def test_one_that_takes_our_name_is_refused_and_told(site: Site, capsys: pytest.CaptureFixture[str]):
    evil = "raise AssertionError('it was imported')"
    site.install(
        "elsewhere",
        "[facewitness.witnesses]\ncompact = elsewhere_evil\n[facewitness.finders]\nfacemesh = elsewhere_evil\n",
        elsewhere_evil=evil,
    )
    assert plugins.get("witnesses", "compact") is compact
    assert plugins.origin("witnesses", "compact") is None
    assert plugins.names("witnesses").count("compact") == 1
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert said.count("(elsewhere 1.5 brings another one of this name, which is refused)") == 2


def test_a_name_that_two_packages_claim_is_nobodys(site: Site):
    site.install("elsewhere", "[facewitness.witnesses]\nsame = elsewhere_same\n", elsewhere_same=GOOD)
    site.install("nowhere", "[facewitness.witnesses]\nsame = nowhere_same\n", nowhere_same=GOOD)
    with pytest.raises(InputError, match=r"(elsewhere|nowhere) 1\.5 and (elsewhere|nowhere) 1\.5 each bring one"):
        plugins.get("witnesses", "same")
    assert "uninstall one" in plugins.about("witnesses", "same")
    assert plugins.origin("witnesses", "same") is None


def test_a_name_that_is_none_is_not_there(site: Site):
    names = ("two words", "up.and.down", "../etc", "ünïcode", "1st")
    entries = "".join(f"{name} = elsewhere_same\n" for name in names)
    site.install("elsewhere", f"[facewitness.witnesses]\n{entries}", elsewhere_same=GOOD)
    assert not set(names) & set(plugins.names("witnesses"))
    for name in names:
        with pytest.raises(UnknownName):
            plugins.get("witnesses", name)


def test_what_its_load_raises_is_a_sentence(site: Site):
    code = "def load(): return {}['nothing']"
    site.install("elsewhere", "[facewitness.witnesses]\nodd = elsewhere_load\n", elsewhere_load=code)
    with pytest.raises(InputError, match=r"odd of elsewhere 1\.5 cannot be loaded \(KeyError: 'nothing'\)"):
        plugins.load("witnesses", "odd", {})


@pytest.mark.parametrize(
    "code",
    ["load = 5", "load = dict", "def load(a: '1 +' = 1): ...", "class Odd(BaseException): ...\ndef load(): raise Odd"],
)
def test_a_load_that_is_none_is_a_sentence(code: str, site: Site):
    site.install("elsewhere", "[facewitness.witnesses]\nodd = elsewhere_load\n", elsewhere_load=code)
    with pytest.raises(InputError, match=r"odd of elsewhere 1\.5 cannot be loaded \(.*uninstall"):
        plugins.load("witnesses", "odd", {})


def test_a_value_that_its_load_refuses_is_told_with_the_options(site: Site):
    code = "def load(least: int = 1): raise ValueError('least: expected 1 or more')"
    site.install("elsewhere", "[facewitness.witnesses]\nodd = elsewhere_load\n", elsewhere_load=code)
    with pytest.raises(InputError, match=r"with the options \{'least': 0\}: ValueError: least: expected 1"):
        plugins.load("witnesses", "odd", {"least": 0})


def test_a_format_without_its_ending_is_told(site: Site):
    site.install("elsewhere", "[facewitness.formats]\nodd = elsewhere_format\n", elsewhere_format="def render(r): ...")
    with pytest.raises(InputError, match="expected a module with extension"):
        plugins.get("formats", "odd")


PARTS = {  # what `load` gives, and the sentence about it
    "nothing": ("return None", r"expected an object with a name and examine\(track, clip\), .* got None"),
    "nameless": (
        "return type('W', (), {'examine': 5})()",
        r"expected an object with a name and examine\(track, clip\)",
    ),
    "written": (
        "return type('W', (), {'name': 'w', 'inspect': lambda *_: None, 'made_by': {'seed': 1}})()",
        r"expected made_by\(\) to give a mapping that JSON can hold, got \{'seed': 1\}, which is no method",
    ),
    "unwritable": (
        "return type('W', (), {'name': 'w', 'inspect': lambda *_: None, 'made_by': lambda self: {'seed': {1}}})()",
        r"got \{'seed': \{1\}\} \(TypeError: .* not JSON serializable\)",
    ),
    "raising": (
        "return type('W', (), {'name': 'w', 'inspect': lambda *_: None, 'made_by': lambda self: 1 / 0})()",
        r"\(ZeroDivisionError: division by zero\)",
    ),
}


@pytest.mark.parametrize("kind", PARTS)
def test_what_is_no_witness_is_refused_when_it_is_loaded(kind: str, site: Site, capsys: pytest.CaptureFixture[str]):
    code, sentence = PARTS[kind]
    load = f"def load():\n    {code}\n"
    site.install("elsewhere", f"[facewitness.witnesses]\nodd = elsewhere_{kind}\n", **{f"elsewhere_{kind}": load})
    with pytest.raises(InputError, match=rf"witnesses/odd of elsewhere 1\.5: .*{sentence}"):
        Analyzer(finder="whole", witnesses=("odd",))
    assert main(["analyze", "photo.jpg", "--witness", "odd"]) == 2
    assert "witnesses/odd of elsewhere 1.5: " in capsys.readouterr().err


TESTIMONIES = {
    "wrong": ("{'fake': 0.5}", "Expected a Testimony, got dict"),
    "score": ("types.Testimony('odd', 'high')", r"Testimony.fake: expected a score in \[0, 1\] or None, got 'high'"),
    "array": ("types.Testimony('odd', 0.5, np.ones((3, 3)))", "Testimony.mask: expected a Mask or None, got ndarray"),
    "finding": ("types.Testimony('odd', 0.5, findings=('nose',))", "Testimony.findings: expected Findings, got str"),
    "another": ("types.Testimony('compact', 0.9)", "Expected a testimony by 'odd', got one by 'compact'"),
    "raises": ("1 / 0", "a fault in the code of elsewhere 1.5; mend it, or uninstall elsewhere 1.5"),
    "exits": ("exit(0)", "Unexpected SystemExit: 0"),
}


@pytest.mark.parametrize("kind", TESTIMONIES)
def test_what_is_no_testimony_is_a_problem_that_names_the_package(kind: str, site: Site):
    code, sentence = TESTIMONIES[kind]
    load = (
        "import numpy as np\nfrom facewitness import types\n\n\nclass Odd:\n    name = 'odd'\n\n"
        f"    def examine(self, track, clip):\n        return {code}\n\n\ndef load():\n    return Odd()\n"
    )
    site.install("elsewhere", f"[facewitness.witnesses]\nodd = elsewhere_{kind}\n", **{f"elsewhere_{kind}": load})
    analyzer = Analyzer(finder="whole", witnesses=("odd",))
    report = analyzer.analyze(np.zeros((64, 64, 3), np.uint8))
    assert report.status == "failed"
    (problem,) = report.problems
    assert problem.message.startswith("The witness odd of elsewhere 1.5 failed. ")
    assert re.search(sentence, problem.message), problem.message


def test_a_finder_of_something_else_than_faces_is_a_sentence():
    class Odd:
        def find(self, frame):
            return [1, 2]

    report = Analyzer(finder=Odd(), witnesses=("compact",)).analyze(np.zeros((64, 64, 3), np.uint8))
    assert report.status == "failed"
    assert report.problems[0].message == "The finder Odd failed. Expected a tuple of Faces, got [1, 2]."


FINDS = {
    "raises": ("find", "1 / 0", r"ZeroDivisionError: .*mend it, or uninstall elsewhere 1\.5"),
    "leaves": ("find", "raise_(SystemExit(3))", "SystemExit"),
    "tells": ("find", "raise_(errors.InputError('It is too dark here.'))", r"It is too dark here\.$"),
    "words": ("find", "'words'", "Expected a tuple of Faces, got 'words'"),
    "off": ("find", "(Face(frame.at, (-9.0, 0.0, 20.0, 20.0)),)", "has 64 × 48 pixels, got the box -9, 0, 20, 20"),
    "nan": ("find", "(Face(frame.at, (float('nan'), 0.0, 20.0, 20.0)),)", "Face.box: expected .* got .*nan"),
    "follows": ("track", "[None]", "Expected Tracks, got None"),
}


@pytest.mark.parametrize("kind", FINDS)
def test_a_finder_of_another_package_that_fails_is_told_with_its_name(kind: str, site: Site):
    verb, gives, sentence = FINDS[kind]
    code = f'''"""A finder that fails."""
from facewitness import errors
from facewitness.types import Face


def raise_(error):
    raise error


class Finds:
    def {verb}(self, frame):
        return {gives}


def load():
    return Finds()
'''
    site.install("elsewhere", f"[facewitness.finders]\nodd = finds_{kind}\n", **{f"finds_{kind}": code})
    report = Analyzer(finder="odd", witnesses=("compact",)).analyze(np.zeros((48, 64, 3), np.uint8))
    assert report.status == "failed"
    (problem,) = report.problems
    assert problem.step == "find" and problem.message.startswith("The finder odd of elsewhere 1.5 failed. ")
    assert re.search(sentence, problem.message), problem.message


@pytest.mark.parametrize(("code", "sentence"), [("'words'", "Expected bytes, got str"), ("1 / 0", "ZeroDivisionError")])
def test_a_format_of_another_package_that_fails_is_a_sentence(code: str, sentence: str, site: Site, tmp_path: Path):
    module = f"elsewhere_format_{len(code)}"
    leaf = f"extension = 'html'\n\n\ndef render(report, clip=None):\n    return {code}\n"
    site.install("elsewhere", f"[facewitness.formats]\na = {module}\nb = elsewhere_gone.b\n", **{module: leaf})
    report = Analyzer(finder="whole", witnesses=("compact",)).analyze(np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(ReportError, match=rf"The format a of elsewhere 1\.5 failed\. .*{sentence}"):
        rendered("a", report, None)
    report.save(tmp_path / "r.html")  # by our own format; one that cannot be imported is not in the way
    assert (tmp_path / "r.html").read_bytes().startswith(b"<!DOCTYPE html>")


def test_a_module_that_a_package_lacks_of_its_own_is_not_advised_to_be_installed(site: Site):
    site.install("elsewhere", "[facewitness.formats]\nb = elsewhere_gone.b\n")
    with pytest.raises(
        InputError, match=r"formats/b of elsewhere 1\.5 cannot be loaded \(ModuleNotFoundError: .*Mend it"
    ):
        plugins.get("formats", "b")


def test_a_damaged_table_of_some_package_keeps_no_other_leaf_away(site: Site, capsys: pytest.CaptureFixture[str]):
    site.install("elsewhere", "[facewitness.witnesses]\nsame = same_by_damaged\n", same_by_damaged=GOOD)
    site.install("nobodys", "")
    (site.folder / "nobodys-1.5.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe[console_scripts]")
    forget()
    assert "same" in plugins.names("witnesses") and "whole" in plugins.names("finders")
    assert capsys.readouterr().err.count("cannot be read and is passed over (UnicodeDecodeError") == 1


def test_a_package_without_its_metadata_is_named_by_its_module(site: Site):
    site.install("elsewhere", "[facewitness.witnesses]\nlost = same_by_lost\n", same_by_lost=GOOD)
    (site.folder / "elsewhere-1.5.dist-info" / "METADATA").unlink()
    forget()
    assert plugins.origin("witnesses", "lost") == "same_by_lost"


def test_a_slow_import_of_another_package_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(plugins, "_PATIENCE", 0.05)
    site.install(
        "elsewhere", "[facewitness.witnesses]\nslow = slow_import\n", slow_import="import time; time.sleep(0.5)"
    )
    with pytest.raises(InputError, match="expected a module with load"):
        plugins.get("witnesses", "slow")
    assert "witnesses/slow of elsewhere 1.5 is still being imported" in capsys.readouterr().err
