"""The commands, a file for each kind. They are thin: parse, call one action, print."""
