"""Runs of jobs: the journal that knows each of them, how a run that nobody watched ended, and who watches one."""
