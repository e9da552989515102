"""ONNX Runtime without its telemetry. Every import of it in this package goes through here.

From 1.32 on it writes an id of the device into the user's cache folder and reports each process and network
to its maker, unless this variable is set before it is loaded.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["ORT_TELEMETRY_DISABLED"] = "1"  # the name in other releases

import onnxruntime as ort

__all__ = ["ort"]
