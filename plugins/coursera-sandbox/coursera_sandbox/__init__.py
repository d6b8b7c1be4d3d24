"""The Coursera Enterprise API on this machine, answering from a made-up college that is computed from a seed."""

from __future__ import annotations

__version__ = "0.1.0"
