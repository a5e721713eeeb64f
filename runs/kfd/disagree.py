"""Who was right how often where KFD or MARE and the default witness decided in opposite directions, as reports say it.

    python runs/kfd/disagree.py --pack PACK --out DIR        all of it: two minutes of one core, less the second time

Faces are `val` rows of a pack, `--limit` of each source and label, and a forgery made of each genuine one. What a
witness said stays in DIR/predictions/WITNESS; a witness is asked again only where its weights or options are others
than then, so new weights of the default witness cost that witness alone.

Written beside KFD's and MARE's weights, and printed by kind:
    calibration.against    in how many cases they decided in opposite directions, and how often each was right
    calibration.kinds      what its score says of faces that a generator made as a whole, a logistic over its log-odds
                           whose slope is 0 where a higher score does not mean fake; another witness may name that kind
    card                   the sentence on such cases, there and in the paragraph "Measured" of the witness's docstring
"""

from __future__ import annotations

import argparse
import json
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from facewitness import plugins
from facewitness.apps.script import script
from facewitness.bench import predictions
from facewitness.bench.conditions import examined, rows_of
from facewitness.builders.pack import Pack
from facewitness.calibration import EDGE, Calibration, logit
from facewitness.errors import InputError
from facewitness.files import write_whole

HERE = Path(__file__).parent
WEIGHTS = {"kfd": HERE / "kfd.safetensors", "mare": HERE.parent / "mare" / "model" / "fdm.safetensors"}
WITNESSES = Path(plugins.__file__).parent / "witnesses"
WHOLE = ("genphotos", "stylegan2_photos", "pollinations", "sd21_sdfd", "sg2_omi", "sg1_140k")


def contradictions(
    rows: Iterable[Mapping[str, Any]], calibrations: Mapping[str, Calibration]
) -> tuple[dict[str, int], Counter[str]]:
    """Cases in which the two decided in opposite directions, of them those the first had right, and both by kind.

    Raises:
        InputError: The rows hold no face that both examined.
    """
    first, other = calibrations
    labels: dict[tuple[str, ...], dict[str, str]] = {}
    truth: dict[tuple[str, ...], tuple[str, str]] = {}
    for row in rows:
        if row["witness"] in calibrations and row["score"] is not None:
            key = (row["condition"], row["source"], row["file"], row["made"])
            fit = calibrations[row["witness"]]
            labels.setdefault(key, {})[row["witness"]] = fit.label(fit.apply(float(row["score"]))[0])
            truth[key] = (row["label"], row["made"] or row["source"])
    both = {key: said for key, said in labels.items() if len(said) == 2}
    if not both:
        raise InputError(f"disagree: expected faces that {first} and {other} examined, got none")
    apart = {key: said for key, said in both.items() if set(said.values()) == {"real", "fake"}}
    by_kind = Counter(f"{truth[key][1]}, {truth[key][0]}: {first} says {said[first]}" for key, said in apart.items())
    right = sum(said[first] == truth[key][0] for key, said in apart.items())
    return {"cases": len(apart), "right": right}, by_kind


def of_kind(rows: Iterable[Mapping[str, Any]], witness: str, sources: Sequence[str]) -> dict[str, float]:
    """Slope and offset of the log-odds of fake, for the sources' own fakes against all genuine faces, each half.

    Raises:
        InputError: There are no such fakes, or no genuine faces.
    """
    mine = [row for row in rows if row["witness"] == witness and row["score"] is not None and not row["made"]]
    kept = [row for row in mine if row["label"] == "real" or row["source"] in sources]
    fake = np.array([row["label"] == "fake" for row in kept], bool)
    if not fake.any() or fake.all():
        raise InputError(f"disagree: expected fakes of {', '.join(sources)} and genuine faces, got one of them alone")
    x = logit(np.clip([float(row["score"]) for row in kept], EDGE, 1 - EDGE))[:, None]
    model = LogisticRegression(C=1e6, class_weight="balanced").fit(x, fake)
    slope = max(0.0, float(model.coef_[0, 0]))
    return {"slope": slope, "offset": float(model.intercept_[0]) if slope else 0.0}


def read(folder: Path) -> list[dict[str, Any]]:
    """What the witnesses predicted, each in a run of its own below a folder.

    Raises:
        InputError: There is no run.
    """
    runs = sorted(path.parent for path in folder.glob("*/predictions.parquet"))
    if not runs:
        raise InputError(f"'{folder}': expected WITNESS/predictions.parquet, as evaluate.py writes them, got none")
    return [
        {
            "witness": run.name, "condition": row["perturbation"], "source": row["dataset"], "file": row["file"],
            "made": row["method"] or "", "label": row["label"], "score": row["score"],
        }
        for run in runs
        for row in predictions.rows(predictions.read(run)[0])
    ]  # fmt: skip


def asked(given: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of all three, of which those are kept that the same weights gave before."""
    witnesses = {name: plugins.get("witnesses", name).load(weights=str(file)) for name, file in given.weights.items()}
    witnesses[given.other] = plugins.get("witnesses", given.other).load()
    about = {"dataset": "pack", "split": "val", "limit": given.limit, "seed": 0}
    for name, witness in witnesses.items():
        meta = json.loads(json.dumps({"name": name, **about, "made_by": witness.made_by()}))
        held = given.out / "predictions" / name / "meta.json"
        was = json.loads(held.read_text(encoding="utf-8")) if held.exists() else {}
        if any(was.get(key) != value for key, value in meta.items()):
            rows = examined([witness], Pack(given.pack), limit=given.limit)
            predictions.write(given.out / "predictions" / name, meta, rows_of(rows, "val"))
    return read(given.out / "predictions")


def told(text: str, who: str, other: str, counts: Mapping[str, int]) -> str:
    """A text whose sentence on opposite decisions says these counts; it goes to the end where there is none."""
    right, wrong = counts["right"], counts["cases"] - counts["right"]
    begin = f"Where {who} and {other} decided in opposite directions"
    sentence = f"{begin}, on {counts['cases']} held-out faces, {who} was right {right} times and {other} {wrong} times."
    again = re.compile(rf"{re.escape(begin)}.*?times\.", re.DOTALL)
    return again.sub(lambda _: sentence, text) if again.search(text) else f"{text.rstrip()} {sentence}"


def documented(code: str, who: str, other: str, counts: Mapping[str, int]) -> str:
    """The witness's code with the same in the paragraph "Measured: …" of its docstring."""
    begin = code.index("Measured: ")
    end = code.index('\n"""', begin)
    paragraph = told(" ".join(code[begin:end].split()), who, other, counts)
    return code[:begin] + textwrap.fill(paragraph, 120, break_on_hyphens=False) + code[end:]


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask, count, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="where predictions are kept for the next time")
    parser.add_argument("--limit", type=int, default=12, help="rows of each source and label (12)")
    parser.add_argument("--other", default="compact")
    parser.add_argument("--whole", nargs="+", default=list(WHOLE), help="sources of faces made as a whole")
    given = parser.parse_args(arguments)
    given.weights = WEIGHTS
    rows = asked(given)
    other = Calibration.from_json(plugins.get("witnesses", given.other).load().calibration)
    for name, file in given.weights.items():
        card = file.with_suffix(".json")
        facts = json.loads(card.read_text(encoding="utf-8"))
        if "card" not in facts:
            raise InputError(f"'{card}': expected a card, got none. Write it first, with card.py")
        counts, by_kind = contradictions(rows, {name: Calibration.from_json(facts["calibration"]), given.other: other})
        facts["calibration"].setdefault("kinds", {})["entire_synthesis"] = of_kind(rows, name, given.whole)
        facts["calibration"].setdefault("against", {})[given.other] = counts
        facts["card"]["does_not_know"] = told(facts["card"]["does_not_know"], name, given.other, counts)
        write_whole(card, (json.dumps(facts, indent=2) + "\n").encode())
        code = WITNESSES / f"{name}.py"
        write_whole(code, documented(code.read_text(encoding="utf-8"), name, given.other, counts).encode())
        print(name, counts, facts["calibration"]["kinds"])
        for kind, count in by_kind.most_common():
            print(f"{count:5}  {kind}")


if __name__ == "__main__":
    script(main)
