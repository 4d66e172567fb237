"""The Textual app and the command line: what people see."""
