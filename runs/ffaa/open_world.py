"""An open-world table on our sources, shaped as FFAA's Table 2: the default witness, and ffaa by its evidence alone.

    python runs/ffaa/open_world.py PACK --unseen TABLES --cache out/cases      → runs/ffaa/open-world.{json,md}

Held-out faces of known sources (the pack's split `val`) by kind of source, and tables of sources that nobody learned
from: ACC, AUC and AP of each set, of all together (ALL), of held-out faces in the shares of
Multi-attack's kinds (MA) and sACC, with 95 % intervals over groups drawn anew; then how
many faces are easy and how often easy and hard ones are judged rightly (Figures 6 and 8, without a language model).
The shipped judge of cases decides, as in the witness. The same sets in full: `bench run --protocol open-world`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cases
import numpy as np

from facewitness import weights
from facewitness.apps.script import script
from facewitness.bench import measures
from facewitness.builders.ffa_vqa import MULTI_ATTACK
from facewitness.builders.pack import Pack
from facewitness.calibration import Calibration, logit, sigmoid
from facewitness.files import write_whole
from facewitness.models import deciding
from facewitness.witnesses import ffaa

HERE = Path(__file__).parent
SETS = {  # as facewitness/bench/protocols/open-world.toml has them
    "live-swaps": ("deepfacelive",), "FF++-c23": ("ffpp_c23",), "DFDC": ("dfdc",),
    "portraits": ("ffhq_140k", "sg1_140k", "genphotos", "sg2_omi", "sg2_edit", "stylegan2_photos", "celebamask_hq"),
    "web-and-diffusion": (
        "aaf", "mask_web", "celeb_web", "old_scans", "lfw_grey", "amfd", "cfd_edit", "pollinations", "sd21_sdfd",
        "utkface",
    ),
    "GPT-Image": ("gpt_image",), "inpainting-study": ("inpaint_study",), "another-GAN": ("ismaolen",),
}  # fmt: skip
APART = {"FF++-c40": ("ffpp_c40",)}
MA = "MA, in its shares"  # held-out faces in the shares of Multi-attack's kinds, whatever their source
SHOWN = ("acc", "auc", "ap")


def by_cases(data: dict[str, np.ndarray]) -> np.ndarray:
    """The probability that ffaa gives each face, by the shipped judge of cases."""
    facts = deciding.Decider(weights.read(ffaa.CASES)[0], ffaa.CASES).facts
    certainty = np.where(data["easy"].astype(bool), facts["certainty"]["easy"], facts["certainty"]["hard"])
    fit = Calibration.from_json(facts["calibration"])
    return np.asarray(fit.probabilities(list(sigmoid(certainty * logit(cases.as_shipped(data))))))


def in_shares(kinds: np.ndarray) -> np.ndarray:
    """The first faces of each kind, as many as Multi-attack's shares (27 : 25 : 18 : 24) let there be at most."""
    members = {kind: np.flatnonzero(kinds == kind) for kind in MULTI_ATTACK}
    scale = min(len(members[kind]) / share for kind, share in MULTI_ATTACK.items())
    return np.concatenate([members[kind][: int(scale * share)] for kind, share in MULTI_ATTACK.items()])


def table(data: dict[str, np.ndarray], p: np.ndarray, ma: np.ndarray) -> dict[str, dict[str, measures.Value]]:
    """Every set's numbers, ALL, MA (the rows `ma`) and sACC."""
    groups = np.unique(data["group"], return_inverse=True)[1]
    truth = data["label"].astype(bool)
    parts, found = {}, {}
    for name, sources in {**SETS, **APART}.items():
        at = np.isin(data["source"], sources)
        if at.any():
            parts[name] = measures.Scored(truth[at], p[at], groups[at], 0)
            found[name] = measures.detection(truth[at], p[at], groups[at], only=SHOWN)
    whole = measures.together([part for name, part in parts.items() if name not in APART])
    found["ALL"] = measures.detection(whole.fake, whole.p, whole.group, only=SHOWN)
    found[MA] = measures.detection(truth[ma], p[ma], groups[ma], only=SHOWN)
    found["sACC"] = {"acc": measures.steadiness(list(parts.values()))}
    return found


def easy_and_hard(data: dict[str, np.ndarray], p: np.ndarray) -> dict[str, dict[str, measures.Value]]:
    """How often easy and hard faces are judged rightly."""
    groups = np.unique(data["group"], return_inverse=True)[1]
    found = {}
    for name, at in (("easy", data["easy"].astype(bool)), ("hard", ~data["easy"].astype(bool))):
        found[name] = measures.detection(data["label"].astype(bool)[at], p[at], groups[at], only=SHOWN)
    return found


def cell(value: measures.Value) -> str:
    """A value with its interval, per cent."""
    if value.value is None:
        return "–"
    around = "" if value.low is None else f" ({100 * value.low:.0f}–{100 * value.high:.0f})"
    return f"{100 * value.value:.1f}{around}"


def main() -> None:
    """Collects, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("--unseen", type=Path, required=True)
    parser.add_argument(
        "--count", type=int, nargs=2, default=cases.COUNT[1:], help="held out; each unseen source and label"
    )
    parser.add_argument("--cache", type=Path, required=True, help="features of faces, the folder of cases.py's --out")
    given = parser.parse_args()
    known = cases.kept(
        given.cache, f"val-{given.count[0]}", lambda: cases.of_pack(Pack(given.pack), "val", given.count[0])
    )
    other = cases.kept(given.cache, f"unseen-{given.count[1]}", lambda: cases.of_tables(given.unseen, given.count[1]))
    data = {name: np.concatenate([known[name], other[name]]) for name in known}
    pack = Pack(given.pack)
    ma = in_shares(np.array([pack.rows[i]["kind"] for i in cases.rows_of(pack, "val", given.count[0])]))
    unseen = np.isin(data["source"], [source for name in list(SETS)[5:] for source in SETS[name]])
    lines, stored = ["| system | set | faces | ACC | AUC | AP |", "|---|---|---|---|---|---|"], {}
    shares = ["| system | faces | of them easy | right, easy | right, hard |", "|---|---|---|---|---|"]
    systems = [("default witness", data["p"]), ("ffaa, the evidence alone", by_cases(data))]
    ours = [system for system, _ in systems]
    for name, system in (("xception", "Xception, appendix B"), ("sbi", "SBI network")):
        if (file := given.cache / f"scores-{name}.npz").exists():
            with np.load(file) as scored:
                parts = [scored[f"val-{given.count[0]}"], scored[f"unseen-{given.count[1]}"]]
            systems.append((system, np.concatenate(parts)))
    for system, p in systems:
        found = table(data, p, ma)
        for name, values in found.items():
            shown = " | ".join(cell(values[m]) if m in values else "" for m in SHOWN)
            lines.append(f"| {system} | {name} | {values['acc'].n} | {shown} |")
        stored[system] = {
            name: {m: [v.value, v.low, v.high, v.n] for m, v in values.items()} for name, values in found.items()
        }
        for where, at in (("held out", ~unseen), ("unseen", unseen)) if system in ours else ():
            part = {name: values[at] for name, values in data.items()}
            split = easy_and_hard(part, p[at])
            share = 100 * part["easy"].mean()
            right = " | ".join(cell(split[name]["acc"]) for name in ("easy", "hard"))
            shares.append(f"| {system} | {where} | {share:.0f} % of {at.sum()} | {right} |")
            stored[system][f"easy and hard, {where}"] = {
                name: {m: [v.value, v.low, v.high, v.n] for m, v in values.items()} for name, values in split.items()
            }
    lines.append("| CLIPping, RECCE, Implicit, FedForgery, Exposing, NPR | all | not run |  |  |  |")
    text = "\n".join(["# Open world, on our sources", "", *lines, "", *shares, ""])
    write_whole(HERE / "open-world.json", json.dumps(stored, indent=1).encode())
    write_whole(HERE / "open-world.md", text.encode())
    print(text)


if __name__ == "__main__":
    script(main)
