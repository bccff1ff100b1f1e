"""Where in a folder of results the files of the whole cohort are; those of a scan lie beside them."""

from __future__ import annotations

from pathlib import Path

from ..errors import SpineError

COHORT = "cohort"
RUNS = "runs"
SCANS = "scans.csv"
VERTEBRAE = "vertebrae.csv"
DICTIONARY = "dictionary.csv"
REVIEW = "review"


def cohort_folder(output: Path, *below: str) -> Path:
    """The folder of the cohort's own files, or one below it; made if it is not there.

    Raises:
        SpineError: it cannot be made.
    """
    folder = output.joinpath(COHORT, *below)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpineError(f"{folder} cannot be made: {error.strerror or error}; check the rights of {output}") from error
    return folder
