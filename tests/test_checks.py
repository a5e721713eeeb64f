"""Every leaf keeps its family's promises, and the checks notice one that does not."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import re
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import doubles
import numpy as np
import pytest
from chat_server import ChatServer

from facewitness import checks, plugins
from facewitness.errors import BackendError, InputError, MissingExtra, ReportError, UnknownName
from facewitness.types import KINDS, Face, Finding, FrameRef, Mask, Reply, Testimony

EVERY = [
    pytest.param(family, name, check, id=f"{family}-{name}-{check.name}")
    for family in plugins.FAMILIES
    for name in plugins.names(family)
    if (family, name) not in (("forge", "degrade"), ("forge", "routine"))  # they change no label, so they forge nothing
    for check in checks.of(family)
]


@functools.cache
def options(family: str, name: str) -> dict[str, Any]:
    """What a leaf needs that does not travel with the package: tiny weights of the same classes."""
    if (family, name) == ("witnesses", "hub"):
        pytest.importorskip("onnx", reason="needs the extra 'train'")
        return {"model": str(doubles.tiny_onnx(Path(tempfile.mkdtemp()))), "fake": 1}
    tiny = {"kfd": "tiny_kfd", "mare": "tiny_fdm", "forgerytalker": "tiny_forgerytalker", "fifa": "tiny_fifa"}
    if (family, name) == ("backends", "openai"):
        return {"base_url": ChatServer().url, "retries": 0}
    made = tiny.get(name) if family == "witnesses" else None
    if made is None:
        return {}
    pytest.importorskip("torch", reason="needs the extra 'train'")
    return {"weights": str(getattr(doubles, made)(Path(tempfile.mkdtemp())))}


@pytest.mark.parametrize(("family", "name", "check"), EVERY)
def test_every_leaf_keeps_its_promises(family, name, check):
    try:
        leaf = plugins.get(family, name)
        check.run(leaf, options(family, name))
    except MissingExtra as error:
        pytest.skip(str(error))


def leaf(family: str, **parts: Any) -> ModuleType:
    """A module of a family, with a sentence on top."""
    module = ModuleType(f"facewitness.{family}.broken")
    module.__doc__ = "It breaks a promise."
    module.__dict__.update(parts)
    return module


class Fair:
    """A witness that has little to say, which is no fault."""

    name = "fair"

    def examine(self, track, clip):
        return Testimony(self.name, None)


def without(**parts: Any) -> Any:
    return lambda: type("Unfair", (Fair,), parts)()


def outside(self, track, clip):
    return Testimony(self.name, 0.5, findings=(Finding.on("nose", (0.0, 0.0, 9999.0, 9.0), None, "Odd.", None),))


def touches(self, track, clip):
    clip.frame.pixels[:] = 0
    return Testimony(self.name, 0.5)


def blank(self, track, clip):
    return Testimony(self.name, 0.5, Mask(track.face.box, np.full((4, 4), np.nan, np.float32)))


def nowhere(frame):
    return (Face(frame.at, (math.nan, 0.0, 1.0, 1.0)),)


def shapeless(frame):
    return (Face(frame.at, frame.at.box, np.full((468, 3), np.nan, np.float32)),)


def backend(ask, **parts: Any) -> Any:
    return lambda: SimpleNamespace(name="broken", ask=ask, **parts)


class Elsewhere:
    def find(self, frame):
        return (Face(dataclasses.replace(frame.at, index=7), (0.0, 0.0, 1.0, 1.0)),)


def claims(*words: Any, times: int = 1, at: Any = None) -> Any:
    def examine(self, track, clip):
        places = [Finding.on("nose", (0.0, 0.0, 9.0, 9.0), None, each, 0.5, at or track.face.at) for each in words]
        return Testimony(self.name, 0.5, findings=tuple(places) * times)

    return without(examine=examine)


def moves(self, track, clip):
    if track.face.landmarks is not None:
        track.face.landmarks[:] += 1
    return Testimony(self.name, 0.5)


def prints(self, track, clip):
    print("looking at a face")
    return Testimony(self.name, 0.5)


def ends(self, track, clip):
    sys.exit(0)


class Unsayable(Exception):
    def __str__(self):
        raise ValueError


def raises(self, track, clip):
    raise Unsayable


def now_and_then():
    turns = itertools.count()

    def examine(self, track, clip):
        finding = Finding.on("nose", (0.0, 0.0, 9.0, 9.0), None, f"Look {next(turns)}.", 0.5, track.face.at)
        return Testimony(self.name, 0.5, findings=(finding,))

    return without(examine=examine)


BROKEN = {
    "a claim of nothing": (leaf("witnesses", load=claims(" ")), "a claim in words"),
    "a claim that is no text": (leaf("witnesses", load=claims(7)), "a claim in words, got 7"),
    "a claim without end": (leaf("witnesses", load=claims("Odd. " * 1_000_000)), "claims of at most 2,000 characters"),
    "findings without end": (leaf("witnesses", load=claims("Odd.", times=9_999)), "at most 1,000 findings, got 9999"),
    "a place on another frame": (
        leaf("witnesses", load=claims("Odd.", at=FrameRef(99, 99, 7))),
        "places on frames that were shown",
    ),
    "landmarks that are moved": (leaf("witnesses", load=without(examine=moves)), "landmarks that nobody touches"),
    "words on standard output": (leaf("witnesses", load=without(examine=prints)), "nothing on standard output"),
    "the end of the program": (leaf("witnesses", load=without(examine=ends)), "unexpected SystemExit: 0"),
    "an error that cannot be said": (leaf("witnesses", load=without(examine=raises)), "Unsayable: it cannot be said"),
    "findings by chance": (leaf("witnesses", load=now_and_then()), "the same findings twice"),
    "a score that is true": (
        leaf("witnesses", load=without(examine=lambda self, t, c: Testimony("fair", True))),
        "a number as its score, got True",
    ),
    "a score that is an array": (
        leaf("witnesses", load=without(examine=lambda self, t, c: Testimony("fair", np.array([0.5])))),
        r"Testimony\.fake: expected a score",
    ),
    "a name with orders to a terminal": (leaf("witnesses", load=without(name="\x1b[31m")), "a name in words"),
    "made by a clock": (
        leaf("witnesses", load=without(made_by=lambda self: {"at": time.perf_counter_ns()})),
        r"the same made_by\(\) twice",
    ),
    "made by very much": (
        leaf("witnesses", load=without(made_by=lambda self: {"log": "x" * 2_000_000})),
        "at most 1,000,000 characters as JSON",
    ),
    "an ending that is no ending": (
        leaf("formats", extension="a" * 200, render=lambda report, clip=None: b""),
        "extension = 'csv'",
    ),
    "no sentence": (leaf("scores", score=lambda reply, truth: None, __doc__="a score"), "it opens with a sentence"),
    "no function": (leaf("scores"), r"expected score\(\)"),
    "no name": (leaf("witnesses", load=without(name="")), "a name in words"),
    "another's name": (
        leaf("witnesses", load=without(examine=lambda self, track, clip: Testimony("compact", 0.5))),
        "a testimony by 'fair', got 'compact'",
    ),
    "no testimony": (
        leaf("witnesses", load=without(examine=lambda self, t, c: "fake")),
        "expected a Testimony, got str",
    ),
    "a box off the frame": (leaf("witnesses", load=without(examine=outside)), "boxes inside the frame"),
    "touched pixels": (leaf("witnesses", load=without(examine=touches)), "pixels that nobody touches"),
    "chance": (
        leaf("witnesses", load=without(examine=lambda self, t, c: Testimony("fair", np.random.default_rng().random()))),
        "the same score twice",
    ),
    "made by what JSON cannot hold": (
        leaf("witnesses", load=without(made_by=lambda self: {"path": Path("x")})),
        "what JSON can hold",
    ),
    "an answer that is no reply": (
        leaf("witnesses", load=without(answer=lambda self, track, clip, question: "yes")),
        "expected a Reply, got 'str'",
    ),
    "a list of faces": (leaf("finders", load=lambda: SimpleNamespace(find=lambda frame: [])), "a tuple of faces"),
    "faces of another frame": (leaf("finders", load=Elsewhere), "faces of the frame that was given"),
    "a grammar that forgets": (
        leaf("grammars", render=lambda reply: "", parse=lambda text: Reply(None)),
        "the label 'real', got None",
    ),
    "a grammar that raises": (
        leaf("grammars", render=lambda reply: reply.label, parse=lambda text: Reply(text)),
        "got InputError",
    ),
    "a backend that cannot be asked": (leaf("backends", load=lambda: object()), r"expected ask\("),
    "a backend of numbers": (leaf("backends", load=backend(lambda messages, images: 7)), "expected words, got 7"),
    "a backend that raises": (leaf("backends", load=backend(lambda messages, images: 1 / 0)), "ZeroDivisionError"),
    "a backend that edits": (
        leaf("backends", load=backend(lambda messages, images: messages.pop()["content"])),
        "messages that nobody touches",
    ),
    "a backend of numbers in pieces": (
        leaf("backends", load=backend(lambda messages, images: "Yes.", stream=lambda messages, images: iter([7]))),
        "words piece by piece, got 7",
    ),
    "a backend made by what JSON cannot hold": (
        leaf("backends", load=backend(lambda messages, images: "Yes.", made_by=lambda: {"path": Path("x")})),
        "what JSON can hold",
    ),
    "a score of NaN": (
        leaf("witnesses", load=without(examine=lambda self, t, c: Testimony("fair", math.nan))),
        r"Testimony\.fake: .*nan",
    ),
    "a kind of NaN": (
        leaf(
            "witnesses",
            load=without(examine=lambda self, t, c: Testimony("fair", 0.5, kind=dict.fromkeys(KINDS, math.nan))),
        ),
        r"Testimony\.kind.*nan",
    ),
    "a mask of NaN": (leaf("witnesses", load=without(examine=blank)), r"Mask\.values: .*nan"),
    "a box of NaN": (leaf("finders", load=lambda: SimpleNamespace(find=nowhere)), r"Face\.box: .*nan"),
    "landmarks of NaN": (leaf("finders", load=lambda: SimpleNamespace(find=shapeless)), "landmarks that are numbers"),
    "a measure of NaN": (leaf("scores", score=lambda reply, truth: math.nan), r"\[0, 1\] or None, got nan"),
    "a reply of NaN": (
        leaf("grammars", render=lambda reply: reply.label, parse=lambda text: Reply("fake", math.nan)),
        r"Reply\.fake: .*nan",
    ),
    "a mask of a forger of NaN": (
        leaf("forge", forge=lambda p, m, rng: SimpleNamespace(pixels=p, mask=np.full(p.shape[:2], np.nan, np.float32))),
        r"a mask in \[0, 1\]",
    ),
    "a score above 1": (leaf("scores", score=lambda reply, truth: 7.0), r"\[0, 1\] or None, got 7.0"),
    "a score that raises": (leaf("scores", score=lambda reply, truth: 1 / 0), "ZeroDivisionError"),
    "a format without an ending": (leaf("formats", render=lambda report, clip=None: b""), "extension = 'csv'"),
    "a format of words": (
        leaf("formats", extension="txt", render=lambda report, clip=None: "x"),
        "bytes for the report",
    ),
    "a dataset that finds nothing": (leaf("datasets", samples=lambda root, split=None: []), "got samples"),
    "a forger of another size": (
        leaf("forge", forge=lambda p, m, rng: SimpleNamespace(pixels=p[:9], mask=np.zeros(p.shape[:2], np.float32))),
        "a picture of the same size",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_promise_is_noticed_and_said(case):
    module, told = BROKEN[case]
    family = module.__name__.split(".")[1]
    said = []
    for check in checks.of(family):
        try:
            check.run(module)
        except checks.Broken as error:
            said.append(str(error))
    assert said and any(re.search(told, sentence) for sentence in said), said
    assert all(sentence.startswith(f"{family}/broken: ") for sentence in said)


def test_a_leaf_with_little_to_say_keeps_its_promises():
    for check in checks.of("witnesses"):
        check.run(leaf("witnesses", load=Fair))
    papers = type("Papers", (), {"name": "p", "inspect": lambda self, clip: Testimony("p", None)})
    for check in checks.of("witnesses"):
        check.run(leaf("witnesses", load=papers))

    def lacks(report, clip=None):
        if clip is None:
            raise ReportError("It draws, so it needs the picture.")
        return b"drawn"

    for check in checks.of("formats"):
        if "lacking" not in check.name:
            check.run(leaf("formats", extension="bmp", render=lacks))


def test_a_leaf_that_says_what_it_needs_breaks_no_promise():
    def load(model: str = ""):
        raise InputError("model: expected a folder, got none. Name one.")

    for family in ("witnesses", "finders"):
        for check in checks.of(family)[2:]:
            with pytest.raises(InputError, match="Name one"):
                check.run(leaf(family, load=load))
    for check in checks.of("backends"):
        check.run(leaf("backends", load=load))
    silent = backend(lambda messages, images: (_ for _ in ()).throw(BackendError("The server is not there. Start it.")))
    for check in checks.of("backends"):
        check.run(leaf("backends", load=silent))


def test_all_promises_at_once():
    checks.run("finders", "whole")
    with pytest.raises(UnknownName, match="Did you mean 'whole'"):
        checks.run("finders", "wole")
    with pytest.raises(UnknownName, match="family"):
        checks.of("finder")
    assert issubclass(checks.Broken, AssertionError) and not issubclass(checks.Broken, InputError)


def test_what_a_leaf_raises_or_mistakes_is_a_broken_promise():
    odd = leaf("witnesses", load=lambda: SimpleNamespace(name="odd", examine=lambda track, clip: 0.7))
    (check,) = (check for check in checks.of("witnesses") if check.name.startswith("the same face gets"))
    with pytest.raises(checks.Broken, match="expected a Testimony, got float"):
        check.run(odd)
    finder = leaf("finders", load=lambda: SimpleNamespace(find=lambda frame: [1]))
    (check,) = (check for check in checks.of("finders") if check.name.startswith("the same picture"))
    with pytest.raises(checks.Broken, match="expected Faces, got 1"):
        check.run(finder)
    with pytest.raises(checks.Broken, match="unexpected ZeroDivisionError: division by zero"):
        checks.of("witnesses")[-1].run(leaf("witnesses", load=lambda: 1 / 0))
