"""The way of a package to its receiver."""
