"""A fine-tuned model that is asked about pictures, and remembers on disk what it answered.

Mining and measuring take minutes on a shared core. A killed run that is begun again asks only what it was not answered.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from facewitness.types import Pixels


def remembered(
    ask: Callable[[Sequence[Pixels], Sequence[str]], Sequence[str]], model: str, file: Path
) -> Callable[[Sequence[Pixels], Sequence[str]], list[str]]:
    """The same as `ask`, answered from a file of JSON lines where it can be.

    Args:
        ask: Pictures (RGB uint8, each (H, W, 3)) and their prompts → answers.
        model: What tells this model, and how it is asked, from others.
        file: Grows by a line an answer; a line that was cut off is left out.
    """
    known: dict[str, str] = {}
    if file.exists():
        for line in file.read_text().splitlines():
            try:
                known.update([json.loads(line)])
            except ValueError:
                continue

    def asked(pixels: Sequence[Pixels], prompts: Sequence[str]) -> list[str]:
        keys = [
            hashlib.sha256(one.tobytes() + json.dumps([one.shape, prompt, model]).encode()).hexdigest()[:32]
            for one, prompt in zip(pixels, prompts, strict=True)
        ]
        new = [i for i, key in enumerate(keys) if key not in known]
        if new:
            said = ask([pixels[i] for i in new], [prompts[i] for i in new])
            found = [(keys[i], text) for i, text in zip(new, said, strict=True)]
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a") as out:
                out.writelines("\n" + json.dumps(pair) for pair in found)
            known.update(found)
        return [known[key] for key in keys]

    return asked


def model(folder: Path, max_tokens: int, file: Path) -> Callable[[Sequence[Pixels], Sequence[str]], list[str]]:
    """A folder of `facewitness train sft`, to be asked; the weights are read when the first new question comes.

    Args:
        folder: Of the model.
        max_tokens: Of an answer, at most.
        file: Where answers are remembered.
    """
    digest = hashlib.sha256()
    for weights in sorted(folder.rglob("*.safetensors")):
        digest.update(weights.read_bytes())
    loaded: list[Any] = []

    def ask(pixels: Sequence[Pixels], prompts: Sequence[str]) -> list[str]:
        from facewitness.models import prompted_vlm as pv  # torch

        if not loaded:
            network, processor = pv.loaded(str(folder), dtype="auto")
            loaded.extend([network.float(), processor])
        return pv.answers(*loaded, list(pixels), list(prompts), max_tokens)

    return remembered(ask, f"{digest.hexdigest()} {max_tokens}", file)
