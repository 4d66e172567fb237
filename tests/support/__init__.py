"""What several tests share: files, models, programs and stand-ins."""
