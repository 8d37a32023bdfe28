//! The `openssl` command (3.0 or newer) and POSIX tools check and open this crate's files,
//! beginning with the wrapped master key. A restore guide contains the same commands.

use std::{
    fs,
    io::Write,
    num::NonZeroUsize,
    path::Path,
    process::{Command, Output},
};

use holdfast_codec::{
    ArtifactDigest, ArtifactPlace, ArtifactSecrets, DigestWriter, EncryptWriter, GzipWriter,
    KeyEncryptionKey, MasterKey, WrapMethod, WrappedMasterKey, random_bytes,
};
use holdfast_domain::{RepositoryId, Secret};

/// The master key out of its wrapping. `$KEK` is set, or `$PASSPHRASE`, `$SALT` and `$ROUNDS` are.
const UNWRAP: &str = r#"
set -eu
if [ -z "${KEK:-}" ]; then
  KEK=$(openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt pass:"$PASSPHRASE" -kdfopt hexsalt:"$SALT" \
    -kdfopt iter:"$ROUNDS" PBKDF2 | tr -d ':\n')
fi
MASTER=$(openssl asn1parse -genstr "FORMAT:HEX,OCT:$WRAPPED" -noout -out /dev/stdout | tail -c 40 |
  openssl enc -d -id-aes256-wrap -K "$KEK" -iv A6A6A6A6A6A6A6A6 | od -An -v -tx1 | tr -d ' \n')
"#;

/// The artifact's keys, the check of its MAC, and its plaintext on stdout.
const OPEN: &str = r#"
field() { head -c 1024 "$FILE" | sed -n "s/^$1=//p"; }
derive() {
  openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt hexkey:"$MASTER" -kdfopt hexsalt:"$(field salt)" \
    -kdfopt info:"holdfast/v1/$1" HKDF | tr -d ':\n'
}
SIZE=$(($(wc -c < "$FILE")))
[ "$(derive commit | tr A-F a-f)" = "$(field commit)" ] || { echo "wrong key" >&2; exit 3; }
FOUND=$({ head -c $((SIZE - 32)) "$FILE"; printf '%s%04d' "$KEY" ${#KEY}; } |
  openssl dgst -sha256 -mac HMAC -macopt hexkey:"$(derive mac)" | sed 's/.*= *//')
[ "$FOUND" = "$(tail -c 32 "$FILE" | od -An -v -tx1 | tr -d ' \n')" ] || { echo "changed" >&2; exit 4; }
tail -c +1025 "$FILE" | head -c $((SIZE - 1056)) |
  openssl enc -d -aes-256-cbc -K "$(derive enc)" -iv "$(field iv)"
"#;

const OBJECT_KEY: &str = "database/db_1700000000000_0a1b2c3d/dump.1.archive.gz.enc";
const HEX_KEY: &str = "00112233445566778899aabbccddeeff102132435465768798a9bacbdcedfe0f";
const PASSPHRASE: &str = "correct horse, battery: staple";

fn place() -> ArtifactPlace {
    ArtifactPlace {
        repository: RepositoryId::new([0xab; 16]),
        key_epoch: 1,
        object_key: OBJECT_KEY.parse().expect("a key"),
    }
}

fn sample() -> Vec<u8> {
    (0_u32..200_000)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

/// A compressed and encrypted file in `folder`, and its digests.
fn write_artifact(folder: &Path, master: &MasterKey) -> ArtifactDigest {
    let (place, secrets) = (place(), ArtifactSecrets::random().expect("randomness"));
    let keys = master.artifact_keys(&secrets.salt);
    let file = fs::File::create(folder.join("artifact")).expect("a file");
    let digest = DigestWriter::new(file, keys.segment_hasher());
    let encrypt = EncryptWriter::new(
        digest,
        &keys,
        &secrets.iv,
        &place.repository,
        place.key_epoch,
    )
    .expect("a header");
    let mut gzip = GzipWriter::new(encrypt, 6, NonZeroUsize::MIN).expect("a level");
    gzip.write_all(&sample()).expect("a write");
    let (encrypt, _) = gzip.finish().expect("an end");
    let (digest, _) = encrypt.finish_as(&place.object_key).expect("an end");
    digest.finish().expect("an end").1
}

/// Runs the commands with these variables.
fn run(script: &str, folder: &Path, variables: &[(&str, &str)]) -> Output {
    Command::new("sh")
        .args(["-c", script])
        .current_dir(folder)
        .env("FILE", "artifact")
        .env("KEY", OBJECT_KEY)
        .envs(variables.iter().copied())
        .output()
        .expect("sh runs")
}

/// The variables for a wrapped key and its setting.
fn variables(wrapped: &WrappedMasterKey) -> Vec<(&'static str, String)> {
    let mut variables = vec![("WRAPPED", hex::encode(wrapped.bytes))];
    match &wrapped.method {
        WrapMethod::Raw => variables.push(("KEK", HEX_KEY.to_owned())),
        WrapMethod::Pbkdf2 { salt, rounds } => variables.extend([
            ("PASSPHRASE", PASSPHRASE.to_owned()),
            ("SALT", hex::encode(salt)),
            ("ROUNDS", rounds.to_string()),
        ]),
    }
    variables
}

fn opened(script: &str, folder: &Path, wrapped: &WrappedMasterKey) -> Output {
    let variables = variables(wrapped);
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    run(script, folder, &variables)
}

#[test]
fn openssl_alone_opens_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let master = MasterKey::random().unwrap();
    let digest = write_artifact(folder.path(), &master);
    for setting in [HEX_KEY.to_owned(), format!("passphrase:{PASSPHRASE}")] {
        let key = KeyEncryptionKey::parse(&Secret::new(setting)).unwrap();
        let wrapped = key.wrap(&master, random_bytes().unwrap());
        let output = opened(
            &format!("{UNWRAP}{} | gunzip", OPEN.trim_end()),
            folder.path(),
            &wrapped,
        );
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.stdout == sample());
    }
    let sum = run(
        "openssl dgst -sha256 -r \"$FILE\" | cut -d' ' -f1",
        folder.path(),
        &[],
    );
    assert_eq!(
        String::from_utf8_lossy(&sum.stdout).trim(),
        digest.sha256.to_string()
    );
}

#[test]
fn openssl_refuses_another_key_and_a_changed_file() {
    let folder = tempfile::tempdir().unwrap();
    let master = MasterKey::random().unwrap();
    write_artifact(folder.path(), &master);
    let key = KeyEncryptionKey::parse(&Secret::new(HEX_KEY)).unwrap();
    let script = format!("{UNWRAP}{OPEN}");

    let other = key.wrap(&MasterKey::random().unwrap(), [0; 32]);
    assert_eq!(
        opened(&script, folder.path(), &other).status.code(),
        Some(3),
        "another repository's master key"
    );

    let wrapped = key.wrap(&master, [0; 32]);
    let moved = script.replace("\"$KEY\" ${#KEY}", "\"${KEY}x\" $((${#KEY} + 1))");
    assert_ne!(moved, script);
    assert_eq!(
        opened(&moved, folder.path(), &wrapped).status.code(),
        Some(4),
        "another place"
    );

    let mut damaged = wrapped.clone();
    damaged.bytes[0] ^= 1;
    assert!(
        !opened(&script, folder.path(), &damaged).status.success(),
        "a wrapped key that was changed"
    );

    let path = folder.path().join("artifact");
    let mut bytes = fs::read(&path).unwrap();
    bytes[5000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let output = opened(&script, folder.path(), &wrapped);
    assert_eq!(
        (output.status.code(), output.stdout.len()),
        (Some(4), 0),
        "a flipped byte"
    );
}
