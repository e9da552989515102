"""Configurations of PySlowFast as recipes of ours."""
