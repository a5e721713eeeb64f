"""How long 10,000 replies take to be rewarded, without the sentence encoder.

    python perf/rewards.py [--replies 10000] [--most 10]

The replies are made up and all different: of eight kinds, from a good one to one with a thousand boxes, about truths
with texts, regions, boxes and a mask. Every reward but `wording` judges each. Prints seconds, replies a second and the
mean of each reward. Fails where a core is busy for more than `--most` seconds: what else the machine does isn't ours.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from typing import Any

import numpy as np
from PIL import Image

from facewitness import regions
from facewitness.grammars import mare
from facewitness.train.rewards import WEIGHTS, Rewards
from facewitness.types import Box, Finding, Reply

SIDE = 224


def made_up(count: int, seed: int = 0) -> tuple[list[list[dict[str, str]]], dict[str, list[Any]]]:
    """Completions as TRL gives them, and the dataset's columns."""
    rng = np.random.default_rng(seed)
    masks = [_mask(rng) for _ in range(32)]
    columns: dict[str, list[Any]] = {name: [] for name in ("label", "texts", "regions", "boxes", "mask")}
    completions = []
    for number in range(count):
        fake = bool(rng.random() < 0.7)
        names = [str(n) for n in rng.choice(regions.MARE, int(rng.integers(1, 5)), replace=False)] if fake else []
        columns["label"].append("fake" if fake else "real")
        columns["texts"].append([f"The {regions.title(n)} looks blurred and too smooth." for n in names])
        columns["regions"].append(names)
        columns["boxes"].append([list(_box(rng)) for _ in names])
        columns["mask"].append(masks[number // 8 % 32] if fake else None)  # as groups of eight share one
        said = [str(n) for n in rng.choice(regions.MARE, int(rng.integers(1, 5)), replace=False)]
        text = f"The face looks fake ({number}). " + " ".join(f"The {regions.title(n)} is doubled." for n in said)
        good = mare.render(
            Reply(
                "fake",
                findings=tuple(Finding.on(n, _box(rng), None, "", None) for n in said),
                thought=text,
                parts=(text,),
            )
        )
        many = ", ".join(['"nose": [1, 1, 9, 9]'] * 1000) if number % 80 == 7 else '"nose": [9, 9, 1, 1]'
        kinds = (
            good, good, good, text, good[: len(good) * 2 // 3], mare.prompt(text), good.replace('"bboxes"', '"boxes"'),
            f'<think>{text}</think><answer>{{"explanation": "{text}", "bboxes": {{{many}}}}}</answer>',
        )  # fmt: skip
        completions.append([{"role": "assistant", "content": kinds[number % 8]}])
    return completions, columns


def _box(rng: np.random.Generator) -> Box:
    x, y = rng.integers(0, SIDE // 2, 2)
    w, h = rng.integers(8, SIDE // 2, 2)
    return float(x), float(y), float(x + w), float(y + h)


def _mask(rng: np.random.Generator) -> bytes:
    values = np.zeros((SIDE, SIDE), np.uint8)
    x1, y1, x2, y2 = map(int, _box(rng))
    values[y1:y2, x1:x2] = 255
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG")
    return out.getvalue()


def main() -> int:
    """Measure, print, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replies", type=int, default=10_000)
    parser.add_argument("--most", type=float, default=10.0, help="seconds")
    chosen = parser.parse_args()
    completions, columns = made_up(chosen.replies)
    rewards = Rewards({name: weight for name, weight in WEIGHTS.items() if name != "wording"})
    start, started = time.perf_counter(), time.process_time()
    judged = rewards.judge(completions, **columns)
    seconds, busy = time.perf_counter() - start, time.process_time() - started
    for name, values in judged.items():
        known = [value for value in values if value is not None]
        print(f"{name:10}  mean {np.mean(known):.3f}  judged {len(known)}")
    print(
        f"{chosen.replies} replies, {len(judged) - 1} rewards: {seconds:.2f} s ({busy:.2f} s of one core), "
        f"{chosen.replies / seconds:.0f} a second"
    )
    return int(busy > chosen.most)


if __name__ == "__main__":
    sys.exit(main())
