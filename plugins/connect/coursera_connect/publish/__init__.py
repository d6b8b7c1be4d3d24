"""Makes a checked OneRoster package from the tables of the models."""
