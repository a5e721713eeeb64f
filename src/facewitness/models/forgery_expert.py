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

from typing import Any

import torch
from torch import Tensor, nn

from facewitness.errors import WeightsError
from facewitness.models.forgery_prompt import ForgeryPromptLearner
from facewitness.models.kfd import KFD, Detection, encoders_of, is_elsewhere
from facewitness.models.prompted_vlm import pictures


class ForgeryExpert(nn.Module):
    """An `Expert` of models/prompted_vlm: pixel values → n_f forgery tokens a picture.

    encoders, detector, learner   the configurations of the three, as `of` writes them into `options`
    fingerprint   of encoder weights that come from elsewhere (a frozen CLIP) and are left out of what is saved
    Raises UnknownName for encoders that are not those of models/kfd, WeightsError where CLIP's weights are other ones
    than those the detector was trained with.
    """

    def __init__(
        self, encoders: dict[str, Any], detector: dict[str, Any], learner: dict[str, Any], fingerprint: str = ""
    ):
        super().__init__()
        made = encoders_of(encoders)
        if made.fingerprint != fingerprint:
            raise WeightsError(
                f"The detector was trained on other encoder weights than '{encoders.get('name', encoders['kind'])}' "
                f"has now: expected the fingerprint {fingerprint}, got {made.fingerprint}."
            )
        self._set(KFD(made, **detector), ForgeryPromptLearner(**learner))

    @classmethod
    def of(cls, detector: KFD, embedding: int, **learner: Any) -> ForgeryExpert:
        """Of a trained detector and a new prompt learner; `learner` has further arguments of ForgeryPromptLearner.

        embedding is the width of the language model (`width_of`).
        """
        expert = cls.__new__(cls)
        nn.Module.__init__(expert)
        expert._set(detector, ForgeryPromptLearner(embedding, levels=len(detector.encoders.channels), **learner))
        return expert

    def _set(self, detector: KFD, learner: ForgeryPromptLearner) -> None:
        self.detector, self.learner = detector.requires_grad_(False).eval(), learner
        self.n_tokens = learner.tokens
        encoders = detector.encoders
        self.options = {
            "encoders": {"kind": type(encoders).__name__, **encoders.config},
            "detector": dict(detector.config),
            "learner": dict(learner.config),
            "fingerprint": encoders.fingerprint,
        }
        if encoders.elsewhere:
            self._elsewhere = f"detector.encoders.{encoders.elsewhere}"
            self.register_state_dict_post_hook(_leave_out)
            self.register_load_state_dict_post_hook(_do_not_miss)

    def train(self, mode: bool = True) -> ForgeryExpert:
        super().train(mode)
        self.detector.eval()  # frozen: batch statistics are weights too
        return self

    def detect(self, pixel_values: Tensor, **grid: Any) -> Detection:
        """What the detector says of the pictures behind `pixel_values`; no gradient."""
        rgb = pictures(pixel_values, self.detector.encoders.size, **grid)
        with torch.no_grad(), torch.autocast(rgb.device.type, enabled=False):  # the evidence is not to be rounded
            return self.detector(rgb * 255)

    def forward(self, pixel_values: Tensor, **grid: Any) -> Tensor:
        """A family's `pixel_values` and what `pictures` needs with them → (pictures, n_f, C_emb)."""
        seen = self.detect(pixel_values, **grid)
        return self.learner(seen.map, seen.consistency, seen.score)


def _leave_out(module: Any, state: dict[str, Tensor], prefix: str, _: Any) -> None:
    for name in [k for k in state if is_elsewhere(k, prefix + module._elsewhere)]:
        del state[name]


def _do_not_miss(module: Any, incompatible: Any) -> None:
    incompatible.missing_keys[:] = [k for k in incompatible.missing_keys if module._elsewhere not in k or ".lora_" in k]
