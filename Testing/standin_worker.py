"""A worker whose stages are the stand-ins, some of which print, run out of memory or have a bug."""

from pathlib import Path

import standins

PATHS = [str(Path(standins.__file__).parent), str(Path(standins.__file__).parents[1])]
PROGRAM = f"""
import os, sys
sys.path[:0] = {PATHS!r}
import standins
standins.install()
quiet = standins._Stage.begin
def begin(stage):
    print("a library prints")
    os.write(1, b"so does one in C")
    quiet(stage)
standins._Stage.begin = begin
def no_memory(stage, *_):
    raise MemoryError
def fails(stage, *_):
    raise KeyError("a bug")
class NoMemory(standins.Segmenter):
    __call__ = no_memory
class Fails(standins.Labeller):
    __call__ = fails
from SpineSegmentationLib.pipeline import DETECTORS, LABELLERS, SEGMENTERS, SYSTEMS, System
SEGMENTERS["no-memory"] = NoMemory
SYSTEMS["no-memory"] = System("standin", "standin", "no-memory")
LABELLERS["bug"] = Fails
SYSTEMS["bug"] = System("standin", "bug", "standin")
def slow(device):
    standins.DELAY.update(detection=0.1, labelling=0.1, segmentation=0.1)
    return standins.Detector(device)
DETECTORS["slow"] = slow
SYSTEMS["slow"] = System("slow", "standin", "standin")
from SpineSegmentationLib.session.worker import main
main()
"""
