"""Rights: who may deploy what where."""
