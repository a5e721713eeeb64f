"""The REST service: what `apps/service` does, over HTTP.

app = create_app(Settings(data=Path("data")))          an ASGI application; `facewitness serve` runs it

app        puts it together: the guard, the routes, answers to errors, OpenAPI
guard      before any route: request ids, whose host and origin, who calls, how often; a line of log for each request
problems   every error as a problem of RFC 9457
body       uploads as they stream in, raw or multipart
wire       the shapes of requests and answers (pydantic)
analyses   /v1/analyses and below
system     /v1/witnesses, /healthz, /readyz, /metrics, /problems
ranges     files from the disk, and parts of them
events     server-sent events
logs       lines of text or JSON
server     the process: sockets, signals, times
"""

from facewitness.apps.api.app import create_app

__all__ = ["create_app"]
