"""Where the command-line module MTCTLSegmentCLI is."""

from __future__ import annotations

from support.paths import ROOT

FOLDER = ROOT / "MTCTLSegment" / "MTCTLSegmentCLI"
SCRIPT, XML = FOLDER / "MTCTLSegmentCLI.py", FOLDER / "MTCTLSegmentCLI.xml"
