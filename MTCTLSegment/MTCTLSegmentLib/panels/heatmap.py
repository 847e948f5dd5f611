"""Section 2: how the uncertainty is shown."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from slicer.util import VTKObservationMixin

from mtctl import scene
from mtctl.errors import MtctlError
from MTCTLSegmentLib.error_display import errors_shown
from MTCTLSegmentLib.panel import Panel
from MTCTLSegmentLib.parameters import ShownUncertainty, Surface
from MTCTLSegmentLib.review.case_review import REVIEWED_KIND
from MTCTLSegmentLib.review.current_review import CurrentReview

# The review is saved when the slider rests so long: while it moves, only the picture follows.
_REST_MS = 60

# The coloured surface follows an edit so much later: it takes a second on a large atrium.
_SURFACE_MS = 600


class HeatmapPanel(Panel, VTKObservationMixin):
    """Show the uncertainty as the module's parameters say; the module calls `show_...` when one has changed."""

    def __init__(self, ui: Any, current: CurrentReview) -> None:
        super().__init__()
        self._ui, self._current = ui, current
        self._rest = self.make_timer(_REST_MS, self.keep_threshold)
        self._recolor = self.make_timer(_SURFACE_MS, self._color_again)
        self._views = self.make_timer(0, self._follow_views)
        self._surface = self.make_timer(0, self.show_surface)  # Half a second: in a turn of its own, after the slices.
        self._shown = False  # The open case is in the views,
        self._away = False  # or was, until a person looked at another scan.
        self.listen(current, self.refresh)

    def close(self) -> None:
        """Follow the views no more, and close the panel."""
        self.removeObservers()
        super().close()

    def refresh(self) -> None:
        """Enable the section while a review is open; hide what is left of one that cannot go on."""
        self._ui.uncertaintySection.enabled = self._current.review is not None
        if self._current.nodes is None and self._shown and not slicer.mrmlScene.IsClosing():
            self.hide_cases()

    def show_case(self) -> None:
        """Show the open case: layers, legend, its own threshold, and in a moment its surface."""
        review, parameters = self._current.review, self._current.parameters
        if review is None or parameters is None:
            return
        scene.unhide_case(review.nodes)
        if parameters.kind.value in review.nodes.uncertainty:
            review.nodes = scene.show_kind(review.nodes, parameters.kind.value)
        else:  # This case was made without that map.
            parameters.kind = ShownUncertainty[review.nodes.kind]
        scene.show_layers(review.nodes, parameters.opacity)
        scene.set_heatmap_visible(review.nodes, parameters.heatmap)
        self._show_legend()
        self.take_threshold()
        self._surface.start()
        self.removeObservers()
        for view in scene.composites(slicer.mrmlScene):
            self.addObserver(view, vtk.vtkCommand.ModifiedEvent, self._view_changed)
        self._shown, self._away = True, False

    def hide_cases(self) -> None:
        """Take all cases of the scene out of the views: heatmap, legend, outline, surface and preview."""
        self._rest.stop()
        self._recolor.stop()
        self._surface.stop()
        self.removeObservers()
        self._shown = self._away = False
        scene.hide_cases(slicer.mrmlScene)

    def take_threshold(self) -> None:
        """Set the slider to the threshold of the shown uncertainty."""
        review, parameters = self._current.review, self._current.parameters
        if review is None or parameters is None:
            return
        if review.nodes.kind == REVIEWED_KIND:
            value = review.session.state.threshold
            scene.set_threshold(review.nodes, value)
        else:
            value = scene.threshold_of(review.nodes)
        parameters.threshold = min(max(float(value), 0.0), 1.0)

    def show_kind(self) -> None:
        """Show the chosen kind of uncertainty."""
        review, parameters = self._current.review, self._current.parameters
        if review is None:
            return
        with errors_shown():
            try:
                review.nodes = scene.show_kind(review.nodes, parameters.kind.value)
            except scene.SceneError:
                parameters.kind = ShownUncertainty[review.nodes.kind]
                raise
            self._show_legend()
            self.take_threshold()
            self.show_surface()
            self._current.notify()

    def show_threshold(self) -> None:
        """Show the threshold in the views at once; it is kept when the slider rests."""
        review, parameters = self._current.review, self._current.parameters
        if review is None:
            return
        scene.set_threshold(review.nodes, parameters.threshold)
        if review.nodes.kind == REVIEWED_KIND and parameters.threshold != review.session.state.threshold:
            self._rest.start()

    def keep_threshold(self) -> None:
        """Keep the chosen threshold with the review."""
        self._rest.stop()
        review, parameters = self._current.review, self._current.parameters
        if review is None or parameters is None or review.nodes.kind != REVIEWED_KIND:
            return
        review.session.set_threshold(parameters.threshold)
        self._current.save_and_notify()

    def show_opacity(self) -> None:
        """Show the heatmap with the chosen opacity."""
        review = self._current.review
        if review is not None and review.nodes.heatmap is not None:
            scene.set_opacity(review.nodes, self._current.parameters.opacity)

    def show_heatmap(self) -> None:
        """Show or hide the heatmap."""
        review = self._current.review
        if review is not None and review.nodes.heatmap is not None:
            scene.set_heatmap_visible(review.nodes, self._current.parameters.heatmap)

    def show_surface(self) -> None:
        """Show the atrium in 3-D as chosen."""
        review, parameters = self._current.review, self._current.parameters
        if review is None or parameters is None:
            return
        try:
            if parameters.surface == Surface.colored:
                scene.color_surface(review.nodes)
                review.refresh()
            else:
                scene.set_surface_visible(review.nodes, parameters.surface == Surface.plain)
        except MtctlError:  # An empty segment has no surface: nothing to tell, there is nothing to see.
            scene.set_surface_visible(review.nodes, False)

    def edited(self) -> None:
        """Colour the surface again after an edit; the plain surface follows by itself."""
        if self._current.parameters is not None and self._current.parameters.surface == Surface.colored:
            self._recolor.start()

    def _color_again(self) -> None:
        if self._current.review is not None and self._current.review.refresh() is None:
            self.show_surface()

    def _view_changed(self, *_event: Any) -> None:
        self._views.start()

    def _follow_views(self) -> None:
        """Hide outline, legend and surface while another scan took the place of this one; show them with it again.

        A file or sample that is loaded does that to all views, without a word to this module.
        """
        review, views = self._current.review, scene.composites(slicer.mrmlScene)
        if review is None or self._current.parameters is None or not self._shown or not views:
            return
        if not scene.is_in_views(review.nodes):
            if not self._away:
                scene.hide_cases(slicer.mrmlScene)
                self._away = True
        elif self._away:
            self.show_case()

    def _show_legend(self) -> None:
        review, view = self._current.review, slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
        if view is not None and review is not None and review.nodes.heatmap is not None:
            scene.show_legend(review.nodes, [view])
