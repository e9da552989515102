"""Measures of accuracy. Pure NumPy."""
