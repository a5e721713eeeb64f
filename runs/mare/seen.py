"""Whether MARE's language model sees a picture itself, or only what its expert says of it.

    python runs/mare/seen.py MODEL dma.parquet --out MD [--count 60] [--beside OTHER]

People's replies to held-out questions are weighed (log-likelihood in nats) as they are asked, and again with what one
of the two ways to the picture carries taken from a picture of another label: the image tower's patches, or the expert's
tokens. What a way adds is how much likelier the replies are with their own picture on it. Intervals are over groups.
Beside them the mean size of the image tower's weights, for one that a decay has brought to nothing can carry little;
and how much likelier the same replies are to this model than to another one, paired.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facewitness.apps.script import script
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.models import prompted_vlm as pv
from facewitness.train import paired
from facewitness.train.measuring import means, three

WAYS = ("image tower", "expert")


class Way:
    """A module whose output can be kept and put in the place of another picture's."""

    def __init__(self, module: torch.nn.Module):
        self.kept: Any = None
        self.instead: Any = None
        module.register_forward_hook(self._hook)

    def _hook(self, _: Any, __: Any, output: Any) -> Any:
        if self.instead is None:
            self.kept = output.detach().clone()
            return None
        return self.instead


def ways_of(model: Any) -> dict[str, Way]:
    """The two ways from a picture to the words.

    Raises:
        InputError: the model lacks one.
    """
    towers = [module for name, module in model.named_modules() if name.endswith("visual.patch_embed")]
    expert = pv.expert_of(model)
    if not towers or expert is None:
        raise InputError("seen: expected a model of the Qwen family with an expert, got another one")
    return {"image tower": Way(towers[0]), "expert": Way(expert)}


def weighed(model: Any, processor: Any, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each way adds to the likelihood of each row's reply, nats; rows are genuine and forged by turns."""
    ways = ways_of(model)
    seen: list[dict[str, Any]] = []
    for row in rows:  # what each way carries
        _likelihood(model, processor, row)
        seen.append({name: way.kept for name, way in ways.items()})
    out = []
    for i, row in enumerate(rows):
        own = _likelihood(model, processor, row)
        line: dict[str, Any] = {"group": row["group"], "nats": own}
        for name, way in ways.items():
            way.instead = seen[i ^ 1][name]
            line[name] = own - _likelihood(model, processor, row)
            way.instead = None
        out.append(line)
    return out


def _likelihood(model: Any, processor: Any, row: dict[str, Any]) -> float:
    return pv.likelihoods(model, processor, paired.picture(row), row["prompt"], [row["reply"]])[0]


def by_turns(rows: Sequence[dict[str, Any]], count: int, seed: int = 0) -> list[dict[str, Any]]:
    """So many rows, genuine and forged by turns, each of another picture."""
    order = np.random.default_rng(seed).permutation(len(rows))
    first = {rows[i]["file"]: rows[i] for i in reversed(order.tolist())}
    kinds = [[row for row in first.values() if row["label"] == label] for label in ("real", "fake")]
    return [row for pair in zip(*kinds, strict=False) for row in pair][: count - count % 2]


def sizes(model: Any) -> dict[str, float]:
    """The mean size of the weights of each part of the image tower."""
    parts: dict[str, list[float]] = {}
    for name, weight in model.named_parameters():
        if "visual." in name and weight.ndim > 1:
            part = name.split("visual.")[1].split(".")[0]
            parts.setdefault(part, []).append(float(weight.detach().float().abs().mean()))
    return {part: float(np.mean(values)) for part, values in parts.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Weigh, and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("table", type=Path)
    parser.add_argument("--count", type=int, default=60, help="replies, each about another picture")
    parser.add_argument("--beside", metavar="OTHER", help="another model, to which the same replies are told")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    model, processor = pv.loaded(given.model, dtype="auto")
    asked = by_turns(paired.read(given.table), given.count)
    rows = weighed(model, processor, asked)
    if given.beside:
        other, reader = pv.loaded(given.beside, dtype="auto")
        for line, row in zip(rows, asked, strict=True):
            line["likelier"] = line["nats"] - _likelihood(other, reader, row)
    found = means(rows, ("nats", *WAYS, *(("likelier",) if given.beside else ())))
    lines = ["| way | what it adds to a reply of people, nats |", "|---|---|"]
    lines += [f"| {name} | {three(found[name])} |" for name in WAYS]
    groups, tower = len({row["group"] for row in rows}), sizes(model).items()
    lines += ["", f"{len(rows)} replies about as many pictures of {groups} groups; a reply has {three(found['nats'])} "
              f"nats. Mean size of the image tower's weights: "
              f"{', '.join(f'{part} {size:.1e}' for part, size in tower)}."]  # fmt: skip
    if given.beside:
        lines += ["", f"They are likelier than to the other model by {three(found['likelier'])} nats, paired."]
    write_whole(given.out, ("\n".join(lines) + "\n").encode())
    print("\n".join(lines))


if __name__ == "__main__":
    script(main)
