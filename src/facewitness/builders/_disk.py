"""What builders leave for training: a Parquet table, one row an item, and chat JSON with its pictures beside it.

Each file is written whole or not at all, and put together in memory before.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from facewitness.errors import InputError
from facewitness.files import write_whole

PNG, JPEG = b"\x89PNG", b"\xff\xd8\xff"  # how a picture of either format begins


def write_table(items: Iterable[Any], schema: Any, path: Path, nothing: str, rows: int = 512) -> Path:
    """A table of the items' attributes that the schema names. Raises InputError, saying `nothing`, for no items.

    Pictures that several items share (columns `image` and `mask`) are stored once in each group of `rows` rows.
    """
    out, batch, count = io.BytesIO(), list[Mapping[str, Any]](), 0
    with pq.ParquetWriter(
        out, schema, use_dictionary=["image", "mask"], dictionary_pagesize_limit=1 << 30, compression="zstd"
    ) as writer:
        for item in items:
            batch.append({name: getattr(item, name) for name in schema.names})
            count += 1
            if len(batch) == rows:
                writer.write_table(pa.Table.from_pylist(batch, schema))
                batch = []
        if batch:
            writer.write_table(pa.Table.from_pylist(batch, schema))
    if not count:
        raise InputError(nothing)
    return write_whole(path, out.getvalue())


def read_table(path: Path, columns: Sequence[str], builder: str) -> list[dict[str, Any]]:
    """These columns of a table that `builders/<builder>` wrote; rows of one `file` share the bytes of its `image`.

    Raises InputError for a file that is no such table.
    """
    images: dict[str, bytes] = {}
    rows: list[dict[str, Any]] = []
    try:
        with pq.ParquetFile(path) as table:
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


def write_chat(turns: Iterable[tuple[bytes, str, str]], folder: Path, nothing: str) -> Path:
    """`folder/chat.json`, written last, and the pictures it names below `folder/images`, each once.

    turns   (picture, prompt, answer) of each item, a conversation of its own: an answer never stands above the next
            question about the same picture. The form is what chat-tuned vision-language models are trained on.
    Returns the path of chat.json. Raises InputError, saying `nothing`, for no items.
    """
    places: dict[bytes, str] = {}  # the picture → its path
    chat = []
    for picture, prompt, answer in turns:
        if picture not in places:
            places[picture] = f"images/{len(places):06}.{'png' if picture.startswith(PNG) else 'jpg'}"
            write_whole(folder / places[picture], picture)
        asks = [{"type": "image"}, {"type": "text", "text": prompt}]
        answers = [{"type": "text", "text": answer}]
        messages = [{"role": "user", "content": asks}, {"role": "assistant", "content": answers}]
        chat.append({"messages": messages, "images": [places[picture]]})
    if not chat:
        raise InputError(nothing)
    return write_whole(folder / "chat.json", json.dumps(chat, ensure_ascii=False, indent=1).encode())
