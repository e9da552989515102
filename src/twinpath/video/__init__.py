"""Video files and cameras to frames, and frames to video files. No torch.

Files to clips:
    clip_plan.py        which clips: a few, windows all over the video, one around each keyframe
    clips.py            the clips of a plan, one after the other: `open_clips`
    clip_assembler.py   decoded frames into the arrays of clips
    isolated/           the same for untrusted files, in processes with limits

Files to frames:
    selection.py        which frames one clip has: evenly over a span, or at given times
    sampling.py         the references' rules that choose frames, as pure functions on times
    decode.py           the frames of some selections at once; every frame as a stream
    probe.py            what a file holds, without decoding all of it

Inside:
    source.py           one safe way to open a file; limits and the budget
    sniff.py            the container of a file, from its first bytes
    decode_plan.py      where decoding starts and which frames to expect, from the packets
    decode_pass.py      decoding one part of a file, also behind damage
    wanted_frames.py    the decoded frames nearest to given times
    clock.py            presentation times for every container
    color.py            decoded frames to upright RGB
    damage.py           what went wrong, as warnings and errors

Others:
    live.py             cameras, RTSP, HTTP, and files played at their own speed
    writer.py           RGB arrays to an MP4
    audio.py            the audio track of another file for that MP4
    find.py             files, folders and patterns to a list of paths
"""
