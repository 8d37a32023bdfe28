//! The store: S3, streamed both ways, every byte checked.
