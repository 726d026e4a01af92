"""The running pipeline as a process tree: start it, find it, ask it."""
