"""The command `connect`, also as `python -m coursera_connect`."""

from __future__ import annotations

from coursera_connect import private_files
from coursera_connect.cli.main import main as command


def main() -> None:
    """Run the command; other users of the machine cannot read what it, and the rest of the project, writes."""
    private_files.keep()
    command()


if __name__ == "__main__":
    main()
