"""The clips of a training as batches.

pictures.py  frames of a clip through the one reader, made small where they are read
dataset.py   what a process that makes clips does: a request to a sample
keyframes.py the same for key frames with boxes
batch.py     samples to a batch, and the batch to what a network takes
broken.py    clips that cannot be read: named, counted, limited
loader.py    the processes, and how long the training waits for them
"""
