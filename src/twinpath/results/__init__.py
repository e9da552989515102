"""What recognition answers, as plain data. No torch, no files."""
