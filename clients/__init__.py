"""The organisations: the Flower ClientApp, and what a node does with its rows."""
