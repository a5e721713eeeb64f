"""What a run leaves to go on from: its state, its commit, the digests of its data, and whether a folder is its own."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import math
import os
import subprocess
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from facewitness import files as reading
from facewitness.errors import InputError, WeightsError
from facewitness.files import held, is_there, write_whole

MOST = 10**12  # bytes of a file whose digest is taken: more than any weights have

P = ParamSpec("P")
R = TypeVar("R")

# --------------------------------------------------------------------------------------------------- whose a folder is


def alone(train: Callable[P, R]) -> Callable[P, R]:
    """A function that trains, of which no two write into one folder at a time.

    Of the processes that share a run, the first one keeps the others' runs out.

    Args:
        train: With an argument `out`, the folder of the run.

    Returns:
        The same; it raises InputError where another process writes there.
    """

    @functools.wraps(train)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if os.environ.get("RANK", "0") != "0":
            return train(*args, **kwargs)
        out = Path(inspect.signature(train).bind(*args, **kwargs).arguments["out"])
        new = not out.exists()
        try:
            with held(out / ".lock"):
                return train(*args, **kwargs)
        finally:
            if new:
                with suppress(OSError):  # it holds something, as it should
                    out.rmdir()

    return run


# ---------------------------------------------------------------------------------------------- where it comes from


def commit() -> str | None:
    """The git commit of this code, "+" behind it where files differ from it; None outside a repository."""
    folder = Path(__file__).parent
    try:
        outputs = [
            subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=30, check=True).stdout
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--", "."))
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return outputs[0].strip() + ("+" if outputs[1].strip() else "")


def sha256(path: Path) -> str:
    """Of a file's bytes.

    Args:
        path: Of the file.

    Raises:
        InputError: Where it cannot be read; a pipe or a device is not opened.
    """
    try:
        return reading.sha256(path, MOST)
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror}). Name another file.") from error


# ------------------------------------------------------------------------------------------- the state to go on from


def write_state(
    file: Path, model: Mapping[str, Tensor], optimizer: Any, about: Mapping[str, str], **more: Mapping[str, Tensor]
) -> None:
    """Everything a run needs to go on, in one file that is replaced whole: `model.…`, `optimizer.…`, and more tensors.

    Args:
        file: The state's file, which is replaced whole.
        model: Tensors by name.
        optimizer: Of torch.
        about: What `read_state` gives back with them: the step, and whatever tells this run from others.
        **more: Kinds → further tensors by name.
    """
    state = {f"{kind}.{name}": value for kind, part in {"model": model, **more}.items() for name, value in part.items()}
    for i, slots in optimizer.state_dict()["state"].items():
        state |= {f"optimizer.{i}.{name}": value for name, value in slots.items()}
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    write_whole(file, save(tensors, dict(about)))


def read_state(file: Path) -> tuple[dict[str, str], dict[str, dict[str, Tensor]]] | None:
    """(about, {"model": tensors by name, "optimizer": …, …}) of what `write_state` wrote; None where nothing is.

    Args:
        file: The state's file, which is replaced whole.

    Returns:
        `about`, and the tensors by kind and name.

    Raises:
        WeightsError: For a damaged file.
    """
    if not file.exists():
        return None
    parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
    try:
        with safe_open(file, "pt") as opened:
            about = dict(opened.metadata() or {})
            for key in opened.keys():  # noqa: SIM118  (it is no mapping)
                kind, _, name = key.partition(".")
                parts[kind][name] = opened.get_tensor(key)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"'{file}' cannot be read ({error}). Delete it to begin again.") from error
    return about, parts


def same_state(out: Path, about: Mapping[str, str]) -> None:
    """Refuse to go on from the state of another run than the one that is wanted; an older state says less of its own.

    Args:
        out: Folder of the state.
        about: What tells this run from others.

    Raises:
        InputError: Something in `about` differs from what the state says.
    """
    try:
        with safe_open(out / "resume.safetensors", "pt") as opened:
            there = opened.metadata() or {}
    except (OSError, SafetensorError):  # none, or a damaged one, which `read_state` tells
        return
    if other := [name for name, value in about.items() if there.get(name, value) != value]:
        raise InputError(
            f"'{out}' holds a run of another {' and another '.join(other)}. Name another folder, or delete it to begin "
            "again."
        )


def begun_with(*files: Path | None) -> str:
    """The digests of the weights that a run begins with, for what tells it from others.

    Args:
        *files: Of weights; None where there are none.

    Raises:
        InputError: One cannot be read.
    """
    return " ".join(sha256(file) for file in files if file is not None) or "nothing"


def weights_of(model: str) -> str | None:
    """The digest of the weights in a language model's folder, and of those in the folder that it names as its base.

    Args:
        model: A folder, or a name on the hub.

    Returns:
        SHA-256; None for a name on the hub, of which the revision in the recipe tells, and for what is no model.

    Raises:
        InputError: A file cannot be read.
    """
    folder = Path(model)
    if not model or not any(is_there(folder / name) for name in ("config.json", "prompted.json")):
        return None
    weights = sorted(file for pattern in ("*.safetensors", "*/*.safetensors") for file in folder.glob(pattern))
    lines = [f"{file.relative_to(folder).as_posix()} {sha256(file)}" for file in weights]
    try:
        base = json.loads((folder / "prompted.json").read_text(encoding="utf-8"))["base"]
    except (OSError, ValueError, KeyError, TypeError):
        base = None
    if isinstance(base, str) and Path(base).is_absolute():
        lines.append(f"base {weights_of(base)}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def step_of(line: str) -> float:
    """The field "step" of a line of JSON; infinity, later than all others, of one that a kill cut off.

    Args:
        line: Of a log in JSON lines.
    """
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def restore(optimizer: Any, tensors: Mapping[str, Tensor]) -> None:
    """Put an optimizer's tensors back, as `read_state` gave them: "<parameter's number>.<slot>".

    Args:
        optimizer: Of torch.
        tensors: As `read_state` gave them.
    """
    slots: dict[int, dict[str, Tensor]] = defaultdict(dict)
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        slots[int(number)][name] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": dict(slots)})


# ------------------------------------------------------------------------------------------------- runs of a trainer


def last_checkpoint(out: Path) -> Path | None:
    """The newest checkpoint of a run that is whole: the trainer writes trainer_state.json last.

    Args:
        out: Folder of the run.
    """
    steps = (folder.name.rpartition("-")[2] for folder in (out / "checkpoints").glob("checkpoint-*"))
    for step in sorted((int(step) for step in steps if step.isdecimal()), reverse=True):
        folder = out / "checkpoints" / f"checkpoint-{step}"
        if _state(folder).get("global_step") == step:
            return folder
    return None


def steps_done(out: Path) -> int:
    """The step of the newest whole checkpoint of a run, 0 where it has none.

    Args:
        out: Folder of the run.
    """
    last = last_checkpoint(out)
    return 0 if last is None else int(last.name.rpartition("-")[2])


def tokens(last: Path) -> int:
    """How many tokens a run had read when it wrote a checkpoint, as its log has it; 0 where that says nothing.

    Args:
        last: The checkpoint.
    """
    log = _state(last).get("log_history")
    rows = [row["num_tokens"] for row in log if "num_tokens" in row] if isinstance(log, list) else []
    return int(rows[-1]) if rows else 0


def _state(folder: Path) -> dict[str, Any]:
    """The trainer's state in a checkpoint; empty where there is none, or half of one."""
    try:
        state = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def same_run(out: Path, facts: Mapping[str, Any]) -> None:
    """Refuse to go on with another run than the one that began in a folder.

    Args:
        out: Folder of the run.
        facts: What tells this run from others.

    Raises:
        InputError: The folder holds checkpoints of a run with another recipe, other data, another detector or another
            model to begin with.
    """
    try:
        before = json.loads((out / "resolved.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if not isinstance(before, dict):
        return
    new = json.loads(json.dumps(facts))
    kept = ("recipe", "steps", "data", "detector_sha256", "crossfit_sha256")  # the last of runs that have one
    other = [name for name in kept if before.get(name) != new.get(name)]
    begun = "model_sha256"  # which earlier runs did not write down
    other += [begun] if before.get(begun, new.get(begun)) != new.get(begun) else []
    if other and last_checkpoint(out) is not None:
        raise InputError(
            f"'{out}' holds a run with another {' and '.join(other)}. Name another folder, or delete it to begin again."
        )
