"""Fuzzing guided by coverage (atheris): `python tests/hostile/guided.py TARGET [-max_total_time=600] [FOLDER]`.

Targets: media, metadata, report, words, grammars. FOLDER keeps the inputs that reached new code, and is where the next
run begins. An exception that is none of ours, or a second for one input, ends the run with the input in a file. Needs
`pip install '.[fuzz]'`, from a clone of the repository (Linux, Python 3.11).
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["facewitness"]):
    from facewitness import media, plugins, questions, regions, words
    from facewitness.errors import FacewitnessError
    from facewitness.formats import json as wire
    from facewitness.metadata import container, exif, jumbf, xmp


def _media(content: bytes) -> None:
    media.read(content, max_pixels=1_000_000, max_bytes=1_000_000)


def _metadata(content: bytes) -> None:
    parts = container.split(content)
    exif.read(parts.exif or content)
    xmp.read(parts.xmp or content)
    jumbf.read(parts.manifest or content)


def _report(content: bytes) -> None:
    wire.render(wire.parse(content))


def _words(content: bytes) -> None:
    text = content.decode("utf-8", "surrogateescape" if content[:1] == b"s" else "replace")
    for reads in (words.verdict, words.literal, regions.mentioned, regions.sided, questions.intent):
        reads(text)


def _grammars(content: bytes) -> None:
    text = content.decode("utf-8", "replace")
    for name in plugins.names("grammars"):
        grammar = plugins.get("grammars", name)
        grammar.parse(grammar.render(grammar.parse(text)))


TARGETS = {"media": _media, "metadata": _metadata, "report": _report, "words": _words, "grammars": _grammars}


def _seeds(folder: Path, target: str) -> None:
    """Whole files to begin with, where a folder is empty."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from reports import REPORTS

    from hostile import corpus

    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        return
    seeds: dict[str, bytes] = {"words": b"The nose is fake. <think>x</think><answer>real</answer>"}
    if target in ("media", "metadata"):
        small = corpus.photo(32)
        seeds = {kind: corpus.saved(kind, small) for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM")}
    elif target == "report":
        seeds = {name: wire.render(report) for name, report in REPORTS.items()}
    for name, content in seeds.items():
        (folder / f"seed-{name}").write_bytes(content)


def _guarded(reads: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def one(content: bytes) -> None:
        with contextlib.suppress(FacewitnessError):
            reads(content)

    return one


def main() -> None:
    """Read the words of the command and fuzz; libFuzzer reads its own options."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: guided.py TARGET [options of libFuzzer] [FOLDER]; targets: {', '.join(TARGETS)}")
    target = sys.argv.pop(1)
    for folder in sys.argv[1:]:
        if not folder.startswith("-"):
            _seeds(Path(folder), target)
    atheris.Setup([sys.argv[0], "-timeout=10", "-rss_limit_mb=2500", *sys.argv[1:]], _guarded(TARGETS[target]))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
