"""What was said of results is done: shifts and renames, without any network, and a list of what needs a person."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from ...anatomy import Level
from ...errors import SpineError
from ...exchange.extras import Extras
from ...grid import Grid
from ...io.ct import read_ct
from ...io.image_files import read_label_map
from ...io.values import read_centroids, read_json
from ...measures.density import Calibration
from ...numbering import Reading
from ...parts import filled
from ...pipeline import Result
from ...resampling import same_grid
from ...results.outputs import write_outputs
from ...session.state import State
from ...spine import Centroids
from ..claim import Claim
from ..results import ScanResult, read_results
from . import verdicts
from .slicer import write_script
from .verdicts import Say, Verdict, current

NAME = re.compile(rf"\b(?:{'|'.join(Level.__members__)})\b")


@dataclass(frozen=True)
class Applied:
    """What was made of the verdicts on one result.

    Attributes:
        verdict: the one that counts; of several that disagree the last.
        done: what was done, in words; empty when nothing was.
        problem: why not, one line.
        script: opens the result in Slicer, where a person must look at it.
    """

    scan: str
    verdict: Verdict
    done: str = ""
    problem: str = ""
    script: Path | None = None


def apply_review(output: Path, progress: Callable[[str], None] = lambda line: None) -> tuple[list[Applied], list[str]]:
    """Carries out what was said of the results in a folder; each result is changed as a whole or not at all.

    Verdicts on a result that was replaced since do not count, so nothing is done twice. Results that are right and
    those that were renamed say so in their run file from then on. Those that are wrong, and those on which reviewers
    disagree, stay as they are.

    Returns:
        what was made of each, and what could not be read, one line each.

    Raises:
        SpineError: a file of verdicts cannot be read, or a script cannot be written.
    """
    results, problems = read_results(output)
    by_name = {result.name: result for result in results}
    said, lines = verdicts.read(output)
    counted = current(said, {name: result.digest for name, result in by_name.items()})
    applied = []
    for scan, mine in sorted(counted.items()):
        progress(scan)
        applied.append(_apply(by_name[scan], mine))
    return applied, [*problems, *lines]


def _apply(result: ScanResult, mine: list[Verdict]) -> Applied:
    verdict, output = mine[-1], result.folder
    if any(not other.agrees_with(verdict) for other in mine):
        who = " and ".join(sorted(other.reviewer for other in mine))
        return Applied(
            result.name, verdict, problem=f"{who} disagree", script=write_script(output, result.name)
        )  # fmt: skip
    if verdict.say is Say.WRONG:
        return Applied(result.name, verdict, problem="wrong", script=write_script(output, result.name))
    try:
        return Applied(result.name, verdict, done=_carry_out(result, verdict))
    except SpineError as error:
        return Applied(result.name, verdict, problem=str(error))


def _carry_out(result: ScanResult, verdict: Verdict) -> str:
    """Writes the files of a result anew as a reviewer named it."""
    claim = Claim.take(result.folder, result.name)
    if claim is None:
        raise SpineError(f"{result.name}: another process is at it; apply the review again later")
    try:
        if result.digest != verdict.result:
            raise SpineError(f"{result.name} has another result now; review it again")
        content, given = result.content, result.run["given"]
        if content is None or not content.is_of(result.scan):
            raise SpineError(f"{result.scan} is not the scan any more that the result of {result.name} is of")
        scan = read_ct(result.scan, series=given["series"], force=given["force"])
        old = read_centroids(result.centroids, scan.image)
        new = renamed(old, verdict)
        label_map = read_label_map(result.label_map)
        if not same_grid(label_map, scan.image):
            raise SpineError(f"{result.label_map} does not lie on the grid of {result.scan}")
        part = filled(label_map)
        names = {before: after for before, after in zip(old.levels, new.levels, strict=True) if before != after}
        changed = sitk.ChangeLabel(part, {int(before): int(after) for before, after in names.items()})
        review = {"verdict": verdict.say.value, "reviewer": verdict.reviewer, "time": verdict.time}
        run = {
            **read_json(result.run_file),
            "centroids": [level.name for level in new.levels],
            "review": {**review, "note": verdict.note, "of": verdict.result, "names_before": _names(old.levels)},
        }
        now = {before.name: after.name for before, after in zip(old.levels, new.levels, strict=True)}
        sure = {now.get(level, level): value for level, value in run.get("mask_confidence", {}).items()}
        run["mask_confidence"] = sure
        if names:
            # "L1: look at its mask" is said of one vertebra, whatever its name; the verdicts are on names that are
            # gone, and what names a vertebra that was not there is about the names, too.
            adopted = run.get("adopted") or {}
            compared = adopted.get("verdict") or {"sentence": "", "findings": ()}
            gone = {compared["sentence"], *(one["text"] for one in compared["findings"])}
            gone |= {result.numbering.sentence} if result.numbering else set()
            notes = adopted.get("notes", ())
            said = [
                line if line in notes else NAME.sub(lambda name: now[name[0]], line)
                for line in run["warnings"]
                if line in notes or (line not in gone and now.keys() >= {*NAME.findall(line)})
            ]
            run |= {"numbering": None, "warnings": said}
        complete = {
            Level[now[row["label"]]]: row["completeness"] == "complete"
            for row in result.measured()
            if row["label"] in now
        }
        extras = Extras.of_names(given.get("extras", ()))
        algorithm = f"Spine Segmentation, {run['system']}"
        more = extras.writers(result.name, scan, changed, new, algorithm, by_hand=True)
        calibration = Calibration(*given["calibration"]) if given.get("calibration") else None
        named = Result(
            None,
            new,
            changed,
            Grid.of(scan.image),
            complete=complete,
            mask_confidence={Level[level]: value for level, value in sure.items()},
        )
        write_outputs(result.folder, result.name, "segmentation", scan, named, run, more, calibration)
        # Files called after a vertebra: none may keep a name that it has no more.
        for level in set(old.levels) - set(new.levels):
            for file in (f"{result.name}_{level.name}.{extras.surfaces}", f"{result.name}_frame-{level.name}.tfm"):
                (result.folder / file).unlink(missing_ok=True)
    finally:
        claim.release()
    return f"{_names(old.levels)} -> {_names(new.levels)}" if names else "right"


def renamed(centroids: Centroids, verdict: Verdict) -> Centroids:
    """The centroids as a reviewer named them; those of a column that is right keep their verdict, but are sure now.

    Raises:
        SpineError: the column ends before that shift, or another number of names.
    """
    levels: tuple[Level, ...] = centroids.levels
    if verdict.say is Say.SHIFT:
        levels = State(None, centroids).shifted(verdict.by).centroids.levels
    elif verdict.say is Say.NAMES:
        levels = verdict.levels
    if len(levels) != len(centroids):
        raise SpineError(f"{verdict.scan} has {len(centroids)} vertebrae, and {len(levels)} names were given")
    named = centroids.read_as(Reading(levels, 1.0))
    return Centroids(named.points, centroids.numbering) if levels == centroids.levels else named


def _names(levels: tuple[Level, ...]) -> str:
    return " ".join(level.name for level in levels)
