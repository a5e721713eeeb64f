"""One honest table from predictions alone: no model runs, no row is dropped, and no number stands without its controls.

    table.csv      every number with its interval, the rows it rests on, or the reason why it is not there
    table.md       the same to read: several small tables
    index.html     the same to look at (`page`)

A line is one system over one test set. A test set is a run's dataset; a run over several datasets is also taken apart.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facewitness import words
from facewitness.bench import measures, page, peers, perturb, predictions, protocol, speakers, wording
from facewitness.bench.book import BASELINES, Book, Entry, Grid, Line
from facewitness.bench.measures import DETECTION, Value
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.formats import markdown as md
from facewitness.phrases import cell
from facewitness.types import Reply

READINGS: Mapping[str, bool] = {"verdict": False, "literal": True}  # of `words.verdict`: whether it is strict
ALL_SETS = "all test sets"
UNKNOWN = "unknown"  # a fake whose method the dataset does not tell
_MOST_TEXTS = {"meteor": 50_000}  # a Java program: above, a table would take too long
_MOST_SCORED = {"wording": 200}  # a network reads every text of a control: likewise
_MOST_CONTROLLED = 20_000  # rows of a speaker whose controls are scored
_REASONS = {  # in place of "nothing to judge"
    "mask": "no item has a truth mask", "boxes": "no item has truth boxes",
    "alignment": "no item is fake", "regions": "no item has true regions",
    "side": "no eye or brow is forged and named with its side", "grammar": "no grammar was asked for",
    "grounding": "no item has true regions or a truth mask", "coverage": "no fake has true regions or a truth mask",
    "wording": "people wrote nothing about these pictures", "length": "nobody speaks",
    "region_f1": "no region is forged or claimed", "decided_acc": "no verdict is real or fake",
    "decided": "no verdicts: only scores are known",
    "genuine_called_fake": "no verdicts on genuine rows", "fakes_called_real": "no verdicts on fake rows",
}  # fmt: skip
_ITEM = ["dataset", "video", "group", "label", "method"]
_SCORES = [*_ITEM, "score", "fake"]  # what detection needs
_COLUMNS = [
    *_SCORES, "perturbation", "strength", "status", "verdict", "mask_precision", "mask_recall", "mask_f1", "mask_ap",
    "regions_true", "regions_said",
]  # fmt: skip


def write(
    runs: Sequence[Path], out: Path, *, scores: Mapping[str, Path] | None = None, title: str = "Benchmark"
) -> list[Path]:
    """Make table.md, table.csv and index.html in `out` from finished runs, and return their paths.

    Args:
        runs: Folders that `bench run` made; a folder of several (as --protocol makes) stands for all of them.
        out: The folder to write into.
        scores: Name → CSV of another system on the items of the first run (`peers`).
        title: Of the page.

    Raises:
        InputError: For a run that is unfinished, empty or of another version, and for two of one name.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: expected a folder to write to, got a file. Give another --out.")
    entries, notes = read(runs, scores or {})
    lines = [line for entry in entries for line in measured(entry)]
    lines += _spread(entries, _apart(runs))
    book = Book(lines)
    grids, made = [*_grids(entries, lines, book), *_printed_grids(runs)], made_by(entries)
    files = {
        "table.md": markdown(title, grids, notes, made),
        "table.csv": _csv(lines),
        "index.html": page.render(title, grids, entries, book, reading=READING, notes=notes, made=made),
    }
    return [write_whole(out / name, text.encode("utf-8", "backslashreplace")) for name, text in files.items()]


# ------------------------------------------------------------------------------------------------------- reading


def read(runs: Sequence[Path], scores: Mapping[str, Path]) -> tuple[list[Entry], list[str]]:
    """Runs, then peers, then baselines; and what did not fit, in sentences.

    Args:
        runs: Folders that `bench run` made; a folder of several (as --protocol makes) stands for all of them.
        scores: Name → CSV of another system on the items of the first run (`peers`).

    Returns:
        The entries, and sentences on what did not fit.
    """
    if not runs:
        raise InputError("bench table: expected at least one run. Make one with `facewitness bench run`.")
    entries: list[Entry] = []
    notes: list[str] = []
    peered: list[tuple[Entry, str, pa.Table]] = []  # what peers are joined to: the first run's entries and items
    for i, run in enumerate(runs):
        for folder, name in _folders(Path(run)):
            table, meta = predictions.read(folder, [*_COLUMNS, "file", "frame", "box", "speaker"])
            table = predictions.items(table)
            if twice := predictions.repeated(table):
                notes.append(
                    f"{folder.name}: {twice} of its {table.num_rows} rows repeat an item; each of them counts."
                )
            unperturbed = pc.equal(table.column("perturbation"), "none")
            plain, perturbed = table.filter(unperturbed), table.filter(pc.invert(unperturbed)).select(_COLUMNS)
            if plain.num_rows == 0:
                raise InputError(f"{folder} has no rows: nothing can be measured. See the dataset and run it again.")
            sets = pc.unique(plain.column("dataset")).to_pylist()
            dataset = name or str(sets[0] if len(sets) == 1 else meta.get("dataset"))
            system = str(meta.get("name") or folder.name)
            entry = Entry(system, dataset, plain.select(_COLUMNS), perturbed, folder, meta)
            prefix = f"{name}: " if name else ""
            entries += _taken_apart(entry, prefix)
            if i == 0 and scores:
                peered.append((entry, prefix, plain.select(["file", "frame", "label"])))
    for name, path in scores.items():
        columns, peer_notes = peers.join(peers.read(Path(path), name), [table for _, _, table in peered])
        notes += [f"{name}: {sentence}" for sentence in peer_notes]
        for (entry, prefix, _), column in zip(peered, columns, strict=True):
            entries += _taken_apart(_scored_by(name, entry, column), prefix)
    seen: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        before = seen.setdefault((entry.system, entry.dataset), entry)
        if before is not entry:
            raise InputError(
                f"Two systems are called {entry.system!r} over {entry.dataset!r}: {before.run or 'a CSV'} and "
                f"{entry.run or 'a CSV'}. Give each its own name with `bench run --name` or --scores NAME=FILE."
            )
    first = {entry.dataset: entry for entry in reversed(entries)}
    for entry in [first[name] for name in dict.fromkeys(e.dataset for e in entries)]:
        for name, scores_of in BASELINES.items():
            entries.append(_scored_by(name, entry, pa.array(scores_of(entry.plain), pa.float64())))
    return entries, notes


def _folders(run: Path) -> list[tuple[Path, str | None]]:
    """The runs in a folder, with the test set's name where a protocol gave one."""
    if (run / "meta.json").exists():
        return [(run, None)]
    inside = sorted(path.parent for path in run.glob("*/meta.json"))
    if any(folder.name.startswith("shard-") for folder in inside):
        raise InputError(f"{run} is not finished: some of its shards are missing. Run them with `bench run --shard`.")
    if not inside:
        predictions.read_meta(run)  # says what is missing
    return [(folder, folder.name) for folder in inside]


def _taken_apart(entry: Entry, prefix: str) -> Iterator[Entry]:
    """An entry, and each of its datasets where there are several."""
    datasets = sorted(map(str, pc.unique(entry.plain.column("dataset")).to_pylist()))
    if len(datasets) == 1:
        yield entry
        return
    yield replace(entry, dataset=f"{entry.dataset} (all)", taken_apart=True)
    for dataset in datasets:
        part = entry.plain.filter(pc.equal(entry.plain.column("dataset"), dataset))
        yield replace(entry, dataset=f"{prefix}{dataset}", plain=part, perturbed=None, whole=False)


def _scored_by(system: str, entry: Entry, scores: pa.Array) -> Entry:
    """The same items scored by another system, of which nothing but these scores is known."""
    rows = entry.plain
    unknown = {name: pa.nulls(rows.num_rows, predictions.COLUMNS.field(name).type) for name in ("fake", "status")}
    table = pa.table({name: rows.column(name) for name in _ITEM} | {"score": scores} | unknown)
    return replace(entry, system=system, plain=table, perturbed=None, run=None, meta=None)


# ----------------------------------------------------------------------------------------------------- measuring


def measured(entry: Entry) -> Iterator[Line]:
    """Every number of an entry.

    Args:
        entry: A run, a peer or a baseline of the table.
    """
    line = partial(Line, entry.system, entry.dataset)
    for measure, value in _coverage(entry).items():
        yield line("rows", measure, value)
    for level, values in _levels(entry.plain, threshold=entry.threshold, films=entry.films):
        yield from (line(level, measure, value) for measure, value in values.items())
    if entry.baseline:
        return
    for level, measure, value in _by_row(entry):
        yield line(level, measure, value)
    if not entry.taken_apart:
        for method, table in _methods(entry.plain):
            for level, values in _levels(table, only=("auc", "acc"), films=entry.films):
                yield from (line(level, measure, value, method) for measure, value in values.items())
    if entry.whole:
        for perturbation, strength, table in _strengths(entry.perturbed):
            for level, values in _levels(table, only=("auc", "acc")):
                for measure, value in values.items():
                    yield line(level, measure, value, perturbation=perturbation, strength=strength)
        for speaker, level, measure, value in _spoken(entry):
            yield line(level, measure, value, speaker=speaker)


def _count(value: int | None, why: str = "") -> Value:
    return Value(None, why=why) if value is None else Value(float(value), n=value)


def _coverage(entry: Entry) -> dict[str, Value]:
    rows = entry.plain
    labels, statuses = rows.column("label"), rows.column("status")
    scored = pc.is_valid(pc.coalesce(rows.column("fake"), rows.column("score")))
    counted = {
        "rows": rows.num_rows,
        "real": pc.sum(pc.equal(labels, "real")).as_py(),
        "fake": pc.sum(pc.equal(labels, "fake")).as_py(),
        "scored": pc.sum(scored).as_py(),
    }
    counts = {name: _count(value or 0) for name, value in counted.items()}
    for status in predictions.STATUSES:
        known = statuses.null_count < rows.num_rows
        count = pc.sum(pc.equal(statuses, status)).as_py() or 0
        counts[status] = _count(count if known else None, "a list of scores does not say what became of a picture")
    counts |= _sampled(entry)
    missing = ((entry.meta or {}).get("coverage") or {}).get("missing")
    why = "known of the whole run only" if entry.meta else "a list of scores does not say what the dataset lacks"
    counts["missing"] = _count(missing if entry.whole else None, why)
    return counts


def _sampled(entry: Entry) -> dict[str, Value]:
    """How many videos there are, and of how many frames each is judged: the median over the videos."""
    keys = pc.drop_null(entry.plain.column("video"))
    stills = Value(None, why="still pictures: there are no videos")
    if not len(keys):
        return {"videos": stills, "frames_a_video": stills}
    times = [each["counts"] for each in pc.value_counts(keys).to_pylist()]
    frames = float(np.median(times))
    if entry.films:
        frames = float((entry.meta or {}).get("frames") or 0)
        why = "so many were asked for, and the people in them were followed between"
    else:
        why = "" if min(times) == max(times) else f"the median: from {min(times)} to {max(times)}"
    return {"videos": _count(len(times)), "frames_a_video": Value(frames, n=len(times), why=why)}


def _levels(
    table: pa.Table, threshold: float | None = None, only: Sequence[str] | None = None, films: bool = False
) -> Iterator[tuple[str, dict[str, Value]]]:
    """Detection at frame and at video level; `films` were judged as a whole and have no rows for their frames."""
    names = tuple(only or (*DETECTION, "acc_shipped"))
    for level, data in (("frame", measures.scored(table)), ("video", measures.videos(table))):
        if data is None or (films and level == "frame"):
            why = "still pictures: there are no videos to average over"
            if data is not None:
                why = "films judged as a whole: see the video level"
            yield level, {name: Value(None, why=why) for name in names}
            continue
        values = measures.detection(data.fake, data.p, data.group, threshold=threshold, only=only)
        if "acc_shipped" in names and threshold is None:
            values["acc_shipped"] = Value(None, n=data.p.size, why="no shipped threshold is known")
        yield level, {**values, "unscored": _count(data.unscored)}


def _methods(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Each method's fakes with the pristine rows of the same test set."""
    table = table.select(_SCORES)
    method = pc.fill_null(table.column("method"), UNKNOWN)
    fake = pc.equal(table.column("label"), "fake")
    genuine = pc.invert(fake)
    for name in sorted(pc.unique(method.filter(fake)).to_pylist()):
        yield name, table.filter(pc.or_(genuine, pc.equal(method, name)))


def _strengths(table: pa.Table | None) -> Iterator[tuple[str, int, pa.Table]]:
    """Each perturbation and strength with its rows."""
    if table is None:
        return
    keys = table.select(["perturbation", "strength"]).group_by(["perturbation", "strength"]).aggregate([])
    for name, strength in sorted((k["perturbation"], k["strength"]) for k in keys.to_pylist()):
        same = pc.and_(pc.equal(table.column("perturbation"), name), pc.equal(table.column("strength"), strength))
        yield name, strength, table.select(_SCORES).filter(same)


def _by_row(entry: Entry) -> Iterator[tuple[str, str, Value]]:
    """Verdicts and places; a list of scores has neither."""
    if entry.meta is None:
        for level, names in (("verdict", _VERDICTS), ("place", {**_MASKS, **_REGIONS})):
            yield from ((level, name, Value(None, why="a list of scores says nothing else")) for name in names)
        return
    for level, values in (("verdict", measures.verdicts(entry.plain)), ("place", measures.places(entry.plain))):
        for measure, value in values.items():
            yield level, measure, _with_reason(measure, value)


def _with_reason(measure: str, value: Value) -> Value:
    reason = _REASONS.get(measure) or _REASONS.get(measure.split("_")[0])
    if value.value is None and reason and value.why in ("nothing to judge", "no genuine rows", "no fake rows"):
        return replace(value, why=reason)
    return value


_TOGETHER = ("acc", "auc", "ap")


def _spread(entries: Sequence[Entry], apart: Collection[str] = ()) -> Iterator[Line]:
    """Each system over its test sets: sACC, and ACC, AUC and AP of all rows together but for the sets `apart`."""
    for system in dict.fromkeys(e.system for e in entries if not e.baseline):
        own = [e for e in entries if e.system == system and not e.taken_apart]
        for level in ("frame", "video"):
            sets = [
                (entry.dataset, data)
                for entry in own
                if not (entry.films and level == "frame")
                and (data := measures.scored(entry.plain) if level == "frame" else measures.videos(entry.plain))
                is not None
            ]
            yield Line(system, ALL_SETS, level, "sacc", measures.steadiness([data for _, data in sets]))
            pooled = [data for name, data in sets if name not in apart]
            if len(pooled) > 1:
                whole = measures.together(pooled)
                values = measures.detection(whole.fake, whole.p, whole.group, only=_TOGETHER)
            else:
                values = {name: Value(None, why="fewer than two test sets") for name in _TOGETHER}
            yield from (Line(system, ALL_SETS, level, name, value) for name, value in values.items())


# --------------------------------------------------------------------------------------------------------- texts


def _spoken(entry: Entry) -> Iterator[tuple[str, str, str, Value]]:
    """(who speaks, level, measure, value): what each speaker's words are worth, each beside what controls get."""
    if entry.run is None:
        alone = Value(None, why="a list of scores says nothing else")
        yield from (("explanation", "text", name, alone) for name in _TEXT)
        return
    table, _ = predictions.read(entry.run)
    table = table.filter(pc.equal(table.column("perturbation"), "none"))
    for speaker, rows in speakers.each(table).items():
        # an item without a face has no words; a question without an answer has, and they are nothing
        spoken = rows.filter(pc.or_(pc.is_valid(rows.column("text")), pc.is_valid(rows.column("question"))))
        for name, value in measures.scores(rows).items():
            yield speaker, "score", name, _with_reason(name, value)
        for name, value in _verdicts_in(spoken).items():
            yield speaker, "text", name, value
        yield speaker, "text", "video_auc", _words_over_videos(rows)
        if not spoken.num_rows:
            why = Value(None, why="the system said nothing")
            yield from ((speaker, "text", name, why) for name in _WORDING)
            continue
        threshold = 0.5 if entry.threshold is None else entry.threshold
        replies = {name: control(spoken, threshold) for name, control in speakers.CONTROLS.items()}
        yield from _controlled(speaker, spoken, replies)
        yield from _words(speaker, spoken, replies)


_SAYS = {"fake": 1.0, "inconclusive": 0.5, "real": 0.0}


def _words_over_videos(rows: pa.Table) -> Value:
    """The AUC of the verdicts in words at video level, as KFD has it: the mean over a video's frames of yes and no.

    A frame of which the words leave it open counts as one half; one of which nothing is said does not count.
    """
    says = pa.array([None if s is None else _SAYS[s] for s in rows.column("says").to_pylist()], pa.float64())
    table = rows.select(_ITEM).append_column("score", says).append_column("fake", pa.nulls(rows.num_rows, pa.float64()))
    data = measures.videos(table)
    if data is None:
        return Value(None, why="still pictures: there are no videos to average over")
    if not data.p.size:
        return Value(None, why="the words say neither real nor fake")
    return measures.detection(data.fake, data.p, data.group, only=("auc",))["auc"]


def _controlled(
    speaker: str, rows: pa.Table, spoken: Mapping[str, list[Reply | None]]
) -> Iterator[tuple[str, str, str, Value]]:
    """Each score of each control of a speaker."""
    scores = [n for n in predictions.score_columns(rows) if n != "mask"]  # whose pixels are not kept
    if rows.num_rows > _MOST_CONTROLLED:
        why = Value(None, why=f"controls are not scored above {_MOST_CONTROLLED} rows")
        yield from ((f"{speaker}: {name}", "score", score, why) for name in spoken for score in scores)
        return
    can = set(speakers.available()[0])
    truths, group = speakers.truths(rows), measures.groups(rows)
    names = [n for n in scores if n in can and rows.num_rows <= _MOST_SCORED.get(n, _MOST_CONTROLLED)]
    for control, replies in spoken.items():
        if all(reply is None for reply in replies):
            why = Value(
                None, why=_UNCONTROLLED.get(control, "no control: no other group has an answer to the question")
            )
            yield from ((f"{speaker}: {control}", "score", name, why) for name in scores)
            continue
        values = speakers.all_scored(replies, truths, names)
        parts = {name: (np.array(each), np.ones(len(each))) for name, each in values.items()}
        measured_values = measures.footnoted(measures.ratios(parts, group), parts, rows.column("label").to_pylist())
        for name in scores:
            value = measured_values.get(
                name, Value(None, why=f"too slow for a table above {_MOST_SCORED.get(name)} texts")
            )
            yield f"{speaker}: {control}", "score", name, _with_reason(name, value)


_UNCONTROLLED = {
    "score alone": "no control: the system gave no score",
    "map alone": "no control: the system gave no mask, or no mesh to name its regions by",
}


def _words(
    speaker: str, rows: pa.Table, spoken: Mapping[str, list[Reply | None]]
) -> Iterator[tuple[str, str, str, Value]]:
    """How near the words come to people's, and the verdicts read in the controls' words."""
    referenced = pc.fill_null(pc.greater(pc.list_value_length(rows.column("references")), 0), False)
    at = [int(i) for i in np.flatnonzero(referenced.to_numpy(zero_copy_only=False))]
    texts: dict[str, list[str | None]] = {"": pc.fill_null(rows.column("text"), "").to_pylist()}
    texts |= {name: [None if r is None else r.text for r in replies] for name, replies in spoken.items()}
    label = rows.column("label").to_pylist()
    group = np.unique([str(g) for g in rows.column("group").to_pylist()], return_inverse=True)[1]
    chosen = [name for name in _CHOSEN if any(text is not None for text in texts[name])]
    shared = [i for i in at if all(texts[name][i] is not None for name in chosen)] or at
    if at:
        yield speaker, "text", "left_out", _count(len(at) - len(shared))  # rows that a control has no answer for
    else:
        why = Value(None, why="people wrote nothing about these pictures")
        yield from ((speaker, "text", name, why) for name in _WORDING)
    references = rows.column("references").to_pylist()
    for name, own in texts.items():
        who = f"{speaker}: {name}" if name else speaker
        if name:
            known = [i for i in (shared if at else range(len(own))) if own[i] is not None]
            read = _verdicts_of([own[i] for i in known], [label[i] for i in known], group[known])
            yield from ((who, "text", measure, value) for measure, value in read.items())
        if not at:
            continue
        kept = [i for i in shared if own[i] is not None]
        if not kept:
            why = Value(None, why=_UNCONTROLLED.get(name, "no control: no other group has an answer to the question"))
            yield from ((who, "text", measure, why) for measure in _WORDING)
            continue
        meteor = not name or name in _CHOSEN  # a program that takes its time, and a verdict alone has few words
        values = _worded([own[i] for i in kept], [references[i] for i in kept], group[kept], meteor)
        yield from ((who, "text", measure, value) for measure, value in values.items())


_CHOSEN = ("shuffled", "image-blind", "image-blind, told the label")  # controls that have no reply to some rows
_WORDING = ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "meteor", "cider")
_TEXT = (*_WORDING, *(f"{reading}_{name}" for reading in READINGS for name in ("told", "acc", "f1")))


def _worded(texts: list[str | None], references: list[list[str]], group: Any, meteor: bool) -> dict[str, Value]:
    few = {name: len(texts) <= limit for name, limit in _MOST_TEXTS.items()}
    measured = wording.measure(texts, references, meteor=few["meteor"] and meteor)
    means = {name: (measured.per_item[name], np.ones(len(texts))) for name in ("rouge_l", "cider")}
    intervals = measures.ratios(means, group)
    values = {}
    for name in _WORDING:
        value = getattr(measured, name)
        if value is None:
            why = measured.notes.get(name, "not measured")
            if not few.get(name, True):
                why = f"too slow for a table above {_MOST_TEXTS[name]} texts"
            values[name] = Value(None, n=measured.scored, why=why)
        else:
            around = intervals.get(name, Value(None))
            values[name] = Value(value, around.low, around.high, measured.scored)
    values[f"tokenizer_{measured.tokenizer}"] = Value(1.0, n=measured.scored)
    return values


def _verdicts_in(table: pa.Table) -> dict[str, Value]:
    """The verdicts in the system's own words, on all its texts."""
    group = np.unique(table.column("group").to_numpy(zero_copy_only=False).astype(str), return_inverse=True)[1]
    return _verdicts_of(table.column("text").to_pylist(), table.column("label").to_pylist(), group)


def _verdicts_of(texts: Sequence[str | None], label: list[str], group: Any) -> dict[str, Value]:
    """What each of READINGS makes of the texts: the share that says real or fake, accuracy and F1 of "fake" of those.

    Each distinct text is read once.
    """
    values: dict[str, Value] = {}
    for reading, strict in READINGS.items():
        known = {text: _verdict(text, strict) for text in set(texts)}
        verdicts = np.array([known[text] or "" for text in texts], dtype="U12")
        values |= {f"{reading}_{name}": value for name, value in _verdict_values(verdicts, label, group).items()}
    return values


_verdict = cache(words.verdict)  # the same texts stand in rows, in shuffled rows and in constant answers


def _verdict_values(verdicts: Any, label: list[str], group: Any) -> dict[str, Value]:
    labels = np.array(label, dtype="U4")
    if not len(labels):
        return dict.fromkeys(("told", "acc", "f1"), Value(None, why="the system said nothing"))
    decided = np.isin(verdicts, ("real", "fake"))
    fakes = decided * ((verdicts == "fake") + (labels == "fake").astype(int))
    parts = {
        "told": (decided, np.ones(len(labels))),
        "acc": (decided & (verdicts == labels), decided),
        "f1": (2 * (decided & (verdicts == "fake") & (labels == "fake")), fakes),
    }
    why = {"acc": "no text says real or fake", "f1": "no text says fake, and none should"}
    return measures.ratios(parts, group, why=why)


# --------------------------------------------------------------------------------------------------- small tables


_DETECTION = {
    "auc": "AUC", "ap": "AP", "eer": "EER", "acc": "ACC at 0.5", "acc_shipped": "ACC as shipped", "f1": "F1",
    "tpr_at_1": "TPR at 1 % FPR", "tpr_at_5": "TPR at 5 % FPR", "ece": "ECE", "brier": "Brier",
}  # fmt: skip
_COVERAGE = {
    "rows": "rows", "real": "real", "fake": "fake", "scored": "scored", "ok": "analysed", "no_face": "no face",
    "failed": "failed", "missing": "missing files", "videos": "videos", "frames_a_video": "frames a video",
}  # fmt: skip
_VERDICTS = {
    "coverage": "with a verdict", "decided": "decided", "decided_acc": "right, if decided",
    "genuine_called_fake": "genuine called fake", "fakes_called_real": "fakes called real",
}  # fmt: skip
_MASKS = {"mask_precision": "precision", "mask_recall": "recall", "mask_f1": "F1", "mask_ap": "PR-AUC"}
_REGIONS = {"region_f1": "micro F1", "claims_right": "claims right", "forged_claimed": "forged regions claimed"}
_WORDS = {
    "bleu1": "BLEU-1", "bleu2": "BLEU-2", "bleu3": "BLEU-3", "bleu4": "BLEU-4", "rouge_l": "ROUGE-L",
    "meteor": "METEOR", "cider": "CIDEr", "verdict_told": "tells a verdict",
    "verdict_acc": "its ACC", "verdict_f1": "its F1", "literal_told": "tells one literally",
    "literal_acc": "its ACC", "literal_f1": "its F1", "video_auc": "AUC of what it says, videos",
}  # fmt: skip
Row = tuple[tuple[str, ...], list[Value]]  # what it is about, and its numbers


def _grids(entries: Sequence[Entry], lines: Sequence[Line], book: Book) -> list[Grid]:
    systems = [e for e in entries if not e.baseline]
    whole = [e for e in systems if e.whole]
    order = {dataset: i for i, dataset in enumerate(dict.fromkeys(e.dataset for e in entries))}
    by_set = sorted(entries, key=lambda e: order[e.dataset])
    pair = ("system", "test set")

    def plain(title: str, about: str, level: str, columns: Mapping[str, str], of: Sequence[Entry], digits: int) -> Grid:
        rows = [((e.system, e.dataset), [book.value(e, level, measure) for measure in columns]) for e in of]
        aside = {(e.system, e.dataset) for e in of if e.baseline or not e.whole}  # need no line of dashes
        rows = [row for row in rows if row[0] not in aside or any(v.value is not None for v in row[1])]
        return _grid(title, about, pair, columns.values(), rows, digits)

    def perturbed(level: str) -> Grid:
        rows = [
            (
                (e.system, e.dataset, name),
                [book.value(e, level, "auc")]
                + [book.value(e, level, "auc", "", name, strength) for strength in perturb.STRENGTHS],
            )
            for e in whole
            for name in book.perturbations.get((e.system, e.dataset), {})
        ]
        known = [row for row in rows if any(value.value is not None for value in row[1])]
        rows = known or rows  # a set of genuine faces alone has none, and says so above
        title, about = f"AUC under perturbation, {level} level", "At five strengths, from a little to a lot."
        heads = ("none", *map(str, perturb.STRENGTHS))
        return _grid(title, about, (*pair, "perturbation"), heads, rows, 3, "the runs hold no perturbed pictures")

    methods = [
        (
            (e.system, e.dataset, method),
            [book.value(e, level, measure, method) for level in ("frame", "video") for measure in ("auc", "acc")],
        )
        for e in systems
        for method in book.methods.get((e.system, e.dataset), {})
    ]
    regions = [
        ((e.system, e.dataset, name.split("/")[1]), [book.value(e, "place", name)])
        for e in systems
        for name in book.measures(e, "place")
        if name.startswith("region_f1/")
    ]
    about = {
        "coverage": "Every item is a row. AUC and its like are over the scored rows only.",
        "frame": "One row an item. The baselines have seen no picture.",
        "video": "The plain mean of the probabilities of a video's frames, as many of each as Coverage says and spread "
        "evenly over it; one row a video. The baselines have seen no picture.",
        "method": "The fakes of one method against the pristine rows of the same test set.",
        "verdict": "What became of them: a system may decline to decide.",
        "place": "The witness's mask, pixel by pixel, over the items whose truth has one. Claims are under Scores.",
        "regions": "Sums over all items whose forged regions are known.",
    }
    heads = ("AUC, frames", "ACC, frames", "AUC, videos", "ACC, videos")
    return [
        plain("Coverage", about["coverage"], "rows", _COVERAGE, systems, 0),
        plain("Detection, frame level", about["frame"], "frame", _DETECTION, by_set, 3),
        plain("Detection, video level", about["video"], "video", _DETECTION, by_set, 3),
        _all_sets(lines),
        _grid("By method", about["method"], (*pair, "method"), heads, methods, 3, "there are no fakes"),
        perturbed("frame"),
        perturbed("video"),
        plain("Verdicts", about["verdict"], "verdict", _VERDICTS, systems, 3),
        plain("Localisation", about["place"], "place", _MASKS, systems, 3),
        plain("Regions and grounding", about["regions"], "place", _REGIONS, systems, 3),
        _grid("F1 by region", "", (*pair, "region"), ("F1",), regions, 3, "no item has true regions"),
        _score_grid(book, whole),
        _text_grid(book, whole),
    ]


def _grid(
    title: str, about: str, names: tuple[str, ...], heads: Iterable[str],
    rows: Sequence[Row], digits: int, empty: str = "nothing to measure",
) -> Grid:  # fmt: skip
    head = (*names, *heads)
    if all(value.value is None for _, values in rows for value in values):
        reasons = dict.fromkeys(value.why for _, values in rows for value in values if value.why)
        return Grid(title, about, head, (), "; ".join(reasons) or empty)
    return Grid(title, about, head, tuple((*name, *((value, digits) for value in values)) for name, values in rows))


def _all_sets(lines: Sequence[Line]) -> Grid:
    by_system: dict[str, dict[tuple[str, str], Value]] = {}
    for line in lines:
        if line.dataset == ALL_SETS:
            by_system.setdefault(line.system, {})[line.level, line.measure] = line.value
    shown = [(level, name) for level in ("frame", "video") for name in (*_TOGETHER, "sacc")]
    heads = [f"{_HEADS[name]}, {level}s" for level, name in shown]
    rows = [((system,), [values[what] for what in shown]) for system, values in by_system.items()]
    about = (
        "ACC at 0.5, AUC and AP of the rows of all test sets together (FFAA's ALL; without sets that a protocol holds "
        "apart), and the standard deviation of ACC over every test set (sACC): lower is steadier."
    )
    return _grid("All test sets together", about, ("system",), heads, rows, 3)


_HEADS = {"auc": "AUC", "ap": "AP", "acc": "ACC", "sacc": "sACC"}


_TITLES = {"regions": "regions (PLM)", "mask": "mask IoU", "boxes": "boxes (Eq. 5)", "alignment": "alignment (Eq. 6)"}


def _score_grid(book: Book, entries: Sequence[Entry]) -> Grid:
    """Every leaf of scores/ of every speaker: what is measured here is what is rewarded in training."""
    rows, names = [], dict[str, None]()
    for entry in entries:
        for speaker in book.speakers(entry, "score"):
            names |= dict.fromkeys(book.measures(entry, "score", speaker))
    for entry in entries:
        for speaker in book.speakers(entry, "score"):
            values = [book.value(entry, "score", name, speaker=speaker) for name in names]
            rows.append(((entry.system, entry.dataset, speaker), values))
    about = (
        "The mean of each score of `scores/`, which are the rewards in training too; each stands beside what speakers "
        "get that have not looked. Always fake and always real: one verdict for all. Score alone and map alone: what "
        "the words add to the number and to the mask."
    )
    heads = [_TITLES.get(name, name) for name in names]
    return _grid("Scores", about, ("system", "test set", "who speaks"), heads, rows, 3, "nobody speaks")


def _text_grid(book: Book, entries: Sequence[Entry]) -> Grid:
    rows, tokenizers = [], dict[str, None]()
    for entry in entries:
        for speaker in book.speakers(entry, "text"):
            there = book.measures(entry, "text", speaker)
            tokenizers |= dict.fromkeys(m.removeprefix("tokenizer_") for m in there if m.startswith("tokenizer_"))
            values = [book.value(entry, "text", m, speaker=speaker) for m in _WORDS]
            rows.append(((entry.system, entry.dataset, speaker), values))
    about = (
        "A system whose words score like its controls' has shown nothing. Shuffled: its own answers, swapped between "
        "pictures. Image-blind: one constant answer a question. Verdicts are read from the words as English has them; "
        'literally, by the words "fake" and "real" alone, as MARE reads them.'
    )
    if tokenizers:
        about += f" Tokenizer: {', '.join(tokenizers)}; numbers by different ones must not be compared."
    return _grid("Text", about, ("system", "test set", "who speaks"), _WORDS.values(), rows, 3, "no texts")


def _apart(runs: Sequence[Path]) -> frozenset[str]:
    """The test sets that protocols hold apart from all others together."""
    stored = [protocol.printed(Path(run)) for run in runs]
    return frozenset(name for each in stored if each is not None for name in each["apart"])


def _printed_grids(runs: Sequence[Path]) -> Iterator[Grid]:
    """What papers print for the test sets of protocols, one grid a protocol."""
    for run in runs:
        stored = protocol.printed(Path(run))
        if stored is None:
            continue
        rows = [
            ((system, name), [Value(values[m] / 100 if m in values else None) for m in protocol.PRINTED])
            for name, systems in stored["tests"].items()
            for system, values in systems.items()
        ]
        about = (
            f"{stored['paper']}, {stored['level']} level: numbers of others on test sets as those authors have them, "
            "not measured here. Crops, frames and training differ, so they are for orientation."
        )
        heads = [_HEADS[m] for m in protocol.PRINTED]
        yield _grid(f"Printed in papers ({stored['protocol']})", about, ("system", "test set"), heads, rows, 4)


# ------------------------------------------------------------------------------------------------------- printing


def markdown(title: str, grids: Sequence[Grid], notes: Sequence[str], made: Sequence[str]) -> str:
    """The grids as Markdown; what is not measured is an em dash with a footnote that says why.

    Args:
        title: Of the page.
        grids: The tables.
        notes: Sentences on what is missing.
        made: What made each run, a line each.
    """
    reasons: dict[str, int] = {}

    def shown(what: str | tuple[Value, int]) -> str:
        if isinstance(what, str):
            return escaped(what)
        mark = f"[^{reasons.setdefault(what[0].why, len(reasons) + 1)}]" if what[0].why else ""
        return f"{printed(*what)}{mark}"

    parts = [f"# {escaped(title)}", READING]
    for grid in grids:
        if grid.nothing:
            continue
        parts.append(f"## {grid.title}")
        if grid.about:
            parts.append(grid.about)
        rows = [" | ".join(grid.head), " | ".join("---" for _ in grid.head)]
        rows += [" | ".join(map(shown, row)) for row in grid.rows]
        parts.append("\n".join(f"| {row} |" for row in rows))
    if nothing := [f"{grid.title} ({grid.nothing})" for grid in grids if grid.nothing]:
        parts.append(f"Not measured: {escaped('; '.join(nothing))}.")
    if notes:
        parts += ["## Notes", "\n".join(f"- {escaped(note)}" for note in notes)]
    parts += ["## Made by", "\n".join(f"- {escaped(line)}" for line in made)]
    if reasons:
        parts.append("\n".join(f"[^{number}]: {escaped(why)}." for why, number in reasons.items()))
    return "\n\n".join(parts) + "\n"


READING = (
    "1 means fake; brackets and small print hold 95 % intervals from a bootstrap that draws whole groups (videos or "
    "identities). A dash is not a zero: its footnote says why there is no number."
)


def printed(value: Value, digits: int) -> str:
    """A Value with its interval: 0.913 [0.902, 0.924].

    Args:
        value: The number.
        digits: Behind the point.
    """
    if value.value is None:
        return "—"
    if digits == 0:
        return f"{value.value:.0f}"
    bounds = "" if value.low is None or value.high is None else f" [{value.low:.{digits}f}, {value.high:.{digits}f}]"
    return f"{value.value:.{digits}f}{bounds}"


def escaped(text: str) -> str:
    """Words that Markdown, and HTML inside it, take as they are; on one line, as a table needs it.

    Args:
        text: Any words.
    """
    return md.escaped(" ".join(text.split()))


def made_by(entries: Sequence[Entry]) -> list[str]:
    """What made each run, in a line: its command as far as the run knows it, versions and weights.

    Args:
        entries: What was measured.
    """
    lines = {}
    for entry in entries:
        meta = entry.meta
        if entry.run is None or meta is None or entry.run in lines:
            continue
        command = ["facewitness bench run", str(meta.get("dataset")), f"--root …/{meta.get('root_name') or ''}"]
        command += [
            f"--{key} {meta[key]}" for key in ("split", "frames", "limit", "reencode") if meta.get(key) is not None
        ]
        command += [f"--{key}" for key in ("films", "questions") if meta.get(key)]
        command += [f"--keep {key}={','.join(map(str, values))}" for key, values in (meta.get("keep") or {}).items()]
        perturbations = [(str(name), int(s)) for name, s in meta.get("perturbations") or [] if name != "none"]
        every = set(perturbations) == set(perturb.parse(["all"])) - {("none", 0)}
        command += ["--perturb all"] if every else [f"--perturb {name}:{s}" for name, s in perturbations]
        witnesses = [w for w in meta.get("witnesses") or [] if isinstance(w, Mapping)]
        command += [f"--witness {w['name']}" for w in witnesses if w.get("name")]
        weights = [f"{file} {sha}" for w in witnesses for file, sha in (w.get("weights") or {}).items()]
        made = f"facewitness {meta.get('version')}, {meta.get('platform')}, seed {meta.get('seed')}"
        libraries = ", ".join(f"{name} {version}" for name, version in (meta.get("libraries") or {}).items())
        facts = [made, libraries, *(f"weights {w}" for w in weights)]
        lines[entry.run] = f"{entry.system}: {' '.join(command)} ({'; '.join(f for f in facts if f)})"
    return list(lines.values())


def _csv(lines: Iterable[Line]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        (
            "system",
            "dataset",
            "level",
            "method",
            "perturbation",
            "strength",
            "speaker",
            "measure",
            "value",
            "low",
            "high",
            "n",
            "why",
        )
    )
    for x in lines:
        v = x.value
        writer.writerow(
            (
                cell(x.system),
                cell(x.dataset),
                x.level,
                cell(x.method),
                x.perturbation,
                x.strength,
                cell(x.speaker),
                cell(x.measure),
                v.value,
                v.low,
                v.high,
                v.n,
                cell(v.why),
            )
        )
    return out.getvalue()
