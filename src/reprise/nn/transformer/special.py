"""Numbers that stand for no word, the same in data and models."""

PAD = 0  # fills up a batch
UNKNOWN = 1  # a word that has no number
START = 2  # before the first word of a text that is decoded
END = 3  # behind the last
