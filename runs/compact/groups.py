"""Errors of the compact witness by group: age, sex, skin, domain, camera, size of face, compression.

    python runs/compact/groups.py --data DIR [--model compact.onnx] [--groups groups.json] [--limit 40] [--jobs 2]

`val` rows, each file as it came; for compression also as it travels (at most 768 px, JPEG 60; at most 512 px, JPEG 40).
Age, sex and skin are what the sources' file names say: UTKFace's age, sex and race, All-Age-Faces' age, the Chicago
Face Database's sex and race, and the words that pictures of `pollinations` were asked for with. UTKFace is taken whole.
A camera is what EXIF names.

Of each group: how many genuine faces are called fake and how many get "no sign of forgery", how many forgeries are
called fake and how many get "no sign", with 95 % intervals (Wilson 1927). Rows of one person or clip are no independent
draws, so an interval counts groups of rows where there are fewer of them than rows. Writes `groups.md` and
`groups.json`; `card.py` puts them beside the weights.
"""

from __future__ import annotations

import argparse
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from evaluate import Row, chosen, predictions
from PIL import Image

from facewitness import plugins
from facewitness.apps.script import script
from facewitness.metadata import jpeg
from facewitness.types import Sample

AGES = ((0, 9), (10, 19), (20, 39), (40, 59), (60, 200))
_AGE_WORDS = {"child": 5, "teen": 15, "young adult": 25, "middle-aged": 50, "elderly": 70, "senior": 70, "old": 70}
_SEX_OF = {"0": "male", "1": "female"}  # UTKFace
_SKIN = {"0": "White", "1": "Black", "2": "Asian", "3": "Indian", "4": "others"}
_CFD = {"A": "Asian", "B": "Black", "L": "Latino", "W": "White", "I": "Indian", "M": "others"}
_SIZES = ((0, 64), (64, 96), (96, 128), (128, 192), (192, 10_000))
_QUALITIES = ((0, 75), (75, 85), (85, 95), (95, 101))
BY = ("age", "sex", "skin", "domain", "camera", "size of face", "compression")


def labels(sample: Sample) -> Iterator[tuple[str, str]]:
    """What is known of a picture before anybody looks at it: (by, group)."""
    name = Path(sample.file).name
    yield "domain", sample.dataset
    if sample.dataset == "utkface" and (m := re.match(r"(\d+)_([01])_([0-4])_", name)):
        yield "age", _aged(int(m[1]))
        yield "sex", _SEX_OF[m[2]]
        yield "skin", _SKIN[m[3]]
    elif sample.dataset == "aaf" and (m := re.match(r"\d+A(\d+)", name)):
        yield "age", _aged(int(m[1]))
    elif sample.dataset == "cfd_edit" and (m := re.match(r"CFD-([ABLWIM])([FM])-", name)):
        yield "skin", _CFD[m[1]]
        yield "sex", {"F": "female", "M": "male"}[m[2]]
    elif sample.dataset == "pollinations":
        words = name.lower().replace("_", " ")
        if (age := next((a for w, a in _AGE_WORDS.items() if w in words), None)) is not None:
            yield "age", _aged(age)
        if m := re.search(r"\b(fe)?male\b", words):
            yield "sex", m[0]
    yield "camera", _camera(sample.image or b"")


def _aged(years: int) -> str:
    low, high = next(span for span in AGES if span[0] <= years <= span[1])
    return f"{low} and older" if high == 200 else f"{low} to {high}"


def _camera(image: bytes) -> str:
    exif = Image.open(io.BytesIO(image)).getexif()
    named = " ".join(str(exif[tag]).strip() for tag in (271, 272) if exif.get(tag))
    return named[:60] or "none named"


def quality(image: bytes) -> int | None:
    """The quality that a file was saved with, by libjpeg or mozjpeg; None of other tables and of what is no JPEG."""
    table = getattr(Image.open(io.BytesIO(image)), "quantization", {}).get(0)
    return None if table is None else jpeg.tables(tuple(table)).quality


def measured_labels(row: Row, encoded: bytes) -> Iterator[tuple[str, str]]:
    """What the file says when it is looked at: size of the face, and how it was saved."""
    if row["side"] is not None and row["condition"] == "file":
        low, high = next(span for span in _SIZES if span[0] <= row["side"] < span[1])
        yield "size of face", f"{low} px and more" if high == 10_000 else f"{low} to {high} px"
    if row["condition"] == "file":
        q = quality(encoded)
        low, high = next(span for span in _QUALITIES if span[0] <= (q or 0) < span[1])
        yield "compression", "as it came, other tables" if q is None else f"as it came, JPEG {low} to {high - 1}"
    else:
        yield (
            "compression",
            {"travel:768": "at most 768 px, JPEG 60", "travel:512": "at most 512 px, JPEG 40"}[row["condition"]],
        )


def wilson(hits: float, n: float) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    z, share = 1.959964, hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def share(rows: Sequence[Row], verdict: str) -> dict[str, Any] | None:
    """How many rows got a verdict, and its interval, by groups of rows where there are fewer."""
    if not rows:
        return None
    hits = sum(r["verdict"] == verdict for r in rows) / len(rows)
    people = len({(r["source"], r["group"]) for r in rows})
    low, high = wilson(hits * people, people)
    return {"share": hits, "interval": [low, high]}


def table(rows: Sequence[tuple[Row, Mapping[str, str]]]) -> list[dict[str, Any]]:
    """One entry a group, in the order of BY."""
    members: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row, known in rows:
        for by, group in known.items():
            members[by, group].append(row)
    out = []
    for (by, group), its in sorted(members.items(), key=lambda item: (BY.index(item[0][0]), _sortable(item[0][1]))):
        genuine = [r for r in its if r["label"] == "real" and r["score"] is not None]
        fakes = [r for r in its if r["label"] == "fake" and r["score"] is not None]
        out.append({
            "by": by, "group": group, "genuine": len(genuine), "fakes": len(fakes),
            "no_face": len(its) - len(genuine) - len(fakes),
            "genuine_called_fake": share(genuine, "fake"), "genuine_no_sign": share(genuine, "real"),
            "fakes_called_fake": share(fakes, "fake"), "fakes_no_sign": share(fakes, "real"),
        })  # fmt: skip
    return out


def _sortable(group: str) -> tuple[int, str]:
    number = re.search(r"\d+", group)
    return (int(number[0]) if number and group[0].isdigit() else -1, group)


def page(found: Sequence[Mapping[str, Any]], model: str) -> str:
    """The groups as Markdown."""
    out = [
        "# Errors by group", "",
        f"Written by `groups.py`; weights `{model}`. Shares of faces with 95 % intervals; goal: genuine called fake at "
        "most 5 % in each. Labels are the sources' own (UTKFace: age, sex, race; All-Age-Faces: age; Chicago Face "
        "Database: sex, race; what `pollinations` was asked for), and nobody checked them. No file of the pool names a "
        "camera in EXIF unless a row says so: errors by camera cannot be measured on it.", "",
        *lines(found),
    ]  # fmt: skip
    return "\n".join(out) + "\n"


def lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table itself."""
    out = [
        "| | group | genuine | called fake | no sign | forged | called fake | no sign |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for entry in found:
        out.append(
            f"| {entry['by']} | {entry['group']} | {entry['genuine']} | {_shown(entry['genuine_called_fake'])} | "
            f"{_shown(entry['genuine_no_sign'], False)} | {entry['fakes']} | "
            f"{_shown(entry['fakes_called_fake'], False)} | {_shown(entry['fakes_no_sign'])} |"
        )
    return out


def _shown(value: Mapping[str, Any] | None, interval: bool = True) -> str:
    if value is None:
        return ""
    low, high = value["interval"]
    return f"{value['share']:.0%}" + (f" ({low:.0%}–{high:.0%})" if interval else "")


def main() -> None:
    """Predict, count, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", help="another ONNX file; default: the shipped weights")
    parser.add_argument("--groups", type=Path, help="JSON of source/file -> group, as people.py writes it")
    parser.add_argument("--limit", type=int, default=40, help="rows of each source and label; UTKFace is taken whole")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    given = parser.parse_args()
    people = json.loads(given.groups.read_text()) if given.groups else None
    every = chosen(given.data, "val", None, people)
    counts: dict[tuple[str, str], int] = defaultdict(int)
    todo = []
    for sample in every:
        key = (sample.dataset, sample.truth.label)
        counts[key] += 1
        if counts[key] <= given.limit or sample.dataset == "utkface":
            todo.append((sample, sample, None, "file"))
        if counts[key] <= given.limit // 2:
            todo += [(sample, sample, None, f"travel:{how}") for how in ("768", "512")]
    by_file = {(s.dataset, s.file): s for s in every}
    rows = predictions(todo, given.model, "groups", given.jobs)
    told = []
    for row in rows:
        sample = by_file[row["source"], row["file"]]
        known = dict(labels(sample)) if row["condition"] == "file" else {}
        told.append((row, {**known, **dict(measured_labels(row, sample.image or b""))}))
    found = table(told)
    sha256 = plugins.get("witnesses", "compact").load(model=given.model).facts["sha256"]
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "groups.json").write_text(json.dumps({"weights": sha256, "groups": found}, indent=1) + "\n")
    (given.out / "groups.md").write_text(page(found, sha256[:12]))
    print(page(found, sha256[:12]))


if __name__ == "__main__":
    script(main)
