"""From a raw answer to stored rows: normalize, validate, track_calls, and the columns of every table."""
