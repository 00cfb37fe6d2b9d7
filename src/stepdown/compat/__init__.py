"""txtai's trainer and classifier over stepdown's own rooms: a script needs another import line and nothing else.

    from stepdown.compat import HFTrainer, Labels

in the place of `from txtai.pipeline import HFTrainer, Labels`. Signatures, loss and scores are those of txtai 9
(github.com/neuml/txtai, `pipeline/train/hftrainer.py` and `pipeline/text/labels.py`); docs/compat.md tells what differs
and why. Importing it makes `bert_hash` known to transformers' Auto classes, so that the published checkpoints are read
by our class and none of their code is run, `trust_remote_code` or not.

    arguments  the names of transformers' TrainingArguments, and which of them mean something here
    columns    a list of dicts, a Dataset or a DataFrame as texts and labels
    models     a name, a folder or (model, tokenizer) as a model that can be trained and asked
    teaching   what a teacher says of the texts, once, in the order of the data's labels
    trainer    HFTrainer
    labels     Labels

Left out: what txtai's trainer does beside classification (language models, question answering, sequence to sequence),
LoRA and quantised training. They are refused by name.
"""

from stepdown.compat.labels import Labels
from stepdown.compat.trainer import HFTrainer
from stepdown.students import bert_hash  # noqa: F401  # makes its architecture known

__all__ = ["HFTrainer", "Labels"]
