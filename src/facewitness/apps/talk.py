"""`facewitness ask` and `facewitness chat`: questions about one photo or film, answered from the evidence (`dialogue`).

A conversation reads lines from standard input, so it can be typed, piped or scripted. What is typed after a slash is a
command (`/region nose`, `/face 2`, `/save talk.md`, …); everything else is a question.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facewitness.apps._words import (
    ALL,
    ANALYSING,
    SOME,
    NotAnalysed,
    add_sampling,
    add_system,
    complain,
    leaf,
    positive,
    problem_of,
    sampling,
    shown,
    system,
)
from facewitness.errors import FacewitnessError, InputError, UnknownName
from facewitness.files import MOST_TEXT, at_home, is_there, read_bounded, unable, write_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from facewitness.answers import Answer
    from facewitness.dialogue import Dialogue
    from facewitness.types import FrameRef, Place

_ASK = """Ask one question about a photo. The answer is made from the evidence alone, by a fixed grammar, and claims no
more than the verdict does.

examples:
  facewitness ask photo.jpg "Is the nose fake?"
  facewitness ask photo.jpg "How sure are you?"
  facewitness ask photo.jpg "Suppose it is genuine: what speaks for it?" --json
  facewitness ask photo.jpg --region left_eye        facewitness ask photo.jpg "Is this forged?" --at 120,96
  facewitness ask photo.jpg "What is odd about the eyes?" --backend openai --option openai.base_url=http://127.0.0.1:8000/v1

A witness that has a language model of its own is asked, too; its words stand beside the answer, with its name:
  facewitness ask photo.jpg "Is the nose fake?" --witness mare --option mare.weights=runs/mare/model/fdm.safetensors \\
    --option mare.language=runs/mare/model

With --backend the words are a language model's and the verdict stays the evidence's. Whoever speaks is held to the
evidence: contradictions, and places that nothing points to, are marked."""

_CHAT = """Talk about a photo. It remembers the face and the region spoken of.

example:
  facewitness chat photo.jpg

what to say:
  Is this face real?        And the mouth?        Why?        What about the second face?
  /region nose              /face 2               /faces      /save talk.md        /help        /quit"""

_HELP = """/region NAME   what is known of a region, such as nose or left upper eyelid
/regions       the regions there are
/face N        speak of another face          /faces   all faces and their verdicts
/save FILE     write the conversation: .json with what each answer rests on, anything else as Markdown
/quit          end (or Ctrl-D)
Ctrl-C stops an answer that is being given, and otherwise ends."""


def add_to(commands: Any) -> None:
    """Add both commands to the command line."""
    for name, about, described, run in (
        ("ask", "ask one question about a photo", _ASK, _ask),
        ("chat", "talk about a photo", _CHAT, _chat),
    ):
        parser = commands.add_parser(name, help=about, description=described)
        parser.set_defaults(run=run)
        parser.add_argument(
            "photo", metavar="PHOTO", help="a file, or - for standard input" if run is _ask else "a file"
        )
        if run is _ask:
            parser.add_argument(
                "question", metavar="QUESTION", nargs="*", help="not needed where a place is pointed at"
            )
            _add_pointing(parser)
            parser._negative_number_matcher = _BELOW_ZERO  # "-1,5" is a point beside the picture, and no option
            parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
        parser.add_argument("--face", type=positive, metavar="N", help="which face (the most suspicious)")
        parser.add_argument(
            "--backend", type=leaf("backends"), metavar="NAME", help="a language model that words the answers (none)"
        )
        add_system(parser, ANALYSING)
        add_sampling(parser)


def _lines(text: str) -> str:
    """Text with its line feeds kept, and everything else that hides or breaks lines made visible."""
    return "\n".join(map(shown, text.split("\n")))


def _begun(given: argparse.Namespace) -> Dialogue:
    """The photo analysed, ready to be asked about. Raises InputError where it could not be, or has no such face."""
    from facewitness import plugins
    from facewitness.dialogue import Dialogue
    from facewitness.pipeline import Analyzer

    source: str | bytes = given.photo
    if given.photo == "-":
        from facewitness.media import MAX_BYTES

        if sys.stdin is None:
            raise InputError("-: expected a picture on standard input, which is closed")
        source = sys.stdin.buffer.read(MAX_BYTES + 1)
    options = system(given)
    backend = None
    if given.backend is not None:
        backend = plugins.load("backends", given.backend, options["options"].pop(given.backend, {}))
    analyzer = Analyzer(**options, reading=sampling(given))
    analysis = analyzer.analysis(source)
    report = analysis.report
    if report.status == "failed":
        raise NotAnalysed("; ".join(problem.message for problem in report.problems))
    for problem in report.problems:
        complain(problem_of(report.source, problem.message))
    dialogue = Dialogue(report, backend, analysis.clip, analyzer.witnesses)
    if given.face is not None:
        dialogue.choose(given.face - 1)
    return dialogue


_LONGEST = 60  # letters of a name that is told to be none
_BELOW_ZERO = re.compile(r"^-\.?\d[\d.,eE+-]*$")


def _add_pointing(parser: Any) -> None:
    """How a question points instead of naming."""
    places = parser.add_argument_group("pointing", "Places in the picture's pixels; each may be given several times.")
    places.add_argument("--region", action="append", default=[], metavar="NAME", help="a region, such as left_eye")
    places.add_argument("--box", action="append", default=[], type=_numbers(4), metavar="X1,Y1,X2,Y2")
    places.add_argument("--at", action="append", default=[], type=_numbers(2), metavar="X,Y", help="a click")
    places.add_argument(
        "--mask",
        action="append",
        default=[],
        metavar="FILE",
        help="a picture of the same size, white where it is meant",
    )


def _numbers(count: int) -> Callable[[str], tuple[float, ...]]:
    def read(words: str) -> tuple[float, ...]:
        try:
            numbers = tuple(float(word) for word in words.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != count or not all(abs(value) < 1e9 for value in numbers):  # NaN fails this, too
            raise argparse.ArgumentTypeError(f"expected {count} numbers with commas between them, got {words!r}")
        return numbers

    return read


def _named(given: argparse.Namespace) -> list[str]:
    """The regions that a question names, as the tree has them. Raises UnknownName, before the photo is looked at."""
    return [_region(name) for name in given.region]


def _region(words: str) -> str:
    from facewitness import regions

    name = regions.called(words)
    if name is None:
        typed = words.strip().lower().replace(" ", "_").replace("-", "_")
        raise UnknownName("region", typed if len(typed) <= _LONGEST else f"{typed[:_LONGEST]}…", regions.REGIONS,
                          regions.LISTED)  # fmt: skip
    return name


def _pointed(
    given: argparse.Namespace, dialogue: Dialogue, named: Sequence[str], masks: Sequence[NDArray[np.bool_]]
) -> tuple[Place, ...]:
    """The places that a question points at. Raises InputError for one that cannot be pointed at."""
    from facewitness.types import Place

    if not (given.region or given.box or given.at or given.mask):
        return ()
    if not dialogue.report.people:
        raise InputError("expected a face to point at, got a picture without one")
    at = dialogue.report.people[dialogue.face].face.at
    places = [dialogue.place(name) for name in named]
    for x1, y1, x2, y2 in given.box:
        if x2 <= x1 or y2 <= y1:
            raise InputError(f"--box: expected X1 < X2 and Y1 < Y2, got {x1:g},{y1:g},{x2:g},{y2:g}, which is empty")
        if x2 <= 0 or y2 <= 0 or x1 >= at.width or y1 >= at.height:
            raise InputError(f"--box: expected a box in the picture, {at.width} × {at.height}, got one outside it")
        places.append(Place(at, None, (x1, y1, x2, y2)))
    for x, y in given.at:
        if not (0 <= x < at.width and 0 <= y < at.height):
            raise InputError(f"--at: expected a point in the picture, {at.width} × {at.height}, got {x:g},{y:g}")
        places.append(Place(at, None, (x - 0.5, y - 0.5, x + 0.5, y + 0.5)))
    return (*places, *(_mask(there, at) for there in masks))


_LARGE = 40_000_000  # pixels of a mask that is decoded without a look at how large the photo is
_GREY = 0.5  # of a mask that is neither black nor white, from which on it is a photograph or a map, and no mask


def _marked(name: str, photo: str) -> NDArray[np.bool_]:
    """A picture of what is meant, (H, W). Raises InputError where nobody can tell what it marks."""
    import numpy as np

    from facewitness import media

    clip = _mask_file(name, photo)
    if clip.damage:
        raise InputError(f"--mask: expected a whole picture, got '{name}', of which a part is missing. Copy it again.")
    if clip.fps is not None or any(map(media.leaves_out, clip.notes)):
        raise InputError(
            f"--mask: expected one picture, got '{name}', which holds several. Save the one that is meant."
        )
    if any("transparent" in note for note in clip.notes):  # put on white, everything would be meant
        raise InputError(
            f"--mask: expected white on black, got '{name}', which is transparent in places. Save it without "
            "transparency, black where nothing is meant."
        )
    values = clip.frame.pixels.mean(axis=2, dtype=np.float32) / np.float32(255)
    if ((values > 0.1) & (values < 0.9)).mean() >= _GREY:
        raise InputError(f"--mask: expected white on black, got '{name}', most of which is neither. Is it a photo?")
    there = values >= 0.5
    if not there.any():
        raise InputError(
            f"--mask: expected white, 255, where a place is meant, got '{name}', which has no light pixel: its "
            f"lightest has {values.max() * 255:.0f}."
        )
    return np.asarray(there)


def _mask_file(name: str, photo: str) -> Any:
    """A mask's file as it is read. One that is far larger than the photo is told so, and not decoded."""
    from facewitness import media
    from facewitness.errors import TooLarge

    try:
        return media.read(name, max_pixels=_LARGE)
    except TooLarge as large:
        try:
            media.check(Path(photo), photo, max_pixels=_LARGE)
        except (FacewitnessError, OSError):
            return media.read(name)
        raise InputError(f"--mask: expected a picture as large as the photo. {large}") from None
    except InputError as error:
        raise type(error)(f"--mask: {error}" if name in str(error) else f"--mask '{name}': {error}") from error


def _mask(there: NDArray[np.bool_], at: FrameRef) -> Place:
    import numpy as np

    from facewitness.types import Mask, Place

    if there.shape != (at.height, at.width):
        raise InputError(
            f"--mask: expected a picture of {at.width} × {at.height}, as the photo is, got {there.shape[1]} × "
            f"{there.shape[0]}"
        )
    rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    y1, y2, x1, x2 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    box = (float(x1), float(y1), float(x2), float(y2))
    return Place(at, None, box, Mask(box, there[y1:y2, x1:x2].astype(np.float32)))


def _ask(given: argparse.Namespace) -> int:
    from facewitness.questions import asked
    from facewitness.types import Question

    pointing = bool(given.region or given.box or given.at or given.mask)
    given.question = " ".join(given.question) if given.question else None
    if given.question and given.photo != "-" and not os.path.lexists(given.photo) and os.path.lexists(given.question):
        given.photo, given.question = given.question, given.photo  # the question first
    if given.question is None:
        if not pointing:
            raise InputError(
                'ask: expected a question, such as "Is the nose fake?", or a place to ask about (--region)'
            )
        given.question = "Is this place forged?"
    asked(given.question)  # before the photo is looked at
    named, masks = _named(given), [_marked(name, given.photo) for name in given.mask]
    dialogue = _begun(given)
    places = _pointed(given, dialogue, named, masks)
    if off := dialogue.off(places):
        raise InputError(f"{off} Point at a face, or name a region (--region).")
    if apart := dialogue.apart(places, None if given.face is None else given.face - 1):
        raise InputError(apart)
    answer = dialogue.ask(Question(given.question, places))
    if given.json:
        from facewitness.phrases import json_line

        print(json_line(_wire(given.question, answer)))
    else:
        print(_lines(answer.text))
    return ALL if not _complained(answer) else SOME


def _complained(answer: Answer) -> bool:
    """Whether the language model failed, after saying so."""
    if answer.problem:
        problem = answer.problem.strip().rstrip(".")
        complain(f"facewitness: {problem}. The answer is from the evidence alone.")
    return bool(answer.problem)


def _wire(question: str, answer: Answer) -> dict[str, Any]:
    return {
        "question": question, "answer": answer.text, "label": answer.label, "intent": answer.intent,
        "regions": list(answer.regions), "problem": answer.problem or None,
        "witness": answer.witness or None, "words": None if answer.reply is None else answer.reply.text,
        "notes": list(answer.notes),
        "findings": [{"region": f.region, "box": list(f.box), "claim": f.claim, "strength": f.strength}
                     for f in answer.findings],
    }  # fmt: skip


def _chat(given: argparse.Namespace) -> int:
    if given.photo == "-":
        raise InputError("chat: expected a file, for standard input holds the questions. Try facewitness ask.")
    if sys.stdin is None or sys.stdout is None:
        raise InputError("chat: expected standard input and output, and one is closed. Try facewitness ask.")
    dialogue = _begun(given)
    typed = sys.stdin.isatty()
    if isinstance(sys.stdin, io.TextIOWrapper):  # a byte that is no letter ends no conversation
        sys.stdin.reconfigure(errors="replace")
    if typed:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  # arrows and history in input(), where the system has it
        print("Ask what you like about the face; /help shows the commands, /quit ends.")
    _say(dialogue, "What is the verdict?", typed)
    while True:
        try:
            line = input("> " if typed else "").strip()
        except EOFError:
            return ALL
        except KeyboardInterrupt:
            if not typed:
                raise
            print("\n/quit ends the conversation.")
            continue
        if line in ("/quit", "/exit", "quit", "exit"):
            return ALL
        if not line:
            continue
        try:
            if line.startswith("/"):
                _command(dialogue, line, typed)
            else:
                _say(dialogue, line, typed)
        except FacewitnessError as error:
            print(shown(error))
        except OSError as error:
            print(shown(unable(error)))


def _say(dialogue: Dialogue, question: str, streamed: bool) -> None:
    """Answer one question; on a terminal a language model's words appear as they come, and Ctrl-C stops them."""
    pieces: list[str] = []

    def hear(piece: str) -> None:
        pieces.append(piece)
        print(_lines(piece), end="", flush=True)

    try:
        answer = dialogue.ask(question, hear if streamed else None)
    except KeyboardInterrupt:
        if not streamed:
            raise
        print("\n[Stopped. This question is left out of the conversation.]")
        return
    if pieces:
        print("".join(f"\n[{shown(note)}]" for note in answer.notes))
    if not pieces or (answer.problem and not "".join(pieces).startswith(answer.text)):  # it may stand there already
        print(_lines(answer.text))
    _complained(answer)


def _command(dialogue: Dialogue, line: str, streamed: bool) -> None:
    """Do what a line that begins with a slash says."""
    from facewitness import regions

    word, _, rest = line[1:].partition(" ")
    rest = rest.strip()
    match word:
        case "help":
            print(_HELP)
        case "regions":
            print(", ".join(map(regions.title, regions.REGIONS)))
        case "region":
            _say(dialogue, f"Is the {regions.title(_region(rest))} forged?", streamed)
        case "faces":
            _say(dialogue, "How many faces are there?", streamed)
        case "face":
            if not rest.isdecimal() or int(rest) < 1:
                raise InputError(f"/face: expected a number from 1 on, got {rest!r}")
            dialogue.choose(int(rest) - 1)
            _say(dialogue, "What is the verdict?", streamed)
        case "save":
            if not rest:
                raise InputError("/save: expected the name of a file, such as /save talk.md")
            print(shown(f"→ {_saved(dialogue, at_home(rest))}"))
        case _:
            raise UnknownName("command", word, ("help", "regions", "region", "faces", "face", "save", "quit"))


def _saved(dialogue: Dialogue, path: Path) -> Path:
    report = dialogue.report
    if path.suffix.lower() == ".json":
        from facewitness.phrases import json_line

        content = json_line(
            {
                "source": report.source, "sha256": report.sha256, "made_by": dict(report.made_by),
                "turns": [_wire(question, answer) for question, answer in dialogue.turns],
            },
            indent=1, default=str,
        )  # fmt: skip
    else:
        from facewitness.formats.markdown import escaped

        turns = "\n\n".join(f"**{escaped(q)}**\n\n{escaped(a.text)}" for q, a in dialogue.turns)
        content = f"# About {escaped(report.source)}\n\nsha256 {report.sha256}\n\n{turns}\n"
    written = content.encode("utf-8", "replace")
    about, sha256, _ = written.partition((report.sha256 or report.source).encode("utf-8", "replace"))
    if path.exists() and not (is_there(path) and read_bounded(path, MOST_TEXT).startswith(about + sha256)):
        raise InputError(
            f"/save: expected the name of a new file, or of this conversation's own, got '{path}', which holds "
            "something else. Name another one."
        )
    return write_whole(path, written)
