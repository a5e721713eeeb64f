"""Measures the compact witness on the path of `facewitness analyze`: known sources, unknown ones, and what moves it.

    python runs/compact/evaluate.py --data DIR [--unseen DIR] [--model compact.onnx] [--groups groups.json] [--limit 60]
    python runs/compact/evaluate.py --read OUT --out OUT               the same numbers from what was predicted before

Every picture, real or fake, is decoded, brought into a condition, encoded once more as JPEG at quality 95, and then
read, searched for a face, examined and judged. Self-made forgeries are drawn by seed from the genuine rows, one forger
after the other. Faces that are not found are rows too: they have no score and are counted.

    seen       `val` rows of the tables, no person of which is in `train` (`--groups`, people.py), in four conditions
    unseen     rows of tables that no run ever saw
    edits      each routine edit of `bench/perturb` at strength 3, on some rows of each seen source
    sizes      the same rows with a face of 64 px, 96 px, 128 px
    travel     as it is; at most 768 px, JPEG 60; at most 512 px, JPEG 40
    saved      ten ways to save a picture again: does the label turn, does the probability leave the printed interval
    collages   six genuine faces in one picture

`--sections` measures some of them; the others stay in `results.json` where they are of the same weights. `--limit`
takes so many rows of each known source and label; unseen sources are measured whole, the other sections
take a fifth of that, ten at least. What was predicted goes into `--out` as `predictions.jsonl`, a face a line, and
every number of `results.json` and `results.md` is worked out from that file alone
(docs/decisions/022-predictions-of-scripts.md).
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from paired import paired
from PIL import Image
from rich.progress import track
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score, roc_curve

from facewitness import geometry, media, plugins, regions
from facewitness.apps.script import script
from facewitness.bench import perturb
from facewitness.builders.pack import held_out
from facewitness.calibration import Calibration
from facewitness.errors import FacewitnessError
from facewitness.files import write_whole
from facewitness.forge import degrade, routine
from facewitness.judge import judge
from facewitness.types import Clip, Face, Frame, Pixels, Sample, Track
from facewitness.witnesses.compact import covered

FORGERS = ("self_blend", "region_edit", "swap", "lip_sync", "inpaint", "resynthesise")
CONDITIONS: dict[str, Callable[[Pixels], Pixels]] = {
    "plain": lambda p: p,
    "jpeg50": lambda p: degrade.jpeg(p, 50),
    "half": lambda p: degrade.resize(p, 0.5),
    "blur": lambda p: degrade.blur(p, 1.5),
}
SIZES = (64, 96, 128)
TRAVEL = {"768": (768, 60), "512": (512, 40)}
# JPEG qualities, WebP, and a reduction by a tenth with JPEG 85
SAVED = ("jpeg 95", "jpeg 90", "jpeg 85", "jpeg 80", "jpeg 75", "jpeg 70", "jpeg 65", "jpeg 60", "webp 80", "resize 85")
FLOORS = {"dfdc": (0.90, 0.96), "ffpp_c40": (0.78, 0.92), "ffpp_c23": (0.85, 0.97), "whole synthesis": (0.97, 0.995),
          "self-made": (0.93, 0.98)}  # fmt: skip
# fakes of a source without genuine rows are measured against the genuine rows of one of a like domain
GENUINE = {"sg1_140k": "ffhq_140k", "genphotos": "ffhq_140k", "sg2_omi": "ffhq_140k", "sg2_edit": "ffhq_140k",
           "cfd_edit": "amfd", "sd21_sdfd": "celeb_web", "pollinations": "celeb_web"}  # fmt: skip
SYNTHESIS = ("stylegan2_photos", *GENUINE)

_UNIONS = ("whole synthesis", "self-made")  # sets of rows that stand in a source's set, too

Row = dict[str, Any]
Task = tuple[Sample, Sample, str | None, str]  # what, whose face a swap takes, forger, condition

_tools: dict[str, Any] = {}


# ----------------------------------------------------------------------------------------------------- predictions


def chosen(data: Path, split: str, limit: int | None = None, groups: Mapping[str, str] | None = None) -> list[Sample]:
    """Samples of a split; "calibrate" is the held-out sixteenth of the training groups (`builders/pack`).

    At most `limit` of each source and label, the same ones whatever the limit. With `groups`, `val` loses those rows
    whose group has a row of `train`, too.
    """
    everything = [
        s for table in sorted(data.glob("*.parquet")) for s in plugins.get("datasets", "parquet").samples(table)
    ]
    named = {id(s): (groups or {}).get(f"{s.dataset}/{s.file}", s.group) for s in everything}
    trained = {(s.dataset, named[id(s)]) for s in everything if s.split == "train"}
    counts: dict[tuple[str, str], int] = defaultdict(int)
    found = []
    for s in sorted(everything, key=lambda s: zlib.crc32(f"{s.dataset}/{s.file}".encode())):
        its = "calibrate" if s.split == "train" and held_out(s.group) else s.split
        if its != split or (split == "val" and (s.dataset, named[id(s)]) in trained):
            continue
        counts[s.dataset, s.truth.label] += 1
        if limit is None or counts[s.dataset, s.truth.label] <= limit:
            found.append(s)
    return found


def tasks(samples: Sequence[Sample], conditions: Iterable[str], own: bool = True) -> list[Task]:
    """Each sample in each condition, and with `own` a self-made forgery of each genuine one, forgers in turn."""
    out: list[Task] = []
    for condition in conditions:
        donors: dict[str, Sample] = {}
        turn = 0
        for sample in samples:
            out.append((sample, sample, None, condition))
            if own and sample.truth.label == "real":
                out.append((sample, donors.get(sample.dataset, sample), FORGERS[turn % len(FORGERS)], condition))
                donors[sample.dataset] = sample
                turn += 1
    return out


def predictions(todo: Sequence[Task], model: str | None, name: str = "", jobs: int = 2, raw: bool = False) -> list[Row]:
    """One row for each task, in order; those whose forgery cannot be made are left out.

    With `raw`, faces whose touched regions are known have the network's raw region scores, too: another look at each.
    """
    with multiprocessing.get_context("spawn").Pool(jobs, _load, (model, raw)) as pool:
        found = pool.imap(_predict, todo, chunksize=16)
        return [row for row in track(found, name, total=len(todo)) if row is not None]


def _load(model: str | None, raw: bool = False) -> None:
    _tools["raw"] = raw
    cv2.setNumThreads(1)
    _tools["finder"] = plugins.get("finders", "facemesh").load()
    _tools["witness"] = witness = plugins.get("witnesses", "compact").load(model=model)
    fitted = witness.calibration
    _tools["calibrations"] = {witness.name: Calibration.from_json(fitted)} if fitted else {}


def _predict(task: Task) -> Row | None:
    sample, donor, forger, condition = task
    finder = _tools["finder"]
    picture = _decode(sample.image)
    label, method, mask, touched = sample.truth.label, sample.truth.method, None, None
    if forger is not None:
        faces = finder.find(Frame(picture))
        given = _decode(donor.image)
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
    row: Row = {
        "source": sample.dataset, "file": sample.file, "group": sample.group, "label": label, "method": method,
        "self_made": forger is not None, "condition": condition,
        "touched": None if touched is None else sorted(touched),
    }  # fmt: skip
    if condition == "file":  # as it came, never encoded again
        encoded = sample.image if forger is None else _encode(picture)
    else:
        encoded = in_condition(picture, condition, f"{sample.dataset}/{sample.group}")
    if encoded is None:
        return None
    clip = media.read(encoded)
    faces = finder.find(clip.frame)
    mesh = faces[0].landmarks if faces else None
    row["side"] = None if mesh is None else float(np.ptp(mesh[:, :2], axis=0).max())
    row |= judged(clip, faces[0] if faces else None)
    seen = row.pop("mask")
    if mask is not None and forger is not None and seen is not None and seen.shape == mask.shape:
        union = np.logical_or(seen, mask >= 0.5).sum()
        row["iou"] = float(np.logical_and(seen, mask >= 0.5).sum() / union) if union else None
    return row


def judged(clip: Clip, face: Face | None) -> Row:
    """What the witness and the judge say of a face; empty fields where there is none."""
    row: Row = dict.fromkeys(
        ("score", "fake", "low", "high", "verdict", "quality", "findings", "region_scores", "mask")
    )
    if face is None:
        return row
    witness = _tools["witness"]
    person = Track(0, (face,))
    testimony = witness.examine(person, clip)
    verdict = judge(person, (testimony,), _tools["calibrations"])
    low, high = verdict.interval or (None, None)
    row |= {"score": testimony.fake, "quality": face.quality.score, "fake": verdict.fake, "low": low, "high": high,
            "verdict": verdict.label, "findings": {f.region: f.strength for f in testimony.findings}}  # fmt: skip
    if face.landmarks is not None and _tools["raw"]:
        size = witness.facts["size"]
        affine = geometry.align(face.landmarks, size, witness.facts["margin"])
        answers = witness.answers(geometry.crop(clip.frame.pixels, affine, size))
        row["region_scores"] = [float(v) for v in answers.regions]
        mask, way, side = witness.where(answers.mask, face, clip.frame.pixels)
        inside = covered(mask, face, way, side)
        row["inside"] = None if inside is None else inside.tolist()
    if testimony.mask is not None:
        row["mask"] = geometry.place(testimony.mask, clip.frame.height, clip.frame.width) >= 0.5
    return row


def in_condition(picture: Pixels, condition: str, group: str) -> bytes | None:
    """The picture as a file in this condition; None where it cannot be had (a face is not enlarged)."""
    kind, _, value = condition.partition(":")
    if kind == "edit":
        return _encode(perturb.apply(picture, (value, 3), seed=0, group=group))
    if kind == "edited":  # one routine edit or two, drawn by group
        return _encode(routine.edit(picture, np.random.default_rng(zlib.crc32(group.encode()))).pixels)
    if kind == "face":
        faces = _tools["finder"].find(Frame(picture))
        if not faces or faces[0].landmarks is None:
            return None
        side = float(np.ptp(faces[0].landmarks[:, :2], axis=0).max())
        return None if side < int(value) else _encode(_scaled(picture, int(value) / side))
    if kind == "travel":
        most, quality = TRAVEL[value]
        return _encode(_scaled(picture, min(1.0, most / max(picture.shape[:2]))), quality)
    if kind == "saved":
        how, amount = value.split()
        if how == "webp":
            out = io.BytesIO()
            Image.fromarray(picture).save(out, "WEBP", quality=int(amount))
            return out.getvalue()
        return _encode(_scaled(picture, 0.9) if how == "resize" else picture, int(amount))
    return _encode(CONDITIONS[kind](picture))


def _scaled(picture: Pixels, factor: float) -> Pixels:
    if factor >= 1:
        return picture
    size = (max(8, round(picture.shape[1] * factor)), max(8, round(picture.shape[0] * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _decode(image: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))


def _encode(picture: Pixels, quality: int = 95) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=quality, subsampling=0 if quality >= 95 else 2)
    return out.getvalue()


def collages(samples: Sequence[Sample], model: str | None, count: int = 40, jobs: int = 2) -> list[list[str]]:
    """The verdicts on the faces of `count` pictures of six genuine faces each, of one source where it has enough."""
    rng = np.random.default_rng(0)
    genuine = [s for s in samples if s.truth.label == "real"]
    by_source: dict[str, list[Sample]] = defaultdict(list)
    for s in genuine:
        by_source[s.dataset].append(s)
    large = sorted(name for name, members in by_source.items() if len(members) >= 6)
    if not large:
        return []
    boards = []
    for i in range(count):
        members = by_source[large[i % len(large)]]
        boards.append([members[j].image for j in rng.choice(len(members), 6, replace=False)])
    with multiprocessing.get_context("spawn").Pool(jobs, _load, (model,)) as pool:
        return list(track(pool.imap(_collage, boards), "collages", total=count))


def _collage(images: Sequence[bytes]) -> list[str]:
    tiles = [cv2.resize(_decode(image), (224, 224), interpolation=cv2.INTER_AREA) for image in images]
    clip = media.read(_encode(np.vstack([np.hstack(tiles[:3]), np.hstack(tiles[3:])])))
    return [judged(clip, face)["verdict"] for face in _tools["finder"].find(clip.frame)]


# -------------------------------------------------------------------------------------------------------- measures


def pairs_of(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by source, a source without genuine rows with those of its like; and the sets that have floors."""
    own = [r for r in rows if not r["self_made"]]
    genuine: dict[str, list[Row]] = defaultdict(list)
    fakes: dict[str, list[Row]] = defaultdict(list)
    for r in own:
        (genuine if r["label"] == "real" else fakes)[r["source"]].append(r)
    sets = {source: fakes[source] + genuine[GENUINE.get(source, source)] for source in sorted(fakes)}
    synthetic = [s for s in SYNTHESIS if s in sets]
    if synthetic:
        reals = sorted({GENUINE.get(s, s) for s in synthetic})
        sets["whole synthesis"] = [r for s in synthetic for r in fakes[s]] + [r for s in reals for r in genuine[s]]
    if any(r["self_made"] for r in rows):
        sets["self-made"] = [r for r in rows if r["self_made"] or r["label"] == "real"]
    return sets


def measures(rows: Sequence[Row], prior: float = 0.5, draws: int = 200) -> dict[str, Any]:
    """The numbers of one condition. Rows without a face have no score: counted, and left out of AUC and ECE."""
    own = [r for r in rows if not r["self_made"]]
    out: dict[str, Any] = {"rows": len(rows), "without_face": sum(r["score"] is None for r in own), "own": len(own)}
    out["auc"] = {
        name: detection([r for r in part if r["score"] is not None], draws) for name, part in pairs_of(rows).items()
    }
    out["by_method"] = {}
    genuine = [r for r in own if r["label"] == "real" and r["score"] is not None]
    for method in sorted({r["method"] for r in rows if r["label"] == "fake"}):
        part = [r for r in rows if r["method"] == method and r["score"] is not None]
        beside = {GENUINE.get(r["source"], r["source"]) for r in part}
        out["by_method"][method] = detection(part + [r for r in genuine if r["source"] in beside], draws)
    out["genuine"] = {
        s: _shares([r for r in own if r["source"] == s and r["label"] == "real"]) for s in _sources(own, "real")
    }
    out["fakes"] = {
        s: _shares([r for r in own if r["source"] == s and r["label"] == "fake"]) for s in _sources(own, "fake")
    }
    out["self_made"] = _shares([r for r in rows if r["self_made"]])
    edits = [r for r in rows if r["method"] == "region_edit" and r["score"] is not None]
    overlaps = [r["iou"] for r in edits if r.get("iou") is not None]
    out["edit_iou"] = float(np.mean(overlaps)) if overlaps else None
    if edits:
        truth = np.array([[n in r["touched"] for n in regions.MARE] for r in edits])
        named = np.array([[n in r["findings"] for n in regions.MARE] for r in edits])
        out["edit_region_f1"] = float(f1_score(truth.ravel(), named.ravel()))
    paired = set(out["fakes"]) & set(out["genuine"])
    out |= calibration_errors([r for r in own if r["source"] in paired], prior)
    if any(r["source"] in paired for r in own):
        out |= {f"{name}_all": error for name, error in calibration_errors(own, prior).items()}
    return out


def _sources(rows: Sequence[Row], label: str) -> list[str]:
    return sorted({r["source"] for r in rows if r["label"] == label})


def _shares(rows: Sequence[Row]) -> dict[str, Any]:
    counts = {v: sum(r["verdict"] == v for r in rows) for v in ("fake", "real", "inconclusive")}
    return {"rows": len(rows), **{k: v / len(rows) if rows else None for k, v in counts.items()}}


def detection(rows: Sequence[Row], draws: int = 200) -> dict[str, Any]:
    """Face-level AUC with a 95 % bootstrap interval over groups, AP and EER."""
    y = np.array([r["label"] == "fake" for r in rows])
    s = np.array([r["score"] for r in rows])
    if not len(y) or y.all() or not y.any():
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
        "interval": [float(v) for v in np.percentile(again, [2.5, 97.5])] if again else None,
        "ap": float(average_precision_score(y, s)),
        "eer": float(fpr[np.argmin(np.abs(fpr - (1 - tpr)))]),
    }


def ece(probabilities: Sequence[float], labels: Sequence[bool], share: float | None = None, bins: int = 10) -> float:
    """Expected calibration error over bins of equal width.

    Args:
        probabilities: Of being forged.
        labels: Whether each is.
        share: Rows are weighted so that fakes are this share of them; None: as they came.
        bins: How many.
    """
    p, y = np.asarray(probabilities), np.asarray(labels, float)
    weights = np.ones(len(y))
    if share is not None and 0 < y.mean() < 1:
        weights = np.where(y == 1, share / y.mean(), (1 - share) / (1 - y.mean()))
    which = np.minimum((p * bins).astype(int), bins - 1)
    return float(sum(abs((weights * (p - y))[which == b].sum()) for b in np.unique(which)) / weights.sum())


def calibration_errors(rows: Sequence[Row], prior: float) -> dict[str, float | None]:
    """ECE of rows with a probability: as they came, at the share of fakes of the fit, and what chance alone makes.

    Args:
        rows: Each with its probability.
        prior: The share of fakes that the probabilities stand on (`Calibration.fakes`).
    """
    rows = [r for r in rows if r["fake"] is not None]
    if not rows:
        return {"ece": None, "ece_at_prior": None, "ece_chance": None}
    p, y = [r["fake"] for r in rows], [r["label"] == "fake" for r in rows]
    return {"ece": ece(p, y), "ece_at_prior": ece(p, y, prior), "ece_chance": ece_by_chance(p)}


def ece_by_chance(probabilities: Sequence[float], draws: int = 200) -> float:
    """The error that `ece` finds in the mean where each probability is exactly right: few rows never agree with it."""
    rng, p = np.random.default_rng(0), np.asarray(probabilities)
    return float(np.mean([ece(p, rng.random(len(p)) < p) for _ in range(draws)]))


def fall(plain: Sequence[Row], edited: Sequence[Row], draws: int = 200) -> dict[str, Any] | None:
    """By how much the mean AUC over sources falls from the same faces as they are, with its 95 % interval."""
    sides: list[dict[tuple[str, str, str], tuple[bool, float, str]]] = [{}, {}]
    for side, rows in zip(sides, (edited, plain), strict=True):
        for name, part in pairs_of([r for r in rows if r["score"] is not None]).items():
            if name not in _UNIONS:
                for r in part:
                    group = f"{r['source']}/{r['group']}"
                    side["", name, f"{r['source']}/{r['file']}"] = r["label"] == "fake", r["score"], group
    measured = paired(*sides, draws).get("")
    return measured and {"auc": measured[2], "interval": list(measured[3:])}


def _mean_auc(rows: Sequence[Row]) -> float | None:
    sets = pairs_of([r for r in rows if r["score"] is not None])
    aucs = [detection(part, 0)["auc"] for name, part in sets.items() if name not in _UNIONS]
    aucs = [auc for auc in aucs if auc is not None]
    return float(np.mean(aucs)) if aucs else None


def overall(rows: Sequence[Row], prior: float = 0.5) -> dict[str, Any]:
    """One line for a condition of a few rows of many sources: everything against everything."""
    found = [r for r in rows if r["score"] is not None]
    return {
        "rows": len(rows), "without_face": len(rows) - len(found),
        "auc": _mean_auc(rows),
        "genuine": _shares([r for r in rows if r["label"] == "real"]),
        "fakes": _shares([r for r in rows if r["label"] == "fake"]),
        **calibration_errors(found, prior),
    }  # fmt: skip


def saved_again(rows: Sequence[Row]) -> dict[str, Any]:
    """How often saving again turns a label, and how often the probability leaves the interval of the first file."""
    by_file: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for r in rows:
        by_file[r["source"], r["file"]][r["condition"]] = r
    turned = decided = outside = compared = pictures = 0
    for its in by_file.values():
        first = its.get("plain")
        if first is None or first["fake"] is None:
            continue
        pictures += 1
        for name, r in its.items():
            if name == "plain" or r["fake"] is None:
                continue
            decided += 1
            turned += {first["verdict"], r["verdict"]} == {"real", "fake"}
            if first["low"] is not None:
                compared += 1
                outside += not first["low"] <= r["fake"] <= first["high"]
    return {
        "pictures": pictures,
        "saved": decided,
        "turned": turned / max(1, decided),
        "outside": outside / max(1, compared),
    }


# ------------------------------------------------------------------------------------------------------------ page


def page(results: Mapping[str, Any], model: str) -> str:
    """The results as Markdown."""
    limit, prior = results["limit"] or "all", f"{results.get('prior', 0.5):.0%}"
    out = [
        "# The compact witness, measured",
        "",
        "Written by `python runs/compact/evaluate.py --data DIR`. Face level (one picture, one face); 95 % intervals",
        f"by bootstrap over groups. Weights: `{model}`. Rows of each source and label: {limit}; of unseen sources all.",
        "",
    ]
    for section in ("seen", "unseen"):
        if section in results:
            out += [f"## {section.capitalize()} sources", "", *_table(results[section], prior), ""]
    if "unseen" in results:
        plain = results["unseen"]["plain"]
        values = [m["auc"] for n, m in plain["auc"].items() if m["auc"] is not None and n in plain["fakes"]]
        out += [f"Mean AUC of unseen sources {np.mean(values):.3f}, the worst {min(values):.3f}.", ""]
    if "edits" in results:
        out += [
            "## Edits, sizes, travel",
            "",
            "A few rows of each source; AUC is the mean over sources, its fall is from the same faces as they are (95 "
            "% by bootstrap over groups), the shares are over all rows. ECE is of the rows as they are, then weighted "
            f"so that {prior} are fakes, as the probabilities have it, then by chance: the mean where each probability "
            "is exactly right, on as many rows.",
            "",
            "| condition | rows | no face | AUC | falls by | genuine called fake / real | fakes called fake / real "
            "| ECE | at that share | by chance |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for name, m in results["edits"].items():
            shares = f"{_two(m['genuine'])} | {_two(m['fakes'])}"
            errors = " | ".join(_number(m.get(error)) for error in ("ece", "ece_at_prior", "ece_chance"))
            out.append(
                f"| {name} | {m['rows']} | {m['without_face']} | {_number(m['auc'])} | {_fallen(m.get('fall'))} "
                f"| {shares} | {errors} |"
            )
        out.append("")
    if "saved" in results:
        m = results["saved"]
        out += [
            f"Saved again: {m['pictures']} pictures, {m['saved']} files; labels turned between real and fake "
            f"{m['turned']:.1%}, outside the printed interval {m['outside']:.1%}.",
            "",
        ]
    if "collages" in results:
        m = results["collages"]
        out += [
            f"Group photographs: {m['accused']} of {m['collages']} collages of six genuine faces have a face called "
            f"fake ({m['faces_called_fake']} of {m['faces']} faces).",
            "",
        ]
    return "\n".join(out)


def _table(conditions: Mapping[str, Any], prior: str) -> list[str]:
    names = list(conditions)
    out = ["| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]

    def line(title: str, value: Callable[[Any], str]) -> None:
        out.append(f"| {title} | " + " | ".join(value(conditions[n]) for n in names) + " |")

    first = conditions[names[0]]
    for name, m in first["auc"].items():
        floor = f" (floor {FLOORS[name][0]}, aim {FLOORS[name][1]})" if name in FLOORS else ""
        line(f"AUC {name}, {m['rows']} faces{floor}", lambda r, n=name: _auc(r["auc"].get(n)))
    for method in first["by_method"]:
        line(f"AUC {method}", lambda r, m=method: _auc(r["by_method"].get(m)))
    if first.get("edit_iou") is not None:
        line("mask IoU, region edits (floor 0.45, aim 0.70)", lambda r: _number(r["edit_iou"]))
        line("region F1, region edits (floor 0.55, aim 0.80)", lambda r: _number(r["edit_region_f1"]))
    line("ECE, sources with both labels (≤ 0.05)", lambda r: _number(r["ece"]))
    line("ECE, all sources", lambda r: _number(r.get("ece_all")))
    line(f"ECE, sources with both labels, weighted to {prior} fakes", lambda r: _number(r.get("ece_at_prior")))
    line(f"ECE, all sources, weighted to {prior} fakes", lambda r: _number(r.get("ece_at_prior_all")))
    line("ECE by chance, all sources", lambda r: _number(r.get("ece_chance_all")))
    for source, m in first["genuine"].items():
        line(
            f"genuine called fake (≤ 5 %) / real, {source}, {m['rows']}", lambda r, s=source: _two(r["genuine"].get(s))
        )
    for source, m in first["fakes"].items():
        line(f"fakes called fake / real (≤ 20 %), {source}, {m['rows']}", lambda r, s=source: _two(r["fakes"].get(s)))
    line("self-made called fake / real", lambda r: _two(r["self_made"]) if r["self_made"]["rows"] else "n/a")
    line("no face found", lambda r: f"{r['without_face']} of {r['own']}")
    return out


def _auc(m: Mapping[str, Any] | None) -> str:
    if m is None or m["auc"] is None:
        return "n/a"
    return f"{m['auc']:.3f}" + (f" ({m['interval'][0]:.3f}–{m['interval'][1]:.3f})" if m["interval"] else "")


def _two(m: Mapping[str, Any] | None) -> str:
    return "n/a" if m is None or m["fake"] is None else f"{m['fake']:.1%} / {m['real']:.1%}"


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.1%}"


def _fallen(fall: Mapping[str, Any] | None) -> str:
    return "" if fall is None else "{:.3f} ({:.3f} to {:.3f})".format(fall["auc"], *fall["interval"])


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


# ------------------------------------------------------------------------------------------------------------ main


def sections_of(given: argparse.Namespace) -> Iterator[tuple[str, list[str], list[Row]]]:
    """Each section that is asked for, with its conditions and its rows, predicted now."""
    asked = given.sections.split(",")
    groups = json.loads(given.groups.read_text()) if given.groups else None
    few = given.few if given.few or given.limit is None else max(10, given.limit // 5)
    conditions = given.conditions.split(",")

    def run(section: str, samples: Sequence[Sample], names: list[str], own: bool) -> tuple[str, list[str], list[Row]]:
        return section, names, predictions(tasks(samples, names, own), given.model, section, given.jobs)

    if "seen" in asked:
        yield run("seen", chosen(given.data, "val", given.limit, groups), conditions, True)
    if "unseen" in asked and given.unseen:
        yield run("unseen", chosen(given.unseen, "test"), conditions, False)
    if "edits" in asked:
        names = ["plain", *(f"edit:{n}" for n in perturb.ROUTINE), *(f"face:{s}" for s in SIZES)]
        names += [f"travel:{t}" for t in TRAVEL]
        yield run("edits", chosen(given.data, "val", few or 40, groups), names, False)
    if "saved" in asked:
        names = ["plain", *(f"saved:{s}" for s in SAVED)]
        yield run("saved", chosen(given.data, "val", few or 6, groups)[:200], names, False)
    if "collages" in asked:
        verdicts = collages(chosen(given.data, "val", given.limit, groups), given.model, jobs=given.jobs)
        yield "collages", [], [{"verdicts": each} for each in verdicts]


def numbers_of(section: str, names: Sequence[str], rows: Sequence[Row], prior: float = 0.5) -> dict[str, Any]:
    """What a section's rows come to; `prior` is the share of fakes that their probabilities stand on."""
    if section == "saved":
        return saved_again(rows)
    if section == "collages":
        faces = [v for row in rows for v in row["verdicts"]]
        return {
            "collages": len(rows), "accused": sum("fake" in row["verdicts"] for row in rows), "faces": len(faces),
            "faces_called_fake": faces.count("fake"), "faces_called_real": faces.count("real"),
        }  # fmt: skip
    measure = overall if section == "edits" else measures
    measured = {name: measure([r for r in rows if r["condition"] == name], prior) for name in names}
    plain = [r for r in rows if r["condition"] == "plain"]
    for name in names if section == "edits" else ():
        if name != "plain":
            measured[name]["fall"] = fall(plain, [r for r in rows if r["condition"] == name])
        here = {(r["source"], r["file"]) for r in rows if r["condition"] == name}
        alike = [r for r in plain if (r["source"], r["file"]) in here]
        if here and len(alike) < measured["plain"]["rows"]:  # no face is enlarged: the small ones stand beside nothing
            measured[name]["plain"] = overall(alike, prior)
    return measured


def kept(path: Path) -> tuple[dict[str, Any], list[tuple[str, list[str], list[Row]]]]:
    """What an earlier run kept: whose weights and how many rows, and its sections."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows: dict[str, list[Row]] = {}
    for line in lines[1:]:
        rows.setdefault(line.pop("section"), []).append(line)
    return lines[0]["about"], [(name, names, rows.get(name, [])) for name, names in lines[0]["sections"]]


def main() -> None:
    """Predict, keep, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--read", type=Path, metavar="OUT", help="measure what --out OUT predicted before")
    parser.add_argument(
        "--unseen", type=Path, help="folder of tables with the split `test`; looked at once a candidate"
    )
    parser.add_argument("--model", help="another ONNX file; default: the shipped weights")
    parser.add_argument("--groups", type=Path, help="JSON of source/file -> group, as people.py writes it")
    parser.add_argument("--conditions", default="plain,jpeg50,half,blur")
    parser.add_argument("--sections", default="seen,unseen,edits,saved,collages")
    parser.add_argument("--limit", type=int, help="rows of each source and label")
    parser.add_argument("--few", type=int, help="the same for edits and saving again; default: a fifth, 10 at least")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    given = parser.parse_args()
    if (given.data is None) == (given.read is None):
        parser.error("expected --data, or --read and what an earlier run predicted")
    given.out.mkdir(parents=True, exist_ok=True)
    file = (given.read or given.out) / "predictions.jsonl"
    if given.read is None:
        facts = plugins.get("witnesses", "compact").load(model=given.model).facts
        sections = list(sections_of(given))
        head = {
            "about": {"weights": facts["sha256"], "limit": given.limit, "prior": facts["calibration"]["fakes"]},
            "sections": [[name, names] for name, names, _ in sections],
        }
        rows = [{"section": name, **row} for name, _, rows in sections for row in rows]
        write_whole(file, "".join(f"{json.dumps(line)}\n" for line in (head, *rows)).encode())
    about, sections = kept(file)
    prior = about.get("prior", 0.5)  # what was predicted before knows none
    results = {**about, **{name: numbers_of(name, names, rows, prior) for name, names, rows in sections}}
    before = given.out / "results.json"
    earlier = json.loads(before.read_text()) if before.exists() else {}
    if earlier.get("weights") == about["weights"]:  # sections that were not asked for stay, where they are of these
        results = {**earlier, **{name: value for name, value in results.items() if name != "limit"}}
    (given.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (given.out / "results.md").write_text(page(results, about["weights"][:12]))
    print(page(results, about["weights"][:12]))


if __name__ == "__main__":
    script(main)
