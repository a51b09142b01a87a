"""Stage `speak`: a script becomes clips, one a turn."""
