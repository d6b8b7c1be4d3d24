"""The command `oneroster-csv`, also as `python -m oneroster_csv`."""

from oneroster_csv.cli import main

if __name__ == "__main__":
    main()
