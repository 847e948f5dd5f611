"""Python packages that Slicer does not ship: installed when they are first needed, after asking.

Without internet the user is told which files to bring, and how to install them from a folder.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import qt
import slicer
from packaging.requirements import Requirement
from slicer.i18n import tr as _

#: Package to install, by the name it is imported by. torch comes through the PyTorch extension, which chooses the
#: build that fits the graphics card.
NEEDED = {"torch": "torch>=2.6", "safetensors": "safetensors>=0.4.3", "skimage": "scikit-image>=0.24"}

#: Sizes of the wheels, of scikit-image with imageio, networkx, pillow and tifffile; scipy and numpy are in Slicer.
_MEGABYTES = {"scikit-image": 30, "safetensors": 1, "scipy": 40, "matplotlib": 20}
_OTHER_MEGABYTES = 20  # Of a package that another purpose adds.

#: torch 2.13 has paths so long that Windows cannot unpack it in the usual place of Slicer (light-the-torch issue 176);
#: where it is there all the same, it does.
_NOT_TO_INSTALL = ",!=2.13.*" if sys.platform == "win32" else ""

_REQUESTER = "MT-CTL"


@dataclass(frozen=True)
class Purpose:
    """A function that needs packages.

    Attributes:
        name: The function, as the beginning of a sentence.
        refused: The message for a user who does not install them.
        packages: Requirements by the names under which they are imported.
    """

    name: str
    refused: str
    packages: Mapping[str, str] = field(default_factory=lambda: NEEDED)


SEGMENTATION = Purpose(
    _("The segmentation"), _("Nothing was installed, so the scan cannot be segmented. Press Apply to be asked again.")
)

MEASURING = Purpose(
    _("Measuring"),
    _("Nothing was installed, so the segmentation cannot be measured."),
    {"skimage": NEEDED["skimage"]},
)

REPORT = Purpose(
    _("The report"),
    _("Nothing was installed, so the report cannot be written. The numbers do without."),
    {"skimage": NEEDED["skimage"], "matplotlib": "matplotlib>=3.9"},
)


def missing(purpose: Purpose = SEGMENTATION) -> list[str]:
    """Return the requirements that are not installed or too old, without importing them."""
    importlib.invalidate_caches()
    return [requirement for name, requirement in purpose.packages.items() if not _is_there(name, requirement)]


def ensure(purpose: Purpose = SEGMENTATION) -> bool:
    """Install what is missing, after asking.

    Returns:
        Whether all is there now; where it is not, the user has read why.
    """
    wanted = missing(purpose)
    if not wanted:
        return True
    obstacle = _obstacle(wanted, purpose)
    if obstacle:
        slicer.util.errorDisplay(obstacle)
        return False
    question = _(
        "{task} needs Python packages that are not installed yet, or too old:\n\n{packages}\n\n"
        "They are downloaded ({size}) and installed into this Slicer, once. Slicer does not respond while that lasts. "
        "Install them now?"
    ).format(task=purpose.name, packages="\n".join(wanted), size=_size_of(wanted))
    if not slicer.util.confirmOkCancelDisplay(question, _("Install Python packages")):
        slicer.util.infoDisplay(purpose.refused)
        return False
    try:
        _install(wanted)
    except Exception as error:  # pip, the PyTorch extension and the network fail in many ways: all mean the same here
        return _offer_folder(str(error), purpose)
    still = missing(purpose)
    if still:
        return _offer_folder(
            _("after installing, {packages} could not be found").format(packages=", ".join(still)), purpose
        )
    return True


def wheels_to_bring(purpose: Purpose = SEGMENTATION) -> str:
    """Return which files a computer without internet needs, and the command that downloads them on another one.

    It is for a Slicer there: pip looks for wheels of the Python and the system that it runs on, and takes what those
    need; told to fetch for another system, it misses some and takes others too many.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    names = "\n".join(
        [
            f"  torch-*-{tag}-{tag}-*.whl   (2.6 or newer)",
            "  safetensors-*-*.whl   (0.4.3 or newer)",
            f"  scikit_image-*-{tag}-{tag}-*.whl   (0.24 or newer)",
            f"  pillow, markupsafe: *-{tag}-{tag}-*.whl",
            "  filelock, fsspec, imageio, jinja2, lazy_loader, mpmath, networkx, packaging, setuptools, sympy, "
            "tifffile, typing_extensions: *-py3-none-any.whl",
        ]
    )
    packages = " ".join(f'"{requirement}"' for requirement in map(_to_install, purpose.packages.values()))
    return _(
        "On a computer with internet, the same operating system and the same version of Slicer, run in a terminal, "
        "with the program PythonSlicer from the folder bin of that Slicer,\n\n"
        "  PythonSlicer -m pip download --only-binary=:all: -d mtctl-wheels {packages}\n\n"
        "and bring the folder mtctl-wheels here. It then holds, for Python {python}, all that is needed, among it:\n\n"
        "{names}"
    ).format(python=python, packages=packages, names=names)


def _size_of(wanted: list[str]) -> str:
    """Return how much is downloaded, with what the packages need themselves, where none of that is there yet."""
    names = {Requirement(requirement).name for requirement in wanted}
    if "torch" in names:
        return _("about 1 GB with PyTorch, up to 3 GB for a graphics card")
    return _("about {megabytes} MB").format(megabytes=sum(_MEGABYTES.get(name, _OTHER_MEGABYTES) for name in names))


def _obstacle(wanted: list[str], purpose: Purpose) -> str:
    """Return why installing would fail, and what to do instead; "" if it may succeed."""
    torch = next((requirement for requirement in wanted if Requirement(requirement).name == "torch"), None)
    if torch is None:
        return ""
    # Also under Rosetta on an Apple chip, where Slicer runs as an Intel program.
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        return _(
            "{task} cannot run in this Slicer: it is a program for Intel processors, and for those there is no "
            "{torch} on macOS. Nothing was installed.\n\n"
            "The command mtctl and its reviewer in the browser run on this Mac, if it has an Apple chip: install them "
            "into a Python for Apple chips."
        ).format(task=purpose.name, torch=torch)
    if _is_installed("torch") and _version(torch):
        return _(
            "{task} needs {torch}, but this Slicer has version {version}, which has to go first. Open the module "
            "PyTorch Utils, uninstall PyTorch there, restart Slicer, and press Apply or Start again."
        ).format(task=purpose.name, torch=torch, version=_version(torch))
    return ""


def _install(wanted: list[str]) -> None:
    torch = [requirement for requirement in wanted if requirement.startswith("torch")]
    others = [requirement for requirement in wanted if requirement not in torch]
    if torch:
        _install_torch(torch[0])
    if others:
        _install_others(others)


def _install_torch(requirement: str) -> None:
    try:
        import PyTorchUtils
    except ImportError as error:
        raise RuntimeError(
            _("the PyTorch extension is not installed: install it with the Extensions Manager and restart Slicer")
        ) from error
    # The user has agreed already. No torch is there yet: `_obstacle` keeps away from one that is too old.
    version = _to_install(requirement).removeprefix("torch")
    try:
        if PyTorchUtils.PyTorchUtilsLogic().installTorch(False, None, version) is None:
            raise RuntimeError(_("PyTorch was not installed"))
    except Exception:
        # Once it has installed torch it imports it, which may fail in the application itself (Windows: c10.dll beside
        # Qt, pytorch issue 166628). Ours is imported by a process of its own.
        importlib.invalidate_caches()
        if not _is_there("torch", requirement):
            raise


def _install_others(requirements: list[str]) -> None:
    try:
        from slicer import packaging
    except ImportError:  # Slicer 5.10
        slicer.util.pip_install(requirements)
        return
    packaging.pip_ensure(
        [Requirement(each) for each in requirements],
        prompt_install=False,
        requester=_REQUESTER,
        skip_in_testing=False,
    )


def _offer_folder(reason: str, purpose: Purpose) -> bool:
    """Offer to install from a folder of wheel files, which needs no internet."""
    question = _(
        "The packages could not be installed: {reason}.\n\nIs this computer without internet? {wheels}\n\n"
        "Choose such a folder now?"
    ).format(reason=reason.rstrip("."), wheels=wheels_to_bring(purpose))
    if not slicer.util.confirmOkCancelDisplay(question, _("Install from a folder")):
        return False
    folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder with the wheel files"))
    if not folder:
        return False
    try:
        # As a URI, which is ASCII: see `launcher.encode_argument`.
        slicer.util.pip_install(
            ["--no-index", "--find-links", Path(folder).as_uri(), *map(_to_install, missing(purpose))]
        )
    except Exception as error:
        slicer.util.errorDisplay(
            _("The packages could not be installed from {folder}: {error}\n\n{wheels}").format(
                folder=folder, error=error, wheels=wheels_to_bring(purpose)
            )
        )
        return False
    if missing(purpose):
        slicer.util.errorDisplay(_("Still missing: {packages}").format(packages=", ".join(missing(purpose))))
        return False
    return True


def _to_install(requirement: str) -> str:
    return requirement + _NOT_TO_INSTALL if Requirement(requirement).name == "torch" else requirement


def _is_there(name: str, requirement: str) -> bool:
    """Return whether a package is installed, complete and new enough.

    pip unpacks what tells the version last: a package without it is what an installation left that was broken off.
    """
    version = _version(requirement)
    if not version or not _is_installed(name):
        return False
    return Requirement(requirement).specifier.contains(version, prereleases=True)


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:  # Whoever keeps a package from being imported may say so already here.
        return False


def _version(requirement: str) -> str:
    """Return the installed version of a requirement; "" if it is unknown."""
    try:
        return importlib.metadata.version(Requirement(requirement).name)
    except importlib.metadata.PackageNotFoundError:
        return ""
