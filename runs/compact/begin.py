"""The backbone of KFD's detector as a start for `train compact --init-from`: what it lacks is ImageNet's.

    python runs/compact/begin.py runs/kfd/kfd.safetensors mobilenetv2_100_imagenet.safetensors begin.safetensors

KFD's detector learned from genuine faces and blends of them, no forgery of a source among them. It ends at stride 32;
the last convolution before the pooled feature is taken from ImageNet's weights. See README.md.
"""

import argparse
from pathlib import Path

from safetensors.torch import load, save

from facewitness.apps.script import script
from facewitness.files import write_whole

_BACKBONE = "encoders.backbone."


def main() -> None:
    """Join the two and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kfd", type=Path, help="a detector by `train kfd` with backbone mobilenetv2_100")
    parser.add_argument("imagenet", type=Path, help="ImageNet weights of the same backbone, by timm's names")
    parser.add_argument("out", type=Path, help="the file that is written")
    args = parser.parse_args()
    whole = load(args.imagenet.read_bytes())
    learned = {
        name.removeprefix(_BACKBONE): value
        for name, value in load(args.kfd.read_bytes()).items()
        if name.startswith(_BACKBONE) and not name.endswith("num_batches_tracked")
    }
    for name, value in learned.items():
        if name not in whole or whole[name].shape != value.shape:
            parser.error(f"{args.kfd}: expected the backbone of {args.imagenet}, got '{name}', which it has not so.")
    write_whole(args.out, save({name: learned.get(name, value).to(value.dtype) for name, value in whole.items()}))
    print(f"{len(learned)} of {len(whole)} tensors from {args.kfd}")


if __name__ == "__main__":
    script(main)
