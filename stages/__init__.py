"""Is GRU as good as LSTM? Each module here is a DVC stage or a command; each folder is what they share."""

import sys

# Python still looks for the module of `python -m stages.X`: X's slow imports come later. A model's copy is no command.
if sys.argv[:1] == ["-m"] and __name__ == "stages":
    from stages.support.process import protect

    protect()
