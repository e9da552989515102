"""Data sets in the formats in which they are published: `read_published` gives any of them as `LabelledData`.

read.py          `read_published`: a data set by its kind
kinetics.py      Kinetics 400, 600, 700: lists of PySlowFast, and the official CSV files
ucf101.py        UCF101
hmdb51.py        HMDB51
something.py     Something-Something v2: JSON, videos or lists of frames
charades.py      Charades: lists of frames, or the official CSV files
imagenet.py      ImageNet: a folder of pictures for each class
unlabelled.py    videos without labels
class_list.py    names of classes: files of many forms
listed_clips.py  a million clips in little memory

AVA, which has boxes, is in `twinpath.data.ava.training`.
"""
