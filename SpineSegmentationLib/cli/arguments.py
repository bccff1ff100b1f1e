"""The options that several commands share, and the types of what is given to them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..anatomy import Level
from ..errors import SpineError
from ..systems import DEFAULT, ROLES, SYSTEMS, known

if TYPE_CHECKING:
    from ..exchange.extras import Extras
    from ..measures.density import Calibration


def add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")


def add_scans(parser: argparse.ArgumentParser) -> None:
    """The scans to read, how they are read, and where what is made of them goes."""
    parser.add_argument(
        "input", type=Path, nargs="+", metavar="INPUT", help="CT file, DICOM folder, or a folder of these"
    )
    add_output(parser)
    parser.add_argument("--series", metavar="UID", help="the series to take from a DICOM folder")
    parser.add_argument(
        "--force", action="store_true", help="take the values as Hounsfield units, whatever they look like"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that are there already")


def add_shard(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shard", metavar="I/N", help="only the I-th of N shares of the scans; all shares may run at the same time"
    )


def _system(name: str) -> str:
    try:
        known(name)
    except SpineError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return name


def add_system(parser: argparse.ArgumentParser, last: str) -> None:
    """The system, its stages up to the role ``last`` one by one, and the device."""
    parser.add_argument("--system", default=DEFAULT, type=_system, metavar="|".join(SYSTEMS))
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda|cuda:N")
    for role in ROLES[: ROLES.index(last) + 1]:
        parser.add_argument(f"--{role}", metavar="NAME", help=f"this {role} instead of the system's own")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="weights that train wrote, before the shipped ones")
    if last != "detector":
        parser.add_argument(
            "--assume-usual", action="store_true", help="name no T13 and no L6, and let no T12 be missing"
        )


def add_box(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--box", metavar="x0,y0,z0,x1,y1,z1", help="use this spine box (LPS mm), detect none")


def add_extras(parser: argparse.ArgumentParser) -> None:
    """What is written besides, for other programs."""
    parser.add_argument("--dicom-seg", action="store_true", help="the label map as DICOM SEG, too")
    parser.add_argument("--dicom-sr", action="store_true", help="the measurements as DICOM SR, too, and the SEG")
    parser.add_argument(
        "--surfaces", choices=("stl", "ply", "obj", "vtp"), default="", help="a surface of each vertebra, too (LPS mm)"
    )
    parser.add_argument("--report", action="store_true", help="names, picture, measures and plots on one page, too")
    parser.add_argument("--pdf", action="store_true", help="that page as PDF, too")
    parser.add_argument("--bodies", action="store_true", help="a label map of the bodies without their arches, too")
    parser.add_argument(
        "--transforms", action="store_true", help="the frame of each vertebra as a transform for Slicer and ITK, too"
    )
    parser.add_argument(
        "--calibration",
        type=_calibration,
        metavar="SLOPE,INTERCEPT",
        help="of a density phantom: SLOPE * HU + INTERCEPT = mg/cm3",
    )
    parser.add_argument("--points", type=_points, default=(), metavar="mrk.json,csv", help="the centroids so, too")


def extras_of(arguments: argparse.Namespace) -> Extras:
    """What these options ask for."""
    from ..exchange.extras import Extras

    return Extras(
        arguments.dicom_seg,
        arguments.dicom_sr,
        arguments.surfaces,
        arguments.points,
        arguments.report,
        arguments.pdf,
        arguments.bodies,
        arguments.transforms,
    )


def _points(text: str) -> tuple[str, ...]:
    kinds = tuple(text.split(","))
    if not set(kinds) <= {"mrk.json", "csv"}:
        raise argparse.ArgumentTypeError(f"{text!r} is not mrk.json, csv or both with a comma between")
    return kinds


def _calibration(text: str) -> tuple[float, float]:
    try:
        slope, intercept = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not SLOPE,INTERCEPT, such as 0.82,-3.5") from None
    return slope, intercept


def calibration_of(arguments: argparse.Namespace) -> Calibration | None:
    """The calibration of the density that was given.

    Raises:
        SpineError: no positive slope.
    """
    from ..measures.density import Calibration

    return Calibration(*arguments.calibration) if arguments.calibration else None


def levels(text: str) -> tuple[Level, ...]:
    """``L3,L4``."""
    try:
        return tuple(Level.parse(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def named_folder(text: str) -> tuple[str, Path]:
    """``NAME=DIR``."""
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIR")
    return name, Path(folder)


def spacing(text: str) -> tuple[float, ...]:
    """``x,y,z`` in mm."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 3 or not all(0.1 <= number <= 10 for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is not x,y,z with 0.1 to 10 mm each")
    return numbers


def count(text: str) -> int:
    """A number of 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return int(text)
