"""Read untrusted files in worker processes with limits; see `sandbox.py`.

sandbox.py   the functions: read frames, probe, open clips
clips.py     the clips of a plan, from a worker process
pool.py      the pool of worker processes, and a count of the files at which one ended
worker.py    one worker process, on the parent's side
messages.py  the protocol between parent and worker
child.py     the worker process itself
confinement.py  what that process gives up: other files, the network, programs
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
