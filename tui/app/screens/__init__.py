"""The seven places of the app, each with its own widgets, and what they share."""
