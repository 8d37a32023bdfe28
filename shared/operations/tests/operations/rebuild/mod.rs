//! A lost catalogue, rebuilt from the bucket alone. The rebuilt rows equal the lost ones, existing
//! rows stay unchanged, and unauthenticated data are reported.

mod damaged;
mod existing_rows;
mod killed;
mod lost_catalogue;
mod readers;
mod rebuilt_rows;
mod unauthenticated;
