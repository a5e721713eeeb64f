"""How well people are followed through films: identity switches and faces missed, on films composed for it.

    python perf/tracks.py TABLE.parquet [TABLE.parquet …] [--films 12] [--seed 0] [--split val]
    python perf/tracks.py FOLDER        a folder with a folder of portraits for each person
    python perf/tracks.py … --judge     the default analysis of each film besides: its people are genuine, so who is
                                        called fake is a false alarm
    python perf/tracks.py … --lines FILE   a line of JSON a film; films that are in it are not made again

Two to six people of genuine pictures (the column `group` names a person) move over backgrounds, cross, turn away and
come back; three shots a film, somebody missing in the later ones. The people of one film come from one `source`, and
the sources take turns; nobody is in two films while others are left. Four frames a second are judged.

    missed      visible faces that no judged person's track has, of all visible faces
    switched    visible faces that a track has which is not that of the person (each person is given the one track that
                fits most of their faces, no track two people), of all that are in a track
    joined      people whose faces, over all shots, lie in one track; the rest were kept apart where it was not clear
    fake        people called fake, with Wilson's 95 % interval (1927)
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from facewitness import film
from facewitness.bench.composed import Portrait, Where, compose
from facewitness.finders import facemesh, tracks
from facewitness.geometry import iou
from facewitness.pipeline import Analyzer
from facewitness.types import Frame, Track


def pictures_of(sources: Sequence[Path], split: str | None) -> dict[str, dict[str, list[bytes]]]:
    """source → person → encoded pictures of the genuine ones."""
    pictures: dict[str, dict[str, list[bytes]]] = defaultdict(lambda: defaultdict(list))
    for source in sources:
        if source.is_dir():
            for file in sorted(source.glob("*/*")):
                pictures[source.name][file.parent.name].append(file.read_bytes())
            continue
        import pyarrow.parquet as pq

        for row in pq.read_table(source, columns=["label", "source", "group", "image", "split"]).to_pylist():
            if row["label"] == "real" and split in (None, row["split"]):
                pictures[row["source"]][row["group"]].append(row["image"])
    return pictures


class Cast:
    """Hands out people of one source, each once before anybody comes again."""

    def __init__(self, pictures: dict[str, list[bytes]], seed: int, finder: Any, each: int = 4):
        self.pictures, self.finder, self.each = pictures, finder, each
        self.groups = [sorted(pictures)[int(i)] for i in np.random.default_rng(seed).permutation(len(pictures))]
        self.next = 0

    def take(self, count: int) -> list[list[Portrait]]:
        """So many people, or as many as the source has, with at most `each` portraits, evenly chosen."""
        people: list[list[Portrait]] = []
        for _ in range(len(self.groups)):
            if len(people) == count:
                break
            encoded = self.pictures[self.groups[self.next % len(self.groups)]]
            self.next += 1
            portraits = []
            for index in np.linspace(0, len(encoded) - 1, min(self.each, len(encoded))).astype(int):
                pixels = np.asarray(Image.open(io.BytesIO(encoded[index])).convert("RGB"))
                faces = self.finder.find(Frame(pixels))
                if faces and faces[0].landmarks is not None:
                    portraits.append(Portrait(pixels, faces[0].landmarks))
            if portraits:
                people.append(portraits)
        return people


def filmed(
    path: Path, people: Sequence[Sequence[Portrait]], rng: np.random.Generator, seconds: float
) -> tuple[list[tuple[Where, ...]], list[int]]:
    """Write a composed film; who is where in each frame, and where the shots begin."""
    truth, cuts = [], []
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "veryfast", "crf": "23"})
        stream.pix_fmt = "yuv420p"
        for index, (pixels, places, begins) in enumerate(compose(people, rng, seconds=seconds)):
            if index == 0:
                stream.height, stream.width = pixels.shape[:2]
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = index
            out.mux(stream.encode(frame))
            truth.append(places)
            if begins and index:
                cuts.append(index)
        out.mux(stream.encode())
    return truth, cuts


def counted(found: Sequence[Track], truth: Sequence[tuple[Where, ...]], judged: Sequence[int]) -> Counter[str]:
    """Visible faces, those in a track, those in a wrong one; people, and those whose faces lie in one track."""
    by_frame: dict[int, list[tuple[int, tuple[float, float, float, float]]]] = defaultdict(list)
    for track in found:
        for face in track.faces:
            by_frame[face.at.index].append((track.person, face.box))
    counts: Counter[str] = Counter()
    together: Counter[tuple[int, int]] = Counter()
    for index in judged:
        for place in truth[index]:
            if not place.visible:
                continue
            counts["visible"] += 1
            best = max(by_frame[index], key=lambda other: iou(other[1], place.box), default=None)
            if best is not None and iou(best[1], place.box) > 0.35:
                together[place.person, best[0]] += 1
    people, numbers = sorted({p for p, _ in together}), sorted({t for _, t in together})
    fits = np.array([[together[p, t] for t in numbers] for p in people], float).reshape(len(people), len(numbers))
    counts["tracked"] = int(fits.sum())
    counts["right"] = int(sum(fits[i, j] for i, j in tracks.assigned(-fits)))
    counts["people"] = len(people)
    counts["joined"] = int(sum((row > 0).sum() == 1 for row in fits))
    # a track that holds two people mixes them; two tracks of one person only keep apart what is one
    counts["mixed"] = int(sum(column.sum() - column.max() for column in fits.T)) if fits.size else 0
    return counts


def interval(hits: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval (1927) of a share."""
    if of == 0:
        return 0.0, 1.0
    share, wide = hits / of, z * z / of
    middle = (share + wide / 2) / (1 + wide)
    half = z / (1 + wide) * np.sqrt(share * (1 - share) / of + wide / (4 * of))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def measured(path: Path, chosen: Sequence[Sequence[Portrait]], rng: np.random.Generator, seconds: float,
             finder: Any, analyzer: Analyzer | None) -> dict[str, int]:  # fmt: skip
    """One film composed, followed and, with an analyzer, judged: what is counted of it."""
    truth, cuts = filmed(path, chosen, rng, seconds)
    clip = film.read(path, film.Sampling(fps=4))
    found = list(finder.track(clip))
    counts = counted(found, truth, [at.index for at in clip.refs()])
    seen = [seen.frame.index for seen in clip.watch(0.04) if seen.cut]
    counts["cuts"] = len(cuts)
    counts["cuts seen"] = sum(any(abs(c - s) <= 1 for s in seen) for c in cuts)
    counts["cuts that are none"] = sum(not any(abs(c - s) <= 1 for c in cuts) for s in seen)
    counts["tracks"] = len(found)
    if analyzer is not None:
        report = analyzer.analyze(path)
        if report.status == "failed":
            sys.exit(report.problems[0].message)
        counts.update(f"called {person.verdict.label}" for person in report.people)
    return dict(counts)


def main() -> None:
    """Compose, follow, count."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("faces", type=Path, nargs="+")
    parser.add_argument("--films", type=int, default=12)
    parser.add_argument("--people", type=int, help="in each film; else two to six in turn")
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", default=None)
    parser.add_argument("--without", nargs="*", default=[], help="sources that are left out")
    parser.add_argument("--judge", action="store_true", help="analyse the films too, 32 frames each")
    parser.add_argument("--keep", type=Path, help="a folder for the films; else they are removed")
    parser.add_argument("--lines", type=Path, help="where each film's counts are written, and read again")
    given = parser.parse_args()
    pictures = pictures_of(given.faces, given.split)
    below, finder = facemesh.load(), tracks.load()
    casts = {name: Cast(pictures[name], given.seed, below) for name in sorted(pictures) if name not in given.without}
    analyzer = Analyzer() if given.judge else None
    done: dict[int, dict[str, Any]] = {}
    if given.lines is not None and given.lines.exists():
        done = {line["film"]: line for line in map(json.loads, given.lines.read_text().splitlines())}
    total: dict[str, Counter[str]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory() as name:
        folder = given.keep or Path(name)
        for number in range(given.films):
            source = list(casts)[number % len(casts)]
            cast, count = casts[source], given.people or 2 + number % 5
            if number in done:
                cast.next = done[number]["next"]
            else:
                chosen = cast.take(count)
                path, rng = folder / f"{number:03}.mp4", np.random.default_rng((given.seed, number))
                counts = measured(path, chosen, rng, given.seconds, finder, analyzer)
                done[number] = {"film": number, "source": source, "next": cast.next, "counts": counts}
                if given.lines is not None:
                    with given.lines.open("a") as lines:
                        lines.write(json.dumps(done[number]) + "\n")
                if given.keep is None:
                    path.unlink()
            print(f"{number:3} {source:18}", done[number]["counts"], flush=True)
            total[source].update(done[number]["counts"])
            total["all"].update(done[number]["counts"])
    for source, sums in total.items():
        tracked, visible, people = sums["tracked"], max(1, sums["visible"]), sums["people"]
        print(
            f"{source:18} missed {1 - tracked / visible:.1%} of {visible} visible faces, switched "
            f"{1 - sums['right'] / max(1, tracked):.1%} "
            f"(in tracks that mix people {sums['mixed'] / max(1, tracked):.1%}), "
            f"joined {sums['joined']} of {people} people"
        )
        if analyzer is not None:
            called = {label: sums[f"called {label}"] for label in ("real", "inconclusive", "fake")}
            low, high = interval(called["fake"], sum(called.values()))
            share = called["fake"] / max(1, sum(called.values()))
            print(f"{'':18} {called}; fake: {share:.1%} ({low:.1%} to {high:.1%})")
    sums = total["all"]
    print(f"cuts: {sums['cuts seen']} of {sums['cuts']} seen, {sums['cuts that are none']} that are none")


if __name__ == "__main__":
    main()
