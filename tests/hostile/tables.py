"""Strings of strangers in the three files of a benchmark's table: as `strings`, in names of runs and in their rows."""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

from hostile import Figure, strings


def attack(scale: int = 1, share: int = 1) -> Iterator[Figure]:
    """Every string, or one of `share` of them, in the three files of a benchmark's table."""
    texts = strings.payloads()[::share]
    from test_bench_table import meta, still_rows

    from facewitness.bench import measures, predictions, table

    readers = {"table.csv": strings._csv, "table.md": strings._markdown, "index.html": strings._html}
    figures = {name: Figure(f"strings in bench's {name}") for name in readers}
    draws, measures.DRAWS = measures.DRAWS, 20
    path, os.environ["PATH"] = os.environ["PATH"], ""  # no Java
    try:
        with tempfile.TemporaryDirectory() as scratch:
            usual: dict[str, str] = {}
            for number, text in enumerate([strings._PLAIN, *texts]):
                run = Path(scratch, str(number))
                try:
                    writer = predictions.Writer(
                        run,
                        meta(
                            name=text or "x",
                            dataset=text,
                            root_name=text,
                            platform=text,
                            libraries={text: text},
                            keep={text: [text]},
                        ),
                    )
                    for row in still_rows(count=6):
                        fake = row["label"] == "fake"
                        writer.add(
                            {
                                **row,
                                "dataset": text or "x",
                                "method": text if fake else "pristine",
                                "file": f"{row['file']}{text}",
                            }
                        )
                    writer.finish([text])
                    made = {p.name: p.read_text("utf-8") for p in table.write([run], run / "out", title=text)}
                    why = ""
                except Exception:
                    made, why = {}, traceback.format_exc()[-500:]
                usual = usual or made
                for name, reads in readers.items():
                    amiss = why or reads(made[name], usual[name])
                    if text is not strings._PLAIN:
                        figures[name].expect(not amiss, f"{text[:60]!a}: {amiss}")
    finally:
        measures.DRAWS, os.environ["PATH"] = draws, path
    yield from figures.values()
