"""Singer tap for the Coursera Enterprise API."""
