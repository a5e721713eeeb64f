"""What recipes in TOML may say."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from facewitness.errors import InputError, UnknownName
from facewitness.train.recipe import read_recipe


@dataclass(frozen=True)
class Stage:
    size: int
    rate: float = 0.1


@dataclass(frozen=True)
class Recipe:
    stages: tuple[Stage, ...]
    shares: dict[str, float]
    name: str | None = None
    counts: tuple[float, ...] = (1.0,)
    fast: bool = False
    other: dict[str, Any] = field(default_factory=dict)
    stop: Stage | None = None


def read(folder, text: str) -> Recipe:
    (folder / "r.toml").write_text(text)
    return read_recipe(Recipe, folder / "r.toml")


WHOLE = "stages = [{size = 3}, {size = 4, rate = 1}]\n[shares]\na = 1\n"


def test_lists_become_tuples_and_tables_dataclasses(tmp_path):
    recipe = read(tmp_path, f"counts = [1, 0.5]\nfast = true\nname = 'x'\nother = {{a = [1]}}\n{WHOLE}")
    assert recipe == Recipe((Stage(3), Stage(4, 1)), {"a": 1}, "x", (1, 0.5), True, {"a": [1]})
    hash(recipe.stages)
    assert read(tmp_path, f"stop = {{size = 2}}\n{WHOLE}").stop == Stage(2)
    assert read(tmp_path, WHOLE) == Recipe((Stage(3), Stage(4, 1)), {"a": 1})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("stages = [{siz = 3}]\n[shares]", "Unknown key in stages in r.toml 'siz'. Did you mean 'size'?"),
        ("stages = [{}]\n[shares]", "stages in r.toml: expected size, which is missing"),
        ("stages = [3]\n[shares]", "r.toml: expected stages of type list of table, got [3]"),
        ("stages = 3\n[shares]", "r.toml: expected stages of type list of table, got 3"),
        ("stages = [{size = true}]\n[shares]", "expected size of type int, got True"),
        ("stages = [{size = 3.0}]\n[shares]", "expected size of type int, got 3.0"),
        ("stages = []", "r.toml: expected shares, which is missing"),
        (f"counts = ['x']\n{WHOLE}", "expected counts of type list of float, got ['x']"),
        ("stages = []\n[shares]\na = 'x'", "expected shares of type table of float, got {'a': 'x'}"),
        (f"stop = {{}}\n{WHOLE}", "stop in r.toml: expected size, which is missing"),
        (f"fast = 1\n{WHOLE}", "expected fast of type bool, got 1"),
        (f"name = 1\n{WHOLE}", "expected name of type str, got 1"),
        (f"shares = 1\n{WHOLE}", "expected a recipe in TOML"),
        (f"shape = 1\n{WHOLE}", "Unknown key in r.toml 'shape'. Did you mean 'shares'?"),
    ],
)
def test_what_a_recipe_cannot_say_is_one_sentence(tmp_path, text, sentence):
    with pytest.raises((InputError, UnknownName), match=re.escape(sentence)):
        read(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="expected a recipe in TOML"):
        read_recipe(Recipe, tmp_path / "nowhere.toml")
    with pytest.raises(InputError, match="expected a recipe in TOML"):
        read_recipe(Recipe, tmp_path)


def test_a_change_is_one_line_lest_a_second_setting_goes_unseen(tmp_path):
    (tmp_path / "r.toml").write_text(f"name = 'x'\n{WHOLE}")
    assert read_recipe(Recipe, tmp_path / "r.toml", ["name=y"]).name == "y"
    for change in ("name='y'\nfast=true", "name='y'\r\nfast=true"):
        with pytest.raises(InputError, match="--set: expected KEY=VALUE on one line"):
            read_recipe(Recipe, tmp_path / "r.toml", [change])
