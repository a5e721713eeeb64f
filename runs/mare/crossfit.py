"""Deals training groups out to parts, and brings modules that were fitted without a part to the shipped one's traces.

    python runs/mare/crossfit.py parts PACK dma.parquet … --parts 3 --out DIR            DIR/0/pack … DIR/2/pack
    facewitness train fdm runs/mare/crossfit.toml --pack DIR/k/pack --init-from … --out DIR/k      for each part k
    python runs/mare/crossfit.py align DIR --to fdm.safetensors --pack PACK              DIR/crossfit.json, crossfit.md
    facewitness train sft RECIPE --forensic dma.parquet --crossfit DIR …

parts   Groups that share a picture, or an edit and what it was made of, are one; whole ones go to a part. The pack of
        part k is PACK without the pictures of its groups (split "left_out"); groups of which no picture is asked about
        stay in all of them.
align   Modules that were fitted apart have other channels. On pictures that both hold out (split "calibrate", without
        their labels) a ridge regression takes one's traces to the other's, place by place; each channel then gets the
        spread that the shipped module's has on those faces, and the logit that the shipped classifier reads its mean
        and spread on those of them whose source is taught.

Then each module's scores of its own part, which it has not seen, stand beside the shipped module's of held-out faces:
AUC, mean and spread of the logit, and the slope of a logistic regression of the label on it, which is how much a logit
is worth; and each module's on what it was fitted on, for comparison.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save as save_tensors
from sklearn.linear_model import LogisticRegression

from facewitness.apps.script import script
from facewitness.bench import measures
from facewitness.builders import chats
from facewitness.builders.pack import Pack
from facewitness.errors import InputError
from facewitness.files import read_json, write_whole
from facewitness.models.fdm import FDM
from facewitness.train import checkpoint
from facewitness.train.crossfit import CARD, MAP, MODULE, Aligned
from facewitness.train.measuring import three

DEALT = "parts.json"
_TOGETHER = 64  # pictures


# --------------------------------------------------------------------------------------------------------- the parts


def joined(rows: Sequence[Mapping[str, Any]], asked: Sequence[Mapping[str, Any]]) -> tuple[list[str], dict[str, str]]:
    """Which rows and which pictures belong together.

    Args:
        rows: Of a pack.
        asked: Of tables of builders/dma.

    Returns:
        A name for each row of the pack, the same for rows that share a person, a frame, or a group in either; and
        SHA-256 of a picture that is asked about → such a name.
    """
    above: dict[str, str] = {}

    def root(name: str) -> str:
        while above.setdefault(name, name) != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    def join(first: str, second: str) -> None:
        first, second = sorted((root(first), root(second)))
        above[second] = first

    for row in rows:
        group = f"pack/{row['source']}/{row['group']}"
        join(group, f"picture/{row['sha256']}")
        if row.get("identity"):
            join(group, f"pack/{row['identity']}")
    pictures = {}
    for row in asked:
        sha256 = hashlib.sha256(row["image"]).hexdigest()
        join(f"dma/{row['dataset']}/{row['group']}", f"picture/{sha256}")
        pictures[sha256] = f"picture/{sha256}"
    return (
        [root(f"pack/{row['source']}/{row['group']}") for row in rows],
        {sha256: root(name) for sha256, name in pictures.items()},
    )


def dealt(pictures: Mapping[str, str], parts: int) -> dict[str, int]:
    """Groups to parts of about as many pictures, in an order by a hash that is the same everywhere.

    Args:
        pictures: SHA-256 → group, of `joined`.
        parts: How many.

    Raises:
        InputError: Fewer groups than parts.
    """
    sizes: dict[str, int] = defaultdict(int)
    for group in pictures.values():
        sizes[group] += 1
    if not 2 <= parts <= len(sizes):
        raise InputError(f"parts: expected from 2 to {len(sizes)} parts, as many as there are groups, got {parts}")
    load, part = [0] * parts, {}
    for group in sorted(sizes, key=lambda name: (zlib.crc32(name.encode()), name)):
        part[group] = load.index(min(load))
        load[part[group]] += sizes[group]
    return part


def split(pack: Path, tables: Sequence[Path], parts: int, out: Path) -> list[int]:
    """Write the packs, and which picture is of which part.

    Returns:
        Pictures of each part.

    Raises:
        InputError: No row of the pack is left out of any part: it is of other pictures.
    """
    rows = Pack(pack).rows
    asked = [row for table in tables for row in chats.read_dma(table)]
    groups, pictures = joined(rows, asked)
    part = dealt(pictures, parts)
    if not any(group in part for group in groups):
        raise InputError(f"'{pack}': expected a pack of the pictures that are asked about, got none of them")
    of = {sha256: part[group] for sha256, group in pictures.items()}
    for number in range(parts):
        folder = out / str(number) / "pack"
        folder.mkdir(parents=True, exist_ok=True)
        left = [
            row | {"split": "left_out"} if part.get(group) == number and row["split"] == "train" else row
            for row, group in zip(rows, groups, strict=True)
        ]
        write_whole(folder / "rows.json", json.dumps(left).encode())
        for name in ("pictures.bin", "landmarks.npy", "problems.json"):
            (folder / name).unlink(missing_ok=True)
            if (pack / name).exists():
                (folder / name).symlink_to((pack / name).resolve())
    write_whole(out / DEALT, json.dumps({"parts": parts, "pictures": of}, indent=1).encode())
    return [sum(mine == number for mine in of.values()) for number in range(parts)]


# ------------------------------------------------------------------------------------------------------ the alignment


def affine(mine: NDArray[Any], theirs: NDArray[Any], ridge: float = 1e-2) -> tuple[NDArray[Any], NDArray[Any], float]:
    """The map from one module's traces to the other's.

    Args:
        mine: (N, D) at N places.
        theirs: (N, E) at the same places.
        ridge: Weight of the squared map, as a share of a channel's mean variance.

    Returns:
        (E, D) and (E,), with the other's spread in each of its channels; and the share of their variance that the plain
        regression explains.
    """
    center, target = mine.mean(0), theirs.mean(0)
    x, y = mine - center, theirs - target
    gram = x.T @ x / len(x)
    weight = np.linalg.solve(gram + ridge * np.trace(gram) / len(gram) * np.eye(len(gram)), x.T @ y / len(x)).T
    guessed = x @ weight.T
    explained = 1 - float(((y - guessed) ** 2).sum() / (y**2).sum())
    weight *= (y.std(0) / np.maximum(guessed.std(0), 1e-9))[:, None]
    return weight, target - weight @ center, explained


def spread(
    weight: NDArray[Any], bias: NDArray[Any], line: NDArray[Any], offset: float, mean: float, std: float,
    mean_to: float, std_to: float,
) -> tuple[NDArray[Any], NDArray[Any]]:  # fmt: skip
    """The map, changed along the classifier's weights alone, so that logits of one mean and spread get another one.

    Args:
        weight: (E, D) of the map.
        bias: (E,).
        line: (E,) of the classifier.
        offset: Of the classifier.
        mean: Of the logits.
        std: Of the logits.
        mean_to: That they are to have.
        std_to: That they are to have.
    """
    times = std_to / std
    plus = mean_to - times * mean
    along = line / (line @ line)  # line @ along is 1
    moved = weight + (times - 1) * np.outer(along, line @ weight)
    return moved, bias + along * ((times - 1) * (line @ bias + offset) + plus)


@torch.no_grad()
def looked(module: torch.nn.Module, pack: Pack, rows: Sequence[int], size: int) -> Iterator[Any]:
    """What a module says of rows of a pack."""
    for at in range(0, len(rows), _TOGETHER):
        pixels = np.stack([pack.square(i, size) for i in rows[at : at + _TOGETHER]]).transpose(0, 3, 1, 2)
        yield module(torch.from_numpy(pixels.copy()))


def logits(module: torch.nn.Module, pack: Pack, rows: Sequence[int], size: int) -> NDArray[np.float64]:
    """The logits of rows of a pack."""
    return np.concatenate([seen.logit.double().numpy() for seen in looked(module, pack, rows, size)])


def worth(pack: Pack, rows: Sequence[int], of: NDArray[np.float64]) -> str:
    """Cells of the table: pictures, AUC, mean and spread of the logit, its slope."""
    fake = np.array([pack.rows[i]["label"] == "fake" for i in rows])
    groups = [pack.rows[i]["group"] for i in rows]
    auc = measures.detection(fake.tolist(), (1 / (1 + np.exp(-of))).tolist(), groups, only=("auc",))["auc"]
    slope = LogisticRegression(C=1e6).fit(of[:, None], fake).coef_[0, 0] if 0 < fake.sum() < len(fake) else None
    said = "–" if auc.value is None else three((auc.value, auc.low, auc.high))
    return f"{len(rows)} | {said} | {of.mean():.2f} | {of.std():.2f} | {'–' if slope is None else f'{slope:.2f}'}"


def align(folder: Path, to: Path, pack_folder: Path) -> list[str]:
    """Fit the maps, write them and the card, and the lines of the table.

    Raises:
        InputError: A module is missing, or the pack holds nothing out.
    """
    shipped, pack = FDM.load(to), Pack(pack_folder)
    size = int(read_json(to.with_suffix(".json")).get("crop", {}).get("size", 0))
    if size < 1:
        raise InputError(f"'{to}': expected crop.size in the JSON beside it, the side of its pictures")
    told = read_json(folder / DEALT)
    part = {i: told["pictures"][row["sha256"]] for i, row in enumerate(pack.rows) if row["sha256"] in told["pictures"]}
    sources = {pack.rows[i]["source"] for i in part}
    taught = {k: [i for i, of in part.items() if of == k and pack.rows[i]["split"] == "train"]
              for k in range(told["parts"])}  # fmt: skip
    recipe = read_json(folder / "0" / "resolved.json")["recipe"]
    common = pack.indices("calibrate", recipe["sources"])
    if not common:
        raise InputError(f"'{pack_folder}': expected held-out pictures (split calibrate), got none")
    alike = [i for i in common if pack.rows[i]["source"] in sources]
    if not alike:
        raise InputError(f"'{pack_folder}': expected held-out pictures of {', '.join(sorted(sources))}, got none")
    target = np.concatenate([_places(seen.trace) for seen in looked(shipped, pack, common, size)])
    ends = logits(shipped, pack, alike, size)
    line = shipped.forgery_classifier.weight[0].detach().double().numpy()
    offset = float(shipped.forgery_classifier.bias.detach())
    lines = ["| module | asked about | pictures | AUC | logit, mean | spread | slope | traces explained |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    asked = {"held out (calibrate)": common,
             "… of the taught source": alike,
             "val, of the taught source": pack.indices("val", sources),
             "what it was fitted on": [i for rows in taught.values() for i in rows]}  # fmt: skip
    lines += [f"| the one in use | {name} | {worth(pack, rows, logits(shipped, pack, rows, size))} | |"
              for name, rows in asked.items() if rows]  # fmt: skip
    modules, maps = [], []
    for k in range(told["parts"]):
        module = FDM.load(folder / str(k) / MODULE)
        weight, bias, explained = affine(
            np.concatenate([_places(seen.trace) for seen in looked(module, pack, common, size)]), target
        )
        plain = logits(_aligned(module, shipped, weight, bias), pack, alike, size)
        weight, bias = spread(weight, bias, line, offset, plain.mean(), plain.std(), ends.mean(), ends.std())
        moved = _aligned(module, shipped, weight, bias)
        tensors = {"weight": moved.weight.data.contiguous(), "bias": moved.bias.data.contiguous()}
        write_whole(folder / str(k) / MAP, save_tensors(tensors))
        modules.append(checkpoint.sha256(folder / str(k) / MODULE))
        maps.append(checkpoint.sha256(folder / str(k) / MAP))
        own = {**asked, "what it was fitted on": [i for of, rows in taught.items() if of != k for i in rows],
               "its part, which it has not seen": taught[k]}  # fmt: skip
        lines += [
            f"| without part {k} | {name} | {worth(pack, rows, logits(moved, pack, rows, size))} | {explained:.2f} |"
            for name, rows in own.items() if rows
        ]  # fmt: skip
    card = {"aligned_to": checkpoint.sha256(to), "modules": modules, "maps": maps, "pictures": told["pictures"]}
    write_whole(folder / CARD, json.dumps(card, indent=1).encode())
    write_whole(folder / "crossfit.md", ("\n".join(lines) + "\n").encode())
    return lines


def _aligned(module: FDM, shipped: FDM, weight: NDArray[Any], bias: NDArray[Any]) -> Aligned:
    return Aligned(module, shipped, torch.from_numpy(weight).float(), torch.from_numpy(bias).float())


def _places(trace: torch.Tensor) -> NDArray[np.float64]:
    """(B, D, h, w) → (B · h · w, D)."""
    return trace.permute(0, 2, 3, 1).flatten(0, 2).double().numpy()


def main(arguments: Sequence[str] | None = None) -> None:
    """Deal out, or align."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    deal = commands.add_parser("parts", help="deal the groups out, and write a pack for each part")
    deal.add_argument("pack", type=Path)
    deal.add_argument("tables", type=Path, nargs="+", help="all that is taught with traces: dma.parquet …")
    deal.add_argument("--parts", type=int, default=3)
    deal.add_argument("--out", type=Path, required=True)
    brought = commands.add_parser("align", help="bring each part's module to the traces of the one in use")
    brought.add_argument("folder", type=Path)
    brought.add_argument("--to", type=Path, required=True, help="fdm.safetensors of the module in use")
    brought.add_argument("--pack", type=Path, required=True, help="the whole pack")
    given = parser.parse_args(arguments)
    if given.command == "parts":
        counts = split(given.pack, given.tables, given.parts, given.out)
        print(f"{given.out}: {' + '.join(f'{count:,}' for count in counts)} pictures")
    else:
        print("\n".join(align(given.folder, given.to, given.pack)))


if __name__ == "__main__":
    script(main)
