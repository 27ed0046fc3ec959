"""The tables of the documents: what each shows, the runs it is made of, and the command for making it again.

`python -m simulations.paper` runs what is needed, as `fedscore simulate` does, and writes every table to its
place in its document: no figure there is typed by hand.
"""
