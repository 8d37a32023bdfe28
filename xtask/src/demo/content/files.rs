//! The files of the platform's items: on IPFS in every shape of its history, and on a Gaia hub.
//! Every run has the same files and CIDs.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::node::Node;
use crate::demo::random::Random;

/// An available file, and the fields of its item.
pub(crate) struct Published {
    pub(crate) storage_type: &'static str,
    pub(crate) url: String,
    /// Its path on the node.
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

/// How files become blocks: CIDs of both versions, leaves raw and wrapped, DAGs of one level and of
/// several, another hash.
const SHAPES: [&str; 8] = [
    "cid-version=0",
    "cid-version=0&raw-leaves=true",
    "cid-version=0&chunk=2048&max-links=4",
    "cid-version=1",
    "cid-version=1&raw-leaves=false",
    "cid-version=1&chunk=4096&max-links=4",
    "cid-version=1&chunk=4096&max-links=3&layout=trickle",
    "cid-version=1&hash=blake3",
];

/// Kinds of files by extension: their length, and whether they are compressible text.
const KINDS: [(&str, usize, bool); 5] = [
    ("md", 9_000, true),
    ("jpg", 280_000, false),
    ("json", 1_900, true),
    ("mp3", 640_000, false),
    ("txt", 70_000, true),
];

/// Five kinds and eight shapes: each combination occurs once.
const ON_IPFS: usize = 24;
const ON_GAIA: usize = 10;
/// Items with files in one directory.
const IN_DIRECTORY: usize = 6;
/// The number of other files in it.
const NEIGHBOURS: usize = 200;
const FILM_BYTES: usize = 5_000_000;
const WORDS: [&str; 12] = [
    "light",
    "harbour",
    "and",
    "the",
    "slow",
    "signal",
    "under",
    "a",
    "northern",
    "tide",
    "remembers",
    "lichen",
];

/// Publishes them all.
pub(super) async fn publish(node: &Node<'_>) -> Result<Vec<Published>> {
    let mut random = Random::new(20_260_102);
    let mut published = Vec::new();
    for number in 0..ON_IPFS {
        let (_, bytes) = file(&mut random, number);
        published.push(on_ipfs(node, number, SHAPES[number % SHAPES.len()], bytes).await?);
    }
    let special = [
        (
            "cid-version=1&chunk=8192&max-links=8",
            random.bytes_of(FILM_BYTES),
        ),
        (
            "cid-version=1&inline=64",
            b"Short enough to stand in its own CID.".to_vec(),
        ),
        ("cid-version=0", Vec::new()),
    ];
    for (number, (shape, bytes)) in special.into_iter().enumerate() {
        published.push(on_ipfs(node, number, shape, bytes).await?);
    }
    published.extend(in_directory(node, &mut random).await?);
    for number in 0..ON_GAIA {
        published.push(on_gaia(node, &mut random, number).await?);
    }
    Ok(published)
}

async fn on_ipfs(node: &Node<'_>, number: usize, shape: &str, bytes: Vec<u8>) -> Result<Published> {
    let cid = node.add(&bytes, shape).await?;
    Ok(Published {
        storage_type: "ipfs",
        url: link(&cid, number),
        path: format!("/ipfs/{cid}"),
        bytes,
    })
}

/// A CID in the notation of creators. A gateway in a link is never requested: the link is only a
/// notation of the CID.
fn link(cid: &str, number: usize) -> String {
    match number % 5 {
        0 => format!("ipfs://{cid}"),
        1 => format!("https://ipfs.io/ipfs/{cid}"),
        2 => cid.to_owned(),
        // A CID of version 0 has capitals, and host names are case-insensitive.
        3 if cid.starts_with('b') => format!("https://{cid}.ipfs.dweb.link/"),
        _ => format!("/ipfs/{cid}"),
    }
}

/// Files of a large directory: an item has only its CID and a name in it.
async fn in_directory(node: &Node<'_>, random: &mut Random) -> Result<Vec<Published>> {
    let neighbours: Vec<_> = (0..NEIGHBOURS).map(|_| random.bytes_of(100)).collect();
    let cids = node.add_many(&neighbours).await?;
    let mut entries: BTreeMap<String, String> = cids
        .into_iter()
        .enumerate()
        .map(|(number, cid)| (format!("cover-{number:03}.bin"), cid))
        .collect();
    let mut wanted = Vec::new();
    for (number, shape) in SHAPES.iter().enumerate().take(IN_DIRECTORY) {
        let (extension, bytes) = file(random, number);
        let name = format!("track-{number:02}.{extension}");
        entries.insert(name.clone(), node.add(&bytes, shape).await?);
        wanted.push((name, bytes));
    }
    let directory = node
        .add_directory(&entries)
        .await
        .context("cannot add the directory")?;
    let published = wanted.into_iter().map(|(name, bytes)| Published {
        storage_type: "ipfs",
        url: format!("ipfs://{directory}/{name}"),
        path: format!("/ipfs/{directory}/{name}"),
        bytes,
    });
    Ok(published.collect())
}

async fn on_gaia(node: &Node<'_>, random: &mut Random, number: usize) -> Result<Published> {
    let (extension, bytes) = file(random, number);
    let path = format!("/gaia/hub/1Creator{number}/works/{number}.{extension}");
    node.put(&path, &bytes).await?;
    Ok(Published {
        storage_type: "gaia",
        url: node.gaia_url(&path),
        path,
        bytes,
    })
}

/// No two are the same.
fn file(random: &mut Random, number: usize) -> (&'static str, Vec<u8>) {
    let (extension, length, is_text) = KINDS[number % KINDS.len()];
    (
        extension,
        if is_text {
            text(random, length)
        } else {
            random.bytes_of(length)
        },
    )
}

fn text(random: &mut Random, length: usize) -> Vec<u8> {
    let mut text = String::with_capacity(length + 16);
    while text.len() < length {
        text.push_str(random.pick(&WORDS));
        text.push(if random.percent(12) { '\n' } else { ' ' });
    }
    text.truncate(length);
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_run_makes_the_same_files() {
        let files = |seed| {
            let mut random = Random::new(seed);
            (0..KINDS.len())
                .map(|number| file(&mut random, number))
                .collect::<Vec<_>>()
        };
        assert_eq!(files(1), files(1));
        assert_ne!(files(1), files(2));
    }

    #[test]
    fn every_shape_is_given_to_files_of_several_kinds() {
        for (shape, parameters) in SHAPES.iter().enumerate() {
            let numbers = (0..ON_IPFS).filter(|number| number % SHAPES.len() == shape);
            let kinds: BTreeSet<_> = numbers.map(|number| number % KINDS.len()).collect();
            assert!(kinds.len() > 2, "{parameters}");
        }
    }
}
