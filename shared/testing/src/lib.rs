//! For tests alone: the local parts, fixtures, golden archives, injected faults.
