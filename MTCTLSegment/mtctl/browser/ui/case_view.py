"""A case in the views: its nodes, and what follows when the review or the segmentation changes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl import scene
from mtctl.browser.ui.open_case import CaseUnderReview
from mtctl.browser.ui.views import Brush, Views
from mtctl.geometry import Mask, Triple, Volume
from mtctl.inference.result import Result


class CaseDisplay:
    """The nodes of the case on the screen; one at a time."""

    def __init__(self, views: Views, brush: Brush) -> None:
        self._views, self._brush = views, brush
        self._scan: Any = None
        self._nodes: scene.CaseNodes | None = None
        self._opacity = 0.7

    def show_scan(self, volume: Volume, name: str) -> None:
        """Show a scan alone, in place of what was shown before."""
        self.clear()
        self._scan = scene.add_scan(self._views.scene, volume, name)
        self._views.app.display_manager.show_volume_in_slice_background(self._scan)
        self._views.fit()

    def show(self, case: CaseUnderReview, volume: Volume) -> None:
        """Show a case under review, in place of what was shown before."""
        self.show_scan(volume, case.name)
        maps = case.session.maps
        result = Result(maps.geometry, maps.segmentation.astype(np.uint8), {"entropy": maps.uncertainty}, case.report)
        nodes = self._nodes = scene.show_result(self._views.scene, self._scan, result)
        if (case.mask != maps.segmentation).any():
            scene.set_mask(nodes, case.mask)
        scene.show_layers(nodes, self._opacity)
        self.set_threshold(case.session.state.threshold)
        self._brush.attach(nodes, case.session.state.threshold)
        self.color_surface()
        self._views.fit()

    def clear(self) -> None:
        """Show nothing."""
        self._brush.detach()
        if self._nodes:
            scene.close_case(self._nodes)
        if self._scan:
            self._views.scene.RemoveNode(self._scan)
        self._scan, self._nodes = None, None

    def mask(self) -> Mask:
        """Return the segmentation as it is in the views, (z, y, x) bool."""
        assert self._nodes
        return scene.mask_of(self._nodes)

    def set_mask(self, mask: Mask) -> None:
        """Show another segmentation."""
        if self._nodes:
            scene.set_mask(self._nodes, mask)

    def color_surface(self) -> None:
        """Compute the surface anew; 0.1 to 0.8 s."""
        if self._nodes and self.mask().any():
            scene.color_surface(self._nodes)
        elif self._nodes:
            scene.set_surface_visible(self._nodes, False)

    def set_threshold(self, threshold: float) -> None:
        """Set the threshold of the heatmap and of the brush."""
        if self._nodes:
            scene.set_threshold(self._nodes, threshold)
            self._brush.restrict(threshold)

    def set_opacity(self, opacity: float) -> None:
        """Set the opacity of the heatmap."""
        self._opacity = opacity
        if self._nodes:
            scene.set_opacity(self._nodes, opacity)

    def jump(self, place: Triple) -> None:
        """Centre all views on a place, LPS mm."""
        scene.jump(self._views.scene, place)

    def preview(self, voxels: NDArray[np.int64] | None) -> None:
        """Show which voxels (flat indices) would change side; None: remove the preview."""
        if self._nodes is None:
            return
        if voxels is None:
            scene.remove_preview(self._nodes)
        else:
            self._nodes = scene.show_preview(self._nodes, voxels)
