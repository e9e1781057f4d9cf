"""The tests mirror src/anyplug; what they share stands beside this file."""
