"""How right answers are, in numbers: pure NumPy."""
