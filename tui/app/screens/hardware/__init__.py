"""1 Hardware."""
