//! `holdfast doctor`: tries everything that backups need, and reports each problem with its remedy.

use std::fmt::Write as _;

use holdfast_domain::Timestamp;
use holdfast_operations::{Finding, Health, examine};
use serde_json::json;

use crate::{
    failure::{Exit, Failure},
    output::Output,
    session::Session,
    text,
};

pub(crate) async fn run(session: &Session, output: Output) -> Result<Exit, Failure> {
    session.source()?;
    let (repository, second) = session.repositories();
    // Boxed: the future of the use case is too deep a type for the compiler's layout.
    let findings = Box::pin(examine(
        &session.settings,
        repository,
        second,
        Timestamp::now(),
    ))
    .await;
    let worst = findings
        .iter()
        .map(|finding| finding.health)
        .max()
        .unwrap_or(Health::Good);
    output.result(&json!({ "health": worst, "findings": findings }), || {
        render(&findings)
    })?;
    Ok(if worst == Health::Bad {
        Exit::Failed
    } else {
        Exit::Done
    })
}

fn render(findings: &[Finding]) -> String {
    let width = findings
        .iter()
        .map(|finding| finding.part.len())
        .max()
        .unwrap_or_default();
    let mut lines = String::new();
    for Finding {
        part,
        health,
        found,
        advice,
    } in findings
    {
        let mark = match health {
            Health::Good => "ok",
            Health::Warning => "WARN",
            Health::Bad => "BAD",
        };
        let _ = writeln!(lines, "{mark:<4}  {part:<width$}  {found}");
        if let Some(advice) = advice {
            let _ = writeln!(lines, "      {:<width$}  -> {advice}", "");
        }
    }
    let of = |health| {
        findings
            .iter()
            .filter(|finding| finding.health == health)
            .count() as u64
    };
    let verdict = match (of(Health::Bad), of(Health::Warning)) {
        (0, 0) => "No problems.".to_owned(),
        (bad, warnings) => format!(
            "{}, {}",
            text::count(bad, "problem"),
            text::count(warnings, "warning")
        ),
    };
    format!("{lines}\n{verdict}")
}
