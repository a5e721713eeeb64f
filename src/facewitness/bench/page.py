"""The table as one page that needs nothing else: curves, bars, worst mistakes, every number with its interval.

The page is a tree of elements (`xml.etree`), never pasted strings, so the name of a file or a method can't become
markup; its own policy (CSP) forbids every request and every script. Figures are matplotlib's SVG with text as text;
their colours are names of the style sheet's, so that they follow the reader's light or dark.
"""

from __future__ import annotations

import base64
import io
import itertools
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import matplotlib
import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from facewitness.bench import measures, perturb
from facewitness.bench.book import Book, Entry, Grid
from facewitness.bench.measures import Ranking, Scored, Value, Weighted
from facewitness.markup import document
from facewitness.markup import element as _e
from facewitness.phrases import visible

WORST = 12  # mistakes shown of each label
_POINTS = 300  # of a curve
_BINS = np.linspace(0, 1, 26)  # of the histograms
_INK, _MUTED, _LINE, _FAKE, _REAL = "#010203", "#040506", "#070809", "#0a0b0c", "#0d0e0f"
_SERIES = ("#100001", "#100002", "#100003", "#100004", "#100005", "#100006")
_NAMED = {_INK: "ink", _MUTED: "muted", _LINE: "line", _FAKE: "fake", _REAL: "real"} | {
    colour: f"s{i}" for i, colour in enumerate(_SERIES)
}  # what matplotlib writes → the style sheet's variable
_DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 2)),
    (0, (1.5, 1.5)),
    (0, (6, 2, 1.5, 2)),
    (0, (9, 3)),
    (0, (3, 1, 1, 1, 1, 1)),
)
_DASHED = ("", "5 2", "1.5 1.5", "6 2 1.5 2", "9 3", "3 1 1 1 1 1")
_STYLE: Any = {  # each key is to be one of matplotlib's own literals
    "svg.hashsalt": "facewitness",
    "svg.fonttype": "none", "text.parse_math": False, "font.size": 9.0, "axes.spines.top": False,
    "axes.spines.right": False, "axes.edgecolor": _MUTED, "axes.labelcolor": _MUTED, "text.color": _INK,
    "xtick.color": _MUTED, "ytick.color": _MUTED, "axes.grid": True, "grid.color": _LINE, "grid.linewidth": 0.7,
    "axes.axisbelow": True, "figure.facecolor": "none", "axes.facecolor": "none", "lines.linewidth": 1.8,
}  # fmt: skip


def render(
    title: str,
    grids: Sequence[Grid],
    entries: Sequence[Entry],
    book: Book,
    *,
    reading: str,
    notes: Sequence[str],
    made: Sequence[str],
) -> str:
    """The page: the grids as tables, each followed by what is drawn of it.

    Args:
        title: Of the page.
        grids: The tables.
        entries: What was measured.
        book: The numbers, for the figures.
        reading: How to read the page, in HTML.
        notes: Sentences on what is missing.
        made: What made each run, a line each.
    """
    footnotes = _Footnotes()
    draw = _Draw()
    drawn = {
        "Detection, video level": lambda: _curves(draw, entries, book),
        "By method": lambda: _methods(draw, entries, book),
        "AUC under perturbation, video level": lambda: _perturbations(draw, entries, book),
        "Verdicts": lambda: _mistakes(entries),
    }
    sections, shown, nothing = [], [], []
    for grid in grids:
        more = list(drawn.get(grid.title, lambda: iter(()))())
        if grid.nothing and not more:
            nothing.append(f"{grid.title} ({grid.nothing})")
            continue
        shown.append(grid)
        sections.append(_e("section", *_grid(grid, footnotes), *more, id=_anchor(grid.title)))
    if nothing:
        sections.append(_e("section", _e("p", f"Not measured: {visible('; '.join(nothing))}.", class_="nothing")))
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    links = (_e("li", _e("a", grid.title, href=f"#{_anchor(grid.title)}")) for grid in shown)
    page = _e(
        "html",
        _e(
            "head",
            _e("meta", charset="utf-8"),
            _e("meta", http_equiv="Content-Security-Policy", content=policy),
            _e("meta", name="viewport", content="width=device-width, initial-scale=1"),
            _e("meta", name="color-scheme", content="light dark"),
            _e("meta", name="robots", content="noindex"),
            _e("title", f"{visible(title)} (facewitness)"),
            _e("style", style),
        ),
        _e(
            "body",
            _e(
                "header",
                _e("p", "facewitness", _e("span", " benchmark", class_="quiet"), class_="wordmark"),
                _e("h1", visible(title)),
                _e("p", reading, class_="reading"),
                _e("nav", _e("ul", *links), aria_label="Tables"),
            ),
            _e("main", *sections),
            _e(
                "footer",
                _listed("Notes", notes),
                _listed("Why there is no number", (), footnotes.items()),
                _listed("Made by", made),
            ),
        ),
        lang="en",
    )
    return document(page)


# ------------------------------------------------------------------------------------------------------ the tree


def _anchor(title: str) -> str:
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def _listed(title: str, texts: Iterable[str], items: Sequence[Element] = ()) -> Element | None:
    rows = [*items, *(_e("li", visible(text)) for text in texts)]
    return _e("section", _e("h2", title), _e("ol" if items else "ul", *rows)) if rows else None


class _Footnotes:
    """Reasons by number; each stands once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, why: str) -> Element:
        number = self._numbers.setdefault(why, len(self._numbers) + 1)
        return _e("sup", _e("a", str(number), href=f"#why-{number}", title=visible(why)))

    def items(self) -> list[Element]:
        return [_e("li", f"{visible(why)}.", id=f"why-{number}") for why, number in self._numbers.items()]


def _grid(grid: Grid, footnotes: _Footnotes) -> Iterator[Element]:
    yield _e("h2", grid.title)
    if grid.nothing:
        yield _e("p", f"Not measured: {visible(grid.nothing)}.", class_="nothing")
        return
    if grid.about:
        yield _e("p", grid.about, class_="about")
    names = sum(isinstance(cell, str) for cell in grid.rows[0]) if grid.rows else 0
    head = (_e("th", name, scope="col", class_="name" if i < names else None) for i, name in enumerate(grid.head))
    rows = []
    for row in grid.rows:
        cells = [_cell(cell, i, footnotes) for i, cell in enumerate(row)]
        baseline = isinstance(row[0], str) and row[0].startswith("baseline: ")
        rows.append(_e("tr", *cells, class_="baseline" if baseline else None))
    table = _e("table", _e("thead", _e("tr", *head)), _e("tbody", *rows))
    yield _e("div", table, class_="wide", tabindex=0, role="region", aria_label=grid.title)


def _cell(cell: str | tuple[Value, int], column: int, footnotes: _Footnotes) -> Element:
    if isinstance(cell, str):
        return _e("th", visible(cell), scope="row") if column == 0 else _e("td", visible(cell), class_="name")
    value, digits = cell
    if value.value is None:
        return _e("td", "—", footnotes.mark(value.why), class_="none", title=visible(value.why))
    if digits == 0:
        return _e("td", f"{value.value:,.0f}".replace(",", "\u202f"))
    bounds = None
    if value.low is not None and value.high is not None:
        bounds = _e("small", f"{value.low:.{digits}f}–{value.high:.{digits}f}")
    mark = footnotes.mark(value.why) if value.why else None
    return _e("td", f"{value.value:.{digits}f}", bounds, mark, title=_tip("", value))


def _tip(what: str, value: Value) -> str:
    """A number in full: 0.913, 95 % interval 0.902–0.924, n = 1 234."""
    if value.value is None:
        return f"{what}not measured: {value.why}"
    bounds = "no interval"
    if value.low is not None and value.high is not None:
        bounds = f"95 % interval {value.low:.4f}–{value.high:.4f}"
    return f"{what}{value.value:.4f}, {bounds}, n = {value.n:,}".replace(",", "\u202f").replace("\u202f ", ", ")


# -------------------------------------------------------------------------------------------------------- figures


class _Draw:
    """Makes figures; their identities never meet on the page."""

    def __init__(self) -> None:
        self._count = itertools.count()

    def figure(
        self,
        caption: str,
        note: str,
        alt: str,
        paint: Callable[[Axes, _Tips], None],
        size: tuple[float, float] = (3.3, 2.7),
        left: float = 0.55,
    ) -> Element:
        """`paint` on axes of `size` inches, `left` from the edge, as a figure; `alt` is it in words."""
        tips = _Tips()
        with warnings.catch_warnings(), matplotlib.rc_context(_STYLE):
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # a browser has more glyphs than our font
            width, height = size
            figure = Figure(figsize=size)
            figure.subplots_adjust(left / width, 0.46 / height, 1 - 0.12 / width, 1 - 0.14 / height)
            paint(figure.add_subplot(), tips)
            out = io.BytesIO()
            FigureCanvasSVG(figure).print_figure(out, format="svg", metadata={"Date": None, "Creator": None})
        svg = _inline(out.getvalue(), f"f{next(self._count)}-", tips, alt)
        return _e("figure", _e("figcaption", _e("strong", caption), f" {note}"), svg)


class _Tips:
    """What is said when something drawn is pointed at."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def on(self, artist: Any, text: str) -> None:
        name = f"tip-{len(self.texts)}"
        self.texts[name] = text
        artist.set_gid(name)


def _inline(svg: bytes, prefix: str, tips: _Tips, alt: str) -> Element:
    """Matplotlib's SVG as an element of a page: own identities, the style sheet's colours, tooltips, words for it."""
    text = svg.decode()
    for colour, name in _NAMED.items():
        text = text.replace(colour, f"var(--{name})")
    root = ElementTree.fromstring(text)
    for parent in root.iter():
        for child in list(parent):
            if child.tag.rsplit("}")[-1] in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rsplit("}")[-1]
        named = element.get("id")
        if named in tips.texts:
            title = Element("title")
            title.text = visible(tips.texts[named])
            element.insert(0, title)
        for name, value in list(element.attrib.items()):
            del element.attrib[name]
            plain = name.rsplit("}")[-1]
            if plain == "id":
                value = prefix + value
            elif plain == "href":
                value = f"#{prefix}{value.removeprefix('#')}"
            else:
                value = value.replace("url(#", f"url(#{prefix}")
            element.set(plain, value)
        element.text = element.text if element.text and element.text.strip() else None
        element.tail = "\n" if element.tag == "g" else None
    box = root.get("viewBox")
    root.attrib.clear()
    for name, value in (("viewBox", box or ""), ("role", "img"), ("aria-label", visible(alt))):
        root.set(name, value)
    return root


def _colours(entries: Sequence[Entry]) -> dict[str, int]:
    """A number for each system, the same in every figure."""
    systems = dict.fromkeys(e.system for e in entries if not e.baseline)
    return {system: i % len(_SERIES) for i, system in enumerate(systems)}


def _legend(systems: Iterable[str], colours: Mapping[str, int]) -> Element:
    items = []
    for system in systems:
        line = _e("line", x1=0, x2=34, y1=5, y2=5, stroke=f"var(--s{colours[system]})", stroke_width=2.5)
        if _DASHED[colours[system]]:
            line.set("stroke-dasharray", _DASHED[colours[system]])
        items.append(_e("li", _e("svg", line, viewBox="0 0 34 10", aria_hidden="true"), visible(system)))
    return _e("ul", *items, class_="legend", aria_label="Systems")


def _by_set(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        if not entry.baseline:
            groups.setdefault(entry.dataset, []).append(entry)
    return groups


# --- curves


def _curves(draw: _Draw, entries: Sequence[Entry], book: Book) -> Iterator[Element]:
    colours, value = _colours(entries), book.value
    for dataset, same in _by_set(entries).items():
        yield _e("h3", visible(dataset))
        yield _legend([e.system for e in same], colours)
        for level, of in (("frame", measures.scored), ("video", measures.videos)):
            data = {e.system: scored for e in same if (scored := of(e.plain)) is not None and scored.p.size}
            tips = {
                e.system: {m: _tip(f"{e.system}: {m.upper()} ", value(e, level, m)) for m in ("auc", "ap", "ece")}
                for e in same
            }
            if data:
                yield _e("div", *_four(draw, data, colours, tips, level), class_="figures")


def _four(
    draw: _Draw,
    data: Mapping[str, Scored],
    colours: Mapping[str, int],
    tips: Mapping[str, Mapping[str, str]],
    level: str,
) -> Iterator[Element]:
    at = {system: Weighted(Ranking.of(d.fake, d.p)) for system, d in data.items()}
    both = {system: w for system, w in at.items() if w.roc is not None}

    def named(measure: str) -> str:
        return "; ".join(tips[system][measure] for system in data)

    def roc(axes: Axes, tip: _Tips) -> None:
        axes.plot([0, 1], [0, 1], color=_MUTED, linewidth=0.8, linestyle=":")
        for system, w in both.items():
            assert w.roc is not None
            fpr, tpr = _thinned(*w.roc)
            tip.on(_plotted(axes, fpr, tpr, colours[system]), tips[system]["auc"])
        _labelled(axes, "false positive rate", "true positive rate")

    def precision_recall(axes: Axes, tip: _Tips) -> None:
        for system, w in both.items():
            axes.axhline(w.fakes / w.rows, color=_MUTED, linewidth=0.8, linestyle=":")
            at_each = w.tp[1:] / (w.tp[1:] + w.fp[1:])
            recall, precision = _thinned(w.tp / w.fakes, np.append(at_each[0], at_each))
            tip.on(_plotted(axes, recall, precision, colours[system], drawstyle="steps-pre"), tips[system]["ap"])
        _labelled(axes, "recall", "precision")

    def reliable(axes: Axes, tip: _Tips) -> None:
        axes.plot([0, 1], [0, 1], color=_MUTED, linewidth=0.8, linestyle=":")
        for system, d in data.items():
            points = measures.reliability(d.fake, d.p)
            tip.on(_plotted(axes, [p[0] for p in points], [p[1] for p in points], colours[system]), tips[system]["ece"])
            for mean, share, n in points:
                dot = axes.plot([mean], [share], "o", markersize=4, color=_SERIES[colours[system]])[0]
                tip.on(dot, f"{system}: mean score {mean:.3f}, share of fakes {share:.3f}, n = {n}")
        _labelled(axes, "mean score", "share of fakes")

    what = f"{level} level"
    if both:
        yield draw.figure("ROC,", what, f"ROC curves at {what}. {named('auc')}", roc)
        yield draw.figure(
            "Precision–recall,", what, f"Precision–recall curves at {what}. {named('ap')}", precision_recall
        )
    yield draw.figure("Reliability,", what, f"Reliability diagram at {what}. {named('ece')}", reliable)
    for system, d in data.items():
        real, fake = d.p[~d.fake], d.p[d.fake]
        alt = f"Histogram of {system}'s scores at {what}: {_quartiles('genuine', real)}; {_quartiles('fake', fake)}"
        yield draw.figure(f"Scores of {visible(system)},", what, alt, partial(_histogram, real=real, fake=fake))


def _histogram(axes: Axes, tip: _Tips, real: Any, fake: Any) -> None:
    for name, p, colour, dash, hatch in (("real", real, _REAL, "-", None), ("fake", fake, _FAKE, (0, (4, 1.5)), None)):
        if not p.size:
            continue
        share = np.histogram(p, _BINS)[0] / p.size
        patch = axes.stairs(
            share, _BINS, color=colour, linewidth=1.6, linestyle=dash, fill=False, label=f"{name} ({p.size})"
        )
        axes.stairs(share, _BINS, color=colour, alpha=0.16, fill=True, hatch=hatch)
        tip.on(patch, _quartiles(name, p))
    axes.legend(frameon=False, fontsize=8, loc="upper center", ncols=2, bbox_to_anchor=(0.5, 1.08), borderpad=0)
    axes.margins(y=0.14)
    axes.set(xlim=(0, 1), xlabel="score", ylabel="share of its label")


def _quartiles(name: str, p: Any) -> str:
    if not p.size:
        return f"no {name} rows"
    low, middle, high = np.percentile(p, [25, 50, 75])
    return f"{name}: quartiles {low:.3f}, {middle:.3f}, {high:.3f}, n = {p.size}"


def _plotted(axes: Axes, x: Any, y: Any, colour: int, **options: Any) -> Any:
    return axes.plot(x, y, color=_SERIES[colour], linestyle=_DASHES[colour], **options)[0]


def _labelled(axes: Axes, x: str, y: str) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x, ylabel=y)


def _thinned(x: Any, y: Any) -> tuple[Any, Any]:
    """A curve by at most so many of its points, evenly along its way."""
    if x.size <= _POINTS:
        return x, y
    way = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
    chosen = np.unique(np.append(np.searchsorted(way, np.linspace(0, way[-1], _POINTS - 1)), x.size - 1))
    return x[chosen], y[chosen]


# --- bars and curves over strengths


def _methods(draw: _Draw, entries: Sequence[Entry], book: Book) -> Iterator[Element]:
    colours, value = _colours(entries), book.value
    figures = []
    systems: dict[str, None] = {}
    for dataset, same in _by_set(entries).items():
        level = book.level(same[0])
        bars = [
            (method, e.system, value(e, level, "auc", method))
            for method in dict.fromkeys(m for e in same for m in book.methods.get((e.system, e.dataset), {}))
            for e in same
        ]
        if any(v.value is not None for _, _, v in bars):
            systems |= dict.fromkeys(e.system for e in same)
            figures.append(_bars(draw, f"{visible(dataset)}:", f"AUC by method, {level} level", bars, colours))
    if figures:
        yield _legend(systems, colours)
        yield _e("div", *figures, class_="figures broad")


def _perturbations(draw: _Draw, entries: Sequence[Entry], book: Book) -> Iterator[Element]:
    colours, value = _colours(entries), book.value
    for dataset, same in _by_set(entries).items():
        perturbed = [e for e in same if (e.system, e.dataset) in book.perturbations]
        if not perturbed:
            continue
        level = book.level(perturbed[0])
        names = dict.fromkeys(n for e in perturbed for n in book.perturbations[e.system, e.dataset])
        yield _e("h3", visible(dataset))
        yield _legend([e.system for e in perturbed], colours)
        curves, bars = [], []
        for name in names:
            at = {
                e.system: [(0, value(e, level, "auc"))]
                + [(s, v) for s in perturb.STRENGTHS if (v := value(e, level, "auc", "", name, s)).value is not None]
                for e in perturbed
            }
            at = {system: points for system, points in at.items() if len(points) > 1 and points[0][1].value is not None}
            if at:
                curves.append(_strengths(draw, name, level, at, colours))
                bars += [(name, system, points[-1][1]) for system, points in at.items()]
        if bars:
            note = f"AUC at the greatest strength, {level} level"
            yield _e("div", _bars(draw, "All perturbations:", note, bars, colours), class_="figures broad")
        yield _e("div", *curves, class_="figures")


def _strengths(
    draw: _Draw, name: str, level: str, at: Mapping[str, list[tuple[int, Value]]], colours: Mapping[str, int]
) -> Element:
    unit, numbers = (
        (perturb.CROP_SHIFT if name == "crop_shift" else perturb.PIXELS[name][:2])
        if name in perturb.NAMES
        else ("strength", (1, 2, 3, 4, 5))
    )

    def paint(axes: Axes, tips: _Tips) -> None:
        lowest = 0.5
        for system, points in at.items():
            known = [(s, v, v.value) for s, v in points if v.value is not None]
            x, ys = [s for s, _, _ in known], [y for _, _, y in known]
            low = [y if v.low is None else v.low for _, v, y in known]
            high = [y if v.high is None else v.high for _, v, y in known]
            lowest = min(lowest, *low)
            axes.fill_between(x, low, high, color=_SERIES[colours[system]], alpha=0.15, linewidth=0)
            _plotted(axes, x, ys, colours[system])
            for s, v, y in known:
                dot = axes.plot([s], [y], "o", markersize=4.5, color=_SERIES[colours[system]])[0]
                tips.on(dot, _tip(f"{system}, {name} {numbers[s - 1]:g}: AUC " if s else f"{system}, none: AUC ", v))
        axes.axhline(0.5, color=_MUTED, linewidth=0.8, linestyle=":")
        axes.set(xlim=(-0.2, 5.2), ylim=(max(0.0, lowest - 0.03), 1.02), xlabel=unit, ylabel="AUC")
        axes.set_xticks(range(6), ["none", *(f"{n:g}" for n in numbers)])

    alt = f"AUC under {name} at {level} level. " + "; ".join(
        f"{system}: " + ", ".join(f"{v.value:.3f} at strength {s}" for s, v in points if v.value is not None)
        for system, points in at.items()
    )
    return draw.figure(f"{visible(name)},", f"{level} level", alt, paint)


def _bars(
    draw: _Draw, caption: str, note: str, bars: Sequence[tuple[str, str, Value]], colours: Mapping[str, int]
) -> Element:
    """A bar for each (name, system), grouped by name, with its interval; chance is dotted."""
    names = list(dict.fromkeys(name for name, _, _ in bars))
    systems = list(dict.fromkeys(system for _, system, _ in bars))
    high = 0.8 / len(systems)

    def paint(axes: Axes, tips: _Tips) -> None:
        for name, system, v in bars:
            y = names.index(name) + (systems.index(system) - (len(systems) - 1) / 2) * high
            if v.value is None:
                axes.text(0.01, y, "—", va="center", color=_MUTED)
                continue
            bar = axes.barh(y, v.value, high * 0.86, color=_SERIES[colours[system]], alpha=0.75)[0]
            tips.on(bar, _tip(f"{system}, {name}: AUC ", v))
            if v.low is not None and v.high is not None:
                axes.plot([v.low, v.high], [y, y], color=_INK, linewidth=1.2)
        axes.axvline(0.5, color=_MUTED, linewidth=0.8, linestyle=":")
        axes.set(xlim=(0, 1), ylim=(len(names) - 0.5, -0.5), xlabel="AUC")
        axes.set_yticks(range(len(names)), [_short(name) for name in names])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)

    alt = f"{caption} {note}. " + "; ".join(_tip(f"{system}, {name}: ", v) for name, system, v in bars)
    size = (5.4, 0.75 + len(names) * max(0.3, 0.17 * len(systems)))
    return draw.figure(caption, note, alt, paint, size, 0.2 + 0.068 * max(len(_short(name)) for name in names))


def _short(name: str) -> str:
    shown = visible(name)
    return shown if len(shown) <= 28 else f"{shown[:27]}…"


# --- worst mistakes


def _mistakes(entries: Sequence[Entry]) -> Iterator[Element]:
    for entry in entries:
        if entry.run is None or not entry.whole:
            continue
        rows = _worst(entry)
        if not rows:
            continue
        yield _e("h3", f"Worst mistakes of {visible(entry.system)} on {visible(entry.dataset)}")
        yield _e("p", "The most wrong of the pictures that the run kept, with their scores.", class_="about")
        for label, meaning in (("real", "genuine, but scored high"), ("fake", "fake, but scored low")):
            items = [_mistake(row, meaning) for row in rows if row["label"] == label]
            if items:
                yield _e("h4", meaning.capitalize())
                yield _e("ul", *items, class_="mistakes")


def _mistake(row: Mapping[str, Any], meaning: str) -> Element:
    name = visible(row["file"].rsplit("/", 1)[-1]) + ("" if row["frame"] is None else f", frame {row['frame']}")
    method = "" if row["label"] == "real" or not row["method"] else f"{visible(row['method'])}: "
    kind = "png" if row["thumbnail"].startswith(b"\x89PNG") else "jpeg"
    source = f"data:image/{kind};base64,{base64.b64encode(row['thumbnail']).decode('ascii')}"
    picture = _e("img", src=source, alt=f"{meaning}: {name}", loading="lazy")
    return _e("li", picture, _e("strong", f"{row['p']:.3f}"), method + name, title=visible(row["file"]))


def _worst(entry: Entry) -> list[dict[str, Any]]:
    """The rows with a picture that are most wrong, genuine ones first."""
    if entry.run is None:
        return []  # a peer's scores come without pictures
    table = ds.dataset(entry.run / "predictions.parquet").to_table(
        columns=["file", "frame", "label", "method", "score", "fake", "perturbation", "thumbnail"],
        filter=pc.field("thumbnail").is_valid() & (pc.field("perturbation") == "none"),
    )
    p = pc.coalesce(table.column("fake"), table.column("score")).to_numpy(zero_copy_only=False).astype(np.float64)
    worst_rows = []
    for label in ("real", "fake"):
        at = np.flatnonzero(pc.equal(table.column("label"), label).to_numpy(zero_copy_only=False))
        off = p[at] if label == "real" else 1 - p[at]
        worst = at[np.argsort(-off, kind="stable")][:WORST]
        worst = worst[np.nan_to_num(p[worst] if label == "real" else 1 - p[worst]) >= 0.5]
        rows = table.take(worst).to_pylist()
        worst_rows += [row | {"p": float(p[i])} for row, i in zip(rows, worst, strict=True)]
    return worst_rows
