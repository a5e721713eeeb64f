"""Do FiFa's claims pass the deletion test more often than the evidence's own sentences?

    python runs/fifa/deletion.py runs/fifa/small.toml --pack PACK --weights FILE --out deletion.json

What FiFa names and what the default witness claims of the same forged pictures of held-out people (the half that chose
nothing, and self-blends), each covered as `bench/deletion` does, with the same outline elsewhere as the control. In
the plain install the verdict is the default witness's, so a claim has to move its score; FiFa's own score stands
beside it. Of a face that has no sign of forgery neither claims anything. The evidence tries its claims before it makes
them (`witnesses/_causal`); the row "tried" holds FiFa's to the same trial.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facewitness import geometry, plugins, regions
from facewitness.apps.script import script
from facewitness.bench.deletion import Deletion, _places, cover, summary
from facewitness.calibration import Calibration
from facewitness.explain import claimable, rests_on
from facewitness.files import write_whole
from facewitness.models.fifa import QUESTIONS
from facewitness.train import edits
from facewitness.train.fifa import Recipe
from facewitness.train.measuring import half
from facewitness.types import Clip, Face, Finding, Frame, Pixels, Quality, Track

UNSEEN = {"self_blend": 1.0}


def crops(made: edits.Edits, limit: int) -> list[tuple[str, Pixels, Face]]:
    """Forged crops of the people who chose nothing: their group, pixels and face."""
    found = []
    for i, row in enumerate(made.rows):
        group = f"{row['source']}/{row['group']}"
        if row["fake"] and half(group) == 1 and len(found) < limit:
            pixels, mesh = np.array(made.pixels[i]), np.array(made.meshes[i], np.float32)
            frame = Frame(pixels)
            (x1, y1), (x2, y2) = mesh.min(0).tolist(), mesh.max(0).tolist()
            found.append((group, pixels, Face(frame.at, (x1, y1, x2, y2), mesh, quality=Quality(score=1.0))))
    return found


def speed(network: Any, made: list[tuple[str, Pixels, Face]]) -> dict[str, float]:
    """Processor seconds from a picture to the first word, and words' tokens a processor second, by one thread."""
    first, spent, tokens = [], 0.0, 0
    question = (0, QUESTIONS["grounded_explanation"], ())
    for _, pixels, face in made:
        begun = time.process_time()
        seen = network._seen(face, pixels)[1]
        network.network.answer(seen, [question], 1)
        first.append(time.process_time() - begun)
        begun = time.process_time()
        text = network.network.answer(seen, [question], 160, network._least)[0].text
        spent += time.process_time() - begun
        tokens += len(network.network._ids(text, 160))
    return {"to the first word": float(np.median(first)), "tokens a second": tokens / spent}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--draws", type=Path, required=True, help="where edits are kept")
    parser.add_argument("--limit", type=int, default=60, help="pictures of each kind at most (60)")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    recipe = Recipe.read(given.recipe)
    assert recipe.draws is not None
    evidence = plugins.get("witnesses", "compact").load()
    quick = plugins.get("witnesses", "compact").load(views="one")
    network = plugins.get("witnesses", "fifa").load(weights=str(given.weights))
    fits = {"compact": Calibration.from_json(evidence.calibration), "fifa": Calibration.from_json(network.calibration)}

    def chance(name: str, face: Face) -> Callable[[Pixels], float]:
        def of(pixels: Pixels) -> float:
            if name == "fifa":
                score = network._score(network._seen(face, pixels)[1])
            else:
                score = quick.examine(Track(0, (face,)), Clip("edit", (Frame(pixels),))).fake
            return float(fits[name].apply(score)[0])

        return of

    names = ("evidence, default score", "fifa, default score", "fifa tried, default score", "fifa, its own score")
    file = given.out.with_suffix(".rows.json")
    done: dict[str, list[dict[str, Any]]] = json.loads(file.read_text()) if file.exists() else {}
    for kind, families in (("seen families", None), ("self-blends", UNSEEN)):
        made = edits.drawn(recipe.draws, given.pack, given.draws, "val", families)
        for number, (group, pixels, face) in enumerate(crops(made, given.limit)):
            if f"{kind} {number}" in done:
                continue
            clip, track = Clip("edit", (Frame(pixels),)), Track(0, (face,))
            said, own = evidence.examine(track, clip), network.examine(track, clip)
            suspected = fits["compact"].apply(said.fake)[0] >= fits["compact"].real_below
            theirs = tuple({f.region: f for f in own.findings if f.region not in (None, "face")}.values())
            rows: dict[str, tuple[str, tuple[Finding, ...]]] = {
                names[3]: ("fifa", theirs if fits["fifa"].apply(own.fake)[0] >= fits["fifa"].real_below else ())
            }
            if suspected:
                affine = geometry.align(face.landmarks, quick._size, quick._margin)
                tried = quick._tried(theirs, face, geometry.crop(pixels, affine, quick._size), affine)
                passed = tuple(f for f in tried if f.moves is not None and rests_on(f))
                rows |= {names[0]: ("compact", claimable(said.findings)), names[1]: ("compact", theirs),
                         names[2]: ("compact", passed)}  # fmt: skip
            told = []
            for name, (whose, findings) in rows.items():
                probability = chance(whose, face)
                for finding in findings:
                    places = None if finding.region not in regions.REGIONS else _places(face, finding)
                    if places is not None:
                        told.append({"row": name, "kind": kind, **asdict(Deletion(
                            f"{kind} {number}", group, "fake", finding.region or "", finding.strength,
                            probability(pixels), probability(cover(pixels, places[0])),
                            probability(cover(pixels, places[1])),
                        ))})  # fmt: skip
            done[f"{kind} {number}"] = told
            write_whole(file, json.dumps(done).encode())
    claims = [row for told in done.values() for row in told]
    found: dict[str, Any] = {"weights": network.made_by()["weights"], "pictures": len(done)}
    found["processor seconds, one thread"] = speed(network, crops(made, 4))
    for name in names:
        found[name] = {
            kind: summary([Deletion(**{k: v for k, v in row.items() if k not in ("row", "kind")})
                           for row in claims if row["row"] == name and kind in (row["kind"], "both")])
            for kind in ("seen families", "self-blends", "both")
        }  # fmt: skip
        print(name, {k: {x: v.get(x) for x in ("claims", "better_than_elsewhere", "faithfulness", "interval")}
                     for k, v in found[name].items()}, flush=True)  # fmt: skip
    write_whole(given.out, json.dumps(found, indent=1).encode())


if __name__ == "__main__":
    torch.set_num_threads(1)
    script(main)
