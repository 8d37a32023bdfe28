//! Dumps and restores on a real server.

mod anonymize;
mod changing;
mod confirmed;
mod connect;
mod definitions;
mod dump;
mod foreign;
mod golden;
mod items;
mod mixtures;
mod privileges;
mod replace;
mod replace_kinds;
mod restore;
mod resume;
mod scratch;
mod support;
mod swap;
