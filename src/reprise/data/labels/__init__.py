"""Binary labels without their pictures, as a model of labels alone is trained on."""
