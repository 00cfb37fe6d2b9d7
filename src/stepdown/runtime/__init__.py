"""Runs a bundle: the room that a machine without torch needs, on numpy and onnxruntime alone.

    files, atomic       bytes from a bundle that may be a stranger's, and whole files to the disk
    shipped             models that come with stepdown, by name
    said, about, bundle what a bundle says, read and written
    graph, network      a look into the network's file before it is run, and the network
    inputs              what may be asked
    long_texts          how texts longer than those learnt from are read
    classifier          texts in, labels, probabilities or numbers out
    rows, columns, tables, sinks, predict
                        files and streams in, files and streams out

Loading answers with one BundleError for whatever is wrong; nothing in here opens a connection.
"""

from stepdown.outputs import Calibration
from stepdown.runtime.about import About, Source, Weights
from stepdown.runtime.bundle import Bundle
from stepdown.runtime.classifier import Classifier
from stepdown.runtime.long_texts import LongTexts

__all__ = ["About", "Bundle", "Calibration", "Classifier", "LongTexts", "Source", "Weights"]
