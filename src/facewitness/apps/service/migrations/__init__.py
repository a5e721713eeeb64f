"""Changes of the database's form since its first one; `tables.upgraded` runs them (Alembic)."""
