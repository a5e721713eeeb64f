"""Fits what tells covered regions and beards: portraits with parsings, things laid over them, and people of known age.

    python runs/surface/fit.py PACK

PACK is made by `facewitness build pack`. Covered: CelebAMask-HQ's portraits as they are (hair, hats and clothes over a
region by their parsings) and twice each with something laid over it: a bar, sunglasses, a microphone, a mask, a patch,
blocks of pixels, a hand's worth of skin; two in five in nearly no colour. A region counts as covered from half its
pixels on and as seen below an eighth. Beard: UTKFace; women and children have none, of men nobody knows. One face in
five is held out for all numbers; the thresholds leave one seen region in a hundred for covered and one woman or child
in fifty with a beard, on the faces that were not held out. Writes `weights/surface.json` and `README.md`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier

from facewitness import geometry, regions, surface, weights
from facewitness.apps.script import script
from facewitness.builders.pack import Pack
from facewitness.types import Pixels

THINGS = ("bar", "glasses", "microphone", "mask", "patch", "pixels", "hand")
COVERS = [regions.CELEBAMASK.index(name) for name in ("background", "hair", "hat", "cloth", "ear_r")]
GLASSES = regions.CELEBAMASK.index("eye_g")  # clear or dark: their eyes are left out
COVERED, SEEN = 0.5, 0.125  # shares of a region's pixels
FALSE_COVER, FALSE_BEARD = 0.01, 0.02
ADULT, CHILD = 18, 14  # years
SIZE = surface.SIZE


def main() -> None:
    """Measure the faces, fit, measure the fits, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("--limit", type=int, default=0, help="faces of each source; 0: all")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    pack = Pack(given.pack)
    fits, table = covers(pack, given.limit)
    fits["beard"], beard = beards(pack, given.limit)
    target = Path(weights.__file__).parent / "weights" / "surface.json"
    target.write_text(json.dumps(fits) + "\n")
    sums = target.with_name("SHA256SUMS")
    digests = dict(reversed(line.split()) for line in sums.read_text().splitlines())
    digests[target.name] = hashlib.sha256(target.read_bytes()).hexdigest()
    sums.write_text("".join(f"{digest}  {name}\n" for name, digest in digests.items()))
    Path(__file__).with_name("README.md").write_text(page(table, beard))


def covers(pack: Pack, limit: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The network that tells covered regions, its thresholds, and a row a region with what they are worth."""
    rng = np.random.default_rng(1)
    rows: list[tuple[NDArray[np.float64], int, bool, str, bool]] = []
    members = [i for i, row in enumerate(pack.rows) if row["source"] == "celebamask_hq"][: limit or None]
    for number, i in enumerate(members):
        mesh, parsing = pack.landmarks(i), pack.parsing(i)
        if mesh is None or parsing is None:
            continue
        affine = geometry.align(mesh, SIZE, surface.MARGIN)
        crop, where = geometry.crop(pack.pixels(i), affine, SIZE), surface.places(mesh, affine)
        classes = on_crop(parsing, affine)
        for picture, over, thing in versions(crop, where, rng):
            for name, measured in surface.measures(picture, where).items():
                inside = where[name]
                if (
                    name.endswith(("eye", "eyebrow"))
                    and (classes[inside] == GLASSES).mean() > 0.3
                    and thing != "glasses"
                ):
                    continue
                share = float((np.isin(classes, COVERS) | over)[inside].mean())
                if SEEN <= share < COVERED:
                    continue
                by = thing if over[inside].any() else "hair, hat, clothes"
                rows.append((measured, surface.AREAS.index(surface.area(name)), share >= COVERED, by, number % 5 == 0))
    x, kind = np.stack([row[0] for row in rows]), np.array([row[1] for row in rows])
    covered, by = np.array([row[2] for row in rows]), np.array([row[3] for row in rows])
    held = np.array([row[4] for row in rows])
    mean, spread = x[~held].mean(axis=0), x[~held].std(axis=0) + 1e-3
    inputs = np.concatenate([(x - mean) / spread, np.eye(len(surface.AREAS))[kind]], axis=1)
    network = MLPClassifier((24, 16), alpha=1e-3, max_iter=150, early_stopping=True, random_state=0,
                            learning_rate_init=3e-3).fit(inputs[~held], covered[~held])  # fmt: skip
    p = network.predict_proba(inputs)[:, 1]
    threshold, table = {}, []
    for k, name in enumerate(surface.AREAS):
        here = kind == k
        limit_here = float(np.quantile(p[here & ~held & ~covered], 1 - FALSE_COVER))
        threshold[name] = round(max(0.5, limit_here), 3)
        told = p >= threshold[name]
        tested = here & held
        table.append(
            {
                "area": name, "seen": int((tested & ~covered).sum()), "covered": int((tested & covered).sum()),
                "auc": float(roc_auc_score(covered[tested], p[tested])),
                "false": float(told[tested & ~covered].mean()), "told": float(told[tested & covered].mean()),
                **{t: float(told[tested & covered & (by == t)].mean()) if (tested & covered & (by == t)).sum() >= 5
                   else None for t in (*THINGS, "hair, hat, clothes")},
            }
        )  # fmt: skip
    facts = {
        "schema": surface.SCHEMA, "areas": list(surface.AREAS),
        "mean": np.round(mean, 5).tolist(), "spread": np.round(spread, 5).tolist(),
        "weights": [np.round(w, 4).tolist() for w in network.coefs_],
        "offsets": [np.round(b, 4).tolist() for b in network.intercepts_], "threshold": threshold,
    }  # fmt: skip
    return facts, table


def on_crop(parsing: NDArray[np.uint8], affine: geometry.Affine) -> NDArray[np.uint8]:
    """A parsing (H, W) on the upright crop, by the nearest pixel."""
    ys, xs = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    at = geometry.transform(geometry.invert(affine), np.stack([xs.ravel(), ys.ravel()], axis=1)).astype(int)
    at = np.clip(at, 0, [parsing.shape[1] - 1, parsing.shape[0] - 1])
    return parsing[at[:, 1], at[:, 0]].reshape(SIZE, SIZE)


def versions(
    crop: Pixels, where: dict[str, NDArray[np.bool_]], rng: np.random.Generator
) -> Iterator[tuple[Pixels, NDArray[np.bool_], str]]:
    """The crop as it is and with two things over it; what is covered, and by what."""
    nothing = np.zeros((SIZE, SIZE), bool)
    for thing in ("", *rng.choice(THINGS, 2)):
        picture, over = laid_over(crop, where, str(thing), rng) if thing else (crop, nothing)
        if rng.random() < 0.4:
            grey = picture.mean(axis=2, keepdims=True)
            picture = (0.15 * picture + 0.85 * grey).astype(np.uint8)
        yield picture, over, str(thing)


def laid_over(
    crop: Pixels, where: dict[str, NDArray[np.bool_]], thing: str, rng: np.random.Generator
) -> tuple[Pixels, NDArray[np.bool_]]:
    """The crop with one of THINGS over it, and where; unchanged where the face does not show what it is laid on."""
    nothing = np.zeros((SIZE, SIZE), bool)
    if not all(where[name].any() for name in ("left_eye", "right_eye", "nose", "mouth", "chin", "left_cheek")):
        return crop, nothing
    middle = {name: np.argwhere(inside).mean(axis=0)[::-1] for name, inside in where.items() if inside.any()}
    eyes = [middle["right_eye"], middle["left_eye"]]
    unit = float(np.linalg.norm(eyes[0] - eyes[1]))
    shape = np.zeros((SIZE, SIZE), np.uint8)
    at = lambda point: tuple(int(v) for v in point)  # noqa: E731
    colour = rng.integers(0, 256, 3) if rng.random() < 0.5 else np.repeat(rng.choice([0, 10, 25, 128, 240, 255]), 3)
    if thing == "bar":
        centre = middle[str(rng.choice(["mouth", "nose"]))] if rng.random() < 0.6 else (eyes[0] + eyes[1]) / 2
        half = np.array([unit * rng.uniform(0.7, 1.1), unit * rng.uniform(-0.1, 0.1)])
        cv2.line(shape, at(centre - half), at(centre + half), 255, max(1, int(unit * rng.uniform(0.35, 0.8))))
    elif thing == "glasses":
        for eye in eyes:
            size = at(unit * rng.uniform((0.36, 0.26), (0.5, 0.45)))
            cv2.ellipse(shape, at(eye), size, 0, 0, 360, 255, -1)
        colour = rng.integers(5, 70, 3)
    elif thing == "microphone":
        centre = middle["mouth"] + unit * rng.uniform((-0.3, 0), (0.3, 0.5))
        cv2.ellipse(shape, at(centre), at(unit * rng.uniform((0.3, 0.35), (0.5, 0.6))), 0, 0, 360, 255, -1)
        foot = (int(centre[0] + rng.uniform(-0.4, 0.4) * unit), SIZE)
        cv2.line(shape, at(centre), foot, 255, max(1, int(unit * 0.3)))
        colour = np.repeat(rng.integers(5, 90), 3)
    elif thing == "mask":
        names = ("left_cheek", "right_cheek", "mouth", "chin", "nose")
        points = np.argwhere(np.any([where[name] for name in names], axis=0))[:, ::-1]
        points = points[points[:, 1] > middle["nose"][1] - rng.uniform(-0.1, 0.3) * unit]
        if len(points) > 3:
            cv2.fillPoly(shape, [cv2.convexHull(points.astype(np.int32))], 255)
        colour = rng.choice([[200, 220, 235], [240, 240, 240], [20, 20, 25], [120, 160, 200], [90, 100, 140]])
    else:
        name = str(rng.choice([n for n in surface.REGIONS if n in middle]))
        size = unit * rng.uniform(0.35, 0.9, 2)
        if thing == "hand":
            cv2.ellipse(shape, at(middle[name]), at(size), float(rng.uniform(0, 180)), 0, 360, 255, -1)
        else:
            cv2.rectangle(shape, at(middle[name] - size), at(middle[name] + size), 255, -1)
    y, x = np.mgrid[:SIZE, :SIZE]
    if thing == "pixels":
        block = int(rng.integers(6, 14))
        small = cv2.resize(crop, (SIZE // block, SIZE // block), interpolation=cv2.INTER_AREA)
        paint: Any = cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST)
    elif thing == "patch" and rng.random() < 0.5:
        paint = np.roll(crop, rng.integers(0, SIZE, 2), (0, 1))
    else:
        if thing == "hand":
            colour = np.median(crop[where["left_cheek"]], axis=0) * rng.uniform(0.75, 1.15)
        shade = ((x - SIZE / 2) * rng.uniform(-0.3, 0.3) + (y - SIZE / 2) * rng.uniform(-0.3, 0.3))[..., None]
        paint = np.clip(
            colour + shade * (rng.random() < 0.6) + rng.normal(0, rng.uniform(0, 6), (SIZE, SIZE, 1)), 0, 255
        )
    soft = cv2.GaussianBlur((shape > 127).astype(np.float32), (0, 0), 0.6)[..., None]
    return (crop * (1 - soft) + paint * soft).astype(np.uint8), shape > 127


def beards(pack: Pack, limit: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The logistic that tells a beard, and what it is worth."""
    x, ages, sexes = [], [], []
    for i in [i for i, row in enumerate(pack.rows) if row["source"] == "utkface"][: limit or None]:
        mesh = pack.landmarks(i)
        words = Path(pack.rows[i]["file"]).name.split("_")
        if mesh is None or len(words) < 3 or not (words[0].isdigit() and words[1] in ("0", "1")):
            continue
        affine = geometry.align(mesh, SIZE, surface.MARGIN)
        measured = surface.measures(geometry.crop(pack.pixels(i), affine, SIZE), surface.places(mesh, affine))
        if "beard" in measured and "chin" in measured:
            x.append(np.concatenate([measured["beard"], measured["chin"]]))
            ages.append(int(words[0]))
            sexes.append(int(words[1]))
    values, age, woman = np.stack(x), np.array(ages), np.array(sexes) == 1
    men, none = ~woman & (age >= ADULT), woman | (age < CHILD)
    held, known = np.arange(len(values)) % 5 == 0, men | none
    mean, spread = values.mean(axis=0), values.std(axis=0) + 1e-3
    z = (values - mean) / spread
    model = LogisticRegression(C=0.1, max_iter=3000).fit(z[known & ~held], men[known & ~held])
    score = z @ model.coef_[0] + model.intercept_[0]
    threshold = float(np.quantile(score[none & ~held], 1 - FALSE_BEARD))
    facts = {
        "mean": np.round(mean, 5).tolist(), "spread": np.round(spread, 5).tolist(),
        "slopes": np.round(model.coef_[0], 5).tolist(), "offset": round(float(model.intercept_[0]), 5),
        "threshold": round(threshold, 4),
    }  # fmt: skip
    return facts, {
        "auc": float(roc_auc_score(men[known & held], score[known & held])),
        "men": float((score[men & held] >= threshold).mean()), "men_count": int((men & held).sum()),
        "none": float((score[none & held] >= threshold).mean()), "none_count": int((none & held).sum()),
    }  # fmt: skip


def page(table: list[dict[str, Any]], beard: dict[str, Any]) -> str:
    """The numbers as a page."""
    things = [*THINGS, "hair, hat, clothes"]
    share = lambda value: "—" if value is None else f"{value:.0%}".replace("%", " %")  # noqa: E731
    lines = [
        "# What tells covered regions and beards, measured", "",
        "Written by `python runs/surface/fit.py PACK`, on one face in five that no fit saw. A dash: fewer than five.",
        "",
        "| area | seen / covered | AUC | seen, told covered | covered, told so | " + " | ".join(things) + " |",
        "|---" * (5 + len(things)) + "|",
    ]  # fmt: skip
    lines += [
        f"| {row['area']} | {row['seen']} / {row['covered']} | {row['auc']:.3f} | {share(row['false'])} | "
        f"{share(row['told'])} | " + " | ".join(share(row[t]) for t in things) + " |"
        for row in table
    ]
    lines += [
        "",
        "The things are drawn, but for hair, hats and clothes; real ones are more varied. A hand is made of skin.",
        "",
        f"Beard: of {beard['men_count']} men {share(beard['men'])} have one by this measure, of {beard['none_count']} "
        f"women and children {share(beard['none'])} (UTKFace; nobody labelled the beards). Men against the others: AUC "
        f"{beard['auc']:.2f}.", "",
    ]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    script(main)
