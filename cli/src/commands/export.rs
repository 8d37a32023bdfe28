//! `holdfast export`: all metadata as one JSON object in the store, with a link that expires soon.

use std::sync::Arc;

use holdfast_domain::{Timestamp, settings::Settings};
use holdfast_operations::{Export, Silent, export_metadata};

use crate::{
    failure::{Exit, Failure},
    output::Output,
    session::Session,
    text,
};

pub(crate) async fn run(session: &Session, output: Output) -> Result<Exit, Failure> {
    let holdfast = session.holdfast(Arc::new(Silent)).await?;
    // Boxed: the future of the use case is too deep a type for the compiler's layout.
    let export = Box::pin(export_metadata(&holdfast, Timestamp::now())).await?;
    output.result(&export, || render(&export, &session.settings))?;
    Ok(Exit::Done)
}

fn render(export: &Export, settings: &Settings) -> String {
    let counted = format!(
        "{}, {}",
        text::count(export.jobs, "job"),
        text::count(export.verifications, "verification")
    );
    let mut fields = vec![
        ("key", export.key.to_string()),
        ("size", text::size(export.size)),
        ("sha256", export.checksum.to_string()),
        ("holds", counted),
    ];
    if export.unreadable > 0 {
        fields.push((
            "unreadable",
            format!(
                "{} of the catalogue, listed in the export",
                text::count(export.unreadable, "row")
            ),
        ));
    }
    match (&export.link, &export.reason) {
        (Some(link), _) => {
            fields.push(("link", link.url.expose().to_owned()));
            fields.push((
                "ends",
                format!("{}, at the latest", text::time(link.expires_at, settings)),
            ));
        }
        (None, reason) => fields.push(("no link", reason.clone().unwrap_or_default())),
    }
    text::fields(&fields)
}
