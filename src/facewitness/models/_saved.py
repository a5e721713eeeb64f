"""A trained network on disk is two files: its tensors (.safetensors) and a card beside them (.json).

The card says what they are: `model`, the kind of network, `sha256` of the tensors' file, and what it takes to make the
network again; its other keys are the network's own. Both are written whole, the card last, and nothing is believed when
they are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, load_file, save
from torch import Tensor, nn

from facewitness.errors import WeightsError
from facewitness.files import MOST_WEIGHTS, ordinary, read_bounded, read_json, write_whole

MAY_BE_NAN = "sentences"  # KFD's descriptions that nobody has embedded yet
_AGAIN = "Copy both files again from where they came."


def write(path: Path, kind: str, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> str:
    """Write `path` (.safetensors) and its card; returns the SHA-256 of the tensors' file."""
    if path.suffix != ".safetensors":
        raise WeightsError(f"'{path}': expected a name that ends in .safetensors")
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    digest = hashlib.sha256(content).hexdigest()
    write_whole(path, content)
    whole = {**card, "model": kind, "sha256": digest}
    write_whole(path.with_suffix(".json"), json.dumps(whole, indent=2).encode())
    return digest


def kind_of(path: Path) -> str | None:
    """Which model the JSON beside `path` says it is; None where there is no such file, as of a backbone's weights."""
    try:
        card = read_json(path.with_suffix(".json"))
    except (OSError, ValueError):
        return None
    return card.get("model") if isinstance(card, dict) else None


def read(path: Path, kind: str, keys: Sequence[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The card, which has these keys, and the tensors, which are the ones it was written with.

    Raises WeightsError where a file is missing, damaged or of another kind.
    """
    if not path.name:
        raise WeightsError(f"'{path}' is a folder. Name a file in it that ends in .safetensors.")
    beside = path.with_suffix(".json")
    try:
        card, content = read_json(beside), read_bounded(path, MOST_WEIGHTS)
    except OSError as error:
        raise WeightsError(
            f"'{error.filename}' cannot be read ({error.strerror}); a saved {kind} is two files, .safetensors and "
            ".json."
        ) from error
    except ValueError as error:
        raise WeightsError(f"'{beside}' is no JSON ({error}). Copy it again from where it came.") from error
    if not isinstance(card, dict) or card.get("model") != kind:
        raise WeightsError(f"'{beside}' is not the configuration of a saved {kind}.")
    if lacking := [key for key in ("sha256", *keys) if key not in card]:
        raise WeightsError(f"'{beside}': expected the key {lacking[0]}, which is missing.")
    came = hashlib.sha256(content).hexdigest()
    if came != card["sha256"]:
        raise WeightsError(
            f"'{path}' is not the file it should be: expected SHA-256 {card['sha256']}, got {came}. {_AGAIN}"
        )
    try:
        return card, load(content)
    except SafetensorError as error:
        raise WeightsError(f"'{path}' cannot be read as safetensors ({error}). {_AGAIN}") from error


LENDERS = ("fifa.safetensors", "../fifa/fifa.safetensors")  # beside a file that lacks an encoder, or in runs/


def borrowed(path: Path, card: Mapping[str, Any], begins: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, of another network's file, where the card says that they stand there.

    Two small networks share one encoder, and the repository holds it once. Which files lend is fixed (`LENDERS`); the
    card's `encoder_of` is the SHA-256 of the one that it means.

    Returns:
        The tensors; none where the card borrows none.

    Raises:
        WeightsError: No such file is there, or another one.
    """
    digest = card.get("encoder_of")
    if digest is None:
        return {}
    for name in LENDERS:
        try:
            content = read_bounded(path.parent / name, MOST_WEIGHTS)
        except OSError:
            continue
        if hashlib.sha256(content).hexdigest() == digest:
            try:
                return {k: v for k, v in load(content).items() if k.startswith(begins)}
            except SafetensorError as error:
                raise WeightsError(f"'{name}' cannot be read as safetensors ({error}). {_AGAIN}") from error
    raise WeightsError(
        f"'{path}' shares its encoder with fifa.safetensors, of which SHA-256 {digest} was expected beside it or in "
        "../fifa, and none is there. Copy that file, too, from where this one came."
    )


@contextmanager
def settings_of(path: Path) -> Iterator[None]:
    """Around what makes a network of a card's settings: one that the network refuses is the card's fault."""
    try:
        yield
    except (TypeError, ValueError, RuntimeError) as error:  # the last of torch, of sizes that cannot be
        why = str(error).partition("\n")[0][:200]
        raise WeightsError(
            f"'{path.with_suffix('.json')}' holds a setting this version has not: {why}. {_AGAIN}"
        ) from error


def once(network: nn.Module) -> dict[str, Tensor]:
    """The network's tensors, those that several names share under the first of them."""
    seen: dict[int, str] = {}
    return {k: v for k, v in network.state_dict(keep_vars=True).items() if seen.setdefault(id(v), k) == k}


def shared(network: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as `once` gave them, under all their names, in single precision."""
    first: dict[int, str] = {}
    named = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    for name, own in network.state_dict(keep_vars=True).items():
        twin = first.setdefault(id(own), name)
        if twin != name and twin in named and name not in named:
            named[name] = named[twin]
    return named


def plain(config: Mapping[str, Any], tables: Sequence[str], keys: Sequence[str]) -> None:
    """Raises TypeError where a card's settings could name a file, code, or a way of computing that is somebody else's.

    Args:
        config: The card's settings.
        tables: Those that are tables of numbers and words.
        keys: Those that are none.
    """
    if unknown := sorted(set(config) - {*tables, *keys}):
        raise TypeError(f"unknown key {unknown[0]!r}")
    for table in tables:
        part = config.get(table)
        if not isinstance(part, Mapping):
            raise TypeError(f"{table}: expected a table, got {part!r}")
        for key, value in part.items():
            if key.startswith("_") or any(word in key for word in ("implementation", "auto", "name", "path")):
                raise TypeError(f"{table}.{key} is no setting of this network")
            if not isinstance(value, int | float | bool | str | type(None)):
                raise TypeError(f"{table}.{key}: expected a number or a word, got {value!r}")


_FROM_THE_END = -16  # a stage of a backbone is counted so: that of MARE's module is -2


def sized(config: Any, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse counts of a card that its own tensors cannot have, before anything of that size is made.

    No layer comes without a tensor, and no side of a tensor is longer than the longest that is there.

    Raises WeightsError.
    """
    longest = max((side for t in tensors.values() for side in t.shape), default=0)
    most = max(longest, 1 << 16)  # a side may be of something that has no tensor, such as a crop's

    def look(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                look(str(key), inner)
        elif isinstance(value, int) and not isinstance(value, bool):
            bound = len(tensors) if "layers" in name or name in ("further", "convolved") else most
            least = _FROM_THE_END if name == "stage" else -1
            if not least <= value <= bound:
                raise WeightsError(
                    f"'{path.with_suffix('.json')}': expected {name} of at most {bound:,} for the tensors beside it, "
                    f"got {value!r:.40}. {_AGAIN}"
                )

    look("network", config)


def fits(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raises WeightsError unless names and shapes are the network's own."""
    unfit = sorted(own.keys() ^ tensors.keys())
    unfit += sorted(k for k in own.keys() & tensors.keys() if tensors[k].shape != own[k].shape)
    if unfit:
        raise WeightsError(
            f"'{path}' does not fit its configuration: {len(unfit)} tensors, among them {unfit[0]}. {_AGAIN}"
        )


def fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path, left_out: str = "") -> None:
    """Put the tensors into the network; those of its own whose names begin with `left_out` keep their values.

    Adapters of what is left out are not left out themselves.

    Raises WeightsError unless names and shapes are the network's own, and all numbers are finite.
    """
    own = {
        k: v for k, v in network.state_dict().items() if not left_out or not k.startswith(left_out) or ".adapter." in k
    }
    fits(own, tensors, path)
    broken = sorted(k for k, t in tensors.items() if not k.endswith(MAY_BE_NAN) and not t.isfinite().all())
    if broken:
        raise WeightsError(
            f"'{path}' holds NaN or infinity in {len(broken)} of {len(tensors)} tensors, among them {broken[0]}. Its "
            "training ran away; take another file."
        )
    network.load_state_dict(tensors, strict=False)  # strict but for what is left out, as checked above


def fill_backbone(backbone: nn.Module, path: Path, name: str) -> None:
    """Weights of the backbone called `name` alone, safetensors in timm's names; what else is in the file is left.

    Raises WeightsError where the file cannot be read or does not fit.
    """
    try:
        tensors = load_file(ordinary(path, MOST_WEIGHTS))
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"'{path}' cannot be read as safetensors ({error}). Name another file.") from error
    # older files lack the counter of batches, which nothing here reads
    own = {k: v for k, v in backbone.state_dict().items() if not k.endswith("num_batches_tracked")}
    unfit = [k for k, v in own.items() if k not in tensors or tensors[k].shape != v.shape]
    if unfit:
        raise WeightsError(
            f"'{path}' holds no weights of {name}: {len(unfit)} of {len(own)} tensors are missing or of another shape, "
            f"among them {unfit[0]}. Name a file in timm's names for it."
        )
    backbone.load_state_dict({k: tensors[k] for k in own}, strict=False)
