//! `RESTORE.md`: the restore of one backup with stock tools alone. A test runs its commands.

mod content;
mod database;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use holdfast_codec::AgeRecipient;
use holdfast_domain::{Artifact, Encryption, ObjectKey, WrappedKey, settings::StoreLocation};

pub use self::{content::content_guide, database::database_guide};

/// The file name of a decrypted artifact. A volume's number follows `.enc`.
fn decrypted_name(artifact: &Artifact) -> String {
    artifact.key.file_name().replacen(".enc", "", 1)
}

/// The chapters from the wrapped master key to decrypted files.
fn decrypting(
    encryption: &Encryption,
    artifacts: &[Artifact],
    keys: &[WrappedKey],
    at: &StoreLocation,
) -> String {
    let epoch = encryption.key_epoch;
    let mut text = format!(
        "## Unwrap the master key\n\n\
         These commands put keys on the command line, visible to other users of the machine: use a machine of \
         your own.\n\n\
         The output of `holdfast key export` has the plain master key of epoch {epoch}. With that output, set `MASTER`, \
         and continue with the next step:\n\n\
         ```bash\nMASTER=   # 64 hex digits: `master key` of epoch {epoch}\n```\n\n\
         Otherwise unwrap the key. It is in `{at}repository.json`, and in `repository.copy.json`, under `epochs`, \
         `epoch: {epoch}`. If both files are lost, Holdfast recreates them from the output of `holdfast key export`:\n\n\
         ```\nholdfast key import exported-keys.txt --store {store}\n```\n\n\
         ```bash\n{fetching}\n```\n\n",
        store = at.to_string().trim_end_matches('/'),
        fetching = at.fetching(&ObjectKey::repository(), "repository.json"),
    );
    for key in keys {
        text.push_str(&unwrapping(key, epoch));
    }
    text.push_str(
        "## Derive the keys, check the MAC, decrypt\n\n\
         An artifact is bound to its place: the arguments of `decrypt` are the file, its key in the store, and the \
         output file.\n\n\
         ```bash\n\
         derive() { openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt \"hexkey:$MASTER\" -kdfopt \"hexsalt:$SALT\" \\\n  \
         -kdfopt \"info:holdfast/v1/$1\" HKDF | tr -d ':\\n' | tr 'A-F' 'a-f'; }\n\
         decrypt() {\n  \
         SIZE=$(wc -c < \"$1\")\n  \
         SALT=$(head -c 1024 \"$1\" | sed -n 's/^salt=//p')\n  \
         IV=$(head -c 1024 \"$1\" | sed -n 's/^iv=//p')\n  \
         FOUND=$({ head -c $((SIZE - 32)) \"$1\"; printf '%s%04d' \"$2\" ${#2}; } \\\n    \
         | openssl dgst -sha256 -mac HMAC -macopt \"hexkey:$(derive mac)\" -r | cut -c 1-64)\n  \
         WRITTEN=$(tail -c 32 \"$1\" | od -An -v -tx1 | tr -d ' \\n')\n  \
         if [ \"$FOUND\" = \"$WRITTEN\" ]; then\n    \
         head -c $((SIZE - 32)) \"$1\" | tail -c +1025 \\\n      \
         | openssl enc -d -aes-256-cbc -K \"$(derive enc)\" -iv \"$IV\" -out \"$3\"\n  \
         else\n    \
         echo \"$1: the MAC is wrong: the file is damaged or was moved, or the key is wrong\" >&2; return 1\n  \
         fi\n\
         }\n",
    );
    for artifact in artifacts {
        let (file, key) = (artifact.key.file_name(), &artifact.key);
        let _ = writeln!(
            text,
            "decrypt '{file}' '{key}' '{}'",
            decrypted_name(artifact)
        );
    }
    text.push_str("```\n\n");
    text
}

fn unwrapping(key: &WrappedKey, epoch: u32) -> String {
    let unwrap = "MASTER=$(printf \"$(printf %s \"$WRAPPED\" | sed 's/../\\\\x&/g')\" \\\n  \
                  | openssl enc -d -id-aes256-wrap -K \"$KEY\" -iv A6A6A6A6A6A6A6A6 | od -An -v -tx1 | tr -d ' \\n')";
    match key {
        WrappedKey::Key { .. } => format!(
            "With the `BACKUP_ENCRYPTION_KEY` of 32 bytes in hex, method `key` of epoch {epoch}. If yours is base64, \
             `printf %s 'BASE64' | base64 -d | od -An -v -tx1 | tr -d ' \\n'` prints it in hex:\n\n\
             ```bash\nKEY=       # 64 hex digits: BACKUP_ENCRYPTION_KEY\nWRAPPED=   # 80 hex digits: `wrapped`\n{unwrap}\n```\n\n"
        ),
        WrappedKey::Passphrase { iterations, .. } => format!(
            "With the passphrase (after `passphrase:` in `BACKUP_ENCRYPTION_KEY`), method `passphrase` of epoch \
             {epoch}:\n\n\
             ```bash\nPASSPHRASE=   # BACKUP_ENCRYPTION_KEY without `passphrase:`\nKDFSALT=      # 64 hex digits: `salt`\n\
             WRAPPED=      # 80 hex digits: `wrapped`\n\
             KEY=$(openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt \"pass:$PASSPHRASE\" -kdfopt \"hexsalt:$KDFSALT\" \\\n  \
             -kdfopt iter:{iterations} PBKDF2 | tr -d ':\\n')\n{unwrap}\n```\n\n"
        ),
        WrappedKey::Kms { key_id, .. } => format!(
            "With AWS KMS (key `{key_id}`), method `kms` of epoch {epoch}. It needs permission for `kms:Decrypt`:\n\n\
             ```bash\nCIPHERTEXT=   # hex: `ciphertext`\nREPOSITORY=   # `id` of repository.json\n\
             printf \"$(printf %s \"$CIPHERTEXT\" | sed 's/../\\\\x&/g')\" > wrapped.bin\n\
             MASTER=$(aws kms decrypt --ciphertext-blob fileb://wrapped.bin --encryption-context \
             \"holdfast:repository=$REPOSITORY\" \\\n  --query Plaintext --output text | base64 -d | od -An -v -tx1 | \
             tr -d ' \\n')\n```\n\n"
        ),
        WrappedKey::Age { recipient, .. } => format!(
            "With the offline age identity of {} and the command `age` (1.0 or newer), method `age` of \
             epoch {epoch}:\n\n\
             ```bash\nIDENTITY=   # the identity's file\nFILE=       # hex: `file`\n\
             MASTER=$(printf \"$(printf %s \"$FILE\" | sed 's/../\\\\x&/g')\" \\\n  \
             | age -d -i \"$IDENTITY\" | od -An -v -tx1 | tr -d ' \\n')\n```\n\n",
            shown(recipient),
        ),
    }
}

/// The author of `repository.json` chose the text, and operators run this guide command by command.
fn shown(recipient: &str) -> String {
    AgeRecipient::parse(recipient)
        .map_or_else(|_| "its recipient".to_owned(), |known| format!("`{known}`"))
}
