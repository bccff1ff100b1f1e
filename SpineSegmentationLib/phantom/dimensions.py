"""Published mean dimensions of the adult spine, in mm and degrees.

Bodies, canal and pedicles follow Panjabi et al., "Cervical human vertebrae" (Spine 1991;16:861-869), "Thoracic human
vertebrae" (Spine 1991;16:888-901) and "Human lumbar vertebrae" (Spine 1992;17:299-306); disc heights and process
lengths follow Busscher et al. 2010 (Eur Spine J 19:1104-1114). Values are rounded means of upper and lower
end-plate, smoothed along the column, good to about 10 %; the variation between people is far larger.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..anatomy import Level


@dataclass(frozen=True)
class Dimensions:
    """One vertebra in its own frame: x left, y posterior, z up, origin in the centre of the body.

    Attributes:
        width, depth: of the body, the mean of both end-plates.
        anterior, posterior: heights of the body.
        disc: height of the disc below.
        canal_width, canal_depth: of the vertebral canal.
        pedicle_width, pedicle_height: of one pedicle.
        transverse: distance between the tips of the transverse processes.
        spinous_y, spinous_z: the tip of the spinous process.
    """

    width: float
    depth: float
    anterior: float
    posterior: float
    disc: float
    canal_width: float
    canal_depth: float
    pedicle_width: float
    pedicle_height: float
    transverse: float
    spinous_y: float
    spinous_z: float

    @property
    def height(self) -> float:
        """Mean height of the body."""
        return (self.anterior + self.posterior) / 2

    def scaled(self, factor: float) -> Dimensions:
        """Every length times the factor."""
        return Dimensions(*(getattr(self, field.name) * factor for field in fields(self)))


# width depth anterior posterior disc | canal width, depth | pedicle width, height | transverse | spinous y, z
_TABLE = """
C1  17.0 12.0 14.0 14.0  3.0  29.0 22.0  7.0  7.0  78.0  30.0   0.0
C2  17.5 15.6 18.5 18.5  5.0  24.5 20.0  7.0  8.5  52.0  38.0  -8.0
C3  17.0 15.5 12.2 12.4  5.2  23.0 16.5  5.6  7.4  51.0  37.0  -8.0
C4  17.6 15.7 12.0 12.2  5.3  24.5 16.8  5.6  7.4  50.0  37.0  -8.0
C5  18.5 16.4 11.8 12.0  5.4  25.0 17.0  5.8  7.0  51.0  39.0  -8.0
C6  20.5 17.2 12.0 12.2  5.5  25.5 17.2  6.2  7.3  55.0  45.0  -9.0
C7  22.5 17.4 13.2 13.4  5.2  24.5 15.6  6.6  7.5  66.0  52.0 -11.0
T1  26.2 18.6 14.6 15.2  4.6  21.8 16.2  8.0  9.6  75.0  55.0 -13.0
T2  26.2 20.4 15.6 16.2  4.2  19.5 15.6  7.8 10.8  70.0  55.0 -18.0
T3  25.6 22.4 16.0 16.8  4.0  18.3 15.8  7.0 11.9  65.0  54.0 -23.0
T4  25.6 23.8 16.4 17.2  4.0  17.4 16.0  6.4 12.0  62.0  52.0 -29.0
T5  26.4 25.2 17.0 17.8  4.1  17.2 16.1  6.2 11.8  62.0  51.0 -34.0
T6  27.4 26.6 17.6 18.5  4.3  17.3 16.1  6.3 12.0  61.0  51.0 -38.0
T7  28.6 28.0 18.2 19.2  4.6  17.3 16.0  6.4 12.2  61.0  52.0 -40.0
T8  30.0 28.8 18.8 19.8  5.0  17.6 16.0  6.8 12.6  61.0  53.0 -39.0
T9  31.8 30.0 19.5 20.4  5.4  17.9 15.9  7.4 13.4  60.0  54.0 -35.0
T10 33.8 31.0 20.6 21.4  5.8  18.4 15.8  8.2 14.6  56.0  56.0 -30.0
T11 37.0 31.9 21.6 22.6  6.3  19.4 16.4  9.0 16.2  50.0  57.0 -25.0
T12 40.6 32.9 22.8 23.8  7.2  22.0 17.6  9.0 16.6  46.0  58.0 -20.0
L1  42.6 34.4 24.6 25.2  8.2  23.5 18.6  8.8 16.0  71.0  60.0 -14.0
L2  44.2 35.0 25.4 25.6  9.4  23.8 18.0  8.9 15.2  76.0  62.0 -13.0
L3  46.2 35.2 25.8 25.4 10.4  24.3 17.6 10.2 14.8  85.0  63.0 -13.0
L4  48.2 35.0 26.0 25.0 11.0  25.4 18.2 13.0 15.2  82.0  61.0 -12.0
L5  48.8 34.4 26.6 23.2 10.4  27.2 19.0 17.0 17.0  90.0  55.0 -11.0
"""

DIMENSIONS: dict[Level, Dimensions] = {
    Level.parse(row.split()[0]): Dimensions(*map(float, row.split()[1:])) for row in _TABLE.strip().splitlines()
}
"""The mean adult, stature 1. A T13 takes after T12, an L6 after L5."""
DIMENSIONS[Level.T13] = DIMENSIONS[Level.T12]
DIMENSIONS[Level.L6] = DIMENSIONS[Level.L5]


def profile(pairs: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Knots for :func:`numpy.interp` from ``"position:value position:value"``.

    Positions count vertebrae from C1 = 0 over T1 = 7, L1 = 19 to S1 = 24, in the standard column.
    """
    knots = [tuple(map(float, pair.split(":"))) for pair in pairs.split()]
    return tuple(knot[0] for knot in knots), tuple(knot[1] for knot in knots)
