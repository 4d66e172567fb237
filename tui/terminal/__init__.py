"""The terminal itself: settings, signals, keys, and output that neither stalls nor steers it."""
