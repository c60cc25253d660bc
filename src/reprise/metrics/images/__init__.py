"""How good generated images are: FID and Inception Score, as a protocol whose name says what was measured."""
