"""The segments of a result as they are now, whoever painted them."""

from __future__ import annotations

from ...anatomy import Bone
from ...cache import Cache
from ...errors import SpineError
from ...grid import Grid
from ...segmentation.mask import Piece
from .result import Result
from .segment import LABEL_MAP, ShownSegment, piece_of, resampled_piece_of, segments_of
from .segmentation import grid_of


class CurrentSegments:
    """Reads the segments of a result; what was not painted since it was read is not read again."""

    def __init__(self, result: Result) -> None:
        self._result = result
        self._digests: Cache[str] = Cache(500)

    @property
    def shown(self) -> list[ShownSegment]:
        """Those of vertebrae, in their order."""
        return segments_of(self._result.segmentation) if self._result.segmentation else []

    @property
    def edited(self) -> list[Bone]:
        """Levels whose segment is kept, or was painted since it was last written."""
        return [shown.level for shown in self.shown if shown.kept or self._digest(shown) != shown.digest]

    @property
    def signature(self) -> str:
        """Tells whether measurements still belong to the segments."""
        return ",".join(f"{shown.level.name}:{self._digest(shown)}" for shown in self.shown)

    def piece(self, level: Bone) -> Piece:
        """The voxels of a vertebra that has a segment.

        Raises:
            SpineError: the segmentation has no geometry any more.
        """
        grid = self._grid()
        shown = next(shown for shown in self.shown if shown.level == level)
        piece = piece_of(self._result.segmentation, shown.id, grid)
        return resampled_piece_of(self._result.segmentation, shown.id, grid) if piece is None else piece

    def pieces(self) -> tuple[dict[Bone, Piece], Grid]:
        """All voxels, those that a person painted last, so that they win where two overlap.

        Raises:
            SpineError: there is no segment, or as :meth:`piece`.
        """
        segments = self.shown
        if not segments:
            raise SpineError("there is no segmentation; apply first")
        painted = self.edited
        segments.sort(key=lambda shown: shown.level in painted)
        return {shown.level: self.piece(shown.level) for shown in segments}, self._grid()

    def _grid(self) -> Grid:
        grid = grid_of(self._result.segmentation)
        if grid is None:
            raise SpineError("the segmentation has lost the geometry of its scan; undo that, or delete it and apply")
        return grid

    def _digest(self, shown: ShownSegment) -> str:
        node = self._result.segmentation
        assert node is not None  # it shows the segment
        segment = node.GetSegmentation().GetSegment(shown.id)
        image = segment.GetRepresentation(LABEL_MAP)

        def compute() -> str:
            grid = grid_of(node)
            piece = piece_of(node, shown.id, grid) if grid is not None else None
            return "" if piece is None else piece.digest

        # Times of modification are never given twice.
        return self._digests.get((image.GetMTime() if image else 0, segment.GetLabelValue()), compute)
