"""Parquet tables of encoded pictures, one row a picture.

Columns: `file`, `image` (encoded bytes), `label` (real | fake), `source`, `group` (a group stays in one split),
`original` (the pristine counterpart's file in the same table, or null), `method` ("pristine" for real rows), `split`,
and optionally `parsing` (PNG of CelebAMask-HQ's 19 class ids, or null). `root` is one table or a folder of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facewitness.datasets._disk import holds, table_of
from facewitness.errors import InputError
from facewitness.types import Sample, Truth

_NEEDED = ("file", "image", "label", "source", "group", "original", "method", "split")

# what a method of the public sets does to a face; a method that is not here has the kind None, unknown
KIND_OF_METHOD = {
    "pristine": "pristine",
    "dfdc": "identity_exchange",
    "Deepfakes": "identity_exchange",
    "FaceSwap": "identity_exchange",
    "FaceShifter": "identity_exchange",
    "Face2Face": "attribute_manipulation",
    "NeuralTextures": "attribute_manipulation",
    "DeepFaceLive_DFM": "identity_exchange",
    "StyleGAN": "entire_synthesis",
    "StyleGAN2": "entire_synthesis",
    "StyleGAN2_edit": "entire_synthesis",  # every pixel is the generator's, whatever was asked of it
    "StyleGAN2_inversion_edit": "entire_synthesis",
    "generated_photos": "entire_synthesis",
    "StableDiffusion2.1": "entire_synthesis",
    "Pollinations": "entire_synthesis",
    "MobileStyleGAN": "entire_synthesis",
    "srgan": "entire_synthesis",
    "realesr-animevideov3-x2": "entire_synthesis",
    "realesrgan-x4plus": "entire_synthesis",
    "realesrgan-x4plus-anime": "entire_synthesis",
}


def samples(root: str | Path, split: str | None = None) -> Iterator[Sample]:
    """All samples of a table or of a folder of tables, in file order; `split` keeps one split.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.

    Raises:
        InputError: Where there is no table, or where a table lacks a column or holds another label.
    """
    root = Path(root)
    tables = sorted(root.glob("*.parquet")) if root.is_dir() else [root]
    if not tables or not all(t.is_file() for t in tables):
        raise InputError(f"Expected a .parquet table or a folder of them, found none at {root}")
    for table in tables:
        yield from _rows(table, split)


def _rows(table: Path, split: str | None) -> Iterator[Sample]:
    file = table_of(table)
    missing = [c for c in _NEEDED if c not in file.schema_arrow.names]
    if missing:
        raise InputError(f"{table.name}: expected the columns {', '.join(_NEEDED)}; {', '.join(missing)} missing")
    for name in [name for name in (*_NEEDED, "parsing") if name in file.schema_arrow.names]:
        kind, wanted = file.schema_arrow.field(name).type, "bytes" if name in ("image", "parsing") else "text"
        if not holds(kind, wanted):
            raise InputError(f"{table.name}: expected {wanted} in the column {name}, got {kind}. Write it again.")
    columns = [*_NEEDED, *(c for c in ("parsing",) if c in file.schema_arrow.names)]
    for batch in file.iter_batches(batch_size=256, columns=columns):
        for row in batch.to_pylist():
            if split is not None and row["split"] != split:
                continue
            if empty := [name for name in ("file", "source", "split", "group") if row[name] is None]:
                raise InputError(f"{table.name}: {row['file']}: expected a value in the column {empty[0]}, got none")
            if row["label"] not in ("real", "fake"):
                raise InputError(f"{table.name}: {row['file']}: expected label real or fake, got {row['label']!r}")
            yield Sample(
                file=row["file"],
                truth=Truth(
                    label=row["label"],
                    method=row["method"],
                    kind=KIND_OF_METHOD.get(row["method"]),
                    parsing=row.get("parsing"),
                ),
                split=row["split"],
                group=row["group"],
                dataset=row["source"],
                original=row["original"],
                image=row["image"],
            )
