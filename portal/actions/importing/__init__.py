"""The parts of an import: reading and checking the export's files, then merging them into the practice."""
