"""Multigrid training (Wu et al. 2020, arXiv:1912.00998): small clips in large batches first. No torch."""
