"""MediaPipe's BlazeFace and Face Mesh (468 points) on a CPU: all faces of a picture, small, large and turned.

The networks are MediaPipe's (Apache-2.0; BlazeFace: arXiv 1907.05047, Face Mesh: arXiv 1907.06724) and run in LiteRT.
What stands around them is ours:

    views      a detector sees the picture through square views: the whole of it, the whole with a wide border (faces
               that fill the frame), tiles (small faces), turned ones (faces that lie on their side)
    meshes     each detection gets a mesh, and a second one on the square that the first one proposes
    checks     two networks and two passes have to agree on where the face is, and the mesh has to be shaped like one

Coordinates follow `geometry`: the centre of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from PIL import Image

from facewitness import weights
from facewitness.geometry import Affine, align, bounds, clip, invert, iou, transform
from facewitness.types import Box, Face, Frame, Landmarks, Quality

Floats = NDArray[np.float32]

# BlazeFace's six points: right eye, left eye, nose tip, mouth, right ear, left ear (the subject's sides), and the mesh's
# points whose mean is the same place
_SAME_PLACE = ((33, 133), (362, 263), (4,), (13, 14), (234,), (454,))
_MESH_SIDE = 192


@dataclass(frozen=True, slots=True)
class _Detector:
    """One of the two detectors: its file, the side of its input, and its grids of anchors (stride, anchors a cell)."""

    file: str
    side: int
    grids: tuple[tuple[int, int], ...]

    def anchors(self) -> Floats:
        """Centres of all anchors in input pixels, (n, 2), in the order of the network's outputs."""
        centres = []
        for stride, count in self.grids:
            line = (np.arange(self.side // stride, dtype=np.float32) + 0.5) * stride
            grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
            centres.append(np.repeat(grid, count, axis=0))
        return np.concatenate(centres)


_SHORT = _Detector("face_detection_short_range.tflite", 128, ((8, 2), (16, 6)))
_FULL = _Detector("face_detection_full_range_sparse.tflite", 192, ((4, 1),))


@dataclass(frozen=True, slots=True, eq=False)
class _Detection:
    """A face as a detector sees it, in frame pixels."""

    score: float
    box: Box
    points: Floats  # (6, 2)


class _Network:
    """One TFLite file with float32 input (1, side, side, 3); made when it is first used, one caller at a time."""

    def __init__(self, file: str, threads: int):
        self.file, self.threads = file, threads
        self._lock = threading.Lock()
        self._interpreter: Interpreter | None = None

    def __call__(self, batch_of_one: Floats) -> list[Floats]:
        """Outputs in the order of their sizes, smallest first, without the batch dimension."""
        with self._lock:
            if self._interpreter is None:
                path = weights.find(self.file).path
                with _without_runtime_chatter():
                    self._interpreter = Interpreter(str(path), num_threads=self.threads)
                    self._interpreter.allocate_tensors()
                self._input = self._interpreter.get_input_details()[0]["index"]
                outputs = self._interpreter.get_output_details()
                self._outputs = [o["index"] for o in sorted(outputs, key=lambda o: int(np.prod(o["shape"])))]
            self._interpreter.set_tensor(self._input, batch_of_one)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(i)[0] for i in self._outputs]


@contextmanager
def _without_runtime_chatter() -> Iterator[None]:
    """LiteRT greets on file descriptor 2 whenever an interpreter is made; errors still come as exceptions."""
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
    """A picture and its halves, quarters …, made when first asked for, so that a view that shrinks is not aliased."""

    def __init__(self, frame: Frame):
        self.levels = [Image.fromarray(frame.pixels)]

    def view(self, to_view: Affine, side: int) -> NDArray[np.uint8]:
        """What an affine map (frame to view) shows, (side, side, 3); black beyond the picture."""
        back = invert(to_view)
        shrink = float(np.sqrt(abs(np.linalg.det(back[:, :2]))))
        level = max(0, int(np.floor(np.log2(max(shrink, 1.0)) + 0.25)))
        while len(self.levels) <= level:
            self.levels.append(self.levels[-1].reduce(2))
        back = back / 2.0**level
        picture = self.levels[level].transform(
            (side, side), Image.Transform.AFFINE, tuple(back.ravel()), Image.Resampling.BILINEAR
        )
        return np.asarray(picture)


def _sigmoid(logits: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-np.clip(logits, -80.0, 80.0)))


def _square(cx: float, cy: float, size: float, side: int, degrees: float = 0.0) -> Affine:
    """The map from the frame to a view of `side` pixels of the square around (cx, cy); turned content stands upright."""
    scale = side / size
    cos, sin = np.cos(np.radians(degrees)) * scale, np.sin(np.radians(degrees)) * scale
    linear = np.array([[cos, sin], [-sin, cos]])
    return np.column_stack([linear, side / 2 - linear @ (cx, cy)])


def _merge(detections: list[_Detection], overlap: float = 0.3) -> list[_Detection]:
    """Non-maximum suppression that averages what it suppresses, weighted by score, as BlazeFace asks for."""
    left = sorted(detections, key=lambda d: -d.score)
    merged = []
    while left:
        same = [d for d in left if d is left[0] or iou(left[0].box, d.box) > overlap]
        left = [d for d in left if d not in same]
        w = np.array([d.score for d in same])
        box = np.average([d.box for d in same], axis=0, weights=w)
        points = np.average([d.points for d in same], axis=0, weights=w).astype(np.float32)
        merged.append(_Detection(same[0].score, tuple(box.tolist()), points))
    return merged


class FaceMesh:
    """Finds all faces of a frame, with 468 landmarks each.

    most        at most so many faces are returned, the largest ones
    smallest    faces narrower than this many pixels are not looked for
    confidence  detections below this score are not believed
    threads     threads per network
    """

    name = "facemesh"

    def __init__(self, *, most: int = 100, smallest: int = 32, confidence: float = 0.5, threads: int = 1):
        self.most, self.smallest, self.confidence, self.threads = most, smallest, confidence, threads
        self._detectors = {d.file: (d, _Network(d.file, threads), d.anchors()) for d in (_SHORT, _FULL)}
        self._mesh = _Network("face_landmark.tflite", threads)

    def find(self, frame: Frame) -> tuple[Face, ...]:
        """All faces of a frame (H, W, 3), largest first; `person` is the face's number. Empty where there is none."""
        pyramid = _Pyramid(frame)
        faces = []
        for detection in self._look(frame, pyramid):
            face = self._measure(frame, pyramid, detection)
            if face is not None:
                faces.append(face)
        faces.sort(key=lambda f: -(f.box[2] - f.box[0]) * (f.box[3] - f.box[1]))
        return tuple(
            Face(frame, f.box, f.landmarks, person, f.quality) for person, f in enumerate(faces[: self.most])
        )

    def _look(self, frame: Frame, pyramid: _Pyramid) -> list[_Detection]:
        w, h = frame.width, frame.height
        side = max(w, h)
        found: list[_Detection] = []
        for degrees in (0, 90, 270, 180):
            for detector, zoom in ((_SHORT, 1.0), (_SHORT, 1.6), (_FULL, 1.0)):
                found += self._detect(pyramid, detector, w / 2, h / 2, side * zoom, degrees)
            found = _merge(found)
            if any(d.score > 0.75 for d in found):
                break
        return found

    def _detect(
        self, pyramid: _Pyramid, detector: _Detector, cx: float, cy: float, size: float, degrees: float = 0.0
    ) -> list[_Detection]:
        """What one detector sees in one square view, in frame pixels."""
        _, network, anchors = self._detectors[detector.file]
        to_view = _square(cx, cy, size, detector.side, degrees)
        view = pyramid.view(to_view, detector.side)
        logits, raw = network(view[None].astype(np.float32) / 127.5 - 1.0)
        scores = _sigmoid(logits[:, 0])
        back = invert(to_view)
        found = []
        for i in np.flatnonzero(scores >= self.confidence):
            points = raw[i].reshape(8, 2) + anchors[i]  # centre, size (which has no anchor), six points
            centre, extent = points[0], np.abs(raw[i, 2:4])
            (x, y) = transform(back, centre[None])[0]
            half_w, half_h = extent * (size / detector.side) / 2
            if degrees % 180:
                half_w, half_h = half_h, half_w
            box = (float(x - half_w), float(y - half_h), float(x + half_w), float(y + half_h))
            found.append(_Detection(float(scores[i]), box, transform(back, points[2:])))
        return _merge(found)

    def _landmarks(self, pyramid: _Pyramid, to_view: Affine) -> tuple[Floats, float]:
        """The mesh in one upright view: (468, 3) in frame pixels, z in the same scale, and the score of presence."""
        view = pyramid.view(to_view, _MESH_SIDE)
        logit, raw = self._mesh(view[None].astype(np.float32) / 255.0)
        points = raw.reshape(468, 3).astype(np.float32)
        back = invert(to_view)
        scale = float(np.sqrt(abs(np.linalg.det(back[:, :2]))))
        landmarks = np.column_stack([transform(back, points), points[:, 2] * scale])
        return landmarks.astype(np.float32), float(_sigmoid(logit.ravel())[0])

    def _measure(self, frame: Frame, pyramid: _Pyramid, detection: _Detection) -> Face | None:
        x1, y1, x2, y2 = detection.box
        along = detection.points[1] - detection.points[0]
        roll = float(np.degrees(np.arctan2(along[1], along[0])))
        size = 1.5 * max(x2 - x1, y2 - y1)
        first, _ = self._landmarks(pyramid, _square((x1 + x2) / 2, (y1 + y2) / 2, size, _MESH_SIDE, roll))
        second, presence = self._landmarks(pyramid, align(first, _MESH_SIDE, 1.5))
        box = clip(bounds(second), frame.width, frame.height)
        if box is None:
            return None
        return Face(frame, box, second, 0, Quality(size=min(box[2] - box[0], box[3] - box[1]), mesh=presence))


def load(*, most: int = 100, smallest: int = 32, confidence: float = 0.5, threads: int = 1) -> FaceMesh:
    """The default finder. Raises WeightsError at the first picture where MediaPipe's models cannot be had."""
    return FaceMesh(most=most, smallest=smallest, confidence=confidence, threads=threads)
