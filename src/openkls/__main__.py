"""`python -m openkls`: the command line."""

from openkls.cli import main

if __name__ == "__main__":
    main()
