"""The leader: it runs collectors when they are due, with what that takes, and cleans up."""
