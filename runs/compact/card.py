"""Writes what was measured beside the weights: the card in `compact.json`, the model card, and the witness's docstring.

    python runs/compact/card.py [--before OLD/results.json]

Reads `results.json` (evaluate.py), `groups.json` (groups.py) and `runs/shared/deletion.json` (bench deletion). The
first two must be of the weights that ship, so that no number of other weights stays. With `--before` it prints a table
for the log: the same conditions with the earlier weights and with these.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from evaluate import FLOORS
from groups import lines

from facewitness.apps.script import script

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
WEIGHTS = ROOT / "src/facewitness/weights"
WITNESS = ROOT / "src/facewitness/witnesses/compact.py"
START, END = "<!-- measured: written by runs/compact/card.py -->", "<!-- /measured -->"
_SYNTHESIS = "generators it has seen made as a whole (StyleGAN2, Stable Diffusion 2.1, Generated Photos"


def sentences(
    results: Mapping[str, Any], found: Sequence[Mapping[str, Any]], test: Mapping[str, Any]
) -> dict[str, str]:
    """The card: what the witness knows, does not know, misses by kind, the deletion test, and errors by group."""
    seen = results["seen"]["plain"]
    auc = {**_values(seen["by_method"]), **_values(seen["auc"])}
    unseen = unseen_aucs(results)
    low, _ = test["interval"]
    passed = low is not None and low > 0
    return {
        "knows": (
            f"compact knows faces that {_SYNTHESIS}: AUC {auc['whole synthesis']:.2f} on held-out faces) and face "
            f"swaps "
            f"like DFDC's ({auc['dfdc']:.2f}), also after routine edits."
        ),
        "does_not_know": (
            f"compact hardly knows real-time swaps (AUC {auc['deepfacelive']:.2f}), strongly compressed video "
            f"(FaceForensics++ c40: {auc['ffpp_c40']:.2f}, NeuralTextures: {auc['NeuralTextures']:.2f}), small edits "
            f"({auc['region_edit']:.2f}) and generators that it was not trained on ({min(unseen.values()):.2f} to "
            f"{max(unseen.values()):.2f} on {_number(len(unseen))} such sources). It was not made for paintings, "
            f"cartoons "
            "and heavily retouched advertising."
        ),
        "no_sign": no_sign(results),
        "groups": by_group(found),
        "deletion": (
            "The places that compact claims pass the deletion test: covering one moves its score more than covering "
            "another place of that size."
            if passed
            else "The places that compact claims do not pass the deletion test: covering one moves its score no more "
            "than "
            "covering another place of that size."
        ),
    }


_KINDS = {
    "faces made as a whole by generators it has seen":
        ("stylegan2_photos", "sg1_140k", "sg2_omi", "genphotos", "pollinations", "sd21_sdfd"),
    "portraits edited by StyleGAN2": ("sg2_edit", "cfd_edit"),
    "swaps like DFDC's": ("dfdc",),
    "frames of FaceForensics++ (c23, c40)": ("ffpp_c23", "ffpp_c40"),
    "real-time swaps (DeepFaceLive)": ("deepfacelive",),
}  # fmt: skip
_UNSEEN = {
    "faces by GPT-Image and its like": ("gpt_image",), "inpainted faces": ("inpaint_study",),
    "faces by another GAN": ("ismaolen",),
}  # fmt: skip


def no_sign(results: Mapping[str, Any]) -> str:
    """How often forgeries of each kind get "no sign of forgery found", in a sentence."""
    seen, unseen = results["seen"]["plain"], results["unseen"]["plain"]
    known = [_missed(kind, [seen["fakes"][s] for s in sources]) for kind, sources in _KINDS.items()]
    known.append(_missed("blends, swaps and edits made for this", [seen["self_made"]]))
    strange = [_missed(kind, [unseen["fakes"][s] for s in sources]) for kind, sources in _UNSEEN.items()]
    return (
        f"In some forgeries compact finds no sign: in {_listed(known)}; and of kinds that it was not trained on in "
        f"{_listed(strange)}."
    )


def _missed(kind: str, shares: Sequence[Mapping[str, Any]]) -> str:
    rows = sum(m["rows"] for m in shares)
    return f"{_percent(sum(m['real'] * m['rows'] for m in shares) / rows)} of {rows} {kind}"


def by_group(found: Sequence[Mapping[str, Any]]) -> str:
    """Errors by group in two sentences: the span of each division, the worst group of all, what is not known."""
    spans = []
    counted = [e for e in found if e["genuine"] >= 10]
    for by, words in (
        ("age", "age"), ("sex", "sex"), ("skin", "skin (UTKFace's labels)"), ("size of face", "size of face"),
        ("compression", "compression"), ("domain", "source"),
    ):  # fmt: skip
        shares = [e["genuine_called_fake"]["share"] for e in counted if e["by"] == by]
        if shares:
            low, high = (_percent(f(shares)) for f in (min, max))
            spans.append(f"{words} {high}" if low == high else f"{words} {low.removesuffix(' %')} to {high}")
    text = f"Genuine faces called fake by compact, from the best group to the worst: by {', by '.join(spans)}"
    worst = max(counted, key=lambda e: e["genuine_called_fake"]["share"], default=None)
    if worst is not None and worst["genuine_called_fake"]["share"] > 0:
        share, (low, high) = (worst["genuine_called_fake"][key] for key in ("share", "interval"))
        name = _DOMAINS.get(worst["group"], f"{worst['by']} {worst['group']}")
        text += f"; worst of all {name}, {_percent(share)} ({_percent(low)} to {_percent(high)})"
    cameras = [e["group"] for e in found if e["by"] == "camera" and e["group"] != "none named"]
    return f"{text}." + ("" if cameras else " By camera they were not measured, for none of these pictures names one.")


_DOMAINS = {
    "deepfacelive": "frames of DeepFaceLive", "ffpp_c23": "FaceForensics++ c23", "ffpp_c40": "FaceForensics++ c40",
    "dfdc": "DFDC", "aaf": "All-Age-Faces", "ffhq_140k": "FFHQ", "mask_web": "web photographs with masks",
}  # fmt: skip


def unseen_aucs(results: Mapping[str, Any]) -> dict[str, float]:
    """AUC of each source that no run saw."""
    plain = results["unseen"]["plain"]
    return {n: m["auc"] for n, m in plain["auc"].items() if m["auc"] is not None and n in plain["fakes"]}


def decided(part: Mapping[str, Any]) -> tuple[float, float]:
    """The share of faces with a verdict, and of these the share that is right."""
    told = right = total = 0.0
    for kind, label in (("genuine", "real"), ("fakes", "fake")):
        for m in part[kind].values():
            told += (m["fake"] + m["real"]) * m["rows"]
            right += m[label] * m["rows"]
            total += m["rows"]
    return told / total, right / max(told, 1e-9)


def measured(
    results: Mapping[str, Any], found: Sequence[Mapping[str, Any]], test: Mapping[str, Any], facts: Any
) -> str:
    """The section "How well it does" and the limits that are numbers."""
    seen, unseen = results["seen"]["plain"], results["unseen"]["plain"]
    out = [
        *_filled(
            f"The whole path from bytes to verdict, real and fake encoded alike, at most {results['limit']} faces of "
            "each known source and label and all of unseen ones; intervals by bootstrap over groups. "
            "`runs/compact/evaluate.py` and `groups.py` print the tables (as they came: "
            "[results.md](../../../runs/compact/results.md), [groups.md](../../../runs/compact/groups.md)). Of DFDC "
            "only pictures count that share no take, room or person with a training picture as far as "
            "`runs/compact/people.py` can see. The unseen sources were in no training and no fit. They have "
            "been looked at once for each run's candidates; the pair that ships was chosen by the pool's `val` before, "
            "and one of its two networks goes on from weights that were preferred by them. One training differs from "
            "the next by about 0.015 in their mean (`runs/compact/`)."
        ),
        "", "| AUC, plain pictures | faces | AUC | 95 % interval | floor, aim |", "|---|---|---|---|---|",
    ]  # fmt: skip
    own = ("self_blend", "region_edit", "swap", "lip_sync", "inpaint", "resynthesise")
    named = [(n, m, FLOORS.get(n)) for n, m in seen["auc"].items()]
    named += [(f"{n} (unseen)", m, (0.65, 0.85)) for n, m in unseen["auc"].items() if n in unseen["fakes"]]
    named += [(f"{n}, self-made", m, None) for n, m in seen["by_method"].items() if n in own]
    for name, m, floor in named:
        span = f"{m['interval'][0]:.3f}–{m['interval'][1]:.3f}" if m.get("interval") else ""
        value = "" if m["auc"] is None else f"{m['auc']:.3f}"
        out.append(f"| {name} | {m['rows']} | {value} | {span} | {', '.join(map(str, floor)) if floor else ''} |")
    each = unseen_aucs(results)
    out += [
        "",
        f"Mean AUC of the unseen sources {np.mean(list(each.values())):.3f} (floor 0.75, aim 0.90), the worst "
        f"{min(each.values()):.3f}.",
        "", "**Verdicts.** Shares of faces called fake / \"no sign of forgery found\"; the others are inconclusive.",
        "", "| | genuine called fake / no sign | fakes called fake / no sign |", "|---|---|---|",
    ]  # fmt: skip
    for part in (seen, unseen):
        for source in sorted({*part["genuine"], *part["fakes"]}):
            cells = [part[kind].get(source) for kind in ("genuine", "fakes")]
            shown = ["" if m is None else f"{_percent(m['fake'])} / {_percent(m['real'])}" for m in cells]
            out.append(f"| {source} | {' | '.join(shown)} |")
    known, strange = decided(seen), decided(unseen)
    out += [
        "",
        *_filled(
            f"Of the known sources {_percent(known[0])} of faces get a verdict, {_percent(known[1])} of these the "
            f"right one; "
            f"of the unseen ones {_percent(strange[0])} (floor 60 %), {_percent(strange[1])} right. Expected "
            f"calibration "
            f"error {seen['ece']:.3f} on known sources, {unseen['ece']:.3f} on unseen ones (goal 0.05)."
        ),
        "", "**By group.** Shares of faces with 95 % intervals; the labels are the sources' own, and nobody checked "
        "them.",
        "", *lines(found),
    ]  # fmt: skip
    if "edits" in results:
        out += [
            "",
            *_filled(
                "**Edits that forge nothing, sizes, travel** (a few faces of each source, AUC as the mean over "
                "sources; `edit:` is strength 3 of `bench run --perturb`, `face:` the face's side in pixels, `travel:` "
                "the longest side, saved as JPEG 60 and 40):"
            ),
            "",
            "| condition | AUC | genuine called fake / no sign | fakes called fake / no sign | ECE |",
            "|---|---|---|---|---|",
        ]  # fmt: skip
        for name, m in results["edits"].items():
            out.append(
                f"| {name} | {_three(m['auc'])} | {_percent(m['genuine']['fake'])} / "
                f"{_percent(m['genuine']['real'])} | "
                f"{_percent(m['fakes']['fake'])} / {_percent(m['fakes']['real'])} | {_three(m['ece'])} |"
            )
    paragraphs = []
    if "saved" in results:
        m = results["saved"]
        paragraphs.append(
            f"**Saving again.** {m['pictures']} pictures saved in ten ways: {m['turned']:.1%} of labels turned "
            f"between real "
            f"and fake, {m['outside']:.1%} of the probabilities lay outside the printed interval."
        )
    if "collages" in results:
        m = results["collages"]
        paragraphs.append(
            f"**Group photographs.** Of {m['collages']} collages of six genuine faces {m['accused']} have a face "
            f"called fake."
        )
    paragraphs.append(
        f"**Places.** Mask IoU on region edits {_three(seen['edit_iou'])} (floor 0.45), F1 of named regions "
        f"{_three(seen.get('edit_region_f1'))} (floor 0.55). A photograph's place is claimed only where painting it "
        f"over "
        "lowers the log-odds by 0.2 more than painting another place. "
        f"On {test['pictures']} of DFDC's `val` rows {test['claims']} claims move the score by "
        f"{test['faithfulness']:.4f} "
        f"({test['interval'][0]:.4f} to {test['interval'][1]:.4f}) more than other places of their size do; "
        f"{_percent(test['better_than_elsewhere'])} beat the other place, goal 90 % "
        "([deletion.json](../../../runs/shared/deletion.json))."
    )
    fit = facts["calibration"]
    paragraphs.append(
        f"**Thresholds.** Fake from {_percent(fit['fake_above'])} on, no sign of forgery below "
        f"{_percent(fit['real_below'])}, "
        "for good faces: on held-out rows of six conditions together at most 5 % of genuine faces of each domain are "
        "above "
        f"the first, and {_percent(fit['fakes_called_real'])} of fakes, the mean over what made them, below the "
        "second. Stronger evidence is asked of soft, "
        "small and turned faces ([limits.md](../../../runs/compact/limits.md))."
    )
    for paragraph in paragraphs:
        out += ["", *_filled(paragraph)]
    return "\n".join(out)


def _values(part: Mapping[str, Any]) -> dict[str, float]:
    return {n: m["auc"] for n, m in part.items() if m["auc"] is not None}


def _filled(text: str) -> list[str]:
    return textwrap.wrap(text, 120, break_long_words=False, break_on_hyphens=False)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"


def _three(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _number(n: int) -> str:
    return {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}.get(n, str(n))


def rounded(value: Any) -> Any:
    """A share and its interval to three places; everything else as it is."""
    if not isinstance(value, Mapping):
        return value
    return {"share": round(value["share"], 3), "interval": [round(v, 3) for v in value["interval"]]}


def between(page: str, text: str) -> str:
    """The page with everything between the two marks replaced."""
    if START not in page or END not in page:
        raise SystemExit(f"compact.md: expected the marks {START} and {END}")
    return page[: page.index(START) + len(START)] + f"\n\n{text}\n\n" + page[page.index(END) :]


def documented(code: str, text: str) -> str:
    """The witness's code with another paragraph "Measured: …" in its docstring."""
    paragraph = "\n".join(textwrap.wrap(f"Measured: {text}", 120, break_on_hyphens=False))
    return re.sub(r"^Measured: .*?(?=\n\n|\n\"\"\")", lambda _: paragraph, code, count=1, flags=re.M | re.S)


def compared(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Earlier weights and these, for the log."""
    old, new = unseen_aucs(before), unseen_aucs(now)
    out = [
        f"Unseen sources: mean AUC {np.mean(list(old.values())):.3f} → {np.mean(list(new.values())):.3f}, "
        + ", ".join(f"{n} {old.get(n, float('nan')):.3f} → {v:.3f}" for n, v in new.items())
    ]
    for section in ("seen", "unseen"):
        a, b = before[section]["plain"], now[section]["plain"]
        out.append(
            f"{section}: decided {_percent(decided(a)[0])} → {_percent(decided(b)[0])}, right "
            f"{_percent(decided(a)[1])} → "
            f"{_percent(decided(b)[1])}, ECE {_three(a['ece'])} → {_three(b['ece'])}, IoU {_three(a['edit_iou'])} → "
            f"{_three(b['edit_iou'])}, F1 {_three(a.get('edit_region_f1'))} → {_three(b.get('edit_region_f1'))}"
        )
        no_sign = [np.mean([m["real"] for m in part["fakes"].values()]) for part in (a, b)]
        out.append(f"{section}: fakes called no sign {_percent(no_sign[0])} → {_percent(no_sign[1])}")
        for name, m in b["auc"].items():
            out.append(f"    {name} {_three(a['auc'].get(name, {}).get('auc'))} → {_three(m['auc'])}")
    out += ["", "| condition | AUC before | now | genuine called fake before | now | fakes called real before | now |"]
    out.append("|---|---|---|---|---|---|---|")
    for name, m in now.get("edits", {}).items():
        o = before.get("edits", {}).get(name)
        if o is not None:
            out.append(
                f"| {name} | {_three(o['auc'])} | {_three(m['auc'])} | {_percent(o['genuine']['fake'])} | "
                f"{_percent(m['genuine']['fake'])} | {_percent(o['fakes']['real'])} | {_percent(m['fakes']['real'])} |"
            )
    return "\n".join(out)


def main() -> None:
    """Read, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--before", type=Path, help="results.json of earlier weights, to compare")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    given = parser.parse_args()
    results = json.loads(given.results.read_text())
    found = json.loads((HERE / "groups.json").read_text())
    test = json.loads((ROOT / "runs/shared/deletion.json").read_text())
    beside = WEIGHTS / "compact.json"
    facts = json.loads(beside.read_text())
    for name, came in (("results.json", results["weights"]), ("groups.json", found["weights"])):
        if came not in (facts["sha256"], facts.get("measured_as")):
            raise SystemExit(f"{name} is of the weights {came[:12]}, expected {facts['sha256'][:12]}: measure again")
    card = sentences(results, found["groups"], test)
    facts["card"] = card
    facts["groups"] = [{key: rounded(value) for key, value in entry.items()} for entry in found["groups"]]
    beside.write_text(json.dumps(facts, indent=1) + "\n")
    sums = WEIGHTS / "SHA256SUMS"
    listed = [line.split() for line in sums.read_text().splitlines()]
    digests = {name: digest for digest, name in listed} | {beside.name: hashlib.sha256(beside.read_bytes()).hexdigest()}
    sums.write_text("".join(f"{digest}  {name}\n" for name, digest in digests.items()))
    told = " ".join(card[key] for key in ("knows", "does_not_know", "groups"))
    WITNESS.write_text(documented(WITNESS.read_text(), told))
    page = WEIGHTS / "compact.md"
    page.write_text(between(page.read_text(), measured(results, found["groups"], test, facts)))
    print(json.dumps(card, indent=1))
    if given.before:
        print(compared(json.loads(given.before.read_text()), results))


if __name__ == "__main__":
    script(main)
