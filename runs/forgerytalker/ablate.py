"""Tables 4, 5 and 7 of ForgeryTalker's paper in their shape, by small networks trained apart for a few steps each.

    python runs/forgerytalker/ablate.py runs/forgerytalker/small.toml --pack PACK --init-from ENCODER --out DIR

Table 4   no FPN, FPN, and an oracle that is told the true areas; Table 5   without pretraining, and its five ratios
λ1 : λ2 : λ3 : λ4. Table 7   ω, the convolution branch and Dice, by the FPN's PLM. Beside them a network of the same
size that learns masks alone, for as many steps. Every run sees the same pictures in the same order; seeds differ in
weights, order and words. Runs of one seed share the FPN, and those that are pretrained alike share that. Every run goes
on from its checkpoint; what is done stands in DIR/runs.json and is not done again. ablation.md has each difference with
its interval beside the paper's: with so few steps it says which way a switch turns, and not how far. Beside CIDEr
stands the true report's log-likelihood a token (−L_t), which is steadier where words have only begun to be learned.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facewitness.apps.script import script
from facewitness.bench import measures
from facewitness.bench.wording import Corpus, tokenize
from facewitness.files import write_whole
from facewitness.models import forgerytalker as ft
from facewitness.train import edits, forgerytalker, reports
from facewitness.train.forgerytalker import Drawn, Recipe, Stage
from facewitness.train.measuring import constant, dealt, jaccard, overlap

BATCH = 8
RATIOS = ((1.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 2.0), (1.0, 1.0, 2.0, 1.0), (1.0, 2.0, 1.0, 1.0))
NO_FPN = {"enrich": False, "fpn_prompt": False}
PROMPTERS: Mapping[str, dict[str, Any]] = {  # Table 7
    "ViT, ω = 1": {"omega": 1.0, "dice": False, "convolved": 0},
    "ViT, ω = 0.2": {"omega": 0.2, "dice": False, "convolved": 0},
    "FPN, ω = 0.2": {"omega": 0.2, "dice": False},
    "FPN, ω = 0.2 and Dice": {"omega": 0.2, "dice": True},
}
SYSTEMS: Mapping[str, dict[str, Any]] = {  # Tables 4 and 5, and what makes masks alone
    "with FPN": {},
    "without FPN": {"network": NO_FPN},
    "FPN-GT": {"oracle": True},
    "without pretraining": {"pretrain": None},
    "masks alone": {"pretrain": None, "words": False, "network": NO_FPN},
}
COLUMNS = ("−L_t", "CIDEr", "ROUGE-L", "IoU", "precision", "recall", "PLM of the words")
PAPER: Sequence[tuple[str, str, str, float]] = (  # this, over that, in what, by how much in the paper (−L_t: in CIDEr)
    ("with FPN", "without FPN", "−L_t", 7.6), ("FPN-GT", "with FPN", "−L_t", 35.8),
    ("with FPN", "without pretraining", "−L_t", 4.9), ("with FPN", "1:1:1:1", "−L_t", 2.2),
    ("with FPN", "1:1:1:2", "−L_t", 0.3), ("with FPN", "1:1:2:1", "−L_t", 1.7), ("with FPN", "1:2:1:1", "−L_t", 1.4),
    ("with FPN", "without FPN", "CIDEr", 7.6), ("with FPN", "without FPN", "ROUGE-L", 1.1),
    ("with FPN", "without FPN", "IoU", 9.63), ("FPN-GT", "with FPN", "CIDEr", 35.8),
    ("FPN-GT", "with FPN", "ROUGE-L", 8.2), ("FPN-GT", "with FPN", "IoU", -6.77),
    ("with FPN", "without pretraining", "CIDEr", 4.9), ("with FPN", "without pretraining", "ROUGE-L", 0.5),
    ("with FPN", "without pretraining", "IoU", 7.8), ("with FPN", "1:1:1:1", "CIDEr", 2.2),
    ("with FPN", "1:1:1:2", "CIDEr", 0.3), ("with FPN", "1:1:2:1", "CIDEr", 1.7), ("with FPN", "1:2:1:1", "CIDEr", 1.4),
    ("with FPN", "1:1:1:1", "IoU", 1.34), ("with FPN", "1:1:1:2", "IoU", -0.37), ("with FPN", "1:1:2:1", "IoU", 0.11),
    ("with FPN", "1:2:1:1", "IoU", -0.25),
    ("ViT, ω = 0.2", "ViT, ω = 1", "PLM", 4.69), ("FPN, ω = 0.2", "ViT, ω = 0.2", "PLM", 0.24),
    ("FPN, ω = 0.2 and Dice", "FPN, ω = 0.2", "PLM", 1.89),
)  # fmt: skip
IMAGE_BLIND = "one report for every picture"
Values = dict[str, list[float]]  # of every measured picture, by column


def wanted(seeds: int) -> dict[str, dict[str, Any]]:
    """Every run by its name: what it has otherwise, the most telling ones first."""
    runs: dict[str, dict[str, Any]] = {}
    for seed in range(1, seeds + 1):
        runs |= {f"{name}, seed {seed}": {"seed": seed, **how} for name, how in SYSTEMS.items()}
        if seed == 1:
            runs |= {name: {"seed": 1, "stage": "fpn", **how} for name, how in PROMPTERS.items()}
    for ratio in RATIOS:
        runs[":".join(f"{x:g}" for x in ratio)] = {"seed": 1, "weights": ratio}
    return runs


class Bench:
    """The pictures, their features, and what earlier runs left to later ones: FPNs and pretrained networks."""

    def __init__(self, recipe: Recipe, given: argparse.Namespace):
        assert recipe.draws is not None
        self.recipe, self.given = recipe, given
        place = given.draws or given.out / "edits"
        self.made = edits.drawn(replace(recipe.draws, images=given.pictures), given.pack, place, "train")
        self.measured = edits.drawn(recipe.draws, given.pack, place, "val")
        self.rows = [i for i, row in enumerate(self.measured.rows) if row["fake"]][: given.measured]
        self.groups = [f"{self.measured.rows[i]['source']}/{self.measured.rows[i]['group']}" for i in self.rows]
        self.material: dict[int, Drawn] = {}
        self.left: dict[str, dict[str, torch.Tensor]] = {}
        self.name = forgerytalker.kept_name(given.init_from, recipe)
        self.seen: Any = None

    def told(self, seed: int) -> Drawn:
        """What is learned from, with the words of a seed."""
        if seed not in self.material:
            self.material = {seed: Drawn(self.made, seed)}
        return self.material[seed]

    def made_by(self, recipe: Recipe) -> ft.ForgeryTalker:
        """A network as training begins."""
        material = self.told(recipe.seed)
        network = forgerytalker.make(recipe, material.reports(slice(None)), self.given.init_from)
        if material.kept is None:
            material.kept = self.made.features(network.encoder, self.name)
        return network

    def run(self, name: str, how: Mapping[str, Any]) -> Values:
        """One run, measured."""
        steps = self.given.steps
        stage, prompter = (
            Stage(batch_size=BATCH, lr=1e-3, steps=n, warmup=max(2, n // 8)) for n in (steps, 3 * steps)
        )  # fmt: skip
        base = forgerytalker.changed(
            replace(self.recipe, pretrain=stage, fpn=prompter, report=stage), seed=int(how.get("seed", 1))
        )
        changes = {k: v for k, v in how.items() if k not in ("stage", "convolved")}
        if "convolved" in how:
            changes["network"] = {"fpn": {**ft.small(reports.AREAS, 8)["fpn"], "convolved": how["convolved"]}}
        recipe = forgerytalker.changed(base, **changes)
        if how.get("stage") == "fpn":
            network = self.made_by(recipe)
            self.learn(network, recipe, "fpn", name)
            return {"PLM": self.plm(network)}
        if not recipe.words:  # as many steps of the mask as the others have of both stages
            recipe = replace(recipe, report=replace(stage, steps=2 * steps))
        prompter_state = self.shared("fpn", base, f"fpn {recipe.seed}")
        begun = None
        if recipe.pretrain is not None:
            ratio = forgerytalker.changed(base, weights=recipe.weights)
            begun = self.shared("pretrain", ratio, f"pretrained {recipe.seed} {list(recipe.weights)}")
        network = self.made_by(recipe)
        network.fpn.load_state_dict(prompter_state)
        if begun is not None:
            network.load_state_dict(begun, strict=False)
        self.learn(network, recipe, "report", name)
        return self.spoken(network, recipe)

    def shared(self, name: str, recipe: Recipe, key: str) -> dict[str, torch.Tensor]:
        """What a stage that several runs begin with makes of its part of the network."""
        if key not in self.left:
            network = self.made_by(recipe)
            self.learn(network, recipe, name, key)
            tensors = network.fpn.state_dict() if name == "fpn" else network.state_dict()
            left = {k: v.clone() for k, v in tensors.items() if name == "fpn" or not k.startswith(("fpn.", "encoder."))}
            self.left[key] = left
        return self.left[key]

    def learn(self, network: ft.ForgeryTalker, recipe: Recipe, name: str, key: str) -> None:
        """One stage, which goes on where it was stopped."""
        folder = self.given.out / "state" / re.sub(r"[^\w.]+", "-", key) / name
        stage = getattr(recipe, name)
        forgerytalker.learn(network, recipe, name, stage, self.told(recipe.seed), folder, save_every=20)
        network.eval()

    def features(self, network: ft.ForgeryTalker) -> Any:
        """Of the measured pictures, once: all networks have the same encoder."""
        if self.seen is None:
            with torch.inference_mode():
                self.seen = [network.encoder(self.measured.images(self.rows[b : b + BATCH]))
                             for b in range(0, len(self.rows), BATCH)]  # fmt: skip
        return self.seen

    def blind(self) -> Values:
        """The one report that is nearest to those of forged training pictures, said of every measured one."""
        rows = [i for i, row in enumerate(self.made.rows) if row["fake"]][:300]
        told = self.told(1).reports(rows)
        corpus = Corpus(tokenize([constant(told)] * len(self.rows), "plain"),
                        [[t] for t in tokenize([self.true(i) for i in self.rows], "plain")])  # fmt: skip
        return {"CIDEr": corpus.cider().tolist(), "ROUGE-L": corpus.rouge_l().tolist()}

    def likelihood(self, network: ft.ForgeryTalker, recipe: Recipe, true: Sequence[str]) -> list[float]:
        """−L_t (equation 10) of each measured picture's true report."""
        values = []
        with torch.inference_mode():
            for at, i in enumerate(self.rows):
                features = _one(self.features(network)[at // BATCH], at % BATCH)
                prompt = network.prompt(self.measured.images([i]), features)
                named = [reports.areas(true[at])] if recipe.oracle else network.named(prompt)
                truth = self.measured.truth([i])
                values.append(-float(network.reporting(features, prompt, named, [true[at]], truth).text))
        return values

    def true(self, i: int) -> str:
        """The report of a measured picture."""
        rng = np.random.default_rng([1, i])
        made = self.measured
        size = int(made.pixels.shape[1])
        return reports.text(reports.sentences(made.rows[i], made.meshes[i], made.masks[i], size, rng))

    def plm(self, network: ft.ForgeryTalker) -> list[float]:
        """Equation 12 of what the FPN names."""
        values: list[float] = []
        with torch.inference_mode():
            for number, features in enumerate(self.features(network)):
                some = self.rows[number * BATCH : (number + 1) * BATCH]
                named = network.named(network.prompt(self.measured.images(some), features))
                values += [jaccard(n, reports.areas(self.true(i))) for n, i in zip(named, some, strict=True)]
        return values

    def spoken(self, network: ft.ForgeryTalker, recipe: Recipe) -> Values:
        """Words and masks of the measured pictures; CIDEr beside the controls'."""
        texts: list[str] = []
        true: list[str] = []
        masks = []
        for number, features in enumerate(self.features(network)):
            some = self.rows[number * BATCH : (number + 1) * BATCH]
            references = [self.true(i) for i in some]
            named: list[Any] | None = [reports.areas(t) for t in references] if recipe.oracle else None
            if not network.prompted:
                named = [() for _ in some]
            # who never learned a word is not asked for many
            spoken = network.speak_of(self.measured.images(some), features, 60 if recipe.words else 1, named)
            texts += [each.text for each in spoken]
            true += references
            masks += [overlap(s.mask, np.asarray(self.measured.masks[i], np.float32) / 255)
                      for s, i in zip(spoken, some, strict=True)]  # fmt: skip
        ious, precisions, recalls = np.array(masks).T.tolist()
        values: Values = {"IoU": ious, "precision": precisions, "recall": recalls}
        if not recipe.words:
            return values
        references_of = [[t] for t in tokenize(true, "plain")]
        shuffled = [texts[i] for i in dealt(len(texts))]
        corpus = Corpus(tokenize(texts, "plain"), references_of)
        values |= {"CIDEr": corpus.cider().tolist(), "ROUGE-L": corpus.rouge_l().tolist()}
        values["CIDEr, shuffled"] = Corpus(tokenize(shuffled, "plain"), references_of).cider().tolist()
        values["−L_t"] = self.likelihood(network, recipe, true)
        values["PLM of the words"] = [jaccard(reports.areas(a), reports.areas(b))
                                      for a, b in zip(texts, true, strict=True)]  # fmt: skip
        return values


def _one(features: Any, k: int) -> Any:
    """The features of picture k of a batch."""
    return type(features)(*(x[k : k + 1] for x in features))


def together(runs: Mapping[str, Values]) -> dict[str, list[Values]]:
    """The runs of each variant, one a seed."""
    groups: dict[str, list[Values]] = {}
    for name, values in runs.items():
        groups.setdefault(name.split(", seed")[0], []).append(values)
    return groups


def over(this: Sequence[Values], that: Sequence[Values], column: str, groups: Sequence[str]) -> measures.Value:
    """The mean difference of the seeds that both have, with an interval over the pictures' groups."""
    pairs = [np.subtract(a[column], b[column]) for a, b in zip(this, that, strict=False)]
    mean = np.nanmean(pairs, axis=0)
    return measures.ratios({"d": (mean, np.where(np.isnan(mean), np.nan, 1.0))}, groups)["d"]


def table(runs: Mapping[str, Values], groups: Sequence[str], given: argparse.Namespace) -> str:
    """The page: means over seeds with the spread behind them, and every difference beside the paper's."""
    lines = [
        f"{given.steps} steps of {BATCH} a stage (the FPN three times as many, masks alone twice) on {given.pictures} "
        f"pictures; measured on {len(groups)} forged ones of other people. ± is the spread of the seeds.", "",
        f"| run | seeds | {' | '.join(COLUMNS)} | CIDEr, shuffled |",
        "|---|---|" + "---|" * (len(COLUMNS) + 1),
    ]  # fmt: skip
    found = together(runs)
    for name, many in found.items():
        if "PLM" in many[0]:
            continue
        cells = []
        for column in (*COLUMNS, "CIDEr, shuffled"):
            means = [float(np.nanmean(v[column])) for v in many if column in v]
            cells.append(f"{np.mean(means):.3f}" + (f" ± {np.std(means):.3f}" if len(means) > 1 else "") if means
                         else "")  # fmt: skip
        title = f"{name} (2:1:1:1)" if name == "with FPN" else name
        lines.append(f"| {title} | {len(many)} | {' | '.join(cells)} |")
    lines += ["", "| prompter (Table 7) | PLM |", "|---|---|"]
    lines += [f"| {name} | {np.mean(found[name][0]['PLM']):.3f} |" for name in PROMPTERS if name in found]
    lines += ["", "| difference | seeds | here (95 %) | paper, points | sign |", "|---|---|---|---|---|"]
    for this, that, column, published in PAPER:
        if this not in found or that not in found:
            continue
        a, b = found[this], found[that]
        value = over(a, b, column, groups)
        here = f"{value.value:+.3f} ({value.low:+.3f} to {value.high:+.3f})"
        lines.append(f"| {column}: {this} − {that} | {min(len(a), len(b))} | {here} | {published:+.2f} | "
                     f"{sign(value, published)} |")  # fmt: skip
    return "\n".join(lines) + "\n"


def sign(value: measures.Value, published: float) -> str:
    """In words, whether a difference goes the paper's way."""
    if value.value is None or value.low is None or value.high is None:
        return "not measured"
    if value.low <= 0 <= value.high:
        return "open"
    return "as the paper's" if (value.value > 0) == (published > 0) else "the other way"


def main() -> None:
    """Run what is not done yet, until the time is up."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--init-from", type=Path, required=True)
    parser.add_argument("--draws", type=Path, help="where edits are kept (in --out)")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--pictures", type=int, default=960)
    parser.add_argument("--measured", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=10**6, help="no run begins later than that")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    file = given.out / "runs.json"
    done: dict[str, Values] = json.loads(file.read_text()) if file.exists() else {}
    begun = time.monotonic()
    bench = Bench(Recipe.read(given.recipe), given)
    for name, how in wanted(given.seeds).items():
        if name in done or time.monotonic() - begun > 60 * given.minutes:
            continue
        done[name] = bench.run(name, how)
        print(name, {k: round(float(np.nanmean(v)), 3) for k, v in done[name].items()}, flush=True)
        write_whole(file, json.dumps(done).encode())
        shutil.rmtree(given.out / "state" / re.sub(r"[^\w.]+", "-", name), ignore_errors=True)
    page = table(done | {IMAGE_BLIND: bench.blind()}, bench.groups, given)
    write_whole(given.out / "ablation.md", page.encode())
    print(page)


if __name__ == "__main__":
    script(main)
