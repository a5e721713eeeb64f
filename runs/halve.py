"""Stores trained weights in half precision, and says how much the network's scores change on painted faces.

    python runs/halve.py runs/kfd/kfd.safetensors runs/mare/model/fdm.safetensors

Kernels of at least 16,384 numbers become float16: nine tenths of the file. What is smaller stays as it is. Those are
the first layers, whose rounding every later one enlarges (halved, too, KFD's scores change by 0.009), and the
statistics of normalisation, which may be larger or smaller than half precision can say. The card beside the file gets
the new SHA-256. Networks are computed in float32 as before. Raises SystemExit, and leaves the file, where a score
changes by more than 0.0005.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load, save
from torch import Tensor

from facewitness import plugins
from facewitness.files import write_whole
from facewitness.models import _saved
from facewitness.models.fdm import FDM
from facewitness.models.kfd import KFD
from facewitness.train import checkpoint

MOST = 5e-4  # three digits
LARGE = 16_384


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same with float16 in place of float32 in all that is large."""
    return {k: v.half() if v.numel() >= LARGE and v.dtype == torch.float32 else v for k, v in tensors.items()}


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
    for path in parser.parse_args().files:
        content = save(halved(load(path.read_bytes())))
        beside = path.with_suffix(".json")
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


if __name__ == "__main__":
    main()
