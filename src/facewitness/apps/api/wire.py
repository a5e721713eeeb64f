"""The shapes of requests and answers, with the words and examples that stand in the OpenAPI."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from facewitness.apps.service.service import CASE, NOTE
from facewitness.apps.service.store import AnalysisRow, TurnRow
from facewitness.questions import MOST

State = Literal["queued", "running", "done", "failed", "cancelled"]
Label = Literal["real", "fake", "inconclusive", "no_face", "failed"]
Score = Annotated[float, Field(ge=0, le=1)]

EXAMPLE_ID = "3f2c8a6e9b1d4f70a5c2e8d9b0f1a2c3"


class Strict(BaseModel):
    """A request: what it does not know is refused."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    type: str = Field(description="Address of the kind of problem, relative to the server.")
    title: str = Field(description="The kind in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What was expected, what came, and how to mend it.")
    request_id: str = Field(description="Stands in the server's log, too.")
    errors: list[dict[str, str]] | None = Field(None, description="Each fault of an invalid request: where, and what.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "/problems/wrong-type",
                    "title": "Neither picture nor film",
                    "status": 415,
                    "detail": "'notes.txt': expected a picture or a film, got text; look into the file.",
                    "request_id": "9f86d081884c7d65",
                }
            ]
        }
    )


class Progress(BaseModel):
    """How far a job is."""

    step: Literal["read", "find", "examine", "judge", "explain"] | None = Field(
        description="The step that is worked on; null while it waits."
    )
    done: Score | None = Field(description="The share of that step that is done; null where it is not known.")
    before: int | None = Field(description="How many jobs are to be done before one that waits.")


class Analysis(BaseModel):
    """One file and what became of it."""

    id: str
    name: str = Field(description="The file's name as it was given, without folders.")
    sha256: str = Field(description="Of the file's bytes.")
    size: int = Field(description="Bytes.")
    kind: Literal["picture", "film"]
    case_name: str
    note: str
    state: State
    progress: Progress | None = Field(description="Of an analysis that has not ended.")
    label: Label | None = Field(description="The verdict on the whole file, or why there is none.")
    fake: Score | None = Field(description="Calibrated probability of forgery; 1 means fake. null is not measured.")
    error: str | None = Field(description="Why it failed.")
    created: str = Field(description="UTC, ISO 8601.")
    started: str | None
    finished: str | None
    links: dict[str, str] = Field(description="Addresses of what there is of it.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": EXAMPLE_ID,
                    "name": "portrait.jpg",
                    "sha256": "a" * 64,
                    "size": 182_311,
                    "kind": "picture",
                    "case_name": "2026-17",
                    "note": "as received by mail",
                    "state": "done",
                    "progress": None,
                    "label": "inconclusive",
                    "fake": 0.34,
                    "error": None,
                    "created": "2026-11-26T09:00:00.000Z",
                    "started": "2026-11-26T09:00:00.010Z",
                    "finished": "2026-11-26T09:00:00.420Z",
                    "links": {"self": f"/v1/analyses/{EXAMPLE_ID}"},
                }
            ]
        }
    )


class AnalysisWithReport(Analysis):
    """An analysis with its report."""

    report: dict[str, Any] | None = Field(
        description="The report in the format facewitness.report/2, which docs/report.schema.json describes; null "
        "until there is one."
    )


class History(BaseModel):
    """A page of analyses, newest first."""

    analyses: list[Analysis]
    next: str | None = Field(description="The value of `before` for the next page; null on the last one.")


class Annotation(Strict):
    """What is changed of an analysis; what is absent stays."""

    case_name: str | None = Field(None, max_length=CASE, examples=["2026-17"])
    note: str | None = Field(None, max_length=NOTE, examples=["The sender says that it is a holiday picture."])


class PlaceAsked(Strict):
    """A place in the picture, by one of `region`, `box`, `point` and `mask`, in pixels of the original."""

    region: str | None = Field(None, max_length=60, description="A name of the tree of facial regions.")
    box: tuple[float, float, float, float] | None = Field(None, description="x1, y1, x2, y2; x2 and y2 are excluded.")
    point: tuple[float, float] | None = Field(None, description="x, y: a click.")
    mask: str | None = Field(
        None,
        max_length=11_000_000,
        description="A PNG in base64, white where it is meant, of the proportions of the frame or of `box` beside it.",
    )
    frame: int | None = Field(None, ge=0, le=2**31, description="Number of a film's frame.")


class QuestionAsked(Strict):
    """A question; it may point at places instead of naming them."""

    question: str = Field("", max_length=MOST, description="May be empty where places are pointed at.")
    places: list[PlaceAsked] = Field(default_factory=list, max_length=8)
    face: int | None = Field(None, ge=0, le=10_000, description="Whom it is about, from 0.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"question": "Is the nose forged?"},
                {"question": "What about here?", "places": [{"point": [231, 164]}]},
                {"question": "Why?", "places": [{"box": [200, 140, 260, 180]}], "face": 0},
            ]
        }
    )


class PlaceFound(BaseModel):
    """A place of a finding."""

    at: dict[str, Any] | None = Field(description="The frame: its number and, of a film, its moment in seconds.")
    region: str | None
    title: str | None
    box: tuple[float, float, float, float]


class FindingSaid(BaseModel):
    """A claim with its places."""

    claim: str
    strength: Score | None
    grade: str | None
    places: list[PlaceFound]


class RegionSaid(BaseModel):
    """A region that was asked about."""

    region: str
    title: str


class Answer(BaseModel):
    """The answer to a question."""

    number: int = Field(description="Its place in the conversation, from 1.")
    question: str
    places: list[dict[str, Any]]
    answer: str
    label: Literal["real", "fake", "inconclusive"] | None = Field(description="Of what was asked about.")
    intent: str = Field(description="What the question was understood to ask for.")
    face: int = Field(description="Whom the answer is about, from 0.")
    regions: list[RegionSaid]
    findings: list[FindingSaid]
    witness: str | None = Field(description="The witness that spoke besides.")
    words: str | None = Field(description="What it said.")
    notes: list[str] = Field(description="Where somebody's words and the evidence part.")
    problem: str | None = Field(description="Why the one who was to speak did not.")
    created: str


class Conversation(BaseModel):
    """All questions and answers about an analysis."""

    turns: list[Answer]


class Witnesses(BaseModel):
    """Who testifies on this server."""

    version: str
    finder: dict[str, Any]
    thresholds: dict[str, float | None]
    witnesses: list[dict[str, Any]] = Field(
        description="Those that are asked: name, what they do, options, hashes of weights, what was measured of them."
    )
    known: list[dict[str, Any]] = Field(description="All that are installed, and whether they are asked.")
    libraries: dict[str, str]


class Health(BaseModel):
    """Whether the server lives, or can take jobs."""

    status: Literal["ok", "not ready"]
    faults: list[str] = Field(default_factory=list)


def moment(seconds: float | None) -> str | None:
    """Seconds since 1970 as ISO 8601 in UTC, to the millisecond."""
    if seconds is None:
        return None
    whole = int(seconds)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int(1000 * (seconds - whole)):03d}Z"


def analysis(row: AnalysisRow, before: int | None, formats: list[str]) -> dict[str, Any]:
    """An analysis as JSON has it. `formats` are the links to reports that there are."""
    here = f"/v1/analyses/{row.id}"
    ready = {name: f"{here}/{name}" for name in formats} if row.state == "done" else {}
    return {
        "id": row.id,
        "name": row.name,
        "sha256": row.sha256,
        "size": row.size,
        "kind": row.kind,
        "case_name": row.case_name,
        "note": row.note,
        "state": row.state,
        "progress": None if row.ended else {"step": row.step, "done": row.done, "before": before},
        "label": row.label,
        "fake": row.fake,
        "error": row.error,
        "created": moment(row.created),
        "started": moment(row.started),
        "finished": moment(row.finished),
        "links": {"self": here, "questions": f"{here}/questions", "events": f"{here}/events", **ready},
    }


def turn(row: TurnRow) -> dict[str, Any]:
    """A turn of a conversation as JSON has it."""
    places = [{key: value for key, value in place.items() if key != "mask"} for place in row.asked["places"]]
    return {
        "number": row.number,
        "question": row.asked["question"],
        "places": places,
        **row.answered,
        "created": moment(row.created),
    }
