"""The one seeded market that every provider of the sandbox renders in its own format."""
