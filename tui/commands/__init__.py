"""What each command does; `tui.cli.main` reads its options. Text is printed through `tui.console`."""
