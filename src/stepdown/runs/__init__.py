"""Runs a recipe from its data to its results, or takes up where an earlier sitting stopped.

opening   the data, the transfer set, the models, and the plan
checking  whether teachers know the task, before time is spent
working   cell by cell, to results and bundle
"""

from stepdown.runs.checking import check_teacher
from stepdown.runs.opening import moved, open_run
from stepdown.runs.working import finished, work_through

__all__ = ["check_teacher", "finished", "moved", "open_run", "work_through"]
