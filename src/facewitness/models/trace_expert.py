"""MARE's road from a picture to a language model: forgery traces, place by place, in tokens that it reads as words.

    expert = TraceExpert.of(FDM.load("fdm.safetensors"), embedding=pv.width_of(model), size=128)
    pv.attach(model, expert, processor)                           pv: models/prompted_vlm
    pv.answers(model, processor, [picture], [mare.prompt("Does this face look real or fake, and why?")])

Xu et al., "MARE: Multimodal Alignment and Reinforcement for Explainable Deepfake Detection". How the forgery
disentanglement module reaches the language model is drawn in a figure there, and the text has no word on it. So the
traces F_f take the way of KFD's forgery prompt: tokens beside the picture's own. The module is trained first (section
3.5); here it is frozen, in evaluation mode and in its own precision, and only `TraceProjector` learns.

Where the paper is silent
    the tokens   one for each place of a grid over F_f, in reading order, so that the language model can tell where a
                 trace lies and put its boxes there; before them one for the score ĝ
    the grid     4 × 4: a trace map of 8 × 8 gives means over 2 × 2 places. More tokens tell more of the shape and make
                 every step of training longer
    the place    is added as a learned embedding: a language model counts tokens along a line, not on a grid
    the scale    a layer norm whose gain begins at `scale`, as in models/forgery_prompt and for the same reason
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewitness.errors import InputError, WeightsError
from facewitness.models.fdm import FDM, Disentangled
from facewitness.models.prompted_vlm import exactly, pictures

MODULE = "fdm.safetensors"  # the file of a module that is stored by itself


class TraceProjector(nn.Module):
    """Traces and score of a batch → tokens for a language model: the part of the expert that learns.

    Args:
        embedding: C_emb, the width of the language model's embeddings.
        width: D, channels of the traces.
        grid: Places along a side: grid² + 1 tokens.
        scale: Of the tokens at first, their root mean square.

    Raises:
        InputError: Numbers that are not positive.
    """

    def __init__(self, embedding: int, width: int, grid: int = 4, scale: float = 0.02):
        super().__init__()
        self.config = {"embedding": embedding, "width": width, "grid": grid, "scale": scale}
        for name, value in self.config.items():
            if value <= 0:
                raise InputError(f"TraceProjector: expected {name} above 0, got {value}")
        self.width, self.grid, self.tokens = width, grid, grid * grid + 1
        self.from_trace = nn.Conv2d(width, embedding, 1)
        self.from_score = nn.Linear(1, embedding)
        self.place = nn.Parameter(torch.randn(grid * grid, embedding) * 0.2)  # near what `from_trace` gives at first
        self.norm = nn.LayerNorm(embedding)
        nn.init.constant_(self.norm.weight, scale)

    def forward(self, trace: Tensor, score: Tensor) -> Tensor:
        """F_f (B, D, h, w) and ĝ (B,) in [0, 1] → (B, grid² + 1, C_emb); the score's token is the first.

        Heights and widths are free.

        Args:
            trace: F_f, (B, D, h, w).
            score: ĝ, (B,), in [0, 1].

        Returns:
            (B, grid² + 1, C_emb).

        Raises:
            InputError: For other shapes.
        """
        if trace.ndim != 4 or trace.shape[1] != self.width:
            raise InputError(f"trace: expected (B, {self.width}, height, width), got {tuple(trace.shape)}")
        if score.shape != (len(trace),):
            raise InputError(f"score: expected one number a picture, ({len(trace)},), got {tuple(score.shape)}")
        places = self.from_trace(F.adaptive_avg_pool2d(trace, self.grid)).flatten(2).transpose(1, 2) + self.place
        return self.norm(torch.cat([self.from_score(score[:, None])[:, None], places], dim=1))


class TraceExpert(nn.Module):
    """An `Expert` of models/prompted_vlm: pixel values → one token for the score and one for each place.

    Args:
        fdm: The configuration of the module, as `of` writes it into `options`.
        learner: That of the projector.
        size: Side of the pictures the module was trained on, pixels.
        stored: SHA-256 of the module's own file, fdm.safetensors: it is then not saved a second time, and `complete`
            takes it from there; "" saves it with the learner.

    Raises:
        InputError: A size that is not positive, and what FDM and TraceProjector raise.
    """

    def __init__(self, fdm: Mapping[str, Any], learner: Mapping[str, Any], size: int, stored: str = ""):
        super().__init__()
        self._set(FDM(**fdm), TraceProjector(**learner), size, stored)

    @classmethod
    def of(cls, fdm: FDM, embedding: int, size: int, **learner: Any) -> TraceExpert:
        """Of a trained module and a new projector; `learner` has further arguments of TraceProjector.

        embedding is the width of the language model (`prompted_vlm.width_of`). A module that was loaded from a file is
        stored there and not again.

        Args:
            fdm: A trained module.
            embedding: Width of the language model's embeddings.
            size: Of the pictures that the module sees, pixels.
            **learner: Further arguments of TraceProjector.
        """
        expert = cls.__new__(cls)
        nn.Module.__init__(expert)
        stored = str(getattr(fdm, "sha256", ""))
        expert._set(fdm, TraceProjector(embedding, int(fdm.config["width"]), **learner), size, stored)
        return expert

    def _set(self, fdm: FDM, learner: TraceProjector, size: int, stored: str) -> None:
        if size < 1:
            raise InputError(f"TraceExpert: expected a size in pixels of at least 1, got {size}")
        self.fdm, self.learner, self.size = fdm.requires_grad_(False).eval(), learner, size
        self.n_tokens, self.embedding = learner.tokens, int(learner.config["embedding"])
        self.options = {"fdm": dict(fdm.config), "learner": dict(learner.config), "size": size}
        self.options |= {"stored": stored} if stored else {}
        self.stored = stored
        if stored:
            self.register_state_dict_post_hook(_leave_out)
            self.register_load_state_dict_post_hook(_do_not_miss)

    def keep(self, folder: Path) -> None:
        """Put a copy of a module that is stored by itself into a folder, with its card, unless `complete` finds it.

        Args:
            folder: The folder of the language model.

        Raises:
            WeightsError: The file that it came from is gone, or another one.
        """
        if not self.stored or _holder([folder, folder.parent], self.stored) is not None:
            return
        file = getattr(self.fdm, "file", None)
        if file is None or _holder([file.parent], self.stored, file.name) is None:
            raise WeightsError(f"The module's file '{file}' is gone, or another one than was loaded. Put it back.")
        shutil.copyfile(file, folder / MODULE)
        shutil.copyfile(file.with_suffix(".json"), (folder / MODULE).with_suffix(".json"))

    def complete(self, folders: Sequence[Path]) -> None:
        """Take a module that is stored in a file of its own from the first of these folders that holds it.

        Args:
            folders: Where to look, in order.

        Raises:
            WeightsError: None of them does, or the file is another one.
        """
        if not self.stored:
            return
        file = _holder(folders, self.stored)
        if file is None:
            raise WeightsError(
                f"The module that the language model learned from is stored by itself, and is in none of "
                f"{', '.join(str(folder) for folder in folders)}: expected {MODULE} with SHA-256 {self.stored}. Copy "
                f"it and its .json into {folders[0]}."
            )
        module = FDM.load(file)
        self.fdm.load_state_dict(module.state_dict())
        self.fdm.file, self.fdm.sha256 = file, module.sha256

    def train(self, mode: bool = True) -> TraceExpert:
        """As torch's; the module stays in evaluation mode.

        Args:
            mode: True to train, False to evaluate.
        """
        super().train(mode)
        self.fdm.eval()  # frozen: batch statistics are weights too
        return self

    def detect(self, pixel_values: Tensor, **grid: Any) -> Disentangled:
        """What the module says of the pictures behind `pixel_values`; no gradient.

        Args:
            pixel_values: Pictures as the family's processor gives them.
            **grid: What places the patches of `pixel_values`, where the family needs it.
        """
        rgb = pictures(pixel_values, self.size, **grid)
        with torch.no_grad(), exactly(rgb):
            return self.fdm(rgb * 255)

    def forward(self, pixel_values: Tensor, **grid: Any) -> Tensor:
        """A family's `pixel_values` and what `pictures` needs with them → (pictures, grid² + 1, C_emb).

        Args:
            pixel_values: Pictures as the family's processor gives them.
            **grid: What places the patches of `pixel_values`, where the family needs it.

        Returns:
            (pictures, grid² + 1, C_emb).
        """
        seen = self.detect(pixel_values, **grid)
        return self.learner(seen.trace, seen.score)


def _holder(folders: Sequence[Path], sha256: str, name: str = MODULE) -> Path | None:
    """The file of these folders that has these bytes."""
    for folder in folders:
        if (folder / name).is_file() and hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256:
            return folder / name
    return None


def _leave_out(module: Any, state: dict[str, Tensor], prefix: str, _: Any) -> None:
    for name in [k for k in state if k.startswith(prefix + "fdm.")]:
        del state[name]


def _do_not_miss(module: Any, incompatible: Any) -> None:
    incompatible.missing_keys[:] = [
        k for k in incompatible.missing_keys if not k.startswith("fdm.") and ".fdm." not in k
    ]
