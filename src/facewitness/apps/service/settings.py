"""What a server may do: where it keeps things, whom it asks, and every limit. The command's options stand for these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facewitness.errors import InputError
from facewitness.files import folder_of_ours
from facewitness.media import MAX_BYTES, MAX_PIXELS
from facewitness.pipeline import WITNESSES

DAY = 86_400.0


def data_folder() -> Path:
    """Where a server keeps its things unless told otherwise: FACEWITNESS_DATA, or the platform's folder for data."""
    return folder_of_ours("FACEWITNESS_DATA", "~/Library/Application Support", "XDG_DATA_HOME", "~/.local/share")


@dataclass(frozen=True, slots=True)
class Settings:
    """Checked once, here; trusted afterwards. Times are seconds, sizes bytes.

    Args:
        data: folder for uploads and, unless `database` says otherwise, the database.
        database: URL as SQLAlchemy has them; None for an SQLite file in `data`.
        database_time: how long a statement waits for a locked database.
        jobs: worker processes.
        finder, witnesses, options, profile: as `Analyzer` has them.
        backend: name of a leaf of `backends/` that words answers; its options stand in `options` under its name.
        max_body: bytes of a film, and the most of any request.
        max_picture: bytes of a picture.
        max_pixels: of a picture; films have the limit of `film.MAX_PIXELS`.
        max_length: of a film, in seconds of its time.
        max_queued: jobs that wait; more are refused.
        max_uploads: uploads that are received at one time; more wait.
        max_uploads_each: of these for one caller; None for a quarter of them.
        slot_time: how long an upload waits to be received before it is refused.
        max_stored: bytes of all uploads together; None for as many as there is room for.
        reserve: bytes of the disk that stay free.
        picture_time, film_time: how long an analysis may take.
        answer_time: how long drawing a page or answering a question may take.
        upload_time: how long an upload may stand still, or be slower than `upload_rate`.
        upload_rate: bytes a second that an upload has on average after that time.
        upload_longest: how long an upload may take in all.
        wait_time: the longest a request waits for its analysis (`Prefer: wait`).
        keep_uploads, keep_reports: how long after its analysis; None for ever.
        rate, burst: requests a minute of one caller, and how many at once.
        max_open: requests of one caller that are answered at one time.
        hosts: names by which the server is called, besides those of the loopback and addresses in figures.
        attempts: how often a job is begun that a dying server left behind.
    """

    data: Path = field(default_factory=data_folder)
    database: str | None = None
    database_time: float = 10.0
    jobs: int = 1
    finder: Any = "facemesh"
    witnesses: tuple[Any, ...] = WITNESSES
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    profile: Path | None = None
    backend: str | None = None
    max_body: int = 2_000_000_000
    max_picture: int = MAX_BYTES
    max_pixels: int = MAX_PIXELS
    max_length: float = 3 * 3600.0
    max_queued: int = 10_000
    max_uploads: int = 32
    max_uploads_each: int | None = None
    slot_time: float = 30.0
    max_stored: int | None = None
    reserve: int = 500_000_000
    picture_time: float = 300.0
    film_time: float = 6 * 3600.0
    answer_time: float = 120.0
    upload_time: float = 20.0
    upload_rate: int = 2_000
    upload_longest: float = 3600.0
    wait_time: float = 60.0
    keep_uploads: float | None = 30 * DAY
    keep_reports: float | None = None
    rate: float = 1_200.0
    burst: int = 300
    max_open: int = 200
    hosts: tuple[str, ...] = ()
    attempts: int = 5

    def __post_init__(self) -> None:
        for name in (
            *("jobs", "max_body", "max_picture", "max_pixels", "max_length", "max_queued", "max_uploads"),
            *("picture_time", "film_time", "answer_time", "upload_time", "rate", "burst", "max_open", "attempts"),
            *("slot_time", "upload_longest"),
        ):
            if not getattr(self, name) > 0:
                raise InputError(f"Settings.{name}: expected a number above 0, got {getattr(self, name)!r}")
        for name in ("reserve", "upload_rate", "wait_time"):
            if not getattr(self, name) >= 0:
                raise InputError(f"Settings.{name}: expected a number of at least 0, got {getattr(self, name)!r}")
        for name in ("max_stored", "keep_uploads", "keep_reports"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise InputError(f"Settings.{name}: expected a number of at least 0 or None, got {value!r}")

        if self.max_uploads_each is not None and not self.max_uploads_each > 0:
            raise InputError(
                f"Settings.max_uploads_each: expected a number above 0 or None, got {self.max_uploads_each!r}"
            )

    @property
    def share_of_uploads(self) -> int:
        """Uploads of one caller that are received at one time."""
        share = self.max_uploads_each or max(1, self.max_uploads // 4)
        return min(share, self.max_uploads)

    @property
    def url(self) -> str:
        """The database's URL."""
        return self.database or f"sqlite:///{self.data.absolute() / 'facewitness.sqlite'}"

    def analyzer(self) -> dict[str, Any]:
        """Keyword arguments of `Analyzer`."""
        options = {name: given for name, given in self.options.items() if name != self.backend}
        return {
            "finder": self.finder,
            "witnesses": self.witnesses,
            "options": options,
            "profile": self.profile,
            "reading": {"max_seconds": self.max_length},
        }
