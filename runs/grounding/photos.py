"""A folder of photographs to ask questions about: held-out people who chose nothing, and an astronaut.

    python runs/grounding/photos.py --pack PACK --out my-photos
    facewitness build fifa folder my-photos --out questions --families every

The people are of the pack's split `val`, of the half by which nothing of either system was chosen or fitted, each once;
their sources take turns. The astronaut is scikit-image's.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

from PIL import Image
from skimage import data

from facewitness.apps.script import script
from facewitness.builders.pack import Pack
from facewitness.train.measuring import half


def chosen(pack: Pack, sources: list[str], count: int) -> list[int]:
    """Rows of genuine faces with a mesh, one a person, the sources taking turns.

    Args:
        pack: Where they are.
        sources: Of which data sets.
        count: At most.
    """
    people: dict[str, dict[str, int]] = {}
    for source in sources:
        for i in pack.indices("val", [source]):
            row = pack.rows[i]
            of_one = half(f"{row['source']}/{row['group']}") == 1 and row["label"] == "real"
            if of_one and pack.landmarks(i) is not None:
                people.setdefault(source, {}).setdefault(row["group"], i)
    turns = itertools.zip_longest(*(found.values() for found in people.values()))
    return [i for turn in turns for i in turn if i is not None][:count]


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--sources", nargs="+", default=["celebamask_hq", "ffhq_140k", "aaf"])
    parser.add_argument("--count", type=int, default=14)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    pack = Pack(given.pack)
    (given.out / "real").mkdir(parents=True, exist_ok=True)
    for number, i in enumerate(chosen(pack, given.sources, given.count)):
        Image.fromarray(pack.pixels(i)).save(given.out / "real" / f"{pack.rows[i]['source']}_{number:02d}.png")
    Image.fromarray(data.astronaut()).save(given.out / "real" / "astronaut.png")


if __name__ == "__main__":
    script(main)
