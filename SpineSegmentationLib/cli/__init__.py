"""The command line, the only one that prints; one file per command. Imported by ``__main__`` alone."""

from .program import main, run

__all__ = ["main", "run"]
