"""The pollers: they serve the providers' mailboxes within each key's quota, and make the calls."""
