"""Video-level AUC and AP of detectors, of language models in words, and of what is not run: KFD's tables 1, 2, 3, 5, 6.

    python runs/kfd/videos.py measure --pack DIR --out DIR OUT/ffpp/kfd.safetensors OUT/ffpp-sbi/sbi.safetensors …
        [--model FOLDER-OR-NAME … [--quote kfd.safetensors]] [--sources ffpp_c23 ffpp_c40 deepfacelive dfdc] [--most N]
    python runs/kfd/videos.py table 1 DIR …            2, 3, 5 or 6, each with the published rows and "not run"; 2 and 6
                                                       take language models' runs alone, 1 and 5 those of detectors

`measure` looks at the `val` frames of a pack, cropped as in training. A detector is a file of train/kfd, KFD's or the
rival's (`models/sbi`); it is asked about self-blends and region edits of the genuine frames, too. A video is the frames
of one method about one group, and its score the mean over them. A language model answers "Is this a deepfake image?"
about each frame, yes is 1 and no is 0, and a video's score is the mean again: table 2's way to an AUC of words. An
answer that is neither counts as one half. `--quote` tells a model without a detector of its own the score, in its
question. Controls stand in each table: the score alone, the map alone (the mean of its highest hundredth), and one
answer always. Each run is a JSON file in DIR, called as its folder.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from facewitness import geometry, plugins
from facewitness.apps.script import script
from facewitness.bench import measures
from facewitness.bench.conditions import FORGERS
from facewitness.builders.pack import Pack
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.grammars import yes_no
from facewitness.models import _saved
from facewitness.models.kfd import KFD
from facewitness.models.sbi import SBI

SOURCES = ("ffpp_c23", "ffpp_c40", "deepfacelive", "dfdc")
MARGIN = 1.3
QUESTION = "Is this a deepfake image?"
_IOU = 0.5  # a map's threshold
_FEW = 20  # videos, below which a number says beside it how many it is of
_TOO_FEW = 10  # videos, below which an interval would say nothing

# The paper's numbers in per cent, an AUC, or with its AP: table -> row -> column -> numbers
PUBLISHED: Mapping[str, Mapping[str, Mapping[str, tuple[float, ...]]]] = {
    "1": {
        "KFD (paper)": {"FF++": (99.53, 99.54), "CDF2": (94.71, 93.59), "DFD": (99.64, 99.68), "DFDC": (79.12, 77.69),
                        "CDF1": (97.62, 97.67), "DFDCP": (91.81, 88.26)},
        "SBI (paper)": {"FF++": (99.15, 99.15), "CDF2": (93.82, 92.99), "DFD": (96.32, 96.13), "DFDC": (74.47, 74.09),
                        "CDF1": (93.44, 93.77), "DFDCP": (90.95, 85.98)},
    },
    "2": {
        "P-Tuning (paper)": {"FF++": (91.32,), "CDF2": (79.97,), "DFD": (88.74,), "CDF1": (81.45,), "DFDCP": (69.26,)},
        "PandaGPT (paper)": {"FF++": (63.42,), "CDF2": (62.53,), "DFD": (64.56,), "CDF1": (55.01,), "DFDCP": (46.06,)},
        "Qwen2-VL (paper)": {"FF++": (50.50,), "CDF2": (48.88,), "DFD": (42.38,), "CDF1": (46.46,), "DFDCP": (51.71,)},
        "FAK-Owl (paper)": {"FF++": (67.54,), "CDF2": (73.51,), "DFD": (68.61,), "CDF1": (62.13,), "DFDCP": (65.96,)},
        "KFD in words (paper)": {"FF++": (97.11,), "CDF2": (89.90,), "DFD": (92.26,), "CDF1": (95.97,),
                                 "DFDCP": (86.70,)},
    },
    "3": {
        "50 pictures (paper)": {"FF++": (92.68,), "CDF1": (83.18,), "DFD": (74.46,), "DFDC": (61.82,)},
        "100 pictures (paper)": {"FF++": (94.38,), "CDF1": (91.12,), "DFD": (78.99,), "DFDC": (63.88,)},
        "200 pictures (paper)": {"FF++": (94.02,), "CDF1": (91.98,), "DFD": (80.47,), "DFDC": (62.09,)},
        "500 pictures (paper)": {"FF++": (95.15,), "CDF1": (91.82,), "DFD": (81.65,), "DFDC": (65.31,)},
    },
    "5": {
        "FF++, 720 genuine (paper)": {"FF++": (99.54,), "CDF2": (94.32,), "DFDCP": (92.39,), "DFDC": (77.03,)},
        "CDF2, 622 genuine (paper)": {"FF++": (97.95,), "CDF2": (95.79,), "DFDCP": (86.36,), "DFDC": (70.27,)},
        "DFDCP, 737 genuine (paper)": {"FF++": (99.15,), "CDF2": (85.17,), "DFDCP": (93.74,), "DFDC": (69.64,)},
    },
    "6": {
        "Llama-3.2-1B (paper)": {"FF++": (96.49,), "CDF1": (95.64,), "DFD": (82.74,), "DFDC": (65.66,)},
        "Llama-3.2-3B (paper)": {"FF++": (97.08,), "CDF1": (95.30,), "DFD": (82.80,), "DFDC": (66.12,)},
        "Vicuna-7B (paper)": {"FF++": (97.11,), "CDF1": (95.97,), "DFD": (84.26,), "DFDC": (67.65,)},
    },
}  # fmt: skip
WORDS = ("2", "6")  # tables of what a language model says; the others are of what a detector scores, and 3 of both
# Rows that a table of the paper has, and the names with which they are run
ROWS: Mapping[str, Mapping[str, str]] = {
    "1": {"KFD": "kfd", "SBI": "sbi"},
    "2": {"P-Tuning": "ptuning", "PandaGPT": "panda", "Qwen2-VL": "qwen2-vl", "FAK-Owl": "fak-owl",
          "KFD in words": "kfd"},
    "3": {f"{n} pictures": str(n) for n in (50, 100, 200, 500)},
    "5": {"FF++": "ffpp", "DFDC": "dfdc", "DeepFaceLive": "deepfacelive"},
    "6": {"made from nothing, 1.4 M": "small-64", "made from nothing, 2.2 M": "small-128",
          "made from nothing, 4.3 M": "small-192", "SmolLM2-135M": "smollm2", "Qwen2.5-0.5B": "qwen2.5",
          "Llama-3.2-1B": "llama-1b", "Llama-3.2-3B": "llama-3b", "Vicuna-7B": "vicuna"},
}  # fmt: skip
# Why a row was not run, and with what it would be (README.md has each command whole, with what it starts from)
_NOT = "not among these runs"
_TRAIN = f"{_NOT}; facewitness train kfd"
_FROM_NOTHING = f"{_NOT}; facewitness build small_vlm talks6/chat.json"
NOT_RUN: Mapping[str, str] = {
    "kfd": f"{_NOT}; words: measure --model FOLDER; a detector: facewitness train kfd runs/kfd/ffpp.toml … "
           "--out OUT/kfd",
    "sbi": f"{_TRAIN} runs/kfd/ffpp-sbi.toml … --out OUT/ffpp-sbi",
    **{n: f"{_TRAIN} runs/kfd/tables.toml --images {n} … --out OUT/{n}" for n in ("50", "100", "200", "500")},
    "ffpp": f"{_TRAIN} runs/kfd/tables.toml … --out OUT/ffpp",
    **{s: f"{_TRAIN} runs/kfd/tables.toml --set 'sources={{{s}=1.0}}' … --out OUT/{s}"
       for s in ("dfdc", "deepfacelive")},
    **{f"small-{w}": f"{_FROM_NOTHING} --width {w} --layers {n} …, then "
       f"train sft runs/kfd/table6.toml … --out OUT/small-{w}"
       for w, n in ((64, 2), (128, 4), (192, 6))},
    "ptuning": "the authors' prompts are not published; a tuned model: --model FOLDER",
    "panda": "weights are not at hand; facewitness build panda … makes its shape, then --model FOLDER",
    "qwen2-vl": "weights are not at hand; --model Qwen/Qwen2-VL-7B-Instruct, or a server: facewitness bench run",
    "fak-owl": "its checkpoint is its authors' own; --model FOLDER",
    "smollm2": "weights are not at hand; facewitness build panda HuggingFaceTB/SmolLM2-135M-Instruct, then train sft",
    "qwen2.5": "weights are not at hand; facewitness build panda Qwen/Qwen2.5-0.5B-Instruct, then train sft",
    "llama-1b": "weights are not at hand; facewitness build panda meta-llama/Llama-3.2-1B-Instruct, then train sft",
    "llama-3b": "weights are not at hand; facewitness build panda meta-llama/Llama-3.2-3B-Instruct, then train sft",
    "vicuna": "wants a GPU of 24 GB; facewitness train sft runs/kfd/sft.toml",
}  # fmt: skip


def detector(path: Path) -> KFD | SBI:
    """A file of train/kfd. Raises WeightsError."""
    return SBI.load(path) if _saved.kind_of(path) == "sbi" else KFD.load(path)


def frames(data: Pack, sources: Sequence[str], most: int | None) -> list[int]:
    """`val` rows with a face, at most so many genuine and so many forged of each source."""
    counted: dict[tuple[str, str], int] = {}
    out = []
    for i in data.indices("val", sources):
        row = data.rows[i]
        key = (row["source"], row["label"])
        if data.landmarks(i) is None or counted.get(key, 0) == most:
            continue
        counted[key] = counted.get(key, 0) + 1
        out.append(i)
    if not out:
        raise InputError(f"expected `val` rows of {', '.join(sources)} in the pack, got none")
    return out


def crop(pixels: Any, landmarks: Any, size: int) -> NDArray[np.uint8]:
    """A face as training crops it."""
    return geometry.crop(pixels, geometry.align(landmarks, size, MARGIN), size)


def looked(model: KFD | SBI, crops: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Scores (n,) and maps (n, S, S)."""
    pixels = torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy()).float()
    with torch.inference_mode():
        found = model(pixels)
    return found.score.numpy(), found.map[:, 0].numpy()


def of_detector(model: KFD | SBI, data: Pack, rows: Sequence[int], batch: int = 8) -> dict[str, Any]:
    """Every number of one detector."""
    size = int(model.encoders.size)
    scores: list[float] = []
    peaks: list[float] = []
    for begin in track(range(0, len(rows), batch), "looking"):
        part = rows[begin : begin + batch]
        crops = [crop(data.pixels(i), data.landmarks(i), size) for i in part]
        found, maps = looked(model, crops)
        scores += found.tolist()
        peaks += [peak(each) for each in maps]
    numbers = {"steps": None, **in_videos(data, rows, scores), **constant(data, rows)}
    if isinstance(model, KFD):
        numbers["map alone"] = in_videos(data, rows, peaks)
    return {**numbers, "made": made(model, data, rows, scores, size)}


def peak(located: NDArray[Any]) -> float:
    """A map's verdict by itself: the mean of its highest hundredth."""
    values = np.sort(located, axis=None)
    return float(values[-max(1, values.size // 100) :].mean())


def constant(data: Pack, rows: Sequence[int]) -> dict[str, Any]:
    """The same numbers of one answer for every frame, be it fake or real."""
    return {"one answer always": in_videos(data, rows, [1.0] * len(rows))}


def made(
    model: KFD | SBI, data: Pack, rows: Sequence[int], scores: Sequence[float], size: int
) -> dict[str, dict[str, Any]]:
    """AUC, and mask IoU where there is a map, on forgeries made of the genuine frames, each forger half of them."""
    real = [(i, score) for i, score in zip(rows, scores, strict=True) if data.rows[i]["label"] == "real"]
    found: dict[str, list[tuple[str, float, float]]] = {name: [] for name in FORGERS}
    for i, _ in track(real, "forging"):
        draw = zlib.crc32(data.rows[i]["file"].encode())
        name, points = FORGERS[draw % len(FORGERS)], data.landmarks(i)
        if points is None:
            continue
        try:
            forged = plugins.get("forge", name).forge(data.pixels(i), points, np.random.default_rng((0, draw)))
        except InputError:
            continue  # a mesh half outside its picture
        score, located = looked(model, [crop(forged.pixels, points, size)])
        mask = crop(forged.mask / max(float(forged.mask.max()), 1e-6), points, size) > _IOU
        both, either = (mask & (located[0] > _IOU)).sum(), (mask | (located[0] > _IOU)).sum()
        found[name].append((group_of(data, i), float(score[0]), both / either if either else np.nan))
    out: dict[str, dict[str, Any]] = {}
    for name, cases in found.items():
        groups = [group_of(data, i) for i, _ in real] + [group for group, _, _ in cases]
        fake = [False] * len(real) + [True] * len(cases)
        p = [score for _, score in real] + [score for _, score, _ in cases]
        auc = measures.detection(fake, p, groups, only=["auc"])["auc"]
        iou = measures.ratios(
            {"iou": (np.array([v for _, _, v in cases]), np.ones(len(cases)))}, [g for g, _, _ in cases]
        )["iou"]
        out[name] = {"auc": asdict(auc), "iou": asdict(iou) if isinstance(model, KFD) else None}
    return out


def group_of(data: Pack, i: int) -> str:
    """What a bootstrap draws."""
    return f"{data.rows[i]['source']}/{data.rows[i]['group']}"


def in_videos(data: Pack, rows: Sequence[int], scores: Sequence[float]) -> dict[str, Any]:
    """AUC and AP of each source, of frames and of videos."""
    out: dict[str, Any] = {}
    for source in dict.fromkeys(data.rows[i]["source"] for i in rows):
        mine = [(data.rows[i], s) for i, s in zip(rows, scores, strict=True) if data.rows[i]["source"] == source]
        videos: dict[tuple[str, str, str], list[float]] = {}
        for row, score in mine:
            videos.setdefault((row["group"], row["method"], row["label"]), []).append(score)
        of = {
            "frames": (
                [row["label"] == "fake" for row, _ in mine],
                [s for _, s in mine],
                [r["group"] for r, _ in mine],
            ),
            "videos": (
                [key[2] == "fake" for key in videos],
                [float(np.mean(each)) for each in videos.values()],
                [key[0] for key in videos],
            ),
        }
        out[source] = {
            level: {name: asdict(value) for name, value in measures.detection(*columns, only=["auc", "ap"]).items()}
            for level, columns in of.items()
        }
    return out


def of_words(name: str, data: Pack, rows: Sequence[int], quote: Path | None = None) -> dict[str, Any]:
    """The same of a language model's yes and no, beside what the detector says without it.

    Args:
        name: Folder or hub name.
        data: The pack.
        rows: Frames that are asked about.
        quote: A detector whose score is put into the question of a model that has none of its own.

    Raises:
        InputError: It was taught with scores, and nobody gives it one.
    """
    from facewitness.witnesses import _prompted
    from facewitness.witnesses import kfd as witness

    model = _prompted.Prompted(name, "cpu", witness.LONGEST)
    own = getattr(model.expert, "detector", None)
    quoting = model.taught.quoted or (own is None and quote is not None)
    if own is None and quote is not None:
        own = detector(quote)
    if quoting and own is None:
        raise InputError(f"'{name}' was taught with a detector's score in its prompts, and has no detector of KFD's")
    size = 224 if own is None else int(own.encoders.size)
    values = {"fake": 1.0, "real": 0.0}
    answered: list[float] = []
    scores: list[float] = []
    peaks: list[float] = []
    for i in track(rows, "asking"):
        shown = crop(data.pixels(i), data.landmarks(i), size)
        seen = None if own is None else looked(own, [shown])
        if seen is not None:
            scores.append(float(seen[0][0]))
            peaks.append(peak(seen[1][0]))
        quoted = scores[-1] if quoting else None
        reply = yes_no.parse(model.answer(shown, yes_no.prompt(witness.TASK, quoted, QUESTION)))
        answered.append(values.get(reply.label or "", 0.5))
    numbers = {**in_videos(data, rows, answered), **constant(data, rows)}
    if scores:
        numbers["score alone"], numbers["map alone"] = in_videos(data, rows, scores), in_videos(data, rows, peaks)
        numbers["agreement"] = float(np.mean([(s >= 0.5) == (p >= 0.5) for s, p in zip(answered, scores, strict=True)]))
    return numbers


def table(which: str, folder: Path) -> str:
    """One of the paper's tables as Markdown: ours, the published rows, and "not run" where there is no run."""
    if which not in ROWS:
        raise InputError(f"table: expected one of {', '.join(ROWS)}, got {which!r}")
    runs = {file.stem: _run(file) for file in sorted(folder.glob("*.json"))}
    if not runs:
        raise InputError(f"'{folder}': expected runs that `measure` wrote, got none")
    if which in WORDS:  # a detector's score is no word
        runs = {name: run for name, run in runs.items() if "steps" not in run}
    elif which != "3":
        runs = {name: run for name, run in runs.items() if "steps" in run}
    sources = list(dict.fromkeys(s for run in runs.values() for s in run if s in SOURCES)) or list(SOURCES)
    published = PUBLISHED[which]
    more = list(dict.fromkeys(column for row in published.values() for column in row))
    both = any(len(numbers) > 1 for row in published.values() for numbers in row.values())
    columns = [
        *(f"{source}, video AUC / AP" for source in sources),
        *(f"{name}, AUC{' / AP' * both}" for name in more),
    ]
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    known = set()
    for title, stem in ROWS[which].items():
        mine = [name for name in runs if name == stem or name.startswith(f"{stem}-") or name.endswith(f"-{stem}")]
        known |= set(mine)
        for name in mine or [""]:
            cells = [_cells(runs[name].get(source)) if name else "not run" for source in sources]
            if not name:
                cells[0] = f"not run: {NOT_RUN[stem]}"
            lines.append(f"| {title}{f' ({name})' if name else ''} | {' | '.join([*cells, *['–'] * len(more)])} |")
    for name in [name for name in runs if name not in known]:
        cells = [_cells(runs[name].get(source)) for source in sources]
        lines.append(f"| {name} | {' | '.join([*cells, *['–'] * len(more)])} |")
    for control in ("score alone", "map alone", "one answer always"):
        for name in [name for name in runs if name in known and control in runs[name]]:
            if control == "one answer always" and any(line.startswith("| one answer") for line in lines):
                continue  # the same frames, the same numbers
            cells = [_cells(runs[name][control].get(source)) for source in sources]
            whose = "" if control == "one answer always" else f" ({name})"
            lines.append(f"| {control}{whose} | {' | '.join([*cells, *['–'] * len(more)])} |")
    for title, row in published.items():
        cells = [" / ".join(f"{number:.2f}" for number in row[name]) + " %" if name in row else "–" for name in more]
        lines.append(f"| {title} | {' | '.join([*['–'] * len(sources), *cells])} |")
    return "\n".join(lines) + "\n"


def _run(file: Path) -> dict[str, Any]:
    try:
        run = json.loads(file.read_text(encoding="utf-8"))
        of_sources = [run[source]["videos"]["auc"] for source in SOURCES if source in run]
    except (OSError, ValueError, TypeError, KeyError):
        of_sources = []
    if not of_sources:
        raise InputError(
            f"'{file}': expected a run that `measure` wrote, got something else; take it out of the folder"
        )
    return dict(run)


def named(model: str) -> str:
    """What a language model's run is called: its folder, or that above where training called it `model`."""
    path = Path(model)
    return path.parent.name if path.name == "model" and path.parent.name else path.name


def _cells(levels: Mapping[str, Any] | None) -> str:
    if levels is None:
        return "–"
    auc, ap = levels["videos"]["auc"], levels["videos"]["ap"]
    if auc["value"] is None:
        return "–"
    interval = "" if auc["low"] is None or auc["n"] < _TOO_FEW else f" ({auc['low']:.3f}–{auc['high']:.3f})"
    few = f", {auc['n']} videos" if auc["n"] < _FEW else ""
    return f"{auc['value']:.3f}{interval} / {ap['value']:.3f}{few}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, or put measured runs into one of the paper's tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parts = parser.add_subparsers(dest="what", required=True)
    measure = parts.add_parser("measure")
    measure.add_argument("detectors", type=Path, nargs="*", help="kfd.safetensors or sbi.safetensors of runs")
    measure.add_argument("--model", nargs="*", default=[], help="language models: folders or hub names")
    measure.add_argument("--quote", type=Path, help="a detector whose score is told to a --model that has none")
    measure.add_argument("--pack", type=Path, required=True)
    measure.add_argument("--sources", nargs="+", default=list(SOURCES))
    measure.add_argument("--most", type=int, help="genuine and forged frames of each source")
    measure.add_argument("--out", type=Path, required=True)
    shown = parts.add_parser("table")
    shown.add_argument("which", choices=list(ROWS))
    shown.add_argument("folder", type=Path)
    given = parser.parse_args(arguments)
    if given.what == "table":
        print(table(given.which, given.folder))
    else:
        _measure(given)


def _measure(given: argparse.Namespace) -> None:
    data = Pack(given.pack)
    rows = frames(data, given.sources, given.most)
    for path in given.detectors:
        numbers = of_detector(detector(path), data, rows)
        numbers["steps"] = (
            json.loads(path.with_suffix(".json").read_text(encoding="utf-8")).get("trained", {}).get("steps")
        )
        write_whole(given.out / f"{path.parent.name}.json", (json.dumps(numbers, indent=1) + "\n").encode())
    for name in given.model:
        numbers = of_words(name, data, rows, given.quote)
        write_whole(given.out / f"{named(name)}.json", (json.dumps(numbers, indent=1) + "\n").encode())


if __name__ == "__main__":
    script(main)
