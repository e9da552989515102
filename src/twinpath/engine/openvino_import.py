"""OpenVINO without its telemetry. Every import of OpenVINO in this package goes through here.

OpenVINO reports to an analytics host when it is imported and at each step of a conversion, and keeps a client
id in the home folder. It has no setting against that for a single program; without the package
`openvino_telemetry` it reports nothing. So that package cannot be imported in this process, unless something
else has imported it before.
"""

from __future__ import annotations

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: an import of it fails

import openvino as ov  # noqa: E402

__all__ = ["ov"]
