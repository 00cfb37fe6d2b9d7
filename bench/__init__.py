"""Measures stepdown beside its peers, on one core, in one run: `make bench`, or `python -m bench`.

sentences   what is classified
models      what classifies, made once
peers       the libraries, each as a function from texts to labels
worker      one of them in a process of its own, that measures itself when it is asked
measuring   asks all of them in turn
table       what came of it, as ratios
"""
