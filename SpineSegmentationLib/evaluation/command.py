"""The evaluation of folders of predictions against a folder of truth, from files to report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import SimpleITK as sitk

from ..anatomy import COLUMN
from ..errors import SpineError
from ..io.given import made_on
from ..io.image_files import read_volume
from ..resampling import shear, upright
from .confidence import confidence_table
from .dataset import Annotation, ScanFiles, find_scans, levels_of_mask, prediction_of, read_annotation
from .evaluation import Evaluation
from .pictures import scan_picture
from .ranking import rank
from .report import write_report
from .results import ScanResult, score_scan
from .tables import all_tables

Progress = Callable[[str, int, int], None]
"""Called with the scan's name, its number from 1, and the number of scans, before the scan is read."""


def evaluate(
    truth: Path,
    predictions: Mapping[str, Path],
    report: Path,
    challenge: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Score predictions, compare the methods and write the report (:func:`.report.write_report`).

    Args:
        truth, predictions, challenge, progress: as for :func:`score_folders`.
        report: where to write: a folder, or the name of the HTML file.

    Raises:
        SpineError: as :func:`score_folders`, or the report cannot be written.
    """
    evaluation = score_folders(truth, predictions, challenge, progress)
    write_report(evaluation, Path(report))
    return evaluation


def score_folders(
    truth: Path, predictions: Mapping[str, Path], challenge: bool = False, progress: Progress | None = None
) -> Evaluation:
    """Score predictions and compare the methods.

    A prediction that is missing, damaged or on another grid never stops the evaluation: its scan counts as one on
    which nothing was predicted, and a message says why. A scan whose truth cannot be read is left out, with a message.

    Args:
        truth: a folder in one of the layouts of :mod:`.dataset`. Sub-folders such as VerSe's ``02_validation`` and
            ``03_test`` are data sets of their own.
        predictions: for every method its folder.
        challenge: put 1000 mm and 100 mm for missing vertebrae and rank by all four measures, as in 2019.
        progress: called before every scan.

    Raises:
        SpineError: a folder is not there or holds nothing of use, no prediction of a method fits any scan, or no truth
            could be read.
    """
    scans = find_scans(Path(truth))
    folders = {method: find_scans(Path(folder), predictions=True) for method, folder in predictions.items()}
    if not folders:
        raise SpineError("no predictions given; name at least one folder: NAME=DIR")
    messages: list[str] = []
    tasks = {}
    for method, found in folders.items():
        tasks[method] = _tasks(method, predictions[method], scans, found, messages)

    results: list[ScanResult] = []
    pictures: dict[tuple[str, str, str], bytes] = {}
    for number, scan in enumerate(scans, start=1):
        if progress:
            progress(scan.name, number, len(scans))
        ct, annotation = _read_truth(scan, messages)
        if annotation is None:
            continue
        for method, found in folders.items():
            prediction = _read_prediction(scan, _of(scan, scans, found), annotation.mask, ct)
            result = score_scan(method, scan.dataset, scan.name, annotation, prediction, tasks[method])
            results.append(result)
            pictures[method, scan.dataset, scan.name] = scan_picture(ct, annotation, prediction, result)
            messages += [f"{method}: {line}" for line in (*result.failures, *result.notes)]
    if not results:
        raise SpineError(f"{truth} holds no scan that could be scored: {messages[0]}")

    ranking = rank(results, challenge) if len(folders) > 1 else None
    tables = all_tables(results, ranking, challenge)
    if (confidence := confidence_table(results)).rows:
        tables.append(confidence)
    return Evaluation(tuple(results), tuple(tables), ranking, pictures, tuple(messages), challenge)


def _tasks(
    method: str, folder: Path, scans: list[ScanFiles], found: list[ScanFiles], messages: list[str]
) -> frozenset[str]:
    """What a method takes part in: labelling, and segmentation if it delivered any mask."""
    candidates: list[ScanFiles | None] = []
    for scan in scans:
        try:
            candidates.append(prediction_of(scan, _of(scan, scans, found)))
        except SpineError:
            candidates += [prediction for prediction in found if prediction.plain_name == scan.plain_name]
    used = [prediction for prediction in candidates if prediction is not None]
    if not used:
        raise SpineError(
            f"{folder}: none of its {len(found)} predictions ({found[0].name}, ...) is named as a scan of the truth "
            f"({scans[0].name}, ...)"
        )
    names = {prediction.name for prediction in used}
    if unused := [prediction.name for prediction in found if prediction.name not in names]:
        messages.append(f"{method}: {len(unused)} predictions belong to no scan of the truth: {', '.join(unused[:8])}")
    return frozenset({"labelling"} | ({"segmentation"} if any(p.mask for p in used) else set()))


def _of(scan: ScanFiles, scans: list[ScanFiles], found: list[ScanFiles]) -> list[ScanFiles]:
    """Predictions that may be of a scan: of its very name; where no other scan has that plain name, others, too."""
    alike = {one.name for one in scans if one.plain_name == scan.plain_name}
    return [one for one in found if one.name == scan.name or len(alike) == 1]


def _read_truth(scan: ScanFiles, messages: list[str]) -> tuple[sitk.Image | None, Annotation | None]:
    """The CT, None if there is none to be read, and the truth, None if it cannot be scored against."""
    ct = None
    if scan.ct:
        try:
            ct = read_volume(scan.ct, messages)
        except SpineError as error:
            messages.append(f"truth: {error}; shown without the CT")
    truth = read_annotation(scan, ct)
    messages += [f"truth: {line}" for line in (*truth.problems, *truth.notes)]
    masked = levels_of_mask(truth.mask) if truth.mask is not None else set()
    if not masked:
        truth = replace(truth, mask=None)
    if not masked and not truth.centroids:
        messages.append(f"truth: {scan.name} is left out: no annotated vertebra could be read")
        return ct, None
    if masked and truth.centroids and masked != set(truth.centroids.levels):
        differing = ", ".join(level.name for level in COLUMN if level in masked ^ set(truth.centroids.levels))
        messages.append(f"truth: {scan.name} has {differing} in only one of mask and centroids")
    return ct, truth


def _read_prediction(
    scan: ScanFiles, found: list[ScanFiles], mask: sitk.Image | None, ct: sitk.Image | None
) -> Annotation:
    """The voxels of centroids alone are those of the CT that was given to the method, where it is there.

    Our own of a tilted scan are those of the upright grid.
    """
    try:
        files = prediction_of(scan, found)
    except SpineError as error:
        return Annotation(problems=(str(error),))
    if files is None:
        return Annotation(problems=(f"{scan.name}: no prediction",))
    grid = mask if files.mask or ct is None else ct
    if grid is not None and grid is ct and files.centroids and shear(ct) > 0.05:
        stood_up = upright(ct)
        grid = stood_up if made_on(files.centroids, stood_up) else ct
    return read_annotation(files, grid)
