"""`facewitness import`: a published checkpoint under this house's names, as safetensors to train from.

Apart from everything else on purpose: no option of a witness opens a pickle.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facewitness.apps._words import ALL, writes
from facewitness.apps.train import guarded

_ABOUT = """Bring a published checkpoint of a grounding system under the names used here. It is opened in a process of
its own that reads tensors and nothing else, without a network, is held to the network that it is for, and is written
as safetensors.

  forgerytalker   LianJC/DFF-InstructBLIP-Detection
  fpn             LianJC/Face-ViT-MultiLabel
  farl            FaRL's image tower, for FiFa

examples:
  facewitness import fpn face-vit.pth --out fpn.safetensors
  facewitness import forgerytalker checkpoint.pth --partial --out talker.safetensors
  facewitness train forgerytalker … --init-from talker.safetensors fpn.safetensors                       # both in one
  facewitness import farl FaRL-Base.pth --out farl/model.safetensors     # farl/ is an encoder for train fifa then"""
_SHOWN = 3  # names in a sentence


def add_to(commands: Any) -> None:
    """Add `import` to the top parser's sub-commands."""
    parser = commands.add_parser("import", help="bring a published checkpoint under our names", description=_ABOUT)
    parser.add_argument("kind", metavar="KIND", help="forgerytalker, fpn or farl")
    parser.add_argument("checkpoint", type=Path, metavar="FILE", help=".pth, .pt, .bin or .safetensors")
    writes(parser, "--out", required=True, metavar="FILE.safetensors")
    parser.add_argument(
        "--recipe", type=Path, metavar="TOML", help="whose network it is for: the published sizes without one"
    )
    parser.add_argument(
        "--partial", action="store_true", help="take what is there, where tensors are missing or have no place"
    )
    parser.set_defaults(run=guarded(_import, "Importing", goes_on=False))


def _import(given: argparse.Namespace) -> int:
    from safetensors.torch import save_file

    from facewitness.errors import InputError, UnknownName, WeightsError
    from facewitness.files import whole, write_whole
    from facewitness.train import published

    if given.kind not in published.KINDS:
        raise UnknownName("kind of checkpoint", given.kind, published.KINDS)
    if given.out.suffix != ".safetensors":
        raise InputError(f"--out: expected a name that ends in .safetensors, got '{given.out}'")
    if given.out.is_dir():
        raise InputError(f"--out: expected the name of a file, got the folder '{given.out}'")
    if given.out.exists() and given.checkpoint.exists() and given.out.samefile(given.checkpoint):
        raise InputError(f"--out: expected another file than the one that is read, '{given.checkpoint}'")
    config = _config(given.kind, given.recipe)
    held = published.read(given.checkpoint)
    try:
        translation = published.translated(given.kind, held)
        fit = published.fitted(given.kind, translation, published.expected(given.kind, config))
    except WeightsError as error:
        raise WeightsError(f"'{given.checkpoint}': {error}") from None
    if not fit.whole and not given.partial:
        raise WeightsError(
            f"'{given.checkpoint}': expected {len(fit.tensors) + len(fit.lacking)} tensors of {given.kind}"
            f"{_of(given.recipe)}; {'; '.join(_unfit(fit))}. Name the whole file, or say --partial to take what is "
            "there: training begins with its own values for the rest."
        )
    with whole(given.out) as passing:  # from the file to the file: the largest of them fill a machine's memory
        save_file({k: v.contiguous() for k, v in fit.tensors.items()}, passing, {"format": "pt"})
    if given.kind == "farl" and given.out.name == "model.safetensors":  # a folder that transformers reads
        write_whole(given.out.with_name("config.json"), published.tower(config).encode())
    print(f"{len(fit.tensors)} tensors: {given.out}")
    for line in _unfit(fit):
        print(line)
    if fit.aside:
        print(f"without a place here, as is known of such files: {len(fit.aside)}, such as {_named(fit.aside)}")
    return ALL


def _config(kind: str, recipe: Path | None) -> dict[str, Any] | None:
    """Of a recipe's network; None for the published sizes."""
    if recipe is None:
        return None
    from facewitness.train import fifa, forgerytalker

    read: Any = fifa.Recipe.read if kind == "farl" else forgerytalker.Recipe.read
    made = read(recipe)
    config: dict[str, Any] = made.config(made.vocabulary)
    return config


def _of(recipe: Path | None) -> str:
    return " of the published size" if recipe is None else f" as '{recipe}' has it"


def _unfit(fit: Any) -> list[str]:
    lines = []
    if fit.lacking:
        parts = f" (nothing is there of: {', '.join(fit.parts)})" if fit.parts else ""
        lines.append(f"missing: {len(fit.lacking)}, such as {_named(fit.lacking)}{parts}")
    if fit.left:
        lines.append(f"left over: {len(fit.left)}, such as {_named(fit.left)}")
    return lines


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN])
