"""5 Chat."""
