//! Finalizing in tests, and the content of a finished backup, read with foreign tools.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use holdfast_codec::{DigestWriter, SegmentHasher};
use holdfast_domain::{
    Artifact, BackupId, ItemRecord, Job, Manifest, ManifestFile, ObjectKey, Timestamp,
};
use holdfast_operations::{FinalizeOutcome, Holdfast, RunLimits, finalize_content};
use holdfast_storage::{PutMode, read_all};
use holdfast_testing::unique;

use crate::support::content::Fixture;

/// However many items fail.
pub(crate) const PATIENT: (&str, &str) = ("BACKUP_CONTENT_MAX_FAILURE_PERCENT", "100");

/// A file's bytes by its name.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

impl Fixture {
    /// Completes a backup, and expects success.
    pub(crate) async fn back_up(&self) -> Job {
        let id = self.up_to_finalize().await;
        completed(finalize(&self.holdfast, &id).await)
    }

    /// Finalizes in runs with time for one entry each. Returns the number of runs.
    pub(crate) async fn finalize_in_short_runs(&self, id: &BackupId) -> (Job, u32) {
        for runs in 1..100 {
            match finalize_content(&self.holdfast, id, seconds(30))
                .await
                .unwrap()
            {
                FinalizeOutcome::Continue { .. } => {}
                outcome => return (completed(outcome), runs),
            }
        }
        panic!("a hundred runs were not enough")
    }

    pub(crate) async fn manifest(&self, id: &BackupId) -> Manifest {
        self.holdfast.repository.manifest(id).await.unwrap()
    }

    pub(crate) async fn object(&self, key: &ObjectKey) -> Vec<u8> {
        read_all(self.store.store.as_ref(), key, 256 << 20)
            .await
            .unwrap()
            .to_vec()
    }

    pub(crate) async fn replace(&self, key: &ObjectKey, bytes: Vec<u8>) {
        self.store
            .store
            .put(key, bytes.into(), PutMode::Replace)
            .await
            .unwrap();
    }

    /// Alters the object of an item's file.
    pub(crate) async fn damage(&self, key: &ObjectKey, at: usize) {
        let mut bytes = self.object(key).await;
        bytes[at] ^= 1;
        self.replace(key, bytes).await;
    }

    /// The files of an unencrypted backup's archive.
    pub(crate) async fn archived(&self, manifest: &Manifest) -> Files {
        let mut joined = Vec::new();
        for key in &manifest.content.as_ref().unwrap().archive {
            joined.extend(self.object(key).await);
        }
        let plain = if manifest.compression.is_some() {
            gunzip(&joined)
        } else {
            joined
        };
        let mut archive = tar::Archive::new(&plain[..]);
        let mut files = Files::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let name = path
                .strip_prefix(&format!("{}/", manifest.backup_id))
                .unwrap()
                .to_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            assert!(files.insert(name, bytes).is_none(), "{path} twice");
        }
        files
    }

    /// The items of an unencrypted backup's list.
    pub(crate) async fn listed(&self, manifest: &Manifest) -> Vec<ItemRecord> {
        let list = self
            .object(&manifest.content.as_ref().unwrap().item_list)
            .await;
        let plain = if manifest.compression.is_some() {
            gunzip(&list)
        } else {
            list
        };
        String::from_utf8(plain)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Replaces the bytes of an artifact, and adapts the manifest, so that only a deeper
    /// verification finds the change.
    pub(crate) async fn forge(
        &self,
        id: &BackupId,
        key: &ObjectKey,
        alter: impl FnOnce(Vec<u8>) -> Vec<u8>,
    ) {
        let bytes = alter(self.object(key).await);
        let mut manifest = self.manifest(id).await;
        let artifact = manifest
            .artifacts
            .iter_mut()
            .find(|artifact| artifact.key == *key)
            .unwrap();
        *artifact = artifact_of(key, &bytes);
        self.replace(key, bytes).await;
        self.forge_manifest(&manifest).await;
    }

    pub(crate) async fn forge_manifest(&self, manifest: &Manifest) {
        let sealed = ManifestFile::seal(manifest, |_| None).unwrap();
        self.replace(&ObjectKey::manifest(&manifest.backup_id), sealed)
            .await;
    }
}

pub(crate) fn artifact_of(key: &ObjectKey, bytes: &[u8]) -> Artifact {
    let mut digest = DigestWriter::new(Vec::new(), SegmentHasher::plain());
    digest.write_all(bytes).unwrap();
    let digest = digest.finish().unwrap().1;
    Artifact {
        key: key.clone(),
        size: digest.size_bytes,
        sha256: digest.sha256,
        segment_bytes: holdfast_domain::SEGMENT_BYTES,
        segments: digest.segments,
    }
}

pub(crate) async fn finalize(h: &Holdfast, id: &BackupId) -> FinalizeOutcome {
    finalize_content(h, id, RunLimits::none()).await.unwrap()
}

/// A run with this many seconds before it is killed.
pub(crate) fn seconds(seconds: i64) -> RunLimits {
    RunLimits {
        deadline: Some(Timestamp::now() + jiff::SignedDuration::from_secs(seconds)),
    }
}

pub(crate) fn completed(outcome: FinalizeOutcome) -> Job {
    match outcome {
        FinalizeOutcome::Completed(job) => *job,
        other => panic!("expected a completed backup, got {other:?}"),
    }
}

pub(crate) fn failed(outcome: FinalizeOutcome) -> Job {
    match outcome {
        FinalizeOutcome::Failed(job) => *job,
        other => panic!("expected a failed backup, got {other:?}"),
    }
}

pub(crate) fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    holdfast_codec::GunzipReader::new(bytes)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

/// A folder for this test only.
pub(crate) fn folder(purpose: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(unique(purpose));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The files of a folder.
pub(crate) fn files_in(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}
