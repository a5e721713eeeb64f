"""Figures 5, 7 and 10: answers beside a plain vision model's, where the judge looks, which words answers are made of.

    python runs/ffaa/figures.py clouds ANALYSES/ffa_vqa.parquet MINED.parquet --out runs/ffaa
    python runs/ffaa/figures.py heat MIDS.safetensors --out runs/ffaa
    python runs/ffaa/figures.py sheet MINED.parquet --backend openai --option openai.model=gpt-4o --out SOMEWHERE
    python runs/ffaa/figures.py sheet MINED.parquet --backend transformers \\
        --option transformers.model=Qwen/Qwen2.5-VL-3B-Instruct --out SOMEWHERE          a model of this machine

`clouds` draws the commonest words of the data's answers and of the model's, as large as they are common (SVG; words are
counted by the letters alone, small words left out). `heat` draws Grad-CAM (`models/gradcam`) of both stages of MIDS's
image encoder on scikit-image's astronaut, over the lines of her face alone, for the class that the answer's verdict
belongs to: 0 for real, 3 for fake. `sheet` asks any backend the question that our model was asked, and writes a page
with each picture, what is true of it, and both answers beside each other; it holds pictures: keep it out of the tree.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np

from facewitness.apps._words import option
from facewitness.apps.script import script
from facewitness.files import write_whole

SMALL = frozenset(
    re.findall(
        r"[a-z]+",
        """a an and are as at be by do does face fake for forgery from had has have in is it its nothing of on or
        real result same some such than that the their there this to two type was what where which while with
        probability image description reasoning analysis""",
    )
)
WORD = re.compile(r"[a-z]{3,}")


def cloud(texts: Iterable[str], title: str, most: int = 48) -> tuple[bytes, list[tuple[str, int]]]:
    """An SVG of the commonest words, a line after another, and the words with their numbers."""
    count = Counter(word for text in texts for word in WORD.findall(text.lower()) if word not in SMALL)
    words = count.most_common(most)
    top = words[0][1] if words else 1
    root = Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox="0 0 760 420", role="img")
    SubElement(root, "title").text = title
    x, y, line = 12.0, 44.0, 0.0
    for word, number in sorted(words, key=lambda pair: pair[0]):
        size = 11 + 29 * (number / top) ** 0.5
        width = 0.56 * size * len(word) + 12
        if x + width > 750:
            x, y, line = 12.0, y + max(line, 20) * 1.15, 0.0
        text = SubElement(root, "text", x=f"{x:.0f}", y=f"{y:.0f}", fill="#333")
        text.set("font-size", f"{size:.0f}")
        text.set("font-family", "sans-serif")
        text.text = word
        x, line = x + width, max(line, size)
    root.set("viewBox", f"0 0 760 {y + 20:.0f}")
    return tostring(root), words


def heat(weights: Path, out: Path) -> None:
    """Grad-CAM of both stages for a real and a fake answer."""
    import torch
    from PIL import Image, ImageDraw
    from skimage.data import astronaut

    from facewitness import geometry, plugins, regions
    from facewitness.formats import heat as coloured
    from facewitness.grammars import ffa_cot
    from facewitness.models import gradcam, minilm
    from facewitness.models.mids import MIDS
    from facewitness.types import Frame

    model, _ = MIDS.load(weights)
    face = plugins.get("finders", "facemesh").load().find(Frame(astronaut()))[0]
    size = model.encoders.size
    crop = geometry.crop(astronaut(), geometry.align(face.landmarks, size, 1.3), size)
    pixels = torch.from_numpy(np.ascontiguousarray(crop.transpose(2, 0, 1)))[None].float()
    ground = Image.new("RGB", (size, size), (246, 245, 241))
    lines = ImageDraw.Draw(ground)
    mesh = geometry.transform(geometry.align(face.landmarks, size, 1.3), face.landmarks[:, :2]).astype(np.float32)
    for name in ("face", "left_eyebrow", "right_eyebrow", "left_eye", "right_eye", "nose", "mouth"):
        for ring in regions.polygons(name, mesh):
            lines.polygon([tuple(point) for point in ring.tolist()], outline=(90, 90, 90))
    panels: list[Any] = []
    for label, target in (("real", 0), ("fake", 3)):
        answer = ffa_cot.write("A face, evenly lit.", "Fine detail goes on across the outline.", label, 0.9)
        states, seen = (torch.from_numpy(one)[None] for one in minilm.states([ffa_cot.masked(answer)]))

        class Judged(torch.nn.Module):
            """The logits of one answer, as a function of the picture alone."""

            def __init__(self, text: Any, hidden: Any) -> None:
                super().__init__()
                self.model, self.text, self.hidden = model, text, hidden

            def forward(self, picture: Any) -> Any:
                return self.model(picture, self.text, self.hidden)[:, 0]

        for stage in (5, 6):
            shown = coloured(gradcam.heatmap(Judged(states, seen), model.encoders.blocks[stage], pixels, target))
            over = ground.convert("RGBA")
            over.alpha_composite(Image.fromarray(shown))
            panels.append(np.asarray(over.convert("RGB")))
    Image.fromarray(np.concatenate(panels, axis=1)).save(out / "heat.png", optimize=True)


def sheet(mined: Path, backend: str, options: Mapping[str, Any], count: int, out: Path) -> Path:
    """A page of pictures with our model's answer and a plain vision model's."""
    import base64
    from html import escape as escaped

    from facewitness import media, plugins
    from facewitness.builders.ffa_vqa import QUESTIONS
    from facewitness.errors import BackendError
    from facewitness.grammars import ffa_cot
    from facewitness.train.mids import read_mined

    other = plugins.get("backends", backend).load(**options)
    rows = []
    name = " ".join([backend, *(str(options[key]) for key in ("model",) if key in options)])
    for row in read_mined(mined)[:count]:
        try:
            question = [{"role": "user", "content": ffa_cot.prompt(QUESTIONS[2])}]
            said = other.ask(question, [media.read(row.image).frame.pixels])
        except BackendError as error:
            said = f"(no answer: {error})"
        picture = base64.b64encode(row.image).decode()
        cells = [f'<img alt="" src="data:image/png;base64,{picture}"><p>{row.label}, {escaped(row.kind or "unknown")}']
        for text in (row.answers[0], said):
            label = ffa_cot.parse(text).label
            right = "no verdict" if label not in ("real", "fake") else "right" if label == row.label else "wrong"
            cells.append(f"<p><b>{right}</b><pre>{escaped(text)}</pre>")
        rows.append("<tr><td>" + "<td>".join(cells))
    head = f"<tr><th>picture<th>fine-tuned, with its chain of thought<th>{escaped(name)}"
    style = "<style>td{vertical-align:top;width:33%}pre{white-space:pre-wrap}</style>"
    page = f"<!doctype html><meta charset=utf-8><title>Figure 5</title>{style}<table>{head}{''.join(rows)}</table>"
    return write_whole(out / "sheet.html", page.encode())


def main() -> None:
    """Draws."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("clouds", "heat", "sheet"))
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--backend", default="openai", help="of the sheet: a plain vision model")
    parser.add_argument(
        "--option", action="append", default=[], type=option, metavar="PART.KEY=VALUE", help="of the backend"
    )
    parser.add_argument("--count", type=int, default=6)
    given = parser.parse_args()
    if given.what == "sheet":
        options = {key: value for part, key, value in given.option if part == given.backend}
        print(sheet(given.files[0], given.backend, options, given.count, given.out))
        return
    if given.what == "heat":
        heat(given.files[0], given.out)
        return
    from facewitness.builders import ffa_vqa
    from facewitness.train import mids

    for name, texts in (
        ("data", (row["answer"] for row in ffa_vqa.read(given.files[0]))),
        ("model", (text for row in mids.read_mined(given.files[1]) for text in row.answers)),
    ):
        content, words = cloud(texts, f"The commonest words of the answers: {name}")
        write_whole(given.out / f"words-{name}.svg", content)
        print(name, ", ".join(f"{word} {number}" for word, number in words[:12]))


if __name__ == "__main__":
    script(main)
