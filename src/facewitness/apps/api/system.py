"""What is said of the server itself: who testifies, whether it lives, what it counts, its problems."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from starlette.responses import PlainTextResponse, Response

from facewitness.apps.api import wire
from facewitness.apps.api.analyses import Here, Who, _json, problems
from facewitness.apps.api.problems import KINDS, Refused
from facewitness.apps.service.service import Service
from facewitness.errors import FacewitnessError

router = APIRouter(responses=problems())
_METRICS = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """What Prometheus reads: requests as they come, jobs as they stand in the database."""

    def __init__(self, service: Service):
        self._service, self.registry = service, CollectorRegistry()
        self.requests = Counter(
            "facewitness_requests",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "facewitness_request_seconds",
            "Seconds until a request was answered.",
            ("route",),
            registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
        )
        buckets = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)
        self.waited = Histogram(
            "facewitness_job_waiting_seconds", "Seconds that a job waited.", registry=self.registry, buckets=buckets
        )
        self.worked = Histogram(
            "facewitness_job_seconds", "Seconds that a job took.", registry=self.registry, buckets=buckets
        )
        self.registry.register(self)

    def measure(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        known = method if method in ("GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT") else "other"
        self.requests.labels(known, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def collect(self) -> Any:
        """What is counted when it is asked for."""
        jobs = GaugeMetricFamily("facewitness_analyses", "Analyses in the database.", labels=["state"])
        try:
            for state, count in self._service.counts().items():
                jobs.add_metric([state], count)
        except FacewitnessError:
            pass  # the database is away: what is not known is not said
        yield jobs
        ended = GaugeMetricFamily("facewitness_jobs_ended", "Jobs ended since the start.", labels=["state"])
        for state, count in self._service.runner.counted.finished.items():
            ended.add_metric([state], count)
        yield ended

    def render(self) -> bytes:
        """All of it as text."""
        for waited, worked in self._service.runner.counted.take():
            self.waited.observe(max(0.0, waited))
            self.worked.observe(max(0.0, worked))
        return bytes(generate_latest(self.registry))


@router.get("/v1/witnesses", tags=["server"], summary="Who testifies here", response_model=wire.Witnesses)
def witnesses(here: Here, who: Who) -> Response:
    """Finder and witnesses with options, hashes of weights, thresholds, and what was measured of them."""
    return _json(here.witnesses())


@router.get("/healthz", tags=["server"], summary="Whether the server lives", response_model=wire.Health)
def healthz() -> Response:
    """Needs no key."""
    return _json({"status": "ok", "faults": []})


@router.get(
    "/readyz",
    tags=["server"],
    summary="Whether it can take jobs",
    response_model=wire.Health,
    responses={503: {"description": "Not now.", "model": wire.Health}},
)
def readyz(request: Request, here: Here) -> Response:
    """Models loaded, database and disk at hand. Needs no key, and without one does not say what is wrong."""
    faults = here.faults()
    if faults and request.state.caller is None:
        faults = ["Send a key to read what is wrong."]
    return _json({"status": "not ready" if faults else "ok", "faults": faults}, 503 if faults else 200)


@router.get("/metrics", tags=["server"], summary="What is counted, for Prometheus", response_class=PlainTextResponse)
def metrics(request: Request, who: Who) -> Response:
    """In Prometheus's text format."""
    counted: Metrics = request.app.state.metrics
    return Response(counted.render(), media_type=_METRICS)


@router.get(
    "/problems/{kind}", tags=["server"], summary="What a kind of problem means", response_class=PlainTextResponse
)
def about_problem(kind: str) -> Response:
    """The text behind a problem's `type`."""
    if kind not in KINDS:
        raise Refused("not-there", f"There is no such kind of problem. Known: {', '.join(KINDS)}.")
    known = KINDS[kind]
    return PlainTextResponse(f"{known.title} ({known.status})\n\n{known.about}\n")
