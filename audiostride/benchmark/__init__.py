"""What downsampling costs: every method in turn in one process, against strided convolutions."""
