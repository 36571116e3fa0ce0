"""The commands: options in, a plain function called, results shown."""
