"""The commands of runs/ffaa: questions are answered once, and derived tables are as the builder makes them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np

from facewitness.builders import ffa_vqa

RUNS = Path(__file__).parents[1] / "runs" / "ffaa"


def script(name: str):
    spec = importlib.util.spec_from_file_location(f"runs_ffaa_{name}", RUNS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


def test_a_killed_run_asks_only_what_it_was_not_answered(tmp_path):
    asking = script("asking")
    pictures = [np.full((4, 4, 3), k, np.uint8) for k in range(3)]
    asked = []

    def ask(pixels, prompts):
        asked.append(len(pixels))
        return [f"{prompt} {int(one[0, 0, 0])}" for one, prompt in zip(pixels, prompts, strict=True)]

    first = asking.remembered(ask, "model", tmp_path / "answers.jsonl")
    assert first(pictures[:2], ["a", "b"]) == ["a 0", "b 1"]
    with (tmp_path / "answers.jsonl").open("a") as file:
        file.write('\n["cut off')
    again = asking.remembered(ask, "model", tmp_path / "answers.jsonl")
    assert again(pictures, ["a", "b", "c"]) == ["a 0", "b 1", "c 2"] and asked == [2, 1]
    assert asking.remembered(ask, "another", tmp_path / "answers.jsonl")(pictures[:1], ["a"]) == ["a 0"]
    assert asked == [2, 1, 1]
    assert asking.remembered(ask, "model", tmp_path / "answers.jsonl")(pictures, ["a", "b", "c"])[2] == "c 2"
    assert asked == [2, 1, 1]


def test_a_derived_table_is_what_the_builder_makes_with_the_same_option():
    derived = script("tables").derived
    mesh = np.zeros((468, 2), np.float32)
    pixels = np.zeros((8, 8, 3), np.uint8)
    answer = (
        "Image description: A man.\nForgery reasoning: All fits.\nAnalysis result: real\nProbability: 0.9\n"
        "Forgery type: Real"
    )
    made = [
        (
            ffa_vqa.Picture(f"{k}.png", label, None, None, f"{k}", "train", "set", pixels, mesh, pixels, mesh),
            answer,
            "us",
        )
        for k, label in enumerate(["real", "fake"] * 6)
    ]
    whole = [{name: getattr(item, name) for name in ffa_vqa.SCHEMA.names} for item in ffa_vqa.questions(made)]
    for parts in ffa_vqa.PARTS:
        assert _told(derived(whole, parts)) == _told(ffa_vqa.questions(made, parts=parts))
    assert _told(derived(whole, "hypotheses")) == _told(ffa_vqa.questions(made, hypothetical=1))


def _told(items):
    return [(item.file, item.question, item.hypothesis, item.answer, item.label) for item in items]
