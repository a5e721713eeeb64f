"""Held-out genuine faces as upscaling networks inside public packages draw them: what `forgers.py` lays into regions.

    python runs/grounding/redraw.py FOLDER PACK OUT    # five minutes of a core

FOLDER and the environment are those of `runs/compact/generators.py`, which made training pictures of the same networks
for a later default network than the one that the grounding systems' encoder began at: neither system ever saw one. Each
face of the pack's split `val` is made smaller and drawn anew by Real-ESRGAN and by SRGAN, one picture a person.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "compact"))
from generators import upscalers

from facewitness.apps.script import script

SOURCES = {"celebamask_hq": 24, "ffhq_140k": 16, "stylegan2_photos": 12, "celeb_web": 10, "aaf": 10, "utkface": 8}
NETS = {"realesrgan": "realesrgan-x4plus", "srgan": "srgan"}


def faces(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Which rows of a pack: one picture a person, of those people of `val` who chose nothing of either system."""
    rng, found = np.random.default_rng(11), []
    for source, count in SOURCES.items():
        people: dict[str, int] = {}
        for i, row in enumerate(rows):
            measured = zlib.crc32(f"{source}/{row['group']}".encode()) % 2 == 1  # facewitness.train.measuring.half
            if row["split"] == "val" and row["label"] == "real" and row["source"] == source and measured:
                people.setdefault(row["group"], i)
        found += rng.permutation(list(people.values()))[:count].tolist()
    return found


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the packages' wheels are unpacked")
    parser.add_argument("pack", type=Path)
    parser.add_argument("out", type=Path, help="a folder of <row>-<network>.png")
    given = parser.parse_args()
    rows = json.loads((given.pack / "rows.json").read_text())
    pictures = np.memmap(given.pack / "pictures.bin", np.uint8, "r")
    nets = upscalers(given.folder)
    given.out.mkdir(parents=True, exist_ok=True)
    for i in faces(rows):
        row = rows[i]
        bgr = cv2.imdecode(pictures[row["at"] : row["at"] + row["bytes"]], cv2.IMREAD_COLOR)
        rgb, (height, width) = np.ascontiguousarray(bgr[..., ::-1]), bgr.shape[:2]
        small = cv2.resize(rgb, (round(width / 4), round(height / 4)), interpolation=cv2.INTER_AREA)
        for short, net in NETS.items():
            file = given.out / f"{i}-{short}.png"
            if not file.exists():
                anew = cv2.resize(nets[net][2](small), (width, height), interpolation=cv2.INTER_AREA)
                Image.fromarray(anew).save(file)
                print(file.name, flush=True)


if __name__ == "__main__":
    script(main)
