//! End to end on the deployed template.
