"""Untrusted files, read in a process with limits."""
