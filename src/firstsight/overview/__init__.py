"""The guided run on one table: what is in it, as a page."""
