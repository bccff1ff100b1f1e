"""Many scans: split into shards, worked through one by one, recorded, and checked by a person."""
