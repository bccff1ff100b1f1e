"""Reading and writing: CT (DICOM, NIfTI, NRRD, MetaImage) and the files of box and centroids."""
