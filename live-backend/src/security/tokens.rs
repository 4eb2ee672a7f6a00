//! Access tokens: short-lived, signed statements of who somebody is.
//!
//! Belongs here: claims, signing, checking. Does not belong here: sessions and their end (store).

use crate::models::{Role, UserId, WallMs};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// How long an access token is good; a refresh token brings the next one.
pub(crate) const ACCESS_TOKEN_S: u64 = 15 * 60;
/// How long the local administrator's token is good: as long as a demonstration may run.
pub(crate) const ADMIN_TOKEN_S: u64 = 24 * 60 * 60;
/// Who signs.
const ISSUER: &str = "flowreel";
/// Shortest secret accepted from settings, in bytes (RFC 7518: as long as the hash).
pub(crate) const SECRET_BYTES_MIN: usize = 32;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// The user's number as text; `0` is the local administrator.
    pub(crate) sub: String,
    /// The session it belongs to; empty for the local administrator.
    pub(crate) sid: String,
    pub(crate) roles: Vec<Role>,
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

/// Signs and checks tokens with one secret.
pub(crate) struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Tokens {
    pub(crate) fn new(secret: &[u8]) -> Self {
        // One algorithm only: `none` and keys of another kind are refused.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        validation.leeway = 0;
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
        }
    }

    /// A token for a user's session.
    pub(crate) fn sign_user(&self, user: UserId, session: &str, now: WallMs) -> String {
        self.sign(
            user.to_string(),
            session.to_owned(),
            Role::User,
            now,
            ACCESS_TOKEN_S,
        )
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
        let claims = Claims {
            sub,
            sid,
            roles: vec![role],
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
        for text in [unsigned.as_str(), "", "a.b.c", "x"] {
            assert_eq!(ours.check(text), Err(TokenFault::Wrong), "{text}");
        }
    }
}
