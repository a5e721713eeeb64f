"""KFD's road from a picture to a language model: the detector looks, the prompt learner turns what it saw into tokens.

    expert = ForgeryExpert.of(KFD.load("kfd.safetensors"), embedding=pv.width_of(model))
    pv.attach(model, expert, processor)                           pv: models/prompted_vlm
    pv.answers(model, processor, [picture], ["Is this a deepfake image?"])

Yu et al., "Unlocking the Capabilities of Vision-Language Models for Generalizable and Explainable Deepfake Detection",
section 3.2 and figure 2. The detector of stage 1 is frozen, always in evaluation mode and in its own precision; only
`models/forgery_prompt` learns. Both see the very `pixel_values` that the language model's own eyes see, so a saved
model needs nothing beside its processor. The detector wants an upright crop of a face, as `builders/sbi_qa` makes it.

The prompt is `###Human: <Img>E_visual</Img>E_forgery [Task description][KFD result] Is this a deepfake image?
###Assistant:`; what stands for "###Human:" and "###Assistant:" is the language model's own chat template.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from facewitness.errors import WeightsError
from facewitness.models.forgery_prompt import ForgeryPromptLearner
from facewitness.models.kfd import KFD, Detection, encoders_of, is_elsewhere
from facewitness.models.prompted_vlm import exactly, pictures

DETECTOR = "kfd.safetensors"  # the file of a detector that is stored by itself


class ForgeryExpert(nn.Module):
    """An `Expert` of models/prompted_vlm: pixel values → n_f forgery tokens a picture.

    Raises UnknownName for encoders that are not those of models/kfd, WeightsError where CLIP's weights are other ones
    than those the detector was trained with.

    Args:
        encoders, detector, learner: The configurations of the three, as `of` writes them into `options`.
        fingerprint: Of encoder weights that come from elsewhere (a frozen CLIP) and are left out of what is saved.
        stored: SHA-256 of the detector's own file, kfd.safetensors: it is then not saved a second time, and `complete`
            takes it from there; "" saves it with the learner.
    """

    def __init__(
        self,
        encoders: dict[str, Any],
        detector: dict[str, Any],
        learner: dict[str, Any],
        fingerprint: str = "",
        stored: str = "",
    ):
        super().__init__()
        made = encoders_of(encoders)
        if made.fingerprint != fingerprint:
            raise WeightsError(
                f"The detector was trained on other encoder weights than '{encoders.get('name', encoders['kind'])}' "
                f"has now: expected the fingerprint {fingerprint}, got {made.fingerprint}."
            )
        self._set(KFD(made, **detector), ForgeryPromptLearner(**learner), stored)

    @classmethod
    def of(cls, detector: KFD, embedding: int, **learner: Any) -> ForgeryExpert:
        """Of a trained detector and a new prompt learner; `learner` has further arguments of ForgeryPromptLearner.

        embedding is the width of the language model (`width_of`). A detector that was loaded from a file is stored
        there and not again.

        Args:
            detector: A trained KFD.
            embedding: Width of the language model's embeddings.
            **learner: Further arguments of the learner.
        """
        expert = cls.__new__(cls)
        nn.Module.__init__(expert)
        stored = str(getattr(detector, "sha256", ""))
        expert._set(
            detector, ForgeryPromptLearner(embedding, levels=len(detector.encoders.channels), **learner), stored
        )
        return expert

    def _set(self, detector: KFD, learner: ForgeryPromptLearner, stored: str) -> None:
        self.detector, self.learner = detector.requires_grad_(False).eval(), learner
        self.n_tokens, self.embedding = learner.tokens, int(learner.config["embedding"])
        encoders = detector.encoders
        self.options = {
            "encoders": {"kind": type(encoders).__name__, **encoders.config},
            "detector": dict(detector.config),
            "learner": dict(learner.config),
            "fingerprint": encoders.fingerprint,
        }
        self.options |= {"stored": stored} if stored else {}
        self.stored = stored
        self._elsewhere = "detector." if stored else f"detector.encoders.{encoders.elsewhere}"
        if stored or encoders.elsewhere:
            self.register_state_dict_post_hook(_leave_out)
            self.register_load_state_dict_post_hook(_do_not_miss)

    def keep(self, folder: Path) -> None:
        """Put a copy of a detector that is stored by itself into a folder, with its card, unless `complete` finds it.

        Args:
            folder: The folder.

        Raises:
            WeightsError: The file that it came from is gone, or another one.
        """
        file = getattr(self.detector, "file", None)
        for there in (folder / DETECTOR, folder.parent / DETECTOR, file):
            if there is None or not self.stored:
                continue
            if there.is_file() and hashlib.sha256(there.read_bytes()).hexdigest() == self.stored:
                if there == file and there.parent not in (folder, folder.parent):
                    shutil.copyfile(there, folder / DETECTOR)
                    shutil.copyfile(there.with_suffix(".json"), (folder / DETECTOR).with_suffix(".json"))
                return
        if self.stored:
            raise WeightsError(f"The detector's file '{file}' is gone, or another one than was loaded. Put it back.")

    def _is_elsewhere(self, name: str, prefix: str) -> bool:
        """Whether a tensor is not saved: the whole detector's, or those of a CLIP that comes by its name."""
        place = prefix + self._elsewhere
        return name.startswith(place) if self.stored else is_elsewhere(name, place)

    def complete(self, folders: Sequence[Path]) -> None:
        """Take a detector that is stored in a file of its own from the first of these folders that holds it.

        Args:
            folders: Where to look, in order.

        Raises:
            WeightsError: None of them does, or the file is another one.
        """
        if not self.stored:
            return
        for folder in folders:
            file = folder / DETECTOR
            if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == self.stored:
                encoders = self.detector.encoders if self.detector.encoders.elsewhere else None
                self.detector.load_state_dict(KFD.load(file, encoders).state_dict())
                self.detector.file = file
                return
        raise WeightsError(
            f"The detector that the language model learned from is stored by itself, and is in none of "
            f"{', '.join(str(folder) for folder in folders)}: expected {DETECTOR} with SHA-256 {self.stored}. Copy it "
            f"and its .json into {folders[0]}."
        )

    def train(self, mode: bool = True) -> ForgeryExpert:
        """As torch's; the detector stays in evaluation mode.

        Args:
            mode: True to train, False to evaluate.
        """
        super().train(mode)
        self.detector.eval()  # frozen: batch statistics are weights too
        return self

    def detect(self, pixel_values: Tensor, **grid: Any) -> Detection:
        """What the detector says of the pictures behind `pixel_values`; no gradient.

        Args:
            pixel_values: Pictures as the family's processor gives them.
            **grid: What places the patches of `pixel_values`, where the family needs it.
        """
        rgb = pictures(pixel_values, self.detector.encoders.size, **grid)
        with torch.no_grad(), exactly(rgb):
            return self.detector(rgb * 255)

    def forward(self, pixel_values: Tensor, **grid: Any) -> Tensor:
        """A family's `pixel_values` and what `pictures` needs with them → (pictures, n_f, C_emb).

        Args:
            pixel_values: Pictures as the family's processor gives them.
            **grid: What places the patches of `pixel_values`, where the family needs it.

        Returns:
            (pictures, n_f, C_emb).
        """
        seen = self.detect(pixel_values, **grid)
        return self.learner(seen.map, seen.consistency, seen.score)


def _leave_out(module: Any, state: dict[str, Tensor], prefix: str, _: Any) -> None:
    for name in [k for k in state if module._is_elsewhere(k, prefix)]:
        del state[name]


def _do_not_miss(module: Any, incompatible: Any) -> None:
    incompatible.missing_keys[:] = [
        k for k in incompatible.missing_keys if module._elsewhere not in k or (".adapter." in k and not module.stored)
    ]
