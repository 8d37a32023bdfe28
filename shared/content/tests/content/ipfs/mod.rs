//! Files walked out of blocks, kept as records and made into the same blocks again: as the format
//! has them, and as strangers may send them.

mod cars;
mod dag;
mod directories;
mod golden;
mod hostile;
mod records;
mod run;
mod walks;
