"""Reading, checking, tokenising and ordering of training examples."""
