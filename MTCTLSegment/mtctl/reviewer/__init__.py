"""The browser reviewer: the review of `mtctl.review.session` in a web page, with the views of 3D Slicer and no Slicer."""
