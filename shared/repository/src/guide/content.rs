//! The guide of a content backup: unpack its archive or fetch its files one by one, then check them
//! and bring them back.

use std::fmt::Write as _;

use holdfast_domain::{
    Artifact, Compression, ContentManifest, Manifest, ObjectKey, WrappedKey,
    settings::StoreLocation,
};

use super::{decrypted_name, decrypting};

/// Extracts an item's file name and its file's SHA-256 from its line of JSON. Inside of text, a
/// quote is always escaped.
const DIGEST_AND_NAME: &str =
    r#"s/.*"fileName":"\([^"]*\)".*"fileSha256":"\([0-9a-f]*\)".*/\2  \1/p"#;

/// Extracts the file name and the key of its object.
const NAME_AND_OBJECT: &str =
    r#"s/.*"fileName":"\([^"]*\)".*"object":{"key":"\([^"]*\)".*/\1 \2/p"#;

/// The guide of a backup. `keys` are the wrapped forms of the master key for its artifacts.
#[must_use]
pub fn content_guide(
    manifest: &Manifest,
    content: &ContentManifest,
    keys: &[WrappedKey],
    at: &StoreLocation,
) -> String {
    let mut guide = introduction(manifest, content, at);
    guide.push_str(&fetching(&manifest.artifacts, at));
    match &manifest.encryption {
        Some(encryption) => guide.push_str(&decrypting(encryption, &manifest.artifacts, keys, at)),
        None => guide.push_str("The backup is not encrypted.\n\n"),
    }
    guide.push_str(&if content.archive.is_empty() {
        fetching_files(manifest, content, at)
    } else {
        unpacking(manifest, &content.archive)
    });
    guide.push_str(&checking(manifest, content));
    guide.push_str(&bringing_back(manifest, at));
    guide
}

fn introduction(manifest: &Manifest, content: &ContentManifest, at: &StoreLocation) -> String {
    let Manifest {
        backup_id,
        created_at,
        source,
        original_size,
        ..
    } = manifest;
    let items = &content.items;
    format!(
        "# How to restore {backup_id}\n\n\
         The files of {expected} content items of `{uri}`, begun {created_at}: {files} files of {original_size} bytes. \
         {failed} items could not be backed up. Their lines in the list of items contain the reasons.\n\n\
         With Holdfast, one command does all of this and checks every byte:\n\n\
         ```\nholdfast restore content {backup_id} --to '{backup_id}' --store {store}\n```\n\n\
         Without it, these steps need only {tool}, bash, tar, gzip, and OpenSSL 3.0 or newer.\n\n",
        expected = items.expected,
        uri = source.uri,
        files = items.done + items.unchanged,
        failed = items.failed,
        tool = at.tool(),
        store = at.to_string().trim_end_matches('/'),
    )
}

fn fetching(artifacts: &[Artifact], at: &StoreLocation) -> String {
    let mut text = "## Fetch it and check it\n\n\
                    Do not skip the check: `gunzip` cannot detect the truncation of a gzip file between two of its \
                    members.\n\n```bash\n"
        .to_owned();
    for artifact in artifacts {
        let _ = writeln!(
            text,
            "{}",
            at.fetching(&artifact.key, artifact.key.file_name())
        );
    }
    text.push_str("```\n\n```bash\nsha256sum --check <<'END'\n");
    for artifact in artifacts {
        let _ = writeln!(text, "{}  {}", artifact.sha256, artifact.key.file_name());
    }
    text.push_str("END\n```\n\n");
    text
}

fn unpacking(manifest: &Manifest, archive: &[ObjectKey]) -> String {
    let volumes = manifest
        .artifacts
        .iter()
        .filter(|artifact| archive.contains(&artifact.key));
    let volumes: Vec<String> = volumes
        .map(|artifact| format!("'{}'", decrypted_name(artifact)))
        .collect();
    let gunzip = if manifest.compression.is_some() {
        "gunzip | "
    } else {
        ""
    };
    format!(
        "## Unpack it\n\n\
         The command creates the folder `{id}` with the files and `manifest.json`, a list with a line per item.\n\n\
         ```bash\ncat {volumes} | {gunzip}tar xf -\nLIST='{id}/manifest.json'\n```\n\n",
        id = manifest.backup_id,
        volumes = volumes.join(" "),
    )
}

/// Without an archive, the list of items names each file's own object.
fn fetching_files(manifest: &Manifest, content: &ContentManifest, at: &StoreLocation) -> String {
    let id = &manifest.backup_id;
    let list = manifest
        .artifacts
        .iter()
        .find(|artifact| artifact.key == content.item_list);
    let list = list.map(decrypted_name).unwrap_or_default();
    let unzip = match manifest.compression {
        Some(Compression::Gzip) => format!("gunzip < '{list}' > \"$LIST\""),
        None => format!("cp '{list}' \"$LIST\""),
    };
    let decrypt = if manifest.encryption.is_some() {
        "  case \"$OBJECT\" in *.enc) decrypt fetched \"$OBJECT\" decrypted; mv decrypted fetched ;; esac\n"
    } else {
        ""
    };
    format!(
        "## Fetch the files\n\n\
         Each file is an object of its own, and several backups may share it. The list of items names it. \
         (An unencrypted backup may name a key with the ending `.enc`. That object belongs to an older, encrypted \
         backup: use the `decrypt` of that backup's RESTORE.md.)\n\n\
         ```bash\n\
         LIST='{id}.ndjson'\n\
         {unzip}\n\
         mkdir -p '{id}'\n\
         sed -n '{NAME_AND_OBJECT}' \"$LIST\" | while read -r NAME OBJECT; do\n  \
         {fetch} < /dev/null\n\
         {decrypt}  \
         case \"$OBJECT\" in\n    \
         *.gz | *.gz.enc) gunzip < fetched > \"{id}/$NAME\" ;;\n    \
         *) cp fetched \"{id}/$NAME\" ;;\n  \
         esac\n  \
         rm fetched\n\
         done\n\
         ```\n\n",
        fetch = at.fetching_content("OBJECT", "fetched"),
    )
}

fn checking(manifest: &Manifest, content: &ContentManifest) -> String {
    let id = &manifest.backup_id;
    if content.items.done + content.items.unchanged == 0 {
        return "It contains no files.\n\n".to_owned();
    }
    format!(
        "## Check every file\n\n\
         ```bash\n\
         sed -n '{DIGEST_AND_NAME}' \"$LIST\" > SHA256SUMS\n\
         (cd '{id}' && sha256sum --check --quiet ../SHA256SUMS)\n\
         ```\n\n"
    )
}

fn bringing_back(manifest: &Manifest, at: &StoreLocation) -> String {
    format!(
        "## Bring it back to IPFS and Gaia\n\n\
         The line of a file from IPFS has its `cid`. A CID depends on the division of a file into blocks, so \
         `ipfs add` alone may return another one. It returns the same CID for the same options. Try \
         `--only-hash` with and without `--cid-version=1`, and compare. Holdfast writes the original blocks \
         with the same CIDs for any options:\n\n\
         ```\nholdfast restore content {id} --to-car '{id}.car' --store {store}\nipfs dag import '{id}.car'\n```\n\n\
         The line of a file from Gaia has its `url`. Upload each file to its owner's storage, under the path after \
         the owner's address in the URL. If the address has changed, write the new URL to the item in the \
         platform's database.\n",
        id = manifest.backup_id,
        store = at.to_string().trim_end_matches('/'),
    )
}
