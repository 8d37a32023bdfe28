//! Arguments of every verb.

use clap::Args;
use holdfast_domain::settings::StoreLocation;

use crate::output::Output;

/// Arguments of every verb.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Print one JSON document per line for each result on stdout, and errors as JSON on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Use this store instead of `BACKUP_STORE`
    #[arg(long, global = true, value_name = "s3://BUCKET/PREFIX|file:///DIRECTORY|gs://…|az://…", value_parser = store)]
    pub(crate) store: Option<StoreLocation>,
}

impl Global {
    /// How results are shown.
    pub(crate) const fn output(&self) -> Output {
        if self.json {
            Output::Json
        } else {
            Output::Text
        }
    }
}

fn store(argument: &str) -> Result<StoreLocation, String> {
    StoreLocation::parse(argument).map_err(|expected| format!("expected {expected}"))
}
