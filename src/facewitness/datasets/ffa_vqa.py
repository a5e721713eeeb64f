"""OW-FFA-Bench, the Multi-attack test set and FFA-VQA: face crops of many sources, some with questions and answers.

Paper: Huang, Xia, Lin, Mou, Yang, FFAA: Multimodal Large Language Model based Explainable Open-World Face Forgery
Analysis Assistant, arXiv 2408.10072, 2024. Licence: the code's is Apache-2.0; pictures keep the terms of their sources.
How to obtain: links in docs/benchmark.md of github.com/thu-huangzc/FFAA. FFA-VQA (20,142 answers by GPT-4o) had not
been published when that page was read; a folder in LLaVA's format, which the authors' training code is built on, is
read here.

    ROOT/<set>/imgs/*.png      <set>: dfd dfdc dpf ma mffdi pgc wfir (the README's list), or any other name
    ROOT/<set>/<set>.json      {"picture.png": "real" | "fake"}; for ma {"picture.png": ["fake", …]}
                               or LLaVA's [{"image", "conversations": [{"from": "human" | "gpt", "value"}, …]}, …]

`root` may also be one set. Documented in README.md and eval.py of that repository; what stands after the label in the
lists of `ma` is not, and is used only where it is the name of one of the paper's three forgery types. In LLaVA's format
the label is the "Analysis result" of the answer (Fig. 2 of the paper), and question and answer are kept.

Every set is a dataset of its own in tables ("OW-FFA-Bench/dfd"), because sACC is the deviation of accuracy over sets.
Sets with labels only have the split "test", those with conversations "train". Frames of one video cannot be told apart
by name, so a picture is its own group, and intervals by group are narrower than they should be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from facewitness.datasets._disk import PRISTINE, Tell, below, folder, not_empty, read_json, silent, wanted
from facewitness.errors import InputError
from facewitness.files import absence
from facewitness.types import Sample, Truth

SPLITS = ("train", "test")
NAME = "OW-FFA-Bench"

# set → its dataset's name, and what made its fakes where Table 1 of the paper leaves one answer
_SETS: dict[str, tuple[str, str | None, str | None]] = {
    "dfd": ("OW-FFA-Bench/dfd", "DeepFakeDetection", "identity_exchange"),
    "dfdc": ("OW-FFA-Bench/dfdc", "DFDC", None),
    "dpf": ("OW-FFA-Bench/dpf", "DeeperForensics", "identity_exchange"),
    "mffdi": ("OW-FFA-Bench/mffdi", None, None),
    "pgc": ("OW-FFA-Bench/pgc", "PGGAN", "entire_synthesis"),
    "wfir": ("OW-FFA-Bench/wfir", "StyleGAN", "entire_synthesis"),
    "ma": ("Multi-attack", None, None),
}
_TYPES = {"identity": "identity_exchange", "attribute": "attribute_manipulation", "synthesis": "entire_synthesis"}
_RESULT = re.compile(r"analysis result\W+(?:\w+\W+){0,6}?(real|fake)\b", re.IGNORECASE)


def samples(root: str | Path, split: str | None = None, *, tell: Tell = silent) -> Iterator[Sample]:
    """The pictures of all sets, a set after the other; `split` is "test" (labels) or "train" (with texts).

    Tells of sets of OW-FFA-Bench that are absent and of pictures that are listed but not there.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        tell: Is called with each sentence about what is absent or odd.
    """
    root = folder(root, NAME, ("imgs", "*/imgs"), any_of=True)
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, split, tell), NAME, split, root)


def _samples(root: Path, split: str | None, tell: Tell) -> Iterator[Sample]:
    sets = [root] if (root / "imgs").is_dir() else sorted(p.parent for p in root.glob("*/imgs") if p.is_dir())
    there = {p.resolve().name for p in sets}
    if len(sets) > 1 and there & set(_SETS):
        for absent in sorted(set(_SETS) - {"ma"} - there):
            tell(
                f"{NAME}: the set {root / absent} is absent; without it the mean over sets and sACC are not the paper's"
            )
    for where in sets:
        name = where.resolve().name
        table = where / f"{name}.json"
        if not table.is_file():
            why = absence(table)
            tell(f"{NAME}: {table}, the labels of {where / 'imgs'}, {why}; unpack it beside the folder")
            continue
        yield from _set(root, where, name, table, split, tell)


def _set(root: Path, where: Path, name: str, table: Path, split: str | None, tell: Tell) -> Iterator[Sample]:
    content = read_json(table, NAME)
    if isinstance(content, dict):
        here, listed = "test", {str(k): _labelled(name, table, str(k), v) for k, v in content.items()}
    elif isinstance(content, list):
        here, listed = "train", _answered(name, table, content)
    else:
        raise InputError(f"{NAME}: {table}: expected a label for each picture, or conversations; download it again")
    if split not in (None, here):
        return
    for picture, truth in listed.items():
        file = below(where / "imgs", picture)
        if file is None:
            absent = where / "imgs" / picture
            tell(f"{NAME}: {absent}, listed in {table}, {absence(absent)}; unpack {name}/imgs again")
            continue
        relative = file.relative_to(root).as_posix()
        dataset = _SETS[name][0] if name in _SETS else f"{NAME if here == 'test' else 'FFA-VQA'}/{name}"
        yield Sample(file=relative, truth=truth, split=here, group=f"{name}/{picture}", dataset=dataset)


def _label(table: Path, picture: str, value: Any) -> Literal["real", "fake"]:
    label = value.strip().lower() if isinstance(value, str) else value
    if label == "real":
        return "real"
    if label == "fake":
        return "fake"
    raise InputError(f"{NAME}: {table}: {picture}: expected real or fake, got {value!r}; mend the line")


def _labelled(name: str, table: Path, picture: str, value: Any) -> Truth:
    further = value[1:] if isinstance(value, list) else []
    label = _label(table, picture, value[0] if isinstance(value, list) and value else value)
    if label == "real":
        return PRISTINE
    _, method, kind = _SETS.get(name, ("", None, None))
    wording = " ".join(str(v).lower() for v in further)
    return Truth("fake", method, kind or next((k for word, k in _TYPES.items() if word in wording), None))


def _answered(name: str, table: Path, entries: list[Any]) -> dict[str, Truth]:
    """Picture → its label and what was asked and answered, from LLaVA's format."""
    turns: dict[str, list[tuple[str, str]]] = {}
    for number, entry in enumerate(entries):
        try:
            messages = [(str(t["from"]), str(t["value"])) for t in entry["conversations"]]
            picture = str(entry["image"]).replace("\\", "/").removeprefix(f"{name}/").removeprefix("imgs/")
        except (KeyError, TypeError):
            raise InputError(
                f"{NAME}: {table}, entry {number}: expected image and conversations (from, value); download it again"
            ) from None
        for (asker, question), (answerer, answer) in pairwise(messages):
            if asker == "human" and answerer == "gpt":
                turns.setdefault(picture, []).append((question.replace("<image>", "").strip(), answer.strip()))
    truths: dict[str, Truth] = {}
    for picture, pairs in turns.items():
        results = {match[1].lower() for _, answer in pairs if (match := _RESULT.search(answer))}
        if len(results) != 1:
            results_text = " and ".join(sorted(results)) or "none"
            raise InputError(
                f"{NAME}: {table}: {picture}: expected one 'Analysis result', real or fake, found {results_text}"
            )
        real = results == {"real"}
        results_text = " ".join(answer.lower() for _, answer in pairs).rpartition("analysis result")[2]
        questions: dict[str, tuple[str, ...]] = {}
        for question, answer in pairs:
            questions[question] = (*questions.get(question, ()), answer)
        truths[picture] = Truth(
            label="real" if real else "fake",
            method="pristine" if real else None,
            kind="pristine" if real else next((k for word, k in _TYPES.items() if word in results_text), None),
            regions=frozenset() if real else None,
            texts=tuple(answer for _, answer in pairs),
            questions=questions,
        )
    return truths
