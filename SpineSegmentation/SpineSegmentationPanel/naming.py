"""A name for a centroid that a person has just placed."""

from collections.abc import Mapping

from SpineSegmentationLib.anatomy import COLUMN, Level


def proposed_level(heights: Mapping[str, float], height: float) -> str | None:
    """The level that fits a new centroid between the others; None when no name is free there.

    Above the uppermost and below the lowest vertebra it is the next one of the column; between two it is the first
    free one. The variants T13 and L6 are never proposed, except L6 below L5.

    Args:
        heights: superior coordinate in mm of the vertebrae that have names.
        height: of the new one.
    """
    column = [level for level in COLUMN if level is not Level.T13]
    above = [column.index(Level[name]) for name, other in heights.items() if other > height and name != "T13"]
    below = [column.index(Level[name]) for name, other in heights.items() if other <= height and name != "T13"]
    if above:
        place = max(above) + 1
        free = place < len(column) and (not below or place < min(below))
    else:
        place = min(below, default=column.index(Level.L1) + 1) - 1
        free = place >= 0
    return column[place].name if free else None


def name_new_points(points, heights: Mapping[str, float]) -> None:
    """Gives points that carry the list's automatic label the name of a vertebra.

    Args:
        points: the vtkMRMLMarkupsFiducialNode.
        heights: superior coordinate in mm of the vertebrae that have names.
    """
    heights = dict(heights)
    for number in range(points.GetNumberOfControlPoints()):
        placed = points.GetNthControlPointPositionStatus(number) == points.PositionDefined
        if placed and points.GetNthControlPointLabel(number).startswith(points.GetName()):
            position = [0.0, 0.0, 0.0]
            points.GetNthControlPointPositionWorld(number, position)
            name = proposed_level(heights, position[2])
            if name is not None:
                points.SetNthControlPointLabel(number, name)
                heights[name] = position[2]
