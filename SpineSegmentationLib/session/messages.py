"""What the worker and its client say to each other: one JSON object per line.

Requests: ``open`` (the scan: a file of its voxels and where they lie), ``run``, ``measure``, ``cancel``; all but the
last have an ``id``. Answers carry it as ``id``; their ``event`` is ``progress``, ``show``, ``done``, ``measured`` or
``failed``. A piece is packed to bits (some 30 kB), so it travels in the message; one that the other side has, by its
digest, travels as that digest alone; so do the masks of a memory (some 20 kB).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Container, Iterable, Mapping
from typing import Any

import numpy as np

from ..anatomy import BONES, Bone, Level
from ..grid import Grid
from ..io.values import numbering_json, parse_numbering
from ..segmentation.mask import Piece
from ..spine import Centroid, Centroids, SpineBox
from .engine import Update
from .memory import of_memory, to_memory
from .state import State


def line(message: Mapping[str, Any]) -> bytes:
    """One message as it is sent."""
    return json.dumps(message, allow_nan=False).encode("ascii") + b"\n"


class Lines:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterable[dict[str, Any]]:
        """The messages that are complete with these bytes. Raises ValueError when one is no JSON object."""
        self._rest += data
        *complete, self._rest = self._rest.split(b"\n")
        for text in complete:
            message = json.loads(text)
            if not isinstance(message, dict):
                raise ValueError("not a message")
            yield message


def of_state(state: State) -> dict[str, Any]:
    box = state.box
    return {
        "box": None if box is None else [*box.lower, *box.upper],
        "centroids": [[point.level.name, *point.position, point.confidence] for point in state.centroids],
        "locked": sorted(level.name for level in state.locked),
        "numbering": numbering_json(numbering) if (numbering := state.centroids.numbering) else None,
        "sacrum": list(state.sacrum) if state.sacrum else None,
        "with_sacrum": state.with_sacrum,
    }


def to_state(value: Mapping[str, Any]) -> State:
    box = value["box"]
    points = tuple(Centroid(Level[name], (x, y, z), sure) for name, x, y, z, sure in value["centroids"])
    return State(
        None if box is None else SpineBox(tuple(box[:3]), tuple(box[3:])),
        # Scenes that were saved before there was a verdict have none.
        Centroids(points, parse_numbering(stated) if (stated := value.get("numbering")) else None),
        frozenset(Level[name] for name in value["locked"]),
        # Scenes that were saved before the sacrum could be segmented say nothing of it.
        tuple(sacrum) if (sacrum := value.get("sacrum")) else None,
        value.get("with_sacrum", False),
    )


def of_pieces(pieces: Mapping[Bone, Piece], known: Container[str] = ()) -> dict[str, Any]:
    """Pieces by the name of their bone; those whose digest is known without their bits."""
    return {
        level.name: {
            "digest": piece.digest,
            "corner": list(piece.corner),
            "shape": list(piece.shape),
            "bits": None if piece.digest in known else base64.b64encode(piece.bits.tobytes()).decode("ascii"),
        }
        for level, piece in pieces.items()
    }


def to_pieces(value: Mapping[str, Any], known: Mapping[str, Piece] | None = None) -> dict[Bone, Piece]:
    """Pieces from :func:`of_pieces`. Raises KeyError when one without bits is not known."""
    pieces = {}
    for name, entry in value.items():
        if entry["bits"] is None:
            pieces[BONES[name]] = (known or {})[entry["digest"]]
        else:
            bits = np.frombuffer(base64.b64decode(entry["bits"]), np.uint8)
            pieces[BONES[name]] = Piece(tuple(entry["corner"]), tuple(entry["shape"]), bits, entry["digest"])
    return pieces


def of_grid(grid: Grid) -> list[list[float]]:
    return [list(grid.size), list(grid.spacing), list(grid.origin), list(grid.direction)]


def to_grid(value: Any) -> Grid:
    return Grid(*(tuple(part) for part in value))


def of_update(update: Update, known: Container[str] = (), masks: Container[str] = ()) -> dict[str, Any]:
    return {
        "state": of_state(update.state),
        "pieces": of_pieces(update.pieces, known),
        "grid": of_grid(update.grid),
        "seconds": dict(update.seconds),
        "warnings": list(update.warnings),
        "memory": of_memory(update.memory, masks),
    }


def to_update(
    value: Mapping[str, Any], known: Mapping[str, Piece] | None = None, masks: Mapping[str, str] | None = None
) -> Update:
    return Update(
        to_state(value["state"]),
        to_pieces(value["pieces"], known),
        to_grid(value["grid"]),
        value["seconds"],
        tuple(value["warnings"]),
        to_memory(value["memory"], masks),
    )
