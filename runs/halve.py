"""Stores trained weights in half precision or less, and says how much the network's scores change on painted faces.

    python runs/halve.py runs/kfd/kfd.safetensors runs/mare/model/fdm.safetensors
    python runs/halve.py --bits 7 runs/kfd/model/base/model.safetensors

Kernels of at least 16,384 numbers become float16: nine tenths of the file. What is smaller stays as it is. Those are
the first layers, whose rounding every later one enlarges (halved, too, KFD's scores change by 0.009), and the
statistics of normalisation, which may be larger or smaller than half precision can say. The card beside the file gets
the new SHA-256. Networks are computed in float32 as before. Raises SystemExit, and leaves the file, where a score
changes by more than 0.0005.

With --bits N those kernels are rounded to N bits behind the leading one (float16 has 10, bfloat16 7). The file is as
long as before and read by the same programs, but the bits that are 0 take no room where git packs it. Of a language
model every reply about a painted face has to stay the same to the letter. Its kernel of patches is made one for photos.
That is a first check: what is committed was measured again on held-out faces (LOG.md).
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load, save
from torch import Tensor

from facewitness import media, plugins
from facewitness.apps.script import script
from facewitness.files import write_whole
from facewitness.models import _saved
from facewitness.models.fdm import FDM
from facewitness.models.kfd import KFD
from facewitness.train import checkpoint
from facewitness.types import Track

MOST = 5e-4  # three digits
LARGE = 16_384


def halved(tensors: Mapping[str, Tensor], bits: int = 10) -> dict[str, Tensor]:
    """The same with float16 in all that is large, rounded to so many bits behind the leading one."""
    if bits < 10:
        tensors = {k: once(v) if k.endswith("visual.patch_embed.proj.weight") else v for k, v in tensors.items()}
    return {
        k: rounded(v.half(), bits) if v.numel() >= LARGE and v.dtype in (torch.float32, torch.float16) else v
        for k, v in tensors.items()
    }


def once(kernel: Tensor) -> Tensor:
    """Qwen2-VL's kernel of patches (C, 3, 2, h, w) for a photo, which it is shown twice as if it were two frames.

    What both frames get is added up in the first one's part, and the second one's is 0: the same answer, and it packs.
    """
    both = kernel.float()
    return torch.stack([both.sum(dim=2), torch.zeros_like(both[:, :, 0])], dim=2).to(kernel.dtype)


def rounded(values: Tensor, bits: int) -> Tensor:
    """Float16 of the same shape, each number the nearest that has 0 in all but its first so many bits; ties to even."""
    if bits == 10:
        return values
    drop = 10 - bits
    raw = values.contiguous().view(torch.int16).numpy().view(np.uint16).astype(np.uint32)
    raw = (raw + (1 << (drop - 1)) - 1 + ((raw >> drop) & 1)) >> drop << drop
    return torch.from_numpy(raw.astype(np.uint16).view(np.int16).copy()).view(torch.float16)


def replies(model: Path) -> list[str]:
    """What the language model in a folder replies about the painted faces of `val`, as its witness has it."""
    expert = json.loads((model / "prompted.json").read_text(encoding="utf-8"))["expert"]["class"]
    if expert.endswith(":TraceExpert"):
        name, weights = "mare", model / "fdm.safetensors"
    else:
        name, weights = "kfd", model.parent / "kfd.safetensors"
    witness: Any = plugins.load("witnesses", name, {"weights": str(weights), "language": str(model)})
    finder: Any = plugins.load("finders", "facemesh", {})
    out = []
    for sample in plugins.get("datasets", "painted").samples(split="val"):
        clip = media.read(sample.image)
        for face in finder.find(clip.frame):
            reply = witness.examine(Track(0, (face,)), clip).reply
            out.append("" if reply is None else reply.text)
    return out


def scores(path: Path) -> list[float]:
    """What a detector says of the painted faces of `val`, 1 means fake."""
    model: KFD | FDM
    if _saved.kind_of(path) == "kfd":
        model = KFD.load(path).eval()
        size = model.encoders.size
    else:
        model = FDM.load(path).eval()
        size = int(json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["crop"]["size"])
    out = []
    for sample in plugins.get("datasets", "painted").samples(split="val"):
        picture = Image.open(io.BytesIO(sample.image)).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float()
        with torch.inference_mode():
            out.append(float(model(pixels).score))
    return out


def main() -> None:
    """Halve each file that is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("files", type=Path, nargs="+", metavar="WEIGHTS.safetensors")
    parser.add_argument("--bits", type=int, choices=range(4, 11), default=10, help="that are kept, of float16's 10")
    given = parser.parse_args()
    for path in given.files:
        with safe_open(path, "pt") as file:  # "format", which transformers asks for
            metadata = file.metadata()
        content = save(halved(load(path.read_bytes()), given.bits), metadata)
        beside = path.with_suffix(".json")
        if path.parent.name == "base":  # a language model's own
            _replace_base(path, content)
            continue
        if not beside.exists():  # a part of a language model, which has the detector's own tensors in it
            write_whole(path, content)
            print(f"{path}: {len(content) / 1e6:.1f} MB")
            continue
        with tempfile.TemporaryDirectory() as folder:
            trial = Path(folder) / path.name
            trial.write_bytes(content)
            card = json.loads(beside.read_text(encoding="utf-8")) | {"sha256": checkpoint.sha256(trial)}
            trial.with_suffix(".json").write_text(json.dumps(card, indent=2), encoding="utf-8")
            change = float(np.abs(np.subtract(scores(path), scores(trial))).max())
            if change > MOST:
                raise SystemExit(f"{path}: a score changes by {change:.5f}, more than {MOST}; left as it is")
            for name in (trial, trial.with_suffix(".json")):
                shutil.copyfile(name, path.with_name(name.name))
        print(f"{path}: {len(content) / 1e6:.1f} MB, scores of painted faces change by at most {change:.5f}")


def _replace_base(path: Path, content: bytes) -> None:
    """Put a language model's weights in the place of those it has, where it replies the same with them."""
    model = path.parent.parent
    with tempfile.TemporaryDirectory() as folder:  # its detector lies in it or beside it
        trial = Path(folder, "system", "model")
        shutil.copytree(model, trial)
        for detector in model.parent.glob("*.safetensors"):
            for name in (detector, detector.with_suffix(".json")):
                shutil.copyfile(name, trial.parent / name.name)
        (trial / path.relative_to(model)).write_bytes(content)
        before, after = replies(model), replies(trial)
    changed = sum(a != b for a, b in zip(before, after, strict=True))
    if changed:
        raise SystemExit(f"{path}: {changed} of {len(before)} replies about painted faces change; left as it is")
    write_whole(path, content)
    packed = len(zlib.compress(content)) / 1e6
    print(
        f"{path}: {len(content) / 1e6:.1f} MB, {packed:.1f} packed; {len(before)} replies about painted faces as before"
    )


if __name__ == "__main__":
    script(main)
