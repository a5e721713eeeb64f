"""The house itself: light to import, whole in the wheel, one name in one place."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest
from contracts import MayImportOnly

import facewitness
from facewitness import plugins

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "facewitness"
HEAVY = ("PIL", "ai_edge_litert", "cv2", "onnxruntime", "torch", "transformers")
TRUNK = sorted(path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("_"))  # all but the leaves


def fresh(code: str) -> str:
    """What a new interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_brings_few_modules():
    code = "import sys; before = len(sys.modules); import facewitness; print(len(sys.modules) - before)"
    assert int(fresh(code)) < 60  # 31, most of them Python's own; numpy alone brings a hundred and a tenth of a second


def test_import_brings_no_heavy_package():
    assert fresh(f"import sys, facewitness; print([m for m in {HEAVY} if m in sys.modules])") == "[]"


def test_trunk_brings_no_heavy_package():
    imports = ", ".join(f"facewitness.{name}" for name in TRUNK)
    assert fresh(f"import sys, {imports}; print([m for m in {HEAVY} if m in sys.modules])") == "[]"


def test_a_worker_of_the_service_brings_no_database():
    heavy = ("sqlalchemy", "alembic", "fastapi")
    assert fresh(f"import sys, facewitness.apps.service.work; print([m for m in {heavy} if m in sys.modules])") == "[]"


def test_the_contracts_know_the_whole_trunk():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (light,) = (contract for contract in contracts if contract["id"] == "light-trunk")
    assert sorted(light["source_modules"]) == [f"facewitness.{name}" for name in TRUNK]
    only = {contract["source"].rpartition(".")[2] for contract in contracts if contract["type"] == "only"}
    independent = {contract["id"] for contract in contracts if contract["type"] == "independence"}
    assert only == independent == {*plugins.FAMILIES, "builders", "models"}


def test_the_chart_of_layers_in_the_documentation_is_the_contract():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = (each for each in project["tool"]["importlinter"]["contracts"] if each["id"] == "layers")
    chart = (
        (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8").split("## Who may import whom")[1].split("```")[1]
    )
    drawn = [set(layer.split(" | ")) for layer in " ".join(chart.split()).split(" ← ")]
    assert drawn == [set(layer.split(" | ")) for layer in reversed(layers["layers"]) if layer != "(__main__)"]


@pytest.mark.parametrize(
    ("imported", "kept"), [("house.models.net", True), ("house.models", True), ("numpy", True), ("house.data", False)]
)
def test_a_family_imports_only_what_its_list_names(imported, kept):
    graph = grimp.ImportGraph()
    for name in ("house", "house.eyes", "house.eyes.one", "house.eyes.two", "house.models", "house.models.net"):
        graph.add_module(name)
    graph.add_module("house.data")
    graph.add_module("numpy", is_squashed=True)
    graph.add_import(importer="house.eyes.one", imported="house.eyes.two")
    graph.add_import(importer="house.eyes.one", imported=imported)
    options = {"source": "house.eyes", "allowed": ["house.models"]}
    contract = MayImportOnly("one", {}, options)
    check = contract.check(graph, verbose=False)
    assert check.kept == kept
    assert check.metadata["wrong"] == ([] if kept else [("house.eyes.one", imported)])
    assert not MayImportOnly("one", {}, options | {"allowed": ["house.nets"]}).check(graph, verbose=False).kept


def test_the_default_witness_leaves_nothing_behind_and_reports_to_nobody(tmp_path):
    # ONNX Runtime would put an identifier of the machine there, and send it with what it measures
    code = "from facewitness import plugins; plugins.get('witnesses', 'compact').load()"
    environment = {k: v for k, v in os.environ.items() if k not in ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY", "CI")}
    subprocess.run([sys.executable, "-c", code], env=environment | {"HOME": str(tmp_path)}, check=True, timeout=60)
    assert list(tmp_path.rglob("*")) == []


def test_public_names_are_there():
    for name in facewitness.__all__:
        assert getattr(facewitness, name) is not None
    assert callable(facewitness.analyze)


def test_wheel_holds_every_file_of_the_package_and_nothing_else(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if name.startswith("facewitness/")}
        around = {name.split("/", 1)[1] for name in archive.namelist() if ".dist-info/" in name}
    ignored = ("__pycache__", ".DS_Store")
    beside = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and not any(part in ignored for part in path.parts)
    }
    assert inside == beside
    assert "facewitness/weights/compact.onnx" in inside
    assert {"METADATA", "entry_points.txt", "licenses/LICENSE", "licenses/NOTICE"} <= around
    sizes = {path.name: path.stat().st_size for path in (PACKAGE / "weights").glob("*.onnx")}
    assert sizes["compact.onnx"] <= 13_000_000 and sum(sizes.values()) <= 20_000_000


def test_dependencies_of_a_plain_install_hold_no_torch_and_no_opencv():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plain = {re.match(r"[\w.-]+", line).group() for line in project["dependencies"]}
    assert plain.isdisjoint({"torch", "torchvision", "timm", "opencv-python", "opencv-python-headless", "transformers"})
    assert "torch==2.13.0" in project["optional-dependencies"]["train"]


def test_every_leaf_and_file_opens_with_a_sentence():
    silent = [
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*.py")
        if not re.match(r'(#![^\n]*\n)?r?"""[A-Z"“`_]?\S', path.read_text(encoding="utf-8"))
    ]
    assert silent == []


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Public functions and methods with their names; properties and overloads are left out."""
    within: list[tuple[str, list[ast.stmt]]] = [("", tree.body)]
    while within:
        prefix, body = within.pop()
        for node in body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                within.append((f"{prefix}{node.name}.", node.body))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                worn = " ".join(ast.unparse(each) for each in node.decorator_list)
                if not re.search(r"property|setter|overload", worn):
                    yield prefix + node.name, node


def constructors(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef, str]]:
    """Constructors of public classes, with the class's name and what it and they say in docstrings."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for each in node.body:
                if isinstance(each, ast.FunctionDef) and each.name == "__init__":
                    yield node.name, each, "\n\n".join(ast.get_docstring(it) or "" for it in (each, node))


def missing_in_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef, text: str | None = None) -> list[str]:
    """What Google's style would have in a docstring and is not there; `text` in the place of the node's own."""
    text = ast.get_docstring(node) or "" if text is None else text
    sections = dict(re.findall(r"^(Args|Returns|Yields|Raises):\n((?:(?: +.*)?\n?)+)", text, re.M))
    taken = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    taken += [each for each in (node.args.vararg, node.args.kwarg) if each is not None]
    named = re.findall(r"^    (\*{0,2}\w+(?:, \*{0,2}\w+)*):", sections.get("Args", ""), re.M)
    described = {name.strip("* ") for line in named for name in line.split(",")}
    wanted = {each.arg for each in taken if each.arg not in ("self", "cls") and not each.arg.startswith("_")}
    wrong = [f"no argument {name}" for name in sorted(wanted - described)]
    wrong += [f"an argument {name} that is none" for name in sorted(described - wanted)] if wanted else []
    for each in taken:
        kind = "" if each.annotation is None else ast.unparse(each.annotation)
        words = re.search(rf"^    {each.arg}: (.*(?:\n {{8}}.*)*)", sections.get("Args", ""), re.M)
        if words and kind and not re.search(r"None|Any|object", kind) and re.search(r"; None [a-z]", words[1]):
            wrong.append(f"{each.arg} may be None by its words, and not by its type")
    returned = "" if node.returns is None else ast.unparse(node.returns)
    several = re.match(r"tuple\[(?!.*\.\.\.\])|dict\[", returned)
    if several and not {"Returns", "Yields"} & sections.keys():
        wrong.append("no Returns, though there is more than one value")
    array = re.search(r"\b(NDArray|Tensor|Pixels|Landmarks|Floats)\b", returned)
    if array and not {"Returns", "Yields"} & sections.keys():
        wrong.append("no Returns, though an array has a shape")
    if re.search(r"(?:^|[.;] )Raises [A-Z]\w+(?:Error|Name|Extra|Media)\b", text):
        wrong.append("what it raises is not under Raises:")
    return wrong


def test_public_docstrings_name_arguments_results_and_errors():
    # apps are commands, and the words that a web service shows of itself
    files = [p for p in PACKAGE.rglob("*.py") if "apps" not in p.parts and (p.stem == "__init__" or p.stem[0] != "_")]
    wrong = [
        f"{path.relative_to(PACKAGE)}, {name}: {fault}"
        for path in files
        for name, node in functions(ast.parse(path.read_text(encoding="utf-8")))
        for fault in missing_in_docstring(node)
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ["models", "train"])
def test_what_makes_a_network_or_a_run_is_told_argument_by_argument(room):
    wrong = [
        f"{path.relative_to(PACKAGE)}, {name}: {fault}"
        for path in (PACKAGE / room).glob("[a-z]*.py")
        for name, node, text in constructors(ast.parse(path.read_text(encoding="utf-8")))
        for fault in missing_in_docstring(node, text)
    ]
    assert wrong == []


def test_what_a_docstring_lacks_is_noticed():
    words = "F. Raises InputError.\n\n    Args:\n        a: x.\n        d: y.\n    "
    ((_, node),) = functions(ast.parse(f'def f(a, *b, c=1) -> tuple[int, str]:\n    """{words}"""\n'))
    assert missing_in_docstring(node) == [
        "no argument b", "no argument c", "an argument d that is none",
        "no Returns, though there is more than one value", "what it raises is not under Raises:",
    ]  # fmt: skip
    ((_, node),) = functions(
        ast.parse('def f(a: str):\n    """F.\n\n    Args:\n        a: x; None for all.\n    """\n')
    )
    assert missing_in_docstring(node) == ["a may be None by its words, and not by its type"]
    ((_, node),) = functions(ast.parse('def f() -> NDArray[np.float32]:\n    """F."""\n'))
    assert missing_in_docstring(node) == ["no Returns, though an array has a shape"]


def test_nothing_is_named_by_a_verb_where_the_field_has_a_noun():
    # testimony, reply, explanation, report, prediction
    verbs = {"said", "heard", "found", "told"}
    kept = {"train/mids.py: said"}  # a column of tables that are stored
    fields = {
        ast.Name: "id", ast.arg: "arg", ast.keyword: "arg", ast.Attribute: "attr", ast.FunctionDef: "name",
        ast.ClassDef: "name", ast.alias: "asname", ast.ExceptHandler: "name",
    }  # fmt: skip
    seen = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (field := fields.get(type(node))) and (name := getattr(node, field) or "").strip("_") in verbs:
                seen.append(f"{path.relative_to(PACKAGE).as_posix()}: {name}")
    assert set(seen) <= kept


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "manager", "misc"])
def test_no_room_is_named_after_nothing(word):
    assert [path for path in PACKAGE.rglob("*") if word in path.stem.split("_")] == []


def test_no_path_of_anyones_machine_is_written_down():
    telling = re.compile(r"(?<![\w.])/(?:work|root|home|Users)/\w")
    kinds = {".py", ".md", ".toml", ".json", ".css", ".js", ".svg", ".html"}
    files = [
        p for top in ("src", "tests", "docs", "perf", "runs") for p in (ROOT / top).rglob("*") if p.suffix in kinds
    ]
    texts = ("README.md", "SECURITY.md", "CHANGELOG.md", "LOG.md", "Makefile", "pyproject.toml")
    files += [ROOT / name for name in texts]
    this = Path(__file__)
    assert [str(p) for p in files if p != this and telling.search(p.read_text(encoding="utf-8"))] == []


def test_nobody_is_advised_to_install_a_name_that_is_not_published():
    files = [
        p for top in ("src", "docs", "perf") for p in (ROOT / top).rglob("*") if p.suffix in (".py", ".md", ".html")
    ]
    files += [ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    advice = re.compile(r"pip install (?:--?\S+ )*['\"]?facewitness\b")
    assert [str(p) for p in files if advice.search(p.read_text(encoding="utf-8"))] == []


def test_whatever_we_import_has_a_package_to_advise():
    """An extra of ours, or the name that the package has in an index: no guess by the module's name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = plugins._EXTRAS.keys() | plugins._DISTRIBUTIONS.keys() | sys.stdlib_module_names | {"facewitness"}
    line = re.compile(r"^\s*(?:from (\w+)[\w.]* import\b|import (\w+)[\w.]*(?: as \w+)?$)", re.M)
    sources = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    imported = {match[1] or match[2] for match in line.finditer(sources)}
    assert len(imported) > 60
    assert imported - known == set()
    assert set(plugins._EXTRAS.values()) <= project["optional-dependencies"].keys()
    for requirement in project["dependencies"]:
        assert re.match(r"[\w-]+", requirement)[0] in plugins._DISTRIBUTIONS.values()


@pytest.mark.slow
def test_plain_install_is_small_and_runs(tmp_path):
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True, timeout=120)
    python = environment / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", str(ROOT)], check=True, timeout=600)
    (packages,) = (environment / "lib").glob("python*/site-packages")
    assert sum(p.stat().st_size for p in packages.rglob("*") if p.is_file()) < 350e6
    listing = subprocess.run(
        [str(environment / "bin" / "facewitness"), "list"], check=True, capture_output=True, text=True
    )
    assert "facemesh" in listing.stdout
    assert "compact" in listing.stdout


def test_on_a_plain_install_measuring_says_what_to_install(tmp_path):
    """Where neither OpenCV nor pyarrow is installed: one sentence, no traceback; datasets are listed all the same."""
    code = (
        "import sys\n"
        "for name in ('cv2', 'pyarrow', 'scipy', 'sklearn'): sys.modules[name] = None\n"
        "from facewitness.apps.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)

    for words in (
        ("bench", "run", "folder", "--root", str(tmp_path), "--out", str(tmp_path / "out")),
        ("bench", "table", str(tmp_path), "--out", str(tmp_path / "out")),
        ("calibrate", "--data", str(tmp_path)),
        ("datasets", "check", "folder", str(tmp_path)),
    ):
        done = command(*words)
        assert done.returncode == 2  # a mistake in the command: this installation cannot do it
        assert "pip install '.[bench]'" in done.stderr
        assert "Traceback" not in done.stderr
    listed = command("datasets")
    assert listed.returncode == 0
    assert "celebdf          Celeb-DF, first and second version" in listed.stdout
