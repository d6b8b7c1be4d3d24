"""What an administrator sets up: the connection, schools, attributes, people, items, grades."""
