"""Runs of jobs: the journal of runs, the process that watches a run, and how a run ended that nobody watched."""
