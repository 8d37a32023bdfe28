//! The options of a MongoDB connection string, read according to its specification: unknown options
//! are ignored with a warning, and a fault names its option. Messages contain no value and no
//! credential.
//!
//! <https://github.com/mongodb/specifications/blob/master/source/connection-string/connection-string-spec.md>

use std::collections::HashSet;

/// A connection string for the driver, and the ignored options.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString {
    /// The string without the ignored options. It contains the credentials.
    pub usable: String,
    /// A warning for each ignored option.
    pub ignored: Vec<String>,
}

/// The expected form of an option's value.
enum Kind {
    Flag,
    Number,
    /// A number from the first to the second.
    Between(i64, i64),
    Words(&'static [&'static str]),
    /// Text that is not empty. The driver checks the rest.
    Text,
    /// May be given several times, also empty.
    Tags,
    /// Known, but without effect here, for this reason.
    WithoutEffect(&'static str),
    /// Known, and not ignored, because it changes the server or the route.
    Unsupported,
}

/// Longer names, and odd ones, are not shown: they may be the rest of a password.
const LONGEST_NAME: usize = 40;

impl ConnectionString {
    /// Reads the options. The driver refuses strings of another form.
    ///
    /// # Errors
    /// The fault of an option, with its name.
    pub fn read(uri: &str) -> Result<Self, String> {
        let untouched = || Self {
            usable: uri.to_owned(),
            ignored: Vec::new(),
        };
        let Some((before, options)) = uri.split_once('?') else {
            return Ok(untouched());
        };
        // The password is not escaped, so the text after the question mark is not a list of
        // options.
        if options.contains('@') {
            return Ok(untouched());
        }
        let (mut kept, mut seen, mut ignored) = (Vec::new(), HashSet::new(), Vec::new());
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').ok_or_else(|| {
                format!(
                    "its option {} has no value: expected name=value",
                    shown(option)
                )
            })?;
            let Some(kind) = kind_of(&name.to_ascii_lowercase()) else {
                ignored.push(format!(
                    "the option {} is unknown and is ignored",
                    shown(name)
                ));
                continue;
            };
            if let Kind::WithoutEffect(reason) = kind {
                ignored.push(format!("the option {name} is ignored: {reason}"));
                continue;
            }
            if !seen.insert(name.to_ascii_lowercase()) && !matches!(kind, Kind::Tags) {
                return Err(format!("its option {name} is given more than once"));
            }
            kind.judge(value).map_err(|expected| {
                format!("its option {name} has an invalid value: {expected}")
            })?;
            kept.push(option);
        }
        check_together(uri, &seen)?;
        let usable = if kept.is_empty() {
            before.to_owned()
        } else {
            format!("{before}?{}", kept.join("&"))
        };
        Ok(Self { usable, ignored })
    }
}

impl std::fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionString")
            .field("ignored", &self.ignored)
            .finish_non_exhaustive()
    }
}

impl Kind {
    /// Returns the expected form if the value is invalid.
    fn judge(&self, value: &str) -> Result<(), String> {
        let is_right = match self {
            Self::Flag => matches!(value, "true" | "false"),
            Self::Number => value.parse::<u32>().is_ok(),
            Self::Between(least, most) => value
                .parse()
                .is_ok_and(|number: i64| (*least..=*most).contains(&number)),
            Self::Words(words) => words.iter().any(|word| word.eq_ignore_ascii_case(value)),
            Self::Text => !value.is_empty(),
            Self::Tags | Self::WithoutEffect(_) => true,
            Self::Unsupported => {
                return Err("Holdfast does not support this option: remove it".to_owned());
            }
        };
        if is_right {
            Ok(())
        } else {
            Err(format!("expected {}", self.expected()))
        }
    }

    fn expected(&self) -> String {
        match self {
            Self::Flag => "true or false".to_owned(),
            Self::Number => "a whole number of 0 or more".to_owned(),
            Self::Between(least, most) => format!("a whole number from {least} to {most}"),
            Self::Words(words) => format!("one of {}", words.join(", ")),
            Self::Text | Self::Tags | Self::WithoutEffect(_) | Self::Unsupported => {
                "a value".to_owned()
            }
        }
    }
}

/// The kind of a known option, by its name in lower case.
fn kind_of(name: &str) -> Option<Kind> {
    Some(match name {
        "directconnection"
        | "journal"
        | "loadbalanced"
        | "retryreads"
        | "retrywrites"
        | "ssl"
        | "tls"
        | "tlsinsecure"
        | "tlsallowinvalidcertificates"
        | "enableoverloadretargeting" => Kind::Flag,
        "connecttimeoutms"
        | "heartbeatfrequencyms"
        | "localthresholdms"
        | "maxidletimems"
        | "maxpoolsize"
        | "minpoolsize"
        | "maxconnecting"
        | "serverselectiontimeoutms"
        | "sockettimeoutms"
        | "srvmaxhosts"
        | "waitqueuetimeoutms"
        | "wtimeoutms"
        | "maxadaptiveretries" => Kind::Number,
        "maxstalenessseconds" => Kind::Between(-1, i64::from(i32::MAX)),
        "readpreference" => Kind::Words(&[
            "primary",
            "primaryPreferred",
            "secondary",
            "secondaryPreferred",
            "nearest",
        ]),
        "servermonitoringmode" => Kind::Words(&["stream", "poll", "auto"]),
        "authmechanism" => Kind::Words(&["SCRAM-SHA-1", "SCRAM-SHA-256", "MONGODB-X509", "PLAIN"]),
        "appname"
        | "authsource"
        | "authmechanismproperties"
        | "readconcernlevel"
        | "replicaset"
        | "srvservicename"
        | "tlscafile"
        | "tlscertificatekeyfile"
        | "w" => Kind::Text,
        "readpreferencetags" => Kind::Tags,
        "compressors" | "zlibcompressionlevel" => Kind::WithoutEffect(
            "Holdfast supports no compressor, and sends and receives without one",
        ),
        "uuidrepresentation" => Kind::WithoutEffect("documents are copied byte by byte"),
        "proxyhost"
        | "proxyport"
        | "proxyusername"
        | "proxypassword"
        | "tlscertificatekeyfilepassword" => Kind::Unsupported,
        _ => return None,
    })
}

/// Checks options that need another option, or another scheme.
fn check_together(uri: &str, seen: &HashSet<String>) -> Result<(), String> {
    let has = |name: &str| seen.contains(name);
    if has("readpreferencetags") && !has("readpreference") {
        return Err("its option readPreferenceTags needs the option readPreference".to_owned());
    }
    let of_srv = [
        ("srvservicename", "srvServiceName"),
        ("srvmaxhosts", "srvMaxHosts"),
    ];
    match of_srv.into_iter().find(|(name, _)| has(name)) {
        Some((_, name)) if !uri.starts_with("mongodb+srv://") => Err(format!(
            "its option {name} needs a connection string with mongodb+srv://"
        )),
        _ => Ok(()),
    }
}

fn shown(name: &str) -> &str {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_plain && (1..=LONGEST_NAME).contains(&name.len()) {
        name
    } else {
        "with an odd name"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &str) -> ConnectionString {
        ConnectionString::read(&format!("mongodb://ada:hunter2@h:1,[::1]:2/shop?{options}"))
            .unwrap()
    }

    fn fault(options: &str) -> String {
        ConnectionString::read(&format!("mongodb://ada:hunter2@h/shop?{options}")).unwrap_err()
    }

    fn kept(options: &str) -> String {
        read(options)
            .usable
            .split_once('?')
            .map_or_else(String::new, |(_, options)| options.to_owned())
    }

    #[test]
    fn unknown_options_are_ignored_with_a_warning_that_names_them() {
        for (option, name) in [
            ("useNewUrlParser=true", "useNewUrlParser"),
            ("useUnifiedTopology=true", "useUnifiedTopology"),
            ("gssapiServiceName=x", "gssapiServiceName"),
            (
                "tlsDisableOCSPEndpointCheck=true",
                "tlsDisableOCSPEndpointCheck",
            ),
            ("replcaSet=rs0", "replcaSet"),
            ("compressors=zstd,snappy", "compressors"),
            ("zlibCompressionLevel=99", "zlibCompressionLevel"),
            ("uuidRepresentation=standard", "uuidRepresentation"),
        ] {
            let read = read(&format!("tls=true&{option}&appName=x"));
            assert!(
                read.ignored.len() == 1 && read.ignored[0].contains(name),
                "{:?}",
                read.ignored
            );
            assert!(
                read.usable.ends_with("/shop?tls=true&appName=x"),
                "{option}"
            );
        }
        assert_eq!(
            read("useNewUrlParser=true").usable,
            "mongodb://ada:hunter2@h:1,[::1]:2/shop"
        );
    }

    #[test]
    fn empty_options_say_nothing() {
        for options in ["tls=true&", "&tls=true", "tls=true&&", "tls=true"] {
            assert_eq!(
                (kept(options).as_str(), read(options).ignored.len()),
                ("tls=true", 0),
                "{options}"
            );
        }
        assert_eq!(kept(""), "");
    }

    #[test]
    fn what_is_known_and_right_is_kept_as_it_is_written() {
        let options = "authSource=admin&replicaSet=rs0&readPreference=secondary&readPreferenceTags=a:b&readPreferenceTags=\
                       &maxStalenessSeconds=120&w=majority&tlsCAFile=%2Fca.pem&AppName=x&authMechanism=SCRAM-SHA-256";
        assert_eq!(kept(options), options);
    }

    #[test]
    fn a_fault_names_its_option_and_what_it_takes_and_no_value() {
        for (options, words) in [
            (
                "tls=maybe7",
                "its option tls has an invalid value: expected true or false",
            ),
            (
                "connectTimeoutMS=soon7",
                "its option connectTimeoutMS has an invalid value: expected a whole number",
            ),
            ("maxPoolSize=-7", "its option maxPoolSize"),
            (
                "readPreference=any7",
                "expected one of primary, primaryPreferred",
            ),
            ("authMechanism=GSSAPI7", "its option authMechanism"),
            ("authSource=", "its option authSource"),
            ("proxyHost=h7", "Holdfast does not support this option"),
            ("tls", "its option tls has no value"),
            (
                "tls=true&TLS=false",
                "its option TLS is given more than once",
            ),
            ("readPreferenceTags=a:7", "needs the option readPreference"),
            ("srvMaxHosts=7", "its option srvMaxHosts needs"),
        ] {
            let fault = fault(options);
            assert!(fault.contains(words), "{options}: {fault}");
            assert!(
                !fault.contains("hunter2") && !fault.contains('7'),
                "{fault}"
            );
        }
    }

    #[test]
    fn the_rest_of_a_password_is_never_shown() {
        let read = ConnectionString::read("mongodb://ada:hunt?er2&hunter2=x@h/shop").unwrap();
        assert!(read.ignored.is_empty() && !format!("{read:?}").contains("hunt"));
        for options in ["p%40ss=1", "hunter-2=1", &"x".repeat(99)] {
            let uri = format!("mongodb://h/?{options}&tls");
            let shown = format!("{:?}", ConnectionString::read(&uri));
            assert!(
                !shown.contains("p%40ss") && !shown.contains("hunter-2") && !shown.contains("xxx"),
                "{shown}"
            );
        }
    }
}
