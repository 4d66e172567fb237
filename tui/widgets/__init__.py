"""Widgets that more than one screen uses, or that draw something of their own."""
