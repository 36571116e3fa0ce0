"""From recordings to windows: decode, manifest, packed cache, windows."""
