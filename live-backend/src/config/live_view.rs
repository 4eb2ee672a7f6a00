//! Who may read the live view without a token.
//!
//! Belongs here: the setting. Does not belong here: the check (`controllers/live_view/watch.rs`).

use super::ConfigError;
use super::sources::{Sources, wrong};

/// Who may read the live view without a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LiveViewAuth {
    /// People of this machine, as long as nobody else can reach a listener.
    Local,
    /// Nobody.
    Required,
}

impl LiveViewAuth {
    pub(super) fn read(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let (names, key) = (["FLOWREEL_LIVE_VIEW_AUTH"], "live_view_auth");
        match sources.text(None, &names, key)?.as_deref() {
            None | Some("local") => Ok(Self::Local),
            Some("required") => Ok(Self::Required),
            Some(other) => Err(wrong(&names, key, other, "local or required")),
        }
    }
}
