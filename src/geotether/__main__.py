"""`python -m geotether` does what `geotether` does."""

from geotether.cli.app import main

if __name__ == "__main__":
    main()
