"""Everything that has parameters: what a model is, how each kind is built, saved and asked."""
