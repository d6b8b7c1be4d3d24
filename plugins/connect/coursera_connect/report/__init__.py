"""Reports on runs: the report page, notices and the summary."""
