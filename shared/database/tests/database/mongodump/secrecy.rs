//! The connection string reaches the child with any content, and no other process.

use std::{fs, future::pending};

use holdfast_archive::Inspector;
use holdfast_database::mongodump;
use holdfast_testing::{StandIn, golden};

use super::{eventually, found, invocation};

const ODD: &str = "mongodb://a'd\"a:p\\w%25: #{}[]&*!|>ü\u{2028}🦀@h:1/web3platform?appName=x y";

/// The only value of the options file, read as YAML: a double-quoted scalar with the escapes in
/// use.
fn value(options: &str) -> String {
    let quoted = options
        .strip_prefix("uri: \"")
        .and_then(|rest| rest.strip_suffix("\"\n"))
        .unwrap();
    assert!(quoted.chars().all(|c| (' '..='~').contains(&c)), "{quoted}");
    let mut characters = quoted.chars();
    let mut value = String::new();
    while let Some(character) = characters.next() {
        match character {
            '"' => panic!("a quote that is not escaped: {quoted}"),
            '\\' => match characters.next().unwrap() {
                'U' => {
                    let digits: String = characters.by_ref().take(8).collect();
                    value.push(char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap());
                }
                itself => value.push(itself),
            },
            plain => value.push(plain),
        }
    }
    value
}

#[tokio::test]
async fn odd_characters_reach_the_tool_as_they_are() {
    for uri in [
        ODD,
        "mongodb://h/x",
        &format!("mongodb://h/x?appName={}", "y".repeat(200_000)),
    ] {
        let stand_in = StandIn::replaying(&golden("platform"), "", 0);
        mongodump(
            &found(&stand_in).await,
            &invocation(uri),
            Vec::new(),
            pending(),
        )
        .await
        .unwrap();
        assert_eq!(value(&stand_in.note("options")), uri);
    }
}

#[tokio::test]
async fn the_connection_string_is_in_no_argument_no_environment_and_no_file() {
    // Keeps no copy of its options, and waits for the inspection.
    let script = r#"
rm "$here/options"
while [ ! -e "$here/seen" ]; do sleep 0.05; done
cat "$here/archive"
"#;
    let stand_in = StandIn::doing(&golden("platform"), "", script);
    let tool = found(&stand_in).await;
    let uri = "mongodb://ada:hunter2@secret-host/web3platform";
    let look = async {
        eventually("it runs and keeps nothing", || {
            stand_in.process().is_some() && stand_in.note("options").is_empty()
        })
        .await;
        let process = stand_in.process().unwrap();
        let about = |what: &str| fs::read(format!("/proc/{process}/{what}")).unwrap();
        for text in [
            about("cmdline"),
            about("environ"),
            stand_in.note("arguments").into_bytes(),
        ] {
            let text = String::from_utf8_lossy(&text).into_owned();
            assert!(
                !text.contains("hunter2") && !text.contains("secret-host"),
                "{text}"
            );
        }
        for (number, end) in open_files(process)
            .into_iter()
            .filter(|(number, _)| *number < 3)
        {
            assert!(end.starts_with("pipe:"), "{number} is {end}");
        }
        for file in fs::read_dir(stand_in.folder()).unwrap() {
            let text = fs::read(file.unwrap().path()).unwrap();
            assert!(!String::from_utf8_lossy(&text).contains("hunter2"));
        }
        stand_in.keep("seen", b"");
    };
    let invocation = invocation(uri).within(Some(100 << 20));
    let (dump, ()) = tokio::join!(
        mongodump(&tool, &invocation, Inspector::new(Vec::new()), pending()),
        look
    );
    dump.unwrap();
    let mut environment: Vec<String> = stand_in
        .note("environment")
        .lines()
        .map(str::to_owned)
        .collect();
    environment.sort();
    assert_eq!(
        environment,
        [
            "GOMEMLIMIT=104857600B",
            "HOME=/",
            "PATH=/usr/local/bin:/usr/bin:/bin"
        ]
    );
    assert_eq!(
        stand_in.arguments(),
        [
            "--config=/proc/self/fd/0",
            "--archive",
            "--numParallelCollections=4",
            "--readPreference=secondary",
            "--db=web3platform",
            "--excludeCollectionsWithPrefix=holdfast_restore_"
        ]
    );
}

fn open_files(process: u32) -> Vec<(u32, String)> {
    let ends = fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    ends.filter_map(|path| {
        let number = path.file_name()?.to_str()?.parse().ok()?;
        Some((
            number,
            fs::read_link(&path).ok()?.to_string_lossy().into_owned(),
        ))
    })
    .collect()
}

#[tokio::test]
async fn messages_of_the_tool_are_reported_without_the_connection_string() {
    let uri = "mongodb://ada:hun%2Fter2@h:1/web3platform";
    let said = format!("Failed: error parsing uri {uri}: hun/ter2 is no password\n");
    let stand_in = StandIn::replaying(&golden("platform"), &said, 1);
    let outcome = mongodump(
        &found(&stand_in).await,
        &invocation(uri),
        Vec::new(),
        pending(),
    )
    .await;
    let error = outcome.map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("Failed: error parsing uri") && !error.contains("ter2"),
        "{error}"
    );
}
