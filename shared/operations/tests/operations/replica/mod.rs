//! The second copy: a separate repository, consistent after every fault. Damage in the first store
//! is never sent, and damage in the second is named and repaired. Retention deletes in both.

mod complete;
mod content;
mod due;
mod failures;
mod fixture;
mod forms;
mod lost_manifests;
mod outages;
mod providers;
mod readers;
mod repaired;
mod repository_files;
mod resumed;
mod retention;
