"""What each command does; `tui.cli` reads its options. Text is printed through `tui.commands.output`."""
