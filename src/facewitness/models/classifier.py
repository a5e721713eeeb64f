"""A published picture classifier by its folder: its network, its labels, and how it wants pictures.

Three makes, told apart by what lies in the folder: GenD (`gend`), Community Forensics (`commfor`), and whatever
`AutoModelForImageClassification` has a class for. Weights are safetensors; code of a model's own is never run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load

from facewitness.errors import WeightsError
from facewitness.files import MOST_WEIGHTS, read_bounded, read_json
from facewitness.models import _hub, commfor, gend  # the last two make torchvision importable for transformers

_SETTINGS = ("config.json", "preprocessor_config.json")
_MOST_SIDE = 4_096  # pixels that a model may ask for; published ones take up to 1,024


@dataclass(frozen=True, slots=True)
class Classifier:
    """A loaded network. `logits` takes an upright picture RGB uint8 (H, W, 3) and returns one logit, or two."""

    logits: Callable[[NDArray[np.uint8]], NDArray[np.float64]]
    labels: tuple[str, ...]  # in the order of the logits
    crop: str  # what it was made for: face, aligned (GenD's crop by five points) or whole
    sha256: Mapping[str, str]  # file → hash, of weights and of the settings that are read


def open_folder(folder: Path, name: str, device: torch.device) -> Classifier:
    """The classifier in a folder with `config.json` and safetensors.

    Args:
        folder: Holds `config.json` and safetensors.
        name: Of the model, for messages.
        device: Where to compute, as torch names it.

    Raises:
        WeightsError: the folder holds none, or one whose settings are not harmless.
    """
    _hub.harmless(folder, name)
    settings = _settings(folder, name)
    whole = folder / _hub.WHOLE
    if settings.get("model_type") == "GenD" or {"backbone", "head"} <= settings.keys():
        tensors, digest = _tensors(whole, name)
        return _gend(gend.build(settings, tensors, name).to(device), digest, device)
    if not settings.get("architectures") and whole.is_file():
        tensors, digest = _tensors(whole, name)
        if commfor.known(tensors):
            network, side = commfor.build(tensors, name)
            return _commfor(network.to(device), side, digest, device)
    return _transformers(folder, name, device)


def _settings(folder: Path, name: str) -> dict[str, Any]:
    try:
        settings = read_json(folder / "config.json")
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"'{name}' has no config.json that can be read ({_hub.first(error)}). Copy it again."
        ) from error
    return settings if isinstance(settings, dict) else {}


def _tensors(path: Path, name: str) -> tuple[dict[str, torch.Tensor], str]:
    try:
        content = read_bounded(path, MOST_WEIGHTS)
        return load(content), hashlib.sha256(content).hexdigest()
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"'{name}': expected weights in {path.name} ({_hub.first(error)}). Pickles (.bin, .pt) are never read."
        ) from error


def _gend(network: gend.GenD, digest: str, device: torch.device) -> Classifier:
    def logits(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        picture = Image.fromarray(pixels).resize((gend.SIZE, gend.SIZE), network.resample)
        return _run(network, _normal(picture, network.mean, network.std), device)

    return Classifier(logits, ("real", "fake"), "aligned", {_hub.WHOLE: digest})


def _commfor(network: torch.nn.Module, side: int, digest: str, device: torch.device) -> Classifier:
    before = commfor.RESIZED.get(side, round(side * 440 / 384))

    def logits(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        picture = Image.fromarray(pixels)
        scale = before / min(picture.size)
        size = tuple(max(before, int(length * scale)) for length in picture.size)
        picture = picture.resize((size[0], size[1]), Image.Resampling.BILINEAR)
        left, top = round((size[0] - side) / 2), round((size[1] - side) / 2)
        picture = picture.crop((left, top, left + side, top + side))
        return _run(network, _normal(picture, commfor.MEAN, commfor.STD), device)

    return Classifier(logits, ("generated",), "whole", {_hub.WHOLE: digest})


def _transformers(folder: Path, name: str, device: torch.device) -> Classifier:
    import transformers

    loud = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()  # its tables of missing tensors come before our sentence
    try:
        network, loading = transformers.AutoModelForImageClassification.from_pretrained(
            folder,
            use_safetensors=True,
            output_loading_info=True,
            local_files_only=True,
            trust_remote_code=False,
        )
        processor = transformers.AutoImageProcessor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # transformers lets errors of its parts through
        raise WeightsError(
            f"'{name}' cannot be loaded as an image classifier ({_hub.first(error)}). Expected a folder with "
            "config.json, preprocessor_config.json and safetensors, of a class that transformers has."
        ) from error
    finally:
        transformers.logging.set_verbosity(loud)
    if lacking := sorted(loading["missing_keys"]):  # they would be drawn at random, another score every day
        raise WeightsError(
            f"'{name}' is no trained classifier: {len(lacking)} of its tensors are not in its weights, among them "
            f"{lacking[0]}. Name a model that was trained to tell real from fake."
        )
    network.eval().to(device)
    named = network.config.id2label
    whole = sorted(named) == [*range(len(named))]  # else one is left out: which output is which is not told
    labels = tuple(str(named[index]) if whole else f"output {index}" for index in sorted(named))

    for asked in (getattr(processor, "size", None), getattr(processor, "crop_size", None)):
        sides = [side for key, side in dict(asked or {}).items() if side is not None and "pixels" not in key]
        if not all(isinstance(side, int) and 1 <= side <= _MOST_SIDE for side in sides):
            raise WeightsError(
                f"'{name}': expected pictures of 1 to {_MOST_SIDE:,} px in preprocessor_config.json, got "
                f"{', '.join(map(str, sides)):.80}. Copy it again from where the model came."
            )

    def logits(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        if not getattr(processor, "do_resize", True):  # a picture at its own size: what fits into memory
            top, left = (max(0, (length - _MOST_SIDE) // 2) for length in pixels.shape[:2])
            pixels = pixels[top : top + _MOST_SIDE, left : left + _MOST_SIDE]
        try:
            ready = processor(images=Image.fromarray(pixels), return_tensors="pt")["pixel_values"]
        except Exception as error:  # over settings that it took without a look
            raise WeightsError(
                f"'{name}' cannot make a picture ready ({_hub.first(error)}). Copy its preprocessor_config.json again "
                "from where the model came."
            ) from error
        with torch.inference_mode():
            return network(ready.to(device)).logits[0].double().cpu().numpy()

    read = [folder / name for name in _SETTINGS if (folder / name).is_file()]  # other settings have other scores
    files = [*sorted(folder.glob("model*.safetensors")), *read]
    return Classifier(logits, labels, "face", {file.name: _sha256(file) for file in files})


def _run(network: torch.nn.Module, picture: torch.Tensor, device: torch.device) -> NDArray[np.float64]:
    with torch.inference_mode():
        return network(picture.to(device))[0].double().cpu().numpy()


def _normal(picture: Image.Image, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    values = (np.asarray(picture, np.float32) / 255.0 - np.float32(mean)) / np.float32(std)
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)[None]))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
