"""SampleData: the module that downloads sample data sets; here it loads files that exist already, and no others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import slicer

Text = str | Sequence[str | None] | None


class SampleDataSource:
    """One data set; the fields that go with a URL are lists of one length."""

    def __init__(
        self,
        sampleName: str | None = None,
        sampleDescription: str | None = None,
        uris: Any = None,
        fileNames: Text = None,
        nodeNames: Text = None,
        checksums: Text = None,
        loadFiles: Any = None,
        customDownloader: Callable[[Any], Any] | None = None,
        thumbnailFileName: str | None = None,
        loadFileTypes: Text = None,
        loadFileProperties: Mapping[str, Any] | None = None,
        loadFileType: Text = None,
    ) -> None:
        """Raises TypeError without a URL and a name, also beside a custom downloader, as the application does.

        Raises:
            ValueError: for lists of different lengths.
        """
        fields: dict[str, Any] = {
            "uris": uris,
            "fileNames": fileNames,
            "nodeNames": nodeNames,
            "checksums": checksums,
            "loadFiles": loadFiles,
            "loadFileTypes": loadFileTypes if loadFileType is None else loadFileType,
        }
        if isinstance(uris, list | tuple):
            for name in ("nodeNames", "checksums", "loadFiles", "loadFileTypes"):
                if fields[name] is None or (name == "loadFileTypes" and isinstance(fields[name], str)):
                    fields[name] = [fields[name]] * len(uris)
        elif isinstance(uris, str):
            fields = {name: [value] for name, value in fields.items()}
        if len({len(value) for value in fields.values()}) != 1:
            raise ValueError(f"All fields of sample data source must have the same length: {fields}")
        self.sampleName = sampleName
        self.sampleDescription = sampleName if sampleDescription is None else sampleDescription
        self.uris, self.fileNames, self.nodeNames = fields["uris"], fields["fileNames"], fields["nodeNames"]
        self.checksums, self.loadFiles = fields["checksums"], fields["loadFiles"]
        self.loadFileTypes = fields["loadFileTypes"]
        self.customDownloader, self.thumbnailFileName = customDownloader, thumbnailFileName
        self.loadFileProperties = loadFileProperties or {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SampleDataSource) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


class SampleDataLogic:
    """Registers data sets and loads them by name."""

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom",
        sampleName: str | None = None,
        uris: Any = None,
        fileNames: Text = None,
        nodeNames: Text = None,
        customDownloader: Callable[[Any], Any] | None = None,
        thumbnailFileName: str | None = None,
        loadFileTypes: Text = None,
        loadFiles: Any = None,
        loadFileProperties: Mapping[str, Any] | None = None,
        checksums: Text = None,
        loadFileType: Text = None,
    ) -> None:
        """Adds a data set to a category of the Sample Data module; a second time nothing."""
        source = SampleDataSource(
            sampleName=sampleName,
            uris=uris,
            fileNames=fileNames,
            nodeNames=nodeNames,
            checksums=checksums,
            loadFiles=loadFiles,
            customDownloader=customDownloader,
            thumbnailFileName=thumbnailFileName,
            loadFileTypes=loadFileTypes,
            loadFileProperties=loadFileProperties,
            loadFileType=loadFileType,
        )
        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}
        sources = slicer.modules.sampleDataSources.setdefault(category, [])
        if source not in sources:
            sources.append(source)

    @staticmethod
    def sampleDataSourcesByCategory(category: str | None = None) -> Any:
        """The data sets of a category, or of all, by category."""
        categories = getattr(slicer.modules, "sampleDataSources", {})
        return categories if category is None else categories.get(category, [])

    @staticmethod
    def sourceForSampleName(name: str) -> SampleDataSource | None:
        """The data set of that name."""
        categories = getattr(slicer.modules, "sampleDataSources", {}).values()
        return next((each for sources in categories for each in sources if each.sampleName == name), None)

    def downloadSamples(self, name: str) -> list[Any]:
        """Loads a data set whose files are on this computer; a custom downloader is not asked, as in the application.

        Raises:
            RuntimeError: for a data set that would have to be downloaded.
        """
        source = self.sourceForSampleName(name)
        if source is None:
            raise RuntimeError(f"no sample data set named '{name}'")
        return self.downloadFromSource(source)

    def downloadFromSource(self, source: SampleDataSource) -> list[Any]:
        """As `downloadSamples`. What cannot be fetched is logged and left out, as in the application.

        Rules that rewrite addresses are asked first. The node gets the source's name for it.
        """
        nodes = []
        for uri, name in zip(source.uris, source.nodeNames, strict=True):
            for rule in getattr(slicer.modules, "sampleDataUrlRewriteRules", {}).values():
                uri = rule(uri)
            if uri.startswith("http"):
                raise RuntimeError(f"the test host downloads nothing: {uri}")
            path = Path(url2pathname(urlparse(uri).path)) if "://" in uri else Path(uri)
            if path.is_file():
                nodes.append(slicer.util.loadVolume(str(path), {"name": name} if name else {}))
            else:
                logging.error("Download failed: %s", uri)
        return nodes

    def downloadSample(self, name: str) -> Any:
        """The first node of a data set."""
        return self.downloadSamples(name)[0]


def press(source: SampleDataSource) -> Any:
    """For tests: what the data set's button in the Sample Data module does."""
    return source.customDownloader(source) if source.customDownloader else SampleDataLogic().downloadFromSource(source)
