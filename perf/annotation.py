"""What annotation by the largest differences is worth: python perf/annotation.py celebamask_hq.parquet

Genuine faces of a table are forged by every forger of `builders/fifa`. For several shares of a picture the concepts
that its largest differences cover are held against those that were changed: precision, recall, and the IoU of both
masks inside a concept that both have. LOG.md quotes it.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from facewitness.builders import fifa, grounded, sbi_qa
from facewitness.errors import InputError

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2)


def main() -> None:
    """Forges, compares, prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", type=Path, help="genuine faces, as the dataset 'parquet' has them")
    parser.add_argument("--faces", type=int, default=40, help="so many (default: 40)")
    parser.add_argument("--every", type=int, default=7, help="each so-manieth genuine face (default: 7)")
    options = parser.parse_args()
    made: list[grounded.Drawn] = []
    faults: Counter[str] = Counter()
    donor = None
    for number, face in enumerate(sbi_qa.pristine("parquet", options.table, None, options.faces, every=options.every)):
        pixels, points = grounded.cropped(face.pixels, face.landmarks, fifa.SIZE, 1.6)
        for family in fifa.FAMILIES:
            rng = np.random.default_rng(number)
            try:
                made.append(grounded.draw(pixels, points, rng, family=family, donor=donor))
            except InputError:
                continue  # the first face has no donor
            faults.update(r.split(":")[0] for r in grounded.faults(made[-1].text, made[-1].mask, points))
        donor = (face.pixels, face.landmarks)
    words = np.mean([len(drawn.text.split()) for drawn in made])
    print(f"{len(made)} forgeries, {words:.1f} words a report, faults {dict(faults)}")
    for share in SHARES:
        for chosen in ("all", *(fifa.FAMILIES if share == fifa.LARGEST else ())):
            agreement = fifa.Agreement()
            for drawn in made:
                if chosen in ("all", drawn.family):
                    agreement.add(drawn, share)
            numbers = agreement.as_dict()
            shown = "  ".join(f"{name} {numbers[name]:.3f}" for name in ("precision", "recall", "mask_iou"))
            print(f"{share:.0%}  {chosen:<18} {shown}", flush=True)


if __name__ == "__main__":
    main()
