"""The tests. `support` holds what several of them share; test files find it as `tests.support`."""
