"""The set-up of an environment: connection, schools, attributes, people, items, grades, settings."""
