"""Where a site's own models lie."""

from __future__ import annotations

import os
from pathlib import Path

from mtctl.models.versions import ModelStoreError
from mtctl.system.machine import user_data

#: Environment variable that names the site's folder of models; it must exist, so that a share that is not mounted is
#: noticed. Else they lie in the user's own data folder.
VARIABLE = "MTCTL_MODELS"


def site_folder() -> Path:
    """Return where the site's models lie: $MTCTL_MODELS, or `mtctl/models` in the user's data folder.

    Raises:
        ModelStoreError: $MTCTL_MODELS names a folder that is not there.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return user_data() / "mtctl" / "models"
    if not Path(named).is_dir():
        raise ModelStoreError(
            f"{named}: the site's folder of models (${VARIABLE}) is not there; connect the drive, or make the folder"
        )
    return Path(named)
