"""The numbers that were aimed at, what was measured, and what was tried where a floor is missed: floors.md.

    python runs/compact/floors.py

Reads `results.json` (evaluate.py), `runs/shared/deletion.json` (bench deletion) and `times.json`, and measures nothing.
Times are measured anew for other weights, best on a machine that does nothing else:

    python perf/beside_b4.py --ours --sizes 1024 --rounds 25 --json runs/compact/times.json
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from card import decided, unseen_aucs
from evaluate import FLOORS

from facewitness.apps.script import script

HERE = Path(__file__).parent
_LOG = "[LOG](../../LOG.md)"
# what was tried for a number and where that stands; told only of floors that are missed
_TRIED = {
    "unseen": (
        "runs 9 to 17 and the means of their weights ([README](README.md)): features of length one, more around the "
        "face, other generators' pictures (+0.019), autoencoders' pictures, fewer portraits without a pair, a second "
        "network begun anew (0.726 for 0.727, raw), two networks of different kinds after nine minutes of a GPU "
        "(+0.021, ships; inpainting and GPT-Image lose), a vision transformer (0.683), one of the two on for an hour "
        "with hard genuine pictures (-0.000); other networks, inputs, features, views and pictures, "
        "60,000 each ([networks.md](networks.md)); a general encoder's features, KFD's score beside "
        f"it ({_LOG}, 2026-11-27)"
    ),
    "decided": (
        "steepness of the doubt, lower where a face is accused ([limits.md](limits.md)), looser bounds (10 % of known "
        "fakes told to show no sign, for the 5 % that ship: half of unseen faces decided, 31 % of unseen fakes "
        '"no sign"), '
        f"what a picture is like as a further input ({_LOG}, 2026-11-26 to 2026-11-28)"
    ),
    "films": (
        f"swaps that show a face of `val` left out (the fifteenth run), KFD's score beside it ({_LOG}, 2026-11-27); "
        "DFDC was at 0.90 while twice as many of its pictures were learned from; the seventeenth run (c23 0.702 → "
        "0.809, c40 0.667 → 0.692, DFDC as it was)"
    ),
    "synthesis": "as for unseen sources",
    "self-made": "more of them (the eighth run: 40 % of pairs), crops of 256 px (0.811, worse outside: the tenth run)",
    "mask": (
        "loss weights (the seventh run), fits of regions, the map of a network of places (0.205 → 0.316), thresholds "
        "of each face's own ([places.md](places.md)); on the same crops the map of today's weights is as good (0.449 "
        "for 0.436 on `val`), but more edits are cleared by the score and keep the map of the score's own networks"
    ),
    "edits": (
        "all of them on 45 % of pairs in training (17 of 22 within 0.05 before the seventeenth run; text 0.655 → "
        "0.788); text drawn four times as often for an hour (the eighteenth run: nothing gained outside, not shipped)"
    ),
    "ece": (
        "six conditions in one fit, a fit on rows that share no person with training (on `val` 0.089 and 0.111, 0.124 "
        "without), a line for each condition that the picture shows and one that knows the edit (no better); the fit "
        "counts 60 % fakes, the rows of edits are 46 %: moved to even odds, verdicts the same, 15 of 22 edits are "
        "within 0.08 and DFDC alone has 0.119 for 0.075, unseen sources 0.188 for 0.118, not taken "
        f"({_LOG}, 2026-11-27)"
    ),
    "genuine": (
        "hard genuine pictures drawn up to four times as often, thresholds by the worst domain; `val` has five clips "
        "of DeepFaceLive and few people of c23, of whom some stand in swaps of training"
    ),
    "collages": "hard genuine pictures; 11 of 40 before the sixth run",
    "time": (
        "one network in place of two takes 18 ms less "
        "([029](../../docs/decisions/029-two-networks-answer.md)), what else takes how long, and what was saved "
        f"without moving a bit: {_LOG}, 2026-11-27"
    ),
}


@dataclass(frozen=True, slots=True)
class Number:
    """One number with its floor."""

    name: str
    floor: str
    measured: str
    met: bool | None  # None: not measured
    tried: str  # a key of _TRIED


def numbers(
    results: Mapping[str, Any], test: Mapping[str, Any], times: Mapping[str, Any] | None = None
) -> Iterator[Number]:
    """All of them, in the order in which they were set; times that are of other weights are not measured."""
    seen, unseen = results["seen"]["plain"], results["unseen"]["plain"]
    aucs = list(unseen_aucs(results).values())
    mean, missed = sum(aucs) / len(aucs), [m["real"] for m in unseen["fakes"].values()]
    yield Number("unseen sources, mean AUC", "0.75, aim 0.90", f"{mean:.3f}", mean >= 0.75, "unseen")
    yield Number("the worst of them", "0.65, aim 0.85", f"{min(aucs):.3f}", min(aucs) >= 0.65, "unseen")
    yield _genuine("genuine called fake, each unseen source", unseen["genuine"])
    share = sum(missed) / len(missed)
    yield Number("unseen fakes told to show no sign, mean", "20 %, aim 10 %", f"{share:.1%}", share <= 0.2, "unseen")
    share = decided(unseen)[0]
    yield Number("unseen faces decided", "60 %, aim 80 %", f"{share:.1%}", share >= 0.6, "decided")
    for name, (floor, aim) in FLOORS.items():
        auc, tried = seen["auc"][name]["auc"], {"whole synthesis": "synthesis"}.get(name, name)
        yield Number(
            f"AUC {name}", f"{floor:.2f}, aim {aim}", f"{auc:.3f}", auc >= floor, tried if tried in _TRIED else "films"
        )
    yield _genuine("genuine called fake, each known source", seen["genuine"])
    iou, f1 = seen["edit_iou"], seen["edit_region_f1"]
    yield Number("mask IoU, region edits", "0.45, aim 0.70", f"{iou:.3f}", iou >= 0.45, "mask")
    yield Number("region F1, region edits", "0.55, aim 0.80", f"{f1:.3f}", f1 >= 0.55, "mask")
    yield from _edits(results["edits"])
    saved, collages = results["saved"], results["collages"]
    yield Number("saved again: labels turned", "0 %", f"{saved['turned']:.1%}", saved["turned"] == 0, "edits")
    yield Number("outside the interval", "5 %", f"{saved['outside']:.1%}", saved["outside"] <= 0.05, "edits")
    for name, end in (("ECE, known sources with both labels", ""), ("ECE, all known sources", "_all")):
        error, weighted = seen[f"ece{end}"], seen.get(f"ece_at_prior{end}")
        text = f"{error:.3f}" + (
            f"; at the share of fakes that it stands on {weighted:.3f}" if weighted is not None else ""
        )
        yield Number(name, "0.05", text, error <= 0.05, "ece")
    low, high = test["interval"]
    text = f"{test['faithfulness']:.4f} ({low:.4f}–{high:.4f}), {test['better_than_elsewhere']:.0%}"
    yield Number("deletion test, faithfulness", "above 0, aim 90 % of claims beat another place", text, low > 0, "mask")
    share = collages["accused"] / collages["collages"]
    yield Number("collages with an accused genuine face", "10 %", f"{share:.1%}", share <= 0.1, "collages")
    yield from _times(times if times is not None and times["weights"] == results["weights"] else None)


_PX = 1024  # longer side of a photo whose time is told


def _times(times: Mapping[str, Any] | None) -> Iterator[Number]:
    """A photo's, where the face is cleared at once and where it is looked at in further views."""
    of_size = [] if times is None else [photo for photo in times["photos"] if photo["px"] == _PX]
    near = [photo for photo in of_size if photo["views"] > 1]
    accused = [photo for photo in of_size if photo["label"] == "fake" and photo not in near]
    at_once = [photo for photo in of_size if photo not in near and photo not in accused]
    more = "".join(f"; an accused one, with places painted over, {photo['ms']:.0f} ms" for photo in accused)
    where = "" if times is None else f" ({times['processor']}, {times['cores']} cores, load {times['load']})"
    yield _time(f"a photo of {_PX:,} px, processor time", 80, at_once, where + more)
    yield _time("of a face near a threshold, in further views", 160, near, where)


def _time(name: str, floor: int, photos: Sequence[Mapping[str, Any]], more: str) -> Number:
    if not photos:
        return Number(name, f"{floor} ms", "not measured", None, "time")
    took, least = statistics.median(photo["ms"] for photo in photos), min(photo["least"] for photo in photos)
    return Number(name, f"{floor} ms", f"{took:.0f} ms, least {least:.0f}{more}", took <= floor, "time")


def _genuine(name: str, shares: Mapping[str, Mapping[str, Any]]) -> Number:
    over = {source: m["fake"] for source, m in shares.items() if m["fake"] > 0.05}
    text = ", ".join(f"{source} {share:.1%}" for source, share in over.items())
    most = max(m["fake"] for m in shares.values())
    return Number(name, "5 %", text or f"at most {most:.1%}", not over, "genuine")


def _edits(edits: Mapping[str, Mapping[str, Any]]) -> Iterator[Number]:
    """Of edits, sizes and ways of travel: which of them miss a floor."""
    plain = edits["plain"]
    for prefix, what in (("edit:", "routine edits"), ("face:", "sizes of face"), ("travel:", "ways of travel")):
        its = {name.removeprefix(prefix): m for name, m in edits.items() if name.startswith(prefix)}
        falls = {name: m.get("plain", plain)["auc"] - m["auc"] for name, m in its.items()}
        others = [name for name, m in its.items() if m["rows"] < plain["rows"] and "plain" not in m]
        fallen = {name: f"{fall:.3f}" for name, fall in falls.items() if fall > 0.05}
        yield _those(f"{what}: AUC falls", "0.05", fallen, len(its), others)
        accused = {n: f"{m['genuine']['fake']:.1%}" for n, m in its.items() if m["genuine"]["fake"] > 0.05}
        yield _those(f"{what}: genuine called fake", "5 %", accused, len(its))
        most = {name: 1.5 * m.get("plain", plain)["fakes"]["real"] + 1e-9 for name, m in its.items()}
        missed = {n: f"{m['fakes']['real']:.1%}" for n, m in its.items() if m["fakes"]["real"] > most[n]}
        yield _those(f"{what}: fakes told to show no sign", "1.5 times as often", missed, len(its), others)
        wrong = {n: f"{m['ece']:.3f}" for n, m in its.items() if m["ece"] > 0.08}
        told = _those(f"{what}: ECE", "0.08", wrong, len(its), tried="ece")
        weighted = [m["ece_at_prior"] for m in its.values() if m.get("ece_at_prior") is not None]
        if weighted:
            few = sum(error <= 0.08 for error in weighted)
            chance = max(m["ece_chance"] for m in its.values())
            text = f"at the share of fakes that it stands on {few} of {len(its)}; up to {chance:.3f} is chance"
            told = replace(told, measured=f"{told.measured}; {text}")
        yield told


def _those(
    name: str, floor: str, over: Mapping[str, str], count: int, others: Sequence[str] = (), tried: str = "edits"
) -> Number:
    """How many keep a floor, which do not, and which were not compared with the same faces as they are."""
    listed = ", ".join(f"{each} {value}" for each, value in over.items())
    text = f"{count - len(over)} of {count}" + (f"; not {listed}" if over else "")
    text += f"; {', '.join(others)} beside more faces than are large enough" if others else ""
    return Number(name, floor, text, not over, tried)


def page(results: Mapping[str, Any], test: Mapping[str, Any], times: Mapping[str, Any] | None = None) -> str:
    """The table in Markdown."""
    out = [
        "# Floors",
        "",
        f"Written by `floors.py`; weights `{results['weights'][:12]}`. Each is from [results.md](results.md), "
        "[deletion.json](../shared/deletion.json) or [times.json](times.json), with their commands.",
        "",
        "| number | floor | measured | | tried |",
        "|---|---|---|---|---|",
    ]
    words = {True: "met", False: "**missed**", None: ""}
    for n in numbers(results, test, times):
        tried = _TRIED[n.tried] if n.met is False else ""
        out.append(f"| {n.name} | {n.floor} | {n.measured} | {words[n.met]} | {tried} |")
    return "\n".join(out) + "\n"


def main() -> None:
    """Read, write."""
    results = json.loads((HERE / "results.json").read_text())
    test = json.loads((HERE.parent / "shared/deletion.json").read_text())
    file = HERE / "times.json"
    times = json.loads(file.read_text()) if file.exists() else None
    (HERE / "floors.md").write_text(page(results, test, times))


if __name__ == "__main__":
    script(main)
