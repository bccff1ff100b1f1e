"""A picture of a scan with the truth beside the prediction and the errors marked."""

from __future__ import annotations

import io
from collections.abc import Iterator

import matplotlib
import numpy as np
import SimpleITK as sitk
from PIL import Image, ImageDraw, ImageFont

from ..anatomy import Level
from ..pictures.snapshot import WINDOW, Plane, look_up, planes
from ..spine import Centroids, Point, SpineBox
from .dataset import Annotation
from .results import ScanResult

MISSED, SURPLUS, MISNAMED = (1.0, 0.15, 0.1), (0.1, 0.65, 1.0), (1.0, 0.2, 0.9)
"""RGB of the errors: truth that was not predicted, prediction where there is no vertebra, the wrong name."""

WHITE = (1.0, 1.0, 1.0)
FONTS = matplotlib.get_data_path() + "/fonts/ttf/"

TALLEST = 640
"""Pixels; taller pictures are made smaller."""


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
    shown = truth.centroids.positions if truth.centroids else everything[0]
    image = next((image for image in (ct, truth.mask, prediction.mask) if image is not None), None)
    box = SpineBox.of_image(image) if image is not None else SpineBox.around(shown, (60.0,) * 3, (60.0,) * 3)
    panels = []
    for plane in planes(shown, box):
        background = _background(ct, plane)
        truth_labels, predicted_labels = (
            look_up(a.mask, plane.points, 0) if a.mask is not None else np.zeros(background.shape[:2], np.uint8)
            for a in (truth, prediction)
        )
        panels.append((plane, _painted(background, truth_labels), truth, False))
        panel = _painted(background, predicted_labels)
        if truth.mask is not None and result.segmentation is not None:
            panel = _with_errors(panel, truth_labels, predicted_labels)
        panels.append((plane, panel, prediction, True))
    return _drawn(panels, truth, result)


def _background(ct: sitk.Image | None, plane: Plane) -> np.ndarray:
    if ct is None:
        return np.full((*plane.points.shape[:2], 3), 0.12)
    low, high = WINDOW
    grey = np.clip((look_up(ct, plane.points, -1024) - low) / (high - low), 0, 1)
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
        image[wrong] = 0.45 * image[wrong] + 0.55 * np.array(color)
    return image


def _drawn(panels: list[tuple[Plane, np.ndarray, Annotation, bool]], truth: Annotation, result: ScanResult) -> bytes:
    height = max(image.shape[0] for _, image, _, _ in panels)
    scale, gap, top = min(TALLEST / height, 1.0), 6, 16
    sizes = [(round(scale * image.shape[1]), round(scale * image.shape[0])) for _, image, _, _ in panels]
    picture = Image.new("RGB", (sum(w for w, _ in sizes) + 3 * gap, max(h for _, h in sizes) + top))
    draw = ImageDraw.Draw(picture)
    plain, bold = (ImageFont.truetype(FONTS + name, 11) for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"))
    left = 0
    for (plane, image, annotation, is_prediction), size in zip(panels, sizes, strict=True):
        panel = Image.fromarray((255 * image).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
        picture.paste(panel, (left, top))
        title = "prediction" if is_prediction else "truth"
        draw.text((left + size[0] / 2, top / 2), title, "white", plain, anchor="mm")
        for text, position, color in _names(annotation.centroids, truth.centroids, result, is_prediction):
            row, column = np.multiply(plane.place(position), scale)
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


def _write(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont,
    text: str,
    place: tuple[float, float],
    color: tuple[float, float, float],
) -> None:
    """A cross at the place and the text beside it; to the left for what is missing, so that both can be read."""
    x, y = place
    # Half white, to be read on an error of the same colour.
    ink = tuple(round(255 * (0.5 + 0.5 * part)) for part in color)
    draw.line([(x - 4, y), (x + 4, y)], ink)
    draw.line([(x, y - 4), (x, y + 4)], ink)
    at, anchor = ((x - 8, y), "rm") if text.startswith("no ") else ((x + 8, y), "lm")
    draw.text(at, text, ink, font, anchor=anchor, stroke_width=2, stroke_fill="black")
