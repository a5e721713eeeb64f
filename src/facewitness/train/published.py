"""Published checkpoints of the grounding systems under this house's names: what `facewitness import` does.

    read(path)                    tensors of a .pth, .pt or .bin, without running what is in it
    translated(kind, tensors)     the same under our names, and what has no place here

The kinds
    forgerytalker   LianJC/DFF-InstructBLIP-Detection: a LAVIS InstructBLIP (EVA-ViT-g, Q-Former, Flan-T5 XL) with the
                    authors' heads
    fpn             LianJC/Face-ViT-MultiLabel: their ViT-H/14 with its convolution branch
    farl            FaRL's CLIP, of which the image tower is taken (FiFa's encoder)

Names are as public code has them (NattyLianJc/Generating-Attribution-Reports, LAVIS, OpenAI's CLIP); no checkpoint
was at hand. The authors' mask decoder is SAM's two-way transformer with heads of their own: its transformer is taken
where the sizes fit (`decoder.hidden = 1408`), its heads are left, so that what is imported is a start to train from.

A pickle can hold code. It is opened in a process of its own, with torch's reader for tensors alone (`weights_only`),
with no network where the system can take it away, and comes back as safetensors.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from facewitness.errors import InputError, UnknownName, WeightsError

SECONDS = 1800  # at most, to open a checkpoint
MOST_BYTES = 40 * 2**30
KINDS = ("forgerytalker", "fpn", "farl")

_CHILD = """
import ctypes, os, sys
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
held = torch.load(sys.argv[1], map_location="cpu", weights_only=True, mmap=True)
for key in ("model", "state_dict", "module"):
    if isinstance(held, dict) and isinstance(held.get(key), dict):
        held = held[key]
if not isinstance(held, dict):
    sys.exit("expected a table of tensors, got " + type(held).__name__)
tensors = {str(k).removeprefix("module."): v for k, v in held.items() if isinstance(v, torch.Tensor)}
save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, sys.argv[2])
"""


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint.

    Args:
        path: A .safetensors, or a pickle of torch (.pth, .pt, .bin).

    Returns:
        Name → tensor.

    Raises:
        InputError: There is no such file, or it is too large.
        WeightsError: It holds something else than tensors, or is damaged.
    """
    if not path.is_file():
        raise InputError(f"'{path}' does not exist. Name the checkpoint that was downloaded.")
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"'{path}': expected at most {MOST_BYTES:,} bytes, got {path.stat().st_size:,}")
    with tempfile.TemporaryDirectory() as folder:
        file = path
        if path.suffix != ".safetensors":
            file = Path(folder) / "tensors.safetensors"
            done = subprocess.run(
                [sys.executable, "-I", "-c", _CHILD, str(path), str(file)], capture_output=True, text=True,
                timeout=SECONDS, check=False,
            )  # fmt: skip
            if done.returncode:
                why = (done.stderr.strip().splitlines() or ["no reason given"])[-1][:300]
                raise WeightsError(f"'{path}' is no checkpoint that can be read safely: {why}")
        try:
            return load_file(file)
        except Exception as error:  # safetensors has an exception of its own for each fault
            raise WeightsError(f"'{path}' cannot be read as tensors ({error}).") from error


# ------------------------------------------------------------------------------------------------------- the names


@dataclass(frozen=True)
class Translation:
    """Tensors under our names."""

    tensors: Mapping[str, Tensor]
    left: Sequence[str]  # their names that have no place here


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
# without these a checkpoint is not what it is said to be
_NEEDED: Mapping[str, Sequence[str]] = {
    "fpn": ("embed.weight", "position", "blocks.0.query.weight", "head.weight"),
    "forgerytalker": ("queries", f"{_EVA}.embeddings.patch_embedding.weight", "to_language.weight"),
    "farl": ("embeddings.patch_embedding.weight", "post_layernorm.weight"),
}


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
    left = []
    for name, value in tensors.items():
        ours = next((match.expand(to) for rule, to in rules if (match := rule.fullmatch(name))), None)
        if ours is None:
            left.append(name)
        else:
            renamed[ours] = value
    for make in (_biases_of_eva, _thirds_of_clip):
        renamed |= make(tensors, left)
    for name in [n for n in renamed if n.endswith("local.0.0.conv.weight")]:
        renamed[name] = _once(renamed[name])
    if lacking := [name for name in _NEEDED[kind] if name not in renamed]:
        raise WeightsError(
            f"expected a checkpoint of {kind}, got one without {lacking[0]} ({len(renamed)} of its {len(tensors)} "
            "tensors are known). Name another kind or another file."
        )
    return Translation(renamed, tuple(left))


def _biases_of_eva(tensors: Mapping[str, Tensor], left: list[str]) -> dict[str, Tensor]:
    """EVA keeps a bias for queries and one for values; transformers one for all three, the keys' being zero."""
    biases = {}
    for name in [n for n in left if re.fullmatch(r"visual_encoder\.blocks\.\d+\.attn\.q_bias", n)]:
        other = name.replace("q_bias", "v_bias")
        if other in left:
            q, v = tensors[name], tensors[other]
            number = name.split(".")[2]
            biases[f"{_EVA}.encoder.layers.{number}.self_attn.qkv.bias"] = torch.cat([q, torch.zeros_like(v), v])
            left.remove(name)
            left.remove(other)
    return biases


def _thirds_of_clip(tensors: Mapping[str, Tensor], left: list[str]) -> dict[str, Tensor]:
    """CLIP keeps queries, keys and values in one matrix, transformers in three."""
    thirds = {}
    for name in list(left):
        match = re.fullmatch(r"visual\.transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)", name)
        if match and tensors[name].shape[0] % 3 == 0:
            for part, value in zip("qkv", tensors[name].chunk(3), strict=True):
                thirds[f"encoder.layers.{match[1]}.self_attn.{part}_proj.{match[2]}"] = value
            left.remove(name)
    return thirds


def _once(weight: Tensor) -> Tensor:
    """A CoordConv whose input already had coordinates sees them twice: the two kernels of each are added."""
    if weight.shape[1] == 7:
        return torch.cat([weight[:, :3], weight[:, 3:5] + weight[:, 5:7]], dim=1)
    return weight


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
