"""Puts the application together: the guard, the routes, answers to errors, and what the OpenAPI says besides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool

from facewitness.apps.api import analyses, system, wire
from facewitness.apps.api.guard import Guard
from facewitness.apps.api.problems import answer_errors
from facewitness.apps.api.slots import Slots
from facewitness.apps.service.service import Service
from facewitness.apps.service.settings import Settings
from facewitness.version import __version__

_ABOUT = """Send a picture or a film; get, for each person, *fake*, *no sign of forgery found* or *inconclusive* with a
calibrated probability, the regions that give a forgery away, and sentences that each point to a place. Ask questions
about it.

Errors are problems as RFC 9457 has them. Times are UTC. Boxes are (x1, y1, x2, y2) in pixels of the original; a score
of 1 means fake; what was not measured is null; left and right are the subject's."""


def create_app(settings: Settings | None = None, service: Service | None = None) -> FastAPI:
    """The ASGI application; the service starts and ends with it.

    Args:
        settings: what it may do.
        service: a service that is there already and not started, in the place of settings.
    """
    here = service or Service(settings or Settings())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(here.start)
        here.warm()
        try:
            yield
        finally:
            await run_in_threadpool(here.close)

    app = FastAPI(
        title="facewitness",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,
    )
    app.state.service = here
    app.state.uploads = Slots(here.settings)
    app.state.metrics = system.Metrics(here)
    answer_errors(app)
    app.include_router(analyses.router)
    app.include_router(system.router)
    app.add_middleware(Guard, service=here, measure=app.state.metrics.measure)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI, with the shape of problems and the kinds of keys."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        parts = schema.setdefault("components", {})
        shapes = parts.setdefault("schemas", {})
        for model in (wire.Problem, wire.Answer):
            shape = model.model_json_schema(ref_template="#/components/schemas/{model}")
            shapes.update(shape.pop("$defs", {}))
            shapes[model.__name__] = shape
        for unused in ("HTTPValidationError", "ValidationError"):
            shapes.pop(unused, None)
        parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "A key: fw_…"}}
        for path, methods in schema["paths"].items():
            if path.startswith("/v1/") or path == "/metrics":
                for operation in methods.values():
                    operation["security"] = [{"key": []}, {}]
        app.openapi_schema = schema
    return app.openapi_schema
