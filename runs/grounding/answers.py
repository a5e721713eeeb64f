"""Answers of the witness fifa to a table of questions, in the form that `facewitness bench fifa` reads.

    facewitness build fifa folder my-photos --out questions --families every
    python runs/grounding/answers.py WEIGHTS questions/fifa.parquet --out answers/answers.jsonl
    facewitness bench fifa questions/fifa.parquet answers/answers.jsonl

Questions are put in the words that the network learned, and as a user puts them: places by name, box, mask or click.
A kind that it names is written in the table's words for that kind.
Where a region is (region parsing) is nothing the witness says, so that this task has no answer and counts as none.
Masks lie beside the answers. It goes on where it stopped.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facewitness import geometry, media, plugins, regions
from facewitness.apps.script import script
from facewitness.builders._disk import png
from facewitness.builders.fifa import as_array, read
from facewitness.files import write_whole
from facewitness.models.fifa import KIND_ANSWERS, QUESTIONS
from facewitness.phrases import KIND_WORDS
from facewitness.types import Clip, Face, Finding, Mark, Mask, Place, Quality, Question, Reply, Track

WORDS = {  # tasks of the table → the question that the network learned
    "detection": "detection", "classification": "kind", "image_explanation": "image_explanation",
    "text_explanation": "text_explanation", "grounding": "grounded_explanation", "localisation": "localisation",
    "region_detection": "region_detection",
}  # fmt: skip
KIND = {  # the network's words for a kind → the table's
    words: "This face is real: untouched." if kind == "pristine" else f"This face is fake: {KIND_WORDS[kind]}."
    for kind, words in KIND_ANSWERS.items()
}
POINTING = ("region_question", "box_question", "region_explanation")


def pointed(row: dict[str, Any], face: Face) -> Place | None:
    """The place that a question points at; None where it points at none."""
    match row["pointer"]:
        case "name":
            rings = regions.polygons(row["region"], face.landmarks)
            return Place(face.at, row["region"], geometry.bounds(np.concatenate(rings)))
        case "box":
            return Place(face.at, None, tuple(row["box"]))
        case "click":
            x, y = row["click"]
            return Place(face.at, None, (x - 0.5, y - 0.5, x + 0.5, y + 0.5))
        case "mask":
            there = as_array(row["place"]).astype(np.float32)
            return Place(face.at, None, tuple(row["box"]), Mask((0.0, 0.0, *map(float, there.shape[::-1])), there))
    return None


def written(reply: Reply) -> tuple[str, list[Finding]]:
    """A reply's text with its tags, and the finding of each [SEG]."""
    text: str = plugins.get("grammars", "interleaved").render(reply)
    return text, [part.finding for part in reply.parts if isinstance(part, Mark)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Answer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--tokens", type=int, default=160, help="of an answer, at most")
    parser.add_argument("--limit", type=int, help="questions at most")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    witness = plugins.get("witnesses", "fifa").load(weights=str(given.weights), words=False, max_tokens=given.tokens)
    lines = given.out.read_text(encoding="utf-8").splitlines() if given.out.exists() else []
    done = {(line["file"], line["task"], line["question"]) for line in map(json.loads, lines)}
    rows = [row for row in read(given.table) if given.split in (None, row["split"])]
    for number, row in enumerate(itertools.islice(rows, given.limit)):
        known = row["task"] in WORDS or row["task"] in POINTING
        if not known or (row["file"], row["task"], row["question"]) in done:
            continue
        frame = media.read(row["image"]).frame
        mesh = np.frombuffer(row["landmarks"], np.float32).reshape(468, -1)[:, :2]
        low, high = mesh.min(0).tolist(), mesh.max(0).tolist()
        face = Face(frame.at, (*low, *high), mesh, quality=Quality(score=1.0))
        place = pointed(row, face) if row["task"] in POINTING else None
        words = row["question"] if place is not None else QUESTIONS[WORDS[row["task"]]]
        asked = Question(words, () if place is None else (place,))
        text, found = written(witness.answer(Track(0, (face,)), Clip(row["file"], (frame,)), asked))
        text = KIND.get(text, text) if row["task"] == "classification" else text
        names = []
        for k, finding in enumerate(found):
            mask = finding.places[0].mask
            whole = np.zeros(frame.pixels.shape[:2]) if mask is None else geometry.place(mask, *frame.pixels.shape[:2])
            names.append(f"masks/{number}-{k}.png")
            write_whole(given.out.parent / names[-1], png(np.where(whole >= 0.5, 255, 0)))
        answer = {key: row[key] for key in ("file", "task", "question")} | {"answer": text, "masks": names}
        lines.append(json.dumps(answer))
        write_whole(given.out, "".join(f"{line}\n" for line in lines).encode())


if __name__ == "__main__":
    torch.set_num_threads(1)
    script(main)
