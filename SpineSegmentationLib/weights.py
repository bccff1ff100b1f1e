"""Finding, checking and loading the weights: safetensors only, SHA-256 from a registry in the repository."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from .errors import SpineError
from .io.values import read_json, replacing, write_json
from .quantising import quantised, restored
from .registry import FOLDERS, REGISTRY

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Weights:
    """A file of weights that was checked.

    Attributes:
        name: such as ``anduin-labelling``.
        path: the safetensors file.
        sha256: of the file, equal to the registry's.
        width: which of the architecture's widths it has.
    """

    name: str
    path: Path
    sha256: str
    width: str


def folder() -> Path:
    """Where the weights are.

    Raises:
        SpineError: the registry is nowhere to be found.
    """
    for candidate in FOLDERS:
        if (candidate / REGISTRY).is_file():
            return candidate
    raise SpineError(f"{FOLDERS[0] / REGISTRY}: the list of weights is missing; install the extension again")


_PREFERRED: ContextVar[Path | None] = ContextVar("preferred folder of weights", default=None)


@contextmanager
def preferring(place: Path | None) -> Iterator[None]:
    """Within this, weights that the registry of ``place`` names come from there, all others from :func:`folder`.

    Raises:
        SpineError: there is no registry.
    """
    if place is not None and not (place / REGISTRY).is_file():
        raise SpineError(f"{place / REGISTRY} does not exist; give a folder that train wrote")
    token = _PREFERRED.set(place)
    try:
        yield
    finally:
        _PREFERRED.reset(token)


def place_of(name: str) -> Path:
    """The folder from whose registry the weights of that name are taken.

    Raises:
        SpineError: as :func:`folder`.
    """
    preferred = _PREFERRED.get()
    return preferred if preferred is not None and name in _registry(preferred) else folder()


def find(name: str) -> Weights:
    """The weights of that name, their file checked against the registry's SHA-256.

    Raises:
        SpineError: unknown name, missing file, or a file that is not the registered one.
    """
    place = place_of(name)
    registry = _registry(place)
    if name not in registry:
        raise SpineError(f"{place / REGISTRY}: no weights named {name}; known are {', '.join(sorted(registry))}")
    entry = registry[name]
    path = place / f"{name}.safetensors"
    if not path.is_file():
        raise SpineError(f"{path}: the weights are missing; install the extension again")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != entry["sha256"]:
        raise SpineError(f"{path}: wrong checksum, the file is damaged or was replaced; install the extension again")
    return Weights(name, path, digest, entry["width"])


def _registry(place: Path) -> dict[str, dict[str, str]]:
    """The entries of the list of weights by name.

    Raises:
        SpineError: it is damaged.
    """
    registry = read_json(place / REGISTRY)
    entries = registry.values() if isinstance(registry, dict) else [None]
    for entry in entries:
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("sha256", "width")):
            raise SpineError(f"{place / REGISTRY}: the list of weights is damaged; install the extension again")
    return registry


def registered(name: str) -> bool:
    """Whether there are weights of that name.

    Raises:
        SpineError: the registry is nowhere to be found.
    """
    return name in _registry(place_of(name))


def load(name: str, architecture: type[Network], device: torch.device) -> tuple[Network, Weights]:
    """The network with its weights in float32, ready for inference, and the checked weights it came from.

    Raises:
        SpineError: as :func:`find`, or weights that do not fit the architecture.
    """
    weights = find(name)
    network = architecture(weights.width)
    try:
        network.load_state_dict(restored(load_file(weights.path)))
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise SpineError(
            f"{weights.path}: the weights do not fit {architecture.__name__}; {error}".splitlines()[0]
        ) from error
    return network.eval().to(device), weights


def member(name: str, number: int) -> str:
    """The name of the weights of one member of a committee; the first member's is the committee's own."""
    return name if number == 1 else f"{name}-{number}"


def load_committee(name: str, architecture: type[Network], device: torch.device) -> list[tuple[Network, Weights]]:
    """Networks trained apart for the same answer: ``name``, and ``name-2``, ``name-3``, ... as far as registered.

    Raises:
        SpineError: as :func:`load`.
    """
    found = [load(name, architecture, device)]
    while registered(further := member(name, len(found) + 1)):
        found.append(load(further, architecture, device))
    return found


def save(network: nn.Module, name: str, width: str, place: Path) -> Weights:
    """Writes quantised weights to ``place`` and enters them in its registry; whole or not at all."""
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{name}.safetensors"
    tensors = {key: value.contiguous().cpu() for key, value in quantised(network.state_dict()).items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary)
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
    registry_path = place / REGISTRY
    registry = read_json(registry_path) if registry_path.exists() else {}
    write_json(registry_path, dict(sorted({**registry, name: {"sha256": digest, "width": width}}.items())))
    return Weights(name, path, digest, width)
