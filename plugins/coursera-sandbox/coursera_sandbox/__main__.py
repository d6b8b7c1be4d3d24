"""The command `coursera-sandbox`, also as `python -m coursera_sandbox`."""

from __future__ import annotations

import os

from coursera_sandbox import cli

_OTHERS = 0o007


def main() -> None:
    """Run the command; other users of the machine cannot read what it writes, by a umask that keeps them out."""
    umask = os.umask(0o077)
    if umask & _OTHERS == _OTHERS:
        os.umask(umask)
    cli.main()


if __name__ == "__main__":
    main()
