//! Every part of a database backup, broken in every way.

use holdfast_domain::{Job, Manifest, ManifestFile, ObjectKey, VerificationLevel};
use holdfast_operations::RunLimits;

use super::breaking::{Way, each_way_is_named, is_named, object, passes, put, verify_in_runs};
use crate::support::{database::Fixture, holdfast::KEY};

pub(crate) const ENCRYPTED: &[(&str, &str)] = &[
    ("BACKUP_DATABASE_ENCRYPTION", "true"),
    ("BACKUP_ENCRYPTION_KEY", KEY),
];
const MIB: usize = 1 << 20;

/// Two backups of a database with artifacts of a full segment and a part of another.
async fn two_backups(settings: &[(&str, &str)]) -> (Fixture, Job, Job) {
    let f = Fixture::new(settings).await;
    f.fill(20).await;
    f.fill_with_noise(9).await;
    let (one, other) = (f.back_up().await, f.back_up().await);
    (f, one, other)
}

async fn every_region_of_the_artifact(settings: &[(&str, &str)]) {
    let (f, one, other) = two_backups(settings).await;
    let store = f.holdfast.repository.store();
    let key = one.key.clone().unwrap();
    let (whole, another) = (
        object(store, &key).await,
        object(store, other.key.as_ref().unwrap()).await,
    );
    // Header, first block of ciphertext, segments, trailer.
    let borders = [16, 500, 1024, 1040, 8 * MIB, whole.len() - 32];
    let ways = Way::all(&whole, &borders, another);
    let level = VerificationLevel::Checksum;
    each_way_is_named(
        &f.holdfast,
        &one.backup_id,
        level,
        &key,
        &ways,
        &[key.as_str(), "segment", "archive"],
    )
    .await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_region_of_a_plain_artifact_is_named_however_it_is_broken() {
    every_region_of_the_artifact(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_region_of_an_encrypted_artifact_is_named_however_it_is_broken() {
    every_region_of_the_artifact(ENCRYPTED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_backups_manifest_is_named_however_it_is_broken() {
    let f = Fixture::new(ENCRYPTED).await;
    f.fill(20).await;
    let (one, other) = (f.back_up().await, f.back_up().await);
    let store = f.holdfast.repository.store();
    let key = ObjectKey::manifest(&one.backup_id);
    let (whole, another) = (
        object(store, &key).await,
        object(store, &ObjectKey::manifest(&other.backup_id)).await,
    );
    let mut ways = Way::all(&whole, &[], another);
    ways.extend((0..whole.len()).step_by(41).map(Way::Flip));
    // Another epoch, which the repository does not list.
    let name = b"\"keyEpoch\":";
    let epoch = whole.windows(name.len()).rposition(|part| part == name);
    ways.push(Way::Flip(epoch.unwrap() + name.len()));
    each_way_is_named(
        &f.holdfast,
        &one.backup_id,
        VerificationLevel::Exists,
        &key,
        &ways,
        &["manifest"],
    )
    .await;
    f.remove().await;
}

/// A flipped letter of a plain manifest may give another valid text. The test changes the relevant
/// fields instead.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_matters_in_a_plain_manifest_is_named() {
    let f = Fixture::new(&[]).await;
    f.fill(20).await;
    let (one, other) = (f.back_up().await, f.back_up().await);
    let (store, id) = (f.holdfast.repository.store(), &one.backup_id);
    let key = ObjectKey::manifest(id);
    let another = object(store, &ObjectKey::manifest(&other.backup_id)).await;
    let ways = [
        Way::Flip(0),
        Way::Cut(0),
        Way::Cut(700),
        Way::SwapHalves,
        Way::Append,
        Way::Another(another),
        Way::Delete,
    ];
    each_way_is_named(
        &f.holdfast,
        id,
        VerificationLevel::Exists,
        &key,
        &ways,
        &["manifest"],
    )
    .await;

    let whole = object(store, &key).await;
    let elsewhere = other.key.clone().unwrap();
    let alter = async |level: VerificationLevel, names: &[&str], change: &dyn Fn(&mut Manifest)| {
        let mut manifest = f.holdfast.repository.manifest(id).await.unwrap();
        change(&mut manifest);
        put(
            store,
            &key,
            ManifestFile::seal(&manifest, |_| None).unwrap(),
        )
        .await;
        is_named(&f.holdfast, id, level, names, &names.join(", ")).await;
        put(store, &key, whole.clone()).await;
    };
    let (exists, checksum, structure) = (
        VerificationLevel::Exists,
        VerificationLevel::Checksum,
        VerificationLevel::Structure,
    );
    alter(exists, &["its manifest declares"], &|m| {
        m.artifacts[0].size += 1;
    })
    .await;
    alter(exists, &["outside the folder"], &|m| {
        m.artifacts[0].key = elsewhere.clone();
    })
    .await;
    alter(exists, &["0 artifacts"], &|m| m.artifacts.clear()).await;
    let mut of_another = f.holdfast.repository.manifest(id).await.unwrap();
    of_another.repository = "ab".repeat(16).parse().unwrap();
    put(
        store,
        &key,
        ManifestFile::seal(&of_another, |_| None).unwrap(),
    )
    .await;
    let found = verify_in_runs(&f.holdfast, id, exists, RunLimits::none()).await;
    assert!(
        found.repository_problems[0].contains("its manifest names the repository abab"),
        "{found:?}"
    );
    put(store, &key, whole.clone()).await;
    alter(exists, &["originalSize"], &|m| m.original_size += 1).await;
    alter(exists, &["checksum"], &|m| {
        m.artifacts[0].sha256 = m.artifacts[0].segments[0].flipped();
    })
    .await;
    alter(checksum, &["digest", "segment"], &|m| {
        m.artifacts[0].segments[0] = m.artifacts[0].segments[0].flipped();
    })
    .await;
    alter(checksum, &["digest", "segments"], &|m| {
        m.artifacts[0].segments.truncate(0);
    })
    .await;
    alter(
        structure,
        &["contents has 2 documents, but its manifest declares 3"],
        &|m| of(m, "contents").documents += 1,
    )
    .await;
    alter(structure, &["users holds other documents"], &|m| {
        let users = of(m, "users");
        users.content_hash = users.content_hash.flipped();
    })
    .await;
    alter(structure, &["4 namespaces", "the archive has"], &|m| {
        drop(m.namespaces.pop());
    })
    .await;
    passes(&f.holdfast, id, structure).await;
    f.remove().await;
}

fn of<'m>(
    manifest: &'m mut Manifest,
    collection: &str,
) -> &'m mut holdfast_domain::NamespaceManifest {
    manifest
        .namespaces
        .iter_mut()
        .find(|namespace| namespace.collection == collection)
        .unwrap()
}

/// A different digest.
trait Flipped {
    fn flipped(&self) -> Self;
}

impl Flipped for holdfast_domain::Sha256Digest {
    fn flipped(&self) -> Self {
        let mut bytes = *self.as_bytes();
        bytes[0] ^= 1;
        Self::new(bytes)
    }
}
