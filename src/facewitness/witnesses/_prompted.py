"""A language model from a folder or the hub, asked about one crop of a face: what lets a witness speak."""

from __future__ import annotations

import hashlib
from pathlib import Path

from facewitness.errors import BackendError, FacewitnessError
from facewitness.types import Pixels


class Prompted:
    """A model of `train/sft` or `train/grpo`, or a plain one; `weights` are its files' SHA-256 by their names."""

    def __init__(self, name: str, device: str, most: int):
        from facewitness.models import prompted_vlm as pv  # transformers: only where somebody is to speak

        import transformers  # isort: skip  (after prompted_vlm, which mends torchvision for it)

        transformers.utils.logging.disable_progress_bar()  # loading takes a moment; the command has a bar of its own
        self._ask, self._most = pv.answers, most
        model, self._processor = pv.loaded(name, dtype="auto")
        self._model = model.to(device)
        self.expert = pv.expert_of(model)  # None of a plain model
        folder = Path(name)
        self.name = folder.name
        # a model by its hub's name has no files here
        files = sorted(folder.rglob("*.safetensors")) if folder.is_dir() else []
        self.weights = {
            f"{folder.name}/{file.relative_to(folder).as_posix()}": hashlib.sha256(file.read_bytes()).hexdigest()
            for file in files
        }

    def answer(self, crop: Pixels, question: str) -> str:
        """The likeliest reply. Raises BackendError where the model cannot give one."""
        try:
            return self._ask(self._model, self._processor, [crop], [question], self._most)[0]
        except (FacewitnessError, RuntimeError) as error:  # torch's RuntimeError is also for too little memory
            raise BackendError(f"The language model {self.name} could not answer: {error}") from error
