//! The guide of a database backup.

use holdfast_domain::{Artifact, Compression, Manifest, WrappedKey, settings::StoreLocation};

use super::{decrypted_name, decrypting};

/// The guide of a backup. `keys` are the wrapped forms of the master key for its artifact.
#[must_use]
pub fn database_guide(
    manifest: &Manifest,
    artifact: &Artifact,
    keys: &[WrappedKey],
    at: &StoreLocation,
) -> String {
    let mut guide = introduction(manifest, artifact, at);
    if let Some(encryption) = &manifest.encryption {
        guide.push_str(&decrypting(
            encryption,
            std::slice::from_ref(artifact),
            keys,
            at,
        ));
    }
    guide.push_str(&restoring(manifest.compression, &decrypted_name(artifact)));
    guide
}

fn introduction(manifest: &Manifest, artifact: &Artifact, at: &StoreLocation) -> String {
    let Manifest {
        backup_id,
        created_at,
        source,
        engine,
        ..
    } = manifest;
    let documents: u64 = manifest
        .namespaces
        .iter()
        .map(|namespace| namespace.documents)
        .sum();
    let mut text = format!(
        "# How to restore {backup_id}\n\n\
         A dump of `{uri}` (MongoDB {version}), begun {created_at}, by the {name} engine {engine_version}: {documents} \
         documents in {count} collections and views.\n\n\
         With Holdfast, one command does all of this and checks every byte:\n\n\
         ```\nholdfast restore database {backup_id} --store {store}\n```\n\n\
         Without it, these steps need only {tool}, bash, OpenSSL 3.0 or newer, \
         and MongoDB's Database Tools.\n\n\
         ## Fetch it and check it\n\n\
         Do not skip the check: `gunzip` cannot detect the truncation of a gzip file between two of its \
         members.\n\n\
         ```bash\n{fetching}\n```\n\n\
         ```bash\necho '{sha256}  {file}' | sha256sum --check\n```\n\n",
        uri = source.uri,
        version = source.server_version,
        name = engine.as_ref().map_or("unknown", |engine| &engine.name),
        engine_version = engine.as_ref().map_or("", |engine| &engine.version),
        count = manifest.namespaces.len(),
        store = at.to_string().trim_end_matches('/'),
        tool = at.tool(),
        fetching = at.fetching(&artifact.key, artifact.key.file_name()),
        file = artifact.key.file_name(),
        sha256 = artifact.sha256,
    );
    if manifest.encryption.is_none() {
        text.push_str("The backup is not encrypted.\n\n");
    }
    text
}

fn restoring(compression: Option<Compression>, file: &str) -> String {
    let gzip = if compression.is_some() { "--gzip " } else { "" };
    format!(
        "## Restore it\n\n\
         Restore into a server of your choice. `--nsFrom` and `--nsTo` rename the namespaces, so the original can \
         stay:\n\n\
         ```\nTARGET_URI=   # connection string of the server to restore into\n\
         mongorestore --uri \"$TARGET_URI\" {gzip}--archive='{file}'\n```\n"
    )
}
