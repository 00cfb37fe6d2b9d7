"""Reads the user's text: files, folders, hub data sets and built-ins, as train, selection and report splits.

table    rows in blocks, whatever they come from
files    one file: .csv .tsv .jsonl .parquet .txt
hub      a data set of the Hugging Face hub
read     the splits of a source
choose   which columns hold the text and the label
columns  what stands in them
infer    what the labels mean
groups   which texts are versions of each other
draw     which groups a cut takes
split    the cuts
facts    what was found and done, for people
load     all of it
"""

from stepdown.data.dataset import Dataset, Split, Task
from stepdown.data.facts import Facts
from stepdown.data.load import labelled_split, load

__all__ = ["Dataset", "Facts", "Split", "Task", "labelled_split", "load"]
