//! Verification names every damage of a backup, and passes intact backups. Also restore drills,
//! verification in steps, and scheduled verifications.

mod breaking;
mod catalogue;
mod content;
mod database;
mod drill;
mod due;
mod repository;
mod steps;
