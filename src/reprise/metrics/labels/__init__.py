"""How well sampled labels follow the law of the data's."""
