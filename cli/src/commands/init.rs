//! `holdfast init`: creates the missing parts of the repository and the catalogue. Existing parts
//! stay unchanged.

use holdfast_catalog::Catalog;
use holdfast_domain::Timestamp;
use holdfast_repository::InitReport;
use serde::Serialize;

use crate::{
    failure::{Exit, Failure},
    output::Output,
    session::Session,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    store: String,
    #[serde(flatten)]
    repository: &'a InitReport,
    catalog_indexes: bool,
}

/// Creates the repository first. It is reported even if the catalogue is unreachable.
pub(crate) async fn run(session: &Session, output: Output) -> Result<Exit, Failure> {
    let repository = session.repository()?;
    let is_encrypted = session.settings.database.encryption || session.settings.content.encryption;
    let report = repository
        .init(is_encrypted.into(), Timestamp::now())
        .await?;
    let catalog = indexes(session).await;
    let store = repository.location().to_string();
    let document = Document {
        store,
        repository: &report,
        catalog_indexes: catalog.is_ok(),
    };
    output.result(&document, || {
        text(&document, catalog.as_ref().ok().map(String::as_str))
    })?;
    catalog?;
    Ok(Exit::Done)
}

/// Creates the catalogue's indexes, and returns the name of the database.
async fn indexes(session: &Session) -> Result<String, Failure> {
    let catalog: Catalog = session.catalog().await?;
    catalog.ensure_indexes().await?;
    Ok(catalog.location().database)
}

fn text(document: &Document<'_>, catalog: Option<&str>) -> String {
    let Document {
        store, repository, ..
    } = document;
    let what = match (repository.created, repository.restored_from_copy) {
        (true, _) => "made repository",
        (false, true) => "restored repository.json from its copy: repository",
        (false, false) => "found repository",
    };
    let mut lines = vec![format!("{what} {} in {store}", repository.repository_id)];
    if let Some(epoch) = repository.key_epoch {
        let what = if repository.key_created {
            "made"
        } else {
            "found"
        };
        lines.push(format!("{what} the master key of epoch {epoch}"));
    }
    if let Some(database) = catalog {
        lines.push(format!(
            "the catalogue's indexes are in database {database}"
        ));
    }
    if repository.lacks_recipient {
        lines.push(
            "BACKUP_BREAK_GLASS_RECIPIENT is set, but the master key is not wrapped for it: run `holdfast key \
             add-recipient RECIPIENT` with its value"
                .to_owned(),
        );
    }
    if repository.key_created {
        lines.push(
            "now run `holdfast key export` and keep its output offline. Without it, or the key in the settings, no \
             encrypted backup can be opened"
                .to_owned(),
        );
    }
    lines.join("\n")
}
