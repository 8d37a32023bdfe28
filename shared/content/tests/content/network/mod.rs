//! Fetching, against real gateways and origins on their good and on their bad days.

mod codings;
mod fairness;
mod gaia;
mod gateways;
mod proved;
mod redirects;
mod spellings;
mod support;
