"""Segments CT files in Slicer without a window, with one correction by hand.

Slicer --no-main-window --python-script examples/batch.py OUTPUT_FOLDER CT_FILE...
"""

import sys
from pathlib import Path

import slicer

from SpineSegmentation import SpineSegmentationLogic

output, *files = (Path(argument) for argument in sys.argv[1:])
logic = SpineSegmentationLogic()
for file in files:
    volume = slicer.util.loadVolume(str(file))
    result = logic.process(volume, system="anduin")

    # Anything a person can correct in the panel can be scripted; points are RAS mm.
    least = min(logic.vertebrae(result), key=lambda vertebra: vertebra.confidence, default=None)
    if least is not None:
        right, anterior, superior = least.ras
        logic.moveCentroid(result, least.level, (right, anterior + 1.0, superior))

    for path in logic.exportVerSe(result, str(output)):
        print(path)
    slicer.mrmlScene.Clear()
logic.close()
slicer.util.exit()
