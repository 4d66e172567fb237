"""What is asked before an export, how far it is and what came of it."""
