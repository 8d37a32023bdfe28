//! The guide of a content backup: its archive unpacked, or its files fetched one by one; then checked, and brought back.

use std::fmt::Write as _;

use holdfast_domain::{
    Artifact, Compression, ContentManifest, Manifest, ObjectKey, WrappedKey, settings::StoreLocation,
};

use super::{decrypted_name, decrypting};

/// Picks an item's file name and its file's SHA-256 out of its line of JSON: inside of text, a quote never stands alone.
const DIGEST_AND_NAME: &str = r#"s/.*"fileName":"\([^"]*\)".*"fileSha256":"\([0-9a-f]*\)".*/\2  \1/p"#;

/// The same for the file name and the key of its object.
const NAME_AND_OBJECT: &str = r#"s/.*"fileName":"\([^"]*\)".*"object":{"key":"\([^"]*\)".*/\1 \2/p"#;

/// The guide of a backup. `keys` are the wrapped forms of the master key its artifacts are encrypted under.
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
    let Manifest { backup_id, created_at, source, original_size, .. } = manifest;
    let items = &content.items;
    format!(
        "# How to restore {backup_id}\n\n\
         The files of {expected} content items of `{uri}`, begun {created_at}: {files} files of {original_size} bytes; \
         {failed} items could not be backed up, and their lines in the list of items say why.\n\n\
         With Holdfast at hand, one command does all of this, and checks every byte:\n\n\
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
    let mut text = "## Fetch it, and check that it is whole\n\n\
                    Do not skip the check: a gzip file of many members that was cut between two of them looks whole to \
                    `gunzip`.\n\n```bash\n"
        .to_owned();
    for artifact in artifacts {
        let _ = writeln!(text, "{}", at.fetching(&artifact.key, artifact.key.file_name()));
    }
    text.push_str("```\n\n```bash\nsha256sum --check <<'END'\n");
    for artifact in artifacts {
        let _ = writeln!(text, "{}  {}", artifact.sha256, artifact.key.file_name());
    }
    text.push_str("END\n```\n\n");
    text
}

fn unpacking(manifest: &Manifest, archive: &[ObjectKey]) -> String {
    let volumes = manifest.artifacts.iter().filter(|artifact| archive.contains(&artifact.key));
    let volumes: Vec<String> = volumes.map(|artifact| format!("'{}'", decrypted_name(artifact))).collect();
    let gunzip = if manifest.compression.is_some() { "gunzip | " } else { "" };
    format!(
        "## Unpack it\n\n\
         The files come into the folder `{id}`, with `manifest.json`, which has a line for each item.\n\n\
         ```bash\ncat {volumes} | {gunzip}tar xf -\nLIST='{id}/manifest.json'\n```\n\n",
        id = manifest.backup_id,
        volumes = volumes.join(" "),
    )
}

/// Where there is no archive: the list of items names each file's own object.
fn fetching_files(manifest: &Manifest, content: &ContentManifest, at: &StoreLocation) -> String {
    let id = &manifest.backup_id;
    let list = manifest.artifacts.iter().find(|artifact| artifact.key == content.item_list);
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
         Each file is an object of its own, which several backups may share. The list of items names it. (A key that \
         ends in `.enc` in a backup that is not encrypted is an older, encrypted backup's: its RESTORE.md has the \
         `decrypt` for it.)\n\n\
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
        return "There are no files in it.\n\n".to_owned();
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
         What came from IPFS has its `cid` in its line. A CID depends on how a file was cut into blocks, so that \
         `ipfs add` alone may give another one. It gives the same where the file was added with the same options; try \
         `--only-hash` with and without `--cid-version=1`, and compare. The very blocks, under the same CIDs whatever \
         the options were, come from Holdfast:\n\n\
         ```\nholdfast restore content {id} --to-car '{id}.car' --store {store}\nipfs dag import '{id}.car'\n```\n\n\
         What came from Gaia has its `url` in its line: upload each file to its owner's storage under the path that the \
         URL has behind the owner's address, and where the address has changed write the new URL to the item in the \
         platform's database.\n",
        id = manifest.backup_id,
        store = at.to_string().trim_end_matches('/'),
    )
}
