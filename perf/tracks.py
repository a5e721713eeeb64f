"""How well people are followed through films: identity switches and faces missed, on films composed for it.

    python perf/tracks.py TABLE.parquet [--films 12] [--seed 0] [--split val]
    python perf/tracks.py FOLDER        a folder with a folder of portraits for each person
    python perf/tracks.py … --judge     the default analysis of each film besides: its people are genuine, so who is
                                        called fake is a false alarm

Two to six people of the table's genuine pictures (the column `group` names a person) move over backgrounds, cross,
turn away and come back; three shots a film, somebody missing in the later ones. Four frames a second are judged.

    missed      visible faces that no judged person's track has, of all visible faces
    switched    visible faces that a track has which is not that of the person (each person is given the one track that
                fits most of their faces, no track two people), of all that are in a track
    joined      people whose faces, over all shots, lie in one track; the rest were kept apart where it was not clear
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image

from facewitness import film
from facewitness.bench.composed import Portrait, Where, compose
from facewitness.finders import facemesh, tracks
from facewitness.geometry import iou
from facewitness.pipeline import Analyzer
from facewitness.types import Frame, Track


def portraits_of(source: Path, split: str | None, each: int = 4) -> list[list[Portrait]]:
    """People with their portraits: at most `each`, evenly chosen."""
    pictures: dict[str, list[bytes]] = defaultdict(list)
    if source.is_dir():
        for file in sorted(source.glob("*/*")):
            pictures[file.parent.name].append(file.read_bytes())
    else:
        import pyarrow.parquet as pq

        for row in pq.read_table(source, columns=["label", "group", "image", "split"]).to_pylist():
            if row["label"] == "real" and split in (None, row["split"]):
                pictures[row["group"]].append(row["image"])
    finder, people = facemesh.load(), []
    for group in sorted(pictures):
        portraits = []
        for index in np.linspace(0, len(pictures[group]) - 1, min(each, len(pictures[group]))).astype(int):
            pixels = np.asarray(Image.open(io.BytesIO(pictures[group][index])).convert("RGB"))
            faces = finder.find(Frame(pixels))
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


def main() -> None:
    """Compose, follow, count."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("faces", type=Path)
    parser.add_argument("--films", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", default=None)
    parser.add_argument("--judge", action="store_true", help="analyse the films too, 32 frames each")
    parser.add_argument("--keep", type=Path, help="a folder for the films; else they are removed")
    given = parser.parse_args()
    people = portraits_of(given.faces, given.split)
    print(f"{len(people)} people with {sum(map(len, people))} portraits")
    finder, total = tracks.load(), Counter[str]()
    cut_hits: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    analyzer = Analyzer() if given.judge else None
    with tempfile.TemporaryDirectory() as name:
        folder = given.keep or Path(name)
        for number in range(given.films):
            rng = np.random.default_rng((given.seed, number))
            chosen = [people[int(i)] for i in rng.choice(len(people), size=2 + number % 5, replace=False)]
            path = folder / f"{number:03}.mp4"
            truth, cuts = filmed(path, chosen, rng, given.seconds)
            start = time.perf_counter()
            clip = film.read(path, film.Sampling(fps=4))
            found = list(finder.track(clip))
            took = time.perf_counter() - start
            judged = [at.index for at in clip.refs()]
            counts = counted(found, truth, judged)
            seen = [seen.frame.index for seen in clip.watch(0.04) if seen.cut]
            cut_hits["cuts"] += len(cuts)
            cut_hits["hit"] += sum(any(abs(c - s) <= 1 for s in seen) for c in cuts)
            cut_hits["false"] += sum(not any(abs(c - s) <= 1 for c in cuts) for s in seen)
            total += counts
            if analyzer is not None:
                labels.update(person.verdict.label for person in analyzer.analyze(path).people)
            print(f"{number:3} {len(chosen)} people, {len(found)} tracks, {took:5.1f} s", dict(counts), flush=True)
    print(f"missed     {1 - total['tracked'] / total['visible']:.1%} of {total['visible']} visible faces")
    print(f"switched   {1 - total['right'] / total['tracked']:.1%} of {total['tracked']}")
    print(f"           of that in tracks that mix people: {total['mixed'] / total['tracked']:.1%}")
    print(f"joined     {total['joined']} of {total['people']} people lie in one track")
    if analyzer is not None:
        judged_people = sum(labels.values())
        print(
            f"verdicts   {dict(labels)} of {judged_people} genuine people; fake: {labels['fake'] / judged_people:.1%}"
        )
    print(f"cuts       {cut_hits['hit']} of {cut_hits['cuts']} seen, {cut_hits['false']} that are none")


if __name__ == "__main__":
    main()
