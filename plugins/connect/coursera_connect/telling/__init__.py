"""What people are told of a run: the page, notices, the summary."""
