"""The messages between actors: topics, records, mailboxes, producer, listeners and dead letters."""
