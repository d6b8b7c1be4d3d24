"""The warehouse, a DuckDB file or PostgreSQL, and the ledger in it."""
