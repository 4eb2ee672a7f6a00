//! Who may call a route: checked before anything of the route runs.
//!
//! Belongs here: the kinds of access and their check. Does not belong here: tokens (security), which
//! route has which (table).

use super::ServerState;
use crate::error::AppError;
use crate::middleware::body::AllowedFields;
use crate::middleware::caller::Caller;
use crate::middleware::record::ClientAddress;
use crate::request::RequestContext;
use crate::security::tokens::Permission;
use crate::telemetry::Layer;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody, without a token.
    Anyone,
    /// Whoever has a valid token.
    Caller,
    /// A user; the local administrator is none.
    User,
    /// The user named in the address, and administrators.
    Owner,
    /// Administrators, and who may read the live dashboard.
    Monitor,
    /// The same, and programs of this machine without a token where the settings let them.
    MonitorOrLocal,
    /// Administrators.
    Admin,
}

impl Access {
    /// What it refuses with.
    pub(crate) const fn refusal_statuses(self) -> &'static [u16] {
        match self {
            Self::Anyone => &[],
            Self::Caller => &[401],
            Self::User | Self::Owner | Self::Monitor | Self::MonitorOrLocal | Self::Admin => {
                &[401, 403]
            }
        }
    }

    fn check(self, caller: &Caller, named: Option<&str>) -> Result<(), AppError> {
        match self {
            Self::Anyone | Self::Caller => Ok(()),
            Self::User => caller.user().map(drop),
            Self::Owner => caller.acting_for(named.unwrap_or_default()).map(drop),
            Self::Monitor | Self::MonitorOrLocal => caller.must_have(Permission::ReadLiveDashboard),
            Self::Admin => caller.must_be_admin(),
        }
    }
}

/// What the guard of one route knows.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) server: ServerState,
    pub(super) path: &'static str,
    pub(super) access: Access,
    pub(super) fields: AllowedFields,
}

/// The route that answered, in the extensions of its answer.
#[derive(Clone, Copy)]
pub(crate) struct RoutePath(pub(crate) &'static str);

/// Lets through who may call; the controller finds the [`Caller`] ready.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let path = RoutePath(guard.path);
    let context = request.extensions().get::<RequestContext>().cloned();
    if let Some(context) = &context {
        context.leave(Layer::Routes);
    }
    let mut response = match admit(guard, request).await {
        Ok(request) => {
            if let Some(context) = &context {
                context.enter(Layer::Controller);
            }
            let response = next.run(request).await;
            if let Some(context) = &context {
                context.leave(Layer::Controller);
            }
            response
        }
        Err(error) => error.into_response(),
    };
    response.extensions_mut().insert(path);
    response
}

/// A browser sends the name that its page was loaded from; a stranger's name that was made to lead here is
/// none of ours (DNS rebinding).
fn names_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| {
        let authority = Authority::try_from(host.as_bytes()).ok()?;
        let has_user = authority.as_str().contains('@');
        (!has_user).then(|| authority.host().trim_matches(['[', ']']).to_owned())
    });
    host.is_some_and(|host| {
        host.eq_ignore_ascii_case("localhost")
            || host
                .parse()
                .is_ok_and(|address: IpAddr| address.is_loopback())
    })
}

async fn admit(guard: Guard, request: Request) -> Result<Request, AppError> {
    let (mut head, body) = request.into_parts();
    let is_local = guard.access == Access::MonitorOrLocal
        && !head.headers.contains_key(header::AUTHORIZATION)
        && head
            .extensions
            .get::<ClientAddress>()
            .is_some_and(ClientAddress::is_local)
        && names_this_machine(&head.headers);
    if guard.access != Access::Anyone && !is_local {
        let caller = Caller::from_request_parts(&mut head, &guard.server).await?;
        let named = RawPathParams::from_request_parts(&mut head, &()).await.ok();
        let named = named.as_ref().and_then(|named| {
            let mut pairs = named.iter();
            pairs.find_map(|(name, value)| (name == "user_id").then_some(value))
        });
        guard.access.check(&caller, named)?;
        head.extensions.insert(caller);
    }
    head.extensions.insert(guard.fields);
    Ok(Request::from_parts(head, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_names_of_this_machine_count_as_such() {
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST:8000", true),
            ("127.0.0.1:8000", true),
            ("127.9.9.9", true),
            ("[::1]:8000", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example:8000", false),
            ("localhost.evil.example", false),
            ("evil.example@localhost", false),
            ("10.0.0.1", false),
            ("0.0.0.0:8000", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            assert_eq!(names_this_machine(&headers), expected, "{host}");
        }
        assert!(!names_this_machine(&HeaderMap::new()), "it names nothing");
    }
}
