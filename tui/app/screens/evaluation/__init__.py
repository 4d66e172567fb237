"""What an evaluation of the run found, and the dialog that makes one."""
