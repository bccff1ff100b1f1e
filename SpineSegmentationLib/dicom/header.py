"""What every DICOM object of ours says of itself, and what is said when the images it refers to say too little."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import highdicom as hd

from .. import __version__
from ..errors import SpineError

MANUFACTURER, MODEL = "Spine Segmentation", "SpineSegmentationLib"

PRIVATE = "99SPINE"
"""The private coding scheme: T13 and L6, which SNOMED CT has no code for, and columns of measures by their name."""


def header(series_number: int, description: str) -> dict[str, Any]:
    """Series, instance and equipment of a new object, a series of its own, as the classes of highdicom take them."""
    return {
        "series_instance_uid": hd.UID(),
        "series_number": series_number,
        "sop_instance_uid": hd.UID(),
        "instance_number": 1,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": MODEL,
        "software_versions": __version__,
        "series_description": description,
    }


@contextmanager
def complete(what: str) -> Iterator[None]:
    """Raises SpineError when highdicom misses something in the images while ``what`` is made of them.

    Its warnings are on how the source writes names, which nobody here can mend.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    except (AttributeError, KeyError, ValueError) as error:
        raise SpineError(f"the images of the series lack what a DICOM {what} needs: {error}") from error
