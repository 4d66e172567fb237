"""The slow work of the app: called in threads, it answers with messages."""
