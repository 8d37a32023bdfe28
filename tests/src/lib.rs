//! End to end: the template as it is deployed, called as a user calls it, and looked at from outside. Tests alone.
//!
//! Each scenario deploys a stack of its own beside the others, with its own source, catalogue and secrets, and ends by
//! looking for those secrets wherever something was written or said.

#![cfg(test)]

mod stage;

mod alarms;
mod architecture;
mod by_schedule;
mod calls;
mod content_failures;
mod content_killed;
mod content_round_trip;
mod content_scale;
mod content_triggers;
mod features;
mod killed;
mod misconfigured;
mod mongodump_fails;
mod one_at_a_time;
mod privileges;
mod retention;
mod round_trip;
mod second_copy;
mod told;
mod unreachable;
mod verification;
