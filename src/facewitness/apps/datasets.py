"""`facewitness datasets`: which datasets can be read, and whether the copy on your disk is whole and its splits apart.

facewitness datasets                                     every dataset and its first sentence
facewitness datasets check faceforensics FaceForensics++     what is there, what is not, and who is in two splits
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facewitness import plugins
from facewitness.apps._words import ALL, NONE, SOME, complain, shown, writes

if TYPE_CHECKING:
    from facewitness.bench.listing import Found, Tally

_ABOUT = """List the datasets that can be read; with check, count what of one is on your disk.

examples:
  facewitness datasets
  facewitness datasets --json
  facewitness datasets check faceforensics FaceForensics++
  facewitness datasets check celebdf Celeb-DF-v2 --split test --frames 32
  facewitness datasets stats mmtt=MMTT ddvqa=DD-VQA --figure terms.svg"""

_ABOUT_CHECK = """Count what is there and what is not, and prove that no group (a source video or a person) is in two
splits. Each picture's header is read, and 1,000 pictures (--decode) are decoded to their end; with --frames videos are
opened, so that broken ones are found.

examples:
  facewitness datasets check folder my-photos
  facewitness datasets check manifest list.csv --json

exit status:
  0  all that the dataset lists is there, once, of both labels, and its splits share no group
  1  nothing is there
  2  the command was wrong
  3  something is amiss, and told: missing, broken, there twice, in two splits, under two labels, one label only"""


# ------------------------------------------------------------------------------------------------------ the words


def add_to(commands: Any) -> None:
    """Add `datasets` and `datasets check` to the top parser's sub-commands."""
    datasets = commands.add_parser("datasets", help="list datasets, or check the copy of one", description=_ABOUT)
    datasets.set_defaults(run=_list)
    datasets.add_argument("--json", action="store_true", help="print a JSON object: name -> first sentence")
    words = datasets.add_subparsers(title="commands", metavar="COMMAND")
    check = words.add_parser("check", help="count what is on the disk", description=_ABOUT_CHECK)
    check.set_defaults(run=_check)
    check.add_argument("name", metavar="NAME", help="of the dataset, as facewitness datasets lists it")
    check.add_argument("root", metavar="ROOT", nargs="?", type=Path, help="the dataset's folder, as it is unpacked")
    check.add_argument("--split", metavar="NAME", help="one split only")
    check.add_argument(
        "--frames", type=_count, default=0, metavar="N", help="open videos and count N frames of each (0: do not open)"
    )
    check.add_argument(
        "--decode", type=_count, default=1_000, metavar="N",
        help="decode N pictures to their end, spread over all (default: 1000; a large number: all of them)",
    )  # fmt: skip
    check.add_argument("--json", action="store_true", help="print a JSON object instead of a table")

    stats = words.add_parser("stats", help="what its texts speak of", description=_ABOUT_STATS)
    stats.set_defaults(run=_stats)
    stats.add_argument("data", nargs="+", metavar="NAME[=ROOT]", help="datasets and their folders")
    stats.add_argument("--split", metavar="NAME", help="one split only")
    writes(stats, "--figure", metavar="FILE.svg", help="draw the most frequent terms of all of them")
    stats.add_argument("--json", action="store_true", help="print a JSON object")


_ABOUT_STATS = """Count shares of labels, kinds and methods, the parts that are touched, parts a picture, words a text,
and the terms that occur most: what papers show as word clouds, as bars that can be compared. Nothing is decoded.

examples:
  facewitness datasets stats painted
  facewitness datasets stats mmtt=MMTT ddvqa=DD-VQA ffa_vqa=FFA-VQA --figure terms.svg"""


def _stats(given: argparse.Namespace) -> int:
    from facewitness.bench import stats
    from facewitness.phrases import json_line

    counted = {}
    for each in given.data:
        name, _, root = each.partition("=")
        leaf = plugins.get("datasets", name)
        counted[each] = stats.of(leaf.samples(Path(root) if root else None, given.split))
    if given.figure is not None:
        stats.figure({name.partition("=")[0]: each for name, each in counted.items()}, given.figure)
    if given.json:
        print(json_line({name: each.as_dict() for name, each in counted.items()}, indent=1))
        return ALL
    for name, each in counted.items():
        print("\n".join(map(shown, _stats_lines(name, each.as_dict()))))
    return ALL


def _stats_lines(name: str, numbers: dict[str, Any]) -> Iterator[str]:
    yield f"{name}: {numbers['samples']} samples"
    for what in ("labels", "kinds", "methods", "parts", "labels_of_21"):
        counted = ", ".join(f"{key} {v['share']:.0%}" for key, v in list(numbers[what].items())[:21])
        yield f"  {what.replace('_', ' ')}: {counted or 'none'}"
    yield f"  parts a picture: {', '.join(f'{k}: {v}' for k, v in numbers['parts_a_picture'].items()) or 'no texts'}"
    words = numbers["words_a_text"]
    if words:
        much = f"a text has {words['mean']:.1f} (most {words['most']})"
        yield f"  {numbers['texts']} texts, {numbers['words']} words; {much}"
    yield f"  terms: {', '.join(f'{term} {n}' for term, n in list(numbers['terms'].items())[:25]) or 'none'}"


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


# ---------------------------------------------------------------------------------------------------- what is shown


def _list(given: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from facewitness.phrases import json_line

    about = {name: plugins.about("datasets", name) for name in plugins.names("datasets")}
    screen = Console(highlight=False)
    if given.json:
        print(json_line(about, indent=1))
    elif screen.is_terminal:
        table = Table("dataset", "what it is", box=None, header_style="bold")
        for name, sentence in about.items():
            table.add_row(_escaped(name), _escaped(sentence))
        screen.print(table)
    else:
        wide = max(map(len, about))
        for name, sentence in about.items():
            print(shown(f"{name:<{wide}}  {sentence}"))
    return ALL


def _check(given: argparse.Namespace) -> int:
    from rich.console import Console

    from facewitness.bench.listing import check
    from facewitness.phrases import json_line

    errors = Console(stderr=True)
    if errors.is_terminal:
        with errors.status(f"counting {given.name}"):
            result = check(given.name, given.root, given.split, frames=given.frames, decode=given.decode)
    else:
        result = check(given.name, given.root, given.split, frames=given.frames, decode=given.decode)
    if given.json:
        print(json_line(_object(given, result), indent=1))
        return _status(result)
    screen = Console(highlight=False, soft_wrap=True)
    rows = [_row(split, tally) for split, tally in result.splits.items()]
    if rows and screen.is_terminal:
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, title=_escaped(f"{given.name}, {given.root or 'painted here'}"))
        for column in _COLUMNS:
            table.add_column(column, justify="left" if column == "split" else "right")
        for row in rows:
            table.add_row(*map(_escaped, row))
        screen.print(table, soft_wrap=False)
    elif rows:
        print("\n".join(map(shown, _aligned([_COLUMNS, *rows]))))
    for line in _sentences(result, given.split):
        screen.print(line, markup=False, emoji=False)
    if result.problem:
        complain(f"facewitness: {result.problem}")
    return _status(result)


def _status(result: Found) -> int:
    return NONE if not result.samples else SOME if result.amiss else ALL


_COLUMNS = ("split", "real", "fake", "methods", "videos", "groups", "masks", "texts", "regions")


def _row(split: str, tally: Tally) -> tuple[str, ...]:
    numbers = (
        tally.real, tally.fake, len(tally.methods), len(tally.videos), len(tally.groups), tally.masks, tally.texts,
        tally.regions,
    )  # fmt: skip
    return (split, *map(str, numbers))


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Lines of columns: the first to the left, numbers to the right."""
    wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for first, *numbers in rows:
        yield "  ".join((f"{first:<{wide[0]}}", *(f"{n:>{w}}" for n, w in zip(numbers, wide[1:], strict=True))))


def _sentences(result: Found, split: str | None) -> Iterator[str]:
    """In sentences: what is amiss, and what was proved."""
    from facewitness.bench.listing import DIVIDED_SHOWN
    from facewitness.phrases import visible

    for name, tally in result.splits.items():
        yield visible(f"{name}: " + ", ".join(f"{count} {method}" for method, count in sorted(tally.methods.items())))
    if result.missing:
        yield f"missing or noted: {result.missing}"
        for sentence in result.examples:
            yield f"  {visible(sentence)}"
        if result.missing > len(result.examples):
            yield f"  … and {result.missing - len(result.examples)} more"
    for broken in result.broken:
        yield visible(broken.sentence())
    if result.opened:
        yield f"pictures opened: {result.opened}, of which {result.decoded} were decoded to their end"
    for note in result.notes:
        yield visible(note)
    if result.duplicates:
        names = ", ".join(map(visible, result.twice))
        yield f"there twice: {result.duplicates} samples ({names}{_more(result.duplicates, result.twice)})"
    if result.divided:
        names = ", ".join(
            f"{visible(group)} in {' and '.join(splits)}"
            for group, splits in list(result.divided.items())[:DIVIDED_SHOWN]
        )
        more = "…" if len(result.divided) > DIVIDED_SHOWN else ""
        yield f"in two splits: {len(result.divided)} groups ({names}{more}); a score on such splits is too high"
    elif split is None and len(result.splits) > 1:
        yield "no group is in two splits"
    elif result.splits:
        yield "one split only: whether it shares groups with others was not looked at"


def _more(count: int, listed: tuple[str, ...]) -> str:
    return "…" if count > len(listed) else ""


def _object(given: argparse.Namespace, result: Found) -> dict[str, Any]:
    from facewitness.bench.listing import DIVIDED_SHOWN

    return {
        "dataset": given.name,
        "root": None if given.root is None else str(given.root),
        "split": given.split,
        "splits": {split: tally.numbers() for split, tally in result.splits.items()},
        "missing": {"count": result.missing, "first": list(result.examples)},
        "divided": {
            "count": len(result.divided),
            "first": {group: list(splits) for group, splits in list(result.divided.items())[:DIVIDED_SHOWN]},
        },
        "duplicates": {"count": result.duplicates, "first": list(result.twice)},
        "broken": {each.kind: {"count": each.count, "first": each.first} for each in result.broken},
        "opened": result.opened,
        "decoded": result.decoded,
        "notes": list(result.notes),
        "problem": result.problem,
    }


def _escaped(text: str) -> str:
    from rich.markup import escape

    from facewitness.phrases import visible

    return escape(visible(text))
