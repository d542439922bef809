"""What the events mean: metrics and logs."""
