//! `holdfast key show`: the key epochs, and the wrapping of each master key. It opens nothing.

use holdfast_domain::{KeyEpoch, RepositoryFile};
use holdfast_repository::WrappedUnder;
use serde_json::{Value, json};

use crate::{
    failure::{Exit, Failure},
    output::Output,
    session::Session,
    text,
};

pub(super) async fn run(session: &Session, output: Output) -> Result<Exit, Failure> {
    let repository = session.repository()?;
    let file = repository.open().await?;
    let copy = state_of(&repository.copy().await, &file);
    let store = repository.location().to_string();
    output.result(&document(&store, &file, copy), || {
        in_text(&store, &file, copy, session)
    })?;
    Ok(Exit::Done)
}

/// The state of the copy, compared with the file.
fn state_of<E>(copy: &Result<Option<RepositoryFile>, E>, file: &RepositoryFile) -> &'static str {
    match copy {
        Ok(Some(copy)) if copy == file => "same",
        Ok(Some(copy)) if file.covers(copy) => "behind",
        Ok(Some(_)) => "differs",
        Ok(None) => "missing",
        Err(_) => "unreadable",
    }
}

fn under(epoch: &KeyEpoch) -> Vec<WrappedUnder> {
    epoch.keys.iter().map(WrappedUnder::of).collect()
}

fn document(store: &str, file: &RepositoryFile, copy: &str) -> Value {
    let epoch = |epoch: &KeyEpoch| {
        json!({
            "epoch": epoch.epoch,
            "createdAt": epoch.created_at,
            "fingerprint": epoch.fingerprint,
            "keys": under(epoch),
        })
    };
    let epochs: Vec<Value> = file.epochs.iter().map(epoch).collect();
    json!({ "repository": file.id, "store": store, "revision": file.revision, "copy": copy, "epochs": epochs })
}

fn in_text(store: &str, file: &RepositoryFile, copy: &str, session: &Session) -> String {
    let mut fields = vec![
        ("repository", file.id.to_string()),
        ("store", store.to_owned()),
        ("revision", file.revision.to_string()),
        ("copy", copy.to_owned()),
    ];
    if file.epochs.is_empty() {
        fields.push(("epochs", "none: nothing in it is encrypted".to_owned()));
    }
    for epoch in &file.epochs {
        fields.push((
            "epoch",
            format!(
                "{}, made {}",
                epoch.epoch,
                text::time(epoch.created_at, &session.settings)
            ),
        ));
        fields.extend(
            epoch
                .fingerprint
                .map(|fingerprint| ("fingerprint", fingerprint.to_string())),
        );
        fields.extend(
            under(epoch)
                .iter()
                .map(|key| ("opened by", super::rewrap::named(key))),
        );
    }
    text::fields(&fields)
}
