"""Lessmann's labeller: its traversal finds vertebrae, names and masks at once (2019, section 3)."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch

from ..cache import Cache
from ..detection.lessmann import DIRECTION, UP, VERTEBRA
from ..detection.lessmann_patches import Fragment, Lattice
from ..headway import portion
from ..numbering import Certainty, Numbering
from ..segmentation.column import Column, Instances
from ..segmentation.lessmann import NAME, LessmannSegmenter, remember
from ..segmentation.mask import HALF, VertebraMask
from ..spine import Centroid, Point, SpineBox, rounded
from .lessmann_chain import column as column_of
from .lessmann_sequence import NAMES, expected, names_of, readings
from .lessmann_traversal import traverse

SHOWN = 0.5  # least volume of an incomplete vertebra, relative to those beside it
CRUMB = 0.25  # and of one that the network calls complete
SURE = 0.9  # probability that it is a vertebra, and that it has its likeliest name, from which its size does not matter
MISTAKEN = 0.05  # levels off on average, from which it is said
NEVER_CERTAIN = "neither dens nor sacrum was looked for: names of this system are never certain"


class LessmannLabeller:
    """Finds the vertebrae in a spine box, one after the other, with their masks; names them all together."""

    def __init__(self, device: torch.device) -> None:
        self.segmenter = LessmannSegmenter(device)
        self.network = self.segmenter.network
        self.weights, self.runners = self.network.weights, self.network.runners

    def __call__(self, ct: sitk.Image, box: SpineBox) -> Instances:
        """The vertebrae whose middle lies in the box (LPS mm), with the share of their names' likelihood."""
        spacing, patch = self.network.spacing, self.network.patch
        around = SpineBox.around([box.lower, box.upper], (patch * spacing,) * 3, (patch * spacing,) * 3)
        lattice = Lattice.of(ct, spacing, patch, around.intersection(SpineBox.of_image(ct)))
        known: Cache[VertebraMask] = Cache(256)
        begin = box.lower[2] if DIRECTION == UP else box.upper[2]
        places: list[Point] = []
        met: list[Fragment] = []

        def settled(fragment: Fragment) -> bool:
            """The mask as the segmenter makes it from the point; so a point alone gives the same one again."""
            fragment = self.network.judged(lattice, fragment)
            if fragment.answer.vertebra < VERTEBRA:
                return False
            x, y, z = rounded(fragment.body[::-1] * spacing)
            if not box.contains(np.array([x, y, z]))[0] or (x, y, z) in places:
                return True
            with portion(0, abs(z - begin) / box.size[2]):  # so that it can be ended here
                mask = Column(ct, NAME, self.segmenter, [*places, (x, y, z)], known).mask((x, y, z))
            remember(lattice, mask)
            if (mask.probability >= HALF).any():
                places.append((x, y, z))
                met.append(fragment)
            return True

        traverse(lattice, self.network, box, DIRECTION, settled)
        enough = [i for i in range(len(met)) if shown_enough(i, met)]
        places, met = [places[i] for i in enough], [met[i] for i in enough]
        chances = np.array([names_of(fragment.answer) for fragment in met]).reshape(-1, len(NAMES))
        order, steps = column_of(np.array(places).reshape(-1, 3), chances)
        apart = len(places) - len(order)
        places, met, chances = [places[i] for i in order], [met[i] for i in order], chances[order]
        thoracic = [bool(fragment.answer.thoracic) for fragment in met]
        named = readings(chances, thoracic, steps)
        column = Column(ct, NAME, self.segmenter, places, known)
        masks = {column.key(place): column.mask(place) for place in places}
        if not named:
            return Instances(masks=masks)
        best = named[0]
        points = (Centroid(level, p, best.probability) for level, p in zip(best.levels, places, strict=True))
        numbers = [NAMES.index(level) + 1 for level in best.levels]
        off = np.abs(expected(chances) - numbers).mean()
        said = [f"single vertebrae were taken for others, {off:.1f} levels off on average"] if off >= MISTAKEN else []
        if apart:
            said.append(f"left out as no neighbours of these, though they look like vertebrae: {apart} pieces of bone")
        verdict = Numbering(Certainty.DOUBTFUL, named, (*said, NEVER_CERTAIN))
        return Instances(tuple(points), verdict, masks=masks)


def shown_enough(number: int, met: list[Fragment]) -> bool:
    """Whether a vertebra is listed: it is complete, surely named, or the scan shows enough of it for its body's middle.

    Enough is measured by the median of those met just before and after it, two on either side, for crumbs come in
    pairs, and a piece of skull is larger than any; and no crumb is complete, whatever the network says. The paper lists
    complete ones alone and leaves it to the application to list others with a flag (section 3.5). Those that are left
    out did their part in the traversal.
    """
    said = met[number].answer
    if said.names is not None and min(said.vertebra, said.names.max()) >= SURE:
        return True
    beside = [met[i].mask.sum() for i in range(max(number - 2, 0), min(number + 3, len(met))) if i != number]
    share = met[number].mask.sum() / (np.median(beside) if beside else met[number].mask.sum())
    return bool(share >= (CRUMB if said.complete >= 0.5 else SHOWN))
