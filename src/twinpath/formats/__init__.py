"""Read and write results and annotations in files. No torch."""
