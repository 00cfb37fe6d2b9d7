"""Has a teacher label a corpus: the rows of the user's data, each with what the teacher says of its text.

work    reads, asks, writes; in memory that does not grow, and taken up again where it stopped
tables  where the rows go: JSON lines, CSV, Parquet
"""

from stepdown.labelling.work import PREFIX, Counts, Wanted, label

__all__ = ["PREFIX", "Counts", "Wanted", "label"]
