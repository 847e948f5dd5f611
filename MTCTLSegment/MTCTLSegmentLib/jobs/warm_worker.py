"""The child process with the loaded models, which segmentation and questions share."""

from __future__ import annotations

import qt

from mtctl.worker.client import WorkerClient
from MTCTLSegmentLib.error_display import errors_shown
from MTCTLSegmentLib.jobs.qprocess_transport import ProcessTransport

# Twenty looks a second: what the child says is on the screen after 25 ms on average.
_LOOK_MS = 50


class WarmWorker:
    """A client whose child is listened to with a timer, from the first request on.

    Attributes:
        client: Takes the requests; after one, call `listen`.
    """

    def __init__(self) -> None:
        self.client = WorkerClient(ProcessTransport)
        self._timer = qt.QTimer()
        self._timer.setInterval(_LOOK_MS)
        self._timer.connect("timeout()", self._look)

    def _look(self) -> None:
        with errors_shown():  # Such as a scan that was put under a warping transform while the child was at work.
            self.client.poll()

    def listen(self) -> None:
        """Listen to the child from now on."""
        self._timer.start()

    def close(self) -> None:
        """End the child process: the module is reloaded, or the application ends."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self._look)
        self.client.close()
