"""Measures the compact witness on the `val` rows of the training tables, by the path that `facewitness analyze` takes.

    python runs/compact/evaluate.py --data DIR [--model compact.onnx] [--conditions plain,jpeg50,half,blur]

Every picture, real or fake, is decoded, degraded alike (`conditions`), encoded once more as JPEG at quality 95, and
then read, searched for a face, examined and judged. Self-made forgeries are drawn by seed from the pristine `val`
rows, one forger after the other. Faces that are not found are rows too: they have no score and are counted.

Writes `results.md`, `results.json` and `predictions.csv`.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import multiprocessing
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.progress import track
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score, roc_curve

from facewitness import geometry, media, plugins, regions
from facewitness.calibration import Calibration
from facewitness.errors import FacewitnessError
from facewitness.forge import degrade
from facewitness.judge import judge
from facewitness.types import Frame, Pixels, Sample, Track

FORGERS = ("self_blend", "region_edit", "swap", "inpaint", "resynthesise")
CONDITIONS: dict[str, Callable[[Pixels], Pixels]] = {
    "plain": lambda p: p,
    "jpeg50": lambda p: degrade.jpeg(p, 50),
    "half": lambda p: degrade.resize(p, 0.5),
    "blur": lambda p: degrade.blur(p, 1.5),
}
FLOORS = {"dfdc": (0.90, 0.96), "ffpp_c40": (0.78, 0.92), "stylegan2_photos": (0.95, 0.995), "self-made": (0.95, 0.99)}

_tools: dict[str, Any] = {}


# ----------------------------------------------------------------------------------------------------- predictions


def split_of(sample: Sample) -> str:
    """The three splits: a sixteenth of the training groups is kept for calibration."""
    return "calibrate" if sample.split == "train" and zlib.crc32(sample.group.encode()) % 16 == 0 else sample.split


def predictions(data: Path, split: str, condition: str, model: str | None, jobs: int = 2) -> list[dict[str, Any]]:
    """One row for each picture of a split and each self-made forgery of it, in a fixed order."""
    parquet = plugins.get("datasets", "parquet")
    tables = sorted(data.glob("*.parquet"))
    chosen = (s for t in tables for s in parquet.samples(t) if split_of(s) == split)
    donors: dict[str, Sample] = {}

    def tasks() -> Iterator[tuple[Sample, Sample, str | None, str]]:
        counts: dict[str, int] = defaultdict(int)
        for sample in chosen:
            yield sample, sample, None, condition
            if sample.truth.label == "real":
                donor = donors.get(sample.dataset, sample)
                donors[sample.dataset] = sample
                counts[sample.dataset] += 1
                yield sample, donor, FORGERS[counts[sample.dataset] % len(FORGERS)], condition

    everything = list(tasks())
    with multiprocessing.get_context("spawn").Pool(jobs, _load, (model,)) as pool:
        found = pool.imap(_predict, everything, chunksize=16)
        return [row for row in track(found, f"{split}, {condition}", total=len(everything)) if row is not None]


def _load(model: str | None) -> None:
    _tools["finder"] = plugins.get("finders", "facemesh").load()
    _tools["witness"] = plugins.get("witnesses", "compact").load(model=model)


def _predict(task: tuple[Sample, Sample, str | None, str]) -> dict[str, Any] | None:
    sample, donor, forger, condition = task
    finder, witness = _tools["finder"], _tools["witness"]
    picture = _decode(sample)
    label, method, mask, touched = sample.truth.label, sample.truth.method, None, None
    if forger is not None:
        faces = finder.find(Frame(picture))
        given = _decode(donor)
        others = finder.find(Frame(given))
        if not faces or not others:
            return None  # no forgery can be made of a face that is not found; the pristine row tells of it
        rng = np.random.default_rng(zlib.crc32(sample.file.encode()))
        options = {"donor": (given, others[0].landmarks)} if forger == "swap" else {}
        try:
            made = plugins.get("forge", forger).forge(picture, faces[0].landmarks, rng, **options)
        except FacewitnessError:
            return None
        picture, label, method, mask, touched = made.pixels, "fake", forger, made.mask, made.regions
    elif label == "real":
        mask, touched = np.zeros(picture.shape[:2], np.float32), frozenset()
    row: dict[str, Any] = {
        "source": sample.dataset, "file": sample.file, "group": sample.group, "label": label, "method": method,
        "self_made": forger is not None, "condition": condition, "score": None, "fake": None, "verdict": None,
    }  # fmt: skip
    clip = media.read(_encode(CONDITIONS[condition](picture)))
    frame = clip.frame
    faces = finder.find(frame)
    if not faces:
        return row
    face = faces[0]
    testimony = witness.examine(Track(0, (face,)), clip)
    row |= {"score": testimony.fake, "kind": dict(testimony.kind), "quality": face.quality.score}
    row["findings"] = {f.region: f.strength for f in testimony.findings}
    row["touched"] = None if touched is None else sorted(touched)
    row["region_scores"] = None
    if face.landmarks is not None:
        affine = geometry.align(face.landmarks, witness.facts["size"], witness.facts["margin"])
        answers = witness.answers(geometry.crop(frame.pixels, affine, witness.facts["size"]))
        row["region_scores"] = [float(v) for v in answers.regions]
    if mask is not None and forger is not None:
        seen = geometry.place(testimony.mask, frame.height, frame.width) >= 0.5
        truth = mask >= 0.5
        union = np.logical_or(seen, truth).sum()
        row["iou"] = float(np.logical_and(seen, truth).sum() / union) if union else None
    calibrations = {witness.name: Calibration.from_json(witness.calibration)} if witness.calibration else {}
    verdict = judge(face, (testimony,), calibrations)
    row |= {"fake": verdict.fake, "verdict": verdict.label}
    return row


def _decode(sample: Sample) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(sample.image)).convert("RGB"))


def _encode(picture: Pixels) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue()


# -------------------------------------------------------------------------------------------------------- measures


def measures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The numbers of one condition. Rows without a face have no score: counted, and left out of AUC and ECE."""
    seen = [r for r in rows if r["score"] is not None]
    own = [r for r in rows if not r["self_made"]]
    out: dict[str, Any] = {
        "rows": len(rows),
        "without_face": sum(r["score"] is None for r in own),
        "without_face_of": len(own),
        "auc": {},
        "called_fake": {},
        "by_method": {},
    }
    sets = {s: [r for r in own if r["source"] == s] for s in ("dfdc", "ffpp_c40", "stylegan2_photos")}
    sets["self-made"] = [r for r in rows if r["self_made"] or r["label"] == "real"]
    for name, part in sets.items():
        out["auc"][name] = detection([r for r in part if r["score"] is not None])
    for method in FORGERS:
        part = [r for r in seen if r["method"] == method or (r["label"] == "real" and not r["self_made"])]
        out["by_method"][method] = detection(part)
    for method in ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"):
        part = [r for r in seen if r["source"] == "ffpp_c40" and not r["self_made"]]
        out["by_method"][method] = detection([r for r in part if r["method"] == method or r["label"] == "real"])
    for source in sorted({r["source"] for r in own}):
        real = [r for r in own if r["source"] == source and r["label"] == "real"]
        out["called_fake"][source] = {
            "rows": len(real),
            "fake": sum(r["verdict"] == "fake" for r in real) / len(real),
            "inconclusive": sum(r["verdict"] == "inconclusive" for r in real) / len(real),
        }
    edits = [r for r in seen if r["method"] == "region_edit"]
    out["edit_iou"] = float(np.mean([r["iou"] for r in edits if r["iou"] is not None]))
    truth = np.array([[n in r["touched"] for n in regions.MARE] for r in edits])
    said = np.array([[n in r["findings"] for n in regions.MARE] for r in edits])
    out["edit_region_f1"] = float(f1_score(truth.ravel(), said.ravel()))
    judged = [r for r in own if r["fake"] is not None and r["source"] in ("dfdc", "ffpp_c40", "stylegan2_photos")]
    out["ece"] = ece([r["fake"] for r in judged], [r["label"] == "fake" for r in judged])
    decided = [r for r in judged if r["verdict"] != "inconclusive"]
    out["decided"] = len(decided) / len(judged)
    out["right_of_decided"] = sum(r["verdict"] == r["label"] for r in decided) / max(1, len(decided))
    return out


def detection(rows: list[dict[str, Any]], draws: int = 200) -> dict[str, Any]:
    """Face-level AUC with a 95 % bootstrap interval over groups, AP, EER and accuracy of the score at 0.5."""
    y = np.array([r["label"] == "fake" for r in rows])
    s = np.array([r["score"] for r in rows])
    if y.all() or not y.any():
        return {"rows": len(rows), "auc": None}
    groups: dict[str, list[int]] = defaultdict(list)
    for i, r in enumerate(rows):
        groups[f"{r['source']}/{r['group']}"].append(i)
    members = [np.array(g) for g in groups.values()]
    rng, again = np.random.default_rng(0), []
    for _ in range(draws):
        pick = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        if 0 < y[pick].sum() < len(pick):
            again.append(roc_auc_score(y[pick], s[pick]))
    fpr, tpr, _ = roc_curve(y, s)
    return {
        "rows": len(rows),
        "auc": float(roc_auc_score(y, s)),
        "interval": [float(v) for v in np.percentile(again, [2.5, 97.5])],
        "ap": float(average_precision_score(y, s)),
        "eer": float(fpr[np.argmin(np.abs(fpr - (1 - tpr)))]),
    }


def ece(probabilities: list[float], labels: list[bool], bins: int = 10) -> float:
    """Expected calibration error over bins of equal width."""
    p, y = np.asarray(probabilities), np.asarray(labels, float)
    which = np.minimum((p * bins).astype(int), bins - 1)
    return float(sum(abs(p[which == b].mean() - y[which == b].mean()) * (which == b).mean() for b in np.unique(which)))


def page(results: dict[str, dict[str, Any]], model: str) -> str:
    """The results as Markdown."""
    names = list(results)

    def line(title: str, value: Callable[[dict[str, Any]], str]) -> str:
        return f"| {title} | " + " | ".join(value(results[n]) for n in names) + " |"

    def auc(d: dict[str, Any]) -> str:
        return "n/a" if d["auc"] is None else f"{d['auc']:.3f} ({d['interval'][0]:.3f}–{d['interval'][1]:.3f})"

    out = [
        "# The compact witness on held-out rows",
        "",
        "Written by `python runs/compact/evaluate.py --data DIR`. Face level (one picture, one face); 95 % intervals",
        f"by bootstrap over groups. All pictures are encoded alike after the condition. Weights: `{model}`.",
        "",
        "| | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for name, (floor, aim) in FLOORS.items():
        title = f"AUC {name}, {results[names[0]]['auc'][name]['rows']} faces (floor {floor}, aim {aim})"
        out.append(line(title, lambda r, n=name: auc(r["auc"][n])))
    for method in results[names[0]]["by_method"]:
        out.append(line(f"AUC {method}", lambda r, m=method: auc(r["by_method"][m])))
    out.append(line("mask IoU, region edits (floor 0.60, aim 0.75)", lambda r: f"{r['edit_iou']:.3f}"))
    out.append(line("region F1, region edits (floor 0.65, aim 0.85)", lambda r: f"{r['edit_region_f1']:.3f}"))
    out.append(line("ECE, sets with real forgeries (≤ 0.05)", lambda r: f"{r['ece']:.3f}"))
    for source in results[names[0]]["called_fake"]:
        out.append(
            line(
                f"genuine called fake, {source} (≤ 5 %); inconclusive",
                lambda r, s=source: f"{r['called_fake'][s]['fake']:.1%}; {r['called_fake'][s]['inconclusive']:.1%}",
            )
        )
    out.append(line("decided, sets with real forgeries", lambda r: f"{r['decided']:.1%}"))
    out.append(line("right where decided", lambda r: f"{r['right_of_decided']:.1%}"))
    out.append(line("no face found", lambda r: f"{r['without_face']} of {r['without_face_of']}"))
    return "\n".join(out) + "\n"


def main() -> None:
    """Predict, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", help="another ONNX file; default: the shipped weights")
    parser.add_argument("--conditions", default="plain,jpeg50,half,blur")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    given = parser.parse_args()
    results, every = {}, []
    for condition in given.conditions.split(","):
        rows = predictions(given.data, "val", condition, given.model)
        results[condition] = measures(rows)
        every += rows
    given.out.mkdir(parents=True, exist_ok=True)
    facts = plugins.get("witnesses", "compact").load(model=given.model).facts
    (given.out / "results.json").write_text(json.dumps({"weights": facts["sha256"], **results}, indent=1) + "\n")
    (given.out / "results.md").write_text(page(results, facts["sha256"][:12]))
    columns = ("source", "file", "group", "label", "method", "self_made", "condition", "score", "fake", "verdict")
    with open(given.out / "predictions.csv", "w", newline="") as out:
        table = csv.DictWriter(out, columns, extrasaction="ignore")
        table.writeheader()
        table.writerows(every)
    print(page(results, facts["sha256"][:12]))


if __name__ == "__main__":
    main()
