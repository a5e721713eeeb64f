"""The default witness: two small networks in 13 MB, which look at one aligned face, wherever ONNX Runtime runs.

Together they give a score, a kind, a mask, and a finding for each of MARE's 12 regions they suspect. Of a face that
they do not clear, a network of places says with them where (`_pointing`). What they were trained on, how well they do
and where they fail is in their model card, `weights/compact.md`; thresholds and fits stand beside the weights in
`weights/compact.json` and come from held-out faces (`runs/compact/fit.py`, `places.py`).

Measured: compact knows faces that generators it has seen made as a whole (StyleGAN2, Stable Diffusion 2.1, Generated
Photos: AUC 0.98 on held-out faces) and face swaps like DFDC's (0.86), also after routine edits. compact hardly knows
real-time swaps (AUC 0.58), strongly compressed video (FaceForensics++ c40: 0.69, NeuralTextures: 0.65), small edits
(0.72) and generators that it was not trained on (0.64 to 0.89 on three such sources). It was not made for paintings,
cartoons and heavily retouched advertising. Genuine faces called fake by compact, from the best group to the worst: by
age 0 to 1 %, by sex 0 %, by skin (UTKFace's labels) 0 %, by size of face 0 to 3 %, by compression 0 to 2 %, by source 0
to 12 %; worst of all frames of DeepFaceLive, 12 % (2 % to 56 %). By camera they were not measured, for none of these
pictures names one.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from facewitness import geometry, regions, weights
from facewitness.calibration import Calibration, Logistic, logit, sigmoid
from facewitness.errors import InputError, UnknownName, WeightsError
from facewitness.types import KINDS, Clip, Face, Finding, Mask, Pixels, Testimony, Track
from facewitness.witnesses import _causal, _places, _pointing, _tracks

SCHEMA = "facewitness.weights/1"


VIEWS = ("one", "near", "all")
FURTHER = ("smaller", "saved again", "wider and mirrored")  # what a face is looked at in beside "as it is"
_NEAR = 0.5  # log-odds from a threshold within which a photograph's face is looked at in further views
_SMALL = 110  # pixels of face in the smaller view
_QUALITY = 75  # of the JPEG that a view is saved as
_LEAST = 0.01  # of a mask's mean inside a region before its log-odds
_TRIED = 6  # findings of a photograph's face whose places are painted over, the strongest first
_CLAIMED = 0.5  # strength of a finding that may be claimed (`explain.WEAK`); what others would do to the score is idle


def load(
    model: str | None = None, flip: bool = True, views: str = "near", threads: int = 1, places: bool = True
) -> Compact:
    """The witness, ready to examine.

    Args:
        model: Path of another ONNX file of `facewitness build onnx`, at its own size; None for the shipped one. Where a
            JSON of fits stands beside it, it is used; else the witness is uncalibrated until `facewitness calibrate`
            has run.
        flip: Examine the mirror image too and average (twice the time).
        views: "one": the face as it is; "near": where the probability of a photograph's face is near a threshold, in
            further views, too, whose log-odds are averaged: smaller, saved again, in a wider crop; "all": every face.
            The testimony holds what each view says, and the judge decides nothing where they part.
        threads: Of ONNX Runtime.
        places: Show a face that is not cleared to the network of places, too, where the weights have one. Without it
            masks and findings are those of the weights by themselves, with strengths fitted for those; scores are the
            same.

    Raises:
        WeightsError: Where the file is missing or its hash is not the one in its JSON.
        UnknownName: For other views.
        InputError: For such threads.
    """
    return Compact(model, flip, views, threads, places)


@lru_cache(maxsize=4)  # ONNX Runtime may be asked from several threads: two analyzers of a process need one network
def _session(content: bytes, file: Path, threads: int) -> onnxruntime.InferenceSession:
    """The network of a file that holds these bytes. Raises WeightsError where it cannot be loaded from them alone."""
    whole = weights.whole_onnx(content, file)  # the bytes that were hashed, and nothing beside them
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(whole, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no class in common
        why = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise WeightsError(f"'{file}' cannot be loaded by ONNX Runtime ({why}). {_MAKE}") from error


class Compact:
    """One loaded network. `examine` takes a face, of any finder, and returns its testimony."""

    name = "compact"

    def __init__(
        self, model: str | None = None, flip: bool = True, views: str = "near", threads: int = 1, places: bool = True
    ):
        if views not in VIEWS:
            raise UnknownName("views", views, VIEWS)
        if not 1 <= threads <= weights.MOST_THREADS:
            raise InputError(f"compact: expected threads from 1 to {weights.MOST_THREADS}, got {threads}")
        if model is None:
            onnx, card = Path("compact.onnx"), Path("compact.json")
            written: bytes | None
            content, written = weights.read(onnx.name)[0], weights.read(card.name)[0]
        else:
            onnx = Path(model)
            card = onnx.with_suffix(".json")
            content, written = _content(onnx), _content(card) if card.exists() else None
        self._session = _session(content, onnx, threads)
        size, margin = _crop(self._session, onnx, _OUTPUTS)
        if written is None:
            self.facts = _unfitted(content, size, margin)
        else:
            self.facts = _facts(onnx, content, card, written)
            if self.facts["size"] != size:
                raise WeightsError(
                    f"'{card}': expected size {size}, the side of the crops that '{onnx}' takes, got "
                    f"{self.facts['size']}. Delete the file to read the size from the model."
                )
        self._measured = written is not None  # whether anybody knows how often its findings are right
        self._flip, self._options = flip, {"model": None if model is None else onnx.name, "flip": flip, "views": views}
        self._views = views
        self._size, self._margin = int(self.facts["size"]), float(self.facts["margin"])
        if not places:
            self._options["places"] = False
        two = places and "places" in self.facts
        self.pointer = _pointer(onnx, model is None, self.facts, flip, threads) if two else None
        # as JSON, as a profile may replace it
        self.calibration: Mapping[str, Any] | None = self.facts.get("calibration")
        self._read: tuple[Mapping[str, Any] | None, Calibration | None] = (None, None)
        self.card: Mapping[str, str] | None = self.facts.get("card")  # what these weights were measured to be worth

    def made_by(self) -> dict[str, Any]:
        """What it takes to run this witness again: its options and its weights' SHA-256.

        Returns:
            JSON-ready.
        """
        files = {"compact.onnx": self.facts["sha256"]}
        if self.pointer is not None:
            files[_PLACES] = self.pointer.fit["sha256"]
        return {"options": self._options, "weights": files}

    def examine(self, track: Track, clip: Clip) -> Testimony:
        """Testimony on one person; over a film the mean of its faces, weighted by quality, with the series.

        Args:
            track: One person's faces.
            clip: The file's pixels; a photo is a clip of one frame.
        """
        further = self._views == "all" or (self._views == "near" and len(track.faces) == 1)
        return _tracks.over(track, clip, partial(self._look, further=further))

    def _look(self, face: Face, pixels: Pixels, further: bool) -> Testimony:
        affine = _places.crop_map(face, self._size, self._margin)
        crop = geometry.crop(pixels, affine, self._size)
        answers = self.answers(crop)
        views = None
        if further and (self._views == "all" or self._near(answers.fake)):
            others = self._logits(np.stack(self._further(face, pixels, affine)))
            own = float(logit(np.array([answers.fake]))[0])
            seen = {"as it is": answers.fake} | dict(zip(FURTHER, sigmoid(others), strict=True))
            views = {view: float(score) for view, score in seen.items()}
            # the first look counts as two: it is one view and its mirror image
            answers = answers._replace(fake=float(sigmoid(np.array([(2 * own + others.sum()) / (2 + len(others))]))[0]))
        suspected = self._suspected(answers.fake)
        values, way, size = self.where(answers.mask, face, pixels) if suspected else (answers.mask, affine, self._size)
        mask, to_grid = _places.on_frame(values, face, way, size)
        inside = None if self.pointer is None else covered(values, face, way, size)  # else no fit asks for it
        strengths = self.strength(answers.regions, answers.fake, inside)
        findings = self._findings(face, mask, strengths, to_grid)
        if further and suspected:
            findings = self._tried(findings, face, crop, affine)
        return Testimony(
            witness=self.name,
            fake=float(answers.fake),
            mask=mask,
            findings=findings,
            kind={name: float(p) for name, p in zip(KINDS, answers.kind, strict=True)},
            views=views,
        )

    def where(
        self, mask: NDArray[np.float32], face: Face, pixels: Pixels
    ) -> tuple[NDArray[np.float32], geometry.Affine, int]:
        """The mask of a face as it is shown where the face is suspected: the word of the network of places is in it.

        Args:
            mask: That of the weights themselves, of their own crop.
            face: Whose.
            pixels: The whole frame.

        Returns:
            (h, h) in [0, 1]; the map from the frame to the crop it lies on; that crop's side in pixels.
        """
        affine = _places.crop_map(face, self._size, self._margin)
        if self.pointer is None:
            return mask, affine, self._size
        own, second, way = self.pointer.seen(mask, face, pixels, affine, self._size)
        return self.pointer.mask(own, second), way, self.pointer.size

    def _near(self, score: float) -> bool:
        """Whether a raw score's probability lies near a threshold of the shipped calibration."""
        fit = self._fit()
        if fit is None:
            return False
        odds = logit(np.concatenate([fit.probabilities([score]), [fit.real_below, fit.fake_above]]))
        return bool(np.abs(odds[1:] - odds[0]).min() < _NEAR)

    def _suspected(self, score: float) -> bool:
        """Whether a raw score is above the answer "no sign of forgery": only then are places claimed or hinted at."""
        fit = self._fit()
        return fit is not None and bool(fit.probabilities([score])[0] >= fit.real_below)

    def _fit(self) -> Calibration | None:
        """The calibration as it stands now, read once: a profile may have replaced it."""
        if self.calibration is not self._read[0]:
            self._read = self.calibration, Calibration.from_json(self.calibration) if self.calibration else None
        return self._read[1]

    def _tried(
        self, findings: tuple[Finding, ...], face: Face, crop: Pixels, affine: geometry.Affine
    ) -> tuple[Finding, ...]:
        """The strongest findings with what painting their places over does to the score."""
        if face.landmarks is None or not findings:
            return findings
        points = np.array(face.landmarks, np.float32)
        points[:, :2] = geometry.transform(affine, face.landmarks[:, :2])
        outline = geometry.fill(list(regions.polygons("face", points)), self._size, self._size)
        worth = [f for f in findings[:_TRIED] if f.strength is None or f.strength >= _CLAIMED]
        tried = [finding for finding in worth if finding.region is not None]
        if not tried:
            return findings
        places = [geometry.fill(list(regions.polygons(f.region or "", points)), self._size, self._size) for f in tried]
        inside = [place & outline if (place & outline).any() else place for place in places]
        moves = dict(zip(tried, _causal.falls(crop, inside, outline, self._logits), strict=True))
        return tuple(replace(finding, moves=moves.get(finding)) for finding in findings)

    def _further(self, face: Face, pixels: Pixels, affine: geometry.Affine) -> list[Pixels]:
        """The face in each of FURTHER: crops, uint8 (S, S, 3)."""
        size = self._size
        side = size / float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))  # of the crop, in pixels of the frame
        small = min(_SMALL * self._margin, 0.8 * side)
        wide = geometry.compose(np.array([[0.85, 0, 0.075 * size], [0, 0.85, 0.075 * size]]), affine)
        return [
            _through(pixels, affine, size, round(small)),
            _through(pixels, affine, size, round(min(2 * size, side)), _QUALITY),
            np.ascontiguousarray(geometry.crop(pixels, wide, size)[:, ::-1]),
        ]

    def _logits(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """What the network says of crops (n, S, S, 3), as log-odds (n,)."""
        (logits,) = self._session.run(["fake"], {"crops": crops})
        return np.clip(logits.astype(np.float64), -30, 30)

    def answers(self, crops: NDArray[np.uint8]) -> Answers:
        """What the network says of one crop, uint8 (S, S, 3), averaged with its mirror image if `flip`.

        Args:
            crops: One crop, uint8 (S, S, 3).
        """
        batch = np.stack([crops, crops[:, ::-1]]) if self._flip else crops[None]
        logit, kind, mask, regions = self._session.run(["fake", "kind", "mask", "regions"], {"crops": batch})
        if self._flip:
            mask = np.stack([mask[0], mask[1][:, ::-1]])
            regions = np.stack([regions[0], regions[1][_MIRROR]])
        p = 1.0 / (1.0 + np.exp(-np.clip(logit.mean(dtype=np.float64), -30, 30)))
        kind = kind.mean(axis=0)
        return Answers(
            float(p),
            np.clip(kind / kind.sum(), 0, 1),
            np.clip(mask.mean(axis=0), 0, 1).astype(np.float32),
            regions.mean(axis=0),
        )

    def strength(
        self, region_scores: NDArray[np.floating], fake: float, inside: NDArray[np.floating] | None = None
    ) -> NDArray[np.float64]:
        """The share of findings like these that were right on held-out forgeries, by a fitted logistic.

        Args:
            region_scores: (12,) raw, in the order of MARE.
            fake: The face's raw score.
            inside: What `covered` gives; None without a mesh.

        Returns:
            (12,) in [0, 1].
        """
        fit = self._strength()
        offsets = fit.get("offsets", {})
        slopes = [fit["slope"], *(fit.get(key, 0.0) for key in ("mean", "most", "face", "inside"))]
        slopes += [offsets.get(name, 0.0) for name in regions.MARE]
        inputs = region_inputs(np.asarray(region_scores, np.float64), fake, inside)
        return np.asarray(sigmoid(inputs @ np.array(slopes, np.float64) + fit["offset"]))

    def _strength(self) -> Strength:
        """The fit for the masks that this witness has: with the network of places, or without."""
        return self.facts["strength"] if self.pointer is None else cast(Strength, self.pointer.fit["strength"])

    def _findings(
        self, face: Face, mask: Mask, strengths: NDArray[np.floating], to_grid: geometry.Affine
    ) -> tuple[Finding, ...]:
        if face.landmarks is None:
            return ()  # without a mesh no region has a place
        findings = []
        for i in np.argsort(-strengths):
            name, strength = regions.MARE[i], float(strengths[i])
            if strength < self._strength()["threshold"]:
                break
            place = _places.region_on(face, name, mask, to_grid)
            if place is None:
                continue  # the region lies outside the picture
            box, inside = place
            part = Mask(mask.box, mask.values * inside)
            measured = strength if self._measured else None
            findings.append(Finding.on(name, box, part, _places.claim(name), measured, face.at))
        return tuple(findings)


def region_inputs(
    region_scores: NDArray[np.floating], fake: float, inside: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """What the strength of each region's finding is told by.

    Args:
        region_scores: (12,) raw, in the order of MARE.
        fake: The face's raw score.
        inside: (12,) what `covered` gives; None where nothing is known, which counts as one half.

    Returns:
        (12, 17): a region's log-odds, their mean and highest over the face, the face's own, those of the mask inside
        the region, and which region it is.
    """
    own = logit(np.asarray(region_scores, np.float64))
    face = float(logit(np.array([fake]))[0])
    shared = np.tile([own.mean(), own.max(), face], (own.size, 1))
    marked = logit(np.clip(np.full(own.size, 0.5) if inside is None else inside, _LEAST, 1 - _LEAST))
    return np.concatenate([own[:, None], shared, marked[:, None], np.eye(own.size)], axis=1)


def covered(mask: NDArray[np.float32], face: Face, affine: geometry.Affine, size: int) -> NDArray[np.float64] | None:
    """The mean of a crop's mask inside each of MARE's regions.

    Args:
        mask: (g, g) in [0, 1].
        face: Whose mesh says where the regions are.
        affine: From the frame to the crop.
        size: Of the crop, pixels.

    Returns:
        (12,) in [0, 1], one half where a region is outside the crop; None without a mesh.
    """
    there = _places.parsed(regions.MARE, face, affine, size, mask.shape[0])
    if there is None:
        return None
    area = there.sum((1, 2))
    marked = (there * mask).sum((1, 2)) / np.maximum(area, 1e-6)
    return np.asarray(np.where(area > 0, marked, 0.5), np.float64)


def _through(pixels: Pixels, affine: geometry.Affine, size: int, side: int, quality: int | None = None) -> Pixels:
    """A crop of `size` pixels by way of a picture of `side` pixels, which may be saved as JPEG."""
    side = max(32, side)
    there = side / size
    between = geometry.crop(pixels, geometry.compose(np.array([[there, 0, 0], [0, there, 0]]), affine), side)
    if quality is not None:
        file = io.BytesIO()
        Image.fromarray(between).save(file, "JPEG", quality=quality)
        between = np.asarray(Image.open(file))
    return geometry.crop(between, np.array([[1 / there, 0, 0], [0, 1 / there, 0]]), size)


class Answers(NamedTuple):
    """The network's answers for one crop, all in [0, 1]."""

    fake: float
    kind: NDArray[np.floating]  # (4,), in the order of KINDS
    mask: NDArray[np.float32]  # (S/4, S/4)
    regions: NDArray[np.floating]  # (12,), in the order of MARE


_MIRROR = [regions.MARE.index(regions.mirrored(name)) for name in regions.MARE]


_MAKE = "Make a model with facewitness train compact and facewitness build onnx."
_OUTPUTS = {"fake", "kind", "mask", "regions"}
_PLACES = "places.onnx"  # the network of places, beside the weights
_MARGIN = 1.25  # of recipes that say nothing else
_MOST_NUMBER = 1_000_000  # under strength: a logit, a slope or an offset beyond is no fit


def _content(path: Path) -> bytes:
    try:
        return weights.bytes_of(path)
    except OSError as error:
        raise WeightsError(f"'{path}' cannot be read ({error.strerror or error}). {_MAKE}") from error


def _pointer(beside: Path, shipped: bool, facts: Facts, flip: bool, threads: int) -> _pointing.Pointer:
    """The network of places that the JSON of the weights speaks of."""
    file, fit = beside.with_name(_PLACES), facts.get("places")
    if fit is None or not _pointing.fits(fit) or not all(map(_finite, _numbers(fit.get("strength")))):
        raise WeightsError(
            f"'{beside.with_suffix('.json')}': expected sha256, own, other, offset, least and strength under places, "
            f"got {str(fit)[:200]}. Fit them again with runs/compact/places.py and fit.py --places."
        )
    # a network of one's own may rest on the second one that ships: its hash stands in the JSON
    content = _content(file) if not shipped and file.exists() else weights.read(_PLACES)[0]
    came = hashlib.sha256(content).hexdigest()
    if came != fit["sha256"]:
        raise WeightsError(
            f"'{file}' does not belong to '{beside}': expected SHA-256 {fit['sha256']}, got {came}. Copy both again."
        )
    session = _session(content, file, threads)
    return _pointing.Pointer(session, *_crop(session, file, {"map"}), fit, flip)


def _crop(session: onnxruntime.InferenceSession, onnx: Path, expected: set[str]) -> tuple[int, float]:
    """The side of the crops that a network takes, pixels, and how much of a face's surroundings they show."""
    inputs = {i.name: (i.type, i.shape) for i in session.get_inputs()}
    kind, shape = inputs.get("crops", ("", ()))
    sides = {side for side in shape[1:3] if isinstance(side, int) and 8 <= side <= 4096}
    outputs = {o.name for o in session.get_outputs()}
    if len(inputs) != 1 or kind != "tensor(uint8)" or len(shape) != 4 or shape[3] != 3 or len(sides) != 1:
        raise WeightsError(
            f"'{onnx}': expected one input 'crops', uint8 (N, S, S, 3) with a fixed S, got "
            f"{', '.join(f'{name} {kind} {shape}' for name, (kind, shape) in inputs.items()) or 'none'}. {_MAKE}"
        )
    if not outputs >= expected:
        raise WeightsError(
            f"'{onnx}': expected the outputs {', '.join(sorted(expected))}, got {', '.join(sorted(outputs))}. {_MAKE}"
        )
    try:
        margin = float(session.get_modelmeta().custom_metadata_map.get("margin", _MARGIN))
    except ValueError:
        margin = math.nan
    if not 0.5 <= margin <= 4:
        raise WeightsError(f"'{onnx}': expected a margin from 0.5 to 4 in its metadata, got {margin}. {_MAKE}")
    return sides.pop(), margin


def _unfitted(content: bytes, size: int, margin: float) -> Facts:
    """What is known of a network that nothing was fitted for: raw scores choose findings, of unmeasured strength."""
    return {
        "schema": SCHEMA,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": size,
        "margin": margin,
        "strength": {"slope": 1.0, "offset": 0.0, "threshold": 0.5},
        "calibration": None,
    }


class Strength(Logistic):
    """How a region's raw score becomes the share of such findings that are right, and from where on it is named."""

    threshold: float
    mean: NotRequired[float]  # slopes of `region_inputs` beside a region's own; 0 where they are not there
    most: NotRequired[float]
    face: NotRequired[float]
    inside: NotRequired[float]  # of the mask's mean inside the region
    offsets: NotRequired[Mapping[str, float]]  # region -> what is added to `offset`


class Facts(TypedDict):
    """What stands beside the weights."""

    schema: str
    sha256: str
    measured_as: NotRequired[str]  # SHA-256 of these weights in the file that was measured, where they were stored anew
    size: int  # side of the crop in pixels
    margin: float  # crop side over the mesh's longer side
    strength: Strength
    calibration: NotRequired[Mapping[str, Any] | None]  # `Calibration.to_json`
    places: NotRequired[_pointing.Fit]  # of the network of places
    groups: NotRequired[list[Mapping[str, Any]]]  # errors by group: `runs/compact/groups.py`
    card: NotRequired[Mapping[str, str]]  # "knows", "does_not_know", "no_sign", "groups", "deletion"


def _finite(number: Any) -> bool:
    return isinstance(number, int | float) and abs(number) <= sys.float_info.max  # NaN is not


def _numbers(strength: Any) -> list[Any]:
    """The numbers of a `Strength`, with None among them where one is missing."""
    if not isinstance(strength, dict) or not isinstance(offsets := strength.get("offsets", {}), dict):
        return [None]
    own = [strength.get(key) for key in ("slope", "offset", "threshold")]
    return [*own, *(strength.get(key, 0.0) for key in ("mean", "most", "face", "inside")), *offsets.values()]


def _facts(onnx: Path, content: bytes, card: Path, written: bytes) -> Facts:
    """What stands beside the weights, after the check that it belongs to them."""
    try:
        facts = json.loads(written)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"'{card}' is no JSON ({error}). {_MAKE}") from error
    came = hashlib.sha256(content).hexdigest()
    if not isinstance(facts, dict) or facts.get("schema") != SCHEMA or facts.get("sha256") != came:
        schema, digest = (facts.get("schema"), facts.get("sha256")) if isinstance(facts, dict) else (None, None)
        raise WeightsError(
            f"'{card}' does not belong to '{onnx}': expected schema {SCHEMA} and SHA-256 {came}, got "
            f"{schema} and {digest}. Fit it again with runs/compact/fit.py."
        )
    numbers = [facts.get("size"), facts.get("margin"), *_numbers(facts.get("strength"))]
    if not all(map(_finite, numbers)) or not 1 <= facts["size"] <= 4096:
        raise WeightsError(
            f"'{card}': expected numbers for size, margin, and slope, offset and threshold under strength; one is "
            f"missing. {_MAKE}"
        )
    if not 0.5 <= facts["margin"] <= 10 or max(map(abs, numbers[2:])) > _MOST_NUMBER:
        raise WeightsError(
            f"'{card}': expected a margin from 0.5 to 10 and numbers of at most {_MOST_NUMBER:,} under strength, got "
            f"others. {_MAKE}"
        )
    return cast(Facts, facts)
