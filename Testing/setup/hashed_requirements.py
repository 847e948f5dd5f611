"""Write all packages that mtctl needs here, with the one version and the hash of each, for `pip --require-hashes`.

    python Testing/setup/hashed_requirements.py [--extras dicom,review] [--out FILE]

The versions are those of constraints.txt; pip says which files it would install on this system with this Python, and
what their SHA-256 is. Make the list on the same kind of system (and Python) as those that it is for; check it, keep it,
and install from it wherever you like:

    pip install --require-hashes -r requirements-hashed.txt
    pip install --no-deps --no-build-isolation .
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Return 1 where pip finds no set of packages, or one without a hash."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extras", default="dicom", help="of pyproject.toml, parted by commas (%(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "requirements-hashed.txt", metavar="FILE")
    args = parser.parse_args()
    report = resolve(args.extras)
    if report is None:
        return 1
    lines = sorted(requirements(report["install"]))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    head = f"# For Python {platform.python_version()} on {sys.platform} {platform.machine()}, with: {args.extras}\n"
    args.out.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} packages with hashes in {args.out}")
    return 0


def resolve(extras: str) -> dict[str, Any] | None:
    """Return what pip would install into an empty environment; None where it cannot, which it says itself."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", report,
             "--constraint", ROOT / "constraints.txt", f"{ROOT}[{extras}]", "hatchling"],
            check=False,
        )  # fmt: skip
        return json.loads(report.read_text(encoding="utf-8")) if done.returncode == 0 else None


def requirements(packages: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a line for each package of pip's report but the checkout itself.

    Raises:
        SystemExit: pip was not told the hash of a package.
    """
    lines = []
    for package in packages:
        archive = package["download_info"].get("archive_info")
        if archive is None:
            continue
        name, version = package["metadata"]["name"], package["metadata"]["version"]
        if "sha256" not in archive.get("hashes", {}):
            raise SystemExit(f"{name} {version}: the package index gives no SHA-256; use one that does")
        lines.append(f"{name}=={version} --hash=sha256:{archive['hashes']['sha256']}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
