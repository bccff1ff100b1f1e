"""What a phantom shows: the person, what is wrong with the spine, the field of view and the scanner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..anatomy import COLUMN, Level
from ..errors import SpineError
from ..spine import Point

FRACTURES = ("wedge", "biconcave", "crush")


@dataclass(frozen=True)
class Fracture:
    """A compression fracture: ``loss`` is the part of the height that is lost (in front, in the middle, everywhere)."""

    level: Level
    kind: str = "wedge"
    loss: float = 0.4

    def __post_init__(self) -> None:
        if self.kind not in FRACTURES or not 0 <= self.loss <= 0.8:
            raise SpineError(f"a fracture is one of {', '.join(FRACTURES)} with a loss in 0..0.8, not {self}")


@dataclass(frozen=True)
class Scoliosis:
    """A lateral curve: apex, Cobb angle in degrees (positive: convex to the left), vertebrae between its ends."""

    apex: Level
    cobb: float
    span: float = 8.0

    def __post_init__(self) -> None:
        if abs(self.cobb) > 90 or self.span < 2:
            raise SpineError(
                f"a scoliosis has a Cobb angle within 90 degrees and spans 2 vertebrae or more, not {self}"
            )


@dataclass(frozen=True)
class PhantomSpec:
    """Everything that makes one phantom. The whole column is always modelled; ``first`` and ``last`` choose the view.

    Attributes:
        seed: of the small variations of every vertebra, of texture and noise.
        first, last: the uppermost and lowermost vertebra wholly inside the field of view.
        margin: mm added above and below them (negative cuts them).
        field: width (x) and depth (y) of the field of view in mm, when the number of voxels is not given.
        offset: shift of the field of view from the column, LPS mm.
        origin: LPS mm where the middle of the field of view lies in the scanner.
        rotation: degrees by which the patient is turned about x, y, z.
        thoracic, lumbar: how many of them: 11, 12 or 13; 5 or 6.
        stature: factor on all lengths, 1 for the mean adult.
        cervical_lordosis, thoracic_kyphosis, lumbar_lordosis: degrees C2-C7, T1-T12, L1-S1.
        variation: relative standard deviation of single dimensions.
        degeneration: 0..1, disc narrowing and osteophytes.
        trabecular, cortical: HU.
        fat: mm of fat under the skin, at the flanks.
        contrast: HU of blood.
        table: whether the table is seen.
        screws, cement: levels with pedicle screws, with bone cement.
        blur: full width at half maximum of the in-plane kernel, mm.
        sharpness: edge enhancement of the kernel, 0 soft to 1 bone.
        slice_thickness: mm, None for the slice distance.
        streaks: HU of the horizontal streaks between the shoulders.
        noise: standard deviation in HU of the finished image, before rounding.

    Raises:
        SpineError: a value is outside what the phantom can build.
    """

    seed: int = 0
    first: Level = Level.C1
    last: Level = Level.L5
    margin: float = 15.0
    field: tuple[float, float] = (180.0, 180.0)
    offset: Point = (0.0, 0.0, 0.0)
    origin: Point = (0.0, 0.0, 0.0)
    rotation: Point = (0.0, 0.0, 0.0)
    thoracic: int = 12
    lumbar: int = 5
    stature: float = 1.05
    cervical_lordosis: float = 22.0
    thoracic_kyphosis: float = 38.0
    lumbar_lordosis: float = 50.0
    scoliosis: tuple[Scoliosis, ...] = ()
    fractures: tuple[Fracture, ...] = ()
    variation: float = 0.03
    degeneration: float = 0.1
    trabecular: float = 170.0
    cortical: float = 1050.0
    fat: float = 22.0
    contrast: float = 45.0
    table: bool = True
    screws: tuple[Level, ...] = ()
    cement: tuple[Level, ...] = ()
    blur: float = 1.2
    sharpness: float = 0.2
    slice_thickness: float | None = None
    streaks: float = 0.0
    noise: float = 15.0

    def __post_init__(self) -> None:
        for name in ("first", "last"):
            object.__setattr__(self, name, Level(getattr(self, name)))
        ranges = {
            "thoracic": (11, 13),
            "lumbar": (5, 6),
            "stature": (0.5, 1.4),
            "variation": (0, 0.15),
            "degeneration": (0, 1),
            "fat": (3, 120),
            "blur": (0, 8),
            "sharpness": (0, 1),
            "noise": (0, 400),
            "streaks": (0, 400),
            "cervical_lordosis": (-40, 70),
            "thoracic_kyphosis": (0, 110),
            "lumbar_lordosis": (-10, 95),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise SpineError(f"the phantom's {name} must lie in {low}..{high}, not {getattr(self, name)}")
        mentioned = {self.first, self.last, *self.screws, *self.cement, *(f.level for f in self.fractures)}
        if absent := [level.name for level in COLUMN if level in mentioned and level not in self.levels]:
            raise SpineError(f"this phantom's column has no {', '.join(absent)}; choose among its levels")
        if self.first.rank > self.last.rank:
            raise SpineError(f"the phantom's first level {self.first.name} lies below its last, {self.last.name}")

    @property
    def levels(self) -> tuple[Level, ...]:
        """All vertebrae of this person from the head down, seen or not."""
        return tuple(
            level
            for level in COLUMN
            if not (level == Level.T12 and self.thoracic < 12)
            and not (level == Level.T13 and self.thoracic < 13)
            and not (level == Level.L6 and self.lumbar < 6)
        )

    @classmethod
    def random(cls, seed: int, **fixed: object) -> PhantomSpec:
        """A plausible person, spine, view and scanner drawn at random; ``fixed`` overrides what is drawn."""
        rng = np.random.default_rng(seed)
        thoracic = int(rng.choice([11, 12, 13], p=[0.05, 0.88, 0.07]))
        lumbar = int(rng.choice([5, 6], p=[0.9, 0.1]))
        thoracic, lumbar = int(fixed.get("thoracic", thoracic)), int(fixed.get("lumbar", lumbar))  # type: ignore[call-overload]
        levels = cls(thoracic=thoracic, lumbar=lumbar).levels
        first = int(rng.integers(-2, len(levels) - 2))
        last = first + int(rng.integers(3, 14))
        window = levels[max(first, 0) : max(last, 0) + 1]

        def some(count: int, among: tuple[Level, ...] = levels) -> tuple[Level, ...]:
            start = int(rng.integers(0, max(len(among) - count, 0) + 1))
            return among[start : start + count]

        def sometimes(chance: float) -> bool:
            return bool(rng.random() < chance)

        curves: tuple[Scoliosis, ...] = ()
        if sometimes(0.35):
            cobb = float(rng.normal(0, 18))
            apex = int(rng.integers(levels.index(Level.T5), levels.index(Level.L3)))
            span = float(rng.uniform(6, 10))
            curves = (Scoliosis(levels[apex], float(np.clip(cobb, -55, 55)), span),)
            if apex + 6 < len(levels):
                curves += (Scoliosis(levels[apex + 6], float(np.clip(-0.6 * cobb, -55, 55)), 6.0),)
        breakable = levels[levels.index(Level.T4) :]
        broken: Sequence[int] | np.ndarray = (
            rng.choice(len(breakable), int(rng.integers(1, 4)), replace=False) if sometimes(0.25) else []
        )
        fractures = tuple(
            Fracture(breakable[i], str(rng.choice(FRACTURES, p=[0.5, 0.3, 0.2])), float(rng.uniform(0.15, 0.6)))
            for i in broken
        )
        old = float(rng.beta(1.3, 2))
        thick = sometimes(0.3)
        values: dict[str, object] = dict(
            seed=seed,
            first=window[0],
            last=window[-1],
            margin=float(rng.uniform(-12, 20)),
            field=(float(rng.uniform(120, 240)), float(rng.uniform(130, 230))),
            offset=(float(rng.normal(0, 10)), float(rng.normal(0, 12)), float(rng.normal(0, 10))),
            rotation=tuple(float(value) for value in rng.normal(0, (6, 3, 4))),
            thoracic=thoracic,
            lumbar=lumbar,
            stature=float(np.clip(rng.normal(1.03, 0.08), 0.8, 1.25)),
            cervical_lordosis=float(np.clip(rng.normal(15, 13), -25, 50)),
            thoracic_kyphosis=float(np.clip(rng.normal(38, 13), 8, 85)),
            lumbar_lordosis=float(np.clip(rng.normal(46, 13), 10, 80)),
            scoliosis=curves,
            fractures=fractures,
            variation=float(rng.uniform(0.01, 0.05)),
            degeneration=old * float(rng.uniform(0.4, 1)),
            trabecular=float(np.clip(rng.normal(215 - 150 * old, 35), 20, 330)),
            cortical=float(rng.uniform(700, 1250)),
            fat=float(rng.uniform(6, 55)),
            contrast=float(rng.uniform(100, 350)) if sometimes(0.5) else float(rng.uniform(35, 60)),
            table=sometimes(0.8),
            screws=some(int(rng.integers(2, 6)), breakable) if sometimes(0.1) else (),
            cement=some(int(rng.integers(1, 3)), breakable) if sometimes(0.06) else (),
            blur=float(rng.uniform(0.7, 1.8)),
            sharpness=float(rng.uniform(0, 0.8)),
            slice_thickness=float(rng.uniform(2, 5)) if thick else None,
            streaks=float(rng.uniform(10, 60)) if sometimes(0.4) else 0.0,
            noise=float(rng.gamma(2.0, 13.0)) + 3.0,
        )
        return cls(**{**values, **fixed})  # type: ignore[arg-type]


def spec_of(what: PhantomSpec | int) -> PhantomSpec:
    """A spec as it is; a number is the seed of a random one."""
    return what if isinstance(what, PhantomSpec) else PhantomSpec.random(int(what))
