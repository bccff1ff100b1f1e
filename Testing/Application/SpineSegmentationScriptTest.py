"""The logic in a real Slicer without its panel, as scripts use it."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
import slicer.packaging
import vtk
from SpineSegmentationPanel.sample import add_phantom

import SpineSegmentation


class SpineSegmentationScriptTest(unittest.TestCase):
    """A volume under a transform, corrected and exported by a script."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        module = slicer.util.getModuleWidget("SpineSegmentation")
        requirements = slicer.packaging.load_requirements(module.resourcePath("requirements.txt"))
        if not slicer.packaging.pip_check(requirements):
            self.skipTest(f"Slicer's Python lacks some of {', '.join(map(str, requirements))}")

    def test_script(self):
        volume = add_phantom("T11", "L4", (1.5, 1.5, 2.0), (150.0, 150.0))
        turn = vtk.vtkTransform()
        turn.Translate(20, -30, 100)
        turn.RotateZ(10)
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transform.SetMatrixTransformToParent(turn.GetMatrix())
        volume.SetAndObserveTransformNodeID(transform.GetID())

        logic = SpineSegmentation.SpineSegmentationLogic()
        result = logic.process(volume)
        vertebrae = logic.vertebrae(result)
        self.assertGreaterEqual(len(vertebrae), 3)
        first = vertebrae[0]
        target = np.array(first.ras) + (2.0, 0.0, 0.0)
        logic.moveCentroid(result, first.level, tuple(target))
        np.testing.assert_allclose(logic.vertebrae(result)[0].ras, target, atol=1e-3)
        logic.undo(result)
        np.testing.assert_allclose(logic.vertebrae(result)[0].ras, first.ras, atol=1e-3)

        logic.measure(result)
        self.assertEqual(len(vertebrae), result.table.GetNumberOfRows())
        with tempfile.TemporaryDirectory() as folder:
            paths = [
                *logic.exportVerSe(result, folder),
                *logic.exportStl(result, folder),
                *logic.exportCsv(result, str(Path(folder) / "table.csv")),
            ]
            self.assertEqual(len(paths), len(vertebrae) + 3)
            self.assertTrue(all(Path(path).stat().st_size > 0 for path in paths))
