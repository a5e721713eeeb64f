"""Table 3 at small size: MIDS with and without masked results, frozen and unfrozen, beside the anchor alone.

    python runs/ffaa/table3.py CALIBRATE.parquet VAL.parquet --unseen UNSEEN.parquet \\
        --init-from src/facewitness/weights/compact.onnx --out OUT

The tables are those of mine.py. Every row of the table and seed is trained by runs/ffaa/mids-small.toml with `masked`
and `unfreeze` changed, on features that are computed once. Writes runs/ffaa/table3.json after each run: accuracy, AUC,
average precision, sACC over the sources, easy and hard, the mean over the seeds and the difference to the anchor, with
95 % intervals over groups drawn anew; the shares of easy faces in each source (Figures 6 and 8); how certain easy and
hard faces are to be judged, by all seeds together and by the one that OUT/mids.onnx holds (the published row, SHIPPED);
what a decision takes in ONNX on one core. The factors in that file are those of its own seed.

"acc" is of the forgery score at 0.5, "acc of the chosen answer" of what that answer says, which on an easy face nobody
can change.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import onnxruntime
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.stats import rankdata

from facewitness.apps.script import script
from facewitness.bench.measures import sacc
from facewitness.calibration import logit, sigmoid
from facewitness.files import write_whole
from facewitness.grammars import ffa_cot
from facewitness.models import mids as model
from facewitness.models import minilm
from facewitness.train import mids

HERE = Path(__file__).parent
ROWS = {1: (False, 0), 2: (False, 2), 3: (True, 0), 4: (True, 2)}  # Table 3's ID -> masked, unfrozen
DRAWS = 500
SHIPPED = 0  # the seed of OUT/mids.onnx


def drawn_groups(rows: Sequence[mids.Mined]) -> list[np.ndarray]:
    """DRAWS draws of whole people or videos, as numbers of rows."""
    groups = np.array([f"{row.dataset}/{row.group}" for row in rows])
    members = {name: np.flatnonzero(groups == name) for name in np.unique(groups)}
    rng, names = np.random.default_rng(0), np.array(sorted(members))
    return [np.concatenate([members[n] for n in rng.choice(names, len(names))]) for _ in range(DRAWS)]


def auc(truth: np.ndarray, score: np.ndarray) -> float:
    """The area under the ROC curve, by ranks: many times faster than scikit-learn's on a few hundred rows."""
    positive = int(truth.sum())
    return float((rankdata(score)[truth].sum() - positive * (positive + 1) / 2) / (positive * (len(truth) - positive)))


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    """The mean of precisions at each threshold, by how much recall it adds; equal scores are one threshold."""
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    found = np.cumsum(truth[order])[ends]
    return float(np.sum(np.diff(found, prepend=0) / found[-1] * found / (ends + 1)))


class Judged:
    """What one system said of each row: its forgery score, and what the answer that it stands by says."""

    def __init__(self, rows: Sequence[mids.Mined], fake: np.ndarray, said_fake: np.ndarray):
        self.rows, self.fake = rows, fake
        self.truth = np.array([row.label == "fake" for row in rows])
        self.easy = np.array([row.easy for row in rows])
        self.sources = np.array([row.dataset for row in rows])
        self.right = {"acc": (fake >= 0.5) == self.truth, "acc of the chosen answer": said_fake == self.truth}
        self._drawn: list[dict[str, float | None]] = []

    def drawn(self, draws: Sequence[np.ndarray]) -> list[dict[str, float | None]]:
        """The numbers of each draw, computed once."""
        if not self._drawn:
            self._drawn = [self.of(at) for at in draws]
        return self._drawn

    def of(self, at: np.ndarray) -> dict[str, float | None]:
        """Every number over some rows; None where it cannot be."""
        found: dict[str, float | None] = {}
        for name, which in (("", at), (" easy", at[self.easy[at]]), (" hard", at[~self.easy[at]])):
            truth, score = self.truth[which], self.fake[which]
            both = len(which) and truth.any() and not truth.all()
            for kind, right in self.right.items():
                found[kind + name] = float(right[which].mean()) if len(which) else None
            found["auc" + name] = auc(truth, score) if both else None
            found["ap" + name] = average_precision(truth, score) if both else None
        big = [s for s in np.unique(self.sources) if (self.sources == s).sum() >= 5]
        right, there = self.right["acc"][at], self.sources[at]
        found["sacc"] = sacc([right[there == s].mean() if (there == s).any() else None for s in big])
        return found


def measured(systems: Sequence[Judged], draws: Sequence[np.ndarray], anchor: Judged | None = None) -> dict:
    """All numbers of a system, means over its seeds, with 95 % intervals; with the anchor the differences to it too."""

    def mean(each: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
        return {
            name: None if any(one[name] is None for one in each) else float(np.mean([one[name] for one in each]))
            for name in each[0]
        }

    whole = np.arange(len(systems[0].rows))
    here = mean([system.of(whole) for system in systems])
    spread = [mean(each) for each in zip(*(system.drawn(draws) for system in systems), strict=True)]
    found = {name: [_rounded(value), *_interval([s[name] for s in spread])] for name, value in here.items()}
    if anchor is not None:
        first, others = anchor.of(whole), anchor.drawn(draws)
        for name in here:
            gains = [a[name] - b[name] for a, b in zip(spread, others, strict=True) if None not in (a[name], b[name])]
            value = None if None in (here[name], first[name]) else here[name] - first[name]
            found[f"{name}, less the anchor"] = [_rounded(value), *_interval(gains)]
    return found


def _interval(values: Sequence[float | None]) -> list[float | None]:
    kept = [value for value in values if value is not None]
    return [_rounded(float(v)) for v in np.quantile(kept, [0.025, 0.975])] if kept else [None, None]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


def anchors(rows: Sequence[mids.Mined]) -> Judged:
    """The anchor alone: what it says, as a forgery score."""
    fake = [ffa_cot.parse(row.answers[0]).fake for row in rows]
    score = np.array([0.5 if value is None else value for value in fake])
    return Judged(rows, score, np.array([row.said[0] == "fake" for row in rows]))


def judged(rows: Sequence[mids.Mined], logits: np.ndarray) -> Judged:
    """What is decided of each row."""
    found = mids.decisions(rows, logits)
    fake = np.array([0.5 if decision is None else decision.fake for decision in found])
    said = [
        decision is not None and row.said[decision.chosen] == "fake" for row, decision in zip(rows, found, strict=True)
    ]
    return Judged(rows, fake, np.array(said))


def certainty(systems: Sequence[Judged]) -> dict:
    """What easy and hard faces' log-odds are to be multiplied by: fitted on half the groups, measured on the others."""
    rows = systems[0].rows
    half = np.array([zlib.crc32(f"{row.dataset}/{row.group}".encode()) % 2 == 0 for row in rows])
    tried = np.arange(0.02, 3.01, 0.02)
    truth, easy = systems[0].truth, systems[0].easy
    odds = np.mean([np.clip(logit(system.fake), -9, 9) for system in systems], axis=0)

    def loss(values: np.ndarray, which: np.ndarray) -> float:
        p = sigmoid(values[which])
        return float(-np.log(np.where(truth[which], p, 1 - p) + 1e-12).mean())

    def factor(which: np.ndarray) -> float:
        return round(float(tried[int(np.argmin([loss(k * odds, which) for k in tried]))]), 2)

    one, easier, harder = factor(half), factor(half & easy), factor(half & ~easy)
    own = np.where(easy, easier, harder) * odds
    return {
        "easy": factor(easy), "hard": factor(~easy), "fitted on one half": {"all": one, "easy": easier, "hard": harder},
        "log loss of the other half": {
            "one factor": round(loss(one * odds, ~half), 4), "two factors": round(loss(own, ~half), 4),
        },
    }  # fmt: skip


def shares(rows: Sequence[mids.Mined], systems: Sequence[Judged]) -> dict:
    """Figures 6 and 8: of each source how many faces are easy, and how often easy and hard ones are judged rightly."""
    found = {}
    for name in (*sorted({row.dataset for row in rows}), "all"):
        at = np.array([i for i, row in enumerate(rows) if name in (row.dataset, "all")])
        each = [system.of(at) for system in systems]
        right = {
            kind: None if each[0][f"acc {kind}"] is None else round(float(np.mean([e[f"acc {kind}"] for e in each])), 3)
            for kind in ("easy", "hard")
        }
        found[name] = {"faces": len(at), "easy": round(float(np.mean([rows[i].easy for i in at])), 3), "right": right}
    return found


def timed(trained: model.MIDS, rows: Sequence[mids.Mined], recipe: mids.Recipe, out: Path, certain: dict) -> dict:
    """Milliseconds of processor time a face for three answers, on one core; `certain` goes into the file's facts."""
    texts = [ffa_cot.masked(text) for text in rows[0].answers]
    since = time.process_time()
    for _ in range(3):
        states, seen = minilm.states(texts)
    read = (time.process_time() - since) / 3
    states, seen = states[:, : recipe.read_tokens], seen[:, : recipe.read_tokens]
    places = (recipe.size // 32) ** 2 + 1
    facts = {"masked": recipe.masked, "read_tokens": recipe.read_tokens, "size": recipe.size, "certainty": certain}
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    found = {"read three answers with MiniLM in numpy": read}
    rng = np.random.default_rng(0)
    images = {f"image{k}": rng.normal(size=(3, places, c)).astype(np.float32) for k, c in ((1, 320), (2, 160))}
    crop = {"crop": rng.integers(0, 255, (1, recipe.size, recipe.size, 3), dtype=np.uint8)}
    for name, module, inputs in (
        ("fusion and classification", trained.fusion, images), ("with the image's encoder", trained, crop),
    ):  # fmt: skip
        file = out / ("mids.onnx" if module is trained else "fusion.onnx")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.export(module, file, facts, (places, places))
        session = onnxruntime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
        given = {**inputs, "text": states, "seen": seen}
        session.run(None, given)
        since = time.process_time()
        for _ in range(20):
            session.run(None, given)
        found[name] = (time.process_time() - since) / 20
    return {name: round(1000 * value, 2) for name, value in found.items()} | {"tokens": int(states.shape[1])}


def prepared(
    recipe: mids.Recipe, base: model.MIDS, sets: Mapping[str, Sequence[mids.Mined]], out: Path
) -> dict[bool, dict[str, mids.Features]]:
    """Features of each set with results masked and in sight; pictures are looked at once, and all is kept in `out`."""
    plain = {
        name: _kept(
            out / f"{name}.safetensors",
            rows,
            lambda name=name, rows=rows: mids.features(
                recipe, base, rows, minilm.states, recipe.copies if name == "mined" else 0
            ),
        )
        for name, rows in sets.items()
    }
    found = {recipe.masked: plain}
    other = replace(recipe, masked=not recipe.masked)

    def in_sight(name: str, rows: Sequence[mids.Mined]) -> mids.Features:
        text, seen = mids.texts(other, rows, minilm.states)
        return replace(plain[name], text=text, seen=seen)

    found[other.masked] = {
        name: _kept(out / f"{name}-other.safetensors", rows, lambda name=name, rows=rows: in_sight(name, rows))
        for name, rows in sets.items()
    }
    return found


def _kept(file: Path, rows: Sequence[mids.Mined], make: Callable[[], mids.Features]) -> mids.Features:
    """Features as they were stored for these very rows, or made and stored."""
    about = hashlib.sha256(json.dumps([(row.dataset, row.file, row.answers) for row in rows]).encode()).hexdigest()
    if file.exists():
        with safe_open(file, "pt") as stored:
            if stored.metadata() == {"rows": about}:
                return mids.Features(**{name: stored.get_tensor(name) for name in stored.keys()})  # noqa: SIM118
    found = make()
    file.parent.mkdir(parents=True, exist_ok=True)
    parts = {one.name: getattr(found, one.name).contiguous() for one in fields(found)}
    save_file(parts, file.with_suffix(".part"), {"rows": about})
    file.with_suffix(".part").replace(file)
    return found


def main() -> None:
    """Trains, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("mined", type=Path)
    parser.add_argument("tested", type=Path)
    parser.add_argument("--unseen", type=Path, help="a table of sources that nobody learned from")
    parser.add_argument("--init-from", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    recipe = mids.Recipe.read(HERE / "mids-small.toml")
    sets = {"mined": mids.kept(recipe, mids.read_mined(given.mined)), "seen": mids.read_mined(given.tested)}
    if given.unseen is not None:
        sets["unseen"] = mids.read_mined(given.unseen)
    mids.disjoint(**{name: [(row.dataset, row.group) for row in rows] for name, rows in sets.items()})
    tests = [name for name in sets if name != "mined"]
    anchor = {name: anchors(sets[name]) for name in tests}
    draws = {name: drawn_groups(sets[name]) for name in tests}
    results: dict = {
        "faces": {name: len(rows) for name, rows in sets.items()},
        "easy": {name: round(float(np.mean([row.easy for row in rows])), 4) for name, rows in sets.items()},
        "anchor": {name: measured([anchor[name]], draws[name]) for name in tests}, "rows": {},
    }  # fmt: skip
    began = time.process_time()
    ready = prepared(recipe, mids.make(recipe, given.init_from), sets, given.out / "features")
    every: dict[int, dict[str, list[Judged]]] = {}
    for seed in range(given.seeds):
        for number in given.rows:
            masked, unfreeze = ROWS[number]
            one = replace(recipe, masked=masked, unfreeze=unfreeze, seed=seed)
            trained = mids.train(
                one, given.mined, given.out / f"row{number}-{seed}", init_from=given.init_from,
                prepared=ready[masked]["mined"], save_every=10_000,
            )  # fmt: skip
            for name in tests:
                said = judged(sets[name], mids.logits(trained, ready[masked][name]))
                every.setdefault(number, {}).setdefault(name, []).append(said)
            results["rows"][number] = {
                name: measured(systems, draws[name], anchor[name])
                | {"each seed": [{k: _rounded(v) for k, v in s.of(np.arange(len(s.rows))).items()} for s in systems]}
                for name, systems in every[number].items()
            }
            if number == max(given.rows):
                results["shares"] = {name: shares(sets[name], every[number][name]) for name in tests}
                results["certainty"] = certainty(every[number]["seen"])
            if number == 4 and seed == SHIPPED:
                own = certainty(every[number]["seen"][-1:])
                results["mids.onnx"] = {"row": number, "seed": seed, "certainty": own}
                results["milliseconds a face"] = timed(
                    trained, sets["seen"], one, given.out, {k: own[k] for k in ("easy", "hard")}
                )
                results["parameters"] = sum(p.numel() for p in trained.parameters())
            results["seconds of processor time"] = round(time.process_time() - began)
            write_whole(HERE / "table3.json", json.dumps(results, indent=1).encode())
            shown = {name: results["rows"][number][name]["acc"] for name in tests}
            print(json.dumps({"row": number, "seeds": seed + 1, **shown}), flush=True)


if __name__ == "__main__":
    script(main)
