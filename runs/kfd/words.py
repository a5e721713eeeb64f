"""What KFD's language model adds to its detector: fits how words and evidence count together, and measures it.

    python runs/kfd/words.py fit     --pack DIR --weights kfd.safetensors --model MODEL        writes MODEL/choice.json
    python runs/kfd/words.py measure --pack DIR --weights kfd.safetensors --model MODEL --out DIR

Pictures are genuine faces of a pack, and forgeries of one to three of their regions as `builders/sbi_qa` makes them,
with its questions. `fit` sees the split `calibrate` and nothing else; `measure` the split `val`. Both ask as the
witness does (`witnesses/kfd`): its description of the task, the detector's score and map with the mirror image.

The verdict in words is the score's in at least `--agree` of the pictures of `calibrate`: as much of the fitted weights
as that allows, the rest is the score alone. A question about a region is answered by the model, by the map (forged from
a coverage of a third on, as the witness's findings are), or by both together, whichever is right most often on parts of
`calibrate` that it was not fitted to; where two are, by the map. Which places a yes names is left to the map where it
names them better there than both together.

`measure` writes two folders of predictions and a JSON each, as `facewitness bench answers` does, with the rows "score
alone", "map alone", "always fake" and "always real" beside them: `model`, the language model's own likeliest reply;
`chosen`, the reply that evidence and model choose together, which is what a user gets; and words.md, both in a table.
Killed, it goes on by answers.jsonl, and `fit` by looked.jsonl and weighed.jsonl in its --out; another model, detector
or choice.json wants another folder.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from sklearn.linear_model import LogisticRegression

from facewitness import geometry, plugins
from facewitness.apps.script import script
from facewitness.bench import answers, predictions, speakers
from facewitness.builders import sbi_qa
from facewitness.builders.pack import Pack
from facewitness.files import write_whole
from facewitness.grammars import yes_no
from facewitness.types import Finding, Landmarks, Place
from facewitness.witnesses import _chosen, _prompted
from facewitness.witnesses import kfd as witness_file

MARGIN = 1.3
PLACES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)  # weights of the map's say about places that are tried
COVERED = 1 / 3  # from which coverage on the map alone calls a region forged, as the witness's findings do
NEVER = -20.0  # a floor below all log-odds of a face
BY_MAP = _chosen.OfRegion(0.0, 1.0, 0.0, 0.0, -_chosen.log_odds(COVERED), NEVER)


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """A picture with what the detector says of it."""

    crop: NDArray[np.uint8]
    score: float
    covered: Mapping[str, float]


def questions(data: Pack, split: str, pictures: int, seed: int, sources: Sequence[str] | None) -> Iterator[Any]:
    """(source, landmarks in the crop, item) of the questions about genuine rows of a split, spread over its sources."""
    rows = [
        i
        for i, row in enumerate(data.rows)
        if row["split"] == split and row["label"] == "real" and data.landmarks(i) is not None
        and (sources is None or row["source"] in sources)
    ]  # fmt: skip
    chosen = np.random.default_rng(seed).permutation(len(rows))[:pictures]
    for i in sorted(rows[k] for k in chosen):
        row, points = data.rows[i], data.landmarks(i)
        if points is None:
            continue
        name, group = f"{row['source']}/{row['file']}", f"{row['source']}/{row['group']}"
        face = sbi_qa.Pristine(name, data.pixels(i), points, group)
        for item in sbi_qa.build([face], seed=seed, margin=MARGIN, pairs=2):
            yield row["source"], item


def _crop(item: sbi_qa.Item) -> NDArray[np.uint8]:
    pixels = cv2.imdecode(np.frombuffer(item.image, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def crop_landmarks(data: Pack) -> dict[str, Landmarks]:
    """Each genuine row's mesh in the pixels of its crop, by "source/file"."""
    out = {}
    for i, row in enumerate(data.rows):
        points = data.landmarks(i)
        if row["label"] == "real" and points is not None:
            affine = geometry.align(points, 224, MARGIN)
            out[f"{row['source']}/{row['file']}"] = geometry.transform(affine, points[:, :2])
    return out


def looked(witness: Any, item: sbi_qa.Item, points: Landmarks) -> Looked:
    """The detector's score and coverage of an item's picture."""
    crop = _crop(item)
    score, located = witness.scored(crop)
    return Looked(crop, score, _chosen.coverage(located, points))


def gathered(given: argparse.Namespace, split: str) -> tuple[Any, list[tuple[sbi_qa.Item, Looked]]]:
    """The language model, and every question with what the detector says of its picture: kept, a line a picture."""
    log = given.out / "looked.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    held = {(line["split"], line["file"]): line for line in _lines(log)}
    data = Pack(given.pack)
    meshes = crop_landmarks(data)
    witness = witness_file.load(weights=str(given.weights))
    model = _prompted.Prompted(str(given.model), "cpu", witness_file.LONGEST)
    model.rests_on("kfd", "detector", witness.detector, given.weights)
    seen: dict[str, Looked] = {}
    out = []
    for _, item in track(list(questions(data, split, given.pictures, given.seed, given.sources)), "looking"):
        if item.file not in seen:
            old = held.get((split, item.file))
            if old is None:
                seen[item.file] = one = looked(witness, item, meshes[item.original])
                _note(log, {"split": split, "file": item.file, "score": one.score, "covered": dict(one.covered)})
            else:
                seen[item.file] = Looked(_crop(item), old["score"], old["covered"])
        out.append((item, seen[item.file]))
    return model, out


def _lines(log: Path) -> list[dict[str, Any]]:
    """The lines of a log; one that a killed run cut off is none."""
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def _note(log: Path, line: Mapping[str, Any]) -> None:
    with open(log, "a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")


def asked_of(model: Any, item: sbi_qa.Item, seen: Looked) -> str:
    """The prompt, as the witness writes it."""
    return yes_no.prompt(witness_file.TASK, seen.score if model.taught.quoted else None, item.question)


# ----------------------------------------------------------------------------------------------------------- the fit


def fit(given: argparse.Namespace) -> None:
    """Fit on held-out training groups; write choice.json."""
    model, rows = gathered(given, "calibrate")
    forged = _forged_by_coverage(rows)
    neutral = _chosen.Choice(_chosen.Odds(1, 0), None, 1.0, forged)
    verdicts: list[tuple[float, float, bool]] = []
    about_regions: list[tuple[str, tuple[float, float, float, float], bool]] = []
    places: list[Named] = []
    odds_of_places: list[tuple[float, float]] = []
    log = given.out / "weighed.jsonl"
    held = {(line["file"], line["question"]): line for line in _lines(log)}
    for item, seen in track(rows, "weighing"):
        about = (item.asked,) if item.asked else ()
        if any(name not in seen.covered for name in about):
            continue
        sets = _chosen._sets(neutral.chance(seen.covered)) if item.label == "fake" and not about else []
        line = held.get((item.file, item.question))
        if line is None or line["sets"] != [list(each) for each in sets]:  # of other pictures, another map
            line = weighed_by(model, item, seen, sets)
            _note(log, line)
        words = line["words"]
        truth = item.asked in item.regions if item.asked else item.label == "fake"
        if about:
            about_regions.append((item.group, (words, *_chosen.known(about[0], seen.score, seen.covered)), truth))
        else:
            verdicts.append((words, _chosen.log_odds(seen.score), truth))
        if sets:
            priors = _chosen.log_priors(sets, neutral.chance(seen.covered))
            named = list(zip(sets, line["values"], priors, strict=True))
            places.append((item.group, item.regions, named))
            odds_of_places.append((words, _chosen.log_odds(seen.score)))
    verdict = agreeing(_odds(verdicts), verdicts, given.agree)
    right, floor = elsewhere(about_regions, verdict)
    best = max(("map", "together", "model"), key=right.__getitem__)  # of equal ones the first: it needs least
    region = {"map": BY_MAP, "together": of_region(about_regions, floor), "model": None}[best]
    # regions are named only of what is called fake
    places = [row for row, both in zip(places, odds_of_places, strict=True) if verdict.together(*both) > 0]
    elsewhere_named = named_elsewhere(places)
    silent = elsewhere_named.get("map", 0.0) > elsewhere_named.get("together", 0.0)  # the map alone knows them better
    choice = _chosen.Choice(
        verdict, region, 1.0 if silent else weight_of_places(places), forged, 0.0 if silent else 1.0
    )
    kept = {"verdicts": verdicts, "regions": about_regions, "places": places}
    write_whole(given.out / "fitted-to.json", json.dumps(kept).encode())
    about_it = {
        "fitted": {
            "split": "calibrate", "pictures": given.pictures, "seed": given.seed, "questions": len(rows),
            "places_tried": list(PLACES), "floors_tried": list(FLOORS),
            "regions_right": {name: round(value, 4) for name, value in right.items()},
            "places_named": {name: round(value, 4) for name, value in elsewhere_named.items()},
        }
    }  # fmt: skip
    write_whole(given.model / _chosen.FILE, json.dumps(choice.to_json() | about_it, indent=1).encode())
    print(json.dumps(choice.to_json() | about_it, indent=1))


def weighed_by(model: Any, item: sbi_qa.Item, seen: Looked, sets: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The model's log-odds of a yes to one question, and the log-likelihoods of replies that name each set."""
    prompt = asked_of(model, item, seen)
    yes, no = model.likelihoods(seen.crop, prompt, (_chosen.YES, _chosen.NO), ended=False)
    values = model.likelihoods(seen.crop, prompt, [yes_no.forged(s) for s in sets]) if sets else []
    return {"file": item.file, "question": item.question, "words": yes - no, "sets": [list(s) for s in sets],
            "values": list(values)}  # fmt: skip


def _forged_by_coverage(rows: Sequence[tuple[sbi_qa.Item, Looked]]) -> dict[str, tuple[float, float]]:
    """Slope and offset of each region: one slope for all, and an offset a region that few rows cannot carry far."""
    pictures = {item.file: (item, seen) for item, seen in rows}
    cases = [
        (name, _chosen.log_odds(value), name in item.regions)
        for item, seen in pictures.values()
        for name, value in seen.covered.items()
    ]
    columns = np.array([[x, *(name == each for each in _chosen.NAMED)] for name, x, _ in cases], np.float64)
    columns[:, 0] *= 5  # the slope is hardly shrunk, the offsets are
    model = LogisticRegression(C=1.0, max_iter=1000).fit(columns, [truth for _, _, truth in cases])
    slope, *offsets = model.coef_[0].tolist()
    base = float(model.intercept_[0])
    return {name: (5 * slope, base + offset) for name, offset in zip(_chosen.NAMED, offsets, strict=True)}


def _odds(rows: Sequence[tuple[float, float, bool]]) -> _chosen.Odds:
    x = np.array([(words, evidence) for words, evidence, _ in rows])
    model = LogisticRegression(C=1.0, max_iter=1000).fit(x, [truth for _, _, truth in rows])
    return _chosen.Odds(float(model.coef_[0, 0]), float(model.coef_[0, 1]), float(model.intercept_[0]))


Known = tuple[float, float, float, float]  # words, own, rivals, face
FLOORS = (0.0, -0.5, -1.0, -1.5, -2.0)  # log-odds of a forged face, under which no region is accused, that are tried


def of_region(rows: Sequence[tuple[str, Known, bool]], floor: float) -> _chosen.OfRegion:
    """What each of words, own, rivals and face counts, by a logistic regression."""
    model = LogisticRegression(C=1.0, max_iter=1000).fit([x for _, x, _ in rows], [truth for *_, truth in rows])
    return _chosen.OfRegion(*model.coef_[0].tolist(), float(model.intercept_[0]), floor)


def elsewhere(
    rows: Sequence[tuple[str, Known, bool]], verdict: _chosen.Odds, parts: int = 8
) -> tuple[dict[str, float], float]:
    """The share of questions about regions that model and map answer rightly alone, and that both do, fitted elsewhere.

    Args:
        rows: Each with its group; a part of the groups is answered by what the other parts were fitted to.
        verdict: On the face.
        parts: How many.

    Returns:
        "model", "map", and "together" with the floor that is best; and that floor: of the best the lowest.
    """
    part = np.array([zlib.crc32(group.encode()) % parts for group, *_ in rows])
    truth = np.array([t for *_, t in rows])
    said = np.zeros((len(FLOORS), len(rows)), bool)
    for which in range(parts):
        others = [row for row, p in zip(rows, part, strict=True) if p != which]
        for k, floor in enumerate(FLOORS):
            fitted = _chosen.Choice(verdict, of_region(others, floor), 1.0, {})
            for i in np.flatnonzero(part == which):
                words, *evidence = rows[i][1]
                said[k, i] = fitted.accused(words, (evidence[0], evidence[1], evidence[2])) > 0
    right = (said == truth).mean(axis=1)
    best = max(range(len(FLOORS)), key=lambda k: (right[k], -FLOORS[k]))
    model = float(np.mean([(x[0] > 0) == t for _, x, t in rows]))
    by_map = float(np.mean([(BY_MAP.together(*x) > 0) == t for _, x, t in rows]))
    return {"model": model, "map": by_map, "together": float(right[best])}, FLOORS[best]


SHARES = (1.0, 0.75, 0.5, 0.25, 0.1, 0.0)  # of the fitted weights that are tried


def agreeing(odds: _chosen.Odds, rows: Sequence[tuple[float, float, bool]], floor: float) -> _chosen.Odds:
    """As much of fitted weights as leaves the verdict in words the score's in so large a share of the rows.

    Args:
        odds: Of words and evidence, as fitted.
        rows: The model's log-odds, the score's, and the truth.
        floor: The share, up to 1, which the score alone reaches.
    """

    def blend(share: float) -> _chosen.Odds:
        return _chosen.Odds(share * odds.words, share * odds.evidence + (1 - share), share * odds.offset)

    def agreement(tried: _chosen.Odds) -> float:
        return float(np.mean([(tried.together(w, e) > 0) == (e > 0) for w, e, _ in rows]))

    return next(tried for tried in map(blend, SHARES) if agreement(tried) >= floor or tried.words == 0)


Named = tuple[str, tuple[str, ...], list[tuple[tuple[str, ...], float, float]]]  # group, truth; set, model, map


def _agreements(rows: Sequence[Named], weight: float, names: float = 1.0) -> list[float]:
    """The Jaccard index of the regions that are named and forged, of each row; `weight` of the map."""
    out = []
    for _, truth, sets in rows:
        best = sets[_chosen.medoid([s for s, *_ in sets], [names * model + weight * prior for _, model, prior in sets])]
        out.append(len(set(truth) & set(best[0])) / len(set(truth) | set(best[0])))
    return out


def weight_of_places(rows: Sequence[Named]) -> float:
    """The weight of the map's say with which the sets named agree best with those forged: of the best the lowest."""
    return max(PLACES, key=lambda weight: float(np.mean(_agreements(rows, weight))) if rows else 0.0)


def named_elsewhere(rows: Sequence[Named], parts: int = 8) -> dict[str, float]:
    """The mean Jaccard index with a weight fitted on other groups, of the model alone and of the map alone.

    Args:
        rows: A part of the groups is answered by what the other parts were fitted to.
        parts: How many.
    """
    part = [zlib.crc32(group.encode()) % parts for group, *_ in rows]
    together: list[float] = []
    for which in range(parts):
        fitted = weight_of_places([row for row, p in zip(rows, part, strict=True) if p != which])
        together += _agreements([row for row, p in zip(rows, part, strict=True) if p == which], fitted)
    each = {"model": _agreements(rows, 0.0), "map": _agreements(rows, 1.0, 0.0), "together": together}
    return {name: float(np.mean(values)) for name, values in each.items() if values}


# ------------------------------------------------------------------------------------------------------ the measuring


def measure(given: argparse.Namespace) -> None:
    """Ask on `val`, measure both ways to answer, write."""
    model, rows = gathered(given, "val")
    choice = _chosen.read(given.model)
    texts: dict[str, list[str]] = {"model": [], "chosen": []}
    log = given.out / "answers.jsonl"
    held = _answered(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", encoding="utf-8") as out:
        for item, seen in track(rows, "asking"):
            prompt = asked_of(model, item, seen)
            line = held.get((item.file, item.question), {})
            own, chosen = line.get("model"), line.get("chosen")
            if "chosen" not in line:  # a line without it has what the same model said by itself, under another choice
                own = model.answer(seen.crop, prompt) if own is None else own
                if choice is not None:
                    weigh = partial(_weighed, model, seen.crop, prompt)
                    chosen = _chosen.reply(item.question, seen.score, seen.covered, weigh, choice)
                line = {"file": item.file, "question": item.question, "model": own, "chosen": chosen}
                out.write(json.dumps(line) + "\n")
                out.flush()
            texts["model"].append(own)
            texts["chosen"].append(own if chosen is None else chosen)
    found = {}
    for name, said in texts.items():
        table = answers.rows_of([_row(item, seen) for item, seen in rows], said)
        for row, (_, seen) in zip(table, rows, strict=True):
            row["mapped"] = mapped(seen.covered)
        facts = {"model_name": given.model.name, "quoted": model.taught.quoted, "score": given.weights.name}
        meta = {"name": name, "dataset": "sbi_qa", "questions": True, "split": "val", **facts}
        found[name] = {**facts, **answers.measure(predictions.write(given.out / name, meta, table))}
        write_whole(given.out / f"{name}.json", (json.dumps(found[name], indent=1) + "\n").encode())
    text = table_of(found)
    write_whole(given.out / "words.md", text.encode())
    print(text)


def _weighed(model: Any, crop: Any, prompt: str, replies: Sequence[str], ended: bool = True) -> list[float]:
    likelihoods: list[float] = model.likelihoods(crop, prompt, replies, (), ended)
    return likelihoods


def _answered(log: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """What a killed `measure` into the same folder had heard: (file, question) → the model's reply, and the chosen."""
    return {(line["file"], line["question"]): line for line in _lines(log)}


def _row(item: sbi_qa.Item, seen: Looked) -> Any:
    return {**{name: getattr(item, name) for name in ("file", "label", "group", "question", "answer")},
            "regions": list(item.regions), "score": seen.score}  # fmt: skip


def mapped(covered: Mapping[str, float]) -> str:
    """The regions that the map covers, as predictions hold findings."""
    return speakers.findings_json(
        Finding((Place(None, name, (0.0, 0.0, 1.0, 1.0)),), "", value)
        for name, value in sorted(covered.items(), key=lambda each: -each[1])
        if value >= COVERED
    )


def table_of(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The rows of both ways to answer and of the controls, as Markdown."""
    columns = {"verdict": "verdict", "agreement": "says what the score says", "regions": "“Is the nose fake?”",
               "named": "regions named, Jaccard"}  # fmt: skip
    lines = [f"| | {' | '.join(columns.values())} |", f"|---|{'---|' * len(columns)}"]
    for name, numbers in [(n, f["model"]) for n, f in found.items()] + [
        (n, found["chosen"][n]) for n in speakers.CONTROLS
    ]:
        lines.append(f"| {name} | {' | '.join(_cell(numbers[column]) for column in columns)} |")
    one = found["chosen"]
    lines += ["", f"{one['questions']} questions about {one['pictures']} pictures of {one['groups']} groups, `val`."]
    return "\n".join(lines) + "\n"


def _cell(value: Mapping[str, Any]) -> str:
    if value["value"] is None:
        return "–"
    interval = "" if value["low"] is None else f" ({value['low']:.3f}–{value['high']:.3f})"
    return f"{value['value']:.3f}{interval}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit or measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["fit", "measure"])
    parser.add_argument("--pack", type=Path, required=True, help="folder of facewitness build pack")
    parser.add_argument("--weights", type=Path, required=True, help="the detector")
    parser.add_argument("--model", type=Path, required=True, help="folder of the language model")
    parser.add_argument("--sources", nargs="*", help="data sets; all with genuine rows by default")
    parser.add_argument("--pictures", type=int, default=120, help="genuine pictures, each with a forgery of it")
    parser.add_argument(
        "--agree", type=float, default=0.98, help="share of pictures on which the verdict in words is the score's"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("words"), help="folder of what was heard, and of `measure`")
    given = parser.parse_args(arguments)
    plugins.get("witnesses", "kfd")  # says what to install where a package lacks
    (fit if given.what == "fit" else measure)(given)


if __name__ == "__main__":
    script(main)
