//! mongodump from the vendor's site: the archive that its feed names, of the digest that its feed
//! names.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::{
    archive,
    error::Error,
    feed::{self, Release},
    layer::Layer,
    note::Origin,
    platform::Architecture,
    site::Site,
};

const FEED_LIMIT_BYTES: u64 = 64 << 20;
const ARCHIVE_LIMIT_BYTES: u64 = 1 << 30;

/// What the feed says of a version.
pub(crate) async fn release(
    feed: &str,
    version: &str,
    architecture: Architecture,
) -> Result<Release, Error> {
    let mut text = Vec::new();
    let collect = |piece: &[u8]| {
        text.extend_from_slice(piece);
        Ok(())
    };
    Site::of(feed)?
        .fetch(feed, FEED_LIMIT_BYTES, collect)
        .await?;
    feed::find(&text, feed, version, architecture)
}

/// The layer with the mongodump of a release; its archive is fetched, unless it was before.
pub(crate) async fn take(release: &Release, downloads: &Path) -> Result<Layer, Error> {
    let archive = downloads.join(format!("{}.tgz", release.sha256));
    if !archive.exists() || digest(&archive)? != release.sha256 {
        fetch(release, downloads, &archive).await?;
    }
    let tools = archive::unpack(&archive, &release.url)?;
    let origin = Origin::Vendor(release.clone());
    Layer::with_mongodump(
        &release.url,
        tools.mongodump,
        tools.licences,
        &origin,
        release.architecture,
    )
}

/// Under its name stands only what has the right digest.
async fn fetch(release: &Release, downloads: &Path, archive: &PathBuf) -> Result<(), Error> {
    fs::create_dir_all(downloads).map_err(Error::at("make", downloads))?;
    let mut file = NamedTempFile::new_in(downloads).map_err(Error::at("write in", downloads))?;
    let mut digest = Sha256::new();
    let store = |piece: &[u8]| {
        digest.update(piece);
        file.write_all(piece)
            .map_err(Error::at("write in", downloads))
    };
    Site::of(&release.url)?
        .fetch(&release.url, ARCHIVE_LIMIT_BYTES, store)
        .await?;
    let found = hex::encode(digest.finalize());
    if found != release.sha256 {
        return Err(Error::WrongDigest {
            url: release.url.clone(),
            expected: release.sha256.clone(),
            found,
        });
    }
    file.persist(archive)
        .map_err(|error| Error::at("write", archive)(error.error))?;
    Ok(())
}

fn digest(path: &Path) -> Result<String, Error> {
    let mut digest = Sha256::new();
    let mut file = File::open(path).map_err(Error::at("read", path))?;
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece).map_err(Error::at("read", path))? {
            0 => return Ok(hex::encode(digest.finalize())),
            read => digest.update(&piece[..read]),
        }
    }
}
