"""A generated CT for trying the module out, offered by Slicer's Sample Data module."""

import slicer
from slicer.i18n import tr as _

NAME = "SpinePhantom"


def register_sample_data(thumbnail: str) -> None:
    """Adds the phantom to the Sample Data module."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=_("Spine Segmentation"),
        sampleName=NAME,
        # The class insists on lists of one length, even where nothing is downloaded.
        uris=[],
        fileNames=[],
        nodeNames=[],
        thumbnailFileName=thumbnail,
        customDownloader=load_phantom,
    )


def load_phantom(source=None) -> list:
    """Makes a synthetic CT from T10 to L5 and shows it; nothing is downloaded. Returns a list of one volume node."""
    volume = add_phantom("T10", "L5", (1.0, 1.0, 1.5), (160.0, 160.0))
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    return [volume]


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
