"""A person's scores over time as a drawing to hover and step through, and the frames that say most, as a strip.

Each judged moment is a point with its time, probability and quality; the strip below holds the frames with the highest
probabilities and the lowest, with their masks. All moments, of a long film MOST of them, follow as small frames below a
heading to open: each point links to its frame, so that the film can be gone through by clicks or by the keyboard.
Nothing here needs script; a page's own script finds each moment's time in `data-seconds`.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np
from PIL import Image

from facewitness.formats import heat
from facewitness.markup import element as _e
from facewitness.overtime import clock, digits, share, stretches
from facewitness.phrases import limits_of, percent
from facewitness.types import Box, Clip, Face, FrameRef, Moment, PersonReport

_WIDE, _HIGH, _LOW = 1000.0, 180.0, 226.0  # of the drawing: where time ends, where 0 % is, where it ends
_LEFT = 84.0  # where the drawing begins, beside its scale
WORST, BEST = 4, 2  # frames in the strip
MOST = 64  # small frames of one person
_ALIKE = 0.25  # of the probability: so far may the moments of a kind differ
_SIDE, _SMALL = 220, 112  # pixels of a frame there


def section(number: int, person: PersonReport, clip: Clip | None) -> Element | None:
    """Timeline and strip of one person; None for a photo, and where no moment was judged."""
    scored = [moment for moment in person.timeline if moment.fake is not None and moment.at.seconds is not None]
    if len(scored) < 2:
        return None
    chosen = _chosen(scored) if clip is not None else []
    rest = _rest(scored, chosen) if clip is not None else []
    fine = digits([moment.at.seconds for moment in scored])
    return _e(
        "section",
        _e("h3", "Over time"),
        _e(
            "div",
            _drawing(number, person, scored, {moment.at.index for moment in (*chosen, *rest)}, fine),
            class_="scroll",
        ),
        _e("p", _key(person), class_="key"),
        _e("div", *(_shot(number, person, moment, clip, fine) for moment in chosen), class_="strip")
        if clip and chosen
        else None,
        _e(
            "details",
            _e("summary", f"{len(rest)} more of the {len(scored)} moments that were judged"),
            _e("div", *(_shot(number, person, moment, clip, fine, _SMALL) for moment in rest), class_="strip small"),
        )
        if clip and rest
        else None,
        class_="timeline",
    )


def _key(person: PersonReport) -> str:
    threshold, limits = person.verdict.thresholds, limits_of(person.verdict)
    parts = stretches(person.timeline, threshold[1]) if threshold else ()
    words = "Probability of forgery at each judged moment; below it the quality of the face there."
    if limits:
        words += f" Dashed: the thresholds of this verdict, {limits[0]} and {limits[1]}."
    if parts:
        when = ", ".join(part.words for part in parts)
        words += f" Shaded: it looks forged, {percent(share(person.timeline, parts))} of the time judged: {when}."
    return words


def _chosen(scored: Sequence[Moment]) -> list[Moment]:
    """The moments for the strip, in the order of time; apart from each other, since neighbours show the same."""
    ranked = sorted(scored, key=lambda moment: -(moment.fake or 0.0))
    apart = (_second(scored[-1]) - _second(scored[0])) / (2 * (WORST + BEST))

    def spread(moments: Sequence[Moment], count: int) -> list[Moment]:
        if not moments:
            return []
        alike = [m for m in moments if abs((m.fake or 0.0) - (moments[0].fake or 0.0)) < _ALIKE]
        picked: list[Moment] = []
        for among, gap in ((alike, apart), (alike, apart / 4), (moments, 0.0)):  # closer only where it has to be
            for moment in among:
                far = all(abs(_second(moment) - _second(other)) >= gap for other in picked)
                if len(picked) < count and far and moment not in picked:
                    picked.append(moment)
        return picked

    worst = spread(ranked, WORST)
    best = spread([moment for moment in reversed(ranked) if moment not in worst], BEST)
    return sorted((*worst, *best), key=lambda moment: moment.at.index)


def _second(moment: Moment) -> float:
    return moment.at.seconds or 0.0


def _rest(scored: Sequence[Moment], chosen: Sequence[Moment]) -> list[Moment]:
    """The other moments, at most MOST of them, evenly."""
    others = [moment for moment in scored if moment not in chosen]
    if not others:
        return []
    places = np.linspace(0, len(others) - 1, min(MOST, len(others))).round().astype(int)
    return [others[int(place)] for place in places]


def _drawing(number: int, person: PersonReport, scored: Sequence[Moment], shown: set[int], fine: int) -> Element:
    seconds = [moment.at.seconds or 0.0 for moment in scored]
    start, length = seconds[0], max(seconds[-1] - seconds[0], 1e-6)

    def x(second: float) -> float:
        return round(_LEFT + 20 + (_WIDE - _LEFT - 40) * (second - start) / length, 1)

    def y(score: float) -> float:
        return round(10 + (_HIGH - 10) * (1 - score), 1)

    marks: list[Element] = [_e("rect", x=_LEFT, y=10, width=_WIDE - _LEFT, height=_HIGH - 10, class_="ground")]
    if person.verdict.thresholds is not None:
        for part in stretches(person.timeline, person.verdict.thresholds[1]):
            left, right = x(part.start), x(part.end)
            title = _e("title", f"{part.words}: looks forged, {percent(part.fake)}")
            marks.append(
                _e("rect", title, x=left - 4, y=10, width=right - left + 8, height=_HIGH - 10, class_="stretch")
            )
        marks += [
            _e("line", x1=_LEFT, x2=_WIDE, y1=y(bound), y2=y(bound), class_="bound")
            for bound in person.verdict.thresholds
        ]
    if person.verdict.interval is not None and not person.verdict.is_unjudged:
        low, high = person.verdict.interval
        title = _e("title", f"The 95 % interval of the whole: {percent(low)} to {percent(high)}")
        marks.append(
            _e("rect", title, x=_WIDE - 10, y=y(high), width=8, height=max(2.0, y(low) - y(high)), class_="whole")
        )
    gap = 3 * float(np.median(np.diff(seconds)))
    points = ""
    for i, moment in enumerate(scored):
        step = "L" if i and seconds[i] - seconds[i - 1] <= gap else "M"
        points += f"{step}{x(seconds[i])} {y(moment.fake or 0.0)} "
    marks.append(_e("path", d=points.strip(), class_="line"))
    quality = {face.at.index: face.quality.score for face in person.track.faces}
    wide = max(3.0, (_WIDE - _LEFT - 40) / len(scored) - 1)
    for moment, second in zip(scored, seconds, strict=True):
        score = quality.get(moment.at.index)
        if score is not None:
            marks.append(
                _e("rect", x=x(second) - wide / 2, y=_HIGH + 6, width=wide, height=8, fill_opacity=f"{score:.2f}",
                   class_="worth")
            )  # fmt: skip
        marks.append(_point(number, moment, x(second), y(moment.fake or 0.0), score, moment.at.index in shown, fine))
    for second, anchor in ((seconds[0], "start"), (start + length / 2, "middle"), (seconds[-1], "end")):
        marks.append(_e("text", clock(second, fine), x=x(second), y=_LOW + 8, text_anchor=anchor))
    marks += [_e("text", words, x=_LEFT - 8, y=at, text_anchor="end") for words, at in (("100 %", 26), ("0 %", _HIGH))]
    worst = max(scored, key=lambda moment: moment.fake or 0.0)
    label = (
        f"Probability of forgery of person {number} from {clock(seconds[0], fine)} to {clock(seconds[-1], fine)}, "
        f"at most {percent(worst.fake or 0.0)} at {clock(worst.at.seconds or 0.0, fine)}."
    )
    return _e(
        "svg", *marks, viewBox=f"0 0 {_WIDE:.0f} {_LOW + 20:.0f}", role="group", aria_label=label, class_="series"
    )


def _point(number: int, moment: Moment, x: float, y: float, quality: float | None, linked: bool, fine: int) -> Element:
    words = f"{clock(moment.at.seconds or 0.0, fine)}: {percent(moment.fake or 0.0)} fake"
    if quality is not None:
        words += f", quality {quality:.2f}"
    dot = _e("circle", _e("title", words), cx=x, cy=y, r=6 if linked else 4, class_="dot")
    if not linked:
        return _e("g", dot, tabindex=0, role="img", aria_label=words, data_seconds=f"{moment.at.seconds:.3f}")
    where = f"#moment-{number}-{moment.at.index}"
    return _e("a", dot, href=where, aria_label=words, data_seconds=f"{moment.at.seconds:.3f}")


def _shot(number: int, person: PersonReport, moment: Moment, clip: Clip, fine: int, side: int = _SIDE) -> Element:
    """One frame of the strip: the face with its mask, its time and probability."""
    face = next((face for face in person.track.faces if face.at.index == moment.at.index), person.face)
    frame = clip.at(moment.at)
    left, top, right, bottom = _around(face, moment.at)
    picture = Image.fromarray(np.ascontiguousarray(frame.pixels[top:bottom, left:right]))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    parts = [_e("image", href=_uri(picture, "JPEG"), x=left, y=top, width=right - left, height=bottom - top)]
    if moment.mask is not None:
        x1, y1, x2, y2 = moment.mask.box
        over = Image.fromarray(heat(moment.mask.values))
        parts.append(
            _e("image", href=_uri(over, "PNG"), x=x1, y=y1, width=x2 - x1, height=y2 - y1, preserveAspectRatio="none",
               class_="heat")
        )  # fmt: skip
    words = f"{clock(moment.at.seconds or 0.0, fine)}, {percent(moment.fake or 0.0)}"
    drawing = _e("svg", *parts, viewBox=f"{left} {top} {right - left} {bottom - top}", role="img", aria_label=words)
    caption = _e("figcaption", words, _e("span", f" frame {moment.at.index}", class_="quiet"))
    bounds = person.verdict.thresholds
    high = bounds is not None and (moment.fake or 0.0) >= bounds[1]
    where = f"moment-{number}-{moment.at.index}"
    return _e(
        "figure",
        drawing,
        caption,
        id=where,
        class_="shot high" if high else "shot",
        data_seconds=f"{_second(moment):.3f}",
    )


def _around(face: Face, at: FrameRef) -> tuple[int, int, int, int]:
    """The square around a face, with a quarter of its size on each side, inside the frame."""
    box: Box = face.box
    half = 0.75 * max(box[2] - box[0], box[3] - box[1])
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    left, top = max(0, int(x - half)), max(0, int(y - half))
    return left, top, max(left + 1, min(at.width, int(x + half) + 1)), max(top + 1, min(at.height, int(y + half) + 1))


def _uri(picture: Image.Image, kind: str) -> str:
    out = io.BytesIO()
    picture.save(out, kind, **({"quality": 88} if kind == "JPEG" else {}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(out.getvalue()).decode('ascii')}"
