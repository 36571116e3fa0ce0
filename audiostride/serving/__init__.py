"""A model behind HTTP: uploads within limits, requests that share batches, and a page to try it."""
