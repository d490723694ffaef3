"""The files that people write: text in, values out. No file is opened here and no call is made."""
