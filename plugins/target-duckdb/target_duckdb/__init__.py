"""A Singer target that loads every record into one DuckDB file."""
