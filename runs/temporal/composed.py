"""Measures the witness `temporal` on composed films: what moves, from real forgeries and from forgeries of our own.

    python runs/temporal/composed.py DATA [--groups 16] [--seconds 3] [--out FILE.json]

DATA is the folder of the tables that `fit.py` reads. Of each of so many groups of split `train`, and of half as many of
`val`, three films are composed (`bench/composed`: one person moves over a background, H.264, 25 frames a second):

    genuine     the group's genuine frames, one after another
    forged      its forged frames, one after another: real forgeries, whose faces stand still between two of them
    by frame    its genuine frames, each frame of the film forged anew by `forge/self_blend`: what flickers is our doing

A logistic regression over the measurements of `temporal`, with and without jitter, jerk and flicker over consecutive
frames, is fitted on `train` and measured on `val`; and, without these three, on the real clips of `val`, which are what
it would have to help with. Writes one JSON object.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from facewitness import film, plugins
from facewitness.apps.script import script
from facewitness.bench.composed import Portrait, compose
from facewitness.finders import facemesh, tracks
from facewitness.types import Frame
from facewitness.witnesses import temporal

MOVES = ("jitter", "jerk", "flicker")
EACH = 3  # portraits of a person
STRENGTH = 0.3  # as fit.py has it
HERE = Path(__file__).parent


def portraits_of(rows: list[dict[str, Any]], finder: Any) -> list[Portrait]:
    """The faces of some rows, evenly chosen."""
    found = []
    for index in np.unique(np.linspace(0, len(rows) - 1, min(EACH, len(rows))).astype(int)):
        pixels = np.asarray(Image.open(io.BytesIO(rows[index]["image"])).convert("RGB"))
        faces = finder.find(Frame(pixels))
        if faces and faces[0].landmarks is not None:
            found.append(Portrait(pixels, faces[0].landmarks))
    return found


def measured(path: Path, people: list[Portrait], rng: np.random.Generator, seconds: float, by_frame: bool) -> Any:
    """A composed film's measurements; None where nobody is found in enough frames."""
    forger = plugins.get("forge", "self_blend") if by_frame else None
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "veryfast", "crf": "20"})
        stream.pix_fmt = "yuv420p"
        drawn = compose([people], rng, seconds=seconds, width=640, height=360, shots=1)
        finder = facemesh.load()
        landmarks = None
        for index, (pixels, _, _) in enumerate(drawn):
            if forger is not None:
                faces = (
                    finder.follow(Frame(pixels), [landmarks]) if landmarks is not None else finder.find(Frame(pixels))
                )
                face = faces[0] if faces else None
                landmarks = None if face is None else face.landmarks
                if landmarks is not None:
                    pixels = forger.forge(pixels, landmarks[:, :2], np.random.default_rng((index, 7))).pixels
            if index == 0:
                stream.height, stream.width = pixels.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts = index
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    clip = film.read(path, film.Sampling(frames=8), burst=temporal.BURST)
    for track in tracks.load().track(clip):
        seen = [(face, clip.at(face.at)) for face in track.faces if face.landmarks is not None]
        moved = temporal.moved(track, clip)
        if len(seen) >= temporal.LEAST and moved:
            values, _ = temporal.measured(seen)
            return {**values, **moved}
    return None


def of_clips(data: Path, finder: Any) -> tuple[np.ndarray, np.ndarray]:
    """The real clips of `val`: measurements without motion, and labels."""
    x, y = [], []
    for table in ("ffpp_c23", "deepfacelive"):
        rows = pq.read_table(data / f"{table}.parquet", columns=["label", "group", "method", "image", "split"])
        clips: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in rows.to_pylist():
            if row["split"] == "val":
                clips.setdefault((row["group"], row["method"]), []).append(row)
        for members in clips.values():
            seen = []
            for index in np.unique(np.linspace(0, len(members) - 1, min(8, len(members))).astype(int)):
                pixels = np.asarray(Image.open(io.BytesIO(members[index]["image"])).convert("RGB"))
                frame = Frame(pixels, int(index), float(index))
                faces = [face for face in finder.find(frame) if face.landmarks is not None]
                seen += [(faces[0], frame)] if faces else []
            if len(seen) >= temporal.LEAST:
                values, _ = temporal.measured(seen)
                x.append([values[name] for name in temporal.FEATURES])
                y.append(int(members[0]["label"] == "fake"))
    return np.array(x), np.array(y)


def fitted(x: np.ndarray, y: np.ndarray) -> Any:
    """A function from measurements to log-odds."""
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-6
    model = LogisticRegression(C=STRENGTH, max_iter=1000, class_weight="balanced")
    model.fit(np.clip((x - mean) / scale, -4, 4), y)
    return lambda other: model.decision_function(np.clip((other - mean) / scale, -4, 4))


def main() -> None:
    """Compose, measure, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--groups", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--out", type=Path, default=HERE / "composed.json")
    given = parser.parse_args()
    finder, films = facemesh.load(), []
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for table in ("ffpp_c23", "deepfacelive"):
        rows = pq.read_table(given.data / f"{table}.parquet", columns=["label", "group", "method", "image", "split"])
        for row in rows.to_pylist():
            groups.setdefault((row["split"], table, row["group"]), []).append(row)
    with tempfile.TemporaryDirectory() as folder:
        for split, most in (("train", given.groups), ("val", max(2, given.groups // 2))):
            chosen = sorted(key for key in groups if key[0] == split)
            picked = [chosen[i] for i in np.unique(np.linspace(0, len(chosen) - 1, min(most, len(chosen))).astype(int))]
            for number, key in enumerate(picked):
                genuine = [row for row in groups[key] if row["label"] == "real"]
                fakes = [row for row in groups[key] if row["label"] == "fake"]
                method = (
                    sorted({row["method"] for row in fakes})[number % len({row["method"] for row in fakes})]
                    if fakes
                    else ""
                )
                forged = [row for row in fakes if row["method"] == method]
                for kind, rows, by_frame in (
                    ("genuine", genuine, False), ("forged", forged, False), ("by frame", genuine, True),
                ):  # fmt: skip
                    people = portraits_of(rows, finder) if rows else []
                    if not people:
                        continue
                    rng = np.random.default_rng(number)
                    values = measured(Path(folder, "film.mp4"), people, rng, given.seconds, by_frame)
                    if values is not None:
                        films.append({"split": split, "kind": kind, "group": key[2], **values})
                        print(len(films), split, kind, {name: round(values[name], 4) for name in MOVES}, flush=True)
    results: dict[str, Any] = {
        "films": {split: {kind: sum(f["split"] == split and f["kind"] == kind for f in films)
                          for kind in ("genuine", "forged", "by frame")} for split in ("train", "val")},
        "seconds": given.seconds,
    }  # fmt: skip
    for kind in ("genuine", "forged", "by frame"):
        of_kind = [f for f in films if f["kind"] == kind]
        results[f"median of {kind}"] = {name: float(np.median([f[name] for f in of_kind])) for name in MOVES}
    models = {}
    for kind in ("forged", "by frame"):
        for name, names in (("without motion", temporal.FEATURES), ("with motion", (*temporal.FEATURES, *MOVES))):
            rows = {
                s: [f for f in films if f["split"] == s and f["kind"] in ("genuine", kind)] for s in ("train", "val")
            }
            x = {s: np.array([[f[n] for n in names] for f in rows[s]]) for s in rows}
            y = {s: np.array([int(f["kind"] != "genuine") for f in rows[s]]) for s in rows}
            model = fitted(x["train"], y["train"])
            results[f"AUC on val, {kind}, {name}"] = float(roc_auc_score(y["val"], model(x["val"])))
            models[kind, name] = model
    x, y = of_clips(given.data, finder)
    results["real clips of val"] = len(y)
    for kind in ("forged", "by frame"):
        scores = models[kind, "without motion"](x)
        results[f"AUC on real clips, fitted on {kind}"] = float(roc_auc_score(y, scores))
    given.out.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    script(main)
