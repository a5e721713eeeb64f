"""Does a small MIDS choose between the cases for genuine and forged better than the default witness's own score?

    python runs/ffaa/cases.py PACK --unseen TABLES --out cases --ship      → runs/ffaa/cases.json

Learns from three quarters of the split `calibrate` (of which the default witness learned nothing), fits how certain it
is and its thresholds on the others, and measures on `val`: AUC and accuracy
of the default witness, of the evidence-only form of the witness `ffaa`, and of a fusion of 50 thousand numbers that
reads both cases and a grid of the picture (`witnesses/_cases`); on easy and on hard faces, with intervals from drawing
groups anew. The factor by which a hard face's log-odds are multiplied is fitted on `calibrate` by its likelihood.

It belongs to the default witness's weights: with new ones run the same command again. What was looked at is kept in
--out by those weights' hash, CHUNK faces a file, so that a killed run goes on. --ship puts seed 0 among the package's
weights, with the numbers that the witness's card says, where it ranks held-out faces better by an interval; else the
judge that is there stays, with what it is worth now. `make -f runs/ffaa/small.mk cases` is this and open_world.py's
tables.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from table3 import auc

from facewitness import media, plugins, portrait, weights
from facewitness.apps.script import script
from facewitness.builders.pack import Pack
from facewitness.calibration import Calibration, logit, sigmoid
from facewitness.files import write_whole
from facewitness.models import deciding, mids
from facewitness.types import Face, FrameRef, Quality
from facewitness.witnesses import _cases, ffaa

HERE = Path(__file__).parent
PACKAGE = Path(weights.__file__).parent / "weights"
CHUNK = 60  # faces a file
COUNT = (4000, 4000, 1000)  # of each set at most: all there are
SIDES = ("real", "fake")
MANY = {name: name for name in ("dfdc", "utkface")}  # the others have too few faces to show a rate by themselves


Seen = tuple[dict[str, Any], np.ndarray, np.ndarray]  # source, file, group and label; pixels; mesh


def rows_of(pack: Pack, split: str, count: int) -> list[int]:
    """So many rows of a split, half of them forged where there are enough, in an order by hash."""
    rows = [i for i, row in enumerate(pack.rows) if row["split"] == split and pack.landmarks(i) is not None]
    rows.sort(key=lambda i: zlib.crc32(f"{pack.rows[i]['source']}/{pack.rows[i]['file']}".encode()))
    return [i for label in SIDES for i in [i for i in rows if pack.rows[i]["label"] == label][: count // 2]]


def of_pack(pack: Pack, split: str, count: int) -> Iterator[Seen]:
    """The faces of those rows."""
    for i in rows_of(pack, split, count):
        mesh = pack.landmarks(i)
        assert mesh is not None
        yield pack.rows[i], pack.pixels(i), mesh


def of_tables(tables: Path, count: int) -> Iterator[Seen]:
    """So many faces of each source and label in tables of other origin, in an order by hash."""
    finder = plugins.get("finders", "facemesh").load()
    samples = sorted(plugins.get("datasets", "parquet").samples(tables), key=lambda s: zlib.crc32(s.file.encode()))
    taken: Counter[tuple[str, str]] = Counter()
    for sample in samples:
        key = sample.dataset, sample.truth.label
        if taken[key] >= count:
            continue
        frame = media.read(sample.image).frame
        faces = [face for face in finder.find(frame) if face.landmarks is not None]
        if faces:
            taken[key] += 1
            row = {"source": sample.dataset, "group": sample.group, "label": sample.truth.label}
            yield row, frame.pixels, np.asarray(faces[0].landmarks, np.float32)[:, :2]


def collected(faces: Iterable[Seen]) -> dict[str, np.ndarray]:
    """The features of faces."""
    witness = plugins.get("witnesses", "compact").load(places=False)  # as the witness ffaa does
    fit = Calibration.from_json(witness.calibration)
    found: dict[str, list] = {}
    for row, pixels, mesh in faces:
        low, high = mesh.min(axis=0), mesh.max(axis=0)
        at = FrameRef(pixels.shape[1], pixels.shape[0])
        box = (max(0, low[0]), max(0, low[1]), min(at.width, high[0]), min(at.height, high[1]))
        face = Face(at, tuple(map(float, box)), mesh, Quality())
        testimony = witness._look(face, pixels, further=False)
        p = float(fit.probabilities([testimony.fake])[0])
        said = _cases.clauses(testimony, p, portrait.measure(pixels, mesh), face)
        cases = [[clause for clause in said if clause.side == side] for side in SIDES]
        states = [_cases.states(case, side) for case, side in zip(cases, SIDES, strict=True)]
        one, two = _cases.grids(pixels, face, testimony.mask)
        values = {
            "fake": testimony.fake, "p": p, "text": np.stack([s for s, _ in states]),
            "seen": np.stack([s for _, s in states]), "one": one, "two": two, "easy": not all(cases),
            "label": row["label"] == "fake", "group": f"{row['source']}/{row['group']}", "source": row["source"],
        }  # fmt: skip
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def kept(out: Path, name: str, faces: Callable[[], Iterable[Seen]]) -> dict[str, np.ndarray]:
    """The features of faces, of which each CHUNK is looked at once for the default witness's weights at hand."""
    folder = out / weights.read("compact.onnx")[1][:12]
    folder.mkdir(parents=True, exist_ok=True)
    parts: list[dict[str, np.ndarray]] = []
    whole = folder / f"{name}.npz"
    if whole.exists():
        return dict(np.load(whole))
    remaining = iter(faces())
    while True:
        file = folder / f"{name}-{len(parts):03}.npz"
        chunk = islice(remaining, CHUNK)
        if file.exists():
            parts.append(dict(np.load(file)))
            list(chunk)
        elif found := collected(chunk):
            write_whole(file, _npz(found))
            parts.append(found)
        else:
            break
        print(f"{name}: {sum(len(part['label']) for part in parts)} faces", file=sys.stderr, flush=True)
    data = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    write_whole(whole, _npz(data))
    return data


def _npz(data: dict[str, np.ndarray]) -> bytes:
    out = io.BytesIO()
    np.savez(out, **data)
    return out.getvalue()


def fitted(data: dict[str, np.ndarray], seed: int, steps: int = 400) -> mids.Fusion:
    """A small fusion that learned from one split."""
    torch.manual_seed(seed)
    fusion = mids.Fusion((_cases.CELL, _cases.CELL), _cases.WIDTH, width=32, heads=4)
    optimizer = torch.optim.AdamW(fusion.parameters(), 2e-3, weight_decay=0.02)
    classes = np.stack([[deciding.label(bool(fake), side) for side in (False, True)] for fake in data["label"]])
    for step in range(steps):
        rate = 2e-3 * (0.5 + 0.5 * np.cos(np.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = rate
        rows = np.random.default_rng((seed, step)).integers(0, len(classes), 48)
        loss = F.cross_entropy(_logits(fusion, data, rows).flatten(0, 1), torch.from_numpy(classes[rows]).flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return fusion.eval()


def _logits(fusion: mids.Fusion, data: dict[str, np.ndarray], rows: np.ndarray) -> torch.Tensor:
    one, two = (torch.from_numpy(data[name][rows]).float().repeat_interleave(2, 0) for name in ("one", "two"))
    text, seen = torch.from_numpy(data["text"][rows]).flatten(0, 1), torch.from_numpy(data["seen"][rows]).flatten(0, 1)
    return fusion(one, two, text, seen).unflatten(0, (-1, 2))


def scores(fusion: mids.Fusion, data: dict[str, np.ndarray]) -> np.ndarray:
    """The forgery score of each face."""
    with torch.no_grad():
        found = _logits(fusion, data, np.arange(len(data["label"]))).double().numpy()
    return np.array([deciding.decide(rows, ("real", "fake")).fake for rows in found])


def as_shipped(data: dict[str, np.ndarray]) -> np.ndarray:
    """The forgery score of each face by the judge among the package's weights, before its certainty."""
    judge = deciding.Decider(weights.read(ffaa.CASES)[0], ffaa.CASES)
    found = []
    for i in range(len(data["label"])):
        one, two = (np.repeat(data[name][i][None], 2, 0).astype(np.float32) for name in ("one", "two"))
        logits = judge.logits(image1=one, image2=two, text=data["text"][i], seen=data["seen"][i])
        found.append(deciding.decide(logits, SIDES).fake)
    return np.array(found)


def worth(judged: np.ndarray, other: np.ndarray, val: dict[str, np.ndarray], unseen: dict[str, np.ndarray]) -> dict:
    """What a judge's scores of held-out and unseen faces are worth beside the default witness: the card's numbers."""
    found: dict[str, Any] = {}
    for name, score, data in (("held out", judged, val), ("unseen", other, unseen)):
        every = np.ones(len(data["label"]), bool)
        default, own, less = (
            interval(s, data, every, o)["auc"] for s, o in ((data["p"], None), (score, None), (score, data["p"]))
        )
        found[name] = {"faces": len(every), "default": default[0], "ffaa": own[0], "difference": less}
    easy, right = val["easy"].astype(bool), (judged >= 0.5) == val["label"].astype(bool)
    found["accuracy"] = {"easy": round(float(right[easy].mean()), 4), "hard": round(float(right[~easy].mean()), 4)}
    return found


def place(content: bytes) -> None:
    """Puts a judge among the package's weights, with its hash in their list."""
    write_whole(PACKAGE / ffaa.CASES, content)
    sums = PACKAGE / "SHA256SUMS"
    digests = dict(reversed(line.split()) for line in sums.read_text().splitlines())
    digests[ffaa.CASES] = hashlib.sha256(content).hexdigest()
    write_whole(sums, "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode())


def stamped(content: bytes, measured: dict[str, Any]) -> bytes:
    """The same judge, with what it was measured to be worth beside the default witness's weights at hand."""
    graph = onnx.load_from_string(content)
    for one in graph.metadata_props:
        if one.key == "facts":
            facts = json.loads(one.value) | {"measured": measured, "measured_with": weights.read("compact.onnx")[1]}
            one.value = json.dumps(facts)
    return bytes(graph.SerializeToString())


def factor(data: dict[str, np.ndarray]) -> float:
    """By what a hard face's log-odds are to be multiplied: the most likely of a grid, by the labels."""
    hard = ~data["easy"].astype(bool)
    odds, truth = logit(data["p"][hard]), data["label"][hard].astype(bool)
    tried = np.arange(0.2, 2.01, 0.05)
    likelihood = [
        float(np.log(np.where(truth, sigmoid(k * odds), 1 - sigmoid(k * odds)) + 1e-12).mean()) for k in tried
    ]
    return float(tried[int(np.argmax(likelihood))])


def interval(
    score: np.ndarray, data: dict[str, np.ndarray], which: np.ndarray, other: np.ndarray | None = None
) -> dict:
    """AUC and accuracy, of a score or of its difference to another, with 95 % intervals over groups drawn anew."""
    groups, truth = data["group"], data["label"].astype(bool)
    names = np.unique(groups[which])
    members = {name: np.flatnonzero((groups == name) & which) for name in names}
    rng = np.random.default_rng(0)

    def measured(rows: np.ndarray) -> tuple[float, float] | None:
        if truth[rows].all() or not truth[rows].any():
            return None
        pair = [(auc(truth[rows], s[rows]), ((s[rows] >= 0.5) == truth[rows]).mean()) for s in both]
        return pair[0] if other is None else tuple(a - b for a, b in zip(*pair, strict=True))

    both = [score] if other is None else [score, other]
    drawn = [measured(np.concatenate([members[n] for n in rng.choice(names, len(names))])) for _ in range(500)]
    kept = np.array([value for value in drawn if value is not None])
    here = measured(np.flatnonzero(which))
    low, high = np.quantile(kept, [0.025, 0.975], axis=0)
    return {
        name: [round(float(here[k]), 4), round(float(low[k]), 4), round(float(high[k]), 4)]
        for k, name in enumerate(("auc", "acc"))
    }


def parted(data: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Three quarters of the groups, to learn from, and the others, on which certainty and thresholds are fitted."""
    apart = np.array([zlib.crc32(group.encode()) % 4 == 0 for group in data["group"]])
    learned, fitted_on = ({name: values[at] for name, values in data.items()} for at in (~apart, apart))
    return learned, fitted_on


def shipped(
    fusion: mids.Fusion, given: dict[str, np.ndarray], val: dict[str, np.ndarray], file: Path, measured: dict[str, Any]
) -> dict:
    """How certain easy and hard faces are, fitted on `given` and measured on `val`, and the file."""
    fits, tests = (
        (logit(scores(fusion, data)), data["label"].astype(bool), data["easy"].astype(bool)) for data in (given, val)
    )

    def slope(which: np.ndarray) -> float:
        tried = np.arange(0.2, 3.01, 0.05)
        odds, truth, _ = fits
        return round(float(tried[int(np.argmin([_loss(k * odds[which], truth[which]) for k in tried]))]), 2)

    easy = fits[2]
    slopes = {"easy": slope(easy), "hard": slope(~easy), "all": slope(np.ones(len(easy), bool))}
    tested = {
        "one slope": _loss(slopes["all"] * tests[0], tests[1]),
        "two slopes": _loss(np.where(tests[2], slopes["easy"], slopes["hard"]) * tests[0], tests[1]),
    }
    final = sigmoid(np.where(easy, slopes["easy"], slopes["hard"]) * fits[0])
    calibration = Calibration.fit(
        list(final), list(fits[1]), groups=list(given["group"]),
        sources=[MANY.get(s, "others") for s in given["source"]], confidence=0.5, fakes_called_real=0.1,
    )  # fmt: skip
    facts = {
        "certainty": {name: slopes[name] for name in ("easy", "hard")}, "calibration": calibration.to_json(),
        "measured": measured, "rests_on": weights.read("compact.onnx")[1],
    }  # fmt: skip
    sizes = (_cases.GRID**2 + 1, (_cases.GRID // 2) ** 2 + 1)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):  # the exporter's notes
        warnings.simplefilter("ignore")
        facts["worst"] = mids.export(fusion, file, facts, sizes)
    return {"slopes": slopes, "log loss of held-out faces": tested, **facts}


def _loss(odds: np.ndarray, truth: np.ndarray) -> float:
    p = sigmoid(odds)
    return round(float(-np.log(np.where(truth, p, 1 - p) + 1e-12).mean()), 5)


def main() -> None:
    """Collects, learns, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--unseen", type=Path, required=True, help="tables of sources that nobody learned from")
    parser.add_argument("--count", type=int, nargs=3, default=COUNT, help="of --unseen: each source and label")
    parser.add_argument("--ship", action="store_true", help="put it among the package's weights if it is better")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    sets: dict[str, dict[str, np.ndarray]] = {}
    for name, count in zip(("calibrate", "val", "unseen"), given.count, strict=True):
        faces = (lambda n: of_tables(given.unseen, n)) if name == "unseen" else _of_split(given.pack, name)
        sets[name] = kept(given.out, f"{name}-{count}", lambda faces=faces, count=count: faces(count))
    learned, apart = parted(sets["calibrate"])
    val = sets["val"]
    every, easy = np.ones(len(val["label"]), bool), val["easy"].astype(bool)
    k = factor(sets["calibrate"])
    own = np.where(easy, val["p"], sigmoid(k * logit(val["p"])))
    results = {
        "faces learned from": len(learned["label"]),
        "faces": {s: len(data["label"]) for s, data in sets.items()},
        "easy": {s: round(float(data["easy"].mean()), 4) for s, data in sets.items()},
        "hard_factor": round(k, 2),
        "default, unseen": interval(sets["unseen"]["p"], sets["unseen"], np.ones(len(sets["unseen"]["label"]), bool)),
        "default": {name: interval(val["p"], val, w) for name, w in (("all", every), ("easy", easy), ("hard", ~easy))},
        "log_loss_hard": {
            name: round(float(-np.log(np.where(val["label"], s, 1 - s)[~easy] + 1e-12).mean()), 4)
            for name, s in (("as it is", val["p"]), ("less certain", own))
        },
        "among the weights before, less the default": interval(as_shipped(val), val, every, val["p"]),
        "seeds": [],
    }
    for seed in range(given.seeds):
        fusion = fitted(learned, seed)
        judged = scores(fusion, val)
        mean = (judged + val["p"]) / 2
        results["seeds"].append(
            {
                "all": interval(judged, val, every), "easy": interval(judged, val, easy),
                "hard": interval(judged, val, ~easy),
                "less the default": interval(judged, val, every, val["p"]),
                "with the default, less the default": interval(mean, val, every, val["p"]),
            }
            | {
                f"unseen, {name}": interval(s, sets["unseen"], np.ones(len(sets["unseen"]["label"]), bool), o)
                for name, s, o in (
                    ("default", sets["unseen"]["p"], None),
                    ("less the default", scores(fusion, sets["unseen"]), sets["unseen"]["p"]),
                )
            }
        )  # fmt: skip
        if seed == 0:
            measured = worth(judged, scores(fusion, sets["unseen"]), val, sets["unseen"])
            results |= shipped(fusion, apart, val, given.out / ffaa.CASES, measured)
    results["parameters"] = sum(p.numel() for p in fusion.parameters())
    write_whole(HERE / "cases.json", json.dumps(results, indent=1).encode())
    print(json.dumps({k: v for k, v in results.items() if k not in ("calibration", "seeds")}, indent=1))
    print(f"before: {results['among the weights before, less the default']}")
    for number, one in enumerate(results["seeds"]):
        print(f"seed {number}: less the default {one['less the default']}, unseen {one['unseen, less the default']}")
    if given.ship:
        low = results["measured"]["held out"]["difference"][1]
        if low > 0:
            place((given.out / ffaa.CASES).read_bytes())
            print("ships")
        else:
            before = worth(as_shipped(val), as_shipped(sets["unseen"]), val, sets["unseen"])
            place(stamped(weights.read(ffaa.CASES)[0], before))
            print(f"not better by an interval (from {low:+.4f}): the judge stays, its file says {json.dumps(before)}")


def _of_split(folder: Path, split: str) -> Callable[[int], Iterator[Seen]]:
    return lambda count: of_pack(Pack(folder), split, count)


if __name__ == "__main__":
    script(main)
