"""ONNX Runtime without its telemetry. Every import of ONNX Runtime in this package goes through here.

Its wheels (1.32, perhaps earlier ones) open a connection to an analytics host some seconds after the import.
`disable_telemetry_events` comes too late for that; a variable of the environment, set before the import, does
not.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

__all__ = ["onnxruntime"]
