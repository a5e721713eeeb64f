"""What is given to the public names from Python and has another type is told in a sentence, never by Python's own."""

from __future__ import annotations

import dataclasses
import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import data

import facewitness
from facewitness.errors import FacewitnessError, InputError

PHOTO = data.astronaut()[:256, 100:356].copy()
HUGE = 10**5000  # Python refuses to print it


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


ODD = {
    "None": None, "dict": {"a": 1}, "empty dict": {}, "int": 3, "huge": HUGE, "float": 2.5, "NaN": float("nan"),
    "True": True, "list": [1], "empty list": [], "words": "x", "bytes": b"ab", "path": Path("x"), "array": np.zeros(3),
    "set": {1}, "object": object(), "unprintable": Unprintable(), "class": dict, "function": lambda *given: None,
}  # fmt: skip
NUMBERS = {"int", "float"}
MAPPINGS = {"None", "empty dict"}
FUNCTIONS = {"None", "class", "function"}  # what those raise themselves is their own


@pytest.fixture(scope="module")
def analyzer() -> facewitness.Analyzer:
    return facewitness.Analyzer()


@pytest.fixture(scope="module")
def report(analyzer) -> facewitness.Report:
    return analyzer.analyze(PHOTO)


def refused(call: Any, fits: set[str], where: str = "") -> None:
    """Each odd value but those that fit is refused in one line that says what was expected."""
    for name, value in ODD.items():
        if name in fits:
            continue
        with pytest.raises(FacewitnessError) as told:
            call(value)
        message = str(told.value)
        assert re.search(r"[Ee]xpected|Unknown", message) and "\n" not in message, (name, message)
        assert len(message) < 700 and where in message, (name, message)


@pytest.mark.parametrize(
    ("argument", "fits"),
    [("finder", set()), ("witnesses", set()), ("options", MAPPINGS), ("limits", {"None"}), ("reading", MAPPINGS),
     ("profile", {"None"})],
)  # fmt: skip
def test_of_an_analyzers_arguments(argument, fits):
    refused(lambda value: facewitness.Analyzer(**{argument: value}), fits)
    if argument != "finder":
        refused(lambda value: facewitness.analyze(PHOTO, **{argument: value}), fits)


def test_a_profile_that_is_a_mapping_says_what_a_profile_is():
    with pytest.raises(InputError, match=r"profile: expected the path of a file made by facewitness calibrate, got \{"):
        facewitness.Analyzer(profile={"compact": {}})


def test_within_an_analyzers_arguments():
    refused(lambda value: facewitness.Analyzer(witnesses=["compact", value]), set(), "")
    refused(lambda value: facewitness.Analyzer(options={"compact": value}), {"empty dict"})
    hashable = {"dict", "empty dict", "list", "empty list", "array", "set"}
    refused(lambda value: facewitness.Analyzer(options={value: {}}), hashable)
    refused(lambda value: facewitness.Analyzer(options={"compact": {value: 1}}), hashable)
    refused(lambda value: facewitness.Analyzer(options={"facemesh": {"max_faces": value}}), {"int", "huge"})
    refused(lambda value: facewitness.Analyzer(reading={value: 1}), hashable)


@pytest.mark.parametrize(
    ("word", "fits"),
    [("max_pixels", {"None", "int", "huge"}), ("max_bytes", {"None", "int", "huge"}), ("max_memory", {"int", "huge"}),
     ("max_seconds", {"None", "int", "huge", "float", "NaN"}), ("as_film", {"True"}), ("sampling", MAPPINGS)],
)  # fmt: skip
def test_of_words_of_reading(analyzer, word, fits):
    refused(lambda value: facewitness.Analyzer(reading={word: value}), fits, word if word != "sampling" else "")
    refused(lambda value: analyzer.analysis(PHOTO, reading={word: value}), fits)


def test_of_words_of_a_films_sampling(analyzer):
    refused(lambda value: analyzer.analysis(PHOTO, reading={"sampling": {"frames": value}}), {"int", "huge"}, "frames")
    refused(lambda value: analyzer.analysis(PHOTO, reading={"sampling": {"scenes": value}}), {"True"}, "scenes")


def test_of_one_analysis(analyzer):
    refused(lambda value: analyzer.analysis(PHOTO, name=value), {"None", "words"}, "name")
    refused(lambda value: analyzer.analysis(PHOTO, reading=value), MAPPINGS)
    refused(lambda value: analyzer.analysis(PHOTO, tell=value), FUNCTIONS, "tell")
    files = {"words", "bytes", "path"}  # of which there is none: a report of its own
    refused(analyzer.analyze, files)
    assert all(analyzer.analyze(ODD[name]).status == "failed" for name in files)


def test_of_many_and_of_a_pool(analyzer):
    several = {"dict", "empty dict", "empty list", "list", "array", "set"}  # what is in them is each told by itself

    def many(*given: Any, **options: Any) -> None:
        list(itertools.islice(facewitness.analyze_many(*given, **options), 1))

    refused(many, several)
    refused(lambda value: many([PHOTO], jobs=value), {"int", "huge"}, "jobs")
    refused(lambda value: many([PHOTO], then=value), FUNCTIONS - {"None"}, "function")
    refused(lambda value: many([PHOTO], seconds=value), {*FUNCTIONS, *NUMBERS, "NaN", "huge"}, "seconds")
    refused(lambda value: facewitness.Pool(value), {"int", "huge"}, "jobs")
    refused(lambda value: facewitness.Pool(then=value), FUNCTIONS - {"None"}, "function")
    refused(lambda value: facewitness.Pool(seconds=value), {*FUNCTIONS, *NUMBERS, "NaN", "huge"}, "seconds")
    with facewitness.Pool() as pool:
        refused(lambda value: pool.submit(PHOTO, value), {*FUNCTIONS, *NUMBERS, "NaN", "huge"}, "seconds")
        refused(lambda value: pool.submit(PHOTO, tell=value), FUNCTIONS, "function")
        refused(pool.call, FUNCTIONS - {"None"}, "function")
        refused(pool.stop, set(), "future")


def test_of_a_report_that_is_saved(report, tmp_path):
    refused(report.save, {"path"})
    refused(lambda value: report.save(tmp_path / "a.html", value), {"None"}, "clip")
    assert not list(tmp_path.iterdir())


def test_of_a_conversation(report):
    refused(facewitness.Dialogue, set())
    refused(lambda value: facewitness.Dialogue(report, backend=value), {"None"}, "backend")
    refused(lambda value: facewitness.Dialogue(report, clip=value), {"None"}, "clip")
    nobody = {"dict", "empty dict", "list", "empty list", "words", "bytes", "array", "set"}  # none of whom can answer
    refused(lambda value: facewitness.Dialogue(report, witnesses=value), nobody, "witnesses")
    talk = facewitness.Dialogue(report)
    refused(talk.ask, {"words"})
    refused(lambda value: talk.ask("Is the nose fake?", value), FUNCTIONS, "hear")
    refused(lambda value: talk.ask(facewitness.Question(value)), {"words"})
    none = {"empty list"}
    refused(lambda value: talk.ask(facewitness.Question("Why?", value)), none, "Question.places")
    before = talk.memory
    refused(talk.recall, set(), "memory")
    refused(lambda value: talk.recall({**before, "face": value}), {"int", "huge", "float", "True"}, "memory")
    refused(lambda value: talk.recall({**before, "moment": value}), {"None", "array", "bytes"}, "memory")
    assert talk.memory == {**before, "face": talk.face}


@pytest.mark.parametrize("name", ["doubtful", "unusable", "steepness", "steepness_fake"])
def test_of_limits(name):
    refused(lambda value: facewitness.Limits(**{name: value}), {*NUMBERS, "huge"}, "Limits")


def test_of_a_calibration(analyzer):
    calibration = analyzer.calibrations["compact"]
    refused(facewitness.Profile.read, set())
    refused(facewitness.Calibration.from_json, set(), "Calibration")
    refused(calibration.apply, {"True"}, "xpected")
    refused(lambda value: calibration.apply(0.5, value), {"None", "words"}, "kind")
    refused(calibration.label, {*NUMBERS, "huge", "NaN"}, "probability")
    refused(calibration.probabilities, {"list", "array"})
    for name in ("slope", "offset", "real_below", "fake_above", "knots", "low", "high"):
        refused(lambda value, name=name: dataclasses.replace(calibration, **{name: value}), {"int", "float", "True"})
    for name in ("kinds", "against"):
        refused(lambda value, name=name: dataclasses.replace(calibration, **{name: value}), {"empty dict"})


def test_of_a_fit():
    rows = {"scores": [0.1, 0.9, 0.2, 0.8], "labels": [0, 1, 0, 1], "groups": list("abcd"), "resamples": 3}
    assert facewitness.Calibration.fit(**rows).rows == 4
    for name, fits in {
        "scores": set(), "labels": set(), "weights": {"None"}, "moved": {"None"}, "genuine_called_fake": set(),
        "fakes_called_real": set(), "confidence": set(), "resamples": {"int"}, "seed": {"int"},
    }.items():  # fmt: skip
        refused(lambda value, name=name: facewitness.Calibration.fit(**{**rows, name: value}), fits, "xpected")


def test_of_the_nouns(report):
    """A field that cannot be checked for its type is told with the types of all of them."""
    person = report.people[0]
    for noun, name in (
        (person.face, "box"), (person.face, "landmarks"), (person.face.at, "width"), (report.medium, "frames"),
        (person.verdict, "interval"), (person, "explanation"), (person.verdict.testimonies[0], "findings"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=r"expected .*, got .*\bobject\b"):
            dataclasses.replace(noun, **{name: object()})
    with pytest.raises(InputError, match=r"FrameRef: expected fields of the types .* got width str, height int"):
        facewitness.FrameRef("a", 3)
