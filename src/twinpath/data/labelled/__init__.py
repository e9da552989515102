"""Labelled clips: what to learn from, and what to measure with.

read.py          a data set of any form: `read_labelled`
folder.py        a folder with a folder of videos for each class
table.py         a CSV file with path,label[,start_s,end_s][,split][,group]
segments.py      timelines that somebody corrected, and ELAN's files
clip.py          what all of them are: a list of clips
groups.py        which clips show the same scene
split.py         folds, and a part to hold out, by whole groups
class_names.py   names of classes, and which of them are likely the same
"""
