"""The backbone, its blocks and downsampling layers, and the classifier that composes them."""
