//! The Makefiles, run as SAM runs them: from a copy of their folder, where only they themselves are
//! found by full path.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    bench::{self, Bench, Built, VERSION},
    programs::MACHINES,
    site::{LIBRARIES, Site},
};

const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:layer:holdfast-mongodump:7";

#[test]
fn sam_gets_the_layer_of_the_processor_whose_folder_the_template_names() {
    let site = Site::vendors();
    for (architecture, _) in MACHINES {
        let bench = Bench::new();
        // SAM makes it beforehand.
        fs::create_dir(bench.path("layer")).unwrap();
        let built = make(&bench, architecture, "build-MongodumpLayer", &site.feed());
        built.built_saying(&[VERSION, architecture, LIBRARIES[0]]);
        assert_eq!(bench.layer_files().len(), 4);
        assert!(bench.path("mongodump.lock").exists());
    }
}

#[test]
fn a_failed_build_fails_the_target_with_its_reason() {
    let bench = Bench::new();
    let built = make(
        &bench,
        "arm64",
        "build-MongodumpLayer",
        &Site::empty().feed(),
    );
    built.refused_with(&["404", "MONGODUMP_BINARY"]);
    assert_eq!(bench.left_behind(), ["aws"]);
}

#[test]
fn publish_prints_the_arn_alone_and_the_package_keeps_the_program_executable() {
    let (bench, site) = (Bench::new(), Site::vendors());
    let published = make(&bench, "arm64", "publish", &site.feed());
    assert!(published.well, "{}", published.complained);
    assert_eq!(published.said, format!("{ARN}\n"));
    let asked = fs::read_to_string(bench.path("aws.asked")).unwrap();
    let package = bench.path("layer.zip");
    let file = format!(
        "--zip-file fileb://{} --compatible-architectures arm64",
        package.display()
    );
    assert!(
        asked.contains("lambda publish-layer-version --layer-name holdfast-mongodump")
            && asked.contains(&file),
        "{asked}"
    );
    let files = modes(&package);
    assert!(
        files.contains(&"bin/mongodump 100755".to_owned()),
        "{files:?}"
    );
    assert!(
        files.contains(&"MONGODUMP-LAYER.txt 100644".to_owned()),
        "{files:?}"
    );
}

fn make(bench: &Bench, architecture: &str, target: &str, feed: &str) -> Built {
    let makefile = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(architecture)
        .join("Makefile");
    let mut command = Command::new("make");
    command
        .args(["--silent", "--makefile"])
        .arg(makefile)
        .arg(target)
        .current_dir(std::env::temp_dir());
    let path = [
        stand_in_for_aws(bench).into_os_string(),
        std::env::var_os("PATH").unwrap(),
    ];
    bench::without_surroundings(&mut command)
        .env("PATH", path.join(":".as_ref()))
        .env("ARTIFACTS_DIR", bench.path("layer"))
        .env("LAYER_OUT", bench.path("layer"))
        .env("LAYER_LOCK", bench.path("mongodump.lock"))
        .env("LAYER_DOWNLOADS", bench.path("downloads"))
        .env(
            "LAYER_BUILDER",
            env!("CARGO_BIN_EXE_holdfast-mongodump-layer"),
        )
        .env("MONGODUMP_FEED_URL", feed);
    bench::run(&mut command)
}

/// A folder with an `aws` that writes down what it was asked, and answers as
/// `publish-layer-version` does.
fn stand_in_for_aws(bench: &Bench) -> PathBuf {
    let folder = bench.path("aws");
    fs::create_dir(&folder).unwrap();
    let asked = bench.path("aws.asked");
    let script = format!(
        "#!/bin/sh\necho \"$*\" > '{}'\necho {ARN}\n",
        asked.display()
    );
    let program = bench.file("aws/aws", script.as_bytes());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Name and mode of every file in a zip file.
fn modes(package: &Path) -> Vec<String> {
    let list = "import sys, zipfile\n\
                for one in zipfile.ZipFile(sys.argv[1]).infolist():\n\
                \x20   print(one.filename, '%o' % (one.external_attr >> 16))";
    let output = Command::new("python3")
        .args(["-c", list])
        .arg(package)
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}
