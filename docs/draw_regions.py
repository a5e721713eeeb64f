"""Draws docs/regions.svg and writes docs/regions.md from `facewitness.regions`: python docs/draw_regions.py

Both come from the code alone, so that they cannot drift from it; a test compares them with what this script makes.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facewitness import regions
from facewitness.geometry import fill

FACE = 330  # height of the mesh in the picture
WIDTH, TOP, BOTTOM = 430, 170, 90  # one panel: its width, the room above the mesh (hair) and below it (neck)
LINE = 15  # height of a line of the legend

_AROUND = ("hair", "hairline", "left_ear", "right_ear", "beard", "mustache", "neck")
# of the mesh itself: what lies side by side, without the areas that contain others
_WHOLE = ("face", "skin", "nose", "mouth")
# the finest level has pictures of its own: docs/draw_concepts.py
_PARTS = tuple(
    name for name, region in regions.REGIONS.items() if region.rings and name not in (*_AROUND, *_WHOLE, *regions.ATOMS)
)
PANELS = (("MARE's twelve", regions.MARE), ("parts", _PARTS), ("around the mesh, extrapolated", _AROUND))


def _colour(name: str) -> str:
    """One colour a region, the same for both sides: hues at golden-ratio steps, so that neighbours differ."""
    plain = name.removeprefix("left_").removeprefix("right_")
    order = list(dict.fromkeys(n.removeprefix("left_").removeprefix("right_") for n in regions.REGIONS))
    rgb = colorsys.hls_to_rgb(order.index(plain) * 0.618 % 1, 0.42, 0.75)
    return "#" + "".join(f"{round(255 * v):02x}" for v in rgb)


def _edges(rings: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Points along the edges of rings, (n, 2)."""
    steps = np.arange(0, 1, 0.2)[:, None, None]
    return np.concatenate([(ring + (np.roll(ring, -1, axis=0) - ring) * steps).reshape(-1, 2) for ring in rings])


def _middle(rings: Sequence[NDArray[np.float32]], avoid: NDArray[np.float64]) -> NDArray[np.float64]:
    """A place for a label: inside the region and as far as can be from the points to avoid."""
    low, high = np.concatenate(rings).min(axis=0), np.concatenate(rings).max(axis=0)
    width, height = np.ceil(high - low).astype(int) + 1
    spots = np.argwhere(fill([ring - low for ring in rings], int(height), int(width)))[:, ::-1] + 0.5 + low
    spots = spots[:: 1 + len(spots) // 1000]
    room = np.linalg.norm(spots[:, None] - avoid[None], axis=2).min(axis=1)
    return np.asarray(spots[room.argmax()], dtype=np.float64)


def _panel(heading: str, names: Sequence[str], left: int) -> list[str]:
    points = regions.average_landmarks()[:, :2] * FACE
    points = points - [points[:, 0].mean(), points[:, 1].min()] + [WIDTH / 2, TOP]
    lines = [f'<g transform="translate({left} 0)">', f'<text class="heading" x="{WIDTH / 2}" y="22">{heading}</text>']
    lines += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="0.9"/>' for x, y in points]
    labels: list[str] = []
    avoid = np.concatenate([_edges(regions.polygons(name, points)) for name in names])
    for number, name in enumerate(names, 1):
        rings = regions.polygons(name, points)
        path = " ".join("M" + " ".join(f"{x:.1f},{y:.1f}" for x, y in ring) + "Z" for ring in rings)
        colour, word = _colour(name), regions.title(name)
        lines.append(f'<path d="{path}" fill="{colour}" stroke="{colour}"><title>{word}</title></path>')
        pieces = (
            [rings] if len(rings) > 2 or name == "beard" else [[ring] for ring in rings]
        )  # rings with holes are one
        for piece in pieces:
            x, y = _middle(piece, avoid)
            avoid = np.vstack([avoid, (x, y)])
            labels.append(f'<text class="number" x="{x:.1f}" y="{y + 3:.1f}">{number}</text>')
        column, row = divmod(number - 1, -(-len(names) // 2))
        x, y = 30 + 190 * column, TOP + FACE + BOTTOM + LINE * (row + 1)
        labels.append(f'<text x="{x}" y="{y}"><tspan fill="{colour}" class="key">{number}</tspan> {word}</text>')
    sides = TOP + FACE + BOTTOM - 8
    labels.append(f'<text class="side" x="12" y="{sides}">← the subject\'s right</text>')
    labels.append(f'<text class="side" x="{WIDTH - 12}" y="{sides}" text-anchor="end">the subject\'s left →</text>')
    return [*lines, *labels, "</g>"]


def svg() -> str:
    """The picture: all regions on the average mesh, in three panels, with their names."""
    rows = max(-(-len(names) // 2) for _, names in PANELS)
    width, height = WIDTH * len(PANELS), TOP + FACE + BOTTOM + LINE * (rows + 2)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        "<title>The regions of facewitness on an average face</title>",
        "<style>text{font:11px sans-serif;fill:#222}.heading{font-size:15px;text-anchor:middle}"
        ".number{font-size:9px;font-weight:bold;text-anchor:middle;stroke:#fff;stroke-width:2.5px;paint-order:stroke}"
        ".key{font-weight:bold}.side{fill:#777}circle{fill:#999}"
        "path{fill-opacity:.28;fill-rule:evenodd;stroke-width:1.2;stroke-linejoin:round}"
        "path:hover{fill-opacity:.6}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for index, (heading, names) in enumerate(PANELS):
        lines += _panel(heading, names, index * WIDTH)
    return "\n".join([*lines, "</svg>", ""])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows))


def _code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "–"


def markdown() -> str:
    """The page: the tree, how outlines are made, and one table for each dialect."""
    celebamask = [
        (
            str(number),
            f"`{name}`",
            _code(regions.regions_of("celebamask", name)),
            _code(regions.to_mare("celebamask", name)),
        )
        for number, name in enumerate(regions.CELEBAMASK)
    ]
    words = [(f"`{name}`", ", ".join(regions.KEYWORDS[name]), ", ".join(_ours(name)) or "–") for name in regions.MARE]
    forgerytalker = [(f"`{name}`", _code(regions.to_mare("forgerytalker", name))) for name in regions.FORGERYTALKER]
    mmtt = [
        (
            f"`{label}`",
            ", ".join(regions.SYNONYMS[label]),
            _code(regions.regions_of("mmtt", label)),
            _code(regions.to_mare("mmtt", label)),
        )
        for label in regions.MMTT
    ]
    ddvqa = [
        (f"`{name}`", _code(regions.regions_of("ddvqa", name)), _code(regions.to_mare("ddvqa", name)))
        for name in regions.DDVQA
    ]
    atoms = [
        (
            f"`{region.name}`",
            f"`{region.parent}`",
            "–" if regions.covering(region.name) == region.parent else f"`{regions.covering(region.name)}`",
            ", ".join(regions.CONCEPT_KEYWORDS.get(name, ())) or "–",
        )
        for name, region in sorted(
            {n.removeprefix("left_").removeprefix("right_"): _one_side(n) for n in regions.ATOMIC}.items()
        )
    ]
    return f"""# The regions of a face

<!-- Written by docs/draw_regions.py from src/facewitness/regions.py. Change those, then run it again. -->

One tree of concepts, from the face to its areas and their parts, and the names that papers and datasets use for them.
Left and right are the subject's: the left eye lies on the right of an upright picture.

![All regions on an average face](regions.svg)

## The tree

In brackets: what MARE's twelve call it, where that is another word. A part belongs to its area without having to lie
inside its outline. The idea of the tree is Fake-in-Facext's (arXiv 2510.20531); only its abstract was at hand, so the
nodes are ours. `facewitness regions` prints this.

```
{regions.draw_tree()}
```

## Where the outlines come from

`polygons(name, landmarks)` reads MediaPipe Face Mesh's 468 points and returns rings in the same coordinates, to be
filled together by the even-odd rule: a ring inside another is a hole. Skin is the face's outline without eyes, brows
and lips, the beard is the lower face without the lips, and a region without an outline of its own (eyes, cheeks, ears)
is the sum of its parts.

- **On the mesh**: skin and its parts, eyes and lids, nose, mouth, teeth (the space between the lips, a sliver when they
  are closed), chin, jaw. The eyebrow is the mesh's, made wider by half of its height.
- **Beyond the mesh**: hair, hairline, ears and neck have no landmarks, nor has a beard's lower edge. They are laid at
  fixed multiples of distances inside the face, fitted to face parsings. They follow the face's place, size, rotation
  and roughly its pose, and say where such things usually are, not where this person's are.

How far they agree with the face parsings of CelebAMask-HQ (median IoU over 250 faces turned by less than 12°, printed
by `perf/regions.py`): face 0.82, nose 0.81, mouth 0.81, skin 0.78, lower lip 0.70, eyes 0.69, teeth 0.67, eyebrows
0.55, neck 0.55, upper lip 0.54; hair 0.39, as long hair is not reached (precision 0.87); ears 0.28, as hair hides most
in part. The extrapolated ones and the brows were fitted to such parsings, so theirs are not an independent measure.

The picture shows an average face: Face Mesh on 237 frontal portraits of CelebAMask-HQ and their mirror images, laid
over each other and averaged. It is in the package as `average_landmarks()`, for tests and drawings.

## MARE's twelve, and the words that name them

`mentioned(text)` finds these words, whole, in any number and case, and knows sides: "left eye" is one region, "eyes"
are two, "left and right eyebrows" are two, and a side never reaches another noun. The second column is MARE's Table 6
word for word; the third is ours.

{_table(("region", "Table 6", "and also"), words)}

## ForgeryTalker's 21

The paper speaks of 21 facial semantics and does not list them. These are ours, with sides.

{_table(("label", "MARE"), forgerytalker)}

## MMTT's 21

The labels of the published data, in the order of its vectors, as the authors' code has them: a caption has a label when
one of these words occurs in it (`captioned(text)`). They know no sides, and "brow" is the forehead there.

{_table(("label", "words", "region", "MARE"), mmtt)}

## The 112 atomic concepts

Fake-in-Facext's tree ends in 112 concepts that are divided no further; which, is not public, so these are ours
(`regions.ATOMIC`): of a brow its head, body and tail, of an eye the iris, the pupil, both whites, both corners, lashes
and lids. `named(text)` finds their titles and the words of the last column in a text; `hidden(landmarks)` says which of
all regions cannot be seen: turned away by the pose, or closed. *Lies in* is the area that holds the concept on an
average face, where that is not its parent. The mesh has no iris: it is laid over 39 % of the eye's width.

![Every level of the tree on the average face](concepts.png)

One picture a level, from the areas to the atomic concepts, by `python docs/draw_concepts.py` on scikit-image's
photograph of the astronaut Eileen Collins (NASA, public domain).

{_table(("concept", "part of", "lies in", "words besides its title"), atoms)}

## CelebAMask-HQ's 19

By class id. Its `l_` is the subject's left: so it is in 94 of 100 parsings (1,100 looked at), and in the others all
sides are exchanged. Its `mouth` is the inside of the mouth; `ear_r` is an earring, `neck_l` a necklace, and `eye_g` are
glasses.

{_table(("id", "class", "region", "MARE"), celebamask)}

## DD-VQA's topics

Its first question is about the whole image, the others about one of five topics.

{_table(("topic", "region", "MARE"), ddvqa)}
"""


def _one_side(name: str) -> regions.Region:
    """The region, or its left one where it has two."""
    return regions.REGIONS[name.replace("right_", "left_")]


def _ours(mare: str) -> list[str]:
    return [word for word, names in regions.MORE_KEYWORDS.items() if mare in names]


if __name__ == "__main__":
    here = Path(__file__).parent
    (here / "regions.svg").write_text(svg(), encoding="utf-8")
    (here / "regions.md").write_text(markdown(), encoding="utf-8")
