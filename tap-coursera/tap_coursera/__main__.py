"""The command `tap-coursera`, also as `python -m tap_coursera`."""

from __future__ import annotations

from tap_coursera.stopping import Stopped, stop


def main() -> None:
    """Run the command until it is done, or told to end."""
    stop.watch()
    try:
        # It takes a moment, in which the command may be told to end already.
        from tap_coursera.tap import TapCoursera  # noqa: PLC0415

        TapCoursera.cli()
    except Stopped as stopped:
        stopped.tell()
        raise
    finally:
        stop.forget()


if __name__ == "__main__":
    main()
