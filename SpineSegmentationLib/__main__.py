"""``python -m SpineSegmentationLib``; see :mod:`.cli`."""

from .cli import run

if __name__ == "__main__":
    run()
