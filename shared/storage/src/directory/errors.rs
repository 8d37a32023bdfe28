//! Translates the system's errors to the caller's choices. The system's error codes are used only
//! here.

use std::{
    io::{self, ErrorKind},
    path::Path,
};

use crate::StoreError;

/// A missing file, or an impossible path: the object does not exist.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Whether the file system does not support the call.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unsupported | ErrorKind::InvalidInput | ErrorKind::PermissionDenied
    ) || error.raw_os_error().is_some_and(|code| {
        [
            rustix::io::Errno::NOSYS,
            rustix::io::Errno::OPNOTSUPP,
            rustix::io::Errno::NOTSUP,
        ]
        .iter()
        .any(|errno| errno.raw_os_error() == code)
    })
}

/// Translates the failure of `doing` on `path` to an error for `key`.
pub(super) fn translate(key: &str, doing: &str, path: &Path, error: &io::Error) -> StoreError {
    let key = key.to_owned();
    let cause = format!("could not {doing} {}: {error}", path.display());
    match error.kind() {
        ErrorKind::NotFound => StoreError::NotFound { key, cause },
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            StoreError::Denied { key, cause }
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full { key, cause },
        ErrorKind::FileTooLarge => StoreError::Limit { key, cause },
        ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::InvalidFilename
        | ErrorKind::InvalidInput
        | ErrorKind::CrossesDevices
        | ErrorKind::AlreadyExists
        | ErrorKind::Unsupported => StoreError::Invalid { key, cause },
        // A failing or removed disk: its content is unknown.
        _ => StoreError::Unavailable { key, cause },
    }
}

pub(super) fn not_found(key: &str, cause: impl Into<String>) -> StoreError {
    StoreError::NotFound {
        key: key.to_owned(),
        cause: cause.into(),
    }
}

pub(super) fn taken(key: &str, cause: impl Into<String>) -> StoreError {
    StoreError::AlreadyExists {
        key: key.to_owned(),
        cause: cause.into(),
    }
}

pub(super) fn invalid(key: &str, cause: impl Into<String>) -> StoreError {
    StoreError::Invalid {
        key: key.to_owned(),
        cause: cause.into(),
    }
}

pub(super) fn corrupt(key: &str, cause: impl Into<String>) -> StoreError {
    StoreError::Corrupt {
        key: key.to_owned(),
        cause: cause.into(),
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    fn of(errno: Errno) -> StoreError {
        translate(
            "k",
            "write",
            Path::new("/backups/k"),
            &io::Error::from(errno),
        )
    }

    #[test]
    fn a_full_disk_a_denial_and_a_failing_disk_are_distinguished() {
        assert!(matches!(of(Errno::NOSPC), StoreError::Full { .. }));
        assert!(matches!(of(Errno::DQUOT), StoreError::Full { .. }));
        assert!(matches!(of(Errno::ROFS), StoreError::Denied { .. }));
        assert!(matches!(of(Errno::ACCESS), StoreError::Denied { .. }));
        assert!(matches!(of(Errno::FBIG), StoreError::Limit { .. }));
        assert!(of(Errno::IO).is_transient());
        assert!(
            of(Errno::NOSPC).to_string().contains("/backups/k"),
            "{}",
            of(Errno::NOSPC)
        );
    }
}
