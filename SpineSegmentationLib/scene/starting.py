"""Start from an existing segmentation of the scene; what our labeller says of its names. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import SpineError
from ..exchange.adopt import Adopted, adopt
from ..exchange.verdict import Verdict, compare
from ..foreign.codes import table_of
from ..grid import Grid
from ..session.engine import Events, Update
from ..session.state import State
from .mrml.foreign import foreign_of
from .mrml.measures import hide_measures
from .mrml.result import Result
from .mrml.segment import set_kept
from .mrml.volume import ct_of
from .scene_session import SceneSession

if TYPE_CHECKING:
    import slicer


def start_from(
    session: SceneSession,
    volume: slicer.vtkMRMLScalarVolumeNode,
    source: slicer.vtkMRMLNode,
    codes: str = "",
    replace: bool = False,
) -> tuple[Result, Adopted]:
    """Makes a result of a volume from a segmentation that is in the scene already; that one stays as it is.

    The segments are kept: no edit and no run writes over them, shifts and renames name them anew, and only those that a
    person gives up (:meth:`SpineLogic.keep` with False) are segmented again. What was found about them is in the
    answer's ``findings`` and ``notes``.

    Args:
        volume: the CT.
        source: a vtkMRMLSegmentationNode or a label map volume.
        codes: what the numbers of a label map mean, see :func:`foreign.codes.table_of`; "" to guess.
        replace: the result that the volume has, once the segmentation was found to be usable.

    Raises:
        SpineError: something runs, the volume has a result already, or the segmentation cannot be used.
    """
    if session.busy:
        raise SpineError("a segmentation runs; wait for it or cancel it")
    scan = ct_of(volume)
    result = Result.of(volume)
    if not replace and (result.segmentation is not None or result.centroids is not None):
        raise SpineError(f"{volume.GetName()} has a result already; delete its nodes to start from a segmentation")
    adopted = adopt(foreign_of(source, table_of(codes) if codes else None), scan)
    if replace:
        clear(session, result)
    record = session._record(result)
    update = Update(State(None, adopted.centroids), dict(adopted.pieces.items()), Grid.of(scan), warnings=adopted.notes)
    with session._writes():
        record.show(update, complete=True)
        for shown in record.segments.shown:
            set_kept(result.segmentation, shown.id, True)
    record.push(update.state)
    record.save(update.state)
    session.on_update(result)
    return result, adopted


def clear(session: SceneSession, result: Result) -> None:
    """Removes what there is of a result, so that another one can be started from a segmentation.

    Raises:
        SpineError: something runs.
    """
    if session.busy:
        raise SpineError("a segmentation runs; wait for it or cancel it")
    hide_measures(result)
    for node in result.nodes:
        session.scene.RemoveNode(node)
    session.forget(result)


def judge(session: SceneSession, result: Result, adopted: Adopted, tell: Callable[[Verdict | None], None]) -> None:
    """Lets the labeller look at the scan and tells its verdict on the names; the nodes stay as they are.

    Nothing is segmented: the run is ended when it has named the vertebrae. With a transport this returns at once.

    Args:
        adopted: what :func:`start_from` gave.
        tell: called once; with None when the labelling failed or was cancelled.
    """
    request = session._begin(result, session._record(result).history.state, label=False)
    told = False

    def end(update: Update | None) -> None:
        nonlocal told
        if told:
            return
        told = True
        if session._request is request:
            session._request = None
        ours = update.state.centroids if update is not None else None
        tell(None if ours is None else compare(adopted.pieces, adopted.centroids, adopted.grid, ours))

    def show(update: Update) -> None:
        if update.state.centroids and not told:
            end(update)
            session._started.cancel()

    def failed(message: str) -> None:
        end(None)

    def progress(stage: str, done: int, total: int, level: str) -> None:
        if not told:
            session.on_progress(result, stage, done, total, level)

    events = Events(progress=progress, show=show, done=end, failed=failed)
    session._run(request, lambda _: session._started.run(State(), True, events))
