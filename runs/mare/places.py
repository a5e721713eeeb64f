"""Writes questions about where a face's regions lie, for a language model that is to look at the picture.

    python runs/mare/places.py DMA/dma.parquet DMA/chat.json --out DMA/places.json [--orders 2]

DMA is a folder of `facewitness build dma`. Of each picture all boxes that its table knows are asked for, in another
order each time. A reply of MARE's has ten digits of boxes on average, one of these about a hundred, and no traces are
shown beside the picture where the file is given to `train sft --general`: the digits are to be had from the picture
alone. Published models learn boxes before anybody fine-tunes them; a model made from nothing has not.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facewitness.apps.script import script
from facewitness.apps.train import read_json
from facewitness.builders import chats
from facewitness.errors import InputError
from facewitness.files import write_whole

QUESTION = "Where are the regions of this face? Box every one that you can see, in pixels."


def asked(rows: Sequence[Mapping[str, Any]], chat: Sequence[Mapping[str, Any]], orders: int) -> list[dict[str, Any]]:
    """Conversations about the places of each picture's regions.

    Args:
        rows: Of a DMA table.
        chat: The conversations beside it, one a row, which name the files of the pictures.
        orders: In which the regions of a picture are told.

    Raises:
        InputError: Table and conversations are not of one build.
    """
    if len(rows) != len(chat):
        raise InputError(f"places: expected a conversation for each of the {len(rows):,} rows, got {len(chat):,}")
    boxes: dict[str, dict[str, list[int]]] = {}
    for row, said in zip(rows, chat, strict=True):
        known = boxes.setdefault(said["images"][0], {})
        known |= {name: [round(edge) for edge in box] for name, box in zip(row["regions"], row["boxes"], strict=True)
                  if box is not None}  # fmt: skip
    rng, out = np.random.default_rng(0), []
    for image, known in boxes.items():
        for _ in range(orders if known else 0):
            told = {str(name): known[name] for name in rng.permutation(list(known))}
            answer = f"<answer>{json.dumps({'bboxes': told})}</answer>"
            turns = [
                {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]},
                {"role": "assistant", "content": [{"type": "text", "text": answer}]},
            ]
            out.append({"messages": turns, "images": [image]})
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    """Read, and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("chat", type=Path)
    parser.add_argument("--orders", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True, help="beside the chat, whose pictures it names")
    given = parser.parse_args(arguments)
    made = asked(chats.read_dma(given.table), read_json(given.chat), given.orders)
    write_whole(given.out, json.dumps(made, ensure_ascii=False).encode())
    print(f"{given.out}: {len(made):,} conversations")


if __name__ == "__main__":
    script(main)
