"""The tables of a server's database, and the way to their newest form.

`migrations/versions/` holds one file for each change since the first form; `upgraded` runs those that a database lacks.
Times are seconds since 1970 (UTC), so that SQLite and PostgreSQL sort them alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

FOLDER = Path(__file__).with_name("migrations")

# Names of constraints are fixed, so that a later migration can name them on every database.
tables = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

analyses = Table(
    "analyses",
    tables,
    Column("id", String(32), primary_key=True),
    Column("owner", String(100)),  # the name that the caller's key is for; None where no key was needed
    Column("repeat", String(200)),  # the caller's Idempotency-Key
    Column("name", Text, nullable=False),  # the file's name as it was given
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("kind", String(10), nullable=False),  # picture or film
    Column("reading", Text, nullable=False),  # JSON: keyword arguments of media.read for this file
    Column("case_name", Text, nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
    Column("state", String(10), nullable=False),  # queued, running, done, failed, cancelled
    Column("label", String(12)),  # of the report's verdict, or its status
    Column("fake", Float),
    Column("error", Text),  # why there is no report
    Column("step", String(10)),  # how far it is
    Column("done", Float),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("runner", String(64)),  # the server that works on it
    Column("lease", Float),  # until when that server is believed to live
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("finished", Float),
    UniqueConstraint("owner", "repeat"),
)
Index(None, analyses.c.state, analyses.c.created)
Index(None, analyses.c.owner, analyses.c.created)
Index(None, analyses.c.sha256)

reports = Table(
    "reports",
    tables,
    Column("id", String(32), ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True),
    Column("report", LargeBinary, nullable=False),  # one line of facewitness.report/2
    Column("landmarks", LargeBinary),  # which do not travel in it: an .npz with an array for each face
)

turns = Table(
    "turns",
    tables,
    Column("analysis", String(32), ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("asked", Text, nullable=False),  # JSON: the question as it came
    Column("answered", Text, nullable=False),  # JSON: the answer as it went
    Column("memory", Text, nullable=False),  # JSON: whom and what the conversation speaks of from here on
    Column("created", Float, nullable=False),
)

keys = Table(
    "keys",
    tables,
    Column("id", String(16), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("sha256", String(64), nullable=False),  # of the secret, which has 256 random bits
    Column("created", Float, nullable=False),
    Column("expires", Float),
    Column("revoked", Float),
    Column("used", Float),
)


def upgraded(engine: Engine) -> None:
    """Bring a database to the newest form, an empty one too. Raises what SQLAlchemy raises where it cannot be had."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    with engine.begin() as connection:
        _one_at_a_time(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _one_at_a_time(connection: Any) -> None:
    """Two servers that start at once: one of them upgrades, the other waits for it."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7193001)")
