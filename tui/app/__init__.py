"""The app: its state, its messages, its jobs and its screens."""
