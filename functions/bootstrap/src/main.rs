//! The program of all functions. The handler's name selects the function: Lambda passes the
//! `Handler` of the template.
//!
//! Only the selected function is constructed: it builds its own clients and no others.

use std::{pin::Pin, process::ExitCode};

use holdfast_domain::settings::LogLevel;
use holdfast_setup::{Identity, identity, telemetry};
use lambda_runtime::Error;

/// Starts a function. Boxed, so that memory is reserved for the selected function only.
type Run = fn() -> Pin<Box<dyn Future<Output = Result<(), Error>>>>;

/// A function and the name of its handler.
type Function = (&'static str, Run);

const FUNCTIONS: [Function; 8] = [
    ("api", || Box::pin(holdfast_api_function::run())),
    (
        "content-backup",
        || Box::pin(holdfast_content_backup::run()),
    ),
    ("content-download", || {
        Box::pin(holdfast_content_download::run())
    }),
    ("content-finalize", || {
        Box::pin(holdfast_content_finalize::run())
    }),
    ("database-backup", || {
        Box::pin(holdfast_database_backup::run())
    }),
    ("replication", || Box::pin(holdfast_replication::run())),
    ("retention", || Box::pin(holdfast_retention::run())),
    ("verification", || Box::pin(holdfast_verification::run())),
];

#[tokio::main]
async fn main() -> Result<ExitCode, Error> {
    match function(&identity()) {
        Ok((_, run)) => run().await.map(|()| ExitCode::SUCCESS),
        Err(error) => {
            telemetry(LogLevel::Info);
            tracing::error!("{error}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The function of that handler.
fn function(identity: &Identity) -> Result<Function, String> {
    let found = FUNCTIONS.iter().find(|(name, _)| is_named(identity, name));
    found.copied().ok_or_else(|| {
        format!(
            "invalid value {:?} for Handler of function {:?}: expected one of {}. Deploy template.yaml, or set the handler.",
            identity.handler,
            identity.function_name,
            FUNCTIONS.map(|(name, _)| name).join(", ")
        )
    })
}

/// By the handler. `cargo lambda deploy` creates every function with the handler `bootstrap`: then
/// by the end of the function's name.
fn is_named(identity: &Identity, name: &str) -> bool {
    let rest = || identity.function_name.strip_suffix(name);
    let is_end_of_name = || rest().is_some_and(|rest| rest.is_empty() || rest.ends_with('-'));
    identity.handler == name || (identity.handler == "bootstrap" && is_end_of_name())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn names() -> BTreeSet<String> {
        FUNCTIONS
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect()
    }

    #[test]
    fn every_function_of_the_template_has_its_own_handler() {
        let template = include_str!("../../../template.yaml");
        let resources = template
            .split("\n\n")
            .filter(|resource| resource.contains("Type: AWS::Serverless::Function\n"));
        let values = |resource: &str, key: &str| {
            let lines = resource
                .lines()
                .filter_map(|line| line.trim().strip_prefix(key).map(str::to_owned));
            lines.collect::<Vec<_>>()
        };
        let mut handlers = Vec::new();
        for resource in resources {
            let own = values(resource, "Handler: ");
            assert_eq!(own.len(), 1, "{resource}");
            assert_eq!(
                values(resource, "FunctionName: !Sub ${AWS::StackName}-"),
                own,
                "{resource}"
            );
            handlers.extend(own);
        }
        assert_eq!(handlers.len(), FUNCTIONS.len());
        assert_eq!(handlers.into_iter().collect::<BTreeSet<_>>(), names());
    }

    #[test]
    fn every_crate_of_a_function_is_in_the_program() {
        let functions = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let folders = fs::read_dir(functions)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut expected = names();
        expected.insert("bootstrap".to_owned());
        assert_eq!(folders.collect::<BTreeSet<_>>(), expected);
    }

    fn selected(handler: &str, function_name: &str) -> Result<&'static str, String> {
        let identity = Identity {
            handler: handler.to_owned(),
            function_name: function_name.to_owned(),
        };
        function(&identity).map(|(name, _)| name)
    }

    #[test]
    fn the_handler_selects_the_function_whatever_its_name() {
        for name in names() {
            assert_eq!(selected(&name, "holdfast-retention").unwrap(), name);
        }
    }

    #[test]
    fn a_function_made_by_cargo_lambda_is_selected_by_the_end_of_its_name() {
        for name in names() {
            assert_eq!(selected("bootstrap", &name).unwrap(), name);
            assert_eq!(
                selected("bootstrap", &format!("my-stack-{name}")).unwrap(),
                name
            );
            assert!(selected("bootstrap", &format!("my{name}")).is_err());
        }
    }

    #[test]
    fn an_unknown_handler_is_refused_with_all_names() {
        for (handler, function_name) in [
            ("bootstrap", "holdfast"),
            ("", "x-api"),
            ("API", "x-api"),
            ("retention ", ""),
        ] {
            let error = selected(handler, function_name).unwrap_err();
            assert!(
                error.contains(&format!(
                    "{handler:?} for Handler of function {function_name:?}"
                )),
                "{error}"
            );
            for name in names() {
                assert!(error.contains(&name), "{error}");
            }
        }
    }
}
