"""Orders the steps: from a recipe to trained rungs, measured, compared, and packed.

plan       which models are trained, from whom, in which order
context    what all cells of a run work with
estimate   what they will take
teachers   the models at the top, and the mean of several
finished   what finished cells left
rungs      the training of one rung
feed       what it learns from, from the disk
measuring  metrics of what was made
cells      one unit of work, from all of these
outcome    what was found
"""
