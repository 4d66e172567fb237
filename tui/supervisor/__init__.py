"""The small parent of the app and of training: what it does when its child dies or hangs."""
