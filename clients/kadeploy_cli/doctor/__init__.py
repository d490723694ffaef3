"""`ka doctor`: looks at a whole site and says, a line each, what is well and what is not, and what to do.

Each module looks at one part and gives findings; nothing that it looks at can keep it from saying so.
"""
