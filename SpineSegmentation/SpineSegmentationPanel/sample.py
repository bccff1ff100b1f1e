"""A synthetic CT for trying the module out, offered by Slicer's Sample Data module, and another for the self-tests."""

import hashlib
from pathlib import Path

from slicer.i18n import tr as _

NAME = "SpinePhantom"


def register_sample_data(file: str, thumbnail: str) -> None:
    """Adds the phantom to the Sample Data module; it lies on the disk, so nothing is downloaded.

    Args:
        file: the CT from T10 to L5, as ``Resources/generate.py`` made it.
        thumbnail: its picture.
    """
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=_("Spine Segmentation"),
        sampleName=NAME,
        uris=Path(file).as_uri(),
        fileNames=f"{NAME}.nrrd",
        nodeNames=NAME,
        thumbnailFileName=thumbnail,
        # So that Slicer's cache gives no older one.
        checksums=f"SHA256:{hashlib.sha256(Path(file).read_bytes()).hexdigest()}",
    )


def add_phantom(first: str, last: str, spacing: tuple, field: tuple):
    """A volume node with a synthetic CT.

    Args:
        first, last: its uppermost and lowermost vertebra.
        spacing: mm along x, y, z.
        field: width and depth of the field of view in mm.
    """
    import sitkUtils

    from SpineSegmentationLib.anatomy import Level
    from SpineSegmentationLib.phantom import PhantomSpec, make_phantom

    spec = PhantomSpec(seed=7, first=Level.parse(first), last=Level.parse(last), field=field)
    ct = make_phantom(spec, spacing).ct
    return sitkUtils.PushVolumeToSlicer(ct, name=NAME, className="vtkMRMLScalarVolumeNode")
