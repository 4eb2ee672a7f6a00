//! Who may read the status and the reel.
//!
//! Belongs here: when a token is needed. Does not belong here: tokens (caller), sockets, other routes (table).
//!
//! Administrators and holders of `dashboard:read:live` may; and people of this machine, where every listener
//! is on the loopback address and the setting `live_view_auth` does not say `required`.

use crate::config::LiveViewAuth;
use crate::error::AppError;
use crate::middleware::caller::Caller;
use crate::router::ServerState;
use crate::security::tokens::Permission;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// Somebody who may read.
pub(crate) struct Watcher;

impl FromRequestParts<ServerState> for Watcher {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, server: &ServerState) -> Result<Self, AppError> {
        let settings = &server.app.settings;
        let is_local = settings.hosts.bind.is_loopback();
        if needs_token(settings.live_view_auth, is_local) {
            let caller = Caller::from_request_parts(parts, server).await?;
            caller.must_have(Permission::ReadLiveDashboard)?;
        }
        Ok(Self)
    }
}

const fn needs_token(auth: LiveViewAuth, is_local: bool) -> bool {
    match auth {
        LiveViewAuth::Required => true,
        LiveViewAuth::Local => !is_local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_local_start_that_asks_for_nothing_is_open() {
        assert!(!needs_token(LiveViewAuth::Local, true));
        assert!(needs_token(LiveViewAuth::Local, false));
        assert!(needs_token(LiveViewAuth::Required, true));
        assert!(needs_token(LiveViewAuth::Required, false));
    }
}
