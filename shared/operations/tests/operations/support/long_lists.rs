//! Content backups of many items, made of a list and a manifest only. These tests do not use their
//! objects.

use std::{io::Write as _, num::NonZeroUsize, ops::Range};

use bytes::Bytes;
use holdfast_codec::{ArtifactDigest, DigestWriter, GzipWriter, SegmentHasher};
use holdfast_domain::{
    Artifact, BackupId, BackupType, Compression, ContentItem, ContentManifest, Encoding,
    FORMAT_VERSION, ItemCounts, ItemRecord, ItemStatus, Manifest, ManifestFile, ObjectKey,
    SEGMENT_BYTES, Sha256Digest, Source, StorageType, StoredFile, StoredObject, Timestamp, Trigger,
    TriggerKind, Verified,
};
use holdfast_operations::Holdfast;
use holdfast_storage::PutMode;

/// A list of items in its stored form, zipped.
pub(crate) struct List(Vec<u8>);

impl List {
    /// A list of items with these numbers.
    pub(crate) fn of(items: Range<u64>) -> Self {
        let mut zipped = GzipWriter::new(Vec::new(), 1, NonZeroUsize::MIN).unwrap();
        for number in items {
            serde_json::to_writer(&mut zipped, &record(number)).unwrap();
            zipped.write_all(b"\n").unwrap();
        }
        Self(zipped.finish().unwrap().0)
    }

    /// Adds this line.
    pub(crate) fn with(self, line: &str) -> Self {
        let mut zipped = GzipWriter::new(self.0, 1, NonZeroUsize::MIN).unwrap();
        writeln!(zipped, "{line}").unwrap();
        Self(zipped.finish().unwrap().0)
    }
}

fn record(number: u64) -> ItemRecord {
    let mut address = [0; 32];
    address[..8].copy_from_slice(&number.to_be_bytes());
    let address = Sha256Digest::new(address);
    let artifact = Artifact {
        key: ObjectKey::content_object(&address, Encoding::PLAIN),
        size: 10,
        sha256: address,
        segment_bytes: SEGMENT_BYTES,
        segments: vec![address],
    };
    let file = StoredFile {
        size: 10,
        file_sha256: address,
        object: StoredObject {
            artifact,
            compression: None,
            encryption: None,
        },
        dag: None,
        cid: None,
        verified: Verified::Transport,
        served_by: "https://hub.example".to_owned(),
        validator: None,
        content_type: Some("image/png".to_owned()),
        content_encoding: None,
        fetched_at: Timestamp::from_second(1_700_000_000).unwrap(),
    };
    let item = ContentItem {
        content_id: number.to_string(),
        title: format!("Item {number}"),
        url: format!("https://hub.example/{number}.png"),
        storage_type: StorageType::Gaia,
        creator: Some("ada".to_owned()),
        cut: std::collections::BTreeMap::new(),
    };
    let file_name = Some(format!("{number}_Item.png"));
    ItemRecord {
        item,
        status: ItemStatus::Done,
        attempts: 1,
        file_name,
        file: Some(file),
        error: None,
    }
}

/// Stores a list, and a manifest with this number of items.
pub(crate) async fn commit(h: &Holdfast, list: &List, items: u64) -> BackupId {
    let at = Timestamp::now();
    let mut random = [0; 4];
    getrandom::fill(&mut random).unwrap();
    let id = BackupId::new(BackupType::Content, at, random);
    let key = ObjectKey::content_items(&id, 1, Encoding::GZIP);
    let mut digest = DigestWriter::new(std::io::sink(), SegmentHasher::plain());
    digest.write_all(&list.0).unwrap();
    let ArtifactDigest {
        size_bytes,
        sha256,
        segments,
    } = digest.finish().unwrap().1;
    let store = h.repository.store();
    store
        .put(&key, Bytes::copy_from_slice(&list.0), PutMode::IfAbsent)
        .await
        .unwrap();
    let counts = ItemCounts {
        expected: items,
        done: items,
        bytes: items * 10,
        ..ItemCounts::default()
    };
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        backup_id: id.clone(),
        backup_type: BackupType::Content,
        repository: h.repository.open().await.unwrap().id,
        trigger: Trigger {
            kind: TriggerKind::Schedule,
            by: None,
        },
        parent_id: None,
        fence: 1,
        created_at: at,
        started_at: at,
        completed_at: at,
        holdfast_version: "0".to_owned(),
        engine: None,
        consistency: None,
        source: Source::default(),
        namespaces: Vec::new(),
        content: Some(ContentManifest {
            items: counts,
            item_list: key.clone(),
            archive: Vec::new(),
        }),
        original_size: items * 10,
        compression: Some(Compression::Gzip),
        encryption: None,
        artifacts: vec![Artifact {
            key,
            size: size_bytes,
            sha256,
            segment_bytes: SEGMENT_BYTES,
            segments,
        }],
    };
    let file = ManifestFile::seal(&manifest, |_| None).unwrap();
    store
        .put(&ObjectKey::manifest(&id), file.into(), PutMode::IfAbsent)
        .await
        .unwrap();
    id
}
