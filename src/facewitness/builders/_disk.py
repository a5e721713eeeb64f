"""What builders leave for training: a Parquet table, one row an item, and chat JSON with its pictures beside it.

Items are written as they come, so that there may be more of them than the memory holds; each file is there whole or not
at all.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from facewitness import plugins
from facewitness.errors import InputError
from facewitness.files import ordinary, whole, write_whole
from facewitness.types import Sample

PNG, JPEG = b"\x89PNG", b"\xff\xd8\xff"  # how a picture of either format begins


def samples_of(
    dataset: str, root: Path, split: str | None, tell: Callable[[str], Any]
) -> tuple[Iterator[Sample], Path]:
    """A dataset's samples, and the folder their files are below: of a list, the one it lies in. What lacks is told."""
    samples = plugins.get("datasets", dataset).samples
    options = {"tell": tell} if "tell" in inspect.signature(samples).parameters else {}
    return samples(root, split, **options), root.parent if root.is_file() else root


def png(picture: NDArray[Any]) -> bytes:
    """RGB (H, W, 3) or grey (H, W) as PNG: a lossy format would blur what the answers speak of.

    Raises InputError for what is no picture.
    """
    import cv2  # here, so that whoever only reads tables needs none

    values = np.asarray(picture, np.uint8)
    done, content = cv2.imencode(".png", values if values.ndim == 2 else cv2.cvtColor(values, cv2.COLOR_RGB2BGR))
    if not done:
        raise InputError(f"a picture of shape {values.shape} cannot be written as PNG")
    return content.tobytes()


@contextmanager
def table(schema: Any, path: Path, nothing: str, rows: int = 512) -> Iterator[Callable[[Any], None]]:
    """Gives a function that adds an item: a row of the attributes that the schema names. At the end there is the table.

    Pictures that several items share (columns `image` and `mask`) are stored once in each group of `rows` rows; no more
    than a group is held in memory. Raises InputError, saying `nothing`, where no item came.
    """
    batch, count = list[Mapping[str, Any]](), 0
    with whole(path) as passing:
        with pq.ParquetWriter(
            passing, schema, use_dictionary=["image", "mask"], dictionary_pagesize_limit=1 << 30, compression="zstd"
        ) as writer:

            def flush() -> None:
                writer.write_table(pa.Table.from_pylist(batch, schema))
                batch.clear()

            def add(item: Any) -> None:
                nonlocal count
                count += 1
                batch.append({name: getattr(item, name) for name in schema.names})
                if len(batch) == rows:
                    flush()

            yield add
            if batch:
                flush()
        if not count:
            raise InputError(nothing)


def write_table(items: Iterable[Any], schema: Any, path: Path, nothing: str, rows: int = 512) -> Path:
    """A table of the items, as `table` makes it. Raises InputError, saying `nothing`, for no items."""
    with table(schema, path, nothing, rows) as add:
        for item in items:
            add(item)
    return path


def read_table(path: Path, columns: Sequence[str], builder: str) -> list[dict[str, Any]]:
    """These columns of a table that `builders/<builder>` wrote; rows of one `file` share the bytes of its `image`.

    Raises InputError for a file that is no such table.
    """
    images: dict[str, bytes] = {}
    rows: list[dict[str, Any]] = []
    try:
        with pq.ParquetFile(ordinary(path)) as table:
            lacking = [name for name in columns if name not in table.schema_arrow.names]
            if lacking:
                raise InputError(
                    f"'{path}': expected a table that builders/{builder} wrote, got no column {lacking[0]}"
                )
            for batch in table.iter_batches(512, columns=list(columns)):
                rows += [row | {"image": images.setdefault(row["file"], row["image"])} for row in batch.to_pylist()]
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"'{path}': expected a Parquet table that builders/{builder} wrote ({error})") from error
    return rows


@contextmanager
def chat(folder: Path, nothing: str) -> Iterator[Callable[..., None]]:
    """Gives a function that adds a conversation. At the end there are `folder/chat.json` and pictures.

    The function takes a picture, a prompt and its answer, and of a conversation that goes on the later turns, a
    question and an answer each. The pictures, each once, are in `folder/images`; chat.json, which names them, comes
    last. The form is what chat-tuned vision-language models are trained on. Raises InputError, saying `nothing`,
    where none came.
    """
    names: dict[bytes, str] = {}  # SHA-256 of a picture → its name: the pictures themselves would fill the memory
    with (
        whole(folder / "chat.json") as passing,
        tempfile.TemporaryDirectory(prefix=".facewitness-", dir=folder) as pictures,
    ):
        with passing.open("w", encoding="utf-8", newline="\n") as file:

            def add(picture: bytes, prompt: str, answer: str, later: Sequence[tuple[str, str]] = ()) -> None:
                key = hashlib.sha256(picture).digest()
                file.write(",\n " if names else "[\n ")
                if key not in names:
                    names[key] = f"{len(names):06}.{'png' if picture.startswith(PNG) else 'jpg'}"
                    write_whole(Path(pictures, names[key]), picture)
                asks = [{"type": "image"}, {"type": "text", "text": prompt}]
                answers = [{"type": "text", "text": answer}]
                messages = [{"role": "user", "content": asks}, {"role": "assistant", "content": answers}]
                for question, reply in later:
                    messages += [
                        {"role": "user", "content": [{"type": "text", "text": question}]},
                        {"role": "assistant", "content": [{"type": "text", "text": reply}]},
                    ]
                turn = {"messages": messages, "images": [f"images/{names[key]}"]}
                file.write(json.dumps(turn, ensure_ascii=False, indent=1).replace("\n", "\n "))

            yield add
            if not names:
                raise InputError(nothing)
            file.write("\n]")
        (folder / "images").mkdir(exist_ok=True)
        for name in names.values():
            Path(pictures, name).replace(folder / "images" / name)


def write_chat(turns: Iterable[tuple[Any, ...]], folder: Path, nothing: str) -> Path:
    """`folder/chat.json` and its pictures, of (picture, prompt, answer[, later turns]) each, as `chat` makes them.

    Raises InputError, saying `nothing`, for no turns.
    """
    with chat(folder, nothing) as add:
        for turn in turns:
            add(*turn)
    return folder / "chat.json"
