"""Published checkpoints of the grounding systems under this house's names: what `facewitness import` does.

    read(path)                    tensors of a .pth, .pt, .bin or .safetensors, without running what is in it
    translated(kind, tensors)     the same under our names, and what has no place here
    fitted(kind, translation, shapes)   what is missing, left over or of another shape, in the file's own names

The kinds
    forgerytalker   LianJC/DFF-InstructBLIP-Detection: a LAVIS InstructBLIP (EVA-ViT-g, Q-Former, Flan-T5 XL) with the
                    authors' heads
    fpn             LianJC/Face-ViT-MultiLabel: their ViT-H/14 with its convolution branch
    farl            FaRL's CLIP, of which the image tower is taken (FiFa's encoder)

Names are as public code has them (NattyLianJc/Generating-Attribution-Reports, LAVIS, OpenAI's CLIP); no checkpoint
was at hand. The authors' mask decoder is SAM's two-way transformer with heads of their own: its transformer is taken
where the sizes fit (`decoder.hidden = 1408`), its heads are left, so that what is imported is a start to train from.
LAVIS saves only what was trained: the image encoder, T5 and the prompter, which stay frozen, may be missing from the
authors' file as wholes. They then are those of the InstructBLIP that the recipe names (`partial`).

A pickle can hold code. It is opened in a process of its own, with torch's reader for tensors alone (`weights_only`),
with no network where the system can take it away and memory bounded where it is Linux, and comes back as safetensors.
"""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from facewitness import regions
from facewitness.errors import InputError, UnknownName, WeightsError
from facewitness.files import each_once
from facewitness.phrases import visible

SECONDS = 1800  # at most, to open a checkpoint
MOST_BYTES = 40 * 2**30
MOST_TENSORS = 20_000  # the largest of these files has some 2,000
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
KINDS = ("forgerytalker", "fpn", "farl")
_AGAIN = "Download it again."

_CHILD = """
import ctypes, os, pickle, re, sys, zipfile
try:  # a network of its own, which has nothing in it: Linux, where the system lets anybody do so
    ctypes.CDLL(None).unshare(0x10000000 | 0x40000000)
except (OSError, AttributeError):  # another system, or one that forbids it: the sockets are refused below all the same
    pass
import socket
def refuse(*_, **__):
    raise OSError("no network here")
socket.socket.connect = socket.create_connection = refuse
import torch
from safetensors.torch import save_file
try:  # a few bytes of a pickle can ask for any amount of memory
    import resource
    taken = int(open("/proc/self/statm").read().split()[5]) * resource.getpagesize()
    most = taken + 500_000_000 + 10 * os.path.getsize(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
except (ImportError, OSError, ValueError, IndexError):  # another system, or a lower limit that holds already
    pass
try:
    held = torch.load(sys.argv[1], map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(sys.argv[1]))
except MemoryError:
    sys.exit("swollen")
except Exception as error:
    name = re.search(r"(?:GLOBAL|[Gg]lobal:?|class) +([A-Za-z_][\\w.]*\\.\\w+)", str(error))
    if isinstance(error, pickle.UnpicklingError) and name:
        sys.exit("object " + name[1])
    sys.exit("damaged")
for key in ("model", "state_dict", "module"):
    if isinstance(held, dict) and isinstance(held.get(key), dict):
        held = held[key]
if not isinstance(held, dict):
    sys.exit("type " + type(held).__name__)
tensors = {}
for k, v in held.items():
    if isinstance(v, torch.Tensor):
        name = str(k).encode("utf-8", "replace").decode().removeprefix("module.")
        if name in tensors:
            sys.exit("twice " + ascii(name[:80])[1:-1])
        if v.layout != torch.strided or v.is_quantized or v.device.type != "cpu":
            sys.exit("strange " + ascii(name[:80])[1:-1])
        tensors[name] = v
# a stride of 0, or one storage under many names, makes any amount of a few bytes; T5 has one table under three names
if sum(v.numel() * v.element_size() for v in tensors.values()) > 4 * os.path.getsize(sys.argv[1]) + 1_000_000:
    sys.exit("swollen")
held, there = {}, set()
for k, v in tensors.items():  # only what stands under several names is copied: files may be as large as memory
    v = v.detach().contiguous()
    held[k] = v.clone() if v.untyped_storage().data_ptr() in there else v
    there.add(v.untyped_storage().data_ptr())
save_file(held, sys.argv[2])
"""


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint. What a file is, its content says, whatever it is called.

    Args:
        path: A safetensors file, or a pickle of torch (.pth, .pt, .bin).

    Returns:
        Name → tensor.

    Raises:
        InputError: There is no such file, or it is too large.
        WeightsError: It holds something else than tensors, or is damaged.
    """
    begins, size = _begins(path)
    with tempfile.TemporaryDirectory() as folder:
        file = path
        table = (
            begins[8:9] == b"{" and int.from_bytes(begins[:8], "little") < size
        )  # safetensors may begin with \x80, too
        if not table and (begins[:4] == b"PK\x03\x04" or begins[:1] == b"\x80"):
            file = Path(folder) / "tensors.safetensors"
            _unpickled(path, file)
        else:
            _whole(path, begins, size)
        try:
            tensors = load_file(file)
        except Exception as error:  # safetensors has an exception of its own for each fault
            raise WeightsError(
                f"'{path}' is damaged: its table of tensors does not fit its content. {_AGAIN}"
            ) from error
    if not tensors:
        raise WeightsError(f"'{path}': expected a table of tensors, got one without any. Name another file.")
    if len(tensors) > MOST_TENSORS:
        raise WeightsError(
            f"'{path}': expected at most {MOST_TENSORS:,} tensors, got {len(tensors):,}. Name another file."
        )
    return tensors


def _begins(path: Path) -> tuple[bytes, int]:
    """The first bytes of what may be a checkpoint, and how many it has."""
    try:
        status = path.stat()
    except OSError:
        raise InputError(f"'{path}' does not exist. Name the checkpoint that was downloaded.") from None
    if stat.S_ISDIR(status.st_mode):
        kinds = (".pth", ".pt", ".bin", ".safetensors")
        there = sorted(file.name for file in path.iterdir() if file.suffix in kinds)
        raise InputError(
            f"'{path}': expected a file, got a folder. Name the file in it"
            + (f": {', '.join(there[:3])}." if there else "; no .pth, .pt, .bin or .safetensors lies there.")
        )
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"'{path}': expected a file, got a device, a pipe or a socket. Name the checkpoint.")
    if status.st_size > MOST_BYTES:
        raise InputError(f"'{path}': expected at most {MOST_BYTES:,} bytes, got {status.st_size:,}")
    with path.open("rb") as file:
        begins = file.read(64)
    if not begins:
        raise WeightsError(f"'{path}': expected a checkpoint, got an empty file. {_AGAIN}")
    if begins.startswith(b"version https://git-lfs"):
        raise WeightsError(
            f"'{path}': expected a checkpoint, got Git LFS's pointer to one. Fetch the file itself: git lfs pull."
        )
    if begins.lstrip()[:1] == b"<" and begins[8:9] != b"{":  # a safetensors file begins with a length, of any bytes
        raise WeightsError(f"'{path}': expected a checkpoint, got a web page. Download the file behind it.")
    return begins, status.st_size


def _unpickled(path: Path, into: Path) -> None:
    """A pickle's tensors as safetensors, made by a process of its own."""
    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            if not zipfile.is_zipfile(path):
                raise WeightsError(
                    f"'{path}' is cut short: expected torch's archive with its table at the end, got one without. "
                    f"{_AGAIN}"
                )
            try:
                with zipfile.ZipFile(path) as archive:
                    names = archive.namelist()
            except Exception:  # zipfile has several for a table that lies; torch's own reader has the last word
                names = []
            if any(name.endswith("/constants.pkl") for name in names):
                raise WeightsError(
                    f"'{path}': expected tensors alone, got TorchScript, which is a program and is not run. "
                    "Name the weights without it."
                )
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _CHILD, str(path), str(into)], capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise WeightsError(
            f"'{path}': expected a checkpoint that opens in {SECONDS:,} s, and this one did not. Name another file."
        ) from None
    if not done.returncode:
        return
    what, _, name = (done.stderr.strip().splitlines() or [""])[-1].partition(" ")
    match what:
        case "object":
            why = (
                f"expected tensors alone, got a pickle that makes {name[:80]}, which could run anything and was not "
                "made. Ask for safetensors of it, or save its state_dict alone where it comes from."
            )
        case "type":
            why = f"expected a table of tensors, got one {name[:80]}. Name another file."
        case "twice":
            why = f"expected each tensor once, got {name} and module.{name}. Name another file."
        case "strange":
            why = (
                f"expected dense numbers, got the tensor {name}, which is sparse, quantised or without values. "
                "Save its state_dict with plain tensors where it comes from."
            )
        case "swollen":
            why = (
                "expected tensors of about the file's size, got some that repeat few bytes without end. Name another "
                "file."
            )
        case "damaged":
            why = f"expected a checkpoint of torch, got a file that is damaged or cut short. {_AGAIN}"
        case _:
            why = (
                f"the process that opens it ended with status {done.returncode}. See that memory and "
                f"{tempfile.gettempdir()} hold its size once more."
            )
    raise WeightsError(f"'{path}': {why}")


def _whole(path: Path, begins: bytes, size: int) -> None:
    """Refuse what is no safetensors file, or one whose end is missing."""
    length = int.from_bytes(begins[:8], "little")
    if len(begins) < 9 or begins[8:9] != b"{" or not 2 <= length <= 100_000_000:
        raise WeightsError(
            f"'{path}': expected a checkpoint of torch (.pth, .pt, .bin) or safetensors, got neither. "
            "Name another file."
        )
    table: object = None
    ends = [0]
    if 8 + length <= size:
        with path.open("rb") as file:
            file.seek(8)
            try:
                table = json.loads(file.read(length), object_pairs_hook=each_once)
                assert isinstance(table, dict)
                ends += [int(row["data_offsets"][1]) for name, row in table.items() if name != "__metadata__"]
            except (ValueError, OverflowError, LookupError, TypeError, AssertionError, RecursionError):
                raise WeightsError(f"'{path}' is damaged: its table of tensors cannot be read. {_AGAIN}") from None
    expected = 8 + length + max(ends)
    if expected > size:
        raise WeightsError(f"'{path}' is cut short: expected {expected:,} bytes by its table, got {size:,}. {_AGAIN}")


# ------------------------------------------------------------------------------------------------------- the names


@dataclass(frozen=True)
class Translation:
    """Tensors under our names."""

    tensors: Mapping[str, Tensor]
    left: Sequence[str]  # their names that have no place here
    names: Mapping[str, str]  # ours → theirs, of each tensor


Rules = Sequence[tuple[str, str]]

_VIT: Rules = (
    (r"transformer\.embeddings\.patch_embeddings\.(weight|bias)", r"embed.\1"),
    (r"transformer\.embeddings\.position_embeddings", "position"),
    (r"transformer\.embeddings\.cls_token", "cls"),
    (r"transformer\.encoder\.layer\.(\d+)\.attention_norm\.(weight|bias)", r"blocks.\1.norm1.\2"),
    (r"transformer\.encoder\.layer\.(\d+)\.ffn_norm\.(weight|bias)", r"blocks.\1.norm2.\2"),
    (r"transformer\.encoder\.layer\.(\d+)\.ffn\.(fc[12])\.(weight|bias)", r"blocks.\1.\2.\3"),
    (r"transformer\.encoder\.layer\.(\d+)\.attn\.(query|key|value|out)\.(weight|bias)", r"blocks.\1.\2.\3"),
    (r"transformer\.encoder\.encoder_norm\.(weight|bias)", r"norm.\1"),
    (r"head\.(weight|bias)", r"head.\1"),
    (r"coord_conv_branch\.0\.(?:conv\.)?(weight|bias)", r"local.0.0.conv.\1"),
    (r"coord_conv_branch\.1\.(\w+)", r"local.0.1.\1"),
    (r"conv_branch2\.([01])\.(\w+)", r"local.1.\1.\2"),
)
_EVA = "encoder.tower"
_TALKER: Rules = (
    (r"query_tokens", "queries"),
    (r"visual_encoder\.cls_token", f"{_EVA}.embeddings.class_embedding"),
    (r"visual_encoder\.pos_embed", f"{_EVA}.embeddings.position_embedding"),
    (r"visual_encoder\.patch_embed\.proj\.(weight|bias)", rf"{_EVA}.embeddings.patch_embedding.\1"),
    (r"visual_encoder\.blocks\.(\d+)\.norm([12])\.(weight|bias)", rf"{_EVA}.encoder.layers.\1.layer_norm\2.\3"),
    (r"visual_encoder\.blocks\.(\d+)\.attn\.qkv\.weight", rf"{_EVA}.encoder.layers.\1.self_attn.qkv.weight"),
    (r"visual_encoder\.blocks\.(\d+)\.attn\.proj\.(weight|bias)", rf"{_EVA}.encoder.layers.\1.self_attn.projection.\2"),
    (r"visual_encoder\.blocks\.(\d+)\.mlp\.(fc[12])\.(weight|bias)", rf"{_EVA}.encoder.layers.\1.mlp.\2.\3"),
    (r"ln_vision\.(weight|bias)", rf"{_EVA}.post_layernorm.\1"),
    (r"Qformer\.bert\.embeddings\.LayerNorm\.(weight|bias)", r"qformer.embeddings.layernorm.\1"),
    (r"Qformer\.bert\.embeddings\.(word|position)_embeddings\.weight", r"qformer.embeddings.\1_embeddings.weight"),
    (r"Qformer\.bert\.(encoder\.layer\.\d+\.(?:cross)?attention)\.self\.(.+)", r"qformer.\1.attention.\2"),
    (r"Qformer\.bert\.(encoder\.layer\.\d+\..+)", r"qformer.\1"),
    (r"t5_model\.(.+)", r"language.\1"),
    (r"t5_proj\.(weight|bias)", r"to_language.\1"),
    (r"mlm_head\.(weight|bias)", r"to_word.\1"),
    (r"mask_decoder\.(transformer\.layers\.\d+)\.norm([1-4])\.(weight|bias)", r"decoder.decoder.\1.layer_norm\2.\3"),
    (r"mask_decoder\.transformer\.norm_final_attn\.(weight|bias)",
     r"decoder.decoder.transformer.layer_norm_final_attn.\1"),
    (r"mask_decoder\.(transformer\..+)", r"decoder.decoder.\1"),
    *((rf"multi_label_classifier\.{theirs}", f"fpn.{ours}") for theirs, ours in _VIT),
)  # fmt: skip
_CLIP: Rules = (
    (r"visual\.class_embedding", "embeddings.class_embedding"),
    (r"visual\.positional_embedding", "embeddings.position_embedding.weight"),
    (r"visual\.conv1\.weight", "embeddings.patch_embedding.weight"),
    (r"visual\.ln_pre\.(weight|bias)", r"pre_layrnorm.\1"),
    (r"visual\.ln_post\.(weight|bias)", r"post_layernorm.\1"),
    (r"visual\.transformer\.resblocks\.(\d+)\.ln_([12])\.(weight|bias)", r"encoder.layers.\1.layer_norm\2.\3"),
    (
        r"visual\.transformer\.resblocks\.(\d+)\.attn\.out_proj\.(weight|bias)",
        r"encoder.layers.\1.self_attn.out_proj.\2",
    ),
    (r"visual\.transformer\.resblocks\.(\d+)\.mlp\.c_fc\.(weight|bias)", r"encoder.layers.\1.mlp.fc1.\2"),
    (r"visual\.transformer\.resblocks\.(\d+)\.mlp\.c_proj\.(weight|bias)", r"encoder.layers.\1.mlp.fc2.\2"),
)
_RULES: Mapping[str, Rules] = {"fpn": _VIT, "forgerytalker": _TALKER, "farl": _CLIP}
# of one name here several there: ours → theirs, for messages alone
_SEVERAL: Mapping[str, Rules] = {
    "forgerytalker": ((rf"{re.escape(_EVA)}\.encoder\.layers\.(\d+)\.self_attn\.qkv\.bias",
                       r"visual_encoder.blocks.\1.attn.q_bias"),),
    "farl": ((r"encoder\.layers\.(\d+)\.self_attn\.[qkv]_proj\.(weight|bias)",
              r"visual.transformer.resblocks.\1.attn.in_proj_\2"),),
}  # fmt: skip
# without these a checkpoint is not what it is said to be: ours, and what it is called there
_NEEDED: Mapping[str, Sequence[str]] = {
    "fpn": ("embed.weight", "position", "blocks.0.query.weight", "head.weight"),
    "forgerytalker": ("queries", "to_language.weight"),
    "farl": ("embeddings.patch_embedding.weight", "post_layernorm.weight"),
}
# what the authors' files hold besides, and nothing here has a place for
_ASIDE: Mapping[str, str] = {
    "fpn": r"(?!)",
    "forgerytalker": r"(?:seg_proj|bert_model|cross_attention_layer|gate_cross_attention_layer|prompt_proj|fc_layer|"
    r"trans_layer|text_proj)\..+|mask_decoder\..+|Qformer\.cls\..+|Qformer\.bert\.embeddings\.position_ids",
    "farl": r"(?!visual\.).+|visual\.proj",
}
# parts of a network, for messages
_PARTS: Mapping[str, str] = {
    "encoder.": "image encoder", "queries": "queries", "qformer.": "Q-Former", "to_language.": "projection to T5",
    "language.": "T5", "decoder.": "mask decoder's transformer", "to_word.": "word head", "fpn.": "prompter",
}  # fmt: skip


def translated(kind: str, tensors: Mapping[str, Tensor]) -> Translation:
    """A checkpoint under our names.

    Args:
        kind: One of KINDS.
        tensors: As `read` gives them.

    Raises:
        UnknownName: There is no such kind.
        WeightsError: It lacks what every checkpoint of the kind has.
    """
    if kind not in KINDS:
        raise UnknownName("kind of checkpoint", kind, KINDS)
    rules = [(re.compile(theirs), ours) for theirs, ours in _RULES[kind]]
    renamed: dict[str, Tensor] = {}
    names: dict[str, str] = {}
    left = []
    for name, value in tensors.items():
        ours = next((match.expand(to) for rule, to in rules if (match := rule.fullmatch(name))), None)
        if ours is None:
            left.append(name)
        else:
            renamed[ours], names[ours] = value, name
    for make in (_biases_of_eva, _thirds_of_clip):
        made = make(tensors, left)
        renamed |= made
        names |= {ours: theirs(kind, ours) for ours in made}
    for name in [n for n in renamed if n.endswith("local.0.0.conv.weight")]:
        renamed[name] = _once(renamed[name])
    _added_word(renamed)
    if lacking := [name for name in _NEEDED[kind] if name not in renamed]:
        raise WeightsError(
            f"expected a checkpoint of {kind}, got one without {theirs(kind, lacking[0])} ({len(renamed)} of its "
            f"{len(tensors)} tensors are known). Name another kind or another file."
        )
    return Translation(renamed, tuple(left), names)


def theirs(kind: str, ours: str) -> str:
    """What a tensor is called in the authors' files; our own name where they have none.

    Args:
        kind: One of KINDS.
        ours: A name here.
    """
    return _theirs(kind, ours) or ours


def _theirs(kind: str, ours: str) -> str | None:
    for rule, to in _SEVERAL.get(kind, ()):
        if match := re.fullmatch(rule, ours):
            return match.expand(to)
    for rule, to in _RULES[kind]:
        parts = _groups(rule)
        back = "".join(f"(?P<g{p[1:]}>{parts[1][int(p[1:]) - 1]})" if re.fullmatch(r"\\\d", p) else re.escape(p)
                       for p in re.split(r"(\\\d)", to) if p)  # fmt: skip
        if match := re.fullmatch(back, ours):
            return "".join(match[f"g{int(p[1:])}"] if re.fullmatch(r"\\\d", p) else p for p in parts[0])
    return None


def _groups(rule: str) -> tuple[list[str], list[str]]:
    """A rule's plain text with \\1, \\2 … for its groups, in pieces; and the groups' own patterns."""
    pieces, groups, at, depth, begin = [], [], 0, 0, 0
    rule = rule.replace(r"(?:conv\.)?", "conv.")
    for i, sign in enumerate(rule):
        if sign == "(":
            depth += 1
            if depth == 1:
                pieces.append(rule[at:i].replace("\\.", "."))
                begin = i + 1
        elif sign == ")":
            depth -= 1
            if depth == 0:
                groups.append(rule[begin:i])
                pieces.append(f"\\{len(groups)}")
                at = i + 1
    return [*pieces, rule[at:].replace("\\.", ".")], groups


def _biases_of_eva(tensors: Mapping[str, Tensor], left: list[str]) -> dict[str, Tensor]:
    """EVA keeps a bias for queries and one for values; transformers one for all three, the keys' being zero."""
    biases = {}
    for name in [n for n in left if re.fullmatch(r"visual_encoder\.blocks\.\d+\.attn\.q_bias", n)]:
        other = name.replace("q_bias", "v_bias")
        if other in left and _alike(q := tensors[name], v := tensors[other]):
            number = name.split(".")[2]
            biases[f"{_EVA}.encoder.layers.{number}.self_attn.qkv.bias"] = torch.cat([q, torch.zeros_like(v), v])
            left.remove(name)
            left.remove(other)
    return biases


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether two are vectors of one length and type, as the two biases of an attention are."""
    return one.ndim == other.ndim == 1 and one.shape == other.shape and one.dtype == other.dtype


def _thirds_of_clip(tensors: Mapping[str, Tensor], left: list[str]) -> dict[str, Tensor]:
    """CLIP keeps queries, keys and values in one matrix, transformers in three."""
    thirds = {}
    for name in list(left):
        match = re.fullmatch(r"visual\.transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)", name)
        if match and tensors[name].ndim and tensors[name].shape[0] % 3 == 0:
            for part, value in zip("qkv", tensors[name].chunk(3), strict=True):
                thirds[f"encoder.layers.{match[1]}.self_attn.{part}_proj.{match[2]}"] = value
            left.remove(name)
    return thirds


def _once(weight: Tensor) -> Tensor:
    """A CoordConv whose input already had coordinates sees them twice: the two kernels of each are added."""
    if weight.ndim == 4 and weight.shape[1] == 7:
        return torch.cat([weight[:, :3], weight[:, 3:5] + weight[:, 5:7]], dim=1)
    return weight


def _added_word(renamed: dict[str, Tensor]) -> None:
    """Their word head has no row for the token that their Q-Former's table has one more of: it is never said."""
    table = renamed.get("qformer.embeddings.word_embeddings.weight")
    weight, bias = renamed.get("to_word.weight"), renamed.get("to_word.bias")
    if table is None or weight is None or bias is None or (table.ndim, weight.ndim, bias.ndim) != (2, 2, 1):
        return
    if 0 < len(weight) == len(bias) == len(table) - 1:
        renamed["to_word.weight"] = torch.cat([weight, torch.zeros_like(weight[:1])])
        renamed["to_word.bias"] = torch.cat([bias, bias.min()[None]])


# --------------------------------------------------------------------------------------------------- does it fit


@dataclass(frozen=True)
class Fit:
    """How a translation fits a network; names are the file's own."""

    tensors: Mapping[str, Tensor]  # ours, of the network's shapes
    lacking: Sequence[str]  # these and the following are cut to what a sentence holds
    left: Sequence[str]  # without a place, and not known to have none
    aside: Sequence[str]  # what the authors' files hold besides, which nothing here takes
    parts: Sequence[str]  # of which nothing is there

    @property
    def whole(self) -> bool:
        return not self.lacking and not self.left


def expected(kind: str, config: Mapping[str, Any] | None = None) -> dict[str, tuple[int, ...]]:
    """Shapes of what a whole checkpoint fills, without loading anything.

    Names that share a tensor are all there (`fitted` asks for one of them).

    Args:
        kind: One of KINDS.
        config: Of the network, as a recipe's `config` gives it; None for the published sizes.

    Returns:
        Our name → shape.

    Raises:
        InputError: A network whose encoder is not of this kind.
    """
    from facewitness.models import forgerytalker  # here: transformers takes seconds to import
    from facewitness.models._encoder import TowerEncoder
    from facewitness.models._reader import Reader

    if kind == "farl":
        with torch.device("meta"):
            network: torch.nn.Module = TowerEncoder("clip", **_tower(config)).tower
    else:
        if config is None:
            config = forgerytalker.published(tuple(regions.DIALECTS["mmtt"]), decoder={"hidden": 1408, "further": 3})
        elif kind == "forgerytalker" and config["encoder"].get("kind") != "blip":
            raise InputError('recipe: expected one around an InstructBLIP (kind = "hub"). Name another with --recipe.')
        with torch.device("meta"):
            whole = forgerytalker.ForgeryTalker(config, Reader.none())
        network = whole.fpn if kind == "fpn" else whole
    return {k: tuple(v.shape) for k, v in network.state_dict().items() if _theirs(kind, k) is not None}


def tower(config: Mapping[str, Any] | None = None) -> str:
    """Settings of FaRL's tower as transformers reads them, config.json: its folder then is an encoder by its name.

    Args:
        config: As `expected` takes it.

    Returns:
        JSON.
    """
    from facewitness.models import _torchvision  # noqa: F401

    from transformers import CLIPVisionConfig  # isort: skip

    return str(CLIPVisionConfig(architectures=["CLIPVisionModel"], **_tower(config)).to_json_string())


def _tower(config: Mapping[str, Any] | None) -> dict[str, Any]:
    from facewitness.models import fifa  # here: transformers takes seconds to import

    encoder = dict((fifa.published(()) if config is None else config)["encoder"])
    if encoder.pop("kind", None) != "clip":
        raise InputError(
            "recipe: expected one whose encoder is a CLIP tower, which FaRL is. Name another with --recipe."
        )
    return encoder


def _check(tensors: Mapping[str, Tensor], names: Mapping[str, str], shapes: Mapping[str, Sequence[int]]) -> None:
    """Raises WeightsError for a tensor of another shape, or that holds no finite floating-point numbers."""
    other = {k for k, v in tensors.items() if k in shapes and tuple(v.shape) != tuple(shapes[k])}
    for ours, value in tensors.items():
        name, kind = _short(names[ours]), str(value.dtype).removeprefix("torch.")
        if ours in other:
            more = f", and {len(other) - 1} more are of another shape" if len(other) > 1 else ""
            raise WeightsError(
                f"{name}: expected the shape {_shape(shapes[ours])}, got {_shape(value.shape)}{more}. Name the recipe "
                "of its network with --recipe, or another file."
            )
        if not value.is_floating_point():
            if not ours.endswith("num_batches_tracked"):
                raise WeightsError(
                    f"{name}: expected floating-point numbers, got {kind}. Name a file that is not quantised."
                )
        elif value.dtype not in _FLOATS:
            raise WeightsError(
                f"{name}: expected numbers of 16, 32 or 64 bits, got {kind}. Name a file that is not quantised."
            )
        elif not bool(torch.isfinite(value).all()):
            raise WeightsError(
                f"{name}: expected numbers, got some that are none (NaN or infinite). Name another file."
            )


def fitted(kind: str, translation: Translation, shapes: Mapping[str, Sequence[int]]) -> Fit:
    """What of a network a checkpoint fills.

    Args:
        kind: One of KINDS.
        translation: The checkpoint.
        shapes: As `expected` gives them.

    Returns:
        The tensors, and what is missing and left over.

    Raises:
        WeightsError: A tensor is of another shape or no floating-point number.
    """
    tensors, names = dict(translation.tensors), translation.names
    other = [k for k in tensors if k.startswith("decoder.") and k in shapes]
    aside = [name for name in translation.left if re.fullmatch(_ASIDE[kind], name)]
    if any(tuple(tensors[k].shape) != tuple(shapes[k]) for k in other):  # a decoder of another width begins anew
        aside += [names[k] for k in other]
        shapes = {k: v for k, v in shapes.items() if k not in other}
        for k in other:
            del tensors[k]
    _check(tensors, names, shapes)
    shared = [k for k in shapes if re.fullmatch(r"language\.(?:shared|(?:en|de)coder\.embed_tokens)\.weight", k)]
    there = {*tensors, *(shared if any(k in tensors for k in shared) else ())}
    lacking = [k for k in shapes if k not in there]
    known = set(aside)
    left = [name for name in translation.left if name not in known]
    left += [names[k] for k in tensors if k not in shapes]
    parts = []
    for begins, name in _PARTS.items() if kind == "forgerytalker" else ():
        if any(k.startswith(begins) for k in shapes) and not any(k.startswith(begins) for k in there):
            parts.append(name)
    return Fit(
        {k: v for k, v in tensors.items() if k in shapes},
        tuple(dict.fromkeys(theirs(kind, k) for k in lacking)), tuple(map(_short, left)), tuple(map(_short, aside)),
        tuple(parts),
    )  # fmt: skip


def _shape(shape: Sequence[int]) -> str:
    return str(tuple(shape)) if len(shape) <= 8 else f"{str(tuple(shape[:8]))[:-1]}, …) of {len(shape)} dimensions"


def _short(name: str) -> str:
    """A name of a file's as a sentence has it: whoever made the file may have written anything there."""
    return visible(name if len(name) <= 100 else f"{name[:100]}…")


def unfit(own: Mapping[str, Sequence[int]], tensors: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
    """Names of a network that an import leaves as they are, and imported ones that do not fit it.

    Args:
        own: Shapes of the network's tensors.
        tensors: Under our names.

    Returns:
        Names that are left as they are, and names that do not fit.
    """
    wrong = [k for k, v in tensors.items() if k not in own or tuple(v.shape) != tuple(own[k])]
    return sorted(own.keys() - tensors.keys()), sorted(wrong)
