"""Every formula of the measures against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.measures import alignment, quality
from SpineSegmentationLib.measures.alignment import Stance, kyphosis, largest_cobb, lordosis, meyerding, segment_of
from SpineSegmentationLib.measures.body import EndPlate
from SpineSegmentationLib.measures.column import KYPHOTIC
from SpineSegmentationLib.measures.density import Calibration, Density, statement_on_bmd, statement_on_l1
from SpineSegmentationLib.measures.fracture import deformities, grade_of, grades_of, loss
from SpineSegmentationLib.measures.frame import Frame, start_frame
from SpineSegmentationLib.measures.heights import Heights, no_heights
from SpineSegmentationLib.measures.quantity import Quantity, combined, missing
from SpineSegmentationLib.spine import Centroid, Centroids

L = Level


def test_a_quantity_has_a_value_or_a_reason():
    assert Quantity(3, 0.5) and not missing("too thick")
    for value, uncertainty, why in ((np.nan, 1, ""), (3, 1, "why"), (np.inf, 1, ""), (3, -1, "")):
        with pytest.raises(SpineError):
            Quantity(value, uncertainty, why)


def test_errors_are_propagated():
    # d(a - b) = sqrt(0.3^2 + 0.4^2); d(a / b) at 8, 4: sqrt((0.3 / 4)^2 + (8 / 4.4 - 2)^2)
    a, b = Quantity(8, 0.3), Quantity(4, 0.4)
    assert combined(lambda x, y: x - y, a, b).uncertainty == pytest.approx(0.5)
    assert combined(lambda x, y: x / y, a, b).uncertainty == pytest.approx(np.hypot(0.075, 8 / 4.4 - 2))
    assert combined(lambda x, y: x + y, a, missing("gone")).why == "gone"


@pytest.mark.parametrize(
    "percent, grade", [(-5, 0), (19.9, 0), (20, 1), (24.9, 1), (25, 2), (39.9, 2), (40, 3), (80, 3)]
)
def test_genant_grades(percent, grade):
    assert grade_of(percent) == grade


def test_the_loss_of_a_height():
    assert loss(Quantity(15, 0), Quantity(20, 0)).value == 25
    assert loss(Quantity(15, 0.3), Quantity(20, 0)).uncertainty == pytest.approx(1.5)


def heights(anterior, middle, posterior, error=0.25) -> Heights:
    return Heights(Quantity(anterior, error), Quantity(middle, error), Quantity(posterior, error))


def column_of(broken: dict) -> dict:
    """T6 to L3, each height 0.5 mm more than above (from 20, 19, 21 mm at T6)."""
    levels = [level for level in COLUMN if L.T6.rank <= level.rank <= L.L3.rank and level is not L.T13]
    sound = {level: heights(20 + n / 2, 19 + n / 2, 21 + n / 2) for n, level in enumerate(levels)}
    return {**sound, **broken}


@pytest.mark.parametrize(
    "broken, grade, shape",
    [
        (heights(20 * 0.9, 19, 21), 0, ""),
        (heights(22 * 0.78, 21, 23), 1, "wedge"),
        (heights(22 * 0.95, 21 * 0.7, 23 * 0.95), 2, "biconcave"),
        (heights(22 * 0.5, 21 * 0.5, 23 * 0.45), 3, "crush"),
    ],
)
def test_a_fracture_among_sound_neighbours(broken, grade, shape):
    # T10, the fifth, would have 22, 21 and 23 mm.
    found = deformities(column_of({L.T10: broken}))[L.T10]
    assert (found.grade, found.shape) == (grade, shape)
    assert found.anterior.value == pytest.approx(100 * (1 - broken.anterior.value / 22), abs=0.5)
    assert found.wedge.value == pytest.approx(100 * (1 - broken.anterior.value / broken.posterior.value))
    assert found.biconcave.value == pytest.approx(100 * (1 - broken.middle.value / broken.posterior.value))


def test_fractured_neighbours_do_not_hide_each_other():
    crushed = {level: heights(12, 11, 13) for level in (L.T9, L.T10, L.T12)}
    found = deformities(column_of(crushed))
    assert [found[level].grade for level in (L.T9, L.T10, L.T12)] == [3, 3, 3]
    assert not any(one.grade for level, one in found.items() if level not in crushed)
    # Two sound neighbours on one side tell no trend.
    assert found[L.T6].grade is None and found[L.T11].grade == 0


def test_grades_that_cannot_be_given_say_why():
    found = deformities(column_of({L.T9: no_heights("cut by the border of the scan")}))
    assert found[L.T9].grade is None and found[L.T9].why == "cut by the border of the scan"
    assert found[L.T10].grade == 0
    pair = deformities({L.T9: heights(20, 19, 21), L.T10: heights(20, 19, 21)})
    assert pair[L.T9].grade is None and "too few sound neighbours" in pair[L.T9].why
    assert deformities({L.L5: heights(20, 19, 21)})[L.L5].why == "Genant's method covers T4 to L4"
    thick = {level: heights(*(h.value for h in one.all), error=1.9) for level, one in column_of({}).items()}
    assert "thick" in deformities(thick)[L.T10].why
    doubtful = deformities(column_of({L.T10: heights(22 * 0.75, 21 * 0.95, 23 * 0.95)}))[L.T10]
    assert doubtful.grade is None and doubtful.why == "a loss of 25 ± 2 % may be grade 1 or 2"


def test_how_probable_grades_are_by_hand():
    # Phi(1) = 0.8413, Phi(-1) = 0.1587, Phi(2) = 0.9772, Phi(-3) = 0.0013; the others are far below every border.
    losses = Quantity(25, 5), Quantity(0, 0.1), Quantity(-5, 0.1)
    assert grades_of(losses) == pytest.approx((0.1587, 0.5 - 0.1587, 0.9987 - 0.5, 0.0013), abs=1e-4)
    # Two that may both be the largest: both stay below 20 with 0.8413 * 0.9772.
    assert grades_of((Quantity(15, 5), Quantity(10, 5)))[0] == pytest.approx(0.8413 * 0.9772, abs=1e-4)
    assert sum(grades_of(losses)) == pytest.approx(1)


@pytest.mark.parametrize(
    "hu, words",
    [(90, "at or below 110"), (110, "at or below 110"), (120, "110 and 135"), (150, "135 and 160"), (161, "above 160")],
)
def test_statements_on_l1(hu, words):
    assert words in statement_on_l1(hu) and "osteoporosis" in statement_on_l1(hu)


def test_calibrated_density():
    density = Density(Quantity(120, 2.0)).calibrated(Calibration(0.9, -8.0))
    assert (density.value, density.uncertainty) == pytest.approx((100.0, 1.8))
    assert "osteopenia" in statement_on_bmd(100) and "osteoporosis" in statement_on_bmd(79)
    assert Density(missing("too flat")).calibrated(Calibration(1, 0)).why == "too flat"
    with pytest.raises(SpineError):
        Calibration(0.0, 1.0)


def plate(sagittal=0.0, coronal=0.0, middle=(0.0, 0.0, 0.0), depth=30.0) -> EndPlate:
    """An end-plate that leans forward and to the left by degrees."""
    normal = np.array([np.tan(np.deg2rad(coronal)), -np.tan(np.deg2rad(sagittal)), 1.0])
    normal /= np.linalg.norm(normal)
    along = np.array([0.0, np.cos(np.deg2rad(sagittal)), np.sin(np.deg2rad(sagittal))])
    middle = np.array(middle, float)
    return EndPlate(normal, middle - along * depth / 2, middle, middle + along * depth / 2, middle)


def bone(name, upper, lower, middle=(0.0, 0.0, 0.0)) -> Stance:
    return Stance(name, upper, lower, 1.0, np.array(middle, float))


def test_tilts():
    assert alignment.sagittal_tilt(plate(sagittal=12)) == pytest.approx(12)
    assert alignment.coronal_tilt(plate(coronal=-7, sagittal=20)) == pytest.approx(-7)
    c, s = np.cos(np.deg2rad(9)), np.sin(np.deg2rad(9))
    turned = Frame(np.zeros(3), np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]))
    assert alignment.axial_rotation(turned) == pytest.approx(9)


def test_the_largest_cobb_angle_by_hand():
    tilts = {"T5": 2, "T6": 14, "T7": 9, "T8": 0, "T9": -10, "T10": -16, "T11": -3}
    aside = [0, 0, 6, 9, 6, 0, 0]
    column = [
        bone(name, plate(coronal=tilt), plate(coronal=tilt), (x, 0, -25.0 * n))
        for n, ((name, tilt), x) in enumerate(zip(tilts.items(), aside, strict=True))
    ]
    curve = largest_cobb(column)
    assert curve.angle.value == pytest.approx(30) and (curve.upper, curve.lower) == ("T6", "T10")
    assert (curve.side, curve.apex) == ("left", "T8")
    assert curve.angle.uncertainty == pytest.approx(np.sqrt(2) * quality.angle_error(1.0, 30.0))
    mirrored = [
        bone(b.name, plate(coronal=-t), plate(coronal=-t), b.centre * (-1, 1, 1))
        for b, t in zip(column, tilts.values(), strict=True)
    ]
    other = largest_cobb(mirrored)
    assert other.angle.value == pytest.approx(30) and other.side == "right" and other.apex == "T8"
    assert "fewer than 3" in largest_cobb(column[:2]).angle.why


def test_kyphosis_and_lordosis_by_hand():
    names = [name for name in KYPHOTIC if name != "T13"]
    column = {name: bone(name, plate(25 - 5 * n), plate(22 - 5 * n)) for n, name in enumerate(names)}
    curve = kyphosis(column, KYPHOTIC)
    assert curve.angle.value == pytest.approx(25 - (22 - 40)) and (curve.upper, curve.lower) == ("T4", "T12")
    part = {name: one for name, one in column.items() if name not in ("T4", "T12")}
    assert (kyphosis(part, KYPHOTIC).upper, kyphosis(part, KYPHOTIC).lower) == ("T5", "T11")
    assert "fewer than five" in kyphosis({"T4": column["T4"]}, KYPHOTIC).angle.why
    lumbar = {
        "L1": bone("L1", plate(-15), plate(-14)),
        "L5": bone("L5", plate(10), plate(20)),
        "S1": bone("S1", plate(38), None),
    }
    assert lordosis(lumbar, "L1", "L5").angle.value == pytest.approx(35)
    assert lordosis(lumbar, "L1", "S1").angle.value == pytest.approx(53)
    assert lordosis({}, "L1", "S1").angle.why == "L1 is not seen as a whole"
    del lumbar["S1"]
    assert lordosis(lumbar, "L1", "S1").angle.why == "no sacrum in the label map"


def test_a_disc_and_a_slip_by_hand():
    above = bone("L4", None, plate(0, middle=(0, -8, 10)))
    below = bone("L5", plate(0, middle=(0, 0, 0)), None)
    found = segment_of(above, below)
    assert [gap.value for gap in (found.front, found.middle, found.back)] == pytest.approx([10, 10, 10])
    assert found.slip.value == pytest.approx(8) and found.slip_percent.value == pytest.approx(100 * 8 / 30)
    assert found.grade == 2 and found.angle.value == pytest.approx(0)
    # Open in front by 10 degrees: higher in front than behind.
    wedged = segment_of(bone("L4", None, plate(-5, middle=(0, 0, 10))), bone("L5", plate(5), None))
    assert wedged.angle.value == pytest.approx(10)
    assert wedged.front.value - wedged.back.value == pytest.approx(2 * 30 * np.sin(np.deg2rad(5)))
    assert not segment_of(above, bone("L5", None, None)).slip


@pytest.mark.parametrize(
    "slip, percent, grade", [(2.9, 9, 0), (3, 10, 1), (-5, -16, 1), (9, 30, 2), (16, 52, 3), (24, 80, 4), (33, 110, 5)]
)
def test_meyerding(slip, percent, grade):
    assert meyerding(slip, percent) == grade


@given(st.floats(0.4, 6), st.floats(0.4, 6))
def test_thicker_slices_are_never_surer(a, b):
    thin, thick = sorted((a, b))
    assert quality.height_error(thin) <= quality.height_error(thick)
    assert quality.angle_error(thin, 30) <= quality.angle_error(thick, 30)
    assert bool(quality.height(20, thin)) >= bool(quality.height(20, thick))


def test_a_column_that_runs_from_back_to_front_has_a_frame():
    column = Centroids((Centroid(L.L1, (0.0, 30.0, 0.0)), Centroid(L.L2, (0.0, 0.0, 0.0))))
    frame = start_frame(column[L.L1], column)
    np.testing.assert_allclose(frame.up, [0, 1, 0])
    np.testing.assert_allclose(frame.back, [0, 0, 1])
