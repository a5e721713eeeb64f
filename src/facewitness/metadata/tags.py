"""What the tags of a film's container say: programs that generate films, the camera, the program that wrote the file.

Phones, cameras and programs write them, and FFmpeg, through which most sites and programs pass films, keeps some and
drops others: that it wrote a file (`Lavf`) says nothing of where the film came from. Nothing here is signed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from facewitness.metadata import generators, shown
from facewitness.metadata.generators import Trace

# fields of programs; in every other one a person may have written what they liked
_PROGRAM = (
    "encoder", "software", "com.apple.quicktime.software", "encoded_by", "tool", "generator", "creation_tool",
    "writing_application", "video.encoder", "ai_model",
)  # fmt: skip
_WORDS = ("title", "artist", "author", "comment", "description", "synopsis", "copyright", "keywords", "album",
          "com.apple.quicktime.description", "com.apple.quicktime.title", "video.handler_name", "audio.handler_name",
          "video.title", "model", "com.apple.quicktime.model", "make")  # fmt: skip
_MAKE = ("com.apple.quicktime.make", "com.android.manufacturer", "make", "com.samsung.android.make")
_MODEL = ("com.apple.quicktime.model", "com.android.model", "model", "com.samsung.android.model")
_WHEN = ("com.apple.quicktime.creationdate", "creation_time", "date")
_PASSED = re.compile(r"\b(?:lav[fc]\d*|libavformat|ffmpeg|mencoder|gpac|mp4box|isomedia|l-smash|bento4)", re.IGNORECASE)
_SITE = re.compile(r"\bproduced by google\b|\bisomedia file produced\b", re.IGNORECASE)
_NOT_A_TIME = re.compile(r"1904-01-01|1970-01-01")  # what a program writes that knows no time


def traces(tags: Mapping[str, str], properties: Mapping[str, tuple[str, ...]]) -> Iterator[Trace]:
    """What a film's tags and XMP say of generators, each trace once; those that decide first.

    Args:
        tags: of the container and its streams ("video.…"), by names in small letters.
        properties: of its XMP, by qualified name.
    """
    traces_seen: dict[tuple[str, bool], Trace] = {}
    for trace in (*_of_tags(tags), *generators.of_xmp(properties)):
        traces_seen.setdefault((trace.generator, trace.decides), trace)
    yield from sorted(traces_seen.values(), key=lambda trace: not trace.decides)


def _of_tags(tags: Mapping[str, str]) -> Iterator[Trace]:
    texts = [(name.rpartition(".")[2], text) for name, text in tags.items() if name not in ("xmp", *_PROGRAM)]
    yield from generators.of_texts(texts)
    if label := tags.get("aigc"):  # GB 45438: the label, or the label under its own name
        yield from generators.of_label(label)
    for name in _PROGRAM:
        yield from generators.of_program(name, tags.get(name, ""), film=True)
    for name in _WORDS:
        yield from generators.of_program(name, tags.get(name, ""), named=True, film=True)


def claims(tags: Mapping[str, str]) -> list[str]:
    """Sentences on the camera, the time and the program that wrote a film: none of them proves anything.

    Args:
        tags: Of the file's container, by name.
    """
    sentences = []
    make, model = (next((tags[name] for name in names if name in tags), "") for names in (_MAKE, _MODEL))
    when = next((tags[name] for name in _WHEN if name in tags and not _NOT_A_TIME.match(tags[name])), "")
    if make or model:
        camera = model if model.lower().startswith(make.lower()) else f"{make} {model}"
        taken = f", filmed {shown(when, 25)}" if when else ""
        sentences.append(
            f"The film's tags name a camera, {shown(camera)}{taken}. They can be written by anyone and prove nothing."
        )
    elif when:
        sentences.append(f"The film's tags say that it was made {shown(when, 25)}. Anyone can write that.")
    for name in ("encoder", "software", "com.apple.quicktime.software"):
        program = tags.get(name, "")
        if not program or next(generators.of_program(name, program, film=True), None) is not None:
            continue
        if _PASSED.search(program):
            sentences.append(
                f"The file was last written by FFmpeg or a program of its kind ({shown(program)}), as most sites and "
                "programs do: that says nothing of where the film came from."
            )
        else:
            sentences.append(f"The film's tags name the software {shown(program)}.")
    if _SITE.search(tags.get("video.handler_name", "")):
        sentences.append("The file was written by a site of Google's, such as YouTube, which codes every film again.")
    return list(dict.fromkeys(sentences))
