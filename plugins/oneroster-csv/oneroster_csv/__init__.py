"""OneRoster CSV packages: read, checked, masked and written."""
