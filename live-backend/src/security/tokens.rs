//! Tokens: signed statements of who somebody is (access) and of which session may go on (refresh).
//!
//! Belongs here: claims, signing, checking. Does not belong here: sessions and their end (store).
//!
//! One secret, one algorithm (HS256); the issuer tells the two kinds apart, so neither passes as the other.

use crate::models::{Role, UserId, WallMs};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// How long an access token is good; a refresh token brings the next one.
pub(crate) const ACCESS_TOKEN_S: u64 = 15 * 60;
/// How long the local administrator's token is good: as long as a demonstration may run.
pub(crate) const ADMIN_TOKEN_S: u64 = 24 * 60 * 60;
/// Who signs access tokens.
const ISSUER: &str = "flowreel";
/// Who signs refresh tokens.
const REFRESH_ISSUER: &str = "flowreel-refresh";
/// Longest token that is looked at, in bytes.
pub(crate) const TOKEN_BYTES_MAX: usize = 1024;
/// Shortest secret accepted from settings, in bytes (RFC 7518: as long as the hash).
pub(crate) const SECRET_BYTES_MIN: usize = 32;

/// What somebody may do beside what everybody may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Permission {
    #[serde(rename = "dashboard:read:live")]
    ReadLiveDashboard,
}

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// The user's number as text; `0` is the local administrator.
    pub(crate) sub: String,
    /// The same under the name clients know.
    #[serde(rename = "userId")]
    user_id: String,
    /// The session it belongs to; empty for the local administrator.
    pub(crate) sid: String,
    pub(crate) roles: Vec<Role>,
    pub(crate) permissions: Vec<Permission>,
    iss: String,
    iat: u64,
    exp: u64,
    /// Makes two tokens of one second differ.
    jti: String,
}

impl Claims {
    pub(crate) fn is_admin(&self) -> bool {
        self.roles.contains(&Role::Admin)
    }

    /// Administrators may everything.
    pub(crate) fn may(&self, permission: Permission) -> bool {
        self.is_admin() || self.permissions.contains(&permission)
    }

    /// Whether a session stands behind it; the local administrator's token lives by itself.
    pub(crate) fn has_session(&self) -> bool {
        self.user_id().is_some() || !self.sid.is_empty()
    }

    /// When it expires, in seconds since 1970.
    pub(crate) const fn expires_at_s(&self) -> u64 {
        self.exp
    }

    /// The user, or `None` for the local administrator.
    pub(crate) fn user_id(&self) -> Option<UserId> {
        UserId::parse(&self.sub)
    }
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenFault {
    Expired,
    Wrong,
}

impl TokenFault {
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Expired => "this token has expired; renew it with the refresh token",
            Self::Wrong => "this token is not one of ours; log in again",
        }
    }
}

/// What a refresh token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RefreshClaims {
    sub: String,
    sid: String,
    iss: String,
    exp: u64,
    jti: String,
}

/// Signs and checks tokens with one secret.
pub(crate) struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    refresh_validation: Validation,
}

impl Tokens {
    pub(crate) fn new(secret: &[u8]) -> Self {
        let validation_of = |issuer| {
            // One algorithm only: `none` and keys of another kind are refused.
            let mut validation = Validation::new(Algorithm::HS256);
            validation.set_issuer(&[issuer]);
            validation.set_required_spec_claims(&["exp", "iss", "sub"]);
            validation.leeway = 0;
            validation
        };
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation: validation_of(ISSUER),
            refresh_validation: validation_of(REFRESH_ISSUER),
        }
    }

    /// A token that renews the session until then, once.
    pub(crate) fn sign_refresh(&self, user: UserId, session: &str, until: WallMs) -> String {
        let claims = RefreshClaims {
            sub: user.to_string(),
            sid: session.to_owned(),
            iss: REFRESH_ISSUER.to_owned(),
            exp: until.0 / 1000,
            jti: super::random_hex::<16>(),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .expect("plain claims always sign")
    }

    /// User and session of a refresh token that is ours and not too old; whether it was used the store knows.
    pub(crate) fn check_refresh(&self, token: &str) -> Option<(UserId, String)> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        jsonwebtoken::decode::<RefreshClaims>(token, &self.decoding, &self.refresh_validation)
            .ok()
            .and_then(|data| Some((UserId::parse(&data.claims.sub)?, data.claims.sid)))
    }

    /// A token for a user's session.
    pub(crate) fn sign_user(&self, user: UserId, session: &str, now: WallMs) -> String {
        self.sign_as(Role::User, user, session, now)
    }

    /// The same for a user who has this role.
    pub(crate) fn sign_as(&self, role: Role, user: UserId, session: &str, now: WallMs) -> String {
        let (user, session) = (user.to_string(), session.to_owned());
        self.sign(user, session, role, now, ACCESS_TOKEN_S)
    }

    /// A token for whoever started this program.
    pub(crate) fn sign_local_admin(&self, now: WallMs) -> String {
        self.sign(
            "0".to_owned(),
            String::new(),
            Role::Admin,
            now,
            ADMIN_TOKEN_S,
        )
    }

    fn sign(&self, sub: String, sid: String, role: Role, now: WallMs, for_s: u64) -> String {
        let iat = now.0 / 1000;
        let permissions = match role {
            Role::Admin => vec![Permission::ReadLiveDashboard],
            Role::User => Vec::new(),
        };
        let claims = Claims {
            user_id: sub.clone(),
            sub,
            sid,
            roles: vec![role],
            permissions,
            iss: ISSUER.to_owned(),
            iat,
            exp: iat + for_s,
            jti: super::random_hex::<8>(),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .expect("plain claims always sign")
    }

    /// The claims of a token that is ours and not expired.
    pub(crate) fn check(&self, token: &str) -> Result<Claims, TokenFault> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenFault::Wrong);
        }
        jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map(|data| data.claims)
            .map_err(|error| match error.kind() {
                jsonwebtoken::errors::ErrorKind::ExpiredSignature => TokenFault::Expired,
                _ => TokenFault::Wrong,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Clock;

    fn now() -> WallMs {
        WallMs(Clock::start().wall_ms())
    }

    #[test]
    fn a_token_names_its_user_until_it_expires() {
        let tokens = Tokens::new(&[7; 32]);
        let claims = tokens
            .check(&tokens.sign_user(UserId(5), "s", now()))
            .unwrap();
        assert_eq!(
            (claims.user_id(), claims.is_admin()),
            (Some(UserId(5)), false)
        );
        let old = WallMs(now().0 - (ACCESS_TOKEN_S + 1) * 1000);
        assert_eq!(
            tokens.check(&tokens.sign_user(UserId(5), "s", old)),
            Err(TokenFault::Expired)
        );
        assert!(
            tokens
                .check(&tokens.sign_local_admin(now()))
                .unwrap()
                .is_admin()
        );
    }

    #[test]
    fn forged_tokens_are_refused() {
        let (ours, theirs) = (Tokens::new(&[7; 32]), Tokens::new(&[8; 32]));
        let token = theirs.sign_user(UserId(5), "s", now());
        assert_eq!(ours.check(&token), Err(TokenFault::Wrong));
        // {"alg":"none","typ":"JWT"} with our claims and no signature.
        let body = ours.sign_user(UserId(5), "s", now());
        let unsigned = format!(
            "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.",
            body.split('.').nth(1).unwrap()
        );
        let long = "a".repeat(TOKEN_BYTES_MAX + 1);
        for text in [unsigned.as_str(), "", "a.b.c", "x", "..", long.as_str()] {
            assert_eq!(ours.check(text), Err(TokenFault::Wrong), "{text}");
        }
    }

    #[test]
    fn the_right_key_under_another_algorithm_is_refused() {
        let ours = Tokens::new(&[7; 32]);
        let good = ours.sign_user(UserId(5), "s", now());
        let claims = ours.check(&good).unwrap();
        for algorithm in [Algorithm::HS384, Algorithm::HS512] {
            let key = EncodingKey::from_secret(&[7; 32]);
            let token = jsonwebtoken::encode(&Header::new(algorithm), &claims, &key).unwrap();
            assert_eq!(ours.check(&token), Err(TokenFault::Wrong), "{algorithm:?}");
        }
        // Another head or body under the old signature.
        let parts: Vec<&str> = good.split('.').collect();
        let other = ours.sign_local_admin(now());
        let swapped = format!(
            "{}.{}.{}",
            parts[0],
            other.split('.').nth(1).unwrap(),
            parts[2]
        );
        assert_eq!(ours.check(&swapped), Err(TokenFault::Wrong));
        let cut = good.get(..good.len() - 1).unwrap();
        assert_eq!(ours.check(cut), Err(TokenFault::Wrong));
    }

    #[test]
    fn access_and_refresh_tokens_do_not_pass_for_one_another() {
        let tokens = Tokens::new(&[7; 32]);
        let until = WallMs(now().0 + 60_000);
        let refresh = tokens.sign_refresh(UserId(5), "s", until);
        assert_eq!(
            tokens.check_refresh(&refresh),
            Some((UserId(5), "s".to_owned()))
        );
        assert_ne!(refresh, tokens.sign_refresh(UserId(5), "s", until));
        assert_eq!(tokens.check(&refresh), Err(TokenFault::Wrong));
        let access = tokens.sign_user(UserId(5), "s", now());
        assert_eq!(tokens.check_refresh(&access), None);
        let old = tokens.sign_refresh(UserId(5), "s", WallMs(now().0 - 2000));
        assert_eq!(tokens.check_refresh(&old), None);
        assert_eq!(Tokens::new(&[8; 32]).check_refresh(&refresh), None);
    }

    #[test]
    fn access_tokens_live_a_quarter_of_an_hour_at_most() {
        let tokens = Tokens::new(&[7; 32]);
        let claims = tokens
            .check(&tokens.sign_user(UserId(5), "s", now()))
            .unwrap();
        assert!(claims.exp - claims.iat <= 15 * 60);
        assert_eq!(claims.user_id, "5");
        assert!(!claims.may(Permission::ReadLiveDashboard) && claims.has_session());
        let admin = tokens.check(&tokens.sign_local_admin(now())).unwrap();
        assert!(admin.may(Permission::ReadLiveDashboard) && !admin.has_session());
    }
}
