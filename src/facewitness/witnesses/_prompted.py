"""A language model from a folder or the hub, asked about one crop of a face: what lets a witness speak."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from facewitness.errors import BackendError, FacewitnessError, InputError, WeightsError
from facewitness.models._remembered import look_once
from facewitness.types import Pixels

_KEPT = 64 << 20  # bytes of what the expert saw of the latest pictures


def check(witness: str, language: object) -> None:
    """Raises InputError for an option that names no model and is none that can be asked."""
    if not (language is None or isinstance(language, str) or callable(getattr(language, "answer", None))):
        raise InputError(
            f"{witness}: expected language as a folder, a hub name or an object that has answer(…), got {language!r}"
        )


class Prompted:
    """A model of `train/sft` or `train/grpo`, or a plain one; `weights` are its files' SHA-256 by their names."""

    def __init__(self, name: str, device: str, max_tokens: int):
        from facewitness.models import prompted_vlm as pv  # transformers: only where somebody is to speak

        import transformers  # isort: skip  (after prompted_vlm, which mends torchvision for it)

        transformers.utils.logging.disable_progress_bar()  # loading takes a moment; the command has a bar of its own
        self._ask, self._weigh, self._draw, self._max_tokens = pv.answers, pv.likelihoods, pv.drawn, max_tokens
        model, self.processor = pv.loaded(name, dtype="auto")
        self.model = model.to(device)
        self.expert = pv.expert_of(model)  # None of a plain model
        if self.expert is not None:
            look_once(self.expert, _KEPT)  # several replies about one picture are weighed with one look
        folder = Path(name)
        self.name, self.taught = folder.name, pv.taught(name)
        # a model by its hub's name has no files here
        files = sorted(folder.rglob("*.safetensors")) if folder.is_dir() else []
        self.weights = {
            f"{folder.name}/{file.relative_to(folder).as_posix()}": hashlib.sha256(file.read_bytes()).hexdigest()
            for file in files
        }

    def rests_on(self, witness: str, part: str, module: nn.Module, file: Path) -> None:
        """Raises WeightsError where the words rest on another module than the score, or belong to another witness.

        part   what the expert calls its copy of the module, which may be in half precision: they need only be near
        A plain model has no expert, and rests on the picture alone.
        """
        if self.expert is None:
            return
        theirs = getattr(self.expert, part, None)
        if theirs is None:
            raise WeightsError(
                f"The language model in '{self.name}' was fine-tuned for another witness than {witness}. "
                "Name a folder that train/sft or train/grpo made with this witness's module."
            )
        ours, other = module.state_dict(), theirs.state_dict()
        same = ours.keys() == other.keys() and all(
            ours[k].shape == other[k].shape
            and torch.allclose(ours[k].float(), other[k].float().to(ours[k].device), rtol=1e-2, atol=1e-3)
            for k in ours
        )
        if not same:
            raise WeightsError(
                f"The language model in '{self.name}' learned from the traces of another module than '{file}', from "
                "which the score would come. Name the module that it was fine-tuned with (train/sft --detector)."
            )

    def likelihoods(
        self,
        crop: Pixels,
        question: str,
        replies: Sequence[str],
        before: Sequence[tuple[str, str]] = (),
        ended: bool = True,
    ) -> list[float]:
        """The log-likelihood of each reply, or of how it begins where it is not `ended`.

        Raises:
            BackendError: The model cannot tell.
        """
        try:
            return self._weigh(self.model, self.processor, crop, question, replies, before, ended)
        except (FacewitnessError, RuntimeError) as error:
            raise BackendError(f"The language model {self.name} could not weigh its replies: {error}") from error

    def answer(self, crop: Pixels, question: str, before: Sequence[tuple[str, str]] = ()) -> str:
        """The likeliest reply, after earlier questions and answers.

        Raises:
            BackendError: The model cannot give one.
        """
        try:
            return self._ask(self.model, self.processor, [crop], [question], self._max_tokens, [before])[0]
        except (FacewitnessError, RuntimeError) as error:  # torch's RuntimeError is also for too little memory
            raise BackendError(f"The language model {self.name} could not answer: {error}") from error

    def draws(
        self, crop: Pixels, question: str, count: int, temperature: float, seed: int,
        between: tuple[str, str] | None = None,
    ) -> list[str]:  # fmt: skip
        """Replies drawn to one question, the same for the same seed; `between` as `prompted_vlm.drawn` takes it.

        Raises:
            BackendError: The model cannot give any.
        """
        try:
            return self._draw(
                self.model, self.processor, crop, question, count, temperature, seed, self._max_tokens, between
            )
        except (FacewitnessError, RuntimeError) as error:
            raise BackendError(f"The language model {self.name} could not answer: {error}") from error
