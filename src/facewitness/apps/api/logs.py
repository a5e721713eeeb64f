"""A server's log: a line for each request and each analysis, as text or as JSON."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, Literal

from facewitness.phrases import visible

Format = Literal["text", "json"]


class _Lines(logging.Formatter):
    """One record, one line; `extra={"fields": {…}}` stand in it by their names."""

    def __init__(self, kind: Format):
        super().__init__()
        self._json = kind == "json"

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = getattr(record, "fields", {})
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        trace = self.formatException(record.exc_info) if record.exc_info else None
        if self._json:
            line = {"time": moment, "level": record.levelname.lower(), "event": record.getMessage(), **fields}
            return json.dumps(line | ({"trace": trace} if trace else {}), default=str)
        words = " ".join(f"{name}={visible(str(value))}" for name, value in fields.items() if value is not None)
        text = f"{moment} {record.levelname.lower():<7} {visible(record.getMessage())} {words}".rstrip()
        return f"{text}\n{trace}" if trace else text


def log_to_stderr(kind: Format, level: int = logging.INFO) -> None:
    """Write what this process logs to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(kind))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("facewitness").setLevel(level)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # else the bytes of strangers' forms
