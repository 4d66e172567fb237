"""What a run tells afterwards: summary, verdict and charts."""
