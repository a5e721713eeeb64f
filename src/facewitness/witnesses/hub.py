"""Published detectors by name: any two-label image classifier of the Hugging Face hub or in an ONNX file, and GenD.

    --witness hub --option hub.model=yermandy/GenD_CLIP_L_14            faces (arXiv 2508.06248)
    --witness hub --option hub.model=OwensLab/commfor-model-384         whole photographs (arXiv 2411.04125)
    --witness hub --option hub.model=detector.onnx --option hub.fake=1  a file; size and layout are read from it

Which label means fake is read from the labels' names, never guessed. The score is the model's own: without
`facewitness calibrate` on pictures of one's own it is shown and decides nothing. Code that lies beside a model is never
run; weights are safetensors or ONNX. A model that looks at the whole photograph is also asked where no face is found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness import geometry, plugins
from facewitness.errors import InputError, WeightsError
from facewitness.files import at_home
from facewitness.models.onnx_classifier import NORMS, OUTPUTS, OnnxClassifier
from facewitness.types import Clip, Face, Finding, Pixels, Testimony, Track
from facewitness.witnesses import _labels, _tracks

CROPS = ("face", "aligned", "whole")
MARGIN = 1.3  # of the detector's box; GenD's public code
MOST_SIDE = 2_048  # pixels of a face's crop
# GenD's public code (`align_face`): eyes, nose and corners of the mouth in a crop without margin
_TEMPLATE = np.array([[0.34, 0.46], [0.66, 0.46], [0.5, 0.64], [0.37, 0.82], [0.63, 0.82]])
_POINTS = ((33, 133), (362, 263), (1,), (61,), (291,))  # of the mesh, the subject's right eye first


def load(
    model: str | None = None,
    crop: str | None = None,
    margin: float = MARGIN,
    fake: int | None = None,
    norm: str = "imagenet",
    revision: str | None = None,
    device: str = "cpu",
    name: str = "hub",
    outputs: str | None = None,
) -> Hub:
    """The witness, ready to examine.

    Args:
        model: a name on the hub, the folder of a model, or an ONNX file.
        crop: what it is shown: "face" (a square around the face's box), "aligned" (upright, by eyes, nose and mouth, as
            GenD was trained) or "whole" (the photograph); None for what the model was made for, a face where unknown.
        margin: side of the crop, in those of the face's box.
        fake: number of the output that means fake, 0 or 1; of a model with one output, 1 where a high one does. None to
            read it from the labels' names.
        norm: how an ONNX file without a `preprocessor_config.json` beside it wants its values: one of NORMS.
        revision: branch, tag or commit on the hub.
        device: torch's name of one.
        name: what the witness is called in reports, for whoever asks several.
        outputs: what an ONNX file answers with: "shares" in [0, 1] or "logits"; None to read it from the file.

    Raises:
        InputError: labels that do not tell which of them means fake, or options that do not fit.
        WeightsError: the model cannot be had, or is none of these.
        MissingExtra: torch or transformers is not installed.
    """
    if not model:
        raise InputError("hub.model: expected a model. Name one with --option hub.model=yermandy/GenD_CLIP_L_14")
    if crop not in (None, *CROPS):
        raise InputError(f"hub.crop: expected one of {', '.join(CROPS)}, got {crop!r}")
    if not 1.0 <= margin <= 4.0:
        raise InputError(f"hub.margin: expected 1 to 4 sides of the face's box, got {margin}")
    if norm not in NORMS:
        raise InputError(f"hub.norm: expected one of {', '.join(NORMS)}, got {norm!r}")
    if outputs not in (None, *OUTPUTS):
        raise InputError(f"hub.outputs: expected one of {', '.join(OUTPUTS)}, got {outputs!r}")
    if model.lower().endswith(".onnx"):
        detector = _onnx(at_home(model), fake, norm, outputs)
    else:
        detector = _published(model, revision, fake, device)
    options = {"model": Path(model).name if Path(model).exists() else model, "crop": crop, "margin": margin}
    options |= {"fake": fake, "norm": norm, "device": device} | ({} if outputs is None else {"outputs": outputs})
    return Hub(name, detector, crop or detector.crop, margin, options)


@dataclass(frozen=True, slots=True)
class Detector:
    """A loaded model: an upright picture RGB uint8 (H, W, 3) → its score, 1 for fake."""

    score: Callable[[Pixels], float]
    crop: str
    sha256: Mapping[str, str]  # file → hash


class Hub:
    """One published detector. `examine` shows it a face, or the whole photograph, and returns its score."""

    calibration = None  # a profile of `facewitness calibrate` brings one

    def __init__(self, name: str, detector: Detector, crop: str, margin: float, options: Mapping[str, Any]):
        self.name, self._detector, self._crop, self._margin = name, detector, crop, margin
        self._options = dict(options)
        self.scope = "photograph" if crop == "whole" else "face"
        self._last: tuple[Clip, Testimony] | None = None

    def made_by(self) -> dict[str, Any]:
        """What it takes to run it again: its options and its weights' SHA-256.

        Returns:
            JSON-ready.
        """
        # a profile holds for the same weights asked in the same way: another crop or output has other scores
        settings_of = {"crop": self._crop} | {name: self._options[name] for name in ("margin", "fake", "norm")}
        settings_of |= {"outputs": self._options["outputs"]} if "outputs" in self._options else {}
        settings = hashlib.sha256(json.dumps(settings_of, sort_keys=True).encode()).hexdigest()
        return {"options": self._options, "weights": {**self._detector.sha256, "settings": settings}}

    def examine(self, track: Track, clip: Clip) -> Testimony:
        """Its score on one person's faces; of a model for whole photographs, on the photograph.

        Args:
            track: One person's faces.
            clip: The file's pixels; a photo is a clip of one frame.
        """
        return self._whole(clip) if self._crop == "whole" else _tracks.over(track, clip, self._look)

    def inspect(self, clip: Clip) -> Testimony:
        """Its score on the photograph; None by a model that is shown faces.

        Args:
            clip: The file's pixels; a photo is a clip of one frame.
        """
        if self._crop != "whole":
            return Testimony(self.name, None)
        testimony, at = self._whole(clip), clip.frame.at
        claim = f"Its score for the whole photograph is {testimony.fake:.2f}; 1 means fake, and it is no probability."
        return replace(testimony, findings=(Finding.on(None, at.box, None, claim, None, at),))

    def _whole(self, clip: Clip) -> Testimony:
        if self._last is None or self._last[0] is not clip:  # asked once for each face and once for the file
            scores = [self._detector.score(frame.pixels) for frame in clip.frames()]
            self._last = (clip, Testimony(self.name, sum(scores) / len(scores)))
        return self._last[1]

    def _look(self, face: Face, pixels: Pixels) -> Testimony:
        aligned = self._crop == "aligned" and face.landmarks is not None
        shown = _aligned(face, pixels, self._margin) if aligned else _square(face, pixels, self._margin)
        return Testimony(self.name, self._detector.score(shown))


# --------------------------------------------------------------------------------------------------------------- crops


def _square(face: Face, pixels: Pixels, margin: float) -> Pixels:
    """A square around the face's box, at the picture's own resolution; its edge is continued outside."""
    side = max(face.box[2] - face.box[0], face.box[3] - face.box[1]) * margin
    size = max(8, min(round(side), MOST_SIDE))
    cut: Pixels = geometry.crop(pixels, geometry.align(face.box, size, margin), size)
    return cut


def _aligned(face: Face, pixels: Pixels, margin: float) -> Pixels:
    """An upright crop by five points, at the picture's own resolution, black beyond the picture as in GenD's code."""
    if face.landmarks is None:
        return _square(face, pixels, margin)
    points = np.stack([face.landmarks[list(each), :2].mean(axis=0) for each in _POINTS]).astype(np.float64)
    target = (_TEMPLATE - 0.5) / margin + 0.5
    a, b, x, y = _similarity(points, target)
    scale = float(np.hypot(a, b))
    if not scale > 0:
        return _square(face, pixels, margin)
    size = max(8, min(round(1 / scale), MOST_SIDE))
    affine = np.array([[a, -b, x], [b, a, y]]) * size
    cut: Pixels = geometry.crop(pixels, affine, size)
    height, width = pixels.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    inside = geometry.fill([geometry.transform(affine, corners)], size, size)
    return cut * inside[..., None]


def _similarity(points: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """a, b, x, y of the turn, scale and shift (x' = a x − b y + x₀) that brings points nearest to a target."""
    center, aim = points.mean(axis=0), target.mean(axis=0)
    p, t = points - center, target - aim
    square = float((p**2).sum()) or 1.0
    a = float((p * t).sum()) / square
    b = float((p[:, 0] * t[:, 1] - p[:, 1] * t[:, 0]).sum()) / square
    return a, b, float(aim[0] - a * center[0] + b * center[1]), float(aim[1] - b * center[0] - a * center[1])


# --------------------------------------------------------------------------------------------------------------- models


def _published(model: str, revision: str | None, fake: int | None, device: str) -> Detector:
    try:
        torch = import_module("torch")
        hub = import_module("facewitness.models._hub")
        classifier = import_module("facewitness.models.classifier")
    except ModuleNotFoundError as error:
        raise plugins.lacking("witnesses/hub", error, "vlm") from error
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"hub.device: expected one that torch has here, such as cpu, got {device!r}") from error
    loaded = classifier.open_folder(hub.whole(model, revision), model, place)
    index = _labels.fake_index(loaded.labels, fake, model)
    return Detector(lambda pixels: _labels.probability(loaded.logits(pixels), index), loaded.crop, loaded.sha256)


def _onnx(path: Path, fake: int | None, norm: str, outputs: str | None) -> Detector:
    loaded = OnnxClassifier(path, norm, outputs=outputs)
    labels = loaded.labels or tuple(f"output {i}" for i in range(loaded.outputs))
    if len(labels) != loaded.outputs:
        raise WeightsError(
            f"'{path}' has {loaded.outputs} outputs and the config.json beside it {len(labels)} labels; they do not "
            "belong together."
        )
    index = _labels.fake_index(labels, fake, path.name)

    def score(pixels: Pixels) -> float:
        answer = loaded.logits(pixels)
        if not loaded.shares:
            return _labels.probability(answer, index)
        return float(answer[index]) if answer.size == 2 else float(answer[0] if index == 1 else 1.0 - answer[0])

    return Detector(score, "face", loaded.sha256)
