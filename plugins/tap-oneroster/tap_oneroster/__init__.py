"""Singer tap for OneRoster CSV packages."""
