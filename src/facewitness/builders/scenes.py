"""Conversations about drawn scenes of coloured shapes: general dialogue, to stand beside questions about forgeries.

    facewitness build scenes --out FOLDER --count 400

KFD (Yu et al., section 3.3) alternates its forensic questions with PandaGPT's dialogues, so that a language model which
learns to answer "Is the nose fake?" does not forget how to talk. Those dialogues are somebody else's data; these are
drawn, with true answers by construction, and small enough for a language model made from nothing (`train/small_vlm`).
A later question may lean on an earlier answer: "Which shape is the largest?", "What colour is it?". Whoever has
PandaGPT's file (or any chat JSON) gives that to `train sft --general` in the place of this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from facewitness.builders import _disk
from facewitness.errors import InputError
from facewitness.types import Pixels

SIZE = 224  # pixels, as the pictures of faces that stand beside these
COLOURS = {
    "red": (200, 40, 40), "green": (40, 150, 60), "blue": (50, 80, 200), "yellow": (230, 200, 40),
    "purple": (130, 60, 160), "orange": (230, 130, 40),
}  # fmt: skip
SHAPES = ("circle", "square", "triangle")
PLACES = ("top left", "top right", "bottom left", "bottom right")
_COUNTS = ("no", "one", "two", "three", "four")
_NOTHING = "scenes: expected at least one conversation, got none"


@dataclass(frozen=True, slots=True)
class Shape:
    """One thing in a scene."""

    kind: str
    colour: str
    place: str
    radius: int  # pixels


@dataclass(frozen=True, slots=True, eq=False)
class Talk:
    """A picture, and what is asked and answered about it in turn."""

    image: bytes  # PNG
    turns: tuple[tuple[str, str], ...]


def build(count: int, seed: int = 0) -> Iterator[Talk]:
    """So many conversations of three turns; the same seed gives the same ones.

    Args:
        count: How many.
        seed: What everything is drawn from.

    Raises:
        InputError: `count` is below 1.
    """
    if count < 1:
        raise InputError(f"scenes: expected a count of at least 1, got {count}")
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        shapes = _scene(rng)
        ask = (_largest, _where, _is_there)[int(rng.integers(3))]
        yield Talk(_disk.png(_painted(shapes, rng)), (_how_many(shapes), *ask(shapes, rng)))


def _scene(rng: np.random.Generator) -> tuple[Shape, ...]:
    """Two to four shapes, of different colours, places and sizes."""
    n = int(rng.integers(2, len(PLACES) + 1))
    radii = rng.permutation([14, 22, 30, 38])[:n]
    colours, places = rng.permutation(list(COLOURS))[:n], rng.permutation(list(PLACES))[:n]
    kinds = rng.choice(list(SHAPES), n)
    each = zip(kinds, colours, places, radii, strict=True)
    return tuple(Shape(str(kind), str(colour), str(place), int(radius)) for kind, colour, place, radius in each)


def _painted(shapes: Iterable[Shape], rng: np.random.Generator) -> Pixels:
    """RGB uint8 (224, 224, 3), on a plain light ground."""
    picture = np.full((SIZE, SIZE, 3), rng.integers(190, 250), np.uint8)
    for shape in shapes:
        x = SIZE // 4 if "left" in shape.place else 3 * SIZE // 4
        y = SIZE // 4 if "top" in shape.place else 3 * SIZE // 4
        r, colour = shape.radius, COLOURS[shape.colour]
        if shape.kind == "circle":
            cv2.circle(picture, (x, y), r, colour, -1, cv2.LINE_AA)
        elif shape.kind == "square":
            cv2.rectangle(picture, (x - r, y - r), (x + r, y + r), colour, -1)
        else:
            corners = np.array([(x, y - r), (x + r, y + r), (x - r, y + r)], np.int32)
            cv2.fillPoly(picture, [corners], colour, cv2.LINE_AA)
    return picture


def _how_many(shapes: tuple[Shape, ...]) -> tuple[str, str]:
    return "How many shapes are in this picture?", f"There are {_COUNTS[len(shapes)]} shapes."


def _largest(shapes: tuple[Shape, ...], rng: np.random.Generator) -> tuple[tuple[str, str], ...]:
    most = rng.random() < 0.5
    one = sorted(shapes, key=lambda shape: shape.radius)[-1 if most else 0]
    return (
        (f"Which shape is the {'largest' if most else 'smallest'}?", f"The {one.kind} at the {one.place}."),
        ("What colour is it?", f"It is {one.colour}."),
    )


def _where(shapes: tuple[Shape, ...], rng: np.random.Generator) -> tuple[tuple[str, str], ...]:
    one = shapes[int(rng.integers(len(shapes)))]
    return (
        (f"Where is the {one.colour} shape?", f"It is at the {one.place}."),
        ("What shape is that?", f"That is a {one.kind}."),
    )


def _is_there(shapes: tuple[Shape, ...], rng: np.random.Generator) -> tuple[tuple[str, str], ...]:
    colour = str(rng.choice(list(COLOURS)))
    there = [shape for shape in shapes if shape.colour == colour]
    answer = f"There is a {colour} {there[0].kind}." if there else f"Nothing in it is {colour}."
    one = shapes[int(rng.integers(len(shapes)))]
    return (
        (f"Do you see anything {colour}?", answer),
        (f"And what is at the {one.place}?", f"A {one.colour} {one.kind}."),
    )


def write_chat(talks: Iterable[Talk], folder: Path) -> Path:
    """`folder/chat.json` and its pictures; see `_disk.write_chat`.

    Args:
        talks: What is said.
        folder: The folder to write into.

    Raises:
        InputError: For none.
    """
    written = ((talk.image, *talk.turns[0], talk.turns[1:]) for talk in talks)
    return _disk.write_chat(written, folder, _NOTHING)
