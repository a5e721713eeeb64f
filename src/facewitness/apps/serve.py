"""`facewitness serve`: the REST service, and the keys of those who may call it.

Nothing heavy is imported until the command runs: --help needs no FastAPI.
"""

from __future__ import annotations

import argparse
import datetime
import os
import time
from pathlib import Path
from typing import Any

from facewitness.apps._words import ALL, ANALYSING, NONE, add_system, complain, leaf, positive, shown, size, system
from facewitness.errors import InputError

_ABOUT = """Serve analyses over HTTP: send a picture or a film, read the report, ask about it. It listens on this
machine alone, needs no key there, and refuses to listen elsewhere before there is one.

examples:
  facewitness serve                                    at http://127.0.0.1:8000
  facewitness serve keys add newsroom                  a key, printed once; from then on every caller needs one
  facewitness serve --listen 0.0.0.0 --allow-host checks.example.org
  curl -F file=@photo.jpg -H 'Prefer: wait=30' http://127.0.0.1:8000/v1/analyses"""

_DATABASE = "FACEWITNESS_DATABASE"


_KEYS = """Who may call the service: keys of callers, of which the service's database keeps the hashes.

examples:
  facewitness serve keys add newsroom --days 365
  facewitness serve keys list"""

_KEYS_ADD = """Make a key and print it, once.

example:
  facewitness serve keys add newsroom --days 365"""

_KEYS_LIST = """Show all keys, without their secrets.

example:
  facewitness serve keys list"""

_KEYS_REVOKE = """Refuse a key from now on.

example:
  facewitness serve keys revoke ID"""


def add_to(commands: Any) -> None:
    """Add the command to the command line."""
    serve = commands.add_parser("serve", help="serve analyses over HTTP", description=_ABOUT)
    serve.set_defaults(run=_serve)
    serve.add_argument("--listen", default="127.0.0.1", metavar="ADDRESS", help="address in figures (127.0.0.1)")
    serve.add_argument("--port", type=_port, default=8000, metavar="N", help="0 for any that is free (8000)")
    serve.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a name that this server is called by"
    )
    serve.add_argument("--log-format", choices=("text", "json"), default="text", help="of lines on standard error")
    serve.add_argument("--review", type=Path, metavar="QUEUE", help="a queue that people review on the page (none)")
    _add_places(serve)
    add_system(serve, ANALYSING)
    serve.add_argument(
        "--backend", type=leaf("backends"), metavar="NAME", help="a language model that words answers (none)"
    )
    work = serve.add_argument_group("work and limits")
    work.add_argument("--jobs", type=positive, default=1, metavar="N", help="processes that analyse (1)")
    work.add_argument("--max-megabytes", type=size, metavar="N", help="of a film, and of any request (2,000)")
    work.add_argument("--max-picture-megabytes", type=size, metavar="N", help="of a picture (200)")
    work.add_argument("--max-megapixels", type=size, metavar="N", help="of a picture (200)")
    work.add_argument("--max-minutes", type=size, metavar="N", help="of a film, in its own time (180)")
    work.add_argument("--max-queued", type=positive, metavar="N", help="analyses that wait (10,000)")
    work.add_argument("--max-uploads", type=positive, metavar="N", help="uploads received at one time (32)")
    work.add_argument(
        "--max-uploads-each", type=positive, metavar="N", help="of these for one caller (a quarter of them)"
    )
    work.add_argument("--upload-minutes", type=size, metavar="N", help="that an upload may take (60)")
    work.add_argument("--max-stored", type=size, metavar="N", help="megabytes of all uploads together (what there is)")
    work.add_argument("--reserve", type=size, metavar="N", help="megabytes of the disk that stay free (500)")
    work.add_argument("--picture-seconds", type=size, metavar="N", help="that a picture may take (300)")
    work.add_argument("--film-seconds", type=size, metavar="N", help="that a film may take (21,600)")
    work.add_argument("--rate", type=size, metavar="N", help="requests a minute of one caller (1,200)")
    work.add_argument("--burst", type=positive, metavar="N", help="of them at once (300)")
    work.add_argument("--max-open", type=positive, metavar="N", help="requests of one caller at one time (200)")
    work.add_argument("--keep-uploads", type=_days, metavar="DAYS", help="after their analysis; forever to keep (30)")
    work.add_argument("--keep-reports", type=_days, metavar="DAYS", help="after their analysis (forever)")

    parts = serve.add_subparsers(title="keys", metavar="keys", dest="part", required=False)
    keys = parts.add_parser("keys", help="add, list and revoke keys", description=_KEYS)
    does = keys.add_subparsers(title="what to do", metavar="WHAT", dest="what", required=True)
    add = does.add_parser("add", help="make a key and print it, once", description=_KEYS_ADD)
    add.add_argument("name", metavar="NAME", help="whose it is; keys of one name see the same analyses")
    add.add_argument("--days", type=size, metavar="N", help="until it expires (never)")
    listing = does.add_parser("list", help="show all keys, without their secrets", description=_KEYS_LIST)
    revoke = does.add_parser("revoke", help="refuse a key from now on", description=_KEYS_REVOKE)
    revoke.add_argument("id", metavar="ID", help="as keys list shows it")
    for parser, run in ((add, _add_key), (listing, _list_keys), (revoke, _revoke_key)):
        _add_places(parser)
        parser.set_defaults(run=run)


def _add_places(parser: Any) -> None:
    places = parser.add_argument_group("where things are kept")
    places.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="uploads and the database (FACEWITNESS_DATA, or the user's data folder)",
    )
    places.add_argument(
        "--database", metavar="URL", help=f"postgresql://user@host/name ({_DATABASE}, or an SQLite file in --data)"
    )


def _port(text: str) -> int:
    if not text.isdecimal() or len(text) > 5 or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text[:40]!r}")
    return int(text)


def _days(text: str) -> float | None:
    if text in ("forever", "ever"):
        return float("inf")
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < 1e6:
        raise argparse.ArgumentTypeError(f"expected a number of days from 0 on, or forever, got {text[:40]!r}")
    return days


def _settings(given: argparse.Namespace) -> Any:
    """What was asked for, as `Settings`; what was not keeps its default."""
    from facewitness import plugins

    try:
        from facewitness.apps.service.settings import DAY, Settings
    except ModuleNotFoundError as error:
        raise plugins.lacking("facewitness serve", error, "serve") from error

    asked: dict[str, Any] = {"database": given.database or os.environ.get(_DATABASE) or None}
    if given.data is not None:
        asked["data"] = given.data
    if given.part == "keys":
        return Settings(**asked)
    megabytes = {
        "max_body": given.max_megabytes,
        "max_picture": given.max_picture_megabytes,
        "max_pixels": given.max_megapixels,
        "max_stored": given.max_stored,
        "reserve": given.reserve,
    }
    asked |= {name: round(value * 1e6) for name, value in megabytes.items() if value is not None}
    plain = {
        "jobs": given.jobs,
        "max_queued": given.max_queued,
        "max_uploads": given.max_uploads,
        "max_uploads_each": given.max_uploads_each,
        "upload_longest": None if given.upload_minutes is None else 60 * given.upload_minutes,
        "rate": given.rate,
        "burst": given.burst,
        "max_open": given.max_open,
        "picture_time": given.picture_seconds,
        "film_time": given.film_seconds,
        "backend": given.backend,
        "hosts": tuple(given.allow_host),
        "max_length": None if given.max_minutes is None else 60 * given.max_minutes,
    }
    asked |= {name: value for name, value in plain.items() if value is not None}
    for name in ("keep_uploads", "keep_reports"):
        days = getattr(given, name)
        if days is not None:
            asked[name] = None if days == float("inf") else days * DAY
    return Settings(**asked, **system(given))


def _serve(given: argparse.Namespace) -> int:
    from facewitness import plugins

    settings = _settings(given)
    try:
        from facewitness.apps.api import create_app, logs, server
        from facewitness.apps.ui import routes
    except ModuleNotFoundError as error:
        raise plugins.lacking("facewitness serve", error, "serve") from error
    from facewitness.apps.service.service import Service

    host, _, port = given.listen.rpartition(":")
    if host and ":" not in host and port.isdigit():
        raise InputError(
            f"--listen: expected an address alone, got '{given.listen}'. Say --listen {host} --port {port}."
        )
    if given.review is not None and not (given.review / "items.jsonl").is_file():
        raise InputError(
            f"--review: expected a queue that a builder filled, got '{given.review}', which is none. Fill one: "
            "facewitness build … --review QUEUE."
        )
    service = Service(settings)
    if not server.is_loopback(given.listen) and not service.keys.any():
        service.close()
        raise InputError(
            f"serve: expected a key before it listens at {given.listen}, where others can call, and there is none. "
            "Make one: facewitness serve keys add NAME"
        )
    try:
        service.hold()
        listening = server.bound(given.listen, given.port)
    except InputError:
        service.close()
        raise
    logs.log_to_stderr(given.log_format)
    host, port = listening.getsockname()[:2]
    complain(f"facewitness: serving at http://{f'[{host}]' if ':' in host else host}:{port} (Ctrl-C ends it)")
    try:
        begun = server.run(routes.add_to(create_app(service=service), given.review), listening)
    except KeyboardInterrupt:  # uvicorn has ended as it was asked to, and raises the signal again
        begun = True
    return ALL if begun else NONE


def _store(given: argparse.Namespace) -> Any:
    from facewitness import plugins

    settings = _settings(given)
    try:
        from facewitness.apps.service.keys import Keys
        from facewitness.apps.service.store import Store
    except ModuleNotFoundError as error:
        raise plugins.lacking("facewitness serve", error, "serve") from error
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Keys(Store(settings.url), settings.data)


def _add_key(given: argparse.Namespace) -> int:
    expires = None if given.days is None else time.time() + 86_400 * given.days
    print(_store(given).add(given.name, expires))
    complain("facewitness: this is the only time that the key is shown; what is kept is its hash.")
    return ALL


def _list_keys(given: argparse.Namespace) -> int:
    keys = _store(given).all()
    for key in keys:
        words = [f"made {_day(key.created)}", f"used {_day(key.used)}"]
        words += [f"revoked {_day(key.revoked)}"] if key.revoked else []
        words += [f"expires {_day(key.expires)}"] if key.expires else []
        print(shown(f"{key.id}  {key.name}  {', '.join(words)}"))
    if not keys:
        complain("facewitness: there is no key. Make one: facewitness serve keys add NAME")
    return ALL


def _revoke_key(given: argparse.Namespace) -> int:
    _store(given).revoke(given.id)
    print(shown(f"{given.id} is refused from now on."))
    return ALL


def _day(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M")
