"""A model by its name on the hub or by its folder: where its files lie, fetched where they are not here yet.

    folder, commit = found("Qwen/Qwen2.5-VL-3B-Instruct", None)       its settings, the tokenizer among them
    fetched("Qwen/Qwen2.5-VL-3B-Instruct", commit, WEIGHTS)           its safetensors, never anything that can be code

What is read then is the folder, with local_files_only=True: transformers by itself asks the hub for every file, and
without a network it tries each for half a minute before it says so.

The hub is asked for what the user named and for nothing else. A name that stands in a file (the language model of an
adapter, the CLIP of a detector) is looked for in the hub's cache (`fetch=False`): a file must not send us anywhere.
`harmless` refuses a folder whose settings would make transformers run code or read pickles, and says where one brings
code of its own, which is passed over. `reads_pictures` refuses a tokenizer that is not the model's.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors import SafetensorError, safe_open

from facewitness.errors import FacewitnessError, InputError, WeightsError
from facewitness.files import MOST_WEIGHTS, at_home, ordinary, read_json

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
WEIGHTS = (WHOLE, INDEX, "model-*-of-*.safetensors")
SMALL = ("*.json", "*.jinja", "*.txt", "*.model")  # settings, tokenizer and template: all but the weights
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
AFRAID = " that may run code when it is read, and is refused."
EXAMPLE = "Qwen/Qwen2.5-VL-3B-Instruct"


def whole(model: str, revision: str | None, fetch: bool = True) -> Path:
    """The folder of a model with its weights. Raises WeightsError where it cannot be had."""
    folder, commit = located(model, revision, fetch)
    return folder if commit is None else fetched(model, commit, (*SMALL, *WEIGHTS), fetch)


def located(model: str, revision: str | None, fetch: bool = True) -> tuple[Path, str | None]:
    """The folder with at least the small files, and the commit where it is the hub's cache.

    Args:
        model: A folder, or a name on the hub.
        revision: Of a name on the hub.
        fetch: Whether the hub may be asked; False where a file named the model and no user did.

    Raises:
        WeightsError: For what is neither, or cannot be reached, and for a folder that `harmless` refuses.
        InputError: For a revision of a folder.
    """
    path = at_home(model)
    if path.is_dir():
        if revision is not None:
            raise InputError(f"'{model}' is a folder, which has no revisions; leave out revision")
        harmless(path, model)
        return path, None
    if path.is_file():
        raise WeightsError(
            f"'{model}' is a file{AFRAID if path.suffix in PICKLES else '.'} Expected the folder of a model, with "
            f"config.json, tokenizer and safetensors, or a name on the hub such as {EXAMPLE}."
        )
    if path.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1 or "\\" in model:
        raise WeightsError(f"There is no folder '{model}'.{_near(path)} Expected one that save_pretrained wrote.")
    folder = fetched(model, revision, SMALL, fetch)
    harmless(folder, model)
    return folder, folder.name  # …/snapshots/COMMIT


def _near(path: Path) -> str:
    """A hint at the folder that may be meant, or nothing."""
    try:
        beside = [p.name for p in path.parent.iterdir() if p.is_dir()]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, beside, n=1)
    return f" Did you mean '{path.parent / near[0]}'?" if near else ""


_IMPLEMENTATION = re.compile(r"_implementation(_internal)?$")  # "someone/kernel" there is fetched and run
_ELSEWHERE = re.compile(r"(?i)(hf[-_]hub|local[-_]dir)\s*:")  # timm's ways to name settings that lie elsewhere
_CODE = "name code on the hub, which is never run"
_FORBIDDEN = {  # key: what it would make transformers or timm do
    "transformers_weights": "name weights of their own, which are never read",
    "checkpoint_path": "name a checkpoint, which may be a pickle and is never read",
    "use_pretrained_backbone": "have a part fetched from the hub that nobody named",
    "use_kernels": _CODE,
    "kernel_config": _CODE,
    "custom_generate": _CODE,
}


_LAYERS = ("num_hidden_layers", "num_layers", "num_decoder_layers", "encoder_layers", "decoder_layers", "depth")
_MOST = dict.fromkeys(_LAYERS, 2_000) | {"num_labels": 1_000_000}  # of any model; more take hours to be made, or memory


def harmless(folder: Path, model: str) -> None:
    """Refuse a model whose settings would run code, read a pickle or fetch what nobody named.

    Code of a model's own (`auto_map`) is no reason to refuse it: `trust_remote_code=False` does so where transformers
    has no class for the model, and passes over the code where it has one. Which is said, on standard error.

    Raises:
        WeightsError: For such settings, for those that are no JSON object, and for a LoRA adapter.
    """
    if (folder / "adapter_config.json").exists():  # transformers would load the model that this names instead
        raise WeightsError(
            f"'{model}' is a LoRA adapter and no whole model. Merge it into its base first: PEFT's merge_and_unload(), "
            "then save_pretrained()."
        )
    for file in sorted(folder.glob("*config.json")):
        try:
            written = read_json(file)
        except (OSError, ValueError) as error:
            raise WeightsError(
                f"The settings of '{model}' cannot be read ({file.name}: {first(error)}). Fetch or copy them again."
            ) from error
        if not isinstance(written, dict):
            raise WeightsError(
                f"The settings of '{model}': expected {file.name} with names and values, {{…}}, got "
                f"{json.dumps(written):.40}. Fetch or copy them again."
            )
        for key, value in _settings(written):
            if key == "auto_map" and value:
                _tell(
                    f"{model} {file.name}",
                    f"'{model}' names code of its own (auto_map in {file.name}), which is never run: transformers' own "
                    "class for such a model is taken, and a model without one is refused.",
                )
            why = _FORBIDDEN.get(key) if value else None
            if key in _MOST and isinstance(value, int) and value > _MOST[key]:
                raise WeightsError(
                    f"The settings of '{model}': expected {key} of at most {_MOST[key]:,}, got {value!r:.40} in "
                    f"{file.name}. Copy it again from where it came."
                )
            if _IMPLEMENTATION.search(key) and "/" in json.dumps(value):
                why = _CODE
            if isinstance(value, str) and _ELSEWHERE.match(value.strip()):
                why = "name a network that lies elsewhere, which is never fetched"
            if why is not None:
                raise WeightsError(f"The settings of '{model}' {why}. Take the line with {key} out of {file.name}.")


def _settings(written: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value of settings, however deep; elements of lists under the list's key."""
    open_ = [("", written)]
    while open_:
        key, value = open_.pop()
        yield key, value
        if isinstance(value, dict):
            open_ += [(str(k), v) for k, v in value.items()]
        elif isinstance(value, list):
            open_ += [(key, v) for v in value]


_warned: set[str] = set()


def _tell(about: str, text: str) -> None:
    """A line on standard error, once about each thing."""
    if about not in _warned and sys.stderr is not None:
        _warned.add(about)
        # a model's name may come from a file, and a terminal takes no orders from that
        print(f"facewitness: {text if text.isprintable() else ascii(text)[1:-1]}", file=sys.stderr)


def reads_pictures(processor: Any, number: int | None, name: str) -> None:
    """Refuse a tokenizer that does not write the token in whose place the model puts a picture.

    With such a one every prompt seems to have no picture.

    Args:
        processor: The model's own, of pictures and text.
        number: Of the token, as the model's settings have it (`image_token_id`).
        name: Of the model, for messages.

    Raises:
        WeightsError: The tokenizer has no such token, or under another number.
    """
    token = getattr(processor, "image_token", None)
    if token is None or number is None:
        return
    if number not in processor.tokenizer(str(token), add_special_tokens=False)["input_ids"]:
        there = processor.tokenizer.get_vocab().get(token)
        got = "no such token" if there is None else f"number {there}"
        raise WeightsError(
            f"'{name}': its tokenizer does not know the picture's placeholder {token}: expected one token, number "
            f"{number} in config.json, got {got}. Copy the tokenizer's files again from where the model came."
        )


def fetched(model: str, revision: str | None, patterns: Sequence[str], fetch: bool = True) -> Path:
    """The repository's folder in the hub's cache, holding the files of these patterns. Raises WeightsError."""
    try:
        if fetch and not constants.HF_HUB_OFFLINE:
            _tell(model, f"asking {constants.ENDPOINT} for the model '{model}'")
        # A pattern's * spans folders, and those hold other formats of the same weights.
        return Path(
            snapshot_download(
                model, revision=revision, allow_patterns=list(patterns), ignore_patterns="*/*",
                local_files_only=not fetch,
            )
        )  # fmt: skip
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
        if not fetch:
            raise WeightsError(
                f"The model '{model}' is not in the hub's cache. A file names it, no command did, so it is not fetched "
                f"unasked. If you want it, run `hf download {model}` and try again."
            ) from error
        how = "HF_HUB_OFFLINE forbids the network" if constants.HF_HUB_OFFLINE else "the hub cannot be reached"
        raise WeightsError(
            f"The model '{model}' is no folder here and not complete in the hub's cache, and {how}."
            f"{_near(Path(model))} Where there is a network, run `hf download {model}` and copy the folder."
        ) from error
    except Exception as error:  # HTTP, proxies, full disks: the client lets its own libraries' errors through
        raise WeightsError(f"The model '{model}' could not be fetched from the hub ({first(error)}).") from error


def loaded(kind: Any, folder: Path, what: str, mend: str, **options: Any) -> Any:
    """A model of one of transformers' classes out of a folder: safetensors alone, no code of its own, and whole.

    Args:
        kind: The class, or an Auto class.
        folder: As `whole` or `located` gave it.
        what: The model in words, such as "The CLIP model 'x'".
        mend: A sentence that says what to do.
        **options: For `from_pretrained`, such as dtype.

    Raises:
        WeightsError: It cannot be loaded, or tensors are missing or of another shape, which would be random.
    """
    layered(folder, what)
    try:
        model, info = kind.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, output_loading_info=True,
            **options,
        )  # fmt: skip
    except FacewitnessError:
        raise
    except Exception as error:  # transformers raises anything over a broken file, or over code it may not run
        raise WeightsError(f"{what} cannot be loaded ({first(error)}). {mend}") from error
    if lacking := sorted(map(str, (*info["missing_keys"], *info["mismatched_keys"]))):
        raise WeightsError(
            f"{what} is incomplete: {len(lacking)} tensors are missing, the first is {lacking[0]}. {mend}"
        )
    finite(model, what)
    return model


def layered(folder: Path, what: str) -> None:
    """Refuse settings with far more layers than the weights beside them have: memory would be taken for all of them.

    Args:
        folder: Holds config.json and safetensors.
        what: The model in words.

    Raises:
        WeightsError: So many layers are not in the files, or one of these is no file.
    """
    try:
        names = [name for file in folder.glob("model*.safetensors") for name in _names(file)]
        settings = list(_settings(read_json(folder / "config.json")))
    except OSError as error:  # a pipe, for which transformers would wait
        raise WeightsError(f"{what} cannot be loaded ({first(error)}). Copy the folder again.") from error
    except (ValueError, SafetensorError):  # who reads the file says what is wrong with it
        return
    highest = max((int(part) for name in names for part in name.split(".") if part.isdecimal()), default=0)
    for key, value in settings if names else ():
        if key in _LAYERS and isinstance(value, int) and value > 4 * highest + 64:  # parts may be left out of a file
            raise WeightsError(
                f"{what}: config.json says {key} = {value:,}, and its weights have layers up to number {highest}. They "
                "do not belong together; copy the folder again."
            )


def _names(file: Path) -> list[str]:
    with safe_open(ordinary(file, MOST_WEIGHTS), "pt") as opened:
        return list(opened.keys())


def finite(model: Any, what: str) -> None:
    """Refuse weights that are no numbers, of which a model makes words all the same.

    Args:
        model: Of torch.
        what: The model in words.

    Raises:
        WeightsError: A tensor holds NaN or infinity.
    """
    for name, weights in model.named_parameters():
        if weights.is_meta or not weights.is_floating_point() or weights.dtype.itemsize < 2:
            continue  # elsewhere, or in numbers that are not added up
        # a sum takes no memory, as a comparison of each number would
        if not math.isfinite(weights.detach().sum(dtype=torch.float32)):
            raise WeightsError(f"{what} holds NaN or infinity in {name}. Its training ran away; take another one.")


def part(kind: Any, folder: Path, what: str, mend: str) -> Any:
    """Settings, a tokenizer or a processor out of a folder, without code of its own.

    Args:
        kind: One of transformers' Auto classes for them.
        folder: As `whole` or `located` gave it.
        what: The model in words.
        mend: A sentence that says what to do.

    Raises:
        WeightsError: It cannot be read.
    """
    try:
        return kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers and tokenizers raise anything over a broken file
        raise WeightsError(f"{what} cannot be loaded ({first(error)}). {mend}") from error


def first(error: BaseException) -> str:
    """The first line of what an error says, for a sentence."""
    if "ignore_mismatched_sizes" in str(error):
        return "its tensors have other sizes than its config.json says"
    sentence = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return re.sub(r"[.:]+$", "", sentence[:200]) or type(error).__name__
