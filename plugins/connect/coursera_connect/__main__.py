"""`python -m coursera_connect` is `connect`."""

from coursera_connect.cli import main

main()
