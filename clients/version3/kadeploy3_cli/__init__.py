"""The commands of Kadeploy 3 by their names, words and letters: thin front ends on the calls of `kadeploy_cli`.

What version 3 had and nothing here stands for is refused, with the words to type instead; nothing is ignored.
"""
