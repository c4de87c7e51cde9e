"""Is GRU as good as LSTM? Each module here is one DVC stage; each folder is what the stages share."""

import sys

if sys.argv[:1] == ["-m"]:  # Python still looks for the module of `python -m stages.X`: X's slow imports come later
    from stages.support.process import protect

    protect()
