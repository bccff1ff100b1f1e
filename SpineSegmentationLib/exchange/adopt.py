"""A segmentation of others taken over: one mask for each level, voxel for voxel, its centroids, what looks wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk

from ..anatomy import Level
from ..foreign.centres import centre_of
from ..foreign.fit import fit
from ..foreign.masks import ForeignMask
from ..grid import Grid
from ..segmentation.mask import Piece, common, paint
from ..spine import Centroid, Centroids
from .checks import Finding, check

SOFT = 50
"""HU that the middle voxel of a mask of bone does not stay below."""


@dataclass(frozen=True, eq=False)
class Adopted:
    """A segmentation that was taken over.

    Attributes:
        pieces: the voxels of each vertebra on the grid of the scan; no two share one.
        centroids: of the bodies, LPS mm, computed from the masks; one for every piece.
        grid: of the scan.
        findings: what looks wrong.
        notes: how it was read, and what was changed on the way, one line each.
    """

    pieces: Mapping[Level, Piece]
    centroids: Centroids
    grid: Grid
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    def label_map(self, scan: sitk.Image) -> sitk.Image:
        """uint8 VerSe codes on the grid of the scan."""
        return paint(self.pieces, scan)

    @property
    def lasting(self) -> tuple[Finding, ...]:
        """What was found when the masks were read, and is not seen by looking at them again."""
        return tuple(one for one in self.findings if one.kind in ("duplicate", "overlap", "place"))

    def renamed(self, names: Mapping[Level, Level]) -> Adopted:
        """The same masks under other names, all at once; a person who names a vertebra is sure of it.

        Raises:
            SpineError: two would have one name.
        """
        centroids = Centroids(tuple(replace(p, level=names.get(p.level, p.level)) for p in self.centroids))
        pieces = {names.get(level, level): piece for level, piece in self.pieces.items()}
        lasting = [replace(one, text=f"by the names that were there, {one.text}") for one in self.lasting]
        findings = (*lasting, *check(pieces, centroids, self.grid))
        return Adopted(pieces, centroids, self.grid, findings, self.notes)


def adopt(mask: ForeignMask, scan: sitk.Image) -> Adopted:
    """Takes a segmentation over onto the grid of a scan.

    Raises:
        SpineError: it does not overlap the scan.
    """
    fitted = fit(mask, scan)
    notes, findings = list(fitted.notes), []
    pieces: dict[Level, Piece] = {}
    names: dict[Level, str] = {}
    for one in fitted.segments:
        if not one.piece.voxels.size:
            notes.append(f"{one.name} lies outside the scan and is left out")
        elif one.level in pieces:
            text = f"{one.level.name} is there twice, as {names[one.level]!r} and {one.name!r}; both were joined"
            findings.append(Finding("duplicate", (one.level,), text))
            pieces[one.level] = union(pieces[one.level], one.piece)
        else:
            pieces[one.level], names[one.level] = one.piece, one.name
    grid = Grid.of(scan)
    pieces = dict(sorted(pieces.items(), key=lambda item: item[0].rank))
    centres = {level: centre_of(piece, level, grid) for level, piece in pieces.items()}
    findings += _separate(pieces, centres, grid)
    for level in [level for level, piece in pieces.items() if not piece.voxels.size]:
        notes.append(f"{level.name} is left out: other vertebrae have all its voxels")
        del pieces[level]
    centroids = Centroids(tuple(Centroid(level, centres[level]) for level in pieces))
    findings += [*check(pieces, centroids, grid), *_off_bone(pieces, scan)]
    return Adopted(pieces, centroids, grid, tuple(findings), tuple(notes))


def union(a: Piece, b: Piece) -> Piece:
    """What is in either piece."""
    start = np.minimum(a.corner, b.corner)
    stop = np.maximum(np.add(a.corner, a.shape[::-1]), np.add(b.corner, b.shape[::-1]))
    voxels = np.zeros((stop - start)[::-1], bool)
    for piece in (a, b):
        voxels[_within(piece, start)] |= piece.voxels
    return Piece.of(voxels, tuple(start.tolist()))


def without(piece: Piece, others: Mapping[Level, Piece]) -> Piece:
    """A piece without the voxels that others have."""
    voxels = piece.voxels.copy()
    for other in others.values():
        if (both := common(piece, other)) is not None:
            here, there = both
            voxels[here] &= ~other.voxels[there]
    return Piece.of(voxels, piece.corner)


def _within(piece: Piece, start: np.ndarray) -> tuple[slice, ...]:
    first = (piece.corner - start)[::-1]
    return tuple(slice(f, f + n) for f, n in zip(first.tolist(), piece.shape, strict=True))


def _separate(pieces: dict[Level, Piece], centres: Mapping[Level, tuple], grid: Grid) -> list[Finding]:
    """Gives every voxel that several vertebrae have to the one with the nearest centroid; says how many."""
    findings = []
    to_lps = grid.to_lps
    levels = list(pieces)
    for number, first in enumerate(levels):
        for second in levels[number + 1 :]:
            if (both := common(pieces[first], pieces[second])) is None:
                continue
            voxels = {level: pieces[level].voxels.copy() for level in (first, second)}
            shared = voxels[first][both[0]] & voxels[second][both[1]]
            if not (count := np.count_nonzero(shared)):
                continue
            corner = np.array(pieces[first].corner) + [part.start for part in reversed(both[0])]
            places = (np.argwhere(shared)[:, ::-1] + corner) @ to_lps[:3, :3].T + to_lps[:3, 3]
            away = [np.linalg.norm(places - centres[level], axis=1) for level in (first, second)]
            lost = {first: np.zeros_like(shared), second: np.zeros_like(shared)}
            lost[first][shared], lost[second][shared] = away[1] < away[0], away[1] >= away[0]
            for level, part in zip((first, second), both, strict=True):
                voxels[level][part] &= ~lost[level]
                pieces[level] = Piece.of(voxels[level], pieces[level].corner)
            text = f"{first.name} and {second.name} overlap in {count} voxels; each went to the nearer centroid"
            findings.append(Finding("overlap", (first, second), text))
    return findings


def _off_bone(pieces: Mapping[Level, Piece], scan: sitk.Image) -> list[Finding]:
    """A finding when the masks do not lie on bone: of another scan, or turned."""
    hu = sitk.GetArrayViewFromImage(scan)
    soft = [level for level, piece in pieces.items() if np.median(hu[piece.place][piece.voxels]) < SOFT]
    if len(soft) <= len(pieces) / 2:
        return []
    text = (
        f"{len(soft)} of {len(pieces)} masks do not lie on bone: is it the mask of this scan, with left where right is?"
    )
    return [Finding("place", tuple(soft), text)]
