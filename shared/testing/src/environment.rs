//! The environment of the tests.

#[expect(
    clippy::disallowed_methods,
    reason = "variables of the tests, not settings"
)]
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `cargo xtask test` to start the local parts and set it")
    })
}
