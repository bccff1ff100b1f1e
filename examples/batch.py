"""Segments CT files in Slicer without a window, and applies corrections that are known beforehand.

Slicer --no-main-window --python-script examples/batch.py OUTPUT_FOLDER CT_FILE...
"""

import sys
from pathlib import Path

import slicer

from SpineSegmentation import SpineSegmentationLogic
from SpineSegmentationLib.errors import SpineError

CORRECTIONS = {
    # File name: what a person would do in the panel; points are RAS mm.
    "example.nrrd": lambda logic, result: (
        logic.shift(result, -1),
        logic.moveCentroid(result, "L3", (2.0, -31.0, -184.0)),
    ),
}

output, *files = (Path(argument) for argument in sys.argv[1:])
output.mkdir(parents=True, exist_ok=True)
logic = SpineSegmentationLogic()
failed = 0
for file in files:
    try:
        volume = slicer.util.loadVolume(str(file))
        result = logic.process(volume)
        CORRECTIONS.get(file.name, lambda logic, result: None)(logic, result)
        doubtful = [vertebra.level for vertebra in logic.vertebrae(result) if vertebra.confidence < 0.5]
        paths = [*logic.exportVerSe(result, output), *logic.exportCsv(result, output / f"{file.stem}.csv")]
        print(f"{file}: {', '.join(path.name for path in paths)}; to be checked: {', '.join(doubtful) or 'none'}")
    except (SpineError, RuntimeError) as error:
        print(f"{file}: {error}", file=sys.stderr)
        failed += 1
    slicer.mrmlScene.Clear()
logic.close()
slicer.util.exit(slicer.util.EXIT_FAILURE if failed else slicer.util.EXIT_SUCCESS)
