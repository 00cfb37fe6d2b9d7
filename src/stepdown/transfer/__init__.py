"""The transfer set: every text that teachers label and students learn from.

It is made of the labelled texts of train, views of them (parts and mixtures; of pairs new partners as well) if the
recipe asks for any, the rows of train without a label, and the texts that the recipe names, whole or cut into
sentences; without repeats, and without any text that overlaps a selection or report text (by the rules of
`data.groups`). Old collections contain other people's test sets, so this is never optional, and the counts are part of
the facts.

The labelled texts of train are what `data.split` left of them: none equals a held-out text. What else they share with
splits that came with the data stays, and is counted: the arm that learns from labels alone reads them too, and a
comparison of arms that read different train texts would not be one.

Sources are streamed, and what is kept of them lies on disk: memory does not grow with it.
"""

from stepdown.transfer.build import Transfer, build, texts_of
from stepdown.transfer.facts import SourceFacts, TransferFacts
from stepdown.transfer.near import Meaning
from stepdown.transfer.pool import CHUNK, Pool, cut
from stepdown.transfer.sieve import Sieve
from stepdown.transfer.views import views

__all__ = [
    "CHUNK",
    "Meaning",
    "Pool",
    "Sieve",
    "SourceFacts",
    "Transfer",
    "TransferFacts",
    "build",
    "cut",
    "texts_of",
    "views",
]
