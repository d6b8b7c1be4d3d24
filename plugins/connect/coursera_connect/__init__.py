"""The operator's command of Coursera Connect."""
