"""The browser reviewer: the review of a case in a web page, with the views of 3D Slicer and no Slicer."""
