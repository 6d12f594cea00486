"""The advisor: says why a step failed, on what evidence, and which command to try. It never acts."""
