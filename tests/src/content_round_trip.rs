//! The platform's files from a real IPFS node and a Gaia origin, backed up by an API call, are
//! restored byte by byte. Unchanged files are not downloaded again.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use holdfast_testing::{DirectoryShape, FileShape, IpfsNode};
use serde_json::{Value, json};

use crate::stage::{Deployment, Piece, Variant, follow, noise, restored_items, small_file};

const KEY: &str = "3b9d5e7f1a2c4e6d8f0b1d3c5e7a9b2d4f6e8a0c1b3d5f7e9a2c4b6d8e0f1a3c";
const LARGE: usize = 9 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_of_content_comes_back_equal_and_a_second_run_downloads_only_what_changed() {
    let node = IpfsNode::start();
    let variant = Deployment::named("content")
        .fetching_from(&node)
        .deploy()
        .await;
    let mut pieces = every_shape(&node).await;
    assert!(pieces.len() >= 500, "{} pieces", pieces.len());
    variant.publish(&pieces).await;
    what_is_not_backed_up(&variant).await;

    let first = backed_up_with_progress(&variant, pieces.len()).await;
    let folder = variant.content_comes_back(id(&first), &pieces).await;
    assert_recorded(&restored_items(&folder), &pieces);
    goes_back_to_ipfs(&variant, id(&first), &pieces).await;
    opens_by_its_guide(&variant, &first, folder.path()).await;
    let before = pieces.clone();

    let changed = pieces.iter_mut().find(|piece| piece.is_on_gaia()).unwrap();
    changed.file = b"Another file at the same address.".to_vec();
    node.put_gaia(path_on_gaia(changed), changed.file.clone())
        .await;
    let added = on_ipfs(&node, 9001, small_file(9001)).await;
    variant.publish(std::slice::from_ref(&added)).await;
    pieces.push(added);
    let second = only_what_changed_is_downloaded(&variant, &node, &pieces).await;
    variant.content_comes_back(id(&second), &pieces).await;
    variant.content_comes_back(id(&first), &before).await;
    for job in [&first, &second] {
        variant
            .operator(&["verify", id(job), "--level", "checksum"])
            .await
            .expect(0);
    }
    variant.finish(id(&first)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_content_comes_back_equal_opens_by_its_own_guide_and_shows_nothing() {
    let node = IpfsNode::start();
    let deployment = Deployment::named("content-encrypted").fetching_from(&node);
    let mut variant = deployment
        .encrypted_under(KEY)
        .files_too()
        .talkative()
        .deploy()
        .await;
    let secret = "Whoever reads this has found a leak.";
    let mut pieces = vec![
        on_ipfs(&node, 1, noise(LARGE)).await,
        on_ipfs(&node, 2, secret.repeat(2_000)).await,
    ];
    for id in 3..=30 {
        let url = node
            .put_gaia(&format!("{id}.txt"), format!("{secret} {id}"))
            .await;
        pieces
            .push(Piece::on_gaia(id, url, format!("{secret} {id}")).titled("The title of a piece"));
    }
    variant.publish(&pieces).await;
    let job = variant.api.back_up_of("content").await;
    assert_eq!(
        (&job["encrypted"], &job["items"]["done"]),
        (&json!(true), &json!(30)),
        "{job}"
    );
    let folder = variant.content_comes_back(id(&job), &pieces).await;
    opens_by_its_guide(&variant, &job, folder.path()).await;
    shows_nothing(
        &variant,
        &[
            secret,
            "The title of a piece",
            &pieces[0].url,
            "/gaia/3.txt",
        ],
    )
    .await;
    variant.also_secret("a file's text", secret);
    variant.finish(id(&job)).await;
}

fn id(job: &Value) -> &str {
    job["backupId"].as_str().unwrap()
}

async fn on_ipfs(node: &IpfsNode, id: i64, file: impl Into<Vec<u8>>) -> Piece {
    let file = file.into();
    let cid = node.add(file.clone(), &FileShape::v1()).await;
    Piece::on_ipfs(id, format!("ipfs://{cid}"), file)
}

fn path_on_gaia(piece: &Piece) -> &str {
    piece.url.split_once("/gaia/").unwrap().1
}

/// More than 500 pieces: every way of writing an address, every shape of a file, small and large,
/// well and oddly named.
async fn every_shape(node: &IpfsNode) -> Vec<Piece> {
    let mut pieces = Vec::new();
    many_small(node, &mut pieces).await;
    in_directories(node, &mut pieces).await;
    odd_dags(node, &mut pieces).await;
    large(node, &mut pieces).await;
    for id in 2000..2060 {
        let file = small_file(id);
        let url = node
            .put_gaia(&format!("hub/STX/{id}.json"), file.clone())
            .await;
        pieces.push(Piece::on_gaia(id, url, file));
    }
    let long = "ten kilobytes ".repeat(750);
    let titles = [
        "../../x",
        "a\0b",
        "\u{202e}gpj.exe",
        &long,
        "/etc/passwd",
        "..",
        "",
        "CON",
        "a\r\nb",
        "日本語",
    ];
    for (id, title) in (3000..).zip(titles) {
        pieces.push(on_ipfs(node, id, small_file(id)).await.titled(title));
    }
    // Another piece with the very same CID, and one with the same file under another CID.
    let twin = pieces[0].clone();
    pieces.push(Piece::on_ipfs(4000, &twin.url, twin.file.clone()));
    let other = node
        .add(twin.file.clone(), &FileShape::v1().wrapped_leaves())
        .await;
    pieces.push(Piece::on_ipfs(4001, format!("ipfs://{other}"), twin.file));
    pieces
}

/// Each shape of a CID by each way of writing it.
async fn many_small(node: &IpfsNode, pieces: &mut Vec<Piece>) {
    let shapes = [
        (FileShape::v0(), 0_i64),
        (FileShape::v0().raw_leaves(), 100),
        (FileShape::v1(), 200),
        (FileShape::v1().wrapped_leaves(), 300),
    ];
    for (shape, from) in shapes {
        let files: Vec<Vec<u8>> = (from..from + 85).map(small_file).collect();
        let cids = node.add_many(&files, &shape).await;
        for ((id, file), cid) in (from..).zip(files).zip(cids) {
            let is_v1 = !cid.starts_with("Qm");
            let url = match id % 4 {
                0 => cid,
                1 => format!("ipfs://{cid}"),
                2 => format!("https://gateway.example/ipfs/{cid}"),
                _ if is_v1 => format!("https://{cid}.ipfs.dweb.link/"),
                _ => format!("ipfs://ipfs/{cid}"),
            };
            pieces.push(Piece::on_ipfs(id, url, file));
        }
    }
}

/// Files by their paths in a plain directory, and in a sharded one below it.
async fn in_directories(node: &IpfsNode, pieces: &mut Vec<Piece>) {
    let names = |from: i64| (from..from + 40).map(|id| (format!("file {id}.txt"), small_file(id)));
    let (plain, sharded): (Vec<_>, Vec<_>) = (names(1000).collect(), names(1100).collect());
    let mut listings = Vec::new();
    for named in [&plain, &sharded] {
        let files: Vec<&[u8]> = named.iter().map(|(_, file)| file.as_slice()).collect();
        let cids = node.add_many(&files, &FileShape::v1()).await;
        listings.push(
            named
                .iter()
                .map(|(name, _)| name.clone())
                .zip(cids)
                .collect::<Vec<_>>(),
        );
    }
    let within = node
        .add_directory(listings.remove(1), &DirectoryShape::sharded(8).v1())
        .await;
    let entries = listings
        .remove(0)
        .into_iter()
        .chain([("within".to_owned(), within)]);
    let root = node.add_directory(entries, &DirectoryShape::plain()).await;
    for (id, (name, file)) in (1000..).zip(plain) {
        pieces.push(Piece::on_ipfs(
            id,
            format!("ipfs://{root}/{}", name.replace(' ', "%20")),
            file,
        ));
    }
    for (id, (name, file)) in (1100..).zip(sharded) {
        let url = format!(
            "https://gateway.example/ipfs/{root}/within/{}",
            name.replace(' ', "%20")
        );
        pieces.push(Piece::on_ipfs(id, url, file));
    }
}

/// Of many levels, lopsided, inside of their CID, empty.
async fn odd_dags(node: &IpfsNode, pieces: &mut Vec<Piece>) {
    for (id, (shape, bytes)) in (1200..).zip([
        (FileShape::v0().chunk(1000).max_links(3), 50_000),
        (FileShape::v1().chunk(1000).max_links(2), 20_000),
        (
            FileShape::v1().wrapped_leaves().chunk(500).max_links(5),
            70_001,
        ),
        (FileShape::v1().chunk(700).max_links(4).trickle(), 30_000),
        (FileShape::v1().inline(64), 40),
        (FileShape::v1().modified(1_700_000_000), 300_000),
        (FileShape::v0(), 0),
    ]) {
        let file = noise(bytes);
        let cid = node.add(file.clone(), &shape).await;
        pieces.push(Piece::on_ipfs(id, format!("ipfs://{cid}"), file));
    }
}

/// More than one part of an upload: of noise, and of data that shrink to one part by compression.
async fn large(node: &IpfsNode, pieces: &mut Vec<Piece>) {
    pieces.push(on_ipfs(node, 1300, noise(LARGE)).await);
    let text = small_file(1301).repeat(LARGE / 256);
    let cid = node.add(text.clone(), &FileShape::v0()).await;
    pieces.push(Piece::on_ipfs(1301, cid, text));
    let file = noise(LARGE + 1);
    let url = node.put_gaia("hub/STX/film.mp4", file.clone()).await;
    pieces.push(Piece::on_gaia(1302, url, file));
}

/// Removed, or on an unsupported storage.
async fn what_is_not_backed_up(variant: &Variant) {
    let elsewhere = Piece::on_ipfs(8001, "ar://x", "x").stored_on("arweave");
    let mut removed = Piece::on_ipfs(8002, "ipfs://x", "x").document();
    removed.insert("isRemoved", true);
    let contents = variant
        .server
        .client
        .database(&variant.source)
        .collection("contents");
    contents
        .insert_many([elsewhere.document(), removed])
        .await
        .unwrap();
}

/// Backs up, and sees the count of items grow meanwhile.
async fn backed_up_with_progress(variant: &Variant, expected: usize) -> Value {
    let id = variant.api.triggered_of("content").await;
    let mut seen: Vec<u64> = Vec::new();
    let job = loop {
        let job = variant.api.job(&id).await;
        if job["status"] == "running" && job["items"]["expected"] == expected {
            let settled =
                ["done", "unchanged", "failed"].map(|state| job["items"][state].as_u64().unwrap());
            seen.push(settled.iter().sum());
        } else if !["pending", "running", "finalizing", "committing"]
            .contains(&job["status"].as_str().unwrap())
        {
            break job;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(job["status"], "completed", "{job}");
    assert!(
        seen.is_sorted()
            && seen
                .iter()
                .any(|settled| (1..expected as u64).contains(settled)),
        "{seen:?}"
    );
    let items = &job["items"];
    assert_eq!(
        (&items["expected"], &items["failed"]),
        (&json!(expected), &json!(0)),
        "{job}"
    );
    assert_eq!(
        items["done"].as_u64().unwrap() + items["unchanged"].as_u64().unwrap(),
        expected as u64,
        "{job}"
    );
    assert_eq!(
        (&job["trigger"]["kind"], &job["trigger"]["by"]),
        (&json!("manual"), &json!("admin@local")),
        "{job}"
    );
    job
}

/// Asserts the manifest's records of each file: its origin and its object.
fn assert_recorded(items: &[Value], pieces: &[Piece]) {
    let by_id: BTreeMap<&str, &Value> = items
        .iter()
        .map(|item| (item["contentId"].as_str().unwrap(), item))
        .collect();
    for piece in pieces {
        let item = by_id[piece.id.to_string().as_str()];
        assert_eq!(
            (&item["url"], &item["file"]["fileSize"]),
            (&json!(piece.url), &json!(piece.file.len())),
            "{item}"
        );
        let verified = if piece.is_on_gaia() {
            "transport"
        } else {
            "cid"
        };
        assert_eq!(item["file"]["verified"], verified, "{item}");
        assert_eq!(
            item["file"]["cid"].is_string(),
            !piece.is_on_gaia(),
            "{item}"
        );
    }
    let object = |id: &str| &by_id[id]["file"]["object"]["key"];
    assert_eq!(
        (object("4000"), object("4001")),
        (object("0"), object("0")),
        "one object of one content"
    );
    assert_ne!(
        by_id["4001"]["file"]["dag"]["key"], by_id["0"]["file"]["dag"]["key"],
        "the blocks are others"
    );
}

/// The backup's CAR gives an empty node every file under the platform's CID.
async fn goes_back_to_ipfs(variant: &Variant, id: &str, pieces: &[Piece]) {
    let folder = tempfile::tempdir().unwrap();
    let car = folder.path().join("backup.car");
    variant
        .operator(&["restore", "content", id, "--to-car", car.to_str().unwrap()])
        .await
        .expect(0);
    let node = IpfsNode::start();
    node.import(fs::read(&car).unwrap()).await.unwrap();
    let by_cid = pieces.iter().filter(|piece| !piece.is_on_gaia());
    for piece in by_cid.filter(|piece| piece.id % 10 == 0 || piece.file.len() > 1000) {
        let path = piece
            .url
            .rsplit_once("ipfs/")
            .map_or(piece.url.as_str(), |(_, path)| path);
        assert!(
            node.file(path.trim_start_matches("ipfs://")).await == piece.file,
            "{} differs",
            piece.url
        );
    }
}

/// Backs up once more, and checks the requests at the node.
async fn only_what_changed_is_downloaded(
    variant: &Variant,
    node: &IpfsNode,
    pieces: &[Piece],
) -> Value {
    node.reset_requests().await;
    let job = variant.api.back_up_of("content").await;
    let items = &job["items"];
    assert_eq!(
        (&items["expected"], &items["done"]),
        (&json!(pieces.len()), &json!(2)),
        "{job}"
    );
    assert_eq!(
        (&items["unchanged"], &items["failed"]),
        (&json!(pieces.len() - 2), &json!(0)),
        "{job}"
    );
    let asked = node.requests().await;
    assert_eq!(
        (asked.gateway.car, asked.gateway.raw, asked.gateway.plain),
        (1, 0, 0),
        "{asked:?}"
    );
    let on_gaia = pieces.iter().filter(|piece| piece.is_on_gaia()).count();
    assert_eq!(
        (asked.gaia.full, asked.gaia.not_modified),
        (1, on_gaia - 1),
        "{asked:?}"
    );
    job
}

/// The backup's own guide, followed with stock tools, produces the restored folder.
async fn opens_by_its_guide(variant: &Variant, job: &Value, restored: &Path) {
    let manifest = variant.content_manifest(id(job)).await;
    let artifacts = manifest["artifacts"].as_array().unwrap().iter();
    let keys: Vec<String> = artifacts
        .map(|artifact| artifact["key"].as_str().unwrap().to_owned())
        .collect();
    let followed = follow(variant, id(job), &keys, KEY).await;
    let (unpacked, restored) = (files_in(&followed.path().join(id(job))), files_in(restored));
    assert_eq!(
        unpacked.keys().collect::<Vec<_>>(),
        restored.keys().collect::<Vec<_>>()
    );
    for (name, file) in &restored {
        assert!(unpacked[name] == *file, "{name} differs");
    }
}

fn files_in(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

/// Nothing of files, titles and addresses can be read in the store.
async fn shows_nothing(variant: &Variant, texts: &[&str]) {
    for key in variant.keys().await {
        let readable = key.ends_with("/manifest.json")
            || key.ends_with("/RESTORE.md")
            || key.starts_with("repository.");
        assert!(readable || key.contains(".enc"), "{key} is not encrypted");
        let object = variant.object(&key).await;
        for text in texts {
            let found = object
                .windows(text.len())
                .any(|window| window == text.as_bytes());
            assert!(!found, "{text} stands in {key}");
        }
    }
}
