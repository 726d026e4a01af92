"""The schema, as ordered SQL files; an applied one is never edited: a change is a new file."""
