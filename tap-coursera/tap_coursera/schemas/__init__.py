"""One JSON schema per stream; the file is called like the stream."""
