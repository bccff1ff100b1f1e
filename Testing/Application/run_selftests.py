"""Runs all self-tests in a real Slicer from a source checkout; the exit code says whether they passed.

    Slicer --testing --no-splash --additional-module-paths "$PWD/SpineSegmentation" \
           --python-script Testing/Application/run_selftests.py
"""

import sys
import unittest
from pathlib import Path

import slicer

sys.path.insert(0, str(Path(__file__).resolve().parent))

import SpineSegmentationScriptTest

import SpineSegmentation

loader = unittest.defaultTestLoader
suite = unittest.TestSuite(
    loader.loadTestsFromTestCase(case)
    for case in (SpineSegmentation.SpineSegmentationTest, SpineSegmentationScriptTest.SpineSegmentationScriptTest)
)
passed = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite).wasSuccessful()
slicer.util.exit(slicer.util.EXIT_SUCCESS if passed else slicer.util.EXIT_FAILURE)
