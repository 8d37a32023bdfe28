//! Dumps and restores on a real server.

mod anonymize;
mod anonymize_refused;
mod changing;
mod confirmed;
mod connect;
mod definitions;
mod dump;
mod foreign;
mod golden;
mod items;
mod kinds;
mod mixtures;
mod odd_names;
mod privileges;
mod privileges_to_restore;
mod refused;
mod replace;
mod replace_kinds;
mod restore;
mod resume;
mod scratch;
mod support;
mod swap;
