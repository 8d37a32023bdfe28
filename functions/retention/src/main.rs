//! Hourly: sweep what died, say what is overdue.

fn main() {}
