"""Follows people through a film: detections now and then, landmarks between, the same person joined across cuts.

    look       the detector looks at every judged frame, after each cut, where somebody was lost, and now and then
    follow     between, every `step` seconds, the mesh network alone goes on from where the landmarks were
    associate  detections belong to the people of the shot by place, motion and likeness, as a whole as cheaply as
               can be (the Hungarian method: Kuhn 1955, in the form of Jonker and Volgenant 1987)
    join       what ended and what begins is the same person where the two look alike far more than strangers do, were
               never seen at once, and nobody else comes near

Likeness is that of small pictures of the face, upright by its landmarks: the correlation of brightness less the
difference in colour. On 446 genuine frames of 56 clips, cut out and put before other backgrounds (LOG.md), it tells a
clip's person from others with an AUC of 0.988; of sets of four frames, at the threshold for joining, 0.1 % of pairs of
strangers pass and 98 % of the same. It is no face recognition: somebody in quite other light is another person here.

People who are seen briefly or are tiny are counted, not judged. `find`, for a photo, is the finder's underneath.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness import plugins
from facewitness.errors import InputError
from facewitness.film import Film, Seen
from facewitness.geometry import align, crop, iou
from facewitness.types import Box, Clip, Face, Frame, Track

Floats = NDArray[np.float32]

_MANY = 60  # people; among more nobody is joined at the end
_ALIKE = 0.4  # likeness from which two tracks are joined across a cut
_LEAST = 0.15  # where the film's own strangers are less alike by _FAR, so much will do at its end
_FAR = 0.25
_MARGIN = 0.04  # and by which the next person has to be behind
_SAME_SHOT = 0.1  # likeness that the same person keeps from one look to the next
_PATIENCE = 1.5  # seconds that somebody lost is waited for in the same shot
_PASSING = 0.7  # seconds: who is seen for less is counted, not judged
_TINY = 48.0  # pixels, the same for the shorter side of the face


class Tracks:
    """Finds people in films; in photos it is the finder below.

    Args:
        finder: Name of a leaf in `finders/`, or an object with `find(frame)`; with `follow` it is quicker and surer.
        people: At most so many are judged, those longest on screen.
        step: Seconds between the frames that people are followed by.
        look: Seconds between two looks of the detector.
    """

    name = "tracks"

    def __init__(self, *, finder: Any = "facemesh", people: int = 8, step: float = 0.2, look: float = 0.8):
        if people < 1 or not 0 < step <= look:
            raise InputError(
                f"tracks: expected people of at least 1 and 0 < step <= look, got people={people}, step={step}, "
                f"look={look}"
            )
        self.finder = plugins.load("finders", finder, {}) if isinstance(finder, str) else finder
        self.people, self.step, self.look = people, step, look

    def made_by(self) -> Mapping[str, Any]:
        """Options, and those of the finder below.

        Returns:
            JSON-ready.
        """
        below = self.finder.made_by() if hasattr(self.finder, "made_by") else {}
        return {
            "options": {"people": self.people, "step": self.step, "look": self.look, **below.get("options", {})},
            "weights": below.get("weights", {}),
        }

    def find(self, frame: Frame) -> tuple[Face, ...]:
        """All faces of a frame, as the finder below gives them.

        Args:
            frame: One frame, RGB.
        """
        faces: tuple[Face, ...] = self.finder.find(frame)
        return faces

    def track(self, clip: Clip) -> Iterator[Track]:
        """The people of a clip, those longest on screen first; of a photo each face, in the finder's order.

        Args:
            clip: The file's pixels; a photo is a clip of one frame.
        """
        if not isinstance(clip, Film):
            yield from (Track(number, (face,)) for number, face in enumerate(self.find(clip.frame)))
            return
        following = _Following(self.finder, self.look)
        for seen in clip.watch(self.step):
            following.see(seen)
        people = following.end()
        judged, passing = _worth_judging(people, clip.seconds)
        if len(judged) > self.people:
            clip.remark(
                f"The film shows {len(judged)} people; the {self.people} who are longest on screen were judged. "
                "Raise people (--option tracks.people=…) for more."
            )
        if passing:
            whom = "One more person was" if passing == 1 else f"{passing} more people were"
            clip.remark(f"{whom} too small, or seen too briefly, to be judged.")
        for number, person in enumerate(judged[: self.people]):
            faces = sorted((face for track in person.tracks for face in track.faces), key=lambda face: face.at.index)
            bursts = sorted((b for track in person.tracks for b in track.bursts), key=lambda b: b[0].at.index)
            yield Track(number, tuple(faces), tuple(tuple(burst) for burst in bursts if len(burst) > 1))


def load(*, finder: Any = "facemesh", people: int = 8, step: float = 0.2, look: float = 0.8) -> Tracks:
    """The finder for films; see `Tracks` for the options.

    Args:
        finder: Name of a leaf of finders/, or an object with `find(frame)`; with `follow` it is quicker and surer.
        people: At most so many are judged, those longest on screen.
        step: Seconds between the frames that people are followed by.
        look: Seconds between two looks of the detector.
    """
    return Tracks(finder=finder, people=people, step=step, look=look)


# ----------------------------------------------------------------------------------------------------------- likeness


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """What a face looks like, small enough to keep; nothing of it is behind the person."""

    inside: Floats  # (672,), brightness of the upright face, of mean 0 and length 1
    whole: Floats  # (90,), the same with some of the hair, coarser
    colour: Floats  # (184,), shares of red and green
    light: Floats  # (270,), logarithms of red, green and blue

    @classmethod
    def of(cls, frame: Frame, face: Face) -> Looks:
        """Of a face in its frame.

        Args:
            frame: One frame, RGB.
            face: In this frame.
        """
        where: Any = face.box if face.landmarks is None else face.landmarks
        near = crop(frame.pixels, align(where, 32, 1.0), 32).astype(np.float32)
        close = _coarse(crop(frame.pixels, align(where, 24, 1.0), 24))[_FACE]
        wide = _coarse(crop(frame.pixels, align(where, 24, 1.3), 24))[_HEAD]
        shares = close[:, :2] / (close.sum(axis=1, keepdims=True) + 30)
        return cls(
            _standard((near @ _LUMA)[2:-2, 4:-4]),
            _standard(wide @ _LUMA),
            20 * shares.ravel(),
            np.log(wide + 20).ravel(),
        )

    def like(self, other: Looks) -> float:
        """1.0 for the same picture; 0.1 or more for a person's other frames, 0.24 or less for strangers, nearly always.

        The weights are those of a logistic regression on pairs of the frames named above.

        Args:
            other: Another face's looks.
        """
        colour, light = (
            float(np.sqrt(np.mean((mine - theirs) ** 2)))
            for mine, theirs in ((self.colour, other.colour), (self.light, other.light))
        )
        alike = 0.33 * float(self.inside @ other.inside) + 0.67 * float(self.whole @ other.whole)
        return alike - 0.47 * colour - 0.9 * light


_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def _ellipse(wide: float, high: float, up: float) -> NDArray[np.bool_]:
    y, x = (np.mgrid[0:12, 0:12] + 0.5) / 6 - 1
    return (x / wide) ** 2 + ((y + up) / high) ** 2 < 1


_FACE, _HEAD = _ellipse(0.8, 1.0, 0.0), _ellipse(0.8, 1.0, 0.05)


def _coarse(picture: NDArray[np.uint8]) -> Floats:
    """(24, 24, 3) as the means of (12, 12, 3)."""
    return np.asarray(picture.astype(np.float32).reshape(12, 2, 12, 2, 3).mean(axis=(1, 3)))


def _standard(picture: Floats) -> Floats:
    flat = picture.ravel() - picture.mean()
    flat /= picture.std() + 3
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-6), np.float32)


# ---------------------------------------------------------------------------------------------------------- following


@dataclass(slots=True, eq=False)
class _Piece:
    """One person in one shot, from when they are first seen to when they are lost."""

    last: Face
    looks: list[Looks]  # the first, and later ones that differ, at most _BANK
    since: float  # seconds
    until: float
    speed: tuple[float, float] = (0.0, 0.0)  # pixels a second
    faces: list[Face] = field(default_factory=list)  # in judged frames
    bursts: list[list[Face]] = field(default_factory=list)
    present: bool = True
    unseen: int = 0  # looks of the detector in a row that did not show them, though the mesh went on
    sizes: list[float] = field(default_factory=list)

    def expected(self, seconds: float) -> Box:
        """Where the face should be."""
        wait = min(seconds - self.until, 0.6)
        dx, dy = self.speed[0] * wait, self.speed[1] * wait
        x1, y1, x2, y2 = self.last.box
        return (x1 + dx, y1 + dy, x2 + dx, y2 + dy)

    def like(self, looks: Looks) -> float:
        return max(mine.like(looks) for mine in self.looks)

    def moved(self, face: Face, looks: Looks | None, seconds: float) -> None:
        wait = seconds - self.until
        if wait > 0:
            (ax, ay), (bx, by) = _centre(self.last.box), _centre(face.box)
            share = 0.5 if self.present else 0.0
            self.speed = (
                share * self.speed[0] + (1 - share) * (bx - ax) / wait,
                share * self.speed[1] + (1 - share) * (by - ay) / wait,
            )
        if looks is not None and len(self.looks) < _BANK and self.like(looks) < 0.75:
            self.looks.append(looks)
        self.last, self.until, self.present = face, seconds, True
        if len(self.sizes) < 500:
            self.sizes.append(_side(face.box))


_BANK = 6


@dataclass(slots=True, eq=False)
class _Person:
    """One person over the whole film."""

    tracks: list[_Piece]

    def alone(self, piece: _Piece) -> bool:
        """Whether a piece was never seen at the same time."""
        return all(piece.since > other.until or piece.until < other.since for other in self.tracks)

    def like(self, piece: _Piece) -> float:
        """The mean of the best pairs of looks: one lucky pair joins nobody."""
        pairs = sorted(mine.like(looks) for track in self.tracks for mine in track.looks for looks in piece.looks)
        return float(np.mean(pairs[-3:]))

    @property
    def seconds(self) -> float:
        return sum(track.until - track.since for track in self.tracks)

    @property
    def side(self) -> float:
        return float(np.median([side for track in self.tracks for side in track.sizes]))


class _Following:
    """One pass over a film."""

    def __init__(self, finder: Any, look: float):
        self.finder, self.look = finder, look
        self.live: list[_Piece] = []
        self.people: list[_Person] = []
        self.next_look = -1.0
        self.size = (0, 0)

    def see(self, seen: Seen) -> None:
        """Go on with the next frame."""
        frame, now = seen.frame, seen.frame.seconds or 0.0
        if seen.cut or self.size not in ((0, 0), (frame.width, frame.height)):
            for piece in self.live:
                self._ended(piece)
            self.live, self.next_look = [], -1.0
        self.size = (frame.width, frame.height)
        lost = self._go_on(seen, now)
        if seen.judged or lost or now >= self.next_look:
            self._take_in(self.finder.find(frame), seen, now)
            self.next_look = now + self.look
        for piece in [p for p in self.live if now - p.until > _PATIENCE or p.unseen > 2]:
            self.live.remove(piece)
            self._ended(piece)

    def _go_on(self, seen: Seen, now: float) -> bool:
        """Follow everybody by their landmarks. Returns whether somebody was lost."""
        frame, here = seen.frame, [piece for piece in self.live if piece.present]
        if not hasattr(self.finder, "follow"):
            return bool(here)
        can = [piece for piece in here if piece.last.landmarks is not None]
        lost = len(can) < len(here)
        exact = seen.judged or seen.burst
        moved = self.finder.follow(frame, [_shifted(piece, now) for piece in can], checked=exact)
        taken: list[tuple[_Piece, Face, Looks, float]] = []
        for piece, face in zip(can, moved, strict=True):
            looks = None if face is None else Looks.of(frame, face)
            like = -1.0 if looks is None else piece.like(looks)
            if face is None or looks is None or like < _SAME_SHOT or iou(piece.expected(now), face.box) < 0.15:
                piece.present, lost = False, True
                continue
            taken.append((piece, face, looks, like))
        taken.sort(key=lambda entry: -entry[3])
        kept: list[Box] = []
        for piece, face, looks, _ in taken:
            if any(iou(face.box, box) > 0.5 for box in kept):  # two on one face: the one whom it resembles stays
                piece.present, lost = False, True
                continue
            kept.append(face.box)
            piece.moved(face, looks, now)
            if exact and not seen.judged:
                _into_burst(piece, face)
            if seen.judged:
                piece.faces.append(face)
                piece.bursts.append([face])
        return lost

    def _take_in(self, faces: Sequence[Face], seen: Seen, now: float) -> None:
        """Give what the detector sees to those who are followed; whoever is new begins."""
        looks = [Looks.of(seen.frame, face) for face in faces]
        costs = np.full((len(self.live), len(faces)), _NEVER)
        for i, piece in enumerate(self.live):
            expected, gone = piece.expected(now), now - piece.until
            for j, face in enumerate(faces):
                overlap, like = iou(expected, face.box), piece.like(looks[j])
                away = _apart(expected, face.box)
                near = overlap > 0.1 or away < 0.8 + 2.5 * gone
                alike = like > (_SAME_SHOT - 0.15 * overlap if gone < 0.5 else _SAME_SHOT + 0.1)
                if near and (alike or (face.landmarks is None and overlap > 0.5)):
                    costs[i, j] = (1 - overlap) + 1.5 * (1 - like) + 0.2 * min(away, 3)
        pairs = {j: i for i, j in assigned(costs) if costs[i, j] < _NEVER}
        for piece in self.live:
            if piece.present:
                piece.unseen += 1
        for j, face in enumerate(faces):
            if j in pairs:
                piece = self.live[pairs[j]]
                piece.unseen = 0
                already = piece.present and piece.until == now
                piece.moved(face, looks[j], now)
                if seen.judged:
                    if already and piece.faces and piece.faces[-1].at.index == face.at.index:
                        piece.faces[-1], piece.bursts[-1] = face, [face]
                    else:
                        piece.faces.append(face)
                        piece.bursts.append([face])
            elif not any(iou(face.box, piece.last.box) > 0.5 and piece.until == now for piece in self.live):
                new = _Piece(face, [looks[j]], now, now, sizes=[_side(face.box)])
                if seen.judged:
                    new.faces.append(face)
                    new.bursts.append([face])
                self.live.append(new)

    def _ended(self, piece: _Piece) -> None:
        """Join a piece to the person it belongs to; it is somebody new where that is not clear."""
        ranked = sorted(((p.like(piece), i) for i, p in enumerate(self.people) if p.alone(piece)), reverse=True)
        if ranked and ranked[0][0] > _ALIKE and (len(ranked) < 2 or ranked[0][0] - ranked[1][0] > _MARGIN):
            self.people[ranked[0][1]].tracks.append(piece)
        else:
            self.people.append(_Person([piece]))

    def end(self) -> list[_Person]:
        """Everybody who was seen."""
        for piece in self.live:
            self._ended(piece)
        self.live = []
        return _united(self.people)


def _united(people: list[_Person]) -> list[_Person]:
    """People of whom more has been seen now: those who turn out to be one are joined, the most alike first.

    How alike they have to be is told by the film itself where it can be: people who are seen at once are strangers, and
    in a film in which these are far from alike, less will do. Two stay apart where somebody who was seen beside one of
    them resembles the other about as much.
    """
    if len(people) > _MANY:
        return people
    people, apart = list(people), set[tuple[int, int]]()
    known: dict[tuple[int, int, int, int], float] = {}

    def alike(a: _Person, b: _Person) -> float:
        key = (id(a), len(a.tracks), id(b), len(b.tracks))
        if key not in known:
            known[key] = _alike(a, b)
        return known[key]

    while True:
        pairs = [(a, b) for i, a in enumerate(people) for b in people[:i]]
        beside = {(id(a), id(b)) for a, b in pairs if not all(b.alone(piece) for piece in a.tracks)}
        strangers = max((alike(a, b) for a, b in pairs if (id(a), id(b)) in beside), default=np.inf)
        enough = min(_ALIKE, max(_LEAST, strangers + _FAR))
        open_pairs = [(a, b) for a, b in pairs if (id(a), id(b)) not in beside | apart]
        best = max(open_pairs, key=lambda pair: alike(*pair), default=None)
        if best is None or alike(*best) < enough:
            return people
        a, b = best
        rivals = [
            alike(one, other)
            for one, twin in ((a, b), (b, a))
            for other in people
            if other is not a
            and other is not b
            and ((id(twin), id(other)) in beside or (id(other), id(twin)) in beside)
        ]
        if alike(a, b) - max(rivals, default=-np.inf) < _MARGIN:
            apart.add((id(a), id(b)))
            continue
        b.tracks += a.tracks
        people.remove(a)


def _alike(a: _Person, b: _Person) -> float:
    pairs = sorted(x.like(y) for first in a.tracks for x in first.looks for second in b.tracks for y in second.looks)
    return float(np.mean(pairs[-3:]))


def _worth_judging(people: list[_Person], length: float) -> tuple[list[_Person], int]:
    """Those who are judged, longest on screen first, and how many are only counted."""
    with_faces = [p for p in people if any(track.faces for track in p.tracks)]
    fit = [p for p in with_faces if p.side >= _TINY and (p.seconds >= _PASSING or length < 3 * _PASSING)]
    fit = fit or with_faces  # nobody better is there
    return sorted(fit, key=lambda person: -person.seconds), len(people) - len(fit)


def _into_burst(piece: _Piece, face: Face) -> None:
    if piece.bursts and piece.bursts[-1][-1].at.index == face.at.index - 1:
        piece.bursts[-1].append(face)


def _shifted(piece: _Piece, now: float) -> Any:
    """A piece's landmarks where they should be now."""
    assert piece.last.landmarks is not None
    (ax, ay), (bx, by) = _centre(piece.last.box), _centre(piece.expected(now))
    moved = piece.last.landmarks.copy()
    moved[:, 0] += bx - ax
    moved[:, 1] += by - ay
    return moved


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _side(box: Box) -> float:
    return min(box[2] - box[0], box[3] - box[1])


def _apart(a: Box, b: Box) -> float:
    """The distance of two faces, in widths of a face."""
    (ax, ay), (bx, by) = _centre(a), _centre(b)
    return float(np.hypot(ax - bx, ay - by)) / max(1.0, (_side(a) + _side(b)) / 2)


# -------------------------------------------------------------------------------------------------------- assignment

_NEVER = 1e6


def assigned(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The pairs (row, column) of least total cost, as many as there are rows or columns, whichever is less.

    Shortest augmenting paths (Jonker and Volgenant 1987): rows are added one by one, and prices on rows and columns
    keep the solution so far the cheapest. O(n³) for (n, m) costs.

    Args:
        costs: (n, m), of joining row and column.

    Returns:
        (row, column) of each pair.
    """
    rows, columns = costs.shape
    if rows == 0 or columns == 0:
        return []
    if rows > columns:
        return [(row, column) for column, row in assigned(costs.T)]
    price_row, price = np.zeros(rows + 1), np.zeros(columns + 1)
    owner, way = np.zeros(columns + 1, int), np.zeros(columns + 1, int)  # row of each column, from 1; 0 is nobody
    for row in range(1, rows + 1):
        owner[0], column = row, 0
        least, used = np.full(columns + 1, np.inf), np.zeros(columns + 1, bool)
        while owner[column] != 0:
            used[column] = True
            reduced = costs[owner[column] - 1] - price_row[owner[column]] - price[1:]
            better = ~used[1:] & (reduced < least[1:])
            least[1:][better], way[1:][better] = reduced[better], column
            following = int(np.argmin(np.where(used[1:], np.inf, least[1:]))) + 1
            step = least[following]
            price_row[owner[used]] += step
            price[used] -= step
            least[~used] -= step
            column = following
        while column:
            owner[column] = owner[way[column]]
            column = int(way[column])
    return [(int(owner[column]) - 1, column - 1) for column in range(1, columns + 1) if owner[column]]
