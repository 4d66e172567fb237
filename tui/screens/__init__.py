"""The places of the app, one screen a file."""
