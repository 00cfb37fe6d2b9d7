"""Orders the steps: from a recipe to trained rungs, measured, compared, and packed.

plan      which models are trained, from whom, in which order
context   what all cells of a run work with
teachers  the models at the top, and the mean of several
cells     one unit of work
outcome   what was found
"""
