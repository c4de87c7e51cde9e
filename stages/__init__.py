"""Is GRU as good as LSTM? Each module here is one DVC stage; each folder is what the stages share."""

import sys

# Python still looks for the module of `python -m stages.X`: X's slow imports come later. A model's copy is no command.
if sys.argv[:1] == ["-m"] and __name__ == "stages":
    from stages.support.process import protect

    protect()
