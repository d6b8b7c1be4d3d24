"""The commands of `connect`: a module parses options, calls what does the work, and prints."""
