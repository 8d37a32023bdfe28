//! Files that are no archives. Each is refused with its kind and a remedy, before anything is
//! written.

use std::{io::Cursor, io::Write as _, num::NonZeroUsize};

use holdfast_codec::GzipWriter;
use holdfast_recovery::prove_archive;
use holdfast_testing::{definition, golden, no_archive};

async fn refusal(file: Vec<u8>) -> String {
    prove_archive(Box::new(Cursor::new(file)))
        .await
        .unwrap_err()
        .to_string()
}

async fn refused_with(file: Vec<u8>, parts: &[&str]) {
    let text = refusal(file).await;
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzipWriter::new(Vec::new(), 6, NonZeroUsize::MIN).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap().0
}

#[tokio::test]
async fn a_log_before_the_archive_is_removed_by_the_command_of_the_message() {
    let file = no_archive("log-in-front.archive");
    refused_with(
        file.clone(),
        &["64 bytes of text precede the archive", "tail -c +65 FILE"],
    )
    .await;
    prove_archive(Box::new(Cursor::new(file[64..].to_vec())))
        .await
        .unwrap();
}

#[tokio::test]
async fn translated_line_endings_are_undone_by_the_command_of_the_message() {
    let file = no_archive("crlf.archive");
    refused_with(
        file.clone(),
        &[
            "a carriage return precedes every line feed",
            r"perl -pe 's/\r\n/\n/'",
        ],
    )
    .await;
    let mut repaired = Vec::new();
    for byte in file {
        if byte == b'\n' && repaired.last() == Some(&b'\r') {
            repaired.pop();
        }
        repaired.push(byte);
    }
    prove_archive(Box::new(Cursor::new(repaired)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_tar_file_of_a_dump_directory_is_refused_with_the_way_to_restore_it() {
    refused_with(
        no_archive("dump.tar.gz"),
        &["it is a tar file", "mongorestore --dir"],
    )
    .await;
}

#[tokio::test]
async fn a_zip_file_is_refused_with_the_way_to_restore_it() {
    refused_with(
        b"PK\x03\x04\x14\0\0\0\x08\0dump/shop/orders.bson".to_vec(),
        &["it is a zip file", "Extract it"],
    )
    .await;
}

#[tokio::test]
async fn a_file_that_openssl_encrypted_is_refused_with_the_command_that_decrypts_it() {
    refused_with(
        no_archive("salted.archive"),
        &["openssl enc -d", "-out dump.archive"],
    )
    .await;
}

#[tokio::test]
async fn an_encrypted_object_of_a_repository_is_refused_with_the_commands_of_holdfast() {
    let object = b"HOLDFAST1\nsuite=aes-256-cbc+hmac-sha-256\nrepository=".to_vec();
    refused_with(
        object,
        &["holdfast list", "holdfast decrypt FILE --key-of KEY"],
    )
    .await;
}

#[tokio::test]
async fn a_bson_file_is_refused_with_the_way_to_restore_it() {
    let documents = mongodb::bson::doc! { "_id": 1, "name": "a" }
        .to_vec()
        .unwrap()
        .repeat(3);
    refused_with(documents, &["it holds BSON documents", "mongorestore --db"]).await;
}

#[tokio::test]
async fn what_is_no_archive_is_recognised_inside_gzip_too() {
    let archive = definition("dbname-0");
    prove_archive(Box::new(Cursor::new(gzipped(&archive))))
        .await
        .unwrap();
    refused_with(
        gzipped(b"Failed: error connecting to db server\n"),
        &["it is text", "dump again"],
    )
    .await;
    refused_with(
        gzipped(&gzipped(&archive)),
        &["it is compressed with gzip", "Decompress it first"],
    )
    .await;
    refused_with(gzipped(b""), &["the file is empty"]).await;
}

#[tokio::test]
async fn an_empty_file_is_refused_as_empty() {
    refused_with(Vec::new(), &["the file is empty", "the copy is incomplete"]).await;
}

#[tokio::test]
async fn a_truncated_gzip_file_is_refused_as_incomplete() {
    let file = gzipped(&golden("platform-one"));
    refused_with(
        file[..file.len() / 2].to_vec(),
        &["cut inside a member", "incomplete"],
    )
    .await;
}

#[tokio::test]
async fn an_archive_that_powershell_converted_is_refused_as_beyond_repair() {
    let converted: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(
            definition("dbname-0")
                .into_iter()
                .flat_map(|byte| [byte, 0]),
        )
        .collect();
    refused_with(converted, &["PowerShell", "--archive=FILE"]).await;
}
