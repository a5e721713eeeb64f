"""The OpenAPI, tried by schemathesis: what it allows and what it does not; no 500, and every answer as it says."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from pictures import jpeg, painted
from serving import Running, serving

# schemathesis takes a second to import, which only the process that runs these tests spends
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("schemathesis") is None, reason="fuzzing the OpenAPI needs the package schemathesis"
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
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    every = (
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
    )

    def send(case: Any) -> None:
        name = case.operation.label
        if case.path_parameters.get("number") is not None and counted.get(name, 0) % 2 and case.method != "DELETE":
            case.path_parameters["number"] = number
        response = case.call(timeout=60)
        asked = [check for check in every if check is not not_a_server_error or response.status_code not in MEANT]
        case.validate_response(response, checks=asked)
        counted[name] = counted.get(name, 0) + 1

    return send


def tried(here: Running, examples: int) -> dict[str, int]:
    """Sends examples to every operation, half of them about an analysis that is there; how many answers each had."""
    import schemathesis

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
