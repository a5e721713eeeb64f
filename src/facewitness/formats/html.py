"""One page that shows the verdict, where it comes from, and how to check it: a single file that needs nothing else.

The page is built as a tree of elements (`xml.etree`), never as pasted strings, so a file name or a message can't become
markup. Its own policy (CSP) forbids every request and every script or style but the two inlined here, by their hash.
Every place is drawn in the coordinates of the original picture. A sentence, the place it speaks of and its row among
the findings carry the same `data-finding`; `html.js` lights all of them together. Without script the page still reads.
"""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
from collections.abc import Iterable, Iterator
from importlib.resources import files
from xml.etree.ElementTree import Element

import numpy as np
from PIL import Image

from facewitness.formats import (
    HEAT,
    LIMITS,
    _outline,
    _record,
    _timeline,
    again,
    band,
    called,
    cases,
    dimensions,
    examined,
    face_at,
    film_frame,
    fits,
    heat,
    lines,
    mark,
    mask_at,
    measured,
    provenance,
    seen_at,
    stands,
    why_it_won,
    worth,
)
from facewitness.geometry import intersection
from facewitness.markup import document
from facewitness.markup import element as _e
from facewitness.overtime import seen
from facewitness.phrases import (
    KIND_WORDS,
    headline,
    is_film,
    limits_of,
    measured_in_words,
    odds,
    percent,
    places_of,
    someone,
    strength_in_words,
    visible,
    word,
)
from facewitness.types import (
    KINDS,
    Box,
    Clip,
    Finding,
    Mark,
    Mask,
    PersonReport,
    Pixels,
    Quality,
    Reply,
    Report,
    Testimony,
    Verdict,
)

extension = "html"
LONGEST = (
    1600  # pixels of the longer side of the embedded picture; larger pictures are scaled down, and the page says so
)
CLOSE_UP = 560  # the same for one face
JPEG_QUALITY = 92  # without chroma subsampling: high enough that the page adds no traces an eye could take for forgery
FAINT = 0.05  # a mask that nowhere reaches this shows nothing, and gets no switch


def render(report: Report, clip: Clip | None = None, *, date: str | None = None) -> bytes:
    """One self-contained HTML page in UTF-8.

    Args:
        report: what is shown.
        clip: the picture; without it (a report parsed from JSON) only places are drawn.
        date: when it was analysed, in words; without it the same report gives the same bytes.
    """
    here = files(__package__)
    style = (here / "html.css").read_text(encoding="utf-8")
    script = (here / "html.js").read_text(encoding="utf-8")
    _, large, _ = headline(report)
    page = _e(
        "html",
        _e(
            "head",
            _e("meta", charset="utf-8"),
            _e("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
            _e("meta", name="viewport", content="width=device-width, initial-scale=1"),
            _e("meta", name="color-scheme", content="light dark"),
            _e("meta", name="referrer", content="no-referrer"),
            _e("meta", name="robots", content="noindex"),
            _e("title", f"{large}: {called(report)} (facewitness)"),
            _e("style", style),
        ),
        _e(
            "body",
            _symbols(),
            _e("header", *_ruling(report), class_=f"ruling {_tone(report)}"),
            _e("main", _problems(report), _inspections(report), _examination(report, clip), *_record_of(report)),
            _e("footer", _reading(report), _making(report, date)),
            _e("script", script),
        ),
        lang="en",
    )
    return document(page).encode("utf-8")


# ---------------------------------------------------------------- what the page may load


def _policy(style: str, script: str) -> str:
    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; img-src data:; style-src {digest(style)}; script-src {digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _data_uri(image: Image.Image, kind: str) -> str:
    file = io.BytesIO()
    if kind == "jpeg":
        image.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    else:
        image.save(file, "PNG")
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _photograph(pixels: Pixels, longest: int) -> tuple[str, tuple[int, int]]:
    """The picture as a JPEG data URI, scaled down (never up) to `longest`, and the size it came out with."""
    image = Image.fromarray(pixels)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return _data_uri(image, "jpeg"), image.size


# ---------------------------------------------------------------- the top: what was decided


def _tone(report: Report) -> str:
    return headline(report)[0]


def _symbols() -> Element:
    """The shapes that say a label without colour, and the hatching of the inconclusive band."""
    shapes = {
        "fake": [_e("path", d="M12 2 23 21H1Z"), _e("path", d="M12 9v6m0 2.2v.6", class_="hole")],
        "real": [_e("circle", cx=12, cy=12, r=10), _e("circle", cx=12, cy=12, r=4, class_="hole fill")],
        "inconclusive": [_e("path", d="M12 1 23 12 12 23 1 12Z", class_="line"), _e("path", d="M12 1V23L1 12Z")],
        "no_face": [_e("circle", cx=12, cy=12, r=9.5, class_="line dashed")],
        "failed": [_e("path", d="M4 4 20 20M20 4 4 20", class_="line")],
    }
    hatch = _e(
        "pattern",
        _e("path", d="M-2 2 2 -2M0 8 8 0M6 10 10 6", class_="hatching"),
        id="hatch",
        width=8,
        height=8,
        patternUnits="userSpaceOnUse",
    )
    return _e(
        "svg",
        _e("defs", hatch, _gradient()),
        *(_e("symbol", *parts, id=f"shape-{label}", viewBox="0 0 24 24") for label, parts in shapes.items()),
        class_="definitions",
        width=0,
        height=0,
        aria_hidden="true",
    )


def _gradient() -> Element:
    stops = [
        _e("stop", offset=f"{100 * i / (len(HEAT) - 1):.0f}%", stop_color=f"rgb({r},{g},{b})")
        for i, (r, g, b) in enumerate(HEAT)
    ]
    return _e("linearGradient", *stops, id="heat-scale")


def _shape(label: str) -> Element:
    return _e("svg", _e("use", href=f"#shape-{label}"), class_="shape", viewBox="0 0 24 24", aria_hidden="true")


def _ruling(report: Report) -> Iterable[Element | None]:
    key, large, meaning = headline(report)
    verdict = report.verdict
    facts = dimensions(report)
    yield _e("p", "facewitness", _e("span", " examination report", class_="quiet"), class_="wordmark")
    yield _e("p", _e("bdi", called(report), class_="filename"), *(_e("span", fact, class_="fact") for fact in facts))
    yield _e(
        "h1",
        _shape(key),
        _e("span", large, class_="large"),
        " " if report.problems and report.status != "failed" else None,
        _e("span", "incomplete", class_="incomplete") if report.problems and report.status != "failed" else None,
    )
    if verdict is not None:
        if verdict.fake is not None or verdict.is_unjudged:
            yield _e("p", odds(verdict), class_="chance")
        thresholds = band(verdict)
        yield _bar(verdict, thresholds)
        if verdict.fake is not None and not verdict.is_unjudged:
            key = "Probability of forgery, with its 95 % interval" if verdict.interval else "Probability of forgery"
            key += "; hatched: inconclusive" if thresholds else ""
            yield _e("p", f"{key}.", class_="key")
    yield _e("p", meaning, class_="meaning")
    yield _reasons(verdict.reasons if verdict else ())
    yield _reasons(report.notes)


def _reasons(reasons: tuple[str, ...]) -> Element | None:
    return _e("ul", *(_e("li", visible(reason)) for reason in reasons), class_="reasons") if reasons else None


def _bar(verdict: Verdict, thresholds: tuple[float, float] | None) -> Element | None:
    """The probability on a line from 0 to 100 % with its interval, and the inconclusive band where it is known."""
    if verdict.fake is None or verdict.is_unjudged:
        return None

    def span(low: float, high: float, **attributes: object) -> Element:
        return _e("rect", x=f"{100 * low:.2f}%", width=f"{100 * (high - low):.2f}%", **attributes)

    words = f"Probability on a scale from 0 to 100 %: {odds(verdict)}."
    marks = [span(0, 1, y=25, height=8, rx=4, class_="track")]
    ticks = [(0.0, 54, "0 %", "start"), (1.0, 54, "100 %", "end")]
    if thresholds is not None:
        marks += [
            span(*thresholds, y=18, height=22, class_="band"),
            span(*thresholds, y=18, height=22, class_="hatched", fill="url(#hatch)"),
        ]
        below, above = limits_of(verdict) or ("", "")
        words += f" Inconclusive from {below} to {above}."
        low, high = thresholds
        if high - low < 0.3:  # the two would run into each other
            ticks.append((low, 10, f"inconclusive {below[:-2]}–{above}", _anchor((low + high) / 2)))
        else:
            at = low if low < 0.2 else 0.0  # from the left edge, so that a narrow page does not cut it
            ticks += [(at, 10, f"no sign below {below}", "start")]
            ticks += [(high, 10, f"fake from {above}", "start" if high < 0.8 else "end")]
    if verdict.interval is not None:
        marks.append(span(*verdict.interval, y=25, height=8, rx=4, class_="interval"))
    marks.append(_e("circle", cx=f"{100 * verdict.fake:.2f}%", cy=29, r=7, class_="point"))
    marks += [_e("text", text, x=f"{100 * at:.2f}%", y=y, text_anchor=anchor) for at, y, text, anchor in ticks]
    return _e("svg", *marks, width="100%", height=58, role="img", aria_label=words, class_="bar")


def _anchor(at: float) -> str:
    """Which end of a text stands at a point of the scale, so that the text stays on it."""
    return "start" if at < 0.2 else "end" if at > 0.8 else "middle"


def _problems(report: Report) -> Element | None:
    if not report.problems:
        return None
    count = len(report.problems)
    what = "One step failed" if count == 1 else f"{count} steps failed"
    rest = "" if report.status == "failed" else ". What follows is incomplete"
    items = (_e("li", _e("strong", visible(p.step)), ": ", visible(p.message)) for p in report.problems)
    return _e("section", _e("h2", f"{what}{rest}."), _e("ul", *items), class_="problems", role="alert")


# ---------------------------------------------------------------- the middle: the picture beside its faces


def _examination(report: Report, clip: Clip | None) -> Element | None:
    picture = _picture(report, clip)
    faces = [_card(number, person, report, clip) for number, person in enumerate(report.people, start=1)]
    if not faces:
        return _e("div", picture, class_="alone") if picture is not None else None
    several = "several" if len(faces) > 1 else "one"
    return _e("div", picture, _overview(report), _e("div", *faces, class_="faces"), class_=f"examination {several}")


def _overview(report: Report) -> Element | None:
    """The people of a picture in one table, in the order of their numbers."""
    if len(report.people) < 2:
        return None
    rows = [
        _e(
            "tr",
            _e("th", _e("span", str(number), class_="letter"), scope="row"),
            _e("td", _shape(person.verdict.label), word(person.verdict.label), class_="label-cell"),
            _e("td", "" if person.verdict.fake is None else odds(person.verdict)),
            _e("td", ", ".join(map(places_of, person.findings)) or "no place named"),
            class_=f"person {person.verdict.label}",
        )
        for number, person in enumerate(report.people, start=1)
    ]
    film = is_film(report)
    heads = (someone(film).capitalize(), "Answer", "Probability", "Places")
    head = _e("tr", *(_e("th", name, scope="col") for name in heads))
    table = _e("table", _e("thead", head), _e("tbody", *rows))
    title = someone(film, 2).capitalize()
    return _e("section", _e("h2", title), _e("div", table, class_="wide"), class_="overview")


def _picture(report: Report, clip: Clip | None) -> Element | None:
    """The whole picture with every mask, box and finding drawn over it, and its switches."""
    film = film_frame(report)
    if clip is not None:
        frame = clip.frame if film is None else clip.at(film)
        width, height = frame.width, frame.height
        source, shown = _photograph(frame.pixels, LONGEST)
        ground = _e("image", href=source, x=0, y=0, width=width, height=height)
        note = examined(report, film)
        if shown != (width, height):
            note += f", scaled from {width} × {height} to {shown[0]} × {shown[1]} pixels for this page"
        note += f"; shown as JPEG, quality {JPEG_QUALITY}. Judge fine traces on the file itself."
    elif report.size is not None and report.people:
        width, height = report.size if film is None else (film.width, film.height)
        ground = _e("rect", x=0, y=0, width=width, height=height, class_="blank")
        note = "The picture itself is not part of this report; only the places are drawn."
    else:
        return None
    heats: list[Element] = []
    boxes: list[Element] = []
    places: list[Element] = []
    elsewhere: list[Element] = []  # masks of people who are best seen in another frame of a film
    marked: list[tuple[int, PersonReport, Box]] = []
    for number, person in enumerate(report.people, start=1):
        here = film is None or person.face.at.index == film.index
        if person.mask is not None and person.mask.values.max() >= FAINT:
            (heats if here else elsewhere).append(_heat(person.mask, f"heat-{number}"))
        then = None if here else mask_at(person, film)
        if then is not None and then.values.max() >= FAINT:
            heats.append(_heat(then, f"heat-{number}-then"))
        face = face_at(person, film)
        if face is not None:
            boxes.append(_face_box(person, face.box))
            marked.append((number, person, face.box))
        places += [_place(number, index, finding, person) for index, finding in seen_at(person, film)]
    drawing = _e(
        "svg",
        ground,
        _e("defs", *elsewhere) if elsewhere else None,
        _e("g", *heats, class_="heat"),
        _e("g", *boxes, *_numbers(marked, width, height), class_="boxes", aria_hidden="true"),
        _e("g", *places, class_="places"),
        viewBox=f"0 0 {width} {height}",
        role="group",
        aria_label="The picture with the faces and findings",
        class_="drawing",
    )
    controls = _controls(bool(heats)) if report.people else None
    return _e("figure", _e("div", drawing, class_="frame"), controls, _e("figcaption", note), class_="picture")


def _controls(masks: bool) -> Element:
    switches = [
        _e("label", _e("input", type="checkbox", id="show-places", checked="checked"), "Faces and findings"),
    ]
    if masks:
        switches = [
            _e("label", _e("input", type="checkbox", id="show-heat"), "Suspected alteration"),
            _e("label", "Strength", _e("input", type="range", id="fade", min=0, max=100, value=70), class_="fade"),
            *switches,
        ]
        scale = _e(
            "svg", _e("rect", width="100%", height=10, rx=2, fill="url(#heat-scale)"), height=10, aria_hidden="true"
        )
        switches.append(
            _e("span", "low", scale, "high", class_="heat-key", role="img", aria_label="Colours: low to high")
        )
    return _e("div", *switches, class_="controls", role="group", aria_label="What the picture shows")


def _heat(mask: Mask, identity: str) -> Element:
    """A mask as a coloured, half transparent image stretched over its box."""
    x1, y1, x2, y2 = mask.box
    return _e(
        "image",
        id=identity,
        href=_data_uri(Image.fromarray(heat(mask.values)), "png"),
        x=x1,
        y=y1,
        width=x2 - x1,
        height=y2 - y1,
        preserveAspectRatio="none",
    )


def _face_box(person: PersonReport, box: Box) -> Element:
    x1, y1, x2, y2 = box
    return _e(
        "g",
        _e("rect", x=x1, y=y1, width=x2 - x1, height=y2 - y1, class_="halo"),
        _e("rect", x=x1, y=y1, width=x2 - x1, height=y2 - y1, class_="edge"),
        class_=f"face-box {person.verdict.label}",
    )


def _numbers(marked: list[tuple[int, PersonReport, Box]], width: int, height: int) -> Iterator[Element]:
    """The number of each face on a plate that covers no face: above its box, below it or beside it.

    Of the places inside the picture the one that covers least of all faces and of the plates before is taken.
    """
    tag = max(width, height) / 36  # height of a figure, in pixels of the picture
    tall = 1.25 * tag
    taken: list[Box] = [box for _, _, box in marked]
    for number, person, (x1, y1, x2, y2) in marked:
        text = str(number)
        wide = tag * (0.9 + 0.62 * len(text))
        corners = ((x1, y1 - tall), (x2 - wide, y1 - tall), (x1, y2), (x1 - wide, y1), (x2, y1), (x2 - wide, y2))
        plates = [
            (x, y, x + wide, y + tall)
            for x, y in (
                (min(max(x, 0.0), max(0.0, width - wide)), min(max(y, 0.0), max(0.0, height - tall)))
                for x, y in corners
            )
        ]
        plate = min(plates, key=lambda plate: sum(intersection(plate, box) for box in taken))
        taken.append(plate)
        left, top = plate[:2]
        yield _e(
            "g",
            _e("rect", x=left, y=top, width=wide, height=tall, class_="tag"),
            _e("text", text, x=left + wide / 2, y=top + 0.96 * tag, font_size=tag, text_anchor="middle"),
            class_=f"face-box {person.verdict.label}",
        )


def _identity(number: int, index: int) -> str:
    return f"{number}{mark(index)}"


def _place(number: int, index: int, finding: Finding, person: PersonReport) -> Element:
    """Where a finding is: the outline of its mask, or its box. Can be pointed at, focused and pressed."""
    return _e(
        "g",
        *_edges(finding),
        class_="place",
        data_finding=_identity(number, index),
        tabindex=0,
        role="button",
        aria_pressed="false",
        aria_label=f"{_called(person).capitalize()} {number}, finding {mark(index)}: {places_of(finding)}, "
        + strength_in_words(finding.strength),
    )


def _edges(finding: Finding) -> list[Element]:
    """The lines around a finding's places on the frame to look at first."""
    lines = _lines_around(finding)
    return [_e("path", d=lines, class_="halo"), _e("path", d=lines, class_="edge")]


def _lines_around(finding: Finding) -> str:
    """A path around each of its places: a mask's outline, or the box where there is none."""
    shapes = []
    for place in finding.here:
        shape = _trace(place.mask) if place.mask is not None else ""
        x1, y1, x2, y2 = place.box
        shapes.append(shape or f"M{x1:.1f} {y1:.1f}H{x2:.1f}V{y2:.1f}H{x1:.1f}Z")
    return "".join(shapes)


def _trace(mask: Mask) -> str:
    """A mask's outline as an SVG path in the picture's coordinates; "" for an empty mask."""
    return "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in ring) + "Z" for ring in _outline.rings(mask))


# ---------------------------------------------------------------- a face's card


def _card(number: int, person: PersonReport, report: Report, clip: Clip | None) -> Element:
    verdict = person.verdict
    # A single face's verdict is the picture's, and stands above already.
    alone = len(report.people) == 1 and report.verdict is not None and report.verdict.reasons == verdict.reasons
    return _e(
        "article",
        _e(
            "header",
            _e("h2", f"{_called(person).capitalize()} {number}"),
            _e("p", seen(person.track), class_="when") if person.timeline else None,
            _e("p", _shape(verdict.label), _e("strong", word(verdict.label)), class_="label"),
            _e("p", odds(verdict), class_="chance"),
        ),
        None if alone else _bar(verdict, band(verdict)),
        None if alone else _reasons(verdict.reasons),
        _timeline.section(number, person, clip),
        _e("div", _close_up(number, person, clip), _explanation(number, person), class_="evidence"),
        *_words([t for t in verdict.testimonies if not cases(t)], person),
        *_cases(verdict.testimonies),
        _findings(number, person),
        _e("div", _kind(person), _quality(person), class_="facts")
        if person.kind or person.face.quality != Quality()
        else None,
        _testimonies(verdict),
        class_=f"card {verdict.label}",
        id=f"face-{number}",
    )


def _called(person: PersonReport) -> str:
    """ "person" in a film, "face" on a photo."""
    return someone(person.face.at.seconds is not None)


def _close_up(number: int, person: PersonReport, clip: Clip | None) -> Element | None:
    """The face by itself, cut from the original pixels, with its findings lettered."""
    cut = None if clip is None else _outline.close_up(person, clip)
    if cut is None:
        return None
    crop, (left, top, right, bottom) = cut
    source, _ = _photograph(crop, CLOSE_UP)
    width, height = right - left, bottom - top
    letters = max(width, height) / 17
    places = []
    seen = seen_at(person, person.face.at if person.timeline else None)
    spots = _apart([_centre(finding) for _, finding in seen], 1.6 * letters)
    for (index, finding), (x, y) in zip(seen, spots, strict=True):
        badge = [
            _e("circle", cx=x, cy=y, r=0.72 * letters),
            _e("text", mark(index), x=x, y=y + 0.33 * letters, font_size=letters, text_anchor="middle"),
        ]
        parts = [*_edges(finding), _e("g", *badge, class_="badge")]
        places.append(_e("g", *parts, class_="place", data_finding=_identity(number, index)))
    heat_is_drawn = person.mask is not None and person.mask.values.max() >= FAINT
    drawing = _e(
        "svg",
        _e("image", href=source, x=left, y=top, width=width, height=height),
        _e("g", _e("use", href=f"#heat-{number}"), class_="heat") if heat_is_drawn else None,
        _e("g", *places, class_="places"),
        viewBox=f"{left} {top} {width} {height}",
        class_="drawing",
        role="img",
        aria_label=f"{_called(person).capitalize()} {number}, close up",
    )
    return _e("figure", drawing, class_="close-up")


def _apart(points: list[tuple[float, float]], least: float) -> list[tuple[float, float]]:
    """Points pushed apart until each two are at least so far from each other, or nearly; the order stays."""
    at = np.array(points, float).reshape(-1, 2)
    for _ in range(40):
        gaps = at[:, None] - at[None]
        distance = np.hypot(gaps[..., 0], gaps[..., 1])
        np.fill_diagonal(distance, np.inf)
        if distance.size == 0 or distance.min() >= least:
            break
        # two points in one place part along a direction of their own
        turns = np.arange(len(at)) * 2.4
        gaps = np.where(distance[..., None] > 1e-6, gaps, np.stack([np.cos(turns), np.sin(turns)], -1)[:, None])
        length = np.maximum(np.hypot(gaps[..., 0], gaps[..., 1]), 1e-6)
        push = np.where(distance < least, (least - np.minimum(distance, least)) / 2, 0.0)
        at = at + (gaps / length[..., None] * push[..., None]).sum(axis=1) * 0.6
    return [(float(x), float(y)) for x, y in at]


def _centre(finding: Finding) -> tuple[float, float]:
    """Where a finding's letter stands: the mask's centre of gravity, or the middle of its box."""
    x1, y1, x2, y2 = finding.box if finding.mask is None else finding.mask.box
    if finding.mask is None or (total := float(finding.mask.values.sum())) <= 0.0:
        return (x1 + x2) / 2, (y1 + y2) / 2
    height, width = finding.mask.values.shape
    x = float(finding.mask.values.sum(axis=0) @ (np.arange(width) + 0.5)) / total / width
    y = float(finding.mask.values.sum(axis=1) @ (np.arange(height) + 0.5)) / total / height
    return x1 + x * (x2 - x1), y1 + y * (y2 - y1)


def _explanation(number: int, person: PersonReport) -> Element | None:
    if not person.explanation:
        return None
    items = []
    for sentence in person.explanation:
        if not sentence.findings:
            items.append(_e("li", visible(sentence.text), class_="caveat"))
        else:
            button = _e(
                "button",
                *(_e("span", mark(index), class_="letter") for index in sentence.findings),
                _e("span", visible(sentence.text)),
                type="button",
                class_="sentence",
                data_finding=" ".join(_identity(number, index) for index in sentence.findings),
                aria_pressed="false",
            )
            items.append(_e("li", button))
    return _e("ul", *items, class_="explanation", aria_label=f"What was found on {_called(person)} {number}")


def _findings(number: int, person: PersonReport) -> Element | None:
    if not person.findings:
        nothing = _e("p", "No place on this face gave anything away.", class_="nothing")
        return None if person.explanation else nothing
    rows = []
    for index, finding in enumerate(person.findings):
        box = ", ".join(f"{round(v)}" for v in finding.box)
        rows.append(
            _e(
                "tr",
                _e("td", _e("span", mark(index), class_="letter")),
                _e("th", places_of(finding), scope="row"),
                _e(
                    "td",
                    _meter(finding.strength),
                    *(_e("span", part, class_="amount") for part in measured_in_words(finding).split("; ")),
                    class_="strength",
                ),
                _e("td", visible(finding.claim), class_="claim"),
                _e("td", box, class_="box"),
                class_="row",
                data_finding=_identity(number, index),
            )
        )
    head = _e(
        "tr",
        _e("th", _e("span", "Mark", class_="unseen"), scope="col"),
        _e("th", "Region", scope="col"),
        _e("th", "Strength", scope="col"),
        _e("th", "Claim", scope="col"),
        _e("th", "Box (x1, y1, x2, y2)", scope="col"),
    )
    summary = "1 finding as measured" if len(person.findings) == 1 else f"{len(person.findings)} findings as measured"
    table = _e("div", _e("table", _e("thead", head), _e("tbody", *rows), class_="findings"), class_="wide")
    return _e("details", _e("summary", summary), table)


def _meter(score: float | None) -> Element | None:
    if score is None:
        return None
    return _e(
        "svg",
        _e("rect", width="100%", height=6, rx=3, class_="track"),
        _e("rect", width=f"{100 * score:.1f}%", height=6, rx=3, class_="filled"),
        class_="meter",
        height=6,
        aria_hidden="true",
    )


def _kind(person: PersonReport) -> Element | None:
    if person.kind is None:
        return None
    rows = itertools.chain.from_iterable(
        (
            _e("dt", KIND_WORDS[kind]),
            _e("dd", _meter(person.kind[kind]), _e("span", percent(person.kind[kind]), class_="amount")),
        )
        for kind in KINDS
    )
    return _e("section", _e("h3", "What kind of picture"), _e("dl", *rows, class_="kinds"))


def _quality(person: PersonReport) -> Element | None:
    quality = person.face.quality
    facts = measured(quality)
    if not facts and not quality.reasons:
        return None
    rows = itertools.chain.from_iterable((_e("dt", name), _e("dd", value)) for name, value in facts)
    return _e("section", _e("h3", "How well it can be judged"), _e("dl", *rows), _reasons(quality.reasons))


def _testimonies(verdict: Verdict) -> Element | None:
    if not verdict.testimonies:
        return None
    rows = []
    for testimony in verdict.testimonies:
        score = "would not say" if testimony.fake is None else f"{testimony.fake:.3f}"
        rows.append(_e("tr", _e("th", visible(testimony.witness), scope="row"), _e("td", score)))
    head = _e("tr", *(_e("th", name, scope="col") for name in ("Witness", "Its score as it is (no probability)")))
    table = _e("div", _e("table", _e("thead", head), _e("tbody", *rows)), class_="wide")
    count = len(verdict.testimonies)
    summary = "What the witness said" if count == 1 else f"What the {count} witnesses said"
    return _e("details", _e("summary", summary), table)


def _cases(testimonies: Iterable[Testimony]) -> Iterator[Element | None]:
    """The answers that a witness weighed, those of both sides beside each other, and why one won."""
    for testimony in testimonies:
        sides = cases(testimony)
        if not sides:
            continue
        columns = []
        for side, reply in sides:
            won = reply.label == side and stands(testimony, reply)
            columns.append(
                _e(
                    "section",
                    _e("h4", f"The case for “{side}”", _e("span", " stands", class_="stands") if won else None),
                    *(_e("p", line) for line in lines(reply.text)),
                    _e("p", fits(side, reply), class_="key"),
                    class_="case won" if won else "case",
                )
            )
        yield _e(
            "section",
            _e("h3", f"Both hypotheses, by {visible(testimony.witness)}"),
            _e("p", why_it_won(testimony)),
            _e("div", *columns, class_="cases"),
        )


def _words(testimonies: Iterable[Testimony], person: PersonReport | None = None) -> Iterator[Element | None]:
    """The words that witnesses stand by, as quotations with their names, and where a text broke its form.

    Where words point, the little mask that they point at stands behind them.
    What was written before the answer (`Reply.thought`) is shown in no format: nobody has measured that it is how the
    answer came about. What the witness notes of the words (`Reply.notes`) is.
    """
    for testimony in testimonies:
        reply = testimony.reply
        if reply is None or not reply.text.strip():
            continue
        yield _e("p", _e("strong", visible(testimony.witness)), " says, in its own words:")
        yield _e("blockquote", _e("p", *_spoken(reply, person)))
        if reply.notes:
            yield _e("p", visible(" ".join(reply.notes)), class_="key")
        if reply.refusals:
            yield _e("p", "What does not fit in this text:")
            yield _reasons(reply.refusals)


def _spoken(reply: Reply, person: PersonReport | None) -> Iterator[str | Element]:
    """A reply's words, and a little mask for each of its marks."""
    if person is None or not any(isinstance(part, Mark) for part in reply.parts):
        yield "\n".join(lines(reply.text))
        return
    first, last = 0, len(reply.parts) - 1
    for index, part in enumerate(reply.parts):
        if isinstance(part, Mark):
            yield _little(part.finding, person)
            continue
        words = part.lstrip() if index == first else part
        yield "\n".join(map(visible, (words.rstrip() if index == last else words).split("\n")))


def _little(finding: Finding, person: PersonReport) -> Element:
    """A finding's mask in the face's oval, as small as a word."""
    x1, y1, x2, y2 = person.face.box
    oval = _e("ellipse", cx=(x1 + x2) / 2, cy=(y1 + y2) / 2, rx=(x2 - x1) / 2, ry=(y2 - y1) / 2, class_="oval")
    drawn = _e(
        "svg",
        oval,
        _e("path", d=_lines_around(finding), class_="part", fill_rule="evenodd"),
        viewBox=f"{x1:.1f} {y1:.1f} {x2 - x1:.1f} {y2 - y1:.1f}",
        class_="little",
        role="img",
        aria_label=f"mask: {places_of(finding)}",
    )
    drawn.tail = None  # it stands in a line of words, where a line's end would be one
    return drawn


def _inspections(report: Report) -> Element | None:
    """What witnesses say of the file itself."""
    parts: list[Element | None] = []
    for testimony in report.inspections:
        claims = [_e("li", visible(finding.claim)) for finding in testimony.findings]
        if claims or testimony.reply is not None:
            parts.append(_e("h3", visible(testimony.witness)))
            parts.append(_e("ul", *claims) if claims else None)
            parts += _words((testimony,))
    return _e("section", _e("h2", "What the file says of itself"), *parts, class_="inspections") if parts else None


# ---------------------------------------------------------------- the examiner's own part


def _record_of(report: Report) -> Iterator[Element]:
    """What forensic guidance asks for, where the report stands in a file of a case."""
    for section in _record.sections(report):
        parts: list[Element] = [_e("h2", section.title)]
        if section.facts:
            rows = itertools.chain.from_iterable(
                (_e("dt", name), _e("dd", _e("bdi", value))) for name, value in section.facts
            )
            parts.append(_e("dl", *rows, class_="provenance"))
        if section.items:
            parts.append(_e("ul", *(_e("li", item) for item in section.items)))
        if section.rows:
            head = _e("tr", *(_e("th", name, scope="col") for name in _record.METHOD_HEAD))
            body = [
                _e("tr", _e("th", first, scope="row"), *(_e("td", text) for text in rest))
                for first, *rest in section.rows
            ]
            parts.append(_e("div", _e("table", _e("thead", head), _e("tbody", *body), class_="methods"), class_="wide"))
        yield _e("section", *parts, class_="record")


# ---------------------------------------------------------------- the bottom: how to read it, how to check it


def _reading(report: Report) -> Element:
    parts = [_e("h2", "How to read this report"), _e("ul", *(_e("li", text) for text in LIMITS))]
    if sentences := worth(report.made_by):
        parts += [_e("h3", "What the witnesses know"), _e("ul", *(_e("li", text) for text in sentences))]
    return _e("section", *parts)


def _making(report: Report, date: str | None) -> Element:
    rows = [
        ("file", visible(report.source)),
        ("SHA-256", report.sha256 or "not known: the picture did not come as a readable file"),
    ]
    if report.size:
        rows.append(("size", f"{report.size[0]} × {report.size[1]} pixels"))
    if date is not None:
        rows.append(("analysed", visible(date)))
    rows += [(name, visible(value)) for name, value in provenance(report.made_by)]
    table = itertools.chain.from_iterable((_e("dt", visible(name)), _e("dd", _e("bdi", value))) for name, value in rows)
    steps = (_e("li", what, ": ", _e("code", command)) for what, command in again(report))
    return _e(
        "section",
        _e("h2", "Where this report comes from"),
        _e("dl", *table, class_="provenance"),
        _e("h3", "How to run it again"),
        _e("ol", *steps),
        class_="making",
    )
