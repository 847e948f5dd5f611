"""What was made for a scan goes where the scan goes, for example when it is registered to another after the review."""

from __future__ import annotations

import numpy as np

from mtctl.scene.nodes import CaseNodes, is_there
from mtctl.scene.volume_nodes import copy_grid, follow, index_to_ras, matrix_of


def follow_scan(nodes: CaseNodes) -> None:
    """Put maps, segmentation, surface and preview back onto the scan after it was moved.

    That is: put under another transform, taken out of one, or the transform hardened. Nothing happens otherwise; a
    segmentation that a person has moved by itself, and somebody else's, stay where they are.
    """
    volumes = [*nodes.uncertainty.values(), nodes.heatmap, nodes.distance, nodes.probability, nodes.paintable]
    volumes = [volume for volume in volumes if is_there(volume)]
    if not volumes or not is_there(nodes.scan):
        return
    before, after = index_to_ras(volumes[0]), index_to_ras(nodes.scan)
    transforms = volumes[0].GetTransformNodeID(), nodes.scan.GetTransformNodeID()
    if transforms[0] == transforms[1] and np.array_equal(before, after):
        return
    for volume in volumes:
        was_modified = volume.StartModify()
        copy_grid(volume, nodes.scan)
        follow(volume, nodes.scan)
        volume.EndModify(was_modified)
    for node in (nodes.segmentation, nodes.preview, nodes.surface):
        if is_there(node) and node.GetTransformNodeID() == transforms[0]:
            if not np.array_equal(before, after):
                node.ApplyTransformMatrix(matrix_of(after @ np.linalg.inv(before)))
            follow(node, nodes.scan)
