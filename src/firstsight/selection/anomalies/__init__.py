"""Views of the rows of one table that tell anomalies, and the model that reads them."""
