"""What makes the density of a vertebra doubtful: metal, cement, contrast and fracture, each against its opposite."""

import numpy as np
import pytest
import SimpleITK as sitk
from blocks import DEPTH, HEIGHT, MIDDLE, block, filled, grid, places, solid

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.measures.column import measure
from SpineSegmentationLib.measures.density import Calibration
from SpineSegmentationLib.measures.table import vertebra_rows
from SpineSegmentationLib.spine import Centroid, Centroids

L = Level
ROOM = grid((1.0, 1.0, 1.0), (110, 160, 60), middle=(10.0, -35.0, 300.0))
"""The block of the other tests, 60 mm in front of it and 50 mm behind."""


def found(change=lambda hu, x, y, z: hu):
    """The density of a block whose values (z, y, x) were changed by their places in its frame, mm."""
    mask, ct = block(ROOM)
    x, y, z = np.moveaxis(places(ROOM) - MIDDLE, -1, 0)
    hu = change(sitk.GetArrayFromImage(ct), x, y, z)
    measures = measure(filled(ROOM, hu.astype(np.int16)), mask, Centroids((Centroid(L.L3, MIDDLE),)))
    return measures.vertebrae[0].density, measures


def cylinder(radius, value, ahead):
    """A vessel of a radius in mm whose axis runs so many mm in front of the body."""
    return lambda hu, x, y, z: np.where(np.hypot(x, y + DEPTH / 2 + ahead) <= radius, value, hu)


def test_nothing_is_doubtful_about_plain_bone():
    density, measures = found()
    assert (density.mean.value, density.metal, density.cement, density.contrast) == (150, False, False, False)
    assert measures.doubts(measures.vertebrae[0]) == () and measures.lumbar_hu.value == 150


def test_the_mean_its_error_and_percentiles_by_hand():
    # Every second slice 100 HU, the others 200: mean and median follow, sd = 50 sqrt(n / (n - 1)).
    density, _ = found(lambda hu, x, y, z: np.where(hu == 150, np.where(np.floor(z) % 2 == 0, 100, 200), hu))
    n, low = density.voxels, round(density.voxels * (200 - density.mean.value) / 100)
    assert density.mean.value == pytest.approx(150, abs=5) and density.percentiles[0::2] == (100, 200)
    assert density.sd == pytest.approx(100 * np.sqrt(low * (n - low) / n / (n - 1)))
    assert density.mean.uncertainty == pytest.approx(density.sd / np.sqrt(n))


@pytest.mark.parametrize("radius, seen", [(3.0, True), (0.6, False)])
def test_metal(radius, seen):
    # A screw through the height of the body: 24 mm of 3 mm radius are 680 mm3, of 0.6 mm about 24 voxels beside it.
    def screw(hu, x, y, z):
        return np.where((np.hypot(x - 12.5, y - 0.5) <= radius) & (np.abs(z) < (12 if seen else 8)), 3000, hu)

    density, measures = found(screw)
    assert density.metal is seen and ("metal" in measures.doubts(measures.vertebrae[0])) is seen
    assert bool(measures.lumbar_hu) is not seen


def test_rods_behind_the_arch_are_metal():
    density, _ = found(lambda hu, x, y, z: np.where(np.hypot(x - 15, y - 45) <= 2.5, 3000, hu))
    assert density.metal


@pytest.mark.parametrize("radius, seen", [(5.0, True), (2.0, False)])
def test_cement(radius, seen):
    # Balls in the middle: 524 mm3 and 33 mm3 above 900 HU.
    density, measures = found(lambda hu, x, y, z: np.where(x * x + y * y + z * z <= radius**2, 1400, hu))
    assert (density.cement, density.metal) == (seen, False)
    assert ("cement or very dense bone" in measures.doubts(measures.vertebrae[0])) is seen
    assert bool(measures.lumbar_hu) is not seen


@pytest.mark.parametrize(
    "vessel, seen",
    [
        (cylinder(10, 300, 18), True),  # an aorta full of contrast, 7.5 ml along the body
        (cylinder(10, 45, 18), False),  # the same without
        (cylinder(3, 300, 18), False),  # a thin vessel, 0.7 ml
        (cylinder(10, 1000, 18), False),  # bone or calcification
    ],
)
def test_contrast(vessel, seen):
    density, measures = found(vessel)
    assert density.contrast is seen and density.mean.value == 150
    assert ("contrast in the vessels" in measures.doubts(measures.vertebrae[0])) is seen
    # Contrast adds little to bone: it is said, and counts all the same.
    assert measures.lumbar_hu.value == 150


def test_noise_is_no_contrast():
    rng = np.random.default_rng(1)
    assert not found(lambda hu, x, y, z: hu + rng.normal(0, 60, hu.shape))[0].contrast


def test_a_fractured_vertebra_is_doubtful_and_left_out_of_the_lumbar_mean():
    image = grid((1.0, 1.0, 1.0), (60, 60, 190), middle=(0.0, 0.0, -66.0))
    labels, hu, points = np.zeros(image.GetSize()[::-1], np.uint8), np.full(image.GetSize()[::-1], -50), []
    for number, level in enumerate((L.T12, L.L1, L.L2, L.L3, L.L4)):
        middle = (0.0, 0.0, -33.0 * number)
        height = HEIGHT / 2 if level is L.L2 else HEIGHT
        body = solid(image, middle, arch=False, front=height, back=height)
        labels[body], hu[body] = level, 60 if level is L.L2 else 150
        points.append(Centroid(level, middle))
    measures = measure(filled(image, hu.astype(np.int16)), filled(image, labels), Centroids(tuple(points)))
    assert measures.deformities[L.L2].grade == 3 and measures.doubts(measures[L.L2]) == ("fractured",)
    assert measures[L.L2].density.mean.value == 60 and measures.lumbar_hu.value == 150
    assert measures.doubts(measures[L.L3]) == ()


def test_statements_name_their_source_and_what_is_doubtful():
    mask, ct = block(ROOM)
    mask = mask // int(L.L3) * int(L.L1)
    x, y, z = np.moveaxis(places(ROOM) - MIDDLE, -1, 0)
    hu = cylinder(10, 300, 18)(sitk.GetArrayFromImage(ct), x, y, z).astype(np.int16)
    points = Centroids((Centroid(L.L1, MIDDLE),))
    attenuation, density = measure(filled(ROOM, hu), mask, points, calibration=Calibration(0.8, -10.0)).statements
    assert attenuation.startswith("L1 150 HU: between 135 and 160 HU") and "Pickhardt et al. 2013" in attenuation
    assert density.startswith("L1 110 mg/cm3: 80 to 120") and "ACR" in density
    assert all(line.endswith("doubtful: contrast in the vessels") for line in (attenuation, density))
    assert len(measure(ct, mask, points).statements) == 1


def test_calibrated_density_stands_in_the_table():
    mask, ct = block(ROOM)
    points = Centroids((Centroid(L.L3, MIDDLE),))
    for calibration, cell in ((Calibration(0.8, -10.0), "110"), (None, "")):
        names, row = vertebra_rows(measure(ct, mask, points, calibration=calibration))
        assert dict(zip(names, row, strict=True))["trabecular_mg_cm3"] == cell
