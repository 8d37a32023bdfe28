//! Every variable in a guide is set earlier in the same guide, and a guide names the command for
//! lost key files.

use std::collections::BTreeSet;

use holdfast_domain::{
    Artifact, BackupId, BackupType, Compression, ContentManifest, Encoding, Encryption, ItemCounts,
    Manifest, ObjectKey, RepositoryId, Sha256Digest, Source, Timestamp, Trigger, TriggerKind,
    WrappedKey, settings::StoreLocation,
};

use super::{content_guide, database_guide};

fn manifest(kind: BackupType, encoding: Encoding) -> Manifest {
    let at = Timestamp::from_millisecond(1_767_225_600_000).unwrap();
    let backup_id = BackupId::new(kind, at, [1, 2, 3, 4]);
    let (items, archive) = (
        ObjectKey::content_items(&backup_id, 1, encoding),
        ObjectKey::content_archive(&backup_id, 1, 0, encoding),
    );
    let keys = match kind {
        BackupType::Content => vec![items.clone(), archive.clone()],
        _ => vec![ObjectKey::database_dump(&backup_id, 1, encoding)],
    };
    let artifact = |key| Artifact {
        key,
        size: 1,
        sha256: Sha256Digest::new([0; 32]),
        segment_bytes: 1,
        segments: Vec::new(),
    };
    let counts = ItemCounts {
        expected: 2,
        done: 1,
        unchanged: 1,
        ..ItemCounts::default()
    };
    Manifest {
        format_version: 1,
        backup_type: kind,
        repository: RepositoryId::new([1; 16]),
        trigger: Trigger {
            kind: TriggerKind::Manual,
            by: None,
        },
        parent_id: None,
        fence: 1,
        created_at: at,
        started_at: at,
        completed_at: at,
        holdfast_version: String::new(),
        engine: None,
        consistency: None,
        source: Source::default(),
        namespaces: Vec::new(),
        content: (kind == BackupType::Content).then(|| ContentManifest {
            items: counts,
            item_list: items,
            archive: vec![archive],
        }),
        original_size: 1,
        compression: Some(Compression::Gzip),
        encryption: encoding.encrypted.then(|| Encryption {
            suite: String::new(),
            key_epoch: 1,
        }),
        artifacts: keys.into_iter().map(artifact).collect(),
        backup_id,
    }
}

fn wrapped() -> Vec<WrappedKey> {
    let text = || "00".to_owned();
    vec![
        WrappedKey::Key { wrapped: text() },
        WrappedKey::Passphrase {
            salt: text(),
            iterations: 1000,
            wrapped: text(),
        },
        WrappedKey::Kms {
            key_id: "arn:aws:kms:x".to_owned(),
            ciphertext: text(),
        },
        WrappedKey::Age {
            recipient: text(),
            file: text(),
        },
    ]
}

/// A guide for each kind of backup and store, with each method of wrapping alone.
fn guides() -> Vec<String> {
    let mut guides = Vec::new();
    for store in [
        "s3://bucket/prefix",
        "gs://bucket",
        "az://account/container",
        "file:///backups",
    ] {
        let at = StoreLocation::parse(store).unwrap();
        let methods = wrapped()
            .into_iter()
            .map(|key| vec![key])
            .chain([Vec::new()]);
        for keys in methods {
            let encoding = Encoding {
                compressed: true,
                encrypted: !keys.is_empty(),
            };
            let dump = manifest(BackupType::Database, encoding);
            guides.push(database_guide(&dump, &dump.artifacts[0], &keys, &at));
            let mut files = manifest(BackupType::Content, encoding);
            for has_archive in [true, false] {
                let content = files.content.as_mut().unwrap();
                content.archive.truncate(usize::from(has_archive));
                let content = content.clone();
                guides.push(content_guide(&files, &content, &keys, &at));
            }
        }
    }
    guides
}

/// The name at the beginning of a text, if it is that of a variable.
fn name(text: &str) -> Option<&str> {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    let name = &text[..end];
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        .then_some(name)
}

fn used(line: &str) -> Vec<&str> {
    line.split('$')
        .skip(1)
        .filter_map(|rest| name(rest.strip_prefix('{').unwrap_or(rest)))
        .collect()
}

/// What a line sets: by `NAME=`, or by `read -r`.
fn set(line: &str) -> Vec<&str> {
    let words = line.split([' ', '(', ';', '`']);
    let assigned =
        words.filter_map(|word| name(word).filter(|name| word[name.len()..].starts_with('=')));
    let read = line
        .split_once("read -r ")
        .map_or("", |(_, names)| names.split(';').next().unwrap_or_default());
    assigned.chain(read.split_whitespace()).collect()
}

/// Uses of variables that nothing set before. What a function uses must be set where the function
/// ends.
fn unset(guide: &str) -> Vec<&str> {
    let (mut known, mut in_function, mut unset) = (BTreeSet::new(), Vec::new(), Vec::new());
    let mut is_in_function = false;
    for line in guide.lines() {
        is_in_function |= line.contains("() {");
        known.extend(set(line));
        let missing = used(line).into_iter().filter(|name| !known.contains(name));
        if is_in_function {
            in_function.extend(missing);
        } else {
            unset.extend(missing);
        }
        if line == "}" {
            is_in_function = false;
            unset.extend(in_function.drain(..).filter(|name| !known.contains(name)));
        }
    }
    unset.extend(in_function);
    unset
}

#[test]
fn every_variable_in_a_guide_is_set_before() {
    let guides = guides();
    assert_eq!(guides.len(), 4 * 5 * 3);
    for guide in guides {
        assert_eq!(unset(&guide), [""; 0], "{guide}");
    }
}

#[test]
fn a_variable_that_is_set_later_or_never_is_found() {
    assert_eq!(unset("echo \"$A\"\nA=1"), ["A"]);
    assert_eq!(unset("f() {\n  echo \"${B#x}\" $1\n}\nf"), ["B"]);
    assert_eq!(
        unset("f() {\n  echo $B\n  B=1\n}\necho x | while read -r C D; do echo \"$C$D\"; done"),
        [""; 0]
    );
    assert_eq!(unset("`printf %s \"$B64\"`"), ["B64"]);
}

#[test]
fn a_guide_of_an_encrypted_backup_names_the_command_for_lost_key_files() {
    for guide in guides() {
        let is_encrypted = guide.contains("## Unwrap the master key");
        assert_eq!(
            guide.contains("\nholdfast key import exported-keys.txt --store "),
            is_encrypted,
            "{guide}"
        );
    }
}
