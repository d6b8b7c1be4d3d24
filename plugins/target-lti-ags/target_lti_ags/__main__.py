"""The command `target-lti-ags`, also as `python -m target_lti_ags`."""

from __future__ import annotations

import os

from target_lti_ags.target import TargetLTIAGS


def main() -> None:
    """Run the command; files that it writes can be read by nobody else."""
    os.umask(0o077)
    TargetLTIAGS.cli()


if __name__ == "__main__":
    main()
