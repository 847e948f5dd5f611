"""DICOM series read, segmentations and maps written as DICOM."""
