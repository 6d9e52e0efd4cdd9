"""Learning from a family of tables: what ``firstsight meta-train``, ``adapt`` and ``test`` do."""
