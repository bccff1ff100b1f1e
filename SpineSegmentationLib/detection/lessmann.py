"""The first part of Lessmann's traversal: a patch slides over the scan until it shows a vertebra (2019, section 3.3).

A one-stage method needs no detector, but a person may want to limit its search. So its detector is that search: from
the first vertebra that it meets, the column is followed wherever it goes, and the box says from where.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import SimpleITK as sitk
import torch
from torch.nn import functional

from .. import weights
from ..device import Runner
from ..networks.blocks import normalise_hu
from ..networks.lessmann import IterativeFCN, Name, RibNetwork
from ..resampling import AIR
from ..spine import SpineBox
from .lessmann_patches import LEAST, Answer, Ask, Fragment, Index, Lattice

NETWORK = "lessmann-segmentation"  # one network does everything,
RIBS = "lessmann-labelling"  # and another one is asked about what it found (VerSe paper, section 3.2)
UP, DOWN = 1, -1
DIRECTION = UP  # of the traversal: what the network was trained for, and the more robust one (section 5.4)
BONE = 100.0  # HU: where too little is brighter there is no vertebra, and the network need not be asked
CROP = 0.025  # share of the scan that is cut off at its bottom when nothing was found (VerSe paper, section 3.2)
MOST_CROPPED = 0.25
BESIDE = 128.0  # mm from the first vertebra to the box's sides: so far may a column bend
BEFORE = 64.0  # mm from the first vertebra to the box's lower end: as far as its patch shows others
SETTLED = 2.0  # mm: delta_max
MOVES = 10  # at most, for one vertebra
LEAP = 40.0  # mm onwards: farther than the middle of one vertebra moves while more of it comes into view
VERTEBRA = 0.5  # least probability that it is one


class Network:
    """The network as the traversal asks it, with the attributes of a stage.

    The VerSe system's rib network is there when its weights are; the system of 2019 had none.

    Attributes:
        spacing: mm; ``patch``: voxels along every axis.
    """

    def __init__(self, device: torch.device) -> None:
        network, found = weights.load(NETWORK, IterativeFCN, device)
        self.spacing, self.patch = network.spacing, network.patch
        self.runner = Runner(network, device)
        self.weights: tuple[weights.Weights, ...] = (found,)
        self.runners: tuple[Runner, ...] = (self.runner,)
        self.ribs: Runner | None = None
        if weights.registered(RIBS):
            second, found = weights.load(RIBS, RibNetwork, device)
            self.ribs = Runner(second, device)
            self.weights, self.runners = (*self.weights, found), (*self.runners, self.ribs)

    def __call__(self, hu: np.ndarray, memory: np.ndarray) -> Answer:
        """See :data:`Ask`."""
        image = normalise_hu(torch.from_numpy(np.ascontiguousarray(hu)))[None, None]
        known = torch.from_numpy(memory.astype(np.float32))[None, None]
        logits, label, complete = self.runner(lambda network, *patch: network(*patch), image, known)
        probability = logits.float().sigmoid()[0, 0].cpu().numpy()
        return Answer(probability, float(label[0]), float(complete.float().sigmoid()[0]))

    def judged(self, lattice: Lattice, fragment: Fragment) -> Fragment:
        """The fragment with what the rib network says of it, where there is one: all but mask and number."""
        if self.ribs is None:
            return fragment
        hu = torch.from_numpy(lattice.shown(fragment))[None, None].float()
        mask = torch.from_numpy(fragment.mask)[None, None].float()

        def ask(network: RibNetwork, hu: torch.Tensor, mask: torch.Tensor) -> Name:
            # Its patch is as wide in mm; its voxels are others where only one of the two is as wide as printed.
            hu, mask = (functional.adaptive_avg_pool3d(part, network.patch) for part in (hu, mask))
            return network(hu, (mask >= 0.5).float())

        said = self.ribs(ask, hu, mask)
        answer = replace(
            fragment.answer,
            names=said.levels[0].exp().cpu().numpy(),
            thoracic=bool(said.thoracic[0] > 0),
            complete=float(said.complete[0].sigmoid()),
            vertebra=float(said.vertebra[0].sigmoid()),
        )
        return replace(fragment, answer=answer)


class LessmannDetector:
    """Finds where the column begins: the box reaches from the first vertebra to the other end of the scan."""

    def __init__(self, device: torch.device) -> None:
        self.network = Network(device)
        self.weights, self.runners = self.network.weights, self.network.runners

    def __call__(self, ct: sitk.Image) -> SpineBox | None:
        """The box in LPS mm, within the scan; None when no patch shows a vertebra."""
        scan = SpineBox.of_image(ct)
        lattice = Lattice.of(ct, self.network.spacing, self.network.patch)

        def is_vertebra(fragment: Fragment) -> bool:
            whole = converge(lattice, self.network, fragment.middle, DIRECTION) or fragment
            return self.network.judged(lattice, whole).answer.vertebra >= VERTEBRA

        fragment = first_fragment(lattice, self.network, scan, DIRECTION, is_vertebra)
        return None if fragment is None else begins_with(fragment, lattice.spacing, scan, DIRECTION)


def begins_with(fragment: Fragment, spacing: float, scan: SpineBox, direction: int) -> SpineBox:
    """The box (LPS mm) of a column that begins with a fragment, as far as the scan goes in the other direction."""
    where = (fragment.corner + np.argwhere(fragment.mask))[:, ::-1] * spacing
    lower, upper = where.min(0) - BESIDE, where.max(0) + BESIDE
    if direction == UP:
        lower[2], upper[2] = where[:, 2].min() - BEFORE, scan.upper[2]
    else:
        lower[2], upper[2] = scan.lower[2], where[:, 2].max() + BEFORE
    found = SpineBox(lower, upper).intersection(scan)
    assert found is not None  # a fragment lies in the scan
    return found


def windows(lattice: Lattice, box: SpineBox, direction: int) -> list[Index]:
    """Where the search puts patches: half a patch apart, over the box (LPS mm), in the order of the traversal."""
    step = lattice.patch // 2
    axes = []
    for low, high in zip(reversed(box.lower), reversed(box.upper), strict=True):
        first, last = int(np.ceil(low / lattice.spacing)), int(np.floor(high / lattice.spacing))
        # The outermost patches reach a quarter of their width beyond the box.
        inner = max(last - first - step, 0)
        count = -(-inner // step) + 1
        axes.append(np.rint(first + (last - first - step * (count - 1)) / 2 + step * np.arange(count)).astype(int))
    axes[0] = axes[0][::direction]
    return [np.array(centre) for centre in itertools.product(*axes)]


def sees_bone(lattice: Lattice, centre: Index) -> bool:
    """Whether enough is bright round a lattice position for a fragment of a vertebra."""
    here, _ = lattice.place(centre)
    return bool((lattice.hu[here] > BONE).sum() * lattice.spacing**3 >= LEAST)


def first_fragment(
    lattice: Lattice,
    ask: Ask,
    box: SpineBox,
    direction: int,
    accepted: Callable[[Fragment], bool] = lambda fragment: True,
) -> Fragment | None:
    """The first fragment that the search meets in a box (LPS mm) and that is accepted; None without any.

    The lattice remembers the others.

    Where nothing is found the end that the traversal begins at is cut off bit by bit: too small a rest of a vertebra
    there may keep the network from naming any other the first (VerSe paper, section 3.2). What was cut off is air in
    ``lattice`` from then on.
    """
    centres = windows(lattice, box, direction)

    def met(centre: Index) -> Fragment | None:
        while sees_bone(lattice, centre) and (found := lattice.look(ask, centre)):
            if accepted(found):
                return found
            lattice.remember(found)
            if found.mask.sum() * lattice.spacing**3 < LEAST:  # crumbs, of which there may be thousands
                return None
        return None

    for centre in centres:
        if found := met(centre):
            return found
    for _ in _cropped(lattice, direction):
        for centre in centres:
            here, _ = lattice.place(centre)
            end = here[0].start == 0 if direction == UP else here[0].stop == lattice.hu.shape[0]
            # Other patches do not show what was cut off.
            if end and (found := met(centre)):
                return found
    return None


def converge(lattice: Lattice, ask: Ask, centre: Index, direction: int) -> Fragment | None:
    """Moves a patch to the middle of what it shows until it stands still; None when it loses the fragment.

    What it shows all at once by more than ``LEAP`` onwards is a later bone: it stays with the one before.
    A patch that still moves by more than ``SETTLED`` after ``MOVES`` moves swings between two places and is put midway
    between the last two.
    """
    before = centre = np.asarray(centre)
    shown: Fragment | None = None
    for _ in range(MOVES):
        fragment = lattice.look(ask, centre)
        if fragment is None:
            return None
        if shown and (fragment.middle - shown.middle)[0] * direction * lattice.spacing > LEAP:
            return shown
        shown = fragment
        if np.abs(fragment.middle - centre).max() * lattice.spacing <= SETTLED:
            return fragment
        before, centre = centre, fragment.middle
    return lattice.look(ask, np.ceil((centre + before) / 2).astype(int))


def _cropped(lattice: Lattice, direction: int) -> Iterator[None]:
    rows = lattice.hu.shape[0]
    step = max(int(np.ceil(CROP * rows)), 1)
    for count in range(step, int(MOST_CROPPED * rows) + 1, step):
        lattice.hu[slice(0, count) if direction == UP else slice(rows - count, rows)] = AIR
        yield
