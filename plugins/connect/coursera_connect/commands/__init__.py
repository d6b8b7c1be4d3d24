"""One module per group of verbs: options in, a call of the module that does the work, a screen out."""
