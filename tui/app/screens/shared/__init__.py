"""What several places use: base screen, header, footer, notes, fields and dialogs."""
