"""KFD's detector: a score, a map of what is forged and, where a language model is given, an answer in words.

Trained by `train/kfd.py` on self-blends of genuine faces only, so it has seen no generator; how well it does is in
`runs/kfd/`. No weights travel with the package: see `load`.

Score and map come from the detector alone. A language model may put them into words, and the words may be wrong. So
for questions that score and map can answer, the reply is the likeliest of those that they allow (`_chosen`); where an
answer is the opposite of the score all the same, the reply says so, and `judge.judge` then leaves the verdict open.

Measured: kfd knows where a face was blended: self-blends (AUC 0.91 on held-out faces) and edited regions (0.88). kfd
does not know forgeries of videos (AUC DFDC: 0.62, FaceForensics++ c40: 0.60, FaceForensics++ c23: 0.50, DeepFaceLive:
0.17), nor faces that a generator made as a whole (StyleGAN2: 0.25, worse than chance). Where kfd and compact decided in
opposite directions, on 74 held-out faces, kfd was right 6 times and compact 68 times.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NotRequired, Protocol, TypedDict, cast

import numpy as np
import torch
from numpy.typing import NDArray

from facewitness import geometry, plugins, regions
from facewitness.calibration import Logistic, decided, logistic
from facewitness.errors import BackendError, WeightsError
from facewitness.grammars import yes_no
from facewitness.models.gradcam import heatmap
from facewitness.models.kfd import KFD, Encoders
from facewitness.types import Clip, Face, Finding, Hear, Mask, Pixels, Question, Reply, Testimony, Track, Turn
from facewitness.witnesses import _chosen, _device, _places, _prompted, _tracks, _words

QUESTION = "Is this a deepfake image?"  # KFD, section 3.3: yes means fake
TASK = (  # of the descriptions that `builders/sbi_qa` puts before a question, the plainest
    "The task is to find forged faces. Real skin, light and sharpness agree from one part of the face to the next."
)
LONGEST = 64  # tokens of an answer; those it was taught have 26 at most
CHARACTERS = 20_000  # of a reply that are read
# looks at a face around: how much farther than the weights' own margin, moved by which share of the crop, mirrored
AROUND = ((1.0, 0.0, False), (1.15 / 1.3, 0.0, True), (1.5 / 1.3, 0.0, False), (1.0, 0.02, True))
COVERED = 1 / 3  # a region is forged where the map's mean inside it is at least this (as in `forge.regions_touched`)
HOW = (
    "The detector's weights do not travel with facewitness. Take runs/kfd/kfd.safetensors of its repository, or make "
    "them, a few hours on a CPU, with: facewitness train kfd runs/kfd/small.toml … "
    "(runs/kfd/README.md), and name the file: --option kfd.weights=FILE. Or put kfd.safetensors and kfd.json into the "
    "folder that FACEWITNESS_MODELS names, with a line for each in its SHA256SUMS."
)


def halved(values: NDArray[np.float32], half: float) -> NDArray[np.float32]:
    """A map of which `half` becomes one half, from which on everybody takes a mask for forged; 0 and 1 stay.

    The map learns with a loss that is content with less than one half at an edge; from where on it is right most often
    was fitted on held-out groups of training (`runs/kfd/half.py`). What regions and words rest on is the map as it is.

    Args:
        values: In [0, 1].
        half: What becomes one half.

    Returns:
        float32, of the same shape, in [0, 1].
    """
    return np.where(values < half, values * (0.5 / half), 0.5 + (values - half) * (0.5 / (1 - half))).astype(np.float32)


class Language(Protocol):
    """What answers in words, given the face and what the detector found on it."""

    def answer(self, face: Face, pixels: Pixels, testimony: Testimony, question: str) -> str:
        """Its own words about a face, given the whole frame's pixels.

        Args:
            face: Where it is on the frame.
            pixels: The whole frame, RGB uint8 (H, W, 3).
            testimony: The detector's.
            question: The question in words.

        Raises:
            BackendError: It cannot answer.
        """


def load(
    weights: str | None = None,
    device: str = "cpu",
    flip: bool = True,
    gradcam: bool = False,
    language: str | Language | None = None,
    encoders: Encoders | None = None,
    around: bool | None = None,
) -> KFDWitness:
    """The witness, ready to examine.

    Args:
        weights: Path of a detector that `train/kfd.py` saved (.safetensors, its .json beside it); None looks for
            kfd.safetensors where `facewitness.weights` looks.
        device: Torch's name of one.
        flip: Examine the mirror image too and average (twice the time).
        gradcam: The mask shows what moved the score (Grad-CAM at the last layer's features, times the score) in the
            place of the locator's map; findings still come from the locator.
        language: A folder that `train/sft.py` made, the folder or hub name of a plain model of the families of
            `models/prompted_vlm`, or an object with `answer(face, pixels, testimony, question) -> str`; None leaves the
            testimony without words. A model is told the score exactly when it was taught with the score told.
        encoders: Of a detector whose encoders are of a class of one's own.
        around: Look at the face from four crops, nearer, farther and moved ones among them, two of them mirrored, and
            average (four times the time of one look); None as the weights' card has it, whose calibration is of that.

    Raises:
        WeightsError: Where the weights are missing, damaged or of another kind.
        InputError: For an unknown device.
    """
    return KFDWitness(weights, device, flip, gradcam, language, encoders, around)


class KFDWitness:
    """One loaded detector. `examine` takes a face, of any finder, and returns its testimony."""

    name = "kfd"

    def __init__(
        self,
        path: str | None,
        device: str,
        flip: bool,
        gradcam: bool,
        language: str | Language | None,
        encoders: Encoders | None,
        around: bool | None,
    ):
        file = _device.file_of("kfd.safetensors", path, "detector", HOW)
        self._device, self.detector = _device.on(device, lambda: KFD.load(file, encoders))
        self.facts = _facts(file)
        self._sha256 = self.detector.sha256
        self._flip, self._gradcam = flip, gradcam
        if not 1 <= self.detector.encoders.size <= 4096:
            raise WeightsError(f"'{file}': expected crops of 1 to 4096 px, got {self.detector.encoders.size}. {HOW}")
        self._size, self._margin = int(self.detector.encoders.size), float(self.facts["crop"]["margin"])
        half = self.facts.get("half", 0.5)
        if isinstance(half, bool) or not isinstance(half, int | float) or not 0 < half < 1:
            raise WeightsError(f"'{file.with_suffix('.json')}': expected half between 0 and 1, got {half!r}. {HOW}")
        self.half = float(half)  # what of the map is shown as one half
        if not isinstance(fitted := self.facts.get("around", False), bool):
            raise WeightsError(
                f"'{file.with_suffix('.json')}': expected around as true or false, got {fitted!r}. {HOW}"
            )
        self._around, self._fitted = fitted if around is None else around, fitted
        self.strength = _checked_strength(self.facts.get("strength"), file)
        self._latest: _Seen | None = None
        _prompted.check("kfd", language)
        self._language: Any = language
        if isinstance(language, str):
            self._language = _Prompted(language, device)
            self._language.rests_on(self.name, "detector", self.detector, file)
        self._options = {
            "weights": None if path is None else file.name,
            "device": device,
            "flip": flip,
            "around": self._around,
            "gradcam": gradcam,
            "language": None
            if self._language is None
            else str(getattr(self._language, "name", type(self._language).__name__)),
        }
        # as JSON, as a profile may replace it. Without one the judge hears this witness but lets it decide nothing
        self.calibration: Mapping[str, Any] | None = self.facts.get("calibration")
        self.card: Mapping[str, str] | None = self.facts.get("card")  # what these weights were measured to be worth

    def made_by(self) -> dict[str, Any]:
        """What it takes to run this witness again: its options and its weights' SHA-256.

        Returns:
            JSON-ready.
        """
        files = {"kfd.safetensors": self._sha256}
        return {"options": self._options, "weights": files | getattr(self._language, "weights", {})}

    def examine(self, track: Track, clip: Clip) -> Testimony:
        """Testimony on one person; `kind` is None, which the detector cannot tell.

        With a language model its reply to "Is this a deepfake image?", about the face that can be judged best, is the
        `reply`. Where it cannot be asked, the detector's testimony stands, with the problem.

        Args:
            track: One person's faces.
            clip: The file's pixels; a photo is a clip of one frame.
        """
        testimony = _tracks.over(track, clip, self._look)
        if self._language is None:
            return testimony
        try:
            return replace(testimony, reply=self._reply(track.face, clip, testimony, QUESTION))
        except BackendError as error:
            return replace(testimony, problem=f"{testimony.problem} {error}".strip())

    def answer(
        self, track: Track, clip: Clip, question: Question, history: Sequence[Turn] = (), hear: Hear | None = None
    ) -> Reply:
        """The language model's reply to a question about a person, on the face that can be judged best.

        Args:
            track: One person's faces.
            clip: The file's pixels; a photo is a clip of one frame.
            question: The question in words.
            history: Earlier questions with their replies, oldest first.
            hear: Is called with each piece of the reply as it comes; None to wait for the whole.

        Raises:
            BackendError: there is no language model, or it cannot answer.
        """
        if self._language is None:
            raise BackendError("kfd has no language model to ask. Name one: --option kfd.language=FOLDER")
        face = track.face
        testimony = self._look(face, clip.at(face.at).pixels)
        reply = self._reply(face, clip, testimony, question.text, history)
        if hear is not None:
            hear(reply.text)
        return reply

    @property
    def answers_questions(self) -> bool:
        """Whether there is a language model to ask."""
        return self._language is not None

    def _look(self, face: Face, pixels: Pixels) -> Testimony:
        affine = _places.crop_map(face, self._size, self._margin)
        crop = geometry.crop(pixels, affine, self._size)
        if self._around and face.landmarks is not None:  # without a mesh nobody knows what is beyond the crop
            score, located = self._from_around(pixels, affine)
        else:
            score, located = self.scored(crop)
        self._latest = _Seen(face, crop, score, located)
        mask, to_grid = _places.on_frame(located, face, affine, self._size)
        shown = Mask(mask.box, halved(mask.values, self.half))
        findings = self._findings(face, mask, shown, to_grid)
        mask = shown
        notes: tuple[str, ...] = ()
        if self._around != self._fitted and self.calibration is self.facts.get("calibration"):  # no profile's
            how, otherwise = ("looks", "without") if self._around else ("does not look", "with")
            notes += (f"it {how} from around (kfd.around), and its calibration was fitted {otherwise} that.",)
        if self._gradcam:
            attention = self.attention(crop)
            if attention.max() > 0:
                mask, _ = _places.on_frame(attention * np.float32(score), face, affine, self._size)
            else:  # everywhere in the layer more would lower the score
                notes += ("Grad-CAM: no place raises the score; the mask is the detector's own map.",)
        return Testimony(self.name, score, mask, findings, notes=notes)

    def scored(self, crop: NDArray[np.uint8]) -> tuple[float, NDArray[np.float32]]:
        """Score and map (S, S), both in [0, 1], of one crop uint8 (S, S, 3); with `flip` of its mirror image too.

        Args:
            crop: A crop, uint8 (S, S, 3).

        Returns:
            The score, and the map float32 (S, S).
        """
        views = np.stack([crop, crop[:, ::-1]]) if self._flip else crop[None]
        with torch.inference_mode():
            output = self.detector(self._pixels(views))
            score, maps = output.logit.double().mean().sigmoid().item(), output.map[:, 0].cpu().numpy()
        if self._flip:
            maps = np.stack([maps[0], maps[1][:, ::-1]])
        return float(score), np.clip(maps.mean(axis=0), 0, 1).astype(np.float32)

    def _from_around(self, pixels: Pixels, affine: geometry.Affine) -> tuple[float, NDArray[np.float32]]:
        """Score and map of a face by `AROUND`, the map (S, S) on the witness's own crop."""
        size, views, ways = self._size, [], []
        for farther, moved, _ in AROUND:
            zoom, shift = 1 / farther, size * (moved + (1 - 1 / farther) / 2)
            ways.append(np.array([[zoom, 0, shift], [0, zoom, shift]]))  # from the own crop to this look
            views.append(geometry.crop(pixels, geometry.compose(ways[-1], affine), size))
        mirrored = [mirror and self._flip for *_, mirror in AROUND]
        views = [view[:, ::-1] if mirror else view for view, mirror in zip(views, mirrored, strict=True)]
        with torch.inference_mode():
            output = self.detector(self._pixels(np.stack(views)))
            score, maps = output.logit.double().mean().sigmoid().item(), output.map[:, 0].cpu().numpy()
        total, count = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
        corners = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float64)
        for way, mirror, values in zip(ways, mirrored, maps, strict=True):
            back = geometry.invert(way)
            seen = geometry.fill([geometry.transform(back, corners)], size, size)  # of the own crop
            total += seen * geometry.crop(values[:, ::-1] if mirror else values, back, size)
            count += seen
        return float(score), np.clip(total / np.maximum(count, 1), 0, 1).astype(np.float32)

    def attention(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Grad-CAM of the score, (S, S) in [0, 1], at the last layer's features as the text meets them.

        Args:
            crop: A crop, uint8 (S, S, 3).

        Returns:
            float32 (S, S) in [0, 1].
        """
        pixels = self._pixels(crop[None])
        return heatmap(self.detector, self.detector.linear[-1], pixels, lambda output: output.logit)

    def _pixels(self, views: NDArray[np.uint8]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(views.transpose(0, 3, 1, 2))).to(self._device).float()

    def _findings(self, face: Face, mask: Mask, shown: Mask, to_grid: geometry.Affine) -> tuple[Finding, ...]:
        places = []
        for name in regions.MARE:
            place = _places.region_on(face, name, mask, to_grid)
            if place is None or not place[1].any():
                continue  # no mesh, outside the picture, or smaller than a sample
            box, inside = place
            covered = float(mask.values[inside].mean())
            if covered >= COVERED:
                places.append((covered, name, box, Mask(mask.box, shown.values * inside)))
        places.sort(key=lambda f: (-f[0], f[1]))
        return tuple(
            Finding.on(name, box, part, _places.claim(name), self._strength(covered), face.at)
            for covered, name, box, part in places
        )

    def _strength(self, covered: float) -> float | None:
        """The share of such findings that were right on held-out forgeries; None where nobody has measured it."""
        fit = self.strength
        if fit is None:
            return None
        return float(logistic(np.array([covered]), fit["slope"], fit["offset"])[0])

    # -------------------------------------------------------------------------------------------------- in words

    def _seen(self, face: Face, pixels: Pixels) -> _Seen:
        """What the detector says of a face, without a second look at the latest one."""
        if self._latest is None or self._latest.face is not face:
            self._look(face, pixels)
        if self._latest is None:
            raise BackendError("kfd has not looked at the face that it is asked about.")
        return self._latest

    def _to_crop(self, face: Face) -> geometry.Affine:
        return _places.crop_map(face, self._size, self._margin)

    def _reply(
        self, face: Face, clip: Clip, testimony: Testimony, question: str, history: Sequence[Turn] = ()
    ) -> Reply:
        pixels = clip.at(face.at).pixels
        if isinstance(self._language, _Prompted):
            words = self._language.reply(self._seen(face, pixels), self._to_crop(face), question, history)
        else:
            words = self._language.answer(face, pixels, testimony, question)  # of anybody's making
        if not isinstance(words, str):
            raise BackendError(f"The language model: expected a reply in words, got {type(words).__name__}.")
        reply: Reply = plugins.get("grammars", "yes_no").parse(words[:CHARACTERS])
        score = testimony.fake or 0.0
        evidence, source = decided(score, self.calibration), f"the detector's score, {score:.2f}"
        about = [name for name in regions.mentioned(question) if name != "skin"]
        if about:  # "no, not the nose" says nothing of the face as a whole: no verdict
            accused = any(finding.region in about for finding in testimony.findings)
            notes = _words.notes(reply.label, "fake" if accused else "real", "the detector's map")
            notes += _words.of_a_region(reply.label, about, evidence, f"{source},")
            return Reply(None, None, reply.parts, notes=notes)
        notes = _words.notes(reply.label, evidence, source)
        named = [name for name in regions.mentioned(reply.text) if name != "skin"]
        marked = [finding.region for finding in testimony.findings if finding.region is not None]
        notes += _words.of_places(named, marked, reply.label, "the detector's map")
        return Reply(reply.label, None, reply.parts, notes=notes)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """One look of the detector."""

    face: Face
    crop: Pixels  # (S, S, 3)
    score: float
    located: NDArray[np.float32]  # (S, S) in [0, 1]


class _Prompted:
    """A language model that is shown the detector's own crop, as `builders/sbi_qa` made what it learned from."""

    def __init__(self, name: str, device: str):
        self._model = _prompted.Prompted(name, device, LONGEST)
        self.name, self.weights = self._model.name, self._model.weights
        self.rests_on = self._model.rests_on
        self._choice = _chosen.read(Path(name))

    def reply(self, seen: _Seen, to_crop: geometry.Affine, question: str, history: Sequence[Turn] = ()) -> str:
        """The likeliest reply that the evidence allows, else the model's own.

        Raises:
            BackendError: The model cannot give one.
        """
        before: list[tuple[str, str]] = []
        for turn in history if self._model.taught.turns > 1 else ():
            before.append((turn.question if before else self._prompt(seen, turn.question), turn.answer))
        prompt = question if before else self._prompt(seen, question)
        if self._choice is not None and seen.face.landmarks is not None:
            points = geometry.transform(to_crop, seen.face.landmarks[:, :2])
            covered = _chosen.coverage(seen.located, points)

            def weigh(replies: Sequence[str], ended: bool = True) -> list[float]:
                return self._model.likelihoods(seen.crop, prompt, replies, before, ended)

            chosen = _chosen.reply(question, seen.score, covered, weigh, self._choice)
            if chosen is not None:
                return chosen
        return self._model.answer(seen.crop, prompt, before)

    def _prompt(self, seen: _Seen, question: str) -> str:
        return yes_no.prompt(TASK, seen.score if self._model.taught.quoted else None, question)


class Crop(TypedDict):
    """How faces are cropped."""

    margin: float  # crop side over the mesh's longer side


class Facts(TypedDict):
    """What stands beside the weights, as far as this witness reads it."""

    crop: Crop
    strength: NotRequired[Logistic | None]
    around: NotRequired[bool]  # whether calibration and strength are of looks from around (`AROUND`)
    calibration: NotRequired[Mapping[str, Any] | None]  # `Calibration.to_json`
    card: NotRequired[Mapping[str, str]]  # "knows", "does_not_know", "deletion": a sentence each


def _facts(file: Path) -> Facts:
    """What stands beside the weights, checked by `KFD.load` but for how faces are cropped, which has to be there."""
    beside = file.with_suffix(".json")
    facts: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
    crop = facts.get("crop")
    margin = crop.get("margin") if isinstance(crop, dict) else None
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0.5 <= margin <= 10:
        raise WeightsError(
            f"'{beside}' does not say how faces are cropped: expected crop.margin from 0.5 to 10, as train/kfd.py "
            f"writes it, got {margin!r}. {HOW}"
        )
    return cast(Facts, facts)


def _checked_strength(fit: Any, file: Path) -> Logistic | None:
    """How strong a finding is, or None where nobody has measured it. Raises WeightsError."""
    if fit is None:
        return None
    values = [fit.get(key) for key in ("slope", "offset")] if isinstance(fit, dict) else [None]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and np.isfinite(v) for v in values):
        raise WeightsError(
            f"'{file.with_suffix('.json')}': expected strength with a finite slope and offset, as runs/kfd/fit.py "
            f"writes it, got {str(fit)[:80]}. Fit it again."
        )
    return cast(Logistic, fit)
