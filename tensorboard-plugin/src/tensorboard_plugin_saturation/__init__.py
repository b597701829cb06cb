"""A Saturation tab for TensorBoard: what the layers of a network do with their width."""
