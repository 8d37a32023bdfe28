//! End to end: the deployed template, called as by a user, and inspected from outside. Only tests.
//!
//! Each scenario deploys its own stack next to the others, with its own source, catalogue and
//! secrets. It ends with a search for those secrets in all stored and logged data.

#![cfg(test)]

mod stage;

mod alarms;
mod alarms_notify;
mod architecture;
mod by_schedule;
mod calls;
mod circles;
mod content_failures;
mod content_killed;
mod content_round_trip;
mod content_scale;
mod content_triggers;
mod encryption;
mod features;
mod killed;
mod misconfigured;
mod mongodump_fails;
mod one_at_a_time;
mod privileges;
mod reporting;
mod retention;
mod round_trip;
mod second_copy;
mod template;
mod unreachable;
mod verification;
