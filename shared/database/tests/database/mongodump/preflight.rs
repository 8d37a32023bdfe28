//! Broken files in mongodump's place.

use std::path::Path;

use holdfast_database::{Tool, ToolFault};
use holdfast_testing::StandIn;

async fn fault(program: &[u8], mode: u32) -> (ToolFault, String) {
    let stand_in = StandIn::being(program, mode);
    let fault = Tool::find(&stand_in.path()).await.unwrap_err();
    let text = fault.to_string();
    assert!(
        !fault.is_absent() && text.contains(stand_in.path().to_str().unwrap()),
        "{text}"
    );
    (fault, text)
}

#[tokio::test]
async fn a_working_tool_reports_its_version() {
    let stand_in = StandIn::replaying(b"", "", 0);
    let tool = Tool::find(&stand_in.path()).await.unwrap();
    assert_eq!(
        (tool.version(), tool.path()),
        ("100.18.0", stand_in.path().as_path())
    );
    assert_eq!(stand_in.times_asked(), 1);
}

#[tokio::test]
async fn a_missing_tool_is_absent_and_named() {
    let fault = Tool::find(Path::new("/nowhere/bin/mongodump"))
        .await
        .unwrap_err();
    assert!(fault.is_absent());
    assert_eq!(
        fault.to_string(),
        "no mongodump found at /nowhere/bin/mongodump"
    );
}

#[tokio::test]
async fn a_tool_that_may_not_be_executed_is_said() {
    let (fault, text) = fault(b"#!/bin/sh\necho mongodump version: 1\n", 0o644).await;
    assert!(matches!(fault, ToolFault::NotExecutable(_)), "{text}");
}

#[tokio::test]
async fn a_tool_of_another_architecture_is_said_with_both() {
    // Only the header of a real program for another machine.
    let (other, machine) = if cfg!(target_arch = "x86_64") {
        ("aarch64", 183_u16)
    } else {
        ("x86_64", 62)
    };
    let mut program = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0";
    program[18..20].copy_from_slice(&machine.to_le_bytes());
    let (fault, text) = fault(&program, 0o755).await;
    assert!(
        matches!(fault, ToolFault::OtherArchitecture { .. }),
        "{text}"
    );
    assert!(
        text.contains(other) && text.contains(std::env::consts::ARCH),
        "{text}"
    );
}

#[tokio::test]
async fn a_library_that_is_missing_is_named() {
    let program = b"#!/bin/sh
echo \"$0: error while loading shared libraries: libgssapi_krb5.so.2: cannot open shared object file\" >&2
exit 127
";
    let (fault, text) = fault(program, 0o755).await;
    assert!(
        matches!(&fault, ToolFault::MissingLibrary { library, .. } if library == "libgssapi_krb5.so.2"),
        "{text}"
    );
}

#[tokio::test]
async fn a_missing_interpreter_is_not_reported_as_a_missing_tool() {
    let (_, text) = fault(b"#!/nowhere/sh\n", 0o755).await;
    assert!(text.contains("interpreter"), "{text}");
}

#[tokio::test]
async fn another_program_is_not_accepted_as_mongodump() {
    for (program, word) in [
        (
            &b"#!/bin/sh\necho mongorestore version: 100.18.0\n"[..],
            "does not answer --version",
        ),
        (
            b"#!/bin/sh\necho no such option >&2; exit 3\n",
            "exit status: 3: no such option",
        ),
        (b"#!/bin/sh\nkill -9 $$\n", "signal: 9"),
        (b"#!/bin/sh\nyes\n", "does not answer --version"),
        (b"", "does not answer --version"),
    ] {
        let (_, text) = fault(program, 0o755).await;
        assert!(
            text.contains(word) || program.is_empty() || program.ends_with(b"yes\n"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn libraries_beside_the_tool_are_found() {
    // The layout of a layer: `bin/mongodump` and `lib`.
    let layer = StandIn::being(
        b"#!/bin/sh\necho mongodump version: ${LD_LIBRARY_PATH:-none}\n",
        0o755,
    );
    let bin = layer.folder().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::rename(layer.path(), bin.join("mongodump")).unwrap();
    assert_eq!(
        Tool::find(&bin.join("mongodump")).await.unwrap().version(),
        "none"
    );
    std::fs::create_dir(layer.folder().join("lib")).unwrap();
    let version = Tool::find(&bin.join("mongodump"))
        .await
        .unwrap()
        .version()
        .to_owned();
    assert_eq!(Path::new(&version), layer.folder().join("lib"));
}
