"""`python -m twinpath`, where the script `twinpath` is not on the PATH."""

from twinpath.cli import main

if __name__ == "__main__":
    main()
