"""`facewitness review`: people look at what a builder wrote, one item after another, and accept, edit or reject it.

Nothing heavy is imported: a reviewer needs the queue's folder, something that shows pictures, and a name.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facewitness.apps._words import ALL, complain, positive, shown
from facewitness.apps.train import guarded
from facewitness.errors import InputError
from facewitness.files import each_once

if TYPE_CHECKING:
    from facewitness.builders.review import Item, Queue

_ABOUT = """Look at what a builder wrote about pictures, and accept, edit or reject it. A queue is a folder that a
builder fills (--review QUEUE); several people may work in it, each under a name.

examples:
  facewitness review queue --who anna                     one item after another
  facewitness review queue --list                         what there is, and what was decided
  facewitness review queue --decide ID accept --who anna --seconds 40     for another front end
  facewitness review queue --agreement                    how far people agree
  facewitness review queue --accepted kept.jsonl          what people kept, as JSON lines
  facewitness review queue --from MMTT --limit 200        reports of MMTT's lists, built here or published
  facewitness review queue --into forged                  their texts in the lists of facewitness build mmtt"""


def add_to(commands: Any) -> None:
    """Add `review` to the top parser's sub-commands."""
    parser = commands.add_parser("review", help="look at what a builder wrote, and decide", description=_ABOUT)
    parser.add_argument("queue", type=Path, metavar="QUEUE", help="the queue's folder")
    parser.add_argument("--who", default="", metavar="NAME", help="whose decisions these are")
    parser.add_argument("--reviewers", type=positive, default=1, metavar="N", help="decisions that an item needs (1)")
    parser.add_argument(
        "--least-seconds", type=float, default=5.0, metavar="S", help="to look at an item before a decision counts (5)"
    )
    does = parser.add_mutually_exclusive_group()
    does.add_argument("--list", action="store_true", help="list the items and what was decided")
    does.add_argument("--agreement", action="store_true", help="how far people agree")
    does.add_argument("--accepted", type=Path, metavar="JSONL", help="write what people kept, one item a line")
    does.add_argument(
        "--from", type=Path, dest="source", metavar="MMTT", help="fill the queue from this folder's lists of reports"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="reports at most (--from)")
    parser.add_argument("--most", type=positive, dest="limit", help=argparse.SUPPRESS)  # its name before; still read
    does.add_argument(
        "--into", type=Path, metavar="MMTT", help="put what was decided into the lists of this folder of build mmtt"
    )
    does.add_argument("--decide", nargs=2, metavar=("ID", "CHOICE"), help="accept, edit or reject one item")
    parser.add_argument("--seconds", type=float, default=0.0, metavar="S", help="how long it was looked at (--decide)")
    parser.add_argument("--content", type=Path, metavar="FILE", help="a file of the edited content (--decide ID edit)")
    parser.add_argument("--reason", default="", metavar="TEXT", help="why (--decide)")
    parser.set_defaults(run=guarded(_review, "Reviewing"))


def _review(given: argparse.Namespace) -> int:
    from facewitness.builders import review

    if given.source is not None:
        from facewitness.builders import mmtt

        new = mmtt.queue_lists(review.Queue(given.queue), given.source, given.limit)
        print(f"{given.queue}: {new} reports to look at")
        return ALL
    if not given.queue.is_dir():
        raise InputError(f"'{given.queue}' does not exist. Name a queue that a builder filled (--review QUEUE).")
    queue = review.Queue(given.queue, given.reviewers, given.least_seconds, _check)
    if not queue.items():
        raise InputError(f"'{given.queue}' holds no items. Name a queue that a builder filled (--review QUEUE).")
    if lost := queue.passed_over():
        complain(
            f"facewitness: {lost} lines of '{queue.folder / 'decisions.jsonl'}' are no decisions; they are left out"
        )
    if given.list:
        return _list(queue)
    if given.agreement:
        return _agreement(queue)
    if given.accepted is not None:
        return _accepted(queue, given.accepted)
    if given.into is not None:
        return _into(queue, given.into)
    if given.decide is not None:
        content = None if given.content is None else _read(given.content)
        queue.decide(given.decide[0], given.who, given.decide[1], given.seconds, content, given.reason)
        return ALL
    if not given.who.strip():
        raise InputError("expected the name of who decides, got none. Say it with --who NAME.")
    return _walk(queue, given.who)


def _check(item: Item, content: Mapping[str, Any]) -> str:
    """Whether an edit keeps to what its builder asks for."""
    if item.builder == "ffa_vqa":
        from facewitness.builders import ffa_vqa

        return ffa_vqa.edit_refused(item, content)
    if item.builder == "mmtt":
        from facewitness.builders import mmtt

        return mmtt.edit_refused(item, content)
    lacking = [name for name in item.content if name not in content]
    if lacking:
        return f"expected {lacking[0]}, which is missing"
    other = [name for name, value in item.content.items() if type(content[name]) is not type(value)]
    if other:
        kinds = (type(item.content[other[0]]).__name__, type(content[other[0]]).__name__)
        return f"expected {other[0]} as {kinds[0]}, got {kinds[1]}"
    return ""


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=each_once)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"'{path}': expected the edited content as a JSON object ({error})") from error
    if not isinstance(value, dict):
        raise InputError(f"'{path}': expected a JSON object, got {type(value).__name__}")
    return value


def _list(queue: Queue) -> int:
    decided = queue.decisions()
    for item in queue.items().values():
        choices = decided.get(item.id, {})
        words = ", ".join(f"{who}: {decision.choice}" for who, decision in choices.items()) or "nobody yet"
        print(shown(f"{item.id}  {item.builder}  {item.about.get('label', '')}  {words}"))
    waiting = len(queue.pending())
    complain(f"facewitness: {waiting} of {len(queue.items())} items wait for a decision")
    return ALL


def _agreement(queue: Queue) -> int:
    agreement = queue.agreement()
    print(
        json.dumps(
            {
                "items": agreement.items,
                "alpha": agreement.alpha,
                "same": agreement.same,
                "choices": dict(agreement.choices),
            }
        )
    )
    if agreement.alpha is None:
        complain("facewitness: alpha needs two items that two people decided, and two different choices among them")
    return ALL


def _accepted(queue: Queue, path: Path) -> int:
    from facewitness.files import write_whole

    rows = [
        json.dumps({"id": item.id, "about": dict(item.about), "pictures": list(item.pictures), **content})
        for item, content in queue.accepted()
    ]
    write_whole(path, "".join(f"{row}\n" for row in rows).encode())
    print(f"{path}: {len(rows)} items that people kept")
    return ALL


def _into(queue: Queue, folder: Path) -> int:
    from facewitness.builders import mmtt

    counts = mmtt.put_back(queue.judged(), folder)
    print(f"{folder}: " + ", ".join(f"{count} {what}" for what, count in counts.items()))
    return ALL


def _walk(queue: Queue, who: str) -> int:
    """One pending item after another, until there is none or the person stops."""
    waiting = queue.pending(who)
    for number, item in enumerate(waiting, start=1):
        _show(queue, item, f"{number} of {len(waiting)}")
        since = time.monotonic()
        while True:
            choice = _asked("[a]ccept, [e]dit, [r]eject, [s]kip, [q]uit: ").lower()
            if choice in ("q", "quit", ""):
                return ALL
            if choice in ("s", "skip"):
                break
            try:
                if choice in ("a", "accept"):
                    queue.decide(item.id, who, "accept", time.monotonic() - since)
                elif choice in ("r", "reject"):
                    reason = _asked("why? ")
                    queue.decide(item.id, who, "reject", time.monotonic() - since, reason=reason)
                elif choice in ("e", "edit"):
                    edited = _edited(item.content)
                    queue.decide(item.id, who, "edit", time.monotonic() - since, edited)
                else:
                    continue
            except InputError as error:
                complain(f"facewitness: {error}")
                continue
            break
    complain(f"facewitness: nothing more waits for {who}")
    return ALL


def _show(queue: Queue, item: Item, where: str) -> None:
    print(f"\n{item.id} ({where}), by {shown(item.annotator or item.builder)}")
    for name in item.pictures:
        print(f"  picture: {shown(queue.picture(name))}")
    for key, value in item.about.items():
        if key == "may_name":  # every region that the mask touches: an edit is held to it, nobody reads it
            continue
        print(f"  {shown(key)}: {shown(value)}")
    for key, value in item.content.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        print(f"\n{shown(key)}:")
        for line in text.splitlines():
            print(f"  {shown(line)}")


def _asked(prompt: str) -> str:
    """What a person types; empty at the end of the input."""
    try:
        return input(prompt).strip()
    except (EOFError, RuntimeError):  # RuntimeError: it was closed by whoever started us
        return ""


def _edited(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content as the person left it in $VISUAL or $EDITOR, or typed it: text as it is, anything else as JSON."""
    plain = set(content) == {"text"}
    before = str(content["text"]) if plain else json.dumps(content, ensure_ascii=False, indent=1)
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if editor:
        try:
            command = shlex.split(editor)
        except ValueError as error:
            raise InputError(f"$EDITOR: expected a command, got {editor!r} ({error}); nothing was edited") from None
        with tempfile.TemporaryDirectory(prefix="facewitness-") as folder:
            file = Path(folder) / ("item.txt" if plain else "item.json")
            file.write_text(before, encoding="utf-8")
            subprocess.run([*command, str(file)], check=False)
            after = file.read_text(encoding="utf-8", errors="replace")
    else:
        print("Type it anew; a line with a dot alone ends it.")
        lines = []
        for line in sys.stdin:
            if line.rstrip("\n") == ".":
                break
            lines.append(line)
        after = "".join(lines)
    if plain:
        return {"text": after.strip()}
    try:
        value = json.loads(after, object_pairs_hook=each_once)
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected the content as JSON ({error}); it was not taken over") from None
    if not isinstance(value, dict):
        raise InputError("expected the content as a JSON object; it was not taken over")
    return value
