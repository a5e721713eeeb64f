"""Asks a fine-tuned model about faces without a hypothesis and under both, and keeps what it answers.

    python runs/ffaa/mine.py MODEL PACK --split calibrate --count 240 --out mined/calibrate.parquet

MODEL is a folder of `facewitness train sft`. The split is one that neither it nor its detector learned from:
`calibrate` (one training group in sixteen, by a hash) for MIDS to learn from, `val` for measuring; `--unseen TABLES`
asks about tables instead of a pack. Proves with --tuned TABLE that nobody in it is in what the model was tuned on.
The plain question is the witness's; --wordings draws one of ten for each picture, as the paper has it.
Answers stand in OUT.answers.jsonl as they come: a killed run that is begun again goes on there.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import asking

from facewitness.apps.script import script
from facewitness.builders import ffa_vqa
from facewitness.builders.pack import Pack
from facewitness.train import mids


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("pack", type=Path, nargs="?")
    parser.add_argument("--split", default="calibrate")
    parser.add_argument("--unseen", type=Path, help="tables to ask about instead")
    parser.add_argument("--count", type=int)
    parser.add_argument("--wordings", action="store_true", help="one of the ten wordings for each picture")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--max-tokens", type=int, default=110)
    parser.add_argument("--tuned", type=Path, nargs="*", default=[], help="tables of facewitness build ffa_vqa")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    if given.unseen is not None:
        pictures = ffa_vqa.by_command("parquet", given.unseen, None, "facemesh", print)
        shares = {"pristine": 1, "unknown": 1} if given.count else None
    else:
        pictures = ffa_vqa.of_pack(Pack(given.pack), given.split)
        shares = ffa_vqa.FFA_VQA
    chosen = list(pictures.chosen(given.count, shares))
    tuned = [(row["dataset"], row["group"]) for table in given.tuned for row in ffa_vqa.read(table)]
    mids.disjoint(tuned=tuned, mined=[(picture.dataset, picture.group) for picture in chosen])
    ask = asking.model(given.model, given.max_tokens, given.out.with_suffix(".answers.jsonl"))
    began = time.process_time()

    def tell(done: int, easy: int) -> None:
        print(f"{done} of {len(chosen)}, {easy} easy, {time.process_time() - began:.0f} s", file=sys.stderr, flush=True)

    question = ffa_vqa.QUESTIONS if given.wordings else ffa_vqa.QUESTIONS[2]
    mids.write_mined(mids.mine(chosen, ask, question, given.batch, tell), given.out)


if __name__ == "__main__":
    script(main)
