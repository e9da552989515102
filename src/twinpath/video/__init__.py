"""Bytes to frames: probe, decode, choose by time, write.

source.py    one safe way to open a file; budgets
sniff.py     which container a file is, from its first bytes
probe.py     what a file holds, without reading all of it
sampling.py  which frames, as pure functions on times
decode.py    the chosen frames as RGB arrays; every frame as a stream
clips.py     a whole video as clips, one after the other
live.py      cameras, RTSP, HTTP, and files played at their own speed
sandbox.py   the same for files that nobody trusts, in a process with limits
torchcodec_decoder.py  another decoder, for who asks for it
writer.py    RGB arrays to an ordinary MP4
find.py      files, folders and patterns to a list of paths
"""
