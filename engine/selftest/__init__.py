"""Does it work on this machine? Tried with short runs of this program in a temporary folder."""
