//! `RESTORE.md`: how to get one backup back with stock tools alone. A test runs its commands.

use std::fmt::Write as _;

use holdfast_domain::{Artifact, Compression, Encryption, Manifest, WrappedKey, settings::StoreLocation};

/// The guide of a backup. `keys` are the wrapped forms of the master key its artifact is encrypted under.
pub(crate) fn restore_guide(
    manifest: &Manifest,
    artifact: &Artifact,
    keys: &[WrappedKey],
    at: &StoreLocation,
) -> String {
    let mut guide = introduction(manifest, artifact, at);
    let mut file = artifact.key.file_name().to_owned();
    if let Some(encryption) = &manifest.encryption {
        guide.push_str(&decrypting(encryption, artifact, keys, at));
        file = file.trim_end_matches(".enc").to_owned();
    }
    guide.push_str(&restoring(manifest.compression, &file));
    guide
}

fn introduction(manifest: &Manifest, artifact: &Artifact, at: &StoreLocation) -> String {
    let Manifest { backup_id, created_at, source, engine, .. } = manifest;
    let documents: u64 = manifest.namespaces.iter().map(|namespace| namespace.documents).sum();
    let mut text = format!(
        "# How to restore {backup_id}\n\n\
         A dump of `{uri}` (MongoDB {version}), begun {created_at}, by the {name} engine {engine_version}: {documents} \
         documents in {count} collections and views.\n\n\
         With Holdfast at hand, one command does all of this, and checks every byte:\n\n\
         ```\nholdfast restore database {backup_id} --store {store}\n```\n\n\
         Without it, these steps need only the AWS command line, bash, OpenSSL 3.0 or newer, \
         and MongoDB's Database Tools.\n\n\
         ## Fetch it, and check that it is whole\n\n\
         Do not skip the check: a gzip file of many members that was cut between two of them looks whole to \
         `gunzip`.\n\n\
         ```bash\naws s3 cp '{at}{key}' .\n```\n\n\
         ```bash\nFILE='{file}'\necho '{sha256}  {file}' | sha256sum --check\n```\n\n",
        uri = source.uri,
        version = source.server_version,
        name = engine.name,
        engine_version = engine.version,
        count = manifest.namespaces.len(),
        store = at.to_string().trim_end_matches('/'),
        key = artifact.key,
        file = artifact.key.file_name(),
        sha256 = artifact.sha256,
    );
    if manifest.encryption.is_none() {
        text.push_str("The backup is not encrypted.\n\n");
    }
    text
}

fn decrypting(encryption: &Encryption, artifact: &Artifact, keys: &[WrappedKey], at: &StoreLocation) -> String {
    let epoch = encryption.key_epoch;
    let mut text = format!(
        "## Unwrap the master key\n\n\
         These commands put keys on the command line, where other users of the machine may see them: use a machine of \
         your own.\n\n\
         The master key of epoch {epoch} stands wrapped in `{at}repository.json` (and `repository.copy.json`), under \
         `epochs`, `epoch: {epoch}`. The printed copy of `holdfast key export` holds it plain: with that, set \
         `MASTER` and go on to the next step.\n\n\
         ```bash\naws s3 cp '{at}repository.json' .\n```\n\n"
    );
    for key in keys {
        text.push_str(&unwrapping(key, epoch));
    }
    let _ = write!(
        text,
        "## Derive the keys, check the MAC, decrypt\n\n\
         ```bash\n\
         SIZE=$(wc -c < \"$FILE\")\n\
         SALT=$(head -c 1024 \"$FILE\" | sed -n 's/^salt=//p')\n\
         IV=$(head -c 1024 \"$FILE\" | sed -n 's/^iv=//p')\n\
         derive() {{ openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt \"hexkey:$MASTER\" -kdfopt \"hexsalt:$SALT\" \\\n  \
         -kdfopt \"info:holdfast/v1/$1\" HKDF | tr -d ':\\n' | tr 'A-F' 'a-f'; }}\n\
         PLACE='{key}'\n\
         FOUND=$({{ head -c $((SIZE - 32)) \"$FILE\"; printf '%s%04d' \"$PLACE\" {length}; }} \\\n  \
         | openssl dgst -sha256 -mac HMAC -macopt \"hexkey:$(derive mac)\" -r | cut -c 1-64)\n\
         WRITTEN=$(tail -c 32 \"$FILE\" | od -An -v -tx1 | tr -d ' \\n')\n\
         if [ \"$FOUND\" = \"$WRITTEN\" ]; then\n  \
         head -c $((SIZE - 32)) \"$FILE\" | tail -c +1025 \\\n    \
         | openssl enc -d -aes-256-cbc -K \"$(derive enc)\" -iv \"$IV\" -out \"${{FILE%.enc}}\"\n\
         else\n  \
         echo 'the MAC is wrong: the file is damaged or was moved, or this is another key' >&2; false\n\
         fi\n\
         ```\n\n",
        key = artifact.key,
        length = artifact.key.as_str().len(),
    );
    text
}

fn unwrapping(key: &WrappedKey, epoch: u32) -> String {
    let unwrap = "MASTER=$(printf \"$(printf %s \"$WRAPPED\" | sed 's/../\\\\x&/g')\" \\\n  \
                  | openssl enc -d -id-aes256-wrap -K \"$KEY\" -iv A6A6A6A6A6A6A6A6 | od -An -v -tx1 | tr -d ' \\n')";
    match key {
        WrappedKey::Key { .. } => format!(
            "With the `BACKUP_ENCRYPTION_KEY` of 32 bytes (in hex; if yours is base64: `printf %s \"$B64\" | base64 -d | \
             od -An -v -tx1 | tr -d ' \\n'`), method `key` of epoch {epoch}:\n\n\
             ```bash\nKEY=       # 64 hex digits: BACKUP_ENCRYPTION_KEY\nWRAPPED=   # 80 hex digits: `wrapped`\n{unwrap}\n```\n\n"
        ),
        WrappedKey::Passphrase { iterations, .. } => format!(
            "With the passphrase (what follows `passphrase:` in `BACKUP_ENCRYPTION_KEY`), method `passphrase` of epoch \
             {epoch}:\n\n\
             ```bash\nPASSPHRASE=   # BACKUP_ENCRYPTION_KEY without `passphrase:`\nKDFSALT=      # 64 hex digits: `salt`\n\
             WRAPPED=      # 80 hex digits: `wrapped`\n\
             KEY=$(openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt \"pass:$PASSPHRASE\" -kdfopt \"hexsalt:$KDFSALT\" \\\n  \
             -kdfopt iter:{iterations} PBKDF2 | tr -d ':\\n')\n{unwrap}\n```\n\n"
        ),
        WrappedKey::Kms { key_id, .. } => format!(
            "With AWS KMS (key `{key_id}`), method `kms` of epoch {epoch}; it needs the right to `kms:Decrypt`:\n\n\
             ```bash\nCIPHERTEXT=   # hex: `ciphertext`\nREPOSITORY=   # `id` of repository.json\n\
             printf \"$(printf %s \"$CIPHERTEXT\" | sed 's/../\\\\x&/g')\" > wrapped.bin\n\
             MASTER=$(aws kms decrypt --ciphertext-blob fileb://wrapped.bin --encryption-context \
             \"holdfast:repository=$REPOSITORY\" \\\n  --query Plaintext --output text | base64 -d | od -An -v -tx1 | \
             tr -d ' \\n')\n```\n\n"
        ),
    }
}

fn restoring(compression: Option<Compression>, file: &str) -> String {
    let gzip = if compression.is_some() { "--gzip " } else { "" };
    format!(
        "## Restore it\n\n\
         Into a server of your choice; `--nsFrom` and `--nsTo` rename on the way, so that it can stand beside the \
         original:\n\n\
         ```\nmongorestore --uri \"$MONGODB_URI\" {gzip}--archive='{file}'\n```\n"
    )
}
