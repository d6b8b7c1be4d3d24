"""Delivers a package to its receiver."""
