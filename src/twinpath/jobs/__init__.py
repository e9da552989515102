"""One use case over many inputs: outputs, resume, failures, progress."""
