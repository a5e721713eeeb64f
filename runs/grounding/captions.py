"""Reports of a grounding witness about a dataset's pictures, in the form that `facewitness bench mmtt` reads.

    python runs/grounding/captions.py forgerytalker WEIGHTS ddvqa DATA --split val --out captions.json
    facewitness bench mmtt DATA --dataset ddvqa --split val --captions captions.json --limit 60 --system ForgeryTalker
    python runs/grounding/captions.py forgerytalker WEIGHTS mmtt FORGED --split val --out captions.json --masks masks
    facewitness bench mmtt FORGED --split val --captions captions.json --masks masks --system ForgeryTalker

A picture without a face gets an empty report and an empty mask. It goes on where it stopped.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import torch

from facewitness import geometry, media, plugins
from facewitness.apps.script import script
from facewitness.builders._disk import png
from facewitness.errors import FacewitnessError
from facewitness.files import write_whole
from facewitness.types import Track


def main() -> None:
    """Speak."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("witness", choices=("forgerytalker", "fifa"))
    parser.add_argument("weights", type=Path)
    parser.add_argument("dataset")
    parser.add_argument("root", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--limit", type=int, default=60, help="the first so many pictures (60)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--beams", type=int, default=1, help="of forgerytalker's reports; its authors' have 5 (1)")
    parser.add_argument("--masks", type=Path, help="folder for the masks, named as the pictures")
    given = parser.parse_args()
    more = {"beams": given.beams} if given.witness == "forgerytalker" else {}
    witness = plugins.get("witnesses", given.witness).load(weights=str(given.weights), **more)
    finder = plugins.get("finders", "facemesh").load()
    said = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else []
    done = {entry["img_path"] for entry in said}
    samples = plugins.get("datasets", given.dataset).samples(given.root, given.split)
    for sample in itertools.islice(samples, given.limit):
        if sample.file in done:
            continue
        text, mask = "", np.zeros((1, 1), np.float32)
        try:
            clip = media.read(sample.image if sample.image is not None else given.root / sample.file)
            mask = np.zeros(clip.frame.pixels.shape[:2], np.float32)
            faces = finder.find(clip.frame)
            if faces:
                testimony = witness.examine(Track(0, (faces[0],)), clip)
                text = "" if testimony.reply is None else testimony.reply.text
                if testimony.mask is not None:
                    mask = geometry.place(testimony.mask, *mask.shape)
        except FacewitnessError as error:
            print(f"{sample.file}: {error}")
        if given.masks is not None:
            file = given.masks / Path(sample.file.removeprefix("dataset/")).with_suffix(".png")
            write_whole(file, png(np.where(mask >= 0.5, 255, 0)))
        said.append({"img_path": sample.file, "caption": text})
        write_whole(given.out, json.dumps(said, indent=1).encode())


if __name__ == "__main__":
    torch.set_num_threads(1)
    script(main)
