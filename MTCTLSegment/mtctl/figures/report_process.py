"""Write the report of a case under review in a child process: for windows that must not wait.

It is started as `python -m mtctl.figures.report_process REQUEST`.

REQUEST is as for `mtctl.measures.process`; "out" is the file of the report. One line of JSON comes back:

    {"event": "done", "remarks": [...]} or {"event": "failed", "reason": ...}
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtctl.figures.case_page import case_page
from mtctl.figures.report_page import write_report_page
from mtctl.measures.hand_over import FOLDER, handed_case, read_request
from mtctl.processes.launcher import decode_argument
from mtctl.processes.request import answer_with
from mtctl.system.temporary import remove_orphans


def main(request: Path) -> int:
    """Do what a request asks for and say so on the standard output.

    Returns:
        Exit status: 0 done, 1 failed.
    """

    def work() -> Mapping[str, Any]:
        asked = read_request(request)
        case, scan = handed_case(asked, request.parent)
        page = case_page(asked.case, case, scan, body=asked.body)
        write_report_page(page, Path(asked.out))
        return {"remarks": page.warnings}

    return answer_with(work)


if __name__ == "__main__":
    status = main(Path(decode_argument(sys.argv[1])))
    remove_orphans(FOLDER)
    sys.exit(status)
