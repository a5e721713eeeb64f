"""What Alembic runs: the changes that a database lacks, on the connection that `tables.upgraded` gives."""

from alembic import context

from facewitness.apps.service.tables import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables,
    render_as_batch=True,  # SQLite changes a table by making it anew
)
with context.begin_transaction():
    context.run_migrations()
