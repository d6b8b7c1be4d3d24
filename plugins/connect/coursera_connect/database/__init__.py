"""What is stored where: the DuckDB file or PostgreSQL, and the ledger in it."""
