"""What a run was made of and what came out, in one small file that another machine can check."""
