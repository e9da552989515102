"""Labelled clips: what to learn from, and what to measure with."""
