"""The command `tap-oneroster`, also as `python -m tap_oneroster`."""

from __future__ import annotations

from tap_oneroster.tap import TapOneRoster


def main() -> None:
    """Run the command."""
    TapOneRoster.cli()


if __name__ == "__main__":
    main()
