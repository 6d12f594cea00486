"""Language models behind one Protocol. Each client library is imported by its own module alone."""
