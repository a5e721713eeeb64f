"""Draws MARE's figures from what was measured here: words (figure 8), sheets (figures 5 and 6), attention (figure 7).

    python runs/mare/figures.py words  MARE=OUT/predictions Qwen=OUT2/predictions --out words.svg
    python runs/mare/figures.py sheet  Qwen=OUT2/predictions MARE=OUT/predictions --table dma.parquet --out sheet.png
    python runs/mare/figures.py attention whole=fdm.safetensors "no L_r"=r/fdm.safetensors --pack PACK --out a.png

OUT/predictions are replies that runs/mare/evaluate.py kept: of a model of ours by its folder, of a plain one by its hub
name (Qwen/Qwen2.5-VL-3B-Instruct, OpenGVLab/InternVL2_5-8B-MPO-hf, llava-hf/llava-v1.6-vicuna-7b-hf), both about the
same table, which are table 3's rows; one behind a server is asked by `bench run ddvqa --questions --backend openai`.

words      how often people, and each model, use a term: the share of replies that have it. Bars instead of a cloud, in
           which an area cannot be read; beside it how near a model's terms are to people's (1 − the Jensen-Shannon
           divergence of the two distributions, base 2: 1 is the same, 0 has nothing in common)
sheet      the same faces and questions, each model's boxes and words in a column of its own, people's first
attention  where each module's trace branch sees forgery, from each picture's lowest to its highest place: compare the
           shapes, not the strengths (`FDM.attention`, relative). Modules without a loss come of train fdm --without

The pictures of sheets and of attention are the data's: mind its terms before you pass them on.
"""

from __future__ import annotations

import argparse
import json
import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pyarrow as pa
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from facewitness.apps.script import script
from facewitness.bench import predictions
from facewitness.builders import chats
from facewitness.errors import InputError
from facewitness.grammars import mare
from facewitness.train import paired

PEOPLE = "people"
_STOP = frozenset(re.findall(r"[a-z]+", """
    a an the this that these those it its is are was were be been has have had do does did not no and or but of to in
    on at by for from with as than then so very too more most some any there their his her he she they i you we which
    what who how why when because looks look looking like appears appear seems seem image picture photo person face
    fake real also can may could would should around between into over under both one two s t
"""))  # fmt: skip


def terms(text: str) -> set[str]:
    """The words of a text that say something, each once: lower case, without function words and the verdict itself."""
    return {word for word in re.findall(r"[a-z]+", text.lower()) if len(word) > 2 and word not in _STOP}


def shares(texts: Sequence[str]) -> dict[str, float]:
    """Term → the share of texts that have it."""
    counts = Counter(term for text in texts for term in terms(text))
    return {term: count / max(1, len(texts)) for term, count in counts.items()}


def nearness(one: Mapping[str, float], other: Mapping[str, float]) -> float | None:
    """1 − the Jensen-Shannon divergence of two term distributions, base 2; None where one has no term."""
    names = sorted({*one, *other})
    p, q = (np.array([each.get(name, 0.0) for name in names]) for each in (one, other))
    if not p.sum() or not q.sum():
        return None
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2

    def divergence(a: Any) -> float:
        there = a > 0
        return float((a[there] * np.log2(a[there] / middle[there])).sum())

    return 1 - (divergence(p) + divergence(q)) / 2


def _runs(given: Sequence[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or not name or name in found:
            raise InputError(f"expected NAME=PATH, each name once, got {text!r}")
        found[name] = Path(path)
    return found


def _replies(folder: Path) -> list[dict[str, Any]]:
    table: pa.Table = predictions.read(folder)[0]
    return [row for row in table.to_pylist() if row["question"]]


def words(runs: Mapping[str, Path], count: int = 24) -> tuple[Figure, dict[str, Any]]:
    """Figure 8: the most frequent terms of people and models as bars, and the numbers behind them."""
    rows = {name: _replies(folder) for name, folder in runs.items()}
    first = next(iter(rows.values()))
    found = {PEOPLE: shares([text for row in first for text in row["references"] or ()])}
    found |= {name: shares([row["text"] or "" for row in each]) for name, each in rows.items()}
    top = sorted({*found[PEOPLE], *(t for each in found.values() for t in each)},
                 key=lambda t: (-max(each.get(t, 0.0) for each in found.values()), t))[:count]  # fmt: skip
    figure = Figure(figsize=(7, 0.3 * len(top) + 1))
    axes = figure.add_subplot()
    height = 0.8 / len(found)
    for place, (name, each) in enumerate(found.items()):
        near = None if name == PEOPLE else nearness(found[PEOPLE], each)
        label = name if near is None else f"{name} (near people's by {near:.2f})"
        where = np.arange(len(top)) + place * height
        axes.barh(where, [each.get(term, 0.0) for term in top], height, label=label)
    axes.set_yticks(np.arange(len(top)) + 0.4 - height / 2, top)
    axes.invert_yaxis()
    axes.set_xlabel("share of replies that have the term")
    axes.legend(fontsize=8)
    figure.tight_layout()
    near = {name: nearness(found[PEOPLE], each) for name, each in found.items() if name != PEOPLE}
    return figure, {"terms": {name: {t: each.get(t, 0.0) for t in top} for name, each in found.items()}, "near": near}


def sheet(runs: Mapping[str, Path], table: Path, count: int = 6) -> Figure:
    """Figures 5 and 6: the same faces and questions, people's words and boxes beside each model's."""
    asked = {(row["file"], row["question"]): row for row in chats.read_dma(table)}
    said = {name: {(r["file"], r["question"]): r for r in _replies(folder)} for name, folder in runs.items()}
    keys = [key for key in asked if all(key in each for each in said.values())]
    if not keys:
        raise InputError(f"'{table}': expected questions that all of {', '.join(runs)} were asked, got none in common")
    chosen = [keys[i] for i in np.linspace(0, len(keys) - 1, min(count, len(keys))).astype(int)]
    figure = Figure(figsize=(3.2 * (1 + len(runs)), 4.2 * len(chosen)))
    for line, key in enumerate(chosen):
        row = asked[key]
        true = {n: b for n, b in zip(row["regions"], row["boxes"], strict=True) if b is not None}
        columns = [(f"{key[1]}\npeople", row["texts"][0] if row["texts"] else row["text"], true)]
        for name, each in said.items():
            reply = mare.parse(each[key]["raw"] or "")
            columns.append((f"\n{name}", reply.text, {f.region or "?": f.box for f in reply.findings}))
        for place, (title, text, boxes) in enumerate(columns):
            axes = figure.add_subplot(len(chosen), len(columns), line * len(columns) + place + 1)
            axes.imshow(np.asarray(paired.picture(row)))
            for (x1, y1, x2, y2), region in zip(boxes.values(), boxes, strict=True):
                axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, color="tab:red", linewidth=1.5))
                axes.text(x1, y1 - 2, region, color="tab:red", fontsize=6)
            axes.set_title(title, fontsize=7)
            axes.set_xticks([])
            axes.set_yticks([])
            shown = textwrap.shorten(text, 400, placeholder=" …")
            axes.set_xlabel("\n".join(textwrap.wrap(shown, 44)), fontsize=6)
    figure.tight_layout()
    return figure


def attention(weights: Mapping[str, Path], pack: Path, sources: Sequence[str], count: int = 4) -> Figure:
    """Figure 7: held-out forgeries of each source, and where each module's trace branch sees forgery."""
    import torch

    from facewitness.builders.pack import Pack
    from facewitness.models.fdm import FDM

    data = Pack(pack)
    modules = {}
    for name, file in weights.items():
        size = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))["crop"]["size"]
        modules[name] = (FDM.load(file), size)
    rows = [i for s in sources for i in data.indices("val", [s]) if data.rows[i]["label"] == "fake"]
    by_source = {s: [i for i in rows if data.rows[i]["source"] == s][:count] for s in sources}
    shown = [i for each in by_source.values() for i in each]
    if not shown:
        raise InputError(f"{pack}: expected forged val rows of {', '.join(sources)}, found none")
    figure = Figure(figsize=(1.8 * (1 + len(modules)), 1.9 * len(shown)))
    for line, i in enumerate(shown):
        picture = data.square(i, 224)
        for place, (name, seen) in enumerate([("", None), *modules.items()]):
            axes = figure.add_subplot(len(shown), 1 + len(modules), line * (1 + len(modules)) + place + 1)
            axes.imshow(picture)
            if seen is not None:
                module, size = seen
                pixels = torch.from_numpy(data.square(i, size).transpose(2, 0, 1).copy())[None]
                axes.imshow(
                    module.attention(pixels, relative=True)[0], extent=(0, 224, 224, 0), cmap="viridis", alpha=0.6
                )
            axes.set_title(name if name else f"{data.rows[i]['source']}, {data.rows[i]['method']}", fontsize=6)
            axes.set_axis_off()
    figure.tight_layout()
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw one figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("figure", choices=("words", "sheet", "attention"))
    parser.add_argument("of", nargs="+", metavar="NAME=PATH", help="predictions, or weights of modules")
    parser.add_argument("--table", type=Path, metavar="dma.parquet", help="whose pictures a sheet shows")
    parser.add_argument("--pack", type=Path, help="whose held-out forgeries attention looks at")
    parser.add_argument("--sources", nargs="+", default=["dfdc", "ffpp_c40"])
    parser.add_argument("--count", type=int, help="terms, questions, or pictures of each source")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.svg|png")
    given = parser.parse_args(arguments)
    count = {} if given.count is None else {"count": given.count}
    if given.figure == "words":
        figure, numbers = words(_runs(given.of), **count)
        given.out.with_suffix(".json").write_text(json.dumps(numbers, indent=1))
    elif given.figure == "sheet":
        if given.table is None:
            raise InputError("sheet: expected --table, the dma.parquet that was asked about")
        figure = sheet(_runs(given.of), given.table, **count)
    else:
        if given.pack is None:
            raise InputError("attention: expected --pack, whose pictures are looked at")
        figure = attention(_runs(given.of), given.pack, given.sources, **count)
    with matplotlib.rc_context({"svg.hashsalt": "facewitness"}):
        if given.out.suffix == ".svg":
            FigureCanvasSVG(figure).print_svg(given.out, metadata={"Date": None, "Creator": None})
        else:
            FigureCanvasAgg(figure).print_png(given.out)
    print(given.out)


if __name__ == "__main__":
    script(main)
