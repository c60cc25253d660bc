"""One folder a paper: network.py (plain torch), objective (pure functions), module.py (LightningModule)."""
