"""Video files and cameras to frames, and frames to video files. No torch.

Files to clips:
    clip_plan.py        which clips to read: selected spans, sliding windows, or one clip around each keyframe
    clips.py            an iterator over the clips of a plan: `open_clips`
    clip_assembler.py   decoded frames into the arrays of clips
    isolated/           the same for untrusted files, in sandboxed processes

Files to frames:
    selection.py        which frames one clip has: evenly over a span, or at given times
    sampling.py         the reference implementations' frame sampling, as pure functions on times
    decode.py           the frames of several selections at once; every frame as a stream
    probe.py            a file's container, codec, size, frame rate and duration

Internals:
    source.py           opens a file safely; limits and the budget
    file_access.py      where the bytes come from: a path, or a descriptor of another process
    refused_size.py     the size of pictures that are too large for the limits
    sniff.py            the container of a file, from its first bytes
    decode_plan.py      where decoding starts and which frames to expect, from the packets
    decode_pass.py      decodes one part of a file, also behind damage
    nearest_frames.py   the decoded frames nearest to given times
    clock.py            presentation times for every container
    color.py            decoded frames to upright RGB
    damage.py           damage found while decoding, as warnings and errors

Other modules:
    live.py             cameras, RTSP, HTTP, and files played in real time
    writer.py           RGB arrays to an MP4
    audio.py            copies the audio track of another file into that MP4
    find.py             files, folders and patterns to a list of videos
"""
