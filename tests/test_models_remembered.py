"""A frozen detector is asked once about each picture, and says the same as if it were asked each time."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from facewitness.models._remembered import answered_by, look_once  # noqa: E402


@dataclass(frozen=True)
class Seen:
    colour: Any  # (B, 3)
    nothing: Any = None


class Eye(torch.nn.Module):
    """Mean colours times a gain; counts the pictures it looked at."""

    def __init__(self, learns: bool = False, named: bool = True):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor([1.0, 2.0, 3.0]), requires_grad=learns)
        self.named, self.looked = named, 0

    def forward(self, pixels: Any, times: float = 1.0) -> Any:
        self.looked += len(pixels)
        colour = pixels.mean((2, 3)) * self.gain * times
        return Seen(colour) if self.named else colour


class Expert(torch.nn.Module):
    def __init__(self, eye: Eye, most: int = 1 << 20):
        super().__init__()
        self.eye, self.activation = eye, torch.nn.ReLU()  # the second has nothing that could be frozen
        look_once(self, most)


def pictures(count: int) -> Any:
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("named", [True, False])
def test_it_looks_once_and_says_the_same(named):
    eye, plain = Eye(named=named), Eye(named=named)
    expert = Expert(eye)
    first, second = pictures(2)
    with torch.no_grad():
        for asked in (torch.stack([first, second, first, first]), second[None]):
            said, expected = expert.eye(asked), plain(asked)
            assert torch.allclose(said.colour, expected.colour) if named else torch.allclose(said, expected)
            assert not named or said.nothing is None
    assert eye.looked == 2 and plain.looked == 5


def test_what_was_said_longest_ago_is_forgotten_first():
    eye = Eye()
    expert = Expert(eye, most=3 * 12)  # three pictures of three numbers of four bytes
    four = pictures(4)
    with torch.no_grad():
        expert.eye(four[:3])
        expert.eye(four[:1])  # now the second is the oldest
        expert.eye(four[3:])
        assert eye.looked == 4
        expert.eye(four[[0, 2, 3]])
        assert eye.looked == 4
        assert torch.allclose(expert.eye(four[1:2]).colour, Eye()(four[1:2]).colour)
    assert eye.looked == 5


def test_more_pictures_at_once_than_it_can_keep_are_all_answered():
    expert, asked = Expert(Eye(), most=12), pictures(5)
    with torch.no_grad():
        assert torch.allclose(expert.eye(asked).colour, Eye()(asked).colour)


def test_what_learns_or_is_asked_for_a_gradient_is_never_remembered():
    learning, frozen, asked = Eye(learns=True), Eye(), pictures(2)
    with torch.no_grad():
        for _ in range(2):
            Expert(learning).eye(asked)
    assert learning.looked == 4
    expert = Expert(frozen)
    for _ in range(2):
        expert.eye(asked)  # with gradient: pixels may be what is asked about
    with torch.no_grad():
        expert.eye(asked, times=2.0)
    assert frozen.looked == 6


def test_a_copy_remembers_with_the_first():
    eye = Eye()
    expert = Expert(eye)
    reference = copy.deepcopy(expert)
    with torch.no_grad():
        expert.eye(pictures(2))
        reference.eye(pictures(2))
    assert eye.looked == 2


def test_what_another_network_said_is_kept_for_good_and_nothing_else_is_asked_of_it():
    eye = Eye()
    expert, (first, second, third) = Expert(eye, most=12), pictures(3)
    with torch.no_grad():
        expert.eye(third[None])
        with answered_by(expert.eye, lambda pixels: Seen(pixels.mean((2, 3)) * 0 - 1)):
            expert.eye(torch.stack([first, third]))
        for _ in range(2):  # the second pushes out what the eye itself said, which has room for one picture
            said = expert.eye(torch.stack([first, second, third])).colour
            assert torch.equal(said[0], said[2]) and torch.equal(said[0], -torch.ones(3))
            assert torch.allclose(said[1], Eye()(second[None]).colour[0])
