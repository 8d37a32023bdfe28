//! The official mongodump of a deployment: the real one if this machine has it, else a stand-in
//! that replays the source. It reports the choice.

use std::{
    fs::File,
    future::pending,
    io::{BufWriter, Write as _},
    path::PathBuf,
    process::Command,
};

use holdfast_database::{Connection, DumpReport, DumpSelection, DumpedNamespace, dump, plan};
use holdfast_domain::{
    Secret,
    settings::{CollectionFilter, ReadPreference},
};
use holdfast_testing::{StandIn, golden, golden_stderr, installed_mongodump};

const PARALLEL: u32 = 4;

/// The tool in the settings of a stack's functions.
pub(crate) enum Mongodump {
    Real(PathBuf),
    StandIn(StandIn),
}

impl Mongodump {
    /// The real one if there is one. The choice is reported with the name of the test.
    pub(crate) fn at_hand(test: &str) -> Self {
        let installed = installed_mongodump();
        let which = installed.as_ref().map_or_else(
            || {
                "a stand-in for mongodump, as neither MONGODUMP nor the PATH names a real one"
                    .to_owned()
            },
            |path| format!("the real mongodump at {}", path.display()),
        );
        // Not by a macro, because the test harness hides its output for a passed test.
        writeln!(std::io::stderr(), "{test}: by {which}").unwrap();
        installed.map_or_else(|| Self::StandIn(StandIn::replaying(b"", "", 0)), Self::Real)
    }

    /// A stand-in that writes a golden archive and exits with this code.
    pub(crate) fn that_wrote(archive: &str, exit_code: u8) -> Self {
        Self::StandIn(StandIn::replaying(
            &golden(archive),
            &golden_stderr(archive),
            exit_code,
        ))
    }

    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::Real(path) => path.clone(),
            Self::StandIn(stand_in) => stand_in.path(),
        }
    }

    /// Its own version text.
    pub(crate) fn version(&self) -> String {
        let version_text = Command::new(self.path()).arg("--version").output().unwrap();
        let version_text = String::from_utf8(version_text.stdout).unwrap();
        let version = version_text
            .lines()
            .find_map(|line| line.strip_prefix("mongodump version: "));
        version
            .unwrap_or_else(|| panic!("a mongodump without a version: {version_text}"))
            .to_owned()
    }

    /// Sets a stand-in to replay the present state of this connection string's database. The real
    /// one reads it itself.
    pub(crate) async fn sees(&self, uri: &str) {
        let Self::StandIn(stand_in) = self else {
            return;
        };
        let connection = Connection::open(&Secret::new(uri), ReadPreference::Primary, "tests")
            .await
            .unwrap();
        let selection = DumpSelection {
            collections: CollectionFilter::All,
            exclude: Vec::new(),
        };
        let plan = plan(&connection, &selection, PARALLEL).await.unwrap();
        let archive = BufWriter::new(File::create(stand_in.folder().join("archive")).unwrap());
        let (archive, report) = dump(&connection, plan, PARALLEL, archive, pending())
            .await
            .unwrap();
        archive.into_inner().unwrap();
        stand_in.keep("stderr", messages_of(&report).as_bytes());
    }

    /// The arguments and the environment of the last run of a stand-in.
    pub(crate) fn found(&self) -> Vec<String> {
        match self {
            Self::Real(_) => Vec::new(),
            Self::StandIn(stand_in) => ["arguments", "environment"]
                .map(|name| stand_in.note(name))
                .to_vec(),
        }
    }
}

/// In the words of the real tool.
fn messages_of(report: &DumpReport) -> String {
    let line = |one: &DumpedNamespace| {
        let (name, documents) = (format!("{}.{}", one.db, one.collection), one.documents);
        format!("2026-01-01T00:00:00.000+0000\tdone dumping `{name}` ({documents} documents)\n")
    };
    report.namespaces.iter().map(line).collect()
}
