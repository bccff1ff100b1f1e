"""Seconds from an edit to the updated result, and of the whole pipeline: python benchmarks/edits.py [CT CENTROIDS]

Without files: a phantom of 512 x 512 x 275 voxels with 13 vertebrae, and its true centroids. First in one process, up
to the new label map; then, when slicer-core is there, through the worker up to the updated segments of a scene, as in
Slicer, and how long the thread of the scene was held at once.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Testing"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.cache import Cache
from SpineSegmentationLib.io.ct import read_ct
from SpineSegmentationLib.io.values import read_centroids
from SpineSegmentationLib.measures.column import measure
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.session.client import SubprocessTransport
from SpineSegmentationLib.session.session import Session
from SpineSegmentationLib.spine import Centroids


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def report(name: str, taken: list[float]) -> None:
    print(f"{name:24}{statistics.median(taken):7.3f} s   ({len(taken)} times, {min(taken):.3f} to {max(taken):.3f})")


def places(start: tuple[float, float, float], count: int = 5) -> list[tuple[float, float, float]]:
    """Where a person drags a centroid to."""
    return [tuple(np.add(start, (0.5 * step, -0.3 * step, 0.7 * step))) for step in range(1, count + 1)]


def free(centroids: Centroids) -> Level:
    """A name that the uppermost vertebra can get."""
    return COLUMN[centroids.levels[0].rank - 1]


def in_one_process(ct: sitk.Image, centroids: Centroids) -> None:
    pipeline = Pipeline()
    pipeline.run(ct, until="labelling")
    report("whole pipeline", [seconds(lambda: pipeline.run(ct))])
    session = Session(ct, pipeline)
    session.run(centroids=centroids)
    middle = centroids.points[len(centroids) // 2]

    def edited(edit: Callable[[], object]) -> float:
        return seconds(lambda: (edit(), session.label_map))

    report("moved centroid", [edited(lambda p=p: session.move(middle.level, p)) for p in places(middle.position)])
    known: Cache = Cache(100)

    def measured() -> float:
        label_map, start = session.label_map, time.process_time()
        measure(ct, label_map, session.state.centroids, known=known)
        return time.process_time() - start

    report("measured (processor)", [measured()])
    anew = [(session.move(middle.level, place), measured())[1] for place in places(middle.position)]
    report("measured anew", anew)
    report("rename", [edited(lambda: session.rename(centroids.levels[0], free(centroids)))])
    report("shift", [edited(lambda by=by: session.shift(by)) for by in (1, -1, -1)])
    report("undo", [edited(session.undo) for _ in range(9)])


class Application:
    """A scene, the worker, and an event loop that notes how long it was held."""

    def __init__(self, ct: sitk.Image) -> None:
        from scenes import add_volume, new_scene

        from SpineSegmentationLib.scene.logic import SpineLogic

        self.transport, self.held, self.messages = SubprocessTransport(), [], []
        self.scene = new_scene()
        self.volume = add_volume(self.scene, ct)
        self.logic = SpineLogic(self.scene, lambda: self.transport)
        self.logic.on_error = lambda result, message: self.messages.append(message)

    def until_done(self, action: Callable[[], object]) -> float:
        start = time.perf_counter()
        self.held.append(seconds(action))
        while self.logic.busy:
            time.sleep(0.001)
            self.held.append(seconds(lambda: self.transport.pump(0)))
        if self.messages:
            sys.exit(self.messages[0])
        return time.perf_counter() - start


def in_a_scene(ct: sitk.Image, centroids: Centroids) -> None:
    from SpineSegmentationLib.scene.mrml.coordinates import flipped
    from SpineSegmentationLib.scene.mrml.points import show_centroids

    application = Application(ct)
    logic = application.logic
    results = []
    start = application.until_done(lambda: results.append(logic.process(application.volume)))
    (result,) = results
    report("start and whole pipeline", [start])
    held = [max(application.held)]

    def exact() -> None:
        show_centroids(result.centroids, centroids)
        logic.applyEdits(result)

    application.until_done(exact)
    application.held.clear()
    middle = centroids.points[len(centroids) // 2]

    def drag(place: tuple[float, float, float]) -> None:
        number = result.centroids.GetControlPointIndexByLabel(middle.level.name)
        result.centroids.SetNthControlPointPositionWorld(number, flipped(place))
        logic.applyEdits(result)

    until = application.until_done
    report("moved centroid", [until(lambda p=p: drag(p)) for p in places(middle.position)])
    report("rename", [until(lambda: logic.rename(result, centroids.levels[0].name, free(centroids).name))])
    report("shift", [until(lambda by=by: logic.shift(result, by)) for by in (1, -1, -1)])
    report("undo", [until(lambda: logic.undo(result)) for _ in range(9)])
    held.append(max(application.held))
    print(f"thread of the scene held at most {held[0]:.3f} s in the first run, {held[1]:.3f} s in edits")
    logic.close()


def main() -> None:
    if len(sys.argv) > 1:
        ct = read_ct(sys.argv[1]).image
        centroids = read_centroids(sys.argv[2], ct)
    else:
        # Drawn on half as many voxels along x and y, as only their number counts here.
        phantom = make_phantom(PhantomSpec(first=Level.T5, last=Level.L5), (1.4, 1.4, 1.4), (256, 256, 275))
        ct, centroids = sitk.Expand(phantom.ct, (2, 2, 1)), phantom.centroids
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    size = " x ".join(map(str, ct.GetSize()))
    print(f"{size} voxels, {len(centroids)} vertebrae; {os.cpu_count()} cores, {torch.get_num_threads()} threads{load}")
    print("\nin one process, up to the label map")
    in_one_process(ct, centroids)
    try:
        import slicer  # noqa: F401
    except ImportError:
        return
    print("\nthrough the worker, up to the segments of a scene")
    in_a_scene(ct, centroids)


if __name__ == "__main__":
    main()
