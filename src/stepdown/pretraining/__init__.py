"""Masked language modelling: a student reads unlabelled text before it learns any task.

BERT's recipe (Devlin et al. 2019, section 3.1 and appendix A.2): 15% of the word pieces are hidden and predicted, by
AdamW with linear warm-up and decay; without next-sentence prediction, and with masks drawn anew at every reading (Liu
et al. 2019, "RoBERTa").

    corpus       the texts, and those that are held out
    sequences    texts as sequences of word pieces
    masking      which pieces are hidden
    student      what is pretrained: a `bert_hash`, or a compact student over the words of its text
    fit          the updates
    measure      loss and accuracy on held-out texts
    checkpoints  where it stands, on disk
    record       the curve, and what is told
    work         all of it, from a recipe
    estimate     how long it will take

Left out: `bag`, which reads no word beside another; several processes.
"""

from stepdown.pretraining.estimate import Estimate, estimate
from stepdown.pretraining.record import Point, summary
from stepdown.pretraining.work import Context, Happening, Resumed, finished, open_pretraining, work_through

__all__ = [
    "Context",
    "Estimate",
    "Happening",
    "Point",
    "Resumed",
    "estimate",
    "finished",
    "open_pretraining",
    "summary",
    "work_through",
]
