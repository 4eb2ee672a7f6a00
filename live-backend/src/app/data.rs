//! The data folder: made on first start, used by one process at a time.
//!
//! Belongs here: the lock, secrets kept in files. Does not belong here: the store, mails.

use super::StartError;
use crate::security::random_hex;
use crate::security::tokens::SECRET_BYTES_MIN;
use std::fs::{File, TryLockError};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Only its owner may read a secret.
const SECRET_MODE: u32 = 0o600;

/// The folder, locked as long as this lives.
pub(super) struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// A folder that holds the embedded store is one process's own; others may share theirs.
    pub(super) async fn open(path: &Path, is_shared: bool) -> Result<Self, StartError> {
        let path = path.to_owned();
        let shown = path.display().to_string();
        let failed = |source| StartError::Data {
            path: shown.clone(),
            source,
        };
        let opened = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&path)?;
            let lock = File::create(path.join("lock"))?;
            Ok((path, lock))
        });
        let (path, lock) = opened
            .await
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
            .map_err(failed)?;
        let locked = if is_shared {
            lock.try_lock_shared()
        } else {
            lock.try_lock()
        };
        match locked {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StartError::Locked { path: shown }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn failed(&self, source: std::io::Error) -> StartError {
        StartError::Data {
            path: self.path.display().to_string(),
            source,
        }
    }

    /// The secret of the settings, else the one kept here, else a new one, so that tokens outlive a restart.
    pub(super) async fn jwt_secret(&self, given: Option<String>) -> Result<String, StartError> {
        if let Some(secret) = given {
            return Ok(secret);
        }
        let path = self.path.join("jwt-secret");
        let kept = match tokio::fs::read_to_string(&path).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                keep_first(&path, &random_hex::<32>()).map_err(|source| self.failed(source))?;
                tokio::fs::read_to_string(&path).await
            }
            read => read,
        };
        let secret = kept.map_err(|source| self.failed(source))?;
        if secret.len() < SECRET_BYTES_MIN {
            let path = path.display().to_string();
            return Err(StartError::ShortSecret { path });
        }
        Ok(secret)
    }

    /// Keeps the local administrator's token where the people of this machine's account can read it.
    pub(super) async fn keep_admin_token(&self, token: &str) -> Result<(), StartError> {
        let (path, token) = (self.path.join("admin-token"), token.to_owned());
        let written = tokio::task::spawn_blocking(move || write_secret(&path, &token)).await;
        written
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
            .map_err(|source| self.failed(source))
    }
}

/// Keeps the secret where none is kept; of several processes that start at once the first one's stays.
fn keep_first(path: &Path, secret: &str) -> std::io::Result<()> {
    let own = path.with_extension(random_hex::<4>());
    write_secret(&own, secret)?;
    let linked = std::fs::hard_link(&own, path);
    std::fs::remove_file(&own)?;
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn write_secret(path: &Path, secret: &str) -> std::io::Result<()> {
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(SECRET_MODE)
        .open(path)?;
    // A file from an earlier start keeps its mode otherwise.
    file.set_permissions(std::fs::Permissions::from_mode(SECRET_MODE))?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()
}
