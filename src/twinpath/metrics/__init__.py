"""Accuracy metrics. Pure NumPy."""
