"""Read untrusted files in worker processes with limits; see `sandbox.py`.

sandbox.py   the functions: read frames, probe, open clips
readers.py   each frame, or the audio, as clips, in the worker process
whole.py     these, from a worker process
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
    frame_times_isolated,
    open_audio_isolated,
    open_clips_isolated,
    open_frames_isolated,
    probe_isolated,
    read_frames_isolated,
)

__all__ = [
    "ProcessLimits",
    "Sandbox",
    "frame_times_isolated",
    "open_audio_isolated",
    "open_clips_isolated",
    "open_frames_isolated",
    "probe_isolated",
    "read_frames_isolated",
]
