"""Results as DICOM objects, for archives: segmentations (SEG) and structured reports (SR). Needs highdicom."""
