//! How a MongoDB database is dumped and restored.
