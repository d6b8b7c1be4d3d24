"""Notices of the end of a run: to a webhook, and to people."""
