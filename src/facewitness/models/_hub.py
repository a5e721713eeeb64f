"""A model by its name on the hub or by its folder: where its files lie, fetched where they are not here yet.

    folder, commit = found("Qwen/Qwen2.5-VL-3B-Instruct", None)       its settings, the tokenizer among them
    fetched("Qwen/Qwen2.5-VL-3B-Instruct", commit, WEIGHTS)           its safetensors, never anything that can be code

What is read then is the folder, with local_files_only=True: transformers by itself asks the hub for every file, and
without a network it tries each for half a minute before it says so.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from facewitness.errors import InputError, WeightsError

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
WEIGHTS = (WHOLE, INDEX, "model-*-of-*.safetensors")
SMALL = ("*.json", "*.jinja", "*.txt", "*.model")  # settings, tokenizer and template: all but the weights
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
AFRAID = " that may run code when it is read, and is refused."
EXAMPLE = "Qwen/Qwen2.5-VL-3B-Instruct"


def whole(model: str, revision: str | None) -> Path:
    """The folder of a model with its weights. Raises WeightsError where it cannot be had."""
    folder, commit = found(model, revision)
    return folder if commit is None else fetched(model, commit, (*SMALL, *WEIGHTS))


def found(model: str, revision: str | None) -> tuple[Path, str | None]:
    """The folder with at least the small files, and the commit where it is the hub's cache.

    Raises WeightsError for what is neither, or cannot be reached, InputError for a revision of a folder.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        if revision is not None:
            raise InputError(f"'{model}' is a folder, which has no revisions; leave out revision")
        return path, None
    if path.is_file():
        raise WeightsError(
            f"'{model}' is a file{AFRAID if path.suffix in PICKLES else '.'} Expected the folder of a model, with "
            f"config.json, tokenizer and safetensors, or a name on the hub such as {EXAMPLE}."
        )
    if path.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1 or "\\" in model:
        raise WeightsError(f"There is no folder '{model}'.{_near(path)} Expected one that save_pretrained wrote.")
    folder = fetched(model, revision, SMALL)
    return folder, folder.name  # …/snapshots/COMMIT


def _near(path: Path) -> str:
    """A hint at the folder that may be meant, or nothing."""
    try:
        beside = [p.name for p in path.parent.iterdir() if p.is_dir()]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, beside, n=1)
    return f" Did you mean '{path.parent / near[0]}'?" if near else ""


def fetched(model: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """The repository's folder in the hub's cache, holding the files of these patterns. Raises WeightsError."""
    try:
        # A pattern's * spans folders, and those hold other formats of the same weights.
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(patterns), ignore_patterns="*/*"))
    except GatedRepoError as error:
        why = "asks for its terms to be accepted. Accept them on its page, and run `hf auth login`"
        raise WeightsError(f"The model '{model}' {why}.") from error
    except RevisionNotFoundError as error:
        raise WeightsError(f"The model '{model}' has no revision '{revision}' on the hub.") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise WeightsError(
            f"There is no model '{model}', neither a folder here nor a public name on the hub.{_near(Path(model))} "
            f"Expected a name such as {EXAMPLE}; for a private one, run `hf auth login` first."
        ) from error
    except LocalEntryNotFoundError as error:
        how = "HF_HUB_OFFLINE forbids the network" if constants.HF_HUB_OFFLINE else "the hub cannot be reached"
        raise WeightsError(
            f"The model '{model}' is no folder here and not complete in the hub's cache, and {how}."
            f"{_near(Path(model))} Where there is a network, run `hf download {model}` and copy the folder."
        ) from error
    except Exception as error:  # HTTP, proxies, full disks: the client lets its own libraries' errors through
        raise WeightsError(f"The model '{model}' could not be fetched from the hub ({first(error)}).") from error


def first(error: BaseException) -> str:
    """The first line of what an error says, for a sentence."""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return re.sub(r"[.:]+$", "", said[:200]) or type(error).__name__
