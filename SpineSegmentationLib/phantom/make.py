"""Puts the phantom together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..anatomy import SACRUM, Level
from ..errors import SpineError
from ..spine import Centroid, Centroids, Point, SpineBox
from . import metal, skeleton, vertebra
from .column import Column, Member, build_column
from .grid import Grid, Pose, Window, rotation
from .scanner import scan
from .shapes import FAR, Shape, bar, smooth_min, union, union_window
from .soft_tissue import draw_soft_tissue, noise
from .spec import PhantomSpec, spec_of

S1_BELOW = 15.0  # mm from the upper end-plate of the sacrum to the centre of S1


@dataclass(frozen=True)
class Phantom:
    """A synthetic spine CT with its exact truth.

    Attributes:
        ct: int16 HU.
        label_map: uint8 VerSe codes on the grid of ``ct``: body, arch and processes, 0 elsewhere.
        centroids: centres of the vertebral bodies (of the atlas: the middle of the dens in its ring) that lie in the
            field of view, LPS mm.
        spec: what it was made from.
        sacrum: centre of the body of S1 in LPS mm; None when it is not in the field of view.
        bones: as ``label_map``, with the sacrum (26), too.
    """

    ct: sitk.Image
    label_map: sitk.Image
    centroids: Centroids
    spec: PhantomSpec
    sacrum: Point | None
    bones: sitk.Image

    @property
    def box(self) -> SpineBox:
        """The box of all labelled voxels.

        Raises:
            SpineError: there are none.
        """
        where = np.argwhere(sitk.GetArrayViewFromImage(self.label_map))
        if not len(where):
            raise SpineError("no vertebra lies in the field of view of this phantom; give it a larger one")
        lower, upper = where.min(0)[::-1] - 0.5, where.max(0)[::-1] + 0.5
        corners = [[(lower, upper)[bit >> axis & 1][axis] for axis in range(3)] for bit in range(8)]
        points = [self.label_map.TransformContinuousIndexToPhysicalPoint([float(v) for v in c]) for c in corners]
        return SpineBox.around(np.array(points), (0, 0, 0), (0, 0, 0))


class _Canvas:
    """The image while it is drawn: HU, distance to the bones so far, labels."""

    def __init__(self, grid: Grid, hu: np.ndarray, grain: np.ndarray, spec: PhantomSpec) -> None:
        self.grid, self.hu, self.grain, self.spec = grid, hu, grain, spec
        self.bone = np.full(grid.shape, FAR, np.float32)
        self.labels = np.zeros(grid.shape, np.uint8)
        self.margin = 1.5 * grid.edge + 3.0

    def fill(self, shapes: list[Shape], value: float, fillet: float = 0.0) -> None:
        """Paints the union of the shapes with one HU."""
        window = union_window(self.grid, shapes, self.margin)
        if window is not None:
            self._blend(window, union(self.grid, shapes, window, fillet, self.margin), np.float32(value))

    def _blend(self, window: Window, distance: np.ndarray, value: np.ndarray | np.float32) -> None:
        share = np.clip(np.float32(0.5) - distance * np.float32(1 / self.grid.edge), 0, 1)
        part = self.hu[window]
        part += share * (value - part)

    def bony(
        self,
        window: Window,
        distance: np.ndarray,
        shell: np.ndarray | float,
        marrow: np.ndarray | float,
        label: int = 0,
    ) -> None:
        """Paints one bone with its cortical shell (mm), a joint's width away from the bones before it."""
        bone = self.bone[window]
        distance = np.maximum(distance, np.float32(vertebra.JOINT) - bone)
        marrow = np.asarray(marrow, np.float32)
        inner = np.clip(np.float32(0.5) - (distance + shell) * np.float32(1 / self.grid.edge), 0, 1)
        core = marrow + self.grain[window] * (0.16 * marrow + 15).astype(np.float32)
        hard = np.float32(self.spec.cortical)
        self._blend(window, distance, hard + inner * (core - hard))
        np.minimum(bone, distance, out=bone)
        if label:
            self.labels[window][distance <= 0] = label

    def solid(self, shapes: list[Shape], shell: float, marrow: float, fillet: float = 2.0, label: int = 0) -> None:
        """Paints the union of the shapes as one bone."""
        window = union_window(self.grid, shapes, self.margin)
        if window is not None:
            self.bony(window, union(self.grid, shapes, window, fillet, self.margin), shell, marrow, label)

    def vault(self, shape: Shape, thickness: float) -> None:
        """Paints the hollow cranium round the shape's surface; the spine leaves it through the foramen magnum."""
        window = self.grid.window(shape.pose, shape.half, thickness)
        if window is not None:
            x, y, z = self.grid.coordinates(shape.pose, window)
            shell = np.abs(shape.distance(x, y, z)) - np.float32(thickness / 2)
            foramen = np.float32(15.0) - np.sqrt(x * x + (y - np.float32(26.0)) ** 2)
            self.bony(window, np.maximum(shell, np.minimum(foramen, -z)), 1.8, 450.0)


def _draw_vertebra(canvas: _Canvas, member: Member, rng: np.random.Generator) -> None:
    spec, grid = canvas.spec, canvas.grid
    if grid.window(Pose(member.pose.position, np.eye(3)), np.full(3, 100.0), 0.0) is None:
        return
    lips = rng.gamma(1.5, 1.0, 3) * 3.0 * spec.degeneration * (member.place > 2)
    marrow = spec.trabecular * float(rng.normal(1, 0.05)) * (1.0 + 0.25 * (member.place < 7))
    if member.level.name == "C1":
        trunk, rest = [], vertebra.atlas(member, rng)
    else:
        trunk, rest = [vertebra.body(member, np.minimum(lips, 7.0))], vertebra.arch(member, rng)
    trunk, rest = ([shape.within(member.pose) for shape in shapes] for shapes in (trunk, rest))
    window = union_window(grid, trunk + rest, canvas.margin)
    if window is None:
        return
    body = union(grid, trunk, window, 0.0, canvas.margin)
    arch = union(grid, rest, window, 2.2, canvas.margin)
    squeezed = 1.6 if member.broken else 1.0
    inside = body < arch
    shell = np.where(inside, np.float32(0.42 * squeezed), np.float32(0.95))
    marrow += 120.0 * (member.broken.loss if member.broken else 0.0)
    # The arch is denser than the body: thicker walls and plates too thin for much marrow.
    core = np.where(inside, np.float32(marrow), np.float32(0.9 * marrow + 80))
    canvas.bony(window, smooth_min(body, arch, 2.0), shell, core, int(member.level))
    if trunk and member.place > 9:
        size = member.size
        vein = bar((0, size.depth * 0.42, 0), (0, size.depth * 0.1, 0), 1.1, 3.0, (1.0, 0.0, 0.0))
        canvas.fill([vein.within(member.pose)], marrow * 0.3)


def _draw_discs(canvas: _Canvas, column: Column, rng: np.random.Generator) -> None:
    following = [member.pose for member in column.members[1:]] + [column.sacrum]
    for member, lower in zip(column.members[1:], following[1:], strict=True):
        size = member.size
        pose = Pose(member.below, (member.pose.axes + lower.axes) / 2)
        half_width, half_depth = size.width / 2 - 2, size.depth / 2 - 1

        def distance(
            x: np.ndarray,
            y: np.ndarray,
            z: np.ndarray,
            a: float = half_width,
            b: float = half_depth,
            c: float = size.disc / 2 + 3,
        ) -> np.ndarray:
            ring = np.sqrt((x / np.float32(a)) ** 2 + (y / np.float32(b)) ** 2)
            return np.maximum((ring - 1) * np.float32(b), np.abs(z) - np.float32(c))

        disc = Shape(pose, np.array([half_width, half_depth, size.disc / 2 + 3]), distance)
        canvas.fill([disc], 85 + 10 * rng.normal())
        if rng.random() < 0.3 * canvas.spec.degeneration:
            gas = bar((-size.width * 0.2, 0, 0), (size.width * 0.15, 0, 0), 1.0, size.depth * 0.2, (0, 1, 0))
            canvas.fill([gas.within(pose)], -500.0)


def _draw_canal(canvas: _Canvas, column: Column) -> None:
    points, radii = [], []
    for member in column.members:
        size = member.size
        points.append(member.pose.at((0, size.depth * 0.45 + size.canal_depth / 2, 0)))
        radii.append(min(size.canal_depth, size.canal_width) / 2)
    points.append(column.sacrum.at((0, 26 * column.scale, -10)))
    radii.append(6.0 * column.scale)
    for share, value in ((1.0, -30.0), (0.82, 22.0), (0.5, 38.0)):
        cord = len(points) - (8 if share == 0.5 else 0)
        shapes = [
            bar(tuple(points[i]), tuple(points[i + 1]), (radii[i] * share, radii[i + 1] * share))
            for i in range(cord - 1)
        ]
        canvas.fill(shapes, value)


def _draw_table(hu: np.ndarray, grid: Grid, column: Column, spec: PhantomSpec) -> None:
    """A carbon shell over foam, below the lowest skin."""
    frame = Pose(column.members[len(column.members) // 2].pose.position, np.eye(3))
    x, y, _ = grid.coordinates(frame)
    surface = np.float32(100 + 0.6 * min(spec.fat, 50)) - x * x / np.float32(1400)
    depth = y - surface
    for distance, value in ((np.abs(depth) - 1.2, -100.0), (np.abs(depth - 20) - 18, -930.0)):
        share = np.clip(np.float32(0.5) - distance / np.float32(grid.edge), 0, 1)
        hu += share * np.maximum(np.float32(value) - hu, 0)


def _draw_starvation(hu: np.ndarray, grid: Grid, column: Column, amount: float, rng: np.random.Generator) -> None:
    """Horizontal streaks where the shoulders swallow the rays."""
    z = grid.coordinates(Pose(column[Level.T1].pose.position, np.eye(3)))[2]
    weight = np.exp(-((z / 55) ** 2))
    if weight.max() > 0.05:
        hu += noise(grid.shape, np.array([18.0, 1.5, 1.5]) / grid.spacing, rng) * (np.float32(amount) * weight)


def _grid(
    column: Column, spec: PhantomSpec, spacing: np.ndarray, size: tuple[int, int, int] | None, direction: np.ndarray
) -> Grid:
    seen = [m for m in column.members if spec.first.rank <= m.level.rank <= spec.last.rank]
    ends = np.array([m.pose.at((0, 0, s * m.size.height / 2)) for m in seen for s in (-1, 1)])
    middles = np.array([m.pose.position for m in seen])
    low, high = ends.min(0), ends.max(0)
    centre = np.array([middles[:, 0].mean(), (low[1] + high[1]) / 2 + 12, (low[2] + high[2]) / 2]) + spec.offset
    extent = np.array([*spec.field, high[2] - low[2] + 2 * spec.margin])
    nx, ny, nz = size or (max(round(n), 1) for n in np.abs(direction.T) @ extent / spacing)
    steps = direction * spacing
    return Grid(centre - steps @ ((np.array([nx, ny, nz]) - 1) / 2), steps, (int(nx), int(ny), int(nz)))


def make_phantom(
    spec: PhantomSpec | int,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.5),
    size: tuple[int, int, int] | None = None,
    direction: tuple[float, ...] | None = None,
) -> Phantom:
    """A synthetic CT of a spine with its label map and centroids; the same arguments give the same voxels.

    Args:
        spec: what to show; a number draws a random spec from that seed.
        spacing: mm along the three voxel axes.
        size: voxels along them; None for the whole field of view of the spec.
        direction: nine direction cosines as in SimpleITK, None for axes along L, P and S.

    Raises:
        SpineError: spacing or size are not positive, or the direction is no rotation.
    """
    spec = spec_of(spec)
    steps, axes = np.asarray(spacing, float), np.eye(3) if direction is None else np.reshape(direction, (3, 3))
    if steps.shape != (3,) or not np.all(steps > 0) or (size is not None and (len(size) != 3 or min(size) < 1)):
        raise SpineError(f"a phantom needs three positive spacings and sizes, not {spacing} and {size}")
    if not np.allclose(axes @ axes.T, np.eye(3), atol=1e-6):
        raise SpineError("the direction of a phantom must be nine direction cosines (orthonormal axes)")
    streams = np.random.SeedSequence(spec.seed).spawn(4)
    shape_rng, part_rng, texture_rng, noise_rng = (np.random.default_rng(stream) for stream in streams)
    column = build_column(spec, shape_rng)
    turn = rotation(*spec.rotation)
    target = _grid(column, spec, steps, size, axes)
    # Voxels much longer than wide are drawn in pieces and averaged: thin shells need it.
    pieces = tuple(2 * int(s / (2.2 * steps.min()) // 1 + 1) - 1 if s > 2.2 * steps.min() else 1 for s in steps)
    grid = target.refined(pieces)  # type: ignore[arg-type]

    hu = draw_soft_tissue(grid, column, spec, turn, texture_rng)
    if spec.table:
        _draw_table(hu, grid, column, spec)
    if spec.streaks:
        _draw_starvation(hu, grid, column, spec.streaks, texture_rng)
    grain = noise(grid.shape, np.maximum(1.6 / grid.spacing, 1), texture_rng)
    canvas = _Canvas(grid, hu, grain, spec)
    _draw_canal(canvas, column)
    _draw_discs(canvas, column, part_rng)
    streams = shape_rng.spawn(len(column.members))
    for member, stream in zip(column.members, streams, strict=True):
        _draw_vertebra(canvas, member, stream)
    canvas.solid(skeleton.sacrum(column), 1.0, 0.8 * spec.trabecular, 4.0, SACRUM)
    for member in column.members:
        for rib in skeleton.ribs(member, turn, spec.stature, part_rng):
            canvas.solid(rib, 0.75, 260.0, 1.0)
    for bone in skeleton.breast_and_shoulders(column, turn) + skeleton.hips(column, turn):
        canvas.solid(bone, 1.3, 200.0)
    vault, base = skeleton.skull(column)
    canvas.solid(base, 2.0, 350.0)
    canvas.vault(vault, 6.5 * spec.stature)
    for member in column.members:
        if member.level in spec.cement:
            canvas.fill(metal.cement(member, part_rng), metal.CEMENT)
    held = [member for member in column.members if member.level in spec.screws]
    if held:
        canvas.fill([shape for member in held for shape in metal.screws(member)] + metal.rods(held), metal.METAL)
        for member in held:
            metal.add_streaks(canvas.hu, grid, member, part_rng)

    ct, labels = canvas.hu, canvas.labels
    if pieces != (1, 1, 1):
        (nx, ny, nz), (px, py, pz) = target.size, pieces
        ct = ct.reshape(nz, pz, ny, py, nx, px).mean((1, 3, 5), dtype=np.float32)
        labels = np.ascontiguousarray(labels[pz // 2 :: pz, py // 2 :: py, px // 2 :: px])
    image = target.image(scan(ct, target.spacing, spec, noise_rng))
    bones = target.image(labels)
    label_map = target.image(np.where(labels == SACRUM, 0, labels).astype(np.uint8))

    def seen(position: np.ndarray) -> bool:
        index = label_map.TransformPhysicalPointToContinuousIndex([float(v) for v in position])
        return all(-0.5 <= i <= n - 0.5 for i, n in zip(index, target.size, strict=True))

    centroids = [
        Centroid(member.level, tuple(member.pose.position + spec.origin))
        for member in column.members
        if seen(member.pose.position)
    ]
    first_sacral = column.sacrum.at((0, 0, -S1_BELOW * column.scale))
    sacrum = tuple(first_sacral + spec.origin) if seen(first_sacral) else None
    for each in (image, label_map, bones):
        each.SetOrigin([float(a + b) for a, b in zip(each.GetOrigin(), spec.origin, strict=True)])
    return Phantom(image, label_map, Centroids(tuple(centroids)), spec, sacrum, bones)
