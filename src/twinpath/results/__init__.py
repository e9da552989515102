"""Results of recognition as plain data. No torch, no files."""
