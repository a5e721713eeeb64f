"""Lets timm import torchvision beside a CPU-only torch.

torchvision's compiled part does not load there, and importing it then fails on two operators nobody here calls.
Defining their schemas first is enough. Where the compiled part does load it has defined them itself.
"""

import torch

try:
    import torchvision
except (RuntimeError, ImportError):
    import sys

    for name in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    LIBRARY = torch.library.Library("torchvision", "DEF")  # the definitions live as long as this reference
    for operator in ("nms", "qnms"):
        LIBRARY.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision  # noqa: F401
