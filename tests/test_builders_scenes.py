"""Conversations about drawn scenes: what is answered is what was drawn, and they are read as general dialogue."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("cv2", reason="needs the extra 'forge'")
pytest.importorskip("pyarrow", reason="needs the extra 'bench'")

from facewitness.apps.cli import main
from facewitness.builders import chats, scenes
from facewitness.errors import InputError

TALKS = list(scenes.build(60, seed=4))


def seen(talk: scenes.Talk) -> dict[str, str]:
    """Place to colour, as the pixels have it at the four places' middles."""
    picture = np.asarray(Image.open(io.BytesIO(talk.image)))
    names = {value: name for name, value in scenes.COLOURS.items()}
    middles = {"top left": (56, 56), "top right": (56, 168), "bottom left": (168, 56), "bottom right": (168, 168)}
    return {
        place: names[tuple(picture[at].tolist())]
        for place, at in middles.items()
        if tuple(picture[at].tolist()) in names
    }


def test_answers_say_what_the_picture_shows():
    for talk in TALKS:
        there = seen(talk)
        assert len(talk.turns) == 3
        assert talk.turns[0][1] == f"There are {('no', 'one', 'two', 'three', 'four')[len(there)]} shapes."
        for question, answer in talk.turns[1:]:
            if asked := re.fullmatch(r"Where is the (\w+) shape\?", question):
                assert there[answer.removeprefix("It is at the ").rstrip(".")] == asked[1]
            if asked := re.fullmatch(r"Do you see anything (\w+)\?", question):
                assert (asked[1] in there.values()) == answer.startswith("There is a")
            if asked := re.fullmatch(r"And what is at the ([\w ]+)\?", question):
                assert answer.split()[1] == there[asked[1]]
        if talk.turns[1][0].startswith("Which"):  # what "it" is stands in the answer before
            place = re.search(r"at the ([\w ]+)\.", talk.turns[1][1])[1]
            assert talk.turns[2][1] == f"It is {there[place]}."


def test_the_seed_decides_and_the_command_writes_what_training_reads(tmp_path, capsys):
    again = list(scenes.build(60, seed=4))
    assert [talk.turns for talk in again] == [talk.turns for talk in TALKS] and again[5].image == TALKS[5].image
    assert main(["build", "scenes", "--out", str(tmp_path), "--count", "5"]) == 0
    assert "5 conversations" in capsys.readouterr().out
    examples = chats.read(tmp_path / "chat.json")
    assert len(examples) == 15 and max(len(example.before) for example in examples) == 5
    with pytest.raises(InputError, match="expected a count of at least 1, got 0"):
        list(scenes.build(0))
