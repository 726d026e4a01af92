"""The one seeded market that every provider of the sandbox tells in its own format."""
