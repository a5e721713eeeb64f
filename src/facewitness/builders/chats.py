"""Conversations to learn from: every answer with what was said before it, from tables and from chat JSON of any make.

    read("sbi_qa.parquet")   rows of `builders/sbi_qa`: KFD's answers
    read("dma.parquet")      rows of `builders/dma`: MARE's replies, with thought, explanation and boxes
    read("ffa_vqa.parquet")  rows of `builders/ffa_vqa`: FFAA's analyses, asked plainly or under a hypothesis
    read("chat.json")        [{"messages": [{"role", "content"}, …], "images": [path, …]}, …] as `sbi_qa` writes it, or
                             [{"conversations": [{"from": "human" | "gpt", "value"}, …], "image": path}, …]

The second form is LLaVA's; PandaGPT's, which KFD's authors alternate with, says "conversation" and "image_name". A JSON
file's pictures are looked for from its own folder. Where a conversation has pictures, they are shown before its first
words. The tables are told apart by their columns.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from facewitness.builders._disk import read_table
from facewitness.builders.sbi_qa import read_parquet
from facewitness.errors import InputError, UnreadableMedia
from facewitness.files import each_once, ordinary, read_bounded
from facewitness.grammars import mare
from facewitness.grammars.yes_no import prompt

_MOST = 2_000_000_000  # bytes of a file of conversations
_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_DMA = (
    "file", "image", "size", "label", "group", "split", "dataset", "question", "text", "texts", "regions", "boxes",
    "reply",
)  # fmt: skip
_MARK = re.compile(r"\s*</?(?:image|img)>\s*", re.IGNORECASE)  # where LLaVA's JSON puts its picture


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One answer to learn."""

    before: tuple[tuple[str, str], ...]  # (role, text) of all that was said, the last one by the user
    answer: str
    images: tuple[bytes | Path, ...]  # shown before the user's first text

    def texts(self) -> tuple[str, ...]:
        """What was said in every turn, in their order."""
        return (*(text for _, text in self.before), self.answer)

    def pictures(self) -> list[Image.Image]:
        """RGB.

        Raises:
            UnreadableMedia: A picture cannot be read.
        """
        return [_picture(image) for image in self.images]

    def messages(self, evidence: str = "") -> list[dict[str, Any]]:
        """What was said, as chat templates want it, with `evidence` (placeholders) after the pictures.

        Args:
            evidence: Placeholders of an expert's embeddings, "" without one.

        Returns:
            A list of messages, each with `role` and `content`.
        """
        out: list[dict[str, Any]] = []
        waiting = [{"type": "image"} for _ in self.images]
        for role, text in self.before:
            parts = [{"type": "text", "text": f"{evidence} {text}" if waiting and evidence else text}]
            if role == "user":
                parts, waiting = [*waiting, *parts], []
            out.append({"role": role, "content": parts})
        return out


def read(path: Path, quoted: bool | None = None) -> list[Example]:
    """All answers of a file. `quoted` is for tables of KFD: whether the detector's result stands in the prompt.

    None puts it there where the table has one. MARE's prompts quote no result.

    Args:
        path: A table (.parquet) or chat JSON.
        quoted: Of tables of KFD: whether the detector's result stands in the prompt; None puts it there where the table
            has one. MARE's prompts quote no result.

    Raises:
        InputError: For a file that is neither form, for a prompt that should quote a score where there is none, and for
            a picture that is not there.
    """
    examples = list(_of_table(path, quoted) if path.suffix == ".parquet" else _of_json(path))
    if not examples:
        raise InputError(f"'{path}': expected at least one question with its answer, got none")
    return examples


def is_dma(path: Path) -> bool:
    """Whether a file is a table with the columns of `builders/dma`.

    Args:
        path: Any file.
    """
    try:
        return path.suffix == ".parquet" and {"reply", "boxes"} <= set(pq.read_schema(ordinary(path)).names)
    except (OSError, pa.ArrowInvalid):
        return False


def read_dma(path: Path, split: str | None = None) -> list[dict[str, Any]]:
    """The rows of a table of `builders/dma`, of one split or all, without masks; a picture's rows share its bytes.

    Args:
        path: A table of `builders/dma`.
        split: Of the dataset; None for all.

    Returns:
        One dict a row.

    Raises:
        InputError: For a file that is no such table, and for a split that it has not.
    """
    images: dict[str, bytes] = {}
    rows: list[dict[str, Any]] = []
    splits: set[str] = set()
    try:
        with pq.ParquetFile(ordinary(path)) as table:
            lacking = [name for name in _DMA if name not in table.schema_arrow.names]
            if lacking:
                raise InputError(f"'{path}': expected a table that builders/dma wrote, got no column {lacking[0]}")
            for batch in table.iter_batches(512, columns=list(_DMA)):
                for row in batch.to_pylist():
                    splits.add(row["split"])
                    if split in (None, row["split"]):
                        rows.append(row | {"image": images.setdefault(row["file"], row["image"])})
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"'{path}': expected a Parquet table that builders/dma wrote ({error})") from error
    if split is not None and split not in splits:
        raise InputError(f"'{path}': expected rows of the split {split}, got {', '.join(sorted(splits)) or 'none'}")
    return rows


def _has(path: Path, columns: set[str]) -> bool:
    try:
        return columns <= set(pq.read_schema(ordinary(path)).names)
    except (OSError, pa.ArrowInvalid):
        return False


def _of_table(path: Path, quoted: bool | None) -> Iterator[Example]:
    if _has(path, {"hypothesis", "annotator"}):
        for analysed in read_table(path, ("file", "image", "question", "answer"), "ffa_vqa"):
            yield Example((("user", analysed["question"]),), analysed["answer"], (analysed["image"],))
        return
    if is_dma(path):
        for written in read_dma(path):
            yield Example((("user", mare.prompt(written["question"])),), written["reply"], (written["image"],))
        return
    for row in read_parquet(path):
        if quoted and row["score"] is None:
            raise InputError(
                f"'{path}': expected the detector's score of {row['file']} to quote, got none. Build the table with "
                "--detector, or set quoted = false."
            )
        asked = prompt(row["description"], None if quoted is False else row["score"], row["question"])
        yield Example((("user", asked),), row["answer"], (row["image"],))


def _of_json(path: Path) -> Iterator[Example]:
    try:
        entries = json.loads(read_bounded(path, _MOST).decode(), object_pairs_hook=each_once)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"'{path}': expected chat JSON or a Parquet table of our builders ({error})") from None
    if not isinstance(entries, list):
        raise InputError(f"'{path}': expected a list of conversations, got {type(entries).__name__}")
    there: dict[str, Path] = {}
    for number, entry in enumerate(entries):
        try:
            messages, names = _messages(entry)
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"'{path}', conversation {number}: expected messages with role and content, or conversations with "
                f"from and value ({type(error).__name__}: {error})"
            ) from None
        for name in names:
            if name not in there:
                if Path(name).is_absolute() or ".." in Path(name).parts:
                    raise InputError(
                        f"'{path}', conversation {number}: expected pictures beside the file, got '{name[:80]}', which "
                        "leads out of its folder"
                    )
                there[name] = path.parent / name
                if not there[name].is_file():
                    raise InputError(f"'{path}', conversation {number}: its picture '{name}' is not beside the file")
        for i, (role, text) in enumerate(messages):
            if role == "assistant" and text and i and messages[i - 1][0] == "user":
                yield Example(tuple(messages[:i]), text, tuple(there[name] for name in names))


def _messages(entry: Mapping[str, Any]) -> tuple[list[tuple[str, str]], list[str]]:
    if "messages" in entry:
        turns = [(m["role"], m["content"]) for m in entry["messages"]]
    else:
        turns = [(m["from"], m["value"]) for m in entry.get("conversations") or entry["conversation"]]
    named: Any = next((entry[k] for k in ("images", "image", "image_name") if entry.get(k)), [])
    names = [named] if isinstance(named, str) else list(named)
    if not all(isinstance(name, str) for name in names):
        raise TypeError("the name of a picture is no text")
    return [(_ROLES[role], _text(content)) for role, content in turns], names


def _text(content: str | Sequence[Mapping[str, Any]]) -> str:
    if isinstance(content, str):
        return _MARK.sub(" ", content).strip()
    return " ".join(str(part["text"]) for part in content if part["type"] == "text").strip()


def _picture(image: bytes | Path) -> Image.Image:
    try:
        with Image.open(io.BytesIO(image) if isinstance(image, bytes) else image) as opened:
            return opened.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableMedia(
            f"A picture of the conversations cannot be read ({error}). Build the data again."
        ) from error
