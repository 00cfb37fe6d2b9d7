"""Reads the user's text: files, folders, hub data sets and built-ins, as train, selection and report splits.

table       rows in blocks, whatever they come from
files       one file: .csv .tsv .jsonl .parquet .txt
hub         a data set of the Hugging Face hub
read        the splits of a source
choose      which columns hold the text and the label
columns     what stands in them
scores      numbers that a teacher gave to texts, as they stand there
lists       lists of labels that are written as text
task        what is to be said of a text
infer       what the labels mean, together with:
labels      what all of them say
classes     one of several
label_sets  any number of them
quantities  numbers to be predicted
model_labels  labels as a model names them
score_forms what a teacher's numbers mean
understand  the rows of all splits, and all of the above
soft_labels what a teacher that is not at hand said, found by text
hashing     texts as hashes of their words
groups      which texts are versions of each other
strata      what a cut keeps the shares of
draw        which groups a cut takes
held_out    the cut of one split
split       the three splits
facts       what was found and done, for people
dataset     what comes of it
load        all of it
measured    labelled texts for a finished model
"""

from stepdown.data.dataset import Dataset, Split
from stepdown.data.facts import Facts
from stepdown.data.load import FromTeacher, load
from stepdown.data.measured import labelled_split
from stepdown.data.soft_labels import SoftLabels, Wanted
from stepdown.data.task import Task

__all__ = [
    "Dataset",
    "Facts",
    "FromTeacher",
    "SoftLabels",
    "Split",
    "Task",
    "Wanted",
    "labelled_split",
    "load",
]
