"""How far a label image agrees with a reference: scores, errors of single objects, a report."""
