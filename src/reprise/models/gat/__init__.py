"""Graph attention networks, with their own attention and with implicit kernel attention."""
