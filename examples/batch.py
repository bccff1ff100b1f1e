"""Segments CT files in Slicer without a window, and applies corrections that are known beforehand.

Slicer --no-main-window --python-script examples/batch.py OUTPUT_FOLDER CT_FILE...

Files are named as on the command line: two scans of one name get their folders' names put in front. PyTorch must be
installed already (press Apply once in the window). The networks run in a process of their own.
"""

import sys
import traceback
from pathlib import Path

import slicer

MODULE = Path(__file__).resolve().parents[1] / "SpineSegmentation"
# In a source checkout; installed as an extension, the module is found without this.
if MODULE.is_dir() and str(MODULE) not in sys.path:
    sys.path.insert(0, str(MODULE))

CORRECTIONS = {
    # Name of the output: what a person would do in the panel; points are RAS mm.
    "example": lambda logic, result: (
        logic.shift(result, -1),
        logic.moveCentroid(result, "L3", (2.0, -31.0, -184.0)),
    ),
}


def main(output: Path, files: list) -> int:
    """Segments every file; returns how many failed."""
    from SpineSegmentation import SpineSegmentationLogic
    from SpineSegmentationLib.errors import SpineError
    from SpineSegmentationLib.results.names import output_names

    output.mkdir(parents=True, exist_ok=True)
    logic, failed = SpineSegmentationLogic(), 0
    for file, name in zip(files, output_names(files), strict=True):
        try:
            volume = slicer.util.loadVolume(str(file))
            result = logic.process(volume)
            CORRECTIONS.get(name, lambda logic, result: None)(logic, result)
            doubtful = [v.level for v in logic.vertebrae(result) if v.problem or v.confidence < 0.5]
            numbering = logic.numbering(result)
            paths = [
                *logic.exportVerSe(result, output, name),
                *logic.exportCsv(result, output / f"{name}_measurements.csv"),
            ]
            print(f"{file}: {', '.join(path.name for path in paths)}; to be checked: {', '.join(doubtful) or 'none'}")
            if numbering is not None:
                print(f"{file}: {numbering.certainty.sentence}")
        except (SpineError, RuntimeError) as error:
            print(f"{file}: {error}", file=sys.stderr)
            failed += 1
        slicer.mrmlScene.Clear()
    logic.close()
    return failed


# Without a window, an exception would leave Slicer running for ever.
code = slicer.util.EXIT_FAILURE
try:
    if len(sys.argv) < 3:
        print("usage: batch.py OUTPUT_FOLDER CT_FILE...", file=sys.stderr)
    elif not main(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]]):
        code = slicer.util.EXIT_SUCCESS
except Exception:
    traceback.print_exc()
slicer.util.exit(code)
