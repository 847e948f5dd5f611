"""SampleData: the module that downloads sample data sets; here it loads files that exist already, and no others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import slicer


@dataclass(frozen=True)
class SampleDataSource:
    """One data set as a module registers it."""

    sampleName: str | None = None
    category: str | None = None
    uris: str | Sequence[str] | None = None
    fileNames: str | Sequence[str] | None = None
    nodeNames: str | Sequence[str] | None = None
    sampleDescription: str | None = None
    customDownloader: Callable[[Any], Any] | None = None
    thumbnailFileName: str | None = None
    loadFileTypes: Any = "VolumeFile"
    loadFileProperties: Any = None
    loadFiles: Any = True
    checksums: str | Sequence[str] | None = None


class SampleDataLogic:
    """Registers data sets and loads them by name."""

    @staticmethod
    def registerCustomSampleDataSource(category: str = "Custom", sampleName: str | None = None, **values: Any) -> None:
        """Adds a data set to a category of the Sample Data module."""
        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}
        sources = slicer.modules.sampleDataSources.setdefault(category, [])
        sources.append(SampleDataSource(sampleName, category=category, **values))

    @staticmethod
    def sourceForSampleName(name: str) -> SampleDataSource | None:
        """The data set of that name."""
        categories = getattr(slicer.modules, "sampleDataSources", {}).values()
        return next((each for sources in categories for each in sources if each.sampleName == name), None)

    def downloadSamples(self, name: str) -> list[Any]:
        """Loads a data set whose files are on this computer.

        Raises:
            RuntimeError: for a data set that would have to be downloaded.
        """
        source = self.sourceForSampleName(name)
        if source is None:
            raise RuntimeError(f"no sample data set named '{name}'")
        if source.customDownloader:
            return [source.customDownloader(source)]
        uris = [source.uris] if isinstance(source.uris, str) else list(source.uris or [])
        nodes = []
        for uri in uris:
            path = Path(url2pathname(urlparse(uri).path)) if "://" in uri else Path(uri)
            if not path.is_file():
                raise RuntimeError(f"the test host downloads nothing: {uri}")
            nodes.append(slicer.util.loadVolume(str(path)))
        return nodes

    def downloadSample(self, name: str) -> Any:
        """The first node of a data set."""
        return self.downloadSamples(name)[0]
