"""Reports: what a run's results look like for people and for other programs. All are made from the same values."""
