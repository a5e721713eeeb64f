"""DFA-Bench and DFA-Instruct: questions about deepfakes with answers, as conversations about pictures.

Paper: Qin, Jiang, Zhang, Qiu, Zeng, Hu, Deng, Towards Interactive Deepfake Analysis, ICASSP 2025, arXiv 2501.01164:
detection, classification and artifact description; 127.3 thousand pictures with 891.6 thousand questions and answers
in DFA-Instruct. Licence: none is stated. How to obtain: github.com/lxq1000/DFA-Instruct announces both; when this was
written it had a readme and no data.

    ROOT/{train,val,test}*.json, or any *.json below ROOT     [{"image": path, "conversations": [{"from": "human",
                                                               "value": …}, {"from": "gpt", "value": …}]}, …]
    ROOT/<path>                                               the pictures, named in the lists

Not documented by its authors: the layout is LLaVA's, whose training their system (DFA-GPT) builds on, also with
"messages" of role and content. The label is an entry's "label" where it has one, else what the answer to the first
question that asks for real or fake says, else the folder of the picture; a picture of which none of these tells is
left out, and told. The split is the list's name, "test" where it names none. A group is the picture's folder and the
part of its name before the first underscore, as videos' frames are named; not documented either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from facewitness.datasets._disk import Tell, below, folder, not_empty, read_json, silent, wanted
from facewitness.errors import InputError
from facewitness.files import absence
from facewitness.regions import mentioned
from facewitness.types import Sample, Truth

SPLITS = ("train", "val", "test")
NAME = "DFA-Bench"

Label = Literal["real", "fake"]

_ASKS = re.compile(r"\b(?:real|fake|genuine|authentic|deepfake|manipulated|forged)\b", re.IGNORECASE)
_FAKE = re.compile(r"\b(?:fake|deepfake|manipulated|forged|synthetic)\b", re.IGNORECASE)
_REAL = re.compile(r"\b(?:real|genuine|authentic|pristine|unaltered)\b", re.IGNORECASE)
_DENIED = re.compile(r"\b(?:not|isn't|no|never)\b", re.IGNORECASE)
_MARK = re.compile(r"\s*</?(?:image|img)>\s*", re.IGNORECASE)


def samples(root: str | Path, split: str | None = None, *, tell: Tell = silent) -> Iterator[Sample]:
    """All pictures in the order of the lists, each once, with all its questions.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        tell: Is called with each sentence about what is absent or odd.

    Raises:
        InputError: For another form.
    """
    root = folder(root, NAME, ("*.json", "**/*.json"), any_of=True)
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, split, tell), NAME, split, root)


def _samples(root: Path, split: str | None, tell: Tell) -> Iterator[Sample]:
    for table in sorted(root.rglob("*.json")):
        of_table = next((each for each in SPLITS if table.stem.lower().startswith(each)), "test")
        if split not in (None, of_table):
            continue
        entries = read_json(table, NAME)
        if not isinstance(entries, list):
            raise InputError(f"{NAME}: expected a list of conversations in {table}, got {type(entries).__name__}")
        pictures: dict[str, list[tuple[str, str]]] = {}
        labels: dict[str, Any] = {}
        for number, entry in enumerate(entries):
            try:
                image, turns = _entry(entry)
            except (KeyError, TypeError, IndexError, AttributeError) as error:
                raise InputError(
                    f"{NAME}: {table}, entry {number}: expected an image and conversations, got {error!r}"
                ) from None
            pictures.setdefault(image, []).extend(turns)
            labels.setdefault(image, entry.get("label"))
        for image, turns in pictures.items():
            file = below(root, image) or below(table.parent, image)
            if file is None:
                why = absence(root / image)
                tell(f"{NAME}: {root / image}, listed in {table.name}, {why}; put the pictures below the root")
                continue
            label = _label(labels[image], turns, image)
            if label is None:
                tell(f"{NAME}: {image}: neither its entry, its answers nor its folder say real or fake; left out")
                continue
            yield _sample(file.relative_to(root).as_posix(), label, of_table, turns)


def _entry(entry: Any) -> tuple[str, list[tuple[str, str]]]:
    """A picture's name, and questions with answers."""
    named = entry.get("image") or entry["images"][0]
    if "messages" in entry:
        messages = [(m["role"], str(m["content"])) for m in entry["messages"]]
    else:
        messages = [(m["from"], str(m["value"])) for m in entry["conversations"]]
    turns: list[tuple[str, str]] = []
    question = ""
    for role, text in messages:
        if role in ("human", "user"):
            question = _MARK.sub(" ", text).strip()
        elif role in ("gpt", "assistant") and question:
            turns.append((question, text.strip()))
    return str(named).replace("\\", "/"), turns


def _label(given: Any, turns: list[tuple[str, str]], image: str) -> Label | None:
    if str(given).lower() in ("real", "fake"):
        return "fake" if str(given).lower() == "fake" else "real"
    if given in (0, 1) and given is not None:
        return "fake" if given else "real"
    for question, answer in turns:
        if _ASKS.search(question):
            first = re.split(r"(?<=[.!?])\s", answer)[0]
            fake, real = bool(_FAKE.search(first)), bool(_REAL.search(first))
            if fake != real and not _DENIED.search(first):
                return "fake" if fake else "real"
    parts = {part.lower() for part in PurePosixPath(image).parts[:-1]}
    fake, real = bool(parts & {"fake", "fakes", "forged"}), bool(parts & {"real", "reals", "original"})
    return None if fake == real else "fake" if fake else "real"


def _sample(file: str, label: Label, split: str, turns: list[tuple[str, str]]) -> Sample:
    path = PurePosixPath(file)
    questions: dict[str, tuple[str, ...]] = {}
    for question, answer in turns:
        questions[question] = (*questions.get(question, ()), answer)
    texts = tuple(dict.fromkeys(answer for _, answer in turns if len(answer.split()) >= 8))
    return Sample(
        file=file,
        truth=Truth(
            label=label,
            method="pristine" if label == "real" else None,
            kind="pristine" if label == "real" else None,
            regions=frozenset() if label == "real" else frozenset(mentioned(" ".join(texts))) or None,
            texts=texts,
            questions=questions,
        ),
        split=split,
        group=f"{path.parent.as_posix()}/{path.stem.split('_')[0]}",
        dataset=NAME,
    )
