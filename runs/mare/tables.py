"""MARE's tables 3, 4 and 5 with what was run here, what was not and why, and the paper's numbers beside it.

    python runs/mare/evaluate.py NAME-OR-FOLDER dma.parquet --whole --out DIR/qwen        a row of tables 3 and 4
    python runs/mare/tables.py 3 DIR
    python runs/mare/tables.py verdicts --pack PACK --out DIR f=f/model fi=fi/model fir=fir/model      rows of table 5
    python runs/mare/tables.py 5 DIR

Table 3 and 4 are accuracy and F1 of "fake" in the words about the whole image: `verdict, whole` of `evaluate.py`, whose
folder below DIR has the row's name. Table 5 is the same of models that learned with modules of which losses were
switched off, on held-out frames of DFDC and FaceForensics++ c40 (WildDeepfake is not at hand). Each of its rows is

    facewitness train fdm runs/fdm/ablation.toml --pack PACK --init-from IMAGENET --without … --out OUT/f
    facewitness train sft runs/mare/sft-small.toml --forensic dma.parquet --detector OUT/f/fdm.safetensors --model …

`verdicts` asks "Does the image looks real/fake?", DD-VQA's own words, about the middle square of each frame; an answer
without a verdict is wrong. Beside it stand the module's score alone, always fake and always real.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from facewitness.apps.script import script
from facewitness.bench import measures
from facewitness.builders.pack import Pack
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.grammars import mare
from facewitness.models import prompted_vlm as pv

QUESTION = "Does the image looks real/fake?"
SOURCES = ("dfdc", "ffpp_c40")
SIDE = 224  # pixels

# title → (name of the run, accuracy and F1 of the paper in per cent by column)
Published = Mapping[str, tuple[str, Mapping[str, tuple[float, float]]]]
PUBLISHED: Mapping[str, Published] = {
    "3": {
        "Qwen": ("qwen", {"DMA": (59.41, 51.04)}),
        "InternVL": ("internvl", {"DMA": (42.33, 47.35)}),
        "LLaVA": ("llava", {"DMA": (51.41, 37.04)}),
        "LLaVA after SFT": ("llava-sft", {"DMA": (86.41, 92.10)}),
        "DDVQA-BLIP": ("ddvqa-blip", {"DMA": (87.49, 90.07)}),
        "M2F2": ("m2f2", {"DMA": (95.23, 96.61)}),
        "MARE": ("mare", {"DMA": (98.09, 97.04)}),
    },
    "4": {
        "InternVL2.5-4B": ("internvl4b", {"DMA": (94.27, 90.68)}),
        "Qwen2.5-VL-3B": ("qwen3b", {"DMA": (95.42, 92.68)}),
        "Qwen2.5-VL-7B": ("qwen7b", {"DMA": (98.09, 97.04)}),
    },
    "5": {
        "L_f": ("f", {"WDF": (83.62, 84.62), "DFDC": (94.92, 96.07)}),
        "L_f + L_I": ("fi", {"WDF": (85.48, 86.15), "DFDC": (93.75, 95.24)}),
        "L_f + L_I + L_r": ("fir", {"WDF": (87.72, 87.82), "DFDC": (98.83, 99.08)}),
        "L_f + L_I + L_r, adversarial heads": ("fira", {}),
    },
}
_ASK = "runs/mare/evaluate.py {} dma.parquet --whole --out DIR/{}"
_GRPO = "train grpo runs/mare/published-{}.toml, then evaluate.py"
NOT_RUN: Mapping[str, str] = {
    "qwen": _ASK.format("Qwen/Qwen2.5-VL-7B-Instruct", "qwen"),
    "internvl": _ASK.format("OpenGVLab/InternVL2_5-8B-MPO-hf", "internvl"),
    "llava": _ASK.format("llava-hf/llava-v1.6-vicuna-7b-hf", "llava"),
    "llava-sft": "train sft runs/mare/published-sft-qwen7b.toml --model llava-hf/llava-v1.6-vicuna-7b-hf "
    "--no-forgery-prompt --forensic TRAIN --out OUT, then runs/mare/evaluate.py OUT/model dma.parquet --whole "
    "--out DIR/llava-sft",
    "ddvqa-blip": "its checkpoint is its authors' own",
    "m2f2": "its checkpoint is its authors' own",
    "mare": _GRPO.format("qwen7b"),
    "internvl4b": _GRPO.format("internvl4b"),
    "qwen3b": _GRPO.format("qwen3b"),
    "qwen7b": _GRPO.format("qwen7b"),
}


def table(which: str, folder: Path) -> str:
    """One of the tables as Markdown: the paper's rows, ours in them or why not, then further runs and the controls.

    Args:
        which: "3", "4" or "5".
        folder: Of the runs.

    Raises:
        InputError: There is no such table, or a run that cannot be read.
    """
    if which not in PUBLISHED:
        raise InputError(f"tables: expected one of {', '.join(PUBLISHED)}, got {which!r}")
    if not folder.is_dir():
        raise InputError(f"tables: expected the folder of the runs, got '{folder}', which is none")
    runs = _verdicts(folder) if which == "5" else _asked(folder)
    ours = list(dict.fromkeys(column for run in runs.values() for column in run["model"]))
    ours = ours or (list(SOURCES) if which == "5" else ["whole"])
    theirs = list(dict.fromkeys(column for _, row in PUBLISHED[which].values() for column in row))
    columns = [*(f"{name}, accuracy / F1" for name in ours), *(f"{name}, the paper's" for name in theirs)]
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    titles = {name: title for title, (name, _) in PUBLISHED[which].items()}
    for name in [*titles, *(name for name in runs if name not in titles)]:
        published = PUBLISHED[which][titles[name]][1] if name in titles else {}
        cells = [_cells(runs[name]["model"].get(column)) if name in runs else "not run" for column in ours]
        if name not in runs:
            cells[0] = f"not run: {NOT_RUN.get(name, 'see the head of this command')}"
        cells += [
            "–" if column not in published else "{:.2f} / {:.2f} %".format(*published[column]) for column in theirs
        ]
        lines.append(f"| {titles.get(name, name)} | {' | '.join(cells)} |")
    for control in ("score alone", "shuffled", "always fake", "always real"):
        for name, run in runs.items():
            if control in run and (control == "score alone" or name == next(iter(runs))):
                cells = [_cells(run[control].get(column)) for column in ours]
                whose = f" ({name})" if control == "score alone" else ""
                lines.append(f"| {control}{whose} | {' | '.join([*cells, *['–'] * len(theirs)])} |")
    return "\n".join(lines) + "\n"


def _asked(folder: Path) -> dict[str, dict[str, Any]]:
    """Runs of `evaluate.py`: name → speaker → {"whole": accuracy and F1}."""
    runs = {}
    for file in sorted(folder.glob("*/results.json")):
        numbers = _json(file)
        runs[file.parent.name] = {
            who: {"whole": {"acc": each["verdict, whole"], "f1": each["f1, whole"]}}
            for who, each in numbers.items()
            if isinstance(each, dict) and "verdict, whole" in each
        }
    return {name: run for name, run in runs.items() if "model" in run}


def _verdicts(folder: Path) -> dict[str, dict[str, Any]]:
    runs = {file.stem: _json(file) for file in sorted(folder.glob("*.json"))}
    for name, run in runs.items():
        if not isinstance(run, dict) or not isinstance(run.get("model"), dict):
            raise InputError(
                f"'{folder / name}.json': expected what `verdicts` wrote, got something else; take it out of the folder"
            )
    return runs


def _json(file: Path) -> dict[str, Any]:
    try:
        numbers: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"'{file}': expected what was measured as JSON, got something else ({error}).") from error
    return numbers


def _cells(values: Mapping[str, Any] | None) -> str:
    return "–" if values is None else " / ".join(_cell(values[name]) for name in ("acc", "f1"))


def _cell(value: Mapping[str, Any]) -> str:
    if value["value"] is None:
        return "–"
    return f"{value['value']:.3f}" + ("" if value["low"] is None else f" ({value['low']:.3f}–{value['high']:.3f})")


# ------------------------------------------------------------------------------------------------------ the verdicts


def frames(data: Pack, sources: Sequence[str], limit: int | None) -> list[int]:
    """`val` rows, at most so many of each source and label.

    Raises:
        InputError: A source has none.
    """
    rows: list[int] = []
    for source in sources:
        mine = data.indices("val", [source])
        if not mine:
            raise InputError(f"expected `val` rows of {source} in the pack, got none")
        for label in ("real", "fake"):
            rows += [i for i in mine if data.rows[i]["label"] == label][:limit]
    return rows


def verdicts(
    name: str, data: Pack, rows: Sequence[int], tokens: int, batch: int = 16
) -> Iterator[tuple[int, str, Any]]:
    """(row, what the model said: "fake", "real" or "", its module's score or None) of each row."""
    model, processor = pv.loaded(name, dtype="auto")
    module = getattr(pv.expert_of(model), "fdm", None)
    for begin in range(0, len(rows), batch):
        part = rows[begin : begin + batch]
        shown = [data.square(i, SIDE) for i in part]
        texts = pv.answers(model, processor, shown, [mare.prompt(QUESTION)] * len(part), tokens)
        scores = [None if module is None else _scored(model, data.square(i, pv.expert_of(model).size)) for i in part]
        for i, text, score in zip(part, texts, scores, strict=True):
            yield i, mare.parse(text).label or "", score


def _scored(model: Any, picture: Any) -> float:
    import torch

    pixels = torch.from_numpy(picture.transpose(2, 0, 1).copy()).float()[None]
    with torch.inference_mode():
        return float(pv.expert_of(model).fdm(pixels).score[0])


def measured(data: Pack, said: Sequence[tuple[int, str, float | None]]) -> dict[str, Any]:
    """Accuracy and F1 of "fake" by speaker and source, with intervals over groups."""
    out: dict[str, Any] = {}
    for source in dict.fromkeys(data.rows[i]["source"] for i, *_ in said):
        mine = [each for each in said if data.rows[each[0]]["source"] == source]
        of = {
            "model": [word for _, word, _ in mine],
            "score alone": [None if score is None else "fake" if score >= 0.5 else "real" for *_, score in mine],
            "always fake": ["fake"] * len(mine),
            "always real": ["real"] * len(mine),
        }
        truth = np.array([data.rows[i]["label"] == "fake" for i, *_ in mine])
        for who, words in of.items():
            if None in words:
                continue
            fake, real = (np.array([word == label for word in words]) for label in ("fake", "real"))
            parts = {
                "acc": (np.where(truth, fake, real) * 1.0, np.ones(len(mine))),
                "f1": (2.0 * (fake & truth), fake * 1.0 + truth),
            }
            found = measures.ratios(parts, [data.rows[i]["group"] for i, *_ in mine])
            out.setdefault(who, {})[source] = {key: asdict(value) for key, value in found.items()}
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask models, or print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=["verdicts", *PUBLISHED])
    parser.add_argument("runs", nargs="+", help="NAME=MODEL of models to ask, or the folder with the runs of a table")
    parser.add_argument("--pack", type=Path)
    parser.add_argument("--sources", nargs="+", default=list(SOURCES))
    parser.add_argument("--limit", type=int, help="rows of each source and label")
    parser.add_argument("--tokens", type=int, default=256, help="of a reply, at most")
    parser.add_argument("--out", type=Path, help="folder of `verdicts`")
    given = parser.parse_args(arguments)
    if given.what != "verdicts":
        print(table(given.what, Path(given.runs[0])), end="")
        return
    if given.pack is None or given.out is None:
        parser.error("verdicts: expected --pack and --out")
    data = Pack(given.pack)
    rows = frames(data, given.sources, given.limit)
    for each in given.runs:
        name, equals, model = each.partition("=")
        if not equals:
            raise InputError(f"verdicts: expected NAME=MODEL, got {each!r}")
        numbers = measured(data, list(verdicts(model, data, rows, given.tokens)))
        write_whole(given.out / f"{name}.json", (json.dumps(numbers, indent=1) + "\n").encode())
    print(table("5", given.out), end="")


if __name__ == "__main__":
    script(main)
