"""`facewitness import`: a published checkpoint under this house's names, as safetensors to train from.

Apart from everything else on purpose: no option of a witness opens a pickle.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from facewitness.apps._words import ALL
from facewitness.apps.train import guarded

_ABOUT = """Bring a published checkpoint of a grounding system under the names used here. It is opened in a process of
its own that reads tensors and nothing else, without a network, and is written as safetensors.

  forgerytalker   LianJC/DFF-InstructBLIP-Detection
  fpn             LianJC/Face-ViT-MultiLabel
  farl            FaRL's image tower, for FiFa

example:
  facewitness import fpn face-vit.pth --out fpn.safetensors"""


def add_to(commands: Any) -> None:
    """Add `import` to the top parser's sub-commands."""
    parser = commands.add_parser("import", help="bring a published checkpoint under our names", description=_ABOUT)
    parser.add_argument("kind", metavar="KIND", help="forgerytalker, fpn or farl")
    parser.add_argument("checkpoint", type=Path, metavar="FILE", help=".pth, .pt, .bin or .safetensors")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.safetensors")
    parser.set_defaults(run=guarded(_import, "Importing"))


def _import(given: argparse.Namespace) -> int:
    from safetensors.torch import save

    from facewitness.errors import InputError, UnknownName
    from facewitness.files import write_whole
    from facewitness.train import published

    if given.kind not in published.KINDS:
        raise UnknownName("kind of checkpoint", given.kind, published.KINDS)
    if given.out.suffix != ".safetensors":
        raise InputError(f"--out: expected a name that ends in .safetensors, got '{given.out}'")
    translation = published.translated(given.kind, published.read(given.checkpoint))
    write_whole(given.out, save({k: v.contiguous() for k, v in translation.tensors.items()}))
    print(f"{len(translation.tensors)} tensors: {given.out}")
    if translation.left:
        print(f"{len(translation.left)} have no place here, such as {', '.join(sorted(translation.left)[:4])}")
    return ALL
