"""Takes what pages link to beside docs/ (the log, runs, sources) into the site, so that no link of it leads nowhere.

A hook of mkdocs. On GitHub a page's link to `../LOG.md` is right as it is; a site of docs/ alone would lack the file.
Each file that a page links to, and that such a file links to, becomes a part of the site under `repository/`: Markdown
as a page, anything else as it is. A folder becomes its README, or plain words where it has none.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
ABOVE = "repository"  # where files from beside docs/ stand in the site
LARGEST = 1_000_000  # bytes; weights are no part of a site
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s#]+)(#[^()\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the files that pages link to."""
    waiting = [DOCS / file.src_uri for file in files.documentation_pages()]
    known = set(waiting)
    while waiting:
        page = waiting.pop()
        for _, target, _ in _LINK.findall(page.read_text(encoding="utf-8")):
            there = _file(page, target)
            if there is None or there in known or there.is_relative_to(DOCS):
                continue
            known.add(there)
            if there.suffix == ".md":
                waiting.append(there)
                content = _moved(there.read_text(encoding="utf-8"), there)
                files.append(File.generated(config, _uri(there), content=content))
            else:
                files.append(File.generated(config, _uri(there), abs_src_path=str(there)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Point a page's links at where the files stand in the site."""
    return markdown if page.file.generated_by else _moved(markdown, DOCS / page.file.src_uri)


def _file(page: Path, target: str) -> Path | None:
    """The file of the repository that a link means; None for the web, what is not there and what is too large."""
    if "://" in target or target.startswith(("mailto:", "/")):
        return None
    there = (page.parent / target).resolve()
    if there.is_dir():
        there /= "README.md"
    inside = there.is_relative_to(ROOT) and there.is_file() and there.stat().st_size <= LARGEST
    return there if inside else None


def _uri(file: Path) -> str:
    """Where a file of the repository stands in the site's sources."""
    return (file.relative_to(DOCS) if file.is_relative_to(DOCS) else ABOVE / file.relative_to(ROOT)).as_posix()


def _moved(text: str, page: Path) -> str:
    """A page's text with links that hold in the site."""

    def link(match: re.Match[str]) -> str:
        words, target, anchor = match.groups()
        if "://" in target or target.startswith(("mailto:", "/")):
            return match.group()
        there = _file(page, target)
        if there is None:
            return words
        return f"[{words}]({os.path.relpath(_uri(there), Path(_uri(page)).parent)}{anchor or ''})"

    return _LINK.sub(link, text)
