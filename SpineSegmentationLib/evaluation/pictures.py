"""A picture of a scan with the truth beside the prediction and the errors marked."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import matplotlib
import numpy as np
import SimpleITK as sitk
from PIL import Image, ImageDraw, ImageFont

from ..anatomy import Level
from ..spine import Centroids, Point
from .dataset import Annotation
from .results import ScanResult

MISSED, SURPLUS, MISNAMED = (1.0, 0.15, 0.1), (0.1, 0.65, 1.0), (1.0, 0.2, 0.9)
"""RGB of the errors: truth that was not predicted, prediction where there is no vertebra, the wrong name."""

WHITE = (1.0, 1.0, 1.0)
FONTS = matplotlib.get_data_path() + "/fonts/ttf/"

WINDOW = (-250.0, 1100.0)
"""HU shown as black and as white."""

MARGIN = {"z": 35.0, "front": 45.0, "back": 75.0, "side": 55.0}
"""mm shown round the centroids."""

LONGEST = 1500
"""mm; a limit to the picture when a centroid lies far off."""


@dataclass(frozen=True)
class Plane:
    """A plane bent along the spine, sampled every mm.

    Attributes:
        points: (H, W, 3) LPS mm; the rows go from the head down, the columns along ``axis``.
        axis: 1 for a sagittal plane (columns from front to back), 0 for a coronal one (from right to left).
    """

    points: np.ndarray
    axis: int

    def place(self, position: Point) -> tuple[float, float]:
        """Column and row of a point, projected onto the plane."""
        return position[self.axis] - self.points[0, 0, self.axis], self.points[0, 0, 2] - position[2]


def planes(centroids: np.ndarray) -> tuple[Plane, Plane]:
    """The sagittal and the coronal plane that follow the centroids (N, 3), so that a bent spine is seen whole."""
    order = np.argsort(centroids[:, 2])
    x, y, z = centroids[order].T
    rows = np.arange(z[-1] + MARGIN["z"], z[0] - MARGIN["z"], -1.0)[:LONGEST]
    bent_x, bent_y = np.interp(rows, z, x), np.interp(rows, z, y)
    result = []
    for axis, low, high in ((1, MARGIN["front"], MARGIN["back"]), (0, MARGIN["side"], MARGIN["side"])):
        along = np.arange(centroids[:, axis].min() - low, centroids[:, axis].max() + high, 1.0)
        points = np.empty((len(rows), len(along), 3))
        points[..., 0], points[..., 1], points[..., 2] = bent_x[:, None], bent_y[:, None], rows[:, None]
        points[..., axis] = along
        result.append(Plane(points, axis))
    return result[0], result[1]


def look_up(image: sitk.Image, points: np.ndarray, outside: float) -> np.ndarray:
    """The values of the voxels nearest to points (..., 3) in LPS mm; no copy of the image is made."""
    to_index = np.linalg.inv(np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing())
    index = np.rint((points - image.GetOrigin()) @ to_index.T).astype(int)
    inside = np.all((index >= 0) & (index < image.GetSize()), axis=-1)
    array = sitk.GetArrayViewFromImage(image)
    values = np.full(points.shape[:-1], outside, array.dtype)
    x, y, z = index[inside].T
    values[inside] = array[z, y, x]
    return values


def scan_picture(ct: sitk.Image | None, truth: Annotation, prediction: Annotation, result: ScanResult) -> bytes:
    """A JPEG of four panels: truth and prediction in the sagittal plane, then both in the coronal plane.

    Args:
        ct: shown behind; None leaves the background black.
        truth, prediction: what was read.
        result: their scores, which say what to mark.
    """
    everything = [a.centroids.positions for a in (truth, prediction) if a.centroids]
    if not everything:
        return b""
    panels = []
    for plane in planes(truth.centroids.positions if truth.centroids else everything[0]):
        background = _background(ct, plane)
        truth_labels, predicted_labels = (
            look_up(a.mask, plane.points, 0) if a.mask is not None else np.zeros(background.shape[:2], np.uint8)
            for a in (truth, prediction)
        )
        panels.append((plane, _painted(background, truth_labels), truth, False))
        image = _painted(background, predicted_labels)
        if truth.mask is not None and result.segmentation is not None:
            image = _with_errors(image, truth_labels, predicted_labels)
        panels.append((plane, image, prediction, True))
    return _drawn(panels, truth, result)


def _background(ct: sitk.Image | None, plane: Plane) -> np.ndarray:
    if ct is None:
        return np.full((*plane.points.shape[:2], 3), 0.12)
    low, high = WINDOW
    grey = np.clip((look_up(ct, plane.points, -1000) - low) / (high - low), 0, 1)
    return np.repeat(grey[..., None], 3, axis=2)


def _painted(background: np.ndarray, labels: np.ndarray) -> np.ndarray:
    image = background.copy()
    for level in Level:
        inside = labels == level
        image[inside] = 0.55 * image[inside] + 0.45 * np.array(level.color)
    return image


def _with_errors(image: np.ndarray, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    image = image.copy()
    levels = list(Level)
    is_true, is_predicted = np.isin(truth, levels), np.isin(predicted, levels)
    for wrong, color in (
        (is_true & ~is_predicted, MISSED),
        (~is_true & is_predicted, SURPLUS),
        (is_true & is_predicted & (truth != predicted), MISNAMED),
    ):
        image[wrong] = 0.35 * image[wrong] + 0.65 * np.array(color)
    return image


def _drawn(panels: list[tuple[Plane, np.ndarray, Annotation, bool]], truth: Annotation, result: ScanResult) -> bytes:
    height = max(image.shape[0] for _, image, _, _ in panels)
    scale, gap, top = float(np.clip(620 / height, 1.0, 2.0)), 6, 16
    sizes = [(round(scale * image.shape[1]), round(scale * image.shape[0])) for _, image, _, _ in panels]
    picture = Image.new("RGB", (sum(w for w, _ in sizes) + 3 * gap, max(h for _, h in sizes) + top))
    draw = ImageDraw.Draw(picture)
    plain, bold = (ImageFont.truetype(FONTS + name, 11) for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"))
    left = 0
    for (plane, image, annotation, is_prediction), size in zip(panels, sizes, strict=True):
        panel = Image.fromarray((255 * image).astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
        picture.paste(panel, (left, top))
        title = "prediction" if is_prediction else "truth"
        draw.text((left + size[0] / 2, top / 2), title, "white", plain, anchor="mm")
        for text, position, color in _names(annotation.centroids, truth.centroids, result, is_prediction):
            column, row = np.multiply(plane.place(position), scale)
            if 0 <= column < size[0] and 0 <= row < size[1]:
                _write(draw, plain if color == WHITE else bold, text, (left + column, top + row), color)
        left += size[0] + gap
    buffer = io.BytesIO()
    picture.save(buffer, format="jpeg", quality=82, optimize=True)
    return buffer.getvalue()


def _names(
    centroids: Centroids | None, truth: Centroids | None, result: ScanResult, is_prediction: bool
) -> Iterator[tuple[str, Point, tuple[float, float, float]]]:
    """Text, place and colour of what is written into a panel."""
    labelling = result.labelling if is_prediction else None
    for point in centroids or ():
        color = WHITE
        if labelling is not None and point.level in labelling.extra:
            color = SURPLUS
        elif labelling is not None and not labelling.hits[point.level]:
            color = MISNAMED
        yield point.level.name, point.position, color
    if labelling is not None and truth is not None:
        for level in labelling.missing:
            yield f"no {level.name}", truth[level].position, MISSED


def _write(draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont, text: str, place, color) -> None:
    """A cross at the place and the text beside it; to the left for what is missing, so that both can be read."""
    x, y = place
    ink = tuple(round(255 * part) for part in color)
    draw.line([(x - 4, y), (x + 4, y)], ink)
    draw.line([(x, y - 4), (x, y + 4)], ink)
    at, anchor = ((x - 8, y), "rm") if text.startswith("no ") else ((x + 8, y), "lm")
    draw.text(at, text, ink, font, anchor=anchor, stroke_width=1, stroke_fill="black")
