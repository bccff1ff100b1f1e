"""The packages of the wheel, found so that none is forgotten; everything else stands in pyproject.toml."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["SpineSegmentationLib*"]), "SpineSegmentationLib.models"])
