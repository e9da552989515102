"""Programs that write files of this repository. Run them by `make`."""
