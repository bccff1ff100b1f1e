"""What a session has computed, as text: kept with a scene, it spares the next session the same work.

A mask belongs to the voxels of a scan, to networks, to a place and to what the segmenter saw besides; all that is part
of the text, so a memory of something else is of no use and does no harm.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Container, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..grid import Grid
from ..segmentation.mask import VertebraMask, whole

SAME = 1e-3
"""Voxels; a scan that lies as near as this to the one remembered is that."""


@dataclass(frozen=True)
class Memory:
    """The masks of a scan, each as a text.

    Attributes:
        scan: what scan it is, see :func:`scan_of`; "" for none.
        masks: by digest.
    """

    scan: str = ""
    masks: Mapping[str, str] = field(default_factory=dict)

    def of(self, scan: str) -> dict[Hashable, VertebraMask]:
        """The masks by what they were computed from; none when it is of another scan, or damaged."""
        try:
            return dict(map(_mask, self.masks.values())) if _same(self.scan, scan) else {}
        except (ValueError, KeyError, TypeError, zlib.error):
            return {}


def scan_of(ct: sitk.Image) -> str:
    """Tells scans apart by their voxels and where they lie."""
    voxels = hashlib.blake2b(np.ascontiguousarray(sitk.GetArrayViewFromImage(ct)).data, digest_size=16).hexdigest()
    return json.dumps({"voxels": voxels, "size": ct.GetSize(), "to_lps": Grid.of(ct).to_lps.tolist()})


def text_of(key: Hashable, mask: VertebraMask) -> tuple[str, str]:
    """The digest of a mask and its text; ``key`` holds tuples, texts and numbers."""
    values = zlib.compress(np.ascontiguousarray(mask.probability).tobytes())
    content = {
        "key": key,
        "corner": list(mask.corner),
        "shape": list(mask.probability.shape),
        "complete": mask.complete,
        "confidence": mask.confidence,
        "point": mask.point,
        "values": base64.b64encode(values).decode("ascii"),
    }
    text = json.dumps(content)
    return hashlib.blake2b(text.encode("ascii"), digest_size=16).hexdigest(), text


def _mask(text: str) -> tuple[Hashable, VertebraMask]:
    content = json.loads(text)
    shape = tuple(content["shape"])
    values = np.frombuffer(zlib.decompress(base64.b64decode(content["values"])), np.uint8).reshape(shape)
    point = content["point"]
    return _tuples(content["key"]), VertebraMask(
        values, whole(content["corner"]), content["complete"], content["confidence"], point and whole(point)
    )


def _tuples(value: object) -> Hashable:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _same(a: str, b: str) -> bool:
    try:
        first, second = json.loads(a), json.loads(b)
    except ValueError:
        return False
    grids = [Grid.of_matrix(tuple(one["size"]), np.array(one["to_lps"])) for one in (first, second)]
    return first["voxels"] == second["voxels"] and grids[0].same_as(grids[1], SAME)


def of_memory(memory: Memory, known: Container[str] = ()) -> dict[str, Any]:
    """For a message or a file; masks that the other side knows travel as their digest alone."""
    return {
        "scan": memory.scan,
        "masks": {name: None if name in known else text for name, text in memory.masks.items()},
    }


def to_memory(value: Mapping[str, Any] | None, known: Mapping[str, str] | None = None) -> Memory:
    """From :func:`of_memory`; an empty one from None. Raises KeyError when a mask is not known."""
    if value is None:
        return Memory()
    masks = {name: (known or {})[name] if text is None else text for name, text in value["masks"].items()}
    return Memory(value["scan"], masks)
