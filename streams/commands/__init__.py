"""The door for operators: one module per group of commands, all of them thin."""
