"""The OpenAPI, tried by schemathesis: what it allows and what it does not; no 500, and every answer as it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from pictures import jpeg, painted
from serving import Running, serving

pytest.importorskip("schemathesis", reason="fuzzing the OpenAPI needs the package schemathesis")

import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
# 503 and 507 say "not now", 501 "not here": no faults of ours, and documented
MEANT = (501, 503, 507)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    limits = {"rate": 1e6, "burst": 100_000, "max_body": 1_000_000, "upload_time": 2.0, "wait_time": 2.0}
    with serving(tmp_path_factory.mktemp("fuzz"), **limits) as running:
        yield running


def sender(number: str, counted: dict[str, int]) -> Callable[[Any], None]:
    """What sends a case and looks at the answer; every second one about an analysis that is there."""

    def send(case: Any) -> None:
        name = case.operation.label
        if case.path_parameters.get("number") is not None and counted.get(name, 0) % 2 and case.method != "DELETE":
            case.path_parameters["number"] = number
        response = case.call(timeout=60)
        checks = [check for check in CHECKS if check is not not_a_server_error or response.status_code not in MEANT]
        case.validate_response(response, checks=checks)
        counted[name] = counted.get(name, 0) + 1

    return send


def tried(here: Running, examples: int) -> dict[str, int]:
    """Sends examples to every operation, half of them about an analysis that is there; how many answers each had."""
    number = here.send(jpeg(painted(200, 96)))["id"]
    here.client.post(f"/v1/analyses/{number}/questions", json={"question": "Is it fake?"})
    schema = schemathesis.openapi.from_dict(here.client.get("/v1/openapi.json").json())
    schema.config.update(base_url=str(here.client.base_url).rstrip("/"))
    counted: dict[str, int] = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        send = sender(number, counted)
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            try:
                strategy = operation.as_strategy(generation_mode=mode)
            except schemathesis.errors.SchemathesisError:
                continue
            run = settings(
                max_examples=examples,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            try:
                run(given(case=strategy)(send))()
            except Exception as error:
                if "Unsatisfiable" in type(error).__name__ or "No examples" in str(error):
                    continue  # an operation without anything to get wrong
                raise
    return counted


def test_what_the_openapi_allows_is_answered_as_it_says(here):
    counted = tried(here, 2)
    assert len(counted) >= 20


@pytest.mark.slow
def test_the_openapi_at_length(here):
    counted = tried(here, 300)
    assert sum(counted.values()) > 3000
