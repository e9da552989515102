"""Untrusted files, read in processes with limits; see `sandbox.py`.

sandbox.py   the functions: read frames, probe, open clips
clips.py     the clips of a plan, from another process
pool.py      the processes, and which files ended one
worker.py    one process, as its parent sees it
messages.py  what parent and child send each other
child.py     the process itself
"""

from twinpath.video.isolated.sandbox import (
    ProcessLimits,
    Sandbox,
    open_clips_isolated,
    probe_isolated,
    read_frames_isolated,
)

__all__ = [
    "ProcessLimits",
    "Sandbox",
    "open_clips_isolated",
    "probe_isolated",
    "read_frames_isolated",
]
