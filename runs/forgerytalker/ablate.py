"""Tables 4, 5 and 7 of ForgeryTalker's paper in their shape, by small networks trained apart for a few steps each.

    python runs/forgerytalker/ablate.py runs/forgerytalker/small.toml --pack PACK --init-from ENCODER --out DIR

Table 4   no FPN, FPN, and an oracle that is told the true areas; Table 5   without pretraining, and its five ratios
λ1 : λ2 : λ3 : λ4; both by CIDEr, ROUGE-L and IoU. Table 7   ω, the convolution branch and Dice, by the FPN's PLM.
Every run sees the same pictures in the same order; seeds differ in weights, order and words. What is done stands in
DIR/runs.json and is not done again. With so few steps a table says which way a switch turns, and not how far.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facewitness.bench.wording import Corpus, tokenize
from facewitness.files import write_whole
from facewitness.models import forgerytalker as ft
from facewitness.train import edits, forgerytalker, reports
from facewitness.train.forgerytalker import Drawn, Recipe, Stage
from facewitness.train.measuring import jaccard, overlap

BATCH = 16
RATIOS = ((1.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 2.0), (1.0, 1.0, 2.0, 1.0), (1.0, 2.0, 1.0, 1.0))
PROMPTERS: Mapping[str, dict[str, Any]] = {  # Table 7
    "ViT, ω = 1": {"omega": 1.0, "dice": False, "convolved": 0},
    "ViT, ω = 0.2": {"omega": 0.2, "dice": False, "convolved": 0},
    "FPN, ω = 0.2": {"omega": 0.2, "dice": False},
    "FPN, ω = 0.2 and Dice": {"omega": 0.2, "dice": True},
}


def wanted(seeds: int) -> dict[str, dict[str, Any]]:
    """Every run by its name: what it has otherwise, the most telling ones first."""
    runs: dict[str, dict[str, Any]] = {name: {"stage": "fpn", **how} for name, how in PROMPTERS.items()}
    for seed in range(1, seeds + 1):
        runs[f"FPN, seed {seed}"] = {"seed": seed}
        runs[f"no FPN, seed {seed}"] = {"seed": seed, "network": {"enrich": False, "fpn_prompt": False}}
        runs[f"oracle, seed {seed}"] = {"seed": seed, "oracle": True}
        runs[f"no pretraining, seed {seed}"] = {"seed": seed, "pretrain": None}
    for ratio in RATIOS:
        runs[":".join(f"{x:g}" for x in ratio)] = {"seed": 1, "weights": ratio}
    return runs


class Bench:
    """The pictures, their features, and what earlier runs left to later ones: FPNs and pretrained networks."""

    def __init__(self, recipe: Recipe, given: argparse.Namespace):
        assert recipe.draws is not None
        self.recipe, self.given = recipe, given
        place = given.draws or given.out / "edits"
        self.made = edits.drawn(recipe.draws, given.pack, place, "train")
        self.made.rows = self.made.rows[: given.pictures]
        self.measured = edits.drawn(recipe.draws, given.pack, place, "val")
        self.rows = [i for i, row in enumerate(self.measured.rows) if row["fake"]][: given.measured]
        self.left: dict[str, dict[str, torch.Tensor]] = {}
        self.name = forgerytalker.kept_name(given.init_from, recipe)
        self.seen: Any = None

    def run(self, how: Mapping[str, Any]) -> dict[str, float]:
        """One run, measured."""
        stage = Stage(batch_size=BATCH, lr=1e-3, steps=self.given.steps, warmup=5)
        changes = {k: v for k, v in how.items() if k in ("seed", "network", "oracle", "omega", "dice", "weights")}
        if "convolved" in how:
            fpn = {**ft.small(reports.AREAS, 8)["fpn"], "convolved": how["convolved"]}
            changes["network"] = {"fpn": fpn}
        recipe = forgerytalker.changed(replace(self.recipe, pretrain=None, fpn=stage, report=stage), **changes)
        material = Drawn(self.made, recipe.seed)
        network = forgerytalker.make(recipe, material.reports(slice(None)), self.given.init_from)
        material.kept = self.made.features(network.encoder, self.name)
        folder = self.given.out / "state" / str(time.time_ns())
        if how.get("stage") == "fpn":
            self.learn(network, recipe, "fpn", replace(stage, steps=3 * self.given.steps), material, folder)
            return {"PLM": self.plm(network)}
        key = f"fpn {recipe.seed}"
        if key not in self.left:
            self.learn(network, recipe, "fpn", replace(stage, steps=3 * self.given.steps), material, folder)
            self.left[key] = {k: v.clone() for k, v in network.fpn.state_dict().items()}
        network.fpn.load_state_dict(self.left[key])
        if "pretrain" not in how:
            key = f"pretrained {recipe.seed} {recipe.weights}"
            if key not in self.left:
                self.learn(network, recipe, "pretrain", stage, material, folder)
                self.left[key] = {k: v.clone() for k, v in network.state_dict().items() if not k.startswith("fpn.")}
            network.load_state_dict(self.left[key], strict=False)
        self.learn(network, recipe, "report", stage, material, folder)
        return self.told(network, recipe)

    def learn(
        self, network: ft.ForgeryTalker, recipe: Recipe, name: str, stage: Stage, material: Drawn, folder: Path
    ) -> None:
        """One stage."""
        forgerytalker.learn(network, recipe, name, stage, material, folder / name, save_every=10**6)
        network.eval()

    def features(self, network: ft.ForgeryTalker) -> Any:
        """Of the measured pictures, once: all networks have the same encoder."""
        if self.seen is None:
            with torch.inference_mode():
                self.seen = [network.encoder(self.measured.images(self.rows[b : b + BATCH]))
                             for b in range(0, len(self.rows), BATCH)]  # fmt: skip
        return self.seen

    def true(self, i: int) -> str:
        """The report of a measured picture."""
        rng = np.random.default_rng([1, i])
        made = self.measured
        size = int(made.pixels.shape[1])
        return reports.text(reports.sentences(made.rows[i], made.meshes[i], made.masks[i], size, rng))

    def plm(self, network: ft.ForgeryTalker) -> float:
        """Equation 12 of what the FPN names."""
        values = []
        with torch.inference_mode():
            for number, features in enumerate(self.features(network)):
                some = self.rows[number * BATCH : (number + 1) * BATCH]
                named = network.named(network.prompt(self.measured.images(some), features))
                values += [jaccard(n, reports.areas(self.true(i))) for n, i in zip(named, some, strict=True)]
        return float(np.mean(values))

    def told(self, network: ft.ForgeryTalker, recipe: Recipe) -> dict[str, float]:
        """Words and masks of the measured pictures."""
        texts, true, ious = [], [], []
        for number, features in enumerate(self.features(network)):
            some = self.rows[number * BATCH : (number + 1) * BATCH]
            references = [self.true(i) for i in some]
            named = [reports.areas(t) for t in references] if recipe.oracle else None
            if not network.prompted:
                named = [() for _ in some]
            spoken = network.speak_of(self.measured.images(some), features, 60, named)
            texts += [each.text for each in spoken]
            true += references
            ious += [overlap(s.mask, np.asarray(self.measured.masks[i], np.float32) / 255)[0]
                     for s, i in zip(spoken, some, strict=True)]  # fmt: skip
        corpus = Corpus(tokenize(texts, "plain"), [[t] for t in tokenize(true, "plain")])
        plm = np.mean([jaccard(reports.areas(a), reports.areas(b)) for a, b in zip(texts, true, strict=True)])
        return {"CIDEr": float(corpus.cider().mean()), "ROUGE-L": float(corpus.rouge_l().mean()),
                "IoU": float(np.mean(ious)), "PLM": float(plm)}  # fmt: skip


def table(runs: Mapping[str, Mapping[str, float]], given: argparse.Namespace) -> str:
    """The page: means over seeds, the spread behind them."""
    lines = [
        f"{given.steps} steps of {BATCH} a stage (the FPN three times as many) on {given.pictures} pictures; measured "
        f"on {given.measured} forged ones of other people.", "",
        "| run | seeds | CIDEr | ROUGE-L | IoU | PLM of the words |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    groups: dict[str, list[Mapping[str, float]]] = {}
    for name, values in runs.items():
        if "CIDEr" in values:
            groups.setdefault(name.split(", seed")[0], []).append(values)
    for name, many in groups.items():
        cells = [f"{np.mean(column):.3f}" + (f" ± {np.std(column):.3f}" if len(many) > 1 else "")
                 for column in ([v[k] for v in many] for k in ("CIDEr", "ROUGE-L", "IoU", "PLM"))]  # fmt: skip
        lines.append(f"| {name} | {len(many)} | {' | '.join(cells)} |")
    lines += ["", "| prompter (Table 7) | PLM |", "|---|---|"]
    lines += [f"| {name} | {runs[name]['PLM']:.3f} |" for name in PROMPTERS if name in runs]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is not done yet, until the time is up."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--init-from", type=Path, required=True)
    parser.add_argument("--draws", type=Path)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--pictures", type=int, default=1200)
    parser.add_argument("--measured", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=10**6)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    file = given.out / "runs.json"
    done: dict[str, dict[str, float]] = json.loads(file.read_text()) if file.exists() else {}
    begun, bench = time.monotonic(), None
    for name, how in wanted(given.seeds).items():
        if name in done or time.monotonic() - begun > 60 * given.minutes:
            continue
        bench = bench or Bench(Recipe.read(given.recipe), given)
        done[name] = bench.run(how)
        print(name, done[name], flush=True)
        write_whole(file, json.dumps(done, indent=1).encode())
        write_whole(given.out / "ablation.md", table(done, given).encode())
    print(table(done, given))


if __name__ == "__main__":
    main()
