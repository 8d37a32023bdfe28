//! The use cases: back up, verify, restore, sweep. Each reads as its story.
