"""Any picture classifier in an ONNX file: how it wants pictures is read from the file, and what its outputs are.

The input's shape says where the three colours stand and how large pictures are; a size that the file leaves open is the
picture's own, up to `MOST_SIDE`. Beside the file, `preprocessor_config.json` and `config.json` of an export from the
Hugging Face hub are read where they lie there: mean, deviation, way of resizing and the labels' names.

Outputs may be logits or shares. Two outputs that add up to 1 in [0, 1] for a few pictures of noise are shares. One
output that lies there for these may still be a logit that leaves it for others: it is read by the operator that ends
the network, a sigmoid or a linear layer, and where that is another one, the caller has to say what it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from facewitness import weights
from facewitness.errors import InputError, WeightsError
from facewitness.files import MOST_TEXT, MOST_WEIGHTS, read_bounded
from facewitness.types import Pixels

MOST_SIDE = 2_048  # pixels
LEAST_SIDE = 32
# mean and deviation of values in [0, 1] by name; "bytes" leaves 0 to 255
NORMS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "bytes": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
}
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
OUTPUTS = ("shares", "logits")
_IN_ONE = frozenset(("Sigmoid", "HardSigmoid", "Softmax"))  # operators whose values lie in [0, 1] for all pictures
_ANYWHERE = frozenset(("MatMul", "Gemm", "Conv"))  # and those whose values may lie anywhere
# These choose from values, average them or write them otherwise: what lay in [0, 1] does so still
_KEEPING = frozenset(
    (
        "Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape", "Flatten", "Transpose", "Slice", "Gather", "Split",
        "ReduceMean", "GlobalAveragePool",
    )
)  # fmt: skip
_MULTIPLE = 32  # a size of its own is cut to multiples of this, which the strides of common networks divide


class OnnxClassifier:
    """A loaded file.

    Attributes:
        labels: in the order of the outputs; empty where none are known.
        outputs: 1 or 2.
        shares: whether the outputs are shares in [0, 1]; logits otherwise.
        sha256: file → hash, of the settings beside it too.
    """

    def __init__(self, path: Path, norm: str, threads: int = 1, outputs: str | None = None):
        """Load a file.

        Args:
            path: Of the ONNX file.
            norm: How pictures are normalised before they go in.
            threads: Of ONNX Runtime.
            outputs: What it answers with, one of OUTPUTS; None to find out.

        Raises:
            InputError: what its one output is cannot be told, or is not what `outputs` says.
            WeightsError: it cannot be read, or is no classifier of one or two outputs that takes one picture.
        """
        try:
            content = read_bounded(path, MOST_WEIGHTS)
        except OSError as error:
            raise WeightsError(f"'{path}' cannot be read ({error.strerror}). Name another file.") from error
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
        settings.log_severity_level = 4
        whole = weights.whole_onnx(content, path)
        try:
            self._session = onnxruntime.InferenceSession(whole, settings, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors have no class in common
            raise WeightsError(
                f"'{path}' cannot be loaded by ONNX Runtime ({_first(error)}). Export it again."
            ) from error
        self._path, self.sha256 = path, {path.name: hashlib.sha256(content).hexdigest()}
        self._read_input()
        for name in ("config.json", "preprocessor_config.json"):  # other settings have other scores
            if (beside := path.with_name(name)).is_file():
                self.sha256[name] = hashlib.sha256(read_bounded(beside, MOST_TEXT)).hexdigest()
        self._mean, self._std = _norm(beside) or NORMS[norm]
        self._resample = _resample(beside)
        self.labels = _labels(_json(path.with_name("config.json")))
        values = self._probe()
        self.outputs, self.shares = values.shape[1], self._are_shares(values, outputs, whole)

    def logits(self, pixels: Pixels) -> NDArray[np.float64]:
        """Its outputs for a picture RGB uint8 (H, W, 3): (1,) or (2,) logits, or shares.

        Args:
            pixels: RGB uint8 (H, W, 3).

        Returns:
            (1,) or (2,).

        Raises:
            InputError: outputs that are not finite, or no shares where they were before.
        """
        answer = self._answer(pixels)
        if not np.isfinite(answer).all():
            raise InputError(f"'{self._path.name}' answered with NaN or infinity; expected finite numbers.")
        if self.shares and not ((answer >= 0) & (answer <= 1)).all():
            raise InputError(
                f"'{self._path.name}' answered {answer.max():g} where it answered shares in [0, 1] before."
            )
        return answer

    def _read_input(self) -> None:
        inputs = self._session.get_inputs()
        shape = list(inputs[0].shape) if len(inputs) == 1 else []
        self._type = _TYPES.get(inputs[0].type) if len(inputs) == 1 else None
        if (
            len(shape) != 4
            or self._type is None
            or 3 not in (shape[1], shape[3])
            or shape[0] not in (1, *_open(shape[0]))
        ):
            came = "; ".join(f"{one.type} {one.shape}" for one in inputs) or "none"
            raise WeightsError(
                f"'{self._path}': expected one input with the shape (1, 3, height, width) or (1, height, width, 3) of "
                f"float or uint8, got {came}. Export a classifier of pictures."
            )
        self._name, self._first_colour = inputs[0].name, shape[1] == 3
        sides = shape[2:] if self._first_colour else shape[1:3]
        self._size = tuple(side if isinstance(side, int) and side > 0 else None for side in sides)
        if any(side is not None and not 8 <= side <= MOST_SIDE for side in self._size):
            raise WeightsError(f"'{self._path}': expected pictures of 8 to {MOST_SIDE} px, got {self._size}.")

    def _answer(self, pixels: Pixels) -> NDArray[np.float64]:
        picture = self._sized(pixels)
        if self._type is np.uint8:
            values: NDArray[Any] = picture
        else:
            values = ((picture.astype(np.float32) / 255.0 - np.float32(self._mean)) / np.float32(self._std)).astype(
                self._type
            )
        values = np.ascontiguousarray(values.transpose(2, 0, 1) if self._first_colour else values)[None]
        try:
            answer = self._session.run(None, {self._name: values})[0]
        except Exception as error:  # of a graph that does not fit its own shapes
            raise WeightsError(
                f"'{self._path}' fails on a picture of its size ({_first(error)}). Export it again."
            ) from error
        return np.asarray(answer, np.float64).reshape(-1)

    def _sized(self, pixels: Pixels) -> Pixels:
        height, width = self._size
        if height is not None and width is not None:
            return np.asarray(Image.fromarray(pixels).resize((width, height), self._resample))
        # at its own resolution: the middle, in multiples; what is smaller is continued by its mirror image
        sides = []
        for fixed, own in zip((height, width), pixels.shape[:2], strict=True):
            sides.append(fixed or max(LEAST_SIDE, min(own, MOST_SIDE) // _MULTIPLE * _MULTIPLE))
        lacking = [max(0, side - own) for side, own in zip(sides, pixels.shape[:2], strict=True)]
        if any(lacking):
            pixels = np.pad(pixels, ((0, lacking[0]), (0, lacking[1]), (0, 0)), mode="symmetric")
        top, left = ((own - side) // 2 for own, side in zip(pixels.shape[:2], sides, strict=True))
        return pixels[top : top + sides[0], left : left + sides[1]]

    def _probe(self) -> NDArray[np.float64]:
        """What it answers to a few pictures of noise: (n, 1) or (n, 2)."""
        rng = np.random.default_rng(0)
        side = next((side for side in self._size if side is not None), 224)
        pictures = [np.full((side, side, 3), value, np.uint8) for value in (0, 128, 255)]
        pictures += [rng.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(3)]
        answers = [self._answer(picture) for picture in pictures]
        count = answers[0].size
        if count not in (1, 2):
            raise WeightsError(
                f"'{self._path}': expected 1 or 2 outputs for a picture, got {count}. Name another model."
            )
        return np.stack(answers)

    def _are_shares(self, values: NDArray[np.float64], given: str | None, content: bytes) -> bool:
        """Whether its outputs are shares, by what is `given`, by answers to pictures, and by how the network ends."""
        inside = bool(((values >= 0) & (values <= 1)).all())
        if given is not None:
            if given == "shares" and not inside:
                outside = values[(values < 0) | (values > 1)][0]
                raise InputError(
                    f"hub.outputs=shares: expected '{self._path.name}' to answer in [0, 1], got {outside:g}. Say "
                    "hub.outputs=logits."
                )
            return given == "shares"
        if not inside or values.shape[1] == 2:
            return inside and bool(np.allclose(values.sum(axis=1), 1, atol=1e-3))
        operator = _ends_in(content)
        if operator not in _IN_ONE | _ANYWHERE:
            raise InputError(
                f"'{self._path.name}' answers in [0, 1] to pictures of noise and ends in {operator or 'no operator'}, "
                "which does not tell whether that is a share or a logit. Say so with --option hub.outputs=shares (or "
                "logits)."
            )
        return operator in _IN_ONE


def _ends_in(content: bytes) -> str:
    """The operator that makes a network's first output, before those that leave values in the range they had."""
    value, made = weights.producers(content)
    for _ in range(len(made)):  # a graph that is wrong may run in a circle
        operator, takes = made.get(value, ("", ()))
        if operator == "Add":  # a linear layer's constant
            linear = [made[each][0] for each in takes if each in made and made[each][0] in _ANYWHERE]
            return linear[0] if linear else operator
        if operator not in _KEEPING or not takes:
            return operator
        value = takes[0]
    return ""


def _open(side: object) -> tuple[object, ...]:
    """An axis whose length the file leaves open."""
    return (side,) if not isinstance(side, int) or side < 1 else ()


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(read_bounded(path, 1_000_000))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _norm(file: Path) -> tuple[Sequence[float], Sequence[float]] | None:
    """Mean and deviation by the file beside a network; None where it names none."""
    settings = _json(file)
    if settings.get("do_normalize") is False:
        return NORMS["unit"] if settings.get("do_rescale", True) else NORMS["bytes"]
    mean, std = (_three(settings, name, file) for name in ("image_mean", "image_std"))
    return (mean, std) if mean and std else None


def _resample(file: Path) -> Image.Resampling:
    """How pictures come to their size by the file beside a network, by Pillow's numbers; bicubic where it says none."""
    value = _json(file).get("resample")
    known = type(value) is int and value in set(Image.Resampling)
    return Image.Resampling(value) if known else Image.Resampling.BICUBIC


def _three(settings: Mapping[str, Any], name: str, file: Path) -> tuple[float, ...]:
    """Three numbers that may be such a value; none where the file has none. Raises WeightsError for anything else."""
    value = settings.get(name)
    if value is None:
        return ()
    least = 1e-6 if name == "image_std" else -1e6
    if (
        not isinstance(value, list)
        or len(value) != 3
        or not all(isinstance(one, int | float) and type(one) is not bool and least <= one <= 1e6 for one in value)
    ):
        raise WeightsError(
            f"'{file}': expected {name} as 3 numbers of {least:g} to 1e+06, got {json.dumps(value)[:80]}. Copy it "
            "again from where the network came."
        )
    return tuple(float(one) for one in value)


def _labels(settings: Mapping[str, Any]) -> tuple[str, ...]:
    named = settings.get("id2label")
    if not isinstance(named, dict) or named.keys() != {str(number) for number in range(len(named))}:
        return ()  # a number twice, or one left out: which output is which is not told
    return tuple(str(named[str(number)]) for number in range(len(named)))


def _first(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
