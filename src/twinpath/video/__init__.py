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
    codecs.py           the codecs that are read
    tracks.py           which video track of a file is read, as a player chooses
    foreign.py          what a file is that is no video, with the next step
    decode_plan.py      where decoding starts and which frames to expect, from the packets
    decode_pass.py      decodes one part of a file, also behind damage
    nearest_frames.py   the decoded frames nearest to given times
    skipping.py         packets that are not decoded, since no wanted frame needs them
    not_coded.py        packets of MPEG-4 that repeat a picture
    clock.py            presentation times for every container
    color.py            decoded frames to upright RGB
    resize.py           frames resized and cropped to what a network takes
    frame_converter.py  decoded frames to pictures, or to resized frames
    orientation.py      how a frame is turned and mirrored
    side_data.py        what a file says beside the pixels: its display matrix, its light
    hdr.py              PQ, HLG and wide gamuts to BT.709
    frame_folder.py     folders of numbered pictures, and which of them form a video
    frame_source.py     such a folder, read as `source.py` reads a file
    picture_file.py     one picture of such a folder
    closing.py          what is closed at the end of a `with` block
    damage.py           damage found while decoding, as warnings and errors

Other modules:
    live.py             cameras, RTSP, HTTP, and files played in real time
    live_file.py        a file that is played like one
    allocations.py      a bound for what FFmpeg allocates at once, for servers that announce any size
    writer.py           RGB arrays to an MP4
    encoders.py         the encoders that `writer.py` offers
    audio_samples.py    the audio of a file as samples
    audio.py            copies the audio track of another file into that MP4
    find.py             files, folders and patterns to a list of videos
"""
