"""MediaPipe's BlazeFace and Face Mesh (468 points) on a CPU: all faces of a picture, small, large and turned.

The two networks are MediaPipe's (Apache-2.0; BlazeFace: arXiv 1907.05047, Face Mesh: arXiv 1907.06724) and run in
LiteRT. What stands around them is ours:

    views     the detector sees squares of the picture: all of it, all of it with a wide border (faces that fill the
              frame), tiles (small faces), and the same turned (faces that lie on their side)
    scales    from the whole picture down to tiles in which the smallest face can be seen. Once a face was found, tiles
              of less than 300 px are looked at only where a tile twice as large suspects something: all of them would
              cost half again the time of a photo. Without a face, all of them are looked at
    meshes    a detection gets a mesh, then its final one on the square that the first proposes
    checks    the final mesh is believed as far as the network sees a face, the detector sees eyes, nose and mouth at
              the same places, and the network draws the same mesh again on a mirrored, wider view

The last check is what tells garbage. The network draws a well-shaped face on anything, so the distance to an average
face says next to nothing; but what it invents it does not invent twice. On 299 genuine faces and 1,611 half-covered
ones it alone tells the two apart with an AUC of 0.99 (`perf/finder.py` measures the sum of all checks).
Coordinates follow `geometry`: the centre of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from PIL import Image

from facewitness import weights
from facewitness.errors import InputError
from facewitness.finders import SHARPNESS_SIDE, blank, rate, sharpness
from facewitness.geometry import Affine, align, bounds, clip, compose, intersection, invert, iou, transform
from facewitness.regions import average_landmarks, mirrored_indices
from facewitness.types import Box, Face, Frame, Landmarks, Quality

Floats = NDArray[np.float32]
_Squares = list[tuple[float, float, float]]  # (centre x, centre y, size) in frame pixels

DETECTOR = "face_detection_short_range.tflite"
MESH = "face_landmark.tflite"

_VIEW = 128  # pixels, the side of the detector's input
_SMALLEST_IN_VIEW = 24  # pixels there; 97 % of faces of 20 px are found, 79 % of 16 px, 51 % of 14 px
_GRIDS = ((8, 2), (16, 6))  # stride in pixels, anchors a cell
_OVERLAP = 0.25  # of neighbouring tiles; a larger face is found one level up
_TURNS = (90.0, -90.0, 180.0)  # degrees; faces up to about 50° from one of them, or from upright, are seen
_ALWAYS = 300.0  # pixels: tiles of this size are looked at whatever was found; faces of 50 to 100 px are seen in them
_MOST_VIEWS = 12_000  # squares of a picture that are looked at; 200 million pixels have as many
# What a tile suspects: 61, 84 and 88 % of 120 faces of 12, 14 and 16 px in a view; 0.15 places in a view of textures
_SUSPECT = 0.3
_SUSPECT_WIDTH = 26.0  # pixels in the view: larger faces are seen there
_MOST_SUSPECTS = 200  # squares of a level
_SURE = 0.85  # upside-down faces score up to 0.8, three upright ones in four more than 0.85
_MESH_VIEW = 192
_MESH_MARGIN = 1.5  # what the mesh network sees: the face's box times this
_WIDE_MARGIN = 1.9  # what it sees when it is asked again

# BlazeFace's first four points (right eye, left eye, nose tip, mouth; the subject's sides) and the points of the mesh
# whose mean is the same place. Its ears are left out: on a turned head they are guessed.
_SAME_PLACE = ((33, 133), (362, 263), (4,), (13, 14))


@dataclass(frozen=True, slots=True, eq=False)
class _Detection:
    """A face as the detector sees it, in frame pixels."""

    score: float
    box: Box
    points: Floats  # (6, 2)

    @property
    def roll(self) -> float:
        x, y = self.points[1] - self.points[0]
        return float(np.degrees(np.arctan2(y, x)))


class _Network:
    """One TFLite file with float32 input (1, side, side, 3); loaded when it is first used, one caller at a time."""

    def __init__(self, file: str, threads: int):
        self.file, self.threads = file, threads
        self._lock = threading.Lock()
        self._interpreter: Interpreter | None = None

    @property
    def ready(self) -> bool:
        """Whether it has been loaded, and so checked."""
        return self._interpreter is not None

    def __call__(self, view: NDArray[np.uint8], divisor: float, shift: float) -> list[Floats]:
        """Outputs for view / divisor + shift, the smallest first, without the batch dimension."""
        with self._lock:
            if self._interpreter is None:
                content, _ = weights.read(self.file)
                with _without_greeting():
                    interpreter = Interpreter(model_content=content, num_threads=self.threads)
                    interpreter.allocate_tensors()
                self._input = interpreter.get_input_details()[0]["index"]
                outputs = sorted(interpreter.get_output_details(), key=lambda o: int(np.prod(o["shape"])))
                self._outputs = [o["index"] for o in outputs]
                self._interpreter = interpreter
            tensor = view[None].astype(np.float32)
            tensor /= divisor
            tensor += shift
            self._interpreter.set_tensor(self._input, tensor)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(i)[0] for i in self._outputs]


_GREETING = threading.Lock()  # one for the process, as file descriptor 2 is: two finders may load at once


@contextmanager
def _without_greeting() -> Iterator[None]:
    """LiteRT greets on file descriptor 2 when an interpreter is made; its errors come as exceptions all the same."""
    with _GREETING:
        yield from _hushed()


def _hushed() -> Iterator[None]:
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, ValueError, AttributeError):  # no standard error at all: nothing to hush
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


class _Pyramid:
    """A picture, its half, its quarter …, made when first asked for, so that a view that shrinks is not aliased."""

    def __init__(self, frame: Frame):
        self._levels = [Image.fromarray(frame.pixels)]

    def view(self, to_view: Affine, side: int) -> NDArray[np.uint8]:
        """What an affine map (frame to view) shows, (side, side, 3); black beyond the picture."""
        back = invert(to_view)
        level = int(max(0.0, np.floor(np.log2(_scale(back)) + 0.25)))
        while len(self._levels) <= level:
            self._levels.append(self._levels[-1].reduce(2))
        back = back / 2.0**level
        whole = self._levels[level]
        left, top = back[:, 2]
        if np.array_equal(back[:, :2], np.eye(2)) and left == int(left) and top == int(top):
            # of a picture of 512 or 1,024 pixels most views are pieces of a level: nothing lies between its pixels
            return np.asarray(whole.crop((int(left), int(top), int(left) + side, int(top) + side)))
        shown = whole.transform((side, side), Image.Transform.AFFINE, tuple(back.ravel()), Image.Resampling.BILINEAR)
        return np.asarray(shown)


class FaceMesh:
    """Finds the faces of a frame, with 468 landmarks each.

    Args:
        max_faces: At most so many faces are returned, the largest ones.
        smallest: Pixels: narrower faces are not looked for.
        confidence: In [0, 1]: detections below this score are not believed.
        threads: Threads a network may use.
    """

    name = "facemesh"

    def __init__(self, *, max_faces: int = 100, smallest: int = 40, confidence: float = 0.5, threads: int = 1):
        if max_faces < 1 or smallest < 1 or not 1 <= threads <= weights.MOST_THREADS or not 0 < confidence < 1:
            raise InputError(
                "facemesh: expected max_faces and smallest of at least 1, threads from 1 to "
                f"{weights.MOST_THREADS} and a confidence between 0 and 1, got "
                f"max_faces={max_faces}, smallest={smallest}, threads={threads}, confidence={confidence}"
            )
        self.max_faces, self.smallest, self.confidence, self.threads = max_faces, smallest, confidence, threads
        self._detector, self._mesh = _Network(DETECTOR, threads), _Network(MESH, threads)
        self._anchors = _anchors()
        average = average_landmarks().astype(np.float64)
        self._average = average - average.mean(axis=0)
        self._twin = mirrored_indices()

    def made_by(self) -> dict[str, object]:
        """Options and weights' hashes: enough to find the same faces again.

        Returns:
            JSON-ready.
        """
        return {
            "options": {"max_faces": self.max_faces, "smallest": self.smallest, "confidence": self.confidence},
            "weights": {file: weights.find(file).sha256 for file in (DETECTOR, MESH)},
        }

    def find(self, frame: Frame) -> tuple[Face, ...]:
        """The faces of a frame (H, W, 3), largest first; `person` is the face's number. Empty where there is none.

        A face whose mesh cannot be believed has landmarks None and quality.mesh 0.

        Args:
            frame: One frame, RGB.

        Raises:
            WeightsError: Where the networks cannot be had.
        """
        if min(frame.width, frame.height) < self.smallest:
            return ()  # no room for a face, and a line of a million pixels has a hundred thousand squares
        pyramid = _Pyramid(frame)
        levels = list(_levels(frame.width, frame.height, self.smallest * _VIEW / _SMALLEST_IN_VIEW))
        faces: list[Face] = []
        without_mesh: list[Face] = []
        suspected: list[tuple[float, float]] = []  # centres, in frame pixels
        for size, squares in levels:
            if faces and size < _ALWAYS:
                places = [place for place in suspected if not any(_inside(place, face.box) for face in faces)]
                squares = _around(places, size)[:_MOST_SUSPECTS]
            suspected = []
            looked = self._look(pyramid, squares, suspected=suspected)
            new = [d for d in looked if not any(_same(d.box, face.box) for face in faces)]
            believed, doubted = self._faces(frame, pyramid, self._turned_if_unsure(pyramid, new))
            faces, without_mesh = faces + believed, without_mesh + doubted
        if not faces:
            squares = [square for _, level in levels[:2] for square in level]
            turned = _best([d for degrees in _TURNS for d in self._look(pyramid, squares, degrees)])
            faces, doubted = self._faces(frame, pyramid, turned)
            without_mesh += doubted
        kept: list[Face] = []
        for face in sorted(faces + without_mesh, key=lambda face: -(face.quality.score or 0.0)):
            if not any(_same(face.box, other.box) for other in kept):
                kept.append(face)
        kept.sort(key=lambda face: -(face.box[2] - face.box[0]) * (face.box[3] - face.box[1]))
        return tuple(kept[: self.max_faces])

    def follow(self, frame: Frame, before: Sequence[Landmarks], *, checked: bool = True) -> tuple[Face | None, ...]:
        """Faces in a later frame of a film, from where their landmarks were; the detector does not look.

        Args:
            frame: the later frame.
            before: landmarks (468, 2+) of each face, in pixels of a frame of the same size, a fraction of a second ago.
            checked: the mesh is drawn twice more, and believed as in `find` as far as that goes without the detector;
                without it one drawing has to do, its own word is taken for it, and the quality is not measured.

        Returns:
            for each of `before` its face, or None where none is seen there.
        """
        pyramid = _Pyramid(frame)
        return tuple(self._followed(frame, pyramid, landmarks, checked) for landmarks in before)

    def _followed(self, frame: Frame, pyramid: _Pyramid, before: Landmarks, checked: bool) -> Face | None:
        landmarks, presence = self._landmarks(pyramid, align(before, _MESH_VIEW, _MESH_MARGIN))
        if not checked:
            box = clip(bounds(landmarks), frame.width, frame.height)
            if presence < 0.5 or box is None or float(np.ptp(landmarks[:, :2], axis=0).max()) < 8:
                return None
            return Face(frame.at, box, landmarks, Quality(size=min(box[2] - box[0], box[3] - box[1])))
        landmarks, presence = self._landmarks(pyramid, align(landmarks, _MESH_VIEW, _MESH_MARGIN))
        mesh = self._drawn_again(pyramid, landmarks, presence)
        return self._with_mesh(frame, pyramid, landmarks, mesh) if mesh >= 0.1 else None

    # ------------------------------------------------------------------------------------------------- detections

    def _look(
        self,
        pyramid: _Pyramid,
        squares: _Squares,
        degrees: float = 0.0,
        suspected: list[tuple[float, float]] | None = None,
    ) -> list[_Detection]:
        """What the detector sees in squares of the picture, for faces rolled by `degrees`; in frame pixels.

        `suspected` gets the centres of what may be faces that are too small to be seen in these squares.
        """
        return _best(
            [d for square in squares for d in self._detect(pyramid, _square(*square, _VIEW, degrees), suspected)]
        )

    def _turned_if_unsure(self, pyramid: _Pyramid, detections: list[_Detection]) -> list[_Detection]:
        """The detections, and in place of unsure ones what the detector is surer of when it turns its head."""
        turned = []
        unsure = sorted((d for d in detections if d.score < _SURE), key=lambda d: -d.score)
        for detection in unsure[:_MOST_TURNED]:
            x1, y1, x2, y2 = detection.box
            square = ((x1 + x2) / 2, (y1 + y2) / 2, 2 * (x2 - x1))
            turned += [d for degrees in _TURNS for d in self._look(pyramid, [square], degrees)]
        return _best(detections + turned)

    def _detect(
        self, pyramid: _Pyramid, to_view: Affine, suspected: list[tuple[float, float]] | None = None
    ) -> list[_Detection]:
        """What the detector sees in one view, in frame pixels."""
        view = pyramid.view(to_view, _VIEW)
        if self._detector.ready and float(view.max()) - float(view.min()) < _FLAT:
            return []
        logits, raw = self._detector(view, 127.5, -1.0)
        scores = _sigmoid(logits[:, 0])
        if suspected is not None:
            places = self._suspected(scores, raw)
            suspected += [(float(x), float(y)) for x, y in transform(invert(to_view), places)] if len(places) else []
        seen = np.flatnonzero(scores >= self.confidence)
        if seen.size == 0:
            return []
        # each row: centre from the anchor, width and height, six points from the anchor; all in view pixels
        values = raw[seen].reshape(-1, 8, 2)
        back = invert(to_view)
        scale = _scale(back)
        detections = []
        for score, value, anchor in zip(scores[seen], values, self._anchors[seen], strict=True):
            x, y = transform(back, value[:1] + anchor)[0]
            half = float(np.abs(value[1]).max()) * scale / 2  # BlazeFace's boxes are square
            box = (float(x) - half, float(y) - half, float(x) + half, float(y) + half)
            detections.append(_Detection(float(score), box, transform(back, value[2:] + anchor)))
        return _blend(detections)

    def _suspected(self, scores: Floats, raw: Floats) -> Floats:
        """Centres (n, 2) in one view of small shapes that the detector half believes, with a face's geometry."""
        seen = np.flatnonzero(scores >= _SUSPECT)
        if seen.size == 0:
            return np.empty((0, 2), np.float32)
        width = np.abs(raw[seen, 2:4]).max(axis=1)
        seen, width = seen[width < _SUSPECT_WIDTH], width[width < _SUSPECT_WIDTH]
        if seen.size == 0:
            return np.empty((0, 2), np.float32)
        values = raw[seen].reshape(-1, 8, 2)
        # the points of one face, each from its anchor: eyes in a line, nose at the centre, mouth below
        right, left, nose, mouth = (values[:, 2 + i] for i in range(4))
        eyes, down = left - right, mouth - (left + right) / 2
        apart, length = np.hypot(*eyes.T) / width, np.hypot(*down.T) / width
        crossed = np.abs((eyes * down).sum(axis=1)) < 0.5 * apart * length * width**2
        off = np.hypot(*(values[:, 0] - nose).T) / width
        like_a_face = (eyes[:, 0] > 0) & (down[:, 1] > 0) & crossed & (off < 0.35)
        like_a_face &= (apart > 0.2) & (apart < 0.7) & (length > 0.2) & (length < 0.8)
        order = np.argsort(-scores[seen][like_a_face])
        return np.asarray((values[:, 0] + self._anchors[seen])[like_a_face][order], np.float32)

    # ----------------------------------------------------------------------------------------------------- meshes

    def _faces(self, frame: Frame, pyramid: _Pyramid, detections: list[_Detection]) -> tuple[list[Face], list[Face]]:
        """The faces of detections: those whose mesh is believed, and those without one that are faces all the same."""
        if len(detections) > _MOST_TRIED:  # stripes and textures: a mesh for each would take many seconds
            detections = sorted(detections, key=lambda detection: -detection.score)[:_MOST_TRIED]
        faces = [face for detection in detections if (face := self._face(frame, pyramid, detection))]
        return [face for face in faces if face.landmarks is not None], [
            face for face in faces if face.landmarks is None
        ]

    def _landmarks(self, pyramid: _Pyramid, to_view: Affine) -> tuple[Landmarks, float]:
        """The mesh in one view: (468, 3) in frame pixels, z in the same scale, and the score of presence."""
        logit, raw = self._mesh(pyramid.view(to_view, _MESH_VIEW), 255.0, 0.0)
        points = raw.reshape(468, 3)
        back = invert(to_view)
        landmarks = np.column_stack([transform(back, points), points[:, 2] * _scale(back)])
        return landmarks.astype(np.float32), float(_sigmoid(logit.ravel())[0])

    def _face(self, frame: Frame, pyramid: _Pyramid, detection: _Detection) -> Face | None:
        """The face of a detection; None where it turns out to be none."""
        x1, y1, x2, y2 = detection.box
        square = _square((x1 + x2) / 2, (y1 + y2) / 2, _MESH_MARGIN * (x2 - x1), _MESH_VIEW, detection.roll)
        proposed, _ = self._landmarks(pyramid, square)
        landmarks, presence = self._landmarks(pyramid, align(proposed, _MESH_VIEW, _MESH_MARGIN))
        mesh = self._drawn_again(pyramid, landmarks, presence)
        size = float(np.ptp(landmarks[:, :2], axis=0).max())
        places = np.array([landmarks[list(points), :2].mean(axis=0) for points in _SAME_PLACE])
        detector_error = float(np.hypot(*(places - detection.points[:4]).T).mean()) / size
        mesh *= _ramp(detector_error, 0.25, 0.07) * _ramp(detection.score, 0.4, 0.75)
        if mesh >= 0.1:
            return self._with_mesh(frame, pyramid, landmarks, mesh)
        if detection.score < _SURE:
            return None
        box = clip(detection.box, frame.width, frame.height)
        if box is None:
            return None
        return Face(frame.at, box, None, rate(size=min(box[2] - box[0], box[3] - box[1]), mesh=0.0))

    def _drawn_again(self, pyramid: _Pyramid, landmarks: Landmarks, presence: float) -> float:
        """How far a mesh can be believed by what the network draws on a mirrored, wider view, in [0, 1].

        The ramps, here and in `_face`, begin where nine in ten of 299 genuine faces are and end where next to none is
        any more.
        """
        mirror = np.array([[-1.0, 0, _MESH_VIEW], [0, 1, 0]])
        wide = compose(mirror, align(landmarks, _MESH_VIEW, _WIDE_MARGIN))
        again, presence_again = self._landmarks(pyramid, wide)
        own_error = _rms(landmarks - again[self._twin]) / float(np.ptp(landmarks[:, :2], axis=0).max())
        return (presence + presence_again) / 2 * _ramp(own_error, 0.12, 0.04)

    def _with_mesh(self, frame: Frame, pyramid: _Pyramid, landmarks: Landmarks, mesh: float) -> Face | None:
        box = clip(bounds(landmarks), frame.width, frame.height)
        if box is None:
            return None
        size = min(box[2] - box[0], box[3] - box[1])
        roll, yaw, pitch = self._pose(landmarks)
        xs, ys = landmarks[:, 0], landmarks[:, 1]
        inside = float(np.mean((xs >= 0) & (xs < frame.width) & (ys >= 0) & (ys < frame.height)))
        side = int(min(SHARPNESS_SIDE, np.ceil(size)))
        grey = pyramid.view(align(landmarks, side, 1.0), side).mean(axis=2)
        quality: Quality = rate(
            size=size,
            sharpness=sharpness(grey),
            roll=roll,
            yaw=yaw,
            pitch=pitch,
            mesh=mesh,
            inside=inside,
            blank=blank(grey),
        )
        return Face(frame.at, box, landmarks, quality)

    def _pose(self, landmarks: Landmarks) -> tuple[float, float, float]:
        """Roll, yaw and pitch in degrees, signs as in `Quality`: the rotation from the average face.

        The average face is upright and symmetric, so 0 degrees of roll and yaw mean what they say; its pitch is the
        mean of the frontal portraits it was made from.
        """
        points = landmarks.astype(np.float64)
        points -= points.mean(axis=0)
        u, _, vt = np.linalg.svd(points.T @ self._average)  # Kabsch
        rotation = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
        to_left, forward = rotation[:, 0], -rotation[:, 2]  # where the subject's left and the nose point; y is down
        roll = np.arctan2(to_left[1], to_left[0])
        # yaw and pitch are those of the head after the roll is taken out
        cos, sin = np.cos(roll), np.sin(roll)
        x, y = cos * forward[0] + sin * forward[1], -sin * forward[0] + cos * forward[1]
        yaw, pitch = np.arctan2(x, -forward[2]), np.arctan2(-y, np.hypot(x, forward[2]))
        return float(np.degrees(roll)), float(np.degrees(yaw)), float(np.degrees(pitch))


def load(*, max_faces: int = 100, smallest: int = 40, confidence: float = 0.5, threads: int = 1) -> FaceMesh:
    """The default finder; see `FaceMesh` for the options. The networks are loaded with the first picture.

    Args:
        max_faces: At most so many of a frame, the largest.
        smallest: Narrower faces are not looked for, pixels.
        confidence: Detections below this score are not believed, in [0, 1].
        threads: Of the inference library.
    """
    return FaceMesh(max_faces=max_faces, smallest=smallest, confidence=confidence, threads=threads)


_FLAT = 6.0  # levels of 255 between the darkest and the brightest of a view: no face can be seen in less
_MOST_TURNED = 100  # unsure detections of a level that are looked at turned, the surest first: textures have hundreds
_MOST_TRIED = 250  # detections that a mesh is drawn for, the surest first

# -------------------------------------------------------------------------------------------------------------- views


def _levels(width: int, height: int, smallest: float) -> Iterator[tuple[float, _Squares]]:
    """Squares that the detector should look at and their size, from large faces to small ones, level by level.

    Ends before there are more than `_MOST_VIEWS` of them, as in a picture that is thousands of times longer than wide.
    """
    size = float(max(width, height))
    centre = (width / 2, height / 2)
    yield size, [(*centre, size), (*centre, 1.6 * size)]
    room = _MOST_VIEWS
    while size > smallest * 1.25:
        size = max(size / 2, smallest)
        rows, columns = _centres(height, size), _centres(width, size)
        room -= len(rows) * len(columns)
        if room < 0:
            return
        yield size, [(x, y, size) for y in rows for x in columns]


def _around(places: list[tuple[float, float]], size: float) -> _Squares:
    """Squares around places, without those whose place lies in the middle of another's square already."""
    squares: _Squares = []
    for x, y in places:
        if not any(max(abs(x - a), abs(y - b)) < size / 4 for a, b, _ in squares):
            squares.append((x, y, size))
    return squares


def _inside(place: tuple[float, float], box: Box) -> bool:
    return box[0] < place[0] < box[2] and box[1] < place[1] < box[3]


def _centres(length: int, size: float) -> list[float]:
    """Centres of the fewest squares of `size` that cover `length` with the overlap tiles need."""
    if length <= size:
        return [length / 2]
    count = int(np.ceil((length - size) / (size * (1 - _OVERLAP)))) + 1
    return [float(x) for x in np.linspace(size / 2, length - size / 2, count)]


def _square(x: float, y: float, size: float, side: int, degrees: float) -> Affine:
    """The map from the frame to a view of `side` pixels of a square; what is rolled by `degrees` stands upright."""
    scale = side / size
    cos, sin = np.cos(np.radians(degrees)) * scale, np.sin(np.radians(degrees)) * scale
    linear = np.array([[cos, sin], [-sin, cos]])
    return np.column_stack([linear, side / 2 - linear @ (x, y)])


def _scale(affine: Affine) -> float:
    return float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))


# --------------------------------------------------------------------------------------------------------- detections


def _anchors() -> Floats:
    """Centres of BlazeFace's 896 anchors in view pixels, (896, 2), in the order of the network's outputs."""
    centres = []
    for stride, count in _GRIDS:
        line = (np.arange(_VIEW // stride, dtype=np.float32) + 0.5) * stride
        grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        centres.append(np.repeat(grid, count, axis=0))
    return np.concatenate(centres)


def _blend(detections: list[_Detection]) -> list[_Detection]:
    """Detections of one view: those of the same face are averaged, weighted by score (BlazeFace, section 3.4)."""
    left = sorted(detections, key=lambda d: -d.score)
    blended = []
    while left:
        same = [d for d in left if iou(left[0].box, d.box) > 0.3]
        left = [d for d in left if d not in same]
        shares = np.array([d.score for d in same])
        shares /= shares.sum()
        x1, y1, x2, y2 = (float(v) for v in shares @ np.array([d.box for d in same]))
        points = np.tensordot(shares, np.array([d.points for d in same]), axes=1).astype(np.float32)
        blended.append(_Detection(same[0].score, (x1, y1, x2, y2), points))
    return blended


def _best(detections: list[_Detection]) -> list[_Detection]:
    """Detections of several views: of one face the surest stays, for a tile's edge or a wrong turn spoils a mean."""
    kept: list[_Detection] = []
    for detection in sorted(detections, key=lambda d: -d.score):
        if not any(_same(detection.box, other.box) for other in kept):
            kept.append(detection)
    return kept


def _same(a: Box, b: Box) -> bool:
    """Whether two boxes are of the same face: they overlap by 0.3, or seven tenths of the smaller lie in the larger."""
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return iou(a, b) > 0.3 or intersection(a, b) > 0.7 * smaller


# ------------------------------------------------------------------------------------------------------------ numbers


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -80.0, 80.0))), np.float32)


def _rms(difference: Landmarks) -> float:
    """Root mean square length in the plane, of (n, 2+)."""
    return float(np.sqrt((difference[:, :2].astype(np.float64) ** 2).sum(axis=1).mean()))


def _ramp(value: float, zero: float, one: float) -> float:
    """0 at `zero`, 1 at `one`, a straight line between them."""
    return float(np.clip((value - zero) / (one - zero), 0.0, 1.0))
