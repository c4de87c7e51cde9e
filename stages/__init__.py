"""Is GRU as good as LSTM? Each module here is one DVC stage; each folder is what the stages share."""
