"""Masked pre-training: videos without labels, of which a network finds again what is hidden.

masks.py       which tokens are hidden
targets.py     what is found again: pixels, or histograms of gradients
network.py     the encoder, what is put on it, and the loss
last_stage.py  an MViT with larger maps
objective.py   the same for the loop
"""
