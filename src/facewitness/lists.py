"""Lists of pictures as CSV files, also those that other machines and spreadsheets write: one reader for all commands.

    for line in lists.read(Path("list.csv")): line.number, line.values["file"]
    lists.located(folder, r".\\a\\1.jpg")  →  "a/1.jpg", as the disk has it

Read are commas, semicolons and tabs, a byte order mark, and of Excel: its first line `sep=;`, its lines of nothing but
separators, its cells that are kept from being numbers (`="007.jpg"`) and its "Unicode text" (UTF-16); characters that
are not seen, before and behind a value, are no part of it. A path may have either slash, a drive or folders of another
machine before it, other capitals, letters with their accents apart (macOS writes them so), an apostrophe that keeps it
from being a formula, or %20 for what an address cannot hold: it means the one file that it can mean, and two are none.
A path from the root, or from one's home (`~/`), that is there means itself.
"""

from __future__ import annotations

import codecs
import csv
import errno
import io
import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from facewitness.errors import InputError
from facewitness.files import at_home, is_there, open_bounded

MAX_BYTES = 1_000_000_000
MOST_COLUMNS = 1_000
# Blanks, also those of web pages, and marks of width and direction that come along when a cell is copied
_UNSEEN = " \t\r\n\v\f\u00a0\u2007\u202f\ufeff" + "".join(map(chr, (*range(0x200B, 0x2010), *range(0x202A, 0x202F))))
_UNSEEN += "".join(map(chr, (0x2060, *range(0x2066, 0x206A))))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a list: its number in the file, and its values by column, without blanks around them."""

    number: int
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class List:
    """A list as it was read: its columns, in small letters, and its lines."""

    columns: tuple[str, ...]
    lines: tuple[Line, ...]


def read(path: Path) -> List:
    """All lines of a list that say anything.

    Args:
        path: Of the list.

    Raises:
        InputError: the file is no text in UTF-8 (or UTF-16 with its mark) or no CSV, a column is there twice, or a line
            has too many or too few values.
    """
    try:
        with open_bounded(path, MAX_BYTES) as content:
            begins = content.read(1 << 12)
            is_16 = begins[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) and begins[:4] != codecs.BOM_UTF32_LE
            encoding = "utf-16" if is_16 else "utf-8-sig"
            if (other := _no_list(begins.decode("latin-1"))) is not None and not is_16:
                raise InputError(f"{path}: expected a list as CSV, got {other}")
            content.seek(0)
            with io.TextIOWrapper(content, encoding=encoding, newline="") as file:
                first, skipped = file.readline(), 0
                separator = _separator(first)
                if separator is not None:
                    skipped = 1
                else:
                    while first and not first.strip(" \r\n,;\t\ufeff"):  # a spreadsheet's empty lines above its table
                        first, skipped = file.readline(), skipped + 1
                    file.seek(0)
                    for _ in range(skipped):
                        file.readline()
                    bare = re.sub(r'"[^"]*"', "", first)
                    separator = max(",;\t", key=bare.count)
                rows = csv.reader(file, delimiter=separator, strict=True)
                try:
                    return _lines(path, rows, skipped)
                except csv.Error as error:
                    is_long, most = "limit" in str(error), csv.field_size_limit()
                    why = f"a value of more than {most:,} characters" if is_long else error
                    raise InputError(
                        f"{path}, line {rows.line_num + skipped}, is not CSV ({why}). Is a quotation mark not closed "
                        "there or before? Mend it, or save the list again."
                    ) from error
    except UnicodeError as error:
        raise InputError(f"{path} is not UTF-8 text; save it as CSV in UTF-8") from error
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise InputError(f"{path}: expected a list of at most {MAX_BYTES // 1_000_000} MB; split it") from error
        raise InputError(f"{path}: expected a list that can be read ({error.strerror})") from error


def _no_list(begins: str) -> str | None:
    """What a file that is no list is, by its first bytes, and what to do; None for any other."""
    if begins.startswith(("PK\3\4", "\xd0\xcf\x11\xe0")):
        return "a spreadsheet's workbook; save its table as CSV in UTF-8"
    if "\0" in begins:
        return "bytes that are no text, or UTF-16 or UTF-32 without its mark; save it as CSV in UTF-8"
    head = begins.lstrip("\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(("{", "[{", '["')) or head.strip() == "[":
        return "JSON; write a line for each picture, and the columns' names in the first"
    return "a web page; save its table as CSV in UTF-8" if head.startswith(("<html", "<!doctype", "<table")) else None


def _separator(line: str) -> str | None:
    """What Excel's first line says, "sep=;"; None for any other line."""
    declared = re.fullmatch(r"\ufeff?\"?sep=(.)\"?\s*", line, re.IGNORECASE)
    return declared[1] if declared else None


def _lines(path: Path, rows: Iterator[list[str]], skipped: int) -> List:
    head = next(rows, [])
    if len(head) > MOST_COLUMNS:
        raise InputError(
            f"{path}: expected at most {MOST_COLUMNS:,} columns, got {len(head):,}; write a line for each picture"
        )
    columns = tuple(_cell(name).lower() for name in head)
    while len(columns) > 1 and not columns[-1]:  # a spreadsheet's empty columns
        columns = columns[:-1]
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise InputError(f"{path}: the column {', '.join(twice)} is there twice; rename one of them")
    lines = []
    for row in rows:
        number = rows.line_num + skipped  # type: ignore[attr-defined]
        values = [_cell(value) for value in row]
        if not any(values):
            continue
        while len(values) > len(columns) and not values[-1]:
            values.pop()
        if len(values) != len(columns):
            raise InputError(
                f"{path}, line {number}: expected {len(columns)} value{'s' * (len(columns) != 1)}, as in its first "
                f"line, got {len(values)}; that line names the columns, and a value with a comma stands in quotes"
            )
        lines.append(Line(number, dict(zip(columns, values, strict=True))))
    return List(columns, tuple(lines))


def _cell(value: str) -> str:
    """A cell's text without what is not seen around it, and without the formula that keeps it from being a number."""
    value = value.strip(_UNSEEN)
    as_text = re.fullmatch(r'="([^"]*)"', value)
    return as_text[1].strip(_UNSEEN) if as_text else value


def is_address(listed: str) -> bool:
    """Whether a list names something of the web, which no command fetches.

    Args:
        listed: As the list has it.
    """
    return re.match(r"(?:https?|ftps?|s3|gs|file|data):", listed.strip(), re.IGNORECASE) is not None


def located(folder: Path, listed: str) -> str | None:
    """The file that a list means, below its folder, as the disk spells it; None where there is none, or no one file.

    One elsewhere that is named from the root or from one's home, and is there, keeps its whole path. Of a page of a
    file, scan.tif#2, the file is located. Of a path of another machine, what stands before the part that is below the
    folder is cut away, but never the last folder: of `C:\\sets\\FF\\000\\1.png` at least 000/1.png is looked for. A
    path that climbs out by `..` is none.

    Args:
        folder: Below which the file lies.
        listed: As the list has it.
    """
    if "\0" in listed:
        return None
    place = _itself(folder, listed.strip()) or _located(folder, listed)
    if place is None and listed.startswith("'"):
        place = _located(folder, listed[1:])
    if place is None and re.search(r"%[0-9A-Fa-f]{2}", listed):
        place = _located(folder, unquote(listed))
    if place is None and (part := _PART.search(listed.strip())) and part.start():
        whole = located(folder, listed.strip()[: part.start()])
        place = None if whole is None else whole + part[0]
    return place


_PART = re.compile(r"#\d[\d,]*$")  # scan.tif#2 is a page of scan.tif (`media`)


def _itself(folder: Path, listed: str) -> str | None:
    """A file that is there and is named from the root or from one's home; below the folder, by its path from there."""
    file = at_home(listed)
    if not file.is_absolute() or ".." in file.parts or not is_there(file):
        return None
    return str(file.relative_to(folder.absolute()) if file.is_relative_to(folder.absolute()) else file)


def _located(folder: Path, listed: str) -> str | None:
    if "\0" in listed:
        return None
    whole = re.split(r"/+", listed.strip())
    for parts in (whole, re.split(r"[\\/]+", listed.strip())):  # a backslash may stand in a name
        steps = [part for part in parts if part not in ("", ".")]
        if not steps or ".." in steps:
            return None
        for first in range(max(1, len(steps) - 1)):
            if is_there(folder.joinpath(*steps[first:])):
                return "/".join(steps[first:])
    for first in range(max(1, len(steps) - 1)):
        if (file := _respelt(folder, steps[first:])) is not None:
            return file
    return None


def _respelt(folder: Path, steps: list[str]) -> str | None:
    """A path whose steps differ from the disk's in capitals or in how accents are written."""
    spelling: list[str] = []
    for step in steps:
        names = _names(str(folder), _changed(folder)).get(_plain(step), ())
        if step in names:
            names = (step,)
        if len(names) != 1:
            return None
        spelling.append(names[0])
        folder = folder / names[0]
    return "/".join(spelling) if is_there(folder) else None


@lru_cache(maxsize=256)
def _names(folder: str, changed: int) -> dict[str, tuple[str, ...]]:
    """The names in a folder by what they have in common, whatever their capitals and accents."""
    names: dict[str, tuple[str, ...]] = {}
    try:
        with os.scandir(folder) as there:
            for entry in there:
                names[_plain(entry.name)] = (*names.get(_plain(entry.name), ()), entry.name)
    except OSError:
        pass
    return names


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
