"""Results and annotations, to files and back. No torch."""
