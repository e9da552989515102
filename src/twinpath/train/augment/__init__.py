"""What is changed in the clips of a training: one draw for all frames of a clip.

times.py         which frames it has
crops.py         which part of the pictures, in which size
rand_augment.py  RandAugment
colors.py        colours, grey, blur, lighting
erasing.py       rectangles that are erased, on the device
mix.py           MixUp and CutMix of a batch, on the device
pipeline.py      the first four in order, for a recipe

Random numbers come from generators and seeds that are handed in; no global state is left changed.
"""
