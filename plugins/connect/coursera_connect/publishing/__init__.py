"""From the tables of the models to a checked OneRoster package."""
