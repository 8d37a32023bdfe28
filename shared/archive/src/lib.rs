//! The mongodump archive format: written, walked and proved. Pure, no I/O of its own.
