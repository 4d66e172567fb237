"""The choice of machines or processes that train together."""
