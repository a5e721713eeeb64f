"""Traces for teaching from modules that have not seen the picture: what runs/mare/crossfit.py left, told to an expert.

A forgery disentanglement module knows the pictures it was fitted on by heart, and a language model that is taught with
its traces of them learns to believe what, of other pictures, is often wrong. So the training groups are dealt out to
parts, a module is fitted without each part, and a picture's traces are those of the module without its part, as in
stacked generalization (Wolpert 1992). In use, the module that ships is asked.

Modules that were fitted apart have other channels. `Aligned` brings one's traces to the coordinates of the module that
ships by an affine map, place by place, and reads them by that module's own classifier.

A folder holds `crossfit.json` (the modules by their SHA-256, the part of every picture by the SHA-256 of its file) and
for each part k `k/fdm.safetensors` with its card and `k/aligned.safetensors`, the map.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor, nn

from facewitness.builders.chats import Example
from facewitness.errors import InputError
from facewitness.files import read_json
from facewitness.models import prompted_vlm as pv
from facewitness.models._remembered import answered_by
from facewitness.models.fdm import FDM, Disentangled
from facewitness.models.trace_expert import TraceExpert
from facewitness.train import checkpoint

CARD, MODULE, MAP = "crossfit.json", "fdm.safetensors", "aligned.safetensors"
_TOGETHER = 16  # pictures


class Aligned(nn.Module):
    """A module in the coordinates of another one, whose classifier reads its traces.

    Args:
        module: Was fitted without a part of the groups.
        shipped: Whose coordinates and classifier.
        weight: (D, D) of the map from the module's traces to the other's.
        bias: (D,).

    Raises:
        InputError: The map does not fit the modules.
    """

    def __init__(self, module: FDM, shipped: FDM, weight: Tensor, bias: Tensor):
        super().__init__()
        theirs, mine = int(module.config["width"]), int(shipped.config["width"])
        if weight.shape != (mine, theirs) or bias.shape != (mine,):
            raise InputError(
                f"A map of traces: expected {mine} × {theirs} and {mine} numbers for these modules, got "
                f"{tuple(weight.shape)} and {tuple(bias.shape)}. Align again."
            )
        self.module, self.line = module.eval(), shipped.forgery_classifier
        self.weight, self.bias = nn.Parameter(weight, False), nn.Parameter(bias, False)

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Disentangled:
        """As the module, with traces, evidence and logit in the other's coordinates.

        Args:
            pixels: RGB (B, 3, H, W) in 0..255.
        """
        seen = self.module(pixels)
        trace = torch.einsum("ed,bdhw->behw", self.weight, seen.trace) + self.bias[:, None, None]
        evidence = torch.einsum("bdhw,d->bhw", trace, self.line.weight[0]) + self.line.bias
        return replace(seen, trace=trace, evidence=evidence, logit=evidence.mean((1, 2)))


@dataclass(frozen=True)
class Crossfit:
    """A folder of modules.

    Attributes:
        folder: Where they lie.
        aligned_to: SHA-256 of the module that ships.
        modules: SHA-256 of each part's module.
        maps: SHA-256 of each part's map.
        pictures: SHA-256 of a picture's file → its part, whose module has not seen its group.
    """

    folder: Path
    aligned_to: str
    modules: tuple[str, ...]
    maps: tuple[str, ...]
    pictures: dict[str, int]

    @classmethod
    def read(cls, folder: Path) -> Crossfit:
        """From a folder.

        Args:
            folder: As `runs/mare/crossfit.py align` left it.

        Raises:
            InputError: It is not whole.
        """
        try:
            card = read_json(folder / CARD)
            pictures = {str(name): int(part) for name, part in card["pictures"].items()}
            whole = cls(folder, str(card["aligned_to"]), tuple(card["modules"]), tuple(card["maps"]), pictures)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"'{folder}': expected the folder of cross-fitted modules ({type(error).__name__}: {error}). Make it "
                "with runs/mare/crossfit.py parts, train fdm for each part, and crossfit.py align."
            ) from None
        parts = set(range(len(whole.modules)))
        if not pictures or len(whole.maps) != len(parts) or not set(pictures.values()) <= parts:
            raise InputError(f"'{folder / CARD}': expected a module and a map for each picture's part. Align again.")
        return whole

    def module(self, part: int, shipped: FDM) -> Aligned:
        """The module that has not seen a part, in the coordinates of the one that ships.

        Args:
            part: Its number.
            shipped: That module.

        Raises:
            InputError: A file is another one than was aligned.
            WeightsError: It cannot be read.
        """
        folder = self.folder / str(part)
        for name, sha256 in ((MODULE, self.modules[part]), (MAP, self.maps[part])):
            if checkpoint.sha256(folder / name) != sha256:
                raise InputError(f"'{folder / name}' is another file than was aligned. Align again.")
        try:
            tensors = load_tensors((folder / MAP).read_bytes())
            return Aligned(FDM.load(folder / MODULE), shipped, tensors["weight"], tensors["bias"])
        except (SafetensorError, KeyError) as error:
            raise InputError(f"'{folder / MAP}' cannot be read ({error}). Align again.") from error


def tell(model: Any, processor: Any, examples: Iterable[Example], crossfit: Crossfit) -> list[int]:
    """Let the expert of a model answer for the pictures it is taught with as the modules that have not seen them do.

    The model is asked about each picture once, so that what the expert is shown is what it is shown in training.

    Args:
        model: With MARE's expert, which `look_once` made remember.
        processor: The model's own.
        examples: That are learnt from with traces.
        crossfit: The modules.

    Returns:
        How many pictures each part has.

    Raises:
        InputError: The expert is another one than was aligned to, or a picture has no part.
    """
    expert = pv.expert_of(model)
    if not isinstance(expert, TraceExpert) or expert.stored != crossfit.aligned_to:
        raise InputError(
            f"'{crossfit.folder}' is of modules aligned to {crossfit.aligned_to[:12]}…: expected a language model with "
            f"that module, got {getattr(expert, 'stored', None) or type(expert).__name__}. Align to the one in use."
        )
    parts: list[dict[str, Example]] = [{} for _ in crossfit.modules]
    for example in examples:
        for image in example.images:
            name = hashlib.sha256(image if isinstance(image, bytes) else image.read_bytes()).hexdigest()
            if name not in crossfit.pictures:
                raise InputError(
                    f"'{crossfit.folder}': expected a part for every picture that is taught with traces, got one "
                    f"without (SHA-256 {name[:12]}…). Deal out the groups of all tables."
                )
            parts[crossfit.pictures[name]][name] = replace(example, images=(image,))
    training = model.training
    model.eval()
    for number, mine in enumerate(parts):
        with answered_by(expert.fdm, crossfit.module(number, expert.fdm)):
            _show(model, processor, list(mine.values()))
    model.train(training)
    return [len(mine) for mine in parts]


@torch.no_grad()
def _show(model: Any, processor: Any, examples: Sequence[Example]) -> None:
    prompt = processor.apply_chat_template([pv.turn(model, "?")], add_generation_prompt=True, tokenize=False)
    for at in range(0, len(examples), _TOGETHER):
        shown = [picture for example in examples[at : at + _TOGETHER] for picture in example.pictures()]
        inputs = processor(
            images=shown, text=[prompt] * len(shown), padding=True, padding_side="left", return_tensors="pt",
            add_special_tokens=False,
        ).to(model.device)  # fmt: skip
        model(**inputs, logits_to_keep=1)
