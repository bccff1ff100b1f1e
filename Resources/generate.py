"""Writes the colour table, the terminology, the icons and the sample CT from the library's list of vertebrae.

Run from the repository root after a change of colours or codes: ``python Resources/generate.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image, ImageDraw

from SpineSegmentationLib.anatomy import BONES, COLUMN, SNOMED_CATEGORY, SNOMED_VERTEBRA, Bone, Level
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom

HERE = Path(__file__).resolve().parent
COLOR_TABLE = HERE / "SpineSegmentation.ctbl"
TERMINOLOGY = HERE / "SegmentationCategoryTypeModifier-SpineSegmentation.term.json"
CONTEXT = "Segmentation category and type - Spine Segmentation"


def rgb(level: Bone) -> list[int]:
    """The bone's colour, 0..255."""
    return [round(255 * part) for part in level.color]


def color_table() -> str:
    """Slicer's colour table: VerSe code, name, red, green, blue, opacity."""
    lines = ["# Vertebrae with the codes of the VerSe data set", "0 background 0 0 0 0"]
    lines += [f"{int(level)} {level.name} {' '.join(map(str, rgb(level)))} 255" for level in sorted(BONES.values())]
    return "\n".join(lines) + "\n"


def terminology() -> dict:
    """Slicer's segmentation terminology: each level of the column, and the sacrum, as a SNOMED CT body structure.

    T13 and L6 have no code of their own: they are modifiers of "Vertebra" under a private coding scheme.
    """
    types = [
        _code(level.snomed, level.title) | {"recommendedDisplayRGBValue": rgb(level), "3dSlicerLabel": level.name}
        for level in BONES.values()
        if level.snomed
    ]
    variants = [
        _code(level.name, level.title, "99SPINE")
        | {"recommendedDisplayRGBValue": rgb(level), "3dSlicerLabel": level.name}
        for level in COLUMN
        if not level.snomed
    ]
    types.append(_code(*SNOMED_VERTEBRA) | {"recommendedDisplayRGBValue": [226, 202, 134], "Modifier": variants})
    category = _code(*SNOMED_CATEGORY) | {"showAnatomy": False, "Type": types}
    return {
        "SegmentationCategoryTypeContextName": CONTEXT,
        "@schema": "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/segment-context-schema.json#",
        "SegmentationCodes": {"Category": [category]},
    }


def _code(value: str, meaning: str, scheme: str = "SCT") -> dict:
    return {"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}


def icon(size: int = 128) -> Image.Image:
    """Four vertebrae from the side, each in its colour, with the centroid marked."""
    scale = 8
    image = Image.new("RGBA", (size * scale, size * scale))
    draw = ImageDraw.Draw(image)
    unit = size * scale / 128
    for number, level in enumerate((Level.T12, Level.L1, Level.L2, Level.L3)):
        top, shift = 6 + 30 * number, (8, 2, 2, 8)[number]
        fill, edge = (*rgb(level), 255), (60, 60, 60, 255)

        def at(*points: tuple[float, float], shift: float = shift, top: float = top) -> list[tuple[float, float]]:
            return [((x + shift) * unit, (y + top) * unit) for x, y in points]

        process = at((50, 6), (74, 8), (108, 20), (110, 27), (92, 26), (62, 17), (50, 16))
        body = at((8, 1), (30, 3), (54, 0), (52, 13), (55, 26), (30, 23), (9, 26), (11, 13))
        for shape in (process, body):
            draw.polygon(shape, fill=fill)
            draw.line([*shape, shape[0]], fill=edge, width=round(2 * unit), joint="curve")
        (x, y), radius = at((31, 13))[0], 4.5 * unit
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 255, 255, 255), outline=edge)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def thumbnail() -> Image.Image:
    """The sample phantom cut through its middle, 260 x 280."""
    ct = make_phantom(PhantomSpec(seed=7, first=Level.T10, last=Level.L5, field=(40.0, 160.0)), (1.0, 1.0, 1.0)).ct
    hu = sitk.GetArrayFromImage(ct)[::-1]
    grey = np.clip((hu[:, :, hu.shape[2] // 2] + 200) / 900, 0, 1)
    picture = Image.fromarray((255 * grey).astype(np.uint8))
    picture.thumbnail((260, 280))
    canvas = Image.new("L", (260, 280))
    canvas.paste(picture, ((260 - picture.width) // 2, (280 - picture.height) // 2))
    return canvas


def sample() -> sitk.Image:
    """The CT of Slicer's Sample Data module, T10 to L5; coarse voxels and steps of 16 HU keep its file small."""
    spec = PhantomSpec(seed=7, first=Level.T10, last=Level.L5, field=(140.0, 140.0), noise=4.0)
    ct = make_phantom(spec, (2.0, 2.0, 3.0)).ct
    image = sitk.GetImageFromArray((np.round(sitk.GetArrayFromImage(ct) / 16) * 16).astype(np.int16))
    image.CopyInformation(ct)
    return image


def main() -> None:
    COLOR_TABLE.write_text(color_table())
    TERMINOLOGY.write_text(json.dumps(terminology(), indent=1) + "\n")
    icon().save(HERE / "Icons" / "SpineSegmentation.png")
    sitk.WriteImage(sample(), str(HERE / "SampleData" / "SpinePhantom.nrrd"), useCompression=True)
    thumbnail().save(HERE / "Icons" / "SpinePhantom.png", optimize=True)


if __name__ == "__main__":
    main()
