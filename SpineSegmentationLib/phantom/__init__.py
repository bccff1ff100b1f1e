"""A parametric synthetic spine CT with exact truth: input of the demo and the tests, and training data."""

from .make import Phantom, make_phantom
from .spec import Fracture, PhantomSpec, Scoliosis

__all__ = ["Fracture", "Phantom", "PhantomSpec", "Scoliosis", "make_phantom"]
